"""Plan-then-execute: the plan becomes a typed graph, nothing runs before it has no fault, and faults go back a bounded number of times."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from rookery import graph, prompt, resume, run, start, tool
from rookery.core import event as ev
from rookery.core.graph import Param
from rookery.engine.log import MemoryLog
from rookery.errors import CallFailed, GraphInvalid, SearchInvalid
from rookery.models.model import Request
from rookery.planners import plan_execute
from rookery.planners.call_plan import CallPlan, planned_graph, signature_text, types_text
from rookery.testing import ScriptedModel


class Section(BaseModel):
    title: str
    words: int


RAN: list[str] = []


@tool(inline=True)
def titles(topic: str, n: int = 3) -> list[str]:
    """Titles about a topic.

    More of it.
    """
    RAN.append("titles")
    return [f"{topic} {number}" for number in range(n)]


@tool(inline=True)
def section(title: str) -> Section:
    RAN.append("section")
    return Section(title=title, words=len(title))


@tool(inline=True)
def longest(sections: list[Section]) -> Section:
    RAN.append("longest")
    return max(sections, key=lambda section: section.words)


FUNCTIONS = {function.name: function for function in (titles, section, longest)}
INPUTS = {"task": Param("task", str), "depth": Param("depth", int)}


def call(name: str, function: str, /, *, over: list[str] | None = None, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "function": function, "arguments": arguments, "over": over or []}


GOOD = {
    "calls": [
        call("heads", "titles", topic="$task", n=11), call("parts", "section", title="$heads", over=["title"]),
        call("best", "longest", sections="$parts"),
    ],
    "answer": "$best.title",
}  # fmt: skip


def planning(*plans: Any) -> ScriptedModel:
    """Gives a plan in words, and then these plans one after the other."""
    left = list(plans)

    def answer(request: Request) -> str:
        return json.dumps(left.pop(0)) if "Write a plan as calls" in request.messages[-1].text else "1. titles  2. a section for each  3. the longest"

    return ScriptedModel(answer)


def faults(calls: list[dict[str, Any]], answer: Any, returns: Any = str) -> str:
    _, found = planned_graph(CallPlan.model_validate({"calls": calls, "answer": answer}), functions=FUNCTIONS, inputs=INPUTS, returns=returns)
    return "\n".join(f"{fault.path}: {fault.fault}" for fault in found)


# ------------------------------------------------------------------ whole


def test_a_plan_becomes_a_graph_and_its_answer_is_typed() -> None:
    model = planning(GOOD)
    assert run(plan_execute(functions=[titles, section, longest]), task="rooks", model=model) == "rooks 10"
    assert len(model.requests) == 2
    whole = {**GOOD, "answer": "$best"}
    solve = plan_execute(functions=[titles, section, longest], returns=Section)
    assert run(solve, task="rooks", model=planning(whole)) == Section(title="rooks 10", words=8)


def test_nothing_runs_before_the_plan_has_no_fault_and_faults_go_back() -> None:
    RAN.clear()
    wrong = {"calls": [call("heads", "titels", topic="$task"), call("parts", "section", title="$heads")], "answer": "$parts.title"}
    worse = {"calls": [call("heads", "titles", topic="$task", n="two"), call("parts", "section", title="$heads")], "answer": "$parts.title"}
    model = planning(wrong, worse, GOOD)
    assert run(plan_execute(functions=[titles, section, longest]), task="rooks", model=model) == "rooks 10"
    assert RAN.count("titles") == 1 and RAN.count("section") == 11
    texts = [request.messages[-1].text for request in model.requests]
    assert "there is no function 'titels'" in texts[2] and '"titels"' in texts[2] and "the functions are titles, section, longest" in texts[2]
    assert "calls.heads.n" in texts[3] and "list[str] does not fit str" in texts[3]


def test_repairs_are_bounded() -> None:
    RAN.clear()
    wrong = {"calls": [call("heads", "titles", topic="$nothing")], "answer": "$heads"}
    model = planning(*[wrong] * 9)
    with pytest.raises(CallFailed, match="there is no variable 'nothing'"):
        run(plan_execute(functions=[titles, section], repairs=2), task="rooks", model=model)
    assert len(model.requests) == 1 + 3 and RAN == []
    with pytest.raises(SearchInvalid, match="repairs"):
        plan_execute(functions=[titles], repairs=-1)


def test_it_is_a_call_of_a_graph_with_inputs_of_its_own() -> None:
    @tool(inline=True)
    def cut(text: str, length: int) -> str:
        return text[:length]

    solve = plan_execute(functions=[cut], inputs={"text": str, "length": int}, name="solve")

    @graph
    def shout(text: str) -> str:
        return loud(text=solve(task="shorten it", text=text, length=3))

    @tool(inline=True)
    def loud(text: str) -> str:
        return text.upper()

    model = planning({"calls": [call("short", "cut", text="$text", length="$length")], "answer": "$short"})
    assert run(shout, text="rookery", model=model) == "ROO"
    assert "text: str\nlength: int" in model.requests[0].messages[-1].text


def test_a_model_of_its_own_and_prompts_of_the_user_s() -> None:
    @prompt(form="text")
    def think(task: str, functions: list[str]) -> str:
        """Think about {task} with
        {functions}"""

    @tool(inline=True)
    def fixed(plan: str) -> CallPlan:
        assert plan == "by hand"
        return CallPlan.model_validate(GOOD)

    solve = plan_execute(functions=[titles, section, longest], outline=think, wire=fixed, model=ScriptedModel(lambda request: "by hand"))
    assert run(solve, task="rooks") == "rooks 10"


def test_prompts_are_functions_too_and_calls_that_do_not_wait_run_side_by_side() -> None:
    @prompt(form="text")
    def translate(text: str, language: str) -> str:
        """Translate {text} to {language}:"""

    @tool(inline=True)
    def both(one: str, other: str) -> str:
        return f"{one} / {other}"

    plan = {
        "calls": [
            call("fr", "translate", text="$task", language="French"), call("de", "translate", text="$task", language="German"),
            call("all", "both", one="$fr", other="$de"),
        ],
        "answer": "$all",
    }  # fmt: skip
    together, most = [0], [0]

    async def answer(request: Request) -> str:
        text = request.messages[-1].text
        if "Write a plan as calls" in text:
            return json.dumps(plan)
        if not text.startswith("Translate"):
            return "1. both"
        together[0] += 1
        most[0] = max(most[0], together[0])
        await asyncio.sleep(0.02)
        together[0] -= 1
        return text.rpartition(" to ")[2]

    assert run(plan_execute(functions=[translate, both]), task="rook", model=ScriptedModel(answer)) == "French: / German:"
    assert most[0] == 2


def test_a_failing_call_fails_the_run_and_not_the_plan() -> None:
    @tool(inline=True)
    def broken(text: str) -> str:
        raise ConnectionError("nobody there")

    model = planning({"calls": [call("x", "broken", text="$task")], "answer": "$x"})
    with pytest.raises(CallFailed, match="nobody there"):
        run(plan_execute(functions=[broken]), task="rooks", model=model)


@pytest.mark.parametrize("stop_after", [0, 1, 3])
def test_it_is_resumed_with_nothing_repeated(tmp_path: Path, stop_after: int) -> None:
    done: list[str] = []

    def parts(stops: bool) -> Any:
        @tool
        async def shout(text: str) -> str:
            if stops and len(done) >= stop_after:
                await asyncio.sleep(60)
            done.append(text)
            return text.upper()

        @tool(inline=True)
        def join(texts: list[str]) -> str:
            return " ".join(texts)

        return plan_execute(functions=[shout, join])

    plan = {
        "calls": [*(call(f"s{number}", "shout", text=f"t{number}") for number in range(4)), call("all", "join", texts=[f"$s{n}" for n in range(4)])],
        "answer": "$all",
    }

    async def main() -> None:
        model = planning(plan)
        async with start(parts(True), task="x", model=model, log=tmp_path / "log.db", id="p") as r:
            for _ in range(400):
                if len(model.requests) == 2 and len(done) >= stop_after:
                    break
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)
        async with resume("p", parts(False), model=planning(), log=tmp_path / "log.db") as r:
            assert await r == "T0 T1 T2 T3"
        assert sorted(done) == ["t0", "t1", "t2", "t3"] and len(model.requests) == 2

    asyncio.run(main())


def test_the_plan_stands_in_the_log() -> None:
    async def main() -> None:
        log = MemoryLog()
        async with start(plan_execute(functions=[titles, section, longest]), task="rooks", model=planning(GOOD), log=log, id="p") as r:
            await r
        made = [event.call for event in log.read("p") if isinstance(event, ev.CallMade)]
        assert made[:2] == ["plan_execute/outline", "plan_execute/wire"] and made[2].startswith("plan_execute/plan_") and len(made) == 3

    asyncio.run(main())


# ------------------------------------------------------------------ faults of plans


def test_every_fault_of_a_plan_is_found_before_it_runs() -> None:
    heads = call("heads", "titles", topic="$task")
    assert faults([heads], "$heads", list[str]) == ""
    assert "there is no variable 'bodies'" in faults([heads], "$bodies")
    assert "list[str] does not fit str" in faults([heads], "$heads")
    assert "titles has no parameter 'colour'" in faults([call("heads", "titles", topic="x", colour="red")], "$heads", list[str])
    assert "titles needs 'topic'" in faults([call("heads", "titles")], "$heads", list[str])
    assert "nothing uses its value" in faults([heads, call("more", "titles", topic="y")], "$heads", list[str])
    assert "2 calls produce it" in faults([heads, heads], "$heads", list[str])
    assert "wait for one another" in faults([call("a", "section", title="$b.title"), call("b", "section", title="$a.title")], "$a.title")
    assert "an input has this name" in faults([call("task", "titles", topic="x")], "$task")
    assert "part of a longer text" in faults([call("heads", "titles", topic="about $task")], "$heads", list[str])
    assert "written down, not computed" in faults([heads], "rooks 10")
    assert "colour" in faults([call("one", "section", title="x")], "$one.colour")
    assert "calls.heads.n: 'two' is not int" in faults([call("heads", "titles", topic="x", n="two")], "$heads", list[str])
    assert "is not a list to map over" in faults([call("one", "section", title="$task", over=["title"])], "$one", list[Section])


def test_values_are_typed_and_dollars_can_be_written() -> None:
    sections = [{"title": "$$5", "words": 3}, {"title": "$task", "words": "$depth"}, "$one"]
    plan = CallPlan.model_validate({"calls": [call("best", "longest", sections=sections), call("one", "section", title="$5")], "answer": "$best"})
    made, found = planned_graph(plan, functions=FUNCTIONS, inputs=INPUTS, returns=Section)
    assert found == []
    assert run(made, task="rooks", depth=9) == Section(title="rooks", words=9)
    assert run(made, task="rooks", depth=1) == Section(title="$5", words=3)


def test_what_the_model_is_told_of_functions() -> None:
    assert signature_text(titles) == "titles(topic: str, n: int = 3) -> list[str]: Titles about a topic."
    (line,) = types_text([titles, section, longest])
    assert line.startswith('A Section is an object: {"title":') and '"words"' in line


def test_functions_that_cannot_be_offered() -> None:
    @tool
    def bare(text):  # type: ignore[no-untyped-def]
        return text

    with pytest.raises(GraphInvalid, match="two functions of one name"):
        plan_execute(functions=[titles, titles])
    with pytest.raises(GraphInvalid, match="needs something to call"):
        plan_execute(functions=[])
    with pytest.raises(GraphInvalid, match="annotation"):
        plan_execute(functions=[bare])
