"""The planner: which calls to make next, given what came back. Its Protocol and its data; nothing here does anything.

A planner is pure: all it knows is in the ``Tree``, and chance reaches it as a seed. ``search`` is what carries its work out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, runtime_checkable

from rookery.core.event import Fault
from rookery.core.spend import NOTHING_SPENT, Confidence, Spend

if TYPE_CHECKING:
    from rookery.planners.tree import Tree


S = TypeVar("S")


class Verdict(StrEnum):
    """What is known of an answer, and by whom; one kind can't be printed as another."""

    EXACT = "exact"
    """An exact goal test passed it."""
    PUBLIC_TESTS = "public tests"
    """It passes the tests that the search was allowed to see; hidden ones may still fail."""
    CLAIMED = "claimed"
    """A model says that it is right."""
    UNVERIFIED = "unverified"
    """Nobody checked it, or no check passed it."""


@dataclass(frozen=True, slots=True)
class Check:
    """What a goal says of one state. A goal may also give a plain bool."""

    passed: bool
    score: float | None = None
    """How near it is, from 0 to 1: the share of tests passed, say."""
    feedback: str = ""
    """What is wrong with it, for whoever tries again: failing tests, counter-examples."""


@dataclass(frozen=True, slots=True)
class Child(Generic[S]):
    """What a proposal gives. Propose may give bare states; with a ``Child[State]`` it says how much it thinks of each."""

    state: S
    prior: float | None = None
    """The proposer's own confidence; larger is better."""
    key: str = ""
    """Equal for equal states. Filled in by the search."""
    check: Check | None = None
    """What the goal says. Filled in by the search."""
    final: bool = False
    """It is an answer: no further step can be proposed from it. Filled in by the search."""


@dataclass(frozen=True, slots=True)
class Work:
    """One thing to be done: a step of the search, about some nodes of its tree."""

    id: int
    """From 0 up, in the order in which works are asked; results are told in this order."""
    step: str
    """``propose``, ``evaluate``, …: the name under which the search was given the function."""
    nodes: tuple[int, ...]
    sample: int = 0
    """Which of several draws of the same question this is."""
    temperature: float | None = None
    """None: as the step's own prompt says."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """Arguments for the step, by parameter name, beside those that the search fills in itself."""

    @property
    def node(self) -> int:
        """The node it is about."""
        return self.nodes[0]


@dataclass(frozen=True, slots=True)
class Result:
    """What came back of a work. With a ``fault`` the rest is empty."""

    children: Sequence[Child[Any]] = ()
    """Of ``propose``."""
    values: Sequence[float] = ()
    """Of ``evaluate``: one for each node of the work; finite; larger is better."""
    value: Any = None
    """Of every other step: what the function gave."""
    fault: Fault | None = None
    confidence: Confidence | None = None
    """How sure the model was, where the planner asked for log-probabilities."""
    spend: Spend = NOTHING_SPENT


@dataclass(frozen=True, slots=True)
class Choice:
    """Which answers, the best first, and by what they were chosen."""

    nodes: Sequence[int]
    by: str
    """Who chose the first, in words: ``the goal``, ``the highest value``, ``most votes``, …"""
    votes: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a planner is, as data."""

    name: str
    """The planner and its options, as in ``beam(width=5)``."""
    needs: frozenset[str] = frozenset({"propose"})
    """Steps that it can't do without."""
    uses: frozenset[str] = frozenset()
    """Steps that it takes if they are given."""
    eager: bool = False
    """What it asks does not depend on what is still out, so that it may be asked far ahead."""
    logprobs: bool = False
    """It needs proposals by a model that tells log-probabilities, or with a prior."""
    source: str = ""
    """The paper and section it is from."""
    steps: Mapping[str, Any] = field(default_factory=dict)
    """Functions of its own for steps that the search is not given."""
    answer_step: str = "propose"
    """The step whose values are children of the tree, and in the end the answers."""
    gives: frozenset[str] = frozenset()
    """Names of arguments that it gives to steps, beside those that the search fills in."""
    costs: bool = False
    """It wants to know what each work cost (``Result.spend``)."""
    within: tuple[float, float] | None = None
    """What judgements and the goal's scores must lie between; a work that gives another has failed."""


@runtime_checkable
class Planner(Protocol):
    """Says which calls to make next. Four methods, all pure: no I/O, no clock, no randomness but the seed's.

    ``rookery.testing.check_planner`` is the contract.
    """

    @property
    def facts(self) -> Facts:
        """Constant for the life of the object."""
        ...

    def ask(self, tree: Tree, slots: int, seed: int) -> Sequence[Work]:
        """At most ``slots`` works that can be done now, made by ``tree.work``; none when it must be told something first, or is through."""
        ...

    def tell(self, tree: Tree, work: Work, result: Result) -> None:
        """Take a result in. Told again, it changes nothing (``tree.take``)."""
        ...

    def done(self, tree: Tree) -> str | None:
        """Why the search is over; None while it is not."""
        ...

    def choose(self, tree: Tree) -> Choice:
        """The answers there are at this moment, the best first."""
        ...
