"""Levels: the cheapest that can be had is taken, and all accept the same texts."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery import MemoryLog, prompt, run, start
from rookery.core import event as ev
from rookery.decoding import Desk, Guarded, Rule, Tally, check, choice, json_schema, regex
from rookery.decoding.code import code_in, open_string
from rookery.decoding.ladder import bare
from rookery.decoding.tokens import tokens_of
from rookery.decoding.watch import Watch
from rookery.errors import GraphInvalid, LevelMissing, ParseFailed, RookeryError
from rookery.models.model import Message, Request
from rookery.models.ruled import WordList
from rookery.testing import ScriptedModel
from tests.decoding.words import NAMES, STRADDLING, dot, model, reply

TOKENS = tokens_of(WordList(STRADDLING, end=[0]))
RULES = {
    "names": dot(), "regex": regex(r"[a-z.]{2,6}(\(\))?"), "choice": choice("a.name", "get", "get_all"),
    "both": dot() & regex("[a-z._()]+"), "either": choice("a.b") | dot(), "schema": json_schema({"enum": ["a.b", "get"]}),
}


def cut(text: str, seed: int) -> list[int]:
    """A text as tokens, cut at random places where the vocabulary lets it."""
    chosen, data, ids = random.Random(seed), text.encode(), []
    while data:
        fitting = [token for token, word in enumerate(TOKENS.bytes) if word and data.startswith(word)]
        ids.append(chosen.choice(fitting))
        data = data[len(TOKENS.bytes[ids[-1]]) :]
    return ids


async def by_tokens(text: str, rule: Rule, seed: int) -> bool:
    """Whether level 1 can write a text, cut into tokens in one way."""
    from rookery.decoding.masked import Asking

    desk = Desk()
    watch, asking = Watch(rule, TOKENS), Asking(rule, desk, Tally())
    for wake in watch.opening():
        watch.begin(wake, (await asking.wait((wake,)))[wake] if wake.query.kind else None)
    good = True
    for token in cut(text, seed):
        data = TOKENS.bytes[token]
        wakes = watch.peek(data)
        answers = await asking.wait(tuple(wake for wake in wakes if wake.query.kind))
        mask = watch.mask()
        good = (mask is None or mask.allows(token)) and watch.take(data, token, wakes=wakes, answers=answers)
        if not good:
            break
    await desk.aclose()
    return good and watch.may_end


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@given(text=st.text("abgt_.() e", max_size=8) | st.lists(st.sampled_from([*"a.()b\" ", "name", "get", "_all"]), max_size=6).map("".join),
       seed=st.integers(0, 99))
def test_level_1_writes_exactly_what_level_4_accepts(rule: Rule, text: str, seed: int) -> None:
    async def both() -> tuple[bool, bool]:
        desk = Desk()
        accepted = not await check(text, rule, desk, Tally())
        await desk.aclose()
        return await by_tokens(text, rule, seed), accepted

    if text == bare(text):
        one, four = asyncio.run(both())
        assert one == four


async def test_the_check_names_each_place_and_what_may_stand_there() -> None:
    desk = Desk()
    found = await check("x.name\ny.nope()\nz.size + w.bad", dot(), desk, Tally())
    assert [place for place, _ in found] == ["line 2", "line 3"]
    assert all("one of: name, names" in what for _, what in found) and "'nope'" in found[0][1]
    assert await check("  ```\nyes\n``` ", choice("yes"), desk, Tally()) == []
    assert (await check("ye", choice("yes"), desk, Tally()))[0][0] == "end"
    await desk.aclose()


async def test_a_level_that_can_not_be_had_is_an_error_when_it_is_demanded() -> None:
    with pytest.raises(LevelMissing) as caught:
        await reply(choice("yes").at_level(1), ScriptedModel(["yes"]))
    assert caught.value.level == 1 and "level open" in caught.value.hint
    with pytest.raises(LevelMissing):
        await reply(choice("yes").at_level(2), ScriptedModel(["yes"]))
    text, report, _ = await reply(choice("yes").at_level(4), wants_yes())
    assert text == "yes" and report.level == 4


def wants_yes() -> ScriptedModel:
    return ScriptedModel(["yes"])


async def test_at_level_4_what_is_wrong_is_a_parse_error_with_all_its_places() -> None:
    desk = Desk()
    guard = Guarded(ScriptedModel(["a.nope b.size c.zip"]), dot(), desk)
    text = "".join([chunk.text async for chunk in guard.stream(Request((Message.of("user", "x"),)))])
    with pytest.raises(ParseFailed) as caught:
        await guard.check(text)
    assert len(caught.value.faults) == 2 and guard.report.level == 4 and guard.report.forbidden == 2 and guard.report.triggers == 3
    await desk.aclose()


@prompt(decode=regex(r"\d{2}"))
def number(question: str) -> str:
    """Answer with two digits: {question}"""


async def test_a_run_repairs_at_level_4_and_its_log_says_so() -> None:
    log = MemoryLog()
    async with start(number, question="how many?", model=ScriptedModel(["about 12", "12"]), log=log) as r:
        assert await r == "12"
        events = log.read(r.id)
    repaired = [event for event in events if isinstance(event, ev.AttemptFailed)]
    finished = next(event for event in events if isinstance(event, ev.CallFinished))
    assert len(repaired) == 1 and repaired[0].repair and "text that matches" in repaired[0].fault.message
    assert finished.guided is not None and finished.guided.level == 4 and finished.guided.forbidden == 1
    assert ev.from_wire(ev.to_wire(finished)).guided == finished.guided  # type: ignore[attr-defined]
    assert "level 4: 2 triggers, 1 forbidden" in finished.guided.line


def test_a_run_masks_at_level_1() -> None:
    from rookery.models.ruled import RuledModel

    words = [*STRADDLING]
    asked = RuledModel(lambda tokens: [0.0] * len(words), words, end=[0])
    assert run(number.using(temperature=1.0, seed=1), question="how many", model=asked).isdigit()


@pytest.mark.parametrize(("decode", "told"), [("regx", "did you mean 'regex'"), ({"monitors": []}, "names no monitors"), (5, "takes a rule"),
                                              ({"monitors": ["units"], "mode": "maybe"}, "mode is 'maybe'"), (["regex"], "missing 1 required")])
def test_a_rule_that_makes_no_sense_is_a_fault_of_the_graph_and_nothing_runs(decode: object, told: str) -> None:
    with pytest.raises(GraphInvalid) as caught:
        run(number.using(decode=decode), question="how many", model=ScriptedModel(["12"]))
    assert told in str(caught.value) and "calls.number.decode" in str(caught.value)


def test_two_rules_that_contradict_each_other_fail_the_call_and_say_which() -> None:
    with pytest.raises(RookeryError, match="nothing may follow"):
        run(number.using(decode=regex("a+") & regex("b+")), question="how many", model=model(0))


def test_a_cached_value_under_another_rule_is_not_taken() -> None:
    from rookery import ResultCache

    cache, asked = ResultCache(), ScriptedModel(["12", "345"])
    assert run(number.using(temperature=0), question="q", model=asked, cache=cache) == "12"
    assert run(number.using(temperature=0, decode=regex(r"\d{3}")), question="q", model=asked, cache=cache) == "345"
    assert run(number.using(temperature=0), question="q", model=asked, cache=cache) == "12" and len(asked.requests) == 2


# ------------------------------------------------------------------ where code is


@pytest.mark.parametrize(("reply_", "code"), [
    ("x.", "x."), ("Here:\n```python\nx.", "x."), ("```\ny = x.", "y = x."), ("```python\nx.y\n```\nAs said.", None), ("```yaml\na: b.", None),
    ("```py\na\n```\nthen\n```py\nb.", "b."), ('{"text": "x.', "x."), ('{"text": "a\\nb = \\"c\\".', 'a\nb = "c".'), ('{"te', None),
    ('{"a": 1', None), ('{"files": ["x.', "x."), ('{"files": ["x", "y.', "y."), ('{"a": {"b": "\\u00e9.', "é."), ('{"a": "x\\', "x"),
    ('{"a": "x\\\\', "x\\"), ("{", None),
    ("Here:\n```python", None),
])
def test_code_is_found_in_fences_and_in_strings_of_json(reply_: str, code: str | None) -> None:
    assert code_in(reply_, "python") == code


@given(st.text(max_size=12), st.integers(0, 40))
def test_an_open_string_says_what_json_says(said: str, cut_at: int) -> None:
    import json

    whole = json.dumps({"a": said})
    found = open_string(whole[: min(cut_at, len(whole) - 2)])
    assert found is None or said.startswith(found.removesuffix("\ufffd")) or any("\ud800" <= sign <= "\udfff" for sign in found)
    assert open_string(whole[:-2]) == said


def test_rules_join_flatly_and_carry_what_stands_on_the_whole() -> None:
    joined = choice("a") & choice("b") & regex("c").at_level(4)
    assert len(joined.parts) == 3 and joined.level == 4
    soft = (choice("a") | choice("b")).soft(2.0).within(0.5).optimistic()
    assert [leaf.mode.nats for leaf in soft.leaves] == [2.0, 2.0] and soft.leaves[0].budget_s == 0.5 and soft.is_optimistic
    assert all(part.parts == () for part in itertools.chain(joined.parts, soft.parts)) and NAMES
