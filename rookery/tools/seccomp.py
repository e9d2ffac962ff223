"""Which system calls a program in the bubblewrap sandbox may make, as a seccomp filter: a list of those allowed, the rest fails.

Classic BPF over ``struct seccomp_data`` (linux/seccomp.h; seccomp(2)): word 0 is the call's number, word 1 the architecture, and the six
64-bit arguments begin at byte 16.
"""

from __future__ import annotations

import errno
import struct

# Name: its number on x86_64 and on aarch64 (asm/unistd.h; None: does not exist there).
# Not here, so they fail with ENOSYS: whatever makes namespaces, mounts, sockets, tracing, keys, io_uring, BPF, shared memory, message
# queues, anonymous files (memfd: no limit would count them), handles of files, the clock, modules, swap, the kernel's log.
_ALLOWED: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "open": (2, None), "close": (3, 57), "stat": (4, None), "fstat": (5, 80), "lstat": (6, None),
    "poll": (7, None), "lseek": (8, 62), "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "pread64": (17, 67), "pwrite64": (18, 68),
    "readv": (19, 65), "writev": (20, 66), "access": (21, None), "pipe": (22, None), "select": (23, None), "sched_yield": (24, 124),
    "mremap": (25, 216), "msync": (26, 227), "mincore": (27, 232), "madvise": (28, 233), "dup": (32, 23), "dup2": (33, None),
    "pause": (34, None), "nanosleep": (35, 101), "getitimer": (36, 102), "alarm": (37, None), "setitimer": (38, 103),
    "getpid": (39, 172), "sendfile": (40, 71), "sendto": (44, 206), "recvfrom": (45, 207), "sendmsg": (46, 211), "recvmsg": (47, 212),
    "shutdown": (48, 210), "getsockname": (51, 204), "getpeername": (52, 205), "socketpair": (53, 199), "setsockopt": (54, 208),
    "getsockopt": (55, 209), "execve": (59, 221), "exit": (60, 93), "wait4": (61, 260), "kill": (62, 129), "uname": (63, 160),
    "fcntl": (72, 25), "flock": (73, 32), "fsync": (74, 82), "fdatasync": (75, 83), "truncate": (76, 45), "ftruncate": (77, 46),
    "getdents": (78, None), "getcwd": (79, 17), "chdir": (80, 49), "fchdir": (81, 50), "rename": (82, None), "mkdir": (83, None),
    "rmdir": (84, None), "creat": (85, None), "link": (86, None), "unlink": (87, None), "symlink": (88, None), "readlink": (89, None),
    "chmod": (90, None), "fchmod": (91, 52), "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "umask": (95, 166),
    "gettimeofday": (96, 169), "getrlimit": (97, 163), "getrusage": (98, 165), "sysinfo": (99, 179), "times": (100, 153),
    "getuid": (102, 174), "getgid": (104, 176), "geteuid": (107, 175), "getegid": (108, 177), "setpgid": (109, 154),
    "getppid": (110, 173), "getpgrp": (111, None), "setsid": (112, 157), "getgroups": (115, 158), "getresuid": (118, 148),
    "getresgid": (120, 150), "getpgid": (121, 155), "getsid": (124, 156), "rt_sigpending": (127, 136), "rt_sigtimedwait": (128, 137),
    "rt_sigqueueinfo": (129, 138), "rt_sigsuspend": (130, 133), "sigaltstack": (131, 132), "utime": (132, None), "statfs": (137, 43),
    "fstatfs": (138, 44), "getpriority": (140, 141), "setpriority": (141, 140), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126),
    "sched_rr_get_interval": (148, 127), "arch_prctl": (158, None), "setrlimit": (160, 164), "gettid": (186, 178),
    "readahead": (187, 213), "getxattr": (191, 8), "lgetxattr": (192, 9), "fgetxattr": (193, 10), "listxattr": (194, 11),
    "llistxattr": (195, 12), "flistxattr": (196, 13), "tkill": (200, 130), "time": (201, None), "futex": (202, 98),
    "sched_setaffinity": (203, 122), "sched_getaffinity": (204, 123), "epoll_create": (213, None), "getdents64": (217, 61),
    "set_tid_address": (218, 96), "restart_syscall": (219, 128), "fadvise64": (221, 223), "timer_create": (222, 107),
    "timer_settime": (223, 110), "timer_gettime": (224, 108), "timer_getoverrun": (225, 109), "timer_delete": (226, 111),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "exit_group": (231, 94),
    "epoll_wait": (232, None), "epoll_ctl": (233, 21), "tgkill": (234, 131), "utimes": (235, None), "waitid": (247, 95),
    "openat": (257, 56), "mkdirat": (258, 34), "fchownat": (260, 54), "newfstatat": (262, 79), "unlinkat": (263, 35),
    "renameat": (264, 38), "linkat": (265, 37), "symlinkat": (266, 36), "readlinkat": (267, 78), "fchmodat": (268, 53),
    "faccessat": (269, 48), "pselect6": (270, 72), "ppoll": (271, 73), "set_robust_list": (273, 99), "get_robust_list": (274, 100),
    "splice": (275, 76), "tee": (276, 77), "utimensat": (280, 88), "epoll_pwait": (281, 22), "signalfd": (282, None),
    "timerfd_create": (283, 85), "eventfd": (284, None), "fallocate": (285, 47), "timerfd_settime": (286, 86),
    "timerfd_gettime": (287, 87), "signalfd4": (289, 74), "eventfd2": (290, 19), "epoll_create1": (291, 20), "dup3": (292, 24),
    "pipe2": (293, 59), "preadv": (295, 69), "pwritev": (296, 70), "prlimit64": (302, 261), "getcpu": (309, 168),
    "renameat2": (316, 276), "getrandom": (318, 278), "membarrier": (324, 283), "copy_file_range": (326, 285), "preadv2": (327, 286),
    "pwritev2": (328, 287), "statx": (332, 291), "rseq": (334, 293), "pidfd_open": (434, 434), "close_range": (436, 436),
    "faccessat2": (439, 439), "epoll_pwait2": (441, 441), "landlock_create_ruleset": (444, 444), "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}
_REFUSED: dict[str, tuple[int | None, int | None]] = {"socket": (41, 198), "fork": (57, None), "vfork": (58, None)}
"""These fail with EPERM, so that the program learns that it may not, and not that the kernel is old."""
_CLONE, _IOCTL, _PRCTL = (56, 220), (16, 29), (157, 167)

_CLONE_THREAD, _CLONE_NAMESPACES = 0x00010000, 0x7E020080
"""Bits of clone(2): a thread of this process; any of the namespaces (CLONE_NEWTIME … CLONE_NEWUSER)."""
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x5452)
"""TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, FIOASYNC: what Python asks of files; no terminal is written to."""
_PRCTLS = (15, 16)
"""PR_SET_NAME, PR_GET_NAME."""

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""platform.machine() → the column above, and AUDIT_ARCH of linux/audit.h."""

_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ABOVE, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x25, 0x45, 0x06
_NUMBER, _ARCH, _FIRST_LOW, _SECOND_LOW = 0, 4, 16, 24


def filter_for(machine: str, *, processes: bool) -> bytes:
    """The filter as an array of ``struct sock_filter``; with ``processes``, children may be started besides threads.

    Raises KeyError for a machine whose numbers are not known here.
    """
    column, arch = ARCHITECTURES[machine]
    denied = _ERRNO | errno.ENOSYS
    forbidden = _ERRNO | errno.EPERM
    code = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    if machine == "x86_64":  # the x32 calls are other numbers for the same things
        code += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _KILL)]
    for first, last in _ranges(column, _ALLOWED | (({"fork": (57, None), "vfork": (58, None)}) if processes else {})):
        code += [(_ABOVE, 2, 0, last), (_AT_LEAST, 0, 1, first), (_RETURN, 0, 0, _ALLOW)]
    for first, last in _ranges(column, _REFUSED):
        code += [(_ABOVE, 2, 0, last), (_AT_LEAST, 0, 1, first), (_RETURN, 0, 0, forbidden)]
    # clone: never a namespace; without ``processes`` only threads.
    clone = [(_LOAD, 0, 0, _FIRST_LOW), (_ANY_BIT, 0, 1, _CLONE_NAMESPACES), (_RETURN, 0, 0, forbidden)]
    if not processes:
        clone += [(_ANY_BIT, 1, 0, _CLONE_THREAD), (_RETURN, 0, 0, forbidden)]
    clone += [(_RETURN, 0, 0, _ALLOW)]
    for number, body in (
        (_CLONE[column], clone),
        (_IOCTL[column], _one_of(_SECOND_LOW, _IOCTLS, denied=_ERRNO | errno.ENOTTY)),
        (_PRCTL[column], _one_of(_FIRST_LOW, _PRCTLS, denied=_ERRNO | errno.EINVAL)),
    ):
        code += [(_EQUAL, 0, len(body), number), *body]
    code += [(_RETURN, 0, 0, denied)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _ranges(column: int, names: dict[str, tuple[int | None, int | None]]) -> list[tuple[int, int]]:
    """The numbers of these calls as ranges, ascending."""
    found: list[tuple[int, int]] = []
    for number in sorted(number for numbers in names.values() if (number := numbers[column]) is not None):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _one_of(word: int, values: tuple[int, ...], *, denied: int) -> list[tuple[int, int, int, int]]:
    body = [(_LOAD, 0, 0, word)]
    for left, value in enumerate(reversed(values)):
        body.insert(1, (_EQUAL, left + 1, 0, value))
    return [*body, (_RETURN, 0, 0, denied), (_RETURN, 0, 0, _ALLOW)]
