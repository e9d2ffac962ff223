"""Prompts that were read, with their keys and values: a new one goes on where it parts from them, as in a tree of prefixes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from rookery.models.model import TokenModel
from rookery.models.token_level import Opening

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(slots=True)
class _Kept:
    """A sequence that has read these tokens; its logits after the last one, where they are known."""

    ids: tuple[int, ...]
    sequence: TokenModel
    logits: NDArray[np.float32] | None
    computed: int
    """How many of the tokens are its own: the others it reads from a sequence before it."""


class Prompts:
    """The keys and values of the latest prompts. Used by one thread only.

    A prompt begins at its longest common prefix with one that is kept; a :meth:`rookery.models.model.TokenModel.fork` reads that prefix in
    place, so what many prompts begin with is computed once and, where the model shares it, there once.

    :param fresh: an empty sequence.
    :param most: so many prompts are kept, those last used.
    :param tokens: at most so many tokens are kept in all, shared ones counted once; None: no bound.
    :param first: so many tokens at the begin of each prompt are its instruction: computed by itself, and kept for good.
    :param least: a prefix that ends inside what is kept counts from so many tokens on. A very high number makes every reply the same to the
        last bit, whatever was asked before: the rounding of a product depends on how many tokens are computed together.
    """

    def __init__(self, fresh: Callable[[], TokenModel], most: int, *, tokens: int | None = None, first: int = 0, least: int = 1) -> None:
        self._fresh = fresh
        self._most, self._tokens, self._first, self._least = most, tokens, first, least
        self._kept: dict[tuple[int, ...], _Kept] = {}

    @property
    def size(self) -> int:
        """How many are kept now, instructions not counted."""
        return len(self._aging())

    def open(self, ids: Sequence[int]) -> Opening:
        """A sequence that has read ``ids``, the caller's own."""
        wanted = tuple(ids)
        found = self._kept.get(wanted)
        if found is not None and found.logits is not None:
            self._touch(found)
            return Opening(found.sequence.fork(1), found.logits, wanted, len(wanted))
        is_new_kind = 0 < self._first < len(wanted) and wanted[: self._first] not in self._kept
        if is_new_kind:
            self._read(wanted[: self._first])
        kept = self._read(wanted)
        sequence = kept.sequence.fork(1) if self._most else kept.sequence
        return Opening(sequence, cast("NDArray[np.float32]", kept.logits), wanted, 0 if is_new_kind else len(wanted) - kept.computed)

    def keep(self, ids: Sequence[int], sequence: TokenModel) -> None:
        """Keep a sequence that has read ``ids`` and is used no more, for the prompts that go on from it."""
        wanted = tuple(ids)
        if self._most and not any(kept[: len(wanted)] == wanted for kept in self._kept):
            start, shared = self._longest(wanted)
            self._make_room(start)
            self._add(_Kept(wanted, sequence, None, len(wanted) - shared))

    def trim(self, size: int) -> None:
        """Let go of those that were not used for longest, until there are at most ``size``."""
        aging = self._aging()
        for ids in aging[: max(0, len(aging) - max(0, size))]:
            del self._kept[ids]

    def _aging(self) -> list[tuple[int, ...]]:
        """All but the instructions, which are few and short: the one that was not used for longest comes first."""
        return [ids for ids in self._kept if len(ids) != self._first]

    def _read(self, wanted: tuple[int, ...]) -> _Kept:
        """A sequence that reads these tokens, kept."""
        start, known = self._longest(wanted)
        known = min(known, len(wanted) - 1)  # the last one is evaluated in any case: its logits are wanted
        self._make_room(start)
        if start is not None and known:
            sequence = start.sequence.fork(1)
            if known < len(start.ids):
                sequence.truncate(known)
        else:
            sequence, known = self._fresh(), 0
        kept = _Kept(wanted, sequence, sequence.eval(wanted[known:])[0], len(wanted) - known)
        self._add(kept)
        return kept

    def _longest(self, wanted: tuple[int, ...]) -> tuple[_Kept | None, int]:
        """What shares the longest prefix with ``wanted``, and how long that is."""
        best, longest = None, 0
        for kept in self._kept.values():
            shared = _shared(kept.ids, wanted)
            if shared > longest and (shared == len(kept.ids) or shared >= self._least):
                best, longest = kept, shared
        return best, longest

    def _make_room(self, start: _Kept | None) -> None:
        """Let go of the oldest, but of what is gone on from last: there may not be memory for more sequences than are to be kept."""
        if start is not None:
            self._touch(start)
        self.trim(self._most - 1)

    def _add(self, kept: _Kept) -> None:
        if not self._most:
            return
        self._kept.pop(kept.ids, None)
        self._kept[kept.ids] = kept
        while self._tokens is not None and self.size > 1 and sum(each.computed for each in self._kept.values()) > self._tokens:
            self.trim(self.size - 1)

    def _touch(self, kept: _Kept) -> None:
        self._kept[kept.ids] = self._kept.pop(kept.ids)


def _shared(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """The length of the longest common prefix."""
    size = min(len(one), len(other))
    if one[:size] == other[:size]:
        return size
    low, high = 0, size - 1  # one[:low] is equal, one[: high + 1] is not
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low
