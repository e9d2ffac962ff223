"""A model whose next token follows a rule that you give: for tests of what works on tokens, with numbers that can be worked out by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

import numpy as np

from rookery.errors import CapabilityMissing, ContextOverflow, RequestRefused
from rookery.models.model import Capabilities, Chunk, Request, Vocabulary
from rookery.models.reply import Reply
from rookery.models.sampler import Array
from rookery.models.token_level import Opening
from rookery.models.worker import Worker

T = TypeVar("T")
Rule = Callable[[tuple[int, ...]], Sequence[float]]
"""From all tokens so far to the logits of the next one."""


class WordList:
    """A vocabulary of given texts; text is split by the longest one that fits. Implements :class:`rookery.models.model.Vocabulary`."""

    def __init__(self, words: Sequence[str | bytes], *, end: Sequence[int]) -> None:
        self._end = frozenset(end)
        self._tokens = tuple(b"" if i in self._end else word.encode() if isinstance(word, str) else word for i, word in enumerate(words))
        self._longest_first = sorted((i for i, word in enumerate(self._tokens) if word), key=lambda i: -len(self._tokens[i]))

    @property
    def tokens(self) -> Sequence[bytes]:
        """The bytes of each token by id; empty for the ends."""
        return self._tokens

    @property
    def end(self) -> frozenset[int]:
        """The ids that end a reply."""
        return self._end

    def encode(self, text: str) -> list[int]:
        """The ids of a text.

        :raises RequestRefused: some part of it is no word.
        """
        data, ids = text.encode(), list[int]()
        while data:
            found = next((i for i in self._longest_first if data.startswith(self._tokens[i])), None)
            if found is None:
                raise RequestRefused(f"no word of the vocabulary begins {data[:20]!r}")
            ids.append(found)
            data = data[len(self._tokens[found]) :]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids."""
        return b"".join(self._tokens[i] for i in ids).decode(errors="replace")


class RuledSequence:
    """The TokenModel of a rule; counts what it evaluates."""

    def __init__(self, rule: Rule, vocabulary: Vocabulary, *, context_tokens: int | None = None) -> None:
        self._rule = rule
        self._vocabulary = vocabulary
        self._context_tokens = context_tokens
        self._rows: list[tuple[int, ...]] = [()]
        self.evaluated = 0
        """Tokens evaluated by this sequence, summed over its rows; those before a fork are not its own."""

    @property
    def vocabulary(self) -> Vocabulary:
        """How ids and text belong together."""
        return self._vocabulary

    def eval(self, ids: Sequence[int] | Sequence[Sequence[int]]) -> Array:
        """Append tokens; logits after the last, (B, V).

        :raises ContextOverflow: they do not fit the window.
        :raises ValueError: no tokens, or rows that do not match the batch.
        """
        given = np.asarray(ids, dtype=np.intp)
        given = np.broadcast_to(given, (len(self._rows), given.shape[-1])) if given.ndim == 1 else given
        if given.ndim != 2 or given.shape[0] != len(self._rows) or given.shape[1] == 0:
            raise ValueError(f"expected tokens for a batch of {len(self._rows)}, got shape {given.shape}")
        if self._context_tokens is not None and len(self._rows[0]) + given.shape[1] > self._context_tokens:
            raise ContextOverflow(f"the window has {self._context_tokens} tokens", hint="shorten the prompt")
        self._rows = [row + tuple(more) for row, more in zip(self._rows, given.tolist(), strict=True)]
        self.evaluated += given.size
        return np.asarray([self._rule(row) for row in self._rows], np.float32)

    def truncate(self, length: int) -> None:
        """Keep only the first ``length`` tokens.

        :raises ValueError: ``length`` is negative or more than there are.
        """
        if not 0 <= length <= len(self._rows[0]):
            raise ValueError(f"cannot truncate {len(self._rows[0])} tokens to {length}")
        self._rows = [row[:length] for row in self._rows]

    def fork(self, n: int | Sequence[int]) -> RuledSequence:
        """Siblings, or a batch that goes on from these rows.

        :raises ValueError: no siblings, a row that is not there, or a number where this is a batch of several.
        """
        if isinstance(n, int) and len(self._rows) > 1:
            raise ValueError("a number forks a single sequence; of a batch give the rows")
        rows = [0] * n if isinstance(n, int) else list(n)
        if not rows or not 0 <= min(rows) <= max(rows) < len(self._rows):
            raise ValueError(f"a batch of {len(self._rows)} has no rows {rows}")
        other = RuledSequence(self._rule, self._vocabulary, context_tokens=self._context_tokens)
        other._rows = [self._rows[row] for row in rows]
        return other


class RuledModel:
    """Answers by a rule, token by token. Its capabilities say ``rule-based``: it is never presented as a trained model.

    :param rule: from all tokens so far, the prompt's included, to the logits of the next.
    :param words: the vocabulary by id; those in ``end`` end a reply and have no text.
    """

    def __init__(self, rule: Rule, words: Sequence[str | bytes], *, end: Sequence[int], context_tokens: int | None = None,
                 name: str = "test") -> None:
        self._rule = rule
        self._vocabulary = WordList(words, end=end)
        self._worker = Worker("ruled")
        self._capabilities = Capabilities(f"ruled:{name}", context_tokens=context_tokens, is_local=True, logprobs=True, token_level=True,
                                          exact_token_count=True, price_usd=(0.0, 0.0), origin="rule-based")

    @property
    def capabilities(self) -> Capabilities:
        """Local and free, with log-probabilities and a TokenModel."""
        return self._capabilities

    def token_model(self) -> RuledSequence:
        """A fresh sequence."""
        return RuledSequence(self._rule, self._vocabulary, context_tokens=self._capabilities.context_tokens)

    async def count_tokens(self, request: Request) -> int:
        """Exactly how many tokens the prompt has."""
        return len(self._vocabulary.encode(request.text))

    async def aclose(self) -> None:
        """Let go of the worker thread."""
        self._worker.close()

    async def compute(self, work: Callable[[], T]) -> T:
        """What ``work`` gives, run in this model's worker thread."""
        return await self._worker.compute(work)

    async def open(self, request: Request) -> Opening:
        """The prompt, read.

        :raises ContextOverflow: it fills the window.
        :raises RequestRefused: it is empty, or no text of this vocabulary.
        """
        ids = self._vocabulary.encode(request.text)
        if not ids:
            raise RequestRefused("the prompt is empty", model=self._capabilities.name)
        window = self._capabilities.context_tokens
        if window is not None and len(ids) >= window:
            raise ContextOverflow(f"a prompt of {len(ids)} tokens leaves no room in the window of {window}", model=self._capabilities.name)
        sequence = self.token_model()
        return Opening(sequence, (await self.compute(lambda: sequence.eval(ids)))[0], tuple(ids))

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The reply, one chunk a token.

        :raises ContextOverflow, RequestRefused: as for :meth:`open`.
        :raises CapabilityMissing: tools, a schema or a grammar are asked for.
        """
        if request.tools or request.schema is not None or request.grammar is not None:
            raise CapabilityMissing("a ruled model takes no tools, schema or grammar", model=self._capabilities.name, hint="ask for plain text")
        opening = await self.open(request)
        reply = Reply(lambda: opening, self._vocabulary, request.sampling, prompt=opening.ids, sample=request.sample,
                      context_tokens=self._capabilities.context_tokens, model=self._capabilities.name)
        while not reply.done:
            for chunk in await self.compute(lambda: reply.advance(1)):
                yield chunk
