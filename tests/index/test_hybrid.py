"""Both rankings over the same slots: fused as said, changed together, saved in one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rookery.errors import EmbedderMismatch, IndexDamaged, VectorWrong
from rookery.index.hybrid import Entry, Hybrid
from rookery.index.text import bag
from rookery.index.vectors import Vectors

DRAW = np.random.default_rng(0)
WORDS = [f"w{number}" for number in range(200)]


def entries(count: int, *, dims: int = 16) -> list[Entry]:
    return [Entry(bag(" ".join(DRAW.choice(WORDS, 8))), DRAW.normal(size=dims).astype(np.float32)) for _ in range(count)]


def filled(some: list[Entry]) -> Hybrid:
    index = Hybrid(16, embedder="e/1")
    index.add_many((f"d{number}", entry) for number, entry in enumerate(some))
    return index


def test_scores_are_those_of_both_sides_scaled() -> None:
    some = entries(400)
    index = filled(some)
    for query in entries(20):
        lexical = index.postings.score(query.bag, np.arange(400))
        dense = np.maximum(index.vectors.score(query.vector, np.arange(400)), 0)
        whole = lexical / lexical.max() + index.dense * dense / dense.max()
        hits = index.search(query, k=5)
        assert [hit.slot for hit in hits] == np.argsort(-whole)[:5].tolist()
        assert np.allclose([hit.score for hit in hits], np.sort(whole)[::-1][:5])


def test_one_and_many_give_the_same() -> None:
    some = entries(50)
    one = Hybrid(16)
    for number, entry in enumerate(some):
        one.add(f"d{number}", entry)
    assert one.search(some[3]) == filled(some).search(some[3])


def test_a_repeated_id_keeps_the_last_and_a_wrong_vector_changes_nothing() -> None:
    some = entries(3)
    index = Hybrid(16)
    index.add_many([("a", some[0]), ("b", some[1]), ("a", some[2])])
    assert len(index) == 2 and index.search(some[2], k=1)[0].id == "a"
    with pytest.raises(VectorWrong):
        index.add("a", Entry(some[0].bag, np.zeros(3, np.float32)))
    assert index.search(some[2], k=1)[0].id == "a"


def test_one_file_holds_both(tmp_path: Path) -> None:
    some = entries(60)
    index = filled(some)
    index.remove("d7")
    index.save(tmp_path / "folder" / "index")
    loaded = Hybrid.load(tmp_path / "folder" / "index", embedder="e/1")
    assert loaded.search(some[9]) == index.search(some[9]) and len(loaded) == 59
    loaded.add("new", some[7])
    assert loaded.search(some[7], k=1)[0].id == "new"
    keep = np.zeros(len(loaded.slots), np.bool_)
    keep[3] = True
    assert [hit.id for hit in loaded.search(some[7], keep=keep)] == ["d3"]
    with pytest.raises(EmbedderMismatch):
        Hybrid.load(tmp_path / "folder" / "index", embedder="e/2")
    Vectors(3).save(tmp_path / "other")
    with pytest.raises(IndexDamaged):
        Hybrid.load(tmp_path / "other")
