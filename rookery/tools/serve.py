"""Serving over MCP: tools, prompts, graphs and whole libraries as the tools of an MCP server, each call a run of the engine."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rookery.core.function import Tool
from rookery.core.value import digest
from rookery.engine.begin import open_log
from rookery.engine.door import as_graph, new_id, resume, start
from rookery.engine.log import MemoryLog
from rookery.errors import NotSerialisable, RookeryError, ToolRefused, ToolUnbound, ToolUnfit
from rookery.tools.address import guarded, is_loopback, listen
from rookery.tools.approval import Allow, allow_none, gated, has_open_effects
from rookery.tools.elicit import REVISION, form, given
from rookery.tools.library import ToolLibrary
from rookery.tools.offer import argument_schema, read_arguments
from rookery.tools.schema import inlined

if TYPE_CHECKING:
    from mcp.server import Server
    from mcp.types import CallToolResult, InputRequiredResult

    from rookery.core.graph import Graph
    from rookery.engine.run import Run

MAX_NAME = 64
PATH = "/mcp"
MAX_WAITING = 1_000
KEY = "idempotency-key"
"""In a call's ``_meta``; our own client sends it."""


@dataclass(frozen=True, slots=True)
class _Served:
    """One tool of the server."""

    name: str
    graph: Graph
    doc: str
    arguments: dict[str, Any]
    returns: dict[str, Any] | None
    """The schema of its structured content, an object's; None where it gives text."""
    is_wrapped: bool
    effect: bool
    is_open: bool
    """It holds effects that no gate stands before: those that a graph's author wrote there."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A run, and the log that it is in."""

    run: str
    log: Any


class ToolServer:
    """An MCP server of what it is given: Tools, prompts, graphs, typed functions, and ToolLibraries, whose tools are listed anew each time.

    Each call is a run: ``options`` are those of ``start`` (``model``, ``limit``, ``log``, …). Tools with effects, and graphs that call some, run
    only where ``allow`` lets the call pass or the client's person says yes. A run that needs a person's answer asks the client's, where
    the client can; else it is told as failed, and with a ``log`` on disk it can be answered and resumed. At most ``max_calls`` run at a
    time, each for ``timeout_s`` at most (None: without end), and what is larger than ``max_reply_bytes`` of JSON is refused. Raises
    ToolUnfit with all that can't be served.
    """

    def __init__(
        self, *subjects: Any, name: str = "rookery", allow: Allow = allow_none, max_calls: int = 8, timeout_s: float | None = 600.0,
        max_reply_bytes: int = 4_000_000, **options: Any,
    ) -> None:
        self.name = name
        self.allow = allow
        self.timeout_s = timeout_s
        self.max_reply_bytes = max_reply_bytes
        self.options = options
        self._libraries = [subject for subject in subjects if isinstance(subject, ToolLibrary)]
        self._fixed = _all_served([subject for subject in subjects if not isinstance(subject, ToolLibrary)], allow)
        self._places = asyncio.Semaphore(max_calls)
        self._waiting: dict[str, _Place] = {}
        """Runs that wait for an answer of a client's person, by tool and state."""

    @property
    def tools(self) -> list[str]:
        """The names it serves now."""
        return list(self._served())

    def _served(self) -> dict[str, _Served]:
        found = dict(self._fixed)
        for library in self._libraries:
            for record in library:
                name = _wire_name(record.name)
                if record.is_offered and name not in found:
                    with suppress(ToolUnbound):  # its function or server is not here
                        found[name] = _one_served(gated(library.tool(record.name), allow=self.allow))
        return found

    # ---------------------------------------------------------------- the two transports

    async def stdio(self) -> None:
        """Serve on standard input and output until the input ends; what tools print goes to standard error."""
        from mcp.server.stdio import stdio_server

        server = self._server()
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    async def http(self, *, host: str = "127.0.0.1", port: int = 8000, token: str = "", ready: Callable[[str], None] = lambda url: None) -> None:
        """Serve streamable HTTP until cancelled or interrupted; ``ready`` is told the URL once it listens (port 0 takes a free one).

        With a ``token`` only requests that carry it (``Authorization: Bearer …``) are served. Raises ToolRefused for an address
        that others can reach without one, and ToolUnfit when the address can't be listened on.
        """
        import uvicorn

        if not token and not is_loopback(host):
            raise ToolRefused(f"{host} can be reached from other machines: it is not served without a token", tool=self.name, hint="give a token")
        app: Any = self._server().streamable_http_app(streamable_http_path=PATH, stateless_http=True, host=host)
        config = uvicorn.Config(guarded(app, token) if token else app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=2)
        listening = listen(host, port, self.name)
        server = uvicorn.Server(config)
        try:
            ready(f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}{PATH}")
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(server.serve(sockets=[listening]))
                try:
                    await asyncio.shield(serving)
                except asyncio.CancelledError:
                    server.should_exit = True
                    await asyncio.shield(serving)
                    raise
        finally:
            listening.close()

    def _server(self) -> Server[Any]:
        from mcp.server import Server
        from mcp.types import CallToolRequestParams, ListToolsResult

        async def list_tools(_: Any, __: Any) -> ListToolsResult:
            return ListToolsResult(tools=[_described(served) for served in self._served().values()])

        async def call_tool(ctx: Any, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
            meta: Any = params.meta or {}
            able = ctx.session.client_capabilities
            can_ask = ctx.protocol_version >= REVISION and able is not None and able.elicitation is not None
            return await self.call(
                params.name, params.arguments or {}, key=str(meta.get(KEY, "")), can_ask=can_ask, state=params.request_state or "",
                responses=params.input_responses or {},
            )

        return Server(self.name, version=_version(), on_list_tools=list_tools, on_call_tool=call_tool)

    # ---------------------------------------------------------------- a call

    async def call(
        self, name: str, arguments: dict[str, Any], *, key: str = "", can_ask: bool = False, state: str = "",
        responses: Mapping[str, Any] | None = None,
    ) -> CallToolResult | InputRequiredResult:
        """Carry out one call as the package wants it told: what fails is a result that says so, and why.

        With a ``log`` of the server, a call with the idempotency ``key`` and the arguments of an earlier one goes on with that one's run:
        what is finished is not done again. Where the client can ask its person (``can_ask``), so are the run's questions; it then calls
        again with the ``state`` and the ``responses``, and the run is taken up where it waited.
        """
        from mcp import MCPError
        from mcp.types import INVALID_PARAMS

        served = self._served().get(name)
        if served is None:
            raise MCPError(INVALID_PARAMS, f"there is no tool {name!r:.80}")
        try:
            values = read_arguments(served.graph, arguments)
            if served.is_open and not self.allow(served.graph, values):
                return _failure(f"{name} has effects, and this server does not allow them")
            place = self._waiting.pop(f"{name} {state}", None) if state else self._place(served, values, key)
            if place is None:
                return _failure(f"{name}: nothing waits for this answer any more")
            async with self._places, asyncio.timeout(self.timeout_s), self._run(served, values, place) as r:
                if not await _answered(r, responses or {}):
                    return _failure(f"{name}: the person did not answer")
                if not await r.until_waiting():
                    return self._answer(served, await r)
                asking = _forms(r) if can_ask else None
                return self._asking(name, place, asking) if asking else _failure(_waits(r))
        except TimeoutError:
            return _failure(f"{name} took longer than {self.timeout_s} s")
        except RookeryError as error:
            return _failure(f"{name}: {error}")

    def _place(self, served: _Served, values: dict[str, Any], key: str) -> _Place:
        """Where the run of a call is kept: a new one, or that of an earlier call with its key."""
        from rookery.core.types import show

        log = self.options.get("log")
        if key and log is not None:
            return _Place(f"{served.name}-{digest(f'{served.name} {key} {show(values)}'.encode())[:16]}", log)
        return _Place(new_id(served.graph.name), log if log is not None else MemoryLog())

    def _run(self, served: _Served, values: dict[str, Any], place: _Place) -> Run:
        options = {name: value for name, value in self.options.items() if name != "log"}
        opened = open_log(place.log)
        try:
            known = any(info.run == place.run for info in opened.runs())
        finally:
            if opened is not place.log:
                opened.close()  # type: ignore[attr-defined]
        if known:
            return resume(place.run, served.graph, log=place.log, **{name: value for name, value in options.items() if name != "seed"})
        return start(served.graph, inputs=values, id=place.run, log=place.log, **options)

    def _asking(self, name: str, place: _Place, forms: dict[str, Any]) -> InputRequiredResult:
        """The client's person is asked; the run stays in its log meanwhile."""
        from mcp.types import InputRequiredResult

        state = secrets.token_urlsafe(24)  # whoever has it may answer
        self._waiting[f"{name} {state}"] = place
        while len(self._waiting) > MAX_WAITING:
            self._waiting.pop(next(iter(self._waiting)))
        return InputRequiredResult(input_requests=forms, request_state=state)

    def _answer(self, served: _Served, value: Any) -> CallToolResult:
        from mcp.types import CallToolResult, TextContent

        from rookery.core.types import dump

        data = dump(value, served.graph.returns)
        if len(data) > self.max_reply_bytes:
            return _failure(f"{served.name} gave {len(data)} bytes, more than {self.max_reply_bytes}; ask for less")
        text = value if isinstance(value, str) else data.decode()
        plain = json.loads(data)
        structured = None if served.returns is None else {"result": plain} if served.is_wrapped else plain
        return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=structured)


# ------------------------------------------------------------------ what is served


def _all_served(subjects: Iterable[Any], allow: Allow) -> dict[str, _Served]:
    found: dict[str, _Served] = {}
    faults: list[tuple[str, str]] = []
    for subject in subjects:
        name = str(getattr(subject, "name", None) or getattr(subject, "__name__", None) or repr(subject))[:80]
        try:
            served = _one_served(gated(subject, allow=allow) if isinstance(subject, Tool) else subject)
        except RookeryError as error:
            faults.append((name, error.reason))
            continue
        if served.name in found:
            faults.append((name, "there are two of this name"))
        found[served.name] = served
    if faults:
        raise ToolUnfit("not all of this can be served", faults=faults)
    return found


def _one_served(subject: Any) -> _Served:
    graph = as_graph(subject)
    doc = str(getattr(subject, "doc", "") or getattr(subject, "__doc__", "") or graph.doc)
    returns, is_wrapped = _content_schema(graph.returns)
    return _Served(_wire_name(graph.name), graph, doc, argument_schema(graph), returns, is_wrapped, graph.effect, has_open_effects(graph))


def _content_schema(returns: Any) -> tuple[dict[str, Any] | None, bool]:
    from rookery.core.types import schema

    try:
        found = schema(returns)
    except NotSerialisable:
        return None, False
    if returns is str or not found:
        return None, False
    plain = inlined(found, root=found)
    if plain.get("type") == "object":
        return plain, False
    return {"type": "object", "properties": {"result": plain}, "required": ["result"]}, True


def _described(served: _Served) -> Any:
    from mcp.types import Tool as Described
    from mcp.types import ToolAnnotations

    return Described(
        name=served.name, description=served.doc or None, input_schema=served.arguments, output_schema=served.returns,
        annotations=ToolAnnotations(read_only_hint=not served.effect),
    )


def _wire_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:MAX_NAME]


async def _answered(run: Run, responses: Mapping[str, Any]) -> bool:
    """Hand a person's answers to the run; false when one was refused. Raises ParseFailed, RunError."""
    if responses:
        await run.until_waiting()  # code that asks has to get there again
    for call, response in responses.items():
        is_given, value = given(response)
        if not is_given:
            return False
        run.answer(call, value, by="client")
    return True


def _forms(run: Run) -> dict[str, Any] | None:
    """All questions that the run waits for, as forms; None when there is one that no form can ask."""
    from rookery.core.value import plain

    found: dict[str, Any] = {}
    for call, asked in run.view.questions.items():
        found[call] = form(asked.question, asked.schema, plain(asked.show, run.stored) if asked.show else None)
    return found if found and None not in found.values() else None


def _waits(run: Run) -> str:
    asked = "; ".join(f"{call}: {question.question}" for call, question in run.view.questions.items())
    return f"run {run.id} waits for a person and was left: {asked or 'a pause'}"


def _failure(text: str) -> CallToolResult:
    from mcp.types import CallToolResult, TextContent

    return CallToolResult(content=[TextContent(type="text", text=text[:4_000])], is_error=True)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("rookery")
    except PackageNotFoundError:
        return ""
