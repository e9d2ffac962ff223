"""AB-MCTS-A: a tree of answers that grows wider or deeper, whichever a Thompson draw says (arXiv 2503.04412)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from rookery.planners.option import at_least, named, one_of
from rookery.planners.planner import Choice, Facts, Planner, Result, Work
from rookery.planners.posterior import Arms, Beta, Gaussian, Prior
from rookery.planners.tree import ANSWER, DONE, FAILED, OPEN, ROOT, Tree, mixed, ranked

PRIORS: dict[str, Prior] = {"gaussian": Gaussian(), "beta": Beta()}
"""As in the paper: m = 0, κ = 1, ν = 1, τ² = 0.1; a = b = 0.5."""
DUDS = 16
"""So many proposals one after another that bring nothing new end a search."""
LOW, HIGH = 0.0, 1.0
"""Scores lie between."""


def ab_mcts(*, iterations: int = 100, prior: Literal["gaussian", "beta"] = "gaussian", temperature: float | None = None) -> Planner:
    """From the root down, decide by Thompson sampling whether to propose anew here (GEN) or to go on to one of the answers there are (CONT),
    and to which (adaptive branching Monte Carlo tree search, variant A with node aggregation: Inoue et al. 2025, arXiv 2503.04412,
    section 3.3). A proposal from an answer is asked to better it: ``propose`` may take ``answer``, ``feedback`` and ``score``.

    A new answer's score goes to GEN where it was made, and to CONT and the chosen child all the way up. It is the goal's ``Check.score``, else what
    ``evaluate`` says, and must lie from 0 to 1: a judgement outside is a failed work. What the goal passes scores 1, what it does not and nobody
    judges 0. A proposal of nothing, or of what the tree has already, counts as 0 for GEN.

    :param iterations: proposals at most.
    :param prior: scores are believed to be normal (m = 0, κ = 1, ν = 1, τ² = 0.1), or shares of successes (Beta(½, ½)).
    :param temperature: of the proposals; None: as their prompt has it.

    Takes ``evaluate``. Raises SearchInvalid for ``iterations`` below 1 and ``temperature`` below 0.
    """
    at_least(1, iterations=iterations)
    at_least(0, temperature=temperature)
    one_of(tuple(PRIORS), prior=prior)
    return ABMCTS(iterations, prior, temperature)


@dataclass(slots=True)
class Scores:
    """Columns of how many scores, their sums and sums of squares, at a node's id."""

    n: list[int] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    squares: list[float] = field(default_factory=list)

    def grow(self) -> None:
        self.n.append(0)
        self.total.append(0.0)
        self.squares.append(0.0)

    def add(self, node: int, score: float) -> None:
        self.n[node] += 1
        self.total[node] += score
        self.squares[node] += score * score


@dataclass(slots=True)
class _Notes:
    gen: Scores = field(default_factory=Scores)
    """Of what was made at a node."""
    cont: Scores = field(default_factory=Scores)
    """Of what was made further below."""
    whole: Scores = field(default_factory=Scores)
    """Of a node and all below it."""
    arms: list[Arms] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    """Proposals from each node."""
    to_evaluate: deque[int] = field(default_factory=deque)
    out: int = 0
    begun: int = 0
    duds: int = 0
    over: str = ""

    def grow(self, size: int) -> None:
        while len(self.arms) < size:
            for scores in (self.gen, self.cont, self.whole):
                scores.grow()
            self.arms.append(Arms())
            self.asked.append(0)


@dataclass(frozen=True)
class ABMCTS:
    """See ``ab_mcts``."""

    iterations: int
    prior: str
    temperature: float | None

    @property
    def facts(self) -> Facts:
        return Facts(
            named("ab_mcts", iterations=self.iterations, prior=self.prior, temperature=self.temperature), uses=frozenset({"evaluate"}),
            source="AB-MCTS-A, arXiv 2503.04412, section 3.3", within=(LOW, HIGH),
        )

    def ask(self, tree: Tree, slots: int, seed: int) -> Sequence[Work]:
        notes = tree.notes(_Notes)
        notes.grow(1)
        works: list[Work] = []
        while len(works) < slots and not notes.over:
            if notes.to_evaluate:
                works.append(tree.work("evaluate", notes.to_evaluate.popleft()))
            elif notes.begun < self.iterations and notes.duds < DUDS:
                notes.begun += 1
                node = self._select(notes, Random(mixed(seed, notes.begun)))
                works.append(tree.work("propose", node, sample=notes.asked[node], temperature=self.temperature))
                notes.asked[node] += 1
            else:
                if not notes.out + len(works):
                    notes.over = "iterations" if notes.begun >= self.iterations else "exhausted"
                break
        notes.out += len(works)
        return works

    def _select(self, notes: _Notes, chance: Random) -> int:
        """The node to propose from."""
        prior, gen, cont, whole, node = PRIORS[self.prior], notes.gen, notes.cont, notes.whole, ROOT
        while notes.arms[node]:
            anew = prior.draw(chance, gen.n[node], gen.total[node], gen.squares[node])
            further = prior.draw(chance, cont.n[node], cont.total[node], cont.squares[node])
            if anew > further:
                break
            node = notes.arms[node].best(chance, prior, whole.n, whole.total, whole.squares)
        return node

    def tell(self, tree: Tree, work: Work, result: Result) -> None:
        if not tree.take(work):
            return
        notes = tree.notes(_Notes)
        notes.out -= 1
        if work.step == "evaluate":
            if result.values:
                self._scored(tree, notes, work.node, result.values[0])
            else:
                tree.mark(work.node, FAILED)
            return
        if result.fault is None or tree.status[work.node] == OPEN:
            tree.mark(work.node, DONE if result.fault is None else FAILED)
        found = [tree.add(work.node, child) for child in result.children]
        notes.grow(len(tree))
        notes.duds = 0 if any(is_new for _, is_new in found) else notes.duds + 1
        for node, is_new in found:
            if is_new:
                self._new(tree, notes, node)
            else:
                notes.gen.add(work.node, LOW)
        if not found and result.fault is None:
            notes.gen.add(work.node, LOW)

    def _new(self, tree: Tree, notes: _Notes, node: int) -> None:
        check = tree.check[node]
        if check is not None and (check.passed or check.score is not None):
            self._scored(tree, notes, node, HIGH if check.score is None else check.score)
        elif "evaluate" in tree.steps:
            notes.to_evaluate.append(node)
        else:
            self._scored(tree, notes, node, LOW if check is not None else (LOW + HIGH) / 2)

    def _scored(self, tree: Tree, notes: _Notes, node: int, score: float) -> None:
        """Tell an answer's score to all arms that led to it."""
        if not LOW <= score <= HIGH:
            tree.mark(node, FAILED)
            return
        tree.rate(node, score)
        prior, parent, above = PRIORS[self.prior], tree.parent, node
        notes.gen.add(parent[node], score)
        whole = notes.whole
        while above != ROOT:
            whole.add(above, score)
            shape = prior.shape(whole.n[above], whole.total[above], whole.squares[above])
            below, above = above, parent[above]
            notes.arms[above].put(below, whole.n[below], prior.bucket(whole.total[below] / whole.n[below]), shape)
            if below != node:
                notes.cont.add(above, score)

    def done(self, tree: Tree) -> str | None:
        if tree.is_solved:
            return "verified"
        return tree.notes(_Notes).over or None

    def choose(self, tree: Tree) -> Choice:
        return ranked(tree, among=[node for node in range(1, len(tree)) if tree.status[node] == ANSWER or tree.value[node] is not None])
