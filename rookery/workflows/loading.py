"""The door in: from a YAML file to a Workflow, with all that is wrong with it at once and nothing run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from rookery.core.graph import Graph
from rookery.core.passage import clear
from rookery.core.policy import Policy
from rookery.errors import WorkflowInvalid
from rookery.workflows import format as form
from rookery.workflows.build import Builder
from rookery.workflows.check import check
from rookery.workflows.compose import Refused, composed
from rookery.workflows.document import MAX_BYTES, Node
from rookery.workflows.fault import Fault, Place, in_order
from rookery.workflows.planning import limit_of
from rookery.workflows.read import Reader, is_name
from rookery.workflows.scope import Shared
from rookery.workflows.toolbox import Toolbox, as_tools, fill
from rookery.workflows.types import classes_in
from rookery.workflows.workflow import Workflow

ENDINGS = (".yaml", ".yml")
MAX_FILES_DEEP = 16
"""Files that call one another."""


def load(path: str | os.PathLike[str], *, tools: Iterable[Any] = (), types: Iterable[type] = (), models: Mapping[str, Any] | None = None) -> Workflow:
    """The workflow of a YAML file, checked. Nothing of it is run, and nothing is imported.

    ``tools`` are functions, tools and graphs that its calls may name beside those that the file itself brings; ``types`` are classes
    that its types may name, ``models`` are models, or their names, under names that the file uses. Raises WorkflowInvalid with every fault
    and its line, also where the file can't be read; ToolUnfit for what can't be registered.
    """
    place = Path(path)
    return parse(_read(place), name=str(path), path=place, tools=tools, types=types, models=models)


def parse(
    text: str | bytes,
    *,
    name: str = "workflow.yaml",
    path: Path | None = None,
    tools: Iterable[Any] = (),
    types: Iterable[type] = (),
    models: Mapping[str, Any] | None = None,
) -> Workflow:
    """The workflow of a text. ``path`` is where files beside it are looked for. Raises as ``load``."""
    loader = _Loader(as_tools(tools), list(types), models or {})
    found, faults = loader.workflow(text, name, path)
    if found is None or faults:
        raise WorkflowInvalid(name, in_order(faults))
    return found


def _read(place: Path) -> bytes:
    """The file's bytes, of one that is too large only so many that it shows."""
    try:
        with place.open("rb") as file:
            return file.read(MAX_BYTES + 1) if not (size := os.fstat(file.fileno()).st_size) > MAX_BYTES else _too_large(place, size)
    except OSError as error:
        fault = Fault(f"the file can't be read: {error.strerror or error}", Place(str(place), 1, 1), "give the path of a .yaml file", "file")
        raise WorkflowInvalid(str(place), [fault]) from error


def _too_large(place: Path, size: int) -> bytes:
    with place.open("rb") as file:
        head = file.read(200).decode("utf-8", "replace").partition("\n")[0]
    message = f"the file has {size / 1e6:,.1f} MB; a workflow has at most {MAX_BYTES / 1e6:,.0f} MB"
    fault = Fault(message, Place(str(place), 1, 1, 1, head), "put long texts into files of their own: prompt: file:section.md", "size")
    raise WorkflowInvalid(str(place), [fault])


class _Loader:
    """Reads a file and those that it calls."""

    def __init__(self, tools: list[Any], types: list[type], models: Mapping[str, Any]) -> None:
        self.tools = tools
        self.types = _registered(tools, types)
        self.models = models
        self.open_files: list[Path] = []
        self.made: dict[Path, Graph] = {}

    def workflow(self, text: str | bytes, name: str, path: Path | None) -> tuple[Workflow | None, list[Fault]]:
        """The workflow, and all that is wrong with it; None where nothing can be made of it."""
        try:
            document, faults = composed(text, name)
        except Refused as refused:
            return None, [refused.fault]
        reader = Reader(document)
        reader.faults.extend(faults)
        spec = reader.workflow()
        if spec is None:
            return None, self._without_whole(reader)
        shared = Shared(reader, spec, path.parent if path is not None else None)
        shared.types.update(self.types)
        shared.registered, shared.models = self.types, frozenset(self.models)
        shared.declare_types()
        box = Toolbox(self.tools)
        shared.tools = box
        fill(box, shared)
        shared.load_file = self._loader_of(shared, path)
        _check_models(shared)
        if path is not None:
            self.open_files.append(path.resolve())
        graph = Builder(shared, spec, _name_of(spec, path)).graph()
        if path is not None:
            self.open_files.pop()
        _unused_parts(shared)
        found = Workflow(graph, text=document.text, path=path, spec=spec, shared=shared, options=_options(shared, self.models))
        shared.origins[id(found)] = (spec, reader)
        return found, [*reader.faults, *check(found, shared)]

    def _without_whole(self, reader: Reader) -> list[Fault]:
        """The faults of a file whose root lacks something: what calls and references say is worth hearing all the same."""
        return reader.faults

    def _loader_of(self, shared: Shared, path: Path | None) -> Callable[[str, Node, str], Graph | None]:
        def load_file(name: str, node: Node, at: str) -> Graph | None:
            place = shared.path(name.removeprefix("file:").strip(), node, at)
            if place is None:
                return None
            whole = place.resolve()
            if whole in self.made:
                return self.made[whole]
            if whole in self.open_files or len(self.open_files) > MAX_FILES_DEEP:
                shared.reader.fault(node, f"{place.name} calls itself", at, hint="use loop:", kind="cycle")
                return None
            try:
                data = _read(place)
            except WorkflowInvalid as error:
                shared.reader.fault(node, error.faults[0].message.replace("the file", f"the file {place.name}", 1), at, kind="file")
                return None
            found, faults = self.workflow(data, str(place), place)
            shared.reader.faults.extend(faults)
            if found is None or faults:
                return None
            self.made[whole] = found
            shared.origins.update(found.shared.origins)
            return found

        return load_file


def _name_of(spec: form.Workflow, path: Path | None) -> str:
    """The graph's name: that of the file, as a name."""
    if spec.name:
        return spec.name
    stem = path.stem if path is not None else "workflow"
    word = "".join(sign if sign.isalnum() else "_" for sign in stem)
    return word if is_name(word) else "workflow"


def _check_models(shared: Shared) -> None:
    """Note entries of ``models:`` that nothing can be built of."""
    block = shared.workflow.node.get("models")
    for name, read in shared.workflow.models.items():
        node = block.get(name) if block is not None else None
        if isinstance(read, str):
            _model(shared, read, node, f"models.{name}")
            continue
        _model(shared, read.use, read.node.get("use"), f"models.{name}.use")
        for index, other in enumerate(read.fallback):
            items = read.node.get("fallback")
            shared.model_name(other, items.items[index] if items is not None else None, f"models.{name}.fallback[{index}]")
        prices = read.usd_per_million_tokens
        if prices is not None and len(prices) != 2:
            at = read.node.get("usd_per_million_tokens") or read.node
            shared.reader.fault(at, "prices are two numbers: of prompt tokens and of completion tokens", f"models.{name}", kind="value")


def _model(shared: Shared, name: str, node: Node | None, path: str) -> None:
    if node is not None and name in shared.workflow.models:
        shared.reader.fault(node, f"{name} is a name of models: itself", path, hint="write provider:NAME[@BASE_URL]", kind="reference")
    else:
        shared.model_name(name, node, path)


def _unused_parts(shared: Shared) -> None:
    """Read what no call names too: a prompt that nobody uses may be wrong all the same."""
    from rookery.workflows.prompts import named_prompt

    for name in shared.workflow.prompts:
        named_prompt(shared, name)
    for name, flow in shared.workflow.workflows.items():
        if name not in shared.graphs:
            shared.graphs[name] = None
            shared.graphs[name] = Builder(shared, flow, name, f"workflows.{name}").graph()


def _registered(tools: list[Any], types: list[type]) -> dict[str, type]:
    """The classes that types may name: those given, and those that the tools take and give."""
    found: dict[str, type] = {}
    for tool in tools:
        for type_ in (*(param.type for param in tool.params.values()), tool.returns):
            classes_in(type_, found)
    return found | {each.__name__: each for each in types}


def _options(shared: Shared, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """How a run of the workflow is carried out unless its caller says otherwise."""
    spec = shared.workflow
    options: dict[str, Any] = {}
    if spec.models or given:
        made = {
            name: _beside(shared, read) if isinstance(read, str) else _Entry(read, _beside(shared, read.use)) for name, read in spec.models.items()
        }
        options["models"] = made | dict(given)
    default = spec.models.get("default")
    if default is not None or "default" in given:
        options["model"] = "default"
        if isinstance(default, form.Model) and default.fallback:
            options["policy"] = Policy(fallback=tuple(default.fallback))
    limit = limit_of(spec.limit)
    if limit:
        options["limit"] = limit
    if spec.clearance:
        options["clearance"] = reduce(or_, (clear(label, *sinks) for label, sinks in spec.clearance.items()))
    if spec.max_in_flight is not None:
        options["max_in_flight"] = spec.max_in_flight
    return options


IN_FILES = frozenset({"recorded", "transformers", "llamacpp"})
"""Providers whose models are named by a file or folder."""


def _beside(shared: Shared, name: str) -> str:
    """A model's name; one that names a file beside the workflow does so from wherever it is run."""
    provider, mark, place = name.partition(":")
    if not mark or provider not in IN_FILES or shared.folder is None or Path(place).is_absolute():
        return name
    found = shared.folder / place
    return f"{provider}:{found}" if found.exists() else name


class _Entry:
    """An entry of ``models:`` with options, as the models' layer has those of its settings; looked at when the model is first asked."""

    def __init__(self, spec: form.Model, use: str) -> None:
        self.spec = spec
        self.use = use

    def arguments(self) -> dict[str, Any]:
        """Options of the model's class. Raises SettingWrong for what is none."""
        from pydantic import ValidationError

        from rookery.errors import SettingWrong
        from rookery.models.settings import ModelSettings

        spec = self.spec
        values = {
            "use": self.use, "max_in_flight": spec.max_in_flight, "timeout_s": spec.timeout_s, "base_url": spec.base_url,
            "api_key_env": spec.api_key_env,
            "context_tokens": spec.context_tokens, "usd_per_million_tokens": spec.usd_per_million_tokens,
            "options": {key: node.data() for key, node in spec.options.items()},
        }  # fmt: skip
        try:
            return ModelSettings.model_validate({key: value for key, value in values.items() if value is not None}).arguments()
        except ValidationError as error:
            raise SettingWrong(f"models: {error.errors()[0]['msg']}", model=spec.use) from None
