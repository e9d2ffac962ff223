"""Rules, analysers and models for tests of monitors: all real, all small."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rookery.core.report import Report
from rookery.decoding import Cursor, Desk, Facts, Guarded, Query, Rule
from rookery.decoding.constraint import BREAKS, Names
from rookery.decoding.monitor import Analyser, Constraint, Steady
from rookery.errors import AnalyserFailed
from rookery.models.model import Chunk, Message, Request, Sampling
from rookery.models.ruled import RuledModel

LETTERS = ["<end>", *(chr(code) for code in range(32, 127)), "\n"]
STRADDLING = [*LETTERS, "na", "name", "size", "obj.", ".n", ".na", "me(", "ze)", "a.b", "get_", "all", "get", "()", '"a"', '": ', "é", b"\xc3"]
"""Tokens that begin, end and cross names in all ways, and half a character."""


def random_logits(seed: int, size: int = len(STRADDLING), *, spread: float = 3.0):
    """Logits that depend on the last tokens only, so that they are the same for the same text."""
    return lambda tokens: list(np.random.default_rng([seed, len(tokens), *tokens[-3:]]).normal(0, spread, size))


def model(seed: int = 0, words: Sequence[str | bytes] = STRADDLING, **options: object) -> RuledModel:
    return RuledModel(random_logits(seed, len(words)), words, end=[0], **options)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Dot(Steady):
    """After a dot one of the names that are known."""

    ends: str = BREAKS

    @property
    def triggers(self) -> str:
        return "."

    def wake(self, cursor: Cursor) -> Query | None:
        return Query("members", Cursor("")) if cursor.before.endswith(".") else None

    def follow(self, query: Query, facts: Facts) -> Constraint | None:
        return Names(facts.names, self.ends) if facts.names else None


@dataclass
class Told:
    """An analyser that says what it was told, after a while; or dies, or hangs."""

    facts: Facts
    delay_s: float = 0.0
    dies: bool = False
    asked: list[Query] = field(default_factory=list)
    closed: int = 0

    async def ask(self, query: Query) -> Facts:
        self.asked.append(query)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.dies:
            raise AnalyserFailed("it has died")
        return self.facts

    async def warm(self, cursor: Cursor) -> None: ...

    async def aclose(self) -> None:
        self.closed += 1


@dataclass(frozen=True)
class Source:
    names: tuple[str, ...] = ("name", "names", "size", "get", "get_all")
    delay_s: float = 0.0
    dies: bool = False
    is_complete: bool = True

    def __call__(self) -> Analyser:
        return Told(Facts(self.names, self.is_complete), self.delay_s, self.dies)


NAMES = Source().names


def dot(**options: object) -> Rule:
    return Rule(Dot(), Source(**options), name="dot")  # type: ignore[arg-type]


async def reply(rule: Rule, of: object = None, *, seed: int = 0, prompt: str = "x", max_tokens: int = 40, temperature: float = 1.0,
                stop: tuple[str, ...] = ()) -> tuple[str, Report, Chunk]:
    """One reply under a rule: its text, what was done, its last chunk."""
    asked = of or model(seed)
    desk = Desk()
    guard = Guarded(asked, rule, desk)  # type: ignore[arg-type]
    request = Request((Message.of("user", prompt),), Sampling(temperature=temperature, seed=seed, max_tokens=max_tokens, stop=stop))
    chunks = [chunk async for chunk in guard.stream(request)]
    text = "".join(chunk.text for chunk in chunks)
    await guard.check(text)
    await desk.aclose()
    if of is None:
        await asked.aclose()  # type: ignore[attr-defined]
    return text, guard.report, chunks[-1]
