"""The embedded Python model: what it takes for Python, what it refuses, prompts as they stand, weights of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rookery.errors import CapabilityMissing, ContextOverflow, ModelUnknown, SkillMissing
from rookery.models.byte_pairs import BytePairTokenizer
from rookery.models.embedded import WEIGHTS, EmbeddedModel
from rookery.models.model import Message, Request, Sampling, complete
from rookery.models.skills import Continuation
from rookery.testing import check_model

CODE = "class Stack:\n    def push(self, item):\n        self."


def ask(text: str, **sampling: object) -> Request:
    return Request((Message.of("user", text),), Sampling(**sampling))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A random model of two layers with the files that training writes."""
    draw = np.random.default_rng(0)
    tokens = [b"", *(bytes([i]) for i in range(256)), b"se", b"lf", b"self", b"  ", b"    "]
    width, inner = 32, 48
    tensors = {"model.embed_tokens.weight": draw.normal(0, 0.5, (len(tokens), width)), "model.norm.weight": np.ones(width)}
    for i in range(2):
        at = f"model.layers.{i}."
        tensors |= {at + f"self_attn.{part}_proj.weight": draw.normal(0, 0.2, (width, width)) for part in "qkvo"}
        tensors |= {at + f"mlp.{part}_proj.weight": draw.normal(0, 0.2, (inner, width)) for part in ("gate", "up")}
        tensors |= {at + "mlp.down_proj.weight": draw.normal(0, 0.2, (width, inner)), at + "input_layernorm.weight": np.ones(width),
                    at + "post_attention_layernorm.weight": np.ones(width)}
    header: dict[str, object] = {"__metadata__": {"heads": "2", "context": "512", "rope_theta": "10000.0", "norm_eps": "1e-5"}}
    body = b""
    for name, tensor in tensors.items():
        data = tensor.astype(np.float16).tobytes()
        header[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + body)
    BytePairTokenizer(tokens, end=0).save(tmp_path / "byte_pairs.json")
    return tmp_path


@pytest.mark.parametrize("text", [
    CODE, "x", "import os\nos.", "async def f():\n    await x.", "match x:\n    case A():", 'print(f"hello {x.',
    "# words in a comment\nclass A:\n    '''many words\n    and more'''\n    def f(self): return self.",
    "    of a docstring that began before\n    and goes on\n    \"\"\"\n    x = 1\n    y = x.", "def f(:\n    broken = code.",
    "print(a if b else c, not d)",
])
def test_python_is_taken_as_it_stands(text: str) -> None:
    assert Continuation().match(text) == text


@pytest.mark.parametrize("text", [
    "", "  \n", "What is a rook?", "Hello world", "Write a function that adds two numbers.", "SELECT a FROM b", "int main() { return 0; }",
    "Write a function that adds:\ndef add(a, b):\n    return a", "const x = 5;",
])
def test_all_else_is_refused(text: str) -> None:
    assert Continuation().match(text) is None


async def test_the_refusal_says_what_it_can_and_what_to_take_instead(folder: Path) -> None:
    model = EmbeddedModel("python", folder=folder)
    with pytest.raises(SkillMissing) as caught:
        await complete(model, ask("What is a rook?"))
    assert caught.value.model == "embedded:python"
    assert "continue_python" in caught.value.hint and "no instructions" in caught.value.hint and "openai:" in caught.value.hint
    with pytest.raises(ContextOverflow) as too_long:
        await complete(model, ask("x = 1\n" * 200))
    assert "last lines" in too_long.value.hint
    with pytest.raises(CapabilityMissing, match="schema"):
        await complete(model, Request(ask(CODE).messages, schema={"type": "object"}))


async def test_it_keeps_the_contract(folder: Path) -> None:
    await check_model(lambda: EmbeddedModel("python", folder=folder), request=ask(CODE, max_tokens=12))


async def test_white_space_is_part_of_the_prompt(folder: Path) -> None:
    model = EmbeddedModel("python", folder=folder)
    counts = [await model.count_tokens(ask(text)) for text in ("def f(): pass", "def f(): pass\n", "    def f(): pass\n")]
    assert counts == [13, 14, 15]


async def test_siblings_compute_what_they_share_once_and_write_the_same(folder: Path) -> None:
    begin = "class Store:\n" + "".join(f"    def put_{i}(self, x):\n        self.x = x\n" for i in range(6))
    texts = [f"{begin}    def part_{i}(self" for i in range(12)]
    cold, warm = EmbeddedModel("python", folder=folder, cached_prompts=0), EmbeddedModel("python", folder=folder)
    encode = warm.token_model().vocabulary.encode
    unique = len({tuple(ids[:n]) for ids in map(encode, texts) for n in range(1, len(ids) + 1)})
    computed = 0
    for text in texts:
        one, usage, _ = await complete(warm, ask(text, max_tokens=8))
        other, without, _ = await complete(cold, ask(text, max_tokens=8))
        assert one == other and without.cached_tokens == 0
        computed += usage.prompt_tokens - usage.cached_tokens
    assert unique <= computed <= 1.05 * unique


async def test_damaged_files_are_named(folder: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ModelUnknown, match=r"model\.safetensors"):
        await complete(EmbeddedModel("python", folder=folder), ask(CODE))


@pytest.mark.skipif(not (WEIGHTS / "python").exists(), reason="the weights are not in this checkout")
async def test_the_shipped_model_writes_python() -> None:
    model = EmbeddedModel("python")
    can = model.capabilities
    assert (can.name, can.origin, can.context_tokens, can.skills) == ("embedded:python", "trained", 512, ("continue_python",))
    assert model.token_model().context == 512
    assert sum(path.stat().st_size for path in (WEIGHTS / "python").iterdir()) <= 16_000_000
    text, usage, stop = await complete(model, ask("import os\n\n\ndef read(path):\n    with open(path", max_tokens=24, logprobs=0))
    assert stop in ("length", "end") and usage.completion_tokens <= 24
    assert ")" in text
