"""A model in front of another that behaves like a slow, faulty server: latency per token, jitter, faults, all from a seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from rookery.errors import ModelBusy, ModelError, ModelFault, ReplyCut, ReplyMalformed, ReplyStalled
from rookery.models.model import Capabilities, Chunk, Model, Request

FaultKind = Literal["busy", "fault", "cut", "stall", "malformed"]
"""429, 500, a stream that ends early, one that stops moving, one that breaks the protocol."""

FAULT_KINDS: tuple[FaultKind, ...] = ("busy", "fault", "cut", "stall", "malformed")


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a simulated reply takes, in seconds."""

    overhead_s: float = 0.05
    """Per request, before anything else."""
    prompt_token_s: float = 0.0002
    completion_token_s: float = 0.01
    jitter: float = 0.1
    """Each wait is multiplied by a number drawn evenly from ``1 ± jitter`` (0 to 1)."""


@dataclass(frozen=True, slots=True)
class FaultRates:
    """How often each fault happens, as probabilities that add up to at most 1."""

    rates: Mapping[FaultKind, float] = field(default_factory=dict)
    retry_after_s: float | None = None
    """What a busy server asks for."""
    stall_s: float = 60.0
    """How long a stalled stream is waited for before ``ReplyStalled``."""

    @staticmethod
    def evenly(rate: float, *, retry_after_s: float | None = None, stall_s: float = 60.0) -> FaultRates:
        """All kinds equally often, together in ``rate`` of the requests (0 to 1)."""
        return FaultRates({kind: rate / len(FAULT_KINDS) for kind in FAULT_KINDS}, retry_after_s, stall_s)


class SimulatedModel:
    """Streams what ``inner`` answers, as late and as faultily as told; equal seeds give equal behaviour.

    The draw depends on the seed, the request and how often it was asked, not on the order in which requests come in. It
    sleeps only through ``sleep``, so a driven clock can stand in; a token counts as four characters.

    :raises ModelBusy, ModelFault, ReplyCut, ReplyStalled, ReplyMalformed: as often as ``faults`` says; and what ``inner`` raises.
    """

    def __init__(
        self,
        inner: Model,
        *,
        latency: Latency | None = None,
        faults: FaultRates | None = None,
        seed: int = 0,
        name: str = "",
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._inner = inner
        self._latency = latency or Latency()
        self._faults = faults or FaultRates()
        total = sum(self._faults.rates.values())
        if min(self._faults.rates.values(), default=0.0) < 0 or total > 1 + 1e-9:
            raise ValueError(f"fault rates are probabilities that add up to at most 1, got {dict(self._faults.rates)}")
        self._seed = seed
        self._sleep = sleep
        self._asked: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()
        """How often each kind of fault was produced so far."""
        base = inner.capabilities
        told = base.origin or base.name
        self._capabilities = replace(base, name=name or f"simulated:{base.name}", origin=f"simulated over {told}")

    @property
    def capabilities(self) -> Capabilities:
        """Those of the model inside, under this one's name."""
        return self._capabilities

    async def count_tokens(self, request: Request) -> int:
        """As the model inside counts."""
        return await self._inner.count_tokens(request)

    async def aclose(self) -> None:
        """Closes the model inside."""
        await self._inner.aclose()

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The reply of the model inside, with this one's waits and faults."""
        key = request.fingerprint()
        self._asked[key] += 1
        draw = random.Random(f"{self._seed}:{key}:{self._asked[key]}")
        kind = self._pick(draw)
        if kind is not None:
            self.injected[kind] += 1
        latency = self._latency
        await self._wait(draw, latency.overhead_s)
        if kind in ("busy", "fault"):
            raise self._error(kind)
        await self._wait(draw, latency.prompt_token_s * await self._inner.count_tokens(request))
        # A broken reply breaks somewhere: after none to three of its pieces.
        breaks_after = draw.randint(0, 3) if kind is not None else -1
        reply = cast("AsyncGenerator[Chunk]", self._inner.stream(request))
        async with aclosing(reply):
            sent = 0
            async for chunk in reply:
                if kind is not None and (sent == breaks_after or chunk.stop is not None):
                    break
                await self._wait(draw, latency.completion_token_s * len(chunk.text) / 4)
                yield chunk
                sent += 1
        if kind is not None:
            if kind == "stall":
                await self._sleep(self._faults.stall_s)
            raise self._error(kind)

    def _pick(self, draw: random.Random) -> FaultKind | None:
        point = draw.random()
        for kind, rate in self._faults.rates.items():
            if point < rate:
                return kind
            point -= rate
        return None

    async def _wait(self, draw: random.Random, seconds: float) -> None:
        jitter = self._latency.jitter
        if seconds > 0:
            await self._sleep(seconds * draw.uniform(1 - jitter, 1 + jitter))

    def _error(self, kind: FaultKind) -> ModelError:
        name, hint = self._capabilities.name, "this fault is simulated"
        if kind == "busy":
            return ModelBusy("429: too many requests", model=name, hint=hint, retry_after_s=self._faults.retry_after_s)
        if kind == "fault":
            return ModelFault("500: internal server error", model=name, hint=hint)
        if kind == "cut":
            return ReplyCut("the stream ended before its end was announced", model=name, hint=hint)
        if kind == "stall":
            return ReplyStalled(f"nothing came for {self._faults.stall_s:g} s", model=name, hint=hint)
        return ReplyMalformed("a piece of the reply is not JSON", model=name, hint=hint)
