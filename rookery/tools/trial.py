"""Trials: many calls of a source made in one fresh sandbox, and what came of each, as data."""

from __future__ import annotations

import asyncio
import json
import math
import secrets
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from rookery.tools.record import Example
from rookery.tools.sandbox import Program, Sandbox, SandboxLimit, poison

T = TypeVar("T")
CALL_S = 2.0
"""Seconds that one call of a trial may take."""
TRIAL = SandboxLimit(cpu_s=20.0, wall_s=30.0, output_bytes=4_000_000)
"""What all calls of one trial may use together."""
MAX_ENDED = 3
"""After so many calls that ended the sandbox the others of a trial are not made."""

DRIVER = '''
import json as _json, signal as _signal, time as _time

class _Late(BaseException):
    pass

def _late(number, frame):
    raise _Late

def _plain(value, depth=0):
    if value is None or value is True or value is False or type(value) in (int, float, str):
        return value
    if depth > 60:
        raise TypeError("nested too deeply")
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item, depth + 1) for item in value), key=_json.dumps)
    if isinstance(value, dict) and all(isinstance(key, (str, int, float, bool, type(None))) for key in value):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (bool, int, float, str)):
        return [kind for kind in (bool, int, float, str) if isinstance(value, kind)][0](value)
    raise TypeError("a value of class " + type(value).__name__ + " is no JSON data")

def _shaped(value, shape):
    if isinstance(shape, list) and isinstance(value, list):
        made = [_shaped(item, shape[1]) for item in value]
        return {"tuple": tuple, "set": set, "frozenset": frozenset, "list": list}[shape[0]](made)
    if isinstance(shape, list) and shape[0] == "dict" and isinstance(value, dict):
        return {key: _shaped(item, shape[1]) for key, item in value.items()}
    return value

def _watched(function, seen):
    import functools, inspect
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            given = _json.loads(_json.dumps(_plain(dict(signature.bind(*args, **kwargs).arguments))))
        except Exception:
            return function(*args, **kwargs)
        value = function(*args, **kwargs)
        if len(seen) < 20:
            try:
                seen.append([given, _json.loads(_json.dumps(_plain(value)))])
            except Exception:
                pass
        return value

    return call

def drive(source, name, calls, each_s, all_s, most_chars, shapes, first, watch, mark):
    import sys as _sys
    out = _sys.stdout
    end = _time.monotonic() + all_s
    code = compile(source, "<tool>", "exec")
    answers = []
    late = 0
    _signal.signal(_signal.SIGALRM, _late)
    for call in calls:
        if answers:
            out.write(mark)
            out.flush()
        seen = []
        if late == 3 or _time.monotonic() > end:
            answers.append(["timeout", "the calls before it took too long", "[]"])
            continue
        try:
            call = {key: _shaped(value, shapes.get(key)) for key, value in call.items()}
            try:
                _signal.setitimer(_signal.ITIMER_REAL, each_s, 0.05)
                space = {"__name__": "tool"}
                exec(code, space)
                if watch:
                    space[watch] = _watched(space[watch], seen)
                value = space[name](call.pop(first), **call) if first else space[name](**call)
                text = _json.dumps(_plain(value))
            finally:
                _signal.setitimer(_signal.ITIMER_REAL, 0)
            told = _json.dumps(seen)
            if len(text) + len(told) > most_chars:
                answers.append(["output", "its value is longer than " + str(most_chars) + " characters", "[]"])
            else:
                answers.append(["", text, told])
        except _Late:
            late += 1
            answers.append(["timeout", "it took longer than " + str(each_s) + " s", "[]"])
        except MemoryError:
            answers.append(["memory", "it wanted too much memory", "[]"])
        except BaseException as error:
            answers.append([type(error).__name__, str(error)[:200], "[]"])
    return answers
'''


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call gave: a value, or a fault."""

    value: Any = None
    fault: str = ""
    """The class of what was raised, or ``timeout``, ``memory``, ``crash`` …; empty when there is a value."""
    message: str = ""
    watched: tuple[tuple[dict[str, Any], Any], ...] = ()
    """The calls of the watched function that were made on the way: arguments by name, and value."""

    @property
    def ok(self) -> bool:
        return not self.fault

    @property
    def key(self) -> str:
        """A text that is equal for equal answers: numbers by value and kind, floats to 10 digits, faults by their class."""
        return f"!{self.fault}" if self.fault else json.dumps(_rounded(self.value), sort_keys=True)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return value if not math.isfinite(value) else float(f"{value:.10g}") + 0.0
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return {key: _rounded(item) for key, item in value.items()} if isinstance(value, dict) else value


def agrees(value: Any, wanted: Any) -> bool:
    """Whether a value is the wanted one: numbers by value, floats within one part in a thousand million, never True for 1."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, int | float) and isinstance(wanted, int | float):
        if isinstance(value, int) and isinstance(wanted, int):
            return value == wanted
        try:
            return math.isclose(value, wanted, rel_tol=1e-9, abs_tol=1e-12) or (value != value and wanted != wanted)
        except OverflowError:
            return False
    if isinstance(value, list) and isinstance(wanted, list | tuple):
        return len(value) == len(wanted) and all(map(agrees, value, wanted))
    if isinstance(value, dict) and isinstance(wanted, Mapping):
        return value.keys() == wanted.keys() and all(agrees(item, wanted[key]) for key, item in value.items())
    return type(value) is type(wanted) and bool(value == wanted)


# ------------------------------------------------------------------ calls


async def try_calls(
    sandbox: Sandbox, source: str, name: str, calls: Sequence[Mapping[str, Any]], *, shapes: Mapping[str, Any] | None = None,
    limit: SandboxLimit | None = None, call_s: float = CALL_S, first: str = "", watch: str = "",
) -> list[Answer]:
    """What ``name`` of the source gives for each of the calls (arguments by name), all in one sandbox where that holds.

    Each call starts from the source anew. One that ends the whole sandbox is told as its own fault, and the others are made without it,
    MAX_ENDED times. After ten times ``call_s`` the calls that are left are told as ``timeout``; values that take more than their
    share of the output are told as ``output``. ``shapes`` says which arguments become tuples or sets; ``first`` names the argument
    that is given by position; the calls of ``watch``, another function of the source, are told. Raises what the sandbox raises.
    """
    limit = limit or TRIAL
    all_s = min(10 * call_s, limit.cpu_s * 0.6)
    limit = replace(limit, cpu_s=min(limit.cpu_s, all_s + 2 * call_s), wall_s=min(limit.wall_s, 2 * (all_s + 2 * call_s)))
    order = {"source": source, "name": name, "each_s": call_s, "all_s": all_s, "shapes": dict(shapes or {}), "first": first, "watch": watch}
    trial = _Trial(sandbox, order, limit)
    sound = [index for index, call in enumerate(calls) if not poison(dict(call))]
    found = dict(zip(sound, await trial.answers([calls[index] for index in sound]), strict=True))
    return [found.get(index, Answer(fault="refused", message="the arguments are no JSON data")) for index in range(len(calls))]


class _Trial:
    """One source under trial."""

    def __init__(self, sandbox: Sandbox, order: dict[str, Any], limit: SandboxLimit) -> None:
        self.sandbox, self.limit = sandbox, limit
        self.mark = f"\0{secrets.token_hex(8)}\n"
        self.order = {**order, "mark": self.mark}

    async def answers(self, calls: Sequence[Mapping[str, Any]]) -> list[Answer]:
        found: list[Answer] = []
        ended = 0
        while len(found) < len(calls):
            left = calls[len(found) :]
            if ended == MAX_ENDED:
                return [*found, *[Answer(fault="timeout", message="calls before it ended the sandbox")] * len(left)]
            given, fault, done = await self._run(left)
            if fault is None:
                return [*found, *given]
            if fault.fault == "SyntaxError":
                return [fault] * len(calls)
            if done:
                given, again, _ = await self._run(left[:done])
                found += given if again is None else [again] * done
            found.append(fault)
            ended += 1
        return found

    async def _run(self, calls: Sequence[Mapping[str, Any]]) -> tuple[list[Answer], Answer | None, int]:
        """The answers; or how the sandbox ended, and after how many calls. All of it is the source's word, which harms but itself."""
        outcome = await self.sandbox.run(self._program(calls), limit=self.limit)
        fault = outcome.fault
        if fault is not None:
            told = Answer(fault=fault.type if fault.kind == "exception" else fault.kind, message=fault.message[:200])
            return [], told, min(outcome.stdout.count(self.mark), len(calls) - 1)
        return ([_read(item) for item in outcome.value] if _is_answers(outcome.value, len(calls)) else [_FORGED] * len(calls)), None, len(calls)

    def _program(self, calls: Sequence[Mapping[str, Any]]) -> Program:
        most = (self.limit.output_bytes - 1000) // (2 * len(calls))  # a quote in a text of a text takes two
        return Program(source=DRIVER, entry="drive", kwargs={**self.order, "calls": list(calls), "most_chars": most})


_FORGED = Answer(fault="refused", message="the value is not what a trial gives: the source has meddled with it")


def _is_answers(value: Any, count: int) -> bool:
    return (
        isinstance(value, list) and len(value) == count
        and all(isinstance(item, list) and len(item) == 3 and all(isinstance(text, str) for text in item) for item in value)
    )  # fmt: skip


def _read(item: Sequence[str]) -> Answer:
    fault, text, watched = item
    if fault:
        return Answer(fault=fault[:80], message=text[:200])
    try:
        calls = json.loads(watched)
        return Answer(json.loads(text), watched=tuple((dict(given), value) for given, value in calls))
    except (ValueError, TypeError, RecursionError) as error:
        return Answer(fault="value", message=str(error)[:200])


async def side_by_side(jobs: Iterable[Coroutine[Any, Any, T]], *, at_a_time: int) -> list[T]:
    """What all of the jobs give, in their order; the first error stops the others and is raised as it is."""
    places = asyncio.Semaphore(at_a_time)

    async def one(job: Coroutine[Any, Any, T]) -> T:
        async with places:
            return await job

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(job)) for job in jobs]
    except BaseExceptionGroup as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return [task.result() for task in tasks]


# ------------------------------------------------------------------ proofs


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of a tool's stored calls."""

    faults: Mapping[int, str]
    """Why a call failed, by its number."""
    passed_seen: int = 0
    passed_held_back: int = 0

    @property
    def ok(self) -> bool:
        """Whether there were calls, and all of them gave what they must."""
        return not self.faults and bool(self.passed_seen or self.passed_held_back)

    @property
    def why(self) -> str:
        """The first fault, in a sentence."""
        return next(iter(self.faults.values()), "" if self.ok else "it has no stored call")


async def prove(
    sandbox: Sandbox, source: str, name: str, examples: Sequence[Example], *, shapes: Mapping[str, Any] | None = None, call_s: float = CALL_S
) -> Proof:
    """Make a tool's stored calls, twice and the second time backwards, so that one which answers by luck or by counting is found.

    Nothing that is expected is known inside: values are compared out here, and checks run in a sandbox of their own. Raises what
    the sandbox raises.
    """
    calls = [dict(example.arguments) for example in examples]
    answers = await try_calls(sandbox, source, name, calls, shapes=shapes, call_s=call_s)
    again = [*reversed(await try_calls(sandbox, source, name, calls[::-1], shapes=shapes, call_s=call_s))]
    changed = {
        number: f"call {number + 1} gives another value the second time"
        for number, (one, other) in enumerate(zip(answers, again, strict=True)) if one.ok and one.key != other.key
    }
    proof = await judge(sandbox, examples, answers)
    return replace(proof, faults=dict(sorted({**proof.faults, **changed}.items()))) if changed else proof


async def judge(sandbox: Sandbox, examples: Sequence[Example], answers: Sequence[Answer]) -> Proof:
    """Hold what calls gave against what they must give. Raises what the sandbox raises."""
    faults: dict[int, str] = {}
    for number, (example, answer) in enumerate(zip(examples, answers, strict=True)):
        if not answer.ok:
            faults[number] = f"call {number + 1} failed: {answer.fault}: {answer.message}"
        elif not example.check and not agrees(answer.value, example.value):
            faults[number] = f"call {number + 1} gives {json.dumps(answer.value)[:80]}, not {json.dumps(example.value)[:80]}"
    faults |= await _unchecked(sandbox, examples, answers, faults)
    passed = [example for number, example in enumerate(examples) if number not in faults]
    return Proof(dict(sorted(faults.items())), sum(example.seen for example in passed), sum(not example.seen for example in passed))


async def _unchecked(sandbox: Sandbox, examples: Sequence[Example], answers: Sequence[Answer], failed: Mapping[int, str]) -> dict[int, str]:
    """The calls whose check does not give True, each check in a sandbox that the tool's code is not in."""
    faults: dict[int, str] = {}
    for check in dict.fromkeys(example.check for example in examples if example.check):
        numbers = [number for number, example in enumerate(examples) if example.check == check and number not in failed]
        calls = [{_VALUE: answers[number].value, **examples[number].arguments} for number in numbers]
        for number, answer in zip(numbers, await try_calls(sandbox, check, "check", calls, first=_VALUE), strict=True):
            if answer.value is not True:
                said = answer.fault or json.dumps(answer.value)[:40]
                faults[number] = f"call {number + 1}: the check of {json.dumps(answers[number].value)[:80]} gives {said}"
    return faults


_VALUE = "the value"
