"""Prompts and tools: options, fingerprints, templates, and where they may be called."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest

from rookery import Label, prompt, tool
from rookery.core.function import Prompt, Tool, program
from rookery.errors import GraphFault


@prompt
def titles(topic: str, n: int) -> list[str]:
    """List {n} titles about {topic}.

    Rules:
      - short
      - in order
    """


@tool
def plus(a: int, b: int = 1) -> int:
    """Add."""
    return a + b


def test_a_docstring_is_the_template_with_its_indentation() -> None:
    assert titles.template.source == "List {n} titles about {topic}.\n\nRules:\n  - short\n  - in order"


def test_a_prompt_without_text_is_its_name_and_its_arguments() -> None:
    @prompt
    def write_it(title: str, topic: str) -> str: ...

    assert write_it.template.source == "Write it.\n\ntitle:\n{title}\n\ntopic:\n{topic}"


def test_texts_given_by_hand_are_cleaned_as_docstrings_are() -> None:
    made = prompt(template="\n    Say {x}\n      twice.\n    ", system="\n    Be brief.\n    ")(plus.function)
    assert made.template.source == "Say {x}\n  twice."
    assert made.system is not None and made.system.source == "Be brief."


def test_a_tool_is_the_plain_function_outside_of_graphs() -> None:
    assert plus(1) == 2 and plus(1, b=2) == 3
    assert plus.__name__ == "plus" and plus.__doc__ == "Add."


def test_an_async_tool_is_a_coroutine_function_outside_of_graphs() -> None:
    @tool
    async def slow(x: int) -> int:
        return x

    assert slow.is_async and asyncio.run(slow(3)) == 3  # type: ignore[arg-type]

    class Called:
        async def __call__(self, x: int) -> int:
            return x

    assert tool(name="called")(Called()).is_async


def test_a_missing_return_type_is_named() -> None:
    def bare(x: int):  # type: ignore[no-untyped-def]
        return x

    with pytest.raises(GraphFault, match="no return annotation") as caught:
        tool(bare).returns  # noqa: B018
    assert "-> str" in caught.value.hint


def test_none_is_a_type() -> None:
    @tool
    def quiet(x: int) -> None: ...

    assert quiet.returns is type(None)


def test_options_make_a_new_function_and_leave_the_old_one() -> None:
    other = titles.using(temperature=0, stop="END", fallback="other:model")
    assert isinstance(other, Prompt) and other is not titles
    assert (other.policy.temperature, other.policy.stop, other.policy.fallback) == (0, ("END",), ("other:model",))
    assert titles.policy.temperature is None
    with pytest.raises(TypeError, match=r"temprature.*known: .*temperature"):
        titles.using(temprature=1)


def test_labels_come_from_the_return_annotation_and_by_hand() -> None:
    @tool(labels=frozenset({"untrusted"}))
    def fetch(url: str) -> Annotated[str, Label("secret")]:
        return url

    assert fetch.labels == {"untrusted", "secret"}


def test_a_fingerprint_follows_what_decides_the_value() -> None:
    def titles_(topic: str, n: int) -> list[str]:
        """List {n} titles about {topic}."""
        return []

    def made(**options: Any) -> str:
        return prompt(name="titles", **options)(titles_).fingerprint()

    assert made() == made()
    assert len({made(), made(template="Other {n}{topic}"), made(system="Be brief."), made(form="lines")}) == 4
    assert prompt(name="other")(titles_).fingerprint() != made()
    assert made(temperature=1.0) == made()  # how it is carried out is not what it is


def test_origins() -> None:
    assert plus.origin == f"{__name__}:plus"


def test_a_program_is_a_tool_of_its_own_kind() -> None:
    async def main(x: int) -> int:
        return x

    made = program(main)
    assert isinstance(made, Tool) and made.kind == "program" and repr(made) == "<Program main>"
    assert repr(plus) == "<Tool plus>" and repr(titles) == "<Prompt titles>"
