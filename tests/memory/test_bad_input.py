"""What goes wrong outside: bad names, clocks, files, processes that die."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rookery.errors import ItemUnfit, ItemUnknown, MemoryDamaged, MemoryFull, MemoryTooNew, ScopeInvalid
from rookery.memory import Memory
from rookery.memory.exact import ExactVectors

ROOT = Path(__file__).parents[2]


def memory_at(path: Path, **options: object) -> Memory:
    return Memory(scope="user:ada", path=path, vectors=ExactVectors(), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "scope",
    [
        "",
        " ",
        "a b",
        "../x",
        "a/b",
        "a\\b",
        ".",
        "..",
        "a..b",
        ".a",
        "a.",
        "a\x00b",
        "a\nb",
        "a\u202eb",
        "a\u200bb",
        "x" * 201,
        "e\u0301",
        "\ud800",
        None,
        7,
    ],
)
def test_scopes_with_odd_names_are_refused(scope: object, tmp_path: Path) -> None:
    with pytest.raises(ScopeInvalid):
        Memory(scope=scope, path=tmp_path)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scope", ["a", "user:ada", "team:lab:2026", "ada@example.org", "żółw", "' OR 1=1--".replace(" ", ""), "%", "x" * 200])
async def test_scopes_with_proper_names(scope: str, tmp_path: Path) -> None:
    async with Memory(scope=scope, path=tmp_path, vectors=ExactVectors()) as memory:
        await memory.keep("A rook.")
        assert [item.scope for item in await memory.items()] == [scope]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", {}),
        ("  \n ", {}),
        ("x" * 1_000_001, {}),
        ("half \ud800", {}),
        ("x", {"kind": "thought"}),
        ("x", {"confidence": 1.5}),
        ("x", {"confidence": float("nan")}),
        ("x", {"at": 10.0, "valid_to": 5.0}),
        ("x", {"at": float("nan")}),
        ("x", {"at": float("inf")}),
        (None, {}),
    ],
)
async def test_what_cannot_be_kept_is_refused_and_nothing_is_written(text: str, options: dict[str, object], tmp_path: Path) -> None:
    async with memory_at(tmp_path) as memory:
        with pytest.raises(ItemUnfit):
            await memory.keep(text, **options)  # type: ignore[arg-type]
        assert await memory.items() == []


async def test_a_clock_that_goes_backwards_does_not_reorder_writes(tmp_path: Path) -> None:
    times = iter([1e9, 5e8, 4e8, 3e8, 2e8] + [1e8] * 20)
    async with memory_at(tmp_path, clock=lambda: next(times)) as memory:
        for city in ("Paris", "Rome", "Oslo"):
            await memory.keep(f"Ada lives in {city}.")
        beliefs = await memory.history("ada / city")
        assert [belief.item.text for belief in beliefs] == ["Ada lives in Paris.", "Ada lives in Rome.", "Ada lives in Oslo."]
        recorded = [belief.item.recorded_at for belief in beliefs]
        assert recorded == sorted(set(recorded))
    async with memory_at(tmp_path, clock=lambda: 1.0) as memory:
        await memory.keep("Ada lives in Bern.")
        assert (await memory.history("ada / city"))[-1].item.text == "Ada lives in Bern."


async def filled(path: Path, count: int = 400) -> dict[str, str]:
    async with memory_at(path) as memory:
        kept = await memory.keep_many([f"Rook {number} has ring {number * 37}." for number in range(count)])
        return {each.id: f"Rook {number} has ring {number * 37}." for number, each in enumerate(kept)}


async def test_a_damaged_page_costs_at_most_what_stood_on_it(tmp_path: Path) -> None:
    items = await filled(tmp_path)
    path = tmp_path / "memory.db"
    sqlite3.connect(path).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    at = data.find(b"Rook 200 has ring") // 8192 * 8192
    data[at : at + 8192] = os.urandom(8192)
    path.write_bytes(data)
    async with memory_at(tmp_path) as memory:
        found = {item.id: item.text for item in await memory.items(limit=1_000)}
        assert len(found) > 250 and found.items() <= items.items()
        assert "saved into a new file" in memory.repairs[0]
        await memory.keep("Rook 999 has come.")
        assert (await memory.recall("rook 999")).items[0].text == "Rook 999 has come."
    assert (tmp_path / "memory.db.damaged-1").exists()
    async with memory_at(tmp_path) as memory:
        assert memory.repairs == ()
        await memory.forget(scope="user:ada")
    assert not (tmp_path / "memory.db.damaged-1").exists(), "what is forgotten is not left in the damaged copy"


async def test_a_file_without_a_head_is_put_aside_and_reported(tmp_path: Path) -> None:
    await filled(tmp_path, 20)
    sqlite3.connect(tmp_path / "memory.db").execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (tmp_path / "memory.db").write_bytes(b"garbage" * 3_000)
    for name in ("memory.db-wal", "memory.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    async with memory_at(tmp_path) as memory:
        await memory.keep("Anew.")
        assert memory.repairs and len(await memory.items()) == 1


async def test_files_of_others_and_of_the_future_are_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with sqlite3.connect(other / "memory.db") as db:
        db.execute("CREATE TABLE mine (x)")
    with pytest.raises(MemoryDamaged, match="not a memory"):
        await memory_at(other).keep("x")
    await filled(tmp_path / "future", 1)
    with sqlite3.connect(tmp_path / "future" / "memory.db") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(MemoryTooNew):
        await memory_at(tmp_path / "future").keep("x")
    (tmp_path / "file").write_text("x")
    with pytest.raises(MemoryFull):
        await memory_at(tmp_path / "file").keep("x")


async def killed(path: Path, after_s: float) -> list[str]:
    """What a writing process acknowledged before it was killed."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.memory", "--writer", str(path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    head = process.stdout.readline()
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    words = (head + process.stdout.read()).decode().split("\n")[:-1]
    process.wait()
    process.stdout.close()
    return words


@pytest.mark.parametrize("rounds", [3, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
async def test_kill_9_loses_nothing_that_was_acknowledged(rounds: int, tmp_path: Path) -> None:
    alive: set[str] = set()
    for number in range(rounds):
        for word in await killed(tmp_path, 0.02 + number % 7 * 0.04):
            alive = alive - {word[1:]} if word.startswith("-") else alive | {word}
        async with Memory(scope="crash", path=tmp_path, vectors=ExactVectors()) as memory:
            assert alive <= {item.id for item in await memory.items(limit=1_000_000)}
            assert memory.repairs == ()
    assert len(alive) > 3


async def test_an_unknown_item_is_said_to_be_unknown(tmp_path: Path) -> None:
    async with memory_at(tmp_path) as memory:
        for id in ("", "x", "0" * 12, "' OR 1=1 --", "%", "\x00", "a" * 10_000):
            with pytest.raises(ItemUnknown):
                await memory.show(id)
            assert (await memory.forget(ids=[id])).items == 0
        for query in ("", "?", "the of", "\x00", "x" * 20_000):
            assert len(await memory.recall(query)) == 0
        await memory.keep("A rook.")
        for query in ("", "the of", "\x00", "x" * 20_000):
            await memory.recall(query)
