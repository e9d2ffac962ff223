"""The planners that an agent's loop may be: react is tested with the agent; here the others, and one of one's own."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from rookery import GraphInvalid, prompt, run, tool
from rookery.agents.agent import Agent
from rookery.agents.case import AgentPlanner, Case
from rookery.agents.plan_then_execute import plan_then_execute
from rookery.agents.react import react
from rookery.agents.reflect import reflect
from rookery.agents.searching import searching
from rookery.errors import AgentExhausted, AgentFailing, SearchInvalid
from rookery.models.model import Request
from rookery.planners import Check, beam, best_of_n, mcts, refine
from rookery.testing import ScriptedModel, check_agent_planner
from tests.agents.scripts import answers, seen, uses


@tool(inline=True)
def length(route: str) -> float:
    """How long a route is, in km."""
    return {"mill": 3.5, "wood": 2.25}[route]


@tool(inline=True)
def shorter(a: float, b: float) -> float:
    """The smaller of two lengths."""
    return min(a, b)


PLAN = json.dumps({
    "calls": [
        {"name": "one", "function": "length", "arguments": {"route": "mill"}},
        {"name": "other", "function": "length", "arguments": {"route": "wood"}},
        {"name": "best", "function": "shorter", "arguments": {"a": "$one", "b": "$other"}},
    ],
    "answer": "$best",
})  # fmt: skip


def test_plan_then_execute_runs_a_checked_graph() -> None:
    script = ScriptedModel(["1. measure both 2. take the smaller", PLAN])
    agent = Agent(model=script, tools=[length, shorter], planner=plan_then_execute(), returns=float)
    assert run(agent, "How long is the shortest?") == 2.25
    assert len(script.requests) == 2  # nothing that a tool gave was read by the model


def test_a_plan_that_fails_is_told_to_the_next_one() -> None:
    wrong = PLAN.replace("mill", "nowhere")
    script = ScriptedModel(["plan", wrong, "plan again", PLAN])
    agent = Agent(model=script, tools=[length, shorter], planner=plan_then_execute(), returns=float)
    assert run(agent, "How long is the shortest?") == 2.25
    assert "An earlier plan failed:" in script.requests[2].text and "KeyError" in script.requests[2].text


def test_plans_that_all_fail_are_a_typed_end() -> None:
    script = ScriptedModel(lambda request: PLAN.replace("mill", "nowhere") if "Plan:" in request.text else "plan")
    with pytest.raises(AgentFailing, match=r"2 plan\(s\) failed; the last: .*nowhere"):
        run(Agent(model=script, tools=[length, shorter], planner=plan_then_execute(), returns=float), "How long?")


def test_a_plan_without_tools_is_refused() -> None:
    with pytest.raises(GraphInvalid, match="a plan needs something to call"):
        try:
            run(Agent(model=ScriptedModel([]), planner=plan_then_execute()), "Go.")
        except Exception as error:
            raise error.__cause__ or error from None


# ------------------------------------------------------------------ reflect


def test_reflect_tries_again_with_the_lesson() -> None:
    def right(answer: int, question: str) -> Check:
        return Check(answer == 42, feedback="it is larger than 40" if answer < 42 else "")

    script = ScriptedModel([answers(7), answers(42)])
    assert run(Agent(model=script, planner=reflect(check=right), returns=int), "6 × 7?") == 42
    assert "What was learnt:\n- it is larger than 40" in script.requests[1].text


def test_reflect_asks_its_own_model_where_it_has_no_check() -> None:
    def script(request: Request) -> str:
        if "Is the answer right" in request.text:
            return json.dumps({"good": "2.25" in request.text.rpartition("Answer:")[2], "lesson": "look at the wood too"})
        if seen(request):
            return answers("2.25" if "look at the wood" in request.text else "3.5")
        return uses(("length", {"route": "wood" if "look at the wood" in request.text else "mill"}))

    model = ScriptedModel(script)
    assert run(Agent(model=model, tools=[length], planner=reflect()), "How long is the shortest?") == "2.25"
    critic = next(request for request in model.requests if "Is the answer right" in request.text)
    assert "length gave: 3.5" in critic.text


def test_reflect_ends_when_nothing_passes() -> None:
    with pytest.raises(AgentExhausted, match="no answer of 2 passed the check; the last: the answer was wrong"):
        run(Agent(model=ScriptedModel(lambda request: answers(1)), planner=reflect(tries=2, check=lambda answer: False), returns=int), "?")
    assert run(Agent(model=ScriptedModel(lambda request: answers(1) if "thought" in request.text else '{"good": false, "lesson": "no"}'),
                     planner=reflect(tries=2), returns=int), "?") == 1
    with pytest.raises(SearchInvalid):
        reflect(tries=0)


# ------------------------------------------------------------------ any other


@pytest.mark.parametrize("planner", [best_of_n(3), refine(rounds=2, samples=2), beam(width=2), mcts()], ids=lambda planner: planner.facts.name)
def test_a_search_planner_is_an_agents(planner: Any) -> None:
    def script(request: Request) -> str:
        if "Answer with one number" in request.text:
            return "0.5"
        if seen(request) == 0:
            return uses(("length", {"route": ["mill", "wood"][(request.sampling.seed or 0) % 2]}))
        return answers(request.text[-4:].strip())

    agent = Agent(model=ScriptedModel(script), tools=[length], planner=searching(planner, check=lambda answer: answer in ("2.25", "3.5")))
    assert run(agent, "How long?") in ("2.25", "3.5")


def test_without_a_check_the_planner_chooses() -> None:
    assert run(Agent(model=ScriptedModel(lambda request: answers("a")), planner=best_of_n(2)), "?") == "a"


def test_a_search_that_finds_nothing_is_a_typed_end() -> None:
    with pytest.raises(AgentExhausted, match="none passed the check"):
        run(Agent(model=ScriptedModel(lambda request: answers("a")), planner=searching(best_of_n(2), check=lambda answer: False)), "?")
    with pytest.raises(AgentExhausted, match="no line came to an answer"):
        run(Agent(model=ScriptedModel(lambda request: uses(("length", {"route": "mill"}))), tools=[length], planner=best_of_n(2, depth=2)), "?")


def test_a_line_that_goes_in_circles_is_given_up() -> None:
    script = ScriptedModel(lambda request: uses(("length", {"route": "mill"})))
    with pytest.raises(AgentExhausted, match="did the same again and again"):
        run(Agent(model=script, tools=[length], planner=best_of_n(1, depth=20)), "?")
    assert len(script.requests) == 3


def test_a_line_is_judged_by_a_prompt() -> None:
    @prompt(form="text")
    def promise(steps: str) -> float:
        """How promising is this, from 0 to 1? {steps}"""

    def script(request: Request) -> str:
        if "How promising" in request.text:
            return "0.9" if "2.25" in request.text else "0.1"
        if seen(request) == 0:
            return uses(("length", {"route": ["mill", "wood"][request.sample % 2]}))
        return answers(request.text[-4:].strip())

    agent = Agent(model=ScriptedModel(script), tools=[length], planner=searching(best_of_n(2), evaluate=promise))
    assert run(agent, "How long?") == "2.25"


def test_one_of_ones_own_is_one_class() -> None:
    class Twice:
        name = "twice"

        async def pursue(self, case: Case) -> Any:
            first = await case.turn("Guess.")
            move = await case.turn(f"Your guess was {case.answer(first)}. Give it again, or a better one.")
            return case.answer(move)

    assert isinstance(Twice(), AgentPlanner)
    script = ScriptedModel([answers("a"), answers("b")])
    assert run(Agent(model=script, planner=Twice()), "?") == "b"
    assert script.requests[1].text.endswith("Your guess was a. Give it again, or a better one.")


# ------------------------------------------------------------------ the contract


@pytest.mark.parametrize(
    "planner", [react(), plan_then_execute(), reflect(), reflect(check=lambda answer: answer == 42), searching(best_of_n(2)), searching(mcts())],
    ids=lambda planner: planner.name,
)
def test_it_keeps_the_contract(planner: AgentPlanner) -> None:
    asyncio.run(check_agent_planner(planner))


def test_the_contract_tells_all_that_is_broken() -> None:
    class Careless:
        name = ""

        async def pursue(self, case: Case) -> Any:
            return 7

    with pytest.raises(AssertionError) as caught:
        asyncio.run(check_agent_planner(Careless()))
    assert [line.strip().partition(":")[0] for line in str(caught.value).splitlines()[1:]] == [
        "has a name", "answers", "ends", "passes failures on",
    ]  # fmt: skip
