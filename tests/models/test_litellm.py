"""Models through litellm, against the loopback server."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from rookery.errors import (
    CapabilityMissing,
    ContextOverflow,
    ModelBusy,
    ModelError,
    ModelFault,
    ModelUnknown,
    ModelUnreachable,
    ReplyCut,
    ReplyMalformed,
    ReplyStalled,
    RequestRefused,
    SettingMissing,
)
from rookery.models.foreign import Border
from rookery.models.litellm import LiteLLMModel
from rookery.models.model import Chunk, Message, Request, Sampling, ToolCall, ToolOffer, Usage, complete
from rookery.models.prices import known
from tests.servers import Failure, Faults, Reply, serve

HELLO = Request((Message.of("user", "hello"),))


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


async def test_a_reply_with_cost(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    request = replace(HELLO, sampling=Sampling(temperature=0, seed=3, max_tokens=50, stop=("zzz",)), extra={"top_k": 3},
                      idempotency_key="abc")
    async with serve(cached_tokens=1) as server:
        model = LiteLLMModel("openai/test", base_url=server.url, price_usd=(1e-3, 1e-2))
        with caplog.at_level(logging.DEBUG):
            text, usage, stop = await complete(model, request)
        await model.aclose()
    assert (text, stop) == ("The quick brown fox jumps over the lazy dog.", "end")
    assert replace(usage, cost_usd=None) == Usage(2, 11, 1)
    assert usage.cost_usd == pytest.approx(0.112)
    body = server.requests[0].body
    assert (body["seed"], body["top_k"], body["max_tokens"], body["stop"], body["model"]) == (3, 3, 50, ["zzz"], "test")
    assert server.requests[0].headers["idempotency-key"] == "abc"
    assert not [record for record in caplog.records if record.name.startswith("LiteLLM")]
    assert capsys.readouterr() == ("", "")


async def test_tools_and_schemas() -> None:
    call = ("c1", "look", '{"at": "rooks"}')
    titles = replace(HELLO, schema={"type": "array", "items": {"type": "string"}})
    async with serve(lambda body: Reply(tool_calls=[call]) if "tools" in body else '{"value": ["a"]}') as server:
        model = LiteLLMModel("openai/test", base_url=server.url, tools=True, json_schema=True)
        chunks = [chunk async for chunk in model.stream(replace(HELLO, tools=(ToolOffer("look", "", {"type": "object"}),)))]
        assert chunks[-1].tool_calls == (ToolCall(*call),)
        assert chunks[-1].stop == "tool"
        assert (await complete(model, titles))[0] == '["a"]'
        await model.aclose()
        plain = LiteLLMModel("openai/test", base_url=server.url)
        with pytest.raises(CapabilityMissing, match="tools"):
            await complete(plain, replace(HELLO, tools=(ToolOffer("look", "", {}),)))
        with pytest.raises(CapabilityMissing, match="log-prob"):
            await complete(plain, replace(HELLO, sampling=Sampling(logprobs=0)))


@pytest.mark.parametrize(("fault", "expected"), [
    ("busy", ModelBusy), ("fault", ModelFault), ("malformed", ReplyMalformed), ("cut", ReplyCut), ("stall", ReplyStalled),
    ("content_type", ReplyCut),
])
async def test_each_fault_is_a_typed_error_and_nothing_is_tried_again(fault: str, expected: type[ModelError]) -> None:
    async with serve(faults=Faults(plan=[fault])) as server:
        model = LiteLLMModel("openai/test", base_url=server.url, timeout_s=0.3)
        with pytest.raises(expected) as caught:
            await complete(model, HELLO)
        assert caught.value.retryable
        assert len(server.requests) == 1
        assert (await complete(model, HELLO))[2] == "end"
        await model.aclose()


@pytest.mark.parametrize(("failure", "expected"), [
    (Failure(400, "bad field"), RequestRefused),
    (Failure(400, "This model's maximum context length is 10 tokens", code="context_length_exceeded"), ContextOverflow),
    (Failure(401, "no"), SettingMissing),
    (Failure(404, "The model does not exist"), ModelUnknown),
    (Failure(500, raw="<html>"), ModelFault),
    (Failure(503, headers={"retry-after": "7"}), ModelBusy),
])
async def test_every_status_has_its_error(failure: Failure, expected: type[ModelError]) -> None:
    async with serve(lambda body: failure) as server:
        model = LiteLLMModel("openai/test", base_url=server.url)
        with pytest.raises(expected) as caught:
            await complete(model, HELLO)
        assert type(caught.value) is expected
        assert "litellm." not in caught.value.reason
        if isinstance(caught.value, ModelBusy):
            assert caught.value.retry_after_s == 7.0
        await model.aclose()


async def test_no_server_no_provider_no_key(unused_tcp_port: int) -> None:
    nobody = LiteLLMModel("openai/test", base_url=f"http://127.0.0.1:{unused_tcp_port}/v1")
    with pytest.raises(ModelUnreachable, match=str(unused_tcp_port)):
        await complete(nobody, HELLO)
    await nobody.aclose()
    with pytest.raises(ModelUnknown, match="nonsense/model"):
        await complete(LiteLLMModel("nonsense/model"), HELLO)
    for name, variable in (("anthropic/claude-sonnet-4-5", "ANTHROPIC_API_KEY"), ("gpt-4o", "OPENAI_API_KEY")):
        with pytest.raises(SettingMissing) as caught:
            await complete(LiteLLMModel(name), HELLO)
        assert variable in caught.value.hint


async def test_closing_the_iterator_closes_the_connection() -> None:
    async with serve(lambda body: "x" * 4000, delay_s=0.01) as server:
        model = LiteLLMModel("openai/test", base_url=server.url)
        async with aclosing(cast("AsyncGenerator[Chunk]", model.stream(HELLO))) as reply:
            await anext(reply)
        await server.until_seen(lambda server: server.requests[0].disconnected, timeout_s=0.5)
        await model.aclose()


async def test_one_model_closed_leaves_the_others_their_connections() -> None:
    async with serve() as server:
        one, other = (LiteLLMModel("openai/test", base_url=server.url) for _ in range(2))
        await complete(one, HELLO)
        await complete(other, HELLO)
        await one.aclose()
        await complete(other, HELLO)
        await other.aclose()
        await complete(one, HELLO)
        await one.aclose()


def test_facts_come_from_the_table_without_an_import() -> None:
    facts = LiteLLMModel("anthropic/claude-sonnet-4-5").capabilities
    assert facts.context_tokens
    assert facts.price_usd
    assert facts.tools
    assert LiteLLMModel("groq/never-heard-of").capabilities.price_usd is None
    entry = known("gpt-5-mini")
    assert entry is not None
    assert entry.price is not None
    full, cached = entry.price.cost_usd(1000, 10), entry.price.cost_usd(1000, 10, 1000)
    assert 0 < cached < full


def test_the_first_use_stays_offline_and_leaves_the_environment_alone(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ROOKERY_TEST_LEAK=1\n")
    code = (
        "import asyncio, os, sys\n"
        "reached = []\n"
        "watched = ('socket.connect', 'socket.getaddrinfo')\n"
        "sys.addaudithook(lambda name, args: reached.append(args) if name in watched else None)\n"
        "before = dict(os.environ)\n"
        "from rookery.models.litellm import _load\n"
        "litellm = _load()\n"
        "assert not reached, reached\n"
        "changed = {k for k in set(before) | set(os.environ) if before.get(k) != os.environ.get(k)}\n"
        "assert not changed, changed\n"
        "assert litellm.telemetry is False and litellm.success_callback == [] and litellm.callbacks == []\n"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""


def test_litellms_own_errors_map_into_our_tree() -> None:
    import litellm.exceptions as theirs

    border = Border("litellm:x/y", "x", "X_API_KEY", True)
    arguments: dict[str, Any] = {"message": "told", "model": "y", "llm_provider": "x"}
    expected = {
        "AuthenticationError": "RequestRefused", "NotFoundError": "ModelUnknown", "BadRequestError": "RequestRefused",
        "Timeout": "ReplyStalled", "RateLimitError": "ModelBusy", "ContextWindowExceededError": "ContextOverflow",
        "ServiceUnavailableError": "ModelFault", "InternalServerError": "ModelFault", "APIConnectionError": "ModelFault",
        "ContentPolicyViolationError": "RequestRefused", "UnsupportedParamsError": "RequestRefused",
    }
    for name, kind in expected.items():
        error = getattr(theirs, name)(**arguments)
        assert type(border.error(error, reading=False)).__name__ == kind, name
    inner = theirs.RateLimitError(**arguments)
    assert isinstance(border.error(theirs.MidStreamFallbackError(**arguments, original_exception=inner), reading=True), ModelBusy)
