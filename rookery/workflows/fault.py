"""A fault of a workflow's text: what is wrong, where, and what to do; shown as a compiler would, with the line and a caret."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

NAMES = 2_000
"""Among at most so many names the nearest one is looked for."""
_WIDTH = 160
"""Of a line so much is shown."""


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of one line of a file."""

    file: str
    line: int
    """From 1 up, as ``column``; a column is one character."""
    column: int
    length: int = 1
    text: str = ""
    """The whole line."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong."""

    message: str
    place: Place
    hint: str = ""
    """What to do, or what may have been meant."""
    kind: str = "fault"
    """A short name of the sort: ``syntax``, ``key``, ``type``, ``reference``, ``cycle``, ``loop``, ``expression``, ``file`` …"""
    path: str = ""
    """Where in the workflow: ``calls.title.with.text``."""

    @property
    def shown(self) -> str:
        """The fault with its line and a caret."""
        place = self.place
        number = str(place.line)
        margin = " " * len(number)
        text, column = _cut(place.text, place.column)
        caret = "^" * max(1, min(place.length, len(text) - column + 1 if column <= len(text) else 1))
        lines = [
            f"error[{self.kind}]: {self.message}",
            f"{margin}--> {place}",
            f"{margin} |",
            f"{number} | {text}",
            f"{margin} | {' ' * (column - 1)}{caret}",
        ]
        lines += [f"{margin} = {line}" for line in self.hint.splitlines()]
        return "\n".join(lines)


def _cut(text: str, column: int) -> tuple[str, int]:
    """A line short enough to be shown, and the column in it; a tab is one sign wide, so that the caret stands below its sign."""
    text = text.replace("\t", "→")
    if len(text) <= _WIDTH:
        return text, column
    start = max(0, min(column - 1 - _WIDTH // 2, len(text) - _WIDTH))
    piece = text[start : start + _WIDTH]
    return ("…" + piece[1:] if start else piece) + ("…" if start + _WIDTH < len(text) else ""), column - start


def nearest(name: str, names: Iterable[str]) -> str:
    """What may have been meant, as a hint; empty when nothing is near."""
    near = get_close_matches(name, list(names)[:NAMES], 1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""


def meant(name: str, names: Sequence[str], *, otherwise: str = "") -> str:
    """The nearest name; where none is near, all of them if they are few, else ``otherwise``."""
    near = nearest(name, names)
    if near or not names:
        return near or otherwise
    return f"there are {', '.join(names)}" if len(names) <= 12 else otherwise


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Each fault once, by file and line; of several at one place the first said stays first."""
    found: dict[tuple[Place, str], Fault] = {}
    for fault in faults:
        found.setdefault((fault.place, fault.message), fault)
    return sorted(found.values(), key=lambda fault: (fault.place.file, fault.place.line, fault.place.column))
