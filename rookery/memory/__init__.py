"""What is kept for a run and across runs: one door to a short window and a long store."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rookery.memory.insight import consolidate
    from rookery.memory.item import Belief, Change, Forgotten, Item, Kept, Reading, Recalled, Recollection, Source
    from rookery.memory.memory import Memory, Note
    from rookery.memory.window import Window

__all__ = [
    "Belief", "Change", "Forgotten", "Item", "Kept", "Memory", "Note", "Reading", "Recalled", "Recollection", "Source", "Window", "consolidate",
]  # fmt: skip
_AT_FIRST_USE = {
    **dict.fromkeys(("Belief", "Change", "Forgotten", "Item", "Kept", "Reading", "Recalled", "Recollection", "Source"), "rookery.memory.item"),
    **dict.fromkeys(("Memory", "Note"), "rookery.memory.memory"),
    "Window": "rookery.memory.window", "consolidate": "rookery.memory.insight",
}  # fmt: skip
"""numpy, pydantic and the rest are loaded by those who use a memory."""


def __getattr__(name: str) -> Any:
    module = _AT_FIRST_USE.get(name)
    if module is None:
        raise AttributeError(f"module 'rookery.memory' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(module), name)
