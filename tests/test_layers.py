"""Imports point to the left only: errors ← core ← models ← … ← cli ← testing; lazy imports and those for types count too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import rookery

ROOT = Path(rookery.__file__).parent
LAYERS = ["errors", "core", "models", "decoding", "engine", "index", "tools", "memory", "planners", "agents", "workflows", "tui", "cli", "testing"]
EVERYTHING = ("__init__", "__main__")
"""The package's front and its command stand outside: they may import all."""


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts), path


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Every module of rookery that a file imports, wherever in the file, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names if name.name.split(".")[0] == "rookery")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the whole name"
            if node.module == "rookery":
                yield from ((f"rookery.{name.name}", node.lineno) for name in node.names)
            elif node.module and node.module.split(".")[0] == "rookery":
                yield node.module, node.lineno


def layer_of(module: str) -> str:
    return module.removeprefix("rookery.").split(".")[0]


def test_every_module_belongs_to_a_layer() -> None:
    assert {layer_of(name) for name, _ in modules()} - set(EVERYTHING) <= set(LAYERS)


def test_imports_point_to_the_left() -> None:
    wrong = []
    for name, path in modules():
        own = layer_of(name)
        if own in EVERYTHING:
            continue
        for target, line in imported(path):
            layer = layer_of(target)
            if layer in LAYERS and LAYERS.index(layer) > LAYERS.index(own):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {own} imports {target}")
            if layer not in LAYERS and layer != "__version__":
                wrong.append(f"{path.relative_to(ROOT)}:{line}: import {target} from where it is defined, not from the package's front")
    assert not wrong, "\n".join(wrong)


def test_nothing_imports_testing() -> None:
    assert not [f"{name}:{line}" for name, path in modules() for target, line in imported(path) if layer_of(target) == "testing"]


def test_folders_are_at_most_two_deep() -> None:
    assert all(len(path.relative_to(ROOT).parts) <= 2 for _, path in modules())


def test_every_file_opens_with_a_sentence() -> None:
    without = []
    for _, path in modules():
        text = path.read_text(encoding="utf-8")
        first = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
        if text.strip() and not first.endswith((".", "…", ":")) and not first.endswith(")"):
            without.append(str(path.relative_to(ROOT)))
    assert not without
