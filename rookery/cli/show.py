"""What a log holds, for people and as JSON: the list of runs, and one run with its calls, faults and open questions."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from rookery.cli import out
from rookery.cli.asking import expected, plainly
from rookery.cli.drive import Manner, spend_data
from rookery.cli.steer import found, opened, view_of
from rookery.core.event import Event, to_wire
from rookery.core.value import plain
from rookery.core.view import CallView, View
from rookery.engine.log import RunInfo
from rookery.engine.sqlite import SQLiteLog

MANY = 60
"""So many calls are listed unless all are asked for."""
CONVERSATION = "conversation"
"""The program of a conversation with an agent (``rookery.agents.conversation``)."""
MANY_TREES = 3
"""Of so many searches the tree is drawn unless all are asked for."""


def state_of(info: RunInfo) -> str:
    """``running``, ``stopped`` (in mid-run; it can be resumed), ``finished`` or ``failed``."""
    return "stopped" if info.state == "running" and not info.owner else info.state


def runs(path: Path, *, as_json: bool) -> None:
    """List the runs of a log, newest first."""
    infos: list[RunInfo] = []
    if path.exists():
        with opened(path) as log:
            infos = log.runs()
    if as_json:
        listed = [
            {"run": info.run, "program": info.program, "state": state_of(info), "started_at": info.started_at, "changed_at": info.changed_at,
             "parent": info.parent, "owner": info.owner}
            for info in infos
        ]
        out.say_json({"log": str(path), "runs": listed})
        return
    if not infos:
        out.note(f"no runs in {path}" if path.exists() else f"no runs yet: there is no log {path}")
        return
    width = max(len(info.run) for info in infos)
    for info in infos:
        seconds = f"{max(0.0, info.changed_at - info.started_at):,.1f} s" if state_of(info) in ("finished", "failed") else ""
        forked = f"  forked from {info.parent}" if info.parent else ""
        out.say(f"{info.run:<{width}}  {state_of(info):<8}  {_when(info.started_at)}  {seconds:>9}  {info.program}{forked}".rstrip())


def show(path: Path, name: str, *, as_json: bool, events: bool, mermaid: bool, every: bool) -> None:
    """One run: its calls, what it used, its value, what went wrong, and what it waits for."""
    with opened(path) as log:
        info = found(log, name)
        if events:
            _events(log, info.run, as_json=as_json)
            return
        view = view_of(log, info.run)
        if mermaid:
            _chart(log, info, view, as_json=as_json)
        elif as_json:
            out.say_json(_data(log, info, view))
        else:
            for line in _lines(log, info, view, Manner(path), every=every):
                out.say(line)


def _chart(log: SQLiteLog, info: RunInfo, view: View, *, as_json: bool) -> None:
    from rookery.core import layout
    from rookery.planners.draw import mermaid
    from rookery.planners.draw import plain as on_one_line

    picture = layout.mermaid(plain(view.graph, log.get), view=view)
    trees = {call: mermaid(tree) for call, tree in view.trees.items()}
    if as_json:
        out.say_json({"run": info.run, "mermaid": picture, "trees": trees})
        return
    out.say(picture)
    for call, chart in trees.items():
        out.say(f"\n%% the search tree of {on_one_line(call)}\n{chart}")


def _events(log: SQLiteLog, run: str, *, as_json: bool) -> None:
    found = log.read(run)
    if as_json:
        out.say_json({"run": run, "events": [_event_data(event) for event in found]})
        return
    first = found[0].at if found else 0.0
    for event in found:
        words = " ".join(f"{name}={value if isinstance(value, str) else json.dumps(value, default=str)}" for name, value in _event_fields(event))
        out.say(f"+{event.at - first:9.3f}s  {type(event).__name__:<16}  {words}".rstrip())


def _event_data(event: Event) -> dict[str, Any]:
    return {"event": type(event).__name__, "at": event.at, "fields": json.loads(to_wire(event))[2:]}


def _event_fields(event: Event) -> Iterator[tuple[str, Any]]:
    for field in fields(event):
        value = getattr(event, field.name)
        if field.name in ("at", "held", "schema") or value in (None, "", 0, 0.0, False) or value == field.default:
            continue
        if isinstance(value, frozenset):
            value = sorted(value)
        yield field.name, value if not hasattr(value, "__dataclass_fields__") else _short(str(getattr(value, "message", "") or _spend(value)), 120)


def _data(log: SQLiteLog, info: RunInfo, view: View) -> dict[str, Any]:
    return {
        "run": info.run, "program": view.program, "status": _status(info, view), "parent": info.parent,
        "started_at": view.started_at, "changed_at": view.changed_at, "seconds": round(view.executed_s, 3), **spend_data(view.spend),
        "value": plain(view.value, log.get) if view.value else None,
        "fault": _fault_data(view.fault, view.fault_call),
        "questions": [{"call": call, "question": asked.question, "schema": asked.schema} for call, asked in view.questions.items()],
        "breakpoints": sorted(view.breakpoints),
        "calls": [_call_data(call) for call in view.calls.values()],
        "trees": {
            call: [{"parent": node.parent, "status": node.status, "value": node.value, "label": node.label} for node in tree]
            for call, tree in view.trees.items()
        },
    }


def _call_data(call: CallView) -> dict[str, Any]:
    return {
        "call": call.call, "status": call.status, "attempts": call.attempts, "seconds": round(_seconds(call), 3), "model": call.model,
        "cached": call.cached, "value": call.value, "level": call.level, "decode": call.guided and call.guided.plain(),
        "fault": _fault_data(call.fault, call.call), **spend_data(call.spend),
    }


def _fault_data(fault: Any, call: str) -> dict[str, Any] | None:
    return {"call": call, "kind": fault.kind, "message": fault.message, "hint": fault.hint} if fault is not None else None


def _status(info: RunInfo, view: View) -> str:
    return "waiting" if view.questions and view.status == "running" else state_of(info)


def _lines(log: SQLiteLog, info: RunInfo, view: View, manner: Manner, *, every: bool) -> Iterator[str]:
    yield f"run      {info.run}  {_status(info, view)}" + (f", carried out by {info.owner}" if info.owner else "")
    yield f"program  {view.program}" + (f"  (forked from {info.parent})" if info.parent else "")
    used = [f"{len(view.calls):,} calls", *([f"{view.spend.calls:,} requests"] if view.spend.calls else []), _spend(view.spend)]
    yield f"started  {_when(view.started_at)}, {view.executed_s:,.2f} s, {', '.join(word for word in used if word)}"
    calls = list(view.calls.values())
    shown = calls if every or len(calls) <= MANY else [call for call in calls if call.status != "done"][:MANY] or calls[:MANY]
    width = min(48, max((len(call.call) for call in shown), default=0))
    for call in shown:
        yield _call_line(log, call, width)
    if len(shown) < len(calls):
        yield f"  … {len(calls) - len(shown):,} more; --all lists them"
    yield from _trees(view, every=every)
    yield from _said(log, view, every=every)
    if view.value:
        yield "value"
        yield from (f"  {line}" for line in plainly(_without_tree(plain(view.value, log.get))).splitlines())
    if view.fault is not None:
        yield f"fault    {f'{view.fault_call}: ' if view.fault_call and view.fault_call not in view.fault.message else ''}{view.fault.message}"
        if view.fault.hint:
            yield f"  → {view.fault.hint}"
    for name, asked in view.questions.items():
        yield f"asks     {name}: {asked.question} ({expected(asked.schema)})"
        yield f"  → {manner.command('answer', info.run, name, 'VALUE')}"
    if view.breakpoints:
        yield f"stops at {', '.join(sorted(view.breakpoints))}"
    if _status(info, view) in ("stopped", "failed", "waiting") and not info.owner:
        yield f"  → {manner.command('resume', info.run)}"


def _call_line(log: SQLiteLog, call: CallView, width: int) -> str:
    words = [word for word in (_spend(call.spend), call.model, "cached" if call.cached else "",
                               call.guided.line if call.guided else "", f"{call.attempts} attempts" if call.attempts > 1 else "") if word]
    line = f"  {call.call:<{width}}  {call.status:<7}  {_seconds(call):7.2f} s"
    if call.fault is not None and call.status != "done":
        words.append(call.fault.message)
    elif call.value:
        words.append("= " + _short(json.dumps(plain(call.value, log.get), ensure_ascii=False), 60))
    return f"{line}  {'  '.join(words)}".rstrip()


def _without_tree(value: Any) -> Any:
    """What a search gave without its tree, which stands drawn above."""
    tree = value.get("tree") if isinstance(value, dict) else None
    return {**value, "tree": "(drawn above)"} if isinstance(tree, dict) and set(tree) == {"columns"} else value


def _trees(view: View, *, every: bool) -> Iterator[str]:
    from rookery.planners.draw import draw

    width = shutil.get_terminal_size((100, 40)).columns - 2
    trees = list(view.trees.items())
    for call, tree in trees if every else trees[:MANY_TREES]:
        yield f"search   {call}"
        yield from (f"  {line}" for line in draw(tree, width=width, max_nodes=MANY if every else 30).splitlines())
    if len(trees) > MANY_TREES and not every:
        yield f"  … {len(trees) - MANY_TREES:,} more searches; --all draws them"


def _said(log: SQLiteLog, view: View, *, every: bool) -> Iterator[str]:
    """What was said in a conversation, the latest of it; without what a terminal would obey."""
    from rookery.planners.draw import plain as harmless

    said: list[tuple[str, str]] = []
    for call in view.calls.values():
        host, _, leaf = call.call.rpartition("/")
        if host != CONVERSATION or not call.value or leaf.partition("~")[0] == "remember":
            continue
        value = plain(call.value, log.get)
        name = leaf.partition("~")[0]
        said.append(("you", str(value)) if name == "ask" else (name, str(value.get("text", "")) if isinstance(value, dict) else str(value)))
    if said:
        yield "said" + (f"     (the last {MANY} of {len(said):,}; --all lists them)" if len(said) > MANY and not every else "")
    for who, text in said if every else said[-MANY:]:
        first, *rest = [harmless(line) for line in text.splitlines()] or [""]
        yield f"  {who}: {first}"
        yield from (f"    {line}" for line in rest)


def _seconds(call: CallView) -> float:
    return max(0.0, call.ended_at - call.started_at) if call.ended_at and call.started_at else 0.0


def _spend(spend: Any) -> str:
    from rookery.tui.progress import money

    return ", ".join(word for word in (f"{spend.tokens:,} tokens" if spend.tokens else "", money(spend.cost_usd)) if word)


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _short(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
