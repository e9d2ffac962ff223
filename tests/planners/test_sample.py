"""Best-of-n and self-consistency: against theory, the same tree whatever is in flight, and stops that are worth their name."""

from __future__ import annotations

from collections import Counter
from math import sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery import prompt, run, tool
from rookery.errors import SearchInvalid
from rookery.models.model import Request
from rookery.planners import Check, Child, Result, Verdict, Work, best_of_n, public_tests, search, self_consistency, vote
from rookery.planners.line import Line, picked
from rookery.planners.tree import Tree, drawn
from rookery.testing import ScriptedModel, check_planner
from tests.planners.numbers import hand, judge, next_steps, reaches_24
from tests.planners.playing import BROKEN, play, proposing

PARTS: dict[str, Any] = {"propose": next_steps, "evaluate": judge, "goal": reaches_24}


def _near(found: float, expected: float, trials: int) -> bool:
    return abs(found - expected) <= 3 * sqrt(expected * (1 - expected) / trials)


# ------------------------------------------------------------------ theory


@pytest.mark.parametrize(("n", "depth", "p"), [(1, 1, 0.3), (8, 3, 0.5), (20, 2, 0.25)])
def test_lines_are_independent(n: int, depth: int, p: float) -> None:
    """1 − (1 − p^d)^n, with proposals that list several steps too."""
    trials = 800
    for listed in (1, 3):
        solved = 0
        for seed in range(trials):

            def propose(state: str, work: Work, seed: int = seed, listed: int = listed) -> list[Child[str]]:
                found = []
                for place in range(listed):
                    good = state.endswith("+") or state == "root"
                    good = good and drawn(seed, work.sample, len(state), place) < p
                    found.append(Child(f"{state}{work.sample}.{place}{'+' if good else '-'}", key=f"{state}{work.sample}.{place}"))
                return found

            tree, _ = play(best_of_n(n, depth=depth), proposing(propose), seed=seed)
            solved += any(tree.depth[node] == depth and tree.state[node].endswith("+") for node in range(len(tree)))
        assert _near(solved / trials, 1 - (1 - p**depth) ** n, trials)


@pytest.mark.parametrize(("q", "n", "expected"), [(0.3, 5, 0.3992), (0.3, 10, 0.5019), (0.3, 40, 0.8171), (0.15, 10, 0.1327), (0.15, 40, 0.1058)])
def test_the_vote_is_right_as_often_as_theory_says(q: float, n: int, expected: float) -> None:
    """Against five wrong answers that are equally likely (ties are drawn in theory: here the first found, which is as good)."""
    trials, right = 1000, 0
    for seed in range(trials):

        def propose(state: str, work: Work, seed: int = seed) -> list[Child[str]]:
            at = drawn(seed, work.sample)
            answer = "right" if at < q else f"wrong{int((at - q) / (1 - q) * 5)}"
            return [Child(answer, key=answer, final=True)]

        tree, reason = play(self_consistency(n), proposing(propose), seed=seed)
        chosen = self_consistency(n).choose(tree)
        right += tree.state[chosen.nodes[0]] == "right"
        votes = Counter(chosen.votes)
        ahead = votes.most_common(2)
        assert reason == "samples" or ahead[0][1] - (ahead[1][1] if len(ahead) > 1 else 0) > n - votes.total()
    assert _near(right / trials, expected, trials)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30))
def test_stopping_early_never_changes_who_wins(answers: list[str]) -> None:
    def propose(state: str, work: Work) -> list[Child[str]]:
        answer = answers[work.sample]
        return [Child(answer, key=answer, final=True)]

    planner = self_consistency(len(answers))
    tree, _ = play(planner, proposing(propose))
    assert tree.state[planner.choose(tree).nodes[0]] == Counter(answers).most_common(1)[0][0]


# ------------------------------------------------------------------ the same tree


@pytest.mark.parametrize("planner", [best_of_n(64), best_of_n(20, abreast=3), self_consistency(30)])
def test_the_tree_does_not_depend_on_concurrency(planner: Any) -> None:
    found = [run(search(state=hand(1, 5, 6, 10), planner=planner, concurrency=c, **PARTS)) for c in (1, 3, 8, 40)]
    assert all(one.tree == found[0].tree and one.answers == found[0].answers for one in found)


def test_answers_of_one_step_go_out_all_at_once() -> None:
    tree = Tree("root", steps=frozenset({"propose"}))
    planner = best_of_n(64)
    first = planner.ask(tree, 1000, 0)
    assert len(first) == 8
    planner.tell(tree, first[0], Result(children=[Child("a", key="a", final=True)]))
    assert len(planner.ask(tree, 1000, 0)) == 56
    tree = Tree("root", steps=frozenset({"propose"}))
    first = planner.ask(tree, 1000, 0)
    planner.tell(tree, first[0], Result(children=[Child("a", key="a")]))
    assert [work.node for work in planner.ask(tree, 1000, 0)] == [1], "lines of several steps: eight at a time"


def test_with_one_abreast_a_line_begins_when_the_one_before_is_at_its_end() -> None:
    found = run(search(state=hand(4, 5, 6, 10), planner=best_of_n(3, abreast=1, depth=3), propose=next_steps, goal=lambda state: False))
    assert found.works == {"propose": 9} and found.stop_reason == "samples"


# ------------------------------------------------------------------ choosing and stopping


def test_the_first_verified_answer_ends_it() -> None:
    found = run(search(state=hand(4, 5, 6, 10), planner=best_of_n(500), **PARTS))
    assert found.stop_reason == "verified" and found.verdict is Verdict.EXACT and found.chosen_by == "the goal"
    assert "evaluate" not in found.works, "a goal tells right from wrong"


def test_without_a_goal_the_evaluator_chooses_among_the_ends() -> None:
    found = run(search(state=hand(4, 5, 6, 10), planner=best_of_n(20), propose=next_steps, evaluate=judge))
    assert found.chosen_by == "the highest value" and found.verdict is Verdict.UNVERIFIED
    assert found.works["evaluate"] == len(found.answers) and found.answers[0].value == max(a.value for a in found.answers if a.value is not None)
    bare = run(search(state=hand(4, 5, 6, 10), planner=best_of_n(20), propose=next_steps))
    assert bare.chosen_by.startswith("nobody") and bare.answers[0].value is None


def test_without_a_goal_a_vote_sees_all_ends_together() -> None:
    @tool(inline=True)
    def longest(states: list[str]) -> int:
        return 1 + max(range(len(states)), key=lambda place: len(states[place]))

    @tool(inline=True)
    def think(state: int, sample: int = 0) -> str:
        return "x" * (sample % 4)

    found = run(search(state=1, planner=best_of_n(6), propose=think, evaluate=vote(longest, votes=2)))
    assert found.answer == "xxx" and found.works == {"propose": 6, "evaluate": 1} and found.answers[0].value == 2


def test_the_vote_does_not_see_the_goal() -> None:
    @tool(inline=True)
    def think(state: int, sample: int = 0) -> str:
        return "right" if sample % 3 == 0 else "wrong"

    found = run(search(state=1, planner=self_consistency(9), propose=think, goal=lambda state: state == "right"))
    assert found.answer == "wrong" and found.chosen_by == "most votes" and found.verdict is Verdict.UNVERIFIED
    assert found.stop_reason == "vote can't be overtaken" and found.works["propose"] < 9
    assert {answer.state: answer.verdict for answer in found.answers}["right"] is Verdict.EXACT


def test_it_stops_when_the_gain_is_below_the_price() -> None:
    @prompt(form="text")
    def guess(state: int) -> str:
        """A guess about {state}:"""

    def found(**worth: float) -> Any:
        model = ScriptedModel(lambda request: f"guess {request.sample}")
        return run(search(state=1, planner=best_of_n(100, **worth), propose=guess, goal=public_tests(lambda state: False), model=model))

    one = found(worth_tokens=1e9)
    assert one.stop_reason == "samples" and one.works["propose"] == 100
    cost = one.spent.tokens / 100
    few = found(worth_tokens=cost * 10.5)  # 1 / (k + 2) · 10.5 < 1 from k = 9 on
    assert few.stop_reason == "gain below price" and 9 <= few.works["propose"] <= 10
    assert found(worth_usd=1.0).stop_reason == "samples", "no price is known: nothing to weigh"


def test_samples_of_one_question_have_seeds_of_their_own() -> None:
    @prompt(form="text")
    def guess(state: int) -> str:
        """A guess about {state}:"""

    model = ScriptedModel(lambda request: str(request.sampling.seed))
    found = run(search(state=1, planner=best_of_n(5, temperature=0.5), propose=guess, model=model))
    seen: list[Request] = list(model.requests)
    assert len({request.sampling.seed for request in seen}) == 5 and {request.sampling.temperature for request in seen} == {0.5}
    assert len(found.answers) == 5


# ------------------------------------------------------------------ odd input


def test_failures_are_marked_and_the_others_go_on() -> None:
    def carry(tree: Tree, work: Work) -> Result:
        return BROKEN if work.sample % 2 else Result(children=[Child(work.sample, key=str(work.sample), final=True)])

    for planner in (best_of_n(10), self_consistency(10)):
        tree, reason = play(planner, carry)
        assert reason == "samples" and len(planner.choose(tree).nodes) == 5


@pytest.mark.parametrize("given_", ["nothing", "duplicates", "cycle", "endless"])
def test_odd_proposers_end_with_a_reason(given_: str) -> None:
    @tool(inline=True)
    def odd(state: int) -> list[int]:
        return {"nothing": [], "duplicates": [state, state, 0, 0], "cycle": [(state + 1) % 5], "endless": [state * 2 + 1, state * 2 + 2]}[given_]

    for planner in (best_of_n(4, depth=100), self_consistency(4, depth=100)):
        found = run(search(state=0, propose=odd, goal=lambda state: False, planner=planner, merge=given_ != "endless"))
        assert found.stop_reason in ("samples", "vote can't be overtaken") and not found.is_solved


def test_a_line_never_goes_round_in_a_circle() -> None:
    line = Line(0)
    tree = Tree("a", key="a")
    assert not line.step(tree, Result(children=[Child("a", key="a"), Child("b", key="b")]), 10) and tree.state[line.node] == "b"
    assert line.step(tree, Result(children=[Child("a", key="a"), Child("b", key="b")]), 10)


def test_what_is_followed_is_drawn_with_odds_as_the_priors() -> None:
    children = [Child("a", prior=1.0), Child("b", prior=3.0)]
    drawn_ = Counter(picked(children, place / 1000).state for place in range(1000))
    assert drawn_ == {"a": 250, "b": 750}
    even = Counter(picked([Child("a"), Child("b", prior=3.0)], place / 1000).state for place in range(1000))
    assert even == {"a": 500, "b": 500}
    passed = Line(0, luck=0.0)
    tree = Tree("a", key="a")
    assert passed.step(tree, Result(children=[Child("b", key="b"), Child("c", key="c", check=Check(True))]), 10) and tree.passed == [passed.node]


@pytest.mark.parametrize("options", [{"n": 0}, {"depth": 0}, {"abreast": 0}, {"temperature": -1.0}, {"worth_tokens": -1.0}, {"n": float("nan")}])
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(SearchInvalid, match=next(iter(options))):
        best_of_n(**options)
    if "worth_tokens" not in options:
        with pytest.raises(SearchInvalid, match=next(iter(options))):
            self_consistency(**options)


@pytest.mark.parametrize(
    "factory",
    [lambda: best_of_n(6), lambda: best_of_n(12, abreast=2), lambda: best_of_n(30, worth_tokens=40), lambda: self_consistency(7)],
)
def test_the_contract_of_planners(factory: Any) -> None:
    check_planner(factory)
