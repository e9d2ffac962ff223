"""The bar over a run: which run it is, how it stands, what it has used and of how much, and where one is in its log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from rich.cells import cell_len
from rich.text import Text
from textual.widgets import Static

from rookery.core.view import View
from rookery.tui import ink
from rookery.tui.progress import money
from rookery.tui.watch import Watch


class RunBar(Static):
    """Two lines over the screens of a run."""

    DEFAULT_CSS = """
    RunBar { height: auto; max-height: 4; background: $panel; color: $foreground; padding: 0 1; }
    """

    def show(self, watch: Watch, *, now: float | None = None) -> None:
        """Show a run as it stands."""
        width = max(20, (self.size.width or self.app.size.width) - 2)
        self.update(Text("\n").join(lines(watch, width, time.time() if now is None else now)))


def lines(watch: Watch, width: int, now: float) -> list[Text]:
    """What the bar says."""
    view = watch.view
    first = Text(no_wrap=True, overflow="ellipsis")
    first.append(ink.line(watch.run, max(8, width // 3)), style="bold")
    first.append("  ")
    first.append_text(ink.status(watch.status))
    if watch.moment is not None:
        first.append(f"  ◀ moment {watch.moment:,} of {len(watch.events):,}", style="bold magenta")
    elif watch.is_carried:
        first.append("  live", style="cyan")
    used = "  ".join(used_words(view, seconds(watch, now)))
    gap = width - cell_len(first.plain) - cell_len(used)
    first.append(" " * max(2, gap))
    first.append(used, style="dim")
    found = [first]
    caps = Text("   ").join([budget(name, spent, cap) for name, spent, cap in budgets(view, view.options.get("limit"), seconds(watch, now))])
    if caps.plain:
        found.append(caps)
    asked = next(iter(view.questions.values()), None)
    if asked is not None:
        more = f"  and {len(view.questions) - 1} more" if len(view.questions) > 1 else ""
        words = ink.styled(f"? {ink.line(asked.question, max(10, width - 16 - len(more)))}{more}", "bold yellow")
        found.append(words.append("  a answers", style="dim"))
    if watch.fault is not None:
        found.append(ink.styled(f"! {ink.line(watch.fault.reason, width - 2)}", "bold red"))
    return found


def seconds(watch: Watch, now: float) -> float:
    """For how long the run has been carried out."""
    view = watch.view
    if watch.moment is None and watch.is_carried and view.status == "running" and view.changed_at:
        return view.executed_s + max(0.0, now - view.changed_at)
    return view.executed_s


def used_words(view: View, seconds_s: float) -> Iterator[str]:
    """What a run has used, shortest first to be left out."""
    if view.spend.calls:
        yield f"{ink.count(view.spend.calls)} requests"
    yield f"{ink.count(len(view.calls))} calls"
    if view.spend.tokens:
        yield f"{ink.count(view.spend.tokens)} tok"
    if money(view.spend.cost_usd):
        yield money(view.spend.cost_usd)
    yield ink.duration(seconds_s)


def budgets(view: View, caps: Any, seconds_s: float) -> Iterator[tuple[str, float, float]]:
    """Of each cap: its name, what is spent of it, and the cap."""
    spend = view.spend
    spent = {"calls": spend.calls, "tokens": spend.tokens, "usd": spend.cost_usd or 0.0, "seconds": seconds_s, "sandbox_seconds": spend.sandbox_s}
    for name, cap in (caps or {}).items():
        if name in spent:
            yield name, spent[name], cap


def budget(name: str, spent: float, cap: float) -> Text:
    """``tokens ▮▮▮▯▯▯▯▯ 3.4k/10k``."""
    is_money = name == "usd"
    figures = f"{money(spent) or '$0'}/{money(cap) or '$0'}" if is_money else f"{_figure(spent)}/{_figure(cap)}"
    style = "red" if cap and spent >= 0.9 * cap else "yellow" if cap and spent >= 0.6 * cap else "green"
    text = ink.styled(f"{'money' if is_money else name.replace('_', ' ')} ", "dim")
    text.append(ink.bar(spent, cap, 10), style=style)
    return text.append(f" {figures}")


def _figure(number: float) -> str:
    return ink.count(int(number)) if number >= 100 or float(number).is_integer() else f"{number:.1f}"
