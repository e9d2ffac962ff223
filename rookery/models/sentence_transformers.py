"""Embedders of the ``sentence-transformers`` package, in this process; it and its weights are loaded at the first text."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rookery.errors import ModelFault, ModelUnknown, SettingMissing
from rookery.models.embedder import Purpose

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class SentenceTransformersEmbedder:
    """An :class:`rookery.models.embedder.Embedder` over a model of sentence-transformers; texts are computed in a worker thread.

    :param name: a folder with a model, or its name on the hub. A name is looked up in the local cache only, unless ``download`` is set.
    :param download: let the package fetch the model.
    :param device: where it runs (``cpu``, ``cuda``); the package's choice by default.
    :param batch: so many texts at a time.
    """

    def __init__(self, name: str, *, download: bool = False, device: str | None = None, batch: int = 32) -> None:
        self._name, self._download, self._device, self._batch = name, download, device, batch
        self._model: Any = None
        self._turn = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """The last part of the name or folder."""
        return f"sentence-transformers:{self._name.rstrip('/').rpartition('/')[2]}"

    async def embed(self, texts: Sequence[str], *, purpose: Purpose = "document") -> NDArray[np.float32]:
        """See :meth:`Embedder.embed`; a model that has prompts named ``query`` and ``document`` is given them.

        :raises SettingMissing: the package is not installed.
        :raises ModelUnknown: there is no such model here.
        :raises ModelFault: the model failed.
        """
        return await asyncio.to_thread(self._embed, list(texts), purpose)

    async def aclose(self) -> None:
        """Drop the model; a later text loads it again."""
        self._model = None

    def _embed(self, texts: list[str], purpose: Purpose) -> NDArray[np.float32]:
        import numpy as np

        with self._turn:
            model = self._model = self._model or self._load()
            prompt = {"prompt_name": purpose} if purpose in (getattr(model, "prompts", None) or {}) else {}
            try:
                rows = model.encode(texts or ["a"], batch_size=self._batch, normalize_embeddings=True, show_progress_bar=False,
                                    convert_to_numpy=True, **prompt)
            except Exception as error:  # torch and the package raise what they like
                raise ModelFault(f"{self.fingerprint} failed: {error}", model=self.fingerprint) from error
        found = np.asarray(rows, np.float32)[: len(texts)]
        found[[at for at, text in enumerate(texts) if not text.strip()]] = 0.0
        return found

    def _load(self) -> Any:
        try:
            from sentence_transformers import SentenceTransformer
        except ModuleNotFoundError as error:
            raise SettingMissing(f"{self.fingerprint} needs the package {error.name!r}, which is not installed", model=self.fingerprint,
                                 hint="pip install 'rookery[sentence-transformers]'") from error
        try:
            return SentenceTransformer(self._name, device=self._device, local_files_only=not self._download)
        except Exception as error:  # OSError, ValueError and the hub's own, by version
            raise ModelUnknown(f"there is no model {self._name!r} here: {error}", model=self.fingerprint,
                               hint="give a folder, or download=True to fetch it") from error
