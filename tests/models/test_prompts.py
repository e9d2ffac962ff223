"""Prompts that were read: what is computed once, what is kept, and what makes room."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rookery.models.llama import LlamaModel
from rookery.models.llama_weights import LlamaWeights
from rookery.models.prompts import Prompts
from tests.models.test_llama import IDS, METADATA, TENSORS, WORDS, plain_forward

WEIGHTS = LlamaWeights.of(TENSORS, METADATA)


def fresh() -> LlamaModel:
    return LlamaModel(WEIGHTS, WORDS)


def right(prompts: Prompts, ids: Sequence[int]) -> int:
    """Open a prompt, check its logits and those after one more token; how many tokens were cached."""
    opening = prompts.open(ids)
    assert opening.ids == tuple(ids)
    assert np.abs(opening.logits - plain_forward(TENSORS, list(ids))[-1]).max() < 1e-4
    assert np.abs(opening.sequence.eval([5])[0] - plain_forward(TENSORS, [*ids, 5])[-1]).max() < 1e-4
    return opening.cached_tokens


def test_a_prompt_goes_on_where_it_parts_from_another() -> None:
    prompts = Prompts(fresh, 8)
    assert right(prompts, IDS[:10]) == 0
    assert right(prompts, IDS[:10]) == 10
    assert right(prompts, [*IDS[:6], 1, 2]) == 6
    assert right(prompts, [*IDS[:6], 1, 2, 3]) == 8
    assert right(prompts, IDS[:4]) == 3, "the last token's logits are wanted"
    assert right(prompts, [9, 9]) == 0
    assert prompts.size == 5


def test_a_short_common_begin_counts_only_where_another_ends() -> None:
    prompts = Prompts(fresh, 8, least=5)
    right(prompts, IDS[:10])
    assert right(prompts, [*IDS[:4], 1]) == 0
    assert right(prompts, [*IDS[:5], 1]) == 5
    right(prompts, IDS[:3])
    assert right(prompts, [*IDS[:3], 7, 7]) == 3


def test_an_instruction_is_computed_by_itself_and_kept_for_good() -> None:
    prompts = Prompts(fresh, 1, first=2, least=99)
    assert right(prompts, [1, 2, 3]) == 0
    assert right(prompts, [1, 2, 4]) == 2
    assert right(prompts, [1, 2, 3]) == 2, "the prompt made room, the instruction stayed"
    assert prompts.size == 1


def test_the_one_that_was_not_used_for_longest_makes_room() -> None:
    prompts = Prompts(fresh, 2)
    for ids in ([1, 1], [2, 2], [1, 1], [3, 3]):
        right(prompts, ids)
    assert right(prompts, [1, 1]) == 2
    assert right(prompts, [2, 2]) == 0
    prompts.trim(0)
    assert prompts.size == 0 and right(prompts, [1, 1]) == 0


def test_tokens_are_bounded_and_what_is_shared_counts_once() -> None:
    prompts = Prompts(fresh, 99, tokens=20)
    for tail in range(6):
        right(prompts, [*IDS[:10], tail])
    assert prompts.size == 6, "11 tokens and five more"
    right(prompts, [7] * 12)
    assert prompts.size < 6 and right(prompts, [7] * 12) == 12


@pytest.mark.parametrize("tail", [[], [4, 4]])
def test_a_reply_that_is_over_is_kept_for_what_goes_on_from_it(tail: list[int]) -> None:
    prompts = Prompts(fresh, 8)
    opening = prompts.open(IDS[:6])
    opening.sequence.eval([1, 2, 3])
    prompts.keep([*IDS[:6], 1, 2, 3], opening.sequence)
    assert right(prompts, [*IDS[:6], 1, 2, 3, *tail]) == (9 if tail else 8)
    assert right(prompts, IDS[:6]) == 6


def test_nothing_is_kept_where_nothing_shall_be() -> None:
    prompts = Prompts(fresh, 0)
    assert [right(prompts, IDS[:5]) for _ in range(2)] == [0, 0]
    prompts.keep(IDS[:5], fresh())
    assert prompts.size == 0


def test_a_long_chain_of_prompts_stays_fast_and_right() -> None:
    prompts = Prompts(fresh, 30)
    for size in range(1, 20):
        assert right(prompts, IDS[:size]) == size - 1
    assert len(prompts.open(IDS[:19]).sequence._shared) <= 4  # type: ignore[attr-defined]
