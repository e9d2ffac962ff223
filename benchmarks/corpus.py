"""Real functions as tools: solutions of P3 puzzles and functions of the standard library, annotated, with calls whose values are known."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INT, STR, FLOAT, BOOL = "int", "str", "float", "bool"
INTS, STRS = "list[int]", "list[str]"
STANDARD: tuple[tuple[str, str, Mapping[str, str], str, Sequence[Sequence[Any]]], ...] = (
    ("posixpath", "split", {"p": STR}, "list[str]", [["/a/b/c.txt"], ["a/"], ["x"]]),
    ("posixpath", "splitext", {"p": STR}, "list[str]", [["/a/b.tar.gz"], [".rc"], ["x"]]),
    ("posixpath", "basename", {"p": STR}, STR, [["/a/b/c.txt"], ["a/"], ["x"]]),
    ("posixpath", "dirname", {"p": STR}, STR, [["/a/b/c.txt"], ["a/"], ["x"]]),
    ("posixpath", "normcase", {"s": STR}, STR, [["/a/B"], ["x"]]),
    ("ntpath", "splitdrive", {"p": STR}, "list[str]", [["c:\\x\\y"], ["\\\\host\\share\\z"], ["x"]]),
    ("ntpath", "split", {"p": STR}, "list[str]", [["c:\\x\\y"], ["a/b"], ["x"]]),
    ("ntpath", "basename", {"p": STR}, STR, [["c:\\x\\y"], ["a/b"], ["x"]]),
    ("ntpath", "dirname", {"p": STR}, STR, [["c:\\x\\y"], ["a/b"], ["x"]]),
    ("genericpath", "commonprefix", {"m": STRS}, STR, [[["abc", "abd"]], [["x"]], [[]]]),
    ("textwrap", "dedent", {"text": STR}, STR, [["  a\n   b\n"], ["x"], ["\ta\n\tb"]]),
    ("colorsys", "rgb_to_yiq", {"r": FLOAT, "g": FLOAT, "b": FLOAT}, "list[float]", [[0.2, 0.4, 0.6], [1.0, 0.0, 0.5]]),
    ("colorsys", "yiq_to_rgb", {"y": FLOAT, "i": FLOAT, "q": FLOAT}, "list[float]", [[0.2, 0.4, 0.6], [1.0, 0.0, 0.5]]),
    ("colorsys", "rgb_to_hls", {"r": FLOAT, "g": FLOAT, "b": FLOAT}, "list[float]", [[0.2, 0.4, 0.6], [1.0, 0.0, 0.5]]),
    ("colorsys", "hls_to_rgb", {"h": FLOAT, "l": FLOAT, "s": FLOAT}, "list[float]", [[0.2, 0.4, 0.6], [1.0, 0.3, 0.5]]),
    ("colorsys", "rgb_to_hsv", {"r": FLOAT, "g": FLOAT, "b": FLOAT}, "list[float]", [[0.2, 0.4, 0.6], [1.0, 0.0, 0.5]]),
    ("colorsys", "hsv_to_rgb", {"h": FLOAT, "s": FLOAT, "v": FLOAT}, "list[float]", [[0.2, 0.4, 0.6], [1.0, 0.3, 0.5]]),
    ("bisect", "bisect_left", {"a": INTS, "x": INT}, INT, [[[1, 3, 3, 7], 3], [[], 1], [[2], 5]]),
    ("bisect", "bisect_right", {"a": INTS, "x": INT}, INT, [[[1, 3, 3, 7], 3], [[], 1], [[2], 5]]),
    ("statistics", "median", {"data": INTS}, FLOAT, [[[3, 1, 2]], [[4, 1]], [[5]]]),
    ("statistics", "median_low", {"data": INTS}, INT, [[[3, 1, 2]], [[4, 1]], [[5]]]),
    ("statistics", "median_high", {"data": INTS}, INT, [[[3, 1, 2]], [[4, 1]], [[5]]]),
    ("statistics", "mode", {"data": INTS}, INT, [[[3, 1, 3]], [[4, 1]], [[5]]]),
    ("statistics", "multimode", {"data": INTS}, INTS, [[[3, 1, 3]], [[4, 1]], [[]]]),
    ("string", "capwords", {"s": STR}, STR, [["hello big world"], ["a"], ["x  Y"]]),
    ("fnmatch", "translate", {"pat": STR}, STR, [["*.py"], ["a?[b-d]"], ["x"]]),
    ("calendar", "isleap", {"year": INT}, BOOL, [[2000], [1900], [2024]]),
    ("calendar", "leapdays", {"y1": INT, "y2": INT}, INT, [[1900, 2000], [2000, 2001], [1, 400]]),
    ("html", "escape", {"s": STR, "quote": BOOL}, STR, [["a<b & \"c\"", True], ["a<b & \"c\"", False]]),
    ("shlex", "quote", {"s": STR}, STR, [["a b"], ["x"], ["it's"]]),
    ("urllib.parse", "unquote", {"string": STR}, STR, [["a%20b"], ["x"], ["%C3%A9"]]),
    ("urllib.parse", "urldefrag", {"url": STR}, "list[str]", [["http://a/b#c"], ["x"]]),
    ("email.utils", "unquote", {"str": STR}, STR, [["\"a b\""], ["<x>"], ["y"]]),
    ("re", "escape", {"pattern": STR}, STR, [["a.b*c"], ["x"], ["[1]"]]),
    ("stat", "filemode", {"mode": INT}, STR, [[33188], [16877], [0]]),
    ("xml.sax.saxutils", "escape", {"data": STR}, STR, [["a<b & c"], ["x"]]),
    ("xml.sax.saxutils", "unescape", {"data": STR}, STR, [["a&lt;b &amp; c"], ["x"]]),
    ("xml.sax.saxutils", "quoteattr", {"data": STR}, STR, [["a<b \"q\""], ["x"], ["it's"]]),
    ("json.encoder", "py_encode_basestring", {"s": STR}, STR, [["a\"b\n"], ["x"]]),
    ("json.encoder", "py_encode_basestring_ascii", {"s": STR}, STR, [["a\"bé"], ["x"]]),
    ("nturl2path", "pathname2url", {"p": STR}, STR, [["C:\\foo\\bar"], ["x"]]),
    ("encodings", "normalize_encoding", {"encoding": STR}, STR, [["UTF-8"], ["latin 1"], ["x"]]),
    ("datetime", "_is_leap", {"year": INT}, BOOL, [[2000], [1900], [2024]]),
    ("datetime", "_days_before_year", {"year": INT}, INT, [[2000], [1], [2024]]),
    ("datetime", "_days_in_month", {"year": INT, "month": INT}, INT, [[2000, 2], [1900, 2], [2024, 12]]),
    ("datetime", "_days_before_month", {"year": INT, "month": INT}, INT, [[2000, 3], [1900, 3], [2024, 12]]),
    ("datetime", "_ymd2ord", {"year": INT, "month": INT, "day": INT}, INT, [[2000, 3, 1], [1, 1, 1]]),
    ("datetime", "_ord2ymd", {"n": INT}, INTS, [[730000], [1], [365]]),
    ("operator", "lt", {"a": INT, "b": INT}, BOOL, [[1, 2], [2, 2]]),
    ("operator", "le", {"a": INT, "b": INT}, BOOL, [[1, 2], [2, 2]]),
    ("operator", "eq", {"a": INT, "b": INT}, BOOL, [[1, 2], [2, 2]]),
    ("operator", "ne", {"a": INT, "b": INT}, BOOL, [[1, 2], [2, 2]]),
    ("operator", "not_", {"a": INT}, BOOL, [[0], [2]]),
    ("operator", "truth", {"a": INT}, BOOL, [[0], [2]]),
    ("operator", "abs", {"a": INT}, INT, [[-3], [2]]),
    ("operator", "add", {"a": INT, "b": INT}, INT, [[1, 2], [5, 7]]),
    ("operator", "and_", {"a": INT, "b": INT}, INT, [[6, 3], [5, 7]]),
    ("operator", "floordiv", {"a": INT, "b": INT}, INT, [[7, 2], [-5, 7]]),
    ("operator", "inv", {"a": INT}, INT, [[6], [-5]]),
    ("operator", "lshift", {"a": INT, "b": INT}, INT, [[7, 2], [5, 3]]),
    ("operator", "mod", {"a": INT, "b": INT}, INT, [[7, 2], [-5, 7]]),
    ("operator", "mul", {"a": INT, "b": INT}, INT, [[7, 2], [-5, 7]]),
    ("operator", "neg", {"a": INT}, INT, [[6], [-5]]),
    ("operator", "or_", {"a": INT, "b": INT}, INT, [[6, 3], [5, 7]]),
    ("operator", "sub", {"a": INT, "b": INT}, INT, [[6, 3], [5, 7]]),
    ("operator", "truediv", {"a": INT, "b": INT}, FLOAT, [[6, 4], [5, 7]]),
    ("operator", "xor", {"a": INT, "b": INT}, INT, [[6, 3], [5, 7]]),
    ("operator", "countOf", {"a": INTS, "b": INT}, INT, [[[1, 2, 1], 1], [[], 3]]),
    ("operator", "indexOf", {"a": INTS, "b": INT}, INT, [[[1, 2, 1], 2], [[3], 3]]),
    ("operator", "contains", {"a": INTS, "b": INT}, BOOL, [[[1, 2, 1], 2], [[3], 4]]),
    ("operator", "getitem", {"a": INTS, "b": INT}, INT, [[[1, 2, 1], 2], [[3], 0]]),
)  # fmt: skip
"""Module, function, parameter types, type of the value, and some calls."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function as a tool's source, with calls of it."""

    name: str
    source: str
    calls: tuple[dict[str, Any], ...]
    check: str = ""
    """The puzzle's own test of a value, as ``def check(value, …)``; empty where the value itself counts."""
    family: str = ""
    doc: str = field(default="", compare=False)


def functions(data: Path) -> Iterator[Function]:
    """All of the corpus, in a fixed order: P3 (where the data are there), then the standard library."""
    puzzles = data / "p3" / "puzzles.json"
    if puzzles.exists():
        yield from of_puzzles(json.loads(puzzles.read_text("utf-8")))
    yield from of_standard_library()


# ------------------------------------------------------------------ P3


def of_puzzles(puzzles: Sequence[Mapping[str, Any]], *, most_calls: int = 4) -> Iterator[Function]:
    """Every solution of each puzzle family as one function; its calls are the family's instances."""
    families: dict[str, list[Mapping[str, Any]]] = {}
    for puzzle in puzzles:
        families.setdefault(puzzle["name"].split(":")[0], []).append(puzzle)
    for family, members in families.items():
        for number, body in enumerate(dict.fromkeys(body for member in members for body in member["sol_bodies"])):
            made = _of_solution(family, number, body, [member for member in members if body in member["sol_bodies"]], most_calls)
            if made is not None:
                yield made


def _of_solution(family: str, number: int, body: str, members: Sequence[Mapping[str, Any]], most_calls: int) -> Function | None:
    try:
        calls = [arguments_of(member["sol_header"]) for member in members][:most_calls]
    except (ValueError, SyntaxError):
        return None
    names = list(calls[0])
    kinds = {name: kind_of([call[name] for call in calls]) for name in names}
    if any(list(call) != names for call in calls) or "" in kinds.values():
        return None
    returns = _plain_type(members[0]["ans_type"])
    name = snake(family) + (f"_{number + 1}" if number else "")
    header = f"def {name}({', '.join(f'{one}: {kinds[one]}' for one in names)}) -> {returns}:"
    doc = members[0]["sol_docstring"]
    source = f"{header}\n{doc}\n{body}\n" if doc.strip() else f"{header}\n{body}\n"
    try:
        ast.parse(source)
        check = check_of(members[0]["sat"])
    except (SyntaxError, ValueError):
        return None
    return Function(name, source, tuple(calls), check, family, doc.strip().strip('"').strip())


def arguments_of(header: str) -> dict[str, Any]:
    """The defaults in a solution's header: the puzzle's own inputs. Raises ValueError when one is no JSON data."""
    args = ast.parse(f"{header}\n    pass").body[0].args  # type: ignore[attr-defined]
    values = [ast.literal_eval(node) for node in args.defaults]
    if len(values) != len(args.args):
        raise ValueError("an argument without default")
    return {argument.arg: _json(value) for argument, value in zip(args.args, values, strict=True)}


def _json(value: Any) -> Any:
    if json.loads(json.dumps(value, allow_nan=False)) != value:  # tuples, keys that are no text
        raise ValueError("no JSON data")
    return value


def check_of(sat: str) -> str:
    """A puzzle's test as ``def check(value, …)``, with the typing names that it uses."""
    function = ast.parse(sat).body[0]
    assert isinstance(function, ast.FunctionDef)
    function.name = "check"
    return f"from typing import *\n\n\n{ast.unparse(function)}\n"


def kind_of(values: Sequence[Any]) -> str:
    """The type of JSON values as Python text; empty where there is no single one."""
    kinds = {type(value) for value in values}
    if kinds == {int, float}:
        return FLOAT
    if len(kinds) != 1:
        return ""
    kind = kinds.pop()
    if kind is list:
        inner = [item for value in values for item in value]
        found = kind_of(inner) if inner else "int"
        return f"list[{found or 'Any'}]".replace("list[Any]", "list")
    if kind is dict:
        inner = [item for value in values for item in value.values()]
        return f"dict[str, {kind_of(inner) or 'Any'}]".replace("dict[str, Any]", "dict") if inner else "dict[str, int]"
    return {int: INT, float: FLOAT, str: STR, bool: BOOL}.get(kind, "")


def _plain_type(text: str) -> str:
    return re.sub(r"\b(List|Dict|Set|Tuple)\b", lambda found: found[0].lower(), text)


def snake(name: str) -> str:
    return re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).lower().strip("_")


# ------------------------------------------------------------------ the standard library


def of_standard_library() -> Iterator[Function]:
    """Functions of the standard library that are written in Python, with all that they use of their modules."""
    for module, name, params, returns, calls in STANDARD:
        source = standalone(module, name, params, returns)
        if source and calls:
            public = f"{module.rpartition('.')[2].strip('_')}_{name.strip('_')}"
            source = re.sub(rf"(?<!\.)\b{name}\b", public, source)
            yield Function(public, source, tuple(dict(zip(params, call, strict=True)) for call in calls), family=f"std:{public}")


def standalone(module: str, name: str, params: Mapping[str, str], returns: str) -> str:
    """A function's source with what it uses of its module's top level; empty where that can't be told."""
    try:
        whole = importlib.import_module(module)
        text = inspect.getsource(whole)
    except (ImportError, OSError, TypeError):
        return ""
    tree = ast.parse(text)
    tops: dict[str, ast.stmt] = {}
    for node in _top(tree.body):
        for defined in _defines(node):
            tops.setdefault(defined, node)
    if name not in tops or not isinstance(tops[name], ast.FunctionDef):
        return ""
    wanted, waiting = {name}, [tops[name]]
    nodes: list[ast.stmt] = []
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        for word in {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} - wanted:
            if word in tops:
                wanted.add(word)
                if not any(tops[word] is known for known in (*nodes, *waiting)):
                    waiting.append(tops[word])
    main = tops[name]
    assert isinstance(main, ast.FunctionDef)
    if not _annotate(main, params, returns):
        return ""
    ordered = sorted(nodes, key=lambda node: node.lineno)
    return "\n\n".join(ast.unparse(node) for node in ordered) + "\n"


def _top(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.Try | ast.If):
            continue  # another choice than the plain one: accelerated versions, other systems
        yield node


def _defines(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.Assign):
        return [part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)]
    return []


def _annotate(function: ast.FunctionDef, params: Mapping[str, str], returns: str) -> bool:
    """Give the function these parameters only, all others their defaults in the body."""
    args = function.args
    ordered = [*args.posonlyargs, *args.args]
    defaults: dict[str, ast.expr | None] = dict(zip([one.arg for one in ordered[len(ordered) - len(args.defaults) :]], args.defaults, strict=True))
    defaults |= {one.arg: default for one, default in zip(args.kwonlyargs, args.kw_defaults, strict=True)}
    names = [one.arg for one in (*ordered, *args.kwonlyargs)]
    if args.vararg or args.kwarg or any(name not in names for name in params) or function.decorator_list:
        return False
    fixed = [name for name in names if name not in params]
    if any(defaults.get(name) is None for name in fixed):
        return False
    start = [ast.Assign([ast.Name(name, ast.Store())], defaults[name], lineno=1) for name in fixed]  # type: ignore[list-item]
    at = 1 if ast.get_docstring(function) is not None else 0
    function.body[at:at] = start
    function.args = ast.arguments([], [ast.arg(name, ast.Name(params[name])) for name in params], None, [], [], None, [])
    function.returns = ast.Name(returns)
    return True
