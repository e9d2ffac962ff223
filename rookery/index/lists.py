"""The lists under an inverted index: the postings of one term with room to grow, and the documents watched while lists are added up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rookery.index.index import Mask, grown

WATCHED = 4096
"""So many documents are watched to see which score the best k reach; smaller indexes are scored whole."""


class Pool:
    """Some documents, each once: the k-th best of them is never above the k-th best of all."""

    __slots__ = ("_docs", "_k", "_keep", "_size")

    def __init__(self, k: int, keep: Mask | None) -> None:
        self._k, self._keep = k, keep
        self._docs: list[NDArray[np.int32]] = []
        self._size = 0

    def take(self, docs: NDArray[np.int32], scores: NDArray[np.float32]) -> None:
        """Watch those of a list that have no score yet, as far as there is room."""
        if self._size < WATCHED:
            fresh = docs[scores.take(docs) == 0.0]
            fresh = (fresh if self._keep is None else fresh[self._keep.take(fresh)])[: WATCHED - self._size]
            self._docs.append(fresh)
            self._size += len(fresh)

    def bar(self, scores: NDArray[np.float32]) -> float:
        """The k-th best score so far, 0 when fewer are watched."""
        if self._size < self._k:
            return 0.0
        among = scores.take(np.concatenate(self._docs))
        return float(np.partition(among, len(among) - self._k)[len(among) - self._k])


class TermList:
    """The postings of one term, with room at the end."""

    __slots__ = ("docs", "size", "weights")

    def __init__(self, docs: NDArray[np.int32], weights: NDArray[np.float32]) -> None:
        self.docs, self.weights, self.size = docs, weights, len(docs)

    def append(self, doc: int, weight: np.float32) -> None:
        if self.size == len(self.docs):
            self._grow(self.size + 1)
        self.docs[self.size] = doc
        self.weights[self.size] = weight
        self.size += 1

    def extend(self, docs: NDArray[np.int32], weights: NDArray[np.float32]) -> None:
        size = self.size + len(docs)
        if size > len(self.docs):
            self._grow(size)
        self.docs[self.size : size], self.weights[self.size : size] = docs, weights
        self.size = size

    def _grow(self, size: int) -> None:
        self.docs, self.weights = grown(self.docs[: self.size], size), grown(self.weights[: self.size], size)
