"""In the cases of a match over an enum, only its members."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rookery.decoding.codetext import NamesOr, code_rule, ends_of, is_code
from rookery.decoding.constraint import Names
from rookery.decoding.monitor import Constraint, Cursor, Facts, FactSource, Query, Rule, Site, Steady
from rookery.decoding.pythontext import match_of, spot

_CASE = re.compile(r"\s*case (?:[\w.]+\s*\|\s)*(?P<owner>(?:\w+\.)*)")
_OTHER_CASE = re.compile(r"(?:^|[\s;{}])case $")
_ELSE = "_([{\"'-0123456789N"
"""How else a case may begin: the wildcard, a pattern with brackets, a literal. A bare name would match anything."""


@dataclass(frozen=True, slots=True)
class EnumMembers(Steady):
    """Wakes after ``case``, and after the dot of a member's enum there."""

    language: str = "python"

    @property
    def triggers(self) -> str:
        return " ." if self.language == "python" else " "

    def wake(self, cursor: Cursor) -> Query | None:
        if self.language != "python":
            return Query("enum", cursor) if _OTHER_CASE.search(cursor.before[-6:]) and is_code(cursor.before) else None
        if not cursor.before[cursor.before.rfind("\n") + 1 :].lstrip().startswith("case "):
            return None
        where = spot(cursor.before)
        begun = match_of(cursor.before, where)
        if where.place != "code" or begun is None or not _CASE.fullmatch(where.line):
            return None
        return Query("enum", cursor, begun[1])

    def follow(self, query: Query, facts: Facts) -> Constraint | None:
        if self.language != "python":
            return Names(facts.names, ends_of(self.language)) if facts.names else None
        enum, text = facts.detail.get("", ""), query.cursor.before
        found = _CASE.fullmatch(spot(text).line)
        if not enum or not facts.names or found is None:
            return None
        if found["owner"]:
            return Names(facts.names) if found["owner"].rstrip(".").rpartition(".")[2] == enum else None
        ways = _ways_to(enum, text)
        return NamesOr(Names(tuple(f"{way}.{name}" for way in ways for name in facts.names)), _ELSE) if ways else None


def _ways_to(enum: str, text: str) -> tuple[str, ...]:
    """How the text names the enum: plainly where it is made or imported, and through what it was reached by before."""
    plain = re.search(rf"^\s*(?:class\s+{enum}\b|from\s.*\bimport\b.*\b{enum}\b|\s+{enum},)", text, re.MULTILINE)
    through = sorted(set(re.findall(rf"\b(\w+(?:\.\w+)*)\.{enum}\b", text)))
    return (*((enum,) if plain else ()), *(f"{way}.{enum}" for way in through))


def enum_members(project: str = ".", *, language: str = "python", file: str = "", before: str = "", after: str = "",
                 analyser: FactSource | str | None = None) -> Rule:
    """In the cases of a ``match`` (a ``switch``) over an enum, only its members; literals, patterns and ``_`` stay possible.

    Options as in :func:`rookery.decoding.members.members`.
    """
    return code_rule(EnumMembers(language), "enum_members", project, analyser, Site(file, before, after), language)
