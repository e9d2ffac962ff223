"""The tool that runs Python: values, prints and faults come back as data, and it runs in a sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rookery import start
from rookery.tools.ladder import best_sandbox
from rookery.tools.python import Ran, python_tool
from rookery.tools.sandbox import Sandbox, SandboxLimit


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    made = best_sandbox(ready=0)
    yield made
    await made.aclose()


async def test_code_runs_and_says_what_came_of_it(sandbox: Sandbox) -> None:
    tool = python_tool(sandbox=sandbox, limit=SandboxLimit(wall_s=5))
    async with start(tool, code="print('hi')\n6 * 7") as r:
        assert await r == Ran(42, "hi\n", "")
    ran = await tool.function("1 / 0")
    assert ran.value is None and "ZeroDivisionError" in ran.fault
    ran = await tool.function("def f(:")
    assert "SyntaxError" in ran.fault
    ran = await tool.function("open('/etc/passwd').read()")
    assert ran.value is None and ran.fault
    assert len((await python_tool(sandbox=sandbox, max_printed=100).function("print('x' * 1000)")).printed) == 100


async def test_a_sandbox_is_made_where_none_is_given(sandbox: Sandbox) -> None:
    assert (await python_tool().function("sum(range(10))")).value == 45
