"""A rehearsal: a program run by the engine with nobody asked, to tell beforehand what it will take.

Prompts are rendered and counted, and answered by stand-ins: values of their type and of a guessed length. Tools are not called, but for pure
ones whose arguments are all known. Time is virtual: whoever sleeps, sleeps only in it, so hours take milliseconds. As the engine itself
schedules, the calls are those that a run makes, and the time at p calls in flight is that of list scheduling (Graham 1966) in the engine's order.
What is counted, and how errors add up, follows "On the Design and Analysis of LLM-Based Algorithms" (arXiv 2407.14788).
"""

from __future__ import annotations

import asyncio
import re
import selectors
import time
from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from rookery.core import event as ev
from rookery.core.function import Tool
from rookery.core.graph import Const
from rookery.core.spend import NOTHING_SPENT, Spend
from rookery.engine.standin import CHARS_PER_TOKEN, standin, text_of
from rookery.errors import CapabilityMissing, LogError, RunBusy, SettingMissing, SettingWrong

if TYPE_CHECKING:
    from rookery.core.state import Node
    from rookery.engine.run import Run
    from rookery.models.model import Model, Request

T = TypeVar("T")
_INDEX = re.compile(r"\[\d+\]|#\d+|~\d+")
_TURN = re.compile(r"#(\d+)")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a model's reply takes: so many seconds, and so many for each token of the prompt and of the reply."""

    overhead_s: float = 0.5
    prompt_token_s: float = 0.0002
    completion_token_s: float = 0.02


@dataclass(frozen=True, slots=True)
class Guess:
    """What is assumed of one call of a program, by its name. None: as its type has it."""

    tokens: float | None = None
    """Of a prompt's reply."""
    items: int | None = None
    """Of a list."""
    seconds: float | None = None
    """Of a tool, or of a reply in place of what the model's pace says."""
    yes: bool = True
    """What a bool is taken to be, so that a branch is."""
    turns: int | None = None
    """Of a loop; None: all that it may take."""
    error: float = 0.0
    """How likely its value is wrong, 0 to 1."""


@dataclass(slots=True)
class Line:
    """All calls of one name."""

    call: str
    kind: str
    count: int = 0
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0
    """None where a price is not known."""
    error: float = 0.0
    """Of each of them."""
    is_exact: bool = False
    """The prompt's tokens were counted by the model's own tokenizer."""


@dataclass
class Rehearsal:
    """What the engine asks in place of models, tools and persons, and what it was asked."""

    guesses: Mapping[str, Guess] = field(default_factory=dict)
    paces: Mapping[str, Pace] = field(default_factory=dict)
    """By a model's name, as the program or the settings have it."""
    parallel: int | None = None
    lines: dict[str, Line] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=dict)
    """Calls whose work can't be told beforehand, and why."""
    in_flight: int = 0
    widest: int = 0
    _place: asyncio.Semaphore | None = None
    _sure: set[str] = field(default_factory=set)
    """Variables whose values are no guesses: made by pure tools of what is known."""

    # -------------------------------------------------------------- what the engine calls

    async def carry(self, run: Run, node: Node) -> None:
        """Stand in for one call: post that it began, let its time pass, and post its value."""
        from rookery.engine.carry import _failed

        line = self._line(node)
        try:
            await self._carry(run, node, line)
        except (asyncio.CancelledError, LogError, RunBusy):
            raise
        except Exception as error:  # a type that nothing can stand in for, a template that fails: the rehearsal ends here, and says so
            self.open.setdefault(line.call, f"no value stands in for what it gives ({error}); what follows it is not counted")
            _failed(run, node, error, 1, NOTHING_SPENT)

    async def _carry(self, run: Run, node: Node, line: Line) -> None:
        if node.kind == "prompt":
            await self._prompt(run, node, line)
            return
        from rookery.engine.carry import _call_tool, finish

        function = node.plan.call.function
        run.post(ev.CallStarted(time.time(), node.path))
        if node.kind == "program" and type(function) is Tool:
            finish(run, node, await _call_tool(run, node, function, run.state.arguments(node)))
            return
        if function.pure and not function.is_async and all(self._is_sure(slot) for slot in node.deps):
            self._sure.add(node.path)
            finish(run, node, node.codec.validate(function.function(**run.state.arguments(node))))
            return
        if node.kind == "program":
            limit = getattr(function, "limit", None)
            self.open[line.call] = f"it decides on its calls as it goes; {f'its limit is {limit}' if limit else 'it has no limit of its own'}"
        guess = self._guess(node)
        await asyncio.sleep(guess.seconds or 0.0)
        finish(run, node, self._value(run, node, guess))

    async def _prompt(self, run: Run, node: Node, line: Line) -> None:
        from rookery.decoding.render import render
        from rookery.engine.carry import Outcome, finish

        policy, prompt = run.policy(node), node.plan.call.function
        spec = policy.model or run.options.model
        model = self._model(run, spec, node)
        name = model.capabilities.name if model is not None else str(spec or "no model")
        guess = self._guess(node)
        async with self._turn():
            run.post(ev.CallStarted(time.time(), node.path, 1, name))
            if model is None:
                from rookery.models.model import Capabilities

                request = render(prompt, run.state.arguments(node), policy, Capabilities(name)).request
                read, is_exact = _by_length(request), False
            else:
                request = render(prompt, run.state.arguments(node), policy, model.capabilities).request
                read, is_exact = await model.count_tokens(request), model.capabilities.exact_token_count
            value = self._value(run, node, guess)
            written = round(guess.tokens) if guess.tokens is not None else -(-len(text_of(node.codec, value)) // CHARS_PER_TOKEN)
            written = min(written, policy.max_tokens) if policy.max_tokens else written
            pace = self.paces.get(name) or self.paces.get(str(spec)) or Pace()
            seconds = pace.overhead_s + pace.prompt_token_s * read + pace.completion_token_s * written
            await asyncio.sleep(guess.seconds if guess.seconds is not None else seconds)
        price = model.capabilities.price_usd if model is not None else _listed_price(spec)
        cost = read * price[0] + written * price[1] if price is not None else None
        line.model, line.is_exact = name, is_exact
        line.prompt_tokens += read
        line.completion_tokens += written
        line.cost_usd = None if cost is None or line.cost_usd is None else line.cost_usd + cost
        finish(run, node, value, Outcome(value, spend=Spend(read, written, 0, cost, 1), model=name))

    def answer(self, run: Run, call: str) -> Any:
        """What a person is taken to say to a question."""
        node = run.state.nodes[call]
        self._line(node)
        return self._value(run, node, self._guess(node))

    # -------------------------------------------------------------- guessing

    def _line(self, node: Node) -> Line:
        name = _INDEX.sub("", node.path)
        line = self.lines.setdefault(name, Line(name, node.kind, error=self.guesses.get(name, _NO_GUESS).error))
        line.count += 1
        return line

    def _guess(self, node: Node) -> Guess:
        return self.guesses.get(_INDEX.sub("", node.path), _NO_GUESS)

    def _value(self, run: Run, node: Node, guess: Guess) -> Any:
        """A value of a call's type; what ends a loop says yes when the loop has had its turns."""
        turns = list(_TURN.finditer(node.path)) if node.codec.type is bool else []
        if turns:
            owner = run.state.nodes[node.path[: turns[-1].start()]]  # the innermost loop
            return int(turns[-1][1]) + 1 >= (self._guess(owner).turns or owner.plan.call.times or 1)
        return standin(node.codec.type, tokens=guess.tokens, items=guess.items, yes=guess.yes)

    def _is_sure(self, slot: Any) -> bool:
        path = getattr(slot, "path", "")
        return isinstance(slot, Const) or path.startswith("inputs.") or _INDEX.sub("", path) in self._sure or path in self._sure

    def _model(self, run: Run, spec: Any, node: Node) -> Model | None:
        """The model that will be asked; None where it can't be made here, for want of a key say."""
        try:
            return run.supply.model(spec, node.path)
        except (SettingMissing, SettingWrong, CapabilityMissing):
            return None

    def _turn(self) -> AbstractAsyncContextManager[Any]:
        if self._place is None and self.parallel is not None:
            self._place = asyncio.Semaphore(self.parallel)
        return _Counted(self, self._place or nullcontext())


_NO_GUESS = Guess()


@dataclass
class _Counted:
    """A place among the calls in flight, and how many there are."""

    rehearsal: Rehearsal
    place: Any

    async def __aenter__(self) -> None:
        await self.place.__aenter__()
        self.rehearsal.in_flight += 1
        self.rehearsal.widest = max(self.rehearsal.widest, self.rehearsal.in_flight)

    async def __aexit__(self, *exc: object) -> None:
        self.rehearsal.in_flight -= 1
        await self.place.__aexit__(*exc)


def _listed_price(spec: Any) -> tuple[float, float] | None:
    """USD a token in and out by litellm's table, for a model that can't be made here; None for servers of one's own and names it lacks."""
    from rookery.models.prices import known

    name = str(spec or "").partition(":")[2]
    entry = known(name, name.rpartition("/")[2]) if name and "@" not in name else None
    return (entry.price.prompt_usd, entry.price.completion_usd) if entry is not None and entry.price is not None else None


def _by_length(request: Request) -> int:
    """Tokens by a rule of thumb, a quarter of the characters, where no tokenizer is at hand."""
    return -(-len(request.text) // CHARS_PER_TOKEN)


# ------------------------------------------------------------------ virtual time


class _Jump(selectors.DefaultSelector):
    """Where the loop would wait for a timer, the clock is put forward instead."""

    now = 0.0
    threads = 0
    """At work; they take no virtual time, so it waits for them."""

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.threads or timeout is None:
            return super().select(0.01)
        self.now += timeout
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while everybody sleeps."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]  # its own is generic
        future = super().run_in_executor(executor, func, *args)
        self._jump.threads += 1
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, _: object) -> None:
        self._jump.threads -= 1


def in_virtual_time(work: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """The value of some async work, and the virtual seconds it took."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        value = runner.run(work)
        return value, runner.get_loop().time()


def with_rehearsal(run: Run, rehearsal: Rehearsal) -> Run:
    """A run that was begun and not entered, to be rehearsed."""
    run.options = replace(run.options, rehearsal=rehearsal)
    return run
