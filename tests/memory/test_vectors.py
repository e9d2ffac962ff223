"""Vector stores: the contract, what Chroma gets to see, and what happens when it is not there."""

from __future__ import annotations

import contextlib
import shutil
import socket
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from benchmarks.memory_streams import sentences
from rookery.errors import EmbedderMismatch, VectorsUnavailable
from rookery.memory import Memory, Note, rank
from rookery.memory.chroma import ChromaVectors
from rookery.memory.exact import ExactVectors
from rookery.testing import check_vector_store

TEXTS = ["The rook nests in the elm.", "Bread costs three euros.", "The train to Oslo leaves at nine.", "Mira plays the cello on Sundays."]


def test_exact_vectors_keep_the_contract() -> None:
    check_vector_store(ExactVectors)


def test_chroma_keeps_the_contract(tmp_path: Path) -> None:
    check_vector_store(lambda: ChromaVectors(tmp_path / "vectors"))


def test_chroma_forgets_the_bytes_of_a_vector(tmp_path: Path) -> None:
    row = np.full((1, 16), 0.25, np.float32)
    mark = np.linspace(0.1, 0.4, 16, dtype=np.float32)
    mark /= np.linalg.norm(mark)
    store = ChromaVectors(tmp_path / "vectors")
    store.put("a1", ["x", "y"], np.stack([row[0], mark]))
    store.drop("a1", ["y"])
    store.close()
    data = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert mark.tobytes() not in data


def test_chroma_has_one_owner(tmp_path: Path) -> None:
    first, second = ChromaVectors(tmp_path / "v"), ChromaVectors(tmp_path / "v")
    first.put("a1", ["x"], np.ones((1, 4), np.float32) / 2)
    with pytest.raises(VectorsUnavailable):
        second.nearest("a1", np.ones(4, np.float32) / 2, 1)
    first.close()
    assert second.nearest("a1", np.ones(4, np.float32) / 2, 1) == ["x"]
    second.close()


def _held(path: Path) -> bytes:
    """What a file holds: of a database its rows, since its unused space may be whatever stood in this process's memory before."""
    if path.suffix != ".sqlite3":
        return path.read_bytes()
    with contextlib.closing(sqlite3.connect(path)) as db:
        return "\n".join(db.iterdump()).encode()


async def test_chroma_gets_opaque_words_and_vectors_only(tmp_path: Path) -> None:
    async with Memory(scope="user:ada", path=tmp_path) as memory:
        await memory.keep_many(TEXTS)
        await memory.settle()
    data = b"".join(_held(path) for path in (tmp_path / "vectors").rglob("*") if path.is_file())
    assert data
    for word in (b"user:ada", b"nests", b"Oslo", b"cello"):
        assert word not in data


async def test_a_server_that_is_down_loses_nothing(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{held.getsockname()[1]}"  # bound and not listening: refused
        async with Memory(scope="user:ada", path=tmp_path, vectors=address) as memory:
            await memory.keep_many(TEXTS)
            found = await memory.recall("where does the rook nest?", tokens=2_000)
            assert found.items[0].text == TEXTS[0]
            with pytest.raises(VectorsUnavailable):
                await memory.settle()
    vectors = ExactVectors()
    async with Memory(scope="user:ada", path=tmp_path, vectors=vectors) as memory:
        await memory.settle()
        archive = await memory._opened()
        token = archive.store.scope("user:ada")[1]  # type: ignore[index]
        assert len(vectors.nearest(token, np.ones(256, np.float32) / 16, 10)) == len(TEXTS), "what waited was handed over"


async def test_a_damaged_folder_is_built_again_and_reported(tmp_path: Path) -> None:
    async with Memory(scope="user:ada", path=tmp_path) as memory:
        await memory.keep_many(TEXTS)
        await memory.settle()
    (tmp_path / "vectors" / "chroma.sqlite3").write_bytes(b"this is no database" * 500)
    async with Memory(scope="user:ada", path=tmp_path) as memory:
        await memory.keep("A new one: the harbour freezes in January.")
        await memory.settle()
        assert "could not be read" in memory.repairs[0]
        assert (await memory.recall("harbour in January", tokens=2_000)).items[0].text.startswith("A new one")


async def test_a_folder_that_is_gone_can_be_built_again(tmp_path: Path) -> None:
    async with Memory(scope="user:ada", path=tmp_path) as memory:
        await memory.keep_many(TEXTS)
        await memory.settle()
    shutil.rmtree(tmp_path / "vectors")
    async with Memory(scope="user:ada", path=tmp_path) as memory:
        assert await memory.reindex() == len(TEXTS)
        archive = await memory._opened()
        token = archive.store.scope("user:ada")[1]  # type: ignore[index]
        assert len(archive.outbox.nearest(token, np.ones(256, np.float32) / 16, 10).result()) == len(TEXTS)


class Other:
    """An embedder of another kind, for tests: three numbers from a text's letters."""

    fingerprint = "letters/1"

    async def embed(self, texts: list[str], *, purpose: str = "document") -> np.ndarray:
        rows = np.array([[len(text), text.count("e"), text.count("a")] for text in texts], np.float32).reshape(-1, 3)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)

    async def aclose(self) -> None:
        pass


async def test_another_embedder_is_refused_until_it_is_indexed_again(tmp_path: Path) -> None:
    async with Memory(scope="user:ada", path=tmp_path, vectors=ExactVectors()) as memory:
        await memory.keep_many(TEXTS)
        await memory.recall("rook")
    async with Memory(scope="user:ada", path=tmp_path, vectors=ExactVectors(), embedder=Other()) as memory:  # type: ignore[arg-type]
        with pytest.raises(EmbedderMismatch, match="rookery memory reindex"):
            await memory.recall("rook")
        assert await memory.reindex() == len(TEXTS)
        assert (await memory.recall("the rook nests", tokens=2_000)).items[0].text == TEXTS[0]
    async with Memory(scope="user:ada", path=tmp_path, vectors=ExactVectors()) as memory:
        with pytest.raises(EmbedderMismatch):
            await memory.recall("rook")


async def test_meaning_is_found_in_large_scopes_too(tmp_path: Path) -> None:
    async with Memory(scope="user:ada", path=tmp_path, vectors=ExactVectors()) as memory:
        await memory.keep_many([Note(text, "event") for text in sentences(rank.WHOLE + 400)])
        await memory.keep("The physician prescribed rest.", kind="event")
        await memory.settle()
        found = await memory.recall("what did the doctor say?", tokens=2_000, k=5)
        assert "The physician prescribed rest." in [item.text for item in found.items], "no word in common"


async def test_very_large_scopes_are_searched_through_the_vector_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Seen(ExactVectors):
        def nearest(self, scope: str, vector: np.ndarray, k: int) -> list[str]:
            asked.append(k)
            return super().nearest(scope, vector, k)

    monkeypatch.setattr("rookery.memory.archive.EXACT", 100)
    async with Memory(scope="user:ada", path=tmp_path, vectors=Seen()) as memory:
        await memory.keep_many([Note(text, "event") for text in sentences(rank.WHOLE + 100)])
        await memory.keep("The physician prescribed rest.", kind="event")
        await memory.settle()
        found = await memory.recall("what did the doctor say?", tokens=2_000, k=5)
        assert asked == [rank.POOL] and not found.by_words_only
        assert "The physician prescribed rest." in [item.text for item in found.items]
        await memory.keep("The surgeon operated at noon.", kind="event")
        found = await memory.recall("what did the doctor do?", tokens=2_000, k=5)
        assert "The surgeon operated at noon." in [item.text for item in found.items], "also before the vector store has it"
