"""Elements come out of the stream as soon as they are complete, and are those that the whole text gives."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel

from rookery.core.canonical import same
from rookery.decoding.elements import Elements
from rookery.decoding.parse import parse


class Section(BaseModel):
    title: str
    tags: list[str] = []


STRINGS = st.text(alphabet='ab"\\[]{},: \n`é🐦', max_size=8)
SECTIONS = st.builds(Section, title=STRINGS, tags=st.lists(STRINGS, max_size=2))
TYPED: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, STRINGS),
    (int, st.integers(-(10**9), 10**9)),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (Section, SECTIONS),
    (list[int], st.lists(st.integers(), max_size=3)),
    (bool | None, st.booleans() | st.none()),
    (int | str, st.integers() | STRINGS),
    (Any, st.recursive(st.none() | st.integers() | STRINGS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(STRINGS, inner, max_size=2))),
]
PREFIXES = st.sampled_from(["", "\n ", "```json\n", "Sure! Here is the list:\n\n", "Look:\n```\n"])
SUFFIXES = st.sampled_from(["", "\n", "\n```", "\nThat [is] it {all}.", "\n```\n"])


def plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else value


@st.composite
def answers(draw: st.DrawFn) -> tuple[Any, list[Any], str, list[int]]:
    """A list type, its elements, a text that holds them as JSON, and where in it each element ends."""
    of, values = draw(st.sampled_from(TYPED))
    elements = draw(st.lists(values, max_size=5))
    indent, is_ascii = draw(st.sampled_from([None, 2])), draw(st.booleans())
    separator = draw(st.sampled_from([",", ", ", " ,\n  "]))
    wrapped = draw(st.booleans())
    text = draw(PREFIXES) + ('{ "items" : [' if wrapped else "[")
    ends = []
    for number, element in enumerate(elements):
        text += (separator if number else draw(st.sampled_from(["", "\n  "]))) + json.dumps(plain(element), indent=indent, ensure_ascii=is_ascii)
        ends.append(len(text))
    text += draw(st.sampled_from(["", "\n"])) + ("]}" if wrapped else "]") + draw(SUFFIXES)
    return list[of], elements, text, ends


def fed(type_: Any, form: str, pieces: list[str]) -> tuple[list[Any], list[Any]]:
    reader = Elements(type_, form)
    streamed = [element for piece in pieces for element in reader.feed(piece)]
    assert reader.count == len(streamed)
    closing = reader.close()
    assert reader.count == len(streamed) + len(closing)
    return streamed, closing


def cut(data: st.DataObject, text: str) -> list[str]:
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


@settings(max_examples=300, deadline=None)
@given(answers(), st.data())
def test_the_elements_are_those_of_the_whole_text_however_it_is_cut(answer: Any, data: st.DataObject) -> None:
    type_, elements, text, _ = answer
    streamed, closing = fed(type_, "json", cut(data, text))
    assert same(streamed + closing, parse(text, type_))
    assert same(streamed + closing, elements)
    assert not closing  # all of them were streamed


@settings(max_examples=150, deadline=None)
@given(answers())
def test_an_element_comes_when_it_is_complete_and_not_before(answer: Any) -> None:
    type_, elements, text, ends = answer
    reader = Elements(type_)
    came: list[int] = []
    for at, sign in enumerate(text, start=1):
        came += [at] * len(reader.feed(sign))
    assert len(came) == len(elements)
    for at, end, element in zip(came, ends, elements, strict=True):
        is_open = not isinstance(plain(element), str | list | dict)
        assert at == end + is_open  # a number may go on until something else follows


LINE = st.text(alphabet="ab1-.) :é", min_size=1, max_size=10)


@settings(max_examples=300, deadline=None)
@given(st.lists(LINE | st.sampled_from(["", "- a", "1. b", "```", "Here it is:", "c\r"]), max_size=6), st.booleans(), st.data())
def test_lines_are_those_of_the_whole_text_however_it_is_cut(lines: list[str], ends: bool, data: st.DataObject) -> None:
    text = "\n".join(lines) + ("\n" if ends else "")
    streamed, closing = fed(list[str], "lines", cut(data, text))
    assert streamed + closing == parse(text, list[str], "lines")
    assert len(closing) <= (not ends)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='[]{},:"\\ \n`1ae-', max_size=40), st.data())
def test_nothing_makes_it_raise(text: str, data: st.DataObject) -> None:
    for type_, form in [(list[int], "json"), (list[str], "lines"), (list[Section], "json"), (str, "text"), (list[Any], "auto")]:
        fed(type_, form, cut(data, text))


def test_the_first_broken_element_ends_the_stream() -> None:
    reader = Elements(list[int])
    assert reader.feed('[1, 2, "x", 3, 4]') == [1, 2]
    assert reader.feed("[5]") == []
    assert reader.close() == []
    assert reader.count == 2
    assert fed(list[int], "lines", ["1\n2\nx\n3\n"]) == ([1, 2], [])
    assert fed(list[int], "auto", ['[1, {"value": 2}, 3]']) == ([1], [])


def test_small_faults_of_writing_are_overlooked_as_in_parse() -> None:
    assert fed(list[Section], "auto", ['[{"title": "a\nb", "tags": ["x",],}, ', '{"title": "c"},]']) == (
        [Section(title="a\nb", tags=["x"]), Section(title="c")],
        [],
    )


def test_what_could_not_be_streamed_comes_at_the_end() -> None:
    assert fed(list[str], "auto", ["As [someone] said:\n", '["a", "b"]']) == ([], ["a", "b"])
    assert fed(list[int], "auto", ['{"a": {"b": 1}} ', "[1, 2]"]) == ([], [1, 2])
    split = Annotated[list[str], AfterValidator(lambda items: items[::-1])]
    assert fed(split, "auto", ['["a", "a"]']) == (["a", "a"], [])
    assert fed(split, "auto", ['["a", "b"]']) == (["a", "b"], [])  # the whole is another list: nothing more is given out
    assert fed(list[str], "lines", ["a\nb"]) == (["a"], ["b"])


def test_types_without_elements_give_none() -> None:
    for type_, text in [(str, "a"), (Section, '{"title":"a"}'), (dict[str, int], '{"a":1}'), (Literal["a"], "a"), (tuple[int, int], "[1,2]")]:
        assert fed(type_, "auto", [text]) == ([], [])


@pytest.mark.timeout(30)
@pytest.mark.parametrize("piece", ["[", "1,", '"', '\\"', '{"a":', "x [ ", "[],", " ", "\n"])
def test_a_megabyte_takes_linear_time(piece: str) -> None:
    for head in ("", '["', "["):
        text = head + piece * (500_000 // len(piece))
        for form in ("json", "lines"):
            fed(list[int], form, [text[at : at + 500] for at in range(0, len(text), 500)])
