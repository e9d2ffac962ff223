"""Processor seconds in sandboxes count against the run's limit, and stand in what its calls used."""

from __future__ import annotations

import pytest

from rookery import Limit, RookeryError, graph, start
from rookery.tools.python import python_tool

BUSY = "x = 0\nfor i in range(3_000_000):\n    x += i\nx"


async def test_what_a_sandbox_uses_is_booked() -> None:
    run_python = python_tool()

    async with start(run_python, code=BUSY, limit=Limit(sandbox_seconds=20)) as r:
        found = await r
    assert found.value == 4499998500000 and 0 < r.spent.sandbox_s < 20


async def test_a_run_keeps_to_its_seconds_in_sandboxes() -> None:
    run_python = python_tool()

    @graph
    async def often() -> int:
        for _ in range(50):
            await run_python(code="while True: pass")
        return 50

    with pytest.raises(RookeryError, match="sandbox_seconds"):
        async with start(often, limit=Limit(sandbox_seconds=1.5)) as r:
            await r
    assert r.spent.sandbox_s < 5, "the kernel counts whole seconds"
