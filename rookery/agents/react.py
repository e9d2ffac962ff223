"""React: one turn after another, tools where they are wanted, until there is an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rookery.agents.case import AgentPlanner, Case, exhausted
from rookery.planners.option import at_least

TURNS = 24


def react(*, turns: int = TURNS) -> AgentPlanner:
    """Reason and act in turn (ReAct, Yao et al. 2023, arXiv 2210.03629, section 2): the model uses tools, sees what came of them, and goes on
    so until it answers.

    :param turns: so many turns at most; then the agent ends with AgentExhausted.

    Raises SearchInvalid for a number below 1.
    """
    at_least(1, turns=turns)
    return React(turns)


@dataclass(frozen=True)
class React:
    """See ``react``."""

    turns: int

    @property
    def name(self) -> str:
        return f"react(turns={self.turns})"

    async def pursue(self, case: Case) -> Any:
        for _ in range(self.turns):
            move = await case.turn()
            if not move.uses:
                return case.answer(move)
            await case.act(move)
        raise exhausted(case, self.turns)
