"""AB-MCTS-A: its beliefs, which of many arms draws highest, wider against deeper, and scores that are out of range."""

from __future__ import annotations

from collections import Counter
from math import sqrt
from random import Random

import pytest

from benchmarks import theory
from rookery import run, tool
from rookery.errors import CallFailed, SearchInvalid
from rookery.planners import Check, Child, Result, Tree, Work, ab_mcts, search
from rookery.planners.posterior import Arms, Beta, Gaussian, Prior, beta_share, beta_tail, student
from rookery.planners.tree import drawn
from rookery.testing import play

# ------------------------------------------------------------------ beliefs


@pytest.mark.parametrize(
    ("tail", "nu", "expected"),
    [(0.25, 1, 1.0), (0.025, 2, 4.302653), (0.025, 3, 3.182446), (0.05, 5, 2.015048), (0.005, 10, 3.169273), (0.4, 4, 0.270722),
     (0.9, 7, -1.414924), (0.025, 120, 1.979930), (1e-6, 3, 103.299480)],
)  # fmt: skip
def test_tails_of_student_s_t(tail: float, nu: float, expected: float) -> None:
    assert student(tail, nu) == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (1.5, 0.5), (3, 7), (40, 20), (0.5, 300), (500, 700)])
def test_tails_of_beta_are_those_of_its_share(a: float, b: float) -> None:
    for share in (0.99, 0.5, 0.1, 1e-4, 1e-9):
        assert beta_share(beta_tail(share, a, b), a, b) == pytest.approx(share, rel=1e-6)
    assert beta_share(0.25, 2, 1) == pytest.approx(0.0625) and beta_share(0.5, 3, 3) == pytest.approx(0.5)
    assert beta_share(0.0, a, b) == 0.0 and beta_share(1.0, a, b) == 1.0


def test_gaussian_beliefs_follow_the_formulas() -> None:
    scores = [0.2, 0.9, 0.4]
    mean = sum(scores) / 3
    within = sum((score - mean) ** 2 for score in scores)
    middle, scale, less_nu = Gaussian().shape(3, sum(scores), sum(score * score for score in scores))
    assert middle == pytest.approx(sum(scores) / 4) and less_nu == -4
    assert scale == pytest.approx(sqrt((0.1 + within + 3 * mean**2 / 4) / 4 / 4))
    chance = Random(1)
    draws = [Gaussian().draw(chance, 3, sum(scores), sum(score * score for score in scores)) for _ in range(20_000)]
    assert sum(draws) / len(draws) == pytest.approx(middle, abs=0.01)
    above = sum(draw > middle + scale * student(0.1, 4) for draw in draws) / len(draws)
    assert above == pytest.approx(0.1, abs=0.01)


def test_thompson_draws_choose_as_often_as_theory_says() -> None:
    prior, chance, runs = Beta(1, 1), Random(2), 20_000
    for (a1, b1), (a2, b2) in (((3, 2), (2, 5)), ((1, 1), (4, 2))):
        beats = sum(prior.draw(chance, a1 + b1 - 2, a1 - 1, 0) > prior.draw(chance, a2 + b2 - 2, a2 - 1, 0) for _ in range(runs)) / runs
        assert beats == pytest.approx(theory.beta_beats(a1, b1, a2, b2), abs=3.5 * 0.5 / sqrt(runs))


@pytest.mark.parametrize("prior", [Gaussian(), Beta()], ids=["gaussian", "beta"])
def test_the_arm_that_draws_highest_is_found_as_often_as_by_drawing_from_all(prior: Prior) -> None:
    chance = Random(5)
    n = [chance.choice([1, 1, 1, 2, 3, 8]) for _ in range(24)]
    scores = [[chance.random() for _ in range(k)] for k in n]
    total, squares = [sum(one) for one in scores], [sum(score * score for score in one) for one in scores]
    arms = Arms()
    for arm, k in enumerate(n):
        arms.put(arm, 1, prior.bucket(scores[arm][0]), prior.shape(1, scores[arm][0], scores[arm][0] ** 2))
        arms.put(arm, k, prior.bucket(total[arm] / k), prior.shape(k, total[arm], squares[arm]))
    runs = 8_000
    quick = Counter(arms.best(chance, prior, n, total, squares) for _ in range(runs))
    draws = ([prior.draw(chance, n[arm], total[arm], squares[arm]) for arm in range(24)] for _ in range(runs))
    slow = Counter(row.index(max(row)) for row in draws)
    chi2 = sum((quick[arm] - slow[arm]) ** 2 / (quick[arm] + slow[arm]) for arm in range(24) if quick[arm] + slow[arm])
    assert chi2 < 45, f"chi² of {chi2:.0f} with 23 degrees of freedom"
    assert sorted(arm for group in arms.order for arm in arms.groups[group]) == list(range(24)) and len(arms) == 24
    assert all(arms.groups[group][place] == arm for arm, (group, place) in arms.place.items())


# ------------------------------------------------------------------ the search

STEPS = frozenset({"propose", "evaluate"})


def scored(better_below: float, better_anew: float) -> object:
    """Answers whose scores grow with depth, or with the number of siblings."""

    def carry(tree: Tree, work: Work) -> Result:
        depth, wide = tree.depth[work.node], len(tree.children[0])
        score = min(1.0, 0.1 + better_below * depth + better_anew * wide + 0.05 * drawn(work.id))
        return Result(children=[Child(None, key=f"{work.id}", check=Check(False, score), final=True)])

    return carry


@pytest.mark.parametrize("prior", ["gaussian", "beta"])
def test_it_goes_deeper_where_bettering_pays_and_wider_where_it_does_not(prior: str) -> None:
    shapes = []
    for below in (0.15, 0.0):
        tree = Tree("", key="x", steps=STEPS)
        assert play(ab_mcts(iterations=150, prior=prior), tree, scored(below, 0.0)) == "iterations"  # type: ignore[arg-type]
        shapes.append((max(tree.depth), len(tree.children[0])))
    assert shapes[0][0] > shapes[1][0]


def test_scores_go_where_the_paper_says() -> None:
    tree = Tree("", key="x", steps=STEPS)
    play(ab_mcts(iterations=40), tree, scored(0.05, 0.01))  # type: ignore[arg-type]
    notes = tree.memo
    for node in range(len(tree)):
        made = [tree.value[child] for child in tree.children[node]]
        assert notes.gen.n[node] == len(made) and notes.gen.total[node] == pytest.approx(sum(made))
        below = sum(notes.whole.n[child] - 1 for child in tree.children[node])
        assert notes.cont.n[node] == below
        if node:
            assert notes.whole.n[node] == 1 + len(made) + below


def test_an_answer_is_bettered_with_its_feedback() -> None:
    @tool(inline=True)
    def guess(state: int, answer: list[int] | None = None, feedback: str = "", sample: int = 0) -> list[list[int]]:
        if answer is None:
            return [[sample]]
        return [[answer[0] + (1 if feedback == "more" else -1)]]

    def near(answer: list[int]) -> Check:
        return Check(answer[0] == 7, 1 - abs(7 - answer[0]) / 10, "more" if answer[0] < 7 else "less")

    found = run(search(state=1, propose=guess, goal=near, planner=ab_mcts()))
    assert found.answer == [7] and found.is_solved


def test_without_scores_an_answer_that_fails_counts_as_nothing() -> None:
    @tool(inline=True)
    def guess(state: int, sample: int = 0) -> str:
        return f"try {sample}"

    found = run(search(state=1, propose=guess, goal=lambda answer: answer == "try 12", planner=ab_mcts()))
    assert found.answer == "try 12"
    judged = run(search(state=1, propose=guess, evaluate=lambda answer: 1 / (1 + len(answer)), planner=ab_mcts(iterations=15)))
    assert judged.chosen_by == "the highest value" and judged.stop_reason == "iterations" and judged.works["propose"] == 15


def test_scores_out_of_range_are_failed_works() -> None:
    @tool(inline=True)
    def guess(state: int, sample: int = 0) -> str:
        return f"try {sample}"

    found = run(search(state=1, propose=guess, evaluate=lambda answer: 20.0 if answer.endswith("0") else 0.5, planner=ab_mcts(iterations=12)))
    assert found.faults[0].kind == "StepWrong" and "0 to 1" in found.faults[0].message and found.works["evaluate"] < 12
    with pytest.raises(CallFailed, match="a score is -3"):
        run(search(state=1, propose=guess, goal=lambda answer: Check(False, -3.0), planner=ab_mcts()))


def test_what_is_known_already_ends_it() -> None:
    found = run(search(state=1, propose=lambda state: "the same", evaluate=lambda answer: 0.9, planner=ab_mcts()))
    assert found.stop_reason == "exhausted" and found.works["propose"] <= 1 + 16 + 8


def test_the_same_seed_and_concurrency_give_the_same_tree() -> None:
    @tool(inline=True)
    def guess(state: int, sample: int = 0) -> str:
        return f"try {sample}"

    parts = {"state": 1, "propose": guess, "evaluate": lambda answer: len(answer) % 5 / 5, "planner": ab_mcts(iterations=30)}
    for concurrency in (1, 8):
        one, other, third = (run(search(concurrency=concurrency, seed=seed, **parts)) for seed in (3, 3, 4))
        assert one.tree == other.tree != third.tree


def test_odd_options_are_refused() -> None:
    for options in ({"iterations": 0}, {"prior": "odd"}, {"temperature": -1}):
        with pytest.raises(SearchInvalid):
            ab_mcts(**options)  # type: ignore[arg-type]
