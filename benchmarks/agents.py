"""Agents: the ready-made ones, information flow, the loop guard, conversations, one part after the other.

Each part is a module that can be run alone (``python -m benchmarks.agents_conversation --check``); this one runs them all, each in a process
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
    "graph": "GraphTeam on questions about graphs, its prompts answered by rules",
    "flow": "injections against honest tasks, with information flow on and off; what labels cost",
    "loop": "the loop guard",
    "solutions": "solution search on simulated pools",
    "conversation": "200 turns, and kill -9",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts, and give the exit code of their targets."""
    chosen = options(__doc__, argv, only={"choices": list(PARTS), "action": "append", "help": "this part (may be given several times)"})
    figures: dict[str, Any] = {}
    targets: list[Target] = []
    lines: list[str] = []
    for part in chosen.only or PARTS:
        say(f"{part}: {PARTS[part]}")
        command = [sys.executable, "-m", f"benchmarks.agents_{part}", "--json", *(["--quick"] if chosen.quick else [])]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            say(f"{part} ended with {done.returncode}")
            targets.append(Target(f"{part} can be measured", None, 0))
            continue
        figures[part] = json.loads(done.stdout)
        found = [Target(t["name"], t["figure"], t["bound"], t["unit"], t["at_least"]) for t in figures[part]["targets"]]
        targets += found
        lines += [f"{part}: {PARTS[part]}", *(f"  {target.line}" for target in found)]
    return finish("agents", figures, targets, lines, chosen)


if __name__ == "__main__":
    sys.exit(main())
