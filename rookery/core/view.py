"""What the events of a run amount to: one fold ``(view, event) → view`` that every screen, and the run itself, uses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rookery.core import event as ev

TAIL = 2000
"""Characters of a reply's text that a view keeps."""


@dataclass(slots=True)
class CallView:
    """One call as it stands."""

    call: str
    status: str = "running"
    """``running``, ``waiting`` (for a person), ``again`` (another attempt follows), ``done``, ``failed``, or ``stopped`` before its end."""
    attempts: int = 0
    started_at: float = 0.0
    ended_at: float = 0.0
    model: str = ""
    text: str = ""
    value: str = ""
    """Reference of its value."""
    spend: ev.Spend = ev.NOTHING_SPENT
    fault: ev.Fault | None = None
    cached: bool = False
    level: str = ""
    guided: ev.Report | None = None
    """What the rules of ``decode=`` did to its reply."""
    elements: int = 0


@dataclass(slots=True)
class TreeNode:
    """One node of a search's tree as it stands."""

    parent: int
    """The id of the node it came from; -1 for a root."""
    status: str
    """``open``, ``done`` (nothing more comes of it), ``answer``, ``pruned`` or ``failed``."""
    value: float | None
    """What the planner thinks of it; None: nothing yet."""
    label: str
    """Its state in a few words."""


@dataclass(slots=True)
class View:
    """A run as it stands after some of its events."""

    run: str = ""
    program: str = ""
    graph: str = ""
    """Reference of the graph's description."""
    status: str = "new"
    """``new``, ``running``, ``paused``, ``finished`` or ``failed``."""
    started_at: float = 0.0
    changed_at: float = 0.0
    inputs: dict[str, str] = field(default_factory=dict)
    """References of the program's inputs."""
    options: dict[str, Any] = field(default_factory=dict)
    """What it was started with and can be named: ``model``, ``limit`` (caps by name)."""
    made: dict[str, ev.CallMade] = field(default_factory=dict)
    """Calls that async code made, by path."""
    calls: dict[str, CallView] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    spend: ev.Spend = ev.NOTHING_SPENT
    paused: bool = False
    """Whether somebody paused it, over a restart too."""
    trees: dict[str, list[TreeNode]] = field(default_factory=dict)
    """By the path of its call, the tree that each search has grown; a node's place in the list is its id."""
    questions: dict[str, ev.QuestionAsked] = field(default_factory=dict)
    breakpoints: set[str] = field(default_factory=set)
    value: str = ""
    """Reference of the run's value, once it is finished."""
    fault: ev.Fault | None = None
    fault_call: str = ""
    events: int = 0
    executed_s: float = 0.0
    """Seconds in which some process was carrying the run out, up to the last event."""

    def attempts(self, call: str) -> int:
        """Attempts made at a call; 1 when it is not known."""
        found = self.calls.get(call)
        return max(1, found.attempts) if found else 1

    def failed_under(self, path: str) -> str:
        """The call that failed at ``path`` or in a part of it; ``path`` itself when none is known."""
        parts = (path + "/", path + "[", path + "#")
        return next((name for name, call in self.calls.items() if call.status == "failed" and (name == path or name.startswith(parts))), path)


def fold(view: View, event: ev.Event) -> View:
    """The view after one more event. The view given is used up: go on with the one that comes back."""
    kind = type(event)
    if kind is ev.CallText:
        call = _call(view, event.call)  # type: ignore[attr-defined]
        call.text = (call.text + event.text)[-TAIL:]  # type: ignore[attr-defined]
        return view
    view.events += 1
    if kind is not ev.RunResumed and kind is not ev.RunStarted:
        view.executed_s += max(0.0, event.at - view.changed_at)
    view.changed_at = event.at
    handler = _FOLDS.get(kind)
    if handler is not None:
        handler(view, event)
    return view


def _call(view: View, path: str) -> CallView:
    call = view.calls.get(path)
    if call is None:
        call = view.calls[path] = CallView(path)
        view.counts["running"] += 1
    return call


def _status(view: View, call: CallView, status: str) -> None:
    view.counts[call.status] -= 1
    view.counts[status] += 1
    call.status = status


def _run_started(view: View, event: ev.RunStarted) -> None:
    view.run, view.program, view.graph = event.run, event.program, event.graph
    view.started_at, view.status, view.inputs = event.at, "running", dict(event.inputs)
    view.options = event.options


def _made(view: View, event: ev.CallMade) -> None:
    view.made[event.call] = event


def _run_resumed(view: View, event: ev.RunResumed) -> None:
    view.status, view.fault, view.fault_call = "paused" if view.paused else "running", None, ""
    _stop(view, "running", "again")


def _stop(view: View, *statuses: str) -> None:
    """What was in flight is so no longer."""
    if any(view.counts[status] for status in statuses):
        for call in view.calls.values():
            if call.status in statuses:
                _status(view, call, "stopped")


def _call_started(view: View, event: ev.CallStarted) -> None:
    call = view.calls.get(event.call)
    if call is None:
        call = view.calls[event.call] = CallView(event.call, started_at=event.at, attempts=1, model=event.model)
        view.counts["running"] += 1
        return
    _status(view, call, "running")
    call.attempts += 1
    call.model, call.text, call.fault = event.model, "", None
    call.started_at = call.started_at or event.at


def _attempt_failed(view: View, event: ev.AttemptFailed) -> None:
    call = _call(view, event.call)
    call.fault = event.fault
    if not event.repair:
        _status(view, call, "again")
    _spend(view, call, event.spend)


def _spend(view: View, call: CallView, spend: ev.Spend) -> None:
    if spend is not ev.NOTHING_SPENT:
        call.spend = call.spend + spend
        view.spend = view.spend + spend


def _element(view: View, event: ev.ElementReady) -> None:
    _call(view, event.call).elements = event.index + 1


def _call_finished(view: View, event: ev.CallFinished) -> None:
    call = _call(view, event.call)
    _status(view, call, "done")
    call.ended_at, call.value, call.cached, call.level, call.fault = event.at, event.value, event.cached, event.level, None
    call.guided = event.guided
    if event.spend is not ev.NOTHING_SPENT:
        _spend(view, call, event.spend)


def _call_failed(view: View, event: ev.CallFailed) -> None:
    call = _call(view, event.call)
    _status(view, call, "failed")
    call.ended_at, call.fault = event.at, event.fault
    _spend(view, call, event.spend)


def _tree_grown(view: View, event: ev.TreeGrown) -> None:
    tree = view.trees.setdefault(event.call, [])
    for number, parent, status, value, label in event.nodes:
        if number == 0 and label:
            tree.clear()
        if number == len(tree):
            tree.append(TreeNode(parent, status, value, label))
        elif number < len(tree):
            node = tree[number]
            node.parent, node.status, node.value, node.label = parent, status, value, label or node.label


def _asked(view: View, event: ev.QuestionAsked) -> None:
    call = _call(view, event.call)
    _status(view, call, "waiting")
    call.started_at = event.at
    view.questions[event.call] = event


def _answered(view: View, event: ev.QuestionAnswered) -> None:
    view.questions.pop(event.call, None)
    call = _call(view, event.call)
    _status(view, call, "done")
    call.ended_at, call.value = event.at, event.value


def _hit(view: View, event: ev.BreakpointHit) -> None:
    _status(view, _call(view, event.call), "waiting")


def _breakpoint(view: View, event: ev.BreakpointSet) -> None:
    (view.breakpoints.add if event.on else view.breakpoints.discard)(event.place)


def _edited(view: View, event: ev.VariableEdited) -> None:
    view.status, view.fault, view.fault_call = "paused" if view.paused else "running", None, ""
    view.questions.pop(event.variable, None)
    if event.variable.startswith("inputs."):
        view.inputs[event.variable.removeprefix("inputs.")] = event.value
    call = view.calls.get(event.variable)
    if call is not None:
        _status(view, call, "done")
        call.value = event.value


def _paused(view: View, event: ev.RunPaused) -> None:
    view.paused = True
    if view.status == "running":
        view.status = "paused"


def _continued(view: View, event: ev.RunContinued) -> None:
    if event.call:
        return
    view.paused = False
    if view.status == "paused":
        view.status = "running"


def _cancelled(view: View, event: ev.CancelAsked) -> None:
    call = view.calls.get(event.call)
    view.questions.pop(event.call, None)
    if call is not None and call.status in ("running", "again", "waiting"):
        _status(view, call, "stopped")


def _finished(view: View, event: ev.RunFinished) -> None:
    view.status, view.value = "finished", event.value
    view.questions.clear()
    _stop(view, "running", "again", "waiting")


def _run_failed(view: View, event: ev.RunFailed) -> None:
    view.status, view.fault, view.fault_call = "failed", event.fault, event.call
    _stop(view, "running", "again")


_FOLDS: dict[type[ev.Event], Callable[[View, Any], None]] = {
    ev.RunStarted: _run_started,
    ev.RunResumed: _run_resumed,
    ev.CallMade: _made,
    ev.CallStarted: _call_started,
    ev.AttemptFailed: _attempt_failed,
    ev.ElementReady: _element,
    ev.CallFinished: _call_finished,
    ev.CallFailed: _call_failed,
    ev.TreeGrown: _tree_grown,
    ev.QuestionAsked: _asked,
    ev.QuestionAnswered: _answered,
    ev.BreakpointHit: _hit,
    ev.BreakpointSet: _breakpoint,
    ev.VariableEdited: _edited,
    ev.RunPaused: _paused,
    ev.RunContinued: _continued,
    ev.CancelAsked: _cancelled,
    ev.RunFinished: _finished,
    ev.RunFailed: _run_failed,
}
