"""A Llama-type decoder in NumPy: fp32 mathematics over fp16 files, a cache that rolls back, siblings over one prefix.

Speed: one sequence is memory-bound and best on one thread; set ``OPENBLAS_NUM_THREADS=1`` before Python starts (NumPy
offers no switch at run time) when several models or other work share the machine.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from rookery.errors import ContextOverflow, ModelUnknown
from rookery.models.model import Vocabulary

Array = NDArray[np.float32]


def read_safetensors(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """The tensors of a safetensors file as fp32, and its metadata (https://github.com/huggingface/safetensors, "Format").

    :raises ModelUnknown: the file is missing or cut, or holds a type other than F16 and F32.
    """
    kinds: dict[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4")}
    try:
        raw = path.read_bytes()
        size = int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8 : 8 + size])
        metadata: dict[str, str] = header.pop("__metadata__", {})
        tensors = {}
        for name, entry in header.items():
            first, last = entry["data_offsets"]
            flat = np.frombuffer(raw[8 + size + first : 8 + size + last], kinds[entry["dtype"]])
            tensors[name] = flat.reshape(entry["shape"]).astype(np.float32)
    except (OSError, ValueError, KeyError) as error:
        raise ModelUnknown(f"{path.name} is no readable weights file ({type(error).__name__}: {error})",
                           hint="install rookery again") from error
    return tensors, metadata


@dataclass(frozen=True, slots=True)
class Layer:
    """One block's matrices, (in, out), with the gain of the norm before them multiplied in."""

    qkv: Array
    """(d, (heads + 2 key heads) × head width); queries are scaled by 1/√head width."""
    out: Array
    gate_up: Array
    """(d, 2 × inner): gate, then up."""
    down: Array


@dataclass(frozen=True, slots=True)
class LlamaWeights:
    """All that does not change while a model runs; shared by every sequence."""

    embedding: Array
    """(V, d)"""
    head: Array
    """(d, V): the embedding transposed (tied), times the gain of the last norm; or a head of its own."""
    layers: tuple[Layer, ...]
    heads: int
    key_heads: int
    cos: Array
    """(context, 1, half of the head width)"""
    sin: Array
    eps: float

    @property
    def context(self) -> int:
        """The window in tokens."""
        return len(self.cos)

    @property
    def head_width(self) -> int:
        return 2 * int(self.cos.shape[-1])

    @staticmethod
    def load(path: Path) -> LlamaWeights:
        """From a safetensors file with ``heads``, ``context``, ``rope_theta`` and ``norm_eps`` in its metadata.

        :raises ModelUnknown: the file is no such file.
        """
        return LlamaWeights.of(*read_safetensors(path))

    @staticmethod
    def of(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> LlamaWeights:
        """From tensors under the names of Hugging Face's Llama checkpoints; linear weights are (out, in).

        :raises ModelUnknown: a tensor or a value is missing.
        """
        try:
            embedding = tensors["model.embed_tokens.weight"]
            heads, theta = int(metadata["heads"]), float(metadata["rope_theta"])
            count = 1 + max(int(name.split(".")[2]) for name in tensors if name.startswith("model.layers."))
            width = tensors["model.layers.0.self_attn.q_proj.weight"].shape[0] // heads
            key_heads = tensors["model.layers.0.self_attn.k_proj.weight"].shape[0] // width
            layers = tuple(_layer(tensors, f"model.layers.{i}.", width) for i in range(count))
            head = tensors.get("lm_head.weight", embedding) * tensors["model.norm.weight"]
            frequencies = theta ** -(np.arange(width // 2) / (width // 2))
            angles = np.arange(int(metadata["context"]))[:, None, None] * frequencies
            eps = float(metadata["norm_eps"])
        except (KeyError, ValueError) as error:
            raise ModelUnknown(f"the weights lack something: {error}", hint="install rookery again") from error
        return LlamaWeights(embedding, _packed(head.T), layers, heads, key_heads,
                            np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32), eps)


def _layer(tensors: Mapping[str, Array], at: str, head_width: int) -> Layer:
    before, after = tensors[at + "input_layernorm.weight"], tensors[at + "post_attention_layernorm.weight"]
    q = tensors[at + "self_attn.q_proj.weight"] * np.float32(head_width**-0.5)
    qkv = np.concatenate([q, tensors[at + "self_attn.k_proj.weight"], tensors[at + "self_attn.v_proj.weight"]]) * before
    gate_up = np.concatenate([tensors[at + "mlp.gate_proj.weight"], tensors[at + "mlp.up_proj.weight"]]) * after
    return Layer(_packed(qkv.T), _packed(tensors[at + "self_attn.o_proj.weight"].T),
                 _packed(gate_up.T), _packed(tensors[at + "mlp.down_proj.weight"].T))


def _packed(matrix: Array) -> Array:
    return np.ascontiguousarray(matrix, dtype=np.float32)


@dataclass(slots=True)
class _Cache:
    """Keys and values of a run of positions, (layers, 2, B, key heads, room, head width); ``length`` are in use."""

    store: Array
    length: int

    def room_for(self, more: int, limit: int) -> None:
        """Grow to hold ``more`` further positions, at most ``limit`` in all."""
        room = self.store.shape[4]
        if self.length + more > room:
            wanted = min(max(32, 2 * room, self.length + more), max(limit, self.length + more))
            grown = np.empty((*self.store.shape[:4], wanted, self.store.shape[5]), np.float32)
            grown[..., : self.length, :] = self.store[..., : self.length, :]
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
            sibling._own = _Cache(self._own.store[:, :, rows, :, : self._own.length], self._own.length)
            return sibling
        own = (_Cache(self._own.store, self._own.length),) if self._own.length else ()
        sibling._shared = self._shared + own
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
        at = slice(start, start + count)
        cos, sin = w.cos[at], w.sin[at]
        x = w.embedding[rows]
        for i, layer in enumerate(w.layers):
            x += self._attention(i, layer, _normed(x, w.eps), cos, sin)
            both = _normed(x, w.eps) @ layer.gate_up
            gate, up = both[..., : both.shape[-1] // 2], both[..., both.shape[-1] // 2 :]
            x += (gate / (1.0 + np.exp(-gate)) * up) @ layer.down
        self._own.length += count
        return cast("Array", _normed(x[:, -1], w.eps) @ w.head)

    def _make_room(self, count: int) -> None:
        if self._own.length < self._lent:
            self._own = _Cache(self._own.store[..., : self._own.length, :].copy(), self._own.length)
            self._lent = 0
        self._own.room_for(count, self.context)

    def _attention(self, i: int, layer: Layer, x: Array, cos: Array, sin: Array) -> Array:
        w = self._weights
        b, t = x.shape[:2]
        turned = w.heads + w.key_heads
        qkv = (x @ layer.qkv).reshape(b, t, turned + w.key_heads, w.head_width)
        _rotate(qkv[:, :, :turned], cos, sin)
        own, old = self._own, self._own.length
        own.store[i, :, :, :, old : old + t] = qkv[:, :, w.heads :].reshape(b, t, 2, w.key_heads, -1).transpose(2, 0, 3, 1, 4)
        # Queries of the heads that share a key head lie under one another: (B, key heads, group × T, head width).
        group = w.heads // w.key_heads
        q = qkv[:, :, : w.heads].transpose(0, 2, 1, 3).reshape(b, w.key_heads, group * t, w.head_width)
        parts = [part.store[i, :, :, :, : part.length] for part in self._shared] + [own.store[i, :, :, :, : old + t]]
        scores = [q @ part[0].swapaxes(-1, -2) for part in parts]
        if t > 1:
            hidden = np.triu(np.full((t, t), -np.inf, np.float32), 1)
            scores[-1].reshape(b, w.key_heads, group, t, -1)[..., old:] += hidden
        joined = scores[0] if len(scores) == 1 else np.concatenate(scores, -1)
        joined -= joined.max(-1, keepdims=True)
        np.exp(joined, out=joined)
        total = joined.sum(-1, keepdims=True)
        mixed, first = None, 0
        for part in parts:
            last = first + part.shape[-2]
            share = joined[..., first:last] @ part[1]
            mixed = share if mixed is None else mixed + share
            first = last
        mixed = (cast("Array", mixed) / total).reshape(b, w.heads, t, w.head_width)
        return cast("Array", mixed.transpose(0, 2, 1, 3).reshape(b, t, -1) @ layer.out)


def _normed(x: Array, eps: float) -> Array:
    """RMSNorm without its gain, which is part of the matrix that follows."""
    if x.size == x.shape[-1]:  # one token of one sequence: plain floats are faster
        flat = x.reshape(-1)
        return cast("Array", x * np.float32(1.0 / math.sqrt(float(flat @ flat) / x.size + eps)))
    square = np.einsum("...d,...d->...", x, x)[..., None]
    return cast("Array", x / np.sqrt(square / np.float32(x.shape[-1]) + np.float32(eps)))


def _rotate(x: Array, cos: Array, sin: Array) -> None:
    """Rotary positions in place, half-split layout; x is (B, T, heads, head width)."""
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    turned = a * cos - b * sin
    b *= cos
    b += a * sin
    a[...] = turned
