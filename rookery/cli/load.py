"""From ``file.py:name`` or ``module:name`` to a program, and from words on the command line to its inputs."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rookery.core.function import Prompt, Tool
from rookery.core.graph import MISSING, Graph
from rookery.errors import InputError, ParseFailed, RookeryError

if TYPE_CHECKING:
    from rookery.core.limit import Limit
    from rookery.core.passage import Clearance

MODULE = "rookery_program"
"""Files are loaded under module names that begin so; ``origin_of`` knows them by it."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program, and the text by which it is found again."""

    subject: Any
    origin: str

    @property
    def graph(self) -> Graph:
        """The program as a graph. Raises GraphInvalid with all its faults."""
        if isinstance(self.subject, Graph):
            from rookery.core.check import ensure

            return ensure(self.subject)
        from rookery.engine.door import as_graph

        return as_graph(self.subject)


def load(spec: str, *, tools: Sequence[str] = ()) -> Program:
    """The program that ``spec`` names: ``file.py:name``, ``module:name``, only the file when there is one program in it, or ``file.yaml``.

    ``tools`` are Python files whose tools a workflow may name. Raises InputError when there is none, or when the file itself fails; the
    message says in which line; WorkflowInvalid with all that is wrong with a workflow.
    """
    if is_workflow(spec):
        return _workflow(spec, tools)
    if tools:
        raise InputError("--tools is for workflow files", hint="a program in Python imports its tools itself")
    place, name = _split(spec)
    module, origin = _loaded(place)
    if not name:
        name = _only_program(module, place)
    return Program(_named(module, name, place), f"{origin}:{name}")


def has_labels(graph: Graph) -> bool:
    """Whether any value of a graph is labelled: only then there is something to hold it to."""
    if any(param.labels for param in graph.params.values()):
        return True
    functions = {id(call.function): call.function for call in graph.call_list if call.function is not None}
    return any(call.labels for call in graph.call_list) or any(
        has_labels(one) if isinstance(one, Graph) else one.labels or any(param.labels for param in one.params.values()) for one in functions.values()
    )


def is_workflow(spec: str) -> bool:
    """Whether a program is a workflow file."""
    return spec.endswith((".yaml", ".yml"))


def _workflow(spec: str, tools: Sequence[str]) -> Program:
    from rookery.workflows.loading import load as load_workflow

    given = [program.subject for place in tools for program in load_all(place) if isinstance(program.subject, Tool | Graph)]
    path = Path(spec).expanduser()
    return Program(load_workflow(path, tools=given), str(path.resolve()))


def load_module(place: str) -> ModuleType:
    """The module that ``file.py`` or ``module`` names, with all that is in it. Raises InputError as ``load`` does."""
    return _loaded(place)[0]


def load_all(spec: str) -> list[Program]:
    """As ``load``, but where only the file is named, every public program, prompt and tool in it."""
    place, name = _split(spec)
    if name:
        return [load(spec)]
    module, origin = _loaded(place)
    found = {name: value for name, value in vars(module).items() if not name.startswith("_") and _is_program(value, module)}
    if not found:
        raise InputError(f"there is no program in {place}", hint="make one with @graph, @tool, or with async def")
    return [Program(value, f"{origin}:{name}") for name, value in found.items()]


def _loaded(place: str) -> tuple[ModuleType, str]:
    suffix = Path(place).suffix
    if suffix in _LOADERS:
        return _LOADERS[suffix](place)
    if "/" in place or suffix in (".json", ".txt", ".toml"):
        raise InputError(f"{place} is no program: it ends in {suffix or 'nothing'}", hint="give FILE.py:NAME, or a workflow FILE.yaml")
    return _from_module(place)


def _split(spec: str) -> tuple[str, str]:
    place, mark, name = spec.rpartition(":")
    if not mark or "/" in name or "\\" in name:  # no name; a Windows drive has a colon too
        return spec, ""
    return place, name


def _from_file(place: str) -> tuple[ModuleType, str]:
    path = Path(place).expanduser().resolve()
    if not path.is_file():
        raise InputError(f"there is no file {place}", hint="a program is FILE.py:NAME or MODULE:NAME")
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = f"{MODULE}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # annotations are resolved through it
    _executed(lambda: spec.loader.exec_module(module), str(path))  # type: ignore[union-attr]
    return module, str(path)


def _from_module(place: str) -> tuple[ModuleType, str]:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    found: list[ModuleType] = []
    try:
        found.append(_executed(lambda: importlib.import_module(place), place))
    except InputError as error:
        if isinstance(error.__cause__, ModuleNotFoundError) and error.__cause__.name and place.startswith(error.__cause__.name):
            raise InputError(f"there is no module {place!r} here", hint="a program is FILE.py:NAME or MODULE:NAME") from error
        raise
    return found[0], place


_LOADERS: Mapping[str, Callable[[str], tuple[ModuleType, str]]] = {".py": _from_file}
"""How a file is loaded, by its ending."""


def _executed(execute: Callable[[], Any], place: str) -> Any:
    """Run a program file's own code; what it raises becomes one line that says where."""
    try:
        return execute()
    except RookeryError as error:
        line = _line(error, place)
        raise InputError(f"{line}{error.reason}", hint=error.hint or "mend the program, then run it again") from error
    except SystemExit as error:
        raise InputError(f"{place} exits while it is loaded", hint='put what it does under if __name__ == "__main__":') from error
    except SyntaxError as error:
        where = f"{error.filename or place}:{error.lineno}"
        raise InputError(f"{where}: {type(error).__name__}: {error.msg}", hint="mend the line, then run it again") from error
    except Exception as error:
        hint = f"pip install {error.name}" if isinstance(error, ModuleNotFoundError) and error.name else "mend the line, then run it again"
        raise InputError(f"{_line(error, place)}{type(error).__name__}: {error}", hint=hint) from error


def _line(error: BaseException, place: str) -> str:
    """``file.py:12: ``, the last line of the user's own code that an error passed through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == place] or [
        frame for frame in frames if "rookery" not in Path(frame.filename).parts and not frame.filename.startswith("<frozen")
    ]
    return f"{own[-1].filename}:{own[-1].lineno}: " if own else ""


def _is_program(value: Any, module: ModuleType) -> bool:
    if isinstance(value, Graph | Prompt | Tool):
        return True
    return inspect.iscoroutinefunction(value) and getattr(value, "__module__", "") == module.__name__


def _programs(module: ModuleType) -> list[str]:
    """Names of a module's programs, graphs and async programs before single prompts and tools."""
    found = {name: value for name, value in vars(module).items() if not name.startswith("_") and _is_program(value, module)}
    whole = [name for name, value in found.items() if not isinstance(value, Prompt | Tool) or getattr(value, "kind", "") == "program"]
    return whole or list(found)


def _only_program(module: ModuleType, place: str) -> str:
    names = _programs(module)
    if len(names) == 1:
        return names[0]
    if not names:
        raise InputError(f"there is no program in {place}", hint="make one with @graph, or with async def")
    raise InputError(f"{place} has several programs: {', '.join(names)}", hint=f"name one: {place}:{names[0]}")


def _named(module: ModuleType, name: str, place: str) -> Any:
    value: Any = module
    for step in name.split("."):
        if not hasattr(value, step):
            names = ", ".join(_programs(module)) or "none"
            inside = " (it was made inside a function, where it cannot be found again)" if "<locals>" in name else ""
            raise InputError(f"there is no {name!r} in {place}{inside}", hint=f"programs there: {names}")
        value = getattr(value, step)
    if not callable(value) or isinstance(value, type):
        raise InputError(f"{name} in {place} is no program but a {type(value).__name__}", hint="programs are made with @graph, or with async def")
    return value


# ------------------------------------------------------------------ words into values


def inputs_of(graph: Graph, words: Sequence[str]) -> dict[str, Any]:
    """``name=value`` words as the graph's inputs: JSON where that fits the input's type, else the text itself.

    Raises InputError with all that is wrong.
    """
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for word in words:
        name, mark, text = word.partition("=")
        if not mark:
            wrong.append(f"{word!r} is not name=value")
        elif name not in graph.params:
            wrong.append(f"unknown input {name!r}")
        else:
            try:
                values[name] = value_of(text, graph.params[name].type)
            except ParseFailed as error:
                wrong.append(f"input {name!r}: {error.reason}")
    named = {word.partition("=")[0] for word in words}
    for name, param in graph.params.items():
        if name not in named and param.default is MISSING:
            wrong.append(f"input {name!r} is not given")
    if wrong:
        raise InputError(f"{graph.name} can't start: " + "; ".join(wrong), hint=f"it takes {signature(graph)}")
    return values


def inputs_data(graph: Graph) -> list[dict[str, Any]]:
    """A graph's inputs as plain data: name, type in words, and the default if there is one."""
    from rookery.core.types import name_of

    return [
        {"name": name, "type": name_of(param.type), "has_default": param.default is not MISSING,
         "default": None if param.default is MISSING else repr(param.default)}
        for name, param in graph.params.items()
    ]  # fmt: skip


def signature(graph: Graph) -> str:
    """``topic=<str> n=<int, 5 unless given>``."""
    from rookery.core.types import name_of

    given = {name: "" if param.default is MISSING else f", {param.default!r} unless given" for name, param in graph.params.items()}
    return " ".join(f"{name}=<{name_of(param.type)}{given[name]}>" for name, param in graph.params.items()) or "no inputs"


def value_of(text: str, type_: Any) -> Any:
    """A word as a value of a type: read as JSON where that gives one, else as text. Raises ParseFailed when neither does."""
    from rookery.core.value import codec

    validate = codec(type_).validate
    data = plain_json(text)
    if data is not None or text.strip() == "null":
        try:
            return validate(data)
        except ParseFailed as error:
            if text.lstrip()[:1] in "[{":
                try:
                    return validate(text)
                except ParseFailed:
                    raise error from None
    return validate(text)


def plain_json(text: str) -> Any:
    """The text as JSON data; None when it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def clearance_of(words: Sequence[str]) -> Clearance:
    """``LABEL=SINK`` words as a clearance. Raises InputError."""
    from functools import reduce
    from operator import or_

    from rookery.core.passage import clear, clear_none

    found = []
    for word in words:
        label, _, sink = word.partition("=")
        if not label.strip() or not sink.strip():
            raise InputError(f"--clear {word}: it names no label and sink", hint="for example --clear untrusted=send_mail.body")
        found.append(clear(label.strip(), sink.strip()))
    return reduce(or_, found, clear_none)


def limit_of(text: str) -> Limit | None:
    """``tokens=1000,usd=0.5`` as a Limit. Raises InputError with all that is wrong."""
    from dataclasses import fields

    from rookery.core.limit import Limit

    if not text:
        return None
    names = [field.name for field in fields(Limit)]
    caps: dict[str, float] = {}
    wrong: list[str] = []
    for word in text.replace(" ", "").split(","):
        name, _, number = word.partition("=")
        try:
            caps[name] = float(number) if name in ("usd", "seconds", "sandbox_seconds") else int(number.replace("_", ""))
        except ValueError:
            wrong.append(f"{word!r} is not NAME=NUMBER")
            continue
        if name not in names:
            wrong.append(f"there is no limit on {name!r}")
        elif not caps[name] >= 0:
            wrong.append(f"{word}: a limit is a number from 0 up")
    if wrong:
        raise InputError("--limit: " + "; ".join(wrong), hint=f"limits are {', '.join(f'{name}=…' for name in names)}")
    return Limit(**caps)  # type: ignore[arg-type]
