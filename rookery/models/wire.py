"""The chat and completions wire format: neutral requests to JSON bodies, streamed JSON back to chunks. No I/O, no HTTP types."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from rookery.errors import ReplyCut, ReplyMalformed, RequestRefused
from rookery.models.model import Chunk, Message, Request, Stop, TokenLogprob, ToolCall, Usage
from rookery.models.prices import Price

_STOPS: Mapping[str, Stop] = {"length": "length", "max_tokens": "length", "tool_calls": "tool", "function_call": "tool"}


# ------------------------------------------------------------------ there


def chat_messages(request: Request) -> list[dict[str, Any]]:
    """The messages as a chat endpoint takes them."""
    return [_message(message) for message in request.messages]


def _message(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        body["content"] = message.text or None
        body["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        body["tool_call_id"] = message.tool_call_id
    return body


def sampling_fields(request: Request, *, max_tokens_field: str, seed: bool = True) -> dict[str, Any]:
    """What ``Sampling`` sets, and nothing that it leaves to the model. Draw n of a seeded question gets ``seed + n``."""
    sampling = request.sampling
    fields: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        max_tokens_field: sampling.max_tokens,
        "stop": list(sampling.stop) or None,
        "seed": sampling.seed + request.sample if seed and sampling.seed is not None else None,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
    }
    return {key: value for key, value in fields.items() if value is not None}


def tool_field(request: Request) -> list[dict[str, Any]]:
    """The tools on offer as the ``tools`` field."""
    return [
        {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.arguments)}}
        for tool in request.tools
    ]


def response_format(request: Request, *, object_root: bool) -> tuple[dict[str, Any], bool]:
    """The ``response_format`` for the request's schema, and whether replies come wrapped as ``{"value": …}``.

    ``object_root`` is for servers that take only objects at the root (OpenAI): other schemas are wrapped, and
    :class:`ReplyReader` unwraps the stream. ``strict`` is set when the schema can be narrowed to what strict mode permits.
    """
    schema: dict[str, Any] = dict(request.schema or {})
    wrapped = object_root and schema.get("type") != "object"
    if wrapped:
        definitions: dict[str, Any] = {key: schema.pop(key) for key in ("$defs", "definitions") if key in schema}
        schema = {"type": "object", "properties": {"value": schema}, "required": ["value"], **definitions}
    narrow = strict_schema(schema)
    named = re.sub(r"[^A-Za-z0-9_-]", "_", request.schema_name)[:64] or "answer"
    body = {"name": named, "schema": schema if narrow is None else narrow, "strict": narrow is not None}
    return {"type": "json_schema", "json_schema": body}, wrapped


_STRICT_KEYS = frozenset({
    "type", "properties", "required", "additionalProperties", "enum", "const", "anyOf", "$ref", "$defs", "definitions", "items",
    "description", "title", "pattern", "format", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "minItems", "maxItems",
})
_DROPPED_KEYS = frozenset({"default", "examples", "deprecated"})


def strict_schema(schema: Any) -> dict[str, Any] | None:
    """The schema narrowed to strict mode: objects closed, all properties required. None where that is impossible.

    Whatever satisfies the narrow schema satisfies the original; free-form objects (``dict[str, T]``), tuples and ``oneOf``
    have no strict form (https://platform.openai.com/docs/guides/structured-outputs#supported-schemas).
    """
    if not isinstance(schema, Mapping):
        return None
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _DROPPED_KEYS:
            continue
        narrowed = _strict_value(key, value)
        if narrowed is None:
            return None
        out[key] = narrowed
    if out.get("type") == "object" or "properties" in out:
        if not isinstance(out.get("properties"), dict) or out.get("additionalProperties", False) is not False:
            return None
        out["additionalProperties"] = False
        out["required"] = list(out["properties"])
    elif not {"type", "enum", "const", "anyOf", "$ref"} & out.keys():
        return None
    return out


def _strict_value(key: str, value: Any) -> Any:
    if key not in _STRICT_KEYS:
        return None
    if key in ("properties", "$defs", "definitions"):
        named = {name: strict_schema(below) for name, below in value.items()}
        return None if None in named.values() else named
    if key == "anyOf":
        options = [strict_schema(option) for option in value]
        return None if None in options else options
    return strict_schema(value) if key == "items" else value


def prompt_bound(request: Request) -> int:
    """An upper bound on the prompt's tokens: one per UTF-8 byte, 16 a message, 64 for a template's own text, 256 for tools.

    Byte-level BPE and SentencePiece with byte fallback never make more than one token of a byte.
    """
    text = sum(len(message.text.encode()) + 16 for message in request.messages)
    calls = sum(len(call.name) + len(call.arguments.encode()) + 32 for message in request.messages for call in message.tool_calls)
    tools = len(json.dumps(tool_field(request))) + 256 if request.tools else 0
    schema = len(json.dumps(dict(request.schema), default=str)) if request.schema is not None else 0
    return text + calls + tools + schema + 64


# ------------------------------------------------------------------ and back


@dataclass(slots=True)
class _PartialCall:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class ReplyReader:
    """Turns the JSON objects of one stream into chunks, and knows whether the stream was whole."""

    def __init__(self, request: Request, *, model: str, price: Price | None = None, wrapped: bool = False) -> None:
        self._request = request
        self._model = model
        self._price = price
        self._unwrap = Unwrapper() if wrapped else None
        self._calls: dict[int, _PartialCall] = {}
        self._refusal: list[str] = []
        self._bytes = 0
        self.stop: Stop | None = None
        """Why the reply ended; None until the server has said so."""
        self.usage: Mapping[str, Any] | None = None
        """What the server counted; None until it has said so."""

    def feed(self, data: Any) -> Chunk | None:
        """The chunk in one streamed object; None when it holds no text.

        :raises ReplyMalformed: the object is not of the protocol.
        :raises RequestRefused: the server's filter ended the reply.
        """
        if not isinstance(data, Mapping) or not isinstance(data.get("choices"), list):
            if isinstance(data, Mapping) and isinstance(data.get("usage"), Mapping):
                self.usage = data["usage"]  # some servers send the usage without an empty list of choices
                return None
            raise ReplyMalformed(f"a piece of the stream has no choices: {str(data)[:200]}", model=self._model)
        if isinstance(data.get("usage"), Mapping):
            self.usage = data["usage"]
        for choice in data["choices"]:
            if not isinstance(choice, Mapping):
                raise ReplyMalformed(f"a choice is not an object: {str(choice)[:200]}", model=self._model)
            if choice.get("index", 0) in (0, None):
                return self._choice(choice)
        return None

    def _choice(self, choice: Mapping[str, Any]) -> Chunk | None:
        delta = choice.get("delta")
        text = delta.get("content") if isinstance(delta, Mapping) else choice.get("text")
        if isinstance(delta, Mapping):
            self._refusal.append(delta.get("refusal") or "")
            for call in delta.get("tool_calls") or ():
                self._tool_piece(call)
        if text is not None and not isinstance(text, str):
            raise ReplyMalformed(f"a piece's text is {type(text).__name__}", model=self._model)
        reason = choice.get("finish_reason")
        if reason:
            self._end(str(reason), choice)
        self._bytes += len((text or "").encode(errors="replace"))
        scores = logprobs(choice.get("logprobs"))
        if self._unwrap is not None:
            text, scores = self._unwrap.feed(text or ""), ()  # the wrapper's tokens are not the answer's
        return Chunk(text or "", logprobs=scores) if text or scores else None

    def _end(self, reason: str, choice: Mapping[str, Any]) -> None:
        if reason == "content_filter":
            raise RequestRefused("the server's content filter ended the reply", model=self._model, hint="reword the prompt")
        self.stop = _STOPS.get(reason, "end")
        # OpenAI does not tell a stop string from a natural end; vLLM and SGLang do.
        detail = choice.get("stop_reason", choice.get("matched_stop"))
        if self.stop == "end" and isinstance(detail, str) and detail in self._request.sampling.stop:
            self.stop = "stop"

    def _tool_piece(self, piece: Any) -> None:
        if not isinstance(piece, Mapping):
            raise ReplyMalformed("a tool call is not an object", model=self._model)
        function = piece.get("function") or {}
        call = self._calls.setdefault(piece.get("index") or 0, _PartialCall())
        call.id = call.id or piece.get("id") or ""
        call.name = call.name or function.get("name") or ""
        call.arguments.append(function.get("arguments") or "")

    def end(self) -> Chunk:
        """The last chunk: rest of the text, tool calls, stop and usage.

        Where the server counted nothing, usage is an upper bound: ``prompt_bound``, and a token per byte of the reply.

        :raises ReplyCut: the stream ended and no reason for it was given.
        :raises RequestRefused: the model declined in its ``refusal`` field.
        """
        if self.stop is None:
            raise ReplyCut("the stream ended before its end was announced", model=self._model)
        refusal = "".join(self._refusal)
        if refusal:
            raise RequestRefused(f"the model declined: {refusal[:300]}", model=self._model, hint="reword the prompt")
        calls = tuple(
            ToolCall(call.id or f"call_{place}", call.name, "".join(call.arguments))
            for place, call in sorted(self._calls.items())
        )
        rest = self._unwrap.end() if self._unwrap is not None else ""
        stop = "tool" if calls and self.stop == "end" else self.stop
        return Chunk(rest, tool_calls=calls, stop=stop, usage=self._used())

    def _used(self) -> Usage:
        counted = self.usage or {}
        limit = self._request.sampling.max_tokens
        bound = self._bytes if limit is None else min(self._bytes, limit)
        prompt = _count(counted.get("prompt_tokens"), prompt_bound(self._request))
        completion = _count(counted.get("completion_tokens"), bound)
        details = counted.get("prompt_tokens_details")
        cached = _count(details.get("cached_tokens"), 0) if isinstance(details, Mapping) else 0
        cost = None if self._price is None else self._price.cost_usd(prompt, completion, cached)
        return Usage(prompt, completion, cached, cost)


def _count(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and value >= 0 else otherwise


def logprobs(data: Any) -> tuple[TokenLogprob, ...]:
    """The log-probabilities of a choice, from a chat (``content``) or a completions (``tokens``) endpoint."""
    if not isinstance(data, Mapping):
        return ()
    if isinstance(data.get("content"), list):
        return tuple(
            TokenLogprob(entry["token"], float(entry["logprob"]),
                         tuple((top["token"], float(top["logprob"])) for top in entry.get("top_logprobs") or ()))
            for entry in data["content"]
        )
    tokens, values = data.get("tokens") or (), data.get("token_logprobs") or ()
    tops = cast("list[Any]", data.get("top_logprobs") or [None] * len(tokens))
    return tuple(
        TokenLogprob(token, float(value or 0.0), tuple((top or {}).items()))
        for token, value, top in zip(tokens, values, tops, strict=False)
    )


class Unwrapper:
    """Takes ``{"value": …}`` off a streamed text, piece by piece; text of any other shape passes unchanged."""

    _HEAD = re.compile(r'\s*\{\s*"value"\s*:\s*')

    def __init__(self) -> None:
        self._held = ""
        self._state = "head"

    def feed(self, text: str) -> str:
        """What of the text so far is certain to be inside."""
        self._held += text
        if self._state == "head":
            match = self._HEAD.match(self._held)
            if match is not None and match.end() < len(self._held):
                self._held, self._state = self._held[match.end() :], "inside"
            elif len(self._held.strip()) > 32:
                self._state = "other"
        if self._state == "head":
            return ""
        # Any trailing brace may turn out to be the closing one, so it is held back until more text comes.
        body = self._held.rstrip("} \n\r\t") if self._state == "inside" else self._held
        self._held = self._held[len(body) :]
        return body

    def end(self) -> str:
        """The rest of the text, without the closing brace."""
        if self._state != "inside":
            return self._held
        rest = self._held.rstrip()
        return rest.removesuffix("}").rstrip()
