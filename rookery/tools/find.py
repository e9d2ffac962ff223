"""Finds the tools that a request needs: by words, by meaning, by name, by part of the request, and by what served such requests before.

Each view is an array over the same few candidates, and all are added up with fixed weights. The weights were chosen on one half of the
queries of three public corpora (``benchmarks/retrieval.py`` says which, and shows both halves).
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from rookery.index.hybrid import Entry, Hybrid
from rookery.index.text import bag, merge, terms, words
from rookery.models.embedder import Embedder, embedder
from rookery.tools.parts import Part, parts, pieces
from rookery.tools.past import WEIGHTS, Past, tally

NAME, FIRST, DESCRIPTION, PARAMETERS = 2.0, 0.5, 1.0, 0.5
"""What a word counts in each field of a tool's text; the first sentence of the description counts beside the whole."""
MEANING = 1.0
"""What the cosine, divided by the highest, weighs against the BM25 score, divided by the highest."""
NAMED = 0.15
"""What it weighs that all words of a tool's name occur."""
WHOLE = 0.3
"""What the score for the whole request weighs beside that for a part."""
AGAIN = 0.5
"""A part that has given a tool already counts this much for its next one."""
POOL = 64
"""So many candidates of each kind are scored by all views."""
_PIECE_POOL = 8
_TRIED = 64
"""So many of the stored questions of tools that are added together are used to find what votes are worth."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n")
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ToolText:
    """What is known of a tool, as far as finding it goes."""

    name: str
    description: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Names with descriptions, which may be empty."""
    aliases: Sequence[str] = ()
    """Other names that one may expect it under."""
    questions: Sequence[str] = ()
    """Requests that it has served, the one that it was made for included."""
    id: str = ""
    """What it is found as, where names are not unique; by default its name."""

    @property
    def key(self) -> str:
        return self.id or self.name


@dataclass(frozen=True, slots=True)
class Finding:
    """A tool that was found."""

    name: str
    """Its name, or its id where it has one."""
    score: float
    """Comparable within one search only."""
    part: str
    """The part of the request that it is for; the whole one when it has no parts."""
    views: Mapping[str, float]
    """What each view added: ``words``, ``meaning``, ``name``, ``use``, and ``whole`` (the score for the whole request)."""

    @property
    def why(self) -> str:
        """One line for people: the part, and the views that brought the tool, strongest first."""
        strong = sorted((item for item in self.views.items() if item[1] > 0.005), key=lambda item: -item[1])
        return f"{self.part!r:.80}: {', '.join(f'{view} {value:.2f}' for view, value in strong)}"


class ToolIndex:
    """Tools under their names, and what they were used for.

    What ``add`` takes is embedded at the next search, all at once.

    :param by: the embedder, or its name (:func:`rookery.models.embedder.embedder`); the one that ships with rookery by default.
    """

    def __init__(self, *, by: Embedder | str | None = None) -> None:
        self._embedder = embedder(by)
        self._hybrid: Hybrid | None = None
        self._past: Past | None = None
        self._texts: dict[str, ToolText] = {}
        self._waiting: dict[str, ToolText] = {}
        self._gone: set[str] = set()
        self._noted: set[tuple[str, str]] = set()  # requests and tools: a tool that is added again brings its questions again
        self._name_terms: dict[str, frozenset[str]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, tool: ToolText) -> None:
        """Keep a tool, in place of an earlier one of this name, whose uses stay."""
        self._texts[tool.key] = self._waiting[tool.key] = tool

    def remove(self, name: str) -> bool:
        """Forget a tool and its uses; False when there is none."""
        if self._texts.pop(name, None) is None:
            return False
        self._waiting.pop(name, None)
        self._gone.add(name)
        return True

    async def search(self, request: str, *, k: int = 5) -> list[Finding]:
        """The ``k`` tools that fit a request best, those for its different parts taking turns by strength.

        :raises ModelError: the embedder failed.
        """
        if not self._texts or k < 1 or not request.strip():
            return []
        async with self._turn():
            await self._settle()
            if self._past is None or not self._hybrid:
                return []
            board = await self._board(request, k=k)
        return [finding for finding in board.findings(k, self._past.weight) if finding.name in self._texts]

    async def note_use(self, request: str, *names: str) -> None:
        """Remember that these tools served this request. Names that are not here are left out.

        Later searches count it as far as such memories have been right before; so it never does harm for long, and none at first.

        :raises ModelError: the embedder failed.
        """
        async with self._turn():
            await self._settle()
            await self._note(request, names)

    # -------------------------------------------------------------- inside

    def _turn(self) -> asyncio.Lock:
        """Tasks take turns: what one is indexing the next one finds. A lock belongs to one event loop, so each loop has its own."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._lock = loop, asyncio.Lock()
        return self._lock

    async def _note(self, request: str, names: Sequence[str]) -> None:
        known = [name for name in dict.fromkeys(names) if name in self._name_terms]
        if not known or not request.strip() or self._past is None:
            return
        board = await self._board(request, k=5, also=known)
        self._past.learn({weight: board.worth(known, weight) for weight in WEIGHTS})
        for name in known:
            part = board.part_of(name)
            self._past.add(board.parts[part].text, board.vectors[part], name)
            self._noted.add((request, name))

    async def _settle(self) -> None:
        """Index what was added and drop what was removed. When the embedder fails, it is all done at the next search."""
        tools = list(self._waiting.values())
        rows = await self._embedder.embed([text for tool in tools for text in _readings(tool)]) if tools else None
        self._drop()
        if rows is None:
            return
        if self._hybrid is None or self._past is None:
            self._hybrid = Hybrid(rows.shape[1], embedder=self._embedder.fingerprint)
            self._past = Past(rows.shape[1])
        fresh = [at for at, tool in enumerate(tools) if self._waiting.get(tool.key) is tool]  # not removed or replaced meanwhile
        self._hybrid.add_many((tools[at].key, Entry(_bag(tools[at]), rows[2 * at] + rows[2 * at + 1])) for at in fresh)
        for at in fresh:
            self._name_terms[tools[at].key] = frozenset(terms(tools[at].name))
            del self._waiting[tools[at].key]
        await self._recall([(question, tools[at].key) for at in fresh for question in tools[at].questions])

    def _drop(self) -> None:
        gone, self._gone = self._gone, set()
        if self._hybrid is None or self._past is None:
            return
        for name in gone:
            self._past.forget(name)
            self._name_terms.pop(name, None)
            self._hybrid.remove(name)
        if gone:
            self._noted = {pair for pair in self._noted if pair[1] not in gone}
        if len(self._hybrid.slots) > 2 * len(self._hybrid) + 1000:
            self._hybrid.compact()

    async def _recall(self, served: Sequence[tuple[str, str]]) -> None:
        """Take in stored questions: most at once, and some then one by one, to see what the others are worth for them."""
        new = [pair for pair in dict.fromkeys(served) if pair not in self._noted and pair[0].strip()]
        step = max(1, -(-len(new) // _TRIED))
        rest = [pair for at, pair in enumerate(new) if at % step]
        if rest and self._past is not None:
            vectors = await self._embedder.embed([question for question, _ in rest], purpose="query")
            for (question, name), vector in zip(rest, vectors, strict=True):
                self._past.add(question, vector, name)
            self._noted.update(rest)
        for question, name in new[::step]:
            await self._note(question, [name])

    async def _board(self, request: str, *, k: int, also: Sequence[str] = ()) -> Board:
        """All views of all candidates for a request and its parts; ``also`` are candidates whatever the views say."""
        hybrid, past = self._hybrid, self._past
        assert hybrid is not None and past is not None
        pool = max(POOL, 2 * k)
        smallest = pieces(request)
        everything = frozenset(chain.from_iterable(piece.terms for piece in smallest))
        found = [hybrid.postings.top(dict.fromkeys(everything, 1.0), pool)[0]]
        divided = [Part(request, everything)]
        if len(smallest) > 1:
            found += [hybrid.postings.top(dict.fromkeys(piece.terms, 1.0), _PIECE_POOL)[0] for piece in smallest]
            slots = np.unique(np.concatenate(found))
            divided = parts(smallest, hybrid.postings.shares(dict.fromkeys(everything, 1.0), slots), tools=len(hybrid))
        asked = divided if len(divided) == 1 else [Part(request, everything), *divided]
        vectors = await self._embedder.embed([part.text for part in asked], purpose="query")
        if len(asked) > 1:
            found += [hybrid.postings.top(dict.fromkeys(part.terms, 1.0), pool)[0] for part in divided]
        found += [hybrid.vectors.top(vector, pool)[0] for vector in vectors]
        votes = [past.votes(vector) for vector in vectors]
        certain = [hybrid.slots.find(name) for name in {*also, *chain.from_iterable(votes)}]
        slots = np.unique(np.concatenate([*found, np.array([slot for slot in certain if slot is not None], np.int64)]))
        names = [hybrid.slots.id(slot) for slot in slots.tolist()]
        shares = hybrid.postings.shares(dict.fromkeys(everything, 1.0), slots)
        nothing = np.zeros(len(slots))
        lexical = np.array([np.sum([shares[term] for term in part.terms if term in shares] or [nothing], axis=0) for part in asked])
        dense = np.maximum(np.array([hybrid.vectors.score(vector, slots) for vector in vectors]), 0.0)
        return Board(names, asked, vectors, _scaled(lexical), MEANING * _scaled(dense), NAMED * self._named(names, asked), tally(votes, names))

    def _named(self, names: Sequence[str], asked: Sequence[Part]) -> Matrix:
        """How much of each tool's name each part says, rare words counting more; shape (parts, tools)."""
        assert self._hybrid is not None
        rarity: dict[str, float] = {}
        everything = asked[0].terms
        found = np.zeros((len(asked), len(names)))
        for column, name in enumerate(names):
            own = self._name_terms[name]
            if own.isdisjoint(everything):
                continue
            for term in own:
                if term not in rarity:
                    rarity[term] = self._hybrid.postings.idf(term)
            whole = sum(rarity[term] for term in own)
            for row, part in enumerate(asked):
                found[row, column] = sum(rarity[term] for term in own & part.terms) / whole
        return found


@dataclass(frozen=True, slots=True)
class Board:
    """Every view of every candidate: row 0 is the whole request, the others its parts (none when it has none)."""

    names: Sequence[str]
    parts: Sequence[Part]
    vectors: NDArray[np.float32]
    words: Matrix
    meaning: Matrix
    named: Matrix
    votes: Matrix

    def findings(self, k: int, weight: float) -> list[Finding]:
        """The best ``k``, with votes of this weight: always the strongest of what is left, a part counting less after each it gave."""
        used = weight * self.votes
        own = self.words + self.meaning + self.named + used
        first = 0 if len(self.parts) == 1 else 1
        scores = own[first:].copy()
        whole = np.zeros(len(self.names))
        if first:
            whole = WHOLE * own[0]
            scores = scores * np.array([[part.weight] for part in self.parts[1:]]) + whole
        patience = np.ones(len(scores))
        found: list[Finding] = []
        while len(found) < min(k, len(self.names)):
            row = int(np.argmax(scores.max(axis=1) * patience))
            column = int(np.argmax(scores[row]))
            at = row + first, column
            views = {"words": self.words[at], "meaning": self.meaning[at], "name": self.named[at], "use": used[at], "whole": whole[column]}
            found.append(Finding(self.names[column], float(scores[row, column] * patience[row]), self.parts[row + first].text,
                                 {view: float(value) for view, value in views.items()}))
            patience[row] *= AGAIN
            scores[:, column] = -np.inf
        return found

    def worth(self, wanted: Sequence[str], weight: float, *, k: int = 5) -> float:
        """How good the best ``k`` are, 0 to 1: half for the share of the wanted tools among them, half for how high these stand (nDCG)."""
        ranks = [rank for rank, finding in enumerate(self.findings(k, weight), 1) if finding.name in wanted]
        ideal = sum(1 / math.log2(1 + rank) for rank in range(1, min(k, len(wanted)) + 1))
        return 0.5 * len(ranks) / len(wanted) + 0.5 * sum(1 / math.log2(1 + rank) for rank in ranks) / ideal

    def part_of(self, name: str) -> int:
        """The row of the part that fits a candidate best."""
        own = (self.words + self.meaning + self.named)[:, self.names.index(name)]
        return 0 if len(own) == 1 else 1 + int(np.argmax(own[1:]))


def _scaled(rows: Matrix) -> Matrix:
    """Each row divided by its highest value."""
    top = rows.max(axis=1, keepdims=True, initial=0.0)
    return rows / np.where(top > 0, top, 1.0)


def _spoken(name: str) -> str:
    return " ".join(words(name))


def _first(description: str) -> str:
    """The first sentence, which says what a tool does; the others say how."""
    return _SENTENCE_END.split(description.strip(), maxsplit=1)[0]


def _readings(tool: ToolText) -> tuple[str, str]:
    """A tool in two texts: what it does, and all that is known of it; its vector is their mean."""
    spoken = " ".join(_spoken(name) for name in (tool.name, *tool.aliases))
    parameters = " ".join(f"{_spoken(name)} {text}" for name, text in tool.parameters.items())
    return f"{spoken}. {_first(tool.description)}", f"{spoken}. {tool.description} {parameters}"


def _bag(tool: ToolText) -> dict[str, float]:
    parameters = " ".join(f"{name} {text}" for name, text in tool.parameters.items())
    return merge([bag(tool.name, NAME), *(bag(alias, NAME) for alias in tool.aliases), bag(_first(tool.description), FIRST),
                  bag(tool.description, DESCRIPTION), bag(parameters, PARAMETERS)])
