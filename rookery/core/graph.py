"""The graph: calls joined by their variables, and the tape that records them while a Python function is traced.

Nothing here runs a call. A graph is data; ``check`` finds its faults, the schedule says what is ready.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NoReturn, Protocol, TypeVar, get_type_hints

from rookery.core.label import NO_LABELS, Label, Labels
from rookery.core.policy import NO_POLICY, Policy
from rookery.errors import GraphFault, OutsideRun, VariableMisuse

T = TypeVar("T")
Kind = Literal["prompt", "tool", "program", "graph", "each", "when", "loop", "ask"]


class _Missing:
    """No value was given; not the same as None."""

    def __repr__(self) -> str:
        return "<missing>"


MISSING: Any = _Missing()


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a prompt, tool or graph."""

    name: str
    type: Any
    default: Any = MISSING
    labels: Labels = NO_LABELS


def signature_of(function: Callable[..., Any], *, path: str) -> tuple[dict[str, Param], Any]:
    """Parameters and return type of a Python function, annotations resolved.

    Raises GraphFault for a parameter without annotation, ``*args`` or ``**kwargs``, or a name that cannot be resolved.
    """
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise GraphFault(path, f"annotation cannot be resolved: {error}", hint="import the name at module level", kind="type") from error
    params: dict[str, Param] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise GraphFault(f"{path}.{name}", "star parameters have no fixed type", hint="name the parameters", kind="type")
        if name not in hints:
            raise GraphFault(f"{path}.{name}", "parameter has no annotation", hint=f"write {name}: str, or its type", kind="type")
        default = MISSING if parameter.default is parameter.empty else parameter.default
        params[name] = Param(name, hints[name], default, labels_of(hints[name]))
    return params, hints.get("return", MISSING)


def labels_of(annotation: Any) -> Labels:
    """The labels that an ``Annotated[..., Label(…)]`` puts on its values."""
    return frozenset(extra.name for extra in getattr(annotation, "__metadata__", ()) if isinstance(extra, Label))


# ------------------------------------------------------------------ where an argument comes from


@dataclass(frozen=True, slots=True)
class Const:
    """A value known when the graph is built."""

    value: Any


@dataclass(frozen=True, slots=True)
class Ref:
    """A variable of the graph by its name (``titles``, ``inputs.topic``), or something below it."""

    name: str
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Many:
    """A list, tuple or dict some of whose items are variables."""

    shape: Literal["list", "tuple", "dict"]
    items: tuple[Source, ...]
    keys: tuple[str, ...] = ()


Source = Const | Ref | Many


def names_in(source: Source) -> Iterator[str]:
    """The names of the variables that a source reads, in order, repeats included."""
    if isinstance(source, Ref):
        yield source.name
    elif isinstance(source, Many):
        for item in source.items:
            yield from names_in(item)


# ------------------------------------------------------------------ the nouns


class Function(Protocol):
    """What a call can call: a Prompt, a Tool or a Graph."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind: ...

    @property
    def params(self) -> Mapping[str, Param]: ...

    @property
    def returns(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Call:
    """One node of a graph: what is called, with what, and the type of the variable it produces."""

    name: str
    kind: Kind
    type: Any
    args: Mapping[str, Source] = field(default_factory=dict)
    function: Any = None
    """The Prompt, Tool or Graph; for a loop the Graph of one turn; None for ``when`` and ``ask``."""
    policy: Policy = NO_POLICY
    over: tuple[str, ...] = ()
    """For ``each``: the arguments that are mapped over."""
    times: int | None = None
    """For ``loop``: the bound."""
    or_last: bool = False
    """For ``loop``: at the bound give the last state instead of failing."""
    state: str = ""
    """For ``loop``: the parameter that carries the state from turn to turn."""
    question: str = ""
    """For ``ask``: the text shown to the person."""
    labels: Labels = NO_LABELS

    @property
    def effect(self) -> bool:
        """Whether it must be reached though nothing reads its value."""
        return bool(getattr(self.function, "effect", False)) or self.kind == "ask"

    def reads(self) -> Iterator[str]:
        for source in self.args.values():
            yield from names_in(source)


class Variable(Generic[T]):
    """A typed value not known yet: what calling a Prompt, a Tool or a Graph gives inside a graph.

    ``variable["field"]`` and ``variable[0]`` reach below it. In a graph it may only be passed on; in async code
    inside a run it can be awaited.
    """

    __slots__ = ("_wait", "name", "path", "tape", "type")

    def __init__(self, tape: Tape | None, name: str, type_: Any, path: tuple[str | int, ...] = ()) -> None:
        self.tape = tape
        self.name = name
        self.type = type_
        self.path = path
        self._wait: Callable[[], Generator[Any, None, Any]] | None = None

    @property
    def producer(self) -> Call | None:
        """The call that produces it; None for an input."""
        return self.tape.calls.get(self.name) if self.tape else None

    @property
    def consumers(self) -> list[Call]:
        """The calls recorded so far that read it."""
        return [call for call in self.tape.calls.values() if self.name in call.reads()] if self.tape else []

    def __getitem__(self, step: str | int) -> Variable[Any]:
        from rookery.core.shape import step_type

        if not isinstance(step, str | int) or isinstance(step, bool):
            raise VariableMisuse(f"variable {self.name} can't be sliced", hint="slice it in a @tool")
        below: Variable[Any] = Variable(self.tape, self.name, step_type(self.type, step), (*self.path, step))
        below._wait = self._wait
        return below

    def __await__(self) -> Generator[Any, None, T]:
        if self._wait is None:
            raise VariableMisuse(
                f"variable {self.name} can't be awaited while a graph is traced",
                hint="make the graph `async def` to await inside it, or pass the variable on to the next call",
            )
        from rookery.core.template import lookup

        value = yield from self._wait()
        return lookup(value, self.path)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        from rookery.core.types import name_of

        return f"<Variable {self.name}{''.join(f'[{step!r}]' for step in self.path)}: {name_of(self.type)}>"

    def _misused(self, what: str, instead: str) -> NoReturn:
        raise VariableMisuse(f"variable {self.name} was used {what}, but its value is not known yet", hint=instead)

    def __bool__(self) -> bool:
        self._misused("as a condition", "use when(condition, then, otherwise), or await it in an async graph")

    def __iter__(self) -> Iterator[Any]:
        self._misused("in a for loop or unpacked", "use function.each(argument=variable), or await it in an async graph")

    def __len__(self) -> int:
        self._misused("in len()", "count it in a @tool")

    def __format__(self, spec: str) -> str:
        self._misused("in an f-string", "pass it to a prompt or tool as an argument")

    def __str__(self) -> str:
        self._misused("as text", "pass it to a prompt or tool as an argument")

    def __contains__(self, item: Any) -> bool:
        self._misused("with `in`", "test it in a @tool")

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._misused("as a function", "call the prompt or tool itself")

    def _operate(self, *others: Any) -> NoReturn:
        self._misused("in an expression", "compute in a @tool, or await it in an async graph")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _operate  # type: ignore[assignment]
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _operate
    __mod__ = __floordiv__ = __pow__ = __neg__ = __abs__ = __int__ = __float__ = __index__ = _operate  # type: ignore[assignment]
    __and__ = __or__ = __xor__ = __invert__ = __rand__ = __ror__ = _operate
    __hash__ = object.__hash__


class Graph:
    """Calls joined by their variables. From a function by ``@graph``, from YAML, or from its parts.

    A graph may hold faults; ``check`` finds them all, and a run begins with it.
    """

    kind: Kind = "graph"

    def __init__(
        self,
        name: str,
        *,
        inputs: Mapping[str, Param],
        calls: Sequence[Call],
        output: Source,
        returns: Any,
        effects: Sequence[str] = (),
        faults: Sequence[GraphFault] = (),
        doc: str = "",
        origin: str = "",
    ) -> None:
        self.name = name
        self.params: dict[str, Param] = dict(inputs)
        self.call_list = tuple(calls)
        """The calls as given; two of one name are a fault."""
        self.calls = {call.name: call for call in calls}
        self.output = output
        self.returns = returns
        self.effects = tuple(effects)
        self.faults = tuple(faults)
        """Faults found while the graph was built."""
        self.doc = doc
        self.origin = origin
        """``module:name`` or ``file.py:name`` where it was defined; how ``rookery resume`` finds it again."""
        self.policy = NO_POLICY
        self.plan: Any = None
        """The compiled form, made by the schedule at first use."""
        self.description: bytes | None = None
        """The description as it stands in logs, made by the engine at first use."""

    @classmethod
    def later(cls, function: Callable[..., Any]) -> Graph:
        """The graph of a function that names what is not defined yet: traced when it is first looked at."""
        graph = cls.__new__(cls)
        graph.__dict__["_function"] = function
        return graph

    def __getattr__(self, name: str) -> Any:
        function = self.__dict__.pop("_function", None)
        if function is None:
            raise AttributeError(f"Graph has no attribute {name!r}")
        try:
            self.__dict__.update(trace(function).__dict__)
        except BaseException:
            self.__dict__["_function"] = function
            raise
        return getattr(self, name)

    def __repr__(self) -> str:
        return f"<Graph {self.name}: {len(self.call_list)} calls>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return place(self, bind(self, args, kwargs))

    def each(self, *over: str, **kwargs: Any) -> Variable[list[Any]]:
        """The graph for each element of a list; see ``Prompt.each``."""
        return place_each(self, over, kwargs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph):
            return NotImplemented
        return (self.params, self.call_list, self.output, self.effects) == (other.params, other.call_list, other.output, other.effects)

    __hash__ = object.__hash__


# ------------------------------------------------------------------ recording calls


class Live(Protocol):
    """A run in which async code is executing: it carries out calls as they are made."""

    def make(self, graph: Graph, inputs: Mapping[str, Any]) -> Variable[Any]:
        """Carry out a graph of one call; the variable can be awaited."""
        ...


_tape: ContextVar[Tape | None] = ContextVar("rookery_tape", default=None)
_live: ContextVar[Live | None] = ContextVar("rookery_live", default=None)


class Tape:
    """What is recorded while a function is traced: its calls, in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: dict[str, Call] = {}
        self.faults: list[GraphFault] = []
        self.types: dict[str, Any] = {}

    def unique(self, name: str) -> str:
        if name not in self.calls:
            return name
        number = 2
        while f"{name}_{number}" in self.calls:
            number += 1
        return f"{name}_{number}"

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
        if isinstance(value, list | tuple) and any(map(holds_variable, value)):
            return Many("list" if isinstance(value, list) else "tuple", tuple(map(self.source, value)))
        if isinstance(value, dict) and any(map(holds_variable, value.values())):
            return Many("dict", tuple(map(self.source, value.values())), tuple(map(str, value)))
        return Const(value)


def holds_variable(value: Any) -> bool:
    """Whether a value is a variable or a list, tuple or dict with one inside."""
    if isinstance(value, Variable):
        return True
    if isinstance(value, list | tuple):
        return any(map(holds_variable, value))
    return isinstance(value, dict) and any(map(holds_variable, value.values()))


def is_live() -> bool:
    """Whether this code executes inside a run and is not being traced."""
    return _tape.get() is None and _live.get() is not None


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
    params = list(function.params)
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
            labels=getattr(function, "labels", NO_LABELS),
        ),
    )


def _type_of_call(function: Function, kind: Kind | None) -> Any:
    returns = function.returns
    if kind != "each":
        return returns
    if getattr(function, "policy", NO_POLICY).gather.kind == "none":
        returns = returns | None
    return list[returns]


def record(name: str, arguments: Mapping[str, Any], make: Callable[[str, dict[str, Source]], Call]) -> Variable[Any]:
    """Put the call that ``make(name, sources)`` gives where calls go now: on the tape, or into the live run."""
    tape = _tape.get()
    if tape is not None:
        return tape.add(make(tape.unique(name), {key: tape.source(value) for key, value in arguments.items()}))
    live = _live.get()
    if live is None:
        raise OutsideRun(f"{name}() was called outside of a graph and of a run", hint=f"use run({name}, …), or call it inside a @graph")
    single = Tape(name)
    inputs: dict[str, Any] = {}
    sources = {key: _as_input(single, key, value, inputs) for key, value in arguments.items()}
    call = make(name, sources)
    params = {key: Param(key, value.type if isinstance(value, Variable) else Any) for key, value in inputs.items()}
    return live.make(Graph(name, inputs=params, calls=[call], output=Ref(name), returns=call.type), inputs)


def _as_input(tape: Tape, key: str, value: Any, inputs: dict[str, Any]) -> Source:
    if isinstance(value, Variable):
        name = key if key not in inputs else f"{key}_{len(inputs)}"
        inputs[name] = value
        return Ref(f"inputs.{name}", ())
    if isinstance(value, list | tuple) and any(map(holds_variable, value)):
        return Many("list" if isinstance(value, list) else "tuple", tuple(_as_input(tape, key, item, inputs) for item in value))
    if isinstance(value, dict) and any(map(holds_variable, value.values())):
        return Many("dict", tuple(_as_input(tape, key, item, inputs) for item in value.values()), tuple(map(str, value)))
    return Const(value)


def place_each(function: Function, over: tuple[str, ...], arguments: Mapping[str, Any]) -> Variable[list[Any]]:
    """Record ``function`` mapped over those arguments that are lists of what it takes, or over those named in ``over``."""
    mapped = over or tuple(name for name, value in arguments.items() if name in function.params and _maps(value, function.params[name].type))
    return place(function, arguments, over=mapped, kind="each")


def _maps(value: Any, wanted: Any) -> bool:
    from rookery.core.shape import accepts
    from rookery.core.types import element_type, fits

    if isinstance(value, Variable):
        return element_type(value.type) is not None and not fits(value.type, wanted)
    if isinstance(value, range):
        return True
    if not isinstance(value, list | tuple):
        return False
    if any(map(holds_variable, value)):
        return element_type(wanted) is None
    return not accepts(value, wanted)


def trace(
    function: Callable[..., Any], *, name: str | None = None, params: Mapping[str, Param] | None = None, returns: Any = MISSING
) -> Graph:
    """Run a Python function once with Variables for its parameters, and give the graph of the calls it makes."""
    name = name or getattr(function, "__name__", "graph")
    if params is None:
        params, declared = signature_of(function, path=f"graph.{name}")
        returns = declared if returns is MISSING else returns
    tape = Tape(name)
    variables = {key: Variable(tape, f"inputs.{key}", param.type) for key, param in params.items()}
    with tape.recording():
        result = function(**variables)
    faults = list(tape.faults)
    if inspect.iscoroutine(result):
        result.close()
        faults.append(GraphFault(f"graph.{name}", "an async function can't be traced", hint="run it as it is: calls are made as it awaits", kind="async"))
    output = tape.source(result)
    if returns is MISSING:
        returns = result.type if isinstance(result, Variable) else Any
    effects = [call.name for call in tape.calls.values() if call.effect]
    return Graph(
        name, inputs=params, calls=list(tape.calls.values()), output=output, returns=returns, effects=effects,
        faults=faults + [fault for fault in tape.faults if fault not in faults],
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
