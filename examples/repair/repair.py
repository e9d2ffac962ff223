"""Mends a small repository with a failing test by tree of thoughts, twice: with a tool that runs the tests, and with nothing but a judge that reads.

python examples/repair/repair.py                                     (edits and judge by rule: no model, said so on the screen)
python examples/repair/repair.py --model openai:gpt-5-mini           (a model proposes, and in the second search judges)

The finding of "Can GitHub issues be solved with Tree Of Thoughts?" (arXiv 2405.13057): a tree of thoughts that only judges itself does not
mend an issue; thoughts need to be held against the world. The two searches differ in what judges, and in nothing else: planner, proposer
and limit are the same. Changed programs run in the sandbox only. Hidden tests grade both patches when the searches are over.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any, Literal

from rookery import Limit, RookeryError, graph, prompt, start, tool
from rookery.planners import Check, Planner, SearchResult, beam, claimed, draw, public_tests, search, value
from rookery.tools import Program, Sandbox, SandboxLimit, best_sandbox

FOLDER = Path(__file__).parent
LIMIT = SandboxLimit(cpu_s=5, wall_s=10)
WIDTH, DEPTH = 3, 3
SCALE = {"sure": 20.0, "likely": 1.0, "impossible": 0.001}

# ------------------------------------------------------------------ the repository


@dataclass(frozen=True)
class Edit:
    """One line of one file, as it shall be."""

    file: str
    line: int
    """From 1."""
    text: str


@dataclass(frozen=True)
class Patch:
    """Edits of the repository; none of two is of the same line."""

    edits: tuple[Edit, ...] = ()

    def key(self) -> str:
        return repr(sorted((edit.file, edit.line, edit.text) for edit in self.edits))

    def __str__(self) -> str:
        last = self.edits[-1] if self.edits else None
        return f"{last.file}:{last.line} {last.text.strip()}" if last is not None else "the repository as it is"


def sources() -> dict[str, str]:
    """The files that may be changed."""
    return {f"meetings/{path.name}": path.read_text(encoding="utf-8") for path in sorted((FOLDER / "meetings").glob("*.py"))}


def patched(files: Mapping[str, str], patch: Patch) -> dict[str, str]:
    """The files with the edits made. Raises IndexError for a line or KeyError for a file that is not there."""
    lines = {name: text.splitlines() for name, text in files.items()}
    for edit in patch.edits:
        if edit.line < 1:
            raise IndexError(f"{edit.file} has no line {edit.line}")
        lines[edit.file][edit.line - 1] = edit.text
    return {name: "\n".join(found) + "\n" for name, found in lines.items()}


def diff(files: Mapping[str, str], patch: Patch) -> str:
    """The patch as a unified diff."""
    before, after = ({name: text.splitlines() for name, text in version.items()} for version in (files, patched(files, patch)))
    return "\n".join(line for name in files for line in unified_diff(before[name], after[name], name, name, lineterm="", n=1))


RUNNER = """
import importlib, sys
sys.path.insert(0, ".")
module, report = importlib.import_module(NAME), {}
for name, test in vars(module).items():
    if name.startswith("test_"):
        try:
            test()
            report[name] = ""
        except Exception as error:
            report[name] = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
report
"""


async def tested(sandbox: Sandbox, files: Mapping[str, str], checks: str) -> dict[str, str]:
    """By test what is wrong, "" where it passes; all of it wrong when the program does not even begin. In the sandbox."""
    source = (FOLDER / "checks" / f"{checks}.py").read_text(encoding="utf-8")
    names = re.findall(r"^def (test_\w+)", source, re.MULTILINE)
    program = Program(source=RUNNER.replace("NAME", repr(checks)), files={**files, f"{checks}.py": source})
    outcome = await sandbox.run(program, limit=LIMIT)
    told = outcome.value if isinstance(outcome.value, dict) else {}
    return {name: str(told.get(name, outcome.fault or "it did not run")) for name in names}


# ------------------------------------------------------------------ what proposes


SWAPS = {"<": ["<="], "<=": ["<"], ">": [">="], ">=": [">"], "==": ["!="], "!=": ["=="], "+": ["-"], "-": ["+"], "max": ["min"], "min": ["max"],
         "and": ["or"], "or": ["and"], "0": ["1"], "1": ["0"], "True": ["False"], "False": ["True"]}  # fmt: skip
_TOKEN = re.compile(r"(?<![-\w])(?:<=|>=|==|!=|[<>+-]|\b(?:max|min|and|or|True|False|0|1)\b)(?!\w)")


def mutations(files: Mapping[str, str], patch: Patch) -> list[Patch]:
    """Every change of one operator, bound or constant in a line of code that has not been changed; a rule, no model."""
    taken = {(edit.file, edit.line) for edit in patch.edits}
    found = []
    for name, text in files.items():
        code = {line for node in ast.walk(ast.parse(text)) if isinstance(node, ast.stmt) for line in _code_lines(node)}
        for number, line in enumerate(text.splitlines(), 1):
            if (name, number) in taken or number not in code:
                continue
            for match in _TOKEN.finditer(line):
                for other in SWAPS[match[0]]:
                    found.append(Patch((*patch.edits, Edit(name, number, line[: match.start()] + other + line[match.end() :]))))
    return found


def _code_lines(node: ast.stmt) -> range:
    """The lines of a statement that are its own: of a block its head, of a text none."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return range(0)
    body = getattr(node, "body", None)
    return range(node.lineno, body[0].lineno if body else (node.end_lineno or node.lineno) + 1)


@prompt
def edits(issue: str, code: str, diff: str, feedback: str) -> list[Edit]:
    """A repository has a fault. Propose up to five different next edits, each of one line, that may mend it or bring it nearer to
    being mended. Several edits may be needed in all; each of your proposals is one of them, made on top of the edits so far.

    {issue}

    The files, lines numbered:
    {code}

    Edits so far:
    {diff}

    What the tests say now, where they were run:
    {feedback}
    """


@prompt(form="text")
def promising(issue: str, code: str, diff: str) -> Literal["sure", "likely", "impossible"]:
    """Will these edits of a repository mend its fault, perhaps with a further one? Answer sure, likely or impossible.

    {issue}

    {code}

    {diff}

    Answer:
    """


@prompt(form="text")
def mended(issue: str, code: str, diff: str) -> bool:
    """Is the fault of this repository mended by these edits, wholly? Answer yes or no.

    {issue}

    {code}

    {diff}

    Answer:
    """


def numbered(files: Mapping[str, str]) -> str:
    return "\n\n".join(f"{name}\n" + "\n".join(f"{n:>3} {line}" for n, line in enumerate(text.splitlines(), 1)) for name, text in files.items())


# ------------------------------------------------------------------ what judges by reading, by rule


def closeness(files: Mapping[str, str], patch: Patch, issue: str) -> float:
    """How much the edited functions sound like the issue: the words they share. What one may expect of a reader who runs nothing."""
    words = set(re.findall(r"[a-z]{3,}", issue.lower()))
    total = 0.0
    for edit in patch.edits:
        owner = _function_at(files[edit.file], edit.line)
        own = set(re.findall(r"[a-z]{3,}", owner.lower().replace("_", " ")))
        total += len(own & words) / len(own) if own else 0.0
    return total / len(patch.edits) if patch.edits else 0.0


def _function_at(text: str, line: int) -> str:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.lineno <= line <= (node.end_lineno or line):
            return ast.get_source_segment(text, node) or ""
    return ""


# ------------------------------------------------------------------ the two searches


@dataclass(frozen=True)
class Attempt:
    """One search, and how its patch was graded when it was over."""

    name: str
    found: SearchResult[Patch]
    diff: str
    seen: dict[str, str]
    """By visible test what is wrong, "" where it passes."""
    hidden: dict[str, str]

    @property
    def is_mended(self) -> bool:
        return not any(self.seen.values()) and not any(self.hidden.values())

    def __str__(self) -> str:
        result = self.found
        passed = [f"{sum(not wrong for wrong in tests.values())} of {len(tests)}" for tests in (self.seen, self.hidden)]
        return (f"{self.name}: {'mended' if self.is_mended else 'NOT mended'}: {passed[0]} visible and {passed[1]} hidden tests pass\n"
                f"  {result.planner}; stopped: {result.stop_reason}; {result.verdict}, chosen by {result.chosen_by}, who saw {result.seen}; "
                f"{', '.join(f'{number} × {step}' for step, number in result.works.items())}\n{self.diff}")  # fmt: skip


def planner() -> Planner:
    """Of both searches."""
    return beam(width=WIDTH, depth=DEPTH)


def proposer(files: Mapping[str, str], issue: str, *, by_model: bool) -> Any:
    """What proposes in both searches."""

    @tool(inline=True)
    def by_rule(patch: Patch) -> list[Patch]:
        return mutations(patched(files, patch), patch)

    @tool(inline=True)
    def code_of(patch: Patch) -> str:
        return numbered(patched(files, patch))

    @tool(inline=True)
    def diff_of(patch: Patch) -> str:
        return diff(files, patch) or "none"

    @tool(inline=True)
    def joined(patch: Patch, edits: list[Edit]) -> list[Patch]:
        """The patch with each edit; those of lines that are not there, or that are changed already, are left out."""
        taken = {(edit.file, edit.line) for edit in patch.edits}
        lines = {name: len(text.splitlines()) for name, text in files.items()}
        good = [edit for edit in edits if 1 <= edit.line <= lines.get(edit.file, 0) and (edit.file, edit.line) not in taken]
        return [Patch((*patch.edits, Edit(edit.file, edit.line, edit.text.rstrip("\n")))) for edit in good]

    @graph
    def asked(patch: Patch, feedback: str = "") -> list[Patch]:
        found = edits(issue=issue, code=code_of(patch=patch), diff=diff_of(patch=patch), feedback=feedback)
        return joined(patch=patch, edits=found)

    return asked if by_model else by_rule


def by_tests(sandbox: Sandbox, files: Mapping[str, str]) -> dict[str, Any]:
    """Judge and goal that run the visible tests."""

    @tool(pure=True)
    async def run_tests(patch: Patch) -> dict[str, str]:
        return await tested(sandbox, patched(files, patch), "seen")

    @tool(inline=True)
    def share(report: dict[str, str]) -> float:
        return sum(not wrong for wrong in report.values()) / len(report)

    @tool(inline=True)
    def checked(report: dict[str, str]) -> Check:
        wrong = {name: fault for name, fault in report.items() if fault}
        return Check(not wrong, 1 - len(wrong) / len(report), "\n".join(f"{name}: {fault}" for name, fault in wrong.items()))

    @graph
    def judge(patch: Patch) -> float:
        return share(report=run_tests(patch=patch))

    @graph
    def goal(patch: Patch) -> Check:
        return checked(report=run_tests(patch=patch))

    return {"evaluate": judge, "goal": public_tests(goal)}


def by_reading(files: Mapping[str, str], issue: str, *, by_model: bool) -> dict[str, Any]:
    """A judge that reads the patch; with a model also its claim to be done."""

    @tool(inline=True)
    def reader(patch: Patch) -> float:
        return closeness(files, patch, issue)

    @tool(inline=True)
    def code_of(patch: Patch) -> str:
        return numbered(files)

    @tool(inline=True)
    def diff_of(patch: Patch) -> str:
        return diff(files, patch) or "none"

    @graph
    def judge(patch: Patch) -> Literal["sure", "likely", "impossible"]:
        return promising(issue=issue, code=code_of(patch=patch), diff=diff_of(patch=patch))

    @graph
    def goal(patch: Patch) -> bool:
        return mended(issue=issue, code=code_of(patch=patch), diff=diff_of(patch=patch))

    return {"evaluate": value(judge, scale=SCALE), "goal": claimed(goal)} if by_model else {"evaluate": reader}


async def attempts(*, model: Any = None, limit: Limit | None = None) -> list[Attempt]:
    """Both searches, the patches graded when they are over. Without a model edits and reader are rules. Raises SandboxMissing."""
    files, issue = sources(), (FOLDER / "ISSUE.md").read_text(encoding="utf-8")
    by_model = model is not None
    propose = proposer(files, issue, by_model=by_model)
    sandbox, made = best_sandbox("bubblewrap"), []
    try:
        ways = {"with a tool that runs the tests": by_tests(sandbox, files), "judging by reading alone": by_reading(files, issue, by_model=by_model)}
        for name, steps in ways.items():
            async with start(search(state=Patch(), propose=propose, planner=planner(), limit=limit, **steps), model=model) as run:
                found: SearchResult[Patch] = await run
            patch = found.answers[0].state if found.answers else Patch()
            after = patched(files, patch)
            made.append(Attempt(name, found, diff(files, patch), await tested(sandbox, after, "seen"), await tested(sandbox, after, "hidden")))
    finally:
        await sandbox.aclose()
    return made


def main() -> int:
    """Mend twice, print both; 0 when the search with tests has mended the repository, 1 when not or when it failed."""
    options = argparse.ArgumentParser(description="Mend a small repository by tree of thoughts.")
    options.add_argument("--model", help="provider:NAME[@BASE_URL]; without it edits and reader are rules")
    options.add_argument("--max-calls", type=int, metavar="N", help="at most so many calls of the model for each search")
    options.add_argument("--draw", action="store_true", help="draw the trees")
    chosen = options.parse_args()
    who = chosen.model or "no model: edits are proposed by rule (every change of one operator or constant), and the reader is a rule too"
    print(f"{who}\n\n{(FOLDER / 'ISSUE.md').read_text(encoding='utf-8')}")
    try:
        made = asyncio.run(attempts(model=chosen.model, limit=Limit(calls=chosen.max_calls) if chosen.max_calls else None))
    except RookeryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for attempt in made:
        print(f"{attempt}\n")
        if chosen.draw:
            print(f"{draw(attempt.found, max_nodes=20)}\n")
    return 0 if made[0].is_mended else 1


if __name__ == "__main__":
    sys.exit(main())
