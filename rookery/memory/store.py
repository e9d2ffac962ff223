"""The file of a memory: SQLite, the truth that all indexes are built from. Tables, opening, errors, and rows as items.

Under ``synchronous=NORMAL`` a commit survives ``kill -9`` at once and a power cut from the next checkpoint on; ``durable="power"`` syncs
every write. ``secure_delete`` overwrites what is deleted.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from rookery.core.label import Labels
from rookery.engine.sqlite import trouble
from rookery.errors import MemoryBusy, MemoryDamaged, MemoryFileError, MemoryFull, MemoryTooNew
from rookery.memory.item import Change, Item, Source

FORMAT = 1
FILE = "memory.db"
Durability = Literal["process", "power"]
_APPLICATION = 0x526F6F6D
"""Marks a SQLite file as a memory (``application_id``); its ``user_version`` holds the format."""
_TABLES = """
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE scope (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL, token TEXT UNIQUE NOT NULL);
CREATE TABLE item (
  id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT UNIQUE NOT NULL, scope INTEGER NOT NULL, live INTEGER NOT NULL DEFAULT 1, text TEXT NOT NULL,
  kind TEXT NOT NULL, subject TEXT NOT NULL, near TEXT NOT NULL, valid_from REAL NOT NULL, valid_to REAL NOT NULL, recorded_at REAL NOT NULL,
  confidence REAL NOT NULL, trust TEXT NOT NULL, labels TEXT NOT NULL, source TEXT NOT NULL, speaker TEXT NOT NULL, session TEXT NOT NULL,
  run TEXT NOT NULL, evidence INTEGER NOT NULL DEFAULT 1, links TEXT NOT NULL, successor TEXT NOT NULL DEFAULT ''
);
CREATE INDEX item_scope ON item (scope, id);
CREATE INDEX item_near ON item (near, scope);
CREATE INDEX item_subject ON item (scope, subject, valid_from) WHERE subject != '';
CREATE INDEX item_links ON item (scope) WHERE links != '';
CREATE INDEX item_successor ON item (successor) WHERE successor != '';
CREATE TABLE change (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, scope INTEGER NOT NULL, write INTEGER NOT NULL, at REAL NOT NULL, verb TEXT NOT NULL,
  item TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL
);
CREATE INDEX change_scope ON change (scope, seq);
CREATE INDEX change_item ON change (item);
CREATE TABLE vector (item INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE outbox (seq INTEGER PRIMARY KEY, token TEXT NOT NULL, uid TEXT NOT NULL, verb TEXT NOT NULL);
CREATE TABLE symbol (scope INTEGER NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, uid TEXT NOT NULL, PRIMARY KEY (scope, name, version))
  WITHOUT ROWID;
"""
FIELDS = ("uid, text, kind, subject, valid_from, valid_to, recorded_at, confidence, trust, labels, source, speaker, session, run, evidence, links,"
          " successor, id")


OF_SCOPE = "+scope"
"""Beside a list of ids: the plus keeps SQLite from walking through the scope's index instead (https://sqlite.org/optoverview.html, 4)."""


class Store:
    """One memory's file, for any number of processes on one machine.

    :raises MemoryDamaged: the file is no memory, or cannot be read.
    :raises MemoryTooNew: a newer rookery wrote it.
    :raises MemoryFull: it can't be written.
    """

    def __init__(self, folder: Path, *, durable: Durability = "process") -> None:
        self.folder = folder
        self.path = folder / FILE
        with mapped(self.path):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10.0)
            try:
                self._prepare(durable)
            except BaseException:
                self.db.close()
                raise
        self._last_at = 0.0

    def _prepare(self, durable: Durability) -> None:
        db = self.db
        if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            db.execute("PRAGMA page_size = 8192")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {'FULL' if durable == 'power' else 'NORMAL'}")
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA cache_size = -65536")
        application, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and application != _APPLICATION:
            raise MemoryDamaged(f"{self.path} is a SQLite file, but not a memory of rookery", path=str(self.path), hint="choose another folder")
        if version > FORMAT:
            raise MemoryTooNew(f"{self.path} was written by a newer rookery (format {version})", path=str(self.path), hint="upgrade rookery")
        if not tables:
            with self.transaction():
                if db.execute("PRAGMA user_version").fetchone()[0] == 0:  # another process may have been first
                    for statement in _TABLES.split(";"):
                        if statement.strip():
                            db.execute(statement)
                    db.execute(f"PRAGMA application_id = {_APPLICATION}")
                    db.execute(f"PRAGMA user_version = {FORMAT}")
        elif not {"item", "change", "scope"} <= tables:
            raise MemoryDamaged(f"tables are missing from {self.path}", path=str(self.path), hint="move the file away")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write, all or nothing; durable when it ends. One that is inside another is part of it."""
        if self.db.in_transaction:
            yield self.db
            return
        with mapped(self.path):
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
            except BaseException:
                with suppress(sqlite3.Error):
                    self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query."""
        with mapped(self.path):
            return self.db.execute(sql, values).fetchall()

    def close(self) -> None:
        """Give the file back; twice is fine."""
        self.db.close()

    def now(self, clock: float) -> float:
        """The clock's time, or a moment after the latest write when the clock went back: recorded times only grow."""
        row = self.db.execute("SELECT at FROM change ORDER BY seq DESC LIMIT 1").fetchone()
        last = max(row[0] if row else 0.0, self._last_at)
        self._last_at = clock if clock > last else last + max(1e-6, abs(last) * 1e-15)
        return self._last_at

    # -------------------------------------------------------------- facts of the file

    def fact(self, name: str) -> str:
        """One fact of the file; empty when it is not set."""
        found = self.rows("SELECT value FROM fact WHERE name = ?", (name,))
        return str(found[0][0]) if found else ""

    def set_fact(self, name: str, value: str) -> None:
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    # -------------------------------------------------------------- scopes and items

    def scopes(self) -> list[tuple[str, int]]:
        """The names of scopes, each with how many items it has."""
        return [(name, count) for name, count in self.rows(
            "SELECT scope.name, count(item.id) FROM scope LEFT JOIN item ON item.scope = scope.id AND item.live"
            " GROUP BY scope.id ORDER BY scope.name")]

    def scope(self, name: str, *, new: bool = False) -> tuple[int, str] | None:
        """The number and the token of a scope; made when ``new``. The token is drawn by chance, and is all that the vector store knows."""
        row = self.rows("SELECT id, token FROM scope WHERE name = ?", (name,))
        if row:
            return int(row[0][0]), str(row[0][1])
        if not new:
            return None
        with self.transaction() as db:
            db.execute("INSERT OR IGNORE INTO scope (name, token) VALUES (?, ?)", (name, secrets.token_hex(12)))
        return self.scope(name)

    def item(self, scope: str, uid: str) -> Item | None:
        """One item of a scope; None also for one of another scope."""
        return next(iter(self.items(scope, [uid])), None)

    def items(self, scope: str, uids: Sequence[str]) -> list[Item]:
        """Items of a scope in the order of the ids given; those that are not there are left out."""
        return [item for item, _ in self.with_successors(scope, uids)]

    def with_successors(self, scope: str, uids: Sequence[str]) -> list[tuple[Item, str]]:
        """As ``items``, each with the id of the item that replaced it."""
        known = self.scope(scope)
        if known is None:
            return []
        found: dict[str, tuple[Item, str]] = {}
        for at in range(0, len(uids), 500):
            some = uids[at : at + 500]
            sql = f"SELECT {FIELDS} FROM item WHERE uid IN ({','.join('?' * len(some))}) AND {OF_SCOPE} = ? AND live"
            found |= {row[0]: (item_of(row, scope), row[16]) for row in self.rows(sql, (*some, known[0]))}
        return [found[uid] for uid in uids if uid in found]

    def timeline(self, scope: str, subject: str) -> list[tuple[Item, str]]:
        """All items about a subject by the time from which they hold, each with the id of the one that replaced it."""
        known = self.scope(scope)
        if known is None or not subject:
            return []
        rows = self.rows(f"SELECT {FIELDS} FROM item WHERE scope = ? AND subject = ? AND live ORDER BY valid_from, id", (known[0], subject))
        return [(item_of(row, scope), row[16]) for row in rows]

    def changes(self, scope: str, *, write: int | None = None, item: str | None = None, limit: int = 1_000) -> list[Change]:
        """Changes of a scope, newest last; of one write, or of one item."""
        known = self.scope(scope)
        if known is None:
            return []
        where, values = "change.scope = ?", [known[0]]
        if write is not None:
            where, values = where + " AND write = ?", [*values, write]
        if item is not None:
            where, values = where + " AND change.item = ?", [*values, item]  # type: ignore[list-item]
        sql = ("SELECT write, at, verb, change.item, before, after, coalesce(item.text, '') FROM change LEFT JOIN item ON item.uid = change.item"
               f" WHERE {where} ORDER BY seq DESC LIMIT ?")
        rows = self.rows(sql, (*values, limit))
        return [Change(write, at, verb, uid, json.loads(before or "{}"), json.loads(after or "{}"), text)
                for write, at, verb, uid, before, after, text in reversed(rows)]

    # -------------------------------------------------------------- leaving no trace

    def wipe(self) -> bool:
        """Empty the write-ahead log, which may still hold what was deleted; False while another process reads from it."""
        with mapped(self.path):
            busy, _, _ = self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy


def item_of(row: Sequence[Any], scope: str) -> Item:
    """The item that a row of ``FIELDS`` holds."""
    (uid, text, kind, subject, valid_from, valid_to, recorded_at, confidence, trust, labels, source, speaker, session, run, evidence, links, *_) = row
    return Item(uid, scope, text, kind, subject, Source(source, speaker, session, run), valid_from, valid_to, recorded_at, confidence, trust,
                frozenset(labels.split()), evidence, tuple(links.split()))


def words_of(labels: Labels | Iterable[str]) -> str:
    """Labels or ids as one text."""
    return " ".join(sorted(labels))


def new_uid() -> str:
    """An id drawn by chance: 12 hex digits."""
    return os.urandom(6).hex()


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Errors of SQLite and of the file system as errors of memory."""
    try:
        yield
    except sqlite3.Error as error:
        raise _error(error, path) from error
    except OSError as error:
        raise MemoryFull(f"{path} cannot be opened: {error.strerror}", path=str(path), hint="choose a folder that can be written") from error


def _error(error: sqlite3.Error, path: Path) -> MemoryFileError:
    text, kind = str(error), trouble(error)
    if kind == "full":
        return MemoryFull(f"{path} cannot be written: {text}", path=str(path), hint="free some space; nothing acknowledged is lost")
    if kind == "locked":
        return MemoryBusy(f"{path} is locked by another process", path=str(path), hint="try again")
    return MemoryDamaged(f"{path} cannot be read: {text}", path=str(path), hint="`rookery memory reindex` saves what is sound in it")
