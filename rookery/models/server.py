"""What a model behind a server has besides :class:`rookery.models.model.Model`: fields that constrain a reply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from rookery.models.model import GrammarKind


@dataclass(frozen=True, slots=True)
class Server:
    """What the server behind a model can do for decoding, as far as it was named or found out."""

    kind: str
    """``vllm``, ``sglang``, ``llamacpp``, ``ollama``, ``openai`` or ``other``."""
    grammars: tuple[GrammarKind, ...] = ()
    """The kinds of ``Request.grammar`` it takes."""
    prefill: bool = False
    """It goes on with a last message of role ``assistant``."""
    bias_entries: int = 0
    """At most so many entries in ``Request.bias``; 0: none are taken."""
    tokenizer: bool = False
    """It says how a text falls into tokens, and what each is (:meth:`Served.tokens`)."""


@runtime_checkable
class Served(Protocol):
    """What a Model has besides when a server answers for it that can be asked to constrain a reply."""

    async def server(self) -> Server:
        """What its server can do; asked once and kept.

        :raises ModelUnreachable: nobody answers at the address.
        """
        ...

    async def tokens(self, text: str) -> list[tuple[int, bytes]]:
        """How the server's model writes a text: ids and their bytes.

        :raises CapabilityMissing: the server doesn't say (``Server.tokenizer``).
        """
        ...
