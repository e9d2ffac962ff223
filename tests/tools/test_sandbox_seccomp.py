"""The filter of system calls, judged by a small interpreter of classic BPF: for both architectures, and for ones it was not made for."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.tools.seccomp import ARCHITECTURES, filter_for

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
NUMBERS = {"x86_64": {"read": 0, "clone": 56, "execve": 59, "socket": 41, "ioctl": 16, "prctl": 157, "unshare": 272, "clone3": 435, "fork": 57},
           "aarch64": {"read": 63, "clone": 220, "execve": 221, "socket": 198, "ioctl": 29, "prctl": 167, "unshare": 97, "clone3": 435}}  # fmt: skip


def verdict(code: bytes, number: int, *arguments: int, arch: int) -> int:
    """What the kernel would return for a call (linux/filter.h: 32-bit loads, jumps relative to the next instruction)."""
    data = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, arch, 0, *(*arguments, *[0] * (6 - len(arguments))))
    program = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    at = accumulator = 0
    while True:
        what, if_true, if_false, value = program[at]
        at += 1
        if what == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
        elif what == 0x06:
            return value
        else:
            holds = {0x15: accumulator == value, 0x25: accumulator > value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[what]
            at += if_true if holds else if_false


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("processes", [False, True])
def test_what_is_allowed(machine: str, processes: bool) -> None:
    code, arch, number = filter_for(machine, processes=processes), ARCHITECTURES[machine][1], NUMBERS[machine]
    refused = ERRNO | errno.EPERM
    assert len(code) // 8 < 4096
    assert verdict(code, number["read"], arch=arch) == verdict(code, number["execve"], arch=arch) == ALLOW
    assert verdict(code, number["socket"], 2, 1, 0, arch=arch) == refused
    assert verdict(code, number["unshare"], 0x10000000, arch=arch) == verdict(code, number["clone3"], arch=arch) == ERRNO | errno.ENOSYS
    thread, child = 0x3D0F00, 0x01200011
    assert verdict(code, number["clone"], thread, arch=arch) == ALLOW
    assert verdict(code, number["clone"], child, arch=arch) == (ALLOW if processes else refused)
    for space in (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000, 0x80):
        assert verdict(code, number["clone"], thread | space, arch=arch) == refused
    assert verdict(code, number["ioctl"], 0, 0x5421, arch=arch) == verdict(code, number["prctl"], 15, arch=arch) == ALLOW
    assert verdict(code, number["ioctl"], 0, 0x5412, arch=arch) == ERRNO | errno.ENOTTY
    assert verdict(code, number["prctl"], 38, arch=arch) == ERRNO | errno.EINVAL
    if "fork" in number:
        assert verdict(code, number["fork"], arch=arch) == (ALLOW if processes else refused)


@pytest.mark.parametrize("machine", ARCHITECTURES)
@given(number=st.integers(0, 2**32 - 1), arch=st.integers(0, 2**32 - 1), processes=st.booleans())
def test_other_architectures_are_killed(machine: str, number: int, arch: int, processes: bool) -> None:
    code = filter_for(machine, processes=processes)
    if arch != ARCHITECTURES[machine][1]:
        assert verdict(code, number, arch=arch) == KILL
    if machine == "x86_64":
        assert verdict(code, number | 0x40000000, arch=ARCHITECTURES[machine][1]) == KILL


@pytest.mark.parametrize("machine", ARCHITECTURES)
@given(number=st.integers(447, 2**30 - 1))
def test_calls_that_are_not_known_fail(machine: str, number: int) -> None:
    assert verdict(filter_for(machine, processes=False), number, arch=ARCHITECTURES[machine][1]) == ERRNO | errno.ENOSYS
