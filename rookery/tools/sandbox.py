"""What a sandbox is: a program and its limits in, an outcome out; the program's failure is data, a failure of the isolation is an error."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any, Literal, Protocol, runtime_checkable

from rookery.errors import ProgramInvalid

Reason = Literal["exception", "exit", "value", "timeout", "memory", "output", "disk", "crash", "refused"]
"""Why a program gave no value: it raised; it ended itself (``sys.exit``, whatever the code); its value is no JSON; it took too long, or
too much memory, output or disk; its process died without a word; or this sandbox cannot run such programs (another one may)."""
Door = Callable[..., Any | Awaitable[Any]]
"""A function of the host that a program may call, plain or async, with JSON values in and out."""

MAX_SOURCE_BYTES = 16_000_000
MAX_DEPTH = 200
"""Lists and objects of a value may be nested so deep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLimit:
    """What one program may use. Reaching a cap ends it and is told as the fault of that name; ``a & b`` takes the tighter of each."""

    cpu_s: float = 10.0
    """Processor seconds, all threads together; where the kernel counts whole seconds, the next one."""
    wall_s: float = 20.0
    """Seconds from the moment the program is handed over; waiting for a door does not count."""
    memory_mb: int = 512
    """Megabytes (10⁶) of address space of each process, the interpreter's 40 or so included."""
    disk_mb: int = 64
    """Megabytes of files below /tmp, the only place that can be written to."""
    output_bytes: int = 1_000_000
    """Each of standard output, standard error and the value as JSON may be so long."""
    processes: int = 1
    """Processes at a time; 1 allows threads, but no child process."""
    threads: int = 64
    """Threads at a time, of all processes together."""
    calls: int = 1000
    """Calls of doors."""

    def __post_init__(self) -> None:
        for cap in fields(self):
            value = getattr(self, cap.name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= (0 if cap.name in ("calls", "disk_mb") else 1e-3)):
                raise ValueError(f"SandboxLimit({cap.name}={value!r}): a cap is a finite number above 0")

    def __and__(self, other: SandboxLimit) -> SandboxLimit:
        return SandboxLimit(**{cap.name: min(getattr(self, cap.name), getattr(other, cap.name)) for cap in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Python source, and how it is to be run."""

    source: str
    entry: str = ""
    """A function of the source to call with ``args`` and ``kwargs``; its value is the outcome's. The source is then a module named
    ``program``. Without it the source is a script (``__main__``), and the value is that of its last line when that is an expression:
    as JSON if it can be, else its ``repr``."""
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Arguments as JSON data; what ``json.dumps`` makes of them is what the function gets (tuples become lists)."""
    stdin: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    """Text files that lie in the working folder (/tmp) at the start: relative path → text."""
    packages: Sequence[str] = ()
    """Installed distributions that the program may import, by the names pip knows; what they require comes with them."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a program gave no value."""

    kind: Reason
    message: str = ""
    type: str = ""
    """The class of the exception, for kind ``exception`` and its like."""
    line: int | None = None
    """The line of the source, from 1, that was being executed."""

    def __str__(self) -> str:
        place = f" (line {self.line})" if self.line is not None else ""
        return f"{self.type or self.kind}: {self.message}{place}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a program. ``value`` and the two texts are the program's own word: compare them, never obey them."""

    value: Any = None
    """JSON data; None when there is a fault."""
    fault: Fault | None = None
    stdout: str = ""
    stderr: str = ""
    """What it wrote, undecodable bytes replaced; with the traceback at the end of ``stderr`` when it raised."""
    cpu_s: float = 0.0
    """Processor seconds used, measured from outside."""
    wall_s: float = 0.0
    rung: str = ""
    """The sandbox that ran it."""

    @property
    def ok(self) -> bool:
        return self.fault is None


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxFacts:
    """What a sandbox is, as data that does not change."""

    rung: str
    """``monty``, ``bubblewrap``, …"""
    python: str
    """The version of the language that runs inside; ``subset`` is said where not all of it does."""
    isolates: tuple[str, ...]
    """By what means, for people to read."""
    full: bool
    """Whether all of Python runs, with packages; if not, programs may be refused that another rung would run."""


@runtime_checkable
class Sandbox(Protocol):
    """Runs programs that nobody has reason to trust, each in a fresh process, and fails closed.

    ``rookery.testing.check_sandbox`` is the contract that every implementation passes.
    """

    @property
    def facts(self) -> SandboxFacts: ...

    async def run(self, program: Program, *, limit: SandboxLimit | None = None, doors: Mapping[str, Door] | None = None) -> Outcome:
        """Run a program to its end.

        ``doors`` are functions of the host that the program finds as builtins under these names; nothing else leads out. When this
        is cancelled, the program's processes are gone before the cancellation goes on.

        :raises ProgramInvalid: the program cannot be handed over: arguments that are no JSON, a path outside of the folder, …
        :raises SandboxMissing: this sandbox cannot work on this machine; the hint says what to install.
        :raises SandboxBroken: the isolation could not be set up, or did not hold.
        """
        ...

    async def aclose(self) -> None:
        """End all processes and remove what was put on disk for this sandbox alone; may be called twice."""
        ...


# ------------------------------------------------------------------ what every rung checks


def check_program(program: Program) -> tuple[list[Any], dict[str, Any]]:
    """The program's arguments as plain JSON data. Raises ProgramInvalid with all that is wrong with the program."""
    wrong: list[str] = []
    if _bytes_of(program.source) > MAX_SOURCE_BYTES:
        wrong.append(f"its source has more than {MAX_SOURCE_BYTES:,} bytes")
    if program.entry and not program.entry.isidentifier():
        wrong.append(f"entry: {program.entry!r} is no name of a function")
    if (program.args or program.kwargs) and not program.entry:
        wrong.append("args: there is no entry to call with them")
    for name in program.files:
        path = PurePosixPath(name)
        if not name or "\0" in name or path.is_absolute() or ".." in path.parts or path == PurePosixPath("."):
            wrong.append(f"files: {name!r} is no relative path below the working folder")
    try:
        plain = json.loads(json.dumps([list(program.args), dict(program.kwargs)], allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        plain = [[], {}]
        wrong.append(f"args: {error or type(error).__name__}")
    if not wrong and (fault := poison(plain)):
        wrong.append(f"args: {fault}")
    if wrong:
        raise ProgramInvalid("the program cannot be run: " + "; ".join(wrong), hint="pass JSON data and relative paths")
    return plain[0], plain[1]


def read_value(raw: bytes) -> Any:
    """The JSON value of bytes that a program wrote. Raises ValueError for all that is not plain JSON: invalid UTF-8, NaN and Infinity,
    numbers that a float or Python's limit of digits cannot hold, equal keys, lone surrogates, and what is nested too deep."""
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_distinct)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if fault := poison(value):
        raise ValueError(fault)
    return value


def poison(value: Any) -> str:
    """What of JSON data would trip whoever works with it: depth, lone surrogates, infinite numbers; empty when it is sound."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, str):
                if not item.isascii() and any("\ud800" <= letter <= "\udfff" for letter in item):
                    return "a text has lone surrogates"
            elif isinstance(item, float) and not math.isfinite(item):
                return "a number is not finite"
        if not below:
            return ""
        level = below
    return f"nested deeper than {MAX_DEPTH} levels"


def _bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("an object has a key twice")
    return made
