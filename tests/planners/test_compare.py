"""Planners side by side: the same limit, best-of-n always there, hidden checks kept hidden, and intervals that say what is chance."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery import GraphInvalid, Limit, SQLiteLog, resume, run, start, tool
from rookery.core import event as ev
from rookery.errors import CallFailed, CapabilityMissing, SearchInvalid
from rookery.models.model import Request
from rookery.models.scripted import ScriptedModel
from rookery.planners import Comparison, beam, best_first, best_of_n, compare, public_tests, self_consistency, value
from rookery.planners.interval import paired_difference, wilson
from tests.planners.numbers import Hand, hand, judge, know, next_steps, reaches_24
from tests.planners.test_search import lines, word

HANDS = [hand(4, 5, 6, 10), hand(1, 2, 3, 4), hand(3, 3, 8, 8)]
PARTS: dict[str, Any] = {"propose": next_steps, "evaluate": know, "goal": reaches_24, "limit": None}


def compared(planners: Sequence[Any], problems: Sequence[Any] = HANDS, **more: Any) -> Comparison:
    found = run(compare(planners, problems, **{**PARTS, **more}))
    assert isinstance(found, Comparison)
    return found


def test_best_of_n_is_always_among_them() -> None:
    found = compared([beam(width=2)])
    assert [row.planner.partition("(")[0] for row in found.rows] == ["best_of_n", "beam"]
    assert found.baseline == "best_of_n(n=8, depth=10)"
    own = compared([beam(width=2), best_of_n(3), best_of_n(5)])
    assert own.baseline == "best_of_n(n=3, depth=10)" and len(own.rows) == 3


def test_rows_say_what_was_solved_spent_and_why_it_stopped() -> None:
    row = compared([beam(width=2), best_first()]).row("beam")
    assert row.solved == [True] * 3 and row.share == 1.0 and row.stops == {"verified": 3} and row.works > 10 and row.unused == []
    assert compared([self_consistency(4)]).row("self_consistency").unused == ["evaluate"]
    assert compared([beam(width=2)]).row("best_of_n").unused == ["evaluate"], "a goal decides, so nothing was judged"
    with pytest.raises(KeyError):
        compared([beam(width=2)]).row("mcts")


def _answers(request: Request) -> str:
    text = request.messages[-1].text
    if text.startswith("Judge"):
        return "sure" if text.rstrip(":").endswith("b") else "impossible"
    state = text.removeprefix("Steps from ").rstrip(":")
    return f"{state}a\n{state}b"


MODEL_PARTS: dict[str, Any] = {
    "propose": lines, "evaluate": value(word, scale={"sure": 20, "impossible": 0.001}), "goal": lambda state: state == ".bbb",
}  # fmt: skip


def test_all_are_held_to_the_same_limit_and_none_profits_from_another() -> None:
    parts = {**MODEL_PARTS, "goal": lambda state: False, "limit": Limit(calls=12)}
    found = compared([beam(width=2), best_first()], [".", ","], model=ScriptedModel(_answers), **parts)
    assert {row.calls for row in found.rows} == {12.0} and all(row.stops == {"limit: calls": 2} for row in found.rows)
    assert found.limit == "12 calls"
    alone = compared([best_first()], [".", ","], model=ScriptedModel(_answers), **parts)
    assert alone.row("best_first").calls == 12.0


def test_a_hidden_check_sees_finished_searches_only() -> None:
    begun: list[str] = []
    seen: list[tuple[Any, Any]] = []

    @tool(inline=True)
    def watched(state: Hand) -> list[Hand]:
        begun.append(state.key())
        return next_steps.function(state)

    async def hidden(problem: Hand, answer: Hand) -> bool:
        seen.append((problem, len(begun)))
        return problem.key() == "4 5 6 10" and reaches_24(answer)

    found = compared([beam(width=2)], propose=watched, goal=public_tests(reaches_24), hidden=hidden)
    assert found.row("beam").solved == [True, False, False] and found.row("beam").claimed == 2
    assert {number for _, number in seen} == {len(begun)}, "nothing is searched after the first hidden check"
    assert "passed by a hidden check" in str(found) and "2 passed the goal and not the hidden check" in str(found)


def test_a_planner_that_a_model_cannot_serve_is_refused_and_the_others_go_on() -> None:
    @tool(inline=True)
    def picky(state: Hand) -> list[Hand]:
        raise CapabilityMissing("no log-probabilities")

    assert compared([beam(width=2)], propose=picky).row("beam").stops == {"refused: CapabilityMissing": 3}

    @tool(inline=True)
    def broken(state: Hand) -> list[Hand]:
        raise ConnectionError("nobody there")

    with pytest.raises(CallFailed, match="nobody there"):
        compared([beam(width=2)], propose=broken)


def test_the_table_warns_of_what_is_chance() -> None:
    text = str(compared([beam(width=2)], goal=lambda state: False))
    assert text.startswith("3 problems; each search under no limit; solved: passed by the search's own goal")
    assert "too few to rank planners" in text and "no difference from best-of-n beyond chance: beam" in text and "no model was asked" in text
    assert "beam(width=2, depth=10, samples=1, select='best')" in text

    @tool(inline=True)
    def hopeless(state: int) -> list[int]:
        return [state + 1, state + 2]

    many = compared(
        [beam(width=50, depth=3), best_of_n(1, depth=3)], list(range(0, 4_000, 10)), propose=hopeless, evaluate=lambda state: state % 10,
        goal=lambda state: state % 10 == 6, at_a_time=50,
    )  # fmt: skip
    assert not any("too few" in warning or "beyond chance" in warning for warning in many.warnings), many.warnings


def test_what_makes_no_sense_is_said_before_anything_runs() -> None:
    for planners, problems, options, words in (
        ([], HANDS, {}, "nothing to compare"), ([beam()], [], {}, "nothing to compare"), ([beam()], HANDS, {"at_a_time": 0}, "nothing to compare"),
        ([beam(), beam()], HANDS, {}, "twice"), ([beam()], HANDS, {"reflekt": judge}, "knows a step reflekt"),
    ):
        with pytest.raises(SearchInvalid, match=words):
            compare(planners, problems, **{**PARTS, **options})
    with pytest.raises(GraphInvalid, match="evaluate"):
        compare([beam()], HANDS, **{**PARTS, "evaluate": None})
    with pytest.raises(GraphInvalid, match="propose takes Hand"):
        compare([beam()], [*HANDS, "4 5 6 10"], **PARTS)


def test_it_is_awaited_in_async_code() -> None:
    async def program() -> list[str]:
        found = await compare([beam(width=2)], HANDS, **PARTS)
        return [row.planner for row in found.rows]

    assert len(run(program)) == 2


def test_it_resumes_and_repeats_nothing(tmp_path: Any) -> None:
    model = ScriptedModel(_answers)
    made = lambda: compare([beam(width=2)], [".", ","], model=model, limit=Limit(calls=20), **MODEL_PARTS)  # noqa: E731

    async def main() -> None:
        path = tmp_path / "log.db"
        async with start(made(), log=path, id="c") as first:
            whole = await first
        requests = len(model.requests)
        log = SQLiteLog(path)
        half = [event for event in log.read("c") if not isinstance(event, ev.RunFinished)]
        log.close()
        assert len(half) > 20
        async with resume("c", made(), log=path) as again:
            assert await again == whole
        assert len(model.requests) == requests

    asyncio.run(main())


# ------------------------------------------------------------------ intervals


@pytest.mark.parametrize(
    ("right", "n", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (29, 29, 0.8830, 1.0)]
)
def test_wilson_as_published(right: int, n: int, low: float, high: float) -> None:
    """Newcombe 1998, Statistics in Medicine 17:857, table I, method 3."""
    assert wilson(right, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(("both", "first", "second", "neither", "low", "high"), [
    (36, 12, 2, 0, 0.0569, 0.3404), (54, 0, 0, 0, -0.0664, 0.0664),
])  # fmt: skip
def test_paired_difference_as_published(both: int, first: int, second: int, neither: int, low: float, high: float) -> None:
    """Newcombe 1998, Statistics in Medicine 17:2635, table III, method 10."""
    one = [True] * (both + first) + [False] * (second + neither)
    other = [True] * both + [False] * first + [True] * second + [False] * neither
    _, below, above = paired_difference(one, other)
    assert (below, above) == (pytest.approx(low, abs=2e-3), pytest.approx(high, abs=2e-3))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200))
def test_intervals_hold_the_figure_and_turn_round(pairs: list[tuple[bool, bool]]) -> None:
    one, other = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    low, high = wilson(sum(one), len(one))
    assert 0 <= low <= sum(one) / len(one) <= high <= 1 and high - low <= 2.1 / sqrt(len(one))
    mean, below, above = paired_difference(one, other)
    assert -1 <= below <= mean <= above <= 1
    assert paired_difference(other, one) == (pytest.approx(-mean), pytest.approx(-above), pytest.approx(-below))
    assert wilson(0, 0) == (0.0, 1.0) and paired_difference([], []) == (0.0, -1.0, 1.0)
