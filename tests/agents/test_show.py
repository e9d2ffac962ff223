"""A conversation as the command line prints it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rookery.agents import Agent, talk
from rookery.cli.show import show
from rookery.memory import Memory
from rookery.testing import ScriptedModel
from tests.agents.scripts import answers


def test_a_conversation_is_printed_as_what_was_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def go() -> None:
        async with Memory(scope="user:ada", path=tmp_path / "memory") as memory:
            agent = Agent(model=ScriptedModel([answers("A bird.\nA black one."), ValueError("no")]), memory=memory, name="analyst", attempts=1)
            async with talk(agent, log=tmp_path / "chat.db", id="ada") as chat:
                await chat.say("What is a rook?")
                with pytest.raises(Exception, match="no"):
                    await chat.say("\x1b[31mAnd a crow?")

    asyncio.run(go())
    show(tmp_path / "chat.db", "ada", as_json=False, events=False, mermaid=False, every=False)
    said = capsys.readouterr().out.partition("\nsaid\n")[2].splitlines()
    assert said[:5] == ["  you: What is a rook?", "  analyst: A bird.", "    A black one.", "  you: [31mAnd a crow?", "  analyst: ValueError: no"]
