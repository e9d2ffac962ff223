"""Dialogs over a screen: a question of a run (an approval above all), a text to edit, one of several things to pick, inputs to begin with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static, TextArea

from rookery.core.event import QuestionAsked
from rookery.errors import RookeryError
from rookery.tui import ink
from rookery.tui.answer import answer_of, expected, options
from rookery.tui.rows import Rows

R = TypeVar("R")
GUARD_S = 0.4
"""A dialog that came up by itself takes no yes before: what a person was typing was not meant for it."""


class Dialog(ModalScreen[R]):
    """What all dialogs share: a frame in the middle, and Escape, which changes nothing."""

    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background 60%; }
    Dialog > Vertical { width: 76; max-width: 96%; height: auto; max-height: 92%; background: $surface; border: round $accent; padding: 1 2; }
    Dialog VerticalScroll { height: auto; max-height: 14; background: $panel; padding: 0 1; margin: 1 0; }
    Dialog Horizontal { height: auto; align-horizontal: right; }
    Dialog Button { margin-left: 2; min-width: 10; height: 3; }
    Dialog Button:focus { text-style: bold reverse; }
    Dialog .fault { color: $error; height: auto; }
    Dialog .hint { color: $foreground 60%; height: auto; }
    Dialog TextArea { height: 14; max-height: 60vh; margin: 1 0; }
    Dialog Input { margin: 1 0; }
    Dialog Rows { height: auto; min-height: 3; max-height: 16; margin: 1 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Close, change nothing")]

    def action_leave(self) -> None:
        """Close it; nothing is changed."""
        self.dismiss(None)

    def complain(self, words: str) -> None:
        """Say what is wrong with what was entered."""
        self.query_one(".fault", Static).update(Text(ink.body(words, most=600)))


class AskDialog(Dialog[Any]):
    """A question of a run. Gives ``(answer,)``, or None when it was left: then the call goes on waiting, and nothing that needs a yes happens.

    For a permission the exact arguments stand in full, with their labels; No has the focus.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "say(True)", "Yes", show=False), Binding("n", "say(False)", "No", show=False),
    ]

    def __init__(self, asked: QuestionAsked, shown: Any, *, labels: Sequence[str] = (), clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.asked = asked
        self.shown = shown
        self.labels = labels
        self.choices = options(asked.schema)
        self._clock = clock
        self._warned = False
        self._came_at = clock()

    def compose(self) -> ComposeResult:
        is_permission = self.choices == [True, False]
        with Vertical():
            yield Label(ink.styled("permission" if is_permission else "question", "bold yellow"), markup=False)
            yield Static(ink.styled(ink.body(self.asked.question), "bold"), markup=False)
            if self.shown is not None:
                with VerticalScroll(can_focus=True):
                    yield Static(pictured(self.shown, self.labels), id="shown", markup=False)
            yield Static(Text(f"{ink.line(self.asked.call, 60)} waits; takes {expected(self.asked.schema)}"), classes="hint", markup=False)
            yield Static("", classes="fault", markup=False)
            if is_permission:
                with Horizontal():
                    yield Button("No  n", id="no")
                    yield Button("Yes  y", id="yes", variant="warning")
            elif self.choices:
                yield Rows(lambda row, width: Text(" " + ink.brief(row, width - 1)), id="choices")
            else:
                yield Input(placeholder=expected(self.asked.schema), id="words")

    def on_mount(self) -> None:
        if self.choices == [True, False]:
            self.query_one("#no", Button).focus()
        elif self.choices:
            rows = self.query_one("#choices", Rows)
            rows.show(self.choices)
            rows.focus()
        else:
            self.query_one("#words", Input).focus()

    def action_say(self, yes: bool) -> None:
        """Answer a yes-or-no question."""
        if self.choices != [True, False]:
            return
        if yes and self._clock() - self._came_at < GUARD_S:
            self.complain("that came as soon as the question did; press it again if you mean it")
            return
        self.dismiss((yes,))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.action_say(event.button.id == "yes")

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        self.dismiss((event.row,))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if not event.value.strip() and not self._warned:
            self._warned = True
            self.complain("nothing was typed: enter again answers with nothing, escape leaves it open")
            return
        try:
            self.dismiss((answer_of(event.value, self.asked),))
        except RookeryError as error:
            self.complain(error.reason)


def pictured(shown: Any, labels: Sequence[str] = ()) -> Text:
    """What a question shows: of a permission the tool and its exact arguments, whole, each with its labels."""
    if not (isinstance(shown, Mapping) and "tool" in shown and isinstance(shown.get("arguments"), Mapping)):
        text = Text(ink.shown(shown))
    else:
        why = shown.get("labels")
        text = ink.styled(ink.line(str(shown["tool"]), 200), "bold cyan")
        for name, value in shown["arguments"].items():
            text.append(f"\n{ink.line(str(name), 80)} = ")
            text.append(_exact(value), style="bold")
        for label in why if isinstance(why, list) else ():
            text.append(f"\n! {ink.body(str(label), most=500)}", style="yellow")
    if labels:
        text.append(f"\nlabels: {', '.join(ink.line(label, 40) for label in labels)}", style="yellow")
    return text


def _exact(value: Any) -> str:
    """A value as JSON, so that nothing in it passes unseen: line ends, invisible and direction-changing characters as escapes."""
    text = json.dumps(value, ensure_ascii=False, indent=None if isinstance(value, str) else 2)
    return "".join(char if char == "\n" or char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class EditDialog(Dialog[str]):
    """A text to edit. ``check`` says what is wrong with it; an empty word lets it pass."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+s", "keep", "Keep")]

    def __init__(self, title: str, text: str, *, note: str = "", check: Callable[[str], str] = lambda text: "") -> None:
        super().__init__()
        self.heading = title
        self.text = text
        self.note = note
        self.check = check

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label(ink.styled(self.heading, "bold"), markup=False)
            yield TextArea(self.text, id="text", soft_wrap=True)
            yield Static(Text(f"{self.note}  ctrl+s keeps it, escape leaves it as it was".strip()), classes="hint", markup=False)
            yield Static("", classes="fault", markup=False)

    def on_mount(self) -> None:
        self.query_one(TextArea).focus()

    def action_keep(self) -> None:
        """Give the text back, if there is nothing wrong with it."""
        text = self.query_one(TextArea).text
        wrong = self.check(text)
        if wrong:
            self.complain(wrong)
        else:
            self.dismiss(text)


class PickDialog(Dialog[Any]):
    """One of several things to pick; gives it, or None."""

    def __init__(self, title: str, things: Sequence[Any], *, draw: Callable[[Any, int], Text] | None = None, note: str = "") -> None:
        super().__init__()
        self.heading = title
        self.things = things
        self.note = note
        self._draw = draw or (lambda row, width: Text(" " + ink.line(str(row), width - 1)))

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label(ink.styled(self.heading, "bold"), markup=False)
            yield Rows(self._draw, empty="there is nothing to pick")
            yield Static(Text(f"{self.note}  enter picks, escape leaves".strip()), classes="hint", markup=False)

    def on_mount(self) -> None:
        rows = self.query_one(Rows)
        rows.show(self.things)
        rows.focus()

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        self.dismiss(event.row)


class ConfirmDialog(Dialog[bool]):
    """Something that cannot be taken back; gives True only for a plain yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "say(True)", "Yes", show=False), Binding("n", "say(False)", "No", show=False),
    ]

    def __init__(self, question: str, *, note: str = "") -> None:
        super().__init__()
        self.question = question
        self.note = note

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(ink.styled(self.question, "bold"), markup=False)
            yield Static(Text(self.note), classes="hint", markup=False)
            with Horizontal():
                yield Button("No  n", id="no")
                yield Button("Yes  y", id="yes", variant="error")

    def on_mount(self) -> None:
        self.query_one("#no", Button).focus()

    def action_say(self, yes: bool) -> None:
        """Answer."""
        self.dismiss(yes)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")


class TextDialog(Dialog[str]):
    """One line of text; gives it, or None."""

    def __init__(self, title: str, *, text: str = "", note: str = "", placeholder: str = "") -> None:
        super().__init__()
        self.heading, self.text, self.note, self.placeholder = title, text, note, placeholder

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label(ink.styled(self.heading, "bold"), markup=False)
            yield Input(self.text, placeholder=self.placeholder)
            yield Static(Text(self.note), classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)


class StartDialog(Dialog[dict[str, str]]):
    """The inputs of a program that is to be run; gives them as words by name."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+s", "begin", "Begin")]

    def __init__(self, program: str, inputs: Sequence[Mapping[str, Any]], *, model: str = "") -> None:
        super().__init__()
        self.program, self.inputs, self.model = program, inputs, model

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label(ink.styled(f"run {ink.line(self.program, 64)}", "bold"), markup=False)
            with VerticalScroll():
                for each in self.inputs:
                    given = f", {each['default']} unless given" if each.get("has_default") else ""
                    yield Label(Text(f"{each['name']}: {each['type']}{given}"), markup=False)
                    yield Input(name=each["name"], classes="given")
                yield Label(Text("model (empty: the one of the settings)"), markup=False)
                yield Input(self.model, id="model", placeholder="provider:NAME[@BASE_URL]")
            yield Static(Text("enter goes to the next, ctrl+s begins, escape leaves"), classes="hint", markup=False)
            yield Static("", classes="fault", markup=False)

    def on_mount(self) -> None:
        self.query(Input).first().focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "model":
            self.action_begin()
        else:
            self.focus_next()

    def action_begin(self) -> None:
        """Give the inputs back."""
        has_default = {each["name"] for each in self.inputs if each.get("has_default")}
        words = {str(each.name): each.value for each in self.query(Input) if each.has_class("given")}
        missing = [name for name, word in words.items() if not word and name not in has_default]
        if missing:
            self.complain(f"not given: {', '.join(missing)}")
            return
        model = self.query_one("#model", Input).value.strip()
        self.dismiss({name: word for name, word in words.items() if word or name not in has_default} | ({"\0model": model} if model else {}))
