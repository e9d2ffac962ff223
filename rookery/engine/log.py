"""The log: append-only events and the values they refer to. Its Protocols, and the log in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from rookery.core.event import Event, RunFailed, RunFinished, RunResumed, RunStarted
from rookery.errors import LogCorrupt, RunBusy, RunUnknown

WATCHED_S = 10.0
"""A ``watch`` message is good for so long."""
STATES = ("running", "finished", "failed")


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One line of a log's list of runs."""

    run: str
    program: str
    state: str
    """``running`` (or stopped in mid-run, when ``owner`` is empty), ``finished`` or ``failed``."""
    started_at: float
    changed_at: float
    parent: str = ""
    owner: str = ""
    """The process that writes it now; empty when nobody does."""


@dataclass(frozen=True, slots=True)
class Message:
    """What another process wants of a run: ``answer``, ``cancel``, ``pause``, ``continue``, ``breakpoint``, ``edit``, or to ``watch`` it.

    Who watches is shown replies as they come, for WATCHED_S; see ``Inbox.texts``.
    """

    verb: str
    place: str = ""
    """A call or a variable; empty for the whole run."""
    value: Any = None
    """JSON data: the answer, the new value, or whether a breakpoint is on."""
    by: str = ""


class LogWriter(Protocol):
    """The one writer of a run; it holds the run's lease until it is closed."""

    def append(self, events: Sequence[Event], values: Sequence[tuple[str, bytes]]) -> Awaitable[None] | None:
        """Write events and new values (hash, bytes), all or nothing, after all written before.

        None: they are committed. An awaitable: they are when it is done. Raises LogFull, or RunBusy when the lease is lost.
        """
        ...

    def inbox(self) -> list[Message]:
        """Messages that have come since the last time; also tells others that this writer lives."""
        ...

    def show(self, texts: Mapping[str, str]) -> None:
        """Let those who watch see the ends of replies that are being written, by call; an empty text: it is no longer.

        Not part of the log: lost with the process, and it raises nothing.
        """
        ...

    def close(self) -> None:
        """Give the lease back. Twice is fine."""
        ...


@runtime_checkable
class Log(Protocol):
    """Where runs are kept."""

    def begin(self, run: str, *, new: bool) -> LogWriter:
        """Become the writer of a run. Raises RunBusy when somebody is, RunUnknown when ``new`` is false and there is none."""
        ...

    def read(self, run: str, *, after: int = 0) -> list[Event]:
        """The run's events from the ``after``-th on, in order.

        Raises RunUnknown, and LogCorrupt or LogTooNew with what can be read in ``readable``.
        """
        ...

    def get(self, name: str) -> bytes:
        """The bytes stored under a hash. Raises LogCorrupt when there are none."""
        ...

    def runs(self) -> list[RunInfo]:
        """All runs, newest first."""
        ...


class Inbox(Protocol):
    """A log that other processes can reach a run through, and watch it."""

    def post(self, run: str, message: Message) -> None:
        """Leave a message for the writer of a run. Raises RunUnknown."""
        ...

    def texts(self, run: str) -> dict[str, str]:
        """The ends of the replies that are being written, by call; only while somebody watches. Raises RunUnknown."""
        ...


@dataclass(slots=True)
class _MemoryRun:
    info: RunInfo
    events: list[Event] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    open: bool = False


class MemoryLog:
    """A log that lives as long as the object. Nothing is written to disk."""

    def __init__(self) -> None:
        self._runs: dict[str, _MemoryRun] = {}
        self._values: dict[str, bytes] = {}

    def begin(self, run: str, *, new: bool) -> LogWriter:
        found = self._runs.get(run)
        if found is None:
            if not new:
                raise RunUnknown(f"no run {run} in this log", run=run, hint="a log in memory holds only the runs of this process")
            now = time.time()
            found = self._runs[run] = _MemoryRun(RunInfo(run, "", "running", now, now))
        elif new:
            raise RunBusy(f"there is a run {run} already", run=run, hint="resume it, or choose another id")
        if found.open:
            raise RunBusy(f"run {run} is being written already", run=run, owner="this process", hint="close the other Run first")
        found.open = True
        return _MemoryWriter(found, self._values)

    def read(self, run: str, *, after: int = 0) -> list[Event]:
        found = self._found(run)
        return [_without_held(event) for event in found.events[after:]]

    def get(self, name: str) -> bytes:
        try:
            return self._values[name]
        except KeyError:
            raise LogCorrupt(f"value {name} is missing from the log") from None

    def runs(self) -> list[RunInfo]:
        infos = [replace(found.info, owner="this process" if found.open else "") for found in self._runs.values()]
        return sorted(infos, key=lambda info: info.started_at, reverse=True)

    def post(self, run: str, message: Message) -> None:
        self._found(run).messages.append(message)

    def texts(self, run: str) -> dict[str, str]:
        return dict(self._found(run).texts)

    def _found(self, run: str) -> _MemoryRun:
        found = self._runs.get(run)
        if found is None:
            raise RunUnknown(f"no run {run} in this log", run=run, hint="`log.runs()` lists those there are")
        return found


def _without_held(event: Event) -> Event:
    return replace(event, held=None) if getattr(event, "held", None) is not None else event  # type: ignore[call-arg]


class _MemoryWriter:
    def __init__(self, run: _MemoryRun, values: dict[str, bytes]) -> None:
        self._run = run
        self._values = values

    def append(self, events: Sequence[Event], values: Sequence[tuple[str, bytes]]) -> None:
        self._run.events.extend(events)
        if values:
            self._values.update(values)
        for event in events:
            if type(event) in MARKS:
                self._run.info = info_after(self._run.info, event)

    def inbox(self) -> list[Message]:
        messages, self._run.messages = self._run.messages, []
        return messages

    def show(self, texts: Mapping[str, str]) -> None:
        self._run.texts = {call: text for call, text in {**self._run.texts, **texts}.items() if text}

    def close(self) -> None:
        self._run.open = False
        self._run.texts.clear()


MARKS = (RunStarted, RunResumed, RunFinished, RunFailed)
"""Events that change a run's line in the list of runs."""


def info_after(info: RunInfo, event: Event) -> RunInfo:
    """A run's line after one more event."""
    if isinstance(event, RunStarted):
        return replace(info, program=event.program, parent=event.parent, started_at=event.at, changed_at=event.at)
    if isinstance(event, RunFinished | RunFailed):
        return replace(info, state="finished" if isinstance(event, RunFinished) else "failed", changed_at=event.at)
    if isinstance(event, RunResumed):
        return replace(info, state="running", changed_at=event.at)
    return info


async def committed(waiting: Awaitable[None] | None) -> None:
    """Wait for what ``append`` gave, if there is anything to wait for."""
    if waiting is not None:
        await waiting
    else:
        await asyncio.sleep(0)
