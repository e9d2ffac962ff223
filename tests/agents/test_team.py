"""Teams: handing over, what the next one sees, return of control, and ends; fan-outs and committees."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from rookery import GraphInvalid, Limit, MemoryLog, graph, prompt, resume, run, start, tool
from rookery.agents.agent import Agent
from rookery.agents.committee import Ballot, committee, fan_out
from rookery.agents.conversation import talk
from rookery.agents.guard import guard
from rookery.agents.reflect import reflect
from rookery.agents.team import Team
from rookery.errors import AgentExhausted, AgentFailing, AgentStuck, CallFailed, GuardRefused, LimitReached, SearchInvalid
from rookery.models.model import Request
from rookery.testing import ScriptedModel
from tests.agents.scripts import answers, calling, model, seen, uses


@tool(inline=True)
def look_up(word: str) -> str:
    """Looks a word up."""
    return f"{word}: a black bird"


@tool(inline=True)
def secret_page() -> str:
    """Gives a page."""
    return "the page that nobody else may see"


def hand(to: str, message: str = "go on", **more: Any) -> str:
    return uses(("hand_over", {"to": to, "message": message, **more}))


def searcher(*replies: Any, **options: Any) -> Agent:
    return Agent(model=ScriptedModel(list(replies)), tools=[look_up, secret_page], name="searcher", doc="Looks things up.", **options)


def writer(*replies: Any, **options: Any) -> Agent:
    return Agent(model=ScriptedModel(list(replies)), name="writer", doc="Writes the answer.", **options)


def asked(agent: Agent, number: int = 0) -> Request:
    request: Request = agent.asking.model.requests[number]
    return request


# ------------------------------------------------------------------ handing over


def test_the_first_begins_and_the_one_that_answers_answers_for_the_team() -> None:
    first = searcher(uses(("look_up", {"word": "rook"})), hand("writer", "it is found"))
    second = writer(answers("A rook is a black bird."))
    assert run(Team(first, second), "What is a rook?") == "A rook is a black bird."
    assert "- writer: Writes the answer." in asked(first).text
    text = asked(second).text
    assert "searcher hands over to you: it is found" in text and "rook: a black bird" in text and "What is a rook?" in text


def test_native_calls_hand_over_too() -> None:
    first = Agent(model=model([calling(("look_up", {"word": "rook"})), calling(("hand_over", {"to": "writer", "message": "done"}))], tools=True),
                  tools=[look_up], name="searcher")
    second = Agent(model=model(["A black bird."], tools=True), name="writer")
    assert run(Team(first, second), "What is a rook?") == "A black bird."
    assert [offered.name for offered in asked(first).tools] == ["look_up", "hand_over"]
    assert "rook: a black bird" in asked(second).messages[-1].text


def test_only_given_results_are_seen() -> None:
    def script(request: Request) -> str:
        if seen(request) == 0:
            return uses(("look_up", {"word": "rook"}), ("secret_page", {}))
        name = request.text[request.text.index("look_up gave <") + 14 :].partition(">")[0]
        return hand("writer", "here", show=[name])

    first = Agent(model=ScriptedModel(script), tools=[look_up, secret_page], name="searcher")
    second = writer(answers("a bird"))
    assert run(Team(first, second, sees="given"), "?") == "a bird"
    assert "a black bird" in asked(second).text and "nobody else may see" not in asked(second).text


def test_what_is_given_has_to_be_there() -> None:
    first = searcher(hand("writer", show=["look_up-0000"]), hand("writer"))
    second = writer(answers("a bird"))
    assert run(Team(first, second, sees="given"), "?") == "a bird"
    assert "there is no result 'look_up-0000' to show" in asked(first, 1).text


def test_a_summary_is_seen_where_that_is_the_rule() -> None:
    first = searcher(uses(("secret_page", {})), hand("writer", "here"), "It found a page.")
    second = writer(answers("ok"))
    assert run(Team(first, second, sees="summary"), "?") == "ok"
    assert "It found a page." in asked(second).text and "nobody else may see" not in asked(second).text


def test_control_returns_to_the_one_that_asks_back() -> None:
    first = searcher(hand("writer", "how would you put it?", back=True), answers("rooks are black"))
    second = writer(answers("put it shortly"))
    assert run(Team(first, second), "?") == "rooks are black"
    assert "writer gave:\nput it shortly" in asked(first, 1).text
    assert "searcher asks you, and goes on with your answer: how would you put it?" in asked(second).text


def test_a_long_result_goes_over_by_its_symbol() -> None:
    @tool(inline=True)
    def story() -> str:
        """Tells a story."""
        return "rook " * 4000

    @tool(inline=True)
    def count_letters(text: str) -> int:
        """Counts."""
        return len(text)

    def count(request: Request) -> str:
        if "count_letters gave" in request.text:
            return answers(request.text.rpartition("\n")[2])
        name = request.text[request.text.index("gave <") + 6 :].partition(">")[0]
        return uses(("count_letters", {"text": f"<{name}>"}))

    first = Agent(model=model([uses(("story", {})), hand("counter")], context_tokens=4_000), tools=[story], name="teller")
    second = Agent(model=model(count, context_tokens=4_000), tools=[count_letters], name="counter")
    assert run(Team(first, second), "How long is it?") == "20000"


def test_members_answer_in_the_teams_type_and_the_door_works_for_every_planner() -> None:
    class Route(BaseModel):
        km: float

    planner = reflect(check=lambda answer: True)
    team = Team(searcher(hand("writer"), planner=planner), writer(answers({"km": 2}), planner=planner))
    assert run(team, "?", returns=Route) == Route(km=2)


def test_wrong_hand_overs_are_told() -> None:
    first = searcher(hand("nobody"), uses(("hand_over", {"to": "writer"})), hand("searcher"), answers("alone then"))
    assert run(Team(first, writer()), "?") == "alone then"
    text = asked(first, 3).text
    assert "$.to: Input should be 'writer'" in text and "$.message: it is missing" in text


# ------------------------------------------------------------------ ends


def test_two_that_hand_over_to_each_other_are_stopped_within_two_repeats() -> None:
    first = Agent(model=ScriptedModel(lambda request: hand("writer", f"you do it, {len(request.text)}")), name="searcher")
    second = Agent(model=ScriptedModel(lambda request: hand("searcher", f"no, you, {len(request.text)}")), name="writer")
    with pytest.raises(AgentStuck, match="hand over to each other and nothing new is found"):
        run(Team(first, second), "?")
    assert len(first.asking.model.requests) == 3 and len(second.asking.model.requests) == 3


def test_handing_over_with_something_new_each_time_is_work() -> None:
    def search(request: Request) -> str:
        count = len(first.asking.model.requests)
        return hand("writer") if count % 2 == 0 else uses(("look_up", {"word": f"word{count}"}))

    first = Agent(model=ScriptedModel(search), tools=[look_up], name="searcher")
    second = writer(*[hand("searcher", "more")] * 5, answers("enough"))
    assert run(Team(first, second), "?") == "enough"


def test_hand_overs_are_bounded() -> None:
    first = Agent(model=ScriptedModel(lambda request: hand("writer")), name="searcher")
    with pytest.raises(AgentExhausted, match="no answer after 1 hand-overs"):
        run(Team(first, writer(hand("searcher")), hand_overs=1), "?")


def test_those_that_wait_for_one_another_are_bounded() -> None:
    def script(request: Request) -> str:
        if "too many wait" in request.text or " gave:\n" in request.text:
            return answers("enough")
        return hand("writer" if request.text.startswith("You are searcher") else "searcher", back=True)

    team = Team(*[Agent(model=ScriptedModel(script), name=name, role=f"You are {name}.") for name in ("searcher", "writer")])
    assert run(team, "?") == "enough"


def test_limit_and_guard_of_a_team() -> None:
    with pytest.raises(LimitReached):
        run(Team(searcher(hand("writer")), writer(answers("x")), limit=Limit(calls=1)), "?")
    with pytest.raises(GuardRefused):
        run(Team(searcher(answers("x")), writer(), guard=guard(lambda said: said.text != "x")), "?")


def test_what_is_wrong_with_a_team_is_said_before_it_runs() -> None:
    with pytest.raises(GraphInvalid, match="there is none"):
        Team()
    with pytest.raises(GraphInvalid, match="two members have this name"):
        Team(writer(), writer())
    with pytest.raises(GraphInvalid, match="is no agent"):
        Team(writer(), look_up)  # type: ignore[arg-type]
    with pytest.raises(SearchInvalid):
        Team(writer(), sees="all")  # type: ignore[arg-type]


def test_an_end_of_the_one_that_was_asked_is_told_to_the_one_that_asks_back() -> None:
    first = searcher(hand("writer", back=True), answers("alone then"))
    second = Agent(model=ScriptedModel([ValueError("no ink")]), name="writer", attempts=1)
    assert run(Team(first, second), "?") == "alone then"
    assert "writer failed:\nValueError: no ink" in asked(first, 1).text


# ------------------------------------------------------------------ as a program, a call, a speaker


def test_resume_calls_nothing_again(tmp_path: Path) -> None:
    looked: list[str] = []
    is_down = True

    @tool
    async def look(word: str) -> str:
        """Looks."""
        looked.append(word)
        return word

    def end(request: Request) -> str:
        if is_down:
            raise RuntimeError("the lights went out")
        return answers("done")

    first = Agent(model=ScriptedModel([uses(("look", {"word": "a"})), hand("writer")]), tools=[look], name="searcher")
    team = Team(first, Agent(model=ScriptedModel(end), name="writer"))
    with pytest.raises(CallFailed):
        run(team, "?", log=tmp_path / "runs.db", id="t")
    is_down = False

    async def again() -> Any:
        async with resume("t", team, log=tmp_path / "runs.db") as r:
            return await r

    assert asyncio.run(again()) == "done"
    assert looked == ["a"] and len(first.asking.model.requests) == 2


def test_a_team_is_a_call_in_a_graph_a_tool_and_can_be_talked_with() -> None:
    team = Team(searcher(*[hand("writer")] * 3), writer(*[answers("a bird")] * 3))

    @graph
    def asked_in_a_graph(question: str) -> str:
        return team(question=question)

    assert run(asked_in_a_graph, "?") == "a bird"
    outer = Agent(model=ScriptedModel([uses(("team", {"question": "?"})), answers("they say so")]), tools=[team])
    assert run(outer, "?") == "they say so"

    async def go() -> str:
        async with talk(team) as chat:
            return str(await chat.say("?"))

    assert asyncio.run(go()) == "a bird"


def test_the_log_shows_whose_turn_it_was() -> None:
    log = MemoryLog()

    async def go() -> list[str]:
        async with start(Team(searcher(hand("writer")), writer(answers("x"))), "?", log=log) as r:
            await r
            return list(r.view.calls)

    assert asyncio.run(go()) == ["team", "team/searcher", "team/searcher/turn", "team/writer", "team/writer/turn"]


# ------------------------------------------------------------------ fan-out


def sayer(name: str, value: Any, returns: Any = int) -> Agent:
    script = ScriptedModel([value if isinstance(value, Exception) else answers(value)])
    return Agent(model=script, name=name, returns=returns, attempts=1)


def test_a_fan_out_merges_typed_answers() -> None:
    def total(answers: list[int]) -> int:
        return sum(answers)

    assert run(fan_out(sayer("a", 1), sayer("b", 2), merge=total), "How many?") == 3


def test_a_prompt_may_merge() -> None:
    @prompt(form="text")
    def best(answers: list[int], question: str) -> int:
        """{question} The best of {answers}?"""

    asking = ScriptedModel(["2"])
    assert run(fan_out(sayer("a", 1), sayer("b", 2), merge=best), "How many?", model=asking) == 2
    assert asking.requests[0].text.startswith("How many? The best of [1,2]?")


def test_a_fan_out_may_do_with_fewer() -> None:
    broken = sayer("b", ValueError("no"))
    assert run(fan_out(sayer("a", 1), broken, merge=_count, enough=1), "?") == 1
    with pytest.raises(AgentFailing, match="1 of 2 have an answer, and 2 are wanted; one says: ValueError: no"):
        run(fan_out(sayer("a", 1), sayer("b", ValueError("no")), merge=_count), "?")


def _count(answers: list[int]) -> int:
    return len(answers)


def test_a_merge_must_take_the_answers() -> None:
    def join(answers: list[str]) -> str:
        return " ".join(answers)

    with pytest.raises(GraphInvalid, match=r"it takes list\[str\], and the answers are a list of int"):
        fan_out(sayer("a", 1), merge=join)
    with pytest.raises(GraphInvalid, match="there is none"):
        fan_out(merge=join)


# ------------------------------------------------------------------ committee


def voting(name: str, value: Any, choice: int) -> Agent:
    def script(request: Request) -> str:
        return answers({"choice": choice, "why": "it is best"}) if "Proposal 1" in request.text else answers(value)

    return Agent(model=ScriptedModel(script), name=name)


def test_a_committee_votes_and_the_votes_are_in_the_log() -> None:
    log = MemoryLog()

    async def go() -> tuple[str, list[Any]]:
        whole = committee(voting("a", "one", 2), voting("b", "two", 2), voting("c", "three", 1))
        async with start(whole, "?", log=log, id="c") as r:
            value = await r
            votes = [event.held for event in r.history if type(event).__name__ == "CallFinished" and event.call.rpartition("/")[2].startswith("vote")]
            return value, votes

    value, votes = asyncio.run(go())
    assert value == "two"
    assert sorted((vote.voter, vote.choice, vote.why) for vote in votes) == [("a", 2, "it is best"), ("b", 2, "it is best"), ("c", 1, "it is best")]


def test_equal_proposals_need_no_vote_and_typed_ones_are_typed() -> None:
    alike = [Agent(model=ScriptedModel([answers({"choice": 1, "why": "x"})]), name=name) for name in "ab"]
    assert run(committee(*alike), "?", returns=Ballot) == Ballot(1, "x")


def test_a_chairman_may_be_a_function_or_a_prompt() -> None:
    def longest(proposals: list[str]) -> int:
        return 1 + max(range(len(proposals)), key=lambda place: len(proposals[place]))

    assert run(committee(voting("a", "one", 1), voting("b", "three", 1), voters=[longest]), "?") == "three"

    @prompt(form="text")
    def choose(question: str, proposals: list[str]) -> int:
        """{question}: {proposals}"""

    assert run(committee(voting("a", "one", 1), voting("b", "three", 1), voters=[choose]), "?", model=ScriptedModel(["2"])) == "three"


def test_votes_that_fail_do_not_count_and_ties_go_to_what_more_proposed() -> None:
    members = [voting("a", "one", 9), voting("b", "two", 9), voting("c", "two", 9)]
    assert run(committee(*members), "?") == "two"


def test_a_committee_without_a_proposal_is_a_typed_end() -> None:
    with pytest.raises(AgentFailing, match="nobody had a proposal: ValueError: no"):
        run(committee(sayer("a", ValueError("no"), str)), "?")
