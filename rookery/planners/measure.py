"""Measures of sampled answers: pass@k without bias, with and without a filter, and how many different ideas there are among them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from math import prod
from typing import Any

from rookery.core.function import Tool, program, prompt
from rookery.errors import SearchInvalid
from rookery.planners.option import at_least


def pass_at_k(n: int, right: int, k: int) -> float:
    """The chance that of ``k`` answers drawn from ``n``, ``right`` of which are right, at least one is: 1 − C(n − right, k) / C(n, k),
    without bias (Chen et al. 2021, arXiv 2107.03374, section 2.1, equation 1).

    Raises SearchInvalid unless 0 ≤ right ≤ n and 1 ≤ k ≤ n.
    """
    if not (0 <= right <= n and 1 <= k <= n):
        raise SearchInvalid(f"pass_at_k(n={n}, right={right}, k={k}): right is at most n, and k from 1 to n")
    return 1.0 - prod(1 - k / left for left in range(n - right + 1, n + 1)) if n - right >= k else 1.0


def filtered_pass_at_k(outcomes: Iterable[tuple[bool, bool]], k: int) -> float:
    """pass@k of the answers that pass the public tests alone (PlanSearch, arXiv 2409.03733, section 5.3): ``n`` and ``right`` count only these.

    :param outcomes: for each answer whether it passes the public tests, and whether it is right.
    :param k: answers that may be handed in; where fewer are left, all of them are.

    Raises SearchInvalid for k below 1.
    """
    kept = [right for public, right in outcomes if public]
    return pass_at_k(len(kept), sum(kept), min(k, len(kept))) if kept and k >= 1 else 0.0 if k >= 1 else pass_at_k(0, 0, k)


def diversity(same: Sequence[bool]) -> float:
    """The idea diversity D: the share of pairs of answers that do not use the same idea, from 0 to 1 (PlanSearch, arXiv 2409.03733,
    section 6.1; its sentence that D is the chance of two *similar* programs has it the wrong way round).

    :param same: for each pair of answers whether they use the same idea. Without a pair D is 0.
    """
    return 1.0 - sum(same) / len(same) if same else 0.0


def effective_ideas(d: float) -> float:
    """How many equally likely ideas have this diversity: 1 / (1 − D)."""
    return 1.0 / (1.0 - d) if d < 1 else float("inf")


@prompt(form="text")
def idea_of(program: str) -> str:  # type: ignore[empty-body]
    """Describe in one or two sentences the idea by which the program below solves its problem: the algorithm and the
    observations it rests on, not its names, its style or its language.

    Program:
    {program}

    Idea:
    """


@prompt(form="text")
def same_idea(first: str, second: str) -> bool:  # type: ignore[empty-body]
    """Below are two descriptions of how a problem is solved. Do both rest on the same idea? Differences in wording,
    names and order do not count; another algorithm or another key observation does. Answer yes or no.

    First: {first}

    Second: {second}

    Answer:
    """


def idea_diversity(*, idea: Any = idea_of, same: Any = same_idea, at_most: int = 40) -> Tool[..., Any]:
    """The idea diversity D of programs, as the paper measures it: each one's idea is described, and for every pair a model says whether
    they are the same (PlanSearch, section 6.1). Gives a program of a run: ``run(idea_diversity(), programs=[…])``, a float.

    :param idea: a prompt or tool from a program (``str``) to its idea.
    :param same: a prompt or tool from two ideas to whether they are the same.
    :param at_most: only the first so many programs are compared (40 in the paper: 780 questions).

    Raises SearchInvalid for ``at_most`` below 2.
    """
    at_least(2, at_most=at_most)
    (program_name,), (first, second) = list(idea.params), list(same.params)

    async def idea_diversity(programs: list[str]) -> float:
        ideas = await idea.each(program_name, **{program_name: programs[:at_most]})
        pairs = list(combinations(ideas, 2))
        if not pairs:
            return 0.0
        return diversity(await same.each(first, second, **{first: [pair[0] for pair in pairs], second: [pair[1] for pair in pairs]}))

    return program(idea_diversity)
