"""What a library grows on and what comes of it: problems with known values, the order in which they are taken, and the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rookery.index.text import bag
from rookery.tools.record import Example


@dataclass(frozen=True, slots=True)
class Problem:
    """A task with calls whose right values are known. Those with ``seen=False`` are shown to no model; where all are seen and there are
    at least four, the last third is held back."""

    name: str
    question: str
    examples: tuple[Example, ...]
    returns: str = ""
    """The type of the value as Python text, where the examples do not say it."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A candidate that did not become a tool, and why."""

    problem: str
    stage: str
    """``solve``, ``generalise``, ``verify`` or ``merge``."""
    why: str
    name: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Growth:
    """What came of it, in the order in which it happened."""

    admitted: tuple[str, ...] = ()
    solved: tuple[str, ...] = ()
    """Problems with a solution that is right on the examples, also on those held back."""
    reused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Which tools the solutions call, by problem."""
    merged: Mapping[str, str] = field(default_factory=dict)
    """Tools that were the same as another, and that other."""
    rejected: tuple[Rejected, ...] = ()


def with_held_back(problem: Problem) -> Problem:
    """The problem with a third of its examples held back, where none is and there are enough."""
    examples = problem.examples
    if len(examples) < 4 or not all(example.seen for example in examples):
        return problem
    keep = len(examples) - max(2, len(examples) // 3)
    return replace(problem, examples=(*examples[:keep], *(replace(example, seen=False) for example in examples[keep:])))


def likest(own: str, sources: Sequence[str], most_chars: int = 3000) -> str:
    """The solutions most like one's own, the likest first, as fenced blocks."""
    mine = bag(own)
    ranked = sorted(sources, key=lambda source: -_cosine(mine, bag(source)))
    text = ""
    for source in ranked:
        if len(text) + len(source) > most_chars:
            break
        text += f"```python\n{source}```\n"
    return text or "none"


def most_distant(texts: Sequence[str]) -> list[int]:
    """All texts by number, each time the one whose nearest neighbour among those before it is the farthest (CRAFT, section 2.1)."""
    bags = [bag(text) for text in texts]
    nearest = [-1.0] * len(texts)
    order: list[int] = []
    left = list(range(len(texts)))
    while left:
        at = min(left, key=lambda number: (nearest[number], number))
        left.remove(at)
        order.append(at)
        for other in left:
            nearest[other] = max(nearest[other], _cosine(bags[at], bags[other]))
    return order


def _cosine(a: Mapping[str, float], b: Mapping[str, float]) -> float:
    both = sum(weight * b[term] for term, weight in a.items() if term in b)
    lengths = math.sqrt(sum(weight * weight for weight in a.values()) * sum(weight * weight for weight in b.values()))
    return both / lengths if lengths else 0.0
