"""What every Monitor and every Analyser must keep: checks for ours and for those of users."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rookery.decoding.monitor import NO_FACTS, Acceptor, Analyser, Constraint, Cursor, Facts, Monitor, Query

TEXTS = ("a", "x y", '"', "1.5", "é")


def check_monitor(monitor: Monitor, cursors: Sequence[Cursor], facts: Facts = NO_FACTS, *, texts: Sequence[str] = TEXTS) -> None:
    """Check all that a Monitor must keep.

    :param cursors: places, at one of which at least it wakes.
    :param facts: what its analyser would say there.
    :param texts: tried as what follows.
    :raises AssertionError: with what is broken.
    """
    assert isinstance(monitor, Monitor), "it has triggers, wake, follow, take and done"
    assert monitor.triggers.isascii(), f"triggers are ASCII characters: {monitor.triggers!r}"
    assert hash(monitor) == hash(monitor), "it is a value: hashable"
    assert " at 0x" not in repr(monitor), "its text has no addresses: it is part of the keys of cached values"
    assert isinstance(monitor.done, bool), "done is a bool"
    assert isinstance(monitor.take("some text"), Monitor), "take gives the next monitor"
    woke = 0
    for cursor in cursors:
        query = monitor.wake(cursor)
        assert query == monitor.wake(cursor), f"it is pure: the same cursor, the same query ({cursor.before[-20:]!r})"
        if query is None:
            continue
        woke += 1
        assert isinstance(query, Query) and hash(query) == hash(query), "a query is hashable: its answer is kept"
        assert query.kind == "" or monitor.follow(query, NO_FACTS) is None, "without facts it constrains nothing"
        constraint = monitor.follow(query, facts)
        if constraint is not None:
            assert constraint == monitor.follow(query, facts), "it is pure: the same facts, the same constraint"
            _check_constraint(constraint, texts)
    assert woke, "it wakes at one of the cursors"


def _check_constraint(constraint: Constraint, texts: Sequence[str]) -> None:
    assert isinstance(constraint, Constraint), "a constraint has start, grammar and explain"
    assert constraint.explain(), "it can be explained"
    assert constraint.grammar(()) is None, "for a server that takes no grammars it has none"
    start = constraint.start()
    for text in texts:
        data = text.encode()
        whole, before = start.take(data), (start.is_free, start.may_end)
        assert (start.is_free, start.may_end) == before, "taking text changes nothing"
        parts: Acceptor | None = start
        for byte in data:
            parts = None if parts is None else parts.take(bytes([byte]))
        assert (whole is None) == (parts is None), f"{text!r} at once is {text!r} byte by byte"
        if whole is not None and parts is not None:
            assert (whole.is_free, whole.may_end) == (parts.is_free, parts.may_end), f"{text!r} at once is {text!r} byte by byte"
            assert whole.may_end or not whole.is_free, "where it has let go the reply may end"
            assert not whole.is_free or whole.take(b"anything") is not None, "where it has let go everything is taken"


async def check_analyser(factory: Callable[[], Analyser], query: Query, *, unknown: Query) -> None:
    """Check all that an Analyser must keep.

    :param query: one that it knows an answer to.
    :param unknown: one that it knows nothing about.
    :raises AssertionError: with what is broken.
    """
    analyser = factory()
    try:
        await analyser.warm(query.cursor)
        facts = await analyser.ask(query)
        assert isinstance(facts, Facts) and facts.is_usable, f"it answers {query.kind!r} with facts"
        assert len(set(facts.names)) == len(facts.names), "each name once"
        assert await analyser.ask(query) == facts, "the same question, the same answer"
        nothing = await analyser.ask(unknown)
        assert not nothing.is_usable, f"where it knows nothing it says so: {nothing}"
    finally:
        await analyser.aclose()
        await analyser.aclose()
