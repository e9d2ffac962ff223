"""Holding calls to the labels of what they read: what is refused before a run begins, what is refused as it goes, and what is not told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rookery.core.event import Fault
from rookery.core.graph import Graph
from rookery.core.label import NO_LABELS, SECRET, UNTRUSTED, Labels, join
from rookery.core.passage import Passage, Path, passages
from rookery.core.rebuild import host_of
from rookery.core.state import Node, Slot, State, enclosing
from rookery.core.trail import Crossing, follow
from rookery.engine.attempt import fault_of
from rookery.errors import FlowRefused, GraphFault, GraphInvalid, LoopExhausted, RookeryError, RunError

if TYPE_CHECKING:
    from rookery.engine.begin import Options
    from rookery.engine.run import Run
    from rookery.models.model import Model

LONGEST = 12
"""A path tells so many variables at most."""
TELLING = (RunError, FlowRefused, LoopExhausted)
"""Errors whose words are our own, and have nothing in them of what a call read."""
_SAID_NOTHING = "what it said is not told, since the call reads a secret"


def ensure_clear(graph: Graph, options: Options) -> None:
    """Raises GraphInvalid where a graph leads a labelled value to what is held to its label, with the path of each."""
    faults = []
    for crossing in follow(graph):
        passage = _resolved(crossing, options)
        if passage is not None and not options.clearance.late and not options.clearance(passage):
            faults.append(GraphFault(crossing.place, passage.text, hint=_hint(passage), kind="flow"))
    if faults:
        raise GraphInvalid(graph.name, faults)


def _resolved(crossing: Crossing, options: Options) -> Passage | None:
    """A passage as it will be; None for a prompt whose model is not known yet, or may see it."""
    if crossing.planned.kind != "prompt":
        return crossing.passage
    policy = crossing.planned.call.policy
    model = policy.model or options.policy.model or options.model
    if policy.fallback or options.policy.fallback or not hasattr(model, "capabilities") or model.capabilities.is_local:
        return None
    found = crossing.passage
    return Passage(found.label, f"model:{model.capabilities.name}", found.path, labels=found.labels)


def hold(run: Run, node: Node, model: Model | None = None) -> None:
    """Raises FlowRefused when a call that is about to be carried out would take a value where its label keeps it from."""
    state = run.state
    if not node.plan.held & state.read(node):
        return
    for passage in _to_model(run, node, model) if model is not None else of_call(run, node):
        ensure(run, passage, node.path)


def ensure(run: Run, passage: Passage, call: str) -> None:
    """Raises FlowRefused when a passage is not cleared."""
    if not run.options.clearance(passage):
        raise FlowRefused(
            f"{passage.text} is not cleared", call=call, label=passage.label, sink=passage.sink, path=passage.path, hint=_hint(passage)
        )


def of_call(run: Run, node: Node, held: Labels | None = None) -> list[Passage]:
    """The passages of a tool's call; of all these labels, where ``held`` says which."""
    state = run.state
    try:
        arguments = state.arguments(node)
    except RookeryError:  # they do not fit: the call will say so itself
        arguments = {}
    plan = node.plan
    slots = dict(zip(plan.names, node.deps, strict=False))

    def path_of(name: str, label: str) -> Path:
        return trail(run, slots[name], label) if name in slots and label in slots[name].labels else source_of(run, node.path, label)

    return passages(plan, state.given(node), state.choice(node.path), path_of, arguments, held)


def _to_model(run: Run, node: Node, model: Model) -> list[Passage]:
    if model.capabilities.is_local:
        return []
    labels = run.state.read(node)
    found = next((slot for slot in node.deps if SECRET in slot.labels), None)
    path = trail(run, found, SECRET) if found is not None else source_of(run, node.path, SECRET)
    return [Passage(SECRET, f"model:{model.capabilities.name}", (*path, node.path), labels=labels)]


def _hint(passage: Passage) -> str:
    if passage.label == UNTRUSTED:
        tool = passage.sink.partition(".")[0]
        return f"gated({tool}) asks a person; endorse(value, why) where the program has checked it; clearance=clear('untrusted', '{passage.sink}')"
    if passage.sink.startswith("model:"):
        return f"ask a model on this machine; declassify(value, why); or clearance=clear('secret', '{passage.sink}')"
    return f"declassify(value, why) what may be known; or clearance=clear({passage.label!r}, '{passage.sink}')"


# ------------------------------------------------------------------ where a label came from


def trail(run: Run, slot: Slot, label: str) -> Path:
    """The variables that brought a label to a variable, the first one first."""
    found = [slot.path]
    state = run.state
    while len(found) < LONGEST:
        before = _before(run, state, slot, label)
        if before is None:
            break
        if isinstance(before, str):
            found.append(before)
            node = state.nodes.get(before)
            if node is None:
                break
            slot = node
            continue
        slot = before
        if slot.path != found[-1]:
            found.append(slot.path)
    return tuple(reversed(found))


def _before(run: Run, state: State, slot: Slot, label: str) -> Slot | str | None:
    if isinstance(slot, Node):
        for dep in slot.deps:
            if label in dep.labels:
                return dep
        looked = run.seen.get(slot.path, {}).get(label)
        if looked is not None or label in slot.plan.labels:
            return looked
    return _seen_by(run, host_of(slot.path), label)


def source_of(run: Run, path: str, label: str) -> Path:
    """The variables that brought a label to the code that made a call."""
    found = _seen_by(run, host_of(path), label)
    if found is None:
        condition = next((place for place in enclosing(path) if label in run.state.branches.get(place, NO_LABELS)), "")
        return (f"the condition of {condition}",) if condition else ()
    node = run.state.nodes.get(found)
    return trail(run, node, label) if node is not None else (found,)


def _seen_by(run: Run, host: str, label: str) -> str | None:
    """What brought a label to code: something that it looked at, or one of its arguments."""
    for place in enclosing(host) if host else ():
        source = run.seen.get(place, {}).get(label)
        if source is not None:
            return source
        node = run.state.nodes.get(place)
        if node is not None:
            found = next((slot.path for slot in node.deps if label in slot.labels), None)
            if found is not None and found in run.state.nodes:
                return found
            if found is not None and not found.startswith(place):
                return found
    return None


# ------------------------------------------------------------------ what code has seen, what is told


def of_failure(run: Run, path: str) -> Labels:
    """The labels of what a failed call may say in its error."""
    state = run.state
    found = [state.nodes[place] for place in {path, run.view.failed_under(path)} if place in state.nodes]
    return join([*(state.labels(node) for node in found), *(frozenset(run.seen.get(node.path, ())) for node in found)])


def fault_told(run: Run, node: Node, error: BaseException) -> Fault:
    """A call's error as it stands in the log: without its words where they may have a secret in them."""
    fault = fault_of(error)
    if isinstance(error, TELLING) or not is_secret(run, node):
        return fault
    return Fault(fault.kind, _SAID_NOTHING, "", fault.retryable)


def is_secret(run: Run, node: Node) -> bool:
    """Whether a call has read, or its code has looked at, what is secret."""
    return SECRET in run.state.labels(node) or (bool(run.seen) and SECRET in run.seen.get(node.path, ()))

