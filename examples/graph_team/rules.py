"""A rule-based model for GraphTeam: it reads questions with ``reader.py`` and writes programs from a shelf of eight. No language model.

It proves that the workflow works, not that anybody is intelligent. ``spoil`` makes a share of its programs faulty, so that mending and
reasoning are seen at work.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

from reader import NotRead, Reading, read

from rookery.models.model import Request
from rookery.testing import ScriptedModel

WANTS = {
    "connectivity": ["yes"], "cycle": ["yes"], "hamiltonian path": ["yes", "nodes"], "topological order": ["nodes"],
    "shortest path": ["nodes", "number"], "maximum flow": ["number"], "bipartite matching": ["pairs", "number"], "graph convolution": ["vectors"],
}  # fmt: skip
HEAD = """import networkx as nx


def graph_of(question):
    graph = nx.DiGraph() if question["directed"] else nx.Graph()
    graph.add_nodes_from(question["nodes"])
    for edge in question["edges"]:
        graph.add_edge(edge["source"], edge["target"], weight=edge["weight"])
    return graph

"""
PROGRAMS = {
    "connectivity": """
def solve(question):
    graph, ends = graph_of(question), question["arguments"]
    return {"yes": nx.has_path(graph, ends["source"], ends["target"])}
""",
    "cycle": """
def solve(question):
    graph = graph_of(question)
    if question["directed"]:
        return {"yes": not nx.is_directed_acyclic_graph(graph)}
    return {"yes": graph.number_of_edges() > graph.number_of_nodes() - nx.number_connected_components(graph)}
""",
    "hamiltonian path": """
import sys


def solve(question):
    sys.setrecursionlimit(100_000)
    graph = graph_of(question)
    everything = set(graph)

    def can_end(seen, last):
        left = everything - seen
        if not left:
            return True
        if any(not (set(graph.pred[node]) if graph.is_directed() else set(graph[node])) & (left | {last}) - {node} for node in left):
            return False
        if graph.is_directed():
            reached, todo = set(), [last]
            while todo:
                for node in graph[todo.pop()]:
                    if node in left and node not in reached:
                        reached.add(node)
                        todo.append(node)
            return reached == left
        sides = sum(len(set(graph[node]) & (left | {last})) <= 1 for node in left)
        return sides <= 1 and nx.is_connected(graph.subgraph(left)) and bool(set(graph[last]) & left)

    dead = set()

    def walk(way, seen):
        if len(way) == len(everything):
            return way
        state = (frozenset(seen), way[-1])
        if state in dead or not can_end(seen, way[-1]):
            dead.add(state)
            return None
        for node in sorted(set(graph[way[-1]]) - seen, key=lambda one: len(set(graph[one]) - seen)):
            found = walk([*way, node], seen | {node})
            if found:
                return found
        dead.add(state)
        return None

    for first in sorted(graph, key=graph.degree):
        way = walk([first], {first})
        if way:
            return {"yes": True, "nodes": way}
    return {"yes": False}
""",
    "topological order": """
def solve(question):
    return {"nodes": list(nx.topological_sort(graph_of(question)))}
""",
    "shortest path": """
def solve(question):
    graph = nx.DiGraph() if question["directed"] else nx.Graph()
    graph.add_nodes_from(question["nodes"])
    for edge in question["edges"]:
        known = graph.get_edge_data(edge["source"], edge["target"], {"weight": float("inf")})["weight"]
        graph.add_edge(edge["source"], edge["target"], weight=min(known, edge["weight"]))
    ends = question["arguments"]
    length, way = nx.single_source_dijkstra(graph, ends["source"], ends["target"])
    return {"nodes": way, "number": length}
""",
    "maximum flow": """
def solve(question):
    graph = nx.DiGraph()
    graph.add_nodes_from(question["nodes"])
    both = not question["directed"]
    for edge in question["edges"]:
        for a, b in [(edge["source"], edge["target"])] + [(edge["target"], edge["source"])] * both:
            known = graph.get_edge_data(a, b, {"capacity": 0})["capacity"]
            graph.add_edge(a, b, capacity=known + edge["weight"])
    ends = question["arguments"]
    return {"number": nx.maximum_flow_value(graph, ends["source"], ends["target"])}
""",
    "bipartite matching": """
def solve(question):
    graph = nx.Graph()
    graph.add_nodes_from(("left", node) for node in question["arguments"]["left"])
    graph.add_edges_from((("left", edge["source"]), ("right", edge["target"])) for edge in question["edges"])
    found = nx.bipartite.hopcroft_karp_matching(graph, [node for node in graph if node[0] == "left"])
    pairs = {a[1]: b[1] for a, b in found.items() if a[0] == "left"}
    return {"pairs": pairs, "number": len(pairs)}
""",
    "graph convolution": """
def solve(question):
    graph, vectors = graph_of(question), question["arguments"]["embeddings"]
    for _ in range(question["arguments"]["layers"]):
        vectors = {node: [sum(parts) for parts in zip(*(vectors[other] for other in graph.pred[node]))] if graph.is_directed() else
                   [sum(parts) for parts in zip(*(vectors[other] for other in graph[node]))] for node in graph}
        width = max(map(len, vectors.values()))
        vectors = {node: vector or [0] * width for node, vector in vectors.items()}
    return {"vectors": vectors}
""",
}  # fmt: skip


def as_data(reading: Reading) -> dict[str, Any]:
    """A reading as the fields of a GraphQuestion."""
    return {
        "problem": reading.problem, "directed": reading.directed, "weighted": reading.weighted, "nodes": reading.nodes,
        "edges": [{"source": a, "target": b, "weight": weight} for a, b, weight in reading.edges], "arguments": reading.arguments,
        "wants": WANTS[reading.problem],
    }


class Rules:
    """Answers the four prompts of GraphTeam by rules.

    :param spoil: the share of new programs that have a fault; half of those stay faulty when they are mended.
    """

    def __init__(self, *, spoil: float = 0.0) -> None:
        self.spoil = spoil

    def model(self) -> ScriptedModel:
        """It as a model; its capabilities say that it is a script."""
        return ScriptedModel(self.answer, name="scripted:graph-rules")

    def answer(self, request: Request) -> str:
        """What the rules say to a prompt."""
        segments = [segment for message in request.messages for segment in message.segments]
        given = {segment.variable.rpartition(".")[2]: segment.text for segment in segments if segment.variable}
        text = request.text
        if text.startswith("Read this question about a graph"):
            return self._understood(given.get("question", text.partition("\n\n")[2]))
        problem = json.loads(_json_in(text))["problem"]
        if "This Python program failed" in text:
            return PROGRAMS_BROKEN_FOR_GOOD if "FOR GOOD" in text else HEAD + PROGRAMS[problem]
        if "without code" in text:
            return json.dumps(reasoned(json.loads(_json_in(text))))
        luck = zlib.crc32(text.encode()) / 2**32
        if luck < self.spoil:
            broken = PROGRAMS[problem].replace("def solve(question):", "def solve(question):\n    oops()")
            return PROGRAMS_BROKEN_FOR_GOOD if luck < self.spoil / 2 else HEAD + broken
        return HEAD + PROGRAMS[problem]

    def _understood(self, question: str) -> str:
        try:
            return json.dumps(as_data(read(question)))
        except NotRead as error:
            return json.dumps({"missing": str(error)})


PROGRAMS_BROKEN_FOR_GOOD = 'def solve(question):\n    raise ValueError("FOR GOOD")\n'


def reasoned(question: dict[str, Any]) -> dict[str, Any]:
    """What can be told without code: whether two nodes are joined, and whether there is a cycle, by merging sets of nodes."""
    group = {node: node for node in question["nodes"]}

    def top(node: str) -> str:
        while group.setdefault(node, node) != node:
            node = group[node]
        return node

    has_cycle = False
    for edge in question["edges"]:
        a, b = top(edge["source"]), top(edge["target"])
        has_cycle |= a == b
        group[a] = b
    if question["directed"] or question["problem"] not in ("connectivity", "cycle"):
        return {}
    ends = question["arguments"]
    return {"yes": has_cycle if question["problem"] == "cycle" else top(ends["source"]) == top(ends["target"])}


def _json_in(text: str) -> str:
    """The first JSON object of a text that has a problem."""
    decoder = json.JSONDecoder()
    place = text.find('{"')
    while place >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
        except ValueError:
            end = place + 1
        else:
            if "problem" in value:
                return text[place:end]
        place = text.find('{"', max(end, place + 1))
    raise ValueError("no question in this prompt")
