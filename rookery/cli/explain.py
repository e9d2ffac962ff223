"""What a program will take, for people and as JSON: calls, tokens, cost, time and error before it runs, also for several values of an input."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from rookery.cli import out
from rookery.cli.load import Program, inputs_of
from rookery.core.graph import Graph
from rookery.engine.forecast import Forecast, forecast, learned
from rookery.engine.rehearse import Guess, Pace
from rookery.errors import InputError

RUNS = 20
"""Of the newest runs of the program so many are learned from."""


def explain(
    program: Program, words: Sequence[str], *, model: str | None, log: Path, guesses: Sequence[str], paces: Sequence[str], parallel: str,
    tune: Sequence[str], fresh: bool, as_json: bool,
) -> None:
    """Print what a program will take. Nothing is asked, and no tool with effects is called.

    Raises InputError for guesses, paces or values that can't be read, and what a run raises before it begins.
    """
    graph = program.graph
    assumed = guesses_of(guesses, graph)
    views = [] if fresh else earlier(log, graph.name)
    known = learned(views, assumed, graph=graph)
    options: dict[str, Any] = {
        "model": model, "guesses": known, "paces": dict(map(_pace, paces)), "parallel": degrees(parallel), "learned_from": len(views),
    }  # fmt: skip
    if not tune:
        found = forecast(program.subject, inputs_of(graph, words), **options)
        out.say_json(as_data(graph.name, found)) if as_json else out.say(as_text(graph.name, found))
        return
    name, values = _tuned(tune)
    rows = [(value, forecast(program.subject, inputs_of(graph, [*words, f"{name}={value}"]), **options)) for value in values]
    if as_json:
        out.say_json({"program": graph.name, "tune": name, "values": [{"value": value, **as_data(graph.name, found)} for value, found in rows]})
    else:
        out.say(_compared(name, rows))


# ------------------------------------------------------------------ what was given


def guesses_of(words: Sequence[str], graph: Graph) -> dict[str, Guess]:
    """``sections.tokens=300`` words as guesses by call."""
    found: dict[str, Guess] = {}
    parts = {each.name for each in fields(Guess)}
    for word in words:
        place, mark, text = word.partition("=")
        call, _, part = place.rpartition(".")
        if not mark or not call or part not in parts:
            raise InputError(f"{word!r} is no guess", hint=f"write CALL.PART=NUMBER; the parts are {', '.join(sorted(parts))}")
        if call.partition("/")[0] not in graph.calls:
            raise InputError(f"there is no call {call!r}", hint=f"the calls are {', '.join(graph.calls)}")
        try:
            value = json.loads(text)
            number: Any = bool(value) if part == "yes" else int(value) if part in ("items", "turns") else float(value)
        except (ValueError, TypeError):
            raise InputError(f"{word!r}: {text!r} is no number", hint="for `yes` write true or false") from None
        if number < 0 or (part == "error" and number > 1):
            raise InputError(f"{word!r} is out of range")
        found[call] = replace(found.get(call, Guess()), **{part: number})
    return found


def _pace(word: str) -> tuple[str, Pace]:
    name, _, text = word.rpartition("=")
    try:
        overhead, read, written = map(float, text.split(","))
    except ValueError:
        hint = "write MODEL=SECONDS,SECONDS,SECONDS: of a request, a prompt's token, a reply's token"
        raise InputError(f"{word!r} is no pace", hint=hint) from None
    return name, Pace(overhead, read, written)


def degrees(text: str) -> list[int | None]:
    """``1,2,8`` as numbers of calls in flight."""
    try:
        found = [int(word) for word in text.split(",") if word.strip()]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise InputError(f"{text!r} are no numbers of calls in flight", hint="write them like 1,2,8")
    return [*found, None]


def _tuned(words: Sequence[str]) -> tuple[str, list[str]]:
    if len(words) > 1:
        raise InputError("one input can be tuned at a time")
    name, mark, text = words[0].partition("=")
    values = [value for value in text.split(",") if value]
    if not mark or len(values) < 2:
        raise InputError(f"{words[0]!r} names no values to compare", hint="write --tune chunk=100,200,400")
    return name, values


def earlier(log: Path, program: str) -> list[Any]:
    """The newest finished runs of a program in a log, as they stand."""
    from rookery.cli.steer import opened, view_of

    if not log.exists():
        return []
    with opened(log) as found:
        runs = [info.run for info in found.runs() if info.state == "finished" and info.run.rpartition("-")[0] == program]
        return [view_of(found, run) for run in runs[:RUNS]]


# ------------------------------------------------------------------ what is said


def as_data(name: str, found: Forecast) -> dict[str, Any]:
    """A forecast as plain data; of the times ``inf`` is without a bound."""
    return {
        "program": name, "calls": found.calls, "prompt_tokens": found.prompt_tokens, "completion_tokens": found.completion_tokens,
        "exact_token_count": found.is_exact, "cost_usd": found.cost_usd, "widest": found.widest,
        "seconds": {str(most or "inf"): seconds for most, seconds in found.seconds.items()}, "error": found.error,
        "expected_errors": found.expected_errors, "learned_from": found.learned_from, "open": found.open,
        "lines": [asdict(line) for line in found.lines],
    }  # fmt: skip


def as_text(name: str, found: Forecast) -> str:
    """A forecast as lines."""
    width = max([4, *(len(line.call) for line in found.lines)])
    rows = [f"{'call':<{width}}  {'kind':<7} {'times':>6}  {'tokens in':>10} {'out':>9}  model"]
    for line in found.lines:
        tokens = f"{line.prompt_tokens:>10,} {line.completion_tokens:>9,}" if line.kind == "prompt" else " " * 20
        rows.append(f"{line.call:<{width}}  {line.kind:<7} {line.count:>6,}  {tokens}  {line.model}".rstrip())
    told = ", ".join(f"{seconds:,.1f} s with {most or 'any number'} in flight" for most, seconds in found.seconds.items())
    about = "" if found.is_exact else " (by length: no exact tokenizer is at hand)"
    cost = "unknown: a model without a price" if found.cost_usd is None else f"${found.cost_usd:.4f}"
    rows += [
        "", f"{name}: {found.calls:,} model calls, {found.prompt_tokens + found.completion_tokens:,} tokens{about}, cost {cost}",
        f"widest: {found.widest} calls at a time; {told}",
    ]  # fmt: skip
    if found.error:
        rows.append(f"something is wrong in {found.error:.1%} of runs, {found.expected_errors:.2f} values on average, at each call's error rate")
    rows += [f"not counted: what {call} does: {why}" for call, why in found.open.items()]
    rows.append(f"guesses from {found.learned_from} earlier runs" if found.learned_from else "guesses by type; `--guess CALL.tokens=…` says better")
    return "\n".join(rows)


def _compared(name: str, rows: Sequence[tuple[str, Forecast]]) -> str:
    most_of = list(rows[0][1].seconds)
    head = f"{name:>12}  {'calls':>7} {'tokens':>11} {'cost':>10} {'error':>7}  " + "".join(f"{most or 'any':>4} in flight" for most in most_of)
    lines = [head]
    for value, found in rows:
        cost = "–" if found.cost_usd is None else f"${found.cost_usd:.4f}"
        times = "".join(f"{found.seconds[most]:>12,.1f} s" for most in most_of)
        tokens = found.prompt_tokens + found.completion_tokens
        lines.append(f"{value:>12}  {found.calls:>7,} {tokens:>11,} {cost:>10} {found.error:>7.1%}  {times}")
    best = _best(rows)
    return "\n".join([*lines, *(f"least {what}: {name}={value}" for what, value in best.items())])


def _best(rows: Sequence[tuple[str, Forecast]]) -> Mapping[str, str]:
    """Which value is best, by what."""
    return {
        "tokens": min(rows, key=lambda row: row[1].prompt_tokens + row[1].completion_tokens)[0],
        "time without a bound": min(rows, key=lambda row: row[1].seconds[None])[0],
        **({"error": min(rows, key=lambda row: row[1].error)[0]} if any(found.error for _, found in rows) else {}),
    }  # fmt: skip
