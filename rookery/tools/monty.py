"""The first rung: Monty, an interpreter of a subset of Python that has no system calls to make; the doors are its only way out."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import inspect
import json
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Coroutine, Mapping
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rookery.errors import SandboxBroken, SandboxMissing
from rookery.tools.sandbox import Door, Fault, Outcome, Program, SandboxFacts, SandboxLimit, check_program, read_value

if TYPE_CHECKING:
    from pydantic_monty import AsyncMonty, AsyncMontySession, MontyError, ResourceLimits

RUNG = "monty"
INSTALL = "pip install pydantic-monty"
_ARGS, _KWARGS = "rookery_args_", "rookery_kwargs_"
_SUBSET = re.compile(r"monty|not supported in this environment|cannot suspend in this|module '\w+' has no attribute|cannot create '\w+' instances")
"""What Monty says of programs that are Python, but not of the part that it runs."""
_DIFFERS = re.compile(r"\b(round|hash)\b")
"""Names that give other values than in CPython (as of Monty 1.4: round(2.675, 2), hash(0.5)). A wrong value would be taken for right."""
_LOOKS_LATER_S = 0.25
"""Between two looks at the clocks of a program."""


def lacking() -> tuple[str, str]:
    """What keeps Monty from working here, and what to do; two empty texts when nothing is known to."""
    if util.find_spec("pydantic_monty") is None:
        return "pydantic-monty is not installed", INSTALL
    if shutil.which("monty") is None and not _worker():
        return "the worker of pydantic-monty is not installed", INSTALL
    return "", ""


def _worker() -> str:
    """The worker's binary, where pip or $MONTY_BIN says it is; empty when it is not there."""
    places = (os.environ.get("MONTY_BIN", ""), str(Path(sys.executable).with_name("monty")))
    return next((place for place in places if place and Path(place).is_file()), "")


class Monty:
    """Runs each program in a fresh worker process of Monty: no files, no environment, no sockets, nothing to import that could.

    Programs that need more than its subset of Python (packages, files, standard input, most of the standard library, classes with
    bases, generators …) end with a fault of kind ``refused``, or with the exception that Monty raises; the ladder has those run by
    the next rung.

    :param ready: so many workers are started ahead and wait, each for one program.
    :param parallel: programs that run at a time, by default as many as there are processors.
    """

    def __init__(self, *, ready: int = 1, parallel: int | None = None) -> None:
        self._ready = ready
        self._parallel = parallel or os.cpu_count() or 1
        self._pool: AsyncMonty | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[SandboxLimit, list[AsyncMontySession]] = {}
        self._turns = asyncio.Semaphore(self._parallel)
        self._later: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def facts(self) -> SandboxFacts:
        return SandboxFacts(
            rung=RUNG, python="a subset of 3.14, without classes that inherit, generators, files and most of the library", full=False,
            isolates=("an interpreter without system calls", "a process of its own", "limits of time, memory and calls"),
        )  # fmt: skip

    async def run(self, program: Program, *, limit: SandboxLimit | None = None, doors: Mapping[str, Door] | None = None) -> Outcome:
        """See ``Sandbox.run``."""
        args, kwargs = check_program(program)
        limit = limit or SandboxLimit()
        for field in ("packages", "files", "stdin"):
            if getattr(program, field):
                return Outcome(fault=Fault("refused", f"Monty has no {field}"), rung=RUNG)
        if differs := _DIFFERS.search(program.source):
            return Outcome(fault=Fault("refused", f"Monty's {differs.group()} is not that of Python"), rung=RUNG)
        await self._open()
        async with self._turns:
            session = await self._take(limit)
            done = False
            try:
                outcome = await _Run(session, program, limit, doors or {}).end(args, kwargs)
                done = outcome.ok
                return outcome
            finally:
                if not done:
                    await _close(session)
                self._soon(self._go_on(session if done else None, limit))  # a worker that is done does nothing any more

    async def aclose(self) -> None:
        """See ``Sandbox.aclose``."""
        self._closed = True
        if self._loop is not asyncio.get_running_loop():
            return
        await asyncio.gather(*self._later, return_exceptions=True)
        for sessions in self._waiting.values():
            for session in sessions:
                await _close(session)
        self._waiting.clear()
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.__aexit__(None, None, None)

    # -------------------------------------------------------------- workers

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        if self._pool is not None and self._loop is loop:
            return
        reason, hint = lacking()
        if reason:
            raise SandboxMissing(reason, rung=RUNG, hint=hint)
        from pydantic_monty import AsyncMonty

        self._loop, self._waiting, self._turns = loop, {}, asyncio.Semaphore(self._parallel)
        pool = AsyncMonty(
            binary_path=_worker() or None, min_processes=0, max_processes=self._parallel + 5 * self._ready + 1, max_checkouts_per_worker=1
        )
        try:
            await pool.__aenter__()
        except (OSError, RuntimeError) as error:
            raise SandboxBroken(f"Monty's worker could not be started: {error}", rung=RUNG, hint=INSTALL) from error
        self._pool = pool

    async def _checked_out(self, limit: SandboxLimit) -> AsyncMontySession:
        assert self._pool is not None
        limits: ResourceLimits = {
            "max_feed_duration_secs": limit.cpu_s, "max_memory": limit.memory_mb * 1_000_000, "max_suspensions": 2 * limit.calls + 100,
        }  # fmt: skip
        session = self._pool.checkout(
            limits=limits, script_name="program.py", assert_message_annotations=False, os_policy={"sleep": "call_host"}
        )
        try:
            return await session.__aenter__()
        except (OSError, RuntimeError) as error:
            raise SandboxBroken(f"Monty's worker could not be started: {error}", rung=RUNG, hint=INSTALL) from error

    async def _take(self, limit: SandboxLimit) -> AsyncMontySession:
        waiting = self._waiting.get(limit)
        return waiting.pop(0) if waiting else await self._checked_out(limit)

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _go_on(self, session: AsyncMontySession | None, limit: SandboxLimit) -> None:
        if session is not None:
            await _close(session)
        if not self._closed:
            await self._start_ahead(limit)

    async def _start_ahead(self, limit: SandboxLimit) -> None:
        """Have the next workers for this limit wait; those of the limit used longest ago make room."""
        waiting = self._waiting.pop(limit, [])
        self._waiting[limit] = waiting
        while len(waiting) < self._ready and not self._closed:
            waiting.append(await self._checked_out(limit))
        while len(self._waiting) > 4:
            for session in self._waiting.pop(next(iter(self._waiting))):
                await _close(session)


async def _close(session: AsyncMontySession) -> None:
    """End a session, and its worker with it; a worker that does not end is killed."""
    pid = session.worker_pid
    with contextlib.suppress(Exception):  # the session may have ended in any way; what counts is that the worker is gone
        async with asyncio.timeout(1.0):
            await session.__aexit__(None, None, None)
    if pid is not None and _is_worker(pid):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _is_worker(pid: int) -> bool:
    """Whether a process of this number is still a child of ours."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return False
    return int(parent) == os.getpid() and state != "Z"


# ------------------------------------------------------------------ one program


class _Run:
    """One program in one session."""

    def __init__(self, session: AsyncMontySession, program: Program, limit: SandboxLimit, doors: Mapping[str, Door]) -> None:
        from pydantic_monty import CollectStreams

        self._session = session
        self._program = program
        self._limit = limit
        self._doors = doors
        self._printed = CollectStreams(max_bytes=2 * limit.output_bytes + (1 << 16))
        self._paused_s = 0.0
        self._calls = 0

    async def end(self, args: list[Any], kwargs: dict[str, Any]) -> Outcome:
        from pydantic_monty import MontyError

        pid = self._session.worker_pid
        began, cpu_s = time.perf_counter(), _cpu_s(pid)
        feed = asyncio.ensure_future(self._feed(args, kwargs))
        value, fault = None, None
        try:
            while not feed.done() and (left_s := self._limit.wall_s - (time.perf_counter() - began - self._paused_s)) > 0:
                await asyncio.wait([feed], timeout=min(left_s, _LOOKS_LATER_S))
            if feed.done():
                value = self._plain(feed.result())
            else:
                fault = Fault("timeout", f"it took longer than {self._limit.wall_s:g} s")
        except MontyError as error:
            fault = self._fault_of(error)
        except _NoJSON as error:
            fault = Fault("value" if self._program.entry else "refused", str(error))
        except ValueError as error:  # raised in converting the value, such as an integer of too many digits
            fault = Fault("value", f"its value is no JSON that can be taken: {error}")
        finally:
            used_s = max(0.0, _cpu_s(pid) - cpu_s)
            if not feed.done():
                feed.cancel()
                await asyncio.gather(feed, return_exceptions=True)
        stdout, stderr = (self._text(stream) for stream in ("stdout", "stderr"))
        longest = self._limit.output_bytes
        if max(len(stdout.encode(errors="replace")), len(stderr.encode(errors="replace"))) > longest:
            fault = Fault("output", f"it wrote more than {longest:,} bytes")
        if fault is not None and fault.kind == "exception":
            stderr += f"{fault}\n"
        return Outcome(
            value=None if fault else value, fault=fault, stdout=stdout[:longest], stderr=stderr[:longest], cpu_s=used_s,
            wall_s=time.perf_counter() - began - self._paused_s, rung=RUNG,
        )  # fmt: skip

    def _text(self, stream: str) -> str:
        return "".join(text for name, text in self._printed.output if name == stream)

    async def _feed(self, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Let the program run, and answer what it asks for, until its end; gives its value as Monty has it."""
        from pydantic_monty import AsyncFunctionSnapshot, AsyncNameLookupSnapshot, MontyComplete

        source, inputs = self._program.source, {}
        if entry := self._program.entry:
            wait = "await " if re.search(rf"^async\s+def\s+{entry}\b", source, re.MULTILINE) else ""
            source += f"\n{wait}{entry}(*{_ARGS}, **{_KWARGS})"
            inputs = {_ARGS: args, _KWARGS: kwargs, "__name__": "program"}
        state = await self._session.feed_start(source, inputs=inputs, print_callback=self._printed, os=_asked)
        while not isinstance(state, MontyComplete):
            if isinstance(state, AsyncNameLookupSnapshot) and state.object_id is None:
                door = self._doors.get(state.variable_name)
                state = await (state.resume() if door is None else state.resume(value=door))
            elif isinstance(state, AsyncFunctionSnapshot) and not state.is_os_function and state.object_id is None:
                state = await state.resume(await self._through(str(state.function_name), state.args, state.kwargs))
            else:
                state = await state.resume_auto()
        return state.output

    async def _through(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a door for the program, with its JSON and back."""
        self._calls += 1
        if self._calls > self._limit.calls:
            return {"exc_type": "RuntimeError", "message": f"more than {self._limit.calls} calls"}
        asked = time.perf_counter()
        try:
            door = self._doors[name]
            given, named = read_value(_json([list(args), kwargs]))
            value = door(*given, **named)
            if inspect.isawaitable(value):
                value = await value
            return {"return_value": json.loads(json.dumps(value, allow_nan=False))}
        except KeyError:
            return {"exc_type": "NameError", "message": f"name {name!r} is not defined"}
        except Exception as error:  # the door's failure is the program's to deal with
            return {"exc_type": "RuntimeError", "message": f"{type(error).__name__}: {error}"[:4000]}
        finally:
            self._paused_s += time.perf_counter() - asked

    def _plain(self, value: Any) -> Any:
        raw = _json(value)
        if len(raw) > self._limit.output_bytes:
            raise _NoJSON(f"its value has more than {self._limit.output_bytes:,} bytes")
        return read_value(raw)

    def _fault_of(self, error: MontyError) -> Fault:
        from pydantic_monty import MontyCrashedError, MontyRuntimeError, MontySyntaxError

        if isinstance(error, MontyCrashedError):
            return Fault("timeout" if error.timed_out else "crash", str(error)[:4000])
        name = type(error.exception()).__name__
        message = error.display("msg") if isinstance(error, MontyRuntimeError | MontySyntaxError) else str(error)
        trace = error.traceback() if isinstance(error, MontyRuntimeError | MontySyntaxError) else []
        line = trace[-1].line if trace else None
        if line is not None and line > self._program.source.count("\n") + 1:
            line = None
        if name == "TimeoutError" and "limit exceeded" in message:
            return Fault("timeout", message)
        if name == "MemoryError":
            is_output = f"> {2 * self._limit.output_bytes + (1 << 16)} bytes" in message
            return Fault("output", f"it wrote more than {self._limit.output_bytes:,} bytes") if is_output else Fault("memory", message, name, line)
        return Fault("refused" if _is_beyond(name, message) else "exception", message[:4000], name, line)


def _asked(*, name: str, args: tuple[Any, ...], **_: Any) -> Any:
    """What the interpreter asks of the system: it may sleep (the clock of the program runs on), all else is denied."""
    from pydantic_monty import NOT_HANDLED

    if name in ("time.sleep", "asyncio.sleep") and args and isinstance(args[0], int | float):
        return asyncio.sleep(max(0.0, min(float(args[0]), 1e6)))
    return NOT_HANDLED


def _is_beyond(name: str, message: str) -> bool:
    """Whether an exception says that the program needs more of Python than Monty has."""
    quoted = re.search(r"'(\w+)", message)
    word = quoted.group(1) if quoted else ""
    if name == "ModuleNotFoundError":
        return word in sys.stdlib_module_names
    if name == "NameError":
        return hasattr(builtins, word)
    return bool(_SUBSET.search(message))


class _NoJSON(Exception):
    """A value that is no JSON."""


def _json(value: Any) -> bytes:
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise _NoJSON(str(error) or "nested too deep") from None


def _cpu_s(pid: int | None) -> float:
    """Processor seconds that a process has used; 0 where the system does not say."""
    try:
        return time.clock_gettime((~pid << 3) | 2) if pid is not None and sys.platform == "linux" else 0.0
    except OSError:
        return 0.0
