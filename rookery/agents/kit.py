"""The tools of an agent: which it has, which of them a question is shown, and what one use of a tool is: checked, gated, told as text."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rookery import errors
from rookery.agents.guard import Guard, Place, Said, passed
from rookery.agents.move import Seen, Use
from rookery.core.function import Prompt, Tool
from rookery.core.graph import Function, Graph
from rookery.core.label import NO_LABELS, Labels, join
from rookery.core.types import load_foreign, name_of, show
from rookery.core.value import codec, digest
from rookery.errors import (
    GraphFault,
    GuardRefused,
    LogError,
    NotSerialisable,
    ParseFailed,
    RookeryError,
    SecretNeeded,
    ToolError,
    ToolRefused,
    ToolUnknown,
)
from rookery.models.model import ToolOffer
from rookery.tools.approval import Allow, gated, has_open_effects
from rookery.tools.offer import offer, read_arguments

if TYPE_CHECKING:
    from rookery.memory.memory import Memory
    from rookery.tools.library import ToolLibrary

SHOWN = 16
"""Of a larger library so many tools are offered for a question: those that a search finds best."""
FIND = "find_tools"
"""The tool by which the model of an agent with a larger library looks for others."""
FOUND = 5
"""So many are found at a time."""
STORE_CHARS = 2_000
"""Longer results are also kept in the agent's memory, under their symbols."""
_SYMBOL = re.compile(r"<([^\W\d_][\w-]{0,63})>")
_PLACE = re.compile(r"(?:\b[A-Z]\w+: )?\bcall \S+ failed(?: after \d+ attempts)?: ")
FOR_THE_RUN = (SecretNeeded, LogError)
"""What no model can do anything about ends the agent, so that the run can be resumed once it is put right."""
_SETTINGS = ("SettingMissing", "SettingWrong", "ModelUnknown", "SecretNeeded")


class Kit:
    """The tools of one agent, by name.

    :param tools: a ToolLibrary; or Tools, prompts, graphs, agents and typed functions.
    :param allow: which calls of tools with effects need no person's yes.
    :param guard: checks arguments and results; what it stops is told to the model.
    """

    def __init__(self, tools: ToolLibrary | Sequence[Any], *, allow: Allow, memory: Memory | None, guard: Guard | None = None) -> None:
        self.allow = allow
        self.guard = guard
        self.memory = memory
        self.library: ToolLibrary | None = None
        self.tools: dict[str, Function] = {}
        self._uses: dict[str, Tool[..., Seen]] = {}
        self._offers: dict[str, ToolOffer] = {}
        self.faults: list[GraphFault] = []
        if hasattr(tools, "search") and hasattr(tools, "tool"):
            self.library = tools  # type: ignore[assignment]
        else:
            for given in tools:
                self._add(given)
        self._own = memory.tools() if memory is not None else []
        for own in self._own:
            self.tools.setdefault(own.name, own)

    def _add(self, given: Any) -> None:
        try:
            function = self.behind_gate(given if isinstance(given, Prompt | Tool | Graph) else _as_tool(given))
            if function.name in self.tools:
                raise GraphFault(f"tools.{function.name}", "there are two tools of this name", hint="rename one", kind="name")
            self._offers[function.name] = offer(function)  # type: ignore[arg-type]
            self.tools[function.name] = function
        except GraphFault as fault:
            self.faults.append(fault)
        except (NotSerialisable, ToolError) as error:
            name = getattr(given, "name", getattr(given, "__name__", "tool"))
            self.faults.append(GraphFault(f"tools.{name}", error.reason, hint=error.hint, kind="type"))

    def gate(self, function: Function) -> Function:
        """What stands in the place of a function with effects that a tool of its calls. Its own memory needs no gate: nobody is asked about
        each note. Raises ToolRefused for a graph whose effects nobody is asked about."""
        if any(function is own for own in self._own):
            return function
        try:
            return self.behind_gate(function)
        except GraphFault as fault:
            raise ToolRefused(f"{function.name} has effects that nobody is asked about", tool=function.name, hint=fault.hint) from fault

    def behind_gate(self, function: Function) -> Function:
        """The function as an agent may call it: with effects only behind a gate. Raises GraphFault for a graph with open effects."""
        if isinstance(function, Graph):
            if has_open_effects(function):
                hint = "put its tools behind their gates: gated(tool, allow=…)"
                raise GraphFault(f"tools.{function.name}", "it has effects that nobody is asked about", hint=hint, kind="gate")
            return function
        return gated(function, allow=self.allow) if isinstance(function, Tool) else function

    @property
    def names(self) -> list[str]:
        """All that it has, in their order."""
        own = [record.name for record in self.library if record.is_offered] if self.library is not None else []
        return [*own, *(name for name in self.tools if name not in own)]

    def find(self, name: str) -> Function | None:
        """A tool by name; None when there is none that can be called."""
        if name in self.tools:
            return self.tools[name]
        if name == FIND and self.library is not None:
            return self._finder
        if self.library is None or name not in self.library:
            return None
        try:
            return self.behind_gate(self.library.tool(name))
        except ToolError:
            return None

    def unknown(self, name: str) -> str:
        """What a model is told that calls a tool which is not there: those whose names are nearest."""
        names = self.names
        near = names if len(names) <= SHOWN else difflib.get_close_matches(name, names, n=5, cutoff=0.3)
        more = f", and {len(names) - len(near)} more" if len(near) < len(names) else ""
        return f"there is no tool {name!r:.80}; there is {', '.join(near) or 'none'}{more}"

    async def chosen(self, question: str) -> list[str]:
        """The names of the tools to offer for a question; from a large library those that fit it best, in the library's order."""
        if self.library is None or len(self.library) <= SHOWN:
            return self.names
        found = {hit.name for hit in await self.library.search(question, k=SHOWN)}
        return [*(name for name in self.names if name in found or name in self.tools), *([] if FIND in self.library else [FIND])]

    @cached_property
    def _finder(self) -> Tool[..., list[str]]:
        library = self.library
        assert library is not None

        async def find_tools(task: str) -> list[str]:
            """Look for further tools, by what they should do; those found can be used from then on."""
            return [hit.name for hit in await library.search(task, k=FOUND)]

        return Tool(find_tools)

    def offers(self, names: Sequence[str]) -> tuple[ToolOffer, ...]:
        """What a model is told of some of them."""
        found = []
        for name in names:
            tool = self.find(name)
            if name not in self._offers and tool is not None:
                self._offers[name] = offer(tool)  # type: ignore[arg-type]
            if tool is not None:
                found.append(self._offers[name])
        return tuple(found)

    def description_labels(self, names: Sequence[str]) -> Labels:
        """The labels of what a model is told of some of them: some descriptions are a server's words."""
        return join(getattr(self.find(name), "doc_labels", NO_LABELS) for name in names)

    def checked(self, name: str) -> Function:
        """A tool behind the guard, for graphs that call it. Raises ToolUnknown."""
        tool = self.find(name)
        if tool is None:
            raise ToolUnknown(self.unknown(name), tool=name[:80])
        guard = self.guard
        if guard is None or not (guard.covers("arguments") or guard.covers("result")):
            return tool

        async def call(**arguments: Any) -> Any:
            text = show(arguments)
            found = await self._checked_arguments(tool, text)
            value = await tool(**(arguments if found == text else read_arguments(tool, found)))  # type: ignore[operator]
            text = as_text(value, tool.returns)
            found = await passed(guard, Said("result", text, name))
            return value if found == text else read_redacted(found, tool.returns, guard, "result")

        labels: Labels = getattr(tool, "labels", NO_LABELS)
        return Tool(call, name=name, doc=getattr(tool, "doc", ""), signature=(dict(tool.params), tool.returns), labels=labels)

    # ---------------------------------------------------------------- one use

    def use(self, name: str) -> Tool[..., Seen] | None:
        """A use of a tool as a call of the run: whatever comes of it is a value, so that it is the same after a restart."""
        if name not in self._uses:
            tool = self.find(name)
            if tool is None:
                return None
            self._uses[name] = self._made(tool)
        return self._uses[name]

    def _made(self, tool: Function) -> Tool[..., Seen]:
        async def use(use: Use, given: list[Seen]) -> Seen:
            try:
                written = await self._filled(tool, use.arguments, given)
                arguments = read_arguments(tool, await self._checked_arguments(tool, written))
                value = await tool(**arguments)  # type: ignore[operator]
                text = await passed(self.guard, Said("result", as_text(value, tool.returns), use.tool))
            except RookeryError as error:
                if is_for_the_run(error):
                    raise
                return Seen(use.tool, told(error), id=use.id, failed=True)
            return Seen(use.tool, text, await self._named(use.tool, text), use.id)

        return Tool(use, name="use", labels=getattr(tool, "labels", NO_LABELS))

    async def _checked_arguments(self, tool: Function, written: Any) -> Any:
        if self.guard is None or not self.guard.covers("arguments"):
            return written
        text = written if isinstance(written, str) else json.dumps(written, ensure_ascii=False)
        found = await passed(self.guard, Said("arguments", text, tool.name))
        return written if found == text else found

    async def _filled(self, tool: Function, arguments: str, given: Sequence[Seen]) -> Any:
        """Arguments with what their symbols stand for; as they are where they have none or are no JSON."""
        if not _SYMBOL.search(arguments):
            return arguments
        try:
            data = json.loads(arguments)
        except ValueError:
            return arguments
        if not isinstance(data, dict):
            return arguments
        known = {seen.name: seen.text for seen in given}
        for name in set(_SYMBOL.findall(arguments)) - known.keys():
            if self.memory is not None and name in await self.memory.symbols():
                known[name] = await self.memory.symbol(name)
        params = tool.params
        return {key: _whole(_replaced(value, known), value, getattr(params.get(key), "type", str)) for key, value in data.items()}

    async def _named(self, tool: str, text: str) -> str:
        """The symbol of a result, by its content; a long one is kept in memory under it."""
        name = f"{_plain(tool)}-{digest(text.encode('utf-8', 'replace'))[:4]}"
        if self.memory is not None and len(text) > STORE_CHARS:
            from rookery.memory.symbol import escaped

            await self.memory.read(f"<|{name}|> {escaped(text)}", source=tool)
        return name


def symbols_in(arguments: str) -> list[str]:
    """The symbols that arguments mention."""
    return _SYMBOL.findall(arguments)


def is_for_the_run(error: RookeryError) -> bool:
    """Whether an error is nothing that the model could work around: a setting, a secret, the log, a model that does not answer."""
    if isinstance(error, FOR_THE_RUN):
        return True
    kind = getattr(error, "kind", "") or type(error).__name__
    known = getattr(errors, kind, None)
    return kind in _SETTINGS or (isinstance(known, type) and issubclass(known, errors.ModelError) and known.retryable)


def told(error: RookeryError) -> str:
    """An error for the model to read: what went wrong, without the place of the call."""
    said = _PLACE.sub("", error.reason)
    return f"{said}\n{error.hint}" if error.hint else said


def as_text(value: Any, type_: Any) -> str:
    """A tool's value as a model is shown it."""
    if isinstance(value, str):
        return value
    try:
        return codec(type_).dump(value).decode()
    except RookeryError:
        return show(value)


def read_redacted(text: str, type_: Any, guard: Guard, place: Place) -> Any:
    """A value of a type that a guard has redacted. Raises GuardRefused where what is left of it is none."""
    if type_ is str:
        return text
    try:
        return load_foreign(text.encode("utf-8", "replace"), type_)
    except ParseFailed as error:
        said = f"guard {guard.name} redacted the {place} to what is no {name_of(type_)}"
        raise GuardRefused(said, guard=guard.name, place=place, hint="let it refuse, or redact within texts only") from error


def _as_tool(given: Any) -> Tool[..., Any]:
    from rookery.tools.describe import describe

    if not callable(given):
        raise GraphFault("tools", f"{given!r:.60} is no tool", hint="give tools, prompts, graphs, agents or typed functions", kind="type")
    _, made = describe(given)
    assert made is not None
    return made


def _replaced(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _SYMBOL.sub(lambda found: known.get(found[1], found[0]), value)
    if isinstance(value, list):
        return [_replaced(item, known) for item in value]
    return {key: _replaced(item, known) for key, item in value.items()} if isinstance(value, dict) else value


def _whole(value: Any, written: Any, type_: Any) -> Any:
    """A result that stands for a whole argument which is no text: its JSON."""
    if type_ is str or value == written or not isinstance(written, str) or not _SYMBOL.fullmatch(written):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _plain(name: str) -> str:
    found = re.sub(r"[^\w-]+", "-", name)[:40].strip("-_") or "tool"
    return found if found[0].isalpha() else f"t{found}"
