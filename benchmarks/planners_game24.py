"""The Game of 24 on the embedded model (trained): one chain, best-of-20, beam, best-first and MCTS at equal tokens.

The parts are those of ``examples/game24.py``; only the planner differs, and the lines of chains take one step from each proposal. Each
method has its best temperature of a grid, chosen on rows 800-899 (``--choose`` plays the grid again); rows 900-999 are the test.
"""

from __future__ import annotations

import asyncio
import csv
import importlib.util
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.report import ROOT, Target, finish, options, say, table
from rookery import Limit, ResultCache, graph, start
from rookery.models.provider import model
from rookery.planners import Planner, beam, best_first, best_of_n, mcts, search, value
from rookery.planners.interval import wilson

MODEL = "embedded:game24"
TOKENS = 2_000
"""The limit of one hand, for every method."""
BUDGETS = (200, 400, 600, 800, 1_200, 2_000)
GRID = (None, 0.3, 0.6, 1.0)
"""Temperatures of proposals; None is the model's likeliest text."""
CHAIN, BEST_OF = "one chain", "best-of-20"


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("rookery_program_benchmark_game24", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


game = loaded(ROOT / "examples" / "game24.py")


@dataclass(frozen=True)
class Method:
    """One contestant: its planner, and the temperature of proposals that was chosen on the development rows."""

    name: str
    planner: Planner
    temperature: float | None
    one_step: bool = False
    """It takes one step from each proposal; then the model is asked for no more than one."""
    concurrency: int = 2


METHODS = (
    Method(CHAIN, best_of_n(1, depth=4), 0.3, one_step=True, concurrency=1),
    Method(BEST_OF, best_of_n(20, depth=4, abreast=1), 0.6, one_step=True, concurrency=1),
    Method("beam of 5", beam(width=5, depth=4), None),
    Method("best-first", best_first(depth=4, enough=0.95, reopen=0.1, temperature=1.0), None, concurrency=1),
    Method("MCTS", mcts(iterations=200, depth=4), 0.3, concurrency=1),
)


def parts(temperature: float | None, *, one_step: bool) -> dict[str, Any]:
    """Propose, evaluate and goal of the example, its proposals at a temperature."""
    ask = game.next_steps.using(temperature=temperature) if temperature is not None else game.next_steps
    if one_step:
        ask = ask.using(stop="\n")

    @graph
    async def propose(state: game.State) -> list[game.State]:
        if state.left == "24":
            return await game.propose(state=state)
        steps = await game.legal(hand=state.left, lines=await ask(hand=state.left))
        return [replace(state, left=step.left, way=(*state.way, step.text)) for step in steps if " " in step.left or step.left == "24"]

    return {"propose": propose, "evaluate": value(game.promise, scale=game.WORTH, weigh=True), "goal": game.solves}


async def play(method: Method, hand: str, temperature: float | None, asked: Any, cache: ResultCache) -> dict[str, Any]:
    """One hand by one method."""
    made = search(
        state=game.State(hand, hand), planner=method.planner, limit=Limit(tokens=TOKENS), concurrency=method.concurrency, seed=1,
        **parts(temperature, one_step=method.one_step),
    )
    async with start(made, model=asked, cache=cache) as run:
        found = await run
    return {"hand": hand, "solved": found.is_solved, "tokens": found.spent.tokens, "calls": found.spent.calls, "stop": found.stop_reason,
            "way": list(found.answer.way) if found.is_solved else []}


async def round_of(method: Method, hands: Sequence[str], temperature: float | None) -> list[dict[str, Any]]:
    asked = model(MODEL)
    try:
        return [await play(method, hand, temperature, asked, ResultCache()) for hand in hands]
    finally:
        await asked.aclose()


def row(name: str, played: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What came of all hands; ``within`` is the share solved by then, as the search stops when it has solved a hand."""
    n, solved = len(played), [one for one in played if one["solved"]]
    low, high = wilson(len(solved), n)
    return {
        "method": name, "hands": n, "solved": len(solved) / n, "low": low, "high": high, "tokens": sum(one["tokens"] for one in played) / n,
        "calls": sum(one["calls"] for one in played) / n,
        "within": {budget: sum(one["tokens"] <= budget for one in solved) / n for budget in BUDGETS},
    }


def hands_of(name: str) -> list[str]:
    with (ROOT / "training" / "game24" / name).open(newline="", encoding="utf-8") as file:
        return [game.in_order(line["hand"].split()) for line in csv.DictReader(file)]


# ------------------------------------------------------------------ what training had seen


def seen_and_unseen(played: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of the states on solutions that were found, the share that training drew from; and how good the model is on states that it did not.

    Training may draw every state of three numbers or fewer that one step makes of a hand from 1 to 13, and every hand that is not held out.
    """
    from training.game24.data import Generator, read_hands, show_state, solvable

    held_out = read_hands(ROOT / "training" / "game24" / "held_out.csv") | read_hands(ROOT / "training" / "game24" / "dev.csv")
    pool = Generator(held_out)
    known = {show_state(state) for state in pool._different} | {show_state(state) for kind in pool.hands.values() for state in kind}
    known |= {show_state(move.left) for state in pool._different for move in _moves(state)}
    on_ways = [one["hand"] for one in played if one["solved"]]
    on_ways += [step.partition("left: ")[2].rstrip(")") for one in played if one["solved"] for step in one["way"][:2]]
    share = sum(state in known for state in on_ways) / max(1, len(on_ways))
    return {"on_solutions": len(on_ways), "seen_share": share, **asyncio.run(_unseen(known, solvable, show_state))}


def _moves(state: Any) -> Any:
    from training.game24.data import moves

    return moves(state)


async def _unseen(known: set[str], solvable: Callable[[Any], bool], show: Callable[[Any], str]) -> dict[str, Any]:
    """The judge's accuracy, and how often the first step proposed is legal and keeps 24, on states that training never drew from."""
    draw = random.Random(11)
    wide = [hand for hand in combinations_with_replacement(range(1, 21), 4) if hand[-1] > 13]
    threes: list[Any] = []
    while len(threes) < 200:
        state = draw.choice(_moves(tuple((number, 1) for number in draw.choice(wide)))).left
        if show(state) not in known and (solvable(state) == (len(threes) % 2 == 0)):
            threes.append(state)

    @graph
    async def judged(hand: str) -> str:
        return await game.judge(hand=hand)

    @graph
    async def stepped(hand: str) -> list[str]:
        return [step.left for step in await game.legal(hand=hand, lines=await game.next_steps.using(stop="\n")(hand=hand))]

    asked = model(MODEL)
    right = keeps = 0
    try:
        for state in threes:
            async with start(judged, hand=show(state), model=asked) as run:
                right += (await run == "sure") == solvable(state)
            if solvable(state):
                async with start(stepped, hand=show(state), model=asked) as run:
                    left = await run
                keeps += bool(left) and solvable(tuple(_number(word) for word in left[0].split()))
    finally:
        await asked.aclose()
    return {"unseen": len(threes), "judge_right": right / len(threes), "first_step_keeps_24": keeps / (len(threes) // 2)}


def _number(word: str) -> tuple[int, int]:
    top, _, bottom = word.partition("/")
    return int(top), int(bottom or 1)


# ------------------------------------------------------------------ the command


def choose(hands: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The grid of temperatures on the development rows."""
    rows = []
    for method in METHODS:
        for temperature in GRID:
            found = row(f"{method.name} at {temperature}", asyncio.run(round_of(method, hands, temperature)))
            rows.append(found)
            say(f"{found['method']}: {found['solved']:.2f} of {len(hands)}, {found['tokens']:.0f} tokens")
    return {"grid": rows}, _table(rows)


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    head = ("method", "solved", "95 % interval", "tokens a hand", "calls", *(f"≤ {budget:,}" for budget in BUDGETS))
    return table(head, [(r["method"], r["solved"], f"{r['low']:.2f}–{r['high']:.2f}", r["tokens"], r["calls"], *r["within"].values()) for r in rows])


def measure(hands: Sequence[str]) -> tuple[dict[str, Any], list[Target], list[str]]:
    """The figures, the targets and a table."""
    rows, all_played = {}, {}
    for method in METHODS:
        played = all_played[method.name] = asyncio.run(round_of(method, hands, method.temperature))
        rows[method.name] = row(method.name, played)
        say(f"{method.name}: {rows[method.name]['solved']:.2f} of {len(hands)}, {rows[method.name]['tokens']:.0f} tokens")
    best, plain = rows["best-first"], rows[BEST_OF]
    states = seen_and_unseen(all_played["best-first"])
    targets = [
        Target("Game of 24, best-first: share solved", best["solved"], 0.9, at_least=True),
        Target("Game of 24, best-first: tokens a hand over those of best-of-20", best["tokens"] / plain["tokens"], 1.0),
    ]
    temperatures = {method.name: method.temperature for method in METHODS}
    lines = [
        f"Game of 24 on {MODEL} (trained), {len(hands)} hands, at most {TOKENS:,} tokens each; temperatures {temperatures}, chosen on rows 800–899",
        *_table(list(rows.values())),
        f"states on the solutions of best-first: {states['on_solutions']}, {states['seen_share']:.0%} of them in what training drew from",
        f"on {states['unseen']} states of three numbers that training never drew from: judge right {states['judge_right']:.0%}",
        f"of those of them that can make 24 the first step keeps it in {states['first_step_keeps_24']:.0%}",
    ]
    return {"rows": list(rows.values()), "states": states, "temperatures": temperatures}, targets, lines


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    chosen = options(__doc__, argv, choose={"action": "store_true", "help": "play the grid of temperatures on rows 800-899"},
                     hands={"type": int, "default": None, "help": "so many hands of the rows (default: all; quick: 25)"})
    most = chosen.hands or (25 if chosen.quick else 100)
    if chosen.choose:
        figures, lines = choose(hands_of("dev.csv")[:most])
        return finish("planners_game24", figures, [], lines, chosen)
    figures, targets, lines = measure(hands_of("held_out.csv")[:most])
    return finish("planners_game24", figures, targets, lines, chosen)


if __name__ == "__main__":
    sys.exit(main())
