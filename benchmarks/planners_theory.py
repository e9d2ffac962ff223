"""Planners against oracles whose error rates are known: how often they succeed beside what theory says, and whether they ask the closed forms.

Each planner is played on independent problems (figure 1 of planners). A success rate is met when it lies within two standard errors of
theory; of two dozen such rates one or another misses by chance with most seeds, so the seeds are fixed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from math import sqrt
from random import Random
from typing import Any

from benchmarks import theory
from benchmarks.report import Target, finish, options, say, table
from rookery import run
from rookery.planners import Child, Planner, Result, Tree, Work, beam, best_of_n, dfs, plan_search, search, self_consistency
from rookery.planners.posterior import Beta
from rookery.testing import ChainOracle, play

RUNS = 4_000
QUICK = 400
THROUGH_THE_ENGINE = 200
STEPS = frozenset({"propose", "evaluate", "goal"})


def played(planner: Planner, oracle: ChainOracle, seed: int) -> Tree:
    tree = Tree(oracle.root, key=oracle.root.key(), steps=STEPS)
    play(planner, tree, oracle.carry, seed=seed)
    return tree


def rate(name: str, successes: int, runs: int, expected: float) -> dict[str, Any]:
    """A success rate beside theory's, and their distance in standard errors."""
    error = sqrt(expected * (1 - expected) / runs)
    return {"name": name, "runs": runs, "measured": successes / runs, "theory": expected, "errors": abs(successes / runs - expected) / error}


def beams(runs: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rates, counts = [], []
    for row in theory.BEAMS:
        trees = [played(beam(width=row.width, depth=row.depth + 1), ChainOracle(row.depth, row.children, row.p, row.a, row.c, seed), seed)
                 for seed in range(runs)]  # fmt: skip
        name = f"beam d={row.depth} k={row.children} b={row.width} p={row.p:g} a={row.a:g} c={row.c:g}"
        reach, _ = theory.beam_reach(row.depth, row.children, row.width, row.p, row.a, row.c)
        rates.append(rate(name, sum(tree.is_solved for tree in trees), runs, reach))
        judged = {sum(value is not None for value in tree.value) for tree in trees}
        counts.append(count(f"{name}: judgements", judged, theory.beam_judgements(row.depth, row.children, row.width)))
        proposed = {sum(bool(below) and tree.depth[node] < row.depth for node, below in enumerate(tree.children)) for tree in trees}
        counts.append(count(f"{name}: proposals", proposed, theory.beam_proposals(row.depth, row.children, row.width)))
    return rates, counts


def depth_first(runs: int) -> list[dict[str, Any]]:
    rates = []
    for row in theory.SEARCHES:
        planner = dfs(children=row.children, depth=row.depth + 1, visits=10**6, prune_below=0.5, order="proposed")
        trees = [played(planner, ChainOracle(row.depth, row.children, row.p, row.a, row.c, seed), seed) for seed in range(runs)]
        name = f"dfs d={row.depth} k={row.children} p={row.p:g} a={row.a:g} c={row.c:g}"
        reach, expected = theory.dfs_reach(row.depth, row.children, row.p, row.a, row.c)
        rates.append(rate(name, sum(tree.is_solved for tree in trees), runs, reach))
        visits = [sum(value is not None for value in tree.value) for tree in trees]
        mean = sum(visits) / runs
        error = sqrt(sum((one - mean) ** 2 for one in visits) / runs / runs)
        rates.append({"name": f"{name}: states gone to", "runs": runs, "measured": mean, "theory": expected, "errors": abs(mean - expected) / error})
    return rates


def samples(runs: int) -> list[dict[str, Any]]:
    oracle = {"depth": 3, "children": 1, "p": 0.342}
    rates = []
    for n in (4, 16):
        solved = sum(played(best_of_n(n), ChainOracle(seed=seed, **oracle), seed).is_solved for seed in range(runs))  # type: ignore[arg-type]
        rates.append(rate(f"best of {n}, chain d=3 p=0.342", solved, runs, theory.best_of(0.342**3, n)))
    return rates


def votes(runs: int) -> list[dict[str, Any]]:
    """Self-consistency where the right answer has chance q and five wrong ones share the rest; ties go to the answer found first, which is the
    right one as often as if they were drawn."""
    rates = []
    for q, n in ((0.3, 5), (0.3, 10), (0.3, 40), (0.15, 10), (0.15, 40)):
        right = 0
        for seed in range(runs):
            chance = Random(seed)

            def answer(tree: Tree, work: Work, chance: Random = chance, q: float = q) -> Result:
                key = "right" if chance.random() < q else f"wrong {chance.randrange(5)}"
                return Result(children=[Child(key, key=key, final=True)])

            tree = Tree("", key="", steps=frozenset({"propose"}))
            planner = self_consistency(n)
            play(planner, tree, answer, seed=seed)
            right += tree.state[planner.choose(tree).nodes[0]] == "right"
        rates.append(rate(f"majority of {n}, q={q:g} against five", right, runs, theory.majority(q, 5, n)))
    return rates


def thompson(runs: int) -> list[dict[str, Any]]:
    rates, prior = [], Beta(1, 1)
    for (a1, b1), (a2, b2) in (((3, 2), (2, 5)), ((1, 1), (4, 2)), ((6, 3), (5, 4))):
        chance = Random(a1 * 100 + b2)
        wins = sum(prior.draw(chance, a1 + b1 - 2, a1 - 1, 0) > prior.draw(chance, a2 + b2 - 2, a2 - 1, 0) for _ in range(runs))
        rates.append(rate(f"Thompson: Beta({a1},{b1}) above Beta({a2},{b2})", wins, runs, theory.beta_beats(a1, b1, a2, b2)))
    return rates


def plans() -> list[dict[str, Any]]:
    """PlanSearch's leaves and codes, counted on a proposer that always gives ``n`` observations and codes that all differ and fail."""
    counts = []
    for n in (3, 4, 5, 6):
        planner = plan_search(observations=n)
        asked: Counter[str] = Counter()

        def carry(tree: Tree, work: Work, n: int = n, step: str = planner.facts.answer_step, asked: Counter[str] = asked) -> Result:
            asked[work.step] += 1
            if work.step == step:
                return Result(children=[Child(f"{work.id}", key=f"code {work.id}", final=True)])
            return Result(value=[f"observation {work.id}.{place}" for place in range(n)])

        tree = Tree("", key="", steps=frozenset({"goal", *planner.facts.steps}))
        play(planner, tree, carry)
        leaves, codes = theory.plan_search_leaves(n)
        counts.append(count(f"PlanSearch n={n}: codes", {asked[planner.facts.answer_step]}, codes))
        counts.append(count(f"PlanSearch n={n}: leaves", {asked["criticise"]}, leaves))
    return counts


def count(name: str, measured: set[int], expected: int) -> dict[str, Any]:
    return {"name": name, "measured": sorted(measured)[:5], "theory": expected, "same": measured == {expected}}


def through_the_engine(runs: int) -> int:
    """Searches whose tree through the engine is another than when the planner is played."""
    other = 0
    planners = (beam(width=3, depth=4), dfs(children=5, depth=4, prune_below=0.5, order="proposed"))
    for seed in range(runs):
        oracle = ChainOracle(3, 5, 0.3, 0.9, 0.2, seed)
        planner = planners[seed % 2]
        found, tree = run(search(state=oracle.root, planner=planner, **oracle.steps)), played(planner, oracle, 0)
        other += [(node.parent, node.status, node.value) for node in found.tree.nodes] != list(zip(tree.parent, tree.status, tree.value, strict=True))
    return other


def measure(*, quick: bool) -> dict[str, Any]:
    runs = QUICK if quick else RUNS
    say(f"theory: {runs} problems a row …")
    rates, counts = beams(runs)
    for more in (depth_first(runs), samples(runs), votes(runs), thompson(50 * runs)):
        rates += more
    counts += plans()
    say("theory: through the engine …")
    runs = THROUGH_THE_ENGINE // 5 if quick else THROUGH_THE_ENGINE
    return {"rates": rates, "counts": counts, "engine_runs": runs, "engine_other": through_the_engine(runs)}


def targets(figures: dict[str, Any]) -> list[Target]:
    return [
        *(Target(f"{one['name']}: distance from theory", round(one["errors"], 2), 2.0, " standard errors") for one in figures["rates"]),
        Target("call counts that are not the closed form", sum(not one["same"] for one in figures["counts"]), 0),
        Target("searches that the engine and play carry out differently", figures["engine_other"], 0),
    ]


def lines(figures: dict[str, Any]) -> list[str]:
    rates = [[one["name"], one["runs"], one["measured"], one["theory"], one["errors"]] for one in figures["rates"]]
    counts = [[one["name"], ", ".join(map(str, one["measured"])), one["theory"]] for one in figures["counts"]]
    return [
        *table(("success rates", "problems", "measured", "theory", "standard errors"), rates),
        *table(("call counts", "measured", "closed form"), counts),
        f"the same tree through the engine: {figures['engine_runs'] - figures['engine_other']} of {figures['engine_runs']}",
    ]


def main(argv: Sequence[str] | None = None) -> int:
    chosen = options(__doc__, argv)
    figures = measure(quick=chosen.quick)
    return finish("planners_theory", figures, targets(figures), lines(figures), chosen)


if __name__ == "__main__":
    sys.exit(main())
