"""A list of any length, drawn line by line as it is looked at: the widget that calls, trees, runs, events and items are shown in."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

R = TypeVar("R")


class Rows(ScrollView, Generic[R], can_focus=True):
    """Rows of which one is chosen. The cursor stays with its row, by ``key``, when rows come and go.

    :param draw: a row as one line of text, for a width in columns.
    """

    DEFAULT_CSS = """
    Rows { background: $surface; color: $foreground; scrollbar-size-vertical: 1; overflow-x: hidden; }
    Rows .rows--cursor { background: $panel; text-style: bold; }
    Rows:focus .rows--cursor { background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "to(0)", "First", show=False),
        Binding("end", "to(-1)", "Last", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]

    class Moved(Message):
        """The cursor stands on another row."""

        def __init__(self, rows: Rows[Any], row: Any) -> None:
            super().__init__()
            self.rows = rows
            self.row = row

        @property
        def control(self) -> Rows[Any]:
            return self.rows

    class Chosen(Moved):
        """A row was chosen: by Enter, or by a second click."""

    def __init__(
        self, draw: Callable[[R, int], Text], *, key: Callable[[R], Hashable] = id, empty: str = "", id: str | None = None,
        follow: bool = False,
    ) -> None:
        super().__init__(id=id)
        self.draw_row = draw
        self.key_of = key
        self.empty = empty
        self.follow = follow
        """Stay at the last row while rows are added, until the cursor is moved away from it."""
        self.items: Sequence[R] = ()
        self.cursor = 0
        self._key: Hashable = None

    @property
    def row(self) -> R | None:
        """The row that the cursor stands on."""
        return self.items[self.cursor] if self.cursor < len(self.items) else None

    def show(self, items: Sequence[R]) -> None:
        """Show these rows."""
        was_last = self.cursor >= len(self.items) - 1
        before, self.items = self._key, items
        if self.follow and was_last and items:
            self.cursor = len(items) - 1
        elif not (self.cursor < len(items) and self.key_of(items[self.cursor]) == before):
            self.cursor = next((place for place, row in enumerate(items) if self.key_of(row) == before), min(self.cursor, max(0, len(items) - 1)))
        self._key = self.key_of(items[self.cursor]) if items else None
        size = Size(self.size.width, max(1, len(items)))
        if size != self.virtual_size:
            self.virtual_size = size
        if self.follow and was_last:
            self.call_after_refresh(self._into_view)
        self.refresh()
        if self._key != before:
            self.post_message(self.Moved(self, self.row))

    def point_at(self, key: Hashable) -> bool:
        """Put the cursor on the row with this key; False when there is none."""
        place = next((place for place, row in enumerate(self.items) if self.key_of(row) == key), None)
        if place is None:
            return False
        self._stand_on(place)
        return True

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        place = y + self.scroll_offset.y
        base = self.rich_style
        if place >= len(self.items):
            words = self.empty if place == 0 and not self.items else ""
            return Strip([Segment(f" {words}"[:width].ljust(width), base + Style(dim=True))], width)
        text = self.draw_row(self.items[place], width)
        style = self.get_component_rich_style("rows--cursor") if place == self.cursor else base
        text.no_wrap, text.end = True, ""
        text.truncate(width, overflow="crop", pad=True)
        segments = [Segment(segment.text, style + segment.style if segment.style else style) for segment in text.render(self.app.console)]
        return Strip(segments).adjust_cell_length(width, style)

    def on_resize(self, event: events.Resize) -> None:
        self.virtual_size = Size(event.size.width, max(1, len(self.items)))
        self._into_view()

    # ---------------------------------------------------------------- moving

    def action_move(self, by: int) -> None:
        """Move the cursor by some rows."""
        self._stand_on(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by some pages."""
        self._stand_on(self.cursor + by * max(1, self.size.height - 1))

    def action_to(self, place: int) -> None:
        """Move the cursor to a row; negative places count from the end."""
        self._stand_on(place if place >= 0 else len(self.items) + place)

    def action_choose(self) -> None:
        """Choose the row."""
        if self.row is not None:
            self.post_message(self.Chosen(self, self.row))

    def on_click(self, event: events.Click) -> None:
        inside = event.get_content_offset(self)
        place = inside.y + self.scroll_offset.y if inside is not None else len(self.items)
        if place >= len(self.items):
            return
        if place == self.cursor:
            self.action_choose()
        self._stand_on(place)

    def _stand_on(self, place: int) -> None:
        place = max(0, min(place, len(self.items) - 1))
        if not self.items:
            return
        self.cursor = place
        key = self.key_of(self.items[place])
        self._into_view()
        self.refresh()
        if key != self._key:
            self._key = key
            self.post_message(self.Moved(self, self.row))

    def _into_view(self) -> None:
        self.scroll_to_region(Region(0, self.cursor, max(1, self.size.width), 1), animate=False)
