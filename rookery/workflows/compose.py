"""From YAML text to nodes: nothing is run, and what is no workflow's size or shape is refused as soon as it is seen.

Scalars are read by YAML 1.2's core schema (``yes`` and ``on`` are text, ``012`` is twelve), since that is what people expect who know YAML
from other tools. libyaml's parser, by way of PyYAML, gives the events; the nodes are made here, so that no tag, no alias and no depth
can do harm.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from rookery.workflows.document import Document, Node, decoded, place_of
from rookery.workflows.fault import Fault

MAX_NODES = 400_000
"""Keys and values; what an alias repeats counts again."""
MAX_DEPTH = 64


class Refused(Exception):
    """The text is no workflow at all: the one fault beyond which nothing can be read."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def composed(data: bytes | str, name: str = "workflow") -> tuple[Document, list[Fault]]:
    """A file's nodes, and the faults that do not stop the reading: a key that stands twice.

    Raises Refused for what does: too large, no UTF-8, no YAML, tags, several documents, too deep, too many values.
    """
    text = decoded(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"), name)
    if isinstance(text, Fault):
        raise Refused(text)
    composer = _Composer(text, name)
    return Document(name, text, composer.root()), composer.faults


# ------------------------------------------------------------------ scalars

_INT = re.compile(r"[-+]?[0-9]+\Z")
_OTHER_INT = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, Any] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "True": True, "TRUE": True, "false": False, "False": False,
    "FALSE": False, ".inf": math.inf, ".Inf": math.inf, ".INF": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan, ".NaN": math.nan,
}  # fmt: skip
_MAY_BE_NUMBER = frozenset("+-.0123456789")
_LONGEST_NUMBER = 400


def scalar(text: str) -> Any:
    """A plain scalar's value by YAML 1.2's core schema (https://yaml.org/spec/1.2.2/, section 10.3.2)."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _MAY_BE_NUMBER or len(text) > _LONGEST_NUMBER:
        return text
    if _INT.match(text):
        return int(text)
    if _OTHER_INT.match(text):
        return int(text, 0)
    return float(text) if _FLOAT.match(text) else text


# ------------------------------------------------------------------ nodes


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end is not read yet."""

    node: Node
    anchor: str | None
    names: set[str] = field(default_factory=set)


class _Composer:
    """Makes nodes of events; not recursive."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.faults: list[Fault] = []
        self.anchors: dict[str, Node] = {}
        self.count = 0

    def root(self) -> Node:
        import yaml

        try:
            parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(self.text)  # without libyaml: ten times slower, and the same events
            return self._document(parser.get_event, yaml)
        except yaml.MarkedYAMLError as error:
            raise Refused(self._syntax(error)) from None
        except (yaml.YAMLError, RecursionError) as error:
            self._refuse(f"this is no YAML: {str(error) or type(error).__name__}", 0, 1, kind="syntax")

    def _document(self, event_of: Any, yaml: Any) -> Node:
        scalar_event, map_start, list_start, map_end, list_end = (
            yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent, yaml.MappingEndEvent, yaml.SequenceEndEvent
        )  # fmt: skip
        root: Node | None = None
        stack: list[_Open] = []
        while True:
            event = event_of()
            kind = type(event)
            if kind is scalar_event:
                node = self._scalar(event)
            elif kind is map_start or kind is list_start:
                node = self._opened(event, "map" if kind is map_start else "list", len(stack))
            elif kind is map_end or kind is list_end:
                self._closed(stack.pop(), event)
                continue
            elif kind is yaml.AliasEvent:
                node = self._alias(event)
            elif kind is yaml.DocumentStartEvent and root is not None:
                self._refuse("a workflow is one document", event.start_mark.index, 3, hint="take out this --- and what follows it", kind="shape")
            elif kind is yaml.StreamEndEvent:
                break
            else:
                continue
            self.count += node.size
            if self.count > MAX_NODES:
                again = ", those that aliases repeat counted again" if self.anchors else ""
                self._refuse(
                    f"there are more than {MAX_NODES:,} values{again}", node.start, node.end - node.start, hint="split the workflow", kind="size"
                )
            if stack:
                self._put(stack[-1], node)
            else:
                root = node
            if kind is map_start or kind is list_start:
                stack.append(_Open(node, event.anchor))
        if root is None:
            self._refuse("the file is empty", 0, 1, hint="begin with version: 1; `rookery new` writes a whole one", kind="shape")
        return root

    def _scalar(self, event: Any) -> Node:
        start, end, text, style = event.start_mark, event.end_mark, event.value, event.style or ""
        node = Node("scalar", start.index, end.index, start.line, start.column, text if style else scalar(text), text, style)
        if event.tag is not None or event.anchor is not None:
            self._no_tag(event)
            self._behind_anchor(node)
            self.anchors[event.anchor] = node
        return node

    def _opened(self, event: Any, kind: Literal["map", "list"], depth: int) -> Node:
        start, end = event.start_mark, event.end_mark
        if depth >= MAX_DEPTH:
            self._refuse(f"this lies more than {MAX_DEPTH} deep", start.index, 1, hint="make what is inside a workflow of its own", kind="depth")
        node = Node(kind, start.index, end.index, start.line, start.column, style="flow" if event.flow_style else "")
        if event.tag is not None or event.anchor is not None:
            self._no_tag(event)
            self._behind_anchor(node)
            self.anchors.pop(event.anchor, None)  # known from its end on: it cannot hold itself
        return node

    def _no_tag(self, event: Any) -> None:
        if event.tag is not None:
            start = event.start_mark.index
            found = _TAG.search(self.text, start)
            at, length = (found.start(), len(found[0])) if found else (start, 1)
            self._refuse("tags have no meaning here", at, length, hint="take the tag out; put text into quotes", kind="tag")

    def _behind_anchor(self, node: Node) -> None:
        found = _ANCHOR.match(self.text, node.start)
        if found:
            node.start, node.column = found.end(), node.column + len(found[0])
            node.line += found[0].count("\n")

    def _closed(self, opened: _Open, event: Any) -> None:
        node = opened.node
        if node.style == "flow":
            node.end = event.end_mark.index
        elif node.items:
            node.end = max(node.items[-1].end, node.keys[-1].end if node.keys else 0)
        node.size = 1 + sum(item.size for item in node.items) + len(node.keys)
        if opened.anchor is not None:
            self.anchors[opened.anchor] = node

    def _alias(self, event: Any) -> Node:
        found, start, end = self.anchors.get(event.anchor), event.start_mark, event.end_mark
        if found is None:
            hint = f"there are {', '.join('&' + name for name in self.anchors)}" if self.anchors else "no value before this one has an anchor"
            self._refuse(f"*{event.anchor} names no value above it", start.index, end.index - start.index, hint=hint, kind="alias")
        return Node(found.kind, start.index, end.index, start.line, start.column, found.value, found.text, found.style, found.items, found.keys,
                    size=found.size)  # fmt: skip

    def _put(self, opened: _Open, node: Node) -> None:
        parent = opened.node
        if parent.kind == "list":
            parent.items.append(node)
            return
        if len(parent.keys) > len(parent.items):
            node.label = parent.keys[-1]
            parent.items.append(node)
            return
        length = node.end - node.start
        if node.kind != "scalar":
            self._refuse(f"a key is a word, not {node.noun}", node.start, 1, kind="shape", hint="text that begins with { or [ stands in quotes")
        if node.text == "" and not node.style:
            self._refuse("there is no key before the colon", node.start, 1, kind="shape")
        if node.text == "<<":
            self._refuse("<< does not merge here", node.start, 2, hint="write the keys out; models: and prompts: name what is shared", kind="shape")
        if node.text in opened.names:
            first = next(key for key in parent.keys if key.text == node.text)
            self.faults.append(Fault(f"the key {node.text} stands twice", place_of(self.name, self.text, node.start, length),
                                     hint=f"the first is in line {first.line + 1}", kind="duplicate"))  # fmt: skip
        opened.names.add(node.text)
        parent.keys.append(node)

    # -------------------------------------------------------------- what is no YAML

    def _refuse(self, message: str, start: int, length: int, *, hint: str = "", kind: str) -> NoReturn:
        raise Refused(Fault(message, place_of(self.name, self.text, start, max(1, length)), hint=hint, kind=kind))

    def _syntax(self, error: Any) -> Fault:
        """What libyaml says, in the words of those who write the file."""
        mark = error.problem_mark or error.context_mark
        start = min(mark.index, len(self.text)) if mark is not None else 0
        problem = str(error.problem or "this is no YAML")
        line = self.text[self.text.rfind("\n", 0, start) + 1 :].partition("\n")[0]
        tab = len(line) - len(line.lstrip()) if line.strip() else -1
        if "\t" in line[: max(tab, 0)]:
            start = self.text.rfind("\n", 0, start) + 1 + line.index("\t")
            return Fault("a tab can't indent", place_of(self.name, self.text, start), hint="YAML is indented with spaces", kind="syntax")
        reference = _ITEM_OF.search(self.text, max(0, start - 100), start) if self.text[start : start + 1] == "[" else None
        if reference:
            at = reference.start()
            return Fault("a reference with [ ] stands in quotes inside of { }", place_of(self.name, self.text, at, start - at),
                         hint=f'write "{reference[0]}[…]"', kind="syntax")  # fmt: skip
        message, hint = next(((told, hint) for sign, told, hint in _PROBLEMS if sign in problem), (problem, ""))
        context = error.context_mark
        if context is not None and error.context and context.line != (mark.line if mark is not None else -1):
            hint = f"{hint}; " * bool(hint) + f"what is open began in line {context.line + 1}"
            if "not closed" in message or "are closed" in message:
                start = min(context.index, len(self.text))
        return Fault(message, place_of(self.name, self.text, start), hint=hint, kind="syntax")


_ITEM_OF = re.compile(r"\$[\w.]+$")
_TAG = re.compile(r"!\S*")
_ANCHOR = re.compile(r"&\S+\s*")
_PROBLEMS = (
    ("cannot start any token", "text can't begin with this sign", "put the text into quotes"),
    ("mapping values are not allowed", "a colon with a blank behind it can't stand here", "put the text into quotes, or indent what follows the key"),
    ("could not find expected ':'", "a key without a colon", "write key: value; a text with line breaks goes under |"),
    ("did not find expected ',' or ']'", "the list [ … is not closed", "close it with ], or put a comma between its items"),
    ("did not find expected ',' or '}'", "the mapping { … is not closed", "close it with }, or put a comma between its entries"),
    ("did not find expected '-'", "this is no item of the list above it", "begin it with -, or indent it less"),
    ("did not find expected key", "this belongs to nothing", "indent it as the keys above it; a value that begins with a quote ends with it"),
    ("unexpected end of stream", "the file ends before the quotes are closed", "close them"),
    ("unknown escape character", "there is no such escape", 'in "…" write \\\\ for a backslash, or use \'…\''),
    ("block sequence entries are not allowed", "a list item can't stand here", "put the list on lines of its own, indented"),
    ("tab character", "a tab can't indent", "YAML is indented with spaces"),
)  # fmt: skip
"""What libyaml says of what people often write, and how we say it."""
