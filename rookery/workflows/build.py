"""From the format's data to the graph: names become variables, texts become prompts, and every fault has its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rookery.core.graph import MISSING, Call, Const, Graph, Param, Ref, Source, names_in
from rookery.core.shape import type_of
from rookery.workflows import format as form
from rookery.workflows.document import Node
from rookery.workflows.expression import Formula, read_formula
from rookery.workflows.fault import nearest
from rookery.workflows.scope import Shared
from rookery.workflows.text import Values

IF, DO = ":if", ":do"
"""A guarded call becomes three: ``NAME:if`` tells whether, ``NAME:do`` does, and ``NAME`` is the value or what stands for it."""


@dataclass(slots=True)
class Draft:
    """A call whose names are read and whose types are not known yet."""

    name: str
    spec: form.Call
    path: str
    args: dict[str, Source] = field(default_factory=dict)
    over: tuple[str, ...] = ()
    prompt: Any = None
    """Of a prompt: a PromptText."""
    condition: Formula | None = None
    otherwise: Source | None = None
    more: dict[str, Any] = field(default_factory=dict)
    reads: set[str] = field(default_factory=set)
    """Variables that it reads, as the graph knows them."""


class Builder:
    """Makes one graph: of the workflow, or of one inside it."""

    def __init__(self, shared: Shared, flow: form.Flow, name: str, path: str = "") -> None:
        self.shared = shared
        self.reader = shared.reader
        self.flow = flow
        self.name = name
        self.path = path
        self.params = shared.params(flow.inputs, flow.node.get("inputs"), self._at("inputs"))
        self.variables = {name: f"inputs.{name}" for name in flow.inputs}
        self.types: dict[str, Any] = {f"inputs.{name}": param.type for name, param in self.params.items()}
        block = flow.node.get("calls")
        for name in dict.fromkeys(self._names(block)):
            if name in self.variables:
                key = block.key(name) if block is not None else None
                self.reader.fault(key or flow.node, f"{name} is an input already", self._at(f"calls.{name}"), hint="rename the call", kind="name")
            self.variables[name] = name
        self.values = Values(self.reader, self.variables)

    def _names(self, block: Node | None) -> list[str]:
        """The names of all calls, those that could not be read too, so that references to them are none of the faults."""
        return [key.text for key in block.keys] if block is not None and block.kind == "map" else list(self.flow.calls)

    def _at(self, path: str) -> str:
        return f"{self.path}.{path}" if self.path else path

    # -------------------------------------------------------------- the whole

    def graph(self) -> Graph:
        """The graph; it may have faults."""
        from rookery.workflows.calls import draft, make, typed_source, unknown_call

        drafts = {name: draft(self, name, spec) for name, spec in self.flow.calls.items()}
        made: dict[str, list[Call]] = {}
        for name in _ordered(drafts):
            made[name] = make(self, drafts[name])
            for call in made[name]:
                self.types[call.name] = call.type
        unread = [name for name in self._names(self.flow.node.get("calls")) if name not in drafts and self.variables.get(name) == name]
        made |= {name: [unknown_call(name)] for name in unread}  # what reads them is not at fault
        self.types |= dict.fromkeys(unread, Any)
        node = self.flow.node.get("output") or self.flow.node
        output = self.values.source(node, self._at("output"))
        returns = self._returns(output)
        if self.flow.returns is not None:
            output = typed_source(self.shared, output, Param("output", returns))
        effects = [name for index, name in enumerate(self.flow.effects) if self._is_call(name, index)]
        graph = Graph(
            self.flow.name or self.name, inputs=self.params,
            calls=[call for name in (*drafts, *unread) for call in made.get(name, ())], output=output, returns=returns,
            effects=effects, doc=self.flow.description,
        )  # fmt: skip
        self.shared.origins[id(graph)] = (self.flow, self.reader)
        return graph

    def _returns(self, output: Source) -> Any:
        if self.flow.returns is not None:
            return self.shared.type(self.flow.returns, self.flow.node.get("returns"), self._at("returns"))
        found = type_of(output, self.types)
        return Any if found is MISSING or isinstance(output, Const) else found

    def _is_call(self, name: str, index: int) -> bool:
        if self.variables.get(name) == name:
            return name in self.flow.calls
        block = self.flow.node.get("effects")
        if block is not None and index < len(block.items):
            self.reader.fault(
                block.items[index], f"there is no call {name}", self._at(f"effects[{index}]"), hint=nearest(name, self.flow.calls), kind="reference"
            )
        return False

    # -------------------------------------------------------------- what drafts are made of

    def arguments(self, draft: Draft, given: Mapping[str, Node], over: Mapping[str, Node]) -> None:
        """``with:`` and ``each:`` as sources."""
        for key, nodes in (("with", given), ("each", over)):
            for name, node in nodes.items():
                if name in draft.args:
                    self.reader.fault(node.label or node, f"{name} stands under with: and under each:", f"{draft.path}.{key}.{name}", kind="key")
                draft.args[name] = self.values.source(node, f"{draft.path}.{key}.{name}")
        draft.over = tuple(over)
        for source in draft.args.values():
            draft.reads.update(names_in(source))

    def condition(self, draft: Draft, names: Mapping[str, str] | None = None) -> None:
        """``when:`` and ``otherwise:``."""
        spec = draft.spec
        if spec.when is not None:
            node = spec.node.get("when")
            assert node is not None
            draft.condition = read_formula(spec.when, node, names or self.variables, self.reader, f"{draft.path}.when")
            if draft.condition is not None:
                draft.reads.update(draft.condition.variables)
        if isinstance(spec.otherwise, Node):
            if spec.when is None:
                self.reader.fault(
                    spec.otherwise.label or spec.otherwise,
                    "otherwise: without when:",
                    f"{draft.path}.otherwise",
                    hint="say when: it runs",
                    kind="key",
                )
            draft.otherwise = self.values.source(spec.otherwise, f"{draft.path}.otherwise")
            draft.reads.update(names_in(draft.otherwise))

    def read(self, draft: Draft, key: str) -> Source | None:
        """One more value of a call; None when it is not given."""
        node = getattr(draft.spec, key)
        if not isinstance(node, Node):
            return None
        source = self.values.source(node, f"{draft.path}.{key}")
        draft.reads.update(names_in(source))
        return source

    def type_of(self, source: Source) -> Any:
        """The type of a source; Any where that can't be told."""
        if isinstance(source, Const):
            return type_of_data(source.value)
        found = type_of(source, self.types)
        return Any if found is MISSING else found

    def guarded(self, draft: Draft, call: Call) -> list[Call]:
        """A call under its condition."""
        if draft.condition is None:
            return [call]
        from dataclasses import replace

        from rookery.core.shape import union

        first, condition = self.decided(draft.name, draft.condition, self.types)
        otherwise = draft.otherwise if draft.otherwise is not None else Const(None)
        type_ = union([call.type, self.type_of(otherwise)])
        inner = replace(call, name=draft.name + DO)
        args: dict[str, Source] = {"condition": condition, "then": Ref(inner.name), "otherwise": otherwise}
        return [*first, inner, Call(draft.name, "when", type_, args, labels=call.labels)]

    def decided(self, name: str, formula: Formula, types: Mapping[str, Any], *, suffix: str = IF) -> tuple[list[Call], Source]:
        """The variable that says whether a condition holds, and the call that computes it, if one must."""
        direct = formula.direct(types)
        if direct is not None:
            return [], direct
        condition = formula.condition(types, self.reader, name + suffix)
        args: dict[str, Source] = {name: Ref(variable) for name, variable in formula.names.items()}
        call = Call(name + suffix, "tool", bool, args, function=condition, policy=condition.policy)
        return [call], Ref(call.name)


def type_of_data(value: Any) -> Any:
    """The type of plain data, element types included."""
    from rookery.core.shape import union

    if isinstance(value, list):
        return list[union([type_of_data(item) for item in value])] if value else list[Any]  # type: ignore[misc]
    if isinstance(value, dict):
        return dict[str, union([type_of_data(item) for item in value.values()])] if value else dict[str, Any]  # type: ignore[misc]
    return type(value)


def _ordered(drafts: Mapping[str, Draft]) -> Iterable[str]:
    """Names of drafts, each after those it reads; what lies on a cycle comes last, and the check of the graph says so."""
    readers: dict[str, list[str]] = {name: [] for name in drafts}
    missing: dict[str, int] = {}
    for name, draft in drafts.items():
        reads = {read for read in draft.reads if read in readers}
        missing[name] = len(reads)
        for read in reads:
            readers[read].append(name)
    ready = [name for name, count in missing.items() if not count]
    for name in ready:  # grows while it is walked
        for reader in readers[name]:
            missing[reader] -= 1
            if not missing[reader]:
                ready.append(reader)
    done = set(ready)
    return [*ready, *(name for name in drafts if name not in done)]
