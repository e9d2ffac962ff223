"""Embedders: the one that ships, those of servers, names, and the contract that all keep."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rookery.errors import ModelBusy, ModelError, ModelFault, ModelUnknown, ModelUnreachable, ReplyMalformed, SettingMissing, SettingWrong
from rookery.models.embedder import Embedder, embedder
from rookery.models.openai_embedder import OpenAIEmbedder
from rookery.models.static import FILE, WEIGHTS, StaticEmbedder, Table, pieces
from rookery.testing import check_embedder

# ------------------------------------------------------------------ the one that ships


async def test_the_static_embedder_keeps_the_contract() -> None:
    await check_embedder(StaticEmbedder)


async def test_texts_that_mean_alike_are_near() -> None:
    rows = await StaticEmbedder().embed([
        "send an email to my boss", "post a message by mail", "weather in Paris", "tomorrow's temperature and rainfall",
    ])
    near = rows @ rows.T
    assert near[0, 1] > 0.4 and near[2, 3] > 0.25
    assert max(near[0, 2], near[0, 3], near[1, 2], near[1, 3]) < 0.2


async def test_case_accents_and_punctuation_do_not_matter() -> None:
    rows = await StaticEmbedder().embed(["Café, menu!", "cafe menu", "CAFE MENU"])
    assert np.allclose(rows[0], rows[1]) and np.allclose(rows[1], rows[2])


async def test_odd_texts_have_vectors() -> None:
    rows = await StaticEmbedder().embed(["x" * 5000, "日本語", "\ud800", "🎉", "1234567890123", "\x00", "—"])
    assert np.isfinite(rows).all()


def test_the_package_stays_small_and_loads_no_torch() -> None:
    assert (WEIGHTS / FILE).stat().st_size < 8_000_000
    code = ("import sys, asyncio; from rookery.models.embedder import embedder; asyncio.run(embedder().embed(['rook'])); "
            "assert not {'torch', 'tokenizers', 'transformers', 'openai'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_words_are_cut_into_the_longest_known_pieces() -> None:
    table = Table(["[UNK]", "rook", "##eries", "##er", "un", "##rook"], np.eye(6, dtype=np.int8), np.ones(6, np.float32))
    assert table.ids("Rookeries unrook zebra") == [1, 2, 4, 5, 0]
    assert pieces("A 12345678 c++ x_y") == ["a", "1234", "c", "+", "+", "x", "y"]
    assert np.allclose(table.embed(["rook rook zebra", ""]), [[1 / 5**0.5, 2 / 5**0.5, 0, 0, 0, 0], [0] * 6])


async def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes((WEIGHTS / FILE).read_bytes()[:1000])
    with pytest.raises(ModelUnknown, match="cannot be read"):
        await StaticEmbedder(folder=tmp_path).embed(["a"])
    with pytest.raises(ModelUnknown):
        StaticEmbedder("other")


def test_the_fingerprint_tells_weights_apart(tmp_path: Path) -> None:
    raw = (WEIGHTS / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert StaticEmbedder(folder=tmp_path).fingerprint != StaticEmbedder().fingerprint


# ------------------------------------------------------------------ names


def test_names_make_embedders() -> None:
    assert isinstance(embedder(), StaticEmbedder) and isinstance(embedder("static"), Embedder)
    made = embedder("openai:nomic@http://127.0.0.1:1/v1", dims=64)
    assert isinstance(made, OpenAIEmbedder) and made.fingerprint == "openai:nomic/64"
    assert embedder(made) is made
    assert embedder("sentence-transformers:/models/bge").fingerprint == "sentence-transformers:bge"


@pytest.mark.parametrize(("spec", "options", "error"), [
    ("statick", {}, ModelUnknown), ("", {"color": 1}, SettingWrong), ("openai:", {}, SettingMissing), ("static:large", {}, ModelUnknown),
    (StaticEmbedder(), {"dims": 3}, SettingWrong),
])
def test_wrong_names_and_options_say_what_is_meant(spec: Any, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        embedder(spec, **options)


def test_openai_itself_wants_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(SettingMissing, match="needs a key"):
        embedder("openai:text-embedding-3-small")


async def test_a_package_that_is_missing_is_named() -> None:
    if importlib.util.find_spec("sentence_transformers"):
        pytest.skip("it is installed")
    with pytest.raises(SettingMissing, match="sentence_transformers"):
        await embedder("sentence-transformers:any").embed(["a"])


# ------------------------------------------------------------------ servers

Answer = Callable[[dict[str, Any]], "tuple[int, Any]"]


def meaning(body: dict[str, Any]) -> tuple[int, Any]:
    """Counts of letters, in the wrong order, as servers may send them."""
    rows = [{"object": "embedding", "index": at, "embedding": [text.count(char) + 0.5 for char in "abcdefgh"]}
            for at, text in enumerate(body["input"])]
    return 200, {"object": "list", "data": rows[::-1], "model": body["model"], "usage": {"prompt_tokens": 1, "total_tokens": 1}}


@asynccontextmanager
async def server(answer: Answer = meaning) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """Answers ``/v1/embeddings``; gives its address and the bodies that it has seen."""
    seen: list[dict[str, Any]] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].split("\r\n")[0])
        seen.append(json.loads(await reader.readexactly(length)))
        status, body = answer(seen[-1])
        data = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + data)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1", seen
    finally:
        listener.close()
        await listener.wait_closed()


async def test_a_server_keeps_the_contract() -> None:
    async with server() as (url, _):
        made: list[OpenAIEmbedder] = []

        def factory() -> OpenAIEmbedder:
            made.append(OpenAIEmbedder("letters", base_url=url))
            return made[-1]

        await check_embedder(factory)
        for one in made:
            await one.aclose()


async def test_texts_go_in_batches_with_prefixes_and_blank_ones_stay_here() -> None:
    async with server() as (url, seen):
        made = OpenAIEmbedder("letters", base_url=url, batch=2, query_prefix="query: ", dims=8)
        rows = await made.embed(["a", " ", "b", "c"], purpose="query")
        await made.aclose()
    assert [body["input"] for body in seen] == [["query: a", "query: b"], ["query: c"]]
    assert seen[0]["dimensions"] == 8 and seen[0]["encoding_format"] == "float"
    assert not rows[1].any() and np.allclose(np.linalg.norm(rows[[0, 2, 3]], axis=1), 1)


@pytest.mark.parametrize(("status", "body", "error"), [
    (429, {"error": {"message": "slow down"}}, ModelBusy), (500, {"error": {"message": "no"}}, ModelFault), (404, {}, ModelUnknown),
    (200, {"object": "list", "data": [], "model": "m"}, ReplyMalformed),
    (200, {"object": "list", "model": "m", "data": [{"index": 0, "embedding": [1, 2], "object": "embedding"},
                                                    {"index": 1, "embedding": [1], "object": "embedding"}]}, ReplyMalformed),
    (200, {"object": "list", "model": "m", "data": [{"index": at, "embedding": ["x"], "object": "embedding"} for at in (0, 1)]}, ReplyMalformed),
    (200, {"hello": "world"}, ModelError),
])
async def test_what_servers_do_wrong_is_one_of_our_errors(status: int, body: Any, error: type[Exception]) -> None:
    async with server(lambda _: (status, body)) as (url, _):
        made = OpenAIEmbedder("letters", base_url=url)
        with pytest.raises(error):
            await made.embed(["a", "b"])
        await made.aclose()


async def test_nobody_at_the_address() -> None:
    made = OpenAIEmbedder("letters", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ModelUnreachable):
        await made.embed(["a"])
    await made.aclose()
