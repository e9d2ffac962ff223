"""One call: its names read (``draft``), and then, once the types of what it reads are known, made (``make``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, get_origin

from rookery.core.function import Tool
from rookery.core.graph import MISSING, Call, Const, Function, Graph, Kind, Many, Param, Ref, Source, names_in
from rookery.core.label import Labels
from rookery.core.policy import NO_POLICY, Policy
from rookery.core.shape import item_types
from rookery.core.types import element_type, strip
from rookery.workflows import format as form
from rookery.workflows.build import Builder, Draft
from rookery.workflows.document import Node
from rookery.workflows.expression import read_formula
from rookery.workflows.fault import meant
from rookery.workflows.prompts import PromptText, named_prompt, prompt_for, read_prompt
from rookery.workflows.scope import Shared, _gather


def draft(builder: Builder, name: str, spec: form.Call) -> Draft:
    """Read a call's names."""
    found = Draft(name, spec, builder._at(f"calls.{name}"))
    builder.condition(found)
    if isinstance(spec, form.Placed):
        builder.arguments(found, spec.with_, spec.each)
    more = _DRAFTS.get(type(spec))
    if more is not None:
        more(builder, found, spec)
    return found


def make(builder: Builder, found: Draft) -> list[Call]:
    """The calls of the graph that one call of the workflow stands for."""
    return _MAKERS[type(found.spec)](builder, found, found.spec)


# ------------------------------------------------------------------ prompts


def _draft_prompt(builder: Builder, found: Draft, spec: form.PromptCall) -> None:
    shared = builder.shared
    text = named_prompt(shared, spec.prompt.strip()) if spec.prompt.strip() in shared.workflow.prompts else None
    if text is None and spec.prompt.strip() not in shared.workflow.prompts:
        text = read_prompt(shared, spec, found.name, found.path)
    found.prompt = text
    if text is None:
        return
    for name in text.names:
        if name in found.args:
            continue
        if name in text.own and text.own[name].default is not MISSING:
            continue
        if name in builder.variables:
            found.args[name] = Ref(builder.variables[name])
        else:
            _unknown_hole(builder, found, text, name)
    for source in found.args.values():
        found.reads.update(names_in(source))


def _unknown_hole(builder: Builder, found: Draft, text: PromptText, name: str) -> None:
    shared = builder.shared
    one = next((one for one in (*text.found, *text.system_found) if one.hole.name == name), None)
    written = text.written if one in text.found else text.system
    hint = meant(name, list(builder.variables)) or "write {{ and }} for braces"
    if text.spec is not found.spec:  # the text stands elsewhere, and others may fill it
        node = found.spec.node.get("prompt") or found.spec.node
        hint = f"pass it: with: {{{name}: …}}"
        shared.reader.fault(node, f"nothing fills the hole {{{name}}} of prompt {text.name}", f"{found.path}.prompt", hint=hint, kind="reference")
    elif one is not None and written is not None:
        from rookery.workflows.fault import Fault

        shared.reader.faults.append(Fault(f"there is no input or call {name}", written.place(one.start, one.length), hint, "reference", found.path))


def _make_prompt(builder: Builder, found: Draft, spec: form.PromptCall) -> list[Call]:
    text: PromptText | None = found.prompt
    if text is None:
        return [_placeholder(found, "prompt", spec.returns and builder.shared.type(spec.returns, None, found.path))]
    types = {name: _given_type(builder, found, name) for name in text.names if name in found.args}
    prompt = prompt_for(builder.shared, text, types)
    if text.spec is not spec:
        prompt = _changed(builder, prompt, spec, found)
    policy = builder.shared.policy(spec, found.path).over(prompt.policy) if text.spec is not spec else prompt.policy
    return builder.guarded(found, _placed(builder, found, prompt, policy))


def _changed(builder: Builder, prompt: Any, spec: form.PromptCall, found: Draft) -> Any:
    """A named prompt of which a call says more: that it gives something else, or another form."""
    for key in ("returns", "form", "system"):
        if getattr(spec, key) is not None:
            builder.reader.fault(spec.node.key(key) or spec.node, f"{key}: is said by prompt {prompt.name}", f"{found.path}.{key}",
                                 hint="change it there, or write the text here", kind="key")  # fmt: skip
    return prompt


def _given_type(builder: Builder, found: Draft, name: str) -> Any:
    """The type of what fills a hole; of a mapped list its elements'."""
    type_ = builder.type_of(found.args[name])
    if name not in found.over:
        return type_
    element = element_type(type_)
    return Any if element is None else element


# ------------------------------------------------------------------ tools and workflows


def _make_tool(builder: Builder, found: Draft, spec: form.ToolCall) -> list[Call]:
    node = spec.node.get("tool") or spec.node
    tool = builder.shared.tool(spec.tool, node, f"{found.path}.tool")
    if tool is None:
        keeper = builder.shared.servers.get(spec.tool.partition("__")[0])
        if keeper is not None:
            from rookery.workflows.servers import server_tool

            tool = server_tool(keeper, spec.tool, {key: Param(key, Any) for key in found.args}, Any)
        else:
            tool = unknown_tool(spec.tool, found.args)
    policy = builder.shared.policy(spec, found.path).over(tool.policy)
    return builder.guarded(found, _placed(builder, found, tool, policy))


def unknown_tool(name: str, args: Mapping[str, Any]) -> Tool[..., Any]:
    """Stands for a tool that is not known, so that all else can be checked."""

    def call(**arguments: Any) -> Any:
        from rookery.errors import ToolUnknown

        raise ToolUnknown(f"there is no tool {name}", tool=name)

    return Tool(call, name=name, signature=({key: Param(key, Any) for key in args}, Any), doc="")


def unknown_call(name: str) -> Call:
    """Stands for a call that could not be read."""
    return Call(name, "tool", Any, function=unknown_tool(name, {}))


def _make_flow(builder: Builder, found: Draft, spec: form.FlowCall) -> list[Call]:
    node = spec.node.get("workflow") or spec.node
    graph = sub_workflow(builder, spec.workflow, node, found, "workflow")
    if graph is None:
        return [_placeholder(found, "graph")]
    policy = Policy(gather=_gather(spec.gather)) if spec.gather is not None else NO_POLICY
    return builder.guarded(found, _placed(builder, found, graph, policy))


def sub_workflow(builder: Builder, given: str | form.Flow, node: Node, found: Draft, key: str) -> Graph | None:
    """The graph of a workflow that is named, in a file, or written in place."""
    shared, path = builder.shared, f"{found.path}.{key}"
    if isinstance(given, form.Flow):
        return Builder(shared, given, found.name, path).graph()
    if given.startswith("file:"):
        return shared.load_file(given, node, path) if shared.load_file is not None else None
    flow = shared.workflow.workflows.get(given)
    if flow is None:
        hint = meant(given, list(shared.workflow.workflows)) or "name an entry of workflows:, or write file:NAME.yaml"
        return shared.reader.fault(node, f"there is no workflow {given}", path, hint=hint, kind="reference") and None
    if given in shared.graphs:
        graph = shared.graphs[given]
        if graph is None:
            shared.reader.fault(node, f"workflow {given} calls itself", path, hint="use loop:", kind="cycle")
        return graph
    shared.graphs[given] = None
    graph = shared.graphs[given] = Builder(shared, flow, given, f"workflows.{given}").graph()
    return graph


def _placed(builder: Builder, found: Draft, function: Function, policy: Policy) -> Call:
    """A call of a function with the arguments read."""
    returns = function.returns
    kind: Kind = function.kind
    if found.over:
        kind = "each"
        if policy.gather.kind == "none":
            returns = returns | None
        returns = list[returns]  # type: ignore[valid-type]
    params = function.params
    args = {name: typed_source(builder.shared, source, params.get(name), mapped=name in found.over) for name, source in found.args.items()}
    labels: Labels = getattr(function, "labels", frozenset()) | frozenset(found.spec.labels)
    return Call(found.name, kind, returns, {**args, **_hidden(function, builder)}, function=function, policy=policy, over=found.over, labels=labels)


def typed_source(shared: Shared, source: Source, param: Param | None, *, mapped: bool = False) -> Source:
    """A constant as what its parameter takes, a list as a tuple where it takes one; all else as it is."""
    if param is None or isinstance(source, Ref):
        return source
    if isinstance(source, Many):
        return typed_items(shared, source, list[param.type] if mapped else param.type)  # type: ignore[name-defined]
    if mapped and isinstance(source.value, list):
        return Const([shared.typed_value(item, param.type) for item in source.value])
    return source if mapped else Const(shared.typed_value(source.value, param.type))


def typed_items(shared: Shared, source: Many, type_: Any) -> Many:
    """A container with variables whose constants are of the types that are taken; a list as a tuple where that is: YAML has lists only."""
    items: list[Source] = []
    for item, wanted in zip(source.items, item_types(source, type_), strict=True):
        if isinstance(item, Const):
            item = Const(shared.typed_value(item.value, wanted))
        items.append(typed_items(shared, item, wanted) if isinstance(item, Many) else item)
    is_tuple = source.shape == "list" and (get_origin(strip(type_)) or strip(type_)) is tuple
    return replace(source, items=tuple(items), shape="tuple" if is_tuple else source.shape)


def _hidden(function: Any, builder: Builder) -> dict[str, Source]:
    """What a tool of the workflow itself takes beside its arguments: the inputs that a memory's scope is named by."""
    from rookery.workflows.remembering import HIDDEN

    hidden = [name for name in function.params if name.startswith(HIDDEN)] if isinstance(function, Tool) else []
    if not hidden:
        return {}
    inputs = {name: variable for name, variable in builder.variables.items() if variable.startswith("inputs.")}
    return {name: Ref(inputs[name.removeprefix(HIDDEN)]) for name in hidden if name.removeprefix(HIDDEN) in inputs}


def _placeholder(found: Draft, kind: Kind, type_: Any = None) -> Call:
    """Stands for a call that could not be made, whose fault is noted."""
    return Call(found.name, "tool", type_ or Any, found.args, function=unknown_tool(found.name, found.args))


# ------------------------------------------------------------------ loops


def _draft_loop(builder: Builder, found: Draft, spec: form.LoopCall) -> None:
    builder.arguments(found, spec.with_, {})


def _make_loop(builder: Builder, found: Draft, spec: form.LoopCall) -> list[Call]:
    node = spec.node.get("loop") or spec.node
    given = spec.loop
    types = {name: builder.type_of(source) for name, source in found.args.items()}
    function = function_named(builder, given, node, found, "loop", types)
    if function is None:
        return [_placeholder(found, "loop")]
    params = dict(function.params)
    state = spec.state or next(iter(params), "")
    if state not in params:
        at = spec.node.get("state") or node
        builder.reader.fault(at, f"{state or 'it'} is no parameter of {function.name}", f"{found.path}.state", hint=meant(state, list(params)) or
                             "a loop's body takes the state", kind="loop")  # fmt: skip
        return [_placeholder(found, "loop")]
    turn = function if _is_turn(given) and isinstance(function, Graph) else _turn(builder, found, spec, function, state)
    args = {name: typed_source(builder.shared, source, params.get(name)) for name, source in found.args.items()}
    is_open = spec.until is None and turn is not function
    call = Call(found.name, "loop", params[state].type, args, function=turn, times=spec.times, or_last=spec.or_last or is_open, state=state,
                labels=frozenset(spec.labels))  # fmt: skip
    return builder.guarded(found, call)


def _is_turn(given: Any) -> bool:
    """Whether it is written as a whole turn: from the state to ``{state: …, done: …}``."""
    output = given.output if isinstance(given, form.Flow) else None
    return isinstance(output, Node) and output.kind == "map" and {key.text for key in output.keys} == {"state", "done"}


def _turn(builder: Builder, found: Draft, spec: form.LoopCall, function: Any, state: str) -> Graph:
    """The graph of one turn of a function that gives the next state."""
    params = dict(function.params)
    call = Call(function.name, function.kind, function.returns, {name: Ref(f"inputs.{name}") for name in params}, function=function,
                policy=getattr(function, "policy", NO_POLICY), labels=getattr(function, "labels", frozenset()))  # fmt: skip
    calls, done = [call], Const(False)
    node = spec.node.get("until")
    if spec.until is not None and node is not None:
        names = {name: f"inputs.{name}" for name in params} | {state: call.name}
        formula = read_formula(spec.until, node, names, builder.reader, f"{found.path}.until")
        if formula is not None:
            types = {f"inputs.{name}": param.type for name, param in params.items()} | {call.name: call.type}
            more, decided = builder.decided("until", formula, types, suffix="")
            calls, done = [call, *more], decided  # type: ignore[assignment]
    output = Many("dict", (Ref(call.name), done), ("state", "done"))
    graph = Graph(function.name, inputs=params, calls=calls, output=output, returns=dict[str, Any])
    builder.shared.turns[id(graph)] = (spec, builder.reader)
    return graph


def function_named(builder: Builder, given: Any, node: Node, found: Draft, key: str, types: Mapping[str, Any]) -> Any:
    """What a loop repeats or a planner calls: a prompt, a tool or a workflow by its name, in a file, or written in place."""
    shared, path = builder.shared, f"{found.path}.{key}"
    if isinstance(given, form.Flow):
        return Builder(shared, given, given.name or found.name, path).graph()
    if isinstance(given, form.Turn):
        return _turn_function(builder, given, node, found, types)
    if given.startswith("file:"):
        return sub_workflow(builder, given, node, found, key)
    if given in shared.workflow.prompts:
        text = named_prompt(shared, given)
        return prompt_for(shared, text, {name: types.get(name, Any) for name in text.names}) if text is not None else None
    if given in shared.workflow.workflows:
        return sub_workflow(builder, given, node, found, key)
    if given in shared.tools:
        return shared.tools[given]
    names = [*shared.workflow.prompts, *shared.workflow.workflows, *shared.tools]
    hint = meant(given, names) or "name an entry of prompts: or workflows:, or a tool"
    shared.reader.fault(node, f"there is no prompt, tool or workflow {given:.60}", path, hint=hint, kind="reference")
    return None


def _turn_function(builder: Builder, given: form.Turn, node: Node, found: Draft, types: Mapping[str, Any]) -> Any:
    shared, path = builder.shared, f"{found.path}.loop"
    if (given.prompt is None) == (given.tool is None):
        shared.reader.fault(node, "a loop repeats one of prompt: and tool:", path, kind="key")
        return None
    if given.tool is not None:
        tool = shared.tool(given.tool, given.node.get("tool") or node, f"{path}.tool")
        return tool.using(**_set(shared.policy(given, path))) if tool is not None else None
    text = read_prompt(shared, given, found.name, path)
    return prompt_for(shared, text, types) if text is not None else None


def _set(policy: Policy) -> dict[str, Any]:
    from dataclasses import fields

    return {one.name: getattr(policy, one.name) for one in fields(Policy) if getattr(policy, one.name) != getattr(NO_POLICY, one.name)}


# ------------------------------------------------------------------ questions and choices


def _draft_ask(builder: Builder, found: Draft, spec: form.AskCall) -> None:
    node = spec.node.get("ask")
    if node is not None:
        builder.values._no_hole(node, spec.ask, f"{found.path}.ask")
    show = builder.read(found, "show")
    if show is not None:
        found.args["show"] = show


def _make_ask(builder: Builder, found: Draft, spec: form.AskCall) -> list[Call]:
    type_ = builder.shared.type(spec.returns, spec.node.get("returns"), f"{found.path}.returns")
    return builder.guarded(found, Call(found.name, "ask", type_, found.args, question=spec.ask, labels=frozenset(spec.labels)))


def _draft_then(builder: Builder, found: Draft, spec: form.ThenCall) -> None:
    if spec.when is None:
        builder.reader.fault(
            spec.node.key("then") or spec.node, "then: without when:", f"{found.path}.then", hint="say when: it holds", kind="missing"
        )
    then = builder.read(found, "then")
    found.more["then"] = then if then is not None else Const(None)
    for key in ("then_effects", "otherwise_effects"):
        names = getattr(spec, key)
        block = spec.node.get(key)
        for index, name in enumerate(names):
            if name not in builder.flow.calls and block is not None:
                builder.values.unknown(name, block.items[index], f"{found.path}.{key}", start=0, length=len(name))
        if names:
            found.more[key] = Many("list", tuple(Ref(name) for name in names))
            found.reads.update(names)


def _make_then(builder: Builder, found: Draft, spec: form.ThenCall) -> list[Call]:
    from rookery.core.graph import EFFECTS
    from rookery.core.shape import union

    if found.condition is None:
        return [_placeholder(found, "when")]
    first, condition = builder.decided(found.name, found.condition, builder.types)
    otherwise = found.otherwise if found.otherwise is not None else Const(None)
    then: Source = found.more["then"]
    args: dict[str, Source] = {"condition": condition, "then": then}
    if "then_effects" in found.more:
        args["then" + EFFECTS] = found.more["then_effects"]
    args["otherwise"] = otherwise
    if "otherwise_effects" in found.more:
        args["otherwise" + EFFECTS] = found.more["otherwise_effects"]
    return [*first, Call(found.name, "when", union([builder.type_of(then), builder.type_of(otherwise)]), args, labels=frozenset(spec.labels))]


def _draft_plan(builder: Builder, found: Draft, spec: form.PlanCall) -> None:
    found.args["state"] = builder.read(found, "state") or Const(None)


def _make_plan(builder: Builder, found: Draft, spec: form.PlanCall) -> list[Call]:
    from rookery.workflows.planning import planned

    return planned(builder, found, spec)


def _draft_task(builder: Builder, found: Draft, spec: form.AgentCall | form.TeamCall) -> None:
    found.args["question"] = builder.read(found, "question") or Const("")


def _make_task(builder: Builder, found: Draft, spec: form.AgentCall | form.TeamCall) -> list[Call]:
    from rookery.workflows.agency import tasked

    return tasked(builder, found, spec)


_DRAFTS: dict[type[form.Call], Callable[[Builder, Draft, Any], None]] = {
    form.PromptCall: _draft_prompt, form.LoopCall: _draft_loop, form.AskCall: _draft_ask, form.ThenCall: _draft_then, form.PlanCall: _draft_plan,
    form.AgentCall: _draft_task, form.TeamCall: _draft_task,
}  # fmt: skip
_MAKERS: dict[type[form.Call], Callable[[Builder, Draft, Any], list[Call]]] = {
    form.PromptCall: _make_prompt, form.ToolCall: _make_tool, form.FlowCall: _make_flow, form.LoopCall: _make_loop, form.AskCall: _make_ask,
    form.ThenCall: _make_then, form.PlanCall: _make_plan, form.AgentCall: _make_task, form.TeamCall: _make_task,
}  # fmt: skip
