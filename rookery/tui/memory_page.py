"""The Memory screen: the scopes of a memory, what is remembered in one, searched as an agent would; changes shown, and reverted."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.widgets import Input, Static

from rookery.errors import RookeryError
from rookery.memory.item import Change, Item, date
from rookery.tui import ink
from rookery.tui.dialog import ConfirmDialog, PickDialog
from rookery.tui.page import Page
from rookery.tui.rows import Rows

SHOWN = 500
TOKENS = 20_000
VERBS = {"keep": "+", "close": "−", "merge": "=", "withdraw": "×", "restore": "↺", "link": "~", "forget": "×"}


def folder() -> Path:
    """The memory's folder: of the environment, or the usual one."""
    return Path(os.environ.get("ROOKERY_MEMORY", "") or "~/.rookery/memory").expanduser()


def scopes(place: Path) -> list[tuple[str, int]]:
    """The scopes of a memory, each with the number of its items. Raises RecallError."""
    from rookery.memory.store import FILE, Store

    if not (place / FILE).exists():
        return []
    store = Store(place)
    try:
        return store.scopes()
    finally:
        store.close()


class MemoryPage(Page):
    """Items, or changes, on one side; the one that is looked at on the other."""

    name_of_page = "memory"
    DEFAULT_CSS = """
    MemoryPage #query { border: round $border; background: $surface; }
    MemoryPage #query:focus { border: round $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "query", "Search"),
        Binding("o", "scope", "Other scope"),
        Binding("d", "diff", "Changes/items"),
        Binding("v", "revert", "Revert"),
        Binding("y", "copy", "Copy", show=False),
        Binding("escape", "list", "List", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.scope = ""
        self.changes = False

    def compose_page(self) -> ComposeResult:
        yield Input(placeholder="search as an agent would: words, a question", id="query")
        with Container(classes="sides"):
            rows: Rows[Any] = Rows(_drawn, key=_key, empty="nothing is remembered", id="items")
            rows.add_class("first", "panel")
            yield rows
            side = VerticalScroll(Static(id="item", markup=False), classes="second panel", can_focus=True)
            side.border_title = "item"
            yield side

    def on_mount(self) -> None:
        self.query_one(Rows).focus()

    def on_screen_resume(self) -> None:
        self.load()

    @work(exclusive=True, group="load")
    async def load(self) -> None:
        """Read the memory anew."""
        rows = self.query_one(Rows)
        query = self.query_one("#query", Input).value.strip()
        try:
            found = await asyncio.to_thread(scopes, folder())
            names = [name for name, _ in found]
            if self.scope not in names:
                self.scope = names[0] if names else ""
            items = await self._items(query) if self.scope else []
        except RookeryError as error:
            rows.empty, items = f"{error.reason}", []
        else:
            rows.empty = f"there is no memory in {folder()}" if not self.scope else "nothing fits" if query else "nothing is remembered"
        what = "changes" if self.changes else f"items for “{query}”" if query else "items"
        rows.border_title = ink.line(f"{what} of {self.scope or 'nobody'}", max(10, self.size.width - 6))
        rows.border_subtitle = f"{len(items):,}"
        rows.show(items)
        await self._show(rows.row)

    async def _items(self, query: str) -> list[Any]:
        from rookery.memory.memory import Memory

        async with Memory(scope=self.scope, path=folder()) as memory:
            if self.changes:
                return list(reversed(await memory.diff(limit=SHOWN)))
            if query:
                return [found.item for found in (await memory.recall(query, tokens=TOKENS)).found]
            return await memory.items(limit=SHOWN)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.changes = False
        self.load()
        self.query_one(Rows).focus()

    def on_rows_moved(self, event: Rows.Moved) -> None:
        self.run_worker(self._show(event.row), exclusive=True, group="item")

    async def _show(self, row: Any) -> None:
        text = Text("")
        if isinstance(row, Item):
            text = _item(row)
            try:
                changes = await self._changes_of(row.id)
            except RookeryError as error:
                text.append(f"\n{error.reason}", style="red")
            else:
                text.append("\n── changes\n", style="bold blue")
                for change in changes:
                    text.append_text(_change(change)).append("\n")
        elif isinstance(row, Change):
            text = _change(row)
            text.append("\n\n")
            for name in sorted({*row.before, *row.after}):
                before, after = row.before.get(name), row.after.get(name)
                if before != after:
                    text.append(f"{name}\n", style="dim")
                    text.append(f"- {ink.brief(before, 400)}\n", style="red").append(f"+ {ink.brief(after, 400)}\n", style="green")
            text.append("\nv reverts this write", style="dim")
        self.query_one("#item", Static).update(text)

    async def _changes_of(self, id: str) -> list[Change]:
        from rookery.memory.memory import Memory

        async with Memory(scope=self.scope, path=folder()) as memory:
            return await memory.diff(item=id)

    # ---------------------------------------------------------------- keys

    def action_query(self) -> None:
        """Search."""
        self.query_one("#query", Input).focus()

    def action_list(self) -> None:
        """Go to the list; a second time, list everything again."""
        if self.query_one(Rows).has_focus:
            self.query_one("#query", Input).clear()
            self.load()
        self.query_one(Rows).focus()

    @work
    async def action_scope(self) -> None:
        """Look at the memory of another scope."""
        found = await asyncio.to_thread(scopes, folder())

        def drawn(row: tuple[str, int], width: int) -> Text:
            return Text.assemble(" ", ink.line(row[0], width - 14), (f"  {row[1]:,} items", "dim"))

        picked = await self.app.push_screen_wait(PickDialog("whose memory?", found, draw=drawn))
        if picked is not None:
            self.scope = picked[0]
            self.load()

    def action_diff(self) -> None:
        """Show the changes instead of the items, or the items again."""
        self.changes = not self.changes
        self.load()

    @work
    async def action_revert(self) -> None:
        """Undo a write, by a new one."""
        row = self.query_one(Rows).row
        try:
            changes = [row] if isinstance(row, Change) else await self._changes_of(row.id) if isinstance(row, Item) else []
            if not changes:
                self.notify("choose a change, or an item", severity="warning")
                return
            write = changes[-1].write
            note = ink.line(changes[-1].text, 200)
            if not await self.app.push_screen_wait(ConfirmDialog(f"Revert write {write} of {self.scope}?", note=note)):
                return
            from rookery.memory.memory import Memory

            async with Memory(scope=self.scope, path=folder()) as memory:
                new = await memory.revert(write)
        except RookeryError as error:
            self.notify(f"{error.reason}\n{error.hint}", severity="error", markup=False)
            return
        self.notify(f"write {write} is undone by write {new}")
        self.load()

    def action_copy(self) -> None:
        """Copy the text to the clipboard."""
        row = self.query_one(Rows).row
        if isinstance(row, Item | Change):
            self.app.copy_to_clipboard(row.text)
            self.notify(f"{len(row.text):,} characters copied", timeout=2)


def _key(row: Any) -> Any:
    return row.id if isinstance(row, Item) else (row.write, row.item, row.verb)


def _drawn(row: Any, width: int) -> Text:
    if isinstance(row, Change):
        text = ink.styled(f" {row.write:>5} {VERBS.get(row.verb, ' ')} {row.verb:<9}", "dim")
        return text.append(ink.line(row.text or row.item, max(4, width - text.cell_len - 1)))
    text = ink.styled(f" {row.kind[:10]:<10} ", "cyan")
    mark = "! " if row.is_untrusted else "  "
    return text.append(mark, style="yellow").append(ink.line(row.text, max(4, width - text.cell_len - 1)))


def _item(item: Item) -> Text:
    text = Text(f"{ink.body(item.text)}\n\n")
    until = "" if item.valid_to == float("inf") else date(item.valid_to)
    facts = {
        "kind": item.kind, "subject": item.subject, "trust": item.trust + (", from outside" if item.is_untrusted else ""),
        "labels": ", ".join(sorted(item.labels)), "since": date(item.valid_from), "until": until, "recorded": date(item.recorded_at),
        "source": " ".join(word for word in (item.source.name, item.source.speaker, item.source.session, item.source.run) if word),
        "sources": str(item.evidence) if item.evidence > 1 else "", "confidence": f"{item.confidence:.2f}", "id": item.id,
    }  # fmt: skip
    for name, value in facts.items():
        if value:
            text.append(f"{name:<11}", style="dim").append(f"{ink.line(value, 300)}\n")
    return text


def _change(change: Change) -> Text:
    text = ink.styled(f"write {change.write:>4}  {date(change.at)}  ", "dim")
    return text.append(f"{VERBS.get(change.verb, ' ')} {change.verb}", style="magenta").append(f"  {ink.line(change.text or change.item, 200)}")
