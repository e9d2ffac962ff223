"""The tool ``get_page``: one page from the hosts of an allow list, whatever the page says, and never from a private network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from rookery.core.function import Tool, tool
from rookery.core.label import UNTRUSTED, source
from rookery.errors import ToolFailed, ToolRefused, ToolReplyWrong
from rookery.tools.fetch import Answer, Outgoing, exchange, is_public

MAX_URL = 2_000
_URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?([/?][\x21-\x7e]*)?")
"""Strict, so that no two readers of it can differ on which host it names (no user, no escapes before the path)."""
_MOVED = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Page:
    """What an address gave."""

    url: str
    """Where it came from in the end."""
    media_type: str
    text: str


def web_tool(
    hosts: Sequence[str], *, private: bool = False, redirects: int = 5, timeout_s: float = 20.0, max_bytes: int = 2_000_000
) -> Tool[..., Any]:
    """``get_page`` for some hosts: ``example.org``, ``*.example.org`` (those below it), ``127.0.0.1:8000`` (that port, not 80 and 443).

    Redirects are followed to hosts of the list only. Names that lead to addresses of this machine or a private network are refused
    unless ``private``; the address that was checked is the one that is used. Calls raise ToolRefused, ToolFailed (its status),
    ToolUnreachable, ToolTimeout and ToolReplyWrong. Raises ToolRefused for a pattern that is no host.
    """
    allowed = [_checked(host) for host in hosts]

    @tool(labels=frozenset({UNTRUSTED, source("web")}), outside=True)
    async def get_page(url: str) -> Page:
        """Get a page or a document as text by its address (http or https)."""
        for _ in range(redirects + 1):
            place = _place(url, allowed)
            answer = await exchange(
                Outgoing(
                    method="GET", url=url.partition("#")[0], headers={"accept": "text/*, application/json;q=0.9, */*;q=0.1", "user-agent": "rookery"},
                    timeout_s=timeout_s, max_bytes=max_bytes, may_reach=(lambda address: True) if private else is_public,
                ), tool="get_page",
            )  # fmt: skip
            if answer.status in _MOVED and "location" in answer.headers:
                url = urljoin(url, answer.headers["location"])
                continue
            return _page(url, place, answer)
        raise ToolFailed(f"{url:.200} is moved on more than {redirects} times", tool="get_page")

    return get_page


def _checked(pattern: str) -> str:
    if not re.fullmatch(r"(\*\.)?[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?", pattern):
        raise ToolRefused(f"{pattern!r:.100} is no host", tool="get_page", hint="example.org, *.example.org or example.org:8080")
    return pattern.lower()


def _place(url: str, allowed: Sequence[str]) -> SplitResult:
    """The parts of an address that may be fetched. Raises ToolRefused for all others."""
    if len(url) > MAX_URL or not _URL.fullmatch(url.partition("#")[0]):
        raise ToolRefused(f"{url!r:.200} is no plain http address", tool="get_page", hint="https://HOST/PATH, percent-encoded, without a user")
    place = urlsplit(url)
    host, port = (place.hostname or "").lower(), place.netloc.rpartition(":")[2] if re.search(r":\d+$", place.netloc) else ""
    if port in ("80", "443"):
        port = ""
    for pattern in allowed:
        name, _, wanted = pattern.rpartition(":") if re.search(r":\d+$", pattern) else (pattern, "", "")
        name = name.strip("[]")
        if wanted == port and (host.endswith(name[1:]) if name.startswith("*.") else host == name):
            return place
    raise ToolRefused(f"{place.netloc} is not among the hosts that may be asked", tool="get_page", hint=f"there are {', '.join(allowed) or 'none'}")


def _page(url: str, place: SplitResult, answer: Answer) -> Page:
    if answer.status >= 300:
        raise ToolFailed(f"{place.netloc} answered {answer.status}", tool="get_page", status=answer.status)
    media = answer.media_type
    if media and not media.startswith("text/") and not re.search(r"json|xml|yaml|javascript|csv", media):
        raise ToolReplyWrong(f"{place.netloc} sent {media:.80}; only text is read", tool="get_page")
    return Page(url, media, answer.text)
