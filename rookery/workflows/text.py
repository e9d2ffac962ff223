"""What stands in texts: holes of templates and ``$name`` references of values, each with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rookery.core.graph import Const, Many, Ref, Source
from rookery.core.template import Hole, Template
from rookery.errors import GraphFault
from rookery.workflows.document import Document, Node, place_of
from rookery.workflows.fault import Fault, Place, nearest
from rookery.workflows.read import Reader

REFERENCE = re.compile(r"\$([^\W\d]\w*)((?:\.[^\W\d]\w*|\[-?\d{1,9}\])*)")
_STEP = re.compile(r"\.(\w+)|\[(-?\d+)\]")
_DOLLAR = re.compile(r"\$\$|\$(?=[^\W\d]|[({])")
_EXPANDED_ELSEWHERE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|<%.*?%>|`[^`]+`", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Written:
    """A text of a workflow: in the file itself, or in one beside it."""

    text: str
    document: Document
    node: Node | None = None
    """The scalar; None when the text is a whole file."""

    def place(self, start: int = -1, length: int = 0) -> Place:
        if self.node is not None:
            return self.document.place(self.node, start=start, length=length)
        return place_of(self.document.name, self.text, max(0, start), max(1, length))


@dataclass(frozen=True, slots=True)
class Found:
    """A hole of a text, and where it is."""

    hole: Hole
    start: int
    length: int


def holes(written: Written, reader: Reader, path: str) -> list[Found]:
    """The holes of a text, in order; what is wrong with its braces is noted."""
    text, found = written.text, list[Found]()
    at = 0
    while True:
        opening = _BRACE.search(text, at)
        if opening is None:
            return found
        at = opening.start()
        if text[at : at + 2] in ("{{", "}}"):
            at += 2
            continue
        end = text.find("}", at)
        if text[at] == "}" or end < 0:
            message = "this brace closes nothing" if text[at] == "}" else "this brace is not closed"
            reader.faults.append(Fault(message, written.place(at, 1), "write {{ and }} for braces", "template", path))
            return found
        field = text[at + 1 : end]
        try:
            hole = Template.parse("{" + field + "}", path=path).holes[0]
        except GraphFault as fault:
            reader.faults.append(Fault(fault.fault, written.place(at, end + 1 - at), fault.hint or "write {{ and }} for braces", "template", path))
        else:
            private = next((step for step in hole.path if isinstance(step, str) and step.startswith("_")), None)
            if private is not None:
                reader.faults.append(Fault(f"{private} can't be read in a text", written.place(at, end + 1 - at), "name a field", "template", path))
            else:
                found.append(Found(hole, at, end + 1 - at))
        at = end + 1


_BRACE = re.compile(r"[{}]")


class Values:
    """Reads values of a workflow: constants and references to the variables in scope."""

    def __init__(self, reader: Reader, variables: Mapping[str, str]) -> None:
        self.reader = reader
        self.variables = variables
        """From a name to the variable as the graph knows it: ``inputs.topic``, ``draft``."""

    def source(self, node: Node, path: str) -> Source:
        """A value as the source of an argument."""
        if node.kind == "scalar":
            return self._text(node, path) if isinstance(node.value, str) else Const(node.value)
        literal = _literal(node)
        if literal is not None:
            return Const(literal.data())
        items = [self.source(item, f"{path}[{index}]") for index, item in enumerate(node.items)]
        if all(isinstance(item, Const) for item in items):
            plain = [item.value for item in items if isinstance(item, Const)]
            return Const(plain if node.kind == "list" else dict(zip((key.text for key in node.keys), plain, strict=False)))
        return Many("list", tuple(items)) if node.kind == "list" else Many("dict", tuple(items), tuple(key.text for key in node.keys))

    def _text(self, node: Node, path: str) -> Source:
        text: str = node.value
        if "$" not in text:
            self._no_hole(node, text, path)
            return Const(text)
        found = REFERENCE.fullmatch(text)
        if found is not None:
            return self.reference(found, node, path)
        if text.startswith("$$") and "$" not in text[2:]:
            return Const(text[1:])
        for sign in _DOLLAR.finditer(text):
            if sign[0] == "$$":
                continue
            inner = REFERENCE.match(text, sign.start())
            length = len(inner[0]) if inner else 1
            name = inner[1] if inner else ""
            if name in self.variables:
                message, hint = (
                    f"${name} is a piece of a longer text",
                    "a reference stands alone; put texts together in a prompt or a tool. $$ is a dollar sign",
                )
            else:
                message, hint = "nothing is filled in here", "only $name as the whole value is; $$ is a dollar sign"
            self.reader.fault(node, message, path, hint=hint, kind="reference", start=sign.start(), length=length)
            break
        return Const(text.replace("$$", "$"))

    def reference(self, found: re.Match[str], node: Node, path: str) -> Source:
        """``$name.field[0]`` as a variable; one that is not there is noted."""
        name = found[1]
        variable = self.variables.get(name)
        steps = tuple(field or int(item) for field, item in _STEP.findall(found[2]))
        if variable is None:
            self.unknown(name, node, path, start=1, length=len(name))
            return Const(None)
        return Ref(variable, steps)

    def unknown(self, name: str, node: Node, path: str, *, start: int, length: int) -> None:
        """Note that there is no variable of a name."""
        hint = nearest(name, self.variables) or _some(self.variables)
        self.reader.fault(node, f"there is no input or call {name}", path, hint=hint, kind="reference", start=start, length=length)

    def _no_hole(self, node: Node, text: str, path: str) -> None:
        """A value that looks as if something were filled in where nothing is."""
        for found in _HOLE.finditer(text):
            if found[1] in self.variables:
                hint = f"only prompts have holes; pass ${found[1]} itself, or put the text together in a prompt or a tool"
                self.reader.fault(
                    node, f"{{{found[1]}}} is not filled in here", path, hint=hint, kind="reference", start=found.start(), length=len(found[0])
                )
                return


_HOLE = re.compile(r"\{\{?\s*([^\W\d]\w*)[^{}]*\}\}?")


LITERAL = "$value"
"""The only key of a mapping that stands for what is under it, as it is: ``{$value: "costs $n"}``."""


def _literal(node: Node) -> Node | None:
    return node.items[0] if node.kind == "map" and len(node.keys) == 1 and node.keys[0].text == LITERAL else None


def looks_filled_in(data: Any) -> bool:
    """Whether data holds a text in which something would be filled in, or missed, if it were written as it is."""
    if isinstance(data, str):
        return "$" in data or bool(_HOLE.search(data)) or bool(_EXPANDED_ELSEWHERE.search(data))
    if isinstance(data, dict):
        return LITERAL in data or any(map(looks_filled_in, data.values()))
    return isinstance(data, list) and any(map(looks_filled_in, data))


def constant(node: Node, reader: Reader, path: str) -> Any:
    """A plain value in which nothing is filled in; text that looks as if it were meant to be is noted."""
    if node.kind == "scalar":
        if isinstance(node.value, str):
            return _plain(node, reader, path)
        return node.value
    literal = _literal(node)
    if literal is not None:
        return literal.data()
    items = [constant(item, reader, f"{path}[{index}]") for index, item in enumerate(node.items)]
    return items if node.kind == "list" else dict(zip((key.text for key in node.keys), items, strict=False))


def _plain(node: Node, reader: Reader, path: str) -> str:
    text: str = node.value
    sign = next((found for found in _DOLLAR.finditer(text) if found[0] == "$"), None) or _EXPANDED_ELSEWHERE.search(text)
    if sign is not None:
        shown = text[sign.start() : sign.end()] if sign[0] != "$" else text[sign.start() : sign.start() + 12]
        hint = "write {$value: …} around a text that is meant as it is"
        reader.fault(node, "nothing is filled in or carried out here", path, hint=f"this is a plain value; {hint}", kind="injection",
                     start=sign.start(), length=len(shown))  # fmt: skip
    return text.replace("$$", "$")


def _some(names: Mapping[str, str]) -> str:
    if not names:
        return "there are no inputs and calls yet"
    return f"there are {', '.join(list(names)[:12])}{' …' if len(names) > 12 else ''}"
