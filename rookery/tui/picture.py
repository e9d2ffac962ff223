"""The graph of a run as a picture of boxes and arrows, on the screen and as SVG; states in colour and in words, the critical path marked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import ScrollableContainer
from textual.widgets import Static

from rookery.core.layout import Box, boxes, by_call, critical_path, layers, worst_status
from rookery.core.view import CallView, View
from rookery.tui import ink
from rookery.tui.watch import Watch

MOST = 400
"""Graphs with more variables are shown as a list only."""
BOX_WIDTH, GAP = 22, 3
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_LINES = {
    0: " ", _UP | _DOWN: "│", _UP: "│", _DOWN: "│", _LEFT | _RIGHT: "─", _LEFT: "─", _RIGHT: "─", _DOWN | _RIGHT: "╭", _DOWN | _LEFT: "╮",
    _UP | _RIGHT: "╰", _UP | _LEFT: "╯", _UP | _DOWN | _RIGHT: "├", _UP | _DOWN | _LEFT: "┤", _DOWN | _LEFT | _RIGHT: "┬",
    _UP | _LEFT | _RIGHT: "┴", _UP | _DOWN | _LEFT | _RIGHT: "┼",
}  # fmt: skip


@dataclass(slots=True)
class Placed:
    """One box with its place in the picture: column of its left edge, and layer."""

    box: Box
    status: str
    words: str
    layer: int
    x: int = 0
    width: int = BOX_WIDTH
    is_critical: bool = False

    @property
    def middle(self) -> int:
        return self.x + self.width // 2

    @property
    def name(self) -> str:
        return self.box.name.removeprefix("inputs.")


@dataclass(slots=True)
class Picture:
    """A graph laid out: rows of boxes, each in one layer, and for each gap between layers the lanes that its arrows run in."""

    layers: list[list[Placed]] = field(default_factory=list)
    edges: list[tuple[Placed, Placed]] = field(default_factory=list)

    @property
    def width(self) -> int:
        return max((placed.x + placed.width for layer in self.layers for placed in layer), default=0)


def laid_out(description: Mapping[str, Any], view: View) -> Picture:
    """Where each box of a graph stands. An arrow over several layers passes between the boxes as a line."""
    groups = by_call(view)
    steps = {step.call for step in critical_path(description, view) if step.added_s > 0}
    found = {box.name: box for box in boxes(description)}
    order = layers(description)
    depth = {name: number for number, names in enumerate(order) for name in names}
    placed: dict[str, Placed] = {}
    rows: list[list[Placed]] = [[] for _ in order]
    for name, number in depth.items():
        status, words = _state(found[name], groups.get(name, ()))
        one = placed[name] = Placed(found[name], status, words, number, is_critical=name in steps)
        rows[number].append(one)
    edges: list[tuple[Placed, Placed]] = []
    for one in list(placed.values()):
        for read in one.box.reads:
            if read in placed and depth[read] < one.layer:
                edges += _through(placed[read], one, rows)
    picture = Picture(rows, edges)
    _arrange(picture)
    return picture


def _through(start: Placed, end: Placed, rows: list[list[Placed]]) -> Iterator[tuple[Placed, Placed]]:
    """An arrow as one piece for each gap; where it passes a layer it takes the place of a thin box."""
    before = start
    for layer in range(start.layer + 1, end.layer):
        passing = Placed(Box("", "pass", ""), start.status, "", layer, width=1)
        rows[layer].append(passing)
        yield before, passing
        before = passing
    yield before, end


def _arrange(picture: Picture) -> None:
    """Order each layer by where its arrows come from, then give columns; boxes stand under the middle of what they read."""
    above: dict[int, list[Placed]] = {}
    for start, end in picture.edges:
        above.setdefault(id(end), []).append(start)
    for layer in picture.layers:
        layer.sort(key=lambda one: _mean([start.middle for start in above.get(id(one), ())], 0.0))
        x = 0
        for one in layer:
            wanted = int(_mean([start.middle for start in above.get(id(one), ())], 0.0)) - one.width // 2
            one.x = max(x, wanted)
            x = one.x + one.width + GAP
    least = min((one.x for layer in picture.layers for one in layer), default=0)
    for layer in picture.layers:
        for one in layer:
            one.x -= least


def _mean(numbers: Sequence[int], default: float) -> float:
    return sum(numbers) / len(numbers) if numbers else default


def _state(box: Box, calls: Sequence[CallView]) -> tuple[str, str]:
    if box.kind == "input":
        return "done", "input"
    if not calls:
        return "", ink.WORDS[""] if box.kind != "when" else "when"
    status = worst_status(calls)
    done = sum(1 for call in calls if call.status == "done")
    if len(calls) > 1:
        return status, f"{done}/{len(calls)} {status}"
    call = calls[0]
    return status, ink.duration(call.ended_at - call.started_at) if status == "done" and call.started_at else ink.WORDS[status]


# ------------------------------------------------------------------ as text


def drawn(picture: Picture, chosen: str = "") -> list[Text]:
    """The picture in lines of text."""
    width = picture.width + 1
    lines: list[Text] = []
    for number, layer in enumerate(picture.layers):
        lines += _box_lines(layer, width, chosen)
        pieces = [(start.middle, end.middle, end.box.kind != "pass") for start, end in picture.edges if end.layer == number + 1]
        lines += _arrow_lines(pieces, width)
    return lines


def _box_lines(layer: Sequence[Placed], width: int, chosen: str) -> list[Text]:
    rows = [Text() for _ in range(4)]
    for one in layer:
        for row in rows:
            row.append(" " * max(0, one.x - row.cell_len))
        if one.box.kind == "pass":
            for row in rows:
                row.append("│", style="dim")
            continue
        room = one.width - 4
        edge = "bold magenta" if one.is_critical else "reverse" if one.box.name == chosen else ink.STYLES.get(one.status, "")
        top, bottom = ("┏━┓", "┗━┛") if one.is_critical else ("╭─╮", "╰─╯")
        side = "┃" if one.is_critical else "│"
        rows[0].append(top[0] + top[1] * (one.width - 2) + top[2], style=edge)
        name, words = ink.line(one.name, room), ink.line(f"{ink.MARKS.get(one.status, ' ')} {one.words}", room)
        name_style = "bold reverse" if one.box.name == chosen else "bold"
        for row, text, style in ((rows[1], name, name_style), (rows[2], words, ink.STYLES.get(one.status, ""))):
            row.append(side, style=edge).append(f" {text}", style=style).append(" " * (room - cell_len(text) + 1)).append(side, style=edge)
        rows[3].append(bottom[0] + bottom[1] * (one.width - 2) + bottom[2], style=edge)
    for row in rows:
        row.append(" " * max(0, width - row.cell_len))
    return rows


def _arrow_lines(pieces: Sequence[tuple[int, int, bool]], width: int) -> list[Text]:
    """Arrows from one layer to the next: down, along a lane, and down again; arrows from one box share its lane."""
    if not pieces:
        return []
    starts = sorted({start for start, end, _ in pieces if start != end})
    lanes: dict[int, int] = {}
    taken: list[list[tuple[int, int]]] = []
    for start in starts:
        ends = [end for begin, end, _ in pieces if begin == start]
        low, high = min([start, *ends]), max([start, *ends])
        lane = next((place for place, spans in enumerate(taken) if all(high < left or low > right for left, right in spans)), len(taken))
        if lane == len(taken):
            taken.append([])
        taken[lane].append((low, high))
        lanes[start] = lane
    height = max(1, len(taken)) + 1
    grid = [[0] * (width + 1) for _ in range(height)]
    for start, end, _ in pieces:
        lane = lanes.get(start, 0)
        if start == end:
            for y in range(height):
                grid[y][start] |= _UP | _DOWN
            continue
        for y in range(lane):
            grid[y][start] |= _UP | _DOWN
        grid[lane][start] |= _UP | (_RIGHT if end > start else _LEFT)
        for x in range(min(start, end) + 1, max(start, end)):
            grid[lane][x] |= _LEFT | _RIGHT
        grid[lane][end] |= _DOWN | (_LEFT if end > start else _RIGHT)
        for y in range(lane + 1, height):
            grid[y][end] |= _UP | _DOWN
    heads = {end for _, end, has_head in pieces if has_head}
    lines = ["".join(_LINES[cell] for cell in row) for row in grid]
    lines[-1] = "".join("▼" if x in heads else char for x, char in enumerate(lines[-1]))
    return [ink.styled(line, "dim") for line in lines]


class GraphPicture(ScrollableContainer, can_focus=True):
    """The graph of a run."""

    DEFAULT_CSS = """
    GraphPicture { background: $surface; scrollbar-size: 1 1; }
    GraphPicture Static { width: auto; height: auto; padding: 0 1; }
    """

    def compose(self) -> ComposeResult:
        yield Static(markup=False)

    def display_watch(self, watch: Watch, chosen: str = "") -> None:
        """Show a run's graph as it stands."""
        description = watch.reader.description(watch.view.graph)
        count = len(description.get("calls", ()))
        if not count or count > MOST:
            self.query_one(Static).update(ink.styled("this program has no graph of its own: its code makes the calls" if not count else
                                               f"{count:,} calls are too many for a picture; g shows them as a list", "dim"))
            return
        self.query_one(Static).update(Text("\n").join(drawn(laid_out(description, watch.view), chosen)))


# ------------------------------------------------------------------ as SVG

_FILLS = {
    "done": ("#dff0dc", "#37712f"), "running": ("#dbe8fb", "#2d5fa8"), "again": ("#fdf0d0", "#a87b1d"), "waiting": ("#fdf0d0", "#a87b1d"),
    "failed": ("#f8d7d7", "#a83232"), "stopped": ("#eeeeee", "#777777"), "": ("#ffffff", "#999999"),
}
_CELL_X, _LAYER_Y = 9, 110
_MARKER = 'markerWidth="9" markerHeight="9" refX="8" refY="4"'


def svg(picture: Picture, title: str) -> str:
    """The picture as an SVG document."""
    width, height = picture.width * _CELL_X + 40, len(picture.layers) * _LAYER_Y + 40
    parts = [
        svg_head(width, height, title),
        f'<defs><marker id="head" {_MARKER} orient="auto"><path d="M0,0 L9,4 L0,8 z" fill="#555"/></marker></defs>',
    ]
    for start, end in picture.edges:
        x1, y1 = start.middle * _CELL_X + 20, start.layer * _LAYER_Y + (64 if start.box.kind != "pass" else 20)
        x2, y2 = end.middle * _CELL_X + 20, end.layer * _LAYER_Y + 20
        head = ' marker-end="url(#head)"' if end.box.kind != "pass" else ""
        colour, weight = ("#8a2f7a", 2.5) if start.is_critical and end.is_critical else ("#555", 1.2)
        parts.append(f'<path d="M{x1},{y1} C{x1},{y1 + 30} {x2},{y2 - 30} {x2},{y2}" fill="none" stroke="{colour}" stroke-width="{weight}"{head}/>')
        if end.box.kind == "pass":
            parts.append(f'<path d="M{x2},{y2} L{x2},{y2 + 1}" stroke="{colour}"/>')
    for layer in picture.layers:
        for one in layer:
            if one.box.kind != "pass":
                parts += _svg_box(one)
    return "\n".join([*parts, "</svg>"]) + "\n"


def svg_head(width: int, height: int, title: str, *, font_size: int = 13) -> str:
    """How an SVG document begins: its size, its title, a white ground."""
    sizes = f'width="{width}" height="{height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {sizes} viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="{font_size}">\n'
        f'<title>{escape(xml_text(title))}</title>\n<rect {sizes} fill="#ffffff"/>'
    )


def _svg_box(one: Placed) -> Iterator[str]:
    fill, edge = _FILLS.get(one.status, _FILLS[""])
    x, y, width = one.x * _CELL_X + 20, one.layer * _LAYER_Y + 20, one.width * _CELL_X
    if one.is_critical:
        edge = "#8a2f7a"
    yield f'<rect x="{x}" y="{y}" width="{width}" height="44" rx="7" fill="{fill}" stroke="{edge}" stroke-width="{2.5 if one.is_critical else 1.2}"/>'
    yield f'<text x="{x + width // 2}" y="{y + 19}" text-anchor="middle" font-weight="bold">{escape(xml_text(ink.line(one.name, 24)))}</text>'
    words = f"{ink.MARKS.get(one.status, '')} {one.words}"
    yield f'<text x="{x + width // 2}" y="{y + 36}" text-anchor="middle" fill="#444">{escape(xml_text(ink.line(words, 26)))}</text>'


def xml_text(text: str) -> str:
    """Text without what XML does not allow."""
    return "".join(char for char in text if char >= " " and not 0xD800 <= ord(char) <= 0xDFFF and char not in "\ufffe\uffff")


if __name__ == "__main__":
    from rookery.tui.demo import alone

    def shown(watch: Watch) -> GraphPicture:
        picture = GraphPicture()
        picture.call_later(lambda: picture.display_watch(watch))
        return picture

    alone(shown)
