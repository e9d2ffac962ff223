"""The Models screen: the models that can be named here, what each can do or lacks, and what the runs of this log have spent on it."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.widgets import Static

from rookery.core.event import AttemptFailed, CallFailed, CallFinished, CallStarted
from rookery.core.spend import Spend
from rookery.engine.log import Log
from rookery.errors import RookeryError
from rookery.tui import ink
from rookery.tui.carrier import asked
from rookery.tui.page import Page
from rookery.tui.progress import money
from rookery.tui.rows import Rows

RUNS = 100
"""So many of the newest runs are summed up."""


def spent_by_model(log: Log, *, most: int = RUNS) -> dict[str, tuple[Spend, int]]:
    """By model, what the newest runs of a log have used of it, and in how many runs."""
    found: dict[str, tuple[Spend, int]] = {}
    for info in log.runs()[:most]:
        own: dict[str, Spend] = {}
        models: dict[str, str] = {}
        try:
            events = log.read(info.run)
        except RookeryError as error:
            events = list(getattr(error, "readable", ()))
        for event in events:
            if isinstance(event, CallStarted) and event.model:
                models[event.call] = event.model
            elif isinstance(event, CallFinished | CallFailed | AttemptFailed) and event.spend.calls:
                name = getattr(event, "model", "") or models.get(event.call, "")
                own[name] = own.get(name, Spend()) + event.spend
        for name, spend in own.items():
            before, runs = found.get(name, (Spend(), 0))
            found[name] = before + spend, runs + 1
    return found


class ModelsPage(Page):
    """Models on one side, the one that is looked at on the other."""

    name_of_page = "models"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("r", "load", "Read again")]

    def __init__(self) -> None:
        super().__init__()
        self.spends: dict[str, tuple[Spend, int]] = {}

    def compose_page(self) -> ComposeResult:
        with Container(classes="sides"):
            rows: Rows[dict[str, Any]] = Rows(self._drawn, key=lambda row: row["model"], empty="reading …", id="models")
            rows.add_class("first", "panel")
            rows.border_title = "models"
            yield rows
            side = VerticalScroll(Static(id="model", markup=False), classes="second panel", can_focus=True)
            side.border_title = "model"
            yield side

    def on_mount(self) -> None:
        self.query_one(Rows).focus()

    def on_screen_resume(self) -> None:
        self.action_load()

    @work(exclusive=True, group="load")
    async def action_load(self) -> None:
        """Ask again which models there are, and sum up what they have cost."""
        rows = self.query_one(Rows)
        try:
            self.spends = await asyncio.to_thread(spent_by_model, self.rookery.event_log)
        except RookeryError as error:
            self.notify(error.reason, severity="error", markup=False)
        code, data, said = await asyncio.to_thread(asked, ["models"])
        listed = list(data.get("models", ()))
        if code or not listed:
            rows.empty = ink.line(said or "`rookery models` says nothing", 200)
        known = {row["model"] for row in listed}
        listed += [{"model": name, "provider": "", "ready": True, "state": "used in this log"} for name in self.spends if name not in known]
        default = data.get("default") or ""
        rows.border_subtitle = f"default: {default}" if default else "no default"
        rows.show(listed)
        self._show(rows.row)

    def on_rows_moved(self, event: Rows.Moved) -> None:
        self._show(event.row)

    def _drawn(self, row: dict[str, Any], width: int) -> Text:
        ready = row["ready"]
        text = ink.styled(" ✓ " if ready else " ○ ", "green" if ready else "dim")
        spend = self.spends.get(row["model"])
        right = ink.styled(f" {ink.spent(spend[0])}" if spend is not None else "", "yellow")
        room = max(10, width - 4 - right.cell_len)
        text.append(ink.line(row["model"], room), style="bold" if ready else "dim")
        if width > 60:
            text.append("  ").append(ink.line(row["state"], max(1, width - text.cell_len - right.cell_len - 1)), style="dim")
        return text.append(" " * max(0, width - text.cell_len - right.cell_len - 1)).append_text(right)

    def _show(self, row: dict[str, Any] | None) -> None:
        if row is None:
            return
        text = ink.styled(f"{ink.line(row['model'], 200)}\n", "bold")
        for name in ("provider", "state", "needs"):
            if row.get(name):
                text.append(f"\n{name:<12}", style="dim").append(ink.line(str(row[name]), 400))
        if row.get("skills"):
            text.append(f"\n{'skills':<12}", style="dim").append(", ".join(row["skills"]))
        for name, value in (row.get("capabilities") or {}).items():
            text.append(f"\n{name.replace('_', ' '):<24}", style="dim").append(ink.brief(value, 200))
        spend = self.spends.get(row["model"])
        if spend is not None:
            used, runs = spend
            text.append("\n\n── spent in this log\n", style="bold blue")
            for name, words in (
                ("runs", f"{runs:,}"), ("requests", f"{used.calls:,}"), ("prompt tokens", f"{used.prompt_tokens:,}"),
                ("cached", f"{used.cached_tokens:,}"), ("reply tokens", f"{used.completion_tokens:,}"),
                ("money", money(used.cost_usd) or "no price known"),
            ):  # fmt: skip
                text.append(f"{name:<14}", style="dim").append(f"{words}\n")
        self.query_one("#model", Static).update(text)
