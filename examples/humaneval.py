"""HumanEval: a model writes programs, the examples in the task's text test them during the search, the hidden tests only afterwards.

python examples/humaneval.py HumanEval.jsonl.gz --model openai:gpt-5-mini --planner plan_search --calls 60
python examples/humaneval.py HumanEval.jsonl.gz --reference         (no model: runs the reference solutions, to see that all works here)

Programs run in the sandbox only. The embedded model has not learned to write programs, so one has to be named. No search can reach the hidden
tests: they stand in no state, and grade the answer when the search is over.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import doctest
import gzip
import json
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rookery import Limit, RookeryError, prompt, start, tool
from rookery.planners import Check, Planner, best_of_n, plan_search, public_tests, refine, search
from rookery.tools.ladder import best_sandbox
from rookery.tools.sandbox import Program, Sandbox, SandboxLimit

LIMIT = SandboxLimit(cpu_s=5, wall_s=10)


@dataclass(frozen=True)
class Problem:
    """The beginning of a program, down to the docstring of the function that is wanted."""

    text: str
    entry: str

    def __str__(self) -> str:
        return f"Complete this Python program:\n\n{self.text}"


@dataclass(frozen=True)
class Code:
    """A whole program."""

    source: str

    def __str__(self) -> str:
        return self.source


@dataclass(frozen=True)
class Task:
    """What the file has of a problem; only ``problem`` is for the search."""

    name: str
    problem: Problem
    solution: Code
    hidden: str


# ------------------------------------------------------------------ tests

_CALL = r"{entry}\((?:[^()\n]|\([^()\n]*\))*\)"
_GIVES = r"\s*(?:==|=>|->|➞|returns?|should return)\s*"


def examples_in(problem: Problem) -> list[tuple[str, str]]:
    """The calls in the docstring and what they give, as expressions: ``>>>`` examples, and lines like ``f(1) ➞ 2``."""
    found: list[tuple[str, str]] = []
    with suppress(ValueError):  # a docstring with uneven spaces
        found = [(example.source.strip(), example.want.strip()) for example in doctest.DocTestParser().get_examples(problem.text)]
    line = re.compile(f"({_CALL.format(entry=re.escape(problem.entry))}){_GIVES}(.+)")
    found += [(match[1], match[2].strip().rstrip(".")) for match in line.finditer(problem.text)]
    return [(call, wanted) for call, wanted in dict.fromkeys(found) if _is_example(call, wanted, problem.entry)]


def _is_example(call: str, wanted: str, entry: str) -> bool:
    """Whether a call of the function on literals gives a literal; read, not run."""
    try:
        tree = ast.parse(call, mode="eval").body
        for part in [*(tree.args if isinstance(tree, ast.Call) else ()), ast.parse(wanted, mode="eval").body]:
            ast.literal_eval(part)
    except (SyntaxError, ValueError, TypeError):
        return False
    return isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == entry


TESTED = '''

def tested_(entry_, examples_):
    wrong = []
    for call, wanted in examples_:
        try:
            got = eval(call, globals())
            if got != eval(wanted, globals()):
                wrong.append(call + ": expected " + wanted + ", got " + repr(got)[:200])
        except Exception as error:
            wrong.append(call + ": expected " + wanted + ", got " + type(error).__name__ + ": " + str(error)[:200])
    if not callable(globals().get(entry_)):
        wrong.append("there is no function " + entry_)
    return wrong
'''


async def public(sandbox: Sandbox, problem: Problem, code: Code) -> Check:
    """What the examples of the text say of a program; where there are none it must load and define the function."""
    examples = examples_in(problem)
    program = Program(source=code.source + TESTED, entry="tested_", args=[problem.entry, examples])
    outcome = await sandbox.run(program, limit=LIMIT)
    if outcome.fault is not None:
        return Check(False, 0.0, str(outcome.fault))
    wrong = [str(line) for line in outcome.value] if isinstance(outcome.value, list) else ["the program changed its own test"]
    return Check(not wrong, max(0.0, 1 - len(wrong) / (len(examples) + 1)), "\n".join(wrong[:3]))


async def is_right(sandbox: Sandbox, task: Task, code: Code) -> bool:
    """What the hidden tests say. For after the search."""
    outcome = await sandbox.run(Program(source=f"{code.source}\n{task.hidden}\ncheck({task.problem.entry})\n'passed'\n"), limit=LIMIT)
    return outcome.ok and outcome.value == "passed"


# ------------------------------------------------------------------ what a model fills in


@prompt(form="text")
def code(problem: Problem, plan: str = "", sketch: str = "", answer: str = "", feedback: str = "") -> str:
    """Complete this Python program. Answer with the whole program, its imports too, and nothing else.

    {problem.text}

    A plan, if there is one:
    {plan}

    The plan as pseudocode:
    {sketch}

    The last answer, if there is one:
    {answer}

    What it got wrong:
    {feedback}
    """


async def write(problem: Problem, plan: str = "", sketch: str = "", answer: Code | None = None, feedback: str = "") -> Code:
    """A program that a model writes; one that goes on where the text ends is put behind it."""
    text = await code(problem=problem, plan=plan, sketch=sketch, answer=str(answer or ""), feedback=feedback)
    fenced = re.search(r"```(?:python)?\n(.*?)```", text, re.DOTALL)
    text = fenced[1] if fenced else text
    return Code(text if f"def {problem.entry}" in text else f"{problem.text}    {text.lstrip()}")


# ------------------------------------------------------------------ the command

PLANNERS: dict[str, Callable[[int], Planner]] = {
    "best_of_n": lambda calls: best_of_n(calls, depth=1),
    "refine": lambda calls: refine(rounds=max(calls // 5, 1), samples=5),
    "plan_search": lambda calls: plan_search(),
}


def read_tasks(path: Path) -> list[Task]:
    """The rows of a file in the form of HumanEval.jsonl, packed or not."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    return [
        Task(row["task_id"], Problem(row["prompt"], row["entry_point"]), Code(row["prompt"] + row["canonical_solution"]), row["test"]) for row in rows
    ]  # fmt: skip


async def solve(task: Task, planner: Planner, sandbox: Sandbox, *, calls: int, model: Any) -> Any:
    """Search for a program, ``calls`` calls of the model at most."""

    @tool
    async def passes(answer: Code, root: Problem) -> Check:
        return await public(sandbox, root, answer)

    made = search(state=task.problem, propose=write, goal=public_tests(passes), planner=planner, limit=Limit(calls=calls))
    async with start(made, model=model) as run:
        return await run


async def show(tasks: list[Task], planner: Planner | None, *, calls: int, model: Any) -> int:
    """Solve task after task (or, without a planner, run the reference solutions); how many pass the hidden tests."""
    sandbox, right = best_sandbox(), 0
    try:
        for task in tasks:
            if planner is None:
                answer, seen = task.solution, await public(sandbox, task.problem, task.solution)
                word = "passes its examples" if seen.passed else f"fails its examples: {seen.feedback}"
            else:
                result = await solve(task, planner, sandbox, calls=calls, model=model)
                answer, word = result.answer, f"{result.verdict}, {result.stop_reason}, {result.spent.calls} calls"
            passes = answer is not None and await is_right(sandbox, task, answer)
            right += passes
            print(f"{task.name:<15} {'right' if passes else 'wrong':<6} {word}", flush=True)
    finally:
        await sandbox.aclose()
    return right


def main() -> int:
    """Read the command line, search, and give the exit code: 0, 1 when nothing was right or it failed, 2 for wrong usage."""
    options = argparse.ArgumentParser(description="Solve HumanEval.")
    options.add_argument("file", type=Path, help="HumanEval.jsonl or HumanEval.jsonl.gz")
    options.add_argument("--only", type=int, help="the first so many tasks")
    options.add_argument("--planner", choices=sorted(PLANNERS), default="plan_search")
    options.add_argument("--calls", type=int, default=60, help="calls of the model for each task at most")
    options.add_argument("--model", help="provider:NAME[@BASE_URL]")
    options.add_argument("--reference", action="store_true", help="run the reference solutions, without a model")
    chosen = options.parse_args()
    if not chosen.model and not chosen.reference:
        print("error: name a model with --model; the embedded one has not learned to write programs (--reference needs none)", file=sys.stderr)
        return 2
    try:
        tasks = read_tasks(chosen.file)[: chosen.only]
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"error: {chosen.file}: {error}", file=sys.stderr)
        return 2
    planner = None if chosen.reference else PLANNERS[chosen.planner](chosen.calls)
    try:
        right = asyncio.run(show(tasks, planner, calls=chosen.calls, model=chosen.model))
    except RookeryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"\n{right} of {len(tasks)} pass the hidden tests")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
