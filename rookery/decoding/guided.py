"""One reply under a rule, token by token: masks, tokens turned down, forced ones, going back; it does no I/O, so that it can be left waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rookery.decoding.constraint import NamesState
from rookery.decoding.level import Tally
from rookery.decoding.mask import Stepped
from rookery.decoding.monitor import Facts
from rookery.decoding.watch import State, Wake, Watch
from rookery.errors import ConstraintUnmet
from rookery.models.model import Chunk, Request, Stop, Usage
from rookery.models.reply import Writer
from rookery.models.sampler import Array, Sampler
from rookery.models.token_level import Opening

BACKTRACKS = 64
"""So often a reply may be taken back by a step because nothing could follow."""
TRIES = 100
"""So many tokens are turned down one after another before all are tried at once."""


@dataclass(slots=True)
class _Step:
    """Where a token was chosen (or several were forced) that is held back, so that another can be chosen."""

    at: int
    """How many tokens were written before."""
    logits: Array
    state: State
    tokens: list[int]
    banned: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Guess:
    """A monitor woke, and decoding went on without its facts (optimistic), or has got them since."""

    wake: Wake
    at: int
    """How many tokens were written where it woke."""
    facts: Facts | None = None
    known_at: int | None = None
    """How many tokens were written when its facts came; None: they have not."""


class Guided:
    """A reply in the making under a rule. ``advance`` runs where the model computes; where facts are needed it stops, with ``pending`` set.

    :param room: at most so many tokens are written; None: no bound.
    :param is_optimistic: go on without facts; what turns out illegal when they come is rolled back.
    :param on_wake: told of each monitor that needs facts, as soon as it wakes: they can be sought while the model computes.
    :raises RequestRefused: a sampling value is out of range.
    """

    def __init__(self, opening: Opening, watch: Watch, request: Request, *, tally: Tally, room: int | None = None, model: str = "",
                 is_optimistic: bool = False, on_wake: Callable[[Wake], None] = lambda wake: None) -> None:
        assert watch.tokens is not None
        self.done = False
        self.pending: tuple[Wake, ...] = ()
        """Those without whose facts it does not go on."""
        self.written: list[int] = []
        self.watch = watch
        self._tokens = watch.tokens
        self._opening, self._logits = opening, opening.logits
        self._sampler = Sampler(request.sampling, sample=request.sample, prompt=opening.ids, model=model)
        self._writer = Writer(opening.sequence.vocabulary, request.sampling)
        self._tally, self._on_wake, self._is_optimistic = tally, on_wake, is_optimistic
        self._room = min((room for room in (request.sampling.max_tokens, room) if room is not None), default=None)
        self._end = frozenset(self._tokens.end.tolist())
        self._triggering = self._tokens.with_any(watch.triggers)
        self._steps: list[_Step] = []
        self._guesses: list[_Guess] = []
        self._banned: frozenset[int] = frozenset()
        self._answers: dict[Wake, Facts | None] = {}
        """Of monitors that woke within the token that is tried."""
        self._held: int | None = None
        """The token that is tried, while it waits for these."""
        self._backtracks = 0
        self._ended: Stop | None = None
        self._before = watch.state
        """Before tokens that were forced."""
        self._woke(watch.opening(), begins=True)

    # -------------------------------------------------------------- facts

    @property
    def awaited(self) -> tuple[Wake, ...]:
        """Those whose facts would be welcome: ``pending``, and in optimistic decoding those that were not waited for."""
        return self.pending + tuple(guess.wake for guess in self._guesses if guess.known_at is None and guess.wake not in self.pending)

    def answer(self, answers: Mapping[Wake, Facts | None]) -> None:
        """Facts have come, or will not (None)."""
        for wake, facts in answers.items():
            if wake in self.pending and self._held is not None:
                self._answers[wake] = facts
            else:
                self._judge(wake, facts)
        self.pending = tuple(wake for wake in self.pending if wake not in answers)

    def _judge(self, wake: Wake, facts: Facts | None) -> None:
        """Let facts hold from where a monitor woke; what was written since and is illegal is rolled back."""
        place = next((number for number, guess in enumerate(self._guesses) if guess.wake == wake and guess.known_at is None), None)
        if place is None:
            self.watch.begin(wake, facts)
            return
        guess = self._guesses[place] = replace(self._guesses[place], facts=facts, known_at=len(self.written))
        legal = self.watch.begin(wake, facts, since=self._since(guess.at))
        if not legal or (self._ended == "end" and not self.watch.may_end):
            self._tally.forbidden += 1
            self._go_back(guess.at)

    def _since(self, at: int) -> bytes:
        return b"".join(self._tokens.bytes[token] for token in self.written[at:] if token not in self._end)

    def _woke(self, wakes: Sequence[Wake], *, begins: bool = False) -> None:
        """Monitors woke at the end of what is written."""
        for wake in wakes:
            self._tally.woke(self.watch.leaves[wake.leaf].name)
            if not wake.query.kind:
                if begins:
                    self.watch.begin(wake, None)
                continue
            self._on_wake(wake)
            if self._is_optimistic:
                self._guesses.append(_Guess(wake, len(self.written)))
            else:
                self.pending += (wake,)

    # -------------------------------------------------------------- going on

    def advance(self, count: int) -> list[Chunk]:
        """The chunks of about ``count`` more tokens; the last one of the reply has stop and usage.

        :raises ConstraintUnmet: nothing may follow, also after going back.
        """
        chunks: list[Chunk] = []
        for _ in range(count):
            if self.done or self.pending:
                break
            self._step(chunks)
        return chunks

    def _step(self, chunks: list[Chunk]) -> None:
        if self._ended is not None:
            self.pending = self.awaited
            if not self.pending:
                self._finish(chunks, self._ended)
            return
        if self._held is not None:
            tokens: list[int] | None = [self._held]
        else:
            tokens = self._forced() or self._choose(chunks)
        if tokens is None or self.done:
            return
        if len(tokens) > 1:
            self._commit(tokens, self._before)
            return
        self._try(tokens[0])

    def _try(self, token: int) -> None:
        """Take one token, unless a monitor wakes within it whose facts are not there yet, or it is not allowed."""
        before = self.watch.state
        data = b"" if token in self._end else self._tokens.bytes[token]
        wakes = self.watch.peek(data) if self._triggering[token] else ()
        inside = [wake for wake in wakes if wake.offset < len(data)]
        unknown = tuple(wake for wake in inside if wake.query.kind and wake not in self._answers)
        if unknown:
            self._held, self.pending = token, unknown
            for wake in unknown:
                self._on_wake(wake)
            return
        self._held = None
        if token not in self._end and not self.watch.take(data, token, wakes=wakes, answers=self._answers):
            self._tally.forbidden += 1
            self._banned |= {token}
            self._sampler.undo([token])
            return
        for wake in inside:
            self._tally.woke(self.watch.leaves[wake.leaf].name)
        self._commit([token], before, tuple(wake for wake in wakes if wake.offset == len(data)))

    def _commit(self, tokens: list[int], before: State, wakes: tuple[Wake, ...] = ()) -> None:
        self._steps.append(_Step(len(self.written), self._logits, before, tokens, self._banned))
        self._banned = frozenset()
        self._answers.clear()
        self.written += tokens
        if tokens[-1] in self._end:
            self._ended = "end"
            return
        if self._room is not None and len(self.written) >= self._room:
            self._ended = "length"  # whoever wakes here has nothing to say any more
            return
        self._woke(wakes)
        self._logits = self._opening.sequence.eval(tokens)[0]

    # -------------------------------------------------------------- choosing

    def _choose(self, chunks: list[Chunk]) -> list[int] | None:
        """The next token; None when there is none here and it went back."""
        began = time.perf_counter()
        mask = self.watch.mask()
        logits = self._sampler.adjust(self._logits)
        allowed = logits
        if mask is not None:
            if not self._banned and not mask.allows(int(logits.argmax())):
                self._tally.forbidden += 1
            allowed = mask.apply(logits)
        for rule, soft in self.watch.soft_masks() if self.watch.is_constrained else ():
            self._tally.forbidden += not soft.allows(int(logits.argmax()))
            if rule.mode.kind == "soft":
                allowed = np.where(soft.dense(len(logits)), allowed, allowed - np.float32(rule.mode.nats))
        if self._banned:
            allowed = allowed.copy()
            allowed[list(self._banned)] = -np.inf
            if len(self._banned) >= TRIES:
                self._try_all(allowed)
        is_dead = (mask is not None or self._banned) and not allowed.max() > -np.inf
        if self.watch.is_constrained:
            self._tally.masked_s += time.perf_counter() - began
        if is_dead:
            self._dead_end(chunks)
            return None
        if self._is_settled():
            self._release(chunks)
            if self.done:
                return None
        only = mask.only if mask is not None and not self._banned else None
        token = self._sampler.pick(allowed) if only is None else only
        if only is not None:
            self._sampler.take(token)
            self._tally.forced += 1
        if token in self._end and not self.watch.may_end:
            self._tally.forbidden += 1
            self._banned |= self._end
            self._sampler.undo([token])
            return None
        return [token]

    def _try_all(self, allowed: Array) -> None:
        """Forbid all that is not taken: what a constraint that gives no mask forces us to when it turns down one token after another."""
        state = self.watch.state
        for token in np.flatnonzero(np.isfinite(allowed)).tolist():
            if token in self._end:
                continue
            if self.watch.take(self._tokens.bytes[token], token):
                self.watch.state = state
            else:
                allowed[token] = -np.inf

    def _forced(self) -> list[int] | None:
        """The tokens of the one name that is left, taken; None where there is a choice."""
        if not self.watch.is_constrained or self._banned:
            return None
        states = [span.place.acceptor for rule, span in self.watch.spans() if rule.mode.kind == "hard" and isinstance(span.place, Stepped)]
        names = [state for state in states if isinstance(state, NamesState)]
        if len(names) != 1 or names[0].high - names[0].low > 1 or not names[0].forced or self.watch.rule.join == "any":
            return None
        tokens = self._tokens.greedy(names[0].forced)
        room = None if self._room is None else self._room - len(self.written)
        if not tokens or len(tokens) < 2 or (room is not None and room < len(tokens)):
            return None
        before = self.watch.state
        for token in tokens:
            if self._triggering[token] or not self.watch.take(self._tokens.bytes[token], token):
                self.watch.state = before
                return None
        for token in tokens:
            self._sampler.take(token)
        self._tally.forced += len(tokens)
        self._before = before
        return tokens

    # -------------------------------------------------------------- going back

    def _dead_end(self, chunks: list[Chunk]) -> None:
        """Nothing may follow: the reply ends here if it may, else another token is chosen a step before."""
        if not self._end and self.watch.may_end:
            self._ended = "end"
            return
        if not self._steps or self._backtracks >= BACKTRACKS:
            names = sorted({rule.name for rule, _ in self.watch.spans() if rule.name}) or [self.watch.leaves[self.watch.blamed or 0].name]
            said = "; ".join(dict.fromkeys(span.constraint.explain()[:200] for _, span in self.watch.spans()))
            text = self.watch.text
            raise ConstraintUnmet(
                f"nothing may follow {text[-40:]!r} under {' & '.join(names)}: {said}", rule=" & ".join(names), text=text[-200:],
                hint="the rules contradict each other here, or the vocabulary can't spell what they want; make one of them .soft()",
            )
        self._backtracks += 1
        step = self._steps[-1]
        self._go_back(step.at)
        self._banned = step.banned | {step.tokens[0]}

    def _go_back(self, at: int) -> None:
        """Undo all tokens from the step on that began when ``at`` were written."""
        self._ended, self._held, self.pending = None, None, ()
        self._guesses = [guess for guess in self._guesses if guess.at <= at]
        if at < len(self.written):
            place = next(number for number, step in enumerate(self._steps) if step.at == at)
            step = self._steps[place]
            gone = self.written[at:]
            del self._steps[place:], self.written[at:]
            self._sampler.undo(gone)
            self._tally.rolled_back += len(gone)
            self._opening.sequence.truncate(len(self._opening.ids) + at)
            self._logits, self.watch.state, self._banned = step.logits, step.state, frozenset()
        for guess in self._guesses:
            if guess.known_at is not None and guess.known_at > at:  # states from before it was known lack what it says
                self.watch.begin(guess.wake, guess.facts, since=self._since(guess.at))

    # -------------------------------------------------------------- showing

    def _is_settled(self) -> bool:
        """Whether what is written can no longer be taken back: no facts are awaited, and no two constraints may contradict each other."""
        if self.awaited:
            return False
        return not self.watch.is_constrained or sum(rule.mode.kind == "hard" for rule, _ in self.watch.spans()) < 2

    def _release(self, chunks: list[Chunk]) -> None:
        steps, self._steps, self._guesses = self._steps, [], []
        for step in steps:
            for number, token in enumerate(step.tokens):
                if token in self._end:
                    continue
                shown = self._writer.add(token, None if number else step.logits)
                if shown is None:
                    self._close(chunks, "stop")
                    return
                chunks += shown

    def _finish(self, chunks: list[Chunk], stop: Stop) -> None:
        self._release(chunks)
        if not self.done:
            self._close(chunks, stop)

    def _close(self, chunks: list[Chunk], stop: Stop) -> None:
        self.done = True
        self._tally.forbidden += self.watch.softly_forbidden
        usage = Usage(len(self._opening.ids), len(self.written), self._opening.cached_tokens, 0.0)
        chunks += [*self._writer.end(), Chunk(stop=stop, usage=usage)]
