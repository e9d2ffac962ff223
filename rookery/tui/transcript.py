"""A run told as a conversation: what people said and were asked, what models answered, which tools were called. Knows no screen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from rookery.core import event as ev
from rookery.core.argument import UNKNOWN
from rookery.tui import ink
from rookery.tui.answer import plain_json
from rookery.tui.watch import Watch

Speaker = Literal["person", "model", "tool", "asks", "run"]
MOST = 4_000
"""So many of the last events are told."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing that was said or done."""

    who: Speaker
    call: str
    title: str
    """A line that says what it is."""
    text: str
    """In full."""
    status: str = "done"
    is_open: bool = True
    """Whether all of it is shown unless a person says otherwise."""


Told = dict[str, tuple[Any, Turn | None]]
"""Turns that have been told already, by call, each with how the call stood; whoever shows a run again and again keeps it."""


def turns(watch: Watch, told: Told | None = None) -> list[Turn]:
    """The conversation up to what is shown."""
    return list(_turns(watch, {} if told is None else told))


def _turns(watch: Watch, told: Told) -> Iterator[Turn]:
    reader, view = watch.reader, watch.view
    for name in view.inputs:
        value = reader.value(f"inputs.{name}")
        yield Turn("person", f"inputs.{name}", name, _words(value))
    begun: set[str] = set()
    before, question = "", ""
    for event in watch.events[max(0, watch.shown - MOST) : watch.shown]:
        if isinstance(event, ev.QuestionAsked):
            shown = reader.stored(event.show) if event.show else UNKNOWN
            is_open = event.call in view.questions
            text = "" if shown is UNKNOWN else _shown(shown)
            if is_open or event.question != question:  # one that is asked again and again is told once
                yield Turn("asks", event.call, event.question, text if text != before else "", "waiting" if is_open else "done", is_open)
            question = event.question
        elif isinstance(event, ev.QuestionAnswered):
            value = reader.stored(event.value)
            yield Turn("person", event.call, event.by or "answered", _words(value))
        elif isinstance(event, ev.CallFinished | ev.CallFailed) and event.call not in begun:
            begun.add(event.call)
            turn = _once(watch, event.call, told)
            if turn is not None:
                before = turn.text
                yield turn
        elif isinstance(event, ev.VariableEdited):
            yield Turn("person", event.variable, f"{event.by or 'somebody'} changed {event.variable}", _words(reader.stored(event.value)))
    for path in _in_flight(watch):
        if path not in begun:
            turn = _once(watch, path, told)
            if turn is not None:
                yield turn
    if view.fault is not None and watch.shown == len(watch.events):
        yield Turn("run", view.fault_call, "the run failed", f"{view.fault.message}\n{view.fault.hint}".strip(), "failed")
    elif view.value:
        yield Turn("run", "", "the run's value", _words(reader.stored(view.value)), "finished")


def _in_flight(watch: Watch) -> Iterator[str]:
    """The calls that are being carried out."""
    stack = list(reversed(watch.outline.root.busy.values()))
    while stack:
        item = stack.pop()
        stack += reversed(item.busy.values())
        if item.call is not None and item.call.status in ("running", "again"):
            yield item.path


def _once(watch: Watch, path: str, told: Told) -> Turn | None:
    call, item = watch.view.calls.get(path), watch.outline.items.get(path)
    state = (call.status, call.value, call.text, call.attempts, bool(item is not None and item.items)) if call is not None else None
    found = told.get(path)
    if found is None or found[0] != state:
        found = told[path] = state, _call(watch, path)
    return found[1]


def _call(watch: Watch, path: str) -> Turn | None:
    call, entry = watch.view.calls.get(path), watch.reader.entry(path)
    if call is None or (entry is not None and entry["kind"] in ("ask", "program")):
        return None
    item = watch.outline.items.get(path)
    if item is not None and item.items:  # what it calls is told instead
        return None
    text = call.text if call.status in ("running", "again") else _words(watch.reader.stored(call.value))
    fault = call.fault.message if call.fault is not None and call.status == "failed" else ""
    if call.model or (entry is not None and "template" in entry):
        return Turn("model", path, call.model or "model", text or fault, call.status)
    arguments = ", ".join(f"{argument.name}={ink.brief(argument.value, 60)}" for argument in watch.reader.arguments(path))
    title = f"{(entry or {}).get('function') or path}({arguments})"
    return Turn("tool", path, title, fault or text, call.status, is_open=call.status == "failed")


def _shown(shown: Any) -> str:
    if isinstance(shown, dict) and isinstance(shown.get("arguments"), dict) and "tool" in shown:
        told = (f"  {name} = {json.dumps(value, ensure_ascii=False)}" for name, value in shown["arguments"].items())
        return "\n".join([str(shown["tool"]), *told])
    return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False, indent=2)


def _words(value: Any) -> str:
    if value is UNKNOWN:
        return ""
    if isinstance(value, dict) and {"uses", "answer", "thought"} <= set(value):  # an agent's move
        return "\n".join(word for word in (str(value["thought"] or ""), _answer(value["answer"])) if word)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _answer(text: Any) -> str:
    """An agent's answer, which stands as JSON in its move."""
    if not isinstance(text, str):
        return ""
    data = plain_json(text)
    return text if data is None else _words(data)


def markdown(watch: Watch) -> str:
    """The conversation as a Markdown document; what models, tools and people wrote stands in fences, so that it stays text."""
    view = watch.view
    lines = [f"# {_escaped(watch.run)}", ""]
    lines += [f"{ink.WORDS.get(watch.status, watch.status)}; {len(view.calls):,} calls, {view.spend.tokens:,} tokens", ""]
    heads = {"person": "Person", "model": "Model", "tool": "Tool", "asks": "Question", "run": "Run"}
    for turn in turns(watch):
        lines += [f"## {heads[turn.who]}: {_escaped(turn.title)}", ""]
        if turn.call:
            lines += [f"`{turn.call.replace('`', '')}` {turn.status}", ""]
        if turn.text:
            lines += [*_fenced(turn.text), ""]
    return "\n".join(lines)


def _fenced(text: str) -> list[str]:
    """A text in a fence that is longer than any in it."""
    text = ink.clean(text)
    longest = max((len(run) for run in text.replace("`", "\0`").split("\0") if run.startswith("`")), default=0)
    run, best = 0, longest
    for char in text:
        run = run + 1 if char == "`" else 0
        best = max(best, run)
    fence = "`" * max(3, best + 1)
    return [f"{fence}text", text, fence]


def _escaped(text: str) -> str:
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>#|" else char for char in ink.line(text, 200))
