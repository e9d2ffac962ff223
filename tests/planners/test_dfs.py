"""Depth-first search: order, pruning, going back, and where it ends."""

from __future__ import annotations

import pytest

from rookery import run, tool
from rookery.errors import SearchInvalid
from rookery.planners import Child, dfs, search, vote
from tests.planners.numbers import hand, judge, know, next_steps, reaches_24


@tool(inline=True)
def letters(state: str) -> list[str]:
    return [state + letter for letter in "abc"] if len(state) < 3 else []


@tool(inline=True)
def likes_c(state: str) -> float:
    return float(state.count("c"))


def visited(found: object) -> list[str]:
    nodes = found.tree.nodes  # type: ignore[attr-defined]
    return [node.label for node in nodes if node.status == "done"]


def test_it_goes_down_first_and_back_where_a_way_ends() -> None:
    found = run(search(state="", propose=letters, goal=lambda state: state == "aca", planner=dfs(order="proposed")))
    assert found.answer == "aca" and found.stop_reason == "verified"
    assert visited(found) == ["", "a", "aa", "ab", "ac", "aaa", "aab", "aac", "aba", "abb", "abc"]
    assert found.works == {"propose": 11}


def test_children_go_by_prior_else_by_value_else_as_proposed() -> None:
    @tool(inline=True)
    def sure_of_b(state: str) -> list[Child[str]]:
        return [Child(state + letter, prior) for letter, prior in zip("abc", (0.1, 0.7, 0.2), strict=True)] if len(state) < 2 else []

    def goal(state: str) -> bool:
        return len(state) == 2

    assert run(search(state="", propose=sure_of_b, evaluate=likes_c, goal=goal, planner=dfs())).answer == "ba"
    assert run(search(state="", propose=letters, evaluate=likes_c, goal=goal, planner=dfs())).answer == "ca"
    assert run(search(state="", propose=letters, evaluate=likes_c, goal=goal, planner=dfs(order="proposed"))).answer == "aa"
    assert run(search(state="", propose=letters, goal=goal, planner=dfs())).answer == "aa"


def test_a_state_is_judged_when_it_is_gone_to_and_pruned_there() -> None:
    found = run(search(state=hand(4, 5, 6, 10), propose=next_steps, evaluate=know, goal=reaches_24, planner=dfs(children=40, prune_below=0.5)))
    assert found.is_solved and found.works["evaluate"] < 40
    assert all(node.value == 0.0 for node in found.tree.nodes if node.status == "pruned")


def test_only_so_many_children_are_followed_and_states_gone_to() -> None:
    found = run(search(state="", propose=letters, goal=lambda state: False, planner=dfs(children=1)))
    assert visited(found) == ["", "a", "aa", "aaa"] and found.stop_reason == "exhausted"
    found = run(search(state="", propose=letters, goal=lambda state: False, planner=dfs(visits=4)))
    assert found.works == {"propose": 5} and found.stop_reason == "visits"


def test_samples_are_pooled_and_their_priors_added_up() -> None:
    @tool(inline=True)
    def unsure(state: str, sample: int = 0) -> list[Child[str]]:
        return [Child("a", 0.5), Child("b", 0.4)] if sample == 0 else [Child("b", 0.4)]

    found = run(search(state="", propose=unsure, goal=lambda state: False, planner=dfs(samples=2, children=1, depth=1)))
    assert [(node.label, node.status) for node in found.tree.nodes[1:]] == [("a", "pruned"), ("b", "open")]
    assert found.works == {"propose": 2} and found.answer == "b"


def test_without_a_goal_the_deepest_state_reached_first_is_the_answer() -> None:
    found = run(search(state="", propose=letters, evaluate=likes_c, planner=dfs(depth=2)))
    assert (found.answer, found.stop_reason, found.chosen_by) == ("cc", "depth", "the deepest state reached first")
    found = run(search(state=3, propose=tool(inline=True)(_words), planner=dfs()))
    assert (found.answer, found.stop_reason) == ("one", "answered")


def _words(state: int) -> list[str]:
    return ["one", "two"]


def test_a_vote_orders_the_children() -> None:
    @tool(inline=True)
    def last(states: list[str]) -> int:
        return len(states)

    found = run(search(state="", propose=letters, evaluate=vote(last, votes=3), planner=dfs(depth=2)))
    assert found.answer == "cc" and found.works == {"propose": 2, "evaluate": 2}


def test_failures_are_gone_past() -> None:
    @tool(inline=True)
    def fails_on_a(state: str) -> list[str]:
        if state == "a":
            raise ValueError("a")
        return [state + letter for letter in "abc"] if len(state) < 2 else []

    found = run(search(state="", propose=fails_on_a, goal=lambda state: state == "ba", planner=dfs()))
    assert found.answer == "ba" and found.failed == 1 and found.tree.nodes[1].status == "failed"


def test_odd_options_are_refused() -> None:
    for options in ({"children": 0}, {"depth": 0}, {"visits": 0}, {"samples": 0}, {"prune_below": float("nan")}, {"order": "odd"}):
        with pytest.raises(SearchInvalid):
            dfs(**options)  # type: ignore[arg-type]
    assert run(search(state=hand(1, 1, 1, 1), propose=next_steps, evaluate=judge, goal=reaches_24, planner=dfs())).answer is not None
