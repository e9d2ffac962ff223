"""The loop guard of agents: are loops stopped within two repeats, is honest work never stopped, and what does a step cost?

Loops: traces written after reports of agents that went in circles (the same search again, two tools by turns, a plan that is written and read,
members of a team that hand over to each other with other words each time), each behind honest work, with arguments whose space and order of
keys vary, and rounds of up to 8 steps. Honest work: small worlds (pages, jobs that are polled, files that are edited and tested, folders that
are walked, failing services, batches, searches, hand-overs with work in between) with a worker in each that reaches its goal; what it does
and sees is noted. Then whole agents, with scripted models that go in circles, are run until they are stopped.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.report import Target, finish, options, table
from rookery import run, tool
from rookery.agents import Agent, Repeats, Team
from rookery.errors import AgentStuck
from rookery.testing import ScriptedModel

EXEMPT = ("press", "job_status_text")
"""Tools of the honest worlds that give the same many times and are meant to."""


@dataclass(frozen=True, slots=True)
class Step:
    """A use of a tool with its result, or a hand-over from one member to another."""

    tool: str
    arguments: str
    result: str = ""


def call(name: str, result: str = "ok", /, **arguments: Any) -> Step:
    return Step(name, json.dumps(arguments), result)


def over(one: str, other: str, found: str = "") -> Step:
    """A hand-over, and what was found before it."""
    return Step("hand_over", f"{one}>{other}", found)


def note(guard: Repeats, step: Step) -> str:
    if step.tool == "hand_over":
        return guard.note(step.arguments, step.result)
    return guard.note(guard.call(step.tool, step.arguments, step.result))


# ------------------------------------------------------------------ loops

ROUNDS: dict[str, list[Step]] = {
    "the same search": [call("web_search", "1. Rook (bird) 2. Rook (chess)", query="rook weight kg")],
    "the same page": [call("fetch", "404 not found", url="http://localhost/rooks")],
    "a broken call": [call("divide", "failed: ZeroDivisionError", a=1, b=0)],
    "a tool that does nothing": [call("think", "noted", thought="I should check the data first")],
    "two searches by turns": [call("web_search", "no results", query="rook mass"), call("wikipedia", "no page of this name", title="Rook mass")],
    "read and write": [call("read_file", "a = 1", path="a.py"), call("write_file", "written", path="a.py", text="a = 1")],
    "undo and redo": [call("edit", "done", find="x", replace="y"), call("edit", "done", find="y", replace="x")],
    "there and back": [call("cd", "/a", path="a"), call("cd", "/", path="..")],
    "plan and check": [call("write_plan", "saved", text="1. look"), call("read_plan", "1. look"), call("check_plan", "not done yet")],
    "install and run": [call("pip_install", "satisfied", name="x"), call("run", "ModuleNotFoundError: y", file="m.py"), call("pip_list", "x 1.0")],
    "ask and be asked": [over("analyst", "searcher"), over("searcher", "analyst")],
    "round the table": [over("planner", "coder"), over("coder", "tester"), over("tester", "planner")],
    "manager and worker": [over("manager", "worker", "status-3fa2"), over("worker", "manager", "status-3fa2")],
    "four tools": [call(name, "nothing", q="rook") for name in ("search", "recall", "grep", "lookup")],
}


def respaced(step: Step, draw: random.Random) -> Step:
    """The same step as another model call may write it."""
    try:
        data = json.loads(step.arguments)
    except ValueError:
        return step
    keys = list(data)
    draw.shuffle(keys)
    text = json.dumps({key: data[key] for key in keys}, indent=draw.choice([None, 1, 2]))
    return Step(step.tool, text, step.result + draw.choice(["", " ", "\n"]))


def loops(count: int, draw: random.Random) -> Iterator[tuple[str, list[Step], int, int]]:
    """Name, trace, where the loop begins, and how long its round is. The trace goes on for ten rounds."""
    names = list(ROUNDS)
    for number in range(count):
        name = names[number % len(names)]
        round_ = list(ROUNDS[name])
        if number >= len(names) and draw.random() < 0.3 and round_[0].tool != "hand_over":
            extra = [call("look", f"thing {n}", at=n) for n in range(draw.randrange(1, 8 - len(round_) + 1))]
            round_ += extra
        before = draw.choice(list(WORLDS.values()))(draw)[: draw.randrange(0, 12)] if number >= len(names) else []
        while before and before[-1:] == round_[-1:]:
            before.pop()
        trace = before + [respaced(step, draw) for _ in range(10) for step in round_]
        yield name, trace, len(before), len(round_)


def repeats_until_stopped(trace: Sequence[Step], begin: int, period: int) -> float | None:
    """How often the round was repeated, wholly or in part, when the guard said stop; None when it never did."""
    guard = Repeats(exempt=EXEMPT)
    for place, step in enumerate(trace):
        if note(guard, step) == "stuck":
            return (place + 1 - begin) / period - 1
    return None


# ------------------------------------------------------------------ honest work


def pages(draw: random.Random) -> list[Step]:
    count = draw.randrange(2, 12)
    return [call("list_items", f"items {n * 10}-{n * 10 + 9}" if n < count - 1 else "no more", cursor=n) for n in range(count)]


def job(draw: random.Random) -> list[Step]:
    """A job that is polled; its state moves, or (by a tool that is exempt) stays the same for a while."""
    if draw.random() < 0.5:
        done = sorted(draw.sample(range(100), draw.randrange(2, 9)))
        return [call("start_job", "job 7"), *(call("job_status", f"{percent} %", id=7) for percent in done), call("job_status", "done", id=7)]
    return [call("start_job", "job 7"), *[call("job_status_text", "running", id=7)] * draw.randrange(2, 12), call("job_status_text", "done", id=7)]


def repair(draw: random.Random) -> list[Step]:
    """Edits until a test passes; the test's message is the same for as long as it fails."""
    wrong = draw.randrange(1, 9)
    trace = [call("run_tests", "1 failed: test_sum"), call("read_file", "def total(xs): …", path="m.py")]
    for attempt in range(wrong):
        trace += [call("edit", "done", path="m.py", line=draw.randrange(1, 40), text=f"attempt {attempt}"), call("run_tests", "1 failed: test_sum")]
        if draw.random() < 0.4:
            trace.append(call("read_file", f"def total(xs): … # {attempt}", path="m.py"))
    return [*trace, call("edit", "done", path="m.py", line=3, text="return sum(xs)"), call("run_tests", "5 passed")]


def walk(draw: random.Random) -> list[Step]:
    """A tree of folders walked depth first: the same folders are listed again on the way back."""
    trace: list[Step] = []

    def visit(path: str, depth: int) -> None:
        names = [f"d{n}" for n in range(draw.randrange(1, 4))] if depth else []
        trace.append(call("ls", " ".join(names) or "a.txt", path=path))
        for name in names:
            trace.append(call("cd", f"{path}/{name}", path=name))
            visit(f"{path}/{name}", depth - 1)
            trace.append(call("cd", path, path=".."))

    visit("", draw.randrange(1, 4))
    return trace[:60]


def flaky(draw: random.Random) -> list[Step]:
    """A service that fails once or twice before it answers, question after question."""
    trace: list[Step] = []
    for number in range(draw.randrange(1, 6)):
        trace += [call("quote", "failed: timeout", stock=number)] * draw.randrange(0, 2)
        trace += [call("quote", f"{draw.randrange(10, 99)}.5", stock=number)]
    return trace


def batch(draw: random.Random) -> list[Step]:
    return [call("file_invoice", "ok", number=n) for n in range(draw.randrange(3, 25))]


def refine(draw: random.Random) -> list[Step]:
    """Searches with other words, some of which find the same."""
    words = draw.sample(["rook", "corvid", "raven", "crow", "jackdaw", "bird", "mass", "weight"], draw.randrange(2, 8))
    return [call("web_search", draw.choice(["no results", "Rook (bird)"]), query=word) for word in words]


def keys(draw: random.Random) -> list[Step]:
    """A menu: the same key several times, and nothing to be seen of it."""
    trace: list[Step] = []
    for _ in range(draw.randrange(1, 5)):
        trace += [call("press", "ok", key="down")] * draw.randrange(1, 9)
        trace += [call("press", "ok", key="enter"), call("screen", f"page {draw.random()}")]
    return trace


def notes(draw: random.Random) -> list[Step]:
    """The same note read before each of several different steps."""
    trace: list[Step] = []
    for number in range(draw.randrange(2, 9)):
        trace += [call("read_note", "todo: a, b, c"), call("do", "done", item=number)]
    return trace


def team(draw: random.Random) -> list[Step]:
    """Two that hand over to each other, with something new found each time."""
    trace: list[Step] = []
    for number in range(draw.randrange(1, 7)):
        trace += [over("searcher", "writer", f"page-{number}"), over("writer", "searcher", f"draft-{number}" if draw.random() < 0.5 else "")]
    return trace


def pair(draw: random.Random) -> list[Step]:
    """The same call twice, as one who makes sure does it, and on to the next."""
    trace: list[Step] = []
    for number in range(draw.randrange(1, 8)):
        trace += [call("balance", f"{number * 10} EUR", account=number)] * 2 + [call("pay", "paid", account=number, eur=number)]
    return trace


WORLDS: dict[str, Callable[[random.Random], list[Step]]] = {
    "pages": pages, "jobs": job, "repairs": repair, "folders": walk, "flaky services": flaky, "batches": batch, "searches": refine, "keys": keys,
    "notes": notes, "hand-overs": team, "making sure": pair,
}  # fmt: skip


def honest(count: int, draw: random.Random) -> Iterator[tuple[str, list[Step]]]:
    """Traces of one to three tasks each."""
    names = list(WORLDS)
    for number in range(count):
        name = names[number % len(names)]
        more = [draw.choice(names) for _ in range(draw.randrange(0, 3))]
        yield name, [step for world in (name, *more) for step in WORLDS[world](draw)]


def is_stopped(trace: Sequence[Step]) -> bool:
    guard = Repeats(exempt=EXEMPT)
    return any(note(guard, step) == "stuck" for step in trace)


# ------------------------------------------------------------------ cost, and whole agents


def step_us(steps: int, draw: random.Random) -> list[float]:
    """Microseconds of each of many steps, with arguments of some hundred and results of some thousand characters."""
    guard = Repeats()
    made = [call("search", " ".join(str(draw.random()) for _ in range(draw.choice([1, 20, 200]))), query=str(draw.random()), near=[draw.random()] * 8)
            for _ in range(min(steps, 2_000))]
    found = []
    for number in range(steps):
        step = made[number % len(made)]
        text = step.result + str(number)
        begun = time.perf_counter()
        guard.note(guard.call(step.tool, step.arguments, text))
        found.append((time.perf_counter() - begun) * 1e6)
    return found


@tool(inline=True)
def look(at: str) -> str:
    """Looks at something."""
    return "nothing new"


def agents() -> list[dict[str, Any]]:
    """Whole agents in circles: how often each did it again before it was stopped."""

    def uses(name: str, **arguments: Any) -> str:
        return json.dumps({"thought": "", "calls": [{"tool": name, "arguments": arguments}]})

    found = []
    for period in (1, 2, 3, 4):
        asked = iter(range(10_000))
        model = ScriptedModel(lambda request, asked=asked, period=period: uses("look", at=f"place {next(asked) % period}"))
        found.append(_stopped(f"an agent, rounds of {period}", Agent(model=model, tools=[look]), [model], period))
    models = [ScriptedModel(lambda request, to=to: uses("hand_over", to=to, message=f"your turn, I said {len(request.text)}")) for to in ("b", "a")]
    members = [Agent(model=model, name=name) for name, model in zip("ab", models, strict=True)]
    found.append(_stopped("two members", Team(*members), models, 2))
    return found


def _stopped(name: str, subject: Any, models: Sequence[ScriptedModel], period: int) -> dict[str, Any]:
    try:
        run(subject, "What is there?")
    except AgentStuck as error:
        return {"agent": name, "repeats": sum(len(model.requests) for model in models) / period - 1, "end": error.reason}
    return {"agent": name, "repeats": None, "end": "not stopped"}


def measure(*, quick: bool) -> tuple[dict[str, Any], list[Target], list[str]]:
    """The figures, the targets and a table."""
    draw = random.Random(11)
    stopped: dict[str, list[float | None]] = {}
    for name, trace, begin, period in loops(200 if quick else 2_000, draw):
        stopped.setdefault(name, []).append(repeats_until_stopped(trace, begin, period))
    wrong: dict[str, list[bool]] = {}
    for name, trace in honest(1_000, draw):
        wrong.setdefault(name, []).append(is_stopped(trace))
    cost = step_us(20_000 if quick else 100_000, draw)
    whole = agents()
    every = [value for values in stopped.values() for value in values]
    late = sum(value is None or value > 2 for value in [*every, *(one["repeats"] for one in whole)])
    early = sum(value is not None and value < 1 for value in every)
    traces = sum(len(values) for values in wrong.values())
    targets = [
        Target("loops not stopped within 2 repeats", late, 0),
        Target("loops stopped before they had repeated once", early, 0),
        Target("honest traces", traces, 1_000, at_least=True),
        Target("honest traces stopped", sum(sum(values) for values in wrong.values()), 0),
        Target("a step, median", statistics.median(cost), 20, " µs"),
    ]
    rows = [(name, len(values), max((value for value in values if value is not None), default=None), sum(value is None for value in values))
            for name, values in stopped.items()]
    rows += [(one["agent"], 1, one["repeats"], int(one["repeats"] is None)) for one in whole]
    lines = table(("loop", "traces", "repeats at most", "never stopped"), rows)
    lines += ["", *table(("honest work", "traces", "stopped"), [(name, len(values), sum(values)) for name, values in wrong.items()])]
    p99 = statistics.quantiles(cost, n=100)[98]
    lines += ["", f"a step: median {statistics.median(cost):.1f} µs, 99th percentile {p99:.1f} µs"]
    figures = {
        "loops": {name: {"traces": len(values), "repeats": max((value for value in values if value is not None), default=None)}
                  for name, values in stopped.items()},
        "honest": {name: {"traces": len(values), "stopped": sum(values)} for name, values in wrong.items()},
        "agents": whole, "step_us": {"median": statistics.median(cost), "p99": p99},
    }  # fmt: skip
    return figures, targets, lines


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    chosen = options(__doc__, argv)
    return finish("agents_loop", *measure(quick=chosen.quick), chosen)


if __name__ == "__main__":
    sys.exit(main())
