"""What the tests serve over MCP, also as a process of its own: ``python tests/served.py stdio | http``."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from pydantic import BaseModel

from rookery import ask, graph, prompt, tool
from rookery.testing import ScriptedModel
from rookery.tools.serve import ToolServer


class Point(BaseModel):
    x: int
    y: int = 0


DONE: list[str] = []


@tool
def double(x: int) -> int:
    """Twice a number."""
    print("this is not for the wire")
    return 2 * x


@tool
def move(point: Point, by: int = 1) -> Point:
    return Point(x=point.x + by, y=point.y + by)


@tool
async def shout(text: str) -> str:
    await asyncio.sleep(0)
    return text.upper()


@tool
def fail(text: str) -> str:
    raise ValueError(f"no: {text}")


@tool
def long(kilobytes: int) -> str:
    return "x" * (1000 * kilobytes)


@tool
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


@tool(effect=True)
def publish(text: str) -> str:
    DONE.append(text)
    return f"published {text}"


@prompt
def title(topic: str) -> str:
    """A title for {topic}."""


@graph
def article(topic: str) -> list[str]:
    """A title, and it again in capitals."""
    found = title(topic=topic)
    return [found, shout(text=found)]  # type: ignore[list-item]


@graph
def asks(topic: str) -> bool:
    return ask(bool, "Is it good?", show=topic)  # type: ignore[return-value]


@graph
def announced(topic: str) -> str:
    return publish(text=shout(text=topic))  # type: ignore[return-value]


def server(**options: Any) -> ToolServer:
    programs = (double, move, shout, fail, long, slow, publish, title, article, asks, announced)
    return ToolServer(*programs, name="served", model=ScriptedModel(["On rooks", "On rooks"]), **options)


async def main() -> None:
    if sys.argv[1] == "stdio":
        await server().stdio()
    else:
        await server().http(port=0, ready=lambda url: print(url, flush=True))


if __name__ == "__main__":
    asyncio.run(main())
