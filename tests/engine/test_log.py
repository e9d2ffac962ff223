"""The contract of logs, over every implementation; and what is SQLite's own: leases, damage, pruning, full disks."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rookery import MemoryLog, SQLiteLog, fork, run, show
from rookery.core import event as ev
from rookery.core.value import Writer, codec, plain
from rookery.engine.log import Log, Message, committed
from rookery.errors import LogCorrupt, LogError, LogFull, LogTooNew, RunBusy, RunUnknown
from rookery.testing import ScriptedModel
from tests.programs import article, asking, counting, writer

MakeLog = Callable[[], Log]


@pytest.fixture(params=["memory", "sqlite", "sqlite power"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Log:
    if request.param == "memory":
        return MemoryLog()
    return SQLiteLog(tmp_path / "log.db", durable="power" if "power" in request.param else "process")


def started(run_id: str) -> ev.RunStarted:
    return ev.RunStarted(1.0, run_id, "here:program", "=null")


async def test_what_is_appended_is_read_in_order(log: Log) -> None:
    writer_ = log.begin("r", new=True)
    events: list[ev.Event] = [started("r"), *(ev.CallFinished(float(i), f"call[{i}]", f"={i}") for i in range(5)), ev.RunFinished(9.0, "=1")]
    for batch in (events[:1], events[1:4], events[4:]):
        await committed(writer_.append(batch, []))
    assert log.read("r") == events
    assert log.read("r", after=4) == events[4:]
    writer_.close()
    writer_.close()
    [info] = log.runs()
    assert (info.run, info.program, info.state, info.owner) == ("r", "here:program", "finished", "")


async def test_values_are_stored_once_and_found(log: Log) -> None:
    writer_ = log.begin("r", new=True)
    values = Writer()
    reference = values.write("x" * 1000, codec(str))
    await committed(writer_.append([started("r")], values.take()))
    await committed(writer_.append([ev.RunFinished(2.0, reference)], Writer().take() or [(reference[1:], log.get(reference[1:]))]))
    assert plain(reference, log.get) == "x" * 1000
    with pytest.raises(LogCorrupt, match="missing"):
        log.get("0" * 32)
    writer_.close()


async def test_one_writer_a_run(log: Log) -> None:
    with pytest.raises(RunUnknown):
        log.begin("r", new=False)
    first = log.begin("r", new=True)
    await committed(first.append([started("r")], []))
    with pytest.raises(RunBusy):
        log.begin("r", new=False)
    with pytest.raises(RunBusy):
        log.begin("r", new=True)
    other = log.begin("s", new=True)
    other.close()
    first.close()
    log.begin("r", new=False).close()
    with pytest.raises(RunUnknown):
        log.read("nowhere")


async def test_the_inbox_brings_messages_once(log: Log) -> None:
    writer_ = log.begin("r", new=True)
    await committed(writer_.append([started("r")], []))
    assert writer_.inbox() == []
    message = Message("answer", "ask", {"a": [1, None]}, "ada")
    log.post("r", message)  # type: ignore[attr-defined]
    assert writer_.inbox() == [message]
    assert writer_.inbox() == []
    with pytest.raises(RunUnknown):
        log.post("nowhere", message)  # type: ignore[attr-defined]
    writer_.close()


def test_a_run_reads_back_as_it_went(log: Log) -> None:
    value = run(article, topic="rooks", model=ScriptedModel(writer), log=log, id="a")
    view = show("a", log=log)
    assert view.status == "finished" and view.counts["done"] == 5 and plain(view.value, log.get) == value
    assert view.spend.calls == 4 and view.spend.tokens > 0


def test_files_that_are_no_logs(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to be looked at " * 40)
    with pytest.raises(LogCorrupt):
        SQLiteLog(text)
    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE t (x)")
    db.close()
    with pytest.raises(LogCorrupt, match="not a log of rookery"):
        SQLiteLog(other)
    with pytest.raises(LogError):
        SQLiteLog(tmp_path)


def test_a_log_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    SQLiteLog(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 2001")
    db.close()
    with pytest.raises(LogTooNew, match="newer rookery") as caught:
        SQLiteLog(path)
    assert "upgrade" in caught.value.hint


def test_damage_is_found(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = SQLiteLog(path)
    run(counting, x=3, log=log, id="a")
    assert log.check() == []
    log._db.execute("UPDATE batch SET body = '[\"F\",1' WHERE id = (SELECT max(id) FROM batch)")
    with pytest.raises(LogCorrupt):
        log.read("a")
    log._db.execute("DELETE FROM value")
    assert any("missing" in fault for fault in log.check())
    log.close()
    data = bytearray(path.read_bytes())
    data[100:4000] = os.urandom(3900)
    path.write_bytes(data)
    with pytest.raises(LogCorrupt):
        SQLiteLog(path).runs()


def test_pruning_keeps_what_others_need(tmp_path: Path) -> None:
    log = SQLiteLog(tmp_path / "log.db")
    for name in ("a", "b"):
        run(long_text, word="x", log=log, id=name)
    run(long_text, word="y", log=log, id="c")
    assert log.prune(["a"]) == 0
    assert plain(show("b", log=log).value, log.get) == "x" * 500
    assert log.prune(["b"]) >= 500
    assert log.check() == [] and [info.run for info in log.runs()] == ["c"]
    with pytest.raises(RunUnknown):
        log.prune(["c", "b"])
    assert [info.run for info in log.runs()] == ["c"]
    held = log.begin("c", new=False)
    with pytest.raises(RunBusy):
        log.prune(["c"])
    held.close()


def long_text_of(word: str) -> str:
    return word * 500


from rookery import tool  # noqa: E402

long_text = tool(inline=True)(long_text_of)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_pruning_never_breaks_a_reference(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    log = SQLiteLog(tmp_path_factory.mktemp("log") / "log.db")
    alive: list[str] = []
    for number in range(data.draw(st.integers(2, 6))):
        name = f"r{number}"
        if alive and data.draw(st.booleans()):
            asyncio.run(_forked(log, data.draw(st.sampled_from(alive)), name, data.draw(st.sampled_from("xyz"))))
        else:
            run(long_text, word=data.draw(st.sampled_from("xyz")), log=log, id=name)
        alive.append(name)
        if data.draw(st.booleans()):
            gone = data.draw(st.sampled_from(alive))
            log.prune([gone])
            alive.remove(gone)
        assert log.check() == []
        for left in alive:
            assert len(plain(show(left, log=log).value, log.get)) == 500
    log.close()


async def _forked(log: SQLiteLog, parent: str, name: str, word: str) -> None:
    async with fork(parent, long_text, log=log, edit={"inputs.word": word}, new=name) as r:
        await r


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from rookery import run, RookeryError, loop, graph, tool
import os
@tool(inline=True)
def grow(text: str) -> str:
    with open(sys.argv[2], "a") as file:
        file.write("x")
    return os.urandom(20_000).hex()
@graph
def program(text: str) -> str:
    return loop(grow, text=text, times=1000)
from rookery import SQLiteLog
log = SQLiteLog(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
try:
    run(program, text="", log=log, id="r")
except RookeryError as error:
    print(type(error).__name__)
"""


def test_a_full_disk_is_said_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """RLIMIT_FSIZE makes writes past 2 MB fail as a full disk does."""
    path, counted = tmp_path / "log.db", tmp_path / "count"
    done = subprocess.run([sys.executable, "-c", FULL, str(path), str(counted)], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "LogFull", done.stderr
    log = SQLiteLog(path)
    assert log.check() == []
    finished = [event for event in log.read("r") if isinstance(event, ev.CallFinished)]
    assert len(finished) >= len(counted.read_text()) - 1 >= 10
    for event in finished:
        assert len(plain(event.value, log.get)) == 40_000
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 2_000_000


def test_a_log_where_nothing_can_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(LogFull):
        SQLiteLog(file / "below" / "log.db")


async def test_two_processes_at_one_run(tmp_path: Path) -> None:
    """A writer whose lease was taken over by force finds out at its next commit."""
    log = SQLiteLog(tmp_path / "log.db")
    first = log.begin("r", new=True)
    await committed(first.append([started("r")], []))
    log._db.execute("UPDATE run SET owner = ''")
    second = log.begin("r", new=False)
    await committed(second.append([ev.RunResumed(2.0, "second")], []))
    with pytest.raises(RunBusy, match="lost the run's lease"):
        await committed(first.append([ev.RunFinished(3.0, "=1")], []))
    second.close()
    first.close()


async def test_the_run_waits_in_the_log_while_nobody_carries_it(tmp_path: Path) -> None:
    from rookery import resume, start

    path = tmp_path / "log.db"
    async with start(asking, x=1, log=path, id="r") as r:
        await r.until_waiting()
    SQLiteLog(path).post("r", Message("answer", "ask", True, "ada"))
    async with resume("r", asking, log=path) as r:
        assert await r == "4 True"


async def test_a_message_stays_until_what_became_of_it_is_committed(tmp_path: Path) -> None:
    log = SQLiteLog(tmp_path / "log.db")
    first = log.begin("r", new=True)
    await committed(first.append([started("r")], []))
    message = Message("answer", "ask", True, "ada")
    log.post("r", message)
    assert first.inbox() == [message]
    first.close()  # it died before it could commit the answer
    second = log.begin("r", new=False)
    assert second.inbox() == [message]
    await committed(second.append([ev.QuestionAnswered(2.0, "ask", "=true", "ada")], []))
    second.close()
    third = log.begin("r", new=False)
    assert third.inbox() == []
    for word in ("first", "second", "third"):
        log.post("r", Message("answer", word))
        assert [each.place for each in third.inbox()] == [word]
        await committed(third.append([ev.QuestionAnswered(3.0, word, "=true")], []))
    third.close()
    log.close()


async def test_a_run_that_died_before_its_first_commit_can_be_started(tmp_path: Path) -> None:
    log = SQLiteLog(tmp_path / "log.db")
    log.begin("r", new=True).close()
    assert log.runs() == []
    with pytest.raises(RunUnknown):
        log.begin("r", new=False)
    log.begin("r", new=True).close()
    log.close()


def test_a_mapped_list_may_be_the_run_s_value(log: Log) -> None:
    from rookery import graph
    from tests.programs import double

    @graph
    def mapped(xs: list[int]) -> list[int]:
        return double.each(x=xs)

    assert run(mapped, xs=list(range(300)), log=log, id="m") == [2 * x for x in range(300)]
    assert plain(show("m", log=log).value, log.get) == [2 * x for x in range(300)]
