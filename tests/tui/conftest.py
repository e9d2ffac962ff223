"""What the tests of the screens share: the recorded runs, a clock's zone that is the same everywhere, and no animation."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from rookery import MemoryLog
from rookery.tui.demo import record


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times in UTC, and no environment of the machine's that changes how things look."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    for name in ("NO_COLOR", "COLORTERM", "FORCE_COLOR", "ROOKERY_MEMORY", "ROOKERY_TOOLS"):
        monkeypatch.delenv(name, raising=False)
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
async def log() -> MemoryLog:
    """The recorded runs."""
    found = MemoryLog()
    await record(found)
    return found
