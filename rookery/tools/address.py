"""Where a server of ours listens: on this machine unless told otherwise, and behind a token where others can reach it."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from typing import Any

from rookery.errors import ToolUnfit


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int, name: str) -> socket.socket:
    """A socket that listens. Raises ToolUnfit when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ToolUnfit(f"{name} cannot listen on {host}:{port}: {error}", tool=name, hint="another port?") from error


def guarded(app: Any, token: str) -> Any:
    """The application behind a bearer token (RFC 6750)."""
    wanted = f"Bearer {token}".encode()

    async def guard(scope: Any, receive: Any, send: Any) -> None:
        given = [value for key, value in scope.get("headers", ()) if key == b"authorization"]
        if scope["type"] == "http" and not any(hmac.compare_digest(value, wanted) for value in given):
            headers = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        await app(scope, receive, send)

    return guard

