"""Those that rookery is measured against, each at its best setting: bare asyncio, LangGraph, pydantic-graph."""

from __future__ import annotations

import asyncio
import itertools
import operator
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

SHAPES = ("chain", "fan-out", "loop")
FORMS = {
    "bare": dict.fromkeys(SHAPES, ("tasks",)),
    "langgraph": {"chain": ("nodes", "tasks"), "fan-out": ("send", "edges", "tasks"), "loop": ("edge", "tasks")},
    "pydantic-graph": {"chain": ("steps",), "fan-out": ("map", "broadcast"), "loop": ("node", "decision")},
}
"""How each system can write each shape; the fastest one counts. ``tasks`` of LangGraph is its functional API."""
STORES = {
    "bare": ("none", "rows", "rows synced"),
    "langgraph": ("none", "memory", "sqlite sync", "sqlite async"),
    "pydantic-graph": ("none",),
}
"""Where each system keeps what is done. ``rows``: one SQLite row a node. LangGraph's ``exit`` durability keeps nothing of a killed run."""
TOO_LARGE = {("langgraph", "chain", "nodes", "sqlite sync"): 1000, ("langgraph", "chain", "nodes", "sqlite async"): 1000}
"""Largest sizes that are played: a checkpoint holds the versions that all nodes have seen, so 10,000 of them take gigabytes."""


@dataclass(slots=True)
class Lap:
    """When a play had its value and when its store was closed, in seconds since it began; and what the value was."""

    value_s: float
    closed_s: float
    value: Any


Play = Callable[[Path], Awaitable[Lap]]
"""Plays once in an empty folder. What can be made ready before (graphs, connections) is outside of the lap's time."""


def expected(shape: str, n: int) -> int:
    """The value that every contestant must give."""
    return n * (n + 1) // 2 if shape == "fan-out" else n


def prepare(system: str, shape: str, n: int, form: str, store: str) -> Play:
    """Make everything ready that is not to be timed. Raises ModuleNotFoundError for a peer that is not installed."""
    return {"bare": _bare, "langgraph": _langgraph, "pydantic-graph": _pydantic_graph}[system](shape, n, form, store)


# ------------------------------------------------------------------ bare asyncio: one task a node, awaited


def _bare(shape: str, n: int, form: str, store: str) -> Play:
    async def node(x: int) -> int:
        return x + 1

    async def play(folder: Path) -> Lap:
        inc, db = node, None
        if store != "none":
            db = _rows(folder / "rows.db", synced=store == "rows synced")
            execute = db.execute

            async def inc(x: int) -> int:
                value = x + 1
                execute("INSERT INTO node (value) VALUES (?)", (value,))
                return value

        begun = time.perf_counter()
        value = await _tasks(shape, n, inc)
        done = time.perf_counter()
        if db is not None:
            db.close()
        return Lap(done - begun, time.perf_counter() - begun, value)

    return play


async def _tasks(shape: str, n: int, inc: Callable[[int], Any]) -> int:
    create = asyncio.create_task
    if shape == "fan-out":
        return sum(await asyncio.gather(*[create(inc(x)) for x in range(n)]))
    x = 0
    if shape == "chain":
        for _ in range(n):
            x = await create(inc(x))
    else:
        while x < n:
            x = await create(inc(x))
    return x


def _rows(path: Path, *, synced: bool) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
    db.execute("CREATE TABLE node (id INTEGER PRIMARY KEY, value INTEGER)")
    return db


# ------------------------------------------------------------------ LangGraph


class _Number(TypedDict):
    x: int


class _Numbers(TypedDict):
    xs: list[int]
    ys: Annotated[list[int], operator.add]


def _langgraph(shape: str, n: int, form: str, store: str) -> Play:
    make = _entrypoint(shape, n) if form == "tasks" else _state_graph(shape, n, form).compile
    compiled = make(checkpointer=None)  # compiled again for each play with a store, outside of its time
    given: Any = n if form == "tasks" else {"xs": list(range(n)), "ys": []} if shape == "fan-out" else {"x": 0}

    async def play(folder: Path) -> Lap:
        async with _saver(store, folder) as saver:
            graph = make(checkpointer=saver) if saver is not None else compiled
            config = {"recursion_limit": n + 10, "configurable": {"thread_id": "1"}}
            how = {"durability": store.split()[1]} if store.startswith("sqlite") else {}
            begun = time.perf_counter()
            value = await graph.ainvoke(given, config, **how)
            done = time.perf_counter()
        closed = time.perf_counter()
        if isinstance(value, dict):
            value = sum(value["ys"]) if shape == "fan-out" else value["x"]
        return Lap(done - begun, closed - begun, value)

    return play


@asynccontextmanager
async def _saver(store: str, folder: Path) -> AsyncIterator[Any]:
    if store == "none":
        yield None
    elif store == "memory":
        from langgraph.checkpoint.memory import InMemorySaver

        yield InMemorySaver()
    else:
        import aiosqlite
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        async with aiosqlite.connect(folder / "checkpoints.db") as db:
            await db.execute("PRAGMA synchronous = NORMAL")  # its default syncs each commit; this survives kill -9 just as well
            saver = AsyncSqliteSaver(db)
            await saver.setup()
            yield saver


def _state_graph(shape: str, n: int, form: str) -> Any:
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import Send

    async def inc(state: _Number) -> dict[str, int]:
        return {"x": state["x"] + 1}

    async def collect(state: _Number) -> dict[str, list[int]]:
        return {"ys": [state["x"] + 1]}

    def one(index: int) -> Any:
        async def node(state: _Numbers) -> dict[str, list[int]]:
            return {"ys": [state["xs"][index] + 1]}

        return node

    graph: Any = StateGraph(_Numbers if shape == "fan-out" else _Number)
    if shape == "chain":
        names = [f"n{index}" for index in range(n)]
        for name in names:
            graph.add_node(name, inc)
        for before, after in zip([START, *names], [*names, END], strict=True):
            graph.add_edge(before, after)
    elif shape == "loop":
        graph.add_node("inc", inc)
        graph.add_edge(START, "inc")
        graph.add_conditional_edges("inc", lambda state: "inc" if state["x"] < n else END, ["inc", END])
    elif form == "send":
        graph.add_node("inc", collect)
        graph.add_conditional_edges(START, lambda state: [Send("inc", {"x": x}) for x in state["xs"]], ["inc"])
        graph.add_edge("inc", END)
    else:
        for index in range(n):
            graph.add_node(f"n{index}", one(index))
            graph.add_edge(START, f"n{index}")
            graph.add_edge(f"n{index}", END)
    return graph


def _entrypoint(shape: str, n: int) -> Callable[..., Any]:
    from langgraph.func import entrypoint, task

    @task
    async def inc(x: int) -> int:
        return x + 1

    def make(checkpointer: Any) -> Any:
        @entrypoint(checkpointer=checkpointer)
        async def whole(n: int) -> int:
            if shape == "fan-out":
                return sum(await asyncio.gather(*[inc(x) for x in range(n)]))
            x = 0
            while x < n:
                x = await inc(x)
            return x

        return whole

    return make


async def langgraph_history(turns: Sequence[str], folder: Path, *, delta: bool) -> float:
    """Its loop that adds a text a turn to a list, as it is by default or with the delta channel (beta); gives its seconds."""
    from langgraph.graph import END, START, StateGraph

    if delta:
        from langgraph.channels.delta import DeltaChannel

        reducer: Any = DeltaChannel(lambda state, writes: [*(state or []), *(text for write in writes for text in write)], list)
    else:
        reducer = operator.add
    history: Any = TypedDict("history", {"texts": Annotated[list, reducer], "turn": int})  # type: ignore[misc]  # noqa: UP013  made at run time

    async def turn(state: Any) -> Any:
        return {"texts": [turns[state["turn"]]], "turn": state["turn"] + 1}

    graph: Any = StateGraph(history)
    graph.add_node("turn", turn)
    graph.add_edge(START, "turn")
    graph.add_conditional_edges("turn", lambda state: "turn" if state["turn"] < len(turns) else END, ["turn", END])
    async with _saver("sqlite async", folder) as saver:
        compiled = graph.compile(checkpointer=saver)
        begun = time.perf_counter()
        value = await compiled.ainvoke({"texts": [], "turn": 0}, {"recursion_limit": len(turns) + 10, "configurable": {"thread_id": "1"}})
        seconds = time.perf_counter() - begun
    if value["texts"] != list(turns):
        raise AssertionError("the history is not what was added to it")
    return seconds


async def langgraph_lanes(lanes: Sequence[Sequence[float]]) -> float:
    """Its graph of lanes of sleeps, a node for each; gives its seconds."""
    from langgraph.graph import END, START, StateGraph

    def nap(seconds: float) -> Any:
        async def node(state: _Numbers) -> dict[str, list[int]]:
            await asyncio.sleep(seconds)
            return {"ys": [1]}

        return node

    graph: Any = StateGraph(_Numbers)
    for lane, naps in enumerate(lanes):
        names = [f"{lane}-{place}" for place in range(len(naps))]
        for name, seconds in zip(names, naps, strict=True):
            graph.add_node(name, nap(seconds))
        for before, after in zip([START, *names], [*names, END], strict=True):
            graph.add_edge(before, after)
    compiled = graph.compile()
    begun = time.perf_counter()
    await compiled.ainvoke({"xs": [], "ys": []})
    return time.perf_counter() - begun


# ------------------------------------------------------------------ pydantic-graph


def _pydantic_graph(shape: str, n: int, form: str, store: str) -> Play:
    graph, given = _built(shape, n, form)

    async def play(folder: Path) -> Lap:
        begun = time.perf_counter()
        value = await graph.run(inputs=given, infer_name=False)
        done = time.perf_counter()
        return Lap(done - begun, done - begun, value)

    return play


def _built(shape: str, n: int, form: str) -> tuple[Any, Any]:
    from pydantic_graph import GraphBuilder, StepContext, reduce_sum

    if form == "node":
        return _looping_node(n)

    async def inc(ctx: StepContext[None, None, int]) -> int:
        return ctx.inputs + 1

    takes: Any = list[int] if form == "map" else int
    g: Any = GraphBuilder(input_type=takes, output_type=int, auto_instrument=False)
    if shape == "chain":
        steps = [g.step(inc, node_id=f"n{index}") for index in range(n)]
        places = [g.start_node, *steps, g.end_node]
        g.add(*[g.edge_from(before).to(after) for before, after in itertools.pairwise(places)])
        return g.build(), 0
    if shape == "loop":
        step = g.step(inc, node_id="inc")
        more = g.match(int, matches=lambda x: x < n).to(step)
        g.add(g.edge_from(g.start_node).to(step), g.edge_from(step).to(g.decision().branch(more).branch(g.match(int).to(g.end_node))))
        return g.build(), 0
    total = g.join(reduce_sum, initial=0)
    g.add(g.edge_from(total).to(g.end_node))
    if form == "map":
        step = g.step(inc, node_id="inc")
        g.add(g.edge_from(g.start_node).map().to(step), g.edge_from(step).to(total))
        return g.build(), list(range(n))

    def one(index: int) -> Any:
        async def node(ctx: StepContext[None, None, int]) -> int:
            return ctx.inputs + index + 1

        return g.step(node, node_id=f"n{index}")

    steps = [one(index) for index in range(n)]
    g.add(g.edge_from(g.start_node).to(*steps), g.edge_from(*steps).to(total))
    return g.build(), 0


def _looping_node(n: int) -> tuple[Any, Any]:
    from pydantic_graph import BaseNode, End, GraphBuilder, GraphRunContext

    @dataclass
    class Inc(BaseNode[None, None, int]):
        x: int

        async def run(self, ctx: GraphRunContext) -> Inc | End[int]:
            return Inc(self.x + 1) if self.x + 1 < n else End(self.x + 1)

    Inc.run.__annotations__["return"] = Inc | End[int]  # it reads the edges from here, and Inc is no global name
    g: Any = GraphBuilder(input_type=Inc, output_type=int, auto_instrument=False)
    g.add(g.edge_from(g.start_node).to(Inc), g.node(Inc))
    return g.build(), Inc(0)
