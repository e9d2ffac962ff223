"""What all analysers share: one owner for the process that works for them, answers kept, and a process that dies or hangs replaced."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Protocol

from rookery.decoding.child import ChildEnded, ChildSilent
from rookery.decoding.monitor import Cursor, Facts, Query
from rookery.decoding.pythoncall import about
from rookery.decoding.pythontext import meaning, spot
from rookery.errors import AnalyserFailed

MAX_NAMES = 2_000
"""An answer of more names is taken as incomplete: it constrains nothing."""
MAX_DEATHS = 3
"""After so many ends in a row without an answer between them, it isn't started again."""
HANG_S = 30.0
"""A question that takes longer ends the process; others wait behind it meanwhile, and are late."""
KEPT_ANSWERS = 4_096
WARM = "warm"


class Session(Protocol):
    """One life of the process behind an analyser; used from one thread, and it may block."""

    def answer(self, query: Query, timeout_s: float) -> Facts:
        """:raises AnalyserFailed: the question could not be answered; the process lives on.
        :raises ChildEnded, ChildSilent: it does not live on."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Health:
    """How an analyser has fared."""

    asked: int = 0
    hits: int = 0
    """Questions whose answer was kept from before."""
    starts: int = 0
    deaths: int = 0
    """Ends of the process that nobody wanted."""
    hangs: int = 0
    """Questions that took so long that the process was ended."""
    flooded: int = 0
    """Answers of too many names."""


class SupervisedAnalyser:
    """An Analyser over a process that may die, hang or answer nonsense: :class:`rookery.decoding.monitor.Analyser`.

    A thread of its own asks one question after the other, so the process sees one buffer with one owner. Answers are kept by what they
    depend on (``key``); a question that nobody waits for any more is dropped if it has not begun, else its answer is kept.
    """

    def __init__(self, name: str, begin: Callable[[], Session], *, key: Callable[[Query], Hashable], hang_s: float = HANG_S) -> None:
        self._name, self._begin, self._key, self._hang_s = name, begin, key, hang_s
        self._kept: OrderedDict[Hashable, Facts] = OrderedDict()
        self._flights: dict[Hashable, tuple[Future[Facts], int]] = {}
        self._jobs: SimpleQueue[tuple[Hashable, Query, Future[Facts]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._session: Session | None = None
        self._row = 0
        self._health = Health()

    @property
    def health(self) -> Health:
        """What happened so far, in counts."""
        return self._health

    async def ask(self, query: Query) -> Facts:
        """See :class:`rookery.decoding.monitor.Analyser`. A kept answer comes without waiting."""
        key = self._key(query)
        with self._lock:
            self._health = replace(self._health, asked=self._health.asked + 1)
            facts = self._kept.get(key)
            if facts is not None:
                self._kept.move_to_end(key)
                self._health = replace(self._health, hits=self._health.hits + 1)
                return facts
            future = self._fly(key, query)
        try:
            await _ended(future)
            return future.result()
        finally:
            self._land(key, future)

    async def warm(self, cursor: Cursor) -> None:
        """Start the process, and let it read what the cursor's file imports."""
        await self.ask(Query(WARM, cursor))

    async def aclose(self) -> None:
        """End the process; what is asked afterwards starts another."""
        with self._lock:
            thread, self._thread = self._thread, None
            session = self._session
            if thread is not None:
                self._jobs.put(None)
        if session is not None:
            await asyncio.to_thread(session.close)
        if thread is not None:
            await asyncio.to_thread(thread.join)

    def _fly(self, key: Hashable, query: Query) -> Future[Facts]:
        """The answer under way to a question, asked now unless it has been."""
        future, waiting = self._flights.get(key, (None, 0))
        if future is None or future.done():
            future, waiting = Future(), 0
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, args=(self._jobs,), name=f"rookery-{self._name}", daemon=True)
                self._thread.start()
            self._jobs.put((key, query, future))
        self._flights[key] = (future, waiting + 1)
        return future

    def _land(self, key: Hashable, future: Future[Facts]) -> None:
        with self._lock:
            current, waiting = self._flights.get(key, (None, 0))
            if current is not future:
                return
            if waiting > 1 and not future.done():
                self._flights[key] = (future, waiting - 1)
                return
            future.cancel()
            del self._flights[key]

    # -------------------------------------------------------------- in the thread

    def _work(self, jobs: SimpleQueue[tuple[Hashable, Query, Future[Facts]] | None]) -> None:
        while (job := jobs.get()) is not None:
            key, query, future = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                facts = self._bounded(self._answer(query))
            except AnalyserFailed as error:
                future.set_exception(error)
                continue
            with self._lock:
                self._kept[key] = facts
                while len(self._kept) > KEPT_ANSWERS:
                    self._kept.popitem(last=False)
            future.set_result(facts)
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _answer(self, query: Query) -> Facts:
        if self._row >= MAX_DEATHS:
            raise AnalyserFailed(f"{self._name} has ended {self._row} times without an answer, and isn't started again", rule=self._name,
                                 hint="see what it says when it is started by hand, or name another analyser")
        try:
            if self._session is None:
                self._count(starts=1)
                self._session = self._begin()
            facts = self._session.answer(query, self._hang_s)
        except (ChildEnded, ChildSilent) as error:
            is_hang = isinstance(error, ChildSilent)
            if self._thread is threading.current_thread():  # else it was closed meanwhile
                self._row += not is_hang
                self._count(hangs=1) if is_hang else self._count(deaths=1)
            session, self._session = self._session, None
            if session is not None:
                session.close()
            what = f"gave no answer in {self._hang_s:g} s, and was ended" if is_hang else f"has ended: {error}"
            raise AnalyserFailed(f"{self._name} {what}", rule=self._name, hint="the next question starts it again") from error
        self._row = 0
        return facts

    def _bounded(self, facts: Facts) -> Facts:
        if len(facts.names) <= MAX_NAMES:
            return facts
        self._count(flooded=1)
        return Facts(is_complete=False)

    def _count(self, *, starts: int = 0, deaths: int = 0, hangs: int = 0, flooded: int = 0) -> None:
        with self._lock:
            old = self._health
            self._health = replace(old, starts=old.starts + starts, deaths=old.deaths + deaths, hangs=old.hangs + hangs,
                                   flooded=old.flooded + flooded)


def python_key(query: Query) -> Hashable:
    """What the answer to a question about Python depends on: what is asked about, and all lines but those that only use values."""
    cursor = query.cursor
    before, detail = about(query.kind, cursor.before)
    if query.kind == "imports":
        return query.kind, detail, cursor.path
    where = spot(before)
    return query.kind, detail, cursor.path, meaning(before, where), cursor.after


async def _ended(future: Future[Facts]) -> None:
    """Wait for a thread's future without owning it: whoever stops waiting takes nothing from the others."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def tell(_: Future[Facts]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(ended.set)

    future.add_done_callback(tell)
    await ended.wait()
