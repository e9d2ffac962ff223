"""A plan of calls as a model writes it, and the typed graph that it stands for, with all that is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, Field

from rookery.core.check import check
from rookery.core.graph import MISSING, Call, Const, Function, Graph, Many, Param, Ref, Source
from rookery.core.policy import NO_POLICY
from rookery.core.types import load_foreign, name_of, schema
from rookery.core.value import digest
from rookery.errors import GraphFault, NotSerialisable, ParseFailed

_REFERENCE = re.compile(r"\$([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*|\[-?\d+\])*)")
_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[(-?\d+)\]")


class PlannedCall(BaseModel):
    """One call of a plan."""

    name: str = Field(pattern=r"^[A-Za-z_]\w*$", description="what its value is called")
    function: str = Field(description="one of the functions")
    arguments: dict[str, Any] = Field(default={}, description='by parameter name: JSON values and references like "$name", "$name.field", "$name[0]"')
    over: list[str] = Field(default=[], description="arguments that are lists of what the function takes: it is called for each element")


class CallPlan(BaseModel):
    """A plan as calls that are joined by their values."""

    calls: list[PlannedCall]
    answer: Any = Field(description='what is given back: "$name" of a call')


# ------------------------------------------------------------------ what the model is told


def signature_text(function: Function) -> str:
    """A function in one line: ``area(width: float, height: float = 1.0) -> float: the first sentence of its docstring``."""
    params = ", ".join(f"{param.name}: {name_of(param.type)}{_default(param)}" for param in function.params.values())
    doc = getattr(function, "doc", "").strip().partition("\n")[0]
    return f"{function.name}({params}) -> {name_of(function.returns)}" + (f": {doc}" if doc else "")


def _default(param: Param) -> str:
    return "" if param.default is MISSING else f" = {param.default!r:.60}"


def types_text(functions: Iterable[Function]) -> list[str]:
    """Schemas of the types that have fields, one a line."""
    found: dict[str, str] = {}
    for function in functions:
        for type_ in (*(param.type for param in function.params.values()), function.returns):
            try:
                described = schema(type_)
            except NotSerialisable:
                continue  # the check of a graph says so
            for name, definition in {**described.get("$defs", {}), described.get("title", ""): described}.items():
                if definition.get("type") == "object" and definition.get("properties"):
                    found[name] = json.dumps(definition["properties"], separators=(",", ":"))
    return [f"A {name} is an object: {properties}" for name, properties in found.items() if name]


# ------------------------------------------------------------------ from the plan to the graph


def planned_graph(
    plan: CallPlan, *, functions: Mapping[str, Function], inputs: Mapping[str, Param], returns: Any
) -> tuple[Graph, list[GraphFault]]:
    """The graph that a plan stands for, and all that is wrong with it; it may run when that is nothing."""
    names = {call.name for call in plan.calls}
    if overlap := sorted(names & set(inputs)):
        return _nothing(), [GraphFault(f"calls.{name}", "an input has this name", hint="rename the call", kind="name") for name in overlap]
    faults: list[GraphFault] = []
    read = _Reader(names, set(inputs), faults)
    calls = []
    for call in plan.calls:
        function = functions.get(call.function)
        if function is None:
            hint = f"the functions are {', '.join(functions)}"
            faults.append(GraphFault(f"calls.{call.name}", f"there is no function {call.function!r}", hint=hint, kind="name"))
            continue
        args = {key: read.source(value, f"calls.{call.name}.{key}") for key, value in call.arguments.items()}
        calls.append(_call(call, function, args))
    output = read.source(plan.answer, "answer")
    if isinstance(output, Const) and plan.calls:
        faults.append(GraphFault("answer", f"{plan.answer!r:.60} is written down, not computed", hint='give "$name" of a call', kind="unset"))
    text = plan.model_dump_json()
    graph = Graph(f"plan_{digest(text.encode())[:8]}", inputs=inputs, calls=calls, output=output, returns=returns)
    return graph, faults or check(graph)


def _nothing() -> Graph:
    return Graph("plan", inputs={}, calls=[], output=Const(None), returns=Any)


def _call(call: PlannedCall, function: Function, args: dict[str, Source]) -> Call:
    params = function.params
    typed = {key: _typed(source, params[key].type) if key in params and key not in call.over else source for key, source in args.items()}
    returns = list[function.returns] if call.over else function.returns  # type: ignore[name-defined]
    return Call(
        call.name, "each" if call.over else function.kind, returns, typed, function=function, policy=getattr(function, "policy", NO_POLICY),
        over=tuple(call.over), labels=getattr(function, "labels", frozenset()),
    )  # fmt: skip


def _typed(source: Source, type_: Any) -> Source:
    """A JSON value as what its parameter takes; one that is not of that type stays as it is, and the check names it."""
    if not isinstance(source, Const):
        return source
    try:
        return Const(load_foreign(json.dumps(source.value).encode(), type_))
    except (ParseFailed, NotSerialisable):
        return source


class _Reader:
    """From the JSON values of a plan to sources of a graph."""

    def __init__(self, names: set[str], inputs: set[str], faults: list[GraphFault]) -> None:
        self.names, self.inputs, self.faults = names, inputs, faults

    def source(self, value: Any, path: str) -> Source:
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, list | dict):
            items = [self.source(item, path) for item in (value.values() if isinstance(value, dict) else value)]
            if all(isinstance(item, Const) for item in items):
                plain = [item.value for item in items if isinstance(item, Const)]
                return Const(dict(zip(value, plain, strict=True)) if isinstance(value, dict) else plain)
            return Many("dict", tuple(items), tuple(value)) if isinstance(value, dict) else Many("list", tuple(items))
        return Const(value)

    def _text(self, text: str, path: str) -> Source:
        if text.startswith("$$"):
            return Const(text[1:])
        found = _REFERENCE.fullmatch(text)
        if found is not None:
            name, steps = found[1], _STEP.findall(found[2])
            return Ref(f"inputs.{name}" if name in self.inputs else name, tuple(field or int(item) for field, item in steps))
        inside = next((one[1] for one in _REFERENCE.finditer(text) if one[1] in self.names | self.inputs), "")
        if inside:
            hint = "a reference stands alone; put texts together with a function, or write $$ at the beginning for a dollar sign"
            self.faults.append(GraphFault(path, f"${inside} is part of a longer text", hint=hint, kind="unset"))
        return Const(text)
