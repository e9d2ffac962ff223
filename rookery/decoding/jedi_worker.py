"""The program that answers an analyser's questions with jedi; run as a file, in a process of its own, it needs nothing of rookery.

One JSON object a line comes in and goes out. It ends when its input does, also in the middle of a question.
"""

from __future__ import annotations

import builtins
import gc
import itertools
import json
import keyword
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any

MOST = 5_000
"""Names of one answer; of more only the number is told."""
MEMORY_BYTES = 4 << 30
TIDIED = 16
"""After so many answers garbage is collected, if nobody waits."""
_ENUM = {"_missing_", "_generate_next_value_", "name", "value"}


class Worker:
    """Answers questions about one project."""

    def __init__(self, project: str, python: str) -> None:
        import jedi
        from jedi.api.environment import InterpreterEnvironment

        self._jedi = jedi
        self._project = jedi.Project(project, load_unsafe_extensions=False)
        self._folder = Path(project)
        self._environment = jedi.create_environment(python) if python else InterpreterEnvironment()

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        before, filler, after = asked["before"], asked["bridge"], asked["after"]
        if asked["kind"] == "warm":
            return self._warm(before + filler + after, asked["path"])
        if asked["kind"] == "enum":
            return self._enum(before, asked["detail"], asked["path"])
        script = self._script(before + filler + after, asked["path"])
        at = (before.count("\n") + 1, len(before) - before.rfind("\n") - 1)
        if asked["kind"] == "signatures":
            found = [_parameters(signature) for signature in script.get_signatures(*at)]
            return {"signatures": [] if any(_is_inherited(parameters, asked["detail"]) for parameters in found) else found}
        return _named(script.complete(*at), with_kinds=asked["kind"] == "classes")

    def _script(self, text: str, path: str) -> Any:
        path = str(self._folder / (path or "_unnamed_.py"))
        return self._jedi.Script(text, path=path, project=self._project, environment=self._environment)

    def _warm(self, text: str, path: str) -> dict[str, Any]:
        """Read what a file imports, so that the first question finds it read."""
        script = self._script(text, path)
        for name in script.get_names(all_scopes=False)[:200]:
            if name.type == "module" or "import" in name.get_line_code():
                name.infer()
        script.complete(text.count("\n") + 1, len(text) - text.rfind("\n") - 1)
        return {}

    def _enum(self, before: str, subject: str, path: str) -> dict[str, Any]:
        """The members of the enum that an expression is of, where a statement begins; and the enum's name."""
        indent = before[before.rfind("\n") + 1 :]
        text = f"{before}_subject_ = {subject}\n{indent}_subject_"
        script = self._script(text, path)
        kinds = [name for name in script.infer(text.count("\n") + 1, len(indent) + 1) if name.type == "instance"]
        if len(kinds) != 1:
            return {}
        text = f"{text[: -len('_subject_')]}type(_subject_)."
        members = self._script(text, path).complete(text.count("\n") + 1, len(text) - text.rfind("\n") - 1)
        if not {member.name for member in members} >= _ENUM:
            return {}
        whole = kinds[0].full_name
        own = [name.name for name in members if not name.name.startswith("_") and name.type == "instance" and name.full_name == whole]
        return {"names": own, "detail": {"": whole.rpartition(".")[2]}}


def _named(found: list[Any], *, with_kinds: bool) -> dict[str, Any]:
    """Names without keywords; what kind each is, which takes jedi a while, only where it is asked for."""
    if len(found) > MOST:
        return {"flooded": len(found)}
    kept = [name for name in found if not keyword.iskeyword(name.name)]
    return {"names": [name.name for name in kept], "detail": {name.name: _kind(name) for name in kept} if with_kinds else {}}


def _kind(name: Any) -> str:
    if name.module_name == "builtins":
        return "class" if isinstance(getattr(builtins, name.name, None), type) else "function"
    return str(name.type)


def _parameters(signature: Any) -> list[list[Any]]:
    """A signature's parameters as they are written: what ``*args`` is passed on to would be a guess (often that there is nothing)."""
    from jedi.api.classes import ParamName

    kinds = {"POSITIONAL_ONLY": "positional", "POSITIONAL_OR_KEYWORD": "either", "KEYWORD_ONLY": "keyword",
             "VAR_POSITIONAL": "rest", "VAR_KEYWORD": "keywords"}
    names = signature._signature.get_param_names(resolve_stars=False)
    written = [ParamName(signature._inference_state, name) for name in names]
    return [[parameter.name, kinds[parameter.kind.name], not _has_default(parameter)] for parameter in written]


def _is_inherited(parameters: list[list[Any]], callee: str) -> bool:
    """Whether jedi took a base's constructor for one that is made: of a NamedTuple, or a dataclass's ``__init__``."""
    names = [name for name, _, _ in parameters]
    return names[:2] == ["typename", "fields"] or (callee.endswith("__init__") and names in ([], ["self"]))


def _has_default(parameter: Any) -> bool:
    if parameter.kind.name in ("VAR_POSITIONAL", "VAR_KEYWORD"):
        return True
    return "=" in parameter.to_string().replace("==", "")


def limit_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    except (ImportError, ValueError, OSError):
        pass


def main() -> None:
    project, python = sys.argv[1:3]
    limit_memory()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what else is printed must not stand between the answers
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    worker = Worker(project, python)
    gc.disable()  # it would look through all of jedi's objects in the middle of an answer
    for number in itertools.count(1):
        if number % TIDIED == 0 and lines.empty():
            gc.collect()
        asked = json.loads(lines.get())
        try:
            answer = worker.answer(asked)
        except Exception as error:  # whatever jedi meets in foreign code is an answer: that there is none
            answer = {"failed": f"{type(error).__name__}: {error}"[:300]}
        answers.write(json.dumps({"id": asked["id"], **answer}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
