"""Python Programming Puzzles: find a value for which a given checker says True; checkers and answers run in a sandbox only.

python examples/p3.py puzzles.json --only 50                       (answers are drawn by chance and by rule)
python examples/p3.py puzzles.json --planner plan_search --model openai:gpt-5-mini

Without --model nothing here is a language model: a rule-based proposer reads the checker's arguments and constants and draws expressions of
the answer's type. The embedded model has not learned this skill. Answers are expressions that may use the checker's other arguments.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from rookery import Limit, RookeryError, prompt, start, tool
from rookery.planners import Check, Planner, best_of_n, exact, plan_search, refine, search
from rookery.tools.ladder import best_sandbox
from rookery.tools.sandbox import Program, Sandbox, SandboxLimit


@dataclass(frozen=True)
class Puzzle:
    """The source of a checker ``sat(answer, …)``, and the type of its answer."""

    sat: str
    type: str

    def __str__(self) -> str:
        return self.sat


@dataclass(frozen=True)
class Answer:
    """A Python expression; the checker's other arguments are known in it by their names."""

    code: str

    def __str__(self) -> str:
        return self.code


# ------------------------------------------------------------------ checking, in the sandbox

CHECKER = '''
import copy, inspect, signal, typing
from typing import List

class TooLong(BaseException):
    pass

def ring(*_):
    raise TooLong()

def has_type(value, wanted):
    if wanted.startswith("List["):
        return type(value) is list and all(has_type(item, wanted[5:-1]) for item in value)
    return type(value).__name__ == wanted

def one(sat_source, wanted, code):
    known = {"List": List, "typing": typing}
    exec(sat_source, known)
    sat = known["sat"]
    arguments = list(inspect.signature(sat).parameters.values())[1:]
    answer = eval(code, dict(known), {a.name: copy.deepcopy(a.default) for a in arguments})
    if not has_type(answer, wanted):
        return [False, 0.2, "it is a " + type(answer).__name__ + ", not " + wanted]
    passed = sat(copy.deepcopy(answer)) is True
    return [passed, 1.0 if passed else 0.5, "" if passed else "sat gives False"]

def all_of(jobs, seconds):
    signal.signal(signal.SIGALRM, ring)
    found = []
    for job in jobs:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            found.append(one(*job))
        except TooLong:
            found.append([False, 0.1, "it takes too long"])
        except BaseException as error:
            found.append([False, 0.4 if type(error) is AssertionError else 0.1, (type(error).__name__ + ": " + str(error))[:200]])
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return found
'''


class Tester:
    """Checks answers in a sandbox: those that come in at the same time share a process, so that the searches of many puzzles can go
    on side by side. Where one of them breaks the process, each gets one of its own."""

    def __init__(self, sandbox: Sandbox, *, together: int = 128, seconds: float = 0.5) -> None:
        self.sandbox = sandbox
        self.together = together
        self.seconds = seconds
        self.waiting: list[tuple[list[str], asyncio.Future[Check]]] = []
        self.known: dict[tuple[str, str], Check] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    async def check(self, puzzle: Puzzle, answer: Answer) -> Check:
        """What the checker says of an answer; of the same one again, what it said before."""
        known = self.known.get((puzzle.sat, answer.code))
        if known is not None:
            return known
        future: asyncio.Future[Check] = asyncio.get_running_loop().create_future()
        self.waiting.append(([puzzle.sat, puzzle.type, answer.code], future))
        if len(self.waiting) == 1:
            self._go(self._soon())
        elif len(self.waiting) >= self.together:
            self._send()
        check = self.known[puzzle.sat, answer.code] = await future
        return check

    def _go(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _soon(self) -> None:
        await asyncio.sleep(0.01)
        self._send()

    def _send(self) -> None:
        batch, self.waiting = self.waiting, []
        if batch:
            self._go(self._run(batch))

    async def _run(self, batch: list[tuple[list[str], asyncio.Future[Check]]]) -> None:
        jobs = [job for job, _ in batch]
        wall = self.seconds * len(jobs) + 5
        program = Program(source=CHECKER, entry="all_of", args=[jobs, self.seconds])
        try:
            outcome = await self.sandbox.run(program, limit=SandboxLimit(cpu_s=wall, wall_s=wall, memory_mb=1000))
        except RookeryError as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        if outcome.fault is not None and len(batch) > 1:
            for one in batch:
                await self._run([one])
            return
        found = outcome.value if outcome.fault is None else [[False, 0.0, str(outcome.fault)]]
        for (_, future), (passed, score, feedback) in zip(batch, found, strict=True):
            if not future.done():
                future.set_result(Check(passed, score, feedback))

    @property
    def goal(self) -> Any:
        """The goal of a search: the checker is the whole truth."""

        @tool(name="sat")
        async def sat(answer: Answer, root: Puzzle) -> Check:
            return await self.check(root, answer)

        return exact(sat)


# ------------------------------------------------------------------ a proposer by rule: expressions of the answer's type

# By type: ways to make a value of it; {int}, {str}, … are filled in with values of these types.
WAYS: dict[str, tuple[str, ...]] = {
    "int": (
        "{int} + {int}", "{int} - {int}", "{int} * {int}", "{int} // {int}", "{int} % {int}", "-{int}", "{int} ** {int}", "len({str})",
        "len({List[int]})", "len({List[str]})", "sum({List[int]})", "max({List[int]})", "min({List[int]})", "{List[int]}[{int}]", "int({str})",
        "{str}.count({str})", "{str}.index({str})", "{List[int]}.index({int})", "round({int} ** 0.5)", "len({str}) // len({str})",
        "int(str({int})[::-1])"),
    "str": (
        "{str} + {str}", "{str}[::-1]", "{str}[{int}:]", "{str}[:{int}]", "{str} * {int}", "str({int})", "{str}.replace({str}, {str})",
        "{str}.join({List[str]})", "''.join(sorted({str}))", "{str}[:len({str}) // {int}]", "{str}.upper()", "{str}.lower()", "{str}[::{int}]",
        "' '.join({List[str]})", "{List[str]}[{int}]", "str({int}) * {int}", "''.join(chr(ord(c) - {int}) for c in {str})",
        "max({List[str]}, key=len)"),
    "float": ("{int} / {int}", "{int} ** 0.5", "float({int})", "{float} * {float}", "{float} + {float}", "{float} / {int}", "sum({List[float]})"),
    "bool": ("True", "False"),
    "List[int]": (
        "[{int}]", "[{int}, {int}]", "[{int}, {int}, {int}]", "list(range({int}))", "list(range({int}, {int}))", "sorted({List[int]})",
        "[{int}] * {int}",
        "{List[int]}[::-1]", "{List[int]} + {List[int]}", "[x + {int} for x in {List[int]}]", "[x * {int} for x in {List[int]}]",
        "[i for i, c in enumerate({str}) if c == {str}]", "[len(s) for s in {List[str]}]", "[int(c) for c in str({int})]", "[ord(c) for c in {str}]",
        "sorted(set({List[int]}))", "[x for x in {List[int]} if x > {int}]", "[x for x in {List[int]} if x % 2 == 0]", "{List[int]}[:{int}]",
        "list(range({int}, {int}, {int}))", "[{str}.index(c) for c in {str}]", "[{int}, {int}] * {int}"),
    "List[str]": (
        "{str}.split()", "{str}.split({str})", "[{str}]", "[{str}, {str}]", "list({str})", "sorted({List[str]})", "{List[str]}[::-1]",
        "[s[::-1] for s in {List[str]}]", "[s + {str} for s in {List[str]}]", "[str(x) for x in range({int})]", "[{str}] * {int}",
        "{List[str]}[:{int}]",
        "[s for s in {List[str]} if {str} in s]", "sorted({List[str]}, key=len)", "[s.upper() for s in {List[str]}]", "[str(x) for x in {List[int]}]",
        "[{str}[:i] for i in range({int})]"),
    "List[float]": ("[float(x) for x in {List[int]}]", "[{float}]", "[{float}, {float}]", "[{float}] * {int}", "[x / {int} for x in {List[int]}]"),
    "List[bool]": ("[True] * {int}", "[False] * {int}", "[x > {int} for x in {List[int]}]", "[c == {str} for c in {str}]", "[True, False] * {int}"),
    "List[List[int]]": (
        "[{List[int]}]", "[{List[int]}, {List[int]}]", "[[x] for x in {List[int]}]", "[[x, x] for x in {List[int]}]", "[[{int}, {int}]]",
        "[list(range({int})) for _ in range({int})]", "[[i, i] for i in range({int})]", "[[i, j] for i in range({int}) for j in range({int})]",
        "[[x, {int} - x] for x in {List[int]}]", "{List[List[int]]}[::-1]", "[r[::-1] for r in {List[List[int]]}]", "[[{int}] * {int}] * {int}"),
    "List[List[str]]": ("[{List[str]}]", "[[s] for s in {List[str]}]", "[s.split() for s in {List[str]}]"),
    "List[List[float]]": ("[{List[float]}]", "[[float(i), float(j)] for i in range({int}) for j in range({int})]",
        "[[float(i), 0.0] for i in range({int})]"),
    "List[List[List[int]]]": ("[{List[List[int]]}]", "[[[x]] for x in {List[int]}]"),
}  # fmt: skip
# What may stand in a checker, and the ways that it speaks for.
SIGNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "it counts": (r"\.count\(", ("{str} * {int}", "[{int}] * {int}", "{str} + {str}", "str({int}) * {int}")),
    "it sorts": (r"sorted\(", ("sorted({List[int]})", "sorted({List[str]})", "''.join(sorted({str}))", "list(range({int}))")),
    "it turns round": (r"\[::-1\]", ("{str}[::-1]", "{List[int]}[::-1]", "{List[str]}[::-1]", "int(str({int})[::-1])")),
    "it joins": (r"\.join\(", ("{str}.split()", "{str}.split({str})", "list({str})", "{List[str]}[::-1]")),
    "it splits": (r"\.split\(", ("' '.join({List[str]})", "{str}.join({List[str]})", "{str} + {str}")),
    "it looks at places": (r"enumerate|range\(len", ("list(range({int}))", "[i for i, c in enumerate({str}) if c == {str}]", "{List[int]}[::-1]")),
    "it asks for a length": (r"len\(", ("{str} * {int}", "[{int}] * {int}", "list(range({int}))", "len({str})", "[str(x) for x in range({int})]")),
    "it sums": (r"sum\(", ("sum({List[int]})", "[{int}, {int}]", "[{int}] * {int}", "{int} - {int}")),
    "it multiplies": (r"\*", ("{int} // {int}", "{int} * {int}", "len({str}) // len({str})", "{str}[:len({str}) // {int}]")),
    "it adds": (r"\+", ("{int} - {int}", "{int} + {int}", "{str}[{int}:]", "{str}[:{int}]")),
    "it looks for parts": (r" in ", ("{str} + {str}", "{str}.join({List[str]})", "''.join({List[str]})", "[{str}[:i] for i in range({int})]")),
    "it takes a remainder": (r"%", ("{int} % {int}", "{int} * {int}", "[x for x in {List[int]} if x % 2 == 0]")),
}
_HOLE = re.compile(r"\{([^{}]+)\}")
SMALL = ("0", "1", "2", "3", "10", "-1")


def _type_of(node: ast.expr) -> str:
    """The type of a literal, as the puzzles write it; empty for what is none."""
    try:
        found = ast.literal_eval(node)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return ""
    levels = 0
    while isinstance(found, list):
        if not found:
            return ""
        found, levels = found[0], levels + 1
    return "List[" * levels + type(found).__name__ + "]" * levels


def atoms_of(puzzle: Puzzle) -> dict[str, list[str]]:
    """By type: names of the checker's other arguments, and the constants in it. The source is read, not run."""
    found: dict[str, list[str]] = {}
    try:
        tree = ast.parse(puzzle.sat)
    except (SyntaxError, ValueError, RecursionError):
        return found
    function = next((node for node in tree.body if isinstance(node, ast.FunctionDef)), None)
    if function is None:
        return found
    names = [argument.arg for argument in function.args.args][1:]
    for name, default in zip(names, function.args.defaults[-len(names) :] if names else [], strict=False):
        found.setdefault(_type_of(default), []).append(name)
    for node in ast.walk(ast.Module(function.body, [])):
        if isinstance(node, ast.Constant) and type(node.value) in (int, str, float):
            found.setdefault(type(node.value).__name__, []).append(repr(node.value))
    return found


class Drawing:
    """Expressions drawn by chance."""

    def __init__(self, puzzle: Puzzle, rng: Random) -> None:
        self.rng = rng
        self.atoms = atoms_of(puzzle)

    def filled(self, way: str, depth: int = 0) -> str:
        """A way with its holes filled in."""
        return _HOLE.sub(lambda hole: self.drawn(hole[1], depth + 1), way)

    def drawn(self, kind: str, depth: int = 0) -> str:
        atoms = self.atoms.get(kind, [])
        ways = WAYS.get(kind, ())
        if depth and (depth > 2 or not ways or (self.rng.random() < 0.75 and (atoms or kind == "int"))):
            if kind == "int" and (not atoms or self.rng.random() < 0.3):
                return self.rng.choice(SMALL)
            return self.rng.choice(atoms) if atoms else {"str": "''", "float": "0.0", "bool": "True"}.get(kind, "[]")
        made = self.filled(self.rng.choice(ways), depth) if ways else "None"
        return f"({made})" if depth and not made.startswith("[") else made


def _chance(*parts: object) -> Random:
    return Random(repr(parts))


def ways_for(puzzle: Puzzle, signs: Sequence[str]) -> list[str]:
    """The ways of the answer's type that signs speak for."""
    return [way for sign in signs for way in SIGNS.get(sign, ("", ()))[1] if way in WAYS.get(puzzle.type, ())]


def signs_in(puzzle: Puzzle) -> list[str]:
    return [sign for sign, (pattern, _) in SIGNS.items() if re.search(pattern, puzzle.sat.partition("\n")[2])]


# ------------------------------------------------------------------ the steps of a search, by rule


@tool(inline=True)
def propose(puzzle: Puzzle, answer: Answer | None = None, feedback: str = "", plan: str = "", sample: int = 0) -> Answer:
    """An answer: the last one changed, or a plan filled in, or a way that what is seen in the checker speaks for."""
    drawing = Drawing(puzzle, _chance("propose", puzzle.sat, str(answer), plan, sample))
    if answer is not None and "sat gives False" in feedback and drawing.rng.random() < 0.5:
        return Answer(_changed(answer.code, drawing))
    ways = ways_for(puzzle, signs_in(puzzle))
    if plan:
        return Answer(drawing.filled(plan))
    if ways and drawing.rng.random() < 0.4:
        return Answer(drawing.filled(drawing.rng.choice(ways)))
    return Answer(drawing.drawn(puzzle.type))


def _changed(code: str, drawing: Drawing) -> str:
    """An expression with one name or number replaced by another of the same type."""
    places = [(match, kind) for kind, atoms in drawing.atoms.items() for atom in atoms for match in re.finditer(re.escape(atom), code)]
    places += [(match, "int") for match in re.finditer(r"(?<![\w.'])-?\d+(?![\w.'])", code)]
    if not places:
        return code
    match, kind = drawing.rng.choice(places)
    return code[: match.start()] + drawing.drawn(kind, 2) + code[match.end() :]


@tool(inline=True)
def observe(puzzle: Puzzle, count: int) -> list[str]:
    found = signs_in(puzzle)
    _chance("observe", puzzle.sat).shuffle(found)
    return found[:count]


@tool(inline=True)
def derive(puzzle: Puzzle, observations: list[str], count: int) -> list[str]:
    """Ways that the observations speak for, and signs that are not among them."""
    ways = [f"it could be {way}" for way in dict.fromkeys(ways_for(puzzle, observations))]
    return [*ways, *(sign for sign in signs_in(puzzle) if sign not in observations)][:count]


@tool(inline=True)
def plan(puzzle: Puzzle, observations: list[str], sample: int = 0) -> str:
    """One way that the observations speak for."""
    ways = [text.removeprefix("it could be ") for text in observations if text.startswith("it could be ")] or ways_for(puzzle, observations)
    return _chance("plan", puzzle.sat, observations, sample).choice(ways or WAYS.get(puzzle.type, ("None",)))


@tool(inline=True)
def criticise(puzzle: Puzzle, plan: str) -> str:
    """Whether the checker has anything of the types that the plan needs."""
    atoms = atoms_of(puzzle)
    lacks = [kind for kind in _HOLE.findall(plan) if kind not in atoms and kind != "int"]
    return f"there is no {lacks[0]} to begin with" if lacks else "all that it needs is there"


@tool(inline=True)
def replan(puzzle: Puzzle, plan: str, criticism: str, sample: int = 0) -> str:
    return _chance("replan", puzzle.sat, plan, criticism, sample).choice(WAYS.get(puzzle.type, ("None",)))


@tool(inline=True)
def sketch(puzzle: Puzzle, plan: str) -> str:
    return plan


STEPS: dict[str, Any] = {"observe": observe, "derive": derive, "plan": plan, "criticise": criticise, "replan": replan, "sketch": sketch}


# ------------------------------------------------------------------ the step of a model


@prompt(form="text")
def written_by_a_model(puzzle: Puzzle, answer: str = "none", feedback: str = "", plan: str = "") -> str:
    """Write one Python expression for the first argument of sat, so that sat gives True. It may use the other arguments of sat by their names and
    nothing else that is not built in. Answer with the expression only.

    {puzzle.sat}

    A plan, if there is one: {plan}
    The last answer: {answer}
    What came of it: {feedback}
    """


async def propose_by_model(puzzle: Puzzle, answer: Answer | None = None, feedback: str = "", plan: str = "") -> Answer:
    """An expression that a model writes."""
    text = await written_by_a_model(puzzle=puzzle, answer=str(answer or "none"), feedback=feedback, plan=plan)
    return Answer(text.strip().strip("`"))


# ------------------------------------------------------------------ the command

PLANNERS: dict[str, Callable[[int], Planner]] = {
    "best_of_n": lambda calls: best_of_n(calls, depth=1),
    "refine": lambda calls: refine(rounds=max(calls // 5, 1), samples=5),
    "plan_search": lambda calls: plan_search(),
}


def read_puzzles(path: Path) -> list[tuple[str, Puzzle]]:
    """Name and puzzle of each entry of a file in the form of puzzles.json."""
    return [(entry["name"], Puzzle(entry["sat"], entry["ans_type"])) for entry in json.loads(path.read_text(encoding="utf-8"))]


async def solve(puzzle: Puzzle, planner: Planner, tester: Tester, *, calls: int, model: Any = None, **options: Any) -> Any:
    """Search for an answer; with a model ``calls`` of its calls at most."""
    parts: dict[str, Any] = {"state": puzzle, "goal": tester.goal, "planner": planner, **options}
    if model is not None:
        parts |= {"propose": propose_by_model, "limit": Limit(calls=calls)}
    else:
        parts |= {"propose": propose, "max_works": calls, **(STEPS if planner.facts.name.startswith("plan_search") else {})}
    async with start(search(**parts), model=model) as run:
        return await run


async def show(puzzles: list[tuple[str, Puzzle]], planner: Planner, *, calls: int, model: Any) -> int:
    """Solve puzzle after puzzle; how many were."""
    sandbox, solved = best_sandbox("bubblewrap"), 0
    try:
        tester = Tester(sandbox)
        for name, puzzle in puzzles:
            result = await solve(puzzle, planner, tester, calls=calls, model=model)
            solved += result.is_solved
            print(f"{name:<30} {'solved' if result.is_solved else 'not solved':<11} {str(result.answer)[:80]}", flush=True)
    finally:
        await sandbox.aclose()
    return solved


def main() -> int:
    """Read the command line, search, and give the exit code: 0, 1 when nothing was solved or it failed, 2 for wrong usage."""
    options = argparse.ArgumentParser(description="Solve Python Programming Puzzles.")
    options.add_argument("file", type=Path, help="entries with name, sat and ans_type (puzzles.json)")
    options.add_argument("--only", type=int, help="the first so many puzzles")
    options.add_argument("--planner", choices=sorted(PLANNERS), default="best_of_n")
    options.add_argument("--calls", type=int, default=50, help="calls for each puzzle at most")
    options.add_argument("--model", help="provider:NAME[@BASE_URL]; without one a rule-based proposer draws answers")
    chosen = options.parse_args()
    try:
        puzzles = read_puzzles(chosen.file)[: chosen.only]
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"error: {chosen.file}: {error}", file=sys.stderr)
        return 2
    print(f"proposed by {chosen.model or 'rule and by chance, no model'}; {chosen.planner}, {chosen.calls} calls a puzzle\n")
    try:
        solved = asyncio.run(show(puzzles, PLANNERS[chosen.planner](chosen.calls), calls=chosen.calls, model=chosen.model))
    except RookeryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"\nsolved {solved} of {len(puzzles)}")
    return 0 if solved else 1


if __name__ == "__main__":
    sys.exit(main())
