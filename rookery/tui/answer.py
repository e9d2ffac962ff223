"""From the words of a person to the data that a question's JSON Schema takes, and what a schema asks for in words."""

from __future__ import annotations

import json
from typing import Any

from rookery.core.event import QuestionAsked
from rookery.errors import InputError

_NOT: Any = object()
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "array": (list,), "object": (dict,), "null": (type(None),),
}
_WORDS = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}


def expected(schema: dict[str, Any]) -> str:
    """What a JSON Schema asks for, in a few words."""
    if "enum" in schema:
        return " or ".join(str(option) for option in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(expected(option) for option in schema["anyOf"]))
    names = {"boolean": "yes or no", "string": "text", "integer": "a whole number", "number": "a number", "null": "null"}
    kind = str(schema.get("type", ""))
    return names.get(kind, f"JSON: {kind}" if kind else "JSON")


def options(schema: dict[str, Any]) -> list[Any]:
    """The few answers that a schema takes; empty when there are many."""
    if schema.get("type") == "boolean":
        return [True, False]
    return list(schema.get("enum", [schema["const"]] if "const" in schema else []))


def answer_of(text: str, asked: QuestionAsked) -> Any:
    """A word as the JSON data that a question's schema takes. Raises InputError when it plainly is none."""
    schema = asked.schema
    data = plain_json(text)
    if data is None and text.strip() != "null":
        data = text
    for candidate in (data, text):
        taken = _taken(candidate, schema)
        if taken is not _NOT:
            return taken
    raise InputError(f"{asked.call} asks for {expected(schema)}, and {text!r:.60} is not that", hint=f"the question: {asked.question}")


def _taken(data: Any, schema: dict[str, Any]) -> Any:
    """The data as a schema takes it, looking at its top only: the run itself checks the rest."""
    if "anyOf" in schema:
        return next((taken for option in schema["anyOf"] if (taken := _taken(data, option)) is not _NOT), _NOT)
    if "enum" in schema or "const" in schema:
        return data if data in schema.get("enum", [schema.get("const")]) else _NOT
    kind = schema.get("type")
    if kind == "boolean":
        return data if isinstance(data, bool) else _WORDS.get(str(data).strip().lower(), _NOT)
    if kind not in _KINDS:
        return data
    return data if isinstance(data, _KINDS[kind]) and not isinstance(data, bool) else _NOT


def plain_json(text: str) -> Any:
    """The text as JSON data; None when it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None
