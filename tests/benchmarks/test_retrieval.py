"""The retrieval benchmark: its metrics, its halves, its targets without data, and a small index measured through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import retrieval, retrieval_scale
from benchmarks.corpora import Corpus, Query, load, quality
from benchmarks.report import exit_code
from rookery.index.text import bag
from rookery.tools.find import ToolText

QUERIES = (Query("one", ("a",)), Query("two", ("a", "b")))


def test_recall_is_a_mean_over_the_tools_of_a_query() -> None:
    found = quality(QUERIES, [["x", "a"], ["b", "x", "x", "x", "x", "a"]])
    assert (found.r1, found.r5, found.r10, found.c10, found.queries) == (25.0, 75.0, 100.0, 100.0, 2)


def test_halves_are_disjoint_and_always_the_same() -> None:
    corpus = Corpus("some", (), tuple(Query(str(number), ("a",)) for number in range(11)))
    development, held_out = corpus.halves()
    assert (len(development), len(held_out)) == (5, 6)
    assert {*development, *held_out} == set(corpus.queries) and corpus.halves() == (development, held_out)


async def test_a_small_corpus_runs_through(monkeypatch: pytest.MonkeyPatch) -> None:
    tools = [ToolText(name, f"Does {name} to a {thing}") for name, thing in (("paint", "house"), ("wash", "car"), ("bake", "cake"))]
    corpus = Corpus("some", tuple((tool.name, tool) for tool in tools), (Query("paint my house", ("paint",)), Query("a cake", ("bake",))))
    found = await retrieval.cold(corpus)
    assert found["quality"]["rookery"]["R@1"] == found["quality"]["BM25"]["R@1"] == 100
    monkeypatch.setattr(retrieval, "LOGGED", 1)
    past = await retrieval.warm(corpus, seeds=2, sizes=(0, 1))
    assert (past["cold_r5"], past["gain"], past["most_gain_possible"]) == (100, 0, 0)


async def test_without_data_targets_are_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOKERY_DATA", str(tmp_path))
    assert load("seal") is None
    data = await retrieval.measure(quick=True, scales=(), seed=0)
    assert exit_code(retrieval.targets(data)) == 2
    assert "seal: no data" in list(retrieval.lines(data))


async def test_a_small_index_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOKERY_DATA", str(tmp_path))
    monkeypatch.setattr(retrieval_scale, "QUERIES", 20)
    monkeypatch.setattr(retrieval_scale, "INSERTS", 20)
    found = await retrieval_scale.measure(300, 5, 0, tools=True)
    assert found["lexical_same"] == 1 and found["fused_recall"] == 1 and found["dense_recall"] == 1
    assert found["insert_ms"]["p95"] > 0 and found["tools_ms"]["p95"] > 0
    assert any(target.name.startswith("T12 memory") for target in retrieval.scale_targets(100_000, found))


def test_the_flat_scores_are_bm25() -> None:
    flat = retrieval_scale.Flat()
    flat.add([bag("red bird"), bag("blue bird bird")])
    flat.add([bag("house")])
    scores = flat.bm25({"bird": 1.0, "absent": 1.0})
    idf, mean = np.log(1 + 1.5 / 2.5), 2.0
    assert np.allclose(scores, [idf * 2.2 / (1 + 1.2), idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 3 / mean)), 0])
