"""Control flow in a graph: ``when``, a bounded ``loop``, and a question to a person."""

from __future__ import annotations

from typing import Any

from rookery.core.function import Prompt, Tool
from rookery.core.graph import MISSING, Call, Graph, Param, Variable, record, signature_of, trace
from rookery.errors import GraphFault


def when(condition: Any, then: Any, otherwise: Any = None) -> Variable[Any]:
    """``then`` if the condition is true, else ``otherwise`` (None unless given; then the type is ``T | None``).

    A call that only one branch needs runs only when that branch is taken. Branches may be written as variables, as
    values, or as functions without arguments that make the branch's calls.
    """
    branches = {"condition": condition, "then": _branch(then), "otherwise": _branch(otherwise)}

    def make(name: str, sources: dict[str, Any]) -> Call:
        return Call(name, "when", _union(_type(branches["then"]), _type(branches["otherwise"])), sources)

    return record("when", branches, make)


def _branch(branch: Any) -> Any:
    return branch() if callable(branch) and not isinstance(branch, Variable | Prompt | Tool | Graph | type) else branch


def _type(value: Any) -> Any:
    return value.type if isinstance(value, Variable) else type(value)


def _union(a: Any, b: Any) -> Any:
    from rookery.core.types import fits

    if fits(b, a):
        return a
    return b if fits(a, b) else a | b


def loop(
    body: Any, /, *, times: int | None = None, until: Any = None, or_last: bool = False, **initial: Any
) -> Variable[Any]:
    """Call ``body`` again and again, each time on what it gave, until ``until`` says so, at most ``times`` times.

    The first parameter of ``body`` is the state: it starts as given here and then is the last value; the other arguments
    stay the same. ``until`` takes the new state (and may name other parameters of ``body``) and gives a bool; without it the
    body runs exactly ``times`` times. At the bound the call fails with LoopExhausted unless ``or_last`` is true.
    ``body`` and ``until`` are prompts, tools, graphs, or functions that make calls.
    """
    name = getattr(body, "__name__", getattr(body, "name", "loop"))
    turn, state = _turn(body, until, name)
    times_given = times if times is not None else 0

    def make(call_name: str, sources: dict[str, Any]) -> Call:
        return Call(
            call_name, "loop", turn.params[state].type, sources,
            function=turn, times=times_given, or_last=or_last or until is None, state=state,
        )

    return record(name, initial, make)


def _turn(body: Any, until: Any, name: str) -> tuple[Graph, str]:
    """The graph of one turn: from the state and the constants to ``{"state": …, "done": …}``."""
    params = dict(body.params) if isinstance(body, Prompt | Tool | Graph) else signature_of(body, path=f"loops.{name}")[0]
    if not params:
        raise GraphFault(f"loops.{name}", "the body has no parameter to carry the state", hint="give it one", kind="loop")
    state = next(iter(params))

    def turn(**variables: Any) -> dict[str, Any]:
        new = body(**variables)
        if until is None:
            return {"state": new, "done": False}
        wanted = until.params if isinstance(until, Prompt | Tool | Graph) else signature_of(until, path=f"loops.{name}.until")[0]
        first, *others = wanted
        return {"state": new, "done": until(**{first: new}, **{other: variables[other] for other in others if other in variables})}

    plain = {key: Param(key, param.type, MISSING, param.labels) for key, param in params.items()}
    return trace(turn, name=name, params=plain, returns=dict[str, Any]), state


def ask(type_: Any, question: str, *, show: Any = None) -> Variable[Any]:
    """Ask a person: gives a Variable of ``type_``. Only what depends on the answer waits for it, also over a restart.

    ``show`` is what the person should see with the question: a value or a variable.
    """
    arguments = {"show": show} if show is not None else {}
    return record("ask", arguments, lambda name, sources: Call(name, "ask", type_, sources, question=question))


