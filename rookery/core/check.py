"""All faults of a graph at once, each with its path. Nothing runs here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from rookery.core.graph import MISSING, Call, Const, Graph, Many, Ref, Source, names_in
from rookery.core.plan import order_of
from rookery.core.shape import accepts, missing_step, step_type
from rookery.core.types import element_type, fits, name_of, serialisable, validate
from rookery.errors import GraphFault, GraphInvalid, ParseFailed


def check(graph: Graph) -> list[GraphFault]:
    """Every fault of a graph, in the order of its calls; empty when it may run.

    Type clash, unset input, unknown argument or reference, cycle, two producers, unknown hole in a template, unreachable
    call, unbounded loop, a map over nothing, a type that cannot be logged.
    """
    faults = list(graph.faults)
    types: dict[str, Any] = {f"inputs.{name}": param.type for name, param in graph.params.items()}
    for name, count in Counter(call.name for call in graph.call_list).items():
        if count > 1:
            faults.append(GraphFault(f"calls.{name}", f"{count} calls produce it", hint="rename all but one", kind="two producers"))
    for call in graph.call_list:
        try:
            types[call.name] = call.type
        except GraphFault as fault:  # a function without a return annotation
            faults.append(fault)
    for name, param in graph.params.items():
        faults += _type_faults(param.type, f"inputs.{name}")
    for call in graph.call_list:
        faults += _call_faults(graph, call, types)
    faults += _output_faults(graph, types)
    faults += _cycles(graph)
    faults += _unreachable(graph)
    return list({(fault.path, fault.fault): fault for fault in faults}.values())


def _nearest(name: str, names: Iterable[str], most: int) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(name, list(names), most)


def ensure(graph: Graph) -> Graph:
    """The same graph. Raises GraphInvalid with all its faults when it has any."""
    if graph.plan is None:
        faults = check(graph)
        if faults:
            raise GraphInvalid(graph.name, faults)
    return graph


def _call_faults(graph: Graph, call: Call, types: dict[str, Any]) -> Iterator[GraphFault]:
    path = f"calls.{call.name}"
    for argument, source in call.args.items():
        yield from _reference_faults(source, f"{path}.{argument}", types)
    if call.kind == "when":
        yield from _condition_faults(call.args["condition"], f"{path}.condition", types)
        return
    yield from _type_faults(call.type, path)
    if call.kind == "ask":
        return
    function = call.function
    if call.kind == "prompt" or (call.kind == "each" and getattr(function, "kind", "") == "prompt"):
        yield from _prompt_faults(function)
    if call.kind == "loop":
        yield from _loop_faults(call, path)
    elif isinstance(function, Graph):
        for fault in check(function):
            yield GraphFault(f"{path}.{fault.path}", fault.fault, hint=fault.hint, kind=fault.kind)
    try:
        params = function.params
    except GraphFault as fault:
        yield fault
        return
    yield from _argument_faults(call, params, types, path)


def _argument_faults(call: Call, params: Any, types: dict[str, Any], path: str) -> Iterator[GraphFault]:
    name = getattr(call.function, "name", call.name)
    if call.kind == "each" and not call.over:
        yield GraphFault(path, "there is nothing to map over", hint=f"pass a list, or name the argument: {name}.each('x', x=…)", kind="each")
    for argument, source in call.args.items():
        if argument not in params:
            near = _nearest(argument, params, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(params) or 'nothing'}"
            yield GraphFault(f"{path}.{argument}", f"{name} has no parameter {argument!r}", hint=hint, kind="unknown argument")
            continue
        yield from _fit_faults(source, params[argument].type, types, f"{path}.{argument}", mapped=argument in call.over)
    for argument, param in params.items():
        if argument not in call.args and param.default is MISSING:
            yield GraphFault(f"{path}.{argument}", f"{name} needs {argument!r} ({name_of(param.type)})", hint="pass it", kind="unset input")


def _fit_faults(source: Source, wanted: Any, types: dict[str, Any], path: str, *, mapped: bool) -> Iterator[GraphFault]:
    if isinstance(source, Const):
        values = source.value if mapped and isinstance(source.value, list | tuple | range) else [source.value]
        for index, value in enumerate(values):
            try:
                validate(value, wanted)
            except ParseFailed as error:
                yield GraphFault(f"{path}[{index}]" if mapped else path, f"{value!r:.60} is not {name_of(wanted)}: {error.reason}", kind="type")
        return
    given = type_of(source, types)
    if given is MISSING:
        return
    if mapped:
        element = element_type(given)
        if element is None:
            yield GraphFault(path, f"{name_of(given)} is not a list to map over", kind="type")
            return
        given = element
    if not fits(given, wanted):
        hint = "convert it in a @tool between"
        if not mapped and element_type(given) is not None and fits(element_type(given), wanted):
            hint = "use .each(…) to map over it"
        yield GraphFault(path, f"{name_of(given)} does not fit {name_of(wanted)}", hint=hint, kind="type")


def type_of(source: Source, types: dict[str, Any]) -> Any:
    """The type of a source; MISSING when a variable of it is unknown."""
    if isinstance(source, Const):
        return type(source.value)
    if isinstance(source, Ref):
        found = types.get(source.name, MISSING)
        for step in source.path:
            found = found if found is MISSING else step_type(found, step)
        return found
    inner = [type_of(item, types) for item in source.items]
    if any(item is MISSING for item in inner):
        return MISSING
    if source.shape == "tuple":
        return tuple.__class_getitem__(tuple(inner))
    union: Any = inner[0]
    for item in inner[1:]:
        union = union if fits(item, union) else item if fits(union, item) else union | item
    return dict[str, union] if source.shape == "dict" else list[union]


def _reference_faults(source: Source, path: str, types: dict[str, Any]) -> Iterator[GraphFault]:
    if isinstance(source, Many):
        for item in source.items:
            yield from _reference_faults(item, path, types)
    elif isinstance(source, Ref):
        if source.name not in types:
            near = _nearest(source.name, types, 1)
            yield GraphFault(path, f"there is no variable {source.name!r}", hint=f"did you mean {near[0]!r}?" if near else "", kind="unset input")
            return
        found = types[source.name]
        for step in source.path:
            wrong = missing_step(found, step)
            if wrong:
                yield GraphFault(path, wrong, kind="type")
                return
            found = step_type(found, step)


def _condition_faults(source: Source, path: str, types: dict[str, Any]) -> Iterator[GraphFault]:
    given = type_of(source, types)
    if given is not MISSING and not fits(given, bool):
        yield GraphFault(path, f"a condition is a bool, not {name_of(given)}", hint="compare in a @tool that returns bool", kind="type")


def _prompt_faults(prompt: Any) -> Iterator[GraphFault]:
    try:
        params = prompt.params
        for template in (prompt.template, prompt.system):
            for hole in template.holes if template is not None else ():
                if hole.name not in params:
                    near = _nearest(hole.name, params, 1)
                    hint = f"did you mean {{{near[0]}}}?" if near else f"parameters: {', '.join(params) or 'none'}; write {{{{ and }}}} for braces"
                    yield GraphFault(f"prompts.{prompt.name}.template", f"hole {hole} names no parameter", hint=hint, kind="unknown hole")
                    continue
                found = params[hole.name].type
                for step in hole.path:
                    wrong = missing_step(found, step)
                    if wrong:
                        yield GraphFault(f"prompts.{prompt.name}.template", f"hole {hole}: {wrong}", kind="unknown hole")
                        break
                    found = step_type(found, step)
    except GraphFault as fault:
        yield fault


def _loop_faults(call: Call, path: str) -> Iterator[GraphFault]:
    if not call.times or call.times < 1:
        yield GraphFault(path, "the loop has no bound", hint="give times=, the most turns it may take", kind="unbounded loop")
    turn: Graph = call.function
    for fault in check(turn):
        yield GraphFault(f"{path}.{fault.path}", fault.fault, hint=fault.hint, kind=fault.kind)
    types = {f"inputs.{name}": param.type for name, param in turn.params.items()} | {inner.name: inner.type for inner in turn.call_list}
    if isinstance(turn.output, Many):
        outputs = dict(zip(turn.output.keys, turn.output.items, strict=True))
        wanted = turn.params[call.state].type
        given = type_of(outputs["state"], types)
        if given is not MISSING and not fits(given, wanted):
            yield GraphFault(path, f"the body gives {name_of(given)}, but its state is {name_of(wanted)}", kind="type")
        if "done" in outputs:
            yield from _condition_faults(outputs["done"], f"{path}.until", types)


def _type_faults(type_: Any, path: str) -> Iterator[GraphFault]:
    reason = serialisable(type_)
    if reason:
        yield GraphFault(path, f"{name_of(type_)} cannot be written to a log: {reason}", hint="use a type pydantic can validate", kind="serialise")


def _output_faults(graph: Graph, types: dict[str, Any]) -> Iterator[GraphFault]:
    yield from _reference_faults(graph.output, "output", types)
    given = type_of(graph.output, types)
    if given is MISSING or graph.returns is MISSING or graph.returns is Any:
        return
    if isinstance(graph.output, Const):
        if not accepts(graph.output.value, graph.returns):
            yield GraphFault("output", f"{graph.output.value!r:.60} is not {name_of(graph.returns)}", hint="return a variable of the graph", kind="type")
    elif not fits(given, graph.returns):
        yield GraphFault("output", f"{name_of(given)} does not fit {name_of(graph.returns)}", kind="type")


def _cycles(graph: Graph) -> Iterator[GraphFault]:
    rest = set(graph.calls) - set(order_of(graph))
    seen: set[str] = set()
    for start in graph.calls:
        if start not in rest or start in seen:
            continue
        trail: list[str] = []
        name = start
        while name not in trail:
            trail.append(name)
            name = next((read for read in graph.calls[name].reads() if read in rest), "")
            if not name:
                break
        seen.update(trail)
        if name:
            circle = trail[trail.index(name) :]
            yield GraphFault(f"calls.{circle[0]}", f"calls wait for one another: {' → '.join([*circle, circle[0]])}", hint="use loop(…)", kind="cycle")


def _unreachable(graph: Graph) -> Iterator[GraphFault]:
    reached: set[str] = set()
    stack = [*names_in(graph.output), *graph.effects, *(call.name for call in graph.call_list if call.effect)]
    while stack:
        name = stack.pop()
        if name in reached or name not in graph.calls:
            continue
        reached.add(name)
        stack.extend(graph.calls[name].reads())
    for call in graph.call_list:
        if call.name not in reached:
            yield GraphFault(
                f"calls.{call.name}", "nothing uses its value", hint="return it, pass it on, or say @tool(effect=True)", kind="unreachable call"
            )
