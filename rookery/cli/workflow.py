"""The commands for workflow files: ``schema``, ``new``, ``diff``, ``export``, and ``show`` of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rookery.cli import out
from rookery.cli.load import is_workflow, load
from rookery.errors import InputError

TEMPLATES = {
    "article": """\
inputs: {topic: str, n: {type: int, default: 3}}
types:
  Section: {heading: str, body: str}
calls:
  heads:    {prompt: "List {n} section titles for an article about {topic}.", returns: "list[str]"}
  sections: {each: {title: $heads}, prompt: "Write the section {title} of an article about {topic}.", returns: Section}
  article:  {prompt: "Put these sections together:\\n{sections}"}
output: $article
""",
    "extract": """\
inputs: {texts: "list[str]"}
types:
  Row: {name: str, date: str, amount: {type: float, ge: 0, description: in euros}}
calls:
  rows: {each: {text: $texts}, prompt: "Take name, date and amount out of this text:\\n{text}", returns: Row, gather: none}
output: $rows
""",
    "approval": """\
inputs: {message: str}
calls:
  kind:  {prompt: "Is this message urgent? {message}", returns: bool}
  reply: {prompt: "Write a short, friendly reply to: {message}"}
  send:  {when: kind, ask: "Send this reply?", returns: bool, show: $reply, otherwise: false}
output: {reply: $reply, send: $send}
""",
    "agent": """\
inputs: {question: str}
tools: [calculate]
agents:
  helper: {role: "You answer questions and calculate where that helps.", tools: [calculate], limit: {calls: 10}}
calls:
  answer: {agent: helper, question: $question}
output: $answer
""",
    "search": """\
inputs: {problem: str}
prompts:
  next:  {prompt: "One next step for each of three ways to go on with: {state}", returns: "list[str]"}
  judge: {prompt: "How promising is this, from 0 to 1? {state}", returns: float}
calls:
  best: {plan: {planner: beam, width: 3, depth: 2, propose: next, evaluate: judge}, state: $problem, limit: {calls: 40}}
output: $best
""",
}
"""What ``rookery new`` writes, by name."""
_HEAD = """\
# yaml-language-server: $schema=./workflow.schema.json
# {name}: `rookery check {name}` looks at it, `rookery run {name} {inputs}` runs it.
version: 1
"""


def new(place: str, template: str, *, as_json: bool) -> None:
    """Write a workflow to begin with, and the schema for the editor beside it. Raises InputError rather than writing over a file."""
    from rookery.workflows.fault import meant
    from rookery.workflows.loading import parse
    from rookery.workflows.schema import FILE, published

    body = TEMPLATES.get(template)
    if body is None:
        raise InputError(f"there is no template {template!r}", hint=meant(template, list(TEMPLATES)))
    path = Path(place if is_workflow(place) else f"{place}.yaml")
    needed = [name for name, param in parse("version: 1\n" + body).params.items() if not _has_default(param)]
    text = _HEAD.format(name=path, inputs=" ".join(f"{name}=…" for name in needed)) + body
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
        schema = path.parent / FILE
        if not schema.exists():
            schema.write_text(published(), encoding="utf-8")
    except FileExistsError as error:
        raise InputError(f"{path} is there already", hint="choose another name") from error
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror or error}") from error
    if as_json:
        out.say_json({"file": str(path), "schema": str(schema)})
    else:
        out.say(f"{path} is written; {schema} lets your editor complete it")
        out.note(f"rookery check {path}")


def _has_default(param: object) -> bool:
    from rookery.core.graph import MISSING

    return getattr(param, "default", MISSING) is not MISSING


def schema(*, as_json: bool) -> None:
    """Print the JSON Schema of workflow files."""
    from rookery.workflows.schema import parsed, published

    if as_json:
        out.say_json(parsed())
    else:
        out.say(published().rstrip("\n"))


def diff(before: str, after: str, tools: Sequence[str], *, as_json: bool) -> None:
    """Print what differs in meaning between two programs; nothing when they mean the same."""
    from rookery.workflows.compare import difference

    one, other = (load(each, tools=tools if is_workflow(each) else ()).graph for each in (before, after))
    found = difference(one, other)
    if as_json:
        told = [{"path": each.path, "kind": each.kind, "before": each.before, "after": each.after} for each in found]
        out.say_json({"before": before, "after": after, "same": not found, "differences": told})
        return
    for each in found:
        out.say(str(each))
    out.note(f"{len(found)} difference{'' if len(found) == 1 else 's'}" if found else "they mean the same")


def export(program: str, to: Path | None, tools: Sequence[str], *, as_json: bool) -> None:
    """Write a Python graph as a workflow file, or a workflow file as Python. Raises NotInYaml, InputError."""
    loaded = load(program, tools=tools)
    if is_workflow(program):
        from rookery.workflows.python import python_of

        text = python_of(loaded.graph)
    else:
        from rookery.workflows.saving import save

        text = save(loaded.graph)
    if to is not None:
        try:
            with to.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError as error:
            raise InputError(f"{to} is there already", hint="choose another name") from error
        except OSError as error:
            raise InputError(f"{to} can't be written: {error.strerror or error}") from error
    if as_json:
        out.say_json({"program": program, "file": str(to) if to else None, "text": text})
    elif to is None:
        out.say(text.rstrip("\n"))
    else:
        out.note(f"{to} is written")


def show(place: str, form: str, tools: Sequence[str], *, as_json: bool) -> None:
    """Draw a workflow file, or a program, as text, Mermaid or SVG."""
    from rookery.core import layout

    graph = load(place, tools=tools).graph
    if form == "svg":
        from rookery.workflows.picture import svg

        picture = svg(graph)
    else:
        picture = layout.mermaid(graph) if form == "mermaid" else layout.text(graph)
    if as_json:
        out.say_json({"program": place, form: picture})
    else:
        out.say(picture)
