"""Level 3: the server's text is stopped, checked, and gone on with from a name that is forced; for names only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

from rookery.decoding.constraint import Names
from rookery.decoding.level import Number, Task
from rookery.decoding.remote import Remote, cannot_go_on, opened, server_of
from rookery.models.model import Chunk
from rookery.models.server import Served


class Forced:
    """Holds replies to rules where a server goes on from a text that it is given, and takes no grammar that would do."""

    number: Number = 3

    async def lacks(self, task: Task) -> str:
        server = await server_of(task)
        if isinstance(server, str):
            return server
        if any(not isinstance(span.constraint, Names) for rule, span in opened(task).spans() if rule.mode.kind == "hard"):
            return "only names can be forced, not patterns or schemas"
        return cannot_go_on(task, server)

    async def stream(self, task: Task) -> AsyncIterator[Chunk]:
        """The reply; see :class:`rookery.decoding.level.Level`."""
        task.tally.level = 3
        async for chunk in Remote(task, await cast("Served", task.model).server(), pushes=False).write():
            yield chunk
