"""The bubblewrap rung: values, faults and limits of single programs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rookery.errors import ProgramInvalid
from rookery.tools.bubblewrap import Bubblewrap
from rookery.tools.sandbox import Program, Sandbox, SandboxLimit
from tests.boxes import needs_bubblewrap

pytestmark = needs_bubblewrap


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    made = Bubblewrap(ready=0)
    yield made
    await made.aclose()


async def test_the_value_of_an_entry(box: Sandbox) -> None:
    out = await box.run(Program(source="def f(a, b=2):\n    return [a, b]", entry="f", args=[1], kwargs={"b": {"c": None}}))
    assert (out.value, out.fault) == ([1, {"c": None}], None)
    assert 0 < out.cpu_s < 5 and 0 < out.wall_s < 5


async def test_a_script_gives_its_last_line(box: Sandbox) -> None:
    assert (await box.run(Program(source="x = 20\nx + 1"))).value == 21
    assert (await box.run(Program(source="{1}"))).value == "{1}"
    assert (await box.run(Program(source="print(input())\nx = 1", stdin="hello\n"))).stdout == "hello\n"


@pytest.mark.parametrize(
    ("source", "kind", "type_", "line"),
    [
        ("x = 1\n1 / 0", "exception", "ZeroDivisionError", 2),
        ("def f(:\n", "exception", "SyntaxError", 1),
        ("import sys\nsys.exit(0)", "exit", "SystemExit", 2),
        ("import os\nos._exit(0)", "crash", "", None),
        ("while True: pass", "timeout", "", None),
        ("x = bytearray(10**10)", "memory", "MemoryError", 1),
        ("print('x' * 10**7)", "output", "", None),
        ("open('f', 'wb').write(b'x' * 10**8)", "disk", "OSError", 1),
    ],
)
async def test_faults(box: Sandbox, source: str, kind: str, type_: str, line: int | None) -> None:
    out = await box.run(Program(source=source), limit=SandboxLimit(cpu_s=1, wall_s=10))
    assert out.fault is not None and out.value is None
    assert (out.fault.kind, out.fault.type, out.fault.line) == (kind, type_, line)


async def test_doors(box: Sandbox) -> None:
    async def ask(x: int) -> int:
        return x * 2

    assert (await box.run(Program(source="ask(ask(x=10)) + 1"), doors={"ask": ask})).value == 41


@pytest.mark.parametrize(
    "program",
    [Program(source="1", entry="f", args=[object()]), Program(source="1", entry="f", args=[float("nan")]), Program(source="1", files={"../x": ""}),
     Program(source="1", packages=["no-such-package-here"]), Program(source="1", entry="f()")],
)  # fmt: skip
async def test_programs_that_cannot_be_handed_over(box: Sandbox, program: Program) -> None:
    with pytest.raises(ProgramInvalid):
        await box.run(program)
