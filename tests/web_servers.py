"""A loopback HTTP server for tools that call one: it notes each request and answers as it is told, badly too."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Asked:
    """A request as it came in."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Site:
    url: str
    asked: list[Asked] = field(default_factory=list)


Reply = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


def says(data: Any, *, status: str = "200 OK", media: str = "application/json", **headers: str) -> Reply:
    """A well-behaved answer."""
    content = data if isinstance(data, bytes) else json.dumps(data).encode()

    async def reply(_: Asked, writer: asyncio.StreamWriter) -> None:
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        media_line = f"Content-Type: {media}\r\n" if media else ""
        writer.write(f"HTTP/1.1 {status}\r\n{media_line}{more}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content)

    return reply


async def hangs(_: Asked, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(20)


async def floods(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def drips(_: Asked, writer: asyncio.StreamWriter) -> None:
    """A byte now and then, so that no read ever waits for long."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.1)


async def breaks_off(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nhalf")


async def is_no_http(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


@contextlib.asynccontextmanager
async def site(reply: Reply) -> AsyncIterator[Site]:
    """A server that answers every request with ``reply``."""
    made = Site("")
    serving: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                asked = await _read(reader)
                made.asked.append(asked)
                await reply(asked, writer)
                await writer.drain()
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        listening.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving)
        await asyncio.sleep(0)


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, target, headers, body)
