"""A model made of others by working on their tokens: what every decoder that gives one reply has in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, TypeVar

from rookery.errors import CapabilityMissing
from rookery.models.model import Capabilities, Chunk, Model, Request, TokenModel
from rookery.models.reply import Reply
from rookery.models.token_level import Opening, TokenLevel

T = TypeVar("T")

SLICE_TOKENS = 8
"""So many tokens are computed in one go; then other replies of the same model have their turn."""


def token_level(model: Model, *, wanted: str) -> TokenLevel:
    """The model itself, once it is certain that it lets us have its tokens.

    :raises CapabilityMissing: it doesn't; ``wanted`` says what for.
    """
    name = model.capabilities.name
    if not model.capabilities.token_level or not isinstance(model, TokenLevel):
        raise CapabilityMissing(f"{wanted} needs logits, and {name} gives none", model=name,
                                hint="take a model in this process: transformers:PATH, llamacpp:FILE.gguf or embedded:NAME")
    return model


class DecodedModel:
    """Base of the models that :mod:`rookery.decoding` makes: they differ in how a prompt is opened, and share the rest.

    It is a :class:`rookery.models.model.Model` and a :class:`rookery.models.token_level.TokenLevel`, so monitors, beams and other
    decoders stack on it: what it does to the logits comes first, a monitor's mask after.
    """

    def __init__(self, inner: Model, capabilities: Capabilities) -> None:
        self._inner = inner
        self._level = token_level(inner, wanted=capabilities.name.partition("(")[0])
        self._capabilities = replace(capabilities, json_schema=False, tools=False)

    @property
    def capabilities(self) -> Capabilities:
        """Those of the model inside, less what only its own ``stream`` does."""
        return self._capabilities

    def token_model(self) -> TokenModel:
        """A fresh sequence of the model inside; what this decoder does begins with a prompt, at :meth:`open`."""
        return self._level.token_model()

    async def count_tokens(self, request: Request) -> int:
        """As the model inside counts."""
        return await self._inner.count_tokens(request)

    async def aclose(self) -> None:
        """Close the model inside."""
        await self._inner.aclose()

    async def compute(self, work: Callable[[], T]) -> T:
        """What ``work`` gives, run where the model inside computes."""
        return await self._level.compute(work)

    async def open(self, request: Request) -> Opening:
        """The prompt, read by all the models that take part."""
        raise NotImplementedError

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The reply, one chunk a token; closing the iterator stops it.

        :raises CapabilityMissing: tools, a schema or a grammar are asked for.
        :raises RequestRefused: a sampling value is out of range.
        """
        if request.tools or request.schema is not None or request.grammar is not None:
            raise CapabilityMissing(f"{self._capabilities.name} takes no tools, schema or grammar", model=self._capabilities.name,
                                    hint="constrain the reply with decode=…")
        opening = await self.open(request)
        reply = Reply(lambda: opening, opening.sequence.vocabulary, request.sampling, prompt=opening.ids, sample=request.sample,
                      context_tokens=self._capabilities.context_tokens, model=self._capabilities.name)
        while not reply.done:
            for chunk in await self.compute(lambda: reply.advance(SLICE_TOKENS)):
                yield chunk


def rows_of(ids: Any, batch: int) -> list[list[int]]:
    """Tokens as ``eval`` takes them, one list a row.

    :raises ValueError: no tokens, or rows that do not match the batch.
    """
    given = [list(ids)] * batch if len(ids) and isinstance(ids[0], int) else [list(row) for row in ids]
    if len(given) != batch or not given[0] or len({len(row) for row in given}) > 1:
        raise ValueError(f"expected tokens for a batch of {batch}, equally long and not empty")
    return given
