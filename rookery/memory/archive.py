"""All that is open of one memory's folder, for all scopes: the store, the shelves, the outbox, and the thread that they are used on."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from rookery.errors import EmbedderMismatch, IndexFull, MemoryDamaged, VectorsUnavailable
from rookery.index.index import best
from rookery.memory import outbox, recover
from rookery.memory.chroma import ChromaVectors
from rookery.memory.item import VectorStore
from rookery.memory.outbox import Outbox
from rookery.memory.shelf import Shelf
from rookery.memory.store import OF_SCOPE, Durability, Store

P = ParamSpec("P")
T = TypeVar("T")
SHELVES = 1_024
"""So many scopes are kept ready; the one that was used longest ago goes first."""
SAVED = 2_000
"""Shelves of at least so many items are saved; smaller ones are built from the store in less time than a look at a file is worth."""
EMBED_AT_ONCE = 512
SEND_AT = 1_024
"""So many vectors are collected before the vector store gets them; until then they are compared one by one."""
EXACT = 16_384
"""Up to so many vectors are compared one by one, which takes some milliseconds and misses none; above, the vector store is asked."""
WAIT_S = 0.2
"""A vector store that takes longer, because it still opens its files or is far away, is not waited for: words find the candidates."""
SCOPE_FOLDER, VECTOR_FOLDER = "shelves", "vectors"


@dataclass(slots=True)
class Ready:
    """A shelf that is as new as the store, and what it still lacks."""

    shelf: Shelf
    token: str
    waiting: list[tuple[str, str]]
    """Ids and texts that have no vector yet, the newest first; at most ``EMBED_AT_ONCE``."""


class Archive:
    """One folder. All its methods are called on its thread, through ``do``; one at a time, so nothing is locked.

    Opening raises what :class:`Store` does; a file that is damaged is replaced by what is sound in it first, and ``repairs`` says so.
    """

    def __init__(self, folder: Path, *, vectors: VectorStore | str | None, durable: Durability) -> None:
        self.folder = folder
        self.users = 0
        self.repairs: list[str] = []
        self._durable = durable
        self.store = self._open()
        self.shelves: OrderedDict[str, tuple[Shelf, str]] = OrderedDict()
        self.unsent: dict[str, set[str]] = {}
        self._pool = ThreadPoolExecutor(1, "rookery-memory")
        self.outbox = Outbox(self._vector_store(vectors), lambda: Store(folder, durable=durable))

    def _open(self) -> Store:
        try:
            return Store(self.folder, durable=self._durable)
        except MemoryDamaged as error:
            report = recover.rescue(self.folder)
            if report is None:
                raise
            self.repairs.append(f"{error.reason}; {report}")
            return Store(self.folder, durable=self._durable)

    def _vector_store(self, given: VectorStore | str | None) -> VectorStore:
        if given is None or isinstance(given, str):
            return ChromaVectors(given or self.folder / VECTOR_FOLDER)
        return given

    async def do(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call something on the archive's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: self._sound(call, *args, **kwargs))

    def _sound(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The call; where the file turns out to be damaged, once more on what is sound in it."""
        try:
            return call(*args, **kwargs)
        except MemoryDamaged as error:
            self.store.close()
            report = recover.rescue(self.folder)
            if report is None:
                self.store = self._open()
                raise
            self.repairs.append(f"{error.reason}; {report}")
            self.store = self._open()
            self.shelves.clear()
            return call(*args, **kwargs)

    # -------------------------------------------------------------- shelves

    def ready(self, scope: str) -> Ready | None:
        """The scope's shelf, caught up; None when nothing was ever kept in it."""
        known = self.store.scope(scope)
        if known is None:
            self.shelves.pop(scope, None)
            return None
        number, token = known
        shelf = self.shelves.pop(scope, (None, ""))[0]
        if shelf is None or shelf.scope != number:
            shelf = Shelf.load(self._file(number), number) or Shelf(number)
            self.unsent[token] = {uid for (uid,) in self.store.rows("SELECT uid FROM outbox WHERE token = ? AND verb = 'put'", (token,))}
        shelf.catch_up(self.store)
        self.shelves[scope] = (shelf, token)
        for uid in self.outbox.take_sent():
            for some in self.unsent.values():
                some.discard(uid)
        while len(self.shelves) > SHELVES:
            _, (old, old_token) = self.shelves.popitem(last=False)
            self.unsent.pop(old_token, None)
            self._save(old)
        return Ready(shelf, token, self._waiting(shelf))

    def _waiting(self, shelf: Shelf) -> list[tuple[str, str]]:
        uids = list(islice(reversed(shelf.waiting), EMBED_AT_ONCE))
        if not uids:
            return []
        marks = ",".join("?" * len(uids))
        found = self.store.rows(f"SELECT uid, text FROM item WHERE uid IN ({marks}) AND {OF_SCOPE} = ?", (*uids, shelf.scope))
        return [(uid, text) for uid, text in found]

    def take_vectors(self, scope: str, uids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Store the vectors of items, and hand them over when there are enough."""
        shelf, token = self.shelves[scope]
        slots, rows = [], []
        for at, uid in enumerate(uids):
            slot = shelf.slots.find(uid)
            if slot is not None and uid in shelf.waiting:
                slots.append(slot)
                rows.append(at)
        if not slots:
            return
        short = vectors[rows].astype(np.float16)
        numbers = shelf.columns["number"][slots].tolist()
        with self.store.transaction() as db:
            there = {number for (number,) in db.execute(f"SELECT id FROM item WHERE id IN ({','.join(map(str, numbers))})")}
            db.executemany("INSERT OR REPLACE INTO vector VALUES (?, ?)",
                           [(number, row.tobytes()) for number, row in zip(numbers, short, strict=True) if number in there])
            db.executemany("INSERT INTO outbox (token, uid, verb) VALUES (?, ?, 'put')",
                           [(token, shelf.slots.id(slot)) for slot, number in zip(slots, numbers, strict=True) if number in there])
        self.unsent.setdefault(token, set()).update(shelf.slots.id(slot) for slot in slots)
        shelf.take_vectors(np.array(slots), short)
        if len(self.unsent[token]) >= SEND_AT:
            self.outbox.drain()

    def check_embedder(self, fingerprint: str) -> None:
        """Make the embedder the memory's own, if it has none yet.

        :raises EmbedderMismatch: it has another.
        """
        built = self.store.fact("embedder")
        if not built:
            self.store.set_fact("embedder", fingerprint)
        elif built != fingerprint:
            raise EmbedderMismatch(
                f"the vectors of {self.folder} were made by {built}, not by {fingerprint}", built=built, given=fingerprint, path=str(self.store.path),
                hint="open it with the embedder it was built with, or index it again: rookery memory reindex")

    def near(self, ready: Ready, vector: NDArray[np.float32], k: int) -> Callable[[], list[str]]:
        """Begin a search of the vector store; what is called for the ids may raise VectorsUnavailable."""
        if len(ready.shelf) <= EXACT:
            return lambda: _nearest_of(ready.shelf, None, vector, k)
        future: Future[list[str]] = self.outbox.nearest(ready.token, vector, k)
        unsent = list(self.unsent.get(ready.token, ()))

        def ids() -> list[str]:
            own = _nearest_of(ready.shelf, unsent, vector, k)
            try:
                return own + future.result(timeout=WAIT_S)
            except TimeoutError as error:
                raise VectorsUnavailable(f"the vector store has not answered in {WAIT_S} s", hint="it may still be opening its files") from error

        return ids

    # -------------------------------------------------------------- files

    def _file(self, number: int) -> Path:
        return self.folder / SCOPE_FOLDER / f"{number}.shelf"

    def _save(self, shelf: Shelf) -> None:
        if not self.store.rows("SELECT 1 FROM scope WHERE id = ?", (shelf.scope,)):
            return  # it was forgotten, maybe by another process
        shelf.catch_up(self.store)
        grown = len(shelf) - shelf.saved_size
        if len(shelf) >= SAVED and grown * 20 > len(shelf):
            with suppress(IndexFull):  # it is built again then
                shelf.save(self._file(shelf.scope))

    def erase(self, number: int, scope: str) -> bool:
        """Remove what was built from a scope, and what may hold its text besides the store; False when the log could not be emptied."""
        self._file(number).unlink(missing_ok=True)
        for path in self.folder.glob("*.damaged*"):
            path.unlink(missing_ok=True)
        shelf = self.shelves.get(scope)
        if shelf is not None:
            shelf[0].saved_size = 0
            if self.store.scope(scope) is None:
                del self.shelves[scope]
        clean = self.store.wipe()
        self.outbox.drain()
        return clean

    def rebuild(self, *, embedder: str = "") -> int:
        """Build everything but the store anew: forget the shelves, fill the outbox; drop the vectors too when there is a new embedder."""
        self.shelves.clear()
        self.unsent.clear()
        for path in (self.folder / SCOPE_FOLDER).glob("*.shelf"):
            path.unlink(missing_ok=True)
        tokens = [token for (token,) in self.store.rows("SELECT token FROM scope")]
        with self.store.transaction() as db:
            if embedder and embedder != self.store.fact("embedder"):
                db.execute("DELETE FROM vector")
                self.store.set_fact("embedder", embedder)
            count = outbox.refill(self.store)
            db.execute("UPDATE outbox SET seq = seq + ?", (len(tokens) + count,))
            db.executemany("INSERT INTO outbox (seq, token, uid, verb) VALUES (?, ?, '', 'drop')", list(enumerate(tokens, 1)))
        return count

    def restore_vectors(self) -> bool:
        """Build Chroma's folder anew where it can't be read; False where the vectors are not in a folder of this memory."""
        folder = self.folder / VECTOR_FOLDER
        if not isinstance(self.outbox.vectors, ChromaVectors) or self.outbox.vectors.is_server or not folder.exists():
            return False
        self.outbox.vectors.close()
        outbox.put_aside(folder)
        count = outbox.refill(self.store)
        self.repairs.append(f"the vectors in {folder} could not be read; {count} are built in again from {self.store.path}")
        self.shelves.clear()
        self.outbox.trouble = ""
        self.outbox.drain()
        return True

    def close(self) -> None:
        """Save the large shelves and close the files."""
        for shelf, _ in self.shelves.values():
            with suppress(MemoryDamaged):
                self._save(shelf)
        self.shelves.clear()
        self.store.close()

    def shut(self) -> None:
        """End everything, from any thread; what is not handed over yet is next time."""
        self.outbox.close()
        self._pool.submit(self.close).result()
        self._pool.shutdown(wait=True)


def _nearest_of(shelf: Shelf, uids: Sequence[str] | None, vector: NDArray[np.float32], k: int) -> list[str]:
    """The nearest of some items, or of all, compared one by one."""
    if uids is None:
        slots = np.flatnonzero(shelf.column("embedded"))
    else:
        slots = np.array([slot for uid in uids if (slot := shelf.slots.find(uid)) is not None], np.int64)
    if not len(slots):
        return []
    found, _ = best(slots, shelf.cosines(vector, slots), k)
    return [shelf.slots.id(slot) for slot in found.tolist()]


_open: dict[Path, Archive] = {}
_guard = threading.Lock()


def opened(folder: Path, *, vectors: VectorStore | str | None, durable: Durability) -> Archive:
    """The archive of a folder; all memories of a process share one. Each caller gives it back by ``released``."""
    folder = folder.expanduser().resolve()
    with _guard:
        archive = _open.get(folder)
        if archive is None:
            archive = _open[folder] = Archive(folder, vectors=vectors, durable=durable)
        archive.users += 1
        return archive


def released(archive: Archive) -> None:
    """Close the archive when nobody else uses it."""
    with _guard:
        archive.users -= 1
        if archive.users > 0:
            return
        _open.pop(archive.folder, None)
    archive.shut()


