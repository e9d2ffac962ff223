"""Small typed functions that the tests of the schedule call."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from rookery import prompt, tool
from rookery.core.graph import Graph
from tests.simulation import Simulation


class Section(BaseModel):
    title: str


@tool
def inc(x: int) -> int:
    return x + 1


@tool
def add(a: int, b: int) -> int:
    return a + b


@tool
def double(x: int) -> int:
    return 2 * x


@tool
def positive(x: int) -> bool:
    return x > 0


@tool
def even(x: int) -> bool:
    return x % 2 == 0


@tool
def large(x: int) -> bool:
    return x > 100


@tool
def upto(n: int) -> list[int]:
    return list(range(n))


@prompt
def numbers(n: int) -> list[int]:
    """Numbers below {n}."""


@tool
def total(xs: list[int]) -> int:
    return sum(xs)


@tool
def inverse(x: int) -> float:
    return 1 / x


@tool
def known(xs: list[float | None]) -> str:
    return str(xs)


@tool(effect=True)
def note(x: int) -> None: ...


@tool(effect=True)
def send(x: int) -> int:
    return -x


FILL = {"numbers": lambda n: list(range(n))}


def ran(program: Graph, **inputs: Any) -> tuple[Any, list[str]]:
    done = Simulation(program, fill=FILL).start(**inputs).run()
    assert done.outcome == "finished", done.fault
    return done.value, sorted(path for path, _ in done.executed)
