"""The calls of a run as an outline that grows with its events: who is within whom, and how many of each group are done. Knows no screen."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter

from rookery.core.event import Event, RunFailed, RunFinished, RunResumed
from rookery.core.view import CallView, View

MANY = 100
"""Of a group's calls so many that are done are listed, the last ones; of those that are not, so many too."""
_STATUSES = ("failed", "waiting", "again", "running", "stopped", "done")
"""Those that need attention most come first."""
_PART = re.compile(r"\A(.*?)(\[\d+\]|#\d+)\Z", re.DOTALL)
_OVER = (RunResumed, RunFinished, RunFailed)
"""Events that may change the status of any call."""


@dataclass(slots=True)
class Item:
    """One place of the outline: a call, or a group of calls that has no value of its own (a graph, a map, a turn)."""

    path: str
    name: str
    parent: Item | None = None
    call: CallView | None = None
    items: dict[str, Item] = field(default_factory=dict)
    """By path, in the order in which they began."""
    counts: Counter[str] = field(default_factory=Counter)
    """Calls at this place and below, by status; those that only host others are counted too."""
    busy: dict[str, Item] = field(default_factory=dict)
    """Of its items those that are not all done."""
    total: int = 0
    """Calls at this place and below."""
    known: str = ""
    """The status that was counted for its own call."""

    @property
    def status(self) -> str:
        """The call's own status; of a group, the one that needs attention most."""
        if self.call is not None and (self.call.status != "running" or not self.items):
            return self.call.status
        return next((status for status in _STATUSES if self.counts[status]), "")

    @property
    def done(self) -> int:
        return self.counts["done"]

    @property
    def is_map(self) -> bool:
        """Whether its items are the elements of a map or the turns of a loop."""
        return bool(self.items) and _PART.match(next(iter(self.items.values())).name) is not None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the outline as it is shown."""

    item: Item
    depth: int
    is_open: bool = False
    left_out: int = 0
    """So many of the item's calls are not listed; then this line says so, and stands for no call."""

    @property
    def key(self) -> tuple[str, bool]:
        return self.item.path, self.left_out > 0


class Outline:
    """All calls of a run by their place."""

    def __init__(self) -> None:
        self.root = Item("", "")
        self.items: dict[str, Item] = {}

    def expect(self, paths: Iterable[str]) -> None:
        """List calls that have not begun; they are shown in this order."""
        for path in paths:
            if path not in self.items:
                self._place(path)

    def take(self, event: Event, view: View) -> None:
        """Take in one more event, after ``view`` has."""
        path = getattr(event, "call", "") or getattr(event, "variable", "")
        if path:
            call = view.calls.get(path)
            if call is not None:
                self._note(path, call)
        if isinstance(event, _OVER):
            self._note_busy()

    def _note_busy(self) -> None:
        """Take in what may have become of calls that were not done."""
        stack = list(self.root.busy.values())
        while stack:
            item = stack.pop()
            stack += item.busy.values()
            if item.call is not None:
                self._note(item.path, item.call)

    def _note(self, path: str, call: CallView) -> None:
        item = self.items.get(path)
        if item is None:
            item = self._place(path)
        item.call = call
        before = item.known
        if before == call.status:
            return
        item.known = call.status
        above: Item | None = item
        while above is not None:
            if before:
                above.counts[before] -= 1
            else:
                above.total += 1
            above.counts[call.status] += 1
            if above.parent is not None:
                if above.counts["done"] == above.total:
                    above.parent.busy.pop(above.path, None)
                else:
                    above.parent.busy[above.path] = above
            above = above.parent

    def _place(self, path: str) -> Item:
        """The item of a path, made with all that it lies in. Not recursive: calls may be nested deeper than Python's stack."""
        missing: list[tuple[str, str]] = []
        found: Item | None = None
        rest = path
        while found is None:
            above, name = _above(rest)
            missing.append((rest, name))
            found = self.root if not above else self.items.get(above)
            rest = above
        for each, name in reversed(missing):
            item = Item(each, name, found)
            self.items[each] = found.items[each] = item
            found = item
        return found

    # ---------------------------------------------------------------- rows

    def rows(self, opened: dict[str, bool]) -> list[Row]:
        """The lines to show. ``opened``: by path, what a person has opened or closed; the rest is open while there is little in it."""
        return list(self._rows(self.root, 0, opened))

    def _rows(self, above: Item, depth: int, opened: dict[str, bool]) -> Iterator[Row]:
        stack: list[Iterator[Row]] = [self._below(above, depth, opened)]
        while stack:
            row = next(stack[-1], None)
            if row is None:
                stack.pop()
                continue
            yield row
            if row.is_open and not row.left_out:
                stack.append(self._below(row.item, row.depth + 1, opened))

    def _below(self, above: Item, depth: int, opened: dict[str, bool]) -> Iterator[Row]:
        listed, left_out = _listed(above)
        for item in listed:
            yield Row(item, depth, bool(item.items) and is_open(item, opened))
        if left_out:
            yield Row(above, depth, left_out=left_out)


def is_open(item: Item, opened: dict[str, bool]) -> bool:
    """Whether an item's own items are shown: as a person wants it, else while there are few of them."""
    found = opened.get(item.path)
    return found if found is not None else len(item.items) <= 12


def _listed(above: Item) -> tuple[list[Item], int]:
    items = above.items
    if len(items) <= 2 * MANY:
        return list(items.values()), 0
    chosen = {item.path: item for item in islice(above.busy.values(), MANY)}
    for item in islice(reversed(items.values()), MANY):
        chosen.setdefault(item.path, item)
    listed = [items[path] for path in chosen]
    listed.sort(key=attrgetter("path"))
    listed.sort(key=lambda item: item.call.started_at if item.call is not None else 0.0)
    return listed, len(items) - len(listed)


def _above(path: str) -> tuple[str, str]:
    """The place that a path lies in, and its own name there: ``a/b[3]`` lies in ``a/b`` and is ``b[3]``."""
    head, _, leaf = path.rpartition("/")
    part = _PART.match(leaf)
    if part is None:
        return head, leaf
    return path[: len(path) - len(part.group(2))], leaf
