"""In a call, only arguments that what is called takes: how many, by which names, and none that it needs left out."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from rookery.decoding.codetext import code_rule
from rookery.decoding.constraint import FREE, Free
from rookery.decoding.monitor import Constraint, Cursor, Facts, FactSource, Parameter, Query, Rule, Site, Steady
from rookery.decoding.pythoncall import Argument, call
from rookery.decoding.pythontext import spot
from rookery.models.model import Grammar, GrammarKind

_SPACE = " \t\r\n"
_LETS_GO = "([{\"'#\\"
"""What begins something that has marks of its own in it; when that is over, the monitor wakes again."""
Signature = tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments that a call has, the one at the cursor left out."""

    positional: int = 0
    names: frozenset[str] = frozenset()
    has_star: bool = False
    """``*items``: nobody knows how many."""
    has_stars: bool = False
    """``**options``: nobody knows which."""

    def plus(self, argument: Argument) -> Given:
        if argument.stars:
            return replace(self, has_star=True) if argument.stars == 1 else replace(self, has_stars=True)
        if argument.name:
            return replace(self, names=self.names | {argument.name})
        return replace(self, positional=self.positional + 1)


def missing(signature: Signature, given: Given) -> tuple[str, ...]:
    """The parameters that the signature needs and that are not given, as far as one can know."""
    place, found = 0, []
    for parameter in signature:
        by_place = parameter.kind in ("positional", "either")
        is_given = (by_place and (place < given.positional or given.has_star)) or (
            parameter.kind != "positional" and parameter.name in given.names)
        is_given = is_given or (given.has_stars and parameter.kind != "positional")
        if parameter.required and parameter.kind not in ("rest", "keywords") and not is_given:
            found.append(parameter.name)
        place += by_place
    return tuple(found)


def takes_positional(signature: Signature, given: Given) -> bool:
    """Whether one more argument may be given by its place."""
    if given.names or given.has_stars:
        return False
    places = [parameter for parameter in signature if parameter.kind in ("positional", "either")]
    return given.positional < len(places) or any(parameter.kind == "rest" for parameter in signature)


def takes_name(signature: Signature, given: Given, name: str) -> bool:
    """Whether an argument may be given by this name."""
    if name in given.names:
        return False
    place = 0
    for parameter in signature:
        if parameter.kind in ("either", "keyword") and parameter.name == name:
            return parameter.kind == "keyword" or place >= given.positional
        place += parameter.kind in ("positional", "either")
    return any(parameter.kind == "keywords" for parameter in signature)


def names_left(signature: Signature, given: Given) -> tuple[str, ...]:
    """The names by which arguments may still be given, but for those that ``**options`` would take."""
    return tuple(parameter.name for parameter in signature
                 if parameter.kind in ("either", "keyword") and takes_name(signature, given, parameter.name))


def fits(signature: Signature, given: Given) -> bool:
    """Whether the arguments so far can be those of this signature."""
    places = sum(parameter.kind in ("positional", "either") for parameter in signature)
    has_rest = any(parameter.kind == "rest" for parameter in signature)
    rest = replace(given, names=frozenset())
    return (given.positional <= places or has_rest) and all(takes_name(signature, rest, name) for name in given.names)


# ------------------------------------------------------------------ the constraint


@dataclass(frozen=True, slots=True)
class Arguments:
    """What may follow among a call's arguments, after those that are given; a Constraint."""

    signatures: tuple[Signature, ...]
    given: Given
    begun: Argument | None = None
    """The argument that the cursor stands in, when it has begun."""

    def start(self) -> _Writing | Free:
        if self.begun is None:
            return _Writing(self, "start")
        return _Writing(self, "body", self.given.plus(self.begun))

    def grammar(self, kinds: tuple[GrammarKind, ...]) -> Grammar | None:
        return None  # brackets in brackets

    def explain(self) -> str:
        told = []
        for signature in self.signatures[:3]:
            needed = ", ".join(missing(signature, self.given))
            left = ", ".join(names_left(signature, self.given)) or "none"
            told.append(f"arguments that it takes (left: {left}" + (f"; needed: {needed})" if needed else ")"))
        return "; or ".join(dict.fromkeys(told))

    # what is allowed when any of the signatures allows it

    def may_close(self, given: Given) -> bool:
        return any(fits(signature, given) and not missing(signature, given) for signature in self.signatures)

    def takes_positional(self) -> bool:
        return any(takes_positional(signature, self.given) for signature in self.signatures)

    def takes_stars(self, count: int) -> bool:
        if count == 1:
            return self.takes_positional() or self.given.has_star or bool(self.given.names)
        return any(names_left(signature, self.given) or any(one.kind == "keywords" for one in signature) for signature in self.signatures)

    def takes_name(self, name: str) -> bool:
        return any(takes_name(signature, self.given, name) for signature in self.signatures)

    def takes_begin(self, begin: str) -> bool:
        """Whether a name by which an argument may be given begins so."""
        return any(any(one.kind == "keywords" for one in signature) or any(name.startswith(begin) for name in names_left(signature, self.given))
                   for signature in self.signatures)


@dataclass(frozen=True, slots=True)
class _Writing:
    """Where an argument that is being written stands; an Acceptor."""

    whole: Arguments
    phase: Literal["start", "word", "spaced", "equals", "body"]
    given: Given | None = None
    """In the body: with the argument itself."""
    word: bytes = b""
    is_free: bool = False
    may_end: bool = True

    def take(self, data: bytes) -> _Writing | Free | None:
        state: _Writing | Free | None = self
        for byte in data:
            if not isinstance(state, _Writing):
                return state
            state = state._step(byte)
        return state

    def _step(self, byte: int) -> _Writing | Free | None:
        sign = chr(byte) if byte < 128 else "é"  # all beyond ASCII may stand in a name
        if self.phase == "body":
            return self._in_body(sign)
        if self.phase == "start":
            return self._at_start(sign, byte)
        if self.phase == "equals":
            if sign == "=":  # a comparison
                return self._as_positional()
            named = self.whole.given.plus(Argument("", name=self._said()))
            return _Writing(self.whole, "body", named)._in_body(sign) if self.whole.takes_name(self._said()) else None
        if self.phase == "word" and (sign.isalnum() or sign == "_"):
            word = self.word + bytes([byte])
            return replace(self, word=word) if self.whole.takes_positional() or self._may_be_named(word) else None
        if sign in _SPACE and self.whole.takes_begin(self._said()):
            return replace(self, phase="spaced")
        if sign == "=":
            return replace(self, phase="equals")
        body = self._as_positional()
        return None if body is None else body._in_body(sign)

    def _at_start(self, sign: str, byte: int) -> _Writing | Free | None:
        if sign in _SPACE:
            return self
        if sign == ")":
            return FREE if self.whole.may_close(self.whole.given) else None
        if sign in "#\\":
            return FREE
        if sign == "*":  # of which kind shows only later
            return FREE if self.whole.takes_stars(1) or self.whole.takes_stars(2) else None
        if sign.isalpha() or sign == "_":
            return _Writing(self.whole, "word")._step(byte)
        body = self._as_positional()
        return None if body is None or sign in ",]}" else body._in_body(sign)

    def _in_body(self, sign: str) -> _Writing | Free | None:
        assert self.given is not None
        if sign == ")":
            return FREE if self.whole.may_close(self.given) else None
        return FREE if sign in _LETS_GO or sign in ",]}" else self

    def _as_positional(self) -> _Writing | None:
        if not self.whole.takes_positional():
            return None
        return _Writing(self.whole, "body", self.whole.given.plus(Argument("x")))

    def _said(self) -> str:
        return self.word.decode("utf-8", "ignore")

    def _may_be_named(self, word: bytes) -> bool:
        return self.whole.takes_begin(word.decode("utf-8", "ignore"))


# ------------------------------------------------------------------ the monitor


@dataclass(frozen=True, slots=True)
class Arity(Steady):
    """Wakes among a call's arguments: after its bracket, a comma, and whatever closes something within an argument."""

    @property
    def triggers(self) -> str:
        return "(,)]}\"'"

    def wake(self, cursor: Cursor) -> Query | None:
        where = spot(cursor.before)
        found = call(where)
        if found is None or where.quote or any(_is_generator(argument) for argument in found.arguments):
            return None
        return Query("signatures", cursor, found.callee)

    def follow(self, query: Query, facts: Facts) -> Constraint | None:
        found = call(spot(query.cursor.before))
        if found is None or not facts.signatures:
            return None
        given = Given()
        for argument in found.arguments[:-1]:
            given = given.plus(argument)
        current = found.arguments[-1]
        fitting = tuple(signature for signature in facts.signatures if fits(signature, given))
        if not fitting:  # what stands there already takes another signature than we know
            return None
        return Arguments(fitting, given, None if current.is_empty else current)


def _is_generator(argument: Argument) -> bool:
    return re.search(r"\b(?:for|lambda)\b", argument.text) is not None


def arity(project: str = ".", *, file: str = "", before: str = "", after: str = "", analyser: FactSource | str | None = None) -> Rule:
    """In calls, only as many arguments as what is called takes, by names that it has, and none that it needs left out.

    Of several ways to call it any will do; after ``*items`` or ``**options`` what they may hold is taken as given.
    Where the signatures are not known, or what is written already fits none, nothing is constrained.

    Options as in :func:`rookery.decoding.members.members`.
    """
    return code_rule(Arity(), "arity", project, analyser, Site(file, before, after))
