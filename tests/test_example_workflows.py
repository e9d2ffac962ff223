"""The example workflows: each runs as its user would run it, on the embedded model or on its cassette, from any folder, and gives what it says."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rookery import run, start
from rookery.models.recorded import RecordedModel
from rookery.workflows import load
from tests.boxes import needs_bubblewrap
from tests.examples import loaded

HERE = Path(__file__).parents[1] / "examples" / "workflows"
NAMES = sorted(path.parent.name for path in HERE.glob("*/*.yaml") if path.stem == path.parent.name)


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of one example, so that what it keeps is kept nowhere else."""
    return Path(shutil.copytree(HERE / request.param, tmp_path / request.param, ignore=shutil.ignore_patterns("memory", "grown")))


def flow_in(folder: Path, **options: Any) -> Any:
    return load(folder / f"{folder.name}.yaml", **options)


def test_there_are_eight_and_each_says_how_it_is_run() -> None:
    assert NAMES == ["extract", "folder_qa", "game24", "grow", "repair", "research", "summarise", "triage"]
    for name in NAMES:
        text = (HERE / name / f"{name}.yaml").read_text(encoding="utf-8")
        assert f"rookery run examples/workflows/{name}/{name}.yaml" in text


@pytest.mark.parametrize("name", [name for name in NAMES if name != "game24"])
def test_a_cassette_says_that_it_was_scripted(name: str) -> None:
    assert RecordedModel(HERE / name / "answers.jsonl").origin["kind"] == "scripted"


@pytest.mark.parametrize("folder", ["summarise"], indirect=True)
def test_many_files_become_one_summary(folder: Path) -> None:
    text = run(flow_in(folder))
    assert "1,085" in text and "34 cm" in text and "23 years" in text


@needs_bubblewrap
@pytest.mark.parametrize("folder", ["extract"], indirect=True)
def test_letters_become_rows(folder: Path) -> None:
    rows = list(csv.reader(io.StringIO(run(flow_in(folder)))))
    assert rows[0] == ["number", "customer", "total_eur", "due"] and [row[0] for row in rows[1:3]] == ["AB-1043", "AB-1042"]
    assert rows[-1][2] == "1330.50"


@needs_bubblewrap
@pytest.mark.parametrize("folder", ["game24"], indirect=True)
def test_a_hand_is_solved_by_the_embedded_model(folder: Path) -> None:
    text = run(flow_in(folder), hand="4 5 6 10")
    assert text.endswith(" = 24") and eval(text.removesuffix(" = 24")) == 24


@needs_bubblewrap
@pytest.mark.parametrize("folder", ["research"], indirect=True)
def test_an_answer_quotes_its_sources(folder: Path) -> None:
    text = run(flow_in(folder))
    assert "[n1] colonies.txt: “The colony at Haddo House" in text and "[n2]" in text
    assert "Wales" not in text and "fish" not in text


@needs_bubblewrap
@pytest.mark.parametrize("folder", ["repair"], indirect=True)
def test_a_module_is_mended(folder: Path) -> None:
    text = run(flow_in(folder))
    assert "+    return sum(prices) * (1 + rate)" in text and "+    return max(prices, default=0)" in text


@pytest.mark.parametrize("folder", ["folder_qa"], indirect=True)
def test_a_question_is_answered_and_remembered(folder: Path) -> None:
    first, second = run(flow_in(folder)), run(flow_in(folder))
    assert first["answer"] == second["answer"] == "Ada Moss looks after the nest boxes (boxes.md)."
    assert "Ada Moss" not in first["known_before"] and "Ada Moss" in second["known_before"]


@needs_bubblewrap
@pytest.mark.parametrize("folder", ["triage"], indirect=True)
async def test_nothing_is_sent_before_a_person_says_so(folder: Path, tmp_path: Path) -> None:
    from rookery import resume

    log = tmp_path / "nightly.db"
    async with start(flow_in(folder), log=log, id="night") as night:
        assert await night.until_waiting()
    for says in (False, True):
        async with resume("night", flow_in(folder), log=log) if says else start(flow_in(folder)) as night:
            await night.until_waiting()
            night.answer("ok:do", says)
            report = await night
        assert report.startswith("1 urgent, 1 normal, 1 spam")
        assert ("To: ada@example.org" in report) is says and ("nothing is sent" in report) is not says


@needs_bubblewrap
@pytest.mark.parametrize("folder", ["grow"], indirect=True)
def test_tools_are_grown_and_kept(folder: Path, tmp_path: Path) -> None:
    growing = loaded("workflows/grow/growing")
    text = run(flow_in(folder, tools=[growing.grow_tools]), library=str(tmp_path / "grown"))
    manifest = json.loads((tmp_path / "grown" / "manifest.json").read_text(encoding="utf-8"))
    assert "every n-th" in text and "every_nth" in json.dumps(manifest)
