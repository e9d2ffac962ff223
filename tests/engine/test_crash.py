"""kill -9 at random points of a whole graph, more often than the quick tests can afford."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_forty_runs_are_killed_and_repeat_nothing_finished() -> None:
    command = [sys.executable, "-m", "benchmarks.crash", "--runs", "40", "--seed", "7", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    text = json.dumps(found)
    assert '"repeated_finished": 0' in text and '"lost_or_unwritten": 0' in text and '"wrong_ends": 0' in text, text
