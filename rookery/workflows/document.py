"""A YAML text as nodes that know where they stand, and places in it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from rookery.workflows.fault import Fault, Place

MAX_BYTES = 4_000_000
"""Of a workflow's file; 10,000 calls take about one million."""


@dataclass(slots=True, eq=False)
class Node:
    """One value of the text: a scalar, a mapping or a list, and where it stands."""

    kind: Literal["scalar", "map", "list"]
    start: int
    """Offset of its first character; ``end`` is that behind its last."""
    end: int
    line: int
    """From 0 up, as ``column``."""
    column: int
    value: Any = None
    """Of a scalar: text, number, bool or None."""
    text: str = ""
    """Of a scalar: as it is written, without quotes."""
    style: str = ""
    """Of a scalar: ``'``, ``"``, ``|``, ``>`` or empty; of a mapping or list: ``flow`` or empty."""
    items: list[Node] = field(default_factory=list)
    """Of a list: its items; of a mapping: its values, in the order of ``keys``."""
    keys: list[Node] = field(default_factory=list)
    label: Node | None = None
    """The key that it is the value of."""
    size: int = 1
    """Nodes in it, itself included."""

    def get(self, name: str) -> Node | None:
        """The value of a key of a mapping."""
        for key, item in zip(self.keys, self.items, strict=True):
            if key.text == name:
                return item
        return None

    def key(self, name: str) -> Node | None:
        """A key itself."""
        return next((key for key in self.keys if key.text == name), None)

    def pairs(self) -> Iterator[tuple[Node, Node]]:
        """Keys and values in their order."""
        return zip(self.keys, self.items, strict=True)

    def data(self) -> Any:
        """The value as plain Python data."""
        if self.kind == "scalar":
            return self.value
        if self.kind == "list":
            return [item.data() for item in self.items]
        return {key.text: item.data() for key, item in self.pairs()}

    @property
    def noun(self) -> str:
        """What it is, in words."""
        if self.kind != "scalar":
            return {"map": "a mapping", "list": "a list"}[self.kind]
        names: dict[type, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "nothing"}
        return names[type(self.value)]


class Document:
    """A text with its root node; makes places in it."""

    def __init__(self, name: str, text: str, root: Node) -> None:
        self.name = name
        """Of the file, as it is shown."""
        self.text = text
        self.root = root

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.text))]

    def place(self, node: Node, *, start: int = -1, length: int = 0) -> Place:
        """Where a node stands, or a piece of a scalar's value; ``start`` counts from its first character, quotes not counted."""
        at, length = (node.start, node.end - node.start) if start < 0 else _inside(self.text, node, start, length)
        number = bisect_right(self._starts, at)
        before = self._starts[number - 1]
        line = self.text[before : self._starts[number] - 1 if number < len(self._starts) else len(self.text)].rstrip("\r")
        return Place(self.name, number, at - before + 1, max(1, min(length, before + len(line) - at)), line)


def _inside(text: str, node: Node, start: int, length: int) -> tuple[int, int]:
    """A piece of a scalar's value as a piece of the text. Exact for plain and quoted text on one line and for ``|``; else found by its words."""
    piece = node.text[start : start + length]
    if node.style in ("|", ">"):
        body = text[node.start : node.end]
        first, _, _ = body.partition("\n")
        done = node.text[:start]
        line = done.count("\n")
        column = start - (done.rfind("\n") + 1)
        lines = body.split("\n")[1:]
        indent = min((len(one) - len(one.lstrip(" ")) for one in lines if one.strip()), default=0)
        if node.style == "|" and line < len(lines):
            return node.start + len(first) + 1 + sum(len(one) + 1 for one in lines[:line]) + indent + column, max(1, length)
        found = body.find(piece, len(first)) if piece else -1
        return (node.start + found, length) if found >= 0 else (node.start, 1)
    at = node.start + (1 if node.style else 0) + start
    if piece and text[at : at + length] != piece:  # escapes or folded lines before it
        found = text.find(piece, node.start, node.end)
        return (found, length) if found >= 0 else (node.start, max(1, node.end - node.start))
    return at, max(1, length)


def place_of(name: str, text: str, start: int, length: int = 1) -> Place:
    """A stretch of a text as a place: at most to the end of its first line."""
    start = max(0, min(start, len(text)))
    before = text.rfind("\n", 0, start) + 1
    after = text.find("\n", start)
    line = text[before : after if after >= 0 else len(text)].rstrip("\r")
    return Place(name, text.count("\n", 0, start) + 1, start - before + 1, max(1, min(length, before + len(line) - start)), line)


def decoded(data: bytes, name: str) -> str | Fault:
    """A file's bytes as text, or why they are none: too many, no UTF-8, or with signs that YAML does not allow."""
    if len(data) > MAX_BYTES:
        head = data[:200].decode("utf-8", "replace").partition("\n")[0]
        message = f"the file has {len(data) / 1e6:,.1f} MB; a workflow has at most {MAX_BYTES / 1e6:,.0f} MB"
        return Fault(message, Place(name, 1, 1, 1, head), hint="put long texts into files of their own: prompt: file:section.md", kind="size")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        bad = data[: error.start].decode("utf-8", "replace")
        around = data[max(0, data.rfind(b"\n", 0, error.start) + 1) : error.start + 40].decode("utf-8", "replace").partition("\n")[0]
        place = Place(name, bad.count("\n") + 1, len(bad) - (bad.rfind("\n") + 1) + 1, 1, around)
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        return Fault(f"byte {data[error.start]:#04x} is no UTF-8" + ("; this looks like UTF-16" if wide else ""), place,
                     hint="save the file as UTF-8",
                     kind="encoding")  # fmt: skip
    odd = _NOT_PRINTABLE.search(text)
    if odd:
        message = f"the control character U+{ord(odd[0]):04X} can't stand in YAML"
        return Fault(message, place_of(name, text, odd.start()), hint='take it out, or write it as an escape in "double quotes"', kind="encoding")
    return text


_NOT_PRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
