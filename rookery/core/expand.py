"""How a graph is put into a run: a variable for each call, joined to those it reads. What unfolds later stands in ``branch``."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

from rookery.core.graph import Call, Const, Graph, Param, Ref, Source, names_in
from rookery.core.label import NO_LABELS, Labels, join
from rookery.core.plan import Planned, passes, plan_of
from rookery.core.state import SKIPPED, WAITING, Frame, Node, Slot, State
from rookery.core.template import lookup
from rookery.core.value import Codec, codec

Guards = tuple[tuple[Node, bool], ...]


def build(state: State, graph: Graph, prefix: str, inputs: dict[str, Slot], guards: Guards = (), *, path: str = "") -> Frame:
    """Put the calls of a graph into the run, under ``prefix``, reading ``inputs``; ``path`` is the place of its only call."""
    frame, nodes = _frame(graph, prefix, inputs, guards, path)
    for node in nodes:
        if node.plan.kind != "graph":
            _wire(state, node, frame)
        else:
            _flatten(state, node, frame)
    return frame


def _frame(graph: Graph, prefix: str, inputs: dict[str, Slot], guards: Guards, path: str = "") -> tuple[Frame, list[Node]]:
    slots: dict[str, Slot] = {f"inputs.{name}": slot for name, slot in inputs.items()}
    nodes: list[Node] = []
    for planned in plan_of(graph).calls:
        name = planned.call.name
        kind = planned.kind
        node = Node(path or prefix + name, planned, "derive" if kind == "graph" else kind, planned.codec)
        if kind == "when":
            node.guarded = []
        slots[name] = node
        nodes.append(node)
    return Frame(prefix, slots, guards), nodes


def _wire(state: State, node: Node, frame: Frame) -> None:
    planned = node.plan
    slots = frame.slots
    state.nodes[node.path] = node
    kind = planned.kind
    if planned.guards or frame.guards:
        own = tuple((slots[name], branch) for name, branch in planned.guards)
        node.guards = frame.guards + own  # type: ignore[operator]
    if planned.plain is not None and kind in ("tool", "prompt", "program", "ask"):
        await_(state, node, [slots[name] for name in planned.plain])
        return
    if kind in ("when", "each", "loop"):
        node.frame = frame
        node.children = []
        deps = [slots[name] for name in planned.waits]
    else:
        deps = [bind_source(state, source, frame, f"{node.path}.{name}", guards=node.guards) for name, source, _ in planned.wired]
    await_(state, node, deps)


def await_(state: State, node: Node, deps: list[Slot]) -> None:
    """Let a call wait for the variables it reads and for the branches it belongs to."""
    if state.edits and node.path in state.edits:  # set by hand: it waits for nothing
        state.queue.append(node)
        return
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


# -------------------------------------------------------------------- variables made from others


@cache
def derived() -> Planned:
    """The plan of variables that no call of the graph produces."""
    return Planned(Call("derived", "graph", Any), "derive", codec(Any))


def bind_source(state: State, source: Source, frame: Frame, path: str, type_: Any = Any, *, guards: Guards = ()) -> Slot:
    """The variable that a source stands for: an existing one, a constant, or one computed from others."""
    if isinstance(source, Ref) and not source.path:
        return frame.slots[source.name]
    if isinstance(source, Const):
        return constant(source.value, path, type(source.value) if type_ is Any else type_)
    node = Node(path, derived(), "derive", _codec_of(source, frame, type_))
    node.frame, node.slots, node.guards = frame, source, guards
    state.nodes[path] = node
    await_(state, node, [frame.slots[name] for name in dict.fromkeys(names_in(source))])
    return node


def constant(value: Any, path: str, type_: Any) -> Slot:
    """A variable whose value the graph says; runs do not share what could be changed in place."""
    slot = Slot(path, codec(type_))
    held = slot.codec.validate(value)
    slot.held, slot.done, slot.is_constant = held if slot.codec.shareable else deepcopy(held), True, True
    return slot


def _codec_of(source: Source, frame: Frame, type_: Any) -> Codec:
    if type_ is not Any:
        return codec(type_)
    from rookery.core.shape import type_of

    return codec(type_of(source, {name: frame.slots[name].codec.type for name in names_in(source)}))


def bind_inputs(state: State, graph: Graph, node: Node, path: str, frame: Frame, given: dict[str, Slot]) -> dict[str, Slot]:
    """The inputs of a graph that is called: by parameter, each of the parameter's type and with its labels."""
    inputs: dict[str, Slot] = {}
    args = node.plan.call.args
    for name, param in graph.params.items():
        slot = given.get(name)
        if slot is None:
            source = args.get(name, Const(param.default))
            slot = bind_source(state, source, frame, f"{node.path}.{name}", param.type if isinstance(source, Const) else Any, guards=node.guards)
        inputs[name] = fitting(state, slot, param, f"{path}.{name}", node.guards)
    return inputs


def fitting(state: State, slot: Slot, param: Param, path: str, guards: Guards = ()) -> Slot:
    """A variable as a parameter takes it: itself, or one that is validated and labelled anew."""
    if param.labels <= slot.labels and passes(slot.codec.type, param.type):
        return slot
    made = Node(path if path != slot.path else path + ".", derived(), "derive", codec(param.type))
    made.frame, made.slots, made.guards, made.labels = Frame("", {"it": slot}), Ref("it"), guards, param.labels
    state.nodes[made.path] = made
    await_(state, made, [slot])
    return made


def derive(state: State, node: Node, frame: Frame, graph: Graph) -> None:
    """Make a call's variable the output of a graph, once that is known and the graph's effects are through."""
    node.kind = "derive"
    node.frame, node.slots = frame, graph.output
    read = dict.fromkeys(names_in(graph.output))
    also = [frame.slots[name] for name in graph.effects if name in graph.calls and name not in read]
    if also:
        node.also = also
    await_(state, node, [*(frame.slots[name] for name in read), *also])


def evaluate(state: State, source: Source, frame: Frame) -> tuple[Any, Labels]:
    """The value of a source whose variables are all known, and its labels."""
    if isinstance(source, Const):
        return deepcopy(source.value), NO_LABELS
    if isinstance(source, Ref):
        slot = frame.slots[source.name]
        return lookup(state.take(slot), source.path), slot.labels
    pairs = [evaluate(state, item, frame) for item in source.items]
    values, labels = [value for value, _ in pairs], join(labels for _, labels in pairs)
    if source.shape == "dict":
        return dict(zip(source.keys, values, strict=True)), labels
    return (values if source.shape == "list" else tuple(values)), labels


# -------------------------------------------------------------------- graphs in graphs


def _flatten(state: State, node: Node, frame: Frame) -> None:
    """A graph called in a graph: its calls join the run at once, and each starts as its own inputs are known.

    Not recursive: graphs may be nested deeper than Python's stack.
    """
    open_graphs: list[Iterator[tuple[Node, Frame]]] = [iter([(node, frame)])]
    while open_graphs:
        found = next(open_graphs[-1], None)
        if found is None:
            open_graphs.pop()
        elif found[0].plan.kind == "graph":
            open_graphs.append(_opened(state, *found))
        else:
            _wire(state, *found)


def _opened(state: State, node: Node, frame: Frame) -> Iterator[tuple[Node, Frame]]:
    planned = node.plan
    state.nodes[node.path] = node
    node.guards = frame.guards + tuple((frame.slots[name], branch) for name, branch in planned.guards)  # type: ignore[misc]
    if state.edits and node.path in state.edits:
        await_(state, node, [])
        return iter(())
    graph: Graph = planned.call.function
    inputs = bind_inputs(state, graph, node, node.path, frame, {})
    inner, nodes = _frame(graph, node.path + "/", inputs, node.guards)
    derive(state, node, inner, graph)
    return iter([(call, inner) for call in nodes])


