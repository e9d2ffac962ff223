"""From text to terms: words in lower case, names taken apart, stop words dropped, endings cut."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+(?:\.\d+)*|[^\W\d_A-Za-z]+")
"""The pieces of a text: HTTPServer → HTTP Server, get_user2 → get user 2; other scripts as whole runs of letters."""
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af]")
_STOPPED = """
a about an and any are as at be been but by can could did do does for from had has have he her him his how i if in into is it its just may
me might my of on or our please shall she should so some such that the their them then there these they this those to us want was we were
what when where which who whom whose will with would you your
"""
STOP = frozenset(_STOPPED.split())
_LONGEST = 64
_VOWEL = re.compile(r"[aeiouy]")


def words(text: str) -> list[str]:
    """The words of a text in order, in lower case, without accents, stop words included."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in text if not unicodedata.combining(char))
    found: list[str] = []
    for word in _WORD.findall(text):
        if _WIDE.match(word):  # scripts without spaces: pairs of letters
            found.extend(word[at : at + 2] for at in range(max(1, len(word) - 1)))
        else:
            found.append(word[:_LONGEST].lower())
    return found


def terms(text: str) -> list[str]:
    """The terms of a text in order: its words without stop words, by their stems."""
    return [stem(word) for word in words(text) if word not in STOP]


def bag(text: str, weight: float = 1.0) -> dict[str, float]:
    """How often each term occurs, times ``weight``."""
    found: dict[str, float] = {}
    for term in terms(text):
        found[term] = found.get(term, 0.0) + weight
    return found


def merge(bags: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """One bag of several, weights added up: the fields of a document (BM25F; Robertson, Zaragoza, Taylor, CIKM 2004)."""
    found: dict[str, float] = {}
    for part in bags:
        for term, weight in part.items():
            found[term] = found.get(term, 0.0) + weight
    return found


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """A word without its common English endings (the first two steps of Porter, Program 14:3, 1980, simplified)."""
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    word = _singular(word)
    for ending, least in (("ing", 3), ("ed", 3)):
        base = word.removesuffix(ending)
        if base != word and len(base) >= least and _VOWEL.search(base):
            return _mended(base)
    return _shortened(word)


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _mended(base: str) -> str:
    """``plann`` → ``plan``; ``calculat`` and ``calculate`` meet in :func:`_shortened`."""
    if len(base) > 3 and base[-1] == base[-2] and base[-1] not in "aeiouylsz":
        return base[:-1]
    return _shortened(base)


def _shortened(word: str) -> str:
    if word.endswith("e") and len(word) > 4:
        word = word[:-1]
    if word.endswith("y") and len(word) > 3 and word[-2] not in "aeiou":
        word = word[:-1] + "i"
    return word
