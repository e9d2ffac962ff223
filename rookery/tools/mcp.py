"""Tools of MCP servers: those that a server lists become Tools, for as long as the connection to it is open.

Model Context Protocol, revisions 2024-11-05 to 2026-07-28 (https://modelcontextprotocol.io/specification), by the official ``mcp`` package.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rookery.core.function import IdempotencyKey, Tool
from rookery.core.graph import Param
from rookery.core.label import UNTRUSTED, source
from rookery.errors import ParseFailed, ToolChanged, ToolError, ToolFailed, ToolReplyWrong, ToolTimeout, ToolUnfit, ToolUnreachable
from rookery.tools.approval import Allow, allow_none, gated
from rookery.tools.bounded import bounded_transport
from rookery.tools.elicit import answers
from rookery.tools.intake import plain_text, qualified, quoted
from rookery.tools.pipe import Pipe
from rookery.tools.schema import Parameters, conform, identifier, parameters, type_of

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult
    from mcp.types import Tool as Described

MAX_TOOLS = 1_000
MAX_ROUNDS = 10
"""So often a server may ask a person before it answers a call."""
_SHOWN = 2_000
_KEY = "idempotency-key"


@dataclass(frozen=True, slots=True)
class _Listed:
    """A tool as the server listed it when it was taken in."""

    name: str
    digest: str
    parameters: Parameters
    returns: Any
    is_wrapped: bool
    key: str


class McpServer:
    """A connection to an MCP server, by its command (it is started, and ends with the connection) or its URL (streamable HTTP).

        async with McpServer("files", command=["mcp-server-files", "."]) as server:
            print([tool.name for tool in server.tools])

    Its tools are named ``files__read``. What they give is labelled untrusted, and so is what the server says of them, unless it is one of
    your own (``trusted=True``). One that the server does not call read-only has effects, and ``allow`` says which calls of those need no
    person's yes. ``env`` is added to the few variables that a started server sees (HOME, PATH, …); ``headers`` go with each request to a
    URL. One answer has at most ``max_reply_bytes`` bytes and comes within ``timeout_s``. Every ``recheck_s`` seconds of use, and when the
    server says so, its list is read again: a tool that is no longer what it was then raises ToolChanged. ``trusts_hints=False`` takes all
    its tools for tools with effects, whatever it says.

    Entering raises ToolUnreachable, ToolTimeout, ToolReplyWrong; calling a tool raises these and ToolFailed, ToolChanged, ToolRefused.
    """

    def __init__(
        self, name: str, *, command: Sequence[str] = (), url: str = "", env: Mapping[str, str] | None = None, cwd: str | None = None,
        headers: Mapping[str, str] | None = None, allow: Allow = allow_none, timeout_s: float = 60.0, max_reply_bytes: int = 4_000_000,
        recheck_s: float = 60.0, trusts_hints: bool = True, trusted: bool = False,
    ) -> None:
        if bool(command) == bool(url):
            raise ToolUnfit(f"the MCP server {name} needs a command or a URL", tool=name, hint='command=["…"] or url="http://…"')
        self.name = name
        self.url = url
        self.headers = dict(headers or {})
        self.allow = allow
        self.timeout_s = timeout_s
        self.max_reply_bytes = max_reply_bytes
        self.recheck_s = recheck_s
        self.trusts_hints = trusts_hints
        self._labels = frozenset({source("mcp", name)} if trusted else {source("mcp", name), UNTRUSTED})
        self.tools: tuple[Tool[..., Any], ...] = ()
        self.unfit: tuple[ToolUnfit, ...] = ()
        """What the server lists and cannot become a tool, with the reason."""
        self._pipe = Pipe(name, command, env=env or {}, cwd=cwd, max_bytes=max_reply_bytes) if command else None
        self._fault: ToolError | None = None
        self._status = 0
        self._stack = AsyncExitStack()
        self._now: dict[str, str] = {}
        self._read_at = 0.0
        self._is_stale = False

    # ---------------------------------------------------------------- the connection

    async def __aenter__(self) -> McpServer:
        self._fault, self._status = None, 0
        try:
            async with asyncio.timeout(self.timeout_s):
                self._client = await self._connected()
                self._take(await self._list())
        except BaseException as error:
            await self._closed()
            if isinstance(error, asyncio.CancelledError | KeyboardInterrupt | SystemExit | ToolError):
                raise
            raise await self._mapped(error, "connecting") from error  # the package's errors have no base class of their own
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._closed()

    async def _closed(self) -> None:
        try:
            await self._stack.aclose()
        except Exception as error:  # a connection that breaks while it is closed is closed; the package raises whatever broke
            self._fault = self._fault or await self._mapped(error, "closing")

    async def _connected(self) -> Client:
        from mcp import Client

        client = Client(
            self._pipe or await self._http(), read_timeout_seconds=self.timeout_s, message_handler=self._heard, cache=None,
            client_info=_who_we_are(), elicitation_callback=_declined,
        )
        return await self._stack.enter_async_context(client)

    async def _http(self) -> Any:
        """A transport whose requests carry the headers, whose answers are bounded, and which follows nothing off the server's origin."""
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        async def note(response: httpx2.Response) -> None:
            self._status = response.status_code

        bounded = bounded_transport(httpx2.AsyncHTTPTransport(), self.max_reply_bytes, self._flooded)
        timeout = httpx2.Timeout(self.timeout_s)
        http = httpx2.AsyncClient(transport=bounded, headers=self.headers, timeout=timeout, event_hooks={"response": [note]})
        await self._stack.enter_async_context(http)
        return streamable_http_client(self.url, http_client=http, max_sse_event_size=self.max_reply_bytes)

    def _flooded(self) -> None:
        hint = "ask it for less, or raise max_reply_bytes"
        self._fault = ToolReplyWrong(f"{self.name} sent more than {self.max_reply_bytes} bytes for one answer", tool=self.name, hint=hint)

    async def _heard(self, message: Any) -> None:
        from mcp.types import ToolListChangedNotification

        self._is_stale = self._is_stale or isinstance(getattr(message, "root", message), ToolListChangedNotification)

    # ---------------------------------------------------------------- what it lists

    async def _list(self) -> list[Described]:
        tools: list[Described] = []
        cursor: str | None = None
        for _ in range(MAX_TOOLS):
            page = await self._client.list_tools(cursor=cursor)
            tools += page.tools
            cursor = page.next_cursor
            if len(tools) > MAX_TOOLS:
                raise ToolReplyWrong(f"{self.name} lists more than {MAX_TOOLS} tools", tool=self.name)
            if not cursor:
                break
        else:
            raise ToolReplyWrong(f"the list of the tools of {self.name} has no end", tool=self.name)
        self._read_at, self._is_stale = time.monotonic(), False
        self._now = {tool.name: _digest(tool) for tool in reversed(tools)}  # of two with one name the first was taken in
        return tools

    def _take(self, described: Sequence[Described]) -> None:
        made: dict[str, Tool[..., Any]] = {}
        unfit: list[ToolUnfit] = []
        for tool in described:
            try:
                taken = self._tool(tool)
                if taken.name in made:
                    raise ToolUnfit(f"two tools come to be named {taken.name}")
                made[taken.name] = taken
            except ToolUnfit as fault:
                unfit.append(ToolUnfit(f"{self.name}: {plain_text(tool.name, 80)}: {fault.reason}", tool=plain_text(tool.name, 80)))
        self.tools, self.unfit = tuple(made.values()), tuple(unfit)

    def _tool(self, described: Described) -> Tool[..., Any]:
        found = parameters(described.input_schema)
        key = identifier("idempotency_key", taken=found.params)
        returns, is_wrapped = _returns(described.output_schema)
        listed = _Listed(described.name, _digest(described), found, returns, is_wrapped, key)

        async def call(**arguments: Any) -> Any:
            return await self._call(listed, arguments)

        hints = described.annotations
        is_read_only = self.trusts_hints and hints is not None and hints.read_only_hint is True
        tool: Tool[..., Any] = Tool(
            call, name=qualified(self.name, described.name), effect=not is_read_only, labels=self._labels, outside=True, doc_labels=self._labels,
            doc=quoted(self.name, described.description or described.title or described.name),
            signature=({**found.params, key: Param(key, IdempotencyKey, "")}, returns),
        )
        return gated(tool, allow=self.allow)

    # ---------------------------------------------------------------- a call

    async def _call(self, listed: _Listed, arguments: dict[str, Any]) -> Any:
        key = arguments.pop(listed.key, "")
        if self._fault is not None:
            raise self._fault
        meta: Any = {_KEY: key} if key else None
        more: dict[str, Any] = {"name": listed.name, "arguments": listed.parameters.sent(arguments), "_meta": meta}
        for _ in range(MAX_ROUNDS):
            result = await self._sent(listed, more)
            if result.result_type != "input_required":
                return self._value(listed, result)
            more["input_responses"] = await answers(result, server=self.name, tool=listed.name) or None
            more["request_state"] = result.request_state
        raise ToolFailed(f"{listed.name} of {self.name} asks without end", tool=listed.name)

    async def _sent(self, listed: _Listed, params: dict[str, Any]) -> Any:
        """Sent without the package's own check of the answer: that one runs the server's patterns on the server's text."""
        from mcp.types import CallToolRequest, CallToolRequestParams, CallToolResult, InputRequiredResult
        from pydantic import TypeAdapter

        answer: TypeAdapter[Any] = TypeAdapter(CallToolResult | InputRequiredResult)
        try:
            async with asyncio.timeout(self.timeout_s):
                await self._still_the_same(listed)
                return await self._client.session.send_request(CallToolRequest(params=CallToolRequestParams(**params)), answer)
        except ToolError:
            raise
        except Exception as error:  # as in __aenter__
            raise await self._mapped(error, f"calling {listed.name}") from error

    async def _still_the_same(self, listed: _Listed) -> None:
        if self._is_stale or time.monotonic() - self._read_at > self.recheck_s:
            await self._list()
        if self._now.get(listed.name) != listed.digest:
            what = "has changed" if listed.name in self._now else "has withdrawn"
            hint = "connect again, and look at what it says now"
            raise ToolChanged(f"{self.name} {what} its tool {listed.name} since it was taken in", tool=listed.name, hint=hint)

    def _value(self, listed: _Listed, result: CallToolResult) -> Any:
        text = "\n".join(map(_text, result.content))
        if result.is_error:
            raise ToolFailed(f"{listed.name} of {self.name} failed: {plain_text(text, _SHOWN) or 'it does not say why'}", tool=listed.name)
        if listed.returns is str and not listed.is_wrapped:
            return text
        value = result.structured_content
        if listed.is_wrapped and isinstance(value, Mapping):
            value = value.get("result")
        try:
            return conform(value, listed.returns)
        except ParseFailed as error:
            raise ToolReplyWrong(f"{listed.name} of {self.name} gave what is not its type: {error.reason:.500}", tool=listed.name) from error

    # ---------------------------------------------------------------- errors

    async def _mapped(self, error: BaseException, doing: str) -> ToolError:
        """The error of our tree for whatever the package raised."""
        from mcp import MCPError
        from mcp.types import CONNECTION_CLOSED, REQUEST_TIMEOUT
        from pydantic import ValidationError

        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, ToolError):
            return error
        fault = self._fault or (self._pipe.fault if self._pipe is not None else None)
        if fault is not None:
            return fault
        code = error.code if isinstance(error, MCPError) else None
        if isinstance(error, TimeoutError) or code == REQUEST_TIMEOUT:
            hint = "raise timeout_s if it is only slow"
            return ToolTimeout(f"{self.name}: no answer within {self.timeout_s} s while {doing}", tool=self.name, hint=hint)
        if isinstance(error, ValidationError):
            return ToolReplyWrong(f"{self.name} broke the protocol while {doing}: {plain_text(str(error), 300)}", tool=self.name)
        if self._pipe is not None and (code == CONNECTION_CLOSED or code is None):
            return await self._pipe.gone()
        if code is not None and code != CONNECTION_CLOSED and self._status < 400:
            return ToolFailed(f"{self.name} refused while {doing}: {plain_text(str(error), _SHOWN)}", tool=self.name)
        said = f"it answered {self._status}" if self._status >= 400 else plain_text(str(error) or type(error).__name__, 300)
        hint = "does it want a key? headers={'Authorization': …}" if self._status in (401, 403) else "is it running, and is the URL right?"
        return ToolUnreachable(f"{self.name} cannot be reached at its URL: {said}", tool=self.name, hint=hint)


# ------------------------------------------------------------------ words and types


def _digest(tool: Described) -> str:
    """Of all that a tool promises."""
    hints = tool.annotations.model_dump() if tool.annotations is not None else None
    told = [tool.name, tool.description, tool.input_schema, tool.output_schema, hints]
    return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16).hexdigest()


def _returns(schema: Any) -> tuple[Any, bool]:
    """The type of what a tool gives, and whether it comes as ``{"result": …}``, as SDKs wrap what is no object."""
    if schema is None:
        return str, False
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if isinstance(properties, Mapping) and list(properties) == ["result"] and schema.get("required") == ["result"]:
        return type_of(properties["result"], root=schema), True
    return type_of(schema), False


def _text(block: Any) -> str:
    """A piece of an answer as text; what is no text is named, with its size."""
    if block.type == "text":
        return str(block.text)
    if block.type == "resource":
        inner = block.resource
        return str(inner.text) if hasattr(inner, "text") else f"[{inner.mime_type or 'data'}, {len(inner.blob) * 3 // 4} bytes]"
    if block.type == "resource_link":
        return f"[{block.name}: {block.uri}]"
    return f"[{block.mime_type}, {len(block.data) * 3 // 4} bytes]"


async def _declined(context: Any, params: Any) -> Any:
    """Before revision 2026-07-28 a server's question comes from nowhere: it does not say which call it is for."""
    from mcp.types import ElicitResult

    return ElicitResult(action="decline")


def _who_we_are() -> Any:
    from importlib.metadata import PackageNotFoundError, version

    from mcp.types import Implementation

    try:
        return Implementation(name="rookery", version=version("rookery"))
    except PackageNotFoundError:
        return Implementation(name="rookery", version="0")
