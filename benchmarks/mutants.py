"""Mutants of functions, with what they are: the same function under other names or in another order, or another function.

The deduplicator does not read this file, and this one does not read the deduplicator's.
"""

from __future__ import annotations

import ast
import builtins
import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.corpus import Function

NOUNS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jetty", "knoll", "lotus", "maple", "north", "ochre")
DOCS = ("Gives what the arguments amount to.", "Works it out.", "The answer to the question at hand.")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed function, and what was done to it."""

    function: Function
    kind: str
    """``renamed``, ``reordered``, ``constant``, ``operator``."""
    origin: str
    names: dict[str, str]
    """From the origin's parameters to the mutant's."""


def mutants(function: Function, *, seed: int = 0) -> Iterator[Mutant]:
    """One mutant of each kind that the function allows."""
    for kind, make in (("renamed", _renamed), ("reordered", _reordered), ("constant", _constant), ("operator", _operator)):
        draw = random.Random(f"{seed}:{function.name}:{kind}")
        made = make(function, draw)
        if made is not None:
            tree, name, names = made
            calls = tuple({names.get(key, key): value for key, value in call.items()} for call in function.calls)
            source = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
            yield Mutant(replace(function, name=name, source=source, calls=calls), kind, function.name, names)


Made = tuple[ast.Module, str, dict[str, str]] | None


def _main(tree: ast.Module, name: str) -> ast.FunctionDef:
    return next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)


def _called(function: Function, suffix: str) -> tuple[ast.Module, ast.FunctionDef]:
    """A copy of the function under a name of its own."""
    tree = ast.parse(function.source)
    _Names({function.name: f"{function.name}_{suffix}"}).visit(tree)
    return tree, _main(tree, f"{function.name}_{suffix}")


# ------------------------------------------------------------------ the same function


class _Names(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> Any:
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> Any:
        node.arg = self.names.get(node.arg, node.arg)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.name = self.names.get(node.name, node.name)
        return self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> Any:
        node.name = self.names.get(node.name, node.name) if node.name else None
        return self.generic_visit(node)

    def visit_Nonlocal(self, node: ast.Nonlocal | ast.Global) -> Any:
        node.names = [self.names.get(name, name) for name in node.names]
        return node

    visit_Global = visit_Nonlocal

    def visit_Call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Name) and node.func.id in self.names:
            for keyword in node.keywords:
                keyword.arg = self.names.get(keyword.arg or "", keyword.arg)
        return self.generic_visit(node)


def _own_names(tree: ast.Module, main: ast.FunctionDef) -> list[str]:
    """The names that the source gives itself and that mean nothing outside of it."""
    found: dict[str, None] = {}
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            found[node.arg] = None
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = None
        elif isinstance(node, ast.FunctionDef) and node is not main:
            found[node.name] = None
        elif isinstance(node, ast.Import | ast.ImportFrom):
            imported |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
    methods = {part.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for part in ast.walk(node) if isinstance(part, ast.FunctionDef)}
    return [name for name in found if name not in imported | methods and not (name.startswith("__") and name.endswith("__"))]


def _renamed(function: Function, draw: random.Random) -> Made:
    if any(word in function.source for word in ("locals(", "globals(", "eval(", "exec(", "class ")):
        return None
    tree = ast.parse(function.source)
    main = _main(tree, function.name)
    own = _own_names(tree, main)
    fresh = draw.sample([f"{a}_{b}" for a in NOUNS for b in NOUNS if a != b], len(own) + 1)
    names = dict(zip(own, fresh, strict=False))
    if any(hasattr(builtins, name) and _is_global_somewhere(tree, name) for name in own):
        return None
    params = [argument.arg for argument in main.args.args]
    _Names({**names, function.name: f"{function.name}_{fresh[-1]}"}).visit(tree)
    main = _main(tree, f"{function.name}_{fresh[-1]}")
    if ast.get_docstring(main) is not None:
        main.body[0] = ast.Expr(ast.Constant(draw.choice(DOCS)))
    return tree, main.name, {param: names[param] for param in params}


def _is_global_somewhere(tree: ast.Module, name: str) -> bool:
    """Whether a name that is a builtin is bound in one function and read as the builtin in another."""
    scopes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda)]
    return not all(any(_binds(node, name) for node in ast.walk(scope)) for scope in scopes)


def _binds(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.arg):
        return node.arg == name
    return isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)


class _Flips(ast.NodeTransformer):
    """Turns comparisons round and branches over, where nothing but the order changes."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.count = 0

    def visit_Compare(self, node: ast.Compare) -> Any:
        self.generic_visit(node)
        turned = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE, ast.Eq: ast.Eq, ast.NotEq: ast.NotEq}
        operator = turned.get(type(node.ops[0]))  # type: ignore[call-overload]
        if len(node.ops) == 1 and operator is not None and _is_simple(node.left) and _is_simple(node.comparators[0]):
            self.count += 1
            return ast.Compare(node.comparators[0], [operator()], [node.left])
        return node

    def visit_If(self, node: ast.If) -> Any:
        self.generic_visit(node)
        if node.orelse and not (len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)) and self.draw.random() < 0.7:
            self.count += 1
            return ast.If(ast.UnaryOp(ast.Not(), node.test), node.orelse, node.body)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        self.generic_visit(node)
        self.count += 1
        return ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.orelse, node.body)

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        if len(node.keywords) > 1 and all(word.arg for word in node.keywords):
            self.count += 1
            node.keywords = node.keywords[::-1]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        self.generic_visit(node)
        self.count += _swap(node.body)
        return node


def _is_simple(node: ast.AST) -> bool:
    """Whether evaluating it earlier or later can make no difference."""
    return not any(isinstance(part, ast.Call | ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom) for part in ast.walk(node))


def _swap(body: list[ast.stmt]) -> int:
    """Exchange neighbouring assignments of which neither reads what the other sets."""
    count = at = 0
    while at + 1 < len(body):
        one, other = body[at], body[at + 1]
        if _is_plain(one) and _is_plain(other) and not (_sets(one) & (_reads(other) | _sets(other))) and not (_sets(other) & _reads(one)):
            body[at], body[at + 1] = other, one
            count += 1
            at += 1
        at += 1
    return count


def _is_plain(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) for target in node.targets) and _is_harmless(node.value)


def _is_harmless(node: ast.AST) -> bool:
    """No calls but of constructors: nothing is raised and nothing changed."""
    kinds = (ast.Constant, ast.Name, ast.List, ast.Dict, ast.Tuple, ast.Set, ast.Load, ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.UnaryOp, ast.USub)
    return all(isinstance(part, kinds) for part in ast.walk(node))


def _sets(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}


def _reads(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}


def _reordered(function: Function, draw: random.Random) -> Made:
    tree, main = _called(function, "reordered")
    flips = _Flips(draw)
    flips.visit(tree)
    count = flips.count
    main = _main(tree, main.name)
    if len(main.args.args) > 1 and not main.args.defaults and not _calls_itself(tree, main):
        main.args.args = main.args.args[::-1]
        count += 1
    return (tree, main.name, {}) if count else None


def _calls_itself(tree: ast.Module, main: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Name) and node.id == main.name for node in ast.walk(tree))


# ------------------------------------------------------------------ another function


def _pick(tree: ast.AST, main: ast.FunctionDef, fits: Callable[[ast.AST], bool], draw: random.Random) -> Any:
    """One of the nodes that fit, outside of docstrings, annotations and formats of texts."""
    skipped = {id(part) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef) for part in _described(node)}
    skipped |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr | ast.Call) for part in _fixed(node)}
    found = [node for node in ast.walk(main) if fits(node) and id(node) not in skipped]
    return draw.choice(found) if found else None


def _described(node: ast.FunctionDef | ast.ClassDef) -> Iterator[ast.AST]:
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        yield from ast.walk(first)
    if isinstance(node, ast.FunctionDef):
        for hint in (*(argument.annotation for argument in node.args.args), node.returns):
            if hint is not None:
                yield from ast.walk(hint)


def _fixed(node: ast.JoinedStr | ast.Call) -> Iterator[ast.AST]:
    if isinstance(node, ast.JoinedStr) or (isinstance(node.func, ast.Name) and node.func.id == "__import__"):
        yield from ast.walk(node)


def _constant(function: Function, draw: random.Random) -> Made:
    tree, main = _called(function, "constant")
    node = _pick(tree, main, lambda part: isinstance(part, ast.Constant) and type(part.value) in (int, float, str, bool), draw)
    if node is None:
        return None
    value = node.value
    if isinstance(value, bool):
        node.value = not value
    elif isinstance(value, int):
        node.value = value + draw.choice((-1, 1, 2, 10))
    elif isinstance(value, float):
        node.value = value + draw.choice((-0.5, 0.25, 1.0))
    else:
        node.value = value + draw.choice("abx ") if draw.random() < 0.5 or not value else value[1:]
    return tree, main.name, {}


def _operator(function: Function, draw: random.Random) -> Made:
    tree, main = _called(function, "operator")
    changes = {
        ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Add: ast.Sub, ast.Sub: ast.Add,
        ast.Mult: ast.Add, ast.FloorDiv: ast.Mod, ast.Mod: ast.FloorDiv, ast.And: ast.Or, ast.Or: ast.And, ast.In: ast.NotIn, ast.NotIn: ast.In,
    }  # fmt: skip

    def fits(part: ast.AST) -> bool:
        if isinstance(part, ast.Compare):
            return len(part.ops) == 1 and type(part.ops[0]) in changes
        return isinstance(part, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(part.op) in changes

    node = _pick(tree, main, fits, draw)
    if node is None:
        return None
    if isinstance(node, ast.Compare):
        node.ops = [changes[type(node.ops[0])]()]  # type: ignore[index]
    else:
        node.op = changes[type(node.op)]()
    return tree, main.name, {}


# ------------------------------------------------------------------ an independent judge of copies


def copy_key(source: str, name: str) -> str:
    """Equal for sources whose trees are equal once names, docstrings and annotations are taken away; constants stay."""
    tree = copy.deepcopy(ast.parse(source))
    main = _main(tree, name)
    numbers: dict[str, str] = {main.name: "f"}
    for own in _own_names(tree, main):
        numbers.setdefault(own, f"v{len(numbers)}")
    _Names(numbers).visit(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            for argument in (*node.args.args, *node.args.kwonlyargs):
                argument.annotation = None
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


# ------------------------------------------------------------------ independent inputs


def fresh_calls(function: Function, *, count: int, seed: int) -> list[dict[str, Any]]:
    """Calls made up by the functions' annotations and from its own calls; another way than the library's."""
    draw = random.Random(f"{seed}:fresh:{function.name}")
    main = _main(ast.parse(function.source), function.name)
    hints = {argument.arg: ast.unparse(argument.annotation) if argument.annotation else "int" for argument in main.args.args}
    made: list[dict[str, Any]] = []
    for turn in range(count):
        if function.calls and function.calls[0] and turn % 2:
            call = copy.deepcopy(dict(draw.choice(function.calls)))
            name = draw.choice(list(call))
            call[name] = _nudged(call[name], draw)
        else:
            call = {name: _value(hint, draw) for name, hint in hints.items()}
        made.append(call)
    return made


def _value(hint: str, draw: random.Random) -> Any:
    hint = hint.strip("\"'").split("|")[0].strip()
    if hint.startswith("list["):
        return [_value(hint[5:-1], draw) for _ in range(draw.randrange(7))]
    if hint.startswith("dict["):
        return {_value("str", draw): _value(hint[5:-1].partition(",")[2].strip(), draw) for _ in range(draw.randrange(4))}
    plain: dict[str, Callable[[], Any]] = {
        "int": lambda: draw.choice((draw.randint(-5, 5), draw.randint(0, 30), draw.randint(-1000, 5000))),
        "float": lambda: draw.choice((draw.random(), draw.randint(-9, 9) / 2)),
        "str": lambda: "".join(draw.choice("abcdeABC 012,.()/") for _ in range(draw.randrange(12))),
        "bool": lambda: draw.random() < 0.5,
    }  # fmt: skip
    return plain.get(hint, plain["int"])()


def _nudged(value: Any, draw: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + draw.randint(-3, 3)
    if isinstance(value, float):
        return value + draw.choice((-0.5, 0.1, 0.5))
    if isinstance(value, str):
        letters = list(value)
        draw.shuffle(letters)
        return draw.choice((value[1:], value + draw.choice("ab 1("), "".join(letters), value[::-1]))
    if isinstance(value, list) and value:
        at = draw.randrange(len(value))
        changed = [*value[:at], _nudged(value[at], draw), *value[at + 1 :]]
        return draw.choice((value[:at] + value[at + 1 :], [*value, value[at]], value[::-1], changed))
    return value
