"""From YAML to a graph that runs: every part of the format, on a scripted model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rookery import Graph, MemoryLog, resume, run, start, tool
from rookery.errors import CallFailed, InputError, LoopExhausted, WorkflowInvalid
from rookery.memory import Memory
from rookery.models.model import Request
from rookery.testing import ScriptedModel
from rookery.workflows import load, parse
from tests.boxes import needs_bubblewrap

ARTICLE = Path(__file__).parent / "article" / "article.yaml"


def echo(request: Request) -> str:
    return request.text.upper()


@tool
def count(items: list[str]) -> int:
    return len(items)


@tool
def is_long(text: str) -> bool:
    return len(text) > 8


@tool(effect=True)
def publish(text: str) -> str:
    published.append(text)
    return text


published: list[str] = []


def carried(source: str, *, answers: Any = echo, tools: Any = (count, is_long, publish), answer: Any = None, **inputs: Any) -> Any:
    return run(parse("version: 1\n" + source, tools=tools), model=ScriptedModel(answers), answer=answer, inputs=inputs)


def faults(source: str, **options: Any) -> list[str]:
    with pytest.raises(WorkflowInvalid) as found:
        parse("version: 1\n" + source, **options)
    return [f"{fault.place.line}:{fault.place.column} {fault.message}" for fault in found.value.faults]


def scripted_article(request: Request) -> str:
    asked = request.text
    if asked.startswith("Three angles on "):
        return json.dumps([f"{asked[16:30]} {n}" for n in range(3)])
    if asked.startswith("Score"):
        return "0.5"
    if "section titles" in asked:
        return json.dumps(["one", "two", "three"])
    return json.dumps({"heading": "h", "body": "b", "sources": [] if '"two"' in asked else ["s"]})


@needs_bubblewrap
def test_the_example_of_the_documentation_runs() -> None:
    flow = load(ARTICLE)
    model = ScriptedModel(scripted_article)
    asked: list[Any] = []
    found = run(flow, topic="rooks", user="ada", models={"default": model, "writer": model}, answer=lambda question: asked.append(question) or True)
    assert [section.heading for section in found] == ["h", "h"] and [question.question for question in asked] == ["Publish?"]
    assert flow.options["limit"].usd == 0.5 and flow.effects == ("ok",)
    assert isinstance(flow, Graph) and flow.calls["sections"].policy.timeout_s == 60


# ------------------------------------------------------------------ prompts


def test_holes_are_filled_by_inputs_and_calls_of_their_names() -> None:
    source = "inputs: {topic: str}\ncalls:\n  a: {prompt: 'on {topic}'}\n  b: {prompt: '{a}, {x}', with: {x: $a}}\noutput: $b\n"
    assert carried(source, topic="rooks") == "ON ROOKS, ON ROOKS"
    asked: list[Request] = []
    carried(source.replace("with:", "system: 'of {topic}', with:"), answers=lambda request: asked.append(request) or "x", topic="rooks")
    assert [(message.role, message.text) for message in asked[1].messages] == [("system", "of rooks"), ("user", "x, x")]


def test_what_is_in_a_value_is_never_filled_in() -> None:
    source = "inputs: {topic: str, other: str}\ncalls: {a: {prompt: 'on {topic}'}}\noutput: [$a, $other]\n"
    hostile = "{other} {{x}} $other ${HOME} `ls` {topic.__class__}"
    assert carried(source, topic=hostile, other="secret") == [f"on {hostile}".upper(), "secret"]


def test_a_prompt_of_several_lines_and_one_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "ask.md").write_text("Say {topic}\nloudly.\n")
    (tmp_path / "f.yaml").write_text("version: 1\ninputs: {topic: str}\ncalls: {a: {prompt: file:ask.md}}\noutput: $a\n")
    assert run(load(tmp_path / "f.yaml"), topic="x", model=ScriptedModel(echo)) == "SAY X\nLOUDLY."
    (tmp_path / "ask.md").write_text("Say\n{topc} loudly.\n")
    with pytest.raises(WorkflowInvalid) as found:
        load(tmp_path / "f.yaml")
    assert [str(fault.place) for fault in found.value.faults] == ["ask.md:2:1"]


def test_a_named_prompt_is_used_by_many() -> None:
    source = "inputs: {a: str, b: str}\nprompts: {loud: {prompt: 'say {x}', temperature: 0}}\ncalls:\n"
    source += "  one: {prompt: loud, with: {x: $a}}\n  two: {prompt: loud, with: {x: $b}, temperature: 1}\noutput: [$one, $two]\n"
    flow = parse("version: 1\n" + source)
    assert flow.calls["one"].function is flow.calls["two"].function
    assert (flow.calls["one"].policy.temperature, flow.calls["two"].policy.temperature) == (0, 1)
    assert run(flow, a="x", b="y", model=ScriptedModel(echo)) == ["SAY X", "SAY Y"]


def test_types_of_ones_own() -> None:
    source = (
        "types:\n"
        "  Tone: [warm, cold]\n"
        "  Leaf: {name: str, tone: Tone, size: {type: int, ge: 1, default: 2}}\n"
        "  Tree: {leaf: Leaf, inside: 'list[Tree]'}\n"
    )
    source += "calls: {a: {prompt: grow, returns: Tree}, b: {prompt: 'see {a.leaf.tone}'}}\noutput: [$a.leaf.size, $b]\n"
    tree = {"leaf": {"name": "n", "tone": "warm"}, "inside": [{"leaf": {"name": "m", "tone": "cold"}, "inside": []}]}
    assert carried(source, answers=lambda request: json.dumps(tree) if "grow" in request.text else request.text) == [2, "see warm"]
    assert faults(source.replace("a.leaf.tone", "a.leaf.tune"))[0].startswith("6:60 hole {a.leaf.tune}: Leaf has no field 'tune'")


# ------------------------------------------------------------------ each, when, loop, workflows, ask


def test_each_maps_side_by_side() -> None:
    source = (
        "inputs: {xs: 'list[str]', t: str}\n"
        "calls: {a: {each: {x: $xs}, prompt: '{x} of {t}'}, n: {tool: count, with: {items: $a}}}\n"
        "output: [$a, $n]\n"
    )
    assert carried(source, xs=["a", "b"], t="c") == [["A OF C", "B OF C"], 2]


def test_failed_elements_may_be_left_out() -> None:
    source = "inputs: {xs: 'list[str]'}\ncalls: {a: {each: {x: $xs}, prompt: '{x}', returns: int, repair: 0, gather: GATHER}}\noutput: $a\n"
    assert carried(source.replace("GATHER", "{at_least: 1}"), answers=lambda request: request.text, xs=["1", "x"]) == [1]
    assert carried(source.replace("GATHER", "none"), answers=lambda request: request.text, xs=["1", "x"]) == [1, None]
    with pytest.raises(CallFailed):
        carried(source.replace("GATHER", "all"), answers=lambda request: request.text, xs=["1", "x"])


def test_a_guarded_call_runs_only_when_its_condition_holds() -> None:
    source = "inputs: {xs: 'list[str]'}\ncalls: {a: {when: 'size(xs) > 1', prompt: 'many {xs}'}}\noutput: $a\n"
    assert carried(source, xs=["a", "b"]) == "MANY A\nB" and carried(source, xs=["a"]) is None
    flow = parse("version: 1\n" + source)
    assert flow.calls["a"].type == str | None
    other = parse("version: 1\n" + source.replace("prompt:", "otherwise: few, prompt:"))
    assert other.calls["a"].type is str and run(other, xs=[], model=ScriptedModel(echo)) == "few"


def test_one_value_or_another() -> None:
    source = "inputs: {t: str}\ncalls: {l: {tool: is_long, with: {text: $t}}, a: {when: l, then: $t, otherwise: short}}\noutput: $a\n"
    assert (carried(source, t="a long text"), carried(source, t="no")) == ("a long text", "short")


@pytest.mark.parametrize(
    "body", ["loop: grow", "loop: {prompt: '{t}+'}", "loop: {inputs: {t: str}, calls: {g: {prompt: grow, with: {t: $t}}}, output: $g}", "loop: twice"]
)
def test_a_loop_is_bounded(body: str) -> None:
    source = "inputs: {t: str}\nprompts: {grow: {prompt: '{t}+'}}\nworkflows:\n  twice: {inputs: {t: str}, calls: {g: {prompt: grow}}, output: $g}\n"
    source += f"calls: {{a: {{{body}, with: {{t: $t}}, times: 3, until: 'size(t) >= 3'}}}}\noutput: $a\n"
    assert carried(source, answers=lambda request: request.text, t="x") == "x++"
    with pytest.raises(LoopExhausted):
        carried(source.replace("times: 3", "times: 1"), answers=lambda request: request.text, t="x")
    assert carried(source.replace("times: 3", "times: 1, or_last: true"), answers=lambda request: request.text, t="x") == "x+"


def test_a_workflow_in_a_file_and_one_by_name(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text("version: 1\ninputs: {t: str}\ncalls: {a: {prompt: 'in {t}'}}\noutput: $a\n")
    source = "version: 1\ninputs: {t: str}\nworkflows: {own: {inputs: {t: str}, calls: {b: {prompt: 'own {t}'}}, output: $b}}\ncalls:\n"
    source += "  x: {workflow: file:inner.yaml, with: {t: $t}}\n  y: {workflow: own, each: {t: [a, b]}}\noutput: [$x, $y]\n"
    (tmp_path / "f.yaml").write_text(source)
    assert run(load(tmp_path / "f.yaml"), t="z", model=ScriptedModel(echo)) == ["IN Z", ["OWN A", "OWN B"]]
    (tmp_path / "inner.yaml").write_text("version: 1\ninputs: {t: str}\ncalls: {a: {workflow: file:f.yaml, with: {t: $t}}}\noutput: $a\n")
    with pytest.raises(WorkflowInvalid, match="calls itself"):
        load(tmp_path / "f.yaml")
    (tmp_path / "inner.yaml").write_text("version: 1\ninputs: {t: str}\ncalls: {a: {prompt: 'in {u}'}}\noutput: $a\n")
    with pytest.raises(WorkflowInvalid) as found:
        load(tmp_path / "f.yaml")
    assert [(Path(fault.place.file).name, fault.place.line, fault.place.column) for fault in found.value.faults] == [("inner.yaml", 3, 25)]


async def test_a_question_waits_and_an_effect_is_reached() -> None:
    source = "version: 1\ninputs: {t: str}\ncalls:\n  a: {prompt: '{t}'}\n  ok: {ask: 'Publish?', returns: bool, show: {text: $a}}\n"
    source += "  p: {when: ok, tool: publish, with: {text: $a}}\noutput: $a\neffects: [p]\n"
    published.clear()
    flow, model, log = parse(source, tools=[publish]), ScriptedModel(echo), MemoryLog()
    async with start(flow, t="x", model=model, log=log, id="r") as r:
        await r.until_waiting()
        assert not published
    async with resume("r", parse(source, tools=[publish]), model=model, log=log) as r:
        await r.until_waiting()
        r.answer("ok", True)
        assert await r == "X"
    assert published == ["X"] and len(model.requests) == 1


# ------------------------------------------------------------------ planners, agents, memory


def test_a_planner_searches() -> None:
    source = "prompts:\n  more: {prompt: 'after {state}', returns: 'list[str]'}\n  rate: {prompt: 'rate {state}', returns: float}\n"
    source += "calls: {a: {plan: {planner: beam, width: 2, depth: 2, propose: more, evaluate: rate}, state: x}}\noutput: $a\n"

    def answers(request: Request) -> str:
        word = re.match(r"\w+ (\S+)", request.text)
        assert word is not None
        return str(len(word[1]) / 10) if request.text.startswith("rate") else json.dumps([word[1] + "a", word[1] + "bb"])

    assert carried(source, answers=answers) == "xbbbb"
    whole = carried(source.replace("state: x", "state: x, result: all"), answers=answers)
    assert whole.answer == "xbbbb" and whole.planner == "beam(width=2, depth=2, samples=1, select='best')"


def test_what_is_wrong_with_a_planner_is_said_at_its_place() -> None:
    source = "prompts:\n  more: {prompt: 'after {state}', returns: 'list[str]'}\n  rate: {prompt: 'rate {state}'}\n"
    source += "calls:\n  a: {plan: {planner: beam, width: 0, propose: more, evaluate: rate}, state: x}\noutput: $a\n"
    assert faults(source) == ["6:36 width is 0; it must be at least 1"]
    assert faults(source.replace("width: 0", "width: 2")) == ["6:64 it gives str, not a number"]
    assert faults(source.replace("width: 0", "width: wide"))[0] == "6:36 width is int, not text"
    assert faults(source.replace("width: 0, ", "").replace("propose: more", "propose: mroe"))[0] == "6:38 there is no prompt, tool or workflow mroe"


def test_an_agent_and_a_team_answer() -> None:
    source = "inputs: {q: str}\nagents:\n  one: {role: You count., tools: [count], returns: int}\n  two: {role: You check.}\n"
    source += "calls:\n  a: {agent: one, question: $q}\n  b: {team: [two, one], question: $q}\noutput: [$a, $b]\n"
    flow = parse("version: 1\n" + source, tools=[count])
    assert flow.calls["a"].type is int and flow.calls["b"].type is str
    assert faults(source.replace("[count]", "[cuont]"), tools=[count]) == ["4:35 there is no tool cuont"]
    assert faults(source.replace("agent: one", "agent: oen"), tools=[count]) == ["7:14 there is no agent oen"]


async def test_memory_is_kept_and_recalled_by_scope(tmp_path: Path) -> None:
    source = (
        "version: 1\n"
        "inputs: {user: str}\n"
        "memory: {scope: 'user:{user}', path: ./m}\n"
        "calls:\n"
        "  k: {tool: keep, with: {text: The lab meets on Fridays.}}\n"
    )
    source += "  r: {tool: recall, with: {query: $k}}\noutput: $r\n"
    (tmp_path / "f.yaml").write_text(source)
    async with start(load(tmp_path / "f.yaml"), user="ada") as r:
        assert "kept" not in await r or True
    async with Memory(scope="user:ada", path=tmp_path / "m") as memory:
        assert "Fridays" in str(await memory.recall("lab"))
    async with Memory(scope="user:bob", path=tmp_path / "m") as memory:
        assert "Fridays" not in str(await memory.recall("lab"))
    assert faults(source[11:].replace("user:{user}", "user:{usr}")) == ["3:23 there is no input usr"]


# ------------------------------------------------------------------ tools


@needs_bubblewrap
def test_tools_of_a_folder_run_in_a_sandbox(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "one.py").write_text(
        "from rookery import tool\nimport os\n\n@tool(pure=True)\ndef shout(part: Part, n: int = 2) -> list[Part]:\n    'Louder.'\n"
        "    return [helper(part)] * n\n\ndef helper(x):\n    return {'text': x['text'].upper()}\n\n"
        "@tool\ndef where() -> list[str]:\n    return os.listdir('/')\n"
    )
    source = (
        "version: 1\n"
        "types: {Part: {text: str}}\n"
        "tools: [./t]\n"
        "calls: {a: {tool: shout, with: {part: {text: hi}}}, b: {tool: where}}\n"
        "output: [$a, $b]\n"
    )
    (tmp_path / "f.yaml").write_text(source)
    flow = load(tmp_path / "f.yaml")
    assert flow.calls["a"].function.pure and "helper" not in flow.shared.tools
    found, listed = run(flow)
    assert [part.text for part in found] == ["HI", "HI"] and "work" not in listed


def test_a_folder_is_never_imported(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "evil.py").write_text(f"open({str(tmp_path / 'done')!r}, 'w').close()\n\ndef go(x: str) -> str:\n    return x\n")
    (tmp_path / "f.yaml").write_text("version: 1\ntools: [./t]\ncalls: {a: {tool: go, with: {x: y}}}\noutput: $a\n")
    load(tmp_path / "f.yaml")
    assert not (tmp_path / "done").exists()


def test_what_can_be_no_tool_says_why(tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text("def go(x) -> str:\n    return x\n")
    (tmp_path / "f.yaml").write_text("version: 1\ntools: [./t.py]\ncalls: {a: {tool: go, with: {x: y}}}\noutput: $a\n")
    with pytest.raises(WorkflowInvalid, match=r"t\.py:1: x: no annotation"):
        load(tmp_path / "f.yaml")


def test_built_in_tools_and_files(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("rooks nest")
    source = (
        "version: 1\n"
        "tools: [calculate, {files: ./docs}]\n"
        "calls: {a: {tool: calculate, with: {expression: 1/3 + 2/3}}, b: {tool: read_file, with: {path: a.txt}}}\n"
        "output: [$a, $b]\n"
    )
    (tmp_path / "f.yaml").write_text(source)
    assert run(load(tmp_path / "f.yaml"))[0] == "1"
    assert faults(source[11:]) == ["2:28 ./docs can't be found: this workflow is in no file", "3:72 there is no tool read_file"]


def test_tools_of_servers_are_taken_as_said() -> None:
    source = "tools: [{mcp: {command: [uvx, mcp-server-fetch], tools: {fetch: {inputs: {url: str}, returns: str}}}}]\n"
    source += "calls:\n  a: {tool: fetch__fetch, with: {url: 5}}\n  b: {tool: fetch__other, with: {x: $a}}\noutput: $b\n"
    assert [line.partition(" ")[0] for line in faults(source)] == ["4:39"]


# ------------------------------------------------------------------ how it is carried out


def test_models_and_limits_of_the_file_hold(tmp_path: Path) -> None:
    cassette = tmp_path / "a.jsonl"
    source = (
        f"models: {{default: 'recorded:{cassette}', other: {{use: 'openai:x', api_key_env: NO_SUCH_KEY}}}}\n"
        f"limit: {{calls: 0}}\n"
        f"calls: {{a: {{prompt: hello}}}}\n"
        "output: $a\n"
    )
    flow = parse("version: 1\n" + source)
    assert flow.options["model"] == "default"
    with pytest.raises(Exception, match="calls"):
        run(flow, models={"default": ScriptedModel(echo)})
    free = parse("version: 1\n" + source.replace("limit: {calls: 0}\n", ""))
    assert run(free, models={"default": ScriptedModel(echo)}) == "HELLO" and run(free, model=ScriptedModel(lambda request: "own")) == "own"


def test_inputs_are_checked_before_anything_runs() -> None:
    with pytest.raises(InputError, match="'n'"):
        carried("inputs: {n: int}\ncalls: {a: {prompt: '{n}'}}\noutput: $a\n", n="many")


def test_a_workflow_is_called_like_any_graph() -> None:
    from rookery import graph

    inner = parse("version: 1\ninputs: {t: str}\ncalls: {a: {prompt: 'in {t}'}}\noutput: $a\n")

    @graph
    def outer(t: str) -> list[str]:
        return inner.each(t=[inner(t=t), "b"])

    assert run(outer, t="x", model=ScriptedModel(echo)) == ["IN IN X", "IN B"]


def test_all_faults_are_said_at_once() -> None:
    source = "inputs: {n: int}\ncalls:\n  a: {promt: x}\n  b: {prompt: '{c} {d}', temprature: 1}\n  e: {tool: no}\noutput: $f\n"
    assert [line.partition(" ")[0] for line in faults(source)] == ["4:7", "5:16", "5:20", "5:26", "6:13", "7:10"]
