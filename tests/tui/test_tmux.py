"""The application driven for real, in tmux: start, talk, approve, break, edit, resume, quit; and what is left when its terminal is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from rookery import SQLiteLog, show
from tests.tui.terminal import Terminal, has_tmux, rookery

OFFICE = Path(__file__).with_name("office.py")
ROOT = Path(__file__).parents[2]
pytestmark = [has_tmux, pytest.mark.slow, pytest.mark.timeout(240)]


def opened(tmp_path: Path, *words: str, size: tuple[int, int] = (100, 30), **environment: str) -> Terminal:
    return Terminal(rookery(*words, "--log", str(tmp_path / "log.db")), folder=tmp_path, size=size, PYTHONPATH=str(ROOT), **environment)


def run_of(tmp_path: Path) -> str:
    log = SQLiteLog(tmp_path / "log.db")
    found = log.runs()[0].run
    log.close()
    return found


def wait_for(tmp_path: Path, run: str, status: str, within_s: float = 60.0) -> None:
    end = time.monotonic() + within_s
    while show(run, log=tmp_path / "log.db").status != status:
        assert time.monotonic() < end, f"{run} is not {status}"
        time.sleep(0.2)


def test_start_talk_and_approve(tmp_path: Path) -> None:
    with opened(tmp_path, "tui", f"{OFFICE}:office") as terminal:
        terminal.until("run ", "ctrl+s begins")
        terminal.press("C-s")
        terminal.until("Whom shall I greet?", "waits for you", "live")
        terminal.press("4")
        terminal.until("enter answers")
        terminal.type("Ada")
        terminal.press("Enter")
        terminal.until("permission", "send_mail", "Ada@example.org")
        time.sleep(0.6)  # a yes that comes with the question is not taken
        terminal.press("y")
        terminal.until("finished", "sent to Ada@example.org")
        time.sleep(0.3)
        terminal.press("q")
        screen = terminal.until("ended with 0")
        assert "icanon" in screen or "-icanon" not in screen  # the terminal is as it was


def test_break_edit_and_fork(tmp_path: Path) -> None:
    with opened(tmp_path, "run", "--tui", f"{OFFICE}:letter", "name=Ada") as terminal:
        terminal.until("letter-", "finished", "pair")
        terminal.press("Home")
        terminal.until("Good morning to you")
        terminal.press("e")
        terminal.until("value of greeting", "ctrl+s keeps it")
        terminal.press("C-a", "C-k")
        time.sleep(0.5)  # keys that are bound and keys that are typed do not wait for each other
        terminal.type("Sleep well")
        terminal.press("C-s")
        terminal.until("Sleep well", "finished")
        fork = run_of(tmp_path)
        wait_for(tmp_path, fork, "finished")
        view = show(fork, log=tmp_path / "log.db")
        assert view.calls["greeting"].attempts == 1 and view.spend.calls == 1  # only what depends on the edit asked a model again
        terminal.press("E")
        terminal.until("prompt greeting")
        terminal.press("Escape")
        time.sleep(0.5)
        terminal.press("d")
        terminal.until("compare")
        terminal.press("Enter")
        terminal.until("left", "right", "differ")
        terminal.press("q")
        terminal.until("ended with 0")


def test_a_breakpoint_holds_a_call_until_it_is_let_go(tmp_path: Path) -> None:
    program = tmp_path / "slow.py"
    program.write_text(
        "import time\nfrom rookery import graph, tool\n"
        "@tool\ndef first(n: int) -> int:\n    time.sleep(2)\n    return n\n"
        "@tool\ndef second(n: int) -> int:\n    time.sleep(4)\n    return n + 1\n"
        "@tool\ndef third(n: int) -> int:\n    return n + 1\n"
        "@graph\ndef slow(n: int) -> int:\n    return third(n=second(n=first(n=n)))\n"
    )
    with opened(tmp_path, "run", "--tui", f"{program}:slow", "n=1") as terminal:
        terminal.until("slow-", "third", "running")
        terminal.press("End", "b")
        terminal.until("break before this call")
        terminal.press("Enter")
        terminal.until("◉")
        terminal.until("waits for you")
        terminal.press("c")
        terminal.until("finished")
        terminal.press("q")
        terminal.until("ended with 0")


def test_killing_the_terminal_touches_no_run(tmp_path: Path) -> None:
    with opened(tmp_path, "tui", f"{OFFICE}:office") as terminal:
        terminal.until("ctrl+s begins")
        terminal.press("C-s")
        terminal.until("Whom shall I greet?", "live")
        run = run_of(tmp_path)
    # the terminal is gone, with everything that it was the terminal of
    log = SQLiteLog(tmp_path / "log.db")
    time.sleep(1.0)
    owner = log.runs()[0].owner
    assert owner, "the run went down with the terminal"
    with opened(tmp_path, "tui", run) as terminal:
        terminal.until("Whom shall I greet?", "live")
        terminal.press("a")
        terminal.until("question", "text")
        terminal.type("Grace")
        terminal.press("Enter")
        terminal.until("May send_mail")
        os.kill(int(owner.split(":")[1]), signal.SIGKILL)  # now the run's own process
        terminal.until_gone("live")
        terminal.press("r")
        terminal.until("live")
        terminal.press("a")
        terminal.until("permission")
        time.sleep(0.6)
        terminal.press("y")
        terminal.until("finished")
        terminal.press("q")
        terminal.until("ended with 0")
    view = show(run, log=log)
    assert view.status == "finished" and view.calls["office/greeting"].attempts == 1  # what was finished was not asked again
    log.close()


def test_killed_by_a_signal_it_leaves_a_sane_terminal(tmp_path: Path) -> None:
    with Terminal(rookery("tui", "--demo"), folder=tmp_path, PYTHONPATH=str(ROOT)) as terminal:
        terminal.until("article-rooks")
        shell = terminal.pane_pid
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(shell)], capture_output=True, text=True, check=True).stdout.split()
        os.kill(int(children[0]), signal.SIGTERM)
        screen = terminal.until("ended with 143")
        assert "article-rooks" not in screen
        terminal.type("echo sane")
        terminal.press("Enter")
        terminal.until("\nsane")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "vt100"}])
def test_without_colour_states_are_told_in_words(tmp_path: Path, environment: dict[str, str]) -> None:
    with Terminal(rookery("tui", "--demo"), folder=tmp_path, PYTHONPATH=str(ROOT), **environment) as terminal:
        screen = terminal.until("article-rooks", "finished", "failed", "stopped")
        assert "leaflet-cornish" in screen


@pytest.mark.xfail(strict=False, reason="known fault: at 40 columns lines of the detail panel stand there several times")
def test_a_narrow_terminal_and_one_resized_in_mid_stream(tmp_path: Path) -> None:
    with opened(tmp_path, "tui", f"{OFFICE}:office", size=(40, 20)) as terminal:
        terminal.until("ctrl+s")
        terminal.press("C-s")
        terminal.until("Whom shall I greet?")
        terminal.press("4")
        terminal.until("enter")
        terminal.type("a rather long name that goes on")
        terminal.press("Enter")
        for size in ((30, 10), (200, 60), (40, 12), (100, 30)):
            terminal.resize(*size)
            time.sleep(0.25)
        terminal.until("May send_mail", "permission")
        terminal.press("Escape")
        time.sleep(0.6)
        terminal.press("Escape")
        time.sleep(0.6)
        terminal.press("q")
        terminal.until("ended with 0")


def test_without_a_terminal_it_says_so(tmp_path: Path) -> None:
    done = subprocess.run(rookery("tui"), cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.returncode == 2 and "needs a terminal" in done.stderr and "rookery show" in done.stderr
