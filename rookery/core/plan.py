"""A graph compiled for the schedule: what each call waits for, how its arguments are read, which branch guards it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from rookery.core.graph import MISSING, Call, Const, Graph, Ref, Source, names_in
from rookery.core.types import element_type, fits
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
    output_waits: tuple[str, ...]


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
    waits = tuple(dict.fromkeys([*names_in(graph.output), *(name for name in graph.effects if name in graph.calls)]))
    return Plan(graph, calls, waits)


def _planned(call: Call, types: dict[str, Any], guards: Iterable[Guard]) -> Planned:
    planned = Planned(call, call.kind, codec(call.type), guards=tuple(sorted(guards)))
    params = getattr(call.function, "params", {}) if call.kind in ("prompt", "tool", "program", "graph", "each", "loop") else {}
    for name, source in call.args.items():
        param = params.get(name)
        if isinstance(source, Const) and name not in call.over:
            value = codec(param.type).validate(source.value) if param is not None else source.value
            planned.consts[name] = value
        else:
            planned.wired.append((name, source, _validator(source, param, types) if name not in call.over else None))
    for name, param in params.items():
        if name not in call.args and param.default is not MISSING:
            planned.consts[name] = param.default
    waited = [s for n, s, _ in planned.wired if not (call.kind == "each" and n in call.over and _is_plain(s))]
    if call.kind == "when":
        waited = [call.args["condition"]]
    planned.waits = tuple(dict.fromkeys(name for source in waited for name in names_in(source)))
    if call.kind == "each":
        planned.element = _element(call, planned, types)
    return _sealed(planned)


def _sealed(planned: Planned) -> Planned:
    planned.names = tuple(name for name, _, _ in planned.wired)
    planned.validators = tuple(validate for _, _, validate in planned.wired)
    if all(_is_plain(source) for _, source, _ in planned.wired):
        planned.plain = tuple(source.name for _, source, _ in planned.wired if isinstance(source, Ref))
    return planned


def _element(call: Call, each: Planned, types: dict[str, Any]) -> Planned:
    function = call.function
    element = Planned(call, function.kind, codec(function.returns), consts=each.consts)
    element.wired = [
        (name, source, (_element_validator(source, function.params[name], types) if name in call.over else validate)) for name, source, validate in each.wired
    ]
    return _sealed(element)


def _is_plain(source: Source) -> bool:
    return isinstance(source, Ref) and not source.path


def _validator(source: Source, param: Any, types: dict[str, Any]) -> Callable[[Any], Any] | None:
    """None when the value is already known to be of the parameter's type."""
    if param is None or param.type is Any:
        return None
    if isinstance(source, Ref) and not source.path and _same(types.get(source.name, Any), param.type):
        return None
    return codec(param.type).validate


def _element_validator(source: Source, param: Any, types: dict[str, Any]) -> Callable[[Any], Any] | None:
    given = element_type(types.get(source.name, Any)) if isinstance(source, Ref) and not source.path else None
    return None if given is not None and _same(given, param.type) else codec(param.type).validate


def _same(a: Any, b: Any) -> bool:
    if a is Any or b is Any:
        return False
    try:
        return bool(a == b) or (fits(a, b) and isinstance(a, type) and isinstance(b, type) and issubclass(a, b) and a is not bool)
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
            if graph.calls[reader].kind == "when" and argument in ("then", "otherwise"):
                inherited = inherited | {(reader, argument == "then")}
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
