"""Decoding, part 1: with random logits nothing comes out that a rule forbids, and without a trigger nothing changes at all.

Completions after ``obj.`` at places in a fixture project and in two installed libraries, sampled from logits that know nothing; the reference is
jedi, asked directly. The vocabulary is made of pieces of Python cut anywhere, so that tokens begin, end and cross names in all ways.
"""

from __future__ import annotations

import ast
import asyncio
import itertools
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np

from benchmarks.report import Target, finish, options, say, table
from rookery.core.report import Report
from rookery.decoding import Desk, Guarded, Rule, choice, json_schema, members, regex
from rookery.decoding.constraint import BREAKS
from rookery.models.model import Message, Request, Sampling
from rookery.testing import RuledModel

LIBRARIES = ("rich", "httpx")
TOGETHER = 16
"""Completions at a time."""
FIXTURE = '''"""Shapes."""


class Shape:
    kind: str = "shape"

    def __init__(self, name: str) -> None:
        self.name = name
        self._area = 0.0

    def area(self) -> float:
        return self._area

    @property
    def café(self) -> str:
        return self.name


class Square(Shape):
    side: float = 1.0

    def scaled(self, by: float) -> "Square":
        return Square(self.name)


def describe(square: Square, text: str, numbers: list[int]) -> str:
    made = square.scaled(2.0)
    return made.name + text.upper() + str(numbers.index(1)) + square.scaled(1.0).kind
'''
SCHEMAS: tuple[dict[str, Any], ...] = (
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "yy"]}}, "required": ["a", "b"], "additionalProperties": False},
    {"type": "array", "items": {"type": "boolean"}, "maxItems": 4}, {"enum": ["left", "right", 7]}, {"type": "integer", "minimum": 3, "maximum": 41},
)


@dataclass(frozen=True, slots=True)
class Site:
    """A place after a dot, and what may stand there."""

    project: str
    file: str
    before: str
    after: str
    valid: frozenset[str]


def pieces(count: int = 4096, seed: int = 7) -> list[str | bytes]:
    """A vocabulary: the end, all bytes, and pieces of the standard library's sources, cut at random."""
    draw = random.Random(seed)
    text = "".join(Path(sys.modules[name].__file__ or "").read_text("utf-8") for name in ("ast", "random", "tempfile", "argparse"))
    found: dict[str | bytes, None] = dict.fromkeys(["", *(bytes([byte]) for byte in range(256))])
    while len(found) < count:
        at, size = draw.randrange(len(text) - 12), min(12, 1 + int(draw.expovariate(0.35)))
        piece = text[at : at + size]
        if len(piece.encode()) > 1:
            found[piece] = None
    return list(found)


def sites(folder: Path, want: int, seed: int) -> list[Site]:
    """Places after a dot in the files of a folder about which jedi knows something."""
    import jedi

    draw = random.Random(seed)
    files = sorted(path for path in folder.rglob("*.py") if path.stat().st_size < 60_000)
    draw.shuffle(files)
    project = jedi.Project(str(folder.parent), load_unsafe_extensions=False)
    found: list[Site] = []
    for path in itertools.cycle(files) if len(files) == 1 else files:
        source = path.read_text("utf-8")
        dots = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute) and node.lineno == node.end_lineno]
        draw.shuffle(dots)
        lines = source.splitlines(keepends=True)
        for node in dots[:4]:
            line = lines[node.end_lineno - 1]
            column = len(line.encode()[: node.end_col_offset].decode()) - len(node.attr)
            start = sum(map(len, lines[: node.end_lineno - 1])) + column
            script = jedi.Script(source[:start] + source[start + len(node.attr) :], path=str(path), project=project)
            try:
                names = script.complete(node.end_lineno, column)
            except Exception as error:  # jedi's own failure: a place that it can't be asked about is no place of ours
                say(f"jedi fails in {path.name}: {type(error).__name__}")
                continue
            if names and node.attr in {name.name for name in names}:
                valid = frozenset(name.name for name in names)
                file = path.relative_to(folder.parent).as_posix()
                found.append(Site(str(folder.parent), file, source[:start], source[start + len(node.attr) :], valid))
        if len(found) >= want or len(files) == 1:
            break
    return found[:want]


async def complete(guard: Guarded, sample: int, *, max_tokens: int, until: tuple[str, ...] = ()) -> tuple[str, str | None]:
    """A reply, up to the first of the texts ``until``, and why it ended."""
    sampling = Sampling(temperature=1.0, seed=11, max_tokens=max_tokens, stop=until)
    text, stop = "", None
    async with aclosing(guard.stream(Request((Message.of("user", "x"),), sampling, sample=sample))) as stream:  # type: ignore[type-var]
        async for chunk in stream:
            text += chunk.text
            stop = chunk.stop
    return text, stop


def ignorant(words: Sequence[str | bytes], *, spread: float = 3.0) -> RuledModel:
    """A model that knows nothing: its logits are drawn anew from the number of tokens and the last of them."""
    rows = np.random.default_rng(5).normal(0, spread, (257, len(words))).astype(np.float32)
    return RuledModel(lambda tokens: rows[hash(tokens[-3:]) % 257], words, end=[0])  # type: ignore[arg-type,return-value]


async def after_dots(model: RuledModel, places: Sequence[Site], count: int, *, is_optimistic: bool) -> dict[str, Any]:
    """``count`` completions over the places: how many are members, and how many were not constrained for want of facts."""
    desk, done, bad, cut, unconstrained = Desk(), 0, [], 0, 0
    began = time.perf_counter()
    for number, site in enumerate(places):
        rule = members(project=site.project, file=site.file, before=site.before, after=site.after).within(20.0)
        rule = rule.optimistic() if is_optimistic else rule
        samples = range(count * number // len(places), count * (number + 1) // len(places))
        async for text, stop, report in _completions(model, rule, desk, samples):
            done += 1
            if report.triggers and (report.late or report.empty or report.unknown or report.failed) and not report.masked_s:
                unconstrained += 1
            elif stop == "length" and any(known.startswith(text) for known in site.valid):
                cut += 1  # it ended at its length in the middle of a name
            elif text not in site.valid:
                bad.append((site.file, text[:30]))
    await desk.aclose()
    seconds = time.perf_counter() - began
    return {"completions": done, "invalid": len(bad), "cut at their length": cut, "unconstrained": unconstrained,
            "us_per_completion": seconds / max(1, done) * 1e6, "examples": bad[:5]}


async def _completions(model: RuledModel, rule: Rule, desk: Desk, samples: range) -> AsyncIterator[tuple[str, str | None, Report]]:
    """Several at a time, so that the worker that computes always has something to do."""

    async def one(sample: int) -> tuple[str, str | None, Report]:
        guard = Guarded(model, rule, desk)
        return *await complete(guard, sample, max_tokens=60, until=tuple(BREAKS)), guard.report

    for some in (samples[at : at + TOGETHER] for at in range(0, len(samples), TOGETHER)):
        for found in await asyncio.gather(*map(one, some)):
            yield found


async def unchanged(words: Sequence[str | bytes], count: int) -> int:
    """How many of ``count`` replies without a trigger differ in any bit (text, log-probabilities) from the model's own."""
    quiet = [word for word in words if b"." not in (word if isinstance(word, bytes) else word.encode())]
    model, desk, differ = ignorant(quiet), Desk(), 0
    for sample in range(count):
        request = Request((Message.of("user", "x"),), Sampling(temperature=1.0, seed=3, max_tokens=24, logprobs=3), sample=sample)
        free = [chunk async for chunk in model.stream(request)]
        held = [chunk async for chunk in Guarded(model, members(), desk).stream(request)]
        differ += free != held
    await desk.aclose()
    await model.aclose()
    return differ


async def languages(model: RuledModel, count: int) -> dict[str, int]:
    """Replies to patterns, choices and schemas that ended by themselves, and how many of them are wrong."""
    desk, ended, wrong = Desk(), 0, 0
    rules: list[tuple[Rule, Any]] = [(json_schema(schema), schema) for schema in SCHEMAS]
    rules += [(regex(pattern), re.compile(pattern)) for pattern in (r"[0-9]{3}-[a-f]+", r"(ab|ba)*c", r"[^x]{2,5}")]
    rules += [(choice("yes", "yesterday", "no"), re.compile("yes|yesterday|no"))]
    for sample in range(count):
        rule, wanted = rules[sample % len(rules)]
        text, stop = await complete(Guarded(model, rule, desk), sample, max_tokens=80)
        if stop != "end":
            continue
        ended += 1
        wrong += not _is(text, wanted)
    await desk.aclose()
    return {"ended": ended, "wrong": wrong}


def _is(text: str, wanted: Any) -> bool:
    if isinstance(wanted, re.Pattern):
        return wanted.fullmatch(text) is not None
    try:
        jsonschema.validate(json.loads(text), wanted)
    except (ValueError, jsonschema.ValidationError):
        return False
    return True


async def reachable(words: Sequence[str], rule: Rule, length: int) -> set[str]:
    """All texts of up to ``length`` letters that some reply under a rule is, found by following every choice to its end."""
    ids = {word: number for number, word in enumerate(words)}
    desk, found, seen, stack = Desk(), set[str](), set[tuple[str, ...]](), [()]
    while stack:
        wanted: tuple[str, ...] = stack.pop()
        path = [ids[word] for word in wanted]

        def wants(tokens: tuple[int, ...], path: list[int] = path) -> list[float]:
            step = len(tokens) - 1
            return [9.0 if step < len(path) and number == path[step] else 0.0 for number in range(len(words))]

        model = RuledModel(wants, [*words], end=[0])
        request = Request((Message.of("user", words[1]),), Sampling(temperature=0.0, max_tokens=len(wanted)))
        text = "".join([chunk.text async for chunk in Guarded(model, rule, desk).stream(request)]) if wanted else ""
        await model.aclose()
        if text != "".join(wanted):
            continue
        if await _may_end(words, wanted, rule, desk):
            found.add(text)
        for word in words[1:]:
            longer = (*wanted, word)
            if len("".join(longer)) <= length and longer not in seen:
                seen.add(longer)
                stack.append(longer)
    await desk.aclose()
    return found


async def _may_end(words: Sequence[str], wanted: tuple[str, ...], rule: Rule, desk: Desk) -> bool:
    ids = [*(words.index(word) for word in wanted), 0]

    def wants(tokens: tuple[int, ...]) -> list[float]:
        return [9.0 if number == ids[min(len(tokens) - 1, len(ids) - 1)] else 0.0 for number in range(len(words))]

    model = RuledModel(wants, [*words], end=[0])
    request = Request((Message.of("user", words[1]),), Sampling(temperature=0.0, max_tokens=len(ids) + 3))
    chunks = [chunk async for chunk in Guarded(model, rule, desk).stream(request)]
    await model.aclose()
    return "".join(chunk.text for chunk in chunks) == "".join(wanted) and chunks[-1].stop == "end"


async def toys() -> tuple[int, int]:
    """Toy vocabularies with straddling tokens: languages compared, and texts that are in one and not in the other."""
    words, compared, differ = ["", "a", "b", "ab", "ba", "aab"], 0, 0
    texts = ["".join(letters) for size in range(5) for letters in itertools.product("ab", repeat=size)]
    for pattern in ("a|ab", "(ab)*", "a{1,3}b?", "(a|b)(ba)?", "b+a"):
        compared += 1
        differ += len(await reachable(words, regex(pattern), 4) ^ {text for text in texts if re.fullmatch(pattern, text)})
    for names in (("a", "ab"), ("aba", "ba", "b"), ("aab",)):
        compared += 1
        differ += len(await reachable(words, choice(*names), 4) ^ set(names))
    return compared, differ


async def measure(*, quick: bool) -> dict[str, Any]:
    """All of it."""
    words = pieces()
    model = ignorant(words)
    figures: dict[str, Any] = {"vocabulary": len(words), "projects": {}}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "fixture"
        home.mkdir()
        (home / "shapes.py").write_text(FIXTURE, "utf-8")
        (home / "__init__.py").write_text("")
        projects = {"fixture": home}
        for name in LIBRARIES:
            spec = find_spec(name)
            if spec is not None and spec.submodule_search_locations:
                projects[name] = Path(next(iter(spec.submodule_search_locations)))
        for name, path in projects.items():
            places = sites(path, 4 if quick else 30, seed=3)
            if name == "fixture":
                places = [site for site in sites(home, 4, seed=1) if site.file.endswith("shapes.py")] or places
            say(f"{name}: {len(places)} places")
            count = (3_000 if quick else 102_000) // len(projects)
            figures["projects"][name] = {"places": len(places)} | await after_dots(model, places, count, is_optimistic=False)
            figures["projects"][name]["optimistic"] = await after_dots(model, places, count // 20, is_optimistic=True)
    figures["differ_without_trigger"] = await unchanged(words, 40 if quick else 400)
    figures["languages"] = await languages(model, 200 if quick else 4_000)
    figures["toys_compared"], figures["toys_differ"] = await toys()
    await model.aclose()
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and give the exit code of the targets."""
    chosen = options(__doc__, argv)
    figures = asyncio.run(measure(quick=chosen.quick))
    projects = figures["projects"]
    all_of = [part for one in projects.values() for part in (one, one["optimistic"])]
    constrained = sum(part["completions"] - part["unconstrained"] for part in all_of)
    targets = [
        Target("completions after a dot that were constrained", constrained, 2_000 if chosen.quick else 100_000, at_least=True),
        Target("of them no members", sum(part["invalid"] for part in all_of), 0),
        Target("replies without a trigger that differ in any bit", figures["differ_without_trigger"], 0),
        Target("replies to patterns, choices and schemas that are wrong", figures["languages"]["wrong"], 0),
        Target("texts by which toy languages differ from their reference", figures["toys_differ"], 0),
    ]
    rows = [(name, one["places"], one["completions"], one["invalid"], one["cut at their length"], one["unconstrained"], one["us_per_completion"])
            for name, one in projects.items()]
    lines = table(("project", "places", "completions", "invalid", "cut", "unconstrained", "µs each"), rows)
    return finish("decoding_soundness", figures, targets, lines, chosen)


if __name__ == "__main__":
    sys.exit(main())
