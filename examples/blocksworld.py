"""Blocksworld: problems made by a seed, moves by rule or by a model, and any planner; plans are checked exactly.

python examples/blocksworld.py                                        (moves and judge by rule, no model)
python examples/blocksworld.py --blocks 6 --planner mcts --draw
python examples/blocksworld.py --model openai:gpt-5-mini --planner beam
python examples/blocksworld.py --compare                              (all planners, the same limit, one table)

One block is moved at a time, from the top of a tower onto the table or onto the top of another tower. With a model the rules only keep
illegal moves out; they neither search nor judge.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from rookery import Limit, RookeryError, graph, prompt, run, tool
from rookery.planners import Planner, SearchResult, beam, best_first, best_of_n, compare, dfs, draw, exact, mcts, search, value

Towers = tuple[tuple[str, ...], ...]
"""From the table up; the towers in the order of their lowest blocks, as their places do not matter."""
NAMES = "abcdefghijklmnop"
DEPTH = 24
"""Moves at most. A problem of n blocks needs fewer than 2n."""
SCALE = {"sure": 20.0, "likely": 1.0, "impossible": 0.001}
PLANNERS: dict[str, Callable[[], Planner]] = {
    "best_first": lambda: best_first(depth=DEPTH), "beam": lambda: beam(width=5, depth=DEPTH), "dfs": lambda: dfs(depth=DEPTH, visits=400),
    "mcts": lambda: mcts(depth=DEPTH, iterations=400), "best_of_n": lambda: best_of_n(200, depth=DEPTH),
}

# ------------------------------------------------------------------ the world


@dataclass(frozen=True)
class World:
    """Where the blocks are, where they shall be, and how they came there."""

    towers: Towers
    goal: Towers
    moves: tuple[str, ...] = ()

    def key(self) -> str:
        """Equal for equal places, however the blocks came there."""
        return f"{said(self.towers)} > {said(self.goal)}"

    def __str__(self) -> str:
        return f"{self.moves[-1]}: {said(self.towers)}" if self.moves else said(self.towers)


def said(towers: Towers) -> str:
    """``ab c``: b stands on a, and c on the table."""
    return " ".join("".join(tower) for tower in towers)


def moved(world: World, block: str, onto: str) -> World | None:
    """The world after a move onto a block or the ``table``; None when the move is not allowed or changes nothing."""
    source = next((tower for tower in world.towers if tower[-1] == block), None)
    target = next((tower for tower in world.towers if tower[-1] == onto), None)
    if source is None or source is target or (target is None and onto != "table") or (onto == "table" and len(source) == 1):
        return None
    towers = [tower for tower in world.towers if tower not in (source, target)]
    towers += [source[:-1]] if len(source) > 1 else []
    towers.append((*target, block) if target is not None else (block,))
    return World(tuple(sorted(towers)), world.goal, (*world.moves, f"{block} onto {'the table' if onto == 'table' else onto}"))


def next_worlds(world: World) -> Iterator[World]:
    """What each allowed move leads to, in a fixed order."""
    tops = [tower[-1] for tower in world.towers]
    for block in tops:
        for onto in (*tops, "table"):
            after = moved(world, block, onto)
            if after is not None:
                yield after


def in_place(world: World) -> int:
    """Blocks that need not be moved any more: they and all below them are as in the goal."""
    count = 0
    for tower in world.towers:
        wanted = next((other for other in world.goal if other[0] == tower[0]), ())
        same = [a == b for a, b in zip(tower, wanted, strict=False)]
        count += same.index(False) if False in same else len(same)
    return count


def is_done(world: World) -> bool:
    """Whether all blocks are where they shall be."""
    return world.towers == world.goal


def holds(problem: World, plan: tuple[str, ...]) -> bool:
    """Whether a plan, move by move, leads from the problem to its goal: an exact check that trusts no state of the search."""
    world: World | None = problem
    for move in plan:
        block, _, onto = move.partition(" onto ")
        world = moved(world, block, onto.removeprefix("the ")) if world is not None else None
    return world is not None and is_done(world)


def shortest(problem: World) -> int:
    """Moves of a shortest plan, by trying everything; for up to 6 blocks or so."""
    seen, queue = {problem.key()}, deque([problem])
    while queue:
        world = queue.popleft()
        if is_done(world):
            return len(world.moves)
        for after in next_worlds(world):
            if after.key() not in seen:
                seen.add(after.key())
                queue.append(after)
    raise ValueError(f"{problem.key()} has no plan")


def problem_of(seed: int, blocks: int) -> World:
    """A problem: two arrangements drawn at random, that differ."""
    chance = random.Random(f"blocksworld {seed} {blocks}")

    def towers() -> Towers:
        names = list(NAMES[:blocks])
        chance.shuffle(names)
        found: list[list[str]] = []
        for name in names:
            place = chance.randrange(len(found) + 1)
            if place < len(found):
                found[place].append(name)
            else:
                found.append([name])
        return tuple(sorted(map(tuple, found)))

    start = towers()
    while (goal := towers()) == start:
        pass
    return World(start, goal)


# ------------------------------------------------------------------ what proposes and judges


@tool(inline=True)
def moves_by_rule(world: World) -> list[World]:
    return list(next_worlds(world))


@tool(inline=True)
def judged_by_rule(world: World) -> float:
    """The share of the blocks that are in place; a block that is freed by then counts nothing."""
    return in_place(world) / sum(map(len, world.towers))


@prompt(form="lines")
def next_moves(blocks: str, goal: str) -> list[str]:
    """Blocksworld: one block is moved at a time, from the top of a tower onto the table or onto the top of another tower. Towers are
    written from the table up: in "ab c" the block b stands on a, and c stands on the table.
    List good next moves, the best first, one a line, like: move b onto c / move b onto the table
    Goal: {goal}
    Now: {blocks}
    Moves:
    """


@prompt(form="text")
def judge(blocks: str, goal: str) -> Literal["sure", "likely", "impossible"]:
    """Blocksworld, towers written from the table up: how good is the way to the goal from here?
    Answer sure (few moves are left), likely, or impossible (far from it).
    Goal: {goal}
    Now: {blocks}
    Answer:
    """


@tool(inline=True)
def towers_of(world: World) -> str:
    return said(world.towers)


@tool(inline=True)
def goal_of(world: World) -> str:
    return said(world.goal)


_MOVE = re.compile(r"\b([a-p]) (?:on)?to (?:the )?(table|[a-p])\b", re.IGNORECASE)


@tool(inline=True)
def allowed(world: World, lines: list[str]) -> list[World]:
    """The lines that are moves which the rules allow."""
    found = (_MOVE.search(line) for line in lines)
    worlds = (moved(world, match[1].lower(), match[2].lower()) for match in found if match)
    return [after for after in worlds if after is not None]


@graph
def moves_by_model(world: World) -> list[World]:
    return allowed(world=world, lines=next_moves(blocks=towers_of(world=world), goal=goal_of(world=world)))


@graph
def judged_by_model(world: World) -> Literal["sure", "likely", "impossible"]:
    return judge(blocks=towers_of(world=world), goal=goal_of(world=world))


def parts(*, by_model: bool) -> dict[str, Any]:
    """The steps of a search."""
    if by_model:
        return {"propose": moves_by_model, "evaluate": value(judged_by_model, scale=SCALE), "goal": exact(is_done)}
    return {"propose": moves_by_rule, "evaluate": judged_by_rule, "goal": exact(is_done)}


# ------------------------------------------------------------------ the command


def solve(problem: World, planner: Planner, *, model: Any = None, limit: Limit | None = None) -> SearchResult[World]:
    """One search."""
    found: SearchResult[World] = run(search(state=problem, planner=planner, limit=limit, **parts(by_model=model is not None)), model=model)
    return found


def main() -> int:
    """Solve problems and print the plans; 0 when all are solved, 1 when not, 2 for wrong usage."""
    options = argparse.ArgumentParser(description="Blocksworld problems, solved by any planner.")
    options.add_argument("--blocks", type=int, default=5, help="2 to 16 (default: 5)")
    options.add_argument("--problems", type=int, default=5)
    options.add_argument("--seed", type=int, default=0, help="of the problems")
    options.add_argument("--planner", choices=sorted(PLANNERS), default="best_first")
    options.add_argument("--compare", action="store_true", help="all planners on the same problems")
    options.add_argument("--model", help="provider:NAME[@BASE_URL]; without it moves and judge are rules")
    options.add_argument("--max-calls", type=int, metavar="N", help="at most so many calls of the model for a problem")
    options.add_argument("--draw", action="store_true", help="draw the trees")
    chosen = options.parse_args()
    if not 2 <= chosen.blocks <= len(NAMES) or chosen.problems < 1:
        print(f"error: blocks are 2 to {len(NAMES)}, problems at least 1", file=sys.stderr)
        return 2
    problems = [problem_of(chosen.seed + number, chosen.blocks) for number in range(chosen.problems)]
    limit = Limit(calls=chosen.max_calls) if chosen.max_calls else None
    print(f"Blocksworld, {chosen.blocks} blocks; moves and judge: {chosen.model or 'rules, no model'}\n")
    try:
        if chosen.compare:
            whole = compare(
                [make() for make in PLANNERS.values()], problems, limit=limit, hidden=lambda problem, world: holds(problem, world.moves),
                **parts(by_model=chosen.model is not None),
            )  # fmt: skip
            print(run(whole, model=chosen.model))
            return 0
        solved = sum(_solved(problem, chosen, limit) for problem in problems)
    except RookeryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"\n{solved} of {len(problems)} solved; each plan was checked move by move")
    return 0 if solved == len(problems) else 1


def _solved(problem: World, chosen: argparse.Namespace, limit: Limit | None) -> bool:
    found = solve(problem, PLANNERS[chosen.planner](), model=chosen.model, limit=limit)
    world = found.answer
    good = world is not None and found.is_solved and holds(problem, world.moves)
    best = f" ({shortest(problem)} at least)" if chosen.blocks <= 6 else ""
    plan = f"{len(world.moves)} moves{best}: {', '.join(world.moves)}" if good and world is not None else f"not solved ({found.stop_reason})"
    print(f"{said(problem.towers)} → {said(problem.goal)}: {plan}; {sum(found.works.values())} steps")
    if chosen.draw:
        print(draw(found, max_nodes=25))
    return good


if __name__ == "__main__":
    sys.exit(main())
