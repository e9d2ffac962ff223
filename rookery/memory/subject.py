"""What a statement is about, read from the statement by rules: whose which attribute, so that a newer one can replace the older."""

from __future__ import annotations

import re
from functools import lru_cache

from rookery.index.text import STOP, stem, words

_ATTRIBUTES = {
    "city": "city|town|home|home town|hometown|residence|place of residence|location|home city",
    "address": "address|home address|street address|mailing address",
    "employer": "employer|company|workplace|firm|place of work",
    "job": "job|profession|occupation|job title|position|role|title",
    "phone": "phone|phone number|telephone|telephone number|mobile|mobile number|cell number|number",
    "email": "email|e-mail|email address|mail address|e-mail address",
    "age": "age", "birthday": "birthday|birth date|date of birth|birthdate",
    "spouse": "spouse|husband|wife|partner|fiance|fiancee",
    "manager": "manager|boss|supervisor|line manager|head|lead|leader|director|chair",
    "owner": "owner|proprietor", "status": "status|state|condition", "price": "price|cost|fee|rate",
    "deadline": "deadline|due date", "day": "meeting day|day|weekday", "time": "time|meeting time|hour|start time",
    "room": "room|office|meeting room|venue|place", "car": "car|vehicle", "school": "school|university|college",
    "budget": "budget", "version": "version|release", "password": "password|passcode|pin", "team": "team|department|group",
}  # fmt: skip
_NAMED = {name: attribute for attribute, names in _ATTRIBUTES.items() for name in names.split("|")}
_VERBS: list[tuple[str, str]] = [
    ((r"(?:lives?|resides?|is living|is based|is located|is at home) (?:now )?in|(?:has |have )?(?:just )?(?:moved|relocated) "
      r"(?:from .{1,40} )?to|(?:has |have )?settled in|(?:makes|make) (?:his|her|their|my|its) home in"), "city"),
    ((r"works? (?:now )?(?:for|at)|is employed (?:by|at)|started (?:working|work|a job) (?:at|for)|"
      r"took a job (?:at|with)|earns? (?:his|her|their|my|a) living at|switched (?:jobs )?to"), "employer"),
    ((r"works? as|(?:is|am) (?:now )?employed as|earns? (?:his|her|their|my|a) living as|got promoted to|"
      r"was promoted to|serves? as"), "job"),
    (r"meets? (?:now )?(?:on|every|each)|gathers? (?:on|every|each)|(?:comes?|gets?) together (?:on|every|each)", "day"),
    (r"(?:meets?|gathers?|starts?|begins?|takes? place) (?:now )?at (?=\d)", "time"),
    (r"(?:got |is |has )?married(?: to)?|tied the knot with", "spouse"),
    (r"reports? to|is (?:managed|led|supervised) by|answers? to", "manager"),
    (r"is owned by|belongs? to|was (?:bought|acquired) by", "owner"),
    (r"costs?|sells? for|is priced at", "price"),
    (r"drives?", "car"),
    (r"(?:can be|is) (?:reached|called) (?:at|on|under)|(?:answers?|picks? up) (?:at|on)", "phone"),
    (r"(?:studies|study|is studying|is enrolled) at|goes to school at", "school"),
    (r"is due (?:on|by)?", "deadline"),
    (r"turned (?=\d)|is (?=\d+ years old)|am (?=\d+ years old)", "age"),
    (r"was born on", "birthday"),
]
_LEAD = (r"^(?:(?:since|as of|from|on|in|after|before|until) [^,]{1,40}, |(?:update|news|correction|now|today|currently|recently|actually|note|fyi|"
         r"these days|nowadays|from now on|as of now|at the moment|this year|last (?:week|month|year))[,:]? +)*")
_WHO = r"(?P<who>(?:the |my |our |their |his |her )?[^,.;:!?]{1,60}?)"
_WHAT = r"(?:new |current |present |latest )?(?P<what>[\w -]{2,40}?)"
_ADVERB = r"(?: (?:now|currently|recently|just|actually|still|already|presently|officially))*"
_IS = r" (?:is|was|has been|will be|are|became|changed to|has changed to|has become|remains|switched to)"
_VALUE = _ADVERB + r" (?P<value>.+)$"
_PATTERNS = [(re.compile(_LEAD + _WHO + _ADVERB + r" (?:" + verb + r")\b\s*(?P<value>.+)$", re.I), attribute) for verb, attribute in _VERBS]
_OWNED = re.compile(_LEAD + r"(?P<who>(?:the )?[^,.;:!?]{1,60}?)(?:'s|s'|’s) " + _WHAT + _ADVERB + r"(?:" + _IS + r"|:)" + _VALUE, re.I)
_OF = re.compile(_LEAD + r"the " + _WHAT + r" (?:of|for) (?P<who>[^,.;:!?]{1,60}?)" + _ADVERB + _IS + _VALUE, re.I)
_MINE = re.compile(_LEAD + r"(?P<who>my|our) " + _WHAT + _ADVERB + _IS + _VALUE, re.I)
_HAS = re.compile(_LEAD + r"(?P<who>[^,.;:!?]{1,60}?)" + _ADVERB + r" (?:has|have|got|uses?|have got|has got) (?:a |an |the )?" + _WHAT
                  + r" (?:of|called|named|number) (?P<value>.+)$", re.I)
_CALLED = re.compile(_LEAD + r"(?:you|one|we|they) can (?:now )?(?:call|phone|reach) (?P<who>[^,.;:!?]{1,60}?) (?:now )?(?:on|at|under) "
                     r"(?P<value>[+\d(].+)$", re.I)
_MEETING = re.compile(_LEAD + r"(?:the )?(?:weekly |monthly |regular |team )?meetings? of (?P<who>[^,.;:!?]{1,60}?)" + _ADVERB
                      + r" (?:is|are|takes? place|happens?) (?:now )?(?:on|every) (?P<value>.+)$", re.I)
_ASKED = r"\b(?:what|which|who|when|where)(?: is| was|'s| are)\b "
_ASKED_WHAT = r"(?:current |new |present |latest )?(?P<what>[\w -]{2,40})"
_QUESTION = [
    (re.compile(r"\bwhere (?:do|does|did|is|was)\b (?P<who>.+?) (?:now )?(?:live|living|reside|based|settle|move|moved)\b", re.I), "city"),
    (re.compile(r"\b(?:where|for whom|(?:which|what) company) (?:do|does|did|is)\b (?P<who>.+?) (?:now )?(?:work|working|employed)\b", re.I),
     "employer"),
    (re.compile(r"\bwho employs (?P<who>.+)", re.I), "employer"),
    (re.compile(r"\bwhat does (?P<who>.+?) do for (?:a living|work)\b", re.I), "job"),
    (re.compile(r"\b(?:when|on what day|which day|what day) (?:do|does|did|will) (?P<who>.+?) (?:meet|gather)\b", re.I), "day"),
    (re.compile(r"\b(?:who is|whom is|who did) (?P<who>.+?) (?:married to|marry)\b", re.I), "spouse"),
    (re.compile(r"\bwho (?:does|did|do) (?P<who>.+?) report to\b", re.I), "manager"),
    (re.compile(r"\b(?:who (?:manages|leads|supervises)) (?P<who>.+)", re.I), "manager"),
    (re.compile(r"\bwho owns (?P<who>.+)", re.I), "owner"),
    (re.compile(r"\bhow much (?:is|does|did|was) (?P<who>.+?)(?: cost)?$", re.I), "price"),
    (re.compile(r"\bhow old (?:is|was) (?P<who>.+)", re.I), "age"),
    (re.compile(r"\bwhat car (?:does|did) (?P<who>.+?) drive\b", re.I), "car"),
    (re.compile(_ASKED + r"(?:the )?" + _ASKED_WHAT + r"? (?:of|for) (?P<who>.+)", re.I), ""),
    (re.compile(_ASKED + r"(?P<who>.+?)(?:'s|’s|s') " + _ASKED_WHAT, re.I), ""),
    (re.compile(_ASKED + r"(?P<who>my|our) " + _ASKED_WHAT, re.I), ""),
]  # fmt: skip
_TAIL = re.compile(r"\s*\b(?:(?:as of|back in|now|in|on|at|before|after|since|until|today|currently|these days)\b.*)?[?.!]*\s*$", re.I)
_PLAIN = STOP - {"the", "a", "an", "my", "our", "i", "we", "of"}
"""Words that no name of a person, a thing or an attribute has."""
_KNOWN = frozenset(_ATTRIBUTES)
_CHANGED = re.compile(
    r"\b(?:now|no longer|changed|moved|switched|became|has become|instead|from now on|as of|since|new|any ?more|updated?|correction)\b", re.I)
_MAX_CHARS = 300


def named(who: str, what: str = "") -> str:
    """The key of a subject: ``who`` and, if there is one, the attribute by its common name."""
    head = " ".join(stem(word) for word in words(who) if word not in ("the", "a", "an")) or who.strip().casefold()
    if not what:
        return head
    found = _attribute(what)
    return f"{head} / {found}" if found else head


def normal(subject: str) -> str:
    """A subject given by hand as a key: ``Ada / City`` and ``ada/town`` are the same one."""
    who, mark, what = subject.partition("/")
    return named(who, what) if mark else named(subject)


@lru_cache(maxsize=1 << 12)
def read(text: str) -> str:
    """The subject of a statement; empty where no rule knows it."""
    text = text.strip().rstrip(".! ")
    if not text or len(text) > _MAX_CHARS or text.endswith("?"):
        return ""
    for pattern, attribute in ((_CALLED, "phone"), (_MEETING, "day")):
        match = pattern.search(text)
        if match:
            return _key(match["who"], attribute)
    for pattern in (_OWNED, _OF, _MINE, _HAS):
        match = pattern.search(text)
        if match and _attribute(match["what"]):
            return _key(match["who"], match["what"])
    for pattern, attribute in _PATTERNS:
        match = pattern.search(text)
        if match:
            return _key(match["who"], attribute)
    return ""


def replaces(subject: str, text: str) -> bool:
    """Whether a statement with this subject ends an older one: its attribute has one value at a time, or the text says that it changed.

    ``Ada's dog is hungry`` does not end ``Ada's dog is brown``.
    """
    _, mark, attribute = subject.partition(" / ")
    return bool(mark) and (attribute in _KNOWN or attribute.startswith("favorite ") or _CHANGED.search(text) is not None)


def asked(question: str) -> str:
    """The subject that a question is about; empty where no rule knows it."""
    text = question.strip().rstrip("?.! ")
    for pattern, attribute in _QUESTION:
        match = pattern.search(text)
        if match:
            who = _TAIL.sub("", match["who"]) or match["who"]
            what = attribute or _TAIL.sub("", match["what"])
            if what and (attribute or _attribute(what)):
                return _key(who, what)
    return ""


def _key(who: str, what: str) -> str:
    who = who.strip()
    if _attribute(what) not in _KNOWN and set(words(f"{who} {what}")) & _PLAIN:
        return ""
    if who.casefold() in ("i", "my", "me", "mine"):
        who = "i"
    elif who.casefold() in ("we", "our", "us"):
        who = "we"
    elif len(words(who)) > 5 or who.casefold() in ("he", "she", "it", "they", "you", "that", "this", "there", "who", "which"):
        return ""
    return named(who, what)


def _attribute(what: str) -> str:
    """The common name of an attribute; ``favourite colour`` stays what it is; empty when it is none that has one value."""
    what = " ".join(what.casefold().replace("favourite", "favorite").replace("colour", "color").split())
    if what in _NAMED:
        return _NAMED[what]
    if what.startswith("favorite "):
        return what
    plain = [word for word in words(what) if word not in ("the", "a", "an")]
    if 0 < len(plain) <= 3:
        return " ".join(stem(word) for word in plain)
    return ""
