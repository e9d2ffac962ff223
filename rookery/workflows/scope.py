"""What names mean in a workflow: its types, prompts, tools, models and workflows, shared by all of its calls, and made once each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ForwardRef

from rookery.core.function import Tool
from rookery.core.graph import MISSING, Graph, Param
from rookery.core.policy import NO_POLICY, SAMPLING, Attempts, Gather, Policy, all_or_fail, keep_ok, none_for_failed
from rookery.errors import NotSerialisable, ParseFailed
from rookery.workflows import format as form
from rookery.workflows.document import Document, Node, decoded
from rookery.workflows.fault import Fault, meant, nearest
from rookery.workflows.read import Reader, is_name, keys_of
from rookery.workflows.text import Written, constant
from rookery.workflows.types import IMPORTED, OTHERS, PLAIN, NoType, described, made_class, read_type

MAX_FILE_BYTES = 1_000_000
"""Of a prompt's file."""


@dataclass(slots=True)
class Shared:
    """What a workflow's file says beside its calls."""

    reader: Reader
    workflow: form.Workflow
    folder: Path | None
    """Where files are looked for; None for a text that is in no file."""
    tools: Mapping[str, Any] = field(default_factory=dict)
    types: dict[str, Any] = field(default_factory=dict)
    registered: dict[str, type] = field(default_factory=dict)
    """Classes that the caller registers, and those that registered tools take and give."""
    models: frozenset[str] = frozenset()
    """Names of models that the caller brings."""
    graphs: dict[str, Graph | None] = field(default_factory=dict)
    """The entries of ``workflows:`` and files that are made already; None while one is being made."""
    prompts: dict[str, Any] = field(default_factory=dict)
    """The entries of ``prompts:`` that are read already."""
    typed: dict[Any, Any] = field(default_factory=dict)
    """Prompts by the types that they are used with."""
    origins: dict[int, tuple[form.Flow, Reader]] = field(default_factory=dict)
    """From a graph's id to what it was made of, to find places again."""
    turns: dict[int, tuple[form.LoopCall, Reader]] = field(default_factory=dict)
    """From the id of a turn's graph to the loop that it was made for."""
    load_file: Callable[[str, Node, str], Graph | None] | None = None
    servers: dict[str, Any] = field(default_factory=dict)
    """MCP servers by name; what they have is not known before they are asked."""

    # -------------------------------------------------------------- files

    def file(self, node: Node, path: str, *, name: str = "") -> Written | None:
        """The text of a file beside the workflow, named as ``file:NAME``."""
        name = name or node.text.removeprefix("file:").strip()
        place = self.path(name, node, path)
        if place is None:
            return None
        try:
            data = place.read_bytes()
        except OSError as error:
            self.reader.fault(node, f"the file {name} can't be read: {error.strerror or error}", path, hint=_files_near(place, name), kind="file")
            return None
        if len(data) > MAX_FILE_BYTES:
            self.reader.fault(
                node, f"the file {name} has {len(data) / 1e6:.1f} MB; a prompt has at most {MAX_FILE_BYTES / 1e6:.0f}", path, kind="file"
            )
            return None
        text = decoded(data, name)
        if isinstance(text, Fault):
            self.reader.faults.append(text)
            return None
        return Written(text.strip("\n"), Document(name, text.strip("\n"), node))

    def path(self, name: str, node: Node, path: str) -> Path | None:
        """A path beside the workflow; one that leads out of its folder is a fault."""
        if self.folder is None:
            self.reader.fault(node, f"{name} can't be found: this workflow is in no file", path, hint="load it from a file", kind="file")
            return None
        place = Path(name)
        if not name or place.is_absolute() or ".." in place.parts or name.startswith("~") or "\0" in name:
            self.reader.fault(
                node, f"{name or 'this'} leads out of the workflow's folder", path, hint="files stand beside the workflow or below", kind="file"
            )
            return None
        found = self.folder / place
        try:
            is_inside = found.resolve().is_relative_to(self.folder.resolve())
        except (OSError, RuntimeError, ValueError):
            is_inside = False
        if not is_inside:
            self.reader.fault(node, f"{name} leads out of the workflow's folder", path, hint="a link may not lead out either", kind="file")
            return None
        return found

    # -------------------------------------------------------------- types

    def type(self, text: str, node: Node | None, path: str) -> Any:
        """The type that a text names; Any after a fault."""
        try:
            return read_type(text, self.types)
        except NoType as error:
            if node is not None:
                known = [*self.types, *PLAIN, *IMPORTED]
                hint = f"write {OTHERS[error.name]}" if error.name in OTHERS else (nearest(error.name, known) if error.name else "")
                hint = hint or f"types are str, int, float, bool, list[…], dict[str, …], Literal[…], … | None{_and(self.types)}"
                self.reader.fault(node, error.message, path, hint=hint, kind="type", start=error.start, length=error.length)
            return Any

    def declare_types(self) -> None:
        """Make the classes of ``types:``; they may refer to one another in any order, and to themselves."""
        block = self.workflow.node.get("types")
        nodes = {key.text: item for key, item in block.pairs() if key.text in self.workflow.types} if block is not None else {}
        for name in nodes:
            self.types.setdefault(name, ForwardRef(name))
        made: list[Any] = []
        for name, node in nodes.items():
            path = f"types.{name}"
            if name in PLAIN or name in IMPORTED:
                self.reader.fault(node.label or node, f"{name} is a type already", path, hint="choose another name", kind="name")
            registered = self.registered.get(name)
            found = self._own_type(name, node, path)
            if registered is not None and isinstance(found, type):
                if described(found) != described(registered):
                    hint = "a class of this name is registered, or a registered tool takes it; its fields differ"
                    self.reader.fault(node.label or node, f"there are two types {name}", path, hint=hint, kind="type")
                found = registered
            self.types[name] = found
            if found is not registered:
                made.append(found)
        for class_ in made:
            if hasattr(class_, "model_rebuild"):
                try:
                    class_.model_rebuild(force=True, _types_namespace=self.types)
                    class_.__annotations__ = {name: info.annotation for name, info in class_.__pydantic_fields__.items()}
                except (NameError, TypeError, RecursionError) as error:  # an alias of a class that stands below it
                    node = nodes[class_.__name__]
                    self.reader.fault(node.label or node, f"the type can't be made: {error}", f"types.{class_.__name__}", kind="type")

    def _own_type(self, name: str, node: Node, path: str) -> Any:
        from typing import Literal

        if node.kind == "scalar" and isinstance(node.value, str):
            return self.type(node.text, node, path)
        if node.kind == "list":
            choices = [item.value for item in node.items if item.kind == "scalar" and isinstance(item.value, str | int | bool)]
            if len(choices) == len(node.items) and choices:
                return Literal[tuple(choices)]
            wrong = next((item for item in node.items if item.kind != "scalar" or not isinstance(item.value, str | int | bool)), node)
            self.reader.fault(wrong, "a list of choices has texts", path, kind="type")
            return Any
        if node.kind != "map" or not node.keys:
            self.reader.fault(node, f"a type is a mapping of fields, a list of choices or another type, not {node.noun}", path, kind="type")
            return Any
        hints: dict[str, tuple[Any, Any, Mapping[str, Any]]] = {}
        doc = ""
        for key, item in node.pairs():
            if key.text == "$doc":
                doc = item.text
                continue
            if not is_name(key.text) or key.text.startswith(("_", "model_")):
                self.reader.fault(key, f"{key.text!r:.60} can't be a field's name", f"{path}.{key.text}", kind="name")
                continue
            hints[key.text] = self._own_field(item, f"{path}.{key.text}")
        try:
            return made_class(name, hints, doc)
        except Exception as error:  # pydantic says in many ways that a field can't be
            self.reader.fault(node.label or node, f"the type can't be made: {str(error).partition(chr(10))[0]}", path, kind="type")
            return Any

    def _own_field(self, node: Node, path: str) -> tuple[Any, Any, Mapping[str, Any]]:
        read: Any = self.reader.value(node, form.TypeText | form.Field, path)
        if not isinstance(read, form.Field):
            return (self.type(read, node, path) if read is not MISSING else Any), MISSING, {}
        type_ = self.type(read.type, read.node.get("type"), f"{path}.type")
        default = constant(read.default, self.reader, f"{path}.default") if isinstance(read.default, Node) else MISSING
        bounds = {name: getattr(read, name) for name in ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern", "description")}
        whole = {name: int(value) if isinstance(value, float) and value.is_integer() and type_ is int else value for name, value in bounds.items()}
        return type_, default, whole

    # -------------------------------------------------------------- parameters and policies

    def params(self, inputs: Mapping[str, Any], block: Node | None, path: str) -> dict[str, Param]:
        """``inputs:`` as parameters."""
        found: dict[str, Param] = {}
        for name, read in inputs.items():
            node = block.get(name) if block is not None else None
            below = f"{path}.{name}"
            if isinstance(read, form.Input):
                type_ = self.type(read.type, read.node.get("type"), f"{below}.type")
                default = self.constant(read.default, type_, f"{below}.default") if isinstance(read.default, Node) else MISSING
                found[name] = Param(name, type_, default, frozenset(read.labels))
            else:
                found[name] = Param(name, self.type(read, node, below), MISSING)
        return found

    def constant(self, node: Node, type_: Any, path: str) -> Any:
        """A plain value as its type says; as it is written where it is not of that type, which the check of the graph will say."""
        return self.typed_value(constant(node, self.reader, path), type_)

    def typed_value(self, value: Any, type_: Any) -> Any:
        """Data as a value of a type, where it is one."""
        if type_ is Any or type(value) is type_:
            return value
        from pydantic_core import to_json

        from rookery.core.types import load_foreign

        try:
            return load_foreign(to_json(value), type_)
        except (ParseFailed, NotSerialisable, ValueError, TypeError):
            return value

    def policy(self, read: Any, path: str) -> Policy:
        """What a call or a prompt says of how it is carried out."""
        model, fallback = read.model, tuple(read.fallback)
        if model is not None:
            self.model_name(model, read.node.get("model"), f"{path}.model")
        for index, name in enumerate(fallback):
            block = read.node.get("fallback")
            self.model_name(name, block.items[index] if block is not None and index < len(block.items) else None, f"{path}.fallback[{index}]")
        entry = self.workflow.models.get(model) if model is not None else None
        if isinstance(entry, form.Model) and not fallback:
            fallback = tuple(entry.fallback)
        gather = read.gather
        values: dict[str, Any] = {
            "model": model, "fallback": fallback, "attempts": _attempts(read.retry), "gather": _gather(gather),
            "stop": tuple(read.stop) if read.stop is not None else None,
            "decode": self._rule(read, path),
            "extra": self._constants(read.extra, f"{path}.extra"),
        }  # fmt: skip
        for name in ("timeout_s", "repair", *SAMPLING, "seed", "sample", "logprobs", "cache"):
            values[name] = getattr(read, name)
        if all(value in (None, (), all_or_fail) for value in values.values()):
            return NO_POLICY
        return Policy(**values)

    def _rule(self, read: Any, path: str) -> Any:
        """``decode:`` as plain data, which is what a policy has; a rule that is none is noted."""
        node = read.node.get("decode")
        if read.decode is None or node is None:
            return None
        from rookery.decoding.rules import rule_of
        from rookery.errors import RuleWrong

        data = node.data()
        if isinstance(data, dict):
            data = {key: value for key, value in data.items() if key in keys_of(form.Decode)}
        try:
            rule_of(data)
        except RuleWrong as error:
            at = next((one for one in _nodes(node) if error.rule and one.text == error.rule), node)
            self.reader.fault(at, error.reason, f"{path}.decode", hint=error.hint, kind="value")
        return data

    def _constants(self, nodes: Mapping[str, Node] | None, path: str) -> dict[str, Any] | None:
        return None if nodes is None else {key: constant(node, self.reader, f"{path}.{key}") for key, node in nodes.items()}

    def model_name(self, name: str, node: Node | None, path: str) -> None:
        """Note a model that nothing can be built of."""
        if node is None or name in self.workflow.models or name in self.models:
            return
        from rookery.models.provider import EXAMPLES, PROVIDERS

        provider, mark, rest = name.partition(":")
        if mark and provider in PROVIDERS and rest:
            return
        if not mark and name in _settings_models():
            return
        hint = nearest(name, [*self.workflow.models]) if not mark else nearest(provider, PROVIDERS)
        hint = hint or f"name an entry of models:, or write {', '.join(EXAMPLES.values())}"
        message = f"there is no provider {provider}" if mark and rest else f"{name or 'this'} names no model"
        self.reader.fault(node, message, path, hint=hint, kind="reference")

    # -------------------------------------------------------------- tools

    def tool(self, name: str, node: Node, path: str) -> Tool[..., Any] | None:
        """The tool of a name; one that is not there, or can't be one, is noted. Of a server any is taken, until it is asked."""
        found: Tool[..., Any] | None = self.tools.get(name)
        server, mark, _ = name.partition("__")
        if found is not None or (mark and server in self.servers):
            return found
        unfit = getattr(self.tools, "unfit", {}).get(name)
        if unfit:
            self.reader.fault(node, f"{name} can't be a tool", path, hint=unfit, kind="type")
        else:
            hint = meant(name, list(self.tools)) or "say in tools: where it comes from, or register it: --tools FILE.py, load(…, tools=[…])"
            self.reader.fault(node, f"there is no tool {name}", path, hint=hint, kind="reference")
        return None


def _nodes(node: Node) -> Iterator[Node]:
    """A node and all within it, keys too."""
    yield node
    for inner in (*node.keys, *node.items):
        yield from _nodes(inner)


def _attempts(retry: form.Retry | int | None) -> Attempts | None:
    if retry is None:
        return None
    return Attempts(stop=retry) if isinstance(retry, int) else Attempts(stop=retry.attempts, wait=retry.wait_s)


def _gather(gather: Any) -> Gather:
    if gather is None or gather == "all":
        return all_or_fail
    return none_for_failed if gather == "none" else keep_ok(at_least=gather.at_least)


def _settings_models() -> Iterable[str]:
    """Names of models in the settings in force; none where those can't be read."""
    from rookery.errors import RookeryError
    from rookery.models.settings import load_settings

    try:
        return list(load_settings().models)
    except RookeryError:
        return ()


def _and(types: Mapping[str, Any]) -> str:
    return f", and {', '.join(list(types)[:8])}" if types else ""


def _files_near(place: Path, name: str) -> str:
    try:
        names = [entry.name for entry in place.parent.iterdir()] if place.parent.is_dir() else []
    except OSError:
        names = []
    return nearest(place.name, names) or f"it is looked for beside the workflow: {name}"
