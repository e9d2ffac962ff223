"""What lies below a type, and the type of what an argument says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, NewType, NotRequired

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from rookery.core.graph import MISSING, Const, Many, Ref
from rookery.core.shape import accepts, missing_step, step_type, type_of, union


class Model(BaseModel):
    a: int
    b: list[str] = []

    @property
    def size(self) -> int:
        return 1


@dataclass
class Data:
    a: int


class Dict(TypedDict):
    a: int
    b: NotRequired[str]


class Named(NamedTuple):
    a: int


Id = NewType("Id", int)


@pytest.mark.parametrize(
    ("type_", "step", "below", "wrong"),
    [
        (Model, "a", int, None),
        (Model, "b", list[str], None),
        (Model, "c", Any, "Model has no field 'c'; it has a, b"),
        (Model, "size", Any, None),
        (Model, "model_dump", Any, "Model has no field"),
        (Model, "_x", Any, "Model has no field"),
        (Model, 0, Any, "Model has no items"),
        (Data, "a", int, None),
        (Data, "b", Any, "Data has no field"),
        (Dict, "a", int, None),
        (Dict, "b", str, None),
        (Dict, "c", Any, "Dict has no"),
        (Named, "a", int, None),
        (Named, "b", Any, "Named has no field"),
        (dict[str, int], "x", int, None),
        (dict, "x", Any, None),
        (Mapping[str, list[int]], "x", list[int], None),
        (list[int], 0, int, None),
        (list, 3, Any, None),
        (Sequence[str], -1, str, None),
        (tuple[int, str], 1, str, None),
        (tuple[int, ...], 9, int, None),
        (tuple[int, str], 2, Any, "the tuple has 2 item(s)"),
        (tuple[int, str], -3, Any, "the tuple has"),
        (list[int], "x", Any, "list[int] has no fields"),
        (str, 0, str, None),
        (str, "upper", Any, "str has no fields"),
        (int, 0, Any, "int has no items"),
        (Id, "x", Any, "int has no fields"),
        (set[int], 0, Any, "set has no items"),
        (Any, "x", Any, None),
        (Model | None, "a", Any, None),
        (Annotated[Model, Field()], "a", int, None),
        (None, "x", Any, "None has no fields"),
    ],
)
def test_steps(type_: Any, step: Any, below: Any, wrong: str | None) -> None:
    assert step_type(type_, step) == below
    found = missing_step(type_, step)
    assert (found is None) if wrong is None else wrong in (found or "")


def test_types_of_sources() -> None:
    types = {"a": int, "b": Model, "any": Any}
    assert type_of(Const(1), types) is int
    assert type_of(Ref("b", ("b", 0)), types) is str
    assert type_of(Ref("none"), types) is MISSING
    assert type_of(Many("list", (Ref("a"), Const(1.5))), types) == list[float]
    assert type_of(Many("list", (Ref("a"), Const("x"))), types) == list[int | str]
    assert type_of(Many("list", (Ref("a"), Ref("any"))), types) == list[Any]
    assert type_of(Many("tuple", (Ref("a"), Const("x"))), types) == tuple[int, str]
    assert type_of(Many("dict", (Ref("a"),), ("x",)), types) == dict[str, int]
    assert type_of(Many("list", (Ref("a"), Ref("none"))), types) is MISSING


def test_unions_are_as_narrow_as_they_can_be() -> None:
    assert union([]) is Any
    assert union([bool, int]) is int and union([int, bool]) is int
    assert union([int, None]) in (int | None,) and union([Any, int]) is Any and union([int, Any, str]) is Any
    assert union([list[int], list]) == list[int]


def test_accepts() -> None:
    assert accepts("1", int) and not accepts("a", int)
