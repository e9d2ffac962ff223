"""Calls that async code makes while it runs (define-by-run): recorded like a graph's, and found again after a restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from rookery.core import event as ev
from rookery.core.check import check
from rookery.core.graph import Call, Const, Graph, Param, Ref, Source, names_in
from rookery.core.label import NO_LABELS, SECRET, Labels
from rookery.core.limit import Ledger, Limit, Worst
from rookery.core.passage import Passage
from rookery.core.policy import NO_POLICY, Policy
from rookery.core.schedule import adopt, offer
from rookery.core.spend import NOTHING_SPENT, Confidence, Spend
from rookery.core.state import FAILED, enclosing
from rookery.core.types import name_of
from rookery.core.value import codec, digest
from rookery.core.variable import Variable
from rookery.engine.begin import describe
from rookery.engine.held import ensure, of_call, of_failure, source_of
from rookery.errors import GraphInvalid, LimitReached, NotSerialisable, ParseFailed, VariableMisuse

if TYPE_CHECKING:
    from rookery.engine.run import Run


Sources = dict[str, tuple[Ref | Const, Any]]
"""By parameter, where a value comes from, and its type."""
LEAST_S = 0.05
"""With fewer processor seconds than this no sandbox is begun."""
FORMS = 256
"""So many functions of a run have the graphs of their calls kept."""


class LiveScope:
    """The calls made by one executing call, in order.

    A call is known again by its function and arguments, not by its position, so that code which awaits in another order
    after a restart still finds its values.
    """

    waiting: int = 0
    """How many of its calls its code waits for; these defaults stand in the class, for every async tool has a scope and few use theirs."""
    _known: dict[str, list[str]] | None = None
    _books: tuple[dict[str, Spend], dict[str, Confidence]] | None = None
    _told: int | None = None
    _labels: Labels | None = None

    def __init__(self, run: Run, path: str) -> None:
        self.run = run
        self.path = path
        if run.seen:
            run.seen.pop(path, None)  # of an earlier attempt
        self._seen = self._first = 0 if path in run.state.hosted else len(run.history)
        """From which event on the log may speak of this code's calls: of a first execution from now on."""

    # ---------------------------------------------------------------- what a search needs besides

    def call(self, function: Any, args: Mapping[str, Any], policy: Policy, *, name: str = "") -> str:
        """Carry out one call of a prompt, tool or graph on known values, under options that hold for every prompt within it; its path.

        The options are part of what the call is known again by: two samples of one question are two calls.
        """
        sources: dict[str, Source] = {key: Const(value) for key, value in args.items()}
        call = Call(name or function.name, function.kind, function.returns, sources, function=function, policy=getattr(function, "policy", NO_POLICY),
                    labels=getattr(function, "labels", NO_LABELS))
        variable = self._made(call, {}, f"{policy.seed}|{policy.sample}|{policy.temperature}")
        if call.kind != "tool" or function.is_async:  # there may be prompts in it
            self.run.steering[variable.name] = policy
        return variable.name

    def value(self, call: str) -> asyncio.Future[Any]:
        """The value of a call that this code made."""
        future = self.run.value_at(call)
        future.add_done_callback(lambda _: self._looked(call))
        return future

    async def landed(self, future: asyncio.Future[Any], timeout_s: float | None) -> bool:
        """Wait for one of this code's calls; False when ``timeout_s`` is over first."""
        self.waiting += 1
        self.run.let_others_in()
        try:
            done, _ = await asyncio.wait({future}, timeout=timeout_s)
            return bool(done)
        finally:
            self.waiting -= 1

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

    def lasted(self, call: str) -> float:
        """Seconds from the first to the last thing that happened to a call or within it; 0.0 for one that has not begun."""
        within = call + "/"
        at = [event.at for event in islice(self.run.history, self._first, None)
              if (path := getattr(event, "call", "")) == call or path.startswith(within)]  # fmt: skip
        return max(at) - min(at) if at else 0.0

    def _booked(self) -> tuple[dict[str, Spend], dict[str, Confidence]]:
        """By call of this scope, what it and all within it used and how sure models were; each event is looked at once."""
        if self._books is None:
            self._books = {}, {}
        spends, sure = self._books
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
                spends[call] = spends.get(call, NOTHING_SPENT) + spend
            if confidence is not None:
                sure[call] = sure[call] + confidence if call in sure else confidence
        return spends, sure

    @property
    def labels(self) -> Labels:
        """The labels of all that this call's code has been given and has looked at; every call that it makes carries them."""
        if self._labels is None:
            node = self.run.state.nodes.get(self.path)
            read = self.run.state.read(node) if node is not None else NO_LABELS
            self._labels = read | frozenset(self.run.seen.get(self.path, ()))
        return self._labels

    @property
    def argument_labels(self) -> dict[str, Labels]:
        """The labels of the arguments of the call whose code this is."""
        return self.run.state.given(self.run.state.nodes[self.path])

    def uncleared(self, held: Labels) -> list[Passage]:
        """The passages of this call that nobody has cleared, were it held to these labels."""
        passages = of_call(self.run, self.run.state.nodes[self.path], held)
        return [passage for passage in passages if not self.run.options.clearance(passage)]

    def saw(self, labels: Labels, source: str) -> None:
        """The code has looked at something with these labels; ``source`` is a variable, or whatever else it came from."""
        if labels:
            seen = self.run.seen.setdefault(self.path, {})
            for label in labels - seen.keys():
                seen[label] = source
            self._labels = None

    def hold(self, labels: Labels, sink: str) -> None:
        """Raises FlowRefused for the first of these labels that is not cleared for a sink."""
        for label in sorted(labels):
            ensure(self.run, Passage(label, sink, source_of(self.run, f"{self.path}/", label), labels=self.labels), self.path)

    def _looked(self, call: str) -> None:
        """The code has looked at what came of a call: its value, or how it failed."""
        node = self.run.state.nodes.get(call)
        if node is not None and (node.labels or not node.done):
            self.saw(node.labels if node.done else of_failure(self.run, call), call)

    def limit(self, limit: Limit) -> Ledger:
        """Put all calls made from here on under a limit of their own, within the run's; what an earlier process spent counts."""
        return self.run.supply.scope(self.path, limit, sum(self._booked()[0].values(), NOTHING_SPENT))

    @property
    def executed_s(self) -> float:
        """Seconds for which this call has been executed, over all resumptions."""
        total, last = 0.0, None
        for event in islice(self.run.history, self._first, None):
            if isinstance(event, ev.RunResumed):
                last = None
            elif last is not None or getattr(event, "call", "") == self.path:
                total += event.at - last if last is not None else 0.0
                last = event.at
        return total + (max(0.0, time.time() - last) if last is not None else 0.0)

    def grow(self, nodes: list[list[Any]]) -> None:
        """Tell those who watch, and the log, what has become of a search's tree; what an earlier process has told is not told again."""
        if self._told is None:
            known = islice(self.run.history, self._first, None)
            self._told = sum(1 for event in known if isinstance(event, ev.TreeGrown) and event.call == self.path)
        if self._told:
            self._told -= 1
        else:
            self.run.post(ev.TreeGrown(time.time(), self.path, nodes))

    async def sandbox(self, cpu_s: float) -> float:
        """Set processor seconds in a sandbox aside: as many of ``cpu_s`` as the limits in force leave; give them back by ``sandbox_used``.

        Waits while others may still give some back. Raises LimitReached when nothing is left.
        """
        supply = self.run.supply
        ledger = supply.ledger_of(self.path)
        while ledger is not None:
            room = ledger.room_sandbox_s()
            wanted = cpu_s if room is None else min(cpu_s, room)
            if room is not None and wanted < LEAST_S:
                cap = min(ledger.caps("sandbox_seconds"))
                told = f"sandbox_seconds: {cap - room:.1f} of {cap:g} s are spent"
                raise LimitReached(told, what="sandbox_seconds", call=self.path, run=self.run.id, hint="raise the limit and resume")
            if ledger.reserve(Worst(calls=0, sandbox_s=wanted)) is None:
                return wanted
            await supply.settled()
        return cpu_s

    def sandbox_used(self, reserved_s: float, used_s: float) -> None:
        """Book what a sandbox used of what was set aside for it."""
        spend = Spend(sandbox_s=used_s)
        self.run.supply.settle(self.run.supply.ledger_of(self.path), Worst(calls=0, sandbox_s=reserved_s), spend)
        self.run.used[self.path] = self.run.used.get(self.path, NOTHING_SPENT) + spend

    def gate(self, gate: Callable[[Any], Any]) -> None:
        """Put all with effects that is called from here on within this call, however deep, behind a gate: ``gate(tool)`` stands in its
        place, or raises. Of several gates around a call the inmost holds."""
        self.run.gates[self.path] = gate

    def close(self) -> None:
        """The code has made its last call."""
        self.run.supply.unscope(self.path)
        self.run.gates.pop(self.path, None)

    # ---------------------------------------------------------------- calls, found again

    def _begin(self) -> dict[str, list[str]]:
        """The calls that an earlier execution of this one made, by the digests of their functions and arguments."""
        self._claimed: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._known = {}
        made = self.run.state.made
        for path in self.run.state.hosted.get(self.path, ()):
            self._known.setdefault(made[path], []).append(path)
        self.run.hosts(self)
        return self._known

    def make(self, graph: Graph, inputs: Mapping[str, Any]) -> Variable[Any]:
        """Carry out a graph of one call; equal calls of an earlier execution give their recorded values."""
        sources: Sources = {name: (self._source(variable), variable.type) for name, variable in inputs.items()}
        return self._made(graph.call_list[0], sources, "")

    def _made(self, call: Call, sources: Sources, salt: str) -> Variable[Any]:
        run, state = self.run, self.run.state
        if run.gates and getattr(call.function, "effect", False):
            call = self._behind_gate(call)
        known = self._known if self._known is not None else self._begin()
        inputs_digest = self._digest(call, sources, salt)
        recorded = known.get(inputs_digest)  # the first that this execution has not claimed yet
        path = recorded.pop(0) if recorded else self._free(call.name)
        self._claimed.add(path)
        if self.labels:
            state.taints[path] = self.labels
        graph, wanted = self._shared(call) or self._own(call, path.rpartition("/")[2], sources)
        if path not in state.nodes:
            offer(state, path, graph, wanted)
            if path in state.made:
                run.adopted(adopt(state, path))
            else:
                run.post(ev.CallMade(time.time(), path, inputs_digest, self._form(call), self._arguments(call, sources)))
        return self._variable(path, call.type)

    def _behind_gate(self, call: Call) -> Call:
        """A call of a tool with effects as the inmost gate around it lets it be made; what a gate calls itself is through."""
        host = self.run.state.nodes.get(self.path)
        if getattr(call.function, "asks", False) or (host is not None and getattr(host.plan.call.function, "asks", False)):
            return call
        gate = next((self.run.gates[path] for path in enclosing(self.path) if path in self.run.gates), None)
        return call if gate is None else replace(call, function=gate(call.function), policy=NO_POLICY)

    def _form(self, call: Call) -> str:
        """Reference of what is called, for readers of the log; a function is described once for each run."""
        forms, function = self.run.described, call.function
        known = forms.get((id(function), call.kind, call.over))
        if known is None:
            if len(forms) >= FORMS:
                forms.clear()
            bare = replace(call, args={})
            description = describe(Graph(call.name, inputs={}, calls=[bare], output=Ref(call.name), returns=call.type))
            known = forms[id(function), call.kind, call.over] = function, self.run.state.writer.store(codec(dict[str, Any]).dump(description))
        return known[1]

    def _arguments(self, call: Call, sources: Sources) -> dict[str, str]:
        """The arguments of a call for readers of the log: references, ``$PATH`` for variables of the run, ``!`` for what is secret."""
        state = self.run.state
        if SECRET in self.labels:
            return dict.fromkeys(call.args, "!")
        params: Mapping[str, Param] = getattr(call.function, "params", {})
        found: dict[str, str] = {}
        for name, source in call.args.items():
            param = params.get(name)
            if param is not None and SECRET in param.labels:
                found[name] = "!"
            elif isinstance(source, Const):
                with suppress(NotSerialisable):  # as in its digest: it is then known by its text alone
                    found[name] = state.writer.write(source.value, codec(param.type if param is not None else type(source.value)))
            else:
                found[name] = " ".join(f"${self._place(read, sources)}" for read in names_in(source))
        return found

    @staticmethod
    def _place(name: str, sources: Sources) -> str:
        source = sources.get(name.removeprefix("inputs."), (None, None))[0]
        return source.name if isinstance(source, Ref) else name

    def _own(self, call: Call, leaf: str, sources: Sources) -> tuple[Graph, Sources]:
        """A graph of this one call alone. Raises GraphInvalid."""
        params = {name: Param(name, type_) for name, (_, type_) in sources.items()}
        call = replace(call, name=leaf)
        graph = Graph(leaf, inputs=params, calls=[call], output=Ref(leaf), returns=call.type, effects=[leaf])
        faults = check(graph)
        if faults:
            raise GraphInvalid(leaf, faults)
        return graph, sources

    def _shared(self, call: Call) -> tuple[Graph, Sources] | None:
        """The commonest call, a function on known values, as a graph that all such calls share: checked and planned once.

        None for all others, and for values that do not fit, which are told when the call is checked by itself.
        """
        function = call.function
        if call.kind not in ("prompt", "tool", "program", "graph") or not all(type(source) is Const for source in call.args.values()):
            return None
        forms = self.run.forms
        key = (id(function), call.kind, call.type is function.returns, *call.args)
        graph = forms.get(key)
        if graph is None:
            if len(forms) >= FORMS or any(name not in function.params for name in call.args):
                return None
            params = {name: Param(name, function.params[name].type) for name in call.args}
            shared = replace(call, args={name: Ref(f"inputs.{name}") for name in call.args})
            graph = Graph(call.name, inputs=params, calls=[shared], output=Ref(call.name), returns=call.type, effects=[call.name])
            if check(graph):
                return None
            forms[key] = graph
        wanted: Sources = {}
        try:
            for name, source in call.args.items():
                type_ = graph.params[name].type
                wanted[name] = Const(codec(type_).validate(source.value)), type_  # type: ignore[union-attr]
        except ParseFailed:
            return None
        return graph, wanted

    def _source(self, variable: Variable[Any]) -> Ref:
        """Where the value of a variable of this run comes from; the call may not have been stepped yet."""
        state = self.run.state
        if variable.tape is not None or not (variable.name in state.nodes or variable.name in state.offers):
            raise VariableMisuse(f"variable {variable.name} does not belong to this run", hint="await it and pass its value")
        return Ref(variable.name, variable.path)

    def _digest(self, call: Call, sources: Sources, salt: str) -> str:
        function = call.function
        is_secret = SECRET in self.labels
        inputs = {name: f"{source.name}{list(source.path)}" for name, (source, _) in sources.items() if isinstance(source, Ref)}
        parts = [call.kind, getattr(function, "name", ""), call.question, str(call.times), name_of(call.type)]
        if salt:
            parts.append(salt)
        for name, source in sorted(call.args.items()):
            param = getattr(function, "params", {}).get(name)
            hidden = is_secret or (param is not None and SECRET in param.labels)
            parts.append(f"{name}={'!' if hidden and isinstance(source, Const) else self._source_text(source, name, function, inputs)}")
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
            self._looked(path)

