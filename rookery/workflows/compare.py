"""What differs between two workflows in meaning: not comments, order or layout, but what they take, do and give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rookery.core.graph import Graph
from rookery.workflows.equality import meaning

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same in both."""

    path: str
    """Where: ``calls.title.function.text``."""
    kind: str
    """``added``, ``removed`` or ``changed``."""
    before: Any = None
    after: Any = None

    def __str__(self) -> str:
        if self.kind == "changed":
            return f"~ {self.path}: {_shown(self.before)} → {_shown(self.after)}"
        return f"{'+' if self.kind == 'added' else '-'} {self.path}"


def difference(before: Graph, after: Graph) -> list[Difference]:
    """What is not the same in two graphs, by place; empty when they mean the same. Names of graphs are not compared."""
    one, other = meaning(before), meaning(after)
    found = list(_compared(_plain(one["graph"], one["graphs"]), _plain(other["graph"], other["graphs"]), ""))
    if _options(before) != _options(after):
        found += _compared(_options(before), _options(after), "run")
    return found


def _plain(told: Any, graphs: Mapping[str, Any]) -> Any:
    """What is told of a graph with the graphs inside of it in their places."""
    if isinstance(told, dict):
        if set(told) == {"graph"} and told["graph"] in graphs:
            return _plain(graphs[told["graph"]], graphs)
        return {key: _plain(value, graphs) for key, value in told.items() if key != "name" or "calls" not in told}
    return [_plain(item, graphs) for item in told] if isinstance(told, list) else told


def _options(graph: Graph) -> dict[str, Any]:
    """How its runs are carried out, as text."""
    own = graph.options
    models = {name: getattr(entry, "use", None) or str(entry) for name, entry in own.get("models", {}).items()}
    return {"models": models, **{key: str(value) for key, value in own.items() if key not in ("models", "model")}}


def _compared(before: Any, after: Any, path: str) -> Iterator[Difference]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            at = f"{path}.{key}" if path else str(key)
            if key not in after:
                yield Difference(at, "removed", before[key])
            elif key not in before:
                yield Difference(at, "added", after=after[key])
            else:
                yield from _compared(before[key], after[key], at)
    else:
        yield Difference(path, "changed", before, after)


def _shown(value: Any) -> str:
    """A value in few words: a reference as it is written, a constant as itself."""
    if isinstance(value, dict) and "$" in value:
        steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in value.get("path", ()))
        return f"${value['$'].removeprefix('inputs.')}{steps}"
    if isinstance(value, dict) and set(value) == {"="}:
        value = value["="]
    text = str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
