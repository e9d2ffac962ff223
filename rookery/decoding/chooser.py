"""Which name is forced where a server can be told nothing but tokens: one token at a time by bias, else the one most like what it wrote."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Sequence
from dataclasses import replace

from rookery.decoding.constraint import Names
from rookery.decoding.level import Tally
from rookery.decoding.watch import Watch
from rookery.errors import ModelError
from rookery.models.model import Message, Model, Request, complete
from rookery.models.server import Served, Server

BIAS = 100.0
SPELLED = 400
"""More names than this are not spelled out in tokens, each of which takes a question to the server."""

Spelling = tuple[tuple[int, bytes], ...]


def allowed_names(watch: Watch) -> list[str]:
    """The names that all constraints which hold here allow, in order; the watch stays where it is."""
    state = watch.state
    listed: dict[str, None] = {}
    for rule, span in watch.spans():
        if rule.mode.kind == "hard" and isinstance(span.constraint, Names):
            listed |= dict.fromkeys(span.constraint.names)
    found = []
    for name in listed:
        if name and watch.take(name.encode("utf-8", "surrogatepass")):
            found.append(name)
        watch.state = state
    return found


class Chooser:
    """Chooses a name in place of what was not allowed."""

    def __init__(self, model: Model, server: Server, request: Request, tally: Tally) -> None:
        self._model = model
        self._server = server
        self._request = request
        self._tally = tally

    async def choose(self, names: Sequence[str], rejected: str) -> str:
        """One of the names, empty when there are none: the model's own choice where it can be had, else the most like ``rejected``."""
        if len(names) < 2:
            self._tally.forced += len(names)
            return names[0] if names else ""
        return await self._asked(names) or most_like(names, rejected)

    async def _asked(self, names: Sequence[str]) -> str:
        """The name that the model spells when only tokens of names are let through; empty when that can't be done."""
        if not (self._server.tokenizer and self._server.bias_entries and isinstance(self._model, Served)) or len(names) > SPELLED:
            return ""
        try:
            first = {names[0]: tuple(await self._model.tokens(names[0]))}
            others = await asyncio.gather(*map(self._model.tokens, names[1:]), return_exceptions=True)
        except ModelError:  # a proxy that passes on answers only; what is really wrong shows at the next request
            return ""
        if any(isinstance(other, BaseException) for other in others):
            return ""
        spellings: dict[str, Spelling] = first | {name: tuple(other) for name, other in zip(names[1:], others, strict=True)}  # type: ignore[arg-type]
        if any(b"".join(piece for _, piece in spelling) != name.encode() for name, spelling in spellings.items()):
            return ""
        written: Spelling = ()
        while True:
            left = {name: spelling for name, spelling in spellings.items() if spelling[: len(written)] == written}
            if len(left) == 1:
                self._tally.forced += 1
                return next(iter(left))
            complete_ = next((name for name, spelling in left.items() if spelling == written), "")
            following = {spelling[len(written)] for spelling in left.values() if len(spelling) > len(written)}
            if len(following) > self._server.bias_entries:
                return ""
            token = await self._token(written, following, may_end=bool(complete_))
            if token is None:
                return complete_
            written = (*written, token)

    async def _token(self, written: Spelling, following: set[tuple[int, bytes]], *, may_end: bool) -> tuple[int, bytes] | None:
        """The one of these tokens that the model takes next; None when it took none of them."""
        bias = () if may_end else tuple((token, BIAS) for token, _ in sorted(following))
        text = b"".join(piece for _, piece in written).decode("utf-8", "ignore")
        *before, last = self._request.messages
        if last.role == "assistant":
            messages = (*before, Message.of("assistant", last.text + text))
        else:
            messages = (*before, last, Message.of("assistant", text)) if text else (*before, last)
        sampling = replace(self._request.sampling, max_tokens=1, stop=())
        answer, _, _ = await complete(self._model, replace(self._request, messages=messages, sampling=sampling, bias=bias))
        return next((entry for entry in sorted(following) if answer and entry[1] == answer.encode()), None)


def most_like(names: Sequence[str], rejected: str) -> str:
    """The name that shares the longest beginning with what was written, then the most letters, then the first."""
    meant = rejected[: next((at for at, letter in enumerate(rejected) if not (letter.isalnum() or letter == "_")), len(rejected))]

    def likeness(name: str) -> tuple[int, float]:
        shared = next((at for at, (a, b) in enumerate(zip(name, meant, strict=False)) if a != b), min(len(name), len(meant)))
        return shared, difflib.SequenceMatcher(None, name, meant, autojunk=False).ratio()

    return max(names, key=likeness)
