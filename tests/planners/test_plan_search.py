"""Plan search: counts equal the closed forms, an order that is good whenever it is cut off, and steps replaced by name."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import md5
from math import comb
from typing import Any

import pytest

from rookery import Limit, run, tool
from rookery.errors import CallFailed, GraphInvalid, SearchInvalid
from rookery.models.model import Request
from rookery.planners import Check, Child, Result, Verdict, Work, plan_search, public_tests, search
from rookery.planners.plan_prompts import PROMPTS
from rookery.planners.tree import Tree
from rookery.testing import ScriptedModel, check_planner
from tests.planners.numbers import hand, judge, next_steps, reaches_24
from tests.planners.playing import BROKEN, play


def told(text: str) -> str:
    return md5(text.encode()).hexdigest()[:8]


def scripted(n: int) -> ScriptedModel:
    """Answers every step: ``n`` observations, the same for the same question."""

    def answer(request: Request) -> str:
        text = request.messages[-1].text
        if "List" in text:
            return "\n".join(f"- observation {told(text)} {number}" for number in range(n))
        return ("code " if "Write the whole program" in text else "words ") + told(text)

    return ScriptedModel(answer)


def carried(n: int, seen: list[Work] | None = None, code: Callable[[Work], Child[Any]] | None = None) -> Callable[[Tree, Work], Result]:
    """The same without an engine."""

    def carry(tree: Tree, work: Work) -> Result:
        if seen is not None:
            seen.append(work)
        text = repr((work.step, sorted(work.given.items())))
        if work.step in ("observe", "derive"):
            return Result(value=[f"{told(text)} {number}" for number in range(n)])
        if work.step == "propose":
            return Result(children=[code(work) if code else Child(text, key=text, final=True)])
        return Result(value=f"{work.step} {told(text)}")

    return carry


def leaves(n: int, size: int = 2) -> int:
    some = sum(comb(n, k) for k in range(1, size + 1))
    return (1 + some) + (1 + some) * some


@pytest.mark.parametrize(("n", "codes"), [(3, 98), (4, 242), (5, 512), (6, 968)])
def test_counts_equal_the_closed_forms(n: int, codes: int) -> None:
    seen: list[Work] = []
    planner = plan_search(observations=n, whole=True)
    tree, reason = play(planner, carried(n, seen), steps=frozenset(PROMPTS))
    count = {step: sum(work.step == step for work in seen) for step in PROMPTS}
    first = 1 + n + comb(n, 2)
    assert count == {
        "observe": 1, "derive": first, "plan": codes // 2, "criticise": codes // 2, "replan": codes // 2, "sketch": codes, "propose": codes,
    }
    assert codes == 2 * leaves(n) and reason == "exhausted" and len(planner.choose(tree).nodes) == codes


@pytest.mark.parametrize(("size", "layers", "expected"), [(1, 1, 5), (2, 1, 11), (0, 2, 1), (1, 3, 5 + 5 * 4 + 20 * 4), (3, 2, leaves(4, 3))])
def test_other_sizes_and_layers(size: int, layers: int, expected: int) -> None:
    seen: list[Work] = []
    play(plan_search(observations=4, size=size, layers=layers, whole=True), carried(4, seen), steps=frozenset(PROMPTS))
    assert sum(work.step == "plan" for work in seen) == expected


def test_a_plan_is_written_from_all_observations_on_its_way_and_no_leaf_comes_twice() -> None:
    seen: list[Work] = []
    play(plan_search(observations=3, whole=True), carried(3, seen), steps=frozenset(PROMPTS))
    first = next(work for work in seen if work.step == "derive" and not work.given["observations"])
    known = [tuple(sorted(work.given["observations"])) for work in seen if work.step == "plan"]
    assert len(set(known)) == len(known) == 49 and max(map(len, known)) == 4 and () in known
    assert first.given["count"] == 3
    codes = [work for work in seen if work.step == "propose"]
    assert all(work.given["plan"] and work.given["sketch"] for work in codes) and len({work.sample for work in codes}) == 98


def test_the_order_is_shuffled_by_the_seed_mixes_layers_and_gives_answers_soon() -> None:
    orders = []
    for seed in (1, 2):
        seen: list[Work] = []
        play(plan_search(observations=4, whole=True), carried(4, seen), steps=frozenset(PROMPTS), seed=seed)
        orders.append([tuple(work.given["observations"]) for work in seen if work.step == "plan"])
        steps = [work.step for work in seen]
        assert steps.index("propose") <= 2 * 8 + 8, "the first answer is checked after three works of eight leaves"
        assert len({len(observations) for observations in orders[-1][:20]}) >= 3
    assert orders[0] != orders[1]


@pytest.mark.parametrize("whole", [False, True])
def test_the_tree_does_not_depend_on_concurrency(whole: bool) -> None:
    goal = public_tests(lambda text: Check(text.endswith("7"), 0.5))
    found = [
        run(search(state="sort", planner=plan_search(observations=3, whole=whole), goal=goal, model=scripted(3), concurrency=c)) for c in (1, 3, 8)
    ]
    assert all(one.tree == found[0].tree and one.answers == found[0].answers and one.works == found[0].works for one in found)
    assert found[0].works["propose"] == 98 or not whole


def test_it_ends_at_the_first_that_passes_or_makes_the_whole_pool() -> None:
    goal = public_tests(lambda text: Check(text.endswith(("7", "8")), 0.5))
    first = run(search(state="sort", planner=plan_search(observations=3), goal=goal, model=scripted(3)))
    assert first.stop_reason == "verified" and first.verdict is Verdict.PUBLIC_TESTS and first.works["propose"] < 60
    whole = run(search(state="sort", planner=plan_search(observations=3, whole=True), goal=goal, model=scripted(3)))
    passed = [answer for answer in whole.answers if answer.verdict is Verdict.PUBLIC_TESTS]
    assert sum(answer.votes for answer in whole.answers) == 98 and 1 < len(passed) < 40 and whole.answers[: len(passed)] == passed
    assert whole.verdict is Verdict.PUBLIC_TESTS and whole.stop_reason == "exhausted"


def test_a_budget_ends_it_with_what_is_there() -> None:
    found = run(
        search(state="sort", planner=plan_search(), goal=public_tests(lambda text: False), model=scripted(5), limit=Limit(calls=40), concurrency=4)
    )
    assert found.stop_reason == "limit: calls" and found.spent.calls == 40 and len(found.answers) > 5


def test_prompts_begin_with_what_they_share() -> None:
    model = scripted(3)
    run(search(state="sort a list of numbers", planner=plan_search(observations=3, whole=True), goal=public_tests(lambda text: False), model=model))
    texts = [request.messages[-1].text for request in model.requests]
    assert len({text[: text.index("numbers") + 7] for text in texts}) == 1, "the problem stands at the same place in all"
    for opening, last in (("Describe in plain words", "Observations:\n"), ("Write it as pseudocode", "Plan:\n"), ("Write the whole", "Plan:\n")):
        same = [text for text in texts if opening in text]
        assert len({text[: text.rindex(last)] for text in same}) == 1, "what varies stands last"


# ------------------------------------------------------------------ steps of the user's own


def test_steps_are_replaced_by_name_and_answers_have_the_type_of_propose() -> None:
    given: list[tuple[str, str, list[str]]] = []

    @tool(inline=True)
    def look(numbers: list[int]) -> list[str]:
        return ["ascending", "two digits"]

    @tool(inline=True)
    def further(numbers: list[int], observations: list[str], count: int) -> list[str]:
        return [f"so {'+'.join(observations) or 'nothing'}"]

    @tool(inline=True)
    def plan(numbers: list[int], observations: list[str]) -> str:
        return "sum, as " + ", ".join(observations)

    @tool(inline=True)
    def write(numbers: list[int], plan: str, sketch: str, observations: list[str]) -> int:
        given.append((plan, sketch, observations))
        return len(given)

    found = run(
        search(
            state=[1, 2], planner=plan_search(size=1, layers=2), observe=look, derive=further, plan=plan, propose=write,
            criticise=lambda numbers, plan: "no", replan=lambda numbers, plan, criticism: plan + " but " + criticism,
            sketch=lambda numbers, plan: plan.upper(), goal=lambda n: n == 9, concurrency=1,
        )
    )  # fmt: skip
    assert found.answer == 9 and found.verdict is Verdict.EXACT and found.spent.calls == 0
    assert any(plan.endswith("but no") for plan, _, _ in given) and all(sketch == plan.upper() for plan, sketch, _ in given)
    assert max(len(observations) for _, _, observations in given) == 2


def test_the_same_call_of_a_stepwise_problem_follows_lines_of_steps() -> None:
    parts: dict[str, Any] = {"propose": next_steps, "evaluate": judge, "goal": reaches_24}
    found = run(search(state=hand(4, 5, 6, 10), planner=plan_search(), model=scripted(5), **parts))
    assert found.is_solved and found.stop_reason == "verified" and len(found.answers[0].state.way) == 3


def test_without_a_goal_the_evaluator_chooses() -> None:
    planner = plan_search(observations=2, size=1, layers=1)
    found = run(search(state="sort", planner=planner, model=scripted(2), evaluate=lambda text: float(ord(text[-1]))))
    assert found.chosen_by == "the highest value" and found.works["evaluate"] == len(found.answers)
    assert found.answers[0].value == max(answer.value or 0 for answer in found.answers)


def test_a_missing_model_and_a_step_of_no_use_are_said() -> None:
    with pytest.raises(CallFailed, match="needs a model"):
        run(search(state=hand(4, 5, 6, 10), propose=next_steps, planner=plan_search()))
    with pytest.raises(GraphInvalid, match="it takes criticise, derive"):
        search(state="x", planner=plan_search(), colour=lambda text: "blue")


# ------------------------------------------------------------------ odd input


@pytest.mark.parametrize("broken", ["observe", "derive", "plan", "sketch", "criticise", "replan", "propose"])
def test_what_fails_takes_only_what_rests_on_it(broken: str) -> None:
    seen: list[Work] = []
    whole = carried(3, seen)
    planner = plan_search(observations=3, whole=True)
    tree, reason = play(planner, lambda tree, work: BROKEN if work.step == broken else whole(tree, work), steps=frozenset(PROMPTS))
    answers = len(planner.choose(tree).nodes)
    # without the first observations the empty subset still has some derived from it
    expected = {"observe": 2 * (1 + 6), "derive": 2 * 7, "plan": 0, "sketch": 0, "criticise": 49, "replan": 49, "propose": 0}
    assert reason == "exhausted" and answers == expected[broken]


@pytest.mark.parametrize("listed", [[], [""], ["a", "a", " a "], None, "a\nb", [1, 2]])
def test_odd_observations(listed: Any) -> None:
    def carry(tree: Tree, work: Work) -> Result:
        if work.step in ("observe", "derive"):
            return Result(value=listed)
        return carried(3)(tree, work)

    planner = plan_search(whole=True)
    tree, reason = play(planner, carry, steps=frozenset(PROMPTS))
    assert reason == "exhausted" and 2 <= len(planner.choose(tree).nodes) <= 20


def test_equal_answers_are_one_with_their_votes() -> None:
    planner = plan_search(observations=2, whole=True)
    tree, _ = play(planner, carried(2, code=lambda work: Child("same", key="same", final=True)), steps=frozenset(PROMPTS))
    assert list(planner.choose(tree).votes.values()) == [2 * leaves(2)]


def test_a_copy_of_the_tree_goes_on_as_the_tree_does() -> None:
    planner, tree = plan_search(observations=3), Tree("root", key="root", steps=frozenset(PROMPTS))
    carry = carried(3)
    for _ in range(30):
        for work in planner.ask(tree, 4, 7):
            planner.tell(tree, work, carry(tree, work))
    other = tree.copy()
    assert planner.ask(tree, 4, 7) == planner.ask(other, 4, 7) != []


@pytest.mark.parametrize("options", [{"observations": 0}, {"size": -1}, {"layers": 0}, {"depth": 0}, {"abreast": 0}, {"temperature": -1}])
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(SearchInvalid, match=next(iter(options))):
        plan_search(**options)


@pytest.mark.parametrize(
    "factory",
    [lambda: plan_search(observations=3), lambda: plan_search(observations=2, size=1, whole=True), lambda: plan_search(layers=1)],
)
def test_the_contract_of_planners(factory: Any) -> None:
    check_planner(factory)
