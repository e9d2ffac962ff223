"""``rookery memory``: look at what a scope remembers, show and revert writes, forget, export, and build the indexes anew."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from rookery.cli.out import guarded, note, say, say_json

if TYPE_CHECKING:
    from rookery.memory.item import Change, Item
    from rookery.memory.memory import Memory

T = TypeVar("T")
group = typer.Typer(name="memory", no_args_is_help=True, help="What is remembered: list, search, show, diff, revert, export, forget, reindex.")

ScopeOpt = Annotated[str, typer.Option("--scope", "-s", metavar="SCOPE", help="Whose memory, for example user:ada.")]
PathOpt = Annotated[
    Path | None, typer.Option("--path", metavar="FOLDER", help="The memory's folder. [default: ROOKERY_MEMORY, or ~/.rookery/memory]")
]
JsonOpt = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
VectorsOpt = Annotated[str | None, typer.Option("--vectors", metavar="URL", help="A Chroma server instead of the folder.")]
IdArg = Annotated[str, typer.Argument(metavar="ID", help="The item's id.")]


def folder_of(path: Path | None) -> Path:
    """The memory's folder: as given, of the environment, or the usual one."""
    import os

    return (path or Path(os.environ.get("ROOKERY_MEMORY", "") or "~/.rookery/memory")).expanduser()


def _with(scope: str, path: Path | None, call: Callable[[Memory], Awaitable[T]], **options: Any) -> T:
    """What a call gives on the memory of a scope; what was repaired on the way is said."""
    from rookery.memory.memory import Memory

    async def go() -> T:
        async with Memory(scope=scope, path=folder_of(path), **options) as memory:
            try:
                return await call(memory)
            finally:
                for repair in memory.repairs:
                    note(f"repaired: {repair}")

    import asyncio  # a tenth of the time that `rookery --help` takes

    return asyncio.run(go())


@group.command("list")
@guarded
def list_items(
    scope: Annotated[str | None, typer.Option("--scope", "-s", metavar="SCOPE", help="Whose memory; without it the scopes are listed.")] = None,
    path: PathOpt = None, limit: Annotated[int, typer.Option(min=1, help="At most so many items.")] = 50, as_json: JsonOpt = False,
) -> None:
    """List the latest items of a scope, newest first; or the scopes."""
    from rookery.memory.quote import line

    if scope is None:
        _list_scopes(path, as_json)
        return
    items = _with(scope, path, lambda memory: memory.items(limit=limit))
    if as_json:
        say_json({"scope": scope, "items": [_data(item) for item in items]})
    for item in items if not as_json else ():
        say(line(item))
    if not items and not as_json:
        note(f"nothing is remembered in {scope}")


def _list_scopes(path: Path | None, as_json: bool) -> None:
    from rookery.memory.store import FILE, Store

    folder = folder_of(path)
    if not (folder / FILE).exists():
        scopes = []
    else:
        store = Store(folder)
        try:
            scopes = store.scopes()
        finally:
            store.close()
    if as_json:
        say_json({"scopes": [{"scope": name, "items": count} for name, count in scopes]})
        return
    for name, count in scopes:
        say(f"{name}  {count} item{'' if count == 1 else 's'}")
    if not scopes:
        note(f"there is no memory in {folder}")


@group.command()
@guarded
def search(
    query: Annotated[str, typer.Argument(metavar="QUERY")], scope: ScopeOpt, path: PathOpt = None, vectors: VectorsOpt = None,
    tokens: Annotated[int, typer.Option(min=1, help="The budget, in bytes.")] = 4_000,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="DATE", help="Only what held then: 2026-03-01, or with a time.")] = None,
    as_json: JsonOpt = False,
) -> None:
    """Find what is remembered about something, as an agent would see it."""
    moment = _moment(as_of) if as_of else None
    found = _with(scope, path, lambda memory: memory.recall(query, tokens=tokens, as_of=moment), vectors=vectors)
    if as_json:
        say_json({"scope": scope, "found": [_data(each.item) | {"score": each.score} for each in found.found], "by_words_only": found.by_words_only})
        return
    say(found.text or "nothing is remembered about this")
    if found.by_words_only:
        note("the vector store does not answer: this was found by its words alone")


@group.command()
@guarded
def show(id: IdArg, scope: ScopeOpt, path: PathOpt = None, as_json: JsonOpt = False) -> None:
    """Show an item with all that is known of it, and its changes."""

    async def look(memory: Memory) -> tuple[Item, list[Change]]:
        return await memory.show(id), await memory.diff(item=id)

    item, changes = _with(scope, path, look)
    if as_json:
        say_json(_data(item) | {"changes": [_change(change) for change in changes]})
        return
    say(item.text)
    for name, value in _data(item).items():
        if name != "text":
            say(f"  {name}: {value if isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False)}")
    for change in changes:
        say(f"  write {change.write}: {change.verb}")


@group.command()
@guarded
def diff(
    scope: ScopeOpt, write: Annotated[int | None, typer.Argument(metavar="[WRITE]", help="One write; without it the latest ones.")] = None,
    path: PathOpt = None, limit: Annotated[int, typer.Option(min=1)] = 40, as_json: JsonOpt = False,
) -> None:
    """Show what writes changed, oldest first."""
    from rookery.memory.item import date

    changes = _with(scope, path, lambda memory: memory.diff(write, limit=limit))
    if as_json:
        say_json({"scope": scope, "changes": [_change(change) for change in changes]})
        return
    signs = {"keep": "+", "forget": "-", "withdraw": "-", "restore": "+"}
    for change in changes:
        what = "; ".join(f"{name}: {change.before[name]} → {change.after.get(name)}" for name in change.before)
        sign = signs.get(change.verb, "~")
        say(f"{sign} write {change.write}  {date(change.at)}  {change.verb}  {change.item}  {change.text[:80]!r}  {what}".rstrip())


@group.command()
@guarded
def revert(scope: ScopeOpt, write: Annotated[int, typer.Argument(metavar="WRITE")], path: PathOpt = None, as_json: JsonOpt = False) -> None:
    """Undo a write; the undoing is a write too."""
    number = _with(scope, path, lambda memory: memory.revert(write))
    if as_json:
        say_json({"scope": scope, "reverted": write, "write": number})
    else:
        say(f"write {write} is undone by write {number}")


@group.command()
@guarded
def export(
    scope: ScopeOpt, path: PathOpt = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Instead of standard output.")] = None,
) -> None:
    """Write all items of a scope as JSON lines, oldest first."""

    async def collect(memory: Memory) -> int:
        count = 0
        with out.open("w", encoding="utf-8") if out is not None else nullcontext(sys.stdout) as file:
            async for data in memory.export():
                file.write(json.dumps(data, ensure_ascii=False) + "\n")
                count += 1
        return count

    count = _with(scope, path, collect)
    note(f"{count} item{'' if count == 1 else 's'}")


@group.command()
@guarded
def forget(
    scope: ScopeOpt, ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]…", help="The items; or use --source, --all.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="All items of this source.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="The whole scope.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False, path: PathOpt = None,
    log: Annotated[Path | None, typer.Option("--log", metavar="PATH", help="The log to look through. [default: as for `rookery runs`]")] = None,
    as_json: JsonOpt = False,
) -> None:
    """Delete items, or all of a scope, without a trace; runs whose logs quote the scope are named."""
    if everything and not yes and not as_json and sys.stdin.isatty():
        typer.confirm(f"forget all of {scope}?", abort=True)
    result = _with(scope, path, lambda memory: memory.forget(scope=scope if everything else None, ids=ids or (), source=source))
    runs = list(dict.fromkeys([*result.runs, *_quoting(scope, log)]))
    if as_json:
        say_json({"scope": scope, "items": result.items, "runs": runs, "clean": result.clean})
        return
    say(f"{result.items} item{'' if result.items == 1 else 's'} forgotten")
    for run in runs:
        say(f"  run {run} quotes this scope")
    if runs:
        note(f"`rookery prune --scope {scope}` removes it from the logs of runs")
    if not result.clean:
        note("another process has the memory open; deleted pages leave its write-ahead log when it ends")


@group.command()
@guarded
def reindex(path: PathOpt = None, embedder: Annotated[str | None, typer.Option("--embedder", metavar="EMBEDDER")] = None,
            vectors: VectorsOpt = None, as_json: JsonOpt = False) -> None:
    """Build all indexes of the folder anew, for all scopes; with another embedder if one is named. Saves what is sound in a damaged file."""
    count = _with("reindex", path, lambda memory: memory.reindex(), embedder=embedder, vectors=vectors)
    if as_json:
        say_json({"vectors": count})
    else:
        say(f"{count} vector{'' if count == 1 else 's'} built in")


def _quoting(scope: str, log: Path | None) -> list[str]:
    """The runs of the log that have values from a scope's memory."""
    from rookery.cli.drive import log_path
    from rookery.engine.sqlite import SQLiteLog
    from rookery.memory.scope import label, words

    path = log_path(log)
    if not path.exists():
        return []
    opened = SQLiteLog(path)
    try:
        return opened.quoting(label(scope), words(scope))
    finally:
        opened.close()


def redact(scope: str, path: Path, *, as_json: bool) -> None:
    """For ``rookery prune --scope``: replace what runs quote from a scope's memory, and what was made from it, by tombstones."""
    from rookery.engine.sqlite import SQLiteLog
    from rookery.memory.scope import checked, label, words

    name = checked(scope)
    runs: list[str] = []
    count = 0
    if path.exists():
        log = SQLiteLog(path)
        try:
            runs, count = log.redact(label(name), words(name))
        finally:
            log.close()
    if as_json:
        say_json({"scope": name, "runs": runs, "values": count})
    else:
        say(f"{count} value{'' if count == 1 else 's'} from {name} removed in {len(runs)} run{'' if len(runs) == 1 else 's'}")


def _moment(text: str) -> Any:
    from datetime import datetime

    from rookery.errors import InputError

    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--as-of {text!r} is no date", hint="2026-03-01, or 2026-03-01T12:00") from error


def _data(item: Item) -> dict[str, Any]:
    from rookery.memory.look import plain

    return plain(item)


def _change(change: Change) -> dict[str, Any]:
    return {"write": change.write, "at": change.at, "verb": change.verb, "item": change.item, "before": dict(change.before),
            "after": dict(change.after), "text": change.text}
