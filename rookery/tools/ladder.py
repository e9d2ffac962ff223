"""The ladder: the first rung that runs a program; what Monty cannot run goes to full Python in bubblewrap, never to less isolation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from rookery.errors import SandboxMissing
from rookery.tools import bubblewrap, monty
from rookery.tools.sandbox import Door, Outcome, Program, Sandbox, SandboxFacts, SandboxLimit

Rung = Literal["ladder", "monty", "bubblewrap"]
_FINAL = ("timeout", "output")
"""Faults of the first rung that the second one is not asked about: it would only take as long again."""


class Ladder:
    """Two sandboxes as one: the quick one that knows part of the language, and the full one for all that the first does not run well.

    A program of which the quick rung says anything but a value (or that it took too long) is run again by the full one, whose word
    counts; unless it has called a door, for that cannot be undone. Without the full rung, what the quick one refuses raises
    SandboxMissing.
    """

    def __init__(self, quick: Sandbox | None, full: Sandbox | None, *, missing: SandboxMissing | None = None) -> None:
        self._quick, self._full, self._missing = quick, full, missing

    @property
    def facts(self) -> SandboxFacts:
        known = [rung.facts for rung in (self._quick, self._full) if rung is not None]
        return replace(known[-1], rung="ladder", isolates=tuple(f"{facts.rung}: {', '.join(facts.isolates)}" for facts in known))

    async def run(self, program: Program, *, limit: SandboxLimit | None = None, doors: Mapping[str, Door] | None = None) -> Outcome:
        """See ``Sandbox.run``."""
        counted = _Counted(doors or {})
        outcome: Outcome | None = None
        if self._quick is not None:
            outcome = await self._quick.run(program, limit=limit, doors=counted.doors)
            if outcome.ok or outcome.fault is None or outcome.fault.kind in _FINAL or counted.calls:
                return outcome
        if self._full is not None:
            again = await self._full.run(program, limit=limit, doors=counted.doors)
            return again if outcome is None else replace(again, cpu_s=again.cpu_s + outcome.cpu_s, wall_s=again.wall_s + outcome.wall_s)
        if outcome is not None and outcome.fault is not None and outcome.fault.kind != "refused":
            return outcome
        raise self._missing or SandboxMissing("the program needs full Python", hint=bubblewrap.INSTALL)

    async def aclose(self) -> None:
        """See ``Sandbox.aclose``."""
        for rung in (self._quick, self._full):
            if rung is not None:
                await rung.aclose()


class _Counted:
    """Doors that count how often they are gone through."""

    def __init__(self, doors: Mapping[str, Door]) -> None:
        self.calls = 0
        self.doors = {name: self._counting(door) for name, door in doors.items()}

    def _counting(self, door: Door) -> Door:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return door(*args, **kwargs)

        return call


def best_sandbox(rung: Rung = "ladder", *, ready: int = 1, parallel: int | None = None) -> Sandbox:
    """The sandbox of this machine: ``monty``, ``bubblewrap``, or both as a ladder.

    ``ready`` processes are started ahead for each rung; ``parallel`` programs run at a time (by default one for each processor).

    :raises SandboxMissing: nothing of what was asked for works here; the hint says what to install.
    """
    lacks = {"monty": monty.lacking(), "bubblewrap": bubblewrap.lacking()}
    if rung != "ladder" and lacks[rung][0]:
        raise SandboxMissing(lacks[rung][0], rung=rung, hint=lacks[rung][1])
    if rung == "monty":
        return monty.Monty(ready=ready, parallel=parallel)
    if rung == "bubblewrap":
        return bubblewrap.Bubblewrap(ready=ready, parallel=parallel)
    if all(reason for reason, _ in lacks.values()):
        reasons, hints = zip(*lacks.values(), strict=True)
        raise SandboxMissing(f"no sandbox works here: {'; '.join(reasons)}", hint=" or ".join(hints))
    reason, hint = lacks["bubblewrap"]
    return Ladder(
        None if lacks["monty"][0] else monty.Monty(ready=ready, parallel=parallel),
        None if reason else bubblewrap.Bubblewrap(ready=ready, parallel=parallel),
        missing=SandboxMissing(f"the program needs full Python, and {reason}", rung="bubblewrap", hint=hint) if reason else None,
    )


async def run_python(
    source: str, *, stdin: str = "", limit: SandboxLimit | None = None, doors: Mapping[str, Door] | None = None, sandbox: Sandbox | None = None
) -> Outcome:
    """Run a script once, by the ladder or by ``sandbox``; its outcome has the value of its last line and what it printed.

    Raises as ``Sandbox.run`` and ``best_sandbox`` do. For many programs keep a sandbox, so that processes can be started ahead.
    """
    box = sandbox if sandbox is not None else best_sandbox(ready=0)
    try:
        return await box.run(Program(source=source, stdin=stdin), limit=limit, doors=doors)
    finally:
        if box is not sandbox:
            await box.aclose()
