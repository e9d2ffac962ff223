"""A loopback server that speaks OpenAI's protocol and misbehaves on request: wrong statuses, broken, cut and stalled streams.

    async with serve(answer=lambda body: "hello", faults=Faults(rate=0.2, seed=1)) as server:
        model = OpenAIModel("test", base_url=server.url)
        ...
        server.requests[0].body, server.requests[0].disconnected
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FAULTS = ("busy", "fault", "malformed", "cut", "stall", "content_type")
"""429 with Retry-After, 500, an SSE line that is no JSON, a stream that ends early, one that stops moving, 200 text/html."""

CHARS_PER_TOKEN = 4


@dataclass(frozen=True)
class Faults:
    """Which requests go wrong, and how; equal seeds make the same plan."""

    rate: float = 0.0
    """The share of requests that go wrong (0 to 1), drawn from ``kinds``."""
    seed: int = 0
    kinds: Sequence[str] = FAULTS
    plan: Sequence[str | None] = ()
    """What happens to the first requests, in order of arrival; ``rate`` rules those after."""
    retry_after: str = "0"
    stall_s: float = 30.0

    def pick(self, number: int) -> str | None:
        """The fault of the request with this number, counted from 0."""
        if number < len(self.plan):
            return self.plan[number]
        draw = random.Random(f"{self.seed}:{number}")
        return draw.choice(list(self.kinds)) if draw.random() < self.rate else None


@dataclass(frozen=True)
class Reply:
    """An answer with more than text."""

    text: str = ""
    tool_calls: Sequence[tuple[str, str, str]] = ()
    """(id, name, arguments as JSON text)"""
    finish_reason: str | None = None
    refusal: str = ""
    stop_reason: str | None = None


@dataclass(frozen=True)
class Failure:
    """An answer that is an HTTP error."""

    status: int
    message: str = "no"
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: str | None = None
    """The body as it is, instead of OpenAI's error object."""


@dataclass
class Seen:
    """One request as the server saw it."""

    number: int
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    fault: str | None = None
    finished: bool = False
    """The whole reply was written."""
    disconnected: bool = False
    """The client went away before that."""


Answer = Callable[[dict[str, Any]], "str | Reply | Failure | Awaitable[str | Reply | Failure]"]


class _Gone(Exception):
    """The client closed the connection."""


class Server:
    """What ``serve`` gives: where it is, and what it has seen."""

    def __init__(self, answer: Answer, faults: Faults, options: dict[str, Any]) -> None:
        self.url = ""
        """The base URL, with ``/v1``."""
        self.requests: list[Seen] = []
        """Every request for an answer, in order of arrival (not those for ``/models``)."""
        self.faults = Counter[str]()
        """How often each fault was produced."""
        self.connections = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self._answer = answer
        self._faults = faults
        self._options = options
        self._tasks: set[asyncio.Task[None]] = set()

    async def until_seen(self, condition: Callable[[Server], bool], *, timeout_s: float = 5.0) -> None:
        """Wait until ``condition(server)`` holds."""
        async with asyncio.timeout(timeout_s):
            while not condition(self):  # noqa: ASYNC110  any condition on the counters may be waited for
                await asyncio.sleep(0.005)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its reply; False when the connection must be closed."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        wire = _Wire(reader, writer)
        key = self._options["api_key"]
        if key is not None and headers.get("authorization") != f"Bearer {key}":
            return await wire.failure(Failure(401, f"Incorrect API key provided: {headers.get('authorization', 'none')}"))
        if path.endswith("/models") and method == "GET":
            data = [{"id": name, "object": "model", "created": 0, "owned_by": self._options["owner"]} for name in self._options["models"]]
            return await wire.whole(200, json.dumps({"object": "list", "data": data}))
        beside = self._options["beside"].get(path)
        if beside is not None:
            return await wire.whole(200, json.dumps(beside(json.loads(raw or b"{}"))))
        if not path.endswith("/completions"):
            return await wire.failure(Failure(404, f"no such path: {path}"))
        seen = Seen(len(self.requests), path, headers, json.loads(raw or b"{}"))
        self.requests.append(seen)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            stays = await self._reply(seen, wire)
            seen.finished = seen.fault is None
            return stays
        except (_Gone, ConnectionError):
            seen.disconnected = True
            return False
        finally:
            self.in_flight -= 1

    async def _reply(self, seen: Seen, wire: _Wire) -> bool:
        refused = [name for name in self._options["refuse"] if name in seen.body]
        if refused:
            return await wire.failure(Failure(400, f"Unrecognized request argument supplied: {refused[0]}"))
        seen.fault = self._faults.pick(seen.number)
        if seen.fault:
            self.faults[seen.fault] += 1
        if seen.fault == "busy":
            return await wire.failure(Failure(429, "slow down", headers={"retry-after": self._faults.retry_after}))
        if seen.fault == "fault":
            return await wire.failure(Failure(500, "internal error"))
        if seen.fault == "content_type":
            return await wire.whole(200, "<html><body>Welcome to nginx!</body></html>", kind="text/html; charset=utf-8")
        answer = self._answer(seen.body)
        if inspect.isawaitable(answer):
            answer = await answer
        if isinstance(answer, Failure):
            return await wire.failure(answer)
        pieces = _pieces(seen, Reply(answer) if isinstance(answer, str) else answer, self._options)
        return await self._stream(seen, wire, pieces)

    async def _stream(self, seen: Seen, wire: _Wire, pieces: list[dict[str, Any]]) -> bool:
        """Write the pieces; a faulty reply breaks after about half of its text."""
        breaks_at = max(1, len(pieces) // 2 - 1)
        await wire.begin()
        for place, piece in enumerate(pieces):
            if place == breaks_at and seen.fault == "cut":
                return False
            if place == breaks_at and seen.fault == "stall":
                await wire.pause(self._faults.stall_s)
                return False
            if place == breaks_at and seen.fault == "malformed":
                await wire.event('{"choices": [{"delta": {"content": "oops')
            await wire.pause(self._options["delay_s"])
            await wire.event(json.dumps(piece))
        if self._options["done"]:
            await wire.event("[DONE]")
        await wire.finish()
        return True


_NONE: Mapping[str, str] = {}


class _Wire:
    """HTTP/1.1 on one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def failure(self, failure: Failure) -> bool:
        error = {"error": {"message": failure.message, "type": "error", "param": None, "code": failure.code}}
        body = json.dumps(error) if failure.raw is None else failure.raw
        return await self.whole(failure.status, body, extra=failure.headers)

    async def whole(self, status: int, body: str, *, kind: str = "application/json", extra: Mapping[str, str] = _NONE) -> bool:
        data = body.encode()
        lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(data)}"]
        lines += [f"{name}: {value}" for name, value in extra.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + data)
        await self._writer.drain()
        return True

    async def begin(self) -> None:
        self._writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        await self._writer.drain()

    async def event(self, data: str) -> None:
        self._check()
        text = f"data: {data}\n\n".encode()
        self._writer.write(f"{len(text):x}\r\n".encode() + text + b"\r\n")
        await self._writer.drain()

    async def finish(self) -> None:
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def pause(self, seconds: float) -> None:
        """Sleep, but notice when the client goes away."""
        end = asyncio.get_running_loop().time() + seconds
        while (left := end - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, 0.005))
            self._check()

    def _check(self) -> None:
        if self._reader.at_eof() or self._reader.exception() is not None or self._writer.is_closing():
            raise _Gone


def tokens(text: str) -> int:
    """The server's tokens: four characters each, rounded up."""
    return -(-len(text) // CHARS_PER_TOKEN)


def prompt_of(body: Mapping[str, Any]) -> str:
    """The prompt in a request's body, whichever endpoint it was for."""
    if "prompt" in body:
        return str(body["prompt"])
    return "\n\n".join(str(message.get("content") or "") for message in body.get("messages", ()))


def _pieces(seen: Seen, reply: Reply, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All objects of the stream, the usage last."""
    body, chat = seen.body, seen.path.endswith("/chat/completions")
    text, reason = reply.text, reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")
    stops = body.get("stop") or []
    found = [place for place in (text.find(stop) for stop in ([stops] if isinstance(stops, str) else stops)) if place >= 0]
    text = text[: min(found)] if found else text
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    if limit is not None and tokens(text) > limit:
        text, reason = text[: limit * CHARS_PER_TOKEN], "length"
    common = {"id": f"reply-{seen.number}", "object": "chat.completion.chunk" if chat else "text_completion", "created": 0,
              "model": body.get("model", "")}
    step = options["chunk_chars"]
    deltas = [_delta(text[at : at + step], body, chat=chat) for at in range(0, len(text), step)]
    if reply.refusal:
        deltas.append({"delta": {"refusal": reply.refusal}})
    deltas += [{"delta": {"tool_calls": [piece]}} for piece in _call_pieces(reply)]
    last: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
    last |= {"finish_reason": reason} | ({"stop_reason": reply.stop_reason} if reply.stop_reason else {})
    pieces = [common | {"choices": [{"index": 0, "finish_reason": None} | delta]} for delta in [*deltas, last]]
    if options["usage"] and (body.get("stream_options") or {}).get("include_usage"):
        prompt, completion = tokens(prompt_of(body)), tokens(text)
        used = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
                "prompt_tokens_details": {"cached_tokens": options["cached_tokens"]}}
        pieces.append(common | {"choices": [], "usage": used})
    return pieces


def _delta(text: str, body: Mapping[str, Any], *, chat: bool) -> dict[str, Any]:
    delta: dict[str, Any] = {"delta": {"role": "assistant", "content": text}} if chat else {"text": text}
    asked = body.get("logprobs")
    if asked is None or asked is False:
        return delta
    split = [text[at : at + CHARS_PER_TOKEN] for at in range(0, len(text), CHARS_PER_TOKEN)]
    if not chat:
        return delta | {"logprobs": {"tokens": split, "token_logprobs": [-0.5] * len(split),
                                     "top_logprobs": [{token: -0.5} for token in split], "text_offset": [0] * len(split)}}
    tops = int(body.get("top_logprobs") or 0)
    return delta | {"logprobs": {"content": [
        {"token": token, "logprob": -0.5, "bytes": None,
         "top_logprobs": [{"token": token, "logprob": -0.5, "bytes": None}][:tops]} for token in split
    ]}}


def _call_pieces(reply: Reply) -> list[dict[str, Any]]:
    """Each tool call in two pieces, as servers send them."""
    pieces: list[dict[str, Any]] = []
    for index, (id_, name, arguments) in enumerate(reply.tool_calls):
        half = len(arguments) // 2
        pieces.append({"index": index, "id": id_, "type": "function", "function": {"name": name, "arguments": arguments[:half]}})
        pieces.append({"index": index, "function": {"arguments": arguments[half:]}})
    return pieces


@contextlib.asynccontextmanager
async def serve(
    answer: Answer | None = None,
    *,
    faults: Faults | None = None,
    models: Sequence[str] = ("test",),
    api_key: str | None = None,
    chunk_chars: int = 8,
    delay_s: float = 0.0,
    usage: bool = True,
    cached_tokens: int = 0,
    done: bool = True,
    refuse: Sequence[str] = (),
    owner: str = "test",
    beside: Mapping[str, Callable[[dict[str, Any]], Any]] | None = None,
) -> AsyncIterator[Server]:
    """A server on a free port of 127.0.0.1 for as long as the block runs.

    :param answer: from the request's body to the answer: text, a Reply or a Failure; may be a coroutine function.
    :param api_key: refuse requests (401) without this bearer key.
    :param delay_s: seconds before each piece of a stream.
    :param usage: send usage when the request asks for it, as ``stream_options`` does.
    :param done: end a stream with ``[DONE]``.
    :param refuse: names of body fields that get a 400.
    :param owner: ``owned_by`` of the models it lists, which tells what kind of server it is.
    :param beside: other paths (``/tokenize``), and what answers a body there.
    """
    options = {"models": models, "api_key": api_key, "chunk_chars": chunk_chars, "delay_s": delay_s, "usage": usage,
               "cached_tokens": cached_tokens, "done": done, "refuse": refuse,
               "owner": owner, "beside": beside or {}}
    server = Server(answer or (lambda body: "The quick brown fox jumps over the lazy dog."), faults or Faults(), options)
    listener = await asyncio.start_server(server._accept, "127.0.0.1", 0, limit=2**22)
    port = listener.sockets[0].getsockname()[1]
    server.url = f"http://127.0.0.1:{port}/v1"
    try:
        yield server
    finally:
        listener.close()
        for task in list(server._tasks):
            task.cancel()
        await asyncio.gather(*server._tasks, return_exceptions=True)
        await listener.wait_closed()
        await asyncio.sleep(0.001)  # closed transports let go of their sockets one turn of the loop later
