"""Whether the rules of ``decode=`` can be made, looked at before anything runs."""

from __future__ import annotations

from collections.abc import Iterator

from rookery.core.graph import Graph
from rookery.errors import GraphFault, GraphInvalid, RuleWrong


def ensure_rules(graph: Graph) -> None:
    """Raises GraphInvalid with all rules that are none: unknown monitors, patterns that can't be read, options out of their ranges."""
    faults = list(_faults(graph, ""))
    if faults:
        raise GraphInvalid(graph.name, faults)


def _faults(graph: Graph, within: str) -> Iterator[GraphFault]:
    for call in graph.calls.values():
        if isinstance(call.function, Graph):
            yield from _faults(call.function, f"{within}{call.name}/")
        if call.policy.decode is None:
            continue
        from rookery.decoding.rules import rule_of

        try:
            rule_of(call.policy.decode)
        except RuleWrong as error:
            yield GraphFault(f"calls.{within}{call.name}.decode", error.reason, hint=error.hint, kind="decode")
