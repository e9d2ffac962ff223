"""The library: adding, proving, finding, counting, merging, retiring, and what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rookery import run, tool
from rookery.errors import RookeryError, ToolError, ToolFailed, ToolUnbound, ToolUnfit, ToolUnknown
from rookery.tools.bubblewrap import Bubblewrap
from rookery.tools.dedupe import Duplicates
from rookery.tools.library import ToolLibrary
from rookery.tools.record import RECENT, Example, Use
from rookery.tools.source import from_source
from rookery.tools.trial import try_calls
from tests.boxes import needs_bubblewrap

pytestmark = needs_bubblewrap

ABOVE = "def above(xs: list[int], k: int = 3) -> list[int]:\n    '''Numbers greater than k.'''\n    return [x for x in xs if x > k]\n"
TWICE = [Example({"x": 1}, 2), Example({"x": 3}, 6, seen=False), Example({"x": 5}, 10, seen=False)]


@tool
def word_count(text: str) -> int:
    """How many words a text has."""
    return len(text.split())


@pytest.fixture
async def library() -> AsyncIterator[ToolLibrary]:
    async with ToolLibrary() as made:
        yield made


def twice(body: str, name: str = "twice") -> str:
    return f"def {name}(x: int) -> int:\n    {body}\n"


# ------------------------------------------------------------------ adding


async def test_functions_tools_and_sources(library: ToolLibrary) -> None:
    def shout(text: str) -> str:
        """Make it loud."""
        return text.upper()

    library.add(word_count)
    library.add(shout)
    library.add(ABOVE)
    assert [record.name for record in library] == ["word_count", "shout", "above"] and len(library) == 3
    assert library.tool("shout")(text="a") == "A"
    assert await library.tool("above").function(xs=[2, 5, 9]) == [5, 9]
    assert library.show("above").signature == "above(xs: list[int], k: int = 3) -> list[int]"
    assert library.show("above").use.calls == 1 and library.show("shout").use.successes == 1


async def test_sources_never_run_in_this_process(library: ToolLibrary, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    library.add(f"open({str(mark)!r}, 'w').write('here')\ndef f(x: int) -> int:\n    return x\n", name="f")
    with pytest.raises(ToolFailed):
        await library.tool("f").function(x=1)
    assert not mark.exists()


async def test_the_same_again_and_another_of_its_name(library: ToolLibrary) -> None:
    first = library.add(ABOVE)
    assert library.add(ABOVE) is first
    with pytest.raises(ToolUnfit, match="another tool named above"):
        library.add("def above(x: int) -> int:\n    return x\n")
    assert library.add("def above(x: int) -> int:\n    return x\n", replace=True).version == 2
    library.add(ABOVE.replace("above", "over"), name="over")
    with pytest.raises(ToolUnknown) as caught:
        library.show("abve")
    assert "above" in caught.value.hint


async def test_examples_must_be_calls_of_it(library: ToolLibrary) -> None:
    with pytest.raises(ToolUnfit) as caught:
        library.add(twice("return x * 2"), examples=[Example({"x": 1}, 2), Example({"y": 1}, 2), Example({}, 0)])
    assert [place for place, _ in caught.value.faults] == ["examples[1]", "examples[2]"]
    assert len(library) == 0


def test_a_source_tool_is_a_tool_of_graphs_and_runs() -> None:
    made = from_source(ABOVE, pure=True)
    assert run(made, xs=[1, 7], k=2) == [7]
    assert made.fingerprint() != from_source(ABOVE.replace("> k", ">= k")).fingerprint()
    with pytest.raises(RookeryError):
        run(made, xs=["a"])


async def test_tuples_and_sets_reach_the_function(library: ToolLibrary) -> None:
    source = "def f(p: tuple[int, int], s: set[str], m: list[tuple[int, int]]) -> list[str]:\n    return [type(v).__name__ for v in (p, s, m[0])]\n"
    library.add(source)
    assert await library.tool("f").function(p=[1, 2], s=["a"], m=[[1, 2]]) == ["tuple", "set", "tuple"]


# ------------------------------------------------------------------ proving


async def test_states(library: ToolLibrary) -> None:
    library.add(twice("return x * 2"), examples=TWICE)
    library.add(twice("return x * 2", "seen"), examples=TWICE[:2])
    library.add(twice("return x * 2", "unproven"))
    proofs = await library.verify()
    assert set(proofs) == {"twice", "seen"} and all(proof.ok for proof in proofs.values())
    assert [library.show(name).state for name in ("twice", "seen", "unproven")] == ["trusted", "verified", "candidate"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return x * 2 + (x == 5)", "call 3 gives 11, not 10"),
        ("return x * 2 if x < 5 else 1 / 0", "ZeroDivisionError"),
        ("while x > 4: pass\n    return x * 2", "timeout"), ("import os; os._exit(0)", "crash"),
        ("import random; return x * random.randint(2, 99)", ""),
        ("import sys; sys.n = getattr(sys, 'n', 0) + 1; return x * 2 + sys.n - 1", ""), ("return str(x * 2)", "not 2"), ("return True", "true"),
        ("return [0] * 10**10", "memory"), ("return object()", "no JSON data"),
    ],
)  # fmt: skip
async def test_tools_that_prove_nothing(library: ToolLibrary, body: str, said: str) -> None:
    library.add(twice(body), examples=TWICE)
    proof = (await library.verify())["twice"]
    record = library.show("twice")
    assert not proof.ok and record.state == "candidate" and said in record.why and record.why
    assert not await library.search("twice")


async def test_a_source_that_meddles_with_the_trial(library: ToolLibrary) -> None:
    forging = "import json\njson.dumps = lambda *a, **k: '2'\ndef twice(x: int) -> int:\n    return 2\n"
    leaving = "import sys\nsys._getframe(1).f_locals['answers'].append(['', '2', '[]'])\ndef twice(x: int) -> int:\n    return 2\n"
    for source in (forging, leaving):
        library.add(source, name="twice", examples=TWICE, replace=True)
        assert not (await library.verify())["twice"].ok


async def test_checks_run_apart_from_the_tool(library: ToolLibrary) -> None:
    check = "def check(value, x):\n    return value > x\n"
    library.add(twice("return x + 1"), examples=[Example({"x": 1}, check=check), Example({"x": 4}, check=check, seen=False)])
    library.add(twice("return x - 1", "less"), examples=[Example({"x": 1}, check=check)])
    proofs = await library.verify()
    assert proofs["twice"].ok and "the check of 0 gives false" in proofs["less"].why


async def test_calls_that_end_the_sandbox_are_found() -> None:
    box = Bubblewrap(ready=0)
    source = "import os\ndef f(x: int) -> int:\n    if x == 3: os._exit(1)\n    return x\n"
    answers = await try_calls(box, source, "f", [{"x": x} for x in range(6)])
    assert [answer.ok for answer in answers] == [True, True, True, False, True, True]
    assert (await try_calls(box, source, "f", [{"x": float("nan")}]))[0].fault == "refused"
    await box.aclose()


async def test_admitted_tools_are_proven_again_on_load(tmp_path: Path, library: ToolLibrary) -> None:
    library.add(twice("return x * 2"), examples=TWICE)
    library.add(twice("return x * 2 + (x == 5)", "planted"), examples=TWICE)
    await library.verify("twice")
    library.judge("planted", (await library.verify("twice"))["twice"])  # somebody says that it is proven
    await library.export_to(tmp_path / "out")
    async with await ToolLibrary.open(tmp_path / "out") as opened:
        assert opened.show("twice").state == "trusted"
        assert opened.show("planted").state == "candidate" and "not 10" in opened.show("planted").why


# ------------------------------------------------------------------ use


async def test_a_tool_that_drifts_is_no_longer_found(library: ToolLibrary) -> None:
    library.add(word_count)
    for ok in [True] * 10 + [False, True, False, False, True, False]:
        library.note_call("word_count", ok=ok)
    assert library.show("word_count").is_offered
    library.note_call("word_count", ok=False)
    record = library.show("word_count")
    assert record.state == "candidate" and "5 of its last 17 calls failed" in record.why
    assert not await library.search("count the words")


def test_lift() -> None:
    use = Use()
    assert use.lift is None
    for used, solved in [(True, True), (True, True), (False, True), (False, False)]:
        use = use.after_task(used=used, solved=solved)
    assert use.lift == 0.5
    for _ in range(2 * RECENT):
        use = use.after_call(True)
    assert len(use.recent) == RECENT and use.calls == 2 * RECENT


async def test_search_and_past_tasks(library: ToolLibrary) -> None:
    library.add(word_count)
    library.add(ABOVE)
    assert (await library.search("numbers that are greater"))[0].name == "above"
    await library.note_task("how long is this essay", offered=["above"], used=["word_count"], solved=True)
    assert library.show("word_count").use.with_it == (1, 1) and library.show("above").use.without_it == (1, 1)
    assert library.show("word_count").questions == ("how long is this essay",)
    library.retire("above", why="old")
    assert [hit.name for hit in await library.search("numbers that are greater")] in ([], ["word_count"])
    with pytest.raises(ToolUnknown, match="old"):
        library.tool("above")
    assert "above" not in library and library.show("above").source


# ------------------------------------------------------------------ duplicates


async def merged(library: ToolLibrary, *sources: str) -> Duplicates:
    for source in sources:
        library.add(source, examples=[Example({"xs": [1, 5, 9]}, [5, 9])] if "xs" in source else ())
    return await library.merge_duplicates()


async def test_copies_are_merged_and_old_names_go_on_working(library: ToolLibrary) -> None:
    renamed = "def larger(least: int = 3, *, values: list[int]) -> list[int]:\n    return [v for v in values if v > least]\n"
    other = "def loop(xs: list[int], k: int = 3) -> list[int]:\n    out = []\n    for x in xs:\n        if k < x:\n            "
    other += "out.append(x)\n    return out\n"
    found = await merged(library, ABOVE, renamed, other)
    assert {(merge.dropped.name, merge.verdict) for merge in found.merges} == {("larger", "copy"), ("loop", "twin")}
    assert [record.name for record in library] == ["above"] and library.survivor("larger") == "above"
    assert await library.tool("larger").function(values=[1, 5, 9]) == [5, 9]
    assert await library.tool("larger").function(values=[1, 5, 9], least=6) == [9]
    assert library.show("larger").state == "retired" and "larger" in library
    assert library.show("above").use.calls == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [("k: int = 3", "k: int = 4"), ("x > k", "x >= k"), ("x > k", "x > k + 2"), ("x for x", "x * 2 // 2 for x"), ("x > k", "x > k and x != 999")],
)
async def test_what_differs_or_may_differ_is_kept(library: ToolLibrary, old: str, new: str) -> None:
    found = await merged(library, ABOVE, ABOVE.replace("above", "other").replace(old, new))
    assert not found.merges and len(library) == 2


async def test_a_merge_must_pass_the_stored_calls(library: ToolLibrary) -> None:
    library.add("def f(x: int) -> int:\n    return x if x != 123456 else 0\n")
    library.add("def g(y: int) -> int:\n    return 0 if y == 123456 else y\n", examples=[Example({"y": 123456}, 7)])
    found = await library.merge_duplicates()
    assert not found.merges and found.kept[0].why.startswith("f fails a stored call of g")


async def test_types_are_widened_where_copies_differ_in_them_only(library: ToolLibrary) -> None:
    library.add("def add(a: int, b: int) -> int:\n    return a + b\n", examples=[Example({"a": 1, "b": 2}, 3)])
    library.add("def cat(s: str, t: str) -> str:\n    return s + t\n", examples=[Example({"s": "x", "t": "y"}, "xy")])
    assert [merge.dropped.name for merge in (await library.merge_duplicates()).merges] == ["cat"]
    signature = library.show("add").signature.replace("str | int", "int | str")  # equal unions are one object, whoever made it first
    assert signature == "add(a: int | str, b: int | str) -> int | str" and library.show("add").version == 2
    assert await library.tool("cat").function(s="a", t="b") == "ab"
    assert (await library.verify("add"))["add"].ok


async def test_checks_of_merged_tools_get_their_own_names(library: ToolLibrary) -> None:
    library.add("def f(x: int) -> int:\n    return x + 1\n")
    library.add("def g(y: int) -> int:\n    return y + 1\n", examples=[Example({"y": 1}, check="def check(value, y):\n    return value > y\n")])
    library.add("def h(z: int) -> int:\n    return z + 1\n", examples=[Example({"z": 1}, check="def check(value, z):\n    return value > z\n")])
    assert len((await library.merge_duplicates()).merges) == 2
    assert (await library.verify("f"))["f"].ok and len(library.show("f").examples) == 2


async def test_merging_again_finds_nothing_and_chains_lead_to_the_last(library: ToolLibrary, tmp_path: Path) -> None:
    await merged(library, ABOVE, ABOVE.replace("above", "b"))
    assert not (await library.merge_duplicates()).merges
    await library.export_to(tmp_path / "out")
    async with await ToolLibrary.open(tmp_path / "out") as opened:
        assert await opened.tool("b").function(xs=[1, 9]) == [9]
        assert opened.add(ABOVE.replace("above", "b"), examples=[Example({"xs": [1, 5, 9]}, [5, 9])]).state == "retired"


# ------------------------------------------------------------------ import and export


async def test_import_proves_and_never_overwrites(library: ToolLibrary, tmp_path: Path) -> None:
    async with ToolLibrary() as other:
        other.add(twice("return x * 2"), examples=TWICE)
        other.add(twice("return x * 3", "bad"), examples=TWICE)
        other.add(twice("return x", "clash"))
        await other.export_to(tmp_path / "other")
        with pytest.raises(ToolError, match="not empty"):
            await other.export_to(tmp_path / "other")
    library.add(twice("return x + 1", "clash"))
    found = await library.import_from(tmp_path / "other")
    assert found.added == ("twice", "bad") and list(found.refused) == ["clash"]
    assert library.show("twice").state == "trusted" and library.show("twice").labels == {"imported"}
    assert library.show("bad").state == "candidate" and library.show("clash").source == twice("return x + 1", "clash")
    assert (await library.import_from(tmp_path / "other")).known == ("twice", "bad")


async def test_tools_without_source_must_be_given_again(tmp_path: Path) -> None:
    def leaning(x: int) -> int:
        return len(TWICE) + x

    library = ToolLibrary(leaning)
    await library.export_to(tmp_path / "out")
    opened = await ToolLibrary.open(tmp_path / "out")
    with pytest.raises(ToolUnbound):
        opened.tool("leaning")
    opened.add(leaning)
    assert opened.tool("leaning")(x=1) == 4


async def test_a_tool_can_give_what_its_stored_calls_gave(library: ToolLibrary) -> None:
    library.add("def long(n: int) -> str:\n    return '\"' * n\n", examples=[Example({"n": 400_000}, '"' * 400_000)])
    assert (await library.verify())["long"].ok
    assert len(await library.tool("long").function(n=400_000)) == 400_000
    with pytest.raises(ToolFailed, match="output"):
        await library.tool("long").function(n=3_000_000)


async def test_the_order_of_keys_reaches_the_function(library: ToolLibrary) -> None:
    library.add("def keys(d: dict[str, int]) -> list[str]:\n    return list(d)\n")
    assert await library.tool("keys").function(d={"b": 1, "a": 2}) == ["b", "a"]
