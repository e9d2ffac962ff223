"""A Llama-type decoder in NumPy: fp32 mathematics, a cache that rolls back, siblings over one prefix.

Speed: one sequence is memory-bound and best on one thread; set ``OPENBLAS_NUM_THREADS=1`` before Python starts (NumPy
offers no switch at run time) when several models or other work share the machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from rookery.errors import ContextOverflow
from rookery.models.llama_weights import Array, Layer, LlamaWeights
from rookery.models.model import Vocabulary

MAX_SHARED_PARTS = 3
"""A prefix in more pieces than this is joined to one: each piece costs two products a layer and token."""


@dataclass(slots=True)
class _Cache:
    """Keys and values of a run of positions, (layers, 2, B, key heads, room, head width); ``length`` are in use."""

    store: Array
    length: int

    @property
    def used(self) -> Array:
        return self.store[..., : self.length, :]

    def room_for(self, more: int, limit: int) -> None:
        """Grow to hold ``more`` further positions, at most ``limit`` in all."""
        room = self.store.shape[4]
        if self.length + more > room:
            wanted = min(max(32, 2 * room, self.length + more), max(limit, self.length + more))
            grown = np.empty((*self.store.shape[:4], wanted, self.store.shape[5]), np.float32)
            grown[..., : self.length, :] = self.used
            self.store = grown


class LlamaModel:
    """A sequence, or a batch of siblings, with its cache: a :class:`rookery.models.model.TokenModel`.

    Siblings made by :meth:`fork` read the shared prefix in place: it is neither copied nor changed. Not thread-safe;
    sequences over the same weights are independent of each other.
    """

    def __init__(self, weights: LlamaWeights, vocabulary: Vocabulary) -> None:
        self._weights = weights
        self._vocabulary = vocabulary
        self._batch = 1
        self._shared: tuple[_Cache, ...] = ()
        """What all siblings read: parts of a single sequence (their B is 1)."""
        self._own = self._fresh(1)
        self._lent = 0
        """How many positions of the own cache forks read; these are copied before they are overwritten."""

    def _fresh(self, batch: int) -> _Cache:
        w = self._weights
        return _Cache(np.empty((len(w.layers), 2, batch, w.key_heads, 0, w.head_width), np.float32), 0)

    @property
    def vocabulary(self) -> Vocabulary:
        """How ids and text belong together."""
        return self._vocabulary

    @property
    def context(self) -> int:
        """The window in tokens."""
        return self._weights.context

    @property
    def length(self) -> int:
        """Tokens evaluated so far, the shared prefix included."""
        return sum(part.length for part in self._shared) + self._own.length

    def truncate(self, length: int) -> None:
        """Keep only the first ``length`` tokens of the cache, exactly as if nothing had followed.

        :raises ValueError: ``length`` is negative or more than there are.
        """
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate {self.length} tokens to {length}")
        before = self.length - self._own.length
        if length >= before:
            self._own.length = length - before
            return
        kept, left = [], length
        for part in self._shared:
            kept.append(_Cache(part.store, min(part.length, left)))
            left -= kept[-1].length
        self._shared = tuple(part for part in kept if part.length)
        self._own, self._lent = self._fresh(self._batch), 0

    def fork(self, n: int | Sequence[int]) -> LlamaModel:
        """A batch of ``n`` siblings that share what was evaluated so far, or that goes on from these rows; the original stays usable.

        :raises ValueError: no siblings, a row that is not there, or a number where this is already a batch of several.
        """
        if isinstance(n, int) and (n < 1 or self._batch > 1):
            raise ValueError("a number forks a single sequence, into one sibling or more; of a batch give the rows")
        rows = [0] * n if isinstance(n, int) else list(n)
        if not rows or not 0 <= min(rows) <= max(rows) < self._batch:
            raise ValueError(f"a batch of {self._batch} has no rows {rows}")
        sibling = LlamaModel(self._weights, self._vocabulary)
        sibling._batch = len(rows)
        if self._batch > 1:  # what is the siblings' own is copied, row by row; what they share stays where it is
            sibling._shared = self._shared
            sibling._own = _Cache(self._own.used[:, :, rows], self._own.length)
            return sibling
        own = (_Cache(self._own.store, self._own.length),) if self._own.length else ()
        sibling._shared = _joined(self._shared + own)
        sibling._own = sibling._fresh(len(rows))
        self._lent = max(self._lent, self._own.length)
        return sibling

    def eval(self, ids: Sequence[int] | Sequence[Sequence[int]]) -> Array:
        """Append tokens (the same for all siblings, or one row per sibling, equally long); logits after the last, (B, V).

        :raises ContextOverflow: they do not fit the window; nothing is appended.
        :raises ValueError: no tokens, or rows that do not match the batch.
        """
        rows = np.asarray(ids, dtype=np.intp)
        rows = np.broadcast_to(rows, (self._batch, rows.shape[-1])) if rows.ndim == 1 else rows
        if rows.ndim != 2 or rows.shape[0] != self._batch or rows.shape[1] == 0:
            raise ValueError(f"expected tokens for a batch of {self._batch}, got shape {rows.shape}")
        count, start = rows.shape[1], self.length
        if start + count > self.context:
            raise ContextOverflow(f"{start + count} tokens do not fit the window of {self.context}", hint="shorten the prompt")
        self._make_room(count)
        w = self._weights
        turns = w.turns[start : start + count]
        # All rows of all siblings under one another, (B × T, d): one large product reads a matrix once, many small ones read it often.
        x = w.embedding[rows.reshape(-1)].astype(np.float32)
        with np.errstate(over="ignore"):  # exp(-gate) may be infinite, and gate / infinity is the 0 that it should be
            for i, layer in enumerate(w.layers):
                x += self._attention(i, layer, _normed(x, w.eps), turns)
                x += _gated(_normed(x, w.eps) @ layer.gate_up) @ layer.down
        self._own.length += count
        last = x if count == 1 else x[count - 1 :: count]
        return cast("Array", _normed(last, w.eps) @ w.head)

    def _make_room(self, count: int) -> None:
        if self._own.length < self._lent:
            self._own = _Cache(self._own.used.copy(), self._own.length)
            self._lent = 0
        self._own.room_for(count, self.context)

    def _attention(self, i: int, layer: Layer, x: Array, turns: NDArray[np.complex64]) -> Array:
        w, b, t = self._weights, self._batch, len(turns)
        turned, group = w.heads + w.key_heads, w.heads // w.key_heads
        flat = x @ layer.qkv
        qkv = flat.reshape(b, t, turned + w.key_heads, w.head_width)
        pairs = flat.view(np.complex64).reshape(b, t, turned + w.key_heads, w.head_width // 2)[:, :, :turned]
        pairs *= turns
        keys, values = self._remember(i, qkv[:, :, w.heads : turned], qkv[:, :, turned:])
        # Queries of the heads that share a key head lie under one another: (key heads, B, group × T, head width).
        q = qkv[:, :, : w.heads].reshape(b, t, w.key_heads, group, w.head_width).transpose(2, 0, 3, 1, 4).reshape(w.key_heads, b, group * t, -1)
        scores = [(_under(q) @ part.used[i, 0, 0].swapaxes(-1, -2)).reshape(w.key_heads, b, group * t, -1) for part in self._shared]
        scores.append(q @ keys.swapaxes(-1, -2))
        if t > 1:
            later = scores[-1].reshape(w.key_heads, b, group, t, -1)[..., self._own.length :]
            later += np.triu(np.full((t, t), -np.inf, np.float32), 1)
        odds = scores[0] if len(scores) == 1 else np.concatenate(scores, -1)
        odds -= odds.max(-1, keepdims=True)
        np.exp(odds, out=odds)
        total = odds.sum(-1, keepdims=True)
        mixed = odds[..., odds.shape[-1] - keys.shape[-2] :] @ values
        at = 0
        for part in self._shared:
            mixed += (_under(odds[..., at : at + part.length]) @ part.used[i, 1, 0]).reshape(mixed.shape)
            at += part.length
        mixed /= total
        heads = mixed.reshape(w.key_heads, b, group, t, w.head_width).transpose(1, 3, 0, 2, 4).reshape(b * t, -1)
        return cast("Array", heads @ layer.out)

    def _remember(self, i: int, keys: Array, values: Array) -> tuple[Array, Array]:
        """Append (B, T, key heads, head width) to the own cache of a layer; gives all of it, each (key heads, B, length, head width)."""
        own = self._own
        new = slice(own.length, own.length + keys.shape[1])
        own.store[i, 0, :, :, new] = keys.swapaxes(1, 2)
        own.store[i, 1, :, :, new] = values.swapaxes(1, 2)
        return own.store[i, 0, :, :, : new.stop].swapaxes(0, 1), own.store[i, 1, :, :, : new.stop].swapaxes(0, 1)


def _under(x: Array) -> Array:
    """The siblings' rows under one another, (key heads, B × rows, n), for a product with what they share."""
    return x.reshape(x.shape[0], -1, x.shape[-1])


def _joined(parts: tuple[_Cache, ...]) -> tuple[_Cache, ...]:
    if len(parts) <= MAX_SHARED_PARTS:
        return parts
    whole = np.concatenate([part.used for part in parts], 4)
    return (_Cache(whole, whole.shape[4]),)


def _gated(both: Array) -> Array:
    """SwiGLU of (rows, 2 × inner): the gate's part times its sigmoid times the rest."""
    half = both.shape[-1] // 2
    gate = both[:, :half]
    out = np.exp(-gate)
    out += 1.0
    np.divide(gate, out, out=out)
    out *= both[:, half:]
    return cast("Array", out)


def _normed(x: Array, eps: float) -> Array:
    """RMSNorm without its gain, which is part of the matrix that follows."""
    if x.shape[0] == 1:  # plain floats are faster
        flat: Any = x[0]
        return cast("Array", x * np.float32(1.0 / math.sqrt(float(flat @ flat) / x.shape[-1] + eps)))
    square = np.einsum("rd,rd->r", x, x)[:, None]
    return cast("Array", x / np.sqrt(square / np.float32(x.shape[-1]) + np.float32(eps)))
