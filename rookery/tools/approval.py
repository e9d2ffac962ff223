"""Approval: a tool with effects runs where a policy allows the call, or a person says yes to its exact arguments; else it does not run."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from rookery.core.flow import ask
from rookery.core.function import Tool
from rookery.core.graph import Graph
from rookery.core.label import NO_LABELS, SECRET, UNTRUSTED, Labels
from rookery.core.passage import Passage
from rookery.core.tape import _live, is_live
from rookery.errors import ToolRefused

if TYPE_CHECKING:
    from rookery.engine.live import LiveScope

Test = Callable[[Tool[..., Any] | Graph, Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Allow:
    """Says which calls of tools with effects need no person's yes; joined by ``|`` (either), ``&`` (both) and ``~`` (not)."""

    test: Test

    def __call__(self, tool: Tool[..., Any] | Graph, arguments: Mapping[str, Any]) -> bool:
        return self.test(tool, arguments)

    def __or__(self, other: Allow) -> Allow:
        return Allow(lambda tool, arguments: self(tool, arguments) or other(tool, arguments))

    def __and__(self, other: Allow) -> Allow:
        return Allow(lambda tool, arguments: self(tool, arguments) and other(tool, arguments))

    def __invert__(self) -> Allow:
        return Allow(lambda tool, arguments: not self(tool, arguments))


allow_none = Allow(lambda tool, arguments: False)
"""A person is asked about each call."""
allow_all = Allow(lambda tool, arguments: True)
"""Nobody is asked."""


def allow(*names: str) -> Allow:
    """Calls of the tools whose names match one of the patterns (``github_*``, as in fnmatch, upper and lower case told apart)."""
    return Allow(lambda tool, arguments: any(fnmatchcase(tool.name, name) for name in names))


def allow_if(test: Callable[[Mapping[str, Any]], bool]) -> Allow:
    """Calls whose arguments pass a test; joined with ``&`` to the names it is meant for."""
    return Allow(lambda tool, arguments: test(arguments))


def gated(tool: Tool[..., Any], *, allow: Allow = allow_none) -> Tool[..., Any]:
    """The tool behind its gate; one without effects is given back as it is, one behind a gate gets another policy.

    Inside a run a call that ``allow`` does not let pass, or whose arguments or making are untrusted or secret and not cleared
    (``run(…, clearance=…)``), becomes a question to a person, with the tool's name, the exact arguments and where those labels came from;
    only what depends on the call waits, also over a restart, and a yes is for these arguments and this call alone.
    Its own policy (attempts, ``timeout_s``) is for what comes after the yes. Raises ToolRefused after a no, and where nobody can
    be asked: outside of a run.
    """
    if isinstance(tool.function, _Gate):
        tool = tool.function.tool
    if not tool.effect or isinstance(inspect.unwrap(tool.function), _Gate):  # one that somebody has wrapped since stands as it is
        return tool
    gate: Tool[..., Any] = Tool(
        _Gate(tool, allow), name=tool.name, labels=tool.labels, effect=True, doc=tool.doc, signature=(dict(tool.params), tool.returns),
        outside=tool.outside, doc_labels=tool.doc_labels, clears=tool.clears,
    )
    gate.asks = True
    return gate


def has_open_effects(graph: Graph) -> bool:
    """Whether a graph calls tools with effects that are behind no gate, itself or in the graphs that it calls."""
    for call in graph.call_list:
        function = call.function
        if isinstance(function, Graph):
            if has_open_effects(function):
                return True
        elif getattr(function, "effect", False) and not isinstance(inspect.unwrap(function.function), _Gate):
            return True
    return False


class _Gate:
    """What stands between a call and a tool with effects."""

    def __init__(self, tool: Tool[..., Any], allow: Allow) -> None:
        self.tool = tool
        self.allow = allow
        self.through = copy(tool)  # behind the gate nothing is held any more
        self.through.clears = frozenset({UNTRUSTED, SECRET})
        self.__module__, self.__qualname__ = getattr(tool.function, "__module__", ""), getattr(tool.function, "__qualname__", tool.name)

    async def __call__(self, **arguments: Any) -> Any:
        tool = self.tool
        if not is_live():
            if not self.allow(tool, arguments):
                raise ToolRefused(
                    f"{tool.name} changes the world outside and nobody can be asked here", tool=tool.name, hint="call it in a run, or give allow=…"
                )
            function = tool.function
            return await function(**arguments) if tool.is_async else await asyncio.to_thread(function, **arguments)
        live: LiveScope = _live.get()  # type: ignore[assignment]
        stopped = live.uncleared(frozenset({UNTRUSTED, SECRET}) - tool.clears)
        if stopped or not self.allow(tool, arguments):
            shown: Any = {"tool": tool.name, "arguments": _masked(arguments, live.argument_labels, tool)}
            if stopped:
                shown = _explaining(stopped)(**shown)
            if not await ask(bool, f"May {tool.name} be called with these arguments?", show=shown):
                raise ToolRefused(f"a person did not allow this call of {tool.name}", tool=tool.name, hint="do without it, or ask for something else")
        return await self.through(**arguments)


def _explaining(stopped: Sequence[Passage]) -> Tool[..., dict[str, Any]]:
    """What a person is shown of a call, with where its labels came from. A call itself: what is shown stays what it was, also when a process
    that has taken the run up knows less of how its values were made. Secrets are masked, so that it carries none."""

    async def explain(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"tool": tool, "arguments": arguments, "labels": [passage.text for passage in stopped]}

    return Tool(explain, drops=SECRET)


def _masked(arguments: Mapping[str, Any], labels: Mapping[str, Labels], tool: Tool[..., Any]) -> dict[str, Any]:
    """Arguments without those that are secret: they are shown to nobody and written nowhere."""
    own = {name: param.labels for name, param in tool.params.items()}
    return {name: "<secret>" if SECRET in labels.get(name, NO_LABELS) | own.get(name, NO_LABELS) else value for name, value in arguments.items()}
