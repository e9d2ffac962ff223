"""Text that a terminal only shows."""

from __future__ import annotations

import re

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_].*?(?:\x1b\\|$)|[ -/]*[0-~])"  # sequences, by their kind
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]",
    re.DOTALL,
)


def safe(text: str) -> str:
    """Text from a model or a tool without what a terminal would obey: escape sequences and control characters."""
    return _ESCAPES.sub("", text)
