"""The embedded model: a small decoder that rookery ships, trained for a few skills, with no key, network or server."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rookery.errors import CapabilityMissing, ContextOverflow, ModelUnknown, SkillMissing
from rookery.models.model import Capabilities, Chunk, Request
from rookery.models.skills import SKILLS, Skill, canonical
from rookery.models.token_level import Opening
from rookery.models.tokenizer import PieceTokenizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rookery.models.llama import LlamaModel
    from rookery.models.llama_weights import LlamaWeights

T = TypeVar("T")

WEIGHTS = Path(__file__).parent / "weights"
CONTEXT_TOKENS = 256
SLICE_TOKENS = 8
"""So many tokens are computed in one go in the worker thread; then the next reply has its turn."""
CACHED_PROMPTS = 64
ALTERNATIVE = 'take a general model for all else: model="openai:NAME", or "openai:NAME@http://HOST/v1" for a server of your own'


class EmbeddedModel:
    """Answers the prompts of its skills, token by token, computed by its weights alone; refuses all others.

    Only the last user message is read; it must be one of the skills' prompts (:mod:`rookery.models.skills`), with white space
    around it as you like. Without a temperature the reply is the likeliest text (0), without ``max_tokens`` it may fill the
    window. Log-probabilities are natural ones of the model's own distribution, whatever the temperature. Completion tokens
    include the token that ends the reply. Equal requests with equal seeds (and ``sample``) give equal text; a temperature
    above 0 without a seed draws anew each time. Replies take turns in one worker thread, so the event loop stays free.

    :param name: which model; an empty name is ``game24``.
    :param cached_prompts: how many prompts' keys and values are kept, so that the same prompt is not computed twice.
    :raises ModelUnknown: there is no such embedded model, or (at the first request) its files are damaged.
    """

    def __init__(self, name: str = "game24", *, cached_prompts: int = CACHED_PROMPTS) -> None:
        name = name or "game24"
        if name not in SKILLS:
            raise ModelUnknown(f"there is no embedded model {name!r}", model=f"embedded:{name}",
                               hint=f"there is {', '.join(f'embedded:{known}' for known in SKILLS)}")
        self._folder = WEIGHTS / name
        self._skills = SKILLS[name]
        self._cached_prompts = cached_prompts
        self._prompts: _Prompts | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._capabilities = Capabilities(
            name=f"embedded:{name}", context_tokens=CONTEXT_TOKENS, max_output_tokens=CONTEXT_TOKENS, is_local=True,
            logprobs=True, token_level=True, exact_token_count=True, max_in_flight=4,
            skills=tuple(skill.name for skill in self._skills), price_usd=(0.0, 0.0), origin="trained",
        )

    @property
    def capabilities(self) -> Capabilities:
        """Local, free, with log-probabilities and a TokenModel; only the skills named here."""
        return self._capabilities

    def token_model(self) -> LlamaModel:
        """A fresh sequence over the same weights, for decoding token by token (a TokenModel)."""
        from rookery.models.llama import LlamaModel

        return LlamaModel(_weights(self._folder), _tokenizer(self._folder))

    async def count_tokens(self, request: Request) -> int:
        """Exactly how many tokens the prompt has.

        :raises SkillMissing: it is no prompt of a skill, or has text or numbers outside the vocabulary.
        """
        return len(self._encode(request))

    async def aclose(self) -> None:
        """Let go of the worker thread and the cache; the next request starts them again."""
        pool, self._pool, self._prompts = self._pool, None, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """The reply, one chunk a token; closing the iterator stops it within a few tokens.

        :raises SkillMissing: the prompt is none of the skills'.
        :raises ContextOverflow: the prompt fills the window.
        :raises CapabilityMissing: tools or a schema are asked for.
        :raises RequestRefused: a sampling value is out of range.
        """
        from rookery.models.reply import Reply

        ids = self._encode(request)
        self._check(request, len(ids))
        prompts = self._prompts_kept()
        reply = Reply(lambda: prompts.open(ids), prompts.tokenizer, request.sampling, prompt=ids, sample=request.sample,
                      context_tokens=CONTEXT_TOKENS, model=self._capabilities.name)
        while not reply.done:
            for chunk in await self.compute(partial(reply.advance, SLICE_TOKENS)):
                yield chunk

    async def open(self, request: Request) -> Opening:
        """The request's prompt, read: see :class:`rookery.models.token_level.TokenLevel`.

        :raises SkillMissing, ContextOverflow, CapabilityMissing, RequestRefused: as for :meth:`stream`.
        """
        ids = self._encode(request)
        self._check(request, len(ids))
        prompts = self._prompts_kept()
        return await self.compute(lambda: prompts.open(ids))

    async def compute(self, work: Callable[[], T]) -> T:
        """What ``work`` gives, run in this model's one worker thread."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "rookery-embedded")
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _prompts_kept(self) -> _Prompts:
        if self._prompts is None:
            self._prompts = _Prompts(self._folder, self._cached_prompts)
        return self._prompts

    def _encode(self, request: Request) -> list[int]:
        texts = [message.text for message in request.messages if message.role == "user"]
        prompt = canonical(texts[-1], self._skills) if texts else None
        if prompt is None:
            raise SkillMissing("the embedded model has not learned to answer this prompt", model=self._capabilities.name,
                               hint=f"its skills are {_listed(self._skills)}; {ALTERNATIVE}")
        try:
            return _tokenizer(self._folder).encode(prompt)
        except SkillMissing as error:
            raise SkillMissing(error.reason, model=self._capabilities.name, hint=f"{error.hint}; {ALTERNATIVE}") from None

    def _check(self, request: Request, prompt_tokens: int) -> None:
        name = self._capabilities.name
        if request.tools or request.schema is not None:
            raise CapabilityMissing("the embedded model takes neither tools nor a schema", model=name,
                                    hint="ask for plain text or lines, or " + ALTERNATIVE)
        if prompt_tokens >= CONTEXT_TOKENS:
            raise ContextOverflow(f"a prompt of {prompt_tokens} tokens leaves no room in the window of {CONTEXT_TOKENS}",
                                  model=name, hint="shorten the prompt")


def _listed(skills: tuple[Skill, ...]) -> str:
    return ", ".join(f"{skill.name} ({skill.opening.splitlines()[0]!r} …)" for skill in skills)


@lru_cache(maxsize=4)
def _tokenizer(folder: Path) -> PieceTokenizer:
    return PieceTokenizer.load(folder / "tokenizer.json")


@lru_cache(maxsize=4)
def _weights(folder: Path) -> LlamaWeights:
    from rookery.models.llama_weights import LlamaWeights

    return LlamaWeights.load(folder / "model.safetensors")


class _Prompts:
    """The keys and values of recent prompts. Used by the worker thread only.

    A prompt is computed in two parts, its instruction (one token) and the rest, and reused as a whole or up to the
    instruction: so a reply is the same to the last bit, whatever was asked before.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._size = size
        self._known: OrderedDict[tuple[int, ...], tuple[LlamaModel, NDArray[np.float32]]] = OrderedDict()

    @property
    def tokenizer(self) -> PieceTokenizer:
        return _tokenizer(self._folder)

    def open(self, ids: list[int]) -> Opening:
        """A sequence that has read the prompt."""
        whole, opening = tuple(ids), tuple(ids[:1])
        cached = len(whole) if whole in self._known else 1 if opening in self._known else 0
        if whole not in self._known:
            if not cached:
                self._keep(opening, self._fresh())
            sequence = self._known[opening][0].fork(1)
            self._known.move_to_end(opening)
            self._keep(whole, sequence, tail=ids[1:])
        self._known.move_to_end(whole)
        sequence, logits = self._known[whole]
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return Opening(sequence.fork(1), logits, whole, cached)

    def _fresh(self) -> LlamaModel:
        from rookery.models.llama import LlamaModel

        return LlamaModel(_weights(self._folder), self.tokenizer)

    def _keep(self, key: tuple[int, ...], sequence: LlamaModel, *, tail: list[int] | None = None) -> None:
        self._known[key] = sequence, sequence.eval(tail if tail is not None else key)[0]
