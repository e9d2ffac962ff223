"""An analyser's process dies, hangs, floods and talks nonsense: each is counted, nobody waits, and the next question finds a new one."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rookery.decoding.analyser import MAX_DEATHS, MAX_NAMES, SupervisedAnalyser, python_key
from rookery.decoding.child import Child, ChildEnded, ChildSilent, read_headed, read_line
from rookery.decoding.desk import Desk
from rookery.decoding.jedi_analyser import Jedi
from rookery.decoding.members import Members
from rookery.decoding.monitor import Analyser, Cursor, Facts, Query
from rookery.errors import AnalyserFailed
from tests.decoding.project import constraint, takes

FAKE = '''
import os, sys, time
for line in sys.stdin:
    word = line.strip()
    if word == "die":
        print("out of luck", file=sys.stderr, flush=True)
        os._exit(3)
    if word == "hang":
        time.sleep(60)
    if word.startswith("slow"):
        time.sleep(0.3)
    if word == "many":
        word = " ".join(f"name{number}" for number in range(100_000))
    if word == "environment":
        word = " ".join(os.environ)
    print(word, flush=True)
'''


class Fake:
    """A session with a program that does as it is told: a question's detail is what it is sent."""

    def __init__(self, asked: list[str]) -> None:
        self._child = Child([sys.executable, "-c", FAKE], read=read_line)
        self._asked = asked

    def answer(self, query: Query, timeout_s: float) -> Facts:
        self._asked.append(query.detail)
        self._child.send(query.detail.encode() + b"\n")
        answer = self._child.receive(timeout_s).decode().strip()
        if answer == "nonsense":
            raise AnalyserFailed("that was no answer", rule="fake")
        return Facts(tuple(answer.split()))

    def close(self) -> None:
        self._child.kill()


def fake(asked: list[str], hang_s: float = 20.0) -> SupervisedAnalyser:
    return SupervisedAnalyser("fake", lambda: Fake(asked), key=lambda query: query, hang_s=hang_s)


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def analyser(asked: list[str]) -> Iterator[SupervisedAnalyser]:
    found = fake(asked)
    yield found
    asyncio.run(found.aclose())


def of(detail: str) -> Query:
    return Query("members", Cursor(""), detail)


async def test_answers_are_kept_and_a_question_is_asked_once_at_a_time(analyser: SupervisedAnalyser, asked: list[str]) -> None:
    assert isinstance(analyser, SupervisedAnalyser) and (await analyser.ask(of("a b"))).names == ("a", "b")
    answers = await asyncio.gather(*(analyser.ask(of("slow c")) for _ in range(5)), *(analyser.ask(of("a b")) for _ in range(3)))
    assert [answer.names for answer in answers] == [("slow", "c")] * 5 + [("a", "b")] * 3
    assert asked == ["a b", "slow c"]
    assert (analyser.health.asked, analyser.health.hits, analyser.health.starts) == (9, 3, 1)


async def test_a_process_that_dies_is_counted_and_replaced(analyser: SupervisedAnalyser) -> None:
    with pytest.raises(AnalyserFailed, match="out of luck"):
        await analyser.ask(of("die"))
    assert (await analyser.ask(of("a"))).names == ("a",)
    assert (analyser.health.deaths, analyser.health.starts) == (1, 2)


async def test_one_that_only_dies_is_not_started_for_ever(analyser: SupervisedAnalyser) -> None:
    for _ in range(MAX_DEATHS):
        with pytest.raises(AnalyserFailed, match="has ended"):
            await analyser.ask(of("die"))
    with pytest.raises(AnalyserFailed, match="isn't started again"):
        await analyser.ask(of("a"))
    assert analyser.health.starts == MAX_DEATHS


async def test_one_that_hangs_is_left_at_the_budget_and_ended_later(asked: list[str]) -> None:
    analyser = fake(asked, hang_s=1.0)
    await analyser.ask(of("a"))
    begun = time.perf_counter()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await analyser.ask(of("hang"))
    assert time.perf_counter() - begun < 0.5
    assert (await analyser.ask(of("b"))).names == ("b",), "it waits for its turn, and finds a new process"
    assert (analyser.health.hangs, analyser.health.starts) == (1, 2)
    await analyser.aclose()


async def test_what_comes_late_is_kept_for_the_next_time(analyser: SupervisedAnalyser, asked: list[str]) -> None:
    await analyser.ask(of("a"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await analyser.ask(of("slow"))
    await analyser.ask(of("b"))
    begun = time.perf_counter()
    assert (await analyser.ask(of("slow"))).names == ("slow",)
    assert time.perf_counter() - begun < 0.1 and asked.count("slow") == 1


async def test_what_nobody_waits_for_is_not_asked(analyser: SupervisedAnalyser, asked: list[str]) -> None:
    await analyser.ask(of("a"))
    tasks = [asyncio.create_task(analyser.ask(of(f"slow {number}"))) for number in range(4)]
    await asyncio.sleep(0.1)
    for task in tasks[1:]:
        task.cancel()
    await asyncio.wait(tasks)
    await analyser.ask(of("b"))
    assert asked == ["a", "slow 0", "b"]


async def test_a_hundred_thousand_names_are_no_answer(analyser: SupervisedAnalyser) -> None:
    facts = await analyser.ask(of("many"))
    assert not facts.is_complete and not facts.names and not facts.is_usable
    assert analyser.health.flooded == 1 and MAX_NAMES < 100_000


async def test_nonsense_is_a_failure_and_no_end(analyser: SupervisedAnalyser) -> None:
    with pytest.raises(AnalyserFailed, match="no answer"):
        await analyser.ask(of("nonsense"))
    assert (await analyser.ask(of("a"))).names == ("a",) and analyser.health.starts == 1


async def test_no_key_reaches_the_process(analyser: SupervisedAnalyser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    names = (await analyser.ask(of("environment"))).names
    assert "PATH" in names and "SOME_API_KEY" not in names


async def test_closing_ends_it_in_the_middle_of_a_question_and_twice_is_fine(asked: list[str]) -> None:
    analyser = fake(asked)
    await analyser.ask(of("a"))
    waiting = asyncio.create_task(analyser.ask(of("hang")))
    await asyncio.sleep(0.1)
    begun = time.perf_counter()
    await analyser.aclose()
    await analyser.aclose()
    with pytest.raises(AnalyserFailed):
        await waiting
    assert time.perf_counter() - begun < 3 and analyser.health.deaths == 0
    assert (await analyser.ask(of("b"))).names == ("b",), "what is asked afterwards starts another"
    await analyser.aclose()


def test_it_serves_one_event_loop_after_another(asked: list[str]) -> None:
    analyser = fake(asked)
    for name in "ab":
        assert asyncio.run(analyser.ask(of(name))).names == (name,)
    asyncio.run(analyser.aclose())
    assert analyser.health.starts == 1


def test_a_program_that_is_not_there_is_said_so() -> None:
    with pytest.raises(AnalyserFailed, match="'no-such-program' can't be started"):
        Child(["no-such-program"], read=read_line)


def test_a_child_that_says_nothing_or_ends() -> None:
    child = Child([sys.executable, "-c", "input(); print('x')"], read=read_line)
    with pytest.raises(ChildSilent):
        child.receive(0.05)
    child.send(b"\n")
    assert child.receive(10) == b"x\n"
    for _ in range(2):
        with pytest.raises(ChildEnded):
            child.receive(10)
    child.kill()
    child.kill()
    with pytest.raises(ChildEnded):
        child.send(b"x")


def test_messages_with_a_head(tmp_path: Path) -> None:
    path = tmp_path / "stream"
    path.write_bytes(b"Content-Length: 3\r\nX: y\r\n\r\nabccontent-length: 12\r\n\r\n" + b"x" * 12 + b"Content-Length: 1\r\n\r\nz")
    with path.open("rb") as stream:
        assert [read_headed(stream, max_bytes=10) for _ in range(4)] == [b"abc", b"", b"z", None]


async def test_the_desk_waits_no_longer_than_the_budget() -> None:
    desk = Desk()
    begun = time.perf_counter()
    facts, outcome = await desk.facts(_Slow, of("x"), 0.05)
    waited = time.perf_counter() - begun
    assert facts is None and outcome == "late" and 0.045 <= waited < 0.3
    await desk.aclose()


class _Slow:
    """An analyser that never answers."""

    async def ask(self, query: Query) -> Facts:
        await asyncio.sleep(60)
        return Facts()

    async def warm(self, cursor: Cursor) -> None: ...

    async def aclose(self) -> None: ...


# ------------------------------------------------------------------ jedi, and projects that are no joy


async def test_a_project_with_errors_and_circles(jedi: SupervisedAnalyser) -> None:
    found = await constraint(Members(), jedi, "from broken import Broken\nBroken().")
    assert takes(found, "works()") and not takes(found, "worked()")
    found = await constraint(Members(), jedi, "from circular_a import Alpha\nAlpha().beta().alpha().")
    assert found is not None and takes(found, "beta()") and not takes(found, "gamma()")


async def test_a_file_that_does_not_parse_while_it_is_written(jedi: SupervisedAnalyser) -> None:
    before = "class A:\n    def f(self):\n        if (self.x == [1, {'a': self."
    found = await constraint(Members(), jedi, before, "\n    def g(self): ...\n\ndef broken(:\n")
    assert found is not None and takes(found, "g()") and not takes(found, "h()")


async def test_siblings_share_answers(jedi: SupervisedAnalyser) -> None:
    head = "from shapes import Square\n\n\ndef siblings(s: Square):\n    "
    first = await jedi.ask(Query("members", Cursor(head + "s.")))
    before = jedi.health
    for line in ("print(s)\n    s.", "s.area()\n    s.", "return s."):
        assert await jedi.ask(Query("members", Cursor(head + line))) == first
    assert jedi.health.hits - before.hits == 3
    assert python_key(Query("members", Cursor(head + "s = 1\n    s."))) != python_key(Query("members", Cursor(head + "s.")))


@pytest.mark.skipif(not hasattr(os, "kill"), reason="needs signals")
async def test_jedi_killed_from_outside_comes_back(project: Path) -> None:
    analyser = Jedi(str(project))()
    query = Query("members", Cursor("from shapes import Point\nPoint(1)."))
    assert "x" in (await analyser.ask(query)).names
    os.kill(analyser._session._child.pid, 9)  # type: ignore[union-attr]  # as the system does, short of memory
    with pytest.raises(AnalyserFailed, match="jedi has ended"):
        await analyser.ask(Query("members", Cursor("import shapes\nshapes.")))
    assert "Shape" in (await analyser.ask(Query("members", Cursor("import shapes\nshapes.")))).names
    assert (analyser.health.deaths, analyser.health.starts) == (1, 2)
    await analyser.aclose()


async def test_ten_thousand_files(tmp_path: Path) -> None:
    for folder in range(100):
        (tmp_path / f"part{folder}").mkdir()
        (tmp_path / f"part{folder}" / "__init__.py").touch()
        for number in range(100):
            (tmp_path / f"part{folder}" / f"module{number}.py").write_text(f"class Thing{number}:\n    field{number} = 1\n")
    analyser: Analyser = Jedi(str(tmp_path), hang_s=60)()
    code = "from part7.module42 import Thing42\nThing42."
    found = await constraint(Members(), analyser, code)
    begun = time.perf_counter()
    again = await constraint(Members(), analyser, code + "field42\nThing42.")
    assert found is not None and takes(found, "field42") and not takes(found, "field41") and again is not None
    assert time.perf_counter() - begun < 5
    await analyser.aclose()
