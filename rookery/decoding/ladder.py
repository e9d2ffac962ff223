"""The ladder of levels: the cheapest that a model and a rule allow is taken; and the check of a text that all levels agree on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from importlib import import_module

from rookery.core.report import Report
from rookery.decoding.desk import Desk
from rookery.decoding.level import Level, Number, Tally, Task
from rookery.decoding.masked import Asking, Masked
from rookery.decoding.monitor import Rule
from rookery.decoding.watch import Wake, Watch
from rookery.errors import LevelMissing, ParseFailed
from rookery.models.model import Chunk, Model, Request

NAMES = {1: "mask in this process", 2: "grammar on the server", 3: "stop, check and force", 4: "validate and repair"}


class Checked:
    """Level 4: the model writes freely; the text is checked, and what is wrong goes back to it, as text that does not parse does."""

    number: Number = 4

    async def lacks(self, task: Task) -> str:
        return ""

    async def stream(self, task: Task) -> AsyncIterator[Chunk]:
        """The reply as the model gives it; the caller checks it (:func:`check`)."""
        async for chunk in task.model.stream(task.request):
            yield chunk


BETWEEN = (("rookery.decoding.pushed", "Pushed"), ("rookery.decoding.forced", "Forced"))
"""Levels 2 and 3, loaded when level 1 can't be had."""


async def level_for(task: Task) -> Level:
    """The level for a reply: the one that is demanded, or the first that can be had.

    :raises LevelMissing: the one that is demanded can't.
    """
    demanded = task.rule.level
    for level in _levels():
        if demanded is not None and level.number != demanded:
            continue
        lacking = await level.lacks(task)
        if not lacking:
            return level
        if demanded is not None:
            name = task.model.capabilities.name
            raise LevelMissing(f"level {demanded} ({NAMES[demanded]}) can't be had: {lacking}", level=demanded, model=name,
                               hint="leave the level open, or take a model in this process (transformers:PATH, llamacpp:FILE.gguf, embedded:NAME)")
    raise AssertionError("level 4 can always be had")


def _levels() -> list[Level]:
    levels: list[Level] = [Masked()]
    for module, name in BETWEEN:
        levels.append(getattr(import_module(module), name)())
    return [*levels, Checked()]


class Guarded:
    """A model held to a rule: for one call, with all the replies that it takes.

    :param desk: where facts are asked for; whoever made it closes it.
    """

    def __init__(self, model: Model, rule: Rule, desk: Desk) -> None:
        self._model, self._rule, self._desk = model, rule, desk
        self._tally = Tally()
        self._level: Level | None = None

    @property
    def report(self) -> Report:
        """What was done to its replies so far."""
        return self._tally.report

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """A reply as :meth:`rookery.models.model.Model.stream` gives it, held to the rule as far as its level can.

        :raises LevelMissing: the level that is demanded can't be had.
        :raises ConstraintUnmet: nothing may follow, also after going back.
        """
        task = Task(self._model, request, self._rule, self._desk, self._tally)
        self._level = await level_for(task)
        self._tally.level = max(self._tally.level, self._level.number)
        async for chunk in self._level.stream(task):
            yield chunk

    async def check(self, text: str) -> None:
        """Check a whole reply where its level can't vouch for it (all but the first).

        :raises ParseFailed: it breaks a hard rule; with all the places.
        """
        if self._level is None or self._level.number == 1:
            return
        # What a level above the fourth has counted it has counted; there the check is only a check.
        tally = self._tally
        found = await check(text, self._rule, self._desk, tally if self._level.number == 4 else Tally())
        if not found:
            return
        tally.forbidden += len(found)
        if self._level.number < 4 and not tally.note:
            tally.note = f"level {self._level.number} did not hold to the rules; checked instead"
        raise ParseFailed("; ".join(f"{place}: {what}" for place, what in found[:3]), faults=found, text=text,
                          hint="; ".join(what for _, what in found[:3]))


async def check(text: str, rule: Rule, desk: Desk, tally: Tally) -> list[tuple[str, str]]:
    """What in a whole text breaks hard rules, as (place, message) pairs: the same language as that of level 1.

    White space around the text, and a fence around all of it, are not looked at by rules about the reply as a whole.
    """
    if any(leaf.monitor is not None and not leaf.monitor.triggers for leaf in rule.leaves):
        text = bare(text)
    await desk.warm(rule)
    watch, asking = Watch(rule), Asking(rule, desk, tally)
    found: list[tuple[str, str]] = []
    await _woken(watch, watch.opening(), asking, tally, kindless=True)
    at = 0
    for piece in _pieces(text, watch.triggers):
        data = piece.encode("utf-8", "surrogatepass")
        wakes = watch.peek(data)
        while not watch.take(data, wakes=wakes):
            found.append((f"line {text.count(chr(10), 0, at) + 1}", f"{_first_word(text[at:])} may not stand here; {watch.excuse()}"))
        await _woken(watch, wakes, asking, tally)
        at += len(piece)
    if not watch.may_end:
        wanted = [span.constraint.explain() for leaf, span in watch.spans() if leaf.mode.kind == "hard" and not span.place.may_end]
        found.append(("end", "the text ends too early; " + ("; ".join(dict.fromkeys(wanted)) or "a rule wants more of it")))
    tally.forbidden += watch.softly_forbidden
    return found


async def _woken(watch: Watch, wakes: tuple[Wake, ...], asking: Asking, tally: Tally, *, kindless: bool = False) -> None:
    for wake in wakes:
        tally.woke(watch.leaves[wake.leaf].name)
        if wake.query.kind:
            watch.begin(wake, (await asking.wait((wake,)))[wake])
        elif kindless:
            watch.begin(wake, None)


def _pieces(text: str, triggers: frozenset[int]) -> list[str]:
    """The text cut after each character that a monitor may wake at."""
    if not triggers:
        return [text] if text else []
    signs = "".join(re.escape(chr(code)) for code in sorted(triggers))
    return re.findall(f"[^{signs}]*[{signs}]|[^{signs}]+", text)


def _first_word(text: str) -> str:
    found = re.match(r"\w+|\S+|\s+", text)
    return repr(found[0][:60]) if found else "the end"


def bare(text: str) -> str:
    """A text without white space around it, and without a fence around all of it."""
    text = text.strip()
    fenced = re.fullmatch(r"(```+|~~~+)[^\n]*\n(.*?)\n?\1", text, re.DOTALL)
    return fenced[2].strip() if fenced else text
