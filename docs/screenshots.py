"""Makes the pictures of the terminal UI in docs/screens/ from its recorded runs: ``python docs/screenshots.py``."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rookery import MemoryLog
from rookery.tui.app import RookeryApp
from rookery.tui.demo import record

FOLDER = Path(__file__).parent / "screens"
PICTURES = {
    "run": ("article-rooks", "run", ["down", "down", "down"]),
    "search": ("search-24", "search", ["o"]),
    "talk": ("desk-ada", "talk", []),
}
"""By file: the run, the screen, and the keys that lead to what is shown."""
SIZE = (120, 34)


async def main() -> None:
    log = MemoryLog()
    await record(log)
    FOLDER.mkdir(exist_ok=True)
    for name, (run, page, keys) in PICTURES.items():
        app = RookeryApp(log, run=run, page=page)
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause(1.0)
            for key in keys:
                await pilot.press(key)
                await pilot.pause(0.2)
            (FOLDER / f"{name}.svg").write_text(app.export_screenshot(title="rookery"), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
