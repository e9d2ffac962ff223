"""What runs inside of the bubblewrap sandbox, before and around the program; copied into its root, never imported by the host.

It reads one order (marshal, from the host, who is trusted), takes the limits upon itself, runs the program, and answers with lines of
JSON: ``{"call": …}`` for a door, and at last ``{"value": …}`` or ``{"fault": …}``. All of its answers are the program's own word, for
the program can write to the same descriptor. Few imports: they are most of the time a start takes.
"""

from __future__ import annotations

import marshal
import posix
import resource
import sys
from _json import encode_basestring_ascii as _quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

_FILE = "/tmp/program.py"


def _read(fd: int, size: int) -> bytes:
    parts = []
    while size:
        part = posix.read(fd, min(size, 1 << 20))
        if not part:
            posix._exit(0)  # the host is gone, or has no work for us
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _order(fd: int) -> Any:
    return marshal.loads(_read(fd, int.from_bytes(_read(fd, 8), "big")))


def _write(fd: int, text: str) -> None:
    data = memoryview(text.encode("ascii") + b"\n")
    while data:
        data = data[posix.write(fd, data) :]


def _json(value: object, depth: int = 0) -> str:
    """JSON as json.dumps writes it, but for NaN and Infinity. Raises TypeError or ValueError with the reason."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"{value!r} is no JSON")
        return float.__repr__(value)
    if depth > 200:
        raise ValueError("nested too deep, or within itself")
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([_json(item, depth + 1) for item in value]) + "]"
    if isinstance(value, dict):
        return "{" + ",".join([_key(key) + ":" + _json(item, depth + 1) for key, item in value.items()]) + "}"
    raise TypeError(f"a value of class {type(value).__name__} is no JSON")


def _key(key: object) -> str:
    if isinstance(key, str):
        return _quoted(key)
    if key is None or isinstance(key, (int, float)):
        return _quoted(_json(key))
    raise TypeError(f"a key of class {type(key).__name__} is no JSON")


def _limit(limit: dict[str, int]) -> None:
    """Hard limits: what is lowered here, nobody inside can raise."""
    memory, disk = limit["memory_mb"] * 1_000_000, limit["disk_mb"] * 1_000_000
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_SIGPENDING, 256),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_NPROC, limit["threads"] + limit["processes"]),
        (resource.RLIMIT_CPU, limit["cpu_whole_s"]),
        (resource.RLIMIT_FSIZE, disk),
        (resource.RLIMIT_AS, memory),
    ):
        resource.setrlimit(what, (most, most))
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    most = 8 << 20 if hard == resource.RLIM_INFINITY else min(hard, 8 << 20)
    resource.setrlimit(resource.RLIMIT_STACK, (most, most))


def _bits(*numbers: int) -> int:
    """Rights of Landlock by the number of their bit: 0 run, 1 write, 2 read, 3 list, 4 and 5 remove folders and files, 7, 8 and 12 make
    folders, files and links, 13 move, 14 truncate (linux/landlock.h)."""
    return sum(1 << number for number in numbers)


def _landlock() -> int:
    """Landlock (landlock(7)) on top: write below /tmp only, run nothing from there, no TCP, no signals or abstract sockets out.

    Gives the version of the kernel's Landlock, 0 where it has none. The C function is called through what lies below ctypes, whose
    import would take longer than all of this.
    """
    import _ctypes  # type: ignore[import-not-found, unused-ignore]

    syscall = _ctypes.dlsym(_ctypes.dlopen(None, 0), "syscall")  # type: ignore[arg-type, unused-ignore]

    def call(*args: object) -> int:
        return int(_ctypes.call_function(syscall, args))

    version = call(444, None, 0, 1)  # landlock_create_ruleset, LANDLOCK_CREATE_RULESET_VERSION
    if version < 1:
        return 0
    files = (1 << (13 if version < 2 else 14 if version < 3 else 15 if version < 5 else 16)) - 1
    words = (files, 3, 3)[: 1 if version < 4 else 2 if version < 6 else 3]  # files, TCP bind and connect, what is scoped
    attributes = b"".join(word.to_bytes(8, sys.byteorder) for word in words)
    rules = call(444, attributes, len(attributes), 0)
    granted = {"/": _bits(2, 3), "/dev/null": _bits(1, 2), "/tmp": _bits(1, 2, 3, 4, 5, 7, 8, 12, 13, 14)}
    granted |= {f"/{name}": _bits(0, 2, 3) for name in posix.listdir("/") if name.startswith(("usr", "lib"))}
    for path, access in granted.items():
        opened = posix.open(path, posix.O_PATH | posix.O_CLOEXEC)
        rule = (access & files).to_bytes(8, sys.byteorder) + opened.to_bytes(4, sys.byteorder)
        if call(445, rules, 1, rule, 0):  # landlock_add_rule, LANDLOCK_RULE_PATH_BENEATH
            raise OSError("landlock_add_rule failed")
        posix.close(opened)
    if rules < 0 or call(446, rules, 0):  # landlock_restrict_self
        raise OSError("landlock_restrict_self failed")
    posix.close(rules)
    return version


def _lay_out(order: dict[str, Any]) -> None:
    """Files and standard input of the program."""
    for name, text in order["files"]:
        folder = ""
        for part in name.split("/")[:-1]:
            folder += part + "/"
            try:
                posix.mkdir(folder)
            except FileExistsError:
                pass
        with open(name, "w", encoding="utf-8", newline="", errors="surrogatepass") as file:
            file.write(text)
    with open(_FILE, "w", encoding="utf-8", newline="", errors="surrogatepass") as file:
        file.write(order["source"])
    if order["stdin"]:
        place = "/tmp/.stdin"
        with open(place, "w", encoding="utf-8", newline="", errors="surrogatepass") as file:
            file.write(order["stdin"])
        opened = posix.open(place, posix.O_RDONLY)
        posix.unlink(place)
        posix.dup2(opened, 0)
        posix.close(opened)


def _doors(names: list[str], ask: int, answer: int) -> dict[str, object]:
    """Functions that ask the host, one at a time."""
    from _thread import allocate_lock

    lock = allocate_lock()

    def door(name: str) -> object:
        def call(*args: object, **kwargs: object) -> object:
            text = '{"call":%s,"args":%s,"kwargs":%s}' % (_quoted(name), _json(args), _json(kwargs))
            with lock:
                _write(answer, text)
                kind, value = _order(ask)
            if kind == "value":
                return value
            raise RuntimeError(value)

        call.__name__ = call.__qualname__ = name
        return call

    return {name: door(name) for name in names}


def _line_of(error: BaseException) -> int | None:
    """The line of the source that was being executed, the innermost one."""
    if isinstance(error, SyntaxError) and error.filename == _FILE:
        return error.lineno
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _text(thing: object, longest: int) -> str:
    try:
        return str(thing)[:longest]
    except BaseException as error:
        return f"<its text cannot be made: {type(error).__name__}>"


def _fault(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        kind, message = "exit", _text(0 if error.code is None else error.code, 2000)
    else:
        kind, message = "exception", _text(error, 4000)
        if isinstance(error, MemoryError):
            kind = "memory"
        elif isinstance(error, OSError) and error.errno in (27, 28, 122):  # EFBIG, ENOSPC, EDQUOT
            kind = "disk"
    return _told(kind, message, type(error).__name__, _line_of(error))


def _told(kind: str, message: str, name: str = "", line: int | None = None) -> str:
    return '{"fault":{"kind":%s,"message":%s,"type":%s,"line":%s}}' % (_quoted(kind), _quoted(message), _quoted(name), _json(line))


def _script(source: str, space: dict[str, Any]) -> object:
    """Run a script; gives the value of its last line, when that is an expression."""
    tree: Any = compile(source, _FILE, "exec", 0x400)  # ast.PyCF_ONLY_AST, without the import
    last = tree.body.pop() if tree.body and type(tree.body[-1]).__name__ == "Expr" else None
    exec(compile(tree, _FILE, "exec", dont_inherit=True), space)
    if last is None:
        return None
    import _ast

    return eval(compile(_ast.Expression(last.value), _FILE, "eval", dont_inherit=True), space)


def _run(order: dict[str, Any], ask: int, answer: int) -> str:
    """Run the program; gives the line to answer with."""
    entry = order["entry"]
    name = "program" if entry else "__main__"
    module = type(sys)(name)
    module.__file__ = _FILE
    sys.modules[name] = module
    sys.argv[:] = [_FILE]
    space = module.__dict__
    vars(sys.modules["builtins"]).update(_doors(order["doors"], ask, answer))
    try:
        if entry:
            exec(compile(order["source"], _FILE, "exec", dont_inherit=True), space)
            if not callable(space.get(entry)):
                return _told("exception", f"the program defines no function {entry}", "NameError")
            value = space[entry](*order["args"], **order["kwargs"])
            if hasattr(type(value), "__await__"):
                import asyncio

                value = asyncio.run(_awaited(value))
        else:
            value = _script(order["source"], space)
        try:
            return '{"value":%s}' % _json(value)
        except (TypeError, ValueError, RecursionError) as error:
            return _told("value", _text(error, 4000)) if entry else '{"value":%s}' % _quoted(_text(repr(value), 10_000))
    except BaseException as error:
        line = _fault(error)
        if not isinstance(error, SystemExit):
            error.__traceback__ = _own(error.__traceback__)
            sys.__excepthook__(type(error), error, error.__traceback__)
        return line


async def _awaited(value: Any) -> object:
    return await value


def _own(trace: TracebackType | None) -> TracebackType | None:
    """The part of a traceback that begins in the program."""
    while trace is not None and trace.tb_frame.f_code.co_filename == "<runner>":
        trace = trace.tb_next
    return trace


def _end() -> None:
    """What the interpreter does at its end: wait for threads, run what was registered, flush."""
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    atexit = sys.modules.get("atexit")
    if atexit is not None:
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            pass


def main() -> None:
    ask, answer = int(sys.argv[1]), int(sys.argv[2])
    for name in list(posix.environ):
        posix.unsetenv(name)
    posix.environ.clear()
    if "os" in sys.modules:
        sys.modules["os"].environ.clear()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    version = _landlock()
    for low, high in ((3, min(ask, answer)), (min(ask, answer) + 1, max(ask, answer)), (max(ask, answer) + 1, 256)):
        posix.closerange(low, high)
    _write(answer, '{"ready":%d}' % version)
    order = _order(ask)
    _lay_out(order)
    _limit(order["limit"])
    if order["packages"]:
        sys.path.append("/packages")
    sys.path.append("/tmp")
    line = _run(order, ask, answer)
    try:
        _end()
    except BaseException as error:
        line = _fault(error)
    _write(answer, line)
    posix._exit(0)


main()
