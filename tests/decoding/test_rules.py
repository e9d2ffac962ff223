"""Rules of text: where they wake, what they let stand, and how YAML names them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from rookery import prompt, run, tool
from rookery.decoding import (
    Cursor,
    Desk,
    Facts,
    Rule,
    Site,
    Tally,
    check,
    choice,
    citations,
    file_paths,
    grammar,
    ids,
    json_schema,
    named,
    regex,
    rule_of,
    tool_names,
    units,
)
from rookery.decoding.lookup import Folder, Lookup
from rookery.decoding.monitor import Query
from rookery.decoding.rules import RULES, bound
from rookery.errors import RuleWrong
from rookery.models.model import Message, Request, ToolOffer
from rookery.testing import ScriptedModel, check_analyser, check_monitor
from tests.decoding.words import Dot


@tool
def search(query: str, kind: str = "web") -> str:
    """Search."""
    return query


OFFER = ToolOffer("paint", "Paint it.", {"type": "object", "properties": {
    "colour": {"enum": ["red", "blue"]}, "where": {"type": "object", "properties": {"side": {"enum": ["left", "right"]}, "n": {"type": "integer"}}},
    "layers": {"type": "array", "items": {"enum": ["base", "top"]}},
}})
TOOLS = tool_names([search, OFFER])


async def faults(text: str, rule: Rule) -> int:
    desk = Desk()
    try:
        return len(await check(text, rule, desk, Tally()))
    finally:
        await desk.aclose()


class Patch(BaseModel):
    file: str
    line: int


@pytest.mark.parametrize(("rule", "good", "bad"), [
    (regex(r"\d+-[a-z]+"), ["1-a", "22-bc"], ["", "1", "1-", "x1-a", "1-a!"]),
    (choice("yes", "no"), ["yes", "no"], ["", "y", "yes!", "maybe"]),
    (json_schema(Patch), ['{"file":"a","line":1}', '{"file": "a", "line": 12}'], ['{"file":"a"}', '{"file":1,"line":1}', '["a"]', "a"]),
    (json_schema({"type": "array", "items": {"type": "integer"}}), ["[]", "[1, 2]"], ["[1.5]", '["1"]', "[1"]),
    (grammar('start: "a" start "b" | "ab"'), ["ab", "aabb"], ["aab", "ba"]),
    (TOOLS, ['{"tool": "search", "arguments": {"query": "x", "kind": "y"}}', '{"name": "paint", "arguments": {"colour": "red"}}', "no call",
             '{"tool": "paint", "arguments": {"where": {"side": "left"}, "layers": ["base", "top"]}}'],
     ['{"tool": "find"}', '{"tool": "search", "arguments": {"q": 1}}', '{"name": "paint", "arguments": {"colour": "green"}}',
      '{"tool": "paint", "arguments": {"where": {"side": "up"}}}', '{"tool": "paint", "arguments": {"layers": ["base", "middle"]}}']),
    (citations(["knuth74", "lamport78"]), ["as in [@knuth74; @lamport78]", r"\cite{knuth74, lamport78}", "mail me@home"],
     ["[@nobody99]", r"\citep{knuth}"]),
    (ids([12, 345]), ['{"id": 12}', '{"id":345,"x":1}', '{"id": "12"}', '{"no": 3}'], ['{"id": 3}', '{"id": "1"}', '{"id": 123}']),
    (ids(["a-1"], field="ticket"), ['{"ticket": "a-1"}', '{"id": 3}'], ['{"ticket": "a-2"}']),
    (units(), ['{"value": 3, "unit": "kg"}', "3 apples"], ['{"unit": "stone"}']),
    (units(in_prose=True), ["about 3 kg, or 4 m."], ["about 3 apples"]),
])
async def test_a_rule_lets_stand_what_it_should_and_nothing_else(rule: Rule, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if await faults(text, rule)] == []
    assert [text for text in bad if not await faults(text, rule)] == []


async def test_paths_are_those_that_exist(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("")
    (tmp_path / "b.md").write_text("")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("")
    rule = file_paths(tmp_path)
    assert await faults('{"path": "src/a.py"}', rule) == await faults("open('b.md')", rule) == await faults("see b.txt", rule) == 0
    assert await faults('{"path": "src/b.py"}', rule) == await faults('open(".git/config")', rule) == 1
    assert await faults('{"path": "b.md"}', file_paths(tmp_path, suffixes=[".py"])) == 1
    assert await faults('{"path": "anything"}', file_paths(tmp_path / "none")) == 0, "a folder that is not there constrains nothing"


async def test_what_is_looked_up_is_what_is_there_now() -> None:
    there = ["one"]
    rule = tool_names(lambda: there)
    assert await faults('{"tool": "two"}', rule) == 1
    there.append("two")
    assert await faults('{"tool": "two"}', rule) == 0


@pytest.mark.parametrize("rule", [regex("a+"), choice("a"), TOOLS, citations(["k"]), units(), tool_names(list), file_paths(), Rule(Dot())],
                         ids=lambda rule: rule.name)
def test_monitors_keep_the_contract(rule: Rule) -> None:
    for leaf in rule.leaves:
        assert leaf.monitor is not None
        check_monitor(leaf.monitor, [Cursor(""), Cursor('{"tool": "'), Cursor("[@"), Cursor('{"unit": "'), Cursor('{"path": "'), Cursor("x.")],
                      Facts(("a", "src/a.py")))


async def test_analysers_of_plain_facts_keep_the_contract(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    query = Query("files", Cursor(""))
    there = [["a.txt"], ["a.txt"], []]
    await check_analyser(Lookup(lambda: there.pop(0)), query, unknown=query)
    assert (await Folder(str(tmp_path))().ask(query)).names == ("a.txt",)


def test_every_rule_of_the_table_can_be_made_by_name() -> None:
    options = {"regex": ["a"], "choice": ["a"], "json_schema": [{"type": "integer"}], "grammar": ['start: "a"'], "citations": [["k"]], "ids": [[1]]}
    for name in RULES:
        if name != "typestate":
            assert named(name, *options.get(name, [])).name


def test_yaml_names_rules_and_their_options() -> None:
    listed = ["python_members", {"units": {"in_prose": True}}, {"regex": "a+"}]
    rule = rule_of({"monitors": listed, "mode": "soft", "nats": 2, "budget_s": 0.1, "level": 4})
    assert [leaf.name for leaf in rule.leaves] == ["python_members", "units", "units", "regex"]
    assert rule.level == 4 and {leaf.mode.nats for leaf in rule.leaves} == {2.0} and {leaf.budget_s for leaf in rule.leaves} == {0.1}
    assert rule_of("units") == rule_of(["units"]) == units() and rule_of(units()) == units()


@pytest.mark.parametrize("make", [
    lambda: regex("("), lambda: choice(), lambda: choice(""), lambda: citations([]), lambda: ids([]), lambda: named("nope"), lambda: tool_names([3]),
    lambda: grammar("start"), lambda: json_schema({"type": 3}), lambda: citations(["a"], after="("),
    lambda: rule_of({"level": 9, "monitors": ["units"]}), lambda: rule_of([3]), lambda: rule_of({"what": 1}),
])
def test_what_makes_no_rule_is_told_at_once(make: object) -> None:
    with pytest.raises(RuleWrong):
        make()  # type: ignore[operator]


def test_a_rule_is_bound_to_the_call_and_to_the_tools_of_its_request() -> None:
    request = Request((Message.of("user", "x"),), tools=(OFFER,))
    rule = bound(tool_names() & Rule(Dot(), site=Site("{file}", "{before}{other}")), {"file": "a.py", "before": "x = {}"}, request)
    assert rule.leaves[0].monitor.tools == tool_names([OFFER]).monitor.tools  # type: ignore[union-attr]
    assert rule.leaves[1].site == Site("a.py", "x = {}{other}")


def test_a_prompt_held_to_json_of_its_type_is_repaired_by_what_the_rule_says() -> None:
    @prompt(decode=json_schema(Patch))
    def patch(issue: str) -> Patch: ...

    asked = ScriptedModel(['{"line": 3, "file": "a.py"}', json.dumps({"file": "a.py", "line": 3})])
    assert run(patch, issue="x", model=asked) == Patch(file="a.py", line=3)
    assert "JSON" in asked.requests[1].messages[-1].text
