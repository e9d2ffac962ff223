"""Where JSON stands in a text, and small faults of writing it mended; all in linear time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

MAX_DEPTH = 100
"""JSON nested deeper is not read."""
MAX_STARTS = 50
"""So many brackets in prose are tried as the start of the value."""

_STRING = r'"(?:[^"\\]+|\\.)*+(?:"|\\?\Z)'
_MARK = re.compile(rf"{_STRING}|[\[\]{{}}]", re.DOTALL)
_COMMA = re.compile(rf"({_STRING})|,(?=\s*[\]}}])", re.DOTALL)
_START = re.compile(r"[\[{]")
_OPEN = {"[": "]", "{": "}"}


def candidates(text: str) -> Iterator[str]:
    """Pieces of a text that may be its JSON value, likeliest first: all of it, or each bracketed piece in order."""
    whole = unfenced(text.strip())
    if whole:
        yield whole
    position, starts, wasted = 0, 0, 0
    while starts < MAX_STARTS and wasted <= len(text):
        found = _START.search(text, position)
        if found is None:
            return
        start = found.start()
        end, reached = extent(text, start)
        starts += 1
        if end is None:
            wasted += reached - start
            position = start + 1
            continue
        if end - start < len(whole):
            yield text[start:end]
        position = end


def extent(text: str, start: int) -> tuple[int | None, int]:
    """Where the bracket at ``start`` closes, or None when it does not; and how far that was looked for."""
    expected: list[str] = []
    for mark in _MARK.finditer(text, start):
        sign = text[mark.start()]
        if sign == '"':
            continue
        if sign in _OPEN:
            expected.append(_OPEN[sign])
            if len(expected) > MAX_DEPTH:
                return None, mark.end()
        elif not expected or expected.pop() != sign:
            return None, mark.end()
        elif not expected:
            return mark.end(), mark.end()
    return None, len(text)


def unfenced(text: str) -> str:
    """What stands between code fences, when the text is nothing but one fenced block."""
    if not text.startswith("```"):
        return text
    _, newline, rest = text.partition("\n")
    if not newline:
        return text.strip("`").strip()
    body, fence, after = rest.rpartition("```")
    if not fence:
        return rest.strip()
    return body.strip() if not after.strip() and "```" not in body else text


def repaired(piece: str) -> bytes | None:
    """JSON without commas before a closing bracket, with raw line breaks in strings and half characters mended; None when it is no JSON even so."""
    try:
        value = json.loads(_COMMA.sub(lambda found: found[1] or "", piece), strict=False)
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    except (ValueError, RecursionError):
        return None
