"""Planners: theory, published traces, the Game of 24, programs, speed and crashes, one part after the other.

Each part is a module that can be run alone (``python -m benchmarks.planners_game24 --check``); this one runs them all, each in a process
of its own, and puts their figures and targets together.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.report import ROOT, Target, finish, options, say

PARTS = {
    "theory": "success and calls against exact formulas, with oracles",
    "replay": "GPT-4's published traces, replayed",
    "game24": "the Game of 24 on the embedded model, at equal tokens",
    "programs": "plan search and refinement against repeated sampling",
    "speed": "what asking and telling costs, and what is gained in flight",
    "crash": "kill -9",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts, and give the exit code of their targets."""
    chosen = options(__doc__, argv, only={"choices": list(PARTS), "action": "append", "help": "this part (may be given several times)"})
    figures: dict[str, Any] = {}
    targets: list[Target] = []
    lines: list[str] = []
    for part in chosen.only or PARTS:
        say(f"{part}: {PARTS[part]}")
        command = [sys.executable, "-m", f"benchmarks.planners_{part}", "--json", *(["--quick"] if chosen.quick else [])]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            say(f"{part} ended with {done.returncode}")
            targets.append(Target(f"{part} can be measured", None, 0))
            continue
        figures[part] = json.loads(done.stdout)
        found = [Target(t["name"], t["figure"], t["bound"], t["unit"], t["at_least"]) for t in figures[part]["targets"]]
        targets += found
        lines += [f"{part}: {PARTS[part]}", *(f"  {target.line}" for target in found)]
    return finish("planners", figures, targets, lines, chosen)


if __name__ == "__main__":
    sys.exit(main())
