"""Finding tools: how many of those needed are among the first, cold and after use, and how fast and large the index is.

T1 to T3 on Seal-Tools (in-domain), BFCL (eight files pooled) and LiveMCPBench, against BM25 over the same texts, unsplit: with each word of a
request as often as it occurs, and with each word once, which is better. The weights of the search were chosen on the development half of each
corpus' queries; both halves are shown. Two choices, SERVER.TOOL as names in LiveMCPBench and the weight of first sentences, were made on
development halves as well, but after the other halves had been seen once.

T4: uses of Seal-Tools queries recorded, the rest searched. T12: made-up tools, up to a million.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.corpora import Corpus, Quality, Query, load, quality
from benchmarks.report import Target, Worker, finish, options, say, table
from rookery.index.postings import Postings
from rookery.index.text import bag
from rookery.tools.find import ToolIndex

CORPORA = ("seal", "bfcl", "livemcp", "livemcp bare")
SEEDS, LOGGED = 5, 560
SIZES = (0, *range(50, LOGGED, 50), LOGGED)
K = 10
SCALES = {1_000: (1.0, 2.0, None), 100_000: (8.0, 15.0, 0.4), 1_000_000: (40.0, 80.0, 3.0)}
"""Tools, and what is promised: p95 of lexical and of fused search in ms, gigabytes of the index."""
WORKER_TIMEOUT_S = 3600.0


# ------------------------------------------------------------------ cold


def baseline(corpus: Corpus, *, once: bool) -> list[list[str]]:
    """BM25 (k1 1.2, b 0.75) over each tool's whole text, requests unsplit; ``once`` counts each word of a request once."""
    index, names = Postings(), {tool.key: name for name, tool in corpus.tools}
    for _, tool in corpus.tools:
        index.add(tool.key, bag(" ".join([tool.name, tool.description, *(f"{one} {text}" for one, text in tool.parameters.items())])))
    asked = [dict.fromkeys(bag(query.text), 1.0) if once else bag(query.text) for query in corpus.queries]
    return [[names[hit.id] for hit in index.search(one, k=K)] for one in asked]


def indexed(corpus: Corpus) -> ToolIndex:
    index = ToolIndex()
    for _, tool in corpus.tools:
        index.add(tool)
    return index


async def rankings(index: ToolIndex, corpus: Corpus, queries: Sequence[Query]) -> list[list[str]]:
    names = {tool.key: name for name, tool in corpus.tools}
    return [[names[finding.name] for finding in await index.search(query.text, k=K)] for query in queries]


async def cold(corpus: Corpus) -> dict[str, Any]:
    begun = time.perf_counter()
    ours = dict(zip(corpus.queries, await rankings(indexed(corpus), corpus, corpus.queries), strict=True))
    development, held_out = corpus.halves()

    def of(queries: Sequence[Query]) -> Quality:
        return quality(queries, [ours[query] for query in queries])

    found = {
        "BM25": quality(corpus.queries, baseline(corpus, once=False)), "BM25, words once": quality(corpus.queries, baseline(corpus, once=True)),
        "rookery": of(corpus.queries), "rookery, development half": of(development), "rookery, held-out half": of(held_out),
    }
    say(f"{corpus.name}: {len(corpus.tools)} tools, R@5 {found['rookery'].r5:.1f} in {time.perf_counter() - begun:.0f} s")
    return {"tools": len(corpus.tools), "seconds": time.perf_counter() - begun, "quality": {name: one.plain() for name, one in found.items()}}


# ------------------------------------------------------------------ after use


async def warm(corpus: Corpus, *, seeds: int, sizes: Sequence[int]) -> dict[str, Any]:
    """Queries in a random order: the first 560 are recorded one by one with their tools, the rest is searched after so many."""
    gains: dict[int, list[float]] = {size: [] for size in sizes}
    first, reachable = list[float](), list[float]()
    for seed in range(seeds):
        order = list(corpus.queries)
        random.Random(seed).shuffle(order)
        log, rest = order[:LOGGED], order[LOGGED:]
        index, recorded = indexed(corpus), 0
        for size in sizes:
            for query in log[recorded:size]:
                await index.note_use(query.text, *query.wanted)
            recorded = size
            ranked = await rankings(index, corpus, rest)
            recall = quality(rest, ranked).r5
            if size == 0:
                first.append(recall)
                reachable.append(limit(rest, ranked, {name for query in log for name in query.wanted}))
            gains[size].append(recall - first[-1])
        say(f"past use, seed {seed}: cold R@5 {first[-1]:.2f}, after {recorded} uses {first[-1] + gains[recorded][-1]:.2f}")
    return {
        "cold_r5": statistics.fmean(first), "warm_r5": statistics.fmean(first) + statistics.fmean(gains[sizes[-1]]),
        "gain": statistics.fmean(gains[sizes[-1]]), "worst_gain": min(min(some) for some in gains.values()),
        "mean_gain_by_size": {size: statistics.fmean(some) for size, some in gains.items()},
        "most_gain_possible": statistics.fmean(reachable), "seeds": seeds,
    }


def limit(queries: Sequence[Query], ranked: Sequence[Sequence[str]], seen: set[str]) -> float:
    """What R@5 would gain if every tool that the log has seen were found: the most that votes for tools can do."""
    pairs = zip(queries, ranked, strict=True)
    return 100 * statistics.fmean(sum(name in seen and name not in names[:5] for name in query.wanted) / len(query.wanted) for query, names in pairs)


# ------------------------------------------------------------------ the whole


async def measure(*, quick: bool, scales: Sequence[int], seed: int) -> dict[str, Any]:
    data: dict[str, Any] = {"corpora": {}, "past_use": None, "scale": {}}
    corpora = {name: load(name) for name in CORPORA}
    for name, corpus in corpora.items():
        data["corpora"][name] = await cold(corpus) if corpus is not None else None
    seal = corpora["seal"]
    if seal is not None:
        data["past_use"] = await warm(seal, seeds=1 if quick else SEEDS, sizes=(0, 100, LOGGED) if quick else SIZES)
    for size in scales:
        worker = Worker("benchmarks.retrieval_scale")
        order = {"size": size, "checked": 10 if quick else 50, "seed": seed, "tools": size <= 100_000 and not quick}
        data["scale"][size] = found = worker.ask(order, timeout_s=WORKER_TIMEOUT_S)
        worker.close()
        say(f"{size} tools: lexical p95 {found['lexical_ms']['p95']:.2f} ms, fused {found['fused_ms']['p95']:.2f} ms, {found['memory_gb']:.2f} GB")
    return data


def targets(data: dict[str, Any]) -> list[Target]:
    """Every promise about retrieval, with its figure."""
    def figure(corpus: str, row: str, column: str) -> float | None:
        found = data["corpora"][corpus]
        return None if found is None else found["quality"][row][column]

    found = []
    for number, corpus, bounds in (("T1", "seal", {"R@5": 95, "C@10": 94}), ("T2", "bfcl", {"R@1": 60, "R@5": 85}), ("T3", "livemcp", {"R@5": 42})):
        for column, bound in bounds.items():
            for row in ("rookery", "rookery, held-out half"):
                name = f"{number} {corpus} {column}{row.removeprefix('rookery')}"
                found.append(Target(name, figure(corpus, row, column), bound, " %", at_least=True))
    for corpus in CORPORA:
        for column in ("R@1", "R@5", "R@10", "C@10"):
            ours = figure(corpus, "rookery", column)
            best = max((figure(corpus, row, column) or 0.0 for row in ("BM25", "BM25, words once")), default=0.0)
            found.append(Target(f"T1 {corpus} {column} above unsplit BM25", None if ours is None else ours - best, -0.5, " points", at_least=True))
    past = data["past_use"]
    found.append(Target("T4 R@5 gained by recorded uses", past and past["gain"], 2, " points", at_least=True))
    found.append(Target("T4 least gain at any log size and seed", past and past["worst_gain"], 0, " points", at_least=True))
    for size, scale in data["scale"].items():
        found += scale_targets(int(size), scale)
    return found


def scale_targets(size: int, found: dict[str, Any]) -> list[Target]:
    lexical, fused, gigabytes = SCALES[size]
    some = [
        Target(f"T12 lexical search p95 at {size:,} tools", found["lexical_ms"]["p95"], lexical, " ms"),
        Target(f"T12 fused search p95 at {size:,} tools", found["fused_ms"]["p95"], fused, " ms"),
        Target(f"T12 insert p95 at {size:,} tools", found["insert_ms"]["p95"], 1, " ms"),
        Target(f"T12 lexical top 10 equal to scoring everything at {size:,} tools", found["lexical_same"], 1, at_least=True),
        Target(f"T12 fused recall@10 of scoring everything at {size:,} tools", found["fused_recall"], 0.98, at_least=True),
        Target(f"T12 recall@10 of all vectors at {size:,} tools", found["dense_recall"], 0.98, at_least=True),
    ]
    return some + ([Target(f"T12 memory of the index at {size:,} tools", found["memory_gb"], gigabytes, " GB")] if gigabytes else [])


def lines(data: dict[str, Any]) -> Iterator[str]:
    columns = ("R@1", "R@5", "R@10", "C@10", "queries")
    for name, corpus in data["corpora"].items():
        if corpus is None:
            yield f"{name}: no data"
            continue
        yield from table((f"{name}, {corpus['tools']} tools", *columns),
                         ([row, *(one[column] for column in columns)] for row, one in corpus["quality"].items()))
    past = data["past_use"]
    if past is not None:
        yield (f"past use: R@5 {past['cold_r5']:.2f} cold, {past['warm_r5']:.2f} after {LOGGED} uses; finding every tool that the log has seen would "
               f"gain {past['most_gain_possible']:.2f} points, so no more than that can come of votes for tools")
        yield from table(("uses recorded", "mean gain"), past["mean_gain_by_size"].items())
    head = ("tools", "lexical p50", "p95 ms", "fused p50", "p95 ms", "insert p95 ms", "GB", "build s", "whole tool search p95 ms")
    yield from table(head, ([size, one["lexical_ms"]["p50"], one["lexical_ms"]["p95"], one["fused_ms"]["p50"], one["fused_ms"]["p95"],
                             one["insert_ms"]["p95"], one["memory_gb"], one["build_s"], one.get("tools_ms", {}).get("p95")]
                            for size, one in data["scale"].items()))


def main(argv: Sequence[str] | None = None) -> int:
    chosen = options(__doc__, argv, seed={"type": int, "default": 0, "help": "of the made-up tools"},
                     scales={"type": int, "nargs": "*", "choices": list(SCALES), "help": "sizes to measure; all by default, 1000 when quick"})
    scales = chosen.scales if chosen.scales is not None else [1_000] if chosen.quick else list(SCALES)
    data = asyncio.run(measure(quick=chosen.quick, scales=scales, seed=chosen.seed))
    return finish("retrieval", data, targets(data), list(lines(data)), chosen)


if __name__ == "__main__":
    sys.exit(main())
