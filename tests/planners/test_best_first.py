"""Best-first search: its order, the goal tested before anything is judged, further samples, and where it ends."""

from __future__ import annotations

import pytest

from rookery import run, tool
from rookery.errors import SearchInvalid
from rookery.planners import Check, best_first, search
from tests.planners.numbers import hand, judge, know, next_steps, reaches_24

DIGITS = {"": ["5", "9", "2"], "9": ["91", "92"], "5": ["57"], "57": ["577"]}


@tool(inline=True)
def digits(state: str) -> list[str]:
    return DIGITS.get(state, [])


@tool(inline=True)
def last_digit(state: str) -> float:
    return float(state[-1])


def proposed_from(found: object) -> list[str]:
    return [node.label for node in found.tree.nodes if node.status == "done"]  # type: ignore[attr-defined]


def test_the_best_state_of_the_whole_tree_is_next() -> None:
    found = run(search(state="", propose=digits, evaluate=last_digit, goal=lambda state: state == "577", planner=best_first()))
    assert found.answer == "577" and found.stop_reason == "verified"
    assert proposed_from(found) == ["", "5", "9", "57"], "9 came before 5, and 5 before what came of 9"
    assert found.works == {"propose": 4, "evaluate": 6}, "the goal is tested before the last one is judged"


def test_equals_go_deepest_first() -> None:
    tree = {"": ["a", "b"], "a": ["aa"], "b": ["ba"], "aa": ["aaa"]}

    @tool(inline=True)
    def grow(state: str) -> list[str]:
        return tree.get(state, [])

    found = run(search(state="", propose=grow, evaluate=lambda state: 1.0, goal=lambda state: state == "aaa", planner=best_first()))
    assert proposed_from(found) == ["", "a", "aa"]


def test_the_last_level_is_not_judged_where_there_is_a_goal() -> None:
    parts = {"state": hand(4, 5, 6, 10), "propose": next_steps, "evaluate": judge}
    shallow = run(search(goal=reaches_24, planner=best_first(depth=3), **parts))
    deep = run(search(goal=reaches_24, planner=best_first(), **parts))
    assert shallow.is_solved and deep.is_solved
    assert shallow.works["evaluate"] < deep.works["evaluate"]
    assert all(node.value is None for node in shallow.tree.nodes if node.label.count(" ") == 0)


def test_good_enough_is_gone_on_from_before_its_siblings_are_judged() -> None:
    parts = {"state": hand(4, 5, 6, 10), "propose": next_steps, "evaluate": know, "goal": reaches_24}
    eager = run(search(planner=best_first(), concurrency=1, **parts))
    lazy = run(search(planner=best_first(enough=1.0), concurrency=1, **parts))
    assert lazy.is_solved and lazy.works["propose"] == eager.works["propose"]
    assert lazy.works["evaluate"] < eager.works["evaluate"] / 2
    none = run(search(planner=best_first(enough=1.0, again=0), state="", propose=digits, evaluate=lambda state: 1.0, goal=lambda state: False))
    assert none.stop_reason == "exhausted" and none.works["evaluate"] == 7, "what was put off is judged when nothing else is open"


def test_a_state_is_asked_again_when_nothing_is_open() -> None:
    asked: list[tuple[str, int]] = []

    @tool(inline=True)
    def forgetful(state: str, sample: int = 0) -> list[str]:
        asked.append((state, sample))
        return [f"{state}{sample}"] if len(state) < 2 else []

    found = run(search(state="", propose=forgetful, evaluate=lambda state: 1.0, goal=lambda state: state == "12", planner=best_first(depth=2)))
    assert found.answer == "12" and asked[:4] == [("", 0), ("0", 0), ("", 1), ("1", 0)]
    assert ("1", 2) in asked


def test_what_brings_nothing_new_ends_it() -> None:
    found = run(search(state="", propose=digits, evaluate=last_digit, goal=lambda state: False, planner=best_first()))
    assert found.stop_reason == "exhausted" and found.works["propose"] == 8 + 8
    found = run(search(state="", propose=digits, evaluate=last_digit, goal=lambda state: False, planner=best_first(again=0)))
    assert found.stop_reason == "exhausted" and found.works["propose"] == 8


def test_one_shot_problems_are_asked_again() -> None:
    @tool(inline=True)
    def guess(state: int, sample: int = 0) -> str:
        return "x" * sample

    def near(answer: str) -> Check:
        return Check(len(answer) == 5, len(answer) / 5)

    found = run(search(state=1, propose=guess, goal=near, planner=best_first()))
    assert found.answer == "xxxxx" and found.works == {"propose": 6}


def test_without_a_goal_the_best_end_is_the_answer() -> None:
    found = run(search(state="", propose=digits, evaluate=last_digit, planner=best_first()))
    assert (found.answer, found.stop_reason) == ("577", "the best is an answer")
    found = run(search(state="", propose=digits, planner=best_first()))
    assert found.answer is not None


def test_low_values_are_pruned_and_failures_gone_past() -> None:
    found = run(search(state="", propose=digits, evaluate=last_digit, goal=lambda state: False, planner=best_first(prune_below=4, again=0)))
    assert proposed_from(found) == ["", "5", "9", "57", "577"]

    @tool(inline=True)
    def odd_judge(state: str) -> float:
        if state == "9":
            raise ValueError("9")
        return float("nan") if state == "2" else 1.0

    found = run(search(state="", propose=digits, evaluate=odd_judge, goal=lambda state: state == "91", planner=best_first(again=0)))
    assert found.answer == "91" and found.failed == 2, "what could not be judged goes last"


@pytest.mark.parametrize("concurrency", [1, 4, 16])
def test_the_tree_does_not_depend_on_concurrency(concurrency: int) -> None:
    parts = {"state": hand(1, 5, 6, 10), "propose": next_steps, "evaluate": judge, "goal": reaches_24, "planner": best_first(width=2)}
    assert run(search(concurrency=concurrency, **parts)).tree.states == run(search(concurrency=3, **parts)).tree.states


def test_odd_options_are_refused() -> None:
    for options in ({"width": 0}, {"depth": 0}, {"again": -1}, {"reopen": -1}, {"temperature": -1}, {"enough": float("nan")}):
        with pytest.raises(SearchInvalid):
            best_first(**options)  # type: ignore[arg-type]


def further(sets: dict[str, list[list[str]]]) -> object:
    """A proposer that gives another list for each sample of a state; the last one again and again."""

    @tool
    def propose(state: str, sample: int = 0) -> list[str]:
        lists = sets.get(state, [[]])
        return lists[min(sample, len(lists) - 1)]

    return propose


def test_with_reopen_a_further_sample_comes_before_a_worse_state() -> None:
    sets = {"": [["5", "1"], ["7"]], "7": [["77"]], "5": [[]], "1": [["11"]]}
    parts = {"state": "", "propose": further(sets), "evaluate": last_digit, "goal": lambda state: state == "77", "concurrency": 1}
    found = run(search(planner=best_first(reopen=1.0), **parts))
    assert found.is_solved and found.works["propose"] == 5, "the root, 5, 5 again, the root again, 7: 1 is never gone on from"
    waits = run(search(planner=best_first(), **parts))
    assert waits.is_solved and waits.works["propose"] > found.works["propose"]


def test_with_reopen_a_worse_state_comes_before_one_that_was_asked_too_often() -> None:
    sets = {"": [["5", "4"], ["3"]], "5": [[]], "4": [["44"]]}
    parts = {"state": "", "propose": further(sets), "evaluate": last_digit, "goal": lambda state: state == "44", "concurrency": 1}
    found = run(search(planner=best_first(reopen=2.0), **parts))
    assert found.is_solved and found.works["propose"] == 3, "the root again would count 3"


def test_with_reopen_a_search_that_finds_nothing_new_ends() -> None:
    sets = {"": [["5"]], "5": [["55"]]}
    found = run(search(state="", propose=further(sets), evaluate=last_digit, goal=lambda state: False, planner=best_first(reopen=0.0)))
    assert found.stop_reason == "exhausted" and found.works["propose"] < 20
    bounded = run(search(state="", propose=further(sets), evaluate=last_digit, goal=lambda state: False, planner=best_first(reopen=0.0, again=2)))
    assert bounded.works["propose"] < found.works["propose"]
