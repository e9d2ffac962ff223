"""Lines of work that go forward side by side, in an order that does not depend on which call was quick."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from rookery.planners.planner import Child, Result
from rookery.planners.tree import DONE, FAILED, OPEN, ROOT, Tree

ABREAST = 8
"""Lines under way at a time, unless said otherwise: more need more calls before the first of them is at its end."""


@dataclass(slots=True)
class Line:
    """One line of thought, from the root down one child after the other."""

    number: int
    node: int = ROOT
    """Where it has come."""
    steps: int = 0
    luck: float = 0.0
    """Drawn when its next step was asked; it decides which child is followed."""
    is_out: bool = False
    """A work of it is asked and not told."""
    is_over: bool = False
    way: set[int] = field(default_factory=lambda: {ROOT})

    def step(self, tree: Tree, result: Result, depth: int, *, under: int = ROOT) -> bool:
        """Follow one child of a proposal. Whether the line is at its end: an answer, a dead end, a failure, or ``depth`` steps.

        What follows the root becomes a child of ``under``.
        """
        self.steps += 1
        parent = self.node or under
        if result.fault is not None:
            if tree.status[self.node] == OPEN:
                tree.mark(self.node, FAILED)
            return True
        tree.mark(self.node, DONE)
        passed = [child for child in result.children if child.check is not None and child.check.passed]
        known = [tree.add(parent, child)[0] for child in passed]
        ahead = [child for child in result.children if tree.ids.get(child.key) not in self.way or not (tree.merges and child.key)]
        if not ahead:
            return True
        child = passed[0] if passed else picked(ahead, self.luck)
        self.node = known[0] if passed else tree.add(parent, child)[0]
        self.way.add(self.node)
        return bool(passed) or tree.final[self.node] or self.steps >= depth


def picked(children: Sequence[Child[Any]], luck: float) -> Child[Any]:
    """The only child, or one drawn: with odds as the priors where all have one above 0, else evenly. ``luck``: from [0, 1)."""
    priors = [child.prior or 0.0 for child in children]
    odds = priors if all(prior > 0 for prior in priors) else [1.0] * len(children)
    left = luck * sum(odds)
    for child, weight in zip(children, odds, strict=True):
        left -= weight
        if left < 0:
            return child
    return children[-1]


L = TypeVar("L", bound=Line)


@dataclass(slots=True)
class Row(Generic[L]):
    """Lines under way. They take turns, and while the one whose turn it is waits for a result, nobody asks: so the works are the
    same, in the same order, however many of them are in flight."""

    places: deque[L | None] = field(default_factory=deque)
    """None: room for a line that has not begun."""

    def widen(self, places: int) -> None:
        """Room for more lines at a time; they begin before the others go on."""
        self.places.extendleft([None] * places)

    def turn(self, begin: Callable[[], L | None]) -> L | None:
        """The line that asks next; None while that is not known, or when all are over. ``begin`` gives a new line while there are any."""
        while self.places:
            line = self.places[0]
            if line is not None and line.is_out:
                return None
            self.places.popleft()
            if line is None or line.is_over:
                line = begin()
            if line is not None:
                self.places.append(line)
                line.is_out = True
                return line
        return None
