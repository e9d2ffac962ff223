"""kill -9 in the middle of a conversation: nothing that was finished is done again, and it ends as if nothing had happened."""

from __future__ import annotations

import random

import pytest

from benchmarks.agents_conversation import agent, killed, message
from rookery.agents import talk


@pytest.mark.parametrize("seed", [1, 2])
def test_a_conversation_survives_sigkill(seed: int, tmp_path: object) -> None:
    import asyncio

    async def whole() -> list[list[str]]:
        speaker, _ = agent(None, lambda what: None, 0.0)
        async with talk(speaker) as chat:
            for number in range(8):
                await chat.say(message(number))
            return [[one.said, one.reply.text] for one in chat.exchanges]

    death = killed(8, 2, random.Random(seed))
    assert death["kills"] == 2 and death["finished"] > 0 and death["repeated"] == 0 and death["unnoted"] == 0
    assert death["said"] == asyncio.run(whole())
