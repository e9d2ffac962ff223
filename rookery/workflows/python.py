"""A graph as Python source: what a workflow file says, for those who go on in code."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rookery.core.function import Prompt
from rookery.core.graph import Graph
from rookery.core.plan import order_of
from rookery.core.policy import SAMPLING
from rookery.errors import NotInYaml
from rookery.workflows.saving import data_of
from rookery.workflows.text import LITERAL, REFERENCE

_HEAD = '"""{doc}"""\n\nfrom __future__ import annotations\n\nfrom typing import Annotated, Any, Literal\n\n'
_FRONT = ("Attempts", "Label", "Limit", "ask", "graph", "keep_ok", "loop", "none_for_failed", "prompt", "run", "tool", "when")
_PLAIN_OPTIONS = (
    "model", "timeout_s", "repair", "temperature", "top_p", "max_tokens", "stop", "seed", "sample", "logprobs", "cache", "extra", "decode"
)  # fmt: skip
_STEP = re.compile(r"\.(\w+)|\[(-?\d+)\]")
_PLANNED = ("value", "vote", "exact", "public_tests", "claimed")


def python_of(graph: Graph) -> str:
    """The source of a module with the graph as a function of its name. Calls are named by what they call, as in all graphs from Python.

    Tools are imported from where they are known to be. Raises NotInYaml for what has no form as plain Python: whole turns of loops
    written in place, ``effects:`` that are no effects by themselves.
    """
    data = data_of(graph)
    writer = _Writer(data, {call.function.name: call.function for call in _all_calls(graph) if call.kind not in ("when", "ask", "loop")})
    body = "\n\n\n".join(writer.parts(graph))
    used = [name for name in _FRONT if re.search(rf"\b{name}\b", body)]
    lines = [_HEAD.format(doc=data.get("description") or f"The workflow {graph.name}.")]
    lines += ["from pydantic import BaseModel, Field\n"] if data.get("types") else []
    lines.append(f"from rookery import {', '.join(used)}\n")
    if writer.planners:
        lines.append(f"from rookery.planners import {', '.join(sorted(writer.planners))}\n")
    if writer.conditions:
        lines.append("from rookery.workflows import condition\n")
    lines += [f"from {module} import {name}\n" for name, module in sorted(writer.imports.items())]
    return "".join(lines) + "\n" * 2 + body + "\n"


def _all_calls(graph: Graph) -> Iterator[Any]:
    for call in graph.call_list:
        yield call
        if isinstance(call.function, Graph):
            yield from _all_calls(call.function)


class _Writer:
    """Writes a workflow's data as Python."""

    def __init__(self, data: Mapping[str, Any], functions: Mapping[str, Any]) -> None:
        self.data = data
        self.functions = functions
        self.planners: set[str] = set()
        self.imports: dict[str, str] = {}
        self.conditions: dict[str, str] = {}
        """From the source of a condition to the name it goes by."""
        flows = data.get("workflows", {})
        inputs = {*data.get("inputs", ()), *(name for flow in flows.values() for name in flow.get("inputs", ()))}
        taken = {*inputs, *_FRONT, *keyword.kwlist}
        self.globals = {name: f"{name}_call" if name in taken else name for name in (*data.get("prompts", ()), *flows)}
        """What prompts and workflows are called in the module: no input may hide them."""
        tools = {name for name, function in functions.items() if not isinstance(function, Prompt | Graph)}
        self.hidden = {*self.globals.values(), *tools, *_FRONT, *keyword.kwlist, data["name"]} - inputs
        """What no variable in a function may be called."""

    def parts(self, graph: Graph) -> list[str]:
        found = [self._class(name, fields) for name, fields in self.data.get("types", {}).items()]
        found += [self._prompt(name, spec) for name, spec in self.data.get("prompts", {}).items()]
        inner = {call.function.name: call.function for call in _all_calls(graph) if isinstance(call.function, Graph)}
        flows = [self._flow(name, flow, inner.get(flow.get("name", name), graph)) for name, flow in self.data.get("workflows", {}).items()]
        whole = self._flow(self.data["name"], self.data, graph)
        conditions = [f"{name} = {source}" for source, name in self.conditions.items()]
        return [*found, *(["\n".join(conditions)] if conditions else []), *flows, whole]

    # -------------------------------------------------------------- types and prompts

    def _class(self, name: str, fields: Mapping[str, Any]) -> str:
        lines = [f"class {name}(BaseModel):"]
        if "$doc" in fields:
            lines.append(f"    {_docstring(fields['$doc'])}\n")
        for field, spec in fields.items():
            if field == "$doc":
                continue
            if isinstance(spec, str):
                lines.append(f"    {field}: {spec}")
                continue
            bounds = {key: value for key, value in spec.items() if key not in ("type", "default")}
            default = repr(_plain(spec["default"])) if "default" in spec else "..."
            made = f"Field({', '.join([default, *(f'{key}={value!r}' for key, value in bounds.items())])})" if bounds or default == "..." else default
            lines.append(f"    {field}: {spec['type']} = {made}")
        return "\n".join(lines)

    def _prompt(self, name: str, spec: Mapping[str, Any]) -> str:
        options = {key: spec[key] for key in ("name", "form", "system") if key in spec}
        if self.globals[name] != name:
            options.setdefault("name", name)
        told = [f"{key}={value!r}" for key, value in options.items()] + self._policy(spec)
        if "labels" in spec:
            told.append(f"labels=frozenset({spec['labels']!r})")
        text = spec["prompt"]
        is_doc = "\\" not in text and '"""' not in text and not text.endswith('"') and text == text.strip()
        told += [] if is_doc else [f"template={text!r}"]
        head = f"@prompt({', '.join(told)})" if told else "@prompt"
        params = ", ".join(self._param(key, each) for key, each in spec.get("inputs", {}).items())
        body = f"\n    {_docstring(text)}" if is_doc else " ..."
        return f"{head}\ndef {self.globals[name]}({params}) -> {spec.get('returns', 'str')}:{body}"

    def _param(self, name: str, spec: Any) -> str:
        if isinstance(spec, str):
            return f"{name}: {spec}"
        labels = "".join(f", Label({label!r})" for label in spec.get("labels", ()))
        type_ = f"Annotated[{spec['type']}{labels}]" if labels else spec["type"]
        return f"{name}: {type_}" + (f" = {_plain(spec['default'])!r}" if "default" in spec else "")

    def _policy(self, spec: Mapping[str, Any]) -> list[str]:
        told = []
        for key in (
            "model",
            "timeout_s",
            "repair",
            *SAMPLING,
            "stop",
            "seed",
            "sample",
            "logprobs",
            "cache",
            "extra",
            "decode",
        ):
            told += [f"{key}={spec[key]!r}"] if key in spec else []
        if "fallback" in spec:
            told.append(f"fallback={tuple(spec['fallback'])!r}")
        retry = spec.get("retry")
        if retry is not None:
            stop, wait = (retry, None) if isinstance(retry, int) else (retry["attempts"], retry.get("wait_s"))
            told.append(f"attempts=Attempts(stop={stop}{'' if wait is None else f', wait={wait}'})")
        gather = spec.get("gather")
        if gather is not None and gather != "all":
            told.append("gather=none_for_failed" if gather == "none" else f"gather=keep_ok(at_least={gather['at_least']})")
        return told

    # -------------------------------------------------------------- graphs

    def _flow(self, name: str, flow: Mapping[str, Any], graph: Graph) -> str:
        if flow.get("effects"):
            raise NotInYaml("effects", f"{', '.join(flow['effects'])} can't be said in Python", hint="make them @tool(effect=True)")
        params = ", ".join(self._param(key, each) for key, each in flow.get("inputs", {}).items())
        order = list(dict.fromkeys(each.partition(":")[0] for each in order_of(graph)))
        calls = sorted(flow["calls"].items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))
        lines = [f"@graph\ndef {self.globals.get(name, name)}({params}) -> {flow.get('returns') or self._returns(graph)}:"]
        if flow.get("description"):
            lines.append(f"    {_docstring(flow['description'])}")
        for each, spec in calls:
            lines.append(f"    {self._local(each)} = {self._guarded(spec, graph, each)}")
        lines.append(f"    return {self._value(flow['output'])}")
        return "\n".join(lines)

    def _local(self, name: str) -> str:
        """What a call's variable is called: not as a function that the module has."""
        return f"{name}_" if name in self.hidden else name

    def _returns(self, graph: Graph) -> str:
        from rookery.workflows.types import NotInYaml as NoText
        from rookery.workflows.types import write_type

        try:
            return write_type(graph.returns, lambda class_: class_.__name__ if class_.__name__ in self.data.get("types", {}) else "Any")
        except NoText:
            return "Any"

    def _guarded(self, spec: Mapping[str, Any], graph: Graph, name: str) -> str:
        if "when" not in spec:
            return self._call(spec, graph, name)
        condition = self._condition(spec["when"], graph)
        then = self._branch(self._value(spec["then"]), spec.get("then_effects")) if "then" in spec else f"lambda: {self._call(spec, graph, name)}"
        otherwise = self._branch(self._value(spec["otherwise"]), spec.get("otherwise_effects")) if "otherwise" in spec else ""
        return f"when({', '.join(filter(None, (condition, then, otherwise)))})"

    def _branch(self, value: str, effects: Any) -> str:
        if effects:
            raise NotInYaml("effects", f"{', '.join(effects)} of a branch can't be said in Python", hint="make the branch's calls in one graph")
        return value

    def _condition(self, text: str, graph: Graph) -> str:
        """A condition: a variable, or the tool that computes it, called."""
        found = REFERENCE.fullmatch("$" + text)
        if text in ("true", "false"):
            return text.capitalize()
        if found:
            return self._value("$" + text)
        types = next(call.function.types for call in _all_calls(graph) if getattr(call.function, "text", None) == text)
        return f"{self._named_condition(text, types)}({', '.join(f'{key}={self._local(key)}' for key in types)})"

    def _named_condition(self, text: str, types: Mapping[str, Any]) -> str:
        from rookery.workflows.types import write_type

        told = ", ".join(f"{key}={write_type(type_, lambda class_: class_.__name__)}" for key, type_ in types.items())
        return self.conditions.setdefault(f"condition({text!r}{', ' + told if told else ''})", f"condition_{len(self.conditions) + 1}")

    def _call(self, spec: Mapping[str, Any], graph: Graph, name: str) -> str:
        if "ask" in spec:
            show = f", show={self._value(spec['show'])}" if "show" in spec else ""
            return f"ask({spec['returns']}, {spec['ask']!r}{show})"
        if "loop" in spec:
            return self._loop(spec, graph, name)
        if "plan" in spec:
            return self._search(spec, name)
        own = spec.get("prompt") or spec.get("workflow")
        function = self.globals[own] if own else self._tool(spec["tool"])
        policy = self._policy(spec)
        given = {**spec.get("each", {}), **spec.get("with", {})}
        call = graph.calls.get(name + ":do") or graph.calls[name]
        told = {key: self._value(given.get(key, f"${key}")) for key in call.args}
        made = f"{function}.using({', '.join(policy)})" if policy else function
        over = [repr(key) for key in spec.get("each", {})]
        return f"{made}{'.each' if over else ''}({', '.join([*over, *(f'{key}={value}' for key, value in told.items())])})"

    def _tool(self, name: str) -> str:
        from rookery.workflows.toolbox import BUILT_IN

        origin = getattr(self.functions.get(name), "origin", "")
        module = origin.partition(":")[0]
        is_known = re.fullmatch(r"[\w.]+", module) and not module.startswith(("rookery.workflows", "rookery_program"))
        self.imports[name] = "rookery.tools" if name in BUILT_IN else module if is_known else "tools"
        return name

    def _loop(self, spec: Mapping[str, Any], graph: Graph, name: str) -> str:
        if not isinstance(spec["loop"], str):
            raise NotInYaml(f"calls.{name}.loop", "a turn that is written in place has no form in Python", hint="make it an entry of workflows:")
        function = self.globals.get(spec["loop"]) or self._tool(spec["loop"])
        told = [function, *(f"{key}={self._value(value)}" for key, value in spec.get("with", {}).items()), f"times={spec['times']}"]
        if "until" in spec:
            call = (graph.calls.get(name + ":do") or graph.calls[name]).function.calls["until"]
            condition = self._named_condition(spec["until"], call.function.types)
            names = ", ".join(call.function.types)
            told.append(f"until=lambda {names}: {condition}({', '.join(f'{key}={key}' for key in call.function.types)})")
        told += ["or_last=True"] if spec.get("or_last") else []
        return f"loop({', '.join(told)})"

    def _search(self, spec: Mapping[str, Any], name: str) -> str:
        plan = dict(spec["plan"])
        planner, steps = plan.pop("planner"), {key: plan.pop(key) for key in ("propose", "evaluate", "goal") if key in plan}
        steps |= plan.pop("steps", {})
        whole = {key: plan.pop(key) for key in ("concurrency", "seed", "answers", "max_nodes", "max_works") if key in plan}
        self.planners |= {"search", planner}
        told = [f"planner={planner}({', '.join(f'{key}={value!r}' for key, value in plan.items())})", f"state={self._value(spec['state'])}"]
        told += [f"{key}={self._step(step)}" for key, step in steps.items()]
        told += [f"{key}={value!r}" for key, value in whole.items()] + ([f"model={spec['model']!r}"] if "model" in spec else [])
        if "limit" in spec:
            told.append(f"limit=Limit({', '.join(f'{key}={value}' for key, value in spec['limit'].items())})")
        made = f"search({', '.join(told)}, name={name!r})"
        return made if spec.get("result") == "all" else f'{made}["answers"][0]["state"]'

    def _step(self, step: Any) -> str:
        if isinstance(step, str):
            return self.globals.get(step) or self._tool(step)
        kind = next(key for key in _PLANNED if key in step)
        self.planners.add(kind)
        more = {("votes" if kind == "vote" and key == "samples" else key): value for key, value in step.items() if key != kind}
        return f"{kind}({', '.join([self._step(step[kind]), *(f'{key}={value!r}' for key, value in more.items())])})"

    def _value(self, value: Any) -> str:
        """A value of YAML as a Python expression."""
        if isinstance(value, str):
            found = REFERENCE.fullmatch(value)
            if found is None:
                return repr(value.replace("$$", "$"))
            steps = "".join(f"[{field!r}]" if field else f"[{item}]" for field, item in _STEP.findall(found[2]))
            return self._local(found[1]) + steps
        if isinstance(value, Mapping):
            if set(value) == {LITERAL}:
                return repr(value[LITERAL])
            return "{" + ", ".join(f"{key!r}: {self._value(inner)}" for key, inner in value.items()) + "}"
        return f"[{', '.join(map(self._value, value))}]" if isinstance(value, list) else repr(value)


def _plain(value: Any) -> Any:
    return value[LITERAL] if isinstance(value, dict) and set(value) == {LITERAL} else value


def _docstring(text: str) -> str:
    lines = text.replace('"""', "'''").split("\n")
    return '"""' + "\n".join([lines[0], *(f"    {line}" if line else "" for line in lines[1:])]) + ('\n    """' if len(lines) > 1 else '"""')
