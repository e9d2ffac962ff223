"""The driver of a search: it keeps works in flight, tells their results in the order of the works, and stops when there is a reason to.

The order of asking and telling depends on results alone, never on which call was quick: that is what makes a search replayable.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import Any, cast

from rookery.core.event import Fault
from rookery.core.label import SECRET
from rookery.core.limit import Limit
from rookery.core.policy import Policy
from rookery.core.tape import current_live, living
from rookery.core.template import as_text
from rookery.core.value import codec
from rookery.core.view import TreeNode
from rookery.engine.attempt import fault_of
from rookery.engine.live import LiveScope
from rookery.errors import CallFailed, OutsideRun, SearchFailed
from rookery.planners.planner import Check, Child, Result, Verdict, Work
from rookery.planners.result import Answer, SearchResult, SearchTree
from rookery.planners.search import Search
from rookery.planners.step import children_of, key_of
from rookery.planners.tree import Tree

AHEAD = 8
"""Of a planner that may be asked ahead, so many works are taken for each place in flight."""
PATIENCE = 16
"""So many works that fail one after another end a search."""
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
        evaluate = search.steps.get("evaluate")
        self.tree = Tree(
            state, key=key_of(state, search.key_function), steps=frozenset(search.steps), together=evaluate is not None and evaluate.together,
            merges=search.merge, answers_wanted=search.answers_wanted,
        )
        self.pending: deque[tuple[Work, asyncio.Task[Result]]] = deque()
        self.flying: dict[int, set[str]] = {}
        self.gate = asyncio.Semaphore(search.concurrency)
        self.works: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.failed = 0
        self.failing = 0
        self.is_over = False
        goal = search.steps.get("goal")
        self.direct = goal.function.function if goal is not None and getattr(goal.function.policy, "inline", False) else None
        """The goal, where it is a quick function: called as it is, not as a call of the run."""

    async def run(self) -> SearchResult[Any]:
        """Search until there is a reason to stop."""
        loop = asyncio.get_running_loop()
        limit = self.search.limit or Limit()
        ledger = self.live.limit(limit)
        self.deadline = None if limit.seconds is None else loop.time() + limit.seconds - self.live.executed_s
        try:
            reason = await self._root() or await self._loop()
        finally:
            await self._stop()
            self.live.close()
        if not self.works and self.faults:
            first = self.faults[0]
            if not first.kind == "LimitReached":
                raise SearchFailed(f"nothing could be carried out: {first.message}", kind=first.kind, hint=first.hint)
        return self._result(reason, ledger.spent)

    async def _root(self) -> str | None:
        """Check the first state; it may be a solution already."""
        goal = self.search.steps.get("goal")
        if goal is None or not goal.takes(self.tree.state[0]):
            self._told()
            return None
        work = Work(-1, "goal", (0,))
        try:
            check = await self._check(work, self.tree.state[0])
        except Exception as error:  # as in ``_carry``
            check = None
            self._failed(_fault(error))
        self.tree.check[0] = check
        if check is not None and check.passed:
            self.tree.passed.append(0)
            self.tree.mark(0, "answer")
        self._told()
        return "verified" if self.tree.is_solved else None

    async def _loop(self) -> str:
        tree, planner, search = self.tree, self.planner, self.search
        window = search.concurrency * (AHEAD if planner.facts.eager else 1)
        while True:
            reason = planner.done(tree)
            if reason is not None:
                return reason
            if len(tree) >= search.max_nodes:
                return "limit: nodes"
            while len(self.pending) < window:
                works = planner.ask(tree, window - len(self.pending), search.seed)
                for work in works:
                    self.pending.append((work, asyncio.create_task(self._carry(work), name=work.step)))
                if not works:
                    break
            if not self.pending:
                return planner.done(tree) or "exhausted"
            work, task = self.pending[0]
            if not await self._in_time(task):
                return "limit: seconds"
            result = task.result()
            self.pending.popleft()
            self.flying.pop(work.id, None)
            stop = self._count(work, result)
            if stop:
                return stop
            planner.tell(tree, work, result)
            self._told()

    async def _in_time(self, task: asyncio.Task[Result]) -> bool:
        if self.deadline is None:
            await asyncio.wait({task})
            return True
        left = self.deadline - asyncio.get_running_loop().time()
        if left <= 0:
            return False
        done, _ = await asyncio.wait({task}, timeout=left)
        return bool(done)

    def _count(self, work: Work, result: Result) -> str:
        if result.fault is None:
            self.works[work.step] += 1
            self.failing = 0
            return ""
        self._failed(result.fault)
        if result.fault.kind == "LimitReached":
            return f"limit: {result.fault.message.partition(':')[0]}"
        return "failing" if self.failing >= PATIENCE else ""

    def _failed(self, fault: Fault) -> None:
        self.failed += 1
        self.failing += 1
        if len(self.faults) < FAULTS:
            self.faults.append(fault)

    # ---------------------------------------------------------------- one work

    async def _carry(self, work: Work) -> Result:
        async with self.gate:
            try:
                return await self._done(work)
            except Exception as error:  # also of a function that was passed as it is, a goal or a key: its failure is the work's
                return Result(fault=_fault(error))

    async def _done(self, work: Work) -> Result:
        step = self.search.steps[work.step]
        if work.step == "evaluate":
            return Result(values=await self._evaluate(work))
        path, raw = await self._call(work, work.sample)
        confidence = self.live.confidence(path) if self.planner.facts.logprobs else None
        spend = self.live.spend(path) if self.planner.facts.costs else Result().spend
        if work.step not in ("propose", self.planner.facts.answer_step):
            return Result(value=raw, confidence=confidence, spend=spend)
        children = children_of(raw, step if work.step == "propose" else None, self.search.key_function)
        return Result(children=await self._checked(work, children), value=raw, confidence=confidence, spend=spend)

    async def _call(self, work: Work, sample: int) -> tuple[str, Any]:
        """Carry out a work's step once, as a call of the run."""
        step = self.search.steps[work.step]
        policy = self.search.policy_of(sample, work.temperature, logprobs=self.planner.facts.logprobs or step.weighs)
        return await self._made(work, work.step, step.arguments(self.tree, work.nodes, work.given), policy)

    async def _made(self, work: Work, name: str, args: dict[str, Any], policy: Policy) -> tuple[str, Any]:
        if self.is_over:
            raise asyncio.CancelledError
        variable = self.live.call(self.search.steps[name].function, args, policy, name=name)
        self.flying.setdefault(work.id, set()).add(variable.name)
        return variable.name, await variable

    async def _evaluate(self, work: Work) -> list[float]:
        step = self.search.steps["evaluate"]
        first = work.sample * step.samples
        made = await asyncio.gather(*(self._call(work, first + number) for number in range(step.samples)))
        if not step.together:
            return [sum(step.number(raw, self.live.confidence(path) if step.weighs else None) for path, raw in made)]
        votes = [0.0] * len(work.nodes)
        for _, raw in made:
            place = int(step.number(raw))
            if 1 <= place <= len(votes):  # a vote for what is not there is lost, as in the paper
                votes[place - 1] += 1.0
        return votes

    async def _checked(self, work: Work, children: list[Child[Any]]) -> list[Child[Any]]:
        """The children with what the goal says of each, checked side by side."""
        goal = self.search.steps.get("goal")
        if goal is None:
            return children
        known, ids = self.tree.check, self.tree.ids

        async def check(child: Child[Any]) -> Child[Any]:
            node = ids.get(child.key)
            if node is not None and known[node] is not None:
                return Child(child.state, child.prior, child.key, known[node], child.final)
            if not goal.takes(child.state):
                return child
            return Child(child.state, child.prior, child.key, await self._check(work, child.state), child.final)

        if self.direct is not None:
            return [await check(child) for child in children]
        return list(await asyncio.gather(*(check(child) for child in children)))

    async def _check(self, work: Work, state: Any) -> Check:
        goal = self.search.steps["goal"]
        if self.direct is not None:
            with living(None):  # tools that it calls are plain functions to it
                raw = self.direct(state)
        else:
            _, raw = await self._made(work, "goal", {goal.first: state}, self.search.policy_of(0, None, logprobs=False))
        return raw if isinstance(raw, Check) else Check(bool(raw))

    # ---------------------------------------------------------------- the end

    async def _stop(self) -> None:
        """Take back what is still in flight, so that nothing is spent after the end."""
        self.is_over = True
        for work, _ in self.pending:
            for call in self.flying.get(work.id, ()):
                self.live.cancel(call)
        tasks = [task for _, task in self.pending]
        for work, task in self.pending:
            if work.id not in self.flying:
                task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)  # what was cancelled books what it used

    def _told(self) -> None:
        """Tell the log what has changed in the tree."""
        tree = self.tree
        changed, tree.changed = sorted(tree.changed), {}
        if changed:
            self.live.grow([[node, tree.parent[node], tree.status[node], tree.value[node], self._label(node)] for node in changed])

    def _label(self, node: int) -> str:
        if SECRET in self.live.labels:
            return "(secret)"
        return label_of(self.tree.state[node])

    def _result(self, reason: str, spent: Any) -> SearchResult[Any]:
        tree, choice = self.tree, self.planner.choose(self.tree)
        answers = [self._answer(node, choice.votes.get(node, 0)) for node in choice.nodes]
        verdict = answers[0].verdict if answers else Verdict.UNVERIFIED
        nodes = [TreeNode(tree.parent[n], tree.status[n], tree.value[n], self._label(n)) for n in range(len(tree))]
        return SearchResult(
            answers, verdict, choice.by if answers else "", SEEN[verdict], reason, self.planner.facts.name, dict(self.works), spent,
            self.search.unused, self.faults, self.failed, SearchTree(nodes, [codec(type(state)).dump(state).decode() for state in tree.state]),
        )

    def _answer(self, node: int, votes: int) -> Answer[Any]:
        check = self.tree.check[node]
        verdict = self.search.verdict if check is not None and check.passed else Verdict.UNVERIFIED
        return Answer(self.tree.state[node], verdict, node, self.tree.value[node], votes, check.feedback if check is not None else "")


def _fault(error: Exception) -> Fault:
    """An error as the result has it: that of a call under the name of what went wrong in it."""
    fault = fault_of(error)
    return Fault(error.kind, fault.message, fault.hint) if isinstance(error, CallFailed) else fault


def label_of(state: Any) -> str:
    """A state in a few words, on one line."""
    text = str(state) if "__str__" in type(state).__dict__ else as_text(state)
    text = " ".join(text.split())
    return text if len(text) <= LABEL else text[: LABEL - 1] + "…"
