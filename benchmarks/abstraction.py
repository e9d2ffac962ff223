"""How the proposer of T5 generalises: what several of its solutions have in common becomes a function, by anti-unification of their trees.

A rule, with no data in it: patterns that at least two solutions share, by what they would save (as in DreamCoder and Stitch, simplified).
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from benchmarks.enumerator import productions

INT, STR, BOOL, FLOAT, INTS, STRS = "int", "str", "bool", "float", "list[int]", "list[str]"
MOST_HOLES = 3
LEAST_STEPS = 2
"""A pattern does at least so many things: one is a primitive already."""
_CALLS = {"len": INT, "sum": INT, "abs": "same", "int": INT, "str": STR, "float": FLOAT, "round": INT, "max": "item", "min": "item"}
_METHODS = {"count": INT, "upper": STR, "lower": STR, "swapcase": STR, "strip": STR, "join": STR, "replace": STR, "split": STRS, "startswith": BOOL}


@dataclass(frozen=True, slots=True)
class Pattern:
    """A tree with holes; equal patterns have equal texts."""

    text: str
    """The expression, holes as ``hole_0``, ``hole_1`` … in the order of first use."""
    holes: tuple[str, ...]
    """The types of the holes."""
    returns: str
    steps: int


class Typing:
    """The types of the expressions that the proposer writes; empty where there is none."""

    def __init__(self, names: Mapping[str, str], functions: Mapping[str, str]) -> None:
        self.names, self.functions = dict(names), functions

    def of(self, node: ast.expr) -> str:
        if isinstance(node, ast.Constant):
            return type(node.value).__name__ if type(node.value) in (int, str, bool, float) else ""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, "")
        if isinstance(node, ast.BinOp):
            return self._binary(node)
        if isinstance(node, ast.UnaryOp):
            return BOOL if isinstance(node.op, ast.Not) else self.of(node.operand)
        if isinstance(node, ast.Compare):
            return BOOL
        if isinstance(node, ast.List) and len(node.elts) == 1:
            return {INT: INTS, STR: STRS}.get(self.of(node.elts[0]), "")
        if isinstance(node, ast.Subscript):
            inner = self.of(node.value)
            return inner if isinstance(node.slice, ast.Slice) else _item(inner)
        if isinstance(node, ast.ListComp):
            return self._comprehension(node)
        return self._call(node) if isinstance(node, ast.Call) else ""

    def _binary(self, node: ast.BinOp) -> str:
        left, right = self.of(node.left), self.of(node.right)
        if isinstance(node.op, ast.Div | ast.Pow):
            return FLOAT
        return left if left in (INTS, STRS, STR) else FLOAT if FLOAT in (left, right) else left

    def _comprehension(self, node: ast.ListComp) -> str:
        bound: dict[str, str] = {}
        for part in node.generators:
            targets = part.target.elts if isinstance(part.target, ast.Tuple) else [part.target]
            sources = part.iter.args if isinstance(part.iter, ast.Call) and getattr(part.iter.func, "id", "") == "zip" else [part.iter]
            bound |= {target.id: _item(self.of(source)) for target, source in zip(targets, sources, strict=False) if isinstance(target, ast.Name)}
        return {INT: INTS, STR: STRS}.get(Typing({**self.names, **bound}, self.functions).of(node.elt), "")

    def _call(self, node: ast.Call) -> str:
        if isinstance(node.func, ast.Attribute):
            return _METHODS.get(node.func.attr, "") if node.func.attr != "fromkeys" else self.of(node.args[0])
        name = getattr(node.func, "id", "")
        if name in self.functions:
            return self.functions[name]
        if name == "sorted" or name == "list":
            inner = node.args[0]
            if isinstance(inner, ast.Call) and getattr(inner.func, "id", "") == "range":
                return INTS
            found = self.of(inner)
            return STRS if found == STR else found
        kind = _CALLS.get(name, "")
        return {"same": self.of(node.args[0]), "item": _item(self.of(node.args[0]))}.get(kind, kind) if node.args else ""


def _item(type_: str) -> str:
    return {INTS: INT, STRS: STR, STR: STR}.get(type_, "")


def bound_in(node: ast.AST) -> set[str]:
    """The variables that the comprehensions in a tree bind."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}


def parts_of(node: ast.expr, free: frozenset[str] = frozenset()) -> Iterator[ast.expr]:
    """The expressions in a tree that read none of the variables that are bound around them."""
    inner = free | bound_in(node) if isinstance(node, ast.ListComp) else free
    if not ({part.id for part in ast.walk(node) if isinstance(part, ast.Name)} & free):
        yield node
    for child in ast.iter_child_nodes(node):
        for part in [child] if isinstance(child, ast.expr) else [each for each in ast.iter_child_nodes(child) if isinstance(each, ast.expr)]:
            yield from parts_of(part, inner)


# ------------------------------------------------------------------ anti-unification


class _Common:
    """What two trees have in common; where they differ, and where they read inputs, stands a hole."""

    def __init__(self, types: Typing) -> None:
        self.types = types
        self.holes: dict[str, tuple[int, str]] = {}
        self.lost = False

    def of(self, a: ast.AST, b: ast.AST, free: frozenset[str]) -> ast.AST:
        if isinstance(a, ast.Name) and a.id in self.types.names and a.id not in free:
            return self.hole(a, b, free)
        if type(a) is not type(b):
            return self.hole(a, b, free)
        if isinstance(a, ast.ListComp):
            free = free | bound_in(a)
        made = {}
        for name, one in ast.iter_fields(a):
            other = getattr(b, name)
            if isinstance(one, ast.expr) and isinstance(other, ast.expr):
                made[name] = self.of(one, other, free)
            elif isinstance(one, ast.AST) and isinstance(other, ast.AST):
                made[name] = self.of(one, other, free) if type(one) is type(other) else self.fail()
            elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
                both = zip(one, other, strict=True)
                made[name] = [self.of(x, y, free) if isinstance(x, ast.AST) and isinstance(y, ast.AST) else x for x, y in both]
            elif one == other and type(one) is type(other):
                made[name] = one
            else:
                return self.hole(a, b, free)
        return type(a)(**made)

    def fail(self) -> ast.AST:
        self.lost = True
        return ast.Name("lost")

    def hole(self, a: ast.AST, b: ast.AST, free: frozenset[str]) -> ast.AST:
        if not isinstance(a, ast.expr) or not isinstance(b, ast.expr):
            return self.fail()
        names = {part.id for tree in (a, b) for part in ast.walk(tree) if isinstance(part, ast.Name)}
        type_ = self.types.of(a)
        if names & free or not type_ or type_ != self.types.of(b):
            return self.fail()
        key = f"{ast.unparse(a)}|{ast.unparse(b)}"
        number, _ = self.holes.setdefault(key, (len(self.holes), type_))
        return ast.Name(f"hole_{number}", ast.Load())


def common(a: ast.expr, b: ast.expr, types: Typing) -> Pattern | None:
    """The pattern of two expressions of one type; None when they share too little."""
    returns = types.of(a)
    if not returns or returns != types.of(b):
        return None
    finder = _Common(types)
    tree = finder.of(a, b, frozenset())
    steps = steps_of(tree)
    if finder.lost or steps < LEAST_STEPS or not 1 <= len(finder.holes) <= MOST_HOLES:
        return None
    types_ = [type_ for _, type_ in sorted(finder.holes.values())]
    return Pattern(ast.unparse(ast.fix_missing_locations(tree)), tuple(types_), returns, steps)


def steps_of(tree: ast.AST) -> int:
    """Of how many productions of the proposer an expression is made; holes are none."""
    if isinstance(tree, ast.Name) and tree.id.startswith("hole_"):
        return 0
    for template in _templates():
        found: dict[str, ast.expr] = {}
        if instance(template, tree, found):
            return 1 + sum(steps_of(part) for part in found.values())
    parts = tree.args if isinstance(tree, ast.Call) else []
    return 1 + sum(steps_of(part) for part in parts)


@cache
def _templates() -> tuple[ast.expr, ...]:
    """The proposer's productions as trees."""
    made = []
    for _, parts, text in productions():
        names = [f"hole_{number}" for number in range(len(parts))]
        made.append(ast.parse(text.format(*names), mode="eval").body)
    return tuple(made)


def generalised(own: ast.expr, types: Typing) -> Pattern | None:
    """An expression with holes for its inputs and nothing else; None when it does too little, or reads no input."""
    returns = types.of(own)
    finder = _Common(types)
    tree = finder.of(own, own, frozenset())
    steps = steps_of(tree)
    if finder.lost or not returns or steps < LEAST_STEPS or not 1 <= len(finder.holes) <= MOST_HOLES:
        return None
    types_ = [type_ for _, type_ in sorted(finder.holes.values())]
    return Pattern(ast.unparse(ast.fix_missing_locations(tree)), tuple(types_), returns, steps)


def instance(pattern: ast.AST, tree: ast.AST, found: dict[str, ast.expr]) -> bool:
    """Whether a tree is the pattern with its holes filled in; ``found`` gets what fills them."""
    if isinstance(pattern, ast.Name) and pattern.id.startswith("hole_"):
        if not isinstance(tree, ast.expr):
            return False
        known = found.setdefault(pattern.id, tree)
        return ast.dump(known) == ast.dump(tree)
    if type(pattern) is not type(tree):
        return False
    for name, one in ast.iter_fields(pattern):
        other = getattr(tree, name, None)
        if isinstance(one, ast.AST):
            if not isinstance(other, ast.AST) or not instance(one, other, found):
                return False
        elif isinstance(one, list):
            if not isinstance(other, list) or len(one) != len(other):
                return False
            if not all(instance(x, y, found) if isinstance(x, ast.AST) else x == y for x, y in zip(one, other, strict=True)):
                return False
        elif one != other and name != "ctx":
            return False
    return True


# ------------------------------------------------------------------ functions


def best_patterns(own: ast.expr, others: Sequence[ast.expr], types: Typing, *, most: int = 2) -> list[Pattern]:
    """The patterns in ``own`` that save the most over all solutions: the steps they spare each one that has them, less one's own cost."""
    candidates: dict[str, Pattern] = {}
    for part in parts_of(own):
        for other in others:
            for piece in parts_of(other):
                pattern = common(part, piece, types)
                if pattern is not None:
                    candidates.setdefault(pattern.text, pattern)
        alone = generalised(part, types)
        if alone is not None:
            candidates.setdefault(alone.text, alone)
    scored: list[tuple[float, str]] = []
    for text, pattern in candidates.items():
        tree = ast.parse(text, mode="eval").body
        users = sum(any(instance(tree, part, {}) for part in parts_of(whole)) for whole in (own, *others))
        scored.append(((users - 0.5) * (pattern.steps - 1) - 0.25 * len(pattern.holes), text))
    return [candidates[text] for score, text in sorted(scored, key=lambda item: (-item[0], item[1]))[:most] if score > 0]


def as_function(pattern: Pattern) -> tuple[str, str]:
    """A pattern's name and source as a function of its holes."""
    digest = hashlib.sha256(f"{pattern.text}{pattern.holes}".encode()).hexdigest()[:6]
    names = [node.id for node in ast.walk(ast.parse(pattern.text)) if isinstance(node, ast.Name)]
    words = [word for word in names if not word.startswith("hole_") and len(word) > 1]
    name = "_".join(dict.fromkeys([*words[:2], "of", pattern.returns.replace("[", "_").replace("]", ""), digest]))
    params = ", ".join(f"hole_{number}: {type_}" for number, type_ in enumerate(pattern.holes))
    return name, f'def {name}({params}) -> {pattern.returns}:\n    """{pattern.text}"""\n    return {pattern.text}\n'


def with_call(own: ast.expr, pattern: Pattern, name: str) -> ast.expr | None:
    """The expression with the first instance of the pattern made a call; None when it has none."""
    tree = ast.parse(pattern.text, mode="eval").body

    class Replace(ast.NodeTransformer):
        done = False

        def visit(self, node: ast.AST) -> ast.AST:
            found: dict[str, ast.expr] = {}
            if not self.done and isinstance(node, ast.expr) and any(node is part for part in parts) and instance(tree, node, found):
                self.done = True
                return ast.Call(ast.Name(name), [found[f"hole_{number}"] for number in range(len(pattern.holes))], [])
            return self.generic_visit(node)

    parts = list(parts_of(own))
    replace = Replace()
    made = replace.visit(own)
    return made if replace.done and isinstance(made, ast.expr) else None
