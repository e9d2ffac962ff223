"""Tracing: what is recorded, under which names, and what a variable says when it is used as if it were known."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from rookery import GraphInvalid, Label, ask, graph, keep_ok, loop, none_for_failed, prompt, tool, when
from rookery.core.check import check
from rookery.core.graph import Const, Many, Ref, names_in
from rookery.core.tape import trace
from rookery.core.variable import Variable, holds_variable
from rookery.errors import GraphFault, OutsideRun, VariableMisuse
from tests.simulation import Simulation, simulate


class Section(BaseModel):
    title: str
    body: str = ""


@tool
def inc(x: int) -> int:
    return x + 1


@tool
def upto(n: int) -> list[int]:
    return list(range(n))


@tool
def total(xs: list[int]) -> int:
    return sum(xs)


@tool
def make(title: str) -> Section:
    return Section(title=title)


@tool
def shout(text: str) -> str:
    return text.upper()


@prompt
def section(title: str) -> Section:
    """Write {title}."""


# -------------------------------------------------------------------- names and sources


def test_calls_are_named_after_their_functions_and_numbered_from_two() -> None:
    @graph
    def program(x: int) -> int:
        return inc(x=inc(x=inc(inc(x))))

    assert list(program.calls) == ["inc", "inc_2", "inc_3", "inc_4"]
    assert program.output == Ref("inc_4")
    assert program.calls["inc_2"].args == {"x": Ref("inc")}


def test_a_numbered_name_that_is_taken_is_passed_over() -> None:
    named = tool(name="inc_2")(lambda x: x)
    named.function.__annotations__ = {"x": int, "return": int}

    @graph
    def program(x: int) -> int:
        return inc(x=inc(x=named(x=inc(x=x))))

    assert list(program.calls) == ["inc", "inc_2", "inc_3", "inc_4"]


def test_what_paths_are_made_of_is_left_out_of_names() -> None:
    odd = tool(name="fs/read.v1[0]#?")(inc.function)

    @graph
    def program(x: int) -> int:
        return odd(x=x)

    assert list(program.calls) == ["fs_read_v1_0___"]
    assert simulate(program, x=1) == 2


def test_containers_of_variables_are_kept_apart_from_constants() -> None:
    @tool
    def take(parts: list[Any], table: dict[Any, Any], pair: tuple[Any, ...], plain: list[int]) -> str:
        return f"{parts} {table} {pair} {plain}"

    @graph
    def program(x: int) -> str:
        y = inc(x=x)
        return take(parts=[x, [y, 7]], table={"a": y, 3: {"b": x}}, pair=(y, 1), plain=[1, 2])

    args = program.calls["take"].args
    assert args["parts"] == Many("list", (Ref("inputs.x"), Many("list", (Ref("inc"), Const(7)))))
    assert args["table"] == Many("dict", (Ref("inc"), Many("dict", (Ref("inputs.x"),), ("b",))), ("a", 3))
    assert args["pair"] == Many("tuple", (Ref("inc"), Const(1)))
    assert args["plain"] == Const([1, 2])
    assert list(names_in(args["parts"])) == ["inputs.x", "inc"]
    assert simulate(program, x=1) == "[1, [2, 7]] {'a': 2, 3: {'b': 1}} (2, 1) [1, 2]"


@pytest.mark.parametrize("container", [lambda x: {x}, lambda x: {x: 1}, lambda x: frozenset([x])])
def test_a_variable_where_none_can_be_is_a_fault(container: Callable[[Any], Any]) -> None:
    @tool
    def take(value: Any) -> int:
        return 1

    @graph
    def program(x: int) -> int:
        return take(value=container(x))

    assert "a variable can't be" in check(program)[0].fault


def test_a_container_that_holds_itself_is_no_trap() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert not holds_variable(circle)


def test_steps_below_a_variable() -> None:
    @tool
    def pair(x: int) -> tuple[int, list[Section]]:
        return x, [Section(title="a"), Section(title="b")]

    @graph
    def program(x: int) -> str:
        found = pair(x=x)[1][-1]["title"]
        assert found.type is str
        return shout(text=found)

    assert program.calls["shout"].args == {"text": Ref("pair", (1, -1, "title"))}
    assert simulate(program, x=1) == "B"


def test_a_variable_knows_its_producer_and_its_readers() -> None:
    seen: list[Variable[Any]] = []

    def program(x: int) -> int:
        first = inc(x=x)
        seen.extend([x, first])  # type: ignore[list-item]
        return total(xs=[inc(x=first), first])

    trace(program)
    start, first = seen
    assert start.producer is None and [call.name for call in start.consumers] == ["inc"]
    assert first.producer is not None and first.producer.name == "inc"
    assert [call.name for call in first.consumers] == ["inc_2", "total"]
    assert repr(first) == "<Variable inc: int>" and repr(first[0]) == "<Variable inc[0]: Any>"


def test_positional_arguments_are_bound_as_python_does() -> None:
    with pytest.raises(TypeError, match="takes 1 argument"):
        trace(lambda: inc(1, 2))  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="twice"):
        trace(lambda: inc(1, x=2))  # type: ignore[call-arg]


def test_a_call_outside_of_everything() -> None:
    assert inc(1) == 2
    with pytest.raises(OutsideRun, match="section"):
        section(title="x")
    with pytest.raises(OutsideRun, match="ask"):
        ask(bool, "ok?")


# -------------------------------------------------------------------- misuse

MISUSES: list[tuple[str, Callable[[Any], Any], str]] = [
    ("if", lambda v: 1 if v else 2, "when("),
    ("not", operator.not_, "when("),
    ("and", lambda v: v and 1, "when("),
    ("for", lambda v: list(v), ".each("),
    ("unpack", lambda v: (lambda a, b: a)(*v), ".each("),
    ("len", len, "@tool"),
    ("in", lambda v: 1 in v, "@tool"),
    ("f-string", lambda v: f"{v}", "as an argument"),
    ("f-string with a format", lambda v: f"{v:.2f}", "as an argument"),
    ("str", str, "as an argument"),
    ("join", lambda v: " ".join([str(v)]), "as an argument"),
    ("call", lambda v: v(), "itself"),
    ("==", lambda v: v == 1, "@tool"),
    ("!=", lambda v: v != 1, "@tool"),
    ("==, the other way", lambda v: 1 == v, "@tool"),  # noqa: SIM300
    ("<", lambda v: v < 1, "@tool"),
    (">=", lambda v: v >= 1, "@tool"),
    ("int", int, "@tool"),
    ("float", float, "@tool"),
    ("round", round, "@tool"),
    ("abs", abs, "@tool"),
    ("index", lambda v: [1, 2][v], "@tool"),
    ("range", range, "@tool"),
    ("slice", lambda v: v[1:2], "@tool"),
    ("indexed by a variable", lambda v: v[v], "@tool"),
    ("set an item", lambda v: operator.setitem(v, 0, 1), "@tool"),
    ("await", lambda v: v.__await__().send(None), "async def"),
    ("attribute", lambda v: v.title, 'variable["title"]'),
    *[
        (name, partial(lambda f, v: f(v, 1), getattr(operator, name)), "@tool")
        for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor", "lshift", "rshift")
    ],
    *[
        (f"{name}, the other way", partial(lambda f, v: f(1, v), getattr(operator, name)), "@tool")
        for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor", "lshift", "rshift")
    ],
    *[(name, getattr(operator, name), "@tool") for name in ("neg", "pos", "invert")],
    ("divmod", lambda v: divmod(v, 2), "@tool"),
]


@pytest.mark.parametrize(("what", "use", "instead"), MISUSES, ids=[what for what, _, _ in MISUSES])
def test_a_variable_used_as_if_it_were_known_says_what_to_write(what: str, use: Callable[[Any], Any], instead: str) -> None:
    def program(x: int) -> Any:
        return use(inc(x=x))

    with pytest.raises(VariableMisuse) as caught:
        trace(program)
    assert "inc" in caught.value.reason
    assert instead in caught.value.hint


def test_looking_whether_a_variable_has_an_attribute_does_no_harm() -> None:
    def program(x: int) -> int:
        assert not hasattr(x, "model_dump") and not hasattr(x, "__len_hint__")
        assert len({x, x}) == 1
        return inc(x=copy.copy(x))

    assert simulate(trace(program), x=1) == 2


def test_a_variable_of_another_graph_is_a_fault() -> None:
    leaked: list[Any] = []

    @graph
    def one(x: int) -> int:
        leaked.append(inc(x=x))
        return leaked[0]  # type: ignore[no-any-return]

    @graph
    def two(x: int) -> int:
        return total(xs=[inc(x=x), leaked[0]])

    assert [fault.kind for fault in check(two)] == ["scope"]


# -------------------------------------------------------------------- graphs


def test_outputs_may_be_constants_containers_or_inputs() -> None:
    def constant(x: int) -> int:
        return 7

    def same(x: int) -> int:
        return x

    def listed(x: int) -> list[int]:
        return [x, inc(x=x), 3]  # type: ignore[list-item]

    def table(x: int) -> dict[str, int]:
        return {"a": x, "b": inc(x=x)}

    def below(x: int) -> str:
        return make(title="t")["title"]  # type: ignore[index,no-any-return]

    for program, value in ((constant, 7), (same, 1), (listed, [1, 2, 3]), (table, {"a": 1, "b": 2}), (below, "t")):
        assert simulate(trace(program), x=1) == value


def test_without_a_return_annotation_the_output_keeps_its_types() -> None:
    def program(title):  # type: ignore[no-untyped-def]
        return {"made": make(title=title), "all": [make(title="b")]}

    program.__annotations__ = {"title": str}
    assert simulate(trace(program), title="a") == {"made": Section(title="a"), "all": [Section(title="b")]}


def test_an_async_function_is_not_traced() -> None:
    async def program(x: int) -> int:
        return x

    faults = check(trace(program))
    assert [fault.kind for fault in faults][:1] == ["async"]


def test_a_graph_that_names_what_comes_later_is_traced_at_first_use() -> None:
    @graph
    def program(x: int) -> int:
        return later(x=x)

    later = inc
    assert list(program.calls) == ["inc"] and program.name == "program"
    assert program.using(gather=keep_ok()).policy.gather == keep_ok()


def test_a_mistake_in_a_graph_traced_later_is_not_hidden() -> None:
    @graph
    def program(x: int) -> int:
        return later(x=x).title  # type: ignore[attr-defined,no-any-return]

    later = inc
    with pytest.raises(VariableMisuse, match="title"):
        hasattr(program, "policy")


def test_missing_annotations_are_faults_of_the_check_all_at_once() -> None:
    @tool
    def bare(a, b: int):  # type: ignore[no-untyped-def]
        return a

    @graph
    def program(x, y) -> int:  # type: ignore[no-untyped-def]
        return total(xs=bare.each(a=x, b=y))

    paths = [fault.path for fault in check(program)]
    assert paths[:2] == ["graph.program.x", "graph.program.y"]
    assert "tools.bare.a" in paths and "tools.bare" in paths


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda *parts: 1, "star"),
        (lambda **parts: 1, "star"),
        (eval("lambda x, /: x"), "positional-only"),
        (lambda x: 1, "annotation"),
        (len, "positional-only"),
        (max, "parameters cannot be told"),
        (copy.copy(eval("lambda x: x")), "annotation"),
    ],
)
def test_functions_whose_signature_says_too_little(function: Callable[..., Any], said: str) -> None:
    with pytest.raises(GraphFault, match=said):
        tool(function).params  # noqa: B018


def test_annotations_that_cannot_be_resolved() -> None:
    def program(x: Nowhere) -> int:  # type: ignore[name-defined]  # noqa: F821
        return 1

    assert "cannot be resolved" in check(trace(program))[0].fault


def test_methods_and_callable_objects_are_functions_too() -> None:
    class Adder:
        by = 2

        def add(self, x: int) -> int:
            return x + self.by

        def __call__(self, x: int) -> int:
            return x + 1

    bound, whole = tool(Adder().add), tool(name="whole")(Adder())

    @graph
    def program(x: int) -> int:
        return bound(x=whole(x=x))

    assert simulate(program, x=1) == 4


def test_labels_are_read_from_annotations() -> None:
    @graph
    def program(key: Annotated[str, Label("secret")], x: int) -> int:
        return inc(x=x)

    assert program.params["key"].labels == {"secret"} and not program.params["x"].labels


# -------------------------------------------------------------------- maps


def maps(make_call: Callable[..., Any], **inputs: Any) -> tuple[str, ...]:
    def program(**variables: Any) -> Any:
        return make_call(**variables)

    from rookery.core.graph import Param

    traced = trace(program, params={name: Param(name, type_) for name, type_ in inputs.items()}, returns=Any)
    return next(call.over for call in traced.call_list if call.kind == "each")


@tool
def both(xs: list[int], y: int) -> int:
    return sum(xs) + y


@tool
def anything(value: Any) -> int:
    return 1


@pytest.mark.parametrize(
    ("call", "inputs", "over"),
    [
        (lambda xs: inc.each(x=xs), {"xs": list[int]}, ("x",)),
        (lambda xs: inc.each(x=xs), {"xs": tuple[int, ...]}, ("x",)),
        (lambda: inc.each(x=[1, 2]), {}, ("x",)),
        (lambda: inc.each(x=range(3)), {}, ("x",)),
        (lambda x: inc.each(x=[x, 2]), {"x": int}, ("x",)),
        (lambda xs, y: both.each(xs=xs, y=y), {"xs": list[int], "y": list[int]}, ("y",)),
        (lambda xs, y: both.each(xs=xs, y=y), {"xs": list[list[int]], "y": int}, ("xs",)),
        (lambda xs, y: both.each(xs=xs, y=y), {"xs": list[list[int]], "y": list[int]}, ("xs", "y")),
        (lambda x: both.each(xs=[[x], [x]], y=1), {"x": int}, ("xs",)),
        (lambda x, ys: both.each(xs=[x, x], y=ys), {"x": int, "ys": list[int]}, ("y",)),
        (lambda v: anything.each(value=v), {"v": list[int]}, ()),
        (lambda v: anything.each("value", value=v), {"v": list[int]}, ("value",)),
        (lambda v: inc.each("x", x=v), {"v": Any}, ("x",)),
        (lambda t: shout.each(text=t), {"t": str}, ()),
    ],
)
def test_which_arguments_are_mapped(call: Callable[..., Any], inputs: dict[str, Any], over: tuple[str, ...]) -> None:
    assert maps(call, **inputs) == over


def test_the_type_of_a_map_follows_its_gather_policy() -> None:
    def of(function: Any) -> Any:
        return trace(lambda: function.each(x=[1]), returns=Any).call_list[0].type

    assert of(inc) == list[int]
    assert of(inc.using(gather=none_for_failed)) == list[int | None]
    assert of(inc.using(gather=keep_ok())) == list[int]


def test_a_graph_takes_no_other_option_than_gather() -> None:
    @graph
    def program(x: int) -> int:
        return inc(x=x)

    with pytest.raises(TypeError, match="timeout_s"):
        program.using(timeout_s=3)


# -------------------------------------------------------------------- equality


def test_graphs_of_equal_calls_are_equal() -> None:
    def program(x: int) -> int:
        return when(positive(x=x), lambda: inc(x=x), 0)  # type: ignore[return-value]

    assert trace(program) == trace(program)
    assert trace(program) != trace(lambda x: inc(x=x), params=trace(program).params, returns=int)
    assert trace(program) != 1


@tool
def positive(x: int) -> bool:
    return x > 0


def test_the_whole_of_a_program_with_a_fault_is_refused_before_it_runs() -> None:
    with pytest.raises(GraphInvalid):
        Simulation(trace(lambda: loop(inc, x=1), returns=int))
