"""Choices and regular expressions as GBNF, the grammar notation of llama.cpp (https://github.com/ggml-org/llama.cpp/tree/master/grammars)."""

from __future__ import annotations

import re
import re._parser as parser  # type: ignore[import-not-found,unused-ignore]  # the one reader of patterns that Python has
from collections.abc import Iterable, Sequence
from typing import Any

from rookery.errors import CapabilityMissing

_MOST = 0x10FFFF
_CLASSES = {
    "CATEGORY_DIGIT": "0-9", "CATEGORY_SPACE": " \\t\\n\\r\\x0b\\x0c", "CATEGORY_WORD": "a-zA-Z0-9_",
    "CATEGORY_NOT_DIGIT": "^0-9", "CATEGORY_NOT_SPACE": "^ \\t\\n\\r\\x0b\\x0c", "CATEGORY_NOT_WORD": "^a-zA-Z0-9_",
}


def choice_gbnf(options: Iterable[str]) -> str:
    """A grammar of just these texts."""
    return "root ::= " + " | ".join(_literal(option) for option in options)


def regex_gbnf(pattern: str) -> str:
    """A grammar of the texts that a pattern matches from their first character to their last.

    Classes like ``\\d`` and ``\\w`` are those of ASCII; ``.`` is anything but a line break.

    :raises CapabilityMissing: the pattern looks around, refers back, or can't be read.
    """
    try:
        return "root ::= " + _sequence(parser.parse(pattern))
    except re.error as error:
        raise CapabilityMissing(f"the pattern {pattern!r} can't be read: {error}") from error


def _sequence(items: Sequence[Any]) -> str:
    parts: list[str] = []
    letters = ""
    for kind, value in items:
        if str(kind) == "LITERAL":
            letters += chr(value)
            continue
        parts += [_literal(letters)] if letters else []
        letters = ""
        parts.append(_item(kind, value))
    parts += [_literal(letters)] if letters else []
    return " ".join(part for part in parts if part) or '""'


def _item(kind: Any, value: Any) -> str:
    name = str(kind)
    if name == "NOT_LITERAL":
        return f"[^{_letter(value)}]"
    if name == "ANY":
        return "[^\\n]"
    if name == "IN":
        return _class(value)
    if name == "BRANCH":
        return "(" + " | ".join(_sequence(branch) for branch in value[1]) + ")"
    if name == "SUBPATTERN":
        return "(" + _sequence(value[3]) + ")"
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return _repeat(*value)
    if name == "AT" and str(value) in ("AT_BEGINNING", "AT_END", "AT_BEGINNING_STRING", "AT_END_STRING"):
        return ""  # the whole is anchored anyhow
    raise CapabilityMissing(f"a grammar of llama.cpp can't say {name.lower().replace('_', ' ')}", hint="no look-around and no back-references")


def _repeat(low: int, high: Any, items: Sequence[Any]) -> str:
    inner = f"({_sequence(items)})"
    if str(high) == "MAXREPEAT":
        return inner + {0: "*", 1: "+"}.get(low, f"{{{low},}}")
    if (low, high) == (0, 1):
        return inner + "?"
    return inner + (f"{{{low}}}" if low == high else f"{{{low},{int(high)}}}")


def _class(items: Sequence[Any]) -> str:
    negated = bool(items) and str(items[0][0]) == "NEGATE"
    ranges: list[str] = []
    for kind, value in items[1:] if negated else items:
        name = str(kind)
        if name == "LITERAL":
            ranges.append(_letter(value))
        elif name == "RANGE":
            ranges.append(f"{_letter(value[0])}-{_letter(min(value[1], _MOST))}")
        elif name == "CATEGORY":
            ranges.append(_CLASSES[str(value)])
    if any(part.startswith("^") for part in ranges):
        if len(ranges) > 1:
            raise CapabilityMissing("a grammar of llama.cpp can't join a negated class with others", hint="write the class out")
        inner = ranges[0][1:]
        return f"[{inner}]" if negated else f"[^{inner}]"
    return f"[{'^' if negated else ''}{''.join(ranges)}]"


def _letter(code: int) -> str:
    """One character inside of square brackets."""
    letter = chr(code)
    if letter in "\\]^-[":
        return "\\" + letter if letter in "\\][" else f"\\x{code:02x}"
    if code < 32 or code == 127:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(letter, f"\\x{code:02x}")
    return letter


def _literal(text: str) -> str:
    """A text in double quotes."""
    out = []
    for letter in text:
        if letter in '"\\':
            out.append("\\" + letter)
        elif letter < " " or letter == "\x7f":
            out.append({"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(letter, f"\\x{ord(letter):02x}"))
        else:
            out.append(letter)
    return '"' + "".join(out) + '"'
