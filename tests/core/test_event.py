"""Events on the wire: what is written comes back, and what is damaged or newer is told apart."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.core import event as ev
from rookery.core.event import KINDS, Confidence, Event, Fault, from_wire, to_wire
from rookery.core.report import Report
from rookery.core.spend import Spend
from rookery.errors import LogCorrupt, LogTooNew

texts = st.text(max_size=8)
labels = st.frozensets(st.sampled_from(["secret", "untrusted"]))
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    "str": texts,
    "int": st.integers(0, 99),
    "float": st.floats(0, 1e9).map(lambda value: round(value, 3)),
    "bool": st.booleans(),
    "Labels": labels,
    "Fault": st.builds(Fault, texts, texts, texts, st.booleans()),
    "Spend": st.builds(Spend, *[st.integers(0, 9)] * 3, st.none() | st.floats(0, 9), st.integers(0, 9)),
    "dict[str, str]": st.dictionaries(texts, texts, max_size=2),
    "dict[str, list[str]]": st.dictionaries(texts, st.lists(texts, max_size=2), max_size=2),
    "dict[str, Any]": st.dictionaries(texts, st.none() | st.integers() | texts, max_size=2),
    "Confidence | None": st.none() | st.builds(Confidence, st.floats(-9, 0), st.integers(0, 9), st.floats(0, 9)),
    "Report | None": st.none() | st.builds(
        Report, *[st.integers(0, 9)] * 9, *[st.floats(0, 9).map(lambda value: round(value, 6))] * 2, st.lists(texts, max_size=2).map(tuple), texts
    ),
    "list[list[Any]]": st.lists(
        st.tuples(st.integers(0, 9), st.integers(-1, 9), texts, st.none() | st.floats(-9, 9), texts).map(list), max_size=3
    ),
    "Any": st.none(),
}


def events_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    required = {f.name: VALUES[f.type] for f in fields(kind) if f.name != "held"}
    return st.fixed_dictionaries(required).map(lambda values: kind(**values))


events = st.one_of([events_of(kind) for kind in KINDS])


@given(events)
def test_every_event_comes_back_as_it_was(event: Event) -> None:
    line = to_wire(event)
    assert "\n" not in line and json.loads(line)[0] == event.code
    assert from_wire(line) == event and from_wire(line.encode()) == event
    assert to_wire(from_wire(line)) == line


def test_codes_are_single_and_all_kinds_have_one() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS) == len([kind for kind in Event.__subclasses__() if kind.code])


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (ev.CallStarted(1.0, "a"), '["S",1.000,"a"]'),
        (ev.CallStarted(1.0, "a", 2, "m"), '["S",1.000,"a",2,"m"]'),
        (ev.CallFinished(1.5, "a", "=1"), '["F",1.500,"a","=1"]'),
        (ev.CallFinished(1.5, "a", "=1", level="validate"), '["F",1.500,"a","=1",[],[0,0,0,null,0],"",false,"validate"]'),
        (ev.CallFinished(1.5, "a", "=1", frozenset({"b", "a"})), '["F",1.500,"a","=1",["a","b"]]'),
        (ev.CallFinished(1.5, "a", "=1", held=object()), '["F",1.500,"a","=1"]'),
        (ev.RunPaused(0.0), '["P",0.000]'),
        (ev.CallFailed(0.0, "a", Fault("X", "é")), '["X",0.000,"a",["X","é","",false]]'),
    ],
)
def test_bytes_are_stable(event: Event, line: str) -> None:
    assert to_wire(event) == line


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "1",
        "null",
        '"ab"',
        '{"S":1,"a":2}',
        "[]",
        '["S"]',
        '["S",null,"a"]',
        '["S",true,"a"]',
        '[["S"],1,"a"]',
        '["S",1]',
        '["S",1,5]',
        '["S",1,"a","b"]',
        '["S",1,"a",true]',
        '["F",1,"a"]',
        '["F",1,"a",null]',
        '["F",1,"a","=1","secret"]',
        '["F",1,"a","=1",[1]]',
        '["X",1,"a","abcd"]',
        '["X",1,"a",["k","m"]]',
        '["X",1,"a",["k","m","",1]]',
        '["F",1,"a","=1",[],[1,2]]',
        '["R",1,"r","p","g",[]]',
        '["R",1,"r","p","g",{"a":1}]',
        '["R",1,"r","p","g",{},{"a":"x"}]',
        '["V",1,"a"]',
        b"\xff\xfe",
        "[" * 100_000,
    ],
)
def test_damage_is_told(line: Any) -> None:
    with pytest.raises(LogCorrupt):
        from_wire(line)


@given(events, st.data())
def test_no_damage_gets_through_as_another_error(event: Event, data: Any) -> None:
    line = to_wire(event)
    start = data.draw(st.integers(0, len(line)))
    damaged = line[:start] + data.draw(st.text(max_size=2)) + line[start + data.draw(st.integers(0, 4)) :]
    with suppress(LogCorrupt, LogTooNew):
        from_wire(damaged)


def test_what_a_newer_version_wrote_is_told() -> None:
    with pytest.raises(LogTooNew, match="'q'"):
        from_wire('["q",1.0]')
    with pytest.raises(LogTooNew, match="fields"):
        from_wire('["P",1.0,"me","more"]')


def test_half_characters_can_be_written() -> None:
    event = ev.CallFailed(0.0, "a", Fault("X", "\ud800"))
    assert from_wire(to_wire(event).encode()) == event


def test_spending_adds_up() -> None:
    spend = Spend(1, 2, 1, None, 1) + Spend(1, 1, 0, 0.5, 1)
    assert spend == Spend(2, 3, 1, 0.5, 2) and spend.tokens == 5
    assert (Spend() + Spend()).cost_usd is None
