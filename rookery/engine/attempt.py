"""Whether a failed call is tried again, after how long, and on which model; and errors as they stand in the log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rookery import errors
from rookery.core.event import Fault
from rookery.core.policy import Attempts
from rookery.errors import (
    AgentError,
    CallFailed,
    FlowRefused,
    LimitReached,
    LoopExhausted,
    ModelError,
    RookeryError,
    RunCancelled,
    RunError,
    SecretNeeded,
)

FOR_PROMPTS = Attempts(stop=3)
FOR_TOOLS = Attempts(stop=1)


def is_retryable(error: BaseException) -> bool:
    """Whether the same attempt may succeed later."""
    if isinstance(error, RookeryError):
        return error.retryable
    return isinstance(error, ConnectionError | TimeoutError) or bool(getattr(error, "retryable", False))


def wait_before(attempts: Attempts, number: int, started: float, error: BaseException) -> float | None:
    """Seconds to wait before the next attempt; None when there is none. ``number`` attempts were made since ``started``."""
    if not is_retryable(error):
        return None
    if attempts.stop == 1:
        return None
    from tenacity import AsyncRetrying, RetryCallState, stop_after_attempt, wait_fixed, wait_random_exponential

    stop = stop_after_attempt(attempts.stop) if isinstance(attempts.stop, int) else attempts.stop
    wait = attempts.wait
    if wait is None:
        wait = wait_random_exponential(multiplier=0.5, max=30)
    elif isinstance(wait, int | float):
        wait = wait_fixed(wait)
    state = RetryCallState(AsyncRetrying(), None, (), {})
    state.attempt_number = number
    state.start_time = started
    state.set_exception((type(error), error, error.__traceback__))
    state.outcome_timestamp = time.monotonic()
    if stop(state):
        return None
    return max(float(wait(state)), getattr(error, "retry_after_s", None) or 0.0)


def falls_back(error: BaseException) -> bool:
    """Whether another model may do what this one could not."""
    return isinstance(error, ModelError | TimeoutError | errors.CallTimeout | errors.ParseFailed | errors.DecodingError | FlowRefused)


def fault_of(error: BaseException) -> Fault:
    """An error as it stands in the log; that of a call within a call under the name of what went wrong in the inmost one."""
    if isinstance(error, CallFailed) and error.kind:
        return Fault(error.kind, error.reason, error.hint, bool(getattr(getattr(errors, error.kind, None), "retryable", False)))
    if isinstance(error, RookeryError):
        return Fault(type(error).__name__, error.reason, error.hint, error.retryable)
    return Fault(type(error).__name__, str(error) or repr(error), "", is_retryable(error))


def error_of(fault: Fault, *, run: str, call: str, attempts: int, cause: BaseException | None = None) -> RookeryError:
    """The error that a run ends with, from the log's fault."""
    message, hint = fault.message, fault.hint
    if fault.kind == "LimitReached":
        what = message.partition(":")[0]
        return LimitReached(message, what=what, call=call, run=run, hint=hint)
    if fault.kind == "RunCancelled":
        return RunCancelled(f"run {run} was {message}", run=run, hint=hint)
    if fault.kind == "SecretNeeded":
        return SecretNeeded(message, run=run, secrets=getattr(cause, "secrets", ()), hint=hint)
    if fault.kind == "LoopExhausted":
        return LoopExhausted(message, call=call, hint=hint)
    kind = getattr(errors, fault.kind, None)
    if isinstance(kind, type) and issubclass(kind, AgentError | FlowRefused):
        if not isinstance(cause, kind):
            return kind(message, call=call, hint=hint)
        cause.call = cause.call or call
        return cause
    if cause is not None and isinstance(cause, RunError):
        return cause
    tried = f" after {attempts} attempts" if attempts > 1 else ""
    label = "" if kind is not None else f"{fault.kind}: "
    return CallFailed(f"call {call} failed{tried}: {label}{message}", call=call, kind=fault.kind, attempts=attempts, hint=hint)


def candidates(first: Any, fallback: Sequence[Any]) -> list[Any]:
    """The models to ask, in order, each once."""
    found: list[Any] = []
    for model in (first, *fallback):
        if model is not None and model not in found:
            found.append(model)
    return found
