"""Workflows in YAML: the same typed graph as in Python, both ways, and as easily checked."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rookery.workflows.equality import meaning, same
    from rookery.workflows.loading import load, parse
    from rookery.workflows.saving import save
    from rookery.workflows.workflow import Workflow

__all__ = ["Workflow", "load", "meaning", "parse", "same", "save"]
_AT_FIRST_USE = {
    "Workflow": "workflow", "load": "loading", "meaning": "equality", "parse": "loading", "same": "equality", "save": "saving"
}  # fmt: skip


def __getattr__(name: str) -> Any:
    module = _AT_FIRST_USE.get(name)
    if module is None:
        raise AttributeError(f"module 'rookery.workflows' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"rookery.workflows.{module}"), name)
    return value
