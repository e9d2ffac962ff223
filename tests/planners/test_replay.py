"""Replays give what was published, ask for nothing that a trace lacks, and say so where they would have to."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks import planners_replay as bench
from benchmarks.planners_replay import DATA, Draft, Judge, Published, can_make_24, is_right, numbers_of, searches, step_state, true_state
from examples import crosswords
from rookery.planners import beam, best_first, exact, ledger

HAND = "4 5 6 10"
GOOD = ["10 - 4 = 6 (left: 5 6 6)", "5 * 6 = 30 (left: 6 30)", "30 - 6 = 24 (left: 24)", "Answer: 5 * 6 - (10 - 4) = 24"]


def text(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def trace(folder: Path) -> Published:
    """A published search of one hand, kept three wide, with a duplicate that was kept and lines that are no steps."""
    bad = "4 + 5 = 10 (left: 6 10 10)"
    worse, end = (bad, "10 + 10 = 20 (left: 6 20)"), "6 + 20 = 26 (left: 26)"
    other, low = "5 + 6 = 11 (left: 6 11)", "6 + 30 = 36 (left: 36)"
    levels: list[tuple[list[str], list[tuple[str, float]]]] = [
        ([""], [(text(GOOD[0]), 60.0), (text(bad), 3.0), (text(GOOD[0]), 0)]),
        ([text(GOOD[0]), text(bad), text(GOOD[0])],
         [(text(*GOOD[:2]), 60.0), (text(GOOD[0], other), 0.003), (text(*worse), 3.0)]),
        ([text(*GOOD[:2]), text(*worse), text(GOOD[0], other)],
         [(text(*GOOD[:3]), 60.0), (text(*GOOD[:2], low), 0.003), (text(*worse, end), 0.003),
          (text(GOOD[0], other, "6 + 11 = 17 (left: 17)"), 0.003)]),
        ([text(*GOOD[:3]), text(*GOOD[:2], low), text(*worse, end)],
         [(text(*GOOD), 60.0), (text(*GOOD[:3], "Answer: 5 * 6 - 10 - 4 = 24"), 60.0), (text(*GOOD[:2], low, "Answer: 36"), 0.003),
          (text(*worse, end, "none"), 0)]),
    ]  # fmt: skip
    steps = [{"x": HAND, "ys": ys, "new_ys": [new for new, _ in found], "values": [value for _, value in found]} for ys, found in levels]
    path = folder / "trace.json"
    path.write_text(json.dumps([{"steps": steps, "infos": [{"r": 1}, {"r": 0}, {"r": 0}]}]))
    return Published(path)


def test_a_beam_keeps_what_the_published_search_kept(tmp_path: Path) -> None:
    published = trace(tmp_path)
    (found,) = asyncio.run(searches(published, [HAND], Judge(published), beam(width=3, depth=4)))
    assert found.failed == 0 and found.works == {"propose": 1 + 3 + 3 + 3, "evaluate": 3 + 3 + 4 + 4}
    assert [is_right(answer.state) for answer in found.answers] == published.graded[0] == [True, False, False]
    whole = ledger([found], solvable=bench.solvable, right=is_right, depth=3)
    assert whole.losses == [] and len(whole.stages) == 9


def test_what_a_trace_lacks_is_an_error_or_counted_and_never_made_up(tmp_path: Path) -> None:
    published = trace(tmp_path)
    (found,) = asyncio.run(searches(published, [HAND], Judge(published), beam(width=9, depth=4)))
    assert found.failed and found.faults[0].kind == "LookupError" and "nothing was proposed from" in found.faults[0].message
    lacking: Counter[str] = Counter()
    asyncio.run(searches(published, [HAND], Judge(published), beam(width=9, depth=4), lacking=lacking))
    assert lacking[HAND] == found.failed


def test_best_first_stops_at_the_first_derivation(tmp_path: Path) -> None:
    published = trace(tmp_path)
    more: dict[str, Any] = {"goal": exact(lambda draft: true_state(draft) == (24,)), "key": lambda draft: draft.text, "concurrency": 1}
    (found,) = asyncio.run(searches(published, [HAND], Judge(published), best_first(depth=3, again=0), **more))
    assert found.is_solved and found.works["propose"] == 3 and found.answers[0].state.text == text(*GOOD[:3])


@pytest.mark.parametrize(("lines", "claimed", "true"), [
    (GOOD[:3], "24", "24"), (["4 + 5 = 10 (left: 6 10 10)"], None, None), (["10 - 4 = 6 (left: 5 6)"], None, None),
    (["10 - 4 = 6 (left: 5 6)", "5 + 6 = 11 (left: 11)"], "11", None), (["10 / 4 = 2.5 (left: 2.5 5 6) (a half)"], "2.5 5 6", "2.5 5 6"),
    (["10 / 0 = 0 (left: 0 4 5)"], None, None), (["so what"], None, None),
])  # fmt: skip
def test_lines_are_checked_against_what_is_left(lines: list[str], claimed: str | None, true: str | None) -> None:
    draft = Draft(HAND, text(*lines))
    assert step_state(draft) == (numbers_of(claimed) if claimed else None)
    assert true_state(draft) == (numbers_of(true) if true else None)


@pytest.mark.parametrize(("answer", "right"), [
    ("Answer: 5 * 6 - (10 - 4) = 24", True), ("Answer: 5 * 6 - 10 + 4 = 24", True), ("Answer: 5 * (10 - 6) + 4 = 24", True),
    ("Answer: 4 * 6 = 24", False),
    ("Answer: 24", False), ("Answer: 4 * 5 * 6 / 10 = 24", False), ("Answer: (4 * 5 6 10", False), ("Answer: 4 / (5 - 5) * 6 + 10", False),
    ("Answer: __import__('os') 4 5 6 10", False), ("Answer: 4 + 5 + 6 + 10 = 24", False), ("Answer: 10 * 4 ** 5 ** 6", False),
])  # fmt: skip
def test_only_right_expressions_pass(answer: str, right: bool) -> None:
    assert is_right(Draft(HAND, text(*GOOD[:3], answer))) is right


def test_the_solver_is_exact() -> None:
    assert can_make_24(numbers_of("3 3 8 8")) and can_make_24(numbers_of("24")) and not can_make_24(numbers_of("1 1 1 1")) and not can_make_24(None)


def test_crosswords_come_to_the_published_boards_in_their_order(tmp_path: Path) -> None:
    def entry(words: str, impossible: int, letters: float, right: float) -> dict[str, Any]:
        score = {"r_letter": letters, "r_word": right}
        return {"actions": [f"h{word}. {word}" for word in words], "count": {"impossible": impossible}, "info": score}

    path = tmp_path / "boards.json"
    pruned = [entry("1", 0, 0.2, 0.1), entry("12", 1, 0.4, 0.2), entry("13", 0, 0.3, 0.2), entry("134", 2, 0.5, 0.3), entry("2", 0, 1.0, 1.0)]
    path.write_text(json.dumps([pruned]))
    (board,) = crosswords.read(path)
    one = crosswords.replay(board, prune=True)
    assert one.is_same and one.found.failed == 0 and [len(words) for words in one.visited] == [1, 2, 2, 3, 1]
    assert crosswords.scores([one], crosswords.deepest) == (50.0, 30.0, 0.0) and crosswords.scores([one], crosswords.best) == (100.0, 100.0, 100.0)
    path.write_text(json.dumps([[pruned[0], pruned[1], entry("125", 0, 0.4, 0.2), *pruned[2:]]]))
    (board,) = crosswords.read(path)
    assert crosswords.replay(board, prune=False).is_same and not crosswords.replay(board, prune=True).is_same


def test_without_data_every_figure_is_absent(tmp_path: Path) -> None:
    data = bench.measure(tmp_path, quick=False)
    assert data == {} and {target.state for target in bench.targets(data)} == {"absent"} and list(bench.lines(data)) == []


@pytest.mark.skipif(not (DATA / "game24" / "gpt4_tot_bfs_b5_trace.json").exists(), reason="the traces are not here")
def test_a_part_of_the_published_traces() -> None:
    published = Published(DATA / "game24" / "gpt4_tot_bfs_b5_trace.json")
    hands = published.hands[:6]
    results = asyncio.run(searches(published, hands, Judge(published), beam(width=5, depth=4)))
    assert [[is_right(answer.state) for answer in found.answers] for found in results] == published.graded[:6]
    assert not any(found.failed for found in results)
