"""Removing runs from a SQLite log without breaking a reference, and values of a label from runs that stay."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from rookery.core.event import from_wire, to_wire

_REFERENCE = re.compile(r'"([#@])([0-9a-f]{32})"')


def prune(db: sqlite3.Connection, numbers: Sequence[int], span: Callable[[int], tuple[int, int]]) -> int:
    """Remove runs by number and the values nobody refers to any more; gives the bytes freed. Runs inside a transaction."""
    for number in numbers:
        db.execute("DELETE FROM batch WHERE id >= ? AND id < ?", span(number))
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'inbox'").fetchone():
            db.execute("DELETE FROM inbox WHERE run = ?", (number,))
        db.execute("DELETE FROM run WHERE id = ?", (number,))
    needed = {bytes.fromhex(name) for name in _needed(db)}
    gone = [(identity, size) for identity, name, size in db.execute("SELECT id, hash, length(body) FROM value") if bytes(name) not in needed]
    db.executemany("DELETE FROM value WHERE id = ?", [(identity,) for identity, _ in gone])
    return sum(size for _, size in gone)


def missing(db: sqlite3.Connection) -> list[str]:
    """Hashes that some run refers to and that are not stored."""
    stored = {bytes(row[0]).hex() for row in db.execute("SELECT hash FROM value")}
    return sorted(set(_needed(db)) - stored)


def _needed(db: sqlite3.Connection) -> Iterator[str]:
    """Every hash that an event refers to, directly or through the lists it refers to."""
    seen: set[str] = set()
    for (body,) in db.execute("SELECT body FROM batch"):
        todo = [(mark, name) for mark, name in _REFERENCE.findall(body)]
        while todo:
            mark, name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            yield name
            if mark == "@":
                row = db.execute("SELECT body FROM value WHERE hash = ?", (bytes.fromhex(name),)).fetchone()
                if row is not None:
                    before, items = json.loads(row[0])
                    todo += ([("@", before)] if before else []) + [(item[0], item[1:]) for item in items if item[:1] in "#@"]


TOMBSTONE = "<forgotten>"
"""What stands for a text that was removed; a number that was removed is 0."""


def redact(db: sqlite3.Connection, label: str, words: str) -> tuple[set[int], int]:
    """Replace all values that carry a label, and all texts that have some words in them; the ids of the batches, and how many values.

    Types stay what they were, so that the runs can still be read; hashes stay too. Runs inside a transaction.
    """
    batches: set[int] = set()
    names: set[str] = set()
    for identity, body in db.execute("SELECT id, body FROM batch").fetchall():
        if label not in body and words not in body:
            continue
        lines = [_redacted_line(line, label, words, names) for line in body.split("\n")]
        if "\n".join(lines) != body:
            db.execute("UPDATE batch SET body = ? WHERE id = ?", ("\n".join(lines), identity))
        batches.add(identity)
    count = 0
    seen: set[str] = set()
    while names - seen:
        name = (names - seen).pop()
        seen.add(name)
        row = db.execute("SELECT body FROM value WHERE hash = ?", (bytes.fromhex(name),)).fetchone()
        if row is not None:
            db.execute("UPDATE value SET body = ? WHERE hash = ?", (_dump(_blank(json.loads(row[0]), names)), bytes.fromhex(name)))
            count += 1
    for identity, body in db.execute("SELECT id, body FROM value").fetchall():
        if words.encode() in bytes(body):
            db.execute("UPDATE value SET body = ? WHERE id = ?", (_dump(_without(json.loads(body), words)), identity))
            count += 1
    return batches, count


def _redacted_line(line: str, label: str, words: str, names: set[str]) -> str:
    """An event without the values of a label; the hashes of those that are stored are added to ``names``."""
    found = from_wire(line)
    if label in getattr(found, "labels", ()) and isinstance(getattr(found, "value", None), str):
        value = _blank_reference(found.value, names)  # type: ignore[attr-defined]
        line = line if value == found.value else to_wire(replace(found, value=value))  # type: ignore[attr-defined, call-arg]
    return _dump(_without(json.loads(line), words)).decode() if words in line else line


def _blank_reference(reference: str, names: set[str]) -> str:
    if reference[:1] in "#@":
        names.add(reference[1:])
    return "=" + _dump(_blank(json.loads(reference[1:]), names)).decode() if reference[:1] == "=" else reference


def _blank(value: Any, names: set[str]) -> Any:
    """Data with its texts and numbers taken out; references in it stay, and what they refer to is added to ``names``."""
    if isinstance(value, str):
        is_reference = re.fullmatch(r"[#@]?[0-9a-f]{32}", value) is not None
        if is_reference:
            names.add(value.lstrip("#@"))
        return value if is_reference or not value else _blank_reference(value, names) if value[0] == "=" else TOMBSTONE
    if isinstance(value, list):
        return [_blank(item, names) for item in value]
    if isinstance(value, dict):
        return {key: _blank(item, names) for key, item in value.items()}
    return 0 if isinstance(value, int | float) and not isinstance(value, bool) else value


def _without(value: Any, words: str) -> Any:
    """Data in which every text that has the words is replaced."""
    if isinstance(value, str):
        if words not in value:
            return value
        if value[:1] == "=":
            return "=" + _dump(_without(json.loads(value[1:]), words)).decode()
        return TOMBSTONE
    if isinstance(value, list):
        return [_without(item, words) for item in value]
    if isinstance(value, dict):
        return {key: _without(item, words) for key, item in value.items()}
    return value


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
