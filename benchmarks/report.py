"""What all benchmarks share: options, the environment line, targets with their figures, and the exit code."""

from __future__ import annotations

import argparse
import json
import os
import platform
import select
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("rookery", "pydantic", "openai", "langgraph", "langgraph-checkpoint-sqlite", "pydantic-graph", "aiosqlite")
ROOT = Path(__file__).parents[1]
"""Where processes are started, so that they find these modules."""
MET, MISSED, ABSENT = "met", "missed", "absent"


@dataclass(frozen=True, slots=True)
class Target:
    """A promise and the figure it is held against; a figure of None says that nothing was measured."""

    name: str
    figure: float | None
    bound: float
    unit: str = ""
    at_least: bool = False
    """The figure must reach the bound instead of staying under it."""

    @property
    def state(self) -> str:
        """``met``, ``missed``, or ``absent`` when there is no figure."""
        if self.figure is None:
            return ABSENT
        good = self.figure >= self.bound if self.at_least else self.figure <= self.bound
        return MET if good else MISSED

    @property
    def line(self) -> str:
        sign = "≥" if self.at_least else "≤"
        figure = "no data" if self.figure is None else f"{self.figure:.4g}{self.unit}"
        return f"{self.state:7} {self.name}: {figure} (target {sign} {self.bound:g}{self.unit})"

    def plain(self) -> dict[str, Any]:
        return {"name": self.name, "figure": self.figure, "bound": self.bound, "unit": self.unit, "at_least": self.at_least, "state": self.state}


def exit_code(targets: Iterable[Target]) -> int:
    """1 when a target is missed, else 2 when there is no data for one (or there are none at all), else 0."""
    states = {target.state for target in targets}
    if MISSED in states:
        return 1
    return 2 if ABSENT in states or not states else 0


def options(doc: str | None, argv: Sequence[str] | None, **more: dict[str, Any]) -> argparse.Namespace:
    """The options that all benchmarks have, and ``more``: from a name (``runs``) to the keywords of ``add_argument``."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="print each target with its figure; exit 1 if one is missed, 2 if data is absent")
    parser.add_argument("--quick", action="store_true", help="smaller counts, about a minute on a quiet machine; figures are rougher")
    for name, keywords in more.items():
        parser.add_argument("--" + name.replace("_", "-"), **keywords)
    return parser.parse_args(argv)


def environment() -> dict[str, Any]:
    """Where the figures come from: Python, platform, cores, load and versions; nothing that names a machine."""
    versions: dict[str, str] = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    if "rookery" not in versions:
        import rookery

        versions["rookery"] = rookery.__version__
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "sqlite": sqlite3.sqlite_version,
        "filesystem": filesystem(scratch()),
        "versions": versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def environment_line(env: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in env["versions"].items())
    return (
        f"{env['date']}; {env['implementation']} {env['python']}; {env['platform']}; {env['processor']}, {env['cores']} cores, "
        f"load {env['load_1min']}; SQLite {env['sqlite']} on {env['filesystem'] or 'an unknown file system'}; {versions}"
    )


def finish(name: str, figures: dict[str, Any], targets: Sequence[Target], lines: Sequence[str], chosen: argparse.Namespace) -> int:
    """Print what was measured as asked for, and give the exit code: always 0 without ``--check``."""
    env = environment()
    whole = {"benchmark": name, "quick": chosen.quick, "environment": env, **figures, "targets": [target.plain() for target in targets]}
    if chosen.json:
        print(json.dumps(whole, indent=1, ensure_ascii=False))
    else:
        print(environment_line(env), *lines, sep="\n")
    if not chosen.check:
        return 0
    print(*(target.line for target in targets), sep="\n", file=sys.stderr if chosen.json else sys.stdout)
    return exit_code(targets)


def say(text: str) -> None:
    """Progress, on standard error, so that standard output stays one JSON object."""
    print(text, file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Rows in columns, numbers to the right."""
    cells = [[str(cell) for cell in head], *([_shown(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths, strict=True)))
            for row in cells]


def _shown(cell: Any) -> str:
    if cell is None:
        return "–"
    return f"{cell:.4g}" if isinstance(cell, float) and abs(cell) < 1000 else f"{cell:.0f}" if isinstance(cell, float) else str(cell)


def scratch() -> Path:
    """A folder on a real disk to measure in: the system's temporary one, unless that is memory."""
    places = [Path(tempfile.gettempdir()), Path("/var/tmp"), Path.cwd()]
    return next((place for place in places if place.is_dir() and filesystem(place) not in ("tmpfs", "ramfs")), places[0])


def filesystem(place: Path) -> str:
    """The kind of file system that a folder is on; empty where the system does not say."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return ""
    found = [(len(Path(point).parts), kind) for point, kind in mounts if place.resolve().is_relative_to(point)]
    return max(found, default=(0, ""))[1]


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


class Slow(Exception):
    """A worker took longer than it was given; it has been ended."""


class Worker:
    """A process of its own for each contestant: it takes a JSON line, does what it says, and answers with one.

    So each has its own heap and its own imports, nobody pays for another's garbage, and one that takes too long can be ended.
    """

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, order: dict[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Its answer. Raises Slow after ``timeout_s``, ChildProcessError when it ends without one."""
        process = self._process
        if process is None or process.poll() is not None:
            command = [sys.executable, "-m", *self._arguments]
            process = self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], timeout_s)
        if not ready:
            self.close()
            raise Slow(f"longer than {timeout_s:.0f} s")
        line = process.stdout.readline()
        if not line:
            raise ChildProcessError(f"{' '.join(self._arguments)} ended with {process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def obey(handle: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The other side of Worker: answer each line until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what else is printed must not stand between the answers
    for line in sys.stdin:
        answers.write(json.dumps(handle(json.loads(line))) + "\n")
        answers.flush()


class Cell:
    """One contestant at one shape and size: how it is played, and its laps."""

    def __init__(self, system: str, shape: str, n: int, form: str, store: str, rounds: int) -> None:
        self.order = {"do": "play", "system": system, "shape": shape, "n": n, "form": form, "store": store}
        self.system, self.shape, self.n, self.form, self.store, self.rounds = system, shape, n, form, store, rounds
        self.laps: list[dict[str, Any]] = []
        self.note = ""

    def play(self, worker: Worker, *, timeout_s: float) -> None:
        if self.note:
            return
        try:
            answer = worker.ask(self.order, timeout_s=timeout_s)
        except Slow as error:
            self.note = str(error)
        except ChildProcessError as error:
            self.note = f"failed: {error}"
        else:
            self.note = answer.get("absent", "")
            self.laps += [] if self.note else [answer]

    def us(self, key: str = "value_s") -> list[float]:
        """µs a node, lap by lap."""
        return [lap[key] / self.n * 1e6 for lap in self.laps]

    def plain(self) -> dict[str, Any]:
        value, closed = self.us(), self.us("closed_s")
        return {
            "system": self.system, "shape": self.shape, "n": self.n, "form": self.form, "store": self.store, "rounds": len(self.laps),
            "us_per_node": min(value, default=None), "median_us_per_node": statistics.median(value) if value else None,
            "closed_us_per_node": min(closed, default=None), "bytes": min((lap["bytes"] for lap in self.laps), default=None),
            "note": self.note, "laps_us": [round(us, 3) for us in value], "laps_closed_us": [round(us, 3) for us in closed],
        }
