"""The OpenAI-compatible model against a loopback server: what is sent, what comes back, and everything that goes wrong."""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from email.utils import formatdate
from typing import Any, cast

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from rookery.models.model import Chunk, Message, Request, Sampling, ToolCall, ToolOffer, Usage, complete
from rookery.models.openai import OpenAIModel
from rookery.models.wire import ReplyReader, Unwrapper, prompt_bound, response_format, strict_schema
from tests.servers import FAULTS, Answer, Failure, Faults, Reply, Server, serve

HELLO = Request((Message.of("user", "hello"),))
POINT = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer", "default": 0}}, "required": ["x"]}


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@asynccontextmanager
async def talk(
    answer: Answer | None = None, *, model: dict[str, Any] | None = None, **served: Any
) -> AsyncIterator[tuple[OpenAIModel, Server]]:
    """A server and a model that talks to it."""
    async with serve(answer, **served) as server:
        talker = OpenAIModel("test", base_url=server.url, **(model or {}))
        try:
            yield talker, server
        finally:
            await talker.aclose()


async def chunks(model: OpenAIModel, request: Request = HELLO) -> list[Chunk]:
    return [chunk async for chunk in model.stream(request)]


# ------------------------------------------------------------------ what is sent


async def test_everything_in_a_request_is_sent() -> None:
    call = ToolCall("c1", "look", '{"at": "rooks"}')
    request = Request(
        (Message.of("system", "Be brief."), Message.of("user", "Look."), replace(Message.of("assistant", ""), tool_calls=(call,)),
         replace(Message.of("tool", "rooks"), tool_call_id="c1")),
        Sampling(temperature=0.5, top_p=0.9, max_tokens=20, stop=("\n",), seed=7, logprobs=2),
        schema=POINT, schema_name="a point", tools=(ToolOffer("look", "Look at it.", {"type": "object"}),),
        idempotency_key="run-1/call-2", sample=3, extra={"top_k": 5},
    )
    async with talk(model={"extra": {"top_k": 1, "min_p": 0.1}, "headers": {"x-team": "rook"}}) as (model, server):
        await complete(model, request)
    seen = server.requests[0]
    assert seen.headers["idempotency-key"] == "run-1/call-2"
    assert seen.headers["x-team"] == "rook"
    assert seen.headers["authorization"] == "Bearer none"
    body = seen.body
    assert body["messages"][2] == {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "rooks"}'}}]}
    assert body["messages"][3] == {"role": "tool", "content": "rooks", "tool_call_id": "c1"}
    assert body["tools"][0]["function"] == {"name": "look", "description": "Look at it.", "parameters": {"type": "object"}}
    assert body["response_format"]["json_schema"]["name"] == "a_point"
    assert body["response_format"]["json_schema"]["strict"] is True
    expected = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 20, "stop": ["\n"], "seed": 10, "logprobs": True,
                "top_logprobs": 2, "top_k": 5, "min_p": 0.1}
    assert {key: body[key] for key in expected} == expected
    assert body["stream_options"] == {"include_usage": True}


async def test_what_is_left_to_the_model_is_not_sent() -> None:
    async with talk() as (model, server):
        await complete(model, HELLO)
    assert set(server.requests[0].body) == {"model", "messages", "stream", "stream_options"}


async def test_completions_take_one_text() -> None:
    two = Request((Message.of("system", "one"), Message.of("user", "two")), Sampling(logprobs=1, max_tokens=3))
    async with talk(model={"endpoint": "completions"}) as (model, server):
        got = await chunks(model, replace(two, schema=POINT))
    assert server.requests[0].path == "/v1/completions"
    assert server.requests[0].body["prompt"] == "one\n\ntwo"
    assert server.requests[0].body["logprobs"] == 1
    assert "response_format" not in server.requests[0].body
    assert "".join(score.token for chunk in got for score in chunk.logprobs) == "The quick br"
    assert got[-1].stop == "length"


def test_the_field_for_max_tokens_goes_by_the_address() -> None:
    def field(**options: Any) -> Any:
        return OpenAIModel("gpt-5-mini", api_key="sk-x", **options)._max_tokens_field

    assert field() == "max_completion_tokens"
    assert field(base_url="http://box/v1") == "max_tokens"
    assert field(base_url="http://box/v1", max_tokens_field="max_completion_tokens") == "max_completion_tokens"


def test_a_key_goes_only_to_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    monkeypatch.setenv("BOX_KEY", "sk-of-box")
    assert OpenAIModel("gpt-5-mini")._key == "sk-of-openai"
    assert OpenAIModel("q", base_url="http://box/v1")._key == ""
    assert OpenAIModel("q", base_url="http://box/v1", api_key_env="BOX_KEY")._key == "sk-of-box"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://gateway/v1")
    gateway = OpenAIModel("q")
    assert (gateway._key, gateway.capabilities.name) == ("sk-of-openai", "openai:q@http://gateway/v1")
    assert "sk-of" not in repr(gateway)


def test_known_models_have_their_facts_and_unknown_ones_none() -> None:
    known, unknown = OpenAIModel("gpt-5-mini", api_key="x"), OpenAIModel("never-heard-of", api_key="x")
    assert known.capabilities.context_tokens
    assert known.capabilities.price_usd
    assert not known.capabilities.logprobs
    assert unknown.capabilities.price_usd is None
    assert OpenAIModel("q", base_url="http://localhost/v1", is_local=True).capabilities.price_usd == (0.0, 0.0)


async def test_what_it_cannot_do_is_refused_before_anything_is_sent() -> None:
    async with talk(model={"tools": False, "logprobs": False, "json_schema": False}) as (model, server):
        with pytest.raises(CapabilityMissing, match="takes no tools"):
            await complete(model, replace(HELLO, tools=(ToolOffer("a", "b", {}),)))
        with pytest.raises(CapabilityMissing, match="log-probabilities"):
            await complete(model, replace(HELLO, sampling=Sampling(logprobs=0)))
        await complete(model, replace(HELLO, schema=POINT))
        assert "response_format" not in server.requests[0].body
        assert len(server.requests) == 1


# ------------------------------------------------------------------ what comes back


async def test_usage_cost_and_cached_tokens() -> None:
    async with talk(lambda body: "x" * 40, model={"price_usd": (1e-3, 1e-2)}, cached_tokens=1) as (model, _):
        usage = (await complete(model, HELLO))[1]
    assert replace(usage, cost_usd=None) == Usage(2, 10, 1)
    assert usage.cost_usd == pytest.approx(0.102)
    async with talk(lambda body: "x" * 40, model={"is_local": True}) as (model, _):
        assert (await complete(model, HELLO))[1].cost_usd == 0.0


async def test_a_server_without_usage_gets_an_upper_bound() -> None:
    async with talk(lambda body: "x" * 40, usage=False, done=False) as (model, _):
        assert (await complete(model, HELLO))[1] == Usage(await model.count_tokens(HELLO), 40)
        limited = replace(HELLO, sampling=Sampling(max_tokens=3))
        assert (await complete(model, limited))[1].completion_tokens == 3


async def test_a_server_that_knows_no_stream_options_is_asked_once_more_and_remembered() -> None:
    async with talk(refuse=["stream_options"]) as (model, server):
        await complete(model, HELLO)
        await complete(model, HELLO)
        assert ["stream_options" in seen.body for seen in server.requests] == [True, False, False]
    async with talk(refuse=["messages"]) as (model, server):
        with pytest.raises(RequestRefused, match="messages"):
            await complete(model, HELLO)
        assert len(server.requests) == 1


async def test_tool_calls_are_put_together_and_come_last() -> None:
    calls = [("c1", "look", '{"at": "rooks"}'), ("c2", "count", "{}")]
    offer = replace(HELLO, tools=(ToolOffer("look", "", {}),))
    async with talk(lambda body: Reply("Let me see. ", tool_calls=calls)) as (model, _):
        got = await chunks(model, offer)
    assert "".join(chunk.text for chunk in got) == "Let me see. "
    assert got[-1].tool_calls == tuple(ToolCall(*call) for call in calls)
    assert got[-1].stop == "tool"
    assert not any(chunk.tool_calls for chunk in got[:-1])


@pytest.mark.parametrize(("reply", "stop"), [
    (Reply("a"), "end"),
    (Reply("a", finish_reason="length"), "length"),
    (Reply("a", stop_reason="###"), "stop"),
    (Reply("a", finish_reason="eos_token"), "end"),
])
async def test_why_it_stopped(reply: Reply, stop: str) -> None:
    async with talk(lambda body: reply) as (model, _):
        assert (await complete(model, replace(HELLO, sampling=Sampling(stop=("###",)))))[2] == stop


async def test_a_refusal_and_a_filter_are_typed() -> None:
    async with talk(lambda body: Reply(refusal="I would rather not.")) as (model, _):
        with pytest.raises(RequestRefused, match="rather not"):
            await complete(model, HELLO)
    async with talk(lambda body: Reply("x", finish_reason="content_filter")) as (model, _):
        with pytest.raises(RequestRefused, match="filter"):
            await complete(model, HELLO)


async def test_the_same_model_serves_one_loop_after_another() -> None:
    async with serve() as server:
        model = OpenAIModel("test", base_url=server.url)
        assert (await complete(model, HELLO))[0]
        await model.aclose()
        await model.aclose()
        assert (await complete(model, HELLO))[0]
        await model.aclose()

        def elsewhere() -> str:
            async def go() -> str:
                text, _, _ = await complete(model, HELLO)
                await model.aclose()
                return text

            return asyncio.run(go())

        assert await asyncio.to_thread(elsewhere)


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize(("fault", "expected"), [
    ("busy", ModelBusy), ("fault", ModelFault), ("malformed", ReplyMalformed), ("cut", ReplyCut), ("stall", ReplyStalled),
    ("content_type", ReplyMalformed),
])
async def test_each_fault_is_a_typed_error_and_the_next_request_is_right(fault: str, expected: type[ModelError]) -> None:
    async with talk(faults=Faults(plan=[fault]), model={"timeout_s": 0.2}) as (model, server):
        with pytest.raises(expected) as caught:
            await complete(model, HELLO)
        assert caught.value.model == model.capabilities.name
        assert caught.value.retryable
        assert (await complete(model, HELLO))[2] == "end"
        assert len(server.requests) == 2, "nothing is tried again by itself"
        if fault == "stall":
            await server.until_seen(lambda server: server.requests[0].disconnected)


async def test_at_any_rate_of_faults_a_reply_is_whole_or_an_error_of_ours() -> None:
    async with talk(faults=Faults(rate=0.6, seed=4), model={"timeout_s": 1.5}) as (model, server):
        results = await asyncio.gather(*(complete(model, HELLO) for _ in range(40)), return_exceptions=True)
    wrong = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(error, ModelError) and error.retryable for error in wrong)
    assert len(wrong) == sum(server.faults.values())
    assert set(server.faults) == set(FAULTS)
    right = {result[0] for result in results if not isinstance(result, BaseException)}
    assert right == {"The quick brown fox jumps over the lazy dog."}
    assert server.most_in_flight > 1


@pytest.mark.parametrize(("failure", "expected", "words"), [
    (Failure(400, "bad field"), RequestRefused, "bad field"),
    (Failure(400, "unsupported response_format"), RequestRefused, "json_schema=False"),
    (Failure(400, "This model's maximum context length is 10 tokens"), ContextOverflow, "shorten"),
    (Failure(400, "no", code="context_length_exceeded"), ContextOverflow, "shorten"),
    (Failure(413, "prompt is too long"), ContextOverflow, "shorten"),
    (Failure(401, "no"), SettingMissing, "OPENAI_API_KEY"),
    (Failure(403, "no"), SettingMissing, "api_key_env"),
    (Failure(402, "pay"), RequestRefused, "402"),
    (Failure(404, "The model `test` does not exist"), ModelUnknown, "/v1"),
    (Failure(408), ModelFault, "408"),
    (Failure(409), ModelFault, "409"),
    (Failure(422, "no such role"), RequestRefused, "no such role"),
    (Failure(429, "You exceeded your current quota", code="insufficient_quota"), RequestRefused, "no money"),
    (Failure(500, raw="<html>Bad</html>"), ModelFault, "500"),
    (Failure(502, raw=""), ModelFault, "502"),
    (Failure(503), ModelFault, "503"),
    (Failure(503, headers={"retry-after": "3"}), ModelBusy, "503"),
    (Failure(529, "overloaded"), ModelBusy, "overloaded"),
])
async def test_every_status_has_its_error(failure: Failure, expected: type[ModelError], words: str) -> None:
    async with talk(lambda body: failure) as (model, server):
        with pytest.raises(expected) as caught:
            await complete(model, HELLO)
        assert type(caught.value) is expected
        assert words in str(caught.value)
        assert isinstance(caught.value.__cause__, openai.APIStatusError)
        assert len(server.requests) == 1


@pytest.mark.parametrize(("headers", "seconds"), [
    ({"retry-after": "7"}, 7.0),
    ({"retry-after": "0.5"}, 0.5),
    ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
    ({"retry-after": formatdate(time.time() + 3600, usegmt=True)}, pytest.approx(3600, abs=600)),
    ({"retry-after": formatdate(time.time() - 60, usegmt=True)}, 0.0),
    ({"retry-after": "soon"}, None),
    ({}, None),
])
async def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    async with talk(lambda body: Failure(429, "slow down", headers=headers)) as (model, _):
        with pytest.raises(ModelBusy) as caught:
            await complete(model, HELLO)
    assert caught.value.retry_after_s == seconds


async def test_a_wrong_key_is_named_and_not_shown() -> None:
    async with talk(api_key="right", model={"api_key": "sk-wrong-wrong-wrong"}) as (model, _):
        with pytest.raises(RequestRefused) as caught:
            await complete(model, HELLO)
    assert "OPENAI_API_KEY" in caught.value.hint
    assert "sk-wrong" not in str(caught.value)


async def test_nobody_there(unused_tcp_port: int) -> None:
    address = f"http://127.0.0.1:{unused_tcp_port}/v1"
    model = OpenAIModel("test", base_url=address)
    with pytest.raises(ModelUnreachable, match=address) as caught:
        await complete(model, HELLO)
    assert caught.value.hint
    await model.aclose()


def test_a_host_without_an_address_is_unreachable() -> None:
    error = openai.APIConnectionError(request=_request())
    error.__cause__ = socket.gaierror(-2, "Name or service not known")
    mapped = Border("openai:test", "http://nowhere/v1", "OPENAI_API_KEY", False).error(error, reading=False)
    assert isinstance(mapped, ModelUnreachable)
    assert "Name or service not known" in mapped.reason


async def test_an_error_inside_a_stream_is_typed() -> None:
    async with talk() as (model, _):
        border = model._border
    assert isinstance(border.stream_error({"message": "CUDA out of memory"}), ModelFault)
    assert isinstance(border.stream_error({"message": "x", "code": "context_length_exceeded"}), ContextOverflow)
    assert isinstance(border.stream_error({"message": "x", "type": "rate_limit_error"}), ModelBusy)
    assert isinstance(border.stream_error({"message": "x", "code": 400}), RequestRefused)
    assert isinstance(border.stream_error("oops"), ModelFault)


async def test_closing_the_iterator_closes_the_connection_at_once() -> None:
    async with talk(lambda body: "x" * 4000, delay_s=0.01) as (model, server):
        async with aclosing(cast("AsyncGenerator[Chunk]", model.stream(HELLO))) as reply:
            await anext(reply)
        await server.until_seen(lambda server: server.requests[0].disconnected, timeout_s=0.5)

        task = asyncio.create_task(complete(model, HELLO))
        await server.until_seen(lambda server: len(server.requests) == 2)
        await asyncio.sleep(0.03)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.until_seen(lambda server: server.requests[1].disconnected, timeout_s=0.5)
        assert server.in_flight == 0


async def test_the_loop_is_never_blocked_for_long() -> None:
    async with talk() as (model, _):
        longest, last, running = 0.0, time.perf_counter(), True

        async def tick() -> None:
            nonlocal longest, last
            while running:
                last = time.perf_counter()
                await asyncio.sleep(0.001)
                longest = max(longest, time.perf_counter() - last)

        ticking = asyncio.create_task(tick())
        await complete(model, HELLO)
        running = False
        await ticking
    assert longest < 0.5


def _instances() -> list[BaseException]:
    """One of each exception class that the openai package exports."""
    request = _request()
    found: list[BaseException] = []
    for name in dir(openai):
        cls = getattr(openai, name)
        if not (inspect.isclass(cls) and issubclass(cls, Exception)):
            continue
        known = {"message": "told", "request": request, "body": None, "unsent_messages": [], "completion": _Completion()}
        if issubclass(cls, (openai.APIStatusError, openai.APIResponseValidationError)):
            status = cls.__dict__.get("status_code", 500)
            known["response"] = _response(request, status if isinstance(status, int) else 500)
        if cls.__init__ in (Exception.__init__, ValueError.__init__):
            found.append(cls("told"))
            continue
        wanted = [name for name in inspect.signature(cls.__init__).parameters if name in known]
        found.append(cls(**{name: known[name] for name in wanted}))
    return found


def _request() -> Any:
    client: Any = openai.AsyncOpenAI(api_key="x", base_url="http://h")
    return client._client.build_request("POST", "http://h/v1")


class _Completion:
    usage = None


def _response(request: Any, status: int) -> Any:
    """A response of whichever HTTP library this openai is built on."""
    module = __import__(type(request).__module__.split(".")[0])
    return module.Response(status, request=request)


@pytest.mark.parametrize("reading", [False, True])
def test_every_exception_of_the_openai_package_maps_into_our_tree(reading: bool) -> None:
    border = Border("openai:test", "http://h/v1", "OPENAI_API_KEY", True)
    errors = _instances()
    assert len(errors) > 15
    for error in errors:
        mapped = border.error(error, reading=reading)
        assert isinstance(mapped, ModelError), error
        assert mapped.reason, error
    kinds = {type(error).__name__: type(border.error(error, reading=False)).__name__ for error in errors}
    assert kinds["RateLimitError"] == "ModelBusy"
    assert kinds["APITimeoutError"] == "ReplyStalled"
    assert kinds["APIConnectionError"] == "ModelUnreachable"
    assert kinds["InternalServerError"] == "ModelFault"
    assert kinds["APIResponseValidationError"] == "ReplyMalformed"
    assert kinds["NotFoundError"] == "ModelUnknown"
    assert kinds["OpenAIError"] == "RequestRefused"


# ------------------------------------------------------------------ the wire format


@pytest.mark.parametrize("data", [
    [], "text", 7, None, {}, {"choices": None}, {"choices": ["x"]}, {"choices": [{"delta": {"content": 5}}]},
    {"choices": [{"delta": {"tool_calls": ["x"]}}]},
])
def test_pieces_that_break_the_protocol(data: Any) -> None:
    with pytest.raises(ReplyMalformed):
        ReplyReader(HELLO, model="m").feed(data)


def test_pieces_that_are_odd_but_harmless() -> None:
    reader = ReplyReader(HELLO, model="m")
    other = {"index": 1, "delta": {"content": "another draw"}}
    harmless: tuple[Any, ...] = ({"choices": []}, {"choices": [other]}, {"choices": [{"delta": None}]},
                                 {"choices": [{"delta": {}}], "usage": None}, {"usage": {"prompt_tokens": 3}})
    for odd in harmless:
        assert reader.feed(odd) is None
    with pytest.raises(ReplyCut):
        reader.end()
    assert reader.feed({"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}) == Chunk("hi")
    assert reader.end() == Chunk(stop="end", usage=Usage(3, 2))


NODE = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/T"}}}}
TREE = {"$defs": {"T": NODE}, "$ref": "#/$defs/T"}
JSON = st.recursive(
    st.none() | st.integers() | st.text("ab{}[]\" \n"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("k}", max_size=2), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(("schema", "strict"), [
    (POINT, True),
    (TREE, True),
    ({"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}, True),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, False),
    ({"type": "object", "properties": {"a": {"type": "array", "prefixItems": [{"type": "integer"}]}}}, False),
    ({"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}]}}}, False),
    ({"type": "object", "properties": {"a": {}}}, False),
])
def test_strict_where_the_schema_permits(schema: dict[str, Any], strict: bool) -> None:
    before = json.dumps(schema)
    narrow = strict_schema(schema)
    assert (narrow is not None) == strict
    assert json.dumps(schema) == before
    sent, _ = response_format(replace(HELLO, schema=schema), object_root=False)
    assert sent["json_schema"]["strict"] is strict
    assert strict or sent["json_schema"]["schema"] == schema


def test_a_strict_schema_is_closed_and_complete() -> None:
    narrow = strict_schema({"type": "object", "properties": {"p": POINT}})
    assert narrow is not None
    assert narrow["required"] == ["p"]
    assert narrow["properties"]["p"] == {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
                                         "required": ["x", "y"], "additionalProperties": False}


async def test_where_only_objects_are_taken_a_list_is_wrapped_and_unwrapped() -> None:
    titles = replace(HELLO, schema={"type": "array", "items": {"$ref": "#/$defs/T"}, "$defs": {"T": {"type": "string"}}})
    async with talk(lambda body: '{"value": ["a}", "b"]}') as (model, server):
        model._object_root = True  # as at OpenAI's own address
        text, usage, _ = await complete(model, titles)
    assert json.loads(text) == ["a}", "b"]
    assert usage.completion_tokens == 6
    sent = server.requests[0].body["response_format"]["json_schema"]["schema"]
    assert sent["properties"]["value"]["items"] == {"$ref": "#/$defs/T"}
    assert sent["$defs"] == {"T": {"type": "string"}}


@settings(max_examples=200, deadline=None)
@given(JSON, st.integers(1, 5), st.sampled_from([None, 2]), st.sampled_from(["", " ", "\n  "]))
def test_unwrapping_gives_the_value_whatever_the_pieces(value: Any, step: int, indent: int | None, space: str) -> None:
    text = space + json.dumps({"value": value}, indent=indent) + space
    unwrapper = Unwrapper()
    out = "".join(unwrapper.feed(text[at : at + step]) for at in range(0, len(text), step)) + unwrapper.end()
    assert json.loads(out) == value


@pytest.mark.parametrize("text", ["", "plain words that are no JSON at all, and more", '{"other": 1}', '["bare"]', '{"value":'])
def test_unwrapping_leaves_other_shapes_alone(text: str) -> None:
    unwrapper = Unwrapper()
    assert "".join(map(unwrapper.feed, text)) + unwrapper.end() == text


@given(st.text(max_size=60))
def test_the_bound_on_the_prompt_is_above_any_byte_level_count(text: str) -> None:
    assert prompt_bound(Request((Message.of("user", text),))) >= len(text.encode()) + 8


def test_a_score_that_is_missing_is_a_number() -> None:
    reader = ReplyReader(HELLO, model="m")
    data = {"choices": [{"text": "ab", "logprobs": {"tokens": ["ab"], "token_logprobs": [None], "top_logprobs": None}}]}
    chunk = reader.feed(data)
    assert chunk is not None
    assert math.isfinite(chunk.logprobs[0].logprob)


