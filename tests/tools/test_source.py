"""Signatures read from source text: nothing is run, and all faults are told."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from rookery.core.graph import MISSING
from rookery.errors import ToolUnfit
from rookery.tools.describe import describe
from rookery.tools.source import schemas_of, shapes_of, signature_of_source, with_types


@pytest.mark.parametrize(
    ("annotation", "type_"),
    [
        ("int", int), ("str | None", str | None), ("list[int]", list[int]),
        ("List[List[str]]", list[list[str]]), ("typing.Dict[str, int]", dict[str, int]),
        ("'list[float]'", list[float]), ("Optional[bool]", bool | None), ("tuple[int, int]", list[int]),
        ("tuple[int, str]", list[Any]), ("set[str]", list[str]),
        ("Literal['a', 'b']", Literal["a", "b"]), ("Any", Any), ("None", type(None)), ("dict", dict[str, Any]),
    ],
)  # fmt: skip
def test_types(annotation: str, type_: Any) -> None:
    _, _, (params, returns) = signature_of_source(f"def f(x: {annotation}) -> {annotation}: ...")
    assert params["x"].type == type_ and returns == type_


def test_name_docstring_and_defaults() -> None:
    source = '"""Module."""\nimport math\n\ndef _inner(): pass\n\n'
    source += 'def area(r: float = 1.0, *, unit: str = "m") -> float:\n    """The area."""\n    return 3'
    name, doc, (params, _) = signature_of_source(source)
    assert (name, doc, params["r"].default, params["unit"].default) == ("area", "The area.", 1.0, "m")
    assert signature_of_source("def f(x: int) -> int: ...")[2][0]["x"].default is MISSING


def test_nothing_is_run() -> None:
    source = "print('run')\nraise SystemExit\ndef f(x: int = 3) -> int:\n    return x"
    assert signature_of_source(source)[0] == "f"


def test_all_faults_at_once() -> None:
    with pytest.raises(ToolUnfit) as caught:
        signature_of_source("def f(a, b: bytes, c: int = g(), /, *rest, d: dict[int, str], **more): ...")
    assert {place for place, _ in caught.value.faults} == {"a", "b", "c", "d", "*rest", "**more", "return"}


@pytest.mark.parametrize(
    ("source", "name", "said"),
    [
        ("def f(:", "", "line 1"), ("x = 1", "", "0 public functions"), ("def f(): ...\ndef g(): ...", "", "2 public"),
        ("def f(): ...", "g", "no function g"),
        ("async def f(): ...", "", "async"), ("x" * 300_000, "", "longer"),
        ("def f(x: int) -> int: return '\0'", "", "source"), ("(" * 5000, "", "source"),
    ],
)  # fmt: skip
def test_broken_sources(source: str, name: str, said: str) -> None:
    with pytest.raises(ToolUnfit, match=said):
        signature_of_source(source, name)


def test_odd_escapes_warn_nobody() -> None:
    assert signature_of_source('def f(x: str) -> str:\n    "\\s"\n    return x')[0] == "f"


def test_schemas_and_shapes() -> None:
    source = "def f(x: list[tuple[int, int]], y: set[str], z: int = 4) -> dict[str, int]: ..."
    params, returns = schemas_of(signature_of_source(source)[2])
    assert params["z"] == {"type": "integer", "default": 4} and returns["type"] == "object"
    assert shapes_of(source) == {"x": ["list", ["tuple", None]], "y": ["set", None]}


def test_a_default_of_another_type_is_told() -> None:
    with pytest.raises(ToolUnfit) as caught:
        describe("def f(x: int = 'a', y: list = None) -> int: ...")
    assert [place for place, _ in caught.value.faults] == ["x", "y"]


def test_with_types_changes_the_annotations_only() -> None:
    source = "def é(x: int,\n      y: list[int] = [1]) -> int:\n    return x  # ü\n"
    changed = with_types(source, "é", {"x": "int | str", "return": "Any"})
    assert changed == 'def é(x: "int | str",\n      y: list[int] = [1]) -> "Any":\n    return x  # ü\n'


# ------------------------------------------------------------------ functions


def plain(x: int, y: str = "a") -> str:
    """Says it."""
    return y * x


def leaning(x: int) -> int:
    return helping(x)


def helping(x: int) -> int:
    return x


def test_a_function_that_stands_for_itself_keeps_its_source() -> None:
    record, tool = describe(plain)
    assert record.source.startswith("def plain(") and tool is not None and record.doc == "Says it."
    assert record.signature == 'plain(x: int, y: str = "a") -> str'
    assert describe(leaning)[0].source == ""


def test_functions_that_can_be_no_tools() -> None:
    def without(x, y: int, *z):  # type: ignore[no-untyped-def]
        return x

    def odd(x: int, f: type[Any]) -> int:
        return x

    with pytest.raises(ToolUnfit) as caught:
        describe(without)
    assert {place for place, _ in caught.value.faults} == {"x", "z", "return"}
    with pytest.raises(ToolUnfit, match="JSON"):
        describe(odd)
    with pytest.raises(ToolUnfit, match="no name"):
        describe(plain, "two words")
    with pytest.raises(ToolUnfit):
        describe(3)  # type: ignore[arg-type]
