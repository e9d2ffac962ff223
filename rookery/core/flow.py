"""Control flow in a graph: ``when``, a bounded ``loop``, and a question to a person."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rookery.core.function import Prompt, Tool
from rookery.core.graph import EFFECTS, Call, Graph, Param
from rookery.core.signature import read_signature
from rookery.core.tape import Tape, current_tape, is_live, record, trace
from rookery.core.variable import Variable, type_with_variables
from rookery.errors import GraphFault, VariableMisuse


def when(condition: Any, then: Any, otherwise: Any = None) -> Variable[Any]:
    """``then`` if the condition is true, else ``otherwise`` (None unless given; then the type is ``T | None``).

    A call that only one branch needs runs only when that branch is taken. Branches may be written as variables, as
    values, or as functions without arguments that make the branch's calls; an effect made in such a function belongs to the
    branch though nothing reads its value. In async code the condition is awaited, so that ``if`` does the same: functions are
    refused there (VariableMisuse) unless the condition is known.
    """
    tape = current_tape()
    if tape is None and is_live():
        if isinstance(condition, Variable) and (_is_function(then) or _is_function(otherwise)):
            raise VariableMisuse("when() with functions in async code would make the calls of both branches", hint="write `if await condition: …`")
        if not isinstance(condition, Variable):  # known already: the other branch is not even made
            then, otherwise = (then, None) if condition else (None, otherwise)
    arguments = {"condition": condition}
    for name, branch in (("then", then), ("otherwise", otherwise)):
        arguments[name], effects = _branch(branch, tape)
        if effects:
            arguments[name + EFFECTS] = effects
    type_ = _union(arguments["then"], arguments["otherwise"])
    return record("when", arguments, lambda name, sources: Call(name, "when", type_, sources))


def _is_function(branch: Any) -> bool:
    return callable(branch) and not isinstance(branch, Variable | Prompt | Tool | Graph | type)


def _branch(branch: Any, tape: Tape | None) -> tuple[Any, list[Variable[Any]]]:
    """A branch's value, and the effects made for it whose values nobody reads."""
    if not _is_function(branch):
        return branch, []
    before = len(tape.calls) if tape is not None else 0
    value = branch()
    if tape is None:
        return value, []
    made = list(tape.calls.values())[before:]
    read = {name for call in made for name in call.reads()}
    unread = [call for call in made if call.effect and call.name not in read and not (isinstance(value, Variable) and value.name == call.name)]
    return value, [Variable(tape, call.name, call.type) for call in unread]


def _union(then: Any, otherwise: Any) -> Any:
    from rookery.core.shape import union

    return union([type_with_variables(then), type_with_variables(otherwise)])


def loop(
    body: Any, /, *, times: int | None = None, until: Any = None, or_last: bool = False, **initial: Any
) -> Variable[Any]:
    """Call ``body`` again and again, each time on what it gave, until ``until`` says so, at most ``times`` times.

    The first parameter of ``body`` is the state: it starts as given here and then is the last value; the other arguments
    stay the same. ``until`` takes the new state (and may name other parameters of ``body``) and gives a bool; without it the
    body runs exactly ``times`` times. At the bound the call fails with LoopExhausted unless ``or_last`` is true.
    ``body`` and ``until`` are prompts, tools, graphs, or functions that make calls; parameters that such a function does not
    annotate have the types of the arguments given here.
    """
    name = str(getattr(body, "name", None) or getattr(body, "__name__", "loop"))
    turn, state = _turn(body, until, name if name != "<lambda>" else "loop", initial)
    bound = times if isinstance(times, int) and not isinstance(times, bool) else None

    def make(call_name: str, sources: dict[str, Any]) -> Call:
        return Call(
            call_name, "loop", turn.params[state].type, sources,
            function=turn, times=bound, or_last=or_last or until is None, state=state,
        )

    return record(turn.name, initial, make)


def _turn(body: Any, until: Any, name: str, initial: Mapping[str, Any]) -> tuple[Graph, str]:
    """The graph of one turn: from the state and the constants to ``{"state": …, "done": …}``."""
    params, faults = _params(body, name, initial)
    if not params:
        raise GraphFault(f"loops.{name}", "the body has no parameter to carry the state", hint="give it one", kind="loop")
    state = next(iter(params))

    def turn(**variables: Any) -> dict[str, Any]:
        new = body(**variables)
        if until is None:
            return {"state": new, "done": False}
        first, *others = _names(until, name)
        return {"state": new, "done": until(**{first: new}, **{other: variables[other] for other in others if other in variables})}

    graph = trace(turn, name=name, params=params, returns=dict[str, Any])
    graph.faults = (*faults, *graph.faults)
    return graph, state


def _params(body: Any, name: str, initial: Mapping[str, Any]) -> tuple[dict[str, Param], list[GraphFault]]:
    if isinstance(body, Prompt | Tool | Graph):
        return dict(body.params), []
    params, _, faults = read_signature(body, path=f"loops.{name}")
    for key, value in initial.items():
        if key in params and params[key].type is Any and key not in getattr(body, "__annotations__", {}):
            params[key] = replace(params[key], type=type_with_variables(value))
            faults = [fault for fault in faults if fault.path != f"loops.{name}.{key}"]
    return params, faults


def _names(until: Any, name: str) -> list[str]:
    names = list(until.params if isinstance(until, Prompt | Tool | Graph) else inspect.signature(until).parameters)
    if not names:
        raise GraphFault(f"loops.{name}.until", "it has no parameter to take the new state", hint="give it one", kind="loop")
    return names


def ask(type_: Any, question: str, *, show: Any = None) -> Variable[Any]:
    """Ask a person: gives a Variable of ``type_``. Only what depends on the answer waits for it, also over a restart.

    ``show`` is what the person should see with the question: a value or a variable.
    """
    arguments = {"show": show} if show is not None else {}
    return record("ask", arguments, lambda name, sources: Call(name, "ask", type_, sources, question=question))
