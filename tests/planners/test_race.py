"""Races: who is given up, who is kept, bounds that hold, and what bad input gets."""

from __future__ import annotations

from random import Random

import pytest

from rookery.errors import SearchInvalid
from rookery.planners.race import Race, Trial


def played(race: Race, quality: list[float], cost: list[float], *, noise: float = 0.1, seed: int = 0) -> Race:
    chance = Random(seed)
    while not race.done:
        asked = race.ask(7)
        assert asked, "a race that is not over asks, once all is told"
        for candidate, sample in asked:
            race.tell(candidate, sample, Trial(quality[candidate] + chance.gauss(0, noise), cost[candidate], 1.0))
    return race


def test_who_is_worse_in_all_is_given_up_early_and_who_trades_is_kept() -> None:
    race = played(Race(4, 100, seed=1), [0.9, 0.5, 0.6, 0.2], [3.0, 1.0, 3.0, 2.0])
    verdicts = {one.candidate: one.verdict for one in race.standings()}
    assert verdicts == {0: "on the front", 1: "on the front", 2: "dominated", 3: "dominated"}
    assert race.why == "decided" and race.trials < 400 / 2
    worst = next(one for one in race.standings() if one.candidate == 3)
    assert worst.dominated_by == 1 and worst.trials < 100 and worst.quality.low < worst.quality.mean < worst.quality.high


def test_what_is_too_near_stays_in_doubt() -> None:
    race = played(Race(2, 20), [0.5, 0.501], [1.0, 1.0], noise=0.3)
    assert [one.verdict for one in race.standings()] == ["may be on the front"] * 2 and race.why == "samples" and race.trials == 40


def test_right_and_wrong_alone_prove_little() -> None:
    race = Race(2, 8)
    for candidate, sample in race.ask(100):
        race.tell(candidate, sample, Trial(1.0, float(candidate)))
    assert all(one.verdict != "dominated" or one.candidate == 1 for one in race.standings())
    assert race.standings()[0].candidate == 0


@pytest.mark.parametrize("most", [1, 5, 10, 33, 77])
def test_never_more_trials_than_allowed(most: int) -> None:
    race = Race(10, 20, most_trials=most)
    asked = set()
    while not race.done:
        now = race.ask(3)
        assert not asked & set(now), "no sample twice"
        asked |= set(now)
        for candidate, sample in now:
            race.tell(candidate, sample, Trial(0.5))
    assert len(asked) == race.trials <= most and len(race.standings()) == 10


def test_the_order_of_telling_does_not_matter() -> None:
    def verdicts(turn: int) -> list[tuple[int, str]]:
        race, chance = Race(5, 30, seed=3), Random(4)
        quality = {(c, s): c / 5 + chance.gauss(0, 0.2) for c in range(5) for s in range(30)}
        while not race.done:
            for candidate, sample in race.ask(1000)[::turn]:
                race.tell(candidate, sample, Trial(quality[candidate, sample], 5.0 - candidate % 2))
        return [(one.candidate, one.verdict) for one in race.standings()]

    assert verdicts(1) == verdicts(-1)


def test_bad_input() -> None:
    for numbers in ({"candidates": 0, "samples": 1}, {"candidates": 1, "samples": 0}, {"candidates": 1, "samples": 1, "most_trials": 0},
                    {"candidates": 1, "samples": 1, "confidence": 1.0}):  # fmt: skip
        with pytest.raises(SearchInvalid):
            Race(**numbers)  # type: ignore[arg-type]
    race = Race(1, 1)
    with pytest.raises(SearchInvalid, match="not asked"):
        race.tell(0, 0, Trial(1.0))
    race.ask(1)
    with pytest.raises(SearchInvalid, match="finite"):
        race.tell(0, 0, Trial(float("nan")))
    race.tell(0, 0, Trial(1.0))
    assert race.done and race.standings()[0].verdict == "on the front"
