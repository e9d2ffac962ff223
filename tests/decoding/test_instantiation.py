"""Where a class is expected, only names that may stand for one."""

from __future__ import annotations

import pytest

from rookery.decoding.analyser import SupervisedAnalyser
from rookery.decoding.instantiation import Instantiation
from rookery.decoding.monitor import Cursor
from tests.decoding.project import HEAD, constraint, takes


@pytest.mark.parametrize(("code", "legal", "illegal"), [
    ("class Mine(", "Shape)", "Shap)"), ("class Mine(", "metaclass=", "meta="), ("class Mine(", "shapes.Shape", "shape."),
    ("class Mine(Shape, ", "Point)", "point)"),
    ("class Mine(", ")", "nothing)"), ("def f(e):\n    raise ", "ShapeError(", "ShapeFault("), ("def f(e):\n    raise ", "e\n", "f2\n"),
    ("def f(e):\n    raise ", "pick(", "picks("), ("try: ...\nexcept ", "ShapeError as", "ShapeErr as"),
    ("try: ...\nexcept ", "(ValueError", "nothing:"),
    ("try: ...\nexcept (", "ValueError", "ValuError"), ("try: ...\nexcept (ValueError, ", "KeyError", "KeyErr)"),
    ("isinstance(x, ", "Shape)", "Shapes)"),
    ("isinstance(x, ", "(int, str)", "nothing)"), ("def f(kind):\n    isinstance(1, ", "kind)", "kin)"), ("issubclass(Point, ", "int)", "in)"),
])
async def test_only_what_may_be_a_class(jedi: SupervisedAnalyser, code: str, legal: str, illegal: str) -> None:
    found = await constraint(Instantiation(), jedi, HEAD + code)
    assert found is not None
    assert takes(found, legal) and not takes(found, illegal)


@pytest.mark.parametrize("code", [
    "x = ", "f(", "class Mine(metaclass=", "isinstance(", "isinstance(x, y, ", "# raise ", "'except ", "raise X from ", "print(a, "])
def test_it_sleeps_elsewhere(code: str) -> None:
    assert Instantiation().wake(Cursor(HEAD + code)) is None
