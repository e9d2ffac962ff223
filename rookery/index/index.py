"""What an index is: documents kept under ids and found again by a query, best first. Pure data structures, no waiting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Document = TypeVar("Document", contravariant=True)
Kind = TypeVar("Kind", bound=np.generic)
Mask = NDArray[np.bool_]
Places = NDArray[np.int64]
Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hit:
    """One document that was found."""

    id: str
    score: float
    """Higher is better; comparable within one search only, unless the index says more."""
    slot: int
    """The document's place in the index's columns, and in those of the caller (see :class:`Slots`)."""


class Index(Protocol[Document]):
    """Documents under ids. Queries are documents too: bags of terms, vectors, or both.

    One index is one scope: who may not see each other's documents does not share an index, so that neither hits nor word
    statistics can leak. Within a scope, ``keep`` narrows a search (as of a date, of a kind) by a mask over slots.
    """

    def add(self, id: str, document: Document) -> int:
        """Keep a document, in place of an earlier one with this id, and give its slot."""
        ...

    def remove(self, id: str) -> bool:
        """Forget a document; False when there is none. Its traces go with the next ``compact``."""
        ...

    def search(self, query: Document, *, k: int = 10, keep: Mask | None = None) -> list[Hit]:
        """At most ``k`` documents, best first, equal scores in the order of their slots.

        ``keep``: one truth value for each slot; others are not found.
        """
        ...

    def compact(self) -> Places:
        """Drop all that was removed, bytes included, and renumber: the new slot ``i`` is the old slot ``compact()[i]``."""
        ...


class Slots:
    """Which id has which slot. Slots are dense numbers from 0, given out in order and never twice before ``compact``.

    A caller's own facts about documents (times, kinds) go into arrays by slot; masks over them are what ``keep`` takes.
    """

    def __init__(self, ids: Iterable[str | None] = ()) -> None:
        self._ids = list(ids)
        self._slot = {id: slot for slot, id in enumerate(self._ids) if id is not None}

    def __len__(self) -> int:
        """How many slots were given out, those of removed documents included."""
        return len(self._ids)

    @property
    def live(self) -> int:
        """How many documents there are."""
        return len(self._slot)

    def find(self, id: str) -> int | None:
        """The slot of a document, None when there is none."""
        return self._slot.get(id)

    def id(self, slot: int) -> str:
        """The id of a document that is there.

        :raises KeyError: the document in this slot was removed.
        """
        found = self._ids[slot]
        if found is None:
            raise KeyError(slot)
        return found

    def put(self, id: str) -> int:
        """A new slot for an id that has none."""
        slot = self._slot[id] = len(self._ids)
        self._ids.append(id)
        return slot

    def drop(self, id: str) -> int | None:
        """Free an id; its slot, or None when it has none."""
        slot = self._slot.pop(id, None)
        if slot is not None:
            self._ids[slot] = None
        return slot

    def compact(self) -> Places:
        """Renumber without the removed ones; the old slots in their new order."""
        order = np.array([slot for slot, id in enumerate(self._ids) if id is not None], np.int64)
        self._ids = [id for id in self._ids if id is not None]
        self._slot = {id: slot for slot, id in enumerate(self._ids) if id is not None}
        return order

    def hits(self, slots: Places, scores: Scores) -> list[Hit]:
        """Hits of slots that are best first already."""
        return [Hit(self.id(slot), score, slot) for slot, score in zip(slots.tolist(), scores.tolist(), strict=True)]

    def plain(self) -> list[str | None]:
        """The ids by slot, None for those that were removed."""
        return list(self._ids)


def best(slots: Places, scores: Scores, k: int) -> tuple[Places, Scores]:
    """The ``k`` highest scores with their slots, best first, equal ones by slot."""
    if len(slots) > 4 * k + 64:
        bar = np.partition(scores, len(scores) - k)[len(scores) - k]
        among = np.flatnonzero(scores >= bar)
        slots, scores = slots[among], scores[among]
    order = np.lexsort((slots, -scores))[:k]
    return slots[order], scores[order]


def grown(array: NDArray[Kind], size: int) -> NDArray[Kind]:
    """The array itself when it has room for ``size`` rows, else a copy with room for a quarter more than that."""
    if size <= len(array):
        return array
    larger = np.zeros((size + size // 4 + 2, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger
