"""The memory: what it finds, how soon, what it never does. LoCoMo evidence, updates, two times, near-duplicates, scopes, kill -9, a million items.

LoCoMo is read from ROOKERY_DATA and copied nowhere; its part is reported as absent where it is not there. The weights of
``rookery/memory/rank.py`` were fixed on its first two conversations (conv-26, conv-30) before the other three were opened. ``--only M1,M12``
measures some parts. The shipped configuration throughout: Chroma in a folder, the embedder of the package, durable against ``kill -9``.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import memory_streams as streams
from benchmarks.report import ROOT, Target, Worker, finish, obey, options, say, scratch
from rookery.errors import ItemUnknown
from rookery.memory import Memory, Note, Source
from rookery.models.model import Chunk, Request
from rookery.testing import ScriptedModel
from tests.memory.cases import PAYLOADS, SYMBOLS
from tests.memory.suite import unquoted, wrong_in

DATA = Path(os.environ.get("ROOKERY_DATA", str(ROOT.parent / "shared" / "data")))
FIXED_ON = 2
"""Conversations, from the first, that the weights were fixed on."""
KS = (5, 10, 25, 50)
BUDGETS = (1_000, 2_000, 4_000)
BFCL = ROOT / "tests" / "memory" / "bfcl"


@dataclass(slots=True)
class Part:
    """What one part measured."""

    figures: dict[str, Any]
    targets: list[Target]


@contextmanager
def folder() -> Iterator[Path]:
    """A folder on a real disk, gone afterwards."""
    place = Path(tempfile.mkdtemp(prefix="rookery-memory-", dir=scratch()))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


class Counting(ScriptedModel):
    """Counts tokens about as common tokenizers do, a little above: a token for four letters, three digits or a sign. Counts its calls too."""

    asked = 0

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        self.asked += 1
        async for chunk in super().stream(request):
            yield chunk

    async def count_tokens(self, request: Request) -> int:
        return len(re.findall(r"[^\W\d_]{1,4}|\d{1,3}|[^\w\s]|_|\n", request.text))


def percentile(figures: Sequence[float], share: float) -> float:
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def mean(figures: Sequence[float]) -> float:
    return statistics.fmean(figures) if figures else 0.0


# ------------------------------------------------------------------ M1, M3: LoCoMo


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    evidence: frozenset[str]
    category: int


@dataclass(frozen=True, slots=True)
class Conversation:
    name: str
    notes: list[Note]
    questions: list[Question]
    end: float


def conversations() -> list[Conversation]:
    """LoCoMo's conversations as dated turns; questions without evidence among the turns are left out."""
    path = DATA / "locomo" / "locomo5.json"
    if not path.exists():
        return []
    found = []
    for sample in json.loads(path.read_text("utf-8")):
        notes, ids, at, number = [], set(), 0.0, 1
        while f"session_{number}" in sample["conversation"]:
            when = sample["conversation"][f"session_{number}_date_time"]
            at = datetime.strptime(when, "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC).timestamp()
            for turn in sample["conversation"][f"session_{number}"]:
                caption = f" [shares {turn['blip_caption']}]" if turn.get("blip_caption") else ""
                ids.add(turn["dia_id"])
                notes.append(Note(turn["text"] + caption, "event", at=at, source=Source(turn["dia_id"], turn["speaker"], f"session {number}")))
            number += 1
        questions = []
        for asked in sample["qa"]:
            evidence = frozenset(id for text in asked.get("evidence", []) for id in re.findall(r"D\d+:\d+", text)) & ids
            if evidence:
                questions.append(Question(asked["question"], evidence, asked["category"]))
        found.append(Conversation(sample["sample_id"], notes, questions, at + 86_400))
    return found


async def locomo(quick: bool) -> Part:
    names = ["R@5", "R@10", "R@25", "R@50"]
    bounds = (66.0, 76.0, 84.0, 89.0)
    talks = conversations()
    if not talks:
        absent = [
            Target(f"M1 evidence {name}, five conversations", None, bound, " %", at_least=True) for name, bound in zip(names, bounds, strict=True)
        ]
        return Part(
            {"M1": "LoCoMo is not in ROOKERY_DATA"}, [*absent, Target("M3 evidence inside 2k tokens, share of R@50", None, 80.0, " %", at_least=True)]
        )
    by_talk: dict[str, dict[str, Any]] = {}
    rows: list[tuple[int, int, list[float], dict[str, list[float]]]] = []
    for number, talk in enumerate(talks):
        with folder() as place:
            async with Memory(scope="locomo", path=place, clock=lambda end=talk.end: end, model=Counting(lambda _: "")) as memory:  # type: ignore[misc]
                await memory.keep_many(talk.notes)
                own = [await _ask(memory, question, quick=quick) for question in talk.questions]
        rows += [(number, question.category, *figures) for question, figures in zip(talk.questions, own, strict=True)]
        by_talk[talk.name] = {
            "turns": len(talk.notes),
            "questions": len(own),
            **{name: round(100 * mean([recalled[at] for recalled, _ in own]), 2) for at, name in enumerate(names)},
        }

    def table(rows: list[Any]) -> dict[str, float]:
        return {name: round(100 * mean([row[2][at] for row in rows]), 2) for at, name in enumerate(names)}

    whole = table(rows)
    budgets = {str(size): round(100 * mean([row[3]["tokens"][at] for row in rows]), 2) for at, size in enumerate(BUDGETS)}
    figures = {
        "M1": {
            "all": whole,
            "fixed_on": table([row for row in rows if row[0] < FIXED_ON]),
            "held_out": table([row for row in rows if row[0] >= FIXED_ON]),
            "categories_1_to_4": table([row for row in rows if row[1] != 5]),
            "categories": {str(category): table([row for row in rows if row[1] == category]) for category in sorted({row[1] for row in rows})},
            "conversations": by_talk,
            "conversations_fixed_on": [talk.name for talk in talks[:FIXED_ON]],
        },
        "M3": {
            "tokens": budgets,
            "bytes": {str(size): round(100 * mean([row[3]["bytes"][at] for row in rows]), 2) for at, size in enumerate(BUDGETS)} if not quick else {},
            "counted_as": "4 letters, 3 digits or a sign a token",
        },
    }
    targets = [
        Target(f"M1 evidence {name}, five conversations", whole[name], bound, " %", at_least=True) for name, bound in zip(names, bounds, strict=True)
    ]
    targets.append(Target("M3 evidence inside 2k tokens, share of R@50", 100 * budgets["2000"] / whole["R@50"], 80.0, " %", at_least=True))
    return Part(figures, targets)


async def _ask(memory: Memory, question: Question, *, quick: bool) -> tuple[list[float], dict[str, list[float]]]:
    """Evidence recall at each k, and inside each budget."""
    found = await memory.recall(question.text, tokens=1_000_000, k=50)
    order = [item.source.name for item in found.items]
    at_k = [len(set(order[:k]) & question.evidence) / len(question.evidence) for k in KS]
    inside: dict[str, list[float]] = {"tokens": [], "bytes": []}
    for size in BUDGETS:
        held = await memory.recall(question.text, tokens=size, k=200)
        assert held.tokens <= size, "a budget is never exceeded"
        inside["tokens"].append(len({item.source.name for item in held.items} & question.evidence) / len(question.evidence))
        if not quick:
            inside["bytes"].append(_inside_bytes(found.found, size, question))
    return at_k, inside


def _inside_bytes(found: Sequence[Any], size: int, question: Question) -> float:
    used, names = 110, set()
    for each in found:
        used += len(each.line.encode()) + 1
        if used > size:
            break
        names.add(each.item.source.name)
    return len(names & question.evidence) / len(question.evidence)


# ------------------------------------------------------------------ M6, M7: what is true now, and was


async def supersession(quick: bool) -> Part:
    chains = streams.updates(160 if quick else 600)
    found_at_10 = newest_first = asked = looked = closed = 0
    by_family: dict[str, list[int]] = {}
    with folder() as place:
        async with Memory(scope="updates", path=place) as memory:
            await memory.keep_many([Note(text, "event") for text in streams.sentences(500 if quick else 2_000)])
            rounds = max(len(chain.statements) for chain in chains)
            for number in range(rounds):
                for chain in chains:
                    if number >= len(chain.statements):
                        continue
                    text = chain.statements[number]
                    if number:
                        looked += 1
                        found_at_10 += chain.statements[number - 1] in [item.text for item in await memory.rivals(text, k=10)]
                    closed += bool((await memory.keep(text, at=1.6e9 + 86_400 * 30 * number)).closed)
            for chain in chains:
                order = [item.text for item in (await memory.recall(chain.question, tokens=4_000, k=50)).items]
                places = [order.index(text) for text in chain.statements if text in order]
                if chain.statements[-1] in order and len(places) > 1:
                    asked += 1
                    first = places[-1] == min(places)
                    newest_first += first
                    by_family.setdefault(chain.family.name, []).append(first)
    figures = {
        "chains": len(chains),
        "older_found_at_10": round(100 * found_at_10 / looked, 2),
        "newest_first": round(100 * newest_first / max(asked, 1), 2),
        "closed_by_rules": round(100 * closed / looked, 2),
        "both_retrieved": asked,
        "newest_first_by_family": {name: round(100 * mean(firsts), 1) for name, firsts in by_family.items()},
    }
    return Part(
        {"M6": figures},
        [
            Target("M6 older statement found at 10", figures["older_found_at_10"], 80.0, " %", at_least=True),
            Target("M6 newest valid statement first", figures["newest_first"], 95.0, " %", at_least=True),
        ],
    )


async def two_times(quick: bool) -> Part:
    count = 5_000 if quick else 100_000
    facts = streams.dated(count)
    draw = random.Random(70)
    with folder() as place:
        async with Memory(scope="facts", path=place) as memory:
            recorded = []
            for first in range(0, count, 500):
                some = facts[first : first + 500]
                notes = [
                    Note(
                        fact.family.says[0].format(who=fact.who, value=fact.value) + f" (entry {first + at})",
                        at=fact.begin,
                        subject=fact.subject,
                        valid_to=None if fact.end == float("inf") else fact.end,
                    )
                    for at, fact in enumerate(some)
                ]
                await memory.keep_many(notes)
                recorded.append(time.time())
            by_subject: dict[str, list[tuple[int, streams.Dated]]] = {}
            for at, fact in enumerate(facts):
                by_subject.setdefault(fact.subject, []).append((at, fact))
            right: dict[str, list[bool]] = {"current": [], "as_of": [], "known_at": [], "history": []}
            subjects = draw.sample(sorted(by_subject), min(len(by_subject), 300 if quick else 3_000))
            last = max(fact.begin for fact in facts) + 1
            for subject in subjects:
                own = by_subject[subject]
                for kind in ("current", "as_of", "known_at"):
                    at = last if kind == "current" else draw.choice(own)[1].begin + 86_400 * draw.randrange(-20, 2_000)
                    batch = draw.randrange(len(recorded)) if kind == "known_at" else len(recorded) - 1
                    truth = streams.holding([fact for number, fact in own if number < (batch + 1) * 500], at)
                    found = await memory.current(subject, as_of=at, known_at=recorded[batch] if kind == "known_at" else None)
                    right[kind].append((found is None) if truth is None else found is not None and f" {truth.value}" in found.text)
                beliefs = await memory.history(subject)
                right["history"].append({belief.item.text.rpartition("entry ")[2] for belief in beliefs} == {f"{number})" for number, _ in own})
        explicit = 100 * mean([ok for kind in ("current", "as_of", "known_at") for ok in right[kind]])
        phrased = await _paraphrases(place / "phrased", 400 if quick else 4_000)
    figures = {
        "facts": count,
        "subjects": len(by_subject),
        **{kind: round(100 * mean(list(map(float, oks))), 3) for kind, oks in right.items()},
        "paraphrased": phrased,
    }
    return Part(
        {"M7": figures},
        [
            Target("M7 as-of and current value, explicit keys", explicit, 100.0, " %", at_least=True),
            Target("M7 as-of and current value, templated paraphrase", phrased, 90.0, " %", at_least=True),
        ],
    )


async def _paraphrases(place: Path, count: int) -> float:
    """Facts said in changing words and asked for by questions: whether the first line of the recall is the right one."""
    facts = [fact for fact in streams.dated(count, seed=71) if fact.end == float("inf")]
    draw = random.Random(72)
    by_subject: dict[str, list[streams.Dated]] = {}
    right = []
    async with Memory(scope="phrased", path=place) as memory:
        await memory.keep_many([Note(draw.choice(fact.family.says).format(who=fact.who, value=fact.value), at=fact.begin) for fact in facts])
        for fact in facts:
            by_subject.setdefault(fact.subject, []).append(fact)
        for own in draw.sample(list(by_subject.values()), min(400, len(by_subject))):
            for at in (max(fact.begin for fact in own) + 1, draw.choice(own).begin + 3_600):
                truth = streams.holding(own, at)
                found = await memory.recall(draw.choice(own[0].family.asks).format(who=own[0].who), as_of=at, tokens=1_000, k=3)
                right.append(truth is not None and len(found) > 0 and truth.value in found.items[0].text)
    return round(100 * mean(list(map(float, right))), 2)


# ------------------------------------------------------------------ M8, M9, M10: writing


async def writing(quick: bool) -> Part:
    talks = conversations()
    notes = [note for talk in talks for note in talk.notes] or [Note(text, "event") for text in streams.sentences(3_000)]
    notes += [Note(text) for text in streams.sentences(1_000 if quick else 5_000)]
    model = Counting(lambda _: "never asked")
    times: list[float] = []
    with folder() as place:
        async with Memory(scope="writing", path=place, model=model) as memory:
            for note in notes[: 2_000 if quick else None]:
                began = time.perf_counter()
                await memory.keep(note.text, kind=note.kind, at=note.at, source=note.source)
                times.append(1e3 * (time.perf_counter() - began))
            closing = time.perf_counter()
            await memory.settle()
            settled = time.perf_counter() - closing
        async with Memory(scope="writing", path=place, durable="power") as memory:
            power = []
            for text in streams.sentences(200 if quick else 1_000, seed=80):
                began = time.perf_counter()
                await memory.keep(text)
                power.append(1e3 * (time.perf_counter() - began))
    calls = model.asked
    figures = {
        "writes": len(times),
        "p50_ms": percentile(times, 0.5),
        "p95_ms": percentile(times, 0.95),
        "p99_ms": percentile(times, 0.99),
        "model_calls": calls,
        "power_p50_ms": percentile(power, 0.5),
        "power_p95_ms": percentile(power, 0.95),
        "settle_s": settled,
    }
    return Part({"M8": figures}, [Target("M8 durable write, p95", figures["p95_ms"], 2.0, " ms"), Target("M8 model calls", calls, 0)])


async def feedback(quick: bool) -> Part:
    talks = conversations()
    notes = talks[0].notes if talks else [Note(text, "event", source=f"line {number}") for number, text in enumerate(streams.sentences(400))]
    questions = [question.text for question in talks[0].questions[: 20 if quick else 60]] if talks else [note.text for note in notes[:20]]
    passes = 5 if quick else 50
    sizes = []
    with folder() as place:
        async with Memory(scope="feedback", path=place) as memory:
            await memory.keep_many(notes)
            await memory.keep_many(list(streams.sentences(200)))
            for _ in range(passes):
                for text in questions:
                    found = await memory.recall(text, tokens=2_000)
                    await memory.keep(found.text or "nothing")
                    await memory.keep_many([Note(item.text) for item in found.items])
                sizes.append(len(await memory.items(limit=1_000_000)))
    return Part(
        {"M9": {"passes": passes, "before": len(notes) + 200, "sizes": sizes}},
        [Target("M9 growth after the first pass", sizes[-1] - sizes[0], 0, " items")],
    )


async def duplicates(quick: bool) -> Part:
    tried = streams.pairs(600 if quick else 4_000)
    counts = {(truth, merged): 0 for truth in (True, False) for merged in (True, False)}
    wrong: list[list[Any]] = []
    with folder() as place:
        async with Memory(scope="none", path=place) as keeper:
            for number, (one, other, truth) in enumerate(tried):
                memory = keeper.within(f"pair:{number}")
                await memory.keep(one)
                merged = (await memory.keep(other)).state == "merged"
                await memory.aclose()
                counts[truth, merged] += 1
                if merged != truth and len(wrong) < 20:
                    wrong.append([one, other, truth])
    precision = counts[True, True] / max(1, counts[True, True] + counts[False, True])
    recall = counts[True, True] / max(1, counts[True, True] + counts[True, False])
    return Part(
        {"M10": {"pairs": len(tried), "precision": precision, "recall": recall, "wrong": wrong}},
        [Target("M10 near-duplicates, precision", precision, 0.99, at_least=True), Target("M10 near-duplicates, recall", recall, 0.9, at_least=True)],
    )


# ------------------------------------------------------------------ M11: scopes


ODD = ["' OR 1=1 --", "%", "_", "*", "user:1' UNION SELECT text FROM item --", "\x00", "../../memory.db", '{"$ne": null}', "a" * 500, "", "0" * 12]


async def isolation(quick: bool, wanted: int = 0) -> Part:
    operations, scopes = (10_000, 200) if quick else (1_000_000, 1_000)
    operations = wanted or operations
    draw = random.Random(11)
    leaks: list[str] = []
    held: list[dict[str, str]] = [{} for _ in range(scopes)]
    gone: list[str] = []
    with folder() as place:
        first = Memory(scope="scope:0", path=place)
        memories = [first, *(first.within(f"scope:{number}") for number in range(1, scopes))]
        began = time.perf_counter()
        for number in range(operations):
            scope = draw.randrange(scopes)
            await _operation(draw, scope, number, memories, held, gone, leaks)
            if number % 50_000 == 49_999:
                say(f"M11: {number + 1} operations, {time.perf_counter() - began:.0f} s")
        for scope in draw.sample(range(scopes), min(40, scopes)):
            await memories[scope].settle()
            async for data in memories[scope].export():
                if f"scope{scope}x" not in data["text"]:
                    leaks.append(f"export of {scope}: {data['text'][:80]}")
        for scope in range(0, scopes, 5):
            gone += held[scope].values()
            await memories[scope].forget(scope=f"scope:{scope}")
            held[scope] = {}
        took = time.perf_counter() - began
        for memory in memories:
            await memory.aclose()
        traces = _bytes_of(place, gone)
    return Part(
        {"M11": {"operations": operations, "scopes": scopes, "forgotten": len(gone), "leaks": leaks[:10], "traces": traces[:10], "seconds": took}},
        [Target("M11 leaks", len(leaks), 0), Target("M11 traces of forgotten canaries in the folder", len(traces), 0)],
    )


async def _operation(
    draw: random.Random, scope: int, number: int, memories: list[Memory], held: list[dict[str, str]], gone: list[str], leaks: list[str]
) -> None:
    memory, own = memories[scope], held[scope]
    other = draw.randrange(len(memories))
    dice = draw.random()
    if dice < 0.45:
        canary = f"scope{scope}x canary{number:x}q{draw.getrandbits(40):x}"
        kept = await memory.keep(f"The word of {canary} is nest.", kind=draw.choice(("fact", "event", "preference")), source=f"scope{scope}x")
        own[kept.id] = canary.split()[1]
    elif dice < 0.80:
        query = draw.choice((f"word of scope{other}x", *(list(held[other].values())[:1]), draw.choice(ODD)))
        found = await memory.recall(query, tokens=2_000, k=10, kinds=draw.choice((None, ("fact",), ("event", "fact"))))
        leaks += [f"{scope} saw {item.text[:80]}" for item in found.items if f"scope{scope}x" not in item.text or item.id not in own]
    elif dice < 0.90:
        target = draw.choice((*list(held[other])[:1], draw.choice(ODD)))
        try:
            found_item = await memory.show(target)
        except ItemUnknown:
            found_item = None
        if found_item is not None and target not in own:
            leaks.append(f"{scope} was shown {target} of {other}")
    elif dice < 0.95:
        beliefs = await memory.history(draw.choice((f"scope{other}x", draw.choice(ODD) or "x")))
        leaks += [f"{scope} has a history of {belief.item.text[:80]}" for belief in beliefs if f"scope{scope}x" not in belief.item.text]
    elif dice < 0.99:
        changes = await memory.diff(draw.randrange(1, 500), item=draw.choice((None, *list(held[other])[:1])), limit=5)
        leaks += [f"{scope} has a change of {change.item}" for change in changes if change.text and f"scope{scope}x" not in change.text]
    elif dice < 0.9985:
        victims = [*list(held[other])[:1], draw.choice(ODD), *list(own)[:1]]
        result = await memory.forget(ids=victims)
        mine = list(dict.fromkeys(victim for victim in victims if victim in own))
        gone += [own.pop(victim) for victim in mine]
        if result.items != len(mine):
            leaks.append(f"{scope} forgot {result.items} items, {len(mine)} were its own")
    else:
        gone += own.values()
        own.clear()
        await memory.forget(scope=memory.scope)


def _bytes_of(place: Path, words: Sequence[str]) -> list[str]:
    """Which of the words stand anywhere in the files of a folder."""
    wanted = {word.encode() for word in words}
    found = []
    pattern = re.compile(rb"canary[0-9a-f]+q[0-9a-f]+")
    for path in place.rglob("*"):
        if path.is_file():
            found += [f"{path.name}: {word.decode()}" for word in set(pattern.findall(path.read_bytes())) if word in wanted]
    return found


# ------------------------------------------------------------------ M12: size


async def sizes(quick: bool, wanted: Sequence[int]) -> Part:
    figures: dict[str, Any] = {}
    bounds = {1_000: 3.0, 100_000: 10.0, 1_000_000: 60.0}
    targets = []
    for size in wanted:
        with folder() as place:
            began = time.perf_counter()
            async with Memory(scope="large", path=place) as memory:
                batch: list[Note] = []
                for number, text in enumerate(streams.sentences(size)):
                    batch.append(Note(text, "event", source=Source(f"line {number}", "", f"day {number // 40}")))
                    if len(batch) == 2_000:
                        await memory.keep_many(batch)
                        batch = []
                        if number % 100_000 == 99_999:
                            say(f"M12: {number + 1} of {size} written, {time.perf_counter() - began:.0f} s")
                await memory.keep_many(batch)
                written = time.perf_counter() - began
                await memory.settle()
                built = time.perf_counter() - began
                say(f"M12: {size} built in {built:.0f} s")
                times, words_only = await _recalls(memory, 100 if quick else 300)
            disk = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
            reopened = Worker("benchmarks.memory", "--reopen")
            answer = reopened.ask({"path": str(place)}, timeout_s=600)
            reopened.close()
        figures[str(size)] = {
            "p50_ms": percentile(times, 0.5),
            "p95_ms": percentile(times, 0.95),
            "write_s": written,
            "build_s": built,
            "disk_bytes": disk,
            "by_words_only": words_only,
            "reopen_s": answer["seconds"],
            "reopen_peak_mb": answer["peak_mb"],
            "reopened_p95_ms": answer["p95_ms"],
        }
        if size in bounds:
            targets.append(Target(f"M12 recall p95 at {size:,}", figures[str(size)]["p95_ms"], bounds[size], " ms"))
    top = figures.get("1000000")
    targets.append(Target("M12 reopen at 1,000,000", top["reopen_s"] if top else None, 3.0, " s"))
    targets.append(Target("M12 build at 1,000,000", top["build_s"] / 60 if top else None, 30.0, " min"))
    if quick:
        targets = [target for target in targets if target.figure is not None]
    return Part({"M12": figures}, targets)


async def _recalls(memory: Memory, count: int, seed: int = 120) -> tuple[list[float], int]:
    """Milliseconds of recalls with queries of some words of an item each, after some to warm up."""
    draw = random.Random(seed)
    asked = [" ".join(draw.sample(text.split(), 6)) for text in streams.sentences(count + 20, seed=13)]
    times, words_only = [], 0
    for number, query in enumerate(asked):
        began = time.perf_counter()
        found = await memory.recall(query, tokens=2_000, k=10)
        if number >= 20:
            times.append(1e3 * (time.perf_counter() - began))
            words_only += found.by_words_only
    return times, words_only


def reopen(order: dict[str, Any]) -> dict[str, Any]:
    """In a process of its own: how long from opening a folder to the first answer, imports included."""

    async def go() -> dict[str, Any]:
        import resource

        began = time.perf_counter()
        async with Memory(scope="large", path=order["path"]) as memory:
            await memory.recall("what did Ada Berger say about Paris", tokens=2_000, k=10)
            seconds = time.perf_counter() - began
            times, _ = await _recalls(memory, 100)
        return {"seconds": seconds, "p95_ms": percentile(times, 0.95), "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}

    return asyncio.run(go())


# ------------------------------------------------------------------ M13: kill -9


def writer(path: str) -> None:
    """A process that keeps one text after another and prints each id once it is acknowledged; somebody kills it."""

    async def go() -> None:
        async with Memory(scope="crash", path=path) as memory:
            number = 0
            while True:
                text = f"Note {os.getpid()}-{number} of a process that will be killed at any moment."
                kept = await memory.keep(text, source=f"note {number}")
                os.write(1, f"{kept.id}\n".encode())
                number += 1
                if number % 40 == 0:
                    await memory.recall("what will be killed", tokens=500, k=3)
                if number % 200 == 150:
                    os.write(1, f"-{kept.id}\n".encode())  # from here on it may be there or not
                    await memory.forget(ids=[kept.id])

    asyncio.run(go())


async def crashes(quick: bool) -> Part:
    points = 20 if quick else 1_000
    draw = random.Random(130)
    lost: list[str] = []
    alive: dict[str, None] = {}
    with folder() as place:
        for number in range(points):
            acknowledged = _killed(place, draw.random() * 0.25)
            for word in acknowledged:
                alive.pop(word[1:], None) if word.startswith("-") else alive.setdefault(word)
            async with Memory(scope="crash", path=place) as memory:
                for id in [word for word in acknowledged if not word.startswith("-") and word in alive]:
                    try:
                        await memory.show(id)
                    except ItemUnknown:
                        lost.append(id)
            if number % 100 == 99:
                say(f"M13: {number + 1} kills, {len(alive)} acknowledged, {len(lost)} lost")
        figures = await _rebuilt(place)
        async with Memory(scope="crash", path=place) as memory:
            there = {item.id for item in await memory.items(limit=10_000_000)}
        lost += [id for id in alive if id not in there]
    return Part(
        {"M13": {"kills": points, "acknowledged": len(alive), "lost": len(lost), **figures}},
        [
            Target("M13 acknowledged writes lost", len(lost), 0),
            Target("M13 ids and vectors that differ after rebuilding", figures["differ"], 0),
            Target("M13 top-10 overlap after rebuilding", figures["overlap"], 0.99, at_least=True),
        ],
    )


def _killed(place: Path, after_s: float) -> list[str]:
    """What a writer acknowledged before it was killed, so many seconds after its first word."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.memory", "--writer", str(place)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    head = process.stdout.readline()
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    words = (head + process.stdout.read()).decode().split("\n")
    process.wait()
    process.stdout.close()
    return [word for word in words[:-1] if word]  # a last line without its end was not acknowledged


async def _rebuilt(place: Path) -> dict[str, Any]:
    """Build the indexes anew, and compare ids, vectors and the first ten of some recalls."""

    async def state() -> tuple[dict[str, bytes], list[list[str]]]:
        async with Memory(scope="crash", path=place) as memory:
            await memory.settle()
            with closing(sqlite3.connect(place / "memory.db")) as db:
                rows = db.execute("SELECT item.uid, vector.body FROM vector JOIN item ON item.id = vector.item").fetchall()
            asked = [f"note {number} of a process {number % 7}" for number in range(100)]
            return dict(rows), [[item.id for item in (await memory.recall(text, tokens=5_000, k=10)).items] for text in asked]

    before, found_before = await state()
    for name in ("vectors", "shelves"):
        shutil.rmtree(place / name, ignore_errors=True)
    async with Memory(scope="crash", path=place) as memory:
        await memory.reindex()
    after, found_after = await state()
    differ = sum(before.get(id) != after.get(id) for id in before.keys() | after.keys())
    overlap = mean([len(set(one) & set(other)) / max(1, len(one)) for one, other in zip(found_before, found_after, strict=True)])
    return {"vectors": len(after), "differ": differ, "overlap": overlap}


# ------------------------------------------------------------------ M14, M15, M16, M17


async def suites(quick: bool) -> Part:
    wrong: list[str] = []
    for number, case in enumerate(SYMBOLS):
        with folder() as place:
            fault = await wrong_in(case, place / str(number))
        if fault:
            wrong.append(f"{case.name}: {fault}")
    unsafe = []
    with folder() as place:
        for number, payload in enumerate(PAYLOADS):
            async with Memory(scope=f"payload:{number}", path=place) as memory:
                payload += " rook"  # some are signs alone, which no words find
                await memory.keep(payload, source="page 7", labels=frozenset({"untrusted"}))
                fault = unquoted((await memory.recall("rook", tokens=20_000)).text, payload)
            if fault:
                unsafe.append(f"{payload[:60]!r}: {fault}")
    saved = await _tokens_saved()
    window = await windows(60 if quick else 600)
    answered = await bfcl()
    figures = {
        "M14": {"cases": len(SYMBOLS), "wrong": wrong, "characters": saved},
        "M15": window,
        "M16": {"payloads": len(PAYLOADS), "unsafe": unsafe},
        "M17": answered,
    }
    return Part(
        figures,
        [
            Target("M14 symbol cases that hold", 100 * (1 - len(wrong) / len(SYMBOLS)), 100.0, " %", at_least=True),
            Target("M14 symbol cases", len(SYMBOLS), 60, at_least=True),
            Target("M15 windows over budget, pairs split or pinned lost", window["faults"], 0),
            Target("M16 payloads rendered as quoted data with source", 100 * (1 - len(unsafe) / len(PAYLOADS)), 100.0, " %", at_least=True),
            Target("M16 payloads", len(PAYLOADS), 60, at_least=True),
        ],
    )


async def _tokens_saved() -> dict[str, int]:
    """A chat that names its symbols in every message: characters sent when they come back always, and when they are not in the window."""
    draw = random.Random(140)
    always = missed = 0
    with folder() as place:
        async with Memory(scope="chat", path=place) as memory:
            for number in range(5):
                await memory.read(f"<|s{number}|> " + " ".join(streams.sentences(6, seed=number)))
            window: list[str] = []
            for _ in range(200):
                message = f"Now compare <s{draw.randrange(5)}> with the plan."
                always += len((await memory.read(message)).text)
                text = (await memory.read(message, window="\n".join(window))).text
                missed += len(text)
                window = [*window, text][-6:]
    return {"always": always, "only_when_missing": missed, "saved_percent": round(100 * (1 - missed / always))}


async def windows(count: int) -> dict[str, Any]:
    """Random chats of adversarial sizes through windows of random budgets; what is over, split or lost is counted."""
    from rookery.models.model import Message, ToolCall

    draw = random.Random(150)
    faults = 0
    messages = 0
    with folder() as place:
        for number in range(count):
            async with Memory(scope=f"window:{number}", path=place) as memory:
                budget = draw.choice((300, 1_000, 5_000))
                window = memory.window(tokens=budget, session="s")
                pinned = Message.of("system", "rules " * draw.randrange(1, 8))
                await window.add(pinned)
                sent: list[str] = []
                for turn in range(draw.randrange(3, 12)):
                    sent.append(f"q{turn} " + "x" * draw.choice((1, 50, budget // 2, budget, 3 * budget)))
                    await window.add(Message.of("user", sent[-1]))
                    for call in range(draw.choice((0, 0, 1, 3))):
                        await window.add(Message("assistant", (), tool_calls=(ToolCall(f"{turn}-{call}", "look", "{}"),)))
                        sent.append(f"r{turn}-{call} " + "y" * draw.choice((1, 50, budget)))
                        await window.add(Message("tool", Message.of("tool", sent[-1]).segments, tool_call_id=f"{turn}-{call}"))
                    sent.append(f"a{turn} " + "z" * draw.choice((1, 50, budget // 2)))
                    await window.add(Message.of("assistant", sent[-1]))
                    messages += 1
                    faults += await window.used() > budget
                    faults += pinned not in window.messages
                    faults += _split(window.messages)
                kept = {item.text for item in await memory.items(limit=10_000)}
                inside = {message.text for message in window.messages}
                faults += sum(text not in kept and text not in inside for text in sent)
    return {"windows": count, "messages": messages, "faults": faults}


def _split(messages: Sequence[Any]) -> int:
    """How many answers stand without their question, results without their call, or calls without their results."""
    faults, open_question, calls = 0, False, set()
    for message in messages:
        if message.role == "user":
            open_question = True
        elif message.role == "assistant" and message.tool_calls:
            calls |= {call.id for call in message.tool_calls}
        elif message.role == "assistant":
            faults += not open_question
            open_question = False
        elif message.role == "tool":
            faults += message.tool_call_id not in calls
    return faults


async def bfcl(k: int = 5) -> dict[str, Any]:
    """BFCL memory: whether an accepted answer stands in what the first ``k`` items say."""
    questions = [json.loads(line) for line in (BFCL / "questions.json").read_text("utf-8").splitlines() if line.strip()]
    answers = {
        entry["id"]: entry["ground_truth"]
        for line in (BFCL / "answers.json").read_text("utf-8").splitlines()
        if line.strip()
        for entry in [json.loads(line)]
    }
    by_domain: dict[str, list[float]] = {}
    with folder() as place:
        for domain in sorted({question["scenario"] for question in questions}):
            async with Memory(scope=f"bfcl:{domain}", path=place) as memory:
                for line in (BFCL / f"memory_{domain}.json").read_text("utf-8").splitlines():
                    talk = json.loads(line)
                    texts = [message["content"] for turn in talk["question"] for message in turn]
                    await memory.keep_many(
                        [Note(text, "event", source=Source(f"{talk['id']} {at}", "user", talk["id"])) for at, text in enumerate(texts)]
                    )
                for question in questions:
                    if question["scenario"] == domain:
                        found = await memory.recall(question["question"][0][0]["content"], tokens=1_000_000, k=k)
                        text = _plain(" ".join(item.text for item in found.items))
                        by_domain.setdefault(domain, []).append(float(any(_plain(answer) in text for answer in answers[question["id"]])))
    every = [ok for oks in by_domain.values() for ok in oks]
    return {
        "questions": len(every),
        "answer_at_5": round(100 * mean(every), 2),
        "domains": {name: round(100 * mean(oks), 1) for name, oks in by_domain.items()},
    }


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


# ------------------------------------------------------------------ all of it


PARTS: dict[str, Callable[[bool], Awaitable[Part]]] = {
    "M1": locomo,
    "M6": supersession,
    "M7": two_times,
    "M8": writing,
    "M9": feedback,
    "M10": duplicates,
    "M11": isolation,
    "M13": crashes,
    "M14": suites,
}
WITH = {"M3": "M1", "M15": "M14", "M16": "M14", "M17": "M14"}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["--reopen"]:
        obey(reopen)
        return 0
    if arguments[:1] == ["--writer"]:
        writer(arguments[1])
        return 0
    chosen = options(
        __doc__,
        argv,
        operations={"default": 0, "type": int, "metavar": "N", "help": "operations of M11; 1,000,000 by default, 10,000 with --quick"},
        only={"default": "", "metavar": "M1,M12", "help": "only these parts"},
        sizes={"default": "", "metavar": "N,N", "help": "items of M12; 1000,100000,1000000 by default, 1000,10000 with --quick"},
    )
    wanted = {WITH.get(name, name) for name in chosen.only.split(",") if name} or {*PARTS, "M12"}
    figures: dict[str, Any] = {}
    targets: list[Target] = []
    for name in [*PARTS, "M12"]:
        if name not in wanted:
            continue
        began = time.perf_counter()
        if name == "M12":
            numbers = [int(size) for size in chosen.sizes.split(",") if size] or ([1_000, 10_000] if chosen.quick else [1_000, 100_000, 1_000_000])
            part = asyncio.run(sizes(chosen.quick, numbers))
        elif name == "M11":
            part = asyncio.run(isolation(chosen.quick, chosen.operations))
        else:
            part = asyncio.run(PARTS[name](chosen.quick))  # type: ignore[arg-type]
        say(f"{name}: {time.perf_counter() - began:.1f} s")
        figures |= part.figures
        targets += part.targets
    lines = [f"{name}: {json.dumps(figure, ensure_ascii=False)}" for name, figure in figures.items()]
    return finish("memory", figures, targets, lines, chosen)


if __name__ == "__main__":
    sys.exit(main())
