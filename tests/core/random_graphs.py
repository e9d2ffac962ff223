"""Random programs: made into a graph, or computed at once, from one description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from rookery import ask, loop, prompt, tool, when
from rookery.core.graph import Graph
from rookery.core.tape import trace


@tool
def inc(x: int) -> int:
    return x + 1


@tool
def add(a: int, b: int) -> int:
    return a + b


@tool
def upto(n: int) -> list[int]:
    return list(range(n % 4))


@prompt
def below(n: int) -> list[int]:
    """The numbers below {n}."""


@tool
def total(xs: list[int]) -> int:
    return sum(xs)


@tool
def even(x: int) -> bool:
    return x % 2 == 0


@tool
def large(x: int) -> bool:
    return x > 3


@tool(effect=True)
def note(x: int) -> None:
    return None


FILL = {"below": lambda n: list(range(n % 4))}


class Tracing:
    """Makes calls."""

    inc, add, upto, below, total, even = inc, add, upto, below, total, even

    def each(self, function: Any, **arguments: Any) -> Any:
        return function.each(**arguments)

    def sub(self, steps: Any, x: Any) -> Any:
        return made(steps)(x=x)

    def each_sub(self, steps: Any, xs: Any) -> Any:
        return made(steps).each(x=xs)

    def when(self, condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
        return when(condition, then, otherwise)

    def loop(self, steps: Any, x: Any, times: int, until: bool) -> Any:
        return loop(made(steps), x=x, times=times, until=large if until else None, or_last=True)

    def ask(self, x: Any) -> Any:
        return ask(int, "how many?", show=x)

    def note(self, x: Any) -> None:
        note(x=x)


class Computing:
    """Computes at once."""

    inc, add, upto, total, even = (function.function for function in (inc, add, upto, total, even))
    inc, add, upto, total, even = map(staticmethod, (inc, add, upto, total, even))
    below = staticmethod(upto)

    def each(self, function: Any, **arguments: Any) -> Any:
        size = next(len(value) for value in arguments.values() if isinstance(value, list))
        return [function(**{k: v[i] if isinstance(v, list) else v for k, v in arguments.items()}) for i in range(size)]

    def sub(self, steps: Any, x: Any) -> Any:
        return body(steps, self, x)

    def each_sub(self, steps: Any, xs: Any) -> Any:
        return [body(steps, self, x) for x in xs]

    def when(self, condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
        return then() if condition else otherwise()

    def loop(self, steps: Any, x: Any, times: int, until: bool) -> Any:
        for _ in range(times):
            x = body(steps, self, x)
            if until and x > 3:
                break
        return x

    def ask(self, x: Any) -> Any:
        return x

    def note(self, x: Any) -> None:
        return None


Step = tuple[Any, ...]


def body(steps: tuple[Step, ...], do: Any, x: Any) -> Any:
    """Carry the steps out, each on a number or a list made before; gives the sum of all."""
    numbers, lists = [x], []
    for kind, pick, *more in steps:
        n = numbers[pick % len(numbers)]
        xs = lists[pick % len(lists)] if lists else None
        if kind == "inc":
            numbers.append(do.inc(x=n))
        elif kind == "add":
            numbers.append(do.add(a=n, b=numbers[-1]))
        elif kind in ("upto", "below"):
            lists.append(getattr(do, kind)(n=n))
        elif kind == "ask":
            numbers.append(do.ask(n))
        elif kind == "note":
            do.note(n)
        elif kind == "sub":
            numbers.append(do.sub(more[0], n))
        elif kind == "loop":
            numbers.append(do.loop(more[0], n, more[1], more[2]))
        elif kind == "when":
            numbers.append(do.when(do.even(x=n), lambda more=more, n=n: do.sub(more[0], n), lambda n=n: do.inc(x=n)))
        elif kind == "when_note":
            numbers.append(do.when(do.even(x=n), lambda n=n: (do.note(n), do.inc(x=n))[1], lambda n=n: (do.note(n), n)[1]))
        elif xs is None:
            continue
        elif kind == "each":
            lists.append(do.each(do.inc, x=xs))
        elif kind == "zip":
            lists.append(do.each(do.add, a=xs, b=xs))
        elif kind == "each_add":
            lists.append(do.each(do.add, a=xs, b=n))
        elif kind == "each_sub":
            lists.append(do.each_sub(more[0], xs))
        elif kind == "total":
            numbers.append(do.total(xs=xs))
    return do.total(xs=[*numbers, *(do.total(xs=xs) for xs in lists)])


def made(steps: tuple[Step, ...]) -> Graph:
    def program(x: int) -> int:
        return body(steps, Tracing(), x)  # type: ignore[no-any-return]

    return trace(program, name="sub")


def computed(steps: tuple[Step, ...], x: int) -> int:
    return body(steps, Computing(), x)  # type: ignore[no-any-return]


KINDS = ["inc", "add", "upto", "below", "each", "zip", "each_add", "total", "ask", "note", "when_note", "sub", "each_sub", "when", "loop"]


@st.composite
def _steps(draw: st.DrawFn, depth: int) -> tuple[Step, ...]:
    found: list[Step] = []
    if draw(st.booleans()):
        found.append((draw(st.sampled_from(["upto", "below"])), draw(st.integers(0, 5))))
    for _ in range(draw(st.integers(1, 5 if depth else 3))):
        kind = draw(st.sampled_from(KINDS if depth else KINDS[:-4]))
        step: Step = (kind, draw(st.integers(0, 5)))
        if kind in ("sub", "each_sub", "when", "loop"):
            step += (draw(_steps(depth - 1)),)
        if kind == "loop":
            step += (draw(st.integers(1, 3)), draw(st.booleans()))
        found.append(step)
    return tuple(found)


programs = _steps(2)
