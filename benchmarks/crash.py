"""kill -9 at random points of a 200-call graph, and resume: does a call that the log held as finished ever run again?

The graph has a chain of 60, a map of 64, a loop of 60 turns, a prompt whose list streams into further prompts, and a question
to a person that another process answers through the log's inbox. Each call notes in a file outside of the log that it was
executed. A child process is killed with SIGKILL (some more than once) after a random time or number of executions, then
resumed until it ends.
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
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT, Target, finish, options, say, scratch, table
from rookery import RookeryError, SQLiteLog, ask, graph, loop, prompt, resume, show, start, tool
from rookery.engine.log import Message
from rookery.testing import ScriptedModel

CHAIN, MAP, TURNS, HEADS = 60, 64, 60, 8
CALLS = CHAIN + MAP + TURNS + HEADS + 8
"""With the list to map over, the heads, the question, four calls after it, and the end."""
RUN = "crash"
PATIENCE_S = 60.0
"""A resumed run that has not ended by then counts as stuck."""
KILL_AT_LATEST_S = 3.0
AGAIN_S = 5.0
"""An answer that is not taken for so long is given again, and counted."""


# ------------------------------------------------------------------ the program, and the process that is killed


def program(executions: Path) -> tuple[Any, ScriptedModel]:
    """The graph and its model; every call of it appends its value to ``executions`` when it has been executed."""
    file = os.open(executions, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def ran(value: Any) -> Any:
        os.write(file, key(value).encode() + b"\n")
        return value

    @tool
    async def step(x: int) -> int:
        await asyncio.sleep(0.002)
        return ran(x + 1)

    @tool(inline=True)
    def upto(n: int) -> list[int]:
        return ran(list(range(n)))

    @tool
    async def work(x: int) -> int:
        await asyncio.sleep((x * 37 % 97) / 1000)
        return ran(1000 + x)

    @tool
    async def turn(x: int) -> int:
        await asyncio.sleep(0.002)
        return ran(x + 1)

    @tool
    def after(x: int, ok: bool) -> int:  # in a thread
        return ran(x + 1)

    @tool
    async def join(chain: int, mapped: list[int], looped: int, sections: list[str], later: int) -> str:
        return ran(f"{chain} {sum(mapped)} {looped} {later} {' '.join(sections)}")

    @prompt
    def heads(topic: str) -> list[str]:
        """Heads of an article about {topic}."""

    @prompt
    def section(title: str) -> str:
        """Write the section {title}."""

    @graph
    def whole(x: int) -> str:
        chain = x
        for _ in range(CHAIN):
            chain = step(x=chain)
        mapped = work.each(x=upto(n=MAP))
        looped = loop(turn, x=2000, times=TURNS)
        sections = section.each(title=heads(topic="rooks"))
        ok = ask(bool, "Shall it go on?", show=chain)
        later: Any = 3000
        for _ in range(4):
            later = after(x=later, ok=ok)
        return join(chain=chain, mapped=mapped, looped=looped, sections=sections, later=later)

    async def pieces(text: str, value: Any, size: int) -> AsyncIterator[str]:
        for place in range(0, len(text), size):
            await asyncio.sleep(0.004)
            yield text[place : place + size]
        ran(value)

    def answer(request: Any) -> AsyncIterator[str]:
        if "Heads" in request.text:
            titles = [f"title {number}" for number in range(HEADS)]
            return pieces(json.dumps(titles), titles, 9)
        number = request.text.rpartition("title ")[2].split(".")[0].strip()
        return pieces(f"section {number}", f"section {number}", 3)

    return whole, ScriptedModel(answer)


def key(value: Any) -> str:
    """What stands for a call in the file of executions: its value, which no two calls share."""
    return json.dumps(value)


async def live(folder: Path) -> None:
    """Start the run, or take it up again, and write its value when it has one."""
    log = SQLiteLog(folder / "log.db")
    whole, model = program(folder / "executions")
    known = any(info.run == RUN for info in log.runs())
    prepared = resume(RUN, whole, log=log, model=model) if known else start(whole, id=RUN, log=log, model=model, x=0)
    (folder / "begun").touch()
    async with prepared as run:
        value = await run
    log.close()
    (folder / "value").write_text(value)


async def uninterrupted(folder: Path) -> tuple[str, dict[str, str], float]:
    """The value without a crash, what stands for each call by its path, and how long it took."""
    whole, model = program(folder / "reference")
    keys: dict[str, str] = {}
    begun = time.perf_counter()
    async with start(whole, model=model, x=0) as run:
        async for event in run:
            kind = type(event).__name__
            if kind == "QuestionAsked":
                run.answer(event.call, True)
            elif kind == "CallFinished":
                keys[event.call] = key(event.held)
        return await run, keys, time.perf_counter() - begun


# ------------------------------------------------------------------ killing


@dataclass(slots=True)
class Trial:
    """One run with its kills."""

    number: int
    kills: int = 0
    lives: int = 0
    points: list[str] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    """How many calls the log held as finished, at each kill."""
    repeated: int = 0
    """Executions of calls after the log held them as finished."""
    in_flight: int = 0
    """Executions that were repeated because the log did not hold them yet."""
    unwritten: int = 0
    """Calls finished in the log that were never executed, or finished ones that a later log does not hold."""
    answers: int = 0
    resume_s: list[float] = field(default_factory=list)
    wrong: str = ""
    """What went wrong with the end: empty when the value is that of an uninterrupted run."""


@dataclass(frozen=True, slots=True)
class Point:
    """When to kill: so long after the process was made or had begun, or at so many executions."""

    kind: str
    amount: float

    @staticmethod
    def draw(chance: random.Random, seconds: float) -> Point:
        kind = chance.choice(("made", "begun", "begun", "executions", "executions"))
        if kind == "executions":
            return Point(kind, chance.randrange(CALLS))
        return Point(kind, chance.uniform(0, 1.3 * seconds + (0.5 if kind == "made" else 0.0)))

    def reached(self, made: float, begun: float | None, executed: int) -> bool:
        now = time.monotonic()
        if begun is not None and now - begun > KILL_AT_LATEST_S:
            return True
        if self.kind == "executions":
            return executed >= self.amount and begun is not None
        return now - made >= self.amount if self.kind == "made" else begun is not None and now - begun >= self.amount


class Person:
    """Answers the question from outside, some time after it is asked."""

    def __init__(self, file: Path, delay_s: float) -> None:
        self._file = file
        self._delay_s = delay_s
        self._look_at = 0.0
        self._due: float | None = None
        self.answers = 0

    def look(self) -> None:
        """Look into the log, at most each 20 ms, and answer when it is time."""
        now = time.monotonic()
        if now < self._look_at or not self._file.exists():
            return
        self._look_at = now + 0.02
        try:
            log = SQLiteLog(self._file)
        except RookeryError:  # the process has only just made the file
            return
        try:
            questions = list(show(RUN, log=log).questions)
            self._due = None if not questions else self._due or now + self._delay_s
            if questions and self._due is not None and now >= self._due:
                log.post(RUN, Message("answer", questions[0], True, "somebody"))
                self.answers += 1
                self._due = now + AGAIN_S
        except RookeryError:
            return
        finally:
            log.close()


def trial(number: int, chance: random.Random, reference: tuple[str, dict[str, str], float]) -> Trial:
    """One run: killed once or more, resumed until it ends, and looked over."""
    value, keys, seconds = reference
    found = Trial(number)
    points = [Point.draw(chance, seconds) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
    patient = chance.random() < 0.4  # this one is answered only once the run has been killed
    snapshots: list[tuple[set[str], Counter[str]]] = []
    with tempfile.TemporaryDirectory(dir=scratch()) as name:
        folder = Path(name)
        person = Person(folder / "log.db", chance.uniform(0, 0.1))
        while True:
            point = points.pop(0) if points else None
            found.lives += 1
            code, errors = _life(folder, point, None if patient and not found.kills and point else person, found)
            if code is None:
                found.kills += 1
                found.points.append(f"{point.kind} {point.amount:.3f}" if point else "stuck")
                snapshots.append((_finished(folder), _executed(folder)))
                found.held.append(len(snapshots[-1][0]))
            if point is None or code is not None:
                break
        result = folder / "value"
        found.answers = person.answers
        right = code == 0 and result.exists() and result.read_text() == value
        why = " / ".join(errors.strip().splitlines()[-2:])
        found.wrong = "; ".join(_faults(folder)) if right else f"ended with {code}: {why}" if code else "stuck, or another value"
        snapshots.append((_finished(folder), _executed(folder)))
    _judge(found, snapshots, keys)
    return found


def _life(folder: Path, point: Point | None, person: Person | None, found: Trial) -> tuple[int | None, str]:
    """One process from its beginning to its end: its exit code, or None when it was killed; and what it wrote to stderr."""
    begun_file = folder / "begun"
    begun_file.unlink(missing_ok=True)
    with (folder / "errors").open("w+") as errors:
        made, begun = time.monotonic(), None
        command = [sys.executable, "-m", "benchmarks.crash", "--child", str(folder)]
        child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=errors)
        while child.poll() is None:
            if begun is None and begun_file.exists():
                begun = time.monotonic()
            if person is not None:
                person.look()
            stuck = time.monotonic() - made > PATIENCE_S
            if stuck or (point is not None and point.reached(made, begun, sum(_executed(folder).values()) if point.kind == "executions" else 0)):
                child.kill()
                break
            time.sleep(0.001)
        code = child.wait()
        if point is None and begun is not None:
            found.resume_s.append(time.monotonic() - begun)
        errors.seek(0)
        return (None if code < 0 else code), errors.read()


def _executed(folder: Path) -> Counter[str]:
    file = folder / "executions"
    return Counter(file.read_text().splitlines()) if file.exists() else Counter()


def _finished(folder: Path) -> set[str]:
    """The paths of the calls that the log holds as finished."""
    if not (folder / "log.db").exists():
        return set()
    log = SQLiteLog(folder / "log.db")
    try:
        if not any(info.run == RUN for info in log.runs()):
            return set()
        return {path for path, call in show(RUN, log=log).calls.items() if call.status == "done"}
    finally:
        log.close()


def _faults(folder: Path) -> list[str]:
    log = SQLiteLog(folder / "log.db")
    try:
        return log.check()
    finally:
        log.close()


def _judge(found: Trial, snapshots: Sequence[tuple[set[str], Counter[str]]], keys: dict[str, str]) -> None:
    """Compare the executions after each kill with what the log held then."""
    *at_kills, (finished, executed) = snapshots
    seen: Counter[str] = Counter()
    for held, before in at_kills:
        for path in held & keys.keys():
            repeated = executed[keys[path]] - before[keys[path]]
            seen[path] = max(seen[path], repeated)
            found.unwritten += before[keys[path]] == 0 or path not in finished
    found.repeated = sum(seen.values())
    found.in_flight = sum(count - 1 for count in executed.values()) - found.repeated
    if not found.wrong:
        missing = [path for path, expected in keys.items() if path not in finished or not executed[expected]]
        found.wrong = f"calls without an execution: {missing[:5]}" if missing else ""


# ------------------------------------------------------------------ the whole


def measure(runs: int, seed: int = 0) -> dict[str, Any]:
    """Trials until ``runs`` runs have been killed at least once."""
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        reference = asyncio.run(uninterrupted(Path(folder)))
    trials: list[Trial] = []
    killed = 0
    while killed < runs and len(trials) < 3 * runs + 10:
        one = trial(len(trials), random.Random(f"{seed}:{len(trials)}"), reference)
        trials.append(one)
        killed += one.kills > 0
        if one.wrong or one.repeated or len(trials) % 10 == 0:
            say(f"{len(trials)} runs, {sum(each.kills for each in trials)} kills; the last one: {one.wrong or 'right'}, {one.repeated} repeated")
    resumed = sorted(seconds for one in trials if one.kills for seconds in one.resume_s)
    return {
        "calls": len(reference[1]) + 1, "uninterrupted_s": reference[2], "runs": len(trials), "runs_killed": killed, "seed": seed,
        "kills": sum(one.kills for one in trials), "lives": sum(one.lives for one in trials),
        "finished_at_kill": {"least": min((min(one.held) for one in trials if one.held), default=None),
                             "most": max((max(one.held) for one in trials if one.held), default=None)},
        "repeated_finished": sum(one.repeated for one in trials), "repeated_in_flight": sum(one.in_flight for one in trials),
        "lost_or_unwritten": sum(one.unwritten for one in trials), "answers": sum(one.answers for one in trials),
        "wrong_ends": sum(bool(one.wrong) for one in trials), "median_resumed_s": resumed[len(resumed) // 2] if resumed else None,
        "faults": [{"run": one.number, "killed_at": one.points, "what": one.wrong} for one in trials if one.wrong][:20],
    }


def targets(data: dict[str, Any], runs: int) -> list[Target]:
    return [
        Target("runs killed at random points", data["runs_killed"], runs, at_least=True),
        Target("finished calls executed again", data["repeated_finished"], 0),
        Target("finished calls that a log lost, or held without an execution", data["lost_or_unwritten"], 0),
        Target("runs that did not end with the value of an uninterrupted one", data["wrong_ends"], 0),
    ]


def lines(data: dict[str, Any]) -> Iterator[str]:
    yield from table(("figure", "value"), ((name, value) for name, value in data.items() if not isinstance(value, list | dict)))
    for fault in data["faults"]:
        yield f"  run {fault['run']}, killed at {fault['killed_at']}: {fault['what']}"


def main(argv: Sequence[str] | None = None) -> int:
    chosen = options(
        __doc__, argv, runs={"type": int, "default": None, "help": "how many runs to kill; 100, or 12 with --quick"},
        seed={"type": int, "default": 0, "help": "of the points"}, child={"default": "", "help": "internal: the folder of a run to carry out"},
    )
    if chosen.child:
        asyncio.run(live(Path(chosen.child)))
        return 0
    runs = chosen.runs or (12 if chosen.quick else 100)
    data = measure(runs, chosen.seed)
    return finish("crash", data, targets(data, runs), list(lines(data)), chosen)


if __name__ == "__main__":
    sys.exit(main())
