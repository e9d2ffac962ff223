"""Repeated sampling: best-of-n, which the other planners are compared with, and self-consistency."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rookery.core.spend import NOTHING_SPENT, Spend
from rookery.planners.line import ABREAST, Line, Row
from rookery.planners.option import at_least, named
from rookery.planners.planner import Choice, Facts, Planner, Result, Work
from rookery.planners.tree import ROOT, Tree, drawn, ranked


def best_of_n(
    n: int = 8, *, depth: int = 10, temperature: float | None = None, abreast: int | None = None, worth_tokens: float | None = None,
    worth_usd: float | None = None,
) -> Planner:
    """``n`` independent lines of thought from the root; the first one that the goal passes is the answer (Brown et al. 2024, arXiv
    2407.21787, "repeated sampling"). Each step of a line proposes once and follows one child: the only one, or one drawn (with odds as
    the priors where all have one). Without a goal ``evaluate`` judges where the lines end; without both the first line is the answer.

    :param n: lines.
    :param depth: steps of a line at most.
    :param temperature: of the proposals; None: as their prompt has it.
    :param abreast: lines under way at a time. None: all, where the first line ends with its first step, else 8. With 1 nothing is spent
        on a later line before the one before is at its end. What is in flight is besides bounded by the search's ``concurrency``.
    :param worth_tokens, worth_usd: what a verified answer is worth. The search stops (``gain below price``) when the chance that the next
        line is the first right one, 1 / (k + 2) after k wrong ones (Laplace's rule of succession), times this is less than a line has
        cost on average.

    Raises SearchInvalid for numbers below 1, for prices and temperatures below 0.
    """
    at_least(1, n=n, depth=depth, abreast=abreast)
    at_least(0, temperature=temperature, worth_tokens=worth_tokens, worth_usd=worth_usd)
    return Sample("best_of_n", n, depth, temperature, abreast, worth_tokens, worth_usd)


def self_consistency(n: int = 20, *, depth: int = 10, temperature: float | None = None, abreast: int | None = None) -> Planner:
    """``n`` independent lines of thought as in ``best_of_n``; the end that most of them reach is the answer (Wang et al. 2023, arXiv
    2203.11171, section 2). Stops when the leader can't be overtaken. The vote does not see the goal: that only says what the chosen
    answer is worth. A line that fails, or finds nothing to propose at the root, has no vote. Of equal votes the first found counts.

    :param n: lines, each with one vote.
    :param depth, temperature, abreast: see ``best_of_n``.

    Raises SearchInvalid for numbers below 1 and for a temperature below 0.
    """
    at_least(1, n=n, depth=depth, abreast=abreast)
    at_least(0, temperature=temperature)
    return Sample("self_consistency", n, depth, temperature, abreast)


@dataclass(slots=True)
class _Line(Line):
    spend: Spend = NOTHING_SPENT
    is_judged: bool = False
    """It is at its end, and ``evaluate`` has been asked about that."""


@dataclass(slots=True)
class _Notes:
    row: Row[_Line] = field(default_factory=Row)
    begun: int = 0
    out: dict[int, _Line] = field(default_factory=dict)
    """By work."""
    votes: Counter[int] = field(default_factory=Counter)
    """How many lines ended at a node, in the order in which the nodes were reached."""
    leader: int = ROOT
    second: int = 0
    """Votes of the best node but the leader."""
    ended: int = 0
    spend: Spend = NOTHING_SPENT
    """Of the lines that ended."""
    is_voted: bool = False
    over: str = ""

    def count(self, node: int) -> None:
        self.votes[node] += 1
        if node != self.leader and self.votes[node] > self.votes[self.leader]:
            self.leader, self.second = node, self.votes[self.leader]
        elif node != self.leader:
            self.second = max(self.second, self.votes[node])


@dataclass(frozen=True)
class Sample:
    """See ``best_of_n`` and ``self_consistency``."""

    name: str
    n: int
    depth: int
    temperature: float | None = None
    abreast: int | None = None
    worth_tokens: float | None = None
    worth_usd: float | None = None

    @property
    def votes(self) -> bool:
        return self.name == "self_consistency"

    @property
    def facts(self) -> Facts:
        options = {key: getattr(self, key) for key in ("n", "depth", "temperature", "abreast", "worth_tokens", "worth_usd")}
        return Facts(
            named(self.name, **options), uses=frozenset() if self.votes else frozenset({"evaluate"}), eager=True,
            costs=self.worth_tokens is not None or self.worth_usd is not None,
            source="Self-consistency, arXiv 2203.11171, section 2" if self.votes else "Large Language Monkeys, arXiv 2407.21787",
        )

    def ask(self, tree: Tree, slots: int, seed: int) -> Sequence[Work]:
        notes = tree.notes(_Notes)
        if not notes.begun:
            notes.row.widen(min(self.n, self.abreast or ABREAST))
        works: list[Work] = []
        while len(works) < slots and not notes.over:
            line = notes.row.turn(lambda: self._begin(notes))
            if line is None:
                break
            line.luck = drawn(seed, line.number, line.steps)
            if line.is_judged:
                work = tree.work("evaluate", line.node)
            else:
                work = tree.work("propose", line.node, sample=line.number, temperature=self.temperature)
            notes.out[work.id] = line
            works.append(work)
        if not notes.row.places and not notes.over and not works:
            works = self._end(tree, notes)
        return works

    def _begin(self, notes: _Notes) -> _Line | None:
        if notes.begun >= self.n:
            return None
        notes.begun += 1
        return _Line(notes.begun - 1)

    def _end(self, tree: Tree, notes: _Notes) -> list[Work]:
        if self._judges(tree) and tree.together and len(notes.votes) > 1 and not notes.is_voted:
            notes.is_voted = True
            return [tree.work("evaluate", *notes.votes)]
        notes.over = "samples"
        return []

    def _judges(self, tree: Tree) -> bool:
        """Where a goal tells right from wrong, judgements would be paid for nothing."""
        return not self.votes and "evaluate" in tree.steps and "goal" not in tree.steps

    def tell(self, tree: Tree, work: Work, result: Result) -> None:
        if not tree.take(work):
            return
        notes = tree.notes(_Notes)
        for node, value in zip(work.nodes, result.values, strict=False):
            tree.rate(node, value)
        line = notes.out.pop(work.id, None)
        if line is None:
            notes.over = "samples"  # all ends were judged together
            return
        line.is_out = False
        line.spend += result.spend
        if line.is_judged:
            line.is_over = True
        elif line.step(tree, result, self.depth):
            self._ended(tree, notes, line, has_failed=result.fault is not None)

    def _ended(self, tree: Tree, notes: _Notes, line: _Line, *, has_failed: bool) -> None:
        notes.ended += 1
        notes.spend += line.spend
        is_new = False
        if line.node != ROOT and not has_failed:
            is_new = line.node not in notes.votes
            notes.count(line.node)
        line.is_judged = is_new and self._judges(tree) and not tree.together
        line.is_over = not line.is_judged
        if line.number == 0 and line.steps == 1 and self.abreast is None:
            notes.row.widen(max(0, self.n - ABREAST))
        if self.votes and notes.votes[notes.leader] - notes.second > self.n - notes.ended:
            notes.over = "vote can't be overtaken"
        elif not self.votes and "goal" in tree.steps and self._is_dear(notes):
            notes.over = "gain below price"

    def _is_dear(self, notes: _Notes) -> bool:
        chance, spend = 1 / (notes.ended + 2), notes.spend
        costs = ((self.worth_tokens, spend.tokens), (self.worth_usd, spend.cost_usd))
        return any(worth is not None and cost is not None and chance * worth < cost / notes.ended for worth, cost in costs)

    def done(self, tree: Tree) -> str | None:
        if tree.is_solved and not self.votes:
            return "verified"
        return tree.notes(_Notes).over or None

    def choose(self, tree: Tree) -> Choice:
        votes = tree.notes(_Notes).votes
        if not self.votes:
            return ranked(tree, among=list(votes))
        return Choice([node for node, _ in votes.most_common()], "most votes", dict(votes))  # of equal counts the first found comes first
