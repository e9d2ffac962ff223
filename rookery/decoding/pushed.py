"""Level 2: what may follow is pushed to the server as a grammar, a pattern, a schema or a choice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

from rookery.decoding.level import Number, Task
from rookery.decoding.remote import Remote, cannot_go_on, grammar_of, opened, server_of
from rookery.models.model import Chunk
from rookery.models.server import Served


class Pushed:
    """Holds replies of vLLM, SGLang, llama.cpp's server, Ollama and OpenAI to rules. A server that ignores its grammar is found out."""

    number: Number = 2

    async def lacks(self, task: Task) -> str:
        server = await server_of(task)
        if isinstance(server, str):
            return server
        name, watch = task.model.capabilities.name, opened(task)
        if watch.is_constrained and grammar_of(watch, server) is None:
            return f"no grammar that {name} takes says what may follow"
        if not watch.triggers:
            return ""
        if not {"regex", "choice"} & set(server.grammars):
            return f"{name} takes neither patterns nor choices"
        return cannot_go_on(task, server)

    async def stream(self, task: Task) -> AsyncIterator[Chunk]:
        """The reply; see :class:`rookery.decoding.level.Level`."""
        task.tally.level = 2
        async for chunk in Remote(task, await cast("Served", task.model).server(), pushes=True).write():
            yield chunk
