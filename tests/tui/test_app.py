"""What each key does: messages in the run's inbox, ways between screens, files, and text that is shown and never obeyed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, TextArea

from rookery import MemoryLog, SQLiteLog, graph, prompt, start, tool
from rookery.core import event as ev
from rookery.engine.log import Message
from rookery.errors import CapabilityMissing
from rookery.testing import ScriptedModel
from rookery.tui import dialog, ink
from rookery.tui.app import RookeryApp
from rookery.tui.calls import CallList
from rookery.tui.detail import whole
from rookery.tui.dialog import AskDialog, pictured
from rookery.tui.rows import Rows
from rookery.tui.save import png, savings
from rookery.tui.transcript import markdown, turns
from rookery.tui.watch import Watch
from tests.tui.screens import press, settle, text_of

WIDE = (130, 40)


def said_to(log: MemoryLog, run: str) -> list[Message]:
    """The messages in a run's inbox, those that only watch left out."""
    writer = log.begin(run, new=False)
    try:
        return [message for message in writer.inbox() if message.verb != "watch"]
    finally:
        writer.close()


def calls(app: RookeryApp) -> CallList:
    return app.screen.query_one(CallList)


# ------------------------------------------------------------------ questions


@pytest.mark.parametrize(("key", "answer"), [("y", True), ("n", False)])
async def test_a_permission_is_given_or_refused(log: MemoryLog, monkeypatch: pytest.MonkeyPatch, key: str, answer: bool) -> None:
    monkeypatch.setattr(dialog, "GUARD_S", 0.0)
    app = RookeryApp(log, run="desk-ada", page="run")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "a")
        assert isinstance(app.screen, AskDialog)
        shown = text_of(app)
        assert "send_mail" in shown and '"ada@example.org"' in shown and "\\nSee you on Friday!" in shown  # exactly, line ends too
        assert app.focused is not None and app.focused.id == "no"
        await press(pilot, key)
        assert [(m.verb, m.value) for m in said_to(log, "desk-ada")] == [("answer", answer)]


@pytest.mark.parametrize("keys", [["escape"], ["y"], ["y", "escape"], ["x", "1", "escape"]])
async def test_nothing_but_a_plain_yes_is_one(log: MemoryLog, monkeypatch: pytest.MonkeyPatch, keys: list[str]) -> None:
    monkeypatch.setattr(dialog, "GUARD_S", 60.0)  # a yes that comes at once was meant for something else
    app = RookeryApp(log, run="desk-ada", page="talk")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        assert isinstance(app.screen, AskDialog)  # in a talk it comes by itself
        await press(pilot, *keys)
        if keys == ["y"]:
            assert isinstance(app.screen, AskDialog) and "press it again" in text_of(app)
    assert said_to(log, "desk-ada") == []


async def test_a_question_answered_elsewhere_takes_its_dialog_away(log: MemoryLog) -> None:
    app = RookeryApp(log, run="desk-ada", page="run")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "a")
        writer = log.begin("desk-ada", new=False)
        call = next(iter(app.current.view.questions))  # type: ignore[union-attr]
        writer.append([ev.QuestionAnswered(2e9, call, "=false", "grace")], [])
        writer.close()
        await pilot.pause(0.7)
        await settle(pilot)
        assert not isinstance(app.screen, AskDialog) and said_to(log, "desk-ada") == []


def test_what_asks_for_permission_hides_nothing() -> None:
    arguments = {"to": "a\u202eb\u200b\x1b[2K", "n": [1, {"deep": "x" * 3_000}]}
    shown = {"tool": "send\u202eliam", "arguments": arguments, "labels": ["text came from the web"]}
    text = pictured(shown).plain
    assert "\u202e" not in text and "\\u202e" in text and "\\u200b" in text and "\x1b" not in text and "x" * 3_000 in text
    assert "text came from the web" in text


# ------------------------------------------------------------------ going about


async def test_variables_are_followed(log: MemoryLog) -> None:
    app = RookeryApp(log, run="article-rooks", page="run")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "down", "down")
        assert calls(app).path == "section[0]"
        await press(pilot, "f", "enter")
        assert calls(app).path == "outline"
        await press(pilot, "f", "end", "enter")
        assert calls(app).path.startswith("section")


async def test_groups_fold_and_calls_are_found(log: MemoryLog) -> None:
    app = RookeryApp(log, run="article-rooks", page="run")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        before = len(calls(app).items)
        await press(pilot, "down", "left")
        assert len(calls(app).items) == before - 4
        await press(pilot, "right", "slash", *"head", "enter")
        assert [row.item.path for row in calls(app).items] == ["headline"]
        await press(pilot, "slash", "ctrl+a", "ctrl+k", "enter")
        assert len(calls(app).items) == before


async def test_any_moment_can_be_jumped_to_and_stepped_from(log: MemoryLog) -> None:
    app = RookeryApp(log, run="article-rooks", page="events")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "home", "down", "down", "enter")
        assert app.current is not None and app.current.moment == 3 and app.current.status == "running"
        assert "moment 3 of 20" in text_of(app)
        await press(pilot, "right_square_bracket")
        assert app.current.moment == 4
        await press(pilot, "left_square_bracket", "left_square_bracket", "2")
        assert app.current.moment == 2 and "running" in text_of(app) and "◀ moment 2" in text_of(app)
        await press(pilot, "5", "0")
        assert app.current.moment is None and app.current.status == "finished"


async def test_a_search_is_unfolded_along_its_best_path(log: MemoryLog) -> None:
    app = RookeryApp(log, run="search-24", page="search")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "o")
        rows = app.screen.query_one(Rows)
        assert "[24]" in text_of(app) and "← the answer" in text_of(app) and rows.cursor > 0
        count = len(rows.items)
        await press(pilot, "home", "space")
        assert len(rows.items) == 1
        await press(pilot, "space")
        assert len(rows.items) == count and "seconds" in text_of(app) and "verified" in text_of(app)


async def test_two_runs_side_by_side(log: MemoryLog) -> None:
    app = RookeryApp(log, run="article-rooks", page="run")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "d", "enter")
        await settle(pilot)
        assert "differ" in text_of(app) and "left" in text_of(app)
        await press(pilot, "u", "n", "escape")
        assert app.screen.query(CallList)


async def test_the_palette_and_both_themes(log: MemoryLog) -> None:
    app = RookeryApp(log, run="article-rooks", page="run")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "ctrl+p", *"compare")
        await pilot.pause(0.5)
        assert "beside another" in text_of(app)
        await press(pilot, "escape", "ctrl+t")
        assert app.theme == ink.LIGHT.name
        await press(pilot, "question_mark")
        assert app.screen.query("HelpPanel")
        for key in "12345":
            await press(pilot, key)
        assert "events" in text_of(app)


# ------------------------------------------------------------------ steering


async def test_breakpoints_pauses_and_cancelling_go_through_the_inbox(log: MemoryLog) -> None:
    app = RookeryApp(log, run="leaflet-cornish", page="run")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "end", "b", "enter", "p", "x", "y")
        assert [(m.verb, m.place, m.value) for m in said_to(log, "leaflet-cornish")] == [
            ("breakpoint", "polish", True), ("pause", "", None), ("cancel", "", None),
        ]  # fmt: skip
        await press(pilot, "b", "down", "enter")
        assert said_to(log, "leaflet-cornish")[-1].place in ("translate", "glossary")  # a variable that it reads


async def test_a_value_is_edited_as_what_it_is(log: MemoryLog) -> None:
    app = RookeryApp(log, run="leaflet-cornish", page="run")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "down", "e")  # glossary has failed: its value is given by hand
        area = app.screen.query_one(TextArea)
        area.text = "{not json"
        await press(pilot, "ctrl+s")
        assert "not JSON" in text_of(app)
        area.text = '{"rook": "bran"}'
        await press(pilot, "ctrl+s")
        assert [(m.verb, m.place, m.value) for m in said_to(log, "leaflet-cornish")] == [("edit", "glossary", {"rook": "bran"})]
        await press(pilot, "i", "e", "enter")
        assert app.screen.query_one(TextArea).text == "The rooks are back."
        await press(pilot, "escape")


async def test_a_finished_run_is_not_steered_but_forked(log: MemoryLog) -> None:
    app = RookeryApp(log, run="article-rooks", page="run")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await press(pilot, "p", "r")
        assert said_to(log, "article-rooks") == []
        await press(pilot, "down", "E")
        area = app.screen.query_one(TextArea)
        assert "{title}" in area.text  # the prompt with its holes
        area.text = area.text + " Three."
        await press(pilot, "ctrl+s")  # a log in memory cannot be carried on by another process, and it says so
        await settle(pilot)


# ------------------------------------------------------------------ files


async def test_what_can_be_saved(log: MemoryLog, tmp_path: Path) -> None:
    app = RookeryApp(log, run="article-rooks", page="run", folder=tmp_path)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        for place in range(5):
            await press(pilot, "i", "s", *["down"] * place, "enter")
            await settle(pilot)
        await press(pilot, "i", "y")
        assert "The Parliament in the Elms" in app.clipboard
    names = {path.name for path in tmp_path.iterdir()}
    assert {"article-rooks-graph.svg", "article-rooks.md", "article-rooks-value.txt", "screen.svg"} <= names
    picture = (tmp_path / "article-rooks-graph.svg").read_text()
    assert picture.startswith("<svg") and "headline" in picture and "4/4 done" in picture
    assert "The Parliament in the Elms" in (tmp_path / "article-rooks.md").read_text()


async def test_the_tree_of_a_search_as_a_picture(log: MemoryLog) -> None:
    import xml.etree.ElementTree as xml

    watch = Watch(log, "search-24")
    watch.read()
    saving = next(saving for saving in savings(watch, "") if saving.name.endswith("tree.svg"))
    assert "[24]" in saving.make().decode() and xml.fromstring(saving.make())


def test_png_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cairosvg", None)
    with pytest.raises(CapabilityMissing, match="cairosvg"):
        png("<svg/>")


# ------------------------------------------------------------------ other people's text

NASTY = (
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 [bold]not bold[/bold] [link=http://x]y[/link] [@click=app.quit]press[/] "
    "\u202eevil\u202c שלום 👩‍👩‍👧‍👦 日本語 \x00\x07\r\n\tend"
)


@prompt
def nasty(text: str) -> str:
    """Say {text}"""


@tool
def big(text: str) -> str:
    return text * 50_000


@graph
def nastily(text: str) -> str:
    return big(text=nasty(text=text))


async def test_text_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    log = MemoryLog()
    async with start(nastily, text=NASTY, model=ScriptedModel(lambda request: NASTY), log=log, id="nasty-\x1b[2J") as run:
        await run
    app = RookeryApp(log, run="nasty-\x1b[2J", page="run")
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        for keys in (["down"], ["g"], ["4", "escape"], ["5", "home"], ["1"]):
            await press(pilot, *keys)
            text = text_of(app)
            assert not [char for char in text if char in "\x1b\x07\x00\u202e\u202c\r"]
            assert app.is_running
    watch = Watch(log, "nasty-\x1b[2J")
    watch.read()
    shown = whole(watch, "nasty", now=0).plain
    assert "[bold]not bold[/bold]" in shown and "שלום" in shown and "日本語" in shown
    assert len(whole(watch, "big", now=0).plain) < 60_000 and "more characters" in whole(watch, "big", now=0).plain  # of 5 MB and more
    assert "\x1b" not in markdown(watch) and all("\x1b" not in ink.line(turn.title, 100) for turn in turns(watch))
    for saving in savings(watch, "big"):
        if not saving.name.endswith(".png"):
            assert "/" not in saving.name and "\x1b" not in saving.name and saving.make()


@pytest.mark.parametrize("size", [(40, 12), (20, 6), (200, 60)])
async def test_every_screen_at_any_size(log: MemoryLog, size: tuple[int, int]) -> None:
    app = RookeryApp(log, run="desk-ada", page="run")
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for key in ("g", "g", "3", "5", "1", "2"):
            await press(pilot, key)
            assert text_of(app).strip()
        await pilot.resize_terminal(100, 30)
        await settle(pilot)
        assert "desk-ada" in text_of(app)


# ------------------------------------------------------------------ live


async def test_a_run_of_the_embedded_model_is_watched_live(tmp_path: Path) -> None:
    from examples.game24 import next_steps  # what the model has learned
    from rookery.models.provider import model
    from rookery.models.simulated import Latency, SimulatedModel

    slow = SimulatedModel(model("embedded:game24"), latency=Latency(0.0, 0.0, 0.03, jitter=0.0))  # its words last long enough to be seen
    log = SQLiteLog(tmp_path / "log.db")
    async with start(next_steps, hand="4 5 6 10", model=slow, log=tmp_path / "log.db", id="live") as run:
        app = RookeryApp(log, run="live", page="run")
        async with app.run_test(size=WIDE) as pilot:
            texts, states = set(), set()
            while not (run.done and app.current is not None and app.current.status == "finished"):
                await pilot.pause(0.05)
                if app.current is not None:
                    states.add(app.current.status)
                    texts |= {call.text for call in app.current.view.calls.values() if call.status == "running"}
            await settle(pilot)
            assert {"running", "finished"} <= states and any(text for text in texts)
            assert "embedded:game24" in text_of(app) and "4 5 6 10" in text_of(app)
        assert await run
    log.close()


async def test_answers_that_are_no_answers(log: MemoryLog) -> None:
    asked = ev.QuestionAsked(1.0, "ask", "How many?", {"type": "integer"})
    app = RookeryApp(log)
    answers: list[Any] = []
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        await app.push_screen(AskDialog(asked, None), answers.append)
        await press(pilot, *"many", "enter")
        assert "whole number" in text_of(app) and not answers
        app.screen.query_one(Input).value = "7"
        await press(pilot, "enter")
    assert answers == [(7,)]


async def test_the_runs_of_a_log_are_listed_found_and_removed(tmp_path: Path) -> None:
    from rookery.tui.demo import record

    log = SQLiteLog(tmp_path / "log.db")
    await record(log)
    app = RookeryApp(log, place_of_log=str(log.path))
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot)
        assert all(name in text_of(app) for name in ("desk-ada", "leaflet-cornish", "search-24", "article-rooks"))
        await press(pilot, "slash", *"failed", "enter")
        rows = app.screen.query_one(Rows)
        assert [info.run for info in rows.items] == ["leaflet-cornish"]
        await press(pilot, "delete", "n")
        assert len(log.runs()) == 4
        await press(pilot, "delete", "y")
        await asyncio.sleep(0.3)
        assert len(log.runs()) == 3
    log.close()
