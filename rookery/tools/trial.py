"""Trials: many calls of a source made in one fresh sandbox, and what came of each, as data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rookery.tools.record import Example

CALL_S = 2.0
"""Seconds that one call of a trial may take."""

DRIVER = '''
import json as _json, signal as _signal

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

def drive(source, name, calls, each_s, shapes, first):
    code = compile(source, "<tool>", "exec")
    answers = []
    _signal.signal(_signal.SIGALRM, _late)
    for call in calls:
        try:
            call = {key: _shaped(value, shapes.get(key)) for key, value in call.items()}
            try:
                _signal.setitimer(_signal.ITIMER_REAL, each_s, 0.05)
                space = {"__name__": "tool"}
                exec(code, space)
                value = space[name](call.pop(first), **call) if first else space[name](**call)
                text = _json.dumps(_plain(value))
            finally:
                _signal.setitimer(_signal.ITIMER_REAL, 0)
            answers.append(["", text])
        except _Late:
            answers.append(["timeout", "it took longer than " + str(each_s) + " s"])
        except MemoryError:
            answers.append(["memory", "it wanted too much memory"])
        except BaseException as error:
            answers.append([type(error).__name__, str(error)[:200]])
    return answers
'''


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call gave: a value, or a fault."""

    value: Any = None
    fault: str = ""
    """The class of what was raised, or ``timeout``, ``memory``, ``crash`` …; empty when there is a value."""
    message: str = ""

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
