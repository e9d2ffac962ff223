"""MCP: tools of real server processes over both transports; hostile servers cost bounded time and bytes and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from rookery import start
from rookery.core.label import UNTRUSTED
from rookery.core.types import fits
from rookery.errors import (
    CallFailed,
    ToolChanged,
    ToolError,
    ToolFailed,
    ToolRefused,
    ToolReplyWrong,
    ToolTimeout,
    ToolUnfit,
    ToolUnreachable,
)
from rookery.tools.approval import allow, allow_all
from rookery.tools.mcp import McpServer
from rookery.tools.offer import offer, read_arguments

SERVERS = Path(__file__).parents[1] / "mcp_servers.py"
ROOT = str(SERVERS.parents[1])


def server(kind: str, **options: Any) -> McpServer:
    options = {"timeout_s": 20.0, "max_reply_bytes": 1_000_000, "env": {"PYTHONPATH": ROOT}, **options}
    return McpServer("x", command=[sys.executable, str(SERVERS), kind], **options)


def named(opened: McpServer, name: str) -> Any:
    (found,) = (tool for tool in opened.tools if tool.name == f"x__{name}")
    return found


async def called(opened: McpServer, name: str, **arguments: Any) -> Any:
    """A call as a run makes it."""
    async with start(named(opened, name), inputs=arguments) as r:
        return await r


# ------------------------------------------------------------------ a good one


@contextlib.asynccontextmanager
async def over(transport: str) -> AsyncIterator[McpServer]:
    if transport == "stdio":
        async with server("good", allow=allow_all) as opened:
            yield opened
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(sys.executable, str(SERVERS), "http", str(port))
    try:
        await answers(port)
        async with McpServer("x", url=f"http://127.0.0.1:{port}/mcp", allow=allow_all, timeout_s=20, max_reply_bytes=1_000_000) as opened:
            yield opened
    finally:
        process.terminate()
        await process.wait()


async def answers(port: int) -> None:
    for _ in range(400):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the server did not come up")


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_tools_of_a_server_are_tools(transport: str) -> None:
    async with over(transport) as opened:
        assert {tool.name for tool in opened.tools} >= {"x__add", "x__weather", "x__note"} and not opened.unfit
        add, note = named(opened, "add"), named(opened, "note")
        assert list(add.params) == ["a", "b"] and fits(int, add.params["a"].type) and fits(add.returns, int)
        assert note.effect and not add.effect and UNTRUSTED in add.labels
        assert offer(add).arguments["required"] == ["a"] and "Add two numbers." in offer(add).description
        assert await called(opened, "add", a=3) == 5 and await called(opened, "add", a=3, b=4) == 7
        assert await called(opened, "weather", city="Ulm") == {"city": "Ulm", "degrees": 21.5}
        assert await called(opened, "note", text="a") == "1 notes"
        assert len(await called(opened, "large", kilobytes=300)) == 300_000
        with pytest.raises(CallFailed, match="no: hi") as failed:
            await called(opened, "fail", text="hi")
        assert failed.value.kind == "ToolFailed"
        assert read_arguments(add, '{"a": 1}') == {"a": 1, "b": None}


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_calls_side_by_side_a_cancelled_one_and_a_large_one(transport: str) -> None:
    async with over(transport) as opened:
        slow = named(opened, "slow")
        started = time.monotonic()
        await asyncio.gather(*(slow.function(seconds=0.5) for _ in range(6)))
        assert time.monotonic() - started < 2.5
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await slow.function(seconds=30)
        assert await called(opened, "add", a=1) == 3
        with pytest.raises(ToolReplyWrong):
            await named(opened, "large").function(kilobytes=3_000)


async def test_a_server_sees_none_of_our_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-you")
    async with server("good", env={"GIVEN": "1", "PYTHONPATH": ROOT}) as opened:
        seen = await called(opened, "environment")
    assert "OPENAI_API_KEY" not in seen and {"GIVEN", "PATH"} <= set(seen)


# ------------------------------------------------------------------ effects


async def test_what_is_not_read_only_asks_first() -> None:
    async with server("good") as opened:
        with pytest.raises(ToolRefused):
            await named(opened, "note").function(text="a")
        async with start(named(opened, "note"), text="a") as r:
            await r.until_waiting()
            r.answer(next(iter(r.view.questions)), True)
            assert await r == "1 notes"
    async with server("good", allow=allow("x__note")) as opened:
        assert await called(opened, "note", text="a") == "1 notes"
    async with server("good", trusts_hints=False) as opened:
        assert all(tool.effect for tool in opened.tools)


async def test_an_idempotency_key_goes_with_the_call() -> None:
    async with server("keys", allow=allow_all) as opened:
        first, second = await called(opened, "echo", text="a"), await called(opened, "echo", text="a")
    assert re.fullmatch("[0-9a-f]{32}", first) and first != second


# ------------------------------------------------------------------ hostile ones


@pytest.mark.parametrize(("kind", "error", "seconds"), [
    ("hangs", ToolTimeout, 8), ("dies", ToolUnreachable, 8), ("floods", ToolReplyWrong, 8), ("chatters", ToolReplyWrong, 15),
    ("large", ToolReplyWrong, 8), ("lies", ToolReplyWrong, 8),
])  # fmt: skip
async def test_a_hostile_answer_is_a_typed_error_in_bounded_time(kind: str, error: type[ToolError], seconds: float) -> None:
    async with server(kind) as opened:
        opened.timeout_s = 1.5 if kind == "hangs" else 20
        for _ in range(2):  # and again: a connection that is broken says so at once
            started = time.monotonic()
            with pytest.raises(error) as raised:
                await named(opened, "echo").function(text="hi")
            assert time.monotonic() - started < seconds
        if kind == "dies":
            assert "exit code 7" in raised.value.reason and "out of cheese" in raised.value.hint


async def test_a_server_that_never_answers_is_left(capfd: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    with pytest.raises(ToolTimeout):
        async with server("silent", timeout_s=1.0):
            raise AssertionError("it did not answer")
    assert time.monotonic() - started < 6


@pytest.mark.parametrize("command", [["no-such-program-here"], [sys.executable, "-c", "raise SystemExit(3)"], ["/dev/null"], [""], ["a\0b"]])
async def test_a_server_that_cannot_be_started(command: list[str]) -> None:
    with pytest.raises(ToolUnreachable):
        async with McpServer("x", command=command, timeout_s=10):
            raise AssertionError("it was started")


async def test_a_changed_tool_is_not_called() -> None:
    async with server("changes") as opened:
        assert await named(opened, "echo").function(text="hi") == "fine"
        await asyncio.sleep(0.3)
        with pytest.raises(ToolChanged):
            await named(opened, "echo").function(text="hi")


async def test_a_withdrawn_tool_is_noticed_though_nobody_says_so() -> None:
    async with server("withdraws", recheck_s=0.0) as opened:
        with pytest.raises(ToolChanged, match="withdrawn"):
            await named(opened, "echo").function(text="hi")


async def test_lines_that_are_no_messages_are_passed_over() -> None:
    async with server("babbles") as opened:
        assert await named(opened, "echo").function(text="hi") == "fine"


async def test_what_a_server_says_of_its_tools_is_quoted_short_and_visible() -> None:
    async with server("poisons") as opened:
        echo = named(opened, "echo")
        assert len(echo.doc) < 1_100 and echo.doc.startswith("x says of this tool: “") and echo.doc.count("”") == 1
        assert not re.search("[\x00-\x1f\u200b\u202e\U000e0041]", echo.doc)
        assert all(re.fullmatch("[A-Za-z0-9_-]{1,64}", tool.name) for tool in opened.tools)
        assert {fault.tool for fault in opened.unfit} == {"wrong", "echo"}
        started = time.monotonic()
        assert await named(opened, "slow").function(text="a" * 5000) == "fine"
        assert time.monotonic() - started < 3


async def test_a_list_without_end_is_refused() -> None:
    with pytest.raises(ToolReplyWrong):
        async with server("many"):
            raise AssertionError("it was taken in")


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


async def all_gone(*pids: int) -> bool:
    for _ in range(100):
        if not any(map(is_alive, pids)):
            return True
        await asyncio.sleep(0.05)
    return False


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc")
async def test_no_process_is_left_behind() -> None:
    async with server("family") as opened:
        pids = [int(pid) for pid in (await named(opened, "echo").function(text="hi")).split()]
        assert all(map(is_alive, pids))
    assert await all_gone(*pids)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc")
async def test_nor_when_its_user_is_cancelled_or_fails() -> None:
    pids: list[int] = []

    async def user(end: Callable[[], Awaitable[Any]]) -> None:
        async with server("family") as opened:
            pids.extend(int(pid) for pid in (await named(opened, "echo").function(text="hi")).split())
            await end()

    async def fail() -> None:
        raise KeyError("no")

    with pytest.raises(KeyError):
        await user(fail)
    task = asyncio.create_task(user(lambda: asyncio.sleep(60)))
    while len(pids) < 4:
        await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await all_gone(*pids)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG")
async def test_nor_when_we_are_killed(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        f"import asyncio, os, sys\nfrom rookery.tools.mcp import McpServer\n"
        f"server = McpServer('x', command=[sys.executable, {str(SERVERS)!r}, 'deaf'], env={{'PYTHONPATH': {ROOT!r}}})\n"
        "async def main():\n    async with server as s:\n"
        "        print(s._pipe._process.pid, flush=True)\n        await asyncio.sleep(60)\nasyncio.run(main())\n"
    )
    host = await asyncio.create_subprocess_exec(sys.executable, str(program), stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": ROOT})
    assert host.stdout is not None
    pid = int(await host.stdout.readline())
    host.kill()
    await host.wait()
    assert await all_gone(pid)


async def test_a_server_is_entered_again_after_it_has_died() -> None:
    again = server("dies")
    for _ in range(2):
        async with again:
            with pytest.raises(ToolUnreachable):
                await named(again, "echo").function(text="hi")
    with pytest.raises(ToolUnreachable):
        await named(again, "echo").function(text="hi")


def test_a_server_has_a_command_or_a_url() -> None:
    with pytest.raises(ToolUnfit):
        McpServer("x")
    with pytest.raises(ToolUnfit):
        McpServer("x", command=["a"], url="http://127.0.0.1")


# ------------------------------------------------------------------ hostile ones over HTTP


@contextlib.asynccontextmanager
async def http_server(reply: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[tuple[str, list[str]]]:
    heads: list[str] = []
    serving: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                await reply(writer)
                await writer.drain()
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/mcp", heads
    finally:
        listening.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving)
        await asyncio.sleep(0)


async def _hang(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def _no_entry(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")


async def _elsewhere(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://localhost:9/mcp\r\nContent-Length: 0\r\n\r\n")


async def _page(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello")


async def _flood(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    for _ in range(2_000):
        writer.write(b'{"a":' * 2_000)
        await writer.drain()


async def _events(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    while True:
        writer.write(b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}\n\n' * 100)
        await writer.drain()


@pytest.mark.parametrize(("reply", "error"), [
    (_hang, ToolTimeout), (_no_entry, ToolUnreachable), (_elsewhere, ToolError), (_page, ToolError), (_flood, ToolReplyWrong),
    (_events, ToolReplyWrong),
], ids=lambda value: getattr(value, "__name__", ""))  # fmt: skip
async def test_a_hostile_http_server_is_a_typed_error_in_bounded_time(reply: Any, error: type[ToolError]) -> None:
    started = time.monotonic()
    async with http_server(reply) as (url, heads):
        with pytest.raises(error) as raised:
            async with McpServer("x", url=url, headers={"Authorization": "Bearer hunter2-hunter2"}, timeout_s=3.0, max_reply_bytes=50_000):
                raise AssertionError("it was taken in")
    assert time.monotonic() - started < 15
    assert "hunter2" not in str(raised.value) and any("hunter2" in head for head in heads)
    if reply is _no_entry:
        assert "401" in raised.value.reason


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ToolUnreachable):
        async with McpServer("x", url=f"http://127.0.0.1:{port}/mcp", timeout_s=5):
            raise AssertionError("somebody answered")


def test_tool_failed_is_not_retried() -> None:
    assert not ToolFailed("x").retryable and ToolTimeout("x").retryable
