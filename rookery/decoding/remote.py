"""Levels 2 and 3: a server writes, what it writes is followed letter by letter, and what is not allowed is written again under constraint."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import cast

from rookery.decoding.chooser import Chooser, allowed_names
from rookery.decoding.constraint import Names
from rookery.decoding.level import Task
from rookery.decoding.masked import Asking
from rookery.decoding.monitor import Constraint
from rookery.decoding.watch import State, Wake, Watch
from rookery.models.model import Chunk, Grammar, Message, Request, Stop, Usage
from rookery.models.server import Served, Server

LOOKED_AT = 64
"""So many letters of what is not allowed are read on, to see what the model meant."""
TRIES = 3
"""So often a place is written again before its end is forced."""
IGNORED = "the server ignored the grammar that it was sent"


@dataclass(frozen=True, slots=True)
class _Anchor:
    """Where a constraint began: what comes after is held back until it has let go."""

    state: State
    length: int
    """Of the text."""
    spans: int
    """How many constraints held before."""
    pieces: int
    """How many pieces of the stream had come."""


class Remote:
    """One reply that a server writes under a rule.

    Free text is streamed. Where a constraint holds and the model keeps to it, that costs nothing; where it does not, the text is cut back
    to where the constraint began and goes on from there: at level 2 with the constraint as a grammar, at level 3 (and where a server
    ignores its grammar) with a name that is chosen by tokens one at a time, or by likeness.
    """

    def __init__(self, task: Task, server: Server, *, pushes: bool) -> None:
        self._task = task
        self._server = server
        self._pushes = pushes
        self._watch = Watch(task.rule)
        self._asking = Asking(task.rule, task.desk, task.tally)
        self._text = ""
        self._shown = 0
        self._anchor: _Anchor | None = None
        self._is_watched = True
        """False once a promise is broken that cannot be mended here: the text stands, and is checked as a whole afterwards."""
        self._grammar: Grammar | None = None
        """What the request that is running was sent."""
        self._rejected = ""
        self._failures: dict[int, int] = {}
        """By the place: how often what was written there was not allowed."""
        self._pieces = 0
        self._usage = Usage()
        self._stop: Stop | None = None

    async def write(self) -> AsyncIterator[Chunk]:
        """The reply, held to the rule."""
        await self._begin(self._watch.opening())
        if self._pushes and self._watch.is_constrained:
            self._grammar = self._grammar_here()
            self._anchor = None  # the whole reply is under its grammar, and is shown as it comes
        while self._stop is None:
            async for chunk in self._ask():
                yield chunk
            if self._rejected or (self._stop == "end" and self._is_cut_short()):
                self._stop = None
                await self._mend()
                limit = self._task.request.sampling.max_tokens
                if limit is not None and self._usage.completion_tokens >= limit:
                    self._stop = "length"
        if len(self._text) > self._shown:
            yield Chunk(self._text[self._shown :])
        yield Chunk(stop=self._stop, usage=self._usage)

    # -------------------------------------------------------------- following

    async def _ask(self) -> AsyncIterator[Chunk]:
        """One request: its text as far as it may be shown. Ends with ``_stop`` set, or with ``_rejected``."""
        self._rejected = ""
        written = 0
        async with aclosing(cast("AsyncGenerator[Chunk]", self._task.model.stream(self._request()))) as reply:
            async for chunk in reply:
                written += bool(chunk.text)
                self._pieces += bool(chunk.text)
                self._stop = chunk.stop or self._stop
                if chunk.usage is not None:
                    self._usage, written = self._usage + chunk.usage, 0
                if not await self._read(chunk.text):
                    break
                shown = self._text[self._shown : self._safe()]
                if shown:
                    self._shown += len(shown)
                    yield Chunk(shown)
        # A reply that was broken off has no usage: a token a piece, and the prompt as far as it is known.
        self._usage += Usage(0, written)
        self._grammar = None

    async def _read(self, text: str) -> bool:
        """Take a piece of the stream; False when enough is known of what is not allowed."""
        for letter in text:
            if self._rejected:
                self._rejected += letter
                if len(self._rejected) > LOOKED_AT or not (letter.isalnum() or letter == "_"):
                    return False
            elif not await self._take(letter):
                if self._anchor is None:  # nothing to go back to: the text stands, and level 4 will see to it
                    self._is_watched = False
                    self._task.tally.note = self._task.tally.note or (IGNORED if self._grammar else "what holds from the start can't be mended")
                    self._text += letter
                    continue
                self._rejected = self._text[self._anchor.length :] + letter
                if not (letter.isalnum() or letter == "_"):
                    return False
        return True

    async def _take(self, letter: str) -> bool:
        if not self._is_watched:
            self._text += letter
            return True
        data = letter.encode("utf-8", "surrogatepass")
        wakes = self._watch.peek(data)
        if not self._watch.take(data):
            return False
        self._text += letter
        if self._anchor is not None and self._spans() <= self._anchor.spans:
            self._anchor = None
        if wakes:
            await self._begin(wakes)
        return True

    async def _begin(self, wakes: tuple[Wake, ...]) -> None:
        """Let constraints hold for those who woke; where one does, this is the place to go back to."""
        if not wakes:
            return
        before = self._spans()
        for wake in wakes:
            self._task.tally.woke(self._watch.leaves[wake.leaf].name)
        asked = tuple(wake for wake in wakes if wake.query.kind)
        facts = await self._asking.wait(asked) if asked else {}
        for wake in wakes:
            self._watch.begin(wake, facts.get(wake))
        if self._spans() > before:
            self._anchor = _Anchor(self._watch.state, len(self._text), before, self._pieces)

    def _spans(self) -> int:
        return sum(rule.mode.kind == "hard" for rule, _ in self._watch.spans())

    def _safe(self) -> int:
        """How much of the text will not be taken back."""
        return len(self._text) if self._anchor is None else self._anchor.length

    def _is_cut_short(self) -> bool:
        """The model has ended where a constraint that can be gone back to does not let it."""
        if self._anchor is None or self._watch.may_end:
            return False
        self._rejected = self._text[self._anchor.length :]
        return True

    # -------------------------------------------------------------- mending

    async def _mend(self) -> None:
        """Go back to where the constraint began, and see to it that what comes next is allowed."""
        anchor, tally = self._anchor, self._task.tally
        assert anchor is not None
        tally.forbidden += 1
        tally.rolled_back += max(0, self._pieces - anchor.pieces)
        was_pushed, rejected, self._rejected = anchor.length in self._failures, self._rejected, ""
        failures = self._failures[anchor.length] = self._failures.get(anchor.length, 0) + 1
        self._text, self._watch.state = self._text[: anchor.length], anchor.state
        if self._pushes and not was_pushed:
            self._grammar = self._grammar_here()
            if self._grammar is not None:
                return
            tally.note = tally.note or "no grammar of the server says what may follow here"
        elif self._pushes:
            tally.note = tally.note or IGNORED
        tally.level = max(tally.level, 3)
        chooser = Chooser(self._task.model, self._server, replace(self._request(), grammar=None), tally)
        name = await chooser.choose(allowed_names(self._watch), rejected)
        if not name:
            self._give_up("none of the names fits")
            return
        for letter in name:
            await self._take(letter)
        if failures > 1:
            await self._end_name(rejected, failures)

    async def _end_name(self, rejected: str, failures: int) -> None:
        """The model has gone on from a forced name in a way that is not allowed: what ends the name is forced too."""
        meant = next((letter for letter in rejected if not (letter.isalnum() or letter == "_")), " ")
        for letter in (meant, " ", "\n", "("):
            if await self._take(letter):
                return
        if self._watch.may_end:
            self._stop = "end"
        elif failures > TRIES:
            self._give_up("nothing that the model writes may follow")

    def _give_up(self, why: str) -> None:
        """Let the rest be written unwatched; the check afterwards finds it."""
        self._is_watched, self._anchor = False, None
        self._task.tally.note = self._task.tally.note or why

    # -------------------------------------------------------------- asking

    def _request(self) -> Request:
        """What is asked of the server now: the same question, to be gone on with from the text so far."""
        request = replace(self._task.request, grammar=self._grammar, schema=None if self._grammar else self._task.request.schema)
        limit = request.sampling.max_tokens
        if limit is not None:
            request = replace(request, sampling=replace(request.sampling, max_tokens=max(1, limit - self._usage.completion_tokens)))
        if not self._text:
            return request
        *before, last = request.messages
        if last.role == "assistant":
            return replace(request, messages=(*before, Message.of("assistant", last.text + self._text)))
        return request.with_message(Message.of("assistant", self._text))

    def _grammar_here(self) -> Grammar | None:
        """What holds here, in a form that the server takes."""
        return grammar_of(self._watch, self._server)


def grammar_of(watch: Watch, server: Server) -> Grammar | None:
    """The one constraint that holds, or several choices among names as one, as a grammar; None when it can't be said."""
    held: list[Constraint] = [span.constraint for rule, span in watch.spans() if rule.mode.kind == "hard"]
    if len(held) == 1:
        return held[0].grammar(server.grammars)
    names = [constraint for constraint in held if isinstance(constraint, Names)]
    if len(names) < len(held) or not held:
        return None
    found = allowed_names(watch)
    return Names(tuple(found), names[0].ends).grammar(server.grammars) if found else None


async def server_of(task: Task) -> Server | str:
    """What the server can do, or why nothing can be asked of it."""
    model, name = task.model, task.model.capabilities.name
    if not isinstance(model, Served):
        return f"no server that takes constraints answers for {name}"
    if task.request.tools:
        return "the request offers tools"
    if task.request.sampling.logprobs is not None:
        return "log-probabilities are asked for"
    return await model.server()


def opened(task: Task) -> Watch:
    """A watch in which all that holds from the start, and needs no facts, has begun."""
    watch = Watch(task.rule)
    for wake in watch.opening():
        if not wake.query.kind:
            watch.begin(wake, None)
    return watch


def cannot_go_on(task: Task, server: Server) -> str:
    """Why the server can't go on from the middle of this reply; empty when it can."""
    if not server.prefill:
        return f"{task.model.capabilities.name} does not go on from the middle of its reply"
    return "the server holds the reply to a schema already" if task.request.schema is not None else ""
