"""The command line and labels: what is refused is told with its path, --clear lets it pass, and a secret is shown on no screen."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rookery.cli.app import app

PROGRAM = '''
from typing import Annotated
from rookery import Label, graph, tool

@tool(labels="untrusted")
def fetch(url: str) -> str:
    return "page"

@tool(effect=True)
def send(body: str) -> str:
    return f"sent {body}"

@tool
def twice(text: str) -> str:
    return text * 2

@graph
def forward(url: str) -> str:
    return send(body=fetch(url=url))

@graph
def doubled(key: Annotated[str, Label("secret")]) -> str:
    return twice(text=key)
'''


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prog.py").write_text(PROGRAM)
    return "prog.py"


def rk(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.output


def test_a_graph_that_leads_it_there_is_told(program: str) -> None:
    for words in (["check", f"{program}:forward"], ["run", f"{program}:forward", "url=u"]):
        code, said = rk(*words)
        assert code == 2 and "untrusted: fetch → send.body" in said and "gated(send)" in said


def test_clear_lets_it_pass(program: str) -> None:
    code, said = rk("run", f"{program}:forward", "url=u", "-q", "--clear", "untrusted=send.body")
    assert (code, said.strip()) == (0, "sent page")
    code, said = rk("run", f"{program}:forward", "url=u", "-q", "--clear", "untrusted")
    assert code == 2 and "--clear untrusted=send_mail.body" in said


def test_a_secret_value_is_not_printed(program: str) -> None:
    for words in (["-q"], ["--json"]):
        code, said = rk("run", f"{program}:doubled", "key=hunter2", *words)
        assert code == 0 and "hunter2" not in said and "<secret>" in said
