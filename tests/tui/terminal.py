"""A real terminal for tests: tmux on a socket of its own, keys in, the screen out."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

PATIENCE_S = 30.0
has_tmux = pytest.mark.skipif(shutil.which("tmux") is None and not os.environ.get("CI"), reason="tmux is not installed")
"""In CI a missing tmux fails the tests instead of passing over them."""


class Terminal:
    """A terminal in which a command runs; ended with its processes on leaving."""

    def __init__(self, command: list[str], *, folder: Path, size: tuple[int, int] = (100, 30), **environment: str) -> None:
        self._socket = f"rookery-{uuid.uuid4().hex[:8]}"
        columns, lines = size
        words = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
        shell = f"cd {shlex.quote(str(folder))}; export {words or 'A=1'}; {shlex.join(command)}; echo \"ended with $?\"; stty -a | head -3; exec sh"
        self._tmux("-f", os.devnull, "new-session", "-d", "-s", "t", "-x", str(columns), "-y", str(lines), "sh", "-c", shell)

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-L", self._socket, *words], capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exc: object) -> None:
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True, timeout=20, check=False)

    @property
    def screen(self) -> str:
        """What stands on the screen."""
        return self._tmux("capture-pane", "-p", "-t", "t")

    @property
    def pane_pid(self) -> int:
        """The process that the terminal was started with."""
        return int(self._tmux("display-message", "-p", "-t", "t", "#{pane_pid}"))

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names (``Enter``, ``Escape``, ``C-s``)."""
        self._tmux("send-keys", "-t", "t", *keys)

    def type(self, text: str) -> None:
        """Type a text as it is."""
        self._tmux("send-keys", "-t", "t", "-l", text)

    def resize(self, columns: int, lines: int) -> None:
        """Make the terminal another size."""
        self._tmux("resize-window", "-t", "t", "-x", str(columns), "-y", str(lines))

    def until(self, *words: str, within_s: float = PATIENCE_S) -> str:
        """Wait until all the words stand on the screen; the screen."""
        end = time.monotonic() + within_s
        while True:
            screen = self.screen
            if all(word in screen for word in words):
                return screen
            assert time.monotonic() < end, f"{words} did not come up within {within_s:g} s:\n{screen}"
            time.sleep(0.1)

    def until_gone(self, word: str, within_s: float = PATIENCE_S) -> str:
        """Wait until a word no longer stands on the screen."""
        end = time.monotonic() + within_s
        while word in (screen := self.screen):
            assert time.monotonic() < end, f"{word!r} did not go away within {within_s:g} s:\n{screen}"
            time.sleep(0.1)
        return screen


def rookery(*words: str) -> list[str]:
    """A rookery command."""
    return [sys.executable, "-m", "rookery", *words]
