"""Values by content: what is written comes back, an append writes only what is new, equal content has one reference."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, PlainSerializer

from rookery.core.value import Writer, codec, digest, needs, plain, read
from rookery.errors import LogCorrupt


class Note(BaseModel):
    text: str
    tags: list[str] = []


quick = settings(deadline=None, max_examples=60)
long_texts = st.text(max_size=5).map(lambda text: text * 40)
TYPED: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, long_texts), (int, st.integers()), (list[str], st.lists(long_texts)), (list[int], st.lists(st.integers(), max_size=200)),
    (list[list[str]], st.lists(st.lists(long_texts))), (Note, st.builds(Note, text=long_texts, tags=st.lists(long_texts))),
    (list[Note], st.lists(st.builds(Note, text=long_texts))), (dict[str, list[str]], st.dictionaries(st.text(max_size=3), st.lists(long_texts))),
    (list[Any], st.lists(st.integers() | long_texts)), (Any, st.none() | st.lists(long_texts)), (tuple[str, ...], st.lists(long_texts).map(tuple)),
]


class Store(dict[str, bytes]):
    def __init__(self) -> None:
        self.writer = Writer(key=b"k")

    def write(self, value: Any, type_: Any) -> str:
        reference = self.writer.write(value, codec(type_))
        self.update(self.writer.take())
        return reference


@quick
@given(st.sampled_from(TYPED).flatmap(lambda pair: st.tuples(st.just(pair[0]), pair[1])))
def test_what_is_written_comes_back_fresh_and_complete(pair: tuple[Any, Any]) -> None:
    type_, value = pair
    store = Store()
    reference = store.write(value, type_)
    found = read(reference, codec(type_), store.__getitem__)
    assert found == value and type(found) is type(value)
    wanted = list(needs(reference, store.__getitem__))
    assert set(wanted) <= set(store)
    only = {name: store[name] for name in wanted}
    assert read(reference, codec(type_), only.__getitem__) == value


@quick
@given(st.lists(st.lists(long_texts, max_size=4), max_size=8), st.lists(st.integers(0, 40), max_size=6))
def test_equal_lists_have_equal_references_whatever_their_history(appends: list[list[str]], cuts: list[int]) -> None:
    store, items, seen = Store(), [], []
    for more, cut in zip(appends, [*cuts, *[40] * 8], strict=False):
        items = [*items[:cut], *more]
        seen.append((list(items), store.write(items, list[str])))
    for value, reference in seen:
        fresh = Store()
        assert fresh.write(list(value), list[str]) == reference
        assert read(reference, codec(list[str]), store.__getitem__) == value
        assert set(needs(reference, store.__getitem__)) <= set(store)
        assert set(needs(reference, fresh.__getitem__)) <= set(fresh)


def test_an_append_writes_only_what_is_new() -> None:
    store, items, payload = Store(), [], 0
    for turn in range(400):
        items.append(f"{turn:04} " + "x" * 1020)
        payload += 1025
        store.write(list(items), list[str])
    assert sum(map(len, store.values())) < 1.5 * payload
    assert read(store.write(list(items), list[str]), codec(list[str]), store.__getitem__) == items


def test_models_in_a_growing_list_are_stored_once() -> None:
    store = Store()
    notes = [Note(text=f"{index}" * 300) for index in range(50)]
    for size in range(1, 51):
        store.write(notes[:size], list[Note])
    assert sum(map(len, store.values())) < 2 * sum(len(note.text) for note in notes) + 50 * 120


def test_texts_of_another_type_do_not_share_a_history() -> None:
    loud = list[Annotated[str, PlainSerializer(str.upper)]]
    quiet = ["a" * 300, "b" * 300]
    store = Store()
    first = store.write(quiet, list[str])
    assert store.write([*quiet, "c"], list[str]) != first
    assert Store().write([*quiet], list[str]) == store.write([*quiet], list[str])
    try:
        assert store.write(quiet, loud) == Store().write(quiet, loud)
    except Exception as error:  # such a type may be refused, but is not confused with another
        assert type(error).__name__ == "NotSerialisable"


def test_small_values_stand_for_themselves() -> None:
    store = Store()
    assert store.write(1, int) == "=1" and store.write("a", str) == '="a"' and not store
    reference = store.write("a" * 100, str)
    assert reference == "#" + digest(b'"' + b"a" * 100 + b'"') and len(store) == 1
    assert store.writer.write("a" * 100, codec(str)) == reference and not store.writer.take()


def test_secrets_are_keyed_and_cannot_be_read() -> None:
    one, two = Writer(key=b"one"), Writer(key=b"two")
    assert one.secret("k", codec(str)) == one.secret("k", codec(str)) != two.secret("k", codec(str))
    assert not one.take()
    assert plain(one.secret("k", codec(str)), {}.__getitem__) == "<secret>"
    with pytest.raises(LogCorrupt):
        read(one.secret("k", codec(str)), codec(str), {}.__getitem__)


@pytest.mark.parametrize("reference", ["", "x", "?abc", "=", "={", "#missing"])
def test_references_that_cannot_be_followed(reference: str) -> None:
    def get(name: str) -> bytes:
        raise LogCorrupt(name)

    with pytest.raises(Exception) as caught:
        read(reference, codec(int), get)
    assert type(caught.value).__name__ in ("LogCorrupt", "ParseFailed")


def test_one_codec_a_type() -> None:
    assert codec(list[int]) is codec(list[int])
    assert codec(list[int]).element is codec(int) and codec(list[Any]).element is None and codec(tuple[int, ...]).element is None
