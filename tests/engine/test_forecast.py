"""Forecasts: what a rehearsal counts against what a run takes, what it must not do, guesses and what is learned from runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from rookery import Limit, ask, graph, loop, prompt, run, start, tool, when
from rookery.core.view import View, fold
from rookery.engine.forecast import forecast, learned
from rookery.engine.rehearse import Guess, Pace, in_virtual_time
from rookery.engine.standin import standin
from rookery.planners import best_of_n, search
from rookery.testing import ScriptedModel

REPLY = "word " * 40  # 50 tokens of a script


@prompt(form="lines")
def titles(topic: str) -> list[str]:
    """Titles for {topic}."""


@prompt
def section(title: str) -> str:
    """Write about {title}."""


@prompt
def improve(text: str) -> str:
    """Improve {text}."""


@tool
def is_good(text: str) -> bool:
    raise AssertionError("a rehearsal calls no tool")


@tool
def join(parts: list[str]) -> str:
    raise AssertionError("a rehearsal calls no tool")


@tool(pure=True)
def pieces(text: str, size: int) -> list[str]:
    return [text[place : place + size] for place in range(0, len(text), size)]


@graph
def article(topic: str) -> str:
    text = join(parts=section.each(title=titles(topic=topic)))
    better = loop(improve, text=text, until=is_good, times=4)
    return when(ask(bool, "Publish?"), then=better, otherwise=text)


@graph
def summary(text: str, size: int) -> str:
    return join(parts=section.each(title=pieces(text=text, size=size)))


def test_calls_of_maps_loops_branches_and_questions_are_counted() -> None:
    found = forecast(article, {"topic": "rooks"}, guesses={"titles": Guess(items=6, tokens=30), "improve": Guess(turns=3)})
    counts = {line.call: line.count for line in found.lines}
    assert counts == {"titles": 1, "section": 6, "join": 1, "ask": 1, "improve/improve": 3, "improve/is_good": 3}
    assert found.calls == 10 and found.widest == 6 and not found.open and not found.is_exact
    no = forecast(article, {"topic": "rooks"}, guesses={"ask": Guess(yes=False)})
    assert "improve/improve" not in {line.call for line in no.lines}
    assert next(line.count for line in forecast(article, {"topic": "x"}).lines if line.call == "improve/improve") == 4, "all the turns there are"


def test_pure_tools_of_what_is_known_are_called_so_that_an_input_can_be_tuned() -> None:
    assert [forecast(summary, {"text": "x" * 100, "size": size}).calls for size in (10, 25, 100)] == [10, 4, 1]


def test_tokens_and_calls_are_those_of_a_run() -> None:
    model = ScriptedModel({"Titles": "\n".join(["one title"] * 5), "Write": REPLY})
    made = run(_Timed.graph, topic="rooks", model=model)
    found = forecast(_Timed.graph, {"topic": "rooks"}, model=model, guesses={"titles": Guess(items=5, tokens=13), "section": Guess(tokens=50)})
    used = sum(-(-len(request.text) // 4) for request in model.requests)
    assert made and found.calls == len(model.requests) and found.is_exact
    assert found.prompt_tokens == pytest.approx(used, rel=0.02) and found.completion_tokens == 13 + 5 * 50


class _Timed:
    @staticmethod
    @tool
    def count(parts: list[str]) -> int:
        return len(parts)

    @staticmethod
    def _program(topic: str) -> int:
        return _Timed.count(parts=section.each(title=titles(topic=topic)))  # type: ignore[return-value]

    graph = graph(_program.__func__)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("most", "seconds"), [(1, 7 * 2.0), (2, 4 * 2.0), (3, 3 * 2.0), (7, 2.0), (None, 2.0)])
def test_time_is_that_of_list_scheduling(most: int | None, seconds: float) -> None:
    @graph
    def wide(titles: list[str]) -> list[str]:
        return section.each(title=titles)

    found = forecast(wide, {"titles": ["t"] * 7}, parallel=[most], paces={"no model": Pace(2.0, 0.0, 0.0)})
    assert found.seconds[most] == pytest.approx(seconds)


def test_money_errors_and_what_cannot_be_told() -> None:
    found = forecast(article, {"topic": "x"}, model="openai:gpt-5-mini", guesses={"section": Guess(error=0.1)})
    assert found.error == pytest.approx(1 - 0.9**5) and found.expected_errors == pytest.approx(0.5)
    hunt = search(state="x", propose=improve, planner=best_of_n(3), limit=Limit(tokens=100))
    opened = forecast(hunt, {})
    assert opened.calls == 0 and "tokens=100" in next(iter(opened.open.values()))


def test_an_async_program_is_rehearsed_by_its_own_code() -> None:
    async def until_short(topic: str) -> int:
        text = await section(title=topic)
        for _ in range(2):
            text = await improve(text=text)
        return len(text)

    assert forecast(until_short, {"topic": "x"}).calls == 3


async def test_guesses_are_learned_from_runs() -> None:
    model = ScriptedModel({"Titles": "a\nb\nc", "Write": REPLY})
    async with start(_Timed.graph, topic="rooks", model=model) as made:
        await made
        view = View()
        for event in made.history:
            view = fold(view, event)
    known = learned([view], {"titles": Guess(tokens=9.0)})
    assert known["section"].tokens == 50 and known["section"].items == 3
    assert learned([view], graph=_Timed.graph)["titles"].items == 3, "the map's list is what titles gave"
    assert known["titles"] == Guess(tokens=9.0), "what is given stands"


class Colour(Enum):
    RED = "red"


class Row(BaseModel):
    name: str
    size: Annotated[int, Field(ge=1)]
    tags: list[str]
    colour: Colour | None = None


@dataclass
class Point:
    x: float
    label: str


@pytest.mark.parametrize("type_", [str, int, float, bool, Literal["a", "b"], list[str], dict[str, int], tuple[int, str], tuple[str, ...], set[int],
                                   Row, list[Row], Point, Row | None, Colour, Any, type(None), list[list[int]], frozenset[str]])  # fmt: skip
def test_every_type_has_a_stand_in(type_: Any) -> None:
    from pydantic import TypeAdapter

    TypeAdapter(type_).validate_python(standin(type_, tokens=12, items=3))


def test_virtual_time_passes_at_once_and_in_order() -> None:
    async def work() -> list[int]:
        seen: list[int] = []

        async def one(number: int) -> None:
            await asyncio.sleep(number * 1_000)
            seen.append(number)

        await asyncio.gather(*map(one, (3, 1, 2)))
        assert await asyncio.to_thread(lambda: 5) == 5
        return seen

    assert in_virtual_time(work()) == ([1, 2, 3], pytest.approx(3_000))
