"""A graph as a picture: networkx, Mermaid, text, and the calls that a run's time went into. networkx is imported at first use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rookery.core.graph import Graph, names_in

if TYPE_CHECKING:
    from networkx import DiGraph

    from rookery.core.view import CallView, View

_PARTS = re.compile(r"\[\d+\]|#\d+|~\d+")
_SHAPES = {"input": ("([", "])"), "tool": ("[[", "]]"), "when": ("{", "}"), "ask": ("{{", "}}"), "loop": ("[/", "/]")}
_COLOURS = {
    "done": "fill:#d8f0d8,stroke:#3a7d3a", "running": "fill:#dbe8fb,stroke:#2d5fa8", "again": "fill:#fdf0d0,stroke:#a87b1d",
    "waiting": "fill:#fdf0d0,stroke:#a87b1d", "failed": "fill:#f8d7d7,stroke:#a83232", "stopped": "fill:#eeeeee,stroke:#888888",
}


@dataclass(frozen=True, slots=True)
class Box:
    """One variable of a picture: an input, or what a call gives."""

    name: str
    kind: str
    """``input``, or the kind of the call (``prompt``, ``tool``, ``graph``, ``each``, …)."""
    type: str
    reads: tuple[str, ...] = ()
    function: str = ""
    over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a critical path: ``added_s`` is what it added to the run's time after the call before it."""

    call: str
    added_s: float


def boxes(graph: Graph | Mapping[str, Any]) -> list[Box]:
    """The inputs and the calls of a graph, or of its description in a log (see RunStarted.graph), in the order they were made."""
    if not isinstance(graph, Graph):
        found = [Box(f"inputs.{name}", "input", type_) for name, type_ in graph["inputs"].items()]
        for name, call in ((call["name"], call) for call in graph["calls"]):
            found.append(Box(name, call["kind"], call["type"], tuple(call["reads"]), call.get("function", ""), tuple(call.get("over", ()))))
        return found
    from rookery.core.types import name_of

    found = [Box(f"inputs.{name}", "input", name_of(param.type)) for name, param in graph.params.items()]
    for each in graph.call_list:
        function = getattr(each.function, "name", "")
        found.append(Box(each.name, each.kind, name_of(each.type), tuple(dict.fromkeys(each.reads())), function, each.over))
    return found


def to_networkx(graph: Graph | Mapping[str, Any]) -> DiGraph[str]:
    """A ``networkx.DiGraph``: a node for each variable (attributes ``kind``, ``type``, ``function``), an edge for each read."""
    import networkx

    result: DiGraph[str] = networkx.DiGraph(name=_name(graph))
    found = boxes(graph)
    for box in found:
        result.add_node(box.name, kind=box.kind, type=box.type, function=box.function)
    for box in found:
        result.add_edges_from((read, box.name, {"mapped": bool(box.over)}) for read in box.reads if result.has_node(read))
    return result


def layers(graph: Graph | Mapping[str, Any]) -> list[list[str]]:
    """The variables by their distance from the inputs; those of a cycle, which is a fault, share one layer."""
    found = _plain_layers(boxes(graph))
    return found if found is not None else _condensed_layers(graph)


def _plain_layers(found: list[Box]) -> list[list[str]] | None:
    """The layers of a graph without cycles, made without networkx, whose import takes longer than all else; None where there is one."""
    readers: dict[str, list[str]] = {box.name: [] for box in found}
    missing: dict[str, int] = {}
    for box in found:
        reads = [read for read in box.reads if read in readers]
        missing[box.name] = len(reads)
        for read in reads:
            readers[read].append(box.name)
    order = {box.name: place for place, box in enumerate(found)}
    layers = [[name for name, count in missing.items() if not count]]
    while layers[-1]:
        after: list[str] = []
        for name in layers[-1]:
            for reader in readers[name]:
                missing[reader] -= 1
                if not missing[reader]:
                    after.append(reader)
        layers.append(sorted(after, key=order.__getitem__))
    layers.pop()
    return layers if sum(map(len, layers)) == len(order) else None


def _condensed_layers(graph: Graph | Mapping[str, Any]) -> list[list[str]]:
    import networkx

    whole = to_networkx(graph)
    condensed = networkx.condensation(whole)
    order = {name: place for place, name in enumerate(whole)}
    found = []
    for generation in networkx.topological_generations(condensed):
        members = [name for part in generation for name in condensed.nodes[part]["members"]]
        found.append(sorted(members, key=order.__getitem__))
    return found


def text(graph: Graph | Mapping[str, Any], *, view: View | None = None) -> str:
    """A layered picture in plain text, one line a call; with a view, each call's status and seconds."""
    found = {box.name: box for box in boxes(graph)}
    inputs = ", ".join(f"{_short(box.name)}: {box.type}" for box in found.values() if box.kind == "input")
    lines = [f"{_name(graph)}({inputs})"]
    calls = [(depth, found[name]) for depth, layer in enumerate(layers(graph)) for name in layer if found[name].kind != "input"]
    heads = ["  " * max(1, depth) + f"{box.name}: {box.type}" for depth, box in calls]
    width = min(44, max(map(len, heads), default=0))
    groups = by_call(view) if view is not None else {}
    for head, (_, box) in zip(heads, calls, strict=True):
        line = f"{head:<{width}}  {_what(box):<8}"
        if box.reads:
            line += f"  ← {', '.join(map(_short, box.reads))}"
        status = _status(groups.get(box.name, ()))
        lines.append(line.rstrip() + (f"  ({status})" if status else ""))
    lines.append(f"  → {', '.join(map(_short, _outputs(graph))) or 'a constant'}")
    return "\n".join(lines)


def mermaid(graph: Graph | Mapping[str, Any], *, view: View | None = None) -> str:
    """A Mermaid flowchart; with a view, calls are coloured by their status."""
    found = boxes(graph)
    ids = {box.name: f"n{place}" for place, box in enumerate(found)}
    lines = ["flowchart TD"]
    for box in found:
        before, after = _SHAPES.get(box.kind, ("[", "]"))
        what = "" if box.kind in ("input", "prompt") else f"\n{_what(box)}"
        lines.append(f'  {ids[box.name]}{before}"{_escaped(f"{_short(box.name)}: {box.type}{what}")}"{after}')
    for box in found:
        arrow = "==>" if box.over else "-->"
        lines += [f"  {ids[read]} {arrow} {ids[box.name]}" for read in box.reads if read in ids]
    outputs = [name for name in _outputs(graph) if name in ids]
    if outputs:
        lines.append('  output((" "))')
        lines += [f"  {ids[name]} --> output" for name in outputs]
    if view is not None:
        lines += _colours(by_call(view), ids)
    return "\n".join(lines)


def _colours(groups: Mapping[str, list[CallView]], ids: Mapping[str, str]) -> Iterable[str]:
    used: dict[str, list[str]] = {}
    for name, calls in groups.items():
        if name in ids:
            used.setdefault(worst_status(calls), []).append(ids[name])
    for status, members in used.items():
        if status in _COLOURS:
            yield f"  classDef {status} {_COLOURS[status]}"
            yield f"  class {','.join(members)} {status}"


# ------------------------------------------------------------------ times


def group_of(path: str) -> str:
    """A call's path without the places in maps and loops: ``section[3]`` and ``section[4]`` are of the group ``section``."""
    return _PARTS.sub("", path)


def by_call(view: View) -> dict[str, list[CallView]]:
    """The calls of a view by the call of the graph they belong to."""
    groups: dict[str, list[CallView]] = {}
    for path, call in view.calls.items():
        groups.setdefault(group_of(path).partition("/")[0], []).append(call)
    return groups


def worst_status(calls: Iterable[CallView]) -> str:
    """The status that a group is shown with: the one that needs attention most."""
    seen = {call.status for call in calls}
    return next((status for status in ("failed", "waiting", "again", "running", "stopped", "done") if status in seen), "")


def critical_path(graph: Graph | Mapping[str, Any], view: View) -> list[Step]:
    """The calls that decided when the run ended, first to last; their ``added_s`` sum to the time from its start to its value.

    Goes back from the call that ended last to the one among those it reads that ended last, and so on. Empty for a run in
    which no call of the graph has ended.
    """
    groups = by_call(view)
    ends = {name: max((call.ended_at for call in calls), default=0.0) for name, calls in groups.items()}
    found = boxes(graph)
    reads = {box.name: box.reads for box in found}
    for when in (box for box in found if box.kind == "when"):
        for branch in when.reads:  # a branch begins only when the condition, which ended before, is known
            began = min((call.started_at for call in groups.get(branch, ())), default=0.0)
            guards = [name for name in when.reads if name != branch and 0.0 < ends.get(name, 0.0) <= began]
            reads[branch] = (*reads.get(branch, ()), *guards)
    ended = [name for name in reads if ends.get(name)]
    if not ended:
        return []
    name: str | None = max(ended, key=ends.__getitem__)
    steps: list[Step] = []
    seen: set[str] = set()
    while name is not None:
        seen.add(name)
        before = max(_ended_before(name, reads, ends, seen), key=ends.__getitem__, default=None)
        since = ends[before] if before is not None else view.started_at
        steps.append(Step(name, max(0.0, ends[name] - since)))
        name = before
    return steps[::-1]


def _ended_before(name: str, reads: Mapping[str, tuple[str, ...]], ends: Mapping[str, float], seen: set[str]) -> list[str]:
    """The calls with times that ``name`` reads, through those that have none (a ``when`` has no time of its own)."""
    found: list[str] = []
    todo, done = list(reads.get(name, ())), set(seen)
    while todo:
        read = todo.pop()
        if read in done or read not in reads:
            continue
        done.add(read)
        if ends.get(read):
            found.append(read)
        else:
            todo += reads[read]
    return found


# ------------------------------------------------------------------ words


def _name(graph: Graph | Mapping[str, Any]) -> str:
    return graph.name if isinstance(graph, Graph) else str(graph["name"])


def _outputs(graph: Graph | Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(names_in(graph.output))) if isinstance(graph, Graph) else list(graph["output"])


def _short(name: str) -> str:
    return name.removeprefix("inputs.")


def _what(box: Box) -> str:
    if box.kind == "each":
        return f"each {', '.join(box.over)}" if box.over else "each"
    return box.kind


def _status(calls: Iterable[CallView]) -> str:
    found = list(calls)
    if not found:
        return ""
    started = min((call.started_at for call in found if call.started_at), default=0.0)
    ended = max((call.ended_at for call in found), default=0.0)
    seconds = f" {ended - started:.2f} s" if started and ended >= started else ""
    done = sum(1 for call in found if call.status == "done")
    return f"{worst_status(found)}{f' {done}/{len(found)}' if len(found) > 1 else ''}{seconds}"


def _escaped(label: str) -> str:
    for mark, instead in (("&", "&amp;"), ('"', "#quot;"), ("<", "&lt;"), (">", "&gt;"), ("\n", "<br/>")):
        label = label.replace(mark, instead)
    return label
