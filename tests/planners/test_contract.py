"""Every planner keeps the contract; a planner that does not is told what it breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from rookery.planners import (
    Choice,
    Facts,
    Planner,
    Result,
    Tree,
    Work,
    ab_mcts,
    beam,
    best_first,
    best_of_n,
    confidence_tree,
    dfs,
    mcts,
    plan_search,
    refine,
    self_consistency,
)
from rookery.planners.tree import ranked
from rookery.testing import check_planner

PLANNERS: list[Callable[[], Planner]] = [
    lambda: beam(width=3), lambda: beam(width=1, samples=2, select="sample"), dfs, lambda: dfs(samples=2, prune_below=0.3), best_first,
    lambda: best_first(width=3, enough=0.7, prune_below=0.1), mcts,
    lambda: mcts(rollout=True, fast="prior", backup="max", choose="vote"), lambda: mcts(fast="none", choose="visits", samples=1), ab_mcts,
    lambda: ab_mcts(prior="beta"), confidence_tree, lambda: confidence_tree(score="mean", max_tokens=50), best_of_n, self_consistency, refine,
    lambda: refine(choose="drawn"), plan_search,
]  # fmt: skip


@pytest.mark.parametrize("factory", PLANNERS, ids=lambda factory: factory().facts.name)
def test_every_planner_keeps_the_contract(factory: Callable[[], Planner]) -> None:
    check_planner(factory)


@dataclass(frozen=True)
class Careless:
    """Proposes from the root once; ``fault`` says what it does wrong."""

    fault: str
    outside: list[int]

    @property
    def facts(self) -> Facts:
        return Facts("careless()", uses=frozenset({"evaluate"}))

    def ask(self, tree: Tree, slots: int, seed: int) -> Sequence[Work]:
        if tree.works and self.fault != "never through":
            return []
        if self.fault == "keeps notes outside":
            self.outside.append(0)
        sample = len(self.outside)
        works = [tree.work("reflect" if self.fault == "odd step" else "propose", 0, sample=sample)]
        return works * (slots + 1) if self.fault == "too many" else works

    def tell(self, tree: Tree, work: Work, result: Result) -> None:
        if tree.take(work) or self.fault == "counts twice":
            for child in result.children:
                tree.rate(tree.add(work.node, child)[0], tree.value[0] or 0.0)
            tree.rate(0, (tree.value[0] or 0.0) + 1)

    def done(self, tree: Tree) -> str | None:
        return "through" if tree.told and self.fault != "never through" else None

    def choose(self, tree: Tree) -> Choice:
        return Choice([len(tree)], "nobody") if self.fault == "chooses what is not there" else ranked(tree)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("too many", "works were asked for"), ("odd step", "neither needs nor uses"), ("counts twice", "told twice"),
        ("never through", "was not through"), ("keeps notes outside", "the same works"), ("chooses what is not there", "chosen nodes"),
    ],
)  # fmt: skip
def test_what_a_planner_breaks_is_told(fault: str, told: str) -> None:
    check_planner(lambda: Careless("", []))
    shared: list[int] = []
    with pytest.raises(AssertionError, match=told):
        check_planner(lambda: Careless(fault, shared))
