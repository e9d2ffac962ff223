"""A run: the loop that does. Events in, committed, stepped; commands out, carried. Iterate it for events, await it for the value."""

from __future__ import annotations

import asyncio
import contextvars
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AsyncExitStack
from typing import Any

from rookery.core import event as ev
from rookery.core.event import Event
from rookery.core.graph import Graph
from rookery.core.label import SECRET
from rookery.core.policy import NO_POLICY, Policy
from rookery.core.schedule import step
from rookery.core.spend import Spend
from rookery.core.state import FAILED, Command, Node, State
from rookery.core.value import Writer
from rookery.core.view import View, fold
from rookery.engine.attempt import error_of, fault_of
from rookery.engine.begin import Options, edit_event
from rookery.engine.carry import carry
from rookery.engine.live import LiveScope
from rookery.engine.log import WATCHED_S, Log, LogWriter, Message, committed
from rookery.engine.supply import Supply
from rookery.errors import LogError, RookeryError, RunBusy, RunCancelled, RunError

ENDS = (ev.RunFinished, ev.RunFailed)
INBOX_S = 0.1
"""How often the inbox is looked into."""
UNFOLDED = 10_000
"""Events that may wait to be folded into the view until somebody looks at it."""


class Run:
    """One execution of a program. Made by ``start`` and ``resume``; used as an async context manager."""

    def __init__(
        self, graph: Graph, *, id: str, log: Log, options: Options, program: str, begin: Callable[[Run], list[Event]], new: bool,
        closes_log: bool = False,
    ) -> None:
        self.id = id
        self.graph = graph
        self.log = log
        self.options = options
        self.program = program
        self._view = View(run=id, program=program)
        self._unfolded: list[Event] = []
        self.causes: dict[str, BaseException] = {}
        self.has_defaults = options.policy is not NO_POLICY
        self.supply = Supply(options)
        self.forms: dict[tuple[Any, ...], Graph] = {}
        """The graphs that calls of one function share, which async code makes again and again."""
        self.described: dict[tuple[Any, ...], tuple[Any, str]] = {}
        """Functions that async code has called, each with the reference of its description."""
        self.steering: dict[str, Policy] = {}
        """By path, options that code gave to the calls it made, and to all calls within those."""
        self.seen: dict[str, dict[str, str]] = {}
        """By call, the labels that its code has looked at, and what brought each."""
        self.gates: dict[str, Callable[[Any], Any]] = {}
        """By path, what stands before every tool with effects that is called within a call, however deep: an agent's approvals."""
        self.used: dict[str, Spend] = {}
        """By path, what the code of calls in flight has used besides models; it is told when the call ends."""
        self.prologue: list[Event] = []
        """Events that the state has stepped through already and that this run's log does not hold yet (a fork's)."""
        self._begin = begin
        self._new = new
        self._closes_log = closes_log
        self._pending: list[Event] = []
        self._flushing: asyncio.Handle | None = None
        self._flying: dict[str, bytes] = {}
        self._is_direct = False
        self._has_edit = False
        self._following: Node | None = None
        self._committing = False
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._backlog: deque[Node] = deque()
        self._deferred: list[Message] = []
        self._ending: ev.RunFailed | None = None
        self._subscribers: list[_Subscriber] = []
        self.history: list[Event] = []
        """All events that are committed, those of earlier processes included."""
        self._changed = asyncio.Event()
        self._watched_until = 0.0
        """Until when somebody in another process watches; 0: nobody does."""
        self._written: set[str] = set()
        """While somebody watches: calls whose text has grown since it was shown."""
        self._shown: set[str] = set()
        """Calls whose text is shown."""
        self._scopes: dict[str, LiveScope] = {}
        self._waiters: dict[str, list[asyncio.Future[Any]]] = {}
        self._stack = AsyncExitStack()
        self._closed = False

    # ---------------------------------------------------------------- life

    async def __aenter__(self) -> Run:
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._done: asyncio.Future[Any] = self._loop.create_future()
        self._done.add_done_callback(lambda future: future.cancelled() or future.exception())  # never "not retrieved"
        if self._closes_log:
            self._stack.callback(self.log.close)  # type: ignore[attr-defined]
        try:
            self._writer: LogWriter = self.log.begin(self.id, new=self._new)
        except BaseException:
            await self._stack.aclose()
            raise
        self._stack.callback(self._writer.close)
        try:
            self.state = State(self.graph, get=self.stored, writer=Writer(key=os.urandom(16)))
            first = self._begin(self)
            if self.prologue:
                await committed(self._writer.append(self.prologue, self.state.writer.take()))
                self.remember(self.prologue)
            group = await self._stack.enter_async_context(asyncio.TaskGroup())
            self._watch = group.create_task(self._watching(), name="watch")
            if not self._new:
                for message in self._writer.inbox():  # what was said while nobody carried the run
                    self._take(message)
            for event in first:
                self.post(event)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Leaving before the end stops the run where it is: calls in flight are cancelled, and it can be resumed."""
        self._closed = True
        self._watch.cancel()
        tasks = [*self._tasks.values(), *self._stopping]
        for task in tasks:
            task.cancel()
        try:
            if tasks:
                await asyncio.wait(tasks)
            await self._stack.aclose()
        finally:
            await self.supply.aclose()
            if not self._done.done():
                self._done.set_exception(RunCancelled(f"run {self.id} was left before its end", run=self.id, hint=f"resume it: {self.id}"))
            self._wake()

    def __await__(self) -> Generator[Any, None, Any]:
        """The run's value; raises the error it ended with."""
        return asyncio.shield(self._done).__await__()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """All events from the run's first one on, until it ends."""
        subscriber = _Subscriber(deque(self.history))
        self._subscribers.append(subscriber)
        try:
            while True:
                while subscriber.events:
                    yield subscriber.events.popleft()
                if self._done.done():
                    return
                subscriber.ready.clear()
                await subscriber.ready.wait()
        finally:
            self._subscribers.remove(subscriber)

    @property
    def view(self) -> View:
        """What the events so far amount to; the same fold that every screen uses."""
        view, events = self._view, self._unfolded
        self._unfolded = []
        for event in events:
            view = fold(view, event)
        self._view = view
        return view

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._done.done()

    @property
    def spent(self) -> Spend:
        """What its calls have used so far, over all resumptions."""
        return self.view.spend

    @property
    def is_waiting(self) -> bool:
        """Whether only a person can take it further: an answer, a breakpoint or a pause."""
        return self._is_idle and not self._done.done() and bool(self.state.questions or self.state.held_back or self.state.paused)

    @property
    def _is_idle(self) -> bool:
        """Nothing is in flight but calls that wait for calls of their own, and nothing is on its way into the log."""
        if self._pending or self._following is not None or self._committing or self._ending is not None:
            return False
        if self._backlog and not self.state.paused:
            return False
        return not self._tasks or len(self._tasks) == self._hosts()

    async def until_waiting(self) -> bool:
        """Wait until the run ends (False) or only a person can take it further (True)."""
        while not self._done.done():
            if self.is_waiting:
                return True
            self._changed.clear()
            await self._changed.wait()
        return False

    def stored(self, name: str) -> bytes:
        """The bytes of a value by hash, committed or about to be. Raises LogCorrupt."""
        if name in self._flying:
            return self._flying[name]
        return next((data for known, data in self.state.writer.new if known == name), None) or self.log.get(name)

    def remember(self, events: list[Event]) -> None:
        """Take in events that are committed and stepped: those of an earlier process, or of the run this one was forked from."""
        self.history += events
        self._unfolded += events

    # ---------------------------------------------------------------- what a person may do

    def answer(self, call: str, value: Any, *, by: str = "") -> None:
        """Answer an open question. Raises RunError when there is none at ``call``, ParseFailed when the value is not of its type."""
        node = self.state.questions.get(call)
        if node is None:
            open_ones = ", ".join(self.state.questions) or "none"
            raise RunError(f"no open question at {call!r}", run=self.id, hint=f"open: {open_ones}")
        value = node.codec.validate(value)
        labels = self.state.labels(node)
        write = self.state.writer.secret if SECRET in labels else self.state.writer.write
        self.post(ev.QuestionAnswered(time.time(), call, write(value, node.codec), by, labels, held=value))

    def cancel(self, call: str = "", *, by: str = "") -> None:
        """End the run, or one call of it; the run can be resumed."""
        self.post(ev.CancelAsked(time.time(), call, by))

    def pause(self, *, by: str = "") -> None:
        """Start no further calls; those in flight end."""
        self.post(ev.RunPaused(time.time(), by))

    def go_on(self, call: str = "", *, by: str = "") -> None:
        """Start calls again after a pause; with ``call``, let that one pass its breakpoint."""
        self.post(ev.RunContinued(time.time(), by, call))

    def set_breakpoint(self, place: str, *, on: bool = True) -> None:
        """Let calls at ``place``, or those that read the variable ``place``, wait before they start."""
        self.post(ev.BreakpointSet(time.time(), place, on))

    def edit(self, variable: str, value: Any, *, by: str = "") -> None:
        """Set a variable (a call's path or ``inputs.NAME``); only what depends on it runs again.

        Raises RunError when there is no such variable, ParseFailed when the value is not of its type.
        """
        if self._done.done() or any(type(event) in ENDS for event in self._pending):
            raise RunError(f"run {self.id} has ended", run=self.id, hint="fork it: a new run begins with its values, and your edit")
        self._has_edit = True
        self.post(edit_event(self.state, variable, value, by=by, run=self.id))

    # ---------------------------------------------------------------- the loop

    def post(self, event: Event) -> None:
        """Hand an event in. It is committed with others of the same turn of the event loop, then stepped."""
        self._pending.append(event)
        if self._flushing is None and not self._committing:
            self._flushing = self._loop.call_soon(self._turned)

    def post_last(self, event: Event) -> None:
        """Hand in the last event of a call. With nothing else in flight nobody could join its commit, so it is made at once."""
        self._pending.append(event)
        if len(self._tasks) == 1 and not self._committing:
            self._is_direct = True
            try:
                self._flush()
            finally:
                self._is_direct = False
        elif self._flushing is None and not self._committing:
            self._flushing = self._loop.call_soon(self._turned)

    def show(self, event: Event) -> None:
        """Show an event that is not logged to those who watch."""
        self._unfolded.append(event)
        if self._watched_until:
            self._written.add(event.call)  # type: ignore[attr-defined]
        if len(self._unfolded) > UNFOLDED:
            self._view = self.view
        for subscriber in self._subscribers:
            subscriber.give(event)

    def _turned(self) -> None:
        """The event loop has its turn: commit what was handed in since."""
        self._flushing = None
        self._flush()

    def _flush(self) -> None:
        batch, self._pending = self._pending, []
        if not batch or self._done.done() or self._committing:
            self._pending = batch
            return
        if self._has_edit:
            batch = self._up_to_edit(batch)
        values = self.state.writer.take()
        try:
            waiting = self._writer.append(batch, values)
        except (LogError, RunBusy) as error:
            self.crash(error)
            return
        if waiting is None:
            self._apply(batch)
        else:
            self._committing = True
            self._flying = dict(values)
            asyncio.ensure_future(waiting, loop=self._loop).add_done_callback(lambda future: self._committed(future, batch))

    def _up_to_edit(self, batch: list[Event]) -> list[Event]:
        """A batch up to its first edit: what comes after may be of calls that the edit stops."""
        place = next((i for i, event in enumerate(batch) if isinstance(event, ev.VariableEdited)), None)
        if place is None or place + 1 == len(batch):
            self._has_edit = False
            return batch
        self._pending = batch[place + 1 :]
        if self._flushing is None:
            self._flushing = self._loop.call_soon(self._turned)
        return batch[: place + 1]

    def _committed(self, future: asyncio.Future[None], batch: list[Event]) -> None:
        self._committing = False
        self._flying = {}
        error = future.exception() if not future.cancelled() else RunCancelled(f"run {self.id} was left", run=self.id)
        if error is not None:
            self.crash(error)
            return
        self._apply(batch)
        if self._pending and self._flushing is None:
            self._flushing = self._loop.call_soon(self._turned)

    def _apply(self, batch: list[Event]) -> None:
        """The batch is committed: step, do what the schedule says, tell those who watch."""
        state, subscribers = self.state, self._subscribers
        self.history += batch
        self._unfolded += batch
        try:
            for event in batch:
                for command in step(state, event):
                    if command.verb == "start":
                        self._start(command.node)
                    else:
                        self._do(command)
                if self._backlog and type(event) is ev.RunContinued:
                    self._refill()
                for subscriber in subscribers:
                    subscriber.give(event)
                if type(event) in ENDS and not self._done.done():
                    self._end(event)
        except Exception as error:  # a fault in a deciding part must end the run, not the event loop
            self.crash(error)
        if not self._tasks or self._scopes:
            self._at_rest()

    def _at_rest(self) -> None:
        """Perhaps nothing is in flight: tell those who wait for that, and never hang where nothing can follow."""
        if not self._is_idle:
            return
        self._changed.set()
        if self._tasks or self._done.done() or self._closed or self.is_waiting:
            return
        stuck = [node.path for node in self.state.nodes.values() if not node.done and node.kind in ("prompt", "tool", "program")]
        self.crash(RunError(f"run {self.id} cannot go on: {', '.join(stuck[:5]) or 'its output'} never becomes ready", run=self.id))

    def _end(self, event: Event) -> None:
        if isinstance(event, ev.RunFinished):
            self._done.set_result(event.held)
            self._wake()
            return
        assert isinstance(event, ev.RunFailed)
        cause = self.causes.get(event.call)
        error = error_of(event.fault, run=self.id, call=event.call, attempts=self.view.attempts(event.call), cause=cause)
        if cause is not None and error is not cause:
            error.__cause__ = cause
        self._done.set_exception(error)
        self._wake()

    def crash(self, error: BaseException) -> None:
        """The log, or a deciding part, failed: nothing more can be recorded, so stop everything at once."""
        for path in list(self._tasks):
            self._stop(path)
        if not self._done.done():
            self._done.set_exception(error)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self.supply.wake()
        for subscriber in self._subscribers:
            subscriber.ready.set()

    def _start(self, node: Node) -> None:
        most = self.options.max_in_flight
        if most is not None and len(self._tasks) - self._hosts() >= most and node.kind != "program":
            self._backlog.append(node)
            return
        if self._ending is not None or self._closed or node.path in self._tasks or self._done.done():
            return
        if self._is_direct and self._following is None:
            self._following = node
            return
        # Not in a TaskGroup: `carry` lets no error out but the log's, and a group's book-keeping is a third of a no-op's cost.
        self._tasks[node.path] = self._loop.create_task(carry(self, node), context=self._context.copy())

    def _hosts(self) -> int:
        """Calls in flight that only wait for calls of their own; they take no place."""
        return sum(1 for scope in self._scopes.values() if scope.waiting > 0)

    def _refill(self) -> None:
        """Start calls that waited for a place, as many as there are places."""
        most = self.options.max_in_flight or 0
        while self._backlog and self._ending is None and not self.state.paused and len(self._tasks) - self._hosts() < most:
            self._start(self._backlog.popleft())

    def following(self, node: Node, task: asyncio.Task[None] | None, *, alone: bool) -> Node | None:
        """The call that the end of ``node`` made ready, to be carried out by the same task: a chain needs no task for each of its calls.

        None when there is none, or when it gets a task of its own because it must not share this one (``alone``).
        """
        found, self._following = self._following, None
        if found is None or task is None:
            return None
        if alone or self._tasks.get(node.path) is not task:
            self._start(found)
            return None
        del self._tasks[node.path]
        self._tasks[found.path] = task
        return found

    def gone(self, path: str, task: asyncio.Task[None] | None) -> None:
        """A call is no longer in flight."""
        if self.steering:
            self.steering.pop(path, None)
        if self._tasks.get(path) is task:
            del self._tasks[path]
            if self._scopes:
                self._scopes.pop(path, None)
        elif task is not None:
            self._stopping.discard(task)
        if self._backlog:
            self._refill()
        if self._ending is not None and not self._tasks and not self._stopping:
            event, self._ending = self._ending, None
            if not self._closed:
                self.post(event)
        elif not self._tasks or self._scopes:
            self._at_rest()

    def _stop(self, path: str) -> None:
        """Cancel a call in flight; one that has not begun yet never gets to say that it is gone."""
        task = self._tasks.pop(path, None)
        self._backlog = deque(node for node in self._backlog if node.path != path)
        if task is not None:
            self._scopes.pop(path, None)
            if self._has_edit:  # what it still had to say is of the time before the edit
                self._pending = [event for event in self._pending if getattr(event, "call", None) != path]
            self._stopping.add(task)
            task.add_done_callback(lambda done: self.gone(path, done))
            task.cancel()

    def _do(self, command: Command) -> None:
        node = command.node
        if command.verb == "ask":
            self._question(node)
        elif command.verb == "cancel":
            self._stop(node.path)
        elif command.verb == "hit":
            self.post(ev.BreakpointHit(time.time(), node.path))
        elif command.verb == "tell":
            self._tell(node, self._waiters.pop(node.path, []))
        elif command.verb == "finish":
            self._finish(node)
        elif command.verb == "fail" and command.fault is not None:
            self._fail(ev.RunFailed(time.time(), command.fault, node.path))

    def _question(self, node: Node) -> None:
        from rookery.core.types import schema

        show = next((self.state.ref(slot) for slot in node.deps), "")
        self.post(ev.QuestionAsked(time.time(), node.path, node.call.question, schema(node.call.type), show))

    def _finish(self, output: Node) -> None:
        try:
            value = self.state.take(output)
            reference = self.state.writer.secret(value, output.codec) if SECRET in output.labels else self.state.writer.write(value, output.codec)
        except RookeryError as error:
            self.causes["output"] = error
            self._fail(ev.RunFailed(time.time(), fault_of(error), "output"))
            return
        self.post(ev.RunFinished(time.time(), reference, output.labels, held=value))

    def _fail(self, event: ev.RunFailed) -> None:
        """End the run once the calls in flight are cancelled."""
        if self._ending is not None or self._done.done():
            return
        self._backlog.clear()
        if not self._tasks and not self._stopping:
            self.post(event)
            return
        self._ending = event
        for path in list(self._tasks):
            self._stop(path)

    async def _watching(self) -> None:
        """Look into the inbox, and watch the clock where there is a limit on it."""
        limit = self.options.limit.seconds if self.options.limit is not None else None
        started = self._loop.time() - (self.supply.ledger.spent_s if self.supply.ledger is not None else 0.0)
        while not self._done.done():
            await asyncio.sleep(INBOX_S if limit is None else max(0.001, min(INBOX_S, started + limit - self._loop.time())))
            if limit is not None and self._loop.time() - started >= limit and not self._done.done():
                fault = ev.Fault("LimitReached", f"seconds: {limit} s are over", "raise the limit and resume")
                self._fail(ev.RunFailed(time.time(), fault))
                return
            try:
                messages = self._writer.inbox()
            except LogError as error:
                self.crash(error)
                return
            for message in messages:
                self._take(message)
            if self._watched_until:
                self._show_texts()

    def _show_texts(self) -> None:
        """Let those who watch from other processes see what has been written since the last time."""
        written, self._written = self._written, set()
        calls = self.view.calls
        texts = {call: calls[call].text for call in written if calls[call].status == "running"}
        texts |= {call: "" for call in self._shown if call not in texts and calls[call].status != "running"}
        if texts:
            self._writer.show(texts)
            self._shown = {call for call in {*self._shown, *texts} if texts.get(call, " ")}
        if time.monotonic() > self._watched_until:
            self._watched_until, gone = 0.0, self._shown
            self._shown = set()
            self._writer.show(dict.fromkeys(gone, ""))

    def _take(self, message: Message) -> None:
        """A message from another process becomes an event; one that makes no sense is refused, and that is an event too."""
        if message.place in self.state.stash and message.place not in self.state.nodes:
            self._deferred.append(message)  # to a call that async code has not made again yet
            return
        try:
            match message.verb:
                case "answer":
                    self.answer(message.place, message.value, by=message.by)
                case "cancel":
                    self.cancel(message.place, by=message.by)
                case "pause":
                    self.pause(by=message.by)
                case "continue":
                    self.go_on(message.place, by=message.by)
                case "breakpoint":
                    self.set_breakpoint(message.place, on=bool(message.value))
                case "edit":
                    self.edit(message.place, message.value, by=message.by)
                case "watch":
                    self._watched_until = time.monotonic() + WATCHED_S
        except RookeryError as error:
            self.post(ev.MessageRefused(time.time(), message.verb, message.place, fault_of(error), message.by))

    # ---------------------------------------------------------------- what carrying needs

    def live(self, node: Node) -> LiveScope:
        """Where the calls that a call's own code makes are recorded."""
        return LiveScope(self, node.path)

    def hosts(self, scope: LiveScope) -> None:
        """A call in flight has begun to make calls of its own."""
        self._scopes[scope.path] = scope

    def policy(self, node: Node) -> Policy:
        """A call's own options over the run's; what the code that made it, or a call around it, says of sampling stands over both."""
        own = node.plan.call.policy
        if self.has_defaults:
            own = own.over(self.options.policy)
        return self._steered(node.path, own) if self.steering else own

    def _steered(self, path: str, policy: Policy) -> Policy:
        while path:
            found = self.steering.get(path)
            if found is not None:
                return found.over(policy)
            path = path.rpartition("/")[0]
        return policy

    def idempotency_key(self, node: Node) -> str:
        """The same for all attempts at a call, also after a crash."""
        from rookery.core.value import digest

        return digest(f"{self.id}|{node.path}|{self.state.epoch}".encode())

    def carry_out(self, commands: list[Command]) -> None:
        """Do what the schedule says."""
        for command in commands:
            if command.verb == "start":
                self._start(command.node)
            else:
                self._do(command)

    def adopted(self, commands: list[Command]) -> None:
        """Async code made a call again that the log knew: do what is left of it, and what was said to it meanwhile."""
        self.carry_out(commands)
        deferred, self._deferred = self._deferred, []
        for message in deferred:
            self._take(message)

    def value_at(self, path: str) -> asyncio.Future[Any]:
        """The value of a call that async code made, or the error it failed with."""
        future: asyncio.Future[Any] = self._loop.create_future()
        node = self.state.nodes.get(path)
        if node is not None and (node.done or node.status == FAILED):
            self._tell(node, [future])
        else:
            self._waiters.setdefault(path, []).append(future)
            self.state.watched.add(path)
        return future

    def _tell(self, node: Node, futures: list[asyncio.Future[Any]]) -> None:
        for future in futures:
            if future.done():
                continue
            if node.done:
                future.set_result(self.state.take(node))
            else:
                call = self.view.failed_under(node.path)
                fault = self.state.faults.get(node.path, ev.Fault("CallFailed", "failed"))
                cause = self.causes.get(call)
                error = error_of(fault, run=self.id, call=call, attempts=self.view.attempts(call), cause=cause)
                error.__cause__ = cause if cause is not error else None
                future.set_exception(error)

    def let_others_in(self) -> None:
        """A call only waits for calls of its own now; its place is free."""
        if self._backlog:
            self._refill()
        self._loop.call_soon(self._at_rest)


class _Subscriber:
    __slots__ = ("events", "ready")

    def __init__(self, events: deque[Event]) -> None:
        self.events = events
        self.ready = asyncio.Event()

    def give(self, event: Event) -> None:
        self.events.append(event)
        self.ready.set()
