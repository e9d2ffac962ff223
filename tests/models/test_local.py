"""What models in this process have in common: prompts read once, replies kept for the next turn, room in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import CapabilityMissing, ContextOverflow, MemoryShort, RequestRefused
from rookery.models.local import LocalModel
from rookery.models.model import Capabilities, Grammar, Message, Request, Sampling, ToolOffer, complete
from rookery.models.prompts import Prompts, _shared
from rookery.models.room import check_room, free_bytes
from rookery.models.ruled import RuledSequence, WordList
from rookery.testing import check_model
from tests.models.test_token_level import WORDS, hashed

WORD_LIST = WordList(WORDS, end=[0])


class RuledEngine:
    """An engine over a rule; remembers its sequences."""

    def __init__(self) -> None:
        self.sequences: list[RuledSequence] = []
        self.closed = False

    def encode(self, request: Request) -> list[int]:
        return WORD_LIST.encode(request.text)

    def sequence(self) -> RuledSequence:
        self.sequences.append(RuledSequence(hashed, WORD_LIST))
        return self.sequences[-1]

    def close(self) -> None:
        self.closed = True


def local(engine: RuledEngine | None = None, *, cached_prompts: int = 4, context_tokens: int | None = 200) -> LocalModel:
    facts = Capabilities("ruled:local", context_tokens=context_tokens, is_local=True, logprobs=True, token_level=True, exact_token_count=True,
                         origin="rule-based")
    return LocalModel(facts, lambda: engine or RuledEngine(), cached_prompts=cached_prompts)


def ask(text: str, **sampling: object) -> Request:
    return Request((Message.of("user", text),), Sampling(**sampling))  # type: ignore[arg-type]


async def cached(model: LocalModel, text: str) -> tuple[int, int]:
    _, usage, _ = await complete(model, ask(text, max_tokens=1))
    return usage.prompt_tokens, usage.cached_tokens


async def test_it_keeps_the_contract() -> None:
    await check_model(lambda: local(context_tokens=None), request=ask("ab c", max_tokens=20))


async def test_what_prompts_share_is_read_once() -> None:
    model = local()
    assert [await cached(model, text) for text in ("ab c d", "ab c d", "ab c a", "ab c d a", "d", "ab")] == [
        (5, 0), (5, 5), (5, 4), (7, 5), (1, 0), (1, 0)]
    whole = await complete(local(cached_prompts=0), ask("ab c d a", max_tokens=12))
    again = await complete(model, ask("ab c d a", max_tokens=12))
    assert whole[0] == again[0], "a prompt from the cache gives the same reply"
    await model.aclose()


async def test_the_next_turn_begins_with_the_last_reply() -> None:
    model = local()
    text, usage, _ = await complete(model, ask("ab c", max_tokens=6))
    told = await cached(model, "ab c" + text + "d")
    assert told[1] >= 3 + usage.completion_tokens - 2, f"prompt and reply were read before: {told}"
    await model.aclose()


async def test_closing_frees_the_memory_and_the_next_request_loads_anew() -> None:
    engine = RuledEngine()
    model = local(engine)
    first, _, _ = await complete(model, ask("ab", max_tokens=5))
    await model.aclose()
    assert engine.closed
    assert (await complete(model, ask("ab", max_tokens=5)))[0] == first
    assert model.release() and model.release() in (True, False)
    await model.aclose()
    assert not model.release()


async def test_what_it_cannot_do_is_refused() -> None:
    model = local(context_tokens=4)
    offer = ToolOffer("look", "", {})
    for wrong in (Request(ask("a").messages, tools=(offer,)), Request(ask("a").messages, schema={}), Request(ask("a").messages, bias=((1, 1.0),)),
                  Request(ask("a").messages, grammar=Grammar("choice", ("a",)))):
        with pytest.raises(CapabilityMissing, match="decode="):
            await complete(model, wrong)
    with pytest.raises(ContextOverflow):
        await complete(model, ask("abcdab"))
    for empty in (Request(()), ask("")):
        with pytest.raises(RequestRefused, match="empty"):
            await complete(model, empty)
    await model.aclose()


async def test_replies_take_turns() -> None:
    model = local()
    alone = [(await complete(local(), ask(text, temperature=1.0, seed=4, max_tokens=25)))[0] for text in ("ab", "c d", "d")]
    together = await asyncio.gather(*(complete(model, ask(text, temperature=1.0, seed=4, max_tokens=25)) for text in ("ab", "c d", "d")))
    assert [text for text, _, _ in together] == alone
    await model.aclose()


@given(st.lists(st.integers(0, 2), max_size=40), st.lists(st.integers(0, 2), max_size=40))
def test_the_common_prefix(one: list[int], other: list[int]) -> None:
    expected = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    assert _shared(tuple(one), tuple(other)) == expected


@given(st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=6), min_size=1, max_size=12), st.integers(0, 3))
def test_any_order_of_prompts_gives_the_logits_of_a_fresh_one(prompts: Sequence[list[int]], most: int) -> None:
    def fresh() -> RuledSequence:
        return RuledSequence(hashed, WORD_LIST)

    kept = Prompts(fresh, most)
    for ids in prompts:
        opening = kept.open(ids)
        assert np.array_equal(opening.logits, fresh().eval(ids)[0]) and opening.ids == tuple(ids)
        opening.sequence.eval([1, 2])  # the caller's own: nothing of the cache changes
        assert kept.size <= most
        kept.keep((*ids, 1, 2), opening.sequence)


def test_weights_that_do_not_fit_are_not_loaded() -> None:
    free = free_bytes()
    assert free is None or free > 2**20
    check_room(100, 200, model="m", place="here", hint="")
    check_room(100, None, model="m", place="here", hint="")
    with pytest.raises(MemoryShort, match=r"m needs 3\.0 GiB .* here has 1\.0 MiB") as caught:
        check_room(3 * 2**30, 2**20, model="m", place="here", hint="a smaller one")
    assert (caught.value.needed_bytes, caught.value.free_bytes, caught.value.hint) == (3 * 2**30, 2**20, "a smaller one")
