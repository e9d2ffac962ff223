"""The second rung: full CPython in a bubblewrap sandbox, in a root with nothing but the interpreter, as a user without rights."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import marshal
import math
import os
import platform
import re
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rookery.errors import SandboxBroken, SandboxMissing
from rookery.tools.cell import Cell, start
from rookery.tools.root import PYTHON, RUNNER, cache_folder, root_for
from rookery.tools.sandbox import Door, Fault, Outcome, Program, Reason, SandboxFacts, SandboxLimit, check_program, read_value
from rookery.tools.seccomp import ARCHITECTURES, filter_for

RUNG = "bubblewrap"
INSTALL = "apt-get install bubblewrap (or your system's package of that name)"
KERNEL = (5, 14)
"""From here on RLIMIT_NPROC is counted for each user namespace, so it binds one sandbox and not all of a user's processes."""
NOBODY = 65534
FILES_PER_MB = 256
"""A program may have 1000 files and so many more for each megabyte of its disk."""
INSIDE = 1000
"""The user and group that a program sees itself as."""
_READY_S = 20.0
_KINDS: dict[str, Reason] = {"exception": "exception", "exit": "exit", "value": "value", "memory": "memory", "disk": "disk"}
"""Faults that a program's process may tell of; the others are seen from outside only."""


def lacking() -> tuple[str, str]:
    """What keeps bubblewrap from working on this machine, and what to do; two empty texts when nothing is known to."""
    if sys.platform != "linux":
        return f"bubblewrap needs Linux; this is {sys.platform}", "use the Monty sandbox, or run in a Linux machine or container"
    if platform.machine() not in ARCHITECTURES:
        return f"there is no list of system calls for {platform.machine()}", f"use one of {', '.join(ARCHITECTURES)}, or the Monty sandbox"
    release = re.match(r"(\d+)\.(\d+)", platform.release())
    if release and tuple(map(int, release.groups())) < KERNEL:
        return f"Linux {platform.release()} counts processes by user, not by sandbox", f"use Linux {KERNEL[0]}.{KERNEL[1]} or newer"
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed", INSTALL
    return "", ""


class Bubblewrap:
    """Runs each program in a fresh CPython inside of bubblewrap.

    What holds it: all namespaces its own, a read-only root with interpreter and standard library, /tmp in memory with a size, a list
    of allowed system calls, hard resource limits, no capability, no environment, no network. As root it becomes the user 65534 first,
    since the limit of processes does not bind root.

    :param ready: so many processes are started ahead and wait, each for one program (0: each start is cold).
    :param parallel: programs that run at a time, by default as many as there are processors; others wait for their turn, and their
        clocks do not run.
    :param cache: where roots are kept (about 60 MB each); by default $XDG_CACHE_HOME/rookery/sandbox, for root /var/cache/rookery.
    """

    def __init__(self, *, ready: int = 1, parallel: int | None = None, cache: Path | None = None) -> None:
        self._ready = ready
        self._parallel = parallel or os.cpu_count() or 1
        self._cache = cache
        self._waiting: dict[_Kind, list[Cell]] = {}
        self._turns: tuple[asyncio.AbstractEventLoop, asyncio.Semaphore] | None = None
        self._roots: dict[tuple[str, ...], Path] = {}
        self._dying: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def facts(self) -> SandboxFacts:
        return SandboxFacts(
            rung=RUNG, python=platform.python_version(), full=True,
            isolates=("namespaces", "read-only minimal root", "seccomp allow-list", "Landlock where the kernel has it", "resource limits",
                      "no capabilities", "empty environment"),
        )  # fmt: skip

    async def run(self, program: Program, *, limit: SandboxLimit | None = None, doors: Mapping[str, Door] | None = None) -> Outcome:
        """See ``Sandbox.run``."""
        args, kwargs = check_program(program)
        limit = limit or SandboxLimit()
        root = await self._root(tuple(program.packages))
        order = _order(program, args, kwargs, limit, tuple(doors or ()))
        async with self._turn():
            kind = _Kind(root, limit.disk_mb, limit.processes > 1)
            cell = await self._ready_one(kind)
            is_buried = False
            try:
                outcome = await _converse(cell, order, limit, doors or {})
                if outcome.ok and limit.processes == 1:  # it is killed, and had no children: the caller need not wait for the kernel
                    self._bury(cell)
                    is_buried = True
                return outcome
            finally:
                if not is_buried:
                    await _gone(cell)
                asyncio.get_running_loop().call_soon(self._start_ahead, kind)  # after the caller has gone on

    async def aclose(self) -> None:
        """See ``Sandbox.aclose``."""
        self._closed = True
        cells = [cell for waiting in self._waiting.values() for cell in waiting]
        self._waiting.clear()
        for cell in cells:
            await cell.end()
        await asyncio.gather(*self._dying, return_exceptions=True)

    # -------------------------------------------------------------- cells

    def _turn(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        if self._turns is None or self._turns[0] is not loop:
            self._turns = (loop, asyncio.Semaphore(self._parallel))
        return self._turns[1]

    async def _root(self, packages: tuple[str, ...]) -> Path:
        if packages not in self._roots:
            reason, hint = lacking()
            if reason:
                raise SandboxMissing(reason, rung=RUNG, hint=hint)
            cache = self._cache or cache_folder()
            self._roots[packages] = await asyncio.to_thread(root_for, packages, cache=cache)
        return self._roots[packages]

    def _bury(self, cell: Cell) -> None:
        """Wait in the background until a killed cell is gone."""
        task = asyncio.create_task(cell.end())
        self._dying.add(task)
        task.add_done_callback(self._dying.discard)

    async def _ready_one(self, kind: _Kind) -> Cell:
        """A cell whose runner waits for its order. One that died while it waited is replaced: nothing has been handed over to it."""
        while True:
            is_last = not self._waiting.get(kind)
            cell = self._take(kind)
            try:
                await _until_ready(cell)
                return cell
            except SandboxBroken:
                await _gone(cell)
                if is_last:
                    raise
            except BaseException:
                await _gone(cell)
                raise

    def _take(self, kind: _Kind) -> Cell:
        waiting = self._waiting.get(kind, [])
        while waiting:
            cell = waiting.pop(0)
            if cell.is_alive:
                return cell
            cell.close()
        return _start(kind)

    def _start_ahead(self, kind: _Kind) -> None:
        """Have the next cells of this kind wait; those of the kind used longest ago make room."""
        if self._closed or not self._ready:
            return
        waiting = self._waiting.pop(kind, [])
        self._waiting[kind] = waiting
        while len(waiting) < self._ready:
            waiting.append(_start(kind))
        while len(self._waiting) > 4:
            for cell in self._waiting.pop(next(iter(self._waiting))):
                cell.bury()
                cell.close()


class _Kind(tuple[Path, int, bool]):
    """What is fixed when a cell starts: its root, the megabytes of its /tmp, and whether it may have children."""

    __slots__ = ()

    def __new__(cls, root: Path, disk_mb: int, processes: bool) -> _Kind:
        return super().__new__(cls, (root, disk_mb, processes))


def _start(kind: _Kind) -> Cell:
    root, disk_mb, processes = kind
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise SandboxMissing("bubblewrap is not installed", rung=RUNG, hint=INSTALL)

    def command(ask: int, answer: int, seccomp: int, status: int) -> Sequence[str]:
        return (
            bwrap, "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try",
            "--uid", str(INSIDE), "--gid", str(INSIDE), "--hostname", "sandbox", "--clearenv", "--setenv", "MALLOC_ARENA_MAX", "2",
            "--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL",
            "--ro-bind", str(root), "/", "--dev-bind", "/dev/null", "/dev/null",
            "--size", str(max(disk_mb * 1_000_000, 4096)), "--tmpfs", "/tmp", "--chdir", "/tmp",
            "--seccomp", str(seccomp), "--json-status-fd", str(status),
            PYTHON, "-I", "-S", "-B", "-X", "utf8", RUNNER, str(ask), str(answer),
        )  # fmt: skip

    try:
        return start(command, seccomp=filter_for(platform.machine(), processes=processes), user=NOBODY if os.geteuid() == 0 else None)
    except OSError as error:
        raise SandboxBroken(f"bubblewrap could not be started: {error}", rung=RUNG, hint="rookery doctor") from error


async def _gone(cell: Cell) -> None:
    """End a cell; a cancellation waits until its processes are gone."""
    ending = asyncio.ensure_future(cell.end())
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        await ending
        raise


# ------------------------------------------------------------------ the conversation


def _order(program: Program, args: list[Any], kwargs: dict[str, Any], limit: SandboxLimit, doors: tuple[str, ...]) -> bytes:
    order = {
        "source": program.source, "entry": program.entry, "args": args, "kwargs": kwargs, "stdin": program.stdin,
        "files": sorted(program.files.items()), "packages": bool(program.packages), "doors": doors,
        "limit": {
            "cpu_whole_s": math.ceil(limit.cpu_s), "memory_mb": limit.memory_mb, "disk_mb": limit.disk_mb,
            "processes": limit.processes, "threads": limit.threads,
        },
    }  # fmt: skip
    return _framed(order)


def _framed(thing: Any) -> bytes:
    data = marshal.dumps(thing)
    return len(data).to_bytes(8, "big") + data


async def _until_ready(cell: Cell) -> None:
    """Wait until the runner inside says that it is there; nothing of the program has been handed over before."""
    cell.attach(output_bytes=1 << 16)
    try:
        line = await cell.line(_READY_S)
    except TimeoutError:
        line = None
    if line is None or not line.startswith(b'{"ready":'):
        await asyncio.sleep(0)
        cell.drain()
        said = cell.stderr.decode(errors="replace").strip()[-600:]
        raise SandboxBroken(f"the sandbox could not be set up: {said or 'it does not answer'}", rung=RUNG, hint=_setup_hint(said))


def _setup_hint(said: str) -> str:
    if "Unknown option" in said:
        return "upgrade bubblewrap to 0.7 or newer"
    if "uid map" in said or "namespace" in said or "loopback" in said:
        switches = "user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns"
        return f"allow user namespaces; look at sysctl {switches}"
    return "rookery doctor tries it out"


async def _converse(cell: Cell, order: bytes, limit: SandboxLimit, doors: Mapping[str, Door]) -> Outcome:
    loop = asyncio.get_running_loop()
    cell.output_bytes = limit.output_bytes
    cell.max_files = 1000 + FILES_PER_MB * limit.disk_mb
    began, paused_s, calls = loop.time(), 0.0, 0
    cell.send(order)
    value, fault = None, None
    while True:
        try:
            line = await cell.line(limit.wall_s - (loop.time() - began - paused_s))
        except TimeoutError:
            fault = Fault("timeout", f"it took longer than {limit.wall_s:g} s")
            break
        if line is None:
            fault = await _why(cell, limit)
            break
        told = _read(line)
        if "call" not in told:
            value, fault = told.get("value"), _fault_of(told)
            break
        calls += 1
        if calls > limit.calls:
            fault = Fault("timeout", f"it made more than {limit.calls} calls")
            break
        asked = loop.time()
        cell.send(_framed(await _through(told, doors)))
        paused_s += loop.time() - asked
    wall_s = loop.time() - began - paused_s
    cell.drain()
    if cell.overrun is not None:
        much = f"{limit.output_bytes:,} bytes" if cell.overrun == "output" else f"{cell.max_files:,} files"
        value, fault = None, Fault(cell.overrun, f"it wrote more than {much}")
    used_s = cell.used_cpu_s()
    cell.kill()
    if fault is not None or limit.processes > 1:
        await _gone(cell)
    return Outcome(
        value=value, fault=fault, stdout=cell.stdout.decode(errors="replace"), stderr=cell.stderr.decode(errors="replace"),
        cpu_s=max(used_s, cell.cpu_s), wall_s=wall_s, rung=RUNG,
    )  # fmt: skip


async def _why(cell: Cell, limit: SandboxLimit) -> Fault | None:
    """Why there is no answer; gives the process a moment to end by itself, so that it can be told how."""
    if cell.overrun is not None:
        return None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await cell.ended()
    code = cell.exit_code
    # Only the kernel's limit can have killed it (it is the first of its namespace); the kernel's own count runs ahead of what it tells.
    if cell.cpu_s >= limit.cpu_s or (code == 128 + signal.SIGKILL and cell.cpu_s >= 0.5 * limit.cpu_s):
        return Fault("timeout", f"it used more than {limit.cpu_s:g} s of processor time")
    how = "closed its answer" if code is None else f"ended by signal {code - 128}" if code > 128 else f"ended with status {code}"
    return Fault("crash", f"its process {how} without a value")


def _read(line: bytes) -> dict[str, Any]:
    """A line that the program's process wrote, as what it may be: nothing in it is believed beyond its form."""
    try:
        told = read_value(line)
    except ValueError as error:
        return {"fault": {"kind": "value", "message": f"its value is no JSON that can be taken: {error}"}}
    if isinstance(told, dict) and told.keys() in ({"value"}, {"fault"}, {"call", "args", "kwargs"}):
        return told
    return {"fault": {"kind": "crash", "message": "its answer is not in the form agreed on"}}


def _fault_of(told: Mapping[str, Any]) -> Fault | None:
    if "fault" not in told:
        return None
    said = told["fault"] if isinstance(told["fault"], dict) else {}
    kind, line = _KINDS.get(str(said.get("kind")), "crash"), said.get("line")
    is_line = isinstance(line, int) and not isinstance(line, bool) and 0 < line < 1 << 31
    return Fault(kind, str(said.get("message", ""))[:4000], type=str(said.get("type", ""))[:200], line=line if is_line else None)


async def _through(told: Mapping[str, Any], doors: Mapping[str, Door]) -> tuple[str, Any]:
    """Call a door for the program: ("value", JSON data) or ("error", text)."""
    door, args, kwargs = doors.get(str(told["call"])), told["args"], told["kwargs"]
    if door is None or not isinstance(args, list) or not isinstance(kwargs, dict):
        return "error", f"there is no such function: {told['call']}"
    try:
        value = door(*args, **kwargs)
        if inspect.isawaitable(value):
            value = await value
        return "value", json.loads(json.dumps(value, allow_nan=False))
    except Exception as error:  # the door's failure is the program's to deal with
        return "error", f"{type(error).__name__}: {error}"[:4000]
