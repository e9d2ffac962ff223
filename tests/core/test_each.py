"""Maps, and graphs in graphs, as they go on in a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from rookery import graph, keep_ok, none_for_failed, tool, when
from rookery.core import event as ev
from rookery.core.check import check
from rookery.core.graph import Graph
from rookery.core.tape import trace
from tests.core.tools import FILL, Section, add, double, inc, inverse, known, numbers, positive, ran, total, upto
from tests.simulation import Simulation, finished, last, simulate

# -------------------------------------------------------------------- each


def test_a_map_over_lists_in_step_with_what_stays_the_same() -> None:
    @graph
    def program(n: int) -> int:
        xs = upto(n=n)
        return total(xs=add.each(a=xs, b=inc.each(x=xs)))

    assert ran(program, n=3)[0] == 1 + 3 + 5
    assert ran(program, n=0) == (0, ["total", "upto"])


def test_lists_of_unequal_lengths_fail_the_map() -> None:
    @graph
    def program(n: int) -> int:
        return total(xs=add.each(a=upto(n=n), b=[1, 2]))

    done = Simulation(program).start(n=3).run()
    assert done.fault is not None and "differ in length (a: 3, b: 2)" in done.fault.message
    again = Simulation(program, store=done.store).resume(done.log)
    assert again.outcome == "failed" and not again.executed


def test_constants_in_maps_are_of_the_parameters_type() -> None:
    @tool
    def title(section: Section) -> str:
        return section.title

    @tool
    def joined(xs: list[str]) -> str:
        return "".join(xs)

    @graph
    def program(x: int) -> str:
        return joined(xs=title.each(section=[Section(title="a"), {"title": "b"}]))

    assert ran(program, x=1)[0] == "ab"


def test_a_map_over_variables_starts_each_as_it_is_known() -> None:
    @graph
    def program(x: int) -> int:
        return total(xs=double.each(x=[inc(x=x), inc(x=inc(x=x)), 5]))

    done = Simulation(program).start(x=1)
    assert {"double[2]", "inc", "inc_2"} == set(done.started)
    assert done.run().value == 4 + 6 + 10


def test_maps_over_maps_have_no_barrier() -> None:
    @graph
    def program(n: int) -> int:
        return total(xs=double.each(x=inc.each(x=upto(n=n))))

    done = Simulation(program).start(n=3)
    for _ in range(4):
        done.turn()  # upto, then inc[0]
    assert "double[0]" in done.started and "inc[1]" in done.active
    assert done.run().value == 2 + 4 + 6


def test_a_streamed_list_starts_its_consumers_element_by_element() -> None:
    @graph
    def program(n: int) -> int:
        return total(xs=double.each(x=numbers(n=n)))

    done = Simulation(program, fill=FILL).start(n=3)
    done.turn()
    done.turn()
    assert "double[0]" in done.started and "numbers" in done.active
    assert done.run().value == 6
    cut = next(i for i, event in enumerate(done.log) if isinstance(event, ev.ElementReady)) + 1
    again = Simulation(program, fill=FILL, store=done.store).resume(done.log[:cut])
    assert set(again.started) == {"numbers", "double[0]"}
    assert again.run().value == 6
    assert sum(isinstance(event, ev.ElementReady) for event in again.log) == 3


@pytest.mark.parametrize(("gather", "value"), [(none_for_failed, "[1.0, None, 0.5]"), (keep_ok(), "[1.0, 0.5]"), (keep_ok(at_least=2), "[1.0, 0.5]")])
def test_maps_that_go_on_without_what_failed(gather: Any, value: str) -> None:
    @graph
    def program(xs: list[int]) -> str:
        return known(xs=inverse.using(gather=gather).each(x=xs))

    @graph
    def one(x: int) -> float:
        return inverse(x=double(x=x))

    @graph
    def whole(xs: list[int]) -> str:
        return known(xs=one.using(gather=gather).each(x=xs))

    for choose in (lambda count: 0, last):
        done = Simulation(program).start(xs=[1, 0, 2]).run(choose)
        assert done.value == value
        assert Simulation(whole).start(xs=[1, 0, 2]).run(choose).value == value.replace("0.5", "0.25").replace("1.0", "0.5")
        for cut in range(1, len(done.log) + 1):
            again = Simulation(program, store=dict(done.store)).resume(done.log[:cut]).run(choose)
            assert again.value == value, cut


def test_too_few_good_ones_fail_the_map_and_a_new_start_tries_them_again() -> None:
    broken = True

    @tool
    def fragile(x: int) -> int:
        return x // (0 if broken and x else 1)

    @graph
    def one(x: int) -> int:
        return inc(x=fragile(x=x))

    def program(function: Any) -> Graph:
        return trace(lambda xs: total(xs=function.using(gather=keep_ok(at_least=2)).each(x=xs)), params=total.params, returns=int)

    for function in (fragile, one):
        broken = True
        done = Simulation(program(function)).start(xs=[0, 1, 2]).run()
        assert done.outcome == "failed" and done.fault is not None and "only 1 of 3" in done.fault.message
        broken = False
        again = Simulation(program(function), store=done.store).resume(done.log).run()
        assert again.value == (3 if function is fragile else 6)
        assert not {path for path, _ in again.executed} & finished(done.log)


def test_a_failed_element_stops_what_goes_on_in_it() -> None:
    @tool
    def anything(xs: list[Any]) -> int:
        return len(xs)

    @tool
    def plus(a: float, b: int) -> float:
        return a + b

    @graph
    def element(x: int) -> float:
        return plus(a=inverse(x=x), b=double(x=double(x=x)))

    @graph
    def program(xs: list[int]) -> int:
        return anything(xs=element.using(gather=keep_ok(at_least=0)).each(x=xs))

    done = Simulation(program).start(xs=[0])
    done.turn()
    done.turn()
    assert done.cancelled == ["element[0]/double"]
    assert done.run().value == 0


def test_a_failure_elsewhere_fails_the_run() -> None:
    @graph
    def program(x: int) -> float:
        return inverse(x=x)

    done = Simulation(program).start(x=0).run()
    assert done.outcome == "failed" and done.fault is not None and done.fault.kind == "ZeroDivisionError"


def test_what_only_looks_like_a_list_fails_where_it_is_mapped() -> None:
    @tool
    def anything(x: int) -> Any:
        return x

    @graph
    def program(x: int) -> int:
        return total(xs=inc.each("x", x=anything(x=x)))

    done = Simulation(program).start(x=0).run()
    assert done.fault is not None and "not a list" in done.fault.message


# -------------------------------------------------------------------- graphs in graphs


def test_calls_in_a_graph_start_as_soon_as_their_own_inputs_are_known() -> None:
    @graph
    def inner(x: int, y: int) -> int:
        return add(a=inc(x=x), b=double(x=y))

    @graph
    def program(x: int) -> int:
        return inner(x=x, y=inc(x=x))

    done = Simulation(program).start(x=1)
    assert set(done.started) == {"inc", "inner/inc"}
    assert done.run().value == 6


def test_values_are_made_what_the_parameters_of_a_graph_say() -> None:
    @tool
    def anything(x: int) -> Any:
        return str(x)

    @tool
    def size(xs: Sequence[int]) -> int:
        return len(xs)

    @graph
    def inner(x: int, parts: Sequence[int] = (1,)) -> int:
        return add(a=x, b=size(xs=parts))

    @graph
    def program(x: int) -> int:
        return total(xs=[inner(x=anything(x=x)), total(xs=inner.each(x=[1, 2]))])

    assert ran(program, x=5)[0] == 6 + 2 + 3


def test_graphs_without_calls() -> None:
    @graph
    def same(x: int) -> int:
        return x

    @graph
    def constant(x: int) -> list[int]:
        return [1, 2]

    @graph
    def program(x: int) -> int:
        return total(xs=[same(x=same(x=x)), total(xs=constant(x=x)), total(xs=same.each(x=constant(x=x)))])

    assert ran(program, x=5)[0] == 11


@pytest.mark.parametrize("depth", [1_000])
def test_depth_is_no_limit(depth: int) -> None:
    inner: Any = inc
    for _ in range(depth):
        inner = trace(lambda x, inner=inner: inner(x=x), name="g", params=inc.params, returns=int)
    assert not check(inner) and simulate(inner, x=1) == 2

    def chained(x: int) -> int:
        for _ in range(depth):
            x = when(positive(x=x), inc(x=x), x)  # type: ignore[assignment]
        return x

    assert simulate(trace(chained), x=1) == depth + 1

    def nested(x: int) -> int:
        value: Any = x
        for _ in range(depth):
            value = when(positive(x=x), value, inc(x=x))
        return value  # type: ignore[no-any-return]

    assert simulate(trace(nested), x=1) == 1

    def mapped(xs: list[int]) -> int:
        for _ in range(depth):
            xs = inc.each(x=xs)
        return total(xs=xs)

    assert simulate(trace(mapped), xs=[1, 2]) == 3 + 2 * depth
