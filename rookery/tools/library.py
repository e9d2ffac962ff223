"""The tool library: what it keeps of each tool, how tools get in, are proven, found, counted and dropped, and where it lies on disk."""

from __future__ import annotations

import asyncio
import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rookery.core.function import Tool
from rookery.errors import LibraryDamaged, ToolError, ToolUnbound, ToolUnfit, ToolUnknown
from rookery.models.embedder import Embedder
from rookery.tools import store
from rookery.tools.binding import LateSandbox, counted, then, through_alias
from rookery.tools.dedupe import Duplicates, find_duplicates
from rookery.tools.describe import Subject, check_examples, describe
from rookery.tools.find import Finding, ToolIndex, ToolText
from rookery.tools.ladder import best_sandbox
from rookery.tools.record import Alias, Example, ToolRecord, Use
from rookery.tools.sandbox import Sandbox
from rookery.tools.source import from_source, shapes_of
from rookery.tools.trial import Proof, prove, side_by_side

HELD_BACK = 2
"""So many calls that its author had not seen must come out right before a tool is trusted."""
MAX_EXAMPLES = 40
"""So many stored calls of one tool."""
AT_A_TIME = 2
"""Tools that are being proven at a time."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the tools of another library."""

    added: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    """Those that are here already, the same in all."""
    refused: Mapping[str, ToolError] | None = None
    """Those whose name is another tool's here, and those whose files were damaged."""


class ToolLibrary:
    """Tools, and what is known of them. In memory until ``save``; ``await ToolLibrary.open(path)`` reads one from disk.

    Functions and Tools that are added run in this process, as they are. What comes as source, or from disk, runs in ``sandbox``:
    one of bubblewrap unless given, made at the first need.
    """

    def __init__(
        self, *tools: Subject, path: str | os.PathLike[str] | None = None, sandbox: Sandbox | None = None,
        embedder: Embedder | str | None = None,
    ) -> None:
        self.path = Path(path) if path is not None else None
        self._own: Sandbox | None = None
        self._given = sandbox
        self._records: dict[str, ToolRecord] = {}
        self._bound: dict[str, Tool[..., Any]] = {}
        self._aliases: dict[str, Alias] = {}
        self.damaged: dict[str, LibraryDamaged] = {}
        """Tools of the library on disk that could not be loaded, and why; the files are left as they are."""
        self._shelf = store.Shelf()
        self._index: ToolIndex | None = None
        self._embedder = embedder
        self._turn = asyncio.Lock()
        self._numbers = 0
        for each in tools:
            self.add(each)

    @classmethod
    async def open(
        cls, path: str | os.PathLike[str], *, sandbox: Sandbox | None = None, embedder: Embedder | str | None = None, verify: bool = True
    ) -> ToolLibrary:
        """The library in a folder; a new one where there is none.

        Every admitted tool is proven again in the sandbox: one that fails is a candidate from then on, with the reason in its
        record. ``verify=False`` is for looking only. Raises LibraryDamaged when the manifest can't be read, LibraryTooNew, and
        what the sandbox raises; a single damaged tool is left out and told in ``damaged``.
        """
        self = cls(path=path, sandbox=sandbox, embedder=embedder)
        assert self.path is not None
        shelf = await asyncio.to_thread(store.read, self.path)
        self._shelf, self._records, self._aliases = shelf, dict(shelf.tools), dict(shelf.aliases)
        self.damaged = dict(shelf.damaged)
        self._numbers = max((record.number for record in self._records.values()), default=0)
        if verify:
            await self.verify(*[name for name, record in self._records.items() if record.source and record.state in ("verified", "trusted")])
        return self

    # ---------------------------------------------------------------- looking

    def __iter__(self) -> Iterator[ToolRecord]:
        """The records of all tools that are not retired, in the order of admission."""
        return iter(sorted((record for record in self._records.values() if record.state != "retired"), key=lambda record: record.number))

    def __len__(self) -> int:
        return sum(record.state != "retired" for record in self._records.values())

    def __contains__(self, name: str) -> bool:
        return name in self._aliases or (name in self._records and self._records[name].state != "retired")

    def show(self, name: str) -> ToolRecord:
        """The record of a tool, also of a retired one. Raises ToolUnknown, LibraryDamaged for one that could not be loaded."""
        if name in self._records:
            return self._records[name]
        if name in self.damaged:
            raise self.damaged[name]
        near = difflib.get_close_matches(name, self._records, n=3, cutoff=0.5)
        hint = f"there is {', '.join(near)}" if near else "`search` finds tools by what they do"
        raise ToolUnknown(f"there is no tool {name!r:.80}", tool=name[:80], hint=hint)

    def find(self, name: str) -> ToolRecord | None:
        """The record of a tool, also of a retired one; None when there is none of that name."""
        return self._records.get(name)

    def survivor(self, name: str) -> str:
        """The name of the tool that calls of ``name`` reach: its own, or that of the one it was merged into."""
        return self._aliases[name].survivor if name in self._aliases else name

    async def search(self, text: str, *, k: int = 5) -> list[Finding]:
        """The ``k`` tools that fit a task best, by all that is known of them; retired and failing ones are not found.

        Raises ModelError when the embedder fails.
        """
        async with self._turn:
            return await self._indexed().search(text, k=k)

    def _indexed(self) -> ToolIndex:
        if self._index is None:
            self._index = ToolIndex(by=self._embedder)
            for record in self:
                self._tell(self._index, record)
        return self._index

    def _tell(self, index: ToolIndex, record: ToolRecord) -> None:
        if record.is_offered:
            index.add(_text_of(record, [name for name, alias in self._aliases.items() if alias.survivor == record.name]))
        else:
            index.remove(record.name)

    def tool(self, name: str) -> Tool[..., Any]:
        """The tool itself; its calls are counted here. The name of one that was merged gives calls of the survivor.

        Raises ToolUnknown, also for one that is retired; ToolUnbound when its function or server has to be given again (``add``).
        """
        alias = self._aliases.get(name)
        if alias is not None:
            adapted = through_alias(alias, self._plain(alias.survivor), self._records[name])
            return counted(adapted, lambda ok: self.note_call(alias.survivor, ok=ok))
        return counted(self._plain(name), lambda ok: self.note_call(name, ok=ok))

    def _plain(self, name: str) -> Tool[..., Any]:
        """The tool, its calls not counted."""
        record = self.show(name)
        if record.state == "retired":
            raise ToolUnknown(f"{name} is retired: {record.why}", tool=name, hint="its source is in `show(name).source`")
        bound = self._bound.get(name)
        if bound is None:
            if not record.source:
                raise ToolUnbound(f"{name} comes from {record.origin or 'elsewhere'}, which is not here", tool=name, hint="add it again")
            bound = self._bound[name] = self._from_source(record)
        return bound

    def _from_source(self, record: ToolRecord) -> Tool[..., Any]:
        return from_source(record.source, name=record.name, sandbox=LateSandbox(lambda: self.sandbox), labels=record.labels, effect=record.effect)

    # ---------------------------------------------------------------- changing

    def add(
        self, subject: Subject, *, name: str = "", examples: Iterable[Example] = (), origin: str = "", question: str = "",
        labels: Iterable[str] = (), replace: bool = False,
    ) -> ToolRecord:
        """Take a tool in, as a candidate; ``verify`` tries it. Nothing of it runs now, and nothing is written before ``save``.

        :param subject: a typed function or a Tool, which run in this process; or Python source, which never does.
        :param examples: calls that prove it; those with ``seen=False`` also make it trusted.
        :param replace: make it the next version of the tool of this name.
        :raises ToolUnfit: it can't be a tool: a parameter without annotation, a type that is no JSON data, a broken source, a name
            that another tool has; all reasons at once. The same tool twice is no fault, and a retired one stays so.
        """
        made, bound = describe(subject, name)
        record = _with(made, examples=tuple(examples), origin=origin or made.origin, labels=made.labels | frozenset(labels)).serving(question)
        check_examples(record)
        before = self._records.get(record.name)
        if before is not None and before.state == "retired" and before.hash == record.hash and not replace:
            return before
        if before is not None and before.state != "retired":
            if before.hash == record.hash or (before.source == record.source and before.params == record.params and not record.examples):
                self._bind(before.name, bound)
                return before
            if not replace:
                hint = "give it another name=, or replace=True to make it the next version"
                raise ToolUnfit(f"the library has another tool named {record.name}", tool=record.name, faults=[("name", "it is taken")], hint=hint)
        elif record.name in self.damaged and not replace:
            raise ToolUnfit(f"the library has a damaged tool named {record.name}", tool=record.name, hint="replace=True puts this one in its place")
        self._numbers += 0 if before else 1
        version = before.version + 1 if before else self._next_version(record.name)
        self._put(_with(record, version=version, number=before.number if before else self._numbers))
        self._aliases.pop(record.name, None)
        self._bind(record.name, bound)
        return self._records[record.name]

    def _next_version(self, name: str) -> int:
        """The first that no file on disk has: a damaged tool's files are left to be looked at."""
        entry = self._shelf.kept.get(name)
        try:
            return int(entry["record"]["version"]) + 1 if entry else 1
        except (KeyError, TypeError, ValueError):
            return 1000

    def _bind(self, name: str, bound: Tool[..., Any] | None) -> None:
        if bound is not None:
            self._bound[name] = bound
        elif name in self._bound:
            del self._bound[name]

    def _put(self, record: ToolRecord) -> None:
        self._records[record.name] = record
        self.damaged.pop(record.name, None)
        if self._index is not None:
            self._tell(self._index, record)

    def extend(self, name: str, examples: Iterable[Example]) -> ToolRecord:
        """Store more calls of a tool, at most MAX_EXAMPLES in all; ``verify`` tries them. Of a merged tool they become its survivor's.

        Raises ToolUnknown, ToolUnfit for calls that are none of it.
        """
        record, alias = self.show(self.survivor(name)), self._aliases.get(name)
        known = [*record.examples]
        for example in examples:
            example = example if alias is None else _with(example, arguments=alias.translated(example.arguments))
            if example not in known and len(known) < MAX_EXAMPLES:
                known.append(example)
        if len(known) > len(record.examples):
            record = _with(record, examples=tuple(known), version=record.version + 1)
            check_examples(record)
            self._put(record)
        return record

    def retire(self, name: str, *, why: str = "") -> ToolRecord:
        """Take a tool out of use; its record and source stay. Raises ToolUnknown."""
        record = self.show(name)
        self._put(_with(record, state="retired", why=why or "retired by its keeper"))
        return self._records[name]

    def note_call(self, name: str, *, ok: bool) -> None:
        """Count a call. A tool whose last calls fail clearly more often than a tool may is a candidate again, and no longer found."""
        record = self.show(self.survivor(name))
        use = record.use.after_call(ok)
        noted = _with(record, use=use)
        if use.has_drifted and record.state != "retired" and not (record.state == "candidate" and record.why):
            noted = _with(noted, state="candidate", why=f"{use.recent.count('-')} of its last {len(use.recent)} calls failed")
            self._put(noted)
        else:
            self._records[record.name] = noted

    async def note_task(self, question: str, *, offered: Iterable[str], used: Iterable[str], solved: bool) -> None:
        """Count a task: which tools were offered for it, which were used, and whether it was solved. Searches learn from solved ones.

        Raises ModelError when the embedder fails.
        """
        names = {self.survivor(name) for name in used}
        for name in dict.fromkeys([*offered, *names]):
            record = self._records.get(name)
            if record is None:
                continue
            helped = solved and name in names
            noted = record.serving(question) if helped else record
            self._records[name] = _with(noted, use=record.use.after_task(used=name in names, solved=solved))
        if solved and names and self._index is not None:
            async with self._turn:
                await self._index.note_use(question, *names)

    # ---------------------------------------------------------------- proving

    async def verify(self, *names: str) -> dict[str, Proof]:
        """Make the stored calls of tools (of all, if none is named) in the sandbox, and set their states by what comes of it.

        ``trusted`` takes HELD_BACK calls that its author had not seen, ``verified`` any that are right; with a wrong one it is a
        candidate that is not found. Tools that have no calls, or no source that runs by itself, stay as they are and are left out.
        Raises ToolUnknown, and what the sandbox raises.
        """
        records = [self.show(name) for name in names] if names else list(self)
        records = [record for record in records if record.source and record.examples and record.state != "retired"]
        jobs = [
            prove(self.sandbox, record.source, record.name, record.examples, shapes=shapes_of(record.source, record.name)) for record in records
        ]
        found = dict(zip([record.name for record in records], await side_by_side(jobs, at_a_time=AT_A_TIME), strict=True))
        for name, proof in found.items():
            self.judge(name, proof)
        return found

    def judge(self, name: str, proof: Proof) -> ToolRecord:
        """Set a tool's state by what came of its stored calls. Raises ToolUnknown."""
        record = self.show(name)
        if not proof.ok:
            self._put(_with(record, state="candidate", why=proof.why))
        else:
            self._put(_with(record, state="trusted" if proof.passed_held_back >= HELD_BACK else "verified", why=""))
        return self._records[name]

    async def merge_duplicates(self, *new: str, seed: int = 0) -> Duplicates:
        """Find tools that are the same function and keep one of each; ``new`` names those to compare with all others.

        The names of dropped tools go on working, as calls of their survivors. Raises what the sandbox raises.
        """
        found = await find_duplicates(list(self), self.sandbox, new=frozenset(new) or None, seed=seed)
        for merge in found.merges:
            self._put(merge.survivor)
            self._bound.pop(merge.survivor.name, None)
            self._put(_with(self._records[merge.dropped.name], state="retired", why=f"merged into {merge.survivor.name}: a {merge.verdict}"))
            self._aliases[merge.dropped.name] = merge.alias
            for name, alias in self._aliases.items():
                if alias.survivor == merge.dropped.name:
                    self._aliases[name] = then(alias, merge.alias)
        return found

    @property
    def sandbox(self) -> Sandbox:
        """Where sources run. Raises SandboxMissing where there is none on this machine."""
        if self._given is not None:
            return self._given
        if self._own is None:
            self._own = best_sandbox("bubblewrap")
        return self._own

    async def aclose(self) -> None:
        """Close the sandbox that the library made for itself; it makes another one when it needs it."""
        own, self._own = self._own, None
        if own is not None:
            await own.aclose()

    async def __aenter__(self) -> ToolLibrary:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    # ---------------------------------------------------------------- on disk

    async def save(self) -> None:
        """Write what has changed to the library's folder: all of it, or nothing.

        Raises ToolError when it has no folder, LibraryFull, LibraryBusy when another process has changed it meanwhile.
        """
        if self.path is None:
            raise ToolError("this library has no folder", hint="`await library.export_to(path)`, or open one with ToolLibrary.open(path)")
        self._shelf = await asyncio.to_thread(self._write, self.path, self._shelf)

    def _write(self, path: Path, shelf: store.Shelf) -> store.Shelf:
        kept = {name: entry for name, entry in shelf.kept.items() if name not in self._records}
        wanted = store.Shelf(dict(self._records), dict(self._aliases), self.damaged, kept, shelf.hash)
        return store.write(path, wanted, saved=shelf.tools)

    async def export_to(self, path: str | os.PathLike[str]) -> None:
        """Write the whole library to another folder, which must be new or empty. Raises ToolError, LibraryFull."""
        target = Path(path)
        if await asyncio.to_thread(lambda: target.exists() and any(target.iterdir())):
            raise ToolError(f"{target.name} is not empty", hint="give a new folder; `import_from` joins libraries")
        await asyncio.to_thread(self._write, target, store.Shelf())

    async def import_from(self, path: str | os.PathLike[str], *, verify: bool = True) -> Imported:
        """Take in the tools of another library, as candidates labelled ``imported``, and prove them here.

        Raises LibraryDamaged when its manifest can't be read, LibraryTooNew, and what the sandbox raises.
        """
        shelf = await asyncio.to_thread(store.read, Path(path))
        added: list[str] = []
        known: list[str] = []
        refused: dict[str, ToolError] = dict(shelf.damaged)
        for name, record in sorted(shelf.tools.items(), key=lambda item: item[1].number):
            here = self._records.get(name)
            if record.state == "retired":
                continue
            if here is not None and here.hash == record.hash:
                known.append(name)
            elif name in self or name in self.damaged:
                refused[name] = ToolUnfit(f"the library has another tool named {name}", tool=name, hint="rename one of the two")
            else:
                self._numbers += 1
                new = _with(record, state="candidate", why="", use=Use(), number=self._numbers, labels=record.labels | {"imported"})
                self._put(_with(new, version=here.version + 1 if here else 1))
                added.append(name)
        if verify:
            await self.verify(*added) if added else None
        return Imported(tuple(added), tuple(known), refused)


_with = replace
"""``dataclasses.replace``, where a parameter has that name."""


def _text_of(record: ToolRecord, aliases: Sequence[str]) -> ToolText:
    """What searches know of a tool."""
    params = {name: str(schema.get("description", "")) for name, schema in record.params.items()}
    return ToolText(record.name, record.doc, params, aliases, record.questions)
