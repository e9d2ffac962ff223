"""Growing a library, driven by a scripted model that also writes wrong, crashing, looping and renamed tools."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from rookery import Limit, MemoryLog, SQLiteLog
from rookery.core import event as ev
from rookery.errors import LibraryFull, LimitReached, ModelUnreachable, RookeryError
from rookery.models.model import Request
from rookery.testing import ScriptedModel
from rookery.tools.growth import grow
from rookery.tools.library import ToolLibrary
from rookery.tools.problem import Growth, Problem, most_distant
from rookery.tools.record import Example
from rookery.tools.stages import abstractions_of, called_in, examples_text, joined, signature_text, sources_of
from tests.boxes import needs_bubblewrap

pytestmark = needs_bubblewrap


def fenced(*sources: str) -> str:
    return "Here:\n" + "\n".join(f"```python\n{source}\n```" for source in sources)


def solution(body: str) -> str:
    return f"def solution(xs: list[int]) -> list[int]:\n    {body}"


def nth(name: str, body: str = "return xs[n - 1 :: n]") -> str:
    return f'def {name}(xs: list[int], n: int) -> list[int]:\n    """Every n-th number."""\n    {body}'


def every(n: int, name: str) -> Problem:
    lists = [list(range(size)) for size in (3, 5, 7, 9, 12, 20)]
    return Problem(name, f"Take every {name} number", tuple(Example({"xs": xs}, xs[n - 1 :: n]) for xs in lists))


SECOND, THIRD, FOURTH = every(2, "second"), every(3, "third"), every(4, "fourth")
STEP = {"second": 2, "third": 3, "fourth": 4}


class Script:
    """Solves the problems rightly and generalises as told; ``replies`` overrides what begins with a stage and names a problem."""

    def __init__(self, **replies: str) -> None:
        self.replies = replies
        self.asked: list[str] = []

    def __call__(self, request: Request) -> str:
        text = request.text
        stage = "general" if "Take out of it" in text else "mend" if "What is wrong" in text else "solve"
        problem = next(name for name in STEP if f"every {name} number" in text)
        self.asked.append(f"{stage}_{problem}")
        step = STEP[problem]
        if f"{stage}_{problem}" in self.replies:
            return self.replies[f"{stage}_{problem}"]
        if stage == "general":
            return fenced(nth("every_nth"), solution(f"return every_nth(xs, {step})"))
        return fenced(solution(f"return xs[{step - 1} :: {step}]"))


async def grown(library: ToolLibrary, *problems: Problem, script: Script | None = None, **options: object) -> Growth:
    return await grow(library, problems or (SECOND,), model=ScriptedModel(script or Script()), **options)  # type: ignore[arg-type]


async def test_a_solution_becomes_a_tool_that_is_trusted(tmp_path: Path) -> None:
    async with ToolLibrary(path=tmp_path / "library") as library:
        growth = await grown(library)
        assert growth.admitted == ("every_nth",) and growth.solved == ("second",) and not growth.rejected
        record = library.show("every_nth")
        assert record.state == "trusted" and record.origin == "grown: second" and record.labels == {"grown"}
        assert sum(not example.seen for example in record.examples) == 2
        assert record.questions == (SECOND.question,)
        async with await ToolLibrary.open(tmp_path / "library") as opened:
            assert await opened.tool("every_nth").function(xs=[1, 2, 3, 4], n=2) == [2, 4]


async def test_what_was_held_back_is_shown_to_no_model() -> None:
    async with ToolLibrary() as library:
        model = ScriptedModel(Script())
        await grow(library, [SECOND], model=model)
        assert all("9, 10, 11" not in request.text for request in model.requests)
        assert all("[0, 1, 2, 3, 4]" in request.text for request in model.requests[:1])


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (fenced(solution("return xs[1:]")), "gives"), (fenced(solution("while True: pass")), "timeout"),
        (fenced(solution("return xs[99]")), "IndexError"),
        (fenced(solution("import os; os._exit(0)")), "crash"), (fenced("def other(): pass"), "KeyError"), (fenced("def solution(:"), "SyntaxError"),
        (fenced(solution("return xs[1::2] if len(xs) < 10 else []")), "held back"), ("I do not know.", "no program"), ("", "no program"),
        (fenced(solution("return open('/etc/passwd').read()")), "failed"),
    ],
)  # fmt: skip
async def test_wrong_solutions_are_rejected_with_the_reason(reply: str, said: str) -> None:
    async with ToolLibrary() as library:
        script = Script(solve_second=reply, mend_second=reply)
        growth = await grown(library, script=script)
        assert not growth.admitted and not growth.solved and len(library) == 0
        assert growth.rejected and all(each.stage == "solve" and said in each.why for each in growth.rejected)


async def test_a_wrong_solution_is_mended() -> None:
    async with ToolLibrary() as library:
        script = Script(solve_second=fenced(solution("return xs[1:]"), solution("return []")))
        growth = await grown(library, script=script)
        assert script.asked == ["solve_second", "mend_second", "general_second"]
        assert growth.solved == ("second",) and [each.stage for each in growth.rejected] == ["solve", "solve"]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (fenced(nth("f", "return xs[n::n]"), solution("return f(xs, 2)")), "is wrong: call 1 gives"),
        (fenced(nth("f"), solution("return xs[1::2]")), "does not call it"),
        (fenced(nth("f", "while True: pass"), solution("return f(xs, 2)")), "timeout"),
        (fenced("def f(xs, n):\n    return xs[n - 1 :: n]", solution("return f(xs, 2)")), "no annotation"),
        (fenced(nth("f", "import random; return xs[n - 1 :: n] + [random.random()][:0]"), solution("return f(xs, 2)")), ""),
        (fenced("def f(xs: bytes) -> list[int]:\n    return 1", solution("return xs[1::2]")), "bytes"),
        (fenced(solution("return xs[1::2]")), "no general function"), ("Nothing to see.", "no general function"),
        (fenced("def f(:"), "no general function"),
    ],
)  # fmt: skip
async def test_abstractions_are_proven_on_their_origin(reply: str, said: str) -> None:
    async with ToolLibrary() as library:
        growth = await grown(library, script=Script(general_second=reply))
        assert growth.solved == ("second",)
        if said:
            assert not growth.admitted and growth.rejected[-1].stage == "generalise" and said in growth.rejected[-1].why and len(library) == 0
        else:
            assert growth.admitted == ("f",)


async def test_a_tool_without_a_fixed_value_is_not_admitted() -> None:
    """The solution hides it, the tool's own proof does not."""
    body = "import time; return [*xs[n - 1 :: n], time.time_ns()]"
    async with ToolLibrary() as library:
        growth = await grown(library, script=Script(general_second=fenced(nth("f", body), solution("return f(xs, 2)[:-1]"))))
        assert not growth.admitted and growth.rejected[-1].stage == "verify" and "call 1" in growth.rejected[-1].why


async def test_renamed_tools_are_the_same_tool() -> None:
    other = nth("each_step").replace("xs", "items").replace("n:", "step:").replace("n - 1 :: n", "step - 1 :: step")
    renamed = fenced(other, solution("return each_step(xs, 3)"))
    again = fenced(nth("every_nth"), solution("return every_nth(xs, 4)"))
    async with ToolLibrary() as library:
        growth = await grown(library, SECOND, THIRD, FOURTH, script=Script(general_third=renamed, general_fourth=again), batch=1)
        assert growth.admitted == ("every_nth",) and [record.name for record in library] == ["every_nth"]
        assert growth.merged == {"each_step": "every_nth", "every_nth": "every_nth"}
        steps = {example.arguments["n"] for example in library.show("every_nth").examples}
        assert steps == {2, 3, 4} and library.show("every_nth").state == "trusted"
        assert [each.stage for each in growth.rejected] == ["merge", "merge"]


async def test_another_tool_of_a_taken_name_gets_a_name_of_its_own() -> None:
    async with ToolLibrary() as library:
        library.add("def every_nth(text: str) -> str:\n    return text\n")
        growth = await grown(library)
        assert growth.admitted == ("every_nth_2",) and library.show("every_nth").params.keys() == {"text"}


async def test_tools_of_earlier_batches_are_shown_and_called() -> None:
    async with ToolLibrary() as library:
        script = Script(solve_third=fenced(solution("return every_nth(xs, 3)")), general_third="nothing new")
        growth = await grown(library, SECOND, THIRD, script=script, batch=1)
        assert growth.reused == {"third": ("every_nth",)}
        assert library.show("every_nth").use.with_it == (1, 1)


async def test_problems_with_checks() -> None:
    check = "def check(value, n):\n    return value % n == 0 and value > n\n"
    problem = Problem("multiple", "Take every second number", tuple(Example({"n": n}, check=check) for n in (3, 5, 7, 11, 13)), "int")
    reply = fenced("def solution(n: int) -> int:\n    return n * 2")
    general = fenced("def times(n: int, k: int) -> int:\n    return n * k", "def solution(n: int) -> int:\n    return times(n, 2)")
    async with ToolLibrary() as library:
        growth = await grown(library, problem, script=Script(solve_second=reply, general_second=general))
        assert growth.admitted == ("times",) and library.show("times").state == "trusted"


# ------------------------------------------------------------------ stopping, failing, going on


async def test_a_growth_that_was_stopped_goes_on(tmp_path: Path) -> None:
    log = SQLiteLog(tmp_path / "log.db")
    script = Script()
    async with ToolLibrary(path=tmp_path / "library") as library:
        with pytest.raises(LimitReached):
            await grown(library, SECOND, THIRD, script=script, batch=1, log=log, limit=Limit(calls=3))
        assert [record.name for record in library] == ["every_nth"]
    asked = list(script.asked)
    async with await ToolLibrary.open(tmp_path / "library") as library:
        growth = await grown(library, SECOND, THIRD, script=script, batch=1, log=log, limit=Limit(calls=100))
        assert growth.solved == ("second", "third") and growth.admitted == ("every_nth",)
        assert sorted(script.asked) == sorted(["solve_second", "general_second", "solve_third", "general_third"])
        assert asked == script.asked[: len(asked)]
    log.close()


@pytest.mark.parametrize("tool", ["validate", "try_abstraction", "admit"])
async def test_stopped_inside_of_a_stage(tmp_path: Path, tool: str) -> None:
    """Cancelled when a stage begins: nothing of it is lost, and no model is asked twice for what it has answered."""
    log = SQLiteLog(tmp_path / "log.db")
    script = Script()
    async with ToolLibrary(path=tmp_path / "library") as library:
        task = asyncio.create_task(grown(library, script=script, log=log))
        while not any(isinstance(event, ev.CallStarted) and event.call.endswith(tool) for event in _events(log)):
            assert not task.done()
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    asked = len(script.asked)
    async with await ToolLibrary.open(tmp_path / "library") as library:
        growth = await grown(library, script=script, log=log)
        assert "every_nth" in {*growth.admitted, *growth.merged} and [record.name for record in library] == ["every_nth"]
        assert len(script.asked) == 2 and asked <= 2
    log.close()


def _events(log: SQLiteLog) -> list[ev.Event]:
    try:
        return log.read("grow")
    except RookeryError:
        return []


async def test_a_model_that_fails_costs_its_problem_only() -> None:
    def answer(request: Request) -> str | Exception:
        if "third number" in request.text:
            return ModelUnreachable("nobody there", model="scripted:script")
        return Script()(request)

    async with ToolLibrary() as library:
        from rookery import Attempts, Policy

        model = ScriptedModel(answer)
        growth = await grow(library, [SECOND, THIRD], model=model, policy=Policy(attempts=Attempts(stop=1)))
        assert growth.solved == ("second",)
        assert [(each.problem, each.stage) for each in growth.rejected] == [("third", "solve")] and "nobody there" in growth.rejected[0].why


async def test_a_full_disk_keeps_what_was_admitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, fsync = tmp_path / "library", os.fsync
    most = 'def most(xs: list[int]) -> int:\n    """The greatest."""\n    return max(xs, default=0)'
    other = fenced(most, solution("return xs[2::3][: 99 + most(xs)]"))
    is_full = False

    def write(descriptor: int) -> None:
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    def answer(request: Request) -> str:
        nonlocal is_full
        is_full = "every third number" in request.text
        return script(request)

    script = Script(general_third=other)
    monkeypatch.setattr(os, "fsync", write)
    log = MemoryLog()
    async with ToolLibrary(path=path) as library:
        with pytest.raises(LibraryFull):
            await grow(library, [SECOND, THIRD], model=ScriptedModel(answer), batch=1, log=log)
    is_full = False
    async with await ToolLibrary.open(path) as library:
        assert [record.name for record in library] == ["every_nth"] and not library.damaged
        growth = await grow(library, [SECOND, THIRD], model=ScriptedModel(lambda request: "no"), batch=1, log=log)
        assert growth.admitted == ("every_nth", "most")
    async with await ToolLibrary.open(path) as library:
        assert {record.name for record in library} == {"every_nth", "most"}


# ------------------------------------------------------------------ replies


def test_programs_in_replies() -> None:
    assert sources_of("no code") == [] and sources_of("def f():\n    pass") == ["def f():\n    pass\n"]
    assert sources_of("a\n```python\nx = 1\n```\nb\n```\ny = 2\n```\n```json\n{}\n```\n```python\nx = 1\n```") == ["x = 1\n", "y = 2\n"]
    assert sources_of("  ```py\n  def f():\n      pass\n  ```") == ["def f():\n    pass\n"]
    assert len(sources_of("\n".join(f"```\nx = {number}\n```" for number in range(500)))) <= 64


def test_pairs_in_replies() -> None:
    found = abstractions_of(fenced("def g(): pass", "def f(): pass\ndef _h(): pass", solution("return f()"), "def k(): pass"))
    assert [(each.name, "return f()" in each.use) for each in found] == [("f", True)]


def test_texts_for_models() -> None:
    examples = [Example({"xs": [1], "k": 2}, 3.5), Example({"xs": [], "k": 1}, 2)]
    assert examples_text(examples) == "solution(xs=[1], k=2) == 3.5\nsolution(xs=[], k=1) == 2"
    assert signature_text(examples) == "def solution(xs: list[int], k: int) -> float:"
    assert "gives True" in examples_text([Example({"x": 1}, check="def check(value, x): ...")])


def test_programs_with_the_tools_they_call() -> None:
    tools = {"a": "from __future__ import annotations\ndef a(): pass\n", "b": "def b(): pass\n"}
    assert called_in("def solution():\n    return b() + c()", tools) == ["b"] and called_in("def (", tools) == []
    whole = joined("def solution():\n    return a()\n", {"a": tools["a"]})
    assert whole.startswith("from __future__") and whole.count("__future__") == 1
    compile(whole, "whole", "exec")


def test_the_most_distant_come_first() -> None:
    texts = ["sort the numbers", "sort these numbers", "draw a house", "sort the numbers now"]
    assert most_distant(texts)[:2] == [0, 2] and sorted(most_distant(texts)) == [0, 1, 2, 3] and most_distant([]) == []


