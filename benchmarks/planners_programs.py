"""Programs found by planners: plan search and refinement against repeated sampling, at equal spend, on list functions and on P3.

Every planner has the same rule-based proposer (examples/list_functions.py and examples/p3.py; no language model: the embedded one has not learned
these skills) and the same number of works a problem, each call of a step being one. Plan search thinks with rule-based steps, which are
counted like all others; so the table says how many answers each planner came to try, too. On list functions a rule is right when it
fits the three pairs that no search has seen; on P3 the checker is the whole truth, and runs in the sandbox.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT, Target, finish, options, say, table
from rookery.errors import SandboxMissing
from rookery.planners import Planner, SearchResult, best_of_n, plan_search, refine
from rookery.planners.interval import paired_difference, wilson

LIST_WORKS, P3_WORKS = 400, 32
AT_A_TIME = 64
"""Puzzles side by side, so that their answers share sandbox processes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A planner, and how many times the works of the others it is given."""

    made: Callable[[int], Planner]
    times: float = 1.0


PLANNERS = {
    "repeated sampling": Entry(lambda works: best_of_n(works, depth=1)),
    "refinement, 5 a round": Entry(lambda works: refine(rounds=works, samples=5)),
    "refinement, one by one": Entry(lambda works: refine(rounds=works, samples=1)),
    "refinement, drawn (REx)": Entry(lambda works: refine(rounds=works, samples=5, choose="drawn")),
    "plan search": Entry(lambda works: plan_search(layers=3)),
    "plan search, 4 × the works": Entry(lambda works: plan_search(layers=3), 4.0),
}
"""Plan search has three layers (chosen on every second concept), so that it less often runs out of leaves before its works are spent. The last one
is no match at equal spend: it shows what plan search does with more answers."""
BASELINE = "repeated sampling"


def data(name: str) -> Path:
    """A file of the test data."""
    import os

    return Path(os.environ.get("ROOKERY_DATA", ROOT.parent / "shared" / "data")) / name


class Row:
    """What one planner did, problem by problem."""

    def __init__(self) -> None:
        self.fit: list[bool] = []
        self.right: list[bool] = []
        self.works: list[int] = []
        self.tried: list[int] = []

    def add(self, result: SearchResult[Any], *, right: bool) -> None:
        self.fit.append(result.is_solved)
        self.right.append(right)
        self.works.append(sum(result.works.values()))
        self.tried.append(result.works.get("propose", 0))

    def plain(self, baseline: Row) -> dict[str, Any]:
        n = len(self.right)
        return {
            "problems": n, "fit": sum(self.fit), "right": sum(self.right), "share": sum(self.right) / n, "interval": wilson(sum(self.right), n),
            "difference": paired_difference(self.right, baseline.right), "mean_works": sum(self.works) / n, "mean_tried": sum(self.tried) / n,
            "most_works": max(self.works),
        }  # fmt: skip


def rows_of(found: dict[str, Row]) -> dict[str, Any]:
    return {name: row.plain(found[BASELINE]) for name, row in found.items()}


# ------------------------------------------------------------------ list functions


def list_functions(path: Path, *, works: int, only: int | None) -> dict[str, Any]:
    """All concepts by each planner."""
    from examples.list_functions import check, read_tasks, solve

    tasks = read_tasks(path)[:only]
    found: dict[str, Row] = {}
    for name, entry in PLANNERS.items():
        say(f"list functions: {name}")
        row = found[name] = Row()
        for _, task, unseen in tasks:
            result = solve(task, entry.made(works), calls=round(works * entry.times))
            row.add(result, right=result.is_solved and result.grade(lambda rule, unseen=unseen: check(rule, unseen).passed))
    return {"works": works, "of": len(tasks), "rows": rows_of(found)}


# ------------------------------------------------------------------ P3


async def p3(path: Path, *, works: int, only: int | None) -> dict[str, Any]:
    """All puzzles by each planner, checked in the sandbox."""
    from examples.p3 import Tester, read_puzzles, solve
    from rookery.tools.ladder import best_sandbox

    puzzles = read_puzzles(path)
    chosen = puzzles if only is None else puzzles[:: max(len(puzzles) // only, 1)][:only]
    sandbox = best_sandbox("bubblewrap", ready=2)
    tester, gate = Tester(sandbox), asyncio.Semaphore(AT_A_TIME)

    async def one(puzzle: Any, entry: Entry) -> SearchResult[Any]:
        async with gate:
            result: SearchResult[Any] = await solve(puzzle, entry.made(works), tester, calls=round(works * entry.times))
            return result

    found: dict[str, Row] = {}
    try:
        for name, entry in PLANNERS.items():
            say(f"P3: {name}")
            row = found[name] = Row()
            for result in await asyncio.gather(*(one(puzzle, entry) for _, puzzle in chosen)):
                row.add(result, right=result.is_solved)
    finally:
        await sandbox.aclose()
    return {"works": works, "of": len(chosen), "rows": rows_of(found)}


# ------------------------------------------------------------------ the figures


def measure(*, quick: bool) -> dict[str, Any]:
    """The figures by data set; a data set that is not here, or can't be run here, has a note instead."""
    figures: dict[str, Any] = {}
    lists, puzzles = data("list_functions/list_functions.jsonl"), data("p3/puzzles.json")
    if lists.exists():
        figures["list functions"] = list_functions(lists, works=60 if quick else LIST_WORKS, only=30 if quick else None)
    if puzzles.exists():
        try:
            figures["P3"] = asyncio.run(p3(puzzles, works=24 if quick else P3_WORKS, only=40 if quick else None))
        except SandboxMissing as error:
            say(f"P3 is left out: {error}")
    return figures


def targets(figures: dict[str, Any]) -> list[Target]:
    """There is no promise about who wins; what is held is that all problems were measured, and that nobody spent more than its share."""
    found = []
    for name in ("list functions", "P3"):
        known = figures.get(name)
        rows = known["rows"] if known else {}
        share = min((row["problems"] for row in rows.values()), default=0) / known["of"] if known else None
        spend = max((row["most_works"] / (known["works"] * PLANNERS[planner].times) for planner, row in rows.items()), default=0.0) if known else None
        found += [Target(f"{name}: problems measured", share, 1.0, at_least=True), Target(f"{name}: works of a problem by its cap", spend, 1.0)]
    return found


def lines(figures: dict[str, Any]) -> list[str]:
    """The figures as a table for each data set."""
    found: list[str] = []
    for name, known in figures.items():
        head = ["planner", "right", "of", "share %", "95 %", "− sampling, points", "95 %", "fit the seen", "works", "answers tried"]
        rows = [_line(planner, row) for planner, row in known["rows"].items()]
        found += ["", f"{name}, {known['works']} works a problem at most; proposals by rule, no model", *table(head, rows)]
    return found


def _line(planner: str, row: dict[str, Any]) -> Sequence[Any]:
    low, high = row["interval"]
    difference, below, above = row["difference"]
    span = f"{100 * below:+.1f} … {100 * above:+.1f}" if planner != BASELINE else "–"
    return [
        planner, row["right"], row["problems"], f"{100 * row['share']:.1f}", f"{100 * low:.1f} … {100 * high:.1f}",
        f"{100 * difference:+.1f}" if planner != BASELINE else "–", span, row["fit"], f"{row['mean_works']:.1f}", f"{row['mean_tried']:.1f}",
    ]  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    chosen = options(__doc__, argv)
    figures = measure(quick=chosen.quick)
    return finish("planners_programs", {"figures": figures}, targets(figures), lines(figures), chosen)


if __name__ == "__main__":
    sys.exit(main())
