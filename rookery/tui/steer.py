"""What can be done to the run that is looked at, by key, on each of its screens: answer, pause, break, edit, resume, follow, save, compare."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer

from rookery.core.argument import UNKNOWN
from rookery.core.event import QuestionAsked
from rookery.engine.log import RunInfo
from rookery.errors import RookeryError
from rookery.tui import ink
from rookery.tui.bar import RunBar
from rookery.tui.dialog import AskDialog, ConfirmDialog, EditDialog, PickDialog
from rookery.tui.page import Page, Tabs

if TYPE_CHECKING:
    from rookery.tui.watch import Watch


class RunPage(Page):
    """A screen of one run, with what can be done to it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "answer", "Answer"),
        Binding("p", "pause", "Pause"),
        Binding("c", "go_on", "Go on"),
        Binding("r", "resume", "Resume"),
        Binding("x", "cancel", "Cancel", show=False),
        Binding("b", "break", "Break"),
        Binding("e", "edit", "Edit"),
        Binding("E", "edit_prompt", "Edit prompt", show=False),
        Binding("f", "follow", "Follow"),
        Binding("y", "copy", "Copy", show=False),
        Binding("s", "save", "Save"),
        Binding("d", "compare", "Compare", show=False),
    ]

    def compose(self) -> ComposeResult:
        yield Tabs(self.name_of_page)
        yield RunBar(markup=False)
        yield from self.compose_page()
        yield Footer(show_command_palette=True)

    @property
    def current(self) -> Watch | None:
        """The run that is looked at."""
        return self.rookery.current

    @property
    def place(self) -> str:
        """The path of the call that is looked at; empty when it is the run itself."""
        return ""

    def display_page(self) -> None:
        watch = self.current
        if watch is None:
            return
        self.query_one(RunBar).show(watch)
        self.display_run(watch)

    def display_bar(self) -> None:
        """Only time has passed."""
        if self.current is not None:
            self.query_one(RunBar).show(self.current)
            self.display_time(self.current)

    def display_time(self, watch: Watch) -> None:
        """Show what changes with the time alone."""

    def display_run(self, watch: Watch) -> None:
        """Show the run as it stands."""
        raise NotImplementedError

    def reveal(self, path: str) -> None:
        """Look at a call."""

    # ---------------------------------------------------------------- what a person may do

    def _post(self, verb: str, place: str = "", value: Any = None, *, done: str) -> None:
        watch = self.current
        if watch is None:
            return
        if watch.view.status == "finished" and verb != "breakpoint":
            self.notify("this run is finished; e forks it with a change", severity="warning")
            return
        try:
            watch.post(verb, place, value)
        except RookeryError as error:
            self.notify(error.reason, severity="error", markup=False)
        else:
            self.notify(done if watch.is_carried_now() else f"{done}; r resumes the run", markup=False, timeout=3)

    def action_pause(self) -> None:
        """Start no further calls, or start them again."""
        watch = self.current
        if watch is not None:
            paused = watch.view.paused
            self._post("continue" if paused else "pause", done="it goes on" if paused else "it pauses: calls in flight end, no others start")

    def action_go_on(self) -> None:
        """Let the call that is looked at pass its breakpoint; else the run, or the first call that waits at one."""
        watch = self.current
        if watch is None:
            return
        held = [path for path, call in watch.view.calls.items() if call.status == "waiting" and path not in watch.view.questions]
        place = self.place if self.place in held else "" if watch.view.paused else next(iter(held), "")
        self._post("continue", place, done=f"{place or 'it'} goes on")

    def action_break(self) -> None:
        """Let calls at this place wait before they start; or no longer."""
        watch = self.current
        if watch is None or not self.place:
            return
        variables = [variable for argument in watch.reader.arguments(self.place) for variable in argument.variables]
        places = [self.place, *(_general(variable) for variable in variables)]
        marked = watch.view.breakpoints

        def chosen(place: Any) -> None:
            if place is not None:
                on = place not in marked
                self._post("breakpoint", place, on, done=f"calls at {place} {'wait before they start' if on else 'no longer wait'}")

        def drawn(place: str, width: int) -> Text:
            return Text(f" {'◉' if place in marked else '○'} {ink.line(place, width - 4)}")

        title = "break before this call, or before all that read a variable"
        self.app.push_screen(PickDialog(title, list(dict.fromkeys(places)), draw=drawn), chosen)

    def action_cancel(self) -> None:
        """End the run, or the call that is looked at."""
        watch = self.current
        if watch is None:
            return
        call = watch.view.calls.get(self.place)
        place = self.place if call is not None and call.status in ("running", "again", "waiting") else ""

        def chosen(yes: bool | None) -> None:
            if yes:
                self._post("cancel", place, done=f"{place or 'the run'} is cancelled")

        self.app.push_screen(ConfirmDialog(f"Cancel {place or 'the run'}?", note="What is finished is kept, and the run can be resumed."), chosen)

    def action_resume(self) -> None:
        """Carry the run on, in a process of its own."""
        watch = self.current
        if watch is None:
            return
        if watch.is_carried_now():
            self.notify("somebody carries it out already", severity="warning")
        elif watch.view.status == "finished":
            self.notify("it is finished; e forks it with a change", severity="warning")
        else:
            self.rookery.carry(["resume", watch.run], "it is resumed")

    def action_answer(self) -> None:
        """Answer an open question: that of the call that is looked at, else the first one."""
        watch = self.current
        if watch is None:
            return
        asked = watch.view.questions.get(self.place) or next(iter(watch.view.questions.values()), None)
        if asked is None:
            self.notify("nothing is asked", timeout=2)
        else:
            self.ask(watch, asked)

    def ask(self, watch: Watch, asked: QuestionAsked) -> None:
        """Put a question of the run to the person."""
        shown = watch.reader.stored(asked.show) if asked.show else UNKNOWN
        self.rookery.asking = asked.call

        def chosen(answer: Any) -> None:
            self.rookery.asking = ""
            if answer is not None:
                self.answer(asked.call, answer[0])

        self.app.push_screen(AskDialog(asked, None if shown is UNKNOWN else shown), chosen)

    def answer(self, call: str, value: Any) -> None:
        """Answer a question; one that was answered meanwhile is left."""
        watch = self.current
        if watch is None or call not in watch.view.questions:
            self.notify("it was answered elsewhere", severity="warning")
            return
        self._post("answer", call, value, done=f"{ink.line(call, 60)} is answered")
        if not watch.is_carried_now():
            self.rookery.carry(["resume", watch.run], "it is resumed")

    # ---------------------------------------------------------------- edits

    def action_edit(self) -> None:
        """Change the value of this call; only what depends on it runs again. A finished run is forked."""
        watch = self.current
        if watch is None:
            return
        place = self.place
        if not place:
            self._pick_input(watch)
            return
        self._edit(watch, place)

    def _pick_input(self, watch: Watch) -> None:
        names = [f"inputs.{name}" for name in watch.view.inputs]
        self.app.push_screen(PickDialog("change which input?", names), lambda name: self._edit(watch, name) if name else None)

    def _edit(self, watch: Watch, place: str) -> None:
        value = watch.reader.value(place, whole=True)
        is_text = isinstance(value, str) or (value is UNKNOWN and watch.reader.type(place) == "str")
        text = value if isinstance(value, str) else "" if value is UNKNOWN else json.dumps(value, ensure_ascii=False, indent=2)

        def checked(text: str) -> str:
            if is_text:
                return ""
            try:
                json.loads(text)
            except ValueError as error:
                return f"not JSON: {error}"
            return ""

        def chosen(text: str | None) -> None:
            if text is not None:
                self._change(watch, place, text if is_text else json.loads(text))

        note = "text" if is_text else "JSON"
        self.app.push_screen(EditDialog(f"value of {ink.line(place, 60)}", text, note=note, check=checked), chosen)

    def _change(self, watch: Watch, place: str, value: Any) -> None:
        if watch.view.status == "finished":
            words = ["fork", watch.run, f"{place}={json.dumps(value, ensure_ascii=False)}"]
            self.rookery.carry(words, "a fork begins; only what depends on it runs", new=True)
            return
        self._post("edit", place, value, done=f"{ink.line(place, 60)} is changed; only what depends on it runs again")
        if not watch.is_carried_now():
            self.rookery.carry(["resume", watch.run], "it is resumed")

    def action_edit_prompt(self) -> None:
        """Change the words of this call's prompt, and run what depends on it again, in a fork."""
        watch = self.current
        entry = watch.reader.entry(self.place) if watch is not None and self.place else None
        if watch is None or entry is None or "template" not in entry:
            self.notify("choose a call of a prompt first", severity="warning")
            return

        def chosen(text: str | None) -> None:
            if text is not None and text != entry["template"]:
                words = ["fork", watch.run, "--prompt", f"{entry['function']}={text}"]
                self.rookery.carry(words, "a fork begins; only what depends on the prompt runs", new=True)

        note = "{name} is a hole; what depends on it runs again, in a new run"
        self.app.push_screen(EditDialog(f"prompt {entry['function']}", entry["template"], note=note), chosen)

    # ---------------------------------------------------------------- ways

    def action_follow(self) -> None:
        """Go along a variable: to the call that made it, or to one that reads it."""
        watch = self.current
        if watch is None or not self.place:
            return
        ways: list[tuple[str, str]] = []
        for argument in watch.reader.arguments(self.place):
            ways += [("made by", watch.reader.producer(variable) or variable) for variable in argument.variables]
        ways += [("read by", path) for path in watch.reader.consumers(self.place)[:200]]
        ways = [way for way in dict.fromkeys(ways) if not way[1].startswith("inputs.")]
        if not ways:
            self.notify("it reads only inputs, and nothing reads it", timeout=3)
            return

        def drawn(way: tuple[str, str], width: int) -> Text:
            return Text.assemble((f" {way[0]}  ", "dim"), ink.line(way[1], max(8, width - 11)))

        self.app.push_screen(PickDialog("follow a variable", ways, draw=drawn), lambda way: self.reveal(way[1]) if way else None)

    def action_copy(self) -> None:
        """Copy the value of this call to the clipboard."""
        watch = self.current
        if watch is None:
            return
        value = watch.reader.value(self.place, whole=True) if self.place else watch.reader.stored(watch.view.value)
        if value is UNKNOWN:
            self.notify("there is no value yet", severity="warning")
            return
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        self.app.copy_to_clipboard(text)
        self.notify(f"{len(text):,} characters copied", timeout=2)

    def action_save(self) -> None:
        """Save something of the run to a file."""
        watch = self.current
        if watch is not None:
            self.rookery.save(watch, self.place)

    def action_compare(self) -> None:
        """Show this run beside another one."""
        watch = self.current
        if watch is None:
            return
        others = [info for info in self.rookery.event_log.runs() if info.run != watch.run]
        others.sort(key=lambda info: (info.run != watch.info.parent and info.parent != watch.run, info.program != watch.view.program))

        def drawn(info: RunInfo, width: int) -> Text:
            return Text(" " + ink.line(f"{info.run}  {info.state}  {info.program}", width - 1))

        def chosen(info: RunInfo | None) -> None:
            if info is not None:
                self.rookery.compare(info.run)

        self.app.push_screen(PickDialog(f"compare {watch.run} with", others, draw=drawn), chosen)


def _general(variable: str) -> str:
    """A variable without the place in a list: breakpoints are on whole variables."""
    return variable.partition("[")[0] if variable.endswith("]") else variable
