"""A case: one question that an agent works on; what was done about it, and the two things that can be done: ask the model, use tools."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from rookery.agents.kit import FIND, symbols_in
from rookery.agents.move import Move, Seen, Use
from rookery.agents.repeats import Repeats, Verdict, plain
from rookery.core.template import as_text
from rookery.core.value import codec
from rookery.core.variable import Variable
from rookery.errors import AgentExhausted, AgentFailing, AgentStuck
from rookery.models.model import ToolOffer

if TYPE_CHECKING:
    from rookery.agents.agent import Agent
    from rookery.agents.turn import Turn


class Door(Protocol):
    """A way out of a case that the model is offered like a tool: to another member of a team."""

    @property
    def offer(self) -> ToolOffer:
        """What the model is told of it."""
        ...

    def use(self, use: Use, case: Case) -> Variable[Seen] | Seen:
        """What comes of a use: a call of the run, or what is wrong with it. To leave, it sets ``case.leaving``."""
        ...


PATIENCE = 6
"""So many uses that fail one after another end the agent."""
AGAIN = "You have done exactly this before, and the same came of it. Do something else, or give your answer."


@runtime_checkable
class AgentPlanner(Protocol):
    """How an agent gets from a question to its answer: ``react()``, ``plan_then_execute()``, ``reflect()``, or one of your own.

    It waits for nothing but ``case.turn`` and ``case.act`` (and calls of the run), so that a restart finds all that it did.
    """

    @property
    def name(self) -> str:
        """It and its options, as in ``react(turns=24)``."""
        ...

    async def pursue(self, case: Case) -> Any:
        """The answer, a value of ``case.returns``. Raises AgentError where there is none."""
        ...


class Case:
    """One question that an agent works on.

    :param history: what was said before, a question and an answer in turn, the oldest first.
    :param steps: what was done already: moves, and what came of each of their uses.
    """

    def __init__(self, agent: Agent, question: str, *, history: Sequence[Any] = (), steps: Sequence[Any] = ()) -> None:
        self.agent = agent
        self.question = question
        self.history = [as_text(said) for said in history]
        self.steps: list[Any] = list(steps)
        """What was done: moves and results, as variables of the run where a call made them."""
        self.recalled: Any = []
        self.note = ""
        """What is said to the model at every turn."""
        self.repeats = Repeats(exempt=agent.exempt)
        self.door: Door | None = None
        self.leaving: Exception | None = None
        """Raised once the uses of the move are carried out that left by the door."""
        self.offered: list[str] = []
        self.prompt: Turn | None = None
        """The prompt of its turns, once it is known which tools are offered."""
        self.named: dict[str, Any] = {}
        """Results by their symbols."""
        self._shown = 0
        self._failing = 0
        self._warned = False

    @property
    def returns(self) -> Any:
        """The type of the answer."""
        return self.agent.answer_type

    # ---------------------------------------------------------------- the two things that can be done

    async def turn(self, note: str = "") -> Move:
        """Ask the model what to do next, or for its answer. ``note`` is said to it after all else.

        Raises CallFailed when it answers nothing of the kind asked for after the repairs, LimitReached, and what the model raises.
        """
        await self.begin()
        assert self.prompt is not None
        said = "\n\n".join(part for part in (self.note, note, AGAIN if self._warned else "") if part)
        made = self.prompt(question=self.question, history=list(self.history), recalled=self.recalled, steps=list(self.steps), note=said)
        move = await made
        self.steps.append(made)
        return move

    async def act(self, move: Move) -> list[Seen]:
        """Carry out the uses of a move, side by side; what comes of each is seen at the next turn.

        Raises AgentStuck when the same was done again and again, AgentFailing when one use after another fails.
        """
        made = self._made(move)
        found = [await one if not isinstance(one, Seen) else one for one in made]
        for one, seen in zip(made, found, strict=True):
            self.steps.append(one)
            if seen.name:
                self.named[seen.name] = one
        if self.leaving is not None:
            raise self.leaving
        self._offer_more(found)
        self._judge(move, found)
        return found

    def answer(self, move: Move) -> Any:
        """The answer of a move as a value."""
        return codec(self.returns).load((move.answer or "null").encode())

    # ---------------------------------------------------------------- how

    async def begin(self) -> None:
        """Find the tools to offer, and what the agent's memory has on the question; once."""
        agent = self.agent
        if self.prompt is not None:
            return
        names = agent.kit.names
        if agent.kit.library is not None:
            names = await agent.tool_choice(question=self.question)
        if agent.memory is not None:
            self.recalled = agent.recall(question=self.question)
        self._offer(names)

    def _offer(self, names: Sequence[str]) -> None:
        self.offered = list(dict.fromkeys(names))
        self.prompt = self.agent.turn(self.offered, (self.door.offer,) if self.door is not None else ())

    def _offer_more(self, found: Sequence[Seen]) -> None:
        """Offer the tools that the model has looked for, beside those that it is offered already."""
        more = [name for seen in found if seen.tool == FIND and not seen.failed for name in _names(seen.text)]
        if more:
            self._offer([*self.offered, *more])

    def show(self, found: Sequence[Seen]) -> None:
        """What others have found, to be seen from the first turn on."""
        self.steps += found
        self._shown = len(self.steps)
        self.named.update({seen.name: seen for seen in found if seen.name})

    async def worked(self) -> tuple[Move | Seen, ...]:
        """The steps of its own, as values."""
        return (await self.done())[self._shown :]

    async def done(self) -> tuple[Move | Seen, ...]:
        """The steps as values."""
        return tuple([await step if isinstance(step, Variable) else step for step in self.steps])

    def branch(self, steps: Sequence[Any]) -> Case:
        """The same case with other steps behind it: another line of a search, another try."""
        other = Case(self.agent, self.question, history=self.history, steps=steps)
        other.recalled, other.note, other.door, other.offered, other.prompt = self.recalled, self.note, self.door, self.offered, self.prompt
        other.named.update({step.name: step for step in steps if isinstance(step, Seen) and step.name})
        for place, step in enumerate(steps):
            if isinstance(step, Move) and step.uses:
                other._note(step, [seen for seen in steps[place + 1 : place + 1 + len(step.uses)] if isinstance(seen, Seen)])
        other._offer_more([step for step in steps if isinstance(step, Seen)])
        return other

    def _made(self, move: Move) -> list[Variable[Seen] | Seen]:
        """The uses of a move as calls of the run; equal ones of a tool without effects are one call."""
        kit, known = self.agent.kit, dict[tuple[str, str], Any]()
        found: list[Variable[Seen] | Seen] = []
        for use in move.uses:
            if self.door is not None and use.tool == self.door.offer.name:
                found.append(self.door.use(use, self))
                continue
            call = kit.use(use.tool)
            if call is None:
                found.append(Seen(use.tool[:80], kit.unknown(use.tool), id=use.id, failed=True))
                continue
            key = (use.tool, plain(use.arguments))
            if key not in known or getattr(kit.find(use.tool), "effect", False):
                known[key] = call(use=use, given=self._given(use))
            found.append(known[key])
        return found

    def _given(self, use: Use) -> list[Any]:
        """The results whose symbols the arguments mention."""
        return [self.named[name] for name in dict.fromkeys(symbols_in(use.arguments)) if name in self.named]

    def _note(self, move: Move, found: Sequence[Seen]) -> Verdict:
        """Tell the loop guard what was done and what came of it."""
        parts = sorted((self.repeats.call(use.tool, use.arguments, seen.text) for use, seen in zip(move.uses, found, strict=False)), key=str)
        verdict = self.repeats.note(*parts)
        self._warned = verdict == "again"
        return verdict

    def _judge(self, move: Move, found: Sequence[Seen]) -> None:
        for seen in found:
            self._failing = self._failing + 1 if seen.failed else 0
            if self._failing >= PATIENCE:
                last = " ".join(seen.text.split())[:300]
                raise AgentFailing(f"{self.agent.name} failed {PATIENCE} times in a row; the last: {last}", hint="look at what its tools say")
        if self._note(move, found) == "stuck":
            names = ", ".join(dict.fromkeys(use.tool for use in move.uses))
            raise AgentStuck(
                f"{self.agent.name} did the same again and again, with the same result: {names}",
                hint="a clearer question or role, other tools; or name a tool that may repeat in exempt=",
            )


def _names(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:  # a guard has changed it
        return []
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def exhausted(case: Case, turns: int) -> AgentExhausted:
    """The end of a case whose turns are used up."""
    return AgentExhausted(f"{case.agent.name} has no answer after {turns} turns", hint="more turns=, a narrower question, or better tools")
