"""The tree of a search as lines that open and close; knows no screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from rich.text import Text

from rookery.core.view import TreeNode
from rookery.tui import ink

MARKS = {"open": "○", "done": "●", "answer": "◆", "pruned": "×", "failed": "!"}
WORDS = {"open": "open", "done": "grown", "answer": "answers", "pruned": "pruned", "failed": "failed"}
STYLES = {"open": "", "done": "cyan", "answer": "bold green", "pruned": "dim", "failed": "red"}
BEST = "★"
MOST = 200
"""Of a state's next states so many are listed."""
FEW = 8
"""A state that is not on the best path is open while it has no more next states than this, and is not deep."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of the tree."""

    node: int
    before: str
    """What joins it to the lines above."""
    is_open: bool
    children: int
    left_out: int = 0
    """So many of the next states are not listed; then the line says so, and ``node`` is ``-1 - node``."""


class Tree:
    """A tree of states. A node's place in the list is its id."""

    def __init__(self, nodes: Sequence[TreeNode]) -> None:
        self.nodes = nodes

    @cached_property
    def children(self) -> dict[int, list[int]]:
        """By state, the states that came from it."""
        found: dict[int, list[int]] = {}
        for number, node in enumerate(self.nodes):
            if node.parent < number:
                found.setdefault(node.parent, []).append(number)
        return found

    @cached_property
    def best(self) -> int:
        """The answer that the planner thinks most of; else the state it does; -1 in an empty tree."""
        answers = [number for number, node in enumerate(self.nodes) if node.status == "answer"]
        pool = answers or [number for number, node in enumerate(self.nodes) if node.value is not None and node.status not in ("pruned", "failed")]
        return max(pool, key=lambda number: (self.nodes[number].value or 0.0, -number), default=-1)

    @cached_property
    def best_way(self) -> frozenset[int]:
        """The states from the first one to the best."""
        return frozenset(self.way(self.best)) if self.best >= 0 else frozenset()

    def way(self, node: int) -> list[int]:
        """The states from the first one to a state."""
        found: list[int] = []
        while 0 <= node < len(self.nodes) and node not in found[-1:]:
            found.append(node)
            parent = self.nodes[node].parent
            node = parent if parent < node else -1
        return found[::-1]

    def branches(self, opened: dict[int, bool]) -> list[Branch]:
        """The lines to show; ``opened``: what a person has opened or closed."""
        return list(self._branches(opened))

    def _branches(self, opened: dict[int, bool]) -> Iterator[Branch]:
        stack = [(root, "", "", 0) for root in reversed(self.children.get(-1, []))]
        while stack:
            node, before, below, depth = stack.pop()
            children = self.children.get(node, ())
            is_open = bool(children) and opened.get(node, node in self.best_way or (depth < 2 and len(children) <= FEW) or depth == 0)
            yield Branch(node, before, is_open, len(children))
            if not is_open:
                continue
            listed = sorted(children, key=self._order)[:MOST]
            if len(children) > MOST:
                yield Branch(-2 - node, below + "  ", False, 0, left_out=len(children) - MOST)
            for place, child in enumerate(reversed(listed)):
                stack.append((child, below + ("└ " if place == 0 else "├ "), below + ("  " if place == 0 else "│ "), depth + 1))

    def _order(self, node: int) -> tuple[bool, bool, float, int]:
        one = self.nodes[node]
        return node not in self.best_way, one.status in ("pruned", "failed"), -(one.value or 0.0), node

    def line(self, branch: Branch, width: int) -> Text:
        """A branch as text."""
        text = ink.styled(f" {branch.before[-max(0, width - 30):]}", "dim")
        if branch.left_out:
            return text.append(f"… {branch.left_out:,} more", style="dim")
        node = self.nodes[branch.node]
        is_best = branch.node in self.best_way
        style = "bold magenta" if is_best else STYLES.get(node.status, "")
        text.append(f"{BEST if is_best else MARKS.get(node.status, '?')} ", style=style)
        right = ink.styled(f" {node.value:.3g}" if node.value is not None else "", "yellow" if not is_best else "bold magenta")
        if branch.children and not branch.is_open:
            right = ink.styled(f" +{branch.children}", "dim").append_text(right)
        if branch.node == self.best:
            right = ink.styled(" ← the answer" if node.status == "answer" else " ← best so far", "bold magenta").append_text(right)
        elif node.status in ("pruned", "failed", "answer"):
            right = ink.styled(f" {node.status}", STYLES[node.status]).append_text(right)
        label = ink.line(node.label, max(4, width - text.cell_len - right.cell_len - 1))
        text.append(label, style="" if node.status not in ("pruned", "failed") else "dim")
        return text.append(" " * max(0, width - text.cell_len - right.cell_len - 1)).append_text(right)

    def described(self, node: int) -> Text:
        """A state in full, with the way to it."""
        if not 0 <= node < len(self.nodes):
            return Text()
        one = self.nodes[node]
        text = ink.styled(f"── state {node} ", "bold blue")
        text.append(f"{MARKS.get(one.status, '?')} {one.status}", style=STYLES.get(one.status, ""))
        if one.value is not None:
            text.append(f"  value {one.value:.4g}", style="yellow")
        text.append(f"\n{ink.body(one.label, most=4_000)}\n")
        text.append("\n── the way to it\n", style="bold blue")
        for step in self.way(node):
            state = self.nodes[step]
            value = f"{state.value:.3g}" if state.value is not None else ""
            text.append(f"{BEST if step in self.best_way else MARKS.get(state.status, '?')} {value:>6}  ", style="dim")
            text.append(f"{ink.line(state.label, 120)}\n")
        return text


_NODE_X, _NODE_Y = 190, 64
BEST_COLOUR = "#8a2f7a"


def svg(tree: Tree, *, title: str, most: int = 300) -> str:
    """The tree as an SVG document: the best path, then what was not given up, at most so many states."""
    from html import escape

    from rookery.tui.picture import svg_head, xml_text

    kept = _kept(tree, most)
    places: dict[int, tuple[int, int]] = {}
    row = 0
    stack = [(root, 0) for root in reversed(tree.children.get(-1, [])) if root in kept]
    while stack:
        node, depth = stack.pop()
        places[node] = depth, row
        children = [child for child in sorted(tree.children.get(node, ()), key=tree._order) if child in kept]
        if not children:
            row += 1
        stack += [(child, depth + 1) for child in reversed(children)]
    width = (max((depth for depth, _ in places.values()), default=0) + 1) * _NODE_X + 20
    height = (max((row for _, row in places.values()), default=0) + 1) * _NODE_Y // 2 + 50
    parts = [svg_head(width, height, title, font_size=11)]
    left_out = len(tree.nodes) - len(kept)
    words = f"{title}: {len(tree.nodes):,} states" + (f", {left_out:,} not drawn" if left_out else "")
    parts.append(f'<text x="10" y="18" fill="#444">{escape(xml_text(words))}</text>')
    colours = {"answer": ("#dbe8fb", "#2d5fa8"), "pruned": ("#eeeeee", "#999999"), "failed": ("#f8d7d7", "#a83232")}
    for node, (depth, line) in places.items():
        x, y = depth * _NODE_X + 10, line * _NODE_Y // 2 + 30
        parent = places.get(tree.nodes[node].parent)
        best = node in tree.best_way
        if parent is not None:
            x0, y0 = parent[0] * _NODE_X + 170, parent[1] * _NODE_Y // 2 + 42
            colour = BEST_COLOUR if best else "#777"
            dashes = ' stroke-dasharray="4 3"' if tree.nodes[node].status in ("pruned", "failed") else ""
            parts.append(f'<path d="M{x0},{y0} C{x0 + 15},{y0} {x - 15},{y + 12} {x},{y + 12}" fill="none" stroke="{colour}" '
                         f'stroke-width="{2.5 if best else 1}"{dashes}/>')  # fmt: skip
        fill, edge = colours.get(tree.nodes[node].status, ("#ffffff", "#37712f" if tree.nodes[node].status == "done" else "#999999"))
        value = tree.nodes[node].value
        mark = BEST if best else MARKS.get(tree.nodes[node].status, "")
        words = f"{mark} {ink.line(tree.nodes[node].label, 20)}" + (f"  {value:.3g}" if value is not None else "")
        parts.append(f'<rect x="{x}" y="{y}" width="160" height="24" rx="5" fill="{fill}" stroke="{BEST_COLOUR if best else edge}" '
                     f'stroke-width="{2.5 if best else 1}"/>')  # fmt: skip
        parts.append(f'<text x="{x + 6}" y="{y + 16}">{escape(xml_text(words))}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _kept(tree: Tree, most: int) -> set[int]:
    """The states that a picture of at most so many shows: with each, the way to it."""
    kept: set[int] = set(sorted(tree.best_way)[:most])
    level = list(tree.children.get(-1, []))
    while level and len(kept) < most:
        for node in sorted(level, key=tree._order):
            if len(kept) >= most:
                break
            kept.add(node)
        level = [child for node in level if node in kept for child in tree.children.get(node, ())]
    return kept
