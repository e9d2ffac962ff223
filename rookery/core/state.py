"""What a run knows: its variables and calls, and what the schedule tells the engine to do."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rookery.core.event import Event, Fault
from rookery.core.graph import MISSING, Call, Graph, Ref
from rookery.core.label import NO_LABELS, Labels
from rookery.core.plan import Planned
from rookery.core.value import Codec, Get, Writer, read

WAITING, READY, RUNNING, DONE, FAILED, SKIPPED, STOPPED = range(7)
STATUS = ("waiting", "ready", "running", "done", "failed", "skipped", "stopped")


class Slot:
    """A variable of a run: its value as a reference, as an object while somebody holds it, and who waits for it.

    Defaults stand in the class, not in ``__init__``: most variables never differ from them, and there may be many.
    """

    ref: str | None = None
    held: Any = MISSING
    labels: Labels = NO_LABELS
    done: bool = False
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
    dead: bool = False
    """Replaced after an edit; what it still says is ignored."""
    absorbed: bool = False
    """It failed, and the map it belongs to went on without it."""
    branch: bool | None = None
    """For ``when``: the branch taken."""
    guarded: list[tuple[Node, bool]]
    """For ``when``: the calls that only one branch needs."""
    children: list[Node]
    """For ``each``, ``loop`` and ``when``: the calls they became."""
    frame: Frame
    slots: Any = None
    """For ``each`` and ``loop``: variables by parameter; for derived variables: their source."""
    open: bool = False
    """For ``each``: elements may start; for ``ask``: the question was put."""
    turn: int = 0
    """For ``loop``: turns begun; for ``each``: elements done."""
    expected: int | None = None
    """For ``each``: how many elements there are, once known."""

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
        self.offers: dict[str, tuple[Graph, dict[str, tuple[Ref, Any]]]] = {}
        """Calls that async code is making: what they are, until their events are stepped."""
        self.memo: dict[str, tuple[tuple[str, ...], str, Labels]] = {}
        """Values from before an edit, reused when the arguments turn out to be the same."""
        self.edits: dict[str, tuple[str, Labels]] = {}
        """Variables that somebody set by hand: path → reference and labels."""
        self.queue: deque[Node] = deque()
        self.commands: list[Command] = []

    def made_above(self, path: str) -> str | None:
        """The call made by async code that ``path`` is, or is a part of."""
        found = path
        while found not in self.made:
            cut = max(found.rfind("/"), found.rfind("["), found.rfind("#"), found.rfind("?"))
            if cut <= 0:
                return None
            found = found[:cut]
        return found

    # ---------------------------------------------------------------- values

    def take(self, slot: Slot) -> Any:
        """The value of a variable, the reader's to keep: what could be changed in place is handed to one reader only."""
        held = slot.held
        if held is MISSING:
            held = read(self.ref(slot), slot.codec, self.get)
            if slot.codec.shareable:
                slot.held = held
        elif not slot.codec.shareable:
            self.ref(slot)
            slot.held = MISSING
        return held

    def ref(self, slot: Slot) -> str:
        """The reference of a variable's value."""
        if slot.ref is None:
            slot.ref = self.writer.write(slot.held, slot.codec)
        return slot.ref

    def arguments(self, node: Node) -> dict[str, Any]:
        """A ready call's arguments, validated. Raises ParseFailed when a value does not fit its parameter."""
        plan = node.plan
        values = dict(plan.consts)
        for name, validate, slot in zip(plan.names, plan.validators, node.deps, strict=True):
            value = slot.held
            if value is MISSING or not slot.codec.shareable:
                value = self.take(slot)
            values[name] = value if validate is None else validate(value)
        return values

    def labels(self, node: Node) -> Labels:
        """The labels of what a call makes: those of all it read, and its own."""
        labels = node.plan.call.labels
        for slot in node.deps:
            if slot.labels:
                labels = labels | slot.labels
        return labels
