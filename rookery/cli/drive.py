"""Carrying a run out for the commands ``run``, ``resume`` and ``fork``: progress, questions to the person, Ctrl-C, and the result."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rookery.cli import out
from rookery.cli.asking import Asker, expected, plainly
from rookery.core.event import QuestionAsked
from rookery.core.spend import Spend
from rookery.errors import RookeryError, RunWaiting

if TYPE_CHECKING:
    from rookery.core.graph import Graph
    from rookery.core.view import View
    from rookery.engine.run import Run
    from rookery.models.model import Model
    from rookery.models.settings import Settings

DEFAULT_LOG = Path(".rookery/log.db")
GRACE_S = 0.4
"""A run that waits for a person has so long to find an answer in its inbox."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the command was asked to work."""

    log: Path
    as_json: bool = False
    quiet: bool = False
    waits: bool = False
    """Stay while only a person can take the run further: answers come through its inbox."""

    @property
    def is_interactive(self) -> bool:
        """Whether a person can be asked here."""
        return not self.as_json and sys.stdin.isatty() and sys.stderr.isatty()

    def command(self, verb: str, *words: str) -> str:
        """A command line that works on the same log."""
        place = [] if self.log == DEFAULT_LOG or os.environ.get("ROOKERY_LOG") == str(self.log) else ["--log", str(self.log)]
        return " ".join(["rookery", verb, *words, *(_quoted(word) for word in place)])


@dataclass(slots=True)
class _End:
    """How carrying out ended."""

    status: str = "stopped"
    value: Any = None
    error: RookeryError | None = None
    questions: dict[str, QuestionAsked] = field(default_factory=dict)
    held: str = ""
    view: View | None = None


def settings() -> Settings:
    """The settings in force. Raises InputError, SettingMissing."""
    from rookery.models.settings import load_settings

    return load_settings()


def log_path(given: Path | None) -> Path:
    """The log's file: as given, else of the settings, else ``.rookery/log.db`` here."""
    if given is not None:
        return given
    if not os.environ.get("ROOKERY_LOG") and not os.environ.get("ROOKERY_CONFIG") and not _has_files():
        return DEFAULT_LOG  # without pydantic's models, so that `rookery runs` answers at once
    return settings().log or DEFAULT_LOG


def _has_files() -> bool:
    home = os.environ.get("XDG_CONFIG_HOME") or (f"{os.environ['HOME']}/.config" if os.environ.get("HOME") else "")
    return Path("rookery.toml").is_file() or (bool(home) and (Path(home) / "rookery" / "config.toml").is_file())


def model_of(spec: str | None, graph: Graph, *, recorded: str | None = None) -> tuple[str | None, Model | None]:
    """The name of the model of prompts that name none, and the model, built so that what is missing is said before anything runs.

    ``recorded`` is the model that the run was started with. Raises ModelUnknown, SettingMissing.
    """
    from rookery.models.provider import model

    own = graph.options.get("models", {})
    if not spec and recorded:
        spec = recorded
    if (not spec and graph.options.get("model")) or spec in own:
        return spec or None, None  # the workflow says which, and its run makes it
    if not spec:
        spec = settings().model
    if not spec:
        if _needs_model(graph):
            model(None)  # raises, with what to do
        return None, None
    return spec, model(spec)


def _needs_model(graph: Graph) -> bool:
    from rookery.core.graph import Graph as GraphType

    for call in graph.call_list:
        inner = call.function
        if isinstance(inner, GraphType) and _needs_model(inner):
            return True
        if getattr(inner, "kind", "") == "prompt" and call.policy.model is None:
            return True
    return False


def carry_out(make: Callable[[], Run], manner: Manner, model: Model | None = None) -> None:
    """Carry a run out to its end and print it; exits with the code of how it ended."""
    started = time.monotonic()
    runs: list[Run] = []
    try:
        end = asyncio.run(_to_end(make, manner, model, runs))
    except KeyboardInterrupt:
        end = _End("interrupted", view=runs[0].view if runs else None)
    _report(end, manner, runs[0] if runs else None, time.monotonic() - started)


async def _to_end(make: Callable[[], Run], manner: Manner, model: Model | None, runs: list[Run]) -> _End:
    from rookery.tui.progress import Progress

    end = _End()
    run = make()
    runs.append(run)
    try:
        async with run, Progress(run, quiet=manner.quiet or manner.as_json) as progress:
            if manner.is_interactive:
                asker = asyncio.create_task(Asker(run, progress).ask_all())
                try:
                    await _ended(run, asker)
                finally:
                    asker.cancel()
                    await asyncio.wait([asker])
            elif manner.waits:
                while await run.until_waiting():  # noqa: ASYNC110 - what it waits for next comes through the inbox
                    await asyncio.sleep(0.1)
            else:
                await _ended(run, None)
            if run.done:
                end.value, end.status = await run, "finished"
            else:
                from rookery.tui.progress import waits_for

                end.status, end.questions, end.held = "waiting", dict(run.view.questions), waits_for(run.view)
    except RookeryError as error:
        end.status, end.error = "failed", error
    finally:
        end.view = run.view
        if model is not None:
            await model.aclose()
    return end


async def _ended(run: Run, asker: asyncio.Task[None] | None) -> None:
    """Wait until the run has ended or, where nobody can be asked, waits for a person."""
    while await run.until_waiting():
        if asker is not None and not asker.done():
            await asyncio.sleep(0.1)
            continue
        await asyncio.sleep(GRACE_S)
        if run.is_waiting:
            return


# ------------------------------------------------------------------ the result


def _report(end: _End, manner: Manner, run: Run | None, seconds: float) -> None:
    from rookery.tui.progress import totals

    name = run.id if run is not None else ""
    facts = _facts(end, manner, name, seconds)
    has_begun = end.view is not None and end.view.events > 0
    resume = f"resume it with: {manner.command('resume', name)}" if has_begun else ""
    if end.error is not None:
        out.fail(end.error, as_json=manner.as_json, more=facts, after=resume)
    if end.status == "finished":
        assert end.view is not None
        if end.view.value.startswith("!"):
            end.value = "<secret>"  # a screen is a place that secrets do not go
        if manner.as_json:
            from rookery.core.types import show

            out.say_json({**facts, "value": json.loads(show(end.value))})
        else:
            if not manner.quiet:
                out.note(f"{name} finished: {totals(end.view, seconds)}")
            out.say(plainly(end.value))
        return
    if end.status == "waiting":
        _report_waiting(end, manner, name, facts)
    if manner.as_json:
        out.say_json(facts)
    else:
        out.note(f"interrupted{'; what is finished is kept; ' + resume if resume else ''}")
    raise typer.Exit(out.INTERRUPTED)


def _report_waiting(end: _End, manner: Manner, name: str, facts: dict[str, Any]) -> None:
    lines = [f"run {name} waits for a person" + (f" ({end.held})" if not end.questions else "")]
    for call, question in end.questions.items():
        lines.append(f"  {call}: {question.question} ({expected(question.schema)})")
        lines.append(f"    {manner.command('answer', name, _quoted(call), 'VALUE')}")
    if not end.questions:
        lines.append(f"    {manner.command('continue', name)}")
    lines.append(f"  then: {manner.command('resume', name)}")
    if manner.as_json:
        facts["questions"] = [{"call": call, "question": asked.question, "schema": asked.schema} for call, asked in end.questions.items()]
        error = RunWaiting(lines[0], run=name, questions=list(end.questions), hint=manner.command("resume", name))
        out.say_json(out.error_data(error, **facts))
    else:
        out.note("\n".join(lines))
    raise typer.Exit(out.WAITING)


def _facts(end: _End, manner: Manner, name: str, seconds: float) -> dict[str, Any]:
    spend = end.view.spend if end.view is not None else Spend()
    return {"run": name, "status": end.status, "seconds": round(seconds, 3), **spend_data(spend), "log": str(manner.log)}


def spend_data(spend: Spend) -> dict[str, Any]:
    """What was used, as plain data."""
    return {
        "requests": spend.calls, "prompt_tokens": spend.prompt_tokens, "completion_tokens": spend.completion_tokens,
        "cached_tokens": spend.cached_tokens, "cost_usd": spend.cost_usd,
    }


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(word)
