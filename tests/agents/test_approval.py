"""Approvals: what an agent may not do by itself is asked of a person, however deep it is called, and is not done without a yes."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rookery import GraphInvalid, MemoryLog, SQLiteLog, graph, resume, run, start, tool
from rookery.agents import Agent, Team, plan_then_execute
from rookery.engine.log import Message
from rookery.errors import RunError, RunWaiting
from rookery.models.model import Request
from rookery.testing import ScriptedModel
from rookery.tools import allow, allow_all, gated
from tests.agents.scripts import answers, seen, uses

SENT: list[str] = []


@pytest.fixture(autouse=True)
def nothing_sent() -> None:
    SENT.clear()


@tool(effect=True)
async def send(text: str) -> str:
    """Sends a letter."""
    SENT.append(text)
    return f"sent {text}"


@tool
async def report(text: str) -> str:
    """Writes a report, and sends it."""
    return await send(text=f"report: {text}")


@tool
async def reports(text: str) -> str:
    """Writes two reports."""
    return " and ".join([await report(text=text), await report(text=f"{text} again")])


@tool(inline=True)
def think(of: str) -> str:
    """Thinks."""
    return f"a thought of {of}"


def sender(tool_name: str, arguments: dict[str, Any], tools: list[Any], **options: Any) -> Agent:
    def script(request: Request) -> str:
        return uses((tool_name, arguments)) if seen(request) == 0 else answers(request.text.rpartition(":\n")[2])

    return Agent(model=ScriptedModel(script), tools=tools, **options)


def answered(subject: Any, by: Any) -> tuple[Any, list[str]]:
    asked: list[str] = []

    def answer(question: Any) -> Any:
        asked.append(question.call)
        return by

    return run(subject, "Do it.", answer=answer), asked


def test_a_tool_with_effects_asks_with_its_exact_arguments() -> None:
    found: list[Any] = []
    log = MemoryLog()

    async def go() -> None:
        async with start(sender("send", {"text": "hello"}, [send]), "Do it.", log=log) as r:
            assert await r.until_waiting()
            (call,) = r.view.questions
            found.append((call, r.view.questions[call].question, r.state.take(r.state.nodes[call].deps[0])))
            assert SENT == []
            r.answer(call, True)
            assert await r == "sent hello"

    asyncio.run(go())
    call, question, shown = found[0]
    assert call == "agent/use/send/ask" and question == "May send be called with these arguments?"
    assert shown["tool"] == "send" and shown["arguments"] == {"text": "hello"}
    assert SENT == ["hello"]


@pytest.mark.parametrize("name", ["report", "reports"])
def test_an_effect_within_a_tool_is_asked_about_however_deep(name: str) -> None:
    value, asked = answered(sender(name, {"text": "x"}, [report, reports]), True)
    assert ["report: x", "report: x again"][: len(asked)] == SENT
    assert asked[0] == ("agent/use/report/send/ask" if name == "report" else "agent/use/reports/report/send/ask")
    assert len(asked) == (1 if name == "report" else 2) and "sent report: x" in value


def test_an_effect_within_an_agent_within_an_agent_is_asked_about() -> None:
    inner = sender("report", {"text": "x"}, [report], name="inner")
    value, asked = answered(sender("inner", {"question": "Report."}, [inner], name="outer"), True)
    assert asked == ["outer/use/inner/use/report/send/ask"] and SENT == ["report: x"] and value == "sent report: x"


@pytest.mark.parametrize("name", ["send", "report"])
def test_no_means_that_it_is_not_done_and_the_agent_goes_on(name: str) -> None:
    value, asked = answered(sender(name, {"text": "x"}, [send, report]), False)
    assert SENT == [] and "a person did not allow this call of send" in value and len(asked) == 1


def test_without_an_answer_nothing_is_done() -> None:
    with pytest.raises(RunWaiting, match="May send be called"):
        run(sender("reports", {"text": "x"}, [reports]), "Do it.")
    assert SENT == []


def test_what_a_policy_allows_is_not_asked_about() -> None:
    assert answered(sender("send", {"text": "x"}, [send], allow=allow("send")), False)[1] == []
    assert answered(sender("report", {"text": "y"}, [report], allow=allow_all), False)[1] == []
    assert SENT == ["x", "report: y"]
    assert answered(sender("send", {"text": "z"}, [send], allow=allow("other")), False)[1] == ["agent/use/send/ask"]


def test_one_that_is_behind_its_gate_already_is_asked_about_once() -> None:
    value, asked = answered(sender("send", {"text": "x"}, [gated(send)]), True)
    assert value == "sent x" and asked == ["agent/use/send/ask"]


def test_a_graph_with_open_effects_is_no_tool() -> None:
    @graph
    def both(text: str) -> str:
        """Sends."""
        return send(text=text)

    with pytest.raises(GraphInvalid, match="it has effects that nobody is asked about"):
        Agent(tools=[both])

    @tool
    async def hidden(text: str) -> str:
        """Sends by a graph."""
        return await both(text=text)

    value, asked = answered(sender("hidden", {"text": "x"}, [hidden]), True)
    assert SENT == [] and asked == [] and "both has effects that nobody is asked about" in value


def test_a_map_over_an_effect_is_asked_about_call_by_call() -> None:
    @tool
    async def many(texts: list[str]) -> list[str]:
        """Sends many."""
        return await send.each(text=texts)

    _, asked = answered(sender("many", {"texts": ["a", "b"]}, [many]), True)
    assert sorted(SENT) == ["a", "b"] and len(asked) == 2


def test_a_plan_and_a_team_ask_too() -> None:
    plan = '{"calls": [{"name": "one", "function": "report", "arguments": {"text": "x"}}], "answer": "$one"}'
    planned = Agent(model=ScriptedModel(["plan", plan]), tools=[report], planner=plan_then_execute())
    _, (asked,) = answered(planned, True)
    assert asked.startswith("agent/plan/plan_execute/plan_") and asked.endswith("/one/send/ask") and SENT == ["report: x"]
    SENT.clear()
    first = Agent(model=ScriptedModel([uses(("hand_over", {"to": "b", "message": "send it"}))]), name="a")
    team = Team(first, sender("report", {"text": "x"}, [report], name="b"))
    assert answered(team, True)[1] == ["team/b/use/report/send/ask"] and SENT == ["report: x"]


def test_independent_work_goes_on_while_a_person_is_asked() -> None:
    script = ScriptedModel([uses(("send", {"text": "x"}), ("think", {"of": "y"})), answers("done")])

    async def go() -> None:
        async with start(Agent(model=script, tools=[send, think]), "Do it.") as r:
            assert await r.until_waiting()
            assert r.view.calls["agent/use~2"].status == "done" and len(r.view.questions) == 1
            r.answer(next(iter(r.view.questions)), True)
            assert await r == "done"

    asyncio.run(go())


def test_two_agents_in_a_graph_wait_apart() -> None:
    one, other = sender("send", {"text": "x"}, [send], name="one"), sender("think", {"of": "y"}, [think], name="other")

    @graph
    def both(question: str) -> list[str]:
        return [one(question=question), other(question=question)]

    async def go() -> None:
        async with start(both, "Do it.") as r:
            assert await r.until_waiting()
            assert r.view.calls["other"].status == "done" and list(r.view.questions) == ["one/use/send/ask"]
            r.answer("one/use/send/ask", True)
            assert await r == ["sent x", "a thought of y"]

    asyncio.run(go())


@pytest.mark.parametrize("name", ["send", "reports"])
def test_an_answer_may_come_late_from_another_process_and_only_once(tmp_path: Path, name: str) -> None:
    agent = sender(name, {"text": "x"}, [send, reports])
    with pytest.raises(RunWaiting) as caught:
        run(agent, "Do it.", log=tmp_path / "runs.db", id="a")
    (call,) = caught.value.questions
    with closing(SQLiteLog(tmp_path / "runs.db")) as log:
        log.post("a", Message("answer", call, True))
        log.post("a", Message("answer", call, False))

    async def again() -> Any:
        async with resume("a", agent, log=tmp_path / "runs.db") as r:
            while await r.until_waiting():
                for open_one in list(r.state.questions):
                    assert open_one != call
                    r.answer(open_one, True)
                await asyncio.sleep(0)
            with pytest.raises(RunError):
                r.answer(call, False)
            return await r

    assert asyncio.run(again()).startswith("sent")
    assert (["x"] if name == "send" else ["report: x", "report: x again"]) == SENT
