"""A rule-based reader of graph questions in English: from a question's words to its graph, and what is asked of it.

It stands in for a language model where none is at hand, and is never passed off as one. It knows many ways to write edges (pairs, arrows,
sentences, lists of neighbours, "must come before"), any names of nodes, and eight problems. What it cannot read it says so; it never guesses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

NAME = r"(?:\"[^\"\n]{1,40}\"|'[^'\n]{1,40}'|[A-Za-z0-9_]+(?:[.'’-][A-Za-z0-9_]+)*)"
"""One name: quoted, or letters, digits and joints."""
NUMBER = r"[-+]?\d+(?:\.\d+)?"
KINDS_OF_NODE = (
    "nodes?", "vertex", "vertices", "cit(?:y|ies)", "towns?", "stations?", "stops?", "routers?", "computers?", "servers?", "machines?", "hosts?", "islands?",
    "villages?", "persons?", "people", "users?", "members?", "airports?", "rooms?", "houses?", "tasks?", "courses?", "modules?", "packages?", "steps?",
    "points?", "junctions?", "hubs?", "switch(?:es)?", "sites?", "places?", "locations?", "warehouses?", "tanks?", "reservoirs?", "players?", "elements?",
    "items?", "applicants?", "candidates?", "workers?", "employees?", "students?", "jobs?", "positions?", "projects?", "roles?", "shifts?", "activit(?:y|ies)",
    "depots?", "ports?", "pumps?", "intersections?", "landmarks?", "buildings?", "planets?", "webpages?", "pages?", "files?", "targets?", "interns?", "teachers?",
    "volunteers?", "machinists?", "drivers?", "vehicles?", "cars?", "slots?", "desks?", "offices?", "caves?", "cells?", "stages?", "components?", "devices?",
)  # fmt: skip
NOUN = rf"(?:the\s+)?(?:{'|'.join(KINDS_OF_NODE)})"
NODE = rf"(?:{NOUN}\s+)?(?:the\s+)?({NAME})"
LIST = rf"(?:{NOUN}\s+)?{NAME}(?:\s*(?:,\s*(?:and\s+|or\s+)?|\s+and\s+|\s+or\s+|\s*&\s*)(?:(?:with|to)\s+)?(?:{NOUN}\s+)?{NAME})*"
COSTS = (
    "weights?|lengths?|distances?|costs?|capacit(?:y|ies)|cap|bandwidth|price|time|tolls?|fare|fee|limit|throughput|width|delay|latency|score|effort|risk|traffic|"
    "travel time|max|maximum|w|c|d"
)
_SAYS = (
    "with|of|has|have|having|at|by|whose|and|in|carries|carry|takes?|taking|costs?|costing|is|are|for|holds?|allows?|allowing|can carry|can take|can handle|can hold|"
    "carrying|weighs?|weighing|measures?|spans?|needs?|requires?|that|which|it|its|lets|supports?|moves?|a|an|the|up to|at most|no more than|maximum|exactly|only|about"
)
WEIGHT = rf"[\s:=,(\[/@]*(?:(?:{_SAYS})\b[\s:=(\[]*)*(?:(?:{COSTS})\b[\s:=(\[]*)?(?:(?:is|of|up to|at most|equal to|through)\b\s*|[=:]\s*)*[$€£]?({NUMBER})(?!\w*\s*(?:->|→))"
"""A number that is told of an edge, with the words that lead to it."""
STOP = frozenset(
    ["a", "an", "and", "are", "as", "at", "be", "before", "after", "between", "by", "can", "connected", "directed", "each", "edge", "edges", "every", "for", "from", "graph", "has", "have", "if", "in", "into", "is", "it", "its", "lead", "leads", "must", "no", "node", "nodes", "not", "of", "on", "one", "only", "or", "other", "path", "same", "should", "that", "the", "their", "there", "this", "to", "two", "undirected", "vertex", "visit", "visited", "was", "we", "weight", "what", "which", "with", "you", "does", "do", "how", "when", "where", "your", "find", "give", "given", "all", "any", "some", "than", "then", "them", "they", "these", "those", "will", "following", "between", "both"]
)
@dataclass
class Reading:
    """What was read of one question."""

    problem: str
    directed: bool = False
    weighted: bool = False
    nodes: list[str] = field(default_factory=list)
    edges: list[tuple[str, str, float]] = field(default_factory=list)
    arguments: dict[str, Any] = field(default_factory=dict)


class NotRead(ValueError):
    """The question is none that the rules can read; the text says what is missing."""


# ------------------------------------------------------------------ which problem

Test = Callable[[str], bool]


def has(pattern: str) -> Test:
    """Whether a text has a match."""
    found = re.compile(pattern)
    return lambda text: found.search(text) is not None


STRONG: list[tuple[str, Test]] = [
    ("graph convolution", has(r"convolution|embedding|feature vector|message[- ]passing|aggregat|(?:sum|total) of (?:its|their|the|all)(?: \w+)* neighbo")),
    ("hamiltonian path", has(r"hamilton|(?:each|every|all)(?: of)?(?: the)?(?: \w+){1,4} exactly once|(?:each|every) \w+ once\b|once and only once|exactly one time"
                             r"|without (?:visiting|repeating|entering|passing)[^.?]{0,40}twice|(?:each|every|all)(?: \w+){1,4} (?:one time|a single time)")),
    ("maximum flow", has(r"max(?:imum|imal|imi[sz]e)?[- ](?:the |total |possible |amount of )*(?:network )?flow|flow value|(?:maximum|largest|greatest|highest) (?:total )?(?:amount|volume|rate|throughput|flow|quantity|number of \w+ per)"
                         r"|most (?:water|data|goods|traffic|oil|gas|\w+ per (?:hour|second|day|minute))|how (?:much|many)[^.?]{0,60}(?:flow|sent|send|push|ship|pass|move|route|deliver|transport|pump|stream)|throughput|at most[^.?]{0,30}per (?:hour|second|minute|day)")),
    ("bipartite matching", has(r"\bmatch|assign|pair(?:ed)? up|appoint|interested in|applicant|as many \w+ as possible|allocat|(?:maximum|largest|greatest) number of (?:people|workers|\w+s|shifts|jobs|pairs)(?: that| who| which)?")),
]  # fmt: skip
"""Signs that mean a problem wherever they stand; in this order."""
ASKED: list[tuple[str, Test]] = [
    ("shortest path", has(r"shortest|cheapest|quickest|fastest|least (?:total )?(?:weight|cost|distance|time|expensive|effort)|(?:minimum|minimal|lowest|smallest|least)[- ](?:possible |total |overall |combined )*(?:weight|cost|distance|length|time|sum|latency|toll|delay|price|effort|risk)|min(?:imum)?-(?:cost|weight)|optimal (?:path|route)|least costly|how (?:far|long|expensive)")),
    ("topological order", has(r"topolog|\border\b|sequence|schedul|linear|prerequisite|all (?:the )?\w+ be (?:visited|done|finished|completed|taken)")),
    ("cycle", has(r"\bcycl|acyclic|closed (?:loop|walk|tour|chain|trail)|\bloops?\b|circuit|circular|round trip|back (?:to|at) (?:where|the|its|your|his|her)|return(?:ing)? to (?:where|the|its|your)|\bring\b|(?:a|form) (?:tree|forest)\b|deadlock|depend on (?:itself|themselves|each other)|end up where")),
    ("connectivity", has(r"path|connect|reach|route|travel|\bget\b|way (?:from|between|to)|same (?:component|group|cluster|network|part)|linked|\bgo\b|communicat|walk|lead|chain|send|pass|talk|drive|flow|arrive|spread|rumou?r|joined|message")),
]  # fmt: skip
"""By what is asked, where no strong sign stands; in this order."""


def problem_of(asked: str, told: str) -> str:
    """Which of the problems a question is."""
    whole = f"{told}\n{asked}"
    for name, is_it in STRONG:
        if is_it(asked) or (name != "bipartite matching" and is_it(whole)):
            return name
    for name, is_it in ASKED:
        if is_it(asked) and (name != "topological order" or has(r"before|after|prerequisite|depend|require|precede|until|once|need|topolog|earlier|later|first")(whole)):
            return name
    for name, is_it in [*STRONG, *ASKED[:3]]:
        if is_it(told):
            return name
    raise NotRead("what is asked of the graph")


# ------------------------------------------------------------------ names and text


def bare(name: str) -> str:
    """A name without its quotation marks."""
    return name.strip().strip("\"'")


_IS_NOUN = re.compile(NOUN, re.IGNORECASE).fullmatch


def is_name(word: str) -> bool:
    """Whether a word may be a node: a letter, or no common word."""
    return len(word) == 1 or (bool(word) and word.lower() not in STOP and not _IS_NOUN(word))


def names_in(text: str) -> list[str]:
    """The names of a list such as ``3, 4 and node 7``."""
    words = [bare(word) for word in re.findall(NAME, re.sub(rf"\b(?:and|or|{NOUN})\b(?=\s|,|$)", " ", text, flags=re.IGNORECASE))]
    return [word for word in words if is_name(word)]


_ASKS = re.compile(
    r"^\s*(?:(?:now|so|then|also|please|your task is to|your job is to|the task is to|task\s*:|q\s*:|question\s*:|we want to know|i want to know|"
    r"you are asked to|if (?:yes|so|there is one|it is|possible)[, ]*|help (?:me|us|them|him|her)(?: to)?)\s*,?\s*)*"
    r"(?:find|give|determine|compute|calculate|tell|list|decide|print|output|report|name|show|provide|produce|work out|state|return|write|assign|match|"
    r"what|which|how|where|can|could|is|are|does|do|will|would|may|in (?:what|which)|between which)\b",
    re.IGNORECASE,
)


def sentences(text: str) -> list[str]:
    """Sentences and lines, with their ends."""
    return [part for part in re.split(r"(?<=[?!])\s+|(?<=[^\s\d.][.;])\s+|(?<=\d[.;])\s+(?=\D|\d+\s+[a-z])|\n", text) if part.strip()]


def split_question(text: str) -> tuple[str, str]:
    """What is told, and what is asked: the sentences that ask, wherever they stand."""
    text = re.sub(r"\n\s*A\s*:\s*$", "", text.strip())
    told, asked = [], []
    for part in sentences(text):
        asks = part.rstrip().endswith("?") or (_ASKS.match(part) is not None and not _holds_edges(part))
        if asks and ":" in part and _holds_edges(part.partition(":")[2]):  # "Find a path in this graph: (a,b) …"
            head, _, rest = part.partition(":")
            asked.append(head)
            told.append(rest)
        elif asks and part.rstrip().endswith("?") and (cut := _asks_from(part)):
            told.append(part[:cut])
            asked.append(part[cut:])
        else:
            (asked if asks else told).append(part)
    if not asked:
        return text, text
    return "\n".join(told), "\n".join(asked)


def _holds_edges(text: str) -> bool:
    return len(_TUPLE.findall(text)) > 1 or len(re.findall(r"->|→|<->|--|\w\s?[-–—]\s?\w", text)) > 1


def _asks_from(part: str) -> int:
    """Where in a sentence the asking begins, if edges stand before it: ``Given (a,b) (b,c), is there …?``; else 0."""
    found = list(re.finditer(r"[,;:)]\s+(?=(?:is|are|does|do|can|could|what|which|how|find|will)\b)", part, re.IGNORECASE))
    return found[-1].end() if found and _holds_edges(part[: found[-1].end()]) else 0


# ------------------------------------------------------------------ edges

Edge = tuple[str, str, float | None, bool | None]
"""From, to, the weight where it is told, and whether its sign has a direction (None: it does not say)."""
_TUPLE = re.compile(rf"[(\[{{<]\s*(?:{NOUN}\s+)?({NAME})\s*[,;|]\s*(?:{NOUN}\s+)?({NAME})\s*(?:[,;:|]\s*(?:(?:{COSTS})\s*[=:]?\s*)?({NUMBER})\s*)?[)\]}}>](?:\s*(?::|=|with (?:{COSTS})|{COSTS})\s*({NUMBER}))?", re.IGNORECASE)
_ARROW = re.compile(
    rf"({NAME})\s*(<-+>|<=+>|↔|⇔|⟷|-+>|=+>|→|⇒|⟶|>|--+|—|–|-|~)\s*(?:[(\[]?\s*(?:(?:{COSTS})\s*[=:]?\s*)?({NUMBER})\s*[)\]]?\s*(-+>|--+|→|-)\s*)?({NAME})"
    rf"(?:\s*(?:[:=(\[@/|]|\b(?:with|takes?|costs?|is|has|of|weighs?|carries|at)\b){WEIGHT})?",
    re.IGNORECASE,
)
_PLAIN = re.compile(rf"(?:\b(?:from|between)\s+)?{NODE}\s+(?:to|and|with|into|towards)\s+{NODE}\s*(?:\b(?:takes?|costs?|is|has|with|of|at|holds?|carries|measures?|weighs?|can)\b|[:=(\[,])\s*{WEIGHT}", re.IGNORECASE)
"""``from A to B takes 5``, ``A to B: 5``."""
_PAIRS = re.compile(rf"(?:^|[:,;]|\band\b|\bjoin\b|\bconnect\b)\s*(?:from\s+|between\s+)?{NODE}\s+(?:with|to|and)\s+{NODE}(?=\s*(?:[,;.]|$|and\b))", re.IGNORECASE)
"""``A with B, B with C`` in a sentence that speaks of joining."""
_BETWEEN = re.compile(
    rf"\b(?:edges?|roads?|links?|lines?|cables?|pipes?|arcs?|connections?|tracks?|bridges?|flights?|trails?|streets?|tunnels?|corridors?|ferr(?:y|ies)|friendships?|wires?|canals?|path(?:way)?s?|route|channels?|highways?|ties?|bonds?|hallways?)\b[^.\n]{{0,40}}?"
    rf"\b(?:(between|joining|linking|connecting|joins|links|connects)|(from|leading from|running from|goes from|runs from|leads from))\s+{NODE}\s*(?:,|and|to|with|into|towards|&)\s*{NODE}(?:[^.\n\d]{{0,3}}{WEIGHT})?",
    re.IGNORECASE,
)
_VERBS_TO = (
    r"points? to|leads? to|goes to|flows? (?:in)?to|feeds?(?: into)?|sends? (?:\w+ )?to|has (?:an? )?(?:\w+ )?(?:edge|arc|link|pipe|arrow|channel|road|connection) (?:in)?to|imports?|includes?|cites?|follows|references?|calls|trusts|likes|beats|blocks|waits for|links? to|drains? into|pumps? (?:\w+ )?(?:in)?to|pours? into|empties into|supplies"
)
_VERBS_WITH = (
    r"(?:is|are|was)?\s*(?:directly |also )?(?:connected|linked|joined|adjacent|wired|tied|attached|next|hooked up|bound|friends?|neighbou?rs?|a neighbou?r|bordering|acquainted) (?:to|with|by [^.\n]{1,20} to|of)|connects? (?:directly )?(?:to|with)|joins? (?:up )?(?:to|with)"
    r"|borders|touches|neighbou?rs(?: are)?|is (?:a )?friends? (?:of|with)|knows|shares (?:an? )?(?:edge|link|border|road) with|has (?:an? )?(?:\w+ )?(?:edges?|links?|roads?|connections?|ties?) (?:to|with)|links? (?:up )?with|can talk to|talks to|meets"
)
_TO = re.compile(rf"{NODE}\s+(?:{_VERBS_TO})\s+({LIST})(?:\s*{WEIGHT})?", re.IGNORECASE)
_WITH = re.compile(rf"{NODE}\s+(?:{_VERBS_WITH})\s+({LIST})(?:\s*{WEIGHT})?", re.IGNORECASE)
_BOTH = re.compile(rf"{NODE}\s+and\s+{NODE}\s+(?:are|were|share|know|have)\s+(?:\w+\s+){{0,2}}(?:connected|linked|joined|adjacent|neighbou?rs|friends|tied|each other|edge|link|road|wired)(?:[^.\n\d]{{0,12}}{WEIGHT})?", re.IGNORECASE)
_ADJACENCY = re.compile(rf"^\s*(?:[-*•]\s*)?(?:adj(?:acency)?\s*)?[\[(]?(?:{NOUN}\s+)?({NAME})[\])]?\s*(?::|->|→|=>|\|)\s*[\[({{]?\s*((?:{NAME}(?:\s*[(:=\[]\s*{NUMBER}\s*[)\]]?)?\s*(?:,|\s|;|and)*)+)[\])}}]?\s*[.;]?\s*$", re.IGNORECASE)
_BEFORE = (
    re.compile(rf"{NODE}\s+(?:should|must|has to|have to|needs? to|is to|ought to|shall|can only)?\s*(?:be\s+)?(?:\w+\s+)?(?:visited|done|finished|completed|taken|come|comes|happen|happens|executed|built|placed|run|scheduled|processed|started|go|goes|precede|precedes|installed|performed|listed|read|passed)?\s*(?:earlier than|ahead of|prior to|before|precedes?)\s+{NODE}", re.IGNORECASE),
    re.compile(rf"{NODE}\s+(?:is|are)\s+(?:an?\s+)?(?:prerequisites?|preconditions?|requirements?|required|needed|necessary)\s+(?:of|for|by|before)\s+{NODE}", re.IGNORECASE),
)
_AFTER = (
    re.compile(rf"before\s+(?:you (?:can )?(?:do|start|take|begin|run)\s+)?{NODE}(?:\s+(?:can|may|could)\s+(?:be\s+)?\w+)?\s*,?\s*(?:you (?:need|must|have)(?: to)?(?: (?:do|finish|complete|take|have))?|do|finish|complete|comes?|there is)\s+({LIST})", re.IGNORECASE),
    re.compile(rf"{NODE}\s+(?:has to |must |should |needs to |can only |cannot |can't |may not )?(?:wait|waits|be started|begin|start|happen|be done|be \w+ed)\s+(?:until|unless|before|for)\s+({LIST})\s+(?:is|are|has|have)\b", re.IGNORECASE),
    re.compile(rf"{NODE}\s+(?:should|must|has to|have to|needs? to|is to|can|may|can only|shall)?\s*(?:only\s+)?(?:be\s+)?(?:\w+\s+)?(?:visited|done|finished|completed|taken|come|comes|happen|happens|executed|built|placed|run|scheduled|processed|start|starts|started|begin|begins|go|goes|installed|performed|listed|read|follow|follows)?\s*(?:only\s+)?(?:later than|after|once|follows?|until after)\s+{NODE}", re.IGNORECASE),
    re.compile(rf"{NODE}\s+(?:depends? (?:up)?on|requires?|needs|relies on|builds on|waits for|is blocked by)\s+({LIST})", re.IGNORECASE),
)  # fmt: skip
_INTEREST = re.compile(
    rf"{NODE}\s+(?:is|are)?\s*(?:also )?(?:interested in|applied (?:for|to)|applies (?:for|to)|wants?|would like|would take|likes?|qualified (?:for|to do)|suited (?:for|to)|can (?:do|take|work on|fill|perform|handle|operate|drive|use|cover)|is able to (?:do|take)|willing to (?:do|take)|prefers?|accepts?|could (?:do|take|fill)|compatible with|eligible for|trained for|fits|may (?:take|do|use)|knows how to do|available for)\s+({LIST})",
    re.IGNORECASE,
)


def number(text: str | None) -> float | None:
    return float(text) if text else None


_RANGE = re.compile(r"(?:numbered|labell?ed|named|indexed|called|numbers?)\s+(?:from\s+)?(\d+)\s*(?:to|through|-|–|\.\.+|until|up to)\s*(\d+)", re.IGNORECASE)
_LEGEND = re.compile(r"\b(?:means|mean|denotes?|represents?|indicates?|stands? for|signif(?:y|ies)|is written|notation)\b", re.IGNORECASE)
"""Says how edges are written; the edge in such a sentence is none, unless a colon follows."""


def lines_of(text: str) -> Iterator[str]:
    """Lines and sentences, one after another."""
    for line in text.splitlines():
        for part in re.split(r"(?<=[^\d.])[.;](?:\s+|$)|(?<=\d)\.(?:\s+|$)|(?<=[\d)]);\s+", line):
            legend = _LEGEND.search(part)
            rest = _RANGE.sub(" ", part if legend is None else part[legend.end() :].partition(":")[2])
            if rest.strip():
                yield rest


def edges_of(text: str, problem: str) -> list[Edge]:
    """All edges that are told, in their order, by the first way to write them that a line has."""
    found: list[Edge] = []
    for line in lines_of(text):
        found.extend(_in_line(line, problem))
    return found


def _in_line(line: str, problem: str) -> list[Edge]:
    ways: list[Callable[[str], list[Edge]]] = [_tuples, _sent, _between, _adjacency, _plain, _told, _arrows, _pairs]
    if problem == "topological order":
        ways = [_orders, *ways]
    if problem == "bipartite matching":
        ways = [_interests, *ways]
    for way in ways:
        found = [edge for edge in way(line) if is_name(edge[0]) and is_name(edge[1])]
        if found:
            return found
    return []


def _tuples(line: str) -> list[Edge]:
    return [(bare(a), bare(b), number(w or x), None) for a, b, w, x in _TUPLE.findall(line)]


def _between(line: str) -> list[Edge]:
    return [(bare(m[3]), bare(m[4]), number(m[5]), True if m[2] else None) for m in _BETWEEN.finditer(line)]


def _arrows(line: str) -> list[Edge]:
    """``a -> b -> c`` too: each arrow's right end may begin the next."""
    found: list[Edge] = []
    place = 0
    while match := _ARROW.search(line, place):
        sign = match[2] if not match[4] or match[4] == "-" else match[4]
        place = match.end()
        if match[2] == "-" and match[3] is None and re.fullmatch(r"[a-z]{3,}-[a-z]{3,}", match[0]):
            continue  # a hyphen within a word
        one_way = None if set(sign) <= set("-–—~") else "<" not in sign and sign not in "↔⇔⟷"
        found.append((bare(match[1]), bare(match[5]), number(match[3] or match[6]), one_way))
        if match[6] is None and re.match(rf"(?:{NAME})\s*(?:->|→|--|=>|-\s|–|—|>)", line[match.start(5) :]):
            place = match.start(5)
    return found


def _plain(line: str) -> list[Edge]:
    one_way = True if re.search(r"\bfrom\b", line, re.IGNORECASE) else None
    return [(bare(m[1]), bare(m[2]), number(m[3]), one_way) for m in _PLAIN.finditer(line)]


def _pairs(line: str) -> list[Edge]:
    if not re.search(r"\b(?:join|joins|connect|connects|link|links|between|edges?|roads?|streets?|friends?|know|adjacent|neighbou?rs?|pairs?|cables?)\b", line, re.IGNORECASE):
        return []
    found, place = [], 0
    while match := _PAIRS.search(line, place):
        found.append((bare(match[1]), bare(match[2]), None, None))
        place = match.end()
    return found


_SENT = re.compile(
    rf"(?:\b(?:sends?|pumps?|pushes|ships?|carries|delivers?|transports?|pipes?|moves?|supplies)\b)?\s*(?:up to|at most|no more than|a maximum of|maximum)?\s*({NUMBER})\s*(?:\w+\s+){{0,4}}?(?:to|into|towards)\s+{NODE}",
    re.IGNORECASE,
)
_SENDER = re.compile(rf"{NODE}\s+(?:can\s+|may\s+)?(?:sends?|pumps?|push(?:es)?|ships?|carr(?:y|ies)|delivers?|transports?|moves?|suppl(?:y|ies)|pass(?:es)?|forwards?)\b", re.IGNORECASE)


def _sent(line: str) -> list[Edge]:
    """``s sends up to 16 units to v1 and up to 13 units to v2``."""
    senders = list(_SENDER.finditer(line))
    found: list[Edge] = []
    for place, sender in enumerate(senders):
        rest = line[sender.end() : senders[place + 1].start() if place + 1 < len(senders) else len(line)]
        found += [(bare(sender[1]), bare(m[2]), number(m[1]), True) for m in _SENT.finditer(rest)]
    return found


def _adjacency(line: str) -> list[Edge]:
    match = _ADJACENCY.match(line)
    if match is None:
        return []
    neighbours = re.findall(rf"({NAME})(?:\s*[(:=\[]\s*({NUMBER})\s*[)\]]?)?", match[2])
    if re.search(r"->|→|=>", line) and len(neighbours) == 1:
        return []  # a single arrow is read as one
    return [(bare(match[1]), bare(b), number(w), None) for b, w in neighbours if is_name(bare(b))]


def _told(line: str) -> list[Edge]:
    found: list[Edge] = [(bare(m[1]), b, number(m[3]), True) for m in _TO.finditer(line) for b in names_in(m[2])]
    found += [(bare(m[1]), bare(m[2]), number(m[3]), None) for m in _BOTH.finditer(line)]
    if not found:
        found = [(bare(m[1]), b, number(m[3]), None) for m in _WITH.finditer(line) for b in names_in(m[2])]
    return found


def _orders(line: str) -> list[Edge]:
    found: list[Edge] = [(bare(m[1]), bare(m[2]), None, True) for each in _BEFORE for m in each.finditer(line)]
    found = found or [(b, bare(m[1]), None, True) for each in _AFTER for m in each.finditer(line) for b in names_in(m[2])]
    return found


def _interests(line: str) -> list[Edge]:
    return [(f"left:{bare(m[1])}", f"right:{b}", None, None) for m in _INTEREST.finditer(line) for b in names_in(m[2])]


# ------------------------------------------------------------------ the rest of a question

_NAMED = re.compile(rf"(?:{NOUN}|they|set of \w+)\s*(?:are|:|include|is|=|are named|are called|are labell?ed)?\s*(?:named|called|labell?ed|:|=)?\s*[\[({{]?((?:{NAME}\s*,\s*)+(?:and\s+)?{NAME})", re.IGNORECASE)
_EMBEDDED = re.compile(rf"{NODE}\s*(?::|=|has|have|starts? with|holds|carries|is|->)\s*(?:an?\s+)?(?:the\s+)?(?:initial\s+)?(?:embedding|feature(?:s| vector)?|vector|value)?\s*(?:of|:|=)?\s*[\[(]\s*({NUMBER}(?:\s*[,\s]\s*{NUMBER})*)\s*[\])]", re.IGNORECASE)
_LAYERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "a single": 1, "single": 1, "twice": 2, "once": 1, "thrice": 3}


def nodes_told(text: str) -> list[str]:
    """Nodes that are named apart from edges."""
    match = _RANGE.search(text)
    if match and int(match[2]) - int(match[1]) < 100_000:
        return [str(n) for n in range(int(match[1]), int(match[2]) + 1)]
    named = _NAMED.search(text)
    return names_in(named[1]) if named else []


def ends_of(asked: str, nodes: set[str], *, open_ended: bool) -> tuple[str, str]:
    """From where to where: the two nodes that the question names, in its order or as from and to. Where the nodes were not listed
    (``open_ended``), a number among numbers may be a node without edges."""
    has_numbers = open_ended and all(node.isdigit() for node in nodes)

    def is_node(name: str) -> bool:
        return name in nodes or (has_numbers and name.isdigit())

    node = rf"(?:{NOUN}\s+)?(?:the\s+)?({NAME})"
    for pattern, order in (
        (rf"\bfrom\s+{node}[^?.]*?\b(?:to|into|towards|reach(?:es|ing)?|reaching|arrive at|get to)\s+{node}", (1, 2)),
        (rf"\bbetween\s+{node}\s+(?:and|to)\s+{node}", (1, 2)),
        (rf"\b(?:reach|to|into|arrive at)\s+{node}[^?.]*?\b(?:from|starting (?:at|from|in)|leaving|beginning at)\s+{node}", (2, 1)),
        (rf"(?:source|start|origin)\w*\s*(?:is|=|:|at|from|in)?\s*{node}[^?.]*?(?:sink|target|destination|goal|end)\w*\s*(?:is|=|:|at|in)?\s*{node}", (1, 2)),
        (rf"\b(?:starting|start|begin|beginning|leaving|leave|depart\w*)\s+(?:from|at|in)?\s*{node}[^?.]*?\b(?:to|reach|reaching|end(?:ing)? (?:at|in)|finish(?:ing)? (?:at|in)|arriv\w+ (?:at|in))\s+{node}", (1, 2)),
    ):  # fmt: skip
        for match in re.finditer(pattern, asked, re.IGNORECASE):
            pair = bare(match[order[0]]), bare(match[order[1]])
            if is_node(pair[0]) and is_node(pair[1]):
                return pair
    named = [bare(word) for word in re.findall(NAME, asked) if is_node(bare(word)) and is_name(bare(word))]
    different = list(dict.fromkeys(named))
    if len(different) == 2:
        return different[0], different[1]
    raise NotRead("between which two nodes")


def is_directed(text: str, problem: str, edges: list[Edge]) -> bool:
    """As the text says; else as the edges are written; else as the problem has it."""
    low = text.lower()
    if re.search(r"undirected|bidirectional|both directions|two-way|either direction|both ways|in either way|non-directed", low):
        return False
    if re.search(r"\bdirected|one-way|digraph|arrows?\b|in the direction|one direction", low) or problem in ("topological order", "maximum flow"):
        return True
    return bool(edges) and all(edge[3] for edge in edges)


# ------------------------------------------------------------------ the whole


def read(question: str) -> Reading:
    """A question's graph and what is asked of it.

    :raises NotRead: with what could not be read.
    """
    told, asked = split_question(question)
    problem = problem_of(asked.lower(), told.lower())
    body = told
    reading = Reading(problem)
    if problem == "graph convolution":
        body = _embeddings(told, asked, reading)
    edges = edges_of(body, problem)
    if not edges and told != question:
        edges = edges_of(question, problem)
    if not edges:
        raise NotRead("the edges of the graph")
    reading.directed = is_directed(question, problem, edges)
    reading.weighted = any(edge[2] is not None for edge in edges)
    reading.edges = [(a, b, 1.0 if weight is None else weight) for a, b, weight, _ in edges]
    listed = nodes_told(told)
    known = list(dict.fromkeys([*listed, *(end for edge in edges for end in edge[:2])]))
    _nothing_unread(body, problem, set(known))
    if problem == "bipartite matching":
        _sides(told, reading)
        return reading
    reading.nodes = known
    if problem in ("shortest path", "maximum flow", "connectivity"):
        source, target = ends_of(asked, set(known), open_ended=not listed)
        reading.arguments |= {"source": source, "target": target}
        reading.nodes = list(dict.fromkeys([*known, source, target]))
    if problem == "maximum flow" and not reading.weighted:
        raise NotRead("the capacities")
    return reading


def _nothing_unread(body: str, problem: str, known: set[str]) -> None:
    """Refuse a text with a sentence that speaks of several nodes and in which no edge was read: it may be one that the rules do not know."""
    for line in lines_of(body):
        words = {bare(word) for word in re.findall(NAME, line)}
        named = {word for word in words & known if len(word) > 1 or word.isupper() or word.isdigit()}
        is_list = _NAMED.search(line) or re.search(r"as follows|\b(?:following|start|source|target|sink|goal|begins?|ends?|from .* to)\b", line, re.IGNORECASE)
        if len(named) > 1 and not is_list and not _in_line(line, problem):
            raise NotRead(f"this part: {line.strip()[:80]}")


def _embeddings(told: str, asked: str, reading: Reading) -> str:
    """Take the embeddings and the number of layers, and give what is left of the text."""
    found = [match for match in _EMBEDDED.finditer(told) if is_name(bare(match[1]))]  # "the edges are: (0,7)" is none
    vectors = {bare(match[1]): [float(n) for n in re.findall(NUMBER, match[2])] for match in found}
    if not vectors:
        raise NotRead("the embeddings")
    count = re.search(rf"(\d+|{'|'.join(_LAYERS)})\s+(?:\w+[\s-]+){{0,3}}?(?:layers?|rounds?|steps?|iterations?|times|passes|updates?)", asked.lower())
    count = count or re.search(rf"({'|'.join(_LAYERS)})\b", asked.lower())
    if count is None:
        raise NotRead("how many layers")
    reading.arguments = {"embeddings": vectors, "layers": _LAYERS.get(count[1]) or int(count[1])}
    return _EMBEDDED.sub(lambda match: " " if is_name(bare(match[1])) else match[0], told)


def _sides(told: str, reading: Reading) -> None:
    """The two sides of a matching: names may be the same on both."""
    left = list(dict.fromkeys(a.removeprefix("left:") for a, _, _ in reading.edges))
    right = list(dict.fromkeys(b.removeprefix("right:") for _, b, _ in reading.edges))
    reading.edges = [(a.removeprefix("left:"), b.removeprefix("right:"), w) for a, b, w in reading.edges]
    reading.nodes = []
    reading.arguments = {"left": left, "right": right}
