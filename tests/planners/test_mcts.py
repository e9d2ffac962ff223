"""MCTS: visits and rewards add up, scales do not matter, and RAP's and LATS's options do what they say."""

from __future__ import annotations

from collections import Counter

import pytest

from rookery import run, tool
from rookery.errors import SearchInvalid
from rookery.planners import Check, Child, Result, Tree, Work, mcts, search
from rookery.planners.tree import drawn, mixed
from rookery.testing import play
from tests.planners.numbers import Hand, hand, judge, know, next_steps, reaches_24

STEPS = frozenset({"propose", "evaluate"})


def wide(tree: Tree, work: Work) -> Result:
    """Three children of each state; the first is worth most."""
    if work.step == "evaluate":
        return Result(values=[float(tree.key[work.node].count("0"))])
    return Result(children=[Child(None, key=f"{tree.key[work.node]}{place}") for place in range(3)])


def test_visits_and_rewards_add_up() -> None:
    tree = Tree("", key="x", steps=STEPS)
    assert play(mcts(iterations=200), tree, wide, slots=4) == "iterations"
    notes = tree.memo
    assert notes.visits[0] == notes.ended[0] == 200
    for node in range(len(tree)):
        below = sum(notes.visits[child] for child in tree.children[node])
        assert notes.visits[node] == notes.asked[node] + below, "each way ends where it proposed"
        assert notes.asked[node] <= 1 and notes.ended[node] == notes.visits[node]
    shares = Counter(tree.key[node][1] for node in range(len(tree)) if tree.children[node] and tree.depth[node])
    assert shares["0"] > 2 * shares["1"] and shares["1"] >= 1, "most ways go where the reward is, some elsewhere"


@pytest.mark.parametrize(("scale", "shift"), [(1e6, 0.0), (1e-6, 5.0), (3.0, -1e3)])
def test_the_scale_of_values_does_not_matter(scale: float, shift: float) -> None:
    def scaled(tree: Tree, work: Work) -> Result:
        result = wide(tree, work)
        return Result(children=result.children, values=[value * scale + shift for value in result.values])

    plain, other = Tree("", key="x", steps=STEPS), Tree("", key="x", steps=STEPS)
    play(mcts(iterations=60), plain, wide)
    play(mcts(iterations=60), other, scaled)
    assert plain.key == other.key


def test_the_best_arm_is_pulled_most() -> None:
    chances = (0.5, 0.4, 0.3, 0.2)

    def arms(tree: Tree, work: Work) -> Result:
        if work.step == "evaluate":
            return Result(values=[float(drawn(11, work.node, 3) < chances[int(tree.key[work.node][1])])])
        key = tree.key[work.node]
        places = range(4) if key == "x" else [work.sample]
        return Result(children=[Child(None, key=f"{key}{place}" if key == "x" else f"{key[:2]} {mixed(work.id)}") for place in places])

    tree = Tree("", key="x", steps=STEPS)
    play(mcts(iterations=1000, samples=10**6, depth=2, fast="none", exploration=1.0), tree, arms)
    visits = [tree.memo.visits[child] for child in tree.children[0]]
    assert visits[0] == max(visits) and visits[0] > 0.4 * sum(visits) and min(visits) > 10


def test_a_game_is_solved_whatever_the_options() -> None:
    for planner in (mcts(), mcts(rollout=True), mcts(backup="max"), mcts(fast="prior", iterations=400), mcts(fast="none", rollout=True)):
        found = run(search(state=hand(4, 5, 6, 10), propose=next_steps, evaluate=judge, goal=reaches_24, planner=planner))
        assert found.is_solved and isinstance(found.answer, Hand), planner.facts.name


def test_the_fast_reward_is_the_prior_and_then_only_what_is_visited_is_judged() -> None:
    @tool(inline=True)
    def sure(state: str) -> list[Child[str]]:
        return [Child(state + letter, prior) for letter, prior in zip("abc", (0.1, 0.2, 0.7), strict=True)] if len(state) < 4 else []

    parts = {"state": "", "propose": sure, "evaluate": lambda state: float(state.count("c")), "goal": lambda state: state == "ccc"}
    found = run(search(planner=mcts(fast="prior"), concurrency=1, **parts))
    assert found.is_solved and found.works == {"propose": 3, "evaluate": 2}
    every = run(search(planner=mcts(fast="value"), concurrency=1, **parts))
    assert every.is_solved and every.works == {"propose": 3, "evaluate": 6}


def test_a_rollout_goes_on_to_an_end() -> None:
    parts = {"state": hand(4, 5, 6, 10), "propose": next_steps, "evaluate": know}
    short = run(search(planner=mcts(iterations=1), **parts))
    long = run(search(planner=mcts(iterations=1, rollout=True), **parts))
    assert short.works["propose"] == 1 and long.works["propose"] == 4 and max(len(node.label.split()) for node in long.tree.nodes[-3:]) == 1


def test_what_was_learned_from_failures_is_given_to_propose() -> None:
    seen: list[list[str]] = []

    @tool(inline=True)
    def guess(state: int, lessons: list[str], sample: int = 0) -> str:
        seen.append(lessons)
        return f"guess {len(lessons)} {sample}"

    @tool(inline=True)
    def reflect(state: int, answer: str, feedback: str) -> str:
        return f"{answer} was {feedback}"

    goal = lambda answer: Check(answer == "guess 2 3", 0.5, "wrong")  # noqa: E731
    found = run(search(state=1, propose=guess, goal=goal, reflect=reflect, planner=mcts(lessons=2), concurrency=1))
    assert seen[0] == [] and seen[1] == ["guess 0 0 was wrong"] and len(seen[-1]) == 2
    assert found.answer == "guess 2 3" and found.works["reflect"] == 3
    without = run(search(state=1, propose=guess, goal=goal, planner=mcts(iterations=3), concurrency=1))
    assert without.works == {"propose": 3} and seen[-1] == []


def test_one_shot_problems_are_sampled_until_nothing_new_comes() -> None:
    @tool(inline=True)
    def guess(state: int, sample: int = 0) -> str:
        return f"answer {min(sample, 5)}"

    found = run(search(state=1, propose=guess, goal=lambda answer: answer == "9", planner=mcts(), concurrency=1))
    assert found.stop_reason == "exhausted" and found.works == {"propose": 6 + 8}


def test_the_answer_is_of_the_best_value_the_most_visits_or_a_weighed_vote() -> None:
    @tool(inline=True)
    def guess(state: int, sample: int = 0) -> str:
        return "right" if sample % 3 else f"odd {sample}"

    def rate(answer: str) -> float:
        return {"right": 0.5, "odd 0": 0.9}.get(answer, 0.1)

    parts = {"state": 1, "propose": guess, "evaluate": rate, "concurrency": 1}
    best = run(search(planner=mcts(iterations=12), **parts))
    assert best.answer == "odd 0" and best.chosen_by == "the highest value"
    voted = run(search(planner=mcts(iterations=12, choose="vote"), **parts))
    assert voted.answer == "right" and voted.answers[0].votes == 8 and voted.chosen_by == "most votes, weighed by reward"
    numbers = {"state": hand(4, 5, 6, 10), "propose": next_steps, "evaluate": know}
    assert run(search(planner=mcts(iterations=30, choose="visits"), **numbers)).chosen_by == "the most visited way"


def test_the_same_seed_and_concurrency_give_the_same_tree() -> None:
    parts = {"state": hand(1, 5, 6, 10), "propose": next_steps, "evaluate": judge, "planner": mcts(iterations=20)}
    for concurrency in (1, 8):
        one, other = (run(search(concurrency=concurrency, seed=3, **parts)) for _ in range(2))
        assert one.tree == other.tree


def test_only_so_many_ways_are_under_way_at_a_time() -> None:
    for abreast in (1, 3):
        planner, tree = mcts(abreast=abreast, fast="prior"), Tree("", key="x", steps=frozenset({"propose"}))
        planner.tell(tree, (first := planner.ask(tree, 16, 0)[0]), wide(tree, first))
        for _ in range(5):
            works = planner.ask(tree, 16, 0)
            assert 1 <= len(works) <= abreast
            for work in works:
                planner.tell(tree, work, wide(tree, work))


def test_ways_that_cannot_be_proposed_from_are_left() -> None:
    @tool(inline=True)
    def fails(state: str) -> list[str]:
        if state.startswith("a"):
            raise ValueError("a")
        return [state + letter for letter in "ab"] if len(state) < 3 else []

    found = run(search(state="", propose=fails, evaluate=lambda state: 1.0, goal=lambda state: state == "bba", planner=mcts(), concurrency=1))
    assert found.answer == "bba" and found.failed >= 1


def test_odd_options_are_refused() -> None:
    for options in ({"iterations": 0}, {"depth": 0}, {"exploration": -1}, {"fast": "odd"}, {"backup": "odd"}, {"choose": "odd"}, {"lessons": -1},
                    {"abreast": 0}):
        with pytest.raises(SearchInvalid):
            mcts(**options)  # type: ignore[arg-type]
