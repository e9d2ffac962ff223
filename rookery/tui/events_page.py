"""The Events screen: the run's log line by line; any moment of it can be jumped to, and stepped from, and all screens show the run as it was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.widgets import Static

from rookery.core.event import Event, Fault, Spend
from rookery.tui import ink
from rookery.tui.dialog import TextDialog
from rookery.tui.rows import Rows
from rookery.tui.steer import RunPage

if TYPE_CHECKING:
    from rookery.tui.watch import Watch

STYLES = {"CallFinished": "green", "CallFailed": "red", "RunFailed": "bold red", "RunFinished": "bold green", "AttemptFailed": "yellow",
          "QuestionAsked": "bold yellow", "QuestionAnswered": "cyan", "CallStarted": "cyan", "RunStarted": "bold", "RunResumed": "bold",
          "MessageRefused": "red", "VariableEdited": "magenta", "BreakpointHit": "bold yellow"}  # fmt: skip


class EventsPage(RunPage):
    """The log."""

    name_of_page = "events"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "jump", "Jump here", show=True),
        Binding("left_square_bracket,comma", "step(-1)", "Step back", key_display="["),
        Binding("right_square_bracket,full_stop", "step(1)", "Step", key_display="]"),
        Binding("0", "now", "Now"),
        Binding("slash", "find", "Find", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.words = ""
        self._told: dict[int, str] = {}
        self._told_of: Watch | None = None

    def compose_page(self) -> ComposeResult:
        with Container(classes="sides"):
            rows: Rows[tuple[int, Event]] = Rows(self._drawn, key=lambda row: row[0], empty="no events", id="events", follow=True)
            rows.add_class("first", "panel")
            rows.border_title = "events"
            yield rows
            side = VerticalScroll(Static(id="event", markup=False), classes="second panel", can_focus=True)
            side.border_title = "event"
            yield side

    def on_mount(self) -> None:
        self.query_one(Rows).focus()

    @property
    def place(self) -> str:
        row = self.query_one(Rows).row
        return str(getattr(row[1], "call", "") or getattr(row[1], "variable", "")) if isinstance(row, tuple) else ""

    def display_run(self, watch: Watch) -> None:
        if watch is not self._told_of:
            self._told_of = watch
            self._told.clear()
        rows = self.query_one(Rows)
        rows.border_subtitle = f"{watch.shown:,} of {len(watch.events):,}"
        rows.show(_Numbered(watch.events))
        self._display_event(watch)

    def _display_event(self, watch: Watch) -> None:
        row = self.query_one(Rows).row
        if not isinstance(row, tuple):
            return
        number, event = row
        text = ink.styled(type(event).__name__, "bold")
        text.append(f"  event {number:,}, +{event.at - watch.events[0].at:.3f} s\n", style="dim")
        for field in fields(event):
            value = getattr(event, field.name)
            if field.name in ("at", "held") or value in (None, "", frozenset()):
                continue
            text.append(f"\n{field.name:<10}", style="dim")
            if field.name in ("value", "show") and isinstance(value, str):
                text.append(f"{ink.line(value, 60)}\n", style="dim").append(ink.shown(watch.reader.stored(value), most=4_000))
            else:
                text.append(ink.body(_plain(value), most=4_000))
        self.query_one("#event", Static).update(text)

    def _drawn(self, row: tuple[int, Event], width: int) -> Text:
        number, event = row
        watch = self.current
        is_past = watch is not None and number <= watch.shown
        first = watch.events[0].at if watch is not None and watch.events else event.at
        here = watch is not None and watch.moment is not None and number == watch.moment
        text = ink.styled(" ▶" if here else "  ", "bold magenta")
        text.append(f"{event.at - first:9.2f} ", style="dim")
        name = type(event).__name__
        text.append(f"{name:<16} ", style=STYLES.get(name, "") if is_past else "dim")
        told = self._told.get(number)
        if told is None:
            if len(self._told) > 5_000:
                self._told.clear()
            told = self._told[number] = ink.line(_told(event), 300)
        return text.append(ink.line(told, max(4, width - text.cell_len)), style="" if is_past else "dim")

    def on_rows_moved(self, event: Rows.Moved) -> None:
        if self.current is not None:
            self._display_event(self.current)

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        self.action_jump()

    def action_jump(self) -> None:
        """Show the run as it was right after this event, on all screens."""
        row = self.query_one(Rows).row
        if self.current is not None and isinstance(row, tuple):
            self.current.go(row[0])
            self.display_page()

    def action_step(self, by: int) -> None:
        """Go one event on, or back."""
        watch = self.current
        if watch is not None and watch.events:
            watch.go(max(1, min(len(watch.events), watch.shown + by)))
            rows = self.query_one(Rows)
            rows.action_to(watch.shown - 1)
            self.display_page()

    def action_now(self) -> None:
        """Show the run as it is."""
        if self.current is not None:
            self.current.go(None)
            self.query_one(Rows).action_to(-1)
            self.display_page()

    def action_find(self) -> None:
        """Go to the next event with some words in it."""

        def chosen(words: str | None) -> None:
            if not words or self.current is None:
                return
            self.words = words
            rows = self.query_one(Rows)
            count = len(self.current.events)
            for step in range(1, count + 1):
                place = (rows.cursor + step) % count
                event = self.current.events[place]
                if words.lower() in f"{type(event).__name__} {_told(event)}".lower():
                    rows.action_to(place)
                    return
            self.notify(f"no event with “{words}”", markup=False)

        self.app.push_screen(TextDialog("go to the next event with", text=self.words), chosen)

    def reveal(self, path: str) -> None:
        self.rookery.look_at(path)


class _Numbered(Sequence[tuple[int, Event]]):
    """Events with their numbers from 1 on, made as they are looked at."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self._count = len(events)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place):  # type: ignore[no-untyped-def]
        return place + 1, self._events[place]


def _told(event: Event) -> str:
    words = []
    for field in fields(event):
        value = getattr(event, field.name)
        if field.name in ("at", "held", "schema", "form") or value in (None, "", 0, 0.0, False) or value == field.default:
            continue
        words.append(_plain(value)[:160] if field.name in ("call", "variable", "place") else f"{field.name}={_plain(value)[:160]}")
    return " ".join(words)


def _plain(value: object) -> str:
    if isinstance(value, Fault):
        return f"{value.kind}: {value.message}" + (f" → {value.hint}" if value.hint else "")
    if isinstance(value, Spend):
        return ink.spent(value) or f"{value.calls} requests"
    if isinstance(value, frozenset):
        return ", ".join(sorted(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
