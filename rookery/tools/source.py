"""Tools from source text: what it takes and gives is read without running it, and calls of it run in a sandbox only."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Optional, Union

from rookery.core.function import Signature, Tool
from rookery.core.graph import MISSING, Param
from rookery.core.label import NO_LABELS, Labels
from rookery.core.types import schema, serialisable
from rookery.core.value import codec
from rookery.errors import NotSerialisable, ToolFailed, ToolUnfit
from rookery.tools.bubblewrap import Bubblewrap
from rookery.tools.metered import Metered
from rookery.tools.sandbox import Sandbox, SandboxLimit
from rookery.tools.trial import TRIAL, try_calls

MAX_SOURCE_BYTES = 200_000
_PLAIN: dict[str, Any] = {
    "int": int, "float": float, "str": str, "bool": bool, "None": type(None), "Any": Any, "object": Any, "list": list[Any], "List": list[Any],
    "dict": dict[str, Any], "Dict": dict[str, Any], "tuple": list[Any], "Tuple": list[Any], "set": list[Any], "Set": list[Any],
    "Sequence": list[Any], "Iterable": list[Any], "Mapping": dict[str, Any],
}  # fmt: skip
_LISTS = frozenset({"list", "List", "Sequence", "Iterable", "Collection", "set", "Set", "frozenset", "FrozenSet", "Iterator", "MutableSequence"})
_DICTS = frozenset({"dict", "Dict", "Mapping", "MutableMapping", "DefaultDict", "defaultdict", "Counter"})
_MODULES = frozenset({"typing", "collections.abc", "t", "builtins"})


class Unreadable(Exception):
    """An annotation or a default that says nothing about JSON data."""


def signature_of_source(source: str, name: str = "") -> tuple[str, str, Signature]:
    """The function's name, its docstring, and its parameters and return type, read from the text alone.

    ``name`` may be left out where the source has one public function. Sets and tuples are lists here: calls are made of JSON.
    Raises ToolUnfit with all that is wrong.
    """
    tree = parsed(source, name)
    function = function_in(tree, name)
    faults = [*_star_faults(function)]
    params: dict[str, Param] = {}
    args = function.args
    ordered = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [None] * (len(ordered) - len(args.defaults)) + list(args.defaults)
    for argument, default in [*zip(ordered, defaults, strict=True), *zip(args.kwonlyargs, args.kw_defaults, strict=True)]:
        try:
            params[argument.arg] = Param(argument.arg, _annotated(argument), _default(default))
        except Unreadable as error:
            faults.append((argument.arg, str(error)))
    returns: Any = Any
    if function.returns is None:
        faults.append(("return", "no annotation; write -> int, or its type"))
    else:
        try:
            returns = type_of(function.returns)
        except Unreadable as error:
            faults.append(("return", str(error)))
    if faults:
        raise ToolUnfit(f"{function.name} can't be a tool", tool=function.name, faults=faults)
    return function.name, ast.get_docstring(function) or "", (params, returns)


def parsed(source: str, name: str = "") -> ast.Module:
    """The source's syntax tree. Raises ToolUnfit."""
    label = name or "the source"
    if len(source.encode("utf-8", "replace")) > MAX_SOURCE_BYTES:
        raise ToolUnfit(f"{label} can't be a tool", tool=name, faults=[("source", f"it is longer than {MAX_SOURCE_BYTES} bytes")])
    try:
        with warnings.catch_warnings():  # what it says of odd escapes is not for those who read it here
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        at = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else str(error) or type(error).__name__
        raise ToolUnfit(f"{label} can't be a tool", tool=name, faults=[("source", at)]) from error


def function_in(tree: ast.Module, name: str = "") -> ast.FunctionDef:
    """The function of that name at the top of a module, or the only public one. Raises ToolUnfit."""
    found = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if name in found:
        return found[name]
    public = [node for key, node in found.items() if not key.startswith("_")]
    if not name and len(public) == 1:
        return public[0]
    fault = f"it has no function {name}" if name else f"it has {len(public)} public functions; name the one that is meant"
    if any(isinstance(node, ast.AsyncFunctionDef) for node in tree.body):
        fault += "; an async function can't be run in a sandbox, write def"
    raise ToolUnfit(f"{name or 'the source'} can't be a tool", tool=name, faults=[("source", fault)])


def _star_faults(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    for star, argument in (("*", function.args.vararg), ("**", function.args.kwarg)):
        if argument is not None:
            yield star + argument.arg, "star parameters have no fixed type; name the parameters"
    for argument in function.args.posonlyargs:
        yield argument.arg, "a positional-only parameter can't be given by name; leave out the / in its signature"


def _annotated(argument: ast.arg) -> Any:
    if argument.annotation is None:
        raise Unreadable(f"no annotation; write {argument.arg}: str, or its type")
    return type_of(argument.annotation)


def _default(node: ast.expr | None) -> Any:
    if node is None:
        return MISSING
    try:
        return _as_json(ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise Unreadable(f"its default {ast.unparse(node):.40} is no plain value") from error


def _as_json(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _as_json(item) for key, item in value.items()}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError("no JSON data")


def type_of(node: ast.expr) -> Any:
    """The type that an annotation names, of those whose values are JSON data. Raises Unreadable; nothing is evaluated."""
    if isinstance(node, ast.Constant):
        if node.value is None:
            return type(None)
        if isinstance(node.value, str):
            try:
                return type_of(ast.parse(node.value, mode="eval").body)
            except (SyntaxError, ValueError) as error:
                raise Unreadable(f"{node.value!r} is no type") from error
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return Union[type_of(node.left), type_of(node.right)]  # noqa: UP007
    name = _name(node)
    if name in _PLAIN:
        return _PLAIN[name]
    if isinstance(node, ast.Subscript):
        return _subscript(_name(node.value), node.slice, node)
    raise Unreadable(f"{ast.unparse(node):.60} is not made of JSON data; use int, float, str, bool, None, list[…], dict[str, …], Literal[…]")


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and ast.unparse(node.value) in _MODULES:
        return node.attr
    return ""


def _subscript(name: str, inner: ast.expr, node: ast.expr) -> Any:
    parts = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
    if name in _LISTS and len(parts) == 1:
        return list[type_of(parts[0])]  # type: ignore[misc]
    if name in ("tuple", "Tuple"):
        return _tuple(parts)
    if name in _DICTS and parts and type_of(parts[0]) is str:
        return dict[str, type_of(parts[1]) if len(parts) == 2 else int]  # type: ignore[misc]
    if name == "Optional" and len(parts) == 1:
        return Optional[type_of(parts[0])]  # noqa: UP045
    if name == "Union":
        return Union[tuple(type_of(part) for part in parts)]  # noqa: UP007
    if name == "Annotated" and parts:
        return type_of(parts[0])
    if name == "Literal" and all(isinstance(part, ast.Constant) for part in parts):
        return Literal[tuple(part.value for part in parts if isinstance(part, ast.Constant))]
    raise Unreadable(f"{ast.unparse(node):.60} is not made of JSON data; keys of a dict are str")


def _tuple(parts: list[ast.expr]) -> Any:
    """A tuple is a list in JSON: of one type where all its items have one, else of anything."""
    kinds = [type_of(part) for part in parts if not (isinstance(part, ast.Constant) and part.value is ...)]
    return list[kinds[0]] if kinds and all(kind == kinds[0] for kind in kinds) else list[Any]  # type: ignore[valid-type]


def schemas_of(signature: Signature) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """JSON Schemas of parameters, with their defaults, and of the value. Raises ToolUnfit with all types that are no JSON data."""
    params, returns = signature
    found: dict[str, dict[str, Any]] = {}
    faults: list[tuple[str, str]] = []
    for name, param in params.items():
        try:
            found[name] = _schema(param.type)
            if param.default is not MISSING:
                found[name]["default"] = json.loads(codec(param.type).dump(param.default))
        except NotSerialisable as error:
            faults.append((name, error.reason))
    try:
        given = _schema(type(None) if returns is None else returns)
    except NotSerialisable as error:
        faults.append(("return", error.reason))
    if faults:
        raise ToolUnfit("this can't be a tool: its calls are made of JSON data", faults=faults)
    return found, given


def _schema(type_: Any) -> dict[str, Any]:
    reason = serialisable(type_)
    if reason:
        raise NotSerialisable(reason)
    return dict(schema(type_))


def with_types(source: str, name: str, types: Mapping[str, str]) -> str:
    """The source with other annotations: from parameter, or ``return``, to the type's text. Nothing else changes."""
    function = function_in(parsed(source, name), name)
    arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    places: list[tuple[ast.expr, str]] = [(one.annotation, types[one.arg]) for one in arguments if one.annotation is not None and one.arg in types]
    if function.returns is not None and "return" in types:
        places.append((function.returns, types["return"]))
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    data = source.encode()
    for node, text in sorted(places, key=lambda place: -starts[place[0].lineno - 1] - place[0].col_offset):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        data = data[:start] + json.dumps(text).encode() + data[end:]  # as text: no name in it need be known when it runs
    return data.decode()


def shapes_of(source: str, name: str = "") -> dict[str, Any]:
    """Which parameters want tuples or sets where JSON has lists only: from parameter to ``["set", None]``, ``["list", ["tuple", None]]`` …

    Raises ToolUnfit.
    """
    function = function_in(parsed(source, name), name)
    found = {}
    for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs):
        shape = _shape(argument.annotation) if argument.annotation is not None else None
        if shape is not None:
            found[argument.arg] = shape
    return found


_SHAPES = {"tuple": "tuple", "Tuple": "tuple", "set": "set", "Set": "set", "frozenset": "frozenset", "FrozenSet": "frozenset"}


def _shape(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return _shape(ast.parse(node.value, mode="eval").body)
        except (SyntaxError, ValueError):
            return None
    if not isinstance(node, ast.Subscript):
        kind = _SHAPES.get(_name(node))
        return [kind, None] if kind else None
    name = _name(node.value)
    parts = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    inner = _shape(parts[-1 if name in _DICTS else 0]) if parts else None
    if name in _SHAPES:
        return [_SHAPES[name], inner]
    kind = "list" if name in _LISTS else "dict" if name in _DICTS else ""
    return [kind, inner] if kind and inner is not None else None


class SourceTool(Tool[..., Any]):
    """A Tool whose body is source text; each call runs in a fresh sandbox. Made by ``from_source``."""

    source: str

    def _body(self) -> Any:
        return self.source


def from_source(
    source: str, *, name: str = "", sandbox: Sandbox | None = None, limit: SandboxLimit | None = None, labels: Labels = NO_LABELS,
    effect: bool = False, pure: bool = False,
) -> SourceTool:
    """A Tool of source text that nobody has reason to trust: nothing of it runs outside of a sandbox, now or later.

    Its signature is read from the text. ``sandbox`` is one of bubblewrap unless given; the caller closes it. A call raises
    ToolFailed when the code fails or meets ``limit`` (CPU, wall time and the rest, for one call), and what the sandbox raises.
    Raises ToolUnfit with all that is wrong.
    """
    found, doc, signature = signature_of_source(source, name)
    shapes = shapes_of(source, found)
    where = Metered(sandbox or Bubblewrap(ready=0))
    limit = limit or SandboxLimit(output_bytes=TRIAL.output_bytes)  # it can give what its stored calls gave

    async def call(**arguments: Any) -> Any:
        calls = [_plain(signature, arguments)]
        answer = (await try_calls(where, source, found, calls, shapes=shapes, limit=limit, call_s=limit.wall_s))[0]
        if not answer.ok:
            raise ToolFailed(f"{found}: {answer.fault}: {answer.message}", tool=found, kind=answer.fault)
        return answer.value

    call.__qualname__ = call.__name__ = found
    tool = SourceTool(call, name=found, doc=doc, signature=signature, labels=labels, effect=effect, pure=pure)
    tool.source = source
    return tool


def _plain(signature: Signature, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as JSON data; the keys of a dict stay in their order. Raises ParseFailed for a value of another type."""
    return {name: codec(signature[0][name].type).validate(value) for name, value in arguments.items()}
