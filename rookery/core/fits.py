"""The one comparison of types, and what else can be said of a type without a value."""

from __future__ import annotations

import datetime
import enum
import re
import sys
import types
import typing
from collections import abc
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin

from typing_extensions import ReadOnly, TypeAliasType, is_typeddict

_SEQUENCES = (abc.Sequence, abc.MutableSequence, abc.Reversible)
_COLLECTIONS = (abc.Iterable, abc.Collection, abc.Container)
_ITERABLES = frozenset({*_SEQUENCES, *_COLLECTIONS})
_SETS = (abc.Set, abc.MutableSet)
_MAPPINGS = (abc.Mapping, abc.MutableMapping)
_ALIASES = tuple({TypeAliasType, getattr(typing, "TypeAliasType", TypeAliasType)})
_QUALIFIERS = (Required, NotRequired, ReadOnly, typing.Final, typing.ClassVar)
_NONE = type(None)


def strip(type_: Any) -> Any:
    """A type without what only describes it: Annotated, NewType, aliases, TypeVar, Required, ``None`` for its class."""
    for _ in range(50):
        origin = get_origin(type_)
        if type_ is None:
            return _NONE
        if origin is typing.Annotated or origin in _QUALIFIERS:
            type_ = get_args(type_)[0]
        elif isinstance(type_, typing.NewType):
            type_ = type_.__supertype__
        elif isinstance(type_, _ALIASES):
            type_ = _value_of(type_)
        elif isinstance(origin, _ALIASES):
            type_ = _value_of(origin)[get_args(type_)]
        elif isinstance(type_, typing.TypeVar):
            type_ = Union[type_.__constraints__] if type_.__constraints__ else type_.__bound__ or Any  # noqa: UP007
        else:
            return type_
    return Any  # an alias of itself says nothing


def _value_of(alias: Any) -> Any:
    """What an alias stands for; one that names itself is written as a string."""
    if not isinstance(alias.__value__, str):
        return alias.__value__
    holder = types.SimpleNamespace(__annotations__={"value": alias.__value__})
    try:
        return typing.get_type_hints(holder, vars(sys.modules[alias.__module__]), include_extras=True)["value"]
    except (NameError, KeyError, TypeError, SyntaxError):
        return Any


def _split(type_: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type's origin and arguments; a bare class is its own origin."""
    origin = get_origin(type_)
    if origin is not None:
        is_empty = origin is tuple and type_ is not typing.Tuple and not get_args(type_)  # noqa: UP006
        return origin, ((),) if is_empty else get_args(type_)
    generic = getattr(type_, "__pydantic_generic_metadata__", None)
    if generic and generic["origin"]:
        return generic["origin"], generic["args"]
    return type_, ()


def _is_union(origin: Any) -> bool:
    return origin is Union or origin is types.UnionType


# ------------------------------------------------------------------ fits


def fits(a: Any, b: Any) -> bool:
    """Whether a value of type ``a`` may travel to where ``b`` is expected.

    ``Any`` takes and gives all; a container without arguments holds Any; ``bool`` fits ``int`` fits ``float`` as in
    PEP 484; classes fit their bases; containers are compared element by element, as if none were changed on the way.
    Constraints (``Annotated``) are left to validation.
    """
    if a is b:
        return True
    try:
        found = _known.get((a, b))
    except TypeError:  # an annotation that can't be hashed
        return _fits(a, b, frozenset())
    if found is None:
        if len(_known) > 10_000:
            _known.clear()
        found = _known[a, b] = _fits(a, b, frozenset())
    return found


_known: dict[tuple[Any, Any], bool] = {}


def _fits(a: Any, b: Any, seen: frozenset[tuple[int, int]]) -> bool:
    if a is b:
        return True
    alias = isinstance(a, _ALIASES) or isinstance(b, _ALIASES) or is_typeddict(a)
    if alias:
        if (id(a), id(b)) in seen:  # a recursive type: it fits if nothing else speaks against it
            return True
        seen = seen | {(id(a), id(b))}
    a, b = strip(a), strip(b)
    if a is b or a is Any or b is Any or b is object or _equal(a, b):
        return True
    if a is typing.Never or a is typing.NoReturn:
        return True
    origin_a, args_a = _split(a)
    origin_b, args_b = _split(b)
    if _is_union(origin_a):
        return all(_fits(one, b, seen) for one in args_a)
    if origin_a is Literal and len(args_a) > 1:
        return all(_fits(Literal[value], b, seen) for value in args_a)
    if _is_union(origin_b):
        return any(_fits(a, one, seen) for one in args_b) or _fits_split(a, b, seen)
    if origin_a is Literal:
        return _fits_literal(args_a[0], b, origin_b, args_b, seen)
    if origin_b is Literal:
        return _fits_split(a, b, seen)
    if origin_b in _ITERABLES or origin_b in _SETS:
        return _fits_collection(origin_a, args_a, origin_b, args_b, seen)
    if origin_b in _MAPPINGS or origin_b is dict:
        return _fits_mapping(a, origin_a, args_a, origin_b, args_b, seen)
    if origin_b is tuple:
        return _fits_tuple(origin_a, args_a, args_b, seen)
    if is_typeddict(a) and is_typeddict(b):
        return _fits_typed_dict(a, b, seen)
    return _fits_class(origin_a, args_a, origin_b, args_b, seen)


def _equal(a: Any, b: Any) -> bool:
    try:
        return bool(a == b)
    except Exception:  # a foreign __eq__ of a metaclass
        return False


def _fits_split(a: Any, b: Any, seen: frozenset[tuple[int, int]]) -> bool:
    """bool and enums as the literals they consist of."""
    if a is bool:
        return all(_fits(Literal[value], b, seen) for value in (True, False))
    if isinstance(a, type) and issubclass(a, enum.Enum) and len(a):
        return all(_fits(Literal[member], b, seen) for member in a)
    return False


def _fits_literal(value: Any, b: Any, origin_b: Any, args_b: tuple[Any, ...], seen: frozenset[tuple[int, int]]) -> bool:
    if origin_b is Literal:
        return any(type(value) is type(other) and value == other for other in args_b)
    return _fits(type(value), b, seen)


def _elements(origin: Any, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The types of what a collection holds; None when it is none."""
    if origin is tuple:
        return _tuple(args)[0]
    if isinstance(origin, type) and issubclass(origin, abc.Iterable) and not issubclass(origin, str | bytes | bytearray | memoryview):
        if is_typeddict(origin):
            return (str,)
        if hasattr(origin, "__pydantic_fields__"):
            return None
        if issubclass(origin, tuple):
            return _fields(origin)
        return args[:1] if args else (Any,)
    return None


def _fields(named: Any) -> tuple[Any, ...]:
    """The types of a NamedTuple's fields."""
    hints = _hints(named)
    return tuple(hints.get(name, Any) for name in getattr(named, "_fields", ()))


def _tuple(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], bool]:
    """The element types of a tuple, and whether its length is open."""
    if not args:
        return (Any,), True
    if args == ((),):
        return (), False
    return (args[:1], True) if len(args) == 2 and args[1] is Ellipsis else (args, False)


def _fits_collection(origin_a: Any, args_a: tuple[Any, ...], origin_b: Any, args_b: tuple[Any, ...], seen: frozenset[tuple[int, int]]) -> bool:
    held = _elements(origin_a, args_a)
    if held is None:
        return False
    if origin_b in _ITERABLES and not (origin_a in _ITERABLES or origin_a is tuple):
        if origin_b in _SEQUENCES and not issubclass(origin_a, abc.Sequence):
            return False
    elif not issubclass(origin_a, origin_b):
        return False
    wanted = args_b[0] if args_b else Any
    return all(_fits(one, wanted, seen) for one in held)


def _fits_mapping(a: Any, origin_a: Any, args_a: tuple[Any, ...], origin_b: Any, args_b: tuple[Any, ...], seen: frozenset[tuple[int, int]]) -> bool:
    key, value = args_b if len(args_b) == 2 else (Any, Any)
    if is_typeddict(origin_a):
        hints = _hints(origin_a)
        return _fits(str, key, seen) and all(_fits(hint, value, seen) for hint in hints.values())
    if not (isinstance(origin_a, type) and issubclass(origin_a, origin_b)):
        return False
    held = args_a if len(args_a) == 2 else (Any, Any)
    return _fits(held[0], key, seen) and _fits(held[1], value, seen)


def _fits_tuple(origin_a: Any, args_a: tuple[Any, ...], args_b: tuple[Any, ...], seen: frozenset[tuple[int, int]]) -> bool:
    if not (isinstance(origin_a, type) and issubclass(origin_a, tuple)):
        return False
    if origin_a is not tuple:  # a NamedTuple
        args_a = _fields(origin_a)
    held, open_a = _tuple(args_a)
    wanted, open_b = _tuple(args_b)
    if open_b:
        return all(_fits(one, wanted[0], seen) for one in held)
    if open_a:
        return held == (Any,)
    return len(held) == len(wanted) and all(_fits(one, two, seen) for one, two in zip(held, wanted, strict=True))


def _fits_typed_dict(a: Any, b: Any, seen: frozenset[tuple[int, int]]) -> bool:
    given, wanted = _hints(a), _hints(b)
    required = b.__required_keys__
    if not required <= a.__required_keys__:
        return False
    config = getattr(b, "__pydantic_config__", {})
    if config.get("extra") == "forbid" and not given.keys() <= wanted.keys():
        return False
    return all(name not in given or _fits(given[name], hint, seen) for name, hint in wanted.items())


def _fits_class(origin_a: Any, args_a: tuple[Any, ...], origin_b: Any, args_b: tuple[Any, ...], seen: frozenset[tuple[int, int]]) -> bool:
    if origin_b is float and origin_a in (int, bool):
        return True
    if origin_b is abc.Callable or not (isinstance(origin_a, type) and isinstance(origin_b, type)):
        return False  # what is equal was told before
    try:
        if not issubclass(origin_a, origin_b) or (origin_b is datetime.date and issubclass(origin_a, datetime.datetime)):
            return False
    except TypeError:  # a protocol with members that are no methods
        return False
    if not args_a or not args_b:
        return True
    return len(args_a) == len(args_b) and all(_fits(one, two, seen) for one, two in zip(args_a, args_b, strict=True))


def _hints(type_: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(type_)
    except (NameError, TypeError):  # a forward reference that can't be followed from here
        return dict.fromkeys(getattr(type_, "__annotations__", {}), Any)


# ------------------------------------------------------------------ lists


def element_type(type_: Any) -> Any | None:
    """The T of ``list[T]``, ``tuple[T, ...]``, ``Sequence[T]`` or ``Iterable[T]``, Any when it is not said; None for all others."""
    origin, args = _split(strip(type_))
    if origin is tuple:
        held, is_open = _tuple(args)
        return held[0] if is_open else None
    return (args[0] if args else Any) if origin is list or origin in _ITERABLES else None


def as_list(type_: Any) -> Any:
    """``Iterable[T]`` and its like as ``list[T]``, which is what travels where they are written; other types as they are."""
    origin, args = _split(type_)
    return list[args[0] if args else Any] if origin in _COLLECTIONS or origin is abc.Reversible else type_  # type: ignore[misc]


# ------------------------------------------------------------------ names


def name_of(type_: Any) -> str:
    """A type as one would write it, without modules: ``list[str]``, ``Section | None``."""
    if type_ is None or type_ is _NONE:
        return "None"
    if type_ is Ellipsis:
        return "..."
    if isinstance(type_, str):
        return type_
    if isinstance(type_, list):  # the arguments of a Callable
        return f"[{', '.join(map(name_of, type_))}]"
    origin, args = get_origin(type_), get_args(type_)
    if origin is typing.Annotated:
        return name_of(args[0])
    if origin is Literal:
        return f"Literal[{', '.join(str(arg) if isinstance(arg, enum.Enum) else repr(arg) for arg in args)}]"
    if _is_union(origin):
        return " | ".join(map(name_of, args))
    if origin is not None:
        return f"{name_of(origin)}[{', '.join(map(name_of, args)) or '()'}]" if args or origin is tuple else name_of(origin)
    if isinstance(type_, typing.ForwardRef):
        return type_.__forward_arg__
    return str(getattr(type_, "__name__", None) or type_).removeprefix("typing.")


# ------------------------------------------------------------------ sharing

_ATOMS = (str, int, float, bytes, complex, _NONE, enum.Enum, datetime.date, datetime.time, datetime.timedelta, re.Pattern, range)


@cache
def _immutable() -> tuple[type, ...]:
    """Classes whose objects can't be changed; the modules of the rarer ones are imported when somebody asks."""
    from decimal import Decimal
    from fractions import Fraction
    from pathlib import PurePath
    from uuid import UUID

    return (*_ATOMS, Decimal, Fraction, PurePath, UUID, datetime.tzinfo)


_shareable: dict[Any, bool] = {}


def shareable(type_: Any) -> bool:
    """Whether values of a type can't be changed, so that consumers may share one object. Resolved once per type."""
    try:
        found = _shareable.get(type_)
        if found is None:
            found = _shareable[type_] = _is_shareable(type_, frozenset())
        return found
    except TypeError:
        return _is_shareable(type_, frozenset())


def _is_shareable(type_: Any, seen: frozenset[int]) -> bool:
    type_ = strip(type_)
    if id(type_) in seen:
        return True
    seen = seen | {id(type_)}
    origin, args = _split(type_)
    if origin is Literal:
        return True
    if _is_union(origin):
        return all(_is_shareable(arg, seen) for arg in args)
    if origin in (tuple, frozenset):
        held = _tuple(args)[0] if origin is tuple else args or (Any,)
        return all(_is_shareable(arg, seen) for arg in held)
    if not isinstance(type_, type):
        return False
    if issubclass(type_, _ATOMS) or issubclass(type_, _immutable()):
        return True
    parts = _frozen_parts(type_)
    return parts is not None and all(_is_shareable(part, seen) for part in parts)


def _frozen_parts(type_: type) -> Iterator[Any] | None:
    """The types of the fields of a class whose objects can't be changed; None for all other classes."""
    config: Mapping[str, Any] | None = getattr(type_, "model_config", None)
    if config is not None and hasattr(type_, "__pydantic_fields__"):
        is_closed = config.get("frozen") and config.get("extra") != "allow" and not getattr(type_, "__private_attributes__", None)
        return (field.annotation for field in type_.__pydantic_fields__.values()) if is_closed else None
    if is_dataclass(type_) and type_.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        hints = _hints(type_)
        return (hints.get(field.name, Any) for field in fields(type_))
    if issubclass(type_, tuple) and hasattr(type_, "_fields"):
        hints = _hints(type_)
        return (hints.get(name, Any) for name in type_._fields)
    return None


def is_immutable(value: Any) -> bool:
    """Whether this value can't be changed, whatever its type says."""
    if isinstance(value, tuple | frozenset):
        return all(map(is_immutable, value))
    return isinstance(value, _ATOMS) or shareable(type(value))
