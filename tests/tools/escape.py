"""Runs the attacks on a sandbox and looks, from outside, for signs that one got out. ``python -m tests.tools.escape bubblewrap`` prints
one JSON object, so that the suite can be run as another user too."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rookery.tools.bubblewrap import Bubblewrap
from rookery.tools.monty import Monty
from rookery.tools.sandbox import Door, Fault, Outcome, Program, Sandbox, SandboxFacts, SandboxLimit
from tests.tools.attacks import ATTACKS, Attack

LIMIT = SandboxLimit(cpu_s=1, wall_s=1.5, memory_mb=256, disk_mb=8, output_bytes=1_000_000, threads=32)
VARIABLE = "OPENAI_API_KEY_CANARY"
NOBODY = 65534
SLACK_S, SLACK_BYTES, SLACK_TASKS = 4.0, 64_000_000, 16


@dataclass
class World:
    """What is outside of the sandbox, and must stay as it is."""

    folder: Path
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    contacts: list[str] = field(default_factory=list)
    signals: list[int] = field(default_factory=list)
    victim: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.chmod(0o755)
        self.secret = self.folder / "secret.txt"
        self.secret.write_text(f"the secret is {self.token}\n")
        self.secret.chmod(0o644)
        self.drop = self.folder / "drop"
        self.drop.mkdir()
        self.drop.chmod(0o777)
        self.canary = self.drop / "canary.txt"
        self.canary.write_text("tweet")
        self.canary.chmod(0o666)
        # Nobody but the attacks talks to these.
        self.tcp, self.udp = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.unix, self.abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        self.unix.bind(str(self.folder / "unix"))
        (self.folder / "unix").chmod(0o666)
        self.abstract.bind(f"\0{self.token}.abstract")
        for listener in (self.unix, self.abstract):
            listener.listen()
        for one in (self.tcp, self.udp, self.unix, self.abstract):
            one.setblocking(False)
        passwd = Path("/etc/passwd")
        self.never = [self.token, passwd.read_text().splitlines()[0] if passwd.exists() else self.token]
        os.environ[VARIABLE] = f"{self.token}-variable"
        signal.signal(signal.SIGUSR1, lambda number, frame: self.signals.append(number))

    @property
    def known(self) -> dict[str, Any]:
        """What an attacker knows. The token itself is what only the secret file and the environment hold."""
        assert self.victim is not None
        return {
            "secret": str(self.secret), "drop": str(self.drop), "canary": str(self.canary), "port": self.tcp.getsockname()[1],
            "udp": self.udp.getsockname()[1], "unix": str(self.folder / "unix"), "abstract": f"{self.token}.abstract",
            "victim": self.victim.pid, "host": os.getpid(), "variable": VARIABLE, "token_half": "the secret is",
        }  # fmt: skip

    def restore(self) -> None:
        """As it was in the beginning, for the next attack."""
        for path in self.drop.iterdir():
            if path != self.canary:
                path.unlink()
        self.canary.write_text("tweet")
        for one in (self.tcp, self.udp, self.unix, self.abstract):
            with contextlib.suppress(BlockingIOError):
                while True:
                    if one is self.udp:
                        one.recv(100)
                    else:
                        one.accept()[0].close()
        self.signals.clear()
        if self.victim is None or self.victim.poll() is not None:
            # Of the user that the sandbox runs as, so that only the sandbox stands between them.
            user: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
            self.victim = subprocess.Popen(["sleep", "600"], **user)
            self.affinity = os.sched_getaffinity(self.victim.pid)

    def changes(self) -> list[str]:
        """What is no longer as it was."""
        found = []
        if sorted(path.name for path in self.drop.iterdir()) != ["canary.txt"] or self.canary.read_text() != "tweet":
            found.append("files outside have changed")
        for name, one in (("TCP", self.tcp), ("UDP", self.udp), ("unix", self.unix), ("abstract", self.abstract)):
            with contextlib.suppress(BlockingIOError):
                if one is self.udp:
                    one.recv(100)
                else:
                    one.accept()[0].close()
                found.append(f"somebody has come to the {name} listener")
        if self.signals:
            found.append(f"the host got signals {self.signals}")
        assert self.victim is not None
        if self.victim.poll() is not None:
            found.append("the victim is dead")
        elif os.sched_getaffinity(self.victim.pid) != self.affinity:
            found.append("the victim's affinity has changed")
            os.sched_setaffinity(self.victim.pid, self.affinity)
        return found

    def close(self) -> None:
        for one in (self.tcp, self.udp, self.unix, self.abstract):
            one.close()
        if self.victim is not None:
            self.victim.kill()
            self.victim.wait()
        os.environ.pop(VARIABLE, None)
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)


class Watch:
    """Looks at the host's descendants while an attack runs: how many tasks and how many bytes they have at most, and which are left."""

    def __init__(self, but: set[int]) -> None:
        self.but = but
        self.tasks = self.bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.03):
            tasks = size = 0
            for pid in descendants(os.getpid()) - self.but:
                with contextlib.suppress(OSError, ValueError, IndexError):
                    tasks += len(os.listdir(f"/proc/{pid}/task"))
                    size += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            self.tasks, self.bytes = max(self.tasks, tasks), max(self.bytes, size)

    def end(self) -> None:
        self._over.set()
        self._thread.join()


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split()):
                found |= {child} | descendants(child)
    return found


def strays(marker: str, since: float) -> list[int]:
    """Processes anywhere that live in a root under ``marker`` or carry it in their arguments, started since then."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if entry.stat().st_ctime < since - 1 or "\nState:\tZ" in (entry / "status").read_text():
                continue
            if marker in (entry / "mountinfo").read_text() or marker in (entry / "cmdline").read_text():
                found.append(int(entry.name))
    return found


def sound(value: Any) -> bool:
    """Whether a value can be written, sent and compared by whoever gets it."""
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False).encode()) == value)
    except (ValueError, TypeError, RecursionError, UnicodeError):
        return False


async def escaped(world: World, sandbox: Sandbox, attack: Attack, *, marker: str) -> tuple[list[str], Outcome]:
    """Run an attack, and say by which signs it got out; none when it did not."""
    world.restore()
    assert world.victim is not None
    before = descendants(os.getpid())
    watch, began = Watch(before | {world.victim.pid}), time.time()
    source = f"W = {world.known!r}\n{attack.source}"
    limit = SandboxLimit(cpu_s=LIMIT.cpu_s, wall_s=LIMIT.wall_s, memory_mb=LIMIT.memory_mb, disk_mb=LIMIT.disk_mb,
                         output_bytes=LIMIT.output_bytes, threads=LIMIT.threads, processes=attack.processes)  # fmt: skip
    outcome = await sandbox.run(Program(source=source, entry=attack.entry), limit=limit)
    took_s = time.time() - began
    watch.end()
    await asyncio.sleep(0.02)
    signs = world.changes()
    text = f"{outcome.value} {outcome.stdout} {outcome.stderr} {outcome.fault}"
    signs += [f"it knows {secret[:6]}…" for secret in world.never if secret in text.replace(f"{world.token}.abstract", "")]
    if any(line.startswith("ESCAPED") for line in outcome.stdout.splitlines()) or " ESCAPED" in outcome.stdout:
        signs.append(f"it says so: {outcome.stdout[:200]}")
    if attack.must_fail and outcome.ok:
        signs.append(f"it passes for a success, with {str(outcome.value)[:50]!r}")
    if not sound(outcome.value) or len(text) > 3 * LIMIT.output_bytes + 20_000:
        signs.append("its outcome harms those who get it")
    if outcome.fault is not None and outcome.fault.kind == "refused" and sandbox.facts.full:
        signs.append("it has spoken for the sandbox")
    if took_s > LIMIT.wall_s + SLACK_S:
        signs.append(f"it took {took_s:.1f} s")
    if watch.bytes > (LIMIT.memory_mb * 1_000_000 + LIMIT.disk_mb * 1_000_000) * attack.processes + SLACK_BYTES:
        signs.append(f"it had {watch.bytes:,} bytes of memory")
    if watch.tasks > LIMIT.threads + attack.processes + SLACK_TASKS:
        signs.append(f"it had {watch.tasks} tasks")
    left = (descendants(os.getpid()) - before if sandbox.facts.full else set()) | set(strays(marker, began))
    if left:
        await asyncio.sleep(0.3)
        left = {pid for pid in left if _lives(pid)}
    for pid in left:
        signs.append(f"process {pid} has stayed")
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    return signs, outcome


def _lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


class Unsandboxed:
    """No sandbox at all: with it, the observers must see the escapes of attacks that do no harm. Believes its program in everything."""

    facts = SandboxFacts(rung="none", python=platform.python_version(), isolates=(), full=True)

    async def run(self, program: Program, *, limit: SandboxLimit | None = None, doors: Mapping[str, Door] | None = None) -> Outcome:
        call = f"\nprint({program.entry}())" if program.entry else ""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "program.py"
            file.write_text(program.source + call)
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(file), cwd=folder, stdout=-1, stderr=-1, stdin=subprocess.DEVNULL,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)),
            )  # fmt: skip
            try:
                out, err = await asyncio.wait_for(process.communicate(), 5)
            except BaseException as error:
                process.kill()
                await process.wait()
                if isinstance(error, TimeoutError):
                    return Outcome(fault=Fault("timeout"))
                raise
        fault = None if process.returncode == 0 else Fault("crash")
        return Outcome(fault=fault, stdout=out.decode(errors="replace"), stderr=err.decode(errors="replace"))

    async def aclose(self) -> None: ...


@contextlib.contextmanager
def world() -> Iterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="rookery-world-", dir="/var/tmp" if os.access("/var/tmp", os.W_OK) else None))
    made = World(folder)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder)


@contextlib.asynccontextmanager
async def opened(rung: str, cache: Path | None = None) -> AsyncIterator[Sandbox]:
    box: Sandbox = {"monty": lambda: Monty(ready=0), "bubblewrap": lambda: Bubblewrap(ready=0, cache=cache), "none": Unsandboxed}[rung]()
    try:
        yield box
    finally:
        await box.aclose()


async def attempt(rung: str, attacks: Sequence[Attack] = ATTACKS) -> dict[str, Any]:
    """All attacks on one rung: how many there were, and the signs of those that got out."""
    out: dict[str, list[str]] = {}
    kinds: dict[str, str] = {}
    with world() as around, tempfile.TemporaryDirectory(prefix="rookery-roots-", dir=around.folder) as cache:
        Path(cache).chmod(0o755)
        async with opened(rung, Path(cache) / "roots") as box:
            for attack in attacks:
                if attack.subset_only and box.facts.full and rung != "none":
                    continue
                signs, outcome = await escaped(around, box, attack, marker=cache)
                kinds[attack.name] = outcome.fault.kind if outcome.fault is not None else "ok"
                if signs:
                    out[attack.name] = signs
    return {"rung": rung, "user": os.geteuid(), "attacks": len(kinds), "escapes": out, "ends": kinds}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(attempt(sys.argv[1], [attack for attack in ATTACKS if attack.name in sys.argv[2:] or len(sys.argv) < 3]))))
