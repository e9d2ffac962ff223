"""The training data of the Game of 24: exact moves and labels from a solver, drawn as packed token examples.

Hands on the held-out lists never begin an example, in any order of their numbers; states of three numbers or fewer may.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, combinations_with_replacement
from math import gcd, log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rookery.models.skills import EXPRESSION, JUDGE, NEXT_STEPS
from rookery.models.tokenizer import PieceTokenizer

Number = tuple[int, int]
"""A rational number as (numerator, denominator), in lowest terms."""
State = tuple[Number, ...]
"""Numbers left, in ascending order."""

TARGET: Number = (24, 1)
MAX_WHOLE, MAX_DENOMINATOR = 400, 60
LINES = {4: 12, 3: 5, 2: 2}
"""How many steps a reply proposes, by how many numbers are left."""
KEEPING_WEIGHT, FRACTION_WEIGHT, LARGE_WEIGHT = 100.0, 0.1, 0.3
"""How much likelier a step that keeps 24 reachable is than another; how much less likely odd results are."""


@dataclass(frozen=True, slots=True)
class Move:
    """One step: ``text`` without its line end, what it makes, what it leaves, and its operands by place in the state."""

    text: str
    left: State
    result: Number
    operands: tuple[Number, str, Number]
    keeps: bool


@dataclass(frozen=True, slots=True)
class Example:
    """One training example: the prompt's ids, then the answer's, which alone count in the loss."""

    prompt: list[int]
    answer: list[int]


def tokenizer() -> PieceTokenizer:
    """The vocabulary: end, instructions, marks, denominators, then numbers, bare and with a space before them."""
    pieces = ["<end>", "<pad>", NEXT_STEPS.opening, NEXT_STEPS.closing, JUDGE.opening, JUDGE.closing]
    pieces += [EXPRESSION.opening, "\nSteps:\n", EXPRESSION.closing, ")" + EXPRESSION.closing, ")\n"]
    pieces += ["sure", "likely", "impossible", " + ", " - ", " * ", " / ", " = ", " (left: ", "(", ")", "\n"]
    pieces = list(dict.fromkeys(pieces))
    pieces += [f"/{i}" for i in range(2, MAX_DENOMINATOR + 1)]
    pieces += [str(i) for i in range(MAX_WHOLE + 1)] + [f" {i}" for i in range(MAX_WHOLE + 1)]
    return PieceTokenizer(pieces, end=0, special=(1,))


def show(number: Number) -> str:
    """``8/3`` or ``6``."""
    return str(number[0]) if number[1] == 1 else f"{number[0]}/{number[1]}"


def show_state(state: Iterable[Number]) -> str:
    """The numbers with single spaces between them."""
    return " ".join(map(show, state))


def hand_of(text: str) -> State:
    """A hand in its one true order, from ``4 5 6 10`` in any order."""
    return tuple(sorted((int(word), 1) for word in text.split()))


def read_hands(path: Path) -> frozenset[State]:
    """The hands of a CSV file with a column ``hand``."""
    with path.open(newline="") as file:
        return frozenset(hand_of(row["hand"]) for row in csv.DictReader(file))


# ------------------------------------------------------------------ the solver (training data only)


def ordered(numbers: Iterable[Number]) -> State:
    """Ascending by value."""
    return tuple(sorted(numbers, key=lambda number: number[0] / number[1]))


def lowest(p: int, q: int) -> Number:
    """p/q in lowest terms; q > 0."""
    divisor = gcd(p, q)
    return p // divisor, q // divisor


def results(a: Number, b: Number) -> list[tuple[Number, str, Number, Number]]:
    """(left operand, operator, right operand, result) for b ≥ a ≥ 0, the larger number first, no result below zero."""
    (p, q), (r, s) = a, b
    found = [
        (b, "+", a, lowest(p * s + r * q, q * s)),
        (b, "-", a, lowest(r * q - p * s, q * s)),
        (b, "*", a, lowest(p * r, q * s)),
    ]
    if p:
        found.append((b, "/", a, lowest(r * q, s * p)))
    if r:
        found.append((a, "/", b, lowest(p * s, q * r)))
    return found


@cache
def solvable(state: State) -> bool:
    """Whether 24 can be made from exactly these numbers."""
    if len(state) == 1:
        return state[0] == TARGET
    return any(
        solvable(ordered([*rest, result]))
        for a, b, rest in pairs(state)
        for _, _, _, result in results(a, b)
    )


def pairs(state: State) -> list[tuple[Number, Number, list[Number]]]:
    """Each different pair (smaller, larger) with the numbers beside it."""
    found: dict[tuple[Number, Number], list[Number]] = {}
    for i, j in combinations(range(len(state)), 2):
        found.setdefault((state[i], state[j]), [n for k, n in enumerate(state) if k not in (i, j)])
    return [(a, b, rest) for (a, b), rest in found.items()]


@cache
def moves(state: State) -> tuple[Move, ...]:
    """All steps from a state that lead to different states and whose numbers have tokens."""
    found: dict[State, Move] = {}
    for a, b, rest in pairs(state):
        for x, sign, y, result in results(a, b):
            left = ordered([*rest, result])
            if left not in found and result[0] <= MAX_WHOLE and result[1] <= MAX_DENOMINATOR:
                text = f"{show(x)} {sign} {show(y)} = {show(result)} (left: {show_state(left)})"
                found[left] = Move(text, left, result, (x, sign, y), solvable(left))
    return tuple(found.values())


def weight(move: Move) -> float:
    """How likely a step is to be proposed next, up to a factor."""
    if move.keeps:
        return KEEPING_WEIGHT
    return (FRACTION_WEIGHT if move.result[1] > 1 else 1.0) * (LARGE_WEIGHT if move.result[0] > 100 else 1.0)


# ------------------------------------------------------------------ the stream of examples


class Generator:
    """Draws examples for ever; equal seeds give equal streams.

    ``excluded``: hands that never begin an example. A hand is drawn from 1 to 13, or from 1 to ``widest``.
    """

    def __init__(self, excluded: frozenset[State], *, seed: int = 0, widest: int = 20) -> None:
        self._random = random.Random(seed)
        self._numpy = np.random.default_rng(seed)
        self._tokens = tokenizer()
        self._excluded = excluded
        narrow = self._hands(13)
        wide = [hand for hand in self._hands(widest) if hand[-1][0] > 13]
        self.hands = {
            "narrow": [hand for hand in narrow if solvable(hand)],
            "narrow, no solution": [hand for hand in narrow if not solvable(hand)],
            "wide": [hand for hand in wide if solvable(hand)],
        }
        """The base set: every hand that an example may begin with."""
        self._cached: dict[State, tuple[list[list[int]], NDArray[np.float64]]] = {}
        # States of three numbers come from every hand from 1 to 13: they are not hands.
        every = [self._whole(numbers) for numbers in combinations_with_replacement(range(1, 14), 4)]
        reached = [move for hand in every for move in moves(hand)]
        self._threes = [move.left for move in reached]
        self._threes_sure = [move.left for move in reached if move.keeps]
        self._different = list(dict.fromkeys(self._threes))
        self._different_sure = list(dict.fromkeys(self._threes_sure))
        self._twos_sure = [move.left for state in self._different_sure for move in moves(state) if move.keeps]

    def _hands(self, widest: int) -> list[State]:
        drawn = (self._whole(numbers) for numbers in combinations_with_replacement(range(1, widest + 1), 4))
        return [hand for hand in drawn if hand not in self._excluded]

    @staticmethod
    def _whole(numbers: Iterable[int]) -> State:
        return tuple((number, 1) for number in numbers)

    def hand(self, *, solved_only: bool = False) -> State:
        """A hand that may begin an example."""
        draw = self._random.random()
        kind = "narrow" if draw < 0.5 or (solved_only and draw < 0.55) else "narrow, no solution" if draw < 0.55 else "wide"
        return self._random.choice(self.hands[kind])

    def three(self, share_solvable: float) -> State:
        """A state of three numbers, half the time as often as it is reached, half the time each alike.

        At least about ``share_solvable`` of them can make 24; a tenth comes from wide hands.
        """
        if self._random.random() < 0.1:
            options = moves(self._random.choice(self.hands["wide"]))
            keeping = [move for move in options if move.keeps]
            return self._random.choice(keeping if self._random.random() < share_solvable else options).left
        if self._random.random() < share_solvable:
            return self._random.choice(self._threes_sure if self._random.random() < 0.5 else self._different_sure)
        return self._random.choice(self._threes if self._random.random() < 0.5 else self._different)

    def two(self, share_solvable: float) -> State:
        """A state of two numbers; about ``share_solvable`` of them can make 24."""
        if self._random.random() < share_solvable:
            return self._random.choice(self._twos_sure)
        while True:
            options = [move.left for move in moves(self.three(0.5)) if not move.keeps]
            if options:
                return self._random.choice(options)

    def shuffled(self, state: State, share: float) -> str:
        """The state's text, in a random order in ``share`` of the cases."""
        numbers = list(state)
        if self._random.random() < share:
            self._random.shuffle(numbers)
        return show_state(numbers)

    def judge(self, numbers: int) -> Example:
        """Can a state of so many numbers make 24?"""
        if numbers == 4:
            state = self.hand() if self._random.random() < 0.6 else self._random.choice(self.hands["narrow, no solution"])
        elif numbers == 1:
            options = moves(self.two(0.3))
            state = (self._random.choice(options).result if options and self._random.random() < 0.6 else TARGET,)
        else:
            state = self.three(0.4) if numbers == 3 else self.two(0.4)
        answer = "sure" if solvable(state) else "impossible"
        return self._example(JUDGE.prompt(self.shuffled(state, 0.1)), self._tokens.encode(answer))

    def next_steps(self, numbers: int) -> Example:
        """A list of different steps, drawn one after the other with the odds of their weights."""
        state = self.hand() if numbers == 4 else self.three(0.8) if numbers == 3 else self.two(0.8)
        count = 1 if numbers == 2 and solvable(state) else LINES[numbers]
        lines, log_weights = self._lines(state)
        if not lines:  # every result is out of range
            return self.next_steps(numbers)
        # Sorting by Gumbel keys draws without replacement (Plackett and Luce).
        chosen = np.argsort(-log_weights - self._numpy.gumbel(size=len(lines)))[:count]
        answer = [token for i in chosen for token in lines[i]]
        return self._example(NEXT_STEPS.prompt(self.shuffled(state, 0.3 if numbers == 4 else 0.1)), answer)

    def expression(self) -> Example:
        """Three steps written as one expression; most of them reach 24."""
        hand = state = self.hand(solved_only=True)
        written: list[tuple[Number, str]] = [(number, show(number)) for number in hand]
        lines = []
        wanders = self._random.random() < 0.1
        while len(state) > 1:
            options = [move for move in moves(state) if move.keeps or wanders]
            if not options:  # every way on is out of range
                return self.expression()
            move = self._random.choice(options)
            x, sign, y = move.operands
            parts = [self._take(written, number) for number in (x, y)]
            written.append((move.result, f"{parts[0]} {sign} {parts[1]}"))
            lines.append(move.text)
            state = move.left
        prompt = EXPRESSION.prompt(f"{self.shuffled(hand, 0.2)}\nSteps:\n" + "\n".join(lines))
        return self._example(prompt, self._tokens.encode(written[0][1]))

    @staticmethod
    def _take(written: list[tuple[Number, str]], number: Number) -> str:
        """Remove the latest text of this value and give it, in parentheses if it is a sum or the like."""
        at = max(i for i, (value, _) in enumerate(written) if value == number)
        text = written.pop(at)[1]
        return f"({text})" if " " in text else text

    def _lines(self, state: State) -> tuple[list[list[int]], NDArray[np.float64]]:
        found = self._cached.get(state)
        if found is None:
            lines = [self._tokens.encode(move.text + "\n") for move in moves(state)]
            found = self._cached[state] = lines, np.array([log(weight(move)) for move in moves(state)])
        return found

    def _example(self, prompt: str, answer: Sequence[int]) -> Example:
        return Example(self._tokens.encode(prompt), [*answer, 0])
