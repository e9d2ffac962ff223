"""A sandbox whose processor seconds count against the limits of the run in which it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from rookery.core.tape import current_live
from rookery.tools.sandbox import Door, Outcome, Program, Sandbox, SandboxFacts, SandboxLimit

if TYPE_CHECKING:
    from rookery.engine.live import LiveScope


@dataclass(frozen=True)
class Metered:
    """Another sandbox under ``Limit(sandbox_seconds=…)``: each program gets at most what is left, and what it used is told by the call.

    Outside of a run it is the other sandbox as it stands. ``run`` raises LimitReached when nothing is left.
    """

    inner: Sandbox

    @property
    def facts(self) -> SandboxFacts:
        return self.inner.facts

    async def run(self, program: Program, *, limit: SandboxLimit | None = None, doors: Mapping[str, Door] | None = None) -> Outcome:
        """See ``Sandbox.run``."""
        live = cast("LiveScope | None", current_live())
        if live is None:
            return await self.inner.run(program, limit=limit, doors=doors)
        wanted = limit or SandboxLimit()
        granted = await live.sandbox(wanted.cpu_s)
        used = granted  # of a program that is broken off nobody knows more
        try:
            outcome = await self.inner.run(program, limit=replace(wanted, cpu_s=granted), doors=doors)
            used = outcome.cpu_s
            return outcome
        finally:
            live.sandbox_used(granted, used)

    async def aclose(self) -> None:
        """See ``Sandbox.aclose``."""
        await self.inner.aclose()
