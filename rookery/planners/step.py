"""The steps of a search: the prompts, tools and graphs that it is given, and how each is called on nodes of the tree.

A step's first parameter takes the state. By name a step may further take ``answer`` (an answer to be improved; the state is the
root's then), ``feedback`` and ``score`` (what the goal said of it), ``path`` (the states from the root on), ``root`` (the first
state), ``lessons`` (what was learned from failures), ``sample`` (which of several draws of the same question it is, from 0 up: what a
tool that draws by chance takes as its seed), and whatever else its planner gives.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import exp, isfinite
from typing import Any

from rookery.core.function import Prompt, Tool
from rookery.core.graph import MISSING, Graph
from rookery.core.shape import accepts
from rookery.core.signature import read_signature
from rookery.core.spend import Confidence
from rookery.core.types import element_type, fits, name_of
from rookery.core.value import codec, digest
from rookery.errors import GraphFault, StepWrong
from rookery.planners.planner import Check, Child, Verdict
from rookery.planners.tree import Tree

Function = Prompt[..., Any] | Tool[..., Any] | Graph
FILLED = frozenset({"answer", "feedback", "score", "path", "root", "lessons", "sample"})
"""Parameters that the search fills in by name."""
SCALARS = (str, int, float, bool)
MOST_CHILDREN = 1_000
"""Of one proposal so many children are taken; more would fill the memory, not the tree."""


@dataclass(frozen=True)
class Evaluation:
    """How states are judged; made by ``value`` and ``vote``."""

    function: Function
    samples: int = 1
    scale: Mapping[str, float] = field(default_factory=dict)
    together: bool = False
    weighs: bool = False


@dataclass(frozen=True)
class Goal:
    """How a state is checked, and what its yes is worth; made by ``exact``, ``public_tests`` and ``claimed``."""

    function: Any
    verdict: Verdict


def value(function: Any, *, samples: int = 1, scale: Mapping[Any, float] | None = None, weigh: bool = False) -> Evaluation:
    """Judge each state alone, ``samples`` times, and add up (Tree of Thoughts, arXiv 2305.10601, section 3, "value").

    :param scale: turns words into numbers: ``{"sure": 20, "likely": 1, "impossible": 0.001}``.
    :param weigh: count a word by the model's own probability p of it: p times what it is worth, and 1 - p times what the other words
        are worth on average. One call then tells sure from nearly sure. Takes a scale, and a model with log-probabilities.
    """
    if weigh and len(scale or {}) < 2:
        raise StepWrong("weigh=True needs a scale of at least two words")
    numbers = {str(word): float(number) for word, number in (scale or {}).items()}
    return Evaluation(as_function(function, "evaluate"), _count(samples, "samples"), numbers, weighs=weigh)


def vote(function: Any, *, votes: int = 5) -> Evaluation:
    """Show all candidates together and ask for the best one's place in the list, from 1 up; a state's value is its votes
    (Tree of Thoughts, section 3, "vote")."""
    return Evaluation(as_function(function, "evaluate"), _count(votes, "votes"), together=True)


def exact(function: Any) -> Goal:
    """A goal whose yes is the truth: it sees everything there is to be seen."""
    return Goal(function, Verdict.EXACT)


def public_tests(function: Any) -> Goal:
    """A goal that runs the tests the search may see. Hidden ones belong into ``SearchResult.grade``, after the search."""
    return Goal(function, Verdict.PUBLIC_TESTS)


def claimed(function: Any) -> Goal:
    """A goal that asks a model whether its answer is right."""
    return Goal(function, Verdict.CLAIMED)


def _count(number: int, name: str) -> int:
    if number < 1:
        raise StepWrong(f"{name} is {number}; it must be at least 1")
    return number


def as_goal(given: Any) -> Goal:
    """A goal as given: a prompt is only a claim, a function is exact unless ``public_tests`` says otherwise."""
    if isinstance(given, Goal):
        return given
    return claimed(given) if isinstance(given, Prompt) or _asks_a_model(given) else exact(given)


def _asks_a_model(given: Any) -> bool:
    return isinstance(given, Graph) and any(call.kind == "prompt" or _asks_a_model(call.function) for call in given.call_list)


def as_function(given: Any, name: str) -> Function:
    """A step as a function of a graph. A plain function becomes a tool; it should be quick, or be a ``@tool`` that is not."""
    if isinstance(given, Prompt | Tool | Graph):
        return given
    if not callable(given):
        raise StepWrong(f"{name} is {given!r:.60}, not a prompt, tool, graph or function")
    params, returns, _ = read_signature(given, path=f"search.{name}")  # what is not annotated is of any type
    if returns is MISSING:
        returns = {"goal": bool | Check, "evaluate": float}.get(name, Any)
    made: Tool[..., Any] = Tool(given, name=getattr(given, "__name__", name).replace("<lambda>", name), signature=(params, returns))
    return made if inspect.iscoroutinefunction(given) else made.using(inline=True)


class Step:
    """One step as it is called."""

    def __init__(self, name: str, function: Function) -> None:
        self.name = name
        self.function = function
        self.samples = 1
        self.scale: Mapping[str, float] = {}
        self.together = False
        self.weighs = False

    @classmethod
    def of(cls, name: str, given: Any) -> Step:
        """From what a search was given under ``name``."""
        if isinstance(given, Goal):
            return cls(name, as_function(given.function, name))
        if not isinstance(given, Evaluation):
            return cls(name, as_function(given, name))
        step = cls(name, given.function)
        step.samples, step.scale, step.together, step.weighs = given.samples, given.scale, given.together, given.weighs
        return step

    @cached_property
    def params(self) -> dict[str, Any]:
        return {name: param.type for name, param in self.function.params.items()}

    @cached_property
    def first(self) -> str:
        return next(iter(self.params), "")

    @cached_property
    def returns(self) -> Any:
        return self.function.returns

    @cached_property
    def gives_answers(self) -> bool:
        """Whether what it proposes is an answer even where it is of a state's type: it takes an answer to be improved, or a plan for
        the one thing that it gives."""
        return "answer" in self.params or (bool({"plan", "sketch"} & set(self.params)) and element_type(self.returns) is None)

    def fingerprint(self) -> str:
        """What decides its value besides its arguments."""
        return self.function.name if isinstance(self.function, Graph) else self.function.fingerprint()

    def takes(self, state: Any) -> bool:
        """Whether a state is of the type that the first parameter has."""
        wanted = self.params.get(self.first)
        if type(state) in SCALARS and wanted in SCALARS:  # "12" can be made an int of, and is none
            return wanted is type(state) or (wanted is float and type(state) is int)
        return type(state) is wanted or (wanted is not None and accepts(state, wanted))

    def arguments(self, tree: Tree, nodes: tuple[int, ...], given: Mapping[str, Any]) -> dict[str, Any]:
        """What the function is called with for a work about ``nodes``."""
        node = nodes[0]
        if self.first in given and self.first != "sample":
            state: Any = given[self.first]
        elif self.together:
            state = [tree.state[one] for one in nodes]
        else:
            is_answer = tree.final[node] and not (self.name in ("goal", "evaluate") or self.takes(tree.state[node]))
            state = tree.state[0 if is_answer or ("answer" in self.params and self.first != "answer" and node) else node]
        known = {self.first: state} if self.first else {}
        check = tree.check[node]
        for name in self.params:
            if name == self.first:
                continue
            if name in given:
                known[name] = given[name]
            elif name not in FILLED:
                continue
            elif name == "answer" and node and not self.together:
                known[name] = tree.state[node]
            elif name == "path":
                known[name] = [tree.state[one] for one in tree.way(node)]
            elif name == "root":
                known[name] = tree.state[0]
            elif check is not None and name in ("feedback", "score") and (name == "feedback" or check.score is not None):
                known[name] = check.feedback if name == "feedback" else check.score
        return known

    def faults(self, given: frozenset[str]) -> list[GraphFault]:
        """What of its parameters nobody would fill in; ``given``: the names that its planner gives."""
        path = f"search.{self.name}"
        found: list[GraphFault] = []
        try:
            params, returns = self.function.params, self.returns
        except GraphFault as fault:
            return [fault]
        if not params:
            return [GraphFault(path, "it has no parameter to take the state", hint="give it one", kind="unset")]
        filled = FILLED | given if self.name != "goal" else frozenset({"root"})
        for name, param in list(params.items())[1:]:
            if param.default is MISSING and name not in filled:
                found.append(GraphFault(f"{path}.{name}", "nobody fills this parameter in", kind="unset",
                                        hint=f"give it a default, or one of the names {', '.join(sorted(filled))}"))
        if self.name == "evaluate" and not self._is_number(returns):
            found.append(GraphFault(path, f"it gives {name_of(returns)}, not a number", kind="type",
                                    hint='return float, or say what words are worth: evaluate=value(judge, scale={"sure": 20, …})'))
        if self.name == "goal" and not any(fits(returns, kind) for kind in (bool, Check, bool | Check)):
            found.append(GraphFault(path, f"it gives {name_of(returns)}, not bool or Check", kind="type",
                                    hint="return whether the state is a solution"))
        return found

    def _is_number(self, returns: Any) -> bool:
        if self.scale or returns is Any:
            return True
        return any(fits(returns, kind) for kind in (float, int, bool, float | int))

    def number(self, raw: Any, confidence: Confidence | None = None) -> float:
        """A judgement as a number. Raises StepWrong when it is none."""
        if self.scale:
            if str(raw) not in self.scale:
                raise StepWrong(f"evaluate gave {raw!r:.40}, which the scale does not know", hint=f"the scale has {', '.join(self.scale)}")
            found = self.scale[str(raw)]
            if not self.weighs or confidence is None:
                return found
            p = exp(confidence.logprob)
            return p * found + (1 - p) * (sum(self.scale.values()) - found) / (len(self.scale) - 1)
        try:
            found = float(raw)
        except (TypeError, ValueError):
            raise StepWrong(f"evaluate gave {raw!r:.40}, not a number", hint="return float, or give a scale") from None
        if not isfinite(found):
            raise StepWrong(f"evaluate gave {found}", hint="a value must be finite")
        return found


Key = Callable[[Any], Any]


def key_of(state: Any, key: Key | None) -> str:
    """What makes two states equal: what ``key`` says, or their own ``key()``, or their content.

    Raises NotSerialisable for a state that has neither and can't be written.
    """
    if key is not None:
        found = key(state)
    else:
        own = getattr(state, "key", None)
        if not callable(own):
            data = codec(type(state)).dump(state)
            return data.decode() if len(data) <= 64 else digest(data)
        found = own()
    return found if type(found) is str else repr(found)


def children_of(raw: Any, propose: Step | None, key: Key | None) -> list[Child[Any]]:
    """What a proposal gave, as children: a list of states or one state, each perhaps a Child with its prior.

    Without ``propose`` they came from a step that only gives answers.
    """
    is_final = propose is None or propose.gives_answers
    many = raw if isinstance(raw, list) else [] if raw is None else [raw]
    found: list[Child[Any]] = []
    for item in many[:MOST_CHILDREN]:
        child = item if isinstance(item, Child) else Child(item)
        found.append(Child(child.state, child.prior, key_of(child.state, key), None, is_final or not propose.takes(child.state)))  # type: ignore[union-attr]
    return found
