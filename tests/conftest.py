"""What holds for every test: no network but loopback, and a blocked event loop fails."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest

BLOCKED_S = 1.5


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connecting anywhere but to this machine is an error."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost", "0.0.0.0"):
            raise AssertionError(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def unblocked(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Async code that keeps the event loop from turning for long fails the test."""
    new_loop = asyncio.DefaultEventLoopPolicy.new_event_loop

    def watched(policy: asyncio.DefaultEventLoopPolicy) -> asyncio.AbstractEventLoop:
        loop = new_loop(policy)
        loop.set_debug(True)
        loop.slow_callback_duration = BLOCKED_S
        return loop

    monkeypatch.setattr(asyncio.DefaultEventLoopPolicy, "new_event_loop", watched)
    with caplog.at_level(logging.WARNING, logger="asyncio"):
        yield
    slow = [record.getMessage() for record in caplog.records if record.name == "asyncio" and "took" in record.getMessage()]
    assert not slow, f"the event loop was blocked: {slow}"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Settings of the machine the tests run on do not reach them."""
    import os

    for name in list(os.environ):
        if name.startswith("ROOKERY_") and name != "ROOKERY_DATA":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
