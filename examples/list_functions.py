"""List functions: find the rule behind pairs of lists, as an expression of a small language that an interpreter applies exactly.

python examples/list_functions.py FILE                           (rows as in list_functions.jsonl; rules are proposed by chance and by rule)
python examples/list_functions.py FILE --planner plan_search --calls 300
python examples/list_functions.py FILE --model openai:gpt-5-mini  (a model proposes; plan search then thinks with that model too)

Without --model nothing here is a language model: a rule-based proposer looks at the pairs and draws expressions that could fit. The
embedded model has not learned this skill. The first eight pairs are seen, the others only grade the answer after the search.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from math import prod
from pathlib import Path
from random import Random
from typing import Any

from rookery import Limit, RookeryError, prompt, run, tool
from rookery.planners import Check, Planner, best_of_n, plan_search, public_tests, refine, search

SEEN = 8
"""So many pairs of a task are seen; the others are for grading."""
MOST_ITEMS, MOST_ABS = 200, 10**9


@dataclass(frozen=True)
class Pair:
    i: tuple[int, ...]
    o: tuple[int, ...]

    def __str__(self) -> str:
        return f"{list(self.i)} -> {list(self.o)}"


@dataclass(frozen=True)
class Task:
    """Pairs of which the rule is wanted."""

    pairs: tuple[Pair, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.pairs))


@dataclass(frozen=True)
class Rule:
    """An expression, as text."""

    text: str

    def __str__(self) -> str:
        return self.text


# ------------------------------------------------------------------ the language

Expression = Any
"""An int, a name, or a list of an operator and its arguments."""


class Wrong(ValueError):
    """An expression that cannot be read, or has no value for this input."""


def _divided(a: int, b: int) -> int:
    if b == 0:
        raise Wrong("a division by zero")
    return a // b


def _rest(a: int, b: int) -> int:
    if b == 0:
        raise Wrong("a division by zero")
    return a % b


def _nth(n: int, items: list[int]) -> int:
    if not 1 <= n <= len(items):
        raise Wrong(f"there is no element {n}")
    return items[n - 1]


def _one(choose: Callable[[list[int]], int], items: list[int]) -> int:
    if not items:
        raise Wrong("an empty list has none")
    return choose(items)


def _range(low: int, step: int, high: int) -> list[int]:
    if step < 1 or (high - low) // max(step, 1) > MOST_ITEMS:
        raise Wrong("the range does not end")
    return list(range(low, high + 1, step))


# fmt: off
STRICT: dict[str, tuple[str, str, Callable[..., Any]]] = {
    # name: (types of its arguments, type of its value, what it does); L a list, N a number, B a truth
    "reverse": ("L", "L", lambda a: a[::-1]), "sort": ("L", "L", sorted), "unique": ("L", "L", lambda a: list(dict.fromkeys(a))),
    "take": ("NL", "L", lambda n, a: a[:max(n, 0)]), "drop": ("NL", "L", lambda n, a: a[max(n, 0):]),
    "takelast": ("NL", "L", lambda n, a: a[-n:] if n > 0 else []), "droplast": ("NL", "L", lambda n, a: a[:-n] if n > 0 else a),
    "concat": ("LL", "L", lambda a, b: a + b), "cons": ("NL", "L", lambda n, a: [n, *a]), "append": ("LN", "L", lambda a, n: [*a, n]),
    "singleton": ("N", "L", lambda n: [n]), "repeat": ("NN", "L", lambda n, k: [n] * min(max(k, 0), MOST_ITEMS + 1)),
    "range": ("NNN", "L", _range), "remove": ("NL", "L", lambda n, a: [b for b in a if b != n]),
    "first": ("L", "N", lambda a: _one(lambda b: b[0], a)), "last": ("L", "N", lambda a: _one(lambda b: b[-1], a)),
    "max": ("L", "N", lambda a: _one(max, a)), "min": ("L", "N", lambda a: _one(min, a)), "nth": ("NL", "N", _nth),
    "length": ("L", "N", len), "sum": ("L", "N", sum), "product": ("L", "N", prod),
    "+": ("NN", "N", lambda a, b: a + b), "-": ("NN", "N", lambda a, b: a - b), "*": ("NN", "N", lambda a, b: a * b),
    "/": ("NN", "N", _divided), "%": ("NN", "N", _rest),
    "==": ("NN", "B", lambda a, b: a == b), ">": ("NN", "B", lambda a, b: a > b), "even": ("N", "B", lambda a: a % 2 == 0),
    "odd": ("N", "B", lambda a: a % 2 == 1), "and": ("BB", "B", lambda a, b: a and b), "not": ("B", "B", lambda a: not a),
}
# Their first argument is worked out for each element of the second: with x for it and i for its place from 1 up (y and j one deeper).
BINDING: dict[str, tuple[str, str]] = {
    "map": ("NL", "L"), "filter": ("BL", "L"), "flatmap": ("LL", "L"), "count": ("BL", "N"), "sums": ("NL", "L"), "pairwise": ("NL", "L"),
}
# fmt: on
ITEM, PLACE = ("x", "y"), ("i", "j")


@lru_cache(maxsize=50_000)
def read(text: str) -> Expression:
    """The expression of a text. Raises Wrong."""
    words = text.replace("(", " ( ").replace(")", " ) ").split()
    opened: list[list[Any]] = [[]]
    for word in words:
        if word == "(":
            opened.append([])
        elif word == ")":
            if len(opened) < 2:
                raise Wrong("a parenthesis too many")
            done = opened.pop()
            opened[-1].append(done)
        else:
            opened[-1].append(int(word) if word.lstrip("-").isdigit() and len(word) < 12 else word)
    if len(opened) != 1 or len(opened[0]) != 1 or len(words) > 200:
        raise Wrong("not one expression")
    return opened[0][0]


def written(expression: Expression) -> str:
    return f"({' '.join(map(written, expression))})" if isinstance(expression, list) else str(expression)


def value(expression: Expression, known: Mapping[str, Any], depth: int = 0) -> Any:
    """What an expression is worth. Raises Wrong."""
    if isinstance(expression, int):
        return expression
    if isinstance(expression, str):
        if expression not in known:
            raise Wrong(f"{expression} is not known here")
        return known[expression]
    name, *arguments = expression or [""]
    if isinstance(name, str) and name == "if" and len(arguments) == 3:
        return value(arguments[1 if value(arguments[0], known, depth) else 2], known, depth)
    if isinstance(name, str) and name in BINDING and len(arguments) == 2:
        return _bound(name, arguments[0], _list(value(arguments[1], known, depth)), known, depth)
    if not isinstance(name, str) or name not in STRICT or len(arguments) != len(STRICT[name][0]):
        raise Wrong(f"{written(expression)[:40]} is no expression")
    values = [value(argument, known, depth) for argument in arguments]
    for kind, one in zip(STRICT[name][0], values, strict=True):
        if isinstance(one, list) is not (kind == "L"):
            raise Wrong(f"{name} takes {'a list' if kind == 'L' else 'a number'}")
    return _bounded(STRICT[name][2](*values))


def _bound(name: str, body: Expression, items: list[int], known: Mapping[str, Any], depth: int) -> Any:
    if depth >= len(ITEM):
        raise Wrong("nested too deep")

    def at(place: int, item: int) -> Any:
        return value(body, {**known, ITEM[depth]: item, PLACE[depth]: place}, depth + 1)

    if name == "pairwise":  # x and y: an element and the next one
        return [value(body, {**known, "x": a, "y": b, "i": place}, len(ITEM)) for place, (a, b) in enumerate(itertools.pairwise(items), 1)]
    values = [at(place, item) for place, item in enumerate(items, 1)]
    if name == "filter":
        return [item for item, keeps in zip(items, values, strict=True) if keeps]
    if name == "count":
        return sum(map(bool, values))
    if name == "flatmap":
        return _bounded([item for part in values for item in _list(part)])
    if any(isinstance(one, list) for one in values):
        raise Wrong(f"{name} takes a number for each element")
    return values if name == "map" else [sum(values[: place + 1]) for place in range(len(values))]


def _list(found: Any) -> list[int]:
    if not isinstance(found, list):
        raise Wrong("a number where a list is wanted")
    return found


def _bounded(found: Any) -> Any:
    if len(found) > MOST_ITEMS if isinstance(found, list) else abs(found) > MOST_ABS:
        raise Wrong("it grows too large")
    return found


def applied(rule: Rule, items: Sequence[int]) -> list[int]:
    """The rule's list for an input. Raises Wrong when it has none."""
    found = value(read(rule.text), {"xs": list(items)})
    return [int(one) for one in _list(found)]


def check(rule: Rule, pairs: Sequence[Pair]) -> Check:
    """How many pairs a rule gets right, and which not."""
    near, wrong = 0.0, []
    for pair in pairs:
        try:
            found: list[int] | str = applied(rule, pair.i)
        except Wrong as error:
            found = str(error)
        if found == list(pair.o):
            near += 1.0
            continue
        wrong.append(f"{list(pair.i)}: expected {list(pair.o)}, got {found}")
        near += 0.9 * SequenceMatcher(None, pair.o, found, autojunk=False).ratio() if isinstance(found, list) else 0.0
    return Check(not wrong, near / max(len(pairs), 1), "\n".join(wrong[:3]))


def fits(rule: Rule, root: Task) -> Check:
    """The goal of a search: all pairs that it may see."""
    return check(rule, root.pairs)


# ------------------------------------------------------------------ a proposer by rule: what can be seen in the pairs


def _all(test: Callable[[Sequence[int], Sequence[int]], bool]) -> Callable[[Sequence[Pair]], bool]:
    return lambda pairs: all(test(pair.i, pair.o) for pair in pairs)


def _is_part(part: Sequence[int], whole: Sequence[int]) -> bool:
    left = iter(whole)
    return all(item in left for item in part)


def _is_run(part: Sequence[int], whole: Sequence[int]) -> bool:
    return any(whole[start : start + len(part)] == part for start in range(len(whole) - len(part) + 1))


def _is_pointwise(pairs: Sequence[Pair]) -> bool:
    if any(len(pair.i) != len(pair.o) for pair in pairs):
        return False
    image: dict[int, int] = {}
    return all(image.setdefault(a, b) == b for pair in pairs for a, b in zip(pair.i, pair.o, strict=True))


def _some(test: Callable[[Sequence[int], Sequence[int]], bool]) -> Callable[[Sequence[Pair]], bool]:
    """What holds of all outputs, and says something: short lists are ascending too."""
    return lambda pairs: all(test(pair.i, pair.o) for pair in pairs) and any(len(pair.o) > 2 for pair in pairs)


def _steps(items: Sequence[int]) -> set[int]:
    return {b - a for a, b in itertools.pairwise(items)}


# What may hold of all pairs: in words, as a test, and the forms of rules that it speaks for (?L, ?N, ?B: to be filled in).
OBSERVATIONS: dict[str, tuple[Callable[[Sequence[Pair]], bool], tuple[str, ...]]] = {
    "every output has one element": (_all(lambda i, o: len(o) == 1), ("(singleton ?N)", "(take 1 ?L)", "(takelast 1 ?L)")),
    "each element becomes one that depends on it alone": (_is_pointwise, ("(map ?N xs)",)),
    "the output is as long as the input": (_all(lambda i, o: len(i) == len(o)), ("(map ?N xs)", "(map ?N ?L)", "(reverse ?L)", "(sums ?N xs)")),
    "the output is the input in another order": (
        _all(lambda i, o: sorted(i) == sorted(o)), ("(reverse ?L)", "(sort ?L)", "(concat ?L ?L)", "(map ?N ?L)")),
    "some elements are left out, the others keep their order": (
        _all(_is_part), ("(filter ?B xs)", "(remove ?N xs)", "(unique ?L)", "(filter ?B ?L)")),
    "the output is a run of the input": (
        _all(lambda i, o: _is_run(o, i)), ("(drop ?N xs)", "(take ?N xs)", "(droplast ?N xs)", "(takelast ?N xs)", "(take ?N (drop ?N xs))")),
    "all elements of the output occur in the input": (
        _all(lambda i, o: set(o) <= set(i)), ("(filter ?B ?L)", "(take ?N ?L)", "(drop ?N ?L)", "(concat ?L ?L)", "(unique ?L)", "(flatmap ?L xs)")),
    "the output is ascending": (_some(lambda i, o: list(o) == sorted(o)), ("(sort ?L)", "(range ?N ?N ?N)", "(sums ?N ?L)")),
    "the output is descending": (_some(lambda i, o: list(o) == sorted(o)[::-1]), ("(reverse (sort ?L))", "(reverse (range ?N ?N ?N))")),
    "the output has even steps": (_some(lambda i, o: len(_steps(o)) < 2), ("(range ?N ?N ?N)", "(repeat ?N ?N)", "(map ?N ?L)")),
    "no element stands twice in the output": (_some(lambda i, o: len(set(o)) == len(o)), ("(unique ?L)", "(filter ?B ?L)")),
    "the output is longer than the input": (
        _all(lambda i, o: len(o) > len(i)), ("(concat ?L ?L)", "(cons ?N ?L)", "(append ?L ?N)", "(flatmap ?L xs)", "(cons ?N (append ?L ?N))")),
    "the output holds the input": (
        _all(lambda i, o: _is_run(i, o)), ("(cons ?N xs)", "(append xs ?N)", "(concat ?L xs)", "(concat xs ?L)", "(cons ?N (append xs ?N))")),
    "the output is one shorter than the input": (
        _all(lambda i, o: len(o) == len(i) - 1 or not i), ("(pairwise ?N xs)", "(drop 1 ?L)", "(map ?N (drop 1 xs))", "(droplast 1 ?L)")),
    "the output is one longer than the input": (_all(lambda i, o: len(o) == len(i) + 1), ("(cons ?N ?L)", "(append ?L ?N)")),
}  # fmt: skip
FORMS = tuple(dict.fromkeys([*(form for _, forms in OBSERVATIONS.values() for form in forms), "?L", "(if ?B ?L ?L)", "(concat ?L (cons ?N ?L))"]))


@lru_cache(maxsize=256)
def _seen_in(pairs: tuple[Pair, ...]) -> tuple[str, ...]:
    return tuple(text for text, (test, _) in OBSERVATIONS.items() if test(pairs))


def seen_in(pairs: Sequence[Pair]) -> list[str]:
    """The observations that hold of all pairs."""
    return list(_seen_in(tuple(pairs)))


@lru_cache(maxsize=256)
def constants(pairs: tuple[Pair, ...]) -> list[int]:
    """Numbers that may stand in the rule: those by which the outputs differ from the inputs most often, and what all outputs share."""
    both = [(a, b) for pair in pairs for a, b in zip(pair.i, pair.o, strict=False)]
    by_sum = [Counter(b - a for a, b in both), Counter(a + b for a, b in both)]
    by_ratio = [Counter(b // a for a, b in both if a), Counter(a // b for a, b in both if b)]
    found = [n for count in (*by_sum, *by_ratio) for n, _ in count.most_common(2)]
    outputs = [set(pair.o) for pair in pairs if pair.o]
    found += set.intersection(*outputs) if outputs else ()
    for lengths in ({len(pair.o) for pair in pairs}, {len(pair.i) - len(pair.o) for pair in pairs}):
        found += lengths if len(lengths) == 1 else ()
    return list(dict.fromkeys(found))


BY_TYPE: dict[str, list[tuple[str, str]]] = {
    kind: [(name, args) for name, (args, gives, *_) in [*STRICT.items(), *BINDING.items()] if gives == kind] for kind in "LNB"
}


class Drawing:
    """Expressions drawn by chance: each operator is as likely as any other of its type, deep ones are rare."""

    def __init__(self, pairs: Sequence[Pair], rng: Random) -> None:
        self.rng = rng
        self.numbers = constants(tuple(pairs))

    def filled(self, form: Expression, depth: int = 0, size: float = 1.0) -> Expression:
        """A form with its holes filled in."""
        if isinstance(form, str) and form.startswith("?"):
            return self.drawn(form[1], depth, size)
        if not isinstance(form, list):
            return form
        name, *arguments = form
        inner = 2 if name == "pairwise" else depth + 1
        return [name, *(self.filled(one, inner if name in BINDING and place == 0 else depth, size) for place, one in enumerate(arguments))]

    def drawn(self, kind: str, depth: int, size: float) -> Expression:
        """An expression of a type; ``size`` is the chance that it is more than a name or a number."""
        if kind != "B" and self.rng.random() >= size * (0.5 if kind == "N" else 0.35):
            return self._leaf(kind, depth)
        choices = [one for one in BY_TYPE[kind] if depth < len(ITEM) or one[0] not in BINDING]
        if kind == "N" and depth and self.rng.random() < 0.6:
            choices = [one for one in choices if one[1] == "NN"]  # of an element one mostly reckons
        name, args = self.rng.choice(choices)
        return self.filled([name, *(f"?{one}" for one in args)], depth, size * 0.7)

    def _leaf(self, kind: str, depth: int) -> Expression:
        if kind == "L":
            return "xs"
        names = [*ITEM[:depth], *PLACE[: 1 if depth else 0]]
        if names and self.rng.random() < 0.6:
            return names[0] if self.rng.random() < 0.7 else self.rng.choice(names)
        return self.rng.choice(self.rng.choice((self.numbers or (0,), (1, 2, 3), range(11))))

    def changed(self, expression: Expression) -> Expression:
        """An expression with one part drawn anew."""
        places = list(_places(expression, "L", 0, ()))
        way, kind, depth = self.rng.choice(places)
        if self.rng.random() < 0.3 and isinstance(_at(expression, way), int):
            return _with(expression, way, _at(expression, way) + self.rng.choice((-2, -1, 1, 2)))
        return _with(expression, way, self.drawn(kind, depth, 0.8))


def _places(expression: Expression, kind: str, depth: int, way: tuple[int, ...]) -> Any:
    """All parts of an expression: the way to each, its type, and how deep in binders it stands."""
    yield way, kind, depth
    if isinstance(expression, list):
        name, *arguments = expression
        kinds = "B" + kind * 2 if name == "if" else (STRICT.get(name) or BINDING[name])[0]
        for place, (argument, one) in enumerate(zip(arguments, kinds, strict=True)):
            inner = (2 if name == "pairwise" else depth + 1) if name in BINDING and place == 0 else depth
            yield from _places(argument, one, inner, (*way, place + 1))


def _at(expression: Expression, way: tuple[int, ...]) -> Expression:
    return _at(expression[way[0]], way[1:]) if way else expression


def _with(expression: Expression, way: tuple[int, ...], part: Expression) -> Expression:
    if not way:
        return part
    return [_with(one, way[1:], part) if place == way[0] else one for place, one in enumerate(expression)]


def _chance(*parts: object) -> Random:
    return Random(repr(parts))


def forms_for(observations: Sequence[str]) -> list[str]:
    """The forms that observations speak for; one that several speak for stands there several times."""
    return [form for text in observations for form in OBSERVATIONS.get(text, (None, ()))[1]]


# ------------------------------------------------------------------ the steps of a search, by rule


@tool(inline=True)
def propose(task: Task, answer: Rule | None = None, sketch: str = "", sample: int = 0) -> Rule:
    """A rule: mostly a change of the last answer where there is one, else a sketch filled in, or a form that the pairs speak for."""
    drawing = Drawing(task.pairs, _chance("propose", str(task), str(answer), sketch, sample))
    if answer is not None and drawing.rng.random() < 0.7:
        try:
            return Rule(written(drawing.changed(read(answer.text))))
        except (Wrong, KeyError, ValueError):
            pass  # an answer that is no expression, a model's perhaps: begin afresh
    form = _form_in(sketch)
    if not form:
        forms = forms_for(seen_in(task.pairs))
        form = drawing.rng.choice(forms if forms and drawing.rng.random() < 0.8 else FORMS)
    return Rule(written(drawing.filled(read(form))))


def _form_in(text: str) -> str:
    return next((line for line in text.splitlines() if line.startswith(("(", "?"))), "")


@tool(inline=True)
def observe(task: Task, count: int) -> list[str]:
    found = seen_in(task.pairs)
    _chance("observe", str(task)).shuffle(found)
    return found[:count]


@tool(inline=True)
def derive(task: Task, observations: list[str], count: int) -> list[str]:
    """Forms that the observations speak for, first those that several do; and what else holds."""
    forms = forms_for(observations)
    both = [f"it could be {form}" for form in sorted(dict.fromkeys(forms), key=lambda form: -forms.count(form))]
    others = [text for text in seen_in(task.pairs) if text not in observations]
    _chance("derive", str(task), observations).shuffle(others)
    return [*both, *others][:count]


@tool(inline=True)
def plan(task: Task, observations: list[str], sample: int = 0) -> str:
    """One form that the observations speak for."""
    forms = [text.removeprefix("it could be ") for text in observations if text.startswith("it could be ")] * 3 + forms_for(observations)
    return _chance("plan", str(task), observations, sample).choice(forms or FORMS)


@tool(inline=True)
def criticise(task: Task, plan: str) -> str:
    """Fill the plan in a few times: it may be that no way of doing so gives even one right list."""
    drawing = Drawing(task.pairs, _chance("criticise", str(task), plan))
    near = max(check(Rule(written(drawing.filled(read(_form_in(plan))))), task.pairs[:2]).score or 0.0 for _ in range(3))
    return "it leads nowhere near" if near < 0.5 else "it comes near"


@tool(inline=True)
def replan(task: Task, plan: str, criticism: str, sample: int = 0) -> str:
    """Another form that what is seen in the pairs speaks for; the same one where it comes near."""
    forms = [form for form in forms_for(seen_in(task.pairs)) if form != plan]
    return plan if criticism == "it comes near" or not forms else _chance("replan", str(task), plan, sample).choice(forms)


@tool(inline=True)
def sketch(task: Task, plan: str, sample: int = 0) -> str:
    """The plan with its first hole made more definite."""
    rng = _chance("sketch", str(task), plan, sample)
    hole = min((plan.find(f"?{kind}") for kind in "LNB" if f"?{kind}" in plan), default=-1)
    if hole < 0 or plan[hole + 1] != "L":
        return plan
    name, args = rng.choice(BY_TYPE["L"]) if rng.random() < 0.35 else ("xs", "")
    return plan[:hole] + (f"({name} {' '.join(f'?{one}' for one in args)})" if args else name) + plan[hole + 2 :]


STEPS: dict[str, Any] = {"observe": observe, "derive": derive, "plan": plan, "criticise": criticise, "replan": replan, "sketch": sketch}
"""The steps of plan search, by rule."""


# ------------------------------------------------------------------ the step of a model

LANGUAGE = "\n".join(
    f"  ({name} {' '.join(args)}) gives {gives}" for name, (args, gives, *_) in [*STRICT.items(), *BINDING.items()]
)  # fmt: skip


@prompt(form="text", system=f"""
    Rules are expressions of this language; L is a list of numbers, N a number, B true or false:
    {LANGUAGE.replace("{", "{{").replace("}", "}}")}
      (if B L L) gives L
    The input is xs. In the first argument of map, filter, flatmap, count, sums and pairwise x is the element and i its place from 1 up.
    Example: (map (+ 7 (* 3 x)) (filter (even x) xs))
    """)
def written_by_a_model(task: Task, answer: str = "none", feedback: str = "", plan: str = "") -> str:
    """Find one rule that turns every input list into its output list. Answer with the expression only.

    {task}

    A plan, if there is one: {plan}
    The last answer: {answer}
    What it got wrong:
    {feedback}
    """


async def propose_by_model(task: Task, answer: Rule | None = None, feedback: str = "", plan: str = "") -> Rule:
    """A rule that a model writes."""
    text = await written_by_a_model(task=task, answer=str(answer or "none"), feedback=feedback, plan=plan)
    return Rule(text.strip().strip("`"))


# ------------------------------------------------------------------ the command


def read_tasks(path: Path) -> list[tuple[str, Task, tuple[Pair, ...]]]:
    """Name, seen pairs and unseen pairs of each row of a file in the form of list_functions.jsonl."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    pairs = [tuple(Pair(tuple(pair["i"]), tuple(pair["o"])) for pair in row["examples"]) for row in rows]
    return [(row["id"], Task(each[:SEEN]), each[SEEN:]) for row, each in zip(rows, pairs, strict=True)]


PLANNERS: dict[str, Callable[[int], Planner]] = {
    "best_of_n": lambda calls: best_of_n(calls, depth=1),
    "refine": lambda calls: refine(rounds=max(calls // 5, 1), samples=5),
    "plan_search": lambda calls: plan_search(),
}


def solve(task: Task, planner: Planner, *, calls: int, model: Any = None, **options: Any) -> Any:
    """Search for the rule; ``calls`` calls of a model at most, or as many works where the proposer goes by rule."""
    parts: dict[str, Any] = {"state": task, "goal": public_tests(fits), "planner": planner, **options}
    if model is not None:
        return run(search(propose=propose_by_model, limit=Limit(calls=calls), **parts), model=model)
    steps = STEPS if planner.facts.name.startswith("plan_search") else {}
    return run(search(propose=propose, max_works=calls, **steps, **parts))


def main() -> int:
    """Read the command line, search, and give the exit code: 0, 1 when no rule was found or the model failed, 2 for wrong usage."""
    options = argparse.ArgumentParser(description="Find the rules behind lists.")
    options.add_argument("file", type=Path, help="rows with id and examples, each a pair of i and o (list_functions.jsonl)")
    options.add_argument("--planner", choices=sorted(PLANNERS), default="refine")
    options.add_argument("--calls", type=int, default=200, help="calls for each rule at most")
    options.add_argument("--model", help="provider:NAME[@BASE_URL]; without one a rule-based proposer draws rules")
    chosen = options.parse_args()
    try:
        tasks = read_tasks(chosen.file)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"error: {chosen.file}: {error}", file=sys.stderr)
        return 2
    print(f"proposed by {chosen.model or 'rule and by chance, no model'}; {chosen.planner}, {chosen.calls} calls a rule\n")
    found = right = 0
    for name, task, unseen in tasks:
        try:
            result = solve(task, PLANNERS[chosen.planner](chosen.calls), calls=chosen.calls, model=chosen.model)
        except RookeryError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        is_right = result.is_solved and result.grade(lambda rule, unseen=unseen: check(rule, unseen).passed)
        found, right = found + result.is_solved, right + is_right
        print(f"{name:<10} {'right' if is_right else 'fits what was seen' if result.is_solved else 'not found':<20} {result.answer}", flush=True)
    print(f"\n{found} of {len(tasks)} fit all seen pairs, {right} of them the unseen ones too")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
