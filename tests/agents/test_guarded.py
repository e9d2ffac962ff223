"""An agent under a guard: all four places, what a refusal is in each, and a guard that fails."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from rookery import run, tool
from rookery.agents import Agent, Said, Verdict, guard, patterns, plan_then_execute
from rookery.errors import GuardRefused
from rookery.testing import ScriptedModel
from tests.agents.scripts import answers, uses

CARD = r"\b\d{16}\b"
NUMBER = "4111111111111111"


class Bill(BaseModel):
    card: str
    eur: int


@tool(inline=True)
def charge(card: str) -> str:
    """Charges a card."""
    return f"charged {card}"


def asked(script: ScriptedModel) -> str:
    return script.requests[-1].text


def test_the_question_is_redacted_before_a_model_sees_it() -> None:
    script = ScriptedModel([answers("ok")])
    run(Agent(model=script, guard=patterns(CARD, instead="[card]")), f"Charge {NUMBER}.")
    assert "[card]" in asked(script) and NUMBER not in asked(script)


def test_the_answer_is_redacted_whatever_its_type() -> None:
    policy = patterns(CARD, instead="[card]", on=["output"])
    assert run(Agent(model=ScriptedModel([answers(f"it is {NUMBER}")]), guard=policy), "?") == "it is [card]"
    assert run(Agent(model=ScriptedModel([answers({"card": NUMBER, "eur": 3})]), guard=policy), "?", returns=Bill) == Bill(card="[card]", eur=3)


def test_what_is_left_must_be_of_the_type() -> None:
    with pytest.raises(GuardRefused, match="redacted the output to what is no Bill"):
        run(Agent(model=ScriptedModel([answers({"card": "x", "eur": 33})]), guard=patterns(r"33", on=["output"])), "?", returns=Bill)


def test_arguments_and_results_are_checked_and_the_model_is_told() -> None:
    def no_cards(said: Said) -> Verdict:
        return Verdict("refuse", "no cards") if NUMBER in said.text and said.tool == "charge" else Verdict("allow")

    script = ScriptedModel([uses(("charge", {"card": NUMBER})), answers("I may not")])
    assert run(Agent(model=script, tools=[charge], guard=guard(no_cards, on=["arguments"])), "Charge it.") == "I may not"
    assert "stopped the arguments of charge: no cards" in asked(script) and "charged" not in asked(script)

    script = ScriptedModel([uses(("charge", {"card": NUMBER})), answers("done")])
    run(Agent(model=script, tools=[charge], guard=patterns(CARD, instead="[card]", on=["result"])), "Charge it.")
    assert "charged [card]" in asked(script)

    script = ScriptedModel([uses(("charge", {"card": NUMBER})), answers("done")])
    run(Agent(model=script, tools=[charge], guard=patterns(CARD, instead="0000", on=["arguments"])), "Charge it.")
    assert "charged 0000" in asked(script)


def test_a_plan_is_checked_as_well() -> None:
    plan = f'{{"calls": [{{"name": "one", "function": "charge", "arguments": {{"card": "{NUMBER}"}}}}], "answer": "$one"}}'
    policy = patterns(CARD, instead="[card]", on=["result"])
    assert run(Agent(model=ScriptedModel(["plan", plan]), tools=[charge], planner=plan_then_execute(), guard=policy), "Go.") == "charged [card]"


@pytest.mark.parametrize("place", ["input", "output", "arguments", "result"])
def test_a_guard_that_fails_refuses(place: Any) -> None:
    def broken(said: Said) -> Verdict:
        raise ValueError("no connection")

    script = ScriptedModel([uses(("charge", {"card": "1"})), answers("done")])
    agent = Agent(model=script, tools=[charge], guard=guard(broken, on=[place]))
    if place in ("input", "output"):
        with pytest.raises(GuardRefused, match="failed, so nothing passes"):
            run(agent, "Go.")
    else:
        assert run(agent, "Go.") == "done" and "failed, so nothing passes" in asked(script) and "charged 1" not in asked(script)


def test_a_person_may_let_it_pass_or_not() -> None:
    policy = guard(lambda said: Verdict("ask", "is it meant?"), on=["input"], name="check")
    assert run(Agent(model=ScriptedModel([answers("x")]), guard=policy), "Go.", answer=lambda question: True) == "x"
    with pytest.raises(GuardRefused, match="a person did not let it pass"):
        run(Agent(model=ScriptedModel([answers("x")]), guard=policy), "Go.", answer=lambda question: False)
