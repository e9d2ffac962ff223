"""The screens of memory, tools and models: searched, read, changed back, proven; on folders of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from rookery import MemoryLog
from rookery.memory import Memory
from rookery.memory.exact import ExactVectors
from rookery.tools.library import ToolLibrary
from rookery.tools.record import Example
from rookery.tui.app import RookeryApp
from rookery.tui.models_page import spent_by_model
from rookery.tui.rows import Rows
from tests.tui.screens import press, settle, text_of

WIDE = (130, 40)
SOURCE = '''def double(n: int) -> int:
    """Twice a number."""
    return 2 * n
'''


async def until(pilot, words: str) -> str:  # type: ignore[no-untyped-def]
    for _ in range(200):
        await pilot.pause(0.05)
        if words in (text := text_of(pilot.app)):
            return text
    raise AssertionError(f"{words!r} did not come up:\n{text_of(pilot.app)}")


async def test_memory_is_searched_and_a_write_reverted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOKERY_MEMORY", str(tmp_path))
    async with Memory(scope="user:ada", path=tmp_path, vectors=ExactVectors()) as memory:
        await memory.keep("The rooks nest in the elms.", source="turn 1")
        await memory.keep("Ada lives in \x1b[31mBath\x1b[0m.", source="turn 2")
    async with Memory(scope="user:grace", path=tmp_path, vectors=ExactVectors()) as memory:
        await memory.keep("Grace keeps bees.")
    app = RookeryApp(MemoryLog(), page="memory")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        shown = await until(pilot, "Ada lives in Bath")
        assert "items of user:ada" in shown and "Grace" not in shown
        await press(pilot, "d")
        await until(pilot, "changes of user:ada")
        await press(pilot, "v")
        await until(pilot, "Revert write 2")
        await press(pilot, "y")
        await until(pilot, "is undone by")
        await press(pilot, "d")
        await until(pilot, "items of user:ada")
        await press(pilot, "o", "down", "enter")
        assert "Grace keeps bees" in await until(pilot, "of user:grace")
        await press(pilot, "slash")
        app.screen.query_one("#query", Input).value = "who keeps bees?"
        await press(pilot, "enter")
        await until(pilot, "items for")
    async with Memory(scope="user:ada", path=tmp_path, vectors=ExactVectors()) as memory:
        assert ["elms" in item.text for item in await memory.items()] == [True]


async def test_a_memory_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOKERY_MEMORY", str(tmp_path / "none"))
    app = RookeryApp(MemoryLog(), page="memory")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, "there is no memory")
        await press(pilot, "d", "v", "y")
    assert not (tmp_path / "none").exists()


async def test_tools_are_read_and_proven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOKERY_TOOLS", str(tmp_path))
    async with await ToolLibrary.open(tmp_path) as library:
        library.add(SOURCE, examples=[Example({"n": 2}, 4)])
        await library.save()
    app = RookeryApp(MemoryLog(), page="tools")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        shown = await until(pilot, "Twice a number.")
        assert "return 2 * n" in shown and "candidate" in shown
        await press(pilot, "v")
        await until(pilot, "came out right")
        await until(pilot, "verified")


async def test_a_library_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOKERY_TOOLS", str(tmp_path / "none"))
    app = RookeryApp(MemoryLog(), page="tools")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, "there is no library")
        await press(pilot, "v", "V", "y")
    assert not (tmp_path / "none").exists()


async def test_models_with_what_they_have_cost(log: MemoryLog) -> None:
    spend, runs = spent_by_model(log)["scripted:rookery"]
    assert runs == 3 and spend.calls == 6 + 1 + 3
    app = RookeryApp(log, page="models")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, "embedded:game24")
        await settle(pilot)
        await press(pilot, "end")
        shown = await until(pilot, "spent in this log")
        assert "scripted:rookery" in shown and "requests" in shown
        assert app.screen.query_one(Rows).row["model"] == "scripted:rookery"
