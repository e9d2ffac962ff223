"""Prompt and Tool: a typed function that a model fills in, and one that Python fills in; and the decorators that make them."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from copy import copy
from functools import cached_property
from typing import Annotated, Any, Generic, Literal, ParamSpec, TypeVar, overload

from rookery.core.graph import MISSING, Graph, Kind, Param, labels_of
from rookery.core.label import NO_LABELS, Given, Labels, labels_given
from rookery.core.policy import NO_POLICY, Policy, using
from rookery.core.signature import signature_of
from rookery.core.tape import bind, is_live, is_traced, origin_of, place, place_each, trace
from rookery.core.template import Hole, Template
from rookery.core.variable import Variable
from rookery.errors import GraphFault

P = ParamSpec("P")
R = TypeVar("R")
Form = Literal["auto", "text", "json", "lines"]
Signature = tuple[dict[str, Param], Any]
"""Parameters by name, and the return type."""
IdempotencyKey = Annotated[str, "idempotency key"]
"""Annotates the parameter of a tool that the engine fills in: a text that is the same for all attempts at one call, also after a crash,
and another for each other call. It is no parameter to those who call the tool; called outside of a run, its default is used."""


class _Typed(Generic[P, R]):
    """What Prompt and Tool share: a name, a signature, a policy, and ``each``."""

    kind: Kind

    def __init__(
        self, function: Callable[..., Any], *, name: str | None = None, policy: Policy = NO_POLICY, labels: Given = NO_LABELS,
        doc: str | None = None, signature: Signature | None = None,
    ) -> None:
        self.function = function
        self.name: str = name or str(getattr(function, "__name__", "call"))
        self.policy = policy
        self.doc = (inspect.getdoc(function) or "") if doc is None else doc
        self.given = signature
        self.own_labels = labels_given(labels)
        self.__name__ = self.name
        self.__doc__ = self.doc

    @cached_property
    def _signature(self) -> Signature:
        return self.given or signature_of(self.function, path=f"{self.kind}s.{self.name}")

    @property
    def params(self) -> Mapping[str, Param]:
        return self._signature[0]

    @property
    def returns(self) -> Any:
        """The type of its value. Raises GraphFault when the function has no return annotation."""
        declared = self._signature[1]
        if declared is MISSING:
            hint = f"write def {self.name}(…) -> str: …, or its type"
            raise GraphFault(f"{self.kind}s.{self.name}", "no return annotation", hint=hint, kind="type")
        return type(None) if declared is None else declared

    @cached_property
    def labels(self) -> Labels:
        """Labels that every value it gives carries."""
        return self.own_labels | labels_of(self._signature[1])

    @property
    def origin(self) -> str:
        return origin_of(self.function)

    def using(self, **options: Any) -> Any:
        """The same function under other options; see Policy for their names."""
        other = copy(self)
        other.policy = using(self.policy, options)
        return other

    def each(self, *over: str, **arguments: Any) -> Variable[list[R]]:
        """One call for each element of a list that may be known only at run time; gives the list of their values.

        Arguments that are lists of what the parameter takes are mapped, all others are the same for each call; several
        mapped lists go in step and must be equally long. Name the mapped ones (``f.each("x", x=…)``) where both would fit.
        """
        return place_each(self, over, arguments)

    def fingerprint(self) -> str:
        """16 hex digits of what decides its value besides its arguments; how a resumed run knows it again."""
        from rookery.core.types import name_of

        text = json.dumps([self.kind, self.name, [[p.name, name_of(p.type)] for p in self.params.values()], name_of(self.returns), self._body()])
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def _body(self) -> Any:
        return None


class Prompt(_Typed[P, R]):
    """A typed function that a model fills in: its docstring is the template, its signature the contract."""

    kind: Kind = "prompt"

    def __init__(
        self, function: Callable[..., Any], *, name: str | None = None, policy: Policy = NO_POLICY, labels: Given = NO_LABELS,
        form: Form = "auto", system: str | None = None, template: str | None = None, signature: Signature | None = None,
    ) -> None:
        super().__init__(function, name=name, policy=policy, labels=labels, signature=signature)
        self.form: Form = form
        """How the answer is written. ``auto`` follows the type and tells the model so; a form given by hand adds nothing to the template."""
        self.source = inspect.cleandoc(template) if template is not None else self.doc
        self.system_source = inspect.cleandoc(system) if system is not None else None

    @cached_property
    def template(self) -> Template:
        """The user message. Without a docstring: the function's name and its arguments.

        Raises GraphFault when the text cannot be read.
        """
        if self.source:
            return Template.parse(self.source, path=f"prompts.{self.name}")
        parts: list[str | Hole] = [self.name.replace("_", " ").capitalize() + "."]
        for name in self.params:
            parts += [f"\n\n{name}:\n", Hole(name)]
        return Template(tuple(parts))

    @cached_property
    def system(self) -> Template | None:
        """The system message, if there is one."""
        return Template.parse(self.system_source, path=f"prompts.{self.name}.system") if self.system_source else None

    def _body(self) -> Any:
        return [self.template.source, self.system.source if self.system else None, self.form]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Variable[R]:
        return place(self, bind(self, args, kwargs))

    def __repr__(self) -> str:
        return f"<Prompt {self.name}>"


class Tool(_Typed[P, R]):
    """A typed function that Python fills in. Outside of graphs and runs it is the plain function.

    Synchronous functions run in a thread unless ``inline=True`` says that they take microseconds. An async one may
    itself await prompts and tools; they are recorded as calls of the run. Where the function's own signature does not say
    what it takes (it stands for something of a server), ``signature`` does, and ``doc`` what it is for.
    """

    kind: Kind = "tool"

    def __init__(
        self, function: Callable[..., Any], *, name: str | None = None, policy: Policy = NO_POLICY, labels: Given = NO_LABELS,
        effect: bool = False, pure: bool = False, kind: Kind = "tool", doc: str | None = None, signature: Signature | None = None,
        outside: bool = False, doc_labels: Given = NO_LABELS, drops: Given = NO_LABELS, clears: Given = NO_LABELS,
    ) -> None:
        super().__init__(function, name=name, policy=policy, labels=labels, doc=doc, signature=signature)
        self.outside = outside
        """What it is called with leaves this machine."""
        self.doc_labels = labels_given(doc_labels)
        """The labels of its own description, where that came from outside."""
        self.drops = labels_given(drops)
        """Labels of its arguments that its value does not carry."""
        self.clears = labels_given(clears)
        """Labels that its arguments may carry though it has effects or reaches outside."""
        self.asks = False
        """It asks a person itself where labels would keep values from it."""
        self.effect = effect
        """It changes the world outside: it runs though nothing reads its value, and its value is never cached."""
        self.pure = pure
        """The same arguments always give the same value; it may be cached."""
        self.kind = kind
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004

    @cached_property
    def params(self) -> Mapping[str, Param]:
        """What a caller gives: all its parameters but the one that the engine fills in."""
        return {name: param for name, param in self._signature[0].items() if param.type != IdempotencyKey}

    @cached_property
    def key(self) -> str:
        """The name of its parameter that takes an IdempotencyKey; empty when it has none."""
        return next((name for name, param in self._signature[0].items() if param.type == IdempotencyKey), "")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Variable[R]:
        if is_traced() or is_live():
            return place(self, bind(self, args, kwargs))
        return self.function(*args, **kwargs)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<{'Tool' if self.kind == 'tool' else 'Program'} {self.name}>"


@overload
def prompt(function: Callable[P, R], /) -> Prompt[P, R]: ...
@overload
def prompt(
    *, name: str | None = None, form: Form = "auto", system: str | None = None, template: str | None = None,
    labels: Given = NO_LABELS, **options: Any,
) -> Callable[[Callable[P, R]], Prompt[P, R]]: ...
def prompt(
    function: Callable[..., Any] | None = None, /, *, name: str | None = None, form: Form = "auto", system: str | None = None,
    template: str | None = None, labels: Given = NO_LABELS, **options: Any,
) -> Any:
    """Make a Prompt of a typed function: the docstring is the template, ``{name}`` its holes; ``options`` as in Policy."""
    policy = using(NO_POLICY, options) if options else NO_POLICY

    def make(function: Callable[..., Any]) -> Prompt[..., Any]:
        return Prompt(function, name=name, policy=policy, labels=labels, form=form, system=system, template=template)

    return make(function) if function is not None else make


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *, name: str | None = None, effect: bool = False, pure: bool = False, labels: Given = NO_LABELS, outside: bool = False,
    clears: Given = NO_LABELS, **options: Any,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(
    function: Callable[..., Any] | None = None, /, *, name: str | None = None, effect: bool = False, pure: bool = False,
    labels: Given = NO_LABELS, outside: bool = False, clears: Given = NO_LABELS, **options: Any,
) -> Any:
    """Make a Tool of a typed function, synchronous or async; ``options`` as in Policy.

    ``effect``: it changes the world outside. ``outside``: what it is called with leaves this machine. ``labels``: what its value carries;
    ``clears``: the labels that its arguments may carry all the same (``"untrusted"`` for one that files what it is given as such).
    """
    policy = using(NO_POLICY, options) if options else NO_POLICY

    def make(function: Callable[..., Any]) -> Tool[..., Any]:
        return Tool(function, name=name, policy=policy, labels=labels, effect=effect, pure=pure, outside=outside, clears=clears)

    return make(function) if function is not None else make


def program(function: Callable[..., Any]) -> Tool[..., Any]:
    """An async function as the outermost call of a run: the prompts and tools it awaits are the run's calls."""
    return Tool(function, kind="program")


def graph(function: Callable[P, R], /) -> Graph:
    """Make a Graph of a function. A plain one is traced once; an async one makes its calls as it runs.

    It is traced now, or at its first use where it names something that is defined further down.
    """
    if inspect.iscoroutinefunction(function):
        return program(function)  # type: ignore[return-value]
    try:
        return trace(function)
    except NameError:
        return Graph.later(function)
