"""Levels 2 and 3 against a loopback server whose model writes what a function says; it may ignore what it is sent."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from rookery.core.report import Report
from rookery.decoding.chooser import most_like
from rookery.decoding.constraint import BREAKS
from rookery.decoding.desk import Desk
from rookery.decoding.forced import Forced
from rookery.decoding.ladder import Guarded, level_for
from rookery.decoding.level import Task
from rookery.decoding.listed import Listed
from rookery.decoding.monitor import Rule
from rookery.decoding.pushed import Pushed
from rookery.decoding.remote import IGNORED
from rookery.decoding.rules import choice, json_schema, regex
from rookery.errors import LevelMissing, ParseFailed
from rookery.models.model import Message, Request, Sampling
from rookery.models.openai import OpenAIModel
from rookery.testing import ScriptedModel
from tests.servers import Server, serve

NAMES = ("name", "size", "sizes", "parent")
ASK = Request((Message.of("user", "Complete it."),), Sampling(temperature=0.0, max_tokens=200))
Writes = Callable[[str], str]
"""From the reply so far to what the model would write next, if nothing held it."""


def members(*names: str) -> Rule:
    return Rule(Listed(r"\.$", ".", names or NAMES, ends=BREAKS), name="members")


def so_far(body: dict[str, Any]) -> str:
    last = body["messages"][-1]
    return last["content"] if last["role"] == "assistant" else ""


def plan(text: str) -> Writes:
    """A model that wants to write this text, and goes on with it behind as many words as stand in the reply by now, be they other ones."""
    ends = [match.start() for match in re.finditer(r"\W", text)]

    def writes(given: str) -> str:
        if text.startswith(given):
            return text[len(given) :]
        passed = len(re.findall(r"\W", given))
        if given[-1:].isalnum():
            return text[ends[passed] :] if passed < len(ends) else ""
        return text[ends[passed - 1] + 1 :]

    return writes


def honest(writes: Writes) -> Callable[[dict[str, Any]], str]:
    """A vLLM that keeps to ``structured_outputs``: what the model wants, if that is allowed, else a first thing that is."""
    def answer(body: dict[str, Any]) -> str:
        wanted, held = writes(so_far(body)), body.get("structured_outputs") or {}
        if "choice" in held:
            return wanted if wanted in held["choice"] else held["choice"][0]
        if "regex" in held and not re.fullmatch(held["regex"], wanted, re.DOTALL):
            name = re.match(r"\(([\w|]+)\)", held["regex"])
            assert name is not None
            tail = re.search(r"[^\w].*", wanted, re.DOTALL)
            return name[1].split("|")[0] + (tail[0] if tail else "")
        if "json" in held:
            return json.dumps({"x": 3})
        return wanted
    return answer


@dataclass
class Run:
    text: str
    guarded: Guarded
    server: Server

    @property
    def report(self) -> Report:
        return self.guarded.report


@asynccontextmanager
async def guarded(answer: Callable[[dict[str, Any]], str], rule: Rule, *, kind: str = "vllm", request: Request = ASK,
                  **options: Any) -> AsyncIterator[Run]:
    desk = Desk()
    async with serve(answer, chunk_chars=3, **options) as server:
        model = OpenAIModel("test", base_url=server.url, server=kind)
        reply = Guarded(model, rule, desk)
        try:
            chunks = [chunk async for chunk in reply.stream(request)]
            assert [chunk.stop is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
            assert chunks[-1].usage is not None
            yield Run("".join(chunk.text for chunk in chunks), reply, server)
        finally:
            await model.aclose()
            await desk.aclose()


async def test_a_reply_that_keeps_to_the_rule_is_one_request() -> None:
    async with guarded(honest(plan("a = obj.size + obj.parent.name\n")), members()) as run:
        assert run.text == "a = obj.size + obj.parent.name\n"
        assert len(run.server.requests) == 1 and "structured_outputs" not in run.server.requests[0].body
        report = run.report
        assert (report.level, report.triggers, report.forbidden, report.note) == (2, 3, 0, "")
        await run.guarded.check(run.text)


async def test_what_is_not_allowed_is_written_again_under_a_grammar() -> None:
    async with guarded(honest(plan("a = obj.bogus(1) + obj.size")), members()) as run:
        assert run.text == "a = obj.parent(1) + obj.size", "the fake takes the first name of the grammar, which lists the longest first"
        first, second = (seen.body for seen in run.server.requests)
        assert "structured_outputs" not in first
        assert so_far(second) == "a = obj." and second["continue_final_message"] is True
        assert second["structured_outputs"]["regex"].startswith("(parent|sizes|name|size)([")
        assert run.report.forbidden == 1 and run.report.level == 2
        await run.guarded.check(run.text)


@pytest.mark.parametrize("kind", ["vllm", "sglang", "llamacpp"])
async def test_a_server_that_ignores_its_grammar_is_found_out_and_said(kind: str) -> None:
    async with guarded(lambda body: plan("a = obj.siz(1)")(so_far(body)), members(), kind=kind,
                       beside={"/tokenize": lambda body: {"tokens": []}}) as run:
        assert run.text == "a = obj.size(1)", "the name most like what it wrote is forced, and it goes on from there"
        assert run.report.note == IGNORED
        assert run.report.level == 3
        await run.guarded.check(run.text)


async def test_a_whole_reply_that_ignores_its_grammar_goes_to_level_4() -> None:
    async with guarded(lambda body: "perhaps", choice("yes", "no")) as run:
        assert run.server.requests[0].body["structured_outputs"] == {"choice": ["yes", "no"]}
        assert run.text == "perhaps" and len(run.server.requests) == 1
        assert run.report.note == IGNORED
        with pytest.raises(ParseFailed, match="may not stand here"):
            await run.guarded.check(run.text)


async def test_a_whole_reply_under_its_grammar() -> None:
    async with guarded(honest(lambda given: "no"), choice("yes", "no")) as run:
        assert run.text == "no" and run.report.note == ""
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False}
    async with guarded(honest(lambda given: "{"), json_schema(schema)) as run:
        assert run.server.requests[0].body["structured_outputs"]["json"] == schema
        assert json.loads(run.text) == {"x": 3}
        await run.guarded.check(run.text)
    async with guarded(lambda body: "aab", regex("a+b")) as run:
        assert run.server.requests[0].body["structured_outputs"] == {"regex": "a+b"} and run.text == "aab"


async def test_level_3_forces_the_name_most_like_what_was_written() -> None:
    async with guarded(lambda body: plan("obj.paren + obj.nam")(so_far(body)), members().at_level(3)) as run:
        assert run.text == "obj.parent + obj.name"
        report = run.report
        assert (report.level, report.forbidden, report.note) == (3, 2, "")
        assert all("structured_outputs" not in seen.body for seen in run.server.requests)
        await run.guarded.check(run.text)


async def test_level_3_lets_the_model_spell_the_name_where_tokens_are_told() -> None:
    pieces = {"name": ["na", "me"], "size": ["si", "ze"], "sizes": ["si", "zes"], "parent": ["pa", "rent"]}
    numbers = {piece: number for number, piece in enumerate(sorted({piece for spelled in pieces.values() for piece in spelled}))}
    asked: list[set[str]] = []

    def answer(body: dict[str, Any]) -> str:
        given = so_far(body)
        if "logit_bias" in body:
            allowed = {piece for piece, number in numbers.items() if str(number) in body["logit_bias"]}
            asked.append(allowed)
            return "si" if "si" in allowed else "zes"
        return "obj.bogus()" if not given else "()" if given.endswith("sizes") else ""

    def tokenize(body: dict[str, Any]) -> dict[str, Any]:
        return {"tokens": [{"id": numbers[piece], "piece": piece} for piece in pieces[body["content"]]]}

    async with guarded(answer, members().at_level(3), kind="llamacpp", beside={"/tokenize": tokenize}) as run:
        assert run.text == "obj.sizes()"
        assert asked == [{"na", "si", "pa"}, {"ze", "zes"}]
        await run.guarded.check(run.text)


async def test_the_only_name_is_written_without_asking() -> None:
    async with guarded(lambda body: plan("obj.x")(so_far(body)), members("name").at_level(3)) as run:
        assert run.text == "obj.name" and run.report.forced == 1


async def test_a_model_that_always_goes_on_wrongly_ends_all_the_same() -> None:
    async with guarded(lambda body: "obj.q" if not so_far(body) else "zzz", members().at_level(3)) as run:
        assert run.text.startswith("obj.") and len(run.server.requests) < 12
        await run.guarded.check(run.text)


async def test_a_reply_that_ends_in_the_middle_of_a_name_is_mended() -> None:
    async with guarded(lambda body: plan("obj.par")(so_far(body)), members().at_level(3)) as run:
        assert run.text == "obj.parent"


async def test_max_tokens_bound_all_requests_together() -> None:
    short = Request(ASK.messages, Sampling(max_tokens=6))
    async with guarded(lambda body: "obj.qq obj.qq obj.qq obj.qq obj.qq ", members().at_level(3), request=short) as run:
        assert run.report.forbidden <= 6


async def level(kind: str, rule: Rule, request: Request = ASK) -> int:
    async with serve() as server:
        model = OpenAIModel("test", base_url=server.url, server=kind)
        try:
            return (await level_for(Task(model, request, rule, Desk()))).number
        finally:
            await model.aclose()


@pytest.mark.parametrize(("kind", "rule", "expected"), [
    ("vllm", members(), 2), ("sglang", members(), 2), ("llamacpp", members(), 2), ("ollama", members(), 3), ("openai", members(), 4),
    ("vllm", choice("a"), 2), ("ollama", choice("a"), 3), ("openai", choice("a"), 4), ("openai", json_schema({"type": "object"}), 2),
    ("ollama", regex("a+"), 4), ("other", members(), 4), ("vllm", choice("a") & members(), 2),
])
async def test_the_cheapest_level_that_the_server_can_do_is_taken(kind: str, rule: Rule, expected: int) -> None:
    assert await level(kind, rule) == expected


async def test_a_level_that_cannot_be_had_is_an_error() -> None:
    with pytest.raises(LevelMissing, match="from the middle"):
        await level("openai", members().at_level(3))
    with pytest.raises(LevelMissing, match="only names"):
        await level("vllm", regex("a+").at_level(3))
    with pytest.raises(LevelMissing, match="no server"):
        await level_for(Task(ScriptedModel(["x"]), ASK, members().at_level(2), Desk()))
    assert await Pushed().lacks(Task(ScriptedModel(["x"]), ASK, members(), Desk()))
    assert await Forced().lacks(Task(ScriptedModel(["x"]), ASK, members(), Desk()))


def test_likeness() -> None:
    assert most_like(["parent", "part", "size"], "par(x") == "part"
    assert most_like(["alpha", "beta"], "") == "alpha"
