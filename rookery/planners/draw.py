"""Pictures of a search's tree, as text and as Mermaid: the way to the best answer marked, what was given up shown, however large the tree."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unicodedata import category, combining, east_asian_width

from rookery.core.view import TreeNode
from rookery.planners.result import SearchResult, SearchTree
from rookery.planners.tree import ANSWER, DONE, FAILED, OPEN, PRUNED

Drawable = SearchResult | SearchTree | Sequence[TreeNode]  # type: ignore[type-arg]
"""What a picture can be made of: a result, its tree, or the tree of a run that is under way (``view.trees[call]``)."""
MARKS = {OPEN: "○", DONE: "●", ANSWER: "◆", PRUNED: "×", FAILED: "!"}
BEST = "★"
WORDS = {OPEN: "open", DONE: "grown", ANSWER: "answer", PRUNED: "pruned", FAILED: "failed"}
GIVEN_UP = (PRUNED, FAILED)
MOST_GIVEN_UP = 3
"""Of each node's children so many are shown that were given up; the others are counted."""
LEAST_WIDTH = 20
"""Narrower than this nothing can be read; lines are this wide then."""
_COLOURS = {
    "best": "fill:#d8f0d8,stroke:#3a7d3a,stroke-width:3px", ANSWER: "fill:#dbe8fb,stroke:#2d5fa8", PRUNED: "fill:#eeeeee,stroke:#888888",
    FAILED: "fill:#f8d7d7,stroke:#a83232",
}


@dataclass(frozen=True, slots=True)
class _Cut:
    """The part of a tree that a picture has room for."""

    nodes: Sequence[TreeNode]
    best: frozenset[int]
    """The way from the root to the best answer."""
    end: int
    """The best answer; -1 where there is none."""
    shown: dict[int, list[int]]
    """By node that is shown, its children that are shown too."""
    hidden: dict[int, Counter[str]]
    """By node that is shown, how many of its children are not, by status."""


def draw(tree: Drawable, *, width: int = 100, max_nodes: int = 40) -> str:
    """The tree as text, a line for each node: its mark, its state, and what the planner thinks of it.

    ``★`` leads from the root to the best answer; ``◆`` other answers, ``●`` grown, ``○`` open, ``×`` pruned, ``!`` failed.
    :param width: columns of a terminal; longer lines are cut.
    :param max_nodes: nodes shown at most, those that matter first; of the others the number is said.
    """
    cut = _cut(tree, max_nodes)
    if not cut.nodes:
        return "(an empty tree)"
    width = max(width, LEAST_WIDTH)
    return "\n".join([_fitted(_head(cut), width), *_branch(cut, width)])


def mermaid(tree: Drawable, *, max_nodes: int = 60, label_chars: int = 40) -> str:
    """The tree as a Mermaid flowchart, coloured by what became of the nodes; edges to the best answer are thick."""
    cut = _cut(tree, max_nodes)
    lines = ["flowchart TD"]
    classes: dict[str, list[str]] = {}
    for node, children in cut.shown.items():
        one = cut.nodes[node]
        label = _escaped(_fitted(plain(one.label) or " ", label_chars)) + (f"\n{one.value:.4g}" if one.value is not None else "")
        lines.append(f'  n{node}["{label}"]')
        classes.setdefault("best" if node in cut.best else one.status, []).append(f"n{node}")
        for child in children:
            arrow = "==>" if child in cut.best else "-.->" if cut.nodes[child].status in GIVEN_UP else "-->"
            lines.append(f"  n{node} {arrow} n{child}")
        if cut.hidden.get(node):
            lines += [f'  m{node}(["{_more(cut.hidden[node])}"])', f"  n{node} -.- m{node}"]
    for status, members in classes.items():
        if status in _COLOURS:
            lines += [f"  classDef {status} {_COLOURS[status]}", f"  class {','.join(members)} {status}"]
    return "\n".join(lines)


# ------------------------------------------------------------------ what is shown


def _cut(tree: Drawable, max_nodes: int) -> _Cut:
    nodes = tree.tree.nodes if isinstance(tree, SearchResult) else tree.nodes if isinstance(tree, SearchTree) else tree
    if not nodes:
        return _Cut(nodes, frozenset(), -1, {}, {})
    children: list[list[int]] = [[] for _ in nodes]
    depth = [0] * len(nodes)
    for number, node in enumerate(nodes):
        if 0 <= node.parent < number:
            children[node.parent].append(number)
            depth[number] = depth[node.parent] + 1
    best = tree.answers[0].node if isinstance(tree, SearchResult) and tree.answers else _best(nodes)
    way = _way(nodes, best)
    shown = _most_telling(nodes, children, depth, way, max(1, max_nodes))
    below = {node: sorted((child for child in children[node] if child in shown), key=lambda child: (nodes[child].status in GIVEN_UP, child))
             for node in sorted(shown)}
    hidden = {node: Counter(nodes[child].status for child in children[node] if child not in shown) for node in shown}
    return _Cut(nodes, frozenset(way), best, below, hidden)


def _best(nodes: Sequence[TreeNode]) -> int:
    """Of a search that has not said: the answer it thinks most of."""
    answers = [number for number, node in enumerate(nodes) if node.status == ANSWER]
    return max(answers, key=lambda number: (nodes[number].value or 0.0, -number), default=-1)


def _way(nodes: Sequence[TreeNode], node: int) -> list[int]:
    way: list[int] = []
    while node >= 0:
        way.append(node)
        node = nodes[node].parent
    return way[::-1]


def _most_telling(nodes: Sequence[TreeNode], children: list[list[int]], depth: list[int], way: list[int], room: int) -> set[int]:
    """The way to the best, as deep as there is room, then what was not given up, near the root first, by value."""
    shown = set(way[:room]) or {0}
    heap: list[tuple[bool, int, float, int]] = []

    def offer(node: int) -> None:
        found = sorted((nodes[child].status in GIVEN_UP, depth[child], -(nodes[child].value or 0.0), child) for child in children[node])
        kept = [entry for entry in found if not entry[0]]
        for entry in (*kept, *found[len(kept) : len(kept) + MOST_GIVEN_UP]):
            if entry[3] not in shown:
                heapq.heappush(heap, entry)

    for node in list(shown):
        offer(node)
    while heap and len(shown) < room:
        node = heapq.heappop(heap)[3]
        shown.add(node)
        offer(node)
    return shown


# ------------------------------------------------------------------ lines


def _head(cut: _Cut) -> str:
    count = Counter(node.status for node in cut.nodes)
    words = [f"{count[status]:,} {WORDS[status]}" for status in WORDS if count[status]]
    return f"{len(cut.nodes):,} node{'' if len(cut.nodes) == 1 else 's'}: {', '.join(words)}"


def _branch(cut: _Cut, width: int) -> Iterator[str]:
    """The root and what is shown under it; by a stack of its own, for trees deeper than Python's."""
    stack: list[tuple[int, str, str]] = [(0, "", "")]
    while stack:
        node, before, below = stack.pop()
        if node < 0:  # what is left out, under the node ~node
            yield _fitted(f"{before}… {_more(cut.hidden[~node])}", width)
            continue
        yield _line(cut, node, before, width)
        under = [*cut.shown[node], *([~node] if cut.hidden.get(node) else [])]
        for place, child in reversed(list(enumerate(under))):
            is_last = place == len(under) - 1
            stack.append((child, below + ("└ " if is_last else "├ "), below + ("  " if is_last else "│ ")))


def _line(cut: _Cut, node: int, before: str, width: int) -> str:
    """A node's line; where there is too little room, its label is cut first."""
    one = cut.nodes[node]
    mark = BEST if node in cut.best else MARKS.get(one.status, "?")
    end = f"  [{one.value:.4g}]" if one.value is not None else ""
    if node == cut.end:
        end += "  ← the answer" if one.status == ANSWER else "  ← the best found"
    room = max(8, width - len(before) - len(mark) - 1 - len(end))
    return _fitted(f"{before}{mark} {_fitted(plain(one.label), room)}{end}", width)


def _more(hidden: Counter[str]) -> str:
    said = f" ({hidden[PRUNED]:,} pruned)" if hidden[PRUNED] and hidden[PRUNED] < hidden.total() else " pruned" if hidden[PRUNED] else ""
    return f"{hidden.total():,} more{said}"


def plain(label: str) -> str:
    """A label on one line, without what a terminal would obey or a reader be misled by: control, format and bidirectional characters."""
    return " ".join("".join(" " if category(char)[0] in "CZ" else char for char in label).split())


def _fitted(text: str, width: int) -> str:
    """As much of a line as fits into ``width`` columns."""
    columns, end = 0, 0
    for place, char in enumerate(text):
        columns += 0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1
        if columns > width:
            return text[:end] + "…"
        if columns < width:
            end = place + 1
    return text


def _escaped(text: str) -> str:
    """A label that stays a label: what Mermaid or HTML would read as more becomes a character reference."""
    return "".join(char if char.isalnum() or char in " .,_-+=/()…:;'" else f"#{ord(char)};" for char in text)
