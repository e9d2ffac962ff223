"""Analysers at places in real code: how long they take, warm, kept and at a budget; and how often a monitor would forbid what is written there.

Each place is asked about with the text before it and the lines after it; the rest of its own line is not shown. Nothing that is measured knows
what stands there.
"""

from __future__ import annotations

import ast
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.decoding_sites import Dereference, Project, Trained, dereferences, drawn, installed
from benchmarks.report import Target, finish, options, say, table
from rookery.decoding import Cursor, Desk, Facts, Query, Rule, arity, imports, instantiation, members
from rookery.errors import AnalyserFailed

PACKAGES = ("requests", "rich", "networkx")
PROMISED = ("requests", "rich")
P50_MS, KEPT_MS, OVER_MS = 60.0, 0.2, 5.0
BUDGETS_S = (0.02, 0.15)
KINDS = ("self", "name", "expression")
USES_ONLY = "print(print)"
"""A line that uses values and changes the meaning of none."""


# ------------------------------------------------------------------ places


@dataclass(frozen=True, slots=True)
class Place:
    """A place where something other than a member is written."""

    monitor: str
    file: str
    at: int
    """Where it begins, in characters."""
    truth: str


def places(project: Project, files: Sequence[str]) -> Iterator[Place]:
    """Calls, imported names and expected classes of some files."""
    for file in files:
        text = (project.folder.parent / file).read_text("utf-8")
        starts = [0]
        for line in text.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))

        def offset(line: int, column: int, text: str = text, starts: Sequence[int] = starts) -> int:
            return starts[line - 1] + len(text[starts[line - 1] : starts[line]].encode()[:column].decode())

        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Call(func=ast.Name() | ast.Attribute() as func):
                    begin, end = offset(func.end_lineno or 0, func.end_col_offset or 0), offset(node.end_lineno or 0, node.end_col_offset or 0)
                    if text[begin] == "(":
                        yield Place("arity", file, begin + 1, text[begin + 1 : end])
                case ast.ImportFrom(names=[ast.alias(name=name), *_]) if name != "*" and name in text[offset(node.lineno, node.col_offset) :][:200]:
                    head = text.find("import ", offset(node.lineno, node.col_offset)) + len("import ")
                    if text[head:].startswith(name):
                        yield Place("imports", file, head, name + "\n")
                case ast.Import(names=[ast.alias(name=name)]):
                    yield Place("imports", file, offset(node.lineno, node.col_offset) + len("import "), name.partition(".")[0] + "\n")
                case ast.Raise(exc=ast.Call(func=ast.Name(id=name)) | ast.Name(id=name)):
                    yield Place("instantiation", file, offset(node.lineno, node.col_offset) + len("raise "), name + "\n")
                case ast.ExceptHandler(type=ast.Name(id=name)):
                    yield Place("instantiation", file, offset(node.lineno, node.col_offset) + len("except "), name + ":")
                case ast.ClassDef(name=own, bases=[ast.Name(id=name), *_]):
                    head = text.find(f"class {own}(", offset(node.lineno, node.col_offset)) + len(f"class {own}(")
                    if text[head:].startswith(name):
                        yield Place("instantiation", file, head, name + ")")


def cursor_at(text: str, at: int, file: str, *, after: bool = True) -> Cursor:
    """The text before a place, and the lines after its own."""
    line = text.find("\n", at)
    return Cursor(text[:at], text[line:] if after and line >= 0 else "", file)


# ------------------------------------------------------------------ what is measured


async def answer(rule: Rule, analyser: Any, query: Query) -> tuple[Facts, float]:
    """The facts, and the seconds they took; none where the analyser fails."""
    begun = time.perf_counter()
    try:
        facts = await analyser.ask(query)
    except AnalyserFailed:
        facts = Facts()
    return facts, time.perf_counter() - begun


def judged(rule: Rule, query: Query, facts: Facts, truth: str) -> str:
    """``right`` when the truth may be written, ``missing`` when not, ``empty`` where nothing is constrained."""
    constraint = rule.monitor.follow(query, facts) if facts.is_usable and rule.monitor is not None else None
    if constraint is None:
        return "empty"
    return "right" if constraint.start().take(truth.encode()) is not None else "missing"


async def latency(project: Project, sites: Sequence[Dereference], name: str) -> dict[str, Any]:
    """Members at dereferences: seconds, kept answers, and whether the truth is among the names, by kind."""
    rule = members(str(project.folder.parent), analyser=name)
    assert rule.monitor is not None and rule.facts is not None
    analyser: Any = rule.facts()
    texts = {site.file: (project.folder.parent / site.file).read_text("utf-8") for site in sites}
    warm_s = time.perf_counter()
    await analyser.warm(Cursor(texts[sites[0].file], "", sites[0].file))
    warm_s = time.perf_counter() - warm_s
    taken, kept, near, waking = [], [], [], []
    judgement, prefix = {kind: Counter[str]() for kind in KINDS}, Counter[str]()
    for site in sites:
        before, _ = site.parts(texts[site.file])
        cursor = cursor_at(texts[site.file], len(before), site.file)
        waking_s = time.perf_counter()
        query = rule.monitor.wake(cursor)
        waking.append(time.perf_counter() - waking_s)
        if query is None:
            judgement[site.kind]["asleep"] += 1
            continue
        facts, seconds = await answer(rule, analyser, query)
        taken.append(seconds)
        judgement[site.kind][judged(rule, query, facts, site.truth + "\n")] += 1
        kept.append((await answer(rule, analyser, query))[1])
        near += [seconds] if (seconds := await _near(rule, analyser, cursor)) is not None else []
    for site in sites[::3]:
        before, _ = site.parts(texts[site.file])
        query = rule.monitor.wake(cursor_at(texts[site.file], len(before), site.file, after=False))
        prefix[judged(rule, query, (await answer(rule, analyser, query))[0], site.truth + "\n") if query else "asleep"] += 1
    health = getattr(analyser, "health", None)
    await analyser.aclose()
    return {
        "warm_s": warm_s, "sites": len(sites),
        "ms": spread(taken), "kept_ms": spread(kept), "kept_by_meaning_ms": spread(near), "wake_ms": spread(waking),
        "judgement": {kind: dict(count) for kind, count in judgement.items()}, "prefix_only": dict(prefix),
        "deaths": getattr(health, "deaths", None), "hangs": getattr(health, "hangs", None),
    }


async def _near(rule: Rule, analyser: Any, cursor: Cursor) -> float | None:
    """Seconds for the same question after one more line that only uses values, when its answer is one that was kept."""
    assert rule.monitor is not None
    begin = cursor.before.rfind("\n") + 1
    line = cursor.before[begin:]
    indent = line[: len(line) - len(line.lstrip())]
    query = rule.monitor.wake(Cursor(f"{cursor.before[:begin]}{indent}{USES_ONLY}\n{line}", cursor.after, cursor.path))
    hits = analyser.health.hits if query is not None else 0
    if query is None:
        return None
    _, seconds = await answer(rule, analyser, query)
    return seconds if analyser.health.hits > hits else None


async def budgets(project: Project, sites: Sequence[Dereference], name: str) -> dict[str, Any]:
    """What the desk waits beyond a budget, each question new and asked without a pause, so that an analyser falls behind."""
    rule = members(str(project.folder.parent), analyser=name)
    assert rule.monitor is not None and rule.facts is not None
    found = {}
    for budget_s in BUDGETS_S:
        desk, over, outcomes = Desk(), [], Counter[str]()
        await desk.warm(rule)
        for site in sites:
            text = (project.folder.parent / site.file).read_text("utf-8")
            query = rule.monitor.wake(cursor_at(text, len(site.parts(text)[0]), site.file))
            if query is None:
                continue
            begun = time.perf_counter()
            _, outcome = await desk.facts(rule.facts, query, budget_s)
            over.append(time.perf_counter() - begun - budget_s)
            outcomes[outcome] += 1
        await desk.aclose()
        found[f"{budget_s * 1000:g} ms"] = {"outcomes": dict(outcomes), "most_over_ms": max(over) * 1000}
    return found


async def precision(project: Project, files: Sequence[str], count: int, seed: int, name: str) -> dict[str, Any]:
    """The other monitors: how often each forbids what is written."""
    folder = str(project.folder.parent)
    rules = {"arity": arity(folder, analyser=name), "imports": imports(folder, analyser=name), "instantiation": instantiation(folder, analyser=name)}
    found, draw = {monitor: Counter[str]() for monitor in rules}, random.Random(seed)
    analyser: Any = rules["arity"].facts()  # type: ignore[misc]  # one serves all three
    every = sorted(places(project, files), key=lambda place: (place.file, place.at))
    refused = []
    for monitor, rule in rules.items():
        own = [place for place in every if place.monitor == monitor]
        for place in draw.sample(own, min(count, len(own))):
            text = (project.folder.parent / place.file).read_text("utf-8")
            judgement = await _written(rule, analyser, text, place)
            found[monitor][judgement] += 1
            refused += [f"{monitor}: {place.file}:{text.count(chr(10), 0, place.at) + 1}: {place.truth[:60]!r}"] if judgement == "missing" else []
    await analyser.aclose()
    return {"judgement": {monitor: dict(count) for monitor, count in found.items()}, "refused": refused}


async def _written(rule: Rule, analyser: Any, text: str, place: Place) -> str:
    """A piece of code is written character by character after a place, the monitor waking wherever it does."""
    monitor, living, known = rule.monitor, [], False
    after = cursor_at(text, place.at + len(place.truth) - 1, place.file).after
    assert monitor is not None
    for end in range(len(place.truth)):
        if end == 0 or place.truth[end - 1] in monitor.triggers:
            query = monitor.wake(Cursor(text[: place.at] + place.truth[:end], after, place.file))
            facts = (await answer(rule, analyser, query))[0] if query is not None else Facts()
            constraint = monitor.follow(query, facts) if query is not None and facts.is_usable else None
            known = known or constraint is not None
            living += [constraint.start()] if constraint is not None else []
        moved = [state.take(place.truth[end].encode()) for state in living if not state.is_free]
        if None in moved:
            return "missing"
        living = [state for state in moved if state is not None]
    return "right" if known else "empty"


def spread(seconds: Sequence[float]) -> dict[str, float] | None:
    """Milliseconds: median, 90th and 99th percentile, most."""
    if not seconds:
        return None
    ms = np.array(seconds) * 1000
    return {"p50": float(np.median(ms)), "p90": float(np.quantile(ms, 0.9)), "p99": float(np.quantile(ms, 0.99)), "max": float(ms.max())}


# ------------------------------------------------------------------ the whole


async def measure(count: int, seed: int, name: str, packages: Sequence[str]) -> dict[str, Any]:
    """All of it, package by package."""
    found: dict[str, Any] = {}
    for package in packages:
        project = installed(package)
        if project is None:
            continue
        every, _ = dereferences(project, Trained(Path("of nothing")))
        sites = drawn(every, count, seed)
        files = sorted({site.file for site in sites})
        found[package] = {
            "version": project.version, "members": await latency(project, sites, name), "budget": await budgets(project, sites[: count // 2], name),
            "others": await precision(project, files, count // 2, seed, name),
        }
        say(f"{package}: p50 {found[package]['members']['ms']['p50']:.0f} ms")
    return {"analyser": name, "packages": found}


def targets(data: dict[str, Any]) -> list[Target]:
    """Every promise about analysers, with its figure."""
    found, packages = [], data["packages"]
    for package in PROMISED:
        figures = packages.get(package, {}).get("members")
        for what, key, bound in (("an answer, warm", "ms", P50_MS), ("a kept answer", "kept_ms", KEPT_MS)):
            found.append(Target(f"{package}: p50 of {what}", figures[key]["p50"] if figures and figures[key] else None, bound, " ms"))
    over = [figures["most_over_ms"] for package in packages.values() for figures in package["budget"].values()]
    found.append(Target("most waited beyond the budget", max(over) if over else None, OVER_MS, " ms"))
    return found


def lines(data: dict[str, Any]) -> Iterator[str]:
    packages = data["packages"]
    yield f"analyser: {data['analyser']}"
    columns = ("sites", "warm s", "p50 ms", "p90", "p99", "kept p50", "kept p99", "kept by meaning p50", "wake p50")
    yield from table(("members", *columns), ([
        f"{name} {package['version']}", one["sites"], one["warm_s"], *(one["ms"][key] for key in ("p50", "p90", "p99")), one["kept_ms"]["p50"],
        one["kept_ms"]["p99"], one["kept_by_meaning_ms"] and one["kept_by_meaning_ms"]["p50"], one["wake_ms"]["p50"],
    ] for name, package in packages.items() for one in [package["members"]]))
    head = ("right", "missing", "empty", "asleep", "missing %")
    rows = [(f"{name}, {kind}", count) for name, package in packages.items() for kind, count in {
        **package["members"]["judgement"], "without the text after": package["members"]["prefix_only"], **package["others"]["judgement"]}.items()]
    yield from table(("the truth is", *head), ([name, *(count.get(key, 0) for key in head[:4]), _percent(count)] for name, count in rows))
    rows = [(f"{name}, budget {budget}", one) for name, package in packages.items() for budget, one in package["budget"].items()]
    yield from table(("waited", "known", "late", "empty", "unknown", "failed", "most over ms"), (
        [name, *(one["outcomes"].get(key, 0) for key in ("known", "late", "empty", "unknown", "failed")), one["most_over_ms"]] for name, one in rows))
    for package in packages.values():
        yield from (f"  forbidden though written: {refused}" for refused in package["others"]["refused"])


def _percent(count: dict[str, int]) -> float | None:
    known = count.get("right", 0) + count.get("missing", 0)
    return 100 * count.get("missing", 0) / known if known else None


def main(argv: Sequence[str] | None = None) -> int:
    chosen = options(__doc__, argv, seed={"type": int, "default": 1, "help": "of the places that are drawn"},
                     analyser={"default": "jedi", "help": "jedi, pyrefly or basedpyright"},
                     packages={"default": ",".join(PACKAGES), "help": "installed packages, with commas"})
    data = asyncio.run(measure(24 if chosen.quick else 120, chosen.seed, chosen.analyser, chosen.packages.split(",")))
    return finish("decoding_analysers", data, targets(data), list(lines(data)), chosen)


if __name__ == "__main__":
    sys.exit(main())
