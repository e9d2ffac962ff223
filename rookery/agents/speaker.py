"""A speaker: what agents and teams share. It answers a question under a limit and a guard, in any type asked for, and can be talked with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, cast

from rookery.agents.guard import Guard, Said, passed
from rookery.agents.kit import as_text, is_for_the_run, read_redacted, told
from rookery.core.event import Fault
from rookery.core.function import Tool
from rookery.core.graph import MISSING, Param
from rookery.core.limit import Limit
from rookery.core.tape import current_live
from rookery.core.types import name_of, schema
from rookery.core.value import codec
from rookery.engine.attempt import fault_of
from rookery.errors import GraphFault, LimitReached, NotSerialisable, OutsideRun, RookeryError

if TYPE_CHECKING:
    from rookery.engine.live import LiveScope
    from rookery.memory.memory import Memory


@dataclass(frozen=True, slots=True)
class Reply:
    """What a speaker says in a conversation: its answer as text and as JSON text, or why there is none."""

    text: str
    answer: str | None = None
    fault: Fault | None = None


class Speaker(Tool[Any, Any]):
    """A program from ``question`` to an answer of a type. Its subclasses say how it is found, in ``pursue``."""

    def __init__(
        self, *, name: str, doc: str, returns: Any, limit: Limit | None, guard: Guard | None, memory: Memory | None, made_of: dict[str, Any]
    ) -> None:
        async def answer(question: str) -> Any:
            return await self.answer_to(question, [])

        super().__init__(answer, name=name, kind="program", doc=doc, signature=({"question": Param("question", str)}, returns))
        self.answer_type = returns
        self.limit = limit
        self.guard = guard
        self.memory = memory
        self._made_of = made_of
        self._typed: dict[str, Self] = {}

    @property
    def gate(self) -> Callable[[Any], Any] | None:
        """What stands before all with effects that is called on its behalf, however deep."""
        return None

    async def pursue(self, question: str, history: Sequence[Any]) -> Any:
        """The answer, whatever limit and guard say. ``history``: what was said before, a question and an answer in turn."""
        raise NotImplementedError

    def with_(self, **changes: Any) -> Self:
        """The same one made with other parameters."""
        return type(self)(**{**self._made_of, **changes})

    def returning(self, type_: Any) -> Self:
        """The same one with answers of another type. Raises GraphInvalid for one that has no JSON Schema."""
        if type_ == self.answer_type:
            return self
        key = repr(type_)
        known = self._typed.get(key)
        if known is None or known.answer_type != type_:
            known = self._typed[key] = self.with_(returns=type_)
        return known

    def __call__(self, *args: Any, returns: Any = MISSING, **kwargs: Any) -> Any:
        """A call of it in a graph or a run; ``returns`` is the type of this answer."""
        subject = self if returns is MISSING else self.returning(returns)
        return Tool.__call__(subject, *args, **kwargs)

    async def answer_to(self, question: str, history: Sequence[Any]) -> Any:
        """The answer, within its limit and past its guard. Raises AgentError, CallFailed, LimitReached."""
        return await self.within(question, lambda asked: self.pursue(asked, history))

    async def within(self, question: str, pursue: Callable[[str], Awaitable[Any]]) -> Any:
        """What ``pursue`` gives for a question, within the limit and past the guard."""
        limit, live = self.limit, self._live()
        gate = self.gate
        if gate is not None:
            live.gate(gate)
        if not limit:
            try:
                return await self._guarded(question, pursue)
            finally:
                live.close()
        live.limit(limit)
        left = None if limit.seconds is None else max(0.0, limit.seconds - live.executed_s)
        try:
            async with asyncio.timeout(left) as clock:
                return await self._guarded(question, pursue)
        except TimeoutError as error:
            if not clock.expired():
                raise
            said = f"seconds: {limit.seconds} s of {self.name} are over"
            raise LimitReached(said, what="seconds", call=live.path, run=live.run.id, hint="raise its limit and resume") from error
        finally:
            live.close()

    async def _guarded(self, question: str, pursue: Callable[[str], Awaitable[Any]]) -> Any:
        guard = self.guard
        if guard is None:
            return await pursue(question)
        question = await passed(guard, Said("input", question))
        value = await pursue(question)
        text = as_text(value, self.answer_type)
        found = await passed(guard, Said("output", text, question=question))
        return value if found == text else read_redacted(found, self.answer_type, guard, "output")

    def _live(self) -> LiveScope:
        live = current_live()
        if live is None:
            raise OutsideRun(f"{self.name} was called outside of a run", hint=f"run({self.name}, question), or await it in a run")
        return cast("LiveScope", live)

    # ---------------------------------------------------------------- in a conversation

    @cached_property
    def replying(self) -> Tool[..., Reply]:
        """It as a call that also takes what was said before, and whose end without an answer is a value too, so that a conversation
        goes on after it, and is the same after a restart."""

        async def reply(question: str, history: list[Any]) -> Reply:
            try:
                value = await self.answer_to(question, history)
            except RookeryError as error:
                if is_for_the_run(error) or self._is_the_runs_limit(error):
                    raise
                return Reply(told(error), fault=fault_of(error))
            return Reply(as_text(value, self.answer_type), codec(self.answer_type).dump(value).decode())

        params = {"question": Param("question", str), "history": Param("history", list[Any])}
        return Tool(reply, name=self.name, kind="program", signature=(params, Reply))

    def _is_the_runs_limit(self, error: RookeryError) -> bool:
        return isinstance(error, LimitReached) and (self.limit is None or getattr(self.limit, error.what, None) is None)


def type_faults(returns: Any) -> list[GraphFault]:
    """Why nobody can be asked for a value of a type."""
    try:
        schema(returns)
    except NotSerialisable as error:
        return [GraphFault("agent.returns", f"{name_of(returns)} can't be asked for: {error.reason}", hint=error.hint, kind="type")]
    return []
