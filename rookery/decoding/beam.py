"""Diverse beam search over the tokens of a model in this process; with one group it is plain beam search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from rookery.decoding.decoded import token_level
from rookery.errors import RequestRefused
from rookery.models.model import Model, Request, TokenModel
from rookery.models.sampler import Array
from rookery.models.token_level import Opening

Rewrite = Callable[[tuple[int, ...], Array], Array]
"""From the tokens of a hypothesis and the logits after them (V,) to the logits to go by: a mask, penalties; a pure function. Scores stay
those of the model's whole distribution, so of legal texts the likeliest is found, not the one with the fewest choices on its way."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One of the texts that a search found."""

    ids: tuple[int, ...]
    """Without the token that ends it."""
    text: str
    logprob: float
    """Sum over its tokens, the end included, under the model alone: no diversity, no rewriting."""
    ended: bool
    """It came to its end; otherwise it was cut at ``max_tokens``."""
    group: int = 0

    @property
    def tokens(self) -> int:
        """Tokens that count in ``logprob``."""
        return len(self.ids) + self.ended


@dataclass(slots=True)
class _Beam:
    """One hypothesis in the making."""

    ids: tuple[int, ...] = ()
    logprob: float = 0.0
    score: float = 0.0
    """As ``logprob``, after rewriting."""
    row: int = 0
    """Its row in the batch."""


@dataclass(slots=True)
class _Group:
    """Beams that compete with one another, and are told off for repeating the groups before."""

    number: int
    width: int
    live: list[_Beam]
    done: list[tuple[float, Hypothesis]] = field(default_factory=list)
    """With their scores."""

    @property
    def finished(self) -> bool:
        """Nothing live can still get among the best: log-probabilities only fall."""
        if not self.live:
            return True
        worst = sorted((score for score, _ in self.done), reverse=True)[self.width - 1 : self.width]
        return bool(worst) and worst[0] >= max(beam.score for beam in self.live)


def search_beams(opening: Opening, *, groups: int = 1, width: int = 4, strength: float = 0.5, max_tokens: int = 64,
                 rewrite: Rewrite | None = None) -> list[Hypothesis]:
    """The hypotheses of a diverse beam search, best first in each group, group after group. Computes; run it where the model computes.

    Vijayakumar et al., "Diverse Beam Search", arXiv 1610.02424, §3 with Hamming diversity: at each step the groups choose in order, and a
    token's score in group g is the hypothesis' sum of log-probabilities less ``strength`` for each beam of an earlier group that has just
    chosen the same token. That term decides the step and is not carried along. All beams are one batch: one evaluation a step.

    :param groups: how many; each has ``width`` beams, and one group alone is beam search.
    :param rewrite: applied to the logits before log-probabilities are taken, for what may follow; ``Hypothesis.logprob`` leaves it out.
    """
    every = [_Group(number, width, [_Beam()]) for number in range(groups)]
    sequence, logits = opening.sequence, opening.logits[None]
    for step in range(max_tokens):
        chosen = Counter[int]()
        for group in every:
            if not group.finished:
                _choose(group, logits, opening, chosen, strength, rewrite)
        live = [beam for group in every if not group.finished for beam in group.live]
        if not live or step + 1 == max_tokens:
            break
        sequence = sequence.fork([beam.row for beam in live])
        logits = sequence.eval([[beam.ids[-1]] for beam in live])
        for row, beam in enumerate(live):
            beam.row = row
    return [hypothesis for group in every for hypothesis in _results(group, opening.sequence)]


def _choose(group: _Group, logits: Array, opening: Opening, chosen: Counter[int], strength: float, rewrite: Rewrite | None) -> None:
    """One step of one group: its best continuations, of which those that end are done and the others live on."""
    ends = opening.sequence.vocabulary.end
    found: list[tuple[float, _Beam]] = []
    for beam in group.live:
        found += _continuations(beam, logits[beam.row], chosen, strength, rewrite, count=group.width + len(ends))
    live: list[_Beam] = []
    for _, beam in sorted(found, key=lambda pair: -pair[0]):
        *before, token = beam.ids
        if token in ends:
            group.done.append((beam.score, _hypothesis(opening.sequence, tuple(before), beam.logprob, True, group.number)))
        else:
            live.append(beam)
            chosen[token] += 1
        if len(live) == group.width:
            break
    group.live = live


def _continuations(beam: _Beam, logits: Array, chosen: Counter[int], strength: float, rewrite: Rewrite | None, *,
                   count: int) -> list[tuple[float, _Beam]]:
    """The ``count`` best tokens after a beam, each with what it is ranked by in this step."""
    total = np.logaddexp.reduce(logits.astype(np.float64))
    own = logits - total
    scores = own if rewrite is None else rewrite(beam.ids, logits) - total
    ranked = beam.score + scores
    for token, times in chosen.items():
        ranked[token] -= strength * times
    best = [int(at) for at in np.argsort(-ranked, kind="stable")[:count] if np.isfinite(ranked[at])]
    return [(float(ranked[at]), _Beam((*beam.ids, at), beam.logprob + float(own[at]), beam.score + float(scores[at]), beam.row)) for at in best]


def _hypothesis(sequence: TokenModel, ids: tuple[int, ...], logprob: float, ended: bool, group: int) -> Hypothesis:
    return Hypothesis(ids, sequence.vocabulary.decode(ids), logprob, ended, group)


def _results(group: _Group, sequence: TokenModel) -> list[Hypothesis]:
    cut = [(beam.score, _hypothesis(sequence, beam.ids, beam.logprob, False, group.number)) for beam in group.live]
    return [hypothesis for _, hypothesis in sorted([*group.done, *cut], key=lambda pair: -pair[0])[: group.width]]


async def diverse_beam(model: Model, request: Request, *, groups: int = 2, width: int = 2, strength: float = 0.5,
                       rewrite: Rewrite | None = None) -> list[Hypothesis]:
    """The likeliest replies of a model, kept apart by group; see :func:`search_beams`. ``Sampling.max_tokens`` bounds them (64 if unset).

    :raises CapabilityMissing: the model gives no logits.
    :raises RequestRefused: a number makes no sense.
    """
    limit = request.sampling.max_tokens or 64
    if groups < 1 or width < 1 or limit < 1 or not strength >= 0:
        raise RequestRefused(f"groups={groups}, width={width}, max_tokens={limit}, strength={strength}: at least 1, 1, 1 and 0",
                             model=model.capabilities.name)
    level = token_level(model, wanted="beam search")
    opening = await level.open(request)
    window = model.capabilities.context_tokens
    room = limit if window is None else min(limit, window - len(opening.ids))
    return await level.compute(lambda: search_beams(opening, groups=groups, width=width, strength=strength, max_tokens=room, rewrite=rewrite))


def distinct(hypotheses: Sequence[Hypothesis]) -> int:
    """How many different texts there are."""
    return len({hypothesis.ids for hypothesis in hypotheses})
