"""Calls that async code makes while it runs (define-by-run): recorded like a graph's, and found again after a restart."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rookery.core import event as ev
from rookery.core.check import check
from rookery.core.graph import Graph, Param, Ref
from rookery.core.schedule import adopt, offer
from rookery.core.types import name_of
from rookery.core.value import codec, digest
from rookery.core.variable import Variable
from rookery.errors import GraphInvalid, NotSerialisable, VariableMisuse

if TYPE_CHECKING:
    from rookery.engine.run import Run


class LiveScope:
    """The calls made by one executing call, in order.

    A call is known again by its function and arguments, not by its position, so that code which awaits in another order
    after a restart still finds its values.
    """

    def __init__(self, run: Run, path: str) -> None:
        self.run = run
        self.path = path
        self.waiting = 0
        self._known: dict[str, list[str]] | None = None

    def _begin(self) -> dict[str, list[str]]:
        """The calls that an earlier execution of this one made, by the digests of their functions and arguments."""
        self._claimed: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._known = {}
        for made, inputs in self.run.state.made.items():
            if made.rpartition("/")[0] == self.path:
                self._known.setdefault(inputs, []).append(made)
        self.run.hosts(self)
        return self._known

    def make(self, graph: Graph, inputs: Mapping[str, Any]) -> Variable[Any]:
        """Carry out a graph of one call; equal calls of an earlier execution give their recorded values."""
        run, state = self.run, self.run.state
        known = self._known if self._known is not None else self._begin()
        sources = {name: (self._source(variable), variable.type) for name, variable in inputs.items()}
        params = {name: Param(name, type_) for name, (_, type_) in sources.items()}
        inputs_digest = self._digest(graph, {name: f"{source.name}{list(source.path)}" for name, (source, _) in sources.items()})
        recorded = known.get(inputs_digest)  # the first that this execution has not claimed yet
        path = recorded.pop(0) if recorded else self._free(graph.name)
        is_known = path in state.made
        self._claimed.add(path)
        leaf = path.rpartition("/")[2]
        call = replace(graph.call_list[0], name=leaf)
        named = Graph(leaf, inputs=params, calls=[call], output=Ref(leaf), returns=call.type, effects=[leaf])
        faults = check(named)
        if faults:
            raise GraphInvalid(graph.name, faults)
        node = state.nodes.get(path)
        if node is None:
            offer(state, path, named, sources)
            if is_known:
                run.adopted(adopt(state, path))
            else:
                run.post(ev.CallMade(time.time(), path, inputs_digest))
        return self._variable(path, call.type)

    def _source(self, variable: Variable[Any]) -> Ref:
        """Where the value of a variable of this run comes from; the call may not have been stepped yet."""
        state = self.run.state
        if variable.tape is not None or not (variable.name in state.nodes or variable.name in state.offers):
            raise VariableMisuse(f"variable {variable.name} does not belong to this run", hint="await it and pass its value")
        return Ref(variable.name, variable.path)

    def _digest(self, graph: Graph, inputs: Mapping[str, str]) -> str:
        call = graph.call_list[0]
        function = call.function
        parts = [call.kind, getattr(function, "name", ""), call.question, str(call.times), name_of(call.type)]
        for name, source in sorted(call.args.items()):
            parts.append(f"{name}={self._source_text(source, name, function, inputs)}")
        return digest("\x1f".join(parts).encode())

    def _source_text(self, source: Any, name: str, function: Any, inputs: Mapping[str, str]) -> str:
        if isinstance(source, Ref):
            return f"${inputs[source.name.removeprefix('inputs.')]}"
        if hasattr(source, "items") and isinstance(source.items, tuple):
            return f"{source.shape}{source.keys}{[self._source_text(item, name, None, inputs) for item in source.items]}"
        value = source.value
        param = getattr(function, "params", {}).get(name)
        try:
            return codec(param.type if param is not None else type(value)).dump(value).decode()
        except NotSerialisable:
            return repr(value)

    def _free(self, name: str) -> str:
        made, number = self.run.state.made, self._numbers.get(name, 0)
        while True:
            number += 1
            path = f"{self.path}/{name}" if number == 1 else f"{self.path}/{name}~{number}"
            if path not in self._claimed and path not in made:
                self._numbers[name] = number
                return path

    def _variable(self, path: str, type_: Any) -> Variable[Any]:
        variable: Variable[Any] = Variable(None, path, type_)
        variable._wait = lambda: self._wait(path)
        return variable

    def _wait(self, path: str) -> Generator[Any, None, Any]:
        run = self.run
        self.waiting += 1
        run.let_others_in()
        try:
            return (yield from run.value_at(path).__await__())
        finally:
            self.waiting -= 1

