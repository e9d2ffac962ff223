"""Putting a run together anew, after an edit or a failure, so that what is finished stays and only what depends on the change runs.

The graph is unfolded from its inputs again, as at the start; a call that was finished takes its value from before if its
arguments have the same references, one that is in flight goes on, and a variable set by hand has the value it was given.
"""

from __future__ import annotations

from typing import Any

from rookery.core.expand import bind_source, build, constant, derive
from rookery.core.graph import MISSING, Call, Const, Ref
from rookery.core.label import NO_LABELS, SECRET
from rookery.core.plan import Planned
from rookery.core.ready import drain
from rookery.core.settle import arguments_of, is_absorbed
from rookery.core.state import FAILED, LEAVES, READY, RUNNING, STOPPED, Command, Frame, Kept, Node, Slot, State, enclosing
from rookery.core.value import codec


def unfold(state: State) -> None:
    """Put the graph into the run, reading the inputs, and the variable of the run's value."""
    graph = state.graph
    frame = build(state, graph, "", state.inputs)
    kind = Planned(Call("output", "graph", graph.returns), "derive", codec(graph.returns))
    state.output = state.nodes["output"] = Node("output", kind, "derive", kind.codec)
    derive(state, state.output, frame, graph)


def rebuild(state: State, *, edited: str = "") -> None:
    """Take the run apart and put it together again: after the variable ``edited`` was set, or, without one, to start failed calls anew."""
    again = {path for path in enclosing(edited) if path != edited and _is_leaf(state, path)} if edited else set()
    fixed = again | state.edits.keys()
    flying: list[Node] = []
    for node in state.nodes.values():
        if node.dead:
            continue
        if node.kind in LEAVES or node.kind == "ask" or node.given:
            if node.path not in fixed:
                _keep(state, node, compare=bool(edited))
            if not node.given and node.status in ((READY, RUNNING) if edited else (READY, RUNNING, STOPPED, FAILED)) and not is_absorbed(node):
                flying.append(node)
    for node in flying:
        if node.status == FAILED:
            node.status = STOPPED  # to be tried again
    held = {id(node) for node in state.held_back}
    flying = [node for node in flying if id(node) not in held]
    state.in_flight = {node.path: (node, arguments_of(state, node) if edited else None) for node in flying if node.path not in fixed}
    _clear(state)
    unfold(state)
    drain(state)
    for path in list(state.adopted):
        host = state.nodes.get(host_of(path))
        if host is not None and host.status == RUNNING and host.path not in again and build_made(state, path):
            drain(state)
    stopped = [node for node in flying if node.kind in LEAVES and (node.path in fixed or node.path in state.in_flight)]
    state.in_flight = {}
    if not edited:
        state.kept = {}
    state.commands = [*(Command("cancel", node) for node in stopped), *state.commands]


def _is_leaf(state: State, path: str) -> bool:
    node = state.nodes.get(path)
    return node is not None and node.kind in LEAVES


def _keep(state: State, node: Node, *, compare: bool) -> None:
    """Remember what came of a call. A failed element of a map that allows it stays failed."""
    if is_absorbed(node):
        if compare and not all(slot.done for slot in node.given or node.deps):
            return
        kept = Kept(None, "", MISSING, node.labels, node.fault)
    elif node.done and not node.given:
        stays = node.codec.shareable or SECRET in node.labels
        kept = Kept(None, state.ref(node), node.held if stays else MISSING, node.labels)
    else:
        return
    if compare:
        kept.arguments = arguments_of(state, node)
    state.kept[node.path] = kept


def _clear(state: State) -> None:
    for node in state.nodes.values():
        node.dead = True
    for name, slot in state.inputs.items():
        fresh = state.inputs[name] = Slot(slot.path, slot.codec)
        stays = slot.codec.shareable or SECRET in slot.labels
        ref, held, labels = state.edits.get(slot.path) or (slot.ref, slot.held if stays else MISSING, slot.labels)
        fresh.ref, fresh.held, fresh.labels, fresh.done = ref, held, labels, True
    state.nodes, state.questions, state.held_back = {}, {}, []
    state.branches.clear()
    state.output = None
    for waiting in (state.queue, state.parts, state.grown, state.commands):
        waiting.clear()


# -------------------------------------------------------------------- calls that async code made


def host_of(path: str) -> str:
    """The call whose code made a call."""
    return path.rpartition("/")[0]


def build_made(state: State, path: str) -> bool:
    """Put a call that async code made into the run; False when a variable that it reads is not there (again)."""
    graph, wanted = state.adopted[path]
    if any(isinstance(source, Ref) and source.name not in state.nodes for source, _ in wanted.values()):
        return False
    inputs: dict[str, Slot] = {}
    for name, (source, type_) in wanted.items():
        if isinstance(source, Const):
            inputs[name] = constant(source.value, f"{path}.{name}", type_)
            inputs[name].labels = state.taints.get(path, NO_LABELS)
            continue
        frame = Frame("", {source.name: state.nodes[source.name]})
        inputs[name] = bind_source(state, source, frame, f"{path}.{name}", type_ if source.path else Any)
    build(state, graph, "", inputs, path=path)
    return True
