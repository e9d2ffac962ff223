"""JSON Schema to types: what fits passes and comes back, what does not gives every fault with its place, hostile schemas are bounded."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from rookery.core.graph import MISSING
from rookery.core.types import dump, fits, load, schema, serialisable, validate
from rookery.errors import ParseFailed, ToolUnfit
from rookery.tools.schema import conform, identifier, inlined, parameters, type_of

BOOKING = {
    "type": "object",
    "required": ["user-id", "nights"],
    "$defs": {
        "Guest": {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}}, "required": ["name"]},
    },
    "properties": {
        "note": {"type": "string", "maxLength": 5, "default": "none"},
        "nights": {"type": "integer", "minimum": 1, "maximum": 14, "description": "how long"},
        "user-id": {"type": "string", "pattern": "^[a-z]+$"},
        "guests": {"type": "array", "items": {"$ref": "#/$defs/Guest"}},
        "board": {"enum": ["half", "full", None]},
        "class": {"type": ["string", "null"]},
    },
}


def test_parameters_are_identifiers_the_required_ones_first() -> None:
    found = parameters(BOOKING)
    assert list(found.params) == ["nights", "user_id", "note", "guests", "board", "class_"]
    assert [name for name, param in found.params.items() if param.default is MISSING] == ["nights", "user_id"]
    assert found.wire["user_id"] == "user-id" and found.wire["class_"] == "class"
    assert all(serialisable(param.type) is None for param in found.params.values())


def test_what_is_not_given_is_not_sent() -> None:
    found = parameters(BOOKING)
    assert found.sent({"nights": 2, "user_id": "ann", "note": None, "class_": "b"}) == {"nights": 2, "user-id": "ann", "class": "b"}


def test_a_model_is_shown_the_schema_as_it_was() -> None:
    found = parameters(BOOKING)
    assert schema(found.params["nights"].type) == BOOKING["properties"]["nights"]  # type: ignore[index]
    assert schema(found.params["guests"].type)["items"]["required"] == ["name"]


@pytest.mark.parametrize(("name", "value", "fault"), [
    ("nights", 15, "maximum"), ("nights", "many", "integer"), ("nights", 1.5, "integer"), ("user_id", "ANN", "does not match"),
    ("note", "too long", "too long"), ("guests", [{"name": "a"}, {"age": 3}], "$[1]"), ("guests", [{"name": "a", "age": -1}], "$[0].age"),
    ("board", "none", "half"), ("guests", "a", "list"), ("class_", 3, "string"),
])  # fmt: skip
def test_what_does_not_fit_is_said_with_its_place(name: str, value: Any, fault: str) -> None:
    with pytest.raises(ParseFailed) as failed:
        validate(value, parameters(BOOKING).params[name].type)
    assert fault in failed.value.reason


def test_types_are_as_near_as_python_has_them() -> None:
    params = parameters(BOOKING).params
    assert fits(int, params["nights"].type) and fits(params["nights"].type, int) and not fits(str, params["nights"].type)
    assert fits(list[dict[str, Any]], params["guests"].type) and not fits(list[str], params["nights"].type)


def test_numbers_stay_whole() -> None:
    type_ = type_of({"type": "number"})
    assert load(dump(validate(3, type_), type_), type_) == 3 and dump(validate(3, type_), type_) == b"3"
    assert dump(validate(2**60 + 1, type_), type_) == str(2**60 + 1).encode()


def test_recursion_ends() -> None:
    children = {"type": "array", "items": {"$ref": "#"}}
    tree = {"type": "object", "properties": {"value": {"type": "integer"}, "children": children}, "required": ["value"]}
    type_ = type_of(tree)
    validate({"value": 1, "children": [{"value": 2, "children": []}]}, type_)
    with pytest.raises(ParseFailed):
        validate({"children": []}, type_)


def test_references_to_elsewhere_are_not_followed() -> None:
    assert inlined({"$ref": "http://127.0.0.1:1/x.json"}, root={}) == {}
    assert inlined({"$ref": "#/nowhere", "description": "d"}, root={}) == {"description": "d"}
    assert inlined({"$ref": "#/a~1b", "minimum": 3}, root={"a/b": {"type": "integer"}}) == {"allOf": [{"type": "integer"}, {"minimum": 3}]}


def test_a_schema_that_grows_without_end_is_cut() -> None:
    laughs: dict[str, Any] = {"l0": {"type": "string"}}
    for i in range(1, 30):
        laughs[f"l{i}"] = {"allOf": [{"$ref": f"#/$defs/l{i - 1}"}] * 10}
    started = time.monotonic()
    type_of({"$defs": laughs, "$ref": "#/$defs/l29"})
    assert time.monotonic() - started < 10


def test_a_pattern_that_takes_for_ever_does_not() -> None:
    started = time.monotonic()
    with pytest.raises(ParseFailed):
        validate("a" * 5_000 + "!", type_of({"type": "string", "pattern": "^(a+)+$"}))
    assert validate("x", type_of({"type": "string", "pattern": "(?<=y)x"})) == "x"  # what can't be matched so is left to the server
    assert time.monotonic() - started < 8


def test_deep_nesting_is_refused_or_cut() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(3_000):
        deep = {"type": "array", "items": deep}
    type_of(deep)


@pytest.mark.parametrize("wrong", [{"type": "strong"}, {"type": 3}, {"enum": 3}, {"minimum": "3"}, {"properties": []}, {"required": "a"}, 3, "x"])
def test_what_is_no_schema_is_refused(wrong: Any) -> None:
    with pytest.raises(ToolUnfit):
        type_of(wrong)
    with pytest.raises(ToolUnfit, match="'x'"):
        parameters({"type": "object", "properties": {"x": wrong}})


@pytest.mark.parametrize("wrong", [[], None, "object", {"type": "array"}, {"properties": [1]}, {"properties": {}, "required": "all"}])
def test_arguments_are_an_object(wrong: Any) -> None:
    with pytest.raises(ToolUnfit):
        parameters(wrong)


@given(st.text())
def test_identifiers(name: str) -> None:
    assert identifier(name).isidentifier() and len(identifier(name)) <= 64
    assert identifier(name, taken={identifier(name): 1}) != identifier(name)


PLAIN = st.recursive(
    st.sampled_from([*({"type": kind} for kind in ("string", "integer", "boolean", "null")), {"type": "integer", "minimum": 2}, {"enum": ["a", 1]}]),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
        st.fixed_dictionaries({"type": st.just("object"), "properties": st.dictionaries(st.sampled_from("xyz"), inner, max_size=2)}),
    ),
    max_leaves=5,
)
VALUES = st.recursive(
    st.one_of(st.integers(-3, 5), st.sampled_from(["a", "b", ""]), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)), max_leaves=5,
)  # fmt: skip


@given(PLAIN, VALUES)
def test_what_satisfies_the_schema_passes_and_what_passes_satisfies_it(described: dict[str, Any], value: Any) -> None:
    type_ = type_of(described)
    try:
        passed = validate(value, type_)
    except ParseFailed:
        assert not Draft202012Validator(described).is_valid(value)
        return
    assert Draft202012Validator(described).is_valid(passed)
    assert json.loads(dump(passed, type_)) == passed


ODD = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 3), st.floats(), st.sampled_from(["string", "object", "x", "^(a", "a|b", "#/x"])),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(
        st.sampled_from([
            "type", "properties", "items", "enum", "const", "anyOf", "allOf", "not", "required", "minimum", "multipleOf", "minLength", "pattern",
            "patternProperties", "additionalProperties", "uniqueItems", "contains", "minContains", "dependentRequired", "dependentSchemas",
            "prefixItems", "propertyNames", "if", "then", "$ref", "unevaluatedProperties", "unevaluatedItems", "format", "default", "x",
        ]), inner, max_size=4,
    )), max_leaves=10,
)  # fmt: skip


@given(ODD, VALUES)
@settings(max_examples=300)
def test_an_odd_schema_is_refused_or_works(described: Any, value: Any) -> None:
    try:
        type_ = type_of(described)
    except ToolUnfit:
        return
    with contextlib.suppress(ParseFailed):
        validate(value, type_)


def test_names_by_pattern_are_left_to_the_server() -> None:
    type_ = type_of({"type": "object", "patternProperties": {"^(a+)+$": {"type": "integer"}}, "additionalProperties": False})
    started = time.monotonic()
    assert validate({"a" * 2000 + "!": "x"}, type_)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("described", [
    {"type": "array", "uniqueItems": True, "items": {"type": "object"}}, {"type": "array", "items": {"anyOf": [{"const": i} for i in range(1000)]}},
    {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}},
])  # fmt: skip
def test_a_large_value_takes_bounded_time(described: Any) -> None:
    type_ = type_of(described)
    for count in (200, 3_000, 200_000):
        started = time.monotonic()
        with contextlib.suppress(ParseFailed):
            conform([{"a": i} for i in range(count)], type_)
        assert time.monotonic() - started < 8


def test_equal_items() -> None:
    type_ = type_of({"type": "array", "uniqueItems": True})
    assert validate([1, "1", {"a": 1}, {"a": 2}], type_)
    with pytest.raises(ParseFailed, match="equal items"):
        validate([{"a": 1, "b": 2}, {"b": 2, "a": 1}], type_)


def test_descriptions_are_short_and_hide_nothing() -> None:
    described = {"type": "object", "properties": {"a": {"type": "string", "title": "x\u200b\x1b[31m", "description": "very " * 1000}}}
    shown = schema(type_of(described))["properties"]["a"]
    assert len(shown["description"]) == 500 and shown["title"] == "x[31m"
    with pytest.raises(ToolUnfit, match="characters"):
        type_of({"enum": ["x" * 400_000]})
