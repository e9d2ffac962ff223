"""What planners cost by themselves, and what is gained by calls in flight.

Overhead (figure 5): asking and telling alone, on results that are there already, by CPU time of the thread, per node of the tree: a node was
proposed, judged and taken in. Eight children a proposal for beam, best-first and MCTS (what a proposal costs with all its children is printed
beside it), one scored answer a proposal for AB-MCTS. Beside them bare loops that do the same without a framework, and treequest where it is
installed. Through the engine: a search beside an async program that makes the same calls.

Latency (figure 6): tools that take 50 ms, one and eight works in flight.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from random import Random
from statistics import median
from typing import Any

from benchmarks.report import Target, finish, options, say, table
from rookery import Limit, run, tool
from rookery.planners import Check, Child, Planner, Result, Tree, Work, ab_mcts, beam, best_first, best_of_n, dfs, mcts, plan_search, search
from rookery.planners.oracle import is_solvable
from rookery.planners.tree import drawn, mixed
from rookery.testing import GameOracle, play

WIDE = 8
SMALL, MIDDLE, LARGE = 1_000, 10_000, 100_000
SLOTS = 8
LATENCY_S = 0.05
FOREVER = 10**9

# ------------------------------------------------------------------ figure 5: asking and telling

PLANNERS: dict[str, tuple[Callable[[], Planner], int, float | None]] = {
    "beam": (lambda: beam(width=100, depth=FOREVER), WIDE, 15.0), "best-first": (lambda: best_first(depth=FOREVER), WIDE, 15.0),
    "DFS": (lambda: dfs(depth=FOREVER, visits=FOREVER, children=WIDE), WIDE, None),
    "MCTS": (lambda: mcts(iterations=FOREVER, depth=FOREVER), WIDE, 30.0),
    "AB-MCTS-A, Gaussian": (lambda: ab_mcts(iterations=FOREVER), 1, 100.0),
    "AB-MCTS-A, Beta": (lambda: ab_mcts(iterations=FOREVER, prior="beta"), 1, 100.0),
}  # fmt: skip
"""How each is made, the children of a proposal, and µs a node at most."""


def carried(tree: Tree, work: Work, wide: int) -> Result:
    if work.step == "evaluate":
        return Result(values=[drawn(node, 1) for node in work.nodes])
    if wide == 1:
        return Result(children=[Child(None, key=str(work.id), check=Check(False, drawn(work.id, 2)), final=True)])
    return Result(children=[Child(None, key=f"{work.id}.{place}") for place in range(wide)])


def asked_and_told(planner: Planner, wide: int, upto: int) -> list[tuple[int, int, float]]:
    """After each round: nodes, proposals, and CPU seconds so far of asking and telling alone."""
    tree = Tree("", key="root", steps=frozenset({"propose", "evaluate"} if wide > 1 else {"propose", "goal"}))
    spent, proposals, rounds = 0.0, 0, []
    clock = time.thread_time
    while len(tree) < upto:
        begun = clock()
        over = planner.done(tree)
        works = [] if over else planner.ask(tree, SLOTS, 1)
        spent += clock() - begun
        if not works:
            raise ChildProcessError(f"{planner.facts.name} was through at {len(tree)} nodes: {over}")
        results = [(work, carried(tree, work, wide)) for work in works]
        begun = clock()
        for work, result in results:
            planner.tell(tree, work, result)
        spent += clock() - begun
        tree.changed.clear()
        proposals += sum(work.step == "propose" for work in works)
        rounds.append((len(tree), proposals, spent))
    return rounds


def overhead(name: str, *, laps: int, largest: int) -> dict[str, Any]:
    """µs a node up to the small size, around the middle one and up to the largest; µs a proposal with all its children."""
    make, wide, bound = PLANNERS[name]
    gc.collect()
    small = [asked_and_told(make(), wide, SMALL)[-1] for _ in range(laps)]
    rounds = asked_and_told(make(), wide, largest)

    def between(low: int, high: int) -> float:
        first = next(row for row in rounds if row[0] >= low)
        last = next(row for row in rounds if row[0] >= high)
        return (last[2] - first[2]) / (last[0] - first[0]) * 1e6

    at_small = median(spent / nodes * 1e6 for nodes, _, spent in small)
    at_large = between(largest * 9 // 10, largest)
    nodes, proposals, spent = rounds[-1]
    return {
        "planner": name, "small_us": at_small, "middle_us": between(min(MIDDLE, largest) // 2, min(MIDDLE, largest)), "large_us": at_large,
        "growth": at_large / at_small, "proposal_us": spent / proposals * 1e6, "nodes": nodes, "bound_us": bound,
    }


def bare_beam(upto: int) -> float:
    """µs a node of beam search as a plain loop: the floor."""
    count, level, spent = 1, [("root", 0.0)], 0.0
    begun = time.thread_time()
    seen = {"root"}
    while count < upto:
        found = []
        for key, _ in level:
            for place in range(WIDE):
                child = f"{key[-12:]}{count}.{place}"
                if child not in seen:
                    seen.add(child)
                    found.append((child, drawn(count, 1)))
                    count += 1
        level = sorted(found, key=lambda one: -one[1])[:100]
    spent = time.thread_time() - begun
    return spent / count * 1e6


def bare_best_first(upto: int) -> float:
    """µs a node of best-first search as a plain loop."""
    count, open_states, seen = 1, [(0.0, 0, "root")], {"root"}
    begun = time.thread_time()
    while count < upto:
        _, _, key = heappop(open_states)
        for place in range(WIDE):
            child = f"{key[-12:]}{count}.{place}"
            if child not in seen:
                seen.add(child)
                heappush(open_states, (-drawn(count, 1), count, child))
                count += 1
    return (time.thread_time() - begun) / count * 1e6


def of_treequest(name: str, upto: int) -> float | None:
    """µs a node of treequest's ask and tell; None where it is not installed."""
    try:
        import treequest  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return None
    made = treequest.StandardMCTS(samples_per_action=WIDE) if name == "MCTS" else treequest.ABMCTSA()
    state, spent, clock = made.init_tree(), 0.0, time.thread_time
    for number in range(upto):
        begun = clock()
        state, trials = made.ask_batch(state, 1, ["a"])
        spent += clock() - begun
        result = (str(number), drawn(number, 1))
        begun = clock()
        state = made.tell(state, trials[0].trial_id, result)
        spent += clock() - begun
    return spent / upto * 1e6


# ------------------------------------------------------------------ figure 5: through the engine


@tool(inline=True)
def propose(state: str) -> list[str]:
    return [f"{state}{letter}" for letter in "abcdefgh"]


@tool(inline=True)
def judge(state: str) -> float:
    return drawn(len(state), *state.encode())


def engine_figures(*, laps: int) -> dict[str, Any]:
    """µs of CPU a call of a beam through the engine, and of an async program that makes the same calls."""

    async def bare(width: int, depth: int) -> list[str]:
        level = [""]
        for _ in range(depth):
            found = [child for children in await asyncio.gather(*(propose(state=state) for state in level)) for child in children]
            values = await asyncio.gather(*(judge(state=state) for state in found))
            order = sorted(range(len(found)), key=lambda place: -values[place])
            level = [found[place] for place in order[:width]]
        return level

    searched, plain, calls = [], [], 1
    for _ in range(laps):
        begun = time.process_time()
        found = run(search(state="", propose=propose, evaluate=judge, planner=beam(width=10, depth=12)))
        searched.append(time.process_time() - begun)
        calls = sum(found.works.values())
        begun = time.process_time()
        run(bare, width=10, depth=12)
        plain.append(time.process_time() - begun)
    per_call = [1e6 * min(times) / calls for times in (searched, plain)]
    return {"calls": calls, "search_us": per_call[0], "bare_us": per_call[1], "more_us": per_call[0] - per_call[1]}


# ------------------------------------------------------------------ figure 6: calls in flight


def slow_parts(latency_s: float) -> dict[str, Any]:
    """Tools that take their time; what they give hangs on what they are given alone."""

    @tool
    async def next_states(state: str) -> list[str]:
        await asyncio.sleep(latency_s)
        return [f"{state}{letter}" for letter in "abcd"]

    @tool
    async def worth(state: str) -> float:
        await asyncio.sleep(latency_s)
        return drawn(3, *state.encode())

    @tool
    async def answer(state: int, answer: float | None = None, plan: str = "", sample: int = 0) -> list[float]:
        await asyncio.sleep(latency_s)
        from_here = 0 if answer is None else int(answer * 1e6)
        return [round(min(1.0, (answer or 0.0) * 0.5 + 0.5 * drawn(5, sample, from_here, *plan.encode())), 6)]

    @tool
    async def observed(problem: Any, count: int = 6) -> list[str]:
        await asyncio.sleep(latency_s)
        return [f"fact {mixed(problem, place)} holds" for place in range(count)]

    @tool
    async def derived(problem: Any, observations: list[str], count: int = 6) -> list[str]:
        await asyncio.sleep(latency_s)
        return [f"consequence {mixed(problem, *' '.join(observations).encode(), place)}" for place in range(count)]

    @tool
    async def text(problem: Any, observations: list[str] | None = None, plan: str = "") -> str:
        await asyncio.sleep(latency_s)
        return f"{mixed(7, *plan.encode(), *''.join(observations or []).encode())} {plan[:20]}"

    return {"next": next_states, "worth": worth, "answer": answer, "observed": observed, "derived": derived, "text": text}


def searches(latency_s: float, *, quick: bool) -> dict[str, tuple[dict[str, Any], float | None]]:
    """What is searched, and by how much it should be faster."""
    parts = slow_parts(latency_s)
    stepwise = {"state": "", "propose": parts["next"], "evaluate": parts["worth"]}
    one_shot = {"state": 1, "propose": parts["answer"], "goal": lambda answer: Check(False, answer)}
    text = dict.fromkeys(("plan", "criticise", "replan", "sketch"), parts["text"])
    plans = {**one_shot, **text, "observe": parts["observed"], "derive": parts["derived"]}
    n, iterations = (3, 24) if quick else (6, 64)
    return {
        "best of 64": ({**one_shot, "planner": best_of_n(64)}, 6.5),
        f"PlanSearch, n={n}": ({**plans, "planner": plan_search(observations=n)}, 6.5 if n == 6 else None),
        "beam 16": ({**stepwise, "planner": beam(width=16, depth=4)}, 6.5),
        "MCTS": ({**stepwise, "planner": mcts(iterations=iterations)}, None),
        "AB-MCTS-A": ({**one_shot, "planner": ab_mcts(iterations=iterations)}, None),
    }


def in_flight(name: str, parts: dict[str, Any], bound: float | None) -> dict[str, Any]:
    """The same search with one work in flight and with eight, the latter twice."""
    seconds, found = [], []
    for concurrency in (1, 8, 8):
        begun = time.perf_counter()
        found.append(run(search(concurrency=concurrency, seed=1, **parts), limit=Limit(), max_in_flight=64))
        seconds.append(time.perf_counter() - begun)
    one, eight, again = found
    return {
        "search": name, "works": sum(one.works.values()), "one_s": seconds[0], "eight_s": min(seconds[1:]), "faster": seconds[0] / min(seconds[1:]),
        "same_as_one": one.tree == eight.tree, "same_again": eight.tree == again.tree, "bound": bound,
    }


def solved_hands(planner: Planner, *, hands: int, most: int, slots: int) -> float:
    """The share of solvable hands of the Game of 24, with GPT-4's error rates, that are solved within so many works."""
    chance, solved, tried = Random(24), 0, 0
    while tried < hands:
        oracle = GameOracle(seed=tried)
        root = oracle.root(*(chance.randint(1, 13) for _ in range(4)))
        if is_solvable(root.left):
            tried += 1
            tree = Tree(root, key=root.key(), steps=frozenset({"propose", "evaluate", "goal"}))
            play(planner, tree, oracle.carry, seed=tried, slots=slots, max_works=most)
            solved += tree.is_solved
    return solved / hands


def best_scores(planner: Planner, *, problems: int, slots: int) -> float:
    """The mean of the best scores of answers that can be bettered: each begins anywhere, and a bettered one is near the one before."""

    def carry(tree: Tree, work: Work) -> Result:
        before = tree.value[work.node]
        luck = drawn(mixed(int(tree.key[0]), *tree.key[work.node].encode(), work.sample), 1)
        score = luck**3 if before is None else min(1.0, max(0.0, before + 0.3 * (luck - 0.6)))
        return Result(children=[Child(None, key=f"{work.node}.{work.sample}", check=Check(False, score), final=True)])

    total = 0.0
    for seed in range(problems):
        tree = Tree("", key=str(seed), steps=frozenset({"propose", "goal"}))
        play(planner, tree, carry, seed=seed, slots=slots)
        total += max(value or 0.0 for value in tree.value)
    return total / problems


def quality(*, quick: bool) -> list[dict[str, Any]]:
    """What is lost by asking before all is told."""
    rows = []
    hands, problems = (60, 30) if quick else (400, 400)
    for most in (40, 100, 200):
        planner = mcts(iterations=FOREVER, depth=3)
        one, eight = (solved_hands(planner, hands=hands, most=most, slots=slots) for slots in (1, SLOTS))
        rows.append({"what": f"MCTS: hands solved in {most} works", "problems": hands, "one": one, "eight": eight})
    for iterations in (16, 64):
        one, eight = (best_scores(ab_mcts(iterations=iterations), problems=problems, slots=slots) for slots in (1, SLOTS))
        rows.append({"what": f"AB-MCTS-A: best score of {iterations} answers", "problems": problems, "one": one, "eight": eight})
    return rows


# ------------------------------------------------------------------ the whole


def measure(*, quick: bool) -> dict[str, Any]:
    largest = MIDDLE if quick else LARGE
    figures: dict[str, Any] = {"overhead": []}
    for name in PLANNERS:
        say(f"overhead: {name} …")
        figures["overhead"].append(overhead(name, laps=3 if quick else 9, largest=largest))
    figures["bare"] = {"beam": bare_beam(SMALL * 10), "best-first": bare_best_first(SMALL * 10)}
    figures["treequest"] = {name: of_treequest(name, SMALL) for name in ("MCTS", "AB-MCTS-A")}
    say("through the engine …")
    figures["engine"] = engine_figures(laps=3 if quick else 9)
    latency_s = LATENCY_S / 5 if quick else LATENCY_S
    figures["in_flight"] = []
    for name, (parts, bound) in searches(latency_s, quick=quick).items():
        say(f"in flight: {name} …")
        figures["in_flight"].append(in_flight(name, parts, bound))
    say("quality …")
    figures["quality"] = quality(quick=quick)
    figures["latency_s"] = latency_s
    return figures


def targets(figures: dict[str, Any]) -> list[Target]:
    found = []
    for row in figures["overhead"]:
        if row["bound_us"] is not None:
            found.append(Target(f"{row['planner']}: ask and tell a node", max(row["small_us"], row["large_us"]), row["bound_us"], " µs"))
            found.append(Target(f"{row['planner']}: {row['nodes']:,} nodes against {SMALL:,}", row["growth"], 1.5, " ×"))
    found.append(Target("through the engine: a call of a search above a bare one", figures["engine"]["more_us"], 20, " µs"))
    for row in figures["in_flight"]:
        if row["bound"] is not None:
            found.append(Target(f"{row['search']}: eight in flight against one", row["faster"], row["bound"], " ×", at_least=True))
            found.append(Target(f"{row['search']}: trees that differ", int(not row["same_as_one"]) + int(not row["same_again"]), 0))
        else:
            found.append(Target(f"{row['search']}: trees that differ for the same seed and concurrency", int(not row["same_again"]), 0))
    return found


def lines(figures: dict[str, Any]) -> list[str]:
    columns = ("small_us", "middle_us", "large_us", "growth", "proposal_us")
    flights = ("works", "one_s", "eight_s", "faster", "same_as_one", "same_again")
    engine = figures["engine"]
    return [
        *table(("µs of CPU a node", f"to {SMALL:,}", f"to {MIDDLE:,}", "to the last", "growth", "a proposal and its children"),
               ([row["planner"], *(row[column] for column in columns)] for row in figures["overhead"])),
        *table(("beside", "µs a node"), [*((f"a bare loop: {name}", us) for name, us in figures["bare"].items()),
                                         *((f"treequest: {name}, {SMALL:,} nodes", us) for name, us in figures["treequest"].items())]),
        f"through the engine, {engine['calls']} calls: {engine['search_us']:.1f} µs a call of a search, {engine['bare_us']:.1f} of a bare program",
        *table((f"calls of {1000 * figures['latency_s']:g} ms", *flights), ([row["search"], *(row[name] for name in flights)]
                                                                           for row in figures["in_flight"])),
        *table(("quality", "problems", "one in flight", "eight"),
               ([row["what"], row["problems"], row["one"], row["eight"]] for row in figures["quality"])),
    ]  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    chosen = options(__doc__, argv)
    figures = measure(quick=chosen.quick)
    return finish("planners_speed", figures, targets(figures), lines(figures), chosen)


if __name__ == "__main__":
    sys.exit(main())
