"""A graph as an SVG: its calls in layers by their distance from the inputs, each joined to what it reads."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from rookery.core.graph import Graph
from rookery.core.layout import Box, boxes, layers

WIDTH, HEIGHT, ACROSS, DOWN, MARGIN = 200, 44, 24, 36, 20
"""Of a box, between boxes, and around all, in pixels."""
_COLOURS = {
    "input": "#eef2f7", "prompt": "#fdf3d8", "tool": "#e3f1e4", "program": "#e3f1e4", "each": "#e6e9fb", "when": "#fbe6ea", "loop": "#efe4fb",
    "ask": "#fde6d8", "graph": "#e0f2f4",
}  # fmt: skip


def svg(graph: Graph) -> str:
    """The picture as one SVG document."""
    found = {box.name: box for box in boxes(graph)}
    rows = layers(graph)
    widest = max((len(row) for row in rows), default=1)
    width = 2 * MARGIN + widest * (WIDTH + ACROSS) - ACROSS
    height = 2 * MARGIN + len(rows) * (HEIGHT + DOWN) - DOWN
    places = dict(_placed(rows, width))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif">'
    lines = [head, f"<title>{escape(graph.name)}</title>"]
    for box in found.values():
        lines += (_arrow(places[read], places[box.name], bold=bool(box.over)) for read in box.reads if read in places)
    lines += (_drawn(box, *places[box.name]) for box in found.values())
    return "\n".join([*lines, "</svg>", ""])


def _placed(rows: list[list[str]], width: int) -> Iterator[tuple[str, tuple[float, float]]]:
    """The upper left corner of each box; a row stands in the middle."""
    for depth, row in enumerate(rows):
        start = (width - (len(row) * (WIDTH + ACROSS) - ACROSS)) / 2
        for place, name in enumerate(row):
            yield name, (start + place * (WIDTH + ACROSS), MARGIN + depth * (HEIGHT + DOWN))


def _arrow(start: tuple[float, float], end: tuple[float, float], *, bold: bool) -> str:
    x1, y1, x2, y2 = start[0] + WIDTH / 2, start[1] + HEIGHT, end[0] + WIDTH / 2, end[1]
    bend = (y2 - y1) / 2
    path = f"M{x1:.0f},{y1:.0f} C{x1:.0f},{y1 + bend:.0f} {x2:.0f},{y2 - bend:.0f} {x2:.0f},{y2:.0f}"
    return f'<path d="{path}" fill="none" stroke="#8a94a6" stroke-width="{2.5 if bold else 1.2}"/>'


def _drawn(box: Box, x: float, y: float) -> str:
    name = box.name.removeprefix("inputs.")
    what = box.kind if not box.function or box.function == name else f"{box.kind} {box.function}"
    fill = _COLOURS.get(box.kind, "#ffffff")
    return (
        f'<g><rect x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{fill}" stroke="#5b6575"/>'
        f'<text x="{x + 10:.0f}" y="{y + 18:.0f}" font-size="13" font-weight="bold">{escape(_short(name, 24))}</text>'
        f'<text x="{x + 10:.0f}" y="{y + 35:.0f}" font-size="11" fill="#444">{escape(_short(f"{what}: {box.type}", 32))}</text></g>'
    )


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
