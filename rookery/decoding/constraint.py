"""The kinds of constraint: one of these names, a pattern, a JSON Schema, a grammar; each a language of bytes."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from rookery.decoding.monitor import Acceptor
from rookery.errors import RuleWrong
from rookery.models.model import Grammar, GrammarKind

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

BREAKS: Final = "".join(chr(code) for code in range(128) if not (chr(code).isalnum() or code == ord("_")))
"""What ends an identifier: each ASCII character that can't stand in one."""
WHITE: Final = r"[ \t\n\r]{0,40}"
"""Between the parts of a JSON text: enough for any indentation, and not so much that a small model gets lost in it."""
SHOWN = 40
"""So many names are listed in an explanation."""


class Free:
    """Where a constraint has let go."""

    __slots__ = ()

    def take(self, data: bytes) -> Acceptor:
        return self

    @property
    def is_free(self) -> bool:
        return True

    @property
    def may_end(self) -> bool:
        return True


FREE = Free()


@dataclass(frozen=True, slots=True)
class Names:
    """One of these names, and then a character that ends it (after which all is free) or the end of the reply."""

    names: tuple[str, ...]
    ends: str = BREAKS
    """ASCII characters of which one must follow a name, unless the reply ends there; empty: the reply must end."""
    table: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    """The names as UTF-8, in order, each once."""
    stops: frozenset[int] = field(init=False, repr=False, compare=False)
    is_word: bool = field(init=False, repr=False, compare=False)
    """No name has a character that ends a word, and a word's end is what ends it."""

    def __post_init__(self) -> None:
        listed = sorted({name for name in self.names if name})  # the order of characters is that of their UTF-8
        if not listed:
            raise RuleWrong("a choice among no names at all", hint="no constraint is None; see Facts.is_usable")
        whole = "\0".join(listed).encode("utf-8", "surrogatepass")
        table = whole.split(b"\0")
        if len(table) > len(listed):
            table = sorted(name.encode("utf-8", "surrogatepass") for name in listed)
        object.__setattr__(self, "table", tuple(table))
        object.__setattr__(self, "stops", _BREAK_BYTES if self.ends == BREAKS else frozenset(self.ends.encode("ascii")))
        object.__setattr__(self, "is_word", self.ends == BREAKS and len(whole.translate(None, _WORD_BYTES)) == len(listed) - 1)

    def start(self) -> NamesState:
        return NamesState(self, 0, len(self.table), 0)

    def grammar(self, kinds: tuple[GrammarKind, ...]) -> Grammar | None:
        if not self.ends and "choice" in kinds:
            return Grammar("choice", self.names)
        if "regex" in kinds:
            # Longest first: some engines take the first alternative that fits.
            listed = "|".join(quoted(name) for name in sorted(self.names, key=len, reverse=True))
            tail = f"([{''.join(map(_class_quoted, self.ends))}](.|\\n)*)?" if self.ends else ""
            return Grammar("regex", f"({listed}){tail}")
        return None

    def explain(self) -> str:
        listed = ", ".join(self.names[:SHOWN])
        more = f" and {len(self.names) - SHOWN} more" if len(self.names) > SHOWN else ""
        return f"one of: {listed}{more}"


_BREAK_BYTES = frozenset(BREAKS.encode())
_WORD_BYTES = bytes(byte for byte in range(256) if byte not in _BREAK_BYTES)


@dataclass(frozen=True, slots=True)
class NamesState:
    """The names that are still possible: ``table[low:high]``, of which ``depth`` bytes are written."""

    names: Names
    low: int
    high: int
    depth: int

    def take(self, data: bytes) -> Acceptor | None:
        table = self.names.table
        written = table[self.low][: self.depth] + data
        for cut in range(self.depth, len(written)):  # a name ends within the data, and what follows ends it
            if written[cut] in self.names.stops and self._has(written[:cut]):
                return FREE
        low = bisect_left(table, written, self.low, self.high)
        if low == self.high or not table[low].startswith(written):
            return None
        return NamesState(self.names, low, last_with(table, written, low, self.high), len(written))

    def _has(self, name: bytes) -> bool:
        at = bisect_left(self.names.table, name, self.low, self.high)
        return at < self.high and self.names.table[at] == name

    @property
    def is_free(self) -> bool:
        return False

    @property
    def may_end(self) -> bool:
        """A name is complete: names are in order, so it is the first of those left."""
        return len(self.names.table[self.low]) == self.depth

    @property
    def forced(self) -> bytes:
        """Bytes that must follow whatever the name will be; empty when there is a choice."""
        first, last = self.names.table[self.low], self.names.table[self.high - 1]
        end = self.depth
        while end < len(first) and end < len(last) and first[end] == last[end]:
            end += 1
        return first[self.depth : end]


def last_with(table: tuple[bytes, ...], prefix: bytes, low: int, high: int) -> int:
    """Where the names that begin with ``prefix`` end, from ``low`` on."""
    return bisect_right(table, prefix, low, high, key=lambda name: name[: len(prefix)])


@dataclass(frozen=True, slots=True)
class Language:
    """The reply as a whole, from here to its end, is of a language: a regular expression, a JSON Schema, a Lark grammar."""

    kind: GrammarKind
    """``regex``, ``json_schema`` or ``lark``."""
    source: str
    words: str = ""
    """The language in words."""

    def start(self) -> LanguageState:
        return LanguageState(_root(self.kind, self.source))

    def grammar(self, kinds: tuple[GrammarKind, ...]) -> Grammar | None:
        if self.kind not in kinds:
            return None
        return Grammar(self.kind, json.loads(self.source) if self.kind == "json_schema" else self.source)

    def explain(self) -> str:
        words = {"regex": "text that matches /{}/", "json_schema": "JSON of this schema: {}"}.get(self.kind, "text of the grammar {}")
        return self.words or words.format(self.source)


class LanguageState:
    """A place in a text of a language. The matcher is copied before it moves, so that a state stays what it is."""

    __slots__ = ("matcher",)

    def __init__(self, matcher: LLMatcher) -> None:
        self.matcher = matcher

    def take(self, data: bytes) -> LanguageState | None:
        moved = self.matcher.deep_copy()
        return LanguageState(moved) if moved.try_consume_tokens(list(data)) == len(data) else None

    @property
    def is_free(self) -> bool:
        return False

    @property
    def may_end(self) -> bool:
        return bool(self.matcher.is_accepting())


def regular(pattern: str, *, words: str = "") -> Language:
    """Text that matches a regular expression from its first character to its last.

    The pattern must mean the same in Python and in Rust's ``regex``: no look-around, no back-references.

    :raises RuleWrong: it can't be read.
    """
    import re

    try:
        re.compile(pattern)
    except re.error as error:
        raise RuleWrong(f"the pattern {pattern!r:.80} can't be read: {error}", rule="regex") from error
    return _checked(Language("regex", pattern, words), "the pattern")


def schema(source: Mapping[str, Any], *, words: str = "") -> Language:
    """JSON text of a JSON Schema, its properties in the schema's order.

    :raises RuleWrong: the schema can't be read, or has keywords that can't be held to.
    """
    try:
        text = json.dumps(source, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise RuleWrong(f"the schema is no JSON: {error}", rule="json_schema") from error
    return _checked(Language("json_schema", text, words), "the schema")


def lark(text: str, *, words: str = "") -> Language:
    """Text of a grammar in Lark's notation, as llguidance reads it; its rule ``start`` is the whole.

    :raises RuleWrong: it can't be read.
    """
    return _checked(Language("lark", text, words), "the grammar")


def _checked(language: Language, what: str) -> Language:
    matcher = _root(language.kind, language.source)
    if matcher.is_error():
        told = " ".join(line.strip() for line in str(matcher.get_error()).splitlines() if line.strip())
        raise RuleWrong(f"{what} can't be held to: {told:.200}", rule=language.kind,
                        hint="regular expressions: no look-around, no back-references; schemas: what docs/decoding.md lists")
    return language


def grammar_text(kind: str, source: str) -> str:
    """A language in the form that llguidance takes."""
    from llguidance import LLMatcher

    if kind == "regex":
        return LLMatcher.grammar_from_regex(source)
    if kind == "json_schema":
        return LLMatcher.grammar_from_json_schema(source, overrides={"whitespace_pattern": WHITE})
    return LLMatcher.grammar_from_lark(source)


@lru_cache(maxsize=64)
def _root(kind: str, source: str) -> LLMatcher:
    from llguidance import LLMatcher

    try:
        return LLMatcher(_bytewise(), grammar_text(kind, source), log_level=0)
    except ValueError as error:
        raise RuleWrong(f"the {kind} can't be read: {error}", rule=kind) from error


@lru_cache(maxsize=1)
def _bytewise() -> LLTokenizer:
    """A vocabulary of the 256 bytes, for checking text as text."""
    return tokenizer([bytes([byte]) for byte in range(256)], list)


class _Bare:
    """What llguidance wants to know of a tokenizer: its tokens; one more is added that ends a text."""

    bos_token_id = None

    def __init__(self, tokens: Iterable[bytes], spell: Callable[[bytes], list[int]]) -> None:
        self._spell = spell
        self.tokens = [*tokens, b""]
        self.eos_token_id = len(self.tokens) - 1
        self.special_token_ids = [number for number, token in enumerate(self.tokens) if not token]

    def __call__(self, text: bytes | str) -> list[int]:
        return self._spell(text if isinstance(text, bytes) else text.encode())


def tokenizer(tokens: Iterable[bytes], spell: Callable[[bytes], list[int]], *, slices: list[str] | None = None) -> LLTokenizer:
    """llguidance's view of a vocabulary; its end of text is one id beyond the last, so that ours stay what they are.

    :param spell: bytes as tokens; where a language leaves no choice, these are the ones that are allowed.
    """
    from llguidance import LLTokenizer, TokenizerWrapper

    bare = _Bare(tokens, spell)
    return LLTokenizer(TokenizerWrapper(bare), eos_token=bare.eos_token_id, slices=slices)


_SPECIAL = frozenset("\\.+*?()|[]{}^$#&-~/")


def quoted(text: str) -> str:
    """Text as a regular expression that matches just it, in Python as in Rust."""
    return "".join("\\" + sign if sign in _SPECIAL else f"\\x{ord(sign):02x}" if sign < " " else sign for sign in text)


def _class_quoted(sign: str) -> str:
    return f"\\x{ord(sign):02x}" if sign < " " or sign == "\x7f" else "\\" + sign if not (sign.isalnum() or sign in " _'\"<>=!@%,;:`") else sign
