"""Depth-first search: Tree of Thoughts with pruning and backtracking (arXiv 2305.10601, algorithm 2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Literal

from rookery.planners.option import at_least, named, one_of
from rookery.planners.planner import Choice, Facts, Planner, Result, Work
from rookery.planners.tree import ANSWER, DONE, FAILED, OPEN, PRUNED, ROOT, Tree, ranked, worth


def dfs(
    *, children: int = 3, samples: int = 1, depth: int = 10, visits: int = 100, prune_below: float | None = None,
    order: Literal["", "prior", "value", "proposed"] = "",
) -> Planner:
    """Follow the best child down, and go back where it ends (Tree of Thoughts, algorithm 2, ToT-DFS).

    :param children: of each state so many are followed at most.
    :param samples: proposals for each state, pooled: what several of them propose has the sum of its priors (8 in the paper's crosswords).
    :param depth: levels at most.
    :param visits: states gone to at most (100 in the paper's crosswords).
    :param prune_below: a state is given up when it is judged below this (v_th of the paper). A state is judged when it is gone to.
    :param order: which children go first: those of the highest ``prior`` (the proposer's confidence, as in the paper), those of the highest
        ``value`` (all are judged before one is followed), or as ``proposed``. As given: by prior where the proposer tells one; else by value where
        nothing is pruned and ``evaluate`` is there; else as proposed.

    Without a goal the search ends at the first answer, or state at the last level: nothing deeper can come after it. What is chosen is the
    deepest state, of equally deep ones that which was reached first. Takes ``evaluate``. Raises SearchInvalid for numbers below 1.
    """
    at_least(1, children=children, samples=samples, depth=depth, visits=visits)
    at_least(-inf, prune_below=prune_below)
    one_of(("", "prior", "value", "proposed"), order=order)
    return DepthFirst(children, samples, depth, visits, prune_below, order)


@dataclass(slots=True)
class _Notes:
    stack: list[int] = field(default_factory=lambda: [ROOT])
    """States to go to; the last one next."""
    visited: list[int] = field(default_factory=list)
    family: list[int] = field(default_factory=list)
    """Children of one state that are not ordered yet."""
    is_judged: bool = False
    """They are, or are about to be."""
    to_evaluate: deque[int] = field(default_factory=deque)
    here: int | None = None
    """A state that was gone to, and is not proposed from yet."""
    samples: int = 0
    """Proposals that were asked from it."""
    out: int = 0
    over: str = ""


@dataclass(frozen=True)
class DepthFirst:
    """See ``dfs``."""

    children: int
    samples: int
    depth: int
    visits: int
    prune_below: float | None
    order: str

    @property
    def facts(self) -> Facts:
        options = {name: getattr(self, name) for name in ("children", "samples", "depth", "visits", "prune_below")}
        return Facts(named("dfs", **options, order=self.order or None), uses=frozenset({"evaluate"}), eager=True,
                     source="Tree of Thoughts, arXiv 2305.10601, algorithm 2 (ToT-DFS)")  # fmt: skip

    def ask(self, tree: Tree, slots: int, seed: int) -> Sequence[Work]:
        notes = tree.notes(_Notes)
        works: list[Work] = []
        while len(works) < slots and not notes.over:
            if notes.to_evaluate and not tree.together:
                works.append(tree.work("evaluate", notes.to_evaluate.popleft()))
            elif notes.to_evaluate and not notes.out + len(works):
                works.append(tree.work("evaluate", *notes.to_evaluate))
                notes.to_evaluate.clear()
            elif notes.here is not None and notes.samples < self.samples and not notes.to_evaluate:
                works.append(tree.work("propose", notes.here, sample=notes.samples))
                notes.samples += 1
            elif notes.out + len(works):
                break
            elif notes.family:
                self._order(tree, notes)
            else:
                self._go(tree, notes)
        notes.out += len(works)
        return works

    def _go(self, tree: Tree, notes: _Notes) -> None:
        """Go to the next state; it is judged first where that may prune it."""
        notes.here, notes.samples = None, 0
        if not notes.stack or len(notes.visited) > self.visits:  # the root is no visit
            notes.over = "visits" if notes.stack else "exhausted"
            return
        node = notes.stack.pop()
        notes.visited.append(node)
        notes.here = node
        if node != ROOT and self.prune_below is not None and "evaluate" in tree.steps and tree.value[node] is None:
            notes.to_evaluate.append(node)
            notes.samples = self.samples  # nothing is proposed before it is judged
        else:
            self._enter(tree, notes, node)

    def _enter(self, tree: Tree, notes: _Notes, node: int) -> None:
        """Go on from a state, unless it is pruned or the way ends here."""
        notes.samples = 0
        if self._is_low(tree, node):
            tree.mark(node, PRUNED)
            notes.here = None
        elif tree.status[node] == ANSWER or tree.depth[node] >= self.depth:
            notes.here = None
            if "goal" not in tree.steps:
                notes.over = "answered" if tree.status[node] == ANSWER else "depth"

    def _is_low(self, tree: Tree, node: int) -> bool:
        value = tree.value[node]
        return self.prune_below is not None and value is not None and value < self.prune_below

    def tell(self, tree: Tree, work: Work, result: Result) -> None:
        if not tree.take(work):
            return
        notes = tree.notes(_Notes)
        notes.out -= 1
        if work.step == "evaluate":
            for node, value in zip(work.nodes, result.values, strict=False):
                tree.rate(node, value)
            if work.node == notes.here:
                self._enter(tree, notes, work.node)
            return
        if result.fault is None or tree.status[work.node] == OPEN:
            tree.mark(work.node, DONE if result.fault is None else FAILED)
        for child in result.children:
            node, is_new = tree.add(work.node, child)
            if is_new and (tree.status[node] == OPEN or "goal" not in tree.steps):
                notes.family.append(node)
            elif node in notes.family and child.prior is not None:
                tree.prior[node] = (tree.prior[node] or 0.0) + child.prior

    def _order(self, tree: Tree, notes: _Notes) -> None:
        """Which of a state's children are gone to, and in which order."""
        found, order = notes.family, self.order
        if not order:
            has_priors = any(tree.prior[node] is not None for node in found)
            order = "prior" if has_priors else "value" if self.prune_below is None else "proposed"
        if order == "value" and "evaluate" in tree.steps and len(found) > 1:
            if not notes.is_judged:
                notes.is_judged = True
                notes.to_evaluate.extend(found)
                return
            found.sort(key=lambda node: (tree.value[node] is None, -worth(tree, node)))
        elif order != "proposed":
            found.sort(key=lambda node: -(tree.prior[node] or 0.0))
        for node in found[self.children :]:
            tree.mark(node, PRUNED)
        notes.stack.extend(reversed(found[: self.children]))
        notes.family, notes.is_judged = [], False

    def done(self, tree: Tree) -> str | None:
        if tree.is_solved:
            return "verified"
        return tree.notes(_Notes).over or None

    def choose(self, tree: Tree) -> Choice:
        notes = tree.notes(_Notes)
        if tree.passed:
            return ranked(tree)
        visited = [node for node in notes.visited if node != ROOT and tree.status[node] != PRUNED]
        ends = [node for node in visited if tree.status[node] == ANSWER] or visited
        return Choice(sorted(ends, key=lambda node: -tree.depth[node]), "the deepest state reached first") if ends else ranked(tree)
