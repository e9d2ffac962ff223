"""From nodes to the format's data, with every fault and its place: unknown and missing keys, wrong kinds, numbers out of bounds."""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from rookery.core.graph import MISSING
from rookery.workflows import format as form
from rookery.workflows.document import Document, Node
from rookery.workflows.fault import Fault, meant, nearest

MAX_FAULTS = 200
"""After so many the rest is not worth reading."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key that a mapping may have."""

    field: str
    type: Any
    words: str
    at_least: float | None
    is_required: bool


def keys_of(spec: type[form.Spec]) -> dict[str, Key]:
    """The keys of a mapping, in the order of the format."""
    found = _KEYS.get(spec)
    if found is None:
        found = _KEYS[spec] = _keys_of(spec)
    return found


_KEYS: dict[Any, dict[str, Key]] = {}


def _keys_of(spec: type[form.Spec]) -> dict[str, Key]:
    found: dict[str, Key] = {}
    for name, annotation in _hints(spec).items():
        type_, *notes = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
        if any(isinstance(note, form.Beside) for note in notes):
            continue
        words = next((note for note in notes if isinstance(note, str)), "")
        bound = next((note.number for note in notes if isinstance(note, form.AtLeast)), None)
        found[name.rstrip("_")] = Key(name, type_, words, bound, name not in spec.defaults)
    return dict(sorted(found.items(), key=lambda item: not item[1].is_required))


def _hints(spec: Any) -> dict[str, Any]:
    """The fields of a class and what they say, without what all classes have."""
    return {name: hint for name, hint in get_type_hints(spec, include_extras=True).items() if name not in ("node", "defaults")}


@cache
def beside_of(spec: Any) -> str:
    """The field that takes the keys which no other field has; empty when unknown keys are faults."""
    return next((name for name, hint in _hints(spec).items() if any(isinstance(note, form.Beside) for note in get_args(hint)[1:])), "")


def is_name(text: str) -> bool:
    """Whether a word may be the name of a call, an input, a type …"""
    return text.isidentifier() and not text.startswith("__") and text not in ("inputs", "true", "false", "null", "in")


class Reader:
    """Reads one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.faults: list[Fault] = []

    def workflow(self) -> form.Workflow | None:
        """The whole file; None when its root is no mapping. Faults are in ``faults``."""
        root = self.document.root
        if root.kind != "map":
            self.fault(root, f"a workflow is a mapping, not {root.noun}", "", hint="begin with version: 1", kind="shape")
            return None
        read = self.spec(root, form.Workflow, "")
        return read if isinstance(read, form.Workflow) else None

    def fault(self, node: Node, message: str, path: str, *, hint: str = "", kind: str, start: int = -1, length: int = 0) -> Any:
        """Note a fault; gives MISSING, which is what is read instead."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(message, self.document.place(node, start=start, length=length), hint=hint, kind=kind, path=path))
        return MISSING

    # -------------------------------------------------------------- mappings

    def spec(self, node: Node, spec: type[form.Spec], path: str) -> Any:
        """A mapping as one of the format's classes; MISSING when it can't be read."""
        if node.kind != "map":
            return self.fault(
                node, f"{_last(path)} is a mapping, not {node.noun}", path, hint=f"its keys are {', '.join(keys_of(spec))}", kind="shape"
            )
        keys, beside = keys_of(spec), beside_of(cast("Any", spec))
        values: dict[str, Any] = {}
        more: dict[str, Node] = {}
        for key, item in node.pairs():
            name = key.text
            known = keys.get(name)
            if known is None and beside:
                more[name] = item
            elif known is None:
                self._unknown(key, name, spec, path)
            elif known.field not in values:
                values[known.field] = self.value(item, known.type, _below(path, name), known.at_least)
        missing = [name for name, key in keys.items() if key.is_required and key.field not in values]
        meant_ones = {nearest(key.text, keys) for key in node.keys if key.text not in keys} if missing else set()
        for name in missing:
            if f"did you mean {name}?" in meant_ones:
                continue  # it is there, and written wrongly
            words = keys[name].words
            self.fault(_head(node), f"{_last(path) or 'the workflow'} has no {name}:", path, hint=words[:1].lower() + words[1:], kind="missing")
        if missing or any(value is MISSING for name, value in values.items() if self._needs(spec, name)):
            return MISSING
        if beside:
            values[beside] = more
        return spec(node=node, **{name: value for name, value in values.items() if value is not MISSING})

    def _needs(self, spec: type[form.Spec], field: str) -> bool:
        return keys_of(spec)[field.rstrip("_")].is_required

    def _unknown(self, key: Node, name: str, spec: type[form.Spec], path: str) -> None:
        keys = list(keys_of(spec))
        hint = nearest(name, keys) or f"the keys are {', '.join(keys[:24])}{' …' if len(keys) > 24 else ''}"
        self.fault(key, f"{_last(path) or 'a workflow'} has no key {name}", _below(path, name), hint=hint, kind="key")

    def call(self, node: Node, path: str) -> Any:
        """One call, read as what its keys say that it is."""
        if node.kind != "map":
            return self.fault(node, f"{_last(path)} is a mapping, not {node.noun}", path, hint=f"say what it is: {_verbs()}", kind="shape")
        verbs = [key for key in node.keys if key.text in form.CALLS]
        if not verbs:
            near = next(((key, hint) for key in node.keys if (hint := nearest(key.text, form.CALLS))), None)
            if near:
                return self.fault(near[0], f"a call has no key {near[0].text}", path, hint=near[1], kind="key")
            return self.fault(_head(node), f"{_last(path)} says nothing to do", path, hint=f"give it one of {_verbs()}", kind="missing")
        if len(verbs) > 1:
            message = f"{_last(path)} is a {verbs[0].text} and a {verbs[1].text}"
            return self.fault(verbs[1], message, path, hint="make two calls of it", kind="key")
        return self.spec(node, form.CALLS[verbs[0].text], path)

    def named(self, node: Node, inner: Any, path: str, *, any_name: bool = False) -> Any:
        """A mapping from names to what ``inner`` says."""
        if node.kind == "scalar" and node.value is None:
            return {}
        if node.kind != "map":
            return self.fault(node, f"{_last(path)} is a mapping from names, not {node.noun}", path, kind="shape")
        found: dict[str, Any] = {}
        for key, item in node.pairs():
            if not any_name and not is_name(key.text):
                hint = "a name has letters, digits and _, and begins with no digit"
                self.fault(key, f"{key.text!r:.60} is no name", _below(path, key.text), hint=hint, kind="name")
                continue
            value = self.value(item, inner, _below(path, key.text))
            if value is not MISSING:
                found[key.text] = value
        return found

    # -------------------------------------------------------------- one value

    def value(self, node: Node, type_: Any, path: str, at_least: float | None = None) -> Any:
        """A node as what a type of the format says; MISSING after a fault."""
        if type_ in (form.Value, form.Constant):
            return node
        if type_ is form.AnyCall:
            return self.call(node, path)
        if type_ is form.AnyType:
            return node
        origin = get_origin(type_)
        if origin in (Union, types.UnionType):
            return self._one_of(node, get_args(type_), path, at_least)
        if origin is dict:
            key, inner = get_args(type_)
            return self.named(node, inner, path, any_name=key is str)
        if origin is list:
            return self._list(node, get_args(type_)[0], path)
        if isinstance(type_, type) and issubclass(type_, form.Spec):
            return self.spec(node, type_, path)
        return self._scalar(node, type_, path, at_least)

    def _list(self, node: Node, inner: Any, path: str) -> Any:
        if node.kind == "scalar" and node.value is None:
            return []
        if node.kind != "list":
            hint = f"write [{node.text:.40}]" if node.kind == "scalar" else ""
            return self.fault(node, f"{_last(path)} is a list, not {node.noun}", path, hint=hint, kind="shape")
        found = [self.value(item, inner, f"{path}[{index}]") for index, item in enumerate(node.items)]
        return [item for item in found if item is not MISSING]

    def _one_of(self, node: Node, options: Sequence[Any], path: str, at_least: float | None) -> Any:
        """A node as the one of several types that it can be by its kind."""
        fitting = [option for option in options if _takes(option, node)]
        if len(fitting) > 1 and node.kind == "scalar":  # a literal is meant before a free text
            fitting = [option for option in fitting if _reads(option, node)] or fitting[-1:]
        if len(fitting) > 1:
            fitting = [max(fitting, key=lambda option: _known_keys(option, node))]
        if fitting:
            return self.value(node, fitting[0], path, at_least) if fitting[0] is not type(None) else None
        wanted = " or ".join(dict.fromkeys(_words(option) for option in options if option is not type(None)))
        return self.fault(node, f"{_last(path)} is {wanted}, not {node.noun}", path, kind="shape")

    def _scalar(self, node: Node, type_: Any, path: str, at_least: float | None) -> Any:
        if not _reads(type_, node):
            hint = _choice_hint(node, type_) or ("put it into quotes" if node.kind == "scalar" and type_ is str and node.value is not None else "")
            if type_ is form.Name and node.kind == "scalar":
                hint = "a name has letters, digits and _, and begins with no digit"
            shown = f"{node.text:.60}" if node.kind == "scalar" and node.text else node.noun
            return self.fault(node, f"{_last(path)} is {_words(type_)}, not {shown}", path, hint=hint, kind="value")
        value = node.text if type_ in (form.TypeText, form.Expression) else node.value
        if type_ is form.TypeText and node.value is None:
            return form.TypeText("None")
        if at_least is not None and isinstance(value, int | float) and not value >= at_least:
            return self.fault(node, f"{_last(path)} is {node.text}; it is at least {at_least:g}", path, kind="value")
        return value


# ------------------------------------------------------------------ what fits where


def _reads(type_: Any, node: Node) -> bool:
    """Whether a scalar node is of a scalar type."""
    if node.kind != "scalar":
        return False
    value = node.value
    if get_origin(type_) is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(type_))
    if type_ is type(None):
        return value is None
    if type_ is form.Name:
        return isinstance(value, str) and is_name(value)
    if type_ is form.TypeText:
        return isinstance(value, str) or value is None
    if type_ is form.Expression:
        return value is not None
    if type_ in (str, form.Template):
        return isinstance(value, str)
    if type_ is bool:
        return isinstance(value, bool)
    if type_ is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return type_ is float and isinstance(value, int | float) and not isinstance(value, bool)


def _takes(type_: Any, node: Node) -> bool:
    """Whether a node's kind is one that a type has."""
    if type_ in (form.Value, form.Constant, form.AnyType):
        return True
    if get_origin(type_) is dict or (isinstance(type_, type) and issubclass(type_, form.Spec)):
        return node.kind == "map"
    if get_origin(type_) is list:
        return node.kind == "list"
    if node.kind != "scalar":
        return False
    return _reads(type_, node) or (isinstance(node.value, str) and (type_ in (form.Name, str) or get_origin(type_) is Literal))


def _known_keys(type_: Any, node: Node) -> int:
    """Of several mappings the one is meant that has more of the keys."""
    known = keys_of(type_) if isinstance(type_, type) and issubclass(type_, form.Spec) else {}
    return sum(key.text in known for key in node.keys)


_WORDS: dict[Any, str] = {
    str: "text", int: "a whole number", float: "a number", bool: "true or false", form.Name: "a name", form.TypeText: "a type", form.Template: "text",
    form.Expression: "an expression",
}  # fmt: skip


def _words(type_: Any) -> str:
    if get_origin(type_) is Literal:
        return " or ".join(str(one) for one in get_args(type_))
    if get_origin(type_) is list:
        return "a list"
    return _WORDS.get(type_, "a mapping")


def _choice_hint(node: Node, type_: Any) -> str:
    choices = [str(one) for one in get_args(type_)] if get_origin(type_) is Literal else []
    return meant(node.text, choices) if node.kind == "scalar" and isinstance(node.value, str) and choices else ""


def _head(node: Node) -> Node:
    """What is shown of a mapping that lacks something: the key that it is the value of."""
    return node.label or (node.keys[0] if node.keys else node)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _last(path: str) -> str:
    return path.rpartition(".")[2] if path.count(".") != 1 else path


def _verbs() -> str:
    return ", ".join(f"{verb}:" for verb in form.CALLS)
