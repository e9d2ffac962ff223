"""Pages: only from the list, by the address that was checked, not further than asked, and never from a private network."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from typing import Any

import pytest

from rookery import run
from rookery.errors import ToolError, ToolFailed, ToolRefused, ToolReplyWrong, ToolTimeout, ToolUnreachable
from rookery.tools.fetch import is_public, plain_address
from rookery.tools.person import ask_person
from rookery.tools.web import Page, web_tool
from tests.web_servers import breaks_off, drips, floods, hangs, is_no_http, says, site


def get(*hosts: str, **options: Any) -> Any:
    return web_tool(hosts, **{"private": True, "timeout_s": 1.0, "max_bytes": 200_000, **options}).function


async def test_a_page() -> None:
    async with site(says(b"<p>Rooks</p>", media="text/html; charset=utf-8")) as made:
        host = made.url.removeprefix("http://")
        assert await get(host)(made.url + "/a?b=c#d") == Page(made.url + "/a?b=c#d", "text/html", "<p>Rooks</p>")
        assert (made.asked[0].method, made.asked[0].target, made.asked[0].headers["host"]) == ("GET", "/a?b=c", host)
        assert "cookie" not in made.asked[0].headers


@pytest.mark.parametrize("url", [
    "http://evil.example/", "http://127.0.0.1:1/", "ftp://127.0.0.1/", "file:///etc/passwd", "//127.0.0.1/", "127.0.0.1", "", "http://",
    "http:///x",
    "http://user:pw@127.0.0.1/", "http://127.0.0.1@evil.example/", "http://evil.example#@127.0.0.1/", "http://evil.example\\@127.0.0.1/",
    "http://127.0.0.1 .evil.example/", "http://127.0.0.1/\r\nHost: evil", "http://127.0.0.1/é", "http://2130706433/", "http://0x7f.1/",
    "http://127.1/",
    "http://127.0.0.1./", "http://[::1]/", "http://127.0.0.1:99999999/", "http://127.0.0.1.evil.example/", "http://xn--evil/",
    "javascript:alert(1)",
    "http://127.0.0.1/" + "a" * 3000, "HTTP://127.0.0.1/", "http://127.0.0.1%2eevil.example/",
])  # fmt: skip
async def test_what_is_not_on_the_list_is_not_asked(url: str) -> None:
    with pytest.raises(ToolRefused):
        await get("127.0.0.1")(url)


@pytest.mark.parametrize(("pattern", "url", "fits"), [
    ("*.example.org", "http://a.example.org/", True), ("*.example.org", "http://example.org/", False),
    ("*.example.org", "http://aexample.org/", False),
    ("example.org", "https://EXAMPLE.org/", True), ("example.org", "http://example.org:8080/", False),
    ("example.org:8080", "http://example.org:8080/", True),
    ("example.org", "http://example.org:443/", True), ("example.org", "http://example.org.evil.example/", False),
])  # fmt: skip
async def test_patterns_of_hosts(pattern: str, url: str, fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nowhere(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror("no names here")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", nowhere)
    with pytest.raises(ToolUnreachable if fits else ToolRefused):
        await get(pattern)(url)


@pytest.mark.parametrize("pattern", ["*", "*.", "http://example.org", "exa*mple.org", "", "a b", "example.org/path"])
def test_patterns_that_are_none(pattern: str) -> None:
    if pattern == "*.":
        return
    with pytest.raises(ToolRefused):
        web_tool([pattern])


async def test_private_addresses_are_refused_unless_allowed() -> None:
    async with site(says(b"in", media="text/plain")) as made:
        host = made.url.removeprefix("http://")
        with pytest.raises(ToolRefused, match="may not be reached"):
            await get(host, private=False)(made.url)
        with pytest.raises(ToolRefused, match="may not be reached"):
            await get(host.replace("127.0.0.1", "localhost"), private=False)(made.url.replace("127.0.0.1", "localhost"))
        assert not made.asked


async def test_a_name_is_looked_up_once_and_that_address_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the second answer would be another."""
    looked: list[str] = []
    async with site(says(b"in", media="text/plain")) as made:
        port = int(made.url.rpartition(":")[2])

        async def names(self: Any, host: str, *args: Any, **kwargs: Any) -> Any:
            looked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1" if len(looked) == 1 else "10.9.9.9", port))]

        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", names)
        page = await get(f"site.example:{port}")(f"http://site.example:{port}/x")
        assert page.text == "in" and made.asked[0].headers["host"] == f"site.example:{port}" and looked == ["site.example"]

        async def mixed(self: Any, host: str, *args: Any, **kwargs: Any) -> Any:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("93.184.216.34", "127.0.0.1")]

        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", mixed)
        with pytest.raises(ToolRefused):
            await get(f"site.example:{port}", private=False)(f"http://site.example:{port}/x")


@pytest.mark.parametrize("address", [
    "127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1", "255.255.255.255",
    "198.18.0.1", "::1", "::",
    "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "ff02::1", "2001:db8::1",
    "::ffff:169.254.169.254",
])  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(plain_address(ipaddress.ip_address(address)))


def test_addresses_that_are_public() -> None:
    assert all(is_public(plain_address(ipaddress.ip_address(each))) for each in ("93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"))


async def test_redirects_stay_on_the_list() -> None:
    async with site(says(b"there", media="text/plain")) as there:
        async with site(says(b"", status="302 Found", Location=there.url + "/x")) as here:
            hosts = [each.url.removeprefix("http://") for each in (here, there)]
            assert (await get(*hosts)(here.url)).url == there.url + "/x"
            with pytest.raises(ToolRefused):
                await get(hosts[0])(here.url)
            assert len(there.asked) == 1
        for where in ("file:///etc/passwd", "http://user@127.0.0.1/", "//evil.example/", "http://evil.example/"):
            async with site(says(b"", status="307 Temporary Redirect", Location=where)) as here:
                with pytest.raises(ToolRefused):
                    await get(here.url.removeprefix("http://"))(here.url)
    async with site(says(b"", status="302 Found", Location="/again")) as circle:
        with pytest.raises(ToolFailed, match="moved on"):
            await get(circle.url.removeprefix("http://"))(circle.url)
        assert len(circle.asked) == 6


@pytest.mark.parametrize(("reply", "error"), [
    (says(b"no", status="404 Not Found"), ToolFailed), (says(b"\x89PNG", media="image/png"), ToolReplyWrong),
    (says(b"x", Content_Encoding="gzip"), ToolReplyWrong),
    (hangs, ToolTimeout), (drips, ToolTimeout), (floods, ToolReplyWrong), (breaks_off, ToolReplyWrong), (is_no_http, ToolReplyWrong),
])  # fmt: skip
async def test_bad_answers_are_typed_errors_in_bounded_time(reply: Any, error: type[ToolError]) -> None:
    started = time.monotonic()
    async with site(reply) as made:
        with pytest.raises(error):
            await get(made.url.removeprefix("http://"))(made.url)
    assert time.monotonic() - started < 10


async def test_asking_a_person() -> None:
    with pytest.raises(ToolRefused):
        await ask_person.function("Which colour?")


def test_asking_a_person_in_a_run() -> None:
    assert run(ask_person, question="Which colour?", answer=lambda asked: f"blue ({asked.question})") == "blue (Which colour?)"
