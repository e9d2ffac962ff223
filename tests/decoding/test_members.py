"""After a dot, only what the object has: a small hand-made set, and what is left out of it."""

from __future__ import annotations

import pytest

from rookery.decoding.analyser import SupervisedAnalyser
from rookery.decoding.constraint import Names
from rookery.decoding.members import Members, members
from rookery.decoding.monitor import Cursor
from rookery.errors import RuleWrong
from tests.decoding.project import HEAD, constraint, takes

SQUARE = HEAD + "def f(s: Square, p: Point):\n    "


@pytest.mark.parametrize(("code", "legal", "illegal"), [
    ("s.", "side", "sides"), ("s.", "area()", "volume()"), ("s.", "grow", "gro "), ("p.", "x", "z"), ("p.", "y + 1", "yy"), ("Color.", "RED", "BLUE"),
    ("Color.RED.", "shine()", "shin()"), ("shapes.", "Shape(", "Circle("), ("x = s.scaled(2).", "name", "nam("), ("print(s.color.", "name)", "side)"),
    ("'abc'.", "upper()", "up()"), ("[s][0].", "area", "append"), ("f'{s.", "name}'", "nme}'"), ("(s).", "side", "x"),
    ("return pick(1).", "area()", "x"),
    ("with s as q:\n        s.", "side", "y"), ("lambda: s.", "side", "y"), ("s.", "_hidden", "_hiden"),
])
async def test_only_what_is_there(jedi: SupervisedAnalyser, code: str, legal: str, illegal: str) -> None:
    found = await constraint(Members(), jedi, SQUARE + code)
    assert isinstance(found, Names), f"{code} gives {found}"
    assert takes(found, legal) and not takes(found, illegal)


@pytest.mark.parametrize("code", ["1.", "'s.", "# s.", '"""s.', "...", "x = 3.", "from shapes import Shape as s  # s."])
def test_it_sleeps_where_no_member_is_written(code: str) -> None:
    assert Members().wake(Cursor(SQUARE + code)) is None


def test_it_leaves_imports_to_their_own_monitor() -> None:
    assert Members().wake(Cursor("import shapes.")) is None
    assert Members().wake(Cursor("from package.")) is None


@pytest.mark.parametrize("code", ["unknown.", "g(s).", "s.area.nothing."])
async def test_what_is_not_known_is_not_constrained(jedi: SupervisedAnalyser, code: str) -> None:
    assert await constraint(Members(), jedi, SQUARE + code) is None


async def test_text_that_follows_is_seen(jedi: SupervisedAnalyser) -> None:
    before, after = "class A:\n    def f(self):\n        self.", "\n\n    def later(self):\n        self.field = 1\n"
    alone = await constraint(Members(), jedi, before)
    assert alone is None or not takes(alone, "later()")
    found = await constraint(Members(), jedi, before, after)
    assert found is not None and takes(found, "later()") and takes(found, "field") and not takes(found, "other")


async def test_private_names_and_those_with_underscores_around_them(jedi: SupervisedAnalyser) -> None:
    async def names(code: str, **options: str) -> set[str]:
        found = await constraint(Members(**options), jedi, code)  # type: ignore[arg-type]
        assert isinstance(found, Names)
        return set(found.names)

    outside, inside = SQUARE + "s.", HEAD + "class Mine(Square):\n    def f(self):\n        self."
    assert "_hidden" in await names(outside) and "_hidden" not in await names(outside, private="own")
    assert "_hidden" in await names(inside, private="own") and "_hidden" not in await names(inside, private="none")
    assert "__sizeof__" not in await names(outside) and "__class__" in await names(outside)
    assert "__setattr__" in await names(HEAD + "object.")
    assert "__init__" in await names(HEAD + "class Mine(Square):\n    def __init__(self):\n        super().")
    assert not [name for name in await names(outside, dunder="none") if name.startswith("__")]


async def test_one_file_sees_another_by_its_place_in_the_project(jedi: SupervisedAnalyser) -> None:
    found = await constraint(Members(), jedi, "from . import inner\ninner.", path="package/other.py")
    assert found is not None and takes(found, "helper(1, 2)") and not takes(found, "help(")


async def test_a_character_beyond_ascii_is_part_of_a_name(jedi: SupervisedAnalyser) -> None:
    found = await constraint(Members(), jedi, "class É:\n    größe = 1\n    grö = 2\n\n\nÉ.")
    assert found is not None and takes(found, "größe\n") and takes(found, "grö ") and not takes(found, "gröb")


def test_options_that_do_not_exist_are_named() -> None:
    with pytest.raises(RuleWrong, match="private='some'"):
        members(private="some")  # type: ignore[arg-type]
    with pytest.raises(RuleWrong, match="there is no analyser 'jedy'"):
        members(analyser="jedy")
    with pytest.raises(RuleWrong, match="who analyses 'cobol' is not known"):
        members(language="cobol")
    with pytest.raises(RuleWrong, match="is no folder"):
        rule = members("./no/such/folder")
        assert rule.facts is not None
        rule.facts()
