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


_united: dict[tuple[Labels, Labels], Labels] = {}
MOST_KNOWN = 1_000
"""So many unions are remembered."""


def united(one: Labels, other: Labels) -> Labels:
    """Both; the same object for equal sets, so that those who join them again see at once that nothing is new."""
    found = _united.get((one, other))
    if found is None:
        if len(_united) >= MOST_KNOWN:
            _united.clear()
        whole = one | other
        found = _united[one, other] = next((known for known in _united.values() if known == whole), whole)
    return found


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
            result = united(result, each)
    return result
