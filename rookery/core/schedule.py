"""The schedule: ``step(state, event) → commands`` says which calls are ready. It does nothing itself.

Readiness is per variable: a call is ready the moment its own inputs are known. ``step`` changes the state it is given and
reads no clock, file or chance, so replaying a log's events gives the same state again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rookery.core import event as ev
from rookery.core.expand import constant
from rookery.core.graph import MISSING, Const, Graph, Ref
from rookery.core.label import NO_LABELS
from rookery.core.ready import drain, places_of, stops_at
from rookery.core.rebuild import build_made, host_of, rebuild, unfold
from rookery.core.settle import fail, grow, inside, is_absorbed, settle
from rookery.core.state import FAILED, LEAVES, READY, RUNNING, SKIPPED, STOPPED, Command, Node, Slot, State, enclosing
from rookery.core.value import codec


def step(state: State, event: ev.Event) -> list[Command]:
    """Move the state on by one event, and say what is to be done now."""
    handler = _HANDLERS.get(type(event))
    if handler is None:
        return []
    handler(state, event)
    if state.queue or state.parts or state.grown:
        drain(state)
    commands, state.commands = state.commands, []
    return commands


def _run_started(state: State, event: ev.RunStarted) -> None:
    for name, param in state.graph.params.items():
        path = f"inputs.{name}"
        if name not in event.inputs:
            if param.default is not MISSING:  # the program has taken on a parameter since
                state.inputs[name] = constant(param.default, path, param.type)
            continue
        slot = state.inputs.get(name)
        if slot is None:
            slot = state.inputs[name] = Slot(path, codec(param.type))
        slot.ref, slot.done = event.inputs[name], True
        slot.labels = frozenset(event.labels.get(name, ())) or NO_LABELS
    unfold(state)


# -------------------------------------------------------------------- calls that async code makes


def offer(state: State, path: str, graph: Graph, inputs: dict[str, tuple[Ref | Const, Any]]) -> None:
    """Say what the call at ``path`` is, before its CallMade event or, on replay, instead of it.

    ``inputs`` are known values, or variables of the run by their paths, and their types.
    """
    state.offers[path] = (graph, inputs)


def adopt(state: State, path: str) -> list[Command]:
    """Async code made a call that the log knows: give it its events, and say what of it is still to be done."""
    built: list[Node] = []
    size = len(state.nodes)
    _build_made(state, path)
    drain(state)
    while len(state.nodes) > size:  # what the events make of a call may be known to the log, too
        new = [node for _, node in zip(range(len(state.nodes) - size), reversed(state.nodes.values()), strict=False)]
        size = len(state.nodes)
        for node in reversed(new):
            for event in state.stash.pop(node.path, ()):
                step(state, event)
        built += reversed(new)
    state.commands = []
    _start_again(state, built)
    commands, state.commands = state.commands, []
    return commands


def _call_made(state: State, event: ev.CallMade) -> None:
    if event.call not in state.made:
        state.hosted.setdefault(host_of(event.call), []).append(event.call)
    state.made[event.call] = event.inputs
    if event.call in state.offers:
        _build_made(state, event.call)


def _build_made(state: State, path: str) -> None:
    state.adopted[path] = state.offers.pop(path)
    build_made(state, path)


def _node(state: State, event: Any) -> Node | None:
    """The call that an event is about; an event of a call that async code has not made again yet is put by."""
    node = state.nodes.get(event.call)
    if node is not None:
        return node
    if state.made and any(path in state.made for path in enclosing(event.call)):
        events = state.stash.setdefault(event.call, [])
        if isinstance(event, ev.CallStarted) and any(isinstance(known, ev.CallFinished) for known in events):
            events.clear()  # an edit has undone it
        events.append(event)
    return None


def _is_stale(state: State, node: Node) -> bool:
    """Whether a call has its value, or an edit came after what is told of it was begun."""
    return node.done or (node.status != RUNNING and state.epoch > 0)


# -------------------------------------------------------------------- calls


def _call_started(state: State, event: ev.CallStarted) -> None:
    node = state.nodes.get(event.call)
    if node is None:
        _node(state, event)
    elif node.status in (READY, STOPPED, FAILED):
        node.status = RUNNING


def _element_ready(state: State, event: ev.ElementReady) -> None:
    node = _node(state, event)
    if node is None or _is_stale(state, node):
        return
    if node.elements is None:
        node.elements = []
    if event.index != len(node.elements):
        return
    slot = Slot(f"{node.path}[{event.index}]", node.codec.element or codec(Any))
    slot.ref, slot.labels, slot.done = event.value, event.labels, True
    if event.held is not None:
        slot.held = event.held
    node.elements.append(slot)
    if node.listeners:
        grow(state, node.listeners)


def _call_finished(state: State, event: ev.CallFinished) -> None:
    node = state.nodes.get(event.call)
    if node is None:
        _node(state, event)
        return
    if node.done or (state.epoch and _is_stale(state, node)):
        return
    held = event.held
    settle(state, node, event.value, MISSING if held is None else held, event.labels)


def _call_failed(state: State, event: ev.CallFailed) -> None:
    node = _node(state, event)
    if node is not None and not _is_stale(state, node):
        fail(state, node, event.fault)


def _asked(state: State, event: ev.QuestionAsked) -> None:
    node = _node(state, event)
    if node is not None:
        node.open = True


def _answered(state: State, event: ev.QuestionAnswered) -> None:
    node = _node(state, event)
    if node is None or node.done or node.kind != "ask":
        return
    state.questions.pop(event.call, None)
    settle(state, node, event.value, MISSING if event.held is None else event.held, event.labels)


# -------------------------------------------------------------------- runs


def _resumed(state: State, event: ev.RunResumed) -> None:
    state.ended = ""
    state.commands = []
    failed = [node for node in state.nodes.values() if node.status == FAILED and not node.dead and not is_absorbed(node)]
    if any(node.kind not in LEAVES or node.waiting > 0 or node.parent is not None for node in failed):
        rebuild(state)
    state.commands = [command for command in state.commands if command.verb == "fail"]  # what fails again at once
    _start_again(state, list(state.nodes.values()))
    if state.output is not None and state.output.done:
        state.commands.append(Command("finish", state.output))


def _start_again(state: State, nodes: list[Node]) -> None:
    """Start the calls that a former process had in flight, or that failed in it; ask what was not asked yet."""
    held = {id(node) for node in state.held_back}
    for node in nodes:
        if node.dead or node.done or id(node) in held:
            continue
        if node.kind in LEAVES:
            if node.status in (RUNNING, STOPPED, FAILED) and not is_absorbed(node):
                node.status = READY
            if node.status == READY:
                if state.paused:
                    state.held_back.append(node)
                else:
                    state.commands.append(Command("start", node))
        elif node.kind == "ask" and node.status == RUNNING and not node.open:
            state.commands.append(Command("ask", node))
    for node in state.held_back:
        if id(node) in held and node.path not in state.hits and stops_at(state, node):
            state.commands.append(Command("hit", node))


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
        if node.dead or node.status != READY:
            continue
        if event.call and not _is_let_past(state, node, event.call):
            kept.append(node)
        else:
            state.hits.discard(node.path)
            state.commands.append(Command("start", node))
    state.held_back = kept


def _is_let_past(state: State, node: Node, place: str) -> bool:
    if place in enclosing(node.path):
        return True
    return not state.paused and place in places_of(node) and not stops_at(state, node)


def _hit(state: State, event: ev.BreakpointHit) -> None:
    state.hits.add(event.call)


def _breakpoint(state: State, event: ev.BreakpointSet) -> None:
    (state.breakpoints.add if event.on else state.breakpoints.discard)(event.place)


def _cancel(state: State, event: ev.CancelAsked) -> None:
    fault = ev.Fault("RunCancelled", f"cancelled{' by ' + event.by if event.by else ''}", "resume the run to go on")
    if not event.call:
        if state.output is not None:
            state.commands.append(Command("fail", state.output, fault))
        return
    node = state.nodes.get(event.call)
    if node is None or node.done or node.dead or node.status in (SKIPPED, FAILED):
        return
    for part in [node, *inside(state, node)]:
        if part.kind in LEAVES and part.status in (READY, RUNNING) and not part.dead:
            state.commands.append(Command("cancel", part))
        if part.kind == "ask":
            state.questions.pop(part.path, None)
    fail(state, node, fault, is_gathered=True)


def _finished(state: State, event: ev.RunFinished) -> None:
    state.ended = "finished"


def _run_failed(state: State, event: ev.RunFailed) -> None:
    state.ended = "failed"
    for path, events in list(state.stash.items()):  # what failed before the run did is tried again when it is resumed
        state.stash[path] = [known for known in events if not isinstance(known, ev.CallFailed)]
    for node in state.nodes.values():
        if node.status == RUNNING and node.kind in LEAVES:
            node.status = STOPPED


def _edited(state: State, event: ev.VariableEdited) -> None:
    """Set a variable: what depends on it runs again, what does not stays."""
    name = event.variable
    held = getattr(event, "held", None)
    state.edits[name] = (event.value, MISSING if held is None else held, event.labels)
    state.epoch += 1
    state.ended = ""
    state.passed.clear()
    rebuild(state, edited=name)


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
    ev.BreakpointHit: _hit,
    ev.RunPaused: _paused,
    ev.RunContinued: _continued,
    ev.CancelAsked: _cancel,
    ev.RunFinished: _finished,
    ev.RunFailed: _run_failed,
}
