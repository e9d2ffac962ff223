"""After a dot, only the methods that an object's protocol allows in the state that it is in: ``open`` before ``read``."""

from __future__ import annotations

from dataclasses import dataclass

from rookery.decoding.automaton import Automaton as Automaton
from rookery.decoding.automaton import states_at
from rookery.decoding.constraint import Names
from rookery.decoding.monitor import Constraint, Cursor, Facts, Query, Rule, Site, Steady
from rookery.decoding.pythoncall import receiver
from rookery.decoding.pythontext import spot


@dataclass(frozen=True, slots=True)
class Typestate(Steady):
    """Wakes after the dot of an object whose state is known from the code before it; needs no analyser."""

    automaton: Automaton

    @property
    def triggers(self) -> str:
        return "."

    def wake(self, cursor: Cursor) -> Query | None:
        if self.automaton.on not in cursor.before:
            return None
        where = spot(cursor.before)
        name = receiver(where)
        if not name or not name.replace(".", "").isidentifier() or where.place != "code":
            return None
        states = states_at(self.automaton, cursor.before, where, name)
        legal = self.automaton.legal(states) if states else ()
        return Query("", cursor, " ".join((*legal, *self.automaton.free))) if legal else None

    def follow(self, query: Query, facts: Facts) -> Constraint | None:
        names = tuple(query.detail.split())
        return Names(names) if names else None


def typestate(automaton: Automaton, *, file: str = "", before: str = "", after: str = "") -> Rule:
    """After the dot of an object that follows a protocol, only the methods that may be called in every state it may be in there.

    What may always be used is named in ``automaton.free``. An object whose state is not known, or that has got away, is not constrained.
    """
    return Rule(Typestate(automaton), language="python", site=Site(file, before, after), name="typestate")
