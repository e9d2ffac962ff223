"""Both ways without loss: YAML keeps its comments, and a graph that was written comes back meaning the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator

from benchmarks.drawn_graphs import TOOLS, drawn
from benchmarks.mutations import ARTICLE
from rookery import Graph, ask, graph, loop, prompt, tool, when
from rookery.core.check import check
from rookery.errors import NotInYaml
from rookery.workflows import load, meaning, parse, same, save
from rookery.workflows.saving import data_of
from tests.core import random_graphs

MODELS = {"writer": "openai:x"}


@given(st.integers(0, 1 << 40))
@settings(max_examples=60, deadline=None)
def test_a_graph_from_python_comes_back_the_same(seed: int) -> None:
    made = drawn(seed)
    assert same(made, parse(save(made), tools=TOOLS, models=MODELS))


@given(random_graphs.programs)
@settings(max_examples=60, deadline=None)
def test_random_programs_come_back_the_same(steps: Any) -> None:
    made = random_graphs.made(steps)
    tools = [
        random_graphs.inc,
        random_graphs.add,
        random_graphs.upto,
        random_graphs.total,
        random_graphs.even,
        random_graphs.large,
        random_graphs.note,
    ]
    if not check(made):
        assert same(made, parse(save(made), tools=tools))


def test_yaml_keeps_its_comments_and_its_order(tmp_path: Path) -> None:
    source = "# the first line\nversion: 1   # of the format\n\noutput: $a\ncalls:\n  # a call\n  a: {prompt: 'x'}\n"
    (tmp_path / "f.yaml").write_text(source)
    flow = load(tmp_path / "f.yaml")
    assert save(flow) == source
    save(flow, tmp_path / "g.yaml")
    assert (tmp_path / "g.yaml").read_text() == source and [path.name for path in tmp_path.iterdir()].count("g.yaml") == 1


def test_a_workflow_that_is_written_anew_means_the_same() -> None:
    source = ARTICLE.replace("  angle:    {plan", "  angle:    {prompt: '{topic}'}\n  left:    {plan").replace(
        "tools: [calculate, {mcp", "tools: [{mcp"
    )
    lines = [
        line for line in source.splitlines() if not line.startswith(("  left:", "  asked:", "agents:", "  helper:", "memory:", "effects:", "tools:"))
    ]
    flow = parse("\n".join(lines).replace("$asked", "$better"))
    plain = Graph(flow.name, inputs=flow.params, calls=flow.call_list, output=flow.output, returns=flow.returns, effects=flow.effects)
    again = parse(save(plain), models={"writer": "openai:x"})
    assert same(plain, again), save(plain)
    assert save(again) == save(plain)


@tool
def size(text: str) -> int:
    return len(text)


@prompt
def say(text: str) -> str:
    """Say {text}."""


class Strict(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def short(cls, value: str) -> str:
        return value[:3]


@prompt
def strict(text: str) -> Strict: ...


@prompt
def bounded(n: Annotated[int, Field(ge=3)]) -> str:
    """{n}"""


shout = tool(name="shout!")(lambda text: text)


def _typed(function: Any) -> Any:
    function.__annotations__ = {"text": str, "return": str}
    return tool(function)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda text: _typed(lambda text: text)(text=text), r"calls\._lambda_|a lambda \(test_save\.py:\d+\)|'<lambda>'"),
        (lambda text: strict(text=text)["name"], "Strict's field validators"),
        (lambda text: bounded(n=5), "Ge"),
        (lambda text: say.using(model=object())(text=text), "a model object"),
        (lambda text: when(ask(bool, "?"), (text, "a")), "a tuple"),
        (lambda text: tool(name="a b")(size.function)(text=text), "'a b'"),
    ],
)
def test_what_yaml_cannot_say_is_named(make: Any, named: str) -> None:
    @graph
    def flow(text: str) -> Any:
        return make(text)

    with pytest.raises(NotInYaml, match=named):
        save(flow)


def test_two_graphs_differ_where_their_meaning_does() -> None:
    def one(text: str) -> Any:
        return loop(say, text=text, times=2)

    def other(text: str) -> Any:
        return loop(say, text=text, times=3)

    first, second = graph(one), graph(other)
    second.name = first.name
    assert same(first, first) and not same(first, second)
    assert json.dumps(meaning(first)) != json.dumps(meaning(second))


def test_what_is_written_is_pleasant() -> None:
    @graph
    def flow(topic: str, n: int = 3) -> str:
        return say(text=say(text=topic))

    flow.doc = ""
    assert save(flow).splitlines() == [
        "# yaml-language-server: $schema=./workflow.schema.json",
        "version: 1",
        "name: flow",
        "inputs:",
        "  topic: str",
        "  n: {type: int, default: 3}",
        "prompts:",
        '  say: {prompt: "Say {text}.", inputs: {text: str}}',
        "calls:",
        "  say: {prompt: say, with: {text: $topic}}",
        "  say_2: {prompt: say, with: {text: $say}}",
        "output: $say_2",
    ]
    assert data_of(flow)["version"] == 1
