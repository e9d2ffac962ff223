"""A call that an agent or a team answers, and the agents that a workflow names."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from rookery.core.function import Tool
from rookery.core.graph import Call, Const, Param, Ref, Source
from rookery.errors import GraphInvalid, RookeryError
from rookery.workflows import format as form
from rookery.workflows.build import Builder, Draft
from rookery.workflows.calls import _placeholder, function_named
from rookery.workflows.document import Node
from rookery.workflows.fault import meant, nearest
from rookery.workflows.planning import limit_of
from rookery.workflows.remembering import HIDDEN, memory_of
from rookery.workflows.scope import Shared
from rookery.workflows.text import constant


def tasked(builder: Builder, found: Draft, spec: form.AgentCall | form.TeamCall) -> list[Call]:
    """The call of an agent or a team."""
    speaker = _agent(builder, found, spec) if isinstance(spec, form.AgentCall) else _team(builder, found, spec)
    if speaker is None:
        return [_placeholder(found, "tool")]
    if spec.returns is not None:
        type_ = builder.shared.type(spec.returns, spec.node.get("returns"), f"{found.path}.returns")
        speaker = _made(builder, spec.node, found.path, lambda: speaker.returning(type_))
    limit = limit_of(spec.limit)
    if limit and speaker is not None:
        speaker = speaker.with_(limit=limit)
    if speaker is None:
        return [_placeholder(found, "tool")]
    question = found.args["question"]
    args: dict[str, Source] = {"question": Const(str(question.value)) if isinstance(question, Const) else question}
    function, more = _remembering(builder, speaker)
    labels = function.labels | frozenset(spec.labels)
    call = Call(found.name, function.kind, function.returns, {**args, **more}, function=function, policy=function.policy, labels=labels)
    return builder.guarded(found, call)


def _remembering(builder: Builder, speaker: Any) -> tuple[Any, dict[str, Source]]:
    """A speaker whose memory's scope is named by inputs, as a program that takes these too."""
    from rookery.core.template import Template, as_text

    memory = builder.shared.workflow.memory
    if memory is None or not getattr(speaker, "remembers", False):
        return speaker, {}
    template = Template.parse(memory.scope, path="memory.scope")
    names = list(dict.fromkeys(hole.name for hole in template.holes))
    find = memory_of(builder.shared, memory)

    async def answer(question: str, **given: Any) -> Any:
        scope = "".join(part if isinstance(part, str) else as_text(given[HIDDEN + part.name]) for part in template.parts)
        async with find(scope) as opened:
            return await speaker.with_(memory=opened)(question=question)

    hidden = {HIDDEN + name: Param(HIDDEN + name, builder.types.get(f"inputs.{name}", Any)) for name in names}
    params = {"question": Param("question", str), **hidden}
    made: Tool[..., Any] = Tool(answer, name=speaker.name, kind="program", doc=speaker.doc, signature=(params, speaker.returns))
    return made, {HIDDEN + name: Ref(f"inputs.{name}") for name in names if name in builder.params}


def _agent(builder: Builder, found: Draft, spec: form.AgentCall) -> Any:
    given, node = spec.agent, spec.node.get("agent") or spec.node
    if isinstance(given, form.Agent):
        return _made_agent(builder, found, given, found.name, f"{found.path}.agent", [])
    return agent_named(builder, found, given, node, f"{found.path}.agent", [])


def agent_named(builder: Builder, found: Draft, name: str, node: Node, path: str, above: Sequence[str]) -> Any:
    """The agent of an entry of ``agents:``; None after a fault. ``above``: those that call it."""
    shared = builder.shared
    spec = shared.workflow.agents.get(name)
    if spec is None:
        hint = meant(name, list(shared.workflow.agents)) or "name an entry of agents:"
        return shared.reader.fault(node, f"there is no agent {name}", path, hint=hint, kind="reference") and None
    if name in above:
        return shared.reader.fault(node, f"agent {name} is among its own tools", path, hint="make a team of them", kind="cycle") and None
    key = ("agent", name)
    if key not in shared.typed:
        shared.typed[key] = _made_agent(builder, found, spec, name, f"agents.{name}", [*above, name])
    return shared.typed[key]


def _made_agent(builder: Builder, found: Draft, spec: form.Agent, name: str, path: str, above: Sequence[str]) -> Any:
    from rookery.agents import Agent
    from rookery.tools.approval import allow

    shared = builder.shared
    if spec.model is not None:
        shared.model_name(spec.model, spec.node.get("model"), f"{path}.model")
    tools = _tools(builder, found, spec, path, above)
    planner = _planner(shared, spec, path)
    if spec.memory and shared.workflow.memory is None:
        shared.reader.fault(
            spec.node.get("memory") or spec.node, "this workflow has no memory:", f"{path}.memory", hint="say memory: {scope: …}", kind="reference"
        )
        return None
    if tools is None or planner is None:
        return None
    given: dict[str, Any] = {"model": spec.model, "limit": limit_of(spec.limit), "window_tokens": spec.window_tokens}
    given |= {"temperature": spec.temperature, "max_tokens": spec.max_tokens, "role": spec.role, "allow": allow(*spec.allow) if spec.allow else None}
    options = {key: value for key, value in given.items() if value is not None}
    returns = shared.type(spec.returns, spec.node.get("returns"), f"{path}.returns")
    made = _made(builder, spec.node, path, lambda: Agent(name=name, tools=tools, planner=planner, returns=returns, doc=spec.doc, **options))
    if made is not None and spec.memory:
        made.remembers = True
    return made


def _made(builder: Builder, node: Node, path: str, make: Any) -> Any:
    """What is made, or None where it can't be, each reason noted."""
    try:
        return make()
    except GraphInvalid as error:
        for fault in error.faults:
            builder.reader.fault(node.get(fault.path.rpartition(".")[2]) or node.label or node, fault.fault, path, hint=fault.hint, kind=fault.kind)
    except RookeryError as error:
        builder.reader.fault(node.label or node, error.reason, path, hint=error.hint, kind="value")
    return None


def _tools(builder: Builder, found: Draft, spec: form.Agent, path: str, above: Sequence[str]) -> list[Any] | None:
    """What an agent may call; None when one of them is not there."""
    shared, block = builder.shared, spec.node.get("tools")
    tools: list[Any] = []
    for index, name in enumerate(spec.tools):
        node = block.items[index] if block is not None and index < len(block.items) else spec.node
        if name in shared.workflow.agents:
            tool = agent_named(builder, found, name, node, f"{path}.tools[{index}]", above)
        elif name in shared.workflow.prompts or name in shared.workflow.workflows:
            tool = function_named(builder, name, node, found, "tools", {})
        else:
            tool = shared.tool(name, node, f"{path}.tools[{index}]")
            if tool is not None and any(param.startswith(HIDDEN) for param in tool.params):
                hint = "say memory: true, and the agent has them for the workflow's scope"
                tool = (
                    shared.reader.fault(node, f"{name} needs a scope that inputs name", f"{path}.tools[{index}]", hint=hint, kind="reference")
                    and None
                )
            elif tool is None and name.partition("__")[0] in shared.servers:
                hint = "say under mcp: tools: what it takes and gives"
                shared.reader.fault(node, f"what {name} takes is not known", f"{path}.tools[{index}]", hint=hint, kind="reference")
        tools.append(tool)
    return None if any(tool is None for tool in tools) else tools


def _planner(shared: Shared, spec: form.Agent, path: str) -> Any:
    """An agent's planner with its options; None after a fault."""
    from rookery import agents, planners

    given = spec.planner
    name = given if isinstance(given, str) else given.planner
    nodes = {} if isinstance(given, str) else given.options
    function = getattr(planners, name) if name == "best_of_n" else getattr(agents, name)
    known = inspect.signature(function).parameters
    options: dict[str, Any] = {}
    for key, node in nodes.items():
        if key not in known:
            hint = nearest(key, known) or f"its options are {', '.join(known)}"
            return shared.reader.fault(node.label or node, f"{name} has no option {key}", f"{path}.planner.{key}", hint=hint, kind="key") and None
        options[key] = constant(node, shared.reader, f"{path}.planner.{key}")
    try:
        return function(**options)
    except (RookeryError, TypeError) as error:
        node = spec.node.get("planner") or spec.node
        return (
            shared.reader.fault(node, getattr(error, "reason", str(error)), f"{path}.planner", hint=getattr(error, "hint", ""), kind="value") and None
        )


def _team(builder: Builder, found: Draft, spec: form.TeamCall) -> Any:
    from rookery.agents import Team

    given, node = spec.team, spec.node.get("team") or spec.node
    names = given if isinstance(given, list) else given.members
    block = node if isinstance(given, list) else node.get("members") or node
    if not names:
        return builder.reader.fault(node, "a team has members", f"{found.path}.team", hint="name entries of agents:", kind="value") and None
    members = []
    for index, name in enumerate(names):
        at = block.items[index] if index < len(block.items) else block
        members.append(agent_named(builder, found, name, at, f"{found.path}.team[{index}]", []))
    if any(member is None for member in members):
        return None
    options: dict[str, Any] = {} if isinstance(given, list) else {"sees": given.sees, "hand_overs": given.hand_overs}
    return _made(builder, node, f"{found.path}.team", lambda: Team(*members, name=found.name, **options))
