"""For tests: the fakes that ship with rookery, and the contracts that every implementation of a Protocol must keep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import numpy as np

from rookery.agents.contract import check_agent_planner
from rookery.decoding.contract import check_analyser, check_monitor
from rookery.errors import ContextOverflow, ModelError, ProgramInvalid
from rookery.index.index import Document, Index
from rookery.memory.exact import ExactVectors
from rookery.memory.item import VectorStore
from rookery.models.embedder import Embedder
from rookery.models.model import Chunk, Message, Model, Request, Sampling, ToolOffer, complete
from rookery.models.recorded import RecordedModel
from rookery.models.ruled import RuledModel
from rookery.models.scripted import ScriptedModel
from rookery.models.simulated import FaultRates, Latency, SimulatedModel
from rookery.models.token_level import Opening
from rookery.planners.contract import check_planner
from rookery.planners.oracle import ChainOracle, GameOracle
from rookery.planners.play import play
from rookery.tools.sandbox import Outcome, Program, Sandbox, SandboxLimit

__all__ = [
    "ChainOracle",
    "ExactVectors",
    "FaultRates",
    "GameOracle",
    "Latency",
    "RecordedModel",
    "RuledModel",
    "ScriptedModel",
    "SimulatedModel",
    "check_agent_planner",
    "check_analyser",
    "check_embedder",
    "check_index",
    "check_model",
    "check_monitor",
    "check_planner",
    "check_sandbox",
    "check_token_model",
    "check_vector_store",
    "play",
]

_QUESTION = Request((Message.of("user", "Say one sentence about rooks."),), Sampling(temperature=0.0, max_tokens=64))
_OVERLONG = 200_000
"""Windows up to so many tokens are tried out."""


async def check_model(factory: Callable[[], Model], *, request: Request | None = None) -> None:
    """Check all that a Model must keep, and report everything that it does not.

    ``factory`` builds a fresh model each time; ``request`` is a question that it answers with more than one token, the same
    way each time (temperature 0 by default). Takes about a dozen requests.

    :raises AssertionError: with one line for each part of the contract that is broken.
    """
    question = request or _QUESTION
    broken: list[str] = []
    for clause in (_tells_facts, _ends_well, _counts, _keeps_to_max_tokens, _keeps_to_stops, _closes_early, _is_cancelled,
                   _answers_side_by_side, _scores, _raises_only_ours, _closes_twice):
        try:
            await clause(factory, question)
        except AssertionError as error:
            broken.append(f"{clause.__name__.strip('_').replace('_', ' ')}: {error}")
    assert not broken, "the model breaks its contract:\n  " + "\n  ".join(broken)


Factory = Callable[[], Model]


@asynccontextmanager
async def _fresh(factory: Factory) -> AsyncIterator[Model]:
    model = factory()
    try:
        yield model
    finally:
        await model.aclose()


def _stream(model: Model, request: Request) -> AsyncGenerator[Chunk]:
    return cast("AsyncGenerator[Chunk]", model.stream(request))


async def _chunks(model: Model, request: Request) -> list[Chunk]:
    return [chunk async for chunk in model.stream(request)]


def _check_end(chunks: list[Chunk]) -> None:
    assert chunks, "a stream has at least one chunk"
    *before, last = chunks
    assert last.stop is not None, "the last chunk says why the reply ended"
    assert last.usage is not None, "the last chunk has the usage"
    assert all(chunk.stop is None and chunk.usage is None for chunk in before), "only the last chunk has stop and usage"
    assert all(not chunk.tool_calls for chunk in before), "tool calls come in the last chunk"


async def _tells_facts(factory: Factory, request: Request) -> None:
    async with _fresh(factory) as model:
        assert isinstance(model, Model), "it has capabilities, stream, count_tokens and aclose"
        before = model.capabilities
        assert before.name, "capabilities.name is set"
        assert before.origin, "capabilities.origin says who answers"
        await complete(model, request)
        assert model.capabilities == before, f"capabilities are constant: {before} became {model.capabilities}"
    assert model.capabilities == before, "capabilities stay the same after aclose"


async def _ends_well(factory: Factory, request: Request) -> None:
    async with _fresh(factory) as model:
        chunks = await _chunks(model, request)
    _check_end(chunks)
    usage = chunks[-1].usage
    assert usage is not None and min(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens) >= 0, f"usage is {usage}"
    assert usage.cached_tokens <= usage.prompt_tokens, f"cached tokens are among the prompt's: {usage}"
    text = "".join(chunk.text for chunk in chunks)
    assert text, "the question of the contract is answered with text"
    assert usage.completion_tokens > 1, f"{text!r} is more than one token; usage is {usage}"


async def _counts(factory: Factory, request: Request) -> None:
    async with _fresh(factory) as model:
        counted = await model.count_tokens(request)
        _, usage, _ = await complete(model, request)
        used = usage.prompt_tokens
        if model.capabilities.exact_token_count:
            assert counted == used, f"an exact count of {counted} met {used} prompt tokens"
        assert counted >= used, f"an upper bound of {counted} met {used} prompt tokens"


async def _keeps_to_max_tokens(factory: Factory, request: Request) -> None:
    async with _fresh(factory) as model:
        short = replace(request, sampling=replace(request.sampling, max_tokens=1))
        _, usage, stop = await complete(model, short)
    assert usage.completion_tokens <= 1, f"max_tokens=1 gave {usage.completion_tokens} tokens"
    assert stop == "length", f"a reply cut at max_tokens ended with {stop!r}"


async def _keeps_to_stops(factory: Factory, request: Request) -> None:
    async with _fresh(factory) as model:
        whole, _, _ = await complete(model, request)
        word = whole[len(whole) // 2 : len(whole) // 2 + 2]
        stopped = replace(request, sampling=replace(request.sampling, stop=(word,)))
        text, _, stop = await complete(model, stopped)
    assert word not in text, f"stop={word!r} gave {text!r}"
    assert whole.startswith(text), f"stop={word!r} changed the text before it: {text!r} against {whole!r}"
    assert stop in ("stop", "end"), f"a reply ended by a stop string ended with {stop!r}"


async def _closes_early(factory: Factory, request: Request) -> None:
    async with _fresh(factory) as model:
        async with aclosing(_stream(model, request)) as reply:
            await anext(reply)
        _check_end(await _chunks(model, request))
        unread = _stream(model, request)
        await unread.aclose()


async def _is_cancelled(factory: Factory, request: Request) -> None:
    async with _fresh(factory) as model:
        task = asyncio.create_task(_chunks(model, request))
        await asyncio.sleep(0)
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(result, (asyncio.CancelledError, list)), f"cancelling raised {result!r}"
        _check_end(await _chunks(model, request))


async def _answers_side_by_side(factory: Factory, request: Request) -> None:
    async with _fresh(factory) as model:
        alone, _, _ = await complete(model, request)
        pair = await asyncio.gather(_chunks(model, request), _chunks(model, request))
    for chunks in pair:
        _check_end(chunks)
        text = "".join(chunk.text for chunk in chunks)
        assert text == alone, f"two at a time gave {text!r}, one alone {alone!r}"


async def _scores(factory: Factory, request: Request) -> None:
    async with _fresh(factory) as model:
        if not model.capabilities.logprobs:
            return
        scored = replace(request, sampling=replace(request.sampling, logprobs=1))
        chunks = await _chunks(model, scored)
    text, scores = "".join(chunk.text for chunk in chunks), [score for chunk in chunks for score in chunk.logprobs]
    joined = "".join(score.token for score in scores)
    assert joined == text, f"the scored tokens join to {joined!r}, the text is {text!r}"
    assert all(score.logprob <= 1e-6 for score in scores), "log-probabilities are at most 0"


async def _raises_only_ours(factory: Factory, request: Request) -> None:
    async with _fresh(factory) as model:
        can = model.capabilities
        offer = ToolOffer("look", "Look at something.", {"type": "object", "properties": {"at": {"type": "string"}}})
        scored = replace(request.sampling, logprobs=2)
        for name, odd in (("tools", replace(request, tools=(offer,))), ("log-probabilities", replace(request, sampling=scored)),
                          ("no message", replace(request, messages=()))):
            await _only_ours(model, odd, name)
        if can.context_tokens is None or can.context_tokens > _OVERLONG or can.skills is not None:
            return  # a model that knows only a few prompts may refuse this one for another reason
        overlong = request.with_message(Message.of("user", "rook, jackdaw; " * can.context_tokens))
        error = await _only_ours(model, overlong, "a prompt that is longer than the window")
        assert isinstance(error, ContextOverflow), f"a prompt longer than the window gave {error!r}, not ContextOverflow"


async def _only_ours(model: Model, request: Request, what: str) -> ModelError | None:
    try:
        await complete(model, request)
    except ModelError as error:
        return error
    except Exception as error:
        raise AssertionError(f"{what} raised {type(error).__name__}, which is no ModelError: {error}") from error
    return None


async def _closes_twice(factory: Factory, request: Request) -> None:
    model = factory()
    await model.aclose()
    await model.aclose()
    model = factory()
    await complete(model, request)
    closing: list[Awaitable[None]] = [model.aclose(), model.aclose()]
    for step in closing:
        await step


# ------------------------------------------------------------------ models in this process


def check_token_model(factory: Callable[[], Opening], *, atol: float = 1e-3) -> None:
    """Check all that a TokenModel must keep, and report everything that it does not.

    ``factory`` gives a fresh sequence that has read the same prompt of at least two tokens each time, with room for a dozen more;
    ``atol`` is how far logits computed in another way may differ.

    :raises AssertionError: with one line for each part of the contract that is broken.
    """
    broken: list[str] = []
    for clause in (_has_a_vocabulary, _appends, _rolls_back, _forks, _goes_on_from_rows, _keeps_forks_apart, _minds_its_batch):
        opening = factory()
        same = _Same(atol, [int(at) for at in np.argsort(-opening.logits, kind="stable") if at not in opening.sequence.vocabulary.end][:4])
        try:
            clause(factory, same)
        except Exception as error:  # whatever an implementation raises is what there is to report
            said = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            broken.append(f"{clause.__name__.strip('_').replace('_', ' ')}: {said}")
    assert not broken, "the token model breaks its contract:\n  " + "\n  ".join(broken)


class _Same:
    """Compares logits, and has some tokens to append."""

    def __init__(self, atol: float, tokens: list[int]) -> None:
        self._atol = atol
        self.a, self.b, self.c = (tokens * 3)[:3]

    def __call__(self, got: Any, expected: Any, what: str) -> None:
        assert got.shape == expected.shape, f"{what}: shape {got.shape}, not {expected.shape}"
        with np.errstate(invalid="ignore"):  # two that are both forbidden (minus infinity) are equal
            far = float(np.where(got == expected, 0.0, np.abs(got - expected)).max())
        assert far <= self._atol, f"{what}: logits differ by {far:.3g}"


def _after(factory: Callable[[], Opening], *tokens: int) -> Any:
    return factory().sequence.eval(list(tokens))


def _has_a_vocabulary(factory: Callable[[], Opening], same: _Same) -> None:
    opening = factory()
    words = opening.sequence.vocabulary
    size = len(words.tokens)
    assert opening.logits.shape == (size,) and opening.logits.dtype == np.float32, f"logits are float32 ({size},), not {opening.logits.shape}"
    assert not np.isnan(opening.logits).any(), "logits are numbers"
    assert all(isinstance(token, bytes) for token in words.tokens), "each token has its bytes"
    assert words.end and all(0 <= token < size for token in words.end), f"ends are ids of the vocabulary: {words.end}"
    assert not any(words.tokens[token] for token in words.end), "what ends a reply has no text"
    text = words.decode(list(opening.ids))
    assert words.decode(words.encode(text)) == text, f"{text!r} encoded and decoded is {words.decode(words.encode(text))!r}"
    joined = b"".join(words.tokens[token] for token in (same.a, same.b, same.c)).decode(errors="replace")
    assert words.decode([same.a, same.b, same.c]).strip() == joined.strip(), "the bytes of tokens join to the text of the sequence"


def _appends(factory: Callable[[], Opening], same: _Same) -> None:
    sequence = factory().sequence
    for token in (same.a, same.b, same.c):
        single = sequence.eval([token])
    same(single, _after(factory, same.a, same.b, same.c), "tokens one by one and all at once")
    same(_after(factory, same.b), _after(factory, same.b), "the same tokens twice")


def _rolls_back(factory: Callable[[], Opening], same: _Same) -> None:
    opening = factory()
    sequence, length = opening.sequence, len(opening.ids)
    sequence.eval([same.b, same.c, same.a])
    sequence.truncate(length + 3)
    sequence.truncate(length + 1)
    same(sequence.eval([same.a]), _after(factory, same.b, same.a), "one token kept, two rolled back")
    sequence.truncate(length)
    same(sequence.eval([same.c]), _after(factory, same.c), "all rolled back to the prompt")
    for wrong in (length + 2, -1):
        try:
            sequence.truncate(wrong)
        except ValueError:
            continue
        raise AssertionError(f"truncate({wrong}) of {length + 1} tokens raises ValueError")


def _forks(factory: Callable[[], Opening], same: _Same) -> None:
    opening = factory()
    siblings = opening.sequence.fork(3)
    rows = siblings.eval([[same.a], [same.b], [same.c]])
    for row, token in enumerate((same.a, same.b, same.c)):
        same(rows[row : row + 1], _after(factory, token), f"sibling {row} of 3 and a sequence alone")
    shared = siblings.eval([same.b])
    same(shared[2:], _after(factory, same.c, same.b), "one token given to all siblings")
    siblings.truncate(len(opening.ids) + 1)
    same(siblings.eval([[same.c], [same.b], [same.a]])[1:2], _after(factory, same.b, same.b), "siblings rolled back")
    same(opening.sequence.eval([same.b]), _after(factory, same.b), "the original, after its siblings went on")


def _goes_on_from_rows(factory: Callable[[], Opening], same: _Same) -> None:
    batch = factory().sequence.fork(2)
    batch.eval([[same.a], [same.b]])
    picked = batch.fork([1, 0, 1])
    rows = picked.eval([[same.c], [same.c], [same.a]])
    for row, tokens in enumerate(((same.b, same.c), (same.a, same.c), (same.b, same.a))):
        same(rows[row : row + 1], _after(factory, *tokens), f"row {row} of a fork of rows [1, 0, 1]")
    same(batch.eval([same.b])[:1], _after(factory, same.a, same.b), "the batch, after a fork of its rows went on")
    same(picked.fork([2]).eval([same.b]), _after(factory, same.b, same.a, same.b), "one row of a fork of a fork")


def _keeps_forks_apart(factory: Callable[[], Opening], same: _Same) -> None:
    opening = factory()
    opening.sequence.eval([same.a, same.b])
    twin = opening.sequence.fork(1)
    opening.sequence.truncate(len(opening.ids))
    opening.sequence.eval([same.c, same.c, same.c])
    same(twin.eval([same.c]), _after(factory, same.a, same.b, same.c), "a fork, after the original was rolled back and went another way")
    twin.truncate(len(opening.ids) + 1)
    same(twin.eval([same.a]), _after(factory, same.a, same.a), "a fork rolled back behind the point where it forked")


def _minds_its_batch(factory: Callable[[], Opening], same: _Same) -> None:
    sequence = factory().sequence
    pair = sequence.fork(2)
    for what, wrong in (("no tokens", lambda: sequence.eval([])), ("two rows for one", lambda: sequence.eval([[same.a], [same.b]])),
                        ("rows of two lengths", lambda: pair.eval([[same.a], [same.b, same.c]])), ("no siblings", lambda: sequence.fork(0)),
                        ("a row that is not there", lambda: pair.fork([2])), ("a number of a batch", lambda: pair.fork(2))):
        try:
            wrong()
        except ValueError:
            continue
        raise AssertionError(f"{what} raises ValueError")


# ------------------------------------------------------------------ searching


async def check_embedder(factory: Callable[[], Embedder]) -> None:
    """Check all that an Embedder must keep; ``factory`` builds a fresh one each time. About ten requests.

    :raises AssertionError: the first part of the contract that is broken.
    """
    made = factory()
    assert isinstance(made, Embedder), "it has a fingerprint, embed and aclose"
    texts = ["Rooks nest in colonies.", "What is the price of bread?", "", "Rooks nest in colonies."]
    rows = await made.embed(texts)
    assert rows.dtype == np.float32 and rows.shape[0] == len(texts) and rows.ndim == 2, f"one row of float32 a text, not {rows.shape} of {rows.dtype}"
    assert np.isfinite(rows).all(), "all numbers are finite"
    lengths = np.linalg.norm(rows, axis=1)
    assert all(abs(length - 1) < 1e-3 or length == 0 for length in lengths), f"rows have length 1 or 0, not {lengths}"
    assert np.allclose(rows[0], rows[3], atol=1e-4), "equal texts have equal vectors"
    assert float(rows[0] @ rows[1]) < 0.999, "different texts have different vectors"
    assert (await made.embed([])).shape == (0, rows.shape[1]), "no texts give no rows, of as many numbers as ever"
    assert (await made.embed(["rook"], purpose="query")).shape == (1, rows.shape[1]), "queries are as long as documents"
    pair = await asyncio.gather(made.embed(texts[:1]), made.embed(texts[1:2]))
    assert np.allclose(np.concatenate(pair), rows[:2], atol=1e-4), "a text's vector does not depend on its company"
    fingerprint = made.fingerprint
    await made.aclose()
    await made.aclose()
    assert fingerprint and made.fingerprint == fingerprint == factory().fingerprint, "the fingerprint is constant, and says something"


def check_index(factory: Callable[[], Index[Document]], documents: Sequence[Document]) -> None:
    """Check all that an Index must keep; each of the ``documents`` (five at least) is what a search for it finds first.

    :raises AssertionError: the first part of the contract that is broken.
    """
    index = factory()
    assert index.search(documents[0], k=3) == [], "nothing is found in an empty index"
    slots = [index.add(f"d{number}", document) for number, document in enumerate(documents)]
    assert slots == list(range(len(documents))), f"slots are given out in order: {slots}"
    for number, document in enumerate(documents):
        hits = index.search(document, k=len(documents))
        assert hits[0].id == f"d{number}" and hits[0].slot == number, f"document {number} is found first, not {hits[0]}"
        assert hits == sorted(hits, key=lambda hit: (-hit.score, hit.slot)), f"best first, equal ones by slot: {hits}"
        assert index.search(document, k=1) == hits[:1], "fewer hits are the first of more"
        assert index.search(document, k=0) == [], "k=0 gives none"
        others = np.arange(len(documents)) != number
        assert [hit.id for hit in index.search(document, k=len(documents), keep=others)] == [
            hit.id for hit in hits if hit.slot != number], "keep leaves out what it says, and changes no order"
    assert index.remove("d1") and not index.remove("d1") and not index.remove("absent"), "remove says whether there was one"
    assert "d1" not in [hit.id for hit in index.search(documents[1], k=9)], "what was removed is not found"
    moved = index.add("d0", documents[1])
    assert moved == len(documents), "a document that takes the place of another has a new slot"
    assert index.search(documents[1], k=1)[0].id == "d0", "the new one is found"
    order = index.compact().tolist()
    assert order == list(range(2, len(documents) + 1)), f"compact keeps the order of what is left: {order}"
    hits = index.search(documents[1], k=1)
    assert (hits[0].id, hits[0].slot) == ("d0", len(documents) - 2), "after compact slots are dense"
    assert index.add("new", documents[0]) == len(documents) - 1, "and go on from there"
    assert index.search(documents[0], k=1)[0].id == "new", "what was added then is found"


# ------------------------------------------------------------------ sandboxes

_CAP = SandboxLimit(cpu_s=1, wall_s=2, memory_mb=256)


async def check_sandbox(factory: Callable[[], Sandbox]) -> None:
    """Check all that a Sandbox must keep, and report everything that it does not. Takes some seconds.

    ``factory`` builds a fresh one each time. That nothing gets out is looked at with a few programs only; a rung's own tests try harder.

    :raises AssertionError: with one line for each part of the contract that is broken.
    """
    broken: list[str] = []
    for clause in (_gives_values, _tells_faults, _holds_limits, _opens_doors, _lets_nothing_out, _starts_afresh, _ends_when_cancelled,
                   _runs_side_by_side, _turns_down, _closes_a_sandbox_twice):
        box = factory()
        try:
            await clause(box)
        except AssertionError as error:
            broken.append(f"{clause.__name__.strip('_').replace('_', ' ')}: {error}")
        finally:
            await box.aclose()
    assert not broken, "the sandbox breaks its contract:\n  " + "\n  ".join(broken)


async def _ran(box: Sandbox, source: str, **how: object) -> Outcome:
    return await box.run(Program(source=source, **how), limit=_CAP)  # type: ignore[arg-type]


async def _gives_values(box: Sandbox) -> None:
    assert isinstance(box, Sandbox), "it has facts, run and aclose"
    assert box.facts.rung and box.facts.python and box.facts.isolates, f"facts say what it is: {box.facts}"
    before = box.facts
    called = await _ran(box, "def f(a, b=2):\n    return {'a': a, 'b': [b, None, True, 1.5, 'é']}", entry="f", args=[[1]], kwargs={"b": "x"})
    assert called.value == {"a": [1], "b": ["x", None, True, 1.5, "é"]}, f"an entry's value is {called}"
    script = await _ran(box, "print('said')\nx = 20\nx + 1")
    assert (script.value, script.stdout) == (21, "said\n"), f"a script's value and output are {script}"
    assert 0 <= script.cpu_s < 2 and 0 < script.wall_s < 2, f"times are {script.cpu_s} and {script.wall_s}"
    assert (await _ran(box, "x = 1")).value is None, "a script without a last expression has no value"
    assert box.facts == before, "facts are constant"


async def _tells_faults(box: Sandbox) -> None:
    wrongs = (("x = 1\n1 / 0", "ZeroDivisionError", 2), ("def f(:\n  1", "SyntaxError", 1), ("raise ValueError('no')", "ValueError", 1))
    for source, name, line in wrongs:
        fault = (await _ran(box, source)).fault
        assert fault is not None and (fault.kind, fault.type, fault.line) == ("exception", name, line), f"{source!r} gave {fault}"
    absent = await _ran(box, "x = 1", entry="f")
    assert absent.fault is not None and absent.value is None, f"an entry that is not there gave {absent}"


async def _holds_limits(box: Sandbox) -> None:
    for source, kind in (("while True:\n    pass", "timeout"), ("import time\nfor i in range(9):\n    time.sleep(1)", "timeout"),
                         ("x = 'x' * 3_000_000_000", "memory"), ("for i in range(10_000):\n    print('x' * 1000)", "output")):
        outcome = await _ran(box, source)
        assert outcome.fault is not None and outcome.fault.kind == kind and outcome.value is None, f"{source!r} gave {outcome.fault}, not {kind}"
        assert outcome.wall_s < 4, f"{source!r} took {outcome.wall_s} s"
        assert len(outcome.stdout) <= _CAP.output_bytes, f"{source!r} printed {len(outcome.stdout)} letters"


async def _opens_doors(box: Sandbox) -> None:
    async def double(x: int) -> int:
        await asyncio.sleep(0)
        return 2 * x

    def fail() -> None:
        raise LookupError("not here")

    source = "try:\n    fail()\nexcept RuntimeError as error:\n    said = str(error)\n[double(double(x=3)), said]"
    outcome = await box.run(Program(source=source), limit=_CAP, doors={"double": double, "fail": fail})
    assert outcome.value == [12, "LookupError: not here"], f"doors gave {outcome}"
    assert (await _ran(box, "double(1)")).fault is not None, "a door is open for one run only"


async def _lets_nothing_out(box: Sandbox) -> None:
    for source in ("open('/etc/passwd').read()", "import os\ndict(os.environ)['PATH']", "import socket\nsocket.socket().connect(('127.0.0.1', 9))",
                   "import os\nos.system('true') == 0 or 1 / 0", "import os\nos.listdir('/home')", "import os\nos._exit(0)"):
        outcome = await _ran(box, source)
        assert outcome.fault is not None, f"{source!r} gave {outcome.value!r}"


async def _starts_afresh(box: Sandbox) -> None:
    await _ran(box, "left = 1\nimport math\nmath.left = 1" if box.facts.full else "left = 1")
    again = await _ran(box, "import math\n[left, math.left]" if box.facts.full else "left")
    assert again.fault is not None, f"something of the last program is still there: {again.value}"


async def _ends_when_cancelled(box: Sandbox) -> None:
    running = asyncio.ensure_future(box.run(Program(source="while True:\n    pass"), limit=SandboxLimit(cpu_s=20, wall_s=20)))
    await asyncio.sleep(0.3)
    running.cancel()
    _, late = await asyncio.wait([running], timeout=3)
    assert not late and running.cancelled(), "a cancelled run ends at once, as cancelled"
    assert (await _ran(box, "1 + 1")).value == 2, "it works on after a run was cancelled"


async def _runs_side_by_side(box: Sandbox) -> None:
    values = [outcome.value for outcome in await asyncio.gather(*(_ran(box, f"{number} * 2") for number in range(12)))]
    assert values == [2 * number for number in range(12)], f"12 at a time gave {values}"


async def _turns_down(box: Sandbox) -> None:
    args = [Program(source="1", entry="f", args=[wrong]) for wrong in (object(), float("nan"), "\ud800")]
    for wrong in (*args, Program(source="1", entry="f.g"), Program(source="1", files={"/etc/x": ""}), Program(source="x" * 20_000_000)):
        try:
            outcome = await box.run(wrong, limit=_CAP)
        except ProgramInvalid:
            continue
        raise AssertionError(f"a program that cannot be handed over gave {outcome}")


async def _closes_a_sandbox_twice(box: Sandbox) -> None:
    await _ran(box, "1")
    await box.aclose()
    await box.aclose()


# ------------------------------------------------------------------ memory


def check_vector_store(factory: Callable[[], VectorStore]) -> None:
    """Check all that a VectorStore must keep; ``factory`` gives an empty one, or opens the same one again.

    :raises AssertionError: the first part of the contract that is broken.
    """
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(40, 32)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ids = [f"id{number}" for number in range(len(rows))]
    store = factory()
    try:
        assert isinstance(store, VectorStore), "it has put, drop, nearest and close"
        assert store.nearest("a1", rows[0], 3) == [], "a scope without vectors has none"
        store.drop("a1")
        store.drop("a1", ["absent"])
        store.put("a1", ids, rows)
        store.put("b2", ids[:2], rows[:2][::-1])
        for number in range(0, 40, 7):
            truth = [ids[at] for at in np.argsort(-(rows @ rows[number]), kind="stable")[:5]]
            found = store.nearest("a1", rows[number], 5)
            assert found[0] == ids[number] and len(set(found) & set(truth)) >= 4, f"the nearest come first: {found}, not {truth}"
        assert store.nearest("b2", rows[0], 40)[0] == "id1", "scopes do not see each other"
        assert len(store.nearest("b2", rows[0], 40)) == 2, "there may be fewer than k"
        assert store.nearest("a1", rows[0], 0) == [], "k=0 gives none"
        store.put("a1", ["id0"], rows[1:2])
        assert set(store.nearest("a1", rows[1], 2)) == {"id0", "id1"}, "put replaces"
        store.drop("a1", ["id1"])
        assert "id1" not in store.nearest("a1", rows[1], 40), "what was dropped is not found"
        store.drop("a1")
        assert store.nearest("a1", rows[3], 3) == [], "a scope can be dropped whole"
        assert len(store.nearest("b2", rows[0], 3)) == 2, "and the others stay"
        store.put("a1", ids[:3], rows[:3])
        assert store.nearest("a1", rows[2], 1) == ["id2"], "and be filled again"
    finally:
        store.close()
        store.close()
