"""A search planner as an agent's: it searches over what the agent could do, a line of moves and results being a state."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rookery.agents.case import AgentPlanner, Case
from rookery.agents.judge import called, checked, steps_text
from rookery.agents.move import Move, Seen
from rookery.core.function import Tool, prompt
from rookery.core.value import codec
from rookery.errors import AgentExhausted
from rookery.planners.planner import Check, Planner
from rookery.planners.result import SearchResult
from rookery.planners.search import search
from rookery.planners.step import as_function

MAX_WORKS = 200
"""So many steps of a search at most, unless said otherwise."""


@dataclass(frozen=True, slots=True)
class Trail:
    """What was done so far on one line of the search."""

    steps: tuple[Move | Seen, ...] = ()

    def __str__(self) -> str:
        last = next((step for step in reversed(self.steps) if isinstance(step, Move)), None)
        return ", ".join(f"{use.tool}({use.arguments})" for use in last.uses) if last is not None else "the question"


@dataclass(frozen=True, slots=True)
class Found:
    """The end of a line: its answer, as JSON text."""

    answer: str

    def __str__(self) -> str:
        return self.answer


@prompt(form="text")
def promise(question: str, steps: str) -> float:
    """Somebody is at work on a question. How likely is it that what was done so far leads to the right answer? Answer with one number
    from 0 (hopeless) to 1 (certain), nothing else.

    Question:
    {question}

    Done so far:
    {steps}
    """


def searching(planner: Planner, *, check: Any = None, evaluate: Any = None, **options: Any) -> AgentPlanner:
    """An agent's planner that searches: ``Agent(planner=best_of_n(4))`` stands for ``searching(best_of_n(4))``.

    :param planner: any of :mod:`rookery.planners`.
    :param check: whether an answer is right: a function, tool or prompt from ``answer`` (and ``question``) to a bool or a ``Check``.
    :param evaluate: how promising a line is: from ``steps`` (what was done, as text) and ``question`` to a number; where the planner
        can't do without it, the agent's own model is asked.
    :param options: of the search: ``concurrency``, ``max_works``, ``seed``, …

    An agent whose search finds no answer, or none that passes the check, ends with AgentExhausted.
    """
    return Searching(planner, check, evaluate, {"max_works": MAX_WORKS, **options})


@dataclass(frozen=True)
class Searching:
    """See ``searching``."""

    planner: Planner
    check: Any = None
    evaluate: Any = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.planner.facts.name

    async def pursue(self, case: Case) -> Any:
        case.door = None  # a line of a search is no place to leave by
        await case.begin()
        steps: dict[str, Any] = {"goal": self._goal(case), "evaluate": self._judge(case)}
        found: SearchResult[Trail | Found] = await search(
            planner=self.planner, state=Trail(), propose=self._step(case), model=case.agent.asking.model,
            **{name: step for name, step in steps.items() if step is not None}, **self.options,
        )
        ends = [answer for answer in found.answers if isinstance(answer.state, Found)]
        if not ends or (self.check is not None and not found.is_solved):
            faults = f"; {found.faults[0].message}" if found.faults else ""
            why = "none passed the check" if ends else "no line came to an answer"
            told = f"{case.agent.name} searched with {self.name} and {why} ({found.stop_reason}){faults}"
            raise AgentExhausted(told, hint="more works, or another planner")
        return codec(case.returns).load(ends[0].state.answer.encode())  # type: ignore[union-attr]

    def _step(self, case: Case) -> Tool[..., Trail | Found]:
        async def step(state: Trail) -> Trail | Found:
            line = case.branch(state.steps)
            move = await line.turn()
            if not move.uses:
                return Found(move.answer or "null")
            return Trail((*state.steps, move, *await line.act(move)))

        return Tool(step)

    def _goal(self, case: Case) -> Any:
        if self.check is None:
            return None

        async def passes(state: Trail | Found) -> Check:
            return await checked(self.check, case, state.answer) if isinstance(state, Found) else Check(False)

        return Tool(passes)

    def _judge(self, case: Case) -> Any:
        facts = self.planner.facts
        if self.evaluate is None and "evaluate" not in facts.needs:
            return None
        if "evaluate" not in facts.needs | facts.uses:
            return None
        function = as_function(promise if self.evaluate is None else self.evaluate, "evaluate")

        async def judge(state: Trail | Found) -> float:
            told = state.answer if isinstance(state, Found) else steps_text(state.steps)
            return float(await called(function, steps=told, question=case.question))

        return Tool(judge)
