"""Every model keeps the contract of Model, and the contract catches those that do not."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import rookery.models
from rookery.errors import SkillMissing
from rookery.models.litellm import LiteLLMModel
from rookery.models.model import Capabilities, Chunk, Message, Model, Request, Sampling, Usage
from rookery.models.openai import OpenAIModel
from rookery.models.provider import model
from rookery.models.settings import Settings
from rookery.testing import FaultRates, Latency, RecordedModel, ScriptedModel, SimulatedModel, check_model
from tests.servers import serve

SENTENCE = "Rooks gather in tall trees, where each pair guards its own nest against all the others."
Factory = Callable[[], Model]


def scripted() -> ScriptedModel:
    facts = Capabilities("scripted:test", context_tokens=2000, logprobs=True)
    return ScriptedModel(lambda request: SENTENCE, capabilities=facts, chunk_chars=7)


@asynccontextmanager
async def in_scripted(folder: Path) -> AsyncIterator[Factory]:
    yield scripted


@asynccontextmanager
async def in_simulated(folder: Path) -> AsyncIterator[Factory]:
    latency = Latency(overhead_s=0.001, prompt_token_s=0.00001, completion_token_s=0.0001)
    yield lambda: SimulatedModel(scripted(), latency=latency, faults=FaultRates())


@asynccontextmanager
async def in_recorded(folder: Path) -> AsyncIterator[Factory]:
    yield lambda: RecordedModel(folder / "cassette.jsonl", inner=scripted(), mode="auto")


@asynccontextmanager
async def in_recording(folder: Path) -> AsyncIterator[Factory]:
    yield lambda: RecordedModel(folder / "cassette.jsonl", inner=scripted(), mode="record")


@asynccontextmanager
async def in_openai_chat(folder: Path) -> AsyncIterator[Factory]:
    async with serve(lambda body: SENTENCE) as server:
        yield lambda: OpenAIModel("test", base_url=server.url)


@asynccontextmanager
async def in_openai_completions(folder: Path) -> AsyncIterator[Factory]:
    async with serve(lambda body: SENTENCE) as server:
        yield lambda: OpenAIModel("test", base_url=server.url, endpoint="completions")


@asynccontextmanager
async def in_litellm(folder: Path) -> AsyncIterator[Factory]:
    async with serve(lambda body: SENTENCE) as server:
        yield lambda: LiteLLMModel("openai/test", base_url=server.url, logprobs=True, tools=True)
    # What litellm's worker threads hold of cancelled requests goes now, while its warnings are filtered, not in a later test.
    await asyncio.get_running_loop().shutdown_default_executor()
    await asyncio.sleep(0)
    gc.collect()


MODELS: list[Callable[[Path], AbstractAsyncContextManager[Factory]]] = [
    in_scripted, in_simulated, in_recorded, in_recording, in_openai_chat, in_openai_completions, in_litellm,
]


@pytest.mark.parametrize("setting", MODELS, ids=lambda setting: setting.__name__.removeprefix("in_"))
async def test_keeps_the_contract(setting: Callable[[Path], AbstractAsyncContextManager[Factory]], tmp_path: Path) -> None:
    async with setting(tmp_path) as factory:
        await check_model(factory)


async def test_a_replay_alone_keeps_the_contract(tmp_path: Path) -> None:
    cassette = tmp_path / "cassette.jsonl"
    await check_model(lambda: RecordedModel(cassette, inner=scripted(), mode="auto"))
    await check_model(lambda: RecordedModel(cassette, repeat=True))


class Sloppy:
    """Breaks nearly every part of the contract."""

    def __init__(self) -> None:
        self.asked = 0

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities("sloppy", exact_token_count=True, logprobs=True, max_in_flight=self.asked)

    async def count_tokens(self, request: Request) -> int:
        return 1

    async def aclose(self) -> None:
        pass

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        self.asked += 1
        if request.tools:
            raise KeyError("tools")
        yield Chunk("one ", stop="end", usage=Usage(5, 9))
        yield Chunk(f"two and number {self.asked}")


async def test_the_contract_reports_all_that_is_broken_at_once() -> None:
    with pytest.raises(AssertionError) as caught:
        await check_model(Sloppy)
    told = str(caught.value)
    for clause in ("tells facts", "ends well", "counts", "keeps to max tokens", "keeps to stops", "closes early", "scores",
                   "answers side by side", "raises only ours"):
        assert f"\n  {clause}: " in told, clause
    assert "KeyError" in told


@pytest.mark.parametrize("cls", [ScriptedModel, SimulatedModel, RecordedModel, OpenAIModel, LiteLLMModel])
def test_options_are_keyword_only(cls: type) -> None:
    first, *options = inspect.signature(cls).parameters.values()
    assert first.kind is first.POSITIONAL_OR_KEYWORD
    assert all(option.kind is option.KEYWORD_ONLY for option in options)


async def test_a_cancelled_reader_stops_the_work_behind_it() -> None:
    closed = asyncio.Event()

    async def endless(request: Request) -> AsyncIterator[str]:
        try:
            while True:
                await asyncio.sleep(0.001)
                yield "caw "
        finally:
            closed.set()

    reply = ScriptedModel(lambda request: endless(request)).stream(Request((Message.of("user", "?"),)))
    task = asyncio.create_task(_drain(reply))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(closed.wait(), 1)


async def _drain(reply: AsyncIterator[Chunk]) -> None:
    async for _ in reply:
        pass


# The weights are trained apart from the code: a checkout without them has no embedded model to hold to the contract.
if any((Path(rookery.models.__file__).parent / "weights").glob("*.safetensors")):

    async def test_the_embedded_model_keeps_the_contract() -> None:
        from rookery.models.skills import NEXT_STEPS

        question = Request((Message.of("user", NEXT_STEPS.prompt(NEXT_STEPS.example)),), Sampling(temperature=0, max_tokens=48))
        await check_model(lambda: model("embedded:game24", settings=Settings()), request=question)
        embedded = model("embedded:game24", settings=Settings())
        assert embedded.capabilities.skills, "an embedded model says which skills it has"
        with pytest.raises(SkillMissing):
            async for _ in embedded.stream(Request((Message.of("user", "Who was Ada Lovelace?"),), Sampling(max_tokens=8))):
                pass
        await embedded.aclose()


def test_sampling_is_replaced_not_changed() -> None:
    request = Request((Message.of("user", "hi"),))
    assert replace(request, sampling=Sampling(seed=1)) != request
