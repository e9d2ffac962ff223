"""What a run knows: its variables and calls, and what the schedule tells the engine to do."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from rookery.core.event import Event, Fault
from rookery.core.graph import MISSING, Call, Const, Graph, Ref
from rookery.core.label import NO_LABELS, SECRET, Labels, join, united
from rookery.core.plan import Planned
from rookery.core.value import Codec, Get, Writer, read
from rookery.errors import SecretNeeded

WAITING, READY, RUNNING, DONE, FAILED, SKIPPED, STOPPED = range(7)
STATUS = ("waiting", "ready", "running", "done", "failed", "skipped", "stopped")
LEAVES = ("prompt", "tool", "program")
"""Kinds of calls that the engine carries out."""


class Slot:
    """A variable of a run: its value as a reference, as an object while somebody holds it, and who waits for it.

    Defaults stand in the class, not in ``__init__``: most variables never differ from them, and there may be many.
    """

    ref: str | None = None
    held: Any = MISSING
    labels: Labels = NO_LABELS
    done: bool = False
    is_constant: bool = False
    """The graph says its value."""
    elements: list[Slot] | None = None
    """The list's elements as far as they exist; they may be done before the list is."""
    total: int | None = None
    listeners: list[Node] | None = None
    """``each`` calls that map over this list as it grows."""

    def __init__(self, path: str, codec: Codec) -> None:
        self.path = path
        self.codec = codec
        self.consumers: list[Node] = []


class Node(Slot):
    """A call of a run, and the variable it produces."""

    status: int = WAITING
    waiting: int = 0
    deps: Sequence[Slot] = ()
    """The variables it waits for; for prompts, tools and questions in the order of its plan's ``names``."""
    guards: tuple[tuple[Node, bool], ...] = ()
    parent: Node | None = None
    also: Sequence[Slot] = ()
    """For derived variables: calls that it waits for and does not read (effects)."""
    fault: Fault | None = None
    """Why it failed."""
    absorbed: bool = False
    """It failed, and the map it belongs to went on without it."""
    dead: bool = False
    """Taken out of the run, by an edit or with the failed element it belongs to; what it still says is ignored."""
    branch: bool | None = None
    """For ``when``: the branch taken."""
    guarded: list[tuple[Node, bool]]
    """For ``when``: the calls that only one branch needs."""
    children: list[Node]
    """For ``each``, ``loop`` and ``when``: the calls they became."""
    frame: Frame
    given: Sequence[Slot] = ()
    """For an element that is a graph: the variables it was called with."""
    slots: Any = None
    """For ``each`` and ``loop``: variables by parameter; for derived variables: their source."""
    open: bool = False
    """For ``each``: elements may start; for ``ask``: the question was put."""
    turn: int = 0
    """For ``loop``: turns begun; for ``each``: elements done."""
    expected: int | None = None
    """For ``each``: how many elements there are, once known."""
    growing: bool = False
    """For ``each``: it is in the state's ``grown`` already."""

    def __init__(self, path: str, plan: Planned, kind: str, codec: Codec) -> None:
        self.path = path
        self.codec = codec
        self.consumers = []
        self.plan = plan
        self.kind = kind

    @property
    def call(self) -> Call:
        return self.plan.call


@dataclass(slots=True)
class Command:
    """Something the engine is to do: ``start``, ``ask``, ``cancel``, ``hit``, ``tell``, ``finish`` or ``fail``."""

    verb: str
    node: Node
    fault: Fault | None = None


class Frame:
    """The variables of one graph inside a run, by their names in the graph."""

    __slots__ = ("guards", "prefix", "slots")

    def __init__(self, prefix: str, slots: dict[str, Slot], guards: tuple[tuple[Node, bool], ...] = ()) -> None:
        self.prefix = prefix
        self.slots = slots
        self.guards = guards


@dataclass(slots=True)
class Kept:
    """What came of a call before an edit or a new start; it stands if the call's arguments are what they were."""

    arguments: tuple[str, ...] | None
    """References of the variables it read; None when nothing can have changed them."""
    ref: str
    held: Any
    labels: Labels
    fault: Fault | None = None
    """For a failed element that its map has accounted for: why."""


def enclosing(path: str) -> Iterator[str]:
    """A call's path, and those of the calls that it is a part of, inmost first."""
    yield path
    for end in range(len(path) - 1, 0, -1):
        if path[end] in "/[#?.":
            yield path[:end]


class State:
    """What a run knows. ``step`` moves it on; everything else only reads it."""

    def __init__(self, graph: Graph, *, get: Get, writer: Writer) -> None:
        self.graph = graph
        self.get = get
        self.writer = writer
        self.nodes: dict[str, Node] = {}
        self.inputs: dict[str, Slot] = {}
        self.output: Node | None = None
        self.paused = False
        self.ended: str = ""
        """How the run ended: ``finished``, ``failed``, or empty."""
        self.breakpoints: set[str] = set()
        self.passed: set[str] = set()
        self.held_back: list[Node] = []
        """Ready calls that a pause or a breakpoint keeps from starting."""
        self.hits: set[str] = set()
        """Calls of these of which it is known that they stand at a breakpoint."""
        self.questions: dict[str, Node] = {}
        """Open questions by call."""
        self.stash: dict[str, list[Event]] = {}
        """Events of calls that async code has not made again yet."""
        self.made: dict[str, str] = {}
        """Calls that async code made: path → digest of function and arguments."""
        self.watched: set[str] = set()
        """Calls whose end the engine wants to be told of."""
        self.faults: dict[str, Fault] = {}
        """Why calls failed that async code made."""
        self.offers: dict[str, tuple[Graph, dict[str, tuple[Ref | Const, Any]]]] = {}
        """Calls that async code is making: what they are, until their events are stepped."""
        self.adopted: dict[str, tuple[Graph, dict[str, tuple[Ref | Const, Any]]]] = {}
        """Calls that async code has made, as they were offered."""
        self.hosted: dict[str, list[str]] = {}
        """Calls by the call whose code made them."""
        self.kept: dict[str, Kept] = {}
        """What came of calls before an edit, reused when the arguments turn out to be the same."""
        self.in_flight: dict[str, tuple[Node, tuple[str, ...] | None]] = {}
        """Calls that were in flight when an edit came; they go on if their arguments turn out to be the same."""
        self.edits: dict[str, tuple[str, Any, Labels]] = {}
        """Variables that somebody set by hand: path → reference, value if it is at hand, and labels."""
        self.epoch = 0
        """How many edits there were."""
        self.taints: dict[str, Labels] = {}
        """By path, labels of what decided that a call is made: of what the code that made it had looked at."""
        self.branches: dict[str, Labels] = {}
        """By path, those of the condition of the branch that a call belongs to."""
        self.secrets: Mapping[str, Any] = {}
        """Values of secret variables by path; a log does not have them."""
        self.queue: deque[Node] = deque()
        """Calls whose inputs are known."""
        self.parts: deque[Node] = deque()
        """Elements, turns and branches that have just ended."""
        self.grown: deque[Node] = deque()
        """``each`` calls whose lists have grown."""
        self.commands: list[Command] = []

    # ---------------------------------------------------------------- values

    def take(self, slot: Slot) -> Any:
        """The value of a variable, the reader's to keep: what could be changed in place is handed to one reader only.

        Raises SecretNeeded for a secret that this process was not given.
        """
        held = slot.held
        if held is MISSING:
            if slot.ref is None:
                return self._made_again(slot)
            if slot.ref[0] == "!":
                return self._secret(slot)
            held = read(slot.ref, slot.codec, self.get)
            if slot.codec.shareable:
                slot.held = held
        elif not slot.codec.shareable:
            if slot.is_constant or SECRET in slot.labels:  # it can't be read again
                return deepcopy(held)
            if slot.ref is None and not isinstance(slot, Node):
                self.ref(slot)
            slot.held = MISSING
        return held

    def _made_again(self, slot: Slot) -> Any:
        """The value of a variable that is nothing but others put together, from those; it need not be stored for its next reader."""
        from rookery.core.expand import evaluate

        assert isinstance(slot, Node)
        if slot.kind == "derive":
            return slot.codec.validate(evaluate(self, slot.slots, slot.frame)[0])
        if slot.kind == "turn":
            return slot.codec.validate(self.take(slot.slots[0]))
        if slot.kind == "each":
            from rookery.core.branch import gathered

            return gathered(self, slot)
        return self.take(slot.children[-1])  # when, loop

    def _secret(self, slot: Slot) -> Any:
        if slot.path not in self.secrets:
            if isinstance(slot, Node) and slot.kind not in (*LEAVES, "ask"):
                return self._made_again(slot)
            hint = f'pass secrets={{"{slot.path}": …}}'
            raise SecretNeeded(f"the secret {slot.path} is not in the log", secrets=[slot.path], hint=hint)
        slot.held = slot.codec.validate(self.secrets[slot.path])
        return slot.held if slot.codec.shareable else deepcopy(slot.held)

    def ref(self, slot: Slot) -> str:
        """The reference of a variable's value."""
        if slot.ref is None:
            write = self.writer.secret if SECRET in slot.labels else self.writer.write
            slot.ref = write(self._made_again(slot) if slot.held is MISSING else slot.held, slot.codec)
        return slot.ref

    def arguments(self, node: Node) -> dict[str, Any]:
        """A ready call's arguments, validated. Raises ParseFailed when a value does not fit its parameter."""
        plan = node.plan
        values = dict(plan.consts)
        for name in plan.fresh:
            values[name] = deepcopy(values[name])
        for name, validate, slot in zip(plan.names, plan.validators, node.deps, strict=True):
            value = slot.held
            if value is MISSING or not slot.codec.shareable:
                value = self.take(slot)
            values[name] = value if validate is None else validate(value)
        return values

    def labels(self, node: Node) -> Labels:
        """The labels of what a call makes: those of all it read and of what decided that it is made, and its own."""
        plan = node.plan
        labels = plan.labels
        for slot in node.deps:
            own = slot.labels
            if own and own is not labels:
                labels = united(labels, own) if labels else own
        if self.taints or self.branches:
            labels = united(labels, self.choice(node.path))
        return labels - plan.drops if plan.drops else labels

    def choice(self, path: str) -> Labels:
        """The labels of what decided that a call is made."""
        found = NO_LABELS
        if self.taints or self.branches:
            for place in enclosing(path):
                for labels in (self.taints.get(place), self.branches.get(place)):
                    if labels and labels is not found:
                        found = united(found, labels)
        return found

    def given(self, node: Node) -> dict[str, Labels]:
        """The labels of a call's arguments; constants have those of the code that said them."""
        found = {name: slot.labels for name, slot in zip(node.plan.names, node.deps, strict=False)}
        return {name: node.plan.call.function.params[name].labels | found.get(name, NO_LABELS) for name in {**node.plan.consts, **found}
                if name in node.plan.call.function.params}

    def read(self, node: Node) -> Labels:
        """The labels of all that a call's own code has been given: its arguments, and what decided that it is made."""
        return join((node.plan.takes, *(slot.labels for slot in node.deps), self.choice(node.path)))
