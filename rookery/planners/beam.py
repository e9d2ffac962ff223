"""Beam search: Tree of Thoughts breadth first (arXiv 2305.10601, algorithm 1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from rookery.planners.option import at_least, named, one_of
from rookery.planners.planner import Choice, Facts, Planner, Result, Work
from rookery.planners.tree import ANSWER, DONE, FAILED, PRUNED, ROOT, Tree, drawn, ranked


def beam(*, width: int = 5, depth: int = 10, samples: int = 1, select: Literal["best", "sample"] = "best") -> Planner:
    """Level by level: propose from each kept state, judge all new ones, keep the ``width`` best (Tree of Thoughts, algorithm 1, ToT-BFS).

    :param width: states kept at each level (b of the paper).
    :param depth: levels at most.
    :param samples: proposals for each state: 1 where one lists several steps (``propose`` of the paper), k where each gives one (``sample``).
    :param select: the best by value, or drawn with odds in proportion to their values.

    Needs ``evaluate``. Raises SearchInvalid for numbers below 1.
    """
    at_least(1, width=width, depth=depth, samples=samples)
    one_of(("best", "sample"), select=select)
    return Beam(width, depth, samples, select)


@dataclass(slots=True)
class _Notes:
    level: int = 0
    kept: list[int] = field(default_factory=lambda: [ROOT])
    to_propose: deque[tuple[int, int]] | None = None
    to_evaluate: deque[int] = field(default_factory=deque)
    found: list[int] = field(default_factory=list)
    """The new states of this level, in the order in which they were proposed."""
    out: int = 0
    """Works that are asked and not told."""
    is_judged: bool = False
    """The level was shown to a vote."""
    over: str = ""


@dataclass(frozen=True)
class Beam:
    """See ``beam``."""

    width: int
    depth: int
    samples: int
    select: str

    @property
    def facts(self) -> Facts:
        return Facts(
            named("beam", width=self.width, depth=self.depth, samples=self.samples, select=self.select), frozenset({"propose", "evaluate"}),
            eager=True, source="Tree of Thoughts, arXiv 2305.10601, algorithm 1 (ToT-BFS)",
        )

    def ask(self, tree: Tree, slots: int, seed: int) -> Sequence[Work]:
        notes = tree.notes(_Notes)
        works: list[Work] = []
        while len(works) < slots and not notes.over:
            if notes.to_propose is None:
                notes.to_propose = deque((node, sample) for node in notes.kept for sample in range(self.samples))
            if notes.to_evaluate and not tree.together:
                works.append(tree.work("evaluate", notes.to_evaluate.popleft()))
            elif notes.to_propose:
                node, sample = notes.to_propose.popleft()
                works.append(tree.work("propose", node, sample=sample))
            elif notes.out + len(works):
                break
            elif tree.together and notes.found and not notes.is_judged:
                notes.is_judged = True
                works.append(tree.work("evaluate", *notes.found))
            else:
                self._next_level(tree, notes, seed)
        notes.out += len(works)
        return works

    def tell(self, tree: Tree, work: Work, result: Result) -> None:
        if not tree.take(work):
            return
        notes = tree.notes(_Notes)
        notes.out -= 1
        if work.step == "evaluate":
            for node, value in zip(work.nodes, result.values, strict=False):
                tree.rate(node, value)
            return
        tree.mark(work.node, DONE if result.fault is None else FAILED)
        for child in result.children:
            node, is_new = tree.add(work.node, child)
            if is_new and tree.status[node] != ANSWER:
                notes.found.append(node)
                notes.to_evaluate.append(node)

    def _next_level(self, tree: Tree, notes: _Notes, seed: int) -> None:
        judged = [node for node in notes.found if tree.value[node] is not None]
        kept = self._kept(tree, judged, seed)
        for node in set(notes.found) - set(kept):
            tree.mark(node, PRUNED)
        notes.level += 1
        if not kept:
            notes.over = "exhausted"
        elif notes.level >= self.depth:
            notes.over = "depth"
        notes.kept, notes.found, notes.to_propose, notes.is_judged = kept, [], None, False
        notes.to_evaluate.clear()

    def _kept(self, tree: Tree, judged: list[int], seed: int) -> list[int]:
        if self.select == "best":
            return sorted(judged, key=lambda node: (-(tree.value[node] or 0.0), node))[: self.width]
        # Drawn without replacement, odds as the values: the largest of u ** (1 / value) (Efraimidis and Spirakis 2006).
        drawn_at = {node: drawn(seed, node) ** (1 / max(tree.value[node] or 0.0, 1e-12)) for node in judged}
        return sorted(judged, key=lambda node: (-drawn_at[node], node))[: self.width]

    def done(self, tree: Tree) -> str | None:
        if tree.is_solved:
            return "verified"
        return tree.notes(_Notes).over or None

    def choose(self, tree: Tree) -> Choice:
        return ranked(tree)
