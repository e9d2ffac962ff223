"""Dense vectors: the nearest by cosine, by a first pass over a few axes and an exact second one over those that may be among the best.

Rows are kept in half precision. Up to ``WHOLE`` rows all are compared. Above, the rows are also kept turned to their principal axes, cut
to those that hold most of the variance, in single precision; the best half per cent by these are scored exactly. Rows that have no such
axes (the same variance everywhere) are kept whole instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rookery.errors import EmbedderMismatch, VectorWrong
from rookery.index.index import Hit, Mask, Places, Scores, Slots, best, grown
from rookery.index.store import Packed, damage, read, text_array, texts_of, write

Vector = NDArray[np.float32]
KIND = "vectors"
WHOLE = 1 << 14
_SAMPLE = 1 << 13
"""Rows that axes are found from."""
_SHARE = 0.75
"""Of the variance, what the short rows hold."""
_AGAIN = 200
"""One row of so many is scored exactly, and _TIMES k of them at least."""
_TIMES = 16
_FEW = 1 << 13
"""So few rows left by ``keep`` are compared directly."""


class Vectors:
    """An :class:`rookery.index.index.Index` over vectors; scores are cosines, so -1 to 1.

    :param dims: the length of every vector.
    :param embedder: the fingerprint of what made them; ``load`` refuses another.
    :param slots: shared with an index over the same documents; then ``put`` and ``clear`` instead of ``add`` and ``remove``.
    """

    def __init__(self, dims: int, *, embedder: str = "", slots: Slots | None = None) -> None:
        self.dims, self.embedder = dims, embedder
        self.slots = Slots() if slots is None else slots
        self._rows: NDArray[np.float16] = np.zeros((0, dims), np.float16)
        self._alive: Mask = np.zeros(0, np.bool_)
        self._count = 0
        self._short: NDArray[np.float32] = np.zeros((0, dims), np.float32)
        self._axes: _Axes | None = None

    def __len__(self) -> int:
        return int(np.count_nonzero(self._alive[: self._count]))

    # -------------------------------------------------------------- changing

    def add(self, id: str, document: Vector) -> int:
        """Keep a vector under an id; see :meth:`Index.add`.

        :raises VectorWrong: it has another length or is not finite; nothing has changed.
        """
        rows = self.checked([document])
        self.remove(id)
        slot = self.slots.put(id)
        self.put(rows)
        return slot

    def put(self, rows: NDArray[Any]) -> None:
        """Fill the next slots, which ``slots`` has given out already, with vectors that :meth:`checked` has seen."""
        first, size = self._count, self._count + len(rows)
        self._rows, self._alive = grown(self._rows, size), grown(self._alive, size)
        self._rows[first:size], self._alive[first:size] = rows, True
        self._count = size
        if self._axes is None and size <= WHOLE:
            self._short = grown(self._short, size)
            self._short[first:size] = self._rows[first:size]
        elif self._axes is None or size > 4 * self._axes.fitted:
            self._turn()
        else:
            self._short = grown(self._short, size)
            self._short[first:size] = self._axes.turned(self._rows[first:size].astype(np.float32))

    def remove(self, id: str) -> bool:
        """Forget a vector; see :meth:`Index.remove`."""
        slot = self.slots.drop(id)
        if slot is None:
            return False
        self.clear(slot)
        return True

    def clear(self, slot: int) -> None:
        """Wipe the vector of a slot that ``slots`` has freed already."""
        self._rows[slot], self._short[slot], self._alive[slot] = 0, 0, False

    def compact(self) -> Places:
        """Drop what was removed and renumber; see :meth:`Index.compact`."""
        order = self.slots.compact()
        self.reorder(order)
        return order

    def reorder(self, order: Places) -> None:
        """Follow a renumbering of shared slots."""
        self._rows, self._alive, self._short = self._rows[order], self._alive[order], self._short[order]
        self._count = len(order)

    def checked(self, vectors: Sequence[Vector] | NDArray[Any]) -> NDArray[np.float32]:
        """The vectors at length 1, shape (n, dims); zero vectors stay zero and are near to nothing.

        :raises VectorWrong: one has another length or is not finite.
        """
        try:
            rows = np.asarray(vectors, np.float32)
        except ValueError as error:
            raise VectorWrong("the vectors differ in length", hint=f"this index takes {self.dims} numbers a vector") from error
        if rows.ndim != 2 or rows.shape[1] != self.dims:
            raise VectorWrong(f"vectors of shape {rows.shape[1:]} were given to an index of {self.dims} numbers a vector",
                              hint="were they made by another embedder?")
        if not np.isfinite(rows).all():
            raise VectorWrong("a vector has numbers that are not finite", hint="leave this document out, or mend the embedder")
        unit: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-30))
        return unit

    # -------------------------------------------------------------- searching

    def search(self, query: Vector, *, k: int = 10, keep: Mask | None = None) -> list[Hit]:
        """The nearest ``k``; see :meth:`Index.search`. Up to ``WHOLE`` vectors exact, above very nearly so.

        :raises VectorWrong: the query has another length or is not finite.
        """
        return self.slots.hits(*self.top(query, k, keep))

    def top(self, query: Vector, k: int, keep: Mask | None = None) -> tuple[Places, Scores]:
        """Slots and cosines of the nearest ``k``."""
        asked = self.checked([query])[0]
        alive = self._alive[: self._count]
        if keep is not None:
            alive = alive & keep
            slots = np.flatnonzero(alive)
            if len(slots) <= max(k, _FEW):
                return best(slots, self._exact(asked, slots), k)
        if k < 1 or not alive.any():
            return np.zeros(0, np.int64), np.zeros(0)
        short = self._short[: self._count] @ (asked if self._axes is None else self._axes.turned(asked))
        short[~alive] = -np.inf
        slots = self._likely(asked, short, min(k, self._count))
        slots = slots[alive[slots]]
        return best(slots, self._exact(asked, slots), k)

    def score(self, query: Vector, slots: Places) -> Scores:
        """The cosine of each of these vectors."""
        return self._exact(self.checked([query])[0], slots)

    def _likely(self, asked: Vector, short: NDArray[np.float32], k: int) -> Places:
        """Slots that hold the best k, as far as short scores can say."""
        count = len(short)
        if self._axes is None:
            if count <= 4 * k + 64:
                return np.arange(count)
            return np.flatnonzero(short >= np.partition(short, count - k)[count - k] - 1e-3)
        if self._axes.is_whole:
            return _above(short, 4 * k + 64)
        return _above(short, max(_TIMES * k, count // _AGAIN))

    def _exact(self, asked: Vector, slots: Places) -> Scores:
        return np.asarray(self._rows[slots].astype(np.float32) @ asked, np.float64)

    def _turn(self) -> None:
        """Find the axes (anew) and turn all rows to them."""
        draw = np.random.default_rng(0)
        alive = np.flatnonzero(self._alive[: self._count])
        sample = alive if len(alive) <= _SAMPLE else np.sort(draw.choice(alive, _SAMPLE, replace=False))
        self._axes = _Axes.of(self._rows[sample].astype(np.float32), fitted=self._count)
        self._short = np.zeros((len(self._rows), self._axes.head.shape[1]), np.float32)
        for at in range(0, self._count, _SAMPLE):
            place = slice(at, min(at + _SAMPLE, self._count))
            self._short[place] = self._axes.turned(self._rows[place].astype(np.float32))

    # -------------------------------------------------------------- keeping

    def save(self, path: Path) -> None:
        """Write one file. What was removed is wiped from it.

        :raises IndexFull: the disk is full or the folder read-only.
        """
        arrays, facts = self.pack()
        write(path, KIND, arrays | {"ids": text_array(self.slots.plain())}, facts)

    @staticmethod
    def load(path: Path, *, embedder: str = "") -> Vectors:
        """The vectors in a file, which stays mapped; changes stay in memory until it is saved.

        :raises EmbedderMismatch: ``embedder`` is given and is not the one that the file names.
        :raises IndexDamaged: it cannot be read.
        :raises IndexTooNew: a newer rookery wrote it.
        """
        arrays, facts = read(path, KIND)
        with damage(path):
            check_embedder_of(facts["embedder"], embedder, path)
            return Vectors.unpack(arrays, facts, Slots(texts_of(arrays["ids"])))

    def pack(self) -> tuple[Packed, dict[str, Any]]:
        """All but the ids as flat arrays, and the facts."""
        arrays: Packed = {"rows": self._rows[: self._count], "alive": self._alive[: self._count]}
        if self._axes is not None:
            arrays |= {"short": self._short[: self._count], "head": self._axes.head}
        return arrays, {"dims": self.dims, "embedder": self.embedder, "fitted": self._axes.fitted if self._axes else 0}

    @staticmethod
    def unpack(arrays: Packed, facts: dict[str, Any], slots: Slots) -> Vectors:
        """What ``pack`` gave, over these slots."""
        found = Vectors(facts["dims"], embedder=facts["embedder"], slots=slots)
        found._rows, found._alive = arrays["rows"], arrays["alive"]
        found._count = len(found._rows)
        if facts["fitted"]:
            found._axes = _Axes(arrays["head"], facts["fitted"])
            found._short = arrays["short"]
        else:
            found._short = found._rows.astype(np.float32)
        return found


def check_embedder_of(built: str, given: str, path: Path | None = None) -> None:
    """Refuse vectors of another embedder; either side may be empty for not known.

    :raises EmbedderMismatch: both are known and differ.
    """
    if built and given and built != given:
        raise EmbedderMismatch(f"the vectors were made by {built}, not by {given}", built=built, given=given, path=str(path or ""),
                               hint="open it with the embedder it was built with, or index again")


class _Axes:
    """Principal axes of a sample, the first of them; shape (dims, axes)."""

    def __init__(self, head: NDArray[np.float32], fitted: int) -> None:
        self.head, self.fitted = head, fitted
        self.is_whole = head.shape[1] == head.shape[0]

    @staticmethod
    def of(rows: NDArray[np.float32], *, fitted: int) -> _Axes:
        values, vectors = np.linalg.eigh(rows.T @ rows)
        values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
        wanted = int(np.searchsorted(np.cumsum(values), _SHARE * values.sum())) + 1
        cut = max(32, (wanted + 15) // 16 * 16)
        return _Axes(np.ascontiguousarray(vectors[:, : cut if cut <= len(values) // 2 else None], np.float32), fitted)

    def turned(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The short form of a vector or of many; dot products of short forms are those of the part inside the cut."""
        return rows @ self.head


def _above(scores: NDArray[np.float32], wanted: int) -> Places:
    """Slots of at least ``wanted`` high scores, and of a few more, without sorting all: the bar comes from a sample."""
    count = len(scores)
    if wanted >= count:
        return np.arange(count)
    step = max(1, min(64, wanted // 32))
    sample = scores[::step]
    rank = min(len(sample), int(1.1 * wanted / step + 4 * math.sqrt(wanted / step)) + 1)
    found = np.flatnonzero(scores >= np.partition(sample, len(sample) - rank)[len(sample) - rank])
    return found if len(found) >= wanted else np.argpartition(scores, count - wanted)[count - wanted :]
