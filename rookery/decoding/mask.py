"""Masks: which tokens may come next, from where a constraint stands; exact for tokens that straddle a name's end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from rookery.decoding.constraint import Language, NamesState, grammar_text
from rookery.decoding.monitor import Acceptor, Constraint
from rookery.decoding.tokens import HEAD, WIDTH, Bools, Ids, Tokens, table_of
from rookery.models.sampler import Array

if TYPE_CHECKING:
    from llguidance import LLMatcher

FEW = 300
"""Up to so many names are looked up one by one; more at once."""


@dataclass(frozen=True, slots=True)
class Mask:
    """The tokens that may come next: as ids where they are few, else as one truth a token."""

    ids: Ids | None = None
    """Each may stand more than once."""
    allowed: Bools | None = None
    """Shape (V,)."""

    @property
    def is_empty(self) -> bool:
        return len(self.ids) == 0 if self.ids is not None else not cast("Bools", self.allowed).any()

    @property
    def only(self) -> int | None:
        """The one token that may come, when there is just one."""
        if self.ids is None or not len(self.ids):
            return None
        first = int(self.ids[0])
        return first if len(self.ids) == 1 or bool((self.ids == first).all()) else None

    def allows(self, token: int) -> bool:
        return bool((self.ids == token).any()) if self.ids is not None else bool(cast("Bools", self.allowed)[token])

    def apply(self, logits: Array) -> Array:
        """The logits (V,) with minus infinity where nothing may come; a new array."""
        out = np.full(len(logits), -np.inf, np.float32)
        if self.ids is not None:
            out[self.ids] = logits[self.ids]
        else:
            np.copyto(out, logits, where=cast("Bools", self.allowed))
        return out

    def dense(self, size: int) -> Bools:
        """One truth a token, shape (V,); not to be written to."""
        if self.ids is None:
            return cast("Bools", self.allowed)
        found = np.zeros(size, np.bool_)
        found[self.ids] = True
        return found

    def both(self, other: Mask, size: int) -> Mask:
        """What both allow."""
        for one, two in ((self, other), (other, self)):
            if one.ids is not None:
                return Mask(one.ids[two.dense(size)[one.ids]])
        return Mask(allowed=self.dense(size) & other.dense(size))

    def either(self, other: Mask, size: int) -> Mask:
        """What one of them allows."""
        if self.ids is not None and other.ids is not None:
            return Mask(np.concatenate([self.ids, other.ids]))
        return Mask(allowed=self.dense(size) | other.dense(size))


class Place(Protocol):
    """Where one constraint stands in a sequence of tokens, as a value."""

    def mask(self) -> Mask | None:
        """What may come next; None where it is cheaper to try a token with ``take``."""
        ...

    def take(self, token: int, data: bytes) -> Place | None:
        """The place after a token (``data`` are its bytes); None when it is not allowed."""
        ...

    @property
    def is_free(self) -> bool: ...

    @property
    def may_end(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Stepped:
    """A constraint that is followed byte by byte: names, and what monitors bring of their own."""

    acceptor: Acceptor
    tokens: Tokens | None
    """None where there is only text."""

    def mask(self) -> Mask | None:
        return names_mask(self.acceptor, self.tokens) if isinstance(self.acceptor, NamesState) and self.tokens is not None else None

    def take(self, token: int, data: bytes) -> Stepped | None:
        after = self.acceptor.take(data)
        return None if after is None else Stepped(after, self.tokens)

    @property
    def is_free(self) -> bool:
        return self.acceptor.is_free

    @property
    def may_end(self) -> bool:
        return self.acceptor.may_end


@dataclass(frozen=True, slots=True)
class Matched:
    """A language that llguidance follows token by token. The matcher is copied before it moves, so that a place stays what it is."""

    matcher: LLMatcher
    tokens: Tokens

    def mask(self) -> Mask:
        if self.matcher.is_stopped():
            allowed = np.zeros(self.tokens.size, np.bool_)
        else:
            bits = np.frombuffer(self.matcher.compute_bitmask(), np.uint8)
            allowed = np.unpackbits(bits, count=self.tokens.size, bitorder="little").view(np.bool_)
        if self.matcher.is_accepting():
            allowed[self.tokens.end] = True
        return Mask(allowed=allowed)

    def take(self, token: int, data: bytes) -> Matched | None:
        moved = self.matcher.deep_copy()
        return Matched(moved, self.tokens) if moved.try_consume_tokens([token]) == 1 else None

    @property
    def is_free(self) -> bool:
        return False

    @property
    def may_end(self) -> bool:
        return bool(self.matcher.is_accepting())


def place(constraint: Constraint, tokens: Tokens | None, data: bytes = b"") -> Place | None:
    """Where a constraint stands after these bytes (the rest of a token that a monitor woke in); None when it forbids them."""
    if isinstance(constraint, Language) and tokens is not None:
        spelled = tokens.greedy(data)
        if spelled is not None:
            matcher = _root(constraint.kind, constraint.source, tokens).deep_copy()
            return Matched(matcher, tokens) if matcher.try_consume_tokens(spelled) == len(spelled) else None
    after = constraint.start().take(data) if data else constraint.start()
    return None if after is None else Stepped(after, tokens)


@lru_cache(maxsize=16)
def _root(kind: str, source: str, tokens: Tokens) -> LLMatcher:
    from llguidance import LLMatcher

    return LLMatcher(tokens.ll, grammar_text(kind, source), log_level=0)


def names_mask(state: NamesState, tokens: Tokens) -> Mask:
    """The tokens that go on with a name, or complete one and go on with a character that ends it."""
    ids = _few(state, tokens) if state.high - state.low <= FEW else _many(state, tokens)
    if not state.may_end:
        return Mask(ids)
    if not state.names.stops:
        return Mask(np.concatenate([ids, tokens.end]))
    allowed = tokens.after(state.names.stops).copy()
    allowed[ids] = True
    allowed[tokens.end] = True
    return Mask(allowed=allowed)


def _few(state: NamesState, tokens: Tokens) -> Ids:
    get, heads, twins = tokens.first.get, tokens.heads.get, tokens.twins
    is_word = state.names.is_word
    found: list[int] = []
    crossing: list[Ids] = []
    for rest in _rests(state):
        begin, size, crosses = 1, len(rest), True
        if is_word and size >= HEAD:
            head = heads(rest[:HEAD])
            if head is not None:
                begin, crosses, size = HEAD + 1, size <= head[0], min(size, head[0])
                found += head[1]
            else:
                size, crosses = HEAD - 1, False
        for end in range(begin, size + 1):
            token = get(rest[:end])
            if token is not None:
                found.append(token)
        crossed = _crossing(state, tokens, rest) if crosses else None
        if crossed is not None:
            crossing.append(crossed)
    if twins:
        found += [twin for token in found for twin in twins.get(tokens.bytes[token], ())]
    ids = np.array(found, np.intp)
    return np.concatenate([ids, *crossing]) if crossing else ids


def _rests(state: NamesState) -> Sequence[bytes]:
    """What is left to write of the names that are still possible; one that is complete has nothing left."""
    names, depth = state.names.table[state.low : state.high], state.depth
    if depth == 0:
        return names
    return [name[depth:] for name in names[state.may_end :]]


def _crossing(state: NamesState, tokens: Tokens, rest: bytes) -> Ids | None:
    """Tokens that are the rest of a name and then something that ends it."""
    stops, cut = state.names.stops, len(rest)
    if not stops:
        return None
    if state.names.is_word:
        return tokens.stems.get(rest)
    kept = [at for at in tokens.with_prefix(rest) if len(tokens.sorted[at]) > cut and tokens.sorted[at][cut] in stops]
    return tokens.ids[kept] if kept else None


def _many(state: NamesState, tokens: Tokens) -> Ids:
    rests = _rests(state)
    if not rests:
        return np.array([], np.intp)
    lengths = np.fromiter(map(len, rests), np.int16, len(rests))
    text = table_of(rests, min(WIDTH, int(lengths.max())))
    fresh = np.zeros(len(rests), np.int16)  # bytes shared with the name before: those prefixes were looked up there
    fresh[1:] = (text[1:] != text[:-1]).argmax(1)
    parts: list[Ids] = [tokens.hashes.find(text, lengths, fresh).astype(np.intp), _long(state, tokens, rests)]
    if tokens.twins:
        parts.append(np.array([twin for token in np.unique(np.concatenate(parts)) for twin in tokens.twins.get(tokens.bytes[token], ())], np.intp))
    if state.names.is_word:
        stem = tokens.stems.get
        parts += [found for rest in rests if (found := stem(rest)) is not None]
    else:
        parts += [found for rest in rests if (found := _crossing(state, tokens, rest)) is not None]
    return np.concatenate(parts)


def _long(state: NamesState, tokens: Tokens, rests: Sequence[bytes]) -> Ids:
    """What the table of hashes has not: tokens longer than its rows, and the few that found no place in it."""
    get, heads = tokens.first.get, tokens.heads.get
    found: list[int] = []
    for rest in rests:
        if len(rest) > WIDTH:
            size = min(len(rest), heads(rest[:HEAD], (0, ()))[0]) if state.names.is_word else len(rest)
            found += [token for end in range(WIDTH + 1, size + 1) if (token := get(rest[:end])) is not None]
    found += [tokens.first[data] for data in tokens.hashes.rest if any(rest.startswith(data) for rest in rests)]
    return np.array(found, np.intp)
