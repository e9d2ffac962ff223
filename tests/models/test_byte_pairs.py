"""The byte-pair vocabulary: exact on every text, the merge of lowest id first, damaged files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import ModelUnknown
from rookery.models.byte_pairs import BytePairTokenizer

BYTES = [b"", *(bytes([i]) for i in range(256))]
SMALL = BytePairTokenizer([*BYTES, b"el", b"se", b"self", b"lf", b" x", b").", b"\n ", b"\n  ", b"\n   ", b"\n    "], end=0)


@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    text = text.encode(errors="replace").decode()
    assert SMALL.decode(SMALL.encode(text)) == text


@given(st.text("sel f.x()\n_A9é", max_size=30))
def test_no_two_neighbours_within_a_piece_could_still_be_joined(text: str) -> None:
    tokens = [SMALL.tokens[i] for i in SMALL.encode(text)]
    for a, b in pairwise(tokens):
        if a + b in (b"el", b"se", b"lf", b" x", b")."):
            assert not a.isalpha() or not b.isalpha(), (text, tokens)


def test_the_lowest_id_goes_first_and_signs_stay_apart_from_words() -> None:
    assert [SMALL.tokens[i] for i in SMALL.encode("self")] == [b"s", b"el", b"f"], "el came before se and self"
    assert [SMALL.tokens[i] for i in SMALL.encode("x).se x\n    x")] == [b"x", b").", b"se", b" x", b"\n    ", b"x"]
    assert SMALL.encode("") == []


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert SMALL.decode([1 + 0xC3]) == "�"
    assert SMALL.encode("\udc80"), "a lone surrogate is bytes too"


def test_a_file_comes_back_and_a_damaged_one_says_so(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    SMALL.save(file)
    again = BytePairTokenizer.load(file)
    assert (again.tokens, again.end) == (SMALL.tokens, frozenset({0}))
    file.write_text(file.read_text()[:-20])
    with pytest.raises(ModelUnknown, match=r"tokenizer\.json"):
        BytePairTokenizer.load(file)
    with pytest.raises(ModelUnknown):
        BytePairTokenizer.load(tmp_path / "nothing.json")
