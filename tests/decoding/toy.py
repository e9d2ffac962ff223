"""Small models with exact distributions, for tests of decoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rookery.models.model import Message, Request, Sampling
from rookery.models.ruled import RuledModel

WORDS = ["<end>", "a", "b", "c", "p", "q"]
END, A, B, C, P, Q = range(6)


def logits(**odds: float) -> list[float]:
    """Logits of the named words' probabilities; the rest is impossible (a millionth)."""
    names = {"end": END, "a": A, "b": B, "c": C, "p": P, "q": Q}
    values = np.full(len(WORDS), 1e-9)
    for name, value in odds.items():
        values[names[name]] = value
    return list(np.log(values))


def toy(rule: Callable[[tuple[int, ...]], Sequence[float]], **options: object) -> RuledModel:
    return RuledModel(rule, WORDS, end=[END], **options)  # type: ignore[arg-type]


def ask(text: str = "p", *, sample: int = 0, **sampling: object) -> Request:
    return Request((Message.of("user", text),), Sampling(**sampling), sample=sample)  # type: ignore[arg-type]


def hashed(seed: int = 0) -> Callable[[tuple[int, ...]], list[float]]:
    """Logits that depend on every token so far."""
    return lambda tokens: list(np.random.default_rng([seed, *tokens]).normal(0, 2, len(WORDS)))
