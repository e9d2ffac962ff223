"""In an import, only modules that can be imported and names that they have."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rookery.decoding.codetext import NamesOr, code_rule
from rookery.decoding.constraint import Names
from rookery.decoding.monitor import Constraint, Cursor, Facts, FactSource, Query, Rule, Site, Steady
from rookery.decoding.pythontext import KEYWORDS, spot

_BEGIN = re.compile(r"\s*(?:from|import)\s")
_RELATIVE = re.compile(r"\s*from\s+\.*")
_MODULE = r"[\w.]+"
_NAMED = rf"{_MODULE}(?:\s+as\s+\w+)?"
_IMPORT = re.compile(rf"\s*import\s+(?:{_NAMED}\s*,\s+)*(?:[\w]+\.)*")
_FROM = re.compile(r"\s*from\s+\.*(?:\w+\.)*")
_FROM_IMPORT = re.compile(rf"\s*from\s+{_MODULE}\s+import\s+(?:\(\s*)?(?:\w+(?:\s+as\s+\w+)?\s*,\s+)*")


@dataclass(frozen=True, slots=True)
class Imports(Steady):
    """Wakes where a module's name, or a name of a module, begins."""

    @property
    def triggers(self) -> str:
        return " .("

    def wake(self, cursor: Cursor) -> Query | None:
        tail = cursor.before[cursor.before.rfind("\n") + 1 :]
        if not _BEGIN.match(tail) and "import (" not in cursor.before[-2000:]:
            return None
        where = spot(cursor.before)
        if where.place != "code" or not any(form.fullmatch(where.line) for form in (_IMPORT, _FROM, _FROM_IMPORT)):
            return None
        return Query("imports", cursor, where.line.strip())

    def follow(self, query: Query, facts: Facts) -> Constraint | None:
        names = tuple(name for name in facts.names if name.isidentifier() and name not in KEYWORDS)
        if not names:
            return None
        line = spot(query.cursor.before).line
        if _RELATIVE.fullmatch(line):
            return NamesOr(Names(names), ". ")
        if _FROM_IMPORT.fullmatch(line):
            return NamesOr(Names(names), " (*\n\\" if line.rstrip().endswith("import") else " \n\\")
        return Names(names)


def imports(project: str = ".", *, file: str = "", before: str = "", after: str = "", analyser: FactSource | str | None = None) -> Rule:
    """In Python's import statements, only modules that are there (of the project, installed, of the library) and names that they have.

    Options as in :func:`rookery.decoding.members.members`.
    """
    return code_rule(Imports(), "imports", project, analyser, Site(file, before, after))
