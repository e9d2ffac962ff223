"""The Run screen: the calls as they come, and the one that is looked at in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import ContentSwitcher

from rookery.tui.calls import CallList
from rookery.tui.detail import CallDetail
from rookery.tui.dialog import TextDialog
from rookery.tui.picture import GraphPicture
from rookery.tui.rows import Rows
from rookery.tui.steer import RunPage

if TYPE_CHECKING:
    from rookery.tui.watch import Watch

STATUSES = ("done", "running", "waiting", "again", "failed", "stopped")


class CallsPage(RunPage):
    """Calls on one side, or the graph as a picture; the chosen call on the other."""

    name_of_page = "run"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("g", "picture", "Graph"),
        Binding("slash", "find", "Find", show=False),
        Binding("i", "whole_run", "The run itself", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._looks_at_run = True

    def compose_page(self) -> ComposeResult:
        with Container(classes="sides"):
            with ContentSwitcher(initial="calls", classes="first panel", id="left"):
                yield CallList(id="calls")
                yield GraphPicture(id="picture")
            yield CallDetail(id="detail")

    def on_mount(self) -> None:
        self.query_one("#detail").add_class("second", "panel")
        self.query_one("#left").border_title = "calls"
        self.query_one("#detail").border_title = "the run"
        self.query_one(CallList).focus()

    @property
    def calls(self) -> CallList:
        return self.query_one(CallList)

    @property
    def place(self) -> str:
        return "" if self._looks_at_run else self.calls.path

    def display_run(self, watch: Watch) -> None:
        calls = self.calls
        calls.display_watch(watch)
        left = self.query_one("#left", ContentSwitcher)
        counts = watch.view.counts
        left.border_subtitle = "  ".join(f"{counts[word]:,} {word}" for word in STATUSES if counts[word])
        left.border_title = f"calls with “{calls.filter}”" if calls.filter else "calls"
        if left.current == "picture":
            self.query_one(GraphPicture).display_watch(watch, calls.path)
        self._display_call()

    def display_time(self, watch: Watch) -> None:
        self._display_call()

    def _display_call(self) -> None:
        if self.current is None:
            return
        detail = self.query_one(CallDetail)
        detail.display_call(self.current, self.place)
        detail.border_title = self.place or "the run"

    def reveal(self, path: str) -> None:
        if self.calls.reveal(path):
            self._looks_at_run = False
            self._display_call()

    def on_rows_moved(self, event: Rows.Moved) -> None:
        if event.rows is self.calls and self.calls.has_focus:
            self._looks_at_run = False
            self._display_call()

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        if event.rows is not self.calls:
            return
        self._looks_at_run = False
        row = self.calls.row
        if row is not None and row.item.items:
            self.calls.action_turn()
        elif row is not None and self.current is not None and row.item.path in self.current.view.questions:
            self.action_answer()
        else:
            self.query_one(CallDetail).focus()
        self._display_call()

    def action_picture(self) -> None:
        """Show the graph as a picture, or as a list."""
        left = self.query_one("#left", ContentSwitcher)
        left.current = "calls" if left.current == "picture" else "picture"
        self.display_page()
        (self.query_one(GraphPicture) if left.current == "picture" else self.calls).focus()

    def action_whole_run(self) -> None:
        """Look at the run itself: its inputs, its value."""
        self._looks_at_run = True
        self._display_call()

    def action_find(self) -> None:
        """List only the calls whose path, or whose state, has some words in it."""

        def chosen(words: str | None) -> None:
            if words is not None:
                self.calls.filter = words.strip()
                self.display_page()

        placeholder = "a part of their path, or failed, running …"
        self.app.push_screen(TextDialog("list the calls with", text=self.calls.filter, placeholder=placeholder), chosen)
