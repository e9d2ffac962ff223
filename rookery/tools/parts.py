"""Cuts a request into its parts, where the tools themselves say that it has some.

No list of verbs and no grammar: a request is first cut at every comma, sentence end and joining word; neighbours stay together unless two
parts find so much more in different tools than they find together in one, that it outweighs a fixed price for each part.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rookery.index.text import terms

PRICE = 1.3
"""What a part must add to the score that the best tools explain, as a share of ln(1 + tools), which is about the weight of the rarest word."""
MOST = 24
"""So many pieces at most are looked at; further ones are joined to their neighbours."""
_CUT = re.compile(r"(?<=[.!?;])\s+|\n+|[,;:]\s+|\s+(?=(?:and|then|also|plus|while|but|after|before|as well as)\b)|\s+-\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a request."""

    text: str
    terms: frozenset[str]
    weight: float = 1.0
    """How much of it tools explain against the best explained part: 0 to 1, as a square root."""


def pieces(request: str) -> list[Part]:
    """The smallest parts that a request could have, in order, joined the request again; what has no term of its own goes with what is before."""
    texts: list[str] = []
    begin = 0
    for end in [*(match.end() for match in _CUT.finditer(request)), len(request)]:
        text = request[begin:end]
        begin = end
        if texts and not terms(text):
            texts[-1] += text
        elif text:
            texts.append(text)
    while len(texts) > MOST:
        lengths = [len(one) + len(next_) for one, next_ in pairwise(texts)]
        at = lengths.index(min(lengths))
        texts[at : at + 2] = [texts[at] + texts[at + 1]]
    return [Part(text, frozenset(terms(text))) for text in texts or [request]]


def parts(smallest: Sequence[Part], shares: dict[str, NDArray[np.float64]], *, tools: int) -> list[Part]:
    """The parts of a request, one when it has none; ``shares`` is what each of its terms adds to the score of some tools.

    A part explains as much as its terms add to the best single tool. The cut is the one that explains most, less a price for each
    part; found by dynamic programming over the places of cuts.
    """
    price = PRICE * math.log(1 + tools)
    count = len(smallest)
    explained = _explained(smallest, shares)
    best, start = [0.0] + [-math.inf] * count, [0] * (count + 1)
    for end in range(1, count + 1):
        for begin in range(end):
            value = best[begin] + explained[begin, end] - price
            if value > best[end]:
                best[end], start[end] = value, begin
    cuts, end = list[tuple[int, int]](), count
    while end:
        cuts.append((start[end], end))
        end = start[end]
    top = max(explained[cut] for cut in cuts)
    return [_joined(smallest[begin:end], math.sqrt(explained[begin, end] / top) if top > 0 else 1.0) for begin, end in reversed(cuts)]


def _explained(smallest: Sequence[Part], shares: dict[str, NDArray[np.float64]]) -> dict[tuple[int, int], float]:
    found: dict[tuple[int, int], float] = {}
    nothing = np.zeros(len(next(iter(shares.values()), np.zeros(1))))
    for begin in range(len(smallest)):
        seen: set[str] = set()
        total = nothing
        for end in range(begin + 1, len(smallest) + 1):
            new = [shares[term] for term in smallest[end - 1].terms - seen if term in shares]
            seen |= smallest[end - 1].terms
            if new:
                total = total + np.sum(new, axis=0)
            found[begin, end] = float(total.max(initial=0.0))
    return found


def _joined(some: Sequence[Part], weight: float) -> Part:
    return Part("".join(part.text for part in some).strip(), frozenset().union(*(part.terms for part in some)), weight)
