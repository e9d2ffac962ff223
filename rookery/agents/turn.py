"""One turn of an agent as a prompt: its question and what was done so far in, a Move out; in words, or by native function calls."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from rookery.agents.move import Move, Seen, answer_offer, move_schema, read_move, repair, rules
from rookery.core.function import Prompt
from rookery.core.label import NO_LABELS, Labels
from rookery.core.policy import Policy
from rookery.decoding.monitor import Rule
from rookery.decoding.render import Rendered, sampling_of
from rookery.decoding.rules import json_schema
from rookery.errors import ParseFailed
from rookery.models.model import Capabilities, Message, Model, Request, Role, Segment, ToolCall, ToolOffer

WINDOW_TOKENS = 32_000
"""A prompt has at most so many tokens where neither the agent nor its model says how large the window is."""
REPLY_TOKENS = 1_024
"""So much of the window is left for the reply, unless ``max_tokens`` says otherwise."""
SHARE = 8
"""One result takes at most this part of the prompt; of a longer one its beginning is shown, and its symbol stands for all of it."""
SHORT_CHARS = (2_000, 600, 160)
"""To how many characters results are cut, step by step, where all together are too long."""
AT_ONCE = 8
"""Of a long conversation so many messages leave the prompt together, so that what follows begins alike and stays in a server's cache."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that the agent's memory has on the question."""

    line: str
    """As quoted data."""
    text: str


def turn(question: str, history: list[str], recalled: list[Note], steps: list[Move | Seen], note: str) -> Move:
    """{history}{recalled}{question}{steps}{note}"""
    raise NotImplementedError  # a prompt: models fill it in


class Turn(Prompt[Any, Move]):
    """The prompt of an agent's turns. It is laid out to fit the window of the model that is asked, whichever that is.

    :param role: who the agent is and how it works; its system message.
    :param offers: the tools it may use.
    :param returns: the type of its answer.
    :param window_tokens: a cap of the agent's own on the prompt.
    :param labels: those of the tools' descriptions, which the model reads too.
    :param native: tools are called natively where the model can.
    """

    def __init__(
        self, *, role: str, offers: Sequence[ToolOffer], returns: Any, policy: Policy, window_tokens: int | None = None, labels: Labels = NO_LABELS,
        native: bool = True,
    ) -> None:
        super().__init__(turn, policy=policy, labels=labels)
        self.role = role
        self.offers = tuple(offers)
        self.answer_type = returns
        self.window_tokens = window_tokens
        self.native = native
        self.rules = rules(self.offers, returns)

    def _body(self) -> Any:
        return [self.role, self.rules]

    async def rendered(
        self, args: Mapping[str, Any], policy: Policy, model: Model, *, paths: Mapping[str, str], idempotency_key: str
    ) -> Rendered:
        """The request for a model: as much of the past as fits its window, the newest first."""
        can = model.capabilities
        native = self.native and can.tools and bool(self.offers)
        request = Request(
            (), sampling_of(policy), tools=self._native_offers() if native else (),
            schema=move_schema(self.offers, self.answer_type) if can.json_schema and not native else None,
            schema_name="move", idempotency_key=idempotency_key, sample=policy.sample or 0, extra=policy.extra or {},
        )
        budget = self._budget(can, policy)
        page = _Page(self.role if native else f"{self.role}\n\n{self.rules}".strip(), args, paths, native)
        cuts = list(page.cuts(budget))
        low, high = 0, len(cuts) - 1
        while low < high:  # the first that fits; most often it is the very first
            middle = low if low == 0 and high == len(cuts) - 1 else (low + high) // 2
            if await model.count_tokens(replace(request, messages=page.messages(cuts[middle]))) <= budget:
                high = middle
            else:
                low = middle + 1
        request = replace(request, messages=page.messages(cuts[low]))
        level = "native tools" if native else "server schema" if request.schema is not None else "validate"
        rule = self.rule if can.token_level and not native else None  # in this process a mask lets nothing else be written
        return _Asked(request, Move, "json", level, rule, self.answer_type, native)

    @cached_property
    def rule(self) -> Rule:
        """What holds a reply to be a move."""
        return json_schema(move_schema(self.offers, self.answer_type))

    def _budget(self, can: Capabilities, policy: Policy) -> int:
        own = self.window_tokens or WINDOW_TOKENS
        if can.context_tokens is None:
            return own
        reply = policy.max_tokens or min(REPLY_TOKENS, can.max_output_tokens or REPLY_TOKENS, can.context_tokens // 4)
        return min(self.window_tokens or can.context_tokens, can.context_tokens - reply)

    def _native_offers(self) -> tuple[ToolOffer, ...]:
        return self.offers if self.answer_type is str else (*self.offers, answer_offer(self.answer_type))


@dataclass(frozen=True, slots=True)
class _Asked(Rendered):
    """A turn's request, and how its reply is read."""

    answer_type: Any = str
    native: bool = False

    def read(self, text: str, calls: Sequence[ToolCall] = ()) -> Move:
        """The move. Raises ParseFailed."""
        return read_move(text, calls, self.answer_type)

    def repair(self, error: ParseFailed) -> str:
        """What is said to the model when its reply is none."""
        return repair(error, native=self.native)


@dataclass(frozen=True, slots=True)
class _Cut:
    """How much of the past a prompt has."""

    history: int = 0
    """So many of the oldest messages are left out,"""
    steps: int = 0
    """so many of the oldest steps,"""
    chars: int = 0
    """and what of a result is more than this."""
    recalled: bool = True


class _Page:
    """The messages of a turn, at every length that they can be cut to."""

    def __init__(self, system: str, args: Mapping[str, Any], paths: Mapping[str, str], native: bool) -> None:
        self.system = system
        self.paths = paths
        self.native = native
        self.question: str = args["question"]
        self.history: Sequence[str] = args["history"]
        self.recalled: Sequence[Note] = args["recalled"]
        self.steps: Sequence[Move | Seen] = args["steps"]
        self.note: str = args["note"]

    def cuts(self, budget: int) -> Iterator[_Cut]:
        """Ever shorter, at most a few dozen."""
        most = max(SHORT_CHARS[0], budget * 3 // SHARE)
        old = len(self.history)
        places = range(0, old, AT_ONCE * max(1, old // (AT_ONCE * 64)))
        yield from (_Cut(place, 0, most) for place in places or (0,))
        yield from (_Cut(old, 0, chars) for chars in (most, *SHORT_CHARS))
        moves = [place for place, step in enumerate(self.steps) if isinstance(step, Move)]
        yield from (_Cut(old, place, SHORT_CHARS[-1]) for place in moves[1:])
        yield _Cut(old, moves[-1] if moves else 0, SHORT_CHARS[-1], recalled=False)

    def messages(self, cut: _Cut) -> tuple[Message, ...]:
        """The request's messages."""
        found = [self._message("system", self.system)] if self.system else []
        for place, text in enumerate(self.history[cut.history :], cut.history):
            found.append(self._message("assistant" if place % 2 else "user", text, "history"))
        found.append(self._asked(cut))
        steps = self.steps[cut.steps :]
        if cut.steps:
            found.append(self._message("user", f"({cut.steps} earlier steps are left out here.)"))
        found += self._native_steps(steps, cut) if self.native else self._plain_steps(steps, cut)
        if self.note:
            found.append(self._message("user", self.note, "note"))
        return tuple(found)

    def _asked(self, cut: _Cut) -> Message:
        question = Segment(self.question, self.paths.get("question", "question"))
        shown = "\n\n".join(self.history[cut.history :])
        lines = [note.line for note in self.recalled if note.text not in shown] if cut.recalled else []
        if not lines:
            return Message("user", (question,))
        from rookery.memory.quote import block

        return Message("user", (Segment(block(lines), self.paths.get("recalled", "recalled")), Segment("\n\n"), question))

    def _plain_steps(self, steps: Sequence[Move | Seen], cut: _Cut) -> list[Message]:
        found: list[Message] = []
        results: list[str] = []
        for step in (*steps, None):
            if isinstance(step, Seen):
                results.append(f"{_title(step)}:\n{_shown(step, cut.chars)}")
                continue
            if results:
                found.append(self._message("user", "\n\n".join(results), "steps"))
                results = []
            if step is not None:
                found.append(self._message("assistant", _written(step), "steps"))
        return found

    def _native_steps(self, steps: Sequence[Move | Seen], cut: _Cut) -> list[Message]:
        found: list[Message] = []
        waiting: list[ToolCall] = []
        for place, step in enumerate(steps):
            if isinstance(step, Move):
                calls = tuple(ToolCall(use.id or f"call_{place}_{number}", use.tool, use.arguments) for number, use in enumerate(step.uses))
                text = step.thought if step.uses else step.answer or ""
                found.append(Message("assistant", (Segment(text, self.paths.get("steps", "steps")),) if text else (), tool_calls=calls))
                waiting = list(calls)
            else:
                text = f"{_title(step)}:\n{_shown(step, cut.chars)}"
                if not waiting:  # it was found before this agent was asked
                    found.append(self._message("user", text, "steps"))
                    continue
                call = next((one.id for one in waiting if one.id == step.id), waiting[0].id)
                waiting = [one for one in waiting if one.id != call]
                found.append(Message("tool", (Segment(text, self.paths.get("steps", "steps")),), tool_call_id=call))
        return found

    def _message(self, role: Role, text: str, variable: str = "") -> Message:
        return Message(role, (Segment(text, self.paths.get(variable, variable) if variable else None),))


def _written(move: Move) -> str:
    """A move as the model is asked to write it."""
    data: dict[str, Any] = {"thought": move.thought}
    if move.answer is not None:
        return json.dumps({**data, "answer": json.loads(move.answer)}, ensure_ascii=False)
    calls = ", ".join(f'{{"tool": {json.dumps(use.tool)}, "arguments": {use.arguments or "{}"}}}' for use in move.uses)
    return f'{{"thought": {json.dumps(move.thought, ensure_ascii=False)}, "calls": [{calls}]}}'


def _title(seen: Seen) -> str:
    name = f" <{seen.name}>" if seen.name else ""
    return f"{seen.tool}{' failed' if seen.failed else ' gave'}{name}"


_TITLE = re.compile(r"^(?=\S+ (?:gave|failed)(?: <[\w-]+>)?:\s*$)", re.MULTILINE)


def _shown(seen: Seen, chars: int) -> str:
    text = _TITLE.sub("> ", seen.text[:chars])  # what only looks like another result does not stand like one
    if len(seen.text) <= chars:
        return text
    left = len(seen.text) - chars
    rest = f"; <{seen.name}> in an argument stands for all of it" if seen.name else ""
    return f"{text}… ({left:,} more characters{rest})"
