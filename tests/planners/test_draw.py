"""Pictures of searches: the best way is marked, what was given up shows, and no label, size or width breaks them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from rookery import run
from rookery.cli.app import app
from rookery.core.view import TreeNode
from rookery.planners import beam, draw, mermaid, search
from tests.planners.numbers import hand, judge, know, next_steps, reaches_24

SMALL = [
    TreeNode(-1, "done", None, "root"), TreeNode(0, "done", 2.0, "left"), TreeNode(0, "pruned", 0.5, "right"),
    TreeNode(1, "answer", None, "found"), TreeNode(1, "failed", 1.0, "broken"), TreeNode(1, "open", 1.0, "waits"),
]


def test_the_way_to_the_answer_is_marked_and_what_was_given_up_is_shown() -> None:
    assert draw(SMALL).splitlines() == [
        "6 nodes: 1 open, 2 grown, 1 answer, 1 pruned, 1 failed",
        "★ root", "├ ★ left  [2]", "│ ├ ★ found  ← the answer", "│ ├ ○ waits  [1]", "│ └ ! broken  [1]", "└ × right  [0.5]",
    ]  # fmt: skip
    chart = mermaid(SMALL)
    assert "n0 ==> n1" in chart and "n1 ==> n3" in chart and "n0 -.-> n2" in chart and "n1 --> n5" in chart
    assert "class n0,n1,n3 best" in chart and "class n2 pruned" in chart and "class n4 failed" in chart


def test_a_result_knows_its_best_answer() -> None:
    found = run(search(state=hand(4, 5, 6, 10), propose=next_steps, evaluate=know, goal=reaches_24, planner=beam(width=3)))
    lines = draw(found, max_nodes=8).splitlines()
    assert sum("★" in line for line in lines) == 4 and next(line for line in lines if "the answer" in line).endswith("★ 24  ← the answer")
    unsolved = run(search(state=hand(4, 5, 6, 10), propose=next_steps, evaluate=judge, planner=beam(width=1)))
    assert "← the best found" in draw(unsolved) and "★" in draw(unsolved)


@pytest.mark.parametrize("label", [
    'a"]; click n0 "javascript:alert(1)"', "<script>x</script>", "end\nn9[evil]", "\x1b[31mred\x1b[0m", "\u202etfel",
    "`tick` #quot; &lt;", "}}]])", "",
])  # fmt: skip
def test_hostile_labels_stay_labels(label: str) -> None:
    tree = [TreeNode(-1, "open", None, label)]
    text = draw(tree)
    assert len(text.splitlines()) == 2 and not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    chart = mermaid(tree).splitlines()
    assert len(chart) == 2
    inside = re.fullmatch(r'  n0\["(.*)"\]', chart[1])
    assert inside is not None and not re.search(r'["<>`\[\]{}&]', inside[1])


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 30), st.integers(1, 60), st.sampled_from(["short", "長い状態" * 20, "x" * 500]))
def test_pictures_are_bounded(data: st.DataObject, most: int, width: int, label: str) -> None:
    size = data.draw(st.integers(1, 80))
    tree = [TreeNode(-1, "done", None, label)]
    for number in range(1, size):
        status = data.draw(st.sampled_from(["open", "done", "answer", "pruned", "failed"]))
        tree.append(TreeNode(data.draw(st.integers(0, number - 1)), status, data.draw(st.none() | st.floats(-10, 10)), label))
    lines = draw(tree, width=width, max_nodes=most).splitlines()
    assert len(lines) <= 1 + 2 * most
    assert all(len(line) <= max(width, 20) for line in lines)
    shown = re.findall(r"^  n\d+\[", mermaid(tree, max_nodes=most), re.MULTILINE)
    assert len(shown) <= most


def test_a_deep_tree_and_an_empty_one() -> None:
    deep = [TreeNode(number - 1, "done", None, str(number)) for number in range(5_000)]
    assert len(draw(deep, max_nodes=3_000).splitlines()) <= 6_001
    assert draw([]) == "(an empty tree)" and mermaid([]) == "flowchart TD"


def test_show_draws_the_trees_of_a_run(tmp_path: Path) -> None:
    log = tmp_path / "log.db"
    run(search(state=hand(4, 5, 6, 10), propose=next_steps, evaluate=know, goal=reaches_24, planner=beam(width=3)), log=log)

    def shown(*words: str) -> str:
        return CliRunner().invoke(app, ["show", "last", "--log", str(log), *words]).stdout

    assert "search   search" in shown() and "← the answer" in shown() and '"columns"' not in shown()
    assert shown("--mermaid").count("flowchart TD") == 2 and "==>" in shown("--mermaid")
    assert '"trees": {"search": [{"parent": -1' in shown("--json") and '"trees": {"search": "flowchart TD' in shown("--mermaid", "--json")
