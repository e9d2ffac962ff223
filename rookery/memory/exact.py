"""Vectors compared one by one, in this process: for tests, and where no vector store is wanted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rookery.index.vectors import Vectors


class ExactVectors:
    """A :class:`rookery.memory.item.VectorStore` that keeps nothing beyond the process."""

    def __init__(self) -> None:
        self._scopes: dict[str, Vectors] = {}

    def put(self, scope: str, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        if not len(ids):
            return
        own = self._scopes.setdefault(scope, Vectors(vectors.shape[1]))
        for id, vector in zip(ids, vectors, strict=True):
            own.add(id, vector)

    def drop(self, scope: str, ids: Sequence[str] | None = None) -> None:
        if ids is None:
            self._scopes.pop(scope, None)
        elif scope in self._scopes:
            for id in ids:
                self._scopes[scope].remove(id)
            self._scopes[scope].compact()

    def nearest(self, scope: str, vector: NDArray[np.float32], k: int) -> list[str]:
        own = self._scopes.get(scope)
        return [hit.id for hit in own.search(vector, k=k)] if own is not None else []

    def close(self) -> None:
        self._scopes.clear()
