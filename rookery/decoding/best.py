"""Best of n by log-probability: several draws of one reply, ordered by what the model itself thinks of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rookery.errors import CapabilityMissing, RequestRefused
from rookery.models.model import Model, Request, Sampling, Stop, Usage
from rookery.models.reply import Writer
from rookery.models.sampler import Sampler, log_softmax
from rookery.models.token_level import Opening, TokenLevel


@dataclass(frozen=True, slots=True)
class Draw:
    """One of several replies to a request."""

    text: str
    logprob: float
    """Sum over its tokens under the model's own distribution, whatever the temperature; the end counts where the model tells it."""
    tokens: int
    """How many tokens ``logprob`` is the sum of."""
    sample: int
    """Which draw it is: ``Request.sample`` of the request that gives just this one."""
    stop: Stop
    usage: Usage

    def score(self, by: Literal["mean", "sum"]) -> float:
        """What draws are ordered by: the mean per token, or the sum, which favours short ones."""
        return self.logprob / max(1, self.tokens) if by == "mean" else self.logprob


async def best_of_n(model: Model, request: Request, *, n: int, by: Literal["mean", "sum"] = "mean") -> list[Draw]:
    """``n`` draws of the reply, the likeliest first. A model in this process draws them as one batch over one reading of the prompt.

    Draws are numbered from ``request.sample``; with a seed they are those of ``n`` separate requests, and the list is always the same.

    :raises CapabilityMissing: the model gives no log-probabilities.
    :raises RequestRefused: ``n`` is less than 1, or a sampling value is out of range.
    """
    if n < 1:
        raise RequestRefused(f"n is {n}; it must be at least 1", model=model.capabilities.name)
    can = model.capabilities
    plain = not request.tools and request.schema is None and request.grammar is None
    if plain and can.token_level and isinstance(model, TokenLevel):
        opening = await model.open(request)
        batch = _Batch(opening, request.sampling, first=request.sample, n=n, context_tokens=can.context_tokens, name=can.name)
        draws = await model.compute(batch.run)
    elif can.logprobs:
        draws = list(await asyncio.gather(*(_ask(model, replace(request, sample=request.sample + number)) for number in range(n))))
    else:
        raise CapabilityMissing(f"best of n by log-probability needs log-probabilities, and {can.name} gives none", model=can.name,
                                hint="take another model, or choose with a planner's evaluator: rookery.planners.best_of_n")
    return sorted(draws, key=lambda draw: (-draw.score(by), draw.sample))


async def _ask(model: Model, request: Request) -> Draw:
    scored = replace(request, sampling=replace(request.sampling, logprobs=0))
    text, values, stop, usage = list[str](), list[float](), "end", Usage()
    async for chunk in model.stream(scored):
        text.append(chunk.text)
        values += [score.logprob for score in chunk.logprobs]
        stop, usage = chunk.stop or stop, chunk.usage or usage
    return Draw("".join(text), sum(values), len(values), request.sample, stop, usage)  # type: ignore[arg-type]


class _Row:
    """One draw in the making."""

    def __init__(self, opening: Opening, sampling: Sampling, *, sample: int, name: str) -> None:
        self.sample = sample
        self.sampler = Sampler(sampling, sample=sample, prompt=opening.ids, model=name)
        self.writer = Writer(opening.sequence.vocabulary, sampling)
        self.text: list[str] = []
        self.logprob = 0.0
        self.tokens = 0
        self.last = -1
        self.stop: Stop | None = None


class _Batch:
    """All draws as siblings; those that have ended leave the batch."""

    def __init__(self, opening: Opening, sampling: Sampling, *, first: int, n: int, context_tokens: int | None, name: str) -> None:
        self._opening = opening
        rooms = [room for room in (sampling.max_tokens, context_tokens and context_tokens - len(opening.ids)) if room is not None]
        self._room = min(rooms, default=None)
        self._rows = [_Row(opening, sampling, sample=first + number, name=name) for number in range(n)]

    def run(self) -> list[Draw]:
        """Draw until all have ended."""
        live, sequence = self._rows, self._opening.sequence
        logits = np.broadcast_to(self._opening.logits, (len(live), self._opening.logits.shape[-1]))
        first = True
        while True:
            for row, own in zip(live, logits, strict=True):
                self._step(row, own)
            kept = [at for at, row in enumerate(live) if row.stop is None]
            if not kept:
                return [self._draw(row) for row in self._rows]
            if first or len(kept) < len(live):
                sequence, first = sequence.fork([0] * len(kept) if first else kept), False
            live = [live[at] for at in kept]
            logits = sequence.eval([[row.last] for row in live])

    def _step(self, row: _Row, logits: np.ndarray) -> None:
        token = row.sampler.pick(row.sampler.adjust(logits))
        row.logprob += float(log_softmax(logits)[token])
        row.tokens += 1
        row.last = token
        if token in self._opening.sequence.vocabulary.end:
            row.stop = "end"
            return
        shown = row.writer.add(token)
        if shown is None:
            row.stop = "stop"
            return
        row.text += [chunk.text for chunk in shown]
        if self._room is not None and row.tokens >= self._room:
            row.stop = "length"

    def _draw(self, row: _Row) -> Draw:
        text = "".join([*row.text, *(chunk.text for chunk in row.writer.end())])
        usage = Usage(len(self._opening.ids), row.tokens, self._opening.cached_tokens, 0.0)
        return Draw(text, row.logprob, row.tokens, row.sample, row.stop or "end", usage)
