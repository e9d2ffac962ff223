"""One reply under a rule: sound whatever the model wants, silent where nothing triggers, and it never hangs."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import aclosing
from dataclasses import dataclass, replace

import numpy as np
import pytest

from rookery.decoding import Cursor, Desk, Guarded, Query, Rule, Site, choice, json_schema, regex
from rookery.decoding.constraint import FREE
from rookery.decoding.monitor import Acceptor, Constraint, Facts, Steady
from rookery.errors import ConstraintUnmet
from rookery.models.model import Grammar, GrammarKind, Message, Request, Sampling, complete
from rookery.models.ruled import RuledModel
from tests.decoding.words import NAMES, STRADDLING, dot, model, reply


def illegal(text: str) -> list[str]:
    """Names after dots that are none, the one that the end of the reply cut left out."""
    return [found[1] for found in re.finditer(r"\.(\w*)", text) if found[1] not in NAMES and found.end() < len(text)]


@pytest.mark.parametrize("rule", [dot(), dot().optimistic(), dot(delay_s=0.002).optimistic(), dot(delay_s=0.002)],
                         ids=["masked", "optimistic", "late", "waits"])
async def test_only_names_that_exist_come_after_a_dot_whatever_the_logits(rule: Rule) -> None:
    dots = triggers = 0
    for seed in range(60):
        text, report, _ = await reply(rule, seed=seed)
        assert not illegal(text), text
        dots += text.count(".")
        triggers += report.triggers
        assert report.late == report.failed == 0 and report.level == 1
    assert dots > 20 and triggers >= dots


async def test_without_a_trigger_text_and_scores_are_those_of_the_model_to_the_last_bit() -> None:
    rule = dot()
    quiet = [word for word in STRADDLING if b"." not in (word if isinstance(word, bytes) else word.encode())]
    for seed in range(20):
        alone, held = model(seed, quiet), model(seed, quiet)
        request = Request((Message.of("user", "x"),), Sampling(temperature=0.9, seed=seed, max_tokens=30, logprobs=2, top_p=0.9))
        desk = Desk()
        one = [chunk async for chunk in alone.stream(request)]
        guard = Guarded(held, rule, desk)
        two = [chunk async for chunk in guard.stream(request)]
        assert one == two
        assert guard.report.triggers == guard.report.forbidden == 0 and guard.report.masked_s == guard.report.waited_s == 0.0
        await desk.aclose()


async def test_a_soft_rule_makes_it_rarer_and_one_that_is_off_only_counts() -> None:
    async def count(rule: Rule) -> tuple[int, int, list[str]]:
        texts, forbidden = [], 0
        for seed in range(40):
            text, report, _ = await reply(rule, seed=seed)
            texts.append(text)
            forbidden += report.forbidden
        # What a token carries past a dot of its own (``a.b``) is not weighed: a mask is about the next token.
        return sum(name[:1] != "b" for text in texts for name in illegal(text)), forbidden, texts

    free = [(await complete(model(seed), Request((Message.of("user", "x"),), Sampling(temperature=1.0, seed=seed, max_tokens=40))))[0]
            for seed in range(40)]
    off, counted, texts = await count(dot().off())
    softly, _, _ = await count(dot().soft(7.0))
    hardly, _, _ = await count(dot().soft(200.0))
    assert texts == free and counted > 0
    assert off > softly > hardly == 0


@pytest.mark.parametrize(("options", "counted"), [
    ({"delay_s": 5.0}, "late"), ({"dies": True}, "failed"), ({"is_complete": False}, "unknown"), ({"names": ()}, "empty"),
])
@pytest.mark.parametrize("is_optimistic", [False, True])
async def test_where_nothing_is_known_in_time_nothing_is_constrained_and_it_is_counted(
    options: dict[str, object], counted: str, is_optimistic: bool
) -> None:
    rule = dot(**options).within(0.02)
    rule = rule.optimistic() if is_optimistic else rule
    for seed in range(6):
        began = time.perf_counter()
        text, report, last = await reply(rule, seed=seed)
        free, _, stop = await complete(model(seed), Request((Message.of("user", "x"),), Sampling(temperature=1.0, seed=seed, max_tokens=40)))
        assert (text, last.stop) == (free, stop)
        assert getattr(report, counted) == report.triggers and report.forbidden == 0
        assert report.waited_s <= report.triggers * 0.02 + 0.5 and time.perf_counter() - began < 5


async def test_one_reply_waits_while_another_goes_on() -> None:
    shared = model(3)
    desk = Desk()

    async def write(rule: Rule, prompt: str) -> float:
        request = Request((Message.of("user", prompt),), Sampling(temperature=1.0, seed=3, max_tokens=20))
        async for _ in Guarded(shared, rule, desk).stream(request):
            pass
        return time.perf_counter()

    waits, goes_on = await asyncio.gather(write(dot(delay_s=0.4).within(1.0), "x."), write(dot(delay_s=30.0).within(0.0), "x"))
    assert waits - goes_on > 0.1
    await desk.aclose()


def wants(*tokens: str) -> RuledModel:
    """A model that wants these tokens, one after another, and then the end."""
    ids = [STRADDLING.index(token) for token in tokens]

    def rule(written: tuple[int, ...]) -> list[float]:
        logits = np.zeros(len(STRADDLING))
        step = len(written) - 1
        logits[ids[step] if 0 <= step < len(ids) else 0] = 9.0
        return list(logits)

    return RuledModel(rule, STRADDLING, end=[0])


async def test_a_dead_end_is_left_by_going_back() -> None:
    text, report, _ = await reply(regex("a(bc|d)") & regex("ab?x|ad"), wants("a", "b", "c"), temperature=0.0)
    assert text == "ad" and report.rolled_back == 1


async def test_what_can_not_be_at_all_is_an_error_that_names_the_rules() -> None:
    with pytest.raises(ConstraintUnmet) as caught:
        await reply(regex("[ab]+") & choice("c", "d"))
    assert "regex" in caught.value.rule and "choice" in caught.value.rule and "soft" in caught.value.hint


async def test_a_name_that_the_vocabulary_can_not_spell_is_an_error_and_no_garbage() -> None:
    with pytest.raises(ConstraintUnmet):
        await reply(choice("ß"))


async def test_what_is_forced_is_written_without_asking_the_model() -> None:
    asked = wants("a")
    text, report, last = await reply(choice("get_all", "zz"), wants("g", "a", "a"), temperature=0.0)
    assert text == "get_all" and report.forced >= 2
    assert (last.usage is not None and last.usage.completion_tokens == len("g") + 4 + 1) or last.usage.completion_tokens >= 3
    await asked.aclose()


async def test_a_token_that_holds_a_trigger_and_what_follows_it_is_checked_too() -> None:
    text, report, _ = await reply(dot(), wants("a", ".n", "a", "me(", ".na", "me("), temperature=0.0)
    assert text == "a.name(.name(" and not illegal(text) and report.triggers == 2
    crossing, _, _ = await reply(dot(names=("size",)), wants("a", ".n"), temperature=0.0)
    assert not crossing.startswith("a.n")


async def test_the_end_is_not_allowed_within_a_name_but_after_one() -> None:
    text, _, last = await reply(dot(), wants("."), temperature=0.0)
    assert text[1:] in NAMES and last.stop == "end"


async def test_length_and_stop_strings_hold_as_without_rules() -> None:
    _, _, last = await reply(json_schema(list[int]), max_tokens=1)
    assert last.stop == "length" and last.usage is not None and last.usage.completion_tokens == 1
    text, _, last = await reply(dot().optimistic(), wants(".", "na", "me(", ")", "x"), temperature=0.0, stop=("e(",))
    assert (text, last.stop) == (".nam", "stop")


async def test_one_of_two_rules_is_enough_where_they_are_joined_so() -> None:
    rule = choice("aa", "b") | regex("c+d")
    for seed in range(12):
        text, _, last = await reply(rule, seed=seed, max_tokens=60)
        assert text in ("aa", "b") or re.fullmatch("c+d", text) or last.stop == "length"


@dataclass(frozen=True)
class NoVowel:
    """A constraint of one's own, that gives no mask: an Acceptor and nothing else."""

    left: int = 5

    def start(self) -> Acceptor:
        return self

    def grammar(self, kinds: tuple[GrammarKind, ...]) -> Grammar | None:
        return None

    def explain(self) -> str:
        return "letters other than a and e"

    def take(self, data: bytes) -> Acceptor | None:
        if set(data[: self.left]) & set(b"ae"):
            return None
        return NoVowel(self.left - len(data)) if len(data) < self.left else FREE

    is_free = False
    may_end = False


@dataclass(frozen=True)
class Lipogram(Steady):
    triggers = ""

    def wake(self, cursor: Cursor) -> Query | None:
        return Query("", cursor) if not cursor.written else None

    def follow(self, query: Query, facts: Facts) -> Constraint | None:
        return NoVowel()


async def test_a_constraint_of_ones_own_is_held_by_trying_tokens() -> None:
    for seed in range(30):
        text, _, _ = await reply(Rule(Lipogram(), name="lipogram"), seed=seed)
        assert len(text.encode()) >= 5 and not set(text.encode()[:5].decode("latin1")) & set("ae")


async def test_optimistic_decoding_takes_back_only_what_is_illegal() -> None:
    good, report, _ = await reply(dot(delay_s=0.002).optimistic(), wants("a", ".", "na", "me(", ")"), temperature=0.0)
    assert good == "a.name()" and report.rolled_back == report.forbidden == 0
    bad, report, _ = await reply(dot(delay_s=0.002).optimistic(), wants("a", ".", "q", "q", "(", ")"), temperature=0.0)
    assert bad.startswith("a.") and not illegal(bad) and report.rolled_back >= 1 and report.forbidden >= 1


async def test_closing_a_reply_early_leaves_nothing_behind() -> None:
    desk, asked = Desk(), model(1)
    rule = replace(dot(delay_s=10.0).within(10.0), site=Site(before="x."))

    async def write() -> None:
        async with aclosing(Guarded(asked, rule, desk).stream(Request((Message.of("user", "x"),), Sampling(max_tokens=30)))) as stream:
            async for _ in stream:
                pass

    task = asyncio.create_task(write())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await desk.aclose()
    await asked.aclose()
