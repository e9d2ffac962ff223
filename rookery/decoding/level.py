"""What a level is: one way to hold a reply to a rule, from a mask in this process (1) down to asking again (4)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, fields
from typing import Literal, Protocol

from rookery.core.report import Report
from rookery.decoding.desk import Desk, Outcome
from rookery.decoding.monitor import Rule
from rookery.models.model import Chunk, Model, Request

Number = Literal[1, 2, 3, 4]


@dataclass(slots=True)
class Tally:
    """A report that is being written: the same fields, counted up."""

    level: int = 0
    triggers: int = 0
    forbidden: int = 0
    forced: int = 0
    empty: int = 0
    late: int = 0
    unknown: int = 0
    failed: int = 0
    rolled_back: int = 0
    waited_s: float = 0.0
    masked_s: float = 0.0
    monitors: tuple[str, ...] = ()
    note: str = ""

    def woke(self, name: str) -> None:
        """A monitor woke."""
        self.triggers += 1
        if name not in self.monitors:
            self.monitors += (name,)

    def found(self, outcome: Outcome) -> None:
        """What came of a question to an analyser."""
        if outcome != "known":
            setattr(self, outcome, getattr(self, outcome) + 1)

    @property
    def report(self) -> Report:
        """What was counted so far."""
        return Report(**{f.name: getattr(self, f.name) for f in fields(Report)})


@dataclass(frozen=True, slots=True)
class Task:
    """One reply that is wanted: what is asked of which model under which rule."""

    model: Model
    request: Request
    rule: Rule
    desk: Desk
    """Where facts are asked for."""
    tally: Tally = field(default_factory=Tally)


class Level(Protocol):
    """A way to hold replies to rules."""

    @property
    def number(self) -> Number:
        """1 mask in this process, 2 grammar on the server, 3 stop, check and force, 4 validate and repair."""
        ...

    async def lacks(self, task: Task) -> str:
        """Why the level can't be had for this model and rule, in a phrase; empty when it can."""
        ...

    def stream(self, task: Task) -> AsyncIterator[Chunk]:
        """The reply as :meth:`rookery.models.model.Model.stream` gives it, held to the rule; what happened goes into ``task.tally``.

        A level that cannot keep its promise half-way (a server that ignores its grammar) says so in ``tally.note`` and lets the text
        stand: the ladder checks the text of every level below 1, and what is found goes the way of level 4.

        :raises ConstraintUnmet: nothing may follow, also after going back.
        """
        ...

