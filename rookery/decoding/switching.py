"""Entropy-adaptive decoding: a small model writes, a large one where the small one is at a loss, over one text."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import numpy as np

from rookery.decoding.decoded import DecodedModel, rows_of, token_level
from rookery.errors import SettingWrong
from rookery.models.model import Model, Request, TokenModel, Vocabulary
from rookery.models.sampler import Array, log_softmax
from rookery.models.token_level import Opening

T = TypeVar("T")
Size = Literal["small", "large"]


@dataclass(frozen=True, slots=True)
class Switch:
    """When to change models."""

    threshold_bits: float = 1.0
    """The large model writes while the mean entropy is above this."""
    window: int = 5
    """The mean is over so many of the latest tokens."""
    dwell: int = 3
    """A model writes at least so many tokens before the other takes over."""


@dataclass(slots=True)
class Ledger:
    """What was computed, in tokens; all replies of a model, and their siblings, share one."""

    small: int = 0
    large: int = 0
    """Prompts and catching up included, as below."""
    catch_up: dict[Size, int] = field(default_factory=lambda: {"small": 0, "large": 0})
    """Those that each model read only to catch up at a switch; the prompt counts among the large one's at its first turn."""
    switches: int = 0

    def add(self, size: Size, tokens: int, *, caught_up: int) -> None:
        """Count one evaluation of ``tokens``, of which ``caught_up`` were passed by the other model before."""
        self.catch_up[size] += caught_up
        if size == "small":
            self.small += tokens
        else:
            self.large += tokens


@dataclass(frozen=True, slots=True)
class Step:
    """One token of the text: which model gave the logits after it, and their entropy (bits; NaN where several were appended at once)."""

    model: Size
    entropy_bits: float


@dataclass(slots=True)
class _Track:
    """One text with the two sequences that read it."""

    small: TokenModel
    large: TokenModel
    ids: list[int]
    """The prompt and what follows it."""
    steps: list[Step]
    """The first is the prompt's; then one for each token after it."""
    known: dict[Size, int]
    """How many of the ids each model has read."""

    def fork(self) -> _Track:
        return _Track(self.small.fork(1), self.large.fork(1), list(self.ids), list(self.steps), dict(self.known))

    def next_model(self, how: Switch) -> Size:
        """Which model reads the next token, from the entropies so far: a rule of the steps alone, so that rolling back is exact."""
        now = self.steps[-1].model
        stayed = 0
        while stayed < len(self.steps) and self.steps[-1 - stayed].model == now:
            stayed += 1
        heard = [step.entropy_bits for step in self.steps[-how.window :] if not np.isnan(step.entropy_bits)]
        if stayed < how.dwell or not heard:
            return now
        return "large" if sum(heard) / len(heard) > how.threshold_bits else "small"


def entropy_bits(logits: Array) -> float:
    """The entropy of the model's own distribution (temperature 1), in bits."""
    scores = log_softmax(logits.astype(np.float64))
    odds = np.exp(scores)
    return float(-(odds * np.where(odds > 0, scores, 0.0)).sum() / np.log(2))


class SwitchSequence:
    """A TokenModel over a small and a large one. After a switch the other model first reads what it missed, in one evaluation."""

    def __init__(self, tracks: list[_Track], how: Switch, *, prompt_tokens: int, ledger: Ledger) -> None:
        self._tracks = tracks
        self._how = how
        self._prompt_tokens = prompt_tokens
        self.ledger = ledger

    @property
    def vocabulary(self) -> Vocabulary:
        """That of both models."""
        return self._tracks[0].small.vocabulary

    @property
    def trace(self) -> tuple[Step, ...]:
        """Of the first row: which model spoke after the prompt and after each token, and how sure it was."""
        return tuple(self._tracks[0].steps)

    def eval(self, ids: Sequence[int] | Sequence[Sequence[int]]) -> Array:
        """Append tokens; logits after the last from the model whose turn it is, (B, V)."""
        rows = rows_of(ids, len(self._tracks))
        logits: Array = np.stack([self._advance(track, row) for track, row in zip(self._tracks, rows, strict=True)])
        return logits

    def _advance(self, track: _Track, row: list[int]) -> Array:  # of one row, (V,)
        size = track.next_model(self._how)
        self.ledger.switches += size != track.steps[-1].model
        track.ids += row
        missed = track.ids[track.known[size] :]
        logits: Array = (track.small if size == "small" else track.large).eval(missed)[0]
        self.ledger.add(size, len(missed), caught_up=len(missed) - len(row))
        track.known[size] = len(track.ids)
        track.steps += [Step(size, float("nan"))] * (len(row) - 1) + [Step(size, entropy_bits(logits))]
        return logits

    def truncate(self, length: int) -> None:
        """Keep only the first ``length`` tokens.

        :raises ValueError: more than there are, or less than the prompt.
        """
        if not self._prompt_tokens <= length <= len(self._tracks[0].ids):
            raise ValueError(f"cannot truncate {len(self._tracks[0].ids)} tokens to {length}; the prompt has {self._prompt_tokens}")
        for track in self._tracks:
            del track.ids[length:], track.steps[length - self._prompt_tokens + 1 :]
            if track.known["small"] > length:
                track.small.truncate(length)
            if track.known["large"] > length:
                track.large.truncate(length)
            track.known = {size: min(known, length) for size, known in track.known.items()}

    def fork(self, n: int | Sequence[int]) -> SwitchSequence:
        """Siblings, or a batch that goes on from these rows; each row switches for itself, so rows are evaluated one by one.

        :raises ValueError: no siblings, a row that is not there, or a number where this is a batch of several.
        """
        if isinstance(n, int) and len(self._tracks) > 1:
            raise ValueError("a number forks a single sequence; of a batch give the rows")
        rows = [0] * n if isinstance(n, int) else list(n)
        if not rows or not 0 <= min(rows) <= max(rows) < len(self._tracks):
            raise ValueError(f"a batch of {len(self._tracks)} has no rows {rows}")
        return SwitchSequence([self._tracks[row].fork() for row in rows], self._how,
                              prompt_tokens=self._prompt_tokens, ledger=self.ledger)


class SwitchingModel(DecodedModel):
    """Two models that write one text in turns; see :func:`switching`."""

    def __init__(self, small: Model, large: Model, *, how: Switch) -> None:
        names = f"switching({small.capabilities.name}, {large.capabilities.name})"
        windows = [can.context_tokens for can in (small.capabilities, large.capabilities) if can.context_tokens is not None]
        super().__init__(small, replace(small.capabilities, name=names, context_tokens=min(windows, default=None)))
        self._large = large
        self._large_level = token_level(large, wanted="switching")
        self._how = how
        self.ledger = Ledger()
        """What all replies so far took."""

    async def open(self, request: Request) -> Opening:
        """The prompt, read by the small model; the large one reads it at its first turn.

        :raises SettingWrong: the two models have different vocabularies.
        """
        small, large = await self._level.open(request), self._large_level.token_model()
        if tuple(small.sequence.vocabulary.tokens) != tuple(large.vocabulary.tokens):
            raise SettingWrong(f"{self._capabilities.name}: the two models have different vocabularies", model=self._capabilities.name,
                               hint="take two models of one family, with one tokenizer")
        track = _Track(small.sequence, large, list(small.ids), [Step("small", entropy_bits(small.logits))],
                       {"small": len(small.ids), "large": 0})
        self.ledger.add("small", len(small.ids) - small.cached_tokens, caught_up=0)
        sequence = SwitchSequence([track], self._how, prompt_tokens=len(small.ids), ledger=self.ledger)
        return replace(small, sequence=sequence)

    async def compute(self, work: Callable[[], T]) -> T:
        """What ``work`` gives, run while both models' threads are held, always in one order."""
        if self._large_level is self._level:
            return await self._level.compute(work)
        first, second = sorted((self._level, self._large_level), key=id)
        held, release = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def hold() -> None:
            loop.call_soon_threadsafe(held.set)
            release.wait()

        async with asyncio.TaskGroup() as group:
            group.create_task(first.compute(hold))
            try:
                await held.wait()
                return await second.compute(work)
            finally:
                release.set()

    async def aclose(self) -> None:
        """Close both models."""
        await self._inner.aclose()
        await self._large.aclose()


def switching(small: Model, large: Model, *, threshold_bits: float = 1.0, window: int = 5, dwell: int = 3) -> SwitchingModel:
    """A model that writes with ``small`` and, where its mean entropy over ``window`` tokens is above the threshold, with ``large``.

    Entropy-adaptive decoding ("Dynamic Model Switching for Efficient Inference", 2025): nothing is verified, unlike in speculative
    decoding, so the text is not the large model's. What switches cost is counted: ``ledger`` has the tokens that each model
    computed, with those read to catch up.

    :raises CapabilityMissing: one of them gives no logits.
    :raises SettingWrong: a number makes no sense; or, at the first reply, the two have different vocabularies.
    """
    if window < 1 or dwell < 1 or np.isnan(threshold_bits):
        raise SettingWrong(f"window={window}, dwell={dwell}, threshold_bits={threshold_bits}: window and dwell are at least 1",
                           model=small.capabilities.name)
    return SwitchingModel(small, large, how=Switch(threshold_bits, window, dwell))
