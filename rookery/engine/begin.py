"""What a run begins with: its options, its inputs validated and written, its first event, and the description of its graph."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

from rookery.core import event as ev
from rookery.core.argument import plain_source
from rookery.core.event import Event
from rookery.core.function import Prompt
from rookery.core.graph import MISSING, Call, Graph, names_in
from rookery.core.label import NO_LABELS, SECRET, Labels
from rookery.core.limit import Limit
from rookery.core.passage import Clearance, clear_none
from rookery.core.policy import NO_POLICY, Policy
from rookery.core.state import Slot, State
from rookery.core.types import name_of
from rookery.core.value import codec, digest
from rookery.engine.cache import ResultCache
from rookery.engine.log import Log, MemoryLog
from rookery.errors import InputError, ParseFailed, RunError

if TYPE_CHECKING:
    from rookery.engine.rehearse import Rehearsal
    from rookery.engine.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a run is carried out; none of it changes what the program means."""

    model: Any = None
    """The model of all prompts that name none: a Model, or its name (``openai:gpt-5-mini``)."""
    models: Mapping[str, Any] = field(default_factory=dict)
    """Models by the names that prompts use for them."""
    limit: Limit | None = None
    max_in_flight: int | None = None
    """At most so many calls at a time, of all kinds."""
    policy: Policy = NO_POLICY
    """Options of all calls that do not say otherwise."""
    cache: ResultCache | None = None
    """Where values of equal calls are kept; None: only within this run."""
    clearance: Clearance = clear_none
    """Where labelled values may go though their labels keep them from it."""
    seed: int = 0
    secrets: Mapping[str, Any] = field(default_factory=dict)
    """Values of secret variables by path, given again at resume."""
    rehearsal: Rehearsal | None = None
    """What stands in for models, tools and persons where a run is only rehearsed."""


def in_force(graph: Graph, options: Options) -> Options:
    """Options as given, and where they say nothing as the graph itself wants them; of two limits the tighter one holds."""
    own = graph.options
    if not own:
        return options
    limits = [limit for limit in (options.limit, own.get("limit")) if limit]
    most = [number for number in (options.max_in_flight, own.get("max_in_flight")) if number is not None]
    return replace(
        options, model=options.model if options.model is not None else own.get("model"), models={**own.get("models", {}), **options.models},
        limit=reduce(and_, limits) if limits else None, max_in_flight=min(most, default=None),
        policy=options.policy.over(own.get("policy", NO_POLICY)),
        clearance=options.clearance | own["clearance"] if "clearance" in own else options.clearance,
    )


def edit_event(state: State, variable: str, value: Any, *, by: str, run: str) -> ev.VariableEdited:
    """The event that sets a variable. Raises RunError when there is none of that name, ParseFailed for a wrong value."""
    slot: Slot | None = state.nodes.get(variable)
    if variable.startswith("inputs."):
        slot = state.inputs.get(variable.removeprefix("inputs."))
    if slot is None:
        names = [f"inputs.{name}" for name in state.inputs] + [path for path in state.nodes if path != "output"]
        raise RunError(f"no variable {variable!r} in this run", run=run, hint=f"there are {', '.join(names[:20])}")
    value = slot.codec.validate(value)
    write = state.writer.secret if SECRET in slot.labels else state.writer.write
    return ev.VariableEdited(time.time(), variable, write(value, slot.codec), by, slot.labels, held=value)


def open_log(log: Log | str | os.PathLike[str] | None) -> Log:
    """A log as given: an object, the path of a SQLite file, or None for one in memory."""
    if log is None:
        return MemoryLog()
    if isinstance(log, str | os.PathLike):
        from rookery.engine.sqlite import SQLiteLog

        return SQLiteLog(log)
    return log


def begin_new(graph: Graph, inputs: Mapping[str, Any], options: Options, program: str, *, parent: str = "") -> Callable[[Run], list[Event]]:
    """What a new run begins with: its inputs, validated and written, and its first event."""
    values = validated(graph, inputs)

    def begin(run: Run) -> list[Event]:
        state = run.state
        references: dict[str, str] = {}
        labels: dict[str, list[str]] = {}
        for name, value in values.items():
            param = graph.params[name]
            slot = state.inputs[name] = Slot(f"inputs.{name}", codec(param.type))
            slot.held = value
            if param.labels:
                labels[name] = sorted(param.labels)
            references[name] = state.writer.secret(value, slot.codec) if SECRET in param.labels else state.writer.write(value, slot.codec)
        run.supply.set_limit(options.limit)
        named: dict[str, Any] = {"model": options.model} if isinstance(options.model, str) else {}
        if options.limit:
            named["limit"] = plain_limit(options.limit)
        description = state.writer.store(description_of(graph))
        return [ev.RunStarted(time.time(), run.id, program, description, references, labels, options.seed, parent, named)]

    return begin


def description_of(graph: Graph) -> bytes:
    """A graph's description as it stands in logs; written once for each graph."""
    if graph.description is None:
        graph.description = codec(dict[str, Any]).dump(describe(graph))
    return graph.description


def describe(graph: Graph) -> dict[str, Any]:
    """A graph as plain data, for screens and to know it again at resume; the graphs it calls stand under ``graphs``, each once."""
    graphs, numbers = [graph], {id(graph): 0}
    described: list[dict[str, Any]] = []
    while len(described) < len(graphs):
        described.append(_described(graphs[len(described)], graphs, numbers))
    first, *rest = described
    if rest:
        first["graphs"] = rest
        for call in first["calls"]:
            if "graph" in call:
                call["fingerprint"] = _fingerprint(described, call["graph"])
    return first


def _fingerprint(described: list[dict[str, Any]], number: int) -> str:
    """16 hex digits of what a graph and the graphs it calls say; how a resumed run knows them again."""
    known = ("name", "kind", "type", "reads", "over", "fingerprint")
    found, todo = dict[int, Any](), [number]
    while todo:
        each = todo.pop()
        if each not in found:
            calls = described[each]["calls"]
            found[each] = [described[each]["output"], [[call[key] if "graph" not in call or key != "fingerprint" else "" for key in known]
                                                       for call in calls]]  # fmt: skip
            todo += [call["graph"] for call in calls if "graph" in call]
    return digest(json.dumps(list(found.values())).encode())[:16]


def _described(graph: Graph, graphs: list[Graph], numbers: dict[int, int]) -> dict[str, Any]:
    calls: list[dict[str, Any]] = []
    for call in graph.call_list:
        found = describe_call(call)
        if isinstance(call.function, Graph):
            if id(call.function) not in numbers:
                numbers[id(call.function)] = len(graphs)
                graphs.append(call.function)
            found["graph"] = numbers[id(call.function)]
        calls.append(found)
    return {
        "name": graph.name, "inputs": {name: name_of(param.type) for name, param in graph.params.items()}, "output": list(names_in(graph.output)),
        "calls": calls,
    }


def describe_call(call: Call) -> dict[str, Any]:
    """One call of a graph as plain data: what it is, what it reads, and what a reader of the log wants to know of its function."""
    function = call.function
    found: dict[str, Any] = {
        "name": call.name, "kind": call.kind, "function": getattr(function, "name", ""), "type": name_of(call.type),
        "reads": list(dict.fromkeys(call.reads())), "over": list(call.over),
        "fingerprint": function.fingerprint() if hasattr(function, "fingerprint") else "",
    }
    if call.args:
        found["args"] = {name: plain_source(source) for name, source in call.args.items() if SECRET not in _param_labels(function, name)}
    if isinstance(function, Prompt):
        found["template"] = function.template.source
        if function.system is not None:
            found["system"] = function.system.source
        role = getattr(function, "role", "")  # an agent's
        if role:
            found["role"] = role
    if call.state:
        found["state"] = call.state
    if call.question:
        found["question"] = call.question
    if isinstance(getattr(function, "limit", None), Limit):  # a search's own
        found["limit"] = plain_limit(function.limit)
    return found


def plain_limit(limit: Limit) -> dict[str, float]:
    """The caps of a limit that are set."""
    return {field.name: cap for field in fields(limit) if (cap := getattr(limit, field.name)) is not None}


def _param_labels(function: Any, name: str) -> Labels:
    param = getattr(function, "params", {}).get(name)
    return param.labels if param is not None else NO_LABELS


def validated(graph: Graph, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs checked against a graph's parameters. Raises InputError with all that is wrong."""
    wrong = [f"unknown input {name!r}; it takes {', '.join(graph.params) or 'none'}" for name in inputs if name not in graph.params]
    values: dict[str, Any] = {}
    for name, param in graph.params.items():
        value = inputs.get(name, param.default)
        if value is MISSING:
            wrong.append(f"input {name!r} ({name_of(param.type)}) is not given")
            continue
        try:
            values[name] = codec(param.type).validate(value)
        except ParseFailed as error:
            wrong.append(f"input {name!r}: {error.reason}")
    if wrong:
        raise InputError(f"{graph.name} can't start: " + "; ".join(wrong))
    return values

