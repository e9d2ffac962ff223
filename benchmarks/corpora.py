"""Public tool-retrieval corpora as tool texts and queries with the tools they need; read from the folder ``ROOKERY_DATA``."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rookery.tools.find import ToolText

SPLIT_SEED = 0
BFCL = ("simple_python", "multiple", "parallel", "parallel_multiple", "live_simple", "live_multiple", "live_parallel", "live_parallel_multiple")


@dataclass(frozen=True, slots=True)
class Query:
    """A request and the names of the tools that it needs, each once."""

    text: str
    wanted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Tools and queries. Several tools may have one name, as on different servers; then any of them is right."""

    name: str
    tools: tuple[tuple[str, ToolText], ...]
    """The name that queries know it by, and the text of each; texts have ids, names need not differ."""
    queries: tuple[Query, ...]

    def halves(self) -> tuple[Sequence[Query], Sequence[Query]]:
        """The development half, on which weights were chosen, and the half that was held out then."""
        order = list(range(len(self.queries)))
        random.Random(SPLIT_SEED).shuffle(order)
        half = len(order) // 2
        return [self.queries[at] for at in sorted(order[:half])], [self.queries[at] for at in sorted(order[half:])]


def folder() -> Path:
    """Where the data are."""
    return Path(os.environ.get("ROOKERY_DATA") or Path(__file__).parents[2] / "shared" / "data")


def load(name: str) -> Corpus | None:
    """``seal``, ``bfcl``, ``livemcp`` (tools named SERVER.TOOL, as a library names them) or ``livemcp bare``; None when its files are not there."""
    readers = {"seal": _seal, "bfcl": _bfcl, "livemcp": partial(_livemcp, bare=False), "livemcp bare": partial(_livemcp, bare=True)}
    try:
        return readers[name](folder())
    except FileNotFoundError:
        return None


def _seal(data: Path) -> Corpus:
    tools = [ToolText(line["api_name"], line["api_description"], {name: facts.get("description", "") for name, facts in line["parameters"].items()})
             for line in _lines(data / "seal_tools" / "tool.jsonl")]
    queries = [Query(line["query"], _once(call["api"] for call in line["calling"])) for line in _lines(data / "seal_tools" / "test_in_domain.jsonl")]
    return Corpus("seal", tuple((tool.name, tool) for tool in tools), tuple(queries))


def _bfcl(data: Path) -> Corpus:
    tools: dict[str, ToolText] = {}
    queries = []
    for part in BFCL:
        answers = {line["id"]: line["ground_truth"] for line in _lines(data / "bfcl" / f"answer_{part}.json")}
        for line in _lines(data / "bfcl" / f"{part}.json"):
            for function in line["function"]:
                tools.setdefault(function["name"], ToolText(function["name"], function["description"], _described(function["parameters"])))
            text = " ".join(message["content"] for turn in line["question"] for message in turn if message["role"] == "user")
            queries.append(Query(text, _once(name for call in answers[line["id"]] for name in call)))
    return Corpus("bfcl", tuple(tools.items()), tuple(queries))


def _livemcp(data: Path, *, bare: bool) -> Corpus:
    tools = [(tool["name"], tool["name"] if bare else f"{server['server_name']}.{tool['name']}", tool.get("description") or "",
              _described(tool.get("inputSchema") or {}))
             for entry in json.loads((data / "livemcpbench" / "tools.json").read_text("utf-8"))
             for server in entry["tools"].values() for tool in server["tools"]]
    names = {name for name, *_ in tools}
    queries = []
    for task in json.loads((data / "livemcpbench" / "all_annotations.json").read_text("utf-8")):
        steps = task["Annotator Metadata"]["Tools"].splitlines()
        wanted = _once(name for step in steps if (name := re.sub(r"^\d+\.\s*", "", step).strip()) in names)
        if wanted:
            queries.append(Query(task["Question"], wanted))
    texts = [(name, ToolText(*text, id=f"{number}")) for number, (name, *text) in enumerate(tools)]
    return Corpus("livemcp bare" if bare else "livemcp", tuple(texts), tuple(queries))


def _described(schema: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(facts.get("description") or "") if isinstance(facts, dict) else "" for name, facts in (schema.get("properties") or {}).items()}


def _once(names: Iterator[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


# ------------------------------------------------------------------ how good a ranking is


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over queries, in per cent."""

    r1: float
    """Share of a query's tools that are among the first (1, 5, 10) found."""
    r5: float
    r10: float
    c10: float
    """Queries whose tools are all among the first ten."""
    queries: int

    def plain(self) -> dict[str, float]:
        return {"R@1": self.r1, "R@5": self.r5, "R@10": self.r10, "C@10": self.c10, "queries": self.queries}


def quality(queries: Sequence[Query], rankings: Sequence[Sequence[str]]) -> Quality:
    """Of rankings of names, best first, ten at least."""
    def recall(k: int) -> float:
        return 100 * sum(len(set(names[:k]) & set(query.wanted)) / len(query.wanted) for query, names in pairs) / len(pairs)

    pairs = list(zip(queries, rankings, strict=True))
    whole = 100 * sum(set(query.wanted) <= set(names[:10]) for query, names in pairs) / len(pairs)
    return Quality(recall(1), recall(5), recall(10), whole, len(pairs))
