"""The semantic variable: a typed value not known yet, which says what to write instead when it is used as if it were known."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from rookery.core.graph import Call, Const, Many, Ref, Source
from rookery.errors import VariableMisuse

if TYPE_CHECKING:
    from rookery.core.tape import Tape

T = TypeVar("T")
CONTAINERS = (list, tuple, dict, set, frozenset)
"""Where variables are looked for in an argument; they may stand in the first three."""


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
            if isinstance(step, Variable):
                raise VariableMisuse(f"variable {self.name} was indexed by a variable", hint="look it up in a @tool that takes both")
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

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # Python and its libraries look whether there is such a thing
            raise AttributeError(name)
        raise _NoAttribute(f"variable {self.name} has no attribute {name!r}", hint=f'write variable["{name}"] for what is below its value')

    def _operate(self, *others: Any) -> NoReturn:
        self._misused("in an expression", "compute in a @tool, or await it in an async graph")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _operate
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __matmul__ = __rmatmul__ = _operate
    __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = __divmod__ = __rdivmod__ = __pow__ = __rpow__ = _operate
    __neg__ = __pos__ = __abs__ = __invert__ = __int__ = __float__ = __complex__ = __index__ = __round__ = _operate
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = _operate
    __setitem__ = __delitem__ = _operate
    __hash__ = object.__hash__


class _NoAttribute(VariableMisuse, AttributeError):
    """So that ``hasattr`` says no instead of failing."""


def holds_variable(value: Any) -> bool:
    """Whether a value is a variable or a list, tuple, dict or set with one inside."""
    if isinstance(value, Variable):
        return True
    stack, seen = [value], set()
    while stack:
        current = stack.pop()
        if not isinstance(current, CONTAINERS) or id(current) in seen:
            continue
        seen.add(id(current))
        items = [*current, *current.values()] if isinstance(current, dict) else current
        for item in items:
            if isinstance(item, Variable):
                return True
            if isinstance(item, CONTAINERS):
                stack.append(item)
    return False


def type_with_variables(value: Any) -> Any:
    """The type of a variable, a constant, or a container of both."""
    from rookery.core.shape import type_of

    types: dict[str, Any] = {}

    def source(item: Any) -> Source:
        if isinstance(item, Variable):
            types[str(len(types))] = item.type
            return Ref(str(len(types) - 1))
        if isinstance(item, list | tuple) and holds_variable(item):
            return Many("list" if isinstance(item, list) else "tuple", tuple(map(source, item)))
        if isinstance(item, dict) and holds_variable(item):
            return Many("dict", tuple(map(source, item.values())), tuple(item))
        return Const(item)

    return type_of(source(value), types)
