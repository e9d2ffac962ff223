"""Where facts are asked for: one analyser for each source, every answer kept, nobody waited for longer than a budget."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from rookery.decoding.monitor import Analyser, Cursor, Facts, FactSource, Query, Rule
from rookery.errors import AnalyserFailed, RookeryError

WARM_S = 10.0
"""A reply begins without an analyser that has not started by then."""
MOST_NAMES = 20_000
"""An answer with more names is taken for an incomplete one."""
KEPT = 4096
"""So many answers are kept."""
Outcome = Literal["known", "empty", "unknown", "late", "failed"]


class Desk:
    """The analysers of a run (or of a benchmark), started at first use and ended by ``aclose``."""

    def __init__(self) -> None:
        self._analysers: dict[FactSource, Analyser] = {}
        self._asked: dict[tuple[FactSource, Query], asyncio.Task[Facts]] = {}
        self._warm: dict[tuple[FactSource, str], asyncio.Task[None]] = {}
        self.closed = False

    async def warm(self, rule: Rule) -> None:
        """Start the analysers of a rule and let them look at its site; a failure shows at the first question."""
        wanted = {(leaf.facts, leaf.site.path): leaf.site for leaf in rule.leaves if leaf.facts is not None}
        for key, site in wanted.items():
            if key not in self._warm:
                self._warm[key] = asyncio.create_task(self._start(key[0], Cursor(site.before, site.after, site.path)))
        if wanted:
            await asyncio.wait([self._warm[key] for key in wanted], timeout=WARM_S)

    async def _start(self, source: FactSource, cursor: Cursor) -> None:
        with suppress(AnalyserFailed):  # asked again at the first trigger, and counted there
            await self._analyser(source).warm(cursor)

    def _analyser(self, source: FactSource) -> Analyser:
        found = self._analysers.get(source)
        if found is None:
            found = self._analysers[source] = source()
        return found

    def ask(self, source: FactSource, query: Query) -> asyncio.Task[Facts]:
        """The answer in the making, or the one that there is."""
        task = self._asked.get((source, query))
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            if len(self._asked) >= KEPT:
                for key in [key for key, old in self._asked.items() if old.done()][: KEPT // 2]:
                    del self._asked[key]
            task = self._asked[source, query] = asyncio.create_task(self._answer(source, query))
        return task

    async def _answer(self, source: FactSource, query: Query) -> Facts:
        return await self._analyser(source).ask(query)

    async def facts(self, source: FactSource, query: Query, budget_s: float) -> tuple[Facts | None, Outcome]:
        """The facts within the budget, or None and why there are none; what comes late is kept for the next time."""
        task = self.ask(source, query)
        if not task.done():
            await asyncio.wait([task], timeout=max(0.0, budget_s))
        return _read(task) if task.done() else (None, "late")

    def known(self, source: FactSource, query: Query) -> tuple[Facts | None, Outcome] | None:
        """What is known already, as :meth:`facts` gives it; None while the answer is in the making."""
        task = self._asked.get((source, query)) or self.ask(source, query)
        return _read(task) if task.done() else None

    async def aclose(self) -> None:
        """End all analysers. Twice is fine."""
        self.closed = True
        tasks: Sequence[asyncio.Task[object]] = [task for task in (*self._asked.values(), *self._warm.values()) if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for done in (*self._asked.values(), *self._warm.values()):
            if not done.cancelled():
                done.exception()  # seen, so that asyncio does not report it
        self._asked.clear()
        self._warm.clear()
        analysers, self._analysers = list(self._analysers.values()), {}
        for analyser in analysers:
            with suppress(RookeryError):
                await analyser.aclose()


def _read(task: asyncio.Task[Facts]) -> tuple[Facts | None, Outcome]:
    """What came of a question that is answered."""
    try:
        facts = task.result()
    except asyncio.CancelledError:
        return None, "failed"
    except Exception:  # whatever an analyser dies of is one more trigger without facts: counted, never the reply's failure
        return None, "failed"
    if not facts.is_complete or len(facts.names) > MOST_NAMES:
        return None, "unknown"
    return (facts, "known") if facts.is_usable else (None, "empty")
