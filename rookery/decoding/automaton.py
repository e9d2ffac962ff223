"""What order a kind of object wants its methods called in, and which states an object may be in at a place in Python code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rookery.decoding.pythontext import Spot
from rookery.errors import RuleWrong

_CURSOR = "_cursor_"
_TURNS = 6
"""So often a loop's body is gone through; states only grow, and automata are small."""
States = frozenset[str] | None
"""The states that an object may be in; None when nobody knows."""
Known = Mapping[str, frozenset[str]]
"""By variable; one that is not in it is not known."""


@dataclass(frozen=True, slots=True)
class Automaton:
    """A protocol: which method may be called in which state, and which state it leads to.

    :raises RuleWrong: it has no moves, or two of one method from one state.
    """

    on: str
    """The class, as code names it when it makes one: ``Connection``."""
    start: str
    moves: tuple[tuple[str, str, str], ...]
    """``(state, method, next state)``; methods that may always be called are given for each state, or as ``free``."""
    free: tuple[str, ...] = ()
    """Attributes and methods that may always be used, and change nothing."""

    def __post_init__(self) -> None:
        pairs = [(state, method) for state, method, _ in self.moves]
        states = {state for state, _, _ in self.moves}
        if not pairs or len(set(pairs)) < len(pairs) or self.start not in states:
            what = f"has no move from its start {self.start!r}" if self.start not in states else "moves two ways at once"
            raise RuleWrong(f"the automaton of {self.on} {what}", rule="typestate",
                            hint="Automaton('File', 'closed', (('closed', 'open', 'open'), ('open', 'read', 'open'), ('open', 'close', 'closed')))")

    def after(self, states: frozenset[str], method: str) -> States:
        """The states after a call; the method's being called says that it could be."""
        if not any(method == name for _, name, _ in self.moves):
            return states
        return frozenset(end for begin, name, end in self.moves if name == method and begin in states) or None

    def legal(self, states: frozenset[str]) -> tuple[str, ...]:
        """The methods that may be called whichever of these states it is in."""
        by = [{name for begin, name, _ in self.moves if begin == state} for state in states]
        return tuple(sorted(set.intersection(*by))) if by else ()


def states_at(automaton: Automaton, text: str, where: Spot, name: str) -> States:
    """The states that a variable's object may be in at the cursor; None when nobody knows.

    Follows the body of the innermost function (or the module) through branches, loops, ``with`` and ``try``. An object that gets away
    (passed on, stored, returned, seen by an inner function) is no longer known.
    """
    tree = _parsed(text, where)
    if tree is None:
        return None
    body = _scope(tree)
    walk = _Walk(automaton)
    walk.block(body, {})
    states = walk.found.get(name) if walk.found is not None else None
    line = where.line
    for method in re.findall(rf"(?<![\w.]){re.escape(name)}\.(\w+)\(", line[: line.rfind(name + ".")]) if states else ():
        states = automaton.after(states, method) if states else None
    return states


def _parsed(text: str, where: Spot) -> ast.Module | None:
    """The text up to the cursor's line, made whole."""
    lines = text[: where.start].rstrip().split("\n")
    while lines and lines[-1].lstrip().startswith("@"):
        lines.pop()
    indent = where.indent
    tail = [f"{indent}{_CURSOR}"]
    depth = len(indent.expandtabs())
    for line in reversed(lines):
        own = len(line) - len(line.lstrip())
        if line.strip() and own < depth:
            depth = own
            if re.match(r"\s*try\s*:", line):
                tail += [f"{line[:own]}finally:", f"{line[:own]} pass"]
    try:
        return ast.parse("\n".join((*lines, *tail)) + "\n")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _scope(tree: ast.Module) -> list[ast.stmt]:
    """The body of the innermost function that has the cursor in it."""
    body, found = tree.body, True
    while found:
        found = False
        for node in body:
            if any(map(_is_cursor, ast.walk(node))):
                for inner in ast.walk(node):
                    is_function = isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
                    if is_function and any(map(_is_cursor, ast.walk(inner))):
                        body, found = inner.body, True  # type: ignore[attr-defined]
                        break
                break
    return body


def _is_cursor(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == _CURSOR


def _joined(one: Known | None, other: Known | None) -> Known | None:
    """What is known where two ways meet; None is a way that does not come here."""
    if one is None or other is None:
        return one if other is None else other
    return {name: one[name] | other[name] for name in one.keys() & other.keys()}


class _Walk:
    """Goes through statements, keeping what is known of each object made of the automaton's class."""

    def __init__(self, automaton: Automaton) -> None:
        self._automaton = automaton
        self._methods = frozenset(method for _, method, _ in automaton.moves)
        self.found: Known | None = None
        """What is known at the cursor."""
        self._loops: list[list[Known]] = []
        """For each loop around: what is known where it is left or begun anew."""

    def block(self, body: list[ast.stmt], known: Known | None) -> Known | None:
        """What is known after statements; None when they do not come to their end."""
        for statement in body:
            if known is None:
                return None
            known = self._statement(statement, known)
        return known

    def _statement(self, node: ast.stmt, known: Known) -> Known | None:
        match node:
            case ast.Expr(ast.Name(id=name)) if name == _CURSOR:
                self.found = _joined(self.found, known)
                return known
            case ast.Return() | ast.Raise():
                self._seen(node, known)
                return None
            case ast.Break() | ast.Continue():
                if self._loops:
                    self._loops[-1].append(known)
                return None
            case ast.If():
                known = self._seen(node.test, known)
                return _joined(self.block(node.body, known), self.block(node.orelse, known))
            case ast.For() | ast.AsyncFor():
                return self._loop(node.body, node.orelse, self._without(self._seen(node.iter, known), node.target))
            case ast.While():
                is_endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
                return self._loop(node.body, node.orelse, self._seen(node.test, known), is_endless=is_endless)
            case ast.With() | ast.AsyncWith():
                return self._with(node, known)
            case ast.Try() | ast.TryStar():
                return self._try(node, known)
            case ast.Match():
                known = self._seen(node.subject, known)
                ends: Known | None = known
                for case in node.cases:
                    ends = _joined(ends, self.block(case.body, known))
                return ends
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return self._escaped(node, known)
            case ast.Assign(targets=[target]) | ast.AnnAssign(target=target, value=ast.expr()):
                assert node.value is not None
                return self._assigned(target, node.value, known)
        return self._seen(node, known)

    def _assigned(self, target: ast.expr, value: ast.expr, known: Known) -> Known:
        known = self._without(self._seen(value, known), target)
        name = _name(target)
        return {**known, name: frozenset({self._automaton.start})} if name and self._makes(value) else known

    def _loop(self, body: list[ast.stmt], otherwise: list[ast.stmt], known: Known, *, is_endless: bool = False) -> Known | None:
        left: Known | None = None
        for _ in range(_TURNS):
            self._loops.append([])
            after = self.block(body, known)
            for other in self._loops.pop():
                left = _joined(left, other)
            begun = _joined(known, _joined(after, left))
            if begun is None or begun == known:
                break
            known = begun
        else:
            known = {}
        normal = None if is_endless else self.block(otherwise, known)
        return _joined(normal, left)

    def _with(self, node: ast.With | ast.AsyncWith, known: Known) -> Known | None:
        for item in node.items:
            known = self._seen(item.context_expr, known)
            if item.optional_vars is not None:
                known = self._assigned(item.optional_vars, item.context_expr, known)
                name = _name(item.optional_vars)
                if name in known:
                    entered = self._automaton.after(known[name], "__enter__")
                    known = {**known, name: entered} if entered else self._without(known, item.optional_vars)
        after = self.block(node.body, known)
        for item in node.items:
            name = _name(item.optional_vars) if item.optional_vars is not None else ""
            if after and name in after:
                left = self._automaton.after(after[name], "__exit__")
                after = {**after, name: left} if left else {one: states for one, states in after.items() if one != name}
        return after

    def _try(self, node: ast.Try | ast.TryStar, known: Known) -> Known | None:
        midway: Known | None = known
        after: Known | None = known
        for statement in node.body:
            after = None if after is None else self._statement(statement, after)
            midway = _joined(midway, after) if after is not None else midway
        after = self.block(node.orelse, after) if node.orelse else after
        for caught in node.handlers:
            after = _joined(after, self.block(caught.body, midway))
        if node.finalbody and any(_is_cursor(inner) for one in node.finalbody for inner in ast.walk(one)):
            self.block(node.finalbody, _joined(after, midway))  # it runs wherever the body was left
        return self.block(node.finalbody, after)

    # -------------------------------------------------------------- expressions

    def _makes(self, value: ast.expr) -> bool:
        if isinstance(value, ast.Await):
            value = value.value
        return isinstance(value, ast.Call) and _name(value.func).rpartition(".")[2] == self._automaton.on

    def _seen(self, node: ast.AST, known: Known) -> Known:
        """What is known after an expression: its methods are called, in order, and what gets away is forgotten."""
        if not known:
            return known
        for name, method in _uses(node, known, self._methods):
            if method and name in known:
                states = self._automaton.after(known[name], method)
                known = {**known, name: states} if states else {one: held for one, held in known.items() if one != name}
            elif name in known:
                known = {one: held for one, held in known.items() if one != name}
        roots = set(_method_roots(node))
        return {name: states for name, states in known.items() if "." not in name or name.partition(".")[0] not in roots}

    def _escaped(self, node: ast.AST, known: Known) -> Known:
        names = {_name(inner) for inner in ast.walk(node) if isinstance(inner, ast.Name | ast.Attribute)}
        return {name: states for name, states in known.items() if name not in names}

    def _without(self, known: Known, target: ast.expr) -> Known:
        names = {_name(inner) for inner in ast.walk(target) if isinstance(inner, ast.Name | ast.Attribute)} if not isinstance(target, ast.Attribute) \
            else {_name(target)}
        return {name: states for name, states in known.items() if name not in names and not any(name.startswith(f"{one}.") for one in names)}


def _name(node: ast.AST | None) -> str:
    """``conn`` or ``self.conn``; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = _name(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def _uses(node: ast.AST, known: Known, methods: frozenset[str]) -> Iterator[tuple[str, str]]:
    """The uses of what is known, in the order in which they happen: with the method that is called, or "" where it gets away."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _name(node.func.value) in known:
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            yield from _uses(argument, known, methods)
        yield _name(node.func.value), node.func.attr
    elif isinstance(node, ast.Attribute) and _name(node.value) in known:
        if node.attr in methods:  # not called here: somebody may call it later
            yield _name(node.value), ""
    elif isinstance(node, ast.Name | ast.Attribute) and _name(node) in known:
        yield _name(node), ""
    else:
        is_test = isinstance(node, ast.Compare | ast.UnaryOp | ast.BoolOp)  # which takes nothing away
        for inner in ast.iter_child_nodes(node):
            if not (is_test and _name(inner) in known):
                yield from _uses(inner, known, methods)


def _method_roots(node: ast.AST) -> Iterator[str]:
    """Variables whose own methods are called: they may change what hangs on them."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and isinstance(inner.func.value, ast.Name):
            yield inner.func.value.id
