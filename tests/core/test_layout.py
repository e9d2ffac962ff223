"""A graph as networkx, Mermaid and text, and the critical path of a run."""

from __future__ import annotations

import asyncio
import html
import re

import networkx
import pytest

from rookery import Graph, ask, graph, loop, start, tool, when
from rookery.core import layout
from rookery.core.graph import Call, Ref
from rookery.core.value import plain


@tool(inline=True)
def numbers(n: int) -> list[int]:
    return list(range(n))


@tool
async def nap(x: int, seconds: float) -> int:
    await asyncio.sleep(seconds)
    return x


@tool(inline=True)
def total(xs: list[int]) -> int:
    return sum(xs)


@tool(inline=True)
def is_big(x: int) -> bool:
    return x > 100


@tool(inline=True)
def double(x: int) -> int:
    return 2 * x


@graph
def whole(n: int, label: str = "x") -> int:
    xs = numbers(n=n)
    summed = total(xs=double.each(x=xs))
    grown = loop(double, x=summed, until=is_big, times=9)
    return when(is_big(x=grown), then=double(x=grown), otherwise=ask(int, "how many?"))


@graph
def two_ways(n: int) -> int:
    slow = nap(x=n, seconds=0.12)
    fast = double(x=nap(x=n, seconds=0.01))
    return add(a=slow, b=fast)


@tool(inline=True)
def add(a: int, b: int) -> int:
    return a + b


def test_networkx_has_every_variable_and_every_read() -> None:
    made = layout.to_networkx(whole)
    assert set(made) == {"inputs.n", "inputs.label", "numbers", "double", "total", "double_2", "is_big", "double_3", "ask", "when"}
    assert ("numbers", "double") in made.edges and made.edges["numbers", "double"]["mapped"]
    assert ("double", "total") in made.edges and not made.edges["double", "total"]["mapped"]
    assert made.nodes["double_2"]["kind"] == "loop" and made.nodes["ask"]["type"] == "int"
    assert networkx.is_directed_acyclic_graph(made)


def test_layers_follow_the_reads() -> None:
    placed = {name: depth for depth, layer in enumerate(layout.layers(whole)) for name in layer}
    for before, after in layout.to_networkx(whole).edges:
        assert placed[before] < placed[after]


def test_a_cycle_is_drawn_all_the_same() -> None:
    calls = [Call("a", "tool", int, {"x": Ref("b")}, function=double), Call("b", "tool", int, {"x": Ref("a")}, function=double)]
    circle = Graph("circle", inputs={}, calls=calls, output=Ref("a"), returns=int)
    assert layout.layers(circle) == [["a", "b"]]
    assert "a: int" in layout.text(circle) and "n0 --> n1" in layout.mermaid(circle)


def test_text_names_every_call_once() -> None:
    lines = layout.text(whole).splitlines()
    assert lines[0] == "whole(n: int, label: str)"
    assert sum(line.strip().startswith("double:") for line in lines) == 1
    assert any("each x" in line and "← numbers" in line for line in lines)
    assert lines[-1] == "  → when"


def test_mermaid_has_balanced_quotes_and_known_ids() -> None:
    chart = layout.mermaid(whole)
    assert chart.startswith("flowchart TD\n")
    defined = set(re.findall(r"^  (n\d+)[\[({]", chart, re.MULTILINE))
    used = set(re.findall(r"\bn\d+\b", chart))
    assert used == defined and len(defined) == 10
    assert all(line.count('"') % 2 == 0 for line in chart.splitlines())


def test_mermaid_escapes_what_would_break_it() -> None:
    calls = [Call('a"<b>', "tool", int, {}, function=double)]
    chart = layout.mermaid(Graph("odd", inputs={}, calls=calls, output=Ref('a"<b>'), returns=int))
    assert "a#quot;&lt;b&gt;: int" in chart and html.unescape("&lt;") == "<"


async def test_a_description_in_a_log_draws_the_same() -> None:
    """A description keeps no order of its calls, so the lines of one layer may change places."""
    async with start(two_ways, n=3) as run:
        await run
        described = plain(run.view.graph, run.state.get)
    assert networkx.utils.graphs_equal(layout.to_networkx(described), layout.to_networkx(two_ways))
    assert sorted(layout.text(described).splitlines()) == sorted(layout.text(two_ways).splitlines())
    assert len(layout.mermaid(described).splitlines()) == len(layout.mermaid(two_ways).splitlines())


async def test_critical_path_is_the_slow_way_and_sums_to_the_whole() -> None:
    async with start(two_ways, n=3) as run:
        await run
        view = run.view
    path = layout.critical_path(two_ways, view)
    assert [step.call for step in path] == ["nap", "add"]
    ended = max(call.ended_at for call in view.calls.values())
    assert sum(step.added_s for step in path) == pytest.approx(ended - view.started_at, abs=0.002)
    assert path[0].added_s > 0.1 > path[1].added_s


async def test_critical_path_goes_through_what_has_no_time_of_its_own() -> None:
    @graph
    def guarded(n: int) -> int:
        return double(x=when(is_big(x=n), then=nap(x=n, seconds=0.02), otherwise=1))

    async with start(guarded, n=500) as run:
        await run
    assert [step.call for step in layout.critical_path(guarded, run.view)] == ["is_big", "nap", "double"]


async def test_a_view_colours_and_counts() -> None:
    @graph
    def mapped(n: int) -> int:
        return total(xs=double.each(x=numbers(n=n)))

    async with start(mapped, n=4) as run:
        await run
    assert "done 4/4" in layout.text(mapped, view=run.view)
    chart = layout.mermaid(mapped, view=run.view)
    assert "classDef done" in chart and "class n1,n2,n3 done" in chart


def test_nothing_happened_gives_no_path() -> None:
    from rookery.core.view import View

    assert layout.critical_path(whole, View()) == []


@pytest.mark.parametrize(("path", "group"), [
    ("section[3]", "section"), ("a[1]/b#2/c~3[4]", "a/b/c"), ("plain", "plain"), ("solve/judge~12[0]", "solve/judge"),
])
def test_groups(path: str, group: str) -> None:
    assert layout.group_of(path) == group
