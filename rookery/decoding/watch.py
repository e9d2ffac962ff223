"""How a rule follows one text: which monitors wake, which constraints hold, what they allow; over tokens or over text, the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from rookery.decoding.code import code_in
from rookery.decoding.mask import Mask, Place, place
from rookery.decoding.monitor import NO_FACTS, Constraint, Cursor, Facts, Monitor, Query, Rule, Steady
from rookery.decoding.tokens import Tokens

Answers = Mapping["Wake", Facts | None]
"""What was found out for those who woke; None: nothing, so nothing is constrained."""
NO_ANSWERS: Answers = {}


@dataclass(frozen=True, slots=True)
class Wake:
    """A monitor woke: which leaf of the rule, so many bytes into the data that is being taken, and what it needs to know."""

    leaf: int
    offset: int
    query: Query


@dataclass(frozen=True, slots=True)
class Span:
    """A constraint that holds, and where it stands."""

    constraint: Constraint
    place: Place


@dataclass(frozen=True, slots=True)
class _Leaf:
    monitor: Monitor
    spans: tuple[Span, ...] = ()
    is_dead: bool = False
    """It has forbidden what was written; only where another one may stand in for it (``|``)."""


@dataclass(frozen=True, slots=True)
class State:
    """Where a rule stands in a text; a value, so that going back is setting it."""

    leaves: tuple[_Leaf, ...]
    pieces: int
    has_spans: bool = False


class Watch:
    """One text under a rule. Its data comes in pieces (tokens, or text as UTF-8); ``state`` can be set back to an earlier one."""

    def __init__(self, rule: Rule, tokens: Tokens | None = None) -> None:
        self.rule = rule
        self.leaves = rule.leaves
        self.tokens = tokens
        self._pieces: list[bytes] = []
        self._state = State(tuple(_Leaf(leaf.monitor) for leaf in self.leaves if leaf.monitor is not None), 0)
        self._is_steady = all(isinstance(leaf.monitor, Steady) for leaf in self.leaves)
        self.triggers = frozenset("".join(leaf.monitor.triggers for leaf in self.leaves if leaf.monitor is not None).encode("ascii", "ignore"))
        self.blamed: int | None = None
        """The leaf that forbade the last piece which was refused."""
        self.softly_forbidden = 0
        """What soft rules and those that are off would have forbidden."""

    @property
    def state(self) -> State:
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        del self._pieces[state.pieces :]
        self._state = state

    @property
    def text(self) -> str:
        """All that was taken; half a character at the end is left out."""
        return b"".join(self._pieces).decode("utf-8", "ignore")

    @property
    def is_constrained(self) -> bool:
        """Whether a constraint holds here."""
        return self._state.has_spans

    def spans(self) -> Iterator[tuple[Rule, Span]]:
        """The constraints that hold, with their rules."""
        for rule, leaf in zip(self.leaves, self._state.leaves, strict=True):
            if not leaf.is_dead:
                for span in leaf.spans:
                    yield rule, span

    # -------------------------------------------------------------- waking

    def opening(self) -> tuple[Wake, ...]:
        """Who wakes before the first piece."""
        return tuple(self._woken(b"", 0, self._state.leaves, everyone=True))

    def peek(self, data: bytes) -> tuple[Wake, ...]:
        """Who would wake within or right after this piece, in order; nothing is changed."""
        if self.triggers.isdisjoint(data):
            return ()
        found: list[Wake] = []
        leaves, done = self._state.leaves, 0
        for offset in range(1, len(data) + 1):
            if data[offset - 1] in self.triggers:
                leaves = self._moved(leaves, data[done:offset])
                found += self._woken(data[:offset], offset, leaves)
                done = offset
        return tuple(found)

    def _woken(self, data: bytes, offset: int, leaves: tuple[_Leaf, ...], *, everyone: bool = False) -> Iterator[Wake]:
        reply: str | None = None
        sign = data[-1:].decode("ascii", "ignore")
        for number, (rule, leaf) in enumerate(zip(self.leaves, leaves, strict=True)):
            if leaf.is_dead or not (everyone or (sign and sign in leaf.monitor.triggers)):
                continue
            if reply is None:
                reply = (b"".join(self._pieces) + data).decode("utf-8", "ignore")
            text = code_in(reply, rule.language) if rule.language else reply
            if text is None:
                continue
            query = leaf.monitor.wake(Cursor(rule.site.before + text, rule.site.after, rule.site.path, len(text)))
            if query is not None:
                yield Wake(number, offset, query)

    def _moved(self, leaves: tuple[_Leaf, ...], data: bytes) -> tuple[_Leaf, ...]:
        """The monitors that remember, after more text."""
        if self._is_steady:
            return leaves
        text = data.decode("utf-8", "ignore")
        return tuple(leaf if isinstance(leaf.monitor, Steady) else replace(leaf, monitor=leaf.monitor.take(text)) for leaf in leaves)

    # -------------------------------------------------------------- taking

    def begin(self, wake: Wake, facts: Facts | None, *, since: bytes = b"") -> bool:
        """Let the constraint hold for which a monitor woke, which may have been some bytes ago; False when it forbids what came since."""
        try:
            span = self._span(wake, facts, since)
        except _Forbidden:
            return False
        if span is not None:
            leaves = list(self._state.leaves)
            leaves[wake.leaf] = replace(leaves[wake.leaf], spans=(*leaves[wake.leaf].spans, span))
            self._state = replace(self._state, leaves=tuple(leaves), has_spans=True)
        return True

    def _span(self, wake: Wake, facts: Facts | None, rest: bytes) -> Span | None:
        """The constraint for a wake, after the rest of the piece; None when there is none or it has let go again.

        :raises _Forbidden: the rest is not allowed.
        """
        if wake.query.kind and facts is None:
            return None
        constraint = self._state.leaves[wake.leaf].monitor.follow(wake.query, facts or NO_FACTS)
        if constraint is None:
            return None
        at = place(constraint, self.tokens, rest)
        if at is None:
            raise _Forbidden
        return None if at.is_free else Span(constraint, at)

    def take(self, data: bytes, token: int = -1, *, wakes: tuple[Wake, ...] = (), answers: Answers = NO_ANSWERS) -> bool:
        """Take a piece; False when it is not allowed, and then nothing has changed.

        :param wakes: what :meth:`peek` gave; those at the end of the piece that have no answer yet are left to :meth:`begin`.
        """
        if not self._state.has_spans and not wakes and self._is_steady:  # the common case: nobody is awake
            self._pieces.append(data)
            self._state = State(self._state.leaves, len(self._pieces))
            return True
        leaves = list(self._moved(self._state.leaves, data))
        for number, leaf in enumerate(leaves):
            if not leaf.is_dead and (leaf.spans or wakes):
                leaves[number] = self._after(number, leaf, data, token, wakes, answers)
        after = tuple(leaves)
        if not _stands(self.rule, after, 0):
            return False
        self._pieces.append(data)
        self._state = State(after, len(self._pieces), any(leaf.spans for leaf in after if not leaf.is_dead))
        return True

    def _after(self, number: int, leaf: _Leaf, data: bytes, token: int, wakes: tuple[Wake, ...], answers: Answers) -> _Leaf:
        spans: list[Span] = []
        refused = False
        for span in leaf.spans:
            at = span.place.take(token, data)
            if at is None:
                refused = True
            elif not at.is_free:
                spans.append(Span(span.constraint, at))
        for wake in wakes:
            if wake.leaf != number or (wake not in answers and wake.query.kind):
                continue
            try:
                begun = self._span(wake, answers.get(wake), data[wake.offset :])
            except _Forbidden:
                refused = True
            else:
                spans += [begun] if begun else []
        if refused and self.leaves[number].mode.kind == "hard":
            self.blamed = number
            return replace(leaf, is_dead=True)
        self.softly_forbidden += refused
        return replace(leaf, spans=tuple(spans))

    def excuse(self) -> str:
        """Let the rule that refused the last piece hold no longer, so that a check can go on; says what it wanted."""
        at = self.blamed or 0
        leaves = list(self._state.leaves)
        wanted = "; ".join(dict.fromkeys(span.constraint.explain() for span in leaves[at].spans))
        leaves[at] = replace(leaves[at], spans=(), is_dead=False)
        self._state = replace(self._state, leaves=tuple(leaves), has_spans=any(leaf.spans for leaf in leaves))
        return wanted or f"{self.leaves[at].name} forbids it"

    # -------------------------------------------------------------- what may follow

    def mask(self) -> Mask | None:
        """The tokens that hard rules allow next; None: all, or those that ``take`` takes."""
        if not self._state.has_spans:
            return None
        return self._mask(self.rule, 0)

    def _mask(self, rule: Rule, at: int) -> Mask | None:
        """That of a rule whose leaves begin at ``at``."""
        assert self.tokens is not None
        leaves = self._state.leaves
        if rule.monitor is not None:
            return self._leaf_mask(leaves[at]) if rule.mode.kind == "hard" else None
        masks = [self._mask(part, first) for part, first in _placed(rule, at) if _stands(part, leaves, first)]
        known = [mask for mask in masks if mask is not None]
        if not known or (rule.join == "any" and len(known) < len(masks)):
            return None
        joined = known[0]
        for mask in known[1:]:
            joined = joined.either(mask, self.tokens.size) if rule.join == "any" else joined.both(mask, self.tokens.size)
        return joined

    def _leaf_mask(self, leaf: _Leaf) -> Mask | None:
        assert self.tokens is not None
        joined: Mask | None = None
        for span in leaf.spans:
            mask = span.place.mask()
            if mask is not None:
                joined = mask if joined is None else joined.both(mask, self.tokens.size)
        return joined

    def soft_masks(self) -> list[tuple[Rule, Mask]]:
        """What soft rules would allow, and those that are off."""
        found = []
        for rule, leaf in zip(self.leaves, self._state.leaves, strict=True):
            if leaf.spans and not leaf.is_dead and rule.mode.kind != "hard":
                mask = self._leaf_mask(leaf)
                if mask is not None:
                    found.append((rule, mask))
        return found

    @property
    def may_end(self) -> bool:
        """Whether hard rules let the text end here."""
        return self._may_end(self.rule, 0)

    def _may_end(self, rule: Rule, at: int) -> bool:
        if rule.monitor is not None:
            leaf = self._state.leaves[at]
            if leaf.is_dead:
                return False
            return rule.mode.kind != "hard" or (leaf.monitor.done and all(span.place.may_end for span in leaf.spans))
        parts = [self._may_end(part, first) for part, first in _placed(rule, at)]
        return any(parts) if rule.join == "any" else all(parts)


def _placed(rule: Rule, at: int) -> Iterator[tuple[Rule, int]]:
    """The parts of a join, each with the number of its first leaf."""
    for part in rule.parts:
        yield part, at
        at += len(part.leaves)


def _stands(rule: Rule, leaves: tuple[_Leaf, ...], at: int) -> bool:
    """Whether a rule whose leaves begin at ``at`` has let everything pass so far."""
    if rule.monitor is not None:
        return not leaves[at].is_dead
    parts = [_stands(part, leaves, first) for part, first in _placed(rule, at)]
    return any(parts) if rule.join == "any" else all(parts)


class _Forbidden(Exception):
    """The rest of a piece is not allowed by the constraint that begins within it."""
