"""T5: does a grown library help? A fixed proposer, the same number of proposals for each problem, families of training and test disjoint.

The proposer puts expressions forward by size (`benchmarks.enumerator`) and generalises by a rule (`benchmarks.abstraction`); it drives
`grow` as its model. Three arms are compared on the test problems: with the grown tools, with the whole training solutions stored, and
with none. Every expression that is put forward is one call of the model.
"""

from __future__ import annotations

import ast
import asyncio
import json
import math
import random
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import enumerator
from benchmarks.abstraction import Typing, as_function, best_patterns, generalised, instance, parts_of, steps_of, with_call
from benchmarks.corpus import arguments_of, check_of, kind_of
from benchmarks.report import Target, say, table
from rookery import Attempts, Policy, prompt
from rookery.models.model import Request
from rookery.testing import ScriptedModel
from rookery.tools.bubblewrap import Bubblewrap
from rookery.tools.growth import Stages, grow
from rookery.tools.library import ToolLibrary
from rookery.tools.problem import Growth, Problem
from rookery.tools.record import Example
from rookery.tools.sandbox import Program, SandboxLimit
from rookery.tools.stages import joined
from rookery.tools.trial import judge, try_calls

SEED = 11
ARMS = ("grown", "whole", "none")
TRAINING, TEST = 150_000, 20_000
"""Proposals for a problem while growing, and in the test of each arm."""
SIZES = (2, 4, 8)
"""So many tools are given to the proposer; which number, the training problems say."""
FOLDS = 4
"""Parts of the list functions, each of them the test of the others."""
TYPES = frozenset({"int", "str", "bool", "float", "list[int]", "list[str]"})
SEARCH = SandboxLimit(cpu_s=120.0, wall_s=300.0, memory_mb=2000)


@dataclass(frozen=True, slots=True)
class Task:
    """A problem of one family, in the form that the proposer takes."""

    problem: Problem
    params: Mapping[str, str]
    returns: str
    set: str
    """``list functions`` or ``p3``."""

    @property
    def seen(self) -> list[Example]:
        return [example for example in self.problem.examples if example.seen]


@dataclass(slots=True)
class Result:
    """What came of all tests."""

    solved: dict[str, dict[str, dict[str, bool]]] = field(default_factory=dict)
    """By set, arm and problem."""
    reuse: dict[str, dict[str, float]] = field(default_factory=dict)
    """By set and arm: the share of solutions that call a tool."""
    trained: dict[str, Any] = field(default_factory=dict)


# ------------------------------------------------------------------ problems


def list_functions(data: Path) -> list[Task]:
    """Each concept is a family: eight pairs are seen, three are held back."""
    file = data / "list_functions" / "list_functions.jsonl"
    if not file.exists():
        return []
    tasks = []
    for line in file.read_text("utf-8").splitlines():
        row = json.loads(line)
        examples = tuple(Example({"i": pair["i"]}, pair["o"], seen=number < 8) for number, pair in enumerate(row["examples"]))
        question = f"Make of a list of integers another one ({row['id']})."
        tasks.append(Task(Problem(row["id"], question, examples), {"i": "list[int]"}, "list[int]", "list functions"))
    return tasks


def puzzles(data: Path) -> list[Task]:
    """Each family of puzzles is one problem: all its instances but the last are seen."""
    file = data / "p3" / "puzzles.json"
    if not file.exists():
        return []
    families: dict[str, list[Mapping[str, Any]]] = {}
    for puzzle in json.loads(file.read_text("utf-8")):
        families.setdefault(puzzle["name"].split(":")[0], []).append(puzzle)
    return [task for family, members in families.items() if (task := _puzzle(family, members)) is not None]


def _puzzle(family: str, members: Sequence[Mapping[str, Any]]) -> Task | None:
    returns = members[0]["ans_type"].replace("List", "list")
    try:
        calls = [arguments_of(member["sol_header"]) for member in members]
        checks = {check_of(member["sat"].replace(member["sat"].split("\n")[0], _bare_header(member["sat"]))) for member in members}
    except (ValueError, SyntaxError):
        return None
    params = {name: kind_of([call[name] for call in calls if name in call]) for name in calls[0]}
    if returns not in TYPES or not set(params.values()) <= TYPES or len({tuple(call) for call in calls}) > 1 or len(checks) > 1:
        return None
    check = checks.pop()
    examples = tuple(Example(call, check=check, seen=number == 0 or number < len(calls) - 1) for number, call in enumerate(calls))
    question = f"{members[0]['sol_docstring'].strip().strip(chr(34)).strip()} ({family})"
    return Task(Problem(family, question, examples, returns), params, returns, "p3")


def _bare_header(sat: str) -> str:
    """The first line of a test without the instance's values, so that one test does for all instances."""
    function = ast.parse(sat).body[0]
    assert isinstance(function, ast.FunctionDef)
    return f"def sat({', '.join(argument.arg for argument in function.args.args)}):"


# ------------------------------------------------------------------ the proposer


@prompt(form="text")
def solve(question: str, examples: str, signature: str, tools: str) -> str:  # type: ignore[empty-body]
    """SOLVE {question}
    TOOLS
    {tools}
    """


@prompt(form="text")
def mend(question: str, examples: str, signature: str, tools: str, source: str, fault: str) -> str:  # type: ignore[empty-body]
    """MEND {question} {fault}"""


@prompt(form="text")
def generalise(question: str, source: str, signature: str, others: str, tools: str) -> str:  # type: ignore[empty-body]
    """GENERALISE {question}
    SOLUTION
    {source}
    OTHERS
    {others}
    TOOLS
    {tools}
    """


class Proposer:
    """Answers the prompts of ``grow`` by rule; it is handed the problems, and looks at the examples that are shown only."""

    def __init__(self, tasks: Sequence[Task], budget: int, searches: Searches) -> None:
        self.by_question = {task.problem.question: task for task in tasks}
        self.budget, self.searches = budget, searches
        self.proposed = 0
        self.solutions: dict[str, str] = {}

    async def answer(self, request: Request) -> str:
        text = request.text
        if text.startswith("SOLVE "):
            question, _, tools = text.removeprefix("SOLVE ").partition("\nTOOLS\n")
            return await self.solved(self.by_question[question], sources_in(tools))
        if text.startswith("GENERALISE "):
            head, _, rest = text.removeprefix("GENERALISE ").partition("\nSOLUTION\n")
            own, _, rest = rest.partition("\nOTHERS\n")
            others, _, tools = rest.rpartition("\nTOOLS\n")
            return self.general(self.by_question[head], own, others, sources_in(tools))
        return "nothing better"

    async def solved(self, task: Task, tools: Mapping[str, str]) -> str:
        expression, proposed = await self.searches(task, tools, self.budget)
        self.proposed += proposed
        self.solutions[task.problem.name] = expression
        return f"```python\n{as_solution(task, expression)}```" if expression else "no idea"

    def general(self, task: Task, own: str, others: str, tools: Mapping[str, str]) -> str:
        trees = [_expression(block) for block in others.split("```") if "return" in block]
        tree = _expression(own)
        if tree is None:
            return "nothing"
        functions = {name: returns for name, (_, returns) in map(_typed, tools.items())}
        inputs = {name: type_ for each in self.by_question.values() for name, type_ in each.params.items()} | dict(task.params)
        replies = []
        for pattern in best_patterns(tree, [each for each in trees if each is not None], Typing(inputs, functions)):
            name, source = as_function(pattern)
            fresh = _expression(own)
            called = with_call(fresh, pattern, name) if fresh is not None else None
            if called is not None:
                use = as_solution(task, ast.unparse(ast.fix_missing_locations(called)))
                replies.append(f"```python\n{source}```\n```python\n{use}```")
        return "\n".join(replies) or "nothing in common with others"


def as_solution(task: Task, expression: str) -> str:
    params = ", ".join(f"{name}: {type_}" for name, type_ in task.params.items())
    return f"def solution({params}) -> {task.returns}:\n    return {expression}\n"


def sources_in(text: str) -> dict[str, str]:
    """The functions in a text of code, by name."""
    try:
        return {node.name: ast.unparse(node) + "\n" for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    except SyntaxError:
        return {}


def _expression(source: str) -> ast.expr | None:
    """What the last function of a source gives back."""
    try:
        last = ast.parse(source.removeprefix("python\n")).body[-1].body[-1]  # type: ignore[attr-defined]
    except (SyntaxError, IndexError, AttributeError):
        return None
    return last.value if isinstance(last, ast.Return) else None


def _typed(item: tuple[str, str]) -> tuple[str, tuple[list[str], str]]:
    """A function's name, and the types of its parameters and value as texts."""
    function = next(node for node in ast.parse(item[1]).body if isinstance(node, ast.FunctionDef) and node.name == item[0])
    kinds = [ast.unparse(argument.annotation) if argument.annotation else "" for argument in function.args.args]
    return item[0], (kinds, ast.unparse(function.returns) if function.returns else "")


async def search(task: Task, tools: Mapping[str, str], budget: int, sandbox: Bubblewrap) -> tuple[str, int]:
    """The proposer at work in a sandbox: the first expression that is right on what is shown, and how many were put forward."""
    known = []
    for name, (kinds, returns) in map(_typed, tools.items()):
        if set(kinds) <= TYPES and returns in TYPES:
            known.append({"name": name, "params": kinds, "returns": returns, "source": joined(tools[name], _called(tools[name], tools, name))})
    examples = [{"arguments": dict(example.arguments), "value": example.value} for example in task.seen]
    given = {"params": dict(task.params), "examples": examples, "tools": known, "budget": budget, "goal": task.returns, "check": task.seen[0].check}
    outcome = await sandbox.run(Program(source=Path(enumerator.__file__).read_text("utf-8"), entry="propose", kwargs=given), limit=SEARCH)
    if not outcome.ok:
        return "", budget
    return str(outcome.value["expression"]), int(outcome.value["proposed"])


def _called(source: str, tools: Mapping[str, str], name: str) -> dict[str, str]:
    """The tools that a tool calls, and those that they call."""
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id in tools and node.id != name and node.id not in found:
            found = {**_called(tools[node.id], tools, node.id), **found, node.id: tools[node.id]}
    return found


# ------------------------------------------------------------------ growing


class Searches:
    """The proposer's searches in sandboxes, each made once: it draws nothing."""

    def __init__(self, sandbox: Bubblewrap) -> None:
        self.sandbox = sandbox
        self._found: dict[tuple[str, str, int], asyncio.Future[tuple[str, int]]] = {}

    async def __call__(self, task: Task, tools: Mapping[str, str], budget: int) -> tuple[str, int]:
        key = (task.problem.name, json.dumps(sorted(tools.items())), budget)
        if key not in self._found:
            self._found[key] = asyncio.ensure_future(search(task, tools, budget, self.sandbox))
        return await self._found[key]

    async def all(
        self, tasks: Sequence[Task], tools: Mapping[str, str], budget: int, *, but: Mapping[str, str] | None = None
    ) -> list[tuple[str, int]]:
        """An expression or nothing, and the proposals it took, for each task.

        ``but`` says from whose solution a tool comes: that problem does not get it.
        """
        own = but or {}
        given = [{name: source for name, source in tools.items() if own.get(name) != task.problem.name} for task in tasks]
        return await asyncio.gather(*[self(task, each, budget) for task, each in zip(tasks, given, strict=True)])


    async def cost(
        self, tasks: Sequence[Task], tools: Mapping[str, str], budget: int, *, but: Mapping[str, str] | None = None
    ) -> tuple[int, float]:
        """How many tasks stay unsolved, and what the proposals for all of them come to, in powers of two."""
        found = await self.all(tasks, tools, budget, but=but)
        return sum(not each for each, _ in found), sum(math.log2(max(2, proposed)) for _, proposed in found)


async def train(
    tasks: Sequence[Task], budget: int, test_budget: int, searches: Searches, folder: Path
) -> tuple[dict[str, str], dict[str, str], dict[str, Any]]:
    """The tools to use, of those grown and of the whole solutions, by name; and what growing took."""
    proposer = Proposer(tasks, budget, searches)
    model = ScriptedModel(proposer.answer, name="rule-based:enumerative")
    stages = Stages(solve=solve, mend=mend, generalise=generalise)
    async with ToolLibrary(path=folder, sandbox=searches.sandbox) as library:
        found: Growth = await grow(
            library, [task.problem for task in tasks], model=model, prompts=stages, repairs=0, batch=len(tasks),
            policy=Policy(attempts=Attempts(stop=1)),
        )
        grown = {record.name: (record.source, record.origin.removeprefix("grown: "), record.doc) for record in library if record.state == "trusted"}
    whole: dict[str, tuple[str, str, str]] = {}
    for task in tasks:
        if task.problem.name in found.solved:
            name, expression = f"solve_{task.problem.name.lower()}", proposer.solutions[task.problem.name]
            source = as_solution(task, expression).replace("def solution(", f"def {name}(")
            whole[name] = source, task.problem.name, alone(expression, task.params)
    solutions = [proposer.solutions[name] for name in found.solved]
    took = {
        "problems": len(tasks), "solved": len(found.solved), "admitted": len(found.admitted), "proposed": proposer.proposed,
        "rejected": dict(Counter(each.stage for each in found.rejected)),
    }
    return await useful(tasks, grown, solutions, test_budget, searches), await useful(tasks, whole, solutions, test_budget, searches), took


def alone(expression: str, params: Mapping[str, str]) -> str:
    """A whole solution as a pattern, its inputs as holes."""
    pattern = generalised(ast.parse(expression, mode="eval").body, Typing(params, {}))
    return pattern.text if pattern is not None else ""


async def useful(
    tasks: Sequence[Task], tools: Mapping[str, tuple[str, str, str]], solutions: Sequence[str], budget: int, searches: Searches
) -> dict[str, str]:
    """The first so many of the tools (source, problem it comes from, pattern), by what they would have saved, as serve training best.

    That is, as leave the fewest of its problems unsolved, and then take the fewest proposals. No problem has the
    use of what comes from its own solution; where no number of tools does better than none, none are used.
    """
    worth = {name: _worth(pattern, solutions) for name, (_, _, pattern) in tools.items()}
    ranked = sorted((name for name in tools if worth[name] > 0), key=lambda name: (-worth[name], len(tools[name][0]), name))
    origins = {name: origin for name, (_, origin, _) in tools.items()}
    best: dict[str, str] = {}
    least = await searches.cost(tasks, {}, budget)
    for size in SIZES:
        chosen = {name: tools[name][0] for name in ranked[:size]}
        cost = await searches.cost(tasks, chosen, budget, but=origins)
        if cost < least:
            best, least = chosen, cost
    return best


def _worth(pattern: str, solutions: Sequence[str]) -> float:
    """The steps that a pattern spares the solutions which have it, less those that it has itself."""
    if not pattern:
        return 0.0
    tree = ast.parse(pattern, mode="eval").body
    users = sum(any(instance(tree, part, {}) for part in parts_of(ast.parse(each, mode="eval").body)) for each in solutions)
    return (users - 0.5) * (steps_of(tree) - 1)


async def test(tasks: Sequence[Task], tools: Mapping[str, str], budget: int, searches: Searches) -> tuple[dict[str, bool], int]:
    """Which problems are solved, also on the examples held back; and how many of the solutions call a tool."""
    solved: dict[str, bool] = {}
    reused = 0
    for task, (expression, _) in zip(tasks, await searches.all(tasks, tools, budget), strict=True):
        if not expression:
            solved[task.problem.name] = False
            continue
        source = joined(as_solution(task, expression), {name: tools[name] for name in _called(expression, tools, "")})
        examples = task.problem.examples
        answers = await try_calls(searches.sandbox, source, "solution", [dict(example.arguments) for example in examples])
        proof = await judge(searches.sandbox, examples, answers)
        solved[task.problem.name] = proof.ok
        reused += proof.ok and bool(_called(expression, tools, ""))
    return solved, reused


async def measure(data: Path, *, quick: bool) -> Result | None:
    """Both sets: list functions in parts, each the test of the others; P3 by its authors' split."""
    sandbox = Bubblewrap(ready=2)
    result = Result()
    training, budget = (TRAINING // 6, TEST // 4) if quick else (TRAINING, TEST)
    try:
        for name, folds in _folds(data, quick=quick).items():
            if folds:
                await _measure(name, folds, result, training, budget, Searches(sandbox))
    finally:
        await sandbox.aclose()
    return result if result.solved else None


def _folds(data: Path, *, quick: bool) -> dict[str, list[tuple[list[Task], list[Task]]]]:
    lists = list_functions(data)
    random.Random(SEED).shuffle(lists)
    lists = lists[:40] if quick else lists
    parts = [lists[number::FOLDS] for number in range(FOLDS)]
    pairs = [([task for other in parts if other is not part for task in other], part) for part in parts]
    folds = {"list functions": pairs if lists else []}
    split = data / "p3" / "split.json"
    if split.exists():
        names = json.loads(split.read_text("utf-8"))
        tasks = puzzles(data)
        train_, test_ = ([task for task in tasks if task.problem.name in names[part]][:: 4 if quick else 1] for part in ("train", "test"))
        folds["p3"] = [(train_, test_)]
    return folds


async def _measure(
    name: str, folds: Sequence[tuple[list[Task], list[Task]]], result: Result, training: int, budget: int, searches: Searches
) -> None:
    solved: dict[str, dict[str, bool]] = {arm: {} for arm in ARMS}
    reused: Counter[str] = Counter()
    result.trained[name] = []
    for train_, test_ in folds:
        assert not {task.problem.name for task in train_} & {task.problem.name for task in test_}
        with tempfile.TemporaryDirectory(prefix="rookery-growth-") as folder:
            grown, whole, took = await train(train_, training, budget, searches, Path(folder) / "library")
        result.trained[name].append({**took, "tools": list(grown.values())})
        for arm, tools in (("grown", grown), ("whole", whole), ("none", {})):
            found, count = await test(test_, tools, budget, searches)
            solved[arm] |= found
            reused[arm] += count
        say(f"  {name}: {took['solved']} of {len(train_)} solved, {took['admitted']} admitted, {len(grown)} of use; test " + ", ".join(
            f"{arm} {sum(solved[arm].values())}" for arm in ARMS))
    result.solved[name] = solved
    result.reuse[name] = {arm: reused[arm] / max(1, sum(solved[arm].values())) for arm in ARMS}


# ------------------------------------------------------------------ report


def interval(better: Sequence[bool], worse: Sequence[bool], *, draws: int = 10_000) -> tuple[float, float, float]:
    """The difference of two solve rates over the same problems, with its 95 % interval: a paired bootstrap, over the problems."""
    differences = [int(a) - int(b) for a, b in zip(better, worse, strict=True)]
    draw = random.Random(SEED)
    means = sorted(sum(draw.choices(differences, k=len(differences))) / len(differences) for _ in range(draws))
    return sum(differences) / len(differences), means[int(draws * 0.025)], means[int(draws * 0.975) - 1]


def differences(result: Result) -> dict[str, dict[str, tuple[float, float, float]]]:
    """By set, and over both: how far the grown library is ahead of the other two."""
    pooled = {arm: [ok for name in result.solved for ok in result.solved[name][arm].values()] for arm in ARMS}
    sets = {name: {arm: list(solved[arm].values()) for arm in ARMS} for name, solved in result.solved.items()} | {"both": pooled}
    return {name: {arm: interval(solved["grown"], solved[arm]) for arm in ARMS[1:]} for name, solved in sets.items()}


def targets(result: Result | None) -> list[Target]:
    found = differences(result) if result is not None else {}
    names = ("list functions", "p3", "both")
    ends = {name: found[name]["none"][1] if name in found else None for name in names}
    return [Target(f"T5: lower end of the gain over none, {name}", ends[name], 1e-9, at_least=True) for name in names]


def report(result: Result | None) -> list[str]:
    if result is None:
        return []
    found = differences(result)
    rows = []
    for name, solved in result.solved.items():
        for arm in ARMS:
            rate = sum(solved[arm].values()) / len(solved[arm])
            gain = "" if arm == "grown" else "{:+.3f} [{:+.3f}, {:+.3f}]".format(*found[name][arm])
            rows.append([f"{name}, {arm}", len(solved[arm]), sum(solved[arm].values()), rate, result.reuse[name][arm], gain])
    rows.append(["both, none", "", "", "", "", "{:+.3f} [{:+.3f}, {:+.3f}]".format(*found["both"]["none"])])
    return ["", *table(["set, tools", "problems", "solved", "rate", "reuse", "grown ahead by, 95 %"], rows)]


def plain(result: Result | None) -> Any:
    if result is None:
        return None
    budget = {"training": TRAINING, "test": TEST}
    return {"solved": result.solved, "reuse": result.reuse, "trained": result.trained, "ahead": differences(result), "budget": budget}


