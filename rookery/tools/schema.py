"""From JSON Schema to the types of a tool's parameters: others describe their tools by schemas, and a wrong value gets its faults back."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from rookery.core.graph import MISSING, Param
from rookery.errors import ParseFailed, ToolUnfit
from rookery.tools.intake import plain_text
from rookery.tools.keywords import faults_of, with_subschemas

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

MAX_NODES = 5_000
"""A schema with its references followed has at most so many objects; what is below that reads as anything."""
MAX_DEPTH = 40
MAX_CHARS = 300_000
MAX_WORDS = 500
"""Characters of one description."""
MAX_WORK = 50_000
"""The parts of a schema times those of a value; larger ones are left to the server."""
REPEATS = 1
"""What a schema says of itself is followed so often within itself."""
MAX_FAULTS = 10
MAX_MEMBERS = 20
"""A union of more types is Any, and left to the schema."""
LARGE = 10_000
"""The faults of values with more parts are not listed: there may be millions."""
_SHOWN = 200
_SCALARS: Mapping[str, Any] = {"string": str, "integer": int, "number": int | float, "boolean": bool, "null": NoneType}
_DROPPED = frozenset({"$ref", "$id", "$schema", "$anchor", "$defs", "definitions", "$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$vocabulary"})


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """Annotates a type with the schema that its values satisfy and by which a model is told of it; without references."""

    text: str
    """The schema as canonical JSON, so that equal types are equal."""
    is_optional: bool = False
    """None stands for a value that is not given, and is not sent."""

    def __get_pydantic_core_schema__(self, source: Any, make: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self._checked, make(source))

    def __get_pydantic_json_schema__(self, core: Any, make: Any) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.text)
        return shown

    def _checked(self, value: Any) -> Any:
        if value is None and self.is_optional:
            return value
        if _size(value, MAX_WORK // _cost(self.text)) is None:
            return value  # a server's schema may not keep us busy; its own check has the last word
        faults = [f"{error.json_path}: {error.message[:_SHOWN]}" for error in islice(_checker(self.text).iter_errors(value), MAX_FAULTS)]
        if faults:
            raise ValueError("; ".join(faults))
        return value

    def __repr__(self) -> str:
        return "JsonSchema"


@lru_cache(maxsize=1024)
def _cost(text: str) -> int:
    """The parts of a schema: for each part of a value so many may have to be looked at."""
    return _size(json.loads(text), 10 * MAX_NODES) or 10 * MAX_NODES


def _size(value: Any, most: int) -> int | None:
    """How many values there are in JSON data, itself included; None when there are more than ``most``."""
    count, level = 0, [value]
    while level:
        count += len(level)
        if count > most:
            return None
        level = [item for each in level if isinstance(each, dict | list) for item in (each.values() if isinstance(each, dict) else each)]
    return count


@lru_cache(maxsize=1024)
def _checker(text: str) -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    return extend(Draft202012Validator, {"pattern": _pattern, "uniqueItems": _unique})(_without_named_patterns(json.loads(text)))


def _without_named_patterns(schema: Any) -> Any:
    """Names of properties are not matched against patterns, which could take for ever; then what is left over is not known either."""
    if not isinstance(schema, Mapping):
        return schema
    dropped = ("patternProperties", "additionalProperties", "unevaluatedProperties") if "patternProperties" in schema else ()
    return with_subschemas({key: value for key, value in schema.items() if key not in dropped}, _without_named_patterns)


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[Any]:
    """Patterns come from others; those that cannot be matched in linear time are left to the server."""
    from jsonschema.exceptions import ValidationError

    try:
        matches = not isinstance(value, str) or matcher(pattern)(value)
    except ToolUnfit:
        return
    if not matches:
        yield ValidationError(f"{value[:_SHOWN]!r} does not match {pattern!r}")


def _unique(_: Any, wanted: bool, value: Any, __: Any) -> Iterator[Any]:
    """By their text, so that many items take no time that grows with their square."""
    from jsonschema.exceptions import ValidationError

    if wanted and isinstance(value, list):
        seen = {json.dumps(item, sort_keys=True, default=repr) for item in value}
        if len(seen) < len(value):
            yield ValidationError("it has equal items")


@lru_cache(maxsize=1024)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a pattern matches somewhere in a text, in time linear in the text whoever wrote the pattern.

    The syntax is that of Rust's ``regex``: no look-around, no back-references. Raises ToolUnfit for what is none of it.
    """
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex", strict=True)).isinstance_python
    except SchemaError as error:
        raise ToolUnfit(f"{pattern!r:.100} is no pattern: {' '.join(str(error).split())[:300]}") from error


# ------------------------------------------------------------------ one type


def type_of(schema: Mapping[str, Any] | bool, *, root: Any = None, is_optional: bool = False) -> Any:
    """The type whose values satisfy a schema: a Python type as near as there is one, annotated with the schema itself.

    References (``#/…``) are followed in ``root``; a schema within itself within itself, a reference to elsewhere and what is
    beyond MAX_NODES read as anything. Raises ToolUnfit when it is no JSON Schema (draft 2020-12).
    """
    plain = _readable(inlined(schema, root=schema if root is None else root))
    fault = next(faults_of(plain), "")
    if fault:
        raise ToolUnfit(f"not a JSON Schema: {fault}")
    try:
        text = json.dumps(plain, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ToolUnfit(f"not a JSON Schema: {error}") from error
    if len(text) > MAX_CHARS:
        raise ToolUnfit(f"its schema has {len(text)} characters, more than {MAX_CHARS}")
    base = python_type(plain)
    if plain is True or plain == {}:
        return base
    return Annotated[base | None if is_optional else base, JsonSchema(text, is_optional)]


def _readable(schema: Any) -> Any:
    """A schema whose descriptions, which others wrote and a model reads, are short and hide nothing."""
    if not isinstance(schema, Mapping):
        return schema
    words = {key: plain_text(schema[key], MAX_WORDS) for key in ("title", "description") if isinstance(schema.get(key), str)}
    return with_subschemas({**schema, **words}, _readable)


def python_type(schema: Any) -> Any:
    """The Python type nearest to a schema without references; Any where there is none."""
    if not isinstance(schema, Mapping):
        return Any
    if "const" in schema:
        return _literal([schema["const"]])
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return _literal(schema["enum"])
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list) and schema[key] and "properties" not in schema:
            return _union([python_type(each) for each in schema[key]])
    if isinstance(schema.get("allOf"), list) and len(schema["allOf"]) == 1 and "type" not in schema:
        return python_type(schema["allOf"][0])
    kind = schema.get("type", "object" if "properties" in schema else None)
    if isinstance(kind, list):
        return _union([python_type({**schema, "type": each}) for each in kind])
    if kind == "array":
        items = schema.get("items")
        return list[python_type(items)] if isinstance(items, Mapping) and "prefixItems" not in schema else list[Any]  # type: ignore[misc]
    if kind == "object":
        more = schema.get("additionalProperties")
        return dict[str, python_type(more)] if isinstance(more, Mapping) and not schema.get("properties") else dict[str, Any]  # type: ignore[misc]
    return _SCALARS.get(str(kind), Any)


def _literal(values: Sequence[Any]) -> Any:
    if all(isinstance(value, str | int | bool | NoneType) for value in values):
        return Literal[tuple(values)]
    return Any


def _union(types: Sequence[Any]) -> Any:
    return Any if Any in types or not 0 < len(types) <= MAX_MEMBERS else Union[tuple(dict.fromkeys(types))]  # noqa: UP007


def is_large(value: Any) -> bool:
    """Whether JSON data has more parts than faults should be listed of."""
    return _size(value, LARGE) is None


def conform(value: Any, type_: Any) -> Any:
    """JSON data of others as its type says. Raises ParseFailed; without the single faults where they could be too many."""
    from rookery.core.types import adapter, name_of, validate

    if is_large(value) and not adapter(type_).validator.isinstance_python(value):
        raise ParseFailed(f"not a value of type {name_of(type_)}", faults=[("$", "it is large, and not what it should be")])
    return validate(value, type_)


# ------------------------------------------------------------------ references


def inlined(schema: Any, *, root: Any) -> Any:
    """A copy of a schema in which each reference is replaced by what it names, so that it stands for itself."""
    return _Inlining(root).copy(schema, ())


def lookup(root: Any, pointer: str) -> Any:
    """What a JSON pointer of the form ``#/a/b`` names (RFC 6901). Raises KeyError when there is nothing."""
    found = root
    for step in pointer.removeprefix("#").split("/")[1:]:
        step = _unescaped(step)
        if isinstance(found, Mapping) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isascii() and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            raise KeyError(pointer)
    return found


def _unescaped(step: str) -> str:
    from urllib.parse import unquote

    return unquote(step).replace("~1", "/").replace("~0", "~")


class _Inlining:
    def __init__(self, root: Any) -> None:
        self.root = root
        self.nodes = 0

    def copy(self, schema: Any, seen: tuple[str, ...], depth: int = 0) -> Any:
        self.nodes += 1
        if not isinstance(schema, Mapping):
            return schema
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            return {}
        if isinstance(schema.get("$ref"), str):
            return self._followed(schema, seen, depth)
        kept = {str(key): value for key, value in schema.items() if key not in _DROPPED}
        return with_subschemas(kept, lambda below: self.copy(below, seen, depth + 1))

    def _followed(self, schema: Mapping[str, Any], seen: tuple[str, ...], depth: int) -> Any:
        pointer = schema["$ref"]
        beside = {key: value for key, value in schema.items() if key != "$ref" and key not in _DROPPED}
        try:
            target = {} if seen.count(pointer) > REPEATS or not pointer.startswith("#") else lookup(self.root, pointer)
        except KeyError:
            target = {}
        found = self.copy(target, (*seen, pointer), depth + 1)
        if not beside or not isinstance(found, Mapping):
            return found
        described = {key: beside.pop(key) for key in ("description", "title", "default", "examples", "deprecated") if key in beside}
        extra = self.copy(beside, seen, depth + 1)
        return {**found, **described} if not extra else {"allOf": [found, extra], **described}


# ------------------------------------------------------------------ parameters


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a tool that others describe, and how each is called there."""

    params: Mapping[str, Param]
    wire: Mapping[str, str]
    """From our name of a parameter, which is an identifier, to theirs."""

    def sent(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by their names there, without those that were not given."""
        return {
            self.wire[name]: value for name, value in arguments.items()
            if value is not None or self.params[name].default is MISSING
        }


def parameters(schema: Any) -> Parameters:
    """The parameters that an object's schema describes, the required ones first. Raises ToolUnfit when it describes no object."""
    if not isinstance(schema, Mapping) or schema.get("type", "object") != "object" or not isinstance(schema.get("properties", {}), Mapping):
        raise ToolUnfit("the schema of its arguments does not describe an object")
    required = schema.get("required", [])
    if not isinstance(required, list):
        raise ToolUnfit("'required' in the schema of its arguments is not a list")
    properties = dict(schema.get("properties", {}))
    ordered = [name for name in properties if name in required] + [name for name in properties if name not in required]
    params: dict[str, Param] = {}
    wire: dict[str, str] = {}
    for theirs in ordered:
        ours = identifier(theirs, taken=params)
        is_required = theirs in required
        try:
            type_ = type_of(properties[theirs], root=schema, is_optional=not is_required)
        except ToolUnfit as fault:
            raise ToolUnfit(f"parameter {theirs!r:.80}: {fault.reason}") from fault
        params[ours] = Param(ours, type_, MISSING if is_required else None)
        wire[ours] = theirs
    return Parameters(params, wire)


def identifier(name: str, *, taken: Mapping[str, Any] | None = None) -> str:
    """A name as a Python identifier of at most 64 characters that is not taken yet."""
    found = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[:60] or "value"
    if found[0].isdigit() or keyword.iskeyword(found):
        found = f"_{found}" if found[0].isdigit() else f"{found}_"
    made, number = found, 1
    while taken and made in taken:
        number += 1
        made = f"{found}_{number}"
    return made
