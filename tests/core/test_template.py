"""Templates: holes and text kept apart, and values as text."""

from __future__ import annotations

import datetime
import enum
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from rookery.core.template import Hole, Template, as_text, lookup
from rookery.errors import GraphFault

names = st.from_regex(r"[a-z_][a-z0-9_]{0,3}", fullmatch=True)
keys = st.text(st.characters(exclude_characters="[]{}", exclude_categories=["Cs"]), min_size=1, max_size=4).filter(
    lambda key: not key.lstrip("-").isdigit()
)
holes = st.builds(Hole, names, st.lists(names | st.integers(-3, 9) | keys, max_size=3).map(tuple))


def merged(parts: list[Any]) -> tuple[Any, ...]:
    found: list[Any] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part != "":
            found.append(part)
    return tuple(found)


@given(st.lists(st.text(max_size=6) | holes, max_size=6))
def test_the_source_of_a_template_parses_to_it(parts: list[Any]) -> None:
    template = Template(merged(parts))
    assert Template.parse(template.source) == template
    assert template.holes == tuple(part for part in parts if isinstance(part, Hole))


@given(st.text(max_size=20))
def test_any_text_parses_or_is_a_fault_with_its_path(text: str) -> None:
    try:
        template = Template.parse(text, path="prompts.p")
    except GraphFault as fault:
        assert fault.path == "prompts.p" and fault.kind == "template"
    else:
        assert Template.parse(template.source) == template


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a {b} c", ("a ", Hole("b"), " c")),
        ("{a.b[0].c}", (Hole("a", ("b", 0, "c")),)),
        ("{a[k w]}", (Hole("a", ("k w",)),)),
        ("{a[-1]}", (Hole("a", (-1,)),)),
        ("{{a}}", ("{a}",)),
        ("", ()),
        ("  a\n    b", ("  a\n    b",)),
        ("{{{a}}}", ("{", Hole("a"), "}")),
    ],
)
def test_what_a_text_parses_to(text: str, parts: tuple[Any, ...]) -> None:
    assert Template.parse(text).parts == parts


@pytest.mark.parametrize("text", ["{", "}", "{}", "{0}", "{a!r}", "{a:>3}", "{a b}", "{a[}", "{a.}", "{1a}", "{ a}", "{a[0}"])
def test_what_is_no_template(text: str) -> None:
    with pytest.raises(GraphFault):
        Template.parse(text)


class Colour(enum.Enum):
    red = "r"


class Size(str, enum.Enum):  # noqa: UP042 - not the same
    big = "b"


class Number(enum.IntEnum):
    one = 1


class Note(BaseModel):
    text: str
    when: datetime.date | None = None


@dataclass
class Data:
    b: int
    a: int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", "a\nb"),
        (["a", "b"], "a\nb"),
        (("a", "b"), "a\nb"),
        ([], "[]"),
        (True, "true"),
        (None, "null"),
        (1, "1"),
        (1.5, "1.5"),
        (Number.one, "1"),
        (Size.big, "b"),
        (Colour.red, "r"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (Decimal("1.50"), "1.50"),
        ([1, 2], "[1,2]"),
        (Note(text="é"), '{"text":"é","when":null}'),
        ([Note(text="a")], '[{"text":"a","when":null}]'),
        ({"a": Note(text="b")}, '{"a":{"text":"b","when":null}}'),
        (Data(1, 2), '{"b":1,"a":2}'),
        ([Size.big], '["b"]'),
        (10**30, "1" + "0" * 30),
    ],
)
def test_values_as_text(value: Any, text: str) -> None:
    assert as_text(value) == text


def test_lookups() -> None:
    value = {"a": [Note(text="x"), {"_b": 1}]}
    assert (
        lookup(value, ("a", 0, "text")) == "x" and lookup(value, ("a", -1, "_b")) == 1 and lookup("abc", (1,)) == "b" and lookup(value, ()) is value
    )
    for path in [("b",), ("a", 5), ("a", "x"), ("a", 0, "none"), ("a", 0, "__class__"), ("a", 0, 0)]:
        with pytest.raises(LookupError):
            lookup(value, path)
