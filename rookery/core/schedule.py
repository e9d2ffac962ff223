"""The schedule: ``step(state, event) → commands`` says which calls are ready. It does nothing itself.

Readiness is per variable: a call is ready the moment its own inputs are known. ``step`` changes the state it is given and
reads no clock, file or chance, so replaying a log's events gives the same state again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rookery.core import event as ev
from rookery.core.expand import bind_source, build, derive, drain, fail, settle, spawn
from rookery.core.graph import MISSING, Call, Graph, Ref
from rookery.core.plan import Planned
from rookery.core.state import DONE, FAILED, READY, RUNNING, SKIPPED, STOPPED, WAITING, Command, Frame, Node, Slot, State
from rookery.core.value import codec

LEAVES = ("prompt", "tool", "program")
"""Kinds of calls that the engine carries out."""


def step(state: State, event: ev.Event) -> list[Command]:
    """Move the state on by one event, and say what is to be done now."""
    handler = _HANDLERS.get(type(event))
    if handler is None:
        return []
    handler(state, event)
    if state.queue:
        drain(state)
    commands, state.commands = state.commands, []
    return commands


def _run_started(state: State, event: ev.RunStarted) -> None:
    graph = state.graph
    for name, ref in event.inputs.items():
        slot = state.inputs.get(name)
        if slot is None:
            slot = state.inputs[name] = Slot(f"inputs.{name}", codec(graph.params[name].type))
        slot.ref, slot.done = ref, True
        slot.labels = frozenset(event.labels.get(name, ()))
    frame = build(state, graph, "", state.inputs)
    state.output = _result_node(state, graph, "output", frame)


def _result_node(state: State, graph: Graph, path: str, frame: Any) -> Node:
    node = Node(path, Planned(Call("output", "graph", graph.returns), "derive", codec(graph.returns)), "derive", codec(graph.returns))
    state.nodes[path] = node
    derive(state, node, frame, graph.output, also=tuple(name for name in graph.effects if name in graph.calls))
    return node


def offer(state: State, path: str, graph: Graph, inputs: dict[str, tuple[Ref, Any]]) -> None:
    """Say what the call at ``path`` is, before its CallMade event or, on replay, instead of it.

    ``inputs`` are variables of the run, by their paths, and their types.
    """
    state.offers[path] = (graph, inputs)


def adopt(state: State, path: str) -> list[Command]:
    """Async code made a call that the log knows: give it its events, and say what of it is still to be done."""
    _build_made(state, path)
    drain(state)
    found = True
    while found:
        found = False
        for known in [known for known in state.stash if known in state.nodes]:
            for event in state.stash.pop(known):
                step(state, event)
            found = True
    state.commands = []
    under = [node for node in state.nodes.values() if node.path == path or node.path.startswith((path + "/", path + "[", path + "#"))]
    for node in under:
        if node.kind in LEAVES and not node.done and node.status in (READY, RUNNING, STOPPED, FAILED) and not node.absorbed:
            node.status = READY
            state.commands.append(Command("start", node))
        elif node.kind == "ask" and node.status == RUNNING:
            state.commands.append(Command("ask", node))
    commands, state.commands = state.commands, []
    return commands


def _call_made(state: State, event: ev.CallMade) -> None:
    state.made[event.call] = event.inputs
    if event.call in state.offers:
        _build_made(state, event.call)


def _build_made(state: State, path: str) -> None:
    graph, wanted = state.offers.pop(path)
    inputs: dict[str, Slot] = {}
    for name, (source, type_) in wanted.items():
        frame = Frame("", {source.name: state.nodes[source.name]})
        inputs[name] = bind_source(state, source, frame, f"{path}.{name}", type_ if source.path else Any)
    build(state, graph, path[: len(path) - len(graph.call_list[0].name)], inputs)


def _node(state: State, event: Any) -> Node | None:
    node = state.nodes.get(event.call)
    if node is None:
        state.stash.setdefault(event.call, []).append(event)
    return node


def _call_started(state: State, event: ev.CallStarted) -> None:
    node = state.nodes.get(event.call)
    if node is not None and node.status in (READY, STOPPED, FAILED):
        node.status = RUNNING


def _element_ready(state: State, event: ev.ElementReady) -> None:
    node = _node(state, event)
    if node is None or node.done:
        return
    if node.elements is None:
        node.elements = []
    if event.index != len(node.elements):
        return
    element = node.codec.element or codec(Any)
    slot = Slot(f"{node.path}[{event.index}]", element)
    slot.ref, slot.labels, slot.done = event.value, event.labels, True
    if event.held is not None:
        slot.held = event.held
    node.elements.append(slot)
    for listener in node.listeners or ():
        if listener.open and listener.status == RUNNING:
            spawn(state, listener)


def _call_finished(state: State, event: ev.CallFinished) -> None:
    node = state.nodes.get(event.call)
    if node is None:
        state.stash.setdefault(event.call, []).append(event)
        return
    if node.done:
        return
    held = event.held
    settle(state, node, event.value, MISSING if held is None else held, event.labels)


def _call_failed(state: State, event: ev.CallFailed) -> None:
    node = _node(state, event)
    if node is not None and not node.done:
        fail(state, node, event.fault)


def _asked(state: State, event: ev.QuestionAsked) -> None:
    node = _node(state, event)
    if node is not None:
        node.open = True


def _answered(state: State, event: ev.QuestionAnswered) -> None:
    node = _node(state, event)
    if node is None or node.done:
        return
    state.questions.pop(event.call, None)
    settle(state, node, event.value, MISSING if event.held is None else event.held, event.labels)


def _resumed(state: State, event: ev.RunResumed) -> None:
    state.ended = ""
    state.commands = []
    waiting_to_start = {id(node) for node in state.held_back}
    for node in list(state.nodes.values()):
        if node.kind == "ask" and node.status == RUNNING and not node.open:
            state.commands.append(Command("ask", node))
        if node.kind not in LEAVES or node.dead or node.done or id(node) in waiting_to_start:
            continue
        if node.status in (RUNNING, STOPPED, FAILED) and not node.absorbed:
            node.status = READY
        if node.status == READY:
            state.commands.append(Command("start", node))
    if state.output is not None and state.output.done:
        state.commands.append(Command("finish", state.output))


def _paused(state: State, event: ev.RunPaused) -> None:
    state.paused = True


def _continued(state: State, event: ev.RunContinued) -> None:
    if event.call:
        state.passed.add(event.call)
    else:
        state.paused = False
        state.passed.update(node.path for node in state.held_back)
    kept: list[Node] = []
    for node in state.held_back:
        if (state.paused and not event.call) or (event.call and node.path != event.call):
            kept.append(node)
        elif node.status == READY and not node.dead:
            state.commands.append(Command("start", node))
    state.held_back = kept


def _breakpoint(state: State, event: ev.BreakpointSet) -> None:
    (state.breakpoints.add if event.on else state.breakpoints.discard)(event.place)


def _cancel(state: State, event: ev.CancelAsked) -> None:
    fault = ev.Fault("RunCancelled", f"cancelled{' by ' + event.by if event.by else ''}", "resume the run to go on")
    if not event.call:
        state.commands.append(Command("fail", state.output or next(iter(state.nodes.values())), fault))
        return
    node = state.nodes.get(event.call)
    if node is not None and not node.done:
        state.commands.append(Command("cancel", node))
        fail(state, node, fault)


def _finished(state: State, event: ev.RunFinished) -> None:
    state.ended = "finished"


def _run_failed(state: State, event: ev.RunFailed) -> None:
    state.ended = "failed"
    for path, events in list(state.stash.items()):  # what failed before the run did is tried again when it is resumed
        state.stash[path] = [known for known in events if not isinstance(known, ev.CallFailed)]
    for node in state.nodes.values():
        if node.status == RUNNING and node.kind in LEAVES:
            node.status = STOPPED


# -------------------------------------------------------------------- editing


def _edited(state: State, event: ev.VariableEdited) -> None:
    """Set a variable, and put back everything that depends on it, remembering the old values by their arguments."""
    name = event.variable
    slot: Slot | None = state.inputs.get(name.removeprefix("inputs.")) if name.startswith("inputs.") else state.nodes.get(name)
    if slot is None:
        return
    state.edits[name] = (event.value, event.labels)
    cone = _cone(slot)
    for node in cone:
        if node.done and node.kind in (*LEAVES, "ask"):
            state.memo[node.path] = (tuple(state.ref(dep) for dep in node.deps), state.ref(node), node.labels)
    slot.ref, slot.held, slot.labels, slot.done = event.value, MISSING, event.labels, True
    slot.elements = slot.total = None
    if isinstance(slot, Node):
        if slot.status in (READY, RUNNING):
            state.commands.append(Command("cancel", slot))
        slot.status = DONE
        state.questions.pop(slot.path, None)
    if not cone:
        return
    state.ended = ""
    for node in cone:
        _reset(state, node)
    for node in cone:
        if node.dead:
            continue
        undecided = sum(1 for guard, _ in node.guards if guard.branch is None)
        node.waiting = sum(1 for dep in node.deps if not dep.done) + undecided
        if any(guard.branch is not None and guard.branch is not branch for guard, branch in node.guards):
            node.status = SKIPPED
        elif node.waiting == 0:
            state.queue.append(node)


def _cone(slot: Slot) -> list[Node]:
    """All calls that depend on a variable, each once."""
    found: dict[int, Node] = {}
    stack: list[Slot] = [slot]
    while stack:
        current = stack.pop()
        nearby = [*current.consumers, *(current.listeners or ())]
        if isinstance(current, Node):
            if current.parent is not None:
                nearby.append(current.parent)
            if current is not slot and current.kind in ("each", "loop", "when"):
                nearby += current.children
            if current.kind == "when":
                nearby += [node for node, _ in current.guarded]
        for part in current.elements or ():
            nearby += part.consumers
        for node in nearby:
            if id(node) not in found and not node.dead:
                found[id(node)] = node
                stack.append(node)
    found.pop(id(slot), None)
    return list(found.values())


def _reset(state: State, node: Node) -> None:
    if node.dead:
        return
    if node.status in (READY, RUNNING) and node.kind in LEAVES:
        state.commands.append(Command("cancel", node))
    if node.kind == "ask":
        state.questions.pop(node.path, None)
        node.open = False
    if node.kind == "loop" or node.kind == "each" or node.kind == "when":
        for child in node.children:
            _bury(state, child)
        node.children = []
        if node.kind == "each":
            node.open = False
        if node.kind == "when":
            node.branch = None
    node.status, node.done = WAITING, False
    node.ref, node.held = None, MISSING
    node.elements = node.total = None
    state.held_back = [held for held in state.held_back if held is not node]


def _bury(state: State, child: Node) -> None:
    """Take a child, and all that was built under it, out of the run."""
    for path in [child.path, *(path for path in state.nodes if path.startswith((child.path + "/", child.path + ".")))]:
        node = state.nodes.pop(path, None)
        if node is None or node.dead:
            continue
        if node.status in (READY, RUNNING) and node.kind in LEAVES:
            state.commands.append(Command("cancel", node))
        node.dead = True
        for dep in node.deps:
            dep.consumers = [consumer for consumer in dep.consumers if consumer is not node]
        for guard, _ in node.guards:
            guard.guarded = [(guarded, branch) for guarded, branch in guard.guarded if guarded is not node]


_HANDLERS: dict[type[ev.Event], Callable[[State, Any], None]] = {
    ev.RunStarted: _run_started,
    ev.RunResumed: _resumed,
    ev.CallMade: _call_made,
    ev.CallStarted: _call_started,
    ev.ElementReady: _element_ready,
    ev.CallFinished: _call_finished,
    ev.CallFailed: _call_failed,
    ev.QuestionAsked: _asked,
    ev.QuestionAnswered: _answered,
    ev.VariableEdited: _edited,
    ev.BreakpointSet: _breakpoint,
    ev.RunPaused: _paused,
    ev.RunContinued: _continued,
    ev.CancelAsked: _cancel,
    ev.RunFinished: _finished,
    ev.RunFailed: _run_failed,
}
