"""Processes of their own that carry runs out: whatever becomes of the screen, they go on."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Carrier:
    """One ``rookery`` command in a process of its own, in a session of its own: closing the terminal does not reach it.

    What it says on standard error goes to a file without a name; a pipe would end it when the screen is gone.
    """

    def __init__(self, words: Sequence[str], *, folder: Path | None = None) -> None:
        self.words = tuple(words)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rookery", *words], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._said,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code; None while it goes on."""
        return self._process.poll()

    @property
    def said(self) -> str:
        """What it has said on standard error, at most the last 4,000 bytes."""
        end = self._said.seek(0, 2)
        self._said.seek(max(0, end - 4_000))
        text = self._said.read().decode(errors="replace")
        self._said.seek(0, 2)
        return text.strip()


def asked(words: Sequence[str], *, folder: Path | None = None, timeout_s: float = 60.0) -> tuple[int, dict[str, Any], str]:
    """A ``rookery … --json`` command's exit code, its JSON object (empty when it gave none), and what it said on standard error."""
    import json

    try:
        done = subprocess.run([sys.executable, "-m", "rookery", *words, "--json"], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=timeout_s, check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        return 124, {}, f"`rookery {' '.join(words)}` took longer than {timeout_s:g} s"
    try:
        data = json.loads(done.stdout)
    except ValueError:
        data = {}
    return done.returncode, data if isinstance(data, dict) else {}, done.stderr.decode(errors="replace").strip()
