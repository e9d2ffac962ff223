"""What scripted models of these tests write."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from rookery.models.model import Capabilities, Chunk, Request, ToolCall
from rookery.testing import ScriptedModel


def uses(*calls: tuple[str, dict[str, Any]], thought: str = "") -> str:
    """A move that uses tools."""
    return json.dumps({"thought": thought, "calls": [{"tool": name, "arguments": arguments} for name, arguments in calls]})


def answers(value: Any) -> str:
    """A move that answers."""
    return json.dumps({"thought": "", "answer": value})


def calling(*calls: tuple[str, dict[str, Any]]) -> tuple[Chunk, ...]:
    """Native calls of a model."""
    return (Chunk(tool_calls=tuple(ToolCall(f"c{n}", name, json.dumps(arguments)) for n, (name, arguments) in enumerate(calls)), stop="tool"),)


def model(answer: Callable[[Request], Any] | list[Any], **facts: Any) -> ScriptedModel:
    """A scripted model that can do what ``facts`` say."""
    return ScriptedModel(answer, capabilities=Capabilities(name="scripted:script", is_local=True, price_usd=(0.0, 0.0), **facts))


def seen(request: Request) -> int:
    """How many results the model has been shown."""
    return request.text.count(" gave <") + request.text.count(" failed:\n")
