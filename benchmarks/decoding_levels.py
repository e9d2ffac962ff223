"""The same language at each level: cases of a rule and a text, and whether levels 1 to 4 let a model that wants the text write it.

Level 2 and 3 are held against a real ``llama-server`` (see benchmarks/llama_server.py), over the requests that rookery sends. Its model is
tiny and random, and made to want a text by biases that fall from token to token and a penalty on what was written; each case is first run
without a rule, and counts only if the text comes out. A level accepts a text when the model that wants it writes just that.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.llama_server import Unavailable, served
from benchmarks.report import Target, finish, options
from rookery.decoding import Desk, Guarded, Rule, Tally, check, choice, citations, json_schema, regex
from rookery.models.model import Grammar, Message, Model, Request, Sampling, complete
from rookery.models.openai import OpenAIModel
from rookery.testing import RuledModel
from tests.models.tiny import write_gguf

WORDS = ("rook", "bird", "crow", "name", "size", "part", "parent", "tail", "wing", "nest", "tree", "worm", "grain", "file", "rank", "move",
         "king", "pawn", "list", "item", "path", "mode", "code", "text", "line", "moves", "trees", "parts", "names", "bishop", "knight",
         "castle", "black", "white")
PATTERNS = {
    r"[a-z]+": ("rook", "crow", "q"), r"\d{2,4}": ("12", "403", "9876"), r"(red|green|blue)(ish)?": ("red", "blue", "redish"),
    r"[A-Z][a-z]{2,5}": ("Crow", "Bad", "Rank"), r"v\d+\.\d+": ("v1.2", "v30.4"), r"x?y+z*": ("xyz", "y", "yz"),
    r"[^aeiou]{3}": ("bcd", "x-7", "pqr"), r"(ab|cd)-[ef]": ("ab-e", "cd-f"), r"[a-c]{2,}|none": ("abc", "none", "ca"),
    r"\w+ \w+": ("rook bird", "my file"),
}
"""With some texts that match."""
LETTERS = "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-. "
MOST_TOKENS = 8
CASES, QUICK = 1000, 120
PROMPT = "~"


@dataclass(frozen=True, slots=True)
class Case:
    """A rule, a text, and what an independent reading of the rule says about the text."""

    kind: str
    rule: Rule
    text: str
    expected: bool


@dataclass(slots=True)
class Comparison:
    """What the levels said."""

    cases: int = 0
    skipped: int = 0
    """Texts that the server does not write even without a rule: no case."""
    accepted: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    """By ``level: accepts`` and ``level: rejects``."""
    disagreements: list[dict[str, Any]] = field(default_factory=list)
    sampled: int = 0
    """Texts of JSON Schemas that the server wrote under its grammar."""
    unsound: list[str] = field(default_factory=list)
    """Those of them that level 4 does not take."""
    seconds: float = 0.0

    def plain(self) -> dict[str, Any]:
        return {"cases": self.cases, "skipped": self.skipped, "accepted": self.accepted, "verdicts": dict(self.verdicts),
                "disagreements": len(self.disagreements), "first_disagreements": self.disagreements[:5], "json_sampled": self.sampled,
                "json_unsound": len(self.unsound), "first_unsound": self.unsound[:3], "seconds": round(self.seconds, 1)}


def mutated(chance: random.Random, text: str) -> str:
    """The text with one letter more, less or another; or an end of it."""
    at = chance.randrange(len(text) + 1)
    letter = chance.choice(LETTERS)
    return chance.choice((text[:at] + letter + text[at:], text[:at] + letter + text[at + 1 :], text[: max(1, at)], text[at:] or text)).strip() or "a"


def cases(seed: int) -> Callable[[], Case]:
    """A source of cases: choices, patterns, keys after a trigger."""
    chance = random.Random(seed)

    def a_choice() -> Case:
        names = chance.sample(WORDS, chance.randint(1, 20))
        text = chance.choice(names if chance.random() < 0.6 else WORDS)
        text = text if chance.random() < 0.7 else mutated(chance, text)
        return Case("choice", choice(*names), text, text in names)

    def a_pattern() -> Case:
        pattern = chance.choice(list(PATTERNS))
        text = chance.choice(PATTERNS[pattern if chance.random() < 0.6 else chance.choice(list(PATTERNS))])
        text = text if chance.random() < 0.7 else mutated(chance, text)
        return Case("regex", regex(pattern), text, re.fullmatch(pattern, text, re.ASCII) is not None)

    def a_key() -> Case:
        keys = chance.sample(WORDS, chance.randint(1, 12))
        key = chance.choice(keys if chance.random() < 0.6 else WORDS)
        key = key if chance.random() < 0.7 else mutated(chance, key).replace(".", "x").replace(" ", "y").replace("-", "z")
        text = chance.choice(("[@{}]", "q [@{}]")).format(key)
        return Case("citations", citations(keys), text, key in keys)

    return lambda: chance.choice((a_choice, a_pattern, a_key))()


# ------------------------------------------------------------------ a model that wants a text


def wanting(ids: Sequence[int], vocabulary: Sequence[bytes], end: int) -> RuledModel:
    """A model in this process that writes these tokens one after another, where it may."""
    def rule(tokens: tuple[int, ...]) -> list[float]:
        logits = [0.0] * len(vocabulary)
        written = len(tokens) - 1
        logits[ids[written] if written < len(ids) else end] = 30.0
        return logits

    return RuledModel(rule, vocabulary, end=[end])


def request_for(ids: Sequence[int], end: int) -> Request:
    """The question by which the server wants these tokens, and then to end."""
    bias = (*((token, 100.0 - 9 * at) for at, token in enumerate(ids)), (end, 20.0))
    sampling = Sampling(temperature=0.0, max_tokens=24, presence_penalty=100.0)
    return Request((Message.of("user", PROMPT),), sampling, bias=bias)


async def written(model: Model, request: Request, rule: Rule) -> str:
    """What a model writes under a rule."""
    desk = Desk()
    text = "".join([chunk.text async for chunk in Guarded(model, rule, desk).stream(request)])
    await desk.aclose()
    return text


async def verdicts(case: Case, server: Model, ids: Sequence[int], vocabulary: Sequence[bytes], end: int) -> dict[int, bool]:
    """By level: whether the text is accepted."""
    here, plain, request = wanting(ids, vocabulary, end), Request((Message.of("user", PROMPT),), Sampling(max_tokens=24)), request_for(ids, end)
    found = {1: await written(here, plain, case.rule.at_level(1)) == case.text,
             2: await written(server, request, case.rule.at_level(2)) == case.text}
    if case.kind != "regex":  # only names can be forced
        found[3] = await written(server, request, case.rule.at_level(3)) == case.text
    await here.aclose()
    desk = Desk()
    found[4] = not await check(case.text, case.rule, desk, Tally())
    await desk.aclose()
    return found


async def compare(wanted: int, *, seed: int = 0, patience: int = 6) -> Comparison:
    """Compare the levels over so many cases.

    :param patience: so many times as many texts are tried at most.
    :raises Unavailable: there is no llama-server and none can be built.
    """
    result, began = Comparison(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        gguf = write_gguf(Path(folder) / "tiny.gguf", template=False)
        vocabulary, end = vocabulary_of(Path(folder))
        async with served(gguf, context_tokens=256) as url:
            server = OpenAIModel("", base_url=url, endpoint="completions")
            draw = cases(seed)
            for _ in range(wanted * patience):
                if result.cases == wanted:
                    break
                await _one(result, draw(), server, vocabulary, end)
            await _sample_json(result, server, max(20, wanted // 10))
            await server.aclose()
    result.seconds = time.perf_counter() - began
    return result


def vocabulary_of(folder: Path) -> tuple[list[bytes], int]:
    """The bytes of the tiny model's tokens, and the id that ends a text."""
    from rookery.models.pieces import Pieces

    source = (folder / "tokenizer" / "tokenizer.json").read_text("utf-8")
    pieces = Pieces(source, size=len(json.loads(source)["model"]["vocab"]), end=[0])
    return list(pieces.tokens), 0


async def _one(result: Comparison, case: Case, server: OpenAIModel, vocabulary: Sequence[bytes], end: int) -> None:
    ids = [token for token, _ in await server.tokens(case.text)]
    if len(ids) > MOST_TOKENS or len(set(ids)) < len(ids) or (await complete(server, request_for(ids, end)))[0] != case.text:
        result.skipped += 1
        return
    result.cases += 1
    found = await verdicts(case, server, ids, vocabulary, end)
    result.accepted += found[4]
    for level, accepts in found.items():
        result.verdicts[f"{level}: {'accepts' if accepts else 'rejects'}"] += 1
    if set(found.values()) != {case.expected}:
        words = case.rule.leaves[0].monitor
        result.disagreements.append({"kind": case.kind, "text": case.text, "expected": case.expected, "levels": found, "rule": str(words)[:200]})


SCHEMAS: tuple[dict[str, Any], ...] = (
    {"type": "object", "properties": {"x": {"type": "boolean"}}, "required": ["x"], "additionalProperties": False},
    {"type": "array", "items": {"enum": ["rook", "pawn", "king"]}, "minItems": 1, "maxItems": 3},
    {"type": "object", "properties": {"piece": {"enum": ["rook", "king"]}, "n": {"type": "integer"}}, "required": ["piece", "n"],
     "additionalProperties": False},
    {"enum": ["yes", "no"]},
)


async def _sample_json(result: Comparison, server: OpenAIModel, count: int) -> None:
    """Let the server write under schemas with a hot random model: what is whole must be taken by level 4."""
    desk = Desk()
    for number in range(count):
        schema = SCHEMAS[number % len(SCHEMAS)]
        hot = Sampling(temperature=1.0, seed=number, max_tokens=160)
        request = Request((Message.of("user", PROMPT),), hot, grammar=Grammar("json_schema", schema))
        text, _, stop = await complete(server, request)
        if stop != "end":
            continue  # cut at max_tokens: a random model likes white space
        result.sampled += 1
        if await check(text, json_schema(schema), desk, Tally()):
            result.unsound.append(text)
    await desk.aclose()


def targets(result: Comparison | None) -> list[Target]:
    """The promises of issue 3, part 2."""
    least = QUICK if result is not None and result.cases <= QUICK else CASES
    return [Target("cases compared at all levels", None if result is None else result.cases, least, at_least=True),
            Target("texts on which levels disagree", None if result is None else len(result.disagreements), 0),
            Target("JSON written at level 2 that level 4 turns down", None if result is None else len(result.unsound), 0)]


def main(argv: Sequence[str] | None = None) -> int:
    chosen = options(__doc__, argv, cases={"type": int, "default": None, "help": f"how many cases (default {CASES})"},
                     seed={"type": int, "default": 0, "help": "of the cases"})
    count = chosen.cases or (QUICK if chosen.quick else CASES)
    try:
        result: Comparison | None = asyncio.run(compare(count, seed=chosen.seed))
        failed = ""
    except Unavailable as error:
        result, failed = None, str(error)
    plain = result.plain() if result else {"unavailable": failed}
    lines = [f"{key}: {value}" for key, value in plain.items()]
    return finish("decoding_levels", {"levels": plain}, targets(result), lines, chosen)


if __name__ == "__main__":
    sys.exit(main())
