"""Words, numbers, dates and options from a model's text.

An option (a Literal, an Enum, yes or no) counts as chosen when it is the whole answer, or what stands alone on its first or
last line or opens it before a comma or full stop, or when it alone is named anywhere and not right after "not". Where two
of these disagree, or several options are named and none stands out, the answer is refused. A number counts when it is the
whole answer, stands alone on its first line, or ends it after "is", "=" or ":"; a unit after it is refused, not dropped.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import ipaddress
import pathlib
import re
import types
import uuid
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from rookery.core.types import name_of, strip, validator
from rookery.decoding.jsontext import unfenced
from rookery.errors import ParseFailed

_NUMBERS = (int, float, decimal.Decimal, fractions.Fraction)
_DATES = (datetime.date, datetime.time, datetime.timedelta)
_OTHERS = (uuid.UUID, pathlib.PurePath, ipaddress.IPv4Address, ipaddress.IPv6Address, complex)
_NONE = type(None)
_NO_VALUE = frozenset({"", "none", "null", "n/a"})
_YES_NO: tuple[tuple[str, Any], ...] = (("yes", True), ("true", True), ("no", False), ("false", False))
_FORMAT = {datetime.datetime: " as YYYY-MM-DDTHH:MM:SS", datetime.date: " as YYYY-MM-DD", datetime.time: " as HH:MM:SS"}

_NUMBER = re.compile(
    r"(?:^|(?<=[\s:=≈(*`\"'’]))[-+−]?(?:\d{1,3}(?:[,_'’\u00a0\u2009\u202f]\d{3})+|\d{1,4000})(?:\.\d{0,4000})?(?:[eE][-+]?\d{1,4})?$", re.ASCII
)
_GROUPS = str.maketrans({"−": "-", **dict.fromkeys(",_'’\u00a0\u2009\u202f")})
_BEFORE_NUMBER = re.compile(r"(?:^|\b(?:is|are|equals?|answer)|[:=≈])\s*$", re.IGNORECASE)
_WRAPPING = " \t\r\n*_`\"'“”‘’"
_LEAD = re.compile(r"^(?:(?:the|my|final|correct|best|short)\s+){0,3}(?:answer|result|choice|option|value)\s*(?:is|:|=)\s*", re.IGNORECASE)
_LONG_LINE = 5000
_REACH = 10_000
"""Options are looked for in so many characters at either end of the answer."""


def _members(type_: Any) -> list[Any]:
    """The members of a union, or the type alone; each as it is annotated."""
    bare = strip(type_)
    origin = get_origin(bare)
    if origin is Union or origin is types.UnionType:
        return [member for one in get_args(bare) for member in _members(one)]
    return [type_]


def is_scalar(type_: Any) -> bool:
    """Whether a type's values are written as plain text and not as JSON."""
    return all(_is_one(strip(member)) for member in _members(type_))


def _is_one(type_: Any) -> bool:
    if type_ is Any or type_ is object or get_origin(type_) is Literal:
        return True
    known = (str, bool, enum.Enum, _NONE, *_NUMBERS, *_DATES, *_OTHERS)
    return isinstance(type_, type) and issubclass(type_, known)


# ------------------------------------------------------------------ asking


def question(type_: Any) -> str:
    """The sentence that asks for a value of a scalar type; empty for free text."""
    asked: list[str] = []
    options: list[str] = []
    has_none = False
    for member in _members(type_):
        bare = strip(member)
        if bare is _NONE:
            has_none = True
        elif bare is bool:
            asked.append("yes or no")
        elif labels := [label for label, _ in _options(bare, names=False)]:
            options += labels
        elif not isinstance(bare, type) or issubclass(bare, str) or bare is object or not _is_one(bare):
            return ""
        elif issubclass(bare, _NUMBERS):
            asked.append("a number only")
        else:
            asked.append(f"a {name_of(bare)} only{_FORMAT.get(bare, '')}")
    if options:
        asked.insert(0, f"one of: {', '.join(dict.fromkeys(options))}")
    if has_none:
        asked.append('"none"')
    if asked == ["yes or no"]:
        return "Answer yes or no."
    return f"Answer with {', or '.join(dict.fromkeys(asked))}." if asked else ""


def _options(type_: Any, *, names: bool = True) -> list[tuple[str, Any]]:
    """The labels of a Literal, an Enum or bool, each with its value; an enum's members go by value and by name."""
    if type_ is bool:
        return list(_YES_NO)
    if get_origin(type_) is Literal:
        return [pair for value in get_args(type_) for pair in _labels(value, names)]
    if isinstance(type_, type) and issubclass(type_, enum.Enum):
        return [pair for member in type_ for pair in _labels(member, names)]
    return []


def _labels(value: Any, names: bool) -> Iterator[tuple[str, Any]]:
    if isinstance(value, enum.Enum):
        is_plain = isinstance(value.value, str | int | float)
        if is_plain:
            yield str(value.value), value
        if names or not is_plain:
            yield value.name, value
    elif isinstance(value, bool):
        yield from [pair for pair in _YES_NO if pair[1] is value] if names else [("yes" if value else "no", value)]
    else:
        yield "none" if value is None else str(value), value


# ------------------------------------------------------------------ reading


def scalar(text: str, type_: Any) -> Any:
    """The value that a text stands for. Raises ParseFailed, with the reason."""
    members = _members(type_)
    check = validator(type_)
    if len(members) == 1:
        return check(_read(text, strip(type_), exact=False))
    plain = text.strip(_WRAPPING).rstrip(".").lower()
    bare = [strip(member) for member in members]
    if _NONE in bare and plain in _NO_VALUE:
        return check(None)
    others = sorted((one for one in bare if one is not _NONE), key=_rank)
    failed: ParseFailed | None = None
    for one in others:
        try:
            return check(_read(text, one, exact=len(others) > 1))
        except ParseFailed as error:
            failed = failed or error
    raise failed or refused("the answer is empty")


def refused(reason: str) -> ParseFailed:
    return ParseFailed(reason, faults=[("$", reason)])


def _rank(type_: Any) -> int:
    """Of a union's members the narrower are tried first."""
    if _options(type_):
        return 0
    known = isinstance(type_, type)
    if known and issubclass(type_, _NUMBERS):
        return 1 if issubclass(type_, int) else 2
    return 4 if type_ is str or type_ is Any or not known else 3


def _read(text: str, type_: Any, *, exact: bool) -> Any:
    """The text as one member of the type says; ``exact`` overlooks nothing around it, for there are other members to try."""
    options = _options(type_)
    if options:
        return _option(text, options, exact)
    if not _is_one(type_):
        return text  # the type's own validators read it
    if type_ is Any or type_ is object or issubclass(type_, str):
        return text.strip()
    if issubclass(type_, _NUMBERS):
        return _number(text, type_, exact)
    plain = text.strip(_WRAPPING) if exact else _after_lead(_cleaned(text).strip(_WRAPPING))
    if issubclass(type_, _DATES) and plain.lstrip("+-").replace(".", "", 1).isdigit():
        raise refused(f"a number is no {name_of(type_)}")  # pydantic would take it for seconds since 1970
    return validator(type_)(plain if issubclass(type_, pathlib.PurePath) else plain.rstrip("."))


def _cleaned(text: str) -> str:
    return unfenced(text.strip())


def _after_lead(text: str) -> str:
    return _LEAD.sub("", text.lstrip("*_ "), count=1).strip(_WRAPPING)


def _ends(text: str) -> list[str]:
    """The whole text, its first line and its last."""
    lines = [line for line in text.split("\n") if line.strip()]
    return list(dict.fromkeys([text, lines[0], lines[-1]])) if lines else []


# ------------------------------------------------------------------ numbers


def _number(text: str, type_: Any, exact: bool) -> Any:
    cleaned = _cleaned(text)
    lines = [line for line in (cleaned.partition("\n")[0], cleaned.rpartition("\n")[2]) if len(line) <= _LONG_LINE]
    found = {_number_at_end(line, alone=exact or (number == 0 and "\n" in cleaned)) for number, line in enumerate(lines)} - {None}
    if exact and "\n" in cleaned:
        found = set()
    if len(found) > 1:
        raise refused(f"the answer gives different numbers: {' and '.join(sorted(map(str, found)))}")
    if found:
        return validator(type_)(found.pop())
    plain = cleaned.strip(_WRAPPING)
    if len(plain) <= 30 and re.fullmatch(r"[-+]?(?:inf(?:inity)?|nan|\d+\s*/\s*\d+)", plain, re.IGNORECASE):
        return validator(type_)(plain.replace(" ", ""))
    raise refused("the answer is not a number alone" if re.search(r"\d", cleaned[:_REACH]) else "there is no number in the answer")


def _number_at_end(text: str, *, alone: bool) -> str | None:
    text = text.rstrip(_WRAPPING).rstrip(".").rstrip(_WRAPPING + ")")
    found = _NUMBER.search(text)
    if found is None:
        return None
    before = text[: found.start()].strip(_WRAPPING + "(")
    if before and (alone or _BEFORE_NUMBER.search(before[-20:]) is None):
        return None
    return found[0].translate(_GROUPS)


# ------------------------------------------------------------------ options


def _normal(text: str) -> str:
    return " ".join(text.strip(_WRAPPING + ".,;:!?()[]{}<>").casefold().split())


def _option(text: str, options: list[tuple[str, Any]], exact: bool) -> Any:
    by_label: dict[str, Any] = {}
    for label, value in options:
        by_label.setdefault(_normal(label) or label.casefold(), value)
    cleaned = _cleaned(text)
    plain = cleaned.strip(_WRAPPING)
    for label, value in options:
        if plain == label:
            return value
    if _normal(plain) in by_label:
        return by_label[_normal(plain)]
    names = ", ".join(label for label, _ in options[:20])
    if not plain:
        raise refused(f"the answer is empty; it must be one of: {names}")
    chosen = [] if exact else _standing_out(cleaned, by_label) or _named(cleaned, by_label, {label for label, _ in options})
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        raise refused(f"the answer names several of: {names}")
    raise refused(f"the answer is none of: {names}")


def _add(values: list[Any], value: Any) -> None:
    if not any(value is other or (type(value) is type(other) and value == other) for other in values):
        values.append(value)


def _standing_out(text: str, by_label: dict[str, Any]) -> list[Any]:
    """The options that stand alone on the first or the last line, or open the answer before a punctuation mark."""
    found: list[Any] = []
    lines = _ends(text)[1:] or [text]
    for line in lines:
        label = _normal(_after_lead(line[-_REACH:] if len(line) > _REACH else line))
        if label in by_label:
            _add(found, by_label[label])
    opening = re.match(r"[^,.:;!\n—–]{1,200}(?=[,.:;!](?:\s|$)|[\n—–])", _after_lead(text[:_REACH]))
    if opening and _normal(opening[0]) in by_label:
        _add(found, by_label[_normal(opening[0])])
    return found


def _named(text: str, by_label: dict[str, Any], labels: set[str]) -> list[Any]:
    """The options named as whole words near either end and not after "not"; of overlapping ones the longest counts.

    A single letter must have its case, for "a" is also an article.
    """
    if len(text) > 2 * _REACH:
        text = text[:_REACH] + "\n" + text[-_REACH:]
    text = " ".join(text.split())
    alternatives = "|".join(_as_word(label) for label in sorted(by_label, key=len, reverse=True))
    found: list[Any] = []
    for match in re.finditer(alternatives, text, re.IGNORECASE):
        before = (" " + text[max(0, match.start() - 7) : match.start()]).casefold().rstrip()
        if before.endswith(_NOT) or (len(match[0]) == 1 and match[0] not in labels):
            continue
        label = match[0].casefold()
        if label in by_label:
            _add(found, by_label[label])
    return found


_NOT = ("n't", "n’t", " not", "never", "cannot")


def _as_word(label: str) -> str:
    if label[0].isdigit() or label[-1].isdigit():
        return rf"(?<![\w−-])(?<!\d[.,/]){re.escape(label)}(?!\w)(?![.,/]\d)"
    return rf"(?<!\w){re.escape(label)}(?!\w)"
