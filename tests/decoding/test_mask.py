"""Masks are exact on bytes: what can be reached through them is the language, no more and no less."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.decoding.constraint import BREAKS, Language, Names, NamesState, regular, schema
from rookery.decoding.mask import FEW, Mask, _few, _many, names_mask, place
from rookery.decoding.tokens import Tokens, tokens_of
from rookery.errors import RuleWrong
from rookery.models.ruled import WordList
from tests.decoding.words import STRADDLING

TOKENS = tokens_of(WordList(STRADDLING, end=[0]))


def allowed(mask: Mask, tokens: Tokens) -> set[int]:
    return set(np.flatnonzero(mask.dense(tokens.size)).tolist())


def reference(state: NamesState, tokens: Tokens) -> set[int]:
    """By trying each token, byte by byte, on the names themselves."""
    found = set()
    for token, data in enumerate(tokens.bytes):
        if data and state.take(data) is not None:
            found.add(token)
    return found | (set(tokens.end.tolist()) if state.may_end else set())


names = st.lists(st.text("abn_.me", min_size=1, max_size=6), min_size=1, max_size=8).map(tuple)


@given(names, st.sampled_from([BREAKS, "", '"', ").,"]), st.data())
def test_the_mask_of_names_is_what_their_bytes_say_at_each_step(listed: tuple[str, ...], ends: str, data: st.DataObject) -> None:
    state = Names(listed, ends).start()
    for _ in range(6):
        assert allowed(names_mask(state, TOKENS), TOKENS) == reference(state, TOKENS)
        assert set(_few(state, TOKENS).tolist()) == set(_many(state, TOKENS).tolist())
        going_on = [token for token in reference(state, TOKENS) if TOKENS.bytes[token]]
        after = state.take(TOKENS.bytes[data.draw(st.sampled_from(going_on))]) if going_on else None
        if not isinstance(after, NamesState):
            break
        state = after


@given(names, st.sampled_from([BREAKS, "", ".)"]), st.text("abn_.me()x", max_size=9))
def test_a_text_of_names_is_accepted_exactly_when_its_definition_says_so(listed: tuple[str, ...], ends: str, text: str) -> None:
    wanted = any(text == name or (text.startswith(name) and text[len(name) : len(name) + 1] and text[len(name)] in ends) for name in listed)
    after = Names(listed, ends).start().take(text.encode())
    assert (after is not None and after.may_end) == wanted


def reachable(start: object, tokens: Tokens, length: int) -> set[bytes]:
    """All texts of up to so many bytes that masks lead to, token by token, and at which the end is allowed."""
    found: set[bytes] = set()
    seen: set[bytes] = set()
    stack = [(b"", start)]
    while stack:
        text, at = stack.pop()
        if at.is_free:
            ids, ends = [token for token, data in enumerate(tokens.bytes) if data], True
        else:
            mask = at.mask()
            ids = [token for token in allowed(mask, tokens) if tokens.bytes[token]]
            ends = bool(set(tokens.end.tolist()) & allowed(mask, tokens))
        if ends:
            found.add(text)
        for token in ids:
            longer = text + tokens.bytes[token]
            if len(longer) <= length and longer not in seen:
                seen.add(longer)
                after = at.take(token, tokens.bytes[token])
                assert after is not None, "what the mask allows is taken"
                stack.append((longer, after))
    return found


def test_what_masks_lead_to_is_the_reference_grammar_for_names_with_straddling_tokens() -> None:
    tokens = tokens_of(WordList(["", "a", "b", "ab", "b(", "(", "(a", "ba", "aa("], end=[0]))
    for listed in [("a",), ("ab", "aba"), ("a", "ab", "b"), ("bb", "ba")]:
        for ends in ("(", ""):
            texts = ["".join(letters) for size in range(6) for letters in itertools.product("ab(", repeat=size)]
            wanted = {text.encode() for text in texts
                      if any(text == name or (ends and text.startswith(name + "(")) for name in listed)}
            assert reachable(place(Names(listed, ends), tokens), tokens, 5) == wanted


@pytest.mark.parametrize("pattern", ["a|ab", "(ab)*", "a{2,3}b?", "(a|b)(ba)*", "b+a"])
def test_what_masks_lead_to_is_the_reference_grammar_for_patterns(pattern: str) -> None:
    import re

    tokens = tokens_of(WordList(["", "a", "b", "ab", "ba", "aab", "bb"], end=[0]))
    texts = ["".join(letters) for size in range(7) for letters in itertools.product("ab", repeat=size)]
    wanted = {text.encode() for text in texts if re.fullmatch(pattern, text)}
    assert reachable(place(regular(pattern), tokens), tokens, 6) == wanted


def test_half_a_character_is_half_a_name() -> None:
    cafe, half = "café".encode(), TOKENS.bytes.index("é".encode()[:1])
    state = Names(("café", "caff")).start().take(b"caf")
    assert isinstance(state, NamesState)
    assert half in allowed(names_mask(state, TOKENS), TOKENS)
    assert state.take(cafe[3:4]) is not None and state.take(b"f") is not None and state.take(cafe[4:]) is None


def test_many_names_at_once_give_what_few_give() -> None:
    random = np.random.default_rng(0)
    listed = tuple({"".join(random.choice(list("abcdefgnames_"), random.integers(1, 30))) for _ in range(3 * FEW)})
    state = Names(listed).start()
    assert set(_many(state, TOKENS).tolist()) == set(_few(state, TOKENS).tolist()) == reference(state, TOKENS)


def test_two_tokens_of_the_same_bytes_are_both_allowed() -> None:
    tokens = tokens_of(WordList(["", "na", "me", "na", "name", "x"], end=[0]))
    assert allowed(names_mask(Names(("name",)).start(), tokens), tokens) == {1, 3, 4}
    many = Names(("name", *(f"z{number}" for number in range(2 * FEW)))).start()
    assert allowed(names_mask(many, tokens), tokens) == {1, 3, 4}


def test_masks_join() -> None:
    few, dense = Mask(np.array([1, 2])), Mask(allowed=np.array([False, True, False, True]))
    assert allowed(few.both(dense, 4), tokens=TOKENS_OF_4) == {1} and allowed(few.either(dense, 4), TOKENS_OF_4) == {1, 2, 3}
    assert few.only is None and Mask(np.array([2, 2])).only == 2 and Mask(np.array([], np.intp)).is_empty
    logits = np.arange(4, dtype=np.float32)
    assert few.apply(logits).tolist() == [-np.inf, 1, 2, -np.inf] and dense.apply(logits).tolist() == [-np.inf, 1, -np.inf, 3]


TOKENS_OF_4 = tokens_of(WordList(["", "a", "b", "c"], end=[0]))


@pytest.mark.parametrize("make", [lambda: regular("("), lambda: regular("(?=a)b"), lambda: regular(r"(a)\1"), lambda: Names(()), lambda: Names(("",)),
                                  lambda: schema({"not": {"type": "string"}}), lambda: schema({"type": "strin"}), lambda: schema({"x": object()})])
def test_what_can_not_be_read_is_told_when_the_rule_is_made(make: object) -> None:
    with pytest.raises(RuleWrong):
        make()  # type: ignore[operator]


def test_a_language_in_the_middle_of_a_token_is_followed_from_there() -> None:
    pattern = regular("ab+")
    assert place(pattern, TOKENS, b"ab") is not None and place(pattern, TOKENS, b"ba") is None
    assert isinstance(pattern, Language)
