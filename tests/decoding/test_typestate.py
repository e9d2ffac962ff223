"""After a dot, only what an object's protocol allows in the states that it may be in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.decoding.monitor import NO_FACTS, Cursor
from rookery.decoding.typestate import Automaton, Typestate
from rookery.errors import RuleWrong
from tests.decoding.project import takes

FILE = Automaton("File", "closed", (("closed", "open", "open"), ("open", "read", "open"), ("open", "close", "closed")), free=("name",))
OPEN, CLOSED = {"read", "close", "name"}, {"open", "name"}


def legal(code: str, head: str = "def g(x):\n    f = File('a')\n") -> set[str] | None:
    query = Typestate(FILE).wake(Cursor(head + code))
    return None if query is None else set(query.detail.split())


@pytest.mark.parametrize(("code", "wanted"), [
    ("    f.", CLOSED), ("    f.open()\n    f.", OPEN), ("    f.open(); f.close(); f.", CLOSED), ("    f.open()\n    x = f.read() + f.", OPEN),
    ("    if x:\n        f.open()\n    else:\n        f.open()\n    print(f.", OPEN), ("    if x:\n        f.open()\n    f.", None),
    ("    if x:\n        return\n    f.open()\n    f.", OPEN), ("    f.open()\n    if not x:\n        f.close()\n        raise X\n    f.", OPEN),
    ("    for y in x:\n        f.open()\n        f.close()\n        f.", CLOSED), ("    while x:\n        f.open()\n    f.", None),
    ("    while True:\n        f.open()\n        break\n    f.", OPEN), ("    f.open()\n    for y in x:\n        f.", OPEN),
    ("    try:\n        f.open()\n    except E:\n        return\n    f.", OPEN), ("    try:\n        f.open()\n        f.", OPEN),
    ("    try:\n        f.open()\n    finally:\n        f.", None), ("    match x:\n        case 1:\n            f.open()\n            f.", OPEN),
    ("    self.f = File()\n    self.f.open()\n    self.f.", OPEN), ("    self.f = File()\n    self.f.open()\n    self.h()\n    self.f.", None),
    ("    with File() as k:\n        k.", CLOSED), ("    if f.open():\n        f.", OPEN), ("    if f is None:\n        return\n    f.", CLOSED),
    ("    def h():\n        f.", None), ("    y = [\n        f.", CLOSED), ("    f.open()\n    print(f'{f.", None),
    ("    async def h():\n        k = File()\n        k.open()\n        k.", OPEN),
])
def test_states_follow_the_code(code: str, wanted: set[str] | None) -> None:
    assert legal(code) == wanted


@pytest.mark.parametrize("code", [
    "    g(f)\n    f.", "    b = f\n    f.", "    y = f.open\n    f.", "    xs.append(f)\n    f.", "    def h(): f.open()\n    f.",
                                  "    f = other()\n    f.", "    del f\n    f.", "    for f in x:\n        f.", "    x.", "    f.read()\n    f.",
                                  "    return f.", "    x = (f.\n    y."])
def test_what_is_not_known_is_not_constrained(code: str) -> None:
    assert legal(code) in (None, CLOSED) and (code.startswith("    return") or legal(code) is None)


def test_the_constraint_is_the_methods() -> None:
    cursor = Cursor("f = File('a')\nf.")
    monitor = Typestate(FILE)
    query = monitor.wake(cursor)
    assert query is not None and not query.kind, "it needs no analyser"
    found = monitor.follow(query, NO_FACTS)
    assert takes(found, "open()") and takes(found, "name\n") and not takes(found, "read()") and not takes(found, "opened")


@pytest.mark.parametrize("moves", [(), (("open", "read", "open"),), (("closed", "open", "a"), ("closed", "open", "b"))])
def test_an_automaton_that_makes_no_sense(moves: tuple[tuple[str, str, str], ...]) -> None:
    with pytest.raises(RuleWrong, match="automaton of File"):
        Automaton("File", "closed", moves)


@given(st.lists(st.sampled_from(["open", "read", "close"]), max_size=8))
def test_straight_code_is_followed_exactly(methods: list[str]) -> None:
    state: str | None = "closed"
    moves = {(begin, method): end for begin, method, end in FILE.moves}
    for method in methods:
        state = moves.get((state, method)) if state is not None else None
    code = "".join(f"    f.{method}()\n" for method in methods)
    assert legal(code + "    f.") == ({"open": OPEN, "closed": CLOSED}[state] if state is not None else None)


@given(st.text(alphabet="f.()\n :=xif", max_size=50))
def test_any_code_is_survived(text: str) -> None:
    legal(text + "\n    f.")
    legal(text + "f.")
