"""Short-term memory: the latest messages, in tokens of the model's own tokenizer; what no longer fits is handed to long-term memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rookery.core.label import NO_LABELS, Labels
from rookery.errors import WindowOverflow
from rookery.models.model import Message, Model, Request, Segment

if TYPE_CHECKING:
    from rookery.memory.memory import Memory

_EXCERPT = 400
"""Characters of a message that is too long for the window which stay in it."""
_PER_MESSAGE = 8
"""Tokens that a chat template adds to a message, at most, where the model does not count itself."""


@dataclass(slots=True)
class _Entry:
    message: Message
    tokens: int
    pinned: bool
    labels: Labels
    cut: bool = False
    """Only its beginning is here; all of it is in memory."""


class Window:
    """The messages that a model sees, never more than ``tokens`` of them together.

    Pinned messages and those of role ``system`` stay. A question and its answer leave together, and so do a tool call and its results; the
    question that is being answered stays until it is, if need be only its beginning. What leaves is kept in ``memory`` as an event; without
    a memory it is in ``left``.

    :param tokens: the budget, in tokens as ``model`` counts them; without a model in bytes of UTF-8 and 8 for each message, which no common
        tokenizer exceeds.
    :param session: what kept messages name as their session.
    """

    def __init__(self, *, tokens: int, memory: Memory | None = None, model: Model | None = None, session: str = "") -> None:
        self.tokens = tokens
        self.memory = memory
        self.session = session
        self.left: list[Message] = []
        """What has left, when there is no memory to keep it."""
        self._model = model
        self._entries: list[_Entry] = []
        self._number = 0

    @property
    def messages(self) -> tuple[Message, ...]:
        """What is in the window, oldest first."""
        return tuple(entry.message for entry in self._entries)

    @property
    def text(self) -> str:
        """All that is in the window, for :meth:`Memory.read`."""
        return "\n\n".join(entry.message.text for entry in self._entries)

    async def add(self, message: Message, *, pinned: bool = False, labels: Labels = NO_LABELS) -> None:
        """Add a message; older ones leave until all fit. One that alone is too long is kept whole in memory, and its beginning here.

        :raises WindowOverflow: what may not leave, or is pinned, does not fit; the window is as it was before.
        """
        before = [replace(entry) for entry in self._entries]
        entry = _Entry(message, await self._count(message), pinned or message.role == "system", labels)
        self._entries.append(entry)
        whole: list[_Entry] = []
        try:
            if entry.tokens + sum(each.tokens for each in before if each.pinned) > self.tokens:
                await self._shorten(entry, whole)
            while await self.used() > self.tokens:
                unit = self._oldest()
                if not unit:
                    await self._shorten(self._largest(entry), whole)
                    continue
                whole += [each for each in unit if not each.cut]
                self._entries = [each for each in self._entries if not any(each is one for one in unit)]
            await self._hand_over(whole)
        except BaseException:
            self._entries = before
            raise

    async def used(self) -> int:
        """Tokens of all that is in the window."""
        if self._model is None:
            return sum(entry.tokens for entry in self._entries)
        return await self._model.count_tokens(Request(self.messages)) if self._entries else 0

    async def recall(self, query: str, *, tokens: int) -> tuple[Message, ...]:
        """The window with what long-term memory has on a query, as a system message after those that are pinned, within ``tokens`` more.

        What is in the window anyway is left out.
        """
        if self.memory is None:
            return self.messages
        found = await self.memory.recall(query, tokens=tokens)
        seen = self.text
        lines = [each.line for each in found.found if each.item.text not in seen]
        if not lines:
            return self.messages
        from rookery.memory import quote

        at = next((place for place, entry in enumerate(self._entries) if not entry.pinned), len(self._entries))
        return (*self.messages[:at], Message.of("system", quote.block(lines)), *self.messages[at:])

    # -------------------------------------------------------------- what leaves

    def _units(self) -> list[list[_Entry]]:
        """What leaves together, oldest first: a tool call with its results; a question with its answer and what led to it.

        Of the exchange that is going on only finished tool calls may leave.
        """
        exchanges: list[list[_Entry]] = []
        for entry in self._entries:
            if entry.pinned:
                continue
            if entry.message.role == "user" or not exchanges:
                exchanges.append([])
            exchanges[-1].append(entry)
        units: list[list[_Entry]] = []
        for exchange in exchanges[:-1]:
            if units and exchange[0].message.role == "user" and all(entry.message.role == "user" for entry in units[-1]):
                units[-1] += exchange  # two messages in a row are one question
            else:
                units.append(list(exchange))
        if exchanges:
            units += self._finished_calls(exchanges[-1])
        return units

    def _finished_calls(self, exchange: Sequence[_Entry]) -> list[list[_Entry]]:
        calls: list[list[_Entry]] = []
        for entry in exchange:
            if entry.message.tool_calls:
                calls.append([entry])
            elif entry.message.role == "tool" and calls:
                calls[-1].append(entry)
        last = self._entries[-1]
        return [call for call in calls if not any(entry is last for entry in call)
                and {each.id for each in call[0].message.tool_calls} <= {entry.message.tool_call_id for entry in call[1:]}]

    def _oldest(self) -> list[_Entry]:
        units = self._units()
        return units[0] if units else []

    async def _hand_over(self, gone: Sequence[_Entry]) -> None:
        if self.memory is None:
            self.left += [entry.message for entry in gone]
            return
        from rookery.memory.item import Source
        from rookery.memory.memory import Note

        notes = []
        for entry in gone:
            self._number += 1
            text = _text_of(entry.message)
            if text.strip():
                source = Source(f"{self.session or 'window'}:{self._number}", entry.message.role, self.session)
                notes.append(Note(text, "event", source=source, labels=entry.labels, trust="untrusted" if entry.message.role == "tool" else "stated"))
        if notes:
            await self.memory.keep_many(notes)

    def _largest(self, last: _Entry) -> _Entry:
        """The largest message that may be cut, else the last one."""
        rest = [entry for entry in self._entries if not entry.pinned and entry.message.text not in ("", _CUT)]
        return max(rest, key=lambda entry: entry.tokens, default=last)

    async def _shorten(self, entry: _Entry, whole: list[_Entry]) -> None:
        """Keep only the beginning of a message here, half of what it was; ``whole`` gets all of it. Raises WindowOverflow."""
        text = entry.message.text.removesuffix(_CUT)
        if entry.pinned or self.memory is None or not entry.message.text or (entry.cut and not text):
            raise WindowOverflow(
                f"a message of {entry.tokens:,} tokens does not fit a window of {self.tokens:,} beside what may not leave", tokens=entry.tokens,
                limit=self.tokens, hint="a larger window, less that is pinned; or a memory, to which long messages can be handed")
        if not entry.cut:
            whole.append(replace(entry))
        short = text[: min(_EXCERPT, len(text) // 2)]
        entry.message = replace(entry.message, segments=(Segment(short + _CUT),))
        entry.tokens, entry.cut = await self._count(entry.message), True

    async def _count(self, message: Message) -> int:
        if self._model is not None:
            return await self._model.count_tokens(Request((message,)))
        calls = sum(len((call.name + call.arguments + call.id).encode()) + _PER_MESSAGE for call in message.tool_calls)
        return len(message.text.encode("utf-8", "surrogatepass")) + calls + _PER_MESSAGE


_CUT = "… (the rest is in memory)"


def _text_of(message: Message) -> str:
    calls = "; ".join(f"{call.name}({call.arguments})" for call in message.tool_calls)
    return "\n".join(part for part in (message.text, calls) if part)
