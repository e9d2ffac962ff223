"""Play a planner without an engine: ask, carry out, tell, as a search does, but at once and in this thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from rookery.planners.planner import Planner, Result, Work
from rookery.planners.tree import Tree


def play(
    planner: Planner, tree: Tree, carry: Callable[[Tree, Work], Result], *, seed: int = 0, slots: int = 1, max_works: int = 1_000_000
) -> str:
    """Play a planner on a tree until it is through; why it stopped, as in ``SearchResult.stop_reason``.

    :param carry: what a step gives: called for each work when it is asked.
    :param slots: works asked before the first of them is told; told in their order.
    :param max_works: so many works end it with ``limit: works``.
    """
    pending: deque[tuple[Work, Result]] = deque()
    left = max_works
    while True:
        reason = planner.done(tree)
        if reason is not None:
            return reason
        while left > 0 and len(pending) < slots:
            works = planner.ask(tree, min(left, slots - len(pending)), seed)
            left -= len(works)
            pending += [(work, carry(tree, work)) for work in works]
            if not works:
                break
        if not pending:
            return planner.done(tree) or ("exhausted" if left > 0 else "limit: works")
        planner.tell(tree, *pending.popleft())
