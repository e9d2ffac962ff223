"""The contract of sandboxes on every rung, the ladder, what is bad input, and how runs end that nobody waits for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.errors import ProgramInvalid, SandboxBroken, SandboxMissing
from rookery.testing import check_sandbox
from rookery.tools import bubblewrap, ladder, monty, root
from rookery.tools.bubblewrap import Bubblewrap
from rookery.tools.ladder import Ladder, best_sandbox, run_python
from rookery.tools.monty import Monty
from rookery.tools.sandbox import MAX_DEPTH, Program, Sandbox, SandboxLimit, check_program, poison, read_value
from tests.boxes import needs_bubblewrap
from tests.tools.escape import Unsandboxed, descendants, strays

RUNGS: list[object] = [
    pytest.param(lambda: Monty(ready=0), id="monty"),
    pytest.param(lambda: Bubblewrap(ready=0), id="bubblewrap", marks=needs_bubblewrap),
    pytest.param(lambda: Bubblewrap(ready=2), id="bubblewrap-ready", marks=needs_bubblewrap),
    pytest.param(best_sandbox, id="ladder", marks=needs_bubblewrap),
]


@pytest.mark.parametrize("factory", RUNGS)
async def test_contract(factory: Callable[[], Sandbox]) -> None:
    await check_sandbox(factory)


async def test_the_contract_finds_what_is_no_sandbox() -> None:
    with pytest.raises(AssertionError, match="lets nothing out"):
        await check_sandbox(Unsandboxed)


# ------------------------------------------------------------------ the ladder


@needs_bubblewrap
async def test_what_monty_cannot_run_goes_to_full_python() -> None:
    box = best_sandbox(ready=0)
    try:
        assert (await box.run(Program(source="1 + 1"))).rung == "monty"
        generator, library, subclass = "def g():\n    yield 1\nlist(g())", "import heapq\nheapq.nsmallest(1, [2, 1])", "class A(dict): pass\nA(x=1)"
        for source in (generator, library, subclass, "round(2.675, 2)"):
            outcome = await box.run(Program(source=source))
            assert (outcome.rung, outcome.fault) == ("bubblewrap", None)
        for program in (Program(source="input()", stdin="x\n"), Program(source="open('f').read()", files={"f": "x"})):
            assert (await box.run(program)).rung == "bubblewrap"
    finally:
        await box.aclose()


@needs_bubblewrap
async def test_a_program_that_has_called_a_door_is_not_run_again() -> None:
    seen: list[int] = []
    box = best_sandbox(ready=0)
    try:
        outcome = await box.run(Program(source="note(1)\n{}.missing"), doors={"note": seen.append})
    finally:
        await box.aclose()
    assert (seen, outcome.rung) == ([1], "monty")
    assert outcome.fault is not None and outcome.fault.type == "AttributeError"


async def test_without_bubblewrap_the_ladder_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **more: None)
    box = best_sandbox(ready=0)
    try:
        assert (await box.run(Program(source="1 + 1"))).value == 2
        broken = (await box.run(Program(source="1 / 0"))).fault
        assert broken is not None and broken.type == "ZeroDivisionError"
        with pytest.raises(SandboxMissing, match="apt-get install bubblewrap"):
            await box.run(Program(source="def g():\n    yield 1"))
        with pytest.raises(SandboxMissing, match="apt-get install bubblewrap"):
            best_sandbox("bubblewrap")
        with pytest.raises(SandboxMissing, match="apt-get install bubblewrap"):
            await Bubblewrap(ready=0).run(Program(source="1"))
    finally:
        await box.aclose()


async def test_where_nothing_works_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder.monty, "lacking", lambda: ("pydantic-monty is not installed", monty.INSTALL))
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxMissing, match="pip install pydantic-monty"):
        best_sandbox()
    with pytest.raises(SandboxMissing, match="needs Linux"):
        await Bubblewrap().run(Program(source="1"))
    with pytest.raises(SandboxMissing):
        await Ladder(None, None).run(Program(source="1"))


def test_old_kernels_and_strange_machines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap.platform, "release", lambda: "4.19.0-27-amd64")
    assert "by user" in bubblewrap.lacking()[0]
    monkeypatch.setattr(bubblewrap.platform, "machine", lambda: "riscv64")
    assert "riscv64" in bubblewrap.lacking()[0]


async def test_run_python() -> None:
    outcome = await run_python("print('hi')\n6 * 7", sandbox=None)
    assert (outcome.value, outcome.stdout) == (42, "hi\n")


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize("raw", [b"NaN", b"[Infinity]", b"1e999", b"{\"a\":1,\"a\":2}", b"\xff", b"\"\\ud800\"", b"[" * 300 + b"]" * 300, b"9" * 5000,
                                 b"[" * 200_000, b"", b"{", b"'x'", b"{\"\\udfff\": 1}"])  # fmt: skip
def test_poisoned_values_are_not_taken(raw: bytes) -> None:
    with pytest.raises(ValueError):
        read_value(raw)


TEXT = st.text(st.characters(codec="utf-8"))
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=30))
def test_all_plain_values_are_taken(value: object) -> None:
    assert read_value(json.dumps(value).encode()) == value
    assert poison(value) == ""


@given(st.binary(max_size=200) | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=300)
def test_any_bytes_give_a_sound_value_or_a_value_error(raw: bytes) -> None:
    try:
        value = read_value(raw)
    except ValueError:
        return
    json.dumps(value, allow_nan=False).encode()


def test_depth_is_bounded() -> None:
    deep: object = 1
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]
    assert "deeper" in poison(deep)
    with pytest.raises(ProgramInvalid):
        check_program(Program(source="1", entry="f", args=[deep]))


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ProgramInvalid) as caught:
        check_program(Program(source="x" * 17_000_000, entry="a b", args=[{1}], files={"/x": "", "a/../../b": "", "": ""}))
    assert all(word in str(caught.value) for word in ("bytes", "'a b'", "set", "'/x'", "'a/../../b'"))


@pytest.mark.parametrize("caps", [{"cpu_s": 0}, {"wall_s": -1}, {"memory_mb": float("inf")}, {"output_bytes": "x"}])
def test_limits_are_finite_and_above_0(caps: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        SandboxLimit(**caps)  # type: ignore[arg-type]


def test_limits_join() -> None:
    assert SandboxLimit(cpu_s=1) & SandboxLimit(cpu_s=5, calls=3) == SandboxLimit(cpu_s=1, calls=3)


@needs_bubblewrap
async def test_a_source_of_ten_megabytes() -> None:
    box = Bubblewrap(ready=0)
    try:
        outcome = await box.run(Program(source="x = '" + "y" * 10_000_000 + "'\nlen(x)"))
        assert outcome.value == 10_000_000
        garbage = await box.run(Program(source="(" * 10_000_000), limit=SandboxLimit(wall_s=10))
        assert garbage.fault is not None
    finally:
        await box.aclose()


@needs_bubblewrap
async def test_a_cache_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SandboxBroken, match="XDG_CACHE_HOME"):
        await Bubblewrap(ready=0, cache=tmp_path / "file" / "roots").run(Program(source="1"))
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(SandboxBroken, match="another user"):
        await Bubblewrap(ready=0, cache=open_to_all).run(Program(source="1"))
    assert not list(open_to_all.iterdir())


@needs_bubblewrap
async def test_isolation_that_cannot_be_set_up_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A bubblewrap that fails, or only pretends, is noticed before the program is handed over."""
    for script in ("echo 'bwrap: No permissions to create new namespace' >&2; exit 1", "echo \"$@\"; exit 0", "cat; sleep 0.1"):
        fake = tmp_path / "bwrap"
        fake.write_text(f"#!/bin/sh\n{script}\n")
        fake.chmod(0o755)
        tmp_path.chmod(0o755)
        monkeypatch.setattr(bubblewrap.shutil, "which", lambda name, fake=fake, **more: str(fake))
        with pytest.raises(SandboxBroken):
            await Bubblewrap(ready=0).run(Program(source="print('ran')"))


@needs_bubblewrap
async def test_packages() -> None:
    box = Bubblewrap(ready=0)
    try:
        outcome = await box.run(Program(source="import tenacity\ntenacity.stop_after_attempt(3).max_attempt_number", packages=["tenacity"]))
        assert outcome.value == 3
        absent = await box.run(Program(source="import tenacity"))
        assert absent.fault is not None and absent.fault.type == "ModuleNotFoundError"
        other = await box.run(Program(source="import pytest", packages=["tenacity"]))
        assert other.fault is not None and other.fault.type == "ModuleNotFoundError"
    finally:
        await box.aclose()


@needs_bubblewrap
@pytest.mark.slow
async def test_packages_with_libraries() -> None:
    box = Bubblewrap(ready=0)
    try:
        source = "import numpy as np\nfloat(np.linalg.inv(np.eye(3) * 2).sum())"
        outcome = await box.run(Program(source=source, packages=["numpy"]), limit=SandboxLimit(memory_mb=2000))
        assert (outcome.value, outcome.fault) == (1.5, None)
    finally:
        await box.aclose()


# ------------------------------------------------------------------ runs that nobody waits for


def _own() -> set[int]:
    """Processes below this one that are not ended."""
    found = set()
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            if "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
                found.add(pid)
    return found


@needs_bubblewrap
async def test_a_cancelled_run_leaves_no_process() -> None:
    before = _own()
    box = Bubblewrap(ready=0)
    source = "import os, time\nfor _ in range(3):\n    os.fork()\ntime.sleep(60)"
    for wait_s in (0.0, 0.005, 0.02, 0.3):
        running = asyncio.ensure_future(box.run(Program(source=source), limit=SandboxLimit(processes=16)))
        await asyncio.sleep(wait_s)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert _own() <= before
    await box.aclose()


@needs_bubblewrap
async def test_a_start_that_is_broken_off_leaves_no_process() -> None:
    """At any moment of it: while it is set up, what is inside does not die with its parent by itself."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the sandbox's user gets through
        await _break_off(Path(folder))


async def _break_off(folder: Path) -> None:
    box, began = Bubblewrap(ready=1, cache=folder / "roots"), time.time()
    assert (await box.run(Program(source="1"))).ok
    for after_ms in (*range(16), *range(16)):
        running = asyncio.ensure_future(box.run(Program(source="1"), limit=SandboxLimit(disk_mb=2 + after_ms)))  # of a kind that does not wait
        await asyncio.sleep(after_ms / 1000)
        running.cancel()
        await asyncio.wait([running])
    await box.aclose()
    assert not strays(str(folder), began)


@needs_bubblewrap
async def test_what_died_while_it_waited_is_replaced() -> None:
    before = _own()
    box = Bubblewrap(ready=3)
    for _ in range(3):
        assert (await box.run(Program(source="1"))).ok
        await asyncio.sleep(0.5)  # they are set up
        for pid in _own() - before:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.2)
    assert (await box.run(Program(source="1 + 1"))).value == 2
    await box.aclose()


@needs_bubblewrap
async def test_fifty_at_once() -> None:
    before = _own()
    box = Bubblewrap()
    outcomes = await asyncio.gather(*(box.run(Program(source=f"import os\nopen('f', 'x')\n[{n}, os.getpid()]")) for n in range(50)))
    await box.aclose()
    assert [outcome.value for outcome in outcomes] == [[n, 1] for n in range(50)]
    assert _own() <= before


@needs_bubblewrap
async def test_aclose_ends_what_was_started_ahead() -> None:
    before = _own()
    box = Bubblewrap(ready=3)
    await box.run(Program(source="1"))
    await asyncio.sleep(0.1)
    assert _own() - before
    await box.aclose()
    assert _own() <= before


@needs_bubblewrap
def test_sandboxes_die_with_their_host(tmp_path: Path) -> None:
    host = (
        "import asyncio\nfrom rookery.tools.bubblewrap import Bubblewrap\nfrom rookery.tools.sandbox import Program, SandboxLimit\n"
        "async def main():\n    box = Bubblewrap(ready=2)\n    await box.run(Program(source='1'))\n    print('up', flush=True)\n"
        "    await box.run(Program(source='import time\\nwhile True: time.sleep(1)'), limit=SandboxLimit(wall_s=100))\nasyncio.run(main())"
    )
    process = subprocess.Popen([sys.executable, "-c", host], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"up\n"
    time.sleep(0.5)
    inside = descendants(process.pid)
    assert len(inside) >= 4
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    end = time.monotonic() + 5
    while time.monotonic() < end and any(Path(f"/proc/{pid}").exists() for pid in inside):
        time.sleep(0.05)
    assert not [pid for pid in inside if Path(f"/proc/{pid}").exists()]


@needs_bubblewrap
def test_a_sandbox_outlives_an_event_loop() -> None:
    box = Bubblewrap(ready=1)
    for number in range(3):
        assert asyncio.run(box.run(Program(source=f"{number} + 1"))).value == number + 1
    asyncio.run(box.aclose())
    light = Monty(ready=1)
    for number in range(3):
        assert asyncio.run(light.run(Program(source=f"{number} + 1"))).value == number + 1


@needs_bubblewrap
async def test_the_root_is_minimal(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder = root.root_for((), cache=tmp_path / "roots")
    assert {path.name for path in folder.iterdir()} <= {"dev", "etc", "lib", "lib64", "packages", "runner.pyc", "tmp", "usr"}
    assert not list(folder.rglob("site-packages")) and not list(folder.rglob("pip"))
    assert not list((folder / "etc").iterdir())
    assert [path.name for path in (folder / "usr/bin").iterdir()] == ["python3"]
    assert not [path for path in folder.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o6022]


def test_doctor_says_what_to_install(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-m", "rookery", "doctor"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert any("monty" in line and "works" in line for line in lines)
    assert any("bubblewrap" in line and "does not work here" in line and "apt-get install bubblewrap" in line for line in lines)
