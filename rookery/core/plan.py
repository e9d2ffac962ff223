"""A graph compiled for the schedule: what each call waits for, how its arguments are read, which branch guards it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, get_origin

from rookery.core.graph import EFFECTS, MISSING, Call, Const, Graph, Many, Ref, Source, names_in
from rookery.core.label import NO_LABELS, UNTRUSTED, Labels, join
from rookery.core.passage import held
from rookery.core.types import element_type, fits, shareable
from rookery.core.value import Codec, codec

Guard = tuple[str, bool]
"""A ``when`` call and the branch of it that must be taken."""


@dataclass(slots=True)
class Planned:
    """One call, compiled."""

    call: Call
    kind: str
    codec: Codec
    consts: dict[str, Any] = field(default_factory=dict)
    """Arguments that are known, validated, by parameter."""
    fresh: tuple[str, ...] = ()
    """Those of them that could be changed in place: each call gets its own."""
    labels: Labels = NO_LABELS
    """The labels of every value it gives: its own, and those of its parameters."""
    takes: Labels = NO_LABELS
    """Those of its parameters alone."""
    drops: Labels = NO_LABELS
    """Labels that its value does not carry, whatever it read."""
    held: Labels = NO_LABELS
    """Labels that keep values from it (see ``passage``)."""
    wired: list[tuple[str, Source, Callable[[Any], Any] | None]] = field(default_factory=list)
    """Arguments from variables: parameter, source, and how to validate when the types are not plainly the same."""
    names: tuple[str, ...] = ()
    """The parameters of ``wired``, and in ``validators`` how their values are validated."""
    validators: tuple[Callable[[Any], Any] | None, ...] = ()
    plain: tuple[str, ...] | None = None
    """The variables of ``wired`` by name, when each is a whole variable."""
    waits: tuple[str, ...] = ()
    """Names of the variables it waits for before it is ready."""
    guards: tuple[Guard, ...] = ()
    element: Planned | None = None
    """For ``each``: the plan of one element's call."""


@dataclass(slots=True)
class Plan:
    """A graph, compiled."""

    graph: Graph
    calls: list[Planned]
    turn: Turn | None = None
    """For the graph of a loop's turn: what it gives."""
    crossings: list[Any] | None = None
    """Where labels may not go and could (see ``trail``), once somebody has looked."""


@dataclass(slots=True)
class Turn:
    """The outputs of a graph of one turn."""

    state: Source
    done: Source
    single: str = ""
    """The commonest turn: its only call, whose value is the state, and nothing ever says that it is the last."""


def plan_of(graph: Graph) -> Plan:
    """The plan of a graph, made once; the graph must be free of faults."""
    if graph.plan is None:
        graph.plan = _compile(graph)
    return graph.plan  # type: ignore[no-any-return]


def _compile(graph: Graph) -> Plan:
    types = {f"inputs.{name}": param.type for name, param in graph.params.items()}
    types |= {call.name: call.type for call in graph.call_list}
    guards = guards_of(graph)
    calls = [_planned(call, types, guards.get(call.name, frozenset())) for call in graph.call_list]
    return Plan(graph, calls, _turn(graph))


def _turn(graph: Graph) -> Turn | None:
    outputs = graph_outputs(graph)
    if "state" not in outputs or "done" not in outputs:
        return None
    state, done = outputs["state"], outputs["done"]
    is_single = len(graph.call_list) == 1 and isinstance(state, Ref) and not state.path and state.name in graph.calls
    never = isinstance(done, Const) and done.value is False
    return Turn(state, done, state.name if is_single and never and isinstance(state, Ref) else "")


def graph_outputs(graph: Graph) -> dict[Any, Source]:
    """The outputs of a graph that gives a dict, by key; of a graph of one turn: the new state, and whether it is the last."""
    output = graph.output
    if isinstance(output, Many):
        return dict(zip(output.keys, output.items, strict=True)) if output.shape == "dict" else {}
    return {key: Const(value) for key, value in output.value.items()} if isinstance(output, Const) and isinstance(output.value, dict) else {}


def _planned(call: Call, types: dict[str, Any], guards: Iterable[Guard]) -> Planned:
    planned = Planned(call, call.kind, codec(call.type), guards=tuple(sorted(guards)))
    params = getattr(call.function, "params", {}) if call.kind in ("prompt", "tool", "program", "graph", "each", "loop") else {}
    for name, source in call.args.items():
        param = params.get(name)
        if isinstance(source, Const) and param is not None and name not in call.over:
            planned.consts[name] = codec(param.type).validate(source.value)
        else:
            planned.wired.append((name, source, _validator(source, param, types) if name not in call.over else None))
    for name, param in params.items():
        if name not in call.args and param.default is not MISSING:
            planned.consts[name] = codec(param.type).validate(param.default)
    planned.fresh = tuple(name for name in planned.consts if not shareable(params[name].type))
    planned.takes = join(param.labels for param in params.values())
    planned.labels = join([call.labels, planned.takes])
    _hold(planned)
    waited = [source for name, source, _ in planned.wired if name not in call.over]
    if call.kind == "when":
        waited = [call.args["condition"]]
    planned.waits = tuple(dict.fromkeys(name for source in waited for name in names_in(source)))
    if call.kind == "each":
        planned.element = _element(call, planned, types)
    return _sealed(planned)


def _hold(planned: Planned) -> None:
    if planned.kind == "ask":
        planned.drops = frozenset({UNTRUSTED})  # a person has looked at it
    elif planned.kind in ("prompt", "tool", "program"):
        planned.drops = getattr(planned.call.function, "drops", NO_LABELS)
        planned.held = held(planned)


def _sealed(planned: Planned) -> Planned:
    planned.names = tuple(name for name, _, _ in planned.wired)
    planned.validators = tuple(validate for _, _, validate in planned.wired)
    if all(_is_plain(source) for _, source, _ in planned.wired):
        planned.plain = tuple(source.name for _, source, _ in planned.wired if isinstance(source, Ref))
    return planned


def _element(call: Call, each: Planned, types: dict[str, Any]) -> Planned:
    function = call.function
    element = Planned(call, function.kind, codec(function.returns), consts=each.consts, fresh=each.fresh, labels=each.labels, takes=each.takes)
    _hold(element)
    for name, source, validate in each.wired:
        mapped = name in call.over
        element.wired.append((name, source, _element_validator(source, function.params[name], types) if mapped else validate))
    return _sealed(element)


def _is_plain(source: Source) -> bool:
    return isinstance(source, Ref) and not source.path


def _validator(source: Source, param: Any, types: dict[str, Any]) -> Callable[[Any], Any] | None:
    """None when the value is already known to be of the parameter's type."""
    if param is None or param.type is Any:
        return None
    if isinstance(source, Ref) and not source.path and passes(types.get(source.name, Any), param.type):
        return None
    return codec(param.type).validate


def _element_validator(source: Source, param: Any, types: dict[str, Any]) -> Callable[[Any], Any] | None:
    given = element_type(types.get(source.name, Any)) if isinstance(source, Ref) and not source.path else None
    return None if given is not None and passes(given, param.type) else codec(param.type).validate


def passes(a: Any, b: Any) -> bool:
    """Whether every value of type ``a`` is, as it stands, one of type ``b``: validating it would change nothing."""
    if b is Any:
        return True
    if a is Any:
        return False
    try:
        if get_origin(a) is list and get_origin(b) is not tuple and element_type(b) is not None:
            return passes(element_type(a), element_type(b))
        return bool(a == b) or (isinstance(a, type) and isinstance(b, type) and a is not bool and issubclass(a, b) and fits(a, b))
    except TypeError:
        return False


def guards_of(graph: Graph) -> dict[str, frozenset[Guard]]:
    """For each call, the branches that must all be taken for anybody to need its value.

    A call's guards are those common to all its readers; a reader through a branch of a ``when`` adds that branch.
    """
    readers: dict[str, list[tuple[str, str]]] = {call.name: [] for call in graph.call_list}
    for call in graph.call_list:
        for argument, source in call.args.items():
            for name in names_in(source):
                if name in readers:
                    readers[name].append((call.name, argument))
    read_outside = set(names_in(graph.output))
    guards: dict[str, frozenset[Guard]] = {}
    for name in reversed(order_of(graph)):
        sets: list[frozenset[Guard]] = []
        for reader, argument in readers[name]:
            inherited = guards.get(reader, frozenset())
            branch = argument.removesuffix(EFFECTS)
            if graph.calls[reader].kind == "when" and branch in ("then", "otherwise"):
                inherited = inherited | {(reader, branch == "then")}
            sets.append(inherited)
        guards[name] = frozenset() if name in read_outside or not sets else frozenset.intersection(*sets)
    return guards


def order_of(graph: Graph) -> list[str]:
    """The calls' names, each after all it reads; those on a cycle are left out."""
    readers: dict[str, list[str]] = {call.name: [] for call in graph.call_list}
    missing: dict[str, int] = {}
    for call in graph.calls.values():
        reads = {name for name in call.reads() if name in readers}
        missing[call.name] = len(reads)
        for name in reads:
            readers[name].append(call.name)
    ready = [name for name, count in missing.items() if count == 0]
    for name in ready:  # grows while it is walked
        for reader in readers[name]:
            missing[reader] -= 1
            if missing[reader] == 0:
                ready.append(reader)
    return ready
