"""The progress view: what it shows, that nothing a model writes can break it, and that it is quiet where it should be."""

from __future__ import annotations

import asyncio
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery import RookeryError, ask, graph, prompt, start, tool
from rookery.core import event as ev
from rookery.core.view import View, fold
from rookery.testing import ScriptedModel
from rookery.tui.progress import Progress, groups, money, picture, safe, totals, waits_for, watch

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Screen(io.StringIO):
    """A terminal of 80 columns that remembers all that was written to it."""

    def isatty(self) -> bool:
        return True


def view_of(*events: ev.Event) -> View:
    view = View()
    for event in (ev.RunStarted(1.0, "r", "p", "="), *events):
        view = fold(view, event)
    return view


def shown(view: View, width: int = 80, **known: int) -> str:
    return picture(view, title="a run", seconds=2.0, width=width, known=known).plain


def test_groups_count_by_place() -> None:
    view = view_of(
        ev.CallStarted(1.0, "heads"), ev.CallFinished(1.1, "heads", "=1", spend=ev.Spend(10, 5, calls=1)),
        *(ev.CallStarted(1.2, f"section[{i}]") for i in range(4)), ev.CallFinished(1.3, "section[0]", "=1"),
        ev.CallText(1.3, "section[2]", "Rooks are"),
    )
    heads, section = groups(view, known={"section": 64})
    assert (heads.status, heads.done, heads.known, heads.spend.tokens) == ("done", 1, 1, 15)
    assert (section.status, section.done, section.known, section.tail) == ("running", 1, 64, "Rooks are")
    text = shown(view, section=64)
    assert "section 1/64 " in text and "Rooks are" in text and "15 tokens" in text and "1 model call " in text


def test_a_program_shows_its_parts_and_not_itself() -> None:
    view = view_of(ev.CallStarted(1.0, "solve"), ev.CallStarted(1.1, "solve/judge[0]"), ev.CallStarted(1.1, "solve/judge~2[0]"))
    assert [(group.name, group.known) for group in groups(view)] == [("solve/judge", 2)]


def test_failures_and_further_attempts_say_why() -> None:
    fault = ev.Fault("ModelBusy", "come back later")
    text = shown(view_of(ev.CallStarted(1.0, "a"), ev.AttemptFailed(1.1, "a", 1, fault, 0.5)))
    assert "↻ a" in text and "come back later" in text
    text = shown(view_of(ev.CallStarted(1.0, "a"), ev.CallFailed(1.1, "a", fault)))
    assert "✗ a" in text and "come back later" in text


def test_it_says_what_a_person_is_needed_for() -> None:
    asked = view_of(ev.QuestionAsked(1.0, "ask", "is it good?", {"type": "boolean"}))
    assert waits_for(asked) == "ask: is it good?" and "waits for you: ask: is it good?" in shown(asked)
    assert waits_for(view_of(ev.BreakpointHit(1.0, "join"))) == "at a breakpoint: join"
    assert waits_for(view_of(ev.RunPaused(1.0))) == "paused"
    assert waits_for(view_of()) == ""


def test_many_groups_are_cut_to_a_few_lines() -> None:
    view = view_of(*(ev.CallStarted(1.0, f"call_{i}") for i in range(100)))
    assert len(shown(view).splitlines()) <= 11 and "more" in shown(view)


@pytest.mark.parametrize("text", [
    "\x1b[2J\x1b[31mred\x1b[0m", "\x1b]0;title\x07x", "[bold]x[/bold]", "[/]", "a\rb\x08c", "\x9b31m", "\x1b", "\x1bPq\x1b\\",
])
def test_what_a_model_writes_is_only_text(text: str) -> None:
    out = shown(view_of(ev.CallStarted(1.0, "a"), ev.CallText(1.0, "a", text)))
    assert not CONTROL.search(out)
    if text.startswith("["):
        assert text in out


@given(st.text(), st.integers(20, 200))
def test_no_text_breaks_the_picture(text: str, width: int) -> None:
    view = view_of(ev.CallStarted(1.0, text), ev.CallText(1.0, text, text), ev.QuestionAsked(1.0, "q", text, {}))
    out = picture(view, title=text, seconds=0.0, width=width)
    assert not CONTROL.search(out.plain) and len(out.plain.splitlines()) <= 12
    assert not CONTROL.search(safe(text))


def test_words_for_money_and_totals() -> None:
    assert (money(None), money(0.0), money(0.0123), money(12.3)) == ("", "", "$0.0123", "$12.30")
    view = view_of(ev.CallStarted(1.0, "a"), ev.CallFinished(1.0, "a", "=1", spend=ev.Spend(1000, 500, cost_usd=0.5, calls=2)))
    assert totals(view, 1.25) == "2 model calls · 1,500 tokens · $0.5000 · 1.2 s"


@tool
async def nap(x: int) -> int:
    await asyncio.sleep(0.03)
    return x


@tool(inline=True)
def total(xs: list[int]) -> int:
    return sum(xs)


@graph
def naps(xs: list[int]) -> int:
    return total(xs=nap.each(x=xs))


async def test_on_a_terminal_it_is_redrawn_and_vanishes() -> None:
    screen = Screen()
    assert await watch(lambda: start(naps, xs=list(range(90)), max_in_flight=2), title="naps", stream=screen) == 4005
    text = screen.getvalue()
    assert "nap\x1b" in text and "/90 ▮" in text and "\x1b[2K" in text
    assert text.endswith("\x1b[2K") or text.rstrip("\n").endswith("\x1b[2K")


async def test_elsewhere_it_prints_a_few_plain_lines() -> None:
    stream = io.StringIO()
    async with start(naps, xs=list(range(8)), max_in_flight=2) as run, Progress(run, stream=stream, every_s=0.03):
        await run
    lines = stream.getvalue().splitlines()
    assert 1 <= len(lines) <= 6 and not CONTROL.search("".join(lines))
    assert all(run.id in line for line in lines)


async def test_quiet_prints_nothing() -> None:
    for stream in (Screen(), io.StringIO()):
        async with start(naps, xs=[1]) as run, Progress(run, stream=stream, quiet=True):
            await run
        assert stream.getvalue() == ""


async def test_a_line_can_be_printed_above_and_the_picture_taken_away() -> None:
    screen = Screen()
    async with start(naps, xs=list(range(20)), max_in_flight=2) as run, Progress(run, stream=screen) as progress:
        await asyncio.sleep(0.05)
        progress.say("a line [bold]above[/bold]")
        progress.pause()
        progress.pause()
        progress.resume()
        await run
    assert "a line [bold]above[/bold]" in screen.getvalue()


async def test_a_failing_run_takes_its_picture_away() -> None:
    @prompt
    def hopeless(x: int) -> int:
        """Say {x}"""

    screen = Screen()
    with pytest.raises(RookeryError):
        await watch(lambda: start(hopeless, x=1, model=ScriptedModel(lambda request: "\x1b[31mno number")), stream=screen)
    assert screen.getvalue().rstrip("\n").endswith("\x1b[2K") and "\x1b[31mno" not in screen.getvalue()


async def test_a_waiting_run_is_shown_as_such() -> None:
    @graph
    def question(x: int) -> int:
        return nap(x=ask(int, "how many?"))

    screen = Screen()
    async with start(question, x=1) as run, Progress(run, stream=screen):
        assert await run.until_waiting()
        await asyncio.sleep(0.3)
        run.answer("ask", 3)
        assert await run == 3
    assert "how many?" in screen.getvalue()
