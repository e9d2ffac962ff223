"""Words and vectors over the same documents: one set of ids, two rankings, one answer.

It joins :mod:`postings` and :mod:`vectors`, so it imports both; nothing else in this folder imports another implementation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rookery.index.fusion import scaled
from rookery.index.index import Hit, Mask, Places, Scores, Slots, best
from rookery.index.postings import Bag, Postings
from rookery.index.store import damage, read, text_array, texts_of, write
from rookery.index.vectors import Vector, Vectors, check_embedder_of

KIND = "hybrid"
POOL = 100
"""Of each ranking so many at least are scored by both."""
_CHUNK = 1 << 12


@dataclass(frozen=True, slots=True)
class Entry:
    """A document or a query: its terms and its vector."""

    bag: Bag
    vector: Vector


@dataclass(frozen=True, slots=True)
class Found:
    """What both sides say of the documents that either ranks high, in no order; arrays of one length."""

    slots: Places
    lexical: Scores
    """BM25 scores, 0 and up."""
    dense: Scores
    """Cosines."""


class Hybrid:
    """An :class:`rookery.index.index.Index` over entries.

    A document's score is its BM25 score divided by the highest of the search, plus ``dense`` times its cosine divided by the highest.

    :param dims: the length of every vector.
    :param embedder: the fingerprint of what made them; ``load`` refuses another.
    :param dense: the weight of the vectors against the words.
    """

    def __init__(self, dims: int, *, embedder: str = "", dense: float = 0.5, k1: float = 1.2, b: float = 0.75) -> None:
        self.slots = Slots()
        self.postings = Postings(k1=k1, b=b, slots=self.slots)
        self.vectors = Vectors(dims, embedder=embedder, slots=self.slots)
        self.dense = dense

    def __len__(self) -> int:
        return self.slots.live

    def add(self, id: str, document: Entry) -> int:
        """Keep an entry under an id; see :meth:`Index.add`.

        :raises VectorWrong: its vector has another length or is not finite; nothing has changed.
        """
        rows = self.vectors.checked([document.vector])
        self.remove(id)
        slot = self.slots.put(id)
        self.postings.put([document.bag])
        self.vectors.put(rows)
        return slot

    def add_many(self, documents: Iterable[tuple[str, Entry]]) -> None:
        """The same as ``add`` for each, faster.

        :raises VectorWrong: as ``add``; those before it (up to some thousands fewer) are kept.
        """
        waiting: dict[str, Entry] = {}
        for id, document in documents:
            waiting.pop(id, None)
            waiting[id] = document
            if len(waiting) == _CHUNK:
                self._put(waiting)
                waiting = {}
        self._put(waiting)

    def _put(self, documents: dict[str, Entry]) -> None:
        if not documents:
            return
        rows = self.vectors.checked([document.vector for document in documents.values()])
        for id in documents:
            self.remove(id)
        for id in documents:
            self.slots.put(id)
        self.postings.put([document.bag for document in documents.values()])
        self.vectors.put(rows)

    def remove(self, id: str) -> bool:
        """Forget an entry; see :meth:`Index.remove`."""
        slot = self.slots.drop(id)
        if slot is None:
            return False
        self.postings.clear(slot)
        self.vectors.clear(slot)
        return True

    def compact(self) -> Places:
        """Drop what was removed and renumber; see :meth:`Index.compact`."""
        order = self.slots.compact()
        self.postings.reorder(order)
        self.vectors.reorder(order)
        return order

    def search(self, query: Entry, *, k: int = 10, keep: Mask | None = None) -> list[Hit]:
        """The best ``k``; see :meth:`Index.search`.

        :raises VectorWrong: the query's vector has another length or is not finite.
        """
        found = self.candidates(query, max(POOL, 2 * k), keep)
        fused: NDArray[np.float64] = scaled(found.lexical) + self.dense * scaled(np.maximum(found.dense, 0.0))
        return self.slots.hits(*best(found.slots, fused, k))

    def candidates(self, query: Entry, pool: int = POOL, keep: Mask | None = None) -> Found:
        """The best ``pool`` of either side with the scores of both, for callers that weigh more than these two."""
        words, _ = self.postings.top(query.bag, pool, keep)
        near, _ = self.vectors.top(query.vector, pool, keep)
        slots = np.union1d(words, near)
        return Found(slots, self.postings.score(query.bag, slots), self.vectors.score(query.vector, slots))

    def save(self, path: Path) -> None:
        """Write one file; what was removed is not in it, though its slots stay.

        :raises IndexFull: the disk is full or the folder read-only.
        """
        words, word_facts = self.postings.pack()
        rows, row_facts = self.vectors.pack()
        arrays = {f"words.{name}": array for name, array in words.items()} | {f"rows.{name}": array for name, array in rows.items()}
        write(path, KIND, arrays | {"ids": text_array(self.slots.plain())}, {"words": word_facts, "rows": row_facts, "dense": self.dense})

    @staticmethod
    def load(path: Path, *, embedder: str = "") -> Hybrid:
        """The index in a file, which stays mapped; changes stay in memory until it is saved.

        :raises EmbedderMismatch: ``embedder`` is given and is not the one that the file names.
        :raises IndexDamaged: it cannot be read.
        :raises IndexTooNew: a newer rookery wrote it.
        """
        arrays, facts = read(path, KIND)
        with damage(path):
            check_embedder_of(facts["rows"]["embedder"], embedder, path)
            found = Hybrid(facts["rows"]["dims"], embedder=facts["rows"]["embedder"], dense=facts["dense"])
            found.slots = Slots(texts_of(arrays["ids"]))
            found.postings = Postings.unpack(_under(arrays, "words."), facts["words"], found.slots)
            found.vectors = Vectors.unpack(_under(arrays, "rows."), facts["rows"], found.slots)
        return found


def _under(arrays: dict[str, NDArray[np.generic]], prefix: str) -> dict[str, NDArray[np.generic]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
