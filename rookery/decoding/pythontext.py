"""Where a cursor in Python code stands: in which string, call or statement; read off the text before it alone, parsed or not."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

MAX_CHARS = 4_000_000
"""Longer texts are not looked at: the cursor then stands nowhere."""
MAX_LINE_CHARS = 30_000
"""So much of a logical line (a statement, with all lines that its brackets span) is looked at."""
_CHUNK = 16_384
_NAME = r"[^\W\d]\w*"
_PREFIX = r"""(?:[^\W\d]{1,2}(?=["']))?"""
_QUOTED = r"""(?:\"\"\"(?:[^\\"]|\\.|"(?!""))*+\"\"\"|'''(?:[^\\']|\\.|'(?!''))*+'''|"(?!"")(?:[^\\"\n]|\\.)*+"|'(?!'')(?:[^\\'\n]|\\.)*+')"""
_UNCLOSED = r"""(?:\"\"\"|'''|"|')"""
_SCAN = re.compile(rf"(?P<comment>\#[^\n]*)|(?P<string>{_QUOTED})|(?P<unclosed>{_UNCLOSED})|(?P<open>[(\[{{])|(?P<close>[)\]}}])"
                   r"|(?P<newline>\n)|(?P<joined>\\\n)", re.DOTALL)
_TOKEN = re.compile(rf"\#[^\n]*|(?P<string>{_PREFIX}{_QUOTED})|(?P<number>(?:\d[\w]*\.?[\w]*|\.\d[\w]*)(?:(?<=[eE])[+-]\d+)?)|(?P<name>{_NAME})"
                    r"|(?P<mark>\.\.\.|->|:=|\*\*=?|//=?|>>=?|<<=?|[-+*/%@&|^=!<>]=|[^\s\\])", re.DOTALL)
_LETTERS = re.compile(r"\w*\Z")
_CLOSER = {"(": ")", "[": "]", "{": "}"}
_VALUES = {"None", "True", "False", "__debug__"}
KEYWORDS = frozenset(keyword.kwlist) - _VALUES
SOFT_KEYWORDS = frozenset(keyword.softkwlist) - {"_"}


class Token(NamedTuple):
    """A piece of a logical line; ``at`` is its place in the line."""

    kind: Literal["name", "keyword", "number", "string", "mark"]
    text: str
    at: int


class Bracket(NamedTuple):
    """An open bracket and its place in the text."""

    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the end of a text stands."""

    place: Literal["code", "string", "comment", "nowhere"]
    line: str = ""
    """The logical line up to the cursor, indentation included; inside an f-string's braces, what stands in them."""
    start: int = 0
    """Where that line begins in the text."""
    brackets: tuple[Bracket, ...] = ()
    """All that are open, outermost first, those of an f-string included."""
    quote: str = ""
    """The quotes of the string that is open; empty outside of strings."""

    @property
    def tokens(self) -> tuple[Token, ...]:
        """Those of the line, comments left out."""
        return _tokens(self.line)

    @property
    def closers(self) -> str:
        """What closes all that is open, so that an analyser finds whole code."""
        closed = "".join(_CLOSER[bracket.text] for bracket in reversed(self.brackets) if bracket.at >= 0)
        return closed if not self.quote else closed + self.quote

    @property
    def indent(self) -> str:
        """The white space that the logical line begins with."""
        return self.line[: len(self.line) - len(self.line.lstrip())]


class _State(NamedTuple):
    """What is known at a line's begin that is outside of all strings."""

    position: int = 0
    brackets: tuple[Bracket, ...] = ()
    line: int = 0


def spot(text: str) -> Spot:
    """Where the end of ``text`` stands. Takes time linear in what is new since the last call with the same begin."""
    if len(text) > MAX_CHARS:
        return Spot("nowhere")
    return _spot(text)


@lru_cache(maxsize=16)
def _spot(text: str) -> Spot:
    whole = (len(text) - 1) // _CHUNK * _CHUNK
    state = _reached(text[:whole]) if whole > 0 else _State()
    brackets, line = list(state.brackets), state.line
    for match in _SCAN.finditer(text, state.position):
        kind = match.lastgroup
        if kind == "comment" and match.end() == len(text):
            return Spot("comment", text[line:], line, tuple(brackets))
        if kind == "unclosed":
            begun = _unclosed(text, match, line, brackets)
            if begun is not None:
                return begun
        line = _advance(match, brackets, line)
    if len(text) - line > MAX_LINE_CHARS:
        return Spot("nowhere")
    return Spot("code", text[line:], line, tuple(brackets))


@lru_cache(maxsize=256)
def _reached(text: str) -> _State:
    """The state at the last line of the text that begins outside of strings."""
    whole = (len(text) - 1) // _CHUNK * _CHUNK
    state = _reached(text[:whole]) if whole > 0 else _State()
    brackets, line = list(state.brackets), state.line
    for match in _SCAN.finditer(text, state.position):
        if match.lastgroup == "unclosed" and not _ends_at_newline(text, match):
            break
        line = _advance(match, brackets, line)
        if match.lastgroup == "newline":
            state = _State(match.end(), tuple(brackets), line)
    return state


def _ends_at_newline(text: str, match: re.Match[str]) -> bool:
    """Whether a quote that nothing closes is only a slip in a line that is over."""
    return len(match[0]) == 1 and "\n" in text[match.end() :].replace("\\\n", "")


def _advance(match: re.Match[str], brackets: list[Bracket], line: int) -> int:
    kind = match.lastgroup
    if kind == "open":
        brackets.append(Bracket(match[0], match.start()))
    elif kind == "close":
        if brackets and _CLOSER[brackets[-1].text] == match[0]:
            brackets.pop()
    elif kind == "newline":
        if brackets and _begins_statement(match):
            brackets.clear()  # a bracket that was never closed
        if not brackets:
            return match.end()
    return line


_STATEMENT = re.compile(r"[ \t]*(?:def|class|import|return|raise|while|with|try|del|assert|global|nonlocal|pass|break|continue|@\w+\s*$)\b")


def _begins_statement(match: re.Match[str]) -> bool:
    return _STATEMENT.match(match.string, match.end()) is not None


def _unclosed(text: str, match: re.Match[str], line: int, brackets: list[Bracket]) -> Spot | None:
    """The spot inside the string that a quote opens; None when the line's end has ended it."""
    if _ends_at_newline(text, match):
        return None
    bare = match[0]
    prefix = _LETTERS.search(text, max(line, match.start() - 3), match.start())[0].lower()  # type: ignore[index]  # it may be empty
    if "f" in prefix or "t" in prefix:
        inner = _braces(text, match.end())
        if inner is not None:
            within = _spot(text[inner:])
            if within.place == "code" and not within.quote and not _has_format(within):
                shifted = tuple(Bracket(bracket.text, bracket.at + inner) for bracket in within.brackets)
                return Spot("code", within.line, inner + within.start, (*brackets, Bracket("{", inner - 1), *shifted), bare)
    return Spot("string", text[line:], line, tuple(brackets), bare)


def _braces(text: str, start: int) -> int | None:
    """Where the code inside an f-string's innermost open braces begins; None outside of braces."""
    depth: list[int] = []
    at = start
    while at < len(text):
        char = text[at]
        if char == "{":
            if not depth and text[at : at + 2] == "{{":
                at += 1
            else:
                depth.append(at + 1)
        elif char == "}" and depth:
            depth.pop()
        at += 1
    return depth[0] if depth else None


def _has_format(within: Spot) -> bool:
    """Whether what stands in braces has come to its format (``{x:>10``)."""
    depth = 0
    for token in within.tokens:
        depth += (token.text in "([{") - (token.text in ")]}") if token.kind == "mark" and len(token.text) == 1 else 0
        if depth == 0 and token.kind == "mark" and token.text in (":", "!"):
            return True
    return False


@lru_cache(maxsize=16)
def _tokens(line: str) -> tuple[Token, ...]:
    found: list[Token] = []
    for match in _TOKEN.finditer(line):
        kind = match.lastgroup
        if kind == "name":
            found.append(Token("keyword" if match[0] in KEYWORDS else "name", match[0], match.start()))
        elif kind is not None:
            found.append(Token(kind, match[0], match.start()))  # type: ignore[arg-type]
    return tuple(found)


# ------------------------------------------------------------------ scopes


_BINDS = re.compile(r"=|\b(?:for|with|import|except|def|class|global|nonlocal|isinstance|assert|if|elif|else|while|case|match|lambda|del|async"
                    r"|and|or|try)\b")


def match_of(text: str, where: Spot) -> tuple[int, str] | None:
    """Where the ``match`` statement begins whose case stands at the cursor, and its subject; None when there is none."""
    end = where.start
    while end:
        begin = text.rfind("\n", 0, end - 1) + 1
        line = text[begin:end]
        depth = len(line) - len(line.lstrip())
        if line.strip() and depth < len(where.indent):
            found = re.fullmatch(r"[ \t]*match\b[ \t]*(.+):[ \t]*(?:#.*)?\n", line)
            return (begin + depth, found[1].strip()) if found else None
        end = begin
    return None


def meaning(text: str, where: Spot) -> str:
    """What decides what names mean at the cursor: all earlier lines but those of the same block that only use values.

    Two cursors with equal meaning and the same receiver see the same members, so that an answer can serve both.
    """
    depth = len(where.indent)
    begin = where.start
    while begin and depth:
        previous = text.rfind("\n", 0, begin - 1) + 1
        line = text[previous:begin]
        if line.strip() and len(line) - len(line.lstrip()) < depth:
            break
        begin = previous
    kept = [line for line in text[begin : where.start].split("\n") if _decides(line)]
    return "\n".join((text[:begin], *kept, where.indent + ";", where.line if _decides(where.line) or where.quote else ""))


def _decides(line: str) -> bool:
    return (_BINDS.search(line) is not None or line.count("(") != line.count(")") or line.count("[") != line.count("]")
            or '"""' in line or "'''" in line)


# ------------------------------------------------------------------ the text after


_BLOCKS = {"if", "elif", "while", "for", "with", "except"}


def bridge(where: Spot, after: str) -> str:
    """What to put between the cursor and the text after it, so that an analyser finds whole code: closing brackets, a body.

    Nothing where the text after already closes what is open.
    """
    closed = _closes(after) if after.strip() else 0
    missing = [_CLOSER[bracket.text] for bracket in reversed(where.brackets)]
    missing = missing[: max(0, len(missing) - closed)]
    if where.quote and after[:1000].partition("\n")[0].find(where.quote) < 0:
        missing.append(where.quote)
    found = "".join(missing)
    first = where.tokens[0].text if where.tokens else ""
    if not closed and where.line.strip() and first in _BLOCKS and not after[:1].strip():
        found += ": pass"
    return found + "\n" if (found or not after) and after[:1] != "\n" else found  # without a line's end jedi loses the scope


def _closes(after: str) -> int:
    """How many brackets that were open before it a text closes."""
    depth = closed = 0
    for match in _SCAN.finditer(after[:4000]):
        kind = match.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "close":
            closed, depth = (closed, depth - 1) if depth else (closed + 1, 0)
        elif kind == "newline" and not depth and _begins_statement(match):
            break
    return closed
