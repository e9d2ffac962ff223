"""What is sound in a damaged file, saved into a new one; the damaged one is kept beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from rookery.memory.store import FILE, Store

_KEYS = {"fact": "name", "scope": "id", "item": "id", "change": "seq", "vector": "item", "outbox": "seq", "symbol": "scope"}
_STEP = 256


def rescue(folder: Path) -> str | None:
    """Move the file away and copy what can be read of it into a new one; a sentence on what was saved.

    None when there is no file, or it is not a memory's that is damaged but something else (another program's file, a newer memory).
    """
    path = folder / FILE
    if not path.exists() or not _is_ours(path):
        return None
    aside = next(place for number in range(1, 1_000_000) if not (place := folder / f"{FILE}.damaged-{number}").exists())
    for ending in ("", "-wal", "-shm"):
        part = path.with_name(path.name + ending)
        if part.exists():
            part.rename(aside.with_name(aside.name + ending))
    counts = _copy(aside, folder)
    return f"{counts['item']} items and {counts['change']} changes were saved into a new file, the damaged one is {aside.name}"


def _is_ours(path: Path) -> bool:
    """Whether a file that can't be used was a memory: not a sound file of something else, and not a newer rookery's."""
    try:
        db = sqlite3.connect(path, timeout=1.0)
        try:
            application, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
            tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
        finally:
            db.close()
    except sqlite3.DatabaseError as error:
        return "locked" not in str(error)
    return (application in (0x526F6F6D, 0) and version <= 1) if not tables or "item" in tables else False


def _copy(damaged: Path, folder: Path) -> dict[str, int]:
    store = Store(folder)
    counts = dict.fromkeys(_KEYS, 0)
    try:
        old = sqlite3.connect(damaged, timeout=1.0)
        with suppress(sqlite3.Error):
            old.execute("PRAGMA writable_schema = ON")
        for table, key in _KEYS.items():
            with store.transaction() as db:
                for row in _rows(old, table, key):
                    with suppress(sqlite3.Error):
                        db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({','.join('?' * len(row))})", row)
                        counts[table] += 1
        old.close()
    finally:
        store.close()
    return counts


def _rows(db: sqlite3.Connection, table: str, key: str) -> Iterator[Any]:
    """Rows that can be read: all at once, or around the places that can't."""
    try:
        yield from db.execute(f"SELECT * FROM {table} NOT INDEXED").fetchall()
        return
    except sqlite3.Error:
        pass
    if key in ("name", "scope"):
        return
    try:
        last = db.execute(f"SELECT max({key}) FROM {table} NOT INDEXED").fetchone()[0] or 0
    except sqlite3.Error:
        last = _last(db, table)
    for first in range(0, last + 1, _STEP):
        try:
            yield from db.execute(f"SELECT * FROM {table} NOT INDEXED WHERE {key} >= ? AND {key} < ?", (first, first + _STEP)).fetchall()
        except sqlite3.Error:
            for number in range(first, first + _STEP):
                with suppress(sqlite3.Error):
                    yield from db.execute(f"SELECT * FROM {table} NOT INDEXED WHERE {key} = ?", (number,)).fetchall()


def _last(db: sqlite3.Connection, table: str) -> int:
    try:
        return int(db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()[0])
    except (sqlite3.Error, TypeError):
        return 0
