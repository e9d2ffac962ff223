"""Where calls go when they are made: onto the tape while a function is traced, or into the run whose code makes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from rookery.core.graph import MISSING, Call, Const, Function, Graph, Kind, Many, Param, Ref, Source
from rookery.core.label import NO_LABELS, Labels
from rookery.core.policy import NO_POLICY
from rookery.core.signature import read_signature
from rookery.core.variable import CONTAINERS, Variable, holds_variable, type_with_variables
from rookery.errors import GraphFault, OutsideRun, VariableMisuse


class Live(Protocol):
    """A run in which async code is executing: it carries out calls as they are made."""

    def make(self, graph: Graph, inputs: Mapping[str, Any]) -> Variable[Any]:
        """Carry out a graph of one call; the variable can be awaited."""
        ...

    @property
    def labels(self) -> Labels:
        """The labels of all that the code has been given and has looked at."""
        ...

    def saw(self, labels: Labels, source: str) -> None:
        """The code has looked at something with these labels; ``source`` is a variable, or whatever else it came from."""
        ...

    def hold(self, labels: Labels, sink: str) -> None:
        """Raises FlowRefused for the first of these labels that is not cleared for a sink."""
        ...


_tape: ContextVar[Tape | None] = ContextVar("rookery_tape", default=None)
_live: ContextVar[Live | None] = ContextVar("rookery_live", default=None)


_NO_PATH = str.maketrans("/[]#?.", "______")


class Tape:
    """What is recorded while a function is traced: its calls, in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: dict[str, Call] = {}
        self.faults: list[GraphFault] = []
        self.types: dict[str, Any] = {}
        self._numbers: dict[str, int] = {}

    def unique(self, name: str) -> str:
        """A name that no call has yet; what paths are made of (``/[]#?.``) is left out of it."""
        name = name.translate(_NO_PATH)
        number = self._numbers.get(name, 0) + 1
        found = name if number == 1 else f"{name}_{number}"
        while found in self.calls:
            number += 1
            found = f"{name}_{number}"
        self._numbers[name] = number
        return found

    def add(self, call: Call) -> Variable[Any]:
        self.calls[call.name] = call
        self.types[call.name] = call.type
        return Variable(self, call.name, call.type)

    @contextmanager
    def recording(self) -> Iterator[None]:
        token = _tape.set(self)
        try:
            yield
        finally:
            _tape.reset(token)

    def source(self, value: Any) -> Source:
        """An argument as a source: a variable, a container of variables, or a constant."""
        if isinstance(value, Variable):
            if value.tape is not self:
                self.faults.append(
                    GraphFault(f"calls.{value.name}", "variable of another graph", hint="pass it in as an input of this graph", kind="scope")
                )
            return Ref(value.name, value.path)
        return self._container(value) if isinstance(value, CONTAINERS) and holds_variable(value) else Const(value)

    def _container(self, value: Any) -> Source:
        if isinstance(value, list | tuple):
            return Many("list" if isinstance(value, list) else "tuple", tuple(map(self.source, value)))
        if isinstance(value, dict) and not any(isinstance(key, Variable) for key in value):
            return Many("dict", tuple(map(self.source, value.values())), tuple(value))
        what = "a key of a dict" if isinstance(value, dict) else f"an item of a {type(value).__name__}"
        self.faults.append(GraphFault(f"graph.{self.name}", f"a variable can't be {what}", hint="make it in a @tool", kind="type"))
        return Const(None)


def is_live() -> bool:
    """Whether this code executes inside a run and is not being traced."""
    return _tape.get() is None and _live.get() is not None


def current_live() -> Live | None:
    """The run in which this code executes, if it does."""
    return _live.get()


def current_tape() -> Tape | None:
    """The tape that calls are recorded on while a graph is traced."""
    return _tape.get()


def is_traced() -> bool:
    """Whether a graph is being traced."""
    return _tape.get() is not None


@contextmanager
def living(live: Live | None) -> Iterator[None]:
    """Async code in this block makes its calls in ``live``."""
    token = _live.set(live)
    try:
        yield
    finally:
        _live.reset(token)


def bind(function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Positional and keyword arguments by parameter name. Raises TypeError as a Python call would."""
    try:
        params = list(function.params)
    except GraphFault:
        if _tape.get() is None:
            raise
        return dict(kwargs)  # the check of the graph will say it, together with all other faults
    if len(args) > len(params):
        raise TypeError(f"{function.name}() takes {len(params)} argument(s), {len(args)} given")
    bound = dict(zip(params, args, strict=False))
    for name, value in kwargs.items():
        if name in bound:
            raise TypeError(f"{function.name}() got argument {name!r} twice")
        bound[name] = value
    return bound


def place(function: Function, arguments: Mapping[str, Any], *, over: tuple[str, ...] = (), kind: Kind | None = None) -> Variable[Any]:
    """Record a call of ``function`` on the tape in force, or carry it out in the run in force.

    Raises OutsideRun where neither is.
    """
    return record(
        function.name,
        arguments,
        lambda name, sources: Call(
            name,
            kind or function.kind,
            _type_of_call(function, kind),
            sources,
            function=function,
            policy=getattr(function, "policy", NO_POLICY),
            over=over,
            labels=_labels_of_call(function),
        ),
    )


def _labels_of_call(function: Function) -> Labels:
    try:
        return getattr(function, "labels", NO_LABELS)
    except GraphFault:
        if _tape.get() is None:
            raise
        return NO_LABELS  # as in ``bind``


def _type_of_call(function: Function, kind: Kind | None) -> Any:
    try:
        returns = function.returns
    except GraphFault:
        if _tape.get() is None:
            raise
        return Any  # as in ``bind``
    if kind != "each":
        return returns
    if getattr(function, "policy", NO_POLICY).gather.kind == "none":
        returns = returns | None
    return list[returns]  # type: ignore[valid-type]


def record(name: str, arguments: Mapping[str, Any], make: Callable[[str, dict[str, Source]], Call]) -> Variable[Any]:
    """Put the call that ``make(name, sources)`` gives where calls go now: on the tape, or into the live run."""
    tape = _tape.get()
    if tape is not None:
        return tape.add(make(tape.unique(name), {key: tape.source(value) for key, value in arguments.items()}))
    live = _live.get()
    if live is None:
        raise OutsideRun(f"{name}() was called outside of a graph and of a run", hint=f"use run({name}, …), or call it inside a @graph")
    name = name.translate(_NO_PATH)
    inputs: dict[str, Any] = {}
    sources = {key: _as_input(key, value, inputs) for key, value in arguments.items()}
    call = make(name, sources)
    params = {key: Param(key, value.type if isinstance(value, Variable) else Any) for key, value in inputs.items()}
    return live.make(Graph(name, inputs=params, calls=[call], output=Ref(name), returns=call.type), inputs)


def _as_input(key: str, value: Any, inputs: dict[str, Any]) -> Source:
    if isinstance(value, Variable):
        name = key if key not in inputs else f"{key}~{len(inputs) + 1}"  # a number that grows: a long list is named in one pass
        inputs[name] = value
        return Ref(f"inputs.{name}", ())
    if isinstance(value, list | tuple) and holds_variable(value):
        return Many("list" if isinstance(value, list) else "tuple", tuple(_as_input(key, item, inputs) for item in value))
    if isinstance(value, dict) and holds_variable(list(value.values())):
        return Many("dict", tuple(_as_input(key, item, inputs) for item in value.values()), tuple(value))
    if isinstance(value, CONTAINERS) and holds_variable(value):
        raise VariableMisuse(f"a variable can't be in a {type(value).__name__} or a key of a dict", hint="await it first")
    return Const(value)


def place_each(function: Function, over: tuple[str, ...], arguments: Mapping[str, Any]) -> Variable[list[Any]]:
    """Record ``function`` mapped over those arguments that are lists of what it takes, or over those named in ``over``."""
    try:
        params = function.params
    except GraphFault:
        if _tape.get() is None:
            raise
        params = {}
    mapped = over or tuple(name for name, value in arguments.items() if name in params and _maps(value, params[name].type))
    return place(function, arguments, over=mapped, kind="each")


def _maps(value: Any, wanted: Any) -> bool:
    from rookery.core.shape import accepts
    from rookery.core.types import element_type, fits

    if isinstance(value, Variable):
        return element_type(value.type) is not None and not fits(value.type, wanted)
    if isinstance(value, range):
        return not accepts(value, wanted)
    if not isinstance(value, list | tuple):
        return False
    if holds_variable(value):
        return not fits(type_with_variables(value), wanted)
    return not accepts(value, wanted)


def trace(
    function: Callable[..., Any], *, name: str | None = None, params: Mapping[str, Param] | None = None, returns: Any = MISSING
) -> Graph:
    """Run a Python function once with Variables for its parameters, and give the graph of the calls it makes."""
    name = name or str(getattr(function, "__name__", "graph"))
    faults: list[GraphFault] = []
    if params is None:
        params, declared, faults = read_signature(function, path=f"graph.{name}")
        returns = declared if returns is MISSING else returns
    tape = Tape(name)
    tape.faults = faults
    variables: dict[str, Variable[Any]] = {key: Variable(tape, f"inputs.{key}", param.type) for key, param in params.items()}
    with tape.recording():
        result = function(**variables)
    if inspect.iscoroutine(result):
        result.close()
        hint = "run it as it is: calls are made as it awaits"
        faults.append(GraphFault(f"graph.{name}", "an async function can't be traced", hint=hint, kind="async"))
        result = None
    output = tape.source(result)
    if returns is MISSING:
        returns = Any if isinstance(output, Const) else type_with_variables(result)
    return Graph(
        name, inputs=params, calls=list(tape.calls.values()), output=output, returns=returns, faults=faults,
        doc=inspect.getdoc(function) or "", origin=origin_of(function),
    )


def origin_of(function: Any) -> str:
    """``module:name``, or ``file.py:name`` for the main module and for files loaded by path; how it is found again."""
    module = getattr(function, "__module__", "") or ""
    name = getattr(function, "__qualname__", getattr(function, "__name__", ""))
    if module in ("__main__", "") or module.startswith("rookery_program"):
        code = getattr(inspect.unwrap(function), "__code__", None)
        return f"{code.co_filename}:{name}" if code else name
    return f"{module}:{name}"
