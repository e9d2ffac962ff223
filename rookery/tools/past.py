"""What a library learns from use: requests that were solved, the tools that solved them, and how far such memories are to be trusted.

Memories vote for tools. How much a vote weighs is not fixed: each new memory is first used to ask what the older ones would have said, and
votes get the weight that would have been best so far, none as long as it is not clear that they help.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rookery.index.vectors import Vector, Vectors

WEIGHTS = (0.0, 0.2, 0.5, 1.0, 2.0)
"""What votes may weigh, against about 1 for all that tool texts say."""
SURE = 2.0
"""A weight counts as better than none when its mean gain is this many standard errors above zero."""
LEAST = 20
"""And after so many requests at least."""
NEAREST = 10
ALIKE = 0.3
"""Cosines up to this say nothing."""
_DOUBT = 0.5
"""Votes are shares of all votes and of this."""


class Past:
    """Parts of requests, as vectors, with the tools that served them.

    :param dims: the length of a vector.
    """

    def __init__(self, dims: int) -> None:
        self._rows = Vectors(dims)
        self._known: dict[tuple[str, str], str] = {}  # (part, tool) → id
        self._tool: dict[str, str] = {}  # id → tool
        self._gains = np.zeros(len(WEIGHTS))
        self._squares = np.zeros(len(WEIGHTS))
        self._requests = 0
        self._next = 0

    def __len__(self) -> int:
        return len(self._tool)

    @property
    def weight(self) -> float:
        """What votes weigh now."""
        if self._requests < LEAST:
            return 0.0
        mean = self._gains / self._requests
        spread = np.sqrt(np.maximum(self._squares / self._requests - mean**2, 0) / self._requests)
        sure = mean - SURE * spread
        best = int(np.argmax(sure))
        return WEIGHTS[best] if sure[best] > 0 else 0.0

    def learn(self, hits: Mapping[float, float]) -> None:
        """Note how good the ranking of one request was under each of ``WEIGHTS`` (0 to 1), before this request is added."""
        gains = np.array([hits[weight] - hits[0.0] for weight in WEIGHTS])
        self._gains += gains
        self._squares += gains**2
        self._requests += 1

    def add(self, text: str, vector: Vector, tool: str) -> None:
        """Remember that a part of a request was served by a tool. The same again is counted once."""
        if (text, tool) in self._known:
            return
        id = str(self._next)
        self._next += 1
        self._known[text, tool] = id
        self._tool[id] = tool
        self._rows.add(id, vector)

    def forget(self, tool: str) -> None:
        """Drop all memories of a tool."""
        gone = {key: id for key, id in self._known.items() if key[1] == tool}
        for key, id in gone.items():
            del self._known[key], self._tool[id]
            self._rows.remove(id)
        if len(self._rows.slots) > 2 * len(self._tool) + 1000:
            self._rows.compact()

    def votes(self, vector: Vector) -> dict[str, float]:
        """For each tool the share of the votes of the nearest memories, 0 to 1; high when they are near and agree."""
        if not self._tool:
            return {}
        hits = self._rows.search(vector, k=NEAREST)
        said = [(self._tool[hit.id], hit.score - ALIKE) for hit in hits if hit.score > ALIKE]
        total = math.fsum(score for _, score in said) + _DOUBT
        found: dict[str, float] = {}
        for tool, score in said:
            found[tool] = found.get(tool, 0.0) + score / total
        return found


def tally(votes: Sequence[Mapping[str, float]], ids: Sequence[str]) -> NDArray[np.float64]:
    """Votes as an array, shape (parts, tools)."""
    return np.array([[part.get(id, 0.0) for id in ids] for part in votes]).reshape(len(votes), len(ids))
