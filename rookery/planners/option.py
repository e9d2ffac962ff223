"""The options of planners: checked when they are given, and named in results as they were in force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rookery.errors import SearchInvalid


def at_least(low: float, **options: float | None) -> None:
    """Raises SearchInvalid for the options that are given and below ``low`` or no number."""
    wrong = [f"{name} is {value!r}" for name, value in options.items() if value is not None and not value >= low]
    if wrong:
        raise SearchInvalid(f"{', '.join(wrong)}; it must be at least {low}")


def one_of(known: Sequence[str], **options: str) -> None:
    """Raises SearchInvalid for an option that is none of the known words."""
    for name, value in options.items():
        if value not in known:
            raise SearchInvalid(f"{name} is {value!r}; it can be {', '.join(known)}")


def named(name: str, **options: Any) -> str:
    """A planner as it would be written: ``beam(width=5, depth=10)``."""
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in options.items() if value is not None)})"
