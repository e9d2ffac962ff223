"""The weights of a Llama-type decoder, laid out for the engine: norms and scales folded in, rotary pairs side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rookery.errors import ModelUnknown

Array = NDArray[np.float32]
Stored = NDArray[Any]
"""A tensor in the type it has in its file, fp16 or fp32."""


def read_safetensors(path: Path) -> tuple[dict[str, Stored], dict[str, str]]:
    """The tensors of a safetensors file as they are stored, and its metadata (https://github.com/huggingface/safetensors, "Format").

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
            flat = np.frombuffer(memoryview(raw)[8 + size + first : 8 + size + last], kinds[entry["dtype"]])
            tensors[name] = flat.reshape(entry["shape"])
    except (OSError, ValueError, KeyError) as error:
        raise ModelUnknown(f"{path.name} is no readable weights file ({type(error).__name__}: {error})",
                           hint="install rookery again") from error
    return tensors, metadata


@dataclass(frozen=True, slots=True)
class Layer:
    """One block's matrices, (in, out), with the gain of the norm before them multiplied in."""

    qkv: Array
    """(d, (heads + 2 key heads) × head width); queries are scaled by 1/√head width, and in each head of queries and keys
    the two numbers that turn together stand side by side."""
    out: Array
    gate_up: Array
    """(d, 2 × inner): gate, then up."""
    down: Array


@dataclass(frozen=True, slots=True)
class LlamaWeights:
    """All that does not change while a model runs; shared by every sequence."""

    embedding: Stored
    """(V, d)"""
    head: Array
    """(d, V): the embedding transposed (tied), times the gain of the last norm; or a head of its own."""
    layers: tuple[Layer, ...]
    heads: int
    key_heads: int
    turns: NDArray[np.complex64]
    """(context, 1, half of the head width): how far each pair is turned at each position."""
    eps: float

    @property
    def context(self) -> int:
        """The window in tokens."""
        return len(self.turns)

    @property
    def head_width(self) -> int:
        return 2 * int(self.turns.shape[-1])

    @staticmethod
    def load(path: Path) -> LlamaWeights:
        """From a safetensors file with ``heads``, ``context``, ``rope_theta`` and ``norm_eps`` in its metadata.

        :raises ModelUnknown: the file is no such file.
        """
        return LlamaWeights.of(*read_safetensors(path))

    @staticmethod
    def of(tensors: Mapping[str, Stored], metadata: Mapping[str, str]) -> LlamaWeights:
        """From tensors under the names of Hugging Face's Llama checkpoints; linear weights are (out, in), rotary layout half-split.

        :raises ModelUnknown: a tensor or a value is missing.
        """
        try:
            embedding = tensors["model.embed_tokens.weight"]
            heads, theta = int(metadata["heads"]), float(metadata["rope_theta"])
            count = 1 + max(int(name.split(".")[2]) for name in tensors if name.startswith("model.layers."))
            width = tensors["model.layers.0.self_attn.q_proj.weight"].shape[0] // heads
            key_heads = tensors["model.layers.0.self_attn.k_proj.weight"].shape[0] // width
            layers = tuple(_layer(tensors, f"model.layers.{i}.", width) for i in range(count))
            head = _packed(tensors.get("lm_head.weight", embedding), tensors["model.norm.weight"])
            angles = np.arange(int(metadata["context"]))[:, None, None] * theta ** -(np.arange(width // 2) / (width // 2))
            eps = float(metadata["norm_eps"])
        except (KeyError, ValueError) as error:
            raise ModelUnknown(f"the weights lack something: {error}", hint="install rookery again") from error
        return LlamaWeights(embedding, head, layers, heads, key_heads, np.exp(1j * angles).astype(np.complex64), eps)


def _layer(tensors: Mapping[str, Stored], at: str, head_width: int) -> Layer:
    def part(name: str) -> Array:
        return tensors[f"{at}{name}.weight"].astype(np.float32)

    before, after = part("input_layernorm"), part("post_attention_layernorm")
    q = _paired(part("self_attn.q_proj"), head_width) * np.float32(head_width**-0.5)
    k = _paired(part("self_attn.k_proj"), head_width)
    return Layer(_packed(np.concatenate([q, k, part("self_attn.v_proj")]), before), _packed(part("self_attn.o_proj")),
                 _packed(np.concatenate([part("mlp.gate_proj"), part("mlp.up_proj")]), after), _packed(part("mlp.down_proj")))


def _paired(rows: Array, head_width: int) -> Array:
    """Rows of each head reordered from (first halves, second halves) to pairs."""
    halves = rows.reshape(-1, 2, head_width // 2, rows.shape[-1])
    return halves.transpose(0, 2, 1, 3).reshape(rows.shape)


def _packed(matrix: Stored, gain: Stored | None = None) -> Array:
    """(out, in) as (in, out) in fp32, each input times its gain."""
    turned = matrix.T.astype(np.float32, order="C")
    if gain is not None:
        turned *= gain.astype(np.float32)[:, None]
    return turned
