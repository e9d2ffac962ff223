"""Prompts of a workflow: a text with holes, typed by what fills them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rookery.core.function import Prompt
from rookery.core.graph import Param
from rookery.core.shape import missing_step, step_type
from rookery.core.types import name_of
from rookery.workflows import format as form
from rookery.workflows.document import Node
from rookery.workflows.fault import Fault, nearest
from rookery.workflows.scope import Shared
from rookery.workflows.text import Found, Written, holes


def fill_in() -> None:
    """Stands for the function of a prompt that has none in Python."""


@dataclass(slots=True)
class PromptText:
    """A prompt as it is written, its holes found, and not typed yet."""

    name: str
    spec: form.Prompt | form.PromptCall | form.Turn
    written: Written
    found: list[Found]
    system: Written | None
    system_found: list[Found]
    path: str
    own: dict[str, Param]
    """The parameters that it declares."""
    names: list[str] = field(init=False)
    """Its parameters in order: those it declares, then its holes'."""

    def __post_init__(self) -> None:
        self.names = list(dict.fromkeys([*self.own, *(one.hole.name for one in (*self.found, *self.system_found))]))


def read_prompt(shared: Shared, spec: form.Prompt | form.PromptCall | form.Turn, name: str, path: str) -> PromptText | None:
    """A prompt's texts and their holes; None where its file can't be read."""
    node = spec.node.get("prompt")
    assert node is not None
    written = _written(shared, node, f"{path}.prompt")
    if written is None:
        return None
    given = spec.node.get("system")
    system = _written(shared, given, f"{path}.system") if given is not None and getattr(spec, "system", None) else None
    own = shared.params(spec.inputs, spec.node.get("inputs"), f"{path}.inputs") if isinstance(spec, form.Prompt) else {}
    found = holes(written, shared.reader, f"{path}.prompt")
    system_found = holes(system, shared.reader, f"{path}.system") if system is not None else []
    known = spec.name if isinstance(spec, form.Prompt) and spec.name else name
    return PromptText(known, spec, written, found, system, system_found, path, own)


def _written(shared: Shared, node: Node, path: str) -> Written | None:
    if isinstance(node.value, str) and node.value.startswith("file:"):
        return shared.file(node, path)
    if not str(node.value).strip():
        shared.reader.fault(node, "the text is empty", path, kind="value")
    return Written(str(node.value), shared.reader.document, node)


def typed_prompt(shared: Shared, text: PromptText, types: Mapping[str, Any]) -> Prompt[..., Any]:
    """The prompt with the types of what fills it; holes that reach below what is there are noted."""
    params = {name: text.own.get(name) or Param(name, types.get(name, Any)) for name in text.names}
    returns = _returns(shared, text)
    kind: Any = getattr(text.spec, "form", None) or "auto"
    for written, found in ((text.written, text.found), (text.system, text.system_found)):
        for one in found if written is not None else ():
            assert written is not None
            _check_hole(shared, one, params[one.hole.name].type, written, text.path)
    labels = frozenset(text.spec.labels) if isinstance(text.spec, form.Prompt) else frozenset()
    made: Prompt[..., Any] = Prompt(
        fill_in, name=text.name, policy=shared.policy(text.spec, text.path), labels=labels, form=kind, template=text.written.text,
        system=text.system.text if text.system is not None else None, signature=(params, returns),
    )  # fmt: skip
    return made


def _returns(shared: Shared, text: PromptText) -> Any:
    written = getattr(text.spec, "returns", None)
    return str if written is None else shared.type(written, text.spec.node.get("returns"), f"{text.path}.returns")


def _check_hole(shared: Shared, one: Found, type_: Any, written: Written, path: str) -> None:
    for step in one.hole.path:
        wrong = missing_step(type_, step)
        if wrong:
            hint = nearest(str(step), _fields(type_)) or f"{one.hole.name} is {name_of(type_)}"
            shared.reader.faults.append(Fault(f"hole {one.hole}: {wrong}", written.place(one.start, one.length), hint, "reference", path))
            return
        type_ = step_type(type_, step)


def _fields(type_: Any) -> list[str]:
    return list(getattr(type_, "model_fields", None) or getattr(type_, "__annotations__", {}))


def named_prompt(shared: Shared, name: str) -> PromptText | None:
    """An entry of ``prompts:``, read once; None when there is none of that name, or it can't be read."""
    if name not in shared.prompts:
        spec = shared.workflow.prompts.get(name)
        shared.prompts[name] = read_prompt(shared, spec, name, f"prompts.{name}") if spec is not None else None
    found: PromptText | None = shared.prompts[name]
    return found


def same_types(types: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells two uses of a prompt apart."""
    return tuple((name, id(type_) if isinstance(type_, type) else repr(type_)) for name, type_ in types.items())


def prompt_for(shared: Shared, text: PromptText, types: Mapping[str, Any]) -> Prompt[..., Any]:
    """The prompt under these types; uses with the same types share one."""
    wanted = {name: types.get(name, Any) for name in text.names if name not in text.own}
    if not isinstance(text.spec, form.Prompt):  # it stands in its call, and nobody else uses it
        return typed_prompt(shared, text, wanted)
    key = (id(text), same_types(wanted))
    found = shared.typed.get(key)
    if found is None:
        found = shared.typed[key] = typed_prompt(shared, text, wanted)
    return found
