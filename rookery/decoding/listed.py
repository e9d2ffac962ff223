"""Monitors of plain text: the reply as a whole is of a language; or, after certain words, one of a list must follow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from rookery.decoding.constraint import Names
from rookery.decoding.monitor import Constraint, Cursor, Facts, Query, Steady

LOOK_BACK = 240
"""So many characters before the cursor are looked at."""


@dataclass(frozen=True, slots=True)
class Whole(Steady):
    """The reply from its first character to its last is of one language."""

    constraint: Constraint

    @property
    def triggers(self) -> str:
        return ""

    def wake(self, cursor: Cursor) -> Query | None:
        return Query("", cursor) if cursor.written == 0 else None

    def follow(self, query: Query, facts: Facts) -> Constraint | None:
        return self.constraint


@dataclass(frozen=True, slots=True)
class Listed(Steady):
    """Where the text before the cursor ends in ``after``, one of ``names`` follows, or of what an analyser knows under ``kind``.

    A name ends with one of ``ends``; or, where ``after`` has a group ``quote`` that matched, with what that matched.
    """

    after: str
    """A regular expression that ends in ``$``; its last character must be one of ``triggers``."""
    triggers: str
    names: tuple[str, ...] = ()
    kind: str = ""
    ends: str = '"'
    form: Literal["plain", "spaced", "json"] = "plain"
    """``spaced``: a space may stand before a name; ``json``: names stand in quotes, numbers also without, a space may stand before."""

    def wake(self, cursor: Cursor) -> Query | None:
        found = _compiled(self.after).search(cursor.before[-LOOK_BACK:])
        return Query(self.kind, cursor if not self.kind else Cursor(""), found.groupdict().get("quote") or "") if found else None

    def follow(self, query: Query, facts: Facts) -> Constraint | None:
        names = facts.names if self.kind else self.names
        ends = query.detail or self.ends
        usable = tuple(formed for name in names if name and not set(ends) & set(name) for formed in self._forms(name))
        return Names(usable, ends) if usable else None

    def _forms(self, name: str) -> tuple[str, ...]:
        if self.form == "plain":
            return (name,)
        forms = (name,) if self.form == "spaced" else (f'"{name}"', name) if name.removeprefix("-").isdecimal() else (f'"{name}"',)
        return (*forms, *(f" {form}" for form in forms))


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@dataclass(frozen=True, slots=True)
class ToolNames(Steady):
    """In a call written as JSON: the tool's name is one that exists, its arguments' names are its own, an enum's value is one of it."""

    tools: tuple[tuple[str, str], ...] = ()
    """Names, and the JSON Schemas of their arguments as texts."""
    kind: str = ""
    """Set where the tools are looked up anew each time: their names are facts."""
    name_keys: tuple[str, ...] = ("tool", "tool_name", "name", "function")
    argument_keys: tuple[str, ...] = ("arguments", "args", "input", "parameters", "params")

    @property
    def triggers(self) -> str:
        return '"'

    def wake(self, cursor: Cursor) -> Query | None:
        text = cursor.before
        if self._at_name(text):
            return Query(self.kind, Cursor("") if self.kind else cursor, "tool")
        if self.kind:
            return None
        found = self._at_argument(text)
        return Query("", cursor, found) if found else None

    def follow(self, query: Query, facts: Facts) -> Constraint | None:
        if query.detail != "tool":
            return Names(tuple(json.loads(query.detail)), '"')
        names = facts.names if self.kind else tuple(name for name, _ in self.tools)
        return Names(names, '"') if names else None

    def _at_name(self, text: str) -> bool:
        return re.search(rf'"(?:{"|".join(map(re.escape, self.name_keys))})"\s*:\s*"$', text[-LOOK_BACK:]) is not None

    def _at_argument(self, text: str) -> str:
        """What may follow as the name or the value of an argument, as a JSON list; empty when the cursor is at neither."""
        named = list(re.finditer(rf'"(?:{"|".join(map(re.escape, self.name_keys))})"\s*:\s*"([^"\\]*)"', text))
        offered = dict(self.tools)
        tool = next((found for found in reversed(named) if found[1] in offered), None)
        if tool is None:
            return ""
        arguments = json.loads(offered[tool[1]])
        inner = re.search(rf'"(?:{"|".join(map(re.escape, self.argument_keys))})"\s*:\s*\{{', text[tool.end() :])
        if inner is None:
            return ""
        path, is_key = json_place(text[tool.end() + inner.end() - 1 :])
        schema = _schema_at(arguments, path[:-1] if path and not is_key else path)
        properties = schema.get("properties") or {}
        if is_key:
            names = list(properties) if schema.get("additionalProperties") is not True else []
        else:
            names = [value for value in _enum(arguments, path) if isinstance(value, str)]
        return json.dumps(names) if names else ""


def json_place(text: str) -> tuple[list[str], bool]:
    """Where a JSON object's text ends: the fields on the way there, and whether a field's name has just begun.

    The text begins with ``{`` and ends with the ``"`` that opens a string. Items of lists are fields named ``*``.
    """
    path: list[str] = []
    kinds: list[str] = []
    key: str | None = None
    at, expects_key = 0, False
    while at < len(text):
        sign = text[at]
        if sign == '"':
            end = at + 1
            while end < len(text) and text[end] != '"':
                end += 2 if text[end] == "\\" else 1
            if end >= len(text):
                last = [key] if key is not None else ["*"] if kinds[-1:] == ["["] else []
                return path + last, expects_key
            if expects_key:
                key, expects_key = text[at + 1 : end], False
            at = end
        elif sign in "{[":
            if kinds:
                path.append(key if key is not None else "*")
            kinds.append(sign)
            key, expects_key = None, sign == "{"
        elif sign in "}]":
            kinds = kinds[:-1]
            path = path[:-1]
            key, expects_key = None, False
        elif sign == ",":
            key, expects_key = None, kinds[-1:] == ["{"]
        at += 1
    return path, expects_key


def _schema_at(schema: Mapping[str, Any], path: Sequence[str]) -> Mapping[str, Any]:
    """The schema of an object within an object; empty where there is none."""
    for name in path:
        inner = schema.get("items") if name == "*" else (schema.get("properties") or {}).get(name)
        if not isinstance(inner, dict):
            return {}
        schema = inner
    return schema


def _enum(schema: Mapping[str, Any], path: Sequence[str]) -> Sequence[Any]:
    found = _schema_at(schema, path)
    values = found.get("enum") or ([found["const"]] if "const" in found else ())
    return values if isinstance(values, list | tuple) else ()
