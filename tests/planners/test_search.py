"""The search call over real planners: what it gives, what it refuses, where it stops, and that it can be stopped and resumed anywhere."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal

import pytest

from rookery import (
    Attempts,
    GraphInvalid,
    Limit,
    MemoryLog,
    Policy,
    ResultCache,
    RookeryError,
    SQLiteLog,
    fork,
    graph,
    prompt,
    resume,
    run,
    start,
    tool,
)
from rookery.core import event as ev
from rookery.errors import CallFailed, ModelUnreachable, SearchFailed, SearchInvalid
from rookery.models.model import Request
from rookery.models.scripted import ScriptedModel
from rookery.planners.beam import beam
from rookery.planners.planner import Check, Child, Verdict
from rookery.planners.result import SearchResult
from rookery.planners.search import search
from rookery.planners.step import claimed, public_tests, value, vote
from tests.planners.numbers import Hand, hand, judge, know, next_steps, reaches_24

PARTS: dict[str, Any] = {"propose": next_steps, "evaluate": know, "goal": reaches_24}


def test_a_search_gives_its_answer_and_says_who_chose_it() -> None:
    found = run(search(state=hand(4, 5, 6, 10), planner=beam(width=3), **PARTS))
    assert isinstance(found, SearchResult) and isinstance(found.answer, Hand) and reaches_24(found.answer)
    assert found.verdict is Verdict.EXACT and found.is_solved
    assert (found.chosen_by, found.seen, found.stop_reason) == ("the goal", "an exact goal", "verified")
    assert found.planner == "beam(width=3, depth=10, samples=1, select='best')"
    assert found.works["propose"] >= 3 and found.failed == 0 and not found.unused
    assert len(found.tree) > 10 and found.tree.nodes[found.answers[0].node].status == "answer"


def test_a_search_is_a_call_of_a_graph() -> None:
    @tool(inline=True)
    def way_of(found: SearchResult[Hand]) -> tuple[str, ...]:
        return found.answers[0].state.way

    solve = search(planner=beam(width=3), name="solve", **PARTS)

    @graph
    def both(one: Hand, other: Hand) -> list[tuple[str, ...]]:
        first = solve(state=one)
        second = search(state=other, planner=beam(width=3), **PARTS)
        return [way_of(found=first), way_of(found=second)]

    first, second = run(both, one=hand(4, 5, 6, 10), other=hand(1, 2, 3, 4))
    assert len(first) == len(second) == 3 and first[-1].endswith("= 24")


def test_a_search_is_awaited_in_async_code() -> None:
    async def program(numbers: list[int]) -> str:
        found = await search(state=hand(*numbers), planner=beam(width=3), **PARTS)
        return str(found.stop_reason)

    assert run(program, numbers=[4, 5, 6, 10]) == "verified"


def test_every_step_is_a_call_of_the_log_and_the_tree_is_in_the_events() -> None:
    async def main() -> None:
        log = MemoryLog()
        async with start(search(state=hand(4, 5, 6, 10), planner=beam(width=3), **PARTS), log=log, id="s") as r:
            found = await r
        made = [event.call for event in log.read("s") if isinstance(event, ev.CallMade)]
        assert len(made) >= sum(found.works.values())
        tree = r.view.trees["search"]
        assert [(n.parent, n.status, n.value, n.label) for n in tree] == [(n.parent, n.status, n.value, n.label) for n in found.tree.nodes]

    asyncio.run(main())


@pytest.mark.parametrize("concurrency", [1, 3, 8, 50])
def test_the_tree_of_a_beam_does_not_depend_on_concurrency_or_on_who_is_quick(concurrency: int) -> None:
    @tool
    async def slow_judge(state: Hand) -> float:
        await asyncio.sleep(hash(state.key()) % 5 / 1000)
        return judge.function(state)

    parts = {**PARTS, "evaluate": slow_judge}
    found = run(search(state=hand(1, 5, 6, 10), planner=beam(width=4), concurrency=concurrency, **parts))
    again = run(search(state=hand(1, 5, 6, 10), planner=beam(width=4), **{**PARTS, "evaluate": judge}))
    assert found.tree.states == again.tree.states
    assert found.answers == again.answers


# ------------------------------------------------------------------ prompts


@prompt(form="lines")
def lines(state: str) -> list[str]:
    """Steps from {state}:"""


@prompt(form="text")
def word(state: str) -> Literal["sure", "likely", "impossible"]:
    """Judge {state}:"""


def _answers(request: Request) -> str:
    text = request.messages[-1].text
    if text.startswith("Judge"):
        return "sure" if text.rstrip(":").endswith("b") else "impossible"
    state = text.removeprefix("Steps from ").rstrip(":")
    return f"{state}a\n{state}b"


def test_prompts_propose_and_judge_under_one_seed_a_sample() -> None:
    model = ScriptedModel(_answers)
    cache = ResultCache()
    made = search(
        state=".", propose=lines, evaluate=value(word, samples=3, scale={"sure": 20, "likely": 1, "impossible": 0.001}),
        goal=lambda state: state == ".bbb", planner=beam(width=1, depth=5), model=model, seed=7,
    )
    found = run(made, cache=cache)
    assert found.answer == ".bbb" and found.spent.calls == 3 + 2 * 2 * 3
    assert {node.value for node in found.tree.nodes if node.status == "pruned"} == {0.003}
    seeds = {request.sampling.seed for request in model.requests if request.messages[-1].text.startswith("Judge")}
    assert len(seeds) == 3 and {request.sample for request in model.requests} == {0, 1, 2}
    again = run(made, cache=cache)
    assert again.spent.calls == 0 and again.tree == found.tree, "values are cached across problems"


def test_votes_see_all_candidates_together() -> None:
    @prompt(form="text")
    def best(states: list[str]) -> int:
        """Which is best?
        {states}
        """

    def answers(request: Request) -> str:
        text = request.messages[-1].text
        return "2" if "Which" in text else _answers(request)

    found = run(search(state=".", propose=lines, evaluate=vote(best, votes=3), planner=beam(width=1, depth=2), model=ScriptedModel(answers)))
    assert found.works == {"propose": 2, "evaluate": 2}
    assert [(node.label, node.value) for node in found.tree.nodes[1:3]] == [(".a", 0.0), (".b", 3.0)]
    assert found.answers[0].state == ".bb" and found.verdict is Verdict.UNVERIFIED and found.stop_reason == "depth"


def test_a_claim_is_never_printed_as_verified() -> None:
    @prompt(form="text")
    def right(state: str) -> bool:
        """Is {state} right?"""

    model = ScriptedModel(lambda request: "yes" if "right" in request.messages[-1].text else _answers(request))
    parts: dict[str, Any] = {"propose": lines, "evaluate": value(word, scale={"sure": 1, "impossible": 0}), "planner": beam(width=1)}
    for goal in (right, claimed(right)):
        found = run(search(state=".", goal=goal, model=model, **parts))
        assert found.verdict is Verdict.CLAIMED and not found.is_solved and found.seen == "its own claim"
    tested = run(search(state=".", goal=public_tests(lambda state: "b" in state), model=model, **parts))
    assert tested.verdict is Verdict.PUBLIC_TESTS and tested.is_solved
    assert tested.grade(lambda state: state == ".b") and not tested.grade(lambda state: False)


def test_hidden_tests_have_no_way_into_a_search() -> None:
    with pytest.raises(GraphInvalid, match="knows no step of this name"):
        search(state=".", propose=lines, evaluate=judge, planner=beam(), hidden=lambda state: True)


# ------------------------------------------------------------------ bad input


def test_all_faults_of_the_steps_are_said_at_once() -> None:
    @tool
    def wants_more(state: str, colour: str) -> list[str]:
        return []

    @tool
    def words(state: str) -> str:
        return "good"

    with pytest.raises(GraphInvalid) as caught:
        search(state=3.5, propose=wants_more, evaluate=words, goal=words, planner=beam())
    text = str(caught.value)
    assert "search.propose.colour" in text and "search.evaluate" in text and "search.goal" in text
    with pytest.raises(GraphInvalid, match=r"search\.state: it is float, and propose takes str") as caught:
        search(state=3.5, propose=lines, evaluate=word, planner=beam(), goal=lambda state: True)
    with pytest.raises(GraphInvalid, match="can't do without it"):
        search(state=".", propose=lines, planner=beam())


@pytest.mark.parametrize("options", [{"width": 0}, {"depth": 0}, {"samples": 0}, {"select": "worst"}])
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(SearchInvalid, match=next(iter(options))):
        beam(**options)


def test_concurrency_and_nodes_below_one() -> None:
    for option in ("concurrency", "max_nodes", "answers"):
        with pytest.raises(SearchInvalid, match=option):
            search(state=".", propose=lines, evaluate=word, planner=beam(), **{option: 0})


@pytest.mark.parametrize(
    ("judged", "kind"), [(float("nan"), "StepWrong"), (float("inf"), "StepWrong"), (ValueError("no"), "ValueError"), ("good", "ParseFailed")]
)
def test_an_evaluator_that_gives_no_number_ends_in_words(judged: Any, kind: str) -> None:
    @tool(inline=True)
    def bad(state: Hand) -> float:
        if isinstance(judged, Exception):
            raise judged
        return judged

    found = run(search(state=hand(4, 5, 6, 10), planner=beam(width=3), **{**PARTS, "evaluate": bad}))
    assert found.stop_reason in ("failing", "exhausted") and found.faults[0].kind == kind and found.failed > 0
    assert found.verdict is Verdict.UNVERIFIED


def test_where_nothing_can_be_carried_out_the_first_error_is_raised() -> None:
    @tool(inline=True)
    def broken(state: Hand) -> list[Hand]:
        raise ConnectionError("nobody there")

    with pytest.raises(CallFailed, match="nobody there"):
        run(search(state=hand(1, 2, 3, 4), planner=beam(width=3), **{**PARTS, "propose": broken}))

    async def main() -> None:
        with pytest.raises(SearchFailed) as caught:
            await search(state=hand(1, 2, 3, 4), planner=beam(width=3), **{**PARTS, "propose": broken})
        assert caught.value.kind == "ConnectionError"

    async def program() -> str:
        try:
            await search(state=hand(1, 2, 3, 4), planner=beam(width=3), **{**PARTS, "propose": broken})
        except RookeryError as error:
            return str(error)
        return ""

    assert "nobody there" in run(program)


def test_a_server_that_is_down_fails_the_search_so_that_it_can_be_resumed(tmp_path: Path) -> None:
    """It does not end with less than it could have found."""

    def down(request: Request) -> str:
        if len(model.requests) > 5:
            raise ModelUnreachable("nobody answers")
        return _answers(request)

    model = ScriptedModel(down)
    parts: dict[str, Any] = {"propose": lines, "evaluate": value(word, scale={"sure": 1, "impossible": 0}), "goal": lambda state: state == ".bbb"}
    found = search(state=".", planner=beam(width=1), **parts)

    async def main() -> None:
        with pytest.raises(CallFailed, match="nobody answers"):
            async with start(found, model=model, log=tmp_path / "log.db", id="s", policy=Policy(attempts=Attempts(stop=1))) as r:
                await r
        up = ScriptedModel(_answers)
        async with resume("s", found, model=up, log=tmp_path / "log.db") as r:
            assert (await r).answer == ".bbb"
        assert 2 <= len(up.requests) <= 3  # what was in flight beside the one that failed is asked again

    asyncio.run(main())


def test_no_model_and_no_key_is_said_plainly() -> None:
    from rookery.errors import SettingMissing

    with pytest.raises((SettingMissing, CallFailed), match=r"none is given|model"):
        run(search(state=".", propose=lines, evaluate=value(word, scale={"sure": 1}), planner=beam()))


@pytest.mark.parametrize("given", ["nothing", "duplicates", "cycle", "endless"])
def test_odd_proposers_end_with_a_reason(given: str) -> None:
    @tool(inline=True)
    def odd(state: int) -> list[int]:
        return {"nothing": [], "duplicates": [state, state, 0, 0], "cycle": [(state + 1) % 5], "endless": [state * 2 + 1, state * 2 + 2]}[given]

    parts: dict[str, Any] = {"propose": odd, "evaluate": lambda state: state, "goal": lambda state: False}
    found = run(search(state=0, planner=beam(width=3, depth=10**9), max_nodes=500, **parts))
    assert found.stop_reason == ("limit: nodes" if given == "endless" else "exhausted")
    assert not found.is_solved


def test_a_state_that_cannot_be_told_from_others() -> None:
    class Odd:
        pass

    @tool(inline=True)
    def odd(state: Any) -> list[Any]:
        return [object()]

    with pytest.raises((RookeryError, CallFailed), match=r"written|serialis"):
        run(search(state=Odd(), propose=odd, evaluate=lambda state: 1.0, planner=beam()))
    def grow(state: tuple[int, ...]) -> list[tuple[int, ...]]:
        return [(*state, 3)]

    found = run(search(state=(1, 2), propose=grow, evaluate=lambda state: 1.0, planner=beam(depth=2)))
    assert found.answers[0].state == (1, 2, 3, 3)


def test_a_solved_root_needs_no_work() -> None:
    found = run(search(state=hand(24), planner=beam(), **PARTS))
    assert found.stop_reason == "verified" and found.works == {} and found.answers[0].node == 0


def test_priors_and_answers_of_another_type() -> None:
    @tool(inline=True)
    def think(state: str) -> list[Child[str | int]]:
        return [Child(state + "!", prior=0.5), Child(42, prior=0.9)]

    def check(state: str | int) -> Check:
        return Check(state == 43, 0.5, "off by one")

    found = run(search(state="why", propose=think, evaluate=lambda state: 1.0, planner=beam(depth=2), goal=check))
    assert [answer.state for answer in found.answers] == [42] and found.answers[0].feedback == "off by one"


# ------------------------------------------------------------------ limits


def test_a_budget_smaller_than_one_call_is_a_named_stop() -> None:
    parts: dict[str, Any] = {"propose": lines, "evaluate": value(word, scale={"sure": 1, "impossible": 0}), "planner": beam()}
    found = run(search(state=".", model=ScriptedModel(_answers), limit=Limit(tokens=1), **parts))
    assert found.stop_reason == "limit: tokens" and found.answers == [] and found.spent.calls == 0
    found = run(search(state=".", model=ScriptedModel(_answers), limit=Limit(calls=0), **parts))
    assert found.stop_reason == "limit: calls"


@pytest.mark.parametrize("concurrency", [1, 2, 8])
def test_a_search_keeps_to_its_own_limit_and_the_run_goes_on(concurrency: int) -> None:
    async def program() -> list[Any]:
        parts: dict[str, Any] = {"propose": lines, "evaluate": value(word, scale={"sure": 1, "impossible": 0})}
        made = [search(state=s, limit=Limit(calls=10), planner=beam(width=3), concurrency=concurrency, **parts) for s in (".", ",")]
        return [[found.stop_reason, found.spent.calls, len(found.tree)] for found in [await one for one in made]]

    first, second = run(program, model=ScriptedModel(_answers), limit=Limit(calls=100))
    assert first[:1] == second[:1] == ["limit: calls"] and first[1] == second[1] == 10, "however many are in flight"


def test_seconds_end_a_search_and_nothing_is_left_in_flight() -> None:
    @tool
    async def never(state: int) -> list[int]:
        await asyncio.sleep(60)
        return []

    found = run(search(state=0, propose=never, evaluate=lambda state: 1.0, planner=beam(samples=4), limit=Limit(seconds=0.2)))
    assert found.stop_reason == "limit: seconds" and found.answers == []


def test_seconds_hold_while_the_first_state_is_checked() -> None:
    @tool
    async def never(state: int) -> bool:
        await asyncio.sleep(60)
        return True

    found = run(search(state=0, propose=lambda state: [1], evaluate=lambda state: 1.0, goal=never, planner=beam(), limit=Limit(seconds=0.2)))
    assert found.stop_reason == "limit: seconds" and found.works == {}


def test_what_is_in_flight_at_the_end_is_cancelled() -> None:
    ended: list[str] = []

    @tool
    async def some(state: int) -> list[int]:
        try:
            await asyncio.sleep(0.01 if state == 0 else 30)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return [1, 2, 3]

    @tool
    async def quick(state: int) -> float:
        await asyncio.sleep(0 if state == 1 else 30)
        return 1.0

    async def main() -> None:
        made = search(state=0, propose=some, evaluate=quick, goal=lambda state: False, planner=beam(width=1, depth=3), limit=Limit(seconds=0.3))
        async with start(made) as r:
            found = await r
            assert found.stop_reason == "limit: seconds"
            await asyncio.sleep(0.05)
            assert len(r._tasks) == 0

    asyncio.run(main())


# ------------------------------------------------------------------ resuming


def _parts(calls: list[str], stop_after: int | None = None) -> dict[str, Any]:
    @tool
    async def proposes(state: Hand) -> list[Hand]:
        if stop_after is not None and len(calls) >= stop_after:
            await asyncio.sleep(60)
        calls.append("propose " + state.key())
        return next_steps.function(state)

    @tool
    async def judges(state: Hand) -> float:
        if stop_after is not None and len(calls) >= stop_after:
            await asyncio.sleep(60)
        calls.append("judge " + state.key())
        return judge.function(state)

    return {"propose": proposes, "evaluate": judges, "goal": reaches_24}


@pytest.mark.parametrize("stop_after", [0, 1, 2, 7, 30, 60])
def test_a_search_left_anywhere_is_resumed_with_nothing_repeated(tmp_path: Path, stop_after: int) -> None:
    async def main() -> None:
        planner, state = beam(width=3), hand(1, 5, 6, 10)
        whole: list[str] = []
        async with start(search(state=state, planner=planner, **_parts(whole))) as r:
            expected = await r
        first: list[str] = []
        async with start(search(state=state, planner=planner, **_parts(first, stop_after)), log=tmp_path / "log.db", id="s") as r:
            while len(first) < stop_after:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.02)
        second: list[str] = []
        async with resume("s", search(state=state, planner=planner, **_parts(second)), log=tmp_path / "log.db") as r:
            found = await r
            tree = r.view.trees["search"]
        assert found == expected
        assert sorted(first + second) == sorted(whole), "each call once"
        assert len(tree) == len(found.tree)
        log = SQLiteLog(tmp_path / "log.db")
        grown = [row[0] for event in log.read("s") if isinstance(event, ev.TreeGrown) for row in event.nodes]
        assert grown.count(0) <= 2, "the tree is told once"
        log.close()

    asyncio.run(main())


def test_a_forked_search_starts_from_what_is_known(tmp_path: Path) -> None:
    async def main() -> None:
        calls: list[str] = []
        parts = _parts(calls)
        solve = search(planner=beam(width=3), name="solve", **parts)
        async with start(solve, state=hand(1, 5, 6, 10), log=tmp_path / "log.db", id="s") as r:
            await r
        before = len(calls)
        async with fork("s", solve, log=tmp_path / "log.db", edit={"inputs.state": hand(4, 5, 6, 10)}) as r:
            found = await r
        assert len(calls) > before and found.tree.nodes[0].label == "4 5 6 10"

    asyncio.run(main())


@pytest.mark.parametrize("inline", [True, False])
def test_a_goal_may_take_the_first_state(inline: bool) -> None:
    @tool(inline=inline)
    def twice(state: int, root: int) -> bool:
        return state == 2 * root

    found = run(search(state=3, propose=lambda state: [state + 1], evaluate=lambda state: 1.0, goal=twice, planner=beam()))
    assert found.answer == 6 and found.is_solved
    with pytest.raises(GraphInvalid, match=r"search\.goal\.path"):
        search(state=3, propose=lambda state: [state + 1], goal=lambda state, path: True, evaluate=lambda state: 1.0, planner=beam())


@pytest.mark.parametrize("concurrency", [1, 8])
def test_works_can_be_counted_and_capped(concurrency: int) -> None:
    found = run(search(state=hand(1, 5, 6, 10), planner=beam(width=4), max_works=17, concurrency=concurrency, **PARTS))
    assert found.stop_reason == "limit: works" and sum(found.works.values()) == 17
    with pytest.raises(SearchInvalid, match="max_works"):
        search(state=hand(1, 5, 6, 10), planner=beam(width=4), max_works=0, **PARTS)


def test_a_text_that_could_be_made_a_state_of_is_an_answer() -> None:
    asked: list[int] = []

    @tool(inline=True)
    def double(state: int) -> str:
        asked.append(state)
        return str(2 * state)

    found = run(search(state=4, propose=double, evaluate=lambda answer: float(answer), planner=beam(width=2)))
    assert found.answer == "8" and asked == [4]
