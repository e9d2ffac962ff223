"""Tiny random models written to a folder: one Llama as a Hugging Face checkpoint and, with the same weights, as GGUF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HIDDEN, HEADS, KEY_HEADS, LAYERS, INNER, CONTEXT = 64, 4, 2, 2, 96, 256
TEXT = ("A rook is a bird of the crow family. Rooks nest in colonies, high in tall trees, and eat worms and grain. "
        "def move(rook, by=1):\n    return rook.x + by\n\nIn chess a rook moves along ranks and files. Ein Turm schlägt über Ränder. ") * 4
TEMPLATE = ("{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% if not loop.last or add_generation_prompt %}<|end|>"
            "{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}")
SPECIAL = ["<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]


def need(package: str, extra: str) -> Any:
    """The package, or the test is skipped with what to do."""
    return pytest.importorskip(package, reason=f"needs {package}: pip install 'rookery[{extra}]'")


def write_tokenizer(folder: Path) -> dict[str, Any]:
    """A byte-level BPE tokenizer trained on a few sentences; its JSON."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator([TEXT], trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>", "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    data: dict[str, Any] = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    return data


def write_checkpoint(folder: Path, *, seed: int = 0) -> Path:
    """A random Llama with its tokenizer, as ``save_pretrained`` writes it."""
    torch, transformers = need("torch", "transformers"), need("transformers", "transformers")
    data = write_tokenizer(folder)
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=len(data["model"]["vocab"]), hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=KEY_HEADS, max_position_embeddings=CONTEXT, tie_word_embeddings=True, eos_token_id=0, bos_token_id=None,
        initializer_range=0.2)
    model = transformers.LlamaForCausalLM(config)
    model.save_pretrained(folder)
    return folder


def random_weights(vocabulary: int, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights of the same shape, under the names of GGUF."""
    draw = np.random.default_rng(seed)

    def matrix(*shape: int) -> np.ndarray:
        return draw.normal(0, 0.2, shape).astype(np.float32)

    width = HIDDEN // HEADS
    weights = {"token_embd.weight": matrix(vocabulary, HIDDEN), "output_norm.weight": np.ones(HIDDEN, np.float32)}
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        weights |= {
            at + "attn_norm.weight": np.ones(HIDDEN, np.float32), at + "ffn_norm.weight": np.ones(HIDDEN, np.float32),
            at + "attn_q.weight": matrix(HIDDEN, HIDDEN), at + "attn_k.weight": matrix(KEY_HEADS * width, HIDDEN),
            at + "attn_v.weight": matrix(KEY_HEADS * width, HIDDEN), at + "attn_output.weight": matrix(HIDDEN, HIDDEN),
            at + "ffn_gate.weight": matrix(INNER, HIDDEN), at + "ffn_up.weight": matrix(INNER, HIDDEN), at + "ffn_down.weight": matrix(HIDDEN, INNER),
        }
    return weights


def write_gguf(path: Path, *, kind: str = "F32", seed: int = 0, template: bool = True) -> Path:
    """A random Llama of the same shape and tokenizer as one GGUF file; ``kind`` is F32, F16 or Q8_0."""
    gguf = need("gguf", "llamacpp")
    data = write_tokenizer(path.parent / "tokenizer")
    vocabulary = sorted(data["model"]["vocab"].items(), key=lambda item: item[1])
    tokens = [token for token, _ in vocabulary]
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if token in SPECIAL else gguf.TokenType.NORMAL for token in tokens])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in data["model"]["merges"]])
    writer.add_eos_token_id(tokens.index("<|end|>"))
    writer.add_add_bos_token(False)
    if template:
        writer.add_chat_template(TEMPLATE)
    for name, weight in random_weights(len(tokens), seed=seed).items():
        _add(gguf, writer, name, weight, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(gguf: Any, writer: Any, name: str, weight: np.ndarray, kind: str) -> None:
    if weight.ndim == 1 or kind == "F32":
        writer.add_tensor(name, weight)
    elif kind == "F16":
        writer.add_tensor(name, weight.astype(np.float16))
    else:
        writer.add_tensor(name, gguf.quants.quantize(weight, gguf.GGMLQuantizationType[kind]), raw_dtype=gguf.GGMLQuantizationType[kind])
