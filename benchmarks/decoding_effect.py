"""What a monitor is worth: names after a dot in unseen code, written by the embedded Python models with and without it.

Both models were trained on the same data (training/python); no file of the packages asked about was in it. At each site the model sees
the lines before the dot, the analyser the true file with the name (or, "blind", without all that follows, or without the file) missing.
Everything is paired: the same sites for all. Intervals are 95 % of a bootstrap over files.

``--project PATH`` measures on another project, ``--dev`` on the development packages, where the soft penalty was chosen.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import random
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.decoding_sites import Dereference, Project, Trained, at, copied, dereferences, drawn, installed
from benchmarks.report import ROOT, Target, finish, options, say, table
from rookery.decoding import Desk, Guarded, Rule, Tally, check, members
from rookery.errors import ConstraintUnmet, RookeryError, SkillMissing
from rookery.models.embedded import WEIGHTS, EmbeddedModel
from rookery.models.model import Chunk, Message, Request, Sampling

TEST = ("requests", "rich", "networkx", "click", "tenacity", "textual")
"""Packages that were held out of the training as a whole and come with rookery."""
DEV = ("attrs", "jsonschema", "pluggy", "h11", "typer")
SOFT_NATS = 4.0
BUDGET_S = 60.0
"""Here every answer is waited for: what a late one costs is measured by benchmarks.decoding_cost."""
PROMPT_TOKENS, PROMPT_LINES, NAME_TOKENS, LINE_TOKENS = 460, 80, 14, 40
MODELS = {"small": ROOT / "training" / "python" / "2M", "large": ROOT / "training" / "python" / "8M"}
"""The two siblings; the one that is shipped may stand in the package alone."""
MODES = ("off", "hard", "soft", "hard, after hidden", "hard, file absent")
RESAMPLES = 4000
Siblings = dict[str, EmbeddedModel]
Encode = Callable[[str], list[int]]
NAME = re.compile(r"[^\W\d]\w*")


@dataclass(slots=True)
class Outcome:
    """What was written at a site, by model and mode."""

    site: Dereference
    answered: bool = False
    """The analyser, seeing all but the name, said what may stand here."""
    truth_listed: bool = False
    names: dict[str, str] = field(default_factory=dict)
    valid: dict[str, bool] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """The whole file with the rest of the line written by the model, where it was asked for."""

    def hit(self, who: str) -> float:
        """1 if the name written is the true one."""
        return float(self.names.get(who) == self.site.truth)


def folders() -> dict[str, Path]:
    """Where the siblings are that are there, ``small`` and ``large``."""
    found = {role: folder if (folder / "model.safetensors").exists() else None for role, folder in MODELS.items()}
    if (WEIGHTS / "python" / "model.safetensors").exists():
        missing = next((role for role, folder in found.items() if folder is None), None)
        if missing is not None:
            found[missing] = WEIGHTS / "python"
    return {role: folder for role, folder in found.items() if folder is not None}


# ------------------------------------------------------------------ writing


def prompt_of(before: str, encode: Encode) -> str:
    """The last lines before the dot that fit the window, whole lines only."""
    lines = before.splitlines(keepends=True)[-PROMPT_LINES:]
    while len(lines) > 1 and len(encode("".join(lines))) > PROMPT_TOKENS:
        del lines[: max(1, len(lines) // 20)]
    return "".join(lines)


def asked(prompt: str, tokens: int, *stop: str) -> Request:
    return Request((Message.of("user", prompt),), Sampling(temperature=0.0, max_tokens=tokens, stop=stop))


async def name_from(stream: AsyncIterator[Chunk]) -> str:
    """The identifier that a reply begins with; the reply is ended where that ends."""
    text = ""
    async with aclosing(stream) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            text += chunk.text
            found = NAME.match(text)
            if text and (found is None or found.end() < len(text)):
                break
    found = NAME.match(text)
    return found[0] if found else ""


async def text_from(stream: AsyncIterator[Chunk]) -> str:
    return "".join([chunk.text async for chunk in stream])


def replies(model: EmbeddedModel, rule: Rule | None, desk: Desk, request: Request) -> AsyncIterator[Chunk]:
    return model.stream(request) if rule is None else Guarded(model, rule, desk).stream(request)


async def write(outcome: Outcome, who: str, model: EmbeddedModel, rule: Rule | None, desk: Desk, prompt: str) -> None:
    """Let a model write the name, and note it."""
    try:
        outcome.names[who] = await name_from(replies(model, rule, desk, asked(prompt, NAME_TOKENS)))
    except ConstraintUnmet:
        outcome.names[who] = ""


async def write_line(outcome: Outcome, who: str, model: EmbeddedModel, rule: Rule | None, desk: Desk, prompt: str, text: str) -> None:
    """Let a model write the rest of the line, and note the file as it then is."""
    before, after = outcome.site.parts(text)
    with contextlib.suppress(ConstraintUnmet):
        line = await text_from(replies(model, rule, desk, asked(prompt, LINE_TOKENS, "\n")))
        outcome.files[who] = before + line + after[after.find("\n") :]


# ------------------------------------------------------------------ one file after the other


async def measure(sites: Sequence[Dereference], folder: Path, siblings: Siblings, *, soft: Sequence[float], lines: int) -> list[Outcome]:
    """All outcomes, in the order of the sites; ``lines`` of them with whole files, evenly spread."""
    by_file: dict[str, list[Dereference]] = defaultdict(list)
    for site in sites:
        by_file[site.file].append(site)
    outcomes: list[Outcome] = []
    desk = Desk()
    every = max(1, len(sites) // lines) if lines else 0
    encode = next(iter(siblings.values())).token_model().vocabulary.encode
    try:
        for file, members_of in by_file.items():
            text = (folder / file).read_text("utf-8")
            fresh = [Outcome(site) for site in members_of]
            for number, outcome in enumerate(fresh):
                with_line = bool(every) and (len(outcomes) + number) % every == 0
                await _sighted(outcome, text, folder, siblings, desk, encode, soft=soft, with_line=with_line)
            fresh = [outcome for outcome in fresh if outcome.names]
            await _absent(fresh, text, folder, siblings, encode)
            outcomes += fresh
            say(f"{len(outcomes)} sites, {file}")
    finally:
        await desk.aclose()
    return outcomes


async def _sighted(outcome: Outcome, text: str, folder: Path, siblings: Siblings, desk: Desk, encode: Encode, *,
                   soft: Sequence[float], with_line: bool) -> None:
    """All modes in which the analyser sees the file; nothing is noted if the models refuse what stands before the dot."""
    before, after = outcome.site.parts(text)
    prompt = prompt_of(before, encode)
    rule = rule_at(folder, outcome.site, before, after)
    hidden = rule_at(folder, outcome.site, before, "")
    try:
        for role, model in siblings.items():
            await write(outcome, f"{role}, off", model, None, desk, prompt)
            await write(outcome, f"{role}, hard", model, rule, desk, prompt)
            await write(outcome, f"{role}, hard, after hidden", model, hidden, desk, prompt)
            for nats in soft:
                await write(outcome, f"{role}, soft" if nats == SOFT_NATS else f"{role}, soft {nats:g}", model, rule.soft(nats), desk, prompt)
            if with_line:
                await write_line(outcome, f"{role}, off", model, None, desk, prompt, text)
                await write_line(outcome, f"{role}, hard", model, rule, desk, prompt, text)
    except SkillMissing:
        outcome.names.clear()
        return
    outcome.answered, outcome.truth_listed = await allowed(outcome.site.truth, rule, desk)
    for who, name in outcome.names.items():
        outcome.valid[who] = bool(name) and (await allowed(name, rule, desk))[1]


def rule_at(folder: Path, site: Dereference, before: str, after: str) -> Rule:
    """Members of what stands before the dot, as the shipped monitor has it."""
    return members(str(folder), file=site.file, before=before, after=after).within(BUDGET_S)


async def allowed(name: str, rule: Rule, desk: Desk) -> tuple[bool, bool]:
    """Whether the analyser knew what may stand here, and whether this name may."""
    tally = Tally()
    faults = await check(name + " ", rule, desk, tally)
    knew = tally.triggers > 0 and not tally.empty + tally.late + tally.unknown + tally.failed
    return knew, not faults


async def _absent(outcomes: Sequence[Outcome], text: str, folder: Path, siblings: Siblings, encode: Encode) -> None:
    """The analyser sees a project without the file, and of the file only what stands before the dot."""
    if not outcomes:
        return
    path = folder / outcomes[0].site.file
    path.unlink()
    desk = Desk()
    try:
        for outcome in outcomes:
            before, _ = outcome.site.parts(text)
            for role, model in siblings.items():
                rule = rule_at(folder, outcome.site, before, "")
                await write(outcome, f"{role}, hard, file absent", model, rule, desk, prompt_of(before, encode))
    finally:
        await desk.aclose()
        path.write_text(text, "utf-8")


# ------------------------------------------------------------------ figures


def share(values: Sequence[float]) -> float | None:
    return 100 * sum(values) / len(values) if values else None


def difference(outcomes: Sequence[Outcome], one: str, other: str, *, seed: int = 0) -> dict[str, float]:
    """Next-identifier match of ``one`` less that of ``other``, in points, with its interval and the sites where just one is right."""
    by_file: dict[tuple[str, str], list[float]] = defaultdict(list)
    for outcome in outcomes:
        by_file[outcome.site.package, outcome.site.file].append(outcome.hit(one) - outcome.hit(other))
    groups = list(by_file.values())
    chance = random.Random(seed)
    means = []
    for _ in range(RESAMPLES):
        again = chance.choices(groups, k=len(groups))
        means.append(100 * sum(map(sum, again)) / sum(map(len, again)))
    means.sort()
    gaps = [gap for group in groups for gap in group]
    return {"points": 100 * sum(gaps) / len(gaps), "low": means[int(0.025 * RESAMPLES)], "high": means[int(0.975 * RESAMPLES)],
            "only_one_right": sum(gap > 0 for gap in gaps), "only_other_right": sum(gap < 0 for gap in gaps)}


def rows_of(outcomes: Sequence[Outcome], siblings: Sequence[str]) -> list[dict[str, Any]]:
    """Match and validity for each model and mode, in all and by kind of site."""
    rows = []
    for who in dict.fromkeys(who for outcome in outcomes for who in outcome.names if who.partition(",")[0] in siblings):
        known = [float(outcome.valid[who]) for outcome in outcomes if outcome.answered and who in outcome.valid]
        row: dict[str, Any] = {"who": who, "match": share([outcome.hit(who) for outcome in outcomes]), "valid": share(known)}
        for kind in ("self", "name", "expression"):
            row[kind] = share([outcome.hit(who) for outcome in outcomes if outcome.site.kind == kind])
        rows.append(row)
    return rows


def whole_files(outcomes: Sequence[Outcome], folder: Path, *, typed: int) -> list[dict[str, Any]]:
    """How many files parse, and how many a type checker finds no fault with on the line, once a model has written the line."""
    rows = []
    with_files = [outcome for outcome in outcomes if outcome.files]
    faults = typecheck(with_files[:: max(1, len(with_files) // typed)] if typed else [], folder)
    for who in dict.fromkeys(who for outcome in with_files for who in outcome.files):
        parsed = [float(_parses(outcome.files[who])) for outcome in with_files if who in outcome.files]
        checked = None if faults is None else share([float(ok) for ok in faults.get(who, [])])
        rows.append({"who": who, "files": len(parsed), "parse": share(parsed), "type_check": checked,
                     "type_checked": len((faults or {}).get(who, []))})
    return rows


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def typecheck(outcomes: Sequence[Outcome], folder: Path) -> dict[str, list[bool]] | None:
    """By model and mode: whether mypy finds nothing wrong on the line. Sites whose true line has faults are left out. None: no mypy."""
    written: dict[Path, tuple[int, str]] = {}
    for number, outcome in enumerate(outcomes):
        original = folder / outcome.site.file
        versions = {"": original.read_text("utf-8"), **outcome.files}
        for place, (who, text) in enumerate(versions.items()):
            path = original.with_name(f"{original.stem}_site{number}_{place}.py")
            path.write_text(text, "utf-8")
            written[path] = number, who
    if not written:
        return None
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context", "--no-color-output", "--follow-imports=silent",
               "--ignore-missing-imports", "--check-untyped-defs", "--cache-dir", str(folder / ".mypy"), "--no-site-packages"]
    try:
        # A file that does not parse ends a run of mypy, so only those that do are given to it.
        given = [str(path.relative_to(folder)) for path in written if _parses(path.read_text("utf-8"))]
        done = subprocess.run([*command, *given], cwd=folder, capture_output=True, text=True, timeout=1800)
    except (OSError, subprocess.TimeoutExpired):
        return None
    finally:
        texts = {path: path.read_text("utf-8") for path in written}
        for path in written:
            path.unlink()
    if "No module named mypy" in done.stderr or done.returncode not in (0, 1):
        say(f"mypy: {(done.stdout + done.stderr)[-300:]}")
        return None
    wrong = {(match[1], int(match[2])) for match in re.finditer(r"^(.+?\.py):(\d+): error", done.stdout, re.MULTILINE)}
    faulty: dict[int, set[str]] = defaultdict(set)
    for path, (number, who) in written.items():
        line = outcomes[number].site.line
        if (str(path.relative_to(folder)), line) in wrong or not _parses(texts[path]):
            faulty[number].add(who)
    result: dict[str, list[bool]] = defaultdict(list)
    for number, outcome in enumerate(outcomes):
        if "" not in faulty[number]:
            for who in outcome.files:
                result[who].append(who not in faulty[number])
    return dict(result)


# ------------------------------------------------------------------ the whole


async def carry_out(projects: Sequence[Project], count: int, *, seed: int, soft: Sequence[float], lines: int, typed: int) -> dict[str, Any]:
    """All figures for some projects."""
    places = folders()
    siblings = {role: EmbeddedModel("python", folder=folder) for role, folder in places.items()}
    trained = Trained()
    found = [dereferences(project, trained) for project in projects]
    sites = drawn([site for of_project, _ in found for site in of_project], count, seed)
    with tempfile.TemporaryDirectory() as place:
        folder = copied(projects, Path(place).resolve())
        outcomes = await measure(sites, folder, siblings, soft=soft, lines=lines) if siblings and sites else []
        files = whole_files(outcomes, folder, typed=typed)
    for model in siblings.values():
        await model.aclose()
    pairs = [(f"{one}, {mode}", f"{other}, off") for one, other in (("small", "large"), ("small", "small"), ("large", "large")) for mode in MODES[1:]]
    return {
        "packages": {f"{project.name} {project.version}".strip(): sum(site.package == project.name for site in sites) for project in projects},
        "parameters": {role: (folder / "model.safetensors").stat().st_size // 2 for role, folder in places.items()},
        "files_seen_in_training": sum(seen for _, seen in found), "files_known_of_training": trained.count,
        "sites_drawn": len(sites), "sites": len(outcomes), "refused_by_the_model": len(sites) - len(outcomes),
        "analyser_answered": share([float(outcome.answered) for outcome in outcomes]),
        "truth_listed": share([float(outcome.truth_listed) for outcome in outcomes if outcome.answered]),
        "rows": rows_of(outcomes, list(siblings)), "whole_files": files,
        "differences": {f"{one} − {other}": difference(outcomes, one, other) for one, other in pairs
                        if outcomes and one in outcomes[0].names and other in outcomes[0].names},
        "where": [[site.package, site.version, site.file, site.line, site.column] for site in (outcome.site for outcome in outcomes)],
    }


def lines_of(figures: dict[str, Any]) -> list[str]:
    def shown(value: float | None) -> str:
        return "–" if value is None else f"{value:.1f}"

    lines = [
        f"{figures['sites']} sites of {figures['packages']}; parameters: {figures['parameters']}",
        f"left out: {figures['files_seen_in_training']} files as seen in training, {figures['refused_by_the_model']} sites as refused by the models",
        f"the analyser answered at {shown(figures['analyser_answered'])} %, and has the truth in its list in {shown(figures['truth_listed'])} %",
    ]
    lines += table(["model, mode", "match %", "valid %", "self.", "name.", "other"],
                   [[row["who"], *(shown(row[key]) for key in ("match", "valid", "self", "name", "expression"))] for row in figures["rows"]])
    lines += table(["rest of the line", "files", "parse %", "type check %", "of"],
                   [[row["who"], row["files"], shown(row["parse"]), shown(row["type_check"]), row["type_checked"]] for row in figures["whole_files"]])
    lines += [f"{name}: {found['points']:+.1f} points ({found['low']:+.1f} to {found['high']:+.1f}); "
              f"{found['only_one_right']} to {found['only_other_right']} sites" for name, found in figures["differences"].items()]
    return lines


def targets_of(figures: dict[str, Any]) -> list[Target]:
    main = figures["differences"].get("small, hard − large, off")
    return [
        Target("dereference sites", figures["sites"] or None, 1000, at_least=True),
        Target("match, small with monitor less large without, low end of the interval", None if main is None else main["low"], 0.0, " points",
               at_least=True),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    chosen = options(__doc__, argv, project={"action": "append", "type": Path, "default": [], "help": "measure on the project in this folder"},
                     sites={"type": int, "default": 0, "help": "how many sites (1,100; quick: 40)"}, seed={"type": int, "default": 0},
                     dev={"action": "store_true", "help": "measure on the development packages, with several soft penalties"})
    names = DEV if chosen.dev else TEST
    projects = [at(path) for path in chosen.project] or [project for name in names if (project := installed(name)) is not None]
    count = chosen.sites or (40 if chosen.quick else 1100)
    soft = (1.0, 2.0, 4.0, 6.0, 8.0) if chosen.dev else (SOFT_NATS,)
    try:
        lines, typed = (8, 4) if chosen.quick else (250, 60)
        figures = asyncio.run(carry_out(projects, count, seed=chosen.seed, soft=soft, lines=lines, typed=typed))
    except RookeryError as error:
        raise SystemExit(f"{error}\n{error.hint}") from error
    return finish("decoding_effect", figures, targets_of(figures), lines_of(figures), chosen)


if __name__ == "__main__":
    sys.exit(main())
