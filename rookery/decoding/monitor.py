"""What a monitor is: a rule about what text may follow; pure over facts that an analyser supplies. Read this file first.

A **Monitor** sleeps until it wakes at a cursor, then says with facts what may follow: a **Constraint**. A constraint is one language with
four uses: a mask over tokens, a grammar for a server, a check of text, an explanation. Monitors are joined to a **Rule** with ``&`` and
``|``, and a Rule is what ``decode=`` takes. Where facts come late, empty or incomplete there is no constraint, and that is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, runtime_checkable

from rookery.core.report import Report as Report
from rookery.models.model import Grammar, GrammarKind

BUDGET_S = 0.15
"""So long a trigger's facts are waited for, unless the rule says otherwise."""
PENALTY_NATS = 4.0
"""What a soft rule takes off a forbidden token's logit, unless it says otherwise."""
Language = str
"""Of the code that a monitor looks at (``python``); empty: it looks at the reply's text as it stands."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a text that is being written."""

    before: str
    """All that stands before it: what the site says, and the reply so far (for a monitor of code: the code in it)."""
    after: str = ""
    """What will stand after the reply."""
    path: str = ""
    """The file that this is the text of, as the site names it; empty when nothing was said."""
    written: int = 0
    """How many characters of ``before`` were written by the model; 0 at the start of the reply (or of a piece of code in it)."""


@dataclass(frozen=True, slots=True)
class Query:
    """A question to an analyser about a cursor."""

    kind: str
    """What is asked: ``members``, ``imports``, ``signatures``, ``classes``, …; empty when the monitor needs no facts."""
    cursor: Cursor
    detail: str = ""
    """What else the question is about: a module's name, an object's."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a callable."""

    name: str
    kind: Literal["positional", "either", "keyword", "rest", "keywords"] = "either"
    """``rest`` is ``*args``, ``keywords`` is ``**options``."""
    required: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """What an analyser knows. Empty means that it knows nothing, and then nothing is constrained."""

    names: tuple[str, ...] = ()
    is_complete: bool = True
    """False where there may be others; then nothing is constrained either."""
    signatures: tuple[tuple[Parameter, ...], ...] = ()
    """For a callable: one a way to call it."""
    detail: Mapping[str, str] = field(default_factory=dict)
    """More about a name: its type, its kind."""

    @property
    def is_usable(self) -> bool:
        """Whether a hard constraint may be built on them."""
        return self.is_complete and bool(self.names or self.signatures)


NO_FACTS = Facts()


class Analyser(Protocol):
    """Where facts come from. It may do I/O and be slow, and works outside of the event loop's process or thread."""

    async def ask(self, query: Query) -> Facts:
        """The facts that a query asks for; NO_FACTS when there are none. Several may be asked at a time.

        Whoever waits may give up (cancellation); the answer is then to be kept for the next time, where that is cheap.

        :raises AnalyserFailed: it has died, or answered nonsense; counted, and nothing is constrained.
        """
        ...

    async def warm(self, cursor: Cursor) -> None:
        """Start, and look at what the cursor's file needs, before the first token is written; what takes seconds once belongs here.

        :raises AnalyserFailed: it can't be started.
        """
        ...

    async def aclose(self) -> None:
        """End what works for it. Twice is fine."""
        ...


class Acceptor(Protocol):
    """Where one constraint stands in a text, as a value: taking text gives the next state and changes nothing."""

    def take(self, data: bytes) -> Acceptor | None:
        """The state after these bytes of UTF-8; None when they are not allowed. Once free, everything is taken."""
        ...

    @property
    def is_free(self) -> bool:
        """Whether it has let go: all that may follow is as without it."""
        ...

    @property
    def may_end(self) -> bool:
        """Whether the reply may end here."""
        ...


@runtime_checkable
class Constraint(Protocol):
    """What may follow, as data: :mod:`rookery.decoding.constraint` has the kinds; monitors may bring their own."""

    def start(self) -> Acceptor:
        """Where it stands before any text."""
        ...

    def grammar(self, kinds: tuple[GrammarKind, ...]) -> Grammar | None:
        """The same language for a server that takes these kinds; None when none of them can say it."""
        ...

    def explain(self) -> str:
        """What may follow, in words for a model that is asked again: ``one of: name, size, …``."""
        ...


@runtime_checkable
class Monitor(Protocol):
    """One rule about what may follow. A value: no I/O, no clock, no randomness; taking text gives the next monitor.

    ``triggers`` are the characters after which it may wake; elsewhere it is not asked. Empty: only at the start of the text.
    """

    @property
    def triggers(self) -> str: ...

    def wake(self, cursor: Cursor) -> Query | None:
        """Whether it wakes here, and what it then needs to know; a query without ``kind`` needs nothing."""
        ...

    def follow(self, query: Query, facts: Facts) -> Constraint | None:
        """What may follow where it woke; None: anything."""
        ...

    def take(self, text: str) -> Monitor:
        """The monitor after this text, for those that remember; most give themselves."""
        ...

    @property
    def done(self) -> bool:
        """Whether, as far as it remembers, the reply may end here; most always say yes."""
        ...


class Steady:
    """Base for monitors that remember nothing: all is in the text before the cursor."""

    __slots__ = ()

    def take(self, text: str) -> Monitor:
        return self  # type: ignore[return-value]

    @property
    def done(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Mode:
    """How much a rule weighs: ``hard`` forbids, ``soft`` takes ``nats`` off a logit, ``off`` only watches and counts."""

    kind: Literal["hard", "soft", "off"] = "hard"
    nats: float = PENALTY_NATS


@dataclass(frozen=True, slots=True)
class Site:
    """Where the reply will stand; its texts may have holes for the call's arguments (``{file}``)."""

    path: str = ""
    """The file, relative to the project."""
    before: str = ""
    after: str = ""


FactSource = Callable[[], Analyser]
"""Makes an analyser. A frozen dataclass with ``__call__``: sources that are equal share one analyser."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Monitors joined, and how they are applied; what ``decode=`` takes. A leaf has a monitor; a join has parts."""

    monitor: Monitor | None = None
    facts: FactSource | None = None
    language: Language = ""
    site: Site = Site()
    mode: Mode = Mode()
    budget_s: float = BUDGET_S
    name: str = ""
    """As events, YAML and the screen name it."""
    parts: tuple[Rule, ...] = ()
    join: Literal["all", "any"] = "all"
    """Of the parts: all must let a text pass, or any."""
    level: Literal[1, 2, 3, 4] | None = None
    """The level that is demanded; None: the cheapest that the model can do. Read on the outermost rule."""
    is_optimistic: bool = False
    """Sample freely and roll back what turns out illegal, instead of masking. Read on the outermost rule."""

    def __and__(self, other: Rule) -> Rule:
        return _joined("all", self, other)

    def __or__(self, other: Rule) -> Rule:
        return _joined("any", self, other)

    def soft(self, nats: float = PENALTY_NATS) -> Rule:
        """What is forbidden is made less likely by so many nats, and not impossible."""
        return self._with(mode=Mode("soft", nats))

    def off(self) -> Rule:
        """Nothing is forbidden; what would have been is counted."""
        return self._with(mode=Mode("off"))

    def within(self, budget_s: float) -> Rule:
        """Facts are waited for so many seconds at each trigger."""
        return self._with(budget_s=budget_s)

    def at_level(self, level: Literal[1, 2, 3, 4]) -> Rule:
        """Only this level will do: 1 mask, 2 grammar on the server, 3 stop and force, 4 validate and repair."""
        return replace(self, level=level)

    def optimistic(self) -> Rule:
        """Sample freely, check finished names while decoding goes on, and roll back to the trigger what is illegal (level 1)."""
        return replace(self, is_optimistic=True)

    @property
    def leaves(self) -> tuple[Rule, ...]:
        """The rules with monitors, in order."""
        return (self,) if self.monitor is not None else tuple(leaf for part in self.parts for leaf in part.leaves)

    def _with(self, *, mode: Mode | None = None, budget_s: float | None = None) -> Rule:
        if self.parts:
            return replace(self, parts=tuple(part._with(mode=mode, budget_s=budget_s) for part in self.parts))
        return replace(self, mode=mode or self.mode, budget_s=self.budget_s if budget_s is None else budget_s)


def _joined(join: Literal["all", "any"], one: Rule, other: Rule) -> Rule:
    parts = tuple(inner for rule in (one, other) for inner in (rule.parts if rule.parts and rule.join == join else (rule,)))
    return Rule(parts=parts, join=join, level=one.level or other.level, is_optimistic=one.is_optimistic or other.is_optimistic)
