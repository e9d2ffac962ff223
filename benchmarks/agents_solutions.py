"""Solution search on simulated pools whose true front is known: does the front that comes back hold it, and for how many calls.

A pool is models of different skill, price and speed times ways to use them; skills, prices and what a way adds are drawn anew for each seed.
Quality is right or wrong, or a number with noise; half of the luck of a sample is shared by all ways (some samples are hard). Cost and latency are
told with noise. Pools in which a first look at 8 samples would leave out more than half of the ways are left out: they are easy. Exhaustive is
every way on all 100 samples; the race's cap is its shipped default, 40 % of that. No model is asked.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.report import Target, finish, options, say, table
from rookery.planners import Race, Trial

SIZES = (20, 40, 80, 120, 200)
NOISES: tuple[float | None, ...] = (None, 0.05, 0.1, 0.2, 0.4)
"""Standard deviations of a quality; None: right or wrong."""
SAMPLES, SEEDS = 100, 200
SHARE = 0.4


@dataclass(frozen=True, slots=True)
class Pool:
    """Ways with their true means."""

    quality: Any
    cost: Any
    latency: Any

    def front(self) -> set[int]:
        """The ways that no other is as good as in everything and better in something."""
        found = set()
        for i in range(len(self.quality)):
            as_good = (self.quality >= self.quality[i]) & (self.cost <= self.cost[i]) & (self.latency <= self.latency[i])
            better = (self.quality > self.quality[i]) | (self.cost < self.cost[i]) | (self.latency < self.latency[i])
            if not (as_good & better).any():
                found.add(i)
        return found


def pool(size: int, chance: np.random.Generator) -> Pool:
    """Models and ways of using them, and of all that makes so many at random."""
    models = max(3, size // 6)
    skill = np.sort(chance.uniform(0.25, 0.85, models)) + chance.normal(0, 0.05, models)
    price, seconds = np.exp(np.linspace(0, 3, models) + chance.normal(0, 0.3, models)), np.exp(chance.uniform(-0.5, 1.0, models))
    gain = np.array([0.0, 0.04, 0.06, 0.08, 0.1, 0.02, 0.12, -0.05])
    dearer, slower = np.array([1.0, 1.8, 2.6, 3.0, 5.0, 1.3, 7.0, 0.7]), np.array([1.0, 1.9, 2.8, 1.1, 1.2, 1.4, 3.0, 0.8])
    pairs = [(m, w) for m in range(models) for w in range(len(gain))]
    picked = [pairs[place] for place in chance.permutation(len(pairs))[:size]]
    quality = np.array([np.clip(skill[m] + gain[w] * chance.uniform(-0.5, 1.8), 0.02, 0.98) for m, w in picked])
    cost = np.array([price[m] * dearer[w] * chance.uniform(0.8, 1.25) for m, w in picked])
    latency = np.array([seconds[m] * slower[w] * chance.uniform(0.8, 1.25) for m, w in picked])
    return Pool(quality, cost, latency)


class Play:
    """Draws of what each way does on each sample, the same whoever asks."""

    def __init__(self, made: Pool, noise: float | None, chance: np.random.Generator) -> None:
        size = len(made.quality)
        shared, own = chance.normal(0, 1, SAMPLES)[None, :], chance.normal(0, 1, (size, SAMPLES))
        luck = (shared + own) / np.sqrt(2)
        if noise is None:
            bound = np.array([_quantile(q) for q in made.quality])
            self.quality = (luck < bound[:, None]).astype(float)
        else:
            self.quality = made.quality[:, None] + noise * luck
        self.cost = made.cost[:, None] * np.exp(chance.normal(0, 0.15, (size, SAMPLES)))
        self.latency = made.latency[:, None] * np.exp(chance.normal(0, 0.3, (size, SAMPLES)))

    def carry(self, race: Race) -> None:
        while not race.done:
            for way, sample in race.ask(1 << 30):
                race.tell(way, sample, Trial(float(self.quality[way, sample]), float(self.cost[way, sample]), float(self.latency[way, sample])))


def _quantile(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(float(share))


def is_easy(play: Play, size: int) -> bool:
    """Whether the first eight samples show more than half of the ways to be dominated."""
    race = Race(size, SAMPLES, most_trials=8 * size)
    play.carry(race)
    return sum(one.verdict == "dominated" for one in race.standings()) > size / 2


def one(size: int, noise: float | None, seed: int) -> dict[str, Any]:
    """One pool that is not easy, raced; how many had to be drawn."""
    chance = np.random.default_rng([seed, size, 0 if noise is None else int(noise * 1000)])
    drawn, easy = 0, True
    while easy:
        made = pool(size, chance)
        play = Play(made, noise, chance)
        drawn, easy = drawn + 1, is_easy(play, size)
    cap = int(SHARE * size * SAMPLES)
    race = Race(size, SAMPLES, most_trials=cap, seed=seed)
    play.carry(race)
    front, standings = made.front(), race.standings()
    band = {each.candidate for each in standings if each.verdict != "dominated"}
    sure = {each.candidate for each in standings if each.verdict == "on the front"}
    held = [each.quality.low <= made.quality[each.candidate] <= each.quality.high for each in standings]
    return {
        "holds": front <= band, "sure_wrong": len(sure - front), "calls": race.trials / (size * SAMPLES), "over_cap": race.trials > cap,
        "front": len(front), "band": len(band), "sure": len(sure), "held": sum(held) / size, "size": size, "drawn": drawn,
    }  # fmt: skip


def measure(*, seeds: int) -> tuple[dict[str, Any], list[Target], list[str]]:
    """The figures, the targets and a table."""
    rows = []
    for noise in NOISES:
        per_size = -(-seeds // len(SIZES))
        found = [one(size, noise, seed) for size in SIZES for seed in range(per_size)]
        mean = {key: float(np.mean([each[key] for each in found])) for key in found[0]}
        rows.append({"noise": "right or wrong" if noise is None else f"sd {noise}", "pools": len(found), **mean})
        say(f"{rows[-1]['noise']}: held {mean['holds']:.3f}, calls {mean['calls']:.3f}")
    targets = [Target(f"solution search, {row['noise']}: the true front inside the band", row["holds"], 0.95, at_least=True) for row in rows]
    targets += [Target(f"solution search, {row['noise']}: calls by those of exhaustive evaluation", row["calls"], SHARE) for row in rows]
    targets += [Target("solution search: races past their cap", sum(row["over_cap"] * row["pools"] for row in rows), 0)]
    head = ("quality told with", "pools", "front held", "calls", "ways", "true front", "band", "surely on it", "wrongly", "intervals hold", "drawn")
    keys = ("noise", "pools", "holds", "calls", "size", "front", "band", "sure", "sure_wrong", "held", "drawn")
    return {"rows": rows}, targets, table(head, [tuple(row[key] for key in keys) for row in rows])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    chosen = options(__doc__, argv, seeds={"type": int, "default": None, "help": f"pools for each noise (default: {SEEDS}; quick: 10)"})
    figures, targets, lines = measure(seeds=chosen.seeds or (10 if chosen.quick else SEEDS))
    return finish("agents_solutions", figures, targets, lines, chosen)


if __name__ == "__main__":
    sys.exit(main())
