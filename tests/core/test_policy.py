"""Policies: options by name, one over another."""

from __future__ import annotations

from typing import Any

import pytest

from rookery.core.policy import NO_POLICY, Attempts, Gather, Policy, all_or_fail, keep_ok, none_for_failed, using


def test_a_policy_over_another_says_only_what_it_says() -> None:
    base = Policy(temperature=1.0, max_tokens=5, cache=True, gather=keep_ok(), stop=("a",))
    over = Policy(temperature=0.0, cache=False, model="m").over(base)
    assert (over.temperature, over.max_tokens, over.cache, over.model, over.stop, over.gather) == (0.0, 5, False, "m", ("a",), keep_ok())
    assert NO_POLICY.over(base) is base and base.over(NO_POLICY) == base
    assert Policy(gather=none_for_failed).over(base).gather == none_for_failed


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"fallback": "a"}, Policy(fallback=("a",))), ({"fallback": ["a", "b"]}, Policy(fallback=("a", "b"))), ({"stop": ["x"]}, Policy(stop=("x",))),
        ({"stop": "END"}, Policy(stop=("END",))), ({"attempts": 5}, Policy(attempts=Attempts(stop=5))), ({"temperature": 0}, Policy(temperature=0)),
        ({"gather": keep_ok(at_least=2)}, Policy(gather=Gather("ok", 2))), ({}, NO_POLICY),
    ],
)
def test_options(options: dict[str, Any], wanted: Policy) -> None:
    assert using(NO_POLICY, options) == wanted


def test_unknown_options_are_refused_with_the_known_ones() -> None:
    with pytest.raises(TypeError, match=r"unknown option\(s\) a, z; known: .*timeout_s"):
        using(NO_POLICY, {"z": 1, "a": 2})
    with pytest.raises(TypeError, match="keep_ok"):
        using(NO_POLICY, {"gather": keep_ok})


def test_gather_policies() -> None:
    assert keep_ok() == Gather("ok", 1) and all_or_fail == Gather("all") and none_for_failed.kind == "none"
