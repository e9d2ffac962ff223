"""Models through llama.cpp: headers and cut files, the contracts over a tiny GGUF, shared cells, the self-test in a process of its own."""

from __future__ import annotations

import asyncio
import builtins
import importlib.util
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rookery.decoding.best import best_of_n
from rookery.errors import DeviceMissing, MemoryShort, ModelBusy, ModelFault, ModelUnknown, SettingMissing, SettingWrong, WeightsDamaged
from rookery.models import llamacpp
from rookery.models.gguf import read_gguf_header
from rookery.models.llamacpp import LlamaCppModel
from rookery.models.model import Message, Request, Sampling, complete
from rookery.models.provider import model as model_of
from rookery.models.token_level import Opening
from rookery.testing import check_model, check_token_model
from tests.models.tiny import CONTEXT, need, write_gguf

binding = pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None,
                             reason="needs llama_cpp: pip install 'rookery[llamacpp]'")
# Importing llama_cpp opens the null device and never closes it.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gguf")


@pytest.fixture(scope="module")
def file(folder: Path) -> Path:
    return write_gguf(folder / "tiny.gguf")


def tiny(file: Path, **options: Any) -> LlamaCppModel:
    return LlamaCppModel(str(file), **({"threads": 1} | options))


def ask(text: str = "A rook is a bird", **sampling: Any) -> Request:
    return Request((Message.of("user", text),), Sampling(**({"max_tokens": 20, "temperature": 0.0} | sampling)))


async def _fails(model: LlamaCppModel, request: Request | None = None) -> None:
    try:
        await complete(model, request or ask())
    finally:
        await model.aclose()


# ------------------------------------------------------------------ the header


def test_the_header_says_what_the_file_is(file: Path, folder: Path) -> None:
    header = read_gguf_header(file)
    assert header.context_tokens == CONTEXT and not header.quantised and header.bytes == file.stat().st_size
    assert header.fields["general.architecture"] == "llama" and "tokenizer.ggml.tokens" not in header.fields
    assert read_gguf_header(write_gguf(folder / "q8.gguf", kind="Q8_0")).quantised
    assert not read_gguf_header(write_gguf(folder / "f16.gguf", kind="F16")).quantised


@pytest.mark.parametrize("share", [0.0, 0.00002, 0.0005, 0.01, 0.05, 0.5, 0.999])
def test_a_file_that_is_cut_is_refused_at_once(file: Path, tmp_path: Path, share: float) -> None:
    data = file.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(WeightsDamaged) as caught:
        LlamaCppModel(str(cut))
    assert caught.value.path == str(cut) and caught.value.hint


def test_a_header_that_is_nonsense_is_refused(file: Path, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for number in range(40):
        data = bytearray(file.read_bytes())
        for at in draw.integers(4, 400, 4):
            data[at] = int(draw.integers(256))
        wrong = tmp_path / f"{number}.gguf"
        wrong.write_bytes(data)
        try:
            read_gguf_header(wrong)
        except WeightsDamaged:
            continue
    (tmp_path / "text.gguf").write_text("this is no model")
    with pytest.raises(WeightsDamaged, match="no GGUF"):
        LlamaCppModel(str(tmp_path / "text.gguf"))


def test_what_is_no_file_or_makes_no_sense_is_refused_at_once(file: Path) -> None:
    with pytest.raises(ModelUnknown, match="nothing is downloaded"):
        LlamaCppModel("absent.gguf")
    for wrong in ({"context_tokens": 2 * CONTEXT}, {"context_tokens": 1}, {"kv_tokens": 10}, {"siblings": 0}, {"threads": 0}):
        with pytest.raises(SettingWrong):
            LlamaCppModel(str(file), **wrong)
    named = model_of(f"llamacpp:{file}", context_tokens=64)
    assert named.capabilities.context_tokens == 64 and named.capabilities.token_level


async def test_a_missing_package_says_how_to_get_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "llama_cpp":
            raise ImportError("No module named 'llama_cpp'", name="llama_cpp")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(SettingMissing, match="llama-cpp-python") as caught:
        await _fails(tiny(file))
    assert "rookery[llamacpp]" in caught.value.hint


# ------------------------------------------------------------------ at work


def opened(model: LlamaCppModel) -> Callable[[], Opening]:
    return lambda: asyncio.run(model.open(ask()))


@binding
def test_it_keeps_the_contract_of_a_token_model(file: Path) -> None:
    check_token_model(opened(tiny(file, cached_prompts=0)), atol=2e-2)
    check_token_model(opened(tiny(file)), atol=2e-2)


@binding
async def test_it_keeps_the_contract_of_a_model(file: Path) -> None:
    await check_model(lambda: tiny(file), request=ask())


@binding
async def test_the_chat_template_of_the_file_is_applied(file: Path, folder: Path) -> None:
    model = tiny(file)
    opening = await model.open(ask())
    words = opening.sequence.vocabulary
    assert words.decode(list(opening.ids)) == "A rook is a bird", "names of roles are special tokens, which have no text"
    goes_on = Request((*ask().messages, Message.of("assistant", "It is black")), Sampling())
    assert words.decode(list((await model.open(goes_on)).ids)) == "A rook is a birdIt is black"
    assert len(opening.ids) == len(words.encode("A rook is a bird")) + 3
    await model.aclose()
    plain = tiny(write_gguf(folder / "plain.gguf", template=False))
    assert len((await plain.open(ask())).ids) == len(words.encode("A rook is a bird"))
    await plain.aclose()


@binding
async def test_what_is_used_after_closing_is_an_error_and_no_crash(file: Path) -> None:
    model = tiny(file)
    opening = await model.open(ask())
    await model.aclose()
    assert opening.sequence.vocabulary.encode("A rook")
    opening.sequence.truncate(1)
    for wrong in (lambda: opening.sequence.eval([1]), lambda: opening.sequence.fork(1)):
        with pytest.raises(ValueError, match="closed"):
            wrong()


@binding
async def test_siblings_share_what_they_begin_with(file: Path) -> None:
    model = tiny(file, context_tokens=200, kv_tokens=256, cached_prompts=1)
    how = ask("rook " * 140, temperature=1.0, seed=3, max_tokens=4)
    draws = await best_of_n(model, how, n=12)
    assert len(draws) == 12, "a prompt of some 140 tokens twelve times over fits into 256, since it stands there once"
    for draw in draws[:3]:
        assert (await complete(model, Request(how.messages, how.sampling, sample=draw.sample)))[0] == draw.text
    await model.aclose()


@binding
async def test_cached_prompts_make_room_for_new_ones(file: Path) -> None:
    model = tiny(file, context_tokens=100, kv_tokens=150, siblings=4, cached_prompts=8)
    for word in ("rook", "bird", "tree", "worm", "chess"):
        _, usage, _ = await complete(model, ask(f"{word} " * 16, max_tokens=3))
        assert usage.completion_tokens >= 1
    await model.aclose()


@binding
async def test_too_many_at_a_time_is_said(file: Path) -> None:
    model = tiny(file, siblings=3, cached_prompts=0)
    opening = await model.open(ask())
    with pytest.raises(ModelBusy, match="siblings"):
        await model.compute(lambda: opening.sequence.fork(5))
    small = tiny(file, context_tokens=200, kv_tokens=256, cached_prompts=0)  # llama.cpp makes room in steps of 256
    held = await small.open(ask("rook " * 140))
    assert 128 < len(held.ids) < 200
    with pytest.raises(ModelBusy, match="kv_tokens"):
        await small.open(ask("A" + " rook" * 130))
    logits = await small.compute(lambda: held.sequence.eval([7]))
    assert np.isfinite(logits).all(), "the other sequence goes on"
    await model.aclose()
    await small.aclose()


@binding
async def test_what_nobody_holds_is_free_again(file: Path) -> None:
    model = tiny(file, siblings=4, cached_prompts=1)
    for _ in range(20):
        opening = await model.open(ask())
        await model.compute(lambda: opening.sequence.fork(2))  # noqa: B023
    await model.aclose()


# ------------------------------------------------------------------ the self-test


@binding
async def test_quantised_weights_are_tried_in_a_process_of_their_own_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bool] = []
    real = llamacpp._try

    def noted(path: Path, options: dict[str, Any]) -> str | None:
        tried.append(options["repack"])
        return real(path, options)

    monkeypatch.setattr(llamacpp, "_try", noted)
    file = write_gguf(folder / "tried.gguf", kind="Q8_0", seed=5)
    for _ in range(2):
        model = tiny(file)
        await complete(model, ask(max_tokens=3))
        await model.aclose()
    assert tried == [True]
    await _fails(tiny(write_gguf(folder / "plain32.gguf"), self_test=False))
    assert tried == [True]


@binding
async def test_where_it_crashes_weights_are_used_as_they_are_stored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llamacpp, "_try", lambda path, options: "died of SIGSEGV" if options["repack"] else None)
    file = write_gguf(folder / "crashing.gguf", kind="Q8_0", seed=6)
    assert llamacpp.tested(file, {"gpu_layers": 0}, "m") is False
    model = tiny(file)
    assert (await complete(model, ask(max_tokens=4)))[1].completion_tokens == 4
    await model.aclose()


@binding
async def test_where_nothing_helps_it_is_an_error_that_says_how_to_build(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash = f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})"
    monkeypatch.setattr(llamacpp, "_PROGRAM", crash)  # a process that really dies
    file = write_gguf(folder / "dying.gguf", kind="Q8_0", seed=7)
    with pytest.raises(ModelFault, match="died of SIGSEGV") as caught:
        await _fails(tiny(file))
    assert "GGML_NATIVE=OFF" in caught.value.hint
    assert os.getpid() > 0, "and this process lives"


@binding
async def test_a_gpu_that_is_not_there_and_too_little_memory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = need("llama_cpp", "llamacpp")
    if not api.llama_supports_gpu_offload():
        with pytest.raises(DeviceMissing, match="CPU alone"):
            await _fails(tiny(file, gpu_layers=4))
    monkeypatch.setattr("rookery.models.llamacpp.free_bytes", lambda: 1000)
    with pytest.raises(MemoryShort, match="needs"):
        await _fails(tiny(file, gpu_layers=0))


@binding
async def test_a_kind_of_model_that_nobody_knows(file: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "future.gguf"
    wrong.write_bytes(file.read_bytes().replace(b"llama", b"lluma"))
    with pytest.raises(ModelUnknown, match="can't load"):
        await _fails(tiny(wrong))
