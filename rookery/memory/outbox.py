"""From the store to the vector store: what is written is handed over later, in order, and waits while the vector store is down."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rookery.errors import RecallError, VectorsUnavailable
from rookery.memory.item import VectorStore
from rookery.memory.store import Store

_BATCH = 2_000
_AGAIN_S = 5.0
"""A store that did not answer is left alone for so long."""


class Outbox:
    """Hands vectors to a store on a thread of its own, with a connection of its own.

    :param open_store: makes the store's file open; called once, on the thread.
    """

    def __init__(self, vectors: VectorStore, open_store: Callable[[], Store]) -> None:
        self.vectors = vectors
        self.trouble = ""
        """Why the vector store could not be reached the last time; empty when it could."""
        self._open = open_store
        self._store: Store | None = None
        self._pool = ThreadPoolExecutor(1, "rookery-vectors")
        self._sent: list[str] = []
        self._guard = threading.Lock()
        self._draining: Future[int] | None = None
        self._not_before = 0.0

    def nearest(self, token: str, vector: NDArray[np.float32], k: int) -> Future[list[str]]:
        """Ask the vector store; the future raises VectorsUnavailable. It waits behind one batch of writes at most."""
        return self._pool.submit(self._nearest, token, vector, k)

    def _nearest(self, token: str, vector: NDArray[np.float32], k: int) -> list[str]:
        if self.trouble and time.monotonic() < self._not_before:
            raise VectorsUnavailable(self.trouble, hint="it is tried again in some seconds")
        try:
            return self.vectors.nearest(token, vector, k)
        except VectorsUnavailable as error:
            self._down(error)
            raise

    def drain(self) -> Future[int]:
        """Begin to hand over all that waits; the future tells how much was handed over. While it runs, this gives the same future."""
        if self._draining is None or self._draining.done():
            self._draining = Future()
            self._pool.submit(self._drain, self._draining, 0)
        return self._draining

    def take_sent(self) -> list[str]:
        """Ids that have been handed over since the last time."""
        with self._guard:
            sent, self._sent = self._sent, []
        return sent

    def close(self) -> None:
        """End the thread, and close the vector store; what waits stays in the file."""
        self._pool.submit(self._close).result()
        self._pool.shutdown(wait=True)

    # -------------------------------------------------------------- on the thread

    def _drain(self, done: Future[int], count: int) -> None:
        """One batch, then to the end of the queue again, so that searches get in between."""
        try:
            handed = self._batch()
        except VectorsUnavailable as error:
            self._down(error)
            done.set_exception(error)
        except BaseException as error:  # noqa: BLE001 - the one who waits gets it
            done.set_exception(error)
        else:
            self.trouble = ""
            if handed:
                self._pool.submit(self._drain, done, count + handed)
            else:
                done.set_result(count)

    def _batch(self) -> int:
        store = self._store = self._store or self._open()
        rows = store.rows("SELECT seq, token, uid, verb FROM outbox ORDER BY seq LIMIT ?", (_BATCH,))
        if not rows:
            return 0
        _, token, _, verb = rows[0]
        run = _leading(rows, token, verb)
        uids = [row[2] for row in run]
        if verb == "put":
            known = _bodies(store, uids)
            ids = list(known)
            if ids:
                self.vectors.put(token, ids, np.stack([np.frombuffer(known[uid], np.float16) for uid in ids]).astype(np.float32))
        else:
            self.vectors.drop(token, uids if all(uids) else None)
        for at in range(0, len(run), 500):
            with store.transaction() as db:
                db.executemany("DELETE FROM outbox WHERE seq = ?", [(row[0],) for row in run[at : at + 500]])
        with self._guard:
            self._sent.extend(uids)
        return len(run)

    def _down(self, error: RecallError) -> None:
        self.trouble = error.reason
        self._not_before = time.monotonic() + _AGAIN_S

    def _close(self) -> None:
        self.vectors.close()
        if self._store is not None:
            self._store.close()
            self._store = None


def _leading(rows: list[Any], token: str, verb: str) -> list[Any]:
    """The first rows that can go in one call: of one scope, all to put, or all to drop; dropping a whole scope goes alone."""
    found: list[Any] = []
    for row in rows:
        if (row[1], row[3]) != (token, verb) or (found and not (row[2] and found[0][2])):
            break
        found.append(row)
    return found


def _bodies(store: Store, uids: list[str]) -> dict[str, bytes]:
    """The vectors of those items that are still there."""
    found: dict[str, bytes] = {}
    for at in range(0, len(uids), 500):
        some = uids[at : at + 500]
        found |= dict(store.rows("SELECT item.uid, vector.body FROM item JOIN vector ON vector.item = item.id"
                                 f" WHERE item.uid IN ({','.join('?' * len(some))})", some))
    return found


def refill(store: Store) -> int:
    """Put all vectors into the outbox again, for a vector store that has lost them; how many."""
    with store.transaction() as db:
        db.execute("DELETE FROM outbox")
        db.execute("INSERT INTO outbox (token, uid, verb) SELECT scope.token, item.uid, 'put' FROM vector JOIN item ON item.id = vector.item"
                   " JOIN scope ON scope.id = item.scope WHERE item.live ORDER BY item.id")
        return int(db.execute("SELECT count(*) FROM outbox").fetchone()[0])


def put_aside(folder: Path) -> None:
    """Remove a vector store's folder that can't be read: it holds nothing that can't be built again."""
    shutil.rmtree(folder, ignore_errors=True)
