"""Entropy-adaptive switching: a trace worked out by hand, the ends of its range, rolling back, and what is counted."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.decoding.switching import Switch, SwitchingModel, SwitchSequence, entropy_bits, switching
from rookery.errors import CapabilityMissing, SettingWrong
from rookery.models.model import complete
from rookery.models.ruled import RuledModel
from rookery.testing import ScriptedModel, check_model, check_token_model
from tests.decoding.toy import A, B, P, ask, hashed, logits, toy
from tests.models.test_token_level import opened


def unsure(tokens: tuple[int, ...]) -> list[float]:
    """One bit after p and after each b, none after a."""
    return logits(a=0.5, b=0.5) if tokens[-1] in (P, B) else logits(a=1.0)


def test_entropy_is_in_bits() -> None:
    assert entropy_bits(np.log(np.array([0.25] * 4, np.float32))) == pytest.approx(2)
    assert entropy_bits(np.array([0, -np.inf, -np.inf], np.float32)) == 0
    p = np.array([0.5, 0.25, 0.25])
    assert entropy_bits(np.log(p).astype(np.float32)) == pytest.approx(1.5)


async def test_a_trace_worked_out_by_hand() -> None:
    model = switching(toy(unsure), toy(unsure), threshold_bits=0.6, window=2, dwell=2)
    opening = await model.open(ask("p"))
    sequence = opening.sequence
    for token in (B, A, A, A, B, B):
        sequence.eval([token])
    # Bits: p 1, b 1, a 0, a 0, a 0, b 1, b 1. The next token is read by the model that the mean of the last two says, once two are written:
    # after p: one token of the small one only, stays; after b: (1 + 1)/2 > 0.6, large reads a; it has read one token, stays; then
    # (0 + 0)/2, small reads the third a; after it one token only, stays for b; (0 + 1)/2 = 0.5, small reads the last b.
    assert [step.model for step in sequence.trace] == ["small", "small", "large", "large", "small", "small", "small"]
    assert [round(step.entropy_bits, 6) for step in sequence.trace] == [1, 1, 0, 0, 0, 1, 1]
    ledger = model.ledger
    assert ledger.switches == 2
    assert ledger.catch_up == {"small": 2, "large": 2}, "the large one read p and b, the small one the two tokens of the large one"
    assert (ledger.small, ledger.large) == (1 + 1 + 3 + 2, 2 + 2)


@pytest.mark.parametrize(("threshold", "who"), [(math.inf, "small"), (-1.0, "large")])
async def test_at_the_ends_of_the_range_one_model_writes(threshold: float, who: str) -> None:
    small, large = toy(hashed(1)), toy(hashed(2))
    model = switching(small, large, threshold_bits=threshold, dwell=1)
    text, _, _ = await complete(model, ask("pab", max_tokens=30))
    if who == "small":
        assert text == (await complete(small, ask("pab", max_tokens=30)))[0]
        assert model.ledger.large == 0, "the large one is not touched"
        return
    first, _, _ = await complete(small, ask("pab", max_tokens=1))  # drawn from the logits after the prompt, which the small one read
    rest, _, _ = await complete(large, ask("pab" + first, max_tokens=29))
    assert text == first + rest
    assert model.ledger.small == 3 and model.ledger.catch_up["large"] == 3


def test_it_is_a_token_model() -> None:
    for threshold in (math.inf, -1.0):  # in between the logits depend on the way, which the contract rules out
        check_token_model(opened(switching(toy(hashed(1)), toy(hashed(2)), threshold_bits=threshold, dwell=1), ask("pab")))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=8, max_size=8), st.integers(0, 7), st.floats(0.8, 2.4), st.integers(1, 3))
def test_what_is_kept_equals_what_is_computed_anew(tokens: list[int], kept: int, threshold: float, dwell: int) -> None:
    def fresh() -> SwitchSequence:
        sequence = asyncio.run(_open(switching(toy(hashed(1)), toy(hashed(2)), threshold_bits=threshold, window=2, dwell=dwell)))
        return sequence

    back, forked, anew = fresh(), fresh(), fresh()
    for token in (*tokens[:kept], A, B, A):
        back.eval([token])
    back.truncate(3 + kept)
    for token in tokens[:kept]:
        forked.eval([token])
    forked = forked.fork(2)
    for number, token in enumerate(tokens):
        logits_anew = anew.eval([token])
        if number >= kept:
            assert np.array_equal(back.eval([token]), logits_anew)
            assert np.array_equal(forked.eval([[token], [token]])[1:], logits_anew)
    assert back.trace == anew.trace == forked.trace


async def _open(model: SwitchingModel) -> SwitchSequence:
    opening = await model.open(ask("pab"))
    await model.aclose()
    assert isinstance(opening.sequence, SwitchSequence)
    return opening.sequence


async def test_it_is_a_model() -> None:
    await check_model(lambda: switching(toy(hashed(1)), toy(hashed(2)), threshold_bits=1.5, dwell=2), request=ask("pc", max_tokens=20))


async def test_several_at_once_do_not_hold_each_other_up() -> None:
    small, large = toy(hashed(1)), toy(hashed(2))
    models = [switching(small, large, threshold_bits=1.5), switching(large, small, threshold_bits=1.5), small, large]
    async with asyncio.timeout(20):
        together = await asyncio.gather(*(complete(model, ask("pa", max_tokens=15)) for model in models * 3))
    assert [text for text, _, _ in together[:4]] == [text for text, _, _ in together[4:8]]


async def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(CapabilityMissing, match="logits"):
        switching(toy(unsure), ScriptedModel(["x"]))
    other = RuledModel(lambda tokens: [0.0] * 3, ["<end>", "p", "x"], end=[0])
    with pytest.raises(SettingWrong, match="different vocabularies"):
        await complete(switching(toy(unsure), other), ask())
    for wrong in ({"window": 0}, {"dwell": 0}, {"threshold_bits": math.nan}):
        with pytest.raises(SettingWrong):
            switching(toy(unsure), toy(unsure), **wrong)  # type: ignore[arg-type]
    assert Switch().window == 5, "as in the paper"
