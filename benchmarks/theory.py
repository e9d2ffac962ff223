"""What theory says of planners against the oracles: how often they succeed, and what they ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb, exp, factorial, lgamma


@dataclass(frozen=True, slots=True)
class BeamRow:
    """A beam against the chain oracle: how often a good thought is kept at the last level, and what share of the kept is good."""

    depth: int
    children: int
    width: int
    p: float
    a: float
    c: float
    reach: float
    share: float


@dataclass(frozen=True, slots=True)
class SearchRow:
    """Depth-first search with pruning against the chain oracle: how often it succeeds, and the thoughts it goes to on average."""

    depth: int
    children: int
    p: float
    a: float
    c: float
    reach: float
    visits: float


BEAMS = (
    BeamRow(3, 8, 1, 0.25, 1, 0, 0.728726, 0.728726), BeamRow(3, 8, 5, 0.25, 1, 0, 0.859369, 0.765968),
    BeamRow(3, 5, 1, 0.3, 0.9, 0.2, 0.232712, 0.232712), BeamRow(3, 5, 3, 0.3, 0.9, 0.2, 0.521624, 0.282974),
    BeamRow(3, 5, 5, 0.3, 0.9, 0.2, 0.594840, 0.243212), BeamRow(6, 4, 3, 0.5, 0.8, 0.1, 0.788907, 0.634893),
)  # fmt: skip
SEARCHES = (
    SearchRow(3, 5, 0.3, 1, 0, 0.726867, 8.514790), SearchRow(3, 5, 0.3, 0.9, 0.2, 0.649198, 15.804060),
    SearchRow(4, 4, 0.4, 0.95, 0.3, 0.744537, 21.640401), SearchRow(6, 4, 0.5, 0.8, 0.1, 0.774933, 17.413171),
)  # fmt: skip


def binomial(n: int, p: float) -> list[float]:
    return [comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


def drawn_without_return(good: int, bad: int, taken: int) -> Iterator[tuple[int, float]]:
    """How many of ``taken`` are good, and how likely that is (hypergeometric)."""
    whole = comb(good + bad, taken)
    for k in range(max(0, taken - bad), min(good, taken) + 1):
        yield k, comb(good, k) * comb(bad, taken - k) / whole


def beam_reach(depth: int, children: int, width: int, p: float, a: float, c: float) -> tuple[float, float]:
    """The chance that a beam keeps any good thought at the last level, and the mean good share of what it keeps.

    An exact Markov chain on the good ones kept: candidates are good by chance, pass by chance, and those kept are drawn from what passed, then
    from the rest.
    """
    chain, size = {1: 1.0}, 1
    for _ in range(depth):
        candidates, after = size * children, min(width, size * children)
        step: dict[int, float] = {}
        for kept, chance in chain.items():
            for good, likely in enumerate(binomial(kept * children, p)):
                for found, weight in _kept(good, candidates - good, after, a, c):
                    step[found] = step.get(found, 0.0) + chance * likely * weight
        chain, size = step, after
    return 1 - chain.get(0, 0.0), sum(kept * chance for kept, chance in chain.items()) / size


def _kept(good: int, bad: int, width: int, a: float, c: float) -> Iterator[tuple[int, float]]:
    for good_pass, first in enumerate(binomial(good, a)):
        for bad_pass, second in enumerate(binomial(bad, c)):
            chance = first * second
            if not chance:
                continue
            passed = good_pass + bad_pass
            if passed >= width:
                yield from ((k, chance * w) for k, w in drawn_without_return(good_pass, bad_pass, width))
            else:
                rest = drawn_without_return(good - good_pass, bad - bad_pass, width - passed)
                yield from ((good_pass + k, chance * w) for k, w in rest)


def beam_judgements(depth: int, children: int, width: int) -> int:
    """Thoughts that a beam judges."""
    total, size = 0, 1
    for _ in range(depth):
        total += size * children
        size = min(width, size * children)
    return total


def beam_proposals(depth: int, children: int, width: int) -> int:
    """Proposals that a beam asks for, the writing down of answers left out."""
    total, size = 0, 1
    for _ in range(depth):
        total += size
        size = min(width, size * children)
    return total


def dfs_reach(depth: int, children: int, p: float, a: float, c: float) -> tuple[float, float]:
    """The chance that depth-first search with pruning finds the goal, and the thoughts that it goes to on average (Wald)."""
    reach, visits, dead = 1.0, 0.0, 0.0
    for _ in range(depth):
        theta = p * a * reach
        fails = (1 - theta) ** children
        visits = (1 - fails) / theta * (1 + p * a * visits + (1 - p) * c * dead)
        reach, dead = 1 - fails, children * (1 + c * dead)
    return reach, visits


def best_of(p: float, n: int) -> float:
    """The chance that one of ``n`` lines is right, where each is with chance ``p``."""
    return 1 - (1 - p) ** n


def majority(p: float, others: int, n: int) -> float:
    """The chance that the right answer has the most of ``n`` votes (ties by chance), against ``others`` equally likely wrong ones."""
    q = (1 - p) / others
    total = 0.0
    for votes in range(n + 1):
        # Ways for the others to share the rest with at most ``votes`` each, by how many of them tie; exponential generating functions.
        ways = {(0, 0): 1.0}
        for _ in range(others):
            step: dict[tuple[int, int], float] = {}
            for (used, ties), weight in ways.items():
                for more in range(min(votes, n - votes - used) + 1):
                    key = (used + more, ties + (more == votes))
                    step[key] = step.get(key, 0.0) + weight * q**more / factorial(more)
            ways = step
        for (used, ties), weight in ways.items():
            if used == n - votes:
                total += factorial(n) * p**votes / factorial(votes) * weight / (ties + 1)
    return total


def beta_beats(a1: int, b1: int, a2: int, b2: int) -> float:
    """The chance that a draw from Beta(a1, b1) is above one from Beta(a2, b2), for whole numbers."""

    def log_beta(a: float, b: float) -> float:
        return lgamma(a) + lgamma(b) - lgamma(a + b)

    return sum(exp(log_beta(a2 + i, b1 + b2) - log_beta(1 + i, b1) - log_beta(a2, b2)) / (b1 + i) for i in range(a1))


def plan_search_leaves(n: int, size: int = 2) -> tuple[int, int]:
    """PlanSearch's leaves and codes, where each proposal gives ``n`` observations: l1 + l1 · (n + C(n, 2)) leaves, two codes each."""
    first = sum(comb(n, k) for k in range(size + 1))
    leaves = first + first * sum(comb(n, k) for k in range(1, size + 1))
    return leaves, 2 * leaves
