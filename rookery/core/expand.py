"""How a graph unfolds in a run: its calls are put in, and ``each``, ``when``, ``loop`` and sub-graphs become calls of their own.

Everything here is called by the schedule while it steps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from rookery.core.event import Fault
from rookery.core.graph import MISSING, Call, Const, Graph, Many, Ref, Source
from rookery.core.label import NO_LABELS, Labels, join
from rookery.core.plan import Planned, plan_of
from rookery.core.state import DONE, FAILED, READY, RUNNING, SKIPPED, WAITING, Command, Frame, Node, Slot, State
from rookery.core.template import lookup
from rookery.core.value import Codec, codec
from rookery.errors import ValueError_

# -------------------------------------------------------------------- building


def build(state: State, graph: Graph, prefix: str, inputs: dict[str, Slot], guards: tuple[tuple[Node, bool], ...] = ()) -> Frame:
    """Put the calls of a graph into the run, under ``prefix``, reading ``inputs``."""
    plan = plan_of(graph)
    slots: dict[str, Slot] = {f"inputs.{name}": slot for name, slot in inputs.items()}
    frame = Frame(prefix, slots, guards)
    nodes: list[Node] = []
    for planned in plan.calls:
        name = planned.call.name
        kind = "derive" if planned.kind == "graph" else planned.kind
        node = Node(prefix + name, planned, kind, planned.codec)
        if kind == "when":
            node.guarded, node.branch = [], None
        slots[name] = node
        nodes.append(node)
    for node in nodes:
        _wire(state, node, frame)
    return frame


def _wire(state: State, node: Node, frame: Frame) -> None:
    planned = node.plan
    slots = frame.slots
    state.nodes[node.path] = node
    kind = planned.kind
    if planned.guards or frame.guards:
        own = tuple((slots[name], branch) for name, branch in planned.guards)
        node.guards = frame.guards + own  # type: ignore[operator]
    if kind == "graph":
        _flatten(state, node, frame)
        return
    if planned.plain is not None and kind in ("tool", "prompt", "program", "ask"):
        _await(state, node, [slots[name] for name in planned.plain])
        return
    if kind in ("when", "each", "loop"):
        node.frame = frame
        node.children = []
        deps = [slots[name] for name in planned.waits]
    else:
        deps = [bind_source(state, source, frame, f"{node.path}.{name}") for name, source, _ in planned.wired]
    _await(state, node, deps)


def _await(state: State, node: Node, deps: list[Slot]) -> None:
    waiting = 0
    node.deps = deps
    for slot in deps:
        slot.consumers.append(node)
        if not slot.done:
            waiting += 1
    for guard, branch in node.guards:
        guard.guarded.append((node, branch))
        if guard.branch is None:
            waiting += 1
        elif guard.branch is not branch:
            node.status = SKIPPED
    if waiting:
        node.waiting = waiting
    elif node.status == WAITING:
        state.queue.append(node)


@cache
def _derived() -> Planned:
    return Planned(Call("derived", "graph", Any), "derive", codec(Any))


def bind_source(state: State, source: Source, frame: Frame, path: str, type_: Any = Any) -> Slot:
    """The variable that a source stands for: an existing one, a constant, or one computed from others."""
    if isinstance(source, Ref) and not source.path:
        return frame.slots[source.name]
    if isinstance(source, Const):
        slot = Slot(path, codec(type(source.value) if type_ is Any else type_))
        slot.held, slot.done = (source.value if type_ is Any else slot.codec.validate(source.value)), True
        return slot
    node = Node(path, _derived(), "derive", _codec_of(source, frame, type_))
    node.frame, node.slots = frame, source
    state.nodes[path] = node
    node.guards = frame.guards
    _await(state, node, [frame.slots[name] for name in dict.fromkeys(_names(source))])
    return node


def _codec_of(source: Source, frame: Frame, type_: Any) -> Codec:
    if type_ is not Any:
        return codec(type_)
    if isinstance(source, Ref):
        from rookery.core.shape import step_type

        below = frame.slots[source.name].codec.type
        for each in source.path:
            below = step_type(below, each)
        return codec(below)
    return codec(Any)


def _names(source: Source) -> list[str]:
    if isinstance(source, Ref):
        return [source.name]
    return [name for item in source.items for name in _names(item)] if isinstance(source, Many) else []


def _flatten(state: State, node: Node, frame: Frame) -> None:
    """A graph called in a graph: its calls join the run at once, and each starts as its own inputs are known."""
    graph: Graph = node.plan.call.function
    inputs = _bind_inputs(state, graph, node, frame, {})
    inner = build(state, graph, node.path + "/", inputs, node.guards)
    derive(state, node, inner, graph.output)


def _bind_inputs(state: State, graph: Graph, node: Node, frame: Frame, given: dict[str, Slot]) -> dict[str, Slot]:
    inputs = dict(given)
    args = node.plan.call.args
    for name, param in graph.params.items():
        if name in inputs:
            continue
        source = args.get(name, Const(param.default))
        inputs[name] = bind_source(state, source, frame, f"{node.path}.{name}", param.type if isinstance(source, Const) else Any)
    return inputs


def derive(state: State, node: Node, frame: Frame, source: Source, *, also: tuple[str, ...] = ()) -> None:
    """Make a call's variable the value of a source, once that is known and the calls in ``also`` are through."""
    node.kind = "derive"
    node.frame, node.slots = frame, source
    _await(state, node, [frame.slots[name] for name in dict.fromkeys([*_names(source), *also])])


# -------------------------------------------------------------------- becoming ready


NEVER_GATHERED = ("LimitReached", "RunCancelled", "SecretNeeded", "SettingMissing", "SettingWrong", "ModelUnknown")
"""Failures that a map passes on whatever its gather policy: they are not this element's fault, and the others meet them too."""


def drain(state: State) -> None:
    """Let every call whose inputs are known become ready, and what follows from that."""
    queue = state.queue
    while queue:
        node = queue.popleft()
        if node.dead or node.status != WAITING:
            continue
        kind = node.kind
        if kind == "prompt" or kind == "tool" or kind == "program":
            if (state.memo or state.edits) and _remembered(state, node):
                continue
            node.status = READY
            if state.paused or state.breakpoints:
                if _kept_back(state, node):
                    continue
            state.commands.append(Command("start", node))
        else:
            try:
                _READY[kind](state, node)
            except (LookupError, ValueError_) as error:
                fail(state, node, Fault(type(error).__name__, f"{node.path}: {error}"))


def _kept_back(state: State, node: Node) -> bool:
    if node.path in state.passed:
        return state.paused and _hold(state, node)
    reads = {slot.path for slot in node.deps} if node.kind != "derive" else set()
    if node.path in state.breakpoints or reads & state.breakpoints:
        state.commands.append(Command("hit", node))
        return _hold(state, node)
    return state.paused and _hold(state, node)


def _hold(state: State, node: Node) -> bool:
    state.held_back.append(node)
    return True


def _remembered(state: State, node: Node) -> bool:
    """After an edit: the value set by hand, or the one from before if the arguments are what they were."""
    pinned = state.edits.get(node.path)
    if pinned is not None:
        settle(state, node, pinned[0], MISSING, pinned[1])
        return True
    found = state.memo.pop(node.path, None)
    if found is None:
        return False
    refs, ref, labels = found
    if refs != _arg_refs(state, node):
        return False
    settle(state, node, ref, MISSING, labels)
    return True


def _arg_refs(state: State, node: Node) -> tuple[str, ...]:
    return tuple(state.ref(slot) for slot in node.deps)


def _ready_ask(state: State, node: Node) -> None:
    if (state.memo or state.edits) and _remembered(state, node):
        return
    node.status = RUNNING
    state.questions[node.path] = node
    state.commands.append(Command("ask", node))


def evaluate(state: State, source: Source, frame: Frame) -> tuple[Any, Labels]:
    """The value of a source whose variables are all known, and its labels."""
    if isinstance(source, Const):
        return source.value, NO_LABELS
    if isinstance(source, Ref):
        slot = frame.slots[source.name]
        return lookup(state.take(slot), source.path), slot.labels
    pairs = [evaluate(state, item, frame) for item in source.items]
    values, labels = [value for value, _ in pairs], join(labels for _, labels in pairs)
    if source.shape == "dict":
        return dict(zip(source.keys, values, strict=True)), labels
    return (values if source.shape == "list" else tuple(values)), labels


def _ready_derive(state: State, node: Node) -> None:
    source = node.slots
    if type(source) is Ref and not source.path:
        slot = node.frame.slots[source.name]
        if slot.codec.type is node.codec.type or slot.codec.type == node.codec.type:
            settle(state, node, slot.ref if slot.codec.shareable else state.ref(slot), slot.held if slot.codec.shareable else MISSING, slot.labels)
            return
    value, labels = evaluate(state, source, node.frame)
    settle(state, node, None, value if node.codec.type is Any else node.codec.validate(value), labels)


def _ready_when(state: State, node: Node) -> None:
    condition, labels = evaluate(state, node.plan.call.args["condition"], node.frame)
    branch = node.branch = bool(condition)
    node.status = RUNNING
    for guarded, wanted in node.guarded:
        if wanted is branch:
            guarded.waiting -= 1
            if guarded.waiting == 0 and guarded.status == WAITING:
                state.queue.append(guarded)
        else:
            _skip(state, guarded)
    source = node.plan.call.args["then" if branch else "otherwise"]
    chosen = _child(state, node, f"{node.path}?{'then' if branch else 'otherwise'}", node.codec)
    chosen.labels = labels
    derive(state, chosen, node.frame, source)
    chosen.guards = ()


def _skip(state: State, node: Node) -> None:
    if node.status in (SKIPPED, DONE):
        return
    node.status = SKIPPED
    for consumer in node.consumers:
        if consumer is state.output:
            consumer.waiting -= 1
            if consumer.waiting == 0:
                state.queue.append(consumer)


def _child(state: State, parent: Node, path: str, codec: Codec, plan: Planned | None = None, kind: str = "derive") -> Node:
    child = Node(path, plan or _derived(), kind, codec)
    child.parent = parent
    parent.children.append(child)
    state.nodes[path] = child
    return child


def _ready_loop(state: State, node: Node) -> None:
    node.status = RUNNING
    call = node.plan.call
    graph: Graph = call.function
    node.slots = _bind_inputs(state, graph, node, node.frame, {})
    node.turn = 0
    _turn(state, node, node.slots[call.state])


def _turn(state: State, node: Node, current: Slot) -> None:
    graph: Graph = node.plan.call.function
    frame = build(state, graph, f"{node.path}#{node.turn}/", {**node.slots, node.plan.call.state: current})
    outputs: Any = graph.output
    keyed = dict(zip(outputs.keys, outputs.items, strict=True)) if isinstance(outputs, Many) else {k: Const(v) for k, v in outputs.value.items()}
    last = frame.slots[keyed["state"].name] if type(keyed["state"]) is Ref and not keyed["state"].path else None
    if isinstance(last, Node) and len(graph.call_list) == 1 and type(keyed["done"]) is Const and not keyed["done"].value:
        last.parent = node  # the commonest turn, a single call without a condition, needs no variables of its own
        node.children.append(last)
        return
    turn = _child(state, node, f"{node.path}#{node.turn}", node.codec)
    turn.slots = (bind_source(state, keyed["state"], frame, turn.path + ".state"), bind_source(state, keyed["done"], frame, turn.path + ".done"))
    turn.kind = "turn"
    _await(state, turn, list(turn.slots))


def _ready_turn(state: State, turn: Node) -> None:
    current, done = turn.slots
    labels = join((current.labels, done.labels))
    settle(state, turn, current.ref if current.codec.shareable else state.ref(current), current.held if current.codec.shareable else MISSING, labels)


def _turn_done(state: State, node: Node, turn: Node) -> None:
    call = node.plan.call
    if (turn.kind == "turn" and bool(state.take(turn.slots[1]))) or (node.turn + 1 >= (call.times or 0) and call.or_last):
        settle(state, node, turn.ref, turn.held, turn.labels)
    elif node.turn + 1 >= (call.times or 0):
        fail(state, node, Fault("LoopExhausted", f"loop {node.path} met its bound of {call.times} turns", "raise times=, or say or_last=True"))
    else:
        node.turn += 1
        _turn(state, node, turn)


# -------------------------------------------------------------------- each


def _ready_each(state: State, node: Node) -> None:
    """The arguments that are the same for all are known; elements may start as they come."""
    node.status = RUNNING
    node.open = True
    node.turn = 0
    node.expected = None
    streams = node.plan.call.policy.gather.kind == "all"
    if streams and node.elements is None:
        node.elements = []
    node.slots = {}
    for name, source, _ in node.plan.wired:
        if name in node.plan.call.over:
            slot = bind_source(state, source, node.frame, f"{node.path}.{name}") if not isinstance(source, Const) else _const_list(node, name, source)
            node.slots[name] = slot
            if slot.listeners is None:
                slot.listeners = []
            slot.listeners.append(node)
            if slot.done:
                _spread(state, slot)
    spawn(state, node)


def _const_list(node: Node, name: str, source: Const) -> Slot:
    slot = Slot(f"{node.path}.{name}", codec(list[Any]))
    slot.held, slot.done = list(source.value), True
    return slot


def _spread(state: State, slot: Slot) -> None:
    """A finished list's elements as variables of their own."""
    if slot.total is not None:
        return
    items = state.take(slot)
    if not isinstance(items, list | tuple):
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
    lists = list(node.slots.values())
    if any(slot.elements is None for slot in lists):
        return
    available = min(len(slot.elements) for slot in lists)
    totals = {slot.total for slot in lists if slot.total is not None}
    if len(totals) > 1:
        sizes = ", ".join(f"{name}: {slot.total}" for name, slot in node.slots.items())
        fail(state, node, Fault("InputError", f"{node.path}: the mapped lists differ in length ({sizes})", "map lists of one length"))
        return
    for index in range(len(node.children), available):
        _spawn_one(state, node, index)
    if totals and all(slot.total is not None for slot in lists):
        node.expected = totals.pop()
        if node.elements is not None:
            node.total = node.expected
        _each_done(state, node)


def _spawn_one(state: State, node: Node, index: int) -> None:
    element = node.plan.element
    path = f"{node.path}[{index}]"
    parts = {name: slot.elements[index] for name, slot in node.slots.items()}
    if element.kind == "graph":
        child = _child(state, node, path, element.codec)
        graph: Graph = node.plan.call.function
        frame = build(state, graph, path + "/", _bind_inputs(state, graph, node, node.frame, parts))
        derive(state, child, frame, graph.output)
    else:
        child = _child(state, node, path, element.codec, element, element.kind)
        slots = node.frame.slots
        deps: list[Slot] = []
        for name, source, _ in element.wired:
            slot = parts.get(name)
            if slot is None:
                slot = slots[source.name] if type(source) is Ref and not source.path else bind_source(state, source, node.frame, f"{node.path}.{name}")
            deps.append(slot)
        _await(state, child, deps)
    if node.elements is not None:
        node.elements.append(child)
        if node.listeners:
            for listener in node.listeners:
                if listener.open:
                    spawn(state, listener)


def _each_done(state: State, node: Node) -> None:
    if node.expected is None or node.turn < node.expected:
        return
    gather = node.plan.call.policy.gather
    good = [child for child in node.children if child.status == DONE]
    if gather.kind == "ok" and len(good) < gather.at_least:
        fault = Fault("CallFailed", f"{node.path}: only {len(good)} of {node.expected} calls succeeded, {gather.at_least} are needed")
        fail(state, node, fault)
        return
    kept = good if gather.kind == "ok" else node.children
    values = [None if child.status == FAILED else state.take(child) for child in kept]
    settle(state, node, None, values, join([node.plan.call.labels, *(child.labels for child in kept)]))


# -------------------------------------------------------------------- being done


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
        _spread(state, node)
        for listener in node.listeners:
            if listener.open and listener.status == RUNNING:
                spawn(state, listener)
    if state.watched and node.path in state.watched:
        state.watched.discard(node.path)
        state.commands.append(Command("tell", node))
    parent = node.parent
    if parent is not None:
        _child_done(state, parent, node)
    elif node is state.output:
        state.commands.append(Command("finish", node))


def _child_done(state: State, parent: Node, child: Node) -> None:
    if parent.status != RUNNING:
        return
    if parent.kind == "each":
        parent.turn += 1
        _each_done(state, parent)
    elif parent.kind == "loop":
        _turn_done(state, parent, child)
    else:  # when
        settle(state, parent, child.ref, child.held, child.labels)


def fail(state: State, node: Node, fault: Fault) -> None:
    node.status = FAILED
    parent = node.parent
    if parent is not None and parent.kind == "each" and parent.plan.call.policy.gather.kind != "all" and fault.kind not in NEVER_GATHERED:
        node.absorbed = True
        _child_done(state, parent, node)
        return
    made = state.made_above(node.path) if state.made else None
    if made is None:
        state.commands.append(Command("fail", node, fault))
        return
    root = state.nodes[made]
    root.status = FAILED
    state.faults[made] = fault
    if made in state.watched:
        state.watched.discard(made)
        state.commands.append(Command("tell", root))


_READY: dict[str, Callable[[State, Node], None]] = {
    "ask": _ready_ask,
    "derive": _ready_derive,
    "when": _ready_when,
    "loop": _ready_loop,
    "turn": _ready_turn,
    "each": _ready_each,
}
