"""One process in its sandbox, waiting for its one order: pipes to it, what it has used, and its end; what is said is not its business."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

_CHUNK = 1 << 16
WATCH_S = 0.1
"""How often a watched cell is looked at."""

Overrun = Literal["output", "disk"]


class Cell:
    """A bubblewrap process and the one inside of it; made by ``start``, of use once.

    Reading is bounded: when more than ``output_bytes`` come through any of its three pipes, ``overrun`` says so and no more is read.
    """

    def __init__(self, pid: int, *, ask: int, answer: int, out: int, err: int, status: int) -> None:
        self.pid = pid
        self._ask, self._answer, self._out, self._err, self._status = ask, answer, out, err, status
        self._pidfd = os.pidfd_open(pid)
        self._inner: int | None = None
        self._inner_fd = -1
        self._queued = bytearray()
        self._read: dict[int, bytearray] = {answer: bytearray(), out: bytearray(), err: bytearray(), status: bytearray()}
        self._ended: set[int] = set()
        self._news: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch: asyncio.TimerHandle | None = None
        self.output_bytes = _CHUNK
        self.max_files = 1000
        self.overrun: Overrun | None = None
        self.exit_code: int | None = None
        self.cpu_s = 0.0
        """Processor seconds of everything in the cell; known when it has ended."""

    # -------------------------------------------------------------- talking

    def attach(self, *, output_bytes: int) -> None:
        """Begin to read and write, in the running event loop."""
        self.output_bytes = output_bytes
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        for fd in self._read:
            if fd not in self._ended:
                self._loop.add_reader(fd, self._take, fd)

    def send(self, data: bytes) -> None:
        """Queue bytes for the process inside; what it does not want to read is dropped with it."""
        assert self._loop is not None, "attached"
        if self._watch is None:  # while it is being set up, its /tmp may still be the host's
            self._watch = self._loop.call_later(WATCH_S, self._look)
        if not self._queued and self._ask != -1:
            self._loop.add_writer(self._ask, self._give)
        self._queued += data

    async def line(self, timeout_s: float) -> bytes | None:
        """The next line of its answer; None when there will be none, or it has overrun. Raises TimeoutError."""
        assert self._news is not None, "attached"
        buffer = self._read[self._answer]
        async with asyncio.timeout(max(0.0, timeout_s)):
            while (end := buffer.find(b"\n")) < 0 and self._answer not in self._ended and self.overrun is None:
                self._news.clear()
                await self._news.wait()
        if end < 0 or self.overrun is not None:
            return None
        line = bytes(buffer[:end])
        del buffer[: end + 1]
        return line

    def _take(self, fd: int) -> None:
        assert self._news is not None and self._loop is not None
        buffer = self._read[fd]
        try:
            part = os.read(fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        buffer += part
        if not part:
            self._ended.add(fd)
            self._loop.remove_reader(fd)
        elif len(buffer) > self.output_bytes + (256 if fd == self._answer else 0) and fd != self._status:
            self.overrun = self.overrun or "output"
            del buffer[self.output_bytes :]
            self._loop.remove_reader(fd)
        if fd in (self._answer, self._status) or self.overrun:
            self._news.set()

    def _look(self) -> None:
        """Count the files below its /tmp: the size that bubblewrap gives the file system does not bound them, and each takes memory."""
        assert self._news is not None and self._loop is not None
        if self.inner is not None:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it is ending
                found = os.statvfs(f"/proc/{self.inner}/root/tmp")
                if found.f_files - found.f_ffree > self.max_files:
                    self.overrun = "disk"
                    self._news.set()
        self._watch = self._loop.call_later(WATCH_S, self._look)

    def _give(self) -> None:
        assert self._loop is not None
        try:
            sent = os.write(self._ask, memoryview(self._queued)[: 1 << 20])
        except BlockingIOError:
            return
        except OSError:  # it reads no more
            sent = len(self._queued)
        del self._queued[:sent]
        if not self._queued:
            self._loop.remove_writer(self._ask)

    @property
    def stdout(self) -> bytes:
        return bytes(self._read[self._out])

    @property
    def stderr(self) -> bytes:
        return bytes(self._read[self._err])

    def drain(self) -> None:
        """Read what already lies in the pipes."""
        for fd in (self._out, self._err):
            while fd not in self._ended and self.overrun is None:
                before = len(self._read[fd])
                self._take(fd)
                if len(self._read[fd]) == before:
                    break

    # -------------------------------------------------------------- looking

    @property
    def inner(self) -> int | None:
        """The process inside, by its number out here; None before it is there."""
        if self._inner is None and self._pidfd != -1:
            if self._loop is None:  # nobody else reads it yet
                with contextlib.suppress(OSError):
                    self._read[self._status] += os.read(self._status, _CHUNK)
            for line in self._read[self._status].splitlines():
                found = json.loads(line).get("child-pid") if line.startswith(b"{") and line.endswith(b"}") else None
                if found is not None and _parent(found) == self.pid:
                    try:
                        self._inner_fd = os.pidfd_open(found)
                    except ProcessLookupError:  # it has ended meanwhile
                        return None
                    self._inner = found
        return self._inner

    def used_cpu_s(self) -> float:
        """Processor seconds that the process inside has used, its threads included, its children not."""
        try:
            return time.clock_gettime((~self.inner << 3) | 2) if self.inner is not None else 0.0  # CPUCLOCK_SCHED of clock_getcpuclockid(3)
        except OSError:
            return 0.0

    @property
    def is_alive(self) -> bool:
        return self.exit_code is None and not self._reap()

    # -------------------------------------------------------------- ending

    def kill(self) -> None:
        """End the process inside, and with it (it is the first of its namespace) all others there."""
        if self.inner is not None:
            _signal(self._inner_fd)
        elif self.is_alive:
            self._kill_unfinished()

    def _kill_unfinished(self) -> None:
        """End bubblewrap and its child while they set up the sandbox. Until that is done the child waits for its parent and does not die
        with it, so the parent is stopped first, lest it start one after the look at its children."""
        _signal(self._pidfd, signal.SIGSTOP)
        for _ in range(100):
            if _state(self.pid) in "TtZX":
                break
            time.sleep(0.0005)
        with contextlib.suppress(OSError):
            for child in map(int, Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()):
                os.kill(child, signal.SIGKILL)  # its parent is stopped and does not reap it, so the number is still its own
        _signal(self._pidfd)

    async def end(self) -> None:
        """Kill it unless it ends by itself, and wait until it is gone; also when cancelled meanwhile."""
        if self._pidfd == -1:
            return
        self.kill()
        try:
            async with asyncio.timeout(1.0):
                await self.ended()
        except TimeoutError:
            self.kill()
            _signal(self._pidfd)
            await self.ended()
        finally:
            if self.exit_code is None:
                self.bury()
            self.close()

    def bury(self) -> None:
        """End it when there is no event loop to wait in: it dies at once, so this takes moments."""
        self.kill()
        _signal(self._pidfd)
        for _ in range(100):
            if self._reap():
                break
            time.sleep(0.001)

    async def ended(self) -> None:
        """Wait until the process has ended and is reaped."""
        loop = asyncio.get_running_loop()
        if self._reap():
            return
        gone = asyncio.Event()
        loop.add_reader(self._pidfd, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(self._pidfd)
        self._reap()

    def _reap(self) -> bool:
        if self.exit_code is None:
            try:
                pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else has waited for it
                self.exit_code = -1
            else:
                if pid:
                    self.exit_code = os.waitstatus_to_exitcode(status)
                    self.cpu_s = usage.ru_utime + usage.ru_stime
        return self.exit_code is not None

    def close(self) -> None:
        """Let go of its pipes; it ends by itself then if it has no order."""
        if self._pidfd == -1:
            return
        if self._watch is not None:
            self._watch.cancel()
        for fd in (*self._read, self._pidfd, self._inner_fd, self._ask):
            if fd == -1:
                continue
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(fd)
                self._loop.remove_writer(fd)
            os.close(fd)
        self._ended.update(self._read)
        self._pidfd = self._inner_fd = self._ask = -1


def _signal(pidfd: int, number: int = signal.SIGKILL) -> None:
    if pidfd == -1:
        return
    with contextlib.suppress(OSError):  # it has ended already
        signal.pidfd_send_signal(pidfd, number)


def _stat(pid: int) -> list[str]:
    """Of a process, its state, its parent and so on (proc(5)); of one that is gone, that it is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["X", "-1"]


def _state(pid: int) -> str:
    return _stat(pid)[0]


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def start(command: Callable[[int, int, int, int], Sequence[str]], *, seccomp: bytes, user: int | None) -> Cell:
    """Start a cell. ``command`` gives the arguments for these descriptors: orders to it, answers of it, the filter, bubblewrap's status.

    With ``user``, the process becomes that user (and group) before anything else. Raises OSError.
    """
    made: list[int] = []

    def pipe() -> tuple[int, int]:
        ends = os.pipe2(os.O_CLOEXEC)
        made.extend(ends)
        return ends

    try:
        ask_in, ask = pipe()
        answer, answer_in = pipe()
        out, out_in = pipe()
        err, err_in = pipe()
        status, status_in = pipe()
        filtered, filter_in = pipe()
        os.write(filter_in, seccomp)  # less than a pipe holds
        os.close(filter_in)
        made.remove(filter_in)
        passed = (ask_in, answer_in, filtered, status_in)
        as_user: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        process = subprocess.Popen(
            command(*passed), stdin=subprocess.DEVNULL, stdout=out_in, stderr=err_in, env={}, cwd="/", pass_fds=passed, **as_user
        )
    except BaseException:
        for fd in made:
            os.close(fd)
        raise
    for fd in (ask_in, answer_in, out_in, err_in, status_in, filtered):
        os.close(fd)
    for fd in (ask, answer, out, err, status):
        os.set_blocking(fd, False)
    process.returncode = 0  # it is waited for here, with what it used
    return Cell(process.pid, ask=ask, answer=answer, out=out, err=err, status=status)
