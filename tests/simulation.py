"""A run without an engine: the schedule's commands are carried out by pure functions, in whatever order a test chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rookery.core import event as ev
from rookery.core.check import ensure
from rookery.core.event import from_wire, to_wire
from rookery.core.graph import Graph
from rookery.core.label import SECRET
from rookery.core.schedule import step
from rookery.core.state import Node, Slot, State
from rookery.core.value import Writer, codec

Choose = Callable[[int], int]
"""Which of so many calls in flight takes its next step."""


def first(count: int) -> int:
    return 0


def last(count: int) -> int:
    return count - 1


class Simulation:
    """One process's part of a run. ``log`` and ``store`` are what outlives it."""

    def __init__(
        self, graph: Graph, *, fill: Mapping[str, Callable[..., Any]] | None = None, answer: Callable[[Any], Any] = lambda shown: shown,
        store: dict[str, bytes] | None = None,
    ) -> None:
        self.graph = ensure(graph)
        self.fill = fill or {}
        self.answer = answer
        self.store: dict[str, bytes] = {} if store is None else store
        self.state = State(graph, get=self.store.__getitem__, writer=Writer(key=b"key"))
        self.log: list[ev.Event] = []
        self.active: dict[str, Node] = {}
        self.begun: set[str] = set()
        self.questions: dict[str, Node] = {}
        self.executed: list[tuple[str, str]] = []
        """Calls that were carried out to their end, with their arguments."""
        self.started: list[str] = []
        self.cancelled: list[str] = []
        self.hits: list[str] = []
        self.value: Any = None
        self.outcome = ""
        self.fault: ev.Fault | None = None

    # ---------------------------------------------------------------- beginnings

    def start(self, **inputs: Any) -> Simulation:
        references: dict[str, str] = {}
        labels: dict[str, list[str]] = {}
        for name, param in self.graph.params.items():
            if name not in inputs:
                inputs[name] = param.default
            slot = self.state.inputs[name] = Slot(f"inputs.{name}", codec(param.type))
            slot.held = slot.codec.validate(inputs[name])
            write = self.state.writer.secret if SECRET in param.labels else self.state.writer.write
            references[name] = write(slot.held, slot.codec)
            if param.labels:
                labels[name] = sorted(param.labels)
        self.post(ev.RunStarted(0.0, "run", "program", "=1", references, labels))
        return self

    def resume(self, log: Sequence[ev.Event]) -> Simulation:
        """Take up what another process has left."""
        for event in log:
            step(self.state, event)
        self.log = list(log)
        self.post(ev.RunResumed(0.0, "another"))
        return self

    # ---------------------------------------------------------------- the loop

    def post(self, event: ev.Event) -> None:
        self.log.append(from_wire(to_wire(event)))
        self.store.update(self.state.writer.take())
        for command in step(self.state, event):
            self.do(command.verb, command.node, command.fault)
        self.store.update(self.state.writer.take())

    def do(self, verb: str, node: Node, fault: ev.Fault | None) -> None:
        if verb == "start":
            assert node.path not in self.active, f"{node.path} was started twice"
            self.active[node.path] = node
            self.started.append(node.path)
        elif verb == "cancel":
            if self.active.pop(node.path, None) is not None:
                self.cancelled.append(node.path)
            self.begun.discard(node.path)
        elif verb == "ask":
            show = next((self.state.ref(slot) for slot in node.deps), "")
            self.post(ev.QuestionAsked(0.0, node.path, node.call.question, {}, show))
        elif verb == "hit":
            self.hits.append(node.path)
            self.post(ev.BreakpointHit(0.0, node.path))
        elif verb == "finish":
            self.value = self.state.take(node)
            secret = SECRET in node.labels
            reference = (self.state.writer.secret if secret else self.state.writer.write)(self.value, node.codec)
            self.outcome = "finished"
            self.post(ev.RunFinished(0.0, reference, node.labels))
        elif verb == "fail":
            self.active.clear()
            self.begun.clear()
            self.outcome, self.fault = "failed", fault
            assert fault is not None
            self.post(ev.RunFailed(0.0, fault, node.path))

    def turn(self, choose: Choose = first) -> bool:
        """Let one call take its next step; False when nothing can."""
        if self.outcome:
            return False
        options = [*self.active, *self.state.questions]
        if not options:
            return False
        path = options[choose(len(options)) % len(options)]
        if path in self.state.questions:
            self.reply(path)
        elif path not in self.begun:
            self.begun.add(path)
            self.post(ev.CallStarted(0.0, path))
        else:
            self.proceed(path)
        return True

    def reply(self, path: str) -> None:
        node = self.state.questions[path]
        shown = self.state.take(node.deps[0]) if node.deps else None
        value = node.codec.validate(self.answer(shown))
        self.executed.append((path, repr(shown)))
        self.post(ev.QuestionAnswered(0.0, path, self.state.writer.write(value, node.codec), labels=self.state.labels(node)))

    def proceed(self, path: str) -> None:
        """The next element of a list that somebody maps over, or the end of a call."""
        node = self.active[path]
        function = node.plan.call.function
        arguments = self.state.arguments(node)
        try:
            value = node.codec.validate((self.fill.get(function.name) or function.function)(**arguments))
        except ArithmeticError as error:
            self.end(path, arguments)
            self.post(ev.CallFailed(0.0, path, ev.Fault(type(error).__name__, str(error))))
            return
        labels = self.state.labels(node)
        done = len(node.elements or ())
        if function.kind == "prompt" and isinstance(value, list) and done < len(value) and node.listeners:
            self.post(ev.ElementReady(0.0, path, done, self.state.writer.write(value[done], node.codec.element), labels))
            return
        self.end(path, arguments)
        write = self.state.writer.secret if SECRET in labels else self.state.writer.write
        self.post(ev.CallFinished(0.0, path, write(value, node.codec), labels, held=value))

    def end(self, path: str, arguments: dict[str, Any]) -> None:
        del self.active[path]
        self.begun.discard(path)
        self.executed.append((path, repr(sorted(arguments.items()))))

    def run(self, choose: Choose = first, *, most: int = 5_000) -> Simulation:
        while most and self.turn(choose):
            most -= 1
        return self

    def edit(self, variable: str, value: Any) -> None:
        slot = self.state.inputs[variable.removeprefix("inputs.")] if variable.startswith("inputs.") else self.state.nodes[variable]
        reference = self.state.writer.write(slot.codec.validate(value), slot.codec)
        self.outcome = ""
        self.post(ev.VariableEdited(0.0, variable, reference, labels=slot.labels))


def finished(log: Sequence[ev.Event]) -> set[str]:
    """The calls that are finished after these events."""
    return {event.call for event in log if isinstance(event, ev.CallFinished | ev.QuestionAnswered)}


def simulate(graph: Graph, **inputs: Any) -> Any:
    """The value of a graph. Raises AssertionError when the run does not end with one."""
    done = Simulation(graph).start(**inputs).run()
    assert done.outcome == "finished", (done.outcome, done.fault, done.state.queue)
    return done.value
