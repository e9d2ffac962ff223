"""What a program will take, before it runs: calls, tokens, money, time at several degrees of parallelism, and how likely something is wrong."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from statistics import fmean
from typing import Any

from rookery.core.graph import Graph, names_in
from rookery.core.view import View
from rookery.engine.door import start
from rookery.engine.rehearse import _INDEX, Guess, Line, Pace, Rehearsal, in_virtual_time, with_rehearsal
from rookery.errors import CallFailed

PARALLEL: tuple[int | None, ...] = (1, 2, 8, None)
"""Calls in flight that the time is told for; None: no bound."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a program is expected to take."""

    lines: list[Line]
    """By call, in the order in which they were first made."""
    seconds: dict[int | None, float]
    """By calls in flight."""
    widest: int
    """Calls in flight at most, without a bound."""
    open: dict[str, str] = field(default_factory=dict)
    """Calls whose own calls can't be told beforehand: what stands here does not hold them."""
    learned_from: int = 0
    """Earlier runs that guesses were taken from."""

    @property
    def calls(self) -> int:
        """Requests to models."""
        return sum(line.count for line in self.lines if line.kind == "prompt")

    @property
    def prompt_tokens(self) -> int:
        return sum(line.prompt_tokens for line in self.lines)

    @property
    def completion_tokens(self) -> int:
        return sum(line.completion_tokens for line in self.lines)

    @property
    def cost_usd(self) -> float | None:
        """None where a model's price is not known."""
        costs = [line.cost_usd for line in self.lines if line.kind == "prompt"]
        return None if None in costs else float(sum(cost for cost in costs if cost is not None))

    @property
    def is_exact(self) -> bool:
        """Whether all prompts were counted by their models' tokenizers."""
        return all(line.is_exact for line in self.lines if line.kind == "prompt")

    @property
    def expected_errors(self) -> float:
        """Wrong values on average, by each call's rate."""
        return sum(line.error * line.count for line in self.lines)

    @property
    def error(self) -> float:
        """How likely it is that some value is wrong, if errors have nothing to do with each other; at most ``expected_errors``."""
        return 1.0 - prod((1.0 - line.error) ** line.count for line in self.lines)


def forecast(
    subject: Any, inputs: Mapping[str, Any] | None = None, *, model: Any = None, models: Mapping[str, Any] | None = None,
    guesses: Mapping[str, Guess] | None = None, paces: Mapping[str, Pace] | None = None, parallel: Iterable[int | None] = PARALLEL,
    learned_from: int = 0,
) -> Forecast:
    """Rehearse a program: nothing is asked, no tool with effects is called, nothing is written.

    :param guesses: what is assumed of calls, by name; ``learned`` takes them from earlier runs. By default a text has 200 tokens, a list five
        elements, a bool is true, and a loop takes all the turns it may.
    :param paces: how quick models are, by name.
    :param parallel: calls in flight to tell the time for.

    Elements of a list are taken to come together, not one by one as they are written. Raises what ``start`` raises, and RuntimeError inside
    a running event loop.
    """
    seconds: dict[int | None, float] = {}
    rehearsal = Rehearsal()
    for most in dict.fromkeys([*parallel, None]):
        rehearsal = Rehearsal(guesses or {}, paces or {}, most)
        _, seconds[most] = in_virtual_time(_rehearse(subject, inputs or {}, rehearsal, {"model": model, "models": models}))
    return Forecast(list(rehearsal.lines.values()), seconds, rehearsal.widest, rehearsal.open, learned_from)


async def _rehearse(subject: Any, inputs: Mapping[str, Any], rehearsal: Rehearsal, options: Mapping[str, Any]) -> None:
    async with with_rehearsal(start(subject, inputs=inputs, **options), rehearsal) as run:
        while await run.until_waiting():
            for call in list(run.view.questions):
                run.answer(call, rehearsal.answer(run, call))
            await asyncio.sleep(0)
        try:
            await run
        except CallFailed:
            if not rehearsal.open:
                raise


def learned(views: Iterable[View], guesses: Mapping[str, Guess] | None = None, *, graph: Graph | None = None) -> dict[str, Guess]:
    """What earlier runs of a program say of its calls: mean tokens of replies, elements of lists, turns of loops, seconds of tools, and how
    often a value was not had at the first attempt. What ``guesses`` says stands. ``graph`` tells which call a map's list comes from."""
    tokens, seconds, failed = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    lists = _mapped(graph)
    items, turns = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
    for view in views:
        inside = defaultdict[str, set[str]](set)
        for call in view.calls.values():
            name = _INDEX.sub("", call.call)
            for place in _INDEX.finditer(call.call):
                inside[call.call[: place.start()]].add(place[0])
            if call.status != "done":
                continue
            if call.spend.calls:
                tokens[name].append(call.spend.completion_tokens / max(1, call.spend.calls))
            elif call.started_at:
                seconds[name].append(max(0.0, call.ended_at - call.started_at))
            failed[name].append(float(call.attempts > 1))
        for owner, places in inside.items():
            loops = [int(place[1:]) for place in places if place[0] == "#"]
            if loops:
                turns[_INDEX.sub("", owner)].append(max(loops) + 1)
            elif any(place[0] == "[" for place in places):
                name = _INDEX.sub("", owner)
                for each in {name, *lists.get(name, ())}:
                    items[each].append(len(places))
    found = dict[str, Guess]()
    for name in {*tokens, *seconds, *turns}:
        of_tool = seconds.get(name) if name not in tokens else None
        found[name] = Guess(
            tokens=fmean(tokens[name]) if tokens.get(name) else None, seconds=fmean(of_tool) if of_tool else None,
            turns=round(fmean(turns[name])) if turns.get(name) else None, error=fmean(failed[name]) if failed.get(name) else 0.0,
        )
    for name, counts in items.items():
        found[name] = replace(found.get(name, Guess()), items=round(fmean(counts)))
    return {**found, **(guesses or {})}


def _mapped(graph: Graph | None) -> dict[str, list[str]]:
    """Of each map of a graph the lists that it goes over."""
    if graph is None:
        return {}
    return {call.name: [name for over in call.over for name in names_in(call.args[over])] for call in graph.call_list if call.kind == "each"}
