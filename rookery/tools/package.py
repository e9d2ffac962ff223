"""Tools from Python: the public typed functions of a module, a package or a list; what can't become a tool is told with all reasons."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from importlib import import_module
from types import ModuleType
from typing import Any

from rookery.core.function import IdempotencyKey, Prompt, Tool
from rookery.core.graph import MISSING, Graph
from rookery.core.signature import read_signature
from rookery.errors import NotSerialisable, ToolUnfit
from rookery.tools.approval import Allow, allow_none, gated
from rookery.tools.intake import Intake, qualified


def package_tools(
    source: ModuleType | str | Iterable[Callable[..., Any]], *, name: str = "", effects: Iterable[str] = (), allow: Allow = allow_none,
) -> Intake:
    """The public functions of a module (or its name, which is imported), of a package, or of a list, as Tools.

    Public is what ``__all__`` names; without one, the functions without a leading underscore that the module, or a module of the
    package, defines. Functions that are Tools already are taken as they are. ``effects`` are patterns of names (``write_*``) of
    functions that change the world outside, which Python does not say; ``allow`` is for those. With a ``name`` the tools are named
    ``name__function``. What can't become a tool (no annotations, ``*args``, types that are no data, classes, generators) is in
    ``unfit``, each with all its reasons. Raises ToolUnfit when there is no such module, or it fails while it is imported.
    """
    patterns = tuple(effects)
    tools: dict[str, Tool[..., Any]] = {}
    unfit: list[ToolUnfit] = []
    for own, value in _candidates(source):
        try:
            tool = _tool(own, value, qualified(name, own), patterns)
            if tool.name in tools:
                raise ToolUnfit(f"{own}: the name {tool.name} is taken", tool=own)
            tools[tool.name] = gated(tool, allow=allow)
        except ToolUnfit as fault:
            unfit.append(fault)
    return Intake(tuple(tools.values()), tuple(unfit))


def _candidates(source: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(source, str):
        source = _imported(source)
    if not isinstance(source, ModuleType):
        for value in source:
            yield str(getattr(value, "name", None) or getattr(value, "__name__", None) or repr(value)[:80]), value
        return
    named = getattr(source, "__all__", None)
    if named is not None:
        yield from ((name, getattr(source, name)) for name in named if callable(getattr(source, name, None)))
        return
    for name, value in vars(source).items():
        if not name.startswith("_") and callable(value) and _is_own(value, source):
            yield name, value


def _imported(name: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as error:  # whatever the module's own code raises says why its functions can't be had
        hint = "is it installed, and its name right?"
        raise ToolUnfit(f"{name} cannot be imported: {type(error).__name__}: {error}", tool=name, hint=hint) from error


def _is_own(value: Any, source: ModuleType) -> bool:
    """Whether a module, or one of the package, defines it."""
    if isinstance(value, Graph):
        home = value.origin.rpartition(":")[0]
    else:
        home = str(getattr(value.function if isinstance(value, Tool | Prompt) else value, "__module__", ""))
    return home in (source.__name__, getattr(source, "__file__", None)) or home.startswith(f"{source.__name__}.")


def _tool(own: str, value: Any, name: str, effects: tuple[str, ...]) -> Tool[..., Any]:
    """The tool of a callable. Raises ToolUnfit with all reasons why there is none."""
    if isinstance(value, Tool) and value.kind == "tool":
        faults = list(_faults(value.function, value.name)) if value.given is None else []
        if not faults:
            return value
    elif isinstance(value, Tool | Prompt | Graph):
        raise ToolUnfit(f"{own}: it is a {value.kind}, which is called and served as it is", tool=own)
    elif inspect.isclass(value):
        raise ToolUnfit(f"{own}: it is a class", tool=own, hint="write a function that makes one and gives data")
    else:
        faults = list(_faults(value, own))
    if faults:
        raise ToolUnfit(f"{own} can't be a tool", tool=own, faults=faults)
    return Tool(value, name=name, effect=any(fnmatchcase(own, pattern) for pattern in effects))


def _faults(function: Any, name: str) -> Iterator[tuple[str, str]]:
    from rookery.core.types import schema, serialisable

    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        yield "return", "a generator gives no value that can be kept; return a list"
        return
    params, returns, found = read_signature(function, path=name)
    for fault in found:
        yield fault.path.removeprefix(name).strip(".") or "signature", f"{fault.fault}; {fault.hint}"
    if returns is MISSING:
        yield "return", "no return annotation; write -> str, or its type"
    types = {param.name: param.type for param in params.values() if param.type != IdempotencyKey}
    for place, type_ in (*types.items(), ("return", type(None) if returns in (None, MISSING) else returns)):
        reason = serialisable(type_)
        if reason:
            yield place, reason
        elif place != "return":
            try:
                schema(type_)
            except NotSerialisable as error:
                yield place, error.reason
