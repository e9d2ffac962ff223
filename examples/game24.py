"""The Game of 24: a model proposes steps and judges what is left, an exact tool checks each step, and a planner says where to go on.

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
import re
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from rookery import Limit, RookeryError, graph, prompt, start, tool
from rookery.models.model import Model
from rookery.models.provider import model as model_named
from rookery.planners import Planner, best_first, search, value
from rookery.tui.progress import Progress, money

MODEL = "embedded:game24"
PLANNER = best_first(enough=0.95, reopen=0.1, temperature=1.0)
WORTH = {"sure": 1.0, "likely": 0.3, "impossible": 0.0}
"""What the words of the judge are worth."""
HANDS = Path(__file__).parent / "hands"


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
    """What became of a hand; ``expression`` is empty when none was found, and ``why`` says what ended the search."""

    hand: str
    expression: str = ""
    steps: list[str] = field(default_factory=list)
    why: str = ""


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


# ------------------------------------------------------------------ the search


@dataclass(frozen=True)
class State:
    """Numbers that are left of a hand, the steps that led there, and in the end the expression."""

    hand: str
    left: str
    way: tuple[str, ...] = ()
    expression: str = ""

    def key(self) -> str:
        """What is left makes two states equal; of ways that reach 24 each is an end of its own."""
        return f"{self.left}|{self.expression or self.way}" if self.left == "24" else self.left

    def __str__(self) -> str:
        return self.expression or self.left


@graph
async def propose(state: State) -> list[State]:
    """The model's next steps, as far as they are legal; where 24 is left, the model's expression for the way that led there."""
    if state.left == "24":
        text = await expression(hand=state.hand, steps=list(state.way))
        return [replace(state, expression=text)]
    steps = await legal(hand=state.left, lines=await next_steps(hand=state.left))
    return [replace(state, left=step.left, way=(*state.way, step.text)) for step in steps if " " in step.left or step.left == "24"]


@graph
async def promise(state: State) -> Literal["sure", "likely", "impossible"]:
    """The model's judgement; that 24 is 24 nobody needs to be asked."""
    return "sure" if state.left == "24" else await judge(hand=state.left)


def solves(state: State) -> bool:
    """Whether a state's expression uses each number of its hand once and is exactly 24."""
    return bool(state.expression and check(state.hand, state.expression))


def hand_search(planner: Planner = PLANNER, **options: Any) -> Any:
    """The search for one hand under any planner: a function of a graph that takes a ``State``."""
    return search(planner=planner, propose=propose, evaluate=value(promise, scale=WORTH, weigh=True), goal=solves, name="solve", **options)


@graph
async def solve(hand: str) -> Solution:
    """Search from a hand; the best answer as it is shown."""
    hand = in_order(hand.split())
    found = await hand_search()(state=State(hand, hand))
    if not found.is_solved:
        return Solution(hand, why=found.stop_reason)
    return Solution(hand, await check(hand=hand, text=found.answer.expression), list(found.answer.way), found.stop_reason)


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
        found = f"{solution.expression} = 24" if solution.expression else f"not found ({solution.why})"
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
