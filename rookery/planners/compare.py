"""Planners side by side: each on every problem under the same limit, best-of-n always among them, with intervals that say what is chance."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from rookery.core.function import Tool
from rookery.core.limit import Limit
from rookery.core.spend import NOTHING_SPENT, Spend
from rookery.core.tape import is_live, is_traced
from rookery.errors import CallFailed, SearchInvalid
from rookery.planners.interval import paired_difference, wilson
from rookery.planners.planner import Planner
from rookery.planners.result import SearchResult
from rookery.planners.sample import best_of_n
from rookery.planners.search import CONCURRENCY, MAX_NODES, Search
from rookery.planners.tree import mixed

BASELINE = "best_of_n"
LINES = 1_000
"""Of the best-of-n that is added: it goes on until the limit stops it."""
LINES_WITHOUT_LIMIT = 8
AT_A_TIME = 4
TOO_WIDE = 0.05
"""An interval with more than so much on either side can't rank planners."""
REFUSALS = frozenset({"CapabilityMissing"})
"""Errors that say that a planner and this model do not go together; others end the comparison, which can be resumed."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one planner did."""

    planner: str
    """With its options as they were in force."""
    solved: list[bool]
    """Problem by problem."""
    tokens: float
    """Mean a problem; so are the next three."""
    calls: float
    """Requests to models."""
    works: float
    """Steps that were carried out, those of tools too."""
    cost_usd: float | None
    stops: dict[str, int]
    """Why the searches ended, and how many."""
    claimed: int = 0
    """Answers that passed the search's goal and not the hidden check."""
    unused: list[str] = field(default_factory=list)
    """Steps that were given and that none of its searches carried out: the planner has no use for them, or came to none."""

    @property
    def share(self) -> float:
        """Of the problems that it solved."""
        return sum(self.solved) / len(self.solved) if self.solved else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, by Wilson."""
        return wilson(sum(self.solved), len(self.solved))


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of ``compare``; printed, it is a table."""

    rows: list[Row]
    baseline: str
    """The best-of-n that the others are held against: the first one."""
    limit: str
    judged_by: str
    """What ``solved`` means: passed by a hidden check, or by the search's own goal."""

    def row(self, planner: str) -> Row:
        """The row of a planner, by its name with or without options. Raises KeyError."""
        for row in self.rows:
            if planner in (row.planner, row.planner.partition("(")[0]):
                return row
        raise KeyError(planner)

    def difference(self, row: Row) -> tuple[float, float, float]:
        """Its share minus that of best-of-n on the same problems, with the 95 % interval (Newcombe's for pairs)."""
        return paired_difference(row.solved, self.row(self.baseline).solved)

    @property
    def warnings(self) -> list[str]:
        """What a reader of the table must not overlook."""
        n = len(self.rows[0].solved) if self.rows else 0
        half = max(((high - low) / 2 for low, high in (row.interval for row in self.rows)), default=0.5)
        found = []
        if half > TOO_WIDE:
            found.append(f"{n} problem{' is' if n == 1 else 's are'} too few to rank planners: intervals reach ± {100 * half:.0f} points")
        within = [_short(row.planner) for row in self.rows if row.planner != self.baseline and not _is_clear(self.difference(row))]
        if within:
            found.append(f"no difference from best-of-n beyond chance: {', '.join(within)}")
        if self.rows and not any(row.calls for row in self.rows):
            found.append("no model was asked, so no limit of tokens or calls held the planners to equal spend; compare the steps")
        elif not self.limit:
            found.append("there was no limit: spend is not equal")
        return found

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def compare(
    planners: Sequence[Planner], problems: Sequence[Any], *, limit: Limit | None, propose: Any = None, evaluate: Any = None, goal: Any = None,
    hidden: Callable[[Any, Any], Any] | None = None, model: Any = None, concurrency: int = CONCURRENCY, at_a_time: int = AT_A_TIME, seed: int = 0,
    key: Callable[[Any], Any] | None = None, merge: bool = True, **steps: Any,
) -> Any:
    """Every planner on every problem under the same limit: ``print(run(compare([beam(), mcts()], hands, …, limit=Limit(tokens=2_000))))``.

    A program, to be run or awaited as a search is; every search is in its log, so that it resumes. A best-of-n that goes on to the
    limit is added where none is given.

    :param problems: first states. Each search has a seed of its own, so that none profits from what another has paid for.
    :param limit: of each search: tokens, calls, money or seconds. None, said openly: no limit.
    :param propose, evaluate, goal, steps, model, concurrency, seed, key, merge: as for ``search``; each planner gets those that it knows.
    :param hidden: from a problem and the chosen answer to whether it is right (a function or a coroutine one). It is called when all searches
        are over, so that nothing can leak into one. Without it a problem is solved when the goal passed the answer.
    :param at_a_time: searches side by side.

    Gives a Comparison. Raises SearchInvalid for no planners, no problems or two equal planners, and GraphInvalid as ``search`` does. A planner
    whose needs a model can't meet has its problems unsolved, ``refused`` among the stops; any other failure of a search fails the run.
    """
    if not planners or not problems or at_a_time < 1:
        raise SearchInvalid("nothing to compare: it takes planners, problems and at_a_time of at least 1")
    contestants = list(planners)
    if not any(planner.facts.name.startswith(BASELINE) for planner in contestants):
        contestants.insert(0, best_of_n(LINES if limit else LINES_WITHOUT_LIMIT))
    names = [planner.facts.name for planner in contestants]
    if len(set(names)) < len(names):
        raise SearchInvalid(f"{next(name for name in names if names.count(name) > 1)} stands there twice")
    given = {"propose": propose, "evaluate": evaluate, "goal": goal, **steps}
    more = {"limit": limit, "model": model, "concurrency": concurrency, "key": key, "merge": merge}
    known = frozenset().union(*({"propose", "evaluate", "goal"} | planner.facts.needs | planner.facts.uses for planner in contestants))
    if set(given) - known:
        raise SearchInvalid(f"none of these planners knows a step {', '.join(sorted(set(given) - known))}")
    # A seed for each search, so that none finds what another has paid for in the cache of results.
    searches = [[_search(planner, problem, given, more, mixed(seed, place, number)) for number, problem in enumerate(problems)]
                for place, planner in enumerate(contestants)]

    async def comparison() -> Comparison:
        results = await _results(searches, at_a_time)
        rows = [_row(made[0], found, await _solved(found, problems, hidden), given) for made, found in zip(searches, results, strict=True)]
        baseline = next(row.planner for row in rows if row.planner.startswith(BASELINE))
        return Comparison(rows, baseline, _said(limit), "a hidden check" if hidden is not None else "the search's own goal")

    made: Tool[..., Comparison] = Tool(comparison, name="compare", kind="program")
    return made() if is_live() or is_traced() else made


def _search(planner: Planner, problem: Any, given: dict[str, Any], more: dict[str, Any], seed: int) -> Search:
    """A planner's search of a problem, with the steps that it knows; checked now, so that all faults come before anything runs."""
    facts = planner.facts
    knows = {"propose", "evaluate", "goal"} | facts.needs | facts.uses
    steps = {name: step for name, step in given.items() if name in knows and step is not None}
    return Search(planner, steps, state=problem, seed=seed, answers=1, max_nodes=MAX_NODES, name=_short(facts.name), **more)


async def _results(searches: Sequence[Sequence[Search]], at_a_time: int) -> list[list[SearchResult[Any] | str]]:
    """By planner and problem what came of the search, or why it was refused."""
    gate = asyncio.Semaphore(at_a_time)

    async def one(made: Search) -> SearchResult[Any] | str:
        async with gate:
            try:
                found: SearchResult[Any] = await made(state=made.state)
            except CallFailed as error:
                kind = getattr(error.__cause__, "kind", "") or error.kind  # that of the step, where a SearchFailed says it
                if kind not in REFUSALS:
                    raise
                return f"refused: {kind}"
            return found

    try:
        async with asyncio.TaskGroup() as group:
            tasks = {made: group.create_task(one(made)) for row in zip(*searches, strict=True) for made in row}  # problem by problem
    except ExceptionGroup as failed:  # that of the first stands for all: where a model is down they fail together
        raise failed.exceptions[0] from None
    return [[tasks[made].result() for made in row] for row in searches]


async def _solved(results: Sequence[SearchResult[Any] | str], problems: Sequence[Any], hidden: Callable[[Any, Any], Any] | None) -> list[bool]:
    found = []
    for result, problem in zip(results, problems, strict=True):
        if isinstance(result, str) or not result.answers:
            found.append(False)
        elif hidden is None:
            found.append(result.is_solved)
        else:
            verdict = hidden(problem, result.answers[0].state)
            found.append(bool(await verdict if inspect.isawaitable(verdict) else verdict))
    return found


def _row(made: Search, results: Sequence[SearchResult[Any] | str], solved: list[bool], given: dict[str, Any]) -> Row:
    ran = [result for result in results if isinstance(result, SearchResult)]
    spent: Spend = sum((result.spent for result in ran), NOTHING_SPENT)
    n = max(1, len(results))
    stops = Counter(result if isinstance(result, str) else result.stop_reason for result in results)
    claimed = sum(isinstance(result, SearchResult) and result.is_solved and not right for result, right in zip(results, solved, strict=True))
    done = {"goal"} & set(made.steps) | {name for result in ran for name in result.works}
    unused = sorted(name for name, step in given.items() if step is not None and name not in done)
    return Row(
        made.planner.facts.name, solved, spent.tokens / n, spent.calls / n, sum(sum(result.works.values()) for result in ran) / n,
        spent.cost_usd / n if spent.cost_usd is not None else None, dict(stops.most_common()), claimed, unused,
    )  # fmt: skip


# ------------------------------------------------------------------ the table


def _lines(whole: Comparison) -> Iterator[str]:
    n = len(whole.rows[0].solved) if whole.rows else 0
    yield f"{n} problem{'' if n == 1 else 's'}; each search under {whole.limit or 'no limit'}; solved: passed by {whole.judged_by}"
    head = ("planner", "solved", "95 %", "− best-of-n", "95 %", "tokens", "calls", "steps", "stopped by")
    lines = [head, *(_cells(whole, row) for row in whole.rows)]
    widths = [max(len(cells[column]) for cells in lines) for column in range(len(head))]
    for cells in lines:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        padded[0], padded[-1] = cells[0].ljust(widths[0]), cells[-1]
        yield "  ".join(padded).rstrip()
    for row in whole.rows:
        unused = f"; unused: {', '.join(row.unused)}" if row.unused else ""
        claimed = f"; {row.claimed} passed the goal and not the hidden check" if row.claimed else ""
        yield f"  {row.planner}{unused}{claimed}"
    yield from (f"! {warning}" for warning in whole.warnings)


def _cells(whole: Comparison, row: Row) -> tuple[str, ...]:
    names = Counter(_short(one.planner) for one in whole.rows)
    name = _short(row.planner) if names[_short(row.planner)] == 1 else row.planner
    low, high = row.interval
    if row.planner == whole.baseline:
        difference, between = "", ""
    else:
        mean, below, above = whole.difference(row)
        difference, between = f"{100 * mean:+.1f}", f"{100 * below:+.1f} … {100 * above:+.1f}"
    return (name, f"{100 * row.share:.1f} %", f"{100 * low:.1f} … {100 * high:.1f}", difference, between, f"{row.tokens:,.0f}", f"{row.calls:,.1f}",
            f"{row.works:,.1f}", ", ".join(f"{reason} {times}" for reason, times in row.stops.items()))  # fmt: skip


def _short(planner: str) -> str:
    return planner.partition("(")[0]


def _is_clear(difference: tuple[float, float, float]) -> bool:
    return difference[1] > 0 or difference[2] < 0


def _said(limit: Limit | None) -> str:
    caps = [(one.name, getattr(limit, one.name)) for one in fields(Limit)] if limit is not None else []
    return ", ".join(f"{cap:,} {name.replace('_', ' ')}" for name, cap in caps if cap is not None)
