"""Finding a recorded run's program and model again, for ``resume`` and ``fork``; and removing runs."""

from __future__ import annotations

import getpass
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rookery.cli import out
from rookery.cli.drive import model_of
from rookery.cli.load import load, value_of
from rookery.cli.steer import edited, found, opened, started
from rookery.core.graph import Graph
from rookery.core.reword import reword
from rookery.errors import InputError, ParseFailed

if TYPE_CHECKING:
    from rookery.models.model import Model


@dataclass(frozen=True, slots=True)
class Again:
    """A recorded run with its program and its model."""

    run: str
    path: Path
    graph: Graph
    model_name: str | None
    model: Model | None
    words: dict[str, str]
    """Prompts that say something else than in the program's file."""


def prepared(
    path: Path, name: str, program: str | None, model: str | None, tools: Sequence[str] = (), words: Mapping[str, str] | None = None
) -> Again:
    """What is needed to go on with a run. Raises RunUnknown, InputError when its program is not found, ModelUnknown and the like."""
    with opened(path) as log:
        info = found(log, name)
        first = started(log, info.run)
    try:
        graph = load(program or first.program, tools=tools).graph
    except InputError as error:
        if program is None:
            raise InputError(f"the program of run {info.run} cannot be loaded: {error.reason}",
                             hint=f"{error.hint}; or say where it is: FILE.py:NAME") from error
        raise
    known = first.options.get("prompts")
    reworded = {**(known if isinstance(known, dict) else {}), **(words or {})}
    if reworded:
        graph = reword(graph, reworded)
    recorded = first.options.get("model")
    model_name, built = model_of(model, graph, recorded=recorded if isinstance(recorded, str) else None)
    return Again(info.run, path, graph, model_name, built, reworded)


def words_of(given: Sequence[str]) -> dict[str, str]:
    """``NAME=TEXT`` words as texts of prompts by name. Raises InputError."""
    found = {}
    for word in given:
        name, mark, text = word.partition("=")
        if not mark or not name:
            raise InputError(f"--prompt {word!r:.40} is not NAME=TEXT", hint="for example --prompt 'title=A title for {topic}.'")
        found[name] = text
    return found


def secrets_of(graph: Graph, words: Sequence[str]) -> dict[str, Any]:
    """``inputs.key=VALUE`` words as secrets by path; a word without ``=`` is asked for, unseen. Raises InputError."""
    secrets: dict[str, Any] = {}
    for word in words:
        path, mark, text = word.partition("=")
        if not mark:
            if not sys.stdin.isatty():
                raise InputError(f"--secret {path}: there is no terminal to ask on", hint=f"--secret {path}=VALUE")
            text = getpass.getpass(f"{path}: ")
        name = path.removeprefix("inputs.")
        if name in graph.params:
            path = f"inputs.{name}"
            try:
                secrets[path] = value_of(text, graph.params[name].type)
            except ParseFailed as error:
                raise InputError(f"--secret {path}: {error.reason}") from None
        else:
            secrets[path] = text
    return secrets


def edits_of(again: Again, words: Sequence[str]) -> dict[str, Any]:
    """``VARIABLE=VALUE`` words as values of the variables' types. Raises InputError, RunError for an unknown variable."""
    edits: dict[str, Any] = {}
    for word in words:
        variable, mark, text = word.partition("=")
        if not mark:
            raise InputError(f"{word!r} is not VARIABLE=VALUE", hint="for example inputs.topic=crows")
        type_ = _type_of(again.graph, variable)
        try:
            edits[variable] = _recorded(again, variable, text) if type_ is None else value_of(text, type_)
        except ParseFailed as error:
            raise InputError(f"{variable}: {error.reason}") from None
    return edits


def _recorded(again: Again, variable: str, text: str) -> Any:
    with opened(again.path) as log:
        return edited(log, again.run, variable, text)


def _type_of(graph: Graph, variable: str) -> Any:
    """The type of an input or of a call of the graph; None for what lies inside of one."""
    if variable.startswith("inputs."):
        param = graph.params.get(variable.removeprefix("inputs."))
        return param.type if param is not None else None
    call = graph.calls.get(variable)
    return call.type if call is not None else None


def pruned(path: Path, names: Sequence[str], *, finished: bool, older_than_days: float | None, ask: bool, as_json: bool) -> None:
    """Remove the runs named, or those that the filters (all of them) let through. Raises RunBusy, RunUnknown; then nothing is removed."""
    from rookery.cli.show import state_of

    if not names and not finished and older_than_days is None:
        raise InputError("nothing says which runs to remove", hint="name runs, or use --finished, --older-than DAYS")
    with opened(path) as log:
        chosen = [found(log, name).run for name in names]
        if finished or older_than_days is not None:
            latest = time.time() - (older_than_days or 0.0) * 86_400
            chosen += [
                info.run for info in log.runs()
                if info.run not in chosen and not info.owner and (not finished or state_of(info) == "finished") and info.changed_at <= latest
            ]
        if chosen and ask and not names and not as_json and sys.stdin.isatty():
            typer.confirm(f"remove {len(chosen)} run(s) from {path}?", abort=True)
        freed = log.prune(chosen) if chosen else 0
    if as_json:
        out.say_json({"removed": chosen, "freed_bytes": freed})
    else:
        out.say(f"removed {len(chosen)} run(s); {freed:,} bytes of values freed")
