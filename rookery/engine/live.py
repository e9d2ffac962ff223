"""Calls that async code makes while it runs (define-by-run): recorded like a graph's, and found again after a restart."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rookery.core import event as ev
from rookery.core.check import check
from rookery.core.graph import Call, Const, Graph, Param, Ref, Source
from rookery.core.label import NO_LABELS, Labels
from rookery.core.limit import Ledger, Limit
from rookery.core.policy import NO_POLICY, Policy
from rookery.core.schedule import adopt, offer
from rookery.core.spend import NOTHING_SPENT, Confidence, Spend
from rookery.core.state import FAILED
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
        self._told: int | None = None
        self._seen = 0
        self._spends: dict[str, Spend] = {}
        self._sure: dict[str, Confidence] = {}
        self._known: dict[str, list[str]] | None = None

    # ---------------------------------------------------------------- what a search needs besides

    def call(self, function: Any, args: Mapping[str, Any], policy: Policy, *, name: str = "") -> Variable[Any]:
        """Carry out one call of a prompt, tool or graph on known values, under options that hold for every prompt within it.

        The options are part of what the call is known again by: two samples of one question are two calls.
        """
        sources: dict[str, Source] = {key: Const(value) for key, value in args.items()}
        call = Call(name or function.name, function.kind, function.returns, sources, function=function, policy=getattr(function, "policy", NO_POLICY),
                    labels=getattr(function, "labels", NO_LABELS))
        graph = Graph(call.name, inputs={}, calls=[call], output=Ref(call.name), returns=call.type)
        variable = self.make(graph, {}, salt=f"{policy.seed}|{policy.sample}|{policy.temperature}")
        self.run.steering[variable.name] = policy
        return variable

    def cancel(self, call: str) -> None:
        """A call that this code made is no longer wanted; awaiting it raises RunCancelled."""
        node = self.run.state.nodes.get(call)
        if node is None or not (node.done or node.status == FAILED):
            self.run.cancel(call, by=self.path)

    def confidence(self, call: str) -> Confidence | None:
        """How sure models were of a call's value, over all prompts within it; None where no log-probabilities were asked for."""
        return self._booked()[1].get(call)

    def spend(self, call: str) -> Spend:
        """What a call and all calls within it have used."""
        return self._booked()[0].get(call, NOTHING_SPENT)

    def _booked(self) -> tuple[dict[str, Spend], dict[str, Confidence]]:
        """By call of this scope, what it and all within it used and how sure models were; each event is looked at once."""
        history, prefix = self.run.history, self.path + "/"
        while self._seen < len(history):
            event = history[self._seen]
            self._seen += 1
            spend: Spend | None = getattr(event, "spend", None)
            confidence: Confidence | None = getattr(event, "confidence", None)
            if (spend is None or spend is NOTHING_SPENT) and confidence is None:
                continue
            path: str = event.call  # type: ignore[attr-defined]
            if not path.startswith(prefix):
                continue
            call = prefix + path[len(prefix) :].partition("/")[0].partition("[")[0].partition("#")[0]
            if spend is not None:
                self._spends[call] = self._spends.get(call, NOTHING_SPENT) + spend
            if confidence is not None:
                self._sure[call] = self._sure[call] + confidence if call in self._sure else confidence
        return self._spends, self._sure

    @property
    def labels(self) -> Labels:
        """The labels of all that this call read."""
        return self.run.state.labels(self.run.state.nodes[self.path])

    def limit(self, limit: Limit) -> Ledger:
        """Put all calls made from here on under a limit of their own, within the run's; what an earlier process spent counts."""
        return self.run.supply.scope(self.path, limit, sum(self._booked()[0].values(), NOTHING_SPENT))

    @property
    def executed_s(self) -> float:
        """Seconds for which this call has been executed, over all resumptions."""
        total, last = 0.0, None
        for event in self.run.history:
            if isinstance(event, ev.RunResumed):
                last = None
            elif last is not None or getattr(event, "call", "") == self.path:
                total += event.at - last if last is not None else 0.0
                last = event.at
        return total + (max(0.0, time.time() - last) if last is not None else 0.0)

    def grow(self, nodes: list[list[Any]]) -> None:
        """Tell those who watch, and the log, what has become of a search's tree; what an earlier process has told is not told again."""
        if self._told is None:
            self._told = sum(1 for event in self.run.history if isinstance(event, ev.TreeGrown) and event.call == self.path)
        if self._told:
            self._told -= 1
        else:
            self.run.post(ev.TreeGrown(time.time(), self.path, nodes))

    def close(self) -> None:
        """The code has made its last call."""
        self.run.supply.unscope(self.path)

    # ---------------------------------------------------------------- calls, found again

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

    def make(self, graph: Graph, inputs: Mapping[str, Any], *, salt: str = "") -> Variable[Any]:
        """Carry out a graph of one call; equal calls of an earlier execution give their recorded values."""
        run, state = self.run, self.run.state
        known = self._known if self._known is not None else self._begin()
        sources = {name: (self._source(variable), variable.type) for name, variable in inputs.items()}
        params = {name: Param(name, type_) for name, (_, type_) in sources.items()}
        inputs_digest = self._digest(graph, {name: f"{source.name}{list(source.path)}" for name, (source, _) in sources.items()}, salt)
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

    def _digest(self, graph: Graph, inputs: Mapping[str, str], salt: str) -> str:
        call = graph.call_list[0]
        function = call.function
        parts = [call.kind, getattr(function, "name", ""), call.question, str(call.times), name_of(call.type)]
        if salt:
            parts.append(salt)
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

