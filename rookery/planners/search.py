"""The one search call: ``search(state=…, propose=…, planner=…)``, whatever the planner; it carries out what the planner asks.

A search is a program of a run: every step is a call in its log, so it stops, resumes after a crash, forks, and is replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin

from rookery.core.function import Tool
from rookery.core.graph import MISSING, Param
from rookery.core.limit import Limit
from rookery.core.policy import NO_POLICY, Policy, using
from rookery.core.tape import is_live, is_traced
from rookery.core.types import element_type, name_of, strip
from rookery.core.variable import Variable
from rookery.errors import GraphFault, GraphInvalid, SearchInvalid
from rookery.planners.planner import Child, Planner, Verdict
from rookery.planners.result import SearchResult
from rookery.planners.step import Goal, Step, as_goal
from rookery.planners.tree import mixed

CONCURRENCY = 8
"""Works in flight at a time, unless said otherwise."""
MAX_NODES = 100_000
"""Nodes at which a search stops by itself."""


def search(
    *, planner: Planner, state: Any = MISSING, propose: Any = None, evaluate: Any = None, goal: Any = None, limit: Limit | None = None,
    model: Any = None, concurrency: int = CONCURRENCY, seed: int = 0, key: Callable[[Any], Any] | None = None, merge: bool = True,
    answers: int = 1, max_nodes: int = MAX_NODES, max_works: int | None = None, name: str = "search", **steps: Any,
) -> Any:
    """A search from ``state``: run it with ``run(search(…))``, call it in a graph, or await it in an async program.

    :param planner: what to do next: ``beam(width=5)``, ``best_of_n(8)``, ``mcts()``, … of :mod:`rookery.planners`.
    :param state: the first state; a Variable inside a graph. Without one the search is a function of a graph that takes it.
    :param propose: a prompt, tool, graph or function from a state to its next states (a list, or one). What it gives and could not
        take itself is an answer; so is what it gives where it takes an ``answer`` (to be improved), or a ``plan`` for the one thing it gives.
    :param evaluate: from a state to a number, larger is better; or ``value(…)``, ``vote(…)``.
    :param goal: from a state to whether it is a solution, a bool or a ``Check``. A prompt is only a claim; a function is exact, unless
        ``public_tests(…)`` says that it sees less than the truth. It may take the first state by the name ``root``. A plain function is
        called on every new state and should be quick.
    :param limit: caps of the search's own, within the run's.
    :param model: for the search's prompts that name none.
    :param concurrency: works in flight at a time. Level by level planners build the same tree whatever it is; those that learn from
        each result (``mcts``, ``ab_mcts``, …) the same tree for the same seed and concurrency.
    :param key: from a state to what makes two equal. Without it their own ``key()``, else their content.
    :param merge: whether equal states are one node.
    :param answers: so many states that pass the goal end the search.
    :param max_works: so many works, those of tools too, end the search (``limit: works``); None: no such cap.
    :param steps: what else the planner takes: ``reflect=``, ``observe=``, ``plan=``, …

    Gives a SearchResult. Raises GraphInvalid (all faults of the steps at once) and SearchInvalid (options) before anything runs; when it runs,
    SearchFailed where nothing at all could be carried out. A limit, a failing step or no proposals end it with a ``stop_reason``.
    """
    given = {"propose": propose, "evaluate": evaluate, "goal": goal, **steps}
    made = Search(
        planner, {name: step for name, step in given.items() if step is not None}, state=MISSING if isinstance(state, Variable) else state,
        limit=limit, model=model, concurrency=concurrency, seed=seed, key=key, merge=merge, answers=answers, max_nodes=max_nodes, max_works=max_works,
        name=name,
    )
    return made(state=state) if state is not MISSING and (is_traced() or is_live()) else made


class Search(Tool[Any, Any]):
    """A search as a function of a graph: from its first state to a SearchResult. Made by ``search``."""

    def __init__(
        self, planner: Planner, given: Mapping[str, Any], *, state: Any, limit: Limit | None, model: Any, concurrency: int, seed: int,
        key: Callable[[Any], Any] | None, merge: bool, answers: int, max_nodes: int, max_works: int | None = None, name: str,
    ) -> None:
        for option, number in (("concurrency", concurrency), ("answers", answers), ("max_nodes", max_nodes), ("max_works", max_works)):
            if number is not None and number < 1:
                raise SearchInvalid(f"{option} is {number}; it must be at least 1")

        async def go(state: Any) -> Any:
            from rookery.planners.drive import Drive

            return await Drive(self, state).run()

        super().__init__(go, name=name, kind="program", policy=using(NO_POLICY, {"model": model}) if model is not None else NO_POLICY)
        self.planner = planner
        self.state = state
        self.limit = limit
        self.concurrency = concurrency
        self.seed = seed
        self.key_function = key
        self.merge = merge
        self.answers_wanted = answers
        self.max_nodes = max_nodes
        self.max_works = max_works
        facts = planner.facts
        wanted = {**facts.steps, **given}
        self.goal_of: Goal | None = as_goal(wanted["goal"]) if "goal" in wanted else None
        if self.goal_of is not None:
            wanted["goal"] = self.goal_of
        self.steps = {name: Step.of(name, step) for name, step in wanted.items() if name in facts.needs | facts.uses or name == "goal"}
        self.unused = sorted(set(given) - set(self.steps))
        faults = self._faults(given)
        if faults:
            raise GraphInvalid(name, faults)

    @property
    def verdict(self) -> Verdict:
        """What a yes of the goal is worth."""
        return self.goal_of.verdict if self.goal_of is not None else Verdict.UNVERIFIED

    @property
    def _signature(self) -> tuple[dict[str, Param], Any]:
        return {"state": Param("state", self._state_type(), self.state)}, self._result_type()

    def _state_type(self) -> Any:
        step = self.steps.get("propose")
        if step is not None:
            return step.params.get(step.first, Any)
        return type(self.state) if self.state is not MISSING else Any

    def _result_type(self) -> Any:
        step = self.steps.get(self.planner.facts.answer_step)
        found = step.returns if step is not None else Any
        element = element_type(found)
        found = strip(found if element is None else element)
        if get_origin(found) is Child:
            found = get_args(found)[0]
        return SearchResult[Any if found is Child or isinstance(found, str) else found]  # type: ignore[misc]

    def _faults(self, given: Mapping[str, Any]) -> list[GraphFault]:
        """All that is wrong with the steps."""
        facts = self.planner.facts
        faults = [
            GraphFault(f"search.{name}", f"{facts.name} can't do without it", hint=f"pass {name}=", kind="unset")
            for name in sorted(facts.needs - set(self.steps))
        ]
        known = facts.needs | facts.uses | {"propose", "evaluate", "goal"}
        faults += [
            GraphFault(f"search.{name}", f"{facts.name} knows no step of this name", hint=f"it takes {', '.join(sorted(known))}", kind="name")
            for name in given if name not in known
        ]
        for step in self.steps.values():
            faults += step.faults(facts.gives)
        propose = self.steps.get("propose")
        is_read = propose is not None and not any(fault.path.startswith(("prompts.", "tools.")) for fault in faults)
        if is_read and propose is not None and propose.first and self.state is not MISSING and not propose.takes(self.state):
            wanted = name_of(propose.params[propose.first])
            faults.append(GraphFault("search.state", f"it is {name_of(type(self.state))}, and propose takes {wanted}", kind="type"))
        return faults

    def _body(self) -> Any:
        steps = {name: step.fingerprint() for name, step in self.steps.items()}
        return [self.planner.facts.name, self.seed, self.concurrency, steps]

    def policy_of(self, sample: int, temperature: float | None, *, logprobs: bool) -> Policy:
        """How the prompts of one call are sampled: every sample of a question has a seed of its own, the same in every search."""
        return Policy(model=self.policy.model, seed=mixed(self.seed, sample) & 0x7FFFFFFF, sample=sample, temperature=temperature,
                      logprobs=5 if logprobs else None)

    def __repr__(self) -> str:
        return f"<Search {self.name}: {self.planner.facts.name}>"
