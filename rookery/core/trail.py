"""Where labels can get to in a graph, followed before anything runs: from inputs and calls to what is held to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rookery.core.graph import Graph, names_in
from rookery.core.label import SECRET, Labels
from rookery.core.passage import Passage, Path, passages
from rookery.core.plan import Plan, Planned, order_of, plan_of

MOST_NESTED = 60
"""Into graphs nested deeper than this nobody looks before the run; there their labels hold all the same."""
Marks = Mapping[str, Path]
"""Of a variable: its labels, and for each the variables that it came through."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """A labelled value that a graph leads to what is held to its label."""

    place: str
    """``calls.send.body``."""
    passage: Passage
    planned: Planned
    """The call."""


def follow(graph: Graph) -> list[Crossing]:
    """All crossings of a graph without faults; found once for each graph."""
    plan = plan_of(graph)
    if plan.crossings is None:
        plan.crossings = _Trail().crossings(graph) if _is_labelled(graph) else []
    return plan.crossings


def _is_labelled(graph: Graph) -> bool:
    """Whether anything at all in a graph, and in those it calls, has a label."""
    seen, stack = {id(graph)}, [graph]
    while stack:
        current = stack.pop()
        plan: Plan = plan_of(current)
        if any(param.labels for param in current.params.values()) or any(planned.labels for planned in plan.calls):
            return True
        for planned in plan.calls:
            inner = planned.call.function
            if isinstance(inner, Graph) and id(inner) not in seen:
                seen.add(id(inner))
                stack.append(inner)
    return False


class _Trail:
    def __init__(self) -> None:
        self.found: dict[str, Crossing] = {}
        self._known: dict[tuple[Any, ...], Marks] = {}

    def crossings(self, graph: Graph) -> list[Crossing]:
        self._walk(graph, {}, {}, "", 0)
        return list(self.found.values())

    def _walk(self, graph: Graph, given: Mapping[str, Marks], choice: Marks, place: str, depth: int) -> Marks:
        """The marks of a graph's output."""
        inputs = {name: _joined([given.get(name, {}), _own(param.labels, f"inputs.{name}")]) for name, param in graph.params.items()}
        key = (id(graph), tuple((name, *sorted(marks)) for name, marks in inputs.items()), *sorted(choice))
        if key in self._known or depth > MOST_NESTED:
            return self._known.get(key) or _joined([*inputs.values(), choice])
        marks: dict[str, Marks] = {f"inputs.{name}": found for name, found in inputs.items()}
        planned = {each.call.name: each for each in plan_of(graph).calls}
        for name in _ordered(graph, planned):
            call = planned[name]
            around = _joined([choice, *(self._condition(planned[guard], marks) for guard, _ in call.guards)])
            marks[name] = self._call(call, marks, around, place, depth)
        self._known[key] = found = _joined(marks[name] for name in names_in(graph.output))
        return found

    def _condition(self, when: Planned, marks: Mapping[str, Marks]) -> Marks:
        return _joined(marks[name] for name in names_in(when.call.args["condition"]))

    def _call(self, planned: Planned, marks: Mapping[str, Marks], choice: Marks, place: str, depth: int) -> Marks:
        call = planned.call
        args = {name: _joined(marks[read] for read in names_in(source)) for name, source in call.args.items()}
        at = f"{place}calls.{call.name}"
        function = call.function
        if isinstance(function, Graph) and call.kind == "loop":
            given = dict(args)
            while True:  # a turn may bring the state labels that it had not before; there are only so many
                state = self._walk(function, given, choice, f"{at}.", depth + 1)
                if not state.keys() - given[call.state].keys():
                    break
                given[call.state] = _joined([given[call.state], state])
            read = _joined([*args.values(), state])
        elif isinstance(function, Graph):
            read = self._walk(function, args, choice, f"{at}.", depth + 1)
        else:
            self._cross(planned.element or planned, args, choice, at)
            read = _joined(args.values())
        drops = (planned.element or planned).drops
        marks_out = _joined([read, choice, _own(planned.labels, call.name)])
        return {label: path if path[-1] == call.name else (*path, call.name) for label, path in marks_out.items() if label not in drops}

    def _cross(self, planned: Planned, args: Mapping[str, Marks], choice: Marks, at: str) -> None:
        if planned.kind == "prompt":
            for name, marks in args.items():
                if SECRET in marks:
                    self._add(f"{at}.{name}", Passage(SECRET, "model:", (*marks[SECRET], planned.call.name), labels=frozenset(marks)), planned)
            return
        if not planned.held:
            return

        def path_of(name: str, label: str) -> Path:
            return (args[name] if name else choice).get(label, ())

        for passage in passages(planned, {name: frozenset(marks) for name, marks in args.items()}, frozenset(choice), path_of):
            argument = passage.sink.partition(".")[2]
            self._add(f"{at}.{argument}" if argument else at, passage, planned)

    def _add(self, place: str, passage: Passage, planned: Planned) -> None:
        self.found.setdefault(f"{place} {passage.label}", Crossing(place, passage, planned))


def _ordered(graph: Graph, planned: Mapping[str, Planned]) -> list[str]:
    """The calls' names, each after all it reads and after the conditions of its branches."""
    order = order_of(graph)
    if not any(call.guards for call in planned.values()):
        return order
    found: dict[str, None] = dict.fromkeys(f"inputs.{name}" for name in graph.params)
    wanted = {
        name: {*planned[name].call.reads(), *(read for guard, _ in planned[name].guards for read in names_in(planned[guard].call.args["condition"]))}
        for name in order
    }
    while order:
        before = len(found)
        for name in order:
            if wanted[name] <= found.keys():
                found[name] = None
        if len(found) == before:
            break
        order = [name for name in order if name not in found]
    return [name for name in found if name in planned]


def _own(labels: Labels, name: str) -> Marks:
    return dict.fromkeys(labels, (name,))


def _joined(parts: Iterable[Marks]) -> Marks:
    found: dict[str, Path] = {}
    for part in parts:
        for label, path in part.items():
            found.setdefault(label, path)
    return found
