"""Best-first search: go on from the open state that looks best, wherever in the tree it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf

from rookery.planners.option import at_least, named
from rookery.planners.planner import Choice, Facts, Planner, Result, Work
from rookery.planners.tree import ANSWER, DONE, FAILED, PRUNED, ROOT, Tree, ranked, worth

DUDS = 8
"""So many further samples one after another that bring nothing new end a search."""


def best_first(
    *, width: int = 1, depth: int = 10, enough: float | None = None, prune_below: float | None = None, again: int = 64,
    reopen: float | None = None, temperature: float | None = 0.8,
) -> Planner:
    """Propose from the best open state of the whole tree, judge what is new, and so on (best-first search: Pearl, Heuristics, 1984,
    section 2.3; over thoughts: Tree of Thoughts, arXiv 2305.10601, section 3). Among equals the deepest goes first, then the first proposed.

    Every new state is held against the goal when it is proposed, before anything is judged, so that the search stops at once. With a goal,
    what can't be gone on from (answers that it does not pass, states at the last level) is not judged; nor is what it gave a score. Without a
    goal the search ends when the best open state is an answer, is at the last level, or has no next state.

    :param width: states proposed from at a time.
    :param depth: levels at most.
    :param enough: a value so good that the state is gone on from at once; its siblings are judged only when nothing else is open.
    :param prune_below: states valued below are given up.
    :param again: when no state is open, states are asked again for a further sample, those asked least and valued best first, so often at
        most in all, also with ``reopen``. Eight in a row without anything new end the search.
    :param reopen: a state that was asked stays open for a further sample, its value less by this for each it gave; the root counts
        as good as the best state seen. None: further samples are asked only when no state is open.
    :param temperature: of further samples; None: as the prompt has it.

    Takes ``evaluate``; without one a state is worth its goal's score, else its prior. Raises SearchInvalid for numbers below 1 (``again`` and
    ``temperature``: below 0).
    """
    at_least(1, width=width, depth=depth)
    at_least(0, again=again, reopen=reopen, temperature=temperature)
    at_least(-inf, enough=enough, prune_below=prune_below)
    return BestFirst(width, depth, enough, prune_below, again, reopen, temperature)


OPTIONS = ("width", "depth", "enough", "prune_below", "again", "reopen", "temperature")


@dataclass(slots=True)
class _Notes:
    open: list[tuple[float, int, int, int]] = field(default_factory=lambda: [(-inf, 0, ROOT, 0)])
    """A heap: minus the value, minus the depth, the node, its samples so far."""
    shut: list[tuple[int, float, int]] = field(default_factory=list)
    """A heap of the states that were proposed from: samples so far, minus the value, the node."""
    to_propose: deque[tuple[int, int]] = field(default_factory=deque)
    """Nodes and samples."""
    to_evaluate: deque[int] = field(default_factory=deque)
    asked: list[tuple[int, int]] = field(default_factory=list)
    """States that gave a sample and will be open again, with how many they gave."""
    highest: float = -inf
    """The best value of a state."""
    put_off: list[int] = field(default_factory=list)
    """Unjudged siblings of a state that was good enough."""
    out: int = 0
    again: int = 0
    duds: int = 0
    over: str = ""


@dataclass(frozen=True)
class BestFirst:
    """See ``best_first``."""

    width: int
    depth: int
    enough: float | None
    prune_below: float | None
    again: int
    reopen: float | None
    temperature: float | None

    @property
    def facts(self) -> Facts:
        options = {name: getattr(self, name) for name in OPTIONS}
        return Facts(named("best_first", **options), uses=frozenset({"evaluate"}), eager=self.enough is None,
                     source="best-first search (Pearl 1984, 2.3) over thoughts (arXiv 2305.10601, section 3)")  # fmt: skip

    def ask(self, tree: Tree, slots: int, seed: int) -> Sequence[Work]:
        notes = tree.notes(_Notes)
        works: list[Work] = []
        while len(works) < slots and not notes.over:
            if notes.to_evaluate and not tree.together:
                works.append(tree.work("evaluate", notes.to_evaluate.popleft()))
            elif notes.to_propose:
                node, sample = notes.to_propose.popleft()
                works.append(tree.work("propose", node, sample=sample, temperature=self.temperature if sample else None))
            elif notes.out + len(works):
                break
            elif notes.to_evaluate:
                works.append(tree.work("evaluate", *notes.to_evaluate))
                notes.to_evaluate.clear()
            else:
                self._next(tree, notes)
        notes.out += len(works)
        return works

    def _next(self, tree: Tree, notes: _Notes) -> None:
        """Which states are proposed from now."""
        for node, samples in notes.asked:
            heappush(notes.open, self._entry(tree, notes, node, samples))
        notes.asked.clear()
        while notes.open and len(notes.to_propose) < self.width:
            _, _, node, samples = heappop(notes.open)
            if samples and notes.put_off:  # a further sample costs more than to look at what is there
                heappush(notes.open, self._entry(tree, notes, node, samples))
                break
            if not samples and (tree.status[node] == ANSWER or tree.depth[node] >= self.depth):
                notes.over = "the best is an answer"
                return
            if not samples or self._may_ask_again(notes):
                notes.to_propose.append((node, samples))
        if notes.to_propose:
            return
        if notes.put_off:
            notes.to_evaluate.extend(notes.put_off)
            notes.put_off.clear()
        elif notes.shut and self._may_ask_again(notes):
            samples, _, node = heappop(notes.shut)
            notes.to_propose.append((node, samples))
        else:
            notes.over = "exhausted"

    def _may_ask_again(self, notes: _Notes) -> bool:
        """Whether there may be a further sample; it counts."""
        if notes.again >= self.again or notes.duds >= DUDS:
            return False
        notes.again += 1
        return True

    def _entry(self, tree: Tree, notes: _Notes, node: int, samples: int) -> tuple[float, int, int, int]:
        """Of the heap of what is open."""
        value = notes.highest if node == ROOT else worth(tree, node)
        return -(value - (self.reopen or 0.0) * samples), -tree.depth[node], node, samples

    def tell(self, tree: Tree, work: Work, result: Result) -> None:
        if not tree.take(work):
            return
        notes = tree.notes(_Notes)
        notes.out -= 1
        if work.step == "evaluate":
            self._judged(tree, notes, work, result)
        else:
            self._proposed(tree, notes, work, result)

    def _judged(self, tree: Tree, notes: _Notes, work: Work, result: Result) -> None:
        for node, value in zip(work.nodes, result.values, strict=False):
            tree.rate(node, value)
        for node in work.nodes:
            self._open(tree, notes, node)
            if self.enough is not None and worth(tree, node) >= self.enough:
                notes.put_off.extend(notes.to_evaluate)
                notes.to_evaluate.clear()

    def _proposed(self, tree: Tree, notes: _Notes, work: Work, result: Result) -> None:
        parent = work.node
        if parent == ROOT or result.fault is None:
            tree.mark(parent, DONE if result.fault is None else FAILED)
        judges, has_goal, found = "evaluate" in tree.steps, "goal" in tree.steps, False
        for child in result.children:
            node, is_new = tree.add(parent, child)
            if not is_new:
                continue
            found = True
            if has_goal and (tree.status[node] == ANSWER or tree.depth[node] >= self.depth):
                continue
            if judges and (child.check is None or child.check.score is None):
                notes.to_evaluate.append(node)
            else:
                self._open(tree, notes, node)
        self._asked(tree, notes, parent, work.sample, found=found)
        if not (work.sample or result.children or has_goal or result.fault) and parent != ROOT:
            tree.mark(parent, ANSWER)
            notes.over = notes.over or "the best is an answer"

    def _asked(self, tree: Tree, notes: _Notes, node: int, sample: int, *, found: bool) -> None:
        """A state gave a sample; it may give further ones."""
        if self.reopen is None:
            heappush(notes.shut, (sample + 1, -inf if node == ROOT else -worth(tree, node), node))
        elif found or not sample or node == ROOT:  # a state that gives the same again is through
            notes.asked.append((node, sample + 1))
        if sample and (self.reopen is None or node == ROOT):
            notes.duds = 0 if found else notes.duds + 1

    def _open(self, tree: Tree, notes: _Notes, node: int) -> None:
        check = tree.check[node]
        is_known = tree.value[node] is not None or (check is not None and check.score is not None)
        if is_known and self.prune_below is not None and worth(tree, node) < self.prune_below:
            tree.mark(node, PRUNED)
        elif is_known or "evaluate" not in tree.steps:
            notes.highest = max(notes.highest, worth(tree, node))
            heappush(notes.open, self._entry(tree, notes, node, 0))
        else:
            heappush(notes.open, (inf, -tree.depth[node], node, 0))  # one that could not be judged goes last

    def done(self, tree: Tree) -> str | None:
        if tree.is_solved:
            return "verified"
        return tree.notes(_Notes).over or None

    def choose(self, tree: Tree) -> Choice:
        return ranked(tree)
