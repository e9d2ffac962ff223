"""Decoding: soundness, the same language at all levels, effect, cost, analysers and the embedded engine, one part after the other.

Each part is a module that can be run alone (``python -m benchmarks.decoding_cost --check``); this one runs them all, each in a process of its
own, and puts their figures and targets together.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.report import ROOT, Target, finish, options, say

PARTS = {
    "soundness": "random logits, and nothing that a rule forbids",
    "levels": "levels 1 to 4 accept the same texts",
    "effect": "a small model with the monitor against a larger one without",
    "cost": "masks, waiting, whole generations",
    "analysers": "how fast facts come, and how often the truth is missing",
    "engine": "the prefix cache and the speed of the embedded engine",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts, and give the exit code of their targets."""
    chosen = options(__doc__, argv, only={"choices": list(PARTS), "action": "append", "help": "this part (may be given several times)"})
    figures: dict[str, Any] = {}
    targets: list[Target] = []
    lines: list[str] = []
    for part in chosen.only or PARTS:
        say(f"{part}: {PARTS[part]}")
        command = [sys.executable, "-m", f"benchmarks.decoding_{part}", "--json", *(["--quick"] if chosen.quick else [])]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            say(f"{part} ended with {done.returncode}")
            targets.append(Target(f"{part} can be measured", None, 0))
            continue
        figures[part] = json.loads(done.stdout)
        found = [Target(t["name"], t["figure"], t["bound"], t["unit"], t["at_least"]) for t in figures[part]["targets"]]
        targets += found
        lines += [f"{part}: {PARTS[part]}", *(f"  {target.line}" for target in found)]
    return finish("decoding", figures, targets, lines, chosen)


if __name__ == "__main__":
    sys.exit(main())
