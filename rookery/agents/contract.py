"""The contract of an agent's planners: they answer in the type asked for, come to an end, and do nothing again after a restart."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from rookery.agents.agent import Agent
from rookery.agents.case import AgentPlanner
from rookery.core.function import Tool, tool
from rookery.engine.door import resume, start
from rookery.engine.log import MemoryLog
from rookery.errors import AgentError, CallFailed, RookeryError
from rookery.models.model import Request
from rookery.models.scripted import ScriptedModel

ANSWER = 42
_PLAN = {"calls": [{"name": "found", "function": "measure", "arguments": {"what": "it"}}], "answer": "$found"}
Script = Callable[[Request], Any]


def obedient(request: Request) -> str:
    """What a model says to the prompts of rookery's own planners when it does as it is told: it measures, and answers with what it was told."""
    text = request.text
    if "Write a plan as calls" in text:
        return json.dumps(_PLAN)
    if "Plan how to do a task" in text:
        return "1. measure it 2. that is the answer"
    if "Is the answer right" in text:
        return json.dumps({"good": True, "lesson": ""})
    if "Answer with one number" in text:
        return "0.5"
    if "measure gave" in text:
        return json.dumps({"thought": "", "answer": ANSWER})
    return json.dumps({"thought": "", "calls": [{"tool": "measure", "arguments": {"what": "it"}}]})


async def check_agent_planner(planner: AgentPlanner, *, script: Script = obedient) -> None:
    """Check all that an agent's planner must keep, and report everything that it does not.

    :param script: what a model answers to the planner's prompts when it does as it is told; the default knows those of rookery's planners.
    :raises AssertionError: with one line for each part of the contract that is broken.
    """
    broken: list[str] = []
    for clause in (_has_a_name, _answers, _is_not_repeated, _ends, _passes_failures_on):
        try:
            await clause(planner, script)
        except AssertionError as error:
            broken.append(f"{clause.__name__.strip('_').replace('_', ' ')}: {error}")
    assert not broken, "the planner breaks its contract:\n  " + "\n  ".join(broken)


def _tool(used: list[str]) -> Tool[..., Any]:
    @tool
    async def measure(what: str) -> int:
        """Measures something."""
        used.append(what)
        return ANSWER

    return measure


async def _run(agent: Agent, log: MemoryLog, *, again: bool = False) -> Any:
    async with resume("case", agent, log=log) if again else start(agent, "How much is it?", log=log, id="case") as run:
        return await run


def _agent(planner: AgentPlanner, script: Script, used: list[str]) -> Agent:
    return Agent(model=ScriptedModel(script), tools=[_tool(used)], planner=planner, returns=int, attempts=1)


async def _has_a_name(planner: AgentPlanner, script: Script) -> None:
    assert isinstance(planner, AgentPlanner), "it has a name and pursues cases"
    assert isinstance(planner.name, str) and planner.name, "its name is a text"
    assert planner.name == planner.name, "its name stays the same"  # noqa: PLR0124 - a property may change


async def _answers(planner: AgentPlanner, script: Script) -> None:
    used: list[str] = []
    value = await _run(_agent(planner, script, used), MemoryLog())
    assert value == ANSWER, f"it gave {value!r}, where {ANSWER} is to be found with a tool"
    assert used, "it answered without the tool"


async def _is_not_repeated(planner: AgentPlanner, script: Script) -> None:
    """Broken off after every number of requests, it goes on, and the tool is not used again."""
    plain: list[str] = []
    await _run(_agent(planner, script, plain), MemoryLog())
    for most in range(1, 12):
        used, asked, is_down = list[str](), 0, True

        def failing(request: Request, most: int = most) -> Any:
            nonlocal asked
            asked += 1
            if is_down and asked > most:  # noqa: B023 - of this round
                from rookery.errors import ModelUnreachable

                return ModelUnreachable("nobody answers")
            return script(request)

        agent, log = _agent(planner, failing, used), MemoryLog()
        try:
            await _run(agent, log)
        except RookeryError:
            pass
        else:
            return  # it was never broken off
        is_down = False
        value = await _run(agent, log, again=True)
        assert value == ANSWER, f"broken off after {most} requests and resumed, it gave {value!r}"
        assert len(used) == len(plain), f"broken off after {most} requests and resumed, it used the tool {len(used)} times instead of {len(plain)}"


async def _ends(planner: AgentPlanner, script: Script) -> None:
    def circling(request: Request) -> str:
        return json.dumps({"thought": "", "calls": [{"tool": "measure", "arguments": {"what": "it"}}]})

    try:
        value = await _run(_agent(planner, circling, []), MemoryLog())
    except (AgentError, CallFailed):
        return
    raise AssertionError(f"with a model that never answers it gave {value!r} instead of an end that says why")


async def _passes_failures_on(planner: AgentPlanner, script: Script) -> None:
    def broken(request: Request) -> Any:
        return ValueError("out of order")

    try:
        value = await _run(_agent(planner, broken, []), MemoryLog())
    except RookeryError:
        return
    raise AssertionError(f"with a model that fails it gave {value!r}")
