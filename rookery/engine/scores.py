"""The log-probabilities of a reply, summed up as its tokens come; and how they are kept in the result cache beside the value."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import exp, log
from typing import TYPE_CHECKING

from rookery.core.spend import Confidence
from rookery.errors import CapabilityMissing

if TYPE_CHECKING:
    from rookery.models.model import Model, TokenLogprob


class Scores:
    """How sure a model is of one reply; a reply that is asked for again counts alone.

    Raises CapabilityMissing when log-probabilities are ``asked`` of a model that has none.
    """

    def __init__(self, model: Model, *, asked: bool) -> None:
        self.asked = asked
        self.sum: Confidence | None = None
        if asked and not model.capabilities.logprobs:
            raise CapabilityMissing(
                f"{model.capabilities.name} tells no log-probabilities", model=model.capabilities.name,
                hint="take a model that does (capabilities.logprobs), or a planner that needs none",
            )

    def begin(self) -> None:
        """A reply begins."""
        self.sum = Confidence() if self.asked else None

    def add(self, tokens: Sequence[TokenLogprob]) -> None:
        """Further tokens of the reply."""
        if self.sum is not None:
            for token in tokens:
                self.sum = self.sum + Confidence(min(0.0, token.logprob), 1, _entropy(token))

    def pack(self, data: bytes) -> bytes:
        """A value's bytes as they are cached."""
        if self.sum is None:
            return data
        return json.dumps([self.sum.logprob, self.sum.tokens, self.sum.entropy]).encode() + b"\n" + data

    def unpack(self, data: bytes) -> tuple[bytes, Confidence | None]:
        """The value's bytes, and how sure the model was, out of the cache."""
        if not self.asked:
            return data, None
        head, _, body = data.partition(b"\n")
        return body, Confidence(*json.loads(head))


def _entropy(token: TokenLogprob) -> float:
    """Nats, at least: what the alternatives leave over counts as one more token."""
    known = dict(token.top) | {token.token: token.logprob}
    masses = [exp(min(0.0, logprob)) for logprob in known.values()]
    rest = max(0.0, 1.0 - sum(masses))
    return -sum(mass * log(mass) for mass in [*masses, rest] if mass > 1e-12)
