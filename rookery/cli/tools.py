"""``rookery tools``: look into a library of tools, search it, prove it, and move tools between libraries."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from rookery.cli import out
from rookery.cli.out import guarded

if TYPE_CHECKING:
    from rookery.tools.library import ToolLibrary
    from rookery.tools.record import ToolRecord

T = TypeVar("T")
DEFAULT = Path(".rookery/tools")
group = typer.Typer(no_args_is_help=True, help="A library of tools: look into it, search it, prove it, import and export.")
LibraryOpt = Annotated[Path | None, typer.Option("--library", metavar="FOLDER", help="The library. [default: ROOKERY_TOOLS, or .rookery/tools]")]
JsonOpt = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
NameArg = Annotated[str, typer.Argument(metavar="NAME", help="The tool's name.")]


def library_path(given: Path | None) -> Path:
    """The library's folder: as given, else of ROOKERY_TOOLS, else ``.rookery/tools`` here."""
    return given or Path(os.environ.get("ROOKERY_TOOLS") or DEFAULT)


def within(path: Path, work: Callable[[ToolLibrary], Awaitable[T]], *, verify: bool = False) -> T:
    """Open a library, do some work in it, and close its sandbox."""
    from rookery.tools.library import ToolLibrary

    async def whole() -> T:
        library = await ToolLibrary.open(path, verify=verify)
        async with library:
            return await work(library)

    import asyncio  # a tenth of the time that `rookery --help` takes

    return asyncio.run(whole())


@group.command("list")
@guarded
def listed(
    library: LibraryOpt = None, as_json: JsonOpt = False,
    state: Annotated[str | None, typer.Option(metavar="STATE", help="Only those that are candidate, verified or trusted.")] = None,
) -> None:
    """List the tools of a library in the order in which they came in, and those whose files are damaged."""
    from rookery.errors import InputError

    if state not in (None, "candidate", "verified", "trusted"):
        raise InputError(f"there is no state {state!r}", hint="there are candidate, verified and trusted")
    path = library_path(library)

    async def work(opened: ToolLibrary) -> tuple[list[ToolRecord], dict[str, str]]:
        return [record for record in opened if state in (None, record.state)], {name: error.reason for name, error in opened.damaged.items()}

    records, damaged = within(path, work)
    if as_json:
        out.say_json({"library": str(path), "tools": [_brief(record) for record in records], "damaged": damaged})
        return
    _table(records)
    for name, reason in damaged.items():
        out.note(f"damaged: {name}: {reason}")
    out.note(f"{len(records)} tool{'' if len(records) == 1 else 's'} in {path}")


@group.command()
@guarded
def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the tool should do.")], library: LibraryOpt = None, as_json: JsonOpt = False,
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="At most so many tools.")] = 5,
) -> None:
    """Find the tools that fit a task best."""
    path = library_path(library)

    async def work(opened: ToolLibrary) -> list[tuple[ToolRecord, float | None]]:
        return [(opened.show(hit.name), getattr(hit, "score", None)) for hit in await opened.search(text, k=k)]

    found = within(path, work)
    if as_json:
        out.say_json({"library": str(path), "text": text, "tools": [{**_brief(record), "score": score} for record, score in found]})
    else:
        _table([record for record, _ in found])
        if not found:
            out.note("nothing fits")


@group.command()
@guarded
def show(name: NameArg, library: LibraryOpt = None, as_json: JsonOpt = False) -> None:
    """Show a tool: what it takes and gives, how far it is trusted, its use and its source."""
    import json

    async def work(opened: ToolLibrary) -> ToolRecord:
        return opened.show(name)

    record = within(library_path(library), work)
    if as_json:
        out.say_json({
            **_brief(record), "params": dict(record.params), "returns": dict(record.returns), "questions": list(record.questions), "why": record.why,
            "examples": len(record.examples), "source": record.source,
        })  # fmt: skip
        return
    use = record.use
    lift = f", lift {use.lift:+.2f}" if use.lift is not None else ""
    out.say(f"{record.name}  {record.state}, version {record.version}{', has effects' if record.effect else ''}")
    for label, text in (("what", record.doc), ("why", record.why), ("from", record.origin), ("labels", ", ".join(sorted(record.labels)))):
        if text:
            out.say(f"  {label:<7} {text}")
    out.say(f"  {'calls':<7} {use.calls}, {use.successes} of them right{lift}; {len(record.examples)} stored")
    for param, schema in record.params.items():
        out.say(f"  {'takes':<7} {param}: {json.dumps(schema, ensure_ascii=False)}")
    out.say(f"  {'gives':<7} {json.dumps(record.returns, ensure_ascii=False)}")
    if record.source:
        out.say(f"\n{record.source.rstrip()}")


@group.command()
@guarded
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]…", help="The tools; all when none is named.")] = None,
    library: LibraryOpt = None, as_json: JsonOpt = False,
) -> None:
    """Make the stored calls of tools in the sandbox, and set their states by what comes of it; exits with 1 when one fails."""
    path = library_path(library)

    async def work(opened: ToolLibrary) -> tuple[list[tuple[ToolRecord, bool, str]], dict[str, str]]:
        proofs = await opened.verify(*names or ())
        await opened.save()
        return [(opened.show(name), proof.ok, proof.why) for name, proof in proofs.items()], {n: e.reason for n, e in opened.damaged.items()}

    proven, damaged = within(path, work)
    failed = [record.name for record, ok, _ in proven if not ok]
    if as_json:
        proofs = [{"name": record.name, "ok": ok, "state": record.state, "why": why} for record, ok, why in proven]
        out.say_json({"library": str(path), "proofs": proofs, "damaged": damaged})
    else:
        for record, ok, why in proven:
            out.say(f"{'right' if ok else 'WRONG':<6} {record.name:<32} {record.state}{f': {why}' if why else ''}")
        for name, reason in damaged.items():
            out.note(f"damaged: {name}: {reason}")
        out.note(f"{len(proven) - len(failed)} of {len(proven)} came out right; tools without stored calls are left out")
    if failed or damaged:
        raise typer.Exit(out.FAILED)


@group.command("import")
@guarded
def take_in(
    source: Annotated[list[str], typer.Argument(
        metavar="SOURCE", help="A library's folder, a Python file or module, an OpenAPI document, or an MCP server (its URL, or -- COMMAND …).",
    )],
    library: LibraryOpt = None, as_json: JsonOpt = False,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Name the tools NAME__tool (not for libraries).")] = "",
    base_url: Annotated[str, typer.Option("--base-url", metavar="URL", help="Where the API of an OpenAPI document is.")] = "",
) -> None:
    """Take tools in; what comes from a library is proven here first. Says what was refused, and why."""
    path = library_path(library)

    async def work(opened: ToolLibrary) -> tuple[list[str], list[str], dict[str, str]]:
        first = source[0]
        if len(source) > 1 or first.startswith(("http://", "https://")):
            result = await _from_server(opened, source, name)
        elif Path(first).is_dir():
            taken = await opened.import_from(first)
            result = list(taken.added), list(taken.known), {key: error.reason for key, error in (taken.refused or {}).items()}
        else:
            result = _add(opened, *_tools_of(first, name, base_url))
        await opened.save()
        return result

    added, known, refused = within(path, work)
    if as_json:
        out.say_json({"library": str(path), "added": added, "known": known, "refused": refused})
    else:
        for each in added:
            out.say(f"added    {each}")
        for each in known:
            out.say(f"known    {each}")
        for each, reason in refused.items():
            out.note(f"refused  {each}: {reason}")
    if refused and not added and not known:
        raise typer.Exit(out.FAILED)


@group.command("export")
@guarded
def give_out(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new or empty folder.")], library: LibraryOpt = None, as_json: JsonOpt = False
) -> None:
    """Write the whole library to another folder."""
    path = library_path(library)

    async def work(opened: ToolLibrary) -> int:
        await opened.export_to(folder)
        return len(opened)

    count = within(path, work)
    if as_json:
        out.say_json({"library": str(path), "folder": str(folder), "tools": count})
    else:
        out.note(f"{count} tool{'' if count == 1 else 's'} written to {folder}")


# ------------------------------------------------------------------ from elsewhere


def _tools_of(source: str, name: str, base_url: str) -> tuple[Any, str]:
    """The tools of a Python file or module, or of an OpenAPI document, and where they are from. Raises InputError, ToolUnfit, DocumentInvalid."""
    from rookery.cli.load import load_module
    from rookery.errors import InputError

    suffix = Path(source).suffix.lower()
    if suffix in (".yaml", ".yml", ".json"):
        from rookery.tools.openapi import openapi_tools

        return openapi_tools(Path(source), name=name, base_url=base_url), f"openapi: {source}"
    if suffix != ".py" and ("/" in source or suffix == ".toml"):
        raise InputError(f"there are no tools in {source}", hint="give a library's folder, FILE.py, a module, or an OpenAPI document (.yaml, .json)")
    from rookery.tools.package import package_tools

    return package_tools(load_module(source), name=name), ""


async def _from_server(library: ToolLibrary, words: list[str], name: str) -> tuple[list[str], list[str], dict[str, str]]:
    """The tools of an MCP server: the library finds them, and whoever calls them connects to the server."""
    from rookery.tools.mcp import McpServer

    where: dict[str, Any] = {"url": words[0]} if len(words) == 1 else {"command": words}
    async with McpServer(name or "server", **where) as server:
        return _add(library, server, f"mcp: {' '.join(words)}")


def _add(library: ToolLibrary, taken: Any, origin: str) -> tuple[list[str], list[str], dict[str, str]]:
    from rookery.errors import ToolError

    added: list[str] = []
    known: list[str] = []
    refused = {fault.tool: fault.reason for fault in taken.unfit}
    for tool in taken.tools:
        is_known = tool.name in library
        try:
            (known if is_known else added).append(library.add(tool, origin=origin).name)
        except ToolError as error:
            refused[tool.name] = error.reason
    return added, known, refused


# ------------------------------------------------------------------ showing


def _brief(record: ToolRecord) -> dict[str, Any]:
    return {
        "name": record.name, "state": record.state, "version": record.version, "effect": record.effect, "doc": record.doc, "origin": record.origin,
        "calls": record.use.calls, "successes": record.use.successes, "lift": record.use.lift, "labels": sorted(record.labels),
    }  # fmt: skip


def _table(records: Iterable[ToolRecord]) -> None:
    for record in records:
        what = record.doc.strip().partition("\n")[0]
        out.say(f"{record.name:<32} {record.state:<10} {record.use.calls:>5} calls  {what[:90]}")
