"""The HTTP side of an MCP connection: answers of a server that does not end them are ended here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2


def bounded_transport(inner: httpx2.AsyncBaseTransport, max_bytes: int, tell: Callable[[], None]) -> httpx2.AsyncBaseTransport:
    """A transport whose answers end, with a StreamError, after so many bytes; ``tell`` is called before that."""
    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            left = max_bytes
            async for chunk in self.stream:
                left -= len(chunk)
                if left < 0:
                    tell()
                    raise httpx2.StreamError("the answer is too large")
                yield chunk

        async def aclose(self) -> None:
            await self.stream.aclose()

    class Transport(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            response: httpx2.Response = await inner.handle_async_request(request)
            response.stream = Bounded(response.stream)
            return response

        async def aclose(self) -> None:
            await inner.aclose()

    return Transport()
