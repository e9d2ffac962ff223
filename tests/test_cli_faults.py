"""What goes wrong, as the command line tells it: the place, what to do, the right exit code, and never a traceback."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_cli import ROOT, Done, folder, rk  # noqa: F401 - the fixture is used by its name

FAULTY = '''
from rookery import graph, prompt, tool
from rookery.models.model import Capabilities
from rookery.testing import ScriptedModel

small = ScriptedModel(lambda request: "x", capabilities=Capabilities("scripted:small", context_tokens=20))
mute = ScriptedModel(lambda request: "no number")

@prompt(model=small)
def long_one(text: str) -> str:
    """Read {text}."""

@prompt(model=mute)
def number(text: str) -> int:
    """Count {text}."""

@prompt(model="elsewhere:x")
def nobody(text: str) -> str:
    """Say {text}."""

@tool
def opened(path: str) -> sqlite3.Connection:
    return sqlite3.connect(path)

@tool
def size(connection: sqlite3.Connection) -> int:
    return 1

@tool
def breaks(text: str) -> str:
    raise OSError("the tool broke on [bold]" + text)

@graph
def overflows(text: str) -> str:
    return long_one(text=text)

@graph
def counts(text: str) -> int:
    return number(text=text)

@graph
def unknown(text: str) -> str:
    return nobody(text=text)

@graph
def carries(path: str) -> int:
    return size(connection=opened(path=path))

@graph
def broken(text: str) -> str:
    return breaks(text=text)

@graph
def several(n: int) -> str:
    first = long_one(text=n)
    return long_one(txt=first)
'''


@pytest.fixture(autouse=True)
def faulty(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    (folder / "faulty.py").write_text("import sqlite3\n" + FAULTY)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def fails(code: int, *words: str, says: tuple[str, ...] = ()) -> Done:
    done = rk(*words)
    assert done.code == code, (done.code, done.err)
    assert done.err.startswith("error: ") or "\nerror: " in done.err, done.err
    for text in says:
        assert text in done.err, done.err
    return done


# ------------------------------------------------------------------ models


def test_a_missing_key_is_named_before_anything_runs() -> None:
    fails(2, "run", "prog.py:wished", 'wish={"topic": "x"}', "--model", "openai:gpt-5-mini", says=("openai:gpt-5-mini", "OPENAI_API_KEY", "→"))
    assert not Path(".rookery").exists()


def test_no_model_at_all() -> None:
    fails(2, "run", "prog.py:wished", 'wish={"topic": "x"}', says=("no model", "ROOKERY_MODEL"))


@pytest.mark.parametrize("model", ["openay:x", "gpt-5-mini", "openai:", "embedded:chess"])
def test_an_unknown_model(model: str) -> None:
    fails(2, "run", "prog.py:wished", 'wish={"topic": "x"}', "--model", model, says=(model.partition(":")[2] or model.strip(":"), "→"))


def test_an_unknown_model_inside_of_the_program() -> None:
    fails(1, "run", "faulty.py:unknown", "text=x", says=("call nobody", "elsewhere", "→"))


def test_an_unreachable_server() -> None:
    done = fails(1, "run", "prog.py:wished", 'wish={"topic": "x"}', "--model", "openai:m@http://127.0.0.1:9/v1", says=("127.0.0.1:9", "→"))
    assert "call needs_model" in done.err and "rookery resume" in done.err


def test_a_prompt_that_the_embedded_model_has_not_learned() -> None:
    fails(1, "run", "prog.py:wished", 'wish={"topic": "x"}', "--model", "embedded:game24", says=("needs_model", "openai:"))


def test_a_context_overflow() -> None:
    fails(1, "run", "faulty.py:overflows", f"text={'word ' * 50}", says=("call long_one", "20", "→"))


def test_text_that_is_never_a_value() -> None:
    fails(1, "run", "faulty.py:counts", "text=x", says=("call number", "rookery resume"))


def test_a_setting_with_a_slip(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("rookery.toml").write_text('modle = "openai:x"\n')
    fails(2, "run", "prog.py:article", "topic=x", says=("modle", "model"))
    assert rk("doctor").code == 2
    Path("rookery.toml").write_text("model = \n")
    fails(2, "models", says=("rookery.toml",))


# ------------------------------------------------------------------ programs and inputs


def test_all_faults_of_a_program_at_once() -> None:
    done = fails(2, "check", "faulty.py:several", says=("calls.long_one.text", "calls.long_one_2.txt", "calls.long_one_2.text", "→"))
    assert rk("run", "faulty.py:several", "n=1").err == done.err
    found = json.loads(rk("check", "faulty.py:several", "--json").out)
    assert len(found["error"]["faults"]) >= 3 and found["error"]["kind"] == "GraphInvalid"


def test_a_type_that_cannot_be_written_down() -> None:
    fails(2, "run", "faulty.py:carries", "path=x", says=("calls.opened", "Connection", "→"))


@pytest.mark.parametrize(("words", "says"), [
    (["topic"], ("'topic' is not name=value", "topic=<str>")),
    (["topic=x", "m=5"], ("unknown input 'm'", "n=<int, 2 unless given>")),
    (["n=2"], ("'topic' is not given",)),
    (["topic=x", "n=many"], ("input 'n'", "valid integer")),
])
def test_wrong_inputs(words: list[str], says: tuple[str, ...]) -> None:
    fails(2, "run", "prog.py:article", *words, says=says)


def test_a_wrong_field_of_an_input_has_its_path() -> None:
    fails(2, "run", "prog.py:wished", 'wish={"topic": 5}', says=("$.topic",))


@pytest.mark.parametrize(("place", "says"), [
    ("nowhere.py:x", "there is no file nowhere.py"), ("no_module_of_this_name:x", "there is no module"),
    ("prog.py:artikle", "programs there: article"),
    ("prog.py:json", "is no program but a module"), ("prog.py", "several programs"), ("notes.txt:x", "is no program"),
])
def test_programs_that_are_not_there(place: str, says: str) -> None:
    fails(2, "run", place, says=(says, "→"))


@pytest.mark.parametrize(("source", "says"), [
    ("x = (1,\n", "bad.py:1: SyntaxError"),
    ("import rookery\nimport no_such_package\n", "bad.py:2: ModuleNotFoundError"),
    ("def f():\n    return 1 / 0\n\nf()\n", "bad.py:2: ZeroDivisionError"),
    ("import sys\nsys.exit(3)\n", "exits while it is loaded"),
    ("from rookery import graph, tool\n@tool\ndef f(x: int) -> int: ...\n@graph\ndef g(x: int) -> int:\n    return f(x=x) + 1\n",
     "bad.py:6: variable f was used"),
    ("from rookery import graph\n@graph\ndef g(x):\n    return x\n", "parameter has no annotation"),
    ("x = 1\n", "there is no program in"),
])
def test_program_files_that_fail(source: str, says: str) -> None:
    Path("bad.py").write_text(source)
    fails(2, "run", "bad.py", says=(says,))


def test_a_tool_that_raises() -> None:
    done = fails(1, "run", "faulty.py:broken", "text=\x1b[31mx", says=("call breaks", "OSError", "the tool broke on [bold]x", "rookery resume"))
    assert "\x1b" not in done.err
    data = json.loads(rk("resume", "last", "--json").out)
    assert data["status"] == "failed" and data["error"]["call"] == "breaks" and data["run"]


def test_a_program_that_has_changed() -> None:
    rk("run", "prog.py:reviewed", "topic=rooks")
    text = Path("prog.py").read_text().replace("List {n} titles about", "List {n} fine titles about")
    Path("changed.py").write_text(text)
    fails(2, "resume", "last", "changed.py:reviewed", says=("titles", "fork"))


def test_a_secret_is_asked_for_again() -> None:
    Path("secret.py").write_text(
        "from typing import Annotated\nfrom rookery import Label, ask, graph, tool\n"
        "@tool\ndef use(key: Annotated[str, Label('secret')], ok: bool) -> str:\n    return f'{len(key)} {ok}'\n"
        "@graph\ndef g(key: Annotated[str, Label('secret')]) -> str:\n    return use(key=key, ok=ask(bool, 'go on?'))\n"
    )
    rk("run", "secret.py:g", "key=sesame")
    rk("answer", "last", "ask", "yes")
    fails(2, "resume", "last", says=("inputs.key",))
    done = rk("resume", "last", "--secret", "inputs.key=sesame", "-q")
    assert done.code == 0
    assert b"sesame" not in b"".join(path.read_bytes() for path in Path(".rookery").iterdir())


def test_wrong_usage_is_told_by_the_command() -> None:
    for words in (["run"], ["resume"], ["nonsense"], ["run", "prog.py:article", "--nonsense"]):
        done = rk(*words)
        assert done.code == 2 and ("Usage" in done.err or "Error" in done.err)
    rk("run", "prog.py:article", "topic=x", "-q")
    fails(2, "fork", "last", says=("nothing is different", "VARIABLE=VALUE"))
    fails(2, "run", "prog.py:article", "topic=x", "--limit", "euro=5", says=("euro", "usd=…"))


# ------------------------------------------------------------------ the log


def test_a_run_that_is_not_there() -> None:
    fails(2, "show", "last", says=("there is no log",))
    rk("run", "prog.py:article", "topic=x")
    for verb in (["show"], ["resume"], ["cancel"], ["prune"]):
        fails(2, *verb, "nothing", says=("no run nothing", "rookery runs"))


@pytest.mark.parametrize("content", [b"this is no database, it is a text that somebody left here\n" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_corrupt_log(content: bytes) -> None:
    Path("bad.db").write_bytes(content)
    for words in (["runs"], ["show", "last"], ["run", "prog.py:article", "topic=x"], ["resume", "last"]):
        fails(4, *words, "--log", "bad.db", says=("bad.db", "→"))
    assert rk("doctor", "--log", "bad.db").code == 4
    assert Path("bad.db").read_bytes() == content


def test_a_log_with_a_hole() -> None:
    rk("run", "prog.py:article", "topic=x")
    db = sqlite3.connect(".rookery/log.db")
    db.execute("UPDATE batch SET body = replace(body, '\"F\"', '\"F') WHERE id = (SELECT max(id) - 1 FROM batch)")
    db.execute("DELETE FROM value")
    db.commit()
    db.close()
    assert rk("doctor").code == 4 and "missing" in rk("doctor").out
    fails(4, "show", "last", says=("→",))


def test_a_database_that_is_no_log() -> None:
    db = sqlite3.connect("other.db")
    db.execute("CREATE TABLE shopping (item TEXT)")
    db.commit()
    db.close()
    fails(4, "runs", "--log", "other.db", says=("not a log",))


def test_a_log_of_a_newer_version() -> None:
    rk("run", "prog.py:article", "topic=x")
    db = sqlite3.connect(".rookery/log.db")
    db.execute("PRAGMA user_version = 99001")
    db.commit()
    db.close()
    for words in (["runs"], ["show", "last"], ["run", "prog.py:article", "topic=x"]):
        fails(4, *words, says=("newer", "upgrade rookery"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written() -> None:
    Path("closed").mkdir(mode=0o500)
    fails(4, "run", "prog.py:article", "topic=x", "--log", "closed/log.db", says=("closed",))


FILLS = '''
from rookery import graph, loop, tool

@tool
async def more(text: str) -> str:
    with open("executed.txt", "a") as file:
        file.write(".")
    return text + "x" * 1000

@graph
def fills(text: str) -> str:
    return loop(more, text=text, times=100)
'''


def test_a_full_disk_loses_nothing_that_was_acknowledged() -> None:
    Path("fills.py").write_text(FILLS)
    most = 400_000
    command = [sys.executable, "-m", "rookery", "run", "fills.py:fills", "text=", "--log", "small.db", "-q"]
    limited = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
    done = Done(limited.returncode, limited.stdout, limited.stderr)
    assert done.code == 4 and "cannot be written" in done.err and "free some space" in done.err
    shown = json.loads(rk("show", "last", "--log", "small.db", "--json").out)
    kept = sum(1 for call in shown["calls"] if call["status"] == "done")
    before = len(Path("executed.txt").read_text())
    assert 1 <= kept <= before < 100
    assert rk("doctor", "--log", "small.db").code == 0
    done = rk("resume", "last", "--log", "small.db", "-q")
    assert done.code == 0 and done.out == "x" * 100_000 + "\n"
    assert len(Path("executed.txt").read_text()) - before == 100 - kept


def test_a_fault_of_the_command_line_itself_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rookery.cli.show.runs", lambda *args, **options: 1 / 0)
    done = rk("runs")
    assert done.code == 1 and "ZeroDivisionError" in done.err and "ROOKERY_DEBUG" in done.err
