"""``rookery tools`` and ``rookery mcp`` as a person uses them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import rookery
from rookery.cli.app import app
from rookery.tools.approval import allow_all
from rookery.tools.mcp import McpServer

ROOT = Path(rookery.__file__).parents[1]
SERVERS = ROOT / "tests" / "mcp_servers.py"
PROGRAM = '''
from rookery import graph, tool

@tool
def double(x: int) -> int:
    """Twice a number."""
    return 2 * x

@tool(effect=True)
def note(text: str) -> str:
    return text

@graph
def four(x: int) -> int:
    """Four times a number."""
    return double(x=double(x=x))

def plain(text: str) -> str:
    """Text in capitals."""
    return text.upper()

def bare(x):
    return x
'''


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def cli(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def data(*words: str, code: int = 0) -> Any:
    done = cli(*words, "--json")
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


# ------------------------------------------------------------------ tools


def test_functions_of_a_file_are_taken_in_listed_and_shown() -> None:
    taken = data("tools", "import", "program.py")
    assert set(taken["added"]) == {"double", "note", "plain"} and set(taken["refused"]) == {"bare", "four"}
    assert data("tools", "import", "program.py")["known"] == ["double", "note", "plain"]
    listed = data("tools", "list")
    assert [tool["name"] for tool in listed["tools"]] == ["double", "note", "plain"] and listed["damaged"] == {}
    shown = data("tools", "show", "plain")
    assert "upper()" in shown["source"] and shown["params"]["text"]["type"] == "string" and shown["state"] == "candidate"
    assert "Twice a number." in cli("tools", "list").output and "upper()" in cli("tools", "show", "plain").output
    assert data("tools", "list", "--state", "trusted")["tools"] == []


def test_a_library_is_written_elsewhere_and_taken_in_again() -> None:
    cli("tools", "import", "program.py")
    assert data("tools", "export", "copy")["tools"] == 3
    assert data("tools", "export", "copy", code=1)["error"]["kind"] == "ToolError"
    taken = data("tools", "import", "copy", "--library", "other")
    assert set(taken["added"]) == {"double", "note", "plain"}
    assert len(data("tools", "list", "--library", "other")["tools"]) == 3


def test_an_api_is_taken_in_to_be_found() -> None:
    Path("shop.json").write_text(json.dumps({
        "openapi": "3.1.0", "servers": [{"url": "https://shop.example"}],
        "paths": {"/pets": {"get": {"operationId": "listPets", "summary": "All pets"}, "post": {"operationId": "addPet"}}},
    }))  # fmt: skip
    assert data("tools", "import", "shop.json", "--name", "shop")["added"] == ["shop__listPets", "shop__addPet"]
    listed = {tool["name"]: tool for tool in data("tools", "list")["tools"]}
    assert listed["shop__addPet"]["effect"] and not listed["shop__listPets"]["effect"] and "All pets" in listed["shop__listPets"]["doc"]
    Path("broken.yaml").write_text("openapi: 3.1.0\npaths: []")
    assert data("tools", "import", "broken.yaml", code=2)["error"]["faults"]


def test_the_tools_of_a_server_are_taken_in_to_be_found() -> None:
    done = cli("tools", "import", "--json", "--name", "good", "--", sys.executable, str(SERVERS), "good")
    assert "good__add" in json.loads(done.stdout)["added"]
    shown = data("tools", "show", "good__note")
    assert shown["effect"] and shown["origin"].startswith("mcp: ") and "untrusted" in shown["labels"]
    assert data("tools", "import", "http://127.0.0.1:9/mcp", code=1)["error"]["kind"] == "ToolUnreachable"


def test_searching() -> None:
    pytest.importorskip("rookery.tools.find")
    cli("tools", "import", "program.py")
    assert data("tools", "search", "twice a number", "-k", "1")["tools"][0]["name"] == "double"


def test_proving_without_stored_calls_leaves_all_as_it_is() -> None:
    cli("tools", "import", "program.py")
    assert data("tools", "verify") == {"library": ".rookery/tools", "proofs": [], "damaged": {}}


def test_a_changed_file_is_noticed() -> None:
    cli("tools", "import", "program.py")
    (changed,) = [path for path in Path(".rookery/tools").rglob("*.py") if "upper" in path.read_text()]
    changed.write_text(changed.read_text().replace("upper", "lower"))
    listed = data("tools", "list")
    assert list(listed["damaged"]) == ["plain"] and len(listed["tools"]) == 2
    assert data("tools", "verify", code=1)["damaged"]


@pytest.mark.parametrize(("words", "code"), [
    (("show", "nothing"), 2), (("verify", "nothing"), 2), (("import", "none.py"), 2), (("import", "no_such_module_here"), 2), (("import", "a/b"), 2),
    (("import", "none.yaml"), 2), (("list", "--state", "odd"), 2),
])  # fmt: skip
def test_wrong_words(words: tuple[str, ...], code: int) -> None:
    assert data("tools", *words, code=code)["error"]["message"]


def test_the_library_has_a_place_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOKERY_TOOLS", "elsewhere")
    assert data("tools", "list") == {"library": "elsewhere", "tools": [], "damaged": {}}


# ------------------------------------------------------------------ mcp


def serve(*words: str, **options: Any) -> McpServer:
    command = [sys.executable, "-m", "rookery", "mcp", "serve", *words]
    return McpServer("s", command=command, env={"PYTHONPATH": str(ROOT)}, timeout_s=30, allow=allow_all, **options)


async def test_a_file_is_served_on_standard_input_and_output() -> None:
    async with serve("program.py", "--allow", "note") as client:
        tools = {tool.name: tool.function for tool in client.tools}
        assert set(tools) == {"s__double", "s__note", "s__four"}
        assert await tools["s__four"](x=3) == 12 and await tools["s__note"](text="a") == "a"


async def test_a_library_is_served() -> None:
    assert (await asyncio.to_thread(cli, "tools", "import", "program.py")).exit_code == 0
    async with serve("program.py:four", "--library", ".rookery/tools") as client:  # of tools without source the library has only the record
        assert {tool.name for tool in client.tools} == {"s__four", "s__plain"}


async def test_http_with_a_token_until_it_is_interrupted(here: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "SERVE_TOKEN": "open-sesame"}
    command = [sys.executable, "-m", "rookery", "mcp", "serve", "program.py:double", "--http", "--port", "0", "--token-env", "SERVE_TOKEN"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=env, text=True, cwd=here) as process:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(2)]
        url = lines[1].split()[-1]
        async with McpServer("s", url=url, headers={"Authorization": "Bearer open-sesame"}, timeout_s=20) as client:
            assert await client.tools[0].function(x=4) == 8
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(10) == 130 and "Traceback" not in rest and "open-sesame" not in "".join(lines) + rest


def test_the_tools_of_a_server_are_listed() -> None:
    listed = json.loads(cli("mcp", "list", "--json", "--", sys.executable, str(SERVERS), "good").stdout)
    tools = {tool["name"]: tool for tool in listed["tools"]}
    assert tools["add"]["takes"] == {"a": "int", "b": "int | None"} and tools["note"]["effect"] and listed["unfit"] == {}
    assert "note(text: str) -> str  [has effects]" in cli("mcp", "list", "--", sys.executable, str(SERVERS), "good").output
    assert "cannot be used: wrong" in cli("mcp", "list", "--", sys.executable, str(SERVERS), "poisons").output


@pytest.mark.parametrize(("words", "code"), [
    (("serve",), 2), (("serve", "none.py"), 2), (("serve", "program.py:bare"), 2), (("serve", "program.py:double", "--http", "--host", "0.0.0.0"), 1),
    (("serve", "program.py:double", "--token-env", "NOT_SET_HERE"), 2), (("list", "http://127.0.0.1:9/mcp"), 1),
    (("list", "no-such-program-here"), 1),
])  # fmt: skip
def test_wrong_words_of_mcp(words: tuple[str, ...], code: int) -> None:
    done = cli("mcp", *words)
    assert done.exit_code == code and "error: " in done.output and "→" in done.output
