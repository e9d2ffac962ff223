"""A conversation: a run in which a person and an agent speak in turn, for as long as they like and over restarts."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from rookery.agents.speaker import Reply, Speaker
from rookery.core.event import QuestionAsked
from rookery.core.flow import ask
from rookery.core.function import Tool
from rookery.core.value import codec
from rookery.engine.attempt import error_of
from rookery.engine.begin import open_log
from rookery.engine.door import resume, start
from rookery.engine.log import Log
from rookery.engine.run import Run
from rookery.errors import FlowRefused, RunError, RunWaiting

NAME = "conversation"
IN_SIGHT = 64
"""So many exchanges at most are handed to the agent, which shows of them what fits the window; older ones are in its memory, if it has one,
and in the log."""
QUESTION = "What do you say? (nothing: that was all)"


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a person said, and what the agent replied."""

    said: str
    reply: Reply


def conversation(agent: Speaker, *, heard: Callable[[Exchange], None] | None = None) -> Tool[..., int]:
    """A program that asks a person for what they have to say, lets the agent reply, and so on until they say nothing; its value is how many
    exchanges there were. ``rookery run file.py:NAME`` holds it on a terminal; ``talk`` from Python.

    What ends the agent's turn without an answer (it is stuck, a guard refuses, its limit is met) is its reply, and the conversation goes on;
    a model that does not answer, and the run's own limit, end the run, which can be resumed.

    :param heard: told of each exchange, those before a restart again.
    """

    async def go() -> int:
        history: list[Any] = []
        remember = _remembering(agent)
        count, last = 0, None
        while True:
            said = ask(str, QUESTION, show=last)
            text = await said
            if not text.strip():
                return count
            made = agent.replying(question=said, history=list(history))
            reply = await made
            last = made["text"]
            history += [said, last]
            if len(history) > 2 * IN_SIGHT:
                del history[:IN_SIGHT]  # by halves, so that what stays begins alike for a while
            if remember is not None:
                await remember(number=count, said=said, reply=last)
            count += 1
            if heard is not None:
                heard(Exchange(text, reply))

    return Tool(go, name=NAME, kind="program")


def _remembering(agent: Speaker) -> Tool[..., bool] | None:
    """What was said goes into the agent's memory, by a call of the run, so that a restart does not keep it twice."""
    memory = agent.memory
    if memory is None:
        return None

    async def remember(number: int, said: str, reply: str) -> bool:
        from rookery.memory.item import Source
        from rookery.memory.memory import Note

        sources = [(said, "user"), (reply, agent.name)]
        with suppress(FlowRefused):  # what has to do with a secret is not kept
            await memory.keep_many(
                [Note(text, "event", source=Source(f"{NAME}:{number}", speaker, NAME)) for text, speaker in sources if text.strip()]
            )
            return True
        return False

    return Tool(remember)


def talk(
    agent: Speaker, *, log: Log | str | os.PathLike[str] | None = None, id: str = NAME, answer: Callable[[QuestionAsked], Any] | None = None,
    origin: str = "", **options: Any,
) -> Talk:
    """Talk with an agent from Python: begin a conversation, or go on with the one of this ``id`` in ``log``.

    ``async with talk(analyst, log="chat.db", id="ada") as chat: print(await chat.say("Which route is shortest?"))``

    :param answer: called for each question that is not for the next thing to say: approvals, and what the agent asks.
    :param origin: ``FILE.py:NAME`` of a ``conversation(agent)``, by which ``rookery resume`` finds the program.
    :param options: of the run, as in ``start``: ``model=``, ``limit=``, …
    """
    return Talk(agent, log, id, answer, options, origin=origin)


class Talk:
    """A conversation under way. Made by ``talk``; used as an async context manager."""

    def __init__(
        self, agent: Speaker, log: Log | str | os.PathLike[str] | None, id: str, answer: Callable[[QuestionAsked], Any] | None, options: Any,
        *, origin: str = "",
    ) -> None:
        self.agent = agent
        self.id = id
        self.exchanges: list[Exchange] = []
        """What was said so far, restarts included."""
        self.run: Run
        """The run behind it: its events, what it spent, its other questions."""
        self._given, self._answer, self._options, self._origin = log, answer, options, origin

    async def __aenter__(self) -> Self:
        self._log = open_log(self._given)
        program = conversation(self.agent, heard=self.exchanges.append)
        try:
            known = any(info.run == self.id for info in self._log.runs())
            options = {**self._options, "log": self._log}
            self.run = resume(self.id, program, **options) if known else start(program, id=self.id, origin=self._origin or None, **options)
            await self.run.__aenter__()
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            await self.run.__aexit__(kind, error, trace)
        finally:
            self._close()

    def _close(self) -> None:
        if self._log is not self._given and hasattr(self._log, "close"):
            self._log.close()

    async def say(self, text: str) -> Any:
        """Say something and wait for the agent's answer, a value of its type. A turn that a crash broke off is finished first.

        Raises AgentError, LimitReached or CallFailed where this turn ended without an answer: the conversation goes on. Raises RunWaiting when
        a person has to answer something first (give ``answer=``, or ``chat.run.answer(call, value)``, then ``await chat.reply()``),
        RunError for a text without a word, and what ends the run.
        """
        if not text.strip():
            raise RunError("there is nothing to say in it", run=self.id, hint="`await chat.end()` ends the conversation")
        call = await self._turn()
        before = len(self.exchanges)
        self.run.answer(call, text)
        await self._until(before + 1)
        return self._value(self.exchanges[before].reply)

    async def reply(self) -> Any:
        """The agent's latest answer, once it has given it; None when nothing was said yet. Raises as ``say``."""
        await self._turn()
        return self._value(self.exchanges[-1].reply) if self.exchanges else None

    async def end(self) -> int:
        """End the conversation for good; how many exchanges there were."""
        self.run.answer(await self._turn(), "")
        count: int = await self.run
        return count

    def _value(self, reply: Reply) -> Any:
        if reply.fault is not None:
            raise error_of(reply.fault, run=self.id, call=f"{NAME}/{self.agent.name}", attempts=1)
        return codec(self.agent.answer_type).load((reply.answer or "null").encode())

    @property
    def _open(self) -> str:
        """The question for the next thing to say, where it is open."""
        return next((call for call in self.run.state.questions if call.rpartition("/")[0] == NAME), "")

    async def _turn(self) -> str:
        """Wait until it is the person's turn."""
        await self._until(0)
        return self._open

    async def _until(self, count: int) -> None:
        """Wait until there are so many exchanges and it is the person's turn."""
        while len(self.exchanges) < count or not self._open:
            if not await self.run.until_waiting():
                await self.run
                raise RunError(f"conversation {self.id} is over", run=self.id, hint="begin another one: id=")
            if not self._open:
                await self._ask_others()
            await asyncio.sleep(0)

    async def _ask_others(self) -> None:
        questions = dict(self.run.view.questions)
        if self._answer is None or not questions:
            told = "; ".join(f"{call}: {question.question}" for call, question in questions.items()) or "a breakpoint or a pause"
            hint = "give answer=, or chat.run.answer(call, value)" if questions else "let it go on from another process"
            raise RunWaiting(f"conversation {self.id} waits for a person: {told}", run=self.id, questions=list(questions), hint=hint)
        for call, question in questions.items():
            given = self._answer(question)
            self.run.answer(call, await given if inspect.isawaitable(given) else given)
