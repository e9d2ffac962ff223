"""A few runs to look at without any model: an article, a search, a conversation that asks for permission, one that failed."""
# mypy: disable-error-code="empty-body,return-value,arg-type"
# Programs as a user writes them: prompts have no body, and calls give variables.

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from rookery.agents.agent import Agent
from rookery.agents.conversation import conversation
from rookery.core import event as ev
from rookery.core.event import Event
from rookery.core.function import Tool, graph, prompt, tool
from rookery.core.limit import Limit
from rookery.core.value import needs
from rookery.engine.door import start
from rookery.engine.log import Log, MemoryLog
from rookery.models.model import Request
from rookery.models.scripted import ScriptedModel
from rookery.planners.beam import beam
from rookery.planners.search import search

if TYPE_CHECKING:
    from textual.widget import Widget

    from rookery.tui.watch import Watch

BEGAN = 1_795_600_000.0
"""When the first of the runs began: their times are made up, so that they are the same each time."""


# ------------------------------------------------------------------ the programs


@prompt
def outline(topic: str, n: int) -> list[str]:
    """List {n} section titles for an article about {topic}."""


@prompt
def section(title: str, topic: str) -> str:
    """Write the section "{title}" of an article about {topic}. Two sentences."""


@prompt
def headline(topic: str, sections: list[str]) -> str:
    """A headline for an article about {topic} with these sections:

    {sections}"""


@tool(inline=True)
def publish(headline: str, sections: list[str]) -> str:
    return "# " + headline + "\n\n" + "\n\n".join(sections)


@graph
def article(topic: str) -> str:
    titles = outline(topic=topic, n=4)
    texts = section.each(title=titles, topic=topic)
    return publish(headline=headline(topic=topic, sections=texts), sections=texts)


@tool(inline=True)
def moves(left: list[int]) -> list[list[int]]:
    """Numbers that two of those left can be joined to."""
    found: list[list[int]] = []
    for i, a in enumerate(left):
        for j, b in enumerate(left):
            if i < j:
                rest = [c for k, c in enumerate(left) if k not in (i, j)]
                found += [sorted([*rest, n]) for n in {a + b, a * b, abs(a - b)}]
    return [list(each) for each in dict.fromkeys(map(tuple, found))]


@tool(inline=True)
def closeness(left: list[int]) -> float:
    return 1.0 / (1.0 + abs(24 - sum(left)))


@tool(effect=True)
def send_mail(to: str, subject: str, text: str) -> str:
    """Send a mail."""
    return f"sent to {to}"


@tool(inline=True)
def look_up(name: str) -> dict[str, str]:
    """The address of a person."""
    return {"name": name, "mail": f"{name.lower()}@example.org"}


def desk() -> Tool[..., int]:
    """A conversation with an agent that may write mails, when it is allowed to."""
    return conversation(Agent(name="secretary", tools=[look_up, send_mail], role="You help in an office. Use tools where they help."))


@prompt
def translate(text: str, language: str) -> str:
    """Translate into {language}: {text}"""


@tool
async def glossary(language: str) -> dict[str, str]:
    await asyncio.sleep(0.05)
    raise ValueError(f"there is no glossary for {language}")


@prompt
def polish(text: str, glossary: dict[str, str]) -> str:
    """Improve this by the glossary {glossary}: {text}"""


@graph
def leaflet(text: str) -> str:
    return polish(text=translate(text=text, language="Cornish"), glossary=glossary(language="Cornish"))


_ANSWERS = {
    "List 4": '["Rooks and their kin", "A colony in the elms", "What a rook knows", "Rooks and farmers"]',
    'section "A colony': "They nest together, high in the same trees, year after year. A rookery may hold hundreds of nests.",
    'section "What': "In the laboratory rooks bend wire into hooks and drop stones into water to raise it. Nobody has seen them do so in the wild.",
    'section "Rooks and farmers': "Farmers have cursed rooks for the seed they take. They also eat leatherjackets by the thousand.",
    'section "Rooks and': "Rooks belong to the crow family. A bare, grey face tells them from carrion crows.",
    "A headline": "The Parliament in the Elms",
    "Translate": "Devedhys yw an vrini arta.",
}


def _answer(request: Request) -> str:
    if "You help in an office" in request.text:
        return _move(request)
    return next((text for words, text in _ANSWERS.items() if words in request.text), "Yes.")


def _move(request: Request) -> str:
    """What the agent does next."""
    shown = request.text.count(" gave <")
    if "Tell Ada" not in request.text:
        return json.dumps({"thought": "", "answer": "Hundreds of nests, high in the elms, used year after year."})
    if not shown:
        return json.dumps({"thought": "I need her address first.", "calls": [{"tool": "look_up", "arguments": {"name": "Ada"}}]})
    mail = {"to": "ada@example.org", "subject": "The rooks", "text": "They are back in the elms.\nSee you on Friday!"}
    return json.dumps({"thought": "Now I can write to her.", "calls": [{"tool": "send_mail", "arguments": mail}]})


# ------------------------------------------------------------------ recording


async def record(log: Log) -> list[str]:
    """Put the runs into a log; their ids, newest first."""
    made = [
        await _recorded(log, 0, "article-rooks", article, {"topic": "rooks"}, limit=Limit(tokens=2_000, calls=12)),
        await _recorded(log, 1, "search-24", search(planner=beam(width=3), state=[2, 3, 4, 6], propose=moves, evaluate=closeness,
                                                   goal=lambda left: left == [24], limit=Limit(seconds=60), name="search"), {}),
        await _recorded(log, 2, "leaflet-cornish", leaflet, {"text": "The rooks are back."}),
        await _recorded(log, 3, "desk-ada", desk(), {}, says=["What is a rookery?", "Tell Ada that the birds are back."]),
    ]  # fmt: skip
    return made[::-1]


async def _recorded(log: Log, number: int, name: str, program: Any, inputs: dict[str, Any], *, says: list[str] | None = None, **more: Any) -> str:
    memory = MemoryLog()
    said = iter(says or ())
    async with start(program, inputs=inputs, model=ScriptedModel(_answer, name="scripted:rookery"), log=memory, id=name,
                     origin=f"rookery.tui.demo:{getattr(program, 'name', None) or program.__name__}", **more) as run:
        while await run.until_waiting():
            question = next(iter(run.view.questions), "")
            words = next(said, None)
            if words is None:
                break
            run.answer(question, words, by="ada")
            await asyncio.sleep(0)
    events = list(_timed(memory.read(name), BEGAN + 3_600.0 * number))
    values = {stored: memory.get(stored) for event in events for reference in _references(event) for stored in needs(reference, memory.get)}
    writer = log.begin(name, new=True)
    try:
        written = writer.append(events, list(values.items()))
        if written is not None:
            await written
    finally:
        writer.close()
    return name


def _timed(events: list[Event], began: float) -> Iterator[Event]:
    """The events at times as if models had taken seconds; calls that were in flight together stay so."""
    clock, begun = began, dict[str, float]()
    for event in events:
        if isinstance(event, ev.CallStarted):
            begun[event.call] = clock
        elif isinstance(event, ev.CallFinished | ev.AttemptFailed | ev.CallFailed):
            took = 0.3 + 0.02 * event.spend.tokens + 0.01 * len(event.call) if event.spend.calls else 0.004
            clock = max(clock, begun.get(event.call, clock) + took)
        elif isinstance(event, ev.QuestionAnswered):
            clock += 7.5
        yield replace(event, at=round(clock, 3), held=None) if hasattr(event, "held") else replace(event, at=round(clock, 3))  # type: ignore[call-arg]


def _references(event: Event) -> Iterator[str]:
    for field in fields(event):
        value = getattr(event, field.name)
        for each in value.values() if isinstance(value, dict) else [value]:
            if isinstance(each, str) and each[:1] in "#@" and len(each) == 33:
                yield each


# ------------------------------------------------------------------ one widget alone


def alone(make: Callable[[Watch], Widget], *, run: str = "article-rooks") -> None:
    """Show one widget with one of the runs, for whoever works on it: ``python -m rookery.tui.calls``."""
    from textual.app import App, ComposeResult

    from rookery.tui import ink
    from rookery.tui.watch import Watch

    log = MemoryLog()
    asyncio.run(record(log))

    class Alone(App[None]):
        def compose(self) -> ComposeResult:
            watch = Watch(log, run)
            watch.read()
            yield make(watch)

        def on_mount(self) -> None:
            self.register_theme(ink.DARK)
            self.theme = ink.DARK.name

    Alone().run()
