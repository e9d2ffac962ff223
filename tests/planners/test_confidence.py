"""The confidence tree: the likeliest path first, branching where the model was unsure, and stopping when nothing can be better."""

from __future__ import annotations

from math import log

import pytest

from rookery import prompt, run, tool
from rookery.core.spend import Confidence
from rookery.errors import CallFailed, SearchInvalid
from rookery.models.model import Capabilities
from rookery.models.scripted import ScriptedModel
from rookery.planners import Child, Result, Tree, Work, confidence_tree, search
from rookery.testing import play
from tests.planners.numbers import hand, next_steps, reaches_24

PATHS = {"": [("a", 0.5), ("b", 0.4)], "a": [("aa", 0.3), ("ab", 0.2)], "b": [("ba", 0.9)], "ba": [("bac", 0.9)], "aa": [("aac", 0.9)]}


@tool(inline=True)
def steps(state: str) -> list[Child[str]]:
    return [Child(next_state, chance) for next_state, chance in PATHS.get(state, [])]


def test_the_likeliest_path_of_all_is_found() -> None:
    found = run(search(state="", propose=steps, planner=confidence_tree(depth=3), concurrency=1))
    assert found.answer == "bac" and found.stop_reason == "bound" and found.chosen_by == "the model's own confidence"
    assert found.answers[0].value == pytest.approx(log(0.4 * 0.9 * 0.9))
    labels = [node.label for node in found.tree.nodes]
    assert "aac" not in labels, "what can't become likelier is not gone on from"


def test_a_goal_ends_it_and_decides_which_ends_count() -> None:
    found = run(search(state="", propose=steps, goal=lambda state: state == "aac", planner=confidence_tree(depth=3)))
    assert found.answer == "aac" and found.stop_reason == "verified"
    found = run(search(state="", propose=steps, goal=lambda state: False, planner=confidence_tree(depth=3)))
    assert found.stop_reason == "exhausted" and not found.is_solved


def sure(tree: Tree, work: Work) -> Result:
    """Unsure at the root only, where further samples are less likely."""
    key = tree.key[work.node]
    if key == "x":
        return Result(children=[Child(None, key=f"x{work.sample}")], confidence=Confidence(-1.0 - work.sample, 2, 1.2))
    return Result(children=[Child(None, key=key + "0")], confidence=Confidence(-0.5, 4, 0.1))


def test_it_branches_only_where_the_model_was_unsure() -> None:
    tree = Tree("", key="x", steps=frozenset({"propose"}))
    assert play(confidence_tree(branches=3, entropy=0.5, depth=3), tree, sure) == "bound"
    assert len(tree.children[0]) == 3, "three samples at the root"
    assert all(len(tree.children[node]) <= 1 for node in range(1, len(tree)))
    tree = Tree("", key="x", steps=frozenset({"propose"}))
    play(confidence_tree(branches=3, entropy=2.0, depth=3), tree, sure)
    assert [len(children) for children in tree.children] == [1, 1, 1, 0]


def test_a_mean_needs_a_bound_on_length_to_stop_early() -> None:
    trees = []
    for max_tokens in (None, 12):
        tree = Tree("", key="x", steps=frozenset({"propose"}))
        reason = play(confidence_tree(branches=3, score="mean", max_tokens=max_tokens, depth=3), tree, sure)
        trees.append((reason, len(tree)))
        choice = confidence_tree(score="mean").choose(tree)
        assert tree.value[choice.nodes[0]] == pytest.approx(-2.0 / 10)
    assert trees[0][0] == "exhausted" and trees[1][0] == "bound" and trees[1][1] < trees[0][1]


def test_what_tells_no_probabilities_is_refused_clearly() -> None:
    with pytest.raises(CallFailed, match="needs log-probabilities") as failed:
        run(search(state=hand(4, 5, 6, 10), propose=next_steps, goal=reaches_24, planner=confidence_tree()))
    assert "SearchFailed" in failed.value.kind and failed.value.hint

    @prompt(form="lines")
    def lines(state: str) -> list[str]:
        """Steps from {state}:"""

    dumb = ScriptedModel(["a"], capabilities=Capabilities(name="scripted:dumb", logprobs=False))
    with pytest.raises(CallFailed, match="log-probabilities"):
        run(search(state="", propose=lines, planner=confidence_tree(), model=dumb))


def test_a_model_s_log_probabilities_are_used() -> None:
    @prompt(form="lines")
    def lines(state: str) -> list[str]:
        """Steps from {state}:"""

    model = ScriptedModel(lambda request: request.messages[-1].text.removeprefix("Steps from ").rstrip(":") + "a")
    found = run(search(state="s", propose=lines, planner=confidence_tree(depth=2), model=model))
    assert found.answer == "saa" and found.answers[0].value == 0.0, "a script is certain"


def test_odd_options_are_refused() -> None:
    for options in ({"branches": 0}, {"entropy": -1}, {"score": "odd"}, {"max_tokens": 0}, {"depth": 0}):
        with pytest.raises(SearchInvalid):
            confidence_tree(**options)  # type: ignore[arg-type]
