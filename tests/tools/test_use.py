"""What a model is shown of a library, and what it gets back for its calls."""

from __future__ import annotations

import json

import pytest

from rookery import tool
from rookery.errors import ToolFailed, ToolUnknown
from rookery.models.model import ToolCall
from rookery.tools.approval import gated
from rookery.tools.library import ToolLibrary
from rookery.tools.use import Calls, choose, tokens_at_most


@tool
def word_count(text: str) -> int:
    """How many words a text has."""
    return len(text.split())


@tool
def reverse_words(text: str) -> str:
    """The words of a text in reverse order."""
    if not text:
        raise ValueError("nothing to reverse")
    return " ".join(text.split()[::-1])


@tool(effect=True)
async def send(to: str) -> None:
    """Send a letter to a person."""


@pytest.fixture
def library() -> ToolLibrary:
    made = ToolLibrary(word_count, reverse_words, send)
    made.add("def longest(words: list[str]) -> str:\n    '''The longest of some words.'''\n    return max(words, key=len)\n")
    return made


async def test_tools_stand_in_the_order_of_admission_whatever_the_question(library: ToolLibrary) -> None:
    one = await choose(library, "the words in reverse order, then count them", k=3)
    other = await choose(library, "count words, then reverse their order", k=3)
    assert one.names == tuple(sorted(one.names, key=lambda name: library.show(name).number)) and set(one.names) & set(other.names)
    assert [each.name for each in one.offers] == list(one.names)
    assert one.offers[0].arguments["properties"]["text"]["type"] == "string"


async def test_the_budget_holds(library: ToolLibrary) -> None:
    choice = await choose(library, "words of a text", k=4, max_tokens=60, form="code")
    assert choice.tokens <= 60 and choice.left_out and tokens_at_most(choice.code) <= 60 + len(choice.names)
    assert (await choose(library, "words", max_tokens=0)).names == ()


async def test_code_and_signatures(library: ToolLibrary) -> None:
    choice = await choose(library, "x", k=0, always=["longest", "word_count"], form="code")
    assert choice.names == ("word_count", "longest")
    assert "return max(words, key=len)" in choice.code
    assert choice.signatures.splitlines()[0] == "word_count(text: str) -> int  # How many words a text has."
    with pytest.raises(ToolUnknown):
        await choose(library, "x", always=["nothing"])


def call(name: str, **arguments: object) -> ToolCall:
    return ToolCall("1", name, json.dumps(arguments))


async def test_calls_are_answered(library: ToolLibrary) -> None:
    calls = Calls(library)
    reply = await calls.answer(call("word_count", text="a b c"))
    assert (reply.role, reply.text, reply.tool_call_id) == ("tool", "3", "1")
    assert calls.used == ["word_count"] and library.show("word_count").use.calls == 1


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (call("word_cuont", text="a"), "word_count"), (call("word_count"), "$.text: it is missing"), (call("word_count", text=3), "$.text"),
        (call("word_count", text="a", more=1), "no such parameter"), (ToolCall("1", "word_count", "{"), "not JSON"),
        (ToolCall("1", "word_count", "[1]"), "one JSON object"), (ToolCall("1", "../etc", "{}"), "no tool"),
    ],
)  # fmt: skip
async def test_faults_go_back_to_the_model(library: ToolLibrary, made: ToolCall, said: str) -> None:
    calls = Calls(library)
    assert said in (await calls.answer(made)).text and len(calls.faults) == 1 and not calls.used


async def test_faults_are_bounded(library: ToolLibrary) -> None:
    calls = Calls(library, max_faults=2)
    for _ in range(2):
        await calls.answer(call("nothing"))
    with pytest.raises(ToolFailed, match="3 calls"):
        await calls.answer(call("nothing"))


async def test_only_what_was_offered_can_be_called(library: ToolLibrary) -> None:
    assert "no tool 'send' was offered" in (await Calls(library, ["word_count"]).answer(call("send", to="x"))).text


async def test_effects_stand_behind_their_gate(library: ToolLibrary) -> None:
    assert "failed" in (await Calls(library, wrap=gated).answer(call("send", to="x"))).text


async def test_a_tool_that_fails_says_so(library: ToolLibrary) -> None:
    reply = await Calls(library).answer(call("reverse_words", text=""))
    assert reply.text == "reverse_words failed: ValueError: nothing to reverse"
    assert library.show("reverse_words").use.recent == "-"
