"""Level 1: a mask over the next token, in this process; while one reply waits for facts, others go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial

from rookery.decoding.decoded import token_level
from rookery.decoding.desk import Desk
from rookery.decoding.guided import Guided
from rookery.decoding.level import Number, Tally, Task
from rookery.decoding.monitor import Facts, Rule
from rookery.decoding.tokens import tokens_of
from rookery.decoding.watch import Wake, Watch
from rookery.models.model import Chunk

SLICE_TOKENS = 8
"""So many tokens are computed in one go; then other replies of the same model have their turn."""


class Masked:
    """Holds replies of models in this process to rules, token by token."""

    number: Number = 1

    async def lacks(self, task: Task) -> str:
        can = task.model.capabilities
        return "" if can.token_level else f"{can.name} gives no hand on its tokens"

    async def stream(self, task: Task) -> AsyncIterator[Chunk]:
        """The reply; see :class:`rookery.decoding.level.Level`."""
        model = token_level(task.model, wanted="decode=")
        can = task.model.capabilities
        warming = asyncio.create_task(task.desk.warm(task.rule))
        try:
            opening = await model.open(replace(task.request, schema=None))
        except BaseException:
            warming.cancel()
            raise
        await warming
        loop = asyncio.get_running_loop()
        asking = Asking(task.rule, task.desk, task.tally)

        def on_wake(wake: Wake) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(asking.begin, wake)

        room = None if can.context_tokens is None else can.context_tokens - len(opening.ids)
        guided = await model.compute(lambda: Guided(
            opening, Watch(task.rule, tokens_of(opening.sequence.vocabulary)), task.request,
            tally=task.tally, room=room, model=can.name, is_optimistic=task.rule.is_optimistic,
            on_wake=on_wake,
        ))
        while True:
            for chunk in await model.compute(partial(guided.advance, SLICE_TOKENS)):
                yield chunk
            if guided.done:
                return
            answers = await asking.wait(guided.pending) if guided.pending else asking.come(guided.awaited)
            if answers and task.rule.is_optimistic:
                await model.compute(partial(guided.answer, answers))  # it may roll the model's sequence back
            elif answers:
                guided.answer(answers)


class Asking:
    """The questions of one reply: asked as soon as a monitor wakes, waited for no longer than its rule says, counted."""

    def __init__(self, rule: Rule, desk: Desk, tally: Tally) -> None:
        self._leaves = rule.leaves
        self._desk = desk
        self._tally = tally
        self._since: dict[Wake, float] = {}

    def begin(self, wake: Wake) -> None:
        """Ask, and don't wait."""
        source = self._leaves[wake.leaf].facts
        if source is not None and not self._desk.closed:
            self._desk.ask(source, wake.query)

    async def wait(self, wakes: tuple[Wake, ...]) -> dict[Wake, Facts | None]:
        """What is found out for all of them, each within its budget."""
        began = time.perf_counter()
        found = await asyncio.gather(*(self._facts(wake) for wake in wakes))
        self._tally.waited_s += time.perf_counter() - began
        return dict(zip(wakes, found, strict=True))

    def come(self, wakes: tuple[Wake, ...]) -> Mapping[Wake, Facts | None]:
        """What is known by now of those that nobody waits for; None for those whose time is over."""
        found: dict[Wake, Facts | None] = {}
        for wake in wakes:
            leaf = self._leaves[wake.leaf]
            if leaf.facts is None:
                found[wake] = None
                continue
            began = self._since.setdefault(wake, time.perf_counter())
            known = self._desk.known(leaf.facts, wake.query)
            if known is None and time.perf_counter() - began < leaf.budget_s:
                continue
            facts, outcome = known or (None, "late")
            self._tally.found(outcome)
            found[wake] = facts
        return found

    async def _facts(self, wake: Wake) -> Facts | None:
        leaf = self._leaves[wake.leaf]
        if leaf.facts is None:
            self._tally.found("empty")
            return None
        facts, outcome = await self._desk.facts(leaf.facts, wake.query, leaf.budget_s)
        self._tally.found(outcome)
        return facts
