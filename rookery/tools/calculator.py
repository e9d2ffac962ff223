"""The tool ``calculate``: exact arithmetic on whole numbers and fractions, by an evaluator of our own with bounds on size."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from rookery.core.function import tool
from rookery.errors import ToolFailed

MAX_LENGTH = 1_000
MAX_DEPTH = 50
MAX_BITS = 14_000
"""A number has at most so many binary digits above and below its bar: about 4,200 decimal ones."""
MAX_EXPONENT = 4_000
DIGITS = 17
"""Significant digits shown of a number that has no end."""
Number = Fraction | float
"""Exact, or an approximation, which everything that is made of it then is too."""
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "^": "**", "²": "**2", "³": "**3", "π": "pi"})


@tool(pure=True)
def calculate(expression: str) -> str:
    """Calculate an expression exactly, such as 2/3 + 0.1, (1 + 5%7)**20, sqrt(2), comb(52, 5) or round(22/7, 3).

    Operators: + - * / // % ** and comparisons. Functions: abs, ceil, comb, cos, exp, factorial, floor, gcd, lcm, ln, log, log10, log2,
    max, min, perm, pow, round, sin, sqrt, sum, tan, degrees, radians, asin, acos, atan. Constants: pi, e, tau. The result is a whole
    number, a decimal, a fraction with its decimal form, or, after ≈, an approximation.
    """
    if len(expression) > MAX_LENGTH:
        raise _refusal(f"an expression has at most {MAX_LENGTH} characters")
    text = expression.translate(_SIGNS).strip()
    try:
        parsed = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise _refusal(f"this is no expression: {getattr(error, 'msg', None) or error}") from error
    try:
        value = _Evaluation(text).value(parsed, 0)
        return str(value) if isinstance(value, bool) else shown(value)
    except (ArithmeticError, ValueError, TypeError) as error:
        raise _refusal(f"it cannot be calculated: {error}") from error


def _refusal(reason: str) -> ToolFailed:
    return ToolFailed(reason, tool="calculate", kind="ValueError")


# ------------------------------------------------------------------ showing


def shown(value: Number) -> str:
    """A number as text: ``42``, ``0.1``, ``2/3 ≈ 0.66666666666666667``, ``≈ 1.4142135623730951``."""
    if isinstance(value, float):
        return f"≈ {value!r}"
    if value.denominator == 1:
        return str(value.numerator)
    decimal = _finite_decimal(value)
    return decimal or f"{value} ≈ {_rounded(value)}"


def _finite_decimal(value: Fraction) -> str:
    """The decimal form, where it ends after at most 40 places."""
    places, rest = 0, value.denominator
    for factor in (2, 5):
        count = 0
        while rest % factor == 0:
            rest, count = rest // factor, count + 1
        places = max(places, count)
    if rest != 1 or places > 40:
        return ""
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _rounded(value: Fraction) -> str:
    from decimal import Context, Decimal

    return str(Context(prec=DIGITS).divide(Decimal(value.numerator), Decimal(value.denominator)).normalize())


# ------------------------------------------------------------------ evaluating


class _Evaluation:
    def __init__(self, text: str) -> None:
        self.text = text

    def value(self, node: ast.expr, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested deeper than {MAX_DEPTH}")
        match node:
            case ast.Constant(value=bool()):
                raise ValueError("True and False are no numbers")
            case ast.Constant(value=int() | float()):
                return self._literal(node)
            case ast.Name(id=name) if name in _CONSTANTS:
                return _CONSTANTS[name]
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
                found = self.value(operand, depth + 1)
                return -found if isinstance(node.op, ast.USub) else found
            case ast.BinOp(op=operator) if type(operator) in _OPERATORS:
                return _bounded(_OPERATORS[type(operator)](self.value(node.left, depth + 1), self.value(node.right, depth + 1)))
            case ast.Compare():
                return self._compared(node, depth)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
                return _bounded(_FUNCTIONS[name](*[self.value(each, depth + 1) for each in args]))
            case ast.Tuple():
                raise ValueError("a comma stands only between the arguments of a function; write 1000, not 1,000")
        raise ValueError(f"there is no {(ast.get_source_segment(self.text, node) or type(node).__name__)[:40]!r} here")

    def _literal(self, node: ast.Constant) -> Fraction:
        """By its own text: 0.1 is a tenth, not the nearest binary number."""
        text = (ast.get_source_segment(self.text, node) or "").replace("_", "").lower()
        exponent = re.search(r"e([+-]?\d+)$", text)
        if exponent and not text.startswith("0x") and abs(int(exponent[1])) > MAX_EXPONENT:
            raise ValueError(f"its exponent is beyond {MAX_EXPONENT}")
        return Fraction(node.value) if isinstance(node.value, int) else Fraction(text)

    def _compared(self, node: ast.Compare, depth: int) -> bool:
        values = [self.value(each, depth + 1) for each in (node.left, *node.comparators)]
        for operator, left, right in zip(node.ops, values, values[1:], strict=False):
            if type(operator) not in _COMPARISONS:
                raise ValueError("there is no such comparison here")
            if not _COMPARISONS[type(operator)](left, right):
                return False
        return True


def _bounded(value: Any) -> Any:
    if isinstance(value, Fraction) and max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise OverflowError("the number gets too long")
    if isinstance(value, float) and not math.isfinite(value):
        raise OverflowError("the number is not finite")
    return value


def _whole(value: Any, most: int) -> int:
    if not isinstance(value, Fraction) or value.denominator != 1 or not 0 <= value <= most:
        raise ValueError(f"a whole number from 0 to {most} is wanted, not {shown(value)[:40]}")
    return int(value)


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        if exponent.denominator == 2 and (root := _exact_root(base)) is not None:
            base, exponent = root, Fraction(exponent.numerator)
        if exponent.denominator == 1:
            longest = max(base.numerator.bit_length(), base.denominator.bit_length())
            if longest > 1 and longest * abs(exponent) > MAX_BITS * 2:
                raise OverflowError("the number gets too long")
            if abs(exponent) > 1 << 62:
                raise OverflowError("the exponent is too large")
            return Fraction(base ** int(exponent))
    found = float(base) ** float(exponent)
    if isinstance(found, complex):
        raise ValueError("a root of a negative number is no real number")
    return float(found)


def _exact_root(value: Fraction) -> Fraction | None:
    if value < 0:
        return None
    root = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
    return root if root * root == value else None


def _divided(left: Number, right: Number) -> Number:
    if right == 0:
        raise ZeroDivisionError("division by zero")
    return left / right


def _rounding(value: Number, places: Number = Fraction(0)) -> Number:
    """Halves away from zero, as people do on paper."""
    if not isinstance(places, Fraction) or places.denominator != 1 or abs(places) > 100:
        raise ValueError("the places are a whole number from -100 to 100")
    scale = Fraction(10) ** int(places)
    scaled = abs(Fraction(value)) * scale
    found = Fraction(math.floor(scaled + Fraction(1, 2))) / scale
    return found if value >= 0 else -found


def _approximate(function: Callable[..., float]) -> Callable[..., Number]:
    def call(*values: Number) -> Number:
        return function(*map(float, values))

    return call


def _square_root(value: Number) -> Number:
    if value < 0:
        raise ValueError("a root of a negative number is no real number")
    root = _exact_root(value) if isinstance(value, Fraction) else None
    return root if root is not None else math.sqrt(value)


def _of_whole(function: Callable[..., int], most: int) -> Callable[..., Number]:
    def call(*values: Number) -> Number:
        return Fraction(function(*[_whole(value, most) for value in values]))

    return call


_CONSTANTS: Mapping[str, Number] = {"pi": math.pi, "e": math.e, "tau": math.tau}
_OPERATORS: Mapping[type, Callable[[Any, Any], Number]] = {
    ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b, ast.Div: _divided, ast.Pow: _power,
    ast.FloorDiv: lambda a, b: Fraction(math.floor(_divided(a, b))), ast.Mod: lambda a, b: a - b * Fraction(math.floor(_divided(a, b))),
}  # fmt: skip
_COMPARISONS: Mapping[type, Callable[[Any, Any], bool]] = {
    ast.Eq: lambda a, b: a == b, ast.NotEq: lambda a, b: a != b, ast.Lt: lambda a, b: a < b, ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b, ast.GtE: lambda a, b: a >= b,
}  # fmt: skip
_LONG = 10**1_000
_FUNCTIONS: Mapping[str, Callable[..., Number]] = {
    "abs": abs, "ceil": lambda a: Fraction(math.ceil(a)), "floor": lambda a: Fraction(math.floor(a)), "round": _rounding, "sqrt": _square_root,
    "pow": _power, "min": min, "max": max, "sum": lambda *values: sum(values, Fraction(0)),
    "gcd": _of_whole(math.gcd, _LONG), "lcm": _of_whole(math.lcm, _LONG), "factorial": _of_whole(math.factorial, 1_500),
    "comb": _of_whole(math.comb, 10_000), "perm": _of_whole(math.perm, 1_500),
    **{name: _approximate(getattr(math, name)) for name in
       ("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "exp", "log", "log2", "log10", "degrees", "radians", "hypot")},
    "ln": _approximate(math.log),
}  # fmt: skip
