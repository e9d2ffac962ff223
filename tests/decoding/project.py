"""A small project with what analysers trip over, and how its monitors are asked."""

from __future__ import annotations

from pathlib import Path

from rookery.decoding.monitor import Analyser, Constraint, Cursor, Monitor
from rookery.errors import AnalyserFailed

FILES = {
    "shapes.py": '''\
import enum
from dataclasses import dataclass
from typing import NamedTuple, overload


class Color(enum.Enum):
    RED = 1
    GREEN = enum.auto()

    def shine(self) -> str:
        return self.name


class Shape:
    """Has an area."""

    def __init__(self, name: str, *, color: Color = Color.RED) -> None:
        self.name = name
        self.color = color
        self._hidden = 0

    def area(self) -> float:
        return 0.0

    def scaled(self, factor: float, /, times: int = 1) -> "Shape":
        return self


class Square(Shape):
    def __init__(self, name: str, side: float) -> None:
        super().__init__(name)
        self.side = side

    def grow(self, *steps: float, limit: float, **options: object) -> None: ...


@dataclass
class Point:
    x: int
    y: int = 0


class Pair(NamedTuple):
    left: int
    right: int


class ShapeError(Exception):
    """Something is wrong with a shape."""


@overload
def pick(index: int) -> Shape: ...
@overload
def pick(name: str, default: Shape) -> Shape: ...
def pick(*args, **kwargs): ...


def nothing() -> None: ...
''',
    "circular_a.py": "from circular_b import Beta\n\n\nclass Alpha:\n    def beta(self) -> 'Beta':\n        return Beta()\n",
    "circular_b.py": "from circular_a import Alpha\n\n\nclass Beta:\n    def alpha(self) -> 'Alpha':\n        return Alpha()\n",
    "broken.py": "class Broken:\n    def works(self):\n        return 1\n\n    def broken(self:\n        x = (1,\n\ndef after(:\n",
    "package/__init__.py": "",
    "package/inner.py": "def helper(a, b): ...\n\n\nVALUE = 3\n",
}
HEAD = "import shapes\nfrom shapes import Color, Point, Shape, Square, ShapeError, nothing, pick\n\n\n"


def written(folder: Path) -> Path:
    """The project's folder, its files written."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


async def constraint(monitor: Monitor, analyser: Analyser, before: str, after: str = "", path: str = "") -> Constraint | None:
    """What a monitor says may follow; None where it sleeps or nothing is known."""
    query = monitor.wake(Cursor(before, after, path))
    if query is None:
        return None
    try:
        facts = await analyser.ask(query)
    except AnalyserFailed:
        return None
    return monitor.follow(query, facts) if facts.is_usable else None


def takes(found: Constraint | None, text: str) -> bool:
    """Whether the text may follow; all may, where there is no constraint."""
    return found is None or found.start().take(text.encode()) is not None


async def refused(monitor: Monitor, analyser: Analyser, before: str, text: str) -> int | None:
    """Where in a text that is written after ``before`` the monitor refuses it, character by character; None when it lets it pass."""
    living = []
    for end in range(len(text) + 1):
        last = (before + text[:end])[-1:]
        if last and last in monitor.triggers:
            found = await constraint(monitor, analyser, before + text[:end])
            living += [found.start()] if found is not None else []
        if end < len(text):
            moved = [state.take(text[end].encode()) for state in living if not state.is_free]
            if None in moved:
                return end
            living = moved
    return None
