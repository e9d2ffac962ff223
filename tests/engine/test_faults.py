"""A hostile server: every run ends right or with a typed error, and the server is not asked much more often than needed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rookery import Attempts, RookeryError, graph, prompt, start, tool
from rookery.errors import CallFailed, ContextOverflow, ModelUnreachable, SettingMissing
from rookery.models.model import Capabilities
from rookery.models.openai import OpenAIModel
from rookery.testing import ScriptedModel
from tests.servers import Faults, serve


@prompt(attempts=Attempts(stop=8, wait=0.01))
def number(x: int) -> int:
    """Give the number {x}."""


@tool(inline=True)
def total(xs: list[int]) -> int:
    return sum(xs)


@graph
def sums(xs: list[int]) -> int:
    return total(xs=number.each(x=xs))


def answered(body: dict[str, Any]) -> str:
    return str(body["messages"][0]["content"]).split("number ")[1].split(".")[0]


async def test_a_run_outlives_a_fifth_of_faults() -> None:
    calls = 200
    async with serve(answered, faults=Faults(rate=0.2, seed=3, stall_s=5)) as server:
        model = OpenAIModel("test", base_url=server.url, timeout_s=2.0, max_in_flight=16)
        async with start(sums, xs=list(range(calls)), model=model) as r:
            assert await r == sum(range(calls))
        await model.aclose()
        assert len(server.requests) / calls <= 1.3
        assert {fault for fault in (seen.fault for seen in server.requests) if fault} >= {"429", "500"} or server.faults


async def test_where_nothing_helps_the_error_is_ours() -> None:
    async with serve(lambda body: "no number", faults=Faults(rate=0.9, seed=1, stall_s=5)) as server:
        model = OpenAIModel("test", base_url=server.url, timeout_s=0.2, max_in_flight=16)
        with pytest.raises(RookeryError) as caught:
            async with start(sums, xs=[1, 2, 3], model=model) as r:
                await r
        await model.aclose()
    assert isinstance(caught.value, CallFailed) and caught.value.call.startswith("number[")


async def test_nobody_at_the_address() -> None:
    model = OpenAIModel("test", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(CallFailed, match=r"127\.0\.0\.1:9") as caught:
        async with start(number.using(attempts=1), x=1, model=model) as r:
            await r
    assert isinstance(caught.value.__cause__, ModelUnreachable) and caught.value.hint
    await model.aclose()


async def test_a_missing_key_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(CallFailed, match="OPENAI_API_KEY") as caught:
        async with start(number, x=1, model="openai:gpt-5-mini") as r:
            await r
    assert isinstance(caught.value.__cause__, SettingMissing)


async def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(CallFailed, match="opnai") as caught:
        async with start(number, x=1, model="opnai:gpt-5-mini") as r:
            await r
    assert "openai" in str(caught.value)


async def test_a_prompt_that_does_not_fit_says_so() -> None:
    window = Capabilities("scripted:small", context_tokens=5, exact_token_count=True, is_local=True)
    with pytest.raises(CallFailed, match="do not fit the window of 5") as caught:
        async with start(number, x=1, model=ScriptedModel(["1"], capabilities=window)) as r:
            await r
    assert isinstance(caught.value.__cause__, ContextOverflow)


async def test_cancelling_a_run_closes_its_streams() -> None:
    async with serve(lambda body: "12 " * 200, delay_s=0.05, chunk_chars=3) as server:
        model = OpenAIModel("test", base_url=server.url)
        async with start(number, x=1, model=model) as r:
            await server.until_seen(lambda s: len(s.requests) > 0)
            await asyncio.sleep(0.1)
            r.cancel()
            with pytest.raises(RookeryError):
                await r
            await server.until_seen(lambda s: s.requests[0].disconnected)
        await model.aclose()
