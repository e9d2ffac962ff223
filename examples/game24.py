"""The Game of 24: a model proposes steps and judges what is left, an exact tool checks each step, and the search goes on where it looks best.

python examples/game24.py 4 5 6 10                 (on the embedded model: no key, no network, no server)
python examples/game24.py --hands FILE --model openai:gpt-5-mini
python examples/game24.py --demo

Only the model proposes. The tools check arithmetic; they neither search nor solve.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import csv
import heapq
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Literal

from rookery import Limit, RookeryError, graph, prompt, start, tool
from rookery.models.model import Model
from rookery.models.provider import model as model_named
from rookery.tui.progress import Progress, money

MODEL = "embedded:game24"
WIDTH = 2
"""States that are asked for next steps at a time, the best first."""
ROUNDS = 30
"""Rounds of proposals before a hand is given up."""
EXPRESSIONS = 3
"""How often the steps of a solution are put to the model to be written as one expression."""
ANEW_TEMPERATURE = 0.8
"""What was asked before is asked again at this temperature: a wrong expression, and the hand when no state is left open."""
HANDS = Path(__file__).parent / "hands"
RANK = {"sure": 0, "likely": 1, "impossible": 2}


# ------------------------------------------------------------------ what a model fills in


@prompt(form="lines")
def next_steps(hand: str) -> list[str]:
    """Game of 24: combine two of the numbers with +, -, * or / and say what is left.
    One step a line, like: 8 + 2 = 10 (left: 8 10 14)
    Numbers: {hand}
    Steps:
    """


@prompt(form="text")
def judge(hand: str) -> Literal["sure", "likely", "impossible"]:
    """Game of 24: can these numbers still make 24, each used once, with +, -, * or /?
    Answer sure, likely or impossible.
    Numbers: {hand}
    Answer:
    """


@prompt
def expression(hand: str, steps: list[str]) -> str:
    """Game of 24: write the steps as one expression that uses each number of the hand once.
    Hand: {hand}
    Steps:
    {steps}
    Expression:
    """


# ------------------------------------------------------------------ what Python checks


@dataclass(frozen=True)
class Step:
    """One legal step: its text, and the numbers it leaves."""

    text: str
    left: str


@dataclass(frozen=True)
class Solution:
    """What became of a hand; ``expression`` is empty when none was found."""

    hand: str
    expression: str = ""
    steps: list[str] = field(default_factory=list)


_NUMBER = r"-?\d+(?:/\d+)?"
_STEP = re.compile(rf"({_NUMBER})\s*([-+*/×÷])\s*({_NUMBER})\s*=\s*({_NUMBER})\s*\(left:\s*((?:{_NUMBER}[\s,]*)+)\)")
_MEANT = {"×": "*", "÷": "/"}


@tool(inline=True)
def legal(hand: str, lines: list[str]) -> list[Step]:
    """The lines that are steps of the game from ``hand``, each result computed exactly; two that leave the same count as one."""
    numbers = Counter(map(Fraction, hand.split()))
    found: dict[str, Step] = {}
    for line in lines:
        match = _STEP.search(line)
        if match is None:
            continue
        try:
            a, b, said = (Fraction(match[place]) for place in (1, 3, 4))
            result = _calculated(a, _MEANT.get(match[2], match[2]), b)
            claimed = Counter(map(Fraction, match[5].replace(",", " ").split()))
        except ZeroDivisionError:
            continue
        rest = numbers - Counter([a, b])
        if sum(rest.values()) != sum(numbers.values()) - 2 or result != said or claimed != rest + Counter([said]):
            continue
        left = in_order(claimed.elements())
        found.setdefault(left, Step(f"{a} {_MEANT.get(match[2], match[2])} {b} = {said} (left: {left})", left))
    return list(found.values())


@tool(inline=True)
def check(hand: str, text: str) -> str:
    """The expression in ``text`` if it uses each number of the hand once and is exactly 24, else an empty text."""
    text = text.strip().removesuffix("= 24").strip().replace("×", "*").replace("÷", "/")
    try:
        tree = ast.parse(text, mode="eval")
        used: list[Fraction] = []
        value = _value(tree.body, used)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return ""
    return text if value == 24 and Counter(used) == Counter(map(Fraction, hand.split())) else ""


def _value(node: ast.expr, used: list[Fraction]) -> Fraction:
    """An expression of whole numbers, + - * / and parentheses, exactly; its numbers are added to ``used``. Raises ValueError for all else."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        used.append(Fraction(node.value))
        return used[-1]
    signs: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
    if isinstance(node, ast.BinOp) and type(node.op) in signs:
        return _calculated(_value(node.left, used), signs[type(node.op)], _value(node.right, used))
    raise ValueError("only numbers, + - * / and parentheses")


def _calculated(a: Fraction, sign: str, b: Fraction) -> Fraction:
    return a + b if sign == "+" else a - b if sign == "-" else a * b if sign == "*" else a / b


def in_order(numbers: object) -> str:
    """Numbers as the prompts have them: ascending, single spaces between."""
    return " ".join(map(str, sorted(map(Fraction, numbers))))  # type: ignore[call-overload]


# ------------------------------------------------------------------ the program


@graph
async def solve(hand: str) -> Solution:
    """Best first: the states judged best are asked for next steps, their children are judged side by side, until one is 24."""
    hand = in_order(hand.split())
    order = count()
    open_states: list[tuple[int, int, int, str, list[str]]] = [(0, 0, next(order), hand, [])]
    seen = {hand}
    propose = next_steps
    for number in range(ROUNDS):
        if not open_states:
            propose = next_steps.using(temperature=ANEW_TEMPERATURE, seed=number, sample=number)
            open_states.append((0, 0, next(order), hand, []))
        asked = [heapq.heappop(open_states) for _ in range(min(WIDTH, len(open_states)))]
        lines = await propose.each("hand", hand=[state[3] for state in asked])
        steps = await legal.each("hand", "lines", hand=[state[3] for state in asked], lines=lines)
        children = []
        for state, found in zip(asked, steps, strict=True):
            children += [(step.left, [*state[4], step.text]) for step in found if step.left not in seen]
            seen.update(step.left for step in found if step.left != "24")
        for left, way in children:
            if left == "24":
                written = await _written(hand, way)
                if written:
                    return Solution(hand, written, way)
        children = [child for child in children if " " in child[0]]
        answers = await judge.each("hand", hand=[left for left, _ in children]) if children else []
        for (left, way), answer in zip(children, answers, strict=True):
            heapq.heappush(open_states, (RANK[answer], -len(way), next(order), left, way))
    return Solution(hand)


async def _written(hand: str, way: list[str]) -> str:
    """The steps as one expression that the tool has checked; empty when the model did not manage it."""
    for number in range(EXPRESSIONS):
        ask = expression if number == 0 else expression.using(temperature=ANEW_TEMPERATURE, seed=number, sample=number)
        checked = await check(hand=hand, text=await ask(hand=hand, steps=way))
        if checked:
            return checked
    return ""


# ------------------------------------------------------------------ the command


@dataclass
class Tally:
    """What all hands took together."""

    solved: int = 0
    hands: int = 0
    calls: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0


def read_hands(path: Path) -> list[str]:
    """Hands of a text file (one a line, # begins a comment) or of a CSV file with a column ``hand`` or ``Puzzles``."""
    with path.open(newline="", encoding="utf-8") as file:
        if path.suffix == ".csv":
            rows = list(csv.DictReader(file))
            return [hand_of(row.get("hand") or row.get("Puzzles") or next(iter(row.values()))) for row in rows]
        lines = [line.partition("#")[0].strip() for line in file]
    return [hand_of(line) for line in lines if line]


def hand_of(text: str) -> str:
    """Four whole numbers with single spaces between. Raises ValueError with what is wrong."""
    words = re.split(r"[\s,;]+", text.strip())
    if len(words) != 4 or not all(word.isdigit() for word in words):
        raise ValueError(f"{text!r} is no hand: it takes four whole numbers, like 4 5 6 10")
    return " ".join(words)


async def play(hands: list[str], model: Model, *, limit: Limit | None, log: Path | None) -> Tally:
    """Solve hand after hand with the progress on the screen, and print what came of each."""
    total = Tally()
    for place, hand in enumerate(hands, 1):
        async with (
            start(solve, hand=hand, model=model.capabilities.name, models={model.capabilities.name: model}, limit=limit, log=log) as run,
            Progress(run, title=f"hand {place} of {len(hands)}: {hand}", stream=sys.stderr, quiet=not sys.stderr.isatty()) as progress,
        ):
            solution = await run
        spend, seconds = run.spent, progress.seconds
        found = f"{solution.expression} = 24" if solution.expression else "not found"
        print(f"{hand:<13} {found:<28} {spend.calls:>4} calls {spend.tokens:>7,} tokens {seconds:>6.1f} s", flush=True)
        total.hands += 1
        total.solved += bool(solution.expression)
        total.calls += spend.calls
        total.tokens += spend.tokens
        total.cost_usd += spend.cost_usd or 0.0
        total.seconds += seconds
    return total


ORIGINS = {"trained": "trained by this project from scratch; it runs in this process, with no key and no network", "scripted": "a script, no model"}


async def show(hands: list[str], spec: str, *, limit: Limit | None, log: Path | None) -> Tally:
    """Solve hands on the model of a name, and say who it is and what it took."""
    model = model_named(spec)
    facts = model.capabilities
    print(f"Game of 24 on {facts.name} ({ORIGINS.get(facts.origin, facts.origin)})\n", flush=True)
    try:
        total = await play(hands, model, limit=limit, log=log)
    finally:
        await model.aclose()
    cost = f", {money(total.cost_usd)}" if money(total.cost_usd) else ""
    print(f"\nsolved {total.solved} of {total.hands} hands: {total.calls:,} calls, {total.tokens:,} tokens{cost}, {total.seconds:.1f} s")
    print("each solution was checked exactly: every number of the hand once, and the value is 24")
    return total


def main() -> int:
    """Read the command line, solve, and give the exit code: 0, 1 when no hand was solved or the model failed, 2 for wrong usage."""
    options = argparse.ArgumentParser(description="The Game of 24: make 24 of four numbers, each used once, with + - * /.")
    options.add_argument("numbers", nargs="*", help="a hand, such as 4 5 6 10")
    options.add_argument("--hands", type=Path, metavar="FILE", help="hands of a text file (one a line) or a CSV file (column hand or Puzzles)")
    options.add_argument("--demo", action="store_true", help="ten hands that the embedded model was not trained on")
    options.add_argument("--model", default=MODEL, help=f"provider:NAME[@BASE_URL] (default: {MODEL})")
    options.add_argument("--max-calls", type=int, metavar="N", help="at most so many calls of the model for a hand")
    options.add_argument("--log", type=Path, metavar="PATH", help="keep the runs in this log; `rookery runs --log PATH` lists them")
    chosen = options.parse_args()
    try:
        hands = [hand_of(" ".join(chosen.numbers))] if chosen.numbers else []
        if chosen.hands or chosen.demo or not hands:
            hands += read_hands(chosen.hands or HANDS / "demo.txt")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    limit = Limit(calls=chosen.max_calls) if chosen.max_calls else None
    try:
        return 0 if asyncio.run(show(hands, chosen.model, limit=limit, log=chosen.log)).solved else 1
    except RookeryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
