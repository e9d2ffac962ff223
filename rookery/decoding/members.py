"""After a dot, only what the object has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rookery.decoding.codetext import code_rule, ends_of, is_code
from rookery.decoding.constraint import Names
from rookery.decoding.monitor import Constraint, Cursor, Facts, FactSource, Query, Rule, Site, Steady
from rookery.decoding.pythoncall import receiver
from rookery.decoding.pythontext import KEYWORDS, spot
from rookery.errors import RuleWrong

UNUSUAL = frozenset({
    "__delattr__", "__dir__", "__eq__", "__format__", "__ge__", "__getattribute__", "__getstate__", "__gt__", "__hash__", "__init_subclass__",
    "__le__", "__lt__", "__ne__", "__reduce__", "__reduce_ex__", "__repr__", "__setattr__", "__sizeof__", "__str__", "__subclasshook__",
})
"""What every object has and nobody writes after a dot, but for ``super()`` and classes."""
_OWN = ("self", "cls")


@dataclass(frozen=True, slots=True)
class Members(Steady):
    """Wakes after a dot (in C and C++ also after ``->`` and ``::``)."""

    language: str = "python"
    private: Literal["all", "own", "none"] = "all"
    dunder: Literal["usual", "all", "none"] = "usual"

    @property
    def triggers(self) -> str:
        return ".>:" if self.language in ("c", "cpp") else "."

    def wake(self, cursor: Cursor) -> Query | None:
        if self.language != "python":
            text = cursor.before
            opens = text.endswith("." if self.triggers == "." else (".", "->", "::")) and not text[-2:-1].isdigit() and not text.endswith("..")
            return Query("members", cursor) if opens and is_code(text) else None
        where = spot(cursor.before)
        looked_into = receiver(where)
        if looked_into is None or (where.tokens and where.tokens[0].text in ("import", "from")):
            return None
        return Query("members", cursor, looked_into)

    def follow(self, query: Query, facts: Facts) -> Constraint | None:
        names = facts.names
        if self.language == "python":
            names = tuple(name for name in names if name not in KEYWORDS and name.isidentifier() and self._is_fit(name, query.detail))
        return Names(names, ends_of(self.language)) if names else None

    def _is_fit(self, name: str, looked_into: str) -> bool:
        own = looked_into.partition(".")[0] in _OWN or looked_into.startswith("super(")
        if name.startswith("__") and name.endswith("__"):
            if self.dunder == "usual":
                return name not in UNUSUAL or own or _is_class(looked_into)
            return self.dunder == "all"
        if name.startswith("_"):
            return self.private == "all" or (self.private == "own" and own)
        return True


def _is_class(looked_into: str) -> bool:
    """Whether an expression reads like a class: ``object``, ``Exception``, ``cls``, ``module.Thing``."""
    last = looked_into.rpartition(".")[2]
    return last[:1].isupper() or last in ("cls", "object", "type", "int", "float", "str", "bytes", "list", "dict", "set", "frozenset", "tuple")


def members(
    project: str = ".", *, language: str = "python", private: Literal["all", "own", "none"] = "all",
    dunder: Literal["usual", "all", "none"] = "usual", file: str = "", before: str = "", after: str = "",
    analyser: FactSource | str | None = None,
) -> Rule:
    """After a dot, only what the object has: the published dereference monitor (arXiv 2306.10763, section 3).

    :param project: the folder that imports start from.
    :param private: names with an underscore before them: of every object, of ``self``, ``cls`` and ``super()`` only, or of none.
    :param dunder: ``usual`` leaves out those that every object has and nobody writes (``__sizeof__``), but for classes and ``super()``.
    :param file: where in the project the code will stand, and what stands there ``before`` and ``after`` it; may have holes (``{file}``).
    :param analyser: who knows the program, or its name (``pyrefly``); None: jedi, clangd or typescript-language-server, after the language.
    :raises RuleWrong: no analyser is known for the language, or none of this name.
    """
    if private not in ("all", "own", "none") or dunder not in ("usual", "all", "none"):
        raise RuleWrong(f"members has no private={private!r}, dunder={dunder!r}", rule="members",
                        hint="private is all, own or none; dunder is usual, all or none")
    return code_rule(Members(language, private, dunder), "members", project, analyser, Site(file, before, after), language)
