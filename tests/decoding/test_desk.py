"""Where facts are asked for: once for each question, never longer than a budget, and everything ends."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import pytest

from rookery.decoding import Cursor, Desk, Facts, Query
from rookery.decoding.desk import MOST_NAMES
from rookery.decoding.monitor import Analyser
from tests.decoding.words import Source, Told, dot

KNOWN = Facts(("a",))
QUESTION = Query("members", Cursor("x."))


@dataclass(frozen=True)
class Kept:
    """A source that remembers the analysers it made."""

    facts: Facts = KNOWN
    delay_s: float = 0.0
    dies: bool = False
    made: list[Told] = field(default_factory=list, compare=False)

    def __call__(self) -> Analyser:
        self.made.append(Told(self.facts, self.delay_s, self.dies))
        return self.made[-1]

    def __hash__(self) -> int:
        return 1


async def test_sources_that_are_equal_share_an_analyser_and_a_question_is_asked_once() -> None:
    desk, source = Desk(), Kept()
    first, second = await asyncio.gather(desk.facts(source, QUESTION, 1.0), desk.facts(Kept(made=source.made), QUESTION, 1.0))
    assert first == second == (Facts(("a",)), "known")
    assert len(source.made) == 1 and len(source.made[0].asked) == 1
    await desk.aclose()
    await desk.aclose()
    assert source.made[0].closed == 1


async def test_what_comes_late_is_there_the_next_time() -> None:
    desk, source = Desk(), Kept(delay_s=0.05)
    began = time.perf_counter()
    assert await desk.facts(source, QUESTION, 0.001) == (None, "late") and time.perf_counter() - began < 0.045
    await asyncio.sleep(0.2)
    assert await desk.facts(source, QUESTION, 0.0) == (Facts(("a",)), "known") and len(source.made[0].asked) == 1
    await desk.aclose()


@pytest.mark.parametrize(("facts", "outcome"), [(Facts(), "empty"), (Facts(("a",), is_complete=False), "unknown"),
                                                (Facts(tuple(map(str, range(MOST_NAMES + 1)))), "unknown"), (Facts(signatures=((),)), "known")])
async def test_what_an_answer_is_good_for(facts: Facts, outcome: str) -> None:
    desk = Desk()
    found, what = await desk.facts(Kept(facts), QUESTION, 1.0)
    assert what == outcome and (found is not None) == (outcome == "known")
    await desk.aclose()


async def test_an_analyser_that_dies_is_counted_and_asked_again() -> None:
    desk, source = Desk(), Kept(dies=True)
    for _ in range(2):
        assert await desk.facts(source, QUESTION, 1.0) == (None, "failed")
    assert len(source.made[0].asked) == 2
    await desk.aclose()


async def test_closing_does_not_wait_for_an_answer() -> None:
    desk = Desk()
    began = time.perf_counter()
    assert (await desk.facts(Source(delay_s=60.0), QUESTION, 0.0))[1] == "late"
    await desk.warm(dot())
    await desk.aclose()
    assert time.perf_counter() - began < 5
