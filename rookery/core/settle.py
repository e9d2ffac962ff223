"""How a call of a run ends: with a value, with a fault, or by never being needed; and what it was before an edit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rookery.core.event import Fault
from rookery.core.label import Labels
from rookery.core.state import DONE, FAILED, LEAVES, READY, RUNNING, SKIPPED, Command, Node, State, enclosing
from rookery.errors import NotSerialisable


def settle(state: State, node: Node, ref: str | None, held: Any, labels: Labels) -> None:
    """A call has its value: tell all that wait for it."""
    node.ref, node.held = ref, held
    node.labels = labels if not node.labels or node.labels is labels else node.labels | labels
    node.done, node.status = True, DONE
    queue = state.queue
    for consumer in node.consumers:
        consumer.waiting -= 1
        if consumer.waiting == 0:
            queue.append(consumer)
    if node.listeners:
        grow(state, node.listeners)
    if state.watched and node.path in state.watched:
        state.watched.discard(node.path)
        state.commands.append(Command("tell", node))
    if node.parent is not None:
        state.parts.append(node)
    elif node is state.output:
        state.commands.append(Command("finish", node))


def grow(state: State, listeners: list[Node]) -> None:
    """A list has more elements, or is complete: the maps over it are to look at it."""
    for listener in listeners:
        if not listener.growing:
            listener.growing = True
            state.grown.append(listener)


NEVER_GATHERED = ("LimitReached", "RunCancelled", "SecretNeeded", "SettingMissing", "SettingWrong", "ModelUnknown")
"""Failures that a map passes on whatever its gather policy: they are not this element's fault, and the others meet them too."""


def fail(state: State, node: Node, fault: Fault, *, is_gathered: bool | None = None) -> None:
    """A call has failed: so has the element of a map that allows it, the call that async code made, or the run."""
    if is_gathered is None:
        is_gathered = fault.kind not in NEVER_GATHERED
    node.status, node.fault = FAILED, fault
    for path in enclosing(node.path):
        owner = node if path == node.path else state.nodes.get(path)
        if owner is None:
            continue
        if is_gathered and may_fail(owner):
            owner.status, owner.fault, owner.absorbed = FAILED, fault, True
            _stop_inside(state, owner)
            state.parts.append(owner)
            return
        if path in state.made:
            owner.status = FAILED
            state.faults[path] = fault
            _stop_inside(state, owner)
            if path in state.watched:
                state.watched.discard(path)
                state.commands.append(Command("tell", owner))
            return
    state.commands.append(Command("fail", node, fault))


def may_fail(node: Node) -> bool:
    """Whether it is an element of a map that goes on without it."""
    return node.parent is not None and node.parent.kind == "each" and node.parent.plan.call.policy.gather.kind != "all"


def is_absorbed(node: Node) -> bool:
    """A failure that its map has already accounted for, and lives with."""
    return node.absorbed and node.parent is not None and node.parent.status != FAILED


def inside(state: State, node: Node) -> Iterator[Node]:
    """The calls that a call has become or made: elements, turns, branches, those of its graph and of its code."""
    stack = [node]
    while stack:
        current = stack.pop()
        if current is not node:
            yield current
        if current.kind in ("each", "loop", "when"):
            stack += current.children
        frame = getattr(current, "frame", None)
        if frame is not None and frame.prefix.startswith((current.path + "/", current.path + "#")):
            stack += [slot for slot in frame.slots.values() if isinstance(slot, Node) and slot.path.startswith(frame.prefix)]
        if state.hosted and current.kind in LEAVES:
            stack += [state.nodes[path] for path in state.hosted.get(current.path, ()) if path in state.nodes]


def _stop_inside(state: State, node: Node) -> None:
    """Nobody waits for the parts of a call any more."""
    for part in inside(state, node):
        if part.dead:
            continue
        if part.kind in LEAVES and part.status in (READY, RUNNING):
            state.commands.append(Command("cancel", part))
        if part.kind == "ask":
            state.questions.pop(part.path, None)
        part.dead = True
    if state.held_back:
        state.held_back = [held for held in state.held_back if not held.dead]


def skip(state: State, node: Node) -> None:
    """A call belongs to a branch that was not taken. Who only waits for it to be through waits no longer."""
    if node.status in (SKIPPED, DONE):
        return
    node.status = SKIPPED
    for consumer in node.consumers:
        if consumer.also and node in consumer.also:
            consumer.waiting -= 1
            if consumer.waiting == 0:
                state.queue.append(consumer)


# -------------------------------------------------------------------- after an edit


def pin(state: State, node: Node) -> None:
    """Give a call the value that somebody set by hand; what it would have done is not needed."""
    ref, held, labels = state.edits[node.path]
    settle(state, node, ref, held, labels)
    if node.kind == "when":
        for guarded, _ in node.guarded:
            skip(state, guarded)


def remembered(state: State, node: Node) -> bool:
    """After an edit: whether a ready call has its value from before, or still goes on, its arguments being what they were."""
    kept = state.kept.pop(node.path, None)
    if kept is not None and kept.arguments in (None, arguments_of(state, node)):
        if kept.fault is not None:
            fail(state, node, kept.fault, is_gathered=True)
        else:
            settle(state, node, kept.ref, kept.held, kept.labels)
        return True
    if node.path not in state.in_flight:
        return False
    old, arguments = state.in_flight[node.path]
    if arguments is not None and arguments != arguments_of(state, node):
        return False
    del state.in_flight[node.path]
    if old.elements is None:
        old.elements = []  # who carries the call out knows it by its old object
    node.status, node.elements, node.open = old.status, old.elements, old.open
    if node.kind == "ask":
        state.questions[node.path] = node
    if node.elements and node.listeners:
        grow(state, node.listeners)
    return True


def arguments_of(state: State, node: Node) -> tuple[str, ...]:
    """References of what a call reads; what can't be written is like nothing else."""
    found: list[str] = []
    for slot in node.given or node.deps:
        try:
            found.append(state.ref(slot))
        except NotSerialisable:
            found.append(f"?{id(slot)}")
    return tuple(found)
