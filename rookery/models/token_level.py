"""What a model in this process has besides :class:`rookery.models.model.Model`: a hand on its tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from rookery.models.model import Request, TokenModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Opening:
    """A sequence that has read a prompt: where decoding token by token begins."""

    sequence: TokenModel
    logits: NDArray[np.float32]
    """After the prompt's last token, shape (V,)."""
    ids: tuple[int, ...]
    """The prompt's tokens."""
    cached_tokens: int = 0
    """Those of them that did not have to be computed."""


@runtime_checkable
class TokenLevel(Protocol):
    """What a Model has besides when its capabilities say ``token_level``: hands on its tokens. A TokenModel is used in ``compute`` only."""

    def token_model(self) -> TokenModel:
        """A fresh, empty sequence."""
        ...

    async def open(self, request: Request) -> Opening:
        """The request's prompt, read; what earlier prompts share with it is not computed again.

        :raises ContextOverflow: the prompt fills the window.
        """
        ...

    async def compute(self, work: Callable[[], T]) -> T:
        """What ``work`` gives, run in the one thread that this model computes in; several callers take turns."""
        ...
