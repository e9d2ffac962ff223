"""Vectors in Chroma: in a folder of this machine, or on a server. It gets opaque ids, opaque scopes and vectors, and never a text.

A scope is a collection of its own, named by the scope's token: a filter over one collection is evaluated before each search and costs more
than the search (Chroma 1.5), and a collection can be dropped whole. No embedding function is ever named, so none is loaded or run.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from rookery.errors import VectorsUnavailable

T = TypeVar("T")
_BATCH = 5_000
"""Chroma takes at most some 5,400 at a time."""
_HNSW = {"space": "ip", "ef_construction": 80, "max_neighbors": 16, "ef_search": 200, "batch_size": 1_000, "sync_threshold": 10_000, "num_threads": 2}
_AGAIN = "it is tried again later; `rookery memory reindex` builds it anew"


class ChromaVectors:
    """A :class:`rookery.memory.item.VectorStore` in Chroma.

    Nothing is imported or opened before the first call. A folder has one process at a time as its owner; for others it is unavailable.
    Folders are only safe to open if nobody else could write them: Chroma reads parts of them with pickle.

    :param place: a folder, or the address of a server (``http://HOST:8000``).
    """

    def __init__(self, place: Path | str) -> None:
        self._place = place
        self._client: Any = None
        self._collections: dict[str, Any] = {}
        self._lock: Any = None
        self._dropped = False

    @property
    def is_server(self) -> bool:
        return isinstance(self._place, str) and self._place.startswith(("http://", "https://"))

    def put(self, scope: str, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        def send() -> None:
            collection = self._collection(scope, new=True)
            for at in range(0, len(ids), _BATCH):
                collection.upsert(ids=list(ids[at : at + _BATCH]), embeddings=np.ascontiguousarray(vectors[at : at + _BATCH], np.float32))

        if len(ids):
            self._asked(send)

    def drop(self, scope: str, ids: Sequence[str] | None = None) -> None:
        def remove() -> None:
            self._dropped = True
            collection = self._collection(scope)
            if collection is None:
                return
            if ids is None:
                self._collections.pop(scope, None)
                self._client.delete_collection(collection.name)
                return
            found = collection.get(ids=list(ids), include=["embeddings"])
            if found["ids"]:  # deleting only marks; what stood there is written over first
                blank = np.zeros_like(np.asarray(found["embeddings"], np.float32))
                blank[:, 0] = 1.0
                collection.upsert(ids=found["ids"], embeddings=blank)
                collection.delete(ids=found["ids"])

        self._asked(remove)

    def nearest(self, scope: str, vector: NDArray[np.float32], k: int) -> list[str]:
        def ask() -> list[str]:
            collection = self._collection(scope)
            if collection is None or k < 1:
                return []
            found = collection.query(query_embeddings=np.asarray(vector, np.float32)[None], n_results=k, include=["distances"])
            return [str(id) for id in found["ids"][0]]

        return self._asked(ask)

    def close(self) -> None:
        client, self._client, self._collections = self._client, None, {}
        if client is not None:
            with suppress(Exception), _panics():  # whatever it says, we are done with it
                client.close()
            if self._dropped and not self.is_server:
                self._vacuum()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _vacuum(self) -> None:
        """Write Chroma's file without the pages that deleted vectors stood on, and remove the folders that it left behind."""
        folder = Path(self._place)
        with suppress(sqlite3.Error):
            db = sqlite3.connect(folder / "chroma.sqlite3", timeout=5.0)
            db.execute("PRAGMA secure_delete = ON")
            known = {name for (name,) in db.execute("SELECT id FROM segments")}
            self._blank_queue(db)
            db.execute("VACUUM")
            db.close()
            for place in folder.iterdir():
                if place.is_dir() and place.name not in known:
                    shutil.rmtree(place, ignore_errors=True)
        self._dropped = False

    @staticmethod
    def _blank_queue(db: sqlite3.Connection) -> None:
        """Chroma's queue keeps vectors until the next sync; those that a later entry deletes become like those that wrote them over."""
        gone = db.execute("SELECT topic, id, max(seq_id) FROM embeddings_queue WHERE operation = 3 GROUP BY topic, id").fetchall()
        for topic, id, last in gone:
            for seq, size in db.execute("SELECT seq_id, length(vector) FROM embeddings_queue WHERE topic = ? AND id = ? AND seq_id < ? AND"
                                        " vector IS NOT NULL", (topic, id, last)).fetchall():
                blank = np.zeros(size // 4, np.float32)
                blank[0] = 1.0
                db.execute("UPDATE embeddings_queue SET vector = ? WHERE seq_id = ?", (blank.tobytes(), seq))
        db.commit()

    # -------------------------------------------------------------- Chroma itself

    def _collection(self, scope: str, *, new: bool = False) -> Any:
        found = self._collections.get(scope)
        if found is not None:
            return found
        client = self._opened()
        name = f"s-{scope}"
        if new:
            found = client.get_or_create_collection(name, embedding_function=None, configuration={"hnsw": _HNSW})
        else:
            from chromadb.errors import NotFoundError

            try:
                found = client.get_collection(name, embedding_function=None)
            except NotFoundError:
                return None
        if len(self._collections) >= 4_096:
            self._collections.clear()
        self._collections[scope] = found
        return found

    def _opened(self) -> Any:
        if self._client is not None:
            return self._client
        import chromadb
        from chromadb.config import Settings

        settings = Settings(anonymized_telemetry=False)
        if self.is_server:
            place = urlsplit(str(self._place))
            secure = place.scheme == "https"
            port = place.port or (443 if secure else 80)
            self._client = chromadb.HttpClient(host=place.hostname or "localhost", port=port, ssl=secure, settings=settings)
        else:
            folder = Path(self._place)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._own(folder)
            try:
                self._client = chromadb.PersistentClient(folder, settings=settings)
            except BaseException:
                _forget_failed(folder)
                raise
        return self._client

    def _own(self, folder: Path) -> None:
        try:
            import fcntl
        except ImportError:  # no such locks here
            return
        if self._lock is None:
            self._lock = (folder.parent / f"{folder.name}.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise VectorsUnavailable(f"another process has the vectors in {folder} open",
                                     hint="words are searched; or use a Chroma server") from error

    def _asked(self, call: Callable[[], T]) -> T:
        """What Chroma answers; all that it raises, a panic of its Rust part too, means that it is not available."""
        try:
            with _panics():
                return call()
        except VectorsUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - Chroma raises its own, httpx's, SQLite's, pydantic's and plain ones
            self._collections.clear()
            raise VectorsUnavailable(f"Chroma does not answer: {type(error).__name__}: {str(error)[:200]}", hint=_AGAIN) from error


def _forget_failed(folder: Path) -> None:
    """Chroma 1.5 keeps what failed to start under its folder's name, and gives it to the next one who asks."""
    from chromadb.api.shared_system_client import SharedSystemClient

    for name in ("_identifier_to_system", "_identifier_to_refcount"):
        getattr(SharedSystemClient, name, {}).pop(str(folder), None)


@contextmanager
def _panics() -> Iterator[None]:
    """A panic of Rust code, which is no Exception, as a RuntimeError."""
    try:
        yield
    except (Exception, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise RuntimeError(str(error)) from error
