"""A race: many candidates on the same samples, those left behind that are surely worse in everything, and what may be best kept.

Quality is to be high, cost and latency low. A candidate is given up when another one is at least as good in all three and better in one, and the
difference is no chance (racing: Maron and Moore 1994; dominance on several aims as in Zhang, Georgiopoulos and Anagnostopoulos 2013, S-Race).
Pure: it says what to try next and is told what came of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rookery.errors import SearchInvalid
from rookery.planners.posterior import student

AIMS = ("quality", "cost", "latency")
SIGNS = (1.0, -1.0, -1.0)
"""What is to be low is told with its sign turned."""
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trial:
    """What one candidate did on one sample."""

    quality: float
    """Higher is better, mostly 0 to 1."""
    cost: float = 0.0
    latency: float = 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its interval, at the race's confidence for each number by itself."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a candidate at the end."""

    candidate: int
    verdict: Literal["on the front", "may be on the front", "dominated"]
    quality: Estimate
    cost: Estimate
    latency: Estimate
    trials: int
    dominated_by: int | None = None


class Race:
    """Candidates against each other, sample by sample.

    Ask for trials, tell what came of them, until ``done``. All candidates that are still in see the same samples in the same order, so
    that differences are taken pair by pair. The order of telling does not matter; a round is judged when all its trials are told.

    :param candidates: how many there are.
    :param samples: how many there are; each candidate sees a sample at most once.
    :param most_trials: never more than so many trials in all; None: no bound.
    :param confidence: of no candidate of the true front being given up. Student's t of each pair of candidates, with Bonferroni's correction for
        candidates and rounds. Not for pairs: that a candidate of the front has many others that are cheaper and all but as good is rare,
        and how often the front is held is measured (docs/benchmarks.md).
    :param first: samples of the first round; each later one is as long as all before it.
    :param seed: of the order of the samples.
    """

    def __init__(
        self, candidates: int, samples: int, *, most_trials: int | None = None, confidence: float = 0.95, first: int = 8, seed: int = 0
    ) -> None:
        if min(candidates, samples, first, 1 if most_trials is None else most_trials) < 1 or not 0.5 <= confidence < 1:
            raise SearchInvalid(
                "a race needs at least one candidate, sample and trial, and a confidence from 0.5 up to 1",
                hint=f"it was given candidates={candidates}, samples={samples}, first={first}, most_trials={most_trials}, confidence={confidence}",
            )
        self.order = list(range(samples))
        Random(seed).shuffle(self.order)
        self.trials = 0
        """Asked so far."""
        self.why = ""
        """Why it is over: ``decided``, ``samples`` (none are left) or ``most_trials``."""
        self._most = most_trials
        self._first = min(first, samples)
        self._seen = 0
        """Samples that all candidates still in have done."""
        self._values = np.full((3, candidates, samples), np.nan)
        """By aim, candidate and place in the order."""
        self._place = {sample: place for place, sample in enumerate(self.order)}
        self._by: list[int | None] = [None] * candidates
        """Which candidate dominates it."""
        self._settled = np.zeros(candidates, dtype=bool)
        """Surely on the front, and so dominated by nobody."""
        self._running = np.ones(candidates, dtype=bool)
        self._waiting: set[tuple[int, int]] = set()
        self._to_ask: list[tuple[int, int]] = []
        self._alpha = (1 - confidence) / candidates / _rounds(self._first, samples)
        self._confidence = confidence
        self._next_round()

    def ask(self, most: int) -> list[tuple[int, int]]:
        """At most ``most`` pairs of candidate and sample to try; none while a round's last trials are out, and when it is over."""
        now, self._to_ask = self._to_ask[:most], self._to_ask[most:]
        self._waiting.update(now)
        return now

    def tell(self, candidate: int, sample: int, trial: Trial) -> None:
        """What came of a trial. One that failed is told with the quality it has then.

        :raises SearchInvalid: it was not asked, or a number is not finite.
        """
        numbers = (trial.quality, trial.cost, trial.latency)
        if (candidate, sample) not in self._waiting or not np.isfinite(numbers).all():
            raise SearchInvalid(f"candidate {candidate} on sample {sample}: it was not asked, or {numbers} are not finite numbers")
        self._waiting.discard((candidate, sample))
        self._values[:, candidate, self._place[sample]] = [sign * number for sign, number in zip(SIGNS, numbers, strict=True)]
        if not self._waiting and not self._to_ask and not self.why:
            self._judge()
            self._next_round()

    @property
    def done(self) -> bool:
        return bool(self.why) and not self._waiting

    def _next_round(self) -> None:
        """The trials of the next round: the same samples for all that are running."""
        running, samples = np.flatnonzero(self._running), len(self.order)
        upto = min(samples, 2 * self._seen if self._seen else self._first)
        if self._most is not None and len(running):
            upto = min(upto, self._seen + (self._most - self.trials) // len(running))
        if not len(running):
            self.why = "decided"
        elif self._seen == samples:
            self.why = "samples"
        elif upto <= self._seen:
            self.why = "most_trials"
        else:
            self._to_ask = [(int(candidate), self.order[place]) for place in range(self._seen, upto) for candidate in running]
            self.trials += len(self._to_ask)
            self._seen = upto

    # -------------------------------------------------------------- judging

    def _judge(self) -> None:
        """Give up who is surely dominated, and let those rest whose place is known and who can dominate nobody in doubt."""
        running = np.flatnonzero(self._running)
        values = self._values[:, running, : self._seen]
        not_worse, better = self._compared(values)
        beats = not_worse & better.any(axis=0)  # [i, j]: j beats i, surely
        for i, candidate in enumerate(running):
            by = np.flatnonzero(beats[i])
            if len(by):
                self._by[candidate] = int(running[by[np.argmax(values[0, by].mean(axis=1))]])
        left = np.array([self._by[candidate] is None for candidate in running])
        may_beat = left[None, :] & left[:, None] & ~better.any(axis=0).T  # [i, j]: i is not surely better than j in anything
        np.fill_diagonal(may_beat, False)
        doubtful = left & may_beat.any(axis=1)
        self._settled[running] = left & ~doubtful
        self._running[running] = doubtful | (left & may_beat[doubtful].any(axis=0))

    def _compared(self, values: Matrix) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Of all pairs [i, j]: whether j is surely not worse than i in any aim; and by aim whether it is surely better."""
        n, size = values.shape[2], values.shape[1]
        if n < 2:
            return np.zeros((size, size), dtype=bool), np.zeros((3, size, size), dtype=bool)
        t = student(max(self._alpha, 1e-12), n - 1)
        not_worse = np.ones((size, size), dtype=bool)
        better = []
        for each in values:
            mean = each.mean(axis=1)
            gap = mean[None, :] - mean[:, None]
            centred = each - mean[:, None]
            products = centred @ centred.T
            square = np.diag(products)
            spread = np.maximum(0.0, square[None, :] + square[:, None] - 2 * products) / (n - 1)
            half = t * np.sqrt(np.maximum(spread, _grain(each) ** 2 / n) / n)
            rounding = 1e-9 * float(np.abs(mean).max())
            not_worse &= gap - half >= -rounding
            better.append(gap - half > rounding)
        return not_worse, np.stack(better)

    # -------------------------------------------------------------- the end

    def standings(self) -> list[Standing]:
        """All candidates: those on the front first, then those that may be, each by quality; then the dominated."""
        rank = {"on the front": 0, "may be on the front": 1, "dominated": 2}
        made = [self._standing(candidate) for candidate in range(len(self._by))]
        return sorted(made, key=lambda one: (rank[one.verdict], -one.quality.mean, one.candidate))

    def _standing(self, candidate: int) -> Standing:
        told = self._values[:, candidate]
        told = told[:, ~np.isnan(told[0])]
        quality, cost, latency = (_estimate(sign * row, self._confidence) for sign, row in zip(SIGNS, told, strict=True))
        by = self._by[candidate]
        verdict: Literal["on the front", "may be on the front", "dominated"] = (
            "dominated" if by is not None else "on the front" if self._settled[candidate] else "may be on the front"
        )
        return Standing(candidate, verdict, quality, cost, latency, told.shape[1], by)


def _rounds(first: int, samples: int) -> int:
    """How often a race of so many samples is judged at most."""
    count, seen = 1, first
    while seen < samples:
        seen, count = 2 * seen, count + 1
    return count


def _grain(values: Matrix) -> float:
    """The smallest step between values: 1 for right and wrong. One trial more could always have differed by it, so no spread is taken as less."""
    different = np.unique(values)
    return float(np.diff(different).min()) if 1 < len(different) <= 64 else 0.0


def _estimate(values: Sequence[float] | Matrix, confidence: float) -> Estimate:
    """The mean and Student's interval of it; of one value or none nothing is known."""
    given = np.asarray(values, dtype=float)
    n = len(given)
    if n < 2:
        return Estimate(float(given.mean()) if n else float("nan"), float("-inf"), float("inf"))
    half = student((1 - confidence) / 2, n - 1) * sqrt(max(float(given.var(ddof=1)), _grain(given) ** 2 / n) / n)
    mean = float(given.mean())
    return Estimate(mean, mean - half, mean + half)
