"""One thread to compute in, so that the event loop stays free and a model's sequences are never touched by two at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Worker:
    """Runs work in its one thread, which starts with the first piece of it; after :meth:`close` the next piece starts another."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._pool: ThreadPoolExecutor | None = None

    async def compute(self, work: Callable[[], T]) -> T:
        """What ``work`` gives or raises; several callers take turns, in the order they came."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, f"rookery-{self._name}")
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Let go of the thread; what it is doing it ends, what waits is dropped."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
