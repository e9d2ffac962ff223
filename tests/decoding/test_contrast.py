"""USCD against cases worked out by hand: where the gate opens, what is taken off, and what it costs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rookery.decoding.contrast import Contrast, ContrastSequence, certainty, contrast, contrasted, without_examples
from rookery.errors import CapabilityMissing, RequestRefused, SettingWrong
from rookery.models.model import Message, Request, complete
from rookery.models.ruled import RuledSequence
from rookery.testing import ScriptedModel, check_model, check_token_model
from tests.decoding.toy import A, B, P, Q, ask, hashed, logits, toy
from tests.models.test_token_level import opened


def lame(request: Request) -> Request:
    """The prompt is p; its lame form is q."""
    return Request((Message.of("user", request.text.replace("p", "q")),), request.sampling)


def test_a_case_of_four_tokens_worked_by_hand() -> None:
    p, q = np.array([0.4, 0.35, 0.2, 0.05]), np.array([0.5, 0.1, 0.2, 0.2])
    # deviation of p: sqrt(((.15)² + (.1)² + (.05)² + (.2)²) / 3) = 0.158; × √4 = 0.316, below 0.895: the gate is open.
    assert certainty(p.astype(np.float32)) == pytest.approx(2 * math.sqrt((0.15**2 + 0.1**2 + 0.05**2 + 0.2**2) / 3))
    out = contrasted(np.log(p).astype(np.float32), np.log(q).astype(np.float32), Contrast())
    # floor: 2/3 of the mean 0.25 is 0.167, so the last token goes; the others: 0.4 - 0.35, 0.35 - 0.07, 0.2 - 0.14.
    assert np.allclose(np.exp(out), [0.05, 0.28, 0.06, 0.0], atol=1e-6)
    sure = np.log(np.array([0.97, 0.01, 0.01, 0.01], np.float32))
    assert contrasted(sure, np.log(q).astype(np.float32), Contrast()) is sure, "a sure distribution is left as it is"
    worse = np.log(np.array([0.25, 0.25, 0.25, 0.25], np.float32))
    assert np.array_equal(contrasted(worse, worse, Contrast(strength=2.0)), worse), "where nothing is left the standard prompt stands"


def rule(tokens: tuple[int, ...]) -> list[float]:
    """After p unsure between a and b, and the lame prompt says a; then sure of the end."""
    if len(tokens) == 1:
        return logits(a=0.5, b=0.45, c=0.05) if tokens[0] == P else logits(a=0.9, b=0.05, c=0.05)
    return logits(end=0.99, a=0.01) if len(tokens) > 2 else logits(a=0.98, b=0.02)


async def test_the_output_changes_just_where_the_gate_opens() -> None:
    assert (await complete(toy(rule), ask()))[0] == "aa"
    assert (await complete(contrast(toy(rule), lame=lame), ask()))[0] == "ba"
    assert (await complete(contrast(toy(rule), lame=lame, strength=0.0), ask()))[0] == "aa"


@pytest.mark.parametrize("prompt", ["p", "pa", "pabc", "pcab"])
async def test_a_gate_that_is_shut_gives_the_plain_text(prompt: str) -> None:
    plain = await complete(toy(hashed()), ask(prompt, max_tokens=30))
    shut = await complete(contrast(toy(hashed()), lame=lame, certain=0.0), ask(prompt, max_tokens=30))
    assert plain == shut
    same = await complete(contrast(toy(hashed()), lame=lambda request: request), ask(prompt, max_tokens=30))
    assert same == plain, "a lame prompt that is the prompt has nothing to take off"


def test_the_lame_prompt_is_caught_up_in_one_go_and_never_more_than_two_evaluations_a_step() -> None:
    calls: list[str] = []

    class Counted(RuledSequence):
        def eval(self, ids):  # type: ignore[no-untyped-def]
            calls.append("lame" if self._rows[0][0] == Q else "standard")
            return super().eval(ids)

    def unsure_at_third(tokens: tuple[int, ...]) -> list[float]:
        return logits(a=0.5, b=0.5) if len(tokens) == 4 else logits(a=0.99, b=0.01)

    words = toy(rule).token_model().vocabulary
    standard, weak = Counted(unsure_at_third, words), Counted(unsure_at_third, words)
    standard._rows, weak._rows = [(P,)], [(Q,)]
    sequence = ContrastSequence(standard, weak, Contrast(), lengths=(1, 1))
    for token in (A, A, A, A):
        sequence.eval([token])
    assert calls == ["standard", "standard", "standard", "lame", "standard"]
    assert weak._rows == [(Q, A, A, A)] and sequence.contrasts == 1
    sequence.truncate(3)
    assert weak._rows == [(Q, A, A)] and standard._rows == [(P, A, A)]
    sequence.eval([B])
    assert weak._rows == [(Q, A, A, B)]


def test_it_is_a_token_model_itself() -> None:
    check_token_model(opened(contrast(toy(hashed()), lame=lame), ask("pab")))
    check_token_model(opened(contrast(contrast(toy(hashed()), lame=lame, certain=0.5), lame=lame), ask("pab")))


async def test_it_is_a_model() -> None:
    await check_model(lambda: contrast(toy(hashed()), lame=lame), request=ask("pc", max_tokens=20))


def test_what_cannot_be_contrasted_is_refused() -> None:
    with pytest.raises(CapabilityMissing, match="logits"):
        contrast(ScriptedModel(["x"]))
    for wrong in ({"strength": -1.0}, {"certain": 1.5}, {"floor": float("nan")}):
        with pytest.raises(SettingWrong, match=next(iter(wrong))):
            contrast(toy(rule), **wrong)  # type: ignore[arg-type]


async def test_a_wrong_sampling_value_is_refused() -> None:
    with pytest.raises(RequestRefused):
        await complete(contrast(toy(rule), lame=lame), ask(temperature=-1))


def test_a_lame_prompt_has_no_examples() -> None:
    doctest = 'def add(a, b):\n    """Add two numbers.\n\n    >>> add(1, 2)\n    3\n    >>> add(\n    ...     5, 5)\n    10\n    """\n'
    turns = (Message.of("system", "be brief"), Message.of("user", "1+1"), Message.of("assistant", "2"), Message.of("user", doctest))
    bare = without_examples(Request(turns))
    assert [message.role for message in bare.messages] == ["system", "user"]
    assert bare.messages[1].text == 'def add(a, b):\n    """Add two numbers.\n\n    """\n'
    words = without_examples(Request((Message.of("user", "Sort it.\nFor example:\n  [2, 1] gives [1, 2]\n\nNow [3, 1]."),)))
    assert words.text == "Sort it.\n\nNow [3, 1]."
    plain = Request((Message.of("user", "What is a rook?"),))
    assert without_examples(plain).messages == plain.messages
