"""Search by a model's own confidence: steps, and where to go on, are judged by the log-probabilities of what was written (arXiv 2410.19117)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf, log
from typing import Any, Literal

from rookery.planners.option import at_least, named, one_of
from rookery.planners.planner import Child, Choice, Facts, Planner, Result, Work
from rookery.planners.tree import ANSWER, DONE, FAILED, OPEN, PRUNED, ROOT, Tree, ranked

LOWEST = -1e9
"""The log-probability of a step that the proposer holds for impossible."""


def confidence_tree(
    *, branches: int = 3, entropy: float = 0.5, score: Literal["sum", "mean"] = "sum", max_tokens: int | None = None, depth: int = 10,
    temperature: float | None = 0.8,
) -> Planner:
    """Go on from the path that the model itself finds likeliest, and branch only where it was unsure (LLM Tree Search, Wilson 2024, arXiv 2410.19117,
    in a precise reading: its text leaves the scores open).

    A path's score is the sum of the log-probabilities of all its tokens, or their mean. A state is proposed from once; where some token had an
    entropy of ``entropy`` nats or more it is asked for further samples. A path ends with an answer, at the last level, or where nothing is proposed.

    The search stops when no open path can become better than the best that has ended. A sum only falls, so with ``sum`` this is A* with a
    bound that is never too low, and what is found is the likeliest of all paths that were proposed. A mean can rise: only with
    ``max_tokens`` is there a bound, that of all tokens to come being certain. A goal decides which ends count, and ends the search at once.

    :param branches: proposals from one state at most.
    :param entropy: nats; 0 branches everywhere.
    :param max_tokens: no path is longer (for ``mean``).
    :param depth: steps of a path at most.
    :param temperature: of further samples; None: as the prompt has it.

    Proposals must be a prompt's on a model that tells log-probabilities, or each child has a prior, a probability above 0, which is then its step's
    (as one token). Others fail with CapabilityMissing. Confidence is likelihood, not truth. Raises SearchInvalid for numbers below 1
    (``entropy`` and ``temperature``: below 0).
    """
    at_least(1, branches=branches, depth=depth, max_tokens=max_tokens)
    at_least(0, entropy=entropy, temperature=temperature)
    one_of(("sum", "mean"), score=score)
    return ConfidenceTree(branches, entropy, score, max_tokens, depth, temperature)


@dataclass(slots=True)
class _Notes:
    logprob: dict[int, float] = field(default_factory=lambda: {ROOT: 0.0})
    """Of the whole path to a node."""
    tokens: dict[int, int] = field(default_factory=lambda: {ROOT: 0})
    open: list[tuple[float, int, int, int]] = field(default_factory=lambda: [(0.0, 0, ROOT, 0)])
    """A heap: minus the score, minus the depth, the node, the sample to ask."""
    bounds: list[tuple[float, int]] = field(default_factory=list)
    """A heap of minus the bound of each open path, and its node; those that were asked are taken off late."""
    waiting: dict[int, int] = field(default_factory=dict)
    """Proposals of a node that are open or in flight."""
    ends: list[int] = field(default_factory=list)
    best: float = -inf
    """The score of the best path that has ended."""
    out: int = 0
    over: str = ""


@dataclass(frozen=True)
class ConfidenceTree:
    """See ``confidence_tree``."""

    branches: int
    entropy: float
    score: str
    max_tokens: int | None
    depth: int
    temperature: float | None

    @property
    def facts(self) -> Facts:
        options = {name: getattr(self, name) for name in ("branches", "entropy", "score", "max_tokens", "depth", "temperature")}
        return Facts(named("confidence_tree", **options), logprobs=True, source="LLM Tree Search, arXiv 2410.19117")

    def ask(self, tree: Tree, slots: int, seed: int) -> Sequence[Work]:
        notes = tree.notes(_Notes)
        works: list[Work] = []
        while len(works) < slots and not notes.over:
            if not notes.open and not notes.out + len(works):
                notes.over = "exhausted"
            elif self._bound(notes) <= notes.best:
                notes.over = "bound"
            elif notes.open:
                _, _, node, sample = heappop(notes.open)
                works.append(tree.work("propose", node, sample=sample, temperature=self.temperature if sample else None))
            else:
                break
        notes.out += len(works)
        return works

    def _bound(self, notes: _Notes) -> float:
        """The best score that an open path, or one in flight, can still come to."""
        if not notes.ends:
            return inf
        while notes.bounds and not notes.waiting.get(notes.bounds[0][1]):
            heappop(notes.bounds)
        return -notes.bounds[0][0] if notes.bounds else -inf

    def tell(self, tree: Tree, work: Work, result: Result) -> None:
        if not tree.take(work):
            return
        notes, parent = tree.notes(_Notes), work.node
        notes.out -= 1
        notes.waiting[parent] = notes.waiting.get(parent, 1) - 1
        sure = result.confidence
        is_unfit = sure is None and any(child.prior is None for child in result.children)
        if result.fault is None or tree.status[parent] == OPEN:
            tree.mark(parent, FAILED if result.fault is not None or is_unfit else DONE)
        for child in () if is_unfit else result.children:
            node, is_new = tree.add(parent, child)
            if is_new:
                logprob, tokens = _step(child, result)
                notes.logprob[node] = notes.logprob[parent] + logprob
                notes.tokens[node] = notes.tokens[parent] + tokens
                self._arrive(tree, notes, node)
        if sure is not None and sure.entropy >= self.entropy and work.sample + 1 < self.branches:
            self._open(tree, notes, parent, work.sample + 1)
        elif not result.children and result.fault is None and parent != ROOT and not tree.children[parent] and "goal" not in tree.steps:
            tree.mark(parent, ANSWER)
            self._end(tree, notes, parent)

    def _arrive(self, tree: Tree, notes: _Notes, node: int) -> None:
        """A path has come to a new node."""
        tree.rate(node, self._score(notes, node))
        if tree.status[node] == ANSWER or tree.depth[node] >= self.depth:
            if "goal" not in tree.steps or node in tree.passed:
                self._end(tree, notes, node)
        elif self.max_tokens is not None and notes.tokens[node] >= self.max_tokens:
            tree.mark(node, PRUNED)
        else:
            self._open(tree, notes, node, 0)

    def _end(self, tree: Tree, notes: _Notes, node: int) -> None:
        notes.ends.append(node)
        notes.best = max(notes.best, tree.value[node] or 0.0)

    def _open(self, tree: Tree, notes: _Notes, node: int, sample: int) -> None:
        heappush(notes.open, (-self._score(notes, node), -tree.depth[node], node, sample))
        logprob = notes.logprob[node]
        bound = logprob if self.score == "sum" else logprob / self.max_tokens if self.max_tokens is not None else 0.0
        heappush(notes.bounds, (-bound, node))
        notes.waiting[node] = notes.waiting.get(node, 0) + 1

    def _score(self, notes: _Notes, node: int) -> float:
        logprob = notes.logprob[node]
        return logprob if self.score == "sum" else logprob / max(1, notes.tokens[node])

    def done(self, tree: Tree) -> str | None:
        if tree.is_solved:
            return "verified"
        return tree.notes(_Notes).over or None

    def choose(self, tree: Tree) -> Choice:
        ends = tree.notes(_Notes).ends
        if tree.passed or not ends:
            return ranked(tree, by="the model's own confidence")
        return Choice(sorted(ends, key=lambda node: (-(tree.value[node] or 0.0), node)), "the model's own confidence")


def _step(child: Child[Any], result: Result) -> tuple[float, int]:
    """The log-probability of one step, and its tokens."""
    if child.prior is not None:
        return (min(0.0, log(child.prior)) if child.prior > 0 else LOWEST), 1
    sure = result.confidence
    return (sure.logprob, sure.tokens) if sure is not None else (LOWEST, 1)
