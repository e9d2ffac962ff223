"""Uncertainty-aware selective contrastive decoding: what a lame prompt would say is taken off where the real one is unsure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rookery.decoding.decoded import DecodedModel, rows_of
from rookery.errors import SettingWrong
from rookery.models.model import Message, Model, Request, TokenModel, Vocabulary
from rookery.models.sampler import Array
from rookery.models.token_level import Opening

Lame = Callable[[Request], Request]


@dataclass(frozen=True, slots=True)
class Contrast:
    """The numbers of USCD; the defaults are those of the authors' published runs (CodeLlama-7b, 32,016 tokens)."""

    strength: float = 0.7
    """How much of the lame prompt's probabilities is taken off."""
    certain: float = 0.895
    """From this certainty on nothing is done: the deviation of the probabilities times √V, 0 for no idea at all and 1 for a sure thing.
    The authors' threshold of 0.005 on the deviation itself, freed of the vocabulary's size."""
    floor: float = 2 / 3
    """Only tokens with at least this share of the mean probability (1/V) stay."""


def contrasted(standard: Array, lame: Array, how: Contrast) -> Array:
    """The log-probabilities (V,) after the lame prompt's are taken off; those of the standard prompt alone where it is certain.

    Wang et al., "USCD", arXiv 2409.05923, §4, as in its published code: with p and q the probabilities after the standard and the lame
    prompt, p where the deviation of p is above the threshold, else p - strength × q among the tokens with p ≥ floor × mean(p).
    What comes out at or below 0 is forbidden; if that is all of it, p stands.
    """
    p = _odds(standard)
    if certainty(p) > how.certain:
        return standard
    left = np.where(p >= how.floor * p.mean(), p - how.strength * _odds(lame), 0.0)
    if not (left > 0).any():
        return standard
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(left, 0.0)).astype(np.float32)


def certainty(odds: Array) -> float:
    """The deviation of probabilities (V,), scaled so that 0 is uniform and 1 a single token."""
    return float(odds.std(ddof=1)) * math.sqrt(len(odds)) if len(odds) > 1 else 1.0


def _odds(logits: Array) -> Array:
    odds = np.exp(logits - logits.max())
    total: Array = odds / odds.sum()
    return total


class ContrastSequence:
    """A TokenModel over two sequences, of which the lame one is evaluated only when some row is uncertain, then all at once."""

    def __init__(self, standard: TokenModel, lame: TokenModel, how: Contrast, *, lengths: tuple[int, int]) -> None:
        self._standard = standard
        self._lame = lame
        self._how = how
        self._start = lengths[0]
        """The length of the standard prompt, and of the lame one below."""
        self._lame_length = lengths[1]
        self._behind: list[list[int]] = [[]]
        """Row by row, the tokens that the lame sequence has not evaluated yet."""
        self._length = lengths[0]
        self.contrasts = 0
        """How often a row was uncertain."""

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the model."""
        return self._standard.vocabulary

    def eval(self, ids: Sequence[int] | Sequence[Sequence[int]]) -> Array:
        """Append tokens; contrasted logits after the last, (B, V). At most one evaluation of each of the two sequences."""
        rows = rows_of(ids, len(self._behind))
        logits = self._standard.eval(rows)
        self._length += len(rows[0])
        self._behind = [old + new for old, new in zip(self._behind, rows, strict=True)]
        return self._rewritten(logits)

    def _rewritten(self, logits: Array) -> Array:
        unsure = [row for row in range(len(logits)) if certainty(_odds(logits[row])) <= self._how.certain]
        if not unsure:
            return logits
        self.contrasts += len(unsure)
        lame = self._lame.eval(self._behind)
        self._lame_length += len(self._behind[0])
        self._behind = [[] for _ in self._behind]
        out = logits.copy()
        for row in unsure:
            out[row] = contrasted(logits[row], lame[row], self._how)
        return out

    def truncate(self, length: int) -> None:
        """Keep only the first ``length`` tokens, counted with the standard prompt.

        :raises ValueError: more than there are, or less than the prompt: a prompt is opened, not taken back.
        """
        if not self._start <= length <= self._length:
            raise ValueError(f"cannot truncate {self._length} tokens to {length}; the prompt has {self._start}")
        self._standard.truncate(length)
        gone, waiting = self._length - length, len(self._behind[0])
        self._length = length
        if gone > waiting:
            self._lame_length -= gone - waiting
            self._lame.truncate(self._lame_length)
        self._behind = [row[: max(0, waiting - gone)] for row in self._behind]

    def fork(self, n: int | Sequence[int]) -> ContrastSequence:
        """Siblings, or a batch that goes on from these rows; both sequences are forked."""
        rows = [0] * n if isinstance(n, int) else list(n)
        other = ContrastSequence(self._standard.fork(n), self._lame.fork(n), self._how, lengths=(self._start, self._lame_length))
        other._behind, other._length = [list(self._behind[row]) for row in rows], self._length
        return other


class ContrastModel(DecodedModel):
    """A model whose replies are decoded with USCD; see :func:`contrast`."""

    def __init__(self, inner: Model, *, lame: Lame, how: Contrast) -> None:
        super().__init__(inner, replace(inner.capabilities, name=f"contrast({inner.capabilities.name})"))
        self._make_lame = lame
        self._how = how

    async def open(self, request: Request) -> Opening:
        """The prompt and its lame form, read; where they are the same there is nothing to contrast."""
        lame = self._make_lame(request)
        standard = await self._level.open(request)
        if lame.messages == request.messages:
            return standard
        weak = await self._level.open(lame)
        sequence = ContrastSequence(standard.sequence, weak.sequence, self._how, lengths=(len(standard.ids), len(weak.ids)))
        logits = contrasted(standard.logits, weak.logits, self._how)
        return Opening(sequence, logits, standard.ids, standard.cached_tokens)


def contrast(model: Model, *, lame: Lame | None = None, strength: float = 0.7, certain: float = 0.895, floor: float = 2 / 3) -> Model:
    """The model, decoded with uncertainty-aware selective contrastive decoding (USCD, arXiv 2409.05923).

    Twice the work of a token at most, and only where the model is unsure. The result is a model in this process as before: monitors
    go on top of it.

    :param lame: makes the lame prompt of a request; by default :func:`without_examples`.
    :param strength, certain, floor: see :class:`Contrast`.
    :raises CapabilityMissing: the model gives no logits.
    :raises SettingWrong: a number is out of its range.
    """
    for name, value, high in (("strength", strength, 10.0), ("certain", certain, 1.0), ("floor", floor, 1e6)):
        if not 0 <= value <= high:
            raise SettingWrong(f"{name} is {value}; it must be between 0 and {high:g}", model=model.capabilities.name)
    return ContrastModel(model, lame=lame or without_examples, how=Contrast(strength, certain, floor))


_DOCTEST = re.compile(r"^[ \t]*>>> .*\n(?:[ \t]*\.\.\. .*\n)*(?:(?![ \t]*(?:>>> |\"\"\"|'''))[ \t]*\S.*\n)*", re.MULTILINE)
_EXAMPLE = re.compile(r"^[ \t]*(?:for example|examples?)\b[^\n]*:[ \t]*\n(?:[ \t]*\S[^\n]*\n)*", re.MULTILINE | re.IGNORECASE)


def without_examples(request: Request) -> Request:
    """The lame prompt: the request without its input-output examples.

    What counts as one: the turns before the last question, doctests (``>>> f(1)`` and what it gives), and paragraphs that begin with
    ``Example:`` or ``For example:``.
    """
    last = max((at for at, message in enumerate(request.messages) if message.role == "user"), default=0)
    kept = [message for at, message in enumerate(request.messages) if at >= last or message.role == "system"]
    return replace(request, messages=tuple(_bare(message) if message.role == "user" else message for message in kept))


def _bare(message: Message) -> Message:
    text = message.text if message.text.endswith("\n") else message.text + "\n"
    bare = _EXAMPLE.sub("", _DOCTEST.sub("", text))
    return message if bare == text else Message.of(message.role, bare if message.text.endswith("\n") else bare.rstrip("\n"))
