"""What stands between a library's record and the tool that is called: counting, the names of merged tools, a sandbox made at the first need."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from typing import Any

from rookery.core.function import Tool
from rookery.tools.record import Alias, ToolRecord
from rookery.tools.sandbox import Door, Outcome, Program, Sandbox, SandboxFacts, SandboxLimit
from rookery.tools.source import signature_of_source


def counted(tool: Tool[..., Any], note: Callable[[bool], None]) -> Tool[..., Any]:
    """The tool, which tells of each call whether it gave a value; of one that was cancelled it tells nothing."""
    function, other = tool.function, copy(tool)

    @functools.wraps(function)
    async def waited(*args: Any, **kwargs: Any) -> Any:
        with _told(note):
            return await function(*args, **kwargs)

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        with _told(note):
            return function(*args, **kwargs)

    other.function = waited if tool.is_async else called
    return other


@contextmanager
def _told(note: Callable[[bool], None]) -> Iterator[None]:
    try:
        yield
    except Exception:
        note(False)
        raise
    note(True)


def through_alias(alias: Alias, survivor: Tool[..., Any], dropped: ToolRecord) -> Tool[..., Any]:
    """A tool with the name and signature of one that was merged away, whose calls are made of its survivor."""

    async def call(**arguments: Any) -> Any:
        value = survivor.function(**alias.translated(arguments))
        return await value if inspect.isawaitable(value) else value

    _, doc, signature = signature_of_source(dropped.source, dropped.name)
    made: Tool[..., Any] = Tool(
        call, name=alias.name, doc=doc, signature=signature, effect=survivor.effect, labels=survivor.labels, outside=survivor.outside,
        doc_labels=survivor.doc_labels, clears=survivor.clears,
    )
    made.asks = survivor.asks
    return made


def then(alias: Alias, next_: Alias) -> Alias:
    """The alias of a tool whose survivor was merged away itself."""
    arguments = {old: next_.arguments.get(new, new) for old, new in alias.arguments.items()}
    inner = {name: value for name, value in next_.defaults.items() if name not in alias.arguments.values()}
    return Alias(alias.name, next_.survivor, arguments, {**alias.defaults, **inner})


class LateSandbox:
    """A sandbox that is made when something first runs in it, and that its maker closes."""

    def __init__(self, make: Callable[[], Sandbox]) -> None:
        self._make = make

    @property
    def facts(self) -> SandboxFacts:
        return self._make().facts

    async def run(self, program: Program, *, limit: SandboxLimit | None = None, doors: Mapping[str, Door] | None = None) -> Outcome:
        return await self._make().run(program, limit=limit, doors=doors)

    async def aclose(self) -> None:
        """Nothing here is its own."""
