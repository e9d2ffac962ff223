"""The doors and the life of a run: values, events, failures, cancellation, questions."""

from __future__ import annotations

import asyncio
import time

import pytest

from rookery import GraphInvalid, RookeryError, graph, keep_ok, none_for_failed, prompt, run, start, tool
from rookery.core import event as ev
from rookery.errors import CallFailed, CallTimeout, InputError, ParseFailed, RunCancelled, RunError, RunWaiting, SettingMissing
from rookery.testing import ScriptedModel
from tests.programs import EXECUTED, article, asking, counting, double, failing, increase, several, total, writer


@pytest.fixture(autouse=True)
def fresh() -> None:
    EXECUTED.clear()


def test_the_issue_s_program() -> None:
    assert run(article, topic="rooks", model=ScriptedModel(writer)) == "nests: about nests\ncalls: about calls\nflight: about flight"


async def test_events_tell_the_run_in_order() -> None:
    async with start(article, topic="rooks", model=ScriptedModel(writer)) as r:
        events = [event async for event in r]
        assert await r == "nests: about nests\ncalls: about calls\nflight: about flight"
    kinds = [type(event) for event in events if not isinstance(event, ev.CallText)]
    assert kinds[0] is ev.RunStarted and kinds[-1] is ev.RunFinished
    assert kinds.count(ev.CallStarted) == kinds.count(ev.CallFinished) == 5
    for path in ("titles", "section[0]", "section[2]", "join"):
        started = next(i for i, e in enumerate(events) if isinstance(e, ev.CallStarted) and e.call == path)
        assert started < next(i for i, e in enumerate(events) if isinstance(e, ev.CallFinished) and e.call == path)
    assert "".join(e.text for e in events if isinstance(e, ev.CallText) and e.call == "titles") == '["nests", "calls", "flight"]'


async def test_a_late_reader_gets_all_events() -> None:
    async with start(counting, x=1) as r:
        await r
        events = [event async for event in r]
    assert isinstance(events[0], ev.RunStarted) and isinstance(events[-1], ev.RunFinished)


def test_elements_start_their_calls_before_the_list_is_whole() -> None:
    model = ScriptedModel(writer, chunk_chars=4, delay_s=0.02)
    seen: list[str] = []

    async def watch() -> None:
        async with start(article, topic="rooks", model=model) as r:
            async for event in r:
                if isinstance(event, ev.CallStarted | ev.CallFinished):
                    seen.append(f"{event.code} {event.call}")

    asyncio.run(watch())
    assert seen.index("S section[0]") < seen.index("F titles")


def test_calls_without_a_path_between_them_run_at_once() -> None:
    @tool
    async def slow(x: int) -> int:
        await asyncio.sleep(0.2)
        return x

    @graph
    def both(x: int) -> int:
        return total(xs=[slow(x=x), slow(x=x), slow(x=x)])

    started = time.monotonic()
    assert run(both, x=2) == 6
    assert time.monotonic() - started < 0.5


def test_synchronous_tools_do_not_block_the_loop() -> None:
    @tool
    def sleepy(x: int) -> int:
        time.sleep(0.6)
        return x

    started = time.monotonic()
    assert run(graph(lambda_each(sleepy)), xs=[1, 2, 3]) == 6
    assert time.monotonic() - started < 1.6, "one after another takes 1.8 s"


def lambda_each(function):  # type: ignore[no-untyped-def]
    def mapped(xs: list[int]) -> int:
        return total(xs=function.each(x=xs))

    return mapped


def test_faults_of_the_graph_come_before_anything_runs() -> None:
    @graph
    def wrong(x: str) -> int:
        increase(x=1)
        return double(x=x)

    with pytest.raises(GraphInvalid) as caught:
        run(wrong, x="a")
    assert {fault.path for fault in caught.value.faults} == {"calls.increase", "calls.double.x"}
    assert EXECUTED == []


def test_inputs_are_checked_all_at_once() -> None:
    with pytest.raises(InputError, match=r"unknown input 'y'.*input 'x' \(int\) is not given"):
        run(counting, y=1)
    with pytest.raises(InputError, match="input 'x'"):
        run(counting, x="many")


def test_a_failed_call_ends_the_run_with_its_place() -> None:
    @graph
    def broken(x: int) -> int:
        return double(x=failing(x=x))

    with pytest.raises(CallFailed, match=r"call failing failed: ConnectionError: down") as caught:
        run(broken, x=1)
    assert caught.value.call == "failing" and isinstance(caught.value.__cause__, ConnectionError)
    assert EXECUTED == ["failing 1"]


def test_a_failure_stops_what_is_in_flight() -> None:
    stopped: list[str] = []

    @tool
    async def endless(x: int) -> int:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.append("endless")
            raise
        return x

    @graph
    def broken(x: int) -> int:
        return total(xs=[endless(x=x), failing(x=x)])

    with pytest.raises(CallFailed):
        run(broken, x=1)
    assert stopped == ["endless"]


@pytest.mark.parametrize(("gather", "wanted"), [(keep_ok(at_least=1), [0, 2]), (none_for_failed, [0, None, 2])])
def test_partly_failed_maps(gather: object, wanted: list[int | None]) -> None:
    @tool(inline=True)
    def even(x: int) -> int:
        if x % 2:
            raise ValueError("odd")
        return x

    @graph
    def mapped(xs: list[int]) -> list[int | None]:
        return even.using(gather=gather).each(x=xs)

    assert run(mapped, xs=[0, 1, 2]) == wanted


def test_too_few_good_ones_fail_the_map() -> None:
    @graph
    def mapped(xs: list[int]) -> list[int]:
        return failing.using(gather=keep_ok(at_least=1)).each(x=xs)

    with pytest.raises(CallFailed, match="only 0 of 2 calls succeeded"):
        run(mapped, xs=[1, 2])


def test_a_timeout_names_the_call() -> None:
    @tool(timeout_s=0.05)
    async def slow(x: int) -> int:
        await asyncio.sleep(5)
        return x

    with pytest.raises(CallFailed, match=r"slow took longer than 0.05 s") as caught:
        run(slow, x=1)
    assert isinstance(caught.value.__cause__, CallTimeout)


def test_text_that_does_not_parse_goes_back_with_its_faults() -> None:
    model = ScriptedModel(["not json", '["a"]'])

    @prompt
    def names(n: int) -> list[str]:
        """List {n} names."""

    assert run(names, n=1, model=model) == ["a"]
    repair = model.requests[1].messages
    assert [message.role for message in repair] == ["user", "assistant", "user"] and repair[1].text == "not json"


def test_repair_is_bounded() -> None:
    model = ScriptedModel(lambda request: "never json")

    @prompt(repair=2)
    def names(n: int) -> list[str]:
        """List {n} names."""

    with pytest.raises(CallFailed) as caught:
        run(names, n=1, model=model)
    assert isinstance(caught.value.__cause__, ParseFailed) and len(model.requests) == 3


def test_a_prompt_without_a_model_says_what_to_do() -> None:
    with pytest.raises(CallFailed, match="needs a model") as caught:
        run(article, topic="rooks")
    assert isinstance(caught.value.__cause__, SettingMissing) and "ROOKERY_MODEL" in caught.value.hint


async def test_questions_wait_and_only_for_what_depends_on_them() -> None:
    async with start(asking, x=1) as r:
        assert await r.until_waiting()
        assert EXECUTED == ["increase 1", "double 2"]
        assert [question.question for question in r.view.questions.values()] == ["Go on?"]
        with pytest.raises(ParseFailed):
            r.answer("ask", "perhaps not")
        with pytest.raises(RunError, match="no open question"):
            r.answer("nowhere", True)
        r.answer("ask", True)
        assert await r == "4 True"


def test_the_synchronous_door_asks_or_says_that_it_waits() -> None:
    assert run(asking, x=1, answer=lambda question: False) == "4 False"
    with pytest.raises(RunWaiting) as caught:
        run(asking, x=1)
    assert caught.value.questions == ("ask",)


async def test_cancelling_ends_the_run() -> None:
    @tool
    async def endless(x: int) -> int:
        await asyncio.sleep(60)
        return x

    async with start(endless, x=1) as r:
        await asyncio.sleep(0.02)
        r.cancel(by="ada")
        with pytest.raises(RunCancelled, match="cancelled by ada"):
            await r


async def test_leaving_early_stops_everything() -> None:
    stopped = asyncio.Event()

    @tool
    async def endless(x: int) -> int:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()
        return x

    async with start(endless, x=1) as r:
        await asyncio.sleep(0.02)
    assert stopped.is_set()
    with pytest.raises(RunCancelled, match="left before its end"):
        await r


async def test_pause_and_breakpoints() -> None:
    async with start(counting, x=1) as r:
        r.pause()
        r.set_breakpoint("several")
        await r.until_waiting()
        done = list(EXECUTED)
        await asyncio.sleep(0.02)
        assert done == EXECUTED and "several" not in EXECUTED
        r.go_on()
        assert await r.until_waiting() and "several" not in EXECUTED
        r.go_on("several")
        assert await r == 2 * sum(range(6))


async def test_editing_a_live_run_reruns_the_cone_only() -> None:
    async with start(asking, x=1) as r:
        await r.until_waiting()
        EXECUTED.clear()
        r.edit("double", 50, by="ada")
        await asyncio.sleep(0.01)
        assert EXECUTED == []
        with pytest.raises(RunError, match="no variable"):
            r.edit("nowhere", 1)
        r.answer("ask", True)
        assert await r == "50 True"
        with pytest.raises(RunError, match="has ended"):
            r.edit("double", 1)


def test_a_pause_holds_calls_that_wait_for_a_place_too() -> None:
    begun: list[int] = []

    @tool
    async def slow(x: int) -> int:
        begun.append(x)
        await asyncio.sleep(0.05)
        return x

    @graph
    def many(xs: list[int]) -> int:
        return total(xs=slow.each(x=xs))

    async def paused() -> None:
        async with start(many, xs=list(range(6)), max_in_flight=2) as r:
            await asyncio.sleep(0.02)
            r.pause()
            assert await r.until_waiting()
            assert begun == [0, 1]
            r.go_on()
            assert await r == 15

    asyncio.run(paused())
    assert begun == list(range(6))


def test_max_in_flight_holds() -> None:
    flying, most = 0, 0

    @tool
    async def fly(x: int) -> int:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.01)
        flying -= 1
        return x

    @graph
    def many(xs: list[int]) -> int:
        return total(xs=fly.each(x=xs))

    assert run(many, xs=list(range(20)), max_in_flight=3) == sum(range(20))
    assert most == 3


async def test_run_inside_a_loop_says_what_to_use() -> None:
    with pytest.raises(RunError, match="async with start"):
        run(counting, x=1)


def test_values_that_change_in_place_are_not_shared() -> None:
    @tool(inline=True)
    def grow(xs: list[int]) -> list[int]:
        xs.append(99)
        return xs

    @graph
    def twice(n: int) -> list[list[int]]:
        base = several(x=n)
        return [grow(xs=base), grow(xs=base), base]

    assert run(twice, n=2) == [[0, 1, 99], [0, 1, 99], [0, 1]]


def test_a_wrong_value_of_a_tool_is_found() -> None:
    @tool(inline=True)
    def lies(x: int) -> int:
        return "many"  # type: ignore[return-value]

    with pytest.raises(CallFailed) as caught:
        run(lies, x=1)
    assert isinstance(caught.value, RookeryError) and caught.value.kind == "ParseFailed"
