"""The NumPy engine against a plain forward pass in fp64, and its cache: rollback, forks, batches."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rookery.errors import ContextOverflow, ModelUnknown
from rookery.models.llama import LlamaModel
from rookery.models.llama_weights import LlamaWeights, read_safetensors
from rookery.models.model import TokenModel
from rookery.models.tokenizer import PieceTokenizer

V, D, HEADS, KEY_HEADS, WIDTH, INNER, LAYERS, CONTEXT = 23, 24, 4, 2, 6, 40, 2, 64
METADATA = {"heads": str(HEADS), "context": str(CONTEXT), "rope_theta": "10000.0", "norm_eps": "1e-5"}
WORDS = PieceTokenizer(["<end>", *map(chr, range(97, 97 + V - 1))], end=0)


def random_tensors(seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)

    def matrix(*shape: int) -> np.ndarray:
        return random.normal(0, 0.3, shape).astype(np.float32)

    tensors = {"model.embed_tokens.weight": matrix(V, D), "model.norm.weight": 1 + matrix(D)}
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        tensors |= {
            at + "input_layernorm.weight": 1 + matrix(D), at + "post_attention_layernorm.weight": 1 + matrix(D),
            at + "self_attn.q_proj.weight": matrix(HEADS * WIDTH, D),
            at + "self_attn.k_proj.weight": matrix(KEY_HEADS * WIDTH, D),
            at + "self_attn.v_proj.weight": matrix(KEY_HEADS * WIDTH, D),
            at + "self_attn.o_proj.weight": matrix(D, HEADS * WIDTH),
            at + "mlp.gate_proj.weight": matrix(INNER, D), at + "mlp.up_proj.weight": matrix(INNER, D),
            at + "mlp.down_proj.weight": matrix(D, INNER),
        }
    return tensors


def plain_forward(tensors: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    """Logits after every token, (T, V): no cache, one position and one head at a time."""
    get = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}

    def norm(x: np.ndarray, gain: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = x / np.sqrt((x**2).mean() + 1e-5) * gain
        return scaled

    def turned(x: np.ndarray, position: int) -> np.ndarray:
        half = WIDTH // 2
        angle = position * 10000.0 ** (-np.arange(half) / half)
        a, b = x[:half], x[half:]
        return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)])

    xs = [get["model.embed_tokens.weight"][i] for i in ids]
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        normed = [norm(x, get[at + "input_layernorm.weight"]) for x in xs]
        q = [(get[at + "self_attn.q_proj.weight"] @ x).reshape(HEADS, WIDTH) for x in normed]
        k = [(get[at + "self_attn.k_proj.weight"] @ x).reshape(KEY_HEADS, WIDTH) for x in normed]
        v = [(get[at + "self_attn.v_proj.weight"] @ x).reshape(KEY_HEADS, WIDTH) for x in normed]
        for t in range(len(xs)):
            mixed = []
            for head in range(HEADS):
                group = head // (HEADS // KEY_HEADS)
                scores = np.array([turned(q[t][head], t) @ turned(k[s][group], s) / np.sqrt(WIDTH) for s in range(t + 1)])
                odds = np.exp(scores - scores.max())
                mixed.append(sum(odd * v[s][group] for s, odd in enumerate(odds / odds.sum())))
            x = xs[t] + get[at + "self_attn.o_proj.weight"] @ np.concatenate(mixed)
            h = norm(x, get[at + "post_attention_layernorm.weight"])
            gate = get[at + "mlp.gate_proj.weight"] @ h
            xs[t] = x + get[at + "mlp.down_proj.weight"] @ (gate / (1 + np.exp(-gate)) * (get[at + "mlp.up_proj.weight"] @ h))
    return np.stack([get["model.embed_tokens.weight"] @ norm(x, get["model.norm.weight"]) for x in xs])


TENSORS = random_tensors()
IDS = [int(i) for i in np.random.default_rng(1).integers(0, V, 20)]
EXPECTED = plain_forward(TENSORS, IDS)


@pytest.fixture
def model() -> LlamaModel:
    return LlamaModel(LlamaWeights.of(TENSORS, METADATA), WORDS)


def test_logits_match_the_plain_forward_in_one_go_and_token_by_token(model: LlamaModel) -> None:
    assert isinstance(model.eval(IDS), np.ndarray)
    model.truncate(0)
    for at, token in enumerate(IDS):
        assert np.abs(model.eval([token])[0] - EXPECTED[at]).max() < 1e-4
    model.truncate(0)
    for first, last in ((0, 7), (7, 8), (8, 20)):
        assert np.abs(model.eval(IDS[first:last])[0] - EXPECTED[last - 1]).max() < 1e-4


def test_truncate_forgets_exactly_what_followed(model: LlamaModel) -> None:
    model.eval(IDS[:9])
    expected = model.eval(IDS[9:12])
    model.eval(IDS[12:])
    model.truncate(9)
    assert model.length == 9
    assert np.array_equal(model.eval(IDS[9:12]), expected)
    with pytest.raises(ValueError, match="cannot truncate"):
        model.truncate(13)


def test_siblings_share_a_prefix_and_differ_after_it(model: LlamaModel) -> None:
    model.eval(IDS[:10])
    siblings = model.fork(3)
    rows = [IDS[10:14], [1, 2, 3, 4], [5, 6, 7, 8]]
    logits = siblings.eval(rows)
    assert logits.shape == (3, V)
    for row, found in zip(rows, logits, strict=True):
        assert np.abs(found - plain_forward(TENSORS, IDS[:10] + row)[-1]).max() < 1e-4
    again = siblings.eval([IDS[14]])
    assert np.abs(again[0] - EXPECTED[14]).max() < 1e-4
    # The original and a fork of the fork's kind go their own way.
    assert np.abs(model.eval(IDS[10:])[0] - EXPECTED[-1]).max() < 1e-4
    siblings.truncate(4)
    assert np.abs(siblings.eval(IDS[4:12])[2] - EXPECTED[11]).max() < 1e-4


def test_the_original_may_roll_back_and_overwrite_without_touching_its_forks(model: LlamaModel) -> None:
    model.eval(IDS[:10])
    fork = model.fork(1)
    model.truncate(2)
    model.eval([3] * 12)
    child = fork.fork(2)
    assert np.abs(fork.eval(IDS[10:15])[0] - EXPECTED[14]).max() < 1e-4
    assert np.abs(child.eval(IDS[10:15])[1] - EXPECTED[14]).max() < 1e-4
    with pytest.raises(ValueError, match="single sequence"):
        child.fork(2)


def test_the_window_and_bad_input(model: LlamaModel) -> None:
    model.eval([1] * CONTEXT)
    with pytest.raises(ContextOverflow):
        model.eval([1])
    assert model.length == CONTEXT
    for bad in ([], [[1], [2]]):
        with pytest.raises(ValueError, match="batch of 1"):
            model.eval(bad)


def test_it_is_a_token_model(model: LlamaModel) -> None:
    typed: TokenModel = model
    assert typed.vocabulary.decode(typed.vocabulary.encode("abc")) == "abc"


def write_safetensors(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    header: dict[str, object] = {"__metadata__": metadata}
    at = 0
    for name, tensor in tensors.items():
        kind = {"float16": "F16", "float32": "F32"}[str(tensor.dtype)]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(tensor.tobytes() for tensor in tensors.values()))


def test_safetensors_are_read_and_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {"a": np.arange(6, dtype=np.float16).reshape(2, 3), "b": np.ones(2, np.float32)}, {"heads": "4"})
    tensors, metadata = read_safetensors(path)
    assert metadata == {"heads": "4"}
    assert tensors["a"].dtype == np.float16 and tensors["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ModelUnknown, match=r"model\.safetensors"):
        read_safetensors(path)
    with pytest.raises(ModelUnknown, match="lack something"):
        LlamaWeights.of({}, METADATA)


def test_a_batch_goes_on_from_any_of_its_rows() -> None:
    root = LlamaModel(LlamaWeights.of(TENSORS, METADATA), WORDS)
    root.eval(IDS[:8])
    batch = root.fork(3)
    batch.eval([[1, 2], [3, 4], [5, 6]])
    picked = batch.fork([2, 0, 2, 2])
    logits = picked.eval([[7], [8], [9], [7]])
    for row, tail in enumerate(([5, 6, 7], [1, 2, 8], [5, 6, 9], [5, 6, 7])):
        alone = LlamaModel(LlamaWeights.of(TENSORS, METADATA), WORDS)
        assert np.allclose(logits[row], alone.eval(IDS[:8] + tail)[0], atol=1e-4)
    for wrong in ([], [3], [-1], 2):
        with pytest.raises(ValueError):
            batch.fork(wrong)
