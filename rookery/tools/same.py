"""When two sources are the same function: their syntax with what does not matter taken away, and the rules that decide over a merge."""

from __future__ import annotations

import ast
import builtins
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rookery.tools.record import sha256
from rookery.tools.source import function_in, parsed

Verdict = Literal["copy", "twin", "constant", "alike", "other"]
"""``copy``: the same steps with other names or in another order. ``twin``: other steps, nothing tells them apart. Both may be merged.
``constant``: the same steps with another constant; never merged. ``alike``: nothing told them apart, but not enough was seen, or one
has a constant that the other has not; kept and listed. ``other``: they differ."""
SELF_AWARE = frozenset({
    "locals", "globals", "vars", "eval", "exec", "compile", "dir", "inspect", "__name__", "__doc__", "__annotations__", "__code__",
})  # fmt: skip
"""With one of these in it a source may see its own names: nothing in it is renamed."""
SMALL = frozenset({("int", "0"), ("int", "1"), ("int", "-1"), ("NoneType", "None"), ("bool", "True"), ("bool", "False"), ("str", "''")})
"""Constants that come and go with the way a thing is written (``sum(x)`` or ``total = 0 …``)."""
MAX_PARAMS = 4
"""Functions of more parameters are compared in the order of their use only."""
COPY_EVIDENCE, TWIN_EVIDENCE = 8, 30
"""So many calls with a value, on which two functions must agree, make a copy and a twin."""


@dataclass(frozen=True, slots=True)
class Form:
    """What is left of a source's syntax when names, docstrings, annotations and the order of things are taken away."""

    exact: str
    """Equal for sources that differ in names, docstrings and annotations only."""
    steps: str
    """Equal for sources that do the same things with whatever constants, in whatever order."""
    constants: tuple[tuple[str, str], ...]
    """Type and text of each constant, sorted."""
    params: tuple[str, ...]
    """The function's parameters in the order of their first use: those of equal ``exact`` correspond."""


def form_of(source: str, name: str = "") -> Form:
    """The form of the function ``name`` of a source and of all it uses there. Raises ToolUnfit for broken source."""
    tree = parsed(source, name)
    function = function_in(tree, name)
    body = _reachable(tree, function)
    aware = any(_word(node) in SELF_AWARE for part in body for node in ast.walk(part))
    imports = _imports(body)
    clean = [_Clean(imports).visit(part) for part in body if not isinstance(part, ast.Import | ast.ImportFrom)]
    bound = _bound(clean) - set(dir(builtins))
    order = _first_uses(clean, bound)
    params = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    params.sort(key=lambda param: order.get(param, len(order)))
    steps, constants = _counted(clean, bound | _names_of(clean))
    if aware:
        exact = sha256(source)
    else:
        numbers = {key: f"n{number}" for key, number in order.items()}
        exact = sha256("\n".join(ast.dump(_Renamed(numbers).visit(part)) for part in _in_order(clean, params)))
    return Form(exact, steps, constants, tuple(params))


def constants_of(form: Form) -> list[Any]:
    """The constants of a form as values, each once: what inputs should be near to."""
    return [ast.literal_eval(text) for kind, text in dict.fromkeys(form.constants) if kind in ("int", "float", "str")]


def verdict(a: Form, b: Form, *, agreed: int, distinct: int, differed: int) -> Verdict:
    """What two functions are to one another.

    :param agreed: calls to which both gave the same value; ``distinct`` of those values differ from one another. Functions without
        parameters have one call, and that says all.
    :param differed: calls to which they gave different values, or only one of them did.
    """
    if a.exact == b.exact:
        return "copy"
    if a.steps == b.steps and a.constants != b.constants:
        return "constant" if not differed else "other"
    if differed or not agreed:
        return "other"
    if a.steps == b.steps and (not a.params or (agreed >= COPY_EVIDENCE and distinct >= 2)):
        return "copy"
    if not _substituted(a, b) and agreed >= TWIN_EVIDENCE and distinct >= 5:
        return "twin"
    return "alike"


def _substituted(a: Form, b: Form) -> bool:
    """Whether one may have a constant in another one's place: as many constants that are not the same, or others than small ones."""
    large = [[constant for constant in form.constants if constant not in SMALL] for form in (a, b)]
    return large[0] != large[1] or (len(a.constants) == len(b.constants) and a.constants != b.constants)


def correspondences(a: Sequence[str], b: Sequence[str], types_a: Mapping[str, str], types_b: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The ways in which the parameters of one function can stand for those of another, the likeliest first.

    ``a`` and ``b`` are in the order of first use. Parameters of other types never correspond.
    """
    if sorted(types_a[name] for name in a) != sorted(types_b[name] for name in b):
        return
    orders = itertools.permutations(b) if len(b) <= MAX_PARAMS else iter([tuple(b)])
    for order in orders:
        if all(types_a[one] == types_b[other] for one, other in zip(a, order, strict=True)):
            yield dict(zip(a, order, strict=True))


# ------------------------------------------------------------------ taking away


def _word(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _reachable(tree: ast.Module, function: ast.FunctionDef) -> list[ast.stmt]:
    """The function, then what it uses of the module's top level in the order of use, then what is there for its effect."""
    defined: dict[str, ast.stmt] = {}
    rest: list[ast.stmt] = []
    for node in tree.body:
        names = list(_defines(node))
        defined.update(dict.fromkeys(names, node))
        if not names and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            rest.append(node)
    found: list[ast.stmt] = []
    waiting: list[ast.stmt] = [function]
    while waiting or rest:
        node = waiting.pop(0) if waiting else rest.pop(0)
        if any(node is known for known in found):
            continue
        found.append(node)
        waiting += [defined[word] for part in _ordered(node) if (word := _word(part)) in defined]
    return found


def _defines(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name.split(".")[0]) for alias in node.names)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))


def _ordered(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below one, in the order of the text, annotations left out."""
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "type_comment"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _ordered(child)


def _imports(body: Sequence[ast.stmt]) -> dict[str, str]:
    """What each imported name stands for: ``sqrt`` and ``m.sqrt`` are both ``math.sqrt``."""
    found: dict[str, str] = {}
    for node in (node for part in body for node in ast.walk(part)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.split(".")[0]] = alias.name if alias.asname else alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


class _Clean(ast.NodeTransformer):
    """Without docstrings, annotations and imports; what was imported goes by its full name."""

    def __init__(self, imports: Mapping[str, str]) -> None:
        self.imports = imports

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
        kept = [part for part in body if not isinstance(part, ast.Import | ast.ImportFrom)] or [ast.Pass()]
        made = ast.FunctionDef(node.name, node.args, kept, node.decorator_list, None, None)
        return self.generic_visit(made)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(node.arg, None, None)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        made = ast.Assign([node.target], node.value) if node.value is not None else ast.Pass()
        return self.generic_visit(made)

    def visit_Import(self, node: ast.Import) -> ast.AST:
        return ast.Pass()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        return ast.Pass()

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(f"import {self.imports[node.id]}" if node.id in self.imports else node.id, ast.Load())

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        value = self.visit(node.value)
        if isinstance(value, ast.Name) and value.id.startswith("import "):
            return ast.Name(f"{value.id}.{node.attr}", ast.Load())
        return ast.Attribute(value, node.attr, ast.Load())

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        value = node.operand.value if isinstance(node.operand, ast.Constant) else None
        if isinstance(node.op, ast.USub) and isinstance(value, int | float) and not isinstance(value, bool):
            return ast.Constant(-value)
        return self.generic_visit(node)


def _bound(body: Sequence[ast.AST]) -> set[str]:
    """The names that the sources give themselves: parameters, variables, functions."""
    names: set[str] = set()
    for node in (node for part in body for node in ast.walk(part)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
        for target in _targets(node):
            names |= {part.id for part in ast.walk(target) if isinstance(part, ast.Name)} - _read_in(target)
    return names


def _targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign | ast.Delete):
        return node.targets
    if isinstance(node, ast.AugAssign | ast.For | ast.AsyncFor | ast.comprehension | ast.NamedExpr):
        return [node.target]
    if isinstance(node, ast.withitem) and node.optional_vars is not None:
        return [node.optional_vars]
    return []


def _read_in(target: ast.expr) -> set[str]:
    """Names that a target only reads: ``x[i] = …`` binds neither."""
    inner = [node for node in ast.walk(target) if isinstance(node, ast.Subscript | ast.Attribute)]
    return {part.id for node in inner for part in ast.walk(node) if isinstance(part, ast.Name)}


def _first_uses(body: Sequence[ast.AST], bound: set[str]) -> dict[str, int]:
    """Each bound name's number, in the order of first use; being a parameter is no use."""
    order: dict[str, int] = {}
    for part in body:
        for node in _ordered(part):
            word = node.id if isinstance(node, ast.Name) else node.name if isinstance(node, ast.FunctionDef | ast.ClassDef) else ""
            if isinstance(node, ast.ExceptHandler) and node.name:
                word = node.name
            if word in bound:
                order.setdefault(word, len(order))
    for part in body:
        for node in ast.walk(part):
            if isinstance(node, ast.arg):
                order.setdefault(node.arg, len(order))
    return order


def _in_order(body: Sequence[Any], params: Sequence[str]) -> list[Any]:
    """The sources with the first function's parameters in the order of first use: calls are made by name."""
    first = body[0]
    args: ast.arguments = first.args
    ordered = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [*[None] * (len(ordered) - len(args.defaults)), *args.defaults, *args.kw_defaults]
    given = {argument.arg: default for argument, default in zip([*ordered, *args.kwonlyargs], defaults, strict=True)}
    first.args = ast.arguments([], [], args.vararg, [ast.arg(name) for name in params], [given.get(name) for name in params], args.kwarg, [])
    first.decorator_list = list(first.decorator_list)
    return list(body)


class _Renamed(ast.NodeTransformer):
    """Every bound name by its number."""

    def __init__(self, numbers: Mapping[str, str]) -> None:
        self.numbers = numbers

    def _of(self, name: str) -> str:
        return self.numbers.get(name, name)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self._of(node.id), ast.Load())

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(self._of(node.arg))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        made = ast.FunctionDef(self._of(node.name), node.args, node.body, node.decorator_list, None, None)
        return self.generic_visit(made)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        return self.generic_visit(ast.ExceptHandler(node.type, self._of(node.name) if node.name else None, node.body))

    def visit_Global(self, node: ast.Global) -> ast.AST:
        return ast.Global([self._of(name) for name in node.names])

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        return ast.Nonlocal([self._of(name) for name in node.names])

    def visit_Call(self, node: ast.Call) -> ast.AST:
        own = isinstance(node.func, ast.Name) and node.func.id in self.numbers
        keywords = [ast.keyword(self._of(word.arg) if own and word.arg else word.arg, word.value) for word in node.keywords]
        return self.generic_visit(ast.Call(node.func, node.args, keywords))


# ------------------------------------------------------------------ counting

_SAME_STEP = {"Gt": "Lt", "GtE": "LtE", "NotEq": "Eq", "NotIn": "In", "IsNot": "Is", "IfExp": "If", "comprehension": "For", "AugAssign": "BinOp"}
_NO_STEP = frozenset({
    "Assign", "Return", "Expr", "Load", "Store", "Del", "arguments", "arg", "Module", "FunctionDef", "Lambda", "Pass", "Not", "UnaryOp",
    "Compare", "Name", "Constant", "Attribute", "keyword", "ListComp", "GeneratorExp", "SetComp", "DictComp", "Import", "ImportFrom", "Starred",
    "FormattedValue", "NamedExpr", "Nonlocal", "Global", "Break", "Continue",
})  # fmt: skip


def _names_of(body: Sequence[ast.AST]) -> set[str]:
    """Parameters too are bound, also where they are called as a builtin."""
    return {node.arg for part in body for node in ast.walk(part) if isinstance(node, ast.arg)}


def _counted(body: Sequence[ast.AST], bound: set[str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    steps: Counter[str] = Counter()
    constants: list[tuple[str, str]] = []
    for node in (node for part in body for node in ast.walk(part)):
        kind = type(node).__name__
        if isinstance(node, ast.Constant):
            constants.append((type(node.value).__name__, repr(node.value)))
        elif isinstance(node, ast.Name) and node.id not in bound:
            steps[node.id] += 1
        elif isinstance(node, ast.Attribute):
            steps[f".{node.attr}"] += 1
        if kind not in _NO_STEP:
            steps[_SAME_STEP.get(kind, kind)] += 1
    return sha256(repr(sorted(steps.items()))), tuple(sorted(constants))
