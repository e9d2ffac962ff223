"""Solution search: what is proposed and refused, the race on real calls, the front, its graphs, limits, metrics."""

from __future__ import annotations

import json
import re

import pytest

from rookery import Limit, run, tool
from rookery.agents.sketch import Sketch, Task, built, fault_of, sketches
from rookery.agents.solutions import Sample, SolutionSearch, by_type, propose_ways, vote_on_ways
from rookery.errors import CallFailed, GraphInvalid, SearchInvalid
from rookery.models.model import Capabilities, Request
from rookery.testing import ScriptedModel

TASK = Task("Add the two numbers.", {"a": int, "b": int}, int)
SAMPLES = [Sample({"a": a, "b": b}, a + b) for a in range(6) for b in range(5)]


def adder(name: str, wrong_each: int, usd: float) -> ScriptedModel:
    """Adds, and is wrong where the sum is a multiple of ``wrong_each``."""

    def answer(request: Request) -> str:
        if "short plan" in request.text:
            return "add them"
        if "surely right" in request.text:
            return "false" if _sum(request.text) % wrong_each == 0 else "true"
        total = _sum(request.text)
        return str(total + (total % wrong_each == 0))

    return ScriptedModel(answer, name=f"scripted:{name}", capabilities=Capabilities(f"scripted:{name}", is_local=True, price_usd=(usd, usd)))


def _sum(text: str) -> int:
    return sum(int(re.search(rf"\n{name}:\n(-?\d+)", text)[1]) for name in "ab")  # type: ignore[index]


def pool() -> dict[str, ScriptedModel]:
    return {"small": adder("small", 2, 1e-6), "large": adder("large", 1_000, 1e-4)}


def test_the_front_has_the_cheap_and_the_good_and_leaves_out_what_is_worse_in_all() -> None:
    ways = [Sketch(shape="direct", model="small"), Sketch(shape="direct", model="large"), Sketch(shape="plan", model="large"),
            Sketch(shape="plan", model="small"), Sketch(shape="cascade", model="small", other="large")]  # fmt: skip
    search = SolutionSearch(TASK, SAMPLES, propose=ways, models=["small", "large"], most_trials=150)
    found = run(search, models=pool())
    verdicts = {str(each.sketch): each.verdict for each in found.all}
    assert {"direct: small", "direct: large"} <= {str(each.sketch) for each in found.front}
    assert len(verdicts) == 5 and found.trials <= 150 and found.exhaustive == 150
    best = found.best()
    assert best.quality.mean > 0.9 and "large" in str(best.sketch)
    assert str(found.best(usd=found.all[0].cost_usd.mean * 10)) and "ways may be best" in str(found)
    assert run(search.graph(best), a=20, b=3, models=pool()) == 23
    with pytest.raises(SearchInvalid, match="within these bounds"):
        found.best(usd=-1.0)


def test_what_cannot_be_built_or_was_there_is_said_and_not_raced() -> None:
    @tool
    def plus(a: int, b: int) -> int:
        return a + b

    task = Task(TASK.text, TASK.inputs, int, tools=[plus])
    ways = [Sketch(shape="direct", model="small"), Sketch(shape="direct", model="small"), Sketch(shape="direct", model="huge"),
            Sketch(shape="cascade", model="small"), Sketch(shape="vote", model="small"), Sketch(shape="tool", tool="minus"),
            Sketch(shape="tool", tool="plus")]  # fmt: skip
    found = run(SolutionSearch(task, SAMPLES, propose=ways, models=["small"], most_trials=60), models=pool())
    assert str(found.front[0].sketch) == "tool: plus" and found.front[0].quality.mean == 1, "it costs nothing and is always right"
    assert len(found.rejected) == 5 and any("proposed before" in why for _, why in found.rejected)
    with pytest.raises(CallFailed, match="none of the proposed ways"):
        run(SolutionSearch(TASK, SAMPLES, propose=ways[2:3], models=["small"]), models=pool())


def test_a_committee_proposes_and_votes() -> None:
    seen: list[str] = []

    def member(request: Request) -> str:
        seen.append(request.text)
        if "Propose" in request.text:
            shape = "direct" if "frugal" in request.text else "plan" if "careful" in request.text else "revise"
            return json.dumps({"ways": [{"shape": shape, "model": "large"}, {"shape": "direct", "model": "small"}]})
        return json.dumps({"keep": [0, 1] if "frugal" in request.text else [0]})

    search = SolutionSearch(TASK, SAMPLES, models=["small", "large"], most=2, propose=propose_ways, vote=vote_on_ways)
    found = run(search, models={**pool(), "committee": ScriptedModel(member)}, model="committee")
    assert {str(each.sketch) for each in found.all} == {"direct: large", "direct: small"}
    assert any("committee left it out" in why for _, why in found.rejected) and any("direct: large" in text for text in seen[1:3])


def test_a_way_whose_calls_fail_counts_as_wrong_and_a_met_limit_ends_the_race() -> None:
    broken = ScriptedModel(lambda request: "no number", name="scripted:broken")
    ways = [Sketch(shape="direct", model="broken"), Sketch(shape="direct", model="large")]
    found = run(SolutionSearch(TASK, SAMPLES[:8], propose=ways, models=["broken", "large"], most_trials=16), models={**pool(), "broken": broken})
    failed = next(each for each in found.all if each.sketch.model == "broken")
    assert failed.quality.mean == 0 and failed.why
    short = run(SolutionSearch(TASK, SAMPLES, propose=ways[1:], models=["large"], most_trials=30), models=pool(), limit=Limit(calls=5))
    assert short.why == "limit" and short.all[0].trials <= 5


def test_every_simple_way_can_be_built() -> None:
    ways = list(sketches(TASK, ["small", "large"]))
    assert len(ways) == len({str(way) for way in ways}) == 11
    assert all(not fault_of(way, TASK, ["small", "large"]) and built(way, TASK).returns is int for way in ways)
    vote = run(built(Sketch(shape="vote", model="large", samples=3), TASK), a=1, b=2, models=pool())
    assert vote == 3
    with pytest.raises(GraphInvalid, match="no tool"):
        built(Sketch(shape="tool", tool="nothing"), TASK)
    for options in ({"samples": []}, {"models": []}, {"most": 0}):
        with pytest.raises(SearchInvalid):
            SolutionSearch(TASK, **{"samples": SAMPLES, "models": ["small"], **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(("answer", "expected", "quality"), [
    ("  Rooks ", "rooks", 1.0), ("crows", "rooks", 0.0), (1.0000001, 1, 1.0), (True, True, 1.0), (2, True, 0.0), ([1, 2], [2, 3], 0.5),
    ([], [1], 0.0),
    ({"a": 1, "b": 2}, {"a": 1, "b": 3}, 0.5), (None, "x", 0.0), (None, [1], 0.0), (None, None, 1.0), ([], [], 1.0), ("ab", ["a", "b"], 0.0),
])  # fmt: skip
def test_metrics_by_type(answer: object, expected: object, quality: float) -> None:
    assert by_type(answer, expected) == pytest.approx(quality)
