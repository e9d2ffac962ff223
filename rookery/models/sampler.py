"""How the next token is drawn from logits: the one place for it, so that every model in this process draws alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from rookery.errors import RequestRefused

if TYPE_CHECKING:
    from rookery.models.model import Sampling

Array = NDArray[np.float32]

_FIRST = 512
"""The nucleus is looked for among so many of the likeliest tokens before all are put in order."""


class Sampler:
    """Draws the tokens of one reply. The order is fixed: :meth:`adjust` (penalties), then any mask, then :meth:`pick`.

    ``pick`` scales by temperature, then keeps the ``top_k`` likeliest, of these the nucleus ``top_p``, of these what ``min_p`` lets
    stand, and draws. Equal logits, seed and ``sample`` give equal tokens whatever computed the logits; no seed draws anew each time.

    :param sampling: a temperature that is None means 0, the likeliest token.
    :param sample: which of several draws with the same seed this is.
    :param prompt: the prompt's tokens, for the repetition penalty.
    :param model: the model's name, for messages.
    :raises RequestRefused: a value is out of its range.
    """

    def __init__(self, sampling: Sampling, *, sample: int = 0, prompt: Sequence[int] = (), model: str = "") -> None:
        wrong = list(_faults(sampling))
        if wrong:
            raise RequestRefused("; ".join(wrong), model=model, hint="see rookery.models.model.Sampling for the ranges")
        self._sampling = sampling
        self._random = np.random.default_rng(None if sampling.seed is None else [sampling.seed, sample])
        self._frequency, self._presence = sampling.frequency_penalty or 0.0, sampling.presence_penalty or 0.0
        self._repetition = sampling.repetition_penalty or 1.0
        self._counts: dict[int, int] = {}
        """How often each token stands in the reply; kept only where a penalty asks."""
        self._prompt = frozenset(prompt) if self._repetition != 1.0 else frozenset[int]()
        self._penal = bool(self._frequency or self._presence or self._repetition != 1.0)

    def adjust(self, logits: Array) -> Array:
        """The logits (V,) with penalties taken off; the same array when there are none."""
        if not self._penal:
            return logits
        logits = logits.copy()
        if self._repetition != 1.0 and (seen := self._prompt | self._counts.keys()):
            ids = np.fromiter(seen, np.intp)
            values = logits[ids]
            logits[ids] = np.where(values > 0, values / self._repetition, values * self._repetition)
        if (self._frequency or self._presence) and self._counts:
            ids = np.fromiter(self._counts, np.intp)
            logits[ids] -= np.fromiter(self._counts.values(), np.float32) * self._frequency + self._presence
        return logits

    def pick(self, logits: Array) -> int:
        """The next token from logits (V,), of which some may be minus infinity but not all; it is noted for the penalties."""
        token = draw(logits, self._sampling, self._random)
        self.take(token)
        return token

    def take(self, token: int) -> None:
        """Note a token that was not drawn here but stands in the reply, as a forced continuation does."""
        if self._penal:
            self._counts[token] = self._counts.get(token, 0) + 1

    def undo(self, tokens: Sequence[int]) -> None:
        """Forget tokens that were rolled back; the randomness already spent stays spent."""
        for token in tokens:
            left = self._counts.get(token, 0) - 1
            if left > 0:
                self._counts[token] = left
            else:
                self._counts.pop(token, None)


def _faults(sampling: Sampling) -> Iterator[str]:
    for field, low, high in (("temperature", 0.0, 100.0), ("top_p", 0.0, 1.0), ("max_tokens", 1, None), ("logprobs", 0, None),
                             ("seed", 0, None), ("top_k", 0, None), ("min_p", 0.0, 1.0), ("frequency_penalty", -100.0, 100.0),
                             ("presence_penalty", -100.0, 100.0), ("repetition_penalty", 0.01, 100.0)):
        value = getattr(sampling, field)
        if value is not None and (not value >= low or (high is not None and value > high)):
            yield f"{field} is {value}; it must be " + (f"at least {low}" if high is None else f"between {low} and {high}")


def draw(logits: Array, sampling: Sampling, random: np.random.Generator) -> int:
    """One token from logits (V,): the likeliest at temperature 0 (of equals the first), else drawn with one random number."""
    if not sampling.temperature:
        return int(logits.argmax())
    scaled = logits.astype(np.float64) / sampling.temperature
    odds = np.exp(scaled - scaled.max())
    odds /= odds.sum()
    if sampling.top_k:
        odds = _top_k(odds, sampling.top_k)
    if sampling.top_p is not None and sampling.top_p < 1:
        odds = _nucleus(odds, sampling.top_p)
    if sampling.min_p:
        odds = np.where(odds >= sampling.min_p * odds.max(), odds, 0.0)
    cumulative = np.cumsum(odds)
    return int(np.searchsorted(cumulative, random.random() * cumulative[-1], side="right"))


def _likeliest(odds: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """The ids of the ``count`` likeliest tokens and of all that equal the last of them, best first, equals by id."""
    if count >= len(odds):
        return np.argsort(-odds, kind="stable")
    bound = np.partition(odds, len(odds) - count)[len(odds) - count]
    ids = np.flatnonzero(odds >= bound)
    return ids[np.argsort(-odds[ids], kind="stable")]


def _only(odds: NDArray[np.float64], ids: NDArray[np.intp]) -> NDArray[np.float64]:
    kept = np.zeros_like(odds)
    kept[ids] = odds[ids]
    return kept


def _top_k(odds: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    kept = _only(odds, _likeliest(odds, k)[:k])
    return cast("NDArray[np.float64]", kept / kept.sum())


def _nucleus(odds: NDArray[np.float64], top_p: float) -> NDArray[np.float64]:
    """A token stays while those before it do not yet fill ``top_p``, so the likeliest always does (Holtzman et al., arXiv 1904.09751, §3.1)."""
    order = _likeliest(odds, _FIRST)
    filled = np.cumsum(odds[order])
    if filled[-1] < top_p and len(order) < len(odds):
        order = np.argsort(-odds, kind="stable")
        filled = np.cumsum(odds[order])
    before = filled - odds[order]
    stays = before < top_p
    stays[0] = True
    return _only(odds, order[stays])


def log_softmax(logits: NDArray[Any]) -> Array:
    """Natural log-probabilities over the last axis."""
    shifted = logits - logits.max(-1, keepdims=True)
    return cast("Array", shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))
