"""The contract of planners: whatever comes back, they stay pure, tell twice the same, and come to an end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from rookery.core.event import Fault
from rookery.core.spend import Confidence, Spend
from rookery.planners.planner import Check, Child, Choice, Planner, Result, Work
from rookery.planners.tree import ROOT, Tree, drawn, mixed

MOST = 3_000
"""So many works a planner may ask in one of the worlds."""
SEEDS = (0, 7)

Carry = Callable[[Tree, Work], Result]


class World:
    """A search space to try planners on: what each step gives, by chance that hangs on the work alone."""

    def __init__(self, name: str, *, has_goal: bool = True, has_judge: bool = True, together: bool = False, root_passes: bool = False,
                 wide: int = 3, deep: int = 3, final: bool = False, faults: str = "", endless: bool = False, same: bool = False,
                 cycle: int = 0, values: Mapping[str, Any] | None = None) -> None:
        self.name, self.has_goal, self.has_judge, self.together, self.root_passes = name, has_goal, has_judge, together, root_passes
        self.wide, self.deep, self.final, self.faults, self.endless, self.same, self.cycle = wide, deep, final, faults, endless, same, cycle
        self.values = values or {}

    def tree(self, planner: Planner) -> Tree:
        facts = planner.facts
        given = {"propose", *(["evaluate"] if self.has_judge or "evaluate" in facts.needs else []), *(["goal"] if self.has_goal else [])}
        tree = Tree("0", key="0", steps=frozenset(given | facts.needs | set(facts.steps)), together=self.together)
        if self.root_passes:
            tree.check[ROOT] = Check(True)
            tree.passed.append(ROOT)
            tree.mark(ROOT, "answer")
        return tree

    def carry(self, planner: Planner) -> Carry:
        facts = planner.facts

        def carried(tree: Tree, work: Work) -> Result:
            luck = mixed(len(work.step), work.sample, *(ord(letter) for letter in tree.key[work.node]))
            spend = Spend(prompt_tokens=3, completion_tokens=2, calls=1)
            if work.step in self.faults.split() or (self.faults == "some" and drawn(luck, 1) < 0.4):
                return Result(fault=Fault("StepWrong", "evaluate gave nan"), spend=spend)
            if work.step == "evaluate":
                return Result(values=[drawn(luck, node) for node in work.nodes], spend=spend)
            if work.step not in ("propose", facts.answer_step):
                return Result(value=self.values.get(work.step, ["one", "two", "three"]), spend=spend)
            return Result(children=self._children(tree, work, luck), confidence=Confidence(-drawn(luck, 2), 3, 2 * drawn(luck, 3)), spend=spend)

        return carried

    def _children(self, tree: Tree, work: Work, luck: int) -> list[Child[str]]:
        if tree.depth[work.node] >= self.deep and not self.endless:
            return []
        children = []
        for place in range(self.wide):
            state = "1" if self.same else f"{tree.state[work.node]}.{luck % 1000}.{place}"
            if self.cycle:
                state = str(mixed(luck, place) % self.cycle)
            score = drawn(luck, place, 4)
            check = Check(False, score if self.final else None, "no") if self.has_goal else None
            children.append(Child(state, drawn(luck, place, 5) if place else None, state, check, self.final))
        return children


def worlds(values: Mapping[str, Any]) -> list[World]:
    """What planners are tried on."""
    return [
        World("three steps deep", values=values), World("no goal", has_goal=False, values=values), World("no judge", has_judge=False, values=values),
        World("neither goal nor judge", has_goal=False, has_judge=False, values=values), World("a vote", together=True, values=values),
        World("answers at once", final=True, wide=1, values=values), World("answers at once, not scored", final=True, has_goal=False, values=values),
        World("one way", wide=1, values=values), World("the root passes", root_passes=True, values=values),
        World("nothing proposed", wide=0, values=values), World("always the same", same=True, endless=True, values=values),
        World("cycles", cycle=5, endless=True, values=values), World("no end", endless=True, values=values),
        World("some failures", faults="some", values=values), World("judgements fail", faults="evaluate", values=values),
        World("proposals fail", faults="propose code", values=values),
    ]  # fmt: skip


def check_planner(factory: Callable[[], Planner], *, values: Mapping[str, Any] | None = None) -> None:
    """Check all that a Planner must keep, and report everything that it does not.

    Played on sixteen small worlds (no children, duplicates, cycles, endless children, failures, votes, …), with one work in flight and
    with several. ``values``: what its steps besides ``propose`` and ``evaluate`` give; three words where nothing is said.

    :raises AssertionError: with one line for each part of the contract that is broken.
    """
    broken: list[str] = []
    for clause in (_tells_facts, _ends, _is_pure, _continues_from_a_copy, _tells_twice):
        for world in worlds(values or {}):
            try:
                clause(factory, world)
            except AssertionError as error:
                broken.append(f"{clause.__name__.strip('_').replace('_', ' ')} ({world.name}): {error}")
    assert not broken, "the planner breaks its contract:\n  " + "\n  ".join(broken)


class _Game:
    """One planner at play in a world, work by work."""

    def __init__(self, planner: Planner, world: World, *, slots: int, seed: int = 0) -> None:
        self.planner, self.tree, self.carry, self.slots, self.seed = planner, world.tree(planner), world.carry(planner), slots, seed
        self.works: list[Work] = []
        self.pending: list[tuple[Work, Result]] = []
        self.last: tuple[Work, Result] | None = None

    def step(self) -> bool:
        """Ask for what is free, tell one result; False when there is nothing to do."""
        planner, tree = self.planner, self.tree
        if planner.done(tree) is not None or len(self.works) >= MOST:
            return False
        while len(self.pending) < self.slots:
            free = self.slots - len(self.pending)
            works = planner.ask(tree, free, self.seed)
            assert len(works) <= free, f"{len(works)} works were asked for {free} slots"
            for work in works:
                self._check(work)
                self.pending.append((work, self.carry(tree, work)))
            if not works:
                break
        if not self.pending:
            return False
        self.last = self.pending.pop(0)
        planner.tell(tree, *self.last)
        return True

    def _check(self, work: Work) -> None:
        facts, tree = self.planner.facts, self.tree
        assert work.id == len(self.works), f"works are numbered without gaps: {work.id} came at place {len(self.works)}"
        assert work.step in facts.needs | facts.uses | set(facts.steps), f"the step {work.step} is in neither needs nor uses"
        assert work.step in tree.steps, f"the step {work.step} was not given"
        assert work.nodes and all(0 <= node < len(tree) for node in work.nodes), f"nodes {work.nodes} are in the tree"
        self.works.append(work)

    def choose(self) -> Choice:
        choice = self.planner.choose(self.tree)
        nodes = list(choice.nodes)
        assert len(set(nodes)) == len(nodes) and all(0 <= node < len(self.tree) for node in nodes), f"chosen nodes {nodes[:9]} are different ones"
        assert choice.by or not nodes, "a choice says by what it was made"
        return choice


def seen(tree: Tree) -> list[Any]:
    """What a tree shows, to be compared."""
    return [tree.key, tree.parent, tree.depth, tree.children, tree.prior, tree.value, tree.status, tree.passed, tree.works, sorted(tree.told)]


def _tells_facts(factory: Callable[[], Planner], world: World) -> None:
    planner = factory()
    assert isinstance(planner, Planner), "it has facts, ask, tell, done and choose"
    before = planner.facts
    assert before.name and "(" in before.name, f"facts.name is the planner as it would be written, not {before.name!r}"
    assert before == factory().facts, "two of the same options have the same facts"
    _Game(planner, world, slots=2).step()
    assert planner.facts == before, "facts are constant"


def _ends(factory: Callable[[], Planner], world: World) -> None:
    for slots in (1, 5):
        game = _Game(factory(), world, slots=slots)
        game.choose()
        while game.step():
            if len(game.works) < 30:
                game.choose()
        reason = game.planner.done(game.tree)
        if not world.endless:
            assert len(game.works) < MOST, f"it had asked {MOST} works and was not through"
            assert reason is not None or not game.pending, f"{len(game.pending)} works are still out at the end"
        game.choose()
        _stays_done(game, reason)


def _stays_done(game: _Game, reason: str | None) -> None:
    for pending in game.pending:
        game.planner.tell(game.tree, *pending)
    if reason is not None:
        assert game.planner.done(game.tree) is not None, f"it was done ({reason}), and what came after made it undone"


def _is_pure(factory: Callable[[], Planner], world: World) -> None:
    for seed in SEEDS:
        one, other = (_Game(factory(), world, slots=3, seed=seed) for _ in range(2))
        for _ in range(120):
            going = one.step(), other.step()
            assert one.works == other.works, "the same results and the same seed give the same works"
            assert seen(one.tree) == seen(other.tree), "and the same tree"
            if not all(going):
                break
        assert one.choose() == other.choose(), "and the same choice"
    shared = factory()
    first, second = _Game(shared, world, slots=2), _Game(factory(), world, slots=2)
    beside = _Game(shared, world, slots=2, seed=3)
    for _ in range(60):
        first.step(), beside.step(), second.step()
    assert first.works == second.works, "a planner keeps nothing outside of the tree: playing two trees side by side changes neither"


def _continues_from_a_copy(factory: Callable[[], Planner], world: World) -> None:
    for steps in (0, 1, 5, 17):
        game = _Game(factory(), world, slots=3)
        for _ in range(steps):
            game.step()
        other = _Game(factory(), world, slots=3)
        other.tree, other.works, other.pending = game.tree.copy(), list(game.works), list(game.pending)
        for _ in range(25):
            game.step()
        for _ in range(25):
            other.step()
        assert game.works == other.works and seen(game.tree) == seen(other.tree), f"a copy after {steps} results goes on in another way"


def _tells_twice(factory: Callable[[], Planner], world: World) -> None:
    game, once = (_Game(factory(), world, slots=2) for _ in range(2))
    for _ in range(40):
        if not game.step() or not once.step():
            break
        assert game.last is not None
        game.planner.tell(game.tree, *deepcopy(game.last))
        assert seen(game.tree) == seen(once.tree), "a result told twice changed the tree"
    assert game.works == once.works, "a result told twice changed what is asked"
