"""Live progress of a run on a terminal, and a few plain lines where there is none; drawn from the view of its events."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from rookery.core.layout import group_of, worst_status
from rookery.core.spend import Spend
from rookery.core.view import CallView, View
from rookery.tui.safe import safe

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from rookery.engine.run import Run

REFRESH_S = 0.12
PLAIN_S = 5.0
"""Seconds between two lines where there is no terminal."""
MAX_GROUPS = 8
BAR = 12
_STYLE = {"done": "green", "running": "cyan", "again": "yellow", "waiting": "yellow", "failed": "red", "stopped": "dim"}
_MARK = {"done": "✓", "running": "●", "again": "↻", "waiting": "?", "failed": "✗", "stopped": "■"}


@dataclass(frozen=True, slots=True)
class Group:
    """Calls of one place in the program, counted: ``section 12/64``."""

    name: str
    status: str
    done: int
    known: int
    """How many there are, as far as is known by now."""
    spend: Spend
    tail: str = ""
    """The end of what one of them is writing."""
    problem: str = ""


def groups(view: View, *, known: Mapping[str, int] | None = None) -> list[Group]:
    """The calls of a view by their place, in the order in which they began; ``known`` says how many there are of each."""
    members: dict[str, list[CallView]] = {}
    for path, call in view.calls.items():
        members.setdefault(group_of(path), []).append(call)
    hosts = {name[:place] for name in members for place in range(len(name)) if name[place] == "/"}
    found = []
    for name, calls in members.items():
        if name in hosts and worst_status(calls) != "failed":  # a program's own call: its parts are shown
            continue
        running = [call for call in calls if call.status in ("running", "again")]
        fault = next((call.fault for call in calls if call.fault is not None), None)
        found.append(
            Group(
                name, worst_status(calls), sum(1 for call in calls if call.status == "done"),
                max(len(calls), (known or {}).get(name, 0)), sum((call.spend for call in calls), Spend()),
                next((call.text for call in reversed(running) if call.text), ""), fault.message if fault else "",
            )
        )
    return found


def money(cost_usd: float | None) -> str:
    """``$0.0123``; empty when no price is known or the model costs nothing."""
    if not cost_usd:
        return ""
    return f"${cost_usd:.2f}" if cost_usd >= 1 else f"${cost_usd:.4f}"


def totals(view: View, seconds: float) -> str:
    """``12 calls · 3,456 tokens · $0.0123 · 4.5 s``."""
    calls = view.spend.calls
    parts = [f"{calls:,} model call{'' if calls == 1 else 's'}"] if calls else [f"{len(view.calls):,} call{'' if len(view.calls) == 1 else 's'}"]
    if view.spend.tokens:
        parts.append(f"{view.spend.tokens:,} tokens")
    if money(view.spend.cost_usd):
        parts.append(money(view.spend.cost_usd))
    return " · ".join([*parts, f"{seconds:.1f} s"])


def waits_for(view: View) -> str:
    """What a person is needed for; empty when nobody is."""
    if view.questions:
        return "; ".join(f"{call}: {question.question}" for call, question in view.questions.items())
    if view.status == "paused":
        return "paused"
    held = [path for path, call in view.calls.items() if call.status == "waiting"]
    return f"at a breakpoint: {', '.join(held[:3])}" if held else ""


def picture(view: View, *, title: str, seconds: float, width: int = 80, known: Mapping[str, int] | None = None) -> Text:
    """The view as a few lines of rich text, each cut to ``width``; what models and tools wrote is shown as plain text."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="crop")
    text.append(_fit(safe(title), width - 24), style="bold")
    text.append(f"  {totals(view, seconds)}", style="dim")
    found = groups(view, known=known)
    busy = [group for group in found if group.status != "done"]
    shown = [group for group in found if group in busy[-MAX_GROUPS:] or group in found[-MAX_GROUPS:]][-MAX_GROUPS:]
    if len(shown) < len(found):
        text.append(f"\n  … {len(found) - len(shown)} more", style="dim")
    name_width = min(32, max((len(group.name) for group in shown), default=0))
    for group in shown:
        style = _STYLE.get(group.status, "")
        text.append(f"\n  {_MARK.get(group.status, ' ')} ", style=style)
        text.append(f"{_fit(safe(group.name), name_width):<{name_width}}")
        text.append(_count(group), style=style)
        left = width - name_width - 8 - len(_count(group))
        note = group.problem if group.status in ("failed", "again") else group.tail
        if note and left > 8:
            text.append("  " + _tail(note, left - 2), style="red" if group.status == "failed" else "dim italic")
    waiting = waits_for(view)
    if waiting:
        text.append("\n  waits for you: ", style="yellow bold")
        text.append(_fit(safe(waiting), width - 18))
    return text


def _count(group: Group) -> str:
    if group.known == 1:
        return ""
    filled = group.done * BAR // group.known
    return f" {group.done}/{group.known} {'▮' * filled}{'▯' * (BAR - filled)}"


def _fit(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def _tail(text: str, width: int) -> str:
    text = " ".join(safe(text[-4 * width :]).split())
    return text if len(text) <= width else "…" + text[-(width - 1) :]


class Progress:
    """Shows a run while it goes on: ``async with Progress(run): value = await run``.

    On a terminal a few lines are redrawn in place and vanish at the end; elsewhere a line is printed now and then.
    """

    def __init__(self, run: Run, *, title: str = "", stream: TextIO | None = None, quiet: bool = False, every_s: float | None = None) -> None:
        self.run = run
        self.title = title or run.id
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self.is_live = not quiet and self.stream.isatty()
        self.every_s = every_s or (REFRESH_S if self.is_live else PLAIN_S)
        self._live: Live | None = None
        self._task: asyncio.Task[None] | None = None
        self._started = time.monotonic()
        self._last = ""

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return time.monotonic() - self._started

    async def __aenter__(self) -> Progress:
        if not self.quiet:
            self.resume()
            self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self.pause()

    def pause(self) -> None:
        """Take the picture away, so that something else can be printed."""
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def resume(self) -> None:
        """Show the picture (again)."""
        if self.is_live and self._live is None:
            from rich.console import Console
            from rich.live import Live

            console = Console(file=self.stream, highlight=False, markup=False, emoji=False)
            self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)
            self._live.start()
            self.draw()

    def draw(self) -> None:
        """Show the run as it stands now."""
        if self._live is not None:
            width = self._live.console.width
            self._live.update(picture(self.run.view, title=self.title, seconds=self.seconds, width=width, known=self._known()), refresh=True)
        elif not self.is_live and not self.quiet:
            line = self._line()
            if line != self._last:
                self._last = line
                self.say(f"{safe(self.title)}  {totals(self.run.view, self.seconds)}  {line}".rstrip())

    def say(self, line: str) -> None:
        """Print a line, above the picture if there is one."""
        if self._live is not None:
            self._live.console.print(line, soft_wrap=True)
        else:
            print(line, file=self.stream, flush=True)  # noqa: T201

    def _line(self) -> str:
        parts = [f"{group.name}{f' {group.done}/{group.known}' if group.known > 1 else ''} {group.status}" for group in groups(self.run.view)]
        waiting = waits_for(self.run.view)
        return safe(", ".join(parts[-4:]) + (f"; waits for: {waiting}" if waiting else ""))

    def _known(self) -> dict[str, int]:
        """How many calls each group has by now, those not begun included."""
        counted: dict[str, int] = {}
        for path in self._nodes():
            if path[-1:] == "]":
                name = group_of(path)
                counted[name] = counted.get(name, 0) + 1
        return counted

    def _nodes(self) -> Mapping[str, Any]:
        state = getattr(self.run, "state", None)
        return state.nodes if state is not None else {}

    async def _follow(self) -> None:
        while not self.run.done:
            began = time.perf_counter()
            self.draw()
            spent = time.perf_counter() - began
            await asyncio.sleep(max(self.every_s, min(1.0, 10 * spent)))  # a large run is drawn less often


async def watch(make: Callable[[], Run], *, title: str = "", stream: TextIO | None = None, quiet: bool = False) -> Any:
    """Carry a run out with its progress on the screen; gives its value and raises its error."""
    async with make() as run, Progress(run, title=title, stream=stream, quiet=quiet):
        return await run
