"""Moves: what a model writes is read, or refused with its faults, whatever it is; and what is asked for is what is read."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from rookery.agents.move import Move, Use, answer_offer, move_schema, read_move, rules
from rookery.agents.turn import _written
from rookery.errors import ParseFailed
from rookery.models.model import ToolCall, ToolOffer

JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda part: st.lists(part, max_size=3) | st.dictionaries(
    st.sampled_from(["calls", "answer", "tool", "arguments", "thought", "name", "x"]), part, max_size=4), max_leaves=12)  # fmt: skip


class Place(BaseModel):
    name: str
    kind: Literal["nest", "wood"] = "nest"


class Route(BaseModel):
    places: list[Place]


@given(st.text(max_size=200) | JSON.map(json.dumps), st.sampled_from([str, int, Route, list[str]]))
def test_whatever_is_written_is_a_move_or_a_fault(text: str, returns: Any) -> None:
    try:
        move = read_move(text, (), returns)
    except ParseFailed as error:
        assert error.faults
    else:
        assert bool(move.uses) != (move.answer is not None)


@given(st.lists(st.tuples(st.text(min_size=1, max_size=8), st.dictionaries(st.text(max_size=5), JSON, max_size=3)), min_size=1, max_size=4))
def test_uses_come_back_as_they_were_written(calls: list[tuple[str, dict[str, Any]]]) -> None:
    move = Move(tuple(Use(name, json.dumps(arguments)) for name, arguments in calls), None, "why")
    found = read_move(f"So:\n```json\n{_written(move)}\n```", (), str)
    assert [(use.tool, json.loads(use.arguments)) for use in found.uses] == [(name, arguments) for name, arguments in calls]
    assert found.thought == "why"


@given(JSON)
def test_answers_come_back_as_they_were_written(value: Any) -> None:
    text = _written(Move((), json.dumps(value)))
    assert json.loads(read_move(text, (), Any).answer or "") == value


@pytest.mark.parametrize(("text", "returns", "answer"), [
    ('{"answer": "a"}', str, '"a"'),
    ('{"answer": 3}', str, '"3"'),
    ("It is three.", str, '"It is three."'),
    ("3", int, "3"),
    ("The answer is 3", int, "3"),
    ('{"answer": "3"}', int, "3"),
    ('{"places": []}', Route, '{"places":[]}'),
    ('["a"]', list[str], '["a"]'),
    ('{"calls": [], "answer": true}', bool, "true"),
])  # fmt: skip
def test_answers_in_many_forms(text: str, returns: Any, answer: str) -> None:
    assert read_move(text, (), returns).answer == answer


@pytest.mark.parametrize(("text", "fault"), [
    ("", "there is no move in the reply"),
    ('{"calls": []}', 'there are neither "calls" nor an "answer"'),
    ('{"calls": [{"arguments": {}}]}', '$.calls[0]: a call is {"tool": "NAME", "arguments": {}}'),
    ('{"calls": 3}', "it is a list of at most 32 calls"),
    (json.dumps({"calls": [{"tool": "f"}] * 33}), "it is a list of at most 32 calls"),
    ('{"tool', "there is no move in the reply"),
    ('{"answer": {"places": [{"kind": "sea"}]}}', "$.answer.places[0].kind"),
])  # fmt: skip
def test_what_is_no_move_is_told_with_its_place(text: str, fault: str) -> None:
    with pytest.raises(ParseFailed) as caught:
        read_move(text, (), Route if "places" in text else str)
    assert fault in str(caught.value)


def test_native_calls() -> None:
    calls = (ToolCall("1", "f", '{"x": 1}'), ToolCall("2", "answer", '{"value": 3}'))
    assert read_move("hm", calls, int) == Move((Use("f", '{"x": 1}', "1"),), None, "hm")  # an answer that knows no result yet is none
    assert read_move("", calls[1:], int) == Move((), "3")
    assert read_move("", (ToolCall("2", "answer", '{"places": []}'),), Route).answer == '{"places":[]}'
    with pytest.raises(ParseFailed, match="no JSON object"):
        read_move("", (ToolCall("2", "answer", "three"),), int)
    with pytest.raises(ParseFailed, match=r"\$\.answer"):
        read_move("", (ToolCall("2", "answer", '{"value": "x"}'),), int)


def test_schemas_keep_definitions_of_one_name_apart() -> None:
    offers = [ToolOffer("f", "F.", {"type": "object", "properties": {"p": {"$ref": "#/$defs/Place"}}, "$defs": {"Place": {"type": "string"}}})]
    whole = move_schema(offers, Route)
    assert set(whole["$defs"]) == {"f_Place", "answer_Place"}
    assert whole["anyOf"][0]["properties"]["calls"]["items"]["anyOf"][0]["properties"]["arguments"]["properties"]["p"] == {"$ref": "#/$defs/f_Place"}
    assert answer_offer(Route).arguments["$defs"].keys() == {"value_Place"}
    assert '"arguments": {}' not in rules((), Route) and "$defs" in rules((), Route)
