"""Cassettes: what is recorded is replayed, secrets stay out, and a miss is loud."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rookery.errors import CassetteDamaged, CassetteMiss, ContextOverflow, ModelBusy, RequestRefused
from rookery.models.model import Capabilities, Chunk, Message, Request, Sampling, ToolCall, ToolOffer, Usage, complete
from rookery.models.provider import model
from rookery.models.recorded import RecordedModel
from rookery.models.scripted import ScriptedModel
from rookery.models.settings import Settings

KEY = "sk-proj-abcdefghijklmnop1234"


def ask(text: str, **more: Any) -> Request:
    return replace(Request((Message.of("system", "Be brief."), Message.of("user", text)), Sampling(temperature=0.5)), **more)


async def record(path: Path, answers: Any, *requests: Request, **options: Any) -> list[list[Chunk]]:
    recorder = RecordedModel(path, inner=ScriptedModel(answers, chunk_chars=5), mode="record", **options)
    return [[chunk async for chunk in recorder.stream(request)] for request in requests]


def joined(chunks: list[Chunk]) -> tuple[str, list[str], Chunk]:
    return "".join(chunk.text for chunk in chunks), [s.token for chunk in chunks for s in chunk.logprobs], chunks[-1]


async def test_a_replay_gives_what_was_recorded(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "cassette.jsonl"
    call = ToolCall("1", "look", '{"at": "rooks"}')
    scored = ask("c", sampling=Sampling(logprobs=0))
    requests = [ask("a"), ask("b"), scored, ask("a")]
    heard = await record(file, ["x" * 150, Chunk("using a tool", tool_calls=(call,), stop="tool"), "scored", "again"], *requests)
    replay = RecordedModel(file)
    for request, before in zip(requests, heard, strict=True):
        after = [chunk async for chunk in replay.stream(request)]
        assert joined(after)[:2] == joined(before)[:2]
        assert (after[-1].stop, after[-1].usage) == (before[-1].stop, before[-1].usage)
    assert joined([chunk async for chunk in RecordedModel(file).stream(ask("b"))])[2].tool_calls == (call,)


async def test_the_origin_is_stated_and_is_not_a_models(tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    await record(file, ["hello"], ask("a"))
    replay = RecordedModel(file)
    assert replay.origin["kind"] == "scripted"
    assert replay.capabilities.origin.startswith("recorded from scripted:script (scripted) at 20")
    assert replay.capabilities.name == f"recorded:{file}"
    again = RecordedModel(tmp_path / "d.jsonl", inner=replay, mode="record")
    await complete(again, ask("a"))
    assert RecordedModel(tmp_path / "d.jsonl").origin["kind"] == "recorded"
    assert again.capabilities.origin.endswith("being recorded")


async def test_a_changed_prompt_is_a_loud_miss_with_a_diff(tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    await record(file, lambda request: "x", ask("List three titles.\nBe kind."), ask("Something else entirely"))
    with pytest.raises(CassetteMiss) as caught:
        await complete(RecordedModel(file), ask("List four titles.\nBe kind."))
    told = str(caught.value)
    assert "-user: List three titles." in told
    assert "+user: List four titles." in told
    assert "entirely" not in told
    assert "mode='auto'" in caught.value.hint
    with pytest.raises(CassetteMiss, match=r"temperature = 0\.9"):
        await complete(RecordedModel(file), ask("Something else entirely", sampling=Sampling(temperature=0.9)))


async def test_equal_requests_get_their_replies_in_order_and_no_more(tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    await record(file, ["one", "two"], ask("a"), ask("a"))
    replay = RecordedModel(file)
    assert [(await complete(replay, ask("a")))[0] for _ in range(2)] == ["one", "two"]
    with pytest.raises(CassetteMiss, match=r"2 time\(s\)"):
        await complete(replay, ask("a"))
    repeating = RecordedModel(file, repeat=True)
    assert [(await complete(repeating, ask("a")))[0] for _ in range(4)] == ["one", "two", "two", "two"]


async def test_auto_asks_only_for_what_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    inner = ScriptedModel(lambda request: request.messages[-1].text.upper())
    for text in ("a", "b"):
        await complete(RecordedModel(file, inner=inner, mode="auto"), ask(text))
    auto = RecordedModel(file, inner=inner, mode="auto")
    assert [(await complete(auto, ask(text)))[0] for text in ("b", "a", "c")] == ["B", "A", "C"]
    assert [request.messages[-1].text for request in inner.requests] == ["a", "b", "c"]
    assert len(file.read_text().splitlines()) == 4
    await complete(RecordedModel(file, inner=inner, mode="record"), ask("z"))
    assert len(file.read_text().splitlines()) == 2


async def test_what_broke_or_was_left_is_not_recorded_but_a_refusal_is(tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    inner = ScriptedModel([ModelBusy("later"), "left alone", "right", ContextOverflow("too long", hint="shorten it")])
    recorder = RecordedModel(file, inner=inner, mode="record")
    with pytest.raises(ModelBusy):
        await complete(recorder, ask("a"))
    left = recorder.stream(ask("a"))
    await anext(left)
    await left.aclose()  # type: ignore[attr-defined]
    assert not file.exists()
    assert (await complete(recorder, ask("a")))[0] == "right"
    with pytest.raises(ContextOverflow):
        await complete(recorder, ask("long"))
    replay = RecordedModel(file)
    assert (await complete(replay, ask("a")))[0] == "right"
    with pytest.raises(ContextOverflow, match="too long") as caught:
        await complete(replay, ask("long"))
    assert caught.value.hint == "shorten it"


async def test_secrets_are_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SERVICE_API_KEY", "from-the-environment-42")
    file = tmp_path / "c.jsonl"
    secrets = {"hunter2", KEY, "from-the-environment-42", "Bearer abcdefghijklmnop", "plain-cookie", "inner-token"}
    offer = ToolOffer("look", f"Uses {KEY}", {"type": "object"})
    request = ask(
        f"The password is hunter2 and the key {KEY}; from-the-environment-42",
        tools=(offer,),
        extra={"headers": {"Authorization": "Bearer abcdefghijklmnop", "x": ["hunter2"]}, "cookie": "plain-cookie",
               "user_token": "inner-token"},
    )
    await record(file, lambda request: f"I was told hunter2 and {KEY}", request, secrets=["hunter2"])
    written = file.read_text()
    assert not [secret for secret in secrets if secret in written]
    assert "max_tokens" in written
    text, _, _ = await complete(RecordedModel(file, secrets=["hunter2"]), request)
    assert text == "I was told [secret] and [secret]"
    changed = replace(request, extra=dict(request.extra) | {"user_token": "rotated"})
    assert (await complete(RecordedModel(file, secrets=["hunter2"]), changed))[0] == text
    with pytest.raises(CassetteMiss) as caught:
        await complete(RecordedModel(file, secrets=["hunter2"]), ask(f"hunter2 {KEY}"))
    assert "hunter2" not in str(caught.value).replace("+user: [secret]", "")
    assert KEY not in str(caught.value)


async def test_without_secrets_the_key_is_the_requests_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    await record(file, ["x"], ask("ü"))
    header, entry = (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())
    assert entry["key"] == ask("ü", idempotency_key="any").fingerprint()
    assert entry["request"] == ask("ü").canonical()
    assert header["cassette"] == 1


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda lines: [lines[0].replace('"cassette":1', '"cassette":9'), *lines[1:]], "version 9"),
    (lambda lines: [*lines[:-1], lines[-1][:40]], "line 2"),
    (lambda lines: [lines[0], '{"key": "k", "request": {}, "reply": {"text": 5}}'], "line 2"),
    (lambda lines: ['{"hello": 1}'], "line 1"),
    (lambda lines: ["[]"], "line 1"),
    (lambda lines: [], "empty"),
])
async def test_a_cassette_that_cannot_be_read_is_refused(tmp_path: Path, spoil: Any, message: str) -> None:
    file = tmp_path / "c.jsonl"
    await record(file, ["x"], ask("a"))
    file.write_text("\n".join(spoil(file.read_text().splitlines())))
    with pytest.raises(CassetteDamaged, match=message) as caught:
        RecordedModel(file)
    assert caught.value.hint


def test_a_missing_file_and_wrong_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CassetteDamaged, match="cannot be read"):
        RecordedModel(tmp_path / "none.jsonl")
    with pytest.raises(ValueError, match="needs inner"):
        RecordedModel(tmp_path / "none.jsonl", mode="auto")
    with pytest.raises(ValueError, match="mode is"):
        RecordedModel(tmp_path / "none.jsonl", mode="play")  # type: ignore[arg-type]


async def test_a_file_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file where a folder should be")
    recorder = RecordedModel(tmp_path / "folder" / "c.jsonl", inner=ScriptedModel(["x"]), mode="record")
    with pytest.raises(RequestRefused, match="cannot be written"):
        await complete(recorder, ask("a"))


async def test_by_its_name_and_with_its_counts(tmp_path: Path) -> None:
    file = tmp_path / "c.jsonl"
    facts = Capabilities("scripted:x", skills=("talk",), price_usd=(1e-6, 2e-6))
    recorder = RecordedModel(file, inner=ScriptedModel(["hello"], capabilities=facts), mode="record")
    _, usage, _ = await complete(recorder, ask("a"))
    await recorder.aclose()
    replay = model(f"recorded:{file}", settings=Settings())
    assert replay.capabilities.skills == ("talk",)
    assert replay.capabilities.price_usd == (1e-6, 2e-6)
    assert await replay.count_tokens(ask("a")) == usage.prompt_tokens
    assert await replay.count_tokens(ask("never asked")) > 0
    assert (await complete(replay, ask("a")))[1] == usage
    assert usage == Usage(3, 2, 0, 3e-6 + 2 * 2e-6)
