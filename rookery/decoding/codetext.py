"""What the monitors of code share: whose code it is, who analyses it by default, and where a cursor stands in other languages than Python."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rookery.decoding.constraint import BREAKS, FREE, Free, Names, NamesState
from rookery.decoding.jedi_analyser import Jedi
from rookery.decoding.language_server import basedpyright, clangd, pyrefly, typescript
from rookery.decoding.monitor import FactSource, Monitor, Rule, Site
from rookery.errors import RuleWrong
from rookery.models.model import Grammar, GrammarKind

DOLLAR: Final = BREAKS.replace("$", "")
"""What ends an identifier where ``$`` may stand in one."""
_ENDS = {"typescript": DOLLAR, "javascript": DOLLAR, "typescriptreact": DOLLAR, "java": DOLLAR}
_BODY = {'"': r"(?:[^\"\\\n]|\\.)*", "'": r"(?:[^'\\\n]|\\.)*", "`": r"(?:[^`\\]|\\.)*"}
_SKIPPED = re.compile(
    r"(?P<open>//[^\n]*\Z)|//[^\n]*|/\*.*?\*/|(?P<block>/\*.*\Z)|"
    + "|".join(f"{quote}{body}{quote}" for quote, body in _BODY.items())
    + "|(?P<string>" + "|".join(rf"{quote}{body}\Z" for quote, body in _BODY.items()) + ")", re.DOTALL)
"""Comments and strings; those that are open at the text's end have a group."""


def code_rule(monitor: Monitor, name: str, project: str, analyser: FactSource | str | None, site: Site, language: str = "python") -> Rule:
    """A rule about code, its facts from the analyser given or named, or from the usual one of the language.

    :raises RuleWrong: there is none of this name, or the language has no usual one.
    """
    source = _named(analyser or _USUAL.get(language, ""), project, language) if analyser is None or isinstance(analyser, str) else analyser
    return Rule(monitor, source, language, site, name=f"{language}_{name}")


_USUAL = {"python": "jedi", "c": "clangd", "cpp": "clangd", "typescript": "typescript-language-server", "javascript": "typescript-language-server",
          "typescriptreact": "typescript-language-server"}


def _named(name: str, project: str, language: str) -> FactSource:
    known: dict[str, Callable[[], FactSource]] = {
        "jedi": lambda: Jedi(project), "pyrefly": lambda: pyrefly(project), "basedpyright": lambda: basedpyright(project),
        "clangd": lambda: clangd(project, language=language), "typescript-language-server": lambda: typescript(project, language=language),
    }
    if name not in known:
        what = f"there is no analyser {name!r}" if name else f"who analyses {language!r} is not known"
        raise RuleWrong(what, rule="analyser", hint=f"name one of {', '.join(known)}; for another language server: "
                                                    f"analyser=LanguageServer(('gopls',), project={project!r}, language='go')")
    return known[name]()


def ends_of(language: str) -> str:
    """The characters that end an identifier."""
    return _ENDS.get(language, BREAKS)


def is_code(text: str) -> bool:
    """Whether the end of a text in a language of C's kind stands outside of strings and comments."""
    return all(match.lastgroup is None for match in _SKIPPED.finditer(text))


@dataclass(frozen=True, slots=True)
class NamesOr:
    """One of these names, or something else altogether that begins with one of ``others``; then all is free."""

    names: Names
    others: str
    """ASCII characters."""

    def start(self) -> NamesOrState:
        return NamesOrState(self)

    def grammar(self, kinds: tuple[GrammarKind, ...]) -> Grammar | None:
        whole = self.names.grammar(kinds) if "regex" in kinds else None
        if whole is None:
            return None
        listed = "".join(f"\\x{ord(sign):02x}" for sign in self.others)
        return Grammar("regex", f"({whole.source}|[{listed}](.|\\n)*)")

    def explain(self) -> str:
        return self.names.explain()


@dataclass(frozen=True, slots=True)
class NamesOrState:
    """Before the first character."""

    whole: NamesOr
    is_free: bool = False
    may_end: bool = True

    def take(self, data: bytes) -> NamesOrState | NamesState | Free | None:
        if not data:
            return self
        if chr(data[0]) in self.whole.others:
            return FREE
        return self.whole.names.start().take(data)  # type: ignore[return-value]  # a state of names, free, or None
