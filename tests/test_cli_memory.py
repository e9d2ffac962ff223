"""``rookery memory`` and ``rookery prune --scope``, as a person types them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rookery.cli.app import app
from rookery.memory import Memory
from rookery.memory.exact import ExactVectors

cli = CliRunner()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    async def fill() -> None:
        async with Memory(scope="user:ada", path=tmp_path / "m", vectors=ExactVectors()) as memory:
            await memory.keep("Ada lives in Paris.", source="turn 1")
            await memory.keep("Ada lives in Rome.", source="turn 2")

    asyncio.run(fill())
    monkeypatch.setenv("ROOKERY_MEMORY", str(tmp_path / "m"))
    monkeypatch.setenv("ROOKERY_LOG", str(tmp_path / "log.db"))
    return tmp_path / "m"


def run(*words: str, code: int = 0) -> str:
    result = cli.invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result.stdout


def test_looking(folder: Path) -> None:
    assert "user:ada  2 items" in run("memory", "list")
    assert "Rome" in run("memory", "list", "-s", "user:ada").split("\n")[0]
    items = json.loads(run("memory", "list", "-s", "user:ada", "--json"))["items"]
    assert [item["text"] for item in items] == ["Ada lives in Rome.", "Ada lives in Paris."]
    found = run("memory", "search", "where does Ada live?", "-s", "user:ada")
    assert found.index("Rome") < found.index("Paris")
    shown = run("memory", "show", items[1]["id"], "-s", "user:ada")
    assert "Ada lives in Paris." in shown and "write" in shown and "turn 1" in shown
    run("memory", "show", "nothing", "-s", "user:ada", code=1)
    lines = [json.loads(line) for line in run("memory", "export", "-s", "user:ada").splitlines() if line.startswith("{")]
    assert [line["text"] for line in lines] == ["Ada lives in Paris.", "Ada lives in Rome."]


def test_diff_revert_forget_and_reindex(folder: Path) -> None:
    changes = json.loads(run("memory", "diff", "-s", "user:ada", "--json"))["changes"]
    assert [change["verb"] for change in changes] == ["keep", "close", "keep"]
    assert "is undone" in run("memory", "revert", "-s", "user:ada", str(changes[-1]["write"]))
    assert "~" in run("memory", "diff", "-s", "user:ada") or "+" in run("memory", "diff", "-s", "user:ada")
    assert "Rome" not in run("memory", "list", "-s", "user:ada")
    assert "vectors built in" in run("memory", "reindex") or "vector built in" in run("memory", "reindex")
    run("memory", "forget", "-s", "user:ada", code=1)
    result = json.loads(run("memory", "forget", "-s", "user:ada", "--all", "--yes", "--json"))
    assert result["items"] == 2 and result["runs"] == []
    assert b"Paris" not in b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert json.loads(run("prune", "--scope", "user:ada", "--json")) == {"scope": "user:ada", "runs": [], "values": 0}
    run("prune", "--scope", "a/b", code=1)
