"""``when``, ``loop`` and ``ask``, as they go on in a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rookery import ask, graph, loop, tool, when
from rookery.core import event as ev
from rookery.core.check import check
from rookery.core.graph import Graph
from rookery.core.plan import guards_of
from rookery.core.tape import living, trace
from rookery.core.variable import Variable
from rookery.errors import GraphFault, VariableMisuse
from tests.core.tools import Section, add, double, even, inc, large, note, positive, ran, send, total, upto
from tests.simulation import Simulation, finished, last

# -------------------------------------------------------------------- when


def test_only_the_branch_that_is_taken_runs() -> None:
    @graph
    def program(x: int) -> int:
        return when(positive(x=x), then=inc(x=x), otherwise=double(x=double(x=x)))  # type: ignore[return-value]

    assert ran(program, x=1) == (2, ["inc", "positive"])
    assert ran(program, x=-1) == (-4, ["double", "double_2", "positive"])


def test_branches_may_be_functions_values_or_variables() -> None:
    @graph
    def program(x: int) -> Any:
        a = when(positive(x=x), lambda: inc(x=x), 0)
        b = when(positive(x=x), x)
        c = when(positive(x=x), [a, x], lambda: [b])
        return {"a": a, "b": b, "c": c}

    assert ran(program, x=1)[0] == {"a": 2, "b": 1, "c": [2, 1]}
    assert ran(program, x=-1)[0] == {"a": 0, "b": None, "c": [None]}


@pytest.mark.parametrize(
    ("then", "otherwise", "type_"),
    [
        (1, 2, int),
        (1, None, int | None),
        (1, "a", int | str),
        (True, 2, int),
        ([1], [], list),
        (inc, None, int | None),
        (upto, [], list[int]),
    ],
)
def test_the_type_is_that_of_both_branches(then: Any, otherwise: Any, type_: Any) -> None:
    def program(x: int) -> Any:
        return when(positive(x=x), (lambda: then(x)) if callable(then) else then, otherwise)

    assert trace(program).calls["when"].type == type_


def test_a_type_that_is_not_known_stays_so() -> None:
    @tool
    def anything(x: int) -> Any:
        return [x]

    @graph
    def program(x: int) -> Any:
        return when(positive(x=x), inc(x=x), anything(x=x))

    assert program.calls["when"].type is Any
    assert ran(program, x=-1)[0] == [-1]


def test_a_call_that_others_need_too_is_not_guarded() -> None:
    @graph
    def program(x: int) -> int:
        y = inc(x=x)
        return add(a=y, b=when(positive(x=x), then=double(x=y), otherwise=0))  # type: ignore[arg-type]

    assert ran(program, x=-1) == (0, ["add", "inc", "positive"])
    assert guards_of(program)["inc"] == frozenset() and guards_of(program)["double"] == {("when", True)}


def test_a_call_for_both_branches_is_not_guarded() -> None:
    @graph
    def program(x: int) -> int:
        y = inc(x=x)
        return when(positive(x=x), then=double(x=y), otherwise=y)  # type: ignore[return-value]

    assert guards_of(program)["inc"] == frozenset()
    assert ran(program, x=-1) == (0, ["inc", "positive"])


def test_whens_in_whens_run_one_branch_only() -> None:
    @graph
    def program(x: int) -> int:
        def inner() -> Any:
            return when(even(x=x), lambda: inc(x=inc(x=x)), lambda: double(x=x))

        return when(positive(x=x), inner, lambda: when(even(x=x), 0, lambda: inc(x=x)))  # type: ignore[return-value]

    assert ran(program, x=2) == (4, ["even", "inc", "inc_2", "positive"])
    assert ran(program, x=3) == (6, ["double", "even", "positive"])
    assert ran(program, x=-2) == (0, ["even_2", "positive"])
    assert ran(program, x=-1) == (0, ["even_2", "inc_3", "positive"])


def test_a_condition_may_itself_be_in_a_branch() -> None:
    @graph
    def program(x: int) -> int:
        return when(when(positive(x=x), lambda: even(x=x), False), inc(x=x), 0)  # type: ignore[return-value]

    assert ran(program, x=-1) == (0, ["positive"])
    assert ran(program, x=2) == (3, ["even", "inc", "positive"])


def test_an_effect_in_a_branch_belongs_to_it_though_nothing_reads_it() -> None:
    @graph
    def program(x: int) -> int:
        return when(positive(x=x), lambda: (note(x=x), inc(x=x))[1], lambda: (note(x=x), x)[1])  # type: ignore[return-value]

    assert ran(program, x=1) == (2, ["inc", "note", "positive"])
    assert ran(program, x=-1) == (-1, ["note_2", "positive"])
    assert not check(program)


def test_an_effect_that_only_a_branch_reads_runs_only_then() -> None:
    @graph
    def program(x: int) -> int:
        return when(positive(x=x), then=send(x=x), otherwise=0)  # type: ignore[return-value]

    assert ran(program, x=1) == (-1, ["positive", "send"])
    assert ran(program, x=-1) == (0, ["positive"])


def test_effects_are_through_before_the_run_ends() -> None:
    @graph
    def inner(x: int) -> int:
        note(x=x)
        return inc(x=x)

    @graph
    def program(x: int) -> int:
        note(x=x)
        inner(x=x)
        return total(xs=[inner(x=x), x])

    for choose in (lambda count: 0, last):
        done = Simulation(program).start(x=1).run(choose)
        assert finished(done.log) == {"note", "inner/note", "inner/inc", "inner_2/note", "inner_2/inc", "total"}
    assert not check(program)


def test_a_graph_with_effects_in_a_branch_and_in_maps_and_loops() -> None:
    @graph
    def inner(x: int) -> int:
        note(x=x)
        return inc(x=x)

    @graph
    def program(x: int) -> int:
        a = when(positive(x=x), lambda: inner(x=x), 0)
        b = total(xs=inner.each(x=upto(n=2)))
        c = loop(inner, x=x, times=2)
        return total(xs=[a, b, c])  # type: ignore[list-item]

    value, calls = ran(program, x=-1)
    assert value == 0 + 3 + 1
    assert [call for call in calls if "note" in call] == ["inner_2[0]/note", "inner_2[1]/note", "inner_3#0/inner/note", "inner_3#1/inner/note"]


def test_what_lies_below_a_value_is_not_looked_up_for_a_branch_that_is_not_taken() -> None:
    @tool
    def table(x: int) -> dict[str, int]:
        return {"a": x} if x > 0 else {}

    @graph
    def program(x: int) -> int:
        found = table(x=x)
        return when(positive(x=x), lambda: inc(x=found["a"]), 0)  # type: ignore[index,return-value]

    assert ran(program, x=-1)[0] == 0 and ran(program, x=1)[0] == 2


def test_a_when_in_a_graph_in_a_branch() -> None:
    @graph
    def inner(x: int) -> int:
        return when(even(x=x), lambda: inc(x=x), lambda: double(x=x))  # type: ignore[return-value]

    @graph
    def program(x: int) -> int:
        return when(positive(x=x), lambda: inner(x=x), lambda: inner(x=inc(x=x)))  # type: ignore[return-value]

    assert ran(program, x=2) == (3, ["inner/even", "inner/inc", "positive"])
    assert ran(program, x=-2) == (-2, ["inc", "inner_2/double", "inner_2/even", "positive"])


# -------------------------------------------------------------------- loop


def test_a_loop_runs_until_its_condition_is_true() -> None:
    @graph
    def program(x: int) -> int:
        return loop(double, x=x, until=large, times=10)  # type: ignore[return-value]

    value, calls = ran(program, x=30)
    assert value == 120 and calls == ["double#0/double", "double#0/large", "double#1/double", "double#1/large"]


def test_a_loop_without_a_condition_runs_its_turns() -> None:
    @graph
    def program(x: int) -> int:
        return loop(inc, x=x, times=3)  # type: ignore[return-value]

    assert ran(program, x=0) == (3, ["inc#0/inc", "inc#1/inc", "inc#2/inc"])


def test_a_loop_at_its_bound_fails_or_gives_its_last_state() -> None:
    def program(x: int, or_last: bool) -> Simulation:
        return Simulation(trace(lambda x: loop(inc, x=x, until=large, times=2, or_last=or_last), params=inc.params, returns=int)).start(x=x).run()

    failed = program(0, False)
    assert failed.outcome == "failed" and failed.fault is not None and failed.fault.kind == "LoopExhausted"
    assert "bound of 2" in failed.fault.message and "times=" in failed.fault.hint
    assert program(0, True).value == 2
    again = Simulation(failed.graph, store=failed.store).resume(failed.log)
    assert again.outcome == "failed" and not again.executed  # it fails again at once, and nothing runs twice


def test_other_parameters_stay_the_same_and_may_be_variables_or_defaults() -> None:
    @tool
    def step(state: int, by: int, factor: int = 1) -> int:
        return state + by * factor

    @tool
    def reached(state: int, by: int) -> bool:
        return state > 3 * by

    @graph
    def program(x: int) -> int:
        return loop(step, state=x, by=inc(x=x), until=reached, times=9)  # type: ignore[return-value]

    assert ran(program, x=1)[0] == 7


def test_bodies_may_be_graphs_or_functions_and_conditions_lambdas() -> None:
    @graph
    def body(x: int) -> int:
        return inc(x=double(x=x))

    @graph
    def program(x: int) -> int:
        a = loop(body, x=x, until=lambda s: large(x=s), times=10)
        b = loop(lambda x: add(a=x, b=x), x=a, times=2)
        return b  # type: ignore[return-value]

    assert ran(program, x=20)[0] == (2 * (2 * (2 * 20 + 1) + 1) + 1) * 4


def test_loops_in_loops_and_loops_in_maps() -> None:
    @graph
    def inner(x: int) -> int:
        return loop(inc, x=x, times=2)  # type: ignore[return-value]

    @graph
    def program(xs: list[int]) -> int:
        return total(xs=[loop(inner, x=1, times=3), total(xs=inner.each(x=xs))])  # type: ignore[list-item]

    assert ran(program, xs=[0, 10])[0] == 7 + 2 + 12


def test_the_state_has_its_own_type_in_every_turn() -> None:
    @tool
    def halve(x: float) -> int:
        assert type(x) is float
        return int(x) // 2

    @graph
    def program(x: float) -> float:
        return loop(halve, x=x, times=2)  # type: ignore[return-value]

    value, _ = ran(program, x=9)
    assert value == 2.0 and type(value) is float


def test_a_state_that_is_not_typed_keeps_its_class() -> None:
    @tool
    def same(x: Section) -> Section:
        return Section(title=x.title + "!")

    @graph
    def program(x: Section) -> str:
        return loop(same, x=x, times=2)["title"]  # type: ignore[return-value]

    assert ran(program, x=Section(title="a"))[0] == "a!!"


def test_loops_with_faults() -> None:
    with pytest.raises(GraphFault, match="no parameter to carry the state"):
        trace(lambda: loop(lambda: 1, times=2))
    with pytest.raises(GraphFault, match="no parameter to take the new state"):
        trace(lambda: loop(inc, x=1, until=lambda: True, times=2))
    assert [fault.kind for fault in check(trace(lambda: loop(inc, x=1), returns=int))] == ["unbounded loop"]
    assert [fault.kind for fault in check(trace(lambda: loop(inc, x=1, times=0), returns=int))] == ["unbounded loop"]


# -------------------------------------------------------------------- ask


def test_only_what_depends_on_an_answer_waits_for_it() -> None:
    @graph
    def program(x: int) -> int:
        ok = ask(bool, "go on?", show=inc(x=x))
        return add(a=double(x=x), b=when(ok, lambda: inc(x=inc(x=x)), 0))  # type: ignore[arg-type]

    done = Simulation(program, answer=lambda shown: shown == 2).start(x=1)
    while done.active:
        done.turn()
    assert set(done.state.questions) == {"ask"} and "double" in finished(done.log)
    waiting = Simulation(program, store=done.store, answer=lambda shown: True).resume(done.log)
    assert not any(isinstance(event, ev.QuestionAsked) for event in waiting.log[len(done.log) :])  # it is asked once
    assert waiting.run().value == 5 and done.run().value == 5


def test_what_is_shown_may_be_a_constant() -> None:
    seen: list[Any] = []
    program: Callable[..., Graph] = lambda: trace(lambda x: ask(int, "?", show={"a": [1]}), params=inc.params, returns=int)  # noqa: E731
    Simulation(program(), answer=lambda shown: seen.append(shown) or 3).start(x=1).run()
    assert seen == [{"a": [1]}]


def test_an_answer_that_nobody_reads_is_asked_for_all_the_same() -> None:
    @graph
    def program(x: int) -> int:
        ask(bool, "seen?")
        return inc(x=x)

    done = Simulation(program, answer=lambda shown: True).start(x=1)
    done.turn()
    done.turn()
    assert not done.outcome and done.run().value == 2


# -------------------------------------------------------------------- in async code


class Code:
    """Stands for a run whose code makes calls."""

    def __init__(self) -> None:
        self.made: list[Graph] = []

    def make(self, graph: Graph, inputs: Any) -> Any:
        self.made.append(graph)
        return Variable(None, f"main/{graph.name}", graph.returns)


def test_in_async_code_a_branch_that_is_not_taken_is_not_made() -> None:
    with living(Code()), pytest.raises(VariableMisuse, match="both branches") as caught:
        when(positive(x=1), lambda: inc(x=1), 0)
    assert "await" in caught.value.hint
    code = Code()
    with living(code):
        when(True, lambda: inc(x=1), lambda: double(x=1))
    assert [made.name for made in code.made] == ["inc", "when"]


def test_inputs_of_calls_made_by_code_keep_apart() -> None:
    @tool
    def several(a: list[int], a_2: int) -> int:
        return a_2

    code = Code()
    one, two, three = (Variable[Any](None, name, int) for name in ("one", "two", "three"))
    seen: list[Any] = []
    code.make = lambda graph, inputs: seen.append((graph, inputs))  # type: ignore[method-assign]
    with living(code):
        several(a_2=one, a=[two, three])
    ((made, inputs),) = seen
    names = made.call_list[0].args
    assert inputs[names["a_2"].name.removeprefix("inputs.")] is one
    assert [inputs[item.name.removeprefix("inputs.")].name for item in names["a"].items] == ["two", "three"]
