"""What monitors did to a reply: the figures that stand in the log, and that are added up."""

from __future__ import annotations

from dataclasses import dataclass


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

    def __add__(self, other: Report) -> Report:
        names = self.monitors + tuple(name for name in other.monitors if name not in self.monitors)
        return Report(
            max(self.level, other.level), self.triggers + other.triggers, self.forbidden + other.forbidden, self.forced + other.forced,
            self.empty + other.empty, self.late + other.late, self.unknown + other.unknown, self.failed + other.failed,
            self.rolled_back + other.rolled_back, self.waited_s + other.waited_s, self.masked_s + other.masked_s, names, self.note or other.note,
        )
