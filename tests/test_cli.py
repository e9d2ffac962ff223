"""The command line as a person uses it: run, look, answer, steer, resume, fork, prune; from this process and from others."""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import rookery
from rookery.cli.app import app
from rookery.cli.load import limit_of, load, value_of
from rookery.core.limit import Limit
from rookery.errors import InputError, ParseFailed

ROOT = Path(rookery.__file__).parents[1]
PROGRAM = '''
import asyncio, json
from pathlib import Path
from pydantic import BaseModel
from rookery import ask, graph, loop, prompt, tool
from rookery.testing import ScriptedModel

def answer(request):
    if request.text.startswith("List"):
        return json.dumps(["nests", "calls"])
    return "about " + request.text.split("Write ")[1].split(".")[0]

model = ScriptedModel(answer)

class Wish(BaseModel):
    topic: str
    n: int = 2

@prompt(model=model)
def titles(topic: str, n: int) -> list[str]:
    """List {n} titles about {topic}."""

@prompt(model=model)
def section(title: str) -> str:
    """Write {title}."""

@tool(inline=True)
def join(parts: list[str]) -> str:
    with open("executed.txt", "a") as file:
        file.write("join\\n")
    return "; ".join(parts)

@graph
def article(topic: str, n: int = 2) -> str:
    return join(parts=section.each(title=titles(topic=topic, n=n)))

@tool(inline=True)
def publish(text: str, ok: bool, title: str) -> str:
    return f"{title}: {text}" if ok else "nothing"

@graph
def reviewed(topic: str) -> str:
    text = join(parts=section.each(title=titles(topic=topic, n=2)))
    return publish(text=text, ok=ask(bool, "Is it good?", show=text), title=ask(str, "What title?"))

@tool
async def nap(x: int) -> int:
    await asyncio.sleep(0.15)
    with open("executed.txt", "a") as file:
        file.write(f"nap {x}\\n")
    return x + 1

async def naps(times: int) -> int:
    x = 0
    for _ in range(times):
        x = await nap(x=x)
    return x

@graph
def many(x: int) -> int:
    return loop(nap, x=x, times=30)

async def asks(x: int) -> str:
    return "yes" if await ask(bool, "Go on?") else "no"

@prompt
def needs_model(wish: Wish) -> str:
    """Write {wish.n} words about {wish.topic}."""

@graph
def wished(wish: Wish, loud: bool = False) -> str:
    return needs_model(wish=wish)
'''


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the program in it, which is the current one; programs of other tests are forgotten."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prog.py").write_text(PROGRAM)
    for name in list(sys.modules):
        if name.startswith("rookery_program") or name == "prog":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


class Done:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        assert "Traceback" not in err + out, err + out

    @property
    def data(self) -> Any:
        return json.loads(self.out)


def rk(*words: str) -> Done:
    """A command in this process."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def began(*words: str) -> subprocess.Popen[str]:
    """A command in another process."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "rookery", *words]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def ended(process: subprocess.Popen[str], *, seconds: float = 60.0) -> Done:
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()  # closes its pipes
        raise
    return Done(process.returncode, out, err)


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.03)


def executed() -> list[str]:
    path = Path("executed.txt")
    return path.read_text().splitlines() if path.exists() else []


# ------------------------------------------------------------------ run and look


def test_run_prints_the_value_and_keeps_the_run() -> None:
    done = rk("run", "prog.py:article", "topic=rooks")
    assert (done.code, done.out) == (0, "about nests; about calls\n")
    assert "finished: 3 model calls" in done.err
    (listed,) = rk("runs", "--json").data["runs"]
    assert listed["state"] == "finished" and listed["program"].endswith("prog.py:article")
    assert rk("runs").out.startswith(listed["run"])


def test_quiet_prints_the_value_only() -> None:
    done = rk("run", "prog.py:article", "topic=rooks", "-q")
    assert (done.out, done.err) == ("about nests; about calls\n", "")


def test_json_is_one_object() -> None:
    done = rk("run", "prog.py:article", "topic=rooks", "--json")
    assert done.data["status"] == "finished" and done.data["value"] == "about nests; about calls"
    assert done.data["requests"] == 3 and done.data["prompt_tokens"] > 0 and done.err == ""


def test_a_module_and_a_file_with_one_program() -> None:
    Path("alone.py").write_text("from rookery import tool\n@tool\ndef only(x: int) -> int:\n    return x + 1\n")
    assert rk("run", "prog:article", "topic=rooks", "-q").out == "about nests; about calls\n"
    assert rk("run", "alone.py", "x=4", "-q").out == "5\n"


def test_show_has_calls_value_and_events() -> None:
    rk("run", "prog.py:article", "topic=rooks")
    text = rk("show", "last").out
    assert "section[1]" in text and "finished" in text and "about nests; about calls" in text and "tokens" in text
    data = rk("show", "last", "--json").data
    assert [call["call"] for call in data["calls"]] == ["titles", "section[0]", "section[1]", "join"]
    assert data["value"] == "about nests; about calls" and data["fault"] is None
    assert re.search(r"\+ +0\.000s  RunStarted .*run=article-", rk("show", "last", "--events").out)
    assert rk("show", "last", "--events", "--json").data["events"][0]["event"] == "RunStarted"
    assert rk("show", "last", "--mermaid").out.startswith("flowchart TD") and "classDef done" in rk("show", "last", "--mermaid").out


def test_a_run_is_found_by_the_beginning_of_its_id() -> None:
    name = rk("run", "prog.py:article", "topic=rooks", "--json").data["run"]
    assert rk("show", name[:9], "--json").data["run"] == name
    rk("run", "prog.py:article", "topic=rooks", "-q")
    assert rk("show", "article").code == 2


def test_check_draws_and_counts() -> None:
    done = rk("check", "prog.py:reviewed")
    assert done.code == 0 and "section: list[str]" in done.out and "no faults" in done.err
    assert rk("check", "prog.py:reviewed", "--mermaid").out.startswith("flowchart TD")
    assert rk("check", "prog.py:reviewed", "--json").data["calls"] == 6


def test_explain_asks_nobody_and_learns_from_runs() -> None:
    told = rk("explain", "prog.py:article", "topic=rooks", "--guess", "titles.items=7", "--parallel", "1,3", "--json").data
    assert told["calls"] == 8 and set(told["seconds"]) == {"1", "3", "inf"} and told["seconds"]["1"] > told["seconds"]["3"]
    assert not executed() and not rk("runs", "--json").data["runs"], "no tool was called, and no run is kept"
    rk("run", "prog.py:article", "topic=rooks")
    learned = rk("explain", "prog.py:article", "topic=rooks", "--json").data
    assert learned["learned_from"] == 1 and learned["calls"] == 3
    fresh = rk("explain", "prog.py:article", "topic=rooks", "--fresh")
    assert "guesses by type" in fresh.out and "6 model calls" in fresh.out
    compared = rk("explain", "prog.py:article", "--tune", "topic=a,bb", "--json").data
    assert [row["value"] for row in compared["values"]] == ["a", "bb"] and compared["tune"] == "topic"


@pytest.mark.parametrize(("words", "said"), [
    (["--guess", "titles"], "is no guess"), (["--guess", "nothing.items=3"], "there is no call"), (["--guess", "titles.items=x"], "is no number"),
    (["--guess", "titles.error=2"], "out of range"), (["--pace", "m=1"], "is no pace"), (["--parallel", "0"], "calls in flight"),
    (["--tune", "topic"], "no values to compare"), (["--tune", "topic=a,b", "--tune", "topic=c,d"], "one input"),
])  # fmt: skip
def test_explain_says_what_it_cannot_read(words: list[str], said: str) -> None:
    done = rk("explain", "prog.py:article", "topic=rooks", *words)
    assert done.code == 2 and said in done.err


def test_runs_of_no_log_makes_none() -> None:
    assert rk("runs").code == 0 and not Path(".rookery").exists()
    assert rk("runs", "--json").data["runs"] == []


def test_the_log_is_where_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("rookery.toml").write_text('log = "kept/here.db"\n')
    rk("run", "prog.py:article", "topic=rooks")
    assert Path("kept/here.db").exists()
    monkeypatch.setenv("ROOKERY_LOG", "there.db")
    rk("run", "prog.py:article", "topic=rooks")
    assert len(rk("runs", "--json").data["runs"]) == 1 and Path("there.db").exists()
    assert len(rk("runs", "--log", "kept/here.db", "--json").data["runs"]) == 1


def test_doctor_tells_and_never_shows_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    rk("run", "prog.py:article", "topic=rooks")
    done = rk("doctor")
    assert done.code == 0 and "sound" in done.out and "set: OPENAI_API_KEY" in done.out and "secret" not in done.out
    data = rk("doctor", "--json").data
    assert data["ok"] and "sk-very" not in json.dumps(data)


def test_models_lists_what_each_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    Path("rookery.toml").write_text('model = "writer"\n[models.writer]\nuse = "openai:gpt-5-mini"\napi_key_env = "WRITER_KEY"\n')
    text = rk("models").out
    if importlib.util.find_spec("torch") is None:
        assert "rookery[transformers]" in text
    assert "WRITER_KEY is not set" in text and "OPENAI_API_KEY is not set" in text and "embedded:game24" in text and "default: writer" in text
    assert {line["provider"] for line in rk("models", "--json").data["models"]} >= {"embedded", "openai", "litellm", "settings"}


# ------------------------------------------------------------------ questions


def test_a_question_waits_and_is_answered_from_outside() -> None:
    done = rk("run", "prog.py:reviewed", "topic=rooks")
    assert done.code == 3 and "waits for a person" in done.err and "rookery answer" in done.err and "rookery resume" in done.err
    data = rk("show", "last", "--json").data
    assert data["status"] == "waiting" and {asked["call"] for asked in data["questions"]} == {"ask", "ask_2"}
    assert rk("answer", "last", "ask", "maybe").code == 2
    assert rk("answer", "last", "join", "yes").code != 0
    told = rk("answer", "last", "ask", "yes")
    assert told.code == 0 and "nobody does now" in told.out and "rookery resume" in told.err
    assert rk("resume", "last").code == 3
    assert rk("answer", "last", "ask_2", "Rooks and others").code == 0
    done = rk("resume", "last")
    assert (done.code, done.out) == (0, "Rooks and others: about nests; about calls\n")
    assert executed() == ["join"]


def test_waiting_as_json() -> None:
    done = rk("run", "prog.py:reviewed", "topic=rooks", "--json")
    assert done.code == 3 and done.data["status"] == "waiting"
    assert {asked["call"] for asked in done.data["questions"]} == {"ask", "ask_2"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a pseudo-terminal")
def test_on_a_terminal_the_person_is_asked() -> None:
    script = [(b"answer (text)", b"Rooks\n"), (b"answer (yes or no)", b"dunno\n"), (b"valid boolean", b"yes\n")]
    screen, code = on_terminal(["run", "prog.py:reviewed", "topic=rooks"], script)
    assert code == 0 and "Rooks: about nests; about calls" in screen and "Traceback" not in screen


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a pseudo-terminal")
def test_ctrl_c_on_a_terminal_says_how_to_resume() -> None:
    screen, code = on_terminal(["run", "prog.py:reviewed", "topic=rooks"], [(b"your answer", b"\x03")])
    assert code == 130 and "interrupted" in screen and "rookery resume reviewed-" in screen and "Traceback" not in screen


def on_terminal(words: list[str], script: list[tuple[bytes, bytes]]) -> tuple[str, int]:
    """A command on a pseudo-terminal: for each (text to wait for, keys to type); gives what was on it, and the exit code."""
    parent, child = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-m", "rookery", *words]
    process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=env, start_new_session=True, preexec_fn=_own_terminal)
    os.close(child)
    seen, at = b"", 0
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ready, _, _ = select.select([parent], [], [], 0.1)
        if ready:
            try:
                piece = os.read(parent, 65536)
            except OSError:
                break
            if not piece:
                break
            seen += piece
        while script and script[0][0] in seen[at:]:
            at = len(seen)
            time.sleep(0.2)
            os.write(parent, script.pop(0)[1])
    os.close(parent)
    return seen.decode(errors="replace"), process.wait(timeout=30)


def _own_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_a_question_of_async_code_waits_too() -> None:
    done = ended(began("run", "prog.py:asks", "x=1"), seconds=8)
    assert done.code == 3 and "rookery answer" in done.err
    rk("answer", "last", "asks/ask", "yes")
    assert rk("resume", "last", "-q").out == "yes\n"


# ------------------------------------------------------------------ stop, resume, steer


def test_ctrl_c_stops_cleanly_and_resume_goes_on() -> None:
    process = began("run", "prog.py:naps", "times=8")
    until(lambda: len(executed()) >= 3)
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert done.code == 130 and "interrupted" in done.err and "rookery resume naps-" in done.err
    assert "stopped" in rk("runs").out
    assert rk("resume", "last", "-q").out == "8\n"
    finished = executed()
    assert sorted(set(finished)) == [f"nap {i}" for i in range(8)] and len(finished) <= 9  # one may have been in flight


def test_kill_and_resume_repeats_nothing_finished() -> None:
    process = began("run", "prog.py:naps", "times=6")
    until(lambda: len(executed()) >= 3)
    process.kill()
    process.communicate()
    finished = [call["call"] for call in rk("show", "last", "--json").data["calls"] if call["status"] == "done"]
    assert rk("resume", "last", "-q").out == "6\n"
    assert len(executed()) <= 6 + 1 and len(finished) >= 2


def test_pause_continue_break_and_cancel_from_another_process() -> None:
    process = began("run", "prog.py:many", "x=0")
    until(lambda: len(executed()) >= 2)
    (line,) = rk("runs", "--json").data["runs"]
    assert line["owner"]
    assert "it is paused" in rk("pause", "last").out
    done = ended(process)
    assert done.code == 3 and "paused" in done.err and "rookery continue" in done.err
    place = "nap#6/nap"
    rk("break", "last", place)
    rk("continue", "last")
    assert rk("resume", "last", "-q").code == 3
    assert f"stops at {place}" in rk("show", "last").out and len(executed()) == 6
    rk("break", "last", place, "--off")
    rk("continue", "last", place)
    process = began("resume", "last")
    until(lambda: len(executed()) >= 8)
    busy = rk("resume", "last")
    assert busy.code == 4 and "being written" in busy.err
    rk("cancel", "last")
    done = ended(process)
    assert done.code == 1 and "cancel" in done.err
    assert "failed" in rk("runs").out
    assert rk("resume", "last", "-q").out == "30\n"
    assert len(executed()) <= 30 + 1


def test_edit_reaches_a_running_run_and_is_refused_by_a_finished_one() -> None:
    rk("run", "prog.py:reviewed", "topic=rooks")
    assert rk("edit", "last", "nothing", "x").code == 1
    assert rk("edit", "last", "titles", '["eggs"]').code == 0
    for call, value in (("ask", "yes"), ("ask_2", "5")):
        rk("answer", "last", call, value)
    code = rk("resume", "last", "-q").code
    if code == 3:  # what was shown with a question has changed, so it is asked again
        rk("answer", "last", "ask", "yes")
        assert rk("resume", "last", "-q").code == 0
    assert rk("show", "last", "--json").data["value"] == "5: about eggs"
    done = rk("edit", "last", "titles", "[]")
    assert done.code == 1 and "is finished" in done.err and "rookery fork" in done.err


def test_fork_runs_only_what_depends_on_the_edit() -> None:
    first = rk("run", "prog.py:article", "topic=rooks", "--json").data
    forked = rk("fork", first["run"], 'titles=["eggs", "calls"]', "--json")
    assert forked.code == 0 and forked.data["value"] == "about eggs; about calls" and forked.data["run"] != first["run"]
    assert rk("fork", first["run"], "section[1]=about nothing", "-q").out == "about nests; about nothing\n"
    assert rk("show", forked.data["run"], "--json").data["parent"] == first["run"]
    for words in (["nonsense"], ["titles=5"], ["nothing=1"]):
        done = rk("fork", first["run"], *words)
        assert done.code in (1, 2) and "error:" in done.err


def test_resume_with_the_program_in_another_place() -> None:
    rk("run", "prog.py:reviewed", "topic=rooks")
    Path("prog.py").rename("moved.py")
    done = rk("resume", "last")
    assert done.code == 2 and "cannot be loaded" in done.err and "FILE.py:NAME" in done.err
    assert rk("resume", "last", "moved.py:reviewed").code == 3


def test_prune_by_name_by_state_and_by_age() -> None:
    kept = rk("run", "prog.py:reviewed", "topic=rooks", "--json").data["run"]
    first = rk("run", "prog.py:article", "topic=rooks", "--json").data["run"]
    rk("run", "prog.py:article", "topic=crows", "--json")
    assert rk("prune").code == 2
    assert rk("prune", "--older-than", "1", "--json").data["removed"] == []
    assert rk("prune", first, "--json").data["removed"] == [first]
    assert len(rk("prune", "--finished", "--json").data["removed"]) == 1
    assert [line["run"] for line in rk("runs", "--json").data["runs"]] == [kept]
    assert rk("answer", kept, "ask", "yes").code == 0


def test_limits_end_a_run() -> None:
    done = rk("run", "prog.py:article", "topic=rooks", "--limit", "calls=2")
    assert done.code == 1 and "calls" in done.err and "rookery resume" in done.err
    assert rk("resume", "last", "-q").out == "about nests; about calls\n"


# ------------------------------------------------------------------ words into programs and values


def test_origins_find_the_program_again() -> None:
    assert load("prog.py:article").origin == str(Path("prog.py").resolve()) + ":article"
    assert load("prog:article").origin == "prog:article"
    assert load("prog.py:article").graph.origin.endswith("prog.py:article")


@pytest.mark.parametrize(("text", "type_", "value"), [
    ("5", int, 5), ("5", str, "5"), ('"5"', str, "5"), ("a b", str, "a b"), ("", str, ""), ("[1, 2]", list[int], [1, 2]), ("yes", bool, True),
    ("null", int | None, None), ("null", str, "null"), ("5", float, 5.0), ('{"a": 1}', dict[str, int], {"a": 1}), ('{"a": 1}', str, '{"a": 1}'),
])
def test_words_become_values(text: str, type_: Any, value: Any) -> None:
    assert value_of(text, type_) == value


@pytest.mark.parametrize(("text", "type_"), [("x", int), ("[1, x]", list[int]), ('["a"]', list[int]), ("5.5", int)])
def test_words_that_are_no_values(text: str, type_: Any) -> None:
    with pytest.raises(ParseFailed):
        value_of(text, type_)


def test_limits_are_read() -> None:
    assert limit_of("tokens=1_000,usd=0.5,calls=3,seconds=2") == Limit(tokens=1000, usd=0.5, calls=3, seconds=2)
    assert limit_of("") is None
    for wrong in ("tokens", "tokens=x", "euro=5", "usd=-1", "usd=nan"):
        with pytest.raises(InputError):
            limit_of(wrong)
