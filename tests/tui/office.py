"""A program that asks, writes and wants permission; its model is scripted, and slow enough to be watched."""

from __future__ import annotations

from rookery import ask, graph, prompt, tool
from rookery.models.model import Request
from rookery.testing import Latency, ScriptedModel, SimulatedModel
from rookery.tools.approval import gated


def answer(request: Request) -> str:
    if "greet" in request.text.lower():
        return "Good morning to you, " + request.text.rpartition(" ")[2].strip(".") + ", and to all the rooks in the elms."
    return "It is about " + request.text.rpartition(" ")[2]


MODEL = SimulatedModel(ScriptedModel(answer), latency=Latency(overhead_s=0.05, prompt_token_s=0, completion_token_s=0.02, jitter=0))


@prompt(model=MODEL)
def greeting(name: str) -> str:
    """Greet {name}."""


@prompt(model=MODEL)
def summary(text: str) -> str:
    """Say what this is about: {text}"""


@tool(effect=True)
def send_mail(to: str, text: str) -> str:
    """Send a mail."""
    return f"sent to {to}"


@tool
def shout(text: str) -> str:
    return text.upper() + "!"


@tool
def pair(loud: str, about: str) -> list[str]:
    return [loud, about]


async def office() -> str:
    """Ask for a name, greet, and send the greeting when that is allowed."""
    name = await ask(str, "Whom shall I greet?")
    text = await greeting(name=name)
    return await gated(send_mail)(to=f"{name}@example.org", text=text)


@graph
def letter(name: str) -> list[str]:
    """A graph to break, edit and fork."""
    text = greeting(name=name)
    return pair(loud=shout(text=text), about=summary(text=text))
