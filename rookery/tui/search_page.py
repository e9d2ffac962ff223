"""The Search screen: the tree of a search as it grows, with values, what was pruned, the best path, and what is left of the budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.widgets import Static

from rookery.core.view import TreeNode
from rookery.tui import ink
from rookery.tui.bar import budget, budgets
from rookery.tui.dialog import PickDialog
from rookery.tui.rows import Rows
from rookery.tui.steer import RunPage
from rookery.tui.tree import MARKS, WORDS, Branch, Tree

if TYPE_CHECKING:
    from rookery.tui.watch import Watch


class SearchPage(RunPage):
    """The tree on one side, the state that is looked at on the other."""

    name_of_page = "search"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "fold(False)", "Close", show=False),
        Binding("right,l", "fold(True)", "Open", show=False),
        Binding("space", "turn", "Open/close"),
        Binding("o", "best", "Best path"),
        Binding("t", "other", "Other search", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.call = ""
        self.opened: dict[int, bool] = {}
        self._tree = Tree([])

    def compose_page(self) -> ComposeResult:
        with Container(classes="sides"):
            rows: Rows[Branch] = Rows(self._drawn, key=lambda branch: branch.node, empty="no search in this run", id="tree")
            rows.add_class("first", "panel")
            rows.border_title = "tree"
            yield rows
            side = VerticalScroll(Static(id="state", markup=False), classes="second panel", can_focus=True)
            side.border_title = "state"
            yield side

    def on_mount(self) -> None:
        self.query_one(Rows).focus()

    @property
    def place(self) -> str:
        return self.call

    def display_run(self, watch: Watch) -> None:
        trees = watch.view.trees
        if self.call not in trees:
            self.call = next(iter(trees), "")
            self.opened = {}
        nodes: Sequence[TreeNode] = trees.get(self.call, ())
        self._tree = Tree(nodes)
        rows = self.query_one(Rows)
        rows.border_title = f"{self.call} ({list(trees).index(self.call) + 1} of {len(trees)})" if len(trees) > 1 else self.call or "tree"
        count = Counter(node.status for node in nodes)
        rows.border_subtitle = f"{len(nodes):,} states  " + "  ".join(f"{MARKS[word]} {count[word]:,} {WORDS[word]}" for word in WORDS if count[word])
        rows.show(self._tree.branches(self.opened))
        self._display_state(watch)

    def _display_state(self, watch: Watch) -> None:
        text = Text()
        entry = watch.reader.entry(self.call) if self.call else None
        call = watch.view.calls.get(self.call)
        if call is not None:
            text.append_text(ink.status(call.status)).append("\n")
        caps = entry.get("limit") if entry is not None else None
        below = watch.outline.items.get(self.call)
        if below is not None:
            text.append(f"{below.total - 1:,} calls so far, {below.done:,} done\n", style="dim")
        seconds = (call.ended_at or watch.view.changed_at) - call.started_at if call is not None and call.started_at else 0.0
        for name, spent, cap in budgets(watch.view, caps, seconds):
            text.append_text(budget(name, spent, cap)).append("\n")
        branch = self.query_one(Rows).row
        if isinstance(branch, Branch):
            text.append("\n").append_text(self._tree.described(branch.node))
        if call is not None and call.value:
            text.append_text(_result(watch, call.value))
        self.query_one("#state", Static).update(text)

    def _drawn(self, branch: Branch, width: int) -> Text:
        return self._tree.line(branch, width)

    def on_rows_moved(self, event: Rows.Moved) -> None:
        if self.current is not None:
            self._display_state(self.current)

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        self.action_turn()

    def action_fold(self, open_it: bool) -> None:
        """Open or close a state."""
        branch = self.query_one(Rows).row
        if isinstance(branch, Branch) and self.current is not None:
            if not open_it and not branch.is_open:
                self.query_one(Rows).point_at(self._tree.nodes[branch.node].parent)
                return
            self.opened[branch.node] = open_it
            self.display_run(self.current)

    def action_turn(self) -> None:
        """Open or close a state."""
        branch = self.query_one(Rows).row
        if isinstance(branch, Branch):
            self.action_fold(not branch.is_open)

    def action_best(self) -> None:
        """Go to the best answer, or to the best state so far."""
        best = self._tree.best
        if best < 0 or self.current is None:
            return
        for node in self._tree.way(best)[:-1]:
            self.opened[node] = True
        self.display_run(self.current)
        self.query_one(Rows).point_at(best)

    def action_other(self) -> None:
        """Look at another search of this run."""
        watch = self.current
        if watch is None:
            return

        def chosen(call: str | None) -> None:
            if call:
                self.call, self.opened = call, {}
                self.display_page()

        self.app.push_screen(PickDialog("which search?", list(watch.view.trees)), chosen)


def _result(watch: Watch, reference: str) -> Text:
    """What a search says of how it ended."""
    value = watch.reader.stored(reference)
    text = Text()
    if not isinstance(value, dict) or "stop_reason" not in value:
        return text
    text.append("\n── how it ended\n", style="bold blue")
    for name in ("stop_reason", "verdict", "chosen_by", "seen", "planner", "works"):
        if value.get(name) not in (None, "", {}):
            text.append(f"{name.replace('_', ' '):<12}", style="dim").append(f"{ink.brief(value[name], 200)}\n")
    return text
