"""The window: never over budget, pairs kept whole, pinned kept, and what leaves is in long-term memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rookery.errors import WindowOverflow
from rookery.memory import Memory, Window
from rookery.memory.exact import ExactVectors
from rookery.models.model import Message, Request, ToolCall
from rookery.testing import ScriptedModel

SIZES = st.sampled_from([0, 1, 30, 150, 290, 310, 700, 3_000])
TURN = st.tuples(SIZES, st.lists(SIZES, max_size=3), SIZES)


def split(messages: tuple[Message, ...]) -> list[str]:
    """Answers without their question, results without their call, calls without results though more follows."""
    faults, asked, calls = [], False, set()
    for message in messages:
        if message.role == "user":
            asked = True
        elif message.role == "assistant" and message.tool_calls:
            calls |= {call.id for call in message.tool_calls}
        elif message.role == "assistant":
            if not asked:
                faults.append(f"an answer without its question: {message.text[:20]}")
            asked = False
        elif message.role == "tool" and message.tool_call_id not in calls:
            faults.append(f"a result without its call: {message.tool_call_id}")
    return faults


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(TURN, max_size=6), budget=st.sampled_from([250, 300, 800]), pin=st.integers(0, 60))
async def test_any_sizes(tmp_path_factory: pytest.TempPathFactory, turns: list[tuple[int, list[int], int]], budget: int, pin: int) -> None:
    async with Memory(scope="user:ada", path=tmp_path_factory.mktemp("window"), vectors=ExactVectors()) as memory:
        window = memory.window(tokens=budget, session="chat")
        rules = Message.of("system", "r" * pin)
        await window.add(rules)
        sent = []

        async def add(message: Message) -> None:
            sent.append(message.text)
            await window.add(message)
            assert await window.used() <= budget, "never over budget"
            assert rules in window.messages, "what is pinned stays"
            assert split(window.messages) == [], "pairs stay whole"

        for number, (question, results, answer) in enumerate(turns):
            await add(Message.of("user", f"q{number} " + "x" * question))
            for call, size in enumerate(results):
                await add(Message("assistant", (), tool_calls=(ToolCall(f"{number}.{call}", "f", "{}"),)))
                await add(Message("tool", Message.of("tool", f"r{number}.{call} " + "y" * size).segments, tool_call_id=f"{number}.{call}"))
            await add(Message.of("assistant", f"a{number} " + "z" * answer))
        inside = {message.text for message in window.messages}
        kept = {item.text for item in await memory.items(limit=1_000)}
        assert [text[:20] for text in sent if text and text not in inside and text not in kept] == [], "nothing is dropped silently"


async def test_the_model_s_own_tokens_count(tmp_path: Path) -> None:
    class Words(ScriptedModel):
        async def count_tokens(self, request: Request) -> int:
            return sum(len(message.text.split()) + 1 for message in request.messages)

    window = Window(tokens=10, model=Words(lambda request: ""))
    for number in range(5):
        await window.add(Message.of("user", f"question {number}"))
        await window.add(Message.of("assistant", f"answer {number}"))
    assert [message.text for message in window.messages] == ["question 4", "answer 4"] and len(window.left) == 8
    assert [message.text for message in window.left][:2] == ["question 0", "answer 0"]


async def test_an_item_larger_than_the_window_is_kept_whole_in_memory(tmp_path: Path) -> None:
    async with Memory(scope="user:ada", path=tmp_path, vectors=ExactVectors()) as memory:
        window = memory.window(tokens=600)
        long = "The rook caws. " * 500
        await window.add(Message.of("user", long))
        assert await window.used() <= 600 and window.messages[0].text.startswith("The rook caws.")
        assert window.messages[0].text.endswith("(the rest is in memory)")
        assert [item.text for item in await memory.items()] == [long]


async def test_what_cannot_fit_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    window = Window(tokens=100)
    await window.add(Message.of("user", "hello"))
    with pytest.raises(WindowOverflow) as raised:
        await window.add(Message.of("user", "x" * 200))
    assert raised.value.limit == 100 and raised.value.tokens == 208
    with pytest.raises(WindowOverflow):
        await window.add(Message.of("system", "y" * 120), pinned=True)
    assert [message.text for message in window.messages] == ["hello"]


async def test_recalling_adds_what_the_window_lacks(tmp_path: Path) -> None:
    async with Memory(scope="user:ada", path=tmp_path, vectors=ExactVectors()) as memory:
        window = memory.window(tokens=200, session="s")
        await window.add(Message.of("system", "rules"))
        for number in range(6):
            await window.add(Message.of("user", f"The number of nest {number} is {number * 11}."))
            await window.add(Message.of("assistant", "Noted."))
        messages = await window.recall("number of nest 1", tokens=1_000)
        assert messages[0].text == "rules" and messages[1].role == "system" and "nest 1 is 11" in messages[1].text
        assert all("nest 5" not in line for line in messages[1].text.split("\n")), "what is in the window is not repeated"
