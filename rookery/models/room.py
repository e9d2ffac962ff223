"""How much memory is free for a model's weights, and the error when it does not suffice."""

from __future__ import annotations

from pathlib import Path

from rookery.errors import MemoryShort

_SPARE = 1.05
"""Weights need a little more than their size while they are read."""


def free_bytes() -> int | None:
    """Memory that this process may still take: of the machine, and of its control group (Linux); None where that can't be told."""
    rooms = [room for room in (_machine(), _group()) if room is not None]
    return min(rooms, default=None)


def _machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None


def _group() -> int | None:
    folder = Path("/sys/fs/cgroup")
    try:
        bound, used = (folder / "memory.max").read_text("ascii").strip(), (folder / "memory.current").read_text("ascii").strip()
        return None if bound == "max" else max(0, int(bound) - int(used))
    except (OSError, ValueError):
        return None


def check_room(needed_bytes: int, free: int | None, *, model: str, place: str, hint: str) -> None:
    """Refuse to load what would push the machine into swapping, or be killed half-way.

    :raises MemoryShort: ``needed_bytes`` and a little more are not free.
    """
    if free is not None and needed_bytes * _SPARE > free:
        raise MemoryShort(f"{model} needs {_size(needed_bytes)} for its weights, and {place} has {_size(free)} free", model=model,
                          needed_bytes=needed_bytes, free_bytes=free, hint=hint)


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
