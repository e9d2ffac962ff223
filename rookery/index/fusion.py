"""Several rankings made one: by ranks, or by scores brought to one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

RANK = 60
"""Cormack, Clarke, Buettcher, Reciprocal Rank Fusion Outperforms Condorcet, SIGIR 2009."""


def by_rank(rankings: Sequence[Sequence[str]], *, weights: Sequence[float] | None = None, constant: int = RANK) -> dict[str, float]:
    """Ids with the sum of ``weight / (constant + rank)`` over the rankings that have them, best first; rank 1 is the best."""
    found: dict[str, float] = {}
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for rank, id in enumerate(ranking, 1):
            found[id] = found.get(id, 0.0) + weight / (constant + rank)
    return _ordered(found)


def by_score(rankings: Sequence[Mapping[str, float]], *, weights: Sequence[float] | None = None) -> dict[str, float]:
    """Ids with the weighted sum of their scores, each ranking's divided by its highest; best first."""
    found: dict[str, float] = {}
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        top = max(ranking.values(), default=0.0)
        for id, score in ranking.items():
            found[id] = found.get(id, 0.0) + (weight * score / top if top > 0 else 0.0)
    return _ordered(found)


def scaled(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores divided by the highest; as they are when none is above zero."""
    top = float(scores.max(initial=0.0))
    return scores / top if top > 0 else scores


def _ordered(found: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(found.items(), key=lambda entry: (-entry[1], entry[0])))
