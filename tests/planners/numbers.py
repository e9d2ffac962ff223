"""A small exact problem for the tests of searches: combine numbers until 24 is left."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from rookery import tool


@dataclass(frozen=True)
class Hand:
    """What is left, ascending, and how it came about."""

    numbers: tuple[Fraction, ...]
    way: tuple[str, ...] = ()

    def key(self) -> str:
        return " ".join(map(str, self.numbers))

    def __str__(self) -> str:
        return self.key()


def hand(*numbers: int) -> Hand:
    return Hand(tuple(sorted(map(Fraction, numbers))))


def steps_of(state: Hand) -> list[Hand]:
    """All legal steps, in a fixed order."""
    found: dict[str, Hand] = {}
    numbers = state.numbers
    for i in range(len(numbers)):
        for j in range(len(numbers)):
            if i == j:
                continue
            a, b = numbers[i], numbers[j]
            rest = [numbers[k] for k in range(len(numbers)) if k not in (i, j)]
            results = [("-", a - b)]
            if i < j:
                results += [("+", a + b), ("*", a * b)]
            if b:
                results.append(("/", a / b))
            for sign, result in results:
                child = Hand(tuple(sorted([*rest, result])), (*state.way, f"{a} {sign} {b} = {result}"))
                found.setdefault(child.key(), child)
    return list(found.values())


@tool(inline=True)
def next_steps(state: Hand) -> list[Hand]:
    return steps_of(state)


def solvable(state: Hand) -> bool:
    """Exactly, by trying everything."""
    if len(state.numbers) == 1:
        return state.numbers[0] == 24
    return any(solvable(child) for child in steps_of(state))


@tool(inline=True)
def judge(state: Hand) -> float:
    """How near the nearest number is to 24: rule-based, not very good."""
    return float(-min(abs(24 - number) for number in state.numbers))


@tool(inline=True)
def know(state: Hand) -> float:
    """Exact."""
    return float(solvable(state))


def reaches_24(state: Hand) -> bool:
    return state.numbers == (Fraction(24),)
