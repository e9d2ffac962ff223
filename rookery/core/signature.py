"""Parameters and types of Python functions, with all that is wrong with them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from rookery.core.graph import MISSING, Param, labels_of
from rookery.errors import GraphFault


def signature_of(function: Callable[..., Any], *, path: str) -> tuple[dict[str, Param], Any]:
    """Parameters and return type of a Python function, annotations resolved.

    Raises GraphFault for a parameter without annotation, one that can't be given by name, ``*args`` or ``**kwargs``, or an
    annotation that cannot be resolved: the first of them.
    """
    params, returns, faults = read_signature(function, path=path)
    if faults:
        raise faults[0]
    return params, returns


def read_signature(function: Callable[..., Any], *, path: str) -> tuple[dict[str, Param], Any, list[GraphFault]]:
    """As ``signature_of``, but with all faults; what has one is typed Any."""
    faults: list[GraphFault] = []
    described = function if inspect.isroutine(function) or inspect.isclass(function) else type(function).__call__
    try:
        hints = get_type_hints(described, include_extras=True)
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        hints = dict(getattr(described, "__annotations__", {}))
        faults.append(GraphFault(path, f"annotation cannot be resolved: {error}", hint="import the name at module level", kind="type"))
    try:
        parameters = inspect.signature(function).parameters
    except (ValueError, TypeError) as error:
        return {}, Any, [GraphFault(path, f"its parameters cannot be told: {error}", hint="wrap it in a function of your own", kind="type")]
    params: dict[str, Param] = {}
    for name, parameter in parameters.items():
        fault = _parameter_fault(parameter, name in hints)
        if fault:
            faults.append(GraphFault(f"{path}.{name}", fault[0], hint=fault[1], kind="type"))
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
        default = MISSING if parameter.default is parameter.empty else parameter.default
        type_ = Any if faults else hints.get(name, Any)
        params[name] = Param(name, type_, default, labels_of(type_))
    return params, hints.get("return", MISSING), faults


def _parameter_fault(parameter: inspect.Parameter, is_annotated: bool) -> tuple[str, str] | None:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return "star parameters have no fixed type", "name the parameters"
    if parameter.kind is parameter.POSITIONAL_ONLY:
        return "a positional-only parameter can't be given by name", "leave out the / in its signature"
    if not is_annotated:
        return "parameter has no annotation", f"write {parameter.name}: str, or its type"
    return None
