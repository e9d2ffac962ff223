"""What monitors did to a reply: the figures that stand in the log, and that are added up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Report:
    """What monitors did to one reply, or to several added up."""

    level: int = 0
    """1 to 4; 0 when nothing was constrained. Of several the highest."""
    triggers: int = 0
    """How often a monitor woke."""
    forbidden: int = 0
    """How often the model's own choice was not allowed: another token was taken, or the text was rolled back or repaired."""
    forced: int = 0
    """Tokens that were appended without asking the model."""
    empty: int = 0
    """Triggers for which nothing was known."""
    late: int = 0
    """Triggers whose facts did not come within the budget."""
    unknown: int = 0
    """Triggers whose facts were incomplete."""
    failed: int = 0
    """Triggers at which the analyser failed."""
    rolled_back: int = 0
    """Tokens taken back."""
    waited_s: float = 0.0
    """Seconds that this reply waited for facts."""
    masked_s: float = 0.0
    """Seconds spent on masks."""
    monitors: tuple[str, ...] = ()
    """The rules that woke."""
    note: str = ""
    """Why a lower level was taken than the model seemed to allow; empty when nothing was amiss."""

    @property
    def line(self) -> str:
        """In words, for a screen: the level, and what there is to tell."""
        counts = [(self.triggers, "triggers"), (self.forbidden, "forbidden"), (self.forced, "forced"), (self.rolled_back, "rolled back"),
                  (self.late, "late"), (self.empty, "without facts"), (self.unknown, "incomplete"), (self.failed, "analyser failed")]
        seconds = [f"{seconds * 1000:.0f} ms {what}" for seconds, what in ((self.waited_s, "waited"), (self.masked_s, "masks")) if seconds >= 0.0005]
        told = [f"{count:,} {what}" for count, what in counts if count] + seconds + ([self.note] if self.note else [])
        return f"level {self.level}: " + (", ".join(told) or "nothing to do")

    def plain(self) -> dict[str, Any]:
        """As it stands in a log: what is not 0, by name."""
        named = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: list(value) if isinstance(value, tuple) else round(value, 6) if isinstance(value, float) else value
                for name, value in named if value}

    @staticmethod
    def of(raw: Mapping[str, Any]) -> Report:
        """From what ``plain`` gave; fields that this version does not know are passed over.

        :raises TypeError: a field has the wrong type.
        """
        found: dict[str, Any] = {}
        for f in fields(Report):
            if f.name in raw:
                value = tuple(raw[f.name]) if f.name == "monitors" else raw[f.name]
                if not isinstance(value, float | int if isinstance(f.default, float) else type(f.default)):
                    raise TypeError(f"{f.name} is {value!r:.40}")
                found[f.name] = value
        return Report(**found)

    def __add__(self, other: Report) -> Report:
        names = self.monitors + tuple(name for name in other.monitors if name not in self.monitors)
        return Report(
            max(self.level, other.level), self.triggers + other.triggers, self.forbidden + other.forbidden, self.forced + other.forced,
            self.empty + other.empty, self.late + other.late, self.unknown + other.unknown, self.failed + other.failed,
            self.rolled_back + other.rolled_back, self.waited_s + other.waited_s, self.masked_s + other.masked_s, names, self.note or other.note,
        )
