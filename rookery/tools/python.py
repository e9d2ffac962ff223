"""The tool ``run_python``: code that a model wrote, run in a sandbox; what it prints, its value and its fault come back as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rookery.core.function import Tool, tool
from rookery.core.label import UNTRUSTED
from rookery.tools.ladder import best_sandbox
from rookery.tools.metered import Metered
from rookery.tools.sandbox import Program, Sandbox, SandboxLimit


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of some code."""

    value: Any = None
    """Of its last line, where that is an expression."""
    printed: str = ""
    fault: str = ""
    """Why it did not come to its end; empty when it did."""


def python_tool(
    *, sandbox: Sandbox | None = None, limit: SandboxLimit | None = None, packages: tuple[str, ...] = (), max_printed: int = 20_000
) -> Tool[..., Any]:
    """``run_python`` in a sandbox: no files, no network, nothing kept between calls, so many seconds and bytes (``limit``).

    ``packages`` are installed distributions that the code may import. Without a ``sandbox`` the best one of this machine is made for
    each call; one that is given is the caller's to close, and starts processes ahead. Calls raise SandboxMissing where none works here.
    """

    @tool(labels=frozenset({UNTRUSTED}))
    async def run_python(code: str) -> Ran:
        """Run Python code in a fresh process without files and network; print what you want to see, or end with an expression."""
        box = sandbox if sandbox is not None else best_sandbox(ready=0)
        try:
            outcome = await Metered(box).run(Program(source=code, packages=packages), limit=limit)
        finally:
            if box is not sandbox:
                await box.aclose()
        return Ran(outcome.value, outcome.stdout[-max_printed:], str(outcome.fault) if outcome.fault is not None else "")

    return run_python
