"""pydantic's schemas rewritten so that a value's JSON is canonical and gives the value back, and what cannot be.

Bytes are written as base64, infinities and NaN as constants, sets and the keys of mappings in a fixed order, a
``Sequence`` is a list, and ``Any`` takes plain JSON data only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic_core import CoreConfig, PydanticSerializationError

Schema = dict[str, Any]

CONFIG: CoreConfig = {
    "ser_json_bytes": "base64", "val_json_bytes": "base64", "ser_json_inf_nan": "constants",
    "ser_json_timedelta": "iso8601", "ser_json_temporal": "iso8601",
}  # fmt: skip
"""How pydantic writes what JSON has no form for; it overrides a model's own settings."""

_DATA = frozenset({"metadata", "config", "default", "default_factory", "cls", "expected", "members", "discriminator", "function", "ref"})
"""Keys of a schema that hold no schema."""
_EXACT = frozenset({"none", "bool", "int", "float", "str", "bytes", "date", "decimal", "uuid", "any"})
_HOLDING = frozenset({"list", "tuple", "set", "frozenset", "dict", "nullable", "default", "definitions"})
_JSON_KIND = {
    "none": "null", "bool": "bool", "int": "int", "float": "float", "str": "string", "bytes": "string", "date": "string", "decimal": "string",
    "uuid": "string", "list": "array", "tuple": "array", "set": "array", "frozenset": "array", "dict": "object",
}  # fmt: skip
_REFUSED = {
    "callable": "a function is no data",
    "is-subclass": "a class is no data",
    "generator": "an iterator can be read only once; use list[…]",
    "arguments": "a function is no data",
    "call": "a function is no data",
}


def _children(node: Schema) -> Iterator[tuple[str, Any]]:
    """The schemas directly below a node, each with the step of the path that leads there."""
    for key, value in node.items():
        if key in _DATA or key == "serialization":
            continue
        if isinstance(value, dict):
            if "type" in value and isinstance(value["type"], str):
                yield _STEPS.get(key, ""), value
            else:  # fields by name, choices by tag
                for name, item in value.items():
                    if isinstance(item, dict):
                        yield (f".{name}" if key == "fields" else ""), item
        elif isinstance(value, list):
            for item in value:
                schema = item[0] if isinstance(item, tuple) else item
                if isinstance(schema, dict):
                    yield (f".{schema['name']}" if key == "fields" and "name" in schema else _STEPS.get(key, "")), schema


_STEPS = {"items_schema": "[]", "values_schema": "[]", "keys_schema": "[key]", "extras_schema": ".*"}


def _read(node: Schema) -> Schema:
    """The part of a node that JSON is read with; pydantic has another one for Python objects."""
    if node["type"] == "json-or-python":
        return _read(node["json_schema"])
    return _read(node["lax_schema"]) if node["type"] == "lax-or-strict" else node


# ------------------------------------------------------------------ what cannot be written


def faults_of(node: Schema, path: str = "$") -> list[tuple[str, str]]:
    """What in a schema can never be written and read back, as (path, reason) pairs."""
    if _is_secret(node):
        return [(path, "a secret is masked when it is written")]
    kind = node["type"]
    if kind == "is-instance":
        return [(path, f"{getattr(node['cls'], '__name__', node['cls'])} is a class that pydantic has no schema for")]
    if kind in _REFUSED:
        return [(path, _REFUSED[kind])]
    if kind == "function-plain" and "serialization" not in node:
        return [(path, "only a validator says what it is, and nothing how it is written")]
    if kind == "union":
        return _faults_of_union(node, path)
    read = _read(node)
    if read is not node:
        return faults_of(read, path)
    found: list[tuple[str, str]] = []
    for step, below in _children(node):
        found += faults_of(below, path + step)
    return list(dict.fromkeys(found))


def _faults_of_union(node: Schema, path: str) -> list[tuple[str, str]]:
    """A union made by pydantic for Python objects may hold an instance check beside a way to read JSON."""
    each = [faults_of(choice[0] if isinstance(choice, tuple) else choice, path) for choice in node["choices"]]
    inner = node.get("custom_error_type") is not None and not all(each)
    return [] if inner else list(dict.fromkeys(fault for found in each for fault in found))


def _is_secret(node: Schema) -> bool:
    for key in ("serialization", "lax_schema"):
        part = node.get(key)
        if isinstance(part, dict):
            function = part.get("function")
            if getattr(function, "__name__", "").startswith("_serialize_secret") or (key == "lax_schema" and _is_secret(part)):
                return True
    return False


# ------------------------------------------------------------------ what always comes back


def is_exact(node: Schema) -> bool:
    """Whether every valid value of a schema comes back equal and of the same class, so that none need be compared."""
    kind = node["type"]
    if kind == "json-or-python" and _is_sequence(node):
        return is_exact(node["json_schema"])
    if "serialization" in node:
        return False
    if kind in _EXACT:
        return True
    if kind == "literal":
        return all(type(value) in (str, int, bool, type(None)) for value in node["expected"])
    if kind == "enum":
        return all(type(member.value) in (str, int) for member in node["members"])
    if kind == "union":
        return _is_exact_union(node)
    if kind == "dict" and node.get("keys_schema", {}).get("type") not in ("str", "int", "uuid"):
        return False
    if kind not in _HOLDING or "definitions" in node:
        return False
    return all(is_exact(below) for _, below in _children(node))


def _is_exact_union(node: Schema) -> bool:
    choices = [choice[0] if isinstance(choice, tuple) else choice for choice in node["choices"]]
    kinds = [_JSON_KIND.get(choice["type"]) for choice in choices]
    return None not in kinds and len(set(kinds)) == len(kinds) and all(is_exact(choice) for choice in choices)


# ------------------------------------------------------------------ rewriting


def rewritten(node: Any) -> Any:
    """A copy of a schema that writes canonical JSON and reads what it wrote."""
    if isinstance(node, list):
        return [rewritten(item) for item in node]
    if isinstance(node, tuple):
        return tuple(rewritten(item) for item in node)
    if not isinstance(node, dict):
        return node
    kind = node.get("type")
    if kind == "json-or-python" and _is_sequence(node):
        return rewritten(node["json_schema"])
    changed = {key: value if key in _DATA else rewritten(value) for key, value in node.items()}
    if kind in ("model", "dataclass", "typed-dict"):
        changed["config"] = {**(node.get("config") or {}), **CONFIG}
    order = _ORDERS.get(kind) if isinstance(kind, str) else None
    if order is not None and "serialization" not in node:
        changed["serialization"] = {"type": "function-plain" if kind == "any" else "function-wrap", "function": order}
    return changed


def _is_sequence(node: Schema) -> bool:
    function = node.get("serialization", {}).get("function")
    return node["json_schema"].get("type") == "list" and getattr(function, "__name__", "") == "serialize_sequence_via_list"


def _sorted_dict(value: Any, write: Callable[[Any], Any]) -> Any:
    written = write(value)
    return dict(sorted(written.items(), key=lambda item: str(item[0]))) if isinstance(written, dict) else written


def _sorted_set(value: Any, write: Callable[[Any], Any]) -> Any:
    return sorted(write(value), key=lambda item: json.dumps(item, sort_keys=True))


def _plain_json(value: Any) -> Any:
    """``Any`` as it may be written: what JSON gives back equal and of the same class."""
    kind = type(value)
    if kind in (str, int, float, bool, type(None)):
        return value
    if kind is list:
        return [_plain_json(item) for item in value]
    if kind is dict and all(type(key) is str for key in value):
        return {key: _plain_json(value[key]) for key in sorted(value)}
    what = "a dict whose keys are not all str" if kind is dict else f"a value of class {kind.__name__}"
    raise PydanticSerializationError(f"{what} typed Any would not come back as what it was")


_ORDERS: dict[str, Callable[..., Any]] = {
    "dict": _sorted_dict, "typed-dict": _sorted_dict, "set": _sorted_set, "frozenset": _sorted_set, "any": _plain_json,
}  # fmt: skip


# ------------------------------------------------------------------ comparing


_ATOMS = frozenset({str, int, float, bool, bytes, type(None)})


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal and of the same classes all the way down; NaN is the same as NaN."""
    kind = type(a)
    if kind is not type(b):
        return False
    if kind in _ATOMS:
        return bool(a == b or (a != a and b != b))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and _same_keys(a, b) and all(same(item, b[key]) for key, item in a.items())
    if isinstance(a, set | frozenset):
        return len(a) == len(b) and _same_keys(a, b)
    if hasattr(kind, "__pydantic_fields__") and hasattr(a, "__pydantic_extra__"):
        extra = (a.__pydantic_extra__, a.__pydantic_private__), (b.__pydantic_extra__, b.__pydantic_private__)
        return same(a.__dict__, b.__dict__) and (extra[0] == extra[1] == (None, None) or same(*extra))
    if is_dataclass(a):
        return all(same(getattr(a, field.name, None), getattr(b, field.name, None)) for field in fields(a))
    return bool(a == b or (a != a and b != b))


def _same_keys(a: Any, b: Any) -> bool:
    own: dict[Any, Any] | None = None
    for key in a:
        if key not in b:
            return False
        if type(key) is not str:
            own = own or {other: other for other in b}
            if not same(key, own[key]):
                return False
    return True
