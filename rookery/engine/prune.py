"""Removing runs from a SQLite log without breaking a reference: what some run still needs stays."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence

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
