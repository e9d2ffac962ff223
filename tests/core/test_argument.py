"""What calls were called with, told from logs alone: of graphs, graphs within graphs, maps, loops, and calls that code makes."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest

from rookery import Label, MemoryLog, graph, loop, prompt, start, tool
from rookery.core.argument import UNKNOWN, Reader, plain_source
from rookery.core.graph import Const, Many, Ref
from rookery.core.view import View, fold
from rookery.testing import ScriptedModel
from tests.programs import article, writer


@prompt(system="You write {tone}.")
def title(topic: str, tone: str) -> str:
    """A title for {topic}."""


@tool(inline=True)
def longer(text: str) -> str:
    return text + "!"


@tool(inline=True)
def is_long(text: str) -> bool:
    return len(text) > 12


@tool
async def agent(topic: str) -> str:
    first = await title(topic=topic, tone="drily")
    return await title(topic=first, tone="at length " * 20)


@tool
async def keyed_agent(topic: str, key: Annotated[str, Label("secret")]) -> str:
    return await longer(text=topic + key)


@graph
def outer(topic: str) -> str:
    return agent(topic=loop(longer, times=9, until=is_long, text=article(topic=topic)))


async def read(program: Any, **inputs: Any) -> Reader:
    log = MemoryLog()
    model = ScriptedModel(lambda request: writer(request) if "title for" not in request.text else "A Title")
    async with start(program, inputs=inputs, model=model, log=log, id="r") as run:
        await run
    view = View()
    for event in log.read("r"):
        view = fold(view, event)
    return Reader(view, log.get)


async def test_a_map_in_a_graph_in_a_graph() -> None:
    reader = await read(outer, topic="rooks")
    found = {argument.name: argument for argument in reader.arguments("article/section[1]")}
    assert found["title"].value == "calls" and found["title"].variables == ("article/titles[1]",)
    assert found["topic"].value == "rooks" and found["topic"].variables == ("inputs.topic",)
    (role, pieces), = reader.prompt("article/section[1]")
    assert role == "user" and "".join(piece.text for piece in pieces) == "Write the section calls of an article about rooks."
    assert [piece.hole for piece in pieces if piece.hole] == ["title", "topic"]
    assert reader.type("article/section[1]") == "Section" and reader.type("article/section") == "list[Section]"


async def test_ways_along_a_variable() -> None:
    reader = await read(outer, topic="rooks")
    assert reader.consumers("article/titles") == ["article/section[0]", "article/section[1]", "article/section[2]"]
    assert reader.consumers("article/section[2]") == ["article/join"] and "agent" in reader.consumers("longer")
    assert reader.producer("article/titles[1]") == "article/titles" and reader.producer("inputs.topic") == ""
    assert any(path.startswith("longer") for path in reader.consumers("article/join"))  # it is what the inner graph gives
    assert len(reader.value("article/section")) == 3 and reader.value("article") == reader.value("article/join")


async def test_calls_that_code_makes() -> None:
    reader = await read(outer, topic="rooks")
    found = {argument.name: argument.value for argument in reader.arguments("agent/title~2")}
    assert found == {"topic": "A Title", "tone": "at length " * 20}
    (system, told), (user, asked) = reader.prompt("agent/title~2")
    assert (system, user) == ("system", "user") and told[1].text.startswith("at length") and asked[1].text == "A Title"


async def test_what_code_with_a_secret_calls_is_not_written() -> None:
    @graph
    def keyed(topic: str, key: Annotated[str, Label("secret")]) -> str:
        return keyed_agent(topic=topic, key=key)

    reader = await read(keyed, topic="rooks", key="sesame")
    assert {argument.value for argument in reader.arguments("keyed_agent/longer")} == {"<secret>"}
    assert "sesame" not in json.dumps([repr(made) for made in reader.view.made.values()])


async def test_what_is_not_known_is_said_to_be_so() -> None:
    reader = await read(article, topic="rooks")
    assert reader.arguments("nothing") == [] and reader.value("nothing") is UNKNOWN and reader.prompt("join") == [] and reader.entry("x/y") is None
    reader.view.graph = "#" + "0" * 32  # a log that has lost the description
    assert Reader(reader.view, lambda name: (_ for _ in ()).throw(KeyError(name))).arguments("titles") == []


@pytest.mark.parametrize(("source", "told"), [
    (Ref("a", ("b", 0)), ["$", "a", "b", 0]), (Const("x"), ["=", "x"]), (Const([1, 2]), ["=", [1, 2]]),
    (Many("list", (Ref("a"), Const(1), Ref("b"))), ["*", "a", "b"]),
])  # fmt: skip
def test_sources_as_plain_data(source: Any, told: Any) -> None:
    assert plain_source(source) == told


def test_large_and_odd_constants_are_cut() -> None:
    assert len(plain_source(Const("x" * 100_000))[1]) < 3_000
    assert "object" in plain_source(Const(object()))[1]
