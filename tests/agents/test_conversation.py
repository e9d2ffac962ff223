"""Conversations: many turns, over restarts, with questions to a person in between; nothing is called again, and no prompt outgrows the window."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rookery import Limit, tool
from rookery.agents.agent import Agent
from rookery.agents.conversation import IN_SIGHT, conversation, talk
from rookery.agents.react import react
from rookery.errors import AgentExhausted, CallFailed, LimitReached, ModelUnreachable, RunError, RunWaiting
from rookery.memory import Memory
from rookery.models.model import Request
from rookery.testing import ScriptedModel
from tests.agents.scripts import answers, model, seen, uses


def echo(request: Request) -> str:
    return answers(f"you said {request.messages[-1].text}")


def test_what_was_said_before_is_in_the_next_prompt() -> None:
    script = ScriptedModel(echo)

    async def go() -> None:
        async with talk(Agent(model=script)) as chat:
            assert await chat.say("hello") == "you said hello"
            assert await chat.say("again") == "you said again"
            assert [exchange.said for exchange in chat.exchanges] == ["hello", "again"]
            assert await chat.end() == 2

    asyncio.run(go())
    assert [(message.role, message.text) for message in script.requests[1].messages[1:]] == [
        ("user", "hello"), ("assistant", "you said hello"), ("user", "again"),
    ]  # fmt: skip


def test_it_goes_on_after_a_restart(tmp_path: Path) -> None:
    asked: list[str] = []

    def script(request: Request) -> str:
        asked.append(request.messages[-1].text)
        return echo(request)

    agent = Agent(model=ScriptedModel(script), name="analyst", returns=str)

    async def say(*texts: str) -> list[str]:
        async with talk(agent, log=tmp_path / "chat.db", id="ada") as chat:
            return [await chat.say(text) for text in texts] + [f"{len(chat.exchanges)}"]

    assert asyncio.run(say("a", "b")) == ["you said a", "you said b", "2"]
    assert asyncio.run(say("c")) == ["you said c", "3"]
    assert asked == ["a", "b", "c"]


def test_a_turn_that_was_broken_off_is_finished_first(tmp_path: Path) -> None:
    is_down, calls = True, []

    @tool
    async def fetch(page: str) -> str:
        """Gives a page."""
        calls.append(page)
        return page

    def script(request: Request) -> Any:
        if seen(request) == 0:
            return uses(("fetch", {"page": "p"}))
        return ModelUnreachable("nobody answers") if is_down else answers("read it")

    agent = Agent(model=ScriptedModel(script), tools=[fetch], attempts=1)

    async def go() -> Any:
        async with talk(agent, log=tmp_path / "chat.db") as chat:
            return await (chat.say("read p") if is_down else chat.reply())

    with pytest.raises(CallFailed, match="nobody answers"):
        asyncio.run(go())
    is_down = False
    assert asyncio.run(go()) == "read it"
    assert calls == ["p"]


def test_an_end_without_an_answer_is_a_reply() -> None:
    script = ScriptedModel(lambda request: uses(("count", {"n": seen(request)})) if "count" in request.messages[1].text else echo(request))

    @tool(inline=True)
    def count(n: int) -> int:
        """Counts."""
        return n

    async def go() -> None:
        async with talk(Agent(model=script, tools=[count], planner=react(turns=2))) as chat:
            with pytest.raises(AgentExhausted, match="no answer after 2 turns"):
                await chat.say("count")
            chat.exchanges.clear()
            assert chat.run.done is False

    asyncio.run(go())


def test_limits_of_an_agent_are_by_turn_and_those_of_the_run_end_it() -> None:
    async def go() -> None:
        async with talk(Agent(model=model(echo), limit=Limit(calls=1))) as chat:
            assert [await chat.say(text) for text in "abc"] == ["you said a", "you said b", "you said c"]
        async with talk(Agent(model=model(echo)), limit=Limit(calls=2)) as chat:
            await chat.say("a")
            await chat.say("b")
            with pytest.raises(LimitReached):
                await chat.say("c")
            assert chat.run.done

    asyncio.run(go())


def test_approvals_are_asked_in_between() -> None:
    sent: list[str] = []

    @tool(effect=True)
    def send(text: str) -> str:
        """Sends a letter."""
        sent.append(text)
        return "sent"

    def script(request: Request) -> str:
        return uses(("send", {"text": "hello"})) if seen(request) == 0 else answers(request.text.rpartition("\n")[2])

    async def go() -> None:
        agent = Agent(model=ScriptedModel(script), tools=[send])
        async with talk(agent, answer=lambda question: True) as chat:
            assert await chat.say("send it") == "sent"
        async with talk(agent) as chat:
            with pytest.raises(RunWaiting, match="May send be called"):
                await chat.say("send it")
            (call,) = chat.run.view.questions
            assert call == "conversation/agent/use/send/ask"
            chat.run.answer(call, True)
            assert await chat.reply() == "sent"

    asyncio.run(go())
    assert sent == ["hello", "hello"]


def test_nothing_to_say_and_the_end() -> None:
    async def go() -> None:
        async with talk(Agent(model=ScriptedModel(echo))) as chat:
            assert await chat.reply() is None
            with pytest.raises(RunError, match="nothing to say"):
                await chat.say("  ")
            await chat.end()
            with pytest.raises(RunError, match="is over"):
                await chat.say("too late")

    asyncio.run(go())


def test_a_long_conversation_stays_in_the_window_and_costs_the_same_a_turn(tmp_path: Path) -> None:
    script = model(lambda request: answers("word " * 40), context_tokens=1_500)

    async def go() -> list[int]:
        sizes = []
        async with talk(Agent(model=script, role="Talk."), log=tmp_path / "chat.db") as chat:
            for number in range(3 * IN_SIGHT):
                await chat.say(f"message {number} " + "blah " * 20)
                sizes.append(len(script.requests[-1].text) // 4)
        return sizes

    sizes = asyncio.run(go())
    assert max(sizes) <= 1_500 - 375
    assert abs(sum(sizes[-64:]) - sum(sizes[-128:-64])) <= 0.05 * sum(sizes[-64:])


def test_what_left_the_window_is_recalled(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        return answers("noted" if "password" not in request.messages[-1].text else request.messages[-1].text)

    scripted = model(script, context_tokens=700)

    async def go() -> str:
        async with Memory(scope="user:ada", path=tmp_path / "memory") as memory:
            agent = Agent(model=scripted, memory=memory, role="Talk.")
            async with talk(agent, log=tmp_path / "chat.db") as chat:
                await chat.say("The code of the red door is 4711.")
                for number in range(30):
                    await chat.say(f"Something else, number {number}: " + "it rains in the wood and by the mill " * 4)
                return str(await chat.say("What is the password or code of the red door?"))

    found = asyncio.run(go())
    assert "4711" in found and "[memory" in found


def test_it_is_a_program_like_any_other() -> None:
    from rookery import run

    said = iter(["a", "b", ""])
    assert run(conversation(Agent(model=ScriptedModel(echo))), answer=lambda question: next(said)) == 2


def test_the_command_line_finds_it_by_its_origin(tmp_path: Path) -> None:
    from rookery import show

    async def go() -> None:
        async with talk(Agent(model=ScriptedModel(echo)), log=tmp_path / "chat.db", origin="chat.py:chat") as chat:
            await chat.say("hello")

    asyncio.run(go())
    assert show("conversation", log=tmp_path / "chat.db").program == "chat.py:chat"
