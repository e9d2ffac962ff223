"""Two runs side by side: call by call what is the same, what differs, what only one has; values as a diff."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.widgets import Static

from rookery.core.argument import UNKNOWN
from rookery.core.view import CallView
from rookery.tui import ink
from rookery.tui.page import Page
from rookery.tui.progress import totals
from rookery.tui.rows import Rows
from rookery.tui.watch import Watch

MARKS = {"same": ("=", "dim"), "differs": ("≠", "bold yellow"), "first": ("◀", "red"), "second": ("▶", "green")}
WORDS = {"same": "same", "differs": "differs", "first": "only left", "second": "only right"}
LINES = 2_000
"""Of each value so many lines are compared."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One call, in both runs as far as they have it."""

    path: str
    first: CallView | None
    second: CallView | None

    @property
    def verdict(self) -> str:
        """``same``, ``differs``, or which run alone has it."""
        if self.first is None:
            return "second"
        if self.second is None:
            return "first"
        same = self.first.value == self.second.value and self.first.status == self.second.status
        return "same" if same else "differs"


def pairs(first: Watch, second: Watch) -> list[Pair]:
    """The calls of two runs by their paths, in the order of the first run; those that only the second has come last."""
    here, there = first.view.calls, second.view.calls
    found = [Pair(path, call, there.get(path)) for path, call in here.items()]
    return found + [Pair(path, None, call) for path, call in there.items() if path not in here]


def difference(first: Any, second: Any) -> Text:
    """Two values as a diff, line by line."""
    before, after = _lines(first), _lines(second)
    text = Text()
    for line in difflib.unified_diff(before, after, "left", "right", lineterm="", n=3):
        style = "green" if line.startswith("+") else "red" if line.startswith("-") else "bold blue" if line.startswith("@") else ""
        text.append(f"{ink.clean(line)}\n", style=style)
    return text if text.plain else ink.styled("the values are the same", "dim")


def _lines(value: Any) -> list[str]:
    if value is UNKNOWN:
        return []
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return text[: 40 * LINES].splitlines()[:LINES]


class ComparePage(Page):
    """The calls of both runs, and the one that is looked at."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "next", "Next difference"),
        Binding("u", "only", "Only differences"),
        Binding("escape", "app.page('run')", "Back"),
    ]

    def __init__(self, first: Watch, second: Watch) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.only_differences = False

    def compose_page(self) -> ComposeResult:
        yield Static(id="heads", markup=False)
        with Container(classes="sides"):
            rows: Rows[Pair] = Rows(_drawn, key=lambda pair: pair.path, empty="no calls", id="pairs")
            rows.add_class("first", "panel")
            rows.border_title = "calls"
            yield rows
            side = VerticalScroll(Static(id="diff", markup=False), classes="second panel", can_focus=True)
            side.border_title = "values"
            yield side

    def on_mount(self) -> None:
        self.query_one(Rows).focus()

    def display_page(self) -> None:
        for watch in (self.first, self.second):
            watch.read()
        heads = Text()
        for side, watch in (("left ", self.first), ("right", self.second)):
            heads.append(f" {side} ", style="reverse").append(f" {ink.line(watch.run, 40)}  ", style="bold").append_text(ink.status(watch.status))
            heads.append(f"  {totals(watch.view, watch.view.executed_s)}\n", style="dim")
        self.query_one("#heads", Static).update(heads)
        found = pairs(self.first, self.second)
        shown = [pair for pair in found if pair.verdict != "same"] if self.only_differences else found
        rows = self.query_one(Rows)
        rows.border_subtitle = f"{sum(1 for pair in found if pair.verdict != 'same'):,} of {len(found):,} differ"
        rows.show(shown)
        self._show(rows.row)

    def on_rows_moved(self, event: Rows.Moved) -> None:
        self._show(event.row)

    def _show(self, pair: Pair | None) -> None:
        if pair is None:
            return
        text = ink.styled(f"{ink.line(pair.path, 200)}\n", "bold")
        for side, call in (("left ", pair.first), ("right", pair.second)):
            text.append(f"{side}  ", style="dim")
            if call is None:
                text.append("has no such call\n", style="dim")
                continue
            took = ink.duration(max(0.0, call.ended_at - call.started_at)) if call.ended_at else ""
            text.append_text(ink.status(call.status)).append(f"  {call.model}  {ink.spent(call.spend)}  {took}\n")
        text.append("\n").append_text(difference(self.first.reader.value(pair.path), self.second.reader.value(pair.path)))
        self.query_one("#diff", Static).update(text)

    def action_next(self) -> None:
        """Go to the next call that differs."""
        rows = self.query_one(Rows)
        for step in range(1, len(rows.items) + 1):
            place = (rows.cursor + step) % len(rows.items)
            if rows.items[place].verdict != "same":
                rows.action_to(place)
                return

    def action_only(self) -> None:
        """List only what differs, or everything."""
        self.only_differences = not self.only_differences
        self.display_page()


def _drawn(pair: Pair, width: int) -> Text:
    mark, style = MARKS[pair.verdict]
    text = ink.styled(f" {mark} ", style)
    right = ink.styled(WORDS[pair.verdict], style)
    text.append(ink.line(pair.path, max(6, width - 5 - right.cell_len)), style="dim" if pair.verdict == "same" else "")
    return text.append(" " * max(1, width - text.cell_len - right.cell_len - 1)).append_text(right)
