"""The Tools screen: a library of tools, searched by what they should do, read with their sources, and proven again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import ClassVar

from rich.syntax import Syntax
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.widgets import Input, Static

from rookery.errors import RookeryError
from rookery.tools.record import ToolRecord
from rookery.tui import ink
from rookery.tui.page import Page
from rookery.tui.rows import Rows

STATES = {"trusted": ("◆", "bold green"), "verified": ("✓", "green"), "candidate": ("○", "yellow"), "retired": ("■", "dim")}


def folder() -> Path:
    """The library's folder: of the environment, else ``.rookery/tools`` here."""
    return Path(os.environ.get("ROOKERY_TOOLS") or ".rookery/tools")


class ToolsPage(Page):
    """Tools on one side, the one that is looked at on the other."""

    name_of_page = "tools"
    DEFAULT_CSS = """
    ToolsPage #query { border: round $border; background: $surface; }
    ToolsPage #query:focus { border: round $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "query", "Search"),
        Binding("v", "verify", "Verify"),
        Binding("V", "verify_all", "Verify all"),
        Binding("y", "copy", "Copy source", show=False),
        Binding("escape", "list", "List", show=False),
    ]

    def compose_page(self) -> ComposeResult:
        yield Input(placeholder="what should the tool do?", id="query")
        with Container(classes="sides"):
            rows: Rows[ToolRecord] = Rows(_drawn, key=lambda record: record.name, empty="no tools", id="tools")
            rows.add_class("first", "panel")
            yield rows
            side = VerticalScroll(Static(id="tool", markup=False), Static(id="source", markup=False), classes="second panel", can_focus=True)
            side.border_title = "tool"
            yield side

    def on_mount(self) -> None:
        self.query_one(Rows).focus()

    def on_screen_resume(self) -> None:
        self.load()

    @work(exclusive=True, group="load")
    async def load(self) -> None:
        """Read the library anew."""
        from rookery.tools.library import ToolLibrary

        rows = self.query_one(Rows)
        query = self.query_one("#query", Input).value.strip()
        place = folder()
        records: list[ToolRecord] = []
        rows.empty = f"there is no library in {place}: `rookery tools import` makes one"
        if place.exists():
            try:
                async with await ToolLibrary.open(place, verify=False) as library:
                    records = [library.show(hit.name) for hit in await library.search(query, k=50)] if query else list(library)
                    damaged = len(library.damaged)
                rows.empty = "nothing fits" if query else "it is empty"
            except RookeryError as error:
                rows.empty, damaged = error.reason, 0
            rows.border_subtitle = f"{len(records):,} tools" + (f", {damaged} damaged" if damaged else "")
        rows.border_title = f"tools for “{ink.line(query, 40)}”" if query else "tools"
        rows.show(records)
        self._show(rows.row)

    def on_rows_moved(self, event: Rows.Moved) -> None:
        self._show(event.row)

    def _show(self, record: ToolRecord | None) -> None:
        self.query_one("#tool", Static).update(_tool(record) if record is not None else "")
        source = ink.body(record.source) if record is not None else ""
        theme = "ansi_dark" if self.app.current_theme.dark else "ansi_light"
        self.query_one("#source", Static).update(Syntax(source, "python", theme=theme, word_wrap=True, background_color="default") if source else "")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.load()
        self.query_one(Rows).focus()

    def action_query(self) -> None:
        """Search."""
        self.query_one("#query", Input).focus()

    def action_list(self) -> None:
        """Go to the list; a second time, list all tools again."""
        if self.query_one(Rows).has_focus:
            self.query_one("#query", Input).clear()
            self.load()
        self.query_one(Rows).focus()

    def action_verify(self) -> None:
        """Make the tool's stored calls again in the sandbox."""
        record = self.query_one(Rows).row
        if isinstance(record, ToolRecord):
            self._verify(record.name)

    def action_verify_all(self) -> None:
        """Make all stored calls again in the sandbox."""
        self._verify()

    @work
    async def _verify(self, *names: str) -> None:
        from rookery.tools.library import ToolLibrary

        if not folder().exists():
            self.notify("there is no library", severity="warning")
            return
        self.notify(f"{', '.join(names) or 'all tools'}: stored calls are made in the sandbox", timeout=3, markup=False)
        try:
            async with await ToolLibrary.open(folder(), verify=False) as library:
                proofs = await library.verify(*names)
                await library.save()
        except RookeryError as error:
            self.notify(f"{error.reason}\n{error.hint}", severity="error", markup=False)
            return
        wrong = {name: proof.why for name, proof in proofs.items() if not proof.ok}
        if not proofs:
            self.notify("there are no stored calls to make", severity="warning")
        elif wrong:
            self.notify("; ".join(f"{name}: {why}" for name, why in wrong.items()), title="came out wrong", severity="error", markup=False)
        else:
            self.notify(f"{len(proofs)} came out right")
        self.load()

    def action_copy(self) -> None:
        """Copy the source to the clipboard."""
        record = self.query_one(Rows).row
        if isinstance(record, ToolRecord):
            self.app.copy_to_clipboard(record.source)
            self.notify(f"{len(record.source):,} characters copied", timeout=2)


def _drawn(record: ToolRecord, width: int) -> Text:
    mark, style = STATES.get(record.state, ("?", ""))
    text = ink.styled(f" {mark} ", style)
    room = min(28, max(10, width // 3))
    text.append(f"{ink.line(record.name, room):<{room}} ", style="bold")
    if width > 48:
        text.append(f"{record.state:<10}", style=style)
    return text.append(ink.line(record.doc.strip().partition("\n")[0], max(4, width - text.cell_len - 1)), style="dim")


def _tool(record: ToolRecord) -> Text:
    mark, style = STATES.get(record.state, ("?", ""))
    text = ink.styled(f"{ink.line(record.signature, 400)}\n", "bold")
    text.append(f"{mark} {record.state}", style=style).append(f"  version {record.version}", style="dim")
    if record.effect:
        text.append("  changes the world outside", style="yellow")
    text.append("\n")
    use = record.use
    lift = f", lift {use.lift:+.2f}" if use.lift is not None else ""
    facts = {
        "what": record.doc, "why": record.why, "from": record.origin, "labels": ", ".join(sorted(record.labels)),
        "calls": f"{use.calls}, {use.successes} right{lift}; {len(record.examples)} stored", "last calls": use.recent,
        "served": "; ".join(record.questions[:5]),
    }  # fmt: skip
    for name, value in facts.items():
        if value:
            text.append(f"\n{name:<11}", style="dim").append(ink.body(value, most=1_000))
    for name, schema in record.params.items():
        text.append(f"\n{'takes':<11}", style="dim").append(ink.line(f"{name}: {json.dumps(schema, ensure_ascii=False)}", 400))
    return text.append(f"\n{'gives':<11}", style="dim").append(ink.line(json.dumps(record.returns, ensure_ascii=False), 400)).append("\n")
