"""kill -9 at random points of a search, and resume: is a finished call ever carried out again, and is the answer the same?

Searches of several planners over a scripted model that answers after a few milliseconds. Each call notes in a file outside of the
log that it was executed. A child process is killed with SIGKILL after a random number of executions, and the run is resumed
(and perhaps killed again) until it ends; its result must equal that of a search that nobody killed, tree and all.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT, Target, finish, options, say, scratch, table
from rookery import SQLiteLog, prompt, resume, start, tool
from rookery.core.value import plain
from rookery.planners import beam, best_first, best_of_n, mcts, search
from rookery.testing import ScriptedModel

RUN = "search"
PLANNERS = {
    "beam": beam(width=4, depth=5),
    "best of n": best_of_n(12, depth=5),
    "best-first": best_first(width=2, depth=5),
    "mcts": mcts(iterations=25, depth=5),
}
TIMEOUT_S = 60.0


def number(text: str) -> float:
    """A number in [0, 1) for a text, different for different ones."""
    return int.from_bytes(blake2b(text.encode(), digest_size=6).digest(), "big") / 2**48


def program(planner: str, executions: Path) -> tuple[Any, ScriptedModel]:
    """The search and its model; every call appends what stands for it to ``executions`` when it has been executed."""
    file = os.open(executions, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def ran(step: str, key: str) -> None:
        os.write(file, f"{step} {key}\n".encode())

    @prompt(form="lines")
    def next_states(state: str) -> list[str]:
        """What can follow {state}?"""

    @tool
    async def judge(state: str) -> float:
        await asyncio.sleep(0.002)
        ran("evaluate", repr(number(state)))
        return number(state)

    async def answer(request: Any) -> Any:
        state = request.messages[-1].text.split()[-1].removesuffix("?")
        await asyncio.sleep(0.004)
        ran("propose", f"{state} {request.sample}")
        yield "\n".join(f"{state}{letter}{request.sample}." for letter in "abc")

    found = search(
        state="r.", propose=next_states, evaluate=judge, goal=lambda state: False, planner=PLANNERS[planner], concurrency=4, seed=3, max_nodes=150,
    )
    return found, ScriptedModel(answer)


async def live(folder: Path, planner: str) -> None:
    """Start the search, or take it up again, and write its result when it has one."""
    log = SQLiteLog(folder / "log.db")
    found, model = program(planner, folder / "executions")
    known = any(info.run == RUN for info in log.runs())
    async with resume(RUN, found, log=log, model=model) if known else start(found, id=RUN, log=log, model=model) as run:
        result = await run
    log.close()
    (folder / "result").write_text(shown(result))


def shown(result: Any) -> str:
    return json.dumps([[answer.state for answer in result.answers], result.stop_reason, result.works, result.tree.columns])


def finished(folder: Path) -> set[str]:
    """What stands for the calls that the log holds as finished."""
    log = SQLiteLog(folder / "log.db")
    found: set[str] = set()
    try:
        events = log.read(RUN) if any(info.run == RUN for info in log.runs()) else []
        for event in events:
            if type(event).__name__ != "CallFinished":
                continue
            step = event.call.rpartition("/")[2].partition("~")[0]
            value = plain(event.value, log.get)
            if step == "evaluate":
                found.add(f"evaluate {value!r}")
            elif step == "propose" and value:
                child = value[0]
                found.add(f"propose {child[:-3]} {child[-2]}" if child[-2].isdigit() else f"propose {child}")
    finally:
        log.close()
    return found


def lines_of(folder: Path) -> list[str]:
    file = folder / "executions"
    return file.read_text().splitlines() if file.exists() else []


def one(planner: str, expected: str, calls: int, draw: random.Random) -> dict[str, Any]:
    """One search, killed once or more, then brought to its end."""
    kills, repeated, known = 0, 0, 0
    with tempfile.TemporaryDirectory(dir=scratch()) as name:
        folder = Path(name)
        plan = [draw.randrange(0, calls) for _ in range(draw.choice((1, 1, 2)))]
        while True:
            before = Counter(lines_of(folder))
            done = finished(folder) if kills else set()
            known += len(done)
            process = subprocess.Popen([sys.executable, "-m", "benchmarks.planners_crash", "--child", name, planner], cwd=ROOT)
            stop = plan.pop(0) if plan else None
            begun = time.monotonic()
            while process.poll() is None:
                if stop is not None and len(lines_of(folder)) >= stop and (folder / "log.db").exists():
                    process.kill()
                if time.monotonic() - begun > TIMEOUT_S:
                    process.kill()
                    process.wait()
                    return {"planner": planner, "kills": kills, "finished": known, "repeated": repeated, "same": False, "ended": False}
                time.sleep(0.002)
            after = Counter(lines_of(folder))
            repeated += sum(1 for key in done if after[key] > before[key])
            if (folder / "result").exists():
                same = (folder / "result").read_text() == expected
                return {"planner": planner, "kills": kills, "finished": known, "repeated": repeated, "same": same, "ended": True}
            kills += 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    chosen = options(__doc__, argv, kills={"type": int, "default": None, "help": "at least so many SIGKILLs (default 50; quick 12)"},
                     child={"nargs": 2, "metavar": ("FOLDER", "PLANNER"), "help": "internal: the process that is killed"})
    if chosen.child:
        asyncio.run(live(Path(chosen.child[0]), chosen.child[1]))
        return 0
    figures, targets, lines = measure(chosen.kills or (12 if chosen.quick else 50))
    return finish("planners_crash", figures, targets, lines, chosen)


def measure(kills: int) -> tuple[dict[str, Any], list[Target], list[str]]:
    """The figures, the targets and a table."""
    expected: dict[str, tuple[str, int]] = {}
    for planner in PLANNERS:
        with tempfile.TemporaryDirectory(dir=scratch()) as name:
            asyncio.run(live(Path(name), planner))
            expected[planner] = ((Path(name) / "result").read_text(), len(lines_of(Path(name))))
    draw, rounds = random.Random(7), []
    names = list(PLANNERS)
    while sum(round_["kills"] for round_ in rounds) < kills:
        planner = names[len(rounds) % len(names)]
        rounds.append(one(planner, *expected[planner], draw))
        say(f"{planner}: {rounds[-1]}")
    total = sum(round_["kills"] for round_ in rounds)
    targets = [
        Target("SIGKILLs", total, kills, at_least=True),
        Target("calls finished before a SIGKILL", sum(round_["finished"] for round_ in rounds), kills, at_least=True),
        Target("finished calls of a search repeated after kill -9", sum(round_["repeated"] for round_ in rounds), 0),
        Target("searches with another result or none", sum(not round_["same"] for round_ in rounds), 0),
    ]
    rows = []
    for planner in names:
        mine = [round_ for round_ in rounds if round_["planner"] == planner]
        sums = [sum(r[what] for r in mine) for what in ("kills", "finished", "repeated")]
        rows.append((planner, expected[planner][1], len(mine), *sums, sum(not r["same"] for r in mine)))
    head = ("search (scripted model)", "calls", "runs", "SIGKILLs", "finished by then", "repeated", "other result")
    return {"rounds": rounds}, targets, table(head, rows)


if __name__ == "__main__":
    sys.exit(main())
