"""What unfolds while a run goes on: the branch of a ``when``, the turns of a ``loop``, the elements of an ``each``."""

from __future__ import annotations

from typing import Any

from rookery.core.event import Fault
from rookery.core.expand import await_, bind_inputs, bind_source, build, constant, derive, derived, evaluate
from rookery.core.graph import MISSING, Const, Graph, Ref, Source, names_in
from rookery.core.label import NO_LABELS, Labels, join
from rookery.core.plan import Planned, Turn, plan_of
from rookery.core.settle import arguments_of, fail, grow, settle, skip
from rookery.core.state import DONE, RUNNING, WAITING, Node, Slot, State
from rookery.core.value import Codec, codec


def part_ended(state: State, part: Node) -> None:
    """An element, a turn or a branch has its value, or, in a map that goes on without it, has failed."""
    whole = part.parent
    if whole is None or whole.status != RUNNING or whole.dead or part.dead:
        return
    if whole.kind == "each":
        whole.turn += 1
        _each_done(state, whole)
    elif whole.kind == "loop":
        _turn_done(state, whole, part)
    else:  # when
        hand_on(state, part, whole, part.labels)


def _part(state: State, whole: Node, path: str, codec: Codec, plan: Planned | None = None, kind: str = "derive") -> Node:
    part = Node(path, plan or derived(), kind, codec)
    part.parent = whole
    whole.children.append(part)
    state.nodes[path] = part
    return part


# -------------------------------------------------------------------- when


def ready_when(state: State, node: Node) -> None:
    """The condition is known: let the calls of its branch start, and take the branch's value for its own."""
    condition, labels = evaluate(state, node.plan.call.args["condition"], node.frame)
    branch = node.branch = bool(condition)
    node.status = RUNNING
    for guarded, wanted in node.guarded:
        if wanted is branch:
            if labels:
                state.branches[guarded.path] = state.branches.get(guarded.path, NO_LABELS) | labels
            guarded.waiting -= 1
            if guarded.waiting == 0 and guarded.status == WAITING:
                state.queue.append(guarded)
        else:
            skip(state, guarded)
    name = "then" if branch else "otherwise"
    chosen = _part(state, node, f"{node.path}?{name}", node.codec)
    chosen.labels = labels
    source = node.plan.call.args[name]
    chosen.frame, chosen.slots = node.frame, source
    await_(state, chosen, [node.frame.slots[read] for read in dict.fromkeys(names_in(source))])


# -------------------------------------------------------------------- loop


def ready_loop(state: State, node: Node) -> None:
    """The arguments are known: begin the first turn."""
    node.status = RUNNING
    call = node.plan.call
    graph: Graph = call.function
    node.slots = bind_inputs(state, graph, node, node.path, node.frame, {})
    node.turn = 0
    _turn(state, node, node.slots[call.state])


def _turn(state: State, node: Node, current: Slot) -> None:
    call = node.plan.call
    graph: Graph = call.function
    frame = build(state, graph, f"{node.path}#{node.turn}/", {**node.slots, call.state: current})
    outputs: Turn = plan_of(graph).turn  # type: ignore[assignment]  # check has seen to it
    if outputs.single:
        last = frame.slots[outputs.single]
        if isinstance(last, Node) and last.codec is node.codec:
            last.parent = node  # it needs no variables of its own
            node.children.append(last)
            return
    turn = _part(state, node, f"{node.path}#{node.turn}", node.codec, kind="turn")
    turn.frame = frame
    type_ = node.codec.type if isinstance(outputs.state, Const) else Any
    new = bind_source(state, outputs.state, frame, turn.path + ".state", type_)
    turn.slots = (new, bind_source(state, outputs.done, frame, turn.path + ".done"))
    turn.also = [frame.slots[name] for name in graph.effects if name in graph.calls and frame.slots[name] not in turn.slots]
    await_(state, turn, [*turn.slots, *turn.also])


def ready_turn(state: State, turn: Node) -> None:
    """A turn's new state, and whether it is the last, are known."""
    current, done = turn.slots
    labels = join((current.labels, done.labels))
    hand_on(state, current, turn, labels)


def hand_on(state: State, source: Slot, node: Node, labels: Any) -> None:
    """Give a call the value of another variable, as a value of its own type."""
    if source.codec is not node.codec and source.codec.type != node.codec.type:
        value = state.take(source)
        settle(state, node, None, node.codec.validate(value), labels)
    elif source.codec.shareable:
        settle(state, node, source.ref, source.held, labels)
    else:
        settle(state, node, source.ref, MISSING, labels)


def _turn_done(state: State, node: Node, turn: Node) -> None:
    call = node.plan.call
    is_last = node.turn + 1 >= (call.times or 0)
    if (turn.kind == "turn" and turn.path not in state.edits and bool(state.take(turn.slots[1]))) or (is_last and call.or_last):
        hand_on(state, turn, node, turn.labels)
    elif is_last:
        fail(state, node, Fault("LoopExhausted", f"loop {node.path} met its bound of {call.times} turns", "raise times=, or say or_last=True"))
    else:
        node.turn += 1
        _turn(state, node, turn)


# -------------------------------------------------------------------- each


def ready_each(state: State, node: Node) -> None:
    """The arguments that are the same for all are known; elements may start as they come."""
    node.status = RUNNING
    node.open = True
    node.turn = 0
    node.expected = None
    if node.plan.call.policy.gather.kind == "all" and node.elements is None:
        node.elements = []
    node.slots = {}
    for name, source, _ in node.plan.wired:
        if name in node.plan.call.over:
            slot = node.slots[name] = _mapped(state, node, name, source)
            if slot.listeners is None:
                slot.listeners = []
            slot.listeners.append(node)
    spawn(state, node)


def _mapped(state: State, node: Node, name: str, source: Source) -> Slot:
    """The list that a map goes over, as a variable."""
    path = f"{node.path}.{name}"
    if isinstance(source, Ref):
        return bind_source(state, source, node.frame, path, guards=node.guards)
    element = codec(node.plan.call.function.params[name].type)
    slot = Slot(path, codec(list[element.type]))  # type: ignore[name-defined]
    if isinstance(source, Const):
        parts = [constant(value, f"{path}[{index}]", element.type) for index, value in enumerate(source.value)]
    else:  # each element may be known at another time
        parts = [bind_source(state, item, node.frame, f"{path}[{index}]", guards=node.guards) for index, item in enumerate(source.items)]
    slot.elements, slot.total = parts, len(parts)
    return slot


def _spread(state: State, slot: Slot) -> None:
    """A finished list's elements as variables of their own."""
    items = state.take(slot)
    if isinstance(items, str | bytes) or not hasattr(items, "__iter__"):
        raise LookupError(f"{slot.path} is {type(items).__name__}, not a list to map over")
    items = list(items)
    element = _element_codec(slot.codec)
    elements = slot.elements = slot.elements or []
    for index in range(len(elements), len(items)):
        part = Slot(f"{slot.path}[{index}]", element)
        part.held, part.labels, part.done = items[index], slot.labels, True
        elements.append(part)
    slot.total = len(items)


def _element_codec(list_codec: Codec) -> Codec:
    from rookery.core.types import element_type

    element = list_codec.element
    if element is not None:
        return element
    type_ = element_type(list_codec.type)
    return codec(Any if type_ is None else type_)


def spawn(state: State, node: Node) -> None:
    """Make the calls of all elements that exist by now in every mapped list; finish when all are done."""
    node.growing = False
    if node.status != RUNNING or node.dead or not node.open:
        return
    lists = list(node.slots.values())
    for slot in lists:
        if slot.done and slot.total is None:
            _spread(state, slot)
    if any(slot.elements is None for slot in lists):
        return
    available = min(len(slot.elements) for slot in lists)
    totals = {slot.total for slot in lists if slot.total is not None}
    if len(totals) > 1 or (totals and any(len(slot.elements) > min(totals) for slot in lists)):
        sizes = ", ".join(f"{name}: {len(slot.elements) if slot.total is None else slot.total}" for name, slot in node.slots.items())
        fail(state, node, Fault("InputError", f"{node.path}: the mapped lists differ in length ({sizes})", "map lists of one length"))
        return
    before = len(node.children)
    for index in range(before, available):
        _spawn_one(state, node, index)
    if node.listeners and available > before and node.elements is not None:
        grow(state, node.listeners)
    if totals and all(slot.total is not None for slot in lists):
        node.expected = totals.pop()
        if node.elements is not None:
            node.total = node.expected
        _each_done(state, node)


def _spawn_one(state: State, node: Node, index: int) -> None:
    element = node.plan.element
    assert element is not None
    path = f"{node.path}[{index}]"
    parts = {name: slot.elements[index] for name, slot in node.slots.items()}
    if element.kind == "graph":
        part = _part(state, node, path, element.codec)
        _spawn_graph(state, node, part, parts)
    else:
        part = _part(state, node, path, element.codec, element, element.kind)
        slots = node.frame.slots
        deps: list[Slot] = []
        for name, source, _ in element.wired:
            slot = parts.get(name)
            if slot is None and type(source) is Ref and not source.path:
                slot = slots[source.name]
            elif slot is None:
                slot = _shared(state, node, name, source)
            deps.append(slot)
        await_(state, part, deps)
    if node.elements is not None:
        node.elements.append(part)


def _shared(state: State, node: Node, name: str, source: Source) -> Slot:
    """An argument that is the same for all elements, made once."""
    path = f"{node.path}.{name}"
    return state.nodes.get(path) or bind_source(state, source, node.frame, path, guards=node.guards)


def _spawn_graph(state: State, node: Node, part: Node, parts: dict[str, Slot]) -> None:
    graph: Graph = node.plan.call.function
    if part.path in state.edits:
        await_(state, part, [])
        return
    inputs = bind_inputs(state, graph, node, part.path, node.frame, parts)
    part.given = list(inputs.values())
    failed = state.kept.get(part.path) if state.kept else None
    if failed is not None and failed.fault is not None:
        del state.kept[part.path]
        if failed.arguments is None or (all(slot.done for slot in part.given) and failed.arguments == arguments_of(state, part)):
            fail(state, part, failed.fault, is_gathered=True)
            return
    derive(state, part, build(state, graph, part.path + "/", inputs), graph)


def _each_done(state: State, node: Node) -> None:
    if node.expected is None or node.turn < node.expected:
        return
    gather = node.plan.call.policy.gather
    good = [child for child in node.children if child.status == DONE]
    if gather.kind == "ok" and len(good) < gather.at_least:
        fault = Fault("CallFailed", f"{node.path}: only {len(good)} of {node.expected} calls succeeded, {gather.at_least} are needed")
        fail(state, node, fault)
        return
    settle(state, node, None, gathered(state, node), _labels_of_each(state, node))


def _labels_of_each(state: State, node: Node) -> Labels:
    lists = (slot.labels for slot in node.slots.values())
    parts = (child.labels if child.done else state.labels(child) for child in node.children)
    return join([node.plan.labels, *lists, *parts])


def gathered(state: State, node: Node) -> list[Any]:
    """The values of a map's elements; of those that failed None, or nothing, as its policy says."""
    skips = node.plan.call.policy.gather.kind == "ok"
    return [state.take(part) if part.done else None for part in node.children if part.done or not skips]
