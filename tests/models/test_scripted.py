"""The scripted and the simulated model."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.errors import CassetteMiss, ContextOverflow, ModelBusy, ModelError, ReplyStalled
from rookery.models.model import Capabilities, Chunk, Message, Request, Sampling, Stop, ToolCall, Usage, complete
from rookery.models.scripted import ScriptedModel, tokens
from rookery.models.simulated import FAULT_KINDS, FaultRates, Latency, SimulatedModel


def ask(text: str, **sampling: object) -> Request:
    return Request((Message.of("user", text),), Sampling(**sampling))  # type: ignore[arg-type]


async def text_of(model: ScriptedModel | SimulatedModel, text: str, **sampling: object) -> str:
    return (await complete(model, ask(text, **sampling)))[0]


async def test_a_list_answers_in_order_and_then_says_that_it_is_used_up() -> None:
    model = ScriptedModel(["one", "two"])
    assert [await text_of(model, "a"), await text_of(model, "b")] == ["one", "two"]
    with pytest.raises(CassetteMiss, match="2 answer") as caught:
        await text_of(model, "what now?")
    assert "what now?" in str(caught.value)
    assert caught.value.hint
    assert [request.text for request in model.requests] == ["a", "b", "what now?"]


async def test_a_mapping_answers_by_a_piece_of_the_prompt() -> None:
    model = ScriptedModel({"title": ["first", "second"], re.compile(r"\bsum of \d+"): "3"})
    assert await text_of(model, "a title please") == "first"
    assert await text_of(model, "the sum of 1 and 2") == "3"
    assert await text_of(model, "another title") == "second"
    with pytest.raises(CassetteMiss, match="'title' are used"):
        await text_of(model, "title")
    with pytest.raises(CassetteMiss, match="no key") as caught:
        await text_of(model, "something else")
    assert "'title'" in caught.value.hint


async def test_a_function_may_wait_stream_and_raise() -> None:
    async def slowly(request: Request) -> str:
        await asyncio.sleep(0)
        return request.text.upper()

    def streaming(request: Request) -> AsyncIterator[str]:
        async def pieces() -> AsyncIterator[str]:
            yield "a"
            yield "b"

        return pieces()

    pieces: list[str | Chunk] = ["x", Chunk("y")]
    assert await text_of(ScriptedModel(slowly), "hi") == "HI"
    assert await complete(ScriptedModel(streaming), ask("hi")) == ("ab", Usage(1, 1, 0, 0.0), "end")
    assert await text_of(ScriptedModel(lambda request: iter(pieces)), "hi") == "xy"
    with pytest.raises(ModelBusy):
        await text_of(ScriptedModel([ModelBusy("later", retry_after_s=1)]), "hi")
    with pytest.raises(TypeError, match="a scripted answer is a str"):
        await text_of(ScriptedModel(lambda request: 7), "hi")  # type: ignore[arg-type,return-value]


async def test_ready_made_chunks_pass_and_get_an_end() -> None:
    call = ToolCall("1", "look", "{}")
    last = Chunk("c", stop="end", usage=Usage(7, 8))
    model = ScriptedModel([Chunk(tool_calls=(call,)), (Chunk("a"), Chunk("b", stop="length")), last])
    assert [chunk async for chunk in model.stream(ask("four"))][-1] == Chunk(stop="tool", usage=Usage(1, 0, 0, 0.0))
    assert await complete(model, ask("four")) == ("ab", Usage(1, 1, 0, 0.0), "length")
    assert await complete(model, ask("four")) == ("c", Usage(7, 8), "end")


@pytest.mark.parametrize(("sampling", "text", "stop"), [
    ({"max_tokens": 2}, "abcdefgh", "length"),
    ({"max_tokens": 4}, "abcdefghijklm", "end"),
    ({"stop": ("e", "cd")}, "ab", "stop"),
    ({"stop": ("x",)}, "abcdefghijklm", "end"),
    ({"stop": ("k",), "max_tokens": 1}, "abcd", "length"),
])
async def test_sampling_is_kept_to(sampling: dict[str, object], text: str, stop: Stop) -> None:
    got, usage, why = await complete(ScriptedModel(["abcdefghijklm"]), ask("hi", **sampling))
    assert (got, why, usage.completion_tokens) == (text, stop, tokens(text))


async def test_it_streams_in_pieces_with_scores_and_waits_between_them() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    model = ScriptedModel(["abcdefghij"], chunk_chars=8, delay_s=0.5, sleep=sleep)
    chunks = [chunk async for chunk in model.stream(ask("hi", logprobs=1))]
    assert [chunk.text for chunk in chunks] == ["abcdefgh", "ij", ""]
    assert [score.token for chunk in chunks for score in chunk.logprobs] == ["abcd", "efgh", "ij"]
    assert slept == [0.5, 0.5, 0.5]


async def test_it_never_passes_for_anything_but_a_script() -> None:
    model = ScriptedModel(["x"], capabilities=Capabilities("gpt-9", origin="trained", context_tokens=10, json_schema=True))
    assert model.capabilities.origin == "scripted"
    assert model.capabilities.json_schema
    with pytest.raises(ContextOverflow, match="do not fit 10"):
        await text_of(model, "x" * 44)


def test_wrong_arguments_are_refused_at_once() -> None:
    with pytest.raises(TypeError, match="lambda"):
        ScriptedModel("an answer")
    with pytest.raises(ValueError, match="chunk_chars"):
        ScriptedModel([], chunk_chars=0)


@settings(max_examples=25, deadline=None)
@given(st.text(), st.integers(1, 9))
def test_pieces_join_to_the_text(text: str, chunk_chars: int) -> None:
    model = ScriptedModel([text], chunk_chars=chunk_chars)
    got, usage, _ = asyncio.run(complete(model, ask(text)))
    assert got == text
    assert usage.completion_tokens == usage.prompt_tokens == -(-len(text) // 4)


# ------------------------------------------------------------------ simulated


class Clock:
    """Counts what is slept."""

    def __init__(self) -> None:
        self.now = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_a_simulated_reply_takes_its_time_per_token() -> None:
    clock = Clock()
    latency = Latency(overhead_s=1.0, prompt_token_s=0.1, completion_token_s=0.01, jitter=0)
    model = SimulatedModel(ScriptedModel(["x" * 400]), latency=latency, sleep=clock.sleep)
    assert await text_of(model, "y" * 80) == "x" * 400
    assert clock.now == pytest.approx(1.0 + 20 * 0.1 + 100 * 0.01)
    assert model.capabilities.origin == "simulated over scripted"


async def test_jitter_and_faults_come_from_the_seed_and_not_from_the_order() -> None:
    async def behaviour(order: list[str], seed: int) -> dict[str, str]:
        clock = Clock()
        inner = ScriptedModel(lambda request: "x" * 40)
        model = SimulatedModel(inner, faults=FaultRates.evenly(0.5), seed=seed, sleep=clock.sleep)
        found = {}
        for text in order:
            began = clock.now
            try:
                await text_of(model, text)
                end = "right"
            except ModelError as error:
                assert error.retryable
                end = type(error).__name__
            found[text] = f"{end} {clock.now - began:.6f}"
        return found

    prompts = [f"question {number}" for number in range(60)]
    first = await behaviour(prompts, 1)
    assert await behaviour(prompts[::-1], 1) == first
    assert await behaviour(prompts, 2) != first
    kinds = Counter(value.split()[0] for value in first.values())
    assert set(kinds) == {"right", "ModelBusy", "ModelFault", "ReplyCut", "ReplyStalled", "ReplyMalformed"}
    assert 18 <= kinds["right"] <= 42


async def test_the_same_request_may_succeed_at_its_next_attempt() -> None:
    model = SimulatedModel(ScriptedModel(lambda request: "ok"), faults=FaultRates.evenly(0.6), seed=3, sleep=Clock().sleep)
    ends = []
    for _ in range(20):
        try:
            ends.append(await text_of(model, "again"))
        except ModelError as error:
            ends.append(type(error).__name__)
    assert "ok" in ends
    assert sum(model.injected.values()) == 20 - ends.count("ok")
    assert set(model.injected) <= set(FAULT_KINDS)


async def test_a_stall_waits_and_then_says_so() -> None:
    clock = Clock()
    faults = FaultRates({"stall": 1.0}, stall_s=60)
    model = SimulatedModel(ScriptedModel(["x"]), faults=faults, latency=Latency(0, 0, 0), sleep=clock.sleep)
    with pytest.raises(ReplyStalled, match="60 s"):
        await text_of(model, "hi")
    assert clock.now == 60
    with pytest.raises(ValueError, match="probabilities"):
        SimulatedModel(ScriptedModel([]), faults=FaultRates({"cut": 0.7, "busy": 0.7}))
