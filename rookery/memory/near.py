"""When two texts say the same in other words, by rules that never take a changed number, name, tense or denial for the same."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+(?:[.:/-][^\W_]+)*|[%$€£#@+]|(?<=\s)[-−](?=\d)")
_CONTRACTED = {
    "n't": " not", "'re": " are", "'ve": " have", "'ll": " will", "'m": " am", "it's": "it is", "that's": "that is", "there's": "there is",
    "he's": "he is", "she's": "she is", "what's": "what is", "who's": "who is", "can't": "can not", "cannot": "can not", "won't": "will not",
    "let's": "let us",
}  # fmt: skip
_SAID = re.compile("|".join(rf"\b{re.escape(form)}\b" if form[0].isalpha() and form != "n't" else rf"{re.escape(form)}\b"
                            for form in sorted(_CONTRACTED, key=len, reverse=True)))
_FILLERS = (
    "please note that", "note that", "just so you know", "for the record", "as far as i know", "by the way", "as you know", "of course",
    "in fact", "to be honest", "i think that", "it is true that", "fyi", "btw", "well", "actually", "basically", "really", "just", "also", "so",
    "oh", "ok", "okay", "yes", "yeah", "indeed", "simply", "quite", "very", "definitely", "certainly", "currently", "anyway", "you know",
)  # fmt: skip
_FILLER = re.compile(r"\b(?:" + "|".join(re.escape(text) for text in sorted(_FILLERS, key=len, reverse=True)) + r")\b")
_DROPPED = frozenset({"a", "an", "the"})
_SAME = """
purchase buy|purchases buys|purchased bought|reside live|resides lives|resided lived|assist help|assists helps|assisted helped
commence start|commences starts|commenced started|begin start|begins starts|began started|big large|physician doctor|automobile car
mobile phone|cellphone phone|telephone phone|tv television|photograph photo|photographs photos|movie film|movies films|mom mother|mum mother
dad father|kid child|kids children|obtain get|obtains gets|obtained got|require need|requires needs|required needed|colour color|favourite favorite
favor favour|centre center|organise organize|organises organizes|grey gray|wed wednesday|thu thursday|tue tuesday|mon monday|fri friday
sat saturday|sun sunday|jan january|feb february|mar march|apr april|aug august|sep september|sept september|oct october|nov november
dec december|approximately about|roughly about|daily everyday|attends visits|occurs happens|whilst while|until till|among amongst
"""
_ALIKE = dict(pair.split() for pair in _SAME.replace("\n", "|").split("|") if pair.strip())
_COUNTED = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"
_NUMBERS = {word: str(number) for number, word in enumerate(_COUNTED.split())}
_FRONT = """
on in at during since before after for with from until till by every each last next yesterday today tomorrow usually sometimes often always now
again later recently once within
"""
_AHEAD = frozenset(_FRONT.split())
"""Words that begin a phrase which may stand at the front of a sentence as well as at its end."""


def canonical(text: str) -> tuple[str, ...]:
    """The words of a text as they count: case, accents of spelling, signs, articles, fillers and contractions do not."""
    return _canonical(text) if len(text) < 2_000 else _canonical.__wrapped__(text)


@lru_cache(maxsize=1 << 12)
def _canonical(text: str) -> tuple[str, ...]:
    text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("‘", "'").casefold()
    text = " ".join(text.split())
    text = _SAID.sub(lambda match: _CONTRACTED[match.group()], text)
    text = _FILLER.sub(" ", re.sub(r"(?<=\d),(?=\d{3}\b)", "", text))
    words = []
    for word in _WORD.findall(text):
        word = _NUMBERS.get(word, word)
        word = _ALIKE.get(word, word)
        if word not in _DROPPED:
            words.append(word)
    return tuple(words)


def key(text: str) -> str:
    """Equal for all texts that :func:`same` may hold for: 16 hex digits."""
    return hashlib.blake2b(" ".join(sorted(canonical(text))).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two texts say the same: the same words in the same order, or a phrase moved between front and end."""
    left, right = canonical(one), canonical(other)
    if left == right:
        return bool(left) or one.strip() == other.strip()
    if sorted(left) != sorted(right):
        return False
    return any(left[at:] + left[:at] == right and (left[at] in _AHEAD or left[0] in _AHEAD) for at in range(1, len(left)))
