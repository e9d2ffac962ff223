"""An agent: how it uses tools and answers, alone, in a graph, and as another's tool."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from rookery import run, tool
from rookery.agents.agent import Agent
from rookery.testing import ScriptedModel


class Route(BaseModel):
    name: str
    km: float


@tool(inline=True)
def length(route: str) -> float:
    """How long a route is, in km."""
    return {"mill": 3.5, "wood": 2.25}[route]


def uses(*calls: tuple[str, dict[str, Any]], thought: str = "") -> str:
    return json.dumps({"thought": thought, "calls": [{"tool": name, "arguments": arguments} for name, arguments in calls]})


def answers(value: Any) -> str:
    return json.dumps({"thought": "", "answer": value})


def test_it_uses_tools_side_by_side_and_gives_a_typed_answer() -> None:
    model = ScriptedModel([uses(("length", {"route": "mill"}), ("length", {"route": "wood"})), answers({"name": "wood", "km": 2.25})])
    found = run(Agent(model=model, tools=[length]), "Which of these routes is shortest?", returns=Route)
    assert found == Route(name="wood", km=2.25)
    assert "3.5" in model.requests[1].text and "2.25" in model.requests[1].text
