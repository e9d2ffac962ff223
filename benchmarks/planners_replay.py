"""Published searches of GPT-4, replayed through ``search``: the Game of 24 (Tree of Thoughts, arXiv 2305.10601) and mini crosswords.

Proposer and judge are tools that look the published trace up. What it does not have is an error, never a live call of a model: a replay
says for how many problems it needed nothing that is missing. An exact solver looks at the searches when they are over, for the ledger.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT, Target, finish, options, say, table
from examples.crosswords import best, deepest, read, replay, scores
from examples.game24 import check
from rookery import ResultCache, graph, start, tool
from rookery.planners import LossLedger, SearchResult, beam, best_first, exact, ledger, pass_at_k, search

DATA = Path(os.environ.get("ROOKERY_DATA", ROOT.parent / "shared" / "data"))
WIDTH, DEPTH = 5, 4
"""Of the published search: three steps and the expression, five states kept at each level."""
KS = (1, 5, 10, 50, 100)
PASS_AT = {"cot": (0.040, 0.143, 0.215, 0.407, 0.490), "io": (0.073, 0.149, 0.179, 0.273, 0.330)}
CROSSWORDS = {("pruning", "deepest"): (78, 60, 20), ("pruning", "best"): (82.4, 67.5, 35), ("no pruning", "deepest"): (65.4, 41.5, 5)}
LEDGER = ((("proposed", 1), -4), (("kept", 1), -12), (("proposed", 2), -7), (("finished", None), -8))


# ------------------------------------------------------------------ the game


Numbers = tuple[Fraction, ...]
_NUMBER = r"-?\d+(?:\.\d+)?(?:/\d+)?"
_LINE = re.compile(rf"\s*({_NUMBER})\s*([-+*/])\s*({_NUMBER})\s*=\s*({_NUMBER})\s*\(left:((?:\s*{_NUMBER})+)\)")


@dataclass(frozen=True)
class Draft:
    """What has been written of a hand so far, a step a line; ``copy``: how often the same had been proposed before at this level."""

    hand: str
    text: str = ""
    copy: int = 0

    @property
    def lines(self) -> list[str]:
        return self.text.strip().split("\n") if self.text.strip() else []

    def __str__(self) -> str:
        return self.lines[-1] if self.lines else self.hand


def numbers_of(text: str) -> Numbers:
    return tuple(sorted(map(Fraction, text.split())))


def claimed(draft: Draft, line: int) -> Numbers | None:
    """The numbers that are left after a line, as the line itself says; before the first, the hand."""
    if line < 0:
        return numbers_of(draft.hand)
    try:
        return numbers_of(draft.lines[line].partition("left: ")[2].partition(")")[0]) or None
    except ValueError:
        return None


def after(numbers: Numbers | None, line: str) -> Numbers | None:
    """What is left of the numbers after a line that is a legal step from them, exactly; None when it is not."""
    match = _LINE.match(line)
    if match is None or numbers is None:
        return None
    a, b, said = (Fraction(match[place]) for place in (1, 3, 4))
    have, used = Counter(numbers), Counter([a, b])
    if any(have[number] < times for number, times in used.items()) or (match[2] == "/" and not b):
        return None
    result = {"+": a + b, "-": a - b, "*": a * b}.get(match[2]) if match[2] != "/" else a / b
    left = have - used + Counter([said])
    return tuple(sorted(left.elements())) if result == said and left == Counter(map(Fraction, match[5].split())) else None


def step_state(draft: Draft) -> Numbers | None:
    """What is left if the last line is legal from what the line before says is left (the measure of the published figures)."""
    return after(claimed(draft, len(draft.lines) - 2), draft.lines[-1]) if draft.lines else numbers_of(draft.hand)


def true_state(draft: Draft) -> Numbers | None:
    """What is left if every line is legal, from the hand on."""
    left: Numbers | None = numbers_of(draft.hand)
    for line in draft.lines:
        left = after(left, line)
    return left


@cache
def can_make_24(numbers: Numbers | None) -> bool:
    """Exactly, by trying everything."""
    if numbers is None or len(numbers) == 1:
        return numbers == (24,)
    for i, a in enumerate(numbers):
        for j, b in enumerate(numbers):
            if i == j:
                continue
            rest = [number for place, number in enumerate(numbers) if place not in (i, j)]
            results = {a - b, *((a + b, a * b) if i < j else ()), *((a / b,) if b else ())}
            if any(can_make_24(tuple(sorted([*rest, result]))) for result in results):
                return True
    return False


def solvable(draft: Draft) -> bool:
    """Whether the last line is a legal step after which 24 can still be made."""
    return can_make_24(step_state(draft))


def truly_solvable(draft: Draft) -> bool:
    """The same with every line legal from the hand on."""
    return can_make_24(true_state(draft))


def is_right(draft: Draft) -> bool:
    """Whether the last line is an expression that uses each number of the hand once and is exactly 24 (the published check)."""
    text = draft.lines[-1].lower().replace("answer: ", "").partition("=")[0] if draft.lines else ""
    return bool(check(hand=draft.hand, text=text))


# ------------------------------------------------------------------ the trace


class Published:
    """The published search of each hand, as requests and what came back."""

    def __init__(self, path: Path) -> None:
        self.hands: list[str] = []
        self.children: dict[Draft, list[Draft]] = {}
        self.values: dict[str, float] = {}
        """By question: the judge was asked about what is left, or about an expression."""
        self.judged = 0
        self.graded: list[list[bool]] = []
        """Of each hand whether its five outputs were right."""
        for entry in json.loads(path.read_text(encoding="utf-8")):
            self.hands.append(entry["steps"][0]["x"])
            self.graded.append([info["r"] == 1 for info in entry["infos"]])
            for step in entry["steps"]:
                self._read(step)

    def _read(self, step: dict[str, Any]) -> None:
        parents = numbered(step["x"], step["ys"])
        found = numbered(step["x"], step["new_ys"])
        place = 0
        for parent in parents:  # what a second copy of a parent proposed can't be told from what the first did: it is all the first's
            self.children[parent] = []
        for child, value in zip(found, step["values"], strict=True):
            while not child.text.startswith(parents[place].text):
                place += 1
            self.children[parents[place]].append(child)
            self.judged += 1
            if child.copy == 0:
                self.values[question(child)] = value

    def proposed(self, draft: Draft) -> list[Draft]:
        """What was proposed from a draft. Raises LookupError for one that the published search did not propose from."""
        if draft not in self.children:
            raise LookupError(f"nothing was proposed from {draft.text!r} of {draft.hand}")
        return self.children[draft]


def numbered(hand: str, texts: Sequence[str]) -> list[Draft]:
    """Texts of one level as drafts, each with how often it has come before."""
    seen: Counter[str] = Counter()
    found = []
    for text in texts:
        found.append(Draft(hand, text, seen[text]))
        seen[text] += 1
    return found


def question(draft: Draft) -> str:
    """What the judge was shown of a draft: the numbers that are left, or the hand and the answer."""
    last = draft.lines[-1]
    if "left: " in last:
        return last.rpartition("left: ")[2].partition(")")[0]
    return f"{draft.hand}: {last.lower().replace('answer: ', '')}"


# ------------------------------------------------------------------ the searches


class Judge:
    """The published values as a tool that the engine's result cache can stand in for."""

    def __init__(self, published: Published) -> None:
        self.asked = 0

        @tool(pure=True, inline=True)
        def judge(question: str) -> float:
            self.asked += 1
            return published.values[question]

        @tool(inline=True)
        def ask(draft: Draft) -> str:
            return question(draft)

        @tool(inline=True)
        def weigh(draft: Draft, value: float) -> float:
            """A text that was there before counts nothing."""
            return value if draft.copy == 0 else 0.0

        @graph
        def value_of(draft: Draft) -> float:
            return weigh(draft=draft, value=judge(question=ask(draft=draft)))

        self.value_of = value_of


async def searches(
    published: Published, hands: Sequence[str], judge: Judge, planner: Any, *, shared: bool = False, lacking: Counter[str] | None = None, **more: Any
) -> list[SearchResult[Draft]]:
    """One search for each hand, through the public door.

    ``shared``: with one result cache for all, not one each. ``lacking``: counts, by hand, the proposals that were asked for and that the
    trace lacks; nothing comes of them then. Without it each is a fault of the search.
    """

    @tool(inline=True)
    def propose(draft: Draft) -> list[Draft]:
        try:
            return published.proposed(draft)
        except LookupError:
            if lacking is None:
                raise
            lacking[draft.hand] += 1
            return []

    cache_of_all = ResultCache()
    found = []
    for hand in hands:
        made = search(state=Draft(hand), propose=propose, evaluate=judge.value_of, planner=planner, **more)
        async with start(made, cache=cache_of_all if shared else ResultCache()) as run:
            found.append(await run)
    return found


def beam_figures(published: Published, hands: Sequence[str]) -> dict[str, Any]:
    """The published search itself: what it found, where it lost, and what a cache of judgements saves."""
    planner = beam(width=WIDTH, depth=DEPTH)
    apart, together = Judge(published), Judge(published)
    results = asyncio.run(searches(published, hands, apart, planner))
    asyncio.run(searches(published, hands, together, planner, shared=True))
    rights = [[is_right(answer.state) for answer in found.answers] for found in results]
    judged = sum(found.works["evaluate"] for found in results)
    whole = ledger(results, solvable=solvable, right=is_right, depth=3)
    strict = ledger(results, solvable=truly_solvable, right=is_right, depth=3)
    return {
        "hands": len(results), "any": sum(map(any, rights)), "first": sum(right[0] for right in rights),
        "mean": 100 * sum(sum(right) / len(right) for right in rights) / len(rights),
        "graded_as_published": sum(right == graded for right, graded in zip(rights, published.graded, strict=False)),
        "missing": sum(found.failed for found in results), "proposals_a_hand": sum(found.works["propose"] for found in results) / len(results),
        "judgements_a_hand": judged / len(results), "judgements": judged, "cached_within": 1 - apart.asked / judged,
        "cached_across": 1 - together.asked / judged, "asked_within": apart.asked, "asked_across": together.asked,
        "ledger": stages(whole), "ledger_of_whole_ways": stages(strict), "text": str(whole),
    }


def stages(whole: LossLedger) -> list[dict[str, Any]]:
    return [{"stage": stage.name, "depth": stage.depth, "problems": len(stage)} for stage in whole.stages]


def best_first_figures(published: Published, hands: Sequence[str], *, whole: bool) -> dict[str, Any]:
    """Another order on the same trace: best first, with an exact goal test, until the first derivation.

    Proposals that are no legal step stay in, as in the published search; ``whole`` wants every line of the derivation to be legal.
    """
    state = true_state if whole else step_state
    planner = best_first(depth=3, again=0)
    more: dict[str, Any] = {"goal": exact(lambda draft: state(draft) == (24,)), "key": lambda draft: draft.text, "concurrency": 1}
    lacking: Counter[str] = Counter()
    results = asyncio.run(searches(published, hands, Judge(published), planner, lacking=lacking, **more))
    solved = [found for found in results if found.is_solved]
    asked = [found.works["propose"] for found in results]
    answered = [number - lacking[hand] for number, hand in zip(asked, hands, strict=True)]
    return {
        "planner": planner.facts.name, "solved": len(solved), "true": sum(true_state(found.answers[0].state) == (24,) for found in solved),
        "judgements": mean(found.works.get("evaluate", 0) for found in results), "proposals": mean(answered),
        "proposals_asked": mean(asked), "judgements_solved": mean(found.works.get("evaluate", 0) for found in solved),
        "proposals_solved": mean(number for number, found in zip(answered, results, strict=True) if found.is_solved),
        "covered": len(hands) - len(lacking), "covered_solved": sum(found.answers[0].state.hand not in lacking for found in solved),
    }


def mean(numbers: Any) -> float:
    found = list(numbers)
    return sum(found) / len(found) if found else 0.0


def derivations(published: Published) -> dict[str, int]:
    """Hands for which some published line ends a derivation of 24: by the measure of the published figures, and legal from the hand on."""
    claims = {draft.hand for draft in published.children if len(draft.lines) == 3 and step_state(draft) == (24,)}
    solvable_kept = {draft.hand for draft in published.children if len(draft.lines) == 3 and solvable(draft)}
    true = {draft.hand for draft in published.children if len(draft.lines) == 3 and true_state(draft) == (24,)}
    return {"kept_solvable": len(solvable_kept), "at_24": len(claims), "legal_throughout": len(true)}


def sampled(path: Path) -> list[float]:
    """pass@k of 100 samples a hand, for each of ``KS``."""
    entries = json.loads(path.read_text(encoding="utf-8"))
    counts = [[int(one["r"] if isinstance(one, dict) else one) for one in entry.get("infos") or entry["accs"]] for entry in entries]
    return [mean(pass_at_k(len(row), sum(row), k) for row in counts) for k in KS]


def crosswords(folder: Path, boards: int | None) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, file in (("pruning", "dfs_prune.json"), ("no pruning", "dfs_no_prune.json")):
        replays = [replay(trace, prune=name == "pruning") for trace in read(folder / file)[:boards]]
        figures[name] = {"deepest": scores(replays, deepest), "best": scores(replays, best), "same_order": sum(one.is_same for one in replays),
                         "boards": len(replays), "visits": mean(len(one.visited) for one in replays)}
    return figures


# ------------------------------------------------------------------ the whole


def measure(data: Path, *, quick: bool) -> dict[str, Any]:
    """All replays; ``quick`` takes a fifth of the problems, and then no figure is the published one."""
    figures: dict[str, Any] = {}
    trace = data / "game24" / "gpt4_tot_bfs_b5_trace.json"
    if trace.exists():
        published = Published(trace)
        hands = published.hands[:20] if quick else published.hands
        say(f"Game of 24: {len(hands)} hands")
        figures["beam"] = beam_figures(published, hands)
        figures["best_first"] = best_first_figures(published, hands, whole=False)
        figures["best_first_whole"] = best_first_figures(published, hands, whole=True)
        figures["derivations"] = derivations(published)
        figures["pass_at_k"] = {name: sampled(data / "game24" / f"gpt4_{name}_100samples.json") for name in PASS_AT}
        with (data / "game24" / "24.csv").open(newline="", encoding="utf-8") as file:
            test = [row["Puzzles"] for row in csv.DictReader(file)][900:1000]
        figures["solvable_hands"] = sum(can_make_24(numbers_of(hand)) for hand in test)
    if (data / "crosswords_traces" / "dfs_prune.json").exists():
        say("crosswords")
        figures["crosswords"] = crosswords(data / "crosswords_traces", 5 if quick else None)
    return figures


def same(name: str, figure: Any, published: float, unit: str = "") -> Target:
    """That a published figure comes out exactly, as printed there."""
    return Target(f"{name}, off {published:g}{unit}", None if figure is None else round(abs(figure - published), 6), 0, unit)


def targets(data: dict[str, Any], *, quick: bool = False) -> list[Target]:
    """Every published figure; those of all problems are not held against a part of them."""
    if quick:
        found = [Target("requests that the trace lacks, beam", data.get("beam", {}).get("missing"), 0)]
        words = data.get("crosswords", {})
        lost = {name: one["boards"] - one["same_order"] for name, one in words.items()}
        return found + [Target(f"crosswords, {name}: boards not visited as published", number, 0) for name, number in lost.items()]
    whole, first, words = data.get("beam", {}), data.get("best_first", {}), data.get("crosswords", {})
    found = [
        same("beam: hands with a right output", whole.get("any"), 69), same("beam: first output right", whole.get("first"), 62),
        same("beam: outputs right", None if not whole else round(whole["mean"], 1), 23.8, " %"),
        Target("beam: requests that the trace lacks", whole.get("missing"), 0),
    ]
    lost = losses(whole.get("ledger", []))
    found += [same(f"ledger: {name[1] or ''} {name[0]}".replace(":  ", ": "), lost.get(name), number) for name, number in LEDGER]
    found += [
        Target("best-first: derivations of the trace's 77", first.get("solved"), 75, at_least=True),
        Target("best-first: judgements a hand", first.get("judgements"), 34), Target("best-first: proposals a hand", first.get("proposals"), 6),
        same("judgements that a cache within a hand saves (70.3 of 84.1 are asked)", _rounded(whole.get("cached_within")), 16.4, " %"),
        same("judgements that a cache across hands saves (2,946 of 8,412 are asked)", _rounded(whole.get("cached_across")), 65.0, " %"),
    ]
    for name, expected in PASS_AT.items():
        figures = data.get("pass_at_k", {}).get(name, [None] * len(KS))
        found += [same(f"{name} pass@{k}", None if at is None else round(at, 3), one) for k, at, one in zip(KS, figures, expected, strict=True)]
    for (name, pick), expected in CROSSWORDS.items():
        figures = words.get(name, {}).get(pick, (None, None, None))
        found += [same(f"crosswords, {name}, {pick}: {what}", at, one, " %")
                  for what, at, one in zip(("letters", "words", "games"), figures, expected, strict=True)]
    return found


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)


def losses(stages: Sequence[dict[str, Any]]) -> dict[tuple[str, int | None], int]:
    return {(now["stage"], now["depth"]): now["problems"] - before["problems"] for before, now in pairwise(stages)}


def lines(data: dict[str, Any]) -> Iterator[str]:
    if "beam" in data:
        one = data["beam"]
        yield (f"Game of 24, GPT-4's trace through beam(width={WIDTH}), {one['hands']} hands: a right output {one['any']}, "
               f"the first right {one['first']}, right on average {one['mean']:.1f} %; {one['graded_as_published']} graded as published; "
               f"{one['judgements_a_hand']:.1f} judgements and {one['proposals_a_hand']:.1f} proposals a hand; {one['missing']} requests missing")
        yield from one["text"].splitlines()
        yield f"with every line legal from the hand on: {', '.join(str(stage['problems']) for stage in one['ledger_of_whole_ways'])}"
        yield (f"a cache of judgements saves {100 * one['cached_within']:.1f} % within a hand "
               f"({one['asked_within']:,} of {one['judgements']:,} asked), "
               f"{100 * one['cached_across']:.1f} % across hands ({one['asked_across']:,} asked)")
        columns = (
            "solved", "true", "judgements", "proposals", "proposals_asked", "judgements_solved", "proposals_solved", "covered", "covered_solved",
        )  # fmt: skip
        rows = [("each step legal", data["best_first"]), ("every line legal", data["best_first_whole"])]
        yield from table(("best-first, goal:", *columns), ([name, *(row[column] for column in columns)] for name, row in rows))
        yield ("  of the trace's 77 derivations; true: legal from the hand on; proposals: those that the trace has; "
               "covered: hands for which nothing was asked that it lacks")
        yield from table(("samples", *(f"pass@{k}" for k in KS)), ([name, *figures] for name, figures in data["pass_at_k"].items()))
    if "crosswords" in data:
        head = ("crosswords", "letters %", "words %", "games %", "as published", "visits")
        yield from table(head, ([f"{name}, {pick}", *one[pick], f"{one['same_order']} of {one['boards']}", one["visits"]]
                                for name, one in data["crosswords"].items() for pick in ("deepest", "best")))  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    chosen = options(__doc__, argv, data={"type": Path, "default": DATA, "help": "the folder of the traces"})
    data = measure(chosen.data, quick=chosen.quick)
    return finish("planners_replay", data, targets(data, quick=chosen.quick), list(lines(data)), chosen)


if __name__ == "__main__":
    sys.exit(main())
