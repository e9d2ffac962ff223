"""What starting a sandbox costs, and whether anything gets out of one (T10, T11).

Start-up: the time from ``run`` of the empty program to its outcome. *Cold*: a sandbox object of its own for each run, with nothing started
ahead (the package imported and the root made before). *Pre-started*: one object that had time to start its next process. Each run has a
fresh process in both. Escapes: the attacks of ``tests/tools/attacks.py`` on every rung, as this user and, when this is root, as an
ordinary one; harmless: programs of ``tests/tools/harmless.py`` whose value or output a rung changes.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.report import Target, finish, options, say, table
from rookery.tools.bubblewrap import Bubblewrap
from rookery.tools.bubblewrap import lacking as lacks_bubblewrap
from rookery.tools.ladder import Ladder
from rookery.tools.monty import Monty
from rookery.tools.monty import lacking as lacks_monty
from rookery.tools.sandbox import Program, Sandbox
from tests.tools.attacks import ATTACKS
from tests.tools.escape import attempt
from tests.tools.harmless import HARMLESS, affected
from tests.tools.ordinary import attempt_as_user, interpreter

EMPTY = Program(source="")
RUNS, QUICK_RUNS, BATCH = 300, 60, 100
PAUSE_S = 0.08
"""Between two runs, so that the next process is there before it is asked for and the last one is gone."""
RUNGS: dict[str, Callable[[int], Sandbox]] = {"monty": lambda ready: Monty(ready=ready), "bubblewrap": lambda ready: Bubblewrap(ready=ready)}
MOST_MS = {("monty", "cold"): 20.0, ("monty", "pre-started"): 2.0, ("bubblewrap", "cold"): 30.0, ("bubblewrap", "pre-started"): 8.0}


async def timed(box: Sandbox) -> float:
    """Milliseconds of one run."""
    began = time.perf_counter()
    outcome = await box.run(EMPTY)
    took_ms = (time.perf_counter() - began) * 1000
    assert outcome.ok, f"the empty program failed: {outcome.fault}"
    return took_ms


async def cold_ms(make: Callable[[int], Sandbox], runs: int) -> list[float]:
    laps = []
    for _ in range(runs + 1):
        box = make(0)
        laps.append(await timed(box))
        await box.aclose()
        await asyncio.sleep(PAUSE_S / 4)
    return laps[1:]  # the first imports the package and makes the root


async def started_ms(make: Callable[[int], Sandbox], runs: int) -> list[float]:
    box = make(1)
    laps = []
    for _ in range(runs + 2):
        laps.append(await timed(box))
        await asyncio.sleep(PAUSE_S)
    await box.aclose()
    return laps[2:]


async def programs_per_s(make: Callable[[int], Sandbox]) -> float:
    """Empty programs a second, as many at a time as there are processors."""
    box = make(2)
    await box.run(EMPTY)
    began = time.perf_counter()
    await asyncio.gather(*(box.run(EMPTY) for _ in range(BATCH)))
    took_s = time.perf_counter() - began
    await box.aclose()
    return BATCH / took_s


def p95(laps: Sequence[float]) -> float:
    return statistics.quantiles(laps, n=20)[-1]


def start_ups(rungs: Sequence[str], runs: int) -> list[dict[str, Any]]:
    found = []
    for rung in rungs:
        for how, measure in (("cold", cold_ms), ("pre-started", started_ms)):
            laps = asyncio.run(measure(RUNGS[rung], runs))
            found.append({"rung": rung, "how": how, "runs": len(laps), "p50_ms": statistics.median(laps), "p95_ms": p95(laps), "max_ms": max(laps)})
            say(f"{rung} {how}: p50 {found[-1]['p50_ms']:.1f} ms, p95 {found[-1]['p95_ms']:.1f} ms")
    return found


def escapes(rungs: Sequence[str], *, quick: bool) -> list[dict[str, Any]]:
    """Of each rung and user: the attacks made, and those that got out."""
    chosen = ATTACKS[::8] if quick else ATTACKS
    found = []
    for rung in rungs:
        found.append(asyncio.run(attempt(rung, chosen)))
        if interpreter():
            found.append(attempt_as_user(rung, *(attack.name for attack in chosen)) if quick else attempt_as_user(rung))
        for told in found[-2:]:
            say(f"{told['rung']} as user {told['user']}: {told['attacks']} attacks, {len(told['escapes'])} escapes {told['escapes'] or ''}")
    return [{key: told[key] for key in ("rung", "user", "attacks", "escapes")} for told in found]


async def harms(rungs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Of each rung, and of both as a ladder: harmless programs that it changes, and that it says it does not run."""
    boxes: dict[str, Sandbox] = {rung: RUNGS[rung](2) for rung in rungs}
    if len(rungs) == 2:
        boxes["ladder"] = Ladder(Monty(), Bubblewrap())
    found = {}
    for rung, box in boxes.items():
        changed, refused = await affected(box)
        await box.aclose()
        unaffected = len(HARMLESS) - len(changed) - len(refused)
        found[rung] = {"programs": len(HARMLESS), "unaffected": unaffected, "changed": changed, "refused": len(refused)}
        say(f"{rung}: {found[rung]}")
    return found


Rows = Sequence[dict[str, Any]]


def targets_of(starts: Rows, attacks: Rows, harmless: dict[str, dict[str, Any]], *, quick: bool) -> list[Target]:
    p95s = {(lap["rung"], lap["how"]): lap["p95_ms"] for lap in starts}
    targets = []
    for rung in RUNGS:
        here = [told for told in attacks if told["rung"] == rung]
        if not quick:
            targets.append(Target(f"T10 attacks on {rung}", min((told["attacks"] for told in here), default=None), 80, at_least=True))
        targets.append(Target(f"T10 escapes from {rung}", sum(len(told["escapes"]) for told in here) if here else None, 0))
    full, light, both = (harmless.get(rung) for rung in ("bubblewrap", "monty", "ladder"))
    targets += [
        Target("T10 harmless programs unaffected, bubblewrap", full and full["unaffected"], len(HARMLESS), at_least=True),
        Target("T10 harmless programs changed, monty", light and len(light["changed"]), 0),
        Target("T10 harmless programs unaffected, ladder", both and both["unaffected"], len(HARMLESS), at_least=True),
    ]
    targets += [Target(f"T11 {rung} {how}, p95", p95s.get((rung, how)), most_ms, " ms") for (rung, how), most_ms in MOST_MS.items()]
    return targets


def main(argv: Sequence[str] | None = None) -> int:
    chosen = options(__doc__, argv)
    lacking = {"monty": lacks_monty()[0], "bubblewrap": lacks_bubblewrap()[0]}
    rungs = [rung for rung in RUNGS if not lacking[rung]]
    for rung in RUNGS:
        if lacking[rung]:
            say(f"{rung} is left out: {lacking[rung]}")
    starts = start_ups(rungs, QUICK_RUNS if chosen.quick else RUNS)
    rates = {rung: asyncio.run(programs_per_s(RUNGS[rung])) for rung in rungs}
    attacks = escapes(rungs, quick=chosen.quick)
    harmless = asyncio.run(harms(rungs))
    lines = [
        "", *table(["start-up", "how", "runs", "p50 ms", "p95 ms", "max ms"],
                   [[lap[key] for key in ("rung", "how", "runs", "p50_ms", "p95_ms", "max_ms")] for lap in starts]),
        "", *table(["empty programs", "a second"], list(rates.items())),
        "", *table(["attacks", "user", "made", "escapes"], [[told["rung"], told["user"], told["attacks"], len(told["escapes"])] for told in attacks]),
        "", *table(["harmless programs", "unaffected", "changed", "not run"],
                   [[rung, told["unaffected"], len(told["changed"]), told["refused"]] for rung, told in harmless.items()]),
    ]  # fmt: skip
    figures = {"start_ups": starts, "programs_per_s": rates, "escapes": attacks, "harmless": harmless}
    return finish("sandbox", figures, targets_of(starts, attacks, harmless, quick=chosen.quick), lines, chosen)


if __name__ == "__main__":
    sys.exit(main())
