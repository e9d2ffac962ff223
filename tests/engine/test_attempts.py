"""Attempts, fallback, Retry-After, limits, and the result cache."""

from __future__ import annotations

import asyncio
import time

import pytest
from tenacity import stop_after_attempt, wait_fixed

from rookery import Attempts, Limit, ResultCache, graph, prompt, run, start, tool
from rookery.core import event as ev
from rookery.errors import CallFailed, LimitReached, ModelBusy, ModelFault, RequestRefused
from rookery.models.model import Capabilities, Chunk, Request, Usage
from rookery.testing import ScriptedModel
from tests.programs import EXECUTED, total

SOON = Attempts(stop=3, wait=0.01)


@prompt(attempts=SOON)
def greet(name: str) -> str:
    """Greet {name}."""


def fails(times: int, error: Exception, then: str = "hello") -> ScriptedModel:
    left = [times]

    def answer(request: Request) -> str | Exception:
        left[0] -= 1
        return error if left[0] >= 0 else then

    return ScriptedModel(answer)


def test_only_retryable_errors_are_tried_again() -> None:
    model = fails(2, ModelFault("500"))
    assert run(greet, name="ada", model=model) == "hello" and len(model.requests) == 3
    model = fails(1, RequestRefused("400"))
    with pytest.raises(CallFailed, match="400"):
        run(greet, name="ada", model=model)
    assert len(model.requests) == 1


def test_attempts_end() -> None:
    model = fails(9, ModelFault("500"))
    with pytest.raises(CallFailed, match="after 3 attempts") as caught:
        run(greet, name="ada", model=model)
    assert len(model.requests) == 3 and caught.value.attempts == 3


def test_tenacity_policies_are_taken_as_they_are() -> None:
    model = fails(9, ModelFault("500"))
    with pytest.raises(CallFailed):
        run(greet.using(attempts=Attempts(stop=stop_after_attempt(2), wait=wait_fixed(0))), name="ada", model=model)
    assert len(model.requests) == 2


def test_retry_after_is_not_undercut() -> None:
    model = fails(1, ModelBusy("429", retry_after_s=0.3))
    started = time.monotonic()
    assert run(greet, name="ada", model=model) == "hello"
    assert time.monotonic() - started >= 0.3


def test_every_attempt_has_the_same_idempotency_key() -> None:
    model = fails(2, ModelFault("500"))
    run(greet, name="ada", model=model)
    keys = {request.idempotency_key for request in model.requests}
    assert len(keys) == 1 and keys != {""}


def test_fallback_asks_the_next_model() -> None:
    first, second = fails(9, ModelFault("500")), ScriptedModel(["from the second"])
    assert run(greet.using(fallback=[second]), name="ada", model=first) == "from the second"
    assert len(first.requests) == 3


def test_attempts_are_in_the_log() -> None:
    async def watch() -> list[ev.Event]:
        async with start(greet, name="ada", model=fails(1, ModelFault("500"))) as r:
            return [event async for event in r]

    failed = [event for event in asyncio.run(watch()) if isinstance(event, ev.AttemptFailed)]
    assert len(failed) == 1 and failed[0].fault.kind == "ModelFault" and failed[0].wait_s == pytest.approx(0.01)


def test_tools_are_tried_again_only_where_they_say_so() -> None:
    EXECUTED.clear()

    @tool(inline=True)
    def flaky(x: int) -> int:
        EXECUTED.append("flaky")
        if len(EXECUTED) < 3:
            raise ConnectionError("down")
        return x

    with pytest.raises(CallFailed):
        run(flaky, x=1)
    assert len(EXECUTED) == 1
    EXECUTED.clear()
    assert run(flaky.using(attempts=SOON), x=1) == 1


class Hungry:
    """A model that uses as many tokens as it is allowed, and says so."""

    def __init__(self, max_in_flight: int | None = None) -> None:
        self.used = 0
        self.capabilities = Capabilities(
            "scripted:hungry", is_local=True, exact_token_count=True, price_usd=(0.0, 0.001), max_in_flight=max_in_flight
        )
        self.flying = self.most = 0

    async def stream(self, request: Request):  # type: ignore[no-untyped-def]
        self.flying += 1
        self.most = max(self.most, self.flying)
        await asyncio.sleep(0.002)
        self.flying -= 1
        tokens = request.sampling.max_tokens or 100
        self.used += 10 + tokens
        yield Chunk("x")
        yield Chunk(stop="length", usage=Usage(10, tokens, cost_usd=tokens * 0.001))

    async def count_tokens(self, request: Request) -> int:
        return 10

    async def aclose(self) -> None:
        return None


@prompt(max_tokens=90)
def eat(x: int) -> str:
    """Eat {x}."""


@tool(inline=True)
def count(xs: list[str]) -> int:
    return len(xs)


@graph
def feast(xs: list[int]) -> int:
    return count(xs=eat.each(x=xs))


@pytest.mark.parametrize(
    ("limit", "cap"), [(Limit(tokens=1000), 1000), (Limit(calls=10), 1000), (Limit(usd=0.9), 1000), (Limit(tokens=5000) & Limit(tokens=1000), 1000)]
)
def test_64_branches_never_overshoot_one_limit(limit: Limit, cap: int) -> None:
    model = Hungry()
    with pytest.raises(LimitReached) as caught:
        run(feast, xs=list(range(64)), model=model, limit=limit)
    assert model.used <= cap
    assert caught.value.what in ("tokens", "calls", "usd") and caught.value.hint


def test_a_limit_that_is_enough_is_no_hindrance() -> None:
    model = Hungry()
    assert run(feast, xs=list(range(64)), model=model, limit=Limit(tokens=6400, calls=64)) == 64
    assert model.used == 6400


def test_a_model_s_places_are_kept() -> None:
    model = Hungry(max_in_flight=4)
    assert run(feast, xs=list(range(20)), model=model) == 20
    assert model.most == 4


def test_seconds_end_a_run() -> None:
    @tool
    async def endless(x: int) -> int:
        await asyncio.sleep(60)
        return x

    started = time.monotonic()
    with pytest.raises(LimitReached, match="seconds"):
        run(endless, x=1, limit=Limit(seconds=0.2))
    assert time.monotonic() - started < 2


def test_equal_calls_are_carried_out_once() -> None:
    made: list[int] = []

    @tool(pure=True)
    async def slow(x: int) -> int:
        made.append(x)
        await asyncio.sleep(0.02)
        return x

    @graph
    def hundred(xs: list[int]) -> int:
        return total(xs=slow.each(x=xs))

    assert run(hundred, xs=[7] * 100) == 700
    assert made == [7]


def test_prompts_are_cached_when_their_sampling_is_deterministic() -> None:
    @graph
    def three(xs: list[int]) -> int:
        return count(xs=eat.using(temperature=0.0).each(x=xs))

    model = Hungry()
    assert run(three, xs=[1, 1, 2], model=model) == 3
    assert model.used == 200
    model = Hungry()
    run(feast, xs=[1, 1, 2], model=model)
    assert model.used == 300


def test_a_cache_may_outlive_runs_and_processes(tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = Hungry()
    for _ in range(2):
        cache = ResultCache(tmp_path / "cache.db")
        assert run(eat.using(cache=True), x=1, model=model, cache=cache) == "x"
        cache.close()
    assert model.used == 100


def test_when_the_one_who_makes_it_fails_another_makes_it() -> None:
    made: list[int] = []

    @tool(pure=True, attempts=Attempts(stop=2, wait=0.0))
    async def flaky(x: int) -> int:
        made.append(x)
        await asyncio.sleep(0.01)
        if len(made) == 1:
            raise ConnectionError("down")
        return x

    @graph
    def several(xs: list[int]) -> int:
        return total(xs=flaky.each(x=xs))

    assert run(several, xs=[5] * 10) == 50
    assert len(made) == 2
