"""The YAML reference as a page, made from the classes that the reader reads by (``python -m rookery.workflows.reference``)."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from rookery.workflows import format as form
from rookery.workflows.read import keys_of

_HEAD = """\
# Workflow YAML: the reference

Made from the format itself; [Workflows](workflows.md) is the page to begin with. `rookery schema` prints the same for editors. A key in **bold**
must be given.

```python
from rookery.workflows.schema import schema

print(sorted(schema()["properties"]))
```

| kind of value | what it is |
|---|---|
| name | letters, digits and `_`, no digit first |
| type | as Python writes it: `str`, `int`, `list[str]`, `dict[str, int]`, `Literal['a', 'b']`, `int \\| None`, or a name of `types:` |
| value | a plain value, or `$name` of an input or a call (`$name.field`, `$name[0]`). `$$` is a dollar sign; under `$value:` all stays as it is |
| template | text with holes: `{topic}`, `{section.title}`, `{rows[0]}`; `{{` and `}}` are braces. `file:NAME` reads a file beside the workflow |
| condition | CEL over the names of inputs and calls: `size(sections) > 2 && topic != ''` |
| constant | a plain value in which nothing is filled in |
"""
_TYPES = """\
## Types

Under `types:` stand fields by name (`{heading: str, sources: 'list[str]'}`; each a type or a [field](#field)), a list of choices
(`[warm, cold]`), or another type's text.
"""
_WORDS: dict[Any, str] = {
    str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "nothing", form.Name: "name", form.TypeText: "type",
    form.Expression: "condition", form.Template: "template", form.Value: "value", form.Constant: "constant",
    form.AnyType: "[type of one's own](#types)",
    form.AnyCall: "[call](#calls)",
}  # fmt: skip
_ORDER = (
    form.Workflow, form.Input, form.Field, form.Model, form.Memory, form.Tools, form.Mcp, form.Signature, form.Prompt, form.Agent, form.AgentPlanner,
    form.Flow, form.Limit, form.PromptCall, form.ToolCall, form.FlowCall, form.LoopCall, form.Turn, form.PlanCall, form.Plan, form.Judge, form.Goal,
    form.AgentCall, form.TeamCall, form.Team, form.AskCall, form.ThenCall, form.Manner, form.Retry, form.Gather, form.Decode,
)  # fmt: skip
_TITLES = {form.Workflow: "The file", form.Manner: "How a call is carried out"}


def reference() -> str:
    """The page."""
    return "\n".join([_HEAD, *_pages()])


def _pages() -> Iterator[str]:
    for spec in _ORDER:
        if spec is form.PromptCall:
            yield "## Calls\n\nA call is one of these, by the key that it has: " + ", ".join(f"`{verb}:`" for verb in form.CALLS) + ".\n"
        verb = next((verb for verb, call in form.CALLS.items() if call is spec), "")
        title = _TITLES.get(spec) or (f"{verb}:" if verb else _title(spec))
        yield f"{'###' if verb else '##'} {title}\n\n{(spec.__doc__ or '').partition(chr(10))[0]}\n"
        yield from _table(spec)
        if spec is form.Plan:
            yield _planners()
        if spec is form.Workflow:
            yield _TYPES


def _title(spec: type[form.Spec]) -> str:
    return spec.__name__


def _table(spec: type[form.Spec]) -> Iterator[str]:
    keys = keys_of(spec)
    shared = set(keys_of(form.Manner)) if issubclass(spec, form.Manner) and spec is not form.Manner else set()
    rows = [(name, key) for name, key in keys.items() if name not in shared]
    yield "| key | value | |\n|---|---|---|"
    for name, key in rows:
        default = spec.defaults.get(key.field)
        told = f" Unless said: `{default}`." if isinstance(default, str | int | float) and default != "" and not isinstance(default, bool) else ""
        yield f"| {f'**`{name}`**' if key.is_required else f'`{name}`'} | {_value(key.type)} | {key.words}{told} |"
    yield "\nAnd all of [how a call is carried out](#how-a-call-is-carried-out).\n" if shared else ""


def _value(type_: Any) -> str:
    """A type of the format in words."""
    origin, args = get_origin(type_), get_args(type_)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_value(one) for one in args if one is not type(None)))
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in args)
    if origin is list:
        return f"list of {_value(args[0])}"
    if origin is dict:
        return f"{_value(args[1])} by {'name' if args[0] is form.Name else 'key'}"
    if isinstance(type_, type) and issubclass(type_, form.Spec):
        title = _TITLES.get(type_, _title(type_)).lower()
        return f"[{title}](#{title.replace(' ', '-')})"
    return _WORDS[type_]


def _planners() -> str:
    """Each planner's own keys, which stand beside the others."""
    from rookery.workflows.planning import planner_functions

    lines = ["Beside these stand the planner's own options:\n", "| planner | options |", "|---|---|"]
    for name, function in planner_functions().items():
        options = [
            f"`{key}: {param.default}`" if param.default is not None else f"`{key}`" for key, param in inspect.signature(function).parameters.items()
        ]
        lines.append(f"| `{name}` | {', '.join(options)} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.stdout.write(reference())
