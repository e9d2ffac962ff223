"""Facts about Python code from jedi (https://jedi.readthedocs.io), which works in a process of its own."""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from rookery.decoding.analyser import HANG_S, SupervisedAnalyser, python_key
from rookery.decoding.child import Child, read_line
from rookery.decoding.monitor import Facts, Parameter, Query
from rookery.decoding.pythoncall import about
from rookery.decoding.pythontext import bridge, spot
from rookery.errors import AnalyserFailed, RuleWrong

WORKER = Path(__file__).with_name("jedi_worker.py")


@dataclass(frozen=True, slots=True)
class Jedi:
    """Makes the analyser that Python's monitors ask by default; pure Python, and it reads code without running it.

    Answers ``members``, ``imports``, ``signatures``, ``classes`` and ``enum``.

    :raises RuleWrong: the project is no folder.
    """

    project: str = "."
    """The folder that absolute imports start from."""
    python: str = ""
    """The interpreter whose packages are seen (``.venv/bin/python``); empty: the one that runs rookery."""
    hang_s: float = HANG_S
    """A question that takes longer is given up for good, and the process replaced."""

    def __call__(self) -> SupervisedAnalyser:
        folder = Path(self.project).expanduser()
        if not folder.is_dir():
            raise RuleWrong(f"the project {self.project!r} is no folder", rule="jedi",
                            hint="name the folder that imports start from, as in project='./src'")
        return SupervisedAnalyser("jedi", lambda: _Session(folder.resolve(), self.python), key=python_key, hang_s=self.hang_s)


class _Session:
    def __init__(self, folder: Path, python: str) -> None:
        self._child = Child([sys.executable, "-P", "-X", "utf8", str(WORKER), str(folder), python], read=read_line, folder=folder)
        self._ids = itertools.count()

    def answer(self, query: Query, timeout_s: float) -> Facts:
        cursor = query.cursor
        before, detail = about(query.kind, cursor.before)
        asked = {"id": next(self._ids), "kind": query.kind, "detail": detail, "path": cursor.path, "before": before,
                 "bridge": bridge(spot(before), cursor.after), "after": cursor.after}
        self._child.send(json.dumps(asked).encode() + b"\n")
        answer = json.loads(self._child.receive(timeout_s))
        if "failed" in answer:
            raise AnalyserFailed(f"jedi could not answer: {answer['failed']}", rule="jedi")
        if "flooded" in answer:
            return Facts(is_complete=False)
        signatures = tuple(tuple(Parameter(*parameter) for parameter in signature) for signature in answer.get("signatures", ()))
        return Facts(tuple(answer.get("names", ())), signatures=signatures, detail=answer.get("detail", {}))

    def close(self) -> None:
        self._child.kill()
