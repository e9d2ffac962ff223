"""Our monitors of code, and our analysers, keep the contracts; and rules joined from them hold a text together."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from rookery.decoding import Automaton, Desk, Jedi, Rule, Tally, check, enum_members, imports, instantiation, members
from rookery.decoding import arity as arity_rule
from rookery.decoding.arity import Arity
from rookery.decoding.enum_members import EnumMembers
from rookery.decoding.imports import Imports
from rookery.decoding.instantiation import Instantiation
from rookery.decoding.language_server import pyrefly
from rookery.decoding.members import Members
from rookery.decoding.monitor import Cursor, Facts, Monitor, Parameter, Query
from rookery.decoding.typestate import Typestate, typestate
from rookery.testing import check_analyser, check_monitor
from tests.decoding.project import HEAD

NAMES = Facts(("name", "area", "Shape", "é"), detail={"Shape": "class", "": "Color"})
CALL = Facts(signatures=((Parameter("a"), Parameter("name", required=False)), (Parameter("rest", "rest", required=False),)))
FILE = Automaton("File", "closed", (("closed", "open", "open"), ("open", "read", "open"), ("open", "close", "closed")))
TEXTS = ("a", "name)", "name=1)", "name==1, 2)", ")", "(", "_:", "Color.name:", "metaclass=x",
         " x", "1, 2)", "é.", "'a')", "\n    a", "#", "open(", "read")


@pytest.mark.parametrize(("monitor", "before", "facts"), [
    (Members(), "x.", NAMES), (Members("cpp"), "x->", NAMES), (Members("typescript"), "x.", NAMES), (Imports(), "from shapes import ", NAMES),
    (Imports(), "import ", NAMES),
    (Arity(), "f(", CALL), (Arity(), "f(1, ", CALL), (Arity(), "f(g(1)", CALL), (Instantiation(), "raise ", NAMES),
    (Instantiation(), "class A(", NAMES),
    (Instantiation("typescript"), "new ", NAMES), (EnumMembers(), "from a import Color\nmatch c:\n    case ", NAMES),
    (EnumMembers("cpp"), "switch (c) { case ", NAMES), (Typestate(FILE), "f = File()\nf.", NAMES),
])
def test_monitors(monitor: Monitor, before: str, facts: Facts) -> None:
    check_monitor(monitor, [Cursor(before)], facts, texts=TEXTS)


UNKNOWN = Query("members", Cursor("nobody_knows_it."))


@pytest.mark.parametrize("query", [
    Query("members", Cursor(HEAD + "Color.")), Query("imports", Cursor("from shapes import ")), Query("signatures", Cursor(HEAD + "Point(")),
    Query("classes", Cursor(HEAD + "raise ")), Query("enum", Cursor(HEAD + "c = Color.RED\nmatch c:\n    case ")),
])
async def test_jedi(project: Path, query: Query) -> None:
    await check_analyser(Jedi(str(project)), query, unknown=UNKNOWN)


async def test_a_language_server(project: Path) -> None:
    if not shutil.which("pyrefly", path=str(Path(sys.executable).parent)):
        pytest.skip("pyrefly is not installed; the extra of tests has it")
    await check_analyser(pyrefly(str(project)), Query("members", Cursor(HEAD + "Color.")), unknown=UNKNOWN)


def test_sources_that_are_equal_share_one_analyser() -> None:
    assert members("./src").facts == arity_rule("./src").facts == Jedi("./src")
    assert hash(members("./src").facts) == hash(Jedi("./src")) and members("./other").facts != Jedi("./src")


RIGHT = """import shapes
from shapes import Color, Point, Shape, Square, ShapeError


class Circle(Shape):
    def grown(self, by: float) -> "Circle":
        if by < 0:
            raise ShapeError("too small")
        try:
            print(self.name, self.area(), end="")
        except (ValueError, ShapeError) as error:
            raise
        match self.color:
            case Color.RED | Color.GREEN:
                return Circle(self.name, color=self.color)
            case _:
                return self.scaled(2.0, times=3)


def corners(square: Square) -> list[Point]:
    points = [Point(1), Point(x=2, y=3), *[Point(*pair) for pair in ((1, 2), (3, 4))]]
    points.append(shapes.Point(square.side, 2))
    file = File("a")
    file.open()
    for point in points:
        print(f"{point.x} {square.color.shine()}", file.read())
    file.close()
    return sorted(points, key=lambda point: point.y)
"""


def whole(project: Path) -> Rule:
    """All monitors of Python code at once."""
    folder = str(project)
    rules = (members(folder), imports(folder), arity_rule(folder), instantiation(folder), enum_members(folder), typestate(FILE))
    joined = rules[0]
    for rule in rules[1:]:
        joined = joined & rule
    return joined.within(60)


WRONG = [
    ("self.area()", "self.volume()", 10), ("import Color", "import Colour", 2), ("Point(1)", "Point()", 21), ("ShapeError(", "ShapeFault(", 8),
    ("Color.RED |", "Color.BLUE |", 14), ("file.open()", "file.read()", 24), ("times=3", "time=3", 17), ("(Shape)", "(Shap)", 5),
    ("point.x}", "point.z}", 26), ("side, 2)", "side, 2, 3)", 22),
]


async def test_code_that_is_right_passes_all_of_them_and_what_is_wrong_is_found_where_it_stands(project: Path) -> None:
    rule, desk, tally = whole(project), Desk(), Tally()
    assert await check(RIGHT, rule, desk, tally) == []
    assert await check(f"Here it is:\n```python\n{RIGHT}```\n", rule, desk, Tally()) == []
    assert tally.triggers > 40 and not tally.failed and not tally.late and len(tally.monitors) == 6
    for right, wrong, line in WRONG:
        assert right in RIGHT
        found = await check(RIGHT.replace(right, wrong, 1), rule, desk, Tally())
        assert found and found[0][0] == f"line {line}", (wrong, found)
    await desk.aclose()
