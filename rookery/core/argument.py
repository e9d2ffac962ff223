"""What a call was called with, told from the log alone: its arguments, the variables they came from, and its prompt with the holes filled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from rookery.core.event import CallMade
from rookery.core.graph import Const, Ref, Source, names_in
from rookery.core.template import Hole, Template, as_text, lookup
from rookery.core.value import Get, codec, plain
from rookery.core.view import View
from rookery.errors import GraphFault, LogCorrupt, NotSerialisable

MOST = 2_000
"""A constant whose JSON is longer stands in a graph's description by its beginning."""
GATHERED = 200
"""Of the values of a map so many are read to be shown."""
UNKNOWN: Any = object()
"""The value of a variable that has none yet, or whose value is in no log."""
_LEAF = re.compile(r"(?P<name>[^\[#~?]*)(?P<rest>.*)", re.DOTALL)
_PLACE = re.compile(r"\[(\d+)\]|#(\d+)")


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call as far as it is known."""

    name: str
    variables: tuple[str, ...] = ()
    """Paths of the variables that it was made from (``inputs.topic``, ``section[2]``); empty for a constant."""
    value: Any = UNKNOWN
    """Plain JSON data, or UNKNOWN."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a prompt: constant text, or what filled a hole."""

    text: str
    hole: str = ""
    """The parameter whose hole this was; empty for constant text."""
    variables: tuple[str, ...] = ()


def plain_source(source: Source) -> list[Any]:
    """A source as it stands in a graph's description: ``["$", name, steps…]``, ``["=", JSON]`` or ``["*", names…]``."""
    if isinstance(source, Ref):
        return ["$", source.name, *source.path]
    if not isinstance(source, Const):
        return ["*", *dict.fromkeys(names_in(source))]
    value = source.value
    if value is None or type(value) in (bool, int) or (type(value) is str and len(value) <= MOST):
        return ["=", value]
    try:
        text = codec(type(value)).dump(value).decode()
    except (NotSerialisable, UnicodeDecodeError):
        text = repr(value)
        return ["=", text[:MOST]]
    import json

    return ["=", json.loads(text)] if len(text) <= MOST else ["=", text[:MOST] + "…"]


_NOTHING: Mapping[str, Any] = {"name": "", "inputs": {}, "output": [], "calls": []}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a call stands."""

    entry: Mapping[str, Any] | None
    """Its own description."""
    scope: Mapping[str, Any]
    """The description of the graph that it is a call of."""
    whole: Mapping[str, Any]
    """The description that has all graphs it may call."""
    prefix: str
    """What the paths of the graph's calls begin with."""

    @property
    def inner(self) -> Mapping[str, Any]:
        """The description of the graph that it calls."""
        number = self.entry.get("graph") if self.entry is not None else None
        if number is None:
            return _NOTHING
        graphs: Sequence[Mapping[str, Any]] = [self.whole, *self.whole.get("graphs", ())]
        return graphs[number] if number < len(graphs) else _NOTHING


class Reader:
    """Reads calls of one run: its view, and where the bytes of values are. Values read are kept for as long as it lives."""

    def __init__(self, view: View, get: Get) -> None:
        self.view = view
        self._read = lru_cache(256)(lambda reference: plain(reference, get))
        self._forms: dict[str, Mapping[str, Any]] = {}
        self._looked_at = 0
        self._read_by: dict[str, list[str]] = {}
        self._indexed: dict[int, tuple[Mapping[str, Any], dict[str, Mapping[str, Any]]]] = {}

    def stored(self, reference: str) -> Any:
        """The plain value of a reference; UNKNOWN when the log does not have it."""
        if not reference:
            return UNKNOWN
        try:
            return self._read(reference)
        except (LogCorrupt, ValueError, KeyError):
            return UNKNOWN

    def description(self, reference: str) -> Mapping[str, Any]:
        """The description of a graph; an empty one when there is none."""
        found = self._forms.get(reference)
        if found is None:
            data = self.stored(reference)
            found = data if isinstance(data, Mapping) else _NOTHING
            if data is not UNKNOWN:
                self._forms[reference] = found
        return found

    def calls(self) -> Iterator[str]:
        """The paths of the calls that the program's graph says, those of the graphs it calls too, in the order they were made."""
        whole = self.description(self.view.graph)
        stack = [(iter(whole.get("calls", ())), "")]
        while stack:
            calls, prefix = stack[-1]
            entry = next(calls, None)
            if entry is None:
                stack.pop()
            elif entry["kind"] != "when":
                yield prefix + entry["name"]
                if entry["kind"] == "graph":
                    inner = _Place(entry, whole, whole, prefix).inner
                    stack.append((iter(inner.get("calls", ())), f"{prefix}{entry['name']}/"))

    # ---------------------------------------------------------------- what a call is

    def entry(self, path: str) -> Mapping[str, Any] | None:
        """The description of the call that a path stands for; None when the log does not say."""
        return self._place(path).entry

    def _place(self, path: str) -> _Place:
        whole = graph = self.description(self.view.graph)
        found = _Place(None, graph, whole, "")
        prefix = ""
        for segment in path.split("/"):
            here = prefix + segment
            made = self._made(here)
            if made is not None and made.form:
                whole = graph = self.description(made.form)
            calls = self._calls(graph)
            entry = calls.get(_LEAF.match(segment).group("name"))  # type: ignore[union-attr]
            if entry is None and made is not None and len(calls) == 1:
                entry = next(iter(calls.values()))
            found = _Place(entry, graph, whole, prefix)
            graph = found.inner
            prefix = here + "/"
        return found

    def _made(self, path: str) -> CallMade | None:
        return self.view.made.get(path) or self.view.made.get(_without_parts(path))

    def _calls(self, graph: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        found = self._indexed.get(id(graph))
        if found is None or found[0] is not graph:
            found = self._indexed[id(graph)] = graph, {call["name"]: call for call in graph.get("calls", ())}
        return found[1]

    def type(self, path: str) -> str:
        """The type of a call's value in words: for an element of a map, the element's; empty when it is not known."""
        entry = self.entry(path)
        if entry is None:
            return ""
        found = str(entry["type"])
        is_element = entry["kind"] == "each" and path.endswith("]")
        return found[5:-1] if is_element and found.startswith("list[") and found.endswith("]") else found

    def arguments(self, path: str) -> list[Argument]:
        """What a call was called with, as far as the log says."""
        place = self._place(path)
        entry, made = place.entry, self._made(path)
        if made is not None and made.args and (entry is None or "args" not in entry):
            return [self._given(name, reference) for name, reference in made.args.items()]
        if entry is None:
            return []
        found = []
        for name, source in entry.get("args", {}).items():
            argument = self._from(source, place.prefix, name)
            found.append(self._element(entry, path, argument))
        return found

    def _given(self, name: str, reference: str) -> Argument:
        if reference.startswith("$"):
            variables = tuple(word[1:] for word in reference.split(" "))
            return Argument(name, variables, self.value(variables[0]) if len(variables) == 1 else UNKNOWN)
        return Argument(name, (), "<secret>" if reference == "!" else self.stored(reference))

    def _from(self, source: Sequence[Any], prefix: str, name: str) -> Argument:
        mark, *rest = source
        if mark == "=":
            return Argument(name, (), rest[0])
        if mark == "*":
            return Argument(name, tuple(variable for read in rest for variable in self._resolved(str(read), prefix).variables))
        outer = self._resolved(str(rest[0]), prefix)
        if outer.value is UNKNOWN or not rest[1:]:
            return Argument(name, outer.variables, outer.value)
        try:
            return Argument(name, outer.variables, lookup(outer.value, tuple(rest[1:])))
        except LookupError:
            return Argument(name, outer.variables)

    def _resolved(self, name: str, prefix: str) -> Argument:
        """A name of a graph at a place in the run as a variable of the run."""
        if not name.startswith("inputs."):
            return Argument(name, (prefix + name,), self.value(prefix + name))
        if not prefix:
            return Argument(name, (name,), self.stored(self.view.inputs.get(name.removeprefix("inputs."), "")))
        name = name.removeprefix("inputs.")
        whole = prefix[:-1]
        turn = _PLACE.search(whole.rpartition("/")[2])
        entry = self.entry(whole)
        if turn is not None and turn.group(2) not in (None, "0") and entry is not None and entry.get("state") == name:
            before = f"{whole[: whole.rfind('#')]}#{int(turn.group(2)) - 1}"
            return Argument(name, (before,), self.value(before))
        found = next((argument for argument in self.arguments(whole) if argument.name == name), None)
        return found if found is not None else Argument(name)

    def _element(self, entry: Mapping[str, Any], path: str, argument: Argument) -> Argument:
        """Of an argument that is mapped over, the element that this call got."""
        place = _PLACE.search(path.rpartition("/")[2])
        if argument.name not in entry.get("over", ()) or place is None or place.group(1) is None:
            return argument
        index = int(place.group(1))
        variables = tuple(f"{variable}[{index}]" for variable in argument.variables)
        items = argument.value
        return Argument(argument.name, variables, items[index] if isinstance(items, list) and index < len(items) else UNKNOWN)

    # ---------------------------------------------------------------- variables

    def value(self, variable: str, *, whole: bool = False) -> Any:
        """The plain value of a variable by its path; UNKNOWN when it has none yet or the log does not have it.

        Of a map's values the first GATHERED are given, and a text that says so, unless the ``whole`` is asked for.
        """
        if variable.startswith("inputs.") and "/" not in variable:
            return self.stored(self.view.inputs.get(variable.removeprefix("inputs."), ""))
        call = self.view.calls.get(variable)
        if call is not None:
            return self.stored(call.value)
        place = self._place(variable)
        if place.entry is None:
            return UNKNOWN
        if place.entry["kind"] == "each":
            return self._gathered(variable, None if whole else GATHERED)
        outputs: Sequence[str] = place.inner.get("output", ()) if place.entry["kind"] == "graph" else ()
        return self.value(f"{variable}/{outputs[0]}", whole=whole) if len(outputs) == 1 and not outputs[0].startswith("inputs.") else UNKNOWN

    def _gathered(self, variable: str, most: int | None) -> Any:
        items: list[Any] = []
        while (call := self.view.calls.get(f"{variable}[{len(items)}]")) is not None and call.value:
            if len(items) == most:
                return [*items, "… and more"]
            items.append(self.stored(call.value))
        return items or UNKNOWN

    def producer(self, variable: str) -> str:
        """The call that makes a variable; empty for an input of the run."""
        if variable.startswith("inputs."):
            return ""
        while variable and variable not in self.view.calls and "[" in variable:
            variable = variable[: variable.rfind("[")]
        return variable

    def consumers(self, variable: str) -> list[str]:
        """The calls that read a variable, in the order in which they began; those that have not begun by their name alone."""
        prefix, _, leaf = variable.rpartition("/")
        prefix = prefix + "/" if prefix else ""
        name = variable if variable.startswith("inputs.") else _LEAF.match(leaf).group("name")  # type: ignore[union-attr]
        found: list[str] = []
        place = self._place(variable)
        for entry in place.scope.get("calls", ()):
            if name in entry["reads"]:
                began = [path for path in self.view.calls if path.startswith(prefix) and _is_of(path[len(prefix) :], entry["name"])]
                found += began or [prefix + entry["name"]]
        if prefix and name in place.scope.get("output", ()):  # it is what the graph gives
            found += self.consumers(prefix[:-1])
        return list(dict.fromkeys([*found, *self._readers().get(f"${variable}", ())]))

    def _readers(self) -> dict[str, list[str]]:
        """By variable of the run, the calls that code made with it; each call is looked at once."""
        if self._looked_at > len(self.view.made):  # another view
            self._looked_at, self._read_by = 0, {}
        for path, made in islice(self.view.made.items(), self._looked_at, None):
            for reference in made.args.values():
                for word in reference.split(" ") if reference.startswith("$") else ():
                    self._read_by.setdefault(word, []).append(path)
        self._looked_at = len(self.view.made)
        return self._read_by

    # ---------------------------------------------------------------- prompts

    def prompt(self, path: str) -> list[tuple[str, list[Piece]]]:
        """A prompt's messages (role, pieces) with the holes filled as far as values are known; empty for calls of other kinds."""
        entry = self.entry(path)
        if entry is None or "template" not in entry:
            return []
        arguments = {argument.name: argument for argument in self.arguments(path)}
        messages = [("system", entry["system"])] if entry.get("system") else []
        said = [(role, list(_pieces(source, arguments))) for role, source in [*messages, ("user", entry["template"])]]
        return [("system", [Piece(str(entry["role"]))]), *said] if entry.get("role") else said


def _pieces(source: str, arguments: Mapping[str, Argument]) -> Iterator[Piece]:
    try:
        parts = Template.parse(source).parts
    except GraphFault:
        yield Piece(source)
        return
    for part in parts:
        if not isinstance(part, Hole):
            yield Piece(part)
            continue
        argument = arguments.get(part.name)
        text = str(part)
        if argument is not None and argument.value is not UNKNOWN:
            try:
                text = as_text(lookup(argument.value, part.path))
            except (LookupError, TypeError, ValueError):
                text = str(part)
        yield Piece(text, part.name, argument.variables if argument is not None else ())


def _without_parts(path: str) -> str:
    """A path without the element or turn at its end: ``a/b[3]`` is of the call ``a/b``."""
    head, mark, leaf = path.rpartition("/")
    return head + mark + re.sub(r"[\[#?].*\Z", "", leaf)


def _is_of(leaf: str, name: str) -> bool:
    """Whether a call stands at ``name``, or is one of its elements or turns; not what lies inside of those."""
    return leaf == name or (leaf.startswith((name + "[", name + "#")) and "/" not in leaf)
