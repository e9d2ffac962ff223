"""Analysers of plain facts: what a function gives when it is asked, and which files a folder has."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rookery.decoding.monitor import NO_FACTS, Analyser, Cursor, Facts, Query
from rookery.errors import AnalyserFailed

MOST_FILES = 20_000
"""A folder with more files is looked up incompletely, and then constrains nothing."""
SKIPPED = frozenset({".git", "__pycache__", "node_modules", ".venv", "venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hg", ".svn"})


@dataclass(frozen=True, slots=True)
class Lookup:
    """Asks a function, each time anew, in a thread: the ids in a table, the tools that are there now."""

    function: Callable[[], Iterable[object]]

    def __call__(self) -> Analyser:
        return _Asked(lambda: Facts(tuple(str(name) for name in self.function())))


@dataclass(frozen=True, slots=True)
class Folder:
    """The files below a folder, with ``/`` between their parts, folders of tools and of version control left out."""

    root: str
    suffixes: tuple[str, ...] = ()

    def __call__(self) -> Analyser:
        return _Asked(self._look)

    def _look(self) -> Facts:
        root = Path(self.root)
        if not root.is_dir():
            raise AnalyserFailed(f"{self.root} is no folder", rule="file_paths", hint="file_paths(root): a folder that exists")
        names = []
        for path in self._walk(root):
            names.append(path)
            if len(names) > MOST_FILES:
                return Facts(tuple(names), is_complete=False)
        return Facts(tuple(names))

    def _walk(self, root: Path) -> Iterator[str]:
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(name for name in folders if name not in SKIPPED)
            for name in sorted(files):
                if not self.suffixes or name.endswith(self.suffixes):
                    yield (Path(folder) / name).relative_to(root).as_posix()


class _Asked:
    """An Analyser that calls a function for every question."""

    def __init__(self, look: Callable[[], Facts]) -> None:
        self._look = look

    async def ask(self, query: Query) -> Facts:
        facts = await asyncio.to_thread(self._look)
        return facts if facts.names else NO_FACTS

    async def warm(self, cursor: Cursor) -> None:
        """Nothing takes long the first time only."""

    async def aclose(self) -> None:
        """Nothing is kept."""
