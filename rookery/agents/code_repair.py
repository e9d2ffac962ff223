"""Code repair: a repository's tests run in the sandbox, patches are proposed from what they say, and a planner searches over them.

A tree of thoughts that only judges itself does not mend an issue (arXiv 2405.13057): here every patch is held against the tests. Tests that
the search may not see grade the result.
"""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from rookery.core.function import Prompt, graph, prompt, tool
from rookery.core.label import UNTRUSTED
from rookery.errors import SearchInvalid
from rookery.planners.best_first import best_first
from rookery.planners.planner import Check, Planner
from rookery.planners.search import search
from rookery.planners.step import public_tests
from rookery.tools.ladder import best_sandbox
from rookery.tools.metered import Metered
from rookery.tools.sandbox import Program, Sandbox, SandboxLimit

LIMIT = SandboxLimit(cpu_s=20, wall_s=30)
MOST_CHARS = 60_000
"""Of the files together; more does not fit a prompt."""


class Replacement(BaseModel):
    """A piece of one file, and what is to stand in its place."""

    file: str
    old: str = Field(description="copied exactly from the file, with enough around it that it stands there once")
    new: str


class Patch(BaseModel):
    """Replacements that are made in order."""

    edits: list[Replacement] = []

    def key(self) -> str:
        return repr([(edit.file, edit.old, edit.new) for edit in self.edits])

    def __str__(self) -> str:
        last = self.edits[-1] if self.edits else None
        return f"{last.file}: {last.new.strip()[:60]}" if last is not None else "as it is"


@dataclass(frozen=True, slots=True)
class Tested:
    """What the tests said: by name what is wrong, empty where one passes."""

    faults: dict[str, str]

    @property
    def passed(self) -> int:
        return sum(not fault for fault in self.faults.values())


@prompt
def propose_edits(issue: str, code: str, patch: str, failures: str) -> list[Patch]:
    """A repository has a fault. Propose up to three different patches that go on from the patch so far; each is a list of replacements in files.

    {issue}

    The files, with the patch so far made:
    {code}

    The patch so far:
    {patch}

    What the tests say now:
    {failures}
    """


def read_repository(folder: Path | str, *, pattern: str = "**/*.py") -> dict[str, str]:
    """The text files of a folder by relative path, hidden ones left out. Raises SearchInvalid when they are too long for a prompt."""
    root = Path(folder)
    found = {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8", errors="replace") for path in sorted(root.glob(pattern))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    }  # fmt: skip
    if sum(map(len, found.values())) > MOST_CHARS:
        raise SearchInvalid(f"the files of {folder} have more than {MOST_CHARS:,} characters", hint="name fewer with pattern=")
    return found


def patched(files: Mapping[str, str], patch: Patch) -> dict[str, str] | str:
    """The files with a patch made; or why it can't be made."""
    made = dict(files)
    for edit in patch.edits:
        if edit.file not in made:
            return f"there is no file {edit.file}"
        count = made[edit.file].count(edit.old) if edit.old else 0
        if count != 1:
            return f"{edit.file} has the text to replace {count} times"
        made[edit.file] = made[edit.file].replace(edit.old, edit.new)
    return made


def as_diff(files: Mapping[str, str], patch: Patch) -> str:
    """A patch as a unified diff, ready for ``git apply``."""
    made = patched(files, patch)
    if isinstance(made, str):
        return ""
    return "".join(
        line if line.endswith("\n") else line + "\n" for name in files
        for line in unified_diff(files[name].splitlines(keepends=True), made[name].splitlines(keepends=True), f"a/{name}", f"b/{name}")
    )  # fmt: skip


RUNNER = '''
import importlib, sys
sys.path.insert(0, ".")
report = {}
for name in NAMES:
    try:
        module = importlib.import_module(name)
    except BaseException as error:
        report[name] = f"{type(error).__name__}: {error}"
        continue
    for key, test in list(vars(module).items()):
        if key.startswith("test") and callable(test):
            try:
                test()
                report[f"{name}.{key}"] = ""
            except BaseException as error:
                report[f"{name}.{key}"] = f"{type(error).__name__}: {error}"
report
'''


async def tested(
    files: Mapping[str, str], tests: Mapping[str, str], *, sandbox: Sandbox, limit: SandboxLimit = LIMIT, packages: tuple[str, ...] = ()
) -> Tested:
    """Run all ``test…`` functions of some test files against some files, in a fresh sandbox. What they say is the program's own word: a patch
    could lie about it, which is why the result is graded by tests that it never saw."""
    names = [path.removesuffix(".py").replace("/", ".") for path in tests]
    expected = [f"{name}.{node.name}" for name, text in zip(names, tests.values(), strict=True) for node in ast.parse(text).body
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test")]  # fmt: skip
    program = Program(source=RUNNER.replace("NAMES", repr(names)), files={**files, **tests}, packages=packages)
    outcome = await Metered(sandbox).run(program, limit=limit)
    told = outcome.value if isinstance(outcome.value, dict) else {}
    why = str(outcome.fault or "it did not run")
    return Tested({name: str(told.get(name, told.get(name.rpartition(".")[0], why))) for name in expected})


def code_repair(
    files: Mapping[str, str], tests: Mapping[str, str], *, issue: str = "Some tests fail.", planner: Planner | None = None,
    propose: Prompt[..., Any] = propose_edits, sandbox: Sandbox | None = None, tests_limit: SandboxLimit = LIMIT,
    packages: tuple[str, ...] = (), **options: Any,
) -> Any:
    """A search for a patch: a function of a graph that takes ``state`` (``Patch()`` to begin with) and gives a SearchResult of patches.

    :param files: by relative path what may be changed; ``read_repository`` reads a folder.
    :param tests: test files by relative path; their ``test…`` functions are run, without pytest.
    :param planner: over patches; None: best first, three edits deep. Each state's value is the share of tests that pass.
    :param propose: another prompt like ``propose_edits``.
    :param issue: what is wrong, in words.
    :param tests_limit: of one run of all tests.
    :param options: further ones of ``search``, such as ``limit`` and ``state``.

    Raises SearchInvalid when there are no test functions.
    """
    if not any("def test" in text for text in tests.values()):
        raise SearchInvalid("code repair takes tests: functions whose names begin with test")

    @tool(labels=frozenset({UNTRUSTED}))
    async def run_tests(patch: Patch) -> Tested:
        """What the tests say of a patch."""
        made = patched(files, patch)
        if isinstance(made, str):
            return Tested({"the patch": made})
        box = sandbox if sandbox is not None else best_sandbox(ready=0)
        try:
            return await tested(made, tests, sandbox=box, limit=tests_limit, packages=packages)
        finally:
            if box is not sandbox:
                await box.aclose()

    @graph
    async def propose_patches(state: Patch) -> list[Patch]:
        """Patches that go on from one; those that can't be made are left out."""
        made = patched(files, state)
        if isinstance(made, str):
            return []
        now: Any = await run_tests(patch=state)
        failures = "\n".join(f"{name}: {fault}" for name, fault in now.faults.items() if fault) or "all pass"
        code = "\n\n".join(f"### {name}\n{text}" for name, text in made.items())
        given = await propose(issue=issue, code=code, patch=as_diff(files, state) or "none", failures=failures)
        longer = [Patch(edits=[*state.edits, *more.edits]) for more in given if more.edits]
        return [patch for patch in longer if not isinstance(patched(files, patch), str)]

    @graph
    async def passes(state: Patch) -> Check:
        """Whether all tests pass, and the share that does."""
        now: Any = await run_tests(patch=state)
        failures = "\n".join(f"{name}: {fault}" for name, fault in now.faults.items() if fault)
        return Check(now.passed == len(now.faults), now.passed / max(1, len(now.faults)), failures)

    chosen = planner if planner is not None else best_first(depth=3)
    return search(planner=chosen, propose=propose_patches, goal=public_tests(passes), name="code_repair", **options)
