"""Every kind of fault, each with its path and what to do, all at once; also of graphs built by hand, as a file says them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.errors import PydanticUserError
from typing_extensions import TypedDict

from rookery import GraphInvalid, ask, graph, loop, prompt, tool, when
from rookery.core.check import check, ensure
from rookery.core.graph import Call, Const, Graph, Many, Param, Ref
from rookery.core.tape import trace
from tests.simulation import simulate


class Section(BaseModel):
    title: str
    words: int = 0


class Table(TypedDict):
    name: str
    size: int


class Strange:
    def __init__(self) -> None:
        self.lock = object()


@tool
def inc(x: int) -> int:
    return x + 1


@tool
def add(first: int, second: int) -> int:
    return first + second


@tool
def shout(text: str) -> str:
    return text.upper()


@tool
def upto(n: int) -> list[int]:
    return list(range(n))


@tool
def make(title: str) -> Section:
    return Section(title=title)


@tool
def positive(x: int) -> bool:
    return x > 0


@tool
def stored(table: Table) -> str:
    return str(table)


@tool
def titled(section: Section) -> str:
    return section.title


@prompt
def write(topic: str) -> str:
    """About {topc}, {topic.title} and {topic}."""


@prompt
def broken(topic: str) -> str:
    """About {topic."""


def strange() -> Strange:
    return Strange()


class Odd:
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        raise PydanticUserError("it has no schema", code=None)


def odd(x: Odd) -> int:
    return 1


def call(name: str, function: Any, kind: Any = "tool", **args: Any) -> Call:
    return Call(name, kind, function.returns, args, function=function)


def hand_made(*calls: Call, output: Any = None, inputs: dict[str, Any] | None = None, returns: Any = Any) -> Graph:
    params = {name: Param(name, type_) for name, type_ in (inputs or {"x": int}).items()}
    return Graph("g", inputs=params, calls=calls, output=output or Ref(calls[-1].name), returns=returns)


def x_of(function: Callable[..., Any], returns: Any = Any) -> Graph:
    return trace(function, params={"x": Param("x", int)}, returns=returns)


TABLE: list[tuple[str, Callable[[], Graph], list[tuple[str, str, str]]]] = [
    ("type clash", lambda: x_of(lambda x: shout(text=x)), [("calls.shout.text", "type", "int does not fit str")]),
    ("a list where one is taken", lambda: x_of(lambda x: inc(x=upto(n=x))), [("calls.inc.x", "type", "list[int] does not fit int")]),
    ("constant of a wrong type", lambda: x_of(lambda x: add(first=x, second="a")), [("calls.add.second", "type", "'a' is not int")]),
    ("constants in a map", lambda: x_of(lambda x: inc.each(x=[1, "b", "c"])), [("calls.inc.x[1]", "type", "'b'"), ("calls.inc.x[2]", "type", "'c'")]),
    ("unset input", lambda: x_of(lambda x: add(first=x)), [("calls.add.second", "unset input", "needs 'second' (int)")]),
    (
        "unknown argument",
        lambda: x_of(lambda x: add(first=x, secnd=x)),
        [
            ("calls.add.secnd", "unknown argument", "no parameter 'secnd'"),
            ("calls.add.second", "unset input", "needs"),
        ],
    ),
    (
        "unknown hole and field",
        lambda: trace(lambda x: write(topic=x), params={"x": Param("x", str)}, returns=str),
        [
            ("prompts.write.template", "unknown hole", "{topc} names no parameter"),
            ("prompts.write.template", "unknown hole", "{topic.title}"),
        ],
    ),
    (
        "template",
        lambda: trace(lambda x: broken(topic=x), params={"x": Param("x", str)}, returns=str),
        [
            ("prompts.broken", "template", "cannot be read"),
        ],
    ),
    ("unreachable call", lambda: x_of(lambda x: (inc(x=x), x)[1]), [("calls.inc", "unreachable call", "nothing uses")]),
    ("unbounded loop", lambda: x_of(lambda x: loop(inc, x=x, until=positive)), [("calls.inc", "unbounded loop", "no bound")]),
    ("the body's type", lambda: x_of(lambda x: loop(upto, n=x, times=2)), [("calls.upto", "type", "not its state: list[int] does not fit int")]),
    ("the condition of a loop", lambda: x_of(lambda x: loop(inc, x=x, times=2, until=inc)), [("calls.inc.until", "type", "a condition is a bool")]),
    ("condition", lambda: x_of(lambda x: when(x, 1, 2)), [("calls.when.condition", "type", "a condition is a bool, not int")]),
    ("map over nothing", lambda: x_of(lambda x: inc.each(x=x)), [("calls.inc", "each", "nothing to map over")]),
    ("map over what is not there", lambda: x_of(lambda x: inc.each("y", x=x)), [("calls.inc.y", "each", "not given a list")]),
    ("map over what is no list", lambda: x_of(lambda x: inc.each("x", x=x)), [("calls.inc.x", "type", "int is not a list")]),
    ("map over a set", lambda: x_of(lambda x: inc.each("x", x={1, 2})), [("calls.inc.x", "type", "set is not a list")]),
    ("map over mixed variables", lambda: x_of(lambda x: inc.each(x=[x, shout(text="a")])), [("calls.inc.x[1]", "type", "str does not fit int")]),
    (
        "input that can't be written",
        lambda: trace(lambda x: 1, params={"x": Param("x", Strange)}, returns=int),
        [
            ("inputs.x", "serialise", "Strange cannot be written"),
        ],
    ),
    ("call that can't be written", lambda: x_of(lambda x: tool(strange)()), [("calls.strange", "serialise", "Strange cannot be written")]),
    ("question that can't be written", lambda: x_of(lambda x: ask(Strange, "?")), [("calls.ask", "serialise", "Strange")]),
    ("output of another type", lambda: x_of(lambda x: inc(x=x), str), [("output", "type", "int does not fit str")]),
    ("constant output", lambda: x_of(lambda x: "a", int), [("output", "type", "'a' is not int")]),
    ("output that can't be written", lambda: x_of(lambda x: Strange()), [("output", "serialise", "Strange cannot be written")]),
    (
        "field that is not there",
        lambda: x_of(lambda x: shout(text=make(title="a")["titel"])),
        [
            ("calls.shout.text", "type", "Section has no field 'titel'; it has title, words"),
        ],
    ),
    ("field of a number", lambda: x_of(lambda x: inc(x=x["a"])), [("calls.inc.x", "type", "int has no fields")]),
    ("item of a model", lambda: x_of(lambda x: inc(x=make(title="a")[0])), [("calls.inc.x", "type", "Section has no items")]),
    ("method", lambda: x_of(lambda x: shout(text=make(title="a")["model_dump"])), [("calls.shout.text", "type", "has no field 'model_dump'")]),
    (
        "default",
        lambda: trace(lambda x: inc(x=x), params={"x": Param("x", int, None)}, returns=int),
        [("inputs.x", "type", "its default None is not int")],
    ),
    (
        "field of a dict of variables",
        lambda: x_of(lambda x: stored(table={"name": x, "size": x})),
        [("calls.stored.table.name", "type", "int does not")],
    ),
    ("parameter of no type", lambda: x_of(lambda x: tool(odd)(x=x)), [("calls.odd.x", "type", "cannot be checked")]),
    (
        "two producers",
        lambda: hand_made(call("a", inc, x=Ref("inputs.x")), call("a", inc, x=Ref("inputs.x"))),
        [
            ("calls.a", "two producers", "2 calls produce it"),
        ],
    ),
    ("cycle", lambda: hand_made(call("a", inc, x=Ref("b")), call("b", inc, x=Ref("a"))), [("calls.a", "cycle", "a → b → a")]),
    ("cycle of one", lambda: hand_made(call("a", inc, x=Ref("a"))), [("calls.a", "cycle", "a → a")]),
    (
        "unknown variable",
        lambda: hand_made(call("titles", upto, n=Ref("inputs.x")), call("b", inc, x=Ref("titels", (0,)))),
        [
            ("calls.b.x", "unset input", "no variable 'titels'"),
            ("calls.titles", "unreachable call", ""),
        ],
    ),
    ("unknown input", lambda: hand_made(call("a", inc, x=Ref("inputs.y"))), [("calls.a.x", "unset input", "no variable 'inputs.y'")]),
    (
        "unknown output",
        lambda: hand_made(call("a", inc, x=Const(1)), output=Ref("b")),
        [("output", "unset input", ""), ("calls.a", "unreachable call", "")],
    ),
    ("name", lambda: hand_made(call("a/b", inc, x=Const(1))), [("calls.a/b", "name", "can't be empty or hold")]),
    (
        "when without branches",
        lambda: hand_made(Call("w", "when", int, {"condition": Const(True)})),
        [
            ("calls.w.then", "unset input", "when needs 'then'"),
            ("calls.w.otherwise", "unset input", ""),
        ],
    ),
    (
        "a branch of another type",
        lambda: hand_made(Call("w", "when", int, {"condition": Const(True), "then": Const(1), "otherwise": Const("a")})),
        [
            ("calls.w.otherwise", "type", "'a' is not int"),
        ],
    ),
    ("call of nothing", lambda: hand_made(Call("a", "tool", int)), [("calls.a", "unset input", "it calls nothing")]),
    (
        "loop of no graph",
        lambda: hand_made(Call("l", "loop", int, {"x": Const(1)}, function=inc, times=2, state="x")),
        [("calls.l", "loop", "a graph")],
    ),
    (
        "loop of another graph",
        lambda: hand_made(Call("l", "loop", int, {"x": Const(1)}, function=x_of(lambda x: inc(x=x)), times=2, state="x")),
        [
            ("calls.l", "loop", "'done'"),
        ],
    ),
]


@pytest.mark.parametrize(("what", "make_graph", "wanted"), TABLE, ids=[what for what, _, _ in TABLE])
def test_each_fault_has_its_path_its_kind_and_its_reason(what: str, make_graph: Callable[[], Graph], wanted: list[tuple[str, str, str]]) -> None:
    faults = check(make_graph())
    assert [(fault.path, fault.kind) for fault in faults] == [(path, kind) for path, kind, _ in wanted], faults
    for fault, (_, _, said) in zip(faults, wanted, strict=True):
        assert said in fault.fault, fault


def test_all_faults_of_all_calls_are_given_at_once() -> None:
    @graph
    def inner(x: int) -> int:
        return add(first=shout(text=x), second=write(topic="a"))

    @graph
    def program(x: int) -> str:
        inner.each(x=upto(n=x))
        return inner(x=when(x, inc(x="a"), make(title=x)))  # type: ignore[return-value]

    faults = check(program)
    assert [fault.path for fault in faults] == [
        "calls.inner.calls.shout.text",
        "prompts.write.template",
        "prompts.write.template",
        "calls.inner.calls.add.first",
        "calls.inner.calls.add.second",
        "calls.inc.x",
        "calls.make.title",
        "calls.when.condition",
        "calls.inner_2.x",
        "output",
        "calls.upto",
        "calls.inner",
    ]
    with pytest.raises(GraphInvalid) as caught:
        ensure(program)
    assert caught.value.faults == tuple(caught.value.exceptions) and len(caught.value.faults) == len(faults)
    assert "calls.inc.x" in str(caught.value)


def test_names_that_were_meant() -> None:
    def hint(program: Graph) -> str:
        return check(program)[0].hint

    assert hint(x_of(lambda x: add(first=x, secnd=x))) == "did you mean 'second'?"
    assert hint(hand_made(call("b", inc, x=Ref("inputs.xx")))) == "did you mean 'inputs.x'?"
    assert hint(x_of(lambda x: inc(x=upto(n=x)))) == "use .each(…) to map over it"
    assert "write {{ and }}" in hint(trace(lambda x: prompt(template="{zzz}")(write.function)(topic=x), params={"x": Param("x", str)}, returns=str))


def test_what_validation_makes_right_is_no_fault() -> None:
    @graph
    def program(x: int, later: float = 1, none: int | None = None) -> str:
        return titled(section={"title": stored(table={"name": "a", "size": x}), "words": "3"})  # type: ignore[arg-type,typeddict-item]

    assert not check(program)
    assert simulate(program, x=1) == "{'name': 'a', 'size': 1}"


def test_a_graph_that_calls_itself() -> None:
    inner = x_of(lambda x: inc(x=x))
    outer = Graph("outer", inputs=inner.params, calls=[Call("a", "graph", int, {"x": Ref("inputs.x")}, function=inner)], output=Ref("a"), returns=int)
    inner.call_list = (Call("inc", "graph", int, {"x": Ref("inputs.x")}, function=outer),)
    assert [fault.kind for fault in check(outer)] == ["cycle"]


def test_the_faults_of_a_graph_called_often_are_said_once() -> None:
    inner = x_of(lambda x: shout(text=x), str)
    program = x_of(lambda x: [inner(x=x) for _ in range(50)])
    assert [fault.path for fault in check(program)] == ["calls.<lambda>.calls.shout.text"]


def test_graphs_called_twice_at_every_level_are_looked_at_once() -> None:
    inner: Any = x_of(lambda x: inc(x=x), int)
    for _ in range(60):
        inner = x_of(lambda x, inner=inner: add(first=inner(x=x), second=inner(x=x)), int)
    assert not check(inner)


def test_a_hand_made_graph_runs() -> None:
    turn = Graph(
        "turn",
        inputs={"x": Param("x", int)},
        calls=[call("inc", inc, x=Ref("inputs.x")), call("enough", positive, x=Ref("inc"))],
        output=Many("dict", (Ref("inc"), Ref("enough")), ("state", "done")),
        returns=Any,
    )
    program = hand_made(
        Call("l", "loop", int, {"x": Ref("inputs.x")}, function=turn, times=9, state="x"),
        call("ok", positive, x=Ref("l")),
        Call("w", "when", str | None, {"condition": Ref("ok"), "then": Ref("s"), "otherwise": Const(None)}),
        call("s", shout, text=Const("a")),
        Call("e", "each", list[int], {"x": Many("list", (Ref("l"), Const(2)))}, function=inc, over=("x",)),
        output=Many("list", (Ref("w"), Ref("e"))),
        returns=list[Any],
    )
    assert not check(program)
    assert simulate(program, x=-3) == ["A", [2, 3]]


def test_large_graphs_are_checked_in_time_that_grows_with_their_size() -> None:
    def seconds(size: int) -> float:
        def program(x: int) -> int:
            for _ in range(size):
                x = inc(x=x)
            return x

        started = time.process_time()
        assert not check(trace(program))
        return time.process_time() - started

    assert seconds(4_000) < 12 * max(seconds(1_000), 0.005)
