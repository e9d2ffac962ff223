"""Oracles: proposers and judges with known error rates, for which theory says how often a planner succeeds.

They draw by chance, but the same for the same seed: what is proposed hangs on the state, the seed and the sample, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

from rookery.core.function import tool
from rookery.planners.planner import Check, Child, Result, Work
from rookery.planners.tree import Tree, drawn, mixed


@dataclass(frozen=True, slots=True)
class Thought:
    """A state of the chain oracle: good while a right answer can still come of it."""

    depth: int
    is_good: bool
    luck: int
    """What decides all that comes of it; different for each."""

    def key(self) -> str:
        return str(self.luck)


@dataclass(frozen=True, slots=True)
class Ending:
    """An answer of the chain oracle, written down from a thought at the last level: right if that was good."""

    is_good: bool
    luck: int

    def key(self) -> str:
        return f"end {self.luck}"


@dataclass(frozen=True)
class ChainOracle:
    """From a good thought each proposed one is good with probability ``p``; from a bad one none is. A judge passes good ones with probability ``a``
    and bad ones with ``c``: values near 1 and near 0, ties broken by chance. From the last level one answer is written down, and the goal
    tells exactly whether it is right.
    """

    depth: int = 3
    children: int = 5
    """Thoughts of one proposal."""
    p: float = 0.3
    a: float = 1.0
    c: float = 0.0
    seed: int = 0

    @property
    def root(self) -> Thought:
        return Thought(0, True, mixed(self.seed, 0))

    def thoughts(self, state: Thought, sample: int = 0) -> list[Thought | Ending]:
        """One proposal from a state."""
        if state.depth == self.depth:
            return [Ending(state.is_good, state.luck)]
        lucks = [mixed(state.luck, sample, place) for place in range(self.children)]
        return [Thought(state.depth + 1, state.is_good and drawn(luck, 1) < self.p, luck) for luck in lucks]

    def judged(self, state: Thought) -> float:
        """The judge's value of a thought."""
        passes = drawn(state.luck, 2) < (self.a if state.is_good else self.c)
        return (1.0 if passes else 0.0) + 1e-3 * drawn(state.luck, 3)

    def carry(self, tree: Tree, work: Work) -> Result:
        """What a work gives, for ``play``."""
        state = tree.state[work.node]
        if work.step == "evaluate":
            return Result(values=[self.judged(tree.state[node]) for node in work.nodes])
        if isinstance(state, Ending):
            state = tree.state[0]
        return Result(children=[_child(one, Check(one.is_good) if isinstance(one, Ending) else None) for one in self.thoughts(state, work.sample)])

    @cached_property
    def steps(self) -> dict[str, Any]:
        """Its parts, for ``search(state=oracle.root, planner=…, **oracle.steps)``."""

        @tool(inline=True)
        def propose(state: Thought, sample: int = 0) -> list[Thought | Ending]:
            return self.thoughts(state, sample)

        @tool(inline=True)
        def evaluate(state: Thought) -> float:
            return self.judged(state)

        def goal(state: Ending) -> bool:
            return state.is_good

        return {"propose": propose, "evaluate": evaluate, "goal": goal}


def _child(state: Any, check: Check | None) -> Child[Any]:
    return Child(state, key=state.key(), check=check, final=isinstance(state, Ending))


@dataclass(frozen=True, slots=True)
class Numbers:
    """A state of the Game of 24: the numbers that are left, ascending."""

    left: tuple[Fraction, ...]
    luck: int = 0

    def key(self) -> str:
        return " ".join(map(str, self.left))

    def __str__(self) -> str:
        return self.key()


@lru_cache(maxsize=200_000)
def moves(left: tuple[Fraction, ...]) -> tuple[tuple[Fraction, ...], ...]:
    """What the legal moves of the Game of 24 leave, each once, in a fixed order."""
    found: dict[tuple[Fraction, ...], None] = {}
    for i in range(len(left)):
        for j in range(len(left)):
            if i == j:
                continue
            x, y = left[i], left[j]
            rest = [left[k] for k in range(len(left)) if k not in (i, j)]
            results = [x - y, *([x + y, x * y] if i < j else []), *([x / y] if y else [])]
            for result in results:
                found[tuple(sorted([*rest, result]))] = None
    return tuple(found)


@lru_cache(maxsize=200_000)
def is_solvable(left: tuple[Fraction, ...]) -> bool:
    """Whether 24 can be reached, by trying everything."""
    return left == (Fraction(24),) if len(left) == 1 else any(is_solvable(child) for child in moves(left))


@dataclass(frozen=True)
class GameOracle:
    """The Game of 24 by exact rules, with a proposer and a judge that err as GPT-4 does in the published Tree of Thoughts trace.

    Legal moves are drawn without putting back, those that keep the hand solvable with odds ``w`` to 1; the judge's value is drawn from
    what GPT-4 gave to solvable and to dead states at each step. With w = 2.5 about as many hands are solved as in the trace.
    """

    w: float = 2.5
    seed: int = 0

    PROPOSED = (9.5, 6.4, 4.0)
    """Moves of one proposal at each step, on average."""
    SURE_LIKELY = (((0.511, 0.422), (0.006, 0.866)), ((0.995, 0.0), (0.0, 0.425)), ((1.0, 0.0), (0.0, 0.056)))
    """At each step, for solvable and for dead states: how often the value is high, and how often it is middling."""
    VALUES = (20.0, 2.0, 0.003)
    """High, middling and low."""

    def root(self, *numbers: int) -> Numbers:
        """A hand."""
        return Numbers(tuple(sorted(map(Fraction, numbers))), mixed(self.seed, *numbers))

    def moved(self, state: Numbers, sample: int = 0) -> list[Numbers]:
        """One proposal from a state."""
        if len(state.left) == 1:
            return []
        mean = self.PROPOSED[max(0, 4 - len(state.left))]
        luck = mixed(state.luck, sample)
        wanted = int(mean) + (drawn(luck, 0) < mean % 1)
        # Drawn without replacement with given odds: the largest of u ** (1 / odds) (Efraimidis and Spirakis 2006).
        order = {left: drawn(luck, place) ** (1 / (self.w if is_solvable(left) else 1.0)) for place, left in enumerate(moves(state.left), 1)}
        return [Numbers(left, mixed(luck, place)) for place, left in enumerate(sorted(order, key=lambda left: -order[left])[:wanted])]

    def judged(self, state: Numbers) -> float:
        """The judge's value of a state."""
        sure, likely = self.SURE_LIKELY[min(2, max(0, 3 - len(state.left)))][0 if is_solvable(state.left) else 1]
        at = drawn(self.seed, 7, *(part for number in state.left for part in (number.numerator, number.denominator)))
        return self.VALUES[0 if at < sure else 1 if at < sure + likely else 2]

    def carry(self, tree: Tree, work: Work) -> Result:
        """What a work gives, for ``play``."""
        if work.step == "evaluate":
            return Result(values=[self.judged(tree.state[node]) for node in work.nodes])
        children = self.moved(tree.state[work.node], work.sample)
        return Result(children=[_child(one, Check(self.is_goal(one))) for one in children])

    @staticmethod
    def is_goal(state: Numbers) -> bool:
        return state.left == (Fraction(24),)

    @cached_property
    def steps(self) -> dict[str, Any]:
        """Its parts, for ``search(state=oracle.root(4, 5, 6, 10), planner=…, **oracle.steps)``."""

        @tool(inline=True)
        def propose(state: Numbers, sample: int = 0) -> list[Numbers]:
            return self.moved(state, sample)

        @tool(inline=True)
        def evaluate(state: Numbers) -> float:
            return self.judged(state)

        goal: Callable[[Numbers], bool] = self.is_goal
        return {"propose": propose, "evaluate": evaluate, "goal": goal}
