"""A vocabulary's tokens in the tables that masks are made from; made once for each vocabulary."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rookery.decoding.constraint import BREAKS, last_with, tokenizer
from rookery.models.model import Vocabulary

if TYPE_CHECKING:
    from llguidance import LLTokenizer

Ids = NDArray[np.intp]
Bools = NDArray[np.bool_]

WIDTH = 16
"""Tokens of up to so many bytes are found by their hashes; longer ones one by one."""
HEAD = 4
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_BITS = 20
_BREAKS = frozenset(BREAKS.encode())
_WORD = frozenset(range(256)) - _BREAKS


class Tokens:
    """The tokens of a vocabulary by their bytes. Special tokens (no bytes) are in no table: only what ends a reply is ever allowed."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.bytes: Sequence[bytes] = vocabulary.tokens
        self.size = len(self.bytes)
        self.end = np.fromiter(sorted(vocabulary.end), np.intp)
        order = sorted(range(self.size), key=self.bytes.__getitem__)
        order = order[next((at for at, token in enumerate(order) if self.bytes[token]), len(order)) :]
        self.ids: Ids = np.array(order, np.intp)
        """By their bytes, in order."""
        self.sorted: tuple[bytes, ...] = tuple(self.bytes[token] for token in order)
        self.first: dict[bytes, int] = {}
        """An id for each token's bytes."""
        self.twins: dict[bytes, list[int]] = {}
        """All ids of bytes that more than one token has."""
        self.stems: dict[bytes, Ids] = {}
        """Tokens that cross the end of a word: by the word's part, those that go on with an ASCII character that is in no word."""
        self._fill(order)

    def _fill(self, order: list[int]) -> None:
        stems: dict[bytes, list[int]] = {}
        for token, data in zip(order, self.sorted, strict=True):
            before = self.first.setdefault(data, token)
            if before != token:
                self.twins.setdefault(data, [before]).append(token)
            cut = next((at for at, byte in enumerate(data) if byte not in _WORD), len(data))
            if 0 < cut < len(data):
                stems.setdefault(data[:cut], []).append(token)
        self.stems = {stem: np.array(ids, np.intp) for stem, ids in stems.items()}

    def with_prefix(self, prefix: bytes) -> range:
        """Where the tokens that begin with these bytes stand in ``sorted`` and ``ids``."""
        low = bisect_left(self.sorted, prefix)
        if low == len(self.sorted) or not self.sorted[low].startswith(prefix):
            return range(low, low)
        return range(low, last_with(self.sorted, prefix, low, len(self.sorted)))

    @cached_property
    def heads(self) -> dict[bytes, tuple[int, tuple[int, ...]]]:
        """By the first ``HEAD`` bytes of tokens, where these are of a word: how long the longest of these words is (what ends one and follows left
        out), and the ids of the tokens that those bytes begin with. One look here stands for several, and most names are found out by it."""
        longest: dict[bytes, int] = {}
        for data in self.sorted:
            if len(data) >= HEAD:
                size = next((at for at, byte in enumerate(data) if byte in _BREAKS), len(data))
                if size >= HEAD:
                    longest[data[:HEAD]] = max(longest.get(data[:HEAD], 0), size)
        return {head: (size, tuple(token for end in range(1, HEAD + 1) if (token := self.first.get(head[:end])) is not None))
                for head, size in longest.items()}

    @cached_property
    def ll(self) -> LLTokenizer:
        """llguidance's view, whose end of text is the id ``size``. Takes a third of a second for 128,000 tokens, once."""
        return tokenizer(self.bytes, lambda data: self.greedy(data) or [])

    def greedy(self, data: bytes) -> list[int] | None:
        """Tokens that spell these bytes, the longest first; None where the vocabulary can't."""
        spelled: list[int] = []
        at = 0
        while at < len(data):
            token = None
            for end in range(min(len(data), at + 64), at, -1):
                token = self.first.get(data[at:end])
                if token is not None:
                    break
            if token is None:
                return None
            spelled.append(token)
            at += len(self.bytes[token])
        return spelled

    def after(self, stops: frozenset[int]) -> Bools:
        """Which tokens begin with one of these bytes, shape (V,); kept, so don't write to it."""
        found = self._after.get(stops)
        if found is None:
            found = self._after[stops] = np.zeros(self.size, np.bool_)
            for stop in stops:
                at = self.with_prefix(bytes([stop]))
                found[self.ids[at.start : at.stop]] = True
        return found

    def with_any(self, signs: frozenset[int]) -> bytearray:
        """For each token 1 if one of these bytes is in it, else 0; kept, so don't write to it."""
        found = self._with_any.get(signs)
        if found is None:
            found = self._with_any[signs] = bytearray(not signs.isdisjoint(data) for data in self.bytes) if signs else bytearray(self.size)
        return found

    @cached_property
    def _with_any(self) -> dict[frozenset[int], bytearray]:
        return {}

    @cached_property
    def _after(self) -> dict[frozenset[int], Bools]:
        return {}

    @cached_property
    def hashes(self) -> Hashes:
        """The tokens by hashes of their bytes, for many names at once."""
        return Hashes(self)


class Hashes:
    """Which prefixes of many byte strings are tokens, found with a few array operations; exact, since hits are compared byte by byte."""

    def __init__(self, tokens: Tokens) -> None:
        short = [(token, data) for data, token in tokens.first.items() if len(data) <= WIDTH]
        self._tokens = np.array([token for token, _ in short], np.int32)
        self._lengths = np.array([len(data) for _, data in short], np.int16)
        self._text = table_of([data for _, data in short], WIDTH)
        self._keys = _hash_rows(self._text, self._lengths)
        self._slots: list[NDArray[np.int32]] = []
        left = np.arange(len(short), dtype=np.int32)
        while len(left):  # those that find their slot taken go to the next table
            slot, shift = np.full(1 << _BITS, -1, np.int32), self._shift(len(self._slots))
            places = (self._keys[left] >> shift) & np.uint64((1 << _BITS) - 1)
            slot[places] = left
            left = left[slot[places] != left]
            self._slots.append(slot)
            if len(self._slots) == 4:
                break
        self.rest = frozenset(self._text[row].tobytes()[: self._lengths[row]] for row in left)
        """Short tokens that found no slot in four tables; none, as a rule."""

    @staticmethod
    def _shift(table: int) -> np.uint64:
        return np.uint64(64 - _BITS - 11 * table)

    def find(self, text: NDArray[np.uint8], lengths: NDArray[np.int16], fresh: NDArray[np.int16]) -> NDArray[np.int32]:
        """The ids of tokens that are prefixes of the rows (N, W), those longer than ``fresh`` bytes only; each id once or more."""
        width = text.shape[1]
        keys = text.T.astype(np.uint64)
        keys += np.uint64(1)
        keys[0] *= _FACTOR
        for column in range(1, width):
            keys[column] += keys[column - 1]
            keys[column] *= _FACTOR
        columns = np.arange(1, width + 1, dtype=np.int16)[:, None]
        asked = np.flatnonzero((columns <= lengths) & (columns > fresh))
        flat = keys.reshape(-1)[asked]
        flat ^= flat >> np.uint64(29)
        found: list[NDArray[np.int32]] = []
        for number, slot in enumerate(self._slots):
            rows = slot[(flat >> self._shift(number)) & np.uint64((1 << _BITS) - 1)]
            taken = np.flatnonzero(rows >= 0)  # only where a slot was taken has the next table anything
            asked, flat, rows = asked[taken], flat[taken], rows[taken]
            hit = self._keys[rows] == flat
            found.append(self._same(text, asked[hit], rows[hit]))
            asked, flat = asked[~hit], flat[~hit]
        return np.concatenate(found)

    def _same(self, text: NDArray[np.uint8], asked: NDArray[np.intp], rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """The ids of those hits whose bytes are the same, not only their hashes."""
        size = asked // len(text) + 1
        width = text.shape[1]
        differs = self._text[rows, :width] != text[asked % len(text)]
        differs &= np.arange(width) < size[:, None]
        good = (self._lengths[rows] == size) & ~differs.any(1)
        return cast("NDArray[np.int32]", self._tokens[rows[good]])


def table_of(rows: Sequence[bytes], width: int) -> NDArray[np.uint8]:
    """Byte strings as rows of (N, width), cut or filled with zeros."""
    if not rows:
        return np.zeros((0, width), np.uint8)
    return np.array(rows, f"S{width}").view(np.uint8).reshape(len(rows), width)


def _hash_rows(text: NDArray[np.uint8], lengths: NDArray[np.int16]) -> NDArray[np.uint64]:
    keys = np.zeros(len(text), np.uint64)
    key = np.zeros(len(text), np.uint64)
    for column in range(text.shape[1]):
        key = (key + text[:, column] + np.uint64(1)) * _FACTOR
        keys[lengths == column + 1] = key[lengths == column + 1]
    return keys ^ (keys >> np.uint64(29))


_KNOWN: WeakKeyDictionary[Any, Tokens] = WeakKeyDictionary()


def tokens_of(vocabulary: Vocabulary) -> Tokens:
    """The tables of a vocabulary, made at its first use."""
    found = _KNOWN.get(vocabulary)
    if found is None:
        found = _KNOWN[vocabulary] = Tokens(vocabulary)
    return found
