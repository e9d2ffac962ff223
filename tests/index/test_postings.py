"""Postings against BM25 written down plainly, through adding, removing, compacting, saving and pruning."""

from __future__ import annotations

import math
import signal
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import IndexDamaged, IndexFull, IndexTooNew
from rookery.index import store
from rookery.index.postings import Postings
from rookery.index.text import bag

Bag = Mapping[str, float]
WORDS = [f"w{number}" for number in range(12)]
bags = st.dictionaries(st.sampled_from(WORDS), st.sampled_from([0.5, 1.0, 2.0, 3.0]), max_size=6)
steps = st.lists(st.one_of(
    st.tuples(st.just("add"), st.integers(0, 9), bags), st.tuples(st.just("remove"), st.integers(0, 9), st.just({})),
    st.tuples(st.just("compact"), st.just(0), st.just({})), st.tuples(st.just("reload"), st.just(0), st.just({})),
), max_size=25)


def plain(documents: Mapping[str, Bag], query: Bag, *, k1: float = 1.2, b: float = 0.75) -> dict[str, float]:
    """BM25 as the books write it."""
    mean = sum(sum(document.values()) for document in documents.values()) / max(1, len(documents))
    found = {}
    for id, document in documents.items():
        score = 0.0
        for term, weight in query.items():
            n = sum(term in other for other in documents.values())
            if term in document:
                tf, length = document[term], sum(document.values())
                score += weight * math.log(1 + (len(documents) - n + 0.5) / (n + 0.5)) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean))
        if score > 0:
            found[id] = score
    return found


@given(steps, bags)
def test_any_history_scores_as_the_formula(tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, int, Bag]], query: Bag) -> None:
    index, documents = Postings(), dict[str, Bag]()
    for verb, number, document in history:
        id = str(number)
        if verb == "add":
            index.add(id, document)
            documents.pop(id, None)
            documents[id] = document
        elif verb == "remove":
            assert index.remove(id) == (documents.pop(id, None) is not None)
        elif verb == "compact":
            index.compact()
        else:
            path = tmp_path_factory.getbasetemp() / "postings"
            index.save(path)
            index = Postings.load(path)
        assert len(index) == len(documents)
    expected = plain(documents, query)
    hits = index.search(query, k=20)
    assert {hit.id for hit in hits} == set(expected)
    assert all(math.isclose(hit.score, expected[hit.id], rel_tol=1e-5) for hit in hits)
    assert [hit.id for hit in index.search(query, k=3)] == [hit.id for hit in hits[:3]]


def large(count: int, *, seed: int = 0) -> Postings:
    """Documents of words with the frequencies of a language."""
    draw = np.random.default_rng(seed)
    chosen = np.minimum(draw.zipf(1.3, size=(count, 12)), 3000)
    index = Postings()
    index.add_many((f"d{row}", {f"t{term}": float(times) for term, times in zip(*np.unique(terms, return_counts=True), strict=True)})
                   for row, terms in enumerate(chosen))
    return index


def test_pruned_search_equals_scoring_everything() -> None:
    index, draw = large(20_000), np.random.default_rng(1)
    keep = draw.random(20_000) < 0.3
    for size in (1, 3, 10, 40):
        for _ in range(15):
            query = {f"t{term}": 1.0 for term in np.minimum(draw.zipf(1.3, size=size), 3000)}
            scores = index.score(query, np.arange(20_000))
            for mask in (None, keep):
                allowed = scores if mask is None else np.where(mask, scores, 0.0)
                best = [int(slot) for slot in np.lexsort((np.arange(20_000), -allowed))[:10] if allowed[slot] > 0]
                assert [hit.slot for hit in index.search(query, k=10, keep=mask)] == best


def test_many_at_once_equal_one_at_a_time() -> None:
    documents = [(f"d{number % 7}", bag(text)) for number, text in enumerate(["red bird", "blue bird bird", "red house", "a blue house"] * 4)]
    one, many = Postings(), Postings()
    for id, document in documents:
        one.add(id, document)
    many.add_many(documents)
    one.compact()
    many.compact()
    assert [hit.score for hit in one.search(bag("red bird"))] == [hit.score for hit in many.search(bag("red bird"))]
    assert [hit.id for hit in one.search(bag("red bird"))] == [hit.id for hit in many.search(bag("red bird"))]


def test_a_saved_index_holds_no_trace_of_what_was_removed(tmp_path: Path) -> None:
    index = Postings()
    index.add("secret-id", {"canary": 1.0, "bird": 1.0})
    index.add("kept", {"bird": 1.0})
    index.remove("secret-id")
    index.save(tmp_path / "index")
    raw = (tmp_path / "index").read_bytes()
    assert b"canary" not in raw and b"secret-id" not in raw and b"kept" in raw
    loaded = Postings.load(tmp_path / "index")
    assert [hit.slot for hit in loaded.search({"bird": 1.0})] == [1], "slots stay until compact"
    assert loaded.compact().tolist() == [1]


def test_a_loaded_index_can_be_changed_and_its_file_stays(tmp_path: Path) -> None:
    index = large(500)
    index.save(tmp_path / "index")
    before = (tmp_path / "index").read_bytes()
    loaded = Postings.load(tmp_path / "index")
    loaded.add("more", {"t1": 5.0})
    loaded.remove("d3")
    assert loaded.search({"t1": 1.0}, k=1)[0].id == "more"
    assert (tmp_path / "index").read_bytes() == before
    loaded.save(tmp_path / "index")
    assert len(Postings.load(tmp_path / "index")) == 500


@pytest.mark.parametrize("damage", [lambda raw: b"", lambda raw: raw[:40], lambda raw: raw[: len(raw) // 2], lambda raw: b"\xff" * len(raw),
                                    lambda raw: raw.replace(b'"docs"', b'"dogs"')])
def test_a_damaged_file_is_refused(tmp_path: Path, damage: object) -> None:
    large(50).save(tmp_path / "index")
    (tmp_path / "index").write_bytes(damage((tmp_path / "index").read_bytes()))  # type: ignore[operator]
    with pytest.raises(IndexDamaged):
        Postings.load(tmp_path / "index")


def test_files_of_other_kinds_and_times_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IndexDamaged):
        Postings.load(tmp_path / "absent")
    store.write(tmp_path / "other", "vectors", {}, {})
    with pytest.raises(IndexDamaged, match="vectors"):
        Postings.load(tmp_path / "other")
    store.write(tmp_path / "newer", "postings", {}, {"version": store.VERSION + 1})
    with pytest.raises(IndexTooNew):
        Postings.load(tmp_path / "newer")
    (tmp_path / "file").write_text("")
    with pytest.raises(IndexFull):
        Postings().save(tmp_path / "file" / "index")


def test_a_disk_that_is_full_leaves_the_old_file(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "index"
    large(10).save(path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(IndexFull):
            large(2000).save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["index"]
