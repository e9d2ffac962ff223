"""The examples run, and the Game of 24's exact tools let nothing wrong through."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rookery
from rookery import Attempts, Policy, start
from rookery.decoding.render import render
from rookery.errors import ModelUnreachable
from rookery.models.model import Capabilities, Request
from rookery.models.skills import EXPRESSION, JUDGE, NEXT_STEPS
from rookery.testing import ScriptedModel
from tests.examples import loaded

ROOT = Path(rookery.__file__).parents[1]


game = loaded("game24")


def example(name: str, *words: str, seconds: float = 120.0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "examples" / name), *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=env, stdin=subprocess.DEVNULL)


# ------------------------------------------------------------------ the exact tools


@pytest.mark.parametrize(("line", "left"), [
    ("10 - 4 = 6 (left: 5 6 6)", "5 6 6"), ("10 - 4 = 6 (left: 6, 5, 6)", "5 6 6"), ("- 4 / 6 = 2/3 (left: 2/3 5 10)", "2/3 5 10"),
    ("1. 5 × 6 = 30 (left: 4 10 30)", "4 10 30"), ("4 - 10 = -6 (left: -6 5 6)", "-6 5 6"),
])
def test_legal_steps_pass(line: str, left: str) -> None:
    assert [step.left for step in game.legal("4 5 6 10", [line])] == [left]


@pytest.mark.parametrize("line", [
    "10 - 4 = 7 (left: 5 6 7)",  # wrong result
    "10 - 4 = 6 (left: 5 6)",  # a number lost
    "10 - 4 = 6 (left: 5 6 6 10)",  # a number kept that was used
    "10 + 10 = 20 (left: 5 6 20)",  # one number used twice
    "8 + 2 = 10 (left: 5 6 10)",  # numbers that are not in the hand
    "10 - 4 = 6", "", "I think 24", "10 / 0 = 0 (left: 0 5 6)", "4 / 6 = 0/0 (left: 0/0 5 10)", "10 - 4 = 6 (left: )", "10 ** 4 = 6 (left: 5 6 6)",
])
def test_all_else_does_not(line: str) -> None:
    assert game.legal("4 5 6 10", [line]) == []


def test_two_steps_that_leave_the_same_count_as_one() -> None:
    assert len(game.legal("2 2 4 6", ["2 + 2 = 4 (left: 4 4 6)", "2 * 2 = 4 (left: 4 4 6)", "6 - 4 = 2 (left: 2 2 2)"])) == 2


@pytest.mark.parametrize("text", ["(10 - 4) * 5 - 6", "(10-4)*5-6 = 24", "5 × (10 - 4) - 6", " (((10 - 4))) * 5 - 6 "])
def test_solutions_pass(text: str) -> None:
    assert game.check("4 5 6 10", text)


@pytest.mark.parametrize("text", [
    "24", "4 * 6", "10 + 10 + 4", "(10 - 4) * 5 - 6 + 0", "4 + 5 + 6 + 10", "__import__('os').getpid()", "10 ** 4", "[4, 5, 6, 10]", "", "(((",
    "4.0 * 6", "True + 4", "5 if 4 else 6", "10 / (4 - 4)", "x" * 10_000, "(" * 5_000, "-" * 5_000 + "4", "4 * 6 * (10 // 5)", "lambda: 24",
])
def test_all_else_is_no_solution(text: str) -> None:
    assert game.check("4 5 6 10", text) == ""


@given(st.text(alphabet="0123456789+-*/() .=", max_size=40))
def test_what_passes_is_really_24(text: str) -> None:
    found = game.check("4 5 6 10", text)
    if found:
        assert eval(found, {"__builtins__": {}}) == pytest.approx(24)


def test_hands_are_read_and_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# a comment\n4 5 6 10\n\n1,1,4,6  # another\n")
    (tmp_path / "a.csv").write_text("Rank,Puzzles\n1,1 1 4 6\n")
    assert game.read_hands(tmp_path / "a.txt") == ["4 5 6 10", "1 1 4 6"] and game.read_hands(tmp_path / "a.csv") == ["1 1 4 6"]
    for wrong in ("1 2 3", "1 2 3 x", "1 2 3 4 5", "1 2 3 -4"):
        with pytest.raises(ValueError, match="is no hand"):
            game.hand_of(wrong)


# ------------------------------------------------------------------ the prompts and the search


def test_the_prompts_are_those_the_model_was_trained_on() -> None:
    steps = ["8 + 2 = 10 (left: 8 10 14)", "14 + 10 = 24 (left: 8 24)"]
    for prompt, args, skill, body in (
        (game.next_steps, {"hand": "2 8 8 14"}, NEXT_STEPS, "2 8 8 14"), (game.judge, {"hand": "8 10 14"}, JUDGE, "8 10 14"),
        (game.expression, {"hand": "2 8 8 14", "steps": steps}, EXPRESSION, "2 8 8 14\nSteps:\n" + "\n".join(steps)),
    ):
        text = render(prompt, args, prompt.policy, Capabilities("scripted:x")).request.text
        assert skill.match(text) == skill.prompt(body)


def test_the_demo_hands_are_of_the_test_set() -> None:
    hands = game.read_hands(ROOT / "examples" / "hands" / "demo.txt")
    assert len(hands) == 10 and hands[0] == "4 5 6 10"
    with (ROOT / "training" / "game24" / "held_out.csv").open(newline="") as file:
        kept_out = {game.in_order(row["hand"].split()) for row in csv.DictReader(file)}
    assert {game.in_order(hand.split()) for hand in hands} <= kept_out


def player(request: Request) -> str:
    """Plays by rule, for tests: all steps of a hand, and the true judgement."""
    text = request.text
    if "Expression:" in text:
        hand, steps = text.split("Hand: ")[1].split("\nSteps:\n")
        return as_expression(hand, steps.split("\nExpression:")[0].splitlines())
    numbers = [Fraction(word) for word in text.split("Numbers: ")[1].splitlines()[0].split()]
    if "Answer:" in text:
        return "sure" if reachable(numbers) else "impossible"
    return "\n".join(line for line, _ in steps_of(numbers))


def steps_of(numbers: list[Fraction]) -> list[tuple[str, list[Fraction]]]:
    found = []
    for i, j in combinations(range(len(numbers)), 2):
        a, b = sorted((numbers[i], numbers[j]), reverse=True)
        rest = [number for place, number in enumerate(numbers) if place not in (i, j)]
        for sign, value in (("+", a + b), ("-", a - b), ("*", a * b), ("/", a / b if b else None)):
            if value is not None:
                left = sorted([*rest, value])
                found.append((f"{a} {sign} {b} = {value} (left: {' '.join(map(str, left))})", left))
    return found


def reachable(numbers: list[Fraction]) -> bool:
    return numbers == [24] if len(numbers) == 1 else any(reachable(left) for _, left in steps_of(numbers))


def as_expression(hand: str, steps: list[str]) -> str:
    written: list[tuple[Fraction, str]] = [(Fraction(word), word) for word in hand.split()]
    for step in steps:
        a, sign, b, _, value = step.split(" (")[0].split()
        parts = []
        for word in (a, b):
            place = max(i for i, (number, _) in enumerate(written) if number == Fraction(word))
            parts.append(written.pop(place)[1])
        written.append((Fraction(value), f"({parts[0]} {sign} {parts[1]})"))
    return written[-1][1]


async def solved(hand: str, answer: Any) -> tuple[Any, Any]:
    async with start(game.solve, hand=hand, model=ScriptedModel(answer)) as run:
        return await run, run


@pytest.mark.parametrize("hand", ["4 5 6 10", "10 6 5 4", "1 2 4 7", "3 3 8 8"])
async def test_a_good_player_solves(hand: str) -> None:
    solution, run = await solved(hand, player)
    assert game.check(hand, solution.expression) and len(solution.steps) == 3
    assert run.spent.calls <= 80


async def test_a_wrong_expression_is_asked_for_again_and_never_believed() -> None:
    def liar(request: Request) -> str:
        return "4 * 6" if "Expression:" in request.text else player(request)

    solution, _ = await solved("4 5 6 10", liar)
    assert solution.expression == ""


@pytest.mark.parametrize("answer", ["", "nothing I know", "8 + 2 = 10 (left: 8 10 14)", "\x1b[2J", "sure"])
async def test_a_useless_model_finds_nothing_and_ends(answer: str) -> None:
    solution, run = await solved("4 5 6 10", lambda request: answer)
    assert solution.expression == "" and run.spent.calls < 300


async def test_a_search_is_resumed_where_it_was(tmp_path: Path) -> None:
    from rookery import resume

    seen: list[str] = []

    def stops(request: Request) -> str:
        seen.append(request.text)
        if len(seen) > 8:
            raise ModelUnreachable("the power is gone")
        return player(request)

    log = tmp_path / "log.db"
    once = Policy(attempts=Attempts(stop=1))
    with pytest.raises(rookery.RookeryError, match="the power is gone"):
        async with start(game.solve, hand="4 5 6 10", model=ScriptedModel(stops), log=log, id="search", policy=once) as run:
            await run
    again = ScriptedModel(player)
    async with resume("search", game.solve, log=log, model=again) as run:
        assert (await run).expression
    fresh = ScriptedModel(player)
    async with start(game.solve, hand="4 5 6 10", model=fresh) as run:
        await run
    assert len(again.requests) == len(fresh.requests) - 8


# ------------------------------------------------------------------ as a person runs them


def test_the_article_says_that_it_is_scripted() -> None:
    done = example("article.py", "--topic", "crows")
    assert done.returncode == 0 and "What they eat" in done.stdout and "scripted" in done.stderr


def test_the_demo_prints_hands_and_totals() -> None:
    done = example("game24.py", "4 5 6 10", "--max-calls", "500")
    assert done.returncode in (0, 1), done.stderr
    assert "trained by this project" in done.stdout and "of 1 hands" in done.stdout and "Traceback" not in done.stderr


@pytest.mark.parametrize(("words", "code", "says"), [
    (["1", "2"], 2, "is no hand"), (["--hands", "nowhere.txt"], 2, "nowhere.txt"), (["1 1 4 6", "--model", "openay:x"], 1, "openay"),
    (["1 1 4 6", "--max-calls", "1"], 1, "limit: calls"),
])
def test_wrong_use_is_told(words: list[str], code: int, says: str) -> None:
    done = example("game24.py", *words)
    assert done.returncode == code and says in done.stderr + done.stdout and "Traceback" not in done.stderr
