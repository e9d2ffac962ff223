"""Workflow files: broken ones, mutated ones, large ones, and graphs that go there and back (``python -m benchmarks.workflows``).

broken     each broken file in a process of its own: refused at the right line and column, in how many seconds and bytes
fuzzed     mutated files: whatever is in them, they end in faults with places or in a graph
large      workflows of 1,000 and 10,000 calls, read and checked; how that grows
trips      graphs drawn by chance, written as YAML and read again: how many mean something else then
start      the command line: how long ``rookery --help`` and ``rookery check FILE.yaml`` take
"""

from __future__ import annotations

import gc
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.broken import Case, cases
from benchmarks.drawn_graphs import TOOLS, drawn
from benchmarks.mutations import mutated, seeds
from benchmarks.report import ROOT, Target, finish, options, say, table
from rookery.errors import WorkflowInvalid
from rookery.workflows import parse, same, save

MB = 1e6
HANG_S = 5.0
"""A mutated file that takes longer counts as a hang."""
SMALL = (
    "version: 1\ninputs: {topic: str}\ncalls:\n  a: {prompt: 'On {topic}.'}\n  b: {prompt: 'More on {a}.', returns: 'list[str]'}\noutput: [$a, $b]\n"
)


# ------------------------------------------------------------------ broken files


def broken() -> dict[str, Any]:
    """Each broken file checked by the command line, in a process of its own."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(cases()):
            found.append(_checked(case, Path(folder) / str(number)))
    wrong = [one for one in found if not one["right"]]
    return {
        "files": len(found), "right": len(found) - len(wrong), "wrong": wrong, "slowest_s": max(one["seconds"] for one in found),
        "largest_mb": max(one["mb"] for one in found), "kinds": sorted({one["kind"] for one in found}), "cases": found,
    }  # fmt: skip


def _checked(case: Case, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    for name, text in case.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / "flow.yaml").write_bytes(case.data)
    code, seconds, megabytes, output = _rookery("check", str(folder / "flow.yaml"), "--json")
    try:
        faults = json.loads(output)["error"]["faults"]
        places = [(fault["line"], fault["column"]) for fault in faults]
    except (ValueError, KeyError, TypeError):
        places = []
    right = code == 2 and bool(places) and places[0] == case.place
    return {"name": case.name, "kind": case.kind, "right": right, "place": case.place, "said": places[:5], "seconds": seconds, "mb": megabytes}


def _rookery(*words: str) -> tuple[int, float, float, str]:
    """The command line in a process of its own: its exit code, seconds, peak memory in MB, and what it printed."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([sys.executable, "-m", "rookery", *words], cwd=ROOT, stdout=output, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        output.seek(0)
        text = output.read().decode()
    scale = 1024 if sys.platform != "darwin" else 1
    return process.returncode, seconds, usage.ru_maxrss * scale / MB, text


# ------------------------------------------------------------------ mutated files


def fuzzed(count: int, seed: int) -> dict[str, Any]:
    """Mutated files read in this process."""
    chance, texts = random.Random(seed), seeds()
    graphs = refused = hangs = without_place = 0
    crashes: list[str] = []
    slowest = 0.0
    for number in range(count):
        data = mutated(texts, chance)
        started = time.perf_counter()
        try:
            parse(data)
            graphs += 1
        except WorkflowInvalid as error:
            refused += 1
            without_place += not error.faults or any(fault.place.line < 1 or fault.place.column < 1 for fault in error.faults)
        except Exception as error:  # what is counted here: it should not be
            crashes.append(f"{type(error).__name__}: {error!s:.200}")
        seconds = time.perf_counter() - started
        slowest = max(slowest, seconds)
        hangs += seconds > HANG_S
        if number % 10_000 == 9_999:
            say(f"  {number + 1:,} mutated files, {len(crashes)} crashes")
    return {
        "files": count, "graphs": graphs, "refused": refused, "crashes": len(crashes), "first": crashes[:5], "hangs": hangs,
        "without_place": without_place, "slowest_s": slowest,
    }  # fmt: skip


# ------------------------------------------------------------------ large files


def large_text(calls: int) -> str:
    """A workflow of so many calls: prompts, lists, maps, conditions and named prompts, joined in a long line."""
    lines = [
        "version: 1", "inputs: {topic: str, n: {type: int, default: 5}}", "types: {Section: {heading: str, body: str}}",
        "prompts: {more: {prompt: 'More on {text}.'}}", "calls:",
    ]  # fmt: skip
    before = "topic"
    for i in range(calls):
        kind = i % 5
        if kind == 0:
            lines.append(f'  c{i}: {{prompt: "Write {i} about {{{before}}} and {{topic}}.", temperature: 0.5}}')
        elif kind == 1:
            lines.append(f'  c{i}: {{prompt: "List {{n}} sections of {{c{i - 1}}}.", returns: "list[str]"}}')
        elif kind == 2:
            lines.append(
                f'  c{i}: {{each: {{title: $c{i - 1}}}, prompt: "Section {{title}} of {{topic}}.", returns: Section, retry: {{attempts: 3}}}}'
            )
        elif kind == 3:
            lines.append(f'  c{i}: {{when: "size(c{i - 1}) > 2", prompt: "Sum up {{c{i - 1}}}.", otherwise: none}}')
        else:
            lines.append(f"  c{i}: {{prompt: more, with: {{text: $c{i - 1}}}}}")
            before = f"c{i}"
    return "\n".join([*lines, f"output: $c{calls - 1}", ""])


def large(sizes: Sequence[int], rounds: int) -> dict[str, Any]:
    """Reading and checking by size: the best of several rounds, as other processes only add."""
    parse(large_text(10))
    found = {}
    for size in sizes:
        text, laps = large_text(size), []
        for _ in range(rounds):
            gc.collect()
            started = time.perf_counter()
            parse(text)
            laps.append(time.perf_counter() - started)
        found[str(size)] = {"seconds": min(laps), "median_s": statistics.median(laps), "bytes": len(text)}
    first, last = str(sizes[0]), str(sizes[-1])
    growth = found[last]["seconds"] / found[first]["seconds"] / (sizes[-1] / sizes[0])
    return {"sizes": found, "growth": growth}


# ------------------------------------------------------------------ there and back


def trips(count: int) -> dict[str, Any]:
    """Graphs drawn by chance, to YAML and back; and YAML to a graph and back to YAML."""
    different: list[str] = []
    kinds: dict[str, int] = {}
    for seed in range(count):
        made = drawn(seed)
        for call in made.call_list:
            kinds[call.kind] = kinds.get(call.kind, 0) + 1
        try:
            text = save(made)
            again = parse(text, tools=TOOLS, models={"writer": "openai:x"})
            if not same(made, again) or save(again) != text:
                different.append(f"seed {seed}")
        except Exception as error:  # a graph that can't be written or read is a difference too
            different.append(f"seed {seed}: {type(error).__name__}: {error!s:.200}")
        if seed % 1_000 == 999:
            say(f"  {seed + 1:,} graphs, {len(different)} different")
    return {"graphs": count, "different": len(different), "first": different[:5], "calls": kinds}


# ------------------------------------------------------------------ the command line


def start(rounds: int) -> dict[str, Any]:
    """Seconds from the command to its end: the best of several, as other processes only add."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "flow.yaml"
        place.write_text(SMALL)
        found = {}
        for name, words in {"help": ["--help"], "check": ["check", str(place)]}.items():
            laps = [_rookery(*words)[1] for _ in range(rounds)]
            found[name] = {"seconds": min(laps), "median_s": statistics.median(laps)}
    return found


# ------------------------------------------------------------------ the whole


def measure(quick: bool, seed: int) -> dict[str, Any]:
    """All of it."""
    found: dict[str, Any] = {"start": start(5 if quick else 15)}
    found["large"] = large((1_000, 10_000), 2 if quick else 5)
    say(f"1,000 and 10,000 calls: {[round(one['seconds'], 3) for one in found['large']['sizes'].values()]} s")
    found["broken"] = broken()
    say(f"{found['broken']['right']} of {found['broken']['files']} broken files refused at their place")
    found["trips"] = trips(200 if quick else 10_000)
    found["fuzzed"] = fuzzed(1_000 if quick else 100_000, seed)
    return found


def targets(data: dict[str, Any]) -> list[Target]:
    """Every promise about workflow files, with its figure."""
    sizes, wrong = data["large"]["sizes"], data["broken"]
    return [
        Target("broken files", wrong["files"], 60, at_least=True),
        Target("broken files not refused at the right line and column", wrong["files"] - wrong["right"], 0),
        Target("slowest of them, the process's start and end included", wrong["slowest_s"], 1.0, " s"),
        Target("largest of them", wrong["largest_mb"], 200, " MB"),
        Target(f"tracebacks for {data['fuzzed']['files']:,} mutated files", data["fuzzed"]["crashes"], 0),
        Target("hangs of them", data["fuzzed"]["hangs"], 0),
        Target("faults of them without a place", data["fuzzed"]["without_place"], 0),
        Target("1,000 calls read and checked", sizes["1000"]["seconds"] * 1_000, 300, " ms"),
        Target("10,000 calls read and checked", sizes["10000"]["seconds"], 3.0, " s"),
        Target("a call's time among 10,000 over one among 1,000", data["large"]["growth"], 1.5, "×"),
        Target(f"of {data['trips']['graphs']:,} graphs those that come back with another meaning", data["trips"]["different"], 0),
        Target("rookery --help", data["start"]["help"]["seconds"] * 1_000, 200, " ms"),
        Target("rookery check of a small workflow", data["start"]["check"]["seconds"] * 1_000, 200, " ms"),
    ]


def lines(data: dict[str, Any]) -> Iterator[str]:
    sizes = data["large"]["sizes"]
    yield from table(("calls", "best s", "median s", "bytes"), ([size, *one.values()] for size, one in sizes.items()))
    yield f"{data['broken']['right']} of {data['broken']['files']} broken files right; slowest {data['broken']['slowest_s']:.2f} s"
    yield from (f"  {one['name']}: wanted {one['place']}, said {one['said']}" for one in data["broken"]["wrong"])
    fuzz = data["fuzzed"]
    yield f"{fuzz['files']:,} mutated files: {fuzz['graphs']:,} graphs, {fuzz['refused']:,} refused, {fuzz['crashes']} crashes, {fuzz['hangs']} hangs"
    yield from (f"  {first}" for first in fuzz["first"])
    yield f"{data['trips']['graphs']:,} graphs there and back: {data['trips']['different']} different; calls {json.dumps(data['trips']['calls'])}"
    yield from (f"  {first}" for first in data["trips"]["first"])
    yield from (f"rookery {name}: best {one['seconds'] * 1e3:.0f} ms, median {one['median_s'] * 1e3:.0f} ms" for name, one in data["start"].items())


def main(argv: Sequence[str] | None = None) -> int:
    chosen = options(__doc__, argv, seed={"type": int, "default": 0, "help": "of the mutations"})
    data = measure(chosen.quick, chosen.seed)
    return finish("workflows", data, targets(data), list(lines(data)), chosen)


if __name__ == "__main__":
    sys.exit(main())
