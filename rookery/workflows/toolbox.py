"""The tools that a workflow may call: those in its folders (they run in a sandbox), of MCP servers, built in, and registered by the caller.

A workflow imports nothing: files of a folder are read as text, and what is registered is handed in by whoever loads the workflow.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rookery.core.function import Tool
from rookery.core.graph import MISSING, Graph, Param
from rookery.errors import RookeryError, ToolUnfit
from rookery.workflows import format as form
from rookery.workflows.document import Node
from rookery.workflows.fault import meant
from rookery.workflows.scope import Shared
from rookery.workflows.types import NoType, read_type

MAX_FILES = 200
"""Python files of a folder."""
BUILT_IN = ("calculate", "run_python", "ask_person")


class Toolbox(Mapping[str, Any]):
    """Tools by name; one is made when somebody asks for it."""

    def __init__(self, registered: Iterable[Any] = ()) -> None:
        self._made: dict[str, Any] = {each.name: each for each in registered}
        self._makers: dict[str, Callable[[], Any]] = {}
        self.sources: dict[str, str] = dict.fromkeys(self._made, "the caller")
        """Where each comes from, in words."""
        self.unfit: dict[str, str] = {}
        """What has a tool's name and can't be one, and why."""
        self.servers: list[Any] = []

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            maker = self._makers[name]
            self._made[name] = maker()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._made
        yield from (name for name in self._makers if name not in self._made)

    def __len__(self) -> int:
        return len(self._made.keys() | self._makers.keys())

    def __contains__(self, name: object) -> bool:
        return name in self._made or name in self._makers

    def offer(self, name: str, make: Callable[[], Any], source: str) -> str | None:
        """Put a tool in; where the name is taken already, where from. What the caller registered wins, and nobody complains."""
        taken = self.sources.get(name)
        if taken is not None:
            return taken if taken != "the caller" else None
        self._makers[name] = make
        self.sources[name] = source
        return None


def fill(box: Toolbox, shared: Shared) -> None:
    """Put in what ``tools:`` and ``memory:`` name."""
    block = shared.workflow.node.get("tools")
    for index, read in enumerate(shared.workflow.tools):
        node = block.items[index] if block is not None and index < len(block.items) else shared.workflow.node
        path = f"tools[{index}]"
        if isinstance(read, str):
            if "/" in read or read.startswith(".") or read.endswith(".py"):
                _folder(box, shared, read, node, path)
            else:
                _by_name(box, shared, read, node, path)
        else:
            _spec(box, shared, read, path)
    if shared.workflow.memory is not None:
        from rookery.workflows.remembering import memory_tools

        for tool in memory_tools(shared, shared.workflow.memory):
            _put(box, shared, tool.name, partial(_itself, tool), "memory:", shared.workflow.node.key("memory") or shared.workflow.node, "memory")


def _put(box: Toolbox, shared: Shared, name: str, make: Callable[[], Any], source: str, node: Node, path: str) -> None:
    taken = box.offer(name, make, source)
    if taken is not None and taken != source:
        shared.reader.fault(node, f"there are two tools {name}: of {taken} and of {source}", path, hint="rename one", kind="name")


def _itself(tool: Any) -> Any:
    return tool


def _by_name(box: Toolbox, shared: Shared, name: str, node: Node, path: str) -> None:
    if name in box:
        return
    if name not in BUILT_IN:
        hint = meant(name, [*BUILT_IN, *box]) or "folders are written ./tools; tools of your own are registered: --tools FILE.py, load(…, tools=[…])"
        shared.reader.fault(node, f"there is no tool {name}", path, hint=hint, kind="reference")
        return
    _put(box, shared, name, lambda: _built_in(name), "rookery", node, path)


def _built_in(name: str) -> Any:
    from rookery import tools

    return tools.python_tool() if name == "run_python" else getattr(tools, name)


def _spec(box: Toolbox, shared: Shared, read: form.Tools, path: str) -> None:
    said = [key for key in ("folder", "mcp", "files", "web", "use") if getattr(read, key) is not None]
    node = read.node
    if len(said) != 1:
        message = f"an entry of tools: says one of folder:, mcp:, files:, web:, use:{', not ' + ' and '.join(said) if said else ''}"
        shared.reader.fault(node, message, path, kind="key")
        return
    at = node.get(said[0]) or node
    if read.folder is not None:
        _folder(box, shared, read.folder, at, f"{path}.folder")
    elif read.mcp is not None:
        from rookery.workflows.servers import server_tools

        server_tools(box, shared, read.mcp, f"{path}.mcp")
    elif read.files is not None:
        place = shared.path(read.files, at, f"{path}.files")
        if place is not None and not place.is_dir():
            shared.reader.fault(at, f"there is no folder {read.files}", f"{path}.files", kind="file")
        elif place is not None:
            for name in ("read_file", "list_files", "search_files", *(["write_file"] if read.write else [])):
                _put(box, shared, name, partial(_file_tool, name, place, read.write), "files:", at, path)
    elif read.web is not None:
        _web(box, shared, read.web, at, path)
    else:
        names = node.get("use")
        for index, name in enumerate(read.use or ()):
            _by_name(box, shared, name, names.items[index] if names is not None else node, f"{path}.use[{index}]")


def _file_tool(name: str, place: Path, write: bool) -> Any:
    from rookery.tools import file_tools

    return next(tool for tool in file_tools(place, write=write) if tool.name == name)


def _web(box: Toolbox, shared: Shared, hosts: list[str], node: Node, path: str) -> None:
    from rookery.tools import web_tool

    try:
        made = web_tool(hosts)
    except RookeryError as error:
        shared.reader.fault(node, error.reason, f"{path}.web", hint=error.hint, kind="value")
        return
    _put(box, shared, "get_page", lambda: made, "web:", node, path)


# ------------------------------------------------------------------ folders of source files


@dataclass(frozen=True, slots=True)
class _Source:
    """One function of a file, not a tool yet."""

    name: str
    file: str
    tree: ast.Module
    function: ast.FunctionDef
    options: Mapping[str, bool]


def _folder(box: Toolbox, shared: Shared, name: str, node: Node, path: str) -> None:
    place = shared.path(name, node, path)
    if place is None:
        return
    if place.is_dir():
        files = sorted(file for file in place.glob("*.py") if not file.name.startswith(("_", "test_")))[:MAX_FILES]
        if not files:
            shared.reader.fault(node, f"there is no Python file in {name}", path, hint="a tool is a typed function in a .py file", kind="file")
    elif place.is_file() and place.suffix == ".py":
        files = [place]
    else:
        shared.reader.fault(node, f"there is no folder {name}", path, hint=_folders_near(place), kind="file")
        return
    for file in files:
        for source in _functions(shared, file, node, path):
            _put(box, shared, source.name, partial(_made, box, shared, source), str(file.name), node, path)


def _folders_near(place: Path) -> str:
    from rookery.workflows.fault import nearest

    try:
        names = [entry.name for entry in place.parent.iterdir() if entry.is_dir() or entry.suffix == ".py"]
    except OSError:
        names = []
    return nearest(place.name, names) or "folders stand beside the workflow"


def _functions(shared: Shared, file: Path, node: Node, path: str) -> Iterator[_Source]:
    from rookery.tools.source import parsed

    try:
        tree = parsed(file.read_text(encoding="utf-8"), file.name)
    except (OSError, UnicodeDecodeError, ToolUnfit) as error:
        reason = f"{error.faults[0][1]}" if isinstance(error, ToolUnfit) and error.faults else str(error)
        shared.reader.fault(node, f"{file.name} can't be read: {reason}", path, kind="file")
        return
    functions = [each for each in tree.body if isinstance(each, ast.FunctionDef) and not each.name.startswith("_")]
    marked = [each for each in functions if _options(each) is not None]
    for each in marked or functions:  # where some are marked @tool, the others are there for these
        yield _Source(each.name, file.name, tree, each, _options(each) or {})


def _options(function: ast.FunctionDef) -> dict[str, bool] | None:
    """What ``@tool(effect=True)`` says; None without it."""
    for decorator in function.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if (called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")) == "tool":
            words = decorator.keywords if isinstance(decorator, ast.Call) else []
            return {word.arg: bool(word.value.value) for word in words if word.arg in ("effect", "pure") and isinstance(word.value, ast.Constant)}
    return None


def _made(box: Toolbox, shared: Shared, source: _Source) -> Any:
    """The tool of a function: it takes and gives the workflow's types, and its code sees plain data in a sandbox."""
    from rookery.tools.source import from_source

    function = source.function
    try:
        params, returns = _signature(shared, function)
        inner = from_source(
            _plain_source(source), name=source.name, effect=source.options.get("effect", False), pure=source.options.get("pure", False)
        )
    except (NoType, ToolUnfit) as error:
        faults = getattr(error, "faults", ())
        reason = "; ".join(f"{place}: {fault}" for place, fault in faults) if faults else str(error)
        box.unfit[source.name] = f"{source.file}:{function.lineno}: {reason}"
        return None
    defaults = inner.params
    typed = {name: Param(name, type_, defaults[name].default if name in defaults else MISSING) for name, type_ in params.items()}
    made = FolderTool(_in_sandbox(inner, typed), name=source.name, doc=inner.doc, effect=inner.effect, pure=inner.pure, signature=(typed, returns))
    made.source = inner.source
    return made


class FolderTool(Tool[..., Any]):
    """A tool of a workflow's folder; its calls run in a sandbox."""

    source: str = ""

    def _body(self) -> Any:
        return self.source


def _in_sandbox(inner: Any, params: Mapping[str, Param]) -> Callable[..., Any]:
    async def call(**arguments: Any) -> Any:
        from pydantic_core import to_jsonable_python

        return await inner.function(**{name: to_jsonable_python(value, by_alias=False) for name, value in arguments.items() if name in params})

    call.__name__ = call.__qualname__ = inner.name
    return call


def _signature(shared: Shared, function: ast.FunctionDef) -> tuple[dict[str, Any], Any]:
    """Its parameters' types and what it gives, in the workflow's types. Raises NoType, ToolUnfit."""
    faults: list[tuple[str, str]] = []
    params: dict[str, Any] = {}

    def read(name: str, annotation: ast.expr | None) -> Any:
        if annotation is None:
            faults.append((name, "no annotation" if name == "return" else f"no annotation; write {name}: str, or its type"))
            return Any
        text = annotation.value if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str) else ast.unparse(annotation)
        try:
            return read_type(text, shared.types)
        except NoType as error:
            faults.append((name, f"{error.message}: {text:.60}"))
            return Any

    for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs):
        params[argument.arg] = read(argument.arg, argument.annotation)
    returns = read("return", function.returns)
    if faults:
        raise ToolUnfit(f"{function.name} can't be a tool", tool=function.name, faults=faults)
    return params, returns


def _plain_source(source: _Source) -> str:
    """The file as the sandbox runs it: without rookery, without decorators of it, and without types that only the workflow knows."""
    tree = ast.parse(ast.unparse(source.tree))
    tree.body = [each for each in tree.body if not _is_ours(each)]
    for each in ast.walk(tree):
        if isinstance(each, ast.FunctionDef):
            each.decorator_list = [one for one in each.decorator_list if not _is_mark(one)]
            for argument in (*each.args.posonlyargs, *each.args.args, *each.args.kwonlyargs):
                argument.annotation = _plainly(argument.annotation)
            each.returns = _plainly(each.returns)
    return "from typing import Any\n" + ast.unparse(tree)


def _is_ours(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.ImportFrom):
        return (statement.module or "").split(".")[0] == "rookery" or statement.module == "__future__"
    return isinstance(statement, ast.Import) and all(name.name.split(".")[0] == "rookery" for name in statement.names)


def _is_mark(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Name) and called.id == "tool"


def _plainly(annotation: ast.expr | None) -> ast.expr | None:
    """An annotation of plain data as it is, any other as Any."""
    from rookery.tools.source import Unreadable, type_of

    if annotation is None:
        return None
    try:
        type_of(annotation)
    except Unreadable:
        return ast.Name("Any", ast.Load())
    return annotation


def as_tools(given: Iterable[Any]) -> list[Any]:
    """What a caller registers: tools, graphs as tools, plain typed functions. Raises ToolUnfit for what is none of these."""
    found: list[Any] = []
    for each in given:
        if isinstance(each, Tool | Graph):
            found.append(each)
        elif callable(each) and getattr(each, "__name__", "").isidentifier():
            found.append(Tool(each))
        else:
            raise ToolUnfit(f"{each!r:.80} can't be registered: it has no name", hint="give it a name with def and @tool")
    return found
