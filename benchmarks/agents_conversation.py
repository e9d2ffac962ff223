"""A conversation of 200 turns: does any prompt outgrow the window, does a turn cost more the later it comes, and is anything repeated after kill -9?

An agent with tools and a memory, over a scripted model (its tokens are a quarter of the characters) with a window of 4,096 tokens that it
enforces. Every other turn uses a tool, some of whose results are longer than the window. Then a child process that holds the same conversation
is killed with SIGKILL at random moments, taken up again, and so on to its last turn: every model request and tool use notes in a file outside
the log that it was carried out, and nothing that the log held as finished may be noted again; what was said must be what it was without kills.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT, Target, finish, options, say, scratch, table
from rookery import Limit, SQLiteLog, tool
from rookery.agents import Agent, talk
from rookery.core.value import plain
from rookery.memory import Memory
from rookery.models.model import Capabilities, Request
from rookery.testing import ScriptedModel

RUN = "conversation"
WINDOW = 4_096
TURNS = 200
TIMEOUT_S = 240.0
BLOCK = 50
"""Turns that are compared: the last so many with those before them."""


def message(number: int) -> str:
    draw = random.Random(number)
    words = " ".join(draw.choice(("rook", "nest", "wood", "mill", "path", "river")) for _ in range(draw.randrange(5, 60)))
    return f"Message {number}: {words}"


def number_of(request: Request) -> int:
    """Which message a request is about: the last that a person said."""
    said = [one.text for one in request.messages if one.role == "user" and "Message " in one.text]
    return int(said[-1].rpartition("Message ")[2].partition(":")[0])


def agent(memory: Memory | None, ran: Callable[[str], None], delay_s: float) -> tuple[Agent, ScriptedModel]:
    """The agent and its model."""

    @tool
    async def measure(what: str) -> str:
        """Measures something; the report may be long."""
        await asyncio.sleep(delay_s)
        ran(f"tool {what}")
        number = int(what)
        return f"{what}: " + "long " * (6_000 if number % 10 == 0 else 40)

    async def answer(request: Request) -> Any:
        number = number_of(request)
        steps = sum(one.text.startswith("measure gave") for one in request.messages)
        await asyncio.sleep(delay_s)
        ran(f"model {number} {steps}")
        if number % 2 == 0 and steps == 0:
            yield json.dumps({"thought": "", "calls": [{"tool": "measure", "arguments": {"what": str(number)}}]})
        else:
            yield json.dumps({"thought": "", "answer": f"Reply {number}: " + "indeed " * (number * 7 % 50)})

    can = Capabilities(name="scripted:talker", context_tokens=WINDOW, is_local=True, price_usd=(0.0, 0.0))
    model = ScriptedModel(answer, capabilities=can)
    return Agent(model=model, tools=[measure], memory=memory, name="talker", limit=Limit(calls=8), max_tokens=512), model


# ------------------------------------------------------------------ what a turn costs


async def whole(folder: Path, turns: int) -> dict[str, Any]:
    """The conversation from its first turn to its last; every so many turns it is closed, looked at on disk, and taken up again."""
    found: dict[str, list[float]] = {"prompt_tokens": [], "tokens": [], "cpu_ms": [], "log_bytes": [], "resume_s": []}
    async with Memory(scope="user:ada", path=folder / "memory") as memory:
        speaker, model = agent(memory, lambda what: None, 0.0)
        size = 0
        for first in range(0, turns + 1, BLOCK):
            begun = time.perf_counter()
            async with talk(speaker, log=folder / "log.db", id=RUN) as chat:
                await chat.reply()
                found["resume_s"].append(time.perf_counter() - begun)
                for number in range(first, min(first + BLOCK, turns)):
                    before, requests, spent = time.process_time(), len(model.requests), chat.run.spent.tokens
                    await chat.say(message(number))
                    found["cpu_ms"].append((time.process_time() - before) * 1e3)
                    found["prompt_tokens"].append(max(len(request.text) // 4 for request in model.requests[requests:]))
                    found["tokens"].append(chat.run.spent.tokens - spent)
                transcript = [[one.said, one.reply.text] for one in chat.exchanges]
            now = sum(file.stat().st_size for file in folder.glob("log.db*"))
            if first < turns:
                found["log_bytes"].append(now - size)
                size = now
    return {**found, "transcript": transcript, "requests": len(model.requests)}


def grows(values: Sequence[float], block: int) -> float:
    """By how much the last cost more than as many before them, as a part of these."""
    last, before = statistics.mean(values[-block:]), statistics.mean(values[-2 * block : -block])
    return last / before - 1


# ------------------------------------------------------------------ kill -9


async def live(folder: Path, turns: int) -> None:
    """Begin the conversation, or go on with it, and write down what was said once it has all its turns."""
    file = os.open(folder / "executions", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    async with Memory(scope="user:ada", path=folder / "memory") as memory:
        speaker, _ = agent(memory, lambda what: os.write(file, f"{what}\n".encode()) and None, 0.002)
        async with talk(speaker, log=folder / "log.db", id=RUN) as chat:
            await chat.reply()
            while len(chat.exchanges) < turns:
                await chat.say(message(len(chat.exchanges)))
            (folder / "said").write_text(json.dumps([[one.said, one.reply.text] for one in chat.exchanges]))


def finished(folder: Path) -> set[str]:
    """What stands for the model requests and tool uses that the log holds as finished."""
    log, found = SQLiteLog(folder / "log.db"), set[str]()
    try:
        if not any(info.run == RUN for info in log.runs()):
            return found
        turns: Counter[str] = Counter()
        for event in log.read(RUN):
            if type(event).__name__ != "CallFinished":
                continue
            place, _, step = event.call.rpartition("/")
            name = step.partition("~")[0]
            if name == "measure":
                found.add("tool " + str(plain(event.value, log.get)).partition(":")[0])
            elif name == "turn":
                number = int(place.rpartition("~")[2]) - 1 if "~" in place.rpartition("/")[2] else 0
                found.add(f"model {number} {turns[place]}")
                turns[place] += 1
    finally:
        log.close()
    return found


def lines_of(folder: Path) -> list[str]:
    file = folder / "executions"
    return file.read_text().splitlines() if file.exists() else []


def killed(turns: int, kills: int, draw: random.Random) -> dict[str, Any]:
    """One conversation to its last turn, killed on the way so many times."""
    with tempfile.TemporaryDirectory(dir=scratch()) as name:
        folder = Path(name)
        every = turns + turns // 2 + turns // 2  # requests and tool uses of the whole
        plan = sorted(draw.sample(range(1, every - 2), kills))
        done_kills, repeated, known, unnoted = 0, Counter[str](), 0, 0
        begun = time.monotonic()
        while not (folder / "said").exists():
            before, done = Counter(lines_of(folder)), finished(folder) if done_kills else set()
            known += len(done)
            unnoted += sum(1 for key in done if not before[key])
            process = subprocess.Popen([sys.executable, "-m", "benchmarks.agents_conversation", "--child", name, str(turns)], cwd=ROOT)
            stop = plan[done_kills] if done_kills < len(plan) else None
            while process.poll() is None:
                if stop is not None and len(lines_of(folder)) >= stop:
                    time.sleep(draw.random() * 0.004)
                    process.kill()
                if time.monotonic() - begun > TIMEOUT_S * max(1, kills / 10):
                    process.kill()
                    process.wait()
                    return {"kills": done_kills, "finished": known, "repeated": sum(repeated.values()), "unnoted": unnoted, "said": None}
                time.sleep(0.001)
            process.wait()
            after = Counter(lines_of(folder))
            repeated.update(key for key in done if after[key] > before[key])
            if not (folder / "said").exists():
                done_kills += 1
        said = json.loads((folder / "said").read_text())
        executions = Counter(lines_of(folder))
        return {"kills": done_kills, "finished": known, "repeated": sum(repeated.values()), "unnoted": unnoted, "said": said,
                "in_flight_again": sum(count - 1 for count in executions.values() if count > 1)}


# ------------------------------------------------------------------ figures


def measure(*, quick: bool) -> tuple[dict[str, Any], list[Target], list[str]]:
    """The figures, the targets and a table."""
    with tempfile.TemporaryDirectory(dir=scratch()) as name:
        say(f"{TURNS} turns in one process")
        found = asyncio.run(whole(Path(name), TURNS))
    turns, kills, rounds = (60, 6, 1) if quick else (TURNS, 25, 4)
    draw, deaths = random.Random(5), []
    for number in range(rounds):
        deaths.append(killed(turns, kills, draw))
        say(f"conversation {number}: " + ", ".join(f"{key} {value}" for key, value in deaths[-1].items() if key != "said"))
    expected = found["transcript"][:turns]
    targets = [
        Target("the largest prompt", max(found["prompt_tokens"]), WINDOW, " tokens"),
        Target("tokens of a turn, the last 50 against the 50 before", 100 * grows(found["tokens"], BLOCK), 5, " %"),
        Target("bytes of the log, the last 50 turns against the 50 before", 100 * grows(found["log_bytes"], 1), 10, " %"),
        Target("SIGKILLs", sum(death["kills"] for death in deaths), rounds * kills, at_least=True),
        Target("finished in the log and not noted as carried out", sum(death["unnoted"] for death in deaths), 0),
        Target("finished requests and uses repeated after kill -9", sum(death["repeated"] for death in deaths), 0),
        Target("conversations in which something else was said", sum(death["said"] != expected for death in deaths), 0),
    ]
    blocks = [(f"{begin + 1}-{begin + BLOCK}", *(statistics.mean(found[key][begin : begin + BLOCK]) for key in ("tokens", "cpu_ms")),
               found["log_bytes"][begin // BLOCK] / BLOCK, max(found["prompt_tokens"][begin : begin + BLOCK])) for begin in range(0, TURNS, BLOCK)]
    lines = table(("turns", "tokens a turn", "ms a turn (CPU)", "log bytes a turn", "largest prompt"), blocks)
    lines += ["", f"taken up again after {TURNS} turns in {found['resume_s'][-1]:.2f} s"]
    kept = {key: value for key, value in found.items() if key != "transcript"}
    return {"turns": kept, "kills": [{key: value for key, value in death.items() if key != "said"} for death in deaths]}, targets, lines


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    chosen = options(__doc__, argv, child={"nargs": 2, "metavar": ("FOLDER", "TURNS"), "help": "internal: the process that is killed"})
    if chosen.child:
        asyncio.run(live(Path(chosen.child[0]), int(chosen.child[1])))
        return 0
    return finish("agents_conversation", *measure(quick=chosen.quick), chosen)


if __name__ == "__main__":
    sys.exit(main())
