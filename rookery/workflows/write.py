"""Data as YAML that people like to read: a call is a line where that fits, and texts of several lines stand under ``|``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rookery.workflows.compose import scalar

WIDTH = 120
_PLAIN = re.compile(r"[A-Za-z_$./](?:[\w$./+-]|:(?=[\w/]))*(?: [\w$./+-]+)*\Z")
_ODD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")


def write(data: Mapping[str, Any]) -> str:
    """A mapping as a YAML document; the entries of its mappings stand on lines of their own."""
    lines: list[str] = []
    for key, value in data.items():
        if isinstance(value, Mapping) and value and key != "limit":
            lines.append(f"{_key(key)}:")
            for name, inner in value.items():
                lines += _entry(name, inner, 2)
        elif isinstance(value, list) and value and (len(_flow(value)) > WIDTH or any(isinstance(item, Mapping) for item in value)):
            lines.append(f"{_key(key)}:")
            lines += [f"  - {_flow(item)}" for item in value]
        else:
            lines += _entry(key, value, 0)
    return "\n".join(lines) + "\n"


def _entry(name: str, value: Any, indent: int) -> list[str]:
    """A key with its value: on one line, or below it."""
    head = " " * indent + _key(name) + ":"
    if isinstance(value, str) and "\n" in value and _may_stand_below(value):
        return [f"{head} |{'' if value.endswith(chr(10)) else '-'}", *_below(value, indent + 2)]
    flow = _flow(value)
    if (len(head) + 1 + len(flow) <= WIDTH and not _has_lines(value)) or not value or not isinstance(value, Mapping | list):
        return [f"{head} {flow}"]
    if isinstance(value, list):
        return [f"{head}", *(f"{' ' * (indent + 2)}- {_flow(item)}" for item in value)]
    lines = [head]
    for key, inner in value.items():
        lines += _entry(key, inner, indent + 2)
    return lines


def _has_lines(value: Any) -> bool:
    if isinstance(value, str):
        return "\n" in value and _may_stand_below(value)
    if isinstance(value, Mapping):
        return any(_has_lines(inner) for inner in value.values())
    return False


def _may_stand_below(text: str) -> bool:
    """Whether a text comes back from under ``|`` as it was."""
    lines = text.split("\n")
    if text.endswith("\n"):
        lines.pop()
    return bool(lines[0]) and not lines[0].startswith((" ", "\t")) and bool(lines[-1].strip()) and not _ODD.search(text) and "\r" not in text


def _below(text: str, indent: int) -> Iterator[str]:
    for line in text.removesuffix("\n").split("\n"):
        yield " " * indent + line if line else ""


def _flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(key))}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return text(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return ".nan" if value != value else ".inf" if value > 0 else "-.inf"
    return repr(value)


def _key(name: str) -> str:
    return text(name)


def text(value: str) -> str:
    """A text on one line, in quotes where it needs them."""
    if _PLAIN.match(value) and isinstance(scalar(value), str) and len(value) < 200:
        return value
    return _ODD.sub(_escape, json.dumps(value, ensure_ascii=False))


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
