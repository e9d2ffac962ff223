"""The benchmark of monitors: which sites are found, how they are drawn, prompts that fit, intervals that hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.decoding_effect import Outcome, difference, name_from, prompt_of, rows_of
from benchmarks.decoding_sites import Dereference, Project, Trained, at, copied, dereferences, drawn
from rookery.models.model import Chunk

CODE = '''import os
from dataclasses import dataclass

VALUE = os.name  # outside of functions


class Häus:
    def door(self, other):
        """Not here: self.window."""
        ö = self.handle
        other.paint(os.path.join("a", self.name)).dry()
        self.handle = (other
                       .key)
        return 1.5.real
'''


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "houses"
    (folder / "tests").mkdir(parents=True)
    (folder / "__init__.py").write_text(CODE, "utf-8")
    (folder / "broken.py").write_text("def f(:\n    x.y\n")
    (folder / "tests" / "test_it.py").write_text(CODE, "utf-8")
    return at(tmp_path)


def test_sites_are_names_read_after_a_dot_in_functions(project: Project, tmp_path: Path) -> None:
    found, seen = dereferences(project, Trained(tmp_path / "none.npy"))
    assert seen == 0
    assert [(site.line, site.truth, site.kind) for site in found] == [
        (10, "handle", "self"), (11, "paint", "name"), (11, "path", "name"), (11, "join", "expression"), (11, "name", "self"),
        (11, "dry", "expression")]
    for site in found:
        before, after = site.parts(CODE)
        assert before.endswith(".") and before + site.truth + after == CODE


def test_the_draw_is_even_and_the_same_each_time() -> None:
    sites = [Dereference("big", "1", f"big/{i % 20}.py", i, 0, "name", "x") for i in range(400)]
    sites += [Dereference("small", "1", "small/a.py", i, 0, "name", "x") for i in range(5)]
    chosen = drawn(sites, 60, seed=1)
    assert chosen == drawn(sites, 60, seed=1) != drawn(sites, 60, seed=2)
    assert len(chosen) == 60 and sum(site.package == "small" for site in chosen) == 5
    assert max(sum(site.file == f"big/{i}.py" for site in chosen) for i in range(20)) <= 8


def test_a_copy_leaves_the_project_alone(project: Project, tmp_path: Path) -> None:
    folder = copied([project], tmp_path / "copy")
    (folder / "houses" / "__init__.py").unlink()
    assert (project.folder / "__init__.py").exists()


def test_a_prompt_is_whole_lines_that_fit() -> None:
    text = "".join(f"line_{i} = {i}\n" for i in range(200)) + "    self."
    prompt = prompt_of(text, lambda text: [0] * (len(text) // 2))
    assert text.endswith(prompt) and prompt.startswith("line_") and len(prompt) // 2 <= 460
    assert prompt_of("self.", lambda text: [0]) == "self."


async def test_a_reply_is_read_until_its_identifier_ends() -> None:
    async def pieces(*texts: str):  # type: ignore[no-untyped-def]
        for text in texts:
            yield Chunk(text)
        raise AssertionError("read on")

    assert await name_from(pieces("app", "end", "(x", "never")) == "append"
    assert await name_from(pieces(" ", "never")) == ""


def outcome(file: str, *, one: bool, other: bool) -> Outcome:
    site = Dereference("p", "1", file, 1, 0, "self", "x")
    return Outcome(site, True, True, {"small, hard": "x" if one else "y", "large, off": "x" if other else "y"}, {"small, hard": True})


def test_the_interval_is_paired_and_by_file() -> None:
    ahead = [outcome(f"{i % 30}.py", one=i % 3 == 0, other=i % 9 == 0) for i in range(300)]
    found = difference(ahead, "small, hard", "large, off")
    assert found["low"] < found["points"] < found["high"] and found["low"] > 0
    assert (found["only_one_right"], found["only_other_right"]) == (66, 0)
    equal = difference([outcome(f"{i}.py", one=i % 2 == 0, other=i % 2 == 1) for i in range(60)], "small, hard", "large, off")
    assert equal["points"] == 0 and equal["low"] < 0 < equal["high"]
    rows = {row["who"]: row for row in rows_of(ahead, ["small", "large"])}
    assert rows["small, hard"]["match"] == pytest.approx(100 / 3) and rows["small, hard"]["valid"] == 100
    assert rows["large, off"]["self"] == pytest.approx(100 * 34 / 300) and rows["large, off"]["name"] is None


