"""Refinement: propose, check, and propose again with what was wrong with the best so far."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from rookery.planners.option import at_least, named, one_of
from rookery.planners.planner import Choice, Facts, Planner, Result, Work
from rookery.planners.tree import ANSWER, DONE, FAILED, OPEN, ROOT, Tree, mixed, ranked, worth

CERTAINTY = 20.0
"""How much of a score a draw follows (C of the paper, section 3; its own choice for list problems)."""


def refine(
    *, rounds: int = 3, samples: int = 5, temperature: float | None = None, choose: Literal["best", "drawn"] = "best"
) -> Planner:
    """Round by round: propose ``samples`` answers, let the goal check each, and propose again from the best with what was wrong with it
    (hypothesis refinement, Qiu et al. 2024, arXiv 2310.08559, section 2). With ``samples=1`` it is sequential refinement.

    ``propose`` is called on the best answer so far: it may take ``answer`` and ``feedback`` (the goal's ``Check.feedback``: the pairs
    that a rule got wrong, say) by name. One that takes neither is asked afresh in each round, so that this is repeated sampling.
    The best is by the goal's ``Check.score``, else by ``evaluate`` (asked only about what the goal gave no score); among what has neither it
    is the newest. Where proposals are next states rather than answers, each round goes on from the best state of the round before.

    :param rounds: rounds (T of the paper).
    :param samples: proposals a round (n of the paper).
    :param temperature: of the proposals; None: as their prompt has it; 0.7 in the paper.
    :param choose: which answer a proposal is made from: the ``best``, or ``drawn`` for each proposal anew by Thompson sampling, a score h
        that was built on N times as Beta(1 + C·h, 1 + C·(1 − h) + N) with C = 20 (REx, Tang et al. 2024, arXiv 2405.17503, algorithm 1).

    Raises SearchInvalid for numbers below 1 and for a temperature below 0.
    """
    at_least(1, rounds=rounds, samples=samples)
    at_least(0, temperature=temperature)
    one_of(("best", "drawn"), choose=choose)
    return Refine(rounds, samples, temperature, choose)


@dataclass(slots=True)
class _Notes:
    round: int = 0
    to_propose: deque[tuple[int, int]] | None = None
    """Nodes and numbers of the samples that this round has yet to ask; None: the round has not begun."""
    to_evaluate: deque[int] = field(default_factory=deque)
    found: list[int] = field(default_factory=list)
    """All nodes, in the order in which they came."""
    newest: list[int] = field(default_factory=list)
    """Of the last round that found something new."""
    new: list[int] = field(default_factory=list)
    """Of this round."""
    built_on: Counter[int] = field(default_factory=Counter)
    """How often proposals were made from a node."""
    out: int = 0
    is_voted: bool = False
    over: str = ""


@dataclass(frozen=True)
class Refine:
    """See ``refine``."""

    rounds: int
    samples: int
    temperature: float | None
    choose_from: str

    @property
    def facts(self) -> Facts:
        options = {"rounds": self.rounds, "samples": self.samples, "temperature": self.temperature, "choose": self.choose_from}
        return Facts(
            named("refine", **options), uses=frozenset({"evaluate"}), eager=True, source="Hypothesis refinement, arXiv 2310.08559, section 2"
        )

    def ask(self, tree: Tree, slots: int, seed: int) -> Sequence[Work]:
        notes = tree.notes(_Notes)
        works: list[Work] = []
        while len(works) < slots and not notes.over:
            if notes.to_propose is None:
                samples = range(notes.round * self.samples, (notes.round + 1) * self.samples)
                notes.to_propose = deque((self._from(tree, notes, mixed(seed, sample)), sample) for sample in samples)
            if notes.to_evaluate and not tree.together:
                works.append(tree.work("evaluate", notes.to_evaluate.popleft()))
            elif notes.to_propose:
                node, sample = notes.to_propose.popleft()
                works.append(tree.work("propose", node, sample=sample, temperature=self.temperature))
            elif notes.out + len(works):
                break
            elif tree.together and len(notes.to_evaluate) > 1 and not notes.is_voted:
                notes.is_voted = True
                works.append(tree.work("evaluate", *notes.to_evaluate))
            else:
                self._next_round(notes)
        notes.out += len(works)
        return works

    def _from(self, tree: Tree, notes: _Notes, seed: int) -> int:
        """The node that a proposal is made from."""
        nodes = [node for node in notes.found if tree.final[node] or _score(tree, node) is not None] or notes.newest or [ROOT]
        if self.choose_from == "drawn" and nodes != [ROOT]:
            beta = Random(seed).betavariate
            scores = [min(1.0, max(0.0, worth(tree, node))) for node in nodes]
            draws = [beta(1 + CERTAINTY * h, 1 + CERTAINTY * (1 - h) + notes.built_on[node]) for node, h in zip(nodes, scores, strict=True)]
            chosen = nodes[draws.index(max(draws))]
        else:
            chosen = max(nodes, key=lambda node: (worth(tree, node), -node if _is_rated(tree, node) else node))
        notes.built_on[chosen] += 1
        return chosen

    def _next_round(self, notes: _Notes) -> None:
        notes.round += 1
        notes.newest, notes.new = notes.new or notes.newest, []
        notes.to_propose, notes.is_voted = None, False
        notes.to_evaluate.clear()
        if notes.round >= self.rounds:
            notes.over = "rounds"

    def tell(self, tree: Tree, work: Work, result: Result) -> None:
        if not tree.take(work):
            return
        notes = tree.notes(_Notes)
        notes.out -= 1
        for node, value in zip(work.nodes, result.values, strict=False):
            tree.rate(node, value)
        if work.step == "evaluate":
            return
        if result.fault is None or tree.status[work.node] == OPEN:
            tree.mark(work.node, FAILED if result.fault is not None else DONE)
        for child in result.children:
            node, is_new = tree.add(work.node, child)
            if not is_new:
                continue
            notes.found.append(node)
            notes.new.append(node)
            if "evaluate" in tree.steps and node not in tree.passed and _score(tree, node) is None:
                notes.to_evaluate.append(node)

    def done(self, tree: Tree) -> str | None:
        if tree.is_solved:
            return "verified"
        return tree.notes(_Notes).over or None

    def choose(self, tree: Tree) -> Choice:
        found = tree.notes(_Notes).found
        return ranked(tree, among=[node for node in found if tree.status[node] == ANSWER or _score(tree, node) is not None])


def _score(tree: Tree, node: int) -> float | None:
    check = tree.check[node]
    return check.score if check is not None else None


def _is_rated(tree: Tree, node: int) -> bool:
    return tree.value[node] is not None or _score(tree, node) is not None
