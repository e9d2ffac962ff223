"""The graph: calls joined by their variables.

Nothing here runs a call. A graph is data; ``tape`` makes one of a Python function, ``check`` finds its faults, the schedule
says what is ready.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from rookery.core.label import NO_LABELS, Label, Labels
from rookery.core.policy import NO_POLICY, Policy, using
from rookery.errors import GraphFault, VariableMisuse

if TYPE_CHECKING:
    from rookery.core.variable import Variable

EFFECTS = " effects"
"""``when`` calls name the effects of a branch whose values nobody reads in arguments ``then effects`` and ``otherwise effects``."""
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
    keys: tuple[Any, ...] = ()


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


class Graph:
    """Calls joined by their variables. From a function by ``@graph``, from YAML, or from its parts.

    A graph may hold faults; ``check`` finds them all, and a run begins with it.
    """

    kind: Kind = "graph"
    options: Mapping[str, Any] = MappingProxyType({})
    """How a run of it is carried out where its caller does not say: ``models``, ``model``, ``limit``, ``policy``, ``max_in_flight``."""

    is_checked: bool = False
    """Whoever made it has checked it already."""

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
        self.effects = tuple(dict.fromkeys([*effects, *(call.name for call in calls if call.effect)]))
        """The calls that must be reached though nothing reads their values."""
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
        from rookery.core.tape import trace

        try:
            self.__dict__.update(trace(function).__dict__)
        except AttributeError as error:  # hasattr() would hide it
            self.__dict__["_function"] = function
            raise VariableMisuse(f"graph {function.__name__} cannot be traced: {error}") from error
        except BaseException:
            self.__dict__["_function"] = function
            raise
        return getattr(self, name)

    def __repr__(self) -> str:
        return f"<Graph {self.name}: {len(self.call_list)} calls>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from rookery.core.tape import bind, place

        return place(self, bind(self, args, kwargs))

    @property
    def effect(self) -> bool:
        """Whether calling it changes the world outside, or asks somebody: then it runs though nothing reads its value."""
        return bool(self.effects)

    def using(self, **options: Any) -> Graph:
        """The same graph under ``gather=…``: what becomes of a map over it some of whose calls failed.

        The other options are those of the prompts and tools in it: raises TypeError for them.
        """
        if set(options) - {"gather"}:
            raise TypeError(f"a graph takes gather=…, not {', '.join(sorted(set(options) - {'gather'}))}: give those to its prompts and tools")
        self.name  # noqa: B018 - one that is traced later is traced now
        other = copy(self)
        other.policy = using(self.policy, options)
        return other

    def each(self, *over: str, **kwargs: Any) -> Variable[list[Any]]:
        """The graph for each element of a list; see ``Prompt.each``."""
        from rookery.core.tape import place_each

        return place_each(self, over, kwargs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph):
            return NotImplemented
        return (self.params, self.call_list, self.output, self.effects) == (other.params, other.call_list, other.output, other.effects)

    __hash__ = object.__hash__
