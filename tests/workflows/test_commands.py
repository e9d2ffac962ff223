"""Workflow files on the command line: new, check, run, resume, show, diff, export, schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rookery.cli.app import app
from rookery.cli.workflow import TEMPLATES
from rookery.models import provider
from rookery.models.model import Request
from rookery.testing import ScriptedModel
from rookery.workflows import load, parse

FLOW = """\
version: 1
inputs: {topic: str, n: {type: int, default: 2}}
calls:
  a: {prompt: "on {topic}"}
  ok: {ask: "Go on?", returns: bool, show: $a}
  b: {when: ok, prompt: "more on {a}"}
output: $b
"""


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    asked: list[Request] = []

    def made(spec: Any = None, **options: Any) -> Any:
        return ScriptedModel(lambda request: asked.append(request) or request.text.upper(), name=str(spec))

    monkeypatch.setattr(provider, "model", made)
    return asked


def rookery(*words: str, code: int = 0) -> Any:
    found = CliRunner().invoke(app, [str(word) for word in words])
    assert found.exit_code == code, found.output
    return found


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flow.yaml").write_text(FLOW)
    return tmp_path / "flow.yaml"


def test_check_draws_it_or_says_all_faults(flow: Path) -> None:
    assert "b: str | None" in rookery("check", "flow.yaml").output
    flow.write_text(FLOW.replace("{topic}", "{topc}").replace("show: $a", "shwo: $a"))
    found = rookery("check", "flow.yaml", code=2)
    assert "flow.yaml:4:19" in found.output and "did you mean topic?" in found.output and "did you mean show?" in found.output
    data = json.loads(rookery("check", "flow.yaml", "--json", code=2).stdout)
    assert [(fault["line"], fault["column"], fault["kind"]) for fault in data["error"]["faults"]] == [(4, 19, "reference"), (5, 38, "key")]


def test_run_waits_and_resume_goes_on(flow: Path, scripted: list[Request]) -> None:
    found = rookery("run", "flow.yaml", "topic=rooks", "--model", "openai:x", "--log", "l.db", "--json", code=3)
    run = json.loads(found.stdout)["run"]
    rookery("answer", run, "ok", "true", "--log", "l.db")
    again = json.loads(rookery("resume", run, "--log", "l.db", "--json").stdout)
    assert again["value"] == "MORE ON ON ROOKS" and len(scripted) == 2


def test_run_refuses_before_the_first_call(flow: Path, scripted: list[Request]) -> None:
    flow.write_text(FLOW.replace("output: $b", "output: $c"))
    rookery("run", "flow.yaml", "topic=rooks", "--model", "openai:x", code=2)
    flow.write_text(FLOW)
    rookery("run", "flow.yaml", "n=many", "--model", "openai:x", code=2)
    assert not scripted


def test_tools_are_registered_by_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scripted: list[Request]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("from rookery import tool\n\n@tool\ndef twice(text: str) -> str:\n    return text * 2\n")
    (tmp_path / "f.yaml").write_text("version: 1\ncalls: {a: {tool: twice, with: {text: ab}}}\noutput: $a\n")
    rookery("check", "f.yaml", code=2)
    assert json.loads(rookery("run", "f.yaml", "--tools", "mine.py", "--json", "--log", "l.db").stdout)["value"] == "abab"


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_new_writes_is_a_workflow(template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rookery("new", "sub/mine", "--template", template)
    assert load(tmp_path / "sub" / "mine.yaml").calls and (tmp_path / "sub" / "workflow.schema.json").exists()
    assert "is there already" in rookery("new", "sub/mine", code=2).output
    assert "article" in rookery("new", "x", "--template", "articel", code=2).output


def test_show_draws_a_file(flow: Path) -> None:
    assert "ok: bool" in rookery("show", "flow.yaml").output
    assert rookery("show", "flow.yaml", "--mermaid").output.startswith("flowchart TD")
    picture = rookery("show", "flow.yaml", "--svg").output
    assert picture.startswith("<svg") and picture.count("<rect") == 6


def test_diff_is_of_meaning(flow: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    lines = FLOW.splitlines()
    other.write_text("\n".join(["# a comment", *lines[:3], lines[5], lines[4], lines[3], lines[6], ""]))
    assert "they mean the same" in rookery("diff", "flow.yaml", "other.yaml").output
    other.write_text(FLOW.replace("Go on?", "Really?").replace("n: {type: int, default: 2}", "m: int") + "limit: {calls: 3}\n")
    found = json.loads(rookery("diff", "flow.yaml", "other.yaml", "--json").stdout)
    assert {(one["kind"], one["path"]) for one in found["differences"]} == {
        ("removed", "inputs.n"), ("added", "inputs.m"), ("changed", "calls.ok.question"), ("added", "run.limit"),
    }  # fmt: skip


def test_export_goes_both_ways(flow: Path, tmp_path: Path, scripted: list[Request]) -> None:
    rookery("export", "flow.yaml", "--to", "made.py")
    rookery("export", "made.py:flow", "--to", "again.yaml")
    assert list(load(tmp_path / "again.yaml").params) == ["topic", "n"]
    assert "is there already" in rookery("export", "flow.yaml", "--to", "made.py", code=2).output


def test_schema_is_printed() -> None:
    assert json.loads(rookery("schema").output)["title"] == "rookery workflow"


def test_templates_take_what_their_heads_say() -> None:
    for body in TEMPLATES.values():
        assert parse("version: 1\n" + body).params
