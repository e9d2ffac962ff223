"""A sketch: a way to solve a task in a few words of data, from which a graph is built; what a committee proposes and a search races."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from pydantic import BaseModel, Field

from rookery.core.check import check
from rookery.core.flow import when
from rookery.core.function import Prompt, Tool
from rookery.core.graph import Graph, Param
from rookery.core.policy import Policy
from rookery.core.tape import trace
from rookery.core.types import name_of
from rookery.core.value import codec
from rookery.core.variable import Variable
from rookery.errors import GraphFault, GraphInvalid

Shape = Literal["direct", "plan", "revise", "vote", "cascade", "tool"]


class Sketch(BaseModel):
    """One way to solve a task."""

    shape: Shape = Field(
        description="direct: one answer. plan: a plan first. revise: an answer, a criticism, an answer anew. vote: the most frequent of several "
        "answers. cascade: the other model answers where this one is not sure. tool: a tool of the pool"
    )
    model: str = Field(default="", description="a model of the pool; empty for a tool")
    other: str = Field(default="", description="of a cascade the stronger model; of a revision who criticises")
    samples: int = Field(default=1, ge=1, le=64, description="answers of a vote")
    tool: str = Field(default="", description="the name of a tool")

    def __str__(self) -> str:
        parts = [self.model, f"then {self.other}" if self.other else "", f"{self.samples} answers" if self.samples > 1 else "", self.tool]
        return f"{self.shape}: {', '.join(part for part in parts if part)}"


@dataclass(frozen=True)
class Task:
    """What is to be solved: in words, with the types of what is given and what is wanted."""

    text: str
    inputs: Mapping[str, Any]
    returns: Any = str
    tools: Sequence[Tool[..., Any] | Graph] = field(default=())
    """Those that may solve it on their own: they take the inputs, or some of them."""

    def prompt(self, name: str, template: str, returns: Any, model: str, **more: Any) -> Prompt[..., Any]:
        """A prompt on the task's inputs and ``more``; the task's text stands first, so that prompts of one task begin alike."""
        params = {key: Param(key, type_) for key, type_ in {**self.inputs, **more}.items()}
        given = "".join(f"\n\n{key}:\n{{{key}}}" for key in params)
        text = self.text.replace("{", "{{").replace("}", "}}")
        return Prompt(_no_body, name=name, template=f"{text}{given}\n\n{template}", signature=(params, returns), policy=Policy(model=model or None))


def _no_body() -> None:
    """Prompts that are made from data have a template and no function."""


def fault_of(sketch: Sketch, task: Task, models: Sequence[str]) -> str:
    """Why a sketch can't be built from this pool; empty when it can."""
    known = {each.name for each in task.tools}
    if sketch.shape == "tool":
        return "" if sketch.tool in known else f"there is no tool {sketch.tool!r}; there are {', '.join(sorted(known)) or 'none'}"
    unknown = [name for name in (sketch.model, sketch.other) if name and name not in models]
    if unknown or not sketch.model:
        return f"there is no model {(unknown or [''])[0]!r}; there are {', '.join(models)}"
    if sketch.shape == "cascade" and sketch.other in ("", sketch.model):
        return "a cascade takes two models"
    if sketch.shape == "vote" and sketch.samples < 2:
        return "a vote takes several samples"
    return ""


def built(sketch: Sketch, task: Task) -> Graph:
    """The graph of a sketch.

    :raises GraphInvalid: its tool does not fit the task.
    """
    params = {key: Param(key, type_) for key, type_ in task.inputs.items()}
    made = trace(lambda **given: _SHAPES[sketch.shape](sketch, task, given), name=f"{sketch.shape}_solution", params=params, returns=task.returns)
    faults = check(made)
    if faults:
        raise GraphInvalid(made.name, faults)
    return made


def sketches(task: Task, models: Sequence[str], *, votes: Sequence[int] = (3, 5)) -> Iterator[Sketch]:
    """All simple ways over a pool, in the order of the models, who should stand from the cheapest to the dearest: what is raced where no
    committee proposes."""
    for model in models:
        yield Sketch(shape="direct", model=model)
        yield Sketch(shape="plan", model=model)
        yield Sketch(shape="revise", model=model)
        for count in votes:
            yield Sketch(shape="vote", model=model, samples=count)
    for place, model in enumerate(models):
        for other in models[place + 1 :]:
            yield Sketch(shape="cascade", model=model, other=other)
    for each in task.tools:
        yield Sketch(shape="tool", tool=each.name)


# ------------------------------------------------------------------ shapes

Given = Mapping[str, Variable[Any]]


def _direct(sketch: Sketch, task: Task, given: Given) -> Any:
    return task.prompt("answer", "Give the answer.", task.returns, sketch.model)(**given)


def _plan(sketch: Sketch, task: Task, given: Given) -> Any:
    plan = task.prompt("make_plan", "Write a short plan, without the answer.", str, sketch.model)(**given)
    return task.prompt("answer", "Follow the plan and give the answer.", task.returns, sketch.model, plan=str)(**given, plan=plan)


def _revise(sketch: Sketch, task: Task, given: Given) -> Any:
    first = task.prompt("draft", "Give the answer.", task.returns, sketch.model)(**given)
    told = task.prompt("criticise", "Say what is wrong with this answer, or that nothing is.", str, sketch.other or sketch.model, draft=task.returns)
    criticism = told(**given, draft=first)
    last = task.prompt("answer", "Give the answer anew, with regard to the criticism.", task.returns, sketch.model, draft=task.returns, criticism=str)
    return last(**given, draft=first, criticism=criticism)


def _vote(sketch: Sketch, task: Task, given: Given) -> Any:
    ask = task.prompt("answer", "Give the answer.", task.returns, sketch.model)
    answers = [ask.using(sample=number, temperature=0.7)(**given) for number in range(sketch.samples)]
    return _most_frequent(task.returns)(answers=answers)


def _cascade(sketch: Sketch, task: Task, given: Given) -> Any:
    first = task.prompt("answer", "Give the answer.", task.returns, sketch.model)(**given)
    sure = task.prompt("is_sure", "Is this answer surely right?", bool, sketch.model, candidate=task.returns)(**given, candidate=first)
    other = task.prompt("answer_again", "Give the answer.", task.returns, sketch.other)(**given)
    return when(sure, then=first, otherwise=other)


def _tool(sketch: Sketch, task: Task, given: Given) -> Any:
    found = next((each for each in task.tools if each.name == sketch.tool), None)
    if found is None:
        fault = GraphFault("tools", f"there is no tool {sketch.tool!r}", hint="name one of the task's tools", kind="reference")
        raise GraphInvalid(sketch.tool, [fault])
    return found(**{name: variable for name, variable in given.items() if name in (found.params if isinstance(found, Tool) else found.inputs)})


_SHAPES: dict[Shape, Any] = {"direct": _direct, "plan": _plan, "revise": _revise, "vote": _vote, "cascade": _cascade, "tool": _tool}


def _most_frequent(returns: Any) -> Tool[..., Any]:
    """The answer that was given most often, of equals the first."""

    def most_frequent(answers: list[Any]) -> Any:
        write = codec(returns)
        keys = [write.dump(answer) for answer in answers]
        often = Counter(keys)
        return answers[max(range(len(keys)), key=lambda place: (often[keys[place]], -place))]

    params = {"answers": Param("answers", list[returns])}
    made: Tool[..., Any] = Tool(most_frequent, name="most_frequent", signature=(params, returns), doc=f"The most frequent {name_of(returns)}.")
    return cast("Tool[..., Any]", made.using(inline=True))


