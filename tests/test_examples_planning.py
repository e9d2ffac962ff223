"""The examples of planning: Blocksworld's rules and plans are exact, and a repository is mended with tests and not by reading alone."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rookery
from examples import blocksworld as blocks
from examples.repair import repair
from rookery.models.model import Request
from rookery.planners import Verdict
from rookery.testing import ScriptedModel
from tests.boxes import needs_bubblewrap

ROOT = Path(rookery.__file__).parents[1]


def example(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "examples" / words[0]), *words[1:]]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, env=env, stdin=subprocess.DEVNULL)


# ------------------------------------------------------------------ Blocksworld


def world(towers: str, goal: str) -> blocks.World:
    return blocks.World(*(tuple(sorted(tuple(tower) for tower in text.split())) for text in (towers, goal)))  # type: ignore[arg-type]


@given(st.integers(0, 10_000), st.integers(2, 7), st.data())
def test_moves_keep_all_blocks_and_lift_one_from_the_top(seed: int, n: int, data: st.DataObject) -> None:
    problem = blocks.problem_of(seed, n)
    assert sorted("".join(map("".join, problem.towers))) == sorted("".join(map("".join, problem.goal))) == list(blocks.NAMES[:n])
    assert problem == blocks.problem_of(seed, n) and not blocks.is_done(problem)
    after = data.draw(st.sampled_from(list(blocks.next_worlds(problem))))
    assert sorted("".join(map("".join, after.towers))) == list(blocks.NAMES[:n]) and after.key() != problem.key()
    block, _, onto = after.moves[-1].partition(" onto ")
    assert blocks.said(problem.towers).split()[[tower[-1] for tower in problem.towers].index(block)].endswith(block)
    back = blocks.moved(after, block, next((t[t.index(block) - 1] for t in problem.towers if block in t[1:]), "table"))
    assert back is not None and back.towers == problem.towers, f"a move onto {onto} can be taken back"


@pytest.mark.parametrize(("block", "onto", "towers"), [
    ("b", "table", "a b cd"), ("b", "d", "a cdb"), ("a", "table", None), ("c", "b", None), ("b", "b", None), ("b", "c", None), ("x", "b", None),
])  # fmt: skip
def test_illegal_moves_are_none(block: str, onto: str, towers: str | None) -> None:
    after = blocks.moved(world("ab cd", "abcd"), block, onto)
    assert (blocks.said(after.towers) if after is not None else None) == towers


def test_plans_are_checked_without_trust() -> None:
    problem = world("ab c", "cba")
    assert blocks.holds(problem, ("b onto c", "a onto b")) and blocks.shortest(problem) == 2
    assert not blocks.holds(problem, ("a onto b",)) and not blocks.holds(problem, ("b onto c",)) and not blocks.holds(problem, ("b onto nowhere",))
    assert blocks.in_place(problem) == 1 and blocks.in_place(world("cb a", "cba")) == 2


@pytest.mark.parametrize("name", sorted(blocks.PLANNERS))
def test_every_planner_solves_it(name: str) -> None:
    problem = blocks.problem_of(3, 4)
    found = blocks.solve(problem, blocks.PLANNERS[name]())
    assert found.verdict is Verdict.EXACT and found.answer is not None and blocks.holds(problem, found.answer.moves)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1_000), st.integers(2, 5))
def test_best_first_finds_a_plan_for_every_problem(seed: int, n: int) -> None:
    problem = blocks.problem_of(seed, n)
    found = blocks.solve(problem, blocks.PLANNERS["best_first"]())
    assert found.answer is not None and blocks.holds(problem, found.answer.moves) and len(found.answer.moves) >= blocks.shortest(problem)


def test_a_model_proposes_and_the_rules_keep_illegal_moves_out() -> None:
    def answer(request: Request) -> str:
        text = request.messages[-1].text
        return "likely" if "Answer sure" in text else "move c onto a\n1. Move b onto the table.\nput everything right\nb onto c"

    found = blocks.solve(world("ab c", "a b c"), blocks.PLANNERS["beam"](), model=ScriptedModel(answer))
    assert found.is_solved and found.answer is not None and found.answer.moves == ("b onto the table",) and found.spent.calls > 0
    assert [node.label for node in found.tree.nodes] == ["ab c", "b onto the table: a b c", "b onto c: a cb"], "c onto a was kept out"


def test_blocksworld_from_the_command_line() -> None:
    done = example("blocksworld.py", "--problems", "2", "--blocks", "4", "--draw")
    assert done.returncode == 0, done.stderr
    assert "rules, no model" in done.stdout and "2 of 2 solved; each plan was checked move by move" in done.stdout and "★" in done.stdout
    assert "best_of_n" in example("blocksworld.py", "--problems", "2", "--blocks", "3", "--compare").stdout
    assert example("blocksworld.py", "--blocks", "99").returncode == 2


def test_crosswords_say_where_the_traces_are_missing(tmp_path: Path) -> None:
    done = example("crosswords.py", "--data", str(tmp_path))
    assert done.returncode == 2 and "there are no traces" in done.stderr


# ------------------------------------------------------------------ the repair


def test_mutations_change_one_token_of_code() -> None:
    files = {"a.py": '"""1 < 2"""\n\n\ndef f(x):\n    """x - 1"""\n    return max(x - 1, 10) if x <= -1 else x\n'}
    found = [patch.edits[-1].text.strip() for patch in repair.mutations(files, repair.Patch())]
    assert found == [
        "return min(x - 1, 10) if x <= -1 else x", "return max(x + 1, 10) if x <= -1 else x", "return max(x - 0, 10) if x <= -1 else x",
        "return max(x - 1, 10) if x < -1 else x",
    ]  # fmt: skip
    one = repair.Patch((repair.Edit("a.py", 6, "    return x"),))
    assert repair.mutations(files, one) == [] and repair.patched(files, one)["a.py"].endswith("return x\n")
    assert "-    return max" in repair.diff(files, one) and "+    return x" in repair.diff(files, one)


@needs_bubblewrap
def test_with_tests_it_is_mended_and_by_reading_it_is_not() -> None:
    first, second = asyncio.run(repair.attempts())
    assert first.is_mended and first.found.verdict is Verdict.PUBLIC_TESTS and len(first.found.answers[0].state.edits) == 2
    assert not second.is_mended and second.found.verdict is Verdict.UNVERIFIED
    assert first.found.planner == second.found.planner and second.found.works["evaluate"] >= first.found.works["evaluate"]
    assert "mended: 6 of 6 visible and 5 of 5 hidden tests pass" in str(first) and "NOT mended" in str(second)


@needs_bubblewrap
def test_a_model_may_propose_and_what_it_claims_is_only_a_claim() -> None:
    good = [
        ("meetings/interval.py", 6, "    return a[0] < b[1] and b[0] < a[1]"),
        ("meetings/interval.py", 13, "        if found and start <= found[-1][1]:"), ("meetings/none.py", 1, "x"), ("meetings/day.py", 999, "x"),
    ]  # fmt: skip
    seen: list[str] = []

    def answer(request: Request) -> str:
        text = request.messages[-1].text
        if "Propose up to five" in text:
            seen.append(text)
            return json.dumps([{"file": file, "line": line, "text": code} for file, line, code in good])
        return "yes" if "wholly" in text else "likely"

    async def main() -> Any:
        return await repair.attempts(model=ScriptedModel(answer))

    first, second = asyncio.run(main())
    assert first.is_mended and any("AssertionError" in text for text in seen), "the proposer reads what the tests said"
    assert not second.is_mended and second.found.verdict is Verdict.CLAIMED and not second.found.is_solved


@needs_bubblewrap
def test_repair_from_the_command_line() -> None:
    done = example("repair/repair.py", "--draw")
    assert done.returncode == 0, done.stderr
    assert "no model" in done.stdout and "NOT mended" in done.stdout and "← the answer" in done.stdout
