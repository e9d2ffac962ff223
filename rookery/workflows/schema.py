"""The JSON Schema of the format, made from the classes that the reader reads by: what an editor completes and underlines."""

from __future__ import annotations

import inspect
import json
from functools import cache
from importlib.resources import files
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from rookery.workflows import format as form
from rookery.workflows.read import Key, keys_of

ID = "https://json-schema.org/draft/2020-12/schema"
NAME = r"^[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*$"
FILE = "workflow.schema.json"


def schema() -> dict[str, Any]:
    """The schema, made anew."""
    writer = _Writer()
    whole = writer.object(form.Workflow)
    return {
        "$schema": ID, "title": "rookery workflow", "description": "A workflow of rookery: a typed graph of calls, as a file.", **whole,
        "$defs": dict(sorted(writer.definitions.items())),
    }  # fmt: skip


def published() -> str:
    """The schema as it ships with the package."""
    return files("rookery.workflows").joinpath(FILE).read_text(encoding="utf-8")


def written() -> str:
    """The schema as the text that is published."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


_SCALARS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"}, int: {"type": "integer"}, float: {"type": "number"}, bool: {"type": "boolean"}, type(None): {"type": "null"},
    form.Value: {"description": "A value, or $name of an input or a call ($name.field, $name[0])."}, form.Constant: {},
    form.Template: {"type": "string"}, form.Expression: {"type": ["string", "boolean"]},
}  # fmt: skip


class _Writer:
    """Writes classes as schemas; each once, under ``$defs``."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    def object(self, spec: type[form.Spec]) -> dict[str, Any]:
        """A mapping with the keys of a class, and no others."""
        keys = keys_of(spec)
        found: dict[str, Any] = {
            "type": "object", "additionalProperties": False, "properties": {name: self._key(key, spec) for name, key in keys.items()},
        }  # fmt: skip
        needed = [name for name, key in keys.items() if key.is_required]
        return {**found, "required": needed} if needed else found

    def _key(self, key: Key, spec: type[form.Spec]) -> dict[str, Any]:
        found = self.type(key.type)
        if key.at_least is not None:
            found = _bounded(found, key.at_least)
        default = spec.defaults.get(key.field)
        if isinstance(default, str | int | float):
            found = {**found, "default": default}
        return {**found, "description": key.words} if key.words else found

    def type(self, type_: Any) -> dict[str, Any]:
        """A type of the format."""
        if type_ is form.Name:
            return {"type": "string", "pattern": NAME}
        if type_ is form.TypeText:
            return self._named("Type", lambda: {"type": ["string", "null"], "description": _TYPES, "examples": _TYPE_EXAMPLES})
        if type_ is form.AnyCall:
            return self._named("Call", self._call)
        if type_ is form.AnyType:
            return self._named("OwnType", self._own_type)
        if type_ in _SCALARS:
            return dict(_SCALARS[type_])
        origin, args = get_origin(type_), get_args(type_)
        if origin is Literal:
            return {"enum": list(args)} if len(args) > 1 else {"const": args[0]}
        if origin in (Union, UnionType):
            return _any_of([self.type(one) for one in args])
        if origin is list:
            return {"type": ["array", "null"], "items": self.type(args[0])}
        if origin is dict:
            names = {"propertyNames": {"pattern": NAME}} if args[0] is form.Name else {}
            return {"type": ["object", "null"], **names, "additionalProperties": self.type(args[1])}
        if type_ is form.Plan:
            return self._named("Plan", self._plan)
        return self._named(type_.__name__, lambda: {"description": _doc(type_), **self.object(type_)})

    def _named(self, name: str, make: Any) -> dict[str, Any]:
        if name not in self.definitions:
            self.definitions[name] = {}  # it may refer to itself
            self.definitions[name] = make()
        return {"$ref": f"#/$defs/{name}"}

    def _call(self) -> dict[str, Any]:
        """A call: which keys it may have follows from the one that says what it is."""
        verbs = {verb: {"description": keys_of(spec)[verb].words} for verb, spec in form.CALLS.items()}
        rules = [{"if": {"required": [verb]}, "then": self.type(spec)} for verb, spec in form.CALLS.items()]
        return {
            "type": "object", "description": "One call; one of these keys says what it is.", "properties": verbs,
            "anyOf": [{"required": [verb]} for verb in form.CALLS], "allOf": rules,
        }  # fmt: skip

    def _own_type(self) -> dict[str, Any]:
        fields_ = {"type": "object", "minProperties": 1, "additionalProperties": _any_of([self.type(form.TypeText), self.type(form.Field)])}
        choices = {"type": "array", "items": {"type": ["string", "integer", "boolean"]}, "minItems": 1}
        return {"description": _TYPE, "anyOf": [fields_, choices, self.type(form.TypeText)]}

    def _plan(self) -> dict[str, Any]:
        """A planner with its own options beside the keys that all have."""
        from rookery.workflows.planning import planner_functions

        whole = self.object(form.Plan)
        rules = []
        for name, function in planner_functions().items():
            options = {key: self._option(hint, function, key) for key, hint in get_type_hints(function).items() if key != "return"}
            whole["properties"] = {**{key: {} for key in options if key not in whole["properties"]}, **whole["properties"]}
            known = {**dict.fromkeys(keys_of(form.Plan), True), **options}
            rules.append({"if": {"properties": {"planner": {"const": name}}}, "then": {"additionalProperties": False, "properties": known}})
        return {"description": _doc(form.Plan), **whole, "allOf": rules}

    def _option(self, hint: Any, function: Any, key: str) -> dict[str, Any]:
        default = inspect.signature(function).parameters[key].default
        found = self.type(hint)
        return {**found, "default": default} if isinstance(default, str | int | float | bool) else found


def _bounded(found: dict[str, Any], least: float) -> dict[str, Any]:
    """A schema whose numbers are at least so large."""
    if "anyOf" in found:
        return {**found, "anyOf": [_bounded(one, least) for one in found["anyOf"]]}
    kinds = found.get("type", ())
    is_number = bool({kinds} if isinstance(kinds, str) else set(kinds)) and bool(
        {"integer", "number"} & ({kinds} if isinstance(kinds, str) else set(kinds))
    )
    return {**found, "minimum": int(least) if float(least).is_integer() else least} if is_number else found


def _any_of(options: list[dict[str, Any]]) -> dict[str, Any]:
    """One of several; plain types as one list of types."""
    if all(set(one) == {"type"} for one in options):
        kinds: list[str] = []
        for one in options:
            kinds += one["type"] if isinstance(one["type"], list) else [one["type"]]
        return {"type": list(dict.fromkeys(kinds))}
    return {"anyOf": options}


def _doc(spec: type) -> str:
    return (spec.__doc__ or "").partition("\n")[0].strip()


_TYPES = "A type as Python writes it: str, int, float, bool, list[str], dict[str, int], Literal['a', 'b'], int | None, or a name of types:."
_TYPE = "Fields by name ({heading: str, sources: list[str]}), a list of choices ([warm, cold]), or another type's text."
_TYPE_EXAMPLES = ["str", "int", "float", "bool", "list[str]", "dict[str, str]", "str | None", "Literal['yes', 'no']"]


@cache
def parsed() -> Any:
    """The published schema as data."""
    return json.loads(published())
