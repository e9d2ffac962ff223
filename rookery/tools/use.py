"""How a model uses a library: which tools it is shown for a question, within a budget, and what it gets back for its calls."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rookery.core.types import show
from rookery.core.value import codec
from rookery.errors import LogError, ParseFailed, RookeryError, RunError, ToolFailed, ToolUnknown
from rookery.models.model import Message, Segment, ToolCall, ToolOffer
from rookery.tools.library import ToolLibrary
from rookery.tools.offer import offer, read_arguments
from rookery.tools.record import ToolRecord

Form = Literal["offers", "code", "signatures"]
"""How tools are shown: as offers that the model calls natively, as their sources, or as one line each."""
MAX_FAULTS = 5
"""So many calls that nothing could be done with are answered with their faults; the next one ends the conversation."""
MAX_REPLY_CHARS = 20_000


def tokens_at_most(text: str) -> int:
    """A number of tokens that no usual tokenizer exceeds by much: a third of the text's bytes."""
    return len(text.encode("utf-8", "replace")) // 3 + 1


@dataclass(frozen=True, slots=True)
class Choice:
    """The tools that are shown for a question, in the order of their admission."""

    library: ToolLibrary
    records: tuple[ToolRecord, ...]
    left_out: tuple[str, ...] = ()
    """Tools that were found and did not fit into the budget."""
    tokens: int = 0
    """What the shown ones take at most."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(record.name for record in self.records)

    @property
    def offers(self) -> tuple[ToolOffer, ...]:
        """For ``Request.tools``."""
        return tuple(offer(self.library.tool(record.name)) for record in self.records)

    @property
    def code(self) -> str:
        """Their sources, for a prompt whose model writes programs that call them."""
        return "\n\n".join(shown(record, "code") for record in self.records)

    @property
    def signatures(self) -> str:
        """One line each, with what they do."""
        return "\n".join(shown(record, "signatures") for record in self.records)


def shown(record: ToolRecord, form: Form) -> str:
    """A tool's text in a prompt."""
    if form == "code" and record.source:
        return record.source.rstrip()
    line = record.doc.strip().split("\n")[0]
    return f"{record.signature}" + (f"  # {line:.200}" if line else "")


async def choose(
    library: ToolLibrary, question: str, *, k: int = 8, max_tokens: int = 1500, form: Form = "offers",
    count: Callable[[str], int] = tokens_at_most, always: Iterable[str] = (),
) -> Choice:
    """The tools for a question: the best ``k`` that fit into ``max_tokens``, and ``always`` those named.

    They stand in the order in which they were admitted, whatever the question, so that prompts which share tools begin alike
    and a server's prefix cache stays warm. ``count`` gives the tokens of a text. Raises ToolUnknown for a name in ``always``.
    """
    wanted = [library.show(name) for name in always]
    hits = [library.show(hit.name) for hit in await library.search(question, k=k)]
    wanted += [record for record in hits if record.name not in {known.name for known in wanted}]
    taken: list[ToolRecord] = []
    left: list[str] = []
    total = 0
    for record in wanted:
        tokens = count(_offered(library, record) if form == "offers" else shown(record, form))
        if total + tokens > max_tokens:
            left.append(record.name)
            continue
        taken.append(record)
        total += tokens
    return Choice(library, tuple(sorted(taken, key=lambda record: record.number)), tuple(left), total)


def _offered(library: ToolLibrary, record: ToolRecord) -> str:
    told = offer(library.tool(record.name))
    return json.dumps([told.name, told.description, dict(told.arguments)])


class Calls:
    """Answers the calls that a model makes of a library's tools, in one conversation.

    What is wrong with a call goes back to the model as the tool's reply: an unknown tool, wrong arguments, a tool that failed.
    After ``max_faults`` of the first two kinds the next one raises. Tools with effects have to be behind their gate
    (``approval.gated``): give them as ``wrap=gated``.
    """

    def __init__(
        self, library: ToolLibrary, names: Sequence[str] = (), *, max_faults: int = MAX_FAULTS, wrap: Callable[[Any], Any] | None = None
    ) -> None:
        self.library = library
        self.names = tuple(names)
        """The tools that were offered; empty: all of the library."""
        self.max_faults = max_faults
        self.faults: list[str] = []
        self.used: list[str] = []
        """The tools that were called, in order."""
        self._wrap = wrap or (lambda tool: tool)

    async def answer(self, call: ToolCall) -> Message:
        """The reply to one call, for the model. Raises ToolFailed when there were too many faults, RunError when the run ends."""
        try:
            tool = self._wrap(self._tool(call.name))
            arguments = read_arguments(tool, call.arguments)
        except (ToolUnknown, ParseFailed) as error:
            return self._faulty(call, str(error))
        self.used.append(tool.name)
        try:
            value = tool.function(**arguments)
            value = await value if inspect.isawaitable(value) else value
            text = _as_text(value, tool.returns)
        except (RunError, LogError):  # the run itself is at its end
            raise
        except RookeryError as error:
            text = f"{tool.name} failed: {error.reason}"
        except Exception as error:  # what a tool raises is for the model to read
            text = f"{tool.name} failed: {type(error).__name__}: {error}"
        return Message("tool", (Segment(_cut(text), f"tools.{tool.name}"),), tool_call_id=call.id)

    def _tool(self, name: str) -> Any:
        if self.names and name not in self.names:
            raise ToolUnknown(f"no tool {name!r:.80} was offered", tool=name[:80], hint=f"there is {', '.join(self.names)}")
        return self.library.tool(name)

    def _faulty(self, call: ToolCall, fault: str) -> Message:
        self.faults.append(fault)
        if len(self.faults) > self.max_faults:
            said = f"{len(self.faults)} calls of the model could not be made; the last: {fault:.500}"
            raise ToolFailed(said, tool=call.name[:80], kind="calls")
        return Message("tool", (Segment(_cut(fault), "tools"),), tool_call_id=call.id)


def _as_text(value: Any, type_: Any) -> str:
    try:
        return value if isinstance(value, str) else codec(type_).dump(value).decode()
    except RookeryError:
        return show(value)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_REPLY_CHARS else f"{text[:MAX_REPLY_CHARS]}… ({len(text) - MAX_REPLY_CHARS} characters more)"
