"""The tree of a search: a flat arena of nodes by id, so that looking up is O(1) and a copy is a copy of a few lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy, deepcopy
from typing import Any, TypeVar

from rookery.planners.planner import Check, Child, Choice, Work

N = TypeVar("N")
OPEN, DONE, ANSWER, PRUNED, FAILED = "open", "done", "answer", "pruned", "failed"
"""A node may still grow; has grown; is an answer; was given up by the planner; could not be proposed from."""
ROOT = 0
_MASK = (1 << 64) - 1


class Tree:
    """What a search knows. Node 0 is the root; a node's columns stand at its id.

    ``steps`` names the steps that the search was given, ``together`` says that one evaluation sees all candidates (a vote).
    """

    __slots__ = (
        "answers_wanted", "changed", "check", "children", "depth", "final", "ids", "key", "memo", "merges", "parent", "passed", "prior",
        "state", "status", "steps", "together", "told", "value", "works",
    )  # fmt: skip

    def __init__(
        self, root: Any, *, key: str = "", steps: frozenset[str] = frozenset(), together: bool = False, merges: bool = True, answers_wanted: int = 1
    ) -> None:
        self.steps = steps
        self.together = together
        self.merges = merges
        self.answers_wanted = answers_wanted
        self.state: list[Any] = []
        self.key: list[str] = []
        self.parent: list[int] = []
        self.depth: list[int] = []
        self.children: list[list[int]] = []
        self.prior: list[float | None] = []
        self.value: list[float | None] = []
        """What the planner thinks of each node; None: nothing yet."""
        self.status: list[str] = []
        self.check: list[Check | None] = []
        self.final: list[bool] = []
        self.passed: list[int] = []
        """Nodes that the goal has passed, in the order in which they were told."""
        self.ids: dict[str, int] = {}
        self.works = 0
        """Works asked so far."""
        self.told: set[int] = set()
        """Ids of the works whose results were taken in."""
        self.memo: Any = None
        """The planner's own notes; see ``notes``."""
        self.changed: dict[int, None] = {}
        """Nodes that are new or different since the search last looked."""
        self.add(-1, Child(root, key=key))

    def __len__(self) -> int:
        return len(self.parent)

    def add(self, parent: int, child: Child[Any]) -> tuple[int, bool]:
        """The node of a child and whether it is new; with ``merges`` a state that the tree has already gives the node it has."""
        if self.merges:
            known = self.ids.get(child.key)
            if known is not None and child.key:
                return known, False
        number = len(self.parent)
        self.ids[child.key] = number
        self.state.append(child.state)
        self.key.append(child.key)
        self.parent.append(parent)
        self.children.append([])
        self.prior.append(child.prior)
        self.value.append(None)
        self.check.append(child.check)
        self.final.append(child.final)
        if parent >= 0:
            self.depth.append(self.depth[parent] + 1)
            self.children[parent].append(number)
        else:
            self.depth.append(0)
        passed = child.check is not None and child.check.passed
        self.status.append(ANSWER if passed or child.final else OPEN)
        if passed:
            self.passed.append(number)
        self.changed[number] = None
        return number, True

    def mark(self, node: int, status: str) -> None:
        """Say what has become of a node; an answer stays one."""
        if self.status[node] != ANSWER and self.status[node] != status:
            self.status[node] = status
            self.changed[node] = None

    def rate(self, node: int, value: float) -> None:
        """Say what the planner thinks of a node now."""
        self.value[node] = value
        self.changed[node] = None

    def work(self, step: str, *nodes: int, sample: int = 0, temperature: float | None = None, **given: Any) -> Work:
        """The next work."""
        number = self.works
        self.works += 1
        given["sample"] = sample
        return Work(number, step, nodes, sample, temperature, given)

    def take(self, work: Work) -> bool:
        """Whether this work's result is taken in for the first time."""
        if work.id in self.told:
            return False
        self.told.add(work.id)
        return True

    def notes(self, kind: type[N]) -> N:
        """The planner's own notes, made at first use."""
        if self.memo is None:
            self.memo = kind()
        return self.memo  # type: ignore[no-any-return]

    @property
    def is_solved(self) -> bool:
        """Whether as many states as are wanted have passed the goal."""
        return len(self.passed) >= self.answers_wanted

    def way(self, node: int) -> list[int]:
        """The nodes from the root to a node, both included."""
        way: list[int] = []
        while node >= 0:
            way.append(node)
            node = self.parent[node]
        return way[::-1]

    def above(self, node: int) -> Iterator[int]:
        """A node and those above it, up to the root."""
        while node >= 0:
            yield node
            node = self.parent[node]

    def copy(self) -> Tree:
        """A tree of its own that knows the same; states are shared."""
        other = copy(self)
        for name in ("state", "key", "parent", "depth", "prior", "value", "status", "check", "final", "passed"):
            setattr(other, name, list(getattr(self, name)))
        other.children = [list(children) for children in self.children]
        other.ids, other.told, other.changed = dict(self.ids), set(self.told), dict(self.changed)
        other.memo = deepcopy(self.memo)
        return other


def mixed(seed: int, *numbers: int) -> int:
    """63 well-mixed bits of a seed and numbers (splitmix64, Steele et al. 2014); how a planner's chances are drawn."""
    z = seed & _MASK
    for number in numbers:
        z = (z + 0x9E3779B97F4A7C15 + (number & _MASK) * 0xD1342543DE82EF95) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        z ^= z >> 31
    return z >> 1


def drawn(seed: int, *numbers: int) -> float:
    """A number drawn evenly from [0, 1)."""
    return mixed(seed, *numbers) / (1 << 63)


def worth(tree: Tree, node: int) -> float:
    """What is known to speak for a node, if nothing else does: its value, else the goal's score, else its prior."""
    value = tree.value[node]
    if value is not None:
        return value
    check = tree.check[node]
    if check is not None and check.score is not None:
        return check.score
    return tree.prior[node] or 0.0


def ranked(tree: Tree, *, by: str = "", among: Sequence[int] = ()) -> Choice:
    """The usual choice: what the goal passed, in the order it was found; else answers by value; else the deepest states by value.

    ``among``: nodes that are the answers where none has passed, instead of those that are marked so.
    """
    if tree.passed:
        return Choice(list(tree.passed), "the goal")
    answers = list(among) or [node for node in range(1, len(tree)) if tree.status[node] == ANSWER]
    if not answers:
        deepest = max(tree.depth)
        answers = [node for node in range(1, len(tree)) if tree.depth[node] == deepest and tree.status[node] != PRUNED]
    if any(tree.value[node] is not None for node in answers):
        said = by or "the highest value"
    elif any(check is not None and check.score is not None for check in (tree.check[node] for node in answers)):
        said = "the goal's score"
    else:
        said = "nobody: the first proposed"
    return Choice(sorted(answers, key=lambda node: (-worth(tree, node), node)), said)
