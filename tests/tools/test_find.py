"""Tools are found by words, meaning, name and part; what they were used for counts once it is shown to help."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rookery.errors import ModelBusy
from rookery.index.text import terms
from rookery.models.embedder import Purpose
from rookery.models.static import StaticEmbedder
from rookery.tools.find import ToolIndex, ToolText
from rookery.tools.parts import MOST, Part, parts, pieces

TOOLS = [
    ToolText("get_weather", "Current weather and forecast of a place", {"city": "Name of the city", "days": "How many days ahead"}),
    ToolText("send_email", "Send a message by electronic mail", {"to": "Address", "subject": "", "body": "The text"}),
    ToolText("translate_text", "Translate a text into another language", {"text": "", "language": "Target language"}),
    ToolText("circle.area", "Compute the area of a circle", {"radius": "Radius"}),
    ToolText("circle.circumference", "Compute the circumference of a circle", {"radius": "Radius"}),
    ToolText("getStockPrice", "Price of a share at an exchange", {"symbol": "Ticker"}),
    ToolText("book_table", "Reserve a table at a restaurant", {"people": "How many guests"}),
    ToolText("searchFlights", "Find flights between two airports", {"origin": "", "destination": ""}),
]


def filled(tools: Sequence[ToolText] = TOOLS) -> ToolIndex:
    index = ToolIndex()
    for tool in tools:
        index.add(tool)
    return index


async def names(index: ToolIndex, request: str, k: int = 1) -> list[str]:
    return [finding.name for finding in await index.search(request, k=k)]


@pytest.mark.parametrize(("request_", "name"), [
    ("What is the weather in Oslo?", "get_weather"), ("Will it rain tomorrow?", "get_weather"), ("area of a circle of radius 3", "circle.area"),
    ("how far is it around a circle", "circle.circumference"), ("getStockPrice", "getStockPrice"), ("reserve seats for dinner", "book_table"),
    ("write a mail to my boss", "send_email"), ("say this in French", "translate_text"), ("I want to fly from Rome to Kiev", "searchFlights"),
])
async def test_the_tool_is_found_by_words_or_by_meaning(request_: str, name: str) -> None:
    assert name in await names(filled(), request_, k=2)


async def test_each_part_of_a_request_brings_its_tool() -> None:
    request = "Translate the menu into German, then book a table for four at the restaurant, and send an email to Ada about it."
    found = await filled().search(request, k=3)
    assert {finding.name for finding in found} == {"translate_text", "book_table", "send_email"}
    assert len({finding.part for finding in found}) >= 2
    assert all(finding.part in request for finding in found)


async def test_a_request_with_one_aim_stays_whole() -> None:
    request = "Find flights between Rome and Kiev, and not too early"
    (first, *_) = await filled().search(request)
    assert (first.name, first.part) == ("searchFlights", request)


async def test_a_finding_says_which_views_brought_it() -> None:
    (first,) = await filled().search("What is the weather in Oslo?", k=1)
    assert set(first.views) == {"words", "meaning", "name", "use", "whole"}
    assert first.views["words"] > 0.5 and first.views["use"] == 0
    assert first.why.startswith("'What is the weather in Oslo?': words")


async def test_tools_can_be_replaced_and_removed() -> None:
    index = filled()
    assert await names(index, "weather forecast") == ["get_weather"]
    index.add(ToolText("get_weather", "Bake bread in an oven"))
    assert await names(index, "bake bread") == ["get_weather"]
    assert index.remove("get_weather") and not index.remove("get_weather")
    assert "get_weather" not in await names(index, "bake bread weather forecast", k=20)
    assert len(index) == len(TOOLS) - 1
    index.add(TOOLS[0])
    assert await names(index, "weather forecast") == ["get_weather"]


async def test_names_that_are_not_unique_have_ids() -> None:
    index = filled([ToolText("search", "Search mail", id="mail/search"), ToolText("search", "Search the web", id="web/search")])
    assert await names(index, "search the web") == ["web/search"]


@pytest.mark.parametrize("request_", ["", "  \n", "?!", "日本語", "\ud800", "zzzz qqqq", "and, and; and", "x" * 20_000, "a, " * 500])
async def test_odd_requests_do_no_harm(request_: str) -> None:
    assert len(await filled().search(request_, k=3)) in (0, 3)
    assert await ToolIndex().search(request_) == []


async def test_aliases_find_the_tool() -> None:
    index = filled([*TOOLS, ToolText("q17", "Internal", aliases=["unit_converter"])])
    assert await names(index, "convert a unit") == ["q17"]


# ------------------------------------------------------------------ past use


def opaque(count: int) -> tuple[list[ToolText], list[tuple[str, str]]]:
    """Tools whose texts say nothing, and requests that follow a habit."""
    subjects = ["weather", "music", "bread", "taxes", "chess", "trains", "poems", "horses", "gardens", "violins"]
    tools = [ToolText(f"proc_{number}", "Internal procedure") for number in range(len(subjects))]
    draw = random.Random(1)
    verbs = ["show me", "tell me about", "I need some", "what about", "give me news of"]
    requests = [(f"{draw.choice(verbs)} {subjects[number]} {draw.choice(['today', 'now', 'please', 'again'])}", f"proc_{number}")
                for number in (draw.randrange(len(subjects)) for _ in range(count))]
    return tools, requests


async def test_use_teaches_what_texts_do_not_say() -> None:
    tools, requests = opaque(120)
    index = filled(tools)
    for request, name in requests[:80]:
        await index.note_use(request, name)
    found = [(await index.search(request, k=1))[0] for request, _ in requests[80:]]
    assert sum(finding.name == name for finding, (_, name) in zip(found, requests[80:], strict=True)) >= 36
    assert found[0].views["use"] > 0


async def test_use_that_teaches_nothing_changes_nothing() -> None:
    index, cold = filled(), filled()
    draw = random.Random(2)
    for number in range(60):
        await index.note_use(f"request number {number} about {draw.choice(['rain', 'mail', 'circles', 'shares'])}", draw.choice(TOOLS).name)
    for request in ("will it rain", "send a mail", "area of a circle", "price of a share"):
        assert await names(index, request, k=5) == await names(cold, request, k=5)


async def test_stored_questions_count_as_uses() -> None:
    tools, requests = opaque(120)
    index = ToolIndex()
    for tool in tools:
        index.add(ToolText(tool.name, tool.description, questions=[request for request, name in requests[:100] if name == tool.name]))
    right = [await names(index, request) == [name] for request, name in requests[100:]]
    assert sum(right) >= 18


async def test_adding_a_tool_again_teaches_nothing_new() -> None:
    index = filled()
    draw = random.Random(3)
    noise = [(f"{draw.choice(['alpha', 'beta', 'gamma'])} {number}", draw.choice(TOOLS)) for number in range(40)]
    for _ in range(3):
        for tool in TOOLS:
            index.add(ToolText(tool.name, tool.description, tool.parameters, questions=[text for text, one in noise if one is tool]))
        await index.search("weather")
    assert all(finding.views["use"] == 0 for finding in await index.search("send a mail and then tell me the weather"))


async def test_uses_of_tools_that_are_gone_are_forgotten() -> None:
    tools, requests = opaque(100)
    index = filled(tools)
    for request, name in requests:
        await index.note_use(request, name, "unknown")
    index.remove("proc_0")
    assert "proc_0" not in await names(index, next(request for request, name in requests if name == "proc_0"), k=20)
    await index.note_use("weather", "proc_0")
    await index.note_use("", "proc_1")


# ------------------------------------------------------------------ side by side, and when the embedder fails


class Slow(StaticEmbedder):
    """The static embedder behind a wait, as a server would be, failing at first when told to."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__()
        self.failures = failures

    async def embed(self, texts: Sequence[str], *, purpose: Purpose = "document") -> NDArray[np.float32]:
        await asyncio.sleep(0.001)
        if self.failures:
            self.failures -= 1
            raise ModelBusy("try later", model="slow")
        return await super().embed(texts, purpose=purpose)


async def test_tasks_take_turns() -> None:
    index = ToolIndex(by=Slow())
    for tool in TOOLS[:4]:
        index.add(tool)
    searches = [asyncio.create_task(names(index, "weather")) for _ in range(5)]
    await asyncio.sleep(0.002)
    index.remove("get_weather")
    for tool in TOOLS[4:]:
        index.add(tool)
    await asyncio.gather(*searches)
    assert await names(index, "stock price") == ["getStockPrice"]
    assert "get_weather" not in await names(index, "weather", k=9)


async def test_what_was_added_is_kept_when_the_embedder_fails() -> None:
    index = ToolIndex(by=Slow(failures=1))
    index.add(TOOLS[0])
    with pytest.raises(ModelBusy):
        await index.search("weather")
    assert await names(index, "weather") == ["get_weather"]


# ------------------------------------------------------------------ parts


@settings(max_examples=60)
@given(st.text(max_size=300))
def test_pieces_keep_every_term(text: str) -> None:
    found = pieces(text)
    assert 1 <= len(found) <= MOST
    assert "".join(piece.text for piece in found) == text
    assert frozenset().union(*(piece.terms for piece in found)) == frozenset(terms(text))


def test_parts_split_only_where_it_pays() -> None:
    one = [Part("red bird", frozenset({"red", "bird"})), Part("blue house", frozenset({"blue", "house"}))]
    apart = {"red": [9.0, 0.0], "bird": [9.0, 0.0], "blue": [0.0, 9.0], "house": [0.0, 9.0]}
    together = {"red": [9.0, 0.0], "bird": [9.0, 0.0], "blue": [8.0, 9.0], "house": [8.0, 9.0]}
    assert len(parts(one, {term: np.array(row) for term, row in apart.items()}, tools=100)) == 2
    assert len(parts(one, {term: np.array(row) for term, row in together.items()}, tools=100)) == 1
    assert len(parts(one, {}, tools=100)) == 1
