"""What can be saved of a run: the picture of its graph or of a search's tree (SVG, PNG), the conversation (Markdown), a value, the screen."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rookery.core.argument import UNKNOWN
from rookery.errors import CapabilityMissing
from rookery.tui.picture import MOST, laid_out
from rookery.tui.picture import svg as graph_svg
from rookery.tui.transcript import markdown
from rookery.tui.tree import Tree
from rookery.tui.tree import svg as tree_svg
from rookery.tui.watch import Watch


@dataclass(frozen=True, slots=True)
class Saving:
    """One thing that can be saved."""

    title: str
    name: str
    """The file's name."""
    make: Callable[[], bytes]


def savings(watch: Watch, place: str) -> list[Saving]:
    """What there is to save of a run; ``place`` is the call that is looked at, empty for the run itself."""
    stem = _stem(watch.run)
    found: list[Saving] = []
    description = watch.reader.description(watch.view.graph)
    if 0 < len(description.get("calls", ())) <= MOST:
        found += _picture(f"{stem}-graph", "the graph", lambda: graph_svg(laid_out(description, watch.view), watch.run))
    for call, nodes in list(watch.view.trees.items())[:20]:
        found += _picture(f"{stem}-{_stem(call)}-tree", f"the tree of {call}", lambda call=call, nodes=nodes: tree_svg(Tree(nodes), title=call))  # type: ignore[misc]
    found.append(Saving("the conversation (Markdown)", f"{stem}.md", lambda: markdown(watch).encode("utf-8", "replace")))
    value = watch.reader.value(place, whole=True) if place else watch.reader.stored(watch.view.value)
    if value is not UNKNOWN:
        is_text = isinstance(value, str)
        words = value if is_text else json.dumps(value, ensure_ascii=False, indent=2)
        name = f"{stem}-{_stem(place or 'value')}.{'txt' if is_text else 'json'}"
        found.append(Saving(f"the value of {place or 'the run'}", name, lambda: words.encode("utf-8", "replace")))
    return found


def _picture(stem: str, what: str, make: Callable[[], str]) -> list[Saving]:
    return [
        Saving(f"{what} (SVG)", f"{stem}.svg", lambda: make().encode()),
        Saving(f"{what} (PNG)", f"{stem}.png", lambda: png(make())),
    ]


def png(svg: str) -> bytes:
    """An SVG document as PNG. Raises CapabilityMissing without the package ``cairosvg``."""
    try:
        from cairosvg import svg2png
    except (ImportError, OSError) as error:  # the package, or the C library that it needs
        raise CapabilityMissing("pictures as PNG need the package cairosvg", hint="pip install 'rookery[png]', or save it as SVG") from error
    return bytes(svg2png(bytestring=svg.encode(), scale=2))


def write(saving: Saving, folder: Path) -> Path:
    """Save it under its name; an older file of this name stays, and this one gets a number. Raises OSError, CapabilityMissing."""
    data = saving.make()
    path = folder / saving.name
    number = 1
    while path.exists():
        number += 1
        path = folder / f"{Path(saving.name).stem}-{number}{Path(saving.name).suffix}"
    path.write_bytes(data)
    return path


def _stem(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:80] or "run"
