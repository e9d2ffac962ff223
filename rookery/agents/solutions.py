"""Solution search: from a task, samples and a pool of models and tools to the ways of solving it that are best in quality, cost and latency.

MMFactory (arXiv 2412.18072) for workflows of text: a committee proposes ways, what cannot be built or was there before is left out, the others are
raced on the samples, and the front comes back with intervals, so that the user chooses knowing what is chance. The chosen way is a Graph.
"""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, cast

from pydantic import BaseModel

from rookery.agents.sketch import Sketch, Task, built, fault_of, sketches
from rookery.core.function import Prompt, Tool, prompt
from rookery.core.graph import Graph
from rookery.core.policy import NO_POLICY
from rookery.core.spend import NOTHING_SPENT, Spend
from rookery.core.tape import current_live
from rookery.errors import CallFailed, GraphInvalid, LimitReached, OutsideRun, SearchInvalid
from rookery.planners.race import Estimate, Race, Standing, Trial

AT_A_TIME = 8
ROLES = ("You are frugal: look for cheap and quick ways first.", "You are careful: look for ways that give right answers, whatever they cost.",
         "You look for ways that others would not think of.")  # fmt: skip
Metric = Callable[[Any, Any], float]
"""From an answer and the expected one to its quality, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A case with its answer."""

    inputs: Mapping[str, Any]
    expected: Any


@dataclass(frozen=True, slots=True)
class Solution:
    """One way, and how it did."""

    sketch: Sketch
    verdict: str
    """``on the front``, ``may be on the front`` or ``dominated``."""
    quality: Estimate
    cost_usd: Estimate
    latency_s: Estimate
    trials: int
    dominated_by: str = ""
    why: str = ""
    """The first failure, where calls of it failed."""


@dataclass(frozen=True, slots=True)
class Solutions:
    """What a search found. ``front`` holds the true front with the search's confidence, and what may still belong to it."""

    all: list[Solution]
    """Those on the front, those that may be, and the dominated; each by quality."""
    rejected: list[tuple[str, str]] = field(default_factory=list)
    """Proposals that were not raced, and why."""
    trials: int = 0
    exhaustive: int = 0
    """Trials of all ways on all samples."""
    why: str = ""
    """What ended the race: ``decided``, ``samples``, ``most_trials`` or ``limit``."""
    spent: Spend = NOTHING_SPENT

    @property
    def front(self) -> list[Solution]:
        return [each for each in self.all if each.verdict != "dominated"]

    def best(self, *, usd: float | None = None, seconds: float | None = None) -> Solution:
        """The way with the highest quality that on average costs and takes no more than this.

        :raises SearchInvalid: there is none.
        """
        fits = [one for one in self.front if (usd is None or one.cost_usd.mean <= usd) and (seconds is None or one.latency_s.mean <= seconds)]
        if not fits:
            raise SearchInvalid("no way on the front is within these bounds", hint="; ".join(_line(one) for one in self.front[:5]))
        return max(fits, key=lambda one: one.quality.mean)

    def __str__(self) -> str:
        head = f"{len(self.front)} of {len(self.all)} ways may be best; {self.trials} trials of {self.exhaustive} ({self.why})"
        return "\n".join([head, *(_line(one) for one in self.front), *(f"not raced: {name}: {why}" for name, why in self.rejected)])


def _line(one: Solution) -> str:
    quality = f"{one.quality.mean:.2f} ({max(0.0, one.quality.low):.2f}–{min(1.0, one.quality.high):.2f})"
    doubt = "" if one.verdict == "on the front" else " (may be)"
    return f"{quality}  ${one.cost_usd.mean:.5f}  {one.latency_s.mean:.2f} s  {one.sketch}{doubt}"


class Proposals(BaseModel):
    """What a member of the committee proposes."""

    ways: list[Sketch]


class Votes(BaseModel):
    """Which proposals a member would race, by number from 0."""

    keep: list[int]


@prompt
def propose_ways(role: str, task: str, samples: str, models: list[str], tools: list[str], known: list[str], count: int) -> Proposals:
    """{role}
    Propose {count} ways to solve this task with these models and tools; none of those that are known.

    Task: {task}
    Samples: {samples}
    Models, from the cheapest to the dearest: {models}
    Tools: {tools}
    Known: {known}
    """


@prompt
def vote_on_ways(role: str, task: str, ways: list[str], most: int) -> Votes:
    """{role}
    Which of these ways to solve the task should be tried on samples? Keep at most {most}; leave out what is surely worse than another.

    Task: {task}
    Ways, numbered from 0: {ways}
    """


class SolutionSearch(Tool[Any, Solutions]):
    """A search for ways to solve a task: a program, to be run (``run(SolutionSearch(…), limit=…)``) or awaited within a run.

    :param task: what is to be solved.
    :param samples: cases with their answers; 30 or more tell ways apart that differ by a fifth.
    :param models: names of models, from the cheapest to the dearest.
    :param metric: how good an answer is; None: by its type (equal text, numbers within 1e-6, shares of a list's or record's parts).
    :param propose: a prompt like ``propose_ways`` for the committee, or sketches to race. None: all simple ways over the pool.
    :param vote: a prompt like ``vote_on_ways``; None: all proposals are raced. Votes are calls of the run.
    :param committee: what each member is told of its part.
    :param most: ways that are raced at most.
    :param most_trials: calls of a way on a sample at most; None: 40 % of what all ways on all samples would take.
    :param confidence: that the front that comes back holds the true one.

    Gives Solutions. A way whose calls fail has the quality 0 there. When the run's limit is met the race ends with what is known.
    Raises SearchInvalid for no samples, no models and tools, and proposals none of which can be built.
    """

    def __init__(
        self, task: Task, samples: Sequence[Sample], *, models: Sequence[str] = (), metric: Metric | None = None,
        propose: Prompt[..., Any] | Sequence[Sketch] | None = None, vote: Prompt[..., Any] | None = None, committee: Sequence[str] = ROLES,
        most: int = 40, most_trials: int | None = None, confidence: float = 0.95, at_a_time: int = AT_A_TIME, seed: int = 0,
        name: str = "solution_search",
    ) -> None:
        if not samples or not (models or task.tools) or most < 1 or at_a_time < 1:
            raise SearchInvalid("a solution search takes samples, models or tools, and at least one way and trial at a time")
        self.task = task
        self.samples = list(samples)
        self.models = list(models)
        self.metric = metric if metric is not None else by_type
        self.proposer = propose
        self.voter = vote
        self.committee = list(committee)
        self.most = most
        self.most_trials = most_trials
        self.confidence = confidence
        self.at_a_time = at_a_time
        self.seed = seed

        async def search_solutions() -> Solutions:
            return await self._go()

        super().__init__(search_solutions, name=name, kind="program", signature=({}, Solutions))

    def graph(self, solution: Solution | Sketch) -> Graph:
        """A way as a Graph from the task's inputs to its answer; it runs without any further search."""
        return built(solution.sketch if isinstance(solution, Solution) else solution, self.task)

    # -------------------------------------------------------------- proposing

    async def _go(self) -> Solutions:
        rejected: list[tuple[str, str]] = []
        ways = await self._ways(rejected)
        if not ways:
            raise SearchInvalid("none of the proposed ways can be built", hint="; ".join(f"{name}: {why}" for name, why in rejected[:5]))
        exhaustive = len(ways) * len(self.samples)
        most = self.most_trials if self.most_trials is not None else max(len(ways), exhaustive * 2 // 5)
        race = Race(len(ways), len(self.samples), most_trials=min(most, exhaustive), confidence=self.confidence, seed=self.seed)
        faults: dict[int, str] = {}
        why, spent = await self._run(race, [way for _, way in ways], faults)
        found = [self._solution(standing, ways, faults) for standing in race.standings()]
        return Solutions(found, rejected, race.trials, exhaustive, why or race.why, spent)

    async def _ways(self, rejected: list[tuple[str, str]]) -> list[tuple[Sketch, Graph]]:
        """What is raced: proposals that can be built, each once, after the vote."""
        ways: dict[str, tuple[Sketch, Graph]] = {}
        for sketch in await self._proposals():
            why = fault_of(sketch, self.task, self.models) or ("it was proposed before" if str(sketch) in ways else "")
            if not why:
                try:
                    ways[str(sketch)] = sketch, built(sketch, self.task)
                except GraphInvalid as error:
                    why = "; ".join(fault.fault for fault in error.faults)
            if why:
                rejected.append((str(sketch), why))
        kept = await self._voted(list(ways))
        rejected.extend((name, "the committee left it out") for name in ways if name not in kept)
        return [ways[name] for name in kept]

    async def _proposals(self) -> list[Sketch]:
        if self.proposer is None:
            return list(sketches(self.task, self.models))
        if not isinstance(self.proposer, Prompt):
            return list(self.proposer)
        shown = "\n".join(f"{dict(sample.inputs)} → {sample.expected}" for sample in self.samples[:3])
        given = {"task": self.task.text, "samples": shown, "models": self.models, "tools": [each.name for each in self.task.tools]}
        count, found = -(-self.most // max(1, len(self.committee))), list[Sketch]()
        for role in self.committee:  # one after another, so that each knows what is there
            made = await self.proposer(role=role, known=[str(each) for each in found], count=count, **given)
            found += cast("Proposals", made).ways
        return found

    async def _voted(self, names: list[str]) -> list[str]:
        """The ways that most members would race; of equals those proposed first."""
        if self.voter is None or len(names) <= 1:
            return names[: self.most]
        votes = await asyncio.gather(*(self.voter(role=role, task=self.task.text, ways=names, most=self.most) for role in self.committee))
        count = [sum(place in vote.keep for vote in votes) for place in range(len(names))]
        order = sorted(range(len(names)), key=lambda place: (-count[place], place))
        return [names[place] for place in sorted(place for place in order[: self.most] if count[place])] or names[: self.most]

    # -------------------------------------------------------------- racing

    async def _run(self, race: Race, ways: Sequence[Graph], faults: dict[int, str]) -> tuple[str, Spend]:
        """Carry out the trials that the race asks for; what ended it early, and what all of it has used."""
        from rookery.engine.live import LiveScope

        live = current_live()
        if live is None:
            raise OutsideRun("a solution search was called outside of a run", hint="use run(SolutionSearch(…))")
        scope, spent, out, why = cast("LiveScope", live), NOTHING_SPENT, dict[asyncio.Future[Any], tuple[int, int, str]](), ""
        while not why and (out or not race.done):
            for candidate, place in race.ask(self.at_a_time - len(out)):
                call = scope.call(ways[candidate], self.samples[place].inputs, NO_POLICY, name=f"way{candidate}")
                out[scope.value(call)] = candidate, place, call
            done, _ = await asyncio.wait(out, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                candidate, place, call = out.pop(future)
                try:
                    quality = self._quality(future.result(), self.samples[place].expected)
                except LimitReached:
                    why = "limit"
                    continue
                except CallFailed as error:
                    if error.kind == "LimitReached":
                        why = "limit"
                        continue
                    quality = 0.0
                    faults.setdefault(candidate, str(error))
                used = scope.spend(call)
                spent = spent + used
                race.tell(candidate, place, Trial(quality, used.cost_usd or 0.0, scope.lasted(call)))
        for future, (_, _, call) in out.items():
            scope.cancel(call)
            future.cancel()
        return why, spent

    def _quality(self, answer: Any, expected: Any) -> float:
        number = float(self.metric(answer, expected))
        if not isfinite(number):
            raise SearchInvalid(f"the metric gave {number}; it must give a number from 0 to 1")
        return number

    def _solution(self, standing: Standing, ways: Sequence[tuple[Sketch, Graph]], faults: Mapping[int, str]) -> Solution:
        by = "" if standing.dominated_by is None else str(ways[standing.dominated_by][0])
        return Solution(ways[standing.candidate][0], standing.verdict, standing.quality, standing.cost, standing.latency, standing.trials, by,
                        faults.get(standing.candidate, ""))  # fmt: skip


# ------------------------------------------------------------------ metrics


def by_type(answer: Any, expected: Any) -> float:
    """How good an answer is, by the type of the expected one: equal texts (case and spaces aside), numbers within 1e-6 relative, the
    harmonic mean of precision and recall of a list's or set's parts, the share of a record's fields. 0 to 1."""
    if isinstance(expected, BaseModel) and isinstance(answer, BaseModel):
        answer, expected = answer.model_dump(), expected.model_dump()
    if isinstance(expected, str):
        return float(isinstance(answer, str) and " ".join(answer.split()).casefold() == " ".join(expected.split()).casefold())
    if isinstance(expected, bool) or not isinstance(expected, int | float | Mapping | Sequence | set | frozenset):
        return float(answer == expected)
    if isinstance(expected, int | float):
        return float(isinstance(answer, int | float) and abs(answer - expected) <= 1e-6 * max(1.0, abs(expected)))
    if isinstance(expected, Mapping):
        if not isinstance(answer, Mapping) or not expected:
            return float(answer == expected)
        return sum(by_type(answer.get(key), value) for key, value in expected.items()) / len(expected)
    return _overlap(answer, expected)


def _overlap(answer: Any, expected: Any) -> float:
    if not isinstance(answer, Sequence | set | frozenset) or isinstance(answer, str) or not answer or not expected:
        return float(answer == expected)
    left, common = list(answer), 0
    for part in expected:
        if part in left:
            left.remove(part)
            common += 1
    return 2 * common / (len(answer) + len(expected))
