"""The elements of a list while its text is still streaming: each is given out as soon as it is complete and valid.

For an answer that parses in the end, what ``feed`` and ``close`` gave is exactly what ``parse`` gives; the first broken element
ends the stream of elements, and what is wrong is said by ``parse``.
"""

from __future__ import annotations

import re
from typing import Any

from rookery.core.canonical import same
from rookery.core.types import element_type
from rookery.decoding.jsontext import MAX_DEPTH
from rookery.decoding.parse import form_of, line_of, parse, read_json, read_line
from rookery.errors import ParseFailed

_WRAPPER = re.compile(r'\{\s*"[^"\\]{0,100}"\s*:\s*\[')
_MAX_WRAPPER = 200
_STRING_STOP = re.compile(r'["\\]')
_NESTED_STOP = re.compile(r'["\[\]{}]')
_TOKEN_STOP = re.compile(r"[\s,\]]")
_BLANK = " \t\r\n"


class Elements:
    """Reads a list's elements from text that comes in pieces. It never raises."""

    def __init__(self, type_: Any, form: str = "auto") -> None:
        self.type = type_
        self.form = form_of(type_, form)
        self.element = element_type(type_)
        self.given: list[Any] = []
        self._texts: list[str] = []
        self._scanner: _Lines | _Array | None = None
        if self.element is not None and self.form != "text":
            self._scanner = _Lines() if self.form == "lines" else _Array()

    @property
    def count(self) -> int:
        """How many elements were given out so far."""
        return len(self.given)

    def feed(self, text: str) -> list[Any]:
        """The elements that this piece completes, in order."""
        self._texts.append(text)
        if self._scanner is None:
            return []
        new: list[Any] = []
        for piece in self._scanner.feed(text):
            try:
                new.append(read_line(piece, self.element) if self.form == "lines" else read_json(piece, self.element, is_element=True))
            except ParseFailed:
                self._scanner = None
                break
        self.given += new
        return new

    def close(self) -> list[Any]:
        """The elements that are left when the text has ended; none when the text does not parse."""
        self._scanner = None
        if self.element is None:
            return []
        try:
            whole = list(parse("".join(self._texts), self.type, self.form))
        except ParseFailed:
            return []
        self._texts.clear()
        done = len(self.given)
        if not same(whole[:done], self.given):
            return []
        self.given = whole
        return whole[done:]


class _Lines:
    """Cuts a text into the lines that hold elements."""

    def __init__(self) -> None:
        self._line: list[str] = []
        self._is_first = True

    def feed(self, text: str) -> list[str]:
        *ended, rest = text.split("\n")
        found: list[str] = []
        for end in ended:
            self._line.append(end)
            raw = "".join(self._line)
            self._line.clear()
            line = line_of(raw, is_first=self._is_first)
            self._is_first = self._is_first and not raw.strip()
            if line:
                found.append(line)
        if rest:
            self._line.append(rest)
        return found


class _Array:
    """Cuts the first JSON array of a text, or the one wrapped in an object of one field, into the texts of its elements."""

    def __init__(self) -> None:
        self._state = "prose"
        self._piece: list[str] = []
        """The text of the element, or of the wrapper, that has begun."""
        self._depth = 0
        self._is_escaped = False
        self._found: list[str] = []

    def feed(self, text: str) -> list[str]:
        at = 0
        while at < len(text) and self._state != "done":
            at = getattr(self, "_" + self._state)(text, at)
        found, self._found = self._found, []
        return found

    def _prose(self, text: str, at: int) -> int:
        starts = [start for start in (text.find("[", at), text.find("{", at)) if start >= 0]
        if not starts:
            return len(text)
        at = min(starts)
        self._state = "between" if text[at] == "[" else "wrapper"
        return at + 1 if text[at] == "[" else at

    def _wrapper(self, text: str, at: int) -> int:
        end = text.find("[", at)
        self._piece.append(text[at : end + 1] if end >= 0 else text[at:])
        if sum(map(len, self._piece)) > _MAX_WRAPPER:
            self._state = "done"
        elif end >= 0:
            self._state = "between" if _WRAPPER.fullmatch("".join(self._piece)) else "done"
            self._piece.clear()
        return end + 1 if end >= 0 else len(text)

    def _between(self, text: str, at: int) -> int:
        """Before an element, or after one: blanks, a comma, the end of the array."""
        sign = text[at]
        if sign in _BLANK or sign == ",":
            return at + 1
        if sign == "]":
            self._state = "done"
        elif sign == '"':
            self._state = "string"
            self._piece.append(sign)
        else:
            self._state = "nested" if sign in "[{" else "token"
            return at
        return at + 1

    def _string(self, text: str, at: int) -> int:
        if self._is_escaped:
            self._is_escaped = False
            self._piece.append(text[at])
            return at + 1
        stop = _STRING_STOP.search(text, at)
        if stop is None:
            self._piece.append(text[at:])
            return len(text)
        self._piece.append(text[at : stop.end()])
        if stop[0] == "\\":
            self._is_escaped = True
        elif self._depth:
            self._state = "nested"
        else:
            self._end()
        return stop.end()

    def _nested(self, text: str, at: int) -> int:
        stop = _NESTED_STOP.search(text, at)
        if stop is None:
            self._piece.append(text[at:])
            return len(text)
        self._piece.append(text[at : stop.end()])
        if stop[0] == '"':
            self._state = "string"
        elif stop[0] in "[{":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                self._state = "done"
        else:
            self._depth -= 1
            if self._depth == 0:
                self._end()
        return stop.end()

    def _token(self, text: str, at: int) -> int:
        """A number, true, false or null: complete when something else follows."""
        stop = _TOKEN_STOP.search(text, at)
        self._piece.append(text[at : stop.start()] if stop else text[at:])
        if stop is None:
            return len(text)
        self._end()
        return stop.start()

    def _end(self) -> None:
        self._found.append("".join(self._piece))
        self._piece.clear()
        self._state = "between"
