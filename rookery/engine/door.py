"""The doors: ``run`` and ``start`` begin a program, ``resume`` takes a run up again, ``fork`` begins one from another's values."""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rookery.core import event as ev
from rookery.core.check import ensure
from rookery.core.event import Event
from rookery.core.function import Prompt, Tool, program
from rookery.core.graph import MISSING, Call, Graph, Ref
from rookery.core.label import SECRET
from rookery.core.limit import Limit
from rookery.core.passage import Clearance, clear_none
from rookery.core.policy import NO_POLICY, Policy
from rookery.core.schedule import step
from rookery.core.state import Slot, State
from rookery.core.tape import origin_of, trace
from rookery.core.value import codec, plain
from rookery.core.view import View, fold
from rookery.engine.begin import Options, begin_new, describe, description_of, edit_event, in_force, open_log
from rookery.engine.cache import ResultCache
from rookery.engine.held import ensure_clear
from rookery.engine.log import Log
from rookery.engine.rules import ensure_rules
from rookery.engine.run import Run
from rookery.errors import InputError, LogCorrupt, RunError, RunMismatch, RunUnknown, RunWaiting, SecretNeeded

Program = Graph | Prompt[..., Any] | Tool[..., Any] | Callable[..., Any]


def as_graph(subject: Program) -> Graph:
    """A program as a graph: a graph itself, one call of a prompt or tool, an async function, or a function to trace.

    Raises GraphInvalid with all faults.
    """
    if isinstance(subject, Graph):
        return ensure(subject)
    if not isinstance(subject, Prompt | Tool):
        if not callable(subject):
            raise RunError(f"{subject!r:.60} is not a program", hint="pass a @graph, @prompt, @tool or an async function")
        if not inspect.iscoroutinefunction(subject):
            return ensure(trace(subject))
        subject = program(subject)
    sources = {name: Ref(f"inputs.{name}") for name in subject.params}
    call = Call(subject.name, subject.kind, subject.returns, sources, function=subject, policy=subject.policy, labels=subject.labels)
    single = Graph(subject.name, inputs=dict(subject.params), calls=[call], output=Ref(subject.name), returns=subject.returns, origin=subject.origin)
    return ensure(single)


def start(
    subject: Program, /, *args: Any, returns: Any = MISSING, model: Any = None, models: Mapping[str, Any] | None = None,
    log: Log | str | os.PathLike[str] | None = None,
    limit: Limit | None = None, max_in_flight: int | None = None, policy: Policy | None = None, cache: ResultCache | None = None,
    clearance: Clearance = clear_none, seed: int = 0, id: str | None = None,
    origin: str | None = None, inputs: Mapping[str, Any] | None = None, **more: Any,
) -> Run:
    """Begin a program: ``async with start(article, topic="rooks", model=m) as r: text = await r``.

    The graph and its inputs are checked here, before anything runs: raises GraphInvalid, InputError. ``log`` is a Log, the path
    of a SQLite file, or None for memory. Inputs are given in order or as keywords, or ``inputs=`` where a name is one of these options.
    ``returns`` is the type that an agent or a team is to answer in; ``clearance`` says where labelled values may go besides.
    """
    subject = _returning(subject, returns)
    graph = as_graph(subject)
    given = Options(
        model=model, models=models or {}, limit=limit, max_in_flight=max_in_flight, policy=policy or NO_POLICY, cache=cache, seed=seed,
        clearance=clearance,
    )
    options = in_force(graph, given)
    ensure_clear(graph, options)
    ensure_rules(graph)
    place = origin or graph.origin or origin_of(subject)
    named = {**(inputs or {}), **more}
    begin = begin_new(graph, {**_in_order(graph, args, named), **named}, options, place)
    opened = open_log(log)
    return Run(
        graph, id=id or new_id(graph.name), log=opened, options=options, program=place, begin=begin, new=True,
        closes_log=log is not None and opened is not log,
    )


def _returning(subject: Program, returns: Any) -> Program:
    """An agent or a team that answers in another type. Raises RunError for what has a type of its own."""
    if returns is MISSING:
        return subject
    other = getattr(subject, "returning", None)
    if other is None:
        raise RunError(f"{getattr(subject, 'name', subject)!s:.60} gives what its own annotation says", hint="returns= is for agents and teams")
    return other(returns)  # type: ignore[no-any-return]


def _in_order(graph: Graph, args: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs that were given without their names. Raises InputError."""
    names = list(graph.params)
    if len(args) > len(names):
        raise InputError(f"{graph.name} takes {len(names)} input(s) ({', '.join(names) or 'none'}), and {len(args)} are given")
    given = dict(zip(names, args, strict=False))
    twice = [name for name in given if name in named]
    if twice:
        raise InputError(f"{graph.name} got {', '.join(twice)} twice: in order and by name")
    return given


def run(subject: Program, /, *args: Any, answer: Callable[[ev.QuestionAsked], Any] | None = None, **options: Any) -> Any:
    """Begin a program and wait for its value; the one synchronous door. Arguments and options as in ``start``.

    ``answer`` is called for each question to a person. Without it a run that only a person can take further stops with
    RunWaiting; in a log on disk it can be answered and resumed. Raises RunError inside a running event loop.
    """
    return wait_for(lambda: start(subject, *args, **options), answer=answer)


def wait_for(make: Callable[[], Run], *, answer: Callable[[ev.QuestionAsked], Any] | None = None) -> Any:
    """Carry out a Run to its end from synchronous code."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RunError("run() was called inside a running event loop", hint="use `async with start(…) as r: await r`")
    prepared = make()
    return asyncio.run(_to_end(prepared, answer))


async def _to_end(prepared: Run, answer: Callable[[ev.QuestionAsked], Any] | None) -> Any:
    async with prepared as r:
        while await r.until_waiting():
            questions = dict(r.view.questions)
            if answer is None or not questions:
                open_ones = [f"{call}: {question.question}" for call, question in questions.items()] or ["a breakpoint or a pause"]
                hint = "answer it from another process (`rookery answer`), or pass answer=" if questions else "let it go on from another process"
                raise RunWaiting(f"run {r.id} waits for a person: " + "; ".join(open_ones), run=r.id, questions=list(questions), hint=hint)
            for call, question in questions.items():
                given = answer(question)
                r.answer(call, await given if inspect.isawaitable(given) else given)
            await asyncio.sleep(0)
        return await r


def resume(
    id: str, subject: Program, /, *, log: Log | str | os.PathLike[str], model: Any = None, models: Mapping[str, Any] | None = None,
    limit: Limit | None = None, max_in_flight: int | None = None, policy: Policy | None = None, cache: ResultCache | None = None,
    secrets: Mapping[str, Any] | None = None, clearance: Clearance = clear_none, returns: Any = MISSING,
) -> Run:
    """Take a run up where its log ends. What is finished stays; what failed or was in flight is started again.

    Raises RunUnknown, RunBusy, RunMismatch when finished calls are not what the program now says, SecretNeeded when a secret must be
    given again (by path, as in ``secrets={"inputs.key": …}``), LogCorrupt. ``returns`` as in ``start``.
    """
    graph = as_graph(_returning(subject, returns))
    given = Options(
        model=model, models=models or {}, limit=limit, max_in_flight=max_in_flight, policy=policy or NO_POLICY, cache=cache,
        secrets=secrets or {}, clearance=clearance,
    )
    options = in_force(graph, given)
    ensure_clear(graph, options)
    ensure_rules(graph)
    opened = open_log(log)
    if not any(info.run == id for info in opened.runs()):
        raise RunUnknown(f"no run {id} in this log", run=id, hint="`rookery runs` lists those there are")

    def begin(run: Run) -> list[Event]:
        events = opened.read(id)
        replay(run.state, events, options.secrets, run=id)
        _same_program(graph, run.state, events, opened, id)
        run.remember(events)
        run.supply.set_limit(options.limit, spent=run.view.spend, spent_s=run.view.executed_s)
        return [ev.RunResumed(time.time(), f"pid {os.getpid()}")]

    return Run(graph, id=id, log=opened, options=options, program=graph.origin, begin=begin, new=False, closes_log=opened is not log)


def replay(state: State, events: list[Event], secrets: Mapping[str, Any], *, run: str) -> None:
    """Step a state through a log's events. Raises LogCorrupt when the first is not the run's beginning, SecretNeeded."""
    if not events or not isinstance(events[0], ev.RunStarted):
        raise LogCorrupt(f"the log of run {run} does not begin with its start", hint="it cannot be resumed; start the program anew")
    first = events[0]
    missing: list[str] = []
    for name, labels in first.labels.items():
        param = state.graph.params.get(name)
        if SECRET not in labels or param is None:
            continue
        path = f"inputs.{name}"
        slot = state.inputs[name] = Slot(path, codec(param.type))
        given = secrets.get(path, secrets.get(name))
        if given is None:
            missing.append(path)
        else:
            slot.held = slot.codec.validate(given)
    if missing:
        raise SecretNeeded(
            f"run {run} needs its secrets again: {', '.join(missing)}", run=run, secrets=missing, hint='pass secrets={"inputs.NAME": …}'
        )
    state.secrets = secrets
    for event in events:
        step(state, event)


def _same_program(graph: Graph, state: State, events: list[Event], log: Log, run: str) -> None:
    """Raises RunMismatch when a call that is finished is not the one that the program now has."""
    first = events[0]
    assert isinstance(first, ev.RunStarted)
    known: dict[str, Any] = _calls(plain(first.graph, log.get))
    now: dict[str, Any] = _calls(describe(graph))
    finished = {event.call.split("[")[0].split("/")[0].split("#")[0] for event in events if isinstance(event, ev.CallFinished)}
    changed = [
        name for name, call in known.items()
        if name in finished and (name not in now or any(now[name][key] != call[key] for key in ("kind", "reads", "fingerprint")))
    ]
    if changed:
        raise RunMismatch(
            f"the program has changed in calls that run {run} has finished: {', '.join(changed)}", run=run,
            hint="resume it with the program it was started with, or fork it: `fork` re-runs what changed",
        )


def fork(
    id: str, subject: Program, /, *, log: Log | str | os.PathLike[str], edit: Mapping[str, Any] | None = None, new: str | None = None,
    secrets: Mapping[str, Any] | None = None, origin: str | None = None, named: Mapping[str, Any] | None = None, **options: Any,
) -> Run:
    """A new run that begins with the values of another, some variables changed: only what depends on them runs.

    Where the program itself has changed in a call, that call and what depends on it run again too. Raises as ``resume`` does, and
    RunError for an unknown variable.
    """
    graph = as_graph(subject)
    name = new or new_id(graph.name)
    settings = in_force(graph, Options(**{key: value for key, value in {"secrets": secrets, **options}.items() if value is not None}))
    ensure_clear(graph, settings)
    ensure_rules(graph)
    opened = open_log(log)
    events = opened.read(id)

    def begin(run: Run) -> list[Event]:
        kept = _still_valid(graph, events, opened)
        first = kept[0]
        assert isinstance(first, ev.RunStarted)
        description = run.state.writer.store(description_of(graph))
        kept[0] = ev.RunStarted(time.time(), name, origin or graph.origin, description, first.inputs, first.labels, first.seed, id,
                                 {**first.options, **(named or {})})
        replay(run.state, kept, settings.secrets, run=id)
        edits = [edit_event(run.state, variable, value, by="fork", run=id) for variable, value in (edit or {}).items()]
        for event in edits:
            step(run.state, event)
        run.prologue = [*kept, *edits]
        run.supply.set_limit(settings.limit)
        return [ev.RunResumed(time.time(), f"pid {os.getpid()}")]

    return Run(
        graph, id=name, log=opened, options=settings, program=graph.origin, begin=begin, new=True, closes_log=opened is not log
    )


def _calls(description: Mapping[str, Any]) -> dict[str, Any]:
    return {call["name"]: call for call in description["calls"]}


def _still_valid(graph: Graph, events: list[Event], log: Log) -> list[Event]:
    """The events of a run without those of calls that the program now has otherwise, and without its ends."""
    first = events[0]
    if not isinstance(first, ev.RunStarted):
        raise LogCorrupt("the log does not begin with the run's start")
    known: dict[str, Any] = _calls(plain(first.graph, log.get))
    now: dict[str, Any] = _calls(describe(graph))
    changed = {name for name, call in known.items() if name not in now or now[name]["fingerprint"] != call["fingerprint"]}
    while True:
        more = {name for name, call in known.items() if name not in changed and changed & set(call["reads"])}
        if not more:
            break
        changed |= more

    def stays(event: Event) -> bool:
        if isinstance(event, ev.RunFinished | ev.RunFailed | ev.RunResumed | ev.CallFailed | ev.AttemptFailed):
            return False
        call = getattr(event, "call", "")
        return not call or call.split("[")[0].split("/")[0].split("#")[0].split("?")[0] not in changed

    return [replace(event, spend=ev.NOTHING_SPENT) if isinstance(event, ev.CallFinished) else event for event in events if stays(event)]


def show(id: str, *, log: Log | str | os.PathLike[str]) -> View:
    """A run as it stands in its log. Raises RunUnknown, LogCorrupt, LogTooNew."""
    opened = open_log(log)
    try:
        view = View(run=id)
        for event in opened.read(id):
            view = fold(view, event)
    finally:
        if opened is not log:
            opened.close()  # type: ignore[attr-defined]
    return view


def new_id(name: str) -> str:
    """A readable run id: the program's name and 8 hex digits that begin with the time's."""
    return f"{name}-{int(time.time()) & 0xFFFFF:05x}{os.urandom(2).hex()}"
