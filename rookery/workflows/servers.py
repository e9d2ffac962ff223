"""Tools of MCP servers that a workflow names: a server is started when the first of its tools is called, and ends with the event loop."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from rookery.core.function import Tool
from rookery.core.graph import Param
from rookery.core.label import UNTRUSTED
from rookery.errors import ToolUnknown
from rookery.workflows import format as form
from rookery.workflows.scope import Shared

if TYPE_CHECKING:
    from rookery.tools.mcp import McpServer
    from rookery.workflows.toolbox import Toolbox


def server_tools(box: Toolbox, shared: Shared, spec: form.Mcp, path: str) -> None:
    """Put a server's tools in: those it declares with their types, any other under ``NAME__tool`` when it is called."""
    node = spec.node
    if bool(spec.command) == bool(spec.url):
        shared.reader.fault(
            node.label or node, "an MCP server has a command: or a url:", path, hint='command: ["uvx", "mcp-server-fetch"]', kind="key"
        )
        return
    name = spec.name or name_of(spec.command, spec.url)
    keeper = Keeper(name, spec)
    box.servers.append(keeper)
    shared.servers[name] = keeper
    for own, signature in spec.tools.items():
        params = shared.params(signature.inputs, signature.node.get("inputs"), f"{path}.tools.{own}.inputs")
        returns = shared.type(signature.returns, signature.node.get("returns"), f"{path}.tools.{own}.returns")
        whole = f"{name}__{own}"
        box.offer(whole, partial(server_tool, keeper, whole, params, returns), f"the MCP server {name}")


def name_of(command: list[str], url: str) -> str:
    """A server's name by what it is started with: ``fetch`` for ``uvx mcp-server-fetch``."""
    words = [word for word in command if not word.startswith("-")] or [re.sub(r"^https?://", "", url).partition("/")[0]]
    last = words[-1] if len(words) < 3 else words[1]
    bare = re.sub(r"^(mcp[-_]server[-_]|server[-_]|mcp[-_])|([-_]mcp)$", "", last.rpartition("/")[2].removesuffix(".py"))
    return re.sub(r"\W", "_", bare) or "mcp"


def server_tool(keeper: Keeper, name: str, params: dict[str, Param], returns: Any) -> Tool[..., Any]:
    """A tool that is the server's of that name, once it is called."""

    async def call(**arguments: Any) -> Any:
        server = await keeper.opened()
        found = next((tool for tool in server.tools if tool.name == name), None)
        if found is None:
            names = ", ".join(tool.name for tool in server.tools) or "none"
            raise ToolUnknown(f"the MCP server {keeper.name} has no tool {name.partition('__')[2]}", tool=name, hint=f"its tools are {names}")
        return await found.function(**arguments)

    call.__name__ = call.__qualname__ = name
    return Tool(call, name=name, labels=frozenset({UNTRUSTED}), signature=(params, returns), doc=f"A tool of the MCP server {keeper.name}.")


class Keeper:
    """Keeps a connection to a server open, in a task of its own: what opens it must also be what closes it."""

    def __init__(self, name: str, spec: form.Mcp, make: Callable[[], McpServer] | None = None) -> None:
        self.name = name
        self._make = make or (lambda: _server(name, spec))
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[McpServer] | None = None
        self._end: asyncio.Event | None = None

    async def opened(self) -> McpServer:
        """The server; it is connected once for an event loop. Raises what connecting raises."""
        loop = asyncio.get_running_loop()
        if self._ready is None or self._ready.get_loop() is not loop:
            self._ready, self._end = loop.create_future(), asyncio.Event()
            self._task = loop.create_task(self._keep(self._ready, self._end))
        return await asyncio.shield(self._ready)

    async def _keep(self, ready: asyncio.Future[McpServer], end: asyncio.Event) -> None:
        try:
            async with self._make() as server:
                ready.set_result(server)
                await end.wait()
        except Exception as error:  # it is for those who wait for the server
            if not ready.done():
                ready.set_exception(error)

    async def aclose(self) -> None:
        """Close the connection, if there is one."""
        if self._end is not None and self._task is not None and self._task.get_loop() is asyncio.get_running_loop():
            self._end.set()
            await asyncio.wait([self._task])


def _server(name: str, spec: form.Mcp) -> McpServer:
    from rookery.tools.approval import allow
    from rookery.tools.mcp import McpServer

    options: dict[str, Any] = {"allow": allow(*spec.allow)} if spec.allow else {}
    return McpServer(name, command=spec.command, url=spec.url, env=spec.env, timeout_s=spec.timeout_s, **options)
