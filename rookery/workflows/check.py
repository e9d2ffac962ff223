"""What the check of the graph finds, with its places in the file: one check for Python and YAML, shown where the file says it."""

from __future__ import annotations

import re

from rookery.core.check import check as check_graph
from rookery.core.graph import Graph
from rookery.errors import GraphFault
from rookery.workflows import format as form
from rookery.workflows.build import DO, IF
from rookery.workflows.document import Node
from rookery.workflows.fault import Fault
from rookery.workflows.planning import SEARCH
from rookery.workflows.read import Reader
from rookery.workflows.scope import Shared

_STEP = re.compile(r"\[\d+\]|\.\w+")
_WORDS = (
    ("use .each(…) to map over it", "put it under each: to map over it"),
    ("convert it in a @tool between", "convert it in a tool between"),
    ("return it, pass it on, or say @tool(effect=True)", "name it in output: or effects:, pass it on, or take it out"),
    ("give times=, the most turns it may take", "say times:, the most turns it may take"),
    ("compare in a @tool that returns bool", "compare it: size(x) > 2"),
    ("use loop(…)", "use loop:"),
    ("make it a list in a @tool", "make it a list in a tool"),
    ("pass it", "pass it under with:"),
    ("return a variable of the graph", "give $name of a call"),
)
"""What the check of a graph advises those who write Python, and what those who write YAML."""


def check(graph: Graph, shared: Shared) -> list[Fault]:
    """The faults that the graph's own check finds and that the reading has not said already."""
    said = {fault.path for fault in shared.reader.faults}
    calls = {".".join(path.split(".")[:2]) for path in said if path.startswith("calls.")}
    found: list[Fault] = []
    for fault in check_graph(graph):
        if fault.path.startswith("prompts.") and shared.reader.faults:
            continue  # holes and templates were looked at with their places
        reader, node, path = _place(graph, fault, shared)
        own = ".".join(path.split(".")[:2])
        if own in calls or path in said or (fault.kind == "unreachable call" and said):
            continue  # it follows from what is said already
        found.append(
            Fault(fault.fault.replace(DO, "").replace(IF, "").replace(SEARCH, ""), reader.document.place(node), _hint(fault), fault.kind, path)
        )
    return found


def _hint(fault: GraphFault) -> str:
    return next((yaml for python, yaml in _WORDS if fault.hint == python), fault.hint)


def _place(graph: Graph, fault: GraphFault, shared: Shared) -> tuple[Reader, Node, str]:
    """The node that a fault is about, and the path in the file's words."""
    spec, reader = shared.origins.get(id(graph)) or (shared.workflow, shared.reader)
    node, path, at = spec.node, fault.path, ""
    current: Graph | None = graph
    while path.startswith("calls.") and current is not None:
        name, _, rest = path.removeprefix("calls.").partition(".")
        call = current.calls.get(name)
        base = name.partition(":")[0]
        at = f"{at}.calls.{base}" if at else f"calls.{base}"
        block = node.get("calls")
        node = (block.get(base) if block is not None else None) or node
        inner = call.function if call is not None and isinstance(call.function, Graph) else None
        origin = shared.origins.get(id(inner)) if inner is not None else None
        if origin is not None and rest.startswith(("calls.", "inputs.", "output")):
            spec, reader = origin
            node, path, current, at = spec.node, rest, inner, at
            continue
        if inner is not None and rest.startswith("calls."):  # a turn made for a loop: all of it stands in the loop
            return reader, node.get("until") if ".until" in rest and node.get("until") else node.label or node, at  # type: ignore[return-value]
        found = _argument(node, name, rest)
        return reader, (found.label if fault.kind == "unknown argument" else None) or found, f"{at}.{rest}" if rest else at
    if path.startswith("inputs."):
        block, name = node.get("inputs"), path.removeprefix("inputs.").partition(".")[0]
        whole = f"{at}.{path}" if at else path
        found = (block.get(name) if block is not None else None) or node
        is_default = found.kind == "map" and fault.fault.startswith("its default")
        return reader, (found.get("default") if is_default else None) or found, whole
    if path.startswith("output"):
        return reader, _deeper(node.get("output") or node, path.removeprefix("output")), f"{at}.{path}" if at else path
    if path.startswith("prompts."):
        return reader, _prompt(shared.workflow, path.split(".")[1]) or node, path
    return reader, node.label or (node.keys[0] if node.keys else node), at or path


def _argument(node: Node, name: str, rest: str) -> Node:
    """What a call says of one of its arguments; the call's name where it says nothing of it."""
    first = re.match(r"\w*", rest)
    word = first[0] if first else ""
    below = rest[len(word) :]
    label = node.label or node
    if name.endswith(IF) or word == "condition":
        return node.get("when") or label
    if not word:
        return label
    for block in ("with", "each"):
        inner = node.get(block)
        found = inner.get(word) if inner is not None and inner.kind == "map" else None
        if found is not None:
            return _deeper(found, below)
    for key in (word, "plan" if word == "state" else word):
        found = node.get(key)
        if found is not None:
            return _deeper(found, below)
    return node.get("prompt") or label if node.get("prompt") is not None and "{" + word in (node.get("prompt") or node).text else label


def _deeper(node: Node, rest: str) -> Node:
    """Items and keys below a node, as far as they are there."""
    for step in _STEP.findall(rest):
        if step.startswith("[") and node.kind == "list" and int(step[1:-1]) < len(node.items):
            node = node.items[int(step[1:-1])]
        elif step.startswith(".") and node.kind == "map" and (inner := node.get(step[1:])) is not None:
            node = inner
        else:
            break
    return node


def _prompt(workflow: form.Workflow, name: str) -> Node | None:
    spec = workflow.prompts.get(name)
    if spec is not None:
        return spec.node.get("prompt")
    call = workflow.calls.get(name)
    return call.node.get("prompt") if call is not None else None
