"""Approval: what needs a yes, what is shown, that a no and nobody's answer mean no, and that secrets are shown to nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest

from rookery import Attempts, Label, RookeryError, graph, resume, run, start, tool
from rookery.core.function import IdempotencyKey
from rookery.core.value import plain
from rookery.errors import CallFailed, RunWaiting, ToolRefused
from rookery.tools.approval import allow, allow_all, allow_if, allow_none, gated

DONE: list[Any] = []


@tool(effect=True, attempts=Attempts(stop=2, wait=0))
def publish(text: str, times: int = 1, key: IdempotencyKey = "") -> str:
    """Publish a text."""
    DONE.append((text, times, key))
    return f"published {text}"


@tool
def look(text: str) -> str:
    return text


@pytest.fixture(autouse=True)
def fresh() -> None:
    DONE.clear()


def test_a_tool_without_effects_has_no_gate() -> None:
    assert gated(look) is look


def test_a_yes_lets_the_exact_arguments_pass() -> None:
    asked = []
    value = run(gated(publish), text="hello", times=2, answer=lambda question: asked.append(question) or True)
    assert value == "published hello" and len(asked) == 1 and "publish" in asked[0].question
    assert [(text, times) for text, times, _ in DONE] == [("hello", 2)] and DONE[0][2]


async def test_the_question_shows_the_exact_arguments() -> None:
    async with start(gated(publish), text="x" * 500, times=2) as r:
        await r.until_waiting()
        (question,) = r.view.questions.values()
        assert plain(question.show, r.stored) == {"tool": "publish", "arguments": {"text": "x" * 500, "times": 2}}
        assert not DONE


def test_a_no_refuses() -> None:
    with pytest.raises(CallFailed) as failed:
        run(gated(publish), text="hello", answer=lambda question: False)
    assert failed.value.kind == "ToolRefused" and not DONE


def test_without_an_answer_nothing_happens() -> None:
    with pytest.raises(RunWaiting):
        run(gated(publish), text="hello")
    assert not DONE


async def test_outside_of_a_run_it_refuses_unless_allowed() -> None:
    with pytest.raises(ToolRefused):
        await gated(publish)(text="hello")  # type: ignore[misc]
    assert not DONE
    assert await gated(publish, allow=allow_all)(text="hello") == "published hello"  # type: ignore[misc]


@pytest.mark.parametrize(("policy", "passes"), [
    (allow_none, False), (allow_all, True), (allow("pub*"), True), (allow("Pub*"), False), (allow("a", "publish"), True),
    (allow("publish") & allow_if(lambda arguments: arguments["times"] < 2), True),
    (allow("publish") & allow_if(lambda arguments: arguments["times"] > 2), False),
    (allow_none | allow_all, True), (~allow_all, False), (allow_all & ~allow("publish"), False),
])  # fmt: skip
def test_policies(policy: Any, passes: bool) -> None:
    if passes:
        assert run(gated(publish, allow=policy), text="a", times=1) == "published a"
    else:
        with pytest.raises(RunWaiting):
            run(gated(publish, allow=policy), text="a", times=1)


def test_a_second_gate_replaces_the_first() -> None:
    assert run(gated(gated(publish), allow=allow_all), text="a") == "published a"
    with pytest.raises(RunWaiting):
        run(gated(gated(publish, allow=allow_all)), text="a")


@graph
def two() -> list[str]:
    door = gated(publish)
    return [door(text="a"), door(text="b")]  # type: ignore[list-item]


async def test_each_call_is_asked_about_and_a_restart_keeps_the_answers(tmp_path: Path) -> None:
    log = tmp_path / "log.db"
    async with start(two, log=log, id="r") as r:
        await r.until_waiting()
        first, second = list(r.view.questions)
        r.answer(first, True)
        await r.until_waiting()
        assert list(r.view.questions) == [second]
    assert [text for text, _, _ in DONE] == ["a"]
    async with resume("r", two, log=log) as r:
        await r.until_waiting()
        r.answer(second, True)
        assert await r == ["published a", "published b"]
    assert [text for text, _, _ in DONE] == ["a", "b"] and DONE[0][2] != DONE[1][2]


@graph
def secretly(token: Annotated[str, Label("secret")]) -> str:
    return gated(publish)(text=token)  # type: ignore[return-value]


async def test_a_secret_argument_is_not_written_anywhere(tmp_path: Path) -> None:
    log = tmp_path / "log.db"
    async with start(secretly, token="hunter2-hunter2", log=log, id="r") as r:
        await r.until_waiting()
        (call, question), = r.view.questions.items()
        assert plain(question.show, r.stored)["arguments"] == {"text": "<secret>", "times": 1}
        r.answer(call, True)
        assert await r == "published hunter2-hunter2"
    for file in tmp_path.iterdir():
        assert b"hunter2" not in file.read_bytes()


def test_an_attempt_that_failed_is_not_asked_about_again() -> None:
    tries: list[str] = []

    @tool(effect=True, attempts=Attempts(stop=3, wait=0))
    def shaky(x: int, key: IdempotencyKey = "") -> int:
        tries.append(key)
        if len(tries) < 2:
            raise ConnectionError("again")
        return x

    asked: list[Any] = []
    assert run(gated(shaky), x=1, answer=lambda question: asked.append(question) or True) == 1
    assert len(asked) == 1 and len(tries) == 2 and len(set(tries)) == 1


def test_an_error_of_the_tool_comes_through() -> None:
    @tool(effect=True)
    def broken(x: int) -> int:
        raise ValueError("no")

    with pytest.raises(RookeryError, match="no"):
        run(gated(broken, allow=allow_all), x=1)


FALLS: list[str] = []


@tool(effect=True)
def falls_once(text: str, key: IdempotencyKey = "") -> str:
    FALLS.append(key)
    if len(FALLS) == 1:
        raise RuntimeError("the power went out")
    return text


@graph
def fallible(texts: list[str]) -> list[str]:
    return gated(falls_once).each(text=texts)  # type: ignore[return-value]


async def test_after_a_crash_the_yes_still_counts_and_the_key_is_the_same(tmp_path: Path) -> None:
    FALLS.clear()
    log = tmp_path / "log.db"
    async with start(fallible, texts=["a"], log=log, id="r", max_in_flight=1) as r:
        await r.until_waiting()
        r.answer(next(iter(r.view.questions)), True)
        with pytest.raises(CallFailed):
            await r
    async with resume("r", fallible, log=log, max_in_flight=1) as r:
        assert not await r.until_waiting()
        assert await r == ["a"]
    assert len(FALLS) == 2 and FALLS[0] == FALLS[1] != ""


async def test_several_calls_wait_side_by_side_with_one_place_only() -> None:
    FALLS[:] = ["done"]
    async with start(fallible, texts=["a", "b", "c"], max_in_flight=1) as r:
        for _ in range(3):
            await r.until_waiting()
            for call in list(r.view.questions):
                r.answer(call, True)
        assert await r == ["a", "b", "c"]
    assert len(set(FALLS)) == 4
