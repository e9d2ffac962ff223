"""The loss ledger says after which step how many problems could still be solved, and blames the right one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery import run, tool
from rookery.planners import Child, beam, ledger, search
from tests.planners.numbers import Hand, hand, judge, know, next_steps, reaches_24, solvable, steps_of

HANDS = [hand(4, 5, 6, 10), hand(1, 2, 3, 4), hand(3, 3, 8, 8), hand(2, 4, 9, 9)]


def found(propose: Any, evaluate: Any, *, goal: Any = reaches_24, **options: Any) -> list[Any]:
    parts: dict[str, Any] = {"propose": propose, "evaluate": evaluate, "goal": goal}
    return [run(search(state=one, planner=beam(**{"width": 2, **options}), **parts)) for one in HANDS]


def test_where_nothing_is_lost_nothing_is_blamed() -> None:
    whole = ledger(found(next_steps, know), solvable=solvable)
    assert [len(stage) for stage in whole.stages] == [4] * 9 and whole.losses == []
    assert [(stage.name, stage.depth) for stage in whole.stages[:3]] == [("all", None), ("proposed", 1), ("kept", 1)]


def test_a_proposer_that_misses_is_blamed_at_its_step() -> None:
    @tool(inline=True)
    def blind(state: Hand) -> list[Hand]:
        """Of three numbers nothing that can still be solved; of one hand not even of four."""
        is_blind = len(state.numbers) == 3 or (len(state.numbers) == 4 and 9 in state.numbers)
        return [child for child in steps_of(state) if not (is_blind and solvable(child))]

    losses = ledger(found(blind, know), solvable=solvable).losses
    assert [(stage.name, stage.depth, lost) for stage, lost in losses] == [("proposed", 1, -1), ("proposed", 2, -3)]


def test_a_judge_that_errs_is_blamed_at_the_selection() -> None:
    @tool(inline=True)
    def contrary(state: Hand) -> float:
        return -float(solvable(state)) if len(state.numbers) == 2 else float(solvable(state))

    kept = ledger(found(next_steps, contrary), solvable=solvable)
    assert [(stage.name, stage.depth) for stage, _ in kept.losses] == [("kept", 2)]
    place = next(place for place, stage in enumerate(kept.stages) if (stage.name, stage.depth) == ("kept", 2))
    assert kept.lost(place) == (0, 1, 2, 3) and kept.lost(0) == ()


def test_a_last_step_that_fails_is_blamed_at_the_end() -> None:
    @tool(inline=True)
    def write(state: Hand) -> list[Hand | str]:
        return ["right" if 9 not in map(abs, state.numbers) else "wrong"] if len(state.numbers) == 1 else [*steps_of(state)]

    @tool(inline=True)
    def rank(state: Hand | str) -> float:
        return float(isinstance(state, Hand) and solvable(state)) or float(state == "wrong")

    results = found(write, rank, goal=None, depth=4)
    stages = ledger(results, solvable=solvable, right=lambda answer: answer == "right", depth=3).stages
    assert [(stage.name, len(stage)) for stage in stages[-3:]] == [("kept", 4), ("finished", 4), ("ranked first", 4)]
    stages = ledger(results, solvable=solvable, right=lambda answer: False, depth=3).stages
    assert [len(stage) for stage in stages[-3:]] == [4, 0, 0]


def test_a_problem_solved_early_is_not_lost_later() -> None:
    @tool(inline=True)
    def countdown(state: int) -> list[int]:
        return [state - 1]

    results = [run(search(state=n, propose=countdown, evaluate=lambda state: 1.0, goal=lambda state: state == 0, planner=beam())) for n in (1, 5)]
    whole = ledger(results, solvable=lambda state: True)
    assert whole.losses == [] and len(whole.stages) == 1 + 2 * 5 + 2


def test_answers_of_another_type_are_no_states() -> None:
    @tool(inline=True)
    def guess(state: Hand) -> list[Child[str]]:
        return [Child("24")]

    def judged(state: Hand) -> bool:
        return bool(state.numbers)

    result = run(search(state=hand(1, 2, 3, 4), propose=guess, evaluate=lambda state: 1.0, goal=lambda state: state == "24", planner=beam()))
    assert [len(stage) for stage in ledger([result], solvable=judged).stages] == [1, 0, 0, 1, 1]


def test_the_table_names_stages_and_losses() -> None:
    lines = str(ledger(found(next_steps, judge, width=1), solvable=solvable)).splitlines()
    assert lines[0].split() == ["solvable", "lost"] and lines[1].split() == ["all", "4"] and lines[-1].startswith("ranked first")
    assert any(line.split()[-1].startswith("-") for line in lines)
    assert ledger([], solvable=solvable).losses == []


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(0, 5))
def test_a_stage_never_has_what_an_earlier_one_had_not(width: int, salt: int) -> None:
    @tool(inline=True)
    def some(state: Hand) -> list[Hand]:
        return [child for place, child in enumerate(steps_of(state)) if (place * 7 + salt) % 3 == 0]

    stages = ledger(found(some, judge, width=width), solvable=solvable).stages
    for before, after in pairwise(stages):
        assert set(after.problems) <= set(before.problems)


def test_unannotated_judges_get_plain_data() -> None:
    seen: list[Any] = []
    results = found(next_steps, know)
    ledger(results, solvable=lambda state: bool(seen.append(state)))  # type: ignore[func-returns-value]
    assert seen and all(isinstance(state, dict) and "numbers" in state for state in seen)
    with pytest.raises(ZeroDivisionError):
        ledger(results, solvable=lambda state: bool(1 // 0))
