"""Graphs compiled: order, guards, and which values need no validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from rookery import graph, tool, when
from rookery.core.graph import Call, Graph, Param, Ref
from rookery.core.plan import guards_of, order_of, passes, plan_of


class Base(BaseModel):
    a: int


class Derived(Base): ...


@tool
def inc(x: int) -> int:
    return x + 1


@tool
def positive(x: int) -> bool:
    return x > 0


@tool
def table(xs: list[int], by: float = 1) -> int:
    return 1


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        (int, int, True), (int, Any, True), (Any, int, False), (bool, int, False), (int, float, False), (Derived, Base, True), (Base, Derived, False),
        (list[int], list[int], True), (list[int], Sequence[int], True), (list[Derived], list[Base], True), (list[int], list[float], False),
        (list[int], tuple[int, ...], False), (list[Any], list[int], False), (int | None, int | None, True),
    ],
)
def test_which_values_pass_as_they_are(a: Any, b: Any, wanted: bool) -> None:
    assert passes(a, b) is wanted


def test_arguments_are_sorted_into_constants_and_variables() -> None:
    @graph
    def program(x: int) -> int:
        return table(xs=[1, "2"], by=x)  # type: ignore[list-item]

    planned = plan_of(program).calls[0]
    assert planned.consts == {"xs": [1, 2]} and planned.fresh == ("xs",) and planned.plain == ("inputs.x",) and planned.names == ("by",)
    assert planned.validators[0] is not None  # an int for a float
    assert plan_of(program) is plan_of(program)


def test_guards_are_the_branches_that_must_all_be_taken() -> None:
    @graph
    def program(x: int) -> int:
        shared = inc(x=x)
        inner = when(positive(x=shared), inc(x=inc(x=x)), shared)
        return when(positive(x=x), inner, 0)  # type: ignore[return-value]

    guards = guards_of(program)
    assert guards["inc"] == {("when_2", True)}  # both branches of the inner one read it
    assert guards["positive"] == guards["when"] == {("when_2", True)}
    assert guards["inc_2"] == guards["inc_3"] == {("when", True), ("when_2", True)}
    assert guards["positive_2"] == guards["when_2"] == frozenset()


def test_the_order_leaves_out_what_is_on_a_circle() -> None:
    def call(name: str, read: str) -> Call:
        return Call(name, "tool", int, {"x": Ref(read)}, function=inc)

    program = Graph(
        "g", inputs={"x": Param("x", int)}, calls=[call("c", "b"), call("b", "a"), call("a", "inputs.x"), call("d", "e"), call("e", "d")],
        output=Ref("c"), returns=int,
    )
    assert order_of(program) == ["a", "b", "c"]
