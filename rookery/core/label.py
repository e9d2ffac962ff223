"""Labels say where a value came from and who may see it; they travel with values along edges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Labels = frozenset[str]
Given = str | Iterable[str]
"""Labels as they are written: ``"untrusted"``, ``{"secret", "source:vault"}``."""

NO_LABELS: Labels = frozenset()
SECRET = "secret"
"""The value may not be written to a log; it is logged as a keyed reference and asked for again at resume."""
UNTRUSTED = "untrusted"
"""The value came from outside: a tool result, a file, a page."""


@dataclass(frozen=True, slots=True)
class Label:
    """Marks a parameter's or a result's values: ``Annotated[str, Label("secret")]``."""

    name: str


def labels_given(given: Given) -> Labels:
    """Labels as somebody writes them: one name, or several in whatever holds them."""
    return frozenset({given}) if isinstance(given, str) else frozenset(given)


def source(kind: str, name: str = "") -> str:
    """The label of what came from a source: ``source:mcp:files``, ``source:web``."""
    words = "".join(char if char.isalnum() or char in "-_.:" else "-" for char in name)
    return f"source:{kind}:{words}" if words else f"source:{kind}"


def join(labels: Iterable[Labels]) -> Labels:
    """The union; a value made from several carries the labels of all."""
    result = NO_LABELS
    for each in labels:
        if each and each is not result:
            result = result | each
    return result
