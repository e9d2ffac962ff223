"""The fold of a run's events: no prefix makes it fail, and its counts are those of its calls."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.core import event as ev
from rookery.core.event import Fault
from rookery.core.spend import Spend
from rookery.core.view import TAIL, View, fold
from tests.core.random_graphs import FILL, made, programs
from tests.core.test_event import VALUES
from tests.simulation import Simulation, finished

few = st.sampled_from(["a", "b", "c[0]", "c"])
PLACES = {"call": few, "variable": few, "place": few}


def of(kind: type[ev.Event]) -> st.SearchStrategy[ev.Event]:
    from dataclasses import fields

    return st.fixed_dictionaries({f.name: PLACES.get(f.name, VALUES[f.type]) for f in fields(kind) if f.name != "held"}).map(
        lambda values: kind(**values)
    )


def folded(log: list[ev.Event]) -> View:
    view = View()
    for event in log:
        view = fold(view, event)
        assert +view.counts == Counter(call.status for call in view.calls.values())
    return view


@settings(deadline=None)
@given(st.lists(st.one_of([of(kind) for kind in ev.KINDS]), max_size=30))
def test_no_events_in_whatever_order_make_it_fail(log: list[ev.Event]) -> None:
    view = folded(log)
    assert view.events == sum(not isinstance(event, ev.CallText) for event in log)
    assert view.executed_s >= 0


@settings(deadline=None, max_examples=30)
@given(programs, st.integers(0, 3))
def test_a_whole_run(steps: Any, x: int) -> None:
    run = Simulation(made(steps), fill=FILL).start(x=x).run()
    view = folded(run.log)
    assert view.status == "finished" and {name for name, call in view.calls.items() if call.status == "done"} == finished(run.log)
    assert not view.questions and set(view.counts + Counter()) <= {"done"}


def test_a_call_from_start_to_end() -> None:
    view = folded([
        ev.RunStarted(1.0, "r", "p", "#g"), ev.CallStarted(2.0, "a", 1, "m"), ev.CallText(2.5, "a", "x" * 3000),
        ev.AttemptFailed(3.0, "a", 1, Fault("ModelBusy", "busy"), 1.0, "m", Spend(5, 0, 0, None, 1)),
    ])  # fmt: skip
    call = view.calls["a"]
    assert (call.status, call.attempts, len(call.text)) == ("again", 1, TAIL) and call.fault is not None
    view = fold(view, ev.CallStarted(4.0, "a", 2, "n"))
    assert (call.status, call.attempts, call.model, call.text, call.fault) == ("running", 2, "n", "", None)
    view = fold(view, ev.CallFinished(5.0, "a", "=1", spend=Spend(1, 1, 0, 0.5, 1), cached=True, level="validate"))
    assert (call.status, call.value, call.spend, call.cached, call.level) == ("done", "=1", Spend(6, 1, 0, 0.5, 2), True, "validate")
    assert view.spend == call.spend and view.attempts("a") == 2 and view.attempts("b") == 1 and (call.started_at, call.ended_at) == (2.0, 5.0)


def test_a_pause_lasts_over_a_restart_and_an_edit() -> None:
    view = folded([ev.RunStarted(0.0, "r", "p", "#g"), ev.RunPaused(0.0), ev.RunResumed(0.0, "x"), ev.VariableEdited(0.0, "a", "=1")])
    assert view.status == "paused"
    assert fold(view, ev.RunContinued(0.0, call="a")).status == "paused"
    assert fold(view, ev.RunContinued(0.0)).status == "running"


def test_what_was_in_flight_is_stopped_by_a_crash_a_failure_a_cancel_and_the_end() -> None:
    running = [ev.RunStarted(0.0, "r", "p", "#g"), ev.CallStarted(0.0, "a"), ev.CallStarted(0.0, "b")]
    for event in (ev.RunResumed(0.0, "x"), ev.RunFailed(0.0, Fault("X", "x"), "b"), ev.RunFinished(0.0, "=1")):
        assert {call.status for call in folded([*running, event]).calls.values()} == {"stopped"}
    assert folded([*running, ev.CancelAsked(0.0, "a")]).calls["a"].status == "stopped"


def test_questions_and_breakpoints() -> None:
    asked = [ev.RunStarted(0.0, "r", "p", "#g"), ev.QuestionAsked(1.0, "a", "ok?", {}), ev.BreakpointSet(1.0, "b")]
    view = folded(asked)
    assert set(view.questions) == {"a"} and view.calls["a"].status == "waiting" and view.breakpoints == {"b"}
    assert folded([*asked, ev.QuestionAnswered(2.0, "a", "=true")]).calls["a"].value == "=true"
    assert not folded([*asked, ev.VariableEdited(2.0, "a", "=true")]).questions
    assert not folded([*asked, ev.BreakpointSet(2.0, "b", False)]).breakpoints


def test_only_time_in_which_somebody_carried_it_out_counts() -> None:
    view = folded([ev.RunStarted(10.0, "r", "p", "#g"), ev.CallStarted(11.0, "a"), ev.RunResumed(100.0, "x"), ev.CallStarted(101.5, "a")])
    assert view.executed_s == 2.5


def test_the_call_that_failed_inside_another() -> None:
    view = folded([ev.CallFailed(0.0, "a[1]/b", Fault("X", "x")), ev.CallFinished(0.0, "a[0]", "=1")])
    assert view.failed_under("a") == "a[1]/b" and view.failed_under("b") == "b"
