"""Workflows in YAML: the same typed graph as in Python, both ways, and as easily checked."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rookery.workflows.compare import Difference, difference
    from rookery.workflows.equality import meaning, same
    from rookery.workflows.expression import condition
    from rookery.workflows.loading import load, parse
    from rookery.workflows.python import python_of
    from rookery.workflows.saving import save
    from rookery.workflows.workflow import Workflow

__all__ = ["Difference", "Workflow", "condition", "difference", "load", "meaning", "parse", "python_of", "same", "save"]
_AT_FIRST_USE = {
    "Difference": "compare", "Workflow": "workflow", "condition": "expression", "difference": "compare", "load": "loading",
    "meaning": "equality", "parse": "loading", "python_of": "python", "same": "equality", "save": "saving",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    module = _AT_FIRST_USE.get(name)
    if module is None:
        raise AttributeError(f"module 'rookery.workflows' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"rookery.workflows.{module}"), name)
    return value
