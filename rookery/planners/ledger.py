"""Where a search loses: of many finished searches, how many could still be solved after each step, by an exact judge asked afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rookery.core.signature import read_signature
from rookery.core.value import codec
from rookery.errors import ParseFailed
from rookery.planners.planner import Verdict
from rookery.planners.result import SearchResult
from rookery.planners.tree import ANSWER, DONE


@dataclass(frozen=True, slots=True)
class Stage:
    """One step on the way to an answer, and the problems that could still be solved after it."""

    name: str
    """``all``, ``proposed``, ``kept``, ``finished`` (a right answer is among the answers) or ``ranked first``."""
    depth: int | None
    """Steps from the root, for ``proposed`` and ``kept``."""
    problems: tuple[int, ...]
    """Their places in the list of results."""

    def __len__(self) -> int:
        return len(self.problems)


@dataclass(frozen=True, slots=True)
class LossLedger:
    """The stages of many searches in their order; what one stage has and the next has not was lost between them."""

    stages: tuple[Stage, ...]

    def lost(self, place: int) -> tuple[int, ...]:
        """The problems that stage ``place`` lost."""
        return tuple(sorted(set(self.stages[place - 1].problems) - set(self.stages[place].problems))) if place > 0 else ()

    @property
    def losses(self) -> list[tuple[Stage, int]]:
        """The stages that lost something, and how many problems."""
        return [(after, len(after) - len(before)) for before, after in pairwise(self.stages) if len(after) != len(before)]

    def __str__(self) -> str:
        lines = [f"{'':<14}{'solvable':>9}{'lost':>7}"]
        for place, stage in enumerate(self.stages):
            name = stage.name if stage.depth is None else f"{stage.depth} {stage.name}"
            lost = len(self.stages[place]) - len(self.stages[place - 1]) if place else 0
            lines.append(f"{name:<14}{len(stage):>9}{lost or '':>7}")
        return "\n".join(lines)


def ledger(
    results: Sequence[SearchResult[Any]], *, solvable: Callable[[Any], bool], right: Callable[[Any], bool] | None = None, depth: int | None = None
) -> LossLedger:
    """The loss ledger of finished searches, one for each problem.

    At each depth: had a state been proposed from which the problem can be solved, and did the search go on with one (it was proposed from,
    or is among the answers)? At the end: is an answer right, and is the first? Planners never see ``solvable``; results exist after a search only.

    :param solvable: from a state to whether a solution can be reached from it, exactly. Its parameter's annotation says of what type states
        are; nodes of another type (answers of one-shot steps) stand in the last two stages only. Without one it gets plain JSON data.
    :param right: from an answer to whether it is right; without it what an exact goal or the public tests passed is.
    :param depth: the steps that are listed; without it as deep as the deepest tree.
    """
    judge = _judge(solvable)
    passes = right or (lambda _: False)
    ways = [_of(result, judge, [answer.verdict in (Verdict.EXACT, Verdict.PUBLIC_TESTS) if right is None else bool(passes(answer.state))
                                for answer in result.answers]) for result in results]
    deepest = max((way.deepest for way in ways), default=0) if depth is None else depth
    stages = [Stage("all", None, tuple(range(len(results))))]
    for level in range(1, deepest + 1):
        stages.append(_stage("proposed", level, [level in way.proposed or way.ended_by(level) for way in ways]))
        stages.append(_stage("kept", level, [level in way.kept or way.ended_by(level) for way in ways]))
    stages.append(_stage("finished", None, [way.is_finished for way in ways]))
    stages.append(_stage("ranked first", None, [way.is_first for way in ways]))
    return LossLedger(tuple(stages))


@dataclass(frozen=True, slots=True)
class _Way:
    """What one search came by: the depths at which it had a solvable state."""

    proposed: frozenset[int]
    kept: frozenset[int]
    deepest: int
    end: int | None
    """The least depth of a right answer."""
    is_finished: bool
    is_first: bool

    def ended_by(self, level: int) -> bool:
        return self.end is not None and self.end < level


def _of(result: SearchResult[Any], judge: Callable[[str], bool], rights: list[bool]) -> _Way:
    nodes = result.tree.nodes
    depth = [0] * len(nodes)
    for number, node in enumerate(nodes[1:], 1):
        depth[number] = depth[node.parent] + 1
    answers = {answer.node for answer in result.answers}
    good = [number for number in range(1, len(nodes)) if judge(result.tree.states[number])]
    kept = [number for number in good if nodes[number].status in (DONE, ANSWER) or number in answers]
    ends = [depth[answer.node] for answer, right in zip(result.answers, rights, strict=True) if right]
    return _Way(
        frozenset(depth[number] for number in good), frozenset(depth[number] for number in kept), max(depth, default=0), min(ends, default=None),
        any(rights), bool(rights) and rights[0],
    )  # fmt: skip


def _stage(name: str, depth: int | None, holds: list[bool]) -> Stage:
    return Stage(name, depth, tuple(place for place, one in enumerate(holds) if one))


def _judge(solvable: Callable[[Any], bool]) -> Callable[[str], bool]:
    """``solvable`` on a state's JSON text; each text is judged once."""
    params, _, _ = read_signature(solvable, path="ledger.solvable")
    type_ = next((param.type for param in params.values()), Any)
    load = codec(type_).load
    known: dict[str, bool] = {}

    def judge(text: str) -> bool:
        if text not in known:
            try:
                known[text] = bool(solvable(load(text.encode())))
            except ParseFailed:  # an answer of another type: no state that one could go on from
                known[text] = False
        return known[text]

    return judge
