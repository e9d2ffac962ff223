"""Vectors against brute force, below and above the size where a first pass begins; files and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rookery.errors import EmbedderMismatch, IndexDamaged, VectorWrong
from rookery.index.vectors import WHOLE, Vectors

Rows = NDArray[np.float32]


def cloud(count: int, dims: int, *, decay: float, seed: int = 0) -> Rows:
    """Unit vectors whose axes matter less and less."""
    rows = np.random.default_rng(seed).normal(size=(count, dims)) * np.exp(-decay * np.arange(dims) / dims)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def filled(rows: Rows) -> Vectors:
    index = Vectors(rows.shape[1])
    for number in range(len(rows)):
        index.slots.put(f"d{number}")
    index.put(rows)
    return index


def nearest(rows: Rows, query: Rows, keep: NDArray[np.bool_] | None = None) -> set[int]:
    scores = rows @ query
    if keep is not None:
        scores = np.where(keep, scores, -2)
    return set(np.argsort(-scores)[:10].tolist())


def test_a_small_index_is_exact() -> None:
    rows = cloud(1000, 48, decay=0)
    index, mask = filled(rows), np.random.default_rng(2).random(1000) < 0.2
    for query in cloud(20, 48, decay=0, seed=1):
        assert {hit.slot for hit in index.search(query)} == nearest(rows, query)
        assert {hit.slot for hit in index.search(query, keep=mask)} == nearest(rows, query, mask)


@pytest.mark.parametrize("decay", [0.0, 2.0, 6.0])
def test_a_large_index_finds_nearly_all(decay: float) -> None:
    rows = cloud(WHOLE + 4000, 64, decay=decay)
    index, mask = filled(rows), np.random.default_rng(2).random(len(rows)) < 0.7
    found = kept = 0
    for query in cloud(30, 64, decay=decay, seed=1):
        found += len({hit.slot for hit in index.search(query)} & nearest(rows, query))
        kept += len({hit.slot for hit in index.search(query, keep=mask)} & nearest(rows, query, mask))
    assert found >= 297 and kept >= 297


def test_growing_past_the_size_changes_nothing(tmp_path: Path) -> None:
    rows = cloud(WHOLE + 200, 32, decay=3)
    index = filled(rows[: WHOLE - 100])
    for number in range(WHOLE - 100, len(rows)):
        index.add(f"d{number}", rows[number])
    assert index.search(rows[-1], k=1)[0].id == f"d{len(rows) - 1}"
    assert index.search(rows[5], k=1)[0].id == "d5"
    index.remove("d5")
    assert index.search(rows[5], k=1)[0].id != "d5"
    index.save(tmp_path / "index")
    loaded = Vectors.load(tmp_path / "index")
    assert loaded.search(rows[7], k=5) == index.search(rows[7], k=5)
    assert 5 not in index.compact() and index.search(rows[7], k=1)[0].id == "d7"


def test_scores_are_cosines_and_zero_vectors_are_near_to_nothing() -> None:
    index = Vectors(3)
    index.add("long", np.array([10, 0, 0], np.float32))
    index.add("none", np.zeros(3, np.float32))
    hits = index.search(np.array([0.5, 0.5, 0], np.float32))
    assert [(hit.id, round(hit.score, 3)) for hit in hits] == [("long", 0.707), ("none", 0.0)]


@pytest.mark.parametrize("bad", [np.zeros(4), np.array([np.nan, 0, 0]), np.array([np.inf, 0, 0]), np.zeros((2, 3))])
def test_a_wrong_vector_is_refused_and_changes_nothing(bad: Rows) -> None:
    index = Vectors(3)
    index.add("one", np.array([1, 0, 0], np.float32))
    with pytest.raises(VectorWrong):
        index.add("one", bad.astype(np.float32))
    with pytest.raises(VectorWrong):
        index.search(bad.astype(np.float32))
    assert len(index) == 1 and index.search(np.array([1, 0, 0], np.float32))[0].id == "one"


def test_another_embedder_is_refused(tmp_path: Path) -> None:
    index = Vectors(3, embedder="static:a/1")
    index.save(tmp_path / "index")
    with pytest.raises(EmbedderMismatch) as caught:
        Vectors.load(tmp_path / "index", embedder="static:a/2")
    assert (caught.value.built, caught.value.given) == ("static:a/1", "static:a/2")
    assert Vectors.load(tmp_path / "index", embedder="static:a/1").embedder == "static:a/1"
    (tmp_path / "index").write_bytes(b"short")
    with pytest.raises(IndexDamaged):
        Vectors.load(tmp_path / "index")
