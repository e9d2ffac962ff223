"""The result cache: an equal call is carried out once; those that ask meanwhile wait for that one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


class ResultCache:
    """Values by the content of the call that made them: function, arguments, model and sampling.

    Without a path it lives as long as the object; with one it is a SQLite file that any number of processes may share.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self._values: dict[str, bytes] = {}
        self._flying: dict[str, asyncio.Future[bytes | None]] = {}
        self._db: sqlite3.Connection | None = None
        if path is not None:
            from pathlib import Path

            from rookery.engine.sqlite import connect, mapped

            self._path = Path(path).expanduser()
            self._mapped = mapped
            with mapped(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._db = connect(self._path)
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("CREATE TABLE IF NOT EXISTS result (key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID")

    def get(self, key: str) -> bytes | None:
        """The value's canonical bytes, or None."""
        found = self._values.get(key)
        if found is None and self._db is not None:
            with self._mapped(self._path):
                row = self._db.execute("SELECT body FROM result WHERE key = ?", (key,)).fetchone()
            found = bytes(row[0]) if row else None
        return found

    def put(self, key: str, data: bytes) -> None:
        """Keep a value's canonical bytes."""
        if self._db is None:
            self._values[key] = data
            return
        with self._mapped(self._path):
            self._db.execute("INSERT OR REPLACE INTO result VALUES (?, ?)", (key, data))

    async def single(self, key: str, make: Callable[[], Awaitable[bytes]]) -> tuple[bytes, bool]:
        """The value of a key and whether it was there: from the cache, from whoever is making it now, or by ``make``.

        When the one who makes it fails or is cancelled, one of those who wait makes it in its place.
        """
        while True:
            found = self.get(key)
            if found is not None:
                return found, True
            flying = self._flying.get(key)
            if flying is None:
                break
            shared = await asyncio.shield(flying)
            if shared is not None:
                return shared, True
        future = self._flying[key] = asyncio.get_running_loop().create_future()
        data: bytes | None = None
        try:
            data = await make()
            self.put(key, data)
            return data, False
        finally:
            del self._flying[key]
            if not future.done():
                future.set_result(data)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
