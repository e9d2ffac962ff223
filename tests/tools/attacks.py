"""Programs that try to get out of a sandbox, or to harm what is outside; ``escape.py`` runs them and says how an escape would be seen.

Each source is run behind a line ``W = {…}`` with what an attacker may know: paths, ports, process numbers, and this:
``secret`` a readable file outside, ``drop`` a folder outside that all may write to, ``port``/``udp``/``unix``/``abstract`` listeners,
``victim`` and ``host`` processes outside. A source prints ``ESCAPED`` where only it can see that it has won, and prints what it read.
"""

# ruff: noqa: E501
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attack:
    """One program."""

    name: str
    source: str
    must_fail: bool = False
    """An outcome without a fault is an escape: the program has forged a success."""
    processes: int = 1
    """How many it is allowed, to get as far as it can."""
    control: bool = False
    """Does no harm when it is run without a sandbox; then its escape must be seen, or the observer is blind."""
    entry: str = ""
    subset_only: bool = False
    """Of a language that has no such thing; in full Python it is nothing to see it."""


_C = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def sc(number, *args):
    return libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
"""
_FDS = """
import os
def channel():
    for fd in range(3, 256):
        try:
            os.fstat(fd)
        except OSError:
            continue
        yield fd
def answer(raw):
    for fd in channel():
        try:
            os.write(fd, raw)
        except OSError:
            pass
"""


def _syscall(name: str, number: int, arguments: str, won: str = "result >= 0") -> Attack:
    """A system call that must not work, by its number on x86_64."""
    return Attack(f"syscall {name}", f"{_C}\nresult = sc({number}, {arguments})\nif {won}:\n    print('ESCAPED', {name!r}, result)")


FILES = [
    Attack("read a file", "print(open(W['secret']).read())", control=True),
    Attack("read by pathlib", "from pathlib import Path\nprint(Path(W['secret']).read_text())", control=True),
    Attack("read by os.open", "import os\nprint(os.read(os.open(W['secret'], os.O_RDONLY), 1000))", control=True),
    Attack("read by mmap", "import mmap\nwith open(W['secret'], 'rb') as f:\n    print(mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)[:])", control=True),
    Attack("read /etc/passwd", "print(open('/etc/passwd').read())", control=True),
    Attack("read upwards", "print(open('../' * 30 + W['secret'].lstrip('/')).read())", control=True),
    Attack("read through a symlink", "import os\nos.symlink(W['secret'], 'ln')\nprint(open('ln').read())"),
    Attack("read through a hard link", "import os\nos.link(W['secret'], 'hard')\nprint(open('hard').read())"),
    Attack("read by a copy", "import shutil\nshutil.copy(W['secret'], 'copy')\nprint(open('copy').read())"),
    Attack("walk the whole tree", """
import os
for folder, folders, files in os.walk('/'):
    for name in files:
        path = os.path.join(folder, name)
        try:
            if os.path.getsize(path) < 100_000 and not path.startswith(('/usr/lib/python', '/usr/share', '/proc', '/sys')):
                data = open(path, 'rb').read().decode('latin-1')
                if W['token_half'] in data and 'program.py' not in path:
                    print(path, data)
        except OSError:
            pass
"""),
    Attack("list homes", "import os\nfor p in ('/root', '/home', '/work', '/opt', '/srv', '/var', '/mnt', '/boot'):\n    try:\n        print('ESCAPED', os.listdir(p))\n    except OSError:\n        pass"),
    Attack("/proc of the host", "import os\nfor p in ('/proc/1/root', '/proc/self/root', '/proc/self/cwd/..'):\n    try:\n        print(open(p + W['secret']).read())\n    except OSError:\n        pass", control=True),
    Attack("/proc and /sys exist", "import os\nfor p in ('/proc/version', '/proc/self/maps', '/sys/kernel', '/proc/meminfo'):\n    if os.path.exists(p):\n        print('ESCAPED', p)", control=True),
    Attack("devices", "import os\nfor p in ('/dev/mem', '/dev/kmsg', '/dev/vda', '/dev/sda', '/dev/tty', '/dev/ptmx', '/dev/fuse', '/dev/kvm', '/dev/shm/x', '/dev/net/tun'):\n    try:\n        os.open(p, os.O_RDWR | os.O_CREAT)\n        print('ESCAPED', p)\n    except OSError:\n        pass"),
    Attack("make a device", "import os, stat\nfor major, minor in ((1, 1), (254, 0), (8, 0), (259, 0)):\n    os.mknod(f'd{major}', 0o666 | stat.S_IFBLK, os.makedev(major, minor))\n    print('ESCAPED', os.open(f'd{major}', os.O_RDONLY))"),
    Attack("chroot and climb", "import os\nos.mkdir('x')\nos.chroot('x')\nfor _ in range(60):\n    os.chdir('..')\nos.chroot('.')\nprint('ESCAPED', os.listdir('.'))\nprint(open(W['secret']).read())"),
    Attack("climb from inherited folders", _FDS + "for fd in channel():\n    try:\n        os.fchdir(fd)\n        print('ESCAPED', fd, os.listdir('.'))\n    except OSError:\n        pass"),
    Attack("inherited descriptors", _FDS + "import stat\nfor fd in channel():\n    mode = os.fstat(fd).st_mode\n    if not stat.S_ISFIFO(mode):\n        print('ESCAPED', fd, oct(mode))\nif len(list(channel())) > 2:\n    print('ESCAPED', list(channel()))"),
    _syscall("open_by_handle_at", 304, "-100, ctypes.create_string_buffer(64), 0"),
    Attack("write outside", "open(W['drop'] + '/pwned', 'w').write('x')", control=True),
    Attack("change a file outside", "open(W['canary'], 'a').write('x')", control=True),
    Attack("remove a file outside", "import os\nos.remove(W['canary'])", control=True),
    Attack("rename to outside", "import os\nopen('f', 'w').close()\nos.rename('f', W['drop'] + '/pwned')"),
    Attack("write to the library", "import os\nwith open(os.__file__, 'a') as f:\n    f.write('# pwned')\nprint('ESCAPED')"),
    Attack("replace the runner", "import os\nfor how in (lambda: os.chmod('/runner.pyc', 0o777), lambda: os.remove('/runner.pyc'), lambda: open('/runner.pyc', 'wb'), lambda: os.rename('/runner.pyc', '/tmp/r')):\n    try:\n        how()\n        print('ESCAPED')\n    except OSError:\n        pass"),
    Attack("write to the root", "import os\nfor p in ('/x', '/usr/x', '/etc/x', '/dev/x', '/packages/x', '/lib/x', '/etc/ld.so.preload', '/usr/lib/sitecustomize.py'):\n    try:\n        open(p, 'w')\n        print('ESCAPED', p)\n    except OSError:\n        pass"),
    Attack("plant bytecode", "import os, py_compile\nopen('evil.py', 'w').write('x = 1')\npy_compile.compile('evil.py', cfile=os.path.dirname(os.__file__) + '/__pycache__/json.pyc', doraise=True)\nprint('ESCAPED')"),
    Attack("run a file of its own", "import os, sys, shutil\nshutil.copy('/usr/bin/python3', '/tmp/py')\nos.chmod('/tmp/py', 0o4755)\nos.execv('/tmp/py', ['/tmp/py', '-c', 'import os; print(\"ESCAPED\", os.getuid())'])"),
    Attack("core dump", "import os, resource\ntry:\n    resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))\n    print('ESCAPED')\nexcept (ValueError, OSError):\n    pass\nos.chdir('/tmp')\nos.abort()", must_fail=True),
    Attack("import hooks that stay", "import sys, os\nfor p in list(sys.path) + [os.path.expanduser('~')]:\n    try:\n        open(os.path.join(p, 'sitecustomize.py'), 'w').write('print(1)')\n        if p not in ('/tmp', '', '.'):\n            print('ESCAPED', p)\n    except OSError:\n        pass"),
]  # fmt: skip

ENVIRONMENT = [
    Attack("os.environ", "import os\nprint(dict(os.environ))", control=True),
    Attack("posix.environ", "import posix\nprint(posix.environ)", control=True),
    Attack("getenv of libc", _C + "libc.getenv.restype = ctypes.c_char_p\nprint(libc.getenv(W['variable'].encode()))", control=True),
    Attack("environ of libc", _C + "p = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, 'environ')\ni = 0\nwhile p and p[i]:\n    print(p[i])\n    i += 1", control=True),
    Attack("/proc/self/environ", "print(open('/proc/self/environ').read())", control=True),
    Attack("environment of a parent", "import os\nprint(open(f'/proc/{os.getppid()}/environ').read())"),
    Attack("the host's name", "import socket, os\nprint(os.uname().nodename, socket.gethostname())"),
    Attack("objects of the runner", "import gc, sys\nprint([o for o in gc.get_objects() if isinstance(o, dict) and W['variable'] in o])\nf = sys._getframe()\nwhile f:\n    print(f.f_locals.keys())\n    f = f.f_back"),
    Attack("the initial stack", _C + "import sys\np = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, 'Py_NoneStruct')) if hasattr(ctypes.pythonapi, 'Py_NoneStruct') else id(None)\nfor f in range(0, 1 << 16, 4096):\n    print(W['token_half'] in str(ctypes.string_at(id(sys) - (id(sys) % 4096), 4096)) and 'same' or '', end='')"),
]  # fmt: skip

NETWORK = [
    Attack("TCP", "import socket\nsocket.create_connection(('127.0.0.1', W['port']), 1).send(b'x')", control=True),
    Attack("TCP over IPv6", "import socket\nsocket.create_connection(('::ffff:127.0.0.1', W['port']), 1).send(b'x')"),
    Attack("TCP to the host's addresses", "import socket\nfor a in ('10.0.2.2', '172.17.0.1', '169.254.169.254', '0.0.0.0'):\n    try:\n        socket.create_connection((a, W['port']), 0.2)\n        print('ESCAPED', a)\n    except OSError:\n        pass"),
    Attack("UDP", "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', W['udp']))", control=True),
    Attack("DNS by hand", "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.sendto(b'\\x12\\x34\\x01\\x00\\x00\\x01' + bytes(6) + b'\\x06secret\\x00\\x00\\x01\\x00\\x01', ('127.0.0.1', W['udp']))", control=True),
    Attack("DNS by the resolver", "import socket\nprint('ESCAPED', socket.getaddrinfo('localhost.localdomain', 80), socket.gethostbyname('example.org'))"),
    Attack("unix socket", "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect(W['unix'])\ns.send(b'x')", control=True),
    Attack("abstract unix socket", "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('\\0' + W['abstract'])\ns.send(b'x')", control=True),
    Attack("socketpair turned outwards", "import socket\na, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\nfor to in ('\\0' + W['abstract'], W['unix']):\n    try:\n        a.sendto(b'x', to)\n        print('ESCAPED')\n    except OSError:\n        pass\n    try:\n        a.connect(to)\n        print('ESCAPED')\n    except OSError:\n        pass"),
    Attack("socketpair of the internet", "import socket\nfor family in (socket.AF_INET, socket.AF_INET6, 40, 16, 17):\n    try:\n        socket.socketpair(family)\n        print('ESCAPED', family)\n    except OSError:\n        pass"),
    Attack("urllib", "import urllib.request\nurllib.request.urlopen(f\"http://127.0.0.1:{W['port']}/\", timeout=1)", control=True),
    Attack("asyncio", "import asyncio\nasync def go():\n    await asyncio.wait_for(asyncio.open_connection('127.0.0.1', W['port']), 1)\nasyncio.run(go())", control=True),
    Attack("listen", "import socket\ns = socket.socket()\ns.bind(('0.0.0.0', 0))\ns.listen()\nprint('ESCAPED', s.getsockname())", control=True),
    *[Attack(f"socket family {family}", f"import socket\ns = socket.socket({family}, {kind}, {proto})\nprint('ESCAPED', s)") for family, kind, proto in
      ((16, 3, 0), (17, 3, 0x300), (2, 3, 1), (40, 1, 0), (38, 5, 0), (44, 3, 0), (31, 1, 3))],
    Attack("socket by number", _C + "fd = sc(41, 2, 1, 0)\nif fd >= 0:\n    print('ESCAPED', fd)", control=True),
    Attack("socket by the x32 number", _C + "fd = sc(0x40000000 + 41, 2, 1, 0)\nif fd >= 0:\n    print('ESCAPED', fd)"),
    Attack("32-bit system call", _C + """
import mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')  # mov eax, 20 (getpid); int 0x80; ret
pid = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
if pid > 0:
    print('ESCAPED', pid)
"""),
    _syscall("io_uring_setup", 425, "8, ctypes.create_string_buffer(256)"),
    Attack("connect by number", _C + "import struct\naddress = ctypes.create_string_buffer(struct.pack('=HH4s8s', 2, ((W['port'] & 255) << 8) | W['port'] >> 8, b'\\x7f\\0\\0\\1', bytes(8)))\nfor fd in range(256):\n    if sc(42, fd, address, 16) == 0:\n        print('ESCAPED', fd)"),
]  # fmt: skip

PROCESSES = [
    Attack("fork bomb", "import os, time\nfor _ in range(9):\n    os.fork()\ntime.sleep(1)"),
    Attack("fork bomb with leave to fork", "import os, time\nn = 0\nfor _ in range(300):\n    try:\n        if os.fork() == 0:\n            time.sleep(1)\n            os._exit(0)\n        n += 1\n    except OSError:\n        break\nprint(n)\ntime.sleep(0.5)", processes=4),
    Attack("thread bomb", "import threading, time\nthreading.stack_size(65536)\nn = 0\ntry:\n    while n < 3000:\n        threading.Thread(target=time.sleep, args=(1,), daemon=True).start()\n        n += 1\nexcept RuntimeError:\n    pass\nprint(n)\nif n > 1000:\n    print('ESCAPED')\ntime.sleep(0.3)"),
    Attack("a shell", "import subprocess\nsubprocess.run(['/bin/sh', '-c', f\"touch {W['drop']}/pwned\"], check=True)", control=True),
    Attack("os.system", "import os\nos.system(f\"touch {W['drop']}/pwned\")", control=True),
    Attack("popen", "import os\nprint(os.popen(f\"cat {W['secret']}\").read())", control=True),
    Attack("posix_spawn", "import os, sys\nos.posix_spawn('/bin/sh', ['sh', '-c', f\"touch {W['drop']}/pwned\"], {})\nimport time\ntime.sleep(0.2)", control=True),
    Attack("multiprocessing", "import multiprocessing as m, time\np = m.get_context('fork').Process(target=time.sleep, args=(1,))\np.start()\nprint('ESCAPED')\np.join()"),
    *[_syscall(f"{name} (a child)", number, arguments, "result >= 0 and (result > 0 or sc(60, 0))") for name, number, arguments in
      (("fork", 57, "0"), ("vfork by clone", 56, "17, 0, 0, 0, 0"), ("clone3", 435, "ctypes.create_string_buffer((17).to_bytes(40, 'little').rjust(64, b'\\0')), 64"))],
    Attack("a daemon that stays", f"""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in range(256):
            try:
                os.close(fd)
            except OSError:
                pass
        time.sleep(2)
        try:
            open(W['drop'] + '/pwned', 'w')
        finally:
            time.sleep({20})
    os._exit(0)
""", processes=8),
    Attack("a thread that stays", "import threading, time\nthreading.Thread(target=time.sleep, args=(30,), daemon=True).start()"),
    Attack("a thread that keeps it", "import threading, time\nthreading.Thread(target=time.sleep, args=(30,)).start()", must_fail=True),
    Attack("atexit that hangs", "import atexit\ndef f():\n    while True:\n        pass\natexit.register(f)", must_fail=True),
    Attack("time bomb", "import signal, time\nsignal.signal(signal.SIGALRM, lambda *a: open(W['drop'] + '/pwned', 'w'))\nsignal.alarm(1)\ntime.sleep(30)", must_fail=True),
    Attack("deaf to signals", "import signal, time\nfor n in range(1, 65):\n    try:\n        signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError):\n        pass\nwhile True:\n    try:\n        time.sleep(30)\n    except BaseException:\n        pass", must_fail=True),
    Attack("stops itself", "import os, signal, time\nos.kill(os.getpid(), signal.SIGSTOP)\ntime.sleep(30)", must_fail=True),
    Attack("kill another process", "import os\nos.kill(W['victim'], 9)", control=True),
    Attack("kill by tgkill", _C + "sc(234, W['victim'], W['victim'], 9)", control=True),
    Attack("kill by pidfd", _C + "fd = sc(434, W['victim'], 0)\nsc(424, fd, 9, 0, 0)", control=True),
    Attack("kill by sigqueue", _C + "sc(129, W['victim'], 9, ctypes.create_string_buffer(b'\\x09\\0\\0\\0\\0\\0\\0\\0\\xff\\xff\\xff\\xff', 128))", control=True),
    Attack("signal the host", "import os, signal\nos.kill(W['host'], signal.SIGUSR1)", control=True),
    Attack("signal the parent", "import os, signal\nif os.getppid() > 0:\n    os.kill(os.getppid(), signal.SIGUSR1)\n    print('ESCAPED', os.getppid())"),
    Attack("kill everybody", "import os\ntry:\n    os.kill(-1, 9)\nexcept OSError:\n    pass\nos.killpg(0, 10)"),
    Attack("a signal when input comes", "import fcntl, os, signal\nfor fd in range(256):\n    try:\n        fcntl.fcntl(fd, 8, W['victim'])\n        fcntl.fcntl(fd, 10, 9)\n        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | 0o20000)\n    except OSError:\n        pass\nprint('x')"),
    Attack("ptrace a process", _C + "if sc(101, 16, W['victim'], 0, 0) == 0:\n    print('ESCAPED')"),
    Attack("ptrace by seizing", _C + "if sc(101, 0x4206, W['host'], 0, 0) == 0:\n    print('ESCAPED')"),
    _syscall("ptrace TRACEME", 101, "0, 0, 0, 0"),
    _syscall("process_vm_readv", 310, "W['host'], ctypes.create_string_buffer(16), 1, ctypes.create_string_buffer(16), 1, 0"),
    _syscall("process_madvise", 440, "0, 0, 0, 0, 0"),
    _syscall("pidfd_getfd", 438, "sc(434, 1, 0), 0, 0"),
    _syscall("kcmp", 312, "1, 1, 0, 0, 0"),
    Attack("limits of the host", _C + "import struct\nif sc(302, W['host'], 7, ctypes.create_string_buffer(struct.pack('QQ', 64, 64)), 0) == 0:\n    print('ESCAPED')"),
    Attack("priority of the host", _C + "if sc(141, 0, W['host'], 19) == 0:\n    print('ESCAPED')"),
    Attack("affinity of the host", _C + "if sc(203, W['victim'], 8, ctypes.create_string_buffer(b'\\1' + bytes(7))) == 0:\n    print('ESCAPED')", control=True),
    Attack("group of another", "import os\nos.setpgid(W['victim'], 0)\nprint('ESCAPED')"),
]  # fmt: skip

KERNEL = [
    _syscall("unshare user", 272, "0x10000000"), _syscall("unshare mounts", 272, "0x20000"), _syscall("unshare network", 272, "0x40000000"),
    Attack("clone a user namespace", _C + "r = sc(56, 0x10000000 | 17, 0, 0, 0, 0)\nif r == 0:\n    sc(60, 0)\nif r > 0:\n    print('ESCAPED')", processes=4),
    Attack("clone a pid namespace in a thread", _C + "r = sc(56, 0x20000000 | 17, 0, 0, 0, 0)\nif r == 0:\n    sc(60, 0)\nif r > 0:\n    print('ESCAPED')", processes=4),
    _syscall("setns", 308, "0, 0"), _syscall("mount tmpfs", 165, "b'x', b'/tmp', b'tmpfs', 0, 0"),
    _syscall("remount writable", 165, "0, b'/', 0, 32, 0"), _syscall("bind mount", 165, "b'/usr', b'/tmp', 0, 4096, 0"),
    _syscall("mount proc", 165, "b'proc', b'/tmp', b'proc', 0, 0"), _syscall("umount", 166, "b'/tmp', 2"),
    _syscall("pivot_root", 155, "b'/tmp', b'/tmp'"), _syscall("fsopen", 430, "b'tmpfs', 0"), _syscall("open_tree", 428, "-100, b'/', 1"),
    _syscall("move_mount", 429, "-1, b'', -100, b'/tmp', 4"), _syscall("mount_setattr", 442, "-100, b'/', 0, ctypes.create_string_buffer(32), 32"),
    _syscall("setuid 0", 105, "0"), _syscall("setresuid 0", 117, "0, 0, 0"), _syscall("setgid 0", 106, "0"),
    _syscall("setgroups", 116, "0, 0"), _syscall("setfsuid", 122, "0", "sc(122, -1) == 0"), _syscall("capset", 126, "ctypes.create_string_buffer(16), ctypes.create_string_buffer(b'\\xff' * 24)"),
    _syscall("add_key", 248, "b'user', b'x', b'y', 1, -3"), _syscall("keyctl", 250, "0, -3, 1"), _syscall("request_key", 249, "b'user', b'x', 0, 0"),
    _syscall("bpf", 321, "0, ctypes.create_string_buffer(72), 72"), _syscall("perf_event_open", 298, "ctypes.create_string_buffer(128), 0, -1, -1, 0"),
    _syscall("userfaultfd", 323, "1"), _syscall("seccomp listener", 317, "1, 8, ctypes.create_string_buffer(16)"),
    _syscall("personality", 135, "0x40000"), _syscall("syslog", 103, "3, ctypes.create_string_buffer(1000), 1000"),
    _syscall("reboot", 169, "0xfee1dead, 672274793, 0"), _syscall("swapon", 167, "b'/tmp/x', 0"), _syscall("init_module", 175, "b'', 0, b''"),
    _syscall("kexec_load", 246, "0, 0, 0, 0"), _syscall("acct", 163, "b'/tmp/program.py'"), _syscall("quotactl", 179, "0, 0, 0, 0"),
    _syscall("iopl", 172, "3"), _syscall("settimeofday", 164, "ctypes.create_string_buffer(16), 0"), _syscall("clock_settime", 227, "0, ctypes.create_string_buffer(16)"),
    _syscall("adjtimex", 159, "ctypes.create_string_buffer(b'\\1', 256)"), _syscall("sethostname", 170, "b'x', 1"), _syscall("inotify_init", 294, "0"),
    _syscall("fanotify_init", 300, "0, 0"), _syscall("mq_open", 240, "b'x', 66, 0, 0"), _syscall("name_to_handle_at", 303, "-100, b'/', ctypes.create_string_buffer(b'\\x80', 256), ctypes.create_string_buffer(8), 0"),
    _syscall("setxattr", 188, "b'/tmp/program.py', b'user.x', b'y', 1, 0"), _syscall("modify_ldt", 154, "1, ctypes.create_string_buffer(16), 16"),
    _syscall("sched_setscheduler", 144, "0, 1, ctypes.create_string_buffer(b'\\1', 8)"), _syscall("mlockall", 151, "3"),
    Attack("type into the terminal", "import fcntl\nfor fd in range(3):\n    try:\n        fcntl.ioctl(fd, 0x5412, b'x')\n        print('ESCAPED')\n    except OSError:\n        pass"),
    Attack("take the terminal", "import os, fcntl\nos.open('/dev/tty', os.O_RDWR)\nprint('ESCAPED')"),
    Attack("leave the limits", "import resource\nfor name in ('NPROC', 'AS', 'CPU', 'FSIZE', 'NOFILE', 'CORE'):\n    what = getattr(resource, 'RLIMIT_' + name)\n    try:\n        resource.setrlimit(what, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n        print('ESCAPED', name)\n    except (ValueError, OSError):\n        pass"),
    Attack("leave the limits in a child", "import os, resource\nif os.fork() == 0:\n    try:\n        resource.setrlimit(resource.RLIMIT_AS, (-1, -1))\n        print('ESCAPED', flush=True)\n    finally:\n        os._exit(0)\nos.wait()", processes=4),
    Attack("dunder walk to os", "for c in ().__class__.__base__.__subclasses__():\n    if c.__name__ == '_wrap_close':\n        g = c.__init__.__globals__\n        print(g['popen'](f\"cat {W['secret']}\").read(), g['environ'])"),
    Attack("restored builtins", "import builtins, importlib\nf = builtins.__dict__.get('open') or importlib.import_module('io').open\nprint(f(W['secret']).read())", control=True),
    Attack("loader of modules", "import importlib.util as u\ns = u.spec_from_file_location('x', W['secret'])\nprint(s and s.loader.get_data(W['secret']))\nimport importlib.machinery as m\nprint(m.SourceFileLoader('x', W['secret']).get_data(W['secret']))", control=True),
    Attack("machine code", _C + "import mmap\npage = mmap.mmap(-1, 4096, prot=7)\npage.write(b'\\x48\\xc7\\xc0\\x29\\0\\0\\0\\x48\\xc7\\xc7\\x02\\0\\0\\0\\x48\\xc7\\xc6\\x01\\0\\0\\0\\x48\\x31\\xd2\\x0f\\x05\\xc3')\nfd = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()\nif fd >= 0:\n    print('ESCAPED', fd)"),
]  # fmt: skip

RESOURCES = [
    Attack("memory at once", "x = bytearray(3 * 10**9)\nprint('ESCAPED', len(x))"),
    Attack("memory bit by bit", "x = []\nwhile True:\n    x.append(b'x' * 1_000_000)", must_fail=True),
    Attack("shared memory", "import mmap\nkeep = []\nfor i in range(40):\n    m = mmap.mmap(-1, 50_000_000)\n    for at in range(0, 50_000_000, 4096):\n        m[at] = 1\n    keep.append(m)\nprint('ESCAPED')"),
    Attack("memory in an anonymous file", "import os\nfor i in range(100):\n    fd = os.memfd_create('x')\n    os.write(fd, b'x' * 8_000_000)\nprint('ESCAPED')"),
    _syscall("shmget", 29, "0, 1 << 30, 0o1600"),
    Attack("memory by brk", _C + "libc.sbrk.restype = ctypes.c_void_p\nif libc.sbrk(ctypes.c_long(2 * 10**9)) not in (None, 2**64 - 1):\n    print('ESCAPED')"),
    Attack("memory in pipes", "import os, fcntl\nn = 0\ntry:\n    while True:\n        r, w = os.pipe()\n        try:\n            fcntl.fcntl(w, 1031, 1 << 20)\n        except OSError:\n            pass\n        os.set_blocking(w, False)\n        try:\n            while True:\n                n += os.write(w, b'x' * 65536)\n        except BlockingIOError:\n            pass\nexcept OSError:\n    pass\nif n > 200_000_000:\n    print('ESCAPED', n)"),
    Attack("memory of children", "import os, time\nfor _ in range(3):\n    if os.fork() == 0:\n        x = bytearray(1_000_000_000)\n        print('ESCAPED', flush=True)\n        os._exit(0)\ntime.sleep(0.5)", processes=4),
    Attack("a huge integer", "x = 7 ** (10 ** 9)\nprint('ESCAPED')"),
    Attack("deep recursion", "import sys\nsys.setrecursionlimit(10**9)\ndef f(x):\n    return f([x])\nf(1)", must_fail=True),
    Attack("deep source", "eval('(' * 100_000 + ')' * 100_000)", must_fail=True),
    Attack("deep recursion in C", "x = []\nfor _ in range(10**6):\n    x = [x]\nimport json\nrepr(x)"),
    Attack("disk", "n = 0\nwith open('/tmp/big', 'wb') as f:\n    try:\n        while True:\n            n += f.write(b'x' * 100_000)\n            f.flush()\n    except OSError:\n        pass\nif n > 12_000_000:\n    print('ESCAPED', n)"),
    Attack("disk by many files", "n = 0\ntry:\n    while n < 60_000_000:\n        with open(f'/tmp/f{n}', 'wb') as f:\n            n += f.write(b'x' * 1_000_000)\nexcept OSError:\n    pass\nif n > 12_000_000:\n    print('ESCAPED', n)"),
    Attack("many empty files", "import time\nt = time.time()\nn = 0\nwhile time.time() - t < 1.5:\n    open(f'/tmp/e{n}', 'w').close()\n    n += 1\nif n > 300_000:\n    print('ESCAPED', n)"),
    Attack("a sparse file", "import os\nfd = os.open('/tmp/s', os.O_RDWR | os.O_CREAT)\nos.ftruncate(fd, 1 << 40)\nprint('ESCAPED')"),
    Attack("processor time", "while True:\n    pass", must_fail=True),
    Attack("processor time in threads", "import threading, hashlib\ndef f():\n    while True:\n        hashlib.pbkdf2_hmac('sha256', b'x', b'y', 10**6)\nfor _ in range(8):\n    threading.Thread(target=f).start()", must_fail=True),
    Attack("a regular expression that explodes", "import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')"),
    Attack("sleeps", "import time\ntime.sleep(60)", must_fail=True),
    Attack("waits for input", "import sys, time\nsys.stdin.read()\ntime.sleep(60)", must_fail=True),
    Attack("floods standard output", "while True:\n    print('x' * 1000)", must_fail=True),
    Attack("floods standard error", "import sys\nwhile True:\n    sys.stderr.write('x' * 100_000)", must_fail=True),
    Attack("floods in threads", "import os, threading\ndef f(fd):\n    while True:\n        os.write(fd, b'x' * 65536)\nfor fd in (1, 2):\n    threading.Thread(target=f, args=(fd,)).start()", must_fail=True),
    Attack("a value that floods", "def f():\n    return 'x' * 50_000_000", entry="f", must_fail=True),
    Attack("an exception that floods", "raise ValueError('x' * 50_000_000)", must_fail=True),
    Attack("descriptors", "import os\nn = 0\ntry:\n    while n < 5000:\n        os.open('/dev/null', os.O_RDONLY)\n        n += 1\nexcept OSError:\n    pass\nif n > 300:\n    print('ESCAPED', n)"),
    Attack("timers", _C + "n = 0\nwhile n < 100_000 and sc(222, 0, 0, ctypes.create_string_buffer(8)) == 0:\n    n += 1\nif n > 2000:\n    print('ESCAPED', n)"),
]  # fmt: skip

RESULTS = [
    Attack("ends itself with 0", "import os\nos._exit(0)", must_fail=True, control=True),
    Attack("ends itself by sys.exit", "import sys\ndef f():\n    sys.exit(0)", entry="f", must_fail=True),
    Attack("ends before its entry", "import os\ndef f():\n    assert False\nos._exit(0)", entry="f", must_fail=True, control=True),
    Attack("execs something that succeeds", "import os\nos.execv('/usr/bin/python3', ['python3', '-c', 'pass'])", must_fail=True),
    Attack("forges the host's facts", _FDS + "answer(b'{\"value\": 1, \"cpu_s\": 0, \"rung\": \"host\"}\\n')\nos._exit(0)", must_fail=True),
    Attack("forges a refusal", _FDS + "answer(b'{\"fault\": {\"kind\": \"refused\", \"message\": \"x\", \"type\": \"\", \"line\": 1}}\\n')\nos._exit(0)", must_fail=True),
    Attack("forges a fault of the wrong form", _FDS + "answer(b'{\"fault\": [1, {\"kind\": {}}]}\\n')\nos._exit(0)", must_fail=True),
    Attack("calls doors that are not there", _FDS + "answer(b'{\"call\": \"__import__\", \"args\": [\"os\"], \"kwargs\": {}}\\n' * 3)\nanswer(b'{\"call\": [1], \"args\": 1, \"kwargs\": 2}\\n')\nos._exit(0)", must_fail=True),
    Attack("calls doors without end", _FDS + "while True:\n    answer(b'{\"call\": \"x\", \"args\": [], \"kwargs\": {}}\\n')", must_fail=True),
    *[Attack(f"answers with {name}", f"{_FDS}\nanswer({raw})\nos._exit(0)", must_fail=True) for name, raw in (
        ("NaN", "b'{\"value\": NaN}\\n'"), ("Infinity", "b'{\"value\": [-Infinity]}\\n'"), ("an infinite float", "b'{\"value\": 1e999}\\n'"),
        ("a huge integer", "b'{\"value\": ' + b'9' * 900_000 + b'}\\n'"), ("deep lists", "b'{\"value\": ' + b'[' * 200_000 + b']' * 200_000 + b'}\\n'"),
        ("deep objects", "b'{\"value\": ' + b'{\"a\":' * 400 + b'1' + b'}' * 400 + b'}\\n'"), ("invalid UTF-8", "b'{\"value\": \"\\xff\\xfe\\xc0\\x80\"}\\n'"),
        ("a lone surrogate", "b'{\"value\": \"\\\\ud800\"}\\n'"), ("equal keys", "b'{\"value\": {\"a\": 1, \"a\": 2}}\\n'"),
        ("a value twice", "b'{\"value\": 1, \"value\": 2}\\n'"), ("half a line", "b'{\"value\": 1'"), ("no JSON", "b'\\0\\0\\0\\n'"), ("a pickle", "b\"cos\\nsystem\\n(S'touch x'\\ntR.\\n\""),
        ("a list", "b'[1]\\n'"), ("nothing", "b'\\n'"),
    )],
    Attack("floods the answer", _FDS + "while True:\n    answer(b'x' * 65536)", must_fail=True),
    Attack("races for the answer", _FDS + "import threading\ndef f():\n    while True:\n        answer(b'}{\"value\"')\nfor _ in range(4):\n    threading.Thread(target=f, daemon=True).start()\nimport time\ntime.sleep(0.3)"),
    Attack("closes everything", "import os, time\nos.closerange(0, 256)\ntime.sleep(30)", must_fail=True),
    Attack("answers and stays", _FDS + "import time\nanswer(b'{\"value\": 1}\\n')\nwhile True:\n    time.sleep(1)"),
    Attack("evil subclasses", "class I(int):\n    def __repr__(self):\n        return '1, \"x\": 2'\nclass S(str):\n    def __str__(self):\n        return chr(34)\nclass D(dict):\n    def items(self):\n        return [(S('a'), I(3)), (S('a'), 4)]\ndef f():\n    return D(a=1)", entry="f", must_fail=True),
    Attack("a value within itself", "x = []\nx.append(x)\ndef f():\n    return x", entry="f"),
    Attack("NaN as a value", "def f():\n    return [float('nan')]", entry="f", must_fail=True),
    Attack("a set as a value", "def f():\n    return {1}", entry="f", must_fail=True),
    Attack("an exception without a text", "class E(Exception):\n    def __str__(self):\n        import os\n        os._exit(0)\nraise E", must_fail=True),
    Attack("an exception of a strange class", "E = type('\\ud800' * 1000, (Exception,), {})\nraise E('\\udfff')", must_fail=True),
    Attack("broken builtins", "import builtins, sys\nfor name in list(vars(builtins)):\n    if name not in ('__import__',):\n        delattr(builtins, name)"),
    Attack("a hook on the end", "import sys, os\nsys.excepthook = sys.__excepthook__ = lambda *a: os._exit(0)\n1 / 0", must_fail=True),
    Attack("traces the runner", "import sys, os\ndef t(frame, event, arg):\n    return t\nf = sys._getframe()\nwhile f.f_back:\n    f = f.f_back\n    f.f_trace = t\nsys.settrace(lambda frame, event, arg: os._exit(0))\n(lambda: 1)()", must_fail=True),
]  # fmt: skip

SUBSET = [
    Attack("monty: os.environ.get", "import os\nprint(os.environ.get(W['variable']), os.getenv(W['variable']))", control=True),
    Attack("monty: Path.iterdir", "from pathlib import Path\nprint([str(p) for p in Path('/').iterdir()], 'ESCAPED')", control=True, subset_only=True),
    Attack("monty: Path.write_text", "from pathlib import Path\nPath(W['drop'] + '/pwned').write_text('x')", control=True),
    Attack("monty: with open", "with open(W['secret']) as f:\n    print(f.read())", control=True),
    Attack("monty: open upwards", "print(open('/../..' + W['secret']).read())", control=True),
    Attack("monty: format walk", "print('{0.__class__.__init__.__globals__}'.format(open), 'ESCAPED')", subset_only=True),
    Attack("monty: f-string walk", "print(f'{().__class__.__base__.__subclasses__()}', 'ESCAPED')", control=True, subset_only=True),
    Attack("monty: getattr walk", "print(getattr(getattr((), '__class__'), '__base__'), 'ESCAPED')", control=True, subset_only=True),
    Attack("monty: eval", "print(eval(\"open(W['secret']).read()\"))", control=True),
    Attack("monty: exec", "exec(\"print(open(W['secret']).read())\")", control=True),
    Attack("monty: traceback frames", "try:\n    1 / 0\nexcept Exception as e:\n    print(e.__traceback__.tb_frame.f_globals, 'ESCAPED')", control=True, subset_only=True),
    Attack("monty: string growth", "x = 'ab'\nwhile True:\n    x = x + x", must_fail=True),
    Attack("monty: list growth", "x = [0]\nwhile True:\n    x = x + x", must_fail=True),
    Attack("monty: dict growth", "d = {}\ni = 0\nwhile True:\n    d[i] = 'x' * 1000\n    i += 1", must_fail=True),
    Attack("monty: padding", "print(len(f'{1:1000000000}'), 'ESCAPED')"),
    Attack("monty: repetition", "print(len('x' * 10**10), 'ESCAPED')"),
    Attack("monty: shifts", "print(1 << 10**11, 'ESCAPED')"),
    Attack("monty: power", "x = 10 ** 10 ** 8\nprint('ESCAPED')"),
    Attack("monty: nested calls", "def f(n):\n    return f(n + 1)\nf(0)", must_fail=True),
    Attack("monty: nested source", "x = " + "[" * 5000 + "]" * 5000, must_fail=True),
    Attack("monty: endless comprehension", "sum([1 for i in range(10**12)])", must_fail=True),
    Attack("monty: sleeps", "import time\nfor i in range(100):\n    time.sleep(9)", must_fail=True),
    Attack("monty: async sleeps", "import asyncio\nasync def f():\n    await asyncio.gather(*[asyncio.sleep(60) for i in range(1000)])\nawait f()", must_fail=True),
    Attack("monty: replaces isinstance", "isinstance = lambda a, b: True\nlen = None\nprint(open(W['secret']).read())", control=True),
]  # fmt: skip

ATTACKS = [*FILES, *ENVIRONMENT, *NETWORK, *PROCESSES, *KERNEL, *RESOURCES, *RESULTS, *SUBSET]
