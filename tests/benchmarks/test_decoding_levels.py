"""The comparison of levels: its cases are what an independent reading says; and, marked server, a hundred of them against a real llama-server."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.decoding_levels import Comparison, cases, compare, request_for, targets, wanting, written
from benchmarks.llama_server import Unavailable
from rookery.decoding import Desk, Tally, check, choice
from rookery.models.model import Message, Request, Sampling


async def test_level_4_agrees_with_an_independent_reading() -> None:
    draw, seen, desk = cases(3), set(), Desk()
    for _ in range(300):
        case = draw()
        seen.add((case.kind, case.expected))
        assert (not await check(case.text, case.rule, desk, Tally())) == case.expected, case
    assert len(seen) == 6, "each kind is drawn with texts that are accepted and such that are not"


async def test_a_model_that_wants_a_text_writes_it_where_it_may() -> None:
    words = [b"", b"ro", b"ok", b"x", b"~"]
    plain = Request((Message.of("user", "~"),), Sampling(max_tokens=9))
    model = wanting([1, 2], words, 0)
    assert await written(model, plain, choice("rook", "x")) == "rook"
    assert await written(model, plain, choice("rox", "x")) == "rox"
    await model.aclose()
    request = request_for([5, 6], 0)
    assert [token for token, _ in request.bias] == [5, 6, 0] and request.bias[0][1] > request.bias[1][1] > request.bias[2][1]


def test_targets_say_what_is_missed_and_what_is_absent() -> None:
    good = Comparison(cases=1000)
    assert [target.state for target in targets(good)] == ["met"] * 3
    assert [target.state for target in targets(Comparison(cases=1000, disagreements=[{}], unsound=["x"]))] == ["met", "missed", "missed"]
    assert [target.state for target in targets(None)] == ["absent"] * 3


@pytest.mark.server
@pytest.mark.timeout(1800)
def test_all_levels_agree_over_a_real_server() -> None:
    try:
        result = asyncio.run(compare(100, seed=1))
    except Unavailable as error:
        pytest.skip(f"no llama-server can be built here: {error}")
    assert result.cases == 100 and result.disagreements == [] and result.unsound == []
    assert {key for key in result.verdicts if "accepts" in key} == {f"{level}: accepts" for level in (1, 2, 3, 4)}
