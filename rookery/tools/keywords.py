"""The keywords of JSON Schema (draft 2020-12): which of them hold schemas, and what each must be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

_TYPES = frozenset({"string", "integer", "number", "boolean", "null", "array", "object"})
_ONE_SCHEMA = ("items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else", "unevaluatedItems", "unevaluatedProperties")
_SCHEMAS = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED_SCHEMAS = ("properties", "patternProperties", "dependentSchemas")


def with_subschemas(schema: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """A copy of a schema in which each schema directly below it is changed."""
    changed = dict(schema)
    for key, value in schema.items():
        if key in _ONE_SCHEMA:
            changed[key] = change(value)
        elif key in _SCHEMAS and isinstance(value, list):
            changed[key] = [change(each) for each in value]
        elif key in _NAMED_SCHEMAS and isinstance(value, Mapping):
            changed[key] = {str(name): change(each) for name, each in value.items()}
    return changed


def faults_of(schema: Any, path: str = "$") -> Iterator[str]:
    """What in a schema without references is no JSON Schema, each with its path; only what a validator would trip over."""
    if not isinstance(schema, Mapping):
        if not isinstance(schema, bool):
            yield f"{path}: {str(schema)[:40]!r} is no schema"
        return
    for key, value in schema.items():
        kind = _KEYWORDS.get(key)
        if kind is not None and not _IS[kind](value):
            yield f"{path}.{key}: {str(value)[:40]!r} is no {kind}"
        elif key in _ONE_SCHEMA:
            yield from faults_of(value, f"{path}.{key}")
        elif key in _SCHEMAS:
            for index, below in enumerate(value):
                yield from faults_of(below, f"{path}.{key}[{index}]")
        elif key in _NAMED_SCHEMAS:
            for name, below in value.items():
                yield from faults_of(below, f"{path}.{key}.{name}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_type(value: Any) -> bool:
    kinds = value if isinstance(value, list) and value else [value]
    return all(isinstance(kind, str) and kind in _TYPES for kind in kinds)


_IS: Mapping[str, Callable[[Any], bool]] = {
    "type": _is_type,
    "number": _is_number,
    "number above 0": lambda value: _is_number(value) and value > 0,
    "count": lambda value: _is_number(value) and value >= 0 and (isinstance(value, int) or value.is_integer()),
    "truth value": lambda value: isinstance(value, bool),
    "text": lambda value: isinstance(value, str),
    "list": lambda value: isinstance(value, list),
    "list of texts": _is_texts,
    "list of schemas": lambda value: isinstance(value, list) and bool(value),
    "object of schemas": lambda value: isinstance(value, Mapping),
    "object of lists of texts": lambda value: isinstance(value, Mapping) and all(map(_is_texts, value.values())),
}
_KEYWORDS: Mapping[str, str] = {
    "type": "type", "enum": "list", "required": "list of texts", "uniqueItems": "truth value", "pattern": "text", "format": "text",
    "multipleOf": "number above 0", **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), "number"),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"), "count"),
    **dict.fromkeys(_SCHEMAS, "list of schemas"), **dict.fromkeys(_NAMED_SCHEMAS, "object of schemas"),
    "dependentRequired": "object of lists of texts",
}  # fmt: skip
