"""BFCL memory (Apache-2.0, in ``bfcl/``): an accepted answer stands in what is recalled at k = 5."""

from __future__ import annotations

from benchmarks.memory import bfcl


async def test_answers_are_in_what_is_recalled() -> None:
    found = await bfcl(k=5)
    assert found["questions"] == 155
    assert found["answer_at_5"] >= 88.0, found
