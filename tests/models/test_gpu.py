"""What must hold on a GPU too: masks, prompts read once, siblings as a batch, and how many tokens come a second. ``make test-gpu`` runs it.

``ROOKERY_GPU`` names another device (``cuda:1``, ``mps``; ``cpu`` to try the tests themselves).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rookery.decoding import Desk, Guarded, best_of_n, check, choice, json_schema, regex
from rookery.decoding.level import Tally
from rookery.models.model import Message, Request, Sampling, complete
from rookery.models.transformers import TransformersModel
from rookery.testing import check_model, check_token_model
from tests.models.tiny import need, write_tokenizer

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(600)]
DEVICE = os.environ.get("ROOKERY_GPU", "cuda")
SIBLINGS = 32
CONTEXT = 1024


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of about 20 million parameters, large enough to be slow in the wrong places."""
    torch, transformers = need("torch", "transformers"), need("transformers", "transformers")
    if DEVICE.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device that this PyTorch can use")
    folder = tmp_path_factory.mktemp("gpu")
    vocabulary = len(write_tokenizer(folder)["model"]["vocab"])
    torch.manual_seed(0)
    config = transformers.LlamaConfig(vocab_size=vocabulary, hidden_size=512, intermediate_size=1408, num_hidden_layers=6,
                                      num_attention_heads=8, num_key_value_heads=4, max_position_embeddings=CONTEXT, eos_token_id=0,
                                      bos_token_id=None, initializer_range=0.05)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def model(folder: Path) -> Iterator[TransformersModel]:
    yield TransformersModel(str(folder), device=DEVICE, dtype="float32")


def ask(text: str = "A rook is a bird", **sampling: object) -> Request:
    return Request((Message.of("user", text),), Sampling(**({"max_tokens": 32, "temperature": 0.0} | sampling)))  # type: ignore[arg-type]


def test_the_contract_of_a_token_model(folder: Path) -> None:
    model = TransformersModel(str(folder), device=DEVICE, dtype="float32", cached_prompts=0)
    check_token_model(lambda: asyncio.run(model.open(ask())), atol=1e-2)


async def test_the_contract_of_a_model(folder: Path) -> None:
    await check_model(lambda: TransformersModel(str(folder), device=DEVICE, dtype="float32"), request=ask(max_tokens=16))


async def test_masks_hold(model: TransformersModel) -> None:
    desk = Desk()
    for rule in (choice("rook", "bishop", "knight"), regex(r"\d{3}-[a-f]{2}"), json_schema({"enum": ["yes", "no"]})):
        for seed in range(4):
            guarded = Guarded(model, rule, desk)
            text = "".join([chunk.text async for chunk in guarded.stream(ask(temperature=1.5, seed=seed))])
            assert guarded.report.level == 1 and not await check(text, rule, desk, Tally()), text
    await desk.aclose()
    await model.aclose()


async def test_a_prompt_is_read_once(model: TransformersModel) -> None:
    first, rest = "rook " * 300, " and a bishop"
    await complete(model, ask(first, max_tokens=1))
    opening = await model.open(ask(first + rest))
    assert opening.cached_tokens > 290
    fresh = await model.compute(lambda: model.token_model().eval(opening.ids)[0])
    assert np.abs(fresh - opening.logits).max() < 1e-2
    await model.aclose()


async def test_a_batch_gives_what_single_requests_give(model: TransformersModel) -> None:
    request = ask(temperature=1.0, seed=5, max_tokens=24)
    draws = await best_of_n(model, request, n=SIBLINGS)
    alone = [(await complete(model, Request(request.messages, request.sampling, sample=draw.sample)))[0] for draw in draws[:8]]
    same = sum(text == draw.text for text, draw in zip(alone, draws, strict=False))
    assert same >= 7, f"{same} of 8 texts are the same; rounding in a batch may turn one draw"
    await model.aclose()


async def test_tokens_a_second(model: TransformersModel, capsys: pytest.CaptureFixture[str]) -> None:
    opening = await model.open(ask())

    def run(siblings: int, steps: int = 64) -> float:
        batch = opening.sequence.fork(siblings)
        token = int(opening.logits.argmax())
        batch.eval([[token]] * siblings)
        began = time.perf_counter()
        for _ in range(steps):
            batch.eval([[token]] * siblings)
        return siblings * steps / (time.perf_counter() - began)

    one, many = await model.compute(lambda: run(1)), await model.compute(lambda: run(SIBLINGS))
    with capsys.disabled():
        print(f"\n{DEVICE}: {one:.0f} tokens/s, {SIBLINGS} siblings {many:.0f} tokens/s")
    assert many > 2 * one, "siblings are computed together"
    await model.aclose()
