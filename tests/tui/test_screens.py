"""Every screen at two sizes, on the recorded runs, by the keys that lead to it."""

from __future__ import annotations

from typing import Any

import pytest

from rookery import MemoryLog
from rookery.tui.app import RookeryApp
from tests.tui.screens import check_screen, press, settle

SIZES = [(80, 24), (160, 50)]
SCREENS: dict[str, tuple[str, str, list[str]]] = {
    "runs": ("", "", []),
    "run": ("article-rooks", "run", ["down", "down", "down"]),
    "run-itself": ("article-rooks", "run", ["i"]),
    "run-graph": ("article-rooks", "run", ["down", "g"]),
    "run-failed": ("leaflet-cornish", "run", ["n"]),
    "search": ("search-24", "search", ["o"]),
    "talk": ("desk-ada", "talk", ["escape"]),
    "permission": ("desk-ada", "talk", []),
    "events": ("article-rooks", "events", ["home", "down", "down", "down", "enter"]),
    "follow": ("article-rooks", "run", ["down", "down", "f"]),
    "break": ("article-rooks", "run", ["down", "down", "b"]),
    "edit": ("article-rooks", "run", ["down", "e"]),
    "edit-prompt": ("article-rooks", "run", ["down", "E"]),
    "save": ("article-rooks", "run", ["s"]),
}


def app_of(log: Any, run: str, page: str, **options: Any) -> RookeryApp:
    return RookeryApp(log, run=run, page=page, **options)


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "160x50"])
@pytest.mark.parametrize("name", SCREENS)
async def test_screen(log: MemoryLog, name: str, size: tuple[int, int]) -> None:
    run, page, keys = SCREENS[name]
    app = app_of(log, run, page, folder="here")
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await press(pilot, *keys)
        await settle(pilot)
        await check_screen(pilot, f"{name}-{size[0]}x{size[1]}")


@pytest.mark.parametrize("name", ["run", "search", "permission"])
async def test_light(log: MemoryLog, name: str) -> None:
    run, page, keys = SCREENS[name]
    app = app_of(log, run, page, light=True)
    async with app.run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        await press(pilot, *keys)
        await settle(pilot)
        await check_screen(pilot, f"{name}-light")


async def test_compare(log: MemoryLog) -> None:
    for size in SIZES:
        app = app_of(log, "article-rooks", "run")
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            app.compare("leaflet-cornish")
            await settle(pilot)
            await check_screen(pilot, f"compare-{size[0]}x{size[1]}")
