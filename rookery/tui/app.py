"""The terminal application: which log and which run are looked at, the screens, and the processes that carry runs out."""

from __future__ import annotations

import asyncio
import getpass
import os
import signal
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from rich.terminal_theme import TerminalTheme
from rich.text import Text
from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from rookery.engine.log import Log
from rookery.errors import RookeryError
from rookery.tui import ink
from rookery.tui.carrier import Carrier, asked
from rookery.tui.compare_page import ComparePage
from rookery.tui.dialog import AskDialog, Dialog, PickDialog, StartDialog
from rookery.tui.events_page import EventsPage
from rookery.tui.memory_page import MemoryPage
from rookery.tui.models_page import ModelsPage
from rookery.tui.page import TABS, Page
from rookery.tui.run_page import CallsPage
from rookery.tui.runs_page import RunsPage
from rookery.tui.save import Saving, savings, write
from rookery.tui.search_page import SearchPage
from rookery.tui.steer import RunPage
from rookery.tui.talk_page import TalkPage
from rookery.tui.tools_page import ToolsPage
from rookery.tui.watch import Fetched, Watch

EVERY_S = 0.05
"""How often the log is looked into while a run goes on."""
IDLE_S = 0.5
"""How often while nobody carries it out."""
STARTED_S = 30.0
"""A process that has not put its run into the log by then is given up on."""


class RookeryApp(App[None]):
    """The application over one log."""

    TITLE = "rookery"
    CSS = """
    Footer { background: $panel; }
    Toast { max-width: 70; }
    """
    COMMAND_PALETTE_DISPLAY = "^p"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(key, f"page('{name}')", title, show=False) for key, name, title in TABS),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True),
        Binding("question_mark", "keys", "All keys", key_display="?"),
        Binding("ctrl+t", "theme", "Light or dark", show=False),
    ]
    SCREENS: ClassVar[dict[str, Any]] = {
        "runs": RunsPage, "run": CallsPage, "search": SearchPage, "talk": TalkPage, "events": EventsPage, "memory": MemoryPage, "tools": ToolsPage,
        "models": ModelsPage,
    }

    def __init__(
        self, log: Log, *, place_of_log: str = "", run: str = "", program: str = "", page: str = "", light: bool = False, folder: Path | None = None,
        waits_for: Carrier | None = None,
    ) -> None:
        super().__init__()
        self.event_log = log
        self.place_of_log = place_of_log
        self.current: Watch | None = None
        self.asking = ""
        """The question whose dialog is open."""
        self.frames = 0
        """How often the screen has shown something new of the run."""
        self.folder = folder or Path.cwd()
        self._first = (run, program, page, waits_for)
        self._light = light
        self._carriers: dict[str, Carrier] = {}
        self._fetching = False
        self._fetched_at = 0.0

    # ---------------------------------------------------------------- life

    def on_mount(self) -> None:
        for theme in (ink.DARK, ink.LIGHT):
            self.register_theme(theme)
        self.ansi_theme_dark = TerminalTheme(
            (17, 21, 27), (213, 219, 227),
            [(38, 45, 56), (224, 108, 117), (143, 191, 127), (224, 177, 90), (107, 155, 209), (198, 140, 208), (110, 187, 197), (190, 198, 208)],
            [(90, 102, 117), (236, 133, 140), (165, 210, 150), (238, 199, 122), (137, 180, 228), (216, 166, 225), (140, 208, 217), (235, 239, 244)],
        )  # fmt: skip
        self.ansi_theme_light = TerminalTheme(
            (247, 246, 242), (30, 37, 45),
            [(60, 68, 78), (168, 34, 41), (46, 104, 40), (133, 88, 6), (40, 84, 130), (122, 44, 120), (12, 100, 114), (90, 100, 112)],
            [(110, 120, 132), (190, 50, 56), (60, 125, 52), (155, 105, 12), (50, 100, 150), (140, 60, 138), (20, 115, 130), (20, 26, 33)],
        )  # fmt: skip
        self.theme = ink.LIGHT.name if self._light else ink.DARK.name
        for number in (signal.SIGTERM, signal.SIGHUP) if os.name == "posix" and not self.is_headless else ():
            asyncio.get_running_loop().add_signal_handler(number, self.exit, None, 128 + number)
        run, program, page, carrier = self._first
        if carrier is not None:
            self._carriers[run] = carrier
            self._go_to("runs")
            self._wait_for(run, carrier)
        elif run:
            self.open_run(run, page=page)
        else:
            self._go_to(page if page in ("memory", "tools", "models") else "runs")
        self.set_interval(EVERY_S, self._tick)
        if program:
            self.begin(program)

    def _tick(self) -> None:
        """Look into the log, in a thread; what is new is shown when it comes."""
        watch = self.current
        now = time.monotonic()
        if watch is None or self._fetching:
            return
        if watch.is_behind:
            self._show(watch, Fetched())
        elif now - self._fetched_at >= (EVERY_S / 2 if watch.is_carried else IDLE_S):
            self._fetching = True
            self._fetch(watch)

    @work(group="fetch")
    async def _fetch(self, watch: Watch) -> None:
        try:
            fetched = await asyncio.to_thread(watch.fetch)
        except RookeryError as error:
            watch.fault = error
            fetched = Fetched()
        finally:
            self._fetching = False
            self._fetched_at = time.monotonic()
        if watch is self.current:
            self._show(watch, fetched)

    def _show(self, watch: Watch, fetched: Fetched) -> None:
        changed = watch.take(fetched)
        page = self._page
        if page is None:
            return
        if changed:
            self.frames += 1
            page.display_page()
            self._check_question(watch)
        elif watch.is_carried:
            page.display_bar()

    @property
    def _page(self) -> RunPage | None:
        """The screen of the run that is looked at, under a dialog too."""
        found = next((screen for screen in reversed(self.screen_stack) if isinstance(screen, RunPage)), None)
        return found if found is not None and found.is_mounted else None

    def _check_question(self, watch: Watch) -> None:
        """A dialog whose question was answered elsewhere goes away; nothing is answered by that."""
        if self.asking and self.asking not in watch.view.questions and isinstance(self.screen, AskDialog):
            self.screen.dismiss(None)
            self.notify("it was answered elsewhere", severity="warning")

    # ---------------------------------------------------------------- going about

    def action_page(self, name: str) -> None:
        """Go to a screen."""
        if isinstance(self.screen, AskDialog):
            return
        if name in ("run", "search", "talk", "events") and self.current is None:
            self.notify("choose a run first", severity="warning", timeout=3)
            return
        self._go_to(name)

    def _go_to(self, screen: str | Screen[Any]) -> None:
        """Show a screen instead of the present one; dialogs over that go away, and change nothing."""
        while isinstance(self.screen, Dialog):
            self.pop_screen()
        self.asking = ""
        if isinstance(self.screen, Page):
            self.switch_screen(screen)
        else:
            self.push_screen(screen)

    def open_run(self, run: str, *, page: str = "") -> None:
        """Look at a run."""
        if self.current is None or self.current.run != run:
            try:
                self.current = Watch(self.event_log, run, by=person())
            except RookeryError as error:
                self.notify(f"{error.reason}\n{error.hint}".strip(), severity="error", markup=False)
                if not isinstance(self.screen, RunsPage):
                    self._go_to("runs")
                return
            self._fetched_at = 0.0
        self._go_to(page if page in self.SCREENS else "run")

    def look_at(self, path: str) -> None:
        """Look at one call of the run."""
        self._go_to("run")
        self.call_after_refresh(self._reveal, path)

    def _reveal(self, path: str) -> None:
        if isinstance(self.screen, RunPage):
            self.screen.reveal(path)

    def compare(self, other: str) -> None:
        """Show the run beside another."""
        if self.current is not None:
            self._go_to(ComparePage(Watch(self.event_log, self.current.run), Watch(self.event_log, other)))

    def action_theme(self) -> None:
        """Change between the light theme and the dark one."""
        self.theme = ink.LIGHT.name if self.current_theme.dark else ink.DARK.name

    def action_keys(self) -> None:
        """Show all keys of this screen, or hide them."""
        if self.screen.query("HelpPanel"):
            self.action_hide_help_panel()
        else:
            self.action_show_help_panel()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette offers: the screens, what can be done on this one, and the application's own."""
        for _, name, title in TABS:
            yield SystemCommand(title, f"Go to the {title} screen", lambda name=name: self.action_page(name))
        for binding in (each for kind in type(screen).__mro__ for each in kind.__dict__.get("BINDINGS", ()) if issubclass(kind, Page)):
            if isinstance(binding, Binding) and binding.description and "(" not in binding.action and "." not in binding.action:
                action = getattr(screen, f"action_{binding.action}", None)
                if action is not None:
                    told = (action.__doc__ or "").strip().partition("\n")[0]
                    yield SystemCommand(f"{binding.description}  [{binding.key.partition(',')[0]}]", told, action)
        yield SystemCommand("New run", "Run a program", self.action_begin)
        yield SystemCommand("Light or dark", "Change between the light theme and the dark one", self.action_theme)
        yield from super().get_system_commands(screen)

    def symbols(self, watch: Watch) -> list[str]:
        """Names that ``<name>`` may stand for: of the run's variables that are texts of their own."""
        leaves = {path.rpartition("/")[2] for path in islice(watch.view.calls, 1_000)}
        return sorted({leaf for leaf in leaves if leaf.isidentifier()} | set(watch.view.inputs))

    # ---------------------------------------------------------------- processes

    @property
    def _log_words(self) -> list[str]:
        return ["--log", self.place_of_log] if self.place_of_log else []

    def carry(self, words: Sequence[str], done: str, *, new: bool = False) -> None:
        """Carry a run out by a command of its own, in a process that outlives this one. ``new``: the command makes a run; look at it."""
        if not self.place_of_log:
            self.notify("this log is in memory: it can be carried on only by the process that it is in", severity="warning")
            return
        run = new_id(words[1]) if new else words[1]
        name = ["--new", run] if words[0] == "fork" else ["--id", run] if new else []
        carrier = Carrier([*words, *name, *self._log_words, "--wait", "--quiet"], folder=self.folder)
        self._carriers[run] = carrier
        self.notify(done, timeout=3, markup=False)
        self._wait_for(run, carrier, opens=new)

    @work(group="carriers")
    async def _wait_for(self, run: str, carrier: Carrier, *, opens: bool = True) -> None:
        """Open a new run once it is in the log; say so when its process ends badly."""
        began = time.monotonic()
        is_open = not opens
        while True:
            code = carrier.code
            if not is_open:
                try:
                    known = await asyncio.to_thread(lambda: any(info.run == run for info in self.event_log.runs()))
                except RookeryError:
                    known = False
                if known:
                    is_open = True
                    self.open_run(run, page=self._first[2])
            if code is not None or (not is_open and time.monotonic() - began > STARTED_S):
                break
            await asyncio.sleep(0.1 if not is_open else 0.5)
        if self._carriers.get(run) is carrier:
            del self._carriers[run]
        if code and not (is_open and code in (1, 3)):  # a run that failed or waits says so itself
            self.notify(ink.body(carrier.said, most=600) or f"it ended with code {code}", title=f"rookery {carrier.words[0]}", severity="error",
                        timeout=15, markup=False)  # fmt: skip

    def action_begin(self) -> None:
        """Run a program."""
        self._go_to("runs")
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        if isinstance(self.screen, RunsPage):
            self.screen.action_begin()

    @work(group="begin")
    async def begin(self, program: str) -> None:
        """Ask for a program's inputs, and run it."""
        code, data, said = await asyncio.to_thread(lambda: asked(["check", program], folder=self.folder))
        if code:
            fault = data.get("error", {})
            words = f"{fault.get('message', '')}\n{fault.get('hint', '')}".strip() or said
            self.notify(ink.body(words, most=800), title=ink.line(program, 60), severity="error", timeout=15, markup=False)
            return
        given = await self.push_screen_wait(StartDialog(program, data.get("inputs", ())))
        if given is None:
            return
        model = given.pop("\0model", "")
        words_of_run = ["run", program, *(f"{name}={word}" for name, word in given.items()), *(["--model", model] if model else [])]
        self.carry_new(data.get("graph", "run"), words_of_run)

    def carry_new(self, graph: str, words: Sequence[str]) -> None:
        """Run a program in a process of its own, and look at the run."""
        if not self.place_of_log:
            self.notify("this log is in memory", severity="warning")
            return
        run = new_id(graph)
        carrier = Carrier([*words, "--id", run, *self._log_words, "--wait", "--quiet"], folder=self.folder)
        self._carriers[run] = carrier
        self.notify(f"{run} begins", timeout=3, markup=False)
        self._wait_for(run, carrier)

    @work(group="remove")
    async def remove_run(self, run: str) -> None:
        """Remove a run from the log."""
        prune = getattr(self.event_log, "prune", None)
        if prune is None:
            self.notify("this log keeps its runs", severity="warning")
            return
        try:
            freed = await asyncio.to_thread(prune, [run])
        except RookeryError as error:
            self.notify(f"{error.reason}\n{error.hint}".strip(), severity="error", markup=False)
            return
        if self.current is not None and self.current.run == run:
            self.current = None
        self.notify(f"{run} is removed; {freed:,} bytes of values freed", markup=False)

    # ---------------------------------------------------------------- files

    @work(group="save")
    async def save(self, watch: Watch, place: str) -> None:
        """Pick what to save of a run, and save it in the folder that the application was started in."""
        screen = Saving("the screen (SVG)", "screen.svg", lambda: self.export_screenshot(title=watch.run).encode())
        things = [*savings(watch, place), screen]

        def drawn(saving: Saving, width: int) -> Text:
            return Text.assemble(" ", ink.line(saving.title, max(8, width - 30)), (f"  {ink.line(saving.name, 26)}", "dim"))

        picked = await self.push_screen_wait(PickDialog("save", things, draw=drawn, note=f"into {ink.line(str(self.folder), 40)};"))
        if picked is None:
            return
        try:
            path = write(picked, self.folder)
        except (OSError, RookeryError) as error:
            hint = getattr(error, "hint", "")
            self.notify(f"{getattr(error, 'reason', error)}\n{hint}".strip(), severity="error", markup=False)
        else:
            self.notify(f"{path.name} is saved in {path.parent}", markup=False)


def person() -> str:
    """Who sits at the terminal, as far as the system says."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a process of a user without a name
        return "terminal"


def new_id(run: str) -> str:
    """An id for a run that begins from another, or from a program."""
    stem = run.rpartition("-")[0] or run
    return f"{stem}-{int(time.time()) & 0xFFFFF:05x}{os.urandom(2).hex()}"
