"""How fast and how large an index of tools is at a given size: a worker for ``benchmarks.retrieval``, each size in a process of its own.

Documents are the Seal-Tools tools and, beyond those, random bags of their words, as frequent as there (the worst case for posting lists);
queries are those of Seal-Tools. Without the data both are made of a made-up vocabulary.
"""

from __future__ import annotations

import asyncio
import math
import resource
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpora import load
from benchmarks.report import obey
from rookery.index.fusion import scaled
from rookery.index.hybrid import Entry, Hybrid
from rookery.index.text import bag, words
from rookery.models.embedder import Embedder, embedder
from rookery.tools.find import ToolIndex, ToolText

WARM_UP, QUERIES, INSERTS = 20, 300, 500
BATCH = 4096
K = 10


def material(seed: int) -> tuple[list[str], list[str]]:
    """Texts of tools and requests."""
    corpus = load("seal")
    if corpus is not None:
        texts = [" ".join([tool.name, tool.description, *(f"{name} {text}" for name, text in tool.parameters.items())]) for _, tool in corpus.tools]
        return texts, [query.text for query in corpus.queries]
    draw = np.random.default_rng(seed)
    made = ["".join(draw.choice(list("bdfgklmnprst")) + draw.choice(list("aeiou")) for _ in range(3)) for _ in range(6000)]
    some = [" ".join(made[at] for at in np.minimum(draw.zipf(1.2, 30) - 1, len(made) - 1)) for _ in range(5000)]
    return some[:4000], some[4000:]


def documents(texts: Sequence[str], size: int, seed: int) -> Iterator[str]:
    """The texts, and then random bags of their words, up to ``size``."""
    yield from texts[:size]
    draw = np.random.default_rng(seed)
    split = [words(text) for text in texts]
    pool = np.array([word for text in split for word in text], dtype=object)
    mean = len(pool) / len(texts)
    for _ in range(size - len(texts)):
        yield " ".join(pool[draw.integers(0, len(pool), max(6, int(draw.normal(mean, mean / 4))))])


def batches(texts: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(texts, BATCH)):
        yield batch


class Flat:
    """All documents' terms in one array: for scoring every document, without an index."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self._terms: list[Any] = []
        self._tf: list[Any] = []
        self._sizes: list[Any] = []

    def add(self, bags: Sequence[dict[str, float]]) -> None:
        numbers = self.numbers
        self._terms.append(np.array([numbers.setdefault(term, len(numbers)) for one in bags for term in one], np.int32))
        self._tf.append(np.array([tf for one in bags for tf in one.values()], np.float32))
        self._sizes.append(np.array([len(one) for one in bags], np.int32))

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in (*self._terms, *self._tf, *self._sizes))

    def bm25(self, query: dict[str, float]) -> Any:
        """BM25 of every document, as the books write it."""
        terms, tf = np.concatenate(self._terms), np.concatenate(self._tf).astype(np.float64)
        docs = np.repeat(np.arange(sum(map(len, self._sizes))), np.concatenate(self._sizes))
        count = docs[-1] + 1
        lengths = np.bincount(docs, tf, count)
        scores = np.zeros(count)
        for term, weight in query.items():
            at = np.flatnonzero(terms == self.numbers.get(term, -1))
            idf = math.log(1 + (count - len(at) + 0.5) / (len(at) + 0.5))
            scores[docs[at]] += weight * idf * tf[at] * 2.2 / (tf[at] + 1.2 * (0.25 + 0.75 * lengths[docs[at]] / lengths.mean()))
        return scores


def handle(order: dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(measure(order["size"], order["checked"], order["seed"], tools=order["tools"]))


async def measure(size: int, checked: int, seed: int, *, tools: bool) -> dict[str, Any]:
    """Build an index of ``size`` tools and measure it; ``checked`` queries are compared with scoring every document."""
    texts, requests = material(seed)
    requests = (requests * 2)[: WARM_UP + QUERIES]
    embed = embedder()
    await embed.embed(["warm"])
    before, begun, flat = resident(), time.perf_counter(), Flat()
    index = Hybrid(256, embedder=embed.fingerprint)
    for number, batch in enumerate(batches(documents(texts, size, seed))):
        bags, rows = [bag(text) for text in batch], await embed.embed(batch)
        index.add_many((f"tool-{number * BATCH + at}", Entry(one, row)) for at, (one, row) in enumerate(zip(bags, rows, strict=True)))
        flat.add(bags)
    built = time.perf_counter() - begun
    gigabytes = (resident() - before - flat.nbytes) / 1e9
    queries = [Entry(dict.fromkeys(bag(text), 1.0), row) for text, row in zip(requests, await embed.embed(requests, purpose="query"), strict=True)]
    found = {
        "size": size, "build_s": built, "memory_gb": gigabytes,
        "lexical_ms": spread([timed(lambda query=query: index.postings.search(query.bag, k=K)) for query in queries][WARM_UP:]),
        "fused_ms": spread([await fused(index, embed, text) for text in requests][WARM_UP:]),
        **compare(index, flat, queries[WARM_UP : WARM_UP + checked]),
        "insert_ms": spread([await inserted(index, embed, f"new-{at}", text) for at, text in enumerate(documents(texts[::-1], INSERTS, seed))]),
    }
    if tools:
        found["tools_ms"] = await searched(texts, size, seed, requests)
    return found


async def fused(index: Hybrid, embed: Embedder, text: str) -> float:
    begun = time.perf_counter()
    (row,) = await embed.embed([text], purpose="query")
    index.search(Entry(dict.fromkeys(bag(text), 1.0), row), k=K)
    return time.perf_counter() - begun


async def inserted(index: Hybrid, embed: Embedder, id: str, text: str) -> float:
    begun = time.perf_counter()
    (row,) = await embed.embed([text])
    index.add(id, Entry(bag(text), row))
    return time.perf_counter() - begun


async def searched(texts: Sequence[str], size: int, seed: int, requests: Sequence[str]) -> dict[str, float]:
    """A whole tool search, parts of the request and all views included."""
    index = ToolIndex()
    for number, text in enumerate(documents(texts, size, seed)):
        name, _, rest = text.partition(" ")
        index.add(ToolText(name, rest, id=f"tool-{number}"))
    await index.search("warm")
    laps = []
    for request in requests:
        begun = time.perf_counter()
        await index.search(request, k=K)
        laps.append(time.perf_counter() - begun)
    return spread(laps[WARM_UP:])


def compare(index: Hybrid, flat: Flat, queries: Sequence[Entry]) -> dict[str, Any]:
    """Against scoring every document: are the lexical best ten the same, and how many of the best ten by vectors and by both are found."""
    same, near, both = 0, 0.0, 0.0
    for query in queries:
        lexical = flat.bm25(dict(query.bag))
        expected = [slot for slot in top(np.round(lexical, 9)) if lexical[slot] > 0]
        hits = index.postings.search(query.bag, k=K)
        same += [hit.slot for hit in hits] == expected or np.allclose([hit.score for hit in hits], lexical[expected], rtol=1e-5)
        parts = np.array_split(np.arange(len(lexical)), len(lexical) // 50_000 + 1)
        dense = np.concatenate([index.vectors.score(query.vector, part) for part in parts])
        near += len(set(top(dense)) & {hit.slot for hit in index.vectors.search(query.vector, k=K)}) / K
        whole = scaled(lexical) + index.dense * scaled(np.maximum(dense, 0.0))
        both += len(set(top(whole)) & {hit.slot for hit in index.search(query, k=K)}) / K
    return {"checked": len(queries), "lexical_same": same / len(queries), "dense_recall": near / len(queries), "fused_recall": both / len(queries)}


def top(scores: Any) -> list[int]:
    some = np.argpartition(-scores, 4 * K)[: 4 * K] if len(scores) > 4 * K else np.arange(len(scores))
    return [int(slot) for slot in some[np.lexsort((some, -scores[some]))][:K]]


def timed(action: Any) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def spread(laps: Sequence[float]) -> dict[str, float]:
    p50, p95 = np.percentile(laps, [50, 95]) * 1e3
    return {"p50": float(p50), "p95": float(p95)}


def resident() -> int:
    """Bytes of memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    obey(handle)
