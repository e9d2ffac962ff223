"""The terminal UI from the command line: over a log, on one run, or on a run that it starts in a process of its own."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import typer

from rookery.cli.drive import log_path
from rookery.cli.steer import found
from rookery.engine.door import new_id
from rookery.engine.sqlite import SQLiteLog
from rookery.errors import InputError

PROGRAMS = (".py", ".yaml", ".yml", ".json")


def open_screen(what: str | None, *, log: Path | None, page: str, light: bool, demo: bool) -> None:
    """The application: all runs, one of them, or the inputs of a program to run. Raises RunUnknown, InputError."""
    _needs_terminal()
    if demo:
        _demo(light)
        return
    path = log_path(log)
    with closing(SQLiteLog(path)) as opened:
        is_program = what is not None and (":" in what or Path(what).suffix in PROGRAMS)
        run = found(opened, what).run if what is not None and not is_program else ""
        _show(opened, path, run=run, program=what or "" if is_program else "", page=page, light=light)


def run_with_screen(graph: str, words: Sequence[str], log: Path | None) -> None:
    """``rookery run …`` in a process of its own, and the screen on that run; closing the screen does not end the run."""
    from rookery.tui.carrier import Carrier

    _needs_terminal()
    path = log_path(log)
    with closing(SQLiteLog(path)) as opened:
        run = new_id(graph)
        carrier = Carrier([*words, "--id", run, "--log", str(path), "--wait", "--quiet"])
        _show(opened, path, run=run, waits_for=carrier)


def _demo(light: bool) -> None:
    from rookery.tui.demo import record

    with tempfile.TemporaryDirectory(prefix="rookery-demo-") as folder, closing(SQLiteLog(Path(folder) / "log.db")) as opened:
        asyncio.run(record(opened))
        _show(opened, opened.path, light=light)


def _show(opened: SQLiteLog, path: Path, **options: Any) -> None:
    from rookery.tui.app import RookeryApp

    app = RookeryApp(opened, place_of_log=str(path), **options)
    app.run()
    if app.return_code:
        raise typer.Exit(app.return_code)


def _needs_terminal() -> None:
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise InputError("the terminal UI needs a terminal", hint="`rookery runs` and `rookery show RUN` print without one")
