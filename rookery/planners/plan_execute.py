"""Plan, then execute: a plan in words becomes a typed graph of known functions, which is checked as a whole before any of it runs."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rookery.core.function import Tool, prompt
from rookery.core.graph import Function, Param
from rookery.core.types import name_of
from rookery.errors import GraphFault, GraphInvalid
from rookery.planners.call_plan import CallPlan, planned_graph, signature_text, types_text
from rookery.planners.option import at_least
from rookery.planners.step import as_function


@prompt(form="text")
def outline(task: str, inputs: list[str], functions: list[str]) -> str:
    """Plan how to do a task with the functions below, and nothing else. Say in a few numbered steps which function is called with what,
    and what becomes of its value. Do not do the task yourself.

    Functions:
    {functions}

    Known at the start:
    {inputs}

    Task:
    {task}
    """


@prompt
def wire(task: str, inputs: list[str], functions: list[str], answer_type: str, plan: str, attempt: str, faults: list[str]) -> CallPlan:
    """Write a plan as calls of the functions below. Each call has a name of its own; arguments are JSON values, or "$name" for the value of
    an earlier call or of what is known at the start ("$name.field" and "$name[0]" for a part of it; "$$" for a dollar sign at the
    beginning of a text). A reference stands alone: it is no part of a longer text. Types must fit. To call a function for each element of
    a list, name that argument in "over". Every value must be of use; the answer is the value that does the task.

    Functions:
    {functions}

    Known at the start:
    {inputs}

    Task:
    {task}

    Plan:
    {plan}

    The answer is of type {answer_type}.

    The last attempt:
    {attempt}

    What is wrong with it:
    {faults}
    """


def plan_execute(
    *, functions: Sequence[Any], returns: Any = str, inputs: Mapping[str, Any] | None = None, repairs: int = 3, model: Any = None,
    outline: Any = outline, wire: Any = wire, name: str = "plan_execute",
) -> Tool[Any, Any]:
    """Plan first, then execute (Wang et al. 2023, arXiv 2305.04091, section 2; the plan as a graph of calls: Kim et al. 2024, LLMCompiler, arXiv
    2312.04511, section 3). A model writes a plan in words, then the plan as typed calls; these become a ``Graph``, which is checked as a
    whole: nothing runs before it has no fault. Faults go back to the model, ``repairs`` times at most. Then the graph runs inside the same
    run: calls that do not wait for one another run side by side, and log, resume, limits and approvals hold for them as for any graph.

    Gives a program from ``task`` (``str``) and the ``inputs`` to a value of type ``returns``: ``run(plan_execute(functions=[…]), task="…")``,
    or a call in a graph.

    :param functions: prompts, tools, graphs and plain functions that a plan may call; nothing else can be.
    :param returns: the type of the answer.
    :param inputs: names and types of values given beside the task, which the plan may refer to.
    :param repairs: how often a plan with faults goes back.
    :param model: for the two prompts of its own, unless they name one.
    :param outline, wire: other prompts for the plan in words and for it as calls (a ``CallPlan``); each takes those parameters of the
        default one that it needs.

    Raises GraphInvalid for two functions of one name or a bad signature, SearchInvalid for ``repairs`` below 0. In a run the call fails with
    GraphInvalid, all faults at once, when the last repair is spent, and as any graph does when a call of the plan fails.
    """
    at_least(0, repairs=repairs)
    known = {function.name: function for function in (as_function(given, "function") for given in functions)}
    params = {"task": Param("task", str), **{key: Param(key, type_) for key, type_ in (inputs or {}).items()}}
    faults = _function_faults(functions, known)
    if faults:
        raise GraphInvalid(name, faults)
    told = {
        "functions": [signature_text(function) for function in known.values()] + types_text(known.values()),
        "inputs": [f"{param.name}: {name_of(param.type)}" for param in params.values()], "answer_type": name_of(returns),
    }  # fmt: skip

    async def go(**given: Any) -> Any:
        say = {"task": given["task"], **told}
        plan = await _ask(outline, say, model)
        attempt, wrong = "none", list[GraphFault]()
        for _ in range(repairs + 1):
            said = [_said(fault) for fault in wrong] or ["nothing"]
            written = await _ask(wire, {**say, "plan": plan, "attempt": attempt, "faults": said}, model)
            graph, wrong = planned_graph(written, functions=known, inputs=params, returns=returns)
            if not wrong:
                return await graph(**given)
            attempt = written.model_dump_json()
        raise GraphInvalid(name, wrong)

    return Tool(go, name=name, kind="program", signature=(params, returns))


def _said(fault: GraphFault) -> str:
    return f"{fault.path}: {fault.fault}" + (f" ({fault.hint})" if fault.hint else "")


async def _ask(step: Any, known: Mapping[str, Any], model: Any) -> Any:
    function = as_function(step, "step")
    if model is not None and getattr(function, "kind", "") == "prompt" and function.policy.model is None:
        function = function.using(model=model)
    return await function(**{key: value for key, value in known.items() if key in function.params})


def _function_faults(functions: Sequence[Any], known: Mapping[str, Function]) -> list[GraphFault]:
    faults = [GraphFault("functions", "there are two functions of one name", hint="rename one", kind="name")] if len(known) < len(functions) else []
    if not functions:
        faults.append(GraphFault("functions", "there is none", hint="a plan needs something to call", kind="unset"))
    for function in known.values():
        try:
            function.params, function.returns  # noqa: B018 - they raise where the signature is wrong
        except GraphFault as fault:
            faults.append(fault)
    return faults
