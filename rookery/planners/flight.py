"""Works in flight: each becomes a call of the run, or several, in the order in which they were asked; what comes of them are Results."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rookery.core.policy import Policy
from rookery.core.spend import NOTHING_SPENT
from rookery.core.tape import living
from rookery.engine.attempt import fault_of
from rookery.engine.live import LiveScope
from rookery.errors import CapabilityMissing, StepWrong
from rookery.planners.planner import Check, Child, Result, Work
from rookery.planners.step import Step, children_of
from rookery.planners.tree import Tree

if TYPE_CHECKING:
    from rookery.planners.search import Search


@dataclass(slots=True)
class Flight:
    """A work that was asked and is not told yet."""

    work: Work
    future: asyncio.Future[Any] | None = None
    """Of a work that is one call: the call's value. Of all others: their Result."""
    call: str = ""
    """The path of the call, where it is one."""


class Flights:
    """The works of one search that are asked and not told yet."""

    def __init__(self, search: Search, live: LiveScope, tree: Tree) -> None:
        self.search = search
        self.live = live
        self.tree = tree
        self.facts = search.planner.facts
        self.pending: deque[Flight] = deque()
        """In the order of the works; the first is the next to be told."""
        self.queue: deque[Flight] = deque()
        """Those of them that wait for a place in flight."""
        self.flying = 0
        self.made: dict[int, set[str]] = {}
        """The calls of works that make several."""
        self.policies: dict[tuple[int, float | None, bool], Policy] = {}
        self.is_over = False
        goal = search.steps.get("goal")
        self.direct = goal.function.function if goal is not None and getattr(goal.function.policy, "inline", False) else None
        """The goal, where it is a quick function: called as it is, not as a call of the run."""
        self.root = {"root": tree.state[0]} if goal is not None and "root" in goal.params and goal.first != "root" else {}
        """What a goal gets besides the state."""
        self.single = {name for name, step in search.steps.items() if self._is_single(name, step)}
        """Steps whose works are one call each."""

    def _is_single(self, name: str, step: Step) -> bool:
        if name == "goal":
            return False
        if name == "evaluate":
            return step.samples == 1 and not step.together
        return "goal" not in self.search.steps or self.direct is not None or name not in ("propose", self.facts.answer_step)

    def __len__(self) -> int:
        return len(self.pending)

    def add(self, works: Iterable[Work]) -> None:
        """Works that were asked."""
        flights = [Flight(work) for work in works]
        self.pending += flights
        self.queue += flights

    async def first_ends(self, deadline: float | None) -> bool:
        """Wait for the end of the next work to be told; False when it is later than ``deadline`` first."""
        flight = self.pending[0]
        while flight.future is None:  # noqa: ASYNC110 - those that gave up their places have ended, and have not said so yet
            await asyncio.sleep(0)
        if flight.future.done() and deadline is None:
            return True
        left = None if deadline is None else deadline - asyncio.get_running_loop().time()
        if left is not None and left <= 0:
            return False
        return await self.live.landed(flight.future, left)

    def take(self) -> tuple[Work, Result]:
        """The next work to be told, which has ended, and what came of it."""
        flight = self.pending.popleft()
        return flight.work, self._landed(flight)

    def launch(self) -> None:
        """Start works in their order while there are places."""
        while self.queue and self.flying < self.search.concurrency and not self.is_over:
            flight = self.queue.popleft()
            self.flying += 1
            if flight.work.step in self.single:
                try:
                    flight.call = self._call(flight.work, flight.work.sample)
                    flight.future = self.live.value(flight.call)
                except Exception as error:  # arguments that cannot be written: the work's failure, as in ``_carry``
                    flight.future = asyncio.get_running_loop().create_future()
                    flight.future.set_exception(error)
            else:
                flight.future = asyncio.create_task(self._carry(flight.work), name=flight.work.step)
            if flight.future.done():  # an earlier process has carried it out
                self.flying -= 1
            else:
                flight.future.add_done_callback(self._freed)

    def _freed(self, future: asyncio.Future[Any]) -> None:
        self.flying -= 1
        if not future.cancelled():
            future.exception()  # it is read when its turn comes
        self.launch()

    def _landed(self, flight: Flight) -> Result:
        """What came of a work that has ended."""
        assert flight.future is not None
        self.made.pop(flight.work.id, None)
        try:
            raw = flight.future.result()
            result = self._single(flight, raw) if flight.call else raw
            self._fits(flight.work, result)
            return result
        except Exception as error:  # also of a function that was passed as it is, a goal or a key: its failure is the work's
            return Result(fault=fault_of(error))

    def _fits(self, work: Work, result: Result) -> None:
        """Raises StepWrong and CapabilityMissing for what the planner can't use."""
        facts = self.facts
        if facts.within is not None and not (self.tree.together and work.step == "evaluate"):
            low, high = facts.within
            scores = [child.check.score for child in result.children if child.check is not None and child.check.score is not None]
            wrong = [score for score in (*result.values, *scores) if not low <= score <= high]
            if wrong:
                raise StepWrong(f"a score is {wrong[0]:g}; {facts.name} takes {low:g} to {high:g}", hint="scale it, or take another planner")
        is_proposal = facts.logprobs and work.step == facts.answer_step and result.fault is None
        if is_proposal and result.confidence is None and any(child.prior is None for child in result.children):
            raise CapabilityMissing(f"{facts.name} needs log-probabilities, and {work.step} asked no model that tells them",
                                    hint="propose by a prompt, give each Child a prior, or take a planner that needs none")

    def _single(self, flight: Flight, raw: Any) -> Result:
        """The result of a work that is one call."""
        work, step = flight.work, self.search.steps[flight.work.step]
        if work.step == "evaluate":
            return Result(values=[step.number(raw, self.live.confidence(flight.call) if step.weighs else None)])
        confidence, spend = self._told_of(flight.call)
        if work.step not in ("propose", self.facts.answer_step):
            return Result(value=raw, confidence=confidence, spend=spend)
        children = [child if (check := self._known_check(child)) is None else _with(child, check) for child in self._children(work, raw)]
        return Result(children=children, value=raw, confidence=confidence, spend=spend)

    def _children(self, work: Work, raw: Any) -> list[Child[Any]]:
        return children_of(raw, self.search.steps["propose"] if work.step == "propose" else None, self.search.key_function)

    def _told_of(self, call: str) -> tuple[Any, Any]:
        """How sure the model was of a call, and what it cost, where the planner wants to know."""
        return (self.live.confidence(call) if self.facts.logprobs else None, self.live.spend(call) if self.facts.costs else NOTHING_SPENT)

    def _known_check(self, child: Child[Any]) -> Check | None:
        """What the goal says of a child, where that takes no call."""
        node = self.tree.ids.get(child.key)
        if node is not None and self.tree.check[node] is not None:
            return self.tree.check[node]
        if self.direct is None or not self.search.steps["goal"].takes(child.state):
            return None
        return self._directly(child.state)

    def _directly(self, state: Any) -> Check:
        assert self.direct is not None
        with living(None):  # tools that it calls are plain functions to it
            raw = self.direct(state, **self.root)
        return raw if isinstance(raw, Check) else Check(bool(raw))

    async def _carry(self, work: Work) -> Result:
        """A work that makes several calls, or may make none."""
        try:
            if work.step == "evaluate":
                return Result(values=await self._evaluate(work))
            if work.step == "goal":
                return Result(value=await self._check(work.id, self.tree.state[work.node]))
            call = self._call(work, work.sample)
            raw = await self._value(work.id, call)
            children = self._children(work, raw)
            checks = await asyncio.gather(*(self._checked(work.id, child) for child in children))
            confidence, spend = self._told_of(call)
            return Result(children=checks, value=raw, confidence=confidence, spend=spend)
        except Exception as error:  # as in ``_landed``
            return Result(fault=fault_of(error))

    def _call(self, work: Work, sample: int) -> str:
        """Make the call of a work's step; its path."""
        step = self.search.steps[work.step]
        return self.live.call(step.function, step.arguments(self.tree, work.nodes, work.given), self._policy(step, sample, work.temperature),
                              name=work.step)

    def _policy(self, step: Step, sample: int, temperature: float | None) -> Policy:
        key = sample, temperature, step.weighs
        found = self.policies.get(key)
        if found is None:
            found = self.policies[key] = self.search.policy_of(sample, temperature, logprobs=self.facts.logprobs or step.weighs)
        return found

    async def _value(self, work: int, call: str) -> Any:
        self.made.setdefault(work, set()).add(call)
        if self.is_over:
            self.live.cancel(call)
        return await self.live.value(call)

    async def _checked(self, work: int, child: Child[Any]) -> Child[Any]:
        known = self._known_check(child)
        if known is not None:
            return _with(child, known)
        return _with(child, await self._check(work, child.state)) if self.search.steps["goal"].takes(child.state) else child

    async def _check(self, work: int, state: Any) -> Check:
        if self.direct is not None:
            return self._directly(state)
        goal = self.search.steps["goal"]
        raw = await self._value(work, self.live.call(goal.function, {goal.first: state, **self.root}, self._policy(goal, 0, None), name="goal"))
        return raw if isinstance(raw, Check) else Check(bool(raw))

    async def _evaluate(self, work: Work) -> list[float]:
        step = self.search.steps["evaluate"]
        first = work.sample * step.samples
        calls = [self._call(work, first + number) for number in range(step.samples)]
        made = await asyncio.gather(*(self._value(work.id, call) for call in calls))
        if not step.together:
            return [sum(step.number(raw, self.live.confidence(call) if step.weighs else None) for call, raw in zip(calls, made, strict=True))]
        votes = [0.0] * len(work.nodes)
        for raw in made:
            place = int(step.number(raw))
            if 1 <= place <= len(votes):  # a vote for what is not there is lost, as in the paper
                votes[place - 1] += 1.0
        return votes

    async def stop(self) -> None:
        """Take back what is still in flight, so that nothing is spent after the end."""
        self.is_over = True
        flights = [flight for flight in self.pending if flight.future is not None]
        for flight in flights:
            for call in self.made.get(flight.work.id, {flight.call} - {""}):
                self.live.cancel(call)
        futures = [flight.future for flight in flights if flight.future is not None]
        if futures:
            await asyncio.gather(*futures, return_exceptions=True)
            await asyncio.sleep(0)  # what was cancelled books what it used


def _with(child: Child[Any], check: Check) -> Child[Any]:
    return Child(child.state, child.prior, child.key, check, child.final)
