"""The prompts by which a model grows a library, one a stage, and how their replies are read. Others may be given to ``grow``."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rookery.core.function import prompt
from rookery.errors import ToolUnfit
from rookery.tools.record import Example
from rookery.tools.source import parsed

SOLUTION = "solution"
"""The function that solves a problem is called so."""
MAX_SOURCES = 64
"""So many programs of one reply are looked at."""
_FENCE = re.compile(r"^[ \t]*```[ \t]*(\w*)[^\n]*\n(.*?)^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL)


@prompt(form="text")
def solve(question: str, examples: str, signature: str, tools: str) -> str:  # type: ignore[empty-body]
    """Write a Python function that solves this problem.

    {question}

    It must give:
    {examples}

    Functions that are there already and may be called:
    {tools}

    Use the standard library only; read no files, and no network. Answer with the whole function between ```python and ```, named
    and typed like this; a second and a third idea may follow, each between fences of its own:
    {signature}
    """


@prompt(form="text")
def mend(question: str, examples: str, signature: str, tools: str, source: str, fault: str) -> str:  # type: ignore[empty-body]
    """This Python function should solve a problem and does not.

    {question}

    It must give:
    {examples}

    Functions that are there already and may be called:
    {tools}

    ```python
    {source}
    ```

    What is wrong: {fault}

    Answer with the whole function, corrected, between ```python and ```, named and typed like this:
    {signature}
    """


@prompt(form="text")
def generalise(question: str, source: str, signature: str, others: str, tools: str) -> str:  # type: ignore[empty-body]
    """This Python function solves a problem:

    {question}

    ```python
    {source}
    ```

    Other solutions of this kind:
    {others}

    Functions that are there already:
    {tools}

    Take out of it what would help with other problems too: one function, as general as it can be, with a name that says what it does,
    a docstring, and annotated parameters instead of fixed values. Then write the solution again so that it calls that function.

    Answer with two blocks: the general function between ```python and ```, then the new solution between ```python and ```, named and
    typed like this:
    {signature}
    Where there are several such functions, go on with two blocks for each.
    """


@dataclass(frozen=True, slots=True)
class Abstraction:
    """A general function, and the solution that it came from, written to call it."""

    name: str
    source: str
    use: str


def sources_of(text: str) -> list[str]:
    """The Python programs of a reply, each once: what stands between fences, or all of it where there are none."""
    blocks = [found[2] for found in _FENCE.finditer(text + "\n") if found[1].lower() in ("", "python", "py", "python3")]
    if not blocks and "def " in text and "```" not in text:
        blocks = [text]
    return list(dict.fromkeys(_dedented(block) for block in blocks if block.strip()))[:MAX_SOURCES]


def _dedented(block: str) -> str:
    import textwrap

    return textwrap.dedent(block).strip() + "\n"


def abstractions_of(text: str) -> list[Abstraction]:
    """Pairs of a general function and the solution that calls it; a block that no solution follows is left out."""
    found: list[Abstraction] = []
    name, source = "", ""
    for block in sources_of(text):
        defined = _defined(block)
        if SOLUTION in defined:
            if name:
                found.append(Abstraction(name, source, block))
            name = source = ""
        elif defined:
            public = [each for each in defined if not each.startswith("_")]
            name, source = (public or defined)[-1], block
    return found


def _defined(source: str) -> list[str]:
    """The functions at a source's top; none where it is broken."""
    try:
        return [node.name for node in parsed(source).body if isinstance(node, ast.FunctionDef)]
    except ToolUnfit:
        return []


def examples_text(examples: Sequence[Example]) -> str:
    """Calls as a model reads them, one a line; those with many right values say how a value is checked."""
    lines: list[str] = []
    for example in examples:
        call = f"{SOLUTION}({', '.join(f'{name}={short(value)}' for name, value in example.arguments.items())})"
        lines.append(f"{call} → a value for which this gives True:\n{example.check}" if example.check else f"{call} == {short(example.value)}")
    return "\n".join(lines)


def short(value: Any, most: int = 400) -> str:
    text = repr(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def signature_text(examples: Sequence[Example], returns: str = "") -> str:
    """The signature that fits the calls: ``def solution(xs: list[int], k: int) -> int:``."""
    names = list(dict.fromkeys(name for example in examples for name in example.arguments))
    parts = [f"{name}: {_type_of([example.arguments[name] for example in examples if name in example.arguments])}" for name in names]
    values = [example.value for example in examples if not example.check]
    return f"def {SOLUTION}({', '.join(parts)}) -> {returns or (_type_of(values) if values else 'Any')}:"


def _type_of(values: Sequence[Any]) -> str:
    kinds = {type(value) for value in values}
    if kinds == {int, float}:
        return "float"
    if len(kinds) != 1:
        return "Any"
    kind = kinds.pop()
    if kind in (list, tuple):
        inner = [item for value in values for item in value]
        return f"list[{_type_of(inner)}]" if inner else "list"
    if kind is dict:
        keys = {type(key) for value in values for key in value}
        return f"dict[str, {_type_of([item for value in values for item in value.values()])}]" if keys == {str} else "dict"
    return {int: "int", float: "float", str: "str", bool: "bool", type(None): "None"}.get(kind, "Any")


def called_in(source: str, names: Mapping[str, Any]) -> list[str]:
    """Which of the names a source reads without defining them, in the order of the text."""
    try:
        tree = parsed(source)
    except ToolUnfit:
        return []
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    read = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    return list(dict.fromkeys(word for word in read if word in names and word not in own))


def joined(source: str, tools: Mapping[str, str]) -> str:
    """A source behind those of the tools that it calls, each once, so that it stands for itself."""
    from_future = "from __future__ import annotations\n"
    parts = [tools[name].replace(from_future, "") for name in tools]
    whole = "\n\n".join([*parts, source.replace(from_future, "")]) if parts else source
    is_late = any(from_future in text for text in (*tools.values(), source))
    return f"{from_future}\n{whole}" if parts and is_late else whole


def key_of(example: Example) -> str:
    return json.dumps([dict(example.arguments), example.value, example.check], sort_keys=True, default=str)
