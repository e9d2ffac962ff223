"""Beam search against enumeration, its diversity, and a best text that one beam misses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rookery.decoding.beam import distinct, diverse_beam
from rookery.decoding.contrast import contrast
from rookery.errors import CapabilityMissing, RequestRefused
from rookery.models.sampler import Array, log_softmax
from rookery.testing import ScriptedModel
from tests.decoding.toy import END, WORDS, A, C, P, ask, hashed, logits, toy


def enumerated(seed: int, longest: int) -> list[tuple[float, tuple[int, ...]]]:
    """All texts of up to ``longest`` tokens after p, the end counted, with their log-probabilities; the likeliest first."""
    rule, found = hashed(seed), []
    scores = {(): 0.0}
    for size in range(longest):
        for ids in itertools.product(range(1, len(WORDS)), repeat=size):
            own = log_softmax(np.array(rule((P, *ids)), np.float64))
            found.append((scores[ids] + float(own[END]), ids))
            if size + 1 < longest:
                scores |= {(*ids, token): scores[ids] + float(own[token]) for token in range(1, len(WORDS))}
            else:
                found += [(scores[ids] + float(own[token]), (*ids, token)) for token in range(1, len(WORDS))]
    return sorted(found, reverse=True)


@pytest.mark.parametrize("seed", range(4))
async def test_a_wide_beam_finds_what_enumeration_finds(seed: int) -> None:
    truth = enumerated(seed, 3)
    found = await diverse_beam(toy(hashed(seed)), ask(max_tokens=3), groups=1, width=60)
    for hypothesis, (score, ids) in zip(found[:20], truth[:20], strict=True):
        assert hypothesis.ids == ids and hypothesis.logprob == pytest.approx(score, abs=1e-4)
    assert [h.logprob for h in found] == sorted((h.logprob for h in found), reverse=True)
    assert all(hypothesis.tokens == len(hypothesis.ids) + hypothesis.ended for hypothesis in found)


async def test_one_group_or_no_strength_is_plain_beam_search() -> None:
    plain = await diverse_beam(toy(hashed(5)), ask(max_tokens=6), groups=1, width=3)
    assert await diverse_beam(toy(hashed(5)), ask(max_tokens=6), groups=1, width=3, strength=9.0) == plain
    idle = await diverse_beam(toy(hashed(5)), ask(max_tokens=6), groups=3, width=3, strength=0.0)
    assert [h.ids for h in idle] == [h.ids for h in plain] * 3
    greedy = await diverse_beam(toy(hashed(5)), ask(max_tokens=6), groups=1, width=1)
    rule, ids = hashed(5), (P,)
    while len(ids) < 7 and int(np.argmax(rule(ids))) != END:
        ids = (*ids, int(np.argmax(rule(ids))))
    assert greedy[0].ids == ids[1:]


async def test_more_strength_gives_more_different_texts() -> None:
    counts = []
    for strength in (0.0, 0.5, 2.0, 20.0):
        counts.append(sum([distinct(await diverse_beam(toy(hashed(seed)), ask(max_tokens=4), groups=4, width=1, strength=strength))
                           for seed in range(8)]))
    assert counts == sorted(counts) and counts[0] == 8 and counts[-1] > 24


def trap(tokens: tuple[int, ...]) -> list[float]:
    """The first step says a or b before c, and only c leads to a sure text."""
    if len(tokens) == 1:
        return logits(a=0.4, b=0.35, c=0.25)
    if tokens[1] == C:
        return logits(end=1.0)
    return logits(a=0.2, b=0.2, c=0.2, p=0.2, q=0.2) if len(tokens) < 4 else logits(end=1.0)


async def test_a_best_text_that_the_beam_misses_and_the_diverse_one_finds() -> None:
    narrow = await diverse_beam(toy(trap), ask(max_tokens=5), groups=1, width=2)
    assert "c" not in [h.text for h in narrow]
    wide = await diverse_beam(toy(trap), ask(max_tokens=5), groups=3, width=1, strength=1.0)
    best = max(wide, key=lambda h: h.logprob)
    assert best.text == "c" and best.logprob == pytest.approx(np.log(0.25), abs=1e-3) and best.ended


async def test_a_mask_holds_in_every_beam_and_scores_stay_the_models_own() -> None:
    def no_a_twice(ids: tuple[int, ...], own: Array) -> Array:
        out = own.copy()
        if ids[-1:] == (A,):
            out[[A, END]] = -np.inf
        return out

    found = await diverse_beam(toy(hashed(3)), ask(max_tokens=4), groups=2, width=4, rewrite=no_a_twice)
    assert found and all("aa" not in h.text and not (h.ended and h.text.endswith("a")) for h in found)
    rule = hashed(3)
    for h in found:
        ids, total = (P,), 0.0
        for token in (*h.ids, *([END] if h.ended else [])):
            total += float(log_softmax(np.array(rule(ids)))[token])
            ids = (*ids, token)
        assert h.logprob == pytest.approx(total, abs=1e-4)


async def test_it_searches_any_token_model() -> None:
    found = await diverse_beam(contrast(toy(hashed(2)), certain=0.9, lame=lambda r: r), ask("pab", max_tokens=4))
    assert len(found) == 4


async def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(CapabilityMissing, match="beam search"):
        await diverse_beam(ScriptedModel(["x"]), ask())
    for wrong in ({"groups": 0}, {"width": 0}, {"strength": -1.0}):
        with pytest.raises(RequestRefused):
            await diverse_beam(toy(trap), ask(), **wrong)  # type: ignore[arg-type]
