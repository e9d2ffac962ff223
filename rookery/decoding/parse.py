"""A model's text → a typed value: lenient where that is harmless, strict in the value.

How the answer is written is its *form*: ``text`` (words, a number, one of several options), ``json`` or ``lines``.
Everything here takes time linear in the text, whatever the text is.
"""

from __future__ import annotations

import json
from typing import Any, Literal, get_args

from rookery.core.types import element_type, load_foreign, name_of, schema, validator
from rookery.decoding.jsontext import candidates, repaired
from rookery.decoding.scalar import is_scalar, question, scalar
from rookery.errors import InputError, NotSerialisable, ParseFailed

Form = Literal["text", "json", "lines"]

MAX_CHARS = 16_000_000
"""Longer answers are refused unread."""
MAX_REPAIR_CHARS = 1500
_LEADS = ("here", "sure", "certainly", "of course", "the following", "below", "okay")
_BULLETS = "-*•–—·+"


def form_of(type_: Any, form: str = "auto") -> Form:
    """The form an answer of this type is written in; one given by hand wins.

    Raises InputError for ``lines`` with a type that is no list, and for a form that does not exist.
    """
    if form == "auto":
        return "text" if is_scalar(type_) else "json"
    if form == "lines" and element_type(type_) is None:
        raise InputError(f"form 'lines' gives a list, and {name_of(type_)} is none", hint="use form='text', or a list type")
    if form not in get_args(Form):
        raise InputError(f"unknown form {form!r}", hint="use 'auto', 'text', 'json' or 'lines'")
    return form  # type: ignore[return-value]


def instructions(type_: Any, form: Form, *, explicit: bool = False) -> str:
    """What is added to a prompt so that a general model answers in the form; nothing where the user chose the form."""
    if explicit:
        return ""
    if form == "text":
        return question(type_)
    if form == "lines":
        each = question(element_type(type_)).removeprefix("Answer with ")
        return "One per line, nothing else." + (f" Each line: {each}" if each else "")
    try:
        wanted = schema(type_)
    except NotSerialisable:
        return "Answer with JSON only."
    return "Answer with JSON only, of this JSON Schema:\n" + json.dumps(_untitled(wanted), separators=(",", ":"), ensure_ascii=False)


def _untitled(node: Any) -> Any:
    """A schema without the titles that pydantic makes of field names."""
    if isinstance(node, list):
        return [_untitled(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: _untitled(item) for name, item in value.items()} if key in ("properties", "$defs") else _untitled(value)
        for key, value in node.items()
        if key != "title" or not isinstance(value, str)
    }


# ------------------------------------------------------------------ parse


def parse(text: str, type_: Any, form: str = "auto") -> Any:
    """The value that a model's text stands for.

    - ``text``: a ``str`` is the text without space around it; see scalar.py for options, yes and no, and numbers. Any other
      type gets the text as it is, so that the type's own validators may read it.
    - ``json``: the first JSON value of the text that is one of the type; fences, prose around it, trailing commas and a
      single field wrapped around it are overlooked.
    - ``lines``: one element a line, without bullets, numbers and empty lines.

    Raises ParseFailed with all faults.
    """
    if len(text) > MAX_CHARS:
        raise _failed(type_, [("$", f"the answer has {len(text):,} characters, more than {MAX_CHARS:,}")], text[:1000])
    try:
        form = form_of(type_, form)
        if form == "json":
            return _json(text, type_)
        return _lines(text, type_) if form == "lines" else scalar(text, type_)
    except ParseFailed as error:
        raise ParseFailed(error.reason, faults=error.faults, text=text) from None


def _failed(type_: Any, faults: list[tuple[str, str]], text: str = "") -> ParseFailed:
    lines = "".join(f"\n  {path}: {message}" for path, message in faults[:20])
    return ParseFailed(f"not a value of type {name_of(type_)}:{lines}", faults=faults, text=text)


def _json(text: str, type_: Any) -> Any:
    first: ParseFailed | None = None
    nothing = _failed(type_, [("$", "there is no JSON value in the answer")])
    for piece in candidates(text):
        try:
            return read_json(piece, type_)
        except ParseFailed as error:
            first = error if first is None or _is_syntax(first) else first
    raise nothing if first is None or (_is_syntax(first) and "[" not in text and "{" not in text) else first


def _is_syntax(error: ParseFailed) -> bool:
    return len(error.faults) == 1 and "Invalid JSON" in error.faults[0][1]


def read_json(piece: str, type_: Any, *, is_element: bool = False) -> Any:
    """The value of a piece of JSON, small faults of writing repaired; an element of a list stands in no wrapper. Raises ParseFailed."""
    data = piece.encode("utf-8", "replace")
    try:
        return load_foreign(data, type_)
    except ParseFailed as error:
        if _is_syntax(error):
            mended = repaired(piece)
            if mended is None:
                raise
            data = mended
            try:
                return load_foreign(data, type_)
            except ParseFailed as other:
                error = other
        inner = None if is_element else _unwrapped(data)
        if inner is None:
            raise error from None
        try:
            return load_foreign(inner, type_)
        except ParseFailed:
            raise error from None


def _unwrapped(data: bytes) -> bytes | None:
    """The JSON inside an object of one field; models and servers put one around what is no object."""
    if data.lstrip()[:1] != b"{":
        return None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or len(value) != 1:
        return None
    return json.dumps(next(iter(value.values())), ensure_ascii=False).encode("utf-8", "replace")


# ------------------------------------------------------------------ lines


def line_of(line: str, *, is_first: bool) -> str:
    """A line without its bullet or number; empty when it holds no element: blank, a fence, or the first line's "Here are …:"."""
    line = line.strip()
    if not line or line.startswith("```"):
        return ""
    if is_first and line.endswith(":") and line.lower().startswith(_LEADS):
        return ""
    if line[0] in _BULLETS and line[1:2].isspace():
        return line[1:].strip()
    return _unnumbered(line)


def _unnumbered(line: str) -> str:
    start = 1 if line[0] == "(" else 0
    end = start
    while end < len(line) and end - start < 4 and line[end].isdigit():
        end += 1
    mark = line[end : end + 1]
    if end > start and mark and mark in (")" if start else ".):") and line[end + 1 : end + 2].isspace():
        return line[end + 2 :].strip()
    return line


def read_line(line: str, type_: Any) -> Any:
    """An element from its line. Raises ParseFailed."""
    return scalar(line, type_) if is_scalar(type_) else read_json(line, type_)


def _lines(text: str, type_: Any) -> Any:
    of = element_type(type_)
    values: list[Any] = []
    faults: list[tuple[str, str]] = []
    count = 0
    is_first = True
    for raw in text.split("\n"):
        line = line_of(raw, is_first=is_first)
        is_first = is_first and not raw.strip()
        if not line:
            continue
        try:
            values.append(read_line(line, of))
        except ParseFailed as error:
            faults += [(f"$[{count}]{path[1:]}", message) for path, message in error.faults]
        count += 1
    if faults:
        raise _failed(type_, faults)
    return validator(type_)(values)


# ------------------------------------------------------------------ repair


def repair_text(error: ParseFailed, type_: Any, form: str = "auto") -> str:
    """What is said to the model when its answer could not be read: every fault with its place, and the form wanted."""
    head = f"Your answer could not be read as {name_of(type_)[:200]}:"
    try:
        asked = instructions(type_, form_of(type_, form))
    except InputError:
        asked = ""
    if len(asked) > MAX_REPAIR_CHARS // 2:
        asked = "Answer with JSON only, of the JSON Schema given before."
    tail = "Answer again, with the corrected answer only." + (f" {asked}" if asked else "")
    room = MAX_REPAIR_CHARS - len(head) - len(tail) - 40
    lines: list[str] = []
    for number, (path, message) in enumerate(error.faults or (("$", error.reason),)):
        where = "" if path == "$" else f"{path[:120]}: "
        line = f"\n- {where}{' '.join(message.split())[:300]}"
        if len(line) > room:
            lines.append(f"\n- … and {len(error.faults) - number} more")
            break
        room -= len(line)
        lines.append(line)
    return head + "".join(lines) + "\n" + tail
