"""A model's text becomes a typed value or is refused with the reasons; whatever the text, in linear time."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rookery.decoding.parse import form_of, instructions, parse, repair_text
from rookery.errors import InputError, ParseFailed


class Colour(enum.Enum):
    RED = "red"
    NAVY = "navy blue"


class Level(enum.Enum):
    LOW = 1
    PAIR = (1, 2)


class Section(BaseModel):
    title: str
    n: int = 0


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    when: datetime.date
    raw: bytes = b""
    name: str = Field(default="", alias="theName")


Judgement = Literal["sure", "likely", "impossible"]
Letter = Literal["A", "B"]
Swapped = Annotated[list[str], BeforeValidator(lambda text: text.split(";") if isinstance(text, str) else text)]


@pytest.mark.parametrize(
    ("type_", "form"),
    [
        (str, "text"),
        (int, "text"),
        (float | None, "text"),
        (Judgement, "text"),
        (Colour, "text"),
        (bool, "text"),
        (datetime.date, "text"),
        (Annotated[str, Field(max_length=3)], "text"),
        (int | str, "text"),
        (Any, "text"),
        (list[str], "json"),
        (Section, "json"),
        (dict[str, int], "json"),
        (Section | None, "json"),
        (list[int] | int, "json"),
        (bytes, "json"),
    ],
)
def test_the_form_follows_the_type(type_: Any, form: str) -> None:
    assert form_of(type_) == form


def test_a_form_given_by_hand_wins_and_must_make_sense() -> None:
    assert form_of(list[str], "lines") == "lines"
    assert form_of(str, "json") == "json"
    for type_, form in [(str, "lines"), (Section, "lines"), (str, "xml")]:
        with pytest.raises(InputError) as error:
            form_of(type_, form)
        assert error.value.hint


GOOD: list[tuple[Any, str, Any]] = [
    # text
    (str, "  Paris\n", "Paris"),
    (str | None, "none", None),
    (str | None, "None of them", "None of them"),
    (Any, " x ", "x"),
    (Annotated[str, Field(max_length=3)], "abc", "abc"),
    # numbers
    (int, "42", 42),
    (int, " 42.\n", 42),
    (int, "−7", -7),
    (int, "The answer is **1,234**.", 1234),
    (int, "1\u202f234\u202f567", 1234567),
    (int, "x = -5", -5),
    (int, "```\n42\n```", 42),
    (int, "7\n\nbecause seven it is, so", 7),
    (int, "First 3+4 = 7.\nThen 7*2 = 14\nAnswer: 14", 14),
    (int, "(42)", 42),
    (int, "12.0", 12),
    (float, "1e-3", 0.001),
    (float, "= 42.5", 42.5),
    (float, "-inf", -float("inf")),
    (decimal.Decimal, "1.50", decimal.Decimal("1.50")),
    (int | None, "null", None),
    (int | None, "5", 5),
    (int | str, "5", 5),
    (int | str, "The answer is 5", "The answer is 5"),
    # yes and no
    (bool, "Yes", True),
    (bool, "false.", False),
    (bool, "No, because yes would be wrong.", False),
    (bool, "Thinking of it, maybe yes, maybe no.\n\n**Yes**", True),
    (bool | int, "true", True),
    # options
    (Judgement, "Sure", "sure"),
    (Judgement, '"likely".', "likely"),
    (Judgement, "It may be likely or impossible.\nlikely", "likely"),
    (Judgement, "**Answer:** sure", "sure"),
    (Judgement, "Sure, since it's not impossible", "sure"),
    (Judgement, "I am sure of it", "sure"),
    (Judgement, "It is not impossible but likely", "likely"),
    (Judgement | None, "none", None),
    (Letter, "It is a cat, so B", "B"),
    (Letter, "Option B", "B"),
    (Letter, "b", "B"),
    (Literal[3, 4], "3", 3),
    (Literal[3, 4], "I choose 4", 4),
    (Literal[True, None], "yes", True),
    (Colour, "Navy Blue", Colour.NAVY),
    (Colour, "RED", Colour.RED),
    (Level, "PAIR", Level.PAIR),
    (Level, "1", Level.LOW),
    # dates
    (datetime.date, "2024-02-29", datetime.date(2024, 2, 29)),
    (datetime.date, "Answer: 2024-02-29.", datetime.date(2024, 2, 29)),
    (datetime.datetime, "2024-02-29T12:00:00", datetime.datetime(2024, 2, 29, 12)),
    # JSON
    (Section, '{"title":"a"}', Section(title="a")),
    (Section, 'Sure {here}!\n```json\n{"title":"a","n":1,}\n``` hope [that] helps', Section(title="a", n=1)),
    (Section, '{"title":"a\nb"}', Section(title="a\nb")),
    (Section, '{"answer":{"title":"a"}}', Section(title="a")),
    (Section, '{"title":"x, ]"} trailing', Section(title="x, ]")),
    (Section, '{"no":1} or {"title":"```"}', Section(title="```")),
    (Section, '{"title":"half \\ud83d"}', Section(title="half ?")),
    (Section | None, "null", None),
    (list[str], '["a","b",]', ["a", "b"]),
    (list[str], '{"items":["a"]}', ["a"]),
    (list[str], 'see [1]: ["a"]', ["a"]),
    (list[int], "[]", []),
    (tuple[int, ...], "[1, 2]", (1, 2)),
    (set[int], "[1, 2]", {1, 2}),
    (list[int] | int, '{"value": 3}', 3),
    (list[float], "[1, 2.5, -Infinity]", [1.0, 2.5, -float("inf")]),
    (dict[str, list[int]], '{"a":[1]}', {"a": [1]}),
    (Strict, '{"when":"2024-01-01","raw":"_w==","theName":"n"}', Strict(when=datetime.date(2024, 1, 1), raw=b"\xff", theName="n")),
]


@pytest.mark.parametrize(("type_", "text", "value"), GOOD)
def test_what_a_text_stands_for(type_: Any, text: str, value: Any) -> None:
    found = parse(text, type_)
    assert found == value
    assert type(found) is type(value)


BAD: list[tuple[Any, str, str]] = [
    (int, "42 km", "not a number alone"),
    (float, "42%", "not a number alone"),
    (int, "$42", "not a number alone"),
    (int, "There are 42 apples", "not a number alone"),
    (int, "10-12", "not a number alone"),
    (int, "1,5", "not a number alone"),
    (int, "12.5", "valid integer"),
    (int, "forty", "no number"),
    (int, "", "no number"),
    (int, "42\n(the square of 6 is 36)", "different numbers"),
    (Annotated[int, Field(gt=5)], "3", "greater than 5"),
    (bool, "it isn't true", "none of"),
    (bool, "No doubt that it's true", "several"),
    (Judgement, "sure or likely", "several"),
    (Judgement, "sure\nlikely", "several"),
    (Judgement, "not sure", "none of"),
    (Judgement, "unlikely", "none of"),
    (Judgement, "", "empty"),
    (Literal[3, 4], "3.5", "none of"),
    (Literal[3, 4], "-3", "none of"),
    (Letter, "a cat", "none of"),
    (datetime.date, "20240501", "no date"),
    (datetime.date, "soon", "valid date"),
    (Section, "I can't", "no JSON"),
    (Section, '{"n":"x"}', r"\$\.title"),
    (Section, '{"title":"a', "EOF"),
    (list[int], '[1, "x", "y"]', r"\$\[2\]"),
    (list[int], "", "no JSON"),
    (list[str], '{"a":["x"],"b":["y"]}', "valid array"),
    (Annotated[list[int], Field(max_length=1)], "[1,2]", "at most 1"),
    (Annotated[str, Field(max_length=3)], "abcd", "at most 3"),
    (Strict, '{"when":"2024-01-01","other":1}', r"\$\.other"),
]


@pytest.mark.parametrize(("type_", "text", "reason"), BAD)
def test_what_is_refused(type_: Any, text: str, reason: str) -> None:
    with pytest.raises(ParseFailed, match=reason) as error:
        parse(text, type_)
    assert error.value.text == text
    assert error.value.faults
    assert all(path.startswith("$") and message for path, message in error.value.faults)


def test_all_faults_at_once() -> None:
    with pytest.raises(ParseFailed) as error:
        parse('Here: [{"title":1},{"n":"x"}]', list[Section])
    assert [path for path, _ in error.value.faults] == ["$[0].title", "$[1].title", "$[1].n"]
    with pytest.raises(ParseFailed) as error:
        parse("1\nx\n3 km", list[int], "lines")
    assert [path for path, _ in error.value.faults] == ["$[1]", "$[2]"]


def test_lines() -> None:
    text = "Here are some titles:\r\n\r\n1. A\r\n2) B\n- C\n* D\n\n(5) E\n6 - 2 = 4 (left: 4)\n-5 degrees\n10.5 is it:\n"
    wanted = ["A", "B", "C", "D", "E", "6 - 2 = 4 (left: 4)", "-5 degrees", "10.5 is it:"]
    assert parse(text, list[str], "lines") == wanted
    assert parse(text, tuple[str, ...], "lines") == tuple(wanted)
    assert parse(text, Sequence[str], "lines") == wanted
    assert parse("Titles:\nx", list[str], "lines") == ["Titles:", "x"]
    assert parse("- 1\n- -2\n", list[int], "lines") == [1, -2]
    assert parse('```\n{"title":"a"}\n\n{"title":"b","n":2}\n```', list[Section], "lines") == [Section(title="a"), Section(title="b", n=2)]
    assert parse("", list[str], "lines") == []
    with pytest.raises(ParseFailed, match="at least 1"):
        parse("\n", Annotated[list[str], Field(min_length=1)], "lines")


def test_with_form_text_the_types_own_validators_read_the_text() -> None:
    assert parse(" a;b\n", Swapped, "text") == [" a", "b\n"]
    assert parse('"a"', str, "json") == "a"


def test_instructions() -> None:
    assert instructions(str, "text") == ""
    assert instructions(Judgement, "text") == "Answer with one of: sure, likely, impossible."
    assert instructions(Colour | None, "text") == 'Answer with one of: red, navy blue, or "none".'
    assert instructions(bool, "text") == "Answer yes or no."
    assert instructions(int, "text") == "Answer with a number only."
    assert instructions(datetime.date, "text") == "Answer with a date only as YYYY-MM-DD."
    assert instructions(list[str], "lines") == "One per line, nothing else."
    assert instructions(list[int], "lines") == "One per line, nothing else. Each line: a number only."
    asked = instructions(list[Section], "json")
    assert asked.startswith("Answer with JSON only, of this JSON Schema:\n")
    wanted = json.loads(asked.partition("\n")[2])
    assert wanted["$defs"]["Section"]["properties"] == {"title": {"type": "string"}, "n": {"type": "integer", "default": 0}}
    assert instructions(list[Section], "json", explicit=True) == ""


def test_a_repair_names_every_place_and_stays_short() -> None:
    with pytest.raises(ParseFailed) as error:
        parse('[{"title":1},{"n":"x"}]', list[Section])
    asked = repair_text(error.value, list[Section])
    for path, message in error.value.faults:
        assert f"- {path}: {message}" in asked
    assert "JSON" in asked
    with pytest.raises(ParseFailed) as error:
        parse(json.dumps([{"title": 1}] * 1000), list[Section])
    long = repair_text(error.value, list[Section])
    assert len(long) <= 1500
    assert "more" in long
    with pytest.raises(ParseFailed) as error:
        parse("maybe", Judgement)
    assert "one of: sure, likely, impossible" in repair_text(error.value, Judgement)
    assert "One per line" in repair_text(error.value, list[str], "lines")
    assert len(repair_text(ParseFailed("x" * 9000), Section)) <= 1500


SIZE = 1_000_000
HOSTILE = {
    "opening": "[",
    "objects": '{"a":',
    "quotes": '"',
    "escapes": '\\"',
    "brackets and quotes": '[ "',
    "fences": "``` ",
    "prose": "lorem ipsum [ ",
    "commas": ",   ",
    "numbers": "1,",
    "pairs": "[]",
    "digits": "1",
    "spaces": " ",
    "lines": "\n",
    "options": "sure likely ",
    "negations": "not ",
    "leads": "the answer is ",
    "surrogates": "\ud800",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.timeout(30)
def test_a_megabyte_of_anything_is_read_or_refused_in_time(piece: str) -> None:
    for head in ("", '["'):
        text = head + piece * (SIZE // len(piece))
        for type_, form in [(list[int], "json"), (list[int], "lines"), (Section, "json"), (int, "text"), (Judgement, "text"), (bool | None, "text")]:
            try:
                parse(text, type_, form)
            except ParseFailed as error:
                assert len(str(error)) < 10_000


def test_deep_and_huge_answers_are_refused() -> None:
    for text in ("[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000, "x" * 16_000_001):
        with pytest.raises(ParseFailed):
            parse(text, dict[str, int])


SCALARS = st.sampled_from(
    [
        (int, st.integers(-(10**12), 10**12)),
        (float, st.floats(allow_nan=False, allow_infinity=False)),
        (bool, st.booleans()),
        (Judgement, st.sampled_from(["sure", "likely"])),
    ]
)


@settings(max_examples=200, deadline=None)
@given(SCALARS, st.data(), st.sampled_from(["{}", " {}\n", "**{}**", "Answer: {}", "Let me think.\nThe answer is {}.", "```\n{}\n```", '"{}"']))
def test_a_scalar_is_found_in_whatever_stands_around_it(kind: Any, data: st.DataObject, around: str) -> None:
    value = data.draw(kind[1])
    text = "yes" if value is True else "no" if value is False else str(value)
    assert parse(around.format(text), kind[0]) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=5), JSON, min_size=2, max_size=4) | st.lists(JSON), st.sampled_from([None, 2]), st.booleans())
def test_json_is_found_in_prose_and_fences(value: Any, indent: int | None, is_ascii: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=is_ascii)
    type_ = type(value)
    for around in ("%s", "Sure! Here it is:\n```json\n%s\n```\nAnything else?", "The value:\n%s.", "```\n%s\n```"):
        assert parse(around % text, type_) == value


@settings(max_examples=200, deadline=None)
@given(
    st.text(alphabet='[]{},:"\\ \n`1ae-.', max_size=60),
    st.sampled_from([list[int], Section, int, Judgement, bool, Any, dict[str, Any], datetime.date, int | None]),
)
def test_parse_gives_a_value_or_its_own_error(text: str, type_: Any) -> None:
    for form in ("auto", "json", "text"):
        try:
            parse(text, type_, form)
        except ParseFailed as error:
            assert repair_text(error, type_)
