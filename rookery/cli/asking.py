"""Questions to a person on the terminal, while the rest of the run goes on; and values and schemas in a person's words."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rookery.cli import out
from rookery.core.event import QuestionAsked
from rookery.errors import ParseFailed, RunError

if TYPE_CHECKING:
    from rookery.engine.run import Run
    from rookery.tui.progress import Progress


class Asker:
    """Asks a run's questions on the terminal, one after the other, while the rest of the run goes on."""

    def __init__(self, run: Run, progress: Progress) -> None:
        self.run = run
        self.progress = progress

    async def ask_all(self) -> None:
        """Ask each question as it comes; ends with the run, or when the person closes the input."""
        async for event in self.run:
            if isinstance(event, QuestionAsked) and event.call in self.run.state.questions:
                self.progress.pause()
                try:
                    if not await self._ask(event):
                        return
                finally:
                    self.progress.resume()

    async def _ask(self, event: QuestionAsked) -> bool:
        out.note(f"\n{event.call} asks: {event.question}")
        if event.show:
            from rookery.core.value import plain

            out.note(_indented(plainly(plain(event.show, self.run.state.get))))
        while event.call in self.run.state.questions:
            sys.stderr.write(f"  your answer ({expected(event.schema)}): ")
            sys.stderr.flush()
            line = await _line_or(lambda: event.call not in self.run.state.questions)
            if line is None:
                return event.call not in self.run.state.questions
            if self._given(event.call, line):
                await asyncio.sleep(0.05)  # the answer is committed in the next turn of the loop
        return True

    def _given(self, call: str, line: str) -> bool:
        from rookery.cli.load import value_of

        try:
            self.run.answer(call, value_of(line, self.run.state.questions[call].codec.type), by="terminal")
        except (ParseFailed, RunError) as error:
            out.note(f"  {error.reason}")
            return False
        return True


async def _line_or(is_over: Callable[[], bool]) -> str | None:
    """A line from the terminal; None when the input is closed, or when ``is_over`` comes true first."""
    loop = asyncio.get_running_loop()
    got: asyncio.Future[bytes] = loop.create_future()
    descriptor = sys.stdin.fileno()
    try:
        loop.add_reader(descriptor, lambda: None if got.done() else got.set_result(os.read(descriptor, 65536)))
    except NotImplementedError:  # no readers of terminals on this system's event loop
        return (await asyncio.to_thread(sys.stdin.readline)).rstrip("\n") or None
    try:
        while not got.done() and not is_over():
            await asyncio.wait([got], timeout=0.2)
    finally:
        loop.remove_reader(descriptor)
    if not got.done():
        out.note("(answered elsewhere)")
        return None
    data = got.result()
    return data.decode(errors="replace").rstrip("\r\n") if data else None


def expected(schema: dict[str, Any]) -> str:
    """What a JSON Schema asks for, in a few words."""
    if "enum" in schema:
        return " or ".join(str(option) for option in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(expected(option) for option in schema["anyOf"]))
    names = {"boolean": "yes or no", "string": "text", "integer": "a whole number", "number": "a number", "null": "null"}
    kind = str(schema.get("type", ""))
    return names.get(kind, f"JSON: {kind}" if kind else "JSON")


def plainly(value: Any) -> str:
    """A value for people: text as it is, other data as indented JSON."""
    if isinstance(value, str):
        return value
    from rookery.core.types import show

    data = json.loads(show(value))
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, indent=2)


def _indented(text: str) -> str:
    lines = text.splitlines()
    shown = lines[:20] + ([f"… {len(lines) - 20} more lines"] if len(lines) > 20 else [])
    return "\n".join(f"  │ {line}" for line in shown)
