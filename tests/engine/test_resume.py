"""Resume, fork, secrets, and calls made by async code: what is finished is never carried out again."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import SecretStr

from rookery import Label, MemoryLog, SQLiteLog, ask, fork, graph, resume, run, start, tool
from rookery.core import event as ev
from rookery.engine.log import Message
from rookery.errors import CallFailed, GraphInvalid, RunBusy, RunError, RunMismatch, RunUnknown, SecretNeeded
from rookery.testing import ScriptedModel
from tests.programs import EXECUTED, article, asking, counting, double, increase, section, titles, total, writer


@pytest.fixture(autouse=True)
def fresh() -> None:
    EXECUTED.clear()


DOWN: list[bool] = []


@tool(inline=True)
def server(x: int) -> int:
    EXECUTED.append("server")
    if DOWN:
        raise ConnectionError("down")
    return 10 * x


@graph
def fragile(x: int) -> int:
    return total(xs=[server(x=increase(x=x)), double(x=x)])


async def test_a_failed_run_is_resumed_where_it_failed() -> None:
    log = MemoryLog()
    DOWN.append(True)
    try:
        async with start(fragile, x=1, log=log, id="r") as r:
            with pytest.raises(CallFailed):
                await r
    finally:
        DOWN.clear()
    EXECUTED.clear()
    async with resume("r", fragile, log=log) as r:
        assert await r == 22
    assert EXECUTED.count("server") == 1 and "increase 1" not in EXECUTED


async def test_a_finished_run_gives_its_value_again() -> None:
    log = MemoryLog()
    async with start(counting, x=1, log=log, id="r") as r:
        value = await r
    EXECUTED.clear()
    async with resume("r", counting, log=log) as r:
        assert await r == value
    assert EXECUTED == []


async def test_who_may_resume() -> None:
    log = MemoryLog()
    with pytest.raises(RunUnknown):
        resume("nowhere", counting, log=log)
    async with start(asking, x=1, log=log, id="r") as r:
        await r.until_waiting()
        with pytest.raises(RunBusy):
            async with resume("r", asking, log=log):
                pass


async def test_a_changed_program_is_refused_or_forked() -> None:
    log = MemoryLog()
    async with start(fragile, x=1, log=log, id="r") as r:
        assert await r == 22

    @tool(inline=True, name="double")
    def other(x: int, more: int = 5) -> int:
        return 2 * x + more

    @graph
    def fragile_now(x: int) -> int:
        return total(xs=[server(x=increase(x=x)), other(x=x)])

    with pytest.raises(RunMismatch, match="double"):
        async with resume("r", fragile_now, log=log):
            pass
    EXECUTED.clear()
    async with fork("r", fragile_now, log=log) as r:
        assert await r == 27
    assert EXECUTED == ["total 2"]


async def test_fork_reruns_the_cone_of_an_edit_only() -> None:
    log = MemoryLog()
    model = ScriptedModel(writer)
    async with start(article, topic="rooks", model=model, log=log, id="r") as r:
        await r
    asked = len(model.requests)
    async with fork("r", article, log=log, model=model, edit={"titles": ["nests", "moult", "flight"]}) as r:
        assert await r == "nests: about nests\nmoult: about moult\nflight: about flight"
    assert [request.text for request in model.requests[asked:]] == ["Write the section moult of an article about rooks."] or len(
        model.requests
    ) == asked + 1
    assert log.read("r")[-1].code == "Z"


KEYS: list[str] = []


@tool(inline=True)
def sign(text: str, key: Annotated[str, Label("secret")]) -> str:
    KEYS.append(key)
    return text + "!"


@graph
def signing(text: str, key: Annotated[str, Label("secret")]) -> str:
    return sign(text=waits(text=text), key=key)


@tool(inline=True)
def waits(text: str) -> str:
    if DOWN:
        raise ConnectionError("down")
    return text


def test_secrets_are_nowhere_in_the_log_and_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    DOWN.append(True)
    try:
        with pytest.raises(CallFailed):
            run(signing, text="a", key="hunter2-canary", log=path, id="r")
    finally:
        DOWN.clear()

    async def go_on(secrets: dict[str, str]) -> str:
        async with resume("r", signing, log=path, secrets=secrets) as r:
            return await r  # type: ignore[no-any-return]

    with pytest.raises(SecretNeeded, match=r"inputs\.key") as caught:
        asyncio.run(go_on({}))
    assert caught.value.secrets == ("inputs.key",)
    assert asyncio.run(go_on({"inputs.key": "hunter2-canary"})) == "a!"
    assert KEYS == ["hunter2-canary"]
    for file in tmp_path.iterdir():
        assert b"hunter2" not in file.read_bytes(), file
    first = SQLiteLog(path).read("r")[0]
    assert isinstance(first, ev.RunStarted) and first.inputs["key"].startswith("!") and first.labels == {"key": ["secret"]}


def test_pydantic_s_own_secrets_are_refused_with_what_to_write() -> None:
    @graph
    def leaks(key: SecretStr) -> SecretStr:
        return key

    with pytest.raises(GraphInvalid, match="cannot be written to a log"):
        run(leaks, key=SecretStr("x"))


async def test_labels_flow_along_edges() -> None:
    @tool(inline=True, labels=frozenset({"untrusted"}))
    def page(x: int) -> int:
        return x

    @graph
    def labelled(x: int) -> int:
        return total(xs=[double(x=page(x=x)), double(x=x)])

    async with start(labelled, x=1) as r:
        await r
        labels = {event.call: event.labels for event in [event async for event in r] if isinstance(event, ev.CallFinished)}
    assert labels == {"page": {"untrusted"}, "double": {"untrusted"}, "double_2": frozenset(), "total": {"untrusted"}}


# ------------------------------------------------------------------ define by run


async def researcher(topic: str) -> str:
    heads = await titles(topic=topic, n=3)
    EXECUTED.append("between")
    parts = await asyncio.gather(*(section(title=head, topic=topic) for head in heads))
    numbers = await double.each(x=[len(part.title) for part in parts])
    return f"{[part.body for part in parts]} {numbers} {await counting(x=1)}"


async def test_async_code_makes_recorded_calls() -> None:
    log = MemoryLog()
    async with start(researcher, topic="rooks", model=ScriptedModel(writer), log=log, id="r") as r:
        value = await r
    assert value.startswith("['about nests', 'about calls', 'about flight'] [10, 10, 12]")
    calls = {event.call for event in log.read("r") if isinstance(event, ev.CallFinished)}
    assert {"researcher/titles", "researcher/section", "researcher/section~2", "researcher/section~3", "researcher/double[1]"} <= calls
    assert "researcher/counting/several" in calls


@pytest.mark.parametrize("cut", range(3, 40, 3))
async def test_async_code_resumes_from_any_point(cut: int) -> None:
    log = MemoryLog()
    async with start(researcher, topic="rooks", model=ScriptedModel(writer), log=log, id="r") as r:
        value = await r
    events = log.read("r")[:cut]
    shorter = MemoryLog()
    writer_ = shorter.begin("r", new=True)
    writer_.append(events, [(name, data) for name, data in log._values.items()])
    writer_.close()
    finished = {event.call for event in events if isinstance(event, ev.CallFinished)}
    EXECUTED.clear()
    model = ScriptedModel(writer)
    async with resume("r", researcher, log=shorter, model=model) as r:
        assert await r == value
    again = [event.call for event in shorter.read("r")[cut:] if isinstance(event, ev.CallStarted)]
    assert not finished & set(again)


async def test_async_code_may_catch_what_a_call_raises() -> None:
    @tool(inline=True)
    def picky(x: int) -> int:
        if x < 2:
            raise ValueError("too small")
        return x

    async def tries(x: int) -> int:
        try:
            return await picky(x=x)  # type: ignore[no-any-return]
        except CallFailed as error:
            assert error.call == "tries/picky" and "too small" in str(error)
            return await picky(x=x + 1)  # type: ignore[no-any-return]

    async with start(tries, x=1) as r:
        assert await r == 2


async def test_variables_of_live_code_may_be_passed_on_unawaited() -> None:
    async def flows(x: int) -> int:
        a = increase(x=x)
        b = double(x=a)
        return await total(xs=[a, b])  # type: ignore[no-any-return]

    async with start(flows, x=1) as r:
        assert await r == 2 + 4


async def test_tools_may_themselves_call() -> None:
    @tool
    async def outer(x: int) -> int:
        return await double(x=x) + 1  # type: ignore[no-any-return]

    @graph
    def uses(x: int) -> int:
        return total(xs=outer.each(x=[x, increase(x=x)]))

    async with start(uses, x=1, max_in_flight=1) as r:
        assert await r == 3 + 5


async def test_a_person_is_asked_by_async_code_and_answers_while_nobody_runs_it(tmp_path: Path) -> None:
    async def asks(x: int) -> str:
        more = await increase(x=x)
        return f"{await ask(bool, 'Go on?', show=more)} {more}"

    log = SQLiteLog(tmp_path / "log.db")
    async with start(asks, x=1, log=log, id="r") as r:
        assert await r.until_waiting()
    log.post("r", Message("answer", "asks/ask", True, "ada"))
    async with resume("r", asks, log=log) as r:
        assert await r == "True 2"
    assert EXECUTED == ["increase 1"]
    log.close()


async def test_edits_reach_a_finished_run_when_it_is_resumed(tmp_path: Path) -> None:
    log = SQLiteLog(tmp_path / "log.db")
    async with start(counting, x=1, log=log, id="r") as r:
        assert await r == 30
    log.post("r", Message("edit", "several", [0, 9], "ada"))
    log.post("r", Message("edit", "nowhere", 1, "ada"))
    EXECUTED.clear()
    async with resume("r", counting, log=log) as r:
        assert await r == 18
        refused = [event for event in [event async for event in r] if isinstance(event, ev.MessageRefused)]
    assert EXECUTED == ["double 9", "total 2"]
    assert [event.place for event in refused] == ["nowhere"]
    log.close()


async def test_an_edit_restarts_a_call_that_is_running() -> None:
    begun: list[int] = []

    @tool
    async def slow(x: int) -> int:
        begun.append(x)
        await asyncio.sleep(0.05)
        return x

    @graph
    def edited(x: int) -> int:
        return slow(x=increase(x=x))

    async with start(edited, x=1) as r:
        await asyncio.sleep(0.02)
        r.edit("inputs.x", 10)
        assert await r == 11
    assert begun == [2, 11]


async def test_a_limit_ends_a_run_whatever_its_maps_gather() -> None:
    from rookery import Limit, none_for_failed, prompt
    from rookery.errors import LimitReached

    @prompt(gather=none_for_failed)
    def words(x: int) -> str:
        """Say {x}."""

    @graph
    def many(xs: list[int]) -> list[str | None]:
        return words.each(x=xs)

    log = MemoryLog()
    model = ScriptedModel(lambda request: "x")
    async with start(many, xs=[1, 2, 3, 4], model=model, limit=Limit(calls=2), log=log, id="r") as r:
        with pytest.raises(LimitReached):
            await r
    async with resume("r", many, model=model, limit=Limit(calls=4), log=log) as r:
        assert await r == ["x"] * 4
    assert len(model.requests) == 4


@pytest.mark.parametrize("turns", range(8))
async def test_an_edit_at_any_turn_of_the_event_loop(turns: int) -> None:
    """Also while the call that it stops is just handing in its last event."""

    @graph
    def edited(x: int) -> int:
        return increase(x=increase(x=x))

    async with start(edited, x=1) as r:
        for _ in range(turns):
            await asyncio.sleep(0)
        if not r.done:
            with contextlib.suppress(RunError):  # it may have ended just now
                r.edit("inputs.x", 10)
        assert await r in (3, 12)
