"""The fields by which each kind of server constrains a reply: neutral requests to JSON. No I/O.

Field names as of vLLM 0.33 (``structured_outputs``; the older ``guided_…`` are accepted there and ignored), SGLang 0.5.23, llama.cpp of
October 2026 and Ollama 0.5 and later; OpenAI's from its SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rookery.errors import CapabilityMissing
from rookery.models.gbnf import choice_gbnf, regex_gbnf
from rookery.models.model import Grammar, Request
from rookery.models.server import Server

BIAS_LIMIT = 300
"""OpenAI takes no more entries in ``logit_bias``."""
SURE = 100.0
"""A bias of so much leaves the others no chance."""

SERVERS: Mapping[str, Server] = {
    "vllm": Server("vllm", ("choice", "regex", "json_schema", "gbnf"), prefill=True, bias_entries=100_000, tokenizer=True),
    "sglang": Server("sglang", ("regex", "json_schema", "gbnf"), prefill=True, bias_entries=100_000),
    "llamacpp": Server("llamacpp", ("choice", "regex", "json_schema", "gbnf"), prefill=True, bias_entries=100_000, tokenizer=True),
    "ollama": Server("ollama", ("json_schema",), prefill=True),
    "openai": Server("openai", ("json_schema",), bias_entries=BIAS_LIMIT),
    "other": Server("other"),
}
"""What each kind can do, unless the model was told otherwise."""

_OWNERS = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llamacpp", "library": "ollama", "ollama": "ollama", "openai": "openai"}


def kind_of(owner: str, server_header: str) -> str:
    """The kind of a server, from ``owned_by`` of a model that it lists and from its ``Server`` header."""
    if "llama.cpp" in server_header.lower():
        return "llamacpp"
    return _OWNERS.get(owner.lower(), "other")


def piece_bytes(piece: Any) -> bytes:
    """A token's bytes as llama.cpp's ``/tokenize`` writes them: text, or numbers where it is no whole text."""
    return piece.encode() if isinstance(piece, str) else bytes(piece)


def needs_server(request: Request) -> bool:
    """Whether the request has fields that differ from one kind of server to another."""
    sampling = request.sampling
    goes_on = bool(request.messages) and request.messages[-1].role == "assistant"
    return goes_on or request.grammar is not None or bool(request.bias) or any(
        value is not None for value in (sampling.top_k, sampling.min_p, sampling.repetition_penalty))


def server_fields(request: Request, server: Server, *, chat: bool, model: str) -> dict[str, Any]:
    """What goes into the body beside the common fields.

    :raises CapabilityMissing: the server takes no such field; the hint says what can be done instead.
    """
    fields = _sampling_fields(request, server, model)
    if chat and request.messages and request.messages[-1].role == "assistant":
        fields |= _prefill_fields(server, model)
    if request.bias:
        fields |= _bias_fields(request.bias, server, model)
    if request.grammar is not None:
        fields |= grammar_fields(request.grammar, server, model=model)
    return fields


def _sampling_fields(request: Request, server: Server, model: str) -> dict[str, Any]:
    sampling = request.sampling
    repetition = "repeat_penalty" if server.kind in ("llamacpp", "ollama") else "repetition_penalty"
    asked = {"top_k": sampling.top_k, "min_p": sampling.min_p, repetition: sampling.repetition_penalty}
    fields = {name: value for name, value in asked.items() if value is not None}
    if fields and server.kind == "openai":
        raise CapabilityMissing(f"{model} takes no {' and no '.join(fields)}", model=model, hint="use temperature and top_p")
    if fields.get("top_k") == 0 and server.kind in ("vllm", "sglang"):
        fields["top_k"] = -1  # their word for all
    return fields


def _prefill_fields(server: Server, model: str) -> dict[str, Any]:
    if not server.prefill:
        raise CapabilityMissing(f"{model} does not go on with a message of its own", model=model,
                                hint="ask vLLM, SGLang, llama.cpp or Ollama, or say prefill=True where the server does")
    if server.kind == "vllm":
        return {"continue_final_message": True, "add_generation_prompt": False}
    return {"continue_final_message": True} if server.kind == "sglang" else {}


def _bias_fields(bias: tuple[tuple[int, float], ...], server: Server, model: str) -> dict[str, Any]:
    if len(bias) > server.bias_entries:
        raise CapabilityMissing(f"{model} takes at most {server.bias_entries} entries of bias, not {len(bias)}", model=model,
                                hint="say what the server is (server='vllm', 'sglang', 'llamacpp'), or bias fewer tokens")
    if server.kind == "vllm" and all(value >= SURE for _, value in bias):
        return {"allowed_token_ids": [token for token, _ in bias]}  # a mask, where a bias is only a push
    return {"logit_bias": {str(token): value for token, value in bias}}


def with_schema(request: Request, server: Server) -> Request:
    """The request with a grammar that is a JSON Schema in ``Request.schema``, for servers that know it as ``response_format`` only."""
    grammar = request.grammar
    if grammar is None or grammar.kind != "json_schema" or "json_schema" not in server.grammars or server.kind in ("vllm", "llamacpp"):
        return request
    return replace(request, schema=grammar.source, grammar=None)


def grammar_fields(grammar: Grammar, server: Server, *, model: str) -> dict[str, Any]:
    """The field for a grammar.

    :raises CapabilityMissing: the server takes none of this kind.
    """
    if grammar.kind not in server.grammars:
        takes = ", ".join(server.grammars) or "none"
        raise CapabilityMissing(f"{model} takes no grammar of kind {grammar.kind}; it takes {takes}", model=model,
                                hint="say what the server is: server='vllm', 'sglang', 'llamacpp' or 'ollama'")
    if server.kind == "vllm":
        key = {"json_schema": "json", "gbnf": "grammar"}.get(grammar.kind, grammar.kind)
        return {"structured_outputs": {key: list(grammar.source) if grammar.kind == "choice" else grammar.source}}
    if server.kind == "sglang" and grammar.kind != "json_schema":
        return {"regex" if grammar.kind == "regex" else "ebnf": grammar.source}
    if server.kind == "llamacpp":
        if grammar.kind == "json_schema":
            return {"json_schema": grammar.source}
        written = {"choice": choice_gbnf, "regex": regex_gbnf}.get(grammar.kind, str)
        return {"grammar": written(grammar.source)}
    raise CapabilityMissing(f"{model} takes a schema, and nothing else, in its own field", model=model)
