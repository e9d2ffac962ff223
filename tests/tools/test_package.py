"""Python functions as tools: which are taken, which are not and why."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from rookery import Tool, graph, prompt, run, tool
from rookery.errors import RunWaiting, ToolUnfit
from rookery.tools.approval import allow_all
from rookery.tools.package import package_tools

SHAPES = '''
"""Shapes."""
from __future__ import annotations
from math import sqrt
from rookery import prompt, tool
from .areas import circle

def square(side: float) -> float:
    """The area of a square."""
    return side * side

async def later(x: int) -> int:
    return x

def write_down(text: str) -> None: ...
def bare(x, *rest): ...
def of_function(f: "Callable[[int], int]") -> int: ...
def unknown(x: Nowhere) -> int: ...
def every(n: int) -> "Iterator[int]":
    yield n
def _private(x: int) -> int: ...
class Shape: ...
SIDE = 3

@tool(pure=True)
def corners(n: int) -> int:
    return n

@prompt
def name_it(area: float) -> str: ...
'''


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tmp_path / "shapes_package"
    folder.mkdir()
    (folder / "__init__.py").write_text(SHAPES)
    (folder / "areas.py").write_text("def circle(radius: float) -> float:\n    return 3 * radius * radius\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "shapes_package"
    for name in [name for name in sys.modules if name.startswith("shapes_package")]:
        del sys.modules[name]


def test_the_public_functions_of_a_package_are_tools(shapes: str) -> None:
    taken = package_tools(shapes, effects=["write_*"])
    assert [tool.name for tool in taken] == ["circle", "square", "later", "write_down", "corners"]
    assert taken["square"].doc == "The area of a square." and taken["corners"].pure and taken["write_down"].effect
    assert run(taken["square"], side=3) == 9 and run(taken["circle"], radius=1) == 3 and run(taken["later"], x=2) == 2


def test_what_cannot_be_a_tool_is_told_with_all_reasons(shapes: str) -> None:
    why = {fault.tool: fault for fault in package_tools(shapes).unfit}
    assert set(why) == {"bare", "of_function", "unknown", "every", "Shape", "name_it"}
    assert [place for place, _ in why["bare"].faults] == ["x", "rest", "return"]
    assert "Nowhere" in str(why["unknown"]) and "class" in str(why["Shape"]) and "generator" in str(why["every"]) and "prompt" in str(why["name_it"])


def test_effects_ask_first(shapes: str) -> None:
    with pytest.raises(RunWaiting):
        run(package_tools(shapes, effects=["write_*"])["write_down"], text="a")
    assert run(package_tools(shapes, effects=["write_*"], allow=allow_all)["write_down"], text="a") is None


def test_a_module_says_itself_what_is_public(shapes: str) -> None:
    module = ModuleType("some")
    exec("def a(x: int) -> int: return x\ndef b(x: int) -> int: return x\n__all__ = ['b', 'missing']", vars(module))
    assert [tool.name for tool in package_tools(module, name="some")] == ["some__b"]


def test_a_list_of_functions() -> None:
    def one(x: int) -> int:
        return x

    def of_functions(f: Callable[[int], int]) -> int:
        return f(1)

    @graph
    def made(x: int) -> int:
        return tool(one)(x=x)  # type: ignore[return-value]

    @prompt
    def title(topic: str) -> str: ...

    taken = package_tools([one, tool(one), of_functions, made, title, len, lambda x: x, 3])  # type: ignore[list-item]
    assert [each.name for each in taken] == ["one"] and isinstance(taken["one"], Tool)
    assert len(taken.unfit) == 7 and "taken" in str(taken.unfit[0])


@pytest.mark.parametrize("name", ["no_such_module_here", "", ".relative", "a b"])
def test_a_module_that_is_not_there(name: str) -> None:
    with pytest.raises(ToolUnfit):
        package_tools(name)


def test_a_module_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fails_at_import.py").write_text("raise RuntimeError('no')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ToolUnfit, match="RuntimeError: no"):
        package_tools("fails_at_import")


@pytest.mark.parametrize("name", ["math", "statistics", "textwrap", "json", "rookery.tools.schema"])
def test_modules_of_the_standard_library_only_give_reasons(name: str) -> None:
    taken = package_tools(name)
    assert all(fault.reason for fault in taken.unfit) and len(taken.tools) + len(taken.unfit) > 0
