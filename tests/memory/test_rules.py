"""The rules that read texts: what says the same, what is about what, which time is meant."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.memory import near, quote, subject, when

SAME = [
    ("The lab meets on Tuesdays.", "the lab meets on tuesdays"),
    ("On Tuesdays the lab meets.", "The lab meets on Tuesdays."),
    ("Ada isn't here.", "Ada is not here"),
    ("He has 2 dogs.", "He has two dogs"),
    ("It costs 1,000 euros", "It costs 1000 euros."),
    ("By the way, the film is long.", "The movie is long!"),
    ("“Quoted.”", "quoted"),
    ("a  b   c", "a b c"),
    ("Ada's dog", "Ada’s dog"),
    ("Krähe", "KRÄHE"),
    ("She purchases bread.", "She buys bread."),
]
DIFFERENT = [
    ("It costs 30 euros.", "It costs 35 euros."),
    ("Room 1.5", "Room 15"),
    ("Ada likes Bob.", "Bob likes Ada."),
    ("man bites dog", "dog bites man"),
    ("Ada is here.", "Ada is not here."),
    ("She was a teacher.", "She is a teacher."),
    ("She can come.", "She can't come."),
    ("Flew to Paris.", "Flew from Paris."),
    ("I like tea.", "You like tea."),
    ("The temperature is -5.", "The temperature is 5."),
    ("He has two dogs.", "He has three dogs."),
    ("Price: 5 €", "Price: 5 $"),
    ("before noon", "after noon"),
    ("likes cats", "liked cats"),
    ("e\u0301t\u00e9 x", "ete x y"),
    ("from Paris to Rome", "from Rome to Paris"),
    ("version 1.2", "version 1.3"),
    ("at 10:30", "at 10:45"),
    ("555-1234", "555-4321"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_in_other_words(one: str, other: str) -> None:
    assert near.same(one, other) and near.same(other, one) and near.key(one) == near.key(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_not_the_same(one: str, other: str) -> None:
    assert not near.same(one, other) and not near.same(other, one)


@given(st.text(max_size=80), st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_changed_number_is_never_the_same(text: str, one: int, other: int) -> None:
    assert near.same(f"{text} {one} rooks", f"{text} {other} rooks") == (one == other)


@given(st.text(max_size=60), st.text(max_size=60))
def test_saying_the_same_goes_both_ways_and_has_one_key(one: str, other: str) -> None:
    assert near.same(one, other) == near.same(other, one)
    assert not near.same(one, other) or near.key(one) == near.key(other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada lives in Paris.", "ada / city"),
        ("The city of Ada is Paris", "ada / city"),
        ("Update: Ada has moved from Paris to Rome.", "ada / city"),
        ("Bob's boss is Eve.", "bob / manager"),
        ("Bob reports to Mallory", "bob / manager"),
        ("My phone number is 555-1234.", "i / phone"),
        ("Since March, the lab meets on Fridays.", "lab / day"),
        ("Ada's favourite colour is blue.", "ada / favorite color"),
        ("He lives in Rome.", ""),
        ("Where does Ada live?", ""),
        ("The quick brown fox jumps.", ""),
        ("It's great that she is well.", ""),
        ("x" * 500, ""),
        ("", ""),
    ],
)
def test_subjects_of_statements(text: str, expected: str) -> None:
    assert subject.read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Where does Ada live?", "ada / city"),
        ("What was the price of the Falcon in May 2020?", "falcon / price"),
        ("Who is Bob's manager now?", "bob / manager"),
        ("When does the lab meet?", "lab / day"),
        ("What did Ada do in May?", ""),
        ("Ada?", ""),
    ],
)
def test_subjects_of_questions(text: str, expected: str) -> None:
    assert subject.asked(text) == expected


@given(st.text(max_size=200))
def test_rules_take_any_text(text: str) -> None:
    subject.read(text)
    subject.asked(text)
    subject.normal(text)
    when.intervals(text, 1.7e9)


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("on 7 May 2023", (2023, 5, 7), (2023, 5, 8)),
        ("May 7th, 2023", (2023, 5, 7), (2023, 5, 8)),
        ("in June 2023", (2023, 6, 1), (2023, 7, 1)),
        ("during 2022", (2022, 1, 1), (2023, 1, 1)),
        ("2023-05-07", (2023, 5, 7), (2023, 5, 8)),
        ("yesterday", (2023, 9, 14), (2023, 9, 15)),
        ("in December 2022", (2022, 12, 1), (2023, 1, 1)),
    ],
)
def test_times(text: str, begin: tuple[int, int, int], end: tuple[int, int, int]) -> None:
    now = datetime(2023, 9, 15, 12, tzinfo=UTC).timestamp()
    expected = (datetime(*begin, tzinfo=UTC).timestamp(), datetime(*end, tzinfo=UTC).timestamp())
    assert expected in when.intervals(f"What happened {text}?", now)


def test_times_that_no_calendar_has() -> None:
    assert when.intervals("on 2023-02-31, 2023-13-01", 1.7e9) == []
    assert when.intervals("in May", float("inf")) == []


@given(st.text(max_size=100))
def test_a_quotation_is_one_line_that_gives_the_text_back(text: str) -> None:
    import json

    line = quote.quoted(text)
    assert "\n" not in line and all(char.isprintable() for char in line)
    assert json.loads(line) == text
