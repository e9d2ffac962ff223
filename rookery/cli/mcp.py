"""``rookery mcp``: serve programs and tools as an MCP server, and look at the tools of one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from rookery.cli import out
from rookery.cli.out import guarded

group = typer.Typer(no_args_is_help=True, help="Serve tools and programs over the Model Context Protocol, or look at those of a server.")
JsonOpt = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
TokenOpt = Annotated[str | None, typer.Option("--token-env", metavar="NAME", help="The variable that holds the bearer token.")]


@group.command()
@guarded
def serve(
    programs: Annotated[list[str] | None, typer.Argument(metavar="[PROGRAM]…", help="FILE.py:NAME, MODULE:NAME, or FILE.py for all in it.")] = None,
    library: Annotated[Path | None, typer.Option("--library", metavar="FOLDER", help="Serve the tools of this library too.")] = None,
    http: Annotated[bool, typer.Option("--http", help="Serve streamable HTTP instead of standard input and output.")] = False,
    host: Annotated[str, typer.Option(help="The address to listen on; one that others can reach needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8000,
    token_env: TokenOpt = None,
    allow: Annotated[list[str] | None, typer.Option("--allow", metavar="PATTERN", help="Tools with effects that clients may call.")] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", metavar="MODEL", help="provider:NAME[@BASE_URL] for its prompts.")] = None,
    log: Annotated[Path | None, typer.Option("--log", metavar="PATH", help="Keep the runs in this file.")] = None,
    limit: Annotated[str, typer.Option("--limit", metavar="CAPS", help="For each call: tokens=…,usd=…,calls=…,seconds=…")] = "",
    name: Annotated[str, typer.Option("--name", help="What the server calls itself.")] = "rookery",
) -> None:
    """Serve programs, prompts, tools and libraries as an MCP server, each call a run; tools with effects only where allowed."""
    from rookery.cli.load import limit_of, load_all
    from rookery.errors import InputError
    from rookery.tools.approval import allow as allowing

    subjects: list[Any] = [program.subject for spec in programs or [] for program in load_all(spec)]
    if not subjects and library is None:
        raise InputError("there is nothing to serve", hint="name a program (FILE.py:NAME), or give --library FOLDER")
    token = _token(token_env)
    options: dict[str, Any] = {"limit": limit_of(limit), "log": log}
    if model:
        from rookery.models.provider import model as built

        options["model"] = built(model)

    async def whole() -> None:
        from rookery.tools.library import ToolLibrary
        from rookery.tools.serve import ToolServer

        opened = [await ToolLibrary.open(library)] if library is not None else []
        try:
            server = ToolServer(*subjects, *opened, name=name, allow=allowing(*allow or ()), **options)
            out.note(f"serving {', '.join(server.tools) or 'no tools yet'}")
            if http:
                await server.http(host=host, port=port, token=token, ready=lambda url: out.note(f"listening at {url}"))
            else:
                await server.stdio()
        finally:
            for each in opened:
                await each.aclose()

    import asyncio  # a tenth of the time that `rookery --help` takes

    asyncio.run(whole())


@group.command("list")
@guarded
def listed(
    server: Annotated[list[str], typer.Argument(metavar="URL | COMMAND…", help="A server's URL, or the command that starts it (after --).")],
    token_env: TokenOpt = None, as_json: JsonOpt = False,
    timeout_s: Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="How long the server may take to answer.")] = 30.0,
) -> None:
    """List the tools of an MCP server, what they take, and which of them have effects."""
    from rookery.core.types import name_of
    from rookery.tools.mcp import McpServer

    token = _token(token_env)
    is_url = server[0].startswith(("http://", "https://"))
    where: dict[str, Any] = {"url": server[0]} if is_url else {"command": server}
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def whole() -> McpServer:
        async with McpServer("server", headers=headers, timeout_s=timeout_s, **where) as opened:
            return opened

    import asyncio  # a tenth of the time that `rookery --help` takes

    found = asyncio.run(whole())
    tools: list[dict[str, Any]] = [
        {"name": tool.name.removeprefix("server__"), "effect": tool.effect, "takes": {each.name: name_of(each.type) for each in tool.params.values()},
         "gives": name_of(tool.returns), "doc": tool.doc.removeprefix("server says of this tool: ")}
        for tool in found.tools
    ]  # fmt: skip
    unfit = {fault.tool: fault.reason for fault in found.unfit}
    if as_json:
        out.say_json({"server": " ".join(server), "tools": tools, "unfit": unfit})
        return
    for tool in tools:
        takes = ", ".join(f"{key}: {kind}" for key, kind in tool["takes"].items())
        out.say(f"{tool['name']}({takes}) -> {tool['gives']}{'  [has effects]' if tool['effect'] else ''}")
        out.say(f"    {tool['doc'][:300]}")
    for each, reason in unfit.items():
        out.note(f"cannot be used: {each}: {reason}")
    out.note(f"{len(tools)} tool{'' if len(tools) == 1 else 's'}")


def _token(variable: str | None) -> str:
    """The token in a variable of the environment; it is never an argument, which others could read."""
    from rookery.errors import InputError

    if variable is None:
        return ""
    token = os.environ.get(variable, "")
    if not token:
        raise InputError(f"the variable {variable} is not set", hint=f"export {variable}=…")
    return token
