"""A model whose answers are written beforehand: a list, a table or a function; for tests, examples and dry runs."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rookery.errors import CassetteMiss, ContextOverflow
from rookery.models.model import Capabilities, Chunk, Request, Stop, TokenLogprob, Usage

CHARS_PER_TOKEN = 4
"""A scripted token is so many characters; a text has its length divided by this, rounded up."""

Answer = str | Chunk | tuple[Chunk, ...] | Exception | Iterable["str | Chunk"] | AsyncIterator["str | Chunk"]
"""One reply: text, ready-made chunks, an error to raise, or (from a function) an iterator of pieces."""

Answers = (
    Sequence[Answer]
    | Mapping[str | re.Pattern[str], Answer | list[Answer]]
    | Callable[[Request], Answer | Awaitable[Answer]]
)
"""Replies in order; or by a piece of the prompt (text or pattern, first match wins); or computed."""


def tokens(text: str) -> int:
    """How many scripted tokens a text has: ``ceil(len(text) / 4)``."""
    return -(-len(text) // CHARS_PER_TOKEN)


class ScriptedModel:
    """Answers what it was told to, in pieces, and counts tokens by one rule: four characters each.

    ``answers`` is a list (one reply a request, in order), a mapping from a piece of the prompt (a substring, or a compiled
    pattern that is searched for) to a reply or a list of replies, or a function of the request, which may be asynchronous.
    A reply is a ``str``, a ``Chunk``, a tuple of chunks, or an exception to raise; a function may also give an iterator.
    ``max_tokens``, stop strings, ``logprobs`` (all 0.0: a script leaves no choice) and ``context_tokens`` are honoured.

    :param chunk_chars: characters in one piece of a streamed text.
    :param delay_s: seconds before each piece, slept through ``sleep``, so that a driven clock can stand in.
    :raises CassetteMiss: when there is no answer (left) for a request.
    :raises ContextOverflow: when ``capabilities.context_tokens`` is set and the prompt does not fit.
    """

    def __init__(
        self,
        answers: Answers,
        *,
        name: str = "scripted:script",
        capabilities: Capabilities | None = None,
        chunk_chars: int = 16,
        delay_s: float = 0.0,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        if chunk_chars < 1:
            raise ValueError(f"chunk_chars must be at least 1, got {chunk_chars}")
        if isinstance(answers, str):
            raise TypeError("answers is a list, a mapping or a function; for one answer to everything write lambda request: …")
        default = Capabilities(name=name, is_local=True, logprobs=True, price_usd=(0.0, 0.0))
        # Whatever else is claimed, nobody may take a script for a trained model.
        self._capabilities = replace(capabilities or default, exact_token_count=True, origin="scripted")
        self._answers = answers
        self._used: dict[int, int] = {}
        self._chunk_chars = chunk_chars
        self._delay_s = delay_s
        self._sleep = sleep
        self.requests: list[Request] = []
        """Every request it got, in order of arrival."""

    @property
    def capabilities(self) -> Capabilities:
        """What was asked for at construction; ``origin`` is always ``scripted``."""
        return self._capabilities

    async def count_tokens(self, request: Request) -> int:
        """Exact by definition: a quarter of the prompt's characters, rounded up."""
        return tokens(request.text)

    async def aclose(self) -> None:
        """Nothing to free."""

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The scripted reply; see the class for errors."""
        self.requests.append(request)
        await self._sleep(self._delay_s)
        window = self._capabilities.context_tokens
        used = tokens(request.text)
        if window is not None and used + (request.sampling.max_tokens or 0) > window:
            raise ContextOverflow(
                f"prompt ({used} tokens) and answer (up to {request.sampling.max_tokens or 0}) do not fit {window}",
                model=self._capabilities.name, hint="shorten the prompt or lower max_tokens",
            )
        answer = await self._answer(request)
        if isinstance(answer, BaseException):
            raise answer
        first = True
        async for chunk in self._pieces(answer, request):
            if not first and self._delay_s:
                await self._sleep(self._delay_s)
            first = False
            yield chunk

    async def _answer(self, request: Request) -> Answer:
        answers = self._answers
        if callable(answers):
            answer = answers(request)
            return await answer if inspect.isawaitable(answer) else answer
        if not isinstance(answers, Mapping):
            return self._next(0, answers, f"the script has {len(answers)} answer(s) and this was request {len(self.requests)}")
        text = request.text
        for place, (key, value) in enumerate(answers.items()):
            if key.search(text) if isinstance(key, re.Pattern) else key in text:
                return self._next(place, value, f"all answers for {key!r} are used") if isinstance(value, list) else value
        raise self._miss("no key of the script is in this prompt", f"keys: {', '.join(repr(key) for key in answers)}", request)

    def _next(self, place: int, answers: Sequence[Answer], complaint: str) -> Answer:
        used = self._used.get(place, 0)
        if used >= len(answers):
            raise self._miss(complaint, "add an answer, or use a function, which never runs out", self.requests[-1])
        self._used[place] = used + 1
        return answers[used]

    def _miss(self, complaint: str, hint: str, request: Request) -> CassetteMiss:
        text = request.text
        shown = text if len(text) <= 200 else f"{text[:120]} … {text[-70:]}"
        return CassetteMiss(f"{complaint}; prompt: {shown!r}", model=self._capabilities.name, hint=hint)

    async def _pieces(self, answer: Answer, request: Request) -> AsyncIterator[Chunk]:
        """The answer as chunks: text is cut as ``Sampling`` asks; ready-made chunks pass as they are."""
        if isinstance(answer, str):
            for chunk in self._text_chunks(answer, request):
                yield chunk
            return
        written: list[str] = []
        stop: Stop = "end"
        async for piece in _iterate(answer):
            chunk = Chunk(piece) if isinstance(piece, str) else piece
            written.append(chunk.text)
            stop = "tool" if chunk.tool_calls else stop
            if chunk.stop is None:
                yield chunk
            else:
                yield chunk if chunk.usage else replace(chunk, usage=self._usage(request, "".join(written)))
                return
        yield Chunk(stop=stop, usage=self._usage(request, "".join(written)))

    def _text_chunks(self, text: str, request: Request) -> Iterable[Chunk]:
        sampling = request.sampling
        stop: Stop = "end"
        found = [place for place in (text.find(word) for word in sampling.stop) if place >= 0]
        if found:
            text, stop = text[: min(found)], "stop"
        if sampling.max_tokens is not None and tokens(text) > sampling.max_tokens:
            text, stop = text[: sampling.max_tokens * CHARS_PER_TOKEN], "length"
        for start in range(0, len(text), self._chunk_chars):
            piece = text[start : start + self._chunk_chars]
            scores = _certain(piece) if sampling.logprobs is not None and self._capabilities.logprobs else ()
            yield Chunk(piece, logprobs=scores)
        yield Chunk(stop=stop, usage=self._usage(request, text))

    def _usage(self, request: Request, text: str) -> Usage:
        prompt, completion = tokens(request.text), tokens(text)
        price = self._capabilities.price_usd
        cost = None if price is None else prompt * price[0] + completion * price[1]
        return Usage(prompt_tokens=prompt, completion_tokens=completion, cost_usd=cost)


def _certain(piece: str) -> tuple[TokenLogprob, ...]:
    cut = range(0, len(piece), CHARS_PER_TOKEN)
    return tuple(TokenLogprob(piece[i : i + CHARS_PER_TOKEN], 0.0, ((piece[i : i + CHARS_PER_TOKEN], 0.0),)) for i in cut)


async def _iterate(answer: Any) -> AsyncIterator[str | Chunk]:
    if isinstance(answer, Chunk):
        yield answer
    elif isinstance(answer, AsyncIterator):
        try:
            async for piece in answer:
                yield piece
        finally:
            close = getattr(answer, "aclose", None)
            if close is not None:
                await close()
    elif isinstance(answer, Iterable):
        for piece in answer:
            yield piece
    else:
        kinds = "a str, a Chunk, a tuple of Chunks, an Exception to raise, or an iterator of str and Chunk"
        raise TypeError(f"a scripted answer is {kinds}, not {type(answer).__name__}")
