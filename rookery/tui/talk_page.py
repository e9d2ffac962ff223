"""The Conversation screen: a run told as a talk, with a line to answer on, tool calls that fold, and completed ``<symbols>``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.suggester import Suggester
from textual.widgets import Input, Static

from rookery.core.event import QuestionAsked
from rookery.errors import RookeryError
from rookery.tui import ink
from rookery.tui.answer import answer_of, expected, options
from rookery.tui.rows import Rows
from rookery.tui.steer import RunPage
from rookery.tui.transcript import Told, Turn, turns

if TYPE_CHECKING:
    from rookery.tui.watch import Watch

HEADS = {
    "person": ("▌ ", "bold cyan"), "model": ("▌ ", "bold green"), "tool": ("⚙ ", "magenta"), "asks": ("? ", "bold yellow"), "run": ("■ ", "bold"),
}  # fmt: skip
_SYMBOL = re.compile(r"<([A-Za-z_][\w.-]*)?\Z")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the talk as it is wrapped for a width."""

    turn: Turn
    number: int
    """Of the turn's lines."""
    text: Text


class Symbols(Suggester):
    """Completes ``<name`` by the symbols that a memory, or the run itself, knows."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.names: Sequence[str] = ()

    async def get_suggestion(self, value: str) -> str | None:
        found = _SYMBOL.search(value)
        if found is None:
            return None
        begun = found.group(1) or ""
        name = next((name for name in self.names if name.startswith(begun) and name != begun), None)
        return f"{value[: found.start()]}<{name}>" if name is not None else None


class TalkPage(RunPage):
    """The talk, and under it the line for the person."""

    name_of_page = "talk"
    DEFAULT_CSS = """
    TalkPage #asked { height: auto; max-height: 4; padding: 0 2; color: $accent; }
    TalkPage #say { border: round $border; background: $surface; }
    TalkPage #say:focus { border: round $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "turn", "Fold"),
        Binding("tab", "app.focus_next", "Say something", show=False),
        Binding("escape", "read", "Keys"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.opened: dict[tuple[str, str], bool] = {}
        self.symbols = Symbols()
        self._shown: Any = None
        self._told_of: Watch | None = None
        self._told: Told = {}
        self._wrapped: dict[tuple[Turn, int, bool], list[Line]] = {}
        self._put: set[str] = set()
        """Questions that have been put to the person already."""

    def compose_page(self) -> ComposeResult:
        rows: Rows[Line] = Rows(lambda line, width: line.text.copy(), key=_key, empty="nothing has been said", id="talk", follow=True)
        rows.add_class("panel")
        rows.border_title = "conversation"
        yield rows
        yield Static(id="asked", markup=False)
        yield Input(id="say", placeholder="nothing is asked", suggester=self.symbols)

    def on_mount(self) -> None:
        self.query_one(Rows).focus()

    @property
    def place(self) -> str:
        row = self.query_one(Rows).row
        return row.turn.call if isinstance(row, Line) and not row.turn.call.startswith("inputs.") else ""

    @property
    def asked(self) -> QuestionAsked | None:
        """The first open question that is answered in words."""
        questions = self.current.view.questions.values() if self.current is not None else ()
        return next((asked for asked in questions if not options(asked.schema)), None)

    def display_run(self, watch: Watch) -> None:
        rows = self.query_one(Rows)
        width = max(20, rows.size.width - 1)
        state = (watch.version, width, tuple(self.opened.items()))
        if state != self._shown:
            self._shown = state
            if self._told_of is not watch:
                self._told_of, self._told = watch, {}
            rows.show(self._lines(turns(watch, self._told), width))
        asked = self.asked
        permissions = [each for each in watch.view.questions.values() if options(each.schema)]
        words = "" if asked is None else f"? {ink.line(asked.question, 300)}  ({expected(asked.schema)}, enter answers)"
        if permissions:
            words = f"{words}\n? {ink.line(permissions[0].question, 300)}  (a answers)".strip()
        self.query_one("#asked", Static).update(Text(words))
        if permissions and permissions[0].call not in self._put and self.is_current and watch.moment is None:
            self._put.add(permissions[0].call)  # once: who leaves it can come back by `a`
            self.ask(watch, permissions[0])
        say = self.query_one("#say", Input)
        if asked is not None and asked.call not in self._put and self.is_current:
            self._put.add(asked.call)
            say.focus()
        elif asked is None and say.has_focus and not say.value:
            self.action_read()
        say.placeholder = "nothing is asked" if asked is None else "answer; <name> stands for a symbol"
        self.symbols.names = self.rookery.symbols(watch)

    def _lines(self, said: Sequence[Turn], width: int) -> list[Line]:
        found: list[Line] = []
        if len(self._wrapped) > 20_000:
            self._wrapped.clear()
        for turn in said:
            key = turn, width, self.opened.get((turn.call, turn.who), turn.is_open)
            lines = self._wrapped.get(key)
            if lines is None:
                lines = self._wrapped[key] = list(self._turn_lines(*key))
            found += lines
        return found

    def _turn_lines(self, turn: Turn, width: int, is_open: bool) -> Iterator[Line]:
        """A turn as lines of a width."""
        mark, style = HEADS[turn.who]
        title = ink.styled(mark, style)
        if turn.who == "tool":
            title.append("▾ " if is_open else "▸ ", style="dim")
        title.append(ink.line(turn.title, max(10, width - 14)), style=style)
        if turn.status in ("running", "waiting", "failed", "again"):
            title.append("  ").append_text(ink.status(turn.status))
        yield Line(turn, 0, title)
        if is_open and turn.text:
            body = ink.styled(ink.body(turn.text), "italic" if turn.status == "running" else "")
            bar = "" if turn.who == "tool" else mark[0]
            for number, piece in enumerate(body.wrap(self.app.console, max(8, width - 4)), 1):
                piece.rstrip()
                yield Line(turn, number, Text.assemble((f"{bar:<2}", style), piece))
        yield Line(turn, -1, Text(""))

    def action_turn(self) -> None:
        """Show all of this turn, or its first line only."""
        row = self.query_one(Rows).row
        if isinstance(row, Line) and self.current is not None:
            key = (row.turn.call, row.turn.who)
            self.opened[key] = not self.opened.get(key, row.turn.is_open)
            self.display_run(self.current)

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        row = event.row
        if isinstance(row, Line) and self.current is not None and row.turn.call in self.current.view.questions:
            if row.turn.call == getattr(self.asked, "call", None):
                self.query_one("#say", Input).focus()
            else:
                self.action_answer()
        else:
            self.action_turn()

    def action_read(self) -> None:
        """Go back to the talk."""
        self.query_one(Rows).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        asked = self.asked
        if event.input.id != "say":
            return
        if not event.value.strip() and asked is not None:
            self.ask(self.current, asked)  # type: ignore[arg-type]  # answering with nothing is asked about
            return
        if asked is None:
            self.notify("nothing is asked just now", severity="warning", timeout=3)
            return
        try:
            value = answer_of(event.value, asked)
        except RookeryError as error:
            self.notify(error.reason, severity="error", markup=False)
            return
        event.input.clear()
        self.answer(asked.call, value)

    def reveal(self, path: str) -> None:
        self.rookery.look_at(path)


def _key(line: Line) -> tuple[str, str, int]:
    return line.turn.call, line.turn.who, line.number
