"""The nouns of memory: an item, where it came from, what a write did, what a recall gave; and what a store of vectors is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args, runtime_checkable

from rookery.core.label import NO_LABELS, UNTRUSTED, Labels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["fact", "event", "preference", "program", "artefact", "summary"]
KINDS: tuple[str, ...] = get_args(Kind)
SINGLE = frozenset({"fact", "preference"})
"""Kinds of which a newer statement about the same subject replaces the older one; events only add up."""
Trust = Literal["untrusted", "stated", "confirmed"]
"""How far an item may be believed: it came from outside; a user or a program said so; a second source said the same."""
RECALLED = "recalled"
"""Labels a value that came out of a memory; such a value is never kept as something new."""
FOREVER = float("inf")
Moment = datetime | float
"""A time as a datetime (without a zone it is UTC) or in seconds since 1970."""


def seconds(moment: Moment) -> float:
    """A moment in seconds since 1970."""
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return float(moment)


def date(moment_s: float) -> str:
    """The day of a moment (UTC), with the hour where it is not midnight."""
    try:
        found = datetime.fromtimestamp(moment_s, UTC)
    except (OverflowError, ValueError, OSError):
        return "?"
    return found.strftime("%Y-%m-%d" if (found.hour, found.minute) == (0, 0) else "%Y-%m-%d %H:%M")


@dataclass(frozen=True, slots=True)
class Source:
    """Where an item came from."""

    name: str = ""
    """What a reader would look up: a turn's id, a page's address, a file."""
    speaker: str = ""
    session: str = ""
    """Items of one session are neighbours in the order in which they were kept."""
    run: str = ""
    """The id of the run whose log quotes it, if there is one."""

    @staticmethod
    def of(source: Source | str | None) -> Source:
        """A source as it is, one of this name, or an empty one."""
        return source if isinstance(source, Source) else Source(source or "")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is remembered. Times are seconds since 1970."""

    id: str
    """12 hex digits; drawn by chance, so that it says nothing about other scopes."""
    scope: str
    text: str
    kind: Kind = "fact"
    subject: str = ""
    """What it is about, normalised (``ada / city``); of one subject one statement is valid at a time. Empty: not known."""
    source: Source = Source()
    valid_from: float = 0.0
    valid_to: float = FOREVER
    recorded_at: float = 0.0
    confidence: float = 1.0
    """0 to 1."""
    trust: Trust = "stated"
    labels: Labels = NO_LABELS
    evidence: int = 1
    """How many different sources said the same."""
    links: tuple[str, ...] = ()
    """Ids of items that it was made from, or that it belongs to."""

    @property
    def is_untrusted(self) -> bool:
        return self.trust == "untrusted" or UNTRUSTED in self.labels

    def is_valid(self, at: float) -> bool:
        """Whether it holds at a time."""
        return self.valid_from <= at < self.valid_to


State = Literal["new", "merged", "known"]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a write did."""

    id: str
    """The item that now holds the text; empty when all of it came out of this memory."""
    state: State
    """``new``; ``merged`` into an item that says the same; ``known``: it was recalled from here, and nothing was written."""
    write: int = 0
    """The number of the write, for ``diff`` and ``revert``; 0 when nothing was written."""
    closed: tuple[str, ...] = ()
    """Ids of older statements whose validity this one ended."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a write, as it can be shown and reverted."""

    write: int
    at: float
    verb: Literal["keep", "close", "merge", "withdraw", "restore", "link", "forget"]
    item: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    """The item's text, where it is still there."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """An item that was found."""

    item: Item
    score: float
    """Comparable within one recall only."""
    line: str
    """The item as quoted data, as it stands in a prompt."""
    replaced_by: str = ""
    """The id of the statement that replaced it; it is no longer valid then."""


@dataclass(frozen=True, slots=True)
class Recollection:
    """What a recall gave, best first, within its budget."""

    found: tuple[Recalled, ...]
    text: str
    """The lines under a sentence that says what they are; empty when nothing was found."""
    tokens: int
    """Of ``text``, counted as the recall was told to."""
    labels: Labels = NO_LABELS
    """Of all that was found, and ``recalled``."""
    by_words_only: bool = False
    """The vector store did not answer; what was found was found by its words."""

    def __str__(self) -> str:
        return self.text

    def __len__(self) -> int:
        return len(self.found)

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(each.item for each in self.found)


@dataclass(frozen=True, slots=True)
class Belief:
    """One line of a history: what was held to be true, for which time, and what replaced it."""

    item: Item
    replaced_by: str = ""
    """The id of the item that replaced it; empty for what is still held."""
    replaced_at: float = FOREVER
    """When the replacement was recorded."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a ``forget`` did."""

    items: int
    runs: tuple[str, ...]
    """Runs whose logs quote what was forgotten; ``rookery prune --scope`` removes the values there."""
    clean: bool = True
    """False: another process still reads the file, so that a few deleted pages stay in its write-ahead log until that one has ended."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A message after its symbols were read."""

    text: str
    """As it goes to the model."""
    stored: Mapping[str, int]
    """Symbols that now have a new version (or had this text already), with the version."""
    replayed: tuple[str, ...]
    """Symbols that were brought back."""
    shown: tuple[str, ...]
    """Symbols that are still in the window, so that only their name stands in the text."""
    unknown: tuple[str, ...]
    """What looks like a symbol and is not one of this scope; it stands in the text as it was written."""
    labels: Labels = NO_LABELS
    """Of what was brought back."""


@runtime_checkable
class VectorStore(Protocol):
    """Vectors by scope and id: never text. Calls may block; memory makes them on a thread of their own.

    Scopes and ids are opaque words (letters and digits); scopes that have no vectors need not be made first.
    """

    def put(self, scope: str, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keep vectors of length 1 under ids, in place of earlier ones; durable once it returns.

        :raises VectorsUnavailable: it could not.
        """
        ...

    def drop(self, scope: str, ids: Sequence[str] | None = None) -> None:
        """Remove some vectors, or a whole scope; what is not there is not missed.

        :raises VectorsUnavailable: it could not.
        """
        ...

    def nearest(self, scope: str, vector: NDArray[np.float32], k: int) -> list[str]:
        """At most ``k`` ids of the nearest vectors by cosine, nearest first; very nearly exact.

        :raises VectorsUnavailable: it could not.
        """
        ...

    def close(self) -> None:
        """Free what is held; twice is fine."""
        ...
