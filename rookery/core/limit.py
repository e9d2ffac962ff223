"""Limits: when to stop. Money, tokens, calls and seconds in one object; the ledger reserves before and settles after."""

from __future__ import annotations

from dataclasses import dataclass, fields

from rookery.core.spend import NOTHING_SPENT, Spend


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Caps; None: no cap. ``a & b`` takes the tighter of each."""

    usd: float | None = None
    """Money, by the models' known prices. A model without a known price can't be used under this cap."""
    tokens: int | None = None
    """Prompt and completion tokens together."""
    calls: int | None = None
    """Requests sent to models, attempts and repairs included."""
    seconds: float | None = None
    """Wall time in which the run is being executed, over all its resumptions."""
    sandbox_seconds: float | None = None
    """CPU seconds in sandboxes."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value >= 0:
                raise ValueError(f"Limit({field.name}={value!r}): a cap is a number from 0 up")

    def __and__(self, other: Limit) -> Limit:
        def tighter(name: str) -> float | None:
            caps = [cap for cap in (getattr(self, name), getattr(other, name)) if cap is not None]
            return min(caps) if caps else None

        return Limit(**{field.name: tighter(field.name) for field in fields(Limit)})  # type: ignore[arg-type]

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) is not None for field in fields(self))


@dataclass(frozen=True, slots=True)
class Worst:
    """The most that a request can use."""

    tokens: int = 0
    usd: float = 0.0
    calls: int = 1
    sandbox_s: float = 0.0


class Ledger:
    """What is spent and what is reserved under a limit; a nested ledger draws on its parent's too.

    Nothing here waits: ``reserve`` says at once whether there is room now, later, or never.
    """

    __slots__ = ("limit", "parent", "reserved_calls", "reserved_sandbox_s", "reserved_tokens", "reserved_usd", "spent", "spent_s")

    def __init__(self, limit: Limit, *, parent: Ledger | None = None, spent: Spend = NOTHING_SPENT, spent_s: float = 0.0) -> None:
        self.limit = limit
        self.parent = parent
        self.spent = spent
        self.spent_s = spent_s
        self.reserved_tokens = 0
        self.reserved_usd = 0.0
        self.reserved_calls = 0
        self.reserved_sandbox_s = 0.0

    def lacking(self, worst: Worst, *, ignoring_reserved: bool = False) -> str | None:
        """What there is not enough of for ``worst``: ``tokens``, ``usd``, ``calls``, ``sandbox_seconds``; None when there is."""
        limit, spent = self.limit, self.spent
        reserved = (0, 0.0, 0) if ignoring_reserved else (self.reserved_tokens, self.reserved_usd, self.reserved_calls)
        if limit.calls is not None and spent.calls + reserved[2] + worst.calls > limit.calls:
            return "calls"
        if limit.tokens is not None and spent.tokens + reserved[0] + worst.tokens > limit.tokens:
            return "tokens"
        if limit.usd is not None and (spent.cost_usd or 0.0) + reserved[1] + worst.usd > limit.usd + 1e-12:
            return "usd"
        held_s = 0.0 if ignoring_reserved else self.reserved_sandbox_s
        if limit.sandbox_seconds is not None and worst.sandbox_s and spent.sandbox_s + held_s + worst.sandbox_s > limit.sandbox_seconds + 1e-9:
            return "sandbox_seconds"
        return self.parent.lacking(worst, ignoring_reserved=ignoring_reserved) if self.parent else None

    def caps(self, name: str) -> list[float]:
        """The caps on ``tokens``, ``usd``, … in force here, its own first."""
        own = getattr(self.limit, name)
        return ([own] if own is not None else []) + (self.parent.caps(name) if self.parent else [])

    def reserve(self, worst: Worst) -> str | None:
        """Set ``worst`` aside and give None; or give what there is not enough of, and set nothing aside."""
        lacking = self.lacking(worst)
        if lacking is None:
            ledger: Ledger | None = self
            while ledger is not None:
                ledger.reserved_tokens += worst.tokens
                ledger.reserved_usd += worst.usd
                ledger.reserved_calls += worst.calls
                ledger.reserved_sandbox_s += worst.sandbox_s
                ledger = ledger.parent
        return lacking

    def settle(self, worst: Worst, spend: Spend) -> None:
        """Give a reservation back and book what was really spent."""
        ledger: Ledger | None = self
        while ledger is not None:
            ledger.reserved_tokens -= worst.tokens
            ledger.reserved_usd -= worst.usd
            ledger.reserved_calls -= worst.calls
            ledger.reserved_sandbox_s = max(0.0, ledger.reserved_sandbox_s - worst.sandbox_s)
            if not ledger.reserved_calls:  # nothing is set aside: no rounding error is left either
                ledger.reserved_usd = 0.0
            ledger.spent = ledger.spent + spend
            ledger = ledger.parent

    def room_sandbox_s(self) -> float | None:
        """Processor seconds in sandboxes that are not spent; None without a cap."""
        rooms = []
        ledger: Ledger | None = self
        while ledger is not None:
            if ledger.limit.sandbox_seconds is not None:
                rooms.append(ledger.limit.sandbox_seconds - ledger.spent.sandbox_s)
            ledger = ledger.parent
        return max(0.0, min(rooms)) if rooms else None

    def room_tokens(self) -> int | None:
        """Tokens that are neither spent nor reserved; None without a cap."""
        rooms = []
        ledger: Ledger | None = self
        while ledger is not None:
            if ledger.limit.tokens is not None:
                rooms.append(ledger.limit.tokens - ledger.spent.tokens - ledger.reserved_tokens)
            ledger = ledger.parent
        return max(0, min(rooms)) if rooms else None
