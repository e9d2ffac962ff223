"""The workflow: a graph that was read from YAML, with the text it came from and how it wants to be carried out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rookery.core.graph import Graph

if TYPE_CHECKING:
    from rookery.workflows import format as form
    from rookery.workflows.scope import Shared


class Workflow(Graph):
    """A graph from a YAML text: run it as any graph, call it in others, and save it again with its comments.

    Its models, limit and the rest of what the file says about carrying it out are in ``options``; what a caller gives wins, of
    two limits the tighter one holds.
    """

    def __init__(self, graph: Graph, *, text: str, path: Path | None, spec: form.Workflow, shared: Shared, options: Mapping[str, Any]) -> None:
        super().__init__(
            graph.name, inputs=graph.params, calls=graph.call_list, output=graph.output, returns=graph.returns, effects=graph.effects,
            faults=graph.faults,
            doc=graph.doc, origin=str(path) if path is not None else "",
        )  # fmt: skip
        self.text = text
        """The YAML, comments and all."""
        self.path = path
        """Its file; None when it was read from a text."""
        self.spec = spec
        """What the file says, as data."""
        self.shared = shared
        """Its types, prompts, tools and the rest, made."""
        self.options = dict(options)
        self.is_checked = True  # it is handed out only where it has no fault

    async def aclose(self) -> None:
        """Close the servers that its calls have opened in this event loop; they end with the loop anyway."""
        for keeper in self.shared.servers.values():
            await keeper.aclose()
