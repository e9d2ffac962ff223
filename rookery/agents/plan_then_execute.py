"""Plan, then execute: the whole plan is a checked graph before any tool is used, so nothing that a tool gives can change what is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rookery.agents.case import AgentPlanner, Case
from rookery.agents.kit import is_for_the_run, told
from rookery.core.function import Tool
from rookery.core.value import codec
from rookery.errors import AgentFailing, RookeryError
from rookery.planners.option import at_least
from rookery.planners.plan_execute import plan_execute


def plan_then_execute(*, plans: int = 2, repairs: int = 3) -> AgentPlanner:
    """A model writes a plan as typed calls of the agent's tools (``rookery.planners.plan_execute``); it is checked whole, then run, calls that
    do not wait for one another side by side. What tools give is data for the next call and never read by a model that decides.

    :param plans: so many plans at most; the next one is told how the one before failed.
    :param repairs: so often a plan with faults goes back before it counts as failed.

    The agent ends with AgentFailing when the last plan fails. Raises SearchInvalid for numbers below 1 and below 0.
    """
    at_least(1, plans=plans)
    at_least(0, repairs=repairs)
    return PlanThenExecute(plans, repairs)


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a plan: the answer as JSON text, or what went wrong."""

    answer: str | None = None
    fault: str = ""


@dataclass(frozen=True)
class PlanThenExecute:
    """See ``plan_then_execute``."""

    plans: int
    repairs: int

    @property
    def name(self) -> str:
        return f"plan_then_execute(plans={self.plans}, repairs={self.repairs})"

    async def pursue(self, case: Case) -> Any:
        attempt = self._attempt(case)
        task = _task(case)
        tried = Tried()
        for _ in range(self.plans):
            said = task + (f"\n\nAn earlier plan failed:\n{tried.fault}" if tried.fault else "")
            tried = await attempt(task=said)
            if tried.answer is not None:
                return codec(case.returns).load(tried.answer.encode())
        last = " ".join(tried.fault.split())[:500]
        hint = "more plans=, or react(), which goes step by step"
        raise AgentFailing(f"{case.agent.name}: {self.plans} plan(s) failed; the last: {last}", hint=hint)

    def _attempt(self, case: Case) -> Tool[..., Tried]:
        """One plan as a call whose value says what came of it, so that a failed one is the same after a restart."""
        functions = [case.agent.kit.checked(name) for name in case.agent.kit.names]
        program = plan_execute(functions=functions, returns=case.returns, repairs=self.repairs, model=case.agent.asking.model)

        async def plan(task: str) -> Tried:
            try:
                value = await program(task=task)
                return Tried(codec(case.returns).dump(value).decode())
            except RookeryError as error:
                if is_for_the_run(error):
                    raise
                return Tried(fault=told(error))

        return Tool(plan)


def _task(case: Case) -> str:
    """The question, after what was said before."""
    said = "\n".join(f"{'answer' if place % 2 else 'question'}: {text}" for place, text in enumerate(case.history))
    return f"What was said before:\n{said}\n\n{case.question}" if said else case.question
