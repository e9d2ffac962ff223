"""The log in one SQLite file: WAL, group commit, values stored once by hash, a lease for each run, an inbox.

A batch of events is one row, in the same transaction as the values it refers to. Under ``synchronous=NORMAL`` a commit
survives ``kill -9`` at once and a power cut from the next checkpoint on; ``durable="power"`` syncs every group.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from rookery.core.event import VERSION, Event, RunFailed, RunFinished, RunResumed, RunStarted, from_wire, to_wire
from rookery.engine.log import MARKS, LogWriter, Message, RunInfo
from rookery.errors import LogCorrupt, LogError, LogFull, LogTooNew, RunBusy, RunUnknown

FORMAT = 1
"""The version of the file's layout."""
LEASE_S = 15.0
"""A writer on another machine that has not been heard of for so long is taken for dead."""
CHECKPOINT_BATCHES = 250
"""After so many commits a thread moves the write-ahead log into the file."""
_SHIFT = 40
_TABLES = """
CREATE TABLE IF NOT EXISTS run (
  id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, program TEXT NOT NULL DEFAULT '', state TEXT NOT NULL DEFAULT 'running',
  started_at REAL NOT NULL, changed_at REAL NOT NULL, parent TEXT NOT NULL DEFAULT '', owner TEXT NOT NULL DEFAULT '', beat REAL NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS batch (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS value (id INTEGER PRIMARY KEY, hash BLOB UNIQUE NOT NULL, body BLOB NOT NULL);
"""
_INBOX = "CREATE TABLE IF NOT EXISTS inbox (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, body TEXT NOT NULL)"
_LIVE = "CREATE TABLE IF NOT EXISTS live (run INTEGER NOT NULL, call TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (run, call)) WITHOUT ROWID"
_APPLICATION = 0x526F6F6B
"""Marks a SQLite file as a log (``application_id``); its ``user_version`` holds the formats of file and events."""


class SQLiteLog:
    """Runs in a SQLite file, for any number of processes on one machine: one writer a run, readers as many as like.

    Opening raises LogCorrupt for a file that is no log, LogTooNew for one of a newer rookery, LogFull where it can't be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, durable: Literal["process", "power"] = "process") -> None:
        self.path = Path(path).expanduser()
        self.durable = durable
        self._read: dict[int, tuple[int, int]] = {}
        """By run, how many events were read and in which batch the last of them was."""
        with mapped(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = connect(self.path)
            _prepare(self._db, self.path)

    def begin(self, run: str, *, new: bool) -> LogWriter:
        owner = _owner()
        now = time.time()
        with mapped(self.path), _transaction(self._db):
            row = self._db.execute("SELECT id, owner, beat FROM run WHERE name = ?", (run,)).fetchone()
            last = self._db.execute("SELECT max(id) FROM batch WHERE id >= ? AND id < ?", _span(row[0])).fetchone()[0] if row else None
            if row and row[1] and _lives(row[1], row[2], now):
                raise RunBusy(
                    f"run {run} is being written by {row[1]}", run=run, owner=row[1],
                    hint="wait for it, or talk to it: `rookery answer`, `pause`, `cancel`, `edit`",
                )
            if last is None and not new:
                raise RunUnknown(f"no run {run} in {self.path}", run=run, hint="`rookery runs` lists those there are")
            if last is not None and new:
                raise RunBusy(f"there is a run {run} already in {self.path}", run=run, hint="resume it, or choose another id")
            if row:  # also one whose process died before it wrote anything
                number = int(row[0])
                self._db.execute("UPDATE run SET owner = ?, beat = ? WHERE id = ?", (owner, now, number))
            else:
                cursor = self._db.execute(
                    "INSERT INTO run (name, started_at, changed_at, owner, beat) VALUES (?, ?, ?, ?, ?)", (run, now, now, owner, now)
                )
                number = int(cursor.lastrowid or 0)
        return _Writer(self, run, number, owner, (last or (number << _SHIFT)))

    def read(self, run: str, *, after: int = 0) -> list[Event]:
        with mapped(self.path):
            number = self._number(run)
        first, end = _span(number)
        known, last = self._read.get(number, (0, first))  # whoever follows a run reads only what is new
        if known > after:
            known, last = 0, first
        events: list[Event] = []
        try:
            for identity, body in self._db.execute("SELECT id, body FROM batch WHERE id > ? AND id < ? ORDER BY id", (last, end)):
                lines = body.split("\n")
                for line in lines[max(0, after - known) :]:
                    events.append(from_wire(line))
                known, last = known + len(lines), identity
        except (sqlite3.Error, LogCorrupt, LogTooNew) as error:
            fault = _error(error, self.path) if isinstance(error, sqlite3.Error) else error
            fault.path, fault.readable = str(self.path), events
            if fault is error:
                raise
            raise fault from error
        self._read[number] = known, last
        return events

    def get(self, name: str) -> bytes:
        with mapped(self.path):
            row = self._db.execute("SELECT body FROM value WHERE hash = ?", (bytes.fromhex(name),)).fetchone()
        if row is None:
            raise LogCorrupt(f"value {name} is missing from {self.path}", path=str(self.path), hint="the log is damaged; `rookery doctor` checks it")
        return bytes(row[0])

    def runs(self) -> list[RunInfo]:
        with mapped(self.path):
            rows = self._db.execute(
                "SELECT name, program, state, started_at, changed_at, parent, owner, beat FROM run WHERE program != ''"
                " ORDER BY started_at DESC, id DESC"
            ).fetchall()
        now = time.time()
        return [
            RunInfo(run, program, state, started, changed, parent, owner if owner and _lives(owner, beat, now) else "")
            for run, program, state, started, changed, parent, owner, beat in rows
        ]

    def post(self, run: str, message: Message) -> None:
        body = json.dumps([message.verb, message.place, message.value, message.by])
        with mapped(self.path):
            number = self._number(run)
            self._db.execute(_INBOX)
            self._db.execute("INSERT INTO inbox (run, body) VALUES (?, ?)", (number, body))

    def texts(self, run: str) -> dict[str, str]:
        with mapped(self.path):
            number = self._number(run)
            if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'live'").fetchone():
                return {}
            return dict(self._db.execute("SELECT call, body FROM live WHERE run = ?", (number,)).fetchall())

    def prune(self, runs: Sequence[str]) -> int:
        """Remove runs, and the values that no other run refers to; gives the bytes of values freed.

        Raises RunBusy for a run that is being written, RunUnknown for one that is not there; then nothing is removed.
        """
        from rookery.engine.prune import prune

        with mapped(self.path), _transaction(self._db):
            numbers = [self._number(run) for run in runs]
            now = time.time()
            for run, number in zip(runs, numbers, strict=True):
                owner, beat = self._db.execute("SELECT owner, beat FROM run WHERE id = ?", (number,)).fetchone()
                if owner and _lives(owner, beat, now):
                    raise RunBusy(f"run {run} is being written by {owner}", run=run, owner=owner, hint="cancel it first")
            self._read.clear()
            return prune(self._db, numbers, _span)

    def quoting(self, label: str, words: str) -> list[str]:
        """The runs with values that carry a label, or with some words in a text."""
        with mapped(self.path):
            found = {identity >> _SHIFT for (identity,) in self._db.execute(
                "SELECT id FROM batch WHERE instr(body, ?) OR instr(body, ?)", (label, words))}
            return [name for number, name in self._db.execute("SELECT id, name FROM run ORDER BY id") if number in found]

    def redact(self, label: str, words: str) -> tuple[list[str], int]:
        """Replace the values that carry a label, and the texts that have some words in them, by tombstones: which runs, how many values.

        What was there is overwritten in the file. Raises RunBusy while one of the runs is being written; then nothing is changed.
        """
        from rookery.engine.prune import redact

        with mapped(self.path):
            self._db.execute("PRAGMA secure_delete = ON")
            with _transaction(self._db):
                batches, count = redact(self._db, label, words)
                found = []
                now = time.time()
                for number in sorted({identity >> _SHIFT for identity in batches}):
                    run, owner, beat = self._db.execute("SELECT name, owner, beat FROM run WHERE id = ?", (number,)).fetchone()
                    if owner and _lives(owner, beat, now):
                        raise RunBusy(f"run {run} is being written by {owner}", run=run, owner=owner, hint="cancel it first")
                    found.append(run)
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return found, count

    def check(self) -> list[str]:
        """What is wrong with the file, a sentence each; empty when it is sound."""
        from rookery.engine.prune import missing

        with mapped(self.path):
            faults = [str(row[0]) for row in self._db.execute("PRAGMA integrity_check").fetchall() if row[0] != "ok"]
            return faults + [f"value {name} is referred to and missing" for name in missing(self._db)]

    def close(self) -> None:
        self._db.close()

    def _number(self, run: str) -> int:
        row = self._db.execute("SELECT id FROM run WHERE name = ?", (run,)).fetchone()
        if row is None:
            raise RunUnknown(f"no run {run} in {self.path}", run=run, hint="`rookery runs` lists those there are")
        return int(row[0])


class _Writer:
    def __init__(self, log: SQLiteLog, run: str, number: int, owner: str, last: int) -> None:
        self._log = log
        self._run = run
        self._number = number
        self._owner = owner
        self._last = last
        self._commits = 0
        self._beat = time.monotonic()
        self._checkpointing: threading.Thread | None = None
        self._version = -1
        self._seen = 0
        self._taken = 0
        self._pool: ThreadPoolExecutor | None = None
        self._has_shown = False
        with mapped(log.path):
            self._db = connect(log.path)
            self._db.execute("PRAGMA wal_autocheckpoint = 0")
            if log.durable == "power":
                self._db.execute("PRAGMA synchronous = FULL")
                self._pool = ThreadPoolExecutor(1, "rookery-log")
        self._closed = False

    def append(self, events: Sequence[Event], values: Sequence[tuple[str, bytes]]) -> Awaitable[None] | None:
        if self._pool is not None:
            return asyncio.get_running_loop().run_in_executor(self._pool, self._append, list(events), list(values))
        self._append(events, values)
        return None

    def _append(self, events: Sequence[Event], values: Sequence[tuple[str, bytes]]) -> None:
        db = self._db
        body = "\n".join([to_wire(event) for event in events])
        identity = self._last + 1
        marks = [event for event in events if type(event) in MARKS]
        try:
            if values or marks or self._taken:
                db.execute("BEGIN IMMEDIATE")
                if self._taken:  # the messages leave the inbox with the commit that holds what became of them
                    db.execute("DELETE FROM inbox WHERE run = ? AND id <= ?", (self._number, self._taken))
                    self._taken = self._seen = 0  # SQLite numbers the rows of an emptied table from 1 again
                if values:
                    db.executemany(
                        "INSERT OR IGNORE INTO value (hash, body) VALUES (?, ?)", [(bytes.fromhex(name), data) for name, data in values]
                    )
                db.execute("INSERT INTO batch (id, body) VALUES (?, ?)", (identity, body))
                for event in marks:
                    self._note(event)
                db.execute("COMMIT")
            else:
                db.execute("INSERT INTO batch (id, body) VALUES (?, ?)", (identity, body))
        except sqlite3.IntegrityError as error:
            self._rollback()
            raise RunBusy(f"another process writes run {self._run}", run=self._run, hint="this process has lost the run's lease") from error
        except sqlite3.Error as error:
            self._rollback()
            raise _error(error, self._log.path) from error
        self._last = identity
        self._commits += 1
        if self._commits % CHECKPOINT_BATCHES == 0:
            self._checkpoint()

    def _rollback(self) -> None:
        if self._db.in_transaction:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")

    def _note(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._db.execute(
                "UPDATE run SET program = ?, parent = ?, started_at = ?, changed_at = ? WHERE id = ?",
                (event.program, event.parent, event.at, event.at, self._number),
            )
        elif isinstance(event, RunFinished | RunFailed | RunResumed):
            state = {RunFinished: "finished", RunFailed: "failed", RunResumed: "running"}[type(event)]
            self._db.execute("UPDATE run SET state = ?, changed_at = ? WHERE id = ?", (state, event.at, self._number))

    def _checkpoint(self) -> None:
        if self._checkpointing is None or not self._checkpointing.is_alive():
            self._checkpointing = threading.Thread(target=_checkpoint, args=(self._log.path,), daemon=True)
            self._checkpointing.start()

    def inbox(self) -> list[Message]:
        if self._closed or self._db.in_transaction:
            return []
        try:
            if time.monotonic() - self._beat > LEASE_S / 3:
                self._beat = time.monotonic()
                self._db.execute("UPDATE run SET beat = ? WHERE id = ? AND owner = ?", (time.time(), self._number, self._owner))
            version = self._db.execute("PRAGMA data_version").fetchone()[0]
            if version == self._version:
                return []
            self._version = version
            if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'inbox'").fetchone():
                return []
            rows = self._db.execute("SELECT id, body FROM inbox WHERE run = ? AND id > ? ORDER BY id", (self._number, self._seen)).fetchall()
            if not rows:
                return []
            self._seen = self._taken = rows[-1][0]
        except sqlite3.OperationalError as error:
            if trouble(error) == "locked":
                return []
            raise _error(error, self._log.path) from error
        return [Message(*json.loads(body)) for _, body in rows]

    def show(self, texts: Mapping[str, str]) -> None:
        if self._pool is not None:
            self._pool.submit(self._show, texts)
        elif not self._closed:
            self._show(texts)

    def _show(self, texts: Mapping[str, str]) -> None:
        with suppress(sqlite3.Error):  # nobody loses anything but a glance
            self._db.execute(_LIVE)
            with _transaction(self._db):
                for call, text in texts.items():
                    if text:
                        self._db.execute("INSERT OR REPLACE INTO live (run, call, body) VALUES (?, ?, ?)", (self._number, call, text))
                    else:
                        self._db.execute("DELETE FROM live WHERE run = ? AND call = ?", (self._number, call))
            self._has_shown = True

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._pool is not None:
            self._pool.shutdown(wait=True)
        if self._checkpointing is not None:
            self._checkpointing.join()
        with suppress(sqlite3.Error):  # a full disk may not take even this; the lease then ends with the process
            self._db.execute("UPDATE run SET owner = '' WHERE id = ? AND owner = ?", (self._number, self._owner))
        if self._has_shown:
            with suppress(sqlite3.Error):
                self._db.execute("DELETE FROM live WHERE run = ?", (self._number,))
        with suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        self._db.close()


def connect(path: Path) -> sqlite3.Connection:
    """A connection set up as every connection to a log is."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
    db.execute("PRAGMA synchronous = NORMAL")
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        db.execute("PRAGMA page_size = 8192")
    db.execute("PRAGMA journal_mode = WAL")
    application, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and application != _APPLICATION:
        raise LogCorrupt(f"{path} is a SQLite file, but not a log of rookery", path=str(path), hint="choose another path for the log")
    layout, events = divmod(version, 1000)
    if layout > FORMAT or events > VERSION:
        raise LogTooNew(f"{path} was written by a newer rookery (format {layout}.{events})", path=str(path), hint="upgrade rookery")
    if not tables:
        with _transaction(db):
            for statement in _TABLES.split(";"):
                if statement.strip():
                    db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
            db.execute(f"PRAGMA user_version = {FORMAT * 1000 + VERSION}")


def _checkpoint(path: Path) -> None:
    with suppress(sqlite3.Error):  # the next one, or the close, catches up
        db = sqlite3.connect(path, timeout=1.0)
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        db.close()


def _span(number: int) -> tuple[int, int]:
    return number << _SHIFT, (number + 1) << _SHIFT


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Errors of SQLite and of the file system as errors of the log."""
    try:
        yield
    except sqlite3.Error as error:
        raise _error(error, path) from error
    except OSError as error:
        raise LogFull(f"{path} cannot be opened: {error.strerror}", path=str(path), hint="choose a folder that can be written") from error


def trouble(error: sqlite3.Error) -> Literal["full", "locked", "damaged"]:
    """What an error of SQLite says of its file: it cannot be written, others have it, or it cannot be read."""
    text = str(error)
    if "full" in text or "readonly" in text or "unable to open" in text or "disk I/O" in text:
        return "full"
    return "locked" if "locked" in text or "busy" in text else "damaged"


def _error(error: sqlite3.Error, path: Path) -> LogError:
    text, kind = str(error), trouble(error)
    if kind == "full":
        return LogFull(f"{path} cannot be written: {text}", path=str(path), hint="free some space and resume; nothing acknowledged is lost")
    if kind == "locked":
        return LogError(f"{path} is locked by another process", path=str(path), hint="try again")
    return LogCorrupt(f"{path} cannot be read: {text}", path=str(path), hint="move the file away; `rookery doctor` says what can be saved")


def _owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{_born(os.getpid())}"


def _born(pid: int) -> str:
    """When a process was started, as far as this system says; tells a process from a later one of the same number, and from its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return fields[19] if fields[0] not in "ZX" else "ended"
    except (OSError, IndexError):
        return "0"


def _lives(owner: str, beat: float, now: float) -> bool:
    host, _, rest = owner.partition(":")
    pid, _, born = rest.partition(":")
    if host != socket.gethostname() or not pid.isdigit() or os.name != "posix":
        return now - beat < LEASE_S
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _born(int(pid)) == born
