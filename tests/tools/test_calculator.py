"""The calculator: exact where numbers are, said to be approximate where not, and bounded whatever is asked."""

from __future__ import annotations

import contextlib
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery import run
from rookery.errors import ToolFailed
from rookery.tools.calculator import calculate, shown


@pytest.mark.parametrize(("expression", "value"), [
    ("1+2*3", "7"), ("0.1+0.2", "0.3"), ("2/3", "2/3 ≈ 0.66666666666666667"), ("2/3 + 1/3", "1"), ("-7//2", "-4"), ("-7 % 3", "2"),
    ("2^10", "1024"), ("2*3²", "18"), ("6 × 7 ÷ 2", "21"), ("10**-2", "0.01"), ("sqrt(16/9)", "4/3 ≈ 1.3333333333333333"),
    ("2**0.5", "≈ 1.4142135623730951"),
    ("4**1.5", "8"), ("sqrt(2)*sqrt(2)", "≈ 2.0000000000000004"), ("round(2.5)", "3"), ("round(-2.5)", "-3"), ("round(22/7, 3)", "3.143"),
    ("comb(52, 5)", "2598960"), ("factorial(20)", "2432902008176640000"), ("gcd(12, 18)", "6"), ("max(1, 2/3, 5)", "5"),
    ("3 < 4 <= 4", "True"), ("1 == 2", "False"),
    ("1e3 + 1_000", "2000"), ("0x10", "16"), ("1.5e-3", "0.0015"), ("99999999999999999999 + 1", "100000000000000000000"), ("ln(e)", "≈ 1.0"),
    ("2*π", "≈ 6.283185307179586"),
    ("floor(-0.5)", "-1"), ("abs(-3)", "3"), ("0**0", "1"), ("((((1))))", "1"),
])  # fmt: skip
def test_results(expression: str, value: str) -> None:
    assert calculate(expression=expression) == value


@pytest.mark.parametrize("expression", [
    "", "1/0", "1//0", "5 % 0", "0**-1", "2 +", "x", "1, 2", "1,000", "'a'*3", "[1]", "(lambda: 1)()", "().__class__", "__import__('os')",
    "open('x')", "exec('1')",
    "sqrt(-1)", "(-8)**(1/3)", "True + 1", "1j", "f(1)", "sum([1])", "abs()", "max()", "round(1, 2, 3)", "a.b", "1 if 2 else 3", "print(1)",
    "{1: 2}",
    "log(0)", "ln(-1)", "asin(2)", "factorial(1.5)", "factorial(-1)", "1 in 2", "not 1", "1 and 2", "f'{1}'", "...", "x := 1", "comb(5, x=3)",
    "\x00", "nan", "inf",
])  # fmt: skip
def test_what_is_no_calculation_is_refused(expression: str) -> None:
    with pytest.raises(ToolFailed):
        calculate(expression=expression)


@pytest.mark.parametrize("expression", [
    "9**9**9", "9**9**9**9", "2**1000000000", "10**100000", "(2/3)**100000", "1e999999999", "1e-999999999", "factorial(100000)",
    "comb(1000000, 500000)",
    "9999999999**9999999999", "(" * 200 + "1" + ")" * 200, "-" * 900 + "1", "1" * 900 + "**" + "1" * 90, "2**2**2**2**2**2", "+".join(["1"] * 499),
    "perm(1500,1500)**9", "*".join(["9**999"] * 60), "exp(1000)", "1/(10**4000)/(10**4000)", "((((((2**13)**13)**13)**13)**13)**13)",
    "1" * 5000, "0.5**99999999999999999999",
])  # fmt: skip
def test_it_takes_little_time_whatever_is_asked(expression: str) -> None:
    started = time.monotonic()
    try:
        assert len(calculate(expression=expression)) < 10_000
    except ToolFailed as error:
        assert len(str(error)) < 500
    assert time.monotonic() - started < 4


@given(st.fractions(max_denominator=10_000), st.fractions(max_denominator=10_000))
def test_arithmetic_is_that_of_fractions(a: Fraction, b: Fraction) -> None:
    for sign, value in (("+", a + b), ("-", a - b), ("*", a * b), *([("/", a / b), ("%", a % b), ("//", Fraction(a // b))] if b else [])):
        assert calculate(expression=f"({a}) {sign} ({b})") == shown(value)


@given(st.text(alphabet="0123456789+-*/%()., eEx_sqrtpilnfac^", max_size=40))
def test_whatever_is_written_only_refusals_come_of_it(expression: str) -> None:
    with contextlib.suppress(ToolFailed):
        assert isinstance(calculate(expression=expression), str)


def test_it_is_a_tool() -> None:
    assert calculate.pure and not calculate.effect and run(calculate, expression="1/4") == "0.25"
