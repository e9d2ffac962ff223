"""Symbols: many a message, versions, scopes, escapes, exact round trips; and programs under them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.errors import ItemUnfit, ItemUnknown
from rookery.memory import Memory, symbol
from rookery.memory.exact import ExactVectors
from rookery.tools.bubblewrap import Bubblewrap
from tests.memory.cases import PROGRAM, SYMBOLS, Case
from tests.memory.suite import wrong_in


def test_the_suite_is_large_enough() -> None:
    assert len(SYMBOLS) >= 60


@pytest.mark.parametrize("case", SYMBOLS, ids=lambda case: case.name)
async def test_symbols(case: Case, tmp_path: Path) -> None:
    assert await wrong_in(case, tmp_path) == ""


@given(st.text(alphabet=st.sampled_from("ab<>|@1 \\/x-_"), max_size=40))
def test_what_is_escaped_is_text(text: str) -> None:
    parts = symbol.parse(symbol.escaped(text))
    assert all(part.verb == "text" for part in parts)
    assert "".join(part.text for part in parts) == text


@given(st.text(max_size=60))
def test_any_message_can_be_read(text: str) -> None:
    for part in symbol.parse(text):
        assert part.verb in ("text", "store", "read")


async def test_a_symbol_that_stores_nothing_is_refused(tmp_path: Path) -> None:
    async with Memory(scope="user:ada", path=tmp_path, vectors=ExactVectors()) as memory:
        with pytest.raises(ItemUnfit):
            await memory.read("<|a|>   ")
        with pytest.raises(ItemUnfit):
            await memory.read("<|a|> one <|b|> ")
        assert await memory.symbols() == {}, "all that a message stores, or nothing"


async def test_a_program_under_a_symbol_becomes_a_tool_in_a_sandbox(tmp_path: Path) -> None:
    async with Memory(scope="user:ada", path=tmp_path, vectors=ExactVectors()) as memory:
        await memory.read(f"<|speed|> Here it is:\n```python\n{PROGRAM}```\n")
        assert [item.kind for item in await memory.items()] == ["program"] or symbol.program_in(await memory.symbol("speed"))
        sandbox = Bubblewrap(ready=0)
        try:
            tool = await memory.program("speed", sandbox=sandbox)
            assert tool.name == "speed"
            assert await tool(metres=10.0, seconds=4.0) == 2.5
        finally:
            await sandbox.aclose()
        with pytest.raises(ItemUnknown):
            await memory.program("slowness")
