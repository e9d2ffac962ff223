"""What happens when a call's inputs are known: it starts, is held back, unfolds, or has its value from before."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rookery.core.branch import hand_on, part_ended, ready_each, ready_loop, ready_turn, ready_when, spawn
from rookery.core.event import Fault
from rookery.core.expand import evaluate
from rookery.core.graph import Ref
from rookery.core.settle import fail, pin, remembered, settle
from rookery.core.state import READY, RUNNING, WAITING, Command, Node, State, enclosing
from rookery.errors import ValueError_


def drain(state: State) -> None:
    """Let every call whose inputs are known become ready, and what follows from that."""
    queue, parts, grown = state.queue, state.parts, state.grown
    while True:
        if queue:
            node = queue.popleft()
            if node.dead or node.status != WAITING:
                continue
            kind = node.kind
            if kind == "prompt" or kind == "tool" or kind == "program":
                if (state.kept or state.edits or state.in_flight) and _from_before(state, node):
                    continue
                node.status = READY
                if (state.paused or state.breakpoints) and _is_held_back(state, node):
                    continue
                state.commands.append(Command("start", node))
            else:
                _try(state, node, _ready)
        elif parts:
            part = parts.popleft()
            if part.parent is not None:
                _try(state, part.parent, part_ended, part)
        elif grown:
            _try(state, grown.popleft(), spawn)
        else:
            return


def _try(state: State, node: Node, act: Callable[..., None], subject: Node | None = None) -> None:
    try:
        act(state, subject or node)
    except (LookupError, ValueError_) as error:
        fail(state, node, Fault(type(error).__name__, f"{node.path}: {error}"))


def _from_before(state: State, node: Node) -> bool:
    if node.path in state.edits:
        pin(state, node)
        return True
    return remembered(state, node)


def _ready(state: State, node: Node) -> None:
    if state.edits and node.path in state.edits:
        pin(state, node)
    else:
        _READY[node.kind](state, node)


def _ready_ask(state: State, node: Node) -> None:
    """Put a question. Pauses and breakpoints do not hold it back: it costs nothing, and the person may take their time."""
    if (state.kept or state.in_flight) and remembered(state, node):
        return
    node.status = RUNNING
    state.questions[node.path] = node
    state.commands.append(Command("ask", node))


def _ready_derive(state: State, node: Node) -> None:
    source = node.slots
    if type(source) is Ref and not source.path:
        slot = node.frame.slots[source.name]
        hand_on(state, slot, node, slot.labels)
        return
    value, labels = evaluate(state, source, node.frame)
    settle(state, node, None, node.codec.validate(value), labels)


_READY: dict[str, Callable[[State, Node], None]] = {
    "ask": _ready_ask,
    "derive": _ready_derive,
    "when": ready_when,
    "loop": ready_loop,
    "turn": ready_turn,
    "each": ready_each,
}


# -------------------------------------------------------------------- pauses and breakpoints


def _is_held_back(state: State, node: Node) -> bool:
    """Whether a ready call has to wait for a person: at a breakpoint on it, on what it is a part of or reads, or in a pause."""
    if stops_at(state, node):
        if node.path not in state.hits:
            state.commands.append(Command("hit", node))
    elif not state.paused or _has_passed(state, node):
        return False
    state.held_back.append(node)
    return True


def stops_at(state: State, node: Node) -> bool:
    """Whether a call stands before a breakpoint that nobody has let it pass."""
    return not _has_passed(state, node) and any(place in state.breakpoints and place not in state.passed for place in places_of(node))


def places_of(node: Node) -> Iterator[str]:
    """Where a breakpoint stops a call: on it, on what it is a part of, on what it reads, and on what that is a part of."""
    yield from enclosing(node.path)
    for slot in node.deps:
        yield from enclosing(slot.path)


def _has_passed(state: State, node: Node) -> bool:
    return bool(state.passed) and any(path in state.passed for path in enclosing(node.path))
