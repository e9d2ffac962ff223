"""GraphTeam on questions about graphs, its prompts answered by rules (``examples/graph_team``; no language model): it proves the workflow.

The first set is NLGraph's test questions; the second comes from ``benchmarks/graph_questions.py``, which words them in other ways, with other
names and edges in other forms. Answers are checked against the graph itself: for a path, an order or a matching any right one counts. Of the second
set the graph is known; of the first it is read here by patterns that fit its one form and nothing else. A question that is not understood counts
as wrong. Then each edge of the workflow is walked: experience, faulty programs that are mended, and some that are not, so that the model reasons.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import networkx as nx

from benchmarks.graph_questions import Asked, questions
from benchmarks.report import ROOT, Target, finish, options, say, table
from rookery import start
from rookery.agents.graph_team import GraphAnswer, GraphFinding, graph_team, networkx_documents
from rookery.memory import Memory
from rookery.tools.ladder import best_sandbox

sys.path.insert(0, str(ROOT / "examples" / "graph_team"))
from rules import Rules  # type: ignore[import-not-found]  # noqa: E402

SEED = 20
KINDS = ("connectivity", "cycle", "topology", "matching", "shortest_path", "hamilton", "flow", "GNN")


# ------------------------------------------------------------------ what is right


def of_nlgraph(row: dict[str, Any]) -> Asked:
    """A row of NLGraph with its graph, by the one form that its questions have."""
    text, kind = row["question"], row["type"]
    told = text.partition("Q:")[0]
    asked = text.partition("Q:")[2]
    numbered = re.search(r"numbered from (\d+) to (\d+)", told)
    nodes = [str(n) for n in range(int(numbered[1]), int(numbered[2]) + 1)] if numbered else []
    arguments: dict[str, Any] = {}
    edges = [(a, b, 1.0) for a, b in re.findall(r"\((\d+),(\d+)\)", told)]
    if kind == "topology":
        edges = [(a, b, 1.0) for a, b in re.findall(r"node (\d+) should be visited before node (\d+)", told)]
    if kind in ("shortest_path", "flow"):
        edges = [(a, b, float(w)) for a, b, w in re.findall(r"node (\d+) (?:and|to) node (\d+) with (?:weight|capacity) (\d+)", told)]
    if kind == "matching":
        edges = [(a, b, 1.0) for a, b in re.findall(r"Applicant (\d+) is interested in job (\d+)", told)]
    if kind == "GNN":
        arguments["embeddings"] = {node: [float(a), float(b)] for node, a, b in re.findall(r"node (\d+): \[(\d+),(\d+)\]", told)}
        arguments["layers"] = 2
    if kind in ("connectivity", "shortest_path", "flow"):
        source, target = re.findall(r"node (\d+)", asked)[:2]
        arguments |= {"source": source, "target": target}
        nodes = list(dict.fromkeys([*nodes, *(end for edge in edges for end in edge[:2]), source, target]))
    return Asked(text, kind, kind in ("topology", "flow"), nodes, edges, arguments)


def graph_of(asked: Asked) -> Any:
    made = nx.DiGraph() if asked.directed else nx.Graph()
    made.add_nodes_from(asked.nodes)
    for a, b, weight in asked.edges:
        made.add_edge(a, b, weight=weight, capacity=weight)
    return made


def is_right(asked: Asked, answer: GraphAnswer | None) -> bool:
    """Whether an answer is true of the graph."""
    if answer is None:
        return False
    return {
        "connectivity": _connectivity, "cycle": _cycle, "topology": _topology, "matching": _matching, "shortest_path": _shortest,
        "hamilton": _hamilton, "flow": _flow, "GNN": _convolved,
    }[asked.kind](asked, graph_of(asked), answer)  # fmt: skip


def _connectivity(asked: Asked, graph: Any, answer: GraphAnswer) -> bool:
    return answer.yes is nx.has_path(graph, asked.arguments["source"], asked.arguments["target"])


def _cycle(asked: Asked, graph: Any, answer: GraphAnswer) -> bool:
    has = not nx.is_directed_acyclic_graph(graph) if asked.directed else not nx.is_forest(graph)
    return answer.yes is has


def _topology(asked: Asked, graph: Any, answer: GraphAnswer) -> bool:
    place = {node: n for n, node in enumerate(answer.nodes or [])}
    return len(answer.nodes or []) == len(place) and set(place) == set(graph) and all(place[a] < place[b] for a, b in graph.edges)


def _matching(asked: Asked, graph: Any, answer: GraphAnswer) -> bool:
    two_sided = nx.Graph([(("left", a), ("right", b)) for a, b, _ in asked.edges])
    best = len(nx.bipartite.hopcroft_karp_matching(two_sided, [node for node in two_sided if node[0] == "left"])) // 2
    pairs, wished = answer.pairs or {}, {(a, b) for a, b, _ in asked.edges}
    return len(pairs) == len(set(pairs.values())) == best == answer.number and set(pairs.items()) <= wished


def _shortest(asked: Asked, graph: Any, answer: GraphAnswer) -> bool:
    ends, way = (asked.arguments["source"], asked.arguments["target"]), answer.nodes or []
    if not way or (way[0], way[-1]) != ends or not nx.is_path(graph, way):
        return False
    length = nx.dijkstra_path_length(graph, *ends)
    return answer.number == length == nx.path_weight(graph, way, "weight")


def _hamilton(asked: Asked, graph: Any, answer: GraphAnswer) -> bool:
    way = answer.nodes or []
    if asked.arguments.get("answer") is False:
        return answer.yes is False
    return answer.yes is True and len(way) == len(set(way)) and set(way) == set(graph) and nx.is_path(graph, way)


def _flow(asked: Asked, graph: Any, answer: GraphAnswer) -> bool:
    return answer.number == nx.maximum_flow_value(graph, asked.arguments["source"], asked.arguments["target"])


def _convolved(asked: Asked, graph: Any, answer: GraphAnswer) -> bool:
    vectors = asked.arguments["embeddings"]
    width = len(next(iter(vectors.values())))
    for _ in range(asked.arguments["layers"]):
        vectors = {node: [sum(vectors[other][place] for other in graph[node]) for place in range(width)] for node in graph}
    return answer.vectors == vectors


# ------------------------------------------------------------------ playing


@dataclass
class Played:
    """What became of a set of questions."""

    right: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    wrong: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def share(self) -> float:
        return sum(self.right.values()) / max(1, sum(self.asked.values()))

    def note(self, asked: Asked, found: GraphFinding) -> None:
        self.asked[asked.kind] += 1
        self.ways[found.way] += 1
        if is_right(asked, found.answer):
            self.right[asked.kind] += 1
        else:
            self.wrong.append({"kind": asked.kind, "way": found.way, "why": found.why, "question": asked.text[:300]})

    def plain(self) -> dict[str, Any]:
        shares = {kind: self.right[kind] / self.asked[kind] for kind in self.asked}
        return {
            "share": self.share, "by_kind": shares, "asked": dict(self.asked), "ways": dict(self.ways), "wrong": self.wrong[:40],
            "seconds": self.seconds,
        }  # fmt: skip


async def played(asked: Sequence[Asked], *, workers: int = 2, learns: bool = True, spoil: float = 0.0) -> Played:
    """All questions, so many at a time, each a run of its own."""
    found, todo = Played(), list(enumerate(asked))[::-1]
    documents, model = networkx_documents(), Rules(spoil=spoil).model()
    with tempfile.TemporaryDirectory() as folder:
        box = best_sandbox("bubblewrap", parallel=workers, ready=0)
        async with Memory(scope="team:graphs", path=folder) as memory:
            team = graph_team(memory=memory if learns else None, documents=documents, sandbox=box)

            async def work() -> None:
                while todo:
                    _, one = todo.pop()
                    async with start(team, question=one.text, model=model) as run:
                        found.note(one, await run)

            begun = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(workers)))
            found.seconds = time.perf_counter() - begun
        await box.aclose()
    return found


def data() -> Path:
    return Path(os.environ.get("ROOKERY_DATA", ROOT.parent / "shared" / "data")) / "graph_qa" / "nlgraph_test.json"


def measure(*, quick: bool, path: Path | None) -> tuple[dict[str, Any], list[Target], list[str]]:
    """The figures, the targets and tables."""
    figures: dict[str, Any] = {"model": "rule-based reader and programs; no language model"}
    file, rows = path or data(), []
    sets: dict[str, Played] = {}
    if file.exists():
        rows = [of_nlgraph(row) for row in json.loads(file.read_text(encoding="utf-8"))]
        rows = rows[:: len(rows) // 60] if quick else rows
        sets["NLGraph"] = asyncio.run(played(rows))
        say(f"NLGraph: {sets['NLGraph'].share:.3f} of {len(rows)}")
    other = questions(60 if quick else 600, seed=SEED)
    sets["other wordings"] = asyncio.run(played(other))
    say(f"other wordings: {sets['other wordings'].share:.3f} of {len(other)}")
    few = (rows or other)[: 40 if quick else 200]
    one, two = (asyncio.run(played(few, workers=workers, learns=False)) for workers in (1, 2))
    spoiled = asyncio.run(played(few, spoil=0.5, learns=False))
    figures |= {name: found.plain() for name, found in sets.items()} | {"spoiled": spoiled.plain(), "one_s": one.seconds, "two_s": two.seconds}
    ways = sum((found.ways for found in [*sets.values(), one, spoiled]), Counter())
    wanted = ("experience", "code", "mended code", "reasoning", "not solved")
    first = sets.get("NLGraph")
    worst = min(first.right[kind] / first.asked[kind] for kind in first.asked) if first else None
    targets = [
        Target("GraphTeam by rules, NLGraph: share right", first.share if first else None, 0.98, at_least=True),
        Target("GraphTeam by rules, NLGraph: share right of the worst type", worst, 0.98, at_least=True),
        Target("GraphTeam by rules, other wordings: share right", sets["other wordings"].share, 0.9, at_least=True),
        Target("GraphTeam: ways through the workflow that were walked", sum(way in ways for way in wanted), len(wanted), at_least=True),
        Target("GraphTeam: two workers against one", one.seconds / two.seconds, 1.6, " ×", at_least=True),
    ]
    lines = table(("set", "questions", "right", *KINDS), [
        (name, sum(found.asked.values()), found.share, *(found.right[kind] / found.asked[kind] if found.asked[kind] else None for kind in KINDS))
        for name, found in sets.items()
    ])
    lines += table(("way", *sets, "half of the programs spoiled"), [
        (way, *(found.ways[way] for found in sets.values()), spoiled.ways[way]) for way in (*wanted, "not understood")
    ])
    return figures, targets, lines


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    chosen = options(__doc__, argv, questions={"type": Path, "metavar": "FILE", "help": "questions in NLGraph's JSON, in place of its test set"})
    figures, targets, lines = measure(quick=chosen.quick, path=chosen.questions)
    return finish("agents_graph", figures, targets, lines, chosen)


if __name__ == "__main__":
    sys.exit(main())
