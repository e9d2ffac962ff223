"""The schedule as a whole: any order gives the same value, and a log cut anywhere can be taken up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rookery import ask, graph, keep_ok, loop, tool
from rookery.core import event as ev
from rookery.core.function import program
from rookery.core.graph import Call, Const, Graph, Many, Param, Ref
from rookery.core.schedule import adopt, offer
from tests.core.random_graphs import FILL, add, computed, inc, made, programs, total, upto
from tests.simulation import Simulation, finished

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@tool
def halved(x: int) -> int:
    return x // 2


def chooser(data: st.DataObject) -> Any:
    random = data.draw(st.randoms(use_true_random=False))
    return lambda count: random.randrange(count)


def simulation(steps: Any, store: dict[str, bytes] | None = None) -> Simulation:
    return Simulation(made(steps), fill=FILL, store=store)


@quick
@given(programs, st.integers(0, 5), st.data())
def test_any_order_gives_the_same_value_and_carries_each_call_out_once(steps: Any, x: int, data: Any) -> None:
    run = simulation(steps).start(x=x).run(chooser(data))
    assert (run.outcome, run.value) == ("finished", computed(steps, x))
    paths = [path for path, _ in run.executed]
    assert len(paths) == len(set(paths)) and not run.active


@quick
@given(programs, st.integers(0, 5), st.data())
def test_a_log_cut_anywhere_is_taken_up_and_nothing_finished_runs_again(steps: Any, x: int, data: Any) -> None:
    run = simulation(steps).start(x=x).run(chooser(data))
    log = run.log
    cuts = range(1, len(log) + 1) if len(log) < 12 else data.draw(st.lists(st.integers(1, len(log)), min_size=5, max_size=5, unique=True))
    for cut in cuts:
        again = simulation(steps, dict(run.store)).resume(log[:cut]).run(chooser(data))
        assert (again.outcome, again.value) == ("finished", run.value), cut
        assert not {path for path, _ in again.executed} & finished(log[:cut]), cut
        assert {path for path, _ in again.executed} | finished(log[:cut]) == {path for path, _ in run.executed}, cut


# -------------------------------------------------------------------- edits


def editable(run: Simulation) -> list[str]:
    """Variables of numbers, truths and lists of numbers; not those inside a call that is not known when the run begins."""
    return [
        "inputs.x",
        *(path for path, node in run.state.nodes.items() if path != "output" and node.kind in ("tool", "prompt", "ask", "each", "loop", "when")),
    ]


def other_value(run: Simulation, path: str, number: int) -> Any:
    type_ = int if path == "inputs.x" else run.state.nodes[path].codec.type
    return {bool: number % 2 == 0, int: number, type(None): None}.get(type_, [number, number + 1])


def edited_from_the_start(steps: Any, x: int, edits: dict[str, Any]) -> Any:
    """What the program gives when the variables have these values from the start."""
    whole = simulation(steps).start(x=x).run()
    run = simulation(steps)
    run.start(x=x)
    for path, value in edits.items():
        type_ = int if path == "inputs.x" else whole.state.nodes[path].codec if path in whole.state.nodes else None
        assert type_ is not None
        codec_ = whole.state.inputs["x"].codec if path == "inputs.x" else whole.state.nodes[path].codec
        run.post(ev.VariableEdited(0.0, path, run.state.writer.write(value, codec_)))
    return run.run().value


@quick
@given(programs, st.integers(0, 5), st.integers(0, 5), st.integers(0, 60), st.data())
def test_an_edit_at_any_time_gives_what_the_program_gives_with_it_from_the_start(steps: Any, x: int, number: int, turns: int, data: Any) -> None:
    choose = chooser(data)
    run = simulation(steps).start(x=x).run(choose, most=turns)
    path = data.draw(st.sampled_from(editable(run)))
    value = other_value(run, path, number)
    before = list(run.executed)
    cut = len(run.log) + 1
    run.edit(path, value)
    run.run(choose)
    assert run.outcome == "finished"
    assert run.value == edited_from_the_start(steps, x, {path: value})
    repeated = set(before) & set(run.executed[len(before) :])
    assert not repeated, f"carried out again on the same arguments: {repeated}"
    for place in {cut - 1, cut, (cut + len(run.log)) // 2, len(run.log)}:
        again = simulation(steps, dict(run.store)).resume(run.log[:place]).run(choose)
        assert again.value == (run.value if place >= cut else computed(steps, x)), (place, cut)
        assert not set(again.executed) & set(before if place < cut else run.executed[: len(before)]), (place, cut)


def test_an_edit_runs_only_the_cone_and_stops_where_nothing_has_changed() -> None:
    @graph
    def program(x: int, y: int) -> int:
        parity = inc(x=halved(x=x))
        return add(a=add(a=parity, b=inc(x=y)), b=inc(x=parity))

    run = Simulation(program).start(x=4, y=1).run()
    assert run.value == 3 + 2 + 4
    run.edit("inputs.x", 5)  # half of it is the same
    run.run()
    assert run.value == 9 and run.executed[6:] == [("halved", "[('x', 5)]")]
    run.edit("inc", 10)
    run.run()
    assert run.value == 10 + 2 + 11
    assert sorted(path for path, _ in run.executed[7:]) == ["add", "add_2", "inc_3"]


def test_an_element_a_turn_an_answer_and_an_initial_value_can_be_edited() -> None:
    @graph
    def program(n: int, start: int) -> int:
        told = ask(int, "?", show=n)
        looped = loop(inc, x=start, times=3)
        return total(xs=[total(xs=inc.each(x=inc.each(x=upto(n=n)))), told, looped])  # type: ignore[list-item]

    run = Simulation(program).start(n=3, start=0).run()
    assert run.value == 2 + 3 + 4 + 3 + 3
    for variable, value, change, calls in (
        ("inc_2[1]", 100, 98, ["inc_3[1]", "total", "total_2"]),
        ("ask", 10, 7, ["total_2"]),
        ("inc#1/inc", 10, 8, ["inc#2/inc", "total_2"]),
        ("inputs.start", 5, 0, ["inc#0/inc"]),  # the second turn is still what was set by hand
        ("upto", [0, 1], -4, ["total", "total_2"]),
    ):
        before, known = run.value, len(run.executed)
        run.edit(variable, value)
        run.run()
        assert (run.outcome, run.value) == ("finished", before + change), variable
        assert sorted(path for path, _ in run.executed[known:]) == calls, variable
    again = Simulation(program, store=run.store).resume(run.log).run()
    assert again.value == run.value and not again.executed


def test_calls_in_flight_go_on_through_an_edit_that_is_not_theirs() -> None:
    @graph
    def program(x: int, y: int) -> int:
        return add(a=inc(x=x), b=inc(x=y))

    run = Simulation(program).start(x=1, y=1)
    run.turn()  # inc is started
    run.edit("inputs.y", 5)
    assert run.cancelled == ["inc_2"] and run.started == ["inc", "inc_2", "inc_2"]
    assert run.run().value == 2 + 6


def test_what_a_cancelled_call_still_says_is_not_heard() -> None:
    @graph
    def program(x: int) -> int:
        return inc(x=inc(x=x))

    run = Simulation(program).start(x=1)
    run.turn()
    run.edit("inputs.x", 5)
    run.post(ev.CallFinished(0.0, "inc", "=2"))  # the old one
    run.post(ev.CallFailed(0.0, "inc", ev.Fault("X", "x")))
    assert run.run().value == 7
    assert Simulation(program, store=run.store).resume(run.log).run().value == 7


def test_a_call_may_be_given_its_value_before_its_inputs_are_known() -> None:
    @graph
    def program(x: int) -> int:
        return inc(x=inc(x=inc(x=x)))

    run = Simulation(program).start(x=1)
    run.edit("inc_2", 10)
    assert "inc_3" in run.started and run.run().value == 11


def test_an_edit_of_what_is_not_there_changes_nothing() -> None:
    run = Simulation(made((("inc", 0),))).start(x=1)
    run.post(ev.VariableEdited(0.0, "nowhere", "=1"))
    assert run.run().value == computed((("inc", 0),), 1)


# -------------------------------------------------------------------- pauses, breakpoints, cancelling


def pair() -> Simulation:
    @graph
    def program(x: int) -> int:
        return add(a=total(xs=inc.each(x=upto(n=x))), b=inc(x=inc(x=x)))

    return Simulation(program)


def test_in_a_pause_nothing_starts_and_what_is_in_flight_ends() -> None:
    run = pair().start(x=2)
    run.turn()
    run.post(ev.RunPaused(0.0))
    run.run()
    assert sorted(run.started) == ["inc_2", "upto"] and not run.active and not run.outcome
    later = Simulation(run.graph, store=run.store).resume(run.log).run()
    assert not later.started  # it is still paused
    later.post(ev.RunContinued(0.0))
    assert later.run().value == 1 + 2 + 4


def test_after_a_crash_in_a_pause_nothing_is_started_until_it_is_over() -> None:
    run = pair().start(x=2)
    run.turn()
    run.post(ev.RunPaused(0.0))
    later = Simulation(run.graph, store=run.store).resume(run.log).run()
    assert not later.started
    later.post(ev.RunContinued(0.0, call="upto"))
    assert later.started == ["upto"]
    later.post(ev.RunContinued(0.0))
    assert later.run().value == 7


@pytest.mark.parametrize(
    ("place", "held"),
    [("inc_2", ["inc_2"]), ("inc", ["inc[0]", "inc[1]"]), ("inc[1]", ["inc[1]"]), ("upto", ["upto"]), ("inputs.x", ["upto", "inc_2"])],
)
def test_a_breakpoint_is_on_a_call_its_parts_or_a_variable(place: str, held: list[str]) -> None:
    run = pair()
    run.state.breakpoints.add(place)  # set before anything has started
    run.start(x=2).run()
    assert sorted(run.hits) == sorted(held) and not run.outcome
    while run.state.held_back:
        run.post(ev.RunContinued(0.0, call=run.state.held_back[0].path))
        run.run()
    assert run.value == 7


def test_who_lets_a_variable_pass_lets_its_readers_pass() -> None:
    run = pair().start(x=2)
    run.post(ev.BreakpointSet(0.0, "inc"))
    run.run()
    assert sorted(run.hits) == ["inc[0]", "inc[1]"]
    run.post(ev.RunContinued(0.0, call="inc[0]"))
    assert sorted(path for path in run.started if "[" in path) == ["inc[0]"]
    run.post(ev.RunContinued(0.0, call="inc"))
    assert run.run().value == 7 and len(run.hits) == 2


def test_a_breakpoint_holds_over_a_restart_and_is_said_once() -> None:
    run = pair().start(x=2)
    run.post(ev.BreakpointSet(0.0, "add"))
    run.run()
    assert run.hits == ["add"]
    later = Simulation(run.graph, store=run.store).resume(run.log).run()
    assert not later.hits and not later.started
    cut = next(i for i, event in enumerate(run.log) if isinstance(event, ev.BreakpointHit))
    assert Simulation(run.graph, store=run.store).resume(run.log[:cut]).hits == ["add"]
    later.post(ev.BreakpointSet(0.0, "add", False))
    assert not later.started  # one that waits goes on when it is told to
    later.post(ev.RunContinued(0.0, call="add"))
    assert later.run().value == 7


def test_a_call_may_be_let_past_its_breakpoint_ahead_and_stops_again_after_an_edit() -> None:
    run = pair().start(x=2)
    run.post(ev.BreakpointSet(0.0, "add"))
    run.post(ev.RunContinued(0.0, call="add"))
    assert run.run().value == 7
    run.edit("inputs.x", 3)
    run.run()
    assert run.hits == ["add"] and not run.outcome


def test_cancelling_a_call_fails_the_run_and_a_new_start_goes_on() -> None:
    for call in ("upto", "inc", "inc[1]", "add", "inc_3"):
        run = pair().start(x=2)
        while not (call in run.state.nodes and (call != "inc" or "inc[0]" in run.active)):
            run.turn()
        run.post(ev.CancelAsked(0.0, call, "me"))
        assert run.outcome == "failed" and run.fault is not None and (run.fault.kind, run.fault.message) == ("RunCancelled", "cancelled by me")
        later = Simulation(run.graph, store=run.store).resume(run.log).run()
        assert later.value == 7 and not {path for path, _ in later.executed} & finished(run.log)


def test_cancelling_the_run() -> None:
    run = pair().start(x=2)
    run.post(ev.CancelAsked(0.0))
    assert run.outcome == "failed" and Simulation(run.graph, store=run.store).resume(run.log).run().value == 7


def test_cancelling_an_element_of_a_map_that_allows_it() -> None:
    @graph
    def program(x: int) -> int:
        return total(xs=inc.using(gather=keep_ok()).each(x=upto(n=x)))

    run = Simulation(program).start(x=3)
    run.turn(), run.turn()
    run.post(ev.CancelAsked(0.0, "inc[0]"))
    assert run.cancelled == ["inc[0]"] and run.run().value == 2 + 3
    run.post(ev.CancelAsked(0.0, "inc[1]"))  # it is done: nothing to cancel
    run.post(ev.CancelAsked(0.0, "nowhere"))
    assert run.outcome == "finished"


# -------------------------------------------------------------------- calls that async code makes


async def _host(x: int) -> int:
    return 0


def host() -> Graph:
    made_of = program(_host)
    call = Call("main", "program", int, {"x": Ref("inputs.x")}, function=made_of)
    return Graph("main", inputs={"x": Param("x", int)}, calls=[call], output=Ref("main"), returns=int)


def single(name: str, function: Any, args: dict[str, Any], kind: Any = "tool", **more: Any) -> Graph:
    inputs = {key: Param(key, int) for key, source in args.items() if isinstance(source, Ref)}
    type_ = list[int] if kind == "each" else function.returns
    return Graph(name, inputs=inputs, calls=[Call(name, kind, type_, args, function=function, **more)], output=Ref(name), returns=type_)


def make(run: Simulation, name: str, function: Any, args: dict[str, Any], inputs: dict[str, Any] | None = None, **more: Any) -> None:
    offer(run.state, f"main/{name}", single(name, function, args, **more), inputs or {})
    if f"main/{name}" in run.state.made:
        for command in adopt(run.state, f"main/{name}"):
            run.do(command.verb, command.node, command.fault)
    else:
        run.post(ev.CallMade(0.0, f"main/{name}", name))


def hosted(run: Simulation) -> Simulation:
    if "main" not in run.begun:
        run.begun.add("main")
        run.post(ev.CallStarted(0.0, "main"))
    make(run, "inc", inc, {"x": Const(1)})
    make(run, "add", add, {"a": Ref("inputs.a"), "b": Const(1)}, {"a": (Ref("main/inc"), int)})
    make(run, "upto", inc, {"x": Const([1, 2])}, kind="each", over=("x",))
    run.active.pop("main", None)  # the code itself waits for what it has made
    return run


def test_calls_made_by_code_are_found_again_after_a_restart() -> None:
    run = hosted(Simulation(host()).start(x=1)).run()
    assert {path for path, _ in run.executed} == {"main/inc", "main/add", "main/upto[0]", "main/upto[1]"}
    assert run.state.nodes["main/add"].ref == "=3"
    for cut in range(2, len(run.log) + 1):
        again = Simulation(host(), store=dict(run.store)).resume(run.log[:cut])
        hosted(again).run()
        assert again.state.nodes["main/add"].ref == "=3" and again.state.nodes["main/upto"].done, cut
        assert not {path for path, _ in again.executed} & finished(run.log[:cut]), cut
        assert not again.state.stash


def test_an_edit_of_a_call_made_by_code_starts_the_code_again() -> None:
    run = hosted(Simulation(host()).start(x=1)).run()
    run.edit("main/inc", 10)
    assert "main" in run.cancelled or "main" in run.started[1:]
    known = len(run.executed)
    hosted(run).run()
    assert run.state.nodes["main/add"].ref == "=11" and [path for path, _ in run.executed[known:]] == ["main/add"]


def test_an_edit_elsewhere_leaves_code_and_its_calls_alone() -> None:
    outer = host()
    calls = [*outer.call_list, Call("inc", "tool", int, {"x": Ref("inputs.y")}, function=inc)]
    inputs = {**outer.params, "y": Param("y", int)}
    run = hosted(
        Simulation(Graph("g", inputs=inputs, calls=calls, output=Many("list", (Ref("main"), Ref("inc"))), returns=list[int])).start(x=1, y=1)
    )
    run.active["main"] = run.state.nodes["main"]
    run.turn(lambda count: 1)
    before = set(run.active) - {"inc"}
    run.edit("inputs.y", 5)
    assert set(run.active) - {"inc"} == before and "main" not in run.cancelled and run.started.count("main") == 1
    assert {"main/inc", "main/add", "main/upto"} <= set(run.state.nodes)


def test_a_failure_is_told_to_the_code_that_made_the_call() -> None:
    run = hosted(Simulation(host()).start(x=1))
    run.state.watched.add("main/upto")
    told: list[str] = []
    do = run.do
    run.do = lambda verb, node, fault: told.append(node.path) if verb == "tell" else do(verb, node, fault)  # type: ignore[method-assign]
    run.post(ev.CallStarted(0.0, "main/upto[0]"))
    run.post(ev.CallFailed(0.0, "main/upto[0]", ev.Fault("X", "x")))
    assert told == ["main/upto"] and run.state.faults["main/upto"].message == "x" and not run.outcome
    assert "main/upto[1]" in run.cancelled
