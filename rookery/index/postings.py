"""An inverted index: for each term the documents that hold it; BM25 scores; the exact best k without looking at all of them.

Scores: BM25 with idf = ln(1 + (N - n + 0.5) / (n + 0.5)) and tf·(k1 + 1) / (tf + k1·(1 - b + b·length / mean length)) over weighted term
counts (Robertson and Zaragoza, The Probabilistic Relevance Framework, Foundations and Trends in IR 3:4, 2009, section 3). Pruning: MaxScore
(Turtle and Flood, Information Processing and Management 31:6, 1995), a term at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rookery.index.index import Hit, Mask, Places, Scores, Slots, best, grown
from rookery.index.lists import WATCHED, Pool, TermList
from rookery.index.store import Packed, damage, read, text_array, texts_of, write

Bag = Mapping[str, float]
"""Terms and how often (with which weight) they occur."""
KIND = "postings"
_MARGIN = 1e-4
"""Of single precision: candidates this near to the bar are scored again in double precision."""
_CHUNK = 1 << 16
_PROBE = 16
"""Looking a document up in a list costs about as much as so many postings."""


class Postings:
    """An :class:`rookery.index.index.Index` over bags of terms.

    A term's list is sorted by slot and grows at its end, so adding costs time only for the terms of the document. Removing
    sets weights to zero in place; ``compact`` takes them out. Word statistics count live documents only.

    :param k1: how soon more of the same term stops to count.
    :param b: how much longer documents are held back, 0 to 1.
    :param slots: shared with an index over the same documents; then ``put`` and ``clear`` instead of ``add`` and ``remove``.
    """

    def __init__(self, *, k1: float = 1.2, b: float = 0.75, slots: Slots | None = None) -> None:
        self.k1, self.b = k1, b
        self.slots = Slots() if slots is None else slots
        self._terms: dict[str, int] = {}
        self._start: NDArray[np.int64] = np.zeros(1, np.int64)  # of each term that was loaded, in the two arrays below
        self._flat_docs: NDArray[np.int32] = np.zeros(0, np.int32)
        self._flat_tf: NDArray[np.float32] = np.zeros(0, np.float32)
        self._lists: dict[int, TermList] = {}  # of terms that are new or have grown since
        self._df = np.zeros(0, np.int32)
        self._top = np.zeros(0, np.float32)  # no weight of the term is above this
        self._lengths = np.zeros(0, np.float32)  # by slot
        self._begin = np.zeros(1, np.int64)  # by slot: where its terms begin in the array below
        self._forward = np.zeros(0, np.int32)
        self._count = 0  # slots that lengths and forward know
        self._live = 0
        self._total = 0.0

    def __len__(self) -> int:
        return self._live

    # -------------------------------------------------------------- changing

    def add(self, id: str, document: Bag) -> int:
        """Keep a bag of terms under an id; see :meth:`Index.add`. Weights of zero or less are left out."""
        self.remove(id)
        slot = self.slots.put(id)
        self.put([document])
        return slot

    def add_many(self, documents: Iterable[tuple[str, Bag]]) -> None:
        """The same as ``add`` for each, faster."""
        waiting: list[Bag] = []
        for id, document in documents:
            if self.slots.find(id) is not None:
                self.put(waiting)
                waiting = []
                self.remove(id)
            self.slots.put(id)
            waiting.append(document)
            if len(waiting) == _CHUNK:
                self.put(waiting)
                waiting = []
        self.put(waiting)

    def put(self, bags: Sequence[Bag]) -> None:
        """Fill the next slots, which ``slots`` has given out already."""
        if not bags:
            return
        known, first = self._terms, self._count
        rows = [[(known.setdefault(term, len(known)), weight) for term, weight in bag.items() if weight > 0] for bag in bags]
        self._widen(len(known))
        sizes = np.array([len(row) for row in rows], np.int64)
        terms = np.array([term for row in rows for term, _ in row], np.int32)
        weights = np.array([weight for row in rows for _, weight in row], np.float32)
        docs = np.repeat(np.arange(first, first + len(bags), dtype=np.int32), sizes)
        self._append_columns(sizes, terms, docs, weights)
        np.add.at(self._df, terms, 1)
        np.maximum.at(self._top, terms, weights)
        if len(bags) == 1:
            for term, weight in zip(terms.tolist(), weights, strict=True):
                self._list(term).append(first, weight)
            return
        order = np.argsort(terms, kind="stable")
        found, starts = np.unique(terms[order], return_index=True)
        docs, weights = docs[order], weights[order]
        for term, start, end in zip(found.tolist(), starts.tolist(), [*starts.tolist()[1:], len(order)], strict=True):
            self._list(term).extend(docs[start:end], weights[start:end])

    def remove(self, id: str) -> bool:
        """Forget a document; see :meth:`Index.remove`."""
        slot = self.slots.drop(id)
        if slot is None:
            return False
        self.clear(slot)
        return True

    def clear(self, slot: int) -> None:
        """Take the document out of a slot that ``slots`` has freed already."""
        terms = self._forward[self._begin[slot] : self._begin[slot + 1]]
        for term in terms.tolist():
            docs, weights = self._postings(term)
            weights[np.searchsorted(docs, slot)] = 0.0
        self._df[terms] -= 1
        self._total -= float(self._lengths[slot])
        self._lengths[slot] = 0.0
        self._live -= 1

    def compact(self) -> Places:
        """Drop what was removed and renumber; see :meth:`Index.compact`. Terms that no document holds go too."""
        order = self.slots.compact()
        self.reorder(order)
        return order

    def reorder(self, order: Places) -> None:
        """Follow a renumbering of shared slots."""
        arrays, terms = self._flatten(order)
        self._fill(arrays, terms)

    # -------------------------------------------------------------- keeping

    def save(self, path: Path) -> None:
        """Write one file; what was removed is not in it, though its slots stay.

        :raises IndexFull: the disk is full or the folder read-only.
        """
        arrays, facts = self.pack()
        write(path, KIND, arrays | {"ids": text_array(self.slots.plain())}, facts)

    @staticmethod
    def load(path: Path) -> Postings:
        """The index in a file, which stays mapped; changes stay in memory until it is saved.

        :raises IndexDamaged: it cannot be read.
        :raises IndexTooNew: a newer rookery wrote it.
        """
        arrays, facts = read(path, KIND)
        with damage(path):
            return Postings.unpack(arrays, facts, Slots(texts_of(arrays["ids"])))

    def pack(self) -> tuple[Packed, dict[str, Any]]:
        """All but the ids as flat arrays, and the parameters."""
        arrays, terms = self._flatten(np.arange(self._count))
        return arrays | {"terms": text_array(terms)}, {"k1": self.k1, "b": self.b}

    @staticmethod
    def unpack(arrays: Packed, facts: Mapping[str, Any], slots: Slots) -> Postings:
        """What ``pack`` gave, over these slots."""
        found = Postings(k1=facts["k1"], b=facts["b"], slots=slots)
        found._fill(arrays, texts_of(arrays["terms"]))
        return found

    def _flatten(self, order: Places) -> tuple[Packed, list[str]]:
        """Flat arrays of the postings of these slots, renumbered in this (rising) order, and the terms that they hold."""
        renumbered = np.full(self._count, -1, np.int32)
        renumbered[order] = np.arange(len(order), dtype=np.int32)
        lists = [self._postings(term) for term in range(len(self._terms))]
        owner = np.repeat(np.arange(len(lists), dtype=np.int32), np.array([len(docs) for docs, _ in lists], np.int64))
        docs = renumbered[np.concatenate([docs for docs, _ in lists])] if lists else np.zeros(0, np.int32)
        tf = np.concatenate([weights for _, weights in lists]) if lists else np.zeros(0, np.float32)
        alive = (docs >= 0) & (tf > 0)
        owner, docs, tf = owner[alive], docs[alive], tf[alive]
        df = np.bincount(owner, minlength=len(lists))
        used = np.flatnonzero(df)
        owner = (np.cumsum(df > 0) - 1).astype(np.int32)[owner]
        by_doc = np.argsort(docs, kind="stable")
        arrays = {
            "start": np.append(0, np.cumsum(df[used])).astype(np.int64), "docs": docs, "tf": tf,
            "lengths": self._lengths[order], "begin": np.append(0, np.cumsum(np.bincount(docs, minlength=len(order)))).astype(np.int64),
            "forward": owner[by_doc],
        }
        names = list(self._terms)
        return arrays, [names[term] for term in used.tolist()]

    def _fill(self, arrays: Packed, terms: list[str]) -> None:
        """Take flat arrays as they are; the lists are cut out of them when they are needed."""
        self._terms = {term: number for number, term in enumerate(terms)}
        self._start, self._flat_docs, self._flat_tf = arrays["start"], arrays["docs"], arrays["tf"]
        self._lists = {}
        self._df = np.diff(self._start).astype(np.int32)
        self._top = np.maximum.reduceat(self._flat_tf, self._start[:-1]) if terms else np.zeros(0, np.float32)
        self._lengths, self._begin, self._forward = arrays["lengths"], arrays["begin"], arrays["forward"]
        self._count = len(self._lengths)
        self._live = self.slots.live
        self._total = float(np.sum(self._lengths, dtype=np.float64))

    # -------------------------------------------------------------- lists

    def _postings(self, term: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        own = self._lists.get(term)
        if own is not None:
            return own.docs[: own.size], own.weights[: own.size]
        if term + 1 >= len(self._start):
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        place = slice(int(self._start[term]), int(self._start[term + 1]))
        return self._flat_docs[place], self._flat_tf[place]

    def _list(self, term: int) -> TermList:
        own = self._lists.get(term)
        if own is None:
            own = self._lists[term] = TermList(*self._postings(term))
        return own

    def _append_columns(self, sizes: NDArray[np.int64], terms: NDArray[np.int32], docs: NDArray[np.int32], weights: NDArray[np.float32]) -> None:
        first, more = self._count, len(sizes)
        used = int(self._begin[first])
        self._lengths = grown(self._lengths, first + more)
        self._begin = grown(self._begin, first + more + 1)
        self._forward = grown(self._forward, used + len(terms))
        lengths = np.bincount(docs - first, weights, more)
        self._lengths[first : first + more] = lengths
        self._begin[first + 1 : first + more + 1] = used + np.cumsum(sizes)
        self._forward[used : used + len(terms)] = terms
        self._count += more
        self._live += more
        self._total += float(lengths.sum())

    def _widen(self, terms: int) -> None:
        self._df = grown(self._df, terms)
        self._top = grown(self._top, terms)

    # -------------------------------------------------------------- searching

    def search(self, query: Bag, *, k: int = 10, keep: Mask | None = None) -> list[Hit]:
        """The best ``k`` of the documents that share a term with the query; exact. See :meth:`Index.search`."""
        return self.slots.hits(*self.top(query, k, keep))

    def top(self, query: Bag, k: int, keep: Mask | None = None) -> tuple[Places, Scores]:
        """Slots and scores of the best ``k``; those of all documents are what ``score`` says."""
        asked = self._asked(query)
        if not asked or k < 1:
            return np.zeros(0, np.int64), np.zeros(0)
        scores, bar, missing = self._accumulate(asked, k, keep)
        slots = np.flatnonzero(scores > max(0.0, bar - missing))
        if keep is not None:
            slots = slots[keep[slots]]
        if len(slots) > 4 * k + 64:
            rough = scores[slots]
            kth = float(np.partition(rough, len(rough) - k)[len(rough) - k])
            slots = slots[rough >= kth * (1 - _MARGIN) - missing]
        exact = self.score(query, slots)
        return best(slots, exact, k)

    def score(self, query: Bag, slots: Places) -> Scores:
        """The BM25 score of each of these documents, in double precision and always in the same order of terms."""
        total = np.zeros(len(slots))
        for row in self.shares(query, slots).values():
            total += row
        return total

    def shares(self, query: Bag, slots: Places) -> dict[str, Scores]:
        """What each term of the query adds to the scores of these documents; terms that no document holds are left out."""
        wanted, found = slots.astype(np.int32), dict[str, Scores]()
        lengths = self._lengths[slots].astype(np.float64)
        flat, slope = self._damping()
        names = {self._terms[text]: text for text in query if text in self._terms}
        for term, boost in sorted((term, boost) for term, boost, _ in self._asked(query)):
            docs, weights = self._postings(term)
            at = np.minimum(np.searchsorted(docs, wanted), len(docs) - 1)
            tf = np.where(docs[at] == wanted, weights[at], 0.0).astype(np.float64)
            found[names[term]] = boost * tf / (tf + flat + slope * lengths)
        return found

    def idf(self, term: str) -> float:
        """How rare a term is, ln(1 + (N - n + 0.5) / (n + 0.5)); of one that no document holds, n is 0."""
        number = self._terms.get(term)
        df = 0 if number is None else int(self._df[number])
        return math.log(1 + (self._live - df + 0.5) / (df + 0.5))

    def table(self, query: Bag, slots: Places) -> tuple[Scores, NDArray[np.float64], Scores]:
        """For callers with scores of their own: each known term's idf times its weight, the term counts in these documents (shape terms,
        documents), and the documents' lengths. ``slots`` may come in any order."""
        asked = sorted((term, boost / (self.k1 + 1)) for term, boost, _ in self._asked(query))
        wanted = slots.astype(np.int32)
        counts = np.zeros((len(asked), len(slots)))
        for row, (term, _) in enumerate(asked):
            docs, weights = self._postings(term)
            at = np.minimum(np.searchsorted(docs, wanted), len(docs) - 1)
            counts[row] = np.where(docs[at] == wanted, weights[at], 0.0)
        return np.array([boost for _, boost in asked]), counts, self._lengths[slots].astype(np.float64)

    @property
    def mean_length(self) -> float:
        """Of the live documents; 1 when there are none."""
        return self._total / self._live if self._live else 1.0

    def _asked(self, query: Bag) -> list[tuple[int, float, float]]:
        """Of each known term of a query: its number, its factor (idf and all that is constant), and the most it can add."""
        found = []
        flat, _ = self._damping()
        for text, weight in query.items():
            term = self._terms.get(text)
            if term is None or weight <= 0 or not self._df[term]:
                continue
            df = int(self._df[term])
            boost = weight * (self.k1 + 1) * math.log(1 + (self._live - df + 0.5) / (df + 0.5))
            top = float(self._top[term])
            found.append((term, boost, boost * top / (top + flat)))
        return found

    def _damping(self) -> tuple[float, float]:
        """What is added to tf below the line: a constant, and so much for each unit of length."""
        mean = self._total / self._live if self._live else 1.0
        return max(self.k1 * (1 - self.b), 1e-9), self.k1 * self.b / max(mean, 1e-9)

    def _accumulate(self, asked: list[tuple[int, float, float]], k: int, keep: Mask | None) -> tuple[NDArray[np.float32], float, float]:
        """Scores by slot from the terms that matter, a bar that the best k reach, and the most that a score may lack.

        Terms come in the order of what they can add. Once the rest together cannot lift a document that has none of the
        earlier ones over the bar, and only few others are near it, the rest is left out.
        """
        flat, slope = self._damping()
        asked = sorted(asked, key=lambda entry: (-entry[2], entry[0]))
        rest = np.append(np.cumsum([most for _, _, most in asked][::-1])[::-1], 0.0).tolist()
        ahead = np.append(np.cumsum(self._df[[term for term, _, _ in asked]][::-1])[::-1], 0).tolist()
        scores = np.zeros(self._count, np.float32)
        pool = Pool(k, keep)
        for at, (term, boost, _) in enumerate(asked):
            docs, weights = self._postings(term)
            if self._count > WATCHED:
                pool.take(docs, scores)
            damped = self._lengths.take(docs)
            damped *= slope
            damped += flat
            damped += weights
            np.divide(weights, damped, out=damped)
            damped *= boost
            np.add.at(scores, docs, damped)  # faster than scores[docs] += …
            left = ahead[at + 1]
            if left > self._count and rest[at + 1] < rest[0] / 2:
                bar = pool.bar(scores) * (1 - _MARGIN)
                if bar > rest[at + 1] and _PROBE * (len(asked) - at) * np.count_nonzero(scores > bar - rest[at + 1]) < left:
                    return scores, bar, rest[at + 1]
        return scores, pool.bar(scores) * (1 - _MARGIN), 0.0
