"""In imports, only modules that are there and names that they have."""

from __future__ import annotations

import pytest

from rookery.decoding.analyser import SupervisedAnalyser
from rookery.decoding.imports import Imports
from rookery.decoding.monitor import Cursor
from tests.decoding.project import constraint, takes


@pytest.mark.parametrize(("code", "legal", "illegal"), [
    ("import ", "shapes\n", "shape\n"), ("import ", "json", "jsn\n"), ("import json, ", "os", "so\n"), ("import package.", "inner", "outer"),
    ("from ", "shapes import", "shap "), ("from package.", "inner", "outer"), ("from package import ", "inner", "outer"),
    ("from shapes import ", "Color", "Colour"), ("from shapes import ", "*", "+"), ("from shapes import ", "(\n", ")"),
    ("from shapes import Color, ", "Shape", "Shade"), ("from shapes import (Color as C, ", "Shape", "Shade"),
    ("import shapes as s, ", "json", "jso\n"),
    ("from package.inner import ", "helper, VALUE", "help "), ("if x:\n    from shapes import ", "pick\n", "picks\n"),
    ("from circular_a import ", "Alpha", "Gamma"),
    ("from broken import ", "Broken", "Whole"),
])
async def test_only_what_can_be_imported(jedi: SupervisedAnalyser, code: str, legal: str, illegal: str) -> None:
    found = await constraint(Imports(), jedi, code)
    assert found is not None
    assert takes(found, legal) and not takes(found, illegal)


async def test_relative_imports(jedi: SupervisedAnalyser) -> None:
    found = await constraint(Imports(), jedi, "from . import ", path="package/other.py")
    assert found is not None and takes(found, "inner") and not takes(found, "inside ")
    found = await constraint(Imports(), jedi, "from .", path="package/other.py")
    assert found is None or (takes(found, "inner import") and takes(found, ". import") and takes(found, " import x"))


@pytest.mark.parametrize("code", [
    "x = ", "# import ", "'import ", "import os as ", "from os import path as ", "important ", "from os ", "raise x from ", "yield from "])
def test_it_sleeps_elsewhere(code: str) -> None:
    assert Imports().wake(Cursor(code)) is None


async def test_a_module_that_is_not_there_constrains_nothing(jedi: SupervisedAnalyser) -> None:
    assert await constraint(Imports(), jedi, "from absent_module import ") is None
