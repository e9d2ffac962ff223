"""Refinement: the best goes on with what was wrong with it; and the measures of sampled answers."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from rookery import prompt, run, tool
from rookery.errors import SearchInvalid
from rookery.planners import (
    Check,
    Child,
    Result,
    Verdict,
    Work,
    diversity,
    effective_ideas,
    filtered_pass_at_k,
    idea_diversity,
    pass_at_k,
    public_tests,
    refine,
    search,
)
from rookery.planners.tree import Tree
from rookery.testing import ScriptedModel, check_planner
from tests.planners.numbers import hand, judge, next_steps, reaches_24
from tests.planners.playing import BROKEN, play


class Rule(BaseModel):
    """A rule of the made-up language: add ``n``."""

    n: int


PAIRS = [(1, 8), (2, 9), (5, 12)]


def follows(rule: Rule) -> Check:
    """The interpreter."""
    wrong = [f"{i}: expected {o}, got {i + rule.n}" for i, o in PAIRS if i + rule.n != o]
    return Check(not wrong, 1 - abs(7 - rule.n) / 100, "\n".join(wrong))


@tool(inline=True)
def better(pairs: list[int], answer: Rule | None = None, feedback: str = "", sample: int = 0) -> Rule:
    """Goes by the first counter-example; each sample makes another first guess."""
    if answer is None:
        return Rule(n=[40, 60, 50, 30, 45][sample % 5])
    expected, got = (int(word.rstrip(",").split()[-1]) for word in feedback.split("\n")[0].split(": ")[1].replace("expected ", "").split(", got "))
    return Rule(n=answer.n + (1 if expected > got else -1) * (1 + sample % 5 * 5))


def test_each_round_goes_on_from_the_best_with_its_counter_examples() -> None:
    asked: list[tuple[int | None, str]] = []

    @tool(inline=True)
    def noted(pairs: list[int], answer: Rule | None = None, feedback: str = "", sample: int = 0) -> Rule:
        asked.append((answer.n if answer else None, feedback.split("\n")[0]))
        return better.function(pairs, answer, feedback, sample)

    found = run(search(state=[1, 2], propose=noted, goal=public_tests(follows), planner=refine(rounds=4, samples=5), concurrency=1))
    assert asked[:5] == [(None, "")] * 5 and {answer for answer, _ in asked[5:10]} == {30} and asked[5][1] == "1: expected 8, got 31"
    assert {answer for answer, _ in asked[10:15]} == {9}
    assert found.answers[0].state.n == 8 or found.is_solved
    assert found.works["propose"] <= 20


def test_all_pairs_right_ends_it() -> None:
    found = run(search(state=[1, 2], propose=better, goal=public_tests(follows), planner=refine(rounds=60, samples=1)))
    assert found.stop_reason == "verified" and found.answer == Rule(n=7) and found.verdict is Verdict.PUBLIC_TESTS
    assert found.works["propose"] <= 60


@pytest.mark.parametrize("choose", ["best", "drawn"])
def test_the_tree_does_not_depend_on_concurrency(choose: Any) -> None:
    parts: dict[str, Any] = {"propose": better, "goal": public_tests(follows), "planner": refine(rounds=6, samples=4, choose=choose)}
    found = [run(search(state=[1], concurrency=c, seed=5, **parts)) for c in (1, 2, 8)]
    assert all(one.tree == found[0].tree for one in found)
    other = run(search(state=hand(1, 5, 6, 10), propose=next_steps, evaluate=judge, goal=reaches_24, planner=refine(), concurrency=1))
    assert other.tree == run(search(state=hand(1, 5, 6, 10), propose=next_steps, evaluate=judge, goal=reaches_24, planner=refine())).tree


def test_an_answer_to_be_improved_may_be_of_the_state_s_own_type() -> None:
    @tool(inline=True)
    def longer(problem: str, answer: str = "") -> str:
        return answer + problem + "y"

    found = run(search(state="x", propose=longer, goal=lambda text: Check(len(text) == 8, len(text) / 8), planner=refine(rounds=9, samples=1)))
    assert found.answer == "xyxyxyxy" and found.works["propose"] == 4


def test_a_proposer_that_takes_no_feedback_is_sampled_again() -> None:
    @tool(inline=True)
    def guess(state: str, sample: int = 0) -> int:
        return sample

    found = run(search(state="x", propose=guess, goal=lambda n: Check(n == 7, 0.0), planner=refine()))
    assert found.answer == 7 and found.works["propose"] == 8


def test_next_states_are_followed_from_the_best_of_the_round_before() -> None:
    found = run(search(state=hand(4, 5, 6, 10), propose=next_steps, evaluate=judge, goal=lambda state: False, planner=refine(samples=1)))
    tree = found.tree.nodes
    best = max((node for node in range(1, len(tree)) if tree[node].parent == 0), key=lambda node: (tree[node].value, -node))
    assert {tree[node.parent].parent for node in tree if node.parent > 0} <= {0, best} and found.stop_reason == "rounds"


def test_without_scores_the_newest_goes_on() -> None:
    @tool(inline=True)
    def count(state: int) -> int:
        return state + 1

    assert run(search(state=0, propose=count, goal=lambda n: n == 6, planner=refine(rounds=8, samples=1))).answer == 6


def test_drawing_prefers_what_is_good_and_not_yet_built_on() -> None:
    built: list[int] = []

    def carry(tree: Tree, work: Work) -> Result:
        built.append(tree.state[work.node])
        state = len(tree)
        return Result(children=[Child(state, key=str(state), final=True, check=Check(False, 0.9 if state == 3 else 0.1))])

    play(refine(rounds=60, samples=1, choose="drawn"), carry, root=0)
    assert built.count(3) == max(built.count(n) for n in set(built)) and 5 < built.count(3) < 57 and len(set(built)) > 3


def test_a_round_that_fails_is_no_end() -> None:
    def carry(tree: Tree, work: Work) -> Result:
        if work.sample < 5:
            return BROKEN
        return Result(children=[Child("right", key="right", final=True, check=Check(work.sample > 8, 0.5))])

    tree, reason = play(refine(), carry)
    assert reason == "rounds" and len(tree) == 2
    tree, reason = play(refine(), lambda tree, work: BROKEN)
    assert reason == "rounds" and len(refine().choose(tree).nodes) == 0


@pytest.mark.parametrize("options", [{"rounds": 0}, {"samples": 0}, {"temperature": -1}, {"choose": "worst"}])
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(SearchInvalid, match=next(iter(options))):
        refine(**options)


# ------------------------------------------------------------------ measures


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_with_a_right_one(numbers: tuple[int, int, int]) -> None:
    n, right, k = numbers
    assert pass_at_k(n, right, k) == pytest.approx(1 - comb(n - right, k) / comb(n, k))


def test_pass_at_k_by_counting() -> None:
    answers = [True, False, False, True, False, False]
    drawn = list(combinations(answers, 3))
    assert pass_at_k(6, 2, 3) == pytest.approx(sum(any(draw) for draw in drawn) / len(drawn))
    for wrong in ((3, 4, 1), (3, -1, 1), (3, 1, 0), (3, 1, 4)):
        with pytest.raises(SearchInvalid):
            pass_at_k(*wrong)


def test_a_filter_leaves_only_what_passes_the_public_tests() -> None:
    outcomes = [(True, True), (True, False), (True, False), (False, True), (False, False)]
    assert filtered_pass_at_k(outcomes, 1) == pytest.approx(1 / 3) and filtered_pass_at_k(outcomes, 2) == pytest.approx(2 / 3)
    assert filtered_pass_at_k(outcomes, 10) == 1.0 and filtered_pass_at_k([(False, True)], 1) == 0.0
    with pytest.raises(SearchInvalid):
        filtered_pass_at_k([], 0)


def test_pass_at_k_of_the_idea_model_of_the_note() -> None:
    """M ideas, equally likely, each right with q = 0.3; a program passes with 0.9 of a right one, 0.02 of a wrong one."""
    expected = {2: 0.60, 5: 0.82, 20: 0.94}
    for m, rate in expected.items():
        passed = first = 0.0
        for right in range(m + 1):
            chance = comb(m, right) * 0.3**right * 0.7 ** (m - right)
            each = (right * 0.9 + (m - right) * 0.02) / m
            passed += chance * (1 - (1 - each) ** 10)
            first += chance * each
        assert passed == pytest.approx(rate, abs=0.006) and first == pytest.approx(0.284)
        # that is what the estimator gives on average: of 40 programs, so many pass with this chance
        found = 0.0
        for right in range(m + 1):
            chance = comb(m, right) * 0.3**right * 0.7 ** (m - right)
            each = (right * 0.9 + (m - right) * 0.02) / m
            found += chance * sum(comb(40, c) * each**c * (1 - each) ** (40 - c) * pass_at_k(40, c, 10) for c in range(41))
        assert found == pytest.approx(passed)


def test_diversity_of_pairs() -> None:
    assert diversity([True, False, False, False]) == 0.75 and diversity([]) == 0.0
    assert effective_ideas(0.8) == pytest.approx(5) and effective_ideas(0.95) == pytest.approx(20) and effective_ideas(1.0) == float("inf")
    ideas = [number % 5 for number in range(500)]
    assert diversity([a == b for a, b in combinations(ideas, 2)]) == pytest.approx(0.8, abs=0.002)


def test_diversity_is_asked_of_a_model() -> None:
    def answers(request: Any) -> str:
        text = request.messages[-1].text
        if "Describe" in text:
            return "idea " + text.partition("Program:\n")[2].strip()[0]
        first, second = text.partition("First: ")[2].partition("\n")[0], text.partition("Second: ")[2].partition("\n")[0]
        return "yes" if first == second else "no"

    model = ScriptedModel(answers)
    assert run(idea_diversity(), programs=["a1", "a2", "b1", "c1"], model=model) == pytest.approx(5 / 6)
    assert len(model.requests) == 4 + 6
    assert run(idea_diversity(at_most=2), programs=["a1", "a2", "b1", "c1"], model=ScriptedModel(answers)) == 0.0
    assert run(idea_diversity(), programs=["a"], model=ScriptedModel(answers)) == 0.0

    @prompt(form="text")
    def gist(text: str) -> str:
        """Describe Program:
        {text}"""

    @tool(inline=True)
    def never(one: str, two: str) -> bool:
        return False

    assert run(idea_diversity(idea=gist, same=never), programs=["a1", "a2"], model=ScriptedModel(answers)) == 1.0
    with pytest.raises(SearchInvalid):
        idea_diversity(at_most=1)


@pytest.mark.parametrize("factory", [refine, lambda: refine(rounds=5, choose="drawn"), lambda: refine(rounds=8, samples=1)])
def test_the_contract_of_planners(factory: Any) -> None:
    check_planner(factory)
