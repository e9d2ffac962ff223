"""What all screens share: the row of tabs, a place for two panels side by side or one over the other, and the line of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer, Static

if TYPE_CHECKING:
    from rookery.tui.app import RookeryApp

TABS = (("1", "runs", "Runs"), ("2", "run", "Run"), ("3", "search", "Search"), ("4", "talk", "Talk"), ("5", "events", "Events"),
        ("6", "memory", "Memory"), ("7", "tools", "Tools"), ("8", "models", "Models"))  # fmt: skip


class Tabs(Static):
    """The row of screens, the present one marked."""

    DEFAULT_CSS = """
    Tabs { height: 1; background: $background; color: $foreground; padding: 0 1; }
    """

    def __init__(self, present: str) -> None:
        super().__init__(markup=False)
        self.present = present
        self._ends: list[tuple[int, str]] = []

    def on_mount(self) -> None:
        self.draw()

    def on_resize(self) -> None:
        self.draw()

    def draw(self) -> None:
        """Draw them for the width there is."""
        width = self.app.size.width - 2
        names = width >= sum(len(title) + 4 for _, _, title in TABS)
        text = Text(no_wrap=True).append("rookery  " if width >= 90 else "", style="bold")
        self._ends = []
        for key, name, title in TABS:
            here = name == self.present
            words = f" {key} {title} " if names or here else f" {key} "
            text.append(words, style="reverse bold" if here else "dim")
            self._ends.append((text.cell_len, name))
        self.update(text)

    def on_click(self, event: events.Click) -> None:
        found = next((name for end, name in self._ends if event.x - 1 < end), None)
        if found is not None:
            cast("RookeryApp", self.app).action_page(found)


class Page(Screen[None]):
    """One of the screens."""

    name_of_page: ClassVar[str] = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - Textual declares it as it is
    DEFAULT_CSS = """
    Page { background: $background; layout: vertical; }
    Page .panel { border: round $border; background: $surface; border-title-color: $accent; border-subtitle-color: $foreground 60%; height: 1fr; }
    Page .panel:focus, Page .panel:focus-within { border: round $primary; }
    Page .sides { height: 1fr; layout: horizontal; }
    Page.-narrow .sides { layout: vertical; }
    Page.-wide .sides > .first { width: 2fr; }
    Page.-wide .sides > .second { width: 3fr; }
    Page.-narrow .sides > .first { height: 2fr; }
    Page.-narrow .sides > .second { height: 3fr; }
    """

    @property
    def rookery(self) -> RookeryApp:
        """The application."""
        return cast("RookeryApp", self.app)

    def compose(self) -> ComposeResult:
        yield Tabs(self.name_of_page)
        yield from self.compose_page()
        yield Footer(show_command_palette=True)

    def compose_page(self) -> ComposeResult:
        """What stands between the tabs and the keys."""
        raise NotImplementedError

    def on_screen_resume(self) -> None:
        self.display_page()

    def on_resize(self) -> None:
        self.call_after_refresh(self.display_page)

    def display_page(self) -> None:
        """Show what is there now; called again whenever that has changed."""
