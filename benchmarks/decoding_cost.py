"""Decoding, part 4: what masks cost on a vocabulary of 128,000 tokens, what waiting costs, and what a whole generation loses.

The vocabulary lies in the source archive of llama-cpp-python (see ``benchmarks.llama_server``); without it the figures of masks are absent.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import vocabulary
from benchmarks.decoding_soundness import pieces
from benchmarks.llama_server import Unavailable
from benchmarks.llama_server import vocabulary as vocabulary_file
from benchmarks.report import Target, finish, options, say, table
from rookery.decoding import Cursor, Desk, Facts, Guarded, Query, Rule, Site, members
from rookery.decoding.constraint import Names, grammar_text, schema
from rookery.decoding.mask import Place, place
from rookery.decoding.monitor import Analyser, Constraint, Steady
from rookery.decoding.tokens import Tokens, tokens_of
from rookery.models.model import Message, Request, Sampling
from rookery.testing import RuledModel

SIZES = (20, 60, 200, 1000)
SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["title", "kind", "path", "count", "tags", "author"],
    "properties": {
        "title": {"type": "string"}, "kind": {"enum": ["bug", "feature", "question"]}, "path": {"type": "string", "pattern": "^[a-z_/]+\\.py$"},
        "count": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}},
        "author": {"type": "object", "properties": {"name": {"type": "string"}, "id": {"type": "integer"}}, "required": ["name", "id"],
                   "additionalProperties": False},
    },
}
TEXT = json.dumps({"title": "Masks are slow on large vocabularies", "kind": "bug", "path": "rookery/decoding/mask.py", "count": 128256,
                   "tags": ["decoding", "speed", "numpy"], "author": {"name": "Ada Lovelace", "id": 1815}})


@cache
def attributes() -> list[str]:
    """Names of attributes of what is loaded."""
    known: set[str] = set()
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").partition(".")[0] in sys.stdlib_module_names | {"numpy"}:
            known |= {name for name in dir(module) if name.isidentifier()}
            for thing in list(vars(module).values()):
                if inspect.isclass(thing):
                    known |= {name for name in dir(thing) if name.isidentifier()}
    return sorted(known)


def drawn(count: int, seed: int) -> list[str]:
    """Some of them, without replacement."""
    names = attributes()
    return [names[at] for at in np.random.default_rng(seed).permutation(len(names))[:count]]


def identifier(tokens: Tokens, names: list[str], chosen: str) -> tuple[float, float, list[float], float]:
    """Seconds for: the constraint and its first mask, of that the mask, each later mask, and all of the way through one name."""
    spelled = [tokens.bytes[token] for token in tokens.greedy(chosen.encode()) or ()]
    began = time.perf_counter()
    at: Place | None = place(Names(tuple(names)), tokens)
    built = time.perf_counter()
    assert at is not None
    at.mask()
    first = time.perf_counter()
    later: list[float] = []
    for data in spelled:
        at = at.take(tokens.first[data], data)
        assert at is not None
        before = time.perf_counter()
        at.mask()
        later.append(time.perf_counter() - before)
    return first - began, first - built, later, time.perf_counter() - began


def masks(tokens: Tokens, rounds: int) -> dict[str, Any]:
    """Medians in µs for sets of names of several sizes."""
    tokens.heads, tokens.hashes  # noqa: B018  (made once for a vocabulary, at its first use)
    found = {}
    for size in SIZES:
        runs = []
        sets = [drawn(size, number) for number in range(rounds)]  # other names each time, as the answers to other questions are
        for number, names in enumerate(sets):
            runs.append(identifier(tokens, names, names[number % size]))
        runs = runs[len(runs) // 10 :]
        found[str(size)] = {
            "constraint_and_first_us": _us([run[0] for run in runs]), "first_mask_us": _us([run[1] for run in runs]),
            "later_us": _us([one for run in runs for one in run[2]]), "identifier_us": _us([run[3] for run in runs]),
            "p90_constraint_and_first_us": float(np.quantile([run[0] for run in runs], 0.9) * 1e6),
        }
    return found


def _us(seconds: Sequence[float]) -> float:
    return statistics.median(seconds) * 1e6 if seconds else 0.0


def schema_cost(tokens: Tokens, rounds: int) -> dict[str, float]:
    """µs a token for JSON of a schema: llguidance's own (mask and step), ours around it, and writing the logits; each token at its best."""
    from llguidance import LLMatcher

    spelled = tokens.greedy(TEXT.encode()) or []
    logits = np.random.default_rng(0).normal(size=tokens.size).astype(np.float32)
    own, bare, apply = (np.full(len(spelled), np.inf) for _ in range(3))
    for _ in range(rounds):
        matcher = LLMatcher(tokens.ll, grammar_text("json_schema", json.dumps(SCHEMA)), log_level=0)
        at = place(schema(SCHEMA), tokens)
        for number, token in enumerate(spelled):  # in turns, so that both meet the same machine
            began = time.perf_counter()
            matcher.compute_bitmask()
            matcher.consume_token(token)
            theirs = time.perf_counter()
            assert at is not None
            mask = at.mask()
            at = at.take(token, tokens.bytes[token])
            ours = time.perf_counter()
            assert mask is not None
            mask.apply(logits)
            applied = time.perf_counter()
            for kept, seconds_ in ((bare, theirs - began), (own, ours - theirs), (apply, applied - ours)):
                kept[number] = min(kept[number], seconds_)
        assert not matcher.is_error() and at is not None, matcher.get_error()
    mean = {name: float(kept.mean() * 1e6) for name, kept in (("llguidance_us", bare), ("own_us", own), ("apply_us", apply))}
    return {"tokens": len(spelled), **mean, "added_us": mean["own_us"] - mean["llguidance_us"]}


# ------------------------------------------------------------------ whole replies


@dataclass(frozen=True, slots=True)
class Dot(Steady):
    """Wakes at each dot, and asks."""

    @property
    def triggers(self) -> str:
        return "."

    def wake(self, cursor: Cursor) -> Query | None:
        return Query("members", cursor) if cursor.before.endswith(".") else None

    def follow(self, query: Query, facts: Facts) -> Constraint | None:
        return Names(facts.names) if facts.names else None


@dataclass(frozen=True, slots=True)
class Hangs:
    """A source whose analyser never answers."""

    def __call__(self) -> Analyser:
        return self

    async def ask(self, query: Query) -> Facts:
        await asyncio.sleep(3600)
        return Facts()

    async def warm(self, cursor: Cursor) -> None:
        """Nothing to do."""

    async def aclose(self) -> None:
        """Nothing to close."""


def writer(words: Sequence[str | bytes], ids: Sequence[int], *, token_s: float = 0.0) -> RuledModel:
    """A model that writes these tokens, whatever happens, and takes so long for each."""
    size = len(words)

    def wants(tokens: tuple[int, ...]) -> Any:
        if token_s:
            time.sleep(token_s)
        logits = np.zeros(size, np.float32)
        logits[0] = -20.0  # it goes on where it may not write what it wants
        step = len(tokens) - 1
        logits[ids[step] if step < len(ids) else 0] = 20.0
        return logits

    return RuledModel(wants, words, end=[0])


async def seconds(model: RuledModel, rule: Rule | None, desk: Desk, count: int) -> tuple[float, Any]:
    """How long a reply of ``count`` tokens takes, and what was done to it."""
    request = Request((Message.of("user", "x"),), Sampling(temperature=0.0, max_tokens=count))
    guard = Guarded(model, rule, desk) if rule is not None else None
    began = time.perf_counter()
    async for _ in (guard or model).stream(request):
        pass
    return time.perf_counter() - began, guard and guard.report


async def untriggered(rounds: int) -> float:
    """µs a token that a rule adds where nothing triggers; the two are timed in turns."""
    words = pieces()
    ids = [number for number in range(300, 3000) if b"." not in _bytes(words[number]) and len(_bytes(words[number])) > 1][:400]
    model, desk, rule = writer(words, ids), Desk(), Rule(Dot(), Hangs(), name="dot")
    added = []
    for _ in range(rounds):
        free, _ = await seconds(model, None, desk, 400)
        held, report = await seconds(model, rule, desk, 400)
        assert report.triggers == 0 and report.masked_s == 0.0
        added.append((held - free) / 400)
    await desk.aclose()
    await model.aclose()
    return _us(added)


def _bytes(word: str | bytes) -> bytes:
    return word if isinstance(word, bytes) else word.encode()


async def waiting(budget_s: float, count: int) -> float:
    """Seconds by which the longest wait for an analyser that never answers exceeds the budget."""
    words = ["", "x", ".", "a"]
    longest = 0.0
    for number in range(count):
        model, desk = writer(words, [3, 2, 3]), Desk()
        _, report = await seconds(model, Rule(Dot(), Hangs(), name="dot").within(budget_s), desk, 3 + number % 2)
        assert report.late == report.triggers == 1
        longest = max(longest, report.waited_s)
        await desk.aclose()
        await model.aclose()
    return longest - budget_s


def densest(source: str, tokens: Tokens, count: int) -> tuple[int, list[int]]:
    """The method of a source from which on there are most dots in ``count`` tokens, but not more than one in 40; and its tokens."""
    best: tuple[int, int, list[int]] = (-1, 0, [])
    for found in re.finditer(r"\n    def ", source):
        ids = (tokens.greedy(source[found.start() : found.start() + 8 * count].encode()) or [])[:count]
        text = b"".join(tokens.bytes[token] for token in ids).decode("utf-8", "ignore")
        dots = len(re.findall(r"\w\.[a-z_]", text))
        if len(ids) == count and best[0] < dots <= count / 40:
            best = (dots, found.start(), ids)
    return best[1], best[2]


async def slow_down(token_s: float, count: int, *, is_optimistic: bool) -> dict[str, float]:
    """A file of a library written by a model that takes ``token_s`` a token, with and without ``members``; the analyser is warm."""
    import rich

    home = Path(rich.__file__).parent
    source = (home / "text.py").read_text("utf-8")
    words = pieces()
    tokens = tokens_of(RuledModel(lambda tokens: [], words, end=[0]).token_model().vocabulary)
    start, ids = densest(source, tokens, count)
    model, desk = writer(words, ids, token_s=token_s), Desk()
    rule = members(project=str(home.parent), file="rich/text.py", before=source[:start], after="")
    rule = rule.optimistic() if is_optimistic else rule
    # Another part of the file first, so that the analyser knows the project as it does in the middle of a session.
    warm = replace(rule, site=Site("rich/text.py", source[: source.index("    def ", len(source) // 4)]))
    await seconds(writer(words, ids), warm.within(5.0), desk, 80)
    free, _ = await seconds(model, None, desk, count)
    held, report = await seconds(model, rule, desk, count)
    await desk.aclose()
    await model.aclose()
    return {"ms_per_token": token_s * 1e3, "tokens": count, "free_s": free, "held_s": held, "slow_down": held / free, **report.plain()}


def measured_masks(*, quick: bool) -> dict[str, Any]:
    """Figures on the large vocabulary; empty when it can't be had."""
    try:
        large = tokens_of(vocabulary.read(vocabulary_file()))
    except Unavailable as error:
        say(f"no vocabulary of 128,000 tokens: {error}")
        return {}
    began = time.perf_counter()
    large.ll  # noqa: B018
    return {"vocabulary": large.size, "llguidance_tables_s": time.perf_counter() - began, "names": masks(large, 40 if quick else 200),
            "schema": schema_cost(large, 10 if quick else 60)}


async def measure(*, quick: bool) -> dict[str, Any]:
    """All of it."""
    figures = measured_masks(quick=quick)
    figures["untriggered_us"] = await untriggered(5 if quick else 40)
    figures["over_budget_ms"] = await waiting(0.05, 10 if quick else 100) * 1e3
    runs: list[Callable[[], Any]] = []
    for token_s, count in ((0.02, 200 if quick else 500), (0.002, 500 if quick else 1500)):
        for is_optimistic in (False, True):
            runs.append(lambda token_s=token_s, count=count, is_optimistic=is_optimistic: slow_down(token_s, count, is_optimistic=is_optimistic))
    figures["generations"] = [await run() for run in runs]
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and give the exit code of the targets."""
    chosen = options(__doc__, argv)
    figures = asyncio.run(measure(quick=chosen.quick))
    names, slow = figures.get("names", {}), figures["generations"]

    def of(size: int, what: str) -> float | None:
        return names[str(size)][what] if names else None

    targets = [
        Target("a whole identifier of 60 names", of(60, "identifier_us"), 250, " µs"),
        Target("first mask of 200 names", of(200, "first_mask_us"), 1000, " µs"),
        Target("first mask of 1,000 names", of(1000, "first_mask_us"), 1000, " µs"),
        Target("later masks of 1,000 names", of(1000, "later_us"), 30, " µs"),
        Target("added to llguidance for JSON Schema, a token", figures["schema"]["added_us"] if names else None, 20, " µs"),
        Target("added a token where nothing triggers", figures["untriggered_us"], 10, " µs"),
        Target("longest wait over the budget", figures["over_budget_ms"], 5, " ms"),
        Target("whole generation at 20 ms a token", slow[0]["slow_down"], 1.1, " ×"),
        Target("whole generation at 2 ms a token, optimistic", slow[3]["slow_down"], 1.5, " ×"),
        Target("whole generation at 2 ms a token, masked", slow[2]["slow_down"], 1.5, " ×"),
    ]
    columns = ("constraint_and_first_us", "p90_constraint_and_first_us", "first_mask_us", "later_us", "identifier_us")
    lines = table(("names", *columns), [(size, *(one[column] for column in columns)) for size, one in names.items()]) if names else []
    lines += [f"{one['ms_per_token']:.0f} ms a token: {one['slow_down']:.2f} ×, {one}" for one in slow]
    return finish("decoding_cost", figures, targets, lines, chosen)


if __name__ == "__main__":
    sys.exit(main())
