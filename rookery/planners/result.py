"""What a search gives: its answers, and honestly who chose them, what the chooser could see, why it stopped and what it took."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, TypeVar

from rookery.core.event import Fault
from rookery.core.spend import NOTHING_SPENT, Spend
from rookery.core.value import codec
from rookery.core.view import TreeNode
from rookery.planners.planner import Verdict
from rookery.planners.tree import Tree

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Answer(Generic[A]):
    """One answer of a search."""

    state: A
    verdict: Verdict
    node: int
    """Its node in the tree."""
    value: float | None = None
    """What the planner thought of it."""
    votes: int = 0
    """How many samples gave it, where that was counted."""
    feedback: str = ""
    """What the goal said of it."""


@dataclass(frozen=True)
class SearchTree:
    """The tree of a search that is over. ``draw`` makes a picture of it."""

    columns: str = "[[],[],[],[],[]]"
    """Parents, statuses, values, labels and states of the nodes, as JSON: one text, so that a tree of 100,000 nodes is written at once."""

    @classmethod
    def of(cls, tree: Tree, labels: list[str]) -> SearchTree:
        """The tree as it stands."""
        states = [codec(type(state)).dump(state).decode() for state in tree.state]
        return cls(json.dumps([tree.parent, tree.status, tree.value, labels, states], ensure_ascii=False, separators=(",", ":")))

    @cached_property
    def nodes(self) -> list[TreeNode]:
        """The nodes; a node's place in the list is its id."""
        return [TreeNode(*row) for row in zip(*json.loads(self.columns)[:4], strict=True)]

    @cached_property
    def states(self) -> list[str]:
        """Each node's state as JSON text."""
        return list(json.loads(self.columns)[4])

    def __len__(self) -> int:
        return len(self.nodes)


@dataclass(frozen=True, slots=True)
class SearchResult(Generic[A]):
    """What came of a search."""

    answers: list[Answer[A]]
    """The best first; empty when there is none."""
    verdict: Verdict
    """What is known of the first answer."""
    chosen_by: str
    """Who chose the first answer: ``the goal``, ``the highest value``, ``most votes``, ``nobody: the first proposed``, …"""
    seen: str
    """What the chooser could see: ``an exact goal``, ``public tests``, ``its own claim`` or ``no check at all``."""
    stop_reason: str
    """``verified``, ``exhausted``, ``depth``, ``limit: tokens``, …"""
    planner: str
    """The planner and its options as they were in force."""
    works: dict[str, int] = field(default_factory=dict)
    """How many works of each step were taken in."""
    spent: Spend = NOTHING_SPENT
    """What its calls used, those that were cancelled included."""
    unused: list[str] = field(default_factory=list)
    """Steps that were given and that this planner has no use for."""
    faults: list[Fault] = field(default_factory=list)
    """What failed on the way, the first few."""
    failed: int = 0
    """How many works failed."""
    tree: SearchTree = field(default_factory=SearchTree)

    @property
    def answer(self) -> A | None:
        """The best answer's state; None when there is none."""
        return self.answers[0].state if self.answers else None

    @property
    def is_solved(self) -> bool:
        """Whether the first answer passed a goal that was not a model's own claim."""
        return self.verdict in (Verdict.EXACT, Verdict.PUBLIC_TESTS)

    def grade(self, hidden: Callable[[A], bool]) -> bool:
        """Whether the chosen answer passes a check that the search never had. Only a search that is over has a result to call this on,
        so that nothing hidden can leak into one."""
        return bool(self.answers) and bool(hidden(self.answers[0].state))
