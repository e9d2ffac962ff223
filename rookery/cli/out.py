"""What every command shares: how it prints, how an error becomes words and an exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

import typer

from rookery.errors import (
    CassetteDamaged,
    DocumentInvalid,
    GraphError,
    InputError,
    LogError,
    ModelUnknown,
    RookeryError,
    RunBusy,
    RunMismatch,
    RunUnknown,
    RunWaiting,
    SecretNeeded,
    SettingMissing,
    SettingWrong,
    ToolUnfit,
    ToolUnknown,
)

P = ParamSpec("P")
R = TypeVar("R")

OK, FAILED, USAGE, WAITING, LOG, INTERRUPTED = 0, 1, 2, 3, 4, 130
CODES = """Exit codes: 0 done; 1 the run failed; 2 wrong usage, or faults in the program or its inputs; 3 the run waits for a person;
4 the log cannot be used; 130 interrupted."""

_BEFORE = (
    GraphError, InputError, ModelUnknown, SettingMissing, SettingWrong, CassetteDamaged, RunUnknown, RunMismatch, SecretNeeded,
    ToolUnfit, ToolUnknown, DocumentInvalid,
)  # fmt: skip
"""What is found before anything runs."""


def say(text: str = "") -> None:
    """A line of the command's result, on standard output; without what a terminal would obey when it is one."""
    from rookery.tui.safe import safe

    typer.echo(safe(text) if sys.stdout.isatty() else text, color=True)


def note(text: str) -> None:
    """A line about the command's work, on standard error."""
    from rookery.tui.safe import safe

    typer.echo(safe(text), err=True)


def say_json(data: Mapping[str, Any]) -> None:
    """The command's result as one JSON object."""
    typer.echo(json.dumps(data, ensure_ascii=False, default=str))


def code_of(error: BaseException) -> int:
    """The exit code of an error."""
    if isinstance(error, RunWaiting):
        return WAITING
    if isinstance(error, LogError | RunBusy):
        return LOG
    if isinstance(error, _BEFORE):
        return USAGE
    return FAILED


def error_data(error: RookeryError, **more: Any) -> dict[str, Any]:
    """An error as plain data, for ``--json``."""
    data: dict[str, Any] = {"kind": type(error).__name__, "message": error.reason, "hint": error.hint}
    for name in ("call", "faults", "questions", "path", "what", "kind_of_fault"):
        value = getattr(error, name, None)
        if name == "faults" and value:
            data["faults"] = [_fault_data(fault) for fault in value]
        elif value:
            data[name] = value
    return {"error": data, **more}


def _fault_data(fault: Any) -> Any:
    if hasattr(fault, "fault"):  # of a graph
        return [fault.path, fault.fault, fault.hint]
    place = getattr(fault, "place", None)
    if place is None:
        return list(fault)
    return {
        "file": place.file, "line": place.line, "column": place.column, "length": place.length, "kind": fault.kind, "path": fault.path,
        "message": fault.message, "hint": fault.hint,
    }  # fmt: skip


def fail(error: RookeryError, *, as_json: bool, more: Mapping[str, Any] | None = None, after: str = "") -> NoReturn:
    """Print an error, with what to do about it, and exit with its code."""
    if as_json:
        say_json(error_data(error, **(more or {})))
    else:
        note(f"error: {error}")
        if after:
            note(after)
    raise typer.Exit(code_of(error))


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """A command that ends in words and an exit code, never in a traceback (unless ROOKERY_DEBUG is set)."""

    @wraps(command)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        as_json = bool(kwargs.get("as_json"))
        try:
            return command(*args, **kwargs)
        except RookeryError as error:
            if os.environ.get("ROOKERY_DEBUG"):
                raise
            fail(error, as_json=as_json)
        except KeyboardInterrupt:
            note("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # the reader of a pipe has gone
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for the flush at exit
            raise typer.Exit(OK) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if os.environ.get("ROOKERY_DEBUG"):
                raise
            note(f"error: {type(error).__name__}: {error}\n  → this is a fault of rookery; ROOKERY_DEBUG=1 shows where")
            raise typer.Exit(FAILED) from None

    return inner
