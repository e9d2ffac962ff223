"""The examples that find programs: their languages are exact, what is drawn can always be read, and programs run in the sandbox only."""

from __future__ import annotations

import ast
import asyncio
import json
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rookery
from rookery import graph, run
from rookery.planners import best_of_n, plan_search, refine
from rookery.testing import ScriptedModel
from rookery.tools.ladder import best_sandbox
from tests.boxes import needs_bubblewrap
from tests.examples import loaded

ROOT = Path(rookery.__file__).parents[1]


lists, p3, humaneval = loaded("list_functions"), loaded("p3"), loaded("humaneval")


def task_of(rule: str, *inputs: list[int]) -> Any:
    return lists.Task(tuple(lists.Pair(tuple(items), tuple(lists.applied(lists.Rule(rule), items))) for items in inputs))


# ------------------------------------------------------------------ list functions


@pytest.mark.parametrize(
    ("rule", "given_", "gives"),
    [
        ("xs", [1, 2], [1, 2]), ("(reverse (sort xs))", [1, 3, 2], [3, 2, 1]), ("(map (+ 7 (* 3 x)) xs)", [1, 2], [10, 13]),
        ("(filter (even x) xs)", [1, 2, 4], [2, 4]), ("(singleton (length xs))", [5, 5], [2]), ("(map (* x i) xs)", [5, 6], [5, 12]),
        ("(flatmap (repeat x x) xs)", [2, 1], [2, 2, 1]), ("(pairwise (- y x) xs)", [1, 4, 9], [3, 5]), ("(sums x xs)", [1, 2, 3], [1, 3, 6]),
        ("(map (count (== x y) xs) xs)", [4, 4, 1], [2, 2, 1]), ("(range 1 2 (max xs))", [3, 5], [1, 3, 5]),
        ("(if (== 1 (length xs)) (drop 1 xs) (take 1 xs))", [7, 8], [7]), ("(takelast 2 (droplast 1 xs))", [1, 2, 3, 4], [2, 3]),
        ("(cons (first xs) (append (unique xs) (% (last xs) 10)))", [3, 3, 27], [3, 3, 27, 7]),
    ],
)  # fmt: skip
def test_rules_are_applied_exactly(rule: str, given_: list[int], gives: list[int]) -> None:
    assert lists.applied(lists.Rule(rule), given_) == gives
    assert lists.written(lists.read(rule)) == rule


@pytest.mark.parametrize(
    "rule", ["", "(", ")", "xs xs", "(map x)", "(nothing xs)", "(first xs)", "(singleton xs)", "(cons xs xs)", "(/ 1 0)", "x", "(range 1 0 5)", "7",
             "(map (map (map x (singleton 1)) (singleton 1)) (singleton 1))", "(repeat 1 999999999)", "((reverse) xs)",
             "(product (repeat 999999999 99))"],
)  # fmt: skip
def test_what_is_no_rule_is_said(rule: str) -> None:
    with pytest.raises(lists.Wrong):
        lists.applied(lists.Rule(rule), [])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**9), st.lists(st.lists(st.integers(0, 99), max_size=8), min_size=2, max_size=4))
def test_what_is_drawn_can_be_read_and_has_a_list_or_a_reason(seed: int, inputs: list[list[int]]) -> None:
    pairs = [lists.Pair(tuple(items), tuple(items[::-1])) for items in inputs]
    drawing = lists.Drawing(pairs, Random(seed))
    expression = drawing.filled(lists.read(drawing.rng.choice(lists.FORMS)))
    for made in (expression, drawing.changed(expression)):
        assert lists.read(lists.written(made)) == made
        check = lists.check(lists.Rule(lists.written(made)), pairs)
        assert 0 <= (check.score or 0) <= 1 and check.passed is (check.feedback == "")


@pytest.mark.parametrize("planner", [best_of_n(400, depth=1), refine(rounds=80), plan_search()])
def test_each_planner_finds_an_easy_rule(planner: Any) -> None:
    result = lists.solve(task_of("(drop 1 xs)", [1, 2, 3], [9, 8], [4, 4, 4, 7], [5]), planner, calls=400)
    assert result.is_solved and lists.applied(result.answer, [1, 2, 3, 4, 5]) == [2, 3, 4, 5]
    assert sum(result.works.values()) <= 400


def test_the_cap_holds_for_steps_that_ask_no_model() -> None:
    result = lists.solve(task_of("(map (- 99 (* x i)) (sort xs))", [1, 2, 30], [9, 80], [4, 4, 4, 7]), plan_search(), calls=50)
    assert result.stop_reason == "limit: works" and sum(result.works.values()) == 50 and result.spent.calls == 0


def test_a_model_writes_rules_with_counter_examples() -> None:
    model = ScriptedModel(lambda request: "(reverse xs)" if "expected" not in request.messages[-1].text else "`(sort xs)`")
    result = lists.solve(task_of("(sort xs)", [3, 1], [1, 2, 0]), refine(rounds=2, samples=1), calls=5, model=model)
    assert result.answer == lists.Rule("(sort xs)") and result.spent.calls == 2
    assert "[3, 1]: expected" not in model.requests[1].messages[-1].text and "[1, 2, 0]: expected [0, 1, 2]" in model.requests[1].messages[-1].text


def test_the_command_of_list_functions(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    rule = lists.Rule("(reverse xs)")
    inputs = [[n, n + 1, n + 5] for n in range(11)]
    row = {"id": "r", "examples": [{"i": items, "o": lists.applied(rule, items)} for items in inputs]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    monkeypatch.setattr(sys, "argv", ["list_functions", str(tmp_path / "rows.jsonl"), "--calls", "300", "--planner", "best_of_n"])
    assert lists.main() == 0
    out = capsys.readouterr().out
    assert "no model" in out and "1 of 1 fit all seen pairs, 1 of them" in out
    monkeypatch.setattr(sys, "argv", ["list_functions", str(tmp_path / "none.jsonl")])
    assert lists.main() == 2


# ------------------------------------------------------------------ P3

EASY = p3.Puzzle('def sat(s: str, a="ab", b="abc"):\n    return s == a + b', "str")
PUZZLES = [
    EASY, p3.Puzzle("def sat(n: int, m=17):\n    return n - m == 3", "int"),
    p3.Puzzle("def sat(l: List[int], n=4):\n    return len(l) == n", "List[int]"),
]


def test_constants_and_arguments_are_read_without_running_anything() -> None:
    source = "def sat(x: int, s='a', l=[[1]], e=[], f=open('/etc/passwd')):\n    return len(s) + 7 == x"
    assert p3.atoms_of(p3.Puzzle(source, "int")) == {"str": ["s"], "List[List[int]]": ["l"], "": ["e", "f"], "int": ["7"]}
    for broken in ("", "def", "x = 1", "async def sat(x): pass"):
        assert p3.atoms_of(p3.Puzzle(broken, "int")) == {}


@pytest.mark.parametrize("kind", sorted(p3.WAYS))
def test_what_is_drawn_is_an_expression(kind: str) -> None:
    for sample in range(60):
        answer = p3.propose.function(p3.Puzzle("def sat(x, s='ab', n=3, l=[1, 2]):\n    return sorted(l)[::-1] == x", kind), sample=sample)
        ast.parse(answer.code, mode="eval")
        assert "{" not in answer.code


@needs_bubblewrap
@pytest.mark.parametrize("planner", [best_of_n(150, depth=1), refine(rounds=30), plan_search()])
def test_puzzles_are_solved_in_the_sandbox(planner: Any) -> None:
    async def main() -> list[Any]:
        sandbox = best_sandbox("bubblewrap")
        try:
            tester = p3.Tester(sandbox)
            return await asyncio.gather(*(p3.solve(puzzle, planner, tester, calls=150) for puzzle in PUZZLES))
        finally:
            await sandbox.aclose()

    found = asyncio.run(main())
    assert any(result.is_solved for result in found) and all(sum(result.works.values()) <= 150 for result in found)


@needs_bubblewrap
def test_the_checker_s_word_counts_and_nothing_hangs_or_breaks_others() -> None:
    loops = p3.Puzzle("def sat(n: int):\n    while True:\n        pass", "int")
    dies = p3.Puzzle("def sat(n: int):\n    import os\n    os._exit(1)", "int")
    odd = p3.Puzzle("def sat(n: int):\n    return 1", "int")

    async def main() -> list[Any]:
        sandbox = best_sandbox("bubblewrap")
        try:
            tester = p3.Tester(sandbox, seconds=0.2)
            cases = [(EASY, "a + b"), (EASY, "b + a"), (EASY, "7"), (EASY, "1 / 0"), (EASY, "("), (loops, "1"), (dies, "1"), (odd, "1"),
                     (EASY, "a + b")]  # fmt: skip
            return await asyncio.gather(*(tester.check(puzzle, p3.Answer(code)) for puzzle, code in cases))
        finally:
            await sandbox.aclose()

    checks = asyncio.run(main())
    assert [check.passed for check in checks] == [True, *[False] * 7, True]
    assert [check.feedback.partition(":")[0] for check in checks[1:6]] == [
        "sat gives False", "it is a int, not str", "ZeroDivisionError", "SyntaxError", "it takes too long",
    ]  # fmt: skip


# ------------------------------------------------------------------ HumanEval

TEXT = '''def add(a: int, b: int) -> int:
    """Adds.

    >>> add(1, 2)
    3

    add(2, 2) ➞ 4
    add(n, 0) == n
    """
'''
PROBLEM = humaneval.Problem(TEXT, "add")
GOOD, BAD = TEXT + "    return a + b", TEXT + "    return 3"
TASK = humaneval.Task("Test/0", PROBLEM, humaneval.Code(GOOD), "def check(candidate):\n    assert candidate(5, 6) == 11\n")


def test_examples_are_read_from_the_text_without_running_anything() -> None:
    assert humaneval.examples_in(PROBLEM) == [("add(1, 2)", "3"), ("add(2, 2)", "4")]
    assert humaneval.examples_in(humaneval.Problem("def f():\n    '''>>> f(open('x'))\n    1\n    '''", "f")) == []


@needs_bubblewrap
@pytest.mark.parametrize("name", sorted(humaneval.PLANNERS))
def test_programs_are_tested_on_examples_and_graded_on_hidden_tests(name: str) -> None:
    async def main() -> None:
        def answer(request: Any) -> str:
            text = request.messages[-1].text
            if "Answer with the whole program" not in text:
                return "- add the numbers"
            return GOOD if "expected 4, got 3" in text or request.sample == 1 else "```python\n" + BAD + "```"

        sandbox = best_sandbox()
        try:
            model = ScriptedModel(answer)
            result = await humaneval.solve(TASK, humaneval.PLANNERS[name](20), sandbox, calls=20, model=model)
            assert result.answer == humaneval.Code(GOOD) and result.verdict.value == "public tests" and result.stop_reason == "verified"
            assert await humaneval.is_right(sandbox, TASK, result.answer) and not await humaneval.is_right(sandbox, TASK, humaneval.Code(BAD))
            assert not any("candidate(5, 6)" in request.messages[-1].text for request in model.requests), "hidden tests are in no prompt"
            wrong = await humaneval.public(sandbox, PROBLEM, humaneval.Code("x = 1"))
            assert not wrong.passed and "NameError" in wrong.feedback and "there is no function add" in wrong.feedback
            broken = await humaneval.public(sandbox, PROBLEM, humaneval.Code("def add(:"))
            assert not broken.passed and "SyntaxError" in broken.feedback
        finally:
            await sandbox.aclose()

    asyncio.run(main())


def test_a_continuation_is_put_behind_the_text() -> None:
    model = ScriptedModel(lambda request: "    return a + b\n")
    made = run(graph(humaneval.write), problem=PROBLEM, model=model)
    assert made == humaneval.Code(GOOD)


def test_humaneval_without_a_model_names_the_alternative(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["humaneval", str(tmp_path / "x.jsonl")])
    assert humaneval.main() == 2 and "--model" in capsys.readouterr().err
