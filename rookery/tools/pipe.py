"""A server that we start, over its standard input and output: one JSON message a line, bounded bytes, and it ends with us."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

from rookery.errors import ToolError, ToolReplyWrong, ToolUnreachable

INHERITED = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
"""Of our own environment a server sees these and no others: keys are given to it by name."""
TAIL_BYTES = 2_000
CHUNK_BYTES = 1 << 16
CREDITS = 8
"""A server may be ahead by the bytes of so many answers."""
EXIT_S = 1.0
"""How long a server may take to end by itself when its input is closed, and again after SIGTERM."""

LAST_WORDS_S = 0.2


class Pipe:
    """An MCP transport, entered and left by one task. What goes wrong is in ``fault``; the process and its group are gone at the end."""

    def __init__(self, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: str | None, max_bytes: int) -> None:
        self.name = name
        self.command = list(command)
        self.env = {key: os.environ[key] for key in INHERITED if key in os.environ} | dict(env)
        self.cwd = cwd
        self.max_bytes = max_bytes
        self.fault: ToolError | None = None

    async def __aenter__(self) -> tuple[Any, Any]:
        import anyio

        self.fault = None
        self.credit = self.max_bytes
        """Bytes that the server may still send; each message to it adds to them."""
        self._tail = b""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *_bound_to_us(self.command), stdin=-1, stdout=-1, stderr=-1, env=self.env, cwd=self.cwd, start_new_session=True
            )
        except (OSError, ValueError) as error:
            hint = "is the program installed, and the folder there?"
            raise ToolUnreachable(f"{self.name} cannot be started: {error}", tool=self.name, hint=hint) from error
        self._incoming, incoming = anyio.create_memory_object_stream[Any](0)
        outgoing, self._outgoing = anyio.create_memory_object_stream[Any](1_000)
        self._stack = AsyncExitStack()
        group = await self._stack.enter_async_context(asyncio.TaskGroup())
        self._tasks = [group.create_task(work()) for work in (self._read, self._write, self._keep_tail)]
        self._streams = (self._incoming, incoming, outgoing, self._outgoing)
        return incoming, outgoing

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self._end()
        finally:
            self._kill(signal.SIGKILL)
            for task in self._tasks:
                task.cancel()
            for stream in self._streams:
                stream.close()
            await self._stack.aclose()
            await self._reaped(EXIT_S)
            self._process._transport.close()  # type: ignore[attr-defined]  # an escaped grandchild may hold the pipes open

    async def gone(self) -> ToolUnreachable:
        """What to say when the server is no longer there."""
        await self._reaped(LAST_WORDS_S)
        code = self._process.returncode
        ended = "has closed its output" if code is None else f"has ended ({_signal_name(-code) if code < 0 else f'exit code {code}'})"
        said = self._tail.decode(errors="replace").strip()
        hint = f"its last words: {said[-600:]}" if said else "start it by hand to see why"
        return ToolUnreachable(f"{self.name} {ended}", tool=self.name, hint=hint)

    # ---------------------------------------------------------------- the three streams

    async def _read(self) -> None:
        import anyio

        assert self._process.stdout is not None
        buffer = b""
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            while chunk := await self._process.stdout.read(CHUNK_BYTES):
                self.credit -= len(chunk)
                if self.credit < 0 or len(buffer) > self.max_bytes:
                    self._stop(ToolReplyWrong(
                        f"{self.name} sent more than {self.max_bytes} bytes for one answer; it is stopped", tool=self.name,
                        hint="ask it for less, or raise max_reply_bytes",
                    ))  # fmt: skip
                    break
                *lines, buffer = (buffer + chunk).split(b"\n") if b"\n" in chunk else [buffer + chunk]
                for line in lines:
                    await self._hand_on(line)
        self._incoming.close()

    async def _hand_on(self, line: bytes) -> None:
        from mcp.shared.message import SessionMessage
        from mcp.types import jsonrpc_message_adapter

        with suppress(ValueError):  # what is no message (a banner, a stray print) is passed over
            await self._incoming.send(SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False)))

    async def _write(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            async for item in self._outgoing:
                self.credit = min(self.credit + self.max_bytes, CREDITS * self.max_bytes)
                text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                self._process.stdin.write(text.encode() + b"\n")
                await self._process.stdin.drain()
        self._incoming.close()  # nobody reads what we write: those who wait for an answer are told

    async def _keep_tail(self) -> None:
        assert self._process.stderr is not None
        with suppress(OSError):
            while chunk := await self._process.stderr.read(CHUNK_BYTES):
                self._tail = (self._tail + chunk)[-TAIL_BYTES:]

    # ---------------------------------------------------------------- the end

    def _stop(self, fault: ToolError) -> None:
        self.fault = fault
        self._kill(signal.SIGKILL)

    async def _end(self) -> None:
        self._outgoing.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
        if not await self._reaped(EXIT_S):
            self._kill(signal.SIGTERM)
            await self._reaped(EXIT_S)

    def _kill(self, number: signal.Signals) -> None:
        """To the whole group, also where its first process has ended already."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def _reaped(self, timeout_s: float) -> bool:
        """Whether the process ends in time. Not ``wait()``: that waits for the pipes too, which a grandchild may hold."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while self._process.returncode is None and loop.time() < end:  # noqa: ASYNC110 - nothing tells of the end of the process alone
            await asyncio.sleep(0.01)
        return self._process.returncode is not None


def _bound_to_us(command: list[str]) -> list[str]:
    """The command so that the kernel ends it when we are killed, where a tool for that is there."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    found = shutil.which(command[0]) if command else None
    return [setpriv, "--pdeathsig", "KILL", "--", found, *command[1:]] if setpriv and found else command


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
