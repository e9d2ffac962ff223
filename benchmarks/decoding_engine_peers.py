"""The contestants of :mod:`benchmarks.decoding_engine`: the same random weights in three formats, and the same loop in three engines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import obey
from rookery.models.llama import LlamaModel
from rookery.models.llama_weights import LlamaWeights

WIDTH, LAYERS, HEADS, INNER, TOKENS, CONTEXT = 320, 6, 5, 768, 3072, 1024
EPS, THETA = 1e-5, 10_000.0
PROMPT, SIBLINGS = 256, 32
IDS = [int(i) for i in np.random.default_rng(1).integers(1, TOKENS, PROMPT)]
HF = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
      "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
      "ffn_down": "mlp.down_proj"}
"""Names of a block's tensors: llama.cpp's, and those of Hugging Face's checkpoints."""


class Words:
    """A vocabulary that is never asked for text."""

    tokens: Sequence[bytes] = [b"x"] * TOKENS
    end = frozenset({0})

    def encode(self, text: str) -> list[int]:
        raise NotImplementedError

    def decode(self, ids: Sequence[int]) -> str:
        raise NotImplementedError


# ------------------------------------------------------------------ weights


def write(folder: Path) -> None:
    """Random weights as safetensors with a configuration, and as GGUF where its writer is installed."""
    draw = np.random.default_rng(0)

    def matrix(*shape: int) -> np.ndarray:
        return draw.normal(0, 0.05, shape).astype(np.float32)

    shapes = {"attn_norm": None, "ffn_norm": None, "attn_q": (WIDTH, WIDTH), "attn_k": (WIDTH, WIDTH), "attn_v": (WIDTH, WIDTH),
              "attn_output": (WIDTH, WIDTH), "ffn_gate": (INNER, WIDTH), "ffn_up": (INNER, WIDTH), "ffn_down": (WIDTH, INNER)}
    blocks = [{name: np.ones(WIDTH, np.float32) if shape is None else matrix(*shape) for name, shape in shapes.items()} for _ in range(LAYERS)]
    embedding = matrix(TOKENS, WIDTH)
    tensors = {"model.embed_tokens.weight": embedding, "model.norm.weight": np.ones(WIDTH, np.float32)}
    tensors |= {f"model.layers.{i}.{HF[name]}.weight": value for i, block in enumerate(blocks) for name, value in block.items()}
    _write_safetensors(folder / "model.safetensors", tensors)
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "vocab_size": TOKENS, "max_position_embeddings": CONTEXT, "rms_norm_eps": EPS,
        "rope_theta": THETA, "tie_word_embeddings": True, "hidden_act": "silu", "torch_dtype": "float32", "bos_token_id": None, "eos_token_id": 0}))
    if find_spec("gguf") is not None:
        _write_gguf(folder / "model.gguf", embedding, blocks)


def _write_safetensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    metadata = {"format": "pt", "heads": str(HEADS), "context": str(CONTEXT), "rope_theta": str(THETA), "norm_eps": str(EPS)}
    header: dict[str, Any] = {"__metadata__": metadata}
    at = 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(tensor.tobytes() for tensor in tensors.values()))


def _write_gguf(path: Path, embedding: np.ndarray, blocks: list[dict[str, np.ndarray]]) -> None:
    import gguf

    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(EPS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(THETA)
    writer.add_vocab_size(TOKENS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(["<end>", *(f"t{i}" for i in range(1, TOKENS))])
    writer.add_token_types([gguf.TokenType.CONTROL, *[gguf.TokenType.NORMAL] * (TOKENS - 1)])
    writer.add_token_merges([])
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    for i, block in enumerate(blocks):
        for name, value in block.items():
            writer.add_tensor(f"blk.{i}.{name}.weight", _interleaved(value) if name in ("attn_q", "attn_k") else value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _interleaved(rows: np.ndarray) -> np.ndarray:
    """Rows of each head in llama.cpp's rotary layout: pairs side by side."""
    return np.ascontiguousarray(rows.reshape(HEADS, 2, WIDTH // HEADS // 2, WIDTH).swapaxes(1, 2).reshape(rows.shape))


# ------------------------------------------------------------------ engines


def timed(prefill: Callable[[], np.ndarray], step: Callable[[int], np.ndarray], steps: int) -> dict[str, Any]:
    """Tokens a second for the prompt and for greedy steps, the logits in NumPy after each."""
    began = time.perf_counter()
    logits = prefill()
    middle = time.perf_counter()
    first = logits.tolist()
    start = time.perf_counter()
    for _ in range(steps):
        logits = step(int(logits.argmax()))
    ended = time.perf_counter()
    return {"prefill_per_s": PROMPT / (middle - began), "decode_per_s": steps / (ended - start), "logits": first}


_LOADED: dict[str, Any] = {}


def rookery(folder: Path, steps: int) -> dict[str, Any]:
    weights = _LOADED.get("weights") or _LOADED.setdefault("weights", LlamaWeights.load(folder / "model.safetensors"))
    one = LlamaModel(weights, Words())
    found = timed(lambda: one.eval(IDS)[0], lambda token: one.eval([token])[0], steps)
    prompt = LlamaModel(weights, Words())
    logits = prompt.eval(IDS)
    siblings = prompt.fork(SIBLINGS)
    tokens = np.arange(1, SIBLINGS + 1)
    began = time.perf_counter()
    for _ in range(steps // 2):
        logits = siblings.eval(tokens[:, None].tolist())
        tokens = logits.argmax(-1)
    return found | {"siblings_per_s": SIBLINGS * (steps // 2) / (time.perf_counter() - began)}


def llama_cpp(folder: Path, steps: int) -> dict[str, Any]:
    try:
        import llama_cpp as api
    except ImportError as error:
        return {"absent": f"llama-cpp-python is not installed ({error})"}
    if not (folder / "model.gguf").exists():
        return {"absent": "gguf is not installed, so there is no file for llama.cpp"}
    if "llm" not in _LOADED:
        _LOADED["llm"] = api.Llama(str(folder / "model.gguf"), n_ctx=CONTEXT, n_batch=512, n_threads=1, n_threads_batch=1, verbose=False)
    llm = _LOADED["llm"]

    def evaluated(ids: list[int]) -> np.ndarray:
        llm.eval(ids)
        return np.ctypeslib.as_array(api.llama_get_logits_ith(llm.ctx, -1), (TOKENS,))

    llm.reset()
    return timed(lambda: evaluated(IDS), lambda token: evaluated([token]), steps)


def transformers(folder: Path, steps: int) -> dict[str, Any]:
    try:
        import torch
        from transformers import DynamicCache, LlamaForCausalLM
    except ImportError as error:
        return {"absent": f"transformers and torch are not installed ({error})"}
    torch.set_num_threads(1)
    if "model" not in _LOADED:
        _LOADED["model"] = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    model = _LOADED["model"]
    cache = DynamicCache(config=model.config)

    def evaluated(ids: list[int]) -> np.ndarray:
        done = model(input_ids=torch.tensor([ids]), past_key_values=cache, use_cache=True, logits_to_keep=1)
        return np.asarray(done.logits[0, -1].numpy())

    with torch.inference_mode():
        return timed(lambda: evaluated(IDS), lambda token: evaluated([token]), steps)


ENGINES = {"rookery": rookery, "llama.cpp": llama_cpp, "transformers": transformers}


def play(order: dict[str, Any]) -> dict[str, Any]:
    """One lap of one engine; its logits after the prompt go to a file."""
    folder = Path(order["folder"])
    answer = ENGINES[order["do"]](folder, order["steps"])
    if "logits" in answer:
        (folder / f"{order['do']}.json").write_text(json.dumps(answer.pop("logits")))
    return answer


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write(Path(sys.argv[1]))
    else:
        obey(play)
