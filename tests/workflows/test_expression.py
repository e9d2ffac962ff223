"""Conditions in CEL: typed against the graph, and computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from rookery.errors import StepWrong
from rookery.workflows.compose import composed
from rookery.workflows.expression import Condition, read_formula
from rookery.workflows.read import Reader


class Part(BaseModel):
    title: str
    weight: float = 1.0


@dataclass
class Pair:
    left: int
    parts: list[Part]


TYPES: dict[str, Any] = {
    "n": int, "f": float, "s": str, "b": bool, "xs": list[str], "part": Part, "parts": list[Part], "pair": Pair, "table": dict[str, int],
    "maybe": int | None, "tone": Literal["warm", "cold"], "thing": Any, "loop": bool,
}  # fmt: skip
VALUES: dict[str, Any] = {
    "n": 3, "f": 0.5, "s": "rooks", "b": True, "xs": ["a", "bb"], "part": Part(title="t"), "parts": [Part(title="x", weight=2.0)],
    "pair": Pair(4, [Part(title="y")]), "table": {"a": 1}, "maybe": None, "tone": "warm", "thing": {"k": [1, 2]}, "loop": True,
}  # fmt: skip


def condition(text: str) -> tuple[Condition, list[Any]]:
    document, _ = composed(f"when: {text!r}" if "'" not in text else f'when: "{text}"')
    reader = Reader(document)
    formula = read_formula(text, document.root.items[0], {name: name for name in TYPES}, reader, "when")
    assert formula is not None
    return formula.condition(TYPES, reader, "c"), reader.faults


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("n > 2", True), ("n > 2 && f < 1", True), ("f < 1", True), ("f >= 0.5", True), ("f > -1", True),
        ("size(xs) == 2", True), ("'a' in xs", True),
        ("xs.exists(x, size(x) > 1)", True), ("parts.all(p, p.weight > 1.0)", True), ("parts[0].title == 'x'", True), ("part.title != 't'", False),
        ("pair.left == 4", True), ("pair.parts[0].title == 'y'", True), ("table['a'] == 1", True), ("maybe == null", True), ("tone == 'warm'", True),
        ("s.startsWith('ro') && s.matches('^r.*s$')", True), ("thing.k[1] == 2", True), ("has(thing.k)", True),
        ("!b", False), ("n in [1, 2, 3]", True),
        ("b ? n > 5 : false", False), ("string(n) + s == '3rooks'", True),
    ],
)  # fmt: skip
def test_conditions_are_computed(text: str, value: bool) -> None:
    made, faults = condition(text)
    assert not faults, faults[0].shown
    assert made.function(**{name: VALUES[name] for name in made.types}) is value
    assert set(made.params) <= set(TYPES) and made.returns is bool


@pytest.mark.parametrize(
    ("text", "at", "hint"),
    [
        ("s > 2", 2, "s is str"), ("m > 2", 0, "names are n"), ("size(prts) > 2", 5, "did you mean parts?"), 
        ("n +", 3, "CEL"), ("n", 0, "compare it"),
        ("part.titel == 't'", 5, "did you mean title?"), ("parts.all(p, p.wight > 1.0)", 15, "did you mean weight?"), ("n > f", 2, "double("),
        ("b && n", 2, ""), ("xs.foo()", 3, "functions are"), ("pair.parts[0].tilte == ''", 14, "title"), ("s.title == ''", 2, ""),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_condition_is_said_where(text: str, at: int, hint: str) -> None:
    _, faults = condition(text)
    assert len(faults) == 1
    assert faults[0].place.column == len("when: '") + 1 + at and hint in faults[0].hint, faults[0].shown


def test_what_cannot_be_told_before_is_told_when_it_runs() -> None:
    made, faults = condition("thing.k")
    assert not faults
    with pytest.raises(StepWrong, match="not true or false"):
        made.function(thing={"k": 5})
    with pytest.raises(StepWrong):
        made.function(thing={})


def test_a_bool_is_read_as_it_is_whatever_its_name() -> None:
    document, _ = composed("when: loop")
    formula = read_formula("loop", document.root.items[0], {"loop": "loop"}, Reader(document), "when")
    assert formula is not None and str(formula.direct(TYPES)) == "Ref(name='loop', path=())"
