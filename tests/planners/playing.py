"""Plays a planner without an engine: for theory that wants thousands of searches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rookery.core.event import Fault
from rookery.planners.planner import Child, Planner, Result, Work
from rookery.planners.play import play as planners_play
from rookery.planners.tree import Tree

BROKEN = Result(fault=Fault("ConnectionError", "nobody there", False))


def play(
    planner: Planner, carry: Callable[[Tree, Work], Result], *, seed: int = 0, window: int = 8, steps: frozenset[str] = frozenset({"propose"}),
    root: Any = "root", **options: Any,
) -> tuple[Tree, str]:
    """The tree and the reason for the end of a search whose works ``carry`` does at once; at most ``window`` are out at a time."""
    tree = Tree(root, key="root", steps=steps, **options)
    return tree, planners_play(planner, tree, carry, seed=seed, slots=window, max_works=100_000)


def proposing(propose: Callable[[Any, Work], list[Child[Any]]], others: Mapping[str, Callable[[Any, Work], Any]] | None = None) -> Any:
    """What carries works out: ``propose`` from a state, and whatever else gives a plain value."""

    def carry(tree: Tree, work: Work) -> Result:
        if work.step == "propose":
            return Result(children=propose(tree.state[work.node], work))
        given = (others or {})[work.step]
        if work.step == "evaluate":
            return Result(values=[given(tree.state[node], work) for node in work.nodes])
        return Result(value=given(tree.state[work.node], work))

    return carry
