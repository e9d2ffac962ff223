"""What a model is: a request in, a stream of text out, and data that say what it can do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Role = Literal["system", "user", "assistant", "tool"]
Stop = Literal["end", "length", "stop", "tool"]
"""Why a reply ended: by itself, at ``max_tokens``, at a stop string, or to call a tool."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a message: constant text of the template, or the text of one variable."""

    text: str
    variable: str | None = None
    """The path of the variable that the text came from; None for constant text."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a request, kept in segments so that shared prefixes can be found."""

    role: Role
    segments: tuple[Segment, ...]
    tool_call_id: str | None = None
    """For role ``tool``: the id of the tool call that this answers."""
    tool_calls: tuple[ToolCall, ...] = ()
    """For role ``assistant``: the tool calls it made."""

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments)

    @staticmethod
    def of(role: Role, text: str) -> Message:
        return Message(role, (Segment(text),))


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A tool that the model may call natively: its name, what it does, and its arguments' JSON Schema."""

    name: str
    description: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A native tool call in a reply; ``arguments`` is JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn. None means the model's own default."""

    temperature: float | None = None
    """0 is greedy; 1 samples from the model's distribution as it is."""
    top_p: float | None = None
    max_tokens: int | None = None
    """At most so many tokens in the reply."""
    stop: tuple[str, ...] = ()
    """The reply ends before the first of these."""
    seed: int | None = None
    logprobs: int | None = None
    """Ask for the log-probability of each token and of so many alternatives (0: only the token's own)."""
    top_k: int | None = None
    """Only the so many likeliest tokens are drawn from; 0 means all."""
    min_p: float | None = None
    """Only tokens at least this share as likely as the likeliest one are drawn from (0 to 1)."""
    frequency_penalty: float | None = None
    """Nats taken off a token for each time that it stands in the reply (-2 to 2 at most servers)."""
    presence_penalty: float | None = None
    """Nats taken off a token that stands in the reply at all."""
    repetition_penalty: float | None = None
    """Divides the positive and multiplies the negative logits of the tokens of prompt and reply; 1 does nothing (CTRL, arXiv 1909.05858, §4.1)."""


GrammarKind = Literal["choice", "regex", "json_schema", "gbnf", "lark"]


@dataclass(frozen=True, slots=True)
class Grammar:
    """What the reply must match from its first letter to its last, in a form that servers take."""

    kind: GrammarKind
    source: Any
    """``choice``: a tuple of texts; ``regex``: a pattern; ``json_schema``: a mapping; ``gbnf`` (start rule ``root``) and ``lark``
    (``start``): a grammar's text."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model, in neutral form: no provider's types, no HTTP."""

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    schema: Mapping[str, Any] | None = None
    """JSON Schema that the reply must satisfy; None when free text is wanted."""
    schema_name: str = "answer"
    tools: tuple[ToolOffer, ...] = ()
    idempotency_key: str = ""
    """The same for every attempt at one call, also after a crash; servers may use it to answer once."""
    sample: int = 0
    """Which of several independent draws of the same question this is."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields passed to the server as they are (``extra_body``)."""
    grammar: Grammar | None = None
    """What the reply must match; only for a model whose server takes this kind (:mod:`rookery.models.server`). A last message of
    role ``assistant`` is continued (prefill), and then the grammar is about the continuation alone."""
    bias: tuple[tuple[int, float], ...] = ()
    """(token id, nats added to its logit); 100 and -100 mean this one and never this one."""

    @property
    def text(self) -> str:
        """All messages' text, joined by blank lines; for models without roles."""
        return "\n\n".join(message.text for message in self.messages)

    def canonical(self) -> dict[str, Any]:
        """The request as plain data: all that decides the answer, and nothing else (no idempotency key)."""
        sampling = self.sampling
        return {
            "messages": [
                {"role": m.role, "text": m.text}
                | ({"tool_call_id": m.tool_call_id} if m.tool_call_id else {})
                | ({"tool_calls": [[c.id, c.name, c.arguments] for c in m.tool_calls]} if m.tool_calls else {})
                for m in self.messages
            ],
            "sampling": {
                "temperature": sampling.temperature, "top_p": sampling.top_p, "max_tokens": sampling.max_tokens,
                "stop": list(sampling.stop), "seed": sampling.seed, "logprobs": sampling.logprobs,
            } | _set(sampling, "top_k", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty"),
            "schema": self.schema,
            "tools": [[t.name, t.description, t.arguments] for t in self.tools],
            "sample": self.sample,
            "extra": dict(self.extra),
        } | ({"grammar": [self.grammar.kind, self.grammar.source]} if self.grammar else {}) | _set(self, "bias")

    def fingerprint(self) -> str:
        """32 hex digits that are equal exactly when ``canonical()`` is."""
        text = json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def with_message(self, *messages: Message) -> Request:
        """The same request with messages added at its end."""
        return replace(self, messages=self.messages + messages)


def _set(data: object, *names: str) -> dict[str, Any]:
    """The fields that say something; those that came later are left out otherwise, so that old fingerprints stay."""
    return {name: value for name in names if (value := getattr(data, name)) not in (None, ())}


@dataclass(frozen=True, slots=True)
class Usage:
    """What one reply, or a sum of replies, used."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Those of the prompt tokens that the server had in its cache."""
    cost_usd: float | None = None
    """None when no price is known; 0.0 when the model costs nothing."""

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        cost = None if self.cost_usd is None and other.cost_usd is None else (self.cost_usd or 0.0) + (other.cost_usd or 0.0)
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            cost,
        )


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of a reply, its natural log-probability, and the likeliest alternatives."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a reply. The last chunk carries ``stop`` and ``usage``; a stream without them was cut."""

    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    """Complete tool calls; they come in the last chunk."""
    stop: Stop | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can do, as data. The engine and the decoders ask these, never the class."""

    name: str
    """The model's full name, ``provider:NAME[@BASE_URL]``."""
    context_tokens: int | None = None
    """The window: prompt and reply together; None when unknown."""
    max_output_tokens: int | None = None
    is_local: bool = False
    """Runs in this process or on this machine; costs no money."""
    logprobs: bool = False
    json_schema: bool = False
    """Takes ``Request.schema`` and holds the reply to it."""
    tools: bool = False
    """Native function calling."""
    token_level: bool = False
    """Offers a TokenModel: logits, masks, rollback."""
    exact_token_count: bool = False
    """``count_tokens`` is exact; otherwise it is a stated upper bound."""
    max_in_flight: int | None = None
    """Calls at a time that make sense; None: no bound of its own."""
    skills: tuple[str, ...] | None = None
    """The only things it knows, for a model that refuses all else; None: general."""
    price_usd: tuple[float, float] | None = None
    """USD per prompt token and per completion token; None when unknown."""
    origin: str = ""
    """Who answers: ``trained``, ``scripted``, ``recorded from …``, ``rule-based``; never presented as anything else."""


@runtime_checkable
class Model(Protocol):
    """Anything that answers requests. Four members; nothing to inherit."""

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do. Constant for the life of the object; needs no network."""
        ...

    def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The reply, piece by piece; closing the iterator stops the work behind it.

        Raises the errors under ModelError, all mapped; never retries by itself.
        """
        ...

    async def count_tokens(self, request: Request) -> int:
        """Tokens of the request's prompt: exact, or an upper bound (see ``exact_token_count``)."""
        ...

    async def aclose(self) -> None:
        """Free connections and memory. Twice is fine."""
        ...


class Vocabulary(Protocol):
    """How a TokenModel's tokens and text belong together."""

    @property
    def tokens(self) -> Sequence[bytes]:
        """The bytes of each token by id; empty for special tokens."""
        ...

    @property
    def end(self) -> frozenset[int]:
        """The ids that end a reply."""
        ...

    def encode(self, text: str) -> list[int]: ...

    def decode(self, ids: Sequence[int]) -> str: ...


class TokenModel(Protocol):
    """A model in this process, token by token: a sequence, or a batch of siblings, with its cache.

    Shapes: V is the vocabulary's size, B the number of siblings (1 unless forked).
    """

    @property
    def vocabulary(self) -> Vocabulary: ...

    def eval(self, ids: Sequence[int] | Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Append tokens (the same for all siblings, or one row per sibling, equally long) and give the logits after the last, shape (B, V)."""
        ...

    def truncate(self, length: int) -> None:
        """Keep only the first ``length`` tokens of the cache, exactly as if nothing had followed."""
        ...

    def fork(self, n: int | Sequence[int]) -> TokenModel:
        """A batch of ``n`` siblings that share what was evaluated so far, or one that goes on from these rows of this batch (``[0, 0, 2]``);
        the original stays usable."""
        ...


async def complete(model: Model, request: Request) -> tuple[str, Usage, Stop]:
    """The whole reply of a model as text, with what it used and why it ended."""
    text: list[str] = []
    usage, stop = Usage(), "end"
    async for chunk in model.stream(request):
        text.append(chunk.text)
        usage = usage + chunk.usage if chunk.usage else usage
        stop = chunk.stop or stop
    return "".join(text), usage, stop  # type: ignore[return-value]
