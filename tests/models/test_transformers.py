"""Models through transformers: the contracts over a tiny random Llama, chat templates, cache reuse, and what goes wrong before and while loading."""

from __future__ import annotations

import asyncio
import builtins
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rookery.decoding.beam import diverse_beam
from rookery.decoding.best import best_of_n
from rookery.errors import DeviceMissing, MemoryShort, ModelUnknown, RequestRefused, SettingMissing, SettingWrong, WeightsDamaged
from rookery.models.model import Message, Request, Sampling, complete
from rookery.models.provider import model as model_of
from rookery.models.token_level import Opening
from rookery.models.transformers import TransformersModel
from rookery.testing import check_model, check_token_model
from tests.models.tiny import CONTEXT, need, write_checkpoint, write_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("model") / "llama")


def tiny(folder: Path, **options: Any) -> TransformersModel:
    return TransformersModel(str(folder), **({"device": "cpu"} | options))


def ask(text: str = "A rook is a bird", **sampling: Any) -> Request:
    return Request((Message.of("user", text),), Sampling(**({"max_tokens": 20, "temperature": 0.0} | sampling)))


def opened(model: TransformersModel) -> Callable[[], Opening]:
    return lambda: asyncio.run(model.open(ask()))


def test_it_keeps_the_contract_of_a_token_model(folder: Path) -> None:
    check_token_model(opened(tiny(folder, cached_prompts=0)), atol=1e-3)
    check_token_model(opened(tiny(folder)), atol=1e-3)


async def test_it_keeps_the_contract_of_a_model(folder: Path) -> None:
    await check_model(lambda: tiny(folder), request=ask())


async def test_it_gives_what_the_package_gives(folder: Path) -> None:
    torch, transformers = need("torch", "transformers"), need("transformers", "transformers")
    model = tiny(folder)
    opening = await model.open(ask())
    reference = transformers.AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
    with torch.inference_mode():
        logits = reference(torch.tensor([list(opening.ids)])).logits[0, -1].numpy()
    assert np.abs(opening.logits - logits).max() < 1e-4
    text = transformers.AutoTokenizer.from_pretrained(str(folder)).decode(list(opening.ids))
    assert text == "<|user|>A rook is a bird<|end|><|assistant|>", "the chat template is applied"
    written = reference.generate(torch.tensor([list(opening.ids)]), do_sample=False, max_new_tokens=12)[0, len(opening.ids) :].tolist()
    told, _, _ = await complete(model, ask(max_tokens=12))
    assert told == opening.sequence.vocabulary.decode(written)
    await model.aclose()


async def test_a_last_message_of_the_assistant_is_gone_on_with(folder: Path) -> None:
    model = tiny(folder)
    goes_on = Request((*ask().messages, Message.of("assistant", "It is black")), Sampling(max_tokens=3, temperature=0.0))
    opening = await model.open(goes_on)
    assert bytes(b"".join(opening.sequence.vocabulary.tokens[i] for i in opening.ids)).endswith(b"It is black")
    await model.aclose()


async def test_a_conversation_is_read_once(folder: Path) -> None:
    model = tiny(folder)
    text, first, _ = await complete(model, ask(max_tokens=8))
    longer = Request((*ask().messages, Message.of("assistant", text), Message.of("user", "And?")), Sampling(max_tokens=2))
    _, second, _ = await complete(model, longer)
    assert first.cached_tokens == 0 and second.cached_tokens >= first.prompt_tokens
    await model.aclose()


async def test_equal_seeds_give_equal_text(folder: Path) -> None:
    model = tiny(folder)
    how = {"temperature": 1.0, "top_p": 0.9, "top_k": 50, "min_p": 0.01, "repetition_penalty": 1.1, "frequency_penalty": 0.1}
    one, two, other = [(await complete(model, ask(**how, seed=seed)))[0] for seed in (1, 1, 2)]
    assert one == two != other
    await model.aclose()


async def test_siblings_are_drawn_as_a_batch_and_are_those_of_single_requests(folder: Path) -> None:
    model = tiny(folder)
    how = ask(temperature=1.0, seed=7, max_tokens=10)
    draws = await best_of_n(model, how, n=4)
    for draw in draws:
        alone, _, _ = await complete(model, Request(how.messages, how.sampling, sample=draw.sample))
        assert alone == draw.text
    assert [draw.score("mean") for draw in draws] == sorted((draw.score("mean") for draw in draws), reverse=True)
    found = await diverse_beam(model, ask(max_tokens=5), groups=2, width=2)
    assert len(found) == 4 and found[0].logprob <= 0
    await model.aclose()


def _without_template(folder: Path, to: Path) -> Path:
    to.mkdir()
    for path in folder.iterdir():
        if path.suffix != ".jinja":
            (to / path.name).write_bytes(path.read_bytes())
    config = json.loads((to / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (to / "tokenizer_config.json").write_text(json.dumps(config))
    return to


async def test_without_a_template_the_text_is_the_prompt(folder: Path, tmp_path: Path) -> None:
    model = tiny(_without_template(folder, tmp_path / "plain"))
    opening = await model.open(ask("A rook"))
    assert opening.sequence.vocabulary.decode(list(opening.ids)) == "A rook"
    await model.aclose()


async def test_a_template_that_minds_its_messages_is_an_error_of_ours(folder: Path, tmp_path: Path) -> None:
    copied = _without_template(folder, tmp_path / "minding")
    config = json.loads((copied / "tokenizer_config.json").read_text())
    config["chat_template"] = "{{ raise_exception('no system message, please') }}"
    (copied / "tokenizer_config.json").write_text(json.dumps(config))
    model = tiny(copied)
    with pytest.raises(RequestRefused, match="no system message, please"):
        await complete(model, ask())
    await model.aclose()


async def test_what_is_used_after_closing_is_an_error(folder: Path) -> None:
    model = tiny(folder)
    opening = await model.open(ask())
    await model.aclose()
    with pytest.raises(ValueError, match="closed"):
        opening.sequence.eval([1])


# ------------------------------------------------------------------ what goes wrong


def test_what_is_no_model_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelUnknown, match="nothing is downloaded"):
        TransformersModel("nobody/nothing")
    with pytest.raises(ModelUnknown, match=r"no config\.json"):
        TransformersModel(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelUnknown, match="can't be read"):
        TransformersModel(str(tmp_path))
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 64}')
    assert TransformersModel(str(tmp_path)).capabilities.context_tokens == 64
    assert TransformersModel(str(tmp_path), context_tokens=32).capabilities.context_tokens == 32
    for wrong in ({"dtype": "int3"}, {"context_tokens": 128}, {"context_tokens": 1}):
        with pytest.raises(SettingWrong):
            TransformersModel(str(tmp_path), **wrong)  # type: ignore[arg-type]
    named = model_of(f"transformers:{tmp_path}", dtype="float16")
    assert named.capabilities.name == f"transformers:{tmp_path}" and named.capabilities.token_level


def test_a_model_in_the_hubs_cache_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "hub" / "models--owner--name" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text('{"n_positions": 99}')
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    assert TransformersModel("owner/name").capabilities.context_tokens == 99


async def test_a_missing_package_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("{}")
    real = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "torch":
            raise ImportError("No module named 'torch'", name="torch")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(SettingMissing, match="torch") as caught:
        await complete(TransformersModel(str(tmp_path)), ask())
    assert "rookery[transformers]" in caught.value.hint


async def _fails(model: TransformersModel) -> None:
    try:
        await complete(model, ask())
    finally:
        await model.aclose()


async def test_a_tokenizer_that_cannot_be_had(folder: Path, tmp_path: Path) -> None:
    for path in folder.glob("*.safetensors"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(ModelUnknown, match="no tokenizer") as caught:
        await _fails(tiny(tmp_path))
    assert "tokenizer.json" in caught.value.hint


async def test_weights_that_are_cut_or_absent(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        data = path.read_bytes()
        (tmp_path / path.name).write_bytes(data[: len(data) // 2] if path.suffix == ".safetensors" else data)
    with pytest.raises(WeightsDamaged, match="cut or damaged"):
        await _fails(tiny(tmp_path))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelUnknown, match="can't be loaded"):
        await _fails(tiny(tmp_path))


async def test_a_device_that_is_not_there(folder: Path) -> None:
    torch = need("torch", "transformers")
    absent = "mps" if not torch.backends.mps.is_available() else "cuda:99"
    with pytest.raises(DeviceMissing, match=absent) as caught:
        await _fails(tiny(folder, device=absent))
    assert "cpu" in caught.value.hint
    with pytest.raises(SettingWrong, match="quantum"):
        await _fails(tiny(folder, device="quantum"))


async def test_too_little_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("torch", "transformers")
    monkeypatch.setattr("rookery.models.transformers.free_bytes", lambda: 1000)
    with pytest.raises(MemoryShort, match="needs"):
        await _fails(tiny(folder))


async def test_an_architecture_that_nobody_knows(tmp_path: Path) -> None:
    need("torch", "transformers")
    write_tokenizer(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "rook-of-the-future", "max_position_embeddings": 64}')
    with pytest.raises(ModelUnknown):
        await _fails(tiny(tmp_path))


async def test_the_window_holds(folder: Path) -> None:
    from rookery.errors import ContextOverflow

    model = tiny(folder, context_tokens=40)
    with pytest.raises(ContextOverflow):
        await complete(model, ask("rook " * 60))
    _, usage, stop = await complete(model, ask("A rook", max_tokens=None))
    assert stop in ("length", "end") and usage.tokens <= 40 < CONTEXT
    await model.aclose()
