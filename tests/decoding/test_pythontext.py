"""Where a cursor in Python code stands: strings, brackets, statements, calls; of any text at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.decoding.pythoncall import about, call, receiver
from rookery.decoding.pythontext import bridge, match_of, meaning, spot


@pytest.mark.parametrize(("text", "place"), [
    ("x.", "code"), ("# x.", "comment"), ("'x.", "string"), ('"""a\nx.', "string"), ('"""a"""\nx.', "code"), ("x = 'abc\ny.", "code"),
    ("r'\\'.", "string"),
    ("f'{x.", "code"), ("f'{x:.", "string"), ("f'{x!r}.", "string"), ("f'{{x.", "string"), ("x = 'it''s'; y.", "code"), ("'a' # '\nx.", "code"),
    ("x = '''\n'a\n''' + y.", "code"), ("f'{d[\"k\"].", "code"), ("rb'x.", "string"), ("", "code"), ("'\\\n", "string"),
])
def test_the_place_of_a_cursor(text: str, place: str) -> None:
    assert spot(text).place == place


@pytest.mark.parametrize(("text", "wanted"), [
    ("x.", "x"), ("x.y.", "x.y"), ("f(a)[1].", "f(a)[1]"), ("return self.", "self"), ("a + b.", "b"), ("not x.", "x"), ("'abc'.", "'abc'"),
    ("1.", None),
    ("...", None), ("x = 1.5.", "1.5"), ("f(a, g(b).", "g(b)"), ("[x for y in z.", "z"), ("{'a': b.", "b"), ("x[1:2].y.", "x[1:2].y"),
    ("('a' 'b').", "('a' 'b')"),
    ("naïve.", "naïve"), ("λ.", "λ"), ("変数.", "変数"), ("await f().", "f()"), ("x if y.z else w.", "w"), ("x.\\\n  y.", "x.\\\n  y"),
    ("@app.", "app"),
    ("x .", "x"), ("f(\n  a,\n  b.", "b"), ("from .", None), ("x..", None), ("f'{x.", "x"), ("# x.", None), ("x = yield.", None),
])
def test_what_a_dot_looks_into(text: str, wanted: str | None) -> None:
    assert receiver(spot(text)) == wanted


@pytest.mark.parametrize(("text", "callee", "arguments"), [
    ("f(", "f", ["*"]), ("f(a, b=1, ", "f", ["a", "b=", "*"]), ("x.y(*a, **b, c", "x.y", ["*1", "*2", "c"]), ("f(g(1), ", "f", ["g(1)", "*"]),
    ("f(g(1, ", "g", ["1", "*"]), ("f((1, 2), [3, 4], ", "f", ["(1, 2)", "[3, 4]", "*"]), ("f(lambda a, b: a, ", "f", ["lambda a, b: a", "*"]),
    ("f(a == b, ", "f", ["a == b", "*"]), ("f(x := 1, ", "f", ["x := 1", "*"]), ("f('a,b', ", "f", ["'a,b'", "*"]), ("f(a)(", "f(a)", ["*"]),
    ("return f(\n    a,\n    ", "f", ["a", "*"]), ("@f(", "f", ["*"]),
])
def test_the_call_at_a_cursor(text: str, callee: str, arguments: list[str]) -> None:
    found = call(spot(text))
    assert found is not None
    shown = [f"{one.name}=" if one.name else f"*{one.stars}" if one.stars else one.text.strip() or "*" for one in found.arguments]
    assert (found.callee, shown) == (callee, arguments)


@pytest.mark.parametrize("text", [
    "def f(", "class A(", "(", "x = (1, ", "f(1)", "[", "f[", "if (", "print", "match (", "return (", "a + (", "f('(", "f()"])
def test_where_no_call_is_open(text: str) -> None:
    assert call(spot(text)) is None


def test_brackets_that_were_never_closed_end_with_the_next_statement() -> None:
    where = spot("x = foo(1, [\ndef g():\n    y.")
    assert (where.line, where.brackets) == ("    y.", ())


@pytest.mark.parametrize(("before", "after", "wanted"), [
    ("f(x.", "", ")"), ("f([x.", "", "])"), ("f(x.", ")", ""), ("f([x.", ")\ny = 1", "]\n"), ("f(x.", "\ndef g(): ...\n", ")"), ("x.", "\ny", ""),
    ("f'{x.", "", "}'"), ("f'{x.", "}'", ""), ("if x.", "\n    y\n", ": pass"), ("for a in b.", "", ": pass\n"), ("f(x.", ", [a])", ""),
])
def test_what_makes_code_whole(before: str, after: str, wanted: str) -> None:
    assert bridge(spot(before), after).rstrip("\n") == wanted.rstrip("\n")


def test_what_names_mean_depends_on_no_line_that_only_uses_them() -> None:
    def of(text: str) -> str:
        return meaning(text, spot(text))

    head = "def f(x):\n    "
    assert of(head + "x.") == of(head + "print(x)\n    x.") == of(head + "return x.")
    for line in ("x = 1", "for y in x: ...", "with x as y: ...", "import x", "if isinstance(x, int): ...", "del x"):
        assert of(head + "x.") != of(head + line + "\n    x."), line
    assert of(head + "x.") != of("def f(y):\n    x.")
    assert of(head + "x.") != of(head + "[x for x in y if x.")
    assert of(head + "x.") != of(head + "if y:\n        x.")


def test_a_match_is_found_for_its_case() -> None:
    text = "def f(c):\n    match c.color:\n        case 1:\n            x = 2\n        case "
    assert match_of(text, spot(text)) == (text.index("match"), "c.color")
    assert about("enum", text) == (text[: text.index("match")], "c.color")
    other = "if x:\n    case "
    assert match_of(other, spot(other)) is None


def test_the_signatures_asked_for_are_those_of_the_call_wherever_the_cursor_stands_in_it() -> None:
    assert about("signatures", "x = f(a, g(1), b=") == ("x = f(", "f")


@given(st.text(alphabet="ab.(){}[]'\"\\#f,:= \n", max_size=60))
def test_any_text_has_a_place(text: str) -> None:
    where = spot(text)
    assert where.place in ("code", "string", "comment")
    receiver(where), call(where), bridge(where, text), meaning(text, where)
    assert text.endswith(where.line) or where.place != "code" or where.quote


@given(st.text(alphabet="ab.()'\"#\n =", max_size=40))
def test_what_stands_before_whole_lines_of_code_changes_nothing(tail: str) -> None:
    head = "x = 1\ny = [2,\n     3]\n" * 1500  # longer than what is looked at in one go
    long, short = spot(head + tail), spot(tail)
    assert (long.place, long.line, long.quote) == (short.place, short.line, short.quote)
    assert long.start == short.start + len(head)
