"""All faults of a graph at once, each with its path. Nothing runs here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from itertools import islice
from typing import Any

from typing_extensions import is_typeddict

from rookery.core.graph import MISSING, Call, Const, Graph, Many, Param, Ref, Source, names_in
from rookery.core.plan import graph_outputs, order_of
from rookery.core.shape import accepts, missing_step, step_type, type_of
from rookery.core.types import adapter, element_type, fits, is_plain, name_of, serialisable, strip, validate
from rookery.errors import GraphFault, GraphInvalid, NotSerialisable, ParseFailed

NAMES = 1000
"""Among at most so many names the nearest one is looked for."""
Found = GraphFault | tuple[Graph, str]
"""A fault, or a graph inside with its path: its faults come here."""


def check(graph: Graph) -> list[GraphFault]:
    """Every fault of a graph, in the order of its calls; empty when it may run.

    Type clash, unset input, unknown argument or reference, cycle, two producers, unknown hole in a template, unreachable
    call, unbounded loop, a map over nothing, a type that cannot be logged. What is wrong inside a graph that is called
    several times, or in a prompt, is said once.
    """
    faults: dict[tuple[str, str], GraphFault] = {}
    prompts: set[int] = set()
    seen, open_now = {id(graph)}, {id(graph)}
    opened: list[tuple[Graph, str, Iterator[Found]]] = [(graph, "", _faults(graph, prompts))]
    while opened:  # not recursive: graphs may be nested deeper than Python's stack
        current, prefix, found = opened[-1]
        for item in found:
            if isinstance(item, GraphFault):
                path = item.path if item.path.startswith(("prompts.", "tools.", "programs.")) else prefix + item.path
                fault = item if path == item.path else GraphFault(path, item.fault, hint=item.hint, kind=item.kind)
                faults.setdefault((path, fault.fault), fault)
                continue
            inner, place = item
            if id(inner) in open_now:
                fault = GraphFault(prefix + place, f"graph {inner.name} calls itself", hint="use loop(…)", kind="cycle")
                faults.setdefault((fault.path, fault.fault), fault)
            elif id(inner) not in seen:
                seen.add(id(inner))
                open_now.add(id(inner))
                opened.append((inner, f"{prefix}{place}.", _faults(inner, prompts)))
                break
        else:
            opened.pop()
            open_now.discard(id(current))
    return list(faults.values())


def ensure(graph: Graph) -> Graph:
    """The same graph. Raises GraphInvalid with all its faults when it has any."""
    if graph.plan is None and not graph.is_checked:
        faults = check(graph)
        if faults:
            raise GraphInvalid(graph.name, faults)
    return graph


def _faults(graph: Graph, prompts: set[int]) -> Iterator[Found]:
    """The faults of one graph, those inside the graphs it calls left to the caller."""
    yield from graph.faults
    types: dict[str, Any] = {f"inputs.{name}": param.type for name, param in graph.params.items()}
    types |= {call.name: call.type for call in graph.call_list}
    for name, count in Counter(call.name for call in graph.call_list).items():
        if count > 1:
            yield GraphFault(f"calls.{name}", f"{count} calls produce it", hint="rename all but one", kind="two producers")
        if any(sign in name for sign in "/[]#?.") or not name:
            yield GraphFault(f"calls.{name}", "a call's name can't be empty or hold any of / [ ] # ? .", hint="rename it", kind="name")
    for param in graph.params.values():
        yield from _type_faults(param.type, f"inputs.{param.name}")
        yield from _default_faults(param, f"inputs.{param.name}")
    for call in graph.call_list:
        yield from _call_faults(call, types, prompts)
    yield from _output_faults(graph, types)
    yield from _cycles(graph)
    yield from _unreachable(graph)


# -------------------------------------------------------------------- calls


def _call_faults(call: Call, types: dict[str, Any], prompts: set[int]) -> Iterator[Found]:
    path = f"calls.{call.name}"
    for argument, source in call.args.items():
        yield from _reference_faults(source, f"{path}.{argument}", types)
    if call.kind == "when":
        yield from _when_faults(call, path, types)
        return
    yield from _type_faults(call.type, path)
    if call.kind == "ask":
        return
    function = call.function
    if function is None or not hasattr(function, "name"):
        yield GraphFault(path, "it calls nothing", hint="give it a prompt, a tool or a graph", kind="unset input")
        return
    if call.kind == "loop":
        if not isinstance(function, Graph):
            yield GraphFault(path, "the body of a loop is a graph of one turn", hint="make it with loop(…)", kind="loop")
            return
        yield from _loop_faults(call, path)
    if isinstance(function, Graph):
        yield function, path
    elif getattr(function, "kind", "") == "prompt" and id(function) not in prompts:
        prompts.add(id(function))
        yield from _prompt_faults(function)
    try:
        params = function.params
        if not isinstance(function, Graph):
            function.returns  # noqa: B018 - it raises when there is none
    except GraphFault as fault:
        yield from _signature_faults(function, fault)
        return
    yield from _argument_faults(call, params, types, path)


def _signature_faults(function: Any, first: GraphFault) -> list[GraphFault]:
    from rookery.core.signature import read_signature

    path = f"{function.kind}s.{function.name}"
    _, returns, faults = read_signature(function.function, path=path)
    if returns is MISSING:
        hint = f"write def {function.name}(…) -> str: …, or its type"
        faults.append(GraphFault(path, "no return annotation", hint=hint, kind="type"))
    return faults or [first]


def _argument_faults(call: Call, params: Mapping[str, Param], types: dict[str, Any], path: str) -> Iterator[GraphFault]:
    name = getattr(call.function, "name", call.name)
    if call.kind == "each" and not call.over:
        yield GraphFault(path, "there is nothing to map over", hint=f"pass a list, or name the argument: {name}.each('x', x=…)", kind="each")
    for argument in call.over:
        if argument not in call.args:
            yield GraphFault(f"{path}.{argument}", f"the map over {argument!r} is not given a list", hint="pass it", kind="each")
    for argument, source in call.args.items():
        if argument not in params:
            hint = _nearest(argument, params) or f"it takes {', '.join(params) or 'nothing'}"
            yield GraphFault(f"{path}.{argument}", f"{name} has no parameter {argument!r}", hint=hint, kind="unknown argument")
            continue
        wanted = params[argument].type
        try:
            if not is_plain(wanted):
                adapter(wanted)
        except NotSerialisable as error:
            yield GraphFault(f"{path}.{argument}", error.reason, hint=error.hint, kind="type")
            continue
        yield from _fit_faults(source, wanted, types, f"{path}.{argument}", mapped=argument in call.over)
    for argument, param in params.items():
        if argument in call.args or argument in call.over:
            continue
        if param.default is MISSING:
            yield GraphFault(f"{path}.{argument}", f"{name} needs {argument!r} ({name_of(param.type)})", hint="pass it", kind="unset input")
        else:
            yield from _default_faults(param, f"{path}.{argument}")


def _nearest(name: str, names: Iterable[str]) -> str:
    """What may have been meant, as a hint; empty when nothing is near."""
    from difflib import get_close_matches

    near = get_close_matches(name, list(islice(names, NAMES)), 1)
    return f"did you mean {near[0]!r}?" if near else ""


def _when_faults(call: Call, path: str, types: dict[str, Any]) -> Iterator[GraphFault]:
    for argument in ("condition", "then", "otherwise"):
        if argument not in call.args:
            yield GraphFault(f"{path}.{argument}", f"when needs {argument!r}", hint="pass it", kind="unset input")
    if "condition" in call.args:
        yield from _condition_faults(call.args["condition"], f"{path}.condition", types)
    for argument in ("then", "otherwise"):
        source = call.args.get(argument)
        if isinstance(source, Const):
            yield from _fit_faults(source, call.type, types, f"{path}.{argument}")


def _loop_faults(call: Call, path: str) -> Iterator[GraphFault]:
    if not call.times or call.times < 1:
        yield GraphFault(path, "the loop has no bound", hint="give times=, the most turns it may take", kind="unbounded loop")
    turn: Graph = call.function
    outputs = graph_outputs(turn)
    if call.state not in turn.params or "state" not in outputs or "done" not in outputs:
        yield GraphFault(path, "a turn goes from a state to {'state': …, 'done': …}", hint="make it with loop(…)", kind="loop")
        return
    types = {f"inputs.{name}": param.type for name, param in turn.params.items()} | {inner.name: inner.type for inner in turn.call_list}
    wanted = turn.params[call.state].type
    for fault in _fit_faults(outputs["state"], wanted, types, path):
        yield GraphFault(path, f"the body gives what is not its state: {fault.fault}", hint=fault.hint, kind="type")
    yield from _condition_faults(outputs["done"], f"{path}.until", types)


# -------------------------------------------------------------------- values and types


def _fit_faults(source: Source, wanted: Any, types: Mapping[str, Any], path: str, *, mapped: bool = False) -> Iterator[GraphFault]:
    """Why a source does not fit where ``wanted`` is expected, or, mapped over, its elements."""
    if isinstance(source, Const):
        yield from _mapped_faults(source.value, wanted, path) if mapped else _value_faults(source.value, wanted, path)
        return
    given = type_of(source, types)
    if given is MISSING or (mapped and given is Any):
        return
    if isinstance(source, Many) and (mapped or not fits(given, wanted)):
        parts = _parts(source, wanted, mapped=mapped)
        if parts is not None:
            for step, item, type_ in parts:
                yield from _fit_faults(item, type_, types, f"{path}[{step}]" if isinstance(step, int) else f"{path}.{step}")
            return
    if mapped:
        element = element_type(given)
        if element is None:
            yield GraphFault(path, f"{name_of(given)} is not a list to map over", hint="make it a list in a @tool", kind="type")
            return
        given = element
    if not fits(given, wanted):
        hint = "convert it in a @tool between"
        if not mapped and element_type(given) is not None and fits(element_type(given), wanted):
            hint = "use .each(…) to map over it"
        yield GraphFault(path, f"{name_of(given)} does not fit {name_of(wanted)}", hint=hint, kind="type")


def _parts(source: Many, wanted: Any, *, mapped: bool) -> list[tuple[Any, Source, Any]] | None:
    """The items of a container with the types that they must fit; None when it is not that simple."""
    if source.shape != "dict":
        element = wanted if mapped else element_type(wanted)
        return None if element is None else [(index, item, element) for index, item in enumerate(source.items)]
    origin = strip(wanted)
    if mapped or not isinstance(origin, type) or not (is_typeddict(origin) or is_dataclass(origin) or hasattr(origin, "model_fields")):
        return None
    if any(missing_step(origin, key) for key in source.keys if isinstance(key, str)) or not all(isinstance(key, str) for key in source.keys):
        return None
    return [(key, item, step_type(origin, key)) for key, item in zip(source.keys, source.items, strict=True)]


def _mapped_faults(value: Any, wanted: Any, path: str) -> Iterator[GraphFault]:
    if not isinstance(value, list | tuple | range):
        yield GraphFault(path, f"{type(value).__name__} is not a list to map over", hint="pass a list", kind="type")
        return
    for index, item in enumerate(value):
        yield from _value_faults(item, wanted, f"{path}[{index}]")


def _value_faults(value: Any, wanted: Any, path: str) -> Iterator[GraphFault]:
    try:
        validate(value, wanted)
    except ParseFailed as error:
        yield GraphFault(path, f"{value!r:.60} is not {name_of(wanted)}: {error.reason}", kind="type")
    except NotSerialisable:
        return  # the type itself has a fault


def _default_faults(param: Param, path: str) -> Iterator[GraphFault]:
    if param.default is MISSING or accepts(param.default, param.type):
        return
    hint = f"write {name_of(param.type)} | None" if param.default is None else "change the default or the annotation"
    yield GraphFault(path, f"its default {param.default!r:.60} is not {name_of(param.type)}", hint=hint, kind="type")


def _reference_faults(source: Source, path: str, types: dict[str, Any]) -> Iterator[GraphFault]:
    if isinstance(source, Many):
        for item in source.items:
            yield from _reference_faults(item, path, types)
    elif isinstance(source, Ref):
        if source.name not in types:
            yield GraphFault(path, f"there is no variable {source.name!r}", hint=_nearest(source.name, types), kind="unset input")
            return
        found = types[source.name]
        for step in source.path:
            wrong = missing_step(found, step)
            if wrong:
                yield GraphFault(path, wrong, kind="type")
                return
            found = step_type(found, step)


def _condition_faults(source: Source, path: str, types: Mapping[str, Any]) -> Iterator[GraphFault]:
    given = type_of(source, types)
    if given is not MISSING and not fits(given, bool):
        yield GraphFault(path, f"a condition is a bool, not {name_of(given)}", hint="compare in a @tool that returns bool", kind="type")


def _type_faults(type_: Any, path: str) -> Iterator[GraphFault]:
    reason = serialisable(type_)
    if reason:
        yield GraphFault(path, f"{name_of(type_)} cannot be written to a log: {reason}", hint="use a type pydantic can validate", kind="serialise")


def _prompt_faults(prompt: Any) -> Iterator[GraphFault]:
    path = f"prompts.{prompt.name}.template"
    try:
        params = prompt.params
        for template in (prompt.template, prompt.system):
            for hole in template.holes if template is not None else ():
                if hole.name not in params:
                    hint = _nearest(hole.name, params) or f"parameters: {', '.join(params) or 'none'}; write {{{{ and }}}} for braces"
                    yield GraphFault(path, f"hole {hole} names no parameter", hint=hint, kind="unknown hole")
                    continue
                found = params[hole.name].type
                for step in hole.path:
                    wrong = missing_step(found, step)
                    if wrong:
                        yield GraphFault(path, f"hole {hole}: {wrong}", kind="unknown hole")
                        break
                    found = step_type(found, step)
    except GraphFault as fault:
        if fault.kind == "template":
            yield fault  # those of its signature are said by who asks for it


# -------------------------------------------------------------------- the graph as a whole


def _output_faults(graph: Graph, types: dict[str, Any]) -> Iterator[GraphFault]:
    yield from _reference_faults(graph.output, "output", types)
    if graph.returns is MISSING:
        return
    yield from _type_faults(graph.returns, "output")
    if isinstance(graph.output, Const):
        if graph.returns is Any:
            yield from _type_faults(type(graph.output.value), "output")
        elif not accepts(graph.output.value, graph.returns):
            value = f"{graph.output.value!r:.60}"
            yield GraphFault("output", f"{value} is not {name_of(graph.returns)}", hint="return a variable of the graph", kind="type")
    elif graph.returns is not Any:
        yield from _fit_faults(graph.output, graph.returns, types, "output")


def _cycles(graph: Graph) -> Iterator[GraphFault]:
    rest = set(graph.calls) - set(order_of(graph))
    seen: set[str] = set()
    for start in graph.calls:
        if start not in rest or start in seen:
            continue
        trail: dict[str, int] = {}
        name = start
        while name and name not in trail and name not in seen:
            trail[name] = len(trail)
            name = next((read for read in graph.calls[name].reads() if read in rest), "")
        seen.update(trail)
        if name in trail:
            circle = list(trail)[trail[name] :]
            shown = [*circle, circle[0]] if len(circle) < 20 else [*circle[:10], "…", *circle[-5:], circle[0]]
            yield GraphFault(f"calls.{circle[0]}", f"calls wait for one another: {' → '.join(shown)}", hint="use loop(…)", kind="cycle")


def _unreachable(graph: Graph) -> Iterator[GraphFault]:
    reached: set[str] = set()
    stack = [*names_in(graph.output), *graph.effects]
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
