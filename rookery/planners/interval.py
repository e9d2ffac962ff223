"""How sure a share of solved problems is: Wilson's interval, and that of the difference between two planners on the same problems."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

Z95 = 1.959963984540054
"""Standard deviations that hold 95 % of a normal distribution."""


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of ``right`` in ``n``, from 0 to 1 (Wilson 1927); (0, 1) for no trials."""
    if n < 1:
        return 0.0, 1.0
    share, square = right / n, Z95 * Z95
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = Z95 * sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return (0.0 if right == 0 else middle - half), (1.0 if right == n else middle + half)


def paired_difference(first: Sequence[bool], second: Sequence[bool]) -> tuple[float, float, float]:
    """The share of ``first`` minus that of ``second`` on the same problems, with its 95 % interval (Newcombe 1998, Statistics in Medicine
    17:2635, method 10: it takes into account that both solve the same problems). Raises ValueError for different lengths."""
    pairs = list(zip(first, second, strict=True))
    n = len(pairs)
    if not n:
        return 0.0, -1.0, 1.0
    both, only_first = pairs.count((True, True)), pairs.count((True, False))
    only_second, neither = pairs.count((False, True)), pairs.count((False, False))
    one, other = both + only_first, both + only_second
    (low1, high1), (low2, high2) = wilson(one, n), wilson(other, n)
    p1, p2 = one / n, other / n
    phi = _correlation(both, only_first, only_second, neither)
    below = sqrt(max(0.0, (p1 - low1) ** 2 - 2 * phi * (p1 - low1) * (high2 - p2) + (high2 - p2) ** 2))
    above = sqrt(max(0.0, (high1 - p1) ** 2 - 2 * phi * (high1 - p1) * (p2 - low2) + (p2 - low2) ** 2))
    return p1 - p2, max(-1.0, p1 - p2 - below), min(1.0, p1 - p2 + above)


def _correlation(both: int, only_first: int, only_second: int, neither: int) -> float:
    """Of two answers to the same questions, corrected for continuity as Newcombe does."""
    product = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    if not product:
        return 0.0
    excess = both * neither - only_first * only_second
    n = both + only_first + only_second + neither
    return (max(excess - n / 2, 0) if excess > 0 else excess) / sqrt(product)
