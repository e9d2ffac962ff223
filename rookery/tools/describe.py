"""From a function, a Tool or source text to the record that a library keeps of it; what cannot be a tool is told with all reasons."""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable
from copy import copy
from typing import Any

from rookery.core.function import Tool
from rookery.core.graph import MISSING, Graph
from rookery.core.signature import read_signature
from rookery.errors import ToolUnfit
from rookery.tools.record import NAME, ToolRecord
from rookery.tools.source import schemas_of, signature_of_source

Subject = Callable[..., Any] | Tool[..., Any] | str
"""What can be a tool: a typed function, a Tool, or Python source (which only ever runs in a sandbox)."""


def describe(subject: Subject, name: str = "") -> tuple[ToolRecord, Tool[..., Any] | None]:
    """A subject as a candidate's record without calls, and the Tool that runs in this process, if there is one. Raises ToolUnfit."""
    record, tool = _of_source(subject, name) if isinstance(subject, str) else _of_function(subject, name)
    if not NAME.fullmatch(record.name):
        raise ToolUnfit(f"{record.name!r:.80} is no name for a tool", tool=record.name[:80], hint="letters, digits, _ . - and /, 128 at most")
    return record, tool


def _of_source(source: str, name: str) -> tuple[ToolRecord, None]:
    found, doc, signature = signature_of_source(source, name)
    params, returns = schemas_of(signature)
    return ToolRecord(found, source, doc, params, returns, "source"), None


def _of_function(subject: Any, name: str) -> tuple[ToolRecord, Tool[..., Any]]:
    if isinstance(subject, Graph):
        raise ToolUnfit(f"{subject.name} is a graph", tool=subject.name, hint="wrap it: an async function that awaits it")
    if not callable(subject):
        raise ToolUnfit(f"{subject!r:.60} can't be a tool", hint="give a typed function, a Tool, or Python source")
    tool = subject if isinstance(subject, Tool) else Tool(subject, name=name or None)
    if name and tool.name != name:
        tool = copy(tool)
        tool.name = tool.__name__ = name
    if tool.given is None:
        _, given, found = read_signature(tool.function, path=tool.name)
        faults = [(fault.path.removeprefix(tool.name).strip(".") or "signature", fault.fault) for fault in found]
        if given is MISSING:
            faults.append(("return", f"no annotation; write def {tool.name}(…) -> str: …, or its type"))
        if faults:
            raise ToolUnfit(f"{tool.name} can't be a tool", tool=tool.name, faults=faults)
    params, returns = schemas_of((dict(tool.params), tool.returns))
    source = getattr(tool, "source", "") or _source_of(tool)
    record = ToolRecord(tool.name, source, tool.doc, params, returns, tool.origin, labels=tool.labels, effect=tool.effect)
    return record, tool


def _source_of(tool: Tool[..., Any]) -> str:
    """The source of a function, where it stands for itself and is called by the tool's name; else nothing."""
    function = inspect.unwrap(tool.function)
    if not inspect.isfunction(function) or function.__name__ != tool.name:
        return ""
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return ""
    return _alone(text, tool.name)


def _alone(text: str, name: str) -> str:
    """A function's source without its decorators, if it needs nothing from around it; else nothing."""
    try:
        tree = ast.parse(text)
        function = tree.body[0]
        if not isinstance(function, ast.FunctionDef) or len(tree.body) != 1:
            return ""
        text = "\n".join(text.splitlines()[function.lineno - 1 :]) + "\n"
        signature_of_source(text, name)
    except (SyntaxError, ToolUnfit, IndexError):
        return ""
    hints = [node.annotation for node in ast.walk(function) if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation]
    hints += [function.returns] if function.returns else []
    in_hints = {id(node) for hint in hints for node in ast.walk(hint)}
    used = [(node.id, id(node) in in_hints) for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    free = {(word, hinted) for word, hinted in used if word not in _bound(function) and not hasattr(builtins, word)}
    if any(not hinted for _, hinted in free):
        return ""
    return f"from __future__ import annotations\n\n\n{text}" if free else text


def _bound(function: ast.FunctionDef) -> set[str]:
    names = {function.name}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.ExceptHandler) and node.name:
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
    return names


def check_examples(record: ToolRecord) -> None:
    """Raises ToolUnfit when a stored call has arguments that the tool does not take."""
    faults: list[tuple[str, str]] = []
    for number, example in enumerate(record.examples):
        unknown = [name for name in example.arguments if name not in record.params]
        missing = [name for name, schema in record.params.items() if "default" not in schema and name not in example.arguments]
        if unknown or missing:
            what = [*(f"there is no parameter {name}" for name in unknown), *(f"{name} is missing" for name in missing)]
            faults.append((f"examples[{number}]", "; ".join(what)))
    if faults:
        raise ToolUnfit(f"the stored calls of {record.name} are not calls of it", tool=record.name, faults=faults)
