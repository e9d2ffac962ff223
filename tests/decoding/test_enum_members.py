"""In the cases of a match over an enum, only its members."""

from __future__ import annotations

import pytest

from rookery.decoding.analyser import SupervisedAnalyser
from rookery.decoding.enum_members import EnumMembers
from rookery.decoding.monitor import Cursor
from tests.decoding.project import HEAD, constraint, takes

MATCH = HEAD + "def f(c: Color, s: Shape, n: int):\n    match "


@pytest.mark.parametrize(("code", "legal", "illegal"), [
    ("c:\n        case ", "Color.RED:", "Color.BLUE:"), ("c:\n        case ", "_:", "other:"), ("c:\n        case ", "[", "x"),
    ("c:\n        case Color.", "GREEN:", "shine:"),
    ("c:\n        case Color.RED:\n            return 1\n        case ", "Color.GREEN", "Colour.GREEN"),
    ("c:\n        case Color.RED | ", "Color.GREEN", "Color.name"), ("s.color:\n        case ", "Color.RED:", "Color.side"),
    ("shapes.Shape('a').color:\n        case ", "Color.RED", "RED:"),
])
async def test_only_members(jedi: SupervisedAnalyser, code: str, legal: str, illegal: str) -> None:
    found = await constraint(EnumMembers(), jedi, MATCH + code)
    assert found is not None
    assert takes(found, legal) and not takes(found, illegal)


@pytest.mark.parametrize("code", ["n:\n        case ", "s:\n        case ", "unknown:\n        case ", "n:\n        case Color."])
async def test_what_is_no_enum_is_not_constrained(jedi: SupervisedAnalyser, code: str) -> None:
    assert await constraint(EnumMembers(), jedi, MATCH + code) is None


async def test_an_enum_that_has_no_name_in_the_file_is_not_constrained(jedi: SupervisedAnalyser) -> None:
    assert await constraint(EnumMembers(), jedi, "import shapes\n\nmatch shapes.Shape('a').color:\n    case ") is None


async def test_an_enum_is_named_as_the_file_names_it(jedi: SupervisedAnalyser) -> None:
    found = await constraint(EnumMembers(), jedi, "import shapes\n\nx = shapes.Color.RED\nmatch x:\n    case ")
    assert found is not None and takes(found, "shapes.Color.GREEN:") and not takes(found, "Color.GREEN:")


@pytest.mark.parametrize("code", ["case ", "x = 1\ncase ", "match x:\n    y = 1 # case ", "match x:\n    'case "])
def test_it_sleeps_elsewhere(code: str) -> None:
    assert EnumMembers().wake(Cursor(code)) is None
