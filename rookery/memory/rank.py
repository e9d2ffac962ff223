"""The order of a recall: words and vectors of an item and of its neighbours, who said it, when, about what, and which statement is newest.

The mix of a turn, the turns around it and its session was fixed on two conversations of LoCoMo (Maharana et al., ACL 2024; the first two
of the file), as ``benchmarks/memory.py`` says; nothing here was chosen on others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rookery.index.fusion import scaled
from rookery.index.index import Mask, Places, Scores, best
from rookery.index.text import bag, terms
from rookery.memory.item import KINDS, SINGLE
from rookery.memory.shelf import Shelf
from rookery.memory.when import Interval

Vector = NDArray[np.float32]
WHOLE = 4_096
"""Up to so many items all are scored; above, those that words or vectors find, and the neighbours of the first of them."""
POOL = 128
_FIRST = 32
"""Of each list, so many bring their neighbours along."""
K1, B = 1.2, 0.75


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each view of an item counts, each scaled so that its best item has 1."""

    words: tuple[float, float, float, float] = (1.0, 1.0, 1.25, 0.25)
    """BM25 of the item, of it with its neighbours at ±1 and at ±3, and of its session."""
    vectors: tuple[float, float, float] = (0.7, 1.5, 0.3)
    """Cosine of the item, the mean of those at ±1, the mean of its session."""
    speaker: float = 1.25
    """Times this, when the query names exactly one speaker and the item is theirs."""
    time: float = 2.5
    """Added where the item's time is one that the query names."""
    subject: float = 3.0
    """Added where the item's subject is the one that is asked for."""
    stale: float = 0.2
    """Times this, when the item no longer holds."""


WEIGHTS = Weights()
_RIVALS = 24
_AS_GOOD = 0.75
_ALIKE = 0.45
"""Cosines of the embedder that ships with rookery, on generated statements of another seed than the benchmark's."""
_NAME = re.compile(r"(?:[A-Z][\w-]*(?:'s)?(?: |\b)){2,}|(?<!^)\b[A-Z][\w-]*|^[A-Z][\w-]*(?='s)")
_NAMED = 3.0
"""How much more the names in a statement count when its rivals are looked for: it is about them that it is one."""
_SINGLE = [KINDS.index(kind) for kind in sorted(SINGLE)]


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for."""

    text: str
    vector: Vector | None
    near: Callable[[], Sequence[str]] = tuple
    """Gives the ids that the vector store found; called once the words are done, and only where not all items are scored."""
    at: float = 0.0
    """The time that "now" is."""
    intervals: Sequence[Interval] = ()
    subject: str = ""
    keep: Mask | None = None
    """Which slots may be found."""
    end: Scores | None = None
    """By slot, until when each item holds, where that is not what the shelf says."""
    terms: Mapping[str, float] | None = None
    """What is looked for by words, where that is not simply the text's."""


def ranked(shelf: Shelf, question: Question, k: int, weights: Weights = WEIGHTS) -> tuple[Places, Scores]:
    """Slots and scores of the best ``k``, best first."""
    keep = shelf.alive() if question.keep is None else question.keep & shelf.alive()
    asked = question.terms or _asked(shelf, question.text)
    places = _candidates(shelf, question, asked, keep, max(POOL, 2 * k))
    if not len(places):
        return places, np.zeros(0)
    view = _View.of(shelf, places)
    score = _by_words(shelf, asked, view, weights) + _by_vectors(shelf, question.vector, view, weights)
    speakers = shelf.named(question.text)
    if len(speakers) == 1:
        score *= np.where(shelf.column("speaker")[places] == speakers[0], weights.speaker, 1.0)
    until = shelf.column("end") if question.end is None else question.end
    begin, end = shelf.column("begin")[places], until[places]
    if question.intervals:
        hit = np.zeros(len(places), np.bool_)
        for first, last in question.intervals:
            hit |= (begin < last) & ((begin >= first) | ((end > first) & (end < np.inf)))
        score += weights.time * hit
    number = shelf.subjects.find(question.subject) if question.subject else None
    if number:
        score += weights.subject * (shelf.column("subject")[places] == number)
    score *= np.where(end <= question.at, weights.stale, 1.0)
    allowed = keep[places] & (score > 0)
    slots, scores = best(places[allowed], score[allowed], k)
    slots = _newest_first(shelf, slots, until, question.at)
    return _newest_rival_first(shelf, slots, question, until), scores


def _asked(shelf: Shelf, text: str) -> dict[str, float]:
    """The terms of a query; the names of speakers say who is meant and are no terms, unless there is nothing else."""
    whole = bag(text)
    names = {term for number in shelf.named(text) for term in terms(shelf.speakers.texts[number])}
    return {term: weight for term, weight in whole.items() if term not in names} or whole


def _candidates(shelf: Shelf, question: Question, asked: Mapping[str, float], keep: Mask, pool: int) -> Places:
    if len(shelf) <= WHOLE:
        return np.flatnonzero(shelf.alive())
    found = [shelf.words.top(asked, pool, keep)[0]]
    found.append(np.array([slot for uid in question.near() if (slot := shelf.slots.find(uid)) is not None], np.int64))
    number = shelf.subjects.find(question.subject) if question.subject else None
    if number:
        found.append(np.flatnonzero((shelf.column("subject") == number) & keep)[-pool:])
    first = around(shelf, np.concatenate([some[:_FIRST] for some in found]), 1)
    return np.unique(np.concatenate([*found, first[first >= 0]]))


def around(shelf: Shelf, slots: Places, reach: int) -> NDArray[np.int64]:
    """Of each slot the slots of its session from ``reach`` before to ``reach`` after, -1 where there is none; shape (slots, 2 · reach + 1)."""
    found = np.full((len(slots), 2 * reach + 1), -1, np.int64)
    found[:, reach] = slots
    for column, step in (("before", -1), ("after", 1)):
        follow = shelf.column(column)
        for at in range(reach, reach + step * reach, step):
            here = found[:, at]
            found[:, at + step] = np.where(here >= 0, follow[here], -1)
    return found


@dataclass(frozen=True, slots=True)
class _View:
    """Candidates with their neighbours."""

    places: Places
    known: Places
    """The slots of candidates and neighbours, rising."""
    at: NDArray[np.int64]
    """For each step from -3 to 3 where in ``known`` each candidate's neighbour is, ``len(known)`` for none; shape (7, candidates)."""

    @staticmethod
    def of(shelf: Shelf, places: Places) -> _View:
        wide = around(shelf, places, 3).T
        mark = np.zeros(len(shelf) + 1, np.bool_)
        mark[wide] = True  # -1 marks the last one, which is no slot
        mark[-1] = False
        known = np.flatnonzero(mark)
        where = np.full(len(mark), len(known), np.int64)
        where[known] = np.arange(len(known))
        return _View(places, known, np.ascontiguousarray(where[wide]))


def _by_words(shelf: Shelf, asked: Mapping[str, float], view: _View, weights: Weights) -> Scores:
    idf, counts, lengths = shelf.words.table(asked, view.known)
    total = np.zeros(len(view.places))
    if not len(idf):
        return total
    counts = np.append(counts, np.zeros((len(idf), 1)), axis=1)
    sizes = np.append(lengths, 0.0)
    mean = shelf.words.mean_length
    tally, size, members = (np.zeros((len(idf), len(total))), np.zeros(len(total)), np.zeros(len(total)))
    done = -1
    for weight, reach in zip(weights.words[:3], (0, 1, 3), strict=True):
        for column in [at for at in range(3 - reach, 4 + reach) if abs(at - 3) > done]:
            here = view.at[column]
            tally += counts[:, here]
            size += sizes[here]
            members += here < len(view.known)
        done = reach
        total += weight * scaled(_bm25(idf, tally, size, mean * np.maximum(members, 1)))
    groups, inside = np.unique(shelf.column("session")[view.known], return_inverse=True)
    summed = np.stack([np.bincount(inside, row, len(groups)) for row in counts[:, :-1]]).astype(np.float64)
    whole_size = np.bincount(inside, lengths, len(groups)).astype(np.float64)
    usual = max(float(whole_size[groups > 0].mean()) if (groups > 0).any() else 1.0, 1e-9)
    whole = _bm25(idf, summed, whole_size, np.full(len(groups), usual))
    whole[groups == 0] = 0.0
    return np.asarray(total + weights.words[3] * scaled(whole)[inside[view.at[3]]])


def _bm25(idf: Scores, counts: Scores, lengths: Scores, mean: Scores) -> Scores:
    damped = K1 * (1 - B + B * lengths / np.maximum(mean, 1e-9))
    return np.asarray((idf[:, None] * counts * (K1 + 1) / (counts + damped)).sum(axis=0))


def _by_vectors(shelf: Shelf, vector: Vector | None, view: _View, weights: Weights) -> Scores:
    if vector is None or not shelf.rows.shape[1] or not np.any(vector):
        return np.zeros(len(view.places))
    cosines = np.append(shelf.cosines(vector, view.known), 0.0)
    own = cosines[view.at[3]]
    members = 1.0 + (view.at[2] < len(view.known)) + (view.at[4] < len(view.known))
    total = weights.vectors[0] * _lifted(own) + weights.vectors[1] * _lifted((own + cosines[view.at[2]] + cosines[view.at[4]]) / members)
    groups, inside = np.unique(shelf.column("session")[view.places], return_inverse=True)
    mean = np.bincount(inside, own, len(groups)) / np.bincount(inside, minlength=len(groups))
    mean[groups == 0] = 0.0
    return np.asarray(total + weights.vectors[2] * _lifted(mean)[inside])


def _lifted(cosines: Scores) -> Scores:
    return scaled(np.maximum(cosines, 0.0))


def _newest_first(shelf: Shelf, slots: Places, until: Scores, at: float) -> Places:
    """The same slots; where several are about one subject, those that hold now come first among them, and of these the newest."""
    subject, begin, end = shelf.column("subject")[slots], shelf.column("begin")[slots], until[slots]
    found = slots.copy()
    for number in np.unique(subject[subject > 0]).tolist():
        where = np.flatnonzero(subject == number)
        if len(where) > 1:
            found[where] = slots[where[np.lexsort((-begin[where], end[where] <= at))]]
    return found


def _newest_rival_first(shelf: Shelf, slots: Places, question: Question, until: Scores) -> Places:
    """The same slots; statements that answer the question about as well as the best one, name what it names and are near it, newest first.

    It is for statements of one kind of thing whose subject no rule could read; of events none replaces another.
    """
    head = slots[:_RIVALS]
    if question.vector is None or not shelf.rows.shape[1] or len(head) < 2:
        return slots
    names = {term for word in re.findall(r"(?<!^)\b[A-Z][\w'-]*", question.text) for term in terms(word.removesuffix("'s"))}
    if not names:
        return slots
    _, counts, _ = shelf.words.table(dict.fromkeys(names, 1.0), head)
    single = np.isin(shelf.column("kind")[head], _SINGLE) & (counts > 0).all(axis=0) & shelf.column("embedded")[head]
    where = np.flatnonzero(single)
    if len(where) < 2:
        return slots
    rows = shelf.rows[head[where]].astype(np.float32)
    fit = rows @ question.vector
    top = int(np.argmax(fit))
    where = where[(fit >= _AS_GOOD * fit[top]) & (rows @ rows[top] >= _ALIKE)]
    found = slots.copy()
    begin, stale = shelf.column("begin")[slots[where]], until[slots[where]] <= question.at
    found[where] = slots[where[np.lexsort((-begin, stale))]]
    return found


def rivals(shelf: Shelf, text: str, subject: str, k: int, vector: Vector | None = None) -> Places:
    """Slots of what may be older statements of the same thing, likeliest first: of the same subject, or with the same words.

    Facts and preferences alone: what happened is not contradicted by what happens later.
    """
    weights = Weights(words=(1.0, 0.0, 0.0, 0.0), vectors=(0.5, 0.0, 0.0), speaker=1.0, stale=1.0)
    names = {term for name in _NAME.findall(text) for term in terms(name.replace("'s", ""))}
    asked = {term: weight * (_NAMED if term in names else 1.0) for term, weight in bag(text).items()}
    question = Question(text, vector, subject=subject, terms=asked, keep=kinds_mask(shelf, sorted(SINGLE)))
    return ranked(shelf, question, k, weights)[0]


def kinds_mask(shelf: Shelf, kinds: Sequence[str]) -> Mask:
    """Which slots have items of these kinds."""
    return np.asarray(np.isin(shelf.column("kind"), [KINDS.index(kind) for kind in kinds]))


