"""What a node costs: chain, fan-out and loop of no-op nodes in rookery, bare asyncio and the peers; bytes, overlap and import beside it.

Each contestant lives in a process of its own; they play in turn, round after round, and the best round of each counts (the
median is printed too). Graphs are built, checked and compiled, and stores opened, before the clock starts; it stops at the value.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.peers import FORMS, SHAPES, STORES, TOO_LARGE, Lap, Play, expected
from benchmarks.report import ROOT, Cell, Slow, Target, Worker, finish, obey, options, say, scratch, size_of, table

SIZES = (100, 1000, 10_000)
QUICK_SIZES = (100, 1000)
ROUNDS = {100: 25, 1000: 15, 10_000: 7}
PEER_ROUNDS = {100: 9, 1000: 5, 10_000: 2}
"""Peers sit out the later rounds; a ratio is of the rounds that both sides played, so nobody has more tries at a best one."""
QUICK_ROUNDS = 4
TIMEOUT_S = 60.0
"""A peer that takes longer is left out at that size, and the table says so."""
PRUNE, QUICK_PRUNE = 1.5, 1.2
"""A form that was so much slower than its system's best at one size is not played at the next; LangGraph's two durable modes count as one."""
OWN = {"rookery": ("memory", "sqlite", "sqlite power"), "bare": STORES["bare"]}
SYNCED = ("sqlite power", "rows synced")
"""Stores that sync each group to the disk: reported, and held to no target."""
TURNS = (100, 200, 400)
FOREIGN = ("openai", "litellm", "httpx", "chromadb", "onnxruntime", "textual", "numpy", "networkx", "transformers", "torch")
"""What ``import rookery`` must not load."""


# ------------------------------------------------------------------ rookery's side


def prepare(shape: str, n: int, store: str, *, labels: frozenset[str] = frozenset()) -> Play:
    """The graph, built and checked, its inputs with ``labels``; the play opens the log before its clock starts."""
    from rookery import Graph, SQLiteLog, graph, loop, start, tool

    @tool
    async def inc(x: int) -> int:
        return x + 1

    @tool(inline=True)
    def total(xs: list[int]) -> int:
        return sum(xs)

    def chain(x: int) -> int:
        for _ in range(n):
            x = inc(x=x)
        return x

    def fan_out(xs: list[int]) -> int:
        return total(xs=inc.each(x=xs))

    def looped(x: int) -> int:
        return loop(inc, x=x, times=n)

    whole: Graph = graph({"chain": chain, "fan-out": fan_out, "loop": looped}[shape])
    whole.params |= {name: replace(param, labels=labels) for name, param in whole.params.items()}
    given: dict[str, Any] = {"xs": list(range(n))} if shape == "fan-out" else {"x": 0}
    start(whole, inputs=given)  # checks it; nothing runs before the Run is entered

    async def play(folder: Path) -> Lap:
        log = None if store == "memory" else SQLiteLog(folder / "log.db", durable="power" if store == "sqlite power" else "process")
        begun = time.perf_counter()
        async with start(whole, log=log, inputs=given) as run:
            value = await run
            done = time.perf_counter()
        if log is not None:
            log.close()
        return Lap(done - begun, time.perf_counter() - begun, value)

    return play


async def history(texts: Sequence[str], folder: Path) -> float:
    """An agent loop whose state is a list that gets one text longer each turn; gives its seconds."""
    from rookery import SQLiteLog, graph, loop, start, tool

    @tool
    async def turn(texts_so_far: list[str]) -> list[str]:
        return [*texts_so_far, texts[len(texts_so_far)]]

    @graph
    def agent(texts_so_far: list[str]) -> list[str]:
        return loop(turn, texts_so_far=texts_so_far, times=len(texts))

    log = SQLiteLog(folder / "log.db")
    begun = time.perf_counter()
    async with start(agent, log=log, texts_so_far=[]) as run:
        value = await run
        seconds = time.perf_counter() - begun
    log.close()
    if value != list(texts):
        raise AssertionError("the history is not what was added to it")
    return seconds


async def lanes(naps: Sequence[Sequence[float]]) -> float:
    """Lanes of sleeps, a call for each, that do not read one another; gives their seconds."""
    from rookery import graph, start, tool

    @tool
    async def nap(after: int, seconds: float) -> int:
        await asyncio.sleep(seconds)
        return after + 1

    @tool(inline=True)
    def count(ends: list[int]) -> int:
        return sum(ends)

    @graph
    def both() -> int:
        ends = []
        for lane in naps:
            end: Any = 0
            for seconds in lane:
                end = nap(after=end, seconds=seconds)
            ends.append(end)
        return count(ends=ends)

    return await _timed(start(both), sum(len(lane) for lane in naps))


async def staged(items: Sequence[tuple[float, float]]) -> float:
    """A map over a map: each item's second stage can start when its first is done; gives the seconds."""
    from rookery import graph, start, tool

    @tool
    async def first(item: tuple[float, float]) -> tuple[float, float]:
        await asyncio.sleep(item[0])
        return item

    @tool
    async def second(item: tuple[float, float]) -> int:
        await asyncio.sleep(item[1])
        return 1

    @tool(inline=True)
    def count(ends: list[int]) -> int:
        return sum(ends)

    @graph
    def two_stages(items: list[tuple[float, float]]) -> int:
        return count(ends=second.each(item=first.each(item=items)))

    return await _timed(start(two_stages, items=list(items)), len(items))


async def _timed(prepared: Any, value: int) -> float:
    begun = time.perf_counter()
    async with prepared as run:
        found = await run
        seconds = time.perf_counter() - begun
    if found != value:
        raise AssertionError(f"{found} instead of {value}")
    return seconds


# ------------------------------------------------------------------ a contestant's process


class Stage:
    """Does what the orders say; keeps what it prepared until the shape or the size changes."""

    def __init__(self) -> None:
        self._plays: dict[tuple[str, str], Play] = {}
        self._scene: tuple[str, int] = ("", 0)
        self._warm: set[tuple[str, ...]] = set()

    def handle(self, order: dict[str, Any]) -> dict[str, Any]:
        try:
            with tempfile.TemporaryDirectory(dir=scratch()) as folder:
                return self._play(order, Path(folder)) if order["do"] == "play" else _other(order, Path(folder))
        except ModuleNotFoundError as error:
            return {"absent": f"{error.name} is not installed"}

    def _play(self, order: dict[str, Any], folder: Path) -> dict[str, Any]:
        system, shape, n, form, store = (order[key] for key in ("system", "shape", "n", "form", "store"))
        if self._scene != (shape, n):
            self._plays.clear()
            self._scene = (shape, n)
        if (shape, form, store) not in self._warm:  # whatever is imported or specialised at first use is not what is measured
            self._warm.add((shape, form, store))
            with tempfile.TemporaryDirectory(dir=folder) as other:
                asyncio.run(_prepared(system, shape, 10, form, store)(Path(other)))  # type: ignore[arg-type]
        play = self._plays.get((form, store))
        if play is None:
            play = self._plays[form, store] = _prepared(system, shape, n, form, store)
        gc.collect()
        lap = asyncio.run(play(folder))  # type: ignore[arg-type]
        if lap.value != expected(shape, n):
            raise AssertionError(f"{system} gave {lap.value} for {shape} of {n}")
        return {"value_s": lap.value_s, "closed_s": lap.closed_s, "bytes": size_of(folder)}


def _prepared(system: str, shape: str, n: int, form: str, store: str) -> Play:
    return prepare(shape, n, store) if system == "rookery" else peers.prepare(system, shape, n, form, store)


def _other(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    if order["do"] == "history":
        texts = [secrets.token_urlsafe(768) for _ in range(order["turns"])]
        before = _written()
        if order["system"] == "rookery":
            seconds = asyncio.run(history(texts, folder))
        else:
            seconds = asyncio.run(peers.langgraph_history(texts, folder, delta=order["form"] == "delta"))
        after = _written()
        payload = sum(len(text) for text in texts)
        written = None if before is None or after is None else (after - before) / payload
        return {"payload": payload, "bytes": size_of(folder), "ratio": size_of(folder) / payload, "written_ratio": written,
                "us_per_turn": seconds / len(texts) * 1e6}
    if order["do"] == "empty":
        from rookery import SQLiteLog

        SQLiteLog(folder / "log.db").close()
        return {"bytes": size_of(folder)}
    does: dict[str, Callable[..., Any]] = {"lanes": lanes, "staged": staged, "langgraph lanes": peers.langgraph_lanes}
    return {"seconds": asyncio.run(does[order["do"]](order["items"]))}


def _written() -> int | None:
    """Bytes that this process has handed to write calls so far, the write-ahead log's included."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("wchar")), None)


# ------------------------------------------------------------------ the tournament


def tournament(sizes: Sequence[int], *, with_peers: bool, quick: bool, workers: dict[str, Worker]) -> list[dict[str, Any]]:
    """All contestants at all shapes and sizes, in turn."""
    cells: list[Cell] = []
    for n in sizes:
        for shape in SHAPES:
            scene = list(_cast(shape, n, cells, with_peers=with_peers, quick=quick))
            for turn in range(max(cell.rounds for cell in scene)):
                for cell in scene:
                    if turn < cell.rounds:
                        cell.play(workers[cell.system], timeout_s=TIMEOUT_S)
            cells += scene
            say(f"{shape} of {n}: " + ", ".join(f"{cell.system} {cell.form} {cell.store} {min(cell.us(), default=0):.0f}" for cell in scene))
    return [cell.plain() for cell in cells]


def _cast(shape: str, n: int, before: list[Cell], *, with_peers: bool, quick: bool) -> Iterator[Cell]:
    """Who plays: ours with every store, the peers in the forms that were not far behind at the size before."""
    for system, stores in OWN.items():
        for store in stores:
            if store not in SYNCED or n <= (100 if quick else 1000):
                most = 2 if store in SYNCED else QUICK_ROUNDS if quick else ROUNDS.get(n, 5)
                yield Cell(system, shape, n, "tasks" if system == "bare" else "", store, most)
    for system in ("langgraph", "pydantic-graph") if with_peers else ():
        for store in STORES[system]:
            if store == "memory" and (quick or n > 1000):
                continue  # it is held to no target, and takes minutes
            last = [cell for cell in before if (cell.system, cell.shape, cell.store.split()[0]) == (system, shape, store.split()[0])]
            last = [cell for cell in last if cell.n == max(other.n for other in last)]
            us = {(cell.form, cell.store): min(cell.us(), default=math.inf) for cell in last}
            for form in FORMS[system][shape]:
                kept = not us or us.get((form, store), math.inf) <= (QUICK_PRUNE if quick else PRUNE) * min(us.values())
                if kept and n <= TOO_LARGE.get((system, shape, form, store), math.inf):
                    most = 2 if system == "langgraph" else QUICK_ROUNDS
                    yield Cell(system, shape, n, form, store, most if quick else PEER_ROUNDS.get(n, 2))


# ------------------------------------------------------------------ bytes, overlap, import


def bytes_of_history(turns: Sequence[int], workers: dict[str, Worker], *, with_peers: bool, quick: bool) -> list[dict[str, Any]]:
    """The agent loop at several lengths, and LangGraph's."""
    rows = []
    for system, form in [("rookery", ""), *([("langgraph", "reducer"), ("langgraph", "delta")] if with_peers else [])]:
        for count in turns if system == "rookery" or not quick else turns[-1:]:
            try:
                answer = workers[system].ask({"do": "history", "system": system, "form": form, "turns": count}, timeout_s=TIMEOUT_S)
            except (Slow, ChildProcessError) as error:
                answer = {"absent": str(error)}
            rows.append({"system": system, "form": form, "turns": count, **answer})
    return rows


def overlap(workers: dict[str, Worker], *, rounds: int, with_peers: bool) -> dict[str, Any]:
    """What calls that could run side by side take, over their critical path."""
    naps = [[0.01 if (place + lane) % 2 else 0.05 for place in range(10)] for lane in range(2)]
    draw = random.Random(64)
    items = [(min(0.4, draw.lognormvariate(-2.6, 0.7)), min(0.4, draw.lognormvariate(-2.6, 0.7))) for _ in range(64)]
    found: dict[str, Any] = {"rounds": rounds}
    plan = [("lanes", "rookery", "lanes", naps, max(sum(lane) for lane in naps)), ("map", "rookery", "staged", items, max(a + b for a, b in items))]
    if with_peers:
        plan.append(("langgraph_lanes", "langgraph", "langgraph lanes", naps, plan[0][4]))
    for name, system, does, given, critical in plan:
        answers = [workers[system].ask({"do": does, "items": given}, timeout_s=TIMEOUT_S) for _ in range(rounds)]
        seconds = [answer["seconds"] for answer in answers if "seconds" in answer]
        if seconds:
            found[name] = {"critical_path_s": critical, "best_s": min(seconds), "median_s": statistics.median(seconds),
                           "over": min(seconds) / critical - 1}
    return found


_IMPORT = """
import json, sys, time
def rss():
    try:
        return int(open("/proc/self/statm").read().split()[1]) * __import__("resource").getpagesize()
    except OSError:
        return __import__("resource").getrusage(0).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
import resource, pydantic, asyncio
before, begun = rss(), time.perf_counter()
if sys.argv[1] == "rookery":
    import rookery
print(json.dumps({"s": time.perf_counter() - begun, "bytes": rss(), "loaded": [name for name in sys.argv[2:] if name in sys.modules]}))
"""


def imports(repeats: int) -> dict[str, Any]:
    """``import rookery`` over ``import pydantic, asyncio``, in fresh processes, in turn: ms, MB, and what foreign it loads."""
    found: dict[str, list[dict[str, Any]]] = {"": [], "rookery": []}
    for turn in range(repeats + 1):
        for what, answers in found.items():
            run = subprocess.run([sys.executable, "-c", _IMPORT, what, *FOREIGN], cwd=ROOT, capture_output=True, text=True, check=True)
            answers += [json.loads(run.stdout)] if turn else []  # the first writes the byte code
    middle = {what: statistics.median(answer["bytes"] for answer in answers) for what, answers in found.items()}
    return {
        "repeats": repeats,
        "ms": statistics.median(answer["s"] for answer in found["rookery"]) * 1e3,
        "best_ms": min(answer["s"] for answer in found["rookery"]) * 1e3,
        "mb": (middle["rookery"] - middle[""]) / 1e6,
        "foreign": sorted({name for answer in found["rookery"] for name in answer["loaded"]}),
    }


# ------------------------------------------------------------------ targets


Pick = Callable[[list[float]], float]


class Figures:
    """The laps by contestant, shape and size."""

    def __init__(self, cells: Sequence[dict[str, Any]]) -> None:
        self._cells = cells
        self.sizes = sorted({cell["n"] for cell in cells})

    def of(self, who: str, shape: str, n: int) -> list[dict[str, Any]]:
        """What played: ``rookery sqlite``, ``langgraph sqlite *`` in all its forms, ``* none``."""
        return [cell for cell in self._cells
                if (cell["shape"], cell["n"]) == (shape, n) and cell["laps_us"] and fnmatch(f"{cell['system']} {cell['store']}", who)]

    def over(self, many: str | Sequence[str], one: str, shape: str, n: int, *, laps: str = "laps_us", pick: Pick = min) -> float | None:
        """How many times as long the fastest of ``many`` takes as ``one``, each over the rounds that both played."""
        below = next(iter(self.of(one, shape, n)), None)
        if below is None:
            return None
        found = []
        for above in (cell for who in ([many] if isinstance(many, str) else many) for cell in self.of(who, shape, n)):
            rounds = min(len(above[laps]), len(below[laps]))
            found.append(pick(above[laps][:rounds]) / pick(below[laps][:rounds]))
        return min(found, default=None)

    def flatness(self, who: str, shape: str) -> float | None:
        """A node's cost at the largest size over the least at a smaller one."""
        costs = [min(cell["us_per_node"] for cell in cells) for n in self.sizes if (cells := self.of(who, shape, n))]
        return costs[-1] / min(costs[:-1]) if len(costs) == len(self.sizes) > 1 else None

    def ratios(self) -> list[dict[str, Any]]:
        """What the targets are about, a row for each shape and size; None where nobody ran."""
        middle = statistics.median
        return [{
            "shape": shape, "n": n,
            "memory_over_bare": self.over("rookery memory", "bare none", shape, n),
            "memory_over_bare_medians": self.over("rookery memory", "bare none", shape, n, pick=middle),
            "fastest_peer_over_memory": self.over(["langgraph none", "pydantic-graph none"], "rookery memory", shape, n),
            "langgraph_memory_saver_over_memory": self.over("langgraph memory", "rookery memory", shape, n),
            "durable_over_bare_rows": self.over("rookery sqlite", "bare rows", shape, n),
            "durable_over_bare_rows_medians": self.over("rookery sqlite", "bare rows", shape, n, pick=middle),
            "durable_over_bare_rows_until_closed": self.over("rookery sqlite", "bare rows", shape, n, laps="laps_closed_us"),
            "langgraph_durable_over_durable": self.over("langgraph sqlite *", "rookery sqlite", shape, n),
            "power_over_bare_rows_synced": self.over("rookery sqlite power", "bare rows synced", shape, n),
        } for shape in SHAPES for n in self.sizes]

    def bytes(self, shape: str, n: int) -> int | None:
        """The size of rookery's log."""
        return next((cell["bytes"] for cell in self.of("rookery sqlite", shape, n)), None)


def targets(data: dict[str, Any]) -> list[Target]:
    """Every promise about speed and memory, with its figure from what was measured."""
    figures = Figures(data["cells"])
    found: list[Target] = []
    for row in data["ratios"]:
        shape, n = row["shape"], row["n"]
        found.append(Target(f"{shape} of {n} in memory over bare asyncio", row["memory_over_bare"], 6, "×"))
        found.append(Target(f"{shape} of {n} durable over bare asyncio with a row a node", row["durable_over_bare_rows"], 3, "×"))
        for key, bound, text in (("fastest_peer_over_memory", 5, "fastest peer over rookery in memory"),
                                 ("langgraph_durable_over_durable", 12, "LangGraph durable over rookery durable")):
            if row[key] is not None or n <= 1000:  # larger ones where the peer got through them
                found.append(Target(f"{shape} of {n}, {text}", row[key], bound, "×", at_least=True))
        if n >= 1000:
            size = figures.bytes(shape, n)
            found.append(Target(f"{shape} of {n}, log a call", None if size is None else (size - data["empty_log_bytes"]) / n, 300, " bytes"))
    for shape in SHAPES if len(figures.sizes) > 1 else ():
        text = f"{shape} in memory, a node at {figures.sizes[-1]} over the cheapest at a smaller size"
        found.append(Target(text, figures.flatness("rookery memory", shape), 1.3, "×"))
    own = [row for row in data["history"] if row["system"] == "rookery" and "ratio" in row]
    found.append(Target(f"log of {data['turns'][-1]} turns of 1 KB over their payload", own[-1]["ratio"] if own else None, 1.5, "×"))
    slopes = [(b["bytes"] - a["bytes"]) / (b["turns"] - a["turns"]) for a, b in pairwise(own)]
    growth = slopes[-1] / slopes[0] if len(slopes) > 1 and slopes[0] else None
    found.append(Target("bytes that one more turn adds, the last turns over the first", growth, 1.1, "×"))
    for name, text in (("lanes", "two lanes of sleeps"), ("map", "map of 64 in two stages")):
        over = data["overlap"].get(name, {}).get("over")
        found.append(Target(f"{text} over their critical path", None if over is None else over * 100, 5, " %"))
    found.append(Target("import rookery", data["import"]["ms"], 40, " ms"))
    found.append(Target("memory of import rookery", data["import"]["mb"], 10, " MB"))
    found.append(Target("providers and other heavy packages that it loads", len(data["import"]["foreign"]), 0))
    return found


def lines(data: dict[str, Any]) -> Iterator[str]:
    """The figures as tables."""
    yield "\nµs a node (best round, median round, until closed)"
    columns = ("system", "form", "store", "shape", "n", "us_per_node", "median_us_per_node", "closed_us_per_node", "bytes", "rounds", "note")
    yield from table(columns, ([cell[column] for column in columns] for cell in data["cells"]))
    yield "\nratios"
    names = [name for name in data["ratios"][0] if name not in ("shape", "n")]
    yield from table(["", *(f"{row['shape']} {row['n']}" for row in data["ratios"])],
                     ([name, *(row[name] for row in data["ratios"])] for name in names))
    yield "\nflatness: " + json.dumps(data["flatness"])
    yield "\nan agent loop of 1 KB a turn (file after closing, and all writes, over the payload)"
    columns = ("system", "form", "turns", "ratio", "written_ratio", "us_per_turn")
    yield from table(columns, ([row.get(column) for column in columns] for row in data["history"]))
    yield "\noverlap: " + json.dumps(data["overlap"])
    yield "import: " + json.dumps(data["import"])


def measure(*, sizes: Sequence[int], turns: Sequence[int], with_peers: bool, quick: bool) -> dict[str, Any]:
    """Everything, in processes of their own. Sizes under 100 only try it out."""
    rounds, repeats = (1, 1) if max(sizes) < 100 else (2, 4) if quick else (7, 15)
    workers = {system: Worker("benchmarks.executor", "--worker", system) for system in ("rookery", *FORMS)}
    try:
        data: dict[str, Any] = {
            "sizes": sizes, "turns": turns, "cells": tournament(sizes, with_peers=with_peers, quick=quick, workers=workers),
            "empty_log_bytes": workers["rookery"].ask({"do": "empty"}, timeout_s=TIMEOUT_S)["bytes"],
            "history": bytes_of_history(turns, workers, with_peers=with_peers, quick=quick),
            "overlap": overlap(workers, rounds=rounds, with_peers=with_peers),
        }
    finally:
        for worker in workers.values():
            worker.close()
    figures = Figures(data["cells"])
    data["ratios"] = figures.ratios()
    flat = ("rookery memory", "rookery sqlite", "bare none", "bare rows")
    data["flatness"] = {f"{shape}, {who}": figures.flatness(who, shape) for shape in SHAPES for who in flat}
    data["import"] = imports(repeats)
    return data


def main(argv: Sequence[str] | None = None) -> int:
    chosen = options(
        __doc__, argv, worker={"default": "", "help": argparse.SUPPRESS},
        no_peers={"action": "store_true", "help": "leave LangGraph and pydantic-graph out"},
        sizes={"default": "", "help": "sizes instead of 100,1000,10000"},
    )
    if chosen.worker:
        obey(Stage().handle)
        return 0
    sizes = [int(size) for size in chosen.sizes.split(",")] if chosen.sizes else QUICK_SIZES if chosen.quick else SIZES
    turns = TURNS if max(sizes) >= 100 else (5, 10, 20)
    data = measure(sizes=sizes, turns=turns, with_peers=not chosen.no_peers, quick=chosen.quick)
    return finish("executor", data, targets(data), list(lines(data)), chosen)


if __name__ == "__main__":
    sys.exit(main())
