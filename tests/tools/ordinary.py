"""Runs the escape suite as an ordinary user when the tests themselves run as root: from a copy of what it needs that others may read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import util
from pathlib import Path
from typing import Any

NOBODY = 65534
ROOT = Path(__file__).parents[2]
_NEEDED = ("pydantic_monty", "typing_extensions")


def interpreter() -> str:
    """A Python of this version that an ordinary user may run; empty when there is none on this machine."""
    version = sys.version_info[:2]
    asked = "import sys, sqlite3; print(sys.version_info[:2])"
    for path in (getattr(sys, "_base_executable", sys.executable), shutil.which("python3", path="/usr/local/bin:/usr/bin")):
        if not path:
            continue
        try:
            found = subprocess.run([os.path.realpath(path), "-I", "-c", asked], capture_output=True, text=True, timeout=20, cwd="/",
                                   user=NOBODY, group=NOBODY, extra_groups=[], check=False)  # fmt: skip
        except OSError:
            continue
        if found.returncode == 0 and found.stdout.strip() == str(tuple(version)):
            return os.path.realpath(path)
    return ""


def attempt_as_user(rung: str, *names: str) -> dict[str, Any]:
    """What ``attempt`` gives for this rung when it is run by an ordinary user; needs root and ``interpreter()``."""
    stage = Path(tempfile.mkdtemp(prefix="rookery-stage-", dir="/var/tmp"))
    try:
        shutil.copytree(ROOT / "rookery", stage / "rookery", ignore=shutil.ignore_patterns("weights", "__pycache__"))
        shutil.copytree(ROOT / "tests/tools", stage / "tests/tools", ignore=shutil.ignore_patterns("__pycache__"))
        for name in _NEEDED:
            spec = util.find_spec(name)
            assert spec is not None and spec.origin is not None
            origin = Path(spec.origin)
            if origin.name == "__init__.py":
                shutil.copytree(origin.parent, stage / name)
            else:
                shutil.copy(origin, stage)
        worker = Path(sys.executable).with_name("monty")
        if worker.exists():
            shutil.copy(worker, stage / "monty")
        for path in [stage, *stage.rglob("*")]:
            path.chmod(0o755)
        home = stage / "home"
        home.mkdir()
        os.chown(home, NOBODY, NOBODY)
        environment = {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin", "MONTY_BIN": str(stage / "monty"), "PYTHONPATH": str(stage)}
        done = subprocess.run([interpreter(), "-m", "tests.tools.escape", rung, *names], capture_output=True, text=True, cwd=stage, env=environment,
                              user=NOBODY, group=NOBODY, extra_groups=[], timeout=400, check=False)  # fmt: skip
        if done.returncode != 0:
            raise AssertionError(done.stderr[-3000:])
        told: dict[str, Any] = json.loads(done.stdout)
        return told
    finally:
        shutil.rmtree(stage)
