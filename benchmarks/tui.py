"""The terminal UI under load: frames, input latency and the run's own speed at 5,000 events a second; opening 100,000 events; memory.

The application runs in a process of its own under a pseudo-terminal, as a user starts it; the run in another. A frame is a burst of output;
latency is the time from a key until its letter is drawn, typed into a field over the live screen. The run is timed with the screen and
without, in turn, and the best of each counts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT, Target, finish, obey, options, say, scratch, table
from benchmarks.report import Worker as Other
from rookery import SQLiteLog, start, tool
from rookery.core import event as ev

RATE = 5_000
"""Events a second: each call is three, its making, its beginning and its end."""
SIZE = (160, 50)
LETTERS = "αβγδεζηθικλμνξοπρστυφχψωбгджзийлмнптфцчшщъыьэюя"
"""Drawn nowhere else on the screen."""
KEY_EVERY_S = 0.15
BURST_S = 0.004
"""Output that comes closer together than this is of one frame."""


# ------------------------------------------------------------------ the run


@tool(inline=True)
async def tick(number: int) -> int:
    return number


def program(calls_per_s: float) -> Any:
    """A program that makes so many calls a second; 0: as fast as it can."""

    async def steady(count: int) -> int:
        began = time.perf_counter()
        done = 0
        while done < count:
            due = count if not calls_per_s else min(count, int((time.perf_counter() - began) * calls_per_s) + 1)
            if due > done:
                end = min(due, done + 100)
                await asyncio.gather(*[tick(number=number) for number in range(done, end)])
                done = end
            else:
                await asyncio.sleep(0.002)
        return done

    return steady


async def emit(path: str, run: str, count: int, calls_per_s: float) -> dict[str, float]:
    """Carry the run out; its wall and processor seconds, and its events."""
    wall, processor = time.perf_counter(), time.process_time()
    async with start(program(calls_per_s), count=count, log=path, id=run, origin="benchmarks.tui:steady") as r:
        await r
        return {"wall_s": time.perf_counter() - wall, "processor_s": time.process_time() - processor, "events": len(r.history)}


def answer(order: dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(emit(order["path"], order["run"], order["count"], order["calls_per_s"]))


# ------------------------------------------------------------------ the screen


class Screen:
    """``rookery tui`` under a pseudo-terminal; its output is read as it comes."""

    def __init__(self, *words: str) -> None:
        self._main, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.began = time.perf_counter()
        self._process = subprocess.Popen([sys.executable, "-m", "rookery", "tui", *words], cwd=ROOT, stdin=other, stdout=other, stderr=other,
                                         env=environment, start_new_session=True)  # fmt: skip
        os.close(other)
        self.frames: list[float] = []
        self._last = 0.0

    def read(self, timeout_s: float) -> str:
        """What has been drawn by then; notes the frames."""
        ready, _, _ = select.select([self._main], [], [], timeout_s)
        if not ready:
            return ""
        try:
            data = os.read(self._main, 1 << 20)
        except OSError:
            return ""
        now = time.perf_counter()
        if now - self._last > BURST_S:
            self.frames.append(now)
        self._last = now
        return data.decode(errors="replace")

    def until(self, pattern: str, within_s: float) -> float | None:
        """Seconds since it was started until a pattern was drawn; None when it was not."""
        text = ""
        while time.perf_counter() - self.began < within_s:
            text = (text + self.read(0.05))[-400_000:]
            if re.search(pattern, _plain(text)):
                return time.perf_counter() - self.began
        return None

    def press(self, keys: str) -> None:
        os.write(self._main, keys.encode())

    @property
    def peak_mb(self) -> float | None:
        """The most memory it has held."""
        try:
            lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        except OSError:
            return None
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        end = time.perf_counter() + 10
        while self._process.poll() is None and time.perf_counter() < end:
            self.read(0.05)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        with contextlib.suppress(OSError):
            os.close(self._main)


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@contextlib.contextmanager
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rookery-tui-", dir=scratch()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def watched(seconds: float) -> dict[str, Any]:
    """A run at RATE events a second, with the screen on it: frames a second, latencies, memory, and the run's own seconds."""
    with place() as folder:
        path = str(folder / "log.db")
        SQLiteLog(path).close()
        worker = Other("benchmarks.tui", "--worker")
        screen: Screen | None = None
        try:
            emitter = _begin(worker, path, int(RATE / 3 * seconds), RATE / 3)
            _until_there(path)
            screen = Screen("steady", "--log", path)
            opened = screen.until(r"steady.*live|running", 30.0)
            screen.press("/")
            _drain(screen, 0.5)
            first = time.perf_counter()
            screen.frames.clear()
            latencies = list(_latencies(screen, emitter))
            shown_s = time.perf_counter() - first
            return {
                "opened_s": opened, "frames_per_s": len(screen.frames) / shown_s, "latency_ms": latencies, "peak_mb": screen.peak_mb,
                "shown_s": shown_s, **emitter.result(),
            }  # fmt: skip
        finally:
            if screen is not None:
                screen.close()
            worker.close()


class _begin:
    """An order to a worker whose answer is waited for later."""

    def __init__(self, worker: Other, path: str, count: int, calls_per_s: float, run: str = "steady") -> None:
        import threading

        self._answer: dict[str, Any] = {}

        def ask() -> None:
            order = {"path": path, "run": run, "count": count, "calls_per_s": calls_per_s}
            self._answer.update(worker.ask(order, timeout_s=600))

        self._thread = threading.Thread(target=ask, daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def result(self) -> dict[str, Any]:
        self._thread.join()
        return self._answer


def _until_there(path: str, run: str = "steady") -> None:
    log = SQLiteLog(path)
    while not any(info.run == run for info in log.runs()):
        time.sleep(0.02)
    log.close()


def _drain(screen: Screen, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        screen.read(0.02)


def _latencies(screen: Screen, emitter: _begin) -> Iterator[float]:
    """Milliseconds from a key until its letter is drawn, while the run goes on."""
    for letter in LETTERS:
        if emitter.is_over:
            return
        pressed = time.perf_counter()
        screen.press(letter)
        while time.perf_counter() - pressed < 2.0:
            if letter in screen.read(0.01):
                yield (time.perf_counter() - pressed) * 1e3
                break
        else:
            yield 2_000.0
        _drain(screen, max(0.0, KEY_EVERY_S - (time.perf_counter() - pressed)))


def timed(count: int, calls_per_s: float, *, with_screen: bool) -> dict[str, Any]:
    """A run's own seconds, with a screen on it or without."""
    with place() as folder:
        path = str(folder / "log.db")
        SQLiteLog(path).close()
        worker = Other("benchmarks.tui", "--worker")
        screen: Screen | None = None
        try:
            _begin(worker, path, 1, 0, run="warm").result()
            if with_screen:
                screen = Screen("warm", "--log", path)
                screen.until("finished", 30.0)
            order = _begin(worker, path, count, calls_per_s)
            if screen is not None:
                _until_there(path)
                screen.press("1")
                _drain(screen, 0.3)
                screen.press("\x1b[H\r")  # the newest run
            while not order.is_over:
                if screen is not None:
                    screen.read(0.05)
                else:
                    time.sleep(0.05)
            return order.result()
        finally:
            if screen is not None:
                screen.close()
            worker.close()


def large(count: int) -> dict[str, Any]:
    """A log of so many events, opened: seconds from the start of the process until all of it is shown."""
    with place() as folder:
        path = folder / "log.db"
        log = SQLiteLog(path)
        writer = log.begin("large", new=True)
        calls = count // 2
        item = {"name": "item", "kind": "each", "function": "item", "type": "list[int]", "reads": [], "over": ["x"]}
        description = json.dumps({"name": "large", "inputs": {}, "output": ["item"], "calls": [item]}).encode()
        from rookery.core.value import digest

        name = digest(description)
        writer.append([ev.RunStarted(1_000.0, "large", "benchmarks.tui:large", f"#{name}")], [(name, description)])
        for begin in range(0, calls, 1_000):
            batch: list[ev.Event] = [ev.CallStarted(1_000.0 + n / 100, f"item[{n}]") for n in range(begin, min(calls, begin + 1_000))]
            batch += [ev.CallFinished(1_000.5 + n / 100, f"item[{n}]", f"={n}") for n in range(begin, min(calls, begin + 1_000))]
            writer.append(batch, [])
        writer.append([ev.RunFinished(5_000.0, "=1")], [])
        writer.close()
        log.close()
        empty, full = [], []
        peak = 0.0
        for _ in range(3):
            screen = Screen("large", "--log", str(path))
            shown = screen.until(rf"{calls:,} done", 60.0)
            peak = max(peak, screen.peak_mb or 0.0)
            screen.close()
            full.append(shown or 60.0)
            screen = Screen("--log", str(path))
            empty.append(screen.until("large", 60.0) or 60.0)
            screen.close()
        return {"events": count, "open_s": min(full), "start_s": min(empty), "peak_mb": peak}


# ------------------------------------------------------------------ all of it


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    seconds = 6.0 if chosen.quick else 15.0
    say(f"a run at {RATE:,} events a second, watched")
    live = watched(seconds + 4)
    laps = 2 if chosen.quick else 4
    times: dict[str, dict[bool, list[dict[str, Any]]]] = {"paced": {False: [], True: []}, "as fast as it can": {False: [], True: []}}
    for lap in range(laps):
        say(f"with a screen and without, round {lap + 1} of {laps}")
        for with_screen in (False, True) if lap % 2 else (True, False):
            times["paced"][with_screen].append(timed(int(RATE / 3 * seconds / 2), RATE / 3, with_screen=with_screen))
            times["as fast as it can"][with_screen].append(timed(4_000 if chosen.quick else 10_000, 0, with_screen=with_screen))
    say("a log of 100,000 events")
    return {"live": live, "times": {kind: {str(key): laps for key, laps in both.items()} for kind, both in times.items()}, "large": large(100_000)}


def slower(both: dict[str, list[dict[str, Any]]], key: str = "wall_s") -> float:
    """By how many percent a run is slower with a screen."""
    with_screen, without = (min(lap[key] for lap in both[name]) for name in ("True", "False"))
    return (with_screen / without - 1) * 100


def main(argv: Sequence[str] | None = None) -> int:
    chosen = options(__doc__, argv, worker={"action": "store_true", "help": argparse.SUPPRESS})
    if chosen.worker:
        obey(answer)
        return 0
    figures = measure(chosen)
    live, big = figures["live"], figures["large"]
    latencies = sorted(live["latency_ms"])
    p95 = latencies[min(len(latencies) - 1, int(0.95 * len(latencies)))] if latencies else None
    paced, fast = slower(figures["times"]["paced"]), slower(figures["times"]["as fast as it can"])
    peak = max(live["peak_mb"] or 0.0, big["peak_mb"])
    targets = [
        Target("frames a second at 5,000 events a second", live["frames_per_s"], 15, at_least=True),
        Target("input latency, 95th percentile", p95, 100, " ms"),
        Target("the run with a screen on it is slower by", paced, 5, " %"),
        Target("a log of 100,000 events opens in", big["open_s"], 2, " s"),
        Target("memory at most", peak or None, 300, " MB"),
    ]
    rate = live["events"] / live["wall_s"]
    rows = [
        ("events a second", rate), ("frames a second", live["frames_per_s"]),
        ("latency, median (ms)", statistics.median(latencies) if latencies else None),
        ("latency, 95 % (ms)", p95), ("latency, most (ms)", latencies[-1] if latencies else None), ("run slower, at that rate (%)", paced),
        ("its processor time, at that rate (%)", slower(figures["times"]["paced"], "processor_s")), ("run slower, as fast as it can (%)", fast),
        ("100,000 events: all shown after (s)", big["open_s"]), ("an empty screen after (s)", big["start_s"]), ("peak memory (MB)", peak),
    ]  # fmt: skip
    return finish("tui", figures, targets, table(["", "figure"], rows), chosen)


if __name__ == "__main__":
    sys.exit(main())
