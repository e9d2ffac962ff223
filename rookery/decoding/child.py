"""A process that works for an analyser: messages in and out of its pipes, each read or given up in time, and its end certain."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from rookery.errors import AnalyserFailed

KEPT = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "APPDATA", "LOCALAPPDATA", "VIRTUAL_ENV", "CONDA_PREFIX",
        "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "GOPATH", "GOROOT", "CARGO_HOME", "RUSTUP_HOME", "JAVA_HOME", "NODE_PATH")
"""Of the environment only this reaches the process: no keys."""
GRACE_S = 0.5

Read = Callable[[IO[bytes]], bytes | None]
"""Reads one message; None at the end of the stream. An empty message is one that was too long and skipped."""


class ChildEnded(Exception):
    """The process has ended; the text is the last of what it said."""


class ChildSilent(Exception):
    """No message came in time."""


class Child:
    """The process, started; used from one thread, while a second reads what it says, so that neither waits on a full pipe."""

    def __init__(self, command: Sequence[str], *, read: Read, folder: Path | None = None, take: Callable[[bytes], bool] | None = None) -> None:
        """``take`` sees each message first, in the reading thread, and says whether it is done with it.

        :raises AnalyserFailed: there is no such program.
        """
        environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {"PYTHONUTF8": "1"}
        try:
            self._process = subprocess.Popen(list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                             cwd=folder, env=environment, start_new_session=True)
        except OSError as error:
            raise AnalyserFailed(f"{command[0]!r} can't be started: {error.strerror or error}", rule=Path(command[0]).name,
                                 hint="install it, or name another analyser") from error
        self._read, self._take = read, take
        self._messages: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._said: deque[bytes] = deque(maxlen=20)
        self._writing = threading.Lock()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._overhear)]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: bytes) -> None:
        """Write one message, framed. A process that does not read blocks this; whoever watches over it kills it.

        :raises ChildEnded: nobody reads.
        """
        assert self._process.stdin is not None
        try:
            with self._writing:
                self._process.stdin.write(message)
                self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise ChildEnded(self._last_words()) from error

    def receive(self, timeout_s: float) -> bytes:
        """The next message.

        :raises ChildEnded: there will be none.
        :raises ChildSilent: none came in time.
        """
        try:
            message = self._messages.get(timeout=timeout_s)
        except queue.Empty:
            raise ChildSilent from None
        if message is None:
            self._messages.put(None)
            raise ChildEnded(self._last_words())
        return message

    def kill(self) -> None:
        """End the process and all that it started, and wait for that; at once, twice is fine."""
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL) if hasattr(os, "killpg") else self._process.kill()
        self._process.wait()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(GRACE_S)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError, ValueError):
                if pipe is not None:
                    pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            while (message := self._read(self._process.stdout)) is not None:
                if self._take is None or not self._take(message):
                    self._messages.put(message)
        except (OSError, ValueError, ChildEnded):
            pass  # the pipe was closed, or what came through it is no message
        self._messages.put(None)

    def _overhear(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(OSError, ValueError):
            while piece := self._process.stderr.read1(4096):  # type: ignore[attr-defined]  # a BufferedReader
                self._said.append(piece[-400:])

    def _last_words(self) -> str:
        self._threads[1].join(GRACE_S)
        said = b"".join(self._said).decode("utf-8", "replace").strip()
        return said.rpartition("\n")[2][-300:] or f"it ended with {self._process.poll()}"


def read_line(pipe: IO[bytes]) -> bytes | None:
    """One line is one message."""
    return pipe.readline() or None


def read_headed(pipe: IO[bytes], *, max_bytes: int = 8_000_000) -> bytes | None:
    """A message with ``Content-Length`` before it (Language Server Protocol 3.17, "Base Protocol"); one too long is skipped, and empty.

    :raises ValueError: what comes has no such head.
    """
    length = None
    while (line := pipe.readline(4096).strip()):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    if length is None:
        return None
    if length <= max_bytes:
        return pipe.read(length) if length else b""
    while length > 0:
        piece = pipe.read(min(length, 1_000_000))
        if not piece:
            return None
        length -= len(piece)
    return b""
