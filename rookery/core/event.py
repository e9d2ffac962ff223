"""What can happen in a run: frozen events, and their form in a log (version 1).

On the wire an event is a JSON array: its code, its time, then its fields in order, trailing defaults left out.
Values stand in events as references (see ``value``), never as text of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, ClassVar, TypeVar, dataclass_transform

from rookery.core.label import NO_LABELS, Labels
from rookery.core.report import Report as Report
from rookery.core.spend import NOTHING_SPENT as NOTHING_SPENT
from rookery.core.spend import Confidence as Confidence
from rookery.core.spend import Spend as Spend
from rookery.errors import LogCorrupt, LogTooNew

T = TypeVar("T")
VERSION = 1
"""The version of the event format."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as it stands in a log: its class, its text, what to do, and whether it may pass."""

    kind: str
    message: str
    hint: str = ""
    retryable: bool = False


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def event(cls: type[T]) -> type[T]:
    """A class of events: a slotted dataclass, frozen for the type checker.

    Not frozen at run time, and its comparison and text are the base's: two events are made for every call, and twenty classes at every
    import; so made, both cost a third.
    """
    return dataclass(slots=True, eq=False, repr=False)(cls)


@event
class Event:
    """Something that happened at ``at`` (seconds since 1970, UTC)."""

    code: ClassVar[str] = ""
    at: float

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(getattr(self, f.name) == getattr(other, f.name) for f in fields(self) if f.compare)

    def __hash__(self) -> int:
        return hash((type(self), self.at))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in fields(self) if f.repr)})"


@event
class RunStarted(Event):
    """A run began: of which program, on which inputs (references), under which seed."""

    code: ClassVar[str] = "R"
    run: str
    program: str
    """``module:name`` or ``file.py:name``."""
    graph: str
    """Reference of the graph's description."""
    inputs: dict[str, str] = field(default_factory=dict)
    labels: dict[str, list[str]] = field(default_factory=dict)
    seed: int = 0
    parent: str = ""
    """The run this one was forked from."""
    options: dict[str, Any] = field(default_factory=dict)
    """What the run was started with and can be named: model, limit."""


@event
class RunResumed(Event):
    """A process took the run up again: failed calls and those in flight are to be started anew."""

    code: ClassVar[str] = "U"
    owner: str


@event
class CallMade(Event):
    """Async code made a call (define-by-run); ``inputs`` is a digest of its function and arguments."""

    code: ClassVar[str] = "M"
    call: str
    inputs: str
    form: str = ""
    """Reference of what was called, as a graph's description has it (see ``core.argument``); empty when it is not recorded."""
    args: dict[str, str] = field(default_factory=dict)
    """By parameter: the reference of the argument, ``$PATH`` for a variable of the run, ``!`` for what is secret."""


@event
class CallStarted(Event):
    """An attempt at a call began."""

    code: ClassVar[str] = "S"
    call: str
    attempt: int = 1
    model: str = ""


@event
class AttemptFailed(Event):
    """An attempt failed and another follows after ``wait_s``, perhaps on another model; ``repair``: the text did not parse."""

    code: ClassVar[str] = "A"
    call: str
    attempt: int
    fault: Fault
    wait_s: float = 0.0
    model: str = ""
    spend: Spend = NOTHING_SPENT
    repair: bool = False


@event
class ElementReady(Event):
    """One element of a list that a call is still writing is complete."""

    code: ClassVar[str] = "E"
    call: str
    index: int
    value: str
    labels: Labels = NO_LABELS
    held: Any = field(default=None, compare=False, repr=False)


@event
class CallText(Event):
    """A piece of a reply's text as it comes. Shown, never logged."""

    code: ClassVar[str] = "T"
    call: str
    text: str


@event
class CallFinished(Event):
    """A call has its value. Once this is committed the call never runs again."""

    code: ClassVar[str] = "F"
    call: str
    value: str
    labels: Labels = NO_LABELS
    spend: Spend = NOTHING_SPENT
    model: str = ""
    cached: bool = False
    """The value came from the result cache."""
    level: str = ""
    """How the type was enforced: ``server schema`` or ``validate``."""
    confidence: Confidence | None = None
    """How likely the model thought its reply; None where log-probabilities were not asked for."""
    held: Any = field(default=None, compare=False, repr=False)
    """The value itself, while the process that made it lives; not logged."""
    guided: Report | None = None
    """What the rules of ``decode=`` did to its reply; None without any."""


@event
class CallFailed(Event):
    """A call failed for good (until the run is resumed)."""

    code: ClassVar[str] = "X"
    call: str
    fault: Fault
    attempts: int = 1
    spend: Spend = NOTHING_SPENT


@event
class TreeGrown(Event):
    """A search took in a result: the nodes of its tree that are new or have changed, as in ``View.trees``."""

    code: ClassVar[str] = "G"
    call: str
    """The search."""
    nodes: list[list[Any]]
    """Rows of id, parent's id (-1: none), status, value (or None), label (empty: as before). The tree begins anew with a labelled row 0."""


@event
class QuestionAsked(Event):
    """A person is asked; ``schema`` is the JSON Schema of the answer."""

    code: ClassVar[str] = "Q"
    call: str
    question: str
    schema: dict[str, Any]
    show: str = ""
    """Reference of what is shown with the question."""


@event
class QuestionAnswered(Event):
    """A person answered."""

    code: ClassVar[str] = "W"
    call: str
    value: str
    by: str = ""
    labels: Labels = NO_LABELS
    held: Any = field(default=None, compare=False, repr=False)


@event
class VariableEdited(Event):
    """Somebody changed a variable's value; what depends on it runs again."""

    code: ClassVar[str] = "V"
    variable: str
    """A call's path, or ``inputs.NAME``."""
    value: str
    by: str = ""
    labels: Labels = NO_LABELS
    held: Any = field(default=None, compare=False, repr=False)


@event
class BreakpointSet(Event):
    """Calls at ``place`` (a call's path, or a variable that they read) wait before they start; or no longer."""

    code: ClassVar[str] = "B"
    place: str
    on: bool = True


@event
class BreakpointHit(Event):
    """A call is ready and waits at a breakpoint."""

    code: ClassVar[str] = "H"
    call: str


@event
class RunPaused(Event):
    """No further call starts; those in flight end."""

    code: ClassVar[str] = "P"
    by: str = ""


@event
class RunContinued(Event):
    """Calls start again; with ``call``, only that one passes its breakpoint."""

    code: ClassVar[str] = "C"
    by: str = ""
    call: str = ""


@event
class CancelAsked(Event):
    """Somebody cancels the run, or one call and what depends on it."""

    code: ClassVar[str] = "K"
    call: str = ""
    by: str = ""


@event
class MessageRefused(Event):
    """Another process wanted something of the run that made no sense: an answer to no question, a value of the wrong type."""

    code: ClassVar[str] = "N"
    verb: str
    place: str
    fault: Fault
    by: str = ""


@event
class RunFinished(Event):
    """The run has its value."""

    code: ClassVar[str] = "Z"
    value: str
    labels: Labels = NO_LABELS
    held: Any = field(default=None, compare=False, repr=False)


@event
class RunFailed(Event):
    """The run ended without a value; it can be resumed."""

    code: ClassVar[str] = "Y"
    fault: Fault
    call: str = ""


KINDS: tuple[type[Event], ...] = (
    RunStarted, RunResumed, CallMade, CallStarted, AttemptFailed, ElementReady, CallText, CallFinished, CallFailed, TreeGrown, QuestionAsked,
    QuestionAnswered, VariableEdited, BreakpointSet, BreakpointHit, RunPaused, RunContinued, CancelAsked, MessageRefused, RunFinished, RunFailed,
)
_BY_CODE = {kind.code: kind for kind in KINDS}
TRANSIENT = (CallText,)
"""Events that are shown and not logged."""


def _plain(value: Any) -> Any:
    if isinstance(value, Fault):
        return [value.kind, value.message, value.hint, value.retryable]
    if isinstance(value, Spend):
        plain = [value.prompt_tokens, value.completion_tokens, value.cached_tokens, value.cost_usd, value.calls]
        return [*plain, value.sandbox_s] if value.sandbox_s else plain
    if isinstance(value, Confidence):
        return [value.logprob, value.tokens, value.entropy]
    if isinstance(value, Report):
        return value.plain()
    if isinstance(value, frozenset):
        return sorted(value)
    return value


def _of(*classes: type) -> Callable[[Any], Any]:
    def read(raw: Any) -> Any:
        if type(raw) not in classes:
            raise TypeError(f"{raw!r:.40} is not {classes[0].__name__}")
        return raw

    return read


_text, _count, _number, _truth = _of(str), _of(int), _of(float, int), _of(bool)


def _labels(raw: Any) -> Labels:
    return frozenset(map(_text, _of(list)(raw))) or NO_LABELS


def _fault(raw: Any) -> Fault:
    kind, message, hint, retryable = _of(list)(raw)
    return Fault(_text(kind), _text(message), _text(hint), _truth(retryable))


def _spend(raw: Any) -> Spend:
    prompt, completion, cached, cost, calls, *more = _of(list)(raw)
    (sandbox_s,) = more or (0.0,)
    return Spend(_count(prompt), _count(completion), _count(cached), None if cost is None else _number(cost), _count(calls), _number(sandbox_s))


def _row(raw: Any) -> list[Any]:
    number, parent, status, value, label = _of(list)(raw)
    return [_count(number), _count(parent), _text(status), None if value is None else _number(value), _text(label)]


def _confidence(raw: Any) -> Confidence | None:
    if raw is None:
        return None
    logprob, tokens, entropy = _of(list)(raw)
    return Confidence(_number(logprob), _count(tokens), _number(entropy))


def _report(raw: Any) -> Report | None:
    return None if raw is None else Report.of(_of(dict)(raw))


def _mapping(item: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda raw: {key: item(value) for key, value in _of(dict)(raw).items()}


_READ: dict[Any, Callable[[Any], Any]] = {
    "str": _text, "int": _count, "float": _number, "bool": _truth, "Labels": _labels, "Fault": _fault, "Spend": _spend,
    "Confidence | None": _confidence, "Report | None": _report,
    "dict[str, str]": _mapping(_text), "dict[str, Any]": _of(dict), "dict[str, list[str]]": _mapping(lambda raw: list(map(_text, _of(list)(raw)))),
    "list[list[Any]]": lambda raw: list(map(_row, _of(list)(raw))),
}  # fmt: skip
"""How a field is read back, by its annotation. Raises TypeError or ValueError for what is damaged."""


def _wire(kind: type[Event]) -> tuple[tuple[str, ...], tuple[Any, ...], tuple[Callable[[Any], Any], ...]]:
    written = [f for f in fields(kind) if f.name not in ("at", "held")]
    defaults = [f.default_factory() if f.default_factory is not NO_DEFAULT else f.default for f in written]
    return tuple(f.name for f in written), tuple(defaults), tuple(_READ[f.type] for f in written)


_WIRE = {kind: _wire(kind) for kind in KINDS}
_dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode


@lru_cache(256)
def _labels_on_wire(labels: Labels) -> str:
    return _dumps(sorted(labels))


def to_wire(event: Event) -> str:
    """The event as one line of JSON, at most milliseconds kept of its time."""
    if type(event) is CallStarted and event.attempt == 1 and not event.model:  # the two commonest, spelled out: they are the hot path
        return f'["S",{event.at:.3f},{_dumps(event.call)}]'
    if type(event) is CallFinished and event.spend is NOTHING_SPENT and not (
        event.model or event.cached or event.level or event.confidence or event.guided
    ):
        labels = f",{_labels_on_wire(event.labels)}" if event.labels else ""
        return f'["F",{event.at:.3f},{_dumps(event.call)},{_dumps(event.value)}{labels}]'
    kind = type(event)
    names, defaults, _ = _WIRE[kind]
    values = [getattr(event, name) for name in names]
    while values and values[-1] == defaults[len(values) - 1] and defaults[len(values) - 1] is not NO_DEFAULT:
        values.pop()
    plain = [_plain(value) for value in values]
    line = f'["{kind.code}",{event.at:.3f},{_dumps(plain)[1:]}' if plain else f'["{kind.code}",{event.at:.3f}]'
    try:
        line.encode()
    except UnicodeEncodeError:  # half a character, as models sometimes write it
        return f'["{kind.code}",{event.at:.3f},{json.dumps(plain, separators=(",", ":"))[1:]}'
    return line


def from_wire(line: str | bytes) -> Event:
    """The event of a line. Raises LogCorrupt for what is no event, LogTooNew for a code that this version does not know."""
    try:
        raw = json.loads(line)
        code, at, *rest = _of(list)(raw)
        _text(code), _number(at)
    except (ValueError, TypeError, RecursionError) as error:
        raise LogCorrupt(f"not an event: {str(line)[:80]!r}", hint="the log is damaged; `rookery show RUN` lists what can be read") from error
    if code == "S" and len(rest) == 1 and type(rest[0]) is str:  # the commonest two, as they are written (see to_wire)
        return CallStarted(at, rest[0])
    if code == "F" and len(rest) == 2 and type(rest[0]) is str and type(rest[1]) is str:
        return CallFinished(at, rest[0], rest[1])
    kind = _BY_CODE.get(code)
    if kind is None:
        raise LogTooNew(f"event of unknown kind {code!r}", hint="upgrade rookery to the version that wrote this log")
    names, _, readers = _WIRE[kind]
    if len(rest) > len(names):
        raise LogTooNew(f"event {code!r} has fields that this version does not know", hint="upgrade rookery to the version that wrote this log")
    try:
        return kind(at, **{name: read(value) for name, read, value in zip(names, readers, rest, strict=False)})
    except (TypeError, ValueError) as error:
        raise LogCorrupt(f"event {code!r} cannot be read: {str(line)[:80]!r}", hint="the log is damaged") from error
