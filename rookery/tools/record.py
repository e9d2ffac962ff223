"""What a library keeps of a tool: its source, what it takes and gives, the calls that prove it, how it did, and how far it is trusted."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

State = Literal["candidate", "verified", "trusted", "retired"]
"""``candidate``: nothing is shown. ``verified``: it gives what its stored calls say. ``trusted``: also on calls that its author had not
seen. ``retired``: kept to be read, no longer found."""
STATES: tuple[State, ...] = ("candidate", "verified", "trusted", "retired")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-/]{0,127}")
"""What a tool may be called; those of servers are qualified with the server's name (``github.search``)."""
MAX_QUESTIONS = 50
RECENT = 20
"""So many of its last calls decide whether a tool still does what it did."""


@dataclass(frozen=True, slots=True)
class Example:
    """One call of a tool and what must come of it, as JSON data."""

    arguments: Mapping[str, Any]
    value: Any = None
    """What the call must give; not looked at when ``check`` is set."""
    check: str = ""
    """Python source of ``def check(value, …)`` with the arguments' names, for calls with many right values: it must give True."""
    seen: bool = True
    """Whether the tool's author could see it. Only calls that were held back make a tool trusted."""


@dataclass(frozen=True, slots=True)
class Use:
    """What came of a tool's calls, and of the tasks that it was offered for."""

    calls: int = 0
    successes: int = 0
    recent: str = ""
    """The last calls, oldest first: ``+`` or ``-``."""
    with_it: tuple[int, int] = (0, 0)
    """Tasks in which it was used: solved, and all."""
    without_it: tuple[int, int] = (0, 0)
    """Tasks for which it was offered and in which it was not used: solved, and all."""

    @property
    def lift(self) -> float | None:
        """How much more often tasks were solved with it than without it, from -1 to 1; None before there are both."""
        (solved, tasks), (others, rest) = self.with_it, self.without_it
        return solved / tasks - others / rest if tasks and rest else None

    def after_call(self, ok: bool) -> Use:
        recent = (self.recent + ("+" if ok else "-"))[-RECENT:]
        return replace(self, calls=self.calls + 1, successes=self.successes + ok, recent=recent)

    def after_task(self, *, used: bool, solved: bool) -> Use:
        if used:
            return replace(self, with_it=(self.with_it[0] + solved, self.with_it[1] + 1))
        return replace(self, without_it=(self.without_it[0] + solved, self.without_it[1] + 1))

    @property
    def has_drifted(self) -> bool:
        """Whether its last calls fail clearly more often than a tool may: 5 of the last 20, and 3 of the last 5."""
        return self.recent.count("-") >= 5 and self.recent[-5:].count("-") >= 3


@dataclass(frozen=True, slots=True)
class ToolRecord:
    """One version of a tool, as the library keeps it. Records do not change; a change makes a new one."""

    name: str
    source: str = ""
    """Python source with the function of this name in it; empty for tools of servers and others that have none."""
    doc: str = ""
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """JSON Schema of each parameter; those with a ``default`` may be left out."""
    returns: Mapping[str, Any] = field(default_factory=dict)
    """JSON Schema of what it gives."""
    origin: str = ""
    """Where it comes from: ``module:name``, ``source``, ``grown: PROBLEM``, a server."""
    questions: tuple[str, ...] = ()
    """Tasks that it has served, the one it was made for first; it is found by them. The last MAX_QUESTIONS are kept."""
    version: int = 1
    number: int = 0
    """Its place in the order of admission. Prompts list tools in this order, so that what they begin with stays the same."""
    state: State = "candidate"
    why: str = ""
    """Why it is in this state."""
    examples: tuple[Example, ...] = ()
    use: Use = Use()
    labels: frozenset[str] = frozenset()
    effect: bool = False

    @property
    def is_offered(self) -> bool:
        """Whether searches find it: all but retired ones, and those whose proof failed."""
        return self.state in ("verified", "trusted") or (self.state == "candidate" and not self.why)

    def serving(self, question: str) -> ToolRecord:
        """The record with one more task that it has served."""
        if not question or question in self.questions:
            return self
        first, rest = self.questions[:1], self.questions[1:]
        return replace(self, questions=(*first, *[*rest, question][-(MAX_QUESTIONS - 1) :]) if first else (question,))

    @property
    def hash(self) -> str:
        """64 hex digits of what the tool is: name, source, signature, stored calls; not of how it did."""
        calls = [plain_example(example) for example in self.examples]
        return sha256(json.dumps([self.name, self.source, self.doc, self.params, self.returns, calls], sort_keys=True))

    @property
    def signature(self) -> str:
        """One line: ``name(x: int, y: list[int] = …) -> int``, with JSON Schema's names where Python's are not known."""
        parts = [
            f"{name}: {type_text(schema)}" + (f" = {json.dumps(schema['default'])}" if "default" in schema else "")
            for name, schema in self.params.items()
        ]
        return f"{self.name}({', '.join(parts)}) -> {type_text(self.returns)}"


@dataclass(frozen=True, slots=True)
class Alias:
    """The name of a tool that was merged into another, and how its calls are made there."""

    name: str
    survivor: str
    arguments: Mapping[str, str]
    """From the dropped tool's parameters to the survivor's."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What the dropped tool's parameters are when they are not given."""

    def translated(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The same call as the survivor takes it; unknown names stay, so that they are refused there."""
        return {self.arguments.get(name, name): value for name, value in {**self.defaults, **arguments}.items()}


def sha256(data: str | bytes) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def plain_example(example: Example) -> dict[str, Any]:
    """An example as JSON data; what has its default is left out."""
    plain: dict[str, Any] = {"arguments": dict(example.arguments)}
    if example.check:
        plain["check"] = example.check
    else:
        plain["value"] = example.value
    return plain if example.seen else {**plain, "seen": False}


def type_text(schema: Mapping[str, Any]) -> str:
    """A JSON Schema as a short Python type: ``list[int]``, ``str | None``."""
    if "enum" in schema or "const" in schema:
        return f"Literal[{', '.join(map(repr, schema.get('enum', [schema.get('const')])))}]"
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return " | ".join(dict.fromkeys(map(type_text, options)))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(type_text({**schema, "type": one}) for one in kind)
    if kind == "array":
        return _array_text(schema)
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"dict[str, {type_text(values)}]" if isinstance(values, Mapping) else "dict"
    plain = {"integer": "int", "number": "float", "string": "str", "boolean": "bool", "null": "None"}
    return plain.get(str(kind), "Any")


def _array_text(schema: Mapping[str, Any]) -> str:
    items: Sequence[Mapping[str, Any]] | None = schema.get("prefixItems")
    if items:
        return f"tuple[{', '.join(map(type_text, items))}]"
    inner = schema.get("items")
    return f"list[{type_text(inner)}]" if isinstance(inner, Mapping) and inner else "list"
