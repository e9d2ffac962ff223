"""Plan search: search over ideas in words, then write an answer for each (PlanSearch, arXiv 2409.03733)."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from random import Random
from typing import Any

from rookery.core.template import as_text
from rookery.planners.line import ABREAST, Line, Row
from rookery.planners.option import at_least, named
from rookery.planners.plan_prompts import PROMPTS
from rookery.planners.planner import Child, Choice, Facts, Planner, Result, Work
from rookery.planners.tree import DONE, FAILED, ROOT, Tree, drawn, mixed, ranked, worth

STAGES = ("plan", "sketch", "propose", "criticise", "replan", "sketch", "propose")
"""What is done with a leaf: so its first answer is there, and checked, after three works."""
FAILED_TO = {"plan": 7, "criticise": 7, "replan": 7}
"""The stage that follows when one fails: what rests on it is left out."""


def plan_search(
    *, observations: int = 5, size: int = 2, layers: int = 2, depth: int = 10, whole: bool = False, abreast: int = ABREAST,
    temperature: float | None = None,
) -> Planner:
    """PlanSearch (Wang et al. 2024, arXiv 2409.03733, section 4 and appendix): observations about the problem; every subset of up to ``size``
    of them; new observations derived from each subset, ``layers`` deep; for each subset a plan in words, a criticism of it and a second plan;
    for both plans a sketch in pseudocode, and an answer by ``propose``, which the goal checks at once.

    ``propose`` may take ``plan``, ``sketch`` and ``observations`` by name; one that takes none of them is not led by the plans, and then this
    is a dear form of ``best_of_n``. Where it gives next states and no answers, its line is followed as there. Without ``propose`` a prompt of
    this module writes code as text. The other steps too have prompts of their own; any is replaced by name: ``observe(problem)`` and
    ``derive(problem, observations)`` give lists of text, ``plan(problem, observations)``, ``criticise(problem, plan)``,
    ``replan(problem, plan, criticism)`` and ``sketch(problem, plan)`` give text. A plan is written from all observations on its way, as in
    the paper (its code takes the last subset only).

    With n observations in every list there are l + l·(n + C(n, 2)) leaves, l = 1 + n + C(n, 2), and two answers for each. They are
    taken in an order that is good whenever it is cut off (the paper has none): subsets shuffled by the seed, each followed by one that was derived
    from it, then all others shuffled; it ends at the first answer that passes.

    :param observations: so many of each list are kept (3 to 6 in the paper).
    :param size: observations in a subset at most.
    :param layers: how deep observations are derived; 1: none are.
    :param depth: steps of a line where ``propose`` gives next states.
    :param whole: make all answers, also when one has passed: for pass@k (``pass_at_k``, ``filtered_pass_at_k``) and diversity.
    :param abreast: leaves under way at a time; what is in flight is besides bounded by the search's ``concurrency``.
    :param temperature: of all prompts; None: as each has it; 0.9 in the paper.

    Raises SearchInvalid for numbers below 1 (``size``: below 0) and for a temperature below 0.
    """
    at_least(1, observations=observations, layers=layers, depth=depth, abreast=abreast)
    at_least(0, size=size, temperature=temperature)
    return PlanSearch(observations, size, layers, depth, whole, abreast, temperature)


@dataclass(slots=True)
class _Leaf(Line):
    """A subset of observations on its way to two answers."""

    subset: int = ROOT
    """Its node; while ``is_derived``, the one that its observations are to be derived from."""
    is_derived: bool = False
    stage: int = 0
    plan: str = ""
    criticism: str = ""
    sketch: str = ""


@dataclass(slots=True)
class _Notes:
    layer: int = -1
    """0: the first observations are asked; from 1 on: the layer of subsets whose leaves are under way."""
    subsets: list[int] = field(default_factory=lambda: [ROOT])
    """Nodes of the next layer's subsets; the empty one of the first layer is the root itself."""
    coming: deque[tuple[int, bool]] = field(default_factory=deque)
    """Leaves of this layer that have not begun: a subset, and whether the leaf is to be derived from it."""
    taken: set[int] = field(default_factory=set)
    """Subsets that are leaves already."""
    begun: int = 0
    row: Row[_Leaf] = field(default_factory=Row)
    out: dict[int, _Leaf] = field(default_factory=dict)
    """By work."""
    answers: Counter[int] = field(default_factory=Counter)
    """How many plans led to each, in the order in which they were reached."""
    to_evaluate: list[int] | None = None


@dataclass(frozen=True)
class PlanSearch:
    """See ``plan_search``."""

    observations: int
    size: int
    layers: int
    depth: int
    whole: bool
    abreast: int
    temperature: float | None

    @property
    def facts(self) -> Facts:
        options = {key: getattr(self, key) for key in ("observations", "size", "layers", "depth", "whole", "abreast", "temperature")}
        return Facts(
            named("plan_search", **options), frozenset({"propose"}), frozenset({*PROMPTS, "evaluate"}), eager=True, steps=PROMPTS,
            gives=frozenset({"count", "observations", "plan", "criticism", "sketch"}), source="PlanSearch, arXiv 2409.03733, section 4",
        )

    # ---------------------------------------------------------------- asking

    def ask(self, tree: Tree, slots: int, seed: int) -> Sequence[Work]:
        notes = tree.notes(_Notes)
        if notes.layer < 0:
            notes.layer = 0
            return [tree.work("observe", ROOT, temperature=self.temperature, count=self.observations)]
        works: list[Work] = []
        while len(works) < slots and notes.layer:
            leaf = notes.row.turn(lambda: self._begin(notes))
            if leaf is not None:
                works.append(self._work(tree, notes, leaf, seed))
            elif notes.row.places:
                break
            elif not self._next_layer(notes, seed):
                return [*works, *self._end(tree, notes, slots - len(works))]
        return works

    def _next_layer(self, notes: _Notes, seed: int) -> bool:
        """Shuffle the leaves that come next: each subset, and right after it one that is derived from it."""
        subsets, notes.subsets = notes.subsets, []
        if not subsets:
            return False
        Random(mixed(seed, notes.layer)).shuffle(subsets)
        for subset in subsets:
            if subset not in notes.taken:
                notes.coming.append((subset, False))
            if notes.layer < self.layers:
                notes.coming.append((subset, True))
        notes.layer += 1
        notes.row.widen(self.abreast)
        return True

    def _begin(self, notes: _Notes) -> _Leaf | None:
        while notes.coming:
            subset, is_derived = notes.coming.popleft()
            if is_derived or subset not in notes.taken:
                notes.begun += 1
                if not is_derived:
                    notes.taken.add(subset)
                return _Leaf(notes.begun - 1, subset=subset, is_derived=is_derived)
        return None

    def _work(self, tree: Tree, notes: _Notes, leaf: _Leaf, seed: int) -> Work:
        """A leaf's next work. All steps are asked about the problem, the root; only a line of next states goes on from where it is."""
        leaf.luck = drawn(seed, leaf.number, leaf.stage, leaf.steps)
        step = "derive" if leaf.is_derived else STAGES[leaf.stage]
        known = {"plan": leaf.plan, "criticism": leaf.criticism, "sketch": leaf.sketch} if not leaf.is_derived else {"count": self.observations}
        sample = 2 * leaf.number + (leaf.stage > 2) if step == "propose" else leaf.number
        node = leaf.node if step == "propose" else ROOT
        work = tree.work(step, node, sample=sample, temperature=self.temperature, observations=_observations(tree, leaf.subset), **known)
        notes.out[work.id] = leaf
        return work

    def _end(self, tree: Tree, notes: _Notes, slots: int) -> list[Work]:
        """All answers are there; where no goal tells right from wrong, ``evaluate`` judges them."""
        if notes.to_evaluate is None:
            judges = "evaluate" in tree.steps and "goal" not in tree.steps
            notes.to_evaluate = list(notes.answers) if judges and len(notes.answers) > 1 else []
        asked = notes.to_evaluate if tree.together else notes.to_evaluate[:slots]
        notes.to_evaluate = notes.to_evaluate[len(asked) :]
        if not asked:
            return []
        return [tree.work("evaluate", *asked)] if tree.together else [tree.work("evaluate", node) for node in asked]

    # ---------------------------------------------------------------- being told

    def tell(self, tree: Tree, work: Work, result: Result) -> None:
        if not tree.take(work):
            return
        notes = tree.notes(_Notes)
        if work.step == "observe":
            notes.layer = 1
            notes.subsets += self._subsets(tree, ROOT, result.value)
        elif work.step == "evaluate":
            for node, value in zip(work.nodes, result.values, strict=False):
                tree.rate(node, value)
        else:
            leaf = notes.out.pop(work.id)
            leaf.is_out = False
            if leaf.is_derived:
                self._derived(tree, notes, leaf, result)
            else:
                self._told(tree, notes, leaf, work.step, result)

    def _subsets(self, tree: Tree, parent: int, listed: Any) -> list[int]:
        """Nodes of all subsets of new observations but the empty one, each with all observations on its way; those known already are left out."""
        known = _observations(tree, parent)
        lines = [str(line).strip() for line in (listed if isinstance(listed, list | tuple) else str(listed or "").splitlines())]
        new = [line for line in dict.fromkeys(lines) if line and line not in known][: self.observations]
        nodes = []
        for chosen in chain.from_iterable(combinations(new, size) for size in range(1, self.size + 1)):
            state = (*known, *chosen)
            node, is_new = tree.add(parent, Child(state, key="observations\n" + "\n".join(sorted(state))))
            if is_new:
                nodes.append(node)
        return nodes

    def _derived(self, tree: Tree, notes: _Notes, leaf: _Leaf, result: Result) -> None:
        nodes = self._subsets(tree, leaf.subset, result.value)
        notes.subsets += nodes
        if not nodes:
            leaf.is_over = True
            return
        leaf.subset, leaf.is_derived = nodes[int(leaf.luck * len(nodes))], False
        notes.taken.add(leaf.subset)

    def _told(self, tree: Tree, notes: _Notes, leaf: _Leaf, step: str, result: Result) -> None:
        if step == "propose":
            if not leaf.step(tree, result, self.depth, under=leaf.subset):
                return
            if leaf.node != ROOT and result.fault is None:
                notes.answers[leaf.node] += 1
            leaf.node, leaf.steps, leaf.way = ROOT, 0, {ROOT}
        elif step == "criticise":
            leaf.criticism = _text(result.value)
        elif step == "sketch":
            leaf.sketch = _text(result.value)
        else:
            leaf.plan = _text(result.value)
        if result.fault is None or step == "propose":
            leaf.stage += 1
        else:
            leaf.stage = FAILED_TO.get(step, leaf.stage + 2)
        leaf.is_over = leaf.stage >= len(STAGES)
        if leaf.is_over and leaf.subset != ROOT:
            tree.mark(leaf.subset, DONE if tree.children[leaf.subset] else FAILED)

    # ---------------------------------------------------------------- the end

    def done(self, tree: Tree) -> str | None:
        return "verified" if tree.is_solved and not self.whole else None

    def choose(self, tree: Tree) -> Choice:
        answers = tree.notes(_Notes).answers
        if not answers and not tree.passed:
            return Choice((), "")
        best = ranked(tree, among=list(answers))
        others = sorted(set(answers) - set(best.nodes), key=lambda node: (-worth(tree, node), node))
        return Choice([*best.nodes, *others], best.by, dict(answers))


def _observations(tree: Tree, node: int) -> list[str]:
    return list(tree.state[node]) if node != ROOT else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else as_text(value)
