"""The prompts that plan search has of its own. What is fixed and what is shared comes first, so that servers may keep it in their caches."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Any

from rookery.core.function import prompt


@prompt(form="lines")
def observe(problem: Any, count: int) -> list[str]:
    """Here is a problem:

    {problem}

    Do not solve it yet. List {count} observations about it that are true, not obvious and of use: a property of what is
    given, a case that is easily missed, a way to see the question differently, a technique that it lends itself to. Each one stands on
    its own and is one line; nothing else.
    """


@prompt(form="lines")
def derive(problem: Any, observations: list[str], count: int) -> list[str]:
    """Here is a problem:

    {problem}

    Do not solve it yet. Below are observations about it that are known to be true. List {count} new ones: what follows from
    them, what they give when they are put together, what they call to mind. Each one stands on its own and is one line; do not repeat
    what is known; nothing else.

    Known:
    {observations}
    """


@prompt(form="text")
def plan(problem: Any, observations: list[str]) -> str:
    """Here is a problem:

    {problem}

    Describe in plain words, step by step and without code, how to solve it completely. Rest on the observations below and quote
    each one where it is used.

    Observations:
    {observations}
    """


@prompt(form="text")
def criticise(problem: Any, plan: str) -> str:
    """Here is a problem:

    {problem}

    Below is a plan to solve it. Assume that it is wrong, or too slow, and find out why: name the step that fails, give an input for which it
    fails and what it would do there, and say how it can be mended.

    Plan:
    {plan}
    """


@prompt(form="text")
def replan(problem: Any, plan: str, criticism: str) -> str:
    """Here is a problem:

    {problem}

    Below are a plan to solve it and a criticism of that plan. Write another plan, in plain words, step by step and without code, that
    holds against the criticism. It stands on its own.

    Plan:
    {plan}

    Criticism:
    {criticism}
    """


@prompt(form="text")
def sketch(problem: Any, plan: str) -> str:
    """Here is a problem:

    {problem}

    Below is a plan to solve it. Write it as pseudocode that leaves nothing open: every case, every bound, every value that is given back.

    Plan:
    {plan}
    """


@prompt(form="text")
def code(problem: Any, plan: str, sketch: str) -> str:
    """Here is a problem:

    {problem}

    Below are a plan to solve it and the plan as pseudocode. Write the whole program, in the language that the problem asks for (Python where it
    names none). Answer with the program only: no explanation, no fence around it.

    Plan:
    {plan}

    Pseudocode:
    {sketch}
    """


PROMPTS = {"observe": observe, "derive": derive, "plan": plan, "criticise": criticise, "replan": replan, "sketch": sketch, "propose": code}
"""By the step that each stands in for."""
