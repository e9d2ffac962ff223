"""The embedded models: small decoders that rookery ships, trained for a few skills, with no key, network or server."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from rookery.errors import CapabilityMissing, ContextOverflow, ModelUnknown, SkillMissing
from rookery.models.local import LocalModel
from rookery.models.model import Capabilities, Request
from rookery.models.skills import TRAINED, canonical

if TYPE_CHECKING:
    from rookery.models.llama import LlamaModel
    from rookery.models.llama_weights import LlamaWeights
    from rookery.models.model import Vocabulary

WEIGHTS = Path(__file__).parent / "weights"
CACHED_PROMPTS, CACHED_TOKENS = 64, 2048
ALTERNATIVE = 'take a general model for all else: model="openai:NAME", or "openai:NAME@http://HOST/v1" for a server of your own'


class EmbeddedModel(LocalModel):
    """Answers the prompts of its skills, token by token, computed by its weights alone; refuses all others.

    Only the last user message is read; it must be one of the skills' prompts (:mod:`rookery.models.skills`). ``game24`` proposes and
    judges steps of the Game of 24, with white space around its prompts as you like; ``python`` goes on with Python code as it stands.
    Without a temperature the reply is the likeliest text (0), without ``max_tokens`` it may fill the window. Log-probabilities are natural
    ones of the model's own distribution, whatever the temperature. Completion tokens include the token that ends the reply. Equal
    requests with equal seeds (and ``sample``) give equal text (of ``python``: up to the rounding of what was computed together); a
    temperature above 0 without a seed draws anew each time. Replies take turns in one worker thread, so the event loop stays free.

    :param name: which model; an empty name is ``game24``.
    :param cached_prompts: how many prompts' keys and values are kept: what a prompt shares with one of them is not computed again.
    :param folder: other weights for the same skills, such as ``training/`` writes; None: those that are shipped.
    :raises ModelUnknown: there is no such embedded model, or (at the first request) its files are damaged.
    """

    def __init__(self, name: str = "game24", *, cached_prompts: int = CACHED_PROMPTS, folder: Path | None = None) -> None:
        name = name or "game24"
        if name not in TRAINED:
            raise ModelUnknown(f"there is no embedded model {name!r}", model=f"embedded:{name}",
                               hint=f"there is {', '.join(f'embedded:{known}' for known in TRAINED)}")
        trained = self._trained = TRAINED[name]
        super().__init__(
            Capabilities(
                name=f"embedded:{name}", context_tokens=trained.context_tokens, max_output_tokens=trained.context_tokens, is_local=True,
                logprobs=True, token_level=True, exact_token_count=True, max_in_flight=4,
                skills=tuple(skill.name for skill in trained.skills), price_usd=(0.0, 0.0), origin="trained",
            ),
            lambda: _Engine(name, folder or WEIGHTS / name), cached_prompts=cached_prompts, cached_tokens=CACHED_TOKENS,
            first_tokens=trained.first_tokens, least_shared_tokens=trained.least_shared_tokens,
        )

    def _encode(self, request: Request) -> list[int]:
        """The tokens of the prompt.

        :raises SkillMissing: the prompt is none of the skills', or has text or numbers outside the vocabulary.
        :raises CapabilityMissing: tools, a schema or a grammar are asked for.
        :raises ContextOverflow: it fills the window.
        """
        ids, name, window = self._loaded().encode(request), self.capabilities.name, self._trained.context_tokens
        if request.tools or request.schema is not None:
            raise CapabilityMissing("the embedded model takes neither tools nor a schema", model=name,
                                    hint="ask for plain text or lines, constrain it with decode=…, or " + ALTERNATIVE)
        if len(ids) >= window:
            raise ContextOverflow(f"a prompt of {len(ids)} tokens leaves no room in the window of {window}", model=name, hint=self._trained.too_long)
        return ids


class _Engine:
    """The vocabulary and weights of a model, read at first use: :class:`rookery.models.local.Engine`."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name, self._skills, self._folder = f"embedded:{name}", TRAINED[name].skills, folder

    def encode(self, request: Request) -> list[int]:
        """:raises SkillMissing: it is no prompt of a skill, or has text or numbers outside the vocabulary."""
        texts = [message.text for message in request.messages if message.role == "user"]
        prompt = canonical(texts[-1], self._skills) if texts else None
        if prompt is None:
            listed = ", ".join(f"{skill.name} ({skill.asks})" for skill in self._skills)
            raise SkillMissing("the embedded model has not learned to answer this prompt", model=self._name,
                               hint=f"its skills are {listed}; {ALTERNATIVE}")
        try:
            return _vocabulary(self._folder).encode(prompt)
        except SkillMissing as error:
            raise SkillMissing(error.reason, model=self._name, hint=f"{error.hint}; {ALTERNATIVE}") from None

    def sequence(self) -> LlamaModel:
        from rookery.models.llama import LlamaModel

        return LlamaModel(_weights(self._folder), _vocabulary(self._folder))

    def close(self) -> None:
        """The weights stay for other models of this name."""


@lru_cache(maxsize=4)
def _vocabulary(folder: Path) -> Vocabulary:
    from rookery.models.byte_pairs import BytePairTokenizer
    from rookery.models.tokenizer import PieceTokenizer

    pieces = folder / "tokenizer.json"
    return PieceTokenizer.load(pieces) if pieces.exists() else BytePairTokenizer.load(folder / "byte_pairs.json")


@lru_cache(maxsize=4)
def _weights(folder: Path) -> LlamaWeights:
    from rookery.models.llama_weights import LlamaWeights

    return LlamaWeights.load(folder / "model.safetensors")
