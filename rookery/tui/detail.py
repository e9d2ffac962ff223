"""One call in full: its prompt with the holes marked by their variables, its reply as it is written, its value, attempts, tokens, cost, time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from rookery.core.argument import UNKNOWN, Piece
from rookery.core.view import CallView
from rookery.tui import ink
from rookery.tui.progress import money
from rookery.tui.watch import Watch

MOST_PIECE = 4_000
"""Of what fills a hole so many characters are shown."""
MOST_READERS = 8


class CallDetail(VerticalScroll, can_focus=True):
    """What there is to know of one call."""

    DEFAULT_CSS = """
    CallDetail { background: $surface; padding: 0 1; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", show=False), Binding("k", "scroll_up", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: Any = None
        self.call_path = ""

    def compose(self) -> ComposeResult:
        yield Static(id="call-text", markup=False)

    def display_call(self, watch: Watch, path: str, *, now: float | None = None) -> None:
        """Show a call, or a variable of the run, as it stands."""
        call = watch.view.calls.get(path)
        item = watch.outline.items.get(path)
        own = None if call is None else (call.status, call.text, call.value, call.attempts, call.spend, call.fault, call.elements)
        counts = None if item is None else (item.total, item.done)
        if now is None:
            now = time.time() if watch.is_carried and watch.moment is None else watch.view.changed_at
        seconds = int(now) if call is not None and call.status == "running" else 0
        state = (path, seconds, watch.moment, watch.is_carried, id(watch.view), len(watch.view.made), own, counts, watch.view.status)
        if state == self._shown:
            return
        self._shown = state
        if path != self.call_path:
            self.call_path = path
            self.scroll_home(animate=False)
        self.query_one("#call-text", Static).update(whole(watch, path, now=now))


def whole(watch: Watch, path: str, *, now: float) -> Text:
    """A call as text."""
    return Text("\n\n").join([Text("\n").join(section) for section in _sections(watch, path, now)])


def _sections(watch: Watch, path: str, now: float) -> Iterator[list[Text]]:
    if not path:
        yield list(_run(watch))
        return
    reader, view = watch.reader, watch.view
    call, entry = view.calls.get(path), reader.entry(path)
    yield list(_head(path, call, entry, reader.type(path), now))
    if call is not None and call.fault is not None:
        yield [_title("fault" if call.status == "failed" else "last attempt"), ink.styled(ink.body(call.fault.message, most=2_000), "red"),
               *([ink.styled(f"→ {ink.body(call.fault.hint, most=500)}", "yellow")] if call.fault.hint else [])]
    if path in view.questions:
        asked = view.questions[path]
        yield [_title("asks you  (a answers)"), ink.styled(ink.body(asked.question), "bold yellow")]
    messages = reader.prompt(path)
    for role, pieces in messages:
        yield [_title("prompt" if role == "user" else f"prompt · {role}"), _prompt(pieces)]
    arguments = reader.arguments(path)
    if not messages and arguments:
        yield [_title("called with"), *(_argument(argument.name, argument.variables, argument.value) for argument in arguments)]
    if call is not None and call.text and call.status in ("running", "again"):
        text = ("… " if len(call.text) >= 2_000 else "") + ink.clean(call.text)
        yield [_title("reply, as it comes"), ink.styled(text, "italic").append("▌", style="bold cyan")]
    value = reader.value(path)
    if value is not UNKNOWN and not (call is None and not value):
        yield [_title(f"value : {reader.type(path)}" if entry is not None else "value"), Text(ink.shown(value))]
    readers = reader.consumers(path)
    if readers or any(argument.variables for argument in arguments):
        yield list(_ways(arguments, readers))


def _run(watch: Watch) -> Iterator[Text]:
    """The run itself: its program, inputs and value."""
    view = watch.view
    yield ink.styled(f"{watch.run}", ink.NAME)
    yield ink.styled(ink.line(view.program, 300), ink.DIM)
    for name in view.inputs:
        yield _argument(name, (), watch.reader.value(f"inputs.{name}"))
    if view.value:
        yield _title("value")
        yield Text(ink.shown(watch.reader.stored(view.value)))
    if view.fault is not None:
        yield _title("fault")
        yield ink.styled(f"{view.fault_call}: {ink.body(view.fault.message)}", "red")
        if view.fault.hint:
            yield ink.styled(f"→ {ink.body(view.fault.hint)}", "yellow")


def _title(words: str) -> Text:
    return ink.styled(f"─── {words} ", "bold blue")


def _head(path: str, call: CallView | None, entry: Any, type_: str, now: float) -> Iterator[Text]:
    first = ink.styled(ink.line(path, 200), ink.NAME)
    if entry is not None:
        what = entry["kind"] if entry["function"] in ("", path) else f"{entry['kind']} {entry['function']}"
        first.append(f"  {what} → {type_}", style=ink.DIM)
    yield first
    if call is None:
        yield ink.styled(ink.WORDS[""] if entry is None or entry["kind"] not in ("each", "graph", "loop") else "a group of calls", ink.DIM)
        return
    facts = ink.status(call.status)
    spend = call.spend
    for fact in (
        f"attempt {call.attempts}" if call.attempts > 1 else "", call.model, call.level, "from the cache" if call.cached else "",
        f"{spend.prompt_tokens:,} + {spend.completion_tokens:,} tokens" if spend.tokens else "",
        f"{spend.cached_tokens:,} cached" if spend.cached_tokens else "", money(spend.cost_usd),
        f"{spend.sandbox_s:.1f} s in a sandbox" if spend.sandbox_s else "", f"{call.elements} elements" if call.elements else "", _time(call, now),
        f"decode: {call.guided.line}" if call.guided else "",
    ):
        if fact:
            facts.append(" · ", style=ink.DIM).append(ink.line(fact, 80))
    yield facts


def _time(call: CallView, now: float) -> str:
    if not call.started_at:
        return ""
    return ink.duration(max(0.0, (call.ended_at if call.ended_at >= call.started_at else now) - call.started_at)) if call.status != "stopped" else ""


def _prompt(pieces: list[Piece]) -> Text:
    text = Text()
    for piece in pieces:
        if not piece.hole:
            text.append(ink.body(piece.text))
            continue
        source = next(iter(piece.variables), piece.hole)
        text.append(f"‹{ink.line(source.removeprefix('inputs.'), 40)}: ", style="magenta")
        text.append(ink.body(piece.text, most=MOST_PIECE), style=ink.HOLE)
        text.append("›", style="magenta")
    return text


def _argument(name: str, variables: tuple[str, ...], value: Any) -> Text:
    text = ink.styled(f"{name} = ", ink.DIM)
    text.append(ink.shown(value, most=MOST_PIECE))
    return text.append(f"   ← {', '.join(variables)}", style="magenta") if variables else text


def _ways(arguments: Any, readers: list[str]) -> Iterator[Text]:
    yield _title("variables  (f follows one)")
    for argument in arguments:
        for variable in argument.variables:
            yield Text.assemble(("reads     ", ink.DIM), (ink.line(variable, 200), "magenta"))
    for path in readers[:MOST_READERS]:
        yield Text.assemble(("read by   ", ink.DIM), (ink.line(path, 200), "cyan"))
    if len(readers) > MOST_READERS:
        yield ink.styled(f"          … {len(readers) - MOST_READERS:,} more", ink.DIM)


if __name__ == "__main__":
    from rookery.tui.demo import alone

    def shown(watch: Watch) -> Any:
        detail = CallDetail()
        detail.call_later(lambda: detail.display_call(watch, next(iter(watch.view.calls), "")))
        return detail

    alone(shown)
