"""A planner's call: the search that it stands for, its steps typed by the state that it begins with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin, get_type_hints

from rookery.core import limit as limits
from rookery.core.function import Tool
from rookery.core.graph import Call, Const, Param, Ref
from rookery.errors import GraphInvalid, RookeryError, ToolFailed
from rookery.workflows import format as form
from rookery.workflows.build import Builder, Draft
from rookery.workflows.calls import _placeholder, function_named
from rookery.workflows.document import Node
from rookery.workflows.fault import nearest
from rookery.workflows.text import constant

SEARCH = ":search"
"""``NAME:search`` is the search whose best answer ``NAME`` is."""


def planner_functions() -> dict[str, Callable[..., Any]]:
    """The planners that a workflow can name, by their names."""
    from rookery import planners as all_of_them

    names = get_args(get_type_hints(form.Plan)["planner"])
    return {name: getattr(all_of_them, name) for name in names}


def planned(builder: Builder, found: Draft, spec: form.PlanCall) -> list[Call]:
    """The search, and the call that takes its best answer out."""
    from rookery.planners.result import SearchResult

    search = _search(builder, found, spec)
    if search is None:
        return [_placeholder(found, "tool")]
    state = found.args["state"]
    if isinstance(state, Const):
        state = Const(builder.shared.typed_value(state.value, search.params["state"].type))
    returns = search.returns
    whole = Call(found.name, search.kind, returns, {"state": state}, function=search, policy=search.policy, labels=frozenset(spec.labels))
    if spec.result == "all":
        return builder.guarded(found, whole)
    args = get_args(returns) or getattr(returns, "__pydantic_generic_metadata__", {}).get("args", ())
    answer = args[0] if get_origin(returns) is SearchResult and args else Any
    from dataclasses import replace

    inner = replace(whole, name=found.name + SEARCH)
    best = _best(answer, returns)
    taken = Call(found.name, "tool", answer, {"found": Ref(inner.name)}, function=best, policy=best.policy, labels=frozenset(spec.labels))
    return [inner, *builder.guarded(found, taken)]


def _best(answer: Any, result: Any) -> Tool[..., Any]:
    def best(found: Any) -> Any:
        if not found.answers:
            raise ToolFailed(
                f"the search has no answer: it stopped at {found.stop_reason}", tool="best", hint="give it a larger limit, or result: all"
            )
        return found.answers[0].state

    made: Tool[..., Any] = Tool(
        best, name="best", pure=True, doc="The best answer of a search.", signature=({"found": Param("found", result)}, answer)
    )
    return made.using(inline=True)  # type: ignore[no-any-return]


def _search(builder: Builder, found: Draft, spec: form.PlanCall) -> Any:
    from rookery.planners.search import Search

    plan, path = spec.plan, f"{found.path}.plan"
    planner = _planner(builder, plan, path)
    steps = _steps(builder, found, plan)
    if planner is None or steps is None:
        return None
    if spec.model is not None:
        builder.shared.model_name(spec.model, spec.node.get("model"), f"{found.path}.model")
    try:
        return Search(
            planner, steps, state=_nothing(), limit=limit_of(spec.limit), model=spec.model, concurrency=plan.concurrency, seed=plan.seed, key=None,
            merge=True,
            answers=plan.answers, max_nodes=plan.max_nodes, max_works=plan.max_works, name=found.name,
        )  # fmt: skip
    except GraphInvalid as error:
        for fault in error.faults:
            key = fault.path.removeprefix("search.").partition(".")[0]
            node = plan.node.get(key) or (plan.steps and plan.node.get("steps")) or plan.node.label or plan.node
            builder.reader.fault(node, fault.fault, f"{path}.{key}", hint=_in_yaml(fault.hint), kind=fault.kind)
    except RookeryError as error:
        builder.reader.fault(plan.node.label or plan.node, error.reason, path, hint=error.hint, kind="value")
    return None


def _in_yaml(hint: str) -> str:
    return (
        hint.replace("pass goal=", "say goal:")
        .replace("pass evaluate=", "say evaluate:")
        .replace("evaluate=value(judge, scale={", "evaluate: {value: judge, scale: {")
    )


def _nothing() -> Any:
    from rookery.core.graph import MISSING

    return MISSING


def limit_of(spec: form.Limit | None) -> limits.Limit | None:
    """``limit:`` as a Limit."""
    if spec is None:
        return None
    return limits.Limit(usd=spec.usd, tokens=spec.tokens, calls=spec.calls, seconds=spec.seconds, sandbox_seconds=spec.sandbox_seconds)


def _planner(builder: Builder, plan: form.Plan, path: str) -> Any:
    """The planner with its options; unknown ones and those out of range are noted."""
    function = planner_functions()[plan.planner]
    known = inspect.signature(function).parameters
    options: dict[str, Any] = {}
    is_wrong = False
    nodes: Mapping[str, Node] = plan.options
    for name, node in nodes.items():
        if name not in known:
            keys = [*known, *(key for key in ("propose", "evaluate", "goal", "steps", "concurrency", "seed", "answers", "max_nodes", "max_works"))]
            hint = nearest(name, keys) or f"its options are {', '.join(known)}"
            builder.reader.fault(node.label or node, f"{plan.planner} has no option {name}", f"{path}.{name}", hint=hint, kind="key")
            is_wrong = True
            continue
        options[name] = constant(node, builder.reader, f"{path}.{name}")
        wanted = get_type_hints(function).get(name, Any)
        if not _is_of(options[name], wanted):
            from rookery.core.types import name_of

            builder.reader.fault(node, f"{name} is {name_of(wanted)}, not {node.noun}", f"{path}.{name}", kind="value")
            is_wrong = True
    if is_wrong:
        return None
    try:
        return function(**options)
    except RookeryError as error:
        name = next((name for name in nodes if error.reason.startswith(f"{name} is")), "")
        at = nodes[name] if name else plan.node.get("planner") or plan.node
        builder.reader.fault(at, error.reason, f"{path}.{name or 'planner'}", hint=error.hint, kind="value")
        return None


def _is_of(value: Any, type_: Any) -> bool:
    from rookery.core.types import fits

    return type_ is Any or fits(type(value), type_) or (isinstance(value, str) and fits(_literal(value), type_))


def _literal(value: str) -> Any:
    from typing import Literal

    return Literal[value]


def _steps(builder: Builder, found: Draft, plan: form.Plan) -> dict[str, Any] | None:
    """The functions of the steps; None when one of them is not there."""
    from rookery.planners import step as kinds

    node = plan.node
    state = builder.type_of(found.args["state"])
    propose = _function(builder, plan.propose, node.get("propose"), found, "plan.propose", state)
    steps: dict[str, Any] = {"propose": propose}
    evaluate = plan.evaluate
    if isinstance(evaluate, str):
        steps["evaluate"] = _function(builder, evaluate, node.get("evaluate"), found, "plan.evaluate", state)
    elif evaluate is not None:
        steps["evaluate"] = _judged(builder, evaluate, found, state, kinds)
    goal = plan.goal
    if isinstance(goal, str):
        steps["goal"] = _function(builder, goal, node.get("goal"), found, "plan.goal", _answer_type(propose, state))
    elif goal is not None:
        steps["goal"] = _checked(builder, goal, found, _answer_type(propose, state), kinds)
    for name, text in plan.steps.items():
        block = node.get("steps")
        steps[name] = _function(builder, text, block.get(name) if block is not None else None, found, f"plan.steps.{name}", state)
    return None if any(step is None for step in steps.values()) else steps


def _answer_type(propose: Any, state: Any) -> Any:
    from rookery.core.types import element_type

    if propose is None:
        return state
    element = element_type(propose.returns)
    return propose.returns if element is None else element


def _function(builder: Builder, text: str, node: Node | None, found: Draft, key: str, state: Any) -> Any:
    """A step by its name; a prompt's first hole takes the state."""
    from rookery.workflows.prompts import named_prompt

    shared = builder.shared
    types: dict[str, Any] = {}
    if text in shared.workflow.prompts:
        prompt = named_prompt(shared, text)
        if prompt is not None and prompt.names:
            types = {prompt.names[0]: state}
    return function_named(builder, text, node or found.spec.node, found, key, types)


def _judged(builder: Builder, judge: form.Judge, found: Draft, state: Any, kinds: Any) -> Any:
    if (judge.value is None) == (judge.vote is None):
        return (
            builder.reader.fault(judge.node.label or judge.node, "evaluate: says one of value: and vote:", f"{found.path}.plan.evaluate", kind="key")
            and None
        )
    key = "value" if judge.value is not None else "vote"
    given = list[state] if key == "vote" else state
    function = _function(builder, judge.value or judge.vote or "", judge.node.get(key), found, f"plan.evaluate.{key}", given)
    if function is None:
        return None
    try:
        if key == "vote":
            return kinds.vote(function, votes=judge.samples)
        return kinds.value(function, samples=judge.samples, scale=judge.scale or None, weigh=judge.weigh)
    except RookeryError as error:
        return (
            builder.reader.fault(judge.node.label or judge.node, error.reason, f"{found.path}.plan.evaluate", hint=error.hint, kind="value") and None
        )


def _checked(builder: Builder, goal: form.Goal, found: Draft, state: Any, kinds: Any) -> Any:
    said = [key for key in ("exact", "public_tests", "claimed") if getattr(goal, key) is not None]
    if len(said) != 1:
        message = "goal: says one of exact:, public_tests: and claimed:"
        return builder.reader.fault(goal.node.label or goal.node, message, f"{found.path}.plan.goal", kind="key") and None
    function = _function(builder, getattr(goal, said[0]), goal.node.get(said[0]), found, f"plan.goal.{said[0]}", state)
    return getattr(kinds, said[0])(function) if function is not None else None
