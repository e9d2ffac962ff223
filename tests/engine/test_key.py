"""The idempotency key of a tool: filled in by the engine, the same for all attempts at a call, also after a crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from rookery import Attempts, graph, resume, run, start, tool
from rookery.core.function import IdempotencyKey
from rookery.errors import CallFailed

seen: list[tuple[str, str]] = []


@tool(effect=True, attempts=Attempts(stop=3, wait=0))
def pay(amount: int, key: IdempotencyKey = "") -> str:
    seen.append((f"pay {amount}", key))
    if len(seen) < 3:
        raise ConnectionError("not yet")
    return "paid"


@tool(effect=True)
async def send(to: str, key: IdempotencyKey) -> str:
    seen.append((to, key))
    if len(seen) == 1:
        raise RuntimeError("the power went out")
    return key


@graph
def sends() -> list[str]:
    return [send(to="a"), send(to="b")]  # type: ignore[list-item, call-arg]


@pytest.fixture(autouse=True)
def forget() -> None:
    seen.clear()


def test_it_is_no_parameter_of_the_tool() -> None:
    assert list(pay.params) == ["amount"] and pay.key == "key"
    assert "key" not in pay.using(timeout_s=1).params
    assert tool(lambda: None).key == ""


def test_all_attempts_have_the_same_key() -> None:
    assert run(pay, amount=3) == "paid"
    assert len(seen) == 3 and len(set(seen)) == 1 and seen[0][1]


def test_another_run_has_another_key() -> None:
    seen.extend([("", "")] * 3)
    run(pay, amount=3)
    run(pay, amount=3)
    assert len({key for _, key in seen[3:]}) == 2


def test_outside_of_a_run_the_default_is_used() -> None:
    seen.extend([("", "")] * 3)
    pay(amount=1)
    assert seen[-1] == ("pay 1", "")


async def test_the_key_survives_a_crash(tmp_path: Path) -> None:
    async with start(sends, log=tmp_path / "log.db", id="r", max_in_flight=1) as r:
        with pytest.raises(CallFailed):
            await r
    async with resume("r", sends, log=tmp_path / "log.db") as r:
        keys = await r
    first = seen[0]
    assert [who for who, _ in seen].count("a") == 2
    assert {key for who, key in seen if who == "a"} == {first[1]} and keys[0] == first[1] != keys[1]
