"""Where a class is expected, only names that may stand for one: bases, ``raise``, ``except``, ``isinstance``; elsewhere ``new``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rookery.decoding.codetext import NamesOr, code_rule, ends_of, is_code
from rookery.decoding.constraint import Names
from rookery.decoding.monitor import Constraint, Cursor, Facts, FactSource, Query, Rule, Site, Steady
from rookery.decoding.pythoncall import call
from rookery.decoding.pythontext import KEYWORDS, Spot, spot

_CLASSES = frozenset({"class", "enum", "module", "instance", "statement", "param"})
"""Kinds of names that may be a class, or lead to one; of a variable nobody can say."""
_ELSE = "(\"'*[) \n\\"
"""How else such a place may go on: a tuple, a call's end, the next line."""
_BASES = re.compile(r"\s*class\s+\w+\s*\((?:[^()=]*,\s)?")
_CATCH = re.compile(r"\s*except\s+(?:\*\s*)?(?:\((?:[\w.]+\s*,\s+)*)?")
_RAISE = re.compile(r"\s*raise ")
_NEW = re.compile(r"(?<![\w$])new $")


@dataclass(frozen=True, slots=True)
class Instantiation(Steady):
    """Wakes where a class is expected."""

    language: str = "python"

    @property
    def triggers(self) -> str:
        return " (" if self.language == "python" else " "

    def wake(self, cursor: Cursor) -> Query | None:
        if self.language != "python":
            return Query("classes", cursor, "new") if _NEW.search(cursor.before[-5:]) and is_code(cursor.before) else None
        tail = cursor.before[-400:]
        if not any(word in tail for word in ("class ", "except", "raise ", "isinstance(", "issubclass(")):
            return None
        place = _place(spot(cursor.before))
        return Query("classes", cursor, place) if place else None

    def follow(self, query: Query, facts: Facts) -> Constraint | None:
        if self.language != "python":
            names = tuple(name for name in facts.names if facts.detail.get(name, "class") in _CLASSES)
            return Names(names, ends_of(self.language)) if names else None
        fits = _CLASSES | {"function"} if query.detail == "raise" else _CLASSES
        names = tuple(name for name in facts.names if facts.detail.get(name, "class") in fits and name not in KEYWORDS)
        return NamesOr(Names((*names, "metaclass") if query.detail == "class" else names), _ELSE) if names else None


def _place(where: Spot) -> str:
    """What expects a class at the cursor; empty where nothing does."""
    if where.place != "code":
        return ""
    for form, name in ((_BASES, "class"), (_CATCH, "except"), (_RAISE, "raise")):
        if form.fullmatch(where.line):
            return name
    found = call(where)
    if found is not None and found.callee in ("isinstance", "issubclass") and len(found.arguments) == 2 and found.arguments[1].text == " ":
        return found.callee
    return ""


def instantiation(project: str = ".", *, language: str = "python", file: str = "", before: str = "", after: str = "",
                  analyser: FactSource | str | None = None) -> Rule:
    """Where a class is expected, only names that may stand for one.

    In Python: in a class's bases, after ``raise`` and ``except``, as the second argument of ``isinstance``; in languages that have it,
    after ``new``. Which arguments a class then takes is for :func:`rookery.decoding.arity.arity`. Options as in ``members``.
    """
    return code_rule(Instantiation(language), "instantiation", project, analyser, Site(file, before, after), language)
