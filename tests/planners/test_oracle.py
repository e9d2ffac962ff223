"""Against the oracles planners succeed as often as theory says, and ask as much; through the engine as when they are played."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import pytest

from benchmarks import theory
from rookery import run
from rookery.planners import Planner, Tree, beam, best_first, best_of_n, dfs, search
from rookery.planners.oracle import Numbers, is_solvable, moves
from rookery.testing import ChainOracle, GameOracle, play

RUNS = 400


def played(planner: Planner, oracle: ChainOracle) -> Tree:
    tree = Tree(oracle.root, key=oracle.root.key(), steps=frozenset({"propose", "evaluate", "goal"}))
    play(planner, tree, oracle.carry)
    return tree


@pytest.mark.parametrize("row", theory.BEAMS, ids=str)
def test_golden_values_of_beams(row: theory.BeamRow) -> None:
    reach, share = theory.beam_reach(row.depth, row.children, row.width, row.p, row.a, row.c)
    assert reach == pytest.approx(row.reach, abs=2e-6) and share == pytest.approx(row.share, abs=2e-6)


@pytest.mark.parametrize("row", theory.SEARCHES, ids=str)
def test_golden_values_of_depth_first_search(row: theory.SearchRow) -> None:
    reach, visits = theory.dfs_reach(row.depth, row.children, row.p, row.a, row.c)
    assert reach == pytest.approx(row.reach, abs=2e-6) and visits == pytest.approx(row.visits, abs=2e-5)


def near(successes: int, expected: float) -> bool:
    """Within 3.5 standard errors: the seeds are fixed, so this never wavers."""
    return abs(successes / RUNS - expected) <= 3.5 * sqrt(expected * (1 - expected) / RUNS)


def test_a_beam_succeeds_as_theory_says_and_asks_the_closed_form() -> None:
    for row in (theory.BEAMS[0], theory.BEAMS[3]):
        oracle = ChainOracle(row.depth, row.children, row.p, row.a, row.c)
        trees = [played(beam(width=row.width, depth=row.depth + 1), replace(oracle, seed=seed)) for seed in range(RUNS)]
        assert near(sum(tree.is_solved for tree in trees), row.reach)
        calls = {(sum(value is not None for value in tree.value), sum(tree.depth[node] == 1 for node in range(len(tree)))) for tree in trees}
        assert calls == {(theory.beam_judgements(row.depth, row.children, row.width), row.children)}


def test_depth_first_search_succeeds_and_visits_as_theory_says() -> None:
    row = theory.SEARCHES[1]
    oracle = ChainOracle(row.depth, row.children, row.p, row.a, row.c)
    planner = dfs(children=row.children, depth=row.depth + 1, visits=10**6, prune_below=0.5, order="proposed")
    trees = [played(planner, replace(oracle, seed=seed)) for seed in range(RUNS)]
    assert near(sum(tree.is_solved for tree in trees), row.reach)
    visits = [sum(value is not None for value in tree.value) for tree in trees]
    mean = sum(visits) / RUNS
    spread = sqrt(sum((one - mean) ** 2 for one in visits) / RUNS)
    assert abs(mean - row.visits) <= 3.5 * spread / sqrt(RUNS)


def test_best_of_n_succeeds_as_theory_says() -> None:
    oracle = ChainOracle(2, 1, 0.4)
    solved = sum(played(best_of_n(6), replace(oracle, seed=seed)).is_solved for seed in range(RUNS))
    assert near(solved, theory.best_of(0.4**2, 6))


def test_the_engine_builds_the_tree_that_playing_builds() -> None:
    for seed in range(5):
        oracle = ChainOracle(3, 4, 0.4, 0.9, 0.2, seed)
        for planner in (beam(width=2, depth=4), dfs(depth=4, prune_below=0.5), best_first(again=3)):
            found = run(search(state=oracle.root, planner=planner, **oracle.steps))
            tree = played(planner, oracle)
            assert [(node.parent, node.value) for node in found.tree.nodes] == list(zip(tree.parent, tree.value, strict=True))
            assert found.is_solved == tree.is_solved


def test_an_oracle_is_the_same_for_the_same_seed_and_another_for_another_sample() -> None:
    oracle = ChainOracle(3, 5, 0.5, seed=4)
    assert oracle.thoughts(oracle.root) == oracle.thoughts(oracle.root) != oracle.thoughts(oracle.root, 1)
    assert oracle.root != ChainOracle(3, 5, 0.5, seed=5).root
    game = GameOracle()
    hand = game.root(4, 5, 6, 10)
    assert game.moved(hand) == game.moved(hand) != game.moved(hand, 1)


def test_the_game_oracle_proposes_legal_moves_and_knows_what_is_solvable() -> None:
    oracle = GameOracle(w=2.5, seed=1)
    hand = oracle.root(4, 5, 6, 10)
    proposed = oracle.moved(hand)
    assert len(proposed) in (9, 10) and {one.left for one in proposed} <= set(moves(hand.left))
    assert is_solvable(hand.left) and not is_solvable(oracle.root(1, 1, 1, 1).left)
    assert oracle.is_goal(oracle.root(24)) and oracle.moved(oracle.root(24)) == []


def test_the_game_oracle_errs_as_gpt_4_did() -> None:
    values: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(60):
        oracle = GameOracle(seed=seed)
        for left in moves(oracle.root(4, 5, 6, 10).left):
            values[is_solvable(left)].append(oracle.judged(Numbers(left)))
    sure = {kind: sum(value == 20.0 for value in found) / len(found) for kind, found in values.items()}
    assert sure[True] == pytest.approx(0.511, abs=0.09) and sure[False] == pytest.approx(0.006, abs=0.01)
