"""Monte Carlo tree search over thoughts: UCT, with RAP's fast reward (arXiv 2305.14992) and LATS's reflection (arXiv 2310.04406)."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, log, nan, sqrt
from typing import Any, Literal

from rookery.planners.option import at_least, named, one_of
from rookery.planners.planner import Child, Choice, Facts, Planner, Result, Work
from rookery.planners.tree import ANSWER, DONE, FAILED, OPEN, ROOT, Tree, ranked, worth

DUDS = 8
"""So many proposals from the root one after another that bring nothing new end a search."""


def mcts(
    *, iterations: int = 100, exploration: float = 1.0, depth: int = 10, samples: int = 3, fast: Literal["value", "prior", "none"] = "value",
    rollout: bool = False, backup: Literal["mean", "max"] = "mean", choose: Literal["value", "visits", "vote"] = "value", lessons: int = 3,
    abreast: int = 4, temperature: float | None = None,
) -> Planner:
    """Go down where the mean reward, and little visited, promise most (UCT, Kocsis and Szepesvári 2006: mean + c · √(ln N / n)); propose
    there; give the best child's reward to all states on the way. Rewards are scaled by the range seen, so that any ``evaluate`` will do; a way
    that ends without an answer counts as the lowest. What is still in flight counts as a visit with the lowest reward (virtual loss).

    :param iterations: ways from the root at most.
    :param exploration: c.
    :param depth: levels at most.
    :param samples: proposals asked of one state at most; a further one when all below it is done. The root may be asked without bound.
    :param fast: what a child is worth that was not visited yet (RAP, section 3.3, "fast reward"): its ``value``, for which each new state is judged;
        its ``prior``, and then only the child that is visited is judged; or ``none``: each child is visited once first, in the order proposed.
    :param rollout: from a new state follow the best children to an end, as RAP and LATS do; else stop at the first.
    :param backup: a state's reward is the ``mean`` or the ``max`` of those of the ways through it (RAP).
    :param choose: where the goal passed nothing: the answer of the best ``value``, the end of the way with the most ``visits``, or a ``vote`` of
        all proposals that gave an answer, each with its reward as weight (RAP-Aggregation).
    :param lessons: with a ``reflect`` step, what was learned from the last so many failed ways is given to ``propose`` as ``lessons`` (LATS,
        section 4.2, "Reflection").
    :param abreast: ways under way at a time at most; each judges its new states side by side. More is quicker and goes less deep.
    :param temperature: of further samples; None: as the prompt has it.

    Takes ``evaluate`` and ``reflect`` (from the end of a failed way to text). Raises SearchInvalid for numbers below 1 (``exploration``,
    ``lessons`` and ``temperature``: below 0).
    """
    at_least(1, iterations=iterations, depth=depth, samples=samples, abreast=abreast)
    at_least(0, exploration=exploration, lessons=lessons, temperature=temperature)
    one_of(("value", "prior", "none"), fast=fast)
    one_of(("mean", "max"), backup=backup)
    one_of(("value", "visits", "vote"), choose=choose)
    return MCTS(iterations, exploration, depth, samples, fast, rollout, backup, choose, lessons, abreast, temperature)


@dataclass(slots=True)
class _Way:
    """One way from the root, under way."""

    nodes: list[int]
    judging: int = 0
    """Judgements that are asked and not told."""
    new: list[int] = field(default_factory=list)
    """The children of its last node that came with it."""


@dataclass(slots=True)
class _Notes:
    """Columns stand at a node's id."""

    visits: list[int] = field(default_factory=lambda: [0])
    """Those in flight included."""
    ended: list[int] = field(default_factory=lambda: [0])
    """Those not in flight."""
    paid: list[int] = field(default_factory=lambda: [0])
    """Those that ended with a reward."""
    reward: list[float] = field(default_factory=lambda: [0.0])
    """Their sum, or their maximum."""
    mean: list[float] = field(default_factory=lambda: [nan])
    """The reward of a visit, those without one as 0; of a state that was not visited its fast value, NaN where it has none of that scale."""
    share: list[float] = field(default_factory=lambda: [1.0])
    """Of the visits with a reward; 1 where ``mean`` is a fast value."""
    rarity: list[float] = field(default_factory=lambda: [1.0])
    """1 / √visits; 1 where there are none."""
    fast: list[float | None] = field(default_factory=lambda: [None])
    asked: list[int] = field(default_factory=lambda: [0])
    """Proposals asked."""
    out: list[int] = field(default_factory=lambda: [0])
    """Of these, not told yet."""
    live: list[list[int]] = field(default_factory=lambda: [[]])
    """Children that there is still something below."""
    lowest: float = inf
    highest: float = -inf
    lowest_prior: float = inf
    highest_prior: float = -inf
    ways: dict[int, _Way] = field(default_factory=dict)
    """By work."""
    to_ask: deque[tuple[_Way | None, str, int]] = field(default_factory=deque)
    """Of ways under way: the step and the node; of no way: a reflection."""
    begun: int = 0
    duds: int = 0
    lessons: list[str] = field(default_factory=list)
    votes: Counter[int] = field(default_factory=Counter)
    """How many proposals gave an answer."""
    over: str = ""


@dataclass(frozen=True)
class MCTS:
    """See ``mcts``."""

    iterations: int
    exploration: float
    depth: int
    samples: int
    fast: str
    rollout: bool
    backup: str
    choose_by: str
    lessons: int
    abreast: int
    temperature: float | None

    @property
    def facts(self) -> Facts:
        options = {name: getattr(self, name) for name in ("iterations", "exploration", "depth", "samples", "fast", "rollout", "backup")}
        return Facts(
            named("mcts", **options, choose=self.choose_by, abreast=self.abreast, temperature=self.temperature),
            uses=frozenset({"evaluate", "reflect"}),
            source="UCT (Kocsis and Szepesvári 2006); RAP, arXiv 2305.14992, section 3.3; LATS, arXiv 2310.04406, section 4",
        )

    def ask(self, tree: Tree, slots: int, seed: int) -> Sequence[Work]:
        notes = tree.notes(_Notes)
        works: list[Work] = []
        while len(works) < slots and not notes.over:
            if notes.to_ask:
                way, step, node = notes.to_ask.popleft()
                works.append(self._work(tree, notes, way, step, node))
                continue
            is_free = notes.begun < self.iterations and notes.begun - notes.ended[ROOT] < self.abreast
            nodes = self._select(tree, notes) if is_free else None
            if nodes is None:
                if not notes.ways and not works:
                    notes.over = "iterations" if notes.begun >= self.iterations else "exhausted"
                break
            notes.begun += 1
            notes.to_ask.append((_Way(nodes), "propose", nodes[-1]))
        return works

    def _work(self, tree: Tree, notes: _Notes, way: _Way | None, step: str, node: int) -> Work:
        if step != "propose" or way is None:
            work = tree.work(step, node) if step != "vote" or way is None else tree.work("evaluate", *way.new)
        else:
            sample = notes.asked[node]
            notes.asked[node] += 1
            notes.out[node] += 1
            work = tree.work("propose", node, sample=sample, temperature=self.temperature if sample else None, lessons=list(notes.lessons))
        if way is not None:
            notes.ways[work.id] = way
        return work

    def _select(self, tree: Tree, notes: _Notes) -> list[int] | None:
        """The way to the next state to propose from; None while there is none."""
        node, way = ROOT, [ROOT]
        while notes.live[node]:
            node = self._best(tree, notes, node)
            way.append(node)
        is_first = not notes.asked[node]
        if not is_first and (notes.out[node] == notes.asked[node] or not self._may_ask(notes, node)):
            return None  # its first proposal is in flight, or it was asked often enough and the answers are in flight
        for each in way:
            notes.visits[each] += 1
            self._note(tree, notes, each)
        return way

    def _may_ask(self, notes: _Notes, node: int) -> bool:
        return notes.duds < DUDS if node == ROOT else notes.asked[node] < self.samples

    def _best(self, tree: Tree, notes: _Notes, node: int) -> int:
        """The child that UCT goes to."""
        mean, share, rarity, low = notes.mean, notes.share, notes.rarity, notes.lowest
        scale = 1 / (notes.highest - low) if notes.highest > low else 0.0
        spread = self.exploration * sqrt(log(notes.visits[node] or 1))
        best, most = -1, -inf
        for child in notes.live[node]:
            score = (mean[child] - low * share[child]) * scale + spread * rarity[child] if scale else nan
            if score != score:  # NaN
                score = spread * rarity[child] + self._unscaled(tree, notes, child)
            if score > most:
                best, most = child, score
        return best

    def _unscaled(self, tree: Tree, notes: _Notes, child: int) -> float:
        """What a child promises that has no reward on the scale of the rewards, or before there is such a scale."""
        if notes.visits[child]:
            return 0.5 * notes.share[child]
        fast = notes.fast[child]
        if self._judges_all(tree):
            return 0.5
        return inf if fast is None else _scaled(fast, notes.lowest_prior, notes.highest_prior)

    def _note(self, tree: Tree, notes: _Notes, node: int) -> None:
        """Its visits, reward or fast value changed."""
        n = notes.visits[node]
        if n:
            k = notes.paid[node] if self.backup == "mean" else notes.ended[node] if notes.paid[node] else 0
            notes.share[node] = k / n
            notes.mean[node] = (notes.reward[node] if self.backup == "mean" else notes.reward[node] * k) / n if k else 0.0
            notes.rarity[node] = 1 / sqrt(n)
        else:
            fast = notes.fast[node]
            notes.mean[node] = fast if fast is not None and self._judges_all(tree) else nan

    def _judges_all(self, tree: Tree) -> bool:
        return self.fast == "value" and "evaluate" in tree.steps

    def tell(self, tree: Tree, work: Work, result: Result) -> None:
        if not tree.take(work):
            return
        notes = tree.notes(_Notes)
        way = notes.ways.pop(work.id, None)
        if way is None:
            if result.fault is None and self.lessons:
                notes.lessons = [*notes.lessons, str(result.value)][-self.lessons :]
        elif work.step == "evaluate":
            self._judged(tree, notes, way, work, result)
        else:
            self._proposed(tree, notes, way, result)

    def _judged(self, tree: Tree, notes: _Notes, way: _Way, work: Work, result: Result) -> None:
        for node, value in zip(work.nodes, result.values, strict=False):
            tree.rate(node, value)
            notes.lowest, notes.highest = min(notes.lowest, value), max(notes.highest, value)
            if self.fast == "value":
                notes.fast[node] = value
                self._note(tree, notes, node)
        way.judging -= 1
        if not way.judging:
            self._go_on(tree, notes, way)

    def _proposed(self, tree: Tree, notes: _Notes, way: _Way, result: Result) -> None:
        parent = way.nodes[-1]
        notes.out[parent] -= 1
        if result.fault is None or tree.status[parent] == OPEN:
            tree.mark(parent, DONE if result.fault is None else FAILED)
        way.new = [node for child in result.children if (node := self._added(tree, notes, parent, child)) >= 0]
        if parent == ROOT:
            notes.duds = 0 if way.new else notes.duds + 1
        to_judge = self._to_judge(tree, way)
        if tree.together and len(to_judge) > 1:
            notes.to_ask.append((way, "vote", parent))
            way.judging = 1
        else:
            notes.to_ask.extend((way, "evaluate", node) for node in to_judge)
            way.judging = len(to_judge)
        if not way.judging:
            self._go_on(tree, notes, way)

    def _added(self, tree: Tree, notes: _Notes, parent: int, child: Child[Any]) -> int:
        """The node of a new child; -1 when the tree has it already."""
        node, is_new = tree.add(parent, child)
        if tree.status[node] == ANSWER:
            notes.votes[node] += 1
        if not is_new:
            return -1
        check = tree.check[node]
        score = check.score if check is not None else None
        if score is not None:
            notes.lowest, notes.highest = min(notes.lowest, score), max(notes.highest, score)
        prior = tree.prior[node]
        if prior is not None:
            notes.lowest_prior, notes.highest_prior = min(notes.lowest_prior, prior), max(notes.highest_prior, prior)
        notes.visits.append(0)
        notes.ended.append(0)
        notes.paid.append(0)
        notes.reward.append(0.0 if self.backup == "mean" else -inf)
        notes.mean.append(nan)
        notes.share.append(1.0)
        notes.rarity.append(1.0)
        notes.fast.append(score if self._judges_all(tree) else prior if self.fast != "none" else None)
        if notes.fast[node] is not None:
            self._note(tree, notes, node)
        notes.asked.append(0)
        notes.out.append(0)
        notes.live.append([])
        if not self._is_end(tree, node):
            notes.live[parent].append(node)
        return node

    def _is_end(self, tree: Tree, node: int) -> bool:
        return tree.status[node] == ANSWER or tree.depth[node] >= self.depth

    def _to_judge(self, tree: Tree, way: _Way) -> list[int]:
        """The new children that are judged: all, or only the one that is visited."""
        if "evaluate" not in tree.steps or not way.new:
            return []
        nodes = way.new if self._judges_all(tree) or tree.together else [self._favourite(tree, way)]
        return [node for node in nodes if _score(tree, node) is None and not ("goal" in tree.steps and self._is_end(tree, node))]

    def _favourite(self, tree: Tree, way: _Way) -> int:
        """The new child that the way goes on to: what can be gone on from by its fast reward, before an end that failed."""
        has_goal = "goal" in tree.steps
        return max(way.new, key=lambda node: (not (has_goal and self._is_end(tree, node)), worth(tree, node), -node))

    def _go_on(self, tree: Tree, notes: _Notes, way: _Way) -> None:
        """All about the last proposal is known: follow the best child, or end the way with its reward."""
        node = way.nodes[-1]
        child = self._favourite(tree, way) if way.new else -1
        is_end = child < 0 or self._is_end(tree, child)
        if self.rollout and not is_end and not notes.asked[child]:
            way.nodes.append(child)
            way.new = []
            notes.visits[child] += 1
            self._note(tree, notes, child)
            notes.to_ask.append((way, "propose", child))
            return
        has_failed = tree.status[node] == FAILED
        is_dead = child < 0 and not tree.children[node] and not has_failed
        if {"goal", "reflect"} <= tree.steps and (is_dead or (child >= 0 and is_end)):
            notes.to_ask.append((None, "reflect", child if child >= 0 else node))
        self._pay(tree, notes, way, self._reward(tree, node, child))
        self._close(tree, notes, node, may_grow=bool(way.new) or has_failed)

    def _reward(self, tree: Tree, node: int, child: int) -> float | None:
        """Of a way that ended there; None: it failed."""
        if child >= 0:
            value = tree.value[child]
            return value if value is not None else _score(tree, child)
        return tree.value[node] if "goal" not in tree.steps and not tree.children[node] else None

    def _pay(self, tree: Tree, notes: _Notes, way: _Way, reward: float | None) -> None:
        for node in way.nodes:
            notes.ended[node] += 1
            if reward is not None:
                notes.paid[node] += 1
                notes.reward[node] = notes.reward[node] + reward if self.backup == "mean" else max(notes.reward[node], reward)
            self._note(tree, notes, node)

    def _close(self, tree: Tree, notes: _Notes, node: int, *, may_grow: bool) -> None:
        """Leave out a state that nothing more can come from, and those above it of which the same is true now."""
        while node != ROOT and not notes.live[node] and not notes.out[node]:
            if may_grow and notes.asked[node] < self.samples:
                return
            node, below, may_grow = tree.parent[node], node, True
            if below in notes.live[node]:
                notes.live[node].remove(below)

    def done(self, tree: Tree) -> str | None:
        if tree.is_solved:
            return "verified"
        return tree.notes(_Notes).over or None

    def choose(self, tree: Tree) -> Choice:
        notes = tree.notes(_Notes)
        if tree.passed or self.choose_by == "value" or len(tree) == 1:
            return ranked(tree)
        if self.choose_by == "vote" and notes.votes:
            weight = {node: count * _scaled(worth(tree, node), notes.lowest, notes.highest) for node, count in notes.votes.items()}
            return Choice(sorted(weight, key=lambda node: (-weight[node], node)), "most votes, weighed by reward", dict(notes.votes))
        node = ROOT
        while tree.children[node]:
            node = max(tree.children[node], key=lambda child: (notes.visits[child], worth(tree, child), -child))
        return Choice([node], "the most visited way")


def _score(tree: Tree, node: int) -> float | None:
    """What the goal says of it, where it says how near it is."""
    check = tree.check[node]
    return check.score if check is not None else None


def _scaled(value: float, lowest: float, highest: float) -> float:
    return (value - lowest) / (highest - lowest) if highest > lowest else 0.5
