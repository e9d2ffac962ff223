"""Prompts that say something else: in a graph, in the graphs it calls, and in a fork that runs only what depends on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rookery import fork, graph, prompt, resume, start, tool
from rookery.core.reword import reword
from rookery.errors import InputError
from rookery.models.model import Request
from rookery.testing import ScriptedModel

ASKED: list[str] = []


def echo(request: Request) -> str:
    ASKED.append(request.text)
    return request.text.upper()


@prompt
def greet(name: str) -> str:
    """Greet {name}."""


@prompt
def thank(name: str) -> str:
    """Thank {name}."""


@tool(inline=True)
def both(a: str, b: str) -> str:
    return f"{a} {b}"


@graph
def inner(name: str) -> str:
    return greet(name=name)


@graph
def letter(name: str) -> str:
    return both(a=inner(name=name), b=thank(name=name))


async def test_a_fork_with_other_words_asks_only_what_depends_on_them(tmp_path: Path) -> None:
    log = tmp_path / "log.db"
    ASKED.clear()
    async with start(letter, name="Ada", model=ScriptedModel(echo), log=log, id="a") as run:
        assert await run == "GREET ADA. THANK ADA."
    other = reword(letter, {"greet": "Hail {name}!"})
    async with fork("a", other, log=log, model=ScriptedModel(echo), new="b", named={"prompts": {"greet": "Hail {name}!"}}) as run:
        assert await run == "HAIL ADA! THANK ADA."
    assert ASKED == ["Greet Ada.", "Thank Ada.", "Hail Ada!"]
    async with resume("b", other, log=log, model=ScriptedModel(echo)) as run:
        assert await run == "HAIL ADA! THANK ADA."
    assert greet.template.source == "Greet {name}."  # the program itself is as it was


def test_what_is_wrong_with_other_words() -> None:
    with pytest.raises(InputError, match="no prompt greeting") as error:
        reword(letter, {"greeting": "x"})
    assert "greet" in error.value.hint and "thank" in error.value.hint
    with pytest.raises(InputError, match="no parameter nmae"):
        reword(letter, {"greet": "Hail {nmae}"})
    with pytest.raises(InputError):
        reword(letter, {"greet": "Hail {name"})
    assert reword(letter, {}) is letter
