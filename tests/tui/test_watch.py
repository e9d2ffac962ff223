"""A run read from its log: as it grows, at every moment of it, damaged, from a newer version; and its outline against the fold."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery import MemoryLog, SQLiteLog, prompt, start
from rookery.core import event as ev
from rookery.core.view import View, fold
from rookery.engine.log import Message
from rookery.errors import LogCorrupt, LogTooNew, RunUnknown
from rookery.testing import Latency, ScriptedModel, SimulatedModel
from rookery.tui.demo import record
from rookery.tui.outline import MANY, Outline
from rookery.tui.watch import Watch
from tests.core.test_view import of


def test_the_runs_of_the_demo_are_the_same_each_time() -> None:
    def told() -> list[Any]:
        log = MemoryLog()
        asyncio.run(record(log))
        return [[repr(event) for event in log.read(info.run)] for info in log.runs()]

    assert told() == told()


async def test_a_run_is_shown_as_its_events_come(log: MemoryLog) -> None:
    watch = Watch(log, "article-rooks")
    assert watch.status == "new" and watch.read() and watch.status == "finished"
    assert not watch.read() and watch.shown == len(watch.events) == 20
    with pytest.raises(RunUnknown):
        Watch(log, "no-such-run")


async def test_every_moment_is_what_the_fold_of_so_many_events_is(log: MemoryLog) -> None:
    watch = Watch(log, "search-24")
    watch.read()
    for moment in (0, 1, 50, 49, 120, 3, len(watch.events)):
        watch.go(moment)
        view = View(run="search-24")
        for event in watch.events[:moment]:
            view = fold(view, event)
        assert {path: call.status for path, call in watch.view.calls.items()} == {path: call.status for path, call in view.calls.items()}
        assert +watch.outline.root.counts == +view.counts and watch.shown == moment
    watch.go(None)
    assert watch.moment is None and watch.status == "finished"


paths = st.sampled_from(["a", "a/b", "a/b[0]", "a/b[1]", "c[2]/d", "c[3]", "e#0/f", "e#1", "a~2", "a/b[0]/x"])


@settings(deadline=None)
@given(st.lists(st.one_of([of(kind).map(lambda event: event) for kind in ev.KINDS if kind is not ev.CallText]), max_size=40), st.data())
def test_the_outline_counts_what_the_view_counts(log: list[Any], data: st.DataObject) -> None:
    view, outline = View(), Outline()
    for event in log:
        if hasattr(event, "call"):
            event.call = data.draw(paths)
        view = fold(view, event)
        outline.take(event, view)
        assert +outline.root.counts == Counter(call.status for call in view.calls.values())
        for item in outline.items.values():
            own = Counter({item.call.status: 1}) if item.call is not None else Counter()
            assert +item.counts == own + sum((below.counts for below in item.items.values()), Counter())
            assert set(item.busy) >= {path for path, below in item.items.items() if below.total > below.done}


def test_a_group_of_many_calls_lists_those_that_matter() -> None:
    view, outline = View(), Outline()
    events: list[ev.Event] = [ev.CallStarted(float(n), f"x[{n}]") for n in range(5_000)]
    events += [ev.CallFinished(float(n), f"x[{n}]", "=1") for n in range(5_000) if n != 17]
    for event in events:
        view = fold(view, event)
        outline.take(event, view)
    rows = outline.rows({"x": True})
    assert len(rows) <= 2 * MANY + 2 and any(row.item.path == "x[17]" for row in rows) and sum(row.left_out for row in rows) > 4_000
    assert len(outline.rows({"x": False})) == 1


def damaged(log: SQLiteLog, run: str, line: str) -> None:
    log._db.execute("INSERT INTO batch (id, body) SELECT max(id) + 1, ? FROM batch", (line,))


@pytest.mark.parametrize(("line", "error"), [("[not json", LogCorrupt), ('["?",1.0,"x"]', LogTooNew), ('["S",1.0,"x",1,"m",9]', LogTooNew)])
async def test_what_comes_before_damage_is_shown(tmp_path: Path, line: str, error: type[Exception]) -> None:
    log = SQLiteLog(tmp_path / "log.db")
    await record(log)
    damaged(log, "desk-ada", line)
    with pytest.raises(error) as raised:
        log.read("desk-ada")
    watch = Watch(log, "desk-ada")
    assert watch.read() and len(watch.events) == len(raised.value.readable) > 10  # type: ignore[attr-defined]
    assert isinstance(watch.fault, error) and watch.view.questions
    assert not watch.read()  # and it is not read again and again
    log.close()


async def test_a_file_cut_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = SQLiteLog(path)
    await record(log)
    log._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    log.close()
    data = path.read_bytes()
    for share in (0.9, 0.6, 0.3):
        path.write_bytes(data[: int(len(data) * share) // 8192 * 8192])
        try:
            cut = SQLiteLog(path)
            watches = [Watch(cut, info.run) for info in cut.runs()]
        except LogCorrupt:
            continue
        for watch in watches:
            watch.read()
            assert watch.fault is None or isinstance(watch.fault, LogCorrupt)
        cut.close()


async def test_a_log_reads_only_what_is_new(tmp_path: Path) -> None:
    writing, reading = SQLiteLog(tmp_path / "log.db"), SQLiteLog(tmp_path / "log.db")
    writer = writing.begin("r", new=True)
    writer.append([ev.RunStarted(1.0, "r", "p", "="), ev.CallStarted(1.0, "a"), ev.CallStarted(1.0, "b")], [])
    assert len(reading.read("r", after=1)) == 2 and len(reading.read("r")) == 3
    writer.append([ev.CallFinished(2.0, "a", "=1"), ev.CallFinished(2.0, "b", "=1")], [])
    assert [event.call for event in reading.read("r", after=4)] == ["b"]  # type: ignore[attr-defined]
    assert len(reading.read("r", after=3)) == 2 and reading.read("r", after=5) == [] and len(reading.read("r")) == 5
    writer.close()
    writing.close()
    reading.close()


@prompt
def story(topic: str) -> str:
    """Tell a story about {topic}."""


async def test_replies_are_seen_from_another_process_only_while_somebody_watches(tmp_path: Path) -> None:
    model = SimulatedModel(ScriptedModel(lambda request: "word " * 60), latency=Latency(completion_token_s=0.02, jitter=0))
    other = SQLiteLog(tmp_path / "log.db")
    async with start(story, topic="rooks", model=model, log=tmp_path / "log.db", id="r") as run:
        await asyncio.sleep(0.3)
        assert other.texts("r") == {}
        watch = Watch(other, "r")
        seen = []
        while not run.done:
            await asyncio.sleep(0.05)
            watch.read()
            seen.append(watch.view.calls["story"].text)
        await run
        assert sum(1 for text in seen if text) > 3 and max(seen, key=len).startswith("word word")
    watch.read()
    assert other.texts("r") == {} and watch.status == "finished"
    assert not [event for event in other.read("r") if isinstance(event, ev.CallText)]
    other.close()


async def test_watching_is_over_after_a_while(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("rookery.engine.run.WATCHED_S", 0.2)
    model = SimulatedModel(ScriptedModel(lambda request: "word " * 100), latency=Latency(completion_token_s=0.02, jitter=0))
    other = SQLiteLog(tmp_path / "log.db")
    async with start(story, topic="rooks", model=model, log=tmp_path / "log.db", id="r") as run:
        other.post("r", Message("watch"))
        shown = []
        for _ in range(12):
            await asyncio.sleep(0.1)
            shown.append(bool(other.texts("r")))
        assert any(shown) and not shown[-1]
        await run
    other.close()
