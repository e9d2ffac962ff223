"""The calls of a run as they come: an outline whose groups open and close, with states, times, and the critical path marked."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from rookery.core.layout import critical_path
from rookery.tui import ink
from rookery.tui.outline import Item, Row
from rookery.tui.rows import Rows
from rookery.tui.watch import Watch

CRITICAL = "┃"
FEW = 2_000
"""Of graphs with more calls the critical path is looked for only when the run is over."""


class CallList(Rows[Row]):
    """The outline of a run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "fold(False)", "Close", show=False),
        Binding("right,l", "fold(True)", "Open", show=False),
        Binding("space", "turn", "Open or close", show=False),
        Binding("n", "next", "Next that needs you", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(self._drawn, key=lambda row: row.key, empty="nothing has begun", id=id)
        self.opened: dict[str, bool] = {}
        self.filter = ""
        self.critical: Collection[str] = ()
        self._watch: Watch | None = None

    @property
    def path(self) -> str:
        """The path of the call that the cursor stands on; empty when there is none."""
        return self.row.item.path if self.row is not None else ""

    def display_watch(self, watch: Watch) -> None:
        """Show a run as it stands."""
        self._watch = watch
        if watch.view.status in ("finished", "failed") or len(watch.view.calls) <= FEW:
            self.critical = _critical(watch)
        self.show(self._found(watch) if self.filter else watch.outline.rows(self.opened))

    def _found(self, watch: Watch) -> list[Row]:
        words = self.filter.lower()
        items = (item for path, item in watch.outline.items.items() if words in path.lower() or words in ink.WORDS.get(item.status, ""))
        return [Row(item, 0) for _, item in zip(range(1_000), items, strict=False)]

    def reveal(self, path: str) -> bool:
        """Open what a call lies in and put the cursor on it; False when there is no such call."""
        if self._watch is None:
            return False
        item = self._watch.outline.items.get(path)
        if item is None:
            return False
        above = item.parent
        while above is not None:
            self.opened[above.path] = True
            above = above.parent
        self.filter = ""
        self.display_watch(self._watch)
        return self.point_at((path, False))

    def action_fold(self, open_it: bool) -> None:
        """Open or close the group; closing what is closed goes to the group around it."""
        row = self.row
        if row is None or self._watch is None:
            return
        if not open_it and not row.is_open and row.item.parent is not None and row.item.parent.path:
            self.point_at((row.item.parent.path, False))
            return
        self.opened[row.item.path] = open_it
        self.display_watch(self._watch)

    def action_turn(self) -> None:
        """Open or close the group."""
        if self.row is not None:
            self.action_fold(not self.row.is_open)

    def action_next(self) -> None:
        """Go to the next call that waits, fails or is tried again."""
        for step in range(1, len(self.items) + 1):
            place = (self.cursor + step) % len(self.items)
            if self.items[place].item.status in ("waiting", "failed", "again"):
                self.action_to(place)
                return

    def _drawn(self, row: Row, width: int) -> Text:
        item = row.item
        indent = "  " * row.depth
        if row.left_out:
            return ink.styled(f"   {indent}… {row.left_out:,} more, done (/ finds them)", ink.DIM)
        status = item.status
        text = Text(" ")
        text.append(CRITICAL if item.path in self.critical else " ", style="bold magenta")
        text.append(f"{ink.MARKS.get(status, ' ')} ", style=ink.STYLES.get(status, ""))
        mark = ("▾ " if row.is_open else "▸ ") if item.items else ""
        right = _right(item, self._watch, width)
        room = max(6, width - len(indent) - 4 - len(mark) - right.cell_len - 1)
        text.append(indent + mark, style=ink.DIM)
        name = ink.line(item.path if self.filter else item.name, room)
        text.append(name, style=ink.DIM if not status else "")
        if self._watch is not None and item.path in self._watch.view.breakpoints:
            text.append(" ◉", style="bold red")
        gap = width - text.cell_len - right.cell_len - 1
        text.append(" " * max(1, gap))
        return text.append_text(right)


def _right(item: Item, watch: Watch | None, width: int) -> Text:
    """What stands at the end of a call's line: how many are done, what is being written, words for its state, its time."""
    status = item.status
    call = item.call
    style = ink.STYLES.get(status, "")
    if item.items and item.total > (1 if call is not None else 0):
        total, done = item.total - (call is not None), item.done - (call is not None and call.status == "done")
        right = ink.styled(f"{done}/{total} ", style)
        return right.append(ink.bar(done, total, 8 if width > 50 else 4), style=style)
    words: list[tuple[str, str]] = []
    if call is not None and status == "running" and call.text and width > 60:
        words.append((ink.tail(call.text, min(40, width // 3)), "dim italic"))
    elif status in ("waiting", "failed", "again", "stopped", "running", ""):
        words.append((ink.WORDS[status], style))
    if call is not None and call.attempts > 1 and status in ("done", "failed"):
        words.append((f"×{call.attempts}", "yellow"))
    if call is not None and width > 44 and call.spend.tokens:
        words.append((f"{ink.count(call.spend.tokens)} tok", ink.DIM))
    if call is not None and call.ended_at and call.started_at:
        words.append(("cached" if call.cached else ink.duration(call.ended_at - call.started_at), ink.DIM))
    return Text("  ").join([ink.styled(word, each) for word, each in words])


def _critical(watch: Watch) -> set[str]:
    description = watch.reader.description(watch.view.graph)
    if not description.get("calls"):
        return set()
    return {step.call for step in critical_path(description, watch.view) if step.added_s > 0}


if __name__ == "__main__":
    from rookery.tui.demo import alone

    def shown(watch: Watch) -> Any:
        calls = CallList()
        calls.call_later(lambda: calls.display_watch(watch))
        return calls

    alone(shown)
