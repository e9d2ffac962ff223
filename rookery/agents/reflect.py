"""Reflect: try, have the answer judged, and try again with what was wrong."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rookery.agents.case import AgentPlanner, Case
from rookery.agents.judge import checked, steps_text
from rookery.agents.react import react
from rookery.core.function import prompt
from rookery.core.value import codec
from rookery.errors import AgentError, AgentExhausted
from rookery.planners.option import at_least
from rookery.planners.planner import Check


@dataclass(frozen=True, slots=True)
class Critique:
    """What a critic says of an answer."""

    good: bool
    lesson: str
    """What to do otherwise; empty where it is good."""


@prompt
def criticise(question: str, steps: str, answer: str) -> Critique:
    """A question was answered. Is the answer right, complete and borne out by what was seen on the way? If it is not, say in two
    sentences what went wrong and what to do otherwise next time.

    Question:
    {question}

    What was done:
    {steps}

    Answer:
    {answer}
    """


def reflect(*, tries: int = 3, check: Any = None, planner: AgentPlanner | None = None) -> AgentPlanner:
    """Try, judge, and try again from the start with the lessons of the tries before (Reflexion, Shinn et al. 2023, arXiv 2303.11366, section 3).

    :param tries: so many tries at most.
    :param check: whether an answer is right: a function, tool or prompt from ``answer`` (and ``question``) to a bool or a ``Check``, whose
        feedback is the lesson. Without one the agent's own model criticises, which is a claim and no proof.
    :param planner: how each try goes; ``react()``.

    Without a check the last answer is given whatever the critic says of it; with one the agent ends with AgentExhausted when none
    passes. Raises SearchInvalid for a number below 1.
    """
    at_least(1, tries=tries)
    return Reflect(tries, check, planner or react())


@dataclass(frozen=True)
class Reflect:
    """See ``reflect``."""

    tries: int
    check: Any
    planner: AgentPlanner

    @property
    def name(self) -> str:
        return f"reflect(tries={self.tries}, planner={self.planner.name})"

    async def pursue(self, case: Case) -> Any:
        await case.begin()
        lessons: list[str] = []
        for number in range(1, self.tries + 1):
            line = case.branch(())
            line.note = _note(lessons)
            try:
                value = await self.planner.pursue(line)
            except AgentError as error:
                if number == self.tries:
                    raise
                lessons.append(error.reason)
                continue
            if self.check is None and number == self.tries:
                return value
            said = await self._judged(line, value)
            if said.passed:
                return value
            lessons.append(said.feedback or "the answer was wrong")
        last = lessons[-1][:300]
        raise AgentExhausted(f"{case.agent.name}: no answer of {self.tries} passed the check; the last: {last}", hint="more tries=, or better tools")

    async def _judged(self, line: Case, value: Any) -> Check:
        answer = codec(line.returns).dump(value).decode()
        if self.check is not None:
            return await checked(self.check, line, answer)
        steps = steps_text(await line.done())
        critic = criticise.using(model=line.agent.asking.model) if line.agent.asking.model is not None else criticise
        said: Critique = await critic(question=line.question, steps=steps, answer=answer)
        return Check(said.good, feedback=said.lesson)


def _note(lessons: list[str]) -> str:
    if not lessons:
        return ""
    return "You have tried this before. What was learnt:\n" + "\n".join(f"- {' '.join(lesson.split())}" for lesson in lessons)
