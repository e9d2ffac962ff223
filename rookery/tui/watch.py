"""A run as its log has it, now or at an earlier moment: read from time to time, spoken to through the inbox. Knows no screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from rookery.core.argument import Reader
from rookery.core.event import Event, RunStarted
from rookery.core.view import View, fold
from rookery.engine.log import WATCHED_S, Log, Message, RunInfo
from rookery.errors import LogCorrupt, LogTooNew, RookeryError, RunUnknown
from rookery.tui.outline import Outline

INFO_S = 1.0
"""How often the run's line in the list of runs is read: whether somebody carries it out."""
EXPECTED = 2_000
"""So many of a graph's calls are listed before they begin."""
AT_ONCE = 20_000
"""Events that are folded in one go, so that a large log is shown while it is read."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What is new in the log of a run."""

    info: RunInfo | None = None
    events: Sequence[Event] = ()
    fault: RookeryError | None = None
    texts: Mapping[str, str] = field(default_factory=dict)


class Watch:
    """Follows one run: ``fetch`` (in a thread, if need be), then ``take``; or both at once by ``read``.

    :raises RunUnknown: there is no such run.
    """

    def __init__(self, log: Log, run: str, *, by: str = "terminal", clock: Callable[[], float] = time.monotonic) -> None:
        self.log = log
        self.run = run
        self.by = by
        self.events: list[Event] = []
        """All events read so far, whatever moment is shown."""
        self.fault: RookeryError | None = None
        """Why the log cannot be read further."""
        self.texts: Mapping[str, str] = {}
        """Replies that are being written, by call."""
        self.moment: int | None = None
        """So many events are shown; None: all there are, and those to come."""
        self.version = 0
        """Grows with each change of what is shown."""
        self._clock = clock
        self._asked_at = float("-inf")
        self._info_at = clock()
        self._waiting: list[Event] = []
        self._begin()
        found = next((info for info in log.runs() if info.run == run), None)
        if found is None:
            raise RunUnknown(f"no run {run} in this log", run=run, hint="`rookery runs` lists those there are")
        self.info = found
        """The run's line in the list of runs, at most INFO_S old."""

    def _begin(self) -> None:
        self.view = View(run=self.run)
        self.outline = Outline()
        self.reader = Reader(self.view, self.log.get)

    # ---------------------------------------------------------------- reading

    @property
    def is_carried(self) -> bool:
        """Whether some process carries the run out now."""
        return bool(self.info.owner)

    def is_carried_now(self) -> bool:
        """The same, asked of the log at this moment: before something is begun that depends on it. Raises LogError."""
        self.info = next((info for info in self.log.runs() if info.run == self.run), self.info)
        self._info_at = self._clock()
        return self.is_carried

    @property
    def status(self) -> str:
        """``running``, ``waiting``, ``paused``, ``stopped`` (nobody carries it out), ``finished`` or ``failed``, of what is shown."""
        view = self.view
        if view.status in ("finished", "failed"):
            return view.status
        if view.questions or view.counts["waiting"]:
            return "waiting"
        if self.moment is None and not self.is_carried and view.events:
            return "stopped"
        return view.status

    def fetch(self) -> Fetched:
        """Read what is new in the log; changes nothing that is shown, so that a thread may do it. Raises LogError."""
        info = None
        if self._clock() - self._info_at > INFO_S:
            self._info_at = self._clock()
            info = next((info for info in self.log.runs() if info.run == self.run), None)
        events: list[Event] = []
        fault: RookeryError | None = None
        if self.fault is None and not self._waiting:
            try:
                events = self.log.read(self.run, after=len(self.events))
            except (LogCorrupt, LogTooNew) as error:
                events, fault = list(error.readable), error
        return Fetched(info, events, fault, self._look() if (info or self.info).owner else {})

    def take(self, fetched: Fetched) -> bool:
        """Show what was fetched; whether anything has changed."""
        changed = False
        if fetched.info is not None:
            changed = fetched.info.owner != self.info.owner
            self.info = fetched.info
        self._waiting += fetched.events
        if fetched.fault is not None:
            self.fault, changed = fetched.fault, True
        taken, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
        if taken:
            self.events += taken
            if self.moment is None:
                self._take(taken)
            changed = True
        if fetched.texts != self.texts:
            self.texts, changed = fetched.texts, True
        if self.moment is None:
            self._write()
        self.version += changed
        return changed

    def read(self) -> bool:
        """Take in all that is new; whether anything has changed. Raises LogError."""
        changed = self.take(self.fetch())
        while self._waiting:
            self.take(Fetched())
        return changed

    @property
    def is_behind(self) -> bool:
        """Whether events have been fetched that are not shown yet."""
        return bool(self._waiting)

    def _take(self, events: Sequence[Event]) -> None:
        view, outline = self.view, self.outline
        for event in events:
            view = fold(view, event)
            outline.take(event, view)
            if type(event) is RunStarted:
                outline.expect(islice(self.reader.calls(), EXPECTED))
        self.view = self.reader.view = view

    def _look(self) -> dict[str, str]:
        """What calls are writing just now, where the log has it."""
        texts: Callable[[str], dict[str, str]] | None = getattr(self.log, "texts", None)
        if texts is None:
            return {}
        if self._clock() - self._asked_at > WATCHED_S / 2:
            self._asked_at = self._clock()
            self.post("watch")
        return texts(self.run)

    def _write(self) -> None:
        for path, text in self.texts.items():
            call = self.view.calls.get(path)
            if call is not None and call.status == "running":
                call.text = text

    # ---------------------------------------------------------------- moments

    def go(self, moment: int | None) -> None:
        """Show the run as it was after so many events; None: as it is now."""
        if moment is not None:
            moment = max(0, min(moment, len(self.events)))
        here = len(self.events) if self.moment is None else self.moment
        there = len(self.events) if moment is None else moment
        if there < here:
            self._begin()
            here = 0
        self.moment = moment
        self._take(self.events[here:there])
        self.version += 1

    @property
    def shown(self) -> int:
        """How many events are shown."""
        return len(self.events) if self.moment is None else self.moment

    # ---------------------------------------------------------------- speaking

    def post(self, verb: str, place: str = "", value: Any = None) -> None:
        """Leave a message in the run's inbox. Raises RunUnknown, and LogError for a log that takes none."""
        post = getattr(self.log, "post", None)
        if post is None:
            raise LogCorrupt("this log takes no messages", hint="steer the run from the process that carries it out")
        post(self.run, Message(verb, place, value, by=self.by))
