"""One reply written token by token in this process: sampling, stop strings, log-probabilities, text out of bytes."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rookery.models.model import Chunk, Sampling, Stop, TokenLogprob, Usage, Vocabulary
from rookery.models.sampler import Array, Sampler, log_softmax
from rookery.models.token_level import Opening


@dataclass(frozen=True, slots=True)
class _Piece:
    """A token's text that is held back while it may be the beginning of a stop string."""

    text: str
    score: TokenLogprob | None


class Writer:
    """From tokens to chunks: bytes to text, stop strings looked for across tokens, one chunk a token where nothing holds it back."""

    def __init__(self, vocabulary: Vocabulary, sampling: Sampling) -> None:
        self._vocabulary = vocabulary
        self._stops = tuple(stop for stop in sampling.stop if stop)
        self._scores = sampling.logprobs
        self._held: list[_Piece] = []
        self._text = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: int, logits: Array | None = None) -> list[Chunk] | None:
        """What can be shown now that ``token`` was written, drawn from ``logits`` (V,); None when a stop string is complete."""
        text = self._text.decode(self._vocabulary.tokens[token])
        score = None if self._scores is None or logits is None else self._score(token, text, logits, self._scores)
        self._held.append(_Piece(text, score))
        if self._cut_at_stop():
            return None
        held = "".join(piece.text for piece in self._held)
        waits = any(held.endswith(stop[:size]) for stop in self._stops for size in range(1, len(stop)))
        return [] if waits else self._release()

    def end(self) -> list[Chunk]:
        """What is left to show at the end of the reply."""
        rest = self._text.decode(b"", final=True)
        if rest:
            self._held.append(_Piece(rest, None))
        return self._release()

    def _score(self, token: int, text: str, logits: Array, count: int) -> TokenLogprob:
        scores = log_softmax(logits)
        best = (-scores).argsort(kind="stable")[:count]
        tokens = self._vocabulary.tokens
        top = tuple((tokens[int(i)].decode(errors="replace"), float(scores[i])) for i in best)
        return TokenLogprob(text, float(scores[token]), top)

    def _cut_at_stop(self) -> bool:
        """Whether the held text has a stop string; if so only what stands before the first one stays."""
        text = "".join(piece.text for piece in self._held)
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if not found:
            return False
        left, kept = min(found), []
        for piece in self._held:
            part = piece.text[:left]
            if part:
                score = piece.score and TokenLogprob(part, piece.score.logprob, piece.score.top)
                kept.append(_Piece(part, score))
            left -= len(part)
        self._held = kept
        self._text.reset()
        return True

    def _release(self) -> list[Chunk]:
        chunks = [Chunk(piece.text, () if piece.score is None else (piece.score,)) for piece in self._held if piece.text or piece.score]
        self._held = []
        return chunks


class Reply:
    """A reply in the making; advances in slices, so that several take turns in one thread.

    :param begin: reads the prompt; called at the first slice.
    :param context_tokens: the window that prompt and reply share; None: no bound.
    :raises RequestRefused: a sampling value is out of range.
    """

    def __init__(self, begin: Callable[[], Opening], vocabulary: Vocabulary, sampling: Sampling, *, prompt: Sequence[int], sample: int = 0,
                 context_tokens: int | None = None, model: str = "") -> None:
        self.done = False
        self.written: list[int] = []
        """The tokens so far, the one that ends the reply included."""
        self._begin = begin
        self._vocabulary = vocabulary
        self._writer = Writer(vocabulary, sampling)
        self._sampler = Sampler(sampling, sample=sample, prompt=prompt, model=model)
        rooms = [room for room in (sampling.max_tokens, context_tokens and context_tokens - len(prompt)) if room is not None]
        self._room = min(rooms) if rooms else None
        self.opening: Opening | None = None
        """Where it began; None before the first slice."""
        self._logits: Array | None = None

    def advance(self, count: int) -> list[Chunk]:
        """The chunks of at most ``count`` more tokens; the last one of the reply has stop and usage."""
        if self.opening is None:
            self.opening = self._begin()
            self._logits = self.opening.logits
        chunks: list[Chunk] = []
        for _ in range(count):
            stop = self._step(self.opening, chunks)
            if stop is not None:
                usage = Usage(len(self.opening.ids), len(self.written), self.opening.cached_tokens, 0.0)
                chunks += [*self._writer.end(), Chunk(stop=stop, usage=usage)]
                self.done = True
                break
        return chunks

    def _step(self, opening: Opening, chunks: list[Chunk]) -> Stop | None:
        assert self._logits is not None
        token = self._sampler.pick(self._sampler.adjust(self._logits))
        self.written.append(token)
        if token in self._vocabulary.end:
            return "end"
        shown = self._writer.add(token, self._logits)
        if shown is None:
            return "stop"
        chunks += shown
        if self._room is not None and len(self.written) >= self._room:
            return "length"
        self._logits = opening.sequence.eval([token])[0]
        return None
