"""What lies below a type, and whether a value is of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

from rookery.core.types import element_type, validate
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
    while hasattr(type_, "__metadata__"):
        type_ = type_.__origin__
    origin, arguments = get_origin(type_) or type_, get_args(type_)
    if isinstance(step, int):
        if origin is tuple and arguments and arguments[-1] is not Ellipsis:
            return arguments[step] if -len(arguments) <= step < len(arguments) else Any
        element = element_type(type_)
        return Any if element is None else element
    if isinstance(origin, type):
        if issubclass(origin, Mapping) and not is_typeddict(origin):
            return arguments[1] if len(arguments) == 2 else Any
        if is_typeddict(origin) or is_dataclass(origin) or hasattr(origin, "model_fields"):
            return _hints(origin).get(step, Any)
    return Any


def missing_step(type_: Any, step: str | int) -> str | None:
    """Why a step leads nowhere, if that can be told from the type: the names that would."""
    while hasattr(type_, "__metadata__"):
        type_ = type_.__origin__
    origin = get_origin(type_) or type_
    if not isinstance(step, str) or not isinstance(origin, type):
        return None
    if hasattr(origin, "model_fields"):
        names = list(origin.model_fields)
    elif is_dataclass(origin):
        names = [field.name for field in fields(origin)]
    elif is_typeddict(origin):
        names = list(_hints(origin))
    elif origin in (str, int, float, bool, type(None)):
        return f"{origin.__name__} has no fields"
    else:
        return None
    return None if step in names or hasattr(origin, step) else f"{origin.__name__} has no field {step!r}; it has {', '.join(names)}"


def _hints(origin: Any) -> dict[str, Any]:
    try:
        return get_type_hints(origin, include_extras=True)
    except (NameError, TypeError):  # annotations that cannot be resolved here: nothing is known below
        return {}
