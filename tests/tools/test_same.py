"""Forms of sources: equal under renaming and reordering, never under another constant; made-up inputs are stable and fit their schemas."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.tools.inputs import make_inputs
from rookery.tools.same import Form, constants_of, correspondences, form_of, verdict

BASE = """
import math as m

def f(xs: list[int], k: int = 3) -> float:
    \"\"\"Doc.\"\"\"
    total = 0
    for x in xs:
        if x > k:
            total += m.sqrt(x)
    return g(total, y=1)

def g(t, y):
    return t + y
"""
RENAMED = """
from math import sqrt

def helper(q, z):
    return q + z

def other(lim: int = 3, *, values: list[int]) -> float:
    acc = 0
    for v in values:
        if v > lim:
            acc += sqrt(v)
    return helper(acc, z=1)
"""


def agreed(a: Form, b: Form, calls: int = 200) -> str:
    return verdict(a, b, agreed=calls, distinct=calls // 2, differed=0)


def test_renamed_functions_have_one_form() -> None:
    a, b = form_of(BASE, "f"), form_of(RENAMED, "other")
    assert a.exact == b.exact
    assert dict(zip(b.params, a.params, strict=True)) == {"values": "xs", "lim": "k"}


def test_reordered_functions_have_the_same_steps() -> None:
    a = form_of("def f(a: int, b: int) -> int:\n    x = 1\n    y = 2\n    return x if a < b else y")
    b = form_of("def f(a: int, b: int) -> int:\n    y = 2\n    x = 1\n    return y if not b > a else x")
    assert a.exact != b.exact and (a.steps, a.constants) == (b.steps, b.constants) and agreed(a, b, 20) == "copy"


@pytest.mark.parametrize("old, new", [("= 0", "= 1"), ("y=1", "y=2"), ("k: int = 3", "k: int = 4"), ("total = 0", "total = 0.0"), ("= 0", "= False")])
def test_a_changed_constant_is_never_a_copy(old: str, new: str) -> None:
    a, b = form_of(BASE, "f"), form_of(BASE.replace(old, new), "f")
    assert a.steps == b.steps and agreed(a, b) == "constant"


def test_a_constant_in_anothers_place_keeps_twins_apart() -> None:
    a, b = form_of("def f(x: int) -> int:\n    return x * 7 + 3"), form_of("def f(x: int) -> int:\n    return sum([x * 5, 3])")
    assert agreed(a, b) == "alike"
    loop = form_of("def f(x: list[int]) -> int:\n    t = 0\n    for y in x:\n        t += y\n    return t")
    assert agreed(loop, form_of("def f(x: list[int]) -> int:\n    return sum(x)")) == "twin"
    assert agreed(loop, form_of("def f(x: list[int]) -> int:\n    return sum(x)"), 10) == "alike"


def test_what_sees_its_own_names_is_not_renamed() -> None:
    a, b = form_of("def f(x: int) -> int:\n    return locals()['x']"), form_of("def f(y: int) -> int:\n    return locals()['x']")
    assert a.exact != b.exact


def test_functions_nobody_calls_and_the_order_of_functions_do_not_count() -> None:
    assert form_of(BASE + "\ndef unused():\n    return 99\n", "f") == form_of(BASE, "f")


def test_builtins_used_as_names() -> None:
    a, b = form_of("def f(list: str) -> str:\n    return list"), form_of("def f(text: str) -> str:\n    return text")
    assert (a.steps, a.constants) == (b.steps, b.constants)
    assert form_of("def f(x: int) -> int:\n    return len(x)").exact != form_of("def f(x: int) -> int:\n    return sum(x)").exact


def test_constants_are_values() -> None:
    assert constants_of(form_of("def f() -> list:\n    return [-3, 2.5, 'a', True, None, 2.5]")) == [2.5, -3, "a"]


def test_correspondences() -> None:
    types = {"a": "int", "b": "int", "s": "str"}
    found = list(correspondences(["a", "b", "s"], ["s", "a", "b"], types, types))
    assert {tuple(each.items()) for each in found} == {(("a", "a"), ("b", "b"), ("s", "s")), (("a", "b"), ("b", "a"), ("s", "s"))}
    assert not list(correspondences(["a"], ["s"], types, types))


SCHEMAS: dict[str, dict[str, Any]] = {
    "n": {"type": "integer"}, "xs": {"type": "array", "items": {"type": "integer"}}, "s": {"type": "string"}, "b": {"type": "boolean"},
    "o": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "d": {"type": "object", "additionalProperties": {"type": "number"}},
    "e": {"enum": [1, 2]},
}  # fmt: skip


@given(st.sets(st.sampled_from(sorted(SCHEMAS)), min_size=1), st.integers(0, 100))
def test_inputs_fit_their_schemas_and_are_the_same_each_time(names: set[str], seed: int) -> None:
    from jsonschema import validate

    params = {name: SCHEMAS[name] for name in sorted(names)}
    calls = make_inputs(params, count=20, seed=seed, constants=[17, "rook"])
    assert calls == make_inputs(params, count=20, seed=seed, constants=[17, "rook"])
    assert len({json.dumps(call) for call in calls}) == len(calls)
    validate(calls, {"type": "array", "items": {"type": "object", "properties": params, "required": list(params)}})


def test_inputs_come_near_constants_and_examples() -> None:
    numbers = {call["n"] for call in make_inputs({"n": {"type": "integer"}}, count=60, constants=[4321])}
    assert {4320, 4321, 4322} <= numbers
    calls = make_inputs({"xs": SCHEMAS["xs"]}, count=60, examples=[{"xs": [900, 901, 902]}])
    assert sum(900 in call["xs"] for call in calls) > 9
    optional = make_inputs({"n": {"type": "integer", "default": 3}}, count=30)
    assert {} in optional
