"""Times that a question names: ``in May 2023``, ``last week``, ``on 7 June``; as intervals that dates of items are held against."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

Interval = tuple[float, float]
_NAMES = """january jan|february feb|march mar|april apr|may|june jun|july jul|august aug|september sep sept|october oct|november nov|december dec"""
_MONTHS = {name: number for number, names in enumerate(_NAMES.split("|"), 1) for name in names.split()}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_ISO = re.compile(r"\b(\d{4})-(\d{2})(?:-(\d{2}))?\b")
_DAY = re.compile(rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({_MONTH})|({_MONTH})\.? (\d{{1,2}})(?:st|nd|rd|th)?)\b(?:,? (\d{{4}}))?", re.I)
_MONTH_ONLY = re.compile(
    rf"\b(?:in|during|of|since|last|this|early|late|mid|by|until|for)[ -]({_MONTH})\b(?:,? (\d{{4}}))?|\b({_MONTH}),? (\d{{4}})", re.I)
_YEAR = re.compile(r"\b(?:in|during|since|of|for|by|year) ((?:19|20)\d{2})\b", re.I)
_RELATIVE = re.compile(
    r"\b(?:(yesterday|today)|(last|this|past) (week|month|year|weekend)|(\d+|a|two|three|few) (day|week|month|year)s? ago)\b", re.I)
_DAYS = {"day": 1, "week": 7, "weekend": 7, "month": 31, "year": 366}


def intervals(text: str, now: float) -> list[Interval]:
    """The times that a text names, as (begin, end) in seconds since 1970; a day or a month without a year is taken in every year near ``now``."""
    found: list[Interval] = []
    try:
        today = datetime.fromtimestamp(now, UTC)
    except (OverflowError, ValueError, OSError):
        return found
    for match in _ISO.finditer(text):
        found += _span(int(match[1]), int(match[2]), int(match[3]) if match[3] else None)
    for match in _DAY.finditer(text):
        month, day = _MONTHS[(match[2] or match[3]).lower()], int(match[1] or match[4])
        for year in [int(match[5])] if match[5] else range(today.year - 3, today.year + 1):
            found += _span(year, month, day)
    if not found:
        for match in _MONTH_ONLY.finditer(text):
            month, given = _MONTHS[(match[1] or match[3]).lower()], match[2] or match[4]
            for year in [int(given)] if given else range(today.year - 3, today.year + 1):
                found += _span(year, month, None)
    if not found:
        for match in _YEAR.finditer(text):
            found.append((datetime(int(match[1]), 1, 1, tzinfo=UTC).timestamp(), datetime(int(match[1]) + 1, 1, 1, tzinfo=UTC).timestamp()))
    for match in _RELATIVE.finditer(text):
        found.append(_relative(match, today))
    return found


def _span(year: int, month: int, day: int | None) -> list[Interval]:
    """A day, or a month; nothing for one that no calendar has."""
    try:
        begin = datetime(year, month, day or 1, tzinfo=UTC)
        end = begin + timedelta(days=1) if day else datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        return []
    return [(begin.timestamp(), end.timestamp())]


def _relative(match: re.Match[str], today: datetime) -> Interval:
    day = today.replace(hour=0, minute=0, second=0, microsecond=0)
    if match[1]:
        begin = day - timedelta(days=1 if match[1].lower() == "yesterday" else 0)
        return begin.timestamp(), (begin + timedelta(days=1)).timestamp()
    if match[2]:
        return (today - timedelta(days=2 * _DAYS[match[3].lower()])).timestamp(), today.timestamp()
    count = {"a": 1, "two": 2, "three": 3, "few": 3}.get(match[4].lower()) or min(int(match[4]), 3_000)
    width = _DAYS[match[5].lower()]
    middle = today - timedelta(days=count * width)
    return (middle - timedelta(days=width)).timestamp(), (middle + timedelta(days=width)).timestamp()
