"""Labels in and out of a memory: what code writes carries what the code has looked at, and what it recalls labels the code."""

from __future__ import annotations

from collections.abc import Iterable

from rookery.core.label import SECRET, UNTRUSTED, Labels
from rookery.core.label import join as union
from rookery.core.tape import current_live
from rookery.memory import scope as scopes
from rookery.memory.item import RECALLED, Item


def written(scope: str, labels: Labels) -> Labels:
    """The labels of what is written to a scope: those given, and those of the code that writes.

    Raises FlowRefused when that code has looked at what is secret, or at another scope's memory, and the program neither gave these labels
    itself nor cleared them for ``memory:SCOPE``.
    """
    live = current_live()
    if live is None or not live.labels:
        return labels
    own = scopes.label(scope)
    foreign = {label for label in live.labels if label == SECRET or (label.startswith("memory:") and label != own)}
    live.hold(frozenset(foreign - labels), f"memory:{scope}")
    return labels | (live.labels - {RECALLED})


def looked(scope: str, labels: Labels) -> None:
    """The code that runs has looked at something of a scope's memory."""
    live = current_live()
    if live is not None:
        live.saw(labels, f"memory:{scope}")


def labels_of(scope: str, items: Iterable[Item]) -> Labels:
    """The labels of what items say: their own, that they were recalled, from where, and whether any came from outside."""
    found = union([frozenset({RECALLED, scopes.label(scope)}), *(item.labels for item in items)])
    return found | {UNTRUSTED} if any(item.is_untrusted for item in items) else found
