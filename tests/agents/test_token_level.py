"""An agent on a model in this process that writes by chance: what it writes is held to be a move, so that every reply is one."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from rookery import run, tool
from rookery.agents import Agent, react
from rookery.errors import AgentError, CallFailed
from rookery.models.ruled import RuledModel

BYTES = [bytes([byte]) for byte in range(256)]


def chance(ids: Any) -> Any:
    """Logits by chance, quotation marks and closing brackets likelier, so that texts come to an end."""
    draw = np.random.default_rng(len(ids) + int(sum(ids[-20:])))
    logits = draw.normal(size=257).astype(np.float32)
    logits[[ord('"'), ord("}"), ord("]"), 256]] += 4
    return logits


def test_whatever_it_writes_is_a_move() -> None:
    used: list[str] = []

    @tool(inline=True)
    def pick(colour: Literal["black", "white"], number: int = 1) -> str:
        """Picks one."""
        used.append(f"{colour} {number}")
        return f"{len(used)} picked"

    model = RuledModel(chance, [*BYTES, b""], end=[256], context_tokens=8_000)
    ended = 0
    for number in range(12):
        agent = Agent(model=model, tools=[pick], planner=react(turns=3), returns=bool, max_tokens=900, repair=0, role=f"Number {number}.")
        try:
            assert isinstance(run(agent, "Which?"), bool)
        except AgentError:
            pass
        except CallFailed as error:
            assert "length" in str(error) or "there is no move" in str(error)  # cut off at max_tokens
            continue
        ended += 1
    assert ended >= 10
    assert all(one.partition(" ")[0] in ("black", "white") for one in used)
