"""Best of n by log-probability: draws in a batch are those of single requests, scores are the model's own, remote models too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rookery.decoding.best import best_of_n
from rookery.errors import CapabilityMissing, RequestRefused
from rookery.models.model import Capabilities, Message, Request, Sampling, complete
from rookery.models.openai import OpenAIModel
from rookery.models.sampler import log_softmax
from rookery.testing import ScriptedModel
from tests.decoding.toy import P, ask, hashed, toy
from tests.servers import serve


async def test_draws_are_those_of_single_requests_and_come_best_first() -> None:
    request = ask("p", temperature=1.0, seed=11, max_tokens=8, frequency_penalty=0.5, top_p=0.95)
    draws = await best_of_n(toy(hashed(4)), request, n=12)
    assert sorted(draw.sample for draw in draws) == list(range(12))
    assert [draw.score("mean") for draw in draws] == sorted((draw.score("mean") for draw in draws), reverse=True)
    for draw in draws:
        text, usage, stop = await complete(toy(hashed(4)), replace(request, sample=draw.sample))
        assert (draw.text, draw.stop, draw.tokens) == (text, stop, usage.completion_tokens)
    by_sum = await best_of_n(toy(hashed(4)), request, n=12, by="sum")
    assert [draw.logprob for draw in by_sum] == sorted((draw.logprob for draw in by_sum), reverse=True)
    assert {draw.text for draw in by_sum} == {draw.text for draw in draws}


async def test_scores_are_the_models_own_whatever_the_temperature() -> None:
    (draw,) = await best_of_n(toy(hashed(4)), ask("p", temperature=3.0, seed=1, max_tokens=4), n=1)
    model, rule, total = toy(hashed(4)), hashed(4), 0.0
    ids = (P, *model.token_model().vocabulary.encode(draw.text))
    for at in range(1, len(ids)):
        total += float(log_softmax(np.array(rule(ids[:at])))[ids[at]])
    if draw.stop == "end":
        total += float(log_softmax(np.array(rule(ids)))[0])
    assert draw.logprob == pytest.approx(total, abs=1e-4)


async def test_stop_strings_and_the_window_hold_for_each_draw() -> None:
    request = ask("p", temperature=1.0, seed=2, max_tokens=30, stop=("ab", "q"))
    for draw in await best_of_n(toy(hashed(6)), request, n=8):
        assert "ab" not in draw.text and "q" not in draw.text
    for draw in await best_of_n(toy(hashed(6), context_tokens=5), ask("p", temperature=1.0, seed=2), n=4):
        assert draw.tokens <= 4


async def test_a_server_is_asked_n_times() -> None:
    async with serve(lambda body: "rooks " * (1 + int(body.get("seed") or 0) % 3)) as server:
        model = OpenAIModel("test", base_url=server.url)
        draws = await best_of_n(model, Request((Message.of("user", "?"),), Sampling(seed=3, temperature=1.0)), n=3)
        await model.aclose()
    assert len(server.requests) == 3 and all(seen.body["logprobs"] is True for seen in server.requests)
    assert sorted(draw.text for draw in draws) == ["rooks ", "rooks rooks ", "rooks rooks rooks "]
    assert all(draw.logprob == pytest.approx(-0.5 * draw.tokens) for draw in draws)


async def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(RequestRefused, match="at least 1"):
        await best_of_n(toy(hashed()), ask(), n=0)
    mute = ScriptedModel(["x"], capabilities=Capabilities("scripted:mute", logprobs=False))
    with pytest.raises(CapabilityMissing, match="log-probabilities"):
        await best_of_n(mute, ask(), n=2)
