"""Labels in and out of memory: what code has looked at is kept with what it writes, and what it recalls labels what it does next."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest

from rookery import Label, clear, run, start, tool
from rookery.core.function import program
from rookery.errors import FlowRefused
from rookery.memory import Memory
from rookery.testing import ExactVectors

SENT: list[str] = []


@tool(effect=True, inline=True)
def send(body: str) -> str:
    SENT.append(body)
    return "sent"


@tool(labels=frozenset({"untrusted", "source:web"}), inline=True)
def fetch(url: str) -> str:
    return f"The roof of {url} was mended."


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    SENT.clear()
    yield


def made(folder: Path, scope: str = "user:ann") -> Memory:
    return Memory(scope=scope, path=folder / "memory", vectors=ExactVectors())


def carried(main: Any, memory: Memory, **more: Any) -> Any:
    async def go() -> Any:
        try:
            async with start(main, **more) as r:
                return await r
        finally:
            await memory.aclose()

    return asyncio.run(go())


def test_what_was_read_outside_is_kept_as_untrusted_with_its_source(tmp_path: Path) -> None:
    memory = made(tmp_path)

    @program
    async def main() -> list[str]:
        page = await fetch(url="home")
        await memory.keep(page)
        (item,) = await memory.items()
        return [item.trust, *sorted(item.labels)]

    assert carried(main, memory) == ["untrusted", "source:web", "untrusted"]


def test_what_the_program_states_is_trusted_and_so_is_what_comes_of_it(tmp_path: Path) -> None:
    memory = made(tmp_path)

    @program
    async def main() -> str:
        await memory.keep("The roof is red.")
        found = await memory.recall("roof")
        return await send(body=found.text)

    assert carried(main, memory) == "sent"


@pytest.mark.parametrize("look", ["recall", "items", "current", "history", "show", "rivals", "symbol"])
def test_looking_at_what_came_from_outside_labels_what_follows(tmp_path: Path, look: str) -> None:
    memory = made(tmp_path)

    async def looked() -> Any:
        if look == "recall":
            return await memory.recall("roof")
        if look == "items":
            return await memory.items()
        if look == "symbol":
            return await memory.symbol("roof")
        if look == "show":
            return await memory.show((await memory.items())[0].id)
        if look == "rivals":
            return await memory.rivals("The roof is blue.")
        return await getattr(memory, look)("roof / colour")

    @tool
    async def gather() -> str:
        assert await looked()
        return "looked"

    @program
    async def main() -> str:
        return await send(body=await gather())

    async def prepare() -> None:
        await memory.keep("The roof is red.", subject="roof / colour", trust="untrusted")
        await memory.read("<|roof|> a roof", labels=frozenset({"untrusted"}))
        await memory.aclose()

    asyncio.run(prepare())
    with pytest.raises(FlowRefused) as caught:
        carried(main, memory)
    assert caught.value.path[0].startswith("memory:user:ann") and not SENT


def test_tools_of_a_memory_take_what_is_untrusted_and_give_it_back_so(tmp_path: Path) -> None:
    memory = made(tmp_path)
    keep, recall, _ = memory.tools()

    @program
    async def main() -> str:
        await keep(text=await fetch(url="home"))
        return await send(body=await recall(query="roof"))

    with pytest.raises(FlowRefused, match="send"):
        carried(main, memory)


def test_a_secret_is_kept_by_nobody_who_did_not_say_so(tmp_path: Path) -> None:
    memory = made(tmp_path)

    @program
    async def careless(key: Annotated[str, Label("secret")]) -> str:
        await memory.keep(f"The key is {key}.")
        return "kept"

    @program
    async def meant(key: Annotated[str, Label("secret")]) -> str:
        await memory.keep(f"The key is {key}.", labels=frozenset({"secret"}))
        return "kept"

    with pytest.raises(FlowRefused) as caught:
        carried(careless, memory, key="hunter2")
    assert caught.value.sink == "memory:user:ann" and caught.value.label == "secret" and caught.value.path == ("inputs.key",)
    assert carried(careless, memory, key="hunter2", clearance=clear("secret", "memory:user:*")) == "kept"
    assert carried(meant, memory, key="hunter3") == "kept"


def test_one_users_memory_does_not_get_into_anothers(tmp_path: Path) -> None:
    ann, bob = made(tmp_path), made(tmp_path, "user:bob")

    @program
    async def main() -> str:
        found = await ann.recall("roof")
        await bob.keep(f"Ann says: {found.text}")
        return "kept"

    async def go(**more: Any) -> Any:
        await ann.keep("The roof is red.")
        try:
            async with start(main, **more) as r:
                return await r
        finally:
            await ann.aclose()
            await bob.aclose()

    with pytest.raises(FlowRefused, match="memory:user:bob"):
        asyncio.run(go())
    assert asyncio.run(go(clearance=clear("memory:*", "memory:user:bob"))) == "kept"


def test_outside_of_a_run_a_memory_is_as_it_was(tmp_path: Path) -> None:
    memory = made(tmp_path)

    async def go() -> Any:
        await memory.keep("The roof is red.")
        found = await memory.recall("roof")
        await memory.aclose()
        return found

    assert "untrusted" not in asyncio.run(go()).labels
    assert run(send, body="x") == "sent"
