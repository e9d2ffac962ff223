"""Telling a run something from outside: messages to its inbox, and what becomes of them when nobody carries the run out."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from rookery.cli import out
from rookery.cli.asking import expected
from rookery.cli.drive import Manner
from rookery.cli.load import plain_json
from rookery.core.event import QuestionAsked, RunStarted
from rookery.core.value import plain
from rookery.core.view import View, fold
from rookery.engine.log import Message, RunInfo
from rookery.engine.sqlite import SQLiteLog
from rookery.errors import InputError, RunError, RunUnknown


@contextmanager
def opened(path: Path) -> Iterator[SQLiteLog]:
    """The log of a command that reads; it is not made when there is none. Raises RunUnknown, LogCorrupt, LogTooNew."""
    if not path.exists():
        raise RunUnknown(f"there is no log {path}", hint="`rookery run` makes one; --log PATH names another")
    with closing(SQLiteLog(path)) as log:
        yield log


def found(log: SQLiteLog, name: str) -> RunInfo:
    """The run of a name, of an unambiguous beginning of one, or ``last``. Raises RunUnknown."""
    infos = log.runs()
    if name == "last" and infos:
        return infos[0]
    matching = [info for info in infos if info.run == name] or [info for info in infos if info.run.startswith(name)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise RunUnknown(f"{name!r} is the beginning of {len(matching)} runs", run=name, hint=", ".join(info.run for info in matching[:6]))
    import difflib

    near = difflib.get_close_matches(name, [info.run for info in infos], 1)
    meant = f"did you mean {near[0]}? " if near else ""
    raise RunUnknown(f"no run {name} in {log.path}", run=name, hint=f"{meant}`rookery runs` lists those there are")


def view_of(log: SQLiteLog, run: str) -> View:
    """A run as it stands in its log."""
    view = View(run=run)
    for event in log.read(run):
        view = fold(view, event)
    return view


def started(log: SQLiteLog, run: str) -> RunStarted:
    """How a run began. Raises RunError for a run that was stopped before its beginning was written."""
    first = next(iter(log.read(run)), None)
    if not isinstance(first, RunStarted):
        raise RunError(f"run {run} was stopped before it began", run=run, hint=f"start the program anew; `rookery prune {run}` removes it")
    return first


def post(path: Path, name: str, message: Message, *, as_json: bool, done: str) -> None:
    """Leave a message for a run, and say who will read it."""
    with opened(path) as log:
        info = found(log, name)
        if info.state == "finished":
            hint = f"`rookery fork {info.run} VARIABLE=VALUE` begins a new one from its values"
            raise RunError(f"run {info.run} is finished", run=info.run, hint=hint)
        log.post(info.run, message)
    command = Manner(path).command("resume", info.run)
    if as_json:
        out.say_json({"run": info.run, "sent": message.verb, "place": message.place, "value": message.value, "is_running": bool(info.owner)})
    elif info.owner:
        out.say(f"{info.run}: {done}")
    else:
        out.say(f"{info.run}: {done}, once somebody carries it out; nobody does now")
        out.note(f"  → {command}")


def answer(path: Path, name: str, call: str, text: str, *, as_json: bool) -> None:
    """Answer a question. Raises RunError when it is not open, InputError for a value that it does not take."""
    with opened(path) as log:
        info = found(log, name)
        view = view_of(log, info.run)
    asked = view.questions.get(call)
    if asked is None:
        answered = "answered already" if call in view.calls else "not asked"
        raise RunError(f"there is no open question at {call!r} in run {info.run}: it is {answered}", run=info.run,
                       hint=f"open: {', '.join(view.questions) or 'none'}")
    post(path, info.run, Message("answer", call, answer_of(text, asked), by=getpass.getuser()), as_json=as_json, done=f"{call} is answered")


def answer_of(text: str, asked: QuestionAsked) -> Any:
    """A word as the JSON data that a question's schema takes. Raises InputError when it plainly is none."""
    schema = asked.schema
    data = plain_json(text)
    if data is None and text.strip() != "null":
        data = text
    for candidate in (data, text):
        taken = _taken(candidate, schema)
        if taken is not _NOT:
            return taken
    raise InputError(f"{asked.call} asks for {expected(schema)}, and {text!r:.60} is not that", hint=f"the question: {asked.question}")


_NOT: Any = object()
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "array": (list,), "object": (dict,), "null": (type(None),),
}
_WORDS = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}


def _taken(data: Any, schema: dict[str, Any]) -> Any:
    """The data as a schema takes it, looking at its top only: the run itself checks the rest."""
    if "anyOf" in schema:
        return next((taken for option in schema["anyOf"] if (taken := _taken(data, option)) is not _NOT), _NOT)
    if "enum" in schema or "const" in schema:
        return data if data in schema.get("enum", [schema.get("const")]) else _NOT
    kind = schema.get("type")
    if kind == "boolean":
        return data if isinstance(data, bool) else _WORDS.get(str(data).strip().lower(), _NOT)
    if kind not in _KINDS:
        return data
    return data if isinstance(data, _KINDS[kind]) and not isinstance(data, bool) else _NOT


def edit(path: Path, name: str, variable: str, text: str, *, as_json: bool) -> None:
    """Change a variable of a run. Raises RunError when its log knows none of that name."""
    with opened(path) as log:
        info = found(log, name)
        value = edited(log, info.run, variable, text)
    message = Message("edit", variable, value, by=getpass.getuser())
    post(path, info.run, message, as_json=as_json, done=f"{variable} is changed; what depends on it runs again")


def edited(log: SQLiteLog, run: str, variable: str, text: str) -> Any:
    """A word as data of the same kind as the variable's recorded value. Raises RunError for a variable that the log does not know."""
    view, first = view_of(log, run), started(log, run)
    calls = {call["name"]: call for call in plain(view.graph, log.get)["calls"]}
    if variable.startswith("inputs."):
        reference = first.inputs.get(variable.removeprefix("inputs."), "")
        if not reference:
            raise _unknown(run, variable, first, calls, view)
    elif variable in view.calls:
        reference = view.calls[variable].value
    elif variable in calls:
        reference = ""
    else:
        raise _unknown(run, variable, first, calls, view)
    data = plain_json(text)
    if data is None and text.strip() != "null":
        return text
    if reference and reference[0] != "!" and isinstance(plain(reference, log.get), str) and not isinstance(data, str):
        return text
    return data


def _unknown(run: str, variable: str, first: RunStarted, calls: dict[str, Any], view: View) -> RunError:
    names = list(dict.fromkeys([*(f"inputs.{name}" for name in first.inputs), *calls, *view.calls]))
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return RunError(f"there is no variable {variable!r} in run {run}", run=run, hint=f"there are {', '.join(names[:12])}{more}")
