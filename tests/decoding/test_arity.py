"""In calls, only arguments that what is called takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.decoding.analyser import SupervisedAnalyser
from rookery.decoding.arity import Arguments, Arity, Given, fits, missing, names_left, takes_name, takes_positional
from rookery.decoding.monitor import Parameter
from rookery.decoding.pythoncall import Argument
from tests.decoding.project import HEAD, refused

CALLS = HEAD + "def one(a): ...\ndef two(a, b=1): ...\ndef many(*args): ...\ndef named(a, *, key, other=1): ...\ndef loose(a, **options): ...\n\n"


@pytest.mark.parametrize("code", [
    "one(1)", "one(a=1)", "one(f(2, 3))", "one((1, 2))", "one('a, b')", "one([x for x in y])", "one(x for x in y)", "one(*xs)", "one(**kw)",
    "one(1,)", "one(\n    1,\n)",
    "two(1)", "two(1, 2)", "two(b=2, a=1)", "two(a == 1, b=2)", "two(1, *xs)", "many()", "many(1, 2, 3)", "many(*xs, 1)", "named(1, key=2)",
    "named(a=1, key=2, other=3)", "named(key=1, **kw)", "loose(1, x=2, y=3)", "nothing()", "nothing( )", "Point(1)", "Point(1, 2)", "Point(x=1)",
    "Square('a', 1.0)",
    "Square('a', side=2.0)", "Shape('s', color=Color.RED)", "pick(1)", "pick('a', Shape('b'))", "unknown(1, 2, 3)", "one(lambda a, b: a)",
    "one(a if b else c)",
    "one(not x)", "one(-1)", "one(r'x')", "one(one(1))", "shapes.Point(1, y=2)", "Shape('a').scaled(2.0)", "Shape('a').scaled(2.0, times=3)",
    "len('a')",
    "sorted([1], key=len)", "print()", "dict(a=1)", "isinstance(x, int)", "two(1, b=named(1, key=2))", "one(x := 1)", "one({1: 2})",
    "one(# what\n 1)", "one(naïve)",
    "two(*a, **b)", "shapes.Pair(1, 2)", "ShapeError('a', 'b')", "two(a, b)", "one(a.b.c[1](2).d)", "print('a', end='')",
])
async def test_calls_that_are_right_pass(jedi: SupervisedAnalyser, code: str) -> None:
    assert await refused(Arity(), jedi, CALLS, code) is None


@pytest.mark.parametrize(("code", "at"), [
    ("one()", 4), ("one(1, 2)", 7), ("one(b=1)", 6), ("one(1, a=2)", 7), ("two()", 4), ("two(1, 2, 3)", 10), ("two(1, c=2)", 9), ("two(b=1)", 7),
    ("nothing(1)", 8), ("nothing(x)", 8), ("nothing(x=1)", 8), ("nothing('a')", 8), ("named(1)", 7), ("named(1, 2)", 9),
    ("named(1, other=2)", 16), ("named(1, wrong=2)", 9),
    ("Point()", 6), ("Point(1, z=2)", 11), ("Point(1, 2, 3)", 12), ("Square('a')", 10), ("Square(side=1.0)", 15), ("Shape('a', 1)", 11),
    ("Shape('a', colour=1)", 15),
    ("pick()", 5), ("Shape('a').scaled()", 18), ("Shape('a').scaled(factor=2)", 25), ("len()", 4), ("len('a', 'b')", 9), ("one(one())", 8),
    ("two(1, b=one())", 13),
    ("loose()", 6), ("loose(1, 2)", 9), ("one([1], 2)", 9), ("one(x=1)", 6), ("two(1, b=2, b=3)", 12), ("print('a', ende='')", 16),
])
async def test_calls_that_are_wrong_are_stopped_where_they_go_wrong(jedi: SupervisedAnalyser, code: str, at: int) -> None:
    assert await refused(Arity(), jedi, CALLS, code) == at


async def test_what_the_class_of_a_signature_does_not_tell_is_not_constrained(jedi: SupervisedAnalyser) -> None:
    """jedi takes a NamedTuple's constructor for that of NamedTuple itself."""
    assert await refused(Arity(), jedi, CALLS, "shapes.Pair(1, 2)") is None
    assert await refused(Arity(), jedi, CALLS, "shapes.Pair(left=1, right=2)") is None


def test_an_explanation_names_what_is_left() -> None:
    found = Arguments(((Parameter("a"), Parameter("b"), Parameter("c", required=False)),), Given(1))
    assert found.explain() == "arguments that it takes (left: b, c; needed: b)"


KINDS = ("positional", "either", "rest", "keyword", "keywords")


@st.composite
def signatures(draw: st.DrawFn) -> tuple[Parameter, ...]:
    kinds = sorted(draw(st.lists(st.sampled_from(KINDS), max_size=6)), key=KINDS.index)
    found, optional = [], False
    for number, kind in enumerate(kinds):
        if kind in ("rest", "keywords") and kinds.index(kind) != number:
            continue
        required = kind in ("positional", "either", "keyword") and draw(st.booleans())
        if kind in ("positional", "either"):
            optional = optional or not required
            required = not optional
        found.append(Parameter(f"p{number}", kind, required))  # type: ignore[arg-type]
    return tuple(found)


def made(signature: tuple[Parameter, ...]) -> object:
    """The same as a function, for Python to judge."""
    parts, seen_rest = [], False
    last_positional = max((at for at, one in enumerate(signature) if one.kind == "positional"), default=-1)
    for at, one in enumerate(signature):
        if one.kind == "keyword" and not seen_rest:
            parts.append("*")
            seen_rest = True
        seen_rest = seen_rest or one.kind == "rest"
        default = "=0" if one.kind in ("positional", "either", "keyword") and not one.required else ""
        parts.append({"rest": "*", "keywords": "**"}.get(one.kind, "") + one.name + default)
        if at == last_positional:
            parts.append("/")
    space: dict[str, object] = {}
    exec(f"def made({', '.join(parts)}): ...", space)
    return space["made"]


@given(signatures(), st.integers(0, 4), st.sets(st.sampled_from(["p0", "p1", "p2", "p3", "other"]), max_size=3))
def test_python_judges_as_we_do(signature: tuple[Parameter, ...], count: int, names: set[str]) -> None:
    given_ = Given(count, frozenset(names))
    function = made(signature)
    try:
        function(*range(count), **dict.fromkeys(names, 1))  # type: ignore[operator]
        passes = True
    except TypeError:
        passes = False
    assert (fits(signature, given_) and not missing(signature, given_)) == passes


@given(signatures(), st.integers(0, 3))
def test_what_may_be_added_fits(signature: tuple[Parameter, ...], count: int) -> None:
    given_ = Given(count)
    if not fits(signature, given_):
        return
    assert fits(signature, given_.plus(Argument("x"))) == takes_positional(signature, given_)
    for name in (*names_left(signature, given_), "other"):
        assert fits(signature, given_.plus(Argument("x", name))) == takes_name(signature, given_, name)
