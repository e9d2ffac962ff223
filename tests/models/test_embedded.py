"""The embedded model: its skills and refusals, streaming, sampling, the prefix cache, and what is shipped."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
from contextlib import aclosing

import pytest

from rookery.errors import CapabilityMissing, ContextOverflow, ModelUnknown, RequestRefused, SkillMissing
from rookery.models.embedded import WEIGHTS, EmbeddedModel
from rookery.models.model import Chunk, Message, Request, Sampling, ToolOffer, complete
from rookery.models.provider import model as model_of
from rookery.models.skills import EXPRESSION, JUDGE, NEXT_STEPS, TRAINED
from rookery.testing import check_model

CONTEXT_TOKENS = TRAINED["game24"].context_tokens
HAND = NEXT_STEPS.prompt("1 1 4 6")


def ask(text: str, *, sample: int = 0, **sampling: object) -> Request:
    return Request((Message.of("user", text),), Sampling(**sampling), sample=sample)  # type: ignore[arg-type]


@pytest.fixture
def model() -> EmbeddedModel:
    return EmbeddedModel()


async def text_of(model: EmbeddedModel, request: Request) -> str:
    return (await complete(model, request))[0]


async def chunks_of(model: EmbeddedModel, request: Request) -> list[Chunk]:
    return [chunk async for chunk in model.stream(request)]


async def test_it_keeps_the_contract() -> None:
    await check_model(EmbeddedModel, request=ask(HAND))


async def test_it_proposes_judges_and_writes(model: EmbeddedModel) -> None:
    steps = await text_of(model, ask(HAND))
    assert len(steps.splitlines()) == 12
    assert all("(left: " in line and line.endswith(")") for line in steps.splitlines())
    assert await text_of(model, ask(JUDGE.prompt("4 6"))) == "sure"
    assert await text_of(model, ask(JUDGE.prompt("1 5"))) == "impossible"
    assert await text_of(model, ask(NEXT_STEPS.prompt("4 6"))) == "6 * 4 = 24 (left: 24)\n"
    steps = "6 * 4 = 24 (left: 1 1 24)\n24 * 1 = 24 (left: 1 24)\n24 * 1 = 24 (left: 24)"
    assert await text_of(model, ask(EXPRESSION.prompt(f"1 1 4 6\nSteps:\n{steps}"))) == "((6 * 4) * 1) * 1"


@pytest.mark.parametrize("prompt", [JUDGE.prompt("4 6").strip(), "  " + JUDGE.prompt("4 6") + "\n\n", JUDGE.prompt(" 4 6  ")])
async def test_white_space_around_a_prompt_does_not_matter(model: EmbeddedModel, prompt: str) -> None:
    assert await model.count_tokens(ask(prompt)) == 4
    assert await text_of(model, ask(prompt)) == "sure"


@pytest.mark.parametrize(
    "prompt", ["What is a rook?", "", JUDGE.opening, JUDGE.prompt("401 2"), JUDGE.prompt("1.5 2"), HAND + "x"]
)
async def test_all_else_is_refused_with_the_skills_and_the_alternative(model: EmbeddedModel, prompt: str) -> None:
    with pytest.raises(SkillMissing) as caught:
        await text_of(model, ask(prompt))
    assert caught.value.model == "embedded:game24"
    assert "openai:" in caught.value.hint
    with pytest.raises(SkillMissing):
        await model.count_tokens(ask(prompt))


async def test_what_it_cannot_do_is_refused(model: EmbeddedModel) -> None:
    with pytest.raises(SkillMissing, match="not learned"):
        await text_of(model, Request(()))
    with pytest.raises(CapabilityMissing):
        await text_of(model, Request(ask(HAND).messages, tools=(ToolOffer("look", "", {}),)))
    with pytest.raises(ContextOverflow):
        await text_of(model, ask(JUDGE.prompt(" ".join("1" * CONTEXT_TOKENS))))
    for wrong in ({"temperature": -1.0}, {"temperature": math.nan}, {"top_p": 1.5}, {"max_tokens": 0}, {"logprobs": -1}):
        with pytest.raises(RequestRefused, match=next(iter(wrong))):
            await text_of(model, ask(HAND, **wrong))
    with pytest.raises(ModelUnknown, match="chess"):
        EmbeddedModel("chess")


async def test_capabilities_are_those_of_a_free_local_model(model: EmbeddedModel) -> None:
    can = model.capabilities
    assert (can.name, can.origin, can.price_usd, can.context_tokens) == ("embedded:game24", "trained", (0.0, 0.0), CONTEXT_TOKENS)
    assert can.is_local and can.logprobs and can.token_level and can.exact_token_count
    assert can.skills == ("next_steps", "judge", "expression")
    assert model_of("embedded:game24").capabilities == can
    assert EmbeddedModel("").capabilities == can


async def test_one_chunk_a_token_and_natural_log_probabilities(model: EmbeddedModel) -> None:
    chunks = await chunks_of(model, ask(JUDGE.prompt("4 6"), logprobs=2))
    assert [chunk.text for chunk in chunks] == ["sure", ""]
    (score,) = chunks[0].logprobs
    assert score.token == "sure" and score.top[0] == ("sure", score.logprob) and len(score.top) == 2
    assert 0.9 < sum(math.exp(value) for _, value in score.top) <= 1.000001
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == 2
    many = await chunks_of(model, ask(HAND))
    assert len(many) == many[-1].usage.completion_tokens  # type: ignore[union-attr]


async def test_equal_seeds_give_equal_text_and_samples_differ(model: EmbeddedModel) -> None:
    hot = [ask(HAND, temperature=1.0, seed=seed, sample=sample) for seed, sample in ((1, 0), (1, 0), (2, 0), (1, 1))]
    first, same, other_seed, other_sample = [await text_of(model, request) for request in hot]
    assert first == same
    assert len({first, other_seed, other_sample}) == 3
    assert await text_of(EmbeddedModel(cached_prompts=1), hot[0]) == first
    greedy = await text_of(model, ask(HAND))
    assert await text_of(model, ask(HAND, temperature=1.0, top_p=0.0)) == greedy


async def test_a_prompt_is_computed_once(model: EmbeddedModel) -> None:
    cached = []
    for prompt in (HAND, HAND, NEXT_STEPS.prompt("3 4 6")):
        _, usage, _ = await complete(model, ask(prompt, max_tokens=1))
        cached.append((usage.prompt_tokens, usage.cached_tokens))
    assert cached == [(6, 0), (6, 6), (5, 1)]
    small = EmbeddedModel(cached_prompts=2)
    for numbers in ("1 2", "1 3", "1 4", "1 2"):
        _, usage, _ = await complete(small, ask(JUDGE.prompt(numbers)))
    assert usage.cached_tokens == 1, "the oldest prompt made room, the instruction stayed"


async def test_replies_side_by_side_are_those_of_one_at_a_time(model: EmbeddedModel) -> None:
    requests = [ask(NEXT_STEPS.prompt(hand), temperature=0.8, seed=5) for hand in ("1 1 4 6", "1 2 4 6", "2 2 4 6", "1 1 4 6")]
    alone = [await text_of(EmbeddedModel(), request) for request in requests]
    assert await asyncio.gather(*(text_of(model, request) for request in requests)) == alone


async def test_a_stop_string_over_several_tokens_ends_the_reply_before_it(model: EmbeddedModel) -> None:
    whole = await text_of(model, ask(HAND))
    line = whole.splitlines()[2]
    chunks = await chunks_of(model, ask(HAND, stop=("\n" + line, "never"), logprobs=0))
    text = "".join(chunk.text for chunk in chunks)
    assert text == whole.split("\n" + line)[0]
    assert chunks[-1].stop == "stop"
    assert "".join(score.token for chunk in chunks for score in chunk.logprobs) == text


async def test_closing_stops_within_a_few_tokens_and_leaves_the_model_usable(model: EmbeddedModel) -> None:
    async with aclosing(model.stream(ask(HAND))) as reply:  # type: ignore[type-var]
        assert (await anext(reply)).text
    await model.aclose()
    await model.aclose()
    assert await text_of(model, ask(JUDGE.prompt("4 6"))) == "sure"


async def test_its_token_model_gives_the_same_reply(model: EmbeddedModel) -> None:
    sequence = model.token_model()
    assert sequence.context == CONTEXT_TOKENS == model.capabilities.context_tokens
    logits, ids = sequence.eval(sequence.vocabulary.encode(HAND)), []
    while (token := int(logits[0].argmax())) not in sequence.vocabulary.end:
        ids.append(token)
        logits = sequence.eval([token])
    assert sequence.vocabulary.decode(ids) == await text_of(model, ask(HAND))
    joined = b"".join(sequence.vocabulary.tokens[i] for i in ids)
    assert joined.decode() == sequence.vocabulary.decode(ids)


def test_the_shipped_files_are_small() -> None:
    files = [path for path in (WEIGHTS / "game24").rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"model.safetensors", "tokenizer.json"}
    assert sum(path.stat().st_size for path in files) <= 8 * 2**20


def test_importing_and_naming_the_model_loads_no_numpy() -> None:
    code = ("import sys; before = 'numpy' in sys.modules; from rookery.models.embedded import EmbeddedModel; "
            "EmbeddedModel().capabilities; assert before or 'numpy' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
