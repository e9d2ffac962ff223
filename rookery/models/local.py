"""What models in this process have in common: loading at the first request, one thread, prompts read once, replies token by token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from rookery.errors import CapabilityMissing, ContextOverflow, RequestRefused
from rookery.models.model import Capabilities, Chunk, Request, TokenModel
from rookery.models.prompts import Prompts
from rookery.models.token_level import Opening
from rookery.models.worker import Worker

T = TypeVar("T")

SLICE_TOKENS = 4
"""So many tokens are computed in one go; then the next reply has its turn."""


class Engine(Protocol):
    """What loads and computes. Used by one thread only."""

    def encode(self, request: Request) -> list[int]:
        """The prompt's tokens, chat template applied."""
        ...

    def sequence(self) -> TokenModel:
        """A fresh, empty sequence.

        :raises ModelBusy: there are too many.
        """
        ...

    def close(self) -> None:
        """Free the memory."""
        ...


class LocalModel:
    """A :class:`rookery.models.model.Model` and :class:`rookery.models.token_level.TokenLevel` over an engine.

    Without a temperature the reply is the likeliest text (0). Log-probabilities are the model's own, whatever the temperature.
    Equal requests with equal seeds (and ``sample``) give equal text. Replies take turns in one worker thread.

    :param load: makes the engine, at the first request and in the worker thread; again after :meth:`aclose`.
    :param cached_prompts: how many prompts' keys and values are kept: what a prompt shares with one of them is not computed again.
    :param cached_tokens, first_tokens, least_shared_tokens: see :class:`rookery.models.prompts.Prompts`.
    """

    def __init__(self, capabilities: Capabilities, load: Callable[[], Engine], *, cached_prompts: int, cached_tokens: int | None = None,
                 first_tokens: int = 0, least_shared_tokens: int = 1) -> None:
        self._capabilities = capabilities
        self._load = load
        self._remembering = partial(Prompts, most=cached_prompts, tokens=cached_tokens, first=first_tokens, least=least_shared_tokens)
        self._worker = Worker(capabilities.name.partition(":")[0])
        self._engine: Engine | None = None
        self._prompts: Prompts | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._capabilities.name!r})"

    @property
    def capabilities(self) -> Capabilities:
        """Local and free, with log-probabilities and a TokenModel."""
        return self._capabilities

    def token_model(self) -> TokenModel:
        """A fresh sequence, for use in :meth:`compute`; loads the model if need be."""
        return self._loaded().sequence()

    async def count_tokens(self, request: Request) -> int:
        """Exactly how many tokens the prompt has, chat template included; loads the model if need be."""
        return len(await self.compute(lambda: self._loaded().encode(request)))

    async def compute(self, work: Callable[[], T]) -> T:
        """What ``work`` gives, run in this model's one worker thread."""
        return await self._worker.compute(work)

    async def open(self, request: Request) -> Opening:
        """The prompt, read.

        :raises ContextOverflow: it fills the window.
        :raises RequestRefused: it is empty.
        """
        return await self.compute(lambda: self._open(self._encode(request)))

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The reply, one chunk a token; closing the iterator stops it within a few tokens.

        :raises SettingMissing: a package is not installed.
        :raises ModelUnknown, WeightsDamaged, MemoryShort, DeviceMissing: the model can't be loaded.
        :raises ContextOverflow: the prompt fills the window.
        :raises CapabilityMissing: tools, a schema or a grammar are asked for.
        :raises RequestRefused: the prompt is empty, or a sampling value is out of range.
        """
        from rookery.models.reply import Reply

        if request.tools or request.schema is not None or request.grammar is not None or request.bias:
            raise CapabilityMissing("a model in this process takes no tools, schema, grammar or bias", model=self._capabilities.name,
                                    hint="constrain the reply with decode=…, for instance decode=json_schema(Type)")
        ids = await self.compute(lambda: self._encode(request))
        vocabulary = await self.compute(lambda: self._loaded().sequence().vocabulary)
        reply = Reply(lambda: self._open(ids), vocabulary, request.sampling, prompt=ids, sample=request.sample,
                      context_tokens=self._capabilities.context_tokens, model=self._capabilities.name)
        while not reply.done:
            for chunk in await self.compute(lambda: reply.advance(SLICE_TOKENS)):
                yield chunk
        if reply.opening is not None and self._prompts is not None:  # the next turn of a conversation begins with this one
            self._prompts.keep((*ids, *reply.written[:-1]), reply.opening.sequence)

    def release(self) -> bool:
        """Let go of the oldest cached prompt; False when there is none."""
        kept = 0 if self._prompts is None else self._prompts.size
        if self._prompts is not None and kept:
            self._prompts.trim(kept - 1)
        return bool(kept)

    async def aclose(self) -> None:
        """Free the model's memory and let go of the thread; the next request loads it again."""
        engine, self._engine, self._prompts = self._engine, None, None
        if engine is not None:
            await self.compute(engine.close)
        self._worker.close()

    def _loaded(self) -> Engine:
        if self._engine is None:
            self._engine = self._load()
        return self._engine

    def _encode(self, request: Request) -> list[int]:
        if not request.messages or not request.text:
            raise RequestRefused("the prompt is empty", model=self._capabilities.name, hint="ask something")
        ids, window = self._loaded().encode(request), self._capabilities.context_tokens
        if window is not None and len(ids) >= window:
            raise ContextOverflow(f"a prompt of {len(ids)} tokens leaves no room in the window of {window}", model=self._capabilities.name,
                                  hint="shorten the prompt, or take a model with a larger window")
        return ids

    def _open(self, ids: Sequence[int]) -> Opening:
        if self._prompts is None:
            self._prompts = self._remembering(self._loaded().sequence)
        return self._prompts.open(ids)
