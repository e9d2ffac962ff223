"""The tools of ``memory:``: keep, recall and history of a scope that may be named by the workflow's inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rookery.core.function import Tool
from rookery.core.graph import Param
from rookery.errors import ScopeInvalid
from rookery.workflows import format as form
from rookery.workflows.fault import meant
from rookery.workflows.scope import Shared
from rookery.workflows.text import Written, holes

if TYPE_CHECKING:
    from rookery.memory.memory import Memory

HIDDEN = "scope_"
"""The parameters that take the inputs which a scope is named by begin so; the workflow fills them in itself."""


def memory_tools(shared: Shared, spec: form.Memory) -> list[Tool[..., Any]]:
    """keep, recall and history; faults of the scope are noted."""
    reader = shared.reader
    node = spec.node.get("scope")
    if node is None:
        return []
    found = holes(Written(spec.scope, reader.document, node), reader, "memory.scope")
    names = list(dict.fromkeys(one.hole.name for one in found))
    for one in found:
        if one.hole.name not in shared.workflow.inputs or one.hole.path:
            hint = meant(one.hole.name, list(shared.workflow.inputs)) or "a scope is named by inputs"
            reader.fault(
                node, f"there is no input {str(one.hole)[1:-1]}", "memory.scope", hint=hint, kind="reference", start=one.start, length=one.length
            )
    path = _folder(shared, spec)
    names = [name for name in names if name in shared.workflow.inputs]
    if not found:
        try:
            _memory(path, spec, spec.scope)
        except ScopeInvalid as error:
            reader.fault(node, error.reason, "memory.scope", hint=error.hint, kind="value")
            return []
    return [_tool(shared, spec, path, name, names) for name in ("keep", "recall", "history")]


def _folder(shared: Shared, spec: form.Memory) -> Path:
    place = Path(spec.path).expanduser()
    return place if place.is_absolute() or shared.folder is None else shared.folder / place


def _memory(path: Path, spec: form.Memory, scope: str) -> Memory:
    from rookery.memory.memory import Memory

    return Memory(scope=scope, path=path, embedder=spec.embedder)


def memory_of(shared: Shared, spec: form.Memory) -> Callable[[str], Memory]:
    """From a scope to its memory."""
    path = _folder(shared, spec)
    return lambda scope: _memory(path, spec, scope)


def _tool(shared: Shared, spec: form.Memory, path: Path, name: str, names: list[str]) -> Tool[..., Any]:
    """One tool, its scope filled in at each call."""
    from rookery.core.label import UNTRUSTED
    from rookery.core.template import Template, as_text
    from rookery.memory import scope as scopes
    from rookery.memory.item import RECALLED

    first = {"keep": "text", "recall": "query", "history": "subject"}[name]
    template = Template.parse(spec.scope, path="memory.scope") if names and not shared.reader.faults else None

    async def call(**arguments: Any) -> str:
        given = {hole: arguments.pop(HIDDEN + hole) for hole in names}
        scope = (
            "".join(part if isinstance(part, str) else as_text(given[part.name]) for part in template.parts) if template is not None else spec.scope
        )
        memory = _memory(path, spec, scope)
        try:
            tool = next(each for each in memory.tools(tokens=spec.tokens) if each.name == name)
            return str(await tool.function(**arguments))
        finally:
            await memory.aclose()

    call.__name__ = call.__qualname__ = name
    params = {first: Param(first, str)} | ({"subject": Param("subject", str, "")} if name == "keep" else {})
    params |= {HIDDEN + hole: Param(HIDDEN + hole, _input_type(shared, hole)) for hole in names}
    labels = frozenset() if name == "keep" else frozenset({RECALLED, UNTRUSTED, *([] if names else [scopes.label(spec.scope)])})
    doc = {"keep": "Remember a fact, a preference or an event.", "recall": "Look up what is remembered about something.",
           "history": "What was held to be true about a subject over time, oldest first."}[name]  # fmt: skip
    return Tool(call, name=name, effect=name == "keep", doc=doc, labels=labels, signature=(params, str))


def _input_type(shared: Shared, name: str) -> Any:
    given = shared.workflow.inputs.get(name)
    text = given.type if isinstance(given, form.Input) else given
    return shared.type(text, None, "") if text is not None else Any
