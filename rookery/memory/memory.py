"""The door: what one scope remembers. ``keep``, ``recall``, ``history``, ``forget``, symbols, diffs, and the tools that agents get."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rookery.core.label import NO_LABELS, Labels
from rookery.errors import ItemUnfit, ItemUnknown, ModelError, ScopeInvalid, VectorsUnavailable
from rookery.memory import scope as scopes
from rookery.memory.item import (
    FOREVER,
    RECALLED,
    Belief,
    Change,
    Forgotten,
    Item,
    Kept,
    Kind,
    Moment,
    Reading,
    Recalled,
    Recollection,
    Source,
    Trust,
    VectorStore,
    seconds,
)
from rookery.memory.store import Durability

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rookery.core.function import Tool
    from rookery.memory.archive import Archive, Ready
    from rookery.memory.window import Window
    from rookery.memory.write import Draft
    from rookery.models.embedder import Embedder
    from rookery.models.model import Model

FOLDER = "~/.rookery/memory"
MAX_FOUND = 200
_WORST_LINE = 20
"""No line of a recollection has fewer tokens than this."""
_PATIENCE = 3
"""After so many lines that no longer fit, the budget counts as used up."""


@dataclass(frozen=True, slots=True)
class Note:
    """A text with what is known of it, for :meth:`Memory.keep_many`; the fields are those of :meth:`Memory.keep`."""

    text: str
    kind: Kind = "fact"
    at: Moment | None = None
    source: Source | str | None = None
    subject: str = ""
    valid_to: Moment | None = None
    confidence: float = 1.0
    trust: Trust = "stated"
    labels: Labels = NO_LABELS
    links: tuple[str, ...] = ()


class Memory:
    """What one scope remembers, in a folder: SQLite for what was said, vectors in Chroma. Nothing is opened before the first call.

    Memories of one process on one folder share what is open. Use it as an async context manager, or call ``aclose``.

    :param scope: whose memory it is, for example ``user:ada``. Nothing of another scope can be seen or changed through it.
    :param vectors: the address of a Chroma server (``http://HOST:8000``), or a VectorStore; a folder of Chroma beside the store by default.
    :param embedder: as in :func:`rookery.models.embedder.embedder`; the one that ships with rookery by default.
    :param model: whose tokens are counted; without one, a token is a byte of UTF-8, which no common tokenizer exceeds.
    :param durable: ``power`` waits until a write is on the disk; ``process`` survives everything but a power cut.
    :param clock: seconds since 1970; recorded times grow even where it goes backwards.
    :raises ScopeInvalid: the scope has no proper name.
    """

    def __init__(
        self, *, scope: str, path: str | Path = FOLDER, vectors: VectorStore | str | None = None, embedder: Embedder | str | None = None,
        model: Model | None = None, durable: Durability = "process", clock: Callable[[], float] = time.time,
    ) -> None:
        self.scope = scopes.checked(scope)
        self.path = Path(path)
        self._options: dict[str, Any] = {"vectors": vectors, "durable": durable}
        self._embedder_spec = embedder
        self._model = model
        self._clock = clock
        self._archive: Archive | None = None
        self._embedder: Embedder | None = None
        self._checked = False

    def within(self, scope: str) -> Memory:
        """The memory of another scope with the same options. Raises ScopeInvalid."""
        return Memory(scope=scope, path=self.path, embedder=self._embedder or self._embedder_spec, model=self._model, clock=self._clock,
                      **self._options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give the files back; twice is fine, and the next call opens them again. What was kept is safe without it."""
        from rookery.memory.archive import released

        archive, self._archive = self._archive, None
        if archive is not None:
            await asyncio.to_thread(released, archive)

    async def _opened(self) -> Archive:
        if self._archive is None:
            from rookery.memory.archive import opened, released

            archive = await asyncio.to_thread(lambda: opened(self.path, **self._options))
            if self._archive is None:
                self._archive = archive
            else:  # another task was faster
                released(archive)
        return self._archive

    @property
    def repairs(self) -> tuple[str, ...]:
        """What was found damaged since it was opened, and what was saved; a sentence each."""
        return tuple(self._archive.repairs) if self._archive is not None else ()

    # -------------------------------------------------------------- writing

    async def keep(
        self, text: str, *, at: Moment | None = None, source: Source | str | None = None, kind: Kind = "fact", subject: str = "",
        valid_to: Moment | None = None, confidence: float = 1.0, trust: Trust = "stated", labels: Labels = NO_LABELS,
        links: Sequence[str] = (),
    ) -> Kept:
        """Keep a text; it is durable, and found by its words, when this returns. No model is asked.

        What says the same as an item that holds is merged into it; a newer statement about the same subject ends the validity of the older one
        (facts and preferences only); what was recalled from here is not kept again.

        :param at: since when it holds, or when it was said; now by default.
        :param subject: what it is about (``lab meeting``, ``ada / city``); read from the text by rules where it is not given.
        :param valid_to: until when it holds, where that is known already.
        :param trust: ``untrusted`` for what came from outside; so is anything labelled so. It never ends what was stated.
        :raises ItemUnfit: the text is empty, longer than a million characters or no whole text; times or numbers make no sense.
        :raises MemoryFull: the disk is full; nothing was kept.
        """
        note = Note(text, kind, at, source, subject, valid_to, confidence, trust, labels, tuple(links))
        return (await self.keep_many([note]))[0]

    async def keep_many(self, notes: Iterable[Note | str]) -> list[Kept]:
        """Keep several texts in one write to the disk: all of them, or none. Raises as ``keep``."""
        from rookery.memory import flow, write

        given = [Note(note) if isinstance(note, str) else note for note in notes]
        drafts = [self._draft(replace(note, labels=flow.written(self.scope, note.labels))) for note in given]
        archive = await self._opened()
        return await archive.do(lambda: write.keep(archive.store, self.scope, drafts, self._clock()))

    def _draft(self, note: Note) -> Draft:
        from rookery.memory.write import Draft, checked

        return checked(Draft(
            note.text, note.kind, note.subject, Source.of(note.source), None if note.at is None else seconds(note.at),
            FOREVER if note.valid_to is None else seconds(note.valid_to), note.confidence, note.trust, note.labels,
            note.links), self.scope)  # fmt: skip

    # -------------------------------------------------------------- recalling

    async def recall(
        self, query: str, *, tokens: int = 1_000, k: int = 50, as_of: Moment | None = None, known_at: Moment | None = None,
        kinds: Sequence[Kind] | None = None, secrets: bool = False,
    ) -> Recollection:
        """What is remembered about something, best first, quoted with source and date, in at most ``tokens`` tokens and ``k`` items.

        What no longer holds comes after what replaced it, and says so.

        :param as_of: only what held at this time.
        :param known_at: only what was recorded by then, and as it was believed then.
        :param secrets: items that are labelled secret as well.
        :raises EmbedderMismatch: the vectors were made by another embedder.
        """
        from rookery.memory import flow, look, quote, rank, when

        archive = await self._opened()
        now = seconds(as_of) if as_of is not None else seconds(known_at) if known_at is not None else self._clock()
        vector, ready, words_only = await self._prepare(archive, query)
        if ready is None:
            return Recollection((), "", 0, frozenset({RECALLED, scopes.label(self.scope)}))
        near: Callable[[], Sequence[str]] = tuple
        if vector is not None and len(ready.shelf) > rank.WHOLE:
            near = await archive.do(archive.near, ready, vector, rank.POOL)
        question = look.Ask(self.scope, query, vector, as_of is not None, None if known_at is None else seconds(known_at), now, tuple(kinds or ()),
                        when.intervals(query, now), min(k, MAX_FOUND, max(0, tokens) // _WORST_LINE), secrets)
        try:
            found = await archive.do(question.found, archive, ready, near)
        except VectorsUnavailable:
            words_only = True
            found = await archive.do(question.found, archive, ready, tuple)
        lines = [replace(each, line=quote.line(each.item, now)) for each in found]
        kept, text, used = await self._packed(lines, tokens)
        labels = flow.labels_of(self.scope, [each.item for each in kept])
        flow.looked(self.scope, labels)
        return Recollection(tuple(kept), text, used, labels, words_only)

    async def _prepare(self, archive: Archive, query: str) -> tuple[NDArray[np.float32] | None, Ready | None, bool]:
        """The vector of the query and the shelf, with vectors for what is new; without one (and True) where the embedder can't be reached."""
        ready = await archive.do(archive.ready, self.scope)
        if ready is None:
            return None, None, False
        embedder = await self._embed_with(archive)
        try:
            if ready.waiting:
                vectors = await embedder.embed([text for _, text in ready.waiting])
                await archive.do(archive.take_vectors, self.scope, [uid for uid, _ in ready.waiting], vectors)
            return (await embedder.embed([query], purpose="query"))[0], ready, False
        except ModelError as error:
            if not error.retryable:
                raise
            return None, ready, True

    async def _embed_with(self, archive: Archive) -> Embedder:
        if self._embedder is None:
            from rookery.models.embedder import embedder

            self._embedder = embedder(self._embedder_spec)
        if not self._checked:
            await archive.do(archive.check_embedder, self._embedder.fingerprint)
            self._checked = True
        return self._embedder

    async def count(self, text: str) -> int:
        """The tokens of a text: the model's own count, or its bytes in UTF-8."""
        if self._model is None:
            return len(text.encode("utf-8", "surrogatepass"))
        from rookery.models.model import Message, Request

        return await self._model.count_tokens(Request((Message.of("user", text),)))

    async def _packed(self, lines: list[Recalled], tokens: int) -> tuple[list[Recalled], str, int]:
        """As many lines as fit, best first; of a first one that is too long its beginning."""
        from rookery.memory import quote

        kept: list[Recalled] = []
        room = tokens - await self.count(quote.HEAD)
        missed = 0
        for each in lines:
            cost = await self.count("\n" + each.line)
            if cost > room and not kept:
                each = await self._shortened(each, room)
                cost = await self.count("\n" + each.line) if each.line else room + 1
            if cost > room:
                missed += 1
                if missed >= _PATIENCE:
                    break
                continue
            kept.append(each)
            room -= cost
        text = quote.block([each.line for each in kept])
        while kept and (used := await self.count(text)) > tokens:
            kept.pop()
            text = quote.block([each.line for each in kept])
        return kept, text, used if kept else 0

    async def _shortened(self, found: Recalled, room: int) -> Recalled:
        """The item's beginning, as much as fits; an empty line when not even some words do."""
        from rookery.memory import quote

        text, low, high, best = found.item.text, 0, len(found.item.text), ""
        while high - low > 8:
            middle = (low + high) // 2
            line = quote.line(replace(found.item, text=f"{text[:middle]}… ({len(text) - middle:,} more characters)"))
            if await self.count("\n" + line) <= room:
                low, best = middle, line
            else:
                high = middle
        return replace(found, line=best)

    async def rivals(self, text: str, *, k: int = 10) -> list[Item]:
        """Facts and preferences that may be older statements of the same thing, likeliest first; to look at before one contradicts them."""
        from rookery.memory import rank, subject

        archive = await self._opened()
        vector, ready, _ = await self._prepare(archive, text)
        if ready is None:
            return []
        shelf = ready.shelf
        slots = await archive.do(rank.rivals, shelf, text, subject.read(text), k, vector)
        return self._looked(await archive.do(lambda: archive.store.items(self.scope, [shelf.slots.id(slot) for slot in slots.tolist()])))

    # -------------------------------------------------------------- looking back

    async def history(self, subject: str) -> list[Belief]:
        """What was held to be true about a subject, oldest first, and what replaced it when.

        ``subject`` as it was given to ``keep``, ``ada / city``, or a question such as ``where does Ada live?``.
        """
        from rookery.memory import look

        archive = await self._opened()
        found = await archive.do(look.history, archive, self.scope, look.subjects_of(subject))
        self._looked([belief.item for belief in found])
        return found

    async def current(self, subject: str, *, as_of: Moment | None = None, known_at: Moment | None = None) -> Item | None:
        """The statement about a subject that holds now, or held at a time, as it is known now or was known at a time."""
        from rookery.memory import look

        archive = await self._opened()
        known = None if known_at is None else seconds(known_at)
        now = seconds(as_of) if as_of is not None else known if known is not None else self._clock()
        found = await archive.do(look.current, archive, self.scope, look.subjects_of(subject), now, known)
        self._looked([found] if found is not None else [])
        return found

    async def show(self, id: str) -> Item:
        """One item. Raises ItemUnknown."""
        archive = await self._opened()
        found = await archive.do(lambda: archive.store.item(self.scope, id))
        if found is None:
            raise ItemUnknown(f"there is no item {id!r:.40} in {self.scope}", scope=self.scope, hint="`rookery memory list` has those there are")
        self._looked([found])
        return found

    async def items(self, *, limit: int = 1_000, kinds: Sequence[Kind] | None = None) -> list[Item]:
        """The latest items, newest first."""
        from rookery.memory import look

        archive = await self._opened()
        return self._looked(await archive.do(look.latest, archive, self.scope, limit, tuple(kinds or ())))

    def _looked(self, items: list[Item]) -> list[Item]:
        """These items were shown to the code that runs."""
        from rookery.memory import flow

        flow.looked(self.scope, flow.labels_of(self.scope, items) if items else NO_LABELS)
        return items

    async def diff(self, write: int | None = None, *, item: str | None = None, limit: int = 100) -> list[Change]:
        """The latest changes, oldest first; of one write, or of one item."""
        archive = await self._opened()
        return await archive.do(lambda: archive.store.changes(self.scope, write=write, item=item, limit=limit))

    async def revert(self, write: int) -> int:
        """Undo a write, by a new write whose number this gives; that one can be reverted too.

        :raises ItemUnknown: there is no such write here, or what it wrote was changed or forgotten since.
        """
        from rookery.memory import write as writing

        archive = await self._opened()
        return await archive.do(lambda: writing.revert(archive.store, self.scope, write, self._clock()))

    async def export(self) -> AsyncIterator[dict[str, Any]]:
        """All items that hold or held, as plain data, oldest first; ``keep_many`` of their fields builds them again."""
        from rookery.memory import look

        archive = await self._opened()
        after = 0
        while page := await archive.do(look.page, archive, self.scope, after):
            for _, item in page:
                yield look.plain(item)
            after = page[-1][0]

    # -------------------------------------------------------------- forgetting

    async def forget(self, *, scope: str | None = None, ids: Sequence[str] = (), source: str | None = None) -> Forgotten:
        """Delete without a trace in store, indexes, summaries and exports: items by id or by source, or all (``scope``, to say that it is meant).

        Summaries that were made from what goes, go too. Vectors leave the vector store as soon as it answers.

        :raises ScopeInvalid: ``scope`` is another one than this memory's.
        :raises ItemUnfit: nothing says what to forget.
        """
        if scope is not None and scope != self.scope:
            raise ScopeInvalid(f"this is the memory of {self.scope}, not of {scope!r:.80}", scope=self.scope, hint="open the memory of that scope")
        if scope is None and not ids and source is None:
            raise ItemUnfit("nothing says what to forget", scope=self.scope, hint="ids=, source=, or scope= for everything")
        from rookery.memory import look

        archive = await self._opened()
        return await archive.do(look.forget, archive, self.scope, None if scope is not None else tuple(ids), source, self._clock())

    # -------------------------------------------------------------- symbols

    async def read(self, message: str, *, window: str = "", source: Source | str | None = None, labels: Labels = NO_LABELS) -> Reading:
        """Read the symbols of a message: ``<|route|>`` stores what follows, ``<route>`` brings it back, exactly.

        What is in ``window`` (the text that the model sees anyway) already is not brought back again; what was labelled untrusted comes back
        as a quotation.

        :raises ItemUnfit: a symbol stores nothing, or what can't be kept.
        """
        from rookery.memory import flow, symbols

        archive = await self._opened()
        labels = flow.written(self.scope, labels)
        found = await archive.do(symbols.read, archive.store, self.scope, message, window, Source.of(source), labels, self._clock())
        flow.looked(self.scope, found.labels)
        return found

    async def symbol(self, name: str, version: int | None = None) -> str:
        """The text under a symbol, the newest or a given version. Raises ItemUnknown."""
        from rookery.memory import symbols

        archive = await self._opened()
        found = await archive.do(symbols.find, archive.store, self.scope, name, version)
        self._looked([found])
        return found.text

    async def symbols(self) -> dict[str, int]:
        """The names of the symbols of this scope with how many versions each has."""
        from rookery.memory import symbols

        archive = await self._opened()
        return await archive.do(symbols.listed, archive.store, self.scope)

    async def program(self, name: str, version: int | None = None, **options: Any) -> Tool[..., Any]:
        """The program under a symbol as a Tool; each call runs in a sandbox. ``options`` as in ``from_source``.

        :raises ItemUnknown: there is no such symbol.
        :raises ToolUnfit: what is stored is no function with a typed signature.
        """
        from rookery.memory.symbol import program_in
        from rookery.tools.source import from_source

        text = await self.symbol(name, version)
        return from_source(program_in(text) or text, **options)

    # -------------------------------------------------------------- for programs and agents

    def tools(self, *, tokens: int = 1_000, source: Source | str | None = None) -> list[Tool[..., Any]]:
        """``keep``, ``recall`` and ``history`` as Tools for graphs and agents; what they give is labelled ``recalled``, and as the
        items are.

        :param tokens: the budget of one recall.
        :param source: what kept items name as theirs; kept as ``untrusted``, since a model wrote them.
        """
        from rookery.memory.offer import tools

        return tools(self, tokens=tokens, source=source)

    def window(self, *, tokens: int, model: Model | None = None, session: str = "") -> Window:
        """A short-term window over this memory: what leaves it is kept here. ``model`` counts; else this memory's, else bytes."""
        from rookery.memory.window import Window

        return Window(tokens=tokens, memory=self, model=model or self._model, session=session)

    def over(self, model: Model) -> Model:
        """The model with this memory's symbols: in all that it is asked they are stored and brought back."""
        from rookery.memory.offer import SymbolModel

        return SymbolModel(self, model)

    # -------------------------------------------------------------- upkeep

    async def settle(self) -> None:
        """Wait until all that was kept has its vector and the vector store has them all; recalls do without waiting.

        :raises VectorsUnavailable: the store does not answer; nothing is lost.
        """
        archive = await self._opened()
        embedder = await self._embed_with(archive)
        ready = await archive.do(archive.ready, self.scope)
        while ready is not None and ready.waiting:
            vectors = await embedder.embed([text for _, text in ready.waiting])
            await archive.do(archive.take_vectors, self.scope, [uid for uid, _ in ready.waiting], vectors)
            ready = await archive.do(archive.ready, self.scope)
        try:
            await asyncio.wrap_future(archive.outbox.drain())
        except VectorsUnavailable:
            if not await archive.do(archive.restore_vectors):
                raise
            await asyncio.wrap_future(archive.outbox.drain())

    async def reindex(self) -> int:
        """Build all indexes of the folder, for all scopes, anew from the store, with this memory's embedder; how many vectors there are.

        :raises VectorsUnavailable: the vector store does not answer; what is to be done stays noted.
        """
        from rookery.models.embedder import embedder

        archive = await self._opened()
        self._embedder = self._embedder or embedder(self._embedder_spec)
        await archive.do(lambda: archive.rebuild(embedder=self._embedder.fingerprint if self._embedder else ""))
        self._checked = True
        names = await archive.do(archive.store.scopes)
        for name, _ in names:
            other = self.within(name)
            await other.settle()
            await other.aclose()
        return int((await archive.do(archive.store.rows, "SELECT count(*) FROM vector"))[0][0])
