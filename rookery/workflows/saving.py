"""The door out: a graph as YAML, from which ``load`` makes a graph that means the same. What YAML can't say is an error that names it."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from rookery.core.check import ensure
from rookery.core.function import Prompt, Tool
from rookery.core.graph import EFFECTS, MISSING, Call, Const, Graph, Many, Param, Ref, Source
from rookery.core.label import Label
from rookery.core.policy import NO_POLICY, SAMPLING, Attempts, Policy
from rookery.core.shape import item_types, type_of
from rookery.core.types import dump
from rookery.errors import NotInYaml, NotSerialisable
from rookery.workflows import types as type_texts
from rookery.workflows.build import DO, IF
from rookery.workflows.expression import Condition
from rookery.workflows.format import VERSION
from rookery.workflows.planning import SEARCH, planner_functions
from rookery.workflows.read import is_name
from rookery.workflows.text import LITERAL, looks_filled_in
from rookery.workflows.workflow import Workflow
from rookery.workflows.write import write

SCHEMA_LINE = "# yaml-language-server: $schema=./workflow.schema.json\n"


def save(graph: Graph, path: str | os.PathLike[str] | None = None, *, types: Mapping[str, type] | None = None) -> str:
    """A graph as the text of a workflow file, written to ``path`` if one is given.

    A workflow that was loaded comes out as it was written, comments and order too. Tools are named: whoever loads the text registers
    them again. Raises NotInYaml for what a workflow file can't say, GraphInvalid for a graph with faults.
    """
    text = graph.text if isinstance(graph, Workflow) else SCHEMA_LINE + write(data_of(graph, types=types))
    if path is not None:
        place = Path(path)
        beside = place.with_name(place.name + ".new")
        beside.write_text(text, encoding="utf-8")
        beside.replace(place)  # whole, old or new, at any time
    return text


def data_of(graph: Graph, *, types: Mapping[str, type] | None = None) -> dict[str, Any]:
    """A graph as the data of a workflow file. Raises as ``save``."""
    return _Writer(types or {}).workflow(ensure(graph))


class _Writer:
    """Writes one workflow; what several calls share is written once."""

    def __init__(self, known: Mapping[str, type]) -> None:
        self.known = dict(known)
        """Classes that whoever loads it registers; they are not written out."""
        self.classes: dict[str, type] = {}
        self.types: dict[str, Any] = {}
        self.prompts: dict[str, Any] = {}
        self.workflows: dict[str, Any] = {}
        self.tools: dict[str, Any] = {}
        self._keys: dict[Any, str] = {}

    def workflow(self, graph: Graph) -> dict[str, Any]:
        whole = self.flow(graph, "")
        found = {"version": VERSION, "name": whole.pop("name")}
        found |= {key: whole.pop(key) for key in ("description", "inputs") if key in whole}
        for key, part in (("types", self.types), ("prompts", self.prompts), ("workflows", self.workflows)):
            if part:
                found[key] = part
        return {**found, **whole}

    def flow(self, graph: Graph, path: str) -> dict[str, Any]:
        """A graph's own part: inputs, calls, output."""
        at = f"{path}." if path else ""
        found: dict[str, Any] = {"name": graph.name}
        if graph.doc:
            found["description"] = graph.doc
        if graph.params:
            found["inputs"] = {name: self.input(param, f"{at}inputs.{name}") for name, param in graph.params.items()}
        types = {f"inputs.{name}": param.type for name, param in graph.params.items()} | {call.name: call.type for call in graph.call_list}
        clash = next((call.name for call in graph.call_list if call.name in graph.params), None)
        if clash is not None:
            raise NotInYaml(f"{at}calls.{clash}", "an input has this name too", hint="rename one of them")
        calls: dict[str, Any] = {}
        for call in _folded(graph):
            self.name(call.name, f"{at}calls.{call.name}")
            calls[call.name] = self.call(call, graph, f"{at}calls.{call.name}")
        found["calls"] = calls
        found["output"] = self.value(graph.output, graph.returns, f"{at}output")
        inferred = Any if isinstance(graph.output, Const) else type_of(graph.output, types)
        if graph.returns != inferred or _holds_tuple(graph.output):
            found["returns"] = self.type_text(graph.returns, f"{at}returns")
        own = {call.name for call in graph.call_list if call.effect}
        more = [name for name in graph.effects if name not in own]
        if more:
            found["effects"] = more
        return found

    def name(self, name: str, path: str) -> None:
        if not is_name(name):
            raise NotInYaml(path, f"{name!r:.60} is no name in YAML", hint="a name has letters, digits and _, and begins with no digit")

    # -------------------------------------------------------------- types

    def type_text(self, type_: Any, path: str) -> str:
        if type_ is MISSING:
            return "Any"
        self._no_bounds(type_, path)
        try:
            return type_texts.write_type(type_, lambda class_: self.own_class(class_, path))
        except type_texts.NotInYaml as error:
            raise NotInYaml(
                path, f"{error} can't be written", hint="use the types of the YAML reference, or register it: load(…, types=[…])"
            ) from None

    def _no_bounds(self, type_: Any, path: str) -> None:
        """Bounds in an annotation would be lost; on a field of a class they are written."""
        if get_origin(type_) is Annotated:
            extra = next((one for one in get_args(type_)[1:] if not isinstance(one, Label | str)), None)
            if extra is not None:
                raise NotInYaml(path, f"{extra!r:.80} on a type can't be written", hint="put it on a field of a type of its own")
        for inner in get_args(type_):
            if not isinstance(inner, list):
                self._no_bounds(inner, path)

    def own_class(self, class_: type, path: str) -> str:
        """The name of a class, its fields written under ``types:``."""
        name = class_.__name__
        if self.known.get(name) is class_:
            return name
        if self.classes.setdefault(name, class_) is not class_:
            raise NotInYaml(path, f"there are two types {name}", hint="rename one")
        if name in self.types:
            return name
        self.name(name, path)
        self.types[name] = {}  # it may refer to itself
        fields, doc = type_texts.fields_of(class_)
        found: dict[str, Any] = {"$doc": doc} if doc else {}
        for field, (type_, default, bounds) in fields.items():
            text = self.type_text(type_, f"types.{name}.{field}")
            if default is MISSING and not bounds:
                found[field] = text
                continue
            found[field] = {
                "type": text,
                **({} if default is MISSING else {"default": self.constant(default, type_, f"types.{name}.{field}")}),
                **bounds,
            }
        if not fields:
            raise type_texts.NotInYaml(f"the class {name}, which has no fields,")
        self.types[name] = found
        return name

    def input(self, param: Param, path: str) -> Any:
        self.name(param.name, path)
        text = self.type_text(param.type, path)
        if param.default is MISSING and not param.labels:
            return text
        found: dict[str, Any] = {"type": text}
        if param.default is not MISSING:
            found["default"] = self.constant(param.default, param.type, path)
        if param.labels:
            found["labels"] = sorted(param.labels)
        return found

    # -------------------------------------------------------------- values

    def value(self, source: Source, type_: Any, path: str) -> Any:
        """A source as what stands in YAML."""
        if isinstance(source, Ref):
            return self.reference(source, path)
        if isinstance(source, Const):
            return self.constant(source.value, type_, path)
        if source.shape == "tuple" and (get_origin(type_) or type_) is not tuple:
            raise NotInYaml(path, "a tuple with variables in it can't be written", hint="pass a list, or make it in a @tool")
        if source.shape == "dict":
            if not all(isinstance(key, str) for key in source.keys) or LITERAL in source.keys:
                raise NotInYaml(path, "keys of a mapping with variables in it are texts", hint="make it in a @tool")
            inner = zip(source.keys, source.items, item_types(source, type_), strict=True)
            return {key: self.value(item, wanted, f"{path}.{key}") for key, item, wanted in inner}
        pairs = zip(source.items, item_types(source, type_), strict=True)
        return [self.value(item, wanted, f"{path}[{index}]") for index, (item, wanted) in enumerate(pairs)]

    def reference(self, source: Ref, path: str) -> str:
        for step in source.path:
            if isinstance(step, str) and not step.isidentifier():
                raise NotInYaml(path, f"{step!r:.60} below a variable can't be named", hint="look it up in a @tool")
        steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in source.path)
        return f"${source.name.removeprefix('inputs.')}{steps}"

    def constant(self, value: Any, type_: Any, path: str) -> Any:
        """A constant as plain data that its type reads back."""
        try:
            data = json.loads(dump(value, type_ if type_ is not Any else type(value)))
        except (NotSerialisable, ValueError) as error:
            raise NotInYaml(path, f"the value {value!r:.60} can't be written: {getattr(error, 'reason', error)}", hint="make it in a @tool") from None
        if type_ is Any and (type(data) is not type(value) or data != value):
            raise NotInYaml(path, f"the value {value!r:.60} is no plain data, and nothing says its type", hint="annotate the parameter")
        return {LITERAL: data} if looks_filled_in(data) else data

    # -------------------------------------------------------------- functions

    def prompt(self, prompt: Prompt[..., Any], path: str) -> str:
        """The key of a prompt under ``prompts:``."""
        text = prompt.template.source
        if text.startswith("file:") or not text.strip():
            raise NotInYaml(path, f"the text of prompt {prompt.name} would be read as a file, or is empty", hint="begin it with other words")
        found: dict[str, Any] = {"prompt": text}
        if self.type_text(prompt.returns, path) != "str":
            found["returns"] = self.type_text(prompt.returns, path)
        if prompt.params:
            found["inputs"] = {name: self.input(param, f"{path}.{name}") for name, param in prompt.params.items()}
        if prompt.system is not None:
            found["system"] = prompt.system.source
        if prompt.form != "auto":
            found["form"] = prompt.form
        if prompt.labels:
            found["labels"] = sorted(prompt.labels)
        found |= self.policy(prompt.policy, path)
        return self._shared(self.prompts, prompt.name, found, path)

    def _shared(self, block: dict[str, Any], name: str, found: dict[str, Any], path: str) -> str:
        """Put a part under a key that nobody else has; equal parts share one."""
        base = re.sub(r"\W", "_", name)
        base = base if is_name(base) else f"_{base}"
        for number in range(1, 100_000):
            key = base if number == 1 else f"{base}_{number}"
            wanted = {**found, **({} if key == name else {"name": name})}
            if block.setdefault(key, wanted) == wanted:
                return key
        raise NotInYaml(path, f"there are too many parts called {name}")

    def tool(self, tool: Any, path: str) -> str:
        """The name of a tool, which whoever loads the workflow registers again."""
        if isinstance(tool, Condition):
            raise NotInYaml(path, "a condition stands where a tool is called", hint="name the call whose condition it is")
        if not is_name(tool.name):
            code = getattr(tool.function, "__code__", None)
            place = f" ({Path(code.co_filename).name}:{code.co_firstlineno})" if code is not None else ""
            what = "a lambda" if tool.name == "<lambda>" else f"the tool {tool.name!r:.60}"
            raise NotInYaml(path, f"it calls {what}{place}, which has no name that YAML could say", hint="give it a name with def and @tool")
        known = self.tools.setdefault(tool.name, tool)
        if known is not tool and known.fingerprint() != tool.fingerprint():
            raise NotInYaml(path, f"there are two tools {tool.name}", hint="rename one: @tool(name=…)")
        return str(tool.name)

    def graph(self, graph: Graph, path: str) -> str:
        """The key of a graph under ``workflows:``."""
        key = self._keys.get(id(graph))
        if key is None:
            found = self.flow(graph, path)
            name = found.pop("name")
            key = self._keys[id(graph)] = self._shared(self.workflows, name, found, path)
        return key

    def policy(self, policy: Policy, path: str, *, base: Policy = NO_POLICY) -> dict[str, Any]:
        """What a policy says beyond another one, as keys."""
        found: dict[str, Any] = {}
        if policy.model != base.model:
            found["model"] = self._model(policy.model, path)
        if policy.fallback != base.fallback:
            found["fallback"] = [self._model(one, path) for one in policy.fallback]
        if policy.attempts != base.attempts and policy.attempts is not None:
            found["retry"] = self._retry(policy.attempts, path)
        for name in ("timeout_s", "repair", *SAMPLING, "seed", "sample", "logprobs", "cache", "extra"):
            if getattr(policy, name) != getattr(base, name):
                found[name] = getattr(policy, name)
        if policy.decode != base.decode and policy.decode is not None:
            if not isinstance(policy.decode, str | list | dict):
                raise NotInYaml(path, "a decoding rule made in Python can't be written", hint='name it: decode="python_members", or a mapping')
            found["decode"] = policy.decode
        if policy.stop != base.stop and policy.stop is not None:
            found["stop"] = list(policy.stop)
        gather = policy.gather
        if gather != base.gather:
            found["gather"] = {"all": "all", "none": "none"}.get(gather.kind) or {"at_least": gather.at_least}
        if any(value is None for value in found.values()):
            raise NotInYaml(path, "a call that takes an option of its prompt away can't be written", hint="make a prompt of its own: prompt.using(…)")
        return found

    def _model(self, model: Any, path: str) -> str:
        if not isinstance(model, str):
            raise NotInYaml(
                path, f"a model object ({type(model).__name__}) can't be written", hint="name it: model='provider:NAME', or models={…} of the run"
            )
        return model

    def _retry(self, attempts: Attempts, path: str) -> Any:
        if not isinstance(attempts.stop, int) or not isinstance(attempts.wait, int | float | None):
            raise NotInYaml(path, "a tenacity policy can't be written", hint="Attempts(stop=NUMBER, wait=SECONDS)")
        return attempts.stop if attempts.wait is None else {"attempts": attempts.stop, "wait_s": attempts.wait}

    # -------------------------------------------------------------- calls

    def call(self, call: Call, graph: Graph, path: str) -> dict[str, Any]:
        if call.kind == "when":
            return self.when(call, graph, path)
        if call.kind == "ask":
            return self.ask(call, path)
        if call.kind == "loop":
            return self.loop(call, path)
        function = call.function
        searched = graph.calls.get(_searched(call, graph))
        if searched is not None:
            return self.search(searched, call, path)
        if _is_search(function):
            return self.search(call, None, path)
        found: dict[str, Any] = {}
        if isinstance(function, Prompt):
            found["prompt"] = self.prompt(function, path)
        elif isinstance(function, Graph):
            found["workflow"] = self.graph(function, path)
        else:
            found |= self._tool_call(call, path)
        params: Mapping[str, Param] = function.params
        self._arguments(found, call, params, path)
        is_graph = isinstance(function, Graph)
        base = function.policy if isinstance(function, Prompt) else Policy(inline=call.policy.inline) if not is_graph else NO_POLICY
        found |= self.policy(call.policy, path, base=base)
        return self._labelled(found, call, getattr(function, "labels", frozenset()))

    def _tool_call(self, call: Call, path: str) -> dict[str, Any]:
        if not isinstance(call.function, Tool):
            raise NotInYaml(path, f"{call.function!r:.60} can't be written", hint="make it a @tool")
        return {"tool": self.tool(call.function, path)}

    def search(self, call: Call, taken: Call | None, path: str) -> dict[str, Any]:
        """A planner's call; ``taken`` is the call that takes its best answer out, if there is one."""
        search = call.function
        if search.key_function is not None or not search.merge:
            raise NotInYaml(
                path, "a search with a key function, or one that keeps equal states apart, can't be written", hint="give states a key() method"
            )
        name, options = _planner(search.planner.facts.name, path)
        plan: dict[str, Any] = {"planner": name, **options}
        more: dict[str, Any] = {}
        for key, step in search.steps.items():
            function = self.function(step.function, f"{path}.{key}")
            if key == "goal":
                plan[key] = self._goal(search, step, function)
            elif key == "evaluate" and (step.scale or step.together or step.samples > 1):
                own = {"samples": step.samples, "scale": dict(step.scale), "weigh": step.weighs}
                plan[key] = {
                    "vote" if step.together else "value": function,
                    **{option: value for option, value in own.items() if value and value != 1},
                }
            elif key in ("propose", "evaluate"):
                plan[key] = function
            elif key not in search.planner.facts.steps or step.function is not search.planner.facts.steps[key]:
                more[key] = function
        plan |= {"steps": more} if more else {}
        own = {"concurrency": search.concurrency, "seed": search.seed, "answers": search.answers_wanted, "max_nodes": search.max_nodes}
        usual = {"concurrency": 8, "seed": 0, "answers": 1, "max_nodes": 100_000}
        plan |= {key: value for key, value in own.items() if value != usual[key]}
        plan |= {"max_works": search.max_works} if search.max_works is not None else {}
        state = call.args.get("state", Const(search.state))
        found: dict[str, Any] = {"plan": plan, "state": self.value(state, search.params["state"].type, f"{path}.state")}
        found |= {"limit": _limit(search.limit)} if search.limit else {}
        found |= {"model": self._model(search.policy.model, path)} if search.policy.model is not None else {}
        return self._labelled(found if taken is not None else {**found, "result": "all"}, call, search.labels)

    def function(self, function: Any, path: str) -> str:
        """The name of a prompt, a graph or a tool."""
        if isinstance(function, Prompt):
            return self.prompt(function, path)
        return self.graph(function, path) if isinstance(function, Graph) else self.tool(function, path)

    def _goal(self, search: Any, step: Any, function: str) -> Any:
        kind = search.verdict.name.lower()
        usual = "claimed" if isinstance(step.function, Prompt) else "exact"
        return function if kind == usual else {kind: function}

    def _arguments(self, found: dict[str, Any], call: Call, params: Mapping[str, Param], path: str) -> None:
        given, over = {}, {}
        for name, source in call.args.items():
            type_ = params[name].type if name in params else Any
            if name in call.over:
                over[name] = self._mapped(source, type_, f"{path}.{name}")
            else:
                given[name] = self.value(source, type_, f"{path}.{name}")
        if call.kind == "prompt" or isinstance(call.function, Prompt):  # holes are filled by the variables of their names
            given = {name: value for name, value in given.items() if value != f"${name}" or params[name].default is not MISSING}
        found |= {key: block for key, block in (("with", given), ("each", over)) if block}

    def _mapped(self, source: Source, type_: Any, path: str) -> Any:
        if isinstance(source, Const):
            if not isinstance(source.value, list):
                raise NotInYaml(path, "a map over a constant that is no list can't be written", hint="pass a list")
            data = [self.constant(item, type_, path) for item in source.value]
            return (
                {LITERAL: [item[LITERAL] if isinstance(item, dict) and LITERAL in item else item for item in data]}
                if any(isinstance(item, dict) and LITERAL in item for item in data)
                else data
            )
        return self.value(source, list[type_], path)

    def _labelled(self, found: dict[str, Any], call: Call, own: frozenset[str]) -> dict[str, Any]:
        more = sorted(call.labels - own)
        return {**found, "labels": more} if more else found

    def ask(self, call: Call, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {"ask": call.question, "returns": self.type_text(call.type, path)}
        if "show" in call.args:
            found["show"] = self.value(call.args["show"], Any, f"{path}.show")
        return self._labelled(found, call, frozenset())

    def when(self, call: Call, graph: Graph, path: str) -> dict[str, Any]:
        condition = call.args["condition"]
        inner = graph.calls.get(call.name + DO)
        found: dict[str, Any] = {"when": self.condition(condition, call.name + IF, graph, path)}
        if inner is not None:
            found |= self.call(inner, graph, path)
        else:
            found["then"] = self.value(call.args["then"], Any, f"{path}.then")
        otherwise = call.args["otherwise"]
        if otherwise != Const(None):
            found["otherwise"] = self.value(otherwise, Any, f"{path}.otherwise")
        for branch in ("then", "otherwise"):
            effects = call.args.get(branch + EFFECTS)
            found |= {f"{branch}_effects": [item.name for item in effects.items if isinstance(item, Ref)]} if isinstance(effects, Many) else {}
        return self._labelled(found, call, frozenset())

    def condition(self, source: Source, name: str, graph: Graph, path: str) -> str:
        """A condition as an expression."""
        if isinstance(source, Const):
            return "true" if source.value else "false"
        call = graph.calls.get(name)
        if isinstance(source, Ref) and source.name == name and call is not None and isinstance(call.function, Condition):
            return call.function.text
        if not isinstance(source, Ref) or not all(isinstance(step, str) or step >= 0 for step in source.path):
            raise NotInYaml(f"{path}.condition", "this condition can't be written", hint="make it a call of a @tool that returns bool")
        return self.reference(source, path)[1:]

    def loop(self, call: Call, path: str) -> dict[str, Any]:
        turn: Graph = call.function
        params = turn.params
        given = {name: self.value(source, params[name].type, f"{path}.{name}") for name, source in call.args.items()}
        found: dict[str, Any] = {"loop": self.turn(turn, path), "times": call.times}
        until = turn.calls.get("until")
        if isinstance(found["loop"], str) and until is not None and isinstance(until.function, Condition):
            found["until"] = until.function.text
        if given:
            found["with"] = given
        if next(iter(params), "") != call.state:
            found["state"] = call.state
        if call.or_last and not (isinstance(found["loop"], str) and "until" not in found):
            found["or_last"] = True
        return self._labelled(found, call, frozenset())

    def turn(self, turn: Graph, path: str) -> Any:
        """What a loop repeats: a function by its name where a turn is nothing but a call of it, else the whole turn."""
        until = turn.calls.get("until")
        is_simple = isinstance(turn.output, Many) and len(turn.call_list) == 1 + (until is not None)
        first = turn.call_list[0] if turn.call_list else None
        if (
            is_simple
            and first is not None
            and until is not None
            and isinstance(until.function, Condition)
            and isinstance(first.function, Prompt | Graph | Tool)
        ):
            function = first.function
            return self.function(function, path)
        return self.flow(turn, path)


def _folded(graph: Graph) -> list[Call]:
    """The calls without those that another one stands for in YAML: ``NAME:if``, ``NAME:do`` and ``NAME:search``."""
    return [call for call in graph.call_list if not (call.name.endswith((IF, DO, SEARCH)) and call.name.partition(":")[0] in graph.calls)]


def _searched(call: Call, graph: Graph) -> str:
    """The name of the search whose best answer a call takes out; empty for all other calls."""
    found = call.args.get("found")
    is_best = isinstance(call.function, Tool) and call.function.name == "best" and isinstance(found, Ref) and not found.path
    return (
        found.name
        if isinstance(found, Ref) and is_best and found.name == f"{call.name.removesuffix(DO)}{SEARCH}" and found.name in graph.calls
        else ""
    )


def _is_search(function: Any) -> bool:
    from rookery.planners.search import Search

    return isinstance(function, Search)


def _planner(text: str, path: str) -> tuple[str, dict[str, Any]]:
    """A planner's name and its options, from how it names itself: ``beam(width=5)``."""
    try:
        call = ast.parse(text, mode="eval").body
        assert isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        options = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
    except (SyntaxError, ValueError, AssertionError):
        raise NotInYaml(path, f"the planner {text:.60} can't be written", hint="use one of rookery.planners") from None
    if call.func.id not in planner_functions():
        raise NotInYaml(path, f"the planner {text:.60} can't be written", hint=f"YAML knows {', '.join(planner_functions())}")
    return call.func.id, options


def _limit(limit: Any) -> dict[str, Any]:
    return {one.name: getattr(limit, one.name) for one in fields(limit) if getattr(limit, one.name) is not None}


def _holds_tuple(source: Source) -> bool:
    return isinstance(source, Many) and source.shape == "tuple"
