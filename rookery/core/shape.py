"""What lies below a type, the type of what an argument says, and whether a value is of a type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from typing_extensions import is_typeddict

from rookery.core.graph import MISSING, Const, Many, Ref, Source
from rookery.core.types import element_type, fits, name_of, strip, validate
from rookery.errors import ValueError_


def accepts(value: Any, type_: Any) -> bool:
    """Whether a value is of a type, or can be made so by validation."""
    try:
        validate(value, type_)
    except ValueError_:
        return False
    return True


def step_type(type_: Any, step: str | int) -> Any:
    """The type one step below: of a field, a key or an item; Any when it can't be told."""
    type_ = strip(type_)
    origin, arguments = get_origin(type_) or type_, get_args(type_)
    if isinstance(step, int):
        if type_ is str:
            return str
        if origin is tuple and arguments and arguments[-1] is not Ellipsis:
            return arguments[step] if -len(arguments) <= step < len(arguments) else Any
        element = element_type(type_)
        if element is not None:
            return element
    if isinstance(origin, type):
        if issubclass(origin, Mapping) and not is_typeddict(origin):
            return arguments[1] if len(arguments) == 2 else Any
        return _unqualified(_hints(origin).get(step, Any)) if isinstance(step, str) else Any
    return Any


def missing_step(type_: Any, step: str | int) -> str | None:
    """Why a step leads nowhere, if that can be told from the type: the names that would."""
    type_ = strip(type_)
    origin, arguments = get_origin(type_) or type_, get_args(type_)
    if not isinstance(origin, type):
        return None
    if isinstance(step, int):
        return _missing_item(origin, arguments, step)
    if hasattr(origin, "model_fields"):
        names = list(origin.model_fields)
    elif is_typeddict(origin):
        names = list(_hints(origin))
    elif is_dataclass(origin):
        names = [field.name for field in fields(origin)]
    elif hasattr(origin, "_fields"):
        names = list(origin._fields)
    elif origin in (str, int, float, bool, bytes, type(None), list, set, frozenset, tuple):
        return f"{name_of(type_)} has no fields"
    else:
        return None
    if step in names or _is_attribute(origin, step):
        return None
    return f"{origin.__name__} has no field {step!r}; it has {', '.join(names)}"


def _missing_item(origin: type, arguments: tuple[Any, ...], step: int) -> str | None:
    if origin is tuple and arguments and arguments[-1] is not Ellipsis and not -len(arguments) <= step < len(arguments):
        return f"the tuple has {len(arguments)} item(s), none at {step}"
    if origin in (int, float, bool, type(None), set, frozenset) or is_dataclass(origin) or hasattr(origin, "model_fields") or is_typeddict(origin):
        return f"{origin.__name__} has no items"
    return None


def _is_attribute(origin: type, step: str) -> bool:
    """Whether objects of a class have an attribute that is no field and no method, such as a property."""
    return not step.startswith("_") and hasattr(origin, step) and not callable(getattr(origin, step)) and not step.startswith("model_")


def _unqualified(type_: Any) -> Any:
    """A field's type without Required, NotRequired and ReadOnly."""
    while getattr(get_origin(type_), "_name", None) in ("Required", "NotRequired", "ReadOnly"):
        type_ = get_args(type_)[0]
    return type_


def _hints(origin: Any) -> dict[str, Any]:
    try:
        return get_type_hints(origin, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError):  # annotations that cannot be resolved here: nothing is known below
        return {}


def item_types(source: Many, wanted: Any) -> list[Any]:
    """The types that the items of a container must fit where ``wanted`` is expected; Any where that can't be told."""
    wanted = strip(wanted)
    arguments = get_args(wanted)
    if source.shape == "dict":
        return [step_type(wanted, key) if isinstance(key, str) or (get_origin(wanted) is dict and arguments) else Any for key in source.keys]
    if get_origin(wanted) is tuple and arguments and arguments[-1] is not Ellipsis:
        return list(arguments) if len(arguments) == len(source.items) else [Any] * len(source.items)
    element = element_type(wanted)
    return [Any if element is None else element] * len(source.items)


def type_of(source: Source, types: Mapping[str, Any]) -> Any:
    """The type of a source; MISSING when a variable of it is unknown."""
    if isinstance(source, Const):
        return type(source.value)
    if isinstance(source, Ref):
        found = types.get(source.name, MISSING)
        for step in source.path:
            found = found if found is MISSING else step_type(found, step)
        return found
    inner = [type_of(item, types) for item in source.items]
    if any(item is MISSING for item in inner):
        return MISSING
    if source.shape == "tuple":
        return tuple.__class_getitem__(tuple(inner))
    held = union(inner)
    return dict[union([type(key) for key in source.keys]), held] if source.shape == "dict" else list[held]  # type: ignore[misc,valid-type]


def union(types: Iterable[Any]) -> Any:
    """The narrowest type that all of these fit: one of them, or their union."""
    found: Any = MISSING
    for type_ in types:
        if found is MISSING or type_ is Any:
            found = type_
        elif found is not Any and not fits(type_, found):
            found = type_ if fits(found, type_) else found | type_
    return Any if found is MISSING else found
