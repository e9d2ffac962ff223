"""The loop guard: rounds are found whatever their length, within two repeats and not before; what differs is no round."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rookery.agents.repeats import LONGEST, Repeats

WORDS = st.text("abc", min_size=1, max_size=2)


@given(st.lists(st.integers(), max_size=20, unique=True), st.integers(1, LONGEST))
def test_a_round_is_stopped_at_its_second_repeat(before: list[int], period: int) -> None:
    guard = Repeats()
    for step in before:
        assert guard.note(step) == "new"
    verdicts = [guard.note("round", place % period) for place in range(3 * period)]
    assert verdicts[: 2 * period - 1] == ["new"] * (2 * period - 1)
    assert verdicts[2 * period - 1] == "again" and verdicts[-1] == "stuck" and "stuck" not in verdicts[:-1]


@given(st.lists(WORDS, max_size=60))
def test_it_says_stuck_exactly_when_a_round_stands_three_times_at_the_end(steps: list[str]) -> None:
    guard = Repeats()
    for count, step in enumerate(steps, 1):
        verdict = guard.note(step)
        seen = steps[:count]
        rounds = [period for period in range(1, LONGEST + 1) if count >= 3 * period
                  and seen[-period:] == seen[-2 * period : -period] == seen[-3 * period : -2 * period]]  # fmt: skip
        assert (verdict == "stuck") == bool(rounds)


def test_the_order_of_keys_and_space_make_no_difference_and_results_do() -> None:
    guard = Repeats()
    one = guard.call("f", '{"a": 1, "b": "x  y"}', "ok")
    assert one == guard.call("f", '{"b":"x y",\n "a":1}', " ok\n")
    assert one != guard.call("f", '{"a": 1, "b": "x y"}', "done") and one != guard.call("g", '{"a": 1, "b": "x y"}', "ok")
    assert guard.call("f", "no JSON", "ok") == guard.call("f", "no  JSON", "ok")


def test_what_is_exempt_may_repeat_but_not_the_rest() -> None:
    guard = Repeats(exempt=["poll"])
    assert {guard.note(guard.call("poll", "{}", "not yet")) for _ in range(30)} == {"new"}
    assert [guard.note(guard.call("f", "{}", "ok")) for _ in range(3)] == ["new", "again", "stuck"]


def test_more_rounds_may_be_asked_for() -> None:
    guard = Repeats(rounds=4)
    assert [guard.note("x") for _ in range(5)] == ["new", "again", "again", "again", "stuck"]
