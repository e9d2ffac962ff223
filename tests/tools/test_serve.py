"""Serving: what we serve is taken in again over both transports, faults are told to the client, and nothing opens by itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rookery import graph, start, tool
from rookery.errors import CallFailed, ToolFailed, ToolRefused, ToolUnfit, ToolUnreachable
from rookery.tools.approval import allow, allow_all
from rookery.tools.library import ToolLibrary
from rookery.tools.mcp import McpServer
from rookery.tools.offer import offer
from rookery.tools.serve import ToolServer
from tests import served

PROGRAM = Path(served.__file__)
ROOT = str(PROGRAM.parents[1])


@contextlib.asynccontextmanager
async def http(server: ToolServer, **options: Any) -> AsyncIterator[McpServer]:
    """The server in a task of this process, and a client of it."""
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(server.http(port=0, ready=url.set_result, token=options.pop("token", "")))
    try:
        async with McpServer("s", url=await url, timeout_s=20, allow=allow_all, **options) as client:
            yield client
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def process(transport: str) -> AsyncIterator[McpServer]:
    if transport == "stdio":
        async with McpServer("s", command=[sys.executable, str(PROGRAM), "stdio"], env={"PYTHONPATH": ROOT}, timeout_s=20, allow=allow_all) as client:
            yield client
        return
    started = await asyncio.create_subprocess_exec(sys.executable, str(PROGRAM), "http", stdout=-1, env={"PYTHONPATH": ROOT})
    assert started.stdout is not None
    try:
        url = (await started.stdout.readline()).decode().strip()
        async with McpServer("s", url=url, timeout_s=20, allow=allow_all) as client:
            yield client
    finally:
        started.terminate()
        await started.wait()


def named(client: McpServer, name: str) -> Any:
    (found,) = (tool for tool in client.tools if tool.name == f"s__{name}")
    return found


async def called(client: McpServer, name: str, **arguments: Any) -> Any:
    async with start(named(client, name), inputs=arguments) as r:
        return await r


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_what_is_served_is_taken_in_again(transport: str) -> None:
    async with process(transport) as client:
        assert [tool.name for tool in client.tools] == [f"s__{name}" for name in served.server().tools]
        assert await called(client, "double", x=21) == 42
        assert await called(client, "move", point={"x": 1}, by=3) == {"x": 4, "y": 3}
        assert await called(client, "shout", text="hi") == "HI"
        assert await called(client, "article", topic="rooks") == ["On rooks", "ON ROOKS"]
        assert "Twice a number." in offer(named(client, "double")).description
        assert named(client, "publish").effect and not named(client, "double").effect and named(client, "asks").effect
        with pytest.raises(ToolFailed, match="nobody can be asked here"):
            await named(client, "publish").function(text="a")
        with pytest.raises(ToolFailed, match="nobody can be asked here"):
            await named(client, "asks").function(topic="rooks")
        with pytest.raises(CallFailed, match="no: hi"):
            await called(client, "fail", text="hi")


async def test_wrong_arguments_get_their_faults_back() -> None:
    server = served.server()
    point = {"x": 1}
    for arguments, fault in [({"point": {"x": "much"}}, "$.point.x"), ({}, "$.point"), ({"point": point, "z": 1}, "$.z"), ({"point": 3}, "$.point")]:
        result = await server.call("move", arguments)
        assert result.is_error and fault in result.content[0].text  # type: ignore[union-attr]


async def test_a_name_that_is_not_served() -> None:
    from mcp import MCPError

    with pytest.raises(MCPError, match="no tool"):
        await served.server().call("nothing", {})


async def test_effects_run_where_they_are_allowed() -> None:
    served.DONE.clear()
    assert (await served.server().call("publish", {"text": "a"})).is_error and not served.DONE
    assert (await served.server().call("announced", {"topic": "a"})).is_error and not served.DONE
    result = await served.server(allow=allow("publish")).call("publish", {"text": "a"})
    assert not result.is_error and served.DONE == ["a"]
    await served.server(allow=allow("announced")).call("announced", {"topic": "b"})
    assert served.DONE == ["a", "B"]


async def test_bounds_on_time_bytes_and_calls() -> None:
    server = served.server(timeout_s=0.3, max_reply_bytes=50_000, max_calls=2)
    assert "longer than" in (await server.call("slow", {"seconds": 9})).content[0].text  # type: ignore[union-attr]
    assert "more than" in (await server.call("long", {"kilobytes": 60})).content[0].text  # type: ignore[union-attr]
    assert not (await server.call("long", {"kilobytes": 40})).is_error
    slow = served.server(max_calls=2)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(slow.call("slow", {"seconds": 0.1}) for _ in range(6)))
    assert loop.time() - began > 0.29


async def test_a_run_that_waits_stays_in_the_log(tmp_path: Path) -> None:
    from rookery.engine.door import resume

    log = tmp_path / "log.db"
    result = await served.server(log=log).call("asks", {"topic": "rooks"})
    text = result.content[0].text  # type: ignore[union-attr]
    run = text.split()[1]
    assert result.is_error and run.startswith("asks-")
    async with resume(run, served.asks, log=log) as r:
        await r.until_waiting()
        r.answer("ask", True)
        assert await r is True


async def test_a_call_made_again_with_its_key_is_not_done_again(tmp_path: Path) -> None:
    served.DONE.clear()
    server = served.server(allow=allow_all, log=tmp_path / "log.db")
    first = await server.call("publish", {"text": "a"}, key="k")
    again = await server.call("publish", {"text": "a"}, key="k")
    assert first == again and served.DONE == ["a"]
    await server.call("publish", {"text": "b"}, key="k")
    await server.call("publish", {"text": "a"}, key="other")
    assert served.DONE == ["a", "b", "a"]


async def test_our_own_client_sends_a_key(tmp_path: Path) -> None:
    served.DONE.clear()
    async with http(served.server(allow=allow_all, log=tmp_path / "log.db")) as client:
        publish = named(client, "publish")
        async with start(publish, text="a") as r:
            assert await r == "published a"
        gate = publish.function.tool
        for _ in range(2):
            assert await gate.function(text="c", idempotency_key="k") == "published c"
    assert served.DONE == ["a", "c"]


async def test_a_library_is_served_as_it_is_now() -> None:
    library = ToolLibrary(served.double)
    async with http(ToolServer(library)) as client:
        assert [tool.name for tool in client.tools] == ["s__double"] and await called(client, "double", x=2) == 4
        library.add(served.shout)
        async with McpServer("s", url=client.url, timeout_s=20) as later:
            assert [tool.name for tool in later.tools] == ["s__double", "s__shout"]


async def test_a_token_is_wanted_where_there_is_one() -> None:
    server = ToolServer(served.double)
    async with http(server, token="open-sesame", headers={"Authorization": "Bearer open-sesame"}) as client:
        assert await called(client, "double", x=2) == 4
        for headers in ({}, {"Authorization": "Bearer open-sesam"}, {"Authorization": "open-sesame"}):
            with pytest.raises(ToolUnreachable, match="401"):
                async with McpServer("s", url=client.url, headers=headers, timeout_s=20):
                    raise AssertionError("it was let in")


async def test_a_library_of_tools_from_elsewhere() -> None:
    """A server's tools, in a library, counted, behind their gates."""
    async with http(ToolServer(served.double, served.publish, allow=allow_all)) as client:
        library = ToolLibrary(*client.tools)
        assert [record.name for record in library] == ["s__double", "s__publish"] and library.show("s__publish").effect
        async with start(library.tool("s__double"), x=4) as r:
            assert await r == 8
        assert library.show("s__double").use.calls == 1
    async with http(ToolServer(served.double, served.publish, allow=allow_all)) as client:
        careful = McpServer("t", url=client.url, timeout_s=20)
        async with careful:
            library = ToolLibrary(*careful.tools)
            async with start(library.tool("t__publish"), text="a") as r:
                await r.until_waiting()
                assert len(r.view.questions) == 1
                r.answer(next(iter(r.view.questions)), True)
                assert await r == "published a"


async def test_questions_reach_the_person_of_the_client() -> None:
    """Over both machines: the served run asks, our client's run asks, a person answers, and the answer goes all the way back."""
    served.DONE.clear()
    async with http(served.server()) as client:
        for name, arguments, answer, value in (("asks", {"topic": "rooks"}, False, False), ("publish", {"text": "a"}, True, "published a")):
            async with start(named(client, name), inputs=arguments) as r:
                await r.until_waiting()
                ((call, question),) = r.view.questions.items()
                assert question.schema == {"type": "boolean"} and question.question.startswith("s asks: “")
                assert next(iter(arguments.values())) in question.question
                assert not served.DONE
                r.answer(call, answer)
                assert await r == value
        assert served.DONE == ["a"]
        async with start(named(client, "publish"), text="b") as r:
            await r.until_waiting()
            r.answer(next(iter(r.view.questions)), False)
            with pytest.raises(CallFailed, match="did not allow"):
                await r
        assert served.DONE == ["a"]


async def test_an_answer_that_nothing_waits_for() -> None:
    from mcp.types import ElicitResult

    server = served.server()
    first: Any = await server.call("publish", {"text": "a"}, can_ask=True)
    (call,) = first.input_requests
    yes = {call: ElicitResult(action="accept", content={"answer": True})}
    assert (await server.call("publish", {"text": "a"}, can_ask=True, state="guessed", responses=yes)).is_error  # type: ignore[union-attr]
    assert (await server.call("double", {"x": 1}, can_ask=True, state=first.request_state, responses=yes)).is_error  # type: ignore[union-attr]
    no = {call: ElicitResult(action="decline")}
    assert (await server.call("publish", {"text": "a"}, can_ask=True, state=first.request_state, responses=no)).is_error  # type: ignore[union-attr]
    assert (await server.call("publish", {"text": "a"}, can_ask=True, state=first.request_state, responses=yes)).is_error  # type: ignore[union-attr]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.org"])
async def test_what_others_can_reach_is_not_served_without_a_token(host: str) -> None:
    with pytest.raises(ToolRefused, match="token"):
        await ToolServer(served.double).http(host=host, port=0)


async def test_a_page_elsewhere_cannot_use_it() -> None:
    """A browser's request names the page it comes from; DNS rebinding shows in Host."""
    async with http(ToolServer(served.double)) as client:
        port = int(client.url.rsplit(":", 1)[1].split("/")[0])
        for header, status in (("Host: evil.example", b"421"), (f"Host: 127.0.0.1:{port}\r\nOrigin: http://evil.example", b"403")):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"POST /mcp HTTP/1.1\r\n{header}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + b"{}")
            assert status in (await reader.readline())
            writer.close()
            await writer.wait_closed()


async def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ToolUnfit, match="cannot listen"):
        await ToolServer(served.double).http(port=taken.getsockname()[1])


def test_all_that_cannot_be_served_is_said() -> None:
    def bare(x):  # type: ignore[no-untyped-def]
        return x

    @graph
    def broken(x: int) -> str:
        return served.double(x=x)  # type: ignore[return-value]

    again = tool(name="double")(served.shout.function)
    with pytest.raises(ToolUnfit) as unfit:
        ToolServer(tool(bare), broken, served.double, again, 3)
    assert [place for place, _ in unfit.value.faults] == ["bare", "broken", "double", "3"]
