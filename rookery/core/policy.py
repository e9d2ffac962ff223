"""How a call is carried out: model, attempts, timeout, limits of its reply, and what becomes of partly failed maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from tenacity.stop import stop_base
    from tenacity.wait import wait_base


@dataclass(frozen=True, slots=True)
class Attempts:
    """When to try again, and after how long. Only errors that are ``retryable`` are tried again."""

    stop: stop_base | int = 3
    """A tenacity stop policy (``stop_after_attempt(3) | stop_after_delay(60)``), or the number of attempts."""
    wait: wait_base | float | None = None
    """A tenacity wait policy, or seconds; None: exponential from 0.5 s to 30 s with jitter. ``Retry-After`` is never undercut."""


NEVER_AGAIN = Attempts(stop=1)


@dataclass(frozen=True, slots=True)
class Gather:
    """What becomes of a map some of whose calls failed."""

    kind: Literal["all", "ok", "none"] = "all"
    at_least: int = 0


all_or_fail = Gather("all")
"""One failed call fails the map (the default)."""


def keep_ok(*, at_least: int = 1) -> Gather:
    """Failed calls are left out of the list; fewer than ``at_least`` good ones fail the map."""
    return Gather("ok", at_least)


none_for_failed = Gather("none")
"""A failed call leaves None in its place."""


SAMPLING = ("temperature", "top_p", "max_tokens", "top_k", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty")
"""The options of a policy that say how tokens are drawn, besides ``stop`` and ``seed``."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Options of one call, prompt or tool. None means: as the run, the model or rookery has it."""

    model: Any = None
    """A model, its name, or the name of an entry of the run's ``models``."""
    fallback: tuple[Any, ...] = ()
    """Models to ask, in order, when the first one's attempts are spent."""
    attempts: Attempts | None = None
    timeout_s: float | None = None
    """Seconds for one attempt, from its start to its value."""
    repair: int | None = None
    """How often text that does not parse goes back to the model with its faults; 2 when None."""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    logprobs: int | None = None
    sample: int | None = None
    """Which of several independent draws of the same question this is; part of the cache's key."""
    extra: Mapping[str, Any] | None = None
    """Fields for the server as they are (``extra_body``)."""
    cache: bool | None = None
    """Whether an equal call's value is taken from the result cache. None: for prompts whose sampling is
    deterministic (temperature 0 or a seed), and for tools that say ``pure=True``."""
    gather: Gather = all_or_fail
    decode: Any = None
    """What the reply must keep to while it is written: a rule of ``rookery.decoding``, or as YAML writes one (a name, a list, a mapping)."""
    top_k: int | None = None
    """Only the so many likeliest tokens are drawn from."""
    min_p: float | None = None
    """Only tokens at least this share as likely as the likeliest one are drawn from (0 to 1)."""
    frequency_penalty: float | None = None
    """Nats taken off a token for each time that it stands in the reply."""
    presence_penalty: float | None = None
    """Nats taken off a token that stands in the reply at all."""
    repetition_penalty: float | None = None
    """Makes the tokens of prompt and reply less likely; 1 does nothing."""
    inline: bool | None = None
    """A synchronous tool runs on the event loop itself instead of in a thread; only for what takes microseconds."""

    def over(self, other: Policy) -> Policy:
        """This policy where it says something, the other's values where it does not."""
        changed = {f.name: getattr(self, f.name) for f in fields(Policy) if getattr(self, f.name) not in (None, (), all_or_fail)}
        return replace(other, **changed) if changed else other


NO_POLICY = Policy()


def using(policy: Policy, options: Mapping[str, Any]) -> Policy:
    """A policy changed by keyword options; raises TypeError with the known names for an unknown one."""
    known = {f.name for f in fields(Policy)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise TypeError(f"unknown option(s) {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    values = dict(options)
    if "fallback" in values and not isinstance(values["fallback"], list | tuple):
        values["fallback"] = (values["fallback"],)
    if isinstance(values.get("stop"), str):
        values["stop"] = (values["stop"],)
    if "gather" in values and not isinstance(values["gather"], Gather):
        raise TypeError(f"gather is all_or_fail, none_for_failed or keep_ok(at_least=…), not {values['gather']!r:.60}")
    for name in ("fallback", "stop"):
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    if isinstance(values.get("attempts"), int):
        values["attempts"] = Attempts(stop=values["attempts"])
    return replace(policy, **values)

