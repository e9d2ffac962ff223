# ruff: noqa: F821 - State is a type of the workflow
"""The rules of the game: what a legal step is, and what solves a hand. Nothing here searches or solves."""

import ast
import re
from fractions import Fraction

STEP = re.compile(r"(-?\d+(?:/\d+)?)\s*([-+*/])\s*(-?\d+(?:/\d+)?)\s*=\s*(-?\d+(?:/\d+)?)")


def in_order(numbers: list[str]) -> str:
    """Numbers as the prompts have them: ascending, with single spaces."""
    return " ".join(str(number) for number in sorted(Fraction(number) for number in numbers))


def begin(hand: str) -> State:
    """The state before the first step."""
    return {"hand": in_order(hand.split()), "left": in_order(hand.split()), "way": [], "expression": ""}


def value_of(a: str, sign: str, b: str) -> Fraction:
    """The value of one step."""
    x, y = Fraction(a), Fraction(b)
    return x + y if sign == "+" else x - y if sign == "-" else x * y if sign == "*" else x / y


def legal(state: State, lines: list[str], text: str) -> list[State]:
    """The states that the lines lead to, as far as they are steps of the game; where 24 is left, the state with its expression."""
    if text:
        return [{**state, "expression": text.strip()}]
    found = {}
    for line in lines:
        match = STEP.search(line)
        if not match or (match[2] == "/" and Fraction(match[3]) == 0) or value_of(match[1], match[2], match[3]) != Fraction(match[4]):
            continue
        rest = state["left"].split()
        try:
            rest.remove(match[1])
            rest.remove(match[3])
        except ValueError:
            continue
        left = in_order([*rest, match[4]])
        if " " in left or left == "24":
            found.setdefault(left, {**state, "left": left, "way": [*state["way"], f"{match[0]} (left: {left})"]})
    return list(found.values())


def solves(state: State) -> bool:
    """Whether the state's expression uses each number of the hand once and is 24."""
    text = state["expression"].removesuffix("= 24").strip()
    if not text:
        return False
    try:
        used = []
        value = calculated(ast.parse(text, mode="eval").body, used)
    except (SyntaxError, ValueError, ZeroDivisionError):
        return False
    return value == 24 and sorted(used) == sorted(int(number) for number in state["hand"].split())


def calculated(node: ast.expr, used: list[int]) -> Fraction:
    """The value of an expression of whole numbers; they are added to ``used``."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        used.append(node.value)
        return Fraction(node.value)
    if isinstance(node, ast.BinOp):
        sign = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}[type(node.op)]
        return value_of(str(calculated(node.left, used)), sign, str(calculated(node.right, used)))
    raise ValueError("only numbers and signs")


def shown(found: State | None) -> str:
    """The solution, or that there is none."""
    return f"{found['expression']} = 24" if found and solves(found) else "not found"
