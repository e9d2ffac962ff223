"""Terms: names are taken apart, endings cut, stop words dropped; and rankings are joined."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.index.fusion import by_rank, by_score
from rookery.index.text import bag, merge, stem, terms, words


@pytest.mark.parametrize(("text", "expected"), [
    ("getUserById2", ["get", "user", "by", "id", "2"]), ("HTTPServer_error", ["http", "server", "error"]),
    ("snake_case-name", ["snake", "case", "name"]),
    ("Café au lait", ["cafe", "au", "lait"]), ("version 3.11", ["version", "3.11"]), ("東京都", ["東京", "京都"]), ("", []), ("?!", []),
])
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize("family", [
    ("calculate", "calculates", "calculated", "calculating"), ("plan", "plans", "planned", "planning"), ("city", "cities"), ("box", "boxes"),
    ("analyse", "analyses", "analysed"), ("search", "searches", "searching"),
])
def test_forms_of_a_word_meet(family: tuple[str, ...]) -> None:
    assert len({stem(word) for word in family}) == 1


def test_different_words_stay_apart() -> None:
    assert len({stem(word) for word in ("plan", "planet", "plant", "new", "bus", "buzz", "red", "string", "sting", "gas")}) == 10


def test_stop_words_are_no_terms() -> None:
    assert terms("What is the price of a table?") == [stem("price"), stem("table")]


@given(st.text())
def test_any_text_has_terms_that_stay_the_same(text: str) -> None:
    assert terms(text) == terms(text)
    assert all(term and term == term.lower() for term in terms(text) if term.isascii())


def test_fields_weigh() -> None:
    assert merge([bag("red bird", 2.0), bag("bird song")]) == {"red": 2.0, "bird": 3.0, "song": 1.0}


def test_rankings_are_joined_by_rank_and_by_score() -> None:
    assert list(by_rank([["a", "b", "c"], ["b", "c"]])) == ["b", "c", "a"]
    assert by_rank([["a"], ["a"]], weights=[1.0, 2.0], constant=1) == {"a": 1.5}
    assert by_score([{"a": 10.0, "b": 5.0}, {"b": 0.4}], weights=[1.0, 0.6]) == {"b": 1.1, "a": 1.0}
    assert by_score([{"a": 0.0}, {}]) == {"a": 0.0}
