"""The Runs screen: all runs of the log, newest first; open one, begin one, resume, remove."""

from __future__ import annotations

import time
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from rookery.engine.log import RunInfo
from rookery.errors import RookeryError
from rookery.tui import ink
from rookery.tui.dialog import ConfirmDialog, TextDialog
from rookery.tui.page import Page
from rookery.tui.rows import Rows


def state_of(info: RunInfo) -> str:
    """``running``, ``stopped`` (in mid-run; it can be resumed), ``finished`` or ``failed``."""
    return "stopped" if info.state == "running" and not info.owner else info.state


def drawn(info: RunInfo, width: int) -> Text:
    """A run as one line."""
    state = state_of(info)
    text = ink.styled(f" {ink.MARKS.get(state, ' ')} ", ink.STYLES.get(state, ""))
    room = 20 if width < 60 else 30
    name = ink.line(info.run, room)
    text.append(name, style="bold").append(" " * (room - len(name) + 1))
    text.append(f"{ink.WORDS.get(state, state):<9}", style=ink.STYLES.get(state, ""))
    if width >= 64:
        text.append(f" {time.strftime('%Y-%m-%d %H:%M', time.localtime(info.started_at))}", style="dim")
        took = ink.duration(max(0.0, info.changed_at - info.started_at)) if state in ("finished", "failed") else ""
        text.append(f" {took:>8}  ", style="dim")
    left = width - text.cell_len - 1
    if left > 8:
        text.append(ink.line(info.program + (f"  ← {info.parent}" if info.parent else ""), left), style="dim")
    return text


class RunsPage(Page):
    """The list of runs."""

    name_of_page = "runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", show=True),
        Binding("n", "begin", "New run"),
        Binding("r", "resume", "Resume"),
        Binding("slash", "find", "Find"),
        Binding("delete,backspace", "remove", "Remove", key_display="del"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.filter = ""

    def compose_page(self) -> ComposeResult:
        rows: Rows[RunInfo] = Rows(drawn, key=lambda info: info.run, empty="no runs yet: n begins one, or `rookery run PROGRAM`", id="runs")
        rows.add_class("panel")
        yield rows

    def on_mount(self) -> None:
        self.query_one(Rows).focus()
        self.set_interval(1.0, self.display_page)

    def display_page(self) -> None:
        if not self.is_current:
            return
        rows = self.query_one(Rows)
        try:
            infos = self.rookery.event_log.runs()
        except RookeryError as error:
            rows.empty = f"the log cannot be read: {error.reason}"
            infos = []
        if self.filter:
            infos = [info for info in infos if self.filter in f"{info.run} {info.program} {state_of(info)}".lower()]
        rows.border_title = f"runs with “{self.filter}”" if self.filter else "runs"
        rows.border_subtitle = ink.line(f"{len(infos):,} in {self.rookery.place_of_log}", max(20, self.size.width - 20))
        rows.show(infos)

    @property
    def info(self) -> RunInfo | None:
        """The run that the cursor stands on."""
        found = self.query_one(Rows).row
        return found if isinstance(found, RunInfo) else None

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        self.action_open()

    def action_open(self) -> None:
        """Look at the run."""
        if self.info is not None:
            self.rookery.open_run(self.info.run)

    def action_begin(self) -> None:
        """Run a program."""

        def chosen(program: str | None) -> None:
            if program and program.strip():
                self.rookery.begin(program.strip())

        note = "FILE.py:NAME, MODULE:NAME or a workflow.yaml"
        self.app.push_screen(TextDialog("run which program?", placeholder=note, note=note), chosen)

    def action_resume(self) -> None:
        """Carry the run on, in a process of its own."""
        info = self.info
        if info is None:
            return
        if info.owner or info.state == "finished":
            self.notify("it is being carried out" if info.owner else "it is finished", severity="warning")
            return
        self.rookery.carry(["resume", info.run], f"{info.run} is resumed")

    def action_find(self) -> None:
        """List only the runs with some words in them."""

        def chosen(words: str | None) -> None:
            if words is not None:
                self.filter = words.strip().lower()
                self.display_page()

        self.app.push_screen(TextDialog("list the runs with", text=self.filter, placeholder="a part of their name, program or state"), chosen)

    def action_remove(self) -> None:
        """Remove the run from the log."""
        info = self.info
        if info is None:
            return

        def chosen(yes: bool | None) -> None:
            if yes:
                self.rookery.remove_run(info.run)
                self.display_page()

        note = "Its events, and the values that no other run refers to, are gone then."
        self.app.push_screen(ConfirmDialog(f"Remove {info.run} from the log?", note=note), chosen)
