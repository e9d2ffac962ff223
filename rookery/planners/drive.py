"""The driver of a search: it keeps works in flight, tells their results in the order of the works, and stops when there is a reason to.

The order of asking and telling depends on results alone, never on which call was quick: that is what makes a search replayable.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from rookery.core.event import Fault
from rookery.core.label import SECRET
from rookery.core.limit import Limit
from rookery.core.tape import current_live
from rookery.core.template import as_text
from rookery.engine.live import LiveScope
from rookery.errors import OutsideRun, SearchFailed
from rookery.planners.flight import Flights
from rookery.planners.planner import Result, Verdict, Work
from rookery.planners.result import Answer, SearchResult, SearchTree
from rookery.planners.step import key_of
from rookery.planners.tree import ANSWER, Tree

if TYPE_CHECKING:
    from rookery.planners.search import Search

AHEAD = 8
"""Of a planner that may be asked ahead, so many works are taken for each place in flight."""
PATIENCE = 16
"""So many works that fail one after another end a search."""
NOT_OF_THE_WORK = ("RunCancelled", "SecretNeeded", "SettingMissing", "SettingWrong", "ModelUnknown", "CapabilityMissing", "SkillMissing")
"""Faults that all works would meet, like those that may pass by themselves (a server that is down after all attempts): the search fails with
them, so that the run can be resumed, instead of ending with less than it could have found."""
FAULTS = 10
"""So many faults are kept for the result."""
LABEL = 80
"""Characters of a state that stand in events."""
SEEN = {
    Verdict.EXACT: "an exact goal", Verdict.PUBLIC_TESTS: "public tests", Verdict.CLAIMED: "its own claim", Verdict.UNVERIFIED: "no check at all",
}


class Drive:
    """One search under way."""

    def __init__(self, search: Search, state: Any) -> None:
        live = current_live()
        if live is None:
            raise OutsideRun("a search was called outside of a run", hint="use run(search(…)), or call it inside a @graph")
        self.live = cast("LiveScope", live)
        self.search = search
        self.planner = search.planner
        self.facts = search.planner.facts
        evaluate = search.steps.get("evaluate")
        self.tree = Tree(
            state, key=key_of(state, search.key_function), steps=frozenset(search.steps), together=evaluate is not None and evaluate.together,
            merges=search.merge, answers_wanted=search.answers_wanted,
        )
        self.flights = Flights(search, self.live, self.tree)
        self.labels: list[str] = []
        """The nodes' states in a few words."""
        self.works: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.failed = 0
        self.failing = 0

    async def run(self) -> SearchResult[Any]:
        """Search until there is a reason to stop."""
        loop = asyncio.get_running_loop()
        limit = self.search.limit or Limit()
        ledger = self.live.limit(limit)
        self.deadline = None if limit.seconds is None else loop.time() + limit.seconds - self.live.executed_s
        try:
            reason = await self._root() or await self._loop()
        finally:
            await self.flights.stop()
            self.live.close()
        if not self.works and self.faults:
            first = self.faults[0]
            if not first.kind == "LimitReached":
                raise SearchFailed(f"nothing could be carried out: {first.message}", kind=first.kind, hint=first.hint)
        return self._result(reason, ledger.spent)

    async def _root(self) -> str | None:
        """Check the first state; it may be a solution already."""
        goal = self.search.steps.get("goal")
        if goal is not None and goal.takes(self.tree.state[0]):
            self.flights.add([Work(-1, "goal", (0,))])
            self.flights.launch()
            if not await self.flights.first_ends(self.deadline):
                return "limit: seconds"
            _, result = self.flights.take()
            if result.fault is not None:
                self._failed(result.fault)
            else:
                self.tree.check[0] = result.value
                if result.value.passed:
                    self.tree.passed.append(0)
                    self.tree.mark(0, ANSWER)
        self._told()
        return "verified" if self.tree.is_solved else None

    async def _loop(self) -> str:
        tree, planner, search, flights = self.tree, self.planner, self.search, self.flights
        window = search.concurrency * (AHEAD if self.facts.eager else 1)
        most = sys.maxsize if search.max_works is None else search.max_works
        while True:
            reason = planner.done(tree)
            if reason is not None:
                return reason
            if len(tree) >= search.max_nodes:
                return "limit: nodes"
            while len(flights) < window and tree.works < most:
                works = planner.ask(tree, min(window - len(flights), most - tree.works), search.seed)
                flights.add(works)
                if not works:
                    break
            flights.launch()
            if not flights:
                return planner.done(tree) or ("exhausted" if tree.works < most else "limit: works")
            if not await flights.first_ends(self.deadline):
                return "limit: seconds"
            work, result = flights.take()
            stop = self._count(work, result)
            if stop:
                return stop
            planner.tell(tree, work, result)
            self._told()

    def _count(self, work: Work, result: Result) -> str:
        if result.fault is None:
            self.works[work.step] += 1
            self.failing = 0
            return ""
        self._failed(result.fault)
        if result.fault.retryable or result.fault.kind in NOT_OF_THE_WORK:
            fault = result.fault
            raise SearchFailed(f"a {work.step} could not be carried out: {fault.message}", kind=fault.kind, hint=fault.hint or "resume the run")
        if result.fault.kind == "LimitReached":
            return f"limit: {result.fault.message.partition(':')[0]}"
        return "failing" if self.failing >= PATIENCE else ""

    def _failed(self, fault: Fault) -> None:
        self.failed += 1
        self.failing += 1
        if len(self.faults) < FAULTS:
            self.faults.append(fault)

    # ---------------------------------------------------------------- the end

    def _told(self) -> None:
        """Tell the log what has changed in the tree."""
        tree, known = self.tree, len(self.labels)
        changed, tree.changed = sorted(tree.changed), {}
        if changed:
            labels = self._labels()
            self.live.grow([[n, tree.parent[n], tree.status[n], tree.value[n], labels[n] if n >= known else ""] for n in changed])

    def _labels(self) -> list[str]:
        for state in islice(self.tree.state, len(self.labels), None):
            self.labels.append("(secret)" if SECRET in self.live.labels else label_of(state))
        return self.labels

    def _result(self, reason: str, spent: Any) -> SearchResult[Any]:
        tree, choice = self.tree, self.planner.choose(self.tree)
        answers = [self._answer(node, choice.votes.get(node, 0)) for node in choice.nodes]
        verdict = answers[0].verdict if answers else Verdict.UNVERIFIED
        return SearchResult(
            answers, verdict, choice.by if answers else "", SEEN[verdict], reason, self.facts.name, dict(self.works), spent,
            self.search.unused, self.faults, self.failed, SearchTree.of(tree, self._labels()),
        )

    def _answer(self, node: int, votes: int) -> Answer[Any]:
        check = self.tree.check[node]
        verdict = self.search.verdict if check is not None and check.passed else Verdict.UNVERIFIED
        return Answer(self.tree.state[node], verdict, node, self.tree.value[node], votes, check.feedback if check is not None else "")


def label_of(state: Any) -> str:
    """A state in a few words, on one line."""
    text = str(state) if "__str__" in type(state).__dict__ else as_text(state)
    text = " ".join(text.split())
    return text if len(text) <= LABEL else text[: LABEL - 1] + "…"
