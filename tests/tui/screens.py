"""Stored screens for tests: what a screen looks like is compared, character for character and colour for colour, with a file."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Input, TextArea

FOLDER = Path(__file__).parent / "screens"
UPDATE = bool(os.environ.get("ROOKERY_UPDATE_SCREENS"))
"""Write the screens instead of comparing them: look at each before it is committed."""
_ID = re.compile(r"terminal-\d+")


async def settle(pilot: Pilot[Any], rounds: int = 4) -> None:
    """Wait until messages, workers and what they set off are through."""
    for _ in range(rounds):
        await pilot.pause(0.06)
        for worker in [worker for worker in pilot.app.workers if worker.group == "fetch"]:
            await worker.wait()
    await pilot.pause()


async def press(pilot: Pilot[Any], *keys: str) -> None:
    """Press keys, each after what the one before has set off."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot, 1)


def text_of(app: Any) -> str:
    """What stands on the screen, as lines of text."""
    width, height = app.size
    lines = ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()]
    return "\n".join(line[:width].rstrip() for line in lines[:height])


async def check_screen(pilot: Pilot[Any], name: str) -> None:
    """Compare the screen with the stored one of this name. Raises AssertionError with what differs."""
    app = pilot.app
    for each in app.screen.query("Input, TextArea"):
        assert isinstance(each, Input | TextArea)
        each.cursor_blink = False
        if isinstance(each, TextArea):
            each.show_cursor = False
    await pilot.pause()
    svg = _ID.sub("terminal", app.export_screenshot(title="rookery")) + "\n"
    stored = FOLDER / f"{name}.svg"
    if UPDATE:
        FOLDER.mkdir(exist_ok=True)
        stored.write_text(svg, encoding="utf-8")
        return
    assert stored.exists(), f"there is no stored screen {name}: look at it, then ROOKERY_UPDATE_SCREENS=1 stores it"
    if stored.read_text(encoding="utf-8") != svg:
        stored.with_suffix(".new.svg").write_text(svg, encoding="utf-8")
        before = [re.sub(r"<[^>]*>", "", line) for line in stored.read_text(encoding="utf-8").splitlines() if "<text" in line]
        after = [re.sub(r"<[^>]*>", "", line) for line in svg.splitlines() if "<text" in line]
        changed = "\n".join(difflib.unified_diff(before, after, "stored", "now", lineterm="", n=1)) or "only colours or places differ"
        raise AssertionError(f"screen {name} differs (tests/tui/screens/{name}.new.svg):\n{changed[:6_000]}")
