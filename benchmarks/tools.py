"""The tool library: duplicates (T6–T8) on real functions and their mutants, proof on load (T9), and whether growing helps (T5).

The functions are solutions of P3 puzzles and of the standard library; everything runs in the sandbox. T5 is in `benchmarks.growth`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import growth
from benchmarks.corpus import Function, functions
from benchmarks.mutants import Mutant, copy_key, fresh_calls, mutants
from benchmarks.report import ROOT, Target, finish, options, say, table
from rookery.errors import ToolError
from rookery.tools.bubblewrap import Bubblewrap
from rookery.tools.dedupe import Duplicates
from rookery.tools.library import ToolLibrary
from rookery.tools.record import Example
from rookery.tools.source import shapes_of
from rookery.tools.trial import Proof, prove, try_calls

SEED = 7
FRESH = 300
"""Calls, made up independently, on which two merged functions of different origin must agree."""
PLANTED = {
    "wrong": "def {name}(n: int) -> int:\n    return n * 2 + (n == 7)\n",
    "crashing": "def {name}(n: int) -> int:\n    if n > 5:\n        raise ValueError(n)\n    return n * 2\n",
    "looping": "def {name}(n: int) -> int:\n    while n > 5:\n        pass\n    return n * 2\n",
    "random": "def {name}(n: int) -> int:\n    import random\n    return n * 2 if n < 5 else n * random.randint(2, 9)\n",
    "quitting": "def {name}(n: int) -> int:\n    import os\n    if n > 5:\n        os._exit(0)\n    return n * 2\n",
    "forging": "import json\njson.dumps = lambda *a, **k: '14'\n\n\ndef {name}(n: int) -> int:\n    return 14\n",
    "counting": "import sys\n\n\ndef {name}(n: int) -> int:\n    sys.calls = getattr(sys, 'calls', 0) + 1\n    return n * 2 + (sys.calls > 2)\n",
    "hungry": "def {name}(n: int) -> int:\n    return n * 2 if n < 5 else len([0] * 10**10)\n",
}  # fmt: skip
"""Tools that are wrong on the last of their three stored calls."""


@dataclass(slots=True)
class Figures:
    """What was measured."""

    functions: int = 0
    mutants: Counter[str] = field(default_factory=Counter)
    copies_before: int = 0
    copies_after: int = 0
    merges: int = 0
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    calls: int = 0
    found: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    constants_merged: int = 0
    listed: Counter[str] = field(default_factory=Counter)
    tampered: int = 0
    tampered_caught: int = 0
    untouched_loaded: float = 0.0
    admitted: int = 0
    reverified: int = 0
    planted: int = 0
    planted_caught: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def precision(self) -> float:
        return 1 - len(self.wrong) / self.merges if self.merges else 0.0

    @property
    def recall(self) -> float:
        total = self.mutants["renamed"] + self.mutants["reordered"]
        return (self.found["renamed"] + self.found["reordered"]) / total if total else 0.0


async def _with_values(found: Sequence[Function], sandbox: Bubblewrap) -> dict[str, tuple[Function, tuple[Example, ...]]]:
    """The functions that give the same value each time, with their calls and values."""
    kept: dict[str, tuple[Function, tuple[Example, ...]]] = {}

    async def one(function: Function) -> None:
        async with places:
            shapes = shapes_of(function.source, function.name)
            answers = await try_calls(sandbox, function.source, function.name, function.calls, shapes=shapes)
            examples = tuple(Example(call, answer.value) for call, answer in zip(function.calls, answers, strict=True) if answer.ok)
            if examples and (await prove(sandbox, function.source, function.name, examples, shapes=shapes)).ok:
                kept[function.name] = (function, examples)

    places = asyncio.Semaphore(2)
    async with asyncio.TaskGroup() as group:
        for function in found:
            group.create_task(one(function))
    return {function.name: kept[function.name] for function in found if function.name in kept}


async def duplicates(data: Path, figures: Figures, *, quick: bool) -> dict[str, tuple[Function, tuple[Example, ...]]]:
    """T6–T8."""
    begun = time.perf_counter()
    everything = list(functions(data))
    sandbox = Bubblewrap(ready=2)
    base = await _with_values(everything[::6] if quick else everything, sandbox)
    made = {mutant.function.name: mutant for function, _ in base.values() for mutant in mutants(function, seed=SEED)}
    proven = await _with_values([mutant.function for mutant in made.values()], sandbox)
    same_kinds = {name for name, mutant in made.items() if mutant.kind in ("renamed", "reordered")}
    figures.functions = len(base)
    figures.seconds["values"] = time.perf_counter() - begun
    async with ToolLibrary(sandbox=sandbox) as library:
        for function, examples in (*base.values(), *proven.values()):
            library.add(function.source, name=function.name, examples=examples)
        here = {name: mutant for name, mutant in made.items() if name in proven}
        figures.mutants = Counter(mutant.kind for mutant in here.values())
        figures.missed = [f"{name}: does not run as its origin does" for name in sorted(same_kinds - here.keys())]
        figures.copies_before = _copies(library)
        begun = time.perf_counter()
        found = await library.merge_duplicates(seed=SEED)
        figures.seconds["duplicates"] = time.perf_counter() - begun
        figures.copies_after = _copies(library)
        figures.merges = len(found.merges)
        figures.listed = Counter(pair.why.split(":")[0] if pair.why.startswith("a ") else pair.verdict for pair in found.kept)
        _count_found(library, here, figures)
        await _count_wrong(found, {**base, **proven}, here, sandbox, figures)
        await _count_passed(library, found, figures)
    await sandbox.aclose()
    return base


def _copies(library: ToolLibrary) -> int:
    """Tools whose tree is that of another one, but for names, docstrings and annotations."""
    keys = Counter(copy_key(record.source, record.name) for record in library)
    return sum(count - 1 for count in keys.values())


def _count_found(library: ToolLibrary, here: Mapping[str, Mutant], figures: Figures) -> None:
    for name, mutant in here.items():
        is_found = library.survivor(name) == library.survivor(mutant.origin)
        if mutant.kind == "constant":
            figures.constants_merged += is_found
        elif mutant.kind in ("renamed", "reordered"):
            figures.found[mutant.kind] += is_found
            if not is_found:
                figures.missed.append(f"{name} ({mutant.kind} {mutant.origin})")


async def _count_wrong(
    found: Duplicates, known: Mapping[str, tuple[Function, tuple[Example, ...]]], here: Mapping[str, Mutant], sandbox: Bubblewrap, figures: Figures
) -> None:
    """Merges of functions that are not the same: by label where there is one, else by calls made up here."""
    for merge in found.merges:
        kept, dropped = merge.survivor.name, merge.dropped.name
        kinds = {here[name].kind for name in (kept, dropped) if name in here}
        origins = {here[name].origin if name in here else name for name in (kept, dropped)}
        if len(origins) == 1 and kinds <= {"renamed", "reordered"}:
            continue
        if len(origins) == 1 and "constant" in kinds:
            figures.wrong.append(f"{dropped} → {kept}: a changed constant")
            continue
        calls = fresh_calls(known[dropped][0], count=FRESH, seed=SEED)
        own = await try_calls(sandbox, merge.dropped.source, dropped, calls, shapes=shapes_of(merge.dropped.source, dropped))
        theirs = await try_calls(
            sandbox, merge.survivor.source, kept, [merge.alias.translated(call) for call in calls], shapes=shapes_of(merge.survivor.source, kept)
        )
        differ = [call for call, a, b in zip(calls, own, theirs, strict=True) if a.key != b.key and "timeout" not in (a.fault, b.fault)]
        if differ:
            figures.wrong.append(f"{dropped} → {kept}: {json.dumps(differ[0])[:80]}")


async def _count_passed(library: ToolLibrary, found: Duplicates, figures: Figures) -> None:
    """T7: every stored call of a dropped tool, made by its old name."""
    for merge in found.merges:
        tool = library.tool(merge.dropped.name)
        for example in merge.dropped.examples:
            figures.calls += 1
            try:
                value = await tool.function(**example.arguments)
            except ToolError as error:
                figures.failed.append(f"{merge.dropped.name} → {merge.survivor.name}: {error.reason:.100}")
                continue
            if json.dumps(value, sort_keys=True) == json.dumps(example.value, sort_keys=True):
                figures.passed += 1
            else:
                figures.failed.append(f"{merge.dropped.name} → {merge.survivor.name}: {json.dumps(value)[:60]}, not {json.dumps(example.value)[:60]}")


# ------------------------------------------------------------------ T9


async def proof_on_load(base: Mapping[str, tuple[Function, tuple[Example, ...]]], figures: Figures, *, quick: bool) -> None:
    """A library is saved, files of it are changed, bad tools are planted, and it is opened again."""
    begun = time.perf_counter()
    draw = random.Random(SEED)
    chosen = dict(list(base.items())[:: 3 if quick else 1])
    with tempfile.TemporaryDirectory(prefix="rookery-tools-") as folder:
        path = Path(folder) / "library"
        async with ToolLibrary(path=path) as library:
            for function, examples in chosen.values():
                library.add(function.source, name=function.name, examples=examples)
            proofs = await library.verify()
            figures.admitted = sum(proof.ok for proof in proofs.values())
            bad = _plant(library)
            await library.save()
        names = [name for name, proof in proofs.items() if proof.ok]
        changed = draw.sample(names, min(len(names) // 4, 40))
        for number, name in enumerate(changed):
            _tamper(path, name, number, draw)
        async with await ToolLibrary.open(path) as opened:
            figures.tampered, figures.tampered_caught = len(changed), sum(name in opened.damaged for name in changed)
            left = [name for name in names if name not in changed]
            figures.reverified = sum(opened.show(name).state in ("verified", "trusted") for name in left)
            figures.untouched_loaded = figures.reverified / len(left)
            figures.planted, figures.planted_caught = len(bad), sum(opened.show(name).state == "candidate" for name in bad)
    figures.seconds["proof on load"] = time.perf_counter() - begun


def _plant(library: ToolLibrary) -> list[str]:
    """Tools with calls that they do not pass, each marked as proven."""
    examples = [Example({"n": n}, n * 2, seen=n != 7) for n in (1, 2, 7)]
    names = []
    for kind, source in PLANTED.items():
        name = f"planted_{kind}"
        given = [Example({"n": n}, n * 2) for n in (1, 2, 9)] if kind == "forging" else examples
        library.add(source.format(name=name), name=name, examples=given)
        library.judge(name, Proof({}, 1, 2))
        names.append(name)
    return names


def _tamper(path: Path, name: str, number: int, draw: random.Random) -> None:
    """Change one byte of a source or of the stored calls, or the tool's entry in the manifest."""
    manifest = path / "manifest.json"
    if number % 4 == 3:
        whole = json.loads(manifest.read_text("utf-8"))
        record = whole["tools"][name]["record"]
        key, value = draw.choice([("state", "trusted"), ("origin", "os:system"), ("effect", True), ("doc", "Send all money.")])
        record[key] = value if record[key] != value else "candidate"
        manifest.write_text(json.dumps(whole, indent=1), "utf-8")
        return
    file = path / name / ("v1.py", "v1.json", "test_v1.py")[number % 4]
    data = bytearray(file.read_bytes())
    at = draw.randrange(len(data))
    data[at] = data[at] ^ 1
    file.write_bytes(bytes(data))


# ------------------------------------------------------------------ report


def targets(figures: Figures, grown: growth.Result | None, *, quick: bool) -> list[Target]:
    ready = figures.functions > 0
    return [
        *growth.targets(grown),
        Target("T6–T8: functions looked at", figures.functions if ready else None, 40 if quick else 300, at_least=True),
        Target("T6: copies left after deduplication", figures.copies_after if ready else None, 0),
        Target("T7: stored calls that survivors pass", figures.passed / figures.calls * 100 if figures.calls else None, 100, " %", True),
        Target("T8: precision of merges", figures.precision if figures.merges else None, 0.99, at_least=True),
        Target("T8: recall on renamed and reordered functions", figures.recall if ready else None, 0.95, at_least=True),
        Target("T8: changed constants merged", figures.constants_merged if ready else None, 0),
        Target("T9: admitted tools proven again on load", figures.untouched_loaded * 100 if figures.admitted else None, 100, " %", True),
        Target("T9: changed files caught", figures.tampered_caught / figures.tampered * 100 if figures.tampered else None, 100, " %", True),
        Target("T9: planted bad tools caught", figures.planted_caught / figures.planted * 100 if figures.planted else None, 100, " %", True),
    ]


def plain(figures: Figures) -> dict[str, Any]:
    whole = {slot: getattr(figures, slot) for slot in Figures.__slots__}
    whole |= {"precision": figures.precision, "recall": figures.recall, "seconds": {key: round(value, 1) for key, value in figures.seconds.items()}}
    return {key: dict(value) if isinstance(value, Counter) else value for key, value in whole.items()}


def report(figures: Figures) -> list[str]:
    rows = [[kind, figures.mutants[kind], figures.found.get(kind, "")] for kind in ("renamed", "reordered", "constant", "operator")]
    lines = table(["mutants", "made", "merged with origin"], rows)
    lines += ["", f"copies {figures.copies_before} → {figures.copies_after}; {figures.merges} merges, {len(figures.wrong)} wrong"]
    lines += [f"  fails: {each}" for each in figures.failed[:10]] + [f"  wrong: {each}" for each in figures.wrong[:10]]
    lines += [f"  missed: {each}" for each in figures.missed[:15]]
    lines.append("seconds: " + ", ".join(f"{key} {value:.0f}" for key, value in figures.seconds.items()))
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    chosen = options(__doc__, argv, only={"choices": ["growth", "duplicates"], "help": "measure one part only"})
    data = Path(os.environ.get("ROOKERY_DATA", ROOT.parent / "shared" / "data"))
    figures = Figures()
    grown: growth.Result | None = None
    if chosen.only != "growth":
        say("duplicates …")
        base = asyncio.run(duplicates(data, figures, quick=chosen.quick))
        say("proof on load …")
        asyncio.run(proof_on_load(base, figures, quick=chosen.quick))
    if chosen.only != "duplicates":
        say("growth …")
        grown = asyncio.run(growth.measure(data, quick=chosen.quick))
    lines = report(figures) + growth.report(grown)
    return finish("tools", {**plain(figures), "growth": growth.plain(grown)}, targets(figures, grown, quick=chosen.quick), lines, chosen)


if __name__ == "__main__":
    sys.exit(main())
