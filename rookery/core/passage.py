"""Where a labelled value may not go unless a policy clears it, what such a policy is, and the calls that take a label off a value.

What is held (the model of Denning, CACM 19(5) 1976, with CaMeL's idea, arXiv 2503.18813, that a program handles what it does not look at):
a tool with effects is not called on, or because of, what is ``untrusted``; what is ``secret`` goes to no tool that reaches out of this
machine, to no model that is elsewhere, and into no memory. Other labels are carried and shown, and stop nothing by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from rookery.core.function import Tool
from rookery.core.graph import MISSING, Call, Kind, Param
from rookery.core.label import NO_LABELS, SECRET, UNTRUSTED, Labels
from rookery.core.tape import record
from rookery.core.variable import Variable, type_with_variables

if TYPE_CHECKING:
    from rookery.core.plan import Planned

Path = tuple[str, ...]
"""The variables that a value was made from, from its source to where it is: ``("inputs.key", "draft")``."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A value that would go where its label keeps it from."""

    label: str
    """``untrusted``, ``secret``, or the ``memory:…`` of a scope."""
    sink: str
    """``send_mail.body`` for a tool's argument, ``send_mail`` for its being called at all, ``model:NAME``, ``memory:SCOPE``."""
    path: Path = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """For a tool: all that it would be called with; empty while a graph is only being checked."""
    labels: Labels = NO_LABELS
    """All labels of the value."""

    @property
    def value(self) -> Any:
        """The argument itself; MISSING where the sink is none or its value is not known yet."""
        return self.arguments.get(self.sink.partition(".")[2], MISSING)

    @property
    def text(self) -> str:
        """``secret: inputs.key → draft → send_mail.body``."""
        return f"{self.label}: {' → '.join((*self.path, self.sink))}"


@dataclass(frozen=True, slots=True)
class Clearance:
    """Says which passages are cleared; joined by ``|`` (either), ``&`` (both) and ``~`` (not)."""

    test: Callable[[Passage], bool]
    late: bool = False
    """It looks at values, so nothing can be said before the run."""

    def __call__(self, passage: Passage) -> bool:
        return self.test(passage)

    def __or__(self, other: Clearance) -> Clearance:
        return Clearance(lambda passage: self(passage) or other(passage), self.late or other.late)

    def __and__(self, other: Clearance) -> Clearance:
        return Clearance(lambda passage: self(passage) and other(passage), self.late or other.late)

    def __invert__(self) -> Clearance:
        return Clearance(lambda passage: not self(passage), self.late)


clear_none = Clearance(lambda passage: False)
"""Nothing is cleared (the default)."""
clear_all = Clearance(lambda passage: True)
"""Everything is: labels are carried, and nothing is held to them."""


def clear(label: str, *sinks: str) -> Clearance:
    """Values with a label may go to these sinks, patterns as in fnmatch: ``clear("untrusted", "notes_*", "send_mail.body")``.

    ``notes_*`` covers a tool's being called and all its arguments; ``send_mail.body`` only this argument, so that with ``send_mail`` to be
    cleared for being called, the others must still be trusted. Without sinks: anywhere.
    """
    wanted = sinks or ("*",)

    def test(passage: Passage) -> bool:
        return fnmatchcase(passage.label, label) and any(_covers(pattern, passage.sink) for pattern in wanted)

    return Clearance(test)


def _covers(pattern: str, sink: str) -> bool:
    return fnmatchcase(sink, pattern) or (sink.partition(":")[0] not in ("model", "memory") and pattern.endswith("*") and
                                          fnmatchcase(sink.partition(".")[0], pattern))


def clear_if(test: Callable[[Passage], bool]) -> Clearance:
    """Passages that pass a test, which may look at ``passage.value`` and ``passage.arguments``; joined with ``&`` to those it is meant for."""
    return Clearance(test, late=True)


# -------------------------------------------------------------------- what a call of a tool or prompt is held to


def held(planned: Planned) -> Labels:
    """The labels that keep values from a call: those of a tool with effects, or that reaches out of this machine, or has said so."""
    function = planned.call.function
    if planned.kind == "prompt":
        return frozenset({SECRET})
    if not isinstance(function, Tool):
        return NO_LABELS
    labels = NO_LABELS
    if function.effect and not function.asks:
        labels = labels | {UNTRUSTED}
    if (function.effect or function.outside) and not function.asks:
        labels = labels | {SECRET}
    return labels - function.clears


def passages(
    planned: Planned, given: Mapping[str, Labels], choice: Labels, path_of: Callable[[str, str], Path], arguments: Mapping[str, Any] | None = None,
    held: Labels | None = None,
) -> list[Passage]:
    """What of a tool's call is not cleared by the tool itself.

    ``given`` has the labels by argument, ``choice`` those of what decided that the call is made; ``path_of(argument, label)`` tells where a
    label came from; ``held`` stands in place of what the tool is held to. An argument whose parameter carries the label in its annotation takes
    such values.
    """
    tool, wanted = planned.call.function, planned.held if held is None else held
    found = []
    for label in sorted(wanted & choice):
        found.append(Passage(label, tool.name, path_of("", label), arguments or {}, choice))
    for name, labels in given.items():
        takes = tool.params[name].labels if name in tool.params else NO_LABELS
        for label in sorted((wanted & labels) - takes):
            found.append(Passage(label, f"{tool.name}.{name}", path_of(name, label), arguments or {}, labels))
    return found


# -------------------------------------------------------------------- taking a label off


def endorse(value: Any, why: str) -> Any:
    """The same value, trusted from here on: gives a Variable. ``why`` stands in the log with the value.

    For a value that the program has checked: a member of an enumeration, a number in its range, a text that a person has seen.
    """
    return _without(UNTRUSTED, "endorse", value, why)


def declassify(value: Any, why: str) -> Any:
    """The same value, no longer secret: gives a Variable. From here on it is logged as it is, with ``why``."""
    return _without(SECRET, "declassify", value, why)


def _without(label: str, name: str, value: Any, why: str) -> Variable[Any]:
    if not isinstance(why, str) or not why.strip():
        raise TypeError(f"{name}() needs a reason: {name}(value, 'a number between 1 and 5')")
    type_ = type_with_variables(value)

    async def same(value: Any, why: str) -> Any:
        return value

    params = {"value": Param("value", type_), "why": Param("why", str)}
    function: Tool[..., Any] = Tool(same, name=name, drops=frozenset({label}), signature=(params, type_))
    kind: Kind = "tool"
    return record(name, {"value": value, "why": why}, lambda called, sources: Call(called, kind, type_, sources, function=function))
