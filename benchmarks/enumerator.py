"""The proposer of T5: Python expressions by size, the smallest first, each put forward once; the same for every arm, fixed beforehand.

This file is sent into the sandbox as it is and runs there: it imports the standard library only. A tool of the library is one more
thing to build expressions of, at the price of any other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

MOST_ITEMS, MOST_CHARS, MOST_NUMBER = 400, 4000, 10**15
INT, STR, BOOL, FLOAT, INTS, STRS = "int", "str", "bool", "float", "list[int]", "list[str]"
Production = tuple[str, tuple[str, ...], str]
"""The type of the expression, those of its parts, and its text with a place for each part."""


def productions() -> list[Production]:
    """What expressions are made of. The parts of an operator stand in parentheses."""
    made: list[Production] = [(INT, (), text) for text in ("0", "1", "2", "3", "10")]
    made += [(STR, (), text) for text in ("' '", "''", "','")]
    made += [(INT, (INT, INT), f"({{0}} {sign} {{1}})") for sign in ("+", "-", "*", "//", "%")]
    made += [(INT, (INTS,), f"{name}({{0}})") for name in ("len", "sum", "max", "min")]
    made += [(INT, (INTS,), "{0}[0]"), (INT, (INTS,), "{0}[-1]"), (INT, (INTS, INT), "{0}[{1}]"), (INT, (INTS, INT), "{0}.count({1})")]
    made += [(INT, (INT,), "abs({0})"), (INT, (INT,), "(-{0})")]
    made += [(INTS, (INTS,), text) for text in ("{0}[1:]", "{0}[:-1]", "{0}[::-1]", "{0}[::2]", "sorted({0})", "list(dict.fromkeys({0}))")]
    made += [(INTS, (INTS, INT), "{0}[{1}:]"), (INTS, (INTS, INT), "{0}[:{1}]"), (INTS, (INTS, INTS), "({0} + {1})"), (INTS, (INT,), "[{0}]")]
    made += [(INTS, (INT, INT), "list(range({0}, {1}))"), (INTS, (INT, INT), "([{0}] * {1})"), (INTS, (INTS, INT), "({0} * {1})")]
    made += [(INTS, (INTS, INT), f"[x {sign} {{1}} for x in {{0}}]") for sign in ("+", "-", "*", "//", "%")]
    made += [(INTS, (INTS, INT), "[{1} - x for x in {0}]")]
    made += [(INTS, (INTS, INT), f"[x for x in {{0}} if x {sign} {{1}}]") for sign in ("<", ">", "==", "!=")]
    made += [(INTS, (INTS, INT, INT), "[x for x in {0} if x % {1} == {2}]")]
    made += [(INTS, (INTS, INTS), f"[x {sign} y for x, y in zip({{0}}, {{1}})]") for sign in ("+", "-", "*")]
    made += [(INTS, (INTS, INTS), "[x for x in {0} if x in {1}]"), (INTS, (INTS, INTS), "[{1}.count(x) for x in {0}]")]
    made += [(INTS, (STRS,), "[len(x) for x in {0}]"), (INTS, (STRS,), "[int(x) for x in {0}]")]
    made += [(STR, (STR,), text) for text in ("{0}[::-1]", "{0}.upper()", "{0}.lower()", "{0}.swapcase()", "{0}.strip()")]
    made += [(STR, (STR,), "{0}[1:]"), (STR, (STR,), "{0}[:-1]")]
    made += [(STR, (STR, STR), "({0} + {1})"), (STR, (STR, INT), "({0} * {1})"), (STR, (STR, INT), "{0}[:{1}]"), (STR, (STR, INT), "{0}[{1}:]")]
    made += [(STR, (STR, STRS), "{0}.join({1})"), (STR, (INT,), "str({0})"), (STR, (STRS, INT), "{0}[{1}]"), (STR, (STR, INT), "{0}[{1}]")]
    made += [(STR, (STR, STR), "{0}.replace({1}, '')"), (STR, (STR, STR, STR), "{0}.replace({1}, {2})"), (STR, (STRS,), "max({0}, key=len)")]
    made += [(INT, (STR,), "len({0})"), (INT, (STR,), "int({0})"), (INT, (STR, STR), "{0}.count({1})"), (INT, (STRS,), "len({0})")]
    made += [(STRS, (STR,), text) for text in ("{0}.split()", "list({0})", "sorted({0})")]
    made += [(STRS, (STRS,), text) for text in ("{0}[::-1]", "sorted({0})", "sorted({0}, key=len)", "list(dict.fromkeys({0}))")]
    made += [(STRS, (STRS,), "{0}[1:]"), (STRS, (STRS,), "{0}[:-1]")]
    made += [(STRS, (STR, STR), "{0}.split({1})"), (STRS, (STRS, STRS), "({0} + {1})"), (STRS, (STR,), "[{0}]")]
    made += [(STRS, (STRS, STR), "[x for x in {0} if {1} in x]"), (STRS, (STRS, STR), "[x for x in {0} if x.startswith({1})]")]
    made += [(STRS, (STRS, INT), "[x for x in {0} if len(x) == {1}]"), (STRS, (INTS,), "[str(x) for x in {0}]")]
    made += [(BOOL, (INT, INT), "({0} == {1})"), (BOOL, (INT, INT), "({0} < {1})"), (BOOL, (STR, STR), "({0} == {1})")]
    made += [(BOOL, (STR, STR), "({0} in {1})")]
    made += [(BOOL, (INT, INTS), "({0} in {1})"), (BOOL, (BOOL,), "(not {0})")]
    made += [(FLOAT, (INT, INT), "({0} / {1})"), (FLOAT, (FLOAT, FLOAT), "({0} + {1})"), (FLOAT, (FLOAT, FLOAT), "({0} - {1})")]
    made += [(FLOAT, (FLOAT, FLOAT), "({0} * {1})"), (FLOAT, (FLOAT, FLOAT), "({0} / {1})"), (FLOAT, (INT,), "({0} ** 0.5)")]
    made += [(FLOAT, (FLOAT,), "(-{0})"), (FLOAT, (FLOAT,), "({0} ** 0.5)"), (FLOAT, (INT,), "float({0})"), (INT, (FLOAT,), "round({0})")]
    return made


def relevant(made: list[Production], types: set[str]) -> list[Production]:
    """The productions over the types of the problem, of their items, and numbers."""
    wanted = types | {INT} | ({STR} if STRS in types else set()) | ({STRS} if STR in types else set())
    return [one for one in made if one[0] in wanted and set(one[1]) <= wanted]


class Done(Exception):
    """The search is over: it has an expression, or no more proposals."""

    def __init__(self, expression: str) -> None:
        self.expression = expression


class Search:
    """Expressions by size, those with equal values on all examples kept once."""

    def __init__(
        self, params: dict[str, str], examples: list[dict[str, Any]], tools: list[dict[str, Any]], budget: int, goal: str, check: str
    ) -> None:
        self.examples, self.goal, self.budget = examples, goal, budget
        self.proposed = 0
        self.seen: set[tuple[str, str]] = set()
        self.bank: dict[tuple[str, int], list[tuple[str, list[Any]]]] = {}
        self.check: Callable[..., Any] | None = None
        if check:
            space: dict[str, Any] = {}
            exec(check, space)
            self.check = space["check"]
        self.made: list[tuple[str, tuple[str, ...], str, Callable[..., Any]]] = []
        for type_, parts, text in relevant(productions(), {*params.values(), goal}):
            names = [f"p{number}" for number in range(len(parts))]
            self.made.append((type_, parts, text, eval(f"lambda {', '.join(names)}: {text.format(*names)}")))
        for one in tools:
            space = {}
            exec(one["source"], space)
            places = ", ".join("{" + str(number) + "}" for number in range(len(one["params"])))
            text = f"{one['name']}({places})"
            self.made.append((one["returns"], tuple(one["params"]), text, space[one["name"]]))
        for name, type_ in params.items():
            self.made.append((type_, (), name, lambda: None))
        self.inputs = {name: [example["arguments"][name] for example in examples] for name in params}

    def run(self) -> str:
        """The first expression that is right on all examples; empty when the proposals are spent."""
        try:
            for size in range(1, 40):
                for production in self.made:
                    self.of_size(production, size)
        except Done as done:
            return done.expression
        return ""

    def of_size(self, production: tuple[str, tuple[str, ...], str, Callable[..., Any]], size: int) -> None:
        type_, parts, text, function = production
        if not parts:
            if size == 1:
                values = self.inputs.get(text)
                self.put(type_, size, text, values if values is not None else [function()] * len(self.examples))
            return
        for sizes in _splits(size - 1, len(parts)):
            banks = [self.bank.get((part, each), []) for part, each in zip(parts, sizes, strict=True)]
            if not all(banks):
                continue
            for chosen in itertools.product(*map(tuple, banks)):
                self.try_one(type_, size, text, function, chosen)

    def try_one(self, type_: str, size: int, text: str, function: Callable[..., Any], chosen: tuple[tuple[str, list[Any]], ...]) -> None:
        self.proposed += 1
        if self.proposed > self.budget:
            raise Done("")
        values = []
        try:
            for column in zip(*(values for _, values in chosen), strict=True):
                value = function(*(list(part) if type(part) is list else part for part in column))
                if not _is_sound(value, type_):
                    return
                values.append(value)
        except Exception:
            return
        self.put(type_, size, text.format(*(part for part, _ in chosen)), values)

    def put(self, type_: str, size: int, text: str, values: list[Any]) -> None:
        key = (type_, repr(values))
        if key in self.seen:
            return
        self.seen.add(key)
        self.bank.setdefault((type_, size), []).append((text, values))
        if type_ == self.goal and self.is_right(values):
            raise Done(text)

    def is_right(self, values: list[Any]) -> bool:
        if self.check is None:
            return all(value == example["value"] for value, example in zip(values, self.examples, strict=True))
        try:
            return all(self.check(value, **example["arguments"]) is True for value, example in zip(values, self.examples, strict=True))
        except Exception:
            return False


def _splits(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    if parts == 1:
        if total >= 1:
            yield (total,)
        return
    for first in range(1, total - parts + 2):
        for rest in _splits(total - first, parts - 1):
            yield (first, *rest)


def _is_sound(value: Any, type_: str) -> bool:
    if type_ == INT:
        return type(value) is int and abs(value) < MOST_NUMBER
    if type_ == STR:
        return type(value) is str and len(value) < MOST_CHARS
    if type_ == FLOAT:
        return type(value) is float and value == value and abs(value) < MOST_NUMBER
    if type_ == BOOL:
        return type(value) is bool
    kind = int if type_ == INTS else str
    return type(value) is list and len(value) < MOST_ITEMS and all(type(item) is kind for item in value)


def propose(
    params: dict[str, str], examples: list[dict[str, Any]], tools: list[dict[str, Any]], budget: int, goal: str, check: str = ""
) -> dict[str, Any]:
    """The first expression that is right on the examples (empty: none), and how many were put forward."""
    search = Search(params, examples, tools, budget, goal, check)
    return {"expression": search.run(), "proposed": search.proposed}
