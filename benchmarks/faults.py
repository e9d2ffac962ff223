"""Runs against a server that fails in 20 % of its replies, under limits that do not suffice, and with a hundred equal calls at once.

The server is on the loopback and answers 429, 500, malformed JSON, a cut stream, a stall or a wrong content type. Each run
must end with the right value or with one of rookery's own errors, and without more requests than its faults explain.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.report import Target, finish, options, say, table
from rookery import Attempts, Limit, Policy, ResultCache, RookeryError, graph, prompt, start, tool
from rookery.errors import LimitReached
from rookery.models.provider import model
from rookery.testing import Latency, ScriptedModel, SimulatedModel
from tests.servers import FAULTS, Faults, prompt_of, serve

RATE = 0.2
STALL_TIMEOUT_S = 1.0
"""The model's read timeout; the server stalls for much longer. Client and server share a thread, so it must not be too short."""
RUNS_AT_A_TIME, CALLS_AT_A_TIME = 4, 8
RUN_TIMEOUT_S = 60.0
PATIENT = Policy(attempts=Attempts(stop=6, wait=0.01))
HASTY = Policy(attempts=Attempts(stop=2, wait=0.01))
BRANCHES, STEPS, MAX_TOKENS = 64, 4, 64
EQUAL = 100


# ------------------------------------------------------------------ the hostile server


@prompt
def describe(thing: str) -> str:
    """Describe {thing} in one sentence."""


@prompt
def titles(topic: str) -> list[str]:
    """Titles about {topic}."""


@graph
def descriptions(things: list[str]) -> list[str]:
    return describe.each(thing=things)


@graph
def article(topic: str) -> list[str]:
    return describe.each(thing=titles(topic=topic))


def description(thing: str) -> str:
    return f"What {thing} is: the quick brown fox of all such things."


def answered(body: dict[str, Any]) -> str:
    text = prompt_of(body)
    if "Titles about" in text:
        topic = text.rpartition("Titles about ")[2].split(".")[0]
        return json.dumps([f"{topic} part {number}" for number in range(6)])
    return description(text.rpartition("Describe ")[2].split(" in one sentence")[0])


@dataclass(slots=True)
class Tally:
    """How the runs of one kind ended."""

    runs: int = 0
    calls: int = 0
    """Calls that must be made when nothing fails for good."""
    right: int = 0
    typed: Counter[str] = field(default_factory=Counter)
    """Runs that ended with an error of rookery's, by its kind."""
    bad: list[str] = field(default_factory=list)
    """Runs that ended with another value, with a foreign error, or not at all."""
    requests: int = 0
    faults: int = 0
    seconds: float = 0.0

    def plain(self) -> dict[str, Any]:
        return {
            "runs": self.runs, "calls": self.calls, "right": self.right, "typed_errors": dict(self.typed),
            "bad": self.bad[:20], "bad_runs": len(self.bad), "requests": self.requests, "faults": self.faults,
            "amplification": self.requests / self.calls,
            "needless_requests": self.requests - self.faults - self.calls if not self.typed else None, "seconds": round(self.seconds, 2),
        }


async def hostile(subject: Any, inputs: Sequence[tuple[dict[str, Any], Any]], *, policy: Policy, calls: int, seed: int, rate: float = RATE) -> Tally:
    """Carry a program out on each of the inputs, some runs at a time, and compare with the values expected."""
    tally = Tally(calls=calls * len(inputs))
    begun = time.perf_counter()
    places = asyncio.Semaphore(RUNS_AT_A_TIME)
    async with serve(answered, faults=Faults(rate=rate, seed=seed)) as server:
        asked = model(f"openai:test@{server.url}", api_key="none", timeout_s=STALL_TIMEOUT_S)

        async def one(given: dict[str, Any], expected: Any) -> None:
            async with places:
                await _one(asked, subject, given, expected, policy, tally)

        await asyncio.gather(*[one(given, expected) for given, expected in inputs])
        await asked.aclose()
        tally.requests, tally.faults = len(server.requests), sum(server.faults.values())
    tally.seconds = time.perf_counter() - begun
    return tally


async def _one(asked: Any, subject: Any, given: dict[str, Any], expected: Any, policy: Policy, tally: Tally) -> None:
    tally.runs += 1
    try:
        async with asyncio.timeout(RUN_TIMEOUT_S), start(subject, model=asked, policy=policy, max_in_flight=CALLS_AT_A_TIME, inputs=given) as run:
            value = await run
    except RookeryError as error:
        tally.typed[getattr(error, "kind", "") or type(error).__name__] += 1
    except TimeoutError:
        tally.bad.append(f"no end after {RUN_TIMEOUT_S} s")
    except BaseExceptionGroup as error:
        tally.bad.append(f"{type(error).__name__}: {error.exceptions!r}")
    except Exception as error:  # which is just what must not come out of a run
        tally.bad.append(f"{type(error).__name__}: {error}")
    else:
        if value == expected:
            tally.right += 1
        else:
            tally.bad.append(f"wrong value: {value!r:.200}")


# ------------------------------------------------------------------ limits


@prompt(max_tokens=MAX_TOKENS)
def write(topic: str, before: str) -> str:
    """Go on about {topic} after {before}."""


@graph
def branch(topic: str) -> str:
    text: Any = ""
    for _ in range(STEPS):
        text = write(topic=topic, before=text)
    return text


@tool(inline=True)
def count(texts: list[str]) -> int:
    return len(texts)


@graph
def branches(topics: list[str]) -> int:
    return count(texts=branch.each(topic=topics))


async def limited(limit: int | None, seed: int) -> dict[str, Any]:
    """64 branches of four prompts under one token limit; each may need up to 64 tokens and needs 1 to 60."""

    def text(request: Any) -> str:
        return "word" * (hash_of(request.text) % 60 + 1)

    slow = SimulatedModel(ScriptedModel(text, chunk_chars=64), latency=Latency(0.002, 0.0, 0.0001, jitter=0.8), seed=seed)
    given = {"topics": [f"topic {number}" for number in range(BRANCHES)]}
    ended = "value"
    async with start(branches, model=slow, limit=None if limit is None else Limit(tokens=limit), inputs=given) as run:
        try:
            await run
        except LimitReached:
            ended = "LimitReached"
        spent = run.spent.tokens
    over = 0 if limit is None else max(0, spent - limit)
    return {"limit": limit, "spent": spent, "ended": ended, "overshoot": over, "utilisation": None if limit is None else spent / limit}


def hash_of(text: str) -> int:
    """The same in each process, as ``hash`` is not."""
    return sum(ord(char) * (place + 1) for place, char in enumerate(text))


# ------------------------------------------------------------------ equal calls


@prompt(temperature=0)
def same(topic: str) -> str:
    """Say something about {topic}."""


@graph
def alike(topics: list[str]) -> int:
    return count(texts=same.each(topic=topics))


async def equal_calls() -> dict[str, int]:
    """How often each of 100 equal calls is carried out: in one run, in 100 runs over one cache, as a pure tool; and afterwards."""
    executed = 0

    @tool(pure=True)
    async def square(x: int) -> int:
        nonlocal executed
        executed += 1
        await asyncio.sleep(0.01)
        return x * x

    @tool(inline=True)
    def total(squares: list[int]) -> int:
        return sum(squares)

    @graph
    def squares(xs: list[int]) -> int:
        return total(squares=square.each(x=xs))

    answers = ScriptedModel(lambda request: "something", delay_s=0.01)
    cache = ResultCache()

    async def once(subject: Any, **given: Any) -> Any:
        async with start(subject, model=answers, cache=cache, inputs=given) as run:
            return await run

    await once(alike, topics=["rooks"] * EQUAL)
    in_one_run = len(answers.requests)
    await asyncio.gather(*[once(same, topic="jackdaws") for _ in range(EQUAL)])
    in_many_runs = len(answers.requests) - in_one_run
    await asyncio.gather(*[once(same, topic="jackdaws") for _ in range(EQUAL)])
    again = len(answers.requests) - in_one_run - in_many_runs
    await once(squares, xs=[7] * EQUAL)
    return {"one_run": in_one_run, "many_runs": in_many_runs, "afterwards": again, "pure_tool": executed}


# ------------------------------------------------------------------ the whole


async def measure(calls: int, runs: int, seed: int) -> dict[str, Any]:
    """All of it; ``calls`` in the large map, ``runs`` of the smaller programs."""
    await hostile(descriptions, [({"things": ["first"]}, [description("first")])], policy=PATIENT, calls=1, seed=seed, rate=0.0)  # imports openai
    things = [f"thing {number}" for number in range(calls)]
    half = calls // 2
    maps = [({"things": part}, [description(thing) for thing in part]) for part in (things[:half], things[half:])]
    small = [({"things": things[at : at + 6]}, [description(thing) for thing in things[at : at + 6]]) for at in range(runs)]
    pieces = [({"topic": f"t{number}"}, [description(f"t{number} part {part}") for part in range(6)]) for number in range(runs)]
    tallies = {
        "maps": await hostile(descriptions, maps, policy=PATIENT, calls=half, seed=seed),
        "streamed lists": await hostile(article, pieces, policy=PATIENT, calls=7, seed=seed + 1),
        "two attempts": await hostile(descriptions, small, policy=HASTY, calls=6, seed=seed + 2),
    }
    say("; ".join(f"{name}: {tally.right} of {tally.runs} right" for name, tally in tallies.items()))
    whole = (await limited(None, seed))["spent"]
    tight = whole + MAX_TOKENS + 256
    return {
        "server": {"rate": RATE, "kinds": FAULTS, "seed": seed},
        "hostile": {name: tally.plain() for name, tally in tallies.items()},
        "limits": {"sufficient": await limited(tight, seed), "half": await limited(whole // 2, seed), "tenth": await limited(whole // 10, seed)},
        "equal_calls": await equal_calls(),
    }


def targets(data: dict[str, Any]) -> list[Target]:
    """Every promise about faults, with its figure."""
    found = []
    for name, tally in data["hostile"].items():
        found.append(Target(f"{name}: runs that ended neither right nor with a typed error", tally["bad_runs"], 0))
        if name != "two attempts":
            found.append(Target(f"{name}: requests a call", tally["amplification"], 1.3, "×"))
            found.append(Target(f"{name}: runs that ended right, of {tally['runs']}", tally["right"], tally["runs"], at_least=True))
    for name, limit in data["limits"].items():
        found.append(Target(f"tokens over the limit ({name})", limit["overshoot"], 0))
        if name == "half":  # of the tenth, one call's worst case is already more than a twentieth
            found.append(Target(f"share of the limit that was used ({name})", limit["utilisation"], 0.95, at_least=True))
    for name, text in (("one_run", "in one run"), ("many_runs", "in as many runs"), ("pure_tool", "of a pure tool")):
        found.append(Target(f"executions of {EQUAL} equal calls {text}", data["equal_calls"][name], 1))
    found.append(Target("executions of them later", data["equal_calls"]["afterwards"], 0))
    return found


def lines(data: dict[str, Any]) -> Iterator[str]:
    columns = ("runs", "calls", "right", "typed_errors", "bad_runs", "requests", "faults", "amplification", "needless_requests", "seconds")
    yield from table(("hostile server", *columns), ([name, *(tally[column] for column in columns)] for name, tally in data["hostile"].items()))
    for name, tally in data["hostile"].items():
        yield from (f"  {name}: {bad}" for bad in tally["bad"])
    columns = ("limit", "spent", "ended", "overshoot", "utilisation")
    yield from table(("64 branches", *columns), ([name, *(limit[column] for column in columns)] for name, limit in data["limits"].items()))
    yield f"{EQUAL} equal calls: {json.dumps(data['equal_calls'])}"


def main(argv: Sequence[str] | None = None) -> int:
    chosen = options(__doc__, argv, seed={"type": int, "default": 0, "help": "of the faults"})
    data = asyncio.run(measure(200 if chosen.quick else 600, 20 if chosen.quick else 60, chosen.seed))
    return finish("faults", data, targets(data), list(lines(data)), chosen)


if __name__ == "__main__":
    sys.exit(main())
