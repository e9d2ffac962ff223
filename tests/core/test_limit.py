"""Limits: the tighter of two, and reservations that never overshoot."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.core.limit import Ledger, Limit, Worst
from rookery.core.spend import Spend

caps = st.none() | st.integers(0, 60)
limits = st.builds(Limit, tokens=caps, calls=caps, usd=st.none() | st.floats(0, 2), seconds=caps)


@given(limits, limits, limits)
def test_and_takes_the_tighter_of_each(a: Limit, b: Limit, c: Limit) -> None:
    both = a & b
    for name in ("tokens", "calls", "usd", "seconds"):
        given_caps = [cap for cap in (getattr(a, name), getattr(b, name)) if cap is not None]
        assert getattr(both, name) == (min(given_caps) if given_caps else None)
    assert both == b & a and a & a == a and a & Limit() == a and (a & b) & c == a & (b & c)
    assert bool(a) == (a != Limit())


@pytest.mark.parametrize("wrong", [{"tokens": -1}, {"usd": float("nan")}, {"calls": -0.5}])
def test_a_cap_is_a_number_from_zero_up(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Limit(**wrong)
    with pytest.raises(TypeError):
        Limit(5)  # type: ignore[call-arg]


@given(limits, limits, st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.floats(0, 1), st.floats(0, 1), st.integers(0, 9)), max_size=40))
def test_no_order_of_reserving_and_settling_overshoots(outer: Limit, inner: Limit, moves: list[Any]) -> None:
    parent = Ledger(outer)
    ledgers = [parent, Ledger(inner, parent=parent), Ledger(inner, parent=parent)]
    open_ones: list[tuple[Ledger, Worst]] = []
    for reserving, tokens, usd, share, pick in moves:
        if reserving or not open_ones:
            ledger, worst = ledgers[pick % 3], Worst(tokens, usd)
            lacking = ledger.lacking(worst)
            assert ledger.reserve(worst) == lacking
            if lacking is None:
                open_ones.append((ledger, worst))
        else:
            ledger, worst = open_ones.pop(pick % len(open_ones))
            ledger.settle(worst, Spend(int(worst.tokens * share), 0, 0, worst.usd * share, 1))
        for known in ledgers:
            limit, spent = known.limit, known.spent
            assert limit.tokens is None or spent.tokens + known.reserved_tokens <= limit.tokens
            assert limit.calls is None or spent.calls + known.reserved_calls <= limit.calls
            assert limit.usd is None or (spent.cost_usd or 0) + known.reserved_usd <= limit.usd + 1e-9
    for ledger, worst in open_ones:
        ledger.settle(worst, Spend(calls=1))
    assert all(known.reserved_tokens == known.reserved_calls == 0 and known.reserved_usd == 0.0 for known in ledgers)
    assert parent.spent.calls >= ledgers[1].spent.calls + ledgers[2].spent.calls


def test_what_there_is_not_enough_of() -> None:
    ledger = Ledger(Limit(tokens=10, usd=1.0, calls=2))
    assert ledger.reserve(Worst(11)) == "tokens" and ledger.reserve(Worst(1, 2.0)) == "usd" and ledger.reserve(Worst(calls=3)) == "calls"
    assert ledger.reserve(Worst(6, 0.5)) is None and ledger.room_tokens() == 4
    assert ledger.reserve(Worst(6)) == "tokens" and ledger.lacking(Worst(6), ignoring_reserved=True) is None
    ledger.settle(Worst(6, 0.5), Spend(8, calls=1))
    assert ledger.lacking(Worst(6), ignoring_reserved=True) == "tokens" and ledger.room_tokens() == 2


def test_a_nested_ledger_draws_on_its_parents() -> None:
    parent = Ledger(Limit(tokens=10))
    child = Ledger(Limit(calls=1), parent=parent)
    assert child.reserve(Worst(8)) is None and parent.reserved_tokens == 8 and child.room_tokens() == 2
    assert parent.reserve(Worst(3)) == "tokens" and child.reserve(Worst(1)) == "calls"
    assert Ledger(Limit()).room_tokens() is None


def test_what_was_spent_before_counts() -> None:
    assert Ledger(Limit(tokens=10), spent=Spend(9)).reserve(Worst(2)) == "tokens"
