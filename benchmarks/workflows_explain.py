"""``explain`` against runs: calls, tokens and times that were told beforehand, and those that a run takes on a model of known costs.

Graphs are drawn from a seed: chains, maps over lists that are known or that a prompt writes, branches, loops. The model is a script of known
reply lengths behind a simulated server of known pace, without jitter and faults; it and the forecast run in virtual time. The makespan is
held against a list scheduler of this file's own (Graham 1966), which knows the graph's jobs and nothing of the engine.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.report import Target, finish, options, say, table
from rookery import Graph, graph, loop, prompt, start, tool, when
from rookery.engine.forecast import forecast
from rookery.engine.rehearse import Guess, Pace, in_virtual_time
from rookery.models.model import Request
from rookery.models.simulated import Latency, SimulatedModel
from rookery.testing import ScriptedModel

DEGREES: tuple[int | None, ...] = (1, 2, 8, None)
PACE = Pace(0.3, 0.001, 0.02)
WORDS = {"draft": 80, "review": 30, "titles": 24, "improve": 60}
"""Tokens of each prompt's reply."""
TITLES, TURNS = 6, 3


@prompt
def draft(topic: str) -> str:
    """Draft a page about {topic}."""


@prompt
def review(text: str) -> str:
    """Review this page: {text}"""


@prompt(form="lines")
def titles(topic: str) -> list[str]:
    """Titles for {topic}."""


@prompt
def improve(text: str) -> str:
    """Improve this page: {text}"""


@tool
def join(parts: list[str]) -> str:
    return "\n".join(parts)


@tool
def all_of(parts: list[str]) -> list[str]:
    return parts


@tool
def is_long(text: str) -> bool:
    return True


def replies() -> Any:
    """What the script says, by the prompt; it counts a loop's turns by what it is given."""

    def answer(request: Request) -> str:
        name = next(name for name in WORDS if request.text.startswith(name.capitalize()))
        if name == "titles":
            return "\n".join(["the " * (WORDS["titles"] // TITLES - 1) + "end"] * TITLES)
        return "the " * (WORDS[name] - 1) + "end."

    return answer


@dataclass
class Job:
    """One call of a model: how long it takes, and what it waits for."""

    seconds: float
    after: list[int] = field(default_factory=list)
    is_element: bool = False
    """Of a map: these begin when the calls beside the map have begun."""


def scheduled(jobs: Sequence[Job], most: int | None) -> float:
    """The makespan when whoever is ready first is begun first, on so many places."""
    waiting = [len(job.after) for job in jobs]
    then: dict[int, list[int]] = {}
    for number, job in enumerate(jobs):
        for other in job.after:
            then.setdefault(other, []).append(number)
    ready = sorted((number for number, count in enumerate(waiting) if not count), key=lambda number: jobs[number].is_element)
    busy: list[tuple[float, int]] = []
    now = 0.0
    while ready or busy:
        while ready and (most is None or len(busy) < most):
            number = ready.pop(0)
            heapq.heappush(busy, (now + jobs[number].seconds, number))
        now = busy[0][0]
        while busy and busy[0][0] <= now + 1e-9:
            for other in then.get(heapq.heappop(busy)[1], ()):
                waiting[other] -= 1
                if not waiting[other]:
                    ready.append(other)
    return now


@dataclass
class Made:
    """A graph that was drawn, and its jobs, for the scheduler."""

    graph: Graph
    jobs: list[Job]
    inputs: dict[str, Any]


def seconds(words: str, prompt_chars: int) -> float:
    return PACE.overhead_s + PACE.prompt_token_s * -(-prompt_chars // 4) + PACE.completion_token_s * WORDS[words]


SAID = {name: 4 * count for name, count in WORDS.items()}
"""Characters of each reply; a script's last word has its point in place of a space."""
HEADS = {name: len(each.source) - each.source.count("{") * len("{topic}") for name, each in (("draft", draft), ("titles", titles))}
HEADS |= {name: len(each.source) - len("{text}") for name, each in (("review", review), ("improve", improve))}
"""Characters of each prompt besides its argument."""


def drawn(seed: int) -> Made:
    """A graph of several lanes side by side, each of one kind, drawn from a seed. No two topics are equally long, so that calls seldom end at
    the same moment: in which order such calls are followed up is nobody's promise."""
    chance = random.Random(seed)
    lanes = [chance.choice(["chain", "map", "written map", "branch", "loop"]) for _ in range(chance.randint(2, 6))]
    sizes = [chance.randint(1, 9) for _ in lanes]
    topics = [[f"{'about ' * 3 * place}lane {number}{'.' * 4 * number}" for place in range(12)] for number in range(len(lanes))]

    def program(all_topics: list[list[str]]) -> str:
        parts = []
        for number, (lane, size) in enumerate(zip(lanes, sizes, strict=True)):
            topics = all_topics[number]
            if lane == "chain":
                text = draft(topic=topics[0])
                for _ in range(size):
                    text = review(text=text)
            elif lane == "map":
                text = join(parts=review.each(text=draft.each(topic=topics)))
            elif lane == "written map":
                text = join(parts=draft.each(topic=all_of(parts=titles(topic=topics[1]))))
            elif lane == "branch":
                first = draft(topic=topics[2])
                text = when(is_long(text=first), then=review(text=first), otherwise=improve(text=first))
            else:
                text = loop(improve, text=draft(topic=topics[3]), times=TURNS)
            parts.append(text)
        return join(parts=parts)

    return Made(graph(program), _jobs(lanes, sizes, topics), {"all_topics": topics})


def _jobs(lanes: Sequence[str], sizes: Sequence[int], all_topics: Sequence[Sequence[str]]) -> list[Job]:
    """The jobs of the lanes, by hand: what waits for what, and how long each takes."""
    jobs: list[Job] = []

    def add(kind: str, chars: int, *after: int) -> int:
        jobs.append(Job(seconds(kind, HEADS[kind] + chars), list(after)))
        return len(jobs) - 1

    for lane, size, topics in zip(lanes, sizes, all_topics, strict=True):
        if lane == "chain":
            last, said = add("draft", len(topics[0])), SAID["draft"]
            for _ in range(size):
                last, said = add("review", said, last), SAID["review"]
        elif lane == "map":
            for topic in topics:
                first = add("draft", len(topic))
                jobs[first].is_element = True
                add("review", SAID["draft"], first)
        elif lane == "written map":
            first = add("titles", len(topics[1]))
            for _ in range(TITLES):
                add("draft", SAID["titles"] // TITLES - 1, first)
        elif lane == "branch":
            add("review", SAID["draft"], add("draft", len(topics[2])))
        else:
            last, said = add("draft", len(topics[3])), SAID["draft"]
            for _ in range(TURNS):
                last, said = add("improve", said, last), SAID["improve"]
    return jobs


def compared(seed: int) -> dict[str, Any]:
    """One graph: the forecast, what a run took in virtual time, and the scheduler's makespan."""
    made = drawn(seed)
    guesses = {line: Guess(tokens=float(WORDS[name])) for name in WORDS for line in _names(made.graph, name)}
    guesses |= {line: Guess(tokens=float(WORDS["titles"]), items=TITLES) for line in _names(made.graph, "titles")}
    model = ScriptedModel(replies())
    paces = {"scripted:script": PACE}
    told = forecast(made.graph, made.inputs, model=model, guesses=_with_items(made.graph, guesses), paces=paces, parallel=DEGREES)
    row: dict[str, Any] = {"calls_told": told.calls, "tokens_told": told.prompt_tokens + told.completion_tokens, "off": 0.0, "run_off": 0.0}
    for most in DEGREES:
        asked = ScriptedModel(replies())
        server = SimulatedModel(asked, latency=Latency(PACE.overhead_s, PACE.prompt_token_s, PACE.completion_token_s, jitter=0.0))
        (calls, tokens), took = in_virtual_time(_run(made, server, most))
        row |= {"calls": calls, "tokens": tokens}
        right = scheduled(made.jobs, most)
        row["off"] = max(row["off"], abs(told.seconds[most] / right - 1))
        row["run_off"] = max(row["run_off"], abs(told.seconds[most] / took - 1))
    return row


async def _run(made: Made, server: SimulatedModel, most: int | None) -> tuple[int, int]:
    gate = asyncio.Semaphore(most) if most else None

    class Gated:
        """The server with so many places."""

        capabilities = server.capabilities
        count_tokens, aclose = server.count_tokens, server.aclose

        async def stream(self, request: Request) -> Any:
            if gate is not None:
                await gate.acquire()
            try:
                async for chunk in server.stream(request):
                    yield chunk
            finally:
                if gate is not None:
                    gate.release()

    async with start(made.graph, inputs=made.inputs, model=Gated()) as run:
        await run
        return run.spent.calls, run.spent.tokens


def _names(made: Graph, function: str) -> list[str]:
    """The paths that calls of a prompt have, without places in lists."""
    found = [call.name for call in made.call_list if getattr(call.function, "name", "") == function]
    return [*found, *(f"{call.name}/{function}" for call in made.call_list if call.kind == "loop")]


def _with_items(made: Graph, guesses: dict[str, Guess]) -> dict[str, Guess]:
    """The list that a tool hands on has as many elements as the prompt's."""
    items = {name: Guess(items=TITLES, tokens=float(WORDS["titles"])) for name in _names(made, "all_of")}
    return {**guesses, **items, **{name: Guess(tokens=1.0) for name in _names(made, "join")}}


def measure(*, seeds: int) -> tuple[dict[str, Any], list[Target], list[str]]:
    """The figures, the targets and a table."""
    rows = [compared(seed) for seed in range(seeds)]
    calls = sum(row["calls"] != row["calls_told"] for row in rows)
    tokens = max(abs(row["tokens_told"] / row["tokens"] - 1) for row in rows)
    figures = {"graphs": seeds, "calls_wrong": calls, "tokens_off": tokens, "makespan_off": max(row["off"] for row in rows),
               "run_off": max(row["run_off"] for row in rows), "model": "scripted, behind a simulated server"}  # fmt: skip
    say(f"{seeds} graphs, {sum(row['calls'] for row in rows):,} calls")
    targets = [
        Target("explain: graphs whose calls are not those of a run", calls, 0),
        Target("explain: tokens off at most", tokens, 0.02),
        Target("explain: makespan off list scheduling, p = 1, 2, 8, ∞", figures["makespan_off"], 0.02),
    ]
    lines = table(("graphs", "calls wrong", "tokens off", "makespan off list scheduling", "makespan off a run"), [
        (seeds, calls, tokens, figures["makespan_off"], figures["run_off"])
    ])
    return figures, targets, lines


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    chosen = options(__doc__, argv)
    figures, targets, lines = measure(seeds=20 if chosen.quick else 200)
    return finish("workflows_explain", figures, targets, lines, chosen)


if __name__ == "__main__":
    sys.exit(main())
