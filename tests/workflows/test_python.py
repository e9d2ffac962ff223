"""A workflow as Python: the source runs, and does the same."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any

import pytest

from rookery import Graph, run
from rookery.errors import NotInYaml
from rookery.models.model import Request
from rookery.testing import ScriptedModel
from rookery.workflows import parse, python_of

TEXT = """\
version: 1
inputs: {topic: str, n: {type: int, default: 2}, better: {type: str, default: {$value: "x {{y}}"}}}
types: {Part: {$doc: One part., title: str, size: {type: int, ge: 0, default: 1}}}
prompts:
  better: {prompt: "Better: {text}", system: 'Say "it".'}
  next: {prompt: "After {state}", returns: "list[str]"}
  rate: {prompt: "Rate {state}", returns: float}
workflows: {inner: {inputs: {t: str}, calls: {a: {prompt: "in {t}"}}, output: $a}}
calls:
  last: {when: ok, then: $good, otherwise: "no"}
  heads: {prompt: "List {n} about {topic}", returns: "list[str]", temperature: 0, retry: {attempts: 2, wait_s: 1}}
  parts: {each: {title: $heads}, prompt: "Part {title} of {topic}", returns: Part, gather: {at_least: 1}}
  some:
    when: "size(parts) > 1 && topic != ''"
    prompt: |
      Sum
      {parts}
    otherwise: $topic
  good: {loop: better, with: {text: $some}, times: 3, until: "size(text) > 5", or_last: true}
  sub: {workflow: inner, each: {t: $heads}}
  plan: {plan: {planner: beam, width: 2, depth: 1, propose: next, evaluate: rate}, state: $good}
  ok: {ask: "Go on?", returns: bool, show: {a: $plan, b: "$sub[0]", c: $better}}
output: {last: $last, first: "$parts[0].title", plan: $plan}
"""


def answers(request: Request) -> str:
    words = request.messages[-1].text
    if words.startswith("List"):
        return '["a", "b"]'
    if words.startswith("Part"):
        return json.dumps({"title": words.split()[1]})
    if words.startswith("After"):
        return '["one", "three"]'
    return str(len(words)) if words.startswith("Rate") else words[:12]


def loaded(source: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = ModuleType("rookery_program_exported")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(source, vars(module))
    return module


def test_what_is_exported_runs_and_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = parse(TEXT)
    source = python_of(flow)
    compile(source, "exported.py", "exec")
    made = loaded(source, monkeypatch).workflow
    assert isinstance(made, Graph)
    found = [run(each, topic="t", model=ScriptedModel(answers), answer=lambda question: True) for each in (flow, made)]
    assert found[0] == found[1] and found[0]["plan"] == "three"


def test_what_python_cannot_say_is_named() -> None:
    loop = "{loop: {inputs: {t: str}, calls: {b: {prompt: '{t}'}}, output: {state: $b, done: true}}, with: {t: x}, times: 2}"
    with pytest.raises(NotInYaml, match="written in place"):
        python_of(parse(f"version: 1\ncalls: {{a: {loop}}}\noutput: $a\n"))
