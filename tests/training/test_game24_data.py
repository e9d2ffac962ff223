"""The training data of the Game of 24: held-out hands stay out, labels and steps are right, equal seeds give equal streams."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

from rookery.models.skills import EXPRESSION, JUDGE, NEXT_STEPS, Form
from training.game24 import data
from training.game24.data import LINES, Example, Generator, Move, hand_of, moves, read_hands, solvable, tokenizer

FOLDER = Path(data.__file__).parent
HELD_OUT = read_hands(FOLDER / "held_out.csv")
DEV = read_hands(FOLDER / "dev.csv")
TOKENS = tokenizer()


def sample(generator: Generator, rounds: int) -> Iterator[Example]:
    for _ in range(rounds):
        for numbers in (4, 3, 2):
            yield generator.next_steps(numbers)
        for numbers in (4, 3, 2, 1):
            yield generator.judge(numbers)
        yield generator.expression()


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(HELD_OUT | DEV, seed=3, widest=15)


@pytest.fixture(scope="module")
def examples(generator: Generator) -> list[Example]:
    return list(sample(generator, 350))


def answers_to(examples: list[Example], skill: Form) -> list[tuple[str, str]]:
    """(prompt, answer) of the examples of a skill."""
    pairs = [(TOKENS.decode(example.prompt), TOKENS.decode(example.answer)) for example in examples]
    return [(prompt, answer) for prompt, answer in pairs if prompt.startswith(skill.opening)]


def first_numbers(prompt: str) -> list[str]:
    """The numbers that an example begins with."""
    found = re.search(r"^(?:Numbers|Hand): (.*)$", prompt, re.MULTILINE)
    assert found, prompt
    return found[1].split()


def test_there_are_a_hundred_hands_of_each_kind_and_they_can_be_solved() -> None:
    assert len(HELD_OUT) == len(DEV) == 100
    assert not HELD_OUT & DEV
    assert all(solvable(hand) for hand in HELD_OUT | DEV)


def test_the_lists_are_the_rows_they_say() -> None:
    path = Path(os.environ.get("ROOKERY_DATA", FOLDER.parents[2] / "shared" / "data")) / "game24" / "24.csv"
    if not path.exists():
        pytest.skip("the full list of hands is not here")
    with path.open(newline="") as file:
        rows = [hand_of(row["Puzzles"]) for row in csv.DictReader(file)]
    assert set(rows[900:1000]) == HELD_OUT and set(rows[800:900]) == DEV


def test_no_example_begins_with_a_held_out_hand_in_any_order(examples: list[Example]) -> None:
    begun = [first_numbers(TOKENS.decode(example.prompt)) for example in examples]
    hands = {hand_of(" ".join(numbers)) for numbers in begun if len(numbers) == 4}
    assert len(hands) > 300
    assert not hands & (HELD_OUT | DEV)


def test_no_base_hand_is_held_out(generator: Generator) -> None:
    base = {hand for hands in generator.hands.values() for hand in hands}
    assert not base & (HELD_OUT | DEV)
    narrow = {tuple((n, 1) for n in numbers) for numbers in combinations_with_replacement(range(1, 14), 4)}
    assert narrow - base == HELD_OUT | DEV, "all other hands from 1 to 13 are there"


def test_the_solver_knows_the_game() -> None:
    hands = list(combinations_with_replacement(range(1, 14), 4))
    assert sum(solvable(tuple((n, 1) for n in numbers)) for numbers in hands) == 1362
    assert solvable(hand_of("3 3 8 8")) and solvable(hand_of("1 5 5 5")) and not solvable(hand_of("1 1 1 1"))


def check_step(line: str, before: list[Fraction]) -> list[Fraction]:
    """Check a step against plain fractions and give what it leaves."""
    found = re.fullmatch(r"(\S+) ([-+*/]) (\S+) = (\S+) \(left: ([^)]+)\)", line)
    assert found, line
    x, y, result = (Fraction(found[i]) for i in (1, 3, 4))
    assert {"+": lambda: x + y, "-": lambda: x - y, "*": lambda: x * y, "/": lambda: x / y}[found[2]]() == result, line
    left = [*before]
    left.remove(x)
    left.remove(y)
    assert sorted([*left, result]) == [Fraction(word) for word in found[5].split()], line
    return sorted([*left, result])


def test_every_step_is_legal_and_no_list_repeats_itself(examples: list[Example]) -> None:
    lists = answers_to(examples, NEXT_STEPS)
    assert len(lists) > 900
    for prompt, answer in lists[:900]:
        numbers = [Fraction(word) for word in first_numbers(prompt)]
        lines = answer.splitlines()
        assert 1 <= len(lines) == len(set(lines)) <= LINES[len(numbers)]
        for line in lines:
            check_step(line, numbers)


def test_expressions_use_the_hand_and_have_the_steps_value(examples: list[Example]) -> None:
    pairs = answers_to(examples, EXPRESSION)
    solved = 0
    for prompt, answer in pairs:
        hand = sorted(map(int, first_numbers(prompt)))
        assert sorted(map(int, re.findall(r"\d+", answer))) == hand
        value = eval(re.sub(r"(\d+)", r"Fraction(\1)", answer), {"Fraction": Fraction})
        left = [Fraction(n) for n in hand]
        for line in prompt.split("Steps:\n")[1].removesuffix(EXPRESSION.closing).splitlines():
            left = check_step(line, left)
        assert [value] == left
        solved += value == 24
    assert solved / len(pairs) > 0.8


def test_the_judge_is_right_and_hears_both_answers(examples: list[Example]) -> None:
    answers = [answer for _, answer in answers_to(examples, JUDGE)]
    assert set(answers) == {"sure", "impossible"}
    assert 0.3 < answers.count("sure") / len(answers) < 0.7


def test_steps_that_keep_24_reachable_come_first_most_of_the_time(generator: Generator) -> None:
    first_keeps = 0
    for _ in range(300):
        example = generator.next_steps(3)
        state = tuple(sorted(((f.numerator, f.denominator) for f in map(Fraction, first_numbers(TOKENS.decode(example.prompt)))),
                             key=lambda n: n[0] / n[1]))
        by_text: dict[str, Move] = {move.text: move for move in moves(state)}
        keeps = [by_text[line].keeps for line in TOKENS.decode(example.answer).splitlines()]
        first_keeps += keeps[0] or not any(move.keeps for move in by_text.values())
    assert first_keeps > 250


def test_equal_seeds_give_equal_streams() -> None:
    first, second = (list(sample(Generator(HELD_OUT | DEV, seed=11, widest=14), 5)) for _ in range(2))
    assert first == second


def test_answers_can_be_read_back_as_prompts(examples: list[Example]) -> None:
    for example in examples[:400]:
        text = TOKENS.decode(example.prompt + example.answer)
        assert TOKENS.encode(text) == [token for token in example.prompt + example.answer if token != 0]
