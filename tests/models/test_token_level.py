"""The contract of TokenModel: over the ruled and the embedded model, and what the contract catches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import rookery.models
from rookery.errors import ContextOverflow, RequestRefused
from rookery.models.model import Message, Model, Request, Sampling, complete
from rookery.models.ruled import RuledModel, RuledSequence
from rookery.models.token_level import Opening, TokenLevel
from rookery.testing import check_model, check_token_model

WORDS = ["<end>", "a", "b", "c", "d", "ab", " ", "é"]


def hashed(tokens: tuple[int, ...]) -> list[float]:
    """Logits that depend on every token so far."""
    return list(np.random.default_rng(list(tokens)).normal(0, 2, len(WORDS)))


def ruled(**options: object) -> RuledModel:
    return RuledModel(hashed, WORDS, end=[0], **options)  # type: ignore[arg-type]


def ask(text: str = "ab c", **sampling: object) -> Request:
    return Request((Message.of("user", text),), Sampling(**sampling))  # type: ignore[arg-type]


def opened(model: Model, request: Request) -> Callable[[], Opening]:
    """A factory of openings that can be called where no loop runs."""
    assert isinstance(model, TokenLevel)
    return lambda: asyncio.run(_open_and_close(model, request))


async def _open_and_close(model: TokenLevel, request: Request) -> Opening:
    opening = await model.open(request)
    await model.aclose()  # type: ignore[attr-defined]
    return opening


def test_a_rule_keeps_the_contract_of_a_token_model() -> None:
    check_token_model(opened(ruled(), ask()))


async def test_a_rule_keeps_the_contract_of_a_model() -> None:
    await check_model(ruled, request=ask(max_tokens=20))


async def test_a_ruled_model_refuses_what_it_cannot_read() -> None:
    for wrong in ("xyz", ""):
        with pytest.raises(RequestRefused):
            await complete(ruled(), ask(wrong))
    with pytest.raises(ContextOverflow):
        await complete(ruled(context_tokens=3), ask("abcd"))
    assert ruled().capabilities.origin == "rule-based"


if any((Path(rookery.models.__file__).parent / "weights" / "game24").glob("*.safetensors")):

    def test_the_embedded_model_keeps_the_contract_of_a_token_model() -> None:
        from rookery.models.embedded import EmbeddedModel
        from rookery.models.skills import JUDGE

        check_token_model(opened(EmbeddedModel(), ask(JUDGE.prompt("2 8 8 14"))))


class Forgetful(RuledSequence):
    """Rolls back nothing, and its siblings are it."""

    def truncate(self, length: int) -> None:
        pass

    def fork(self, n: object) -> Forgetful:
        return self


def test_the_contract_reports_all_that_is_broken_at_once() -> None:
    words = ruled().token_model().vocabulary

    def factory() -> Opening:
        sequence = Forgetful(hashed, words)
        return Opening(sequence, sequence.eval([5, 6, 3])[0], (5, 6, 3))

    with pytest.raises(AssertionError) as caught:
        check_token_model(factory)
    for clause in ("rolls back", "forks", "goes on from rows", "keeps forks apart", "minds its batch"):
        assert f"\n  {clause}: " in str(caught.value), clause
