"""Places in real Python where a name follows a dot: what is written there is known, and a model can be asked to write it again."""

from __future__ import annotations

import ast
import importlib.util
import random
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from benchmarks.report import ROOT
from training.python.data import shortened, sketch

SKETCH = ROOT / "training" / "python" / "trained.npy"
SKIPPED_FOLDERS = frozenset({"test", "tests", "testing", "_vendor", "vendor", "__pycache__", ".venv", "venv", "build", "dist", "node_modules"})
MAX_FILE_CHARS = 200_000
MAX_SITES_A_FILE = 8


@dataclass(frozen=True, slots=True)
class Dereference:
    """One dot, and the name that follows it in the true file."""

    package: str
    version: str
    file: str
    """Relative to the folder that imports start from."""
    line: int
    """1-based."""
    column: int
    """Of the name's first character, 0-based, in characters."""
    kind: str
    """``self`` for ``self.`` and ``cls.``, ``name`` for another plain name, ``expression`` for all else."""
    truth: str

    def parts(self, text: str) -> tuple[str, str]:
        """The file's text before the name, and after it."""
        at = sum(map(len, text.splitlines(keepends=True)[: self.line - 1])) + self.column
        return text[:at], text[at + len(self.truth) :]


@dataclass(frozen=True, slots=True)
class Project:
    """A package under test: its name, version and folder."""

    name: str
    version: str
    folder: Path

    def files(self) -> Iterator[Path]:
        """Its Python files, relative to the folder that its imports start from."""
        for path in sorted(self.folder.rglob("*.py")):
            inside = path.relative_to(self.folder.parent)
            if not SKIPPED_FOLDERS & set(inside.parts[:-1]) and not path.name.startswith("test_"):
                yield inside


def installed(package: str) -> Project | None:
    """A package of this environment; None if it is not there or is a single module."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    try:
        number = version(package)
    except PackageNotFoundError:
        number = ""
    return Project(package, number, Path(spec.submodule_search_locations[0]))


def at(path: Path) -> Project:
    """The project in a folder: the package itself, or the folder (or its ``src``) that holds just one."""
    path = path.expanduser().resolve()
    for place in (path, path / "src"):
        inner = [folder for folder in sorted(place.iterdir()) if (folder / "__init__.py").exists() and folder.name not in SKIPPED_FOLDERS] \
            if place.is_dir() and not (path / "__init__.py").exists() else []
        if inner:
            path = next((folder for folder in inner if folder.name == path.name), inner[0])
            break
    if not any(path.rglob("*.py")):
        raise SystemExit(f"there is no Python in {path}")
    return Project(path.name, "", path)


class Trained:
    """What the models were trained on, as sketches: the eight smallest shingles of each file (Broder 1997), to tell copies by."""

    def __init__(self, path: Path = SKETCH) -> None:
        self._files: dict[int, list[int]] = defaultdict(list)
        self.count = 0
        if path.exists():
            table = np.load(path)
            self.count = len(table)
            for number, row in enumerate(table.tolist()):
                for mark in row:
                    self._files[mark].append(number)

    def has(self, text: str, tree: ast.Module) -> bool:
        """Whether half of the text's sketch is that of one file."""
        marks = sketch(shortened(text, tree))
        found: dict[int, int] = defaultdict(int)
        for mark in marks:
            for number in self._files.get(mark, ()):
                found[number] += 1
        return max(found.values(), default=0) >= max(1, len(marks) / 2)


def dereferences(project: Project, trained: Trained) -> tuple[list[Dereference], int]:
    """All sites in the functions of a project, and how many of its files were left out because the models have seen them."""
    found: list[Dereference] = []
    seen = 0
    for file in project.files():
        try:
            text = (project.folder.parent / file).read_text("utf-8")
            tree = ast.parse(text)
        except (SyntaxError, ValueError, OSError):
            continue
        if len(text) > MAX_FILE_CHARS:
            continue
        if trained.has(text, tree):
            seen += 1
            continue
        found += [replace(site, package=project.name, version=project.version, file=file.as_posix()) for site in _sites(text, tree)]
    return found, seen


def _sites(text: str, tree: ast.Module) -> Iterator[Dereference]:
    lines = text.splitlines()
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    nodes = {node for function in functions for statement in function.body for node in ast.walk(statement)
             if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and not _is_number(node.value)}
    for node in sorted(nodes, key=lambda node: (node.end_lineno or 0, node.end_col_offset or 0)):
        line = lines[(node.end_lineno or 1) - 1]
        end = len(line.encode()[: node.end_col_offset].decode(errors="ignore"))
        column = end - len(node.attr)
        if line[column:end] != node.attr or not re.search(r"[\w)\]\"'}]\s*\.\Z", line[:column]):
            continue  # spelled in another way, or the dot stands on another line
        plain = node.value.id if isinstance(node.value, ast.Name) else ""
        kind = "self" if plain in ("self", "cls") else "name" if plain else "expression"
        yield Dereference("", "", "", node.end_lineno or 1, column, kind, node.attr)


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and not isinstance(node.value, str | bytes)


def drawn(sites: Sequence[Dereference], count: int, seed: int) -> list[Dereference]:
    """``count`` sites, as many of each package as there are to be had, and no file with many; in the order of files."""
    chance = random.Random(seed)
    by_package: dict[str, list[Dereference]] = defaultdict(list)
    for site in chance.sample(sites, len(sites)):
        of_file = [other for other in by_package[site.package] if other.file == site.file]
        if len(of_file) < MAX_SITES_A_FILE:
            by_package[site.package].append(site)
    chosen: list[Dereference] = []
    left = sorted(by_package.values(), key=len)
    while left:
        share = (count - len(chosen)) // len(left)
        chosen += left.pop(0)[:share]
    return sorted(chosen, key=lambda site: (site.package, site.file, site.line, site.column))


def copied(projects: Sequence[Project], folder: Path) -> Path:
    """A folder with copies of the packages, whose files may be taken away and put back."""
    for project in projects:
        shutil.copytree(project.folder, folder / project.folder.name, ignore=shutil.ignore_patterns("__pycache__", ".git", "*.so", "*.pyc"))
    return folder
