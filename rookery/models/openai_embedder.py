"""Embedders behind OpenAI-compatible servers, through the ``openai`` package, imported at the first text."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rookery.errors import ReplyMalformed, SettingMissing
from rookery.models.embedder import Purpose
from rookery.models.foreign import Border

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OFFICIAL = "https://api.openai.com/v1"


class OpenAIEmbedder:
    """An :class:`rookery.models.embedder.Embedder` of OpenAI or of any server with ``/v1/embeddings`` (vLLM, Ollama, llama.cpp, TEI).

    Texts go in batches, one after the other. A failed batch is not tried again here.

    :param name: the server's name of the model.
    :param base_url: the server's address, usually ending in ``/v1``; else ``OPENAI_BASE_URL``, else OpenAI itself.
    :param api_key: the key; else the variable ``api_key_env``; else, at OpenAI's own address or that of ``OPENAI_BASE_URL``, ``OPENAI_API_KEY``.
    :param dims: ask for vectors of this length, where the model can shorten them.
    :param query_prefix: put before queries, for models that want it (``query: ``); ``document_prefix`` likewise.
    :param batch: so many texts a request.
    :param timeout_s: longest wait for a reply.
    :raises SettingMissing: OpenAI's own address and no key.
    """

    def __init__(self, name: str, *, base_url: str | None = None, api_key: str | None = None, api_key_env: str | None = None,
                 dims: int | None = None, query_prefix: str = "", document_prefix: str = "", batch: int = 128, timeout_s: float = 60.0) -> None:
        self._name, self._dims, self._batch, self._timeout_s = name, dims, batch, timeout_s
        self._prefix = {"query": query_prefix, "document": document_prefix}
        from_env = os.environ.get("OPENAI_BASE_URL") or None
        self._base_url = (base_url or from_env or OFFICIAL).rstrip("/")
        official = self._base_url == OFFICIAL
        full = f"openai:{name}" if official else f"openai:{name}@{self._base_url}"
        env = api_key_env or ("OPENAI_API_KEY" if official or not base_url else "")
        self._key = api_key or (os.environ.get(env, "") if env else "")
        if not self._key and (official or api_key_env):
            raise SettingMissing(f"{full} needs a key", model=full, hint=f"export {env}=…, or use the embedder `static`, which needs none")
        self._border = Border(full, self._base_url, env or "OPENAI_API_KEY", bool(self._key), self._key)
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._seen_dims = dims or 0

    @property
    def fingerprint(self) -> str:
        """The model's name, the length and the prefixes; not the address, which may change while the model stays."""
        parts = [f"openai:{self._name}", *([str(self._dims)] if self._dims else []), *(prefix.strip() for prefix in self._prefix.values() if prefix)]
        return "/".join(parts)

    async def embed(self, texts: Sequence[str], *, purpose: Purpose = "document") -> NDArray[np.float32]:
        """See :meth:`Embedder.embed`; texts of white space only get a zero vector and are not sent.

        :raises ModelUnknown, ModelUnreachable, ModelBusy, ModelFault, ReplyMalformed, ReplyStalled, RequestRefused, ContextOverflow: as
            their names say; never an error of a library.
        """
        import numpy as np

        asked = [at for at, text in enumerate(texts) if text.strip()] if texts else []
        sent = asked
        if not self._seen_dims and not asked:
            sent = [-1]  # one word tells the length that empty answers must have
        found: list[Any] = []
        for first in range(0, len(sent), self._batch):
            found += await self._ask([self._prefix[purpose] + (texts[at] if at >= 0 else "a") for at in sent[first : first + self._batch]])
        if found:
            self._seen_dims = len(found[0])
        rows = np.zeros((len(texts), self._seen_dims), np.float32)
        if asked:
            try:
                rows[asked] = np.asarray(found, np.float32)
            except (ValueError, TypeError) as error:
                raise ReplyMalformed(f"the vectors differ in length, or are no numbers: {error}", model=self._border.model) from error
        if not np.isfinite(rows).all():
            raise ReplyMalformed("a vector has numbers that are not finite", model=self._border.model)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return (rows / np.where(norms > 0, norms, 1)).astype(np.float32)

    async def aclose(self) -> None:
        """Close the connections; a later text opens new ones."""
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    async def _ask(self, texts: list[str]) -> list[Any]:
        options = {"dimensions": self._dims} if self._dims else {}
        try:
            client = await self._connect()
            async with asyncio.timeout(self._timeout_s):
                reply = await client.embeddings.create(model=self._name, input=texts, encoding_format="float", **options)
            data = sorted(reply.data, key=lambda one: one.index)
            rows = [one.embedding for one in data]
        except Exception as error:  # whatever the library or the server did becomes one of our errors
            mapped = self._border.error(error, reading=True)
            raise mapped from (None if mapped is error else error)
        if len(rows) != len(texts):
            raise ReplyMalformed(f"{len(texts)} texts were sent and {len(rows)} vectors came back", model=self._border.model)
        return rows

    async def _connect(self) -> Any:
        """The client of the running loop; connections can't be carried from one loop to another."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client, self._loop = await asyncio.to_thread(self._build), loop
        return self._client

    def _build(self) -> Any:
        import openai

        client = openai.AsyncOpenAI(api_key=self._key or "none", base_url=self._base_url, max_retries=0, timeout=self._timeout_s)
        _ = client.embeddings  # imports on first touch
        return client
