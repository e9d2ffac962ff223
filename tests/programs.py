"""Programs that several tests run; their tools note each execution in a list."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from rookery import ask, graph, loop, prompt, tool
from rookery.models.model import Request

EXECUTED: list[str] = []


class Section(BaseModel):
    title: str
    body: str


@prompt
def titles(topic: str, n: int) -> list[str]:
    """List {n} section titles for an article about {topic}."""


@prompt
def section(title: str, topic: str) -> Section:
    """Write the section {title} of an article about {topic}."""


@tool
def join(parts: list[Section]) -> str:
    EXECUTED.append("join")
    return "\n".join(f"{part.title}: {part.body}" for part in parts)


@graph
def article(topic: str) -> str:
    heads = titles(topic=topic, n=3)
    return join(parts=section.each(title=heads, topic=topic))


def writer(request: Request) -> str:
    """Answers of a scripted model to ``article``'s prompts."""
    if request.text.startswith("List"):
        return '["nests", "calls", "flight"]'
    title = request.text.split("the section ")[1].split(" of")[0]
    return f'{{"title": "{title}", "body": "about {title}"}}'


@tool(inline=True)
def increase(x: int) -> int:
    EXECUTED.append(f"increase {x}")
    return x + 1


@tool(inline=True)
def double(x: int) -> int:
    EXECUTED.append(f"double {x}")
    return 2 * x


@tool(inline=True)
def total(xs: list[int]) -> int:
    EXECUTED.append(f"total {len(xs)}")
    return sum(xs)


@tool(inline=True)
def several(x: int) -> list[int]:
    EXECUTED.append("several")
    return list(range(x))

@tool(inline=True)
def say(value: Any, ok: bool) -> str:
    EXECUTED.append("say")
    return f"{value} {ok}"


@tool(inline=True)
def failing(x: int) -> int:
    EXECUTED.append(f"failing {x}")
    raise ConnectionError("down")


@graph
def asking(x: int) -> str:
    """One branch waits for a person, the other does not."""
    more = increase(x=x)
    ok = ask(bool, "Go on?", show=more)
    return say(value=double(x=more), ok=ok)


@graph
def counting(x: int) -> int:
    """A loop, then a map, then a sum."""
    top = loop(increase, x=x, times=5)
    return total(xs=double.each(x=several(x=top)))

