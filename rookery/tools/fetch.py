"""One HTTP exchange with bounds: no redirects, no proxies, so many bytes and seconds, and no secrets in what clients log."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rookery.errors import ToolError, ToolRefused, ToolReplyWrong, ToolTimeout, ToolUnreachable

if TYPE_CHECKING:
    import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request, and the bounds of its answer."""

    method: str
    url: str
    """Absolute, http or https, percent-encoded."""
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    secret_headers: Mapping[str, str] = field(default_factory=dict)
    secret_query: Mapping[str, str] = field(default_factory=dict)
    """Added on the wire only; errors and the HTTP client's log do not have them."""
    timeout_s: float = 30.0
    """For the whole exchange."""
    max_bytes: int = 2_000_000
    may_reach: Callable[[Address], bool] | None = None
    """Which addresses may be connected to; the host's name is looked up once and exactly the address that was checked is used."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    content: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """The content as text in the charset it names, else UTF-8; what cannot be decoded is replaced."""
        _, _, charset = self.headers.get("content-type", "").partition("charset=")
        try:
            return self.content.decode(charset.partition(";")[0].strip("\"' ") or "utf-8", "replace")
        except LookupError:
            return self.content.decode("utf-8", "replace")


async def exchange(request: Outgoing, *, tool: str) -> Answer:
    """Send a request and read its answer, whatever its status.

    Raises ToolRefused where the address is out of bounds, ToolUnreachable, ToolTimeout, ToolReplyWrong for an answer that is too
    large, compressed though that was not asked for, or no HTTP.
    """
    place = urlsplit(request.url)
    try:
        async with asyncio.timeout(request.timeout_s):
            return await _exchange(request, tool)
    except TimeoutError as error:
        raise ToolTimeout(f"{place.hostname} gave no whole answer within {request.timeout_s} s", tool=tool, hint="raise timeout_s") from error


async def _exchange(request: Outgoing, tool: str) -> Answer:
    import httpx

    headers = {**request.headers, "accept-encoding": "identity"}
    url = request.url
    extensions: dict[str, Any] = {}
    if request.may_reach is not None:
        url, headers["host"], extensions = await _pinned(request, tool)
    async with httpx.AsyncClient(transport=_transport(request), trust_env=False, follow_redirects=False, timeout=request.timeout_s) as client:
        made = client.build_request(request.method, url, headers=headers, content=request.content, extensions=extensions)
        try:
            response = await client.send(made, stream=True)
            try:
                answered = {key.lower(): value for key, value in response.headers.items()}
                return Answer(response.status_code, answered, await _read(response, request, tool))
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise _mapped(error, request, tool) from error


async def _read(response: httpx.Response, request: Outgoing, tool: str) -> bytes:
    """Read as it comes: an answer that is unpacked here could be a thousand times what was sent."""
    if response.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise ToolReplyWrong(f"{urlsplit(request.url).hostname} sent a compressed answer, which was not asked for", tool=tool)
    pieces: list[bytes] = []
    left = request.max_bytes
    async for piece in response.aiter_raw():
        left -= len(piece)
        if left < 0:
            raise ToolReplyWrong(f"the answer of {urlsplit(request.url).hostname} is larger than {request.max_bytes} bytes", tool=tool)
        pieces.append(piece)
    return b"".join(pieces)


def _mapped(error: Exception, request: Outgoing, tool: str) -> ToolError:
    import httpx

    host = urlsplit(request.url).netloc.rpartition("@")[2]
    if isinstance(error, httpx.TimeoutException):
        return ToolTimeout(f"{host} gave no answer within {request.timeout_s} s", tool=tool, hint="raise timeout_s")
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return ToolRefused(f"the request to {host} cannot be sent: {type(error).__name__}", tool=tool)
    if isinstance(error, httpx.RemoteProtocolError | httpx.DecodingError):
        return ToolReplyWrong(f"the answer of {host} breaks off or is no HTTP", tool=tool)
    said = str(error)[:200] or type(error).__name__
    return ToolUnreachable(f"{host} cannot be reached: {said}", tool=tool, hint="is it running, and is its address right?")


def _transport(request: Outgoing) -> Any:
    """A transport that adds the secrets below the client, whose log shows URLs."""
    import httpx

    class Transport(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, sent: httpx.Request) -> httpx.Response:
            url = sent.url.copy_merge_params(request.secret_query) if request.secret_query else sent.url
            headers = httpx.Headers(sent.headers)
            headers.update(request.secret_headers)
            whole = httpx.Request(sent.method, url, headers=headers, stream=sent.stream, extensions=sent.extensions)
            return await super().handle_async_request(whole)

    return Transport(verify=_certificates(), trust_env=False, retries=0)


@cache
def _certificates() -> Any:
    """The certificates that servers are checked by, read once."""
    import httpx

    return httpx.create_ssl_context(trust_env=False)


# ------------------------------------------------------------------ addresses


async def _pinned(request: Outgoing, tool: str) -> tuple[str, str, dict[str, Any]]:
    """The URL with the host's checked address in place of its name, the Host header, and the name for TLS."""
    assert request.may_reach is not None
    place = urlsplit(request.url)
    host = place.hostname or ""
    try:
        port = place.port or (443 if place.scheme == "https" else 80)
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError) as error:
        raise ToolUnreachable(f"{host} has no address: {error}", tool=tool, hint="is the name right?") from error
    addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
    refused = [address for address in addresses if not request.may_reach(plain_address(address))]
    if refused or not addresses:
        raise ToolRefused(f"{host} is at {refused[0] if refused else 'no address'}, which may not be reached from here", tool=tool)
    address = addresses[0]
    netloc = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    return place._replace(netloc=netloc).geturl(), place.netloc.rpartition("@")[2], {"sni_hostname": host} if place.scheme == "https" else {}


def plain_address(address: Address) -> Address:
    """An IPv4 address that is written as an IPv6 one (mapped, 6to4, NAT64, Teredo) as itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.teredo is not None:
            return address.teredo[1]
        if int(address) >> 32 == 0x64FF9B << 64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet: not of this machine, a private network, a link or a multicast group."""
    return address.is_global and not address.is_multicast
