"""Drawing tokens: each control alone against its definition, the order of them, seeds, and speed on a large vocabulary."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import RequestRefused
from rookery.models.model import Message, Request, Sampling
from rookery.models.sampler import Sampler, draw, log_softmax

ODDS = np.array([0.1, 0.5, 0.05, 0.3, 0.05])
LOGITS = np.log(ODDS).astype(np.float32)


def shares(times: int = 4000, logits: np.ndarray = LOGITS, **sampling: object) -> np.ndarray:
    random = np.random.default_rng(3)
    how = Sampling(**({"temperature": 1.0} | sampling))  # type: ignore[arg-type]
    return np.bincount([draw(logits, how, random) for _ in range(times)], minlength=len(logits)) / times


@pytest.mark.parametrize(("sampling", "expected"), [
    ({}, ODDS),
    ({"temperature": 0.5}, ODDS**2 / (ODDS**2).sum()),
    ({"top_k": 2}, [0, 5 / 8, 0, 3 / 8, 0]),
    ({"top_k": 0}, ODDS),
    ({"top_p": 0.0}, [0, 1, 0, 0, 0]),
    ({"top_p": 0.45}, [0, 1, 0, 0, 0]),
    ({"top_p": 0.79}, [0, 5 / 8, 0, 3 / 8, 0]),
    ({"top_p": 1.0}, ODDS),
    ({"min_p": 0.15}, np.array([0.1, 0.5, 0, 0.3, 0]) / 0.9),
    ({"top_k": 3, "top_p": 0.6}, [0, 5 / 8, 0, 3 / 8, 0]),  # of the three left the first has 0.56, so the second stays
    ({"temperature": 2.0, "min_p": 0.5}, np.sqrt([0, 0.5, 0, 0.3, 0]) / np.sqrt([0.5, 0.3]).sum()),  # after the temperature
])
def test_each_control_does_what_it_says(sampling: dict[str, object], expected: np.ndarray) -> None:
    assert np.abs(shares(**sampling) - np.asarray(expected)).max() < 0.03


def test_zero_is_greedy_and_the_first_of_equals() -> None:
    assert draw(np.array([1, 2, 2, 0], np.float32), Sampling(), np.random.default_rng(0)) == 1
    assert draw(LOGITS, Sampling(temperature=0.0), np.random.default_rng(0)) == 1


def test_what_a_mask_forbids_is_never_drawn() -> None:
    masked = LOGITS.copy()
    masked[[1, 3]] = -np.inf
    for sampling in ({}, {"top_k": 4}, {"top_p": 0.9}, {"min_p": 0.01}, {"temperature": 5.0}):
        assert shares(500, masked, **sampling)[[1, 3]].sum() == 0


@given(st.lists(st.floats(-10, 10, width=32), min_size=2, max_size=40), st.integers(0, 2**32), st.floats(0.1, 3), st.floats(0, 1),
       st.integers(0, 40), st.floats(0, 1))
def test_equal_logits_and_seeds_give_equal_tokens(values: list[float], seed: int, temperature: float, top_p: float, top_k: int, min_p: float) -> None:
    logits = np.array(values, np.float32)
    how = Sampling(temperature=temperature, top_p=top_p, top_k=top_k, min_p=min_p, seed=seed, frequency_penalty=0.3)
    runs = []
    for _ in range(2):
        sampler = Sampler(how, sample=2)
        runs.append([sampler.pick(sampler.adjust(logits)) for _ in range(5)])
    assert runs[0] == runs[1]
    assert all(0 <= token < len(values) for token in runs[0])


def test_penalties_are_those_of_their_definitions() -> None:
    logits = np.array([2.0, -1.0, 0.5, 3.0], np.float32)
    plain = Sampler(Sampling())
    assert plain.adjust(logits) is logits, "nothing is copied where nothing is asked"
    both = Sampler(Sampling(frequency_penalty=0.5, presence_penalty=0.25), prompt=[3])
    for token in (0, 0, 2):
        both.take(token)
    assert np.allclose(both.adjust(logits), [2 - 2 * 0.5 - 0.25, -1, 0.5 - 0.5 - 0.25, 3])
    repetition = Sampler(Sampling(repetition_penalty=2.0), prompt=[3])
    repetition.take(1)
    assert np.allclose(repetition.adjust(logits), [2, -2, 0.5, 1.5])
    repetition.undo([1])
    assert np.allclose(repetition.adjust(logits), [2, -1, 0.5, 1.5])
    assert logits[3] == 3


@pytest.mark.parametrize("wrong", [{"temperature": -1.0}, {"temperature": float("nan")}, {"top_p": 1.5}, {"top_k": -1}, {"min_p": 2.0},
                                   {"repetition_penalty": 0.0}, {"seed": -1}, {"logprobs": -1}, {"frequency_penalty": float("inf")}])
def test_values_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(RequestRefused, match=next(iter(wrong))):
        Sampler(Sampling(**wrong))  # type: ignore[arg-type]


def test_a_large_vocabulary_is_not_sorted_for_its_nucleus() -> None:
    logits = np.random.default_rng(0).normal(0, 4, 128_256).astype(np.float32)
    sampler = Sampler(Sampling(temperature=0.7, top_p=0.9, seed=1))
    started = time.perf_counter()
    tokens = [sampler.pick(logits) for _ in range(20)]
    assert time.perf_counter() - started < 2
    assert len(set(tokens)) > 1
    flat = np.zeros(5000, np.float32)  # a nucleus wider than what is looked at first
    assert {draw(flat, Sampling(temperature=1.0, top_p=0.5), np.random.default_rng(n)) < 2501 for n in range(50)} == {True}


def test_log_softmax_sums_to_one() -> None:
    assert np.exp(log_softmax(LOGITS)).sum() == pytest.approx(1)


def test_new_fields_leave_old_fingerprints_alone() -> None:
    request = Request((Message.of("user", "hi"),), Sampling(temperature=0.5))
    assert set(request.canonical()) == {"messages", "sampling", "schema", "tools", "sample", "extra"}
    assert "top_k" not in request.canonical()["sampling"]
    assert Request(request.messages, Sampling(top_k=3)).canonical()["sampling"]["top_k"] == 3
    assert Request(request.messages, bias=((5, 100.0),)).fingerprint() != Request(request.messages).fingerprint()
