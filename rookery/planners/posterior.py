"""Thompson sampling for AB-MCTS: what is believed of an arm after its scores, draws from that, and which of many arms draws highest.

A belief is known by three numbers of its scores: how many, their sum, their sum of squares. Formulas: Murphy, Probabilistic Machine
Learning: Advanced Topics (2023), section 3.4.3.3; AB-MCTS, arXiv 2503.04412, section 3.3.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from math import exp, expm1, inf, lgamma, log, log1p, log2, pi, sqrt, tan
from random import Random
from statistics import NormalDist
from typing import Protocol

Shape = tuple[float, float, float]
_INVERSE = NormalDist().inv_cdf
NARROWEST = 4
"""The bucket of means next to 1 is 2⁻⁴ wide."""


class Prior(Protocol):
    """What is believed of an arm before it has scores, and how beliefs are drawn from."""

    def draw(self, chance: Random, n: int, total: float, squares: float) -> float:
        """The mean score of an arm, drawn from what is believed after ``n`` scores."""
        ...

    def shape(self, n: int, total: float, squares: float) -> Shape:
        """The belief by its three parameters, ordered so that one that is larger in each draws higher from the upper half."""
        ...

    def reach(self, shape: Shape, tail: float) -> float:
        """The number that a draw exceeds with probability ``tail``."""
        ...

    def beats(self, shape: Shape, tail: float, number: float) -> bool:
        """Whether ``reach`` gives more than ``number``, told more cheaply."""
        ...

    def bucket(self, mean: float) -> int:
        """From 0 up: which means are so much alike that arms with them are searched together; the most promising first."""
        ...


class Gaussian:
    """Normal scores of unknown mean and variance: the mean's belief is Student's t, moved and scaled."""

    def __init__(self, m: float = 0.0, kappa: float = 1.0, nu: float = 1.0, tau2: float = 0.1) -> None:
        self.m, self.kappa, self.nu, self.tau2 = m, kappa, nu, tau2

    def shape(self, n: int, total: float, squares: float) -> Shape:
        kappa, nu = self.kappa + n, self.nu + n
        mean = total / n if n else 0.0
        within = max(0.0, squares - total * mean)
        tau2 = (self.nu * self.tau2 + within + n * self.kappa * (self.m - mean) ** 2 / kappa) / nu
        return (self.kappa * self.m + total) / kappa, sqrt(tau2 / kappa), -nu  # fewer degrees of freedom reach higher

    def draw(self, chance: Random, n: int, total: float, squares: float) -> float:
        middle, scale, less_nu = self.shape(n, total, squares)
        nu = -less_nu
        return middle + scale * chance.gauss(0.0, 1.0) / sqrt(chance.gammavariate(nu / 2, 2.0) / nu)

    def reach(self, shape: Shape, tail: float) -> float:
        middle, scale, less_nu = shape
        return middle + scale * student(tail, -less_nu)

    def beats(self, shape: Shape, tail: float, number: float) -> bool:
        return self.reach(shape, tail) > number

    def bucket(self, mean: float) -> int:
        return 0  # one bound for all is tight enough: tails of different means have the same form


class Beta:
    """Scores as shares of successes; fractional ones count as such."""

    def __init__(self, a: float = 0.5, b: float = 0.5) -> None:
        self.a, self.b = a, b

    def shape(self, n: int, total: float, squares: float) -> Shape:
        return self.a + total, total - n - self.b, 0.0  # less failures reach higher

    def draw(self, chance: Random, n: int, total: float, squares: float) -> float:
        return chance.betavariate(self.a + total, self.b + n - total)

    def reach(self, shape: Shape, tail: float) -> float:
        """Told as minus the distance from 1, so that draws which round to 1 still differ."""
        return -beta_tail(tail, -shape[1], shape[0])

    def beats(self, shape: Shape, tail: float, number: float) -> bool:
        y, a, b = -number, -shape[1], shape[0]
        if not 0 < y < 1:
            return y >= 1
        least = most = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(y)) / a  # of the integral of t^(a-1) (1-t)^(b-1)
        end = (1 - y) ** (b - 1)
        if end < 1:
            least *= end
        else:
            most *= end
        return least > tail or (most > tail and beta_share(y, a, b) > tail)

    def bucket(self, mean: float) -> int:
        """By the share of failures, halved each time: near 1 a draw's tail is a power of it with the failures as exponent."""
        return NARROWEST - min(NARROWEST, int(-log2(max(1.0 - mean, 1e-9))))


def student(tail: float, nu: float) -> float:
    """The number that Student's t with ``nu`` ≥ 1 degrees of freedom exceeds with probability ``tail``: exact for 1 and 2, else to about six
    digits (Hill 1970, Algorithm 396)."""
    if tail > 0.5:
        return -student(1 - tail, nu)
    if nu == 1:
        return 1 / tan(pi * tail)
    if nu == 2:
        return (1 - 2 * tail) / sqrt(2 * tail * (1 - tail))
    a = 1 / (nu - 0.5)
    b = 48 / (a * a)
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * sqrt(a * pi / 2) * nu
    y = (2 * tail * d) ** (2 / nu)
    if y > 0.05 + a:
        x = _INVERSE(tail)
        y = x * x
        if nu < 5:
            c += 0.3 * (nu - 4.5) * (x + 0.6)
        c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = expm1(a * y * y)
    else:
        y = ((1 / (((nu + 6) / (nu * y) - 0.089 * d - 0.822) * (nu + 2) * 3) + 0.5 / (nu + 4)) * y - 1) * (nu + 1) / (nu + 2) + 1 / y
    return sqrt(nu * y)


def beta_share(y: float, a: float, b: float) -> float:
    """The probability that Beta(a, b) stays at or under ``y`` (the regularised incomplete beta function, by Lentz's continued fraction)."""
    if y <= 0 or y >= 1:
        return 0.0 if y <= 0 else 1.0
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(y) + b * log1p(-y))
    if y > (a + 1) / (a + b + 2):
        return 1 - front * _fraction(1 - y, b, a) / b
    return front * _fraction(y, a, b) / a


def _fraction(y: float, a: float, b: float) -> float:
    c, d = 1.0, 1 - (a + b) * y / (a + 1)
    d = 1 / (d or 1e-300)
    h = d
    for m in range(1, 200):
        step = m * (b - m) * y / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1 / (1 + step * d or 1e-300), 1 + step / c or 1e-300
        h *= d * c
        step = -(a + m) * (a + b + m) * y / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1 / (1 + step * d or 1e-300), 1 + step / c or 1e-300
        h *= d * c
        if abs(d * c - 1) < 1e-12:
            break
    return h


def beta_tail(share: float, a: float, b: float) -> float:
    """The ``y`` under which Beta(a, b) stays with probability ``share``: Newton's method on log y, kept within what is known."""
    scale = lgamma(a + b) - lgamma(a) - lgamma(b)
    low, high = 0.0, 1.0
    y = min(0.5, exp((log(share) + log(a) - scale) / a))  # y^a / (a B(a, b)) = share
    for _ in range(60):
        found = beta_share(y, a, b)
        if found > share:
            high = y
        else:
            low = y
        slope = exp(scale + a * log(y) + (b - 1) * log1p(-y))  # d share / d log y
        step = (found - share) / slope if slope > 0 else inf
        moved = y * exp(-step) if abs(step) < 50 else 0.0
        if abs(step) < 1e-9:
            return y
        y = moved if low < moved < high else (low + high) / 2 if low else high * 1e-3
    return y


class Arms:
    """Children of one node as arms; which of them draws highest is found without drawing from each.

    Arms of about as many scores and of means in one bucket are a group. In a group only the arms with the largest luck (the upper quantiles of
    their draws, which come from the largest to smaller ones as order statistics of uniform numbers) are looked at, until no other can win: what the
    best belief of the group would reach with the next luck is less than the best so far. So the winner has exactly the distribution that
    drawing from all gives, for the cost of a few. Groups of the highest means are looked at first, so that the others are soon through.
    """

    __slots__ = ("bounds", "groups", "order", "place")

    def __init__(self) -> None:
        self.groups: dict[int, list[int]] = {}
        """By the mean's bucket, from the highest, then by how many scores an arm has: up to 3, then by the number of bits."""
        self.bounds: dict[int, Shape] = {}
        """The largest parameters that an arm of each group has had."""
        self.order: list[int] = []
        """The groups that have arms, sorted."""
        self.place: dict[int, tuple[int, int]] = {}
        """Of each arm: its group, and where in it."""

    def __len__(self) -> int:
        return len(self.place)

    def put(self, arm: int, n: int, bucket: int, shape: Shape) -> None:
        """An arm is new, or has one more score; those of a ``Prior.bucket`` stand together."""
        group = bucket * 64 + (n if n < 4 else 2 + n.bit_length())
        known = self.place.get(arm)
        if known is None or known[0] != group:
            if known is not None:
                self._take(*known)
            members = self.groups.get(group)
            if members is None:
                members = self.groups[group] = []
                self.bounds[group] = shape
                insort(self.order, group)
            self.place[arm] = (group, len(members))
            members.append(arm)
        bound = self.bounds[group]
        self.bounds[group] = (max(bound[0], shape[0]), max(bound[1], shape[1]), max(bound[2], shape[2]))

    def _take(self, group: int, place: int) -> None:
        members = self.groups[group]
        last = members.pop()
        if place < len(members):
            members[place] = last
            self.place[last] = (group, place)
        if not members:
            del self.groups[group], self.bounds[group]
            self.order.remove(group)

    def best(self, chance: Random, prior: Prior, n: Sequence[int], total: Sequence[float], squares: Sequence[float]) -> int:
        """The arm that draws highest. The columns have each arm's scores at its id."""
        best, most = -1, -inf
        for group in self.order:
            members, bound = self.groups[group], self.bounds[group]
            size = len(members)
            log_rest = 0.0
            """Log of the largest luck that is left."""
            for seen in range(size):
                log_rest += log(1.0 - chance.random()) / (size - seen)
                tail = -expm1(log_rest)
                if best >= 0 and not seen % 2 and tail <= 0.5 and not prior.beats(bound, tail, most):  # asking costs as much as looking
                    break
                other = seen + int(chance.random() * (size - seen))
                arm = members[other]
                members[seen], members[other] = arm, members[seen]
                self.place[arm], self.place[members[other]] = (group, seen), (group, other)
                shape = prior.shape(n[arm], total[arm], squares[arm])
                if best < 0 or prior.beats(shape, tail, most):
                    best, most = arm, prior.reach(shape, max(tail, 1e-300))
        return best
