"""A graph some of whose prompts say something else: for a run that is begun anew with other words."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any

from rookery.core.function import Prompt
from rookery.core.graph import Call, Graph
from rookery.core.template import Template
from rookery.errors import GraphFault, InputError


def reword(graph: Graph, words: Mapping[str, str]) -> Graph:
    """The graph with other texts for its prompts, by their names; prompts of the graphs that it calls too.

    Raises InputError for a name that no prompt of the graph has, and for a text whose holes are no parameters of the prompt.
    """
    left = set(words)
    found = _reworded(graph, words, left, {})
    if left:
        known = sorted({name for name in _names(graph, set()) if name})
        hint = f"prompts there: {', '.join(known)}" if known else "code that awaits its prompts says them itself: change the file, then fork"
        raise InputError(f"no prompt {', '.join(sorted(left))} in {graph.name}", hint=hint)
    return found


def _reworded(graph: Graph, words: Mapping[str, str], left: set[str], made: dict[int, Graph]) -> Graph:
    if id(graph) in made:
        return made[id(graph)]
    graph.name  # noqa: B018 - one that is traced later is traced now
    other = made[id(graph)] = copy(graph)
    calls = [_call(call, words, left, made) for call in graph.call_list]
    if all(new is old for new, old in zip(calls, graph.call_list, strict=True)):
        made[id(graph)] = graph
        return graph
    other.call_list = tuple(calls)
    other.calls = {call.name: call for call in calls}
    other.plan = other.description = None
    return other


def _call(call: Call, words: Mapping[str, str], left: set[str], made: dict[int, Graph]) -> Call:
    function: Any = call.function
    if isinstance(function, Prompt) and function.name in words:
        left.discard(function.name)
        return replace(call, function=_prompt(function, words[function.name]))
    if isinstance(function, Graph):
        inner = _reworded(function, words, left, made)
        return call if inner is function else replace(call, function=inner)
    return call


def _prompt(prompt: Prompt[..., Any], text: str) -> Prompt[..., Any]:
    try:
        template = Template.parse(text, path=f"prompts.{prompt.name}")
    except GraphFault as error:
        raise InputError(error.reason, hint=error.hint) from error
    unknown = sorted({hole.name for hole in template.holes} - set(prompt.params))
    if unknown:
        raise InputError(f"prompt {prompt.name} has no parameter {', '.join(unknown)}", hint=f"its holes are {', '.join(prompt.params)}")
    other = copy(prompt)
    other.source = text
    other.__dict__.pop("template", None)
    return other


def _names(graph: Graph, seen: set[int]) -> set[str]:
    if id(graph) in seen:
        return set()
    seen.add(id(graph))
    found = {call.function.name for call in graph.call_list if isinstance(call.function, Prompt)}
    for call in graph.call_list:
        if isinstance(call.function, Graph):
            found |= _names(call.function, seen)
    return found
