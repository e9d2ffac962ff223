"""Crosswords of 5 × 5 by depth-first search: GPT-4's published searches, replayed through the planner, with and without pruning.

python examples/crosswords.py                      (the traces in $ROOKERY_DATA/crosswords_traces; no model is asked)
python examples/crosswords.py --draw 3             (the tree of the third board as well)

The traces are those of "Tree of Thoughts" (arXiv 2305.10601, section 4.3; princeton-nlp/tree-of-thought-llm, MIT). They hold the boards
that GPT-4's search came to, in their order, how many clues it then called impossible, and how much of each board was right. They hold
neither clues nor the proposals that were never tried. So the search replays every decision (where to go next, what to prune, when to go
back, what to hand in), and a board that the trace does not know is an error, never a call of a model.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rookery import run, tool
from rookery.planners import SearchResult, dfs, draw, search

DATA = Path(os.environ.get("ROOKERY_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "crosswords_traces"
VISITS = 100
DEPTH = 10
CHILDREN = 3


@dataclass(frozen=True)
class Board:
    """A crossword as far as it is filled in: the words in the order in which they were written, such as ``h2. motor``."""

    number: int
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.words[-1] if self.words else f"crossword {self.number}"


@dataclass(frozen=True)
class Visit:
    """What the trace says of a board that the search came to."""

    impossible: int
    """Clues that the model called impossible to fill now."""
    letters: float
    words: float
    """Shares of the letters and of the words that are right; the search never sees these."""

    @property
    def score(self) -> tuple[float, float, float]:
        """Letters, words and whole game."""
        return self.letters, self.words, float(self.words == 1)


@dataclass(frozen=True)
class Trace:
    """One board's search as it was published."""

    number: int
    visits: Mapping[tuple[str, ...], Visit]
    """By the words on the board, in the order in which the search came to it."""
    children: Mapping[tuple[str, ...], list[tuple[str, ...]]]


def read(path: Path) -> list[Trace]:
    """The traces of a file, a board each."""
    traces = []
    for number, entries in enumerate(json.loads(path.read_text(encoding="utf-8")), 1):
        visits: dict[tuple[str, ...], Visit] = {}
        children: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        for entry in entries:
            words = tuple(entry["actions"])
            visits[words] = Visit(entry["count"]["impossible"], entry["info"]["r_letter"], entry["info"]["r_word"])
            children.setdefault(words[:-1], []).append(words)
        traces.append(Trace(number, visits, children))
    return traces


@dataclass(frozen=True)
class Replay:
    """A search that was carried out anew on what a trace knows."""

    trace: Trace
    found: SearchResult[Board]
    visited: list[tuple[str, ...]]
    """The boards that the planner came to, in its order."""

    @property
    def is_same(self) -> bool:
        """Whether it came to the published boards, to all of them, and in their order."""
        return self.visited == list(self.trace.visits)


def replay(trace: Trace, *, prune: bool) -> Replay:
    """Search one board. Raises nothing for a board that the trace does not know: that is a fault in ``found``, and in the order."""
    came_to: dict[tuple[str, ...], None] = {}

    @tool(inline=True)
    def words_of(board: Board) -> list[Board]:
        """The boards that were tried next, the proposer's surest first. After the last of them the trace ends."""
        came_to.setdefault(board.words)
        if board.words and board.words not in trace.visits:
            raise LookupError(f"the trace never came to {board.words}")
        return [Board(board.number, words) for words in trace.children.get(board.words, [])]

    @tool(inline=True)
    def possible(board: Board) -> float:
        """0, and less by one for each clue that can no longer be filled in the model's opinion."""
        came_to.setdefault(board.words)
        return 0.0 - trace.visits[board.words].impossible

    planner = dfs(children=CHILDREN, depth=DEPTH, visits=VISITS, prune_below=0.0 if prune else None, order="proposed")
    found: SearchResult[Board] = run(search(state=Board(trace.number), propose=words_of, evaluate=possible, planner=planner))
    return Replay(trace, found, [board for board in came_to if board])


def deepest(replay: Replay) -> Visit:
    """What the paper hands in: of the deepest boards the one that was reached first, even if it was pruned."""
    return replay.trace.visits[max(replay.visited, key=len)]


def best(replay: Replay) -> Visit:
    """What one would hand in who knows the solution: most words right."""
    return max((replay.trace.visits[board] for board in replay.visited), key=lambda visit: visit.words)


def scores(replays: Sequence[Replay], pick: Callable[[Replay], Visit]) -> tuple[float, ...]:
    """Letters, words and games right, in percent of all boards."""
    picked = [pick(one).score for one in replays]
    return tuple(round(100 * sum(column) / len(picked), 1) for column in zip(*picked, strict=True))


def main() -> int:
    """Replay both files and print the table; 2 when the traces are not there."""
    options = argparse.ArgumentParser(description="Replay published crossword searches.")
    options.add_argument("--data", type=Path, default=DATA, help="the folder of the traces")
    options.add_argument("--draw", type=int, metavar="BOARD", help="draw the tree of this board, from 1 up")
    chosen = options.parse_args()
    if not (chosen.data / "dfs_prune.json").exists():
        print(f"error: there are no traces in {chosen.data}; set ROOKERY_DATA or pass --data", file=sys.stderr)
        return 2
    print(f"{'GPT-4, replayed; no model is asked':<48} letters  words  games   boards visited as published")
    for prune in (True, False):
        replays = [replay(trace, prune=prune) for trace in read(chosen.data / ("dfs_prune.json" if prune else "dfs_no_prune.json"))]
        for name, pick in (("the deepest board reached first", deepest), ("the best board, by one who knows it", best))[: 1 + prune]:
            letters, words, games = scores(replays, pick)
            what = f"{'pruning' if prune else 'no pruning'}: {name}"
            print(f"{what:<48} {letters:>7} {words:>6} {games:>6}   {sum(one.is_same for one in replays)} of {len(replays)}")
        if prune and chosen.draw:
            print(f"\n{draw(replays[chosen.draw - 1].found, max_nodes=30)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
