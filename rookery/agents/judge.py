"""How those are asked who judge an agent's work: steps as text, and checks called with what they name."""

from __future__ import annotations

import inspect
from typing import Any

from rookery.agents.case import Case
from rookery.agents.move import Move, Seen
from rookery.core.value import codec
from rookery.planners.planner import Check
from rookery.planners.step import as_function


def steps_text(steps: tuple[Any, ...]) -> str:
    """Steps as text for a judge."""
    lines = []
    for step in steps:
        if isinstance(step, Move):
            lines += [f"{use.tool}({use.arguments})" for use in step.uses] + ([f"answer: {step.answer}"] if step.answer is not None else [])
        elif isinstance(step, Seen):
            lines.append(f"{step.tool} {'failed' if step.failed else 'gave'}: {step.text[:500]}")
    return "\n".join(lines) or "nothing yet"


async def called(function: Any, **known: Any) -> Any:
    """Call a step with those of the known values that it names; the first goes to its first parameter, whatever its name."""
    params = list(function.params)
    first, *_ = known
    given = {name: known[name] for name in params if name in known}
    if params and first not in given:
        given[params[0]] = known[first]
    value = function(**given)
    return await value if inspect.isawaitable(value) else value


async def checked(check: Any, case: Case, answer: str) -> Check:
    """What a check says of an answer."""
    value = codec(case.returns).load(answer.encode())
    said = await called(as_function(check, "goal"), answer=value, question=case.question)
    return said if isinstance(said, Check) else Check(bool(said))
