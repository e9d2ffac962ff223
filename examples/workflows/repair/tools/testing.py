# ruff: noqa: F821 - Version and Change are types of the workflow
"""Running a module's tests, and changing it. All of this runs in the sandbox; the tests see the module under the name ``price``."""

import difflib
import sys
import types


def results(version: Version) -> dict[str, str]:
    """By test what is wrong; empty where it passes."""
    module = types.ModuleType("price")
    sys.modules["price"] = module
    found: dict[str, str] = {}
    try:
        exec(version["source"], module.__dict__)
        scope: dict[str, object] = {}
        exec(version["tests"], scope)
    except Exception as error:
        return {"the module": f"{type(error).__name__}: {error}"}
    for name, test in scope.items():
        if name.startswith("test_"):
            try:
                test()
                found[name] = ""
            except Exception as error:
                found[name] = f"{type(error).__name__}: {error}"
    return found


def failing(version: Version) -> list[str]:
    """The tests that fail, each with its error."""
    return [f"{name}: {fault}" for name, fault in results(version).items() if fault]


def passes(state: Version) -> bool:
    """Whether all tests pass."""
    return not failing(state)


def share_passed(state: Version) -> float:
    """The share of tests that pass."""
    found = results(state)
    return sum(not fault for fault in found.values()) / max(1, len(found))


def changed(version: Version, changes: list[Change]) -> list[Version]:
    """The module with each change made; one whose piece does not stand there once is left out."""
    good = [change for change in changes if change["old"] and version["source"].count(change["old"]) == 1]
    return [
        {**version, "source": version["source"].replace(change["old"], change["new"]), "changes": [*version["changes"], change["why"]]}
        for change in good
    ]


def reported(before: str, found: Version | None) -> str:
    """The changes as a diff, or that there are none."""
    if found is None:
        return "no version passes the tests"
    after = found["source"]
    return "".join(difflib.unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), "a/price.py", "b/price.py"))
