"""The loop guard: it tells when an agent does again, with the same result, what it did before; and when two agents only hand over."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable
from typing import Literal

LONGEST = 12
"""A round of more steps than this is not looked for; the bound on steps ends those."""
Verdict = Literal["new", "again", "stuck"]
"""``again``: the last round was like the one before; ``stuck``: so was the one before that."""


class Repeats:
    """Looks for rounds: steps that follow one another twice, or three times, in the same order with the same results.

    A step is what was asked for together with what came of it, so a poll whose result changes, a page after a page, or tests that are run
    again after another edit are no round. What repeats with equal results and is meant to (a poll that says "not yet", a key that is pressed
    three times) is named in ``exempt``. Equality of texts overlooks space and the order of JSON keys.

    :param rounds: so many repetitions of a round end it.
    """

    __slots__ = ("_matches", "_steps", "exempt", "rounds")

    def __init__(self, *, rounds: int = 2, exempt: Iterable[str] = ()) -> None:
        self.rounds = rounds
        self.exempt = frozenset(exempt)
        self._steps: list[int] = []
        self._matches = [0] * (LONGEST + 1)

    def note(self, *parts: Hashable) -> Verdict:
        """Take in a step, as parts that are equal where the step is; takes microseconds, and grows by one number a step."""
        step = hash(parts)
        steps, matches = self._steps, self._matches
        steps.append(step)
        count, verdict = len(steps), "new"
        for period in range(1, min(LONGEST, count - 1) + 1):
            if steps[count - 1 - period] != step:
                matches[period] = 0
                continue
            matches[period] += 1
            if matches[period] >= self.rounds * period:
                return "stuck"
            if matches[period] >= period:
                verdict = "again"
        return verdict  # type: ignore[return-value]

    def call(self, tool: str, arguments: str, result: str) -> Hashable:
        """A use of a tool and its result as a part of a step; one that is exempt is like no other."""
        if tool in self.exempt:
            return (tool, len(self._steps))
        return (tool, plain(arguments), " ".join(result.split()) if len(result) < 2_000 else result)


def plain(arguments: str) -> str:
    """JSON text of arguments, equal for equal arguments: keys in order, space within texts made even."""
    try:
        data = json.loads(arguments)
    except ValueError:
        return " ".join(arguments.split())
    return " ".join(json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).split())
